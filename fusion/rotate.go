package fusion

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hipc/ir"
)

// Rotate cuts m's layers elsewhere: each body ends with the head of its successor, and what the head makes is carried
// from layer to layer beside what was. Bodies then differ by successor too, so that the last layer, which ends with the
// head of what follows the layers, has a body of its own. m stays as it is.
//
// A head is the nodes that depend on nothing but carried values, weights and numbers, and read no matrix. A carried value
// has one name and type in all layers, so all successors' heads must make alike values; where they don't, or where there
// are no heads, the reason is returned instead of a model.
func Rotate(m *ir.Model) (*ir.Model, string) {
	r := &rotation{model: m, heads: map[*ir.Graph]*head{}}
	first := m.BodyOf(0).Graph
	for _, g := range m.Graphs() {
		if g != m.Begin {
			r.heads[g] = headOf(g)
		}
	}
	want := r.heads[first]
	if len(want.crossing) == 0 {
		return nil, "the first layer has no head that could move"
	}
	for _, g := range m.Graphs() {
		if h := r.heads[g]; h != nil && !alike(h.crossing, want.crossing) {
			return nil, fmt.Sprintf("the heads of %s and %s don't make alike values", first.Name, g.Name)
		}
	}
	for _, v := range want.crossing {
		r.names = append(r.names, v.Name)
	}
	out := &ir.Model{Name: m.Name, Layers: m.Layers}
	out.Begin = r.rotate(m.Begin, first, "0", m.Begin.Name)
	r.bodies(out)
	out.End = r.rotate(m.End, nil, "", m.End.Name)
	return out, ""
}

type rotation struct {
	model *ir.Model
	heads map[*ir.Graph]*head
	names []string // of the values that now cross
}

// A head is what of a graph may move to its predecessor.
type head struct {
	nodes    []*ir.Node
	crossing []*ir.Value // those of its values that the rest of the graph reads
}

func headOf(g *ir.Graph) *head {
	h := &head{}
	in := map[*ir.Node]bool{}
	for _, n := range g.Nodes {
		// pick stays where it is: what is before it works on more rows.
		if !n.Op.Light || n.Op.State != "" || n.Body != nil || n.Op.Name == "pick" {
			continue
		}
		if !slices.ContainsFunc(n.Args, func(a *ir.Value) bool { return a.Node != nil && !in[a.Node] }) {
			in[n] = true
			h.nodes = append(h.nodes, n)
		}
	}
	read := map[*ir.Value]bool{}
	for _, n := range g.Nodes {
		for _, a := range n.Args {
			read[a] = read[a] || !in[n]
		}
	}
	for _, v := range g.Results {
		read[v] = true
	}
	for _, n := range h.nodes {
		for _, v := range n.Outs {
			if read[v] {
				h.crossing = append(h.crossing, v)
			}
		}
	}
	return h
}

func alike(a, b []*ir.Value) bool {
	return slices.EqualFunc(a, b, func(v, w *ir.Value) bool { return v.Type.Equal(w.Type) })
}

// bodies makes a body for each pair of a body and its successor.
func (r *rotation) bodies(out *ir.Model) {
	type pair struct{ body, next *ir.Graph }
	made := map[pair]*ir.Body{}
	nexts := map[*ir.Graph][]*ir.Graph{}
	var order []pair
	for l := range r.model.Layers {
		p := pair{r.model.BodyOf(l).Graph, r.model.End}
		if l+1 < r.model.Layers {
			p.next = r.model.BodyOf(l + 1).Graph
		}
		if made[p] == nil {
			made[p] = &ir.Body{}
			nexts[p.body] = append(nexts[p.body], p.next)
			order = append(order, p)
		}
		made[p].Layers = append(made[p].Layers, l)
	}
	for _, p := range order {
		others := slices.DeleteFunc(slices.Clone(nexts[p.body]), func(g *ir.Graph) bool { return g == r.model.End })
		name, layer := p.body.Name, "{l+1}"
		switch {
		case p.next == r.model.End:
			name, layer = name+"_"+r.model.End.Name, ""
		case len(others) > 1:
			name += "_" + p.next.Name
		}
		made[p].Graph = r.rotate(p.body, p.next, layer, name)
		out.Bodies = append(out.Bodies, made[p])
	}
}

