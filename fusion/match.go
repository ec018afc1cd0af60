package fusion

import (
	"cmp"
	"slices"

	"hipc/ir"
	"hipc/kernels"
)

// A Match is a place where a rule may be applied.
type Match struct {
	Rule   *Rule
	Args   []*ir.Value // in the order of the rule's parameters
	Outs   []*ir.Value // in the order of its results
	Choice *kernels.Choice

	nodes bitset
	again bitset // of nodes: those that others read too, and compute for themselves or have from a step of its own
	rows  int
}

// A site is a graph prepared for matching.
type site struct {
	graph   *ir.Graph
	index   map[*ir.Node]int
	byOp    map[*ir.Op][]int
	readers map[*ir.Value][]int // nodes that read a value
	results map[*ir.Value]bool
	rows    map[*ir.Value]int // rows of what nodes make
	needs   []bitset          // nodes that a node needs, directly or not
}

func newSite(g *ir.Graph, o *Options) *site {
	s := &site{graph: g, index: map[*ir.Node]int{}, byOp: map[*ir.Op][]int{}, readers: map[*ir.Value][]int{},
		results: map[*ir.Value]bool{}, rows: map[*ir.Value]int{}}
	last := map[string]int{} // the node that touched a state last: such nodes keep their order
	kept := map[*ir.Value][]string{}
	for i, n := range g.Nodes {
		s.index[n] = i
		s.byOp[n.Op] = append(s.byOp[n.Op], i)
		need := newBitset(len(g.Nodes))
		rows := o.Rows
		for _, a := range n.Args {
			s.readers[a] = append(s.readers[a], i)
			if a.Node != nil {
				need.add(s.index[a.Node])
				need.addAll(s.needs[s.index[a.Node]])
				rows = min(rows, s.rows[a])
			}
		}
		if n.Op.Name == "pick" {
			rows = o.Picks
		}
		states := n.States()
		for _, a := range n.Args { // a handle stands for the state of the node that made it
			states = append(states, kept[a]...)
		}
		for _, st := range states {
			if j, ok := last[st]; ok && j != i {
				need.add(j)
				need.addAll(s.needs[j])
			}
			last[st] = i
		}
		for _, v := range n.Outs {
			s.rows[v] = rows
			if v.Type.Elem == ir.KV {
				kept[v] = states
			}
		}
		s.needs = append(s.needs, need)
	}
	for _, r := range g.Results {
		s.results[r] = true
	}
	return s
}

const (
	mostMany    = 8       // operands of a variadic parameter
	mostMatches = 4096    // places of one rule in one graph
	mostSteps   = 1 << 20 // trials of one rule in one graph: a bound for graphs that no model has
)

// matches finds the legal places of a rule, in graph order; find says which kernel computes a node. Places that lack
// nothing but a kernel are reported through lacking.
func (s *site) matches(r *Rule, o *Options, lacking func(m *Match, err error)) []*Match {
	most := 1
	if r.many() {
		most = mostMany
	}
	var out []*Match
	for count := most; count >= 1; count-- {
		p := r.pattern(count)
		seen := map[string]bool{}
		refused := map[string]error{}
		held := map[string]*Match{}
		m := &matcher{site: s, pattern: p, bound: make([]*ir.Value, p.params), nodes: make([]*ir.Node, len(p.nodes)), taken: map[*ir.Node]bool{}, steps: mostSteps}
		m.found = func() bool {
			c := m.match()
			key := c.nodes.key()
			if seen[key] || !s.legal(c) {
				return true
			}
			var err error
			if c.Choice, err = o.Kernels.Find(c.node(), c.rows); err != nil { // another order of the operands may have one
				if refused[key] == nil {
					refused[key], held[key] = err, c
				}
				return true
			}
			seen[key] = true
			out = append(out, c)
			return len(out) < mostMatches
		}
		m.solve(nil)
		for _, key := range sortedKeys(held) {
			if !seen[key] && lacking != nil {
				lacking(held[key], refused[key])
			}
		}
	}
	slices.SortStableFunc(out, func(a, b *Match) int { return cmp.Compare(a.nodes.members()[0], b.nodes.members()[0]) })
	return out
}

func sortedKeys(held map[string]*Match) []string {
	var keys []string
	for k := range held {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int {
		return slices.Compare(held[a].nodes.members(), held[b].nodes.members())
	})
	return keys
}

// node is what would stand in the place of the match.
func (m *Match) node() *ir.Node { return &ir.Node{Op: m.Rule.op, Args: m.Args, Outs: m.Outs} }

