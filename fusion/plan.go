package fusion

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"hipc/ir"
	"hipc/kernels"
)

// Kernels finds what computes a node, also one that only might be.
type Kernels interface {
	Find(n *ir.Node, rows int) (*kernels.Choice, error)
}

// Options say for what a plan is made.
type Options struct {
	Off     bool // no rules, no shared launches, layers as they are written: primitive ops only
	Kernels Kernels
	Coster  kernels.Coster
	Rows    int // rows of a step: sequences times rows each
	Picks   int // rows after pick
	Rules   []*Rule
	Memo    *Memo // plans that are known already, or nil

	id string // of the kernels and the coster
}

// For gives the options for a bucket on a target: its kernels, what they cost, and the rules of fuse.rules.
func For(target string, d kernels.Dims, picks int) (Options, error) {
	p, err := kernels.Prices(target)
	if err != nil {
		return Options{}, err
	}
	return Options{Kernels: found{target, d}, Coster: p, Rows: d.T, Picks: picks, Rules: Rules(), id: fmt.Sprint(target, d)}, nil
}

// found are the registry's kernels for one target and bucket.
type found struct {
	target string
	dims   kernels.Dims
}

func (f found) Find(n *ir.Node, rows int) (*kernels.Choice, error) {
	d := f.dims
	d.T = rows
	return kernels.Find(f.target, n, d)
}

// cost is what a launch of these steps costs, in picoseconds.
func (o *Options) cost(launch []*step) int64 {
	steps := make([]kernels.Step, len(launch))
	for i, s := range launch {
		if s.Choice == nil {
			return lacking
		}
		steps[i] = s.Step
	}
	return picoseconds(o.Coster.Cost(steps))
}

// picoseconds rounds a cost. What is no cost at all, or more than ten minutes, is as bad as no kernel.
func picoseconds(seconds float64) int64 {
	if !(seconds >= 0 && seconds < 600) {
		return lacking
	}
	return int64(math.Round(seconds * 1e12))
}

// Plan covers g with steps and gives the graph of those: nodes with bodies where a rule was applied, and numbers of
// launches where several nodes share one. g itself stays as it is.
func Plan(g *ir.Graph, o Options) (*ir.Graph, *Report, error) {
	r := &Report{Graph: g.Name}
	s := newSite(g, &o)
	pieces, err := s.pieces(&o, r)
	if err != nil {
		return nil, nil, err
	}
	chosen := s.cover(pieces)
	if err := s.complete(chosen, &o); err != nil {
		return nil, nil, err
	}
	steps := make([]*step, len(chosen))
	for i, p := range chosen {
		steps[i] = &step{piece: p, launch: i}
		if m := p.match; m != nil {
			steps[i].Step = kernels.Step{Node: s.fused(m), Choice: m.Choice, Rows: m.rows}
		} else {
			n := g.Nodes[p.nodes.members()[0]]
			c, _ := o.Kernels.Find(n, s.rows[n.Outs[0]])
			steps[i].Step = kernels.Step{Node: n, Choice: c, Rows: s.rows[n.Outs[0]]}
		}
	}
	for _, p := range chosen {
		r.Cost += float64(p.cost.time) * 1e-12
	}
	s.report(r, pieces, chosen)
	if !o.Off {
		r.Shared = float64(s.share(steps, &o)) * 1e-12
		r.Cost -= r.Shared
	}
	out := s.assemble(steps)
	r.count(out)
	return out, r, nil
}

