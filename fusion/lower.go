package fusion

import (
	"fmt"

	"hipc/ir"
)

// Lower spells the ops of g that lower.rules speak of, by the formats of their weights. g stays as it is. States keep
// the names that elaboration gave them, and so do values that the text names.
func Lower(g *ir.Graph) (*ir.Graph, error) { return lower(g, loaded().lower) }

// LowerModel lowers all of m's graphs.
func LowerModel(m *ir.Model) (*ir.Model, error) {
	out := &ir.Model{Name: m.Name, Layers: m.Layers}
	var err error
	if out.Begin, err = Lower(m.Begin); err != nil {
		return nil, err
	}
	for _, b := range m.Bodies {
		g, err := Lower(b.Graph)
		if err != nil {
			return nil, err
		}
		out.Bodies = append(out.Bodies, &ir.Body{Graph: g, Layers: b.Layers})
	}
	out.End, err = Lower(m.End)
	return out, err
}

func lower(g *ir.Graph, rules []*Rule) (*ir.Graph, error) {
	r := newRebuild(g)
	for _, n := range g.Nodes {
		rule := spelling(n, rules)
		if rule == nil {
			r.copy(n)
			continue
		}
		if err := r.apply(rule, n); err != nil {
			return nil, err
		}
	}
	return r.finish(g)
}

// spelling is the first rule for n whose formats fit.
func spelling(n *ir.Node, rules []*Rule) *Rule {
	for _, r := range rules {
		if r.Name != n.Op.Name || n.Body != nil || len(n.Args) != len(r.Decl.Params) {
			continue
		}
		fits := true
		for i, p := range r.Decl.Params {
			fits = fits && (p.Format == "" || n.Args[i].Type.Elem.Is(p.Format))
		}
		if fits {
			return r
		}
	}
	return nil
}

// TailNames lists what may follow the logits.
func TailNames() []string {
	var names []string
	for _, r := range loaded().tail {
		names = append(names, r.Name)
	}
	return names
}

// AddTail appends to a model's last graph what follows the logits, its first result: the tail's result, called next,
// becomes the graph's second. An empty name adds nothing. end stays as it is.
func AddTail(end *ir.Graph, name string) (*ir.Graph, error) {
	if name == "" {
		return end, nil
	}
	for _, rule := range loaded().tail {
		if rule.Name != name {
			continue
		}
		r := newRebuild(end)
		for _, n := range end.Nodes {
			r.copy(n)
		}
		out := r.build.Inline(rule.Decl, []*ir.Value{r.Value(end.Results[0])}, "", nil, rule.Pos)
		g, err := r.finish(end)
		if err != nil {
			return nil, err
		}
		if len(out) == 1 {
			out[0].Name = r.Unique("next")
		}
		g.Results = append(g.Results[:1:1], out...)
		return g, nil
	}
	return nil, fmt.Errorf("no tail is called %s, want one of %v", name, TailNames())
}

// A rebuild makes a graph of another one's nodes, some of them spelled out.
type rebuild struct {
	*ir.Copier
	build *ir.Builder
	out   *ir.Graph
	named map[*ir.Value]string // names that values take from those they replace
}

func newRebuild(g *ir.Graph) *rebuild {
	r := &rebuild{Copier: ir.NewCopier(), build: &ir.Builder{}, named: map[*ir.Value]string{}}
	var params []*ir.Value
	for _, p := range g.Params {
		params = append(params, r.Fresh(p, p.Name))
	}
	r.out = r.build.Start(g.Name, params...)
	return r
}

func (r *rebuild) copy(n *ir.Node) { r.replace(n, r.build.Copy(n, r.Values(n.Args))) }

// apply puts a rule's body in n's place. Its stateful ops keep n's state.
func (r *rebuild) apply(rule *Rule, n *ir.Node) error {
	outs := r.build.Inline(rule.Decl, r.Values(n.Args), "", n.States(), n.Pos)
	if err := r.build.Err(); err != nil {
		return fmt.Errorf("%s, spelled by %s: %w", n, rule.Pos, err)
	}
	if len(outs) != len(n.Outs) {
		return fmt.Errorf("%s: %s gives %d values, want %d", rule.Pos, rule.Name, len(outs), len(n.Outs))
	}
	for i, v := range outs {
		if !v.Type.Equal(n.Outs[i].Type) {
			return fmt.Errorf("%s: %s gives %s, want %s", rule.Pos, rule.Name, v.Type, n.Outs[i].Type)
		}
	}
	r.replace(n, outs)
	return nil
}

func (r *rebuild) replace(n *ir.Node, outs []*ir.Value) {
	for i, v := range n.Outs {
		r.Copies[v] = outs[i]
		r.named[outs[i]] = v.Name
	}
}

// finish names the values: first come those that replace one that had a name.
func (r *rebuild) finish(g *ir.Graph) (*ir.Graph, error) {
	if err := r.build.Err(); err != nil {
		return nil, err
	}
	for _, old := range []bool{true, false} {
		for _, n := range r.out.Nodes {
			for _, v := range n.Outs {
				if name, ok := r.named[v]; ok == old {
					if !ok {
						name = v.Name
					}
					v.Name = r.Unique(name)
				}
			}
		}
	}
	r.out.Results = r.Values(g.Results)
	return r.out, nil
}
