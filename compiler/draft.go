package compiler

import (
	"hipc/codegen"
	"hipc/kernels"
	"hipc/runtime/plan"
)

// A Draft is what the passes make of a model text, before anything is compiled, packed or written: enough to review it.
type Draft struct {
	Plan       *plan.Plan       // folded, as plan.go has it
	Prediction *plan.Prediction // without rules, for weighing them all takes longer than all the rest: ask Use
	c          *compilation
}

// Plan takes a model text through all passes for one target.
func Plan(opts Options) (*Draft, error) {
	c, err := start(opts)
	if err != nil {
		return nil, err
	}
	defer c.close()
	if err := c.run(""); err != nil {
		return nil, err
	}
	return &Draft{c.plan, c.costs, c}, nil
}

// Sources are the kernels' source and the templates that it includes, by the names that they have in an artifact.
func (d *Draft) Sources() (map[string][]byte, error) {
	c := d.c
	out, err := codegen.Templates(c.target, kernels.Templates, c.entries)
	if err != nil {
		return nil, err
	}
	out[c.target.Source] = codegen.Source(c.target, c.plan.Model, c.entries, c.reals)
	return out, nil
}

// Use says what came of a rule in a part of a bucket.
func (d *Draft) Use(bucket, part, rule string) (plan.RuleUse, bool) {
	for _, b := range d.c.buckets {
		if b.Name == bucket {
			return b.use(part, rule)
		}
	}
	return plan.RuleUse{}, false
}