// pieces are what a cover may be made of: matches, by rule and place, then single nodes.
func (s *site) pieces(o *Options, r *Report) ([]*piece, error) {
	var out []*piece
	if !o.Off {
		for place, rule := range o.Rules {
			for _, m := range s.matches(rule, o, r.lacks) {
				st := &step{Step: kernels.Step{Node: s.fused(m), Choice: m.Choice, Rows: m.rows}}
				size := int64(len(m.nodes.members()))
				out = append(out, &piece{m, m.nodes, price{o.cost([]*step{st}), size * int64(place)}})
			}
		}
	}
	for i, n := range s.graph.Nodes {
		rows := s.rows[n.Outs[0]]
		p := &piece{nodes: newBitset(len(s.graph.Nodes)), cost: price{lacking, int64(len(o.Rules))}}
		p.nodes.add(i)
		c, err := o.Kernels.Find(n, rows)
		switch {
		case err == nil:
			p.cost.time = o.cost([]*step{{Step: kernels.Step{Node: n, Choice: c, Rows: rows}}})
		case !kernels.IsMissing(err):
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// complete is the error that names what the target lacks for this cover.
func (s *site) complete(chosen []*piece, o *Options) error {
	var missing []string
	for _, p := range chosen {
		if p.match != nil {
			continue
		}
		n := s.graph.Nodes[p.nodes.members()[0]]
		if _, err := o.Kernels.Find(n, s.rows[n.Outs[0]]); err != nil {
			text := err.Error()
			if n.Pos.IsValid() {
				text = n.Pos.String() + ": " + text
			}
			if !slices.Contains(missing, text) {
				missing = append(missing, text)
			}
		}
	}
	if missing == nil {
		return nil
	}
	return fmt.Errorf("%s", strings.Join(missing, "\n"))
}

// fused is the node of a match: its body is a copy of the very nodes that it stands for.
func (s *site) fused(m *Match) *ir.Node {
	n := &ir.Node{Op: m.Rule.op, Args: m.Args}
	body := &ir.Graph{Name: m.Rule.Name}
	c := newCopier()
	for i, a := range m.Args {
		if !a.Bound() {
			continue
		}
		p := &ir.Value{Name: m.Rule.paramName(i), Type: a.Type, Pos: a.Pos}
		c.names[p.Name] = true
		body.Params = append(body.Params, p)
		if c.values[a] == nil {
			c.values[a] = p
		}
	}
	for _, i := range m.nodes.members() {
		src := s.graph.Nodes[i]
		for _, a := range src.Args { // an equal weight that is another value
			if c.values[a] == nil {
				for k, b := range m.Args {
					if a.Weight != nil && same(a, b) {
						c.values[a] = c.values[m.Args[k]]
					}
				}
			}
		}
		body.Nodes = append(body.Nodes, c.node(src))
		n.Pos = src.Pos
	}
	for _, v := range m.Outs {
		body.Results = append(body.Results, c.values[v])
		n.Outs = append(n.Outs, &ir.Value{Name: v.Name, Type: v.Type, Node: n, Pos: v.Pos})
	}
	n.Body = body
	return n
}

// assemble puts the steps in an order and makes a graph of them. Launches keep the order in which their last node stood,
// as far as what they need allows; the steps of one launch stand beside each other.
func (s *site) assemble(steps []*step) *ir.Graph {
	var groups [][]*step
	for i := range steps {
		var g []*step
		for _, st := range steps {
			if st.launch == i {
				g = append(g, st)
			}
		}
		if g != nil {
			groups = append(groups, g)
		}
	}
	needs := s.groupNeeds(groups)
	last := make([]int, len(groups))
	for k, g := range groups {
		for _, st := range g {
			in := st.nodes.members()
			last[k] = max(last[k], in[len(in)-1])
		}
	}
	c := newCopier()
	out := c.graph(s.graph)
	done := newBitset(len(groups))
	launches := 0
	for range groups {
		next := -1
		for k := range groups {
			if !done.has(k) && !slices.ContainsFunc(needs[k].members(), func(j int) bool { return !done.has(j) }) && (next < 0 || last[k] < last[next]) {
				next = k
			}
		}
		if next < 0 {
			panic("fusion: steps need each other round about")
		}
		done.add(next)
		if len(groups[next]) > 1 {
			launches++
		}
		for _, st := range groups[next] {
			n := c.node(st.Node)
			if m := st.match; m != nil { // readers know the values of the unfused graph
				for i, v := range m.Outs {
					c.values[v] = n.Outs[i]
				}
			}
			if len(groups[next]) > 1 {
				n.Launch = launches
			}
			out.Nodes = append(out.Nodes, n)
		}
	}
	c.results(out, s.graph)
	return out
}
