package compiler

import (
	"slices"
	"strings"

	"hipc/codegen"
	"hipc/fusion"
	"hipc/ir"
	"hipc/kernels"
	"hipc/runtime/plan"
)

// A StepExplanation is a launch, as often as its part runs.
type StepExplanation struct {
	Part    string   `json:"part"`
	Layers  string   `json:"layers,omitempty"`
	Times   int      `json:"times"`
	Op      string   `json:"op"`
	Inst    string   `json:"inst"`
	Weights []string `json:"weights,omitempty"`
	Grid    int      `json:"grid"`
	Block   int      `json:"block"`
	Row     string   `json:"registry"`
	Time    int      `json:"ns"`            // with an empty context
	Full    int      `json:"ns_at_context"` // with the longest one
	From    string   `json:"from"`
	Bound   string   `json:"bound"`
	Fill    float64  `json:"fill"` // of the machine
	Bytes   int      `json:"bytes"`
	Ops     int      `json:"ops"`
}

// steps explains the launches of the i-th bucket, and sums them up.
func (x *BucketExplanation) steps(c *compilation, i int) {
	p, err := c.plan.Unfold()
	if err != nil {
		return
	}
	for _, part := range p.Buckets[i].Parts {
		layers, _ := plan.Ranges(part.Layers)
		for j, s := range part.Steps {
			e := StepExplanation{Part: part.Name, Layers: part.Layers, Times: max(1, len(layers)), Inst: s.Inst, Grid: s.Grid, Block: s.Block}
			for _, name := range s.In {
				if strings.Contains(name, ".") || slices.ContainsFunc(p.Weights, func(w plan.Weight) bool { return w.Name == name }) {
					e.Weights = append(e.Weights, name)
				}
			}
			cost, ok := c.costs.Of(x.Name, part.Name, j, s.Kernel)
			for _, b := range p.Buckets { // the part may be the base's
				if !ok {
					cost, ok = c.costs.Of(b.Name, part.Name, j, s.Kernel)
				}
			}
			e.Op, e.Row, e.From, e.Bound = cost.Op, cost.Row, cost.From, cost.Bound
			e.Time, e.Full, e.Fill, e.Bytes, e.Ops = cost.Time, cost.Full, float64(cost.Fill)/1000, cost.Bytes, cost.Ops
			x.Steps = append(x.Steps, e)
			x.Seconds += float64(e.Times*e.Time) * 1e-9
			if !slices.Contains(x.From, e.From) {
				x.From = append(x.From, e.From)
			}
		}
	}
}

// A Speed is how many tokens a second a target makes, one after the other, behind so many others.
type Speed struct {
	Target  string    `json:"target"`
	Machine string    `json:"machine"`
	Context []int     `json:"context"`
	Tokens  []float64 `json:"tokens_per_second"`
	From    []string  `json:"from"`
	Missing string    `json:"missing,omitempty"` // why it makes none: the kernel that isn't there
}

// speeds plans a token for every target that one could compile for.
func (c *compilation) speeds() []Speed {
	var out []Speed
	for _, t := range codegen.Targets {
		m, ok := kernels.Machines[t.Name]
		if t.Object == "" || !ok {
			continue
		}
		s := Speed{Target: t.Name, Machine: m.String()}
		if err := s.plan(c, t); err != nil {
			s.Missing, _, _ = strings.Cut(err.Error(), "\n")
		}
		out = append(out, s)
	}
	return out
}

func (s *Speed) plan(c *compilation, t *codegen.Target) error {
	b := c.buckets[0]
	if t != c.target {
		m, err := Buckets[0].specialise(c.lowered)
		if err != nil {
			return err
		}
		other := &compilation{opts: c.opts, target: t, context: c.context}
		b = &bucketGraph{Bucket: Buckets[0], model: m}
		if err := other.fuseBucket(b); err != nil {
			return err
		}
	}
	prices, err := kernels.Prices(t.Name)
	if err != nil {
		return err
	}
	found := c.opts.Memo.Kernels(t.Name, b.dims(t, c.context))
	for n := 1; ; n *= 4 {
		at := min(n-1, c.context-1)
		seconds, err := s.token(b, found, prices, at)
		if err != nil {
			return err
		}
		s.Context, s.Tokens = append(s.Context, at), append(s.Tokens, 1/seconds)
		if n == 1 {
			n = 256 // 0, 1023, 4095, …
		}
		if at == c.context-1 {
			return nil
		}
	}
}

// token is how long a token takes at a position.
func (s *Speed) token(b *bucketGraph, found fusion.Kernels, prices *kernels.PriceList, at int) (seconds float64, err error) {
	graph := func(g *ir.Graph, times int) error {
		for i := 0; i < len(g.Nodes); {
			group := launch(g.Nodes[i:])
			var steps []kernels.Step
			for _, n := range group {
				choice, err := found.Find(n, b.rows())
				if err != nil {
					return err
				}
				steps = append(steps, kernels.Step{Node: n, Choice: choice, Rows: b.rows()})
			}
			e := prices.Estimate(steps, at)
			from := "predicted"
			if e.Measured != nil {
				from = e.Measured.String()
			}
			if !slices.Contains(s.From, from) {
				s.From = append(s.From, from)
			}
			seconds += e.Seconds * float64(times)
			i += len(group)
		}
		return nil
	}
	if err = graph(b.model.Begin, 1); err != nil {
		return 0, err
	}
	for _, body := range b.model.Bodies {
		if err = graph(body.Graph, len(body.Layers)); err != nil {
			return 0, err
		}
	}
	return seconds, graph(b.model.End, 1)
}
