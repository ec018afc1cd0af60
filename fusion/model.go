package fusion

import (
	"fmt"
	"strings"

	"hipc/ir"
)

// A ModelReport says what PlanModel did.
type ModelReport struct {
	Graphs   []*Report // in the order of the planned model's graphs
	Cost     float64   // seconds of one replay: begin, every layer, end
	Launches int       // of one replay
	Unfused  int       // the same without any fusion
	Rotated  bool
	Saved    float64 // seconds a replay that rotating the layers saves, or would cost if negative
	Why      string  // why the layers couldn't be rotated
}

// String is the report as hipc explain prints it.
func (r *ModelReport) String() string {
	var b strings.Builder
	for _, g := range r.Graphs {
		b.WriteString(g.String())
	}
	fmt.Fprintf(&b, "%s\n%d launches in all\n", r.Rotation(), r.Launches)
	return b.String()
}

// Rotation says how the layers are cut, and what that saves.
func (r *ModelReport) Rotation() string {
	switch {
	case r.Why != "":
		return "layers as written: " + r.Why
	case r.Rotated:
		return fmt.Sprintf("layers end with the head of the next: saves %.1f µs", r.Saved*1e6)
	}
	return fmt.Sprintf("layers as written: with the head of the next at their end they'd cost %.1f µs more", -r.Saved*1e6)
}

// PlanModel plans all of m's graphs for a bucket, with rotated layers if those are cheaper.
func PlanModel(m *ir.Model, o Options) (*ir.Model, *ModelReport, error) {
	out, r, err := planAll(m, o)
	if err != nil {
		return nil, nil, err
	}
	if o.Off {
		r.Why = "fusion is off"
		return out, r, nil
	}
	turned, why := o.Memo.rotate(m)
	if r.Why = why; turned != nil {
		other, s, err := planAll(turned, o)
		if err != nil {
			return nil, nil, err
		}
		r.Saved = r.Cost - s.Cost
		if picoseconds(s.Cost) < picoseconds(r.Cost) {
			s.Rotated, s.Saved = true, r.Saved
			out, r = other, s
		}
	}
	return out, r, nil
}

// Weigh weighs every graph's matches.
func (r *ModelReport) Weigh() {
	for _, g := range r.Graphs {
		g.Weigh("")
	}
}

// Weigh works out what a rule saves where it fired, and by how much it lost elsewhere; of "" all rules. That's a search for each match,
// all of which take longer than the plan. Until then their gains are 0.
func (r *Report) Weigh(rule string) {
	if r.weigh != nil {
		r.weigh(rule)
	}
}

func planAll(m *ir.Model, o Options) (*ir.Model, *ModelReport, error) {
	out := &ir.Model{Name: m.Name, Layers: m.Layers}
	r := &ModelReport{}
	plan := func(g *ir.Graph, times int) (*ir.Graph, error) {
		p, one, err := o.Memo.plan(g, o)
		if err != nil {
			return nil, err
		}
		r.Graphs = append(r.Graphs, one)
		r.Cost += one.Cost * float64(times)
		r.Launches += one.Launches * times
		r.Unfused += one.Primitives * times
		return p, nil
	}
	var err error
	if out.Begin, err = plan(m.Begin, 1); err != nil {
		return nil, nil, err
	}
	for _, b := range m.Bodies {
		g, err := plan(b.Graph, len(b.Layers))
		if err != nil {
			return nil, nil, err
		}
		out.Bodies = append(out.Bodies, &ir.Body{Graph: g, Layers: b.Layers})
	}
	out.End, err = plan(m.End, 1)
	return out, r, err
}
