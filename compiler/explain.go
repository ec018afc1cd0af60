package compiler

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hipc/fusion"
	"hipc/ir"
	"hipc/ir/syntax"
	"hipc/kernels"
	"hipc/runtime/plan"
)

// An Explanation says what the compiler made of a model, and why: per bucket each step with its cost, the rules that fired, those that
// matched and lost, those that lack a kernel; and what a token costs, here and on other targets. Each time says whether it's predicted or measured.
type Explanation struct {
	Model            string              `json:"model"`
	Target           string              `json:"target"`
	Machine          kernels.Machine     `json:"machine"`
	Context          int                 `json:"context"`
	Fuse             string              `json:"fuse,omitempty"`     // rules that it was planned without, as compile's --fuse
	Note             string              `json:"note,omitempty"`     // where an artifact's own plan is another
	LaunchesPerToken int                 `json:"launches_per_token"` // of decode_1
	UnfusedLaunches  int                 `json:"launches_per_token_unfused"`
	BytesPerToken    int                 `json:"bytes_per_token"` // moved by decode_1, whole context empty
	OpsPerToken      int                 `json:"ops_per_token"`   // floating-point, a multiply-add being two
	Weights          int64               `json:"weight_bytes"`
	State            int64               `json:"state_bytes_per_sequence"`
	StatePerToken    int64               `json:"kv_bytes_per_token"`
	Arena            int64               `json:"arena_bytes"`
	Formats          []FormatUse         `json:"formats"`
	Speeds           []Speed             `json:"speeds"`
	Bodies           []Body              `json:"bodies"` // of decode_1
	Buckets          []BucketExplanation `json:"buckets"`
}

// A FormatUse is what the weights of one format take.
type FormatUse struct {
	Format  string  `json:"format"`
	Layout  string  `json:"layout"`
	Tensors int     `json:"tensors"`
	Values  int64   `json:"values"`
	Bytes   int64   `json:"bytes"`
	Bits    float64 `json:"bits_per_value"`
}

// A BucketExplanation is one bucket's.
type BucketExplanation struct {
	Name    string              `json:"name"`
	Cost    plan.Cost           `json:"cost"`
	Rows    int                 `json:"rows"`
	Seconds float64             `json:"seconds"`
	From    []string            `json:"from"` // predicted, or measured when and on what
	Steps   []StepExplanation   `json:"steps"`
	Report  *fusion.ModelReport `json:"report"`
}

// Explain explains a model text with Options, or, if opts.Model is a folder, the artifact there: its lowered graph is
// planned again for its target, without the rules that it was compiled without unless opts name others. What comes of it is said to be another
// plan where it is: of another target, or made by another hipc.
func Explain(opts Options) (*Explanation, error) {
	info, err := os.Stat(opts.Model)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		c, err := start(opts)
		if err != nil {
			return nil, err
		}
		defer c.close()
		if err := c.run(""); err != nil {
			return nil, err
		}
		return c.explain(), nil
	}
	c, own, err := reopen(opts)
	if err != nil {
		return nil, err
	}
	for _, pass := range []func(*compilation) error{(*compilation).specialise, (*compilation).fuse, (*compilation).place} {
		if err := pass(c); err != nil {
			return nil, err
		}
	}
	e := c.explain()
	if a, b := launches(own.Fold()), launches(c.plan); own.Target != c.plan.Target || !slices.Equal(a, b) {
		e.Note = fmt.Sprintf("%s has another plan, for %s with %d launches a token: this one is what this hipc makes of its graph", opts.Model, own.Target, own.Buckets[0].Cost.Steps)
	}
	return e, nil
}

// launches are a plan's, by part.
func launches(p *plan.Plan) []string {
	var list []string
	for _, b := range p.Buckets {
		for _, part := range b.Parts {
			list = append(list, b.Name+" "+part.Name+" "+part.Base)
			for _, s := range part.Steps {
				list = append(list, s.Inst)
			}
		}
	}
	return list
}

// reopen takes an artifact back to its lowered graph. It also gives the plan that it has.
func reopen(opts Options) (*compilation, *plan.Plan, error) {
	src, err := os.ReadFile(filepath.Join(opts.Model, planFile))
	if err != nil {
		return nil, nil, err
	}
	p, err := plan.Read(src)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", filepath.Join(opts.Model, planFile), err)
	}
	if !opts.NoFuse && len(opts.Without) == 0 {
		if err := opts.SetFuse(p.Fuse); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", filepath.Join(opts.Model, planFile), err)
		}
	}
	if opts.Target == "" {
		opts.Target = p.Target
	}
	c, err := start(opts)
	if err != nil {
		return nil, nil, err
	}
	file := filepath.Join(opts.Model, graphFile)
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) { // a plan that was committed
		return nil, nil, fmt.Errorf("%s has a plan but no %s to plan again: want a whole artifact, or the model text", opts.Model, graphFile)
	}
	if err != nil {
		return nil, nil, err
	}
	_, lowered, _ := strings.Cut(string(text), "# --- lowered\n")
	lowered, _, _ = strings.Cut(lowered, "# --- ")
	f, err := syntax.Parse(file, lowered, syntax.Pos{})
	if err != nil {
		return nil, nil, err
	}
	if c.lowered, err = (&ir.Builder{}).Build(p.Model, f); err != nil {
		return nil, nil, err
	}
	c.model, c.text = c.lowered, &Text{Name: p.Model}
	c.context, c.vocab = p.Context, p.Vocab
	return c, p, nil
}

func (c *compilation) explain() *Explanation {
	d := c.plan.Buckets[0].Cost
	e := &Explanation{
		Model: c.plan.Model, Target: c.plan.Target, Machine: kernels.Machines[c.target.Name], Context: c.context, Fuse: c.plan.Fuse, Speeds: c.speeds(), Bodies: bodies(c.buckets[0].model),
		LaunchesPerToken: d.Steps, UnfusedLaunches: c.buckets[0].report.Unfused, BytesPerToken: d.Bytes, OpsPerToken: d.Ops,
		Weights: c.plan.WeightBytes(), State: c.plan.StateBytes(), Arena: c.plan.ArenaBytes(), Formats: c.formats(),
	}
	for _, k := range c.packed.state {
		if k.typ.Elem == ir.KV {
			e.StatePerToken += int64(2 * k.typ.Size() * c.target.KVBytes() * max(1, len(k.layers)))
		}
	}
	for i, b := range c.buckets {
		b.report.Weigh()
		x := BucketExplanation{Name: b.Name, Cost: c.plan.Buckets[i].Cost, Rows: b.rows(), Report: b.report}
		x.steps(c, i)
		e.Buckets = append(e.Buckets, x)
	}
	return e
}

// formats sums the weights up by format and layout, in the plan's order.
func (c *compilation) formats() []FormatUse {
	var out []FormatUse
	for _, w := range c.packed.list {
		name := string(w.value.Type.Elem)
		i := 0
		for i < len(out) && (out[i].Format != name || out[i].Layout != w.layout) {
			i++
		}
		if i == len(out) {
			out = append(out, FormatUse{Format: name, Layout: w.layout})
		}
		n := max(1, len(w.layers))
		out[i].Tensors += n
		out[i].Values += int64(n) * int64(w.value.Type.Size())
	}
	for _, k := range c.plan.Kinds() {
		for i := range out {
			if out[i].Format == k.Format && out[i].Layout == k.Layout {
				out[i].Bytes = k.Bytes
				out[i].Bits = 8 * float64(k.Bytes) / float64(out[i].Values)
			}
		}
	}
	return out
}