// rotate is g without its head but with next's, whose layer is then called so.
func (r *rotation) rotate(g, next *ir.Graph, layer, name string) *ir.Graph {
	c := newCopier()
	out := c.graph(g)
	out.Name = name
	own := r.heads[g]
	if own != nil {
		for i, v := range own.crossing {
			out.Params = append(out.Params, c.fresh(v, r.names[i]))
		}
	}
	for _, n := range g.Nodes {
		if own == nil || !slices.Contains(own.nodes, n) {
			out.Nodes = append(out.Nodes, c.node(n))
		}
	}
	c.results(out, g)
	if next == nil {
		return out
	}
	// The successor's head, on what it would be given.
	h := r.heads[next]
	d := &copier{values: map[*ir.Value]*ir.Value{}, names: c.names}
	for i, p := range next.Params {
		d.values[p] = out.Results[i]
	}
	for _, n := range h.nodes {
		for _, a := range n.Args {
			if a.Weight != nil && d.values[a] == nil {
				d.values[a] = inLayer(a, layer)
			}
		}
		out.Nodes = append(out.Nodes, d.node(n))
	}
	for _, v := range h.crossing {
		out.Results = append(out.Results, d.values[v])
	}
	return out
}

// inLayer is a weight as another layer calls it: {l} is that layer's number, {l+1} the next one's.
func inLayer(v *ir.Value, layer string) *ir.Value {
	if v.Weight == nil || layer == "" {
		return v
	}
	w := &ir.Weight{Path: strings.ReplaceAll(v.Weight.Path, "{l}", layer)}
	if f := v.Weight.Fold; f != nil {
		w.Fold = &ir.Node{Op: f.Op, Pos: f.Pos}
		for _, a := range f.Args {
			w.Fold.Args = append(w.Fold.Args, inLayer(a, layer))
		}
	}
	return &ir.Value{Name: v.Name, Type: v.Type, Weight: w, Pos: v.Pos}
}

// A ModelReport says what PlanModel did.
type ModelReport struct {
	Graphs   []*Report // in the order of the planned model's graphs
	Cost     float64   // seconds of one replay: begin, every layer, end
	Launches int       // of one replay
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
	switch {
	case r.Why != "":
		b.WriteString("layers as written: " + r.Why + "\n")
	case r.Rotated:
		fmt.Fprintf(&b, "layers end with the head of the next: saves %.1f µs\n", r.Saved*1e6)
	default:
		fmt.Fprintf(&b, "layers as written: with the head of the next at their end they'd cost %.1f µs more\n", -r.Saved*1e6)
	}
	b.WriteString(strconv.Itoa(r.Launches) + " launches in all\n")
	return b.String()
}

// PlanModel plans all of m's graphs for a bucket, with rotated layers if those are cheaper. In a bucket that picks no
// rows nothing follows the layers: End keeps its parameters and has neither nodes nor results.
func PlanModel(m *ir.Model, o Options) (*ir.Model, *ModelReport, error) {
	m = &ir.Model{Name: m.Name, Begin: m.Begin, Bodies: m.Bodies, Layers: m.Layers, End: unpicked(m.End, &o)}
	out, r, err := planAll(m, o)
	if err != nil || o.Off {
		if r != nil {
			r.Why = "fusion is off"
		}
		return out, r, err
	}
	turned, why := Rotate(m)
	if turned == nil {
		r.Why = why
		return out, r, nil
	}
	other, s, err := planAll(turned, o)
	if err != nil {
		return nil, nil, err
	}
	if saved := r.Cost - s.Cost; picoseconds(s.Cost) < picoseconds(r.Cost) {
		s.Rotated, s.Saved = true, saved
		return other, s, nil
	}
	r.Saved = r.Cost - s.Cost
	return out, r, nil
}

func planAll(m *ir.Model, o Options) (*ir.Model, *ModelReport, error) {
	out := &ir.Model{Name: m.Name, Layers: m.Layers}
	r := &ModelReport{}
	plan := func(g *ir.Graph, times int) (*ir.Graph, error) {
		p, one, err := Plan(g, o)
		if err != nil {
			return nil, err
		}
		r.Graphs = append(r.Graphs, one)
		r.Cost += one.Cost * float64(times)
		r.Launches += one.Launches * times
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
	if o.Picks == 0 {
		end := newCopier().graph(m.End)
		m = &ir.Model{End: end}
	}
	out.End, err = plan(m.End, 1)
	return out, r, err
}
