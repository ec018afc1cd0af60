package fusion

import (
	"fmt"

	"hipc/ir"
)

// A copier copies parts of graphs. Weights and literals are shared; what it hasn't copied stays what it is.
type copier struct {
	values map[*ir.Value]*ir.Value
	names  map[string]bool
}

func newCopier() *copier {
	return &copier{values: map[*ir.Value]*ir.Value{}, names: map[string]bool{}}
}

// value is v's copy.
func (c *copier) value(v *ir.Value) *ir.Value {
	if w := c.values[v]; w != nil {
		return w
	}
	return v
}

// fresh copies v as a value without a node.
func (c *copier) fresh(v *ir.Value, name string) *ir.Value {
	w := &ir.Value{Name: c.unique(name), Type: v.Type, Pos: v.Pos}
	c.values[v] = w
	return w
}

func (c *copier) unique(name string) string {
	u := name
	for i := 2; c.names[u]; i++ {
		u = fmt.Sprintf("%s_%d", name, i)
	}
	c.names[u] = true
	return u
}

// node copies n with its operands' and results' copies. Bodies are shared: nobody changes them.
func (c *copier) node(n *ir.Node) *ir.Node {
	m := &ir.Node{Op: n.Op, State: n.State, Body: n.Body, Pos: n.Pos}
	for _, a := range n.Args {
		m.Args = append(m.Args, c.value(a))
	}
	for _, v := range n.Outs {
		w := c.fresh(v, v.Name)
		w.Node = m
		m.Outs = append(m.Outs, w)
	}
	return m
}

// graph begins a copy of g: name and parameters.
func (c *copier) graph(g *ir.Graph) *ir.Graph {
	out := &ir.Graph{Name: g.Name}
	for _, p := range g.Params {
		out.Params = append(out.Params, c.fresh(p, p.Name))
	}
	return out
}

func (c *copier) results(out, g *ir.Graph) {
	for _, r := range g.Results {
		out.Results = append(out.Results, c.value(r))
	}
}
