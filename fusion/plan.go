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
	m, err := kernels.MachineOf(target)
	if err != nil {
		return Options{}, err
	}
	return Options{Kernels: found{target, d}, Coster: m, Rows: d.T, Picks: picks, Rules: Rules(), id: identity(target, d)}, nil
}

func identity(target string, d kernels.Dims) string { return fmt.Sprint(target, d) }

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
	r := &Report{Graph: g.Name, Primitives: len(g.Nodes)}
	s := newSite(g, &o)
	pieces, err := s.pieces(&o, r)
	if err != nil {
		return nil, nil, err
	}
	launches := make([][]*piece, 0, len(pieces))
	if o.Off {
		for _, p := range pieces {
			launches = append(launches, []*piece{p})
		}
	} else {
		launches, r.Exact = s.plan(pieces, &o)
	}
	if err := complete(launches); err != nil {
		return nil, nil, err
	}
	s.report(r, pieces, launches, &o)
	out := s.assemble(launches)
	r.Launches = Launches(out)
	return out, r, nil
}

// pieces are what a plan may be made of: matches, by rule and place, then single nodes.
func (s *site) pieces(o *Options, r *Report) ([]*piece, error) {
	var out []*piece
	if !o.Off {
		for place, rule := range o.Rules {
			for _, m := range s.matches(rule, o, r.lacks) {
				p := &piece{Step: kernels.Step{Node: s.fused(m), Choice: m.Choice, Rows: m.rows}, match: m, nodes: m.covers()}
				out = append(out, s.priced(p, place, o))
			}
		}
	}
	for i, n := range s.graph.Nodes {
		p := &piece{Step: kernels.Step{Node: n, Rows: s.rows[n.Outs[0]]}, nodes: newBitset(len(s.graph.Nodes))}
		p.nodes.add(i)
		if p.Choice, p.lacks = o.Kernels.Find(n, p.Rows); p.lacks != nil && !kernels.IsMissing(p.lacks) {
			return nil, p.lacks
		}
		out = append(out, s.priced(p, len(o.Rules), o))
	}
	return out, nil
}

// priced is p with what it needs and costs.
func (s *site) priced(p *piece, place int, o *Options) *piece {
	p.needs = newBitset(len(s.graph.Nodes))
	for _, i := range p.nodes.members() {
		p.needs.addAll(s.needs[i])
	}
	p.needs.removeAll(p.nodes)
	for i, n := range s.graph.Nodes { // who reads what somebody read it again for doesn't need it
		if n.Op.Again && p.needs.has(i) && !slices.Contains(p.Node.Args, n.Outs[0]) {
			p.needs.remove(i)
		}
	}
	p.first = p.nodes.members()[0]
	p.alone, p.busy, p.rank = lacking, lacking, int64(p.nodes.count()*place)
	if p.Choice != nil {
		p.load = o.Coster.Load(p.Step)
		p.alone, p.busy = picoseconds(o.Coster.Launch(p.load)), picoseconds(p.load.Busy)
	}
	return p
}

// complete is the error that names what the target lacks for this plan.
func complete(launches [][]*piece) error {
	var missing []string
	for _, p := range slices.Concat(launches...) {
		if p.lacks == nil {
			continue
		}
		text := p.lacks.Error()
		if p.Node.Pos.IsValid() {
			text = p.Node.Pos.String() + ": " + text
		}
		if !slices.Contains(missing, text) {
			missing = append(missing, text)
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
	c := ir.NewCopier()
	for i, a := range m.Args {
		if !a.Bound() {
			continue
		}
		p := &ir.Value{Name: m.Rule.Decl.Operand(i), Type: a.Type, Pos: a.Pos}
		c.Names[p.Name] = true
		body.Params = append(body.Params, p)
		if c.Copies[a] == nil {
			c.Copies[a] = p
		}
	}
	for _, i := range m.nodes.members() {
		src := s.graph.Nodes[i]
		for _, a := range src.Args { // an equal weight that is another value
			if c.Copies[a] == nil {
				for k, b := range m.Args {
					if a.Weight != nil && same(a, b) {
						c.Copies[a] = c.Copies[m.Args[k]]
					}
				}
			}
		}
		body.Nodes = append(body.Nodes, c.Node(src))
		n.Pos = src.Pos
	}
	for _, v := range m.Outs {
		body.Results = append(body.Results, c.Copies[v])
		n.Outs = append(n.Outs, &ir.Value{Name: v.Name, Type: v.Type, Node: n, Pos: v.Pos})
	}
	n.Body = body
	return n
}

// assemble makes a graph of launches. They keep the order in which their last node stood, as far as what they need allows;
// the steps of one stand beside each other.
func (s *site) assemble(launches [][]*piece) *ir.Graph {
	done := newBitset(len(s.graph.Nodes))
	c := ir.NewCopier()
	out := c.Graph(s.graph)
	shared := 0
	for left := launches; len(left) > 0; {
		next := -1
		for k, l := range left {
			ready := !slices.ContainsFunc(l, func(p *piece) bool { return !p.needs.within(done) })
			if ready && (next < 0 || lastNode(l) < lastNode(left[next])) {
				next = k
			}
		}
		launch := left[next]
		left = slices.Delete(slices.Clone(left), next, next+1)
		if len(launch) > 1 {
			shared++
		}
		for _, p := range launch {
			done.addAll(p.nodes)
			n := c.Node(p.Node)
			if m := p.match; m != nil { // readers know the values of the unfused graph
				for i, v := range m.Outs {
					c.Copies[v] = n.Outs[i]
				}
			}
			if len(launch) > 1 {
				n.Launch = shared
			}
			out.Nodes = append(out.Nodes, n)
		}
	}
	out.Results = c.Values(s.graph.Results)
	return out
}

func lastNode(launch []*piece) int {
	last := 0
	for _, p := range launch {
		in := p.nodes.members()
		last = max(last, in[len(in)-1])
	}
	return last
}
