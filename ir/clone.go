package ir

import "fmt"

// A Copier copies parts of graphs into another one, in which no two values have one name. Weights, literals and bodies are shared:
// nobody changes them. What it hasn't copied stays what it is.
type Copier struct {
	Copies map[*Value]*Value
	Names  map[string]bool
}

// NewCopier is one for a graph that is empty yet.
func NewCopier() *Copier {
	return &Copier{Copies: map[*Value]*Value{}, Names: map[string]bool{}}
}

// Value is v's copy.
func (c *Copier) Value(v *Value) *Value {
	if w := c.Copies[v]; w != nil {
		return w
	}
	return v
}

// Values are the copies of a list.
func (c *Copier) Values(list []*Value) []*Value {
	out := make([]*Value, len(list))
	for i, v := range list {
		out[i] = c.Value(v)
	}
	return out
}

// Fresh copies v as a value without a node, called name or nearly so.
func (c *Copier) Fresh(v *Value, name string) *Value {
	w := &Value{Name: c.Unique(name), Type: v.Type, Pos: v.Pos}
	c.Copies[v] = w
	return w
}

// Unique takes a name like name that nothing has yet.
func (c *Copier) Unique(name string) string {
	u := name
	for i := 2; c.Names[u]; i++ {
		u = fmt.Sprintf("%s_%d", name, i)
	}
	c.Names[u] = true
	return u
}

// Node copies n with its operands' and results' copies.
func (c *Copier) Node(n *Node) *Node {
	m := *n
	m.Args, m.Outs = c.Values(n.Args), nil
	for _, v := range n.Outs {
		w := c.Fresh(v, v.Name)
		w.Node = &m
		m.Outs = append(m.Outs, w)
	}
	return &m
}

// Graph begins a copy of g: name and parameters.
func (c *Copier) Graph(g *Graph) *Graph {
	out := &Graph{Name: g.Name}
	for _, p := range g.Params {
		out.Params = append(out.Params, c.Fresh(p, p.Name))
	}
	return out
}

// Clone copies g. Where replace (which may be nil) says true, the node is left out, and its results become what replace gives in
// terms of the copied operands.
func (g *Graph) Clone(replace func(n *Node, args []*Value) ([]*Value, bool)) *Graph {
	c := NewCopier()
	out := c.Graph(g)
	for _, n := range g.Nodes {
		if replace != nil {
			if outs, ok := replace(n, c.Values(n.Args)); ok {
				for i, o := range n.Outs {
					c.Copies[o] = outs[i]
				}
				continue
			}
		}
		out.Nodes = append(out.Nodes, c.Node(n))
	}
	out.Results = c.Values(g.Results)
	return out
}

// Unused is a name like name that no value of g has.
func (g *Graph) Unused(name string) string {
	c := NewCopier()
	for _, p := range g.Params {
		c.Names[p.Name] = true
	}
	for _, n := range g.Nodes {
		for _, o := range n.Outs {
			c.Names[o.Name] = true
		}
	}
	return c.Unique(name)
}

// Prune drops the nodes whose results nobody reads and that keep no state.
func (g *Graph) Prune() {
	need := map[*Value]bool{}
	for _, r := range g.Results {
		need[r] = true
	}
	var kept []*Node
	for i := len(g.Nodes) - 1; i >= 0; i-- {
		n := g.Nodes[i]
		live := len(n.States()) > 0
		for _, o := range n.Outs {
			live = live || need[o]
		}
		if !live {
			continue
		}
		for _, a := range n.Args {
			need[a] = true
		}
		kept = append(kept, n)
	}
	for i, j := 0, len(kept)-1; i < j; i, j = i+1, j-1 {
		kept[i], kept[j] = kept[j], kept[i]
	}
	g.Nodes = kept
}

// Clone copies the model's graphs.
func (m *Model) Clone(replace func(n *Node, args []*Value) ([]*Value, bool)) *Model {
	c := &Model{Name: m.Name, Layers: m.Layers, Begin: m.Begin.Clone(replace), End: m.End.Clone(replace)}
	for _, b := range m.Bodies {
		c.Bodies = append(c.Bodies, &Body{Graph: b.Graph.Clone(replace), Layers: append([]int(nil), b.Layers...)})
	}
	return c
}
