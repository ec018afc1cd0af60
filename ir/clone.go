package ir

import "fmt"

// Clone copies g with its nodes and values; weights, literals and bodies are shared. Where replace (which may be nil)
// says true, the node is left out, and its results become what replace gives in terms of the copied operands.
func (g *Graph) Clone(replace func(n *Node, args []*Value) ([]*Value, bool)) *Graph {
	c := &Graph{Name: g.Name}
	at := map[*Value]*Value{}
	for _, p := range g.Params {
		q := *p
		at[p] = &q
		c.Params = append(c.Params, &q)
	}
	lookup := func(vs []*Value) []*Value {
		out := make([]*Value, len(vs))
		for i, v := range vs {
			if out[i] = at[v]; out[i] == nil {
				out[i] = v // a weight or a literal
			}
		}
		return out
	}
	for _, n := range g.Nodes {
		args := lookup(n.Args)
		if replace != nil {
			if outs, ok := replace(n, args); ok {
				for i, o := range n.Outs {
					at[o] = outs[i]
				}
				continue
			}
		}
		m := *n
		m.Args, m.Outs = args, nil
		for _, o := range n.Outs {
			q := *o
			q.Node = &m
			at[o] = &q
			m.Outs = append(m.Outs, &q)
		}
		c.Nodes = append(c.Nodes, &m)
	}
	c.Results = lookup(g.Results)
	return c
}

// Unused is a name like name that no value of g has.
func (g *Graph) Unused(name string) string {
	taken := map[string]bool{}
	for _, p := range g.Params {
		taken[p.Name] = true
	}
	for _, n := range g.Nodes {
		for _, o := range n.Outs {
			taken[o.Name] = true
		}
	}
	u := name
	for i := 2; taken[u]; i++ {
		u = fmt.Sprintf("%s_%d", name, i)
	}
	return u
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
