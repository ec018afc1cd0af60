package fusion

import (
	"cmp"
	"slices"
)

// A bound says what the rest of a plan takes at least, in picoseconds, whatever it is. Two bounds hold, of which the higher
// is taken:
//
// The machine is busy with every node. share divides that among the nodes so that no piece's nodes have more than the piece;
// and an empty launch is to be added for each launch of the longest chain of those that need one another.
//
// Steps that need one another don't share a launch, and none is quicker than by itself: the longest such chain of pieces,
// each alone.
type bound struct {
	of    map[*piece]int64 // of each piece: its nodes' shares
	all   int64            // of all nodes
	empty chain
	alone chain
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
	return max(share+b.empty.from(done), b.alone.from(done))
}

func (s *site) bound(pieces []*piece, o *Options) *bound {
	over := make([][]*piece, len(s.graph.Nodes)) // of each node: the pieces that cover it
	for _, p := range pieces {
		for _, i := range p.nodes.members() {
			over[i] = append(over[i], p)
		}
	}
	b := &bound{of: map[*piece]int64{}}
	for i, share := range shares(pieces, over) {
		b.all += share
		for _, p := range over[i] {
			b.of[p] += share
		}
	}
	nothing := picoseconds(o.Coster.Launch())
	b.empty = s.chain(over, func(*piece) int64 { return nothing })
	b.alone = s.chain(over, func(p *piece) int64 { return p.alone })
	return b
}

// chain works out what each node takes with those that need it, of which a piece takes so much.
func (s *site) chain(over [][]*piece, takes func(*piece) int64) chain {
	n := len(over)
	least := make([]int64, n)
	for i := n - 1; i >= 0; i-- {
		for k, p := range over[i] {
			after := int64(0)
			for j := i + 1; j < n; j++ {
				if s.needs[j].has(i) && !p.nodes.has(j) {
					after = max(after, least[j])
				}
			}
			if t := after + takes(p); k == 0 || t < least[i] {
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
// themselves, as products do, so that it isn't lost what they have in common in all covers.
func shares(pieces []*piece, over [][]*piece) []int64 {
	left, single := map[*piece]int64{}, make([]int64, len(over))
	for _, p := range pieces {
		left[p] = lacking
		if p.lacks == nil {
			left[p] = picoseconds(p.load.Busy)
		}
		if p.match == nil {
			single[p.first] = left[p]
		}
	}
	share := make([]int64, len(over))
	for _, i := range descending(single) {
		share[i] = left[slices.MinFunc(over[i], func(p, q *piece) int { return cmp.Compare(left[p], left[q]) })]
		for _, p := range over[i] {
			left[p] -= share[i]
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
