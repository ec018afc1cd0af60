package compiler

import (
	"slices"

	"hipc/ir"
)

// settle gives results of bodies a step that moves them, where they can't be made in their place: a layer takes h where its
// predecessor has left it and leaves its own there, so h mustn't be read any more once its successor is made, but by a
// kernel that works in place; and one value can't be carried in two places, nor a parameter in another's. With two residuals it never is; with h + (attention + mlp) of one norm, it may be.
// What was planned stays as it is, for other buckets may run it too: a graph that gets a step is a copy.
func (c *compilation) settle(b *bucketGraph) error {
	m := b.model
	for l := -1; l < m.Layers; l++ {
		at, next := &m.Begin, m.End
		if l >= 0 {
			at = &m.BodyOf(l).Graph
		}
		if l+1 < m.Layers {
			next = m.BodyOf(l + 1).Graph
		}
		g := *at
		move := func(i int) {
			g = &ir.Graph{Name: g.Name, Params: g.Params, Nodes: slices.Clone(g.Nodes), Results: slices.Clone(g.Results)}
			*at = g
			r := g.Results[i]
			op, _ := ir.OpByName("copy")
			n := &ir.Node{Op: op, Args: []*ir.Value{r}, Pos: r.Pos}
			n.Outs = []*ir.Value{{Name: g.Unused(r.Name), Type: r.Type, Node: n, Pos: r.Pos}}
			g.Nodes = append(g.Nodes, n)
			g.Results[i] = n.Outs[0]
		}
		n := min(len(g.Results), len(next.Params))
		for i, r := range g.Results[:n] {
			if slices.Contains(g.Results[:i], r) || r.Node == nil && r.Name != next.Params[i].Name {
				move(i)
			}
		}
		for i, r := range g.Results[:n] { // copies too, which follow each other
			early, err := c.overwrites(b, g, r, next.Params[i].Name)
			if err != nil {
				return err
			}
			if early {
				move(i)
			}
		}
	}
	return nil
}

// overwrites says whether r, made where the parameter called name lies, would be there before that has been read for the
// last time. Nodes that share a launch run at once.
func (c *compilation) overwrites(b *bucketGraph, g *ir.Graph, r *ir.Value, name string) (bool, error) {
	if r.Node == nil {
		return false, nil // it stays where it is
	}
	found := c.opts.Memo.Kernels(c.target.Name, b.dims(c.target, c.context))
	made := false
	for _, n := range g.Nodes {
		made = made || n == r.Node || n.Launch > 0 && n.Launch == r.Node.Launch
		if !made {
			continue
		}
		for j, a := range n.Bound() {
			if !a.IsParam() || a.Name != name {
				continue
			}
			choice, err := found.Find(n, b.rows())
			if err != nil || n != r.Node || !choice.InPlace(n, slices.Index(n.Outs, r), j) {
				return true, err
			}
		}
	}
	return false, nil
}
