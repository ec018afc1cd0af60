package fusion

import (
	"cmp"
	"slices"

	"hipc/kernels"
)

// A bound says what the rest of a plan takes at least, in picoseconds, whatever it is. Two bounds hold, of which the higher
// is taken:
//
// The machine is busy with every node. share divides that among the nodes so that no piece's nodes have more than the piece.
// To be added are, for the launches of the longest chain of those that need one another, what an empty launch takes and for how long it
// leaves the machine idle.
//
// Steps that need one another don't share a launch, and none is quicker than by itself: the longest such chain of pieces,
// each alone.
type bound struct {
	share []int64 // of each node
	all   int64   // of all nodes
	idle  chain
	alone chain
}

// of is what a piece's nodes have.
func (b *bound) of(p *piece) int64 {
	sum := int64(0)
	for _, i := range p.nodes.members() {
		sum += b.share[i]
	}
	return sum
}

// A chain has for each node what the launches from it on take at least, the greatest first.
type chain struct {
	node []int
	time []int64
}

// from is what the nodes that aren't done take at least.
func (c *chain) from(done bitset) int64 {
	for k, i := range c.node {
		if !done.has(i) {
			return c.time[k]
		}
	}
	return 0
}

// rest is the bound for the nodes that aren't done, which have so much share.
func (b *bound) rest(done bitset, share int64) int64 {
	return max(share+b.idle.from(done), b.alone.from(done))
}

// bound is nil where no plan of these pieces gets all nodes done.
func (s *site) bound(pieces []*piece, spare []spare, o *Options) *bound {
	over := make([][]int, len(s.graph.Nodes)) // of each node: the pieces that cover it
	alone, idle := make([]int64, len(pieces)), make([]int64, len(pieces))
	nothing := picoseconds(o.Coster.Launch())
	for k, p := range pieces {
		for _, i := range p.nodes.members() {
			over[i] = append(over[i], k)
		}
		alone[k], idle[k] = p.alone, nothing+p.idle(pieces, nothing)
	}
	without := newBitset(len(s.graph.Nodes))
	for _, n := range spare {
		without.add(n.node)
	}
	for i := range over {
		if len(over[i]) == 0 && !without.has(i) {
			return nil
		}
	}
	needs := needed(pieces, over)
	b := &bound{share: shares(pieces, over, without), idle: chainOf(pieces, over, needs, without, idle), alone: chainOf(pieces, over, needs, without, alone)}
	for _, t := range b.share {
		b.all += t
	}
	return b
}

// idle is for how long a launch with p leaves the machine idle at least: even if all that is busiest stands beside it.
func (p *piece) idle(pieces []*piece, nothing int64) int64 {
	if p.lacks != nil {
		return 0
	}
	left := p.alone - nothing - p.busy
	var busiest [kernels.MostParts - 1]int64 // ascending
	for _, q := range pieces {
		if left <= 0 {
			return 0
		}
		if q.busy <= busiest[0] || !beside(p, q) || q.nodes.meets(p.nodes) || q.needs.meets(p.nodes) || p.needs.meets(q.nodes) {
			continue
		}
		left -= q.busy - busiest[0]
		busiest[0] = q.busy
		slices.Sort(busiest[:])
	}
	return max(0, left-kernels.MostParts) // which rounding may come to
}

// needed has for each node those that every piece over it needs, or covers too.
func needed(pieces []*piece, over [][]int) []bitset {
	out := make([]bitset, len(over))
	for i := range over {
		for first, k := range over[i] {
			if all := pieces[k].needs.union(pieces[k].nodes); first == 0 {
				out[i] = all
			} else {
				out[i].keepAll(all)
			}
		}
	}
	return out
}

// chainOf works out what each node takes with those that need it, of which a piece takes so much; what may be left out takes nothing.
func chainOf(pieces []*piece, over [][]int, needs []bitset, without bitset, takes []int64) chain {
	n := len(over)
	least := make([]int64, n)
	for i := n - 1; i >= 0; i-- {
		after := func(nodes bitset) (t int64) {
			for j := i + 1; j < n; j++ {
				if least[j] > t && needs[j] != nil && needs[j].has(i) && (nodes == nil || !nodes.has(j)) {
					t = least[j]
				}
			}
			return t
		}
		if without.has(i) {
			least[i] = after(nil)
			continue
		}
		for first, k := range over[i] {
			if t := after(pieces[k].nodes) + takes[k]; first == 0 || t < least[i] {
				least[i] = t
			}
		}
	}
	c := chain{node: descending(least)}
	for _, i := range c.node {
		c.time = append(c.time, least[i])
	}
	return c
}

// shares gives each node as much as the pieces over it have left: first those that keep the machine busiest by
// themselves, as products do, so that it isn't lost what they have in common in all covers. What may be left out has none.
func shares(pieces []*piece, over [][]int, without bitset) []int64 {
	left, single := make([]int64, len(pieces)), make([]int64, len(over))
	for k, p := range pieces {
		left[k] = p.busy
		if p.match == nil {
			single[p.first] = left[k]
		}
	}
	share := make([]int64, len(over))
	for _, i := range descending(single) {
		if without.has(i) {
			continue
		}
		share[i] = left[slices.MinFunc(over[i], func(k, l int) int { return cmp.Compare(left[k], left[l]) })]
		for _, k := range over[i] {
			left[k] -= share[i]
		}
	}
	return share
}

// descending is the order of the indices of list from the greatest value on, the first of equals first.
func descending(list []int64) []int {
	order := make([]int, len(list))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(list[j], list[i]) })
	return order
}
