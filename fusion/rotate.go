package fusion

import (
	"fmt"
	"slices"
	"strings"

	"hipc/ir"
)

// Rotate cuts m's layers elsewhere: each body ends with the head of its successor, and what the head makes is carried
// from layer to layer beside what was. Bodies then differ by successor too, so that the last layer, which ends with the
// head of what follows the layers, has a body of its own. m stays as it is.
//
// A head is the nodes that depend on nothing but carried values, weights and numbers, and read no matrix. Layers of
// different kinds have different heads, so what is carried into each may differ; equal names have equal types. Where
// there are no heads, the reason is returned instead of a model. An end that takes nothing, as in a bucket without
// logits, is given nothing.
func Rotate(m *ir.Model) (*ir.Model, string) {
	r := &rotation{model: m, heads: map[*ir.Graph]*head{}}
	first := m.BodyOf(0).Graph
	types := map[string]ir.Type{}
	crossing := 0
	for _, g := range m.Graphs() {
		for _, p := range g.Params {
			types[p.Name] = p.Type
		}
	}
	for _, g := range m.Graphs() {
		if g == m.Begin || len(g.Params) == 0 {
			continue
		}
		h := headOf(g)
		h.name(types)
		r.heads[g] = h
		crossing += len(h.crossing)
	}
	if crossing == 0 {
		return nil, "no layer has a head that could move"
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
}

// A head is what of a graph may move to its predecessor.
type head struct {
	nodes    []*ir.Node
	crossing []*ir.Value // those of its values that the rest of the graph reads
	names    []string    // under which they're carried
}

// name gives the crossing values names: their own, unless something of another type is carried under it.
func (h *head) name(types map[string]ir.Type) {
	for _, v := range h.crossing {
		name := v.Name
		for i := 2; ; i++ {
			if t, ok := types[name]; (!ok || t.Equal(v.Type)) && !slices.Contains(h.names, name) {
				break
			}
			name = fmt.Sprintf("%s_%d", v.Name, i)
		}
		types[name] = v.Type
		h.names = append(h.names, name)
	}
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

// bodies makes a body for each pair of a body and a successor's head.
func (r *rotation) bodies(out *ir.Model) {
	type pair struct {
		body *ir.Graph
		head string
	}
	next := func(l int) *ir.Graph {
		if l+1 < r.model.Layers {
			return r.model.BodyOf(l + 1).Graph
		}
		return r.model.End
	}
	made := map[pair]*ir.Body{}
	names := map[string]bool{}
	for l := range r.model.Layers {
		g, to := r.model.BodyOf(l).Graph, next(l)
		p := pair{g, r.heads[to].key()}
		if made[p] == nil {
			name, layer := g.Name, "{l+1}"
			if to == r.model.End {
				layer = ""
			}
			if names[name] { // the body stands before another head too
				name += "_" + to.Name
			}
			for names[name] {
				name += "_2"
			}
			names[name] = true
			if len(to.Params) == 0 {
				to = nil
			}
			made[p] = &ir.Body{Graph: r.rotate(g, to, layer, name)}
			out.Bodies = append(out.Bodies, made[p])
		}
		made[p].Layers = append(made[p].Layers, l)
	}
}

// key is the head's text: bodies that go before equal heads are one.
func (h *head) key() string {
	if h == nil {
		return ""
	}
	var s []string
	for _, n := range h.nodes {
		s = append(s, n.String())
	}
	return strings.Join(s, "\n")
}

// rotate is g without its head but with next's, whose layer is then called so.
func (r *rotation) rotate(g, next *ir.Graph, layer, name string) *ir.Graph {
	c := ir.NewCopier()
	out := c.Graph(g)
	out.Name = name
	own := r.heads[g]
	if own != nil {
		for i, v := range own.crossing {
			out.Params = append(out.Params, c.Fresh(v, own.names[i]))
		}
	}
	for _, n := range g.Nodes {
		if own == nil || !slices.Contains(own.nodes, n) {
			out.Nodes = append(out.Nodes, c.Node(n))
		}
	}
	out.Results = c.Values(g.Results)
	if next == nil {
		return out
	}
	// The successor's head, on what it would be given.
	h := r.heads[next]
	d := &ir.Copier{Copies: map[*ir.Value]*ir.Value{}, Names: c.Names}
	for i, p := range next.Params {
		d.Copies[p] = out.Results[i]
	}
	for _, n := range h.nodes {
		for _, a := range n.Args {
			if a.Weight != nil && d.Copies[a] == nil {
				d.Copies[a] = inLayer(a, layer)
			}
		}
		out.Nodes = append(out.Nodes, d.Node(n))
	}
	for _, v := range h.crossing {
		out.Results = append(out.Results, d.Copies[v])
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