// legal checks what a rule can't say: the nodes work on the same rows; what is read outside of them is a result of the
// rule, or is computed again; and no value goes out of the match and comes back into it, be it directly, as an operand of
// its own.
func (s *site) legal(m *Match) bool {
	in := m.nodes.members()
	for _, a := range m.Args {
		if a.Node != nil && m.nodes.has(s.index[a.Node]) {
			return false
		}
	}
	m.rows, m.again = s.rows[s.graph.Nodes[in[0]].Outs[0]], newBitset(len(s.graph.Nodes))
	for _, i := range in {
		for _, v := range s.graph.Nodes[i].Outs {
			if s.rows[v] != m.rows {
				return false
			}
			if slices.Contains(m.Outs, v) {
				continue
			}
			if s.results[v] || slices.ContainsFunc(s.readers[v], func(j int) bool { return !m.nodes.has(j) }) {
				if !s.repeatable(i, m) {
					return false
				}
				m.again.add(i)
			}
		}
	}
	covers := m.covers()
	after := newBitset(len(s.graph.Nodes)) // nodes outside that need the match
	for i := range s.graph.Nodes {
		if !covers.has(i) && s.needs[i].meets(covers) {
			after.add(i)
		}
	}
	return !slices.ContainsFunc(covers.members(), func(i int) bool { return s.needs[i].meets(after) })
}

// repeatable says that a match may compute node i without being the one to make it: all that it reads comes from outside.
func (s *site) repeatable(i int, m *Match) bool {
	n := s.graph.Nodes[i]
	return n.Op.Again && n.Body == nil && !slices.ContainsFunc(n.Args, func(a *ir.Value) bool { return a.Node != nil && m.nodes.has(s.index[a.Node]) })
}

// covers are the nodes that are done when the match is.
func (m *Match) covers() bitset {
	c := slices.Clone(m.nodes)
	c.removeAll(m.again)
	return c
}

// A matcher looks for a pattern by backtracking: what it binds it takes back.
type matcher struct {
	*site
	*pattern
	bound []*ir.Value // of the parameters
	nodes []*ir.Node  // of the pattern's nodes
	taken map[*ir.Node]bool
	steps int
	found func() bool // told of each place; false ends the search
}

// A goal is a value that a term has to stand for.
type goal struct {
	t *term
	v *ir.Value
}

// solve reaches the goals and then binds the sinks that are left, each to every node of its op. It returns false when
// the search is to end.
func (m *matcher) solve(goals []goal) bool {
	if m.steps--; m.steps < 0 {
		return false
	}
	if len(goals) > 0 {
		return m.reach(goals[0], goals[1:])
	}
	for i, p := range m.pattern.nodes {
		if !p.sink || m.nodes[i] != nil {
			continue
		}
		for _, j := range m.byOp[p.op] {
			if !m.bind(p, m.graph.Nodes[j], nil) {
				return false
			}
		}
		return true
	}
	return m.found()
}

func (m *matcher) reach(g goal, rest []goal) bool {
	switch t := g.t; {
	case t.num != nil:
		if g.v.Lit == nil || g.v.Lit.IsList || g.v.Lit.Num != *t.num {
			return true
		}
		return m.solve(rest)
	case t.node != nil:
		if g.v.Node == nil || t.out >= len(g.v.Node.Outs) || g.v.Node.Outs[t.out] != g.v {
			return true
		}
		if have := m.nodes[t.node.index]; have != nil {
			return have != g.v.Node || m.solve(rest)
		}
		return m.bind(t.node, g.v.Node, rest)
	case m.bound[t.param] != nil:
		return !same(m.bound[t.param], g.v) || m.solve(rest)
	default:
		m.bound[t.param] = g.v
		defer func() { m.bound[t.param] = nil }()
		return m.solve(rest)
	}
}

// bind lets p stand for n, in both orders of the operands if they commute.
func (m *matcher) bind(p *patternNode, n *ir.Node, rest []goal) bool {
	switch {
	case n.Op != p.op || n.Body != nil || m.taken[n] || len(n.Args) != len(p.args) || len(n.Outs) != p.outs:
		return true
	case p.twin != nil && m.nodes[p.twin.index] != nil && m.index[m.nodes[p.twin.index]] > m.index[n]:
		return true
	}
	m.nodes[p.index], m.taken[n] = n, true
	defer func() { m.nodes[p.index] = nil; delete(m.taken, n) }()
	orders := 1
	if p.op.Commutative && len(n.Args) == 2 && !same(n.Args[0], n.Args[1]) {
		orders = 2
	}
	for k := range orders {
		goals := make([]goal, 0, len(p.args)+len(rest))
		for i, t := range p.args {
			goals = append(goals, goal{t, n.Args[i^k]})
		}
		if !m.solve(append(goals, rest...)) {
			return false
		}
	}
	return true
}

// same says that two operands are one: the same value, equal numbers, or the same weight.
func same(a, b *ir.Value) bool {
	switch {
	case a == b:
		return true
	case a.Lit != nil && b.Lit != nil:
		return a.Lit.IsList == b.Lit.IsList && a.Lit.Num == b.Lit.Num && slices.Equal(a.Lit.List, b.Lit.List)
	case a.Weight != nil && b.Weight != nil:
		return a.Weight.Fold == nil && b.Weight.Fold == nil && a.Weight.Path == b.Weight.Path && a.Type.Equal(b.Type)
	}
	return false
}

// match is the place that the matcher has bound.
func (m *matcher) match() *Match {
	c := &Match{Rule: m.rule, Args: slices.Clone(m.bound), nodes: newBitset(len(m.graph.Nodes))}
	for _, n := range m.nodes {
		c.nodes.add(m.index[n])
	}
	for _, t := range m.outs {
		c.Outs = append(c.Outs, m.nodes[t.node.index].Outs[t.out])
	}
	return c
}
