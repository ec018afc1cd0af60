package compiler

import (
	"golang.org/x/sync/errgroup"
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

// Plan takes a model text through all passes for each target. What doesn't depend on the target, up to the buckets' graphs, is made once.
func Plan(opts Options, targets []string) ([]*Draft, error) {
	var all []*compilation
	for _, t := range targets {
		opts.Target = t
		c, err := start(opts)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	first := all[0]
	defer first.close()
	if err := first.run("bucket"); err != nil {
		return nil, err
	}
	out := make([]*Draft, len(all))
	var g errgroup.Group
	for i, c := range all {
		if i > 0 {
			t := c.target
			*c = *first
			c.target, c.opts.Target, c.buckets = t, t.Name, nil
			for _, b := range first.buckets {
				c.buckets = append(c.buckets, &bucketGraph{Bucket: b.Bucket, model: b.model})
			}
		}
	}
	for i, c := range all {
		g.Go(func() error {
			err := c.run("")
			out[i] = &Draft{c.plan, c.costs, c}
			return err
		})
	}
	return out, g.Wait()
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
