package ir

import (
	"fmt"
	"slices"
)

// Verify checks what every pass must leave true. A failure is a bug of ours, not of the model's author: it names the
// graph and the node.
func (m *Model) Verify() error {
	for _, g := range m.Graphs() {
		if err := g.Verify(); err != nil {
			return err
		}
	}
	seen := make([]bool, m.Layers)
	for _, b := range m.Bodies {
		for _, l := range b.Layers {
			if l < 0 || l >= m.Layers || seen[l] {
				return fmt.Errorf("%s: layer %d is out of range or has two bodies", b.Graph.Name, l)
			}
			seen[l] = true
		}
	}
	if l := slices.Index(seen, false); l >= 0 {
		return fmt.Errorf("layer %d has no body", l)
	}
	from := m.Begin
	for l := 0; l < m.Layers; l++ {
		to := m.BodyOf(l).Graph
		if err := joins(from, to); err != nil {
			return err
		}
		from = to
	}
	return joins(from, m.End)
}

// joins checks that what one graph gives is what the next one takes.
func joins(from, to *Graph) error {
	if len(from.Results) != len(to.Params) {
		return fmt.Errorf("%s gives %d values, %s takes %d", from.Name, len(from.Results), to.Name, len(to.Params))
	}
	for i, r := range from.Results {
		if !r.Type.Equal(to.Params[i].Type) {
			return fmt.Errorf("%s gives %s for %s of %s, which is %s", from.Name, r.Type, to.Params[i].Name, to.Name, to.Params[i].Type)
		}
	}
	return nil
}

// Verify checks one graph: values are made before they are read, names are unique, bodies fit their nodes, stateful
// ops have a state, launches hold neighbours that don't need each other.
func (g *Graph) Verify() error {
	fail := func(n *Node, format string, args ...any) error {
		return fmt.Errorf("%s: %s: %s", g.Name, n, fmt.Sprintf(format, args...))
	}
	made := map[*Value]bool{}
	names := map[string]bool{}
	for _, p := range g.Params {
		made[p], names[p.Name] = true, true
	}
	group := map[int]int{} // launch -> index of its last node
	for i, n := range g.Nodes {
		for _, a := range n.Args {
			switch {
			case a == nil:
				return fail(n, "a nil operand")
			case a.Lit != nil:
			case a.Weight != nil:
				if a.Weight.open {
					return fail(n, "weight %s has no dims", a.Weight.Path)
				}
			case !made[a]:
				return fail(n, "%s is read before it is made", a.Name)
			case n.Launch > 0 && a.Node != nil && a.Node.Launch == n.Launch:
				return fail(n, "%s is made in the same launch", a.Name)
			}
		}
		for _, o := range n.Outs {
			if o.Node != n {
				return fail(n, "%s belongs to another node", o.Name)
			}
			if names[o.Name] {
				return fail(n, "two values are called %s", o.Name)
			}
			made[o], names[o.Name] = true, true
		}
		if n.Launch > 0 {
			if last, ok := group[n.Launch]; ok && last != i-1 {
				return fail(n, "launch %d is torn apart", n.Launch)
			}
			group[n.Launch] = i
		}
		if err := n.verify(); err != nil {
			return fail(n, "%v", err)
		}
	}
	for _, r := range g.Results {
		if r.Bound() && r.Weight == nil && !made[r] {
			return fmt.Errorf("%s: result %s is never made", g.Name, r.Name)
		}
	}
	return nil
}

func (n *Node) verify() error {
	if n.Body == nil {
		if (n.Op.State != "") != (n.State != "") {
			return fmt.Errorf("state is %q, but the op keeps %q", n.State, n.Op.State)
		}
		c := &Call{Op: n.Op, Args: n.Args, Pos: n.Pos, build: &Builder{}}
		types := n.Op.Types(c)
		if len(c.errs) > 0 {
			return c.errs[0]
		}
		for i, t := range types {
			if !t.Equal(n.Outs[i].Type) {
				return fmt.Errorf("%s is %s, but the op gives %s", n.Outs[i].Name, n.Outs[i].Type, t)
			}
		}
		return nil
	}
	bound := n.Bound()
	if len(bound) != len(n.Body.Params) || len(n.Outs) != len(n.Body.Results) {
		return fmt.Errorf("its body takes %d and gives %d values", len(n.Body.Params), len(n.Body.Results))
	}
	for i, p := range n.Body.Params {
		if !p.Type.Equal(bound[i].Type) {
			return fmt.Errorf("operand %s is %s, its body wants %s", bound[i].text(), bound[i].Type, p.Type)
		}
	}
	for i, r := range n.Body.Results {
		if !r.Type.Equal(n.Outs[i].Type) {
			return fmt.Errorf("%s is %s, its body gives %s", n.Outs[i].Name, n.Outs[i].Type, r.Type)
		}
	}
	return n.Body.Verify()
}
