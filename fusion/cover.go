package fusion

import (
	"slices"
)

// A piece may cover nodes of a graph: a match, or one node by itself.
type piece struct {
	match *Match // nil: a single node
	nodes bitset
	cost  price
}

// A price orders covers. Both parts add up; whole numbers do so in any order.
type price struct {
	time int64 // picoseconds
	rank int64 // nodes times the rule's place in its file, a single node standing behind all rules: decides ties
}

func (p price) plus(q price) price { return price{p.time + q.time, p.rank + q.rank} }

func (p price) less(q price) bool { return p.time < q.time || p.time == q.time && p.rank < q.rank }

// lacking is the cost of a node that has no kernel: dearer than any cover in which every node has one, so that a match
// that covers it always pays.
const lacking = int64(1) << 50

// cover chooses pieces that cover every node once at the least total cost, and that can be put in an order. Every node
// must be a piece of its own. Among equals the one with the rules that stand first wins.
//
// Pieces that overlap, directly or through others, are solved together, the rest apart: costs add up. One such group is
// solved over sets of covered nodes, lowest uncovered node first. Pieces that are legal one by one may still need each
// other both ways; then one of those in the cycle has to go, and each is tried.
func (s *site) cover(pieces []*piece) []*piece {
	best, _ := s.coverWithout(pieces, nil, &tried{sets: map[string]bool{}})
	return best
}

// tried holds the sets of banned pieces that have been looked at, so that none is twice.
type tried struct{ sets map[string]bool }

// coverWithout is cover without the banned pieces: nil if they're needed.
func (s *site) coverWithout(pieces []*piece, banned []int, t *tried) ([]*piece, price) {
	free := pieces[:0:0]
	for i, p := range pieces {
		if !slices.Contains(banned, i) {
			free = append(free, p)
		}
	}
	var chosen []*piece
	var total price
	left := len(s.graph.Nodes)
	for _, group := range overlapping(free, len(s.graph.Nodes)) {
		best := cheapest(group, len(s.graph.Nodes))
		if best == nil {
			return nil, price{}
		}
		total = total.plus(best.cost)
		for ; best.first != nil; best = best.rest {
			chosen = append(chosen, best.first)
			left -= len(best.first.nodes.members())
		}
	}
	if left > 0 { // so much is banned that a node is in no piece
		return nil, price{}
	}
	slices.SortStableFunc(chosen, func(a, b *piece) int { return a.nodes.members()[0] - b.nodes.members()[0] })
	cycle := s.cycle(chosen)
	if cycle == nil {
		return chosen, total
	}
	var best []*piece
	var bestCost price
	if len(t.sets) > mostBans {
		for _, p := range cycle {
			banned = append(slices.Clone(banned), slices.Index(pieces, p))
		}
		return s.coverWithout(pieces, banned, t)
	}
	for _, p := range cycle {
		without := append(slices.Clone(banned), slices.Index(pieces, p))
		slices.Sort(without)
		set := newBitset(len(pieces))
		for _, i := range without {
			set.add(i)
		}
		if t.sets[set.key()] {
			continue
		}
		t.sets[set.key()] = true
		if c, cost := s.coverWithout(pieces, without, t); c != nil && (best == nil || cost.less(bestCost)) {
			best, bestCost = c, cost
		}
	}
	return best, bestCost
}

// Bounds for graphs that no model has: beyond them a cover is found without looking at all of them.
const (
	mostStates = 1 << 14 // sets of covered nodes in one group
	mostBans   = 1 << 8  // sets of banned pieces
)

// overlapping divides pieces into groups that share no node.
func overlapping(pieces []*piece, n int) [][]*piece {
	group := make([]int, n) // of each node: the lowest node that it hangs together with
	for i := range group {
		group[i] = i
	}
	find := func(i int) int {
		for group[i] != i {
			group[i] = group[group[i]]
			i = group[i]
		}
		return i
	}
	for _, p := range pieces {
		in := p.nodes.members()
		for _, i := range in[1:] {
			a, b := find(in[0]), find(i)
			group[max(a, b)] = min(a, b)
		}
	}
	at := map[int]int{}
	var out [][]*piece
	for i := range n {
		if find(i) == i {
			at[i] = len(out)
			out = append(out, nil)
		}
	}
	for _, p := range pieces {
		k := at[find(p.nodes.members()[0])]
		out[k] = append(out[k], p)
	}
	return out
}

// A state is the best way to cover what is left of a group.
type state struct {
	cost  price
	first *piece // nil: nothing is left
	rest  *state
}

// cheapest covers the nodes of a group, each once, at the least cost; nil if it can't.
func cheapest(group []*piece, n int) *state {
	all := newBitset(n)
	at := map[int][]*piece{} // pieces by their lowest node: the lowest uncovered node can be covered by those alone
	for _, p := range group {
		all.addAll(p.nodes)
		i := p.nodes.members()[0]
		at[i] = append(at[i], p)
	}
	nodes := all.members()
	memo := map[string]*state{}
	var solve func(covered bitset, from int) *state
	solve = func(covered bitset, from int) *state {
		for from < len(nodes) && covered.has(nodes[from]) {
			from++
		}
		if from == len(nodes) {
			return &state{}
		}
		key := covered.key()
		if s, ok := memo[key]; ok {
			return s
		}
		var best *state
		for _, p := range at[nodes[from]] {
			if covered.meets(p.nodes) {
				continue
			}
			rest := solve(covered.union(p.nodes), from+1)
			if rest == nil {
				continue
			}
			if cost := p.cost.plus(rest.cost); best == nil || cost.less(best.cost) {
				best = &state{cost, p, rest}
			}
			if len(memo) > mostStates {
				break
			}
		}
		memo[key] = best
		return best
	}
	return solve(newBitset(n), 0)
}

// cycle returns chosen matches that need each other round about, or nil: the pieces that are left when all those that
// need nothing that's left have been taken away, and all that nothing left needs.
func (s *site) cycle(chosen []*piece) []*piece {
	n := len(chosen)
	owner := make([]int, len(s.graph.Nodes))
	for k, p := range chosen {
		for _, i := range p.nodes.members() {
			owner[i] = k
		}
	}
	needs := make([]bitset, n)
	for k, p := range chosen {
		needs[k] = newBitset(n)
		for _, i := range p.nodes.members() {
			for _, j := range s.needs[i].members() {
				if owner[j] != k {
					needs[k].add(owner[j])
				}
			}
		}
	}
	left := newBitset(n)
	for k := range chosen {
		left.add(k)
	}
	drop := func(k int) { left[k/64] &^= 1 << (k % 64) }
	for changed := true; changed; {
		changed = false
		for _, k := range left.members() {
			needed := slices.ContainsFunc(left.members(), func(j int) bool { return needs[j].has(k) })
			if !needs[k].meets(left) || !needed {
				drop(k)
				changed = true
			}
		}
	}
	var out []*piece
	for _, k := range left.members() {
		if chosen[k].match != nil {
			out = append(out, chosen[k])
		}
	}
	return out
}
