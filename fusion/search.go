package fusion

import (
	"cmp"
	"maps"
	"slices"

	"hipc/kernels"
)

// A piece may cover nodes of a graph: a match, or one node by itself.
type piece struct {
	kernels.Step
	lacks error  // that there is no kernel for it
	match *Match // nil: a single node
	nodes bitset
	first int    // of nodes
	needs bitset // nodes outside that must be done before
	load  kernels.Load
	alone int64 // picoseconds, in a launch of its own
	rank  int64
}

// A price orders plans. All parts add up; whole numbers do so in any order.
type price struct {
	time   int64 // picoseconds
	rank   int64 // nodes times the rule's place in its file, a single node standing behind all rules: decides ties
	beside int64 // steps that share another one's launch: not for nothing
	wait   int64 // nodes that aren't done when a launch begins: a step comes as early as it can
}

func (p price) plus(q price) price {
	return price{p.time + q.time, p.rank + q.rank, p.beside + q.beside, p.wait + q.wait}
}

func (p price) compare(q price) int {
	return cmp.Or(cmp.Compare(p.time, q.time), cmp.Compare(p.rank, q.rank), cmp.Compare(p.beside, q.beside), cmp.Compare(p.wait, q.wait))
}

// lacking is the cost of a node that has no kernel: dearer than any plan in which every node has one, so that a match
// that covers it always pays.
const lacking = int64(1) << 50

// Bounds for graphs that no model has: beyond them a plan is found without looking at all of them. Qwen3.6's layers, 55 nodes and 84
// pieces, take up to 600 ways and 13,000 launches.
const (
	mostWays     = 1 << 12 // kept for each number of nodes done
	mostNext     = 1 << 10 // launches that may come next on one way
	mostLaunches = 1 << 18 // in all
)

// A way is the cheapest one found to have some nodes done: launches, one after another.
type way struct {
	done  bitset
	key   string // of done
	cost  price
	share int64    // of the nodes that aren't done: bound.go
	least int64    // time that any plan takes that begins so
	last  []*piece // the launch that was added to from
	from  *way
}

// A search looks for the cheapest plan.
//
// A plan is a way from no node done to all of them; a step of the way is a launch. Any pieces may be the next launch of
// which all that they need is done, if their blocks are alike and they are no more than a launch has tickets: then none
// needs another, and no order has to be found afterwards. So what covers a node, what stands beside it and when are one
// question, and a cover is priced with the launches that it makes possible.
//
// Of the ways to have the same nodes done only the cheapest is kept. They're looked at by how many nodes are done, so none
// twice, and those left out from which even a bound for the rest (bound.go) can't come below a plan that is known. The first
// pass keeps one way for each number of nodes, which gives a plan at once, each further pass sixteen times as many, until
// nothing had to be dropped: then no plan is cheaper.
type search struct {
	*site
	*bound
	o      *Options
	pieces []*piece // by their first nodes: so they stand in a launch
	best   *way
	left   int                           // launches that may still be looked at
	done   [kernels.MostParts + 1]bitset // with the first so many of a launch's pieces
}

// plan is the cheapest plan's launches, in an order in which they can run, and whether it's sure that none is cheaper. The
// pieces must cover all nodes.
func (s *site) plan(pieces []*piece, o *Options) (launches [][]*piece, exact bool) {
	c := &search{site: s, o: o, pieces: slices.Clone(pieces), left: mostLaunches}
	slices.SortStableFunc(c.pieces, func(p, q *piece) int { return cmp.Compare(p.first, q.first) })
	c.bound = s.bound(c.pieces, o)
	for i := range c.done {
		c.done[i] = newBitset(len(s.graph.Nodes))
	}
	for most := 1; !exact && most <= mostWays && c.left > 0; most *= 16 {
		exact = !c.pass(most)
	}
	for w := c.best; w.from != nil; w = w.from {
		launches = append(launches, w.last)
	}
	slices.Reverse(launches)
	return launches, exact
}

// pass looks for a plan that is cheaper than the best, keeping at most so many ways for each number of nodes done, and
// says whether it dropped any.
func (c *search) pass(most int) (dropped bool) {
	n := len(c.graph.Nodes)
	levels := make([]map[string]*way, n+1)
	for i := range levels {
		levels[i] = map[string]*way{}
	}
	none := &way{done: newBitset(n), share: c.all}
	levels[0][none.done.key()] = none
	for i := range n {
		ways := slices.SortedFunc(maps.Values(levels[i]), func(v, w *way) int {
			return cmp.Or(cmp.Compare(v.least, w.least), v.cost.compare(w.cost), cmp.Compare(v.key, w.key))
		})
		if len(ways) > most {
			ways, dropped = ways[:most], true
		}
		for _, w := range ways {
			if c.left <= 0 && c.best != nil {
				return true
			}
			dropped = c.extend(w, levels) || dropped
		}
		levels[i] = nil
	}
	for _, w := range levels[n] {
		c.best = w
	}
	return dropped
}

// extend adds to w each launch that may come next and may pay, and says whether there are more than it looked at.
func (c *search) extend(w *way, levels []map[string]*way) (dropped bool) {
	var ready []*piece
	for _, p := range c.pieces {
		if !p.nodes.meets(w.done) && p.needs.within(w.done) {
			ready = append(ready, p)
		}
	}
	copy(c.done[0], w.done)
	left, wait := mostNext, int64(len(c.graph.Nodes)-w.done.count())
	launch, loads := make([]*piece, 0, kernels.MostParts), make([]kernels.Load, 0, kernels.MostParts)
	var add func(from int, rank, share int64)
	add = func(from int, rank, share int64) {
		for i, p := range ready[from:] {
			k := len(launch)
			if k > 0 && (p.nodes.meets(c.done[k]) || !beside(launch[0], p)) {
				continue
			}
			if left--; left < 0 {
				dropped = true
				return
			}
			launch, loads = append(launch, p), append(loads, p.load)
			copy(c.done[k+1], c.done[k])
			c.done[k+1].addAll(p.nodes)
			rank, share := rank+p.rank, share-c.of[p]
			c.reach(way{
				done: c.done[k+1], cost: w.cost.plus(price{c.o.time(launch, loads), rank, int64(k), wait}), share: share, last: launch, from: w,
			}, levels)
			if k+1 < kernels.MostParts {
				add(from+i+1, rank, share)
			}
			launch, loads = launch[:k], loads[:k]
		}
	}
	add(0, 0, w.share)
	c.left -= mostNext - max(left, 0)
	return dropped
}

// reach keeps a way if a plan that begins so may be cheaper than the best, and nothing comes there cheaper.
func (c *search) reach(w way, levels []map[string]*way) {
	w.least = w.cost.time + c.rest(w.done, w.share)
	if c.best != nil && (w.least > c.best.cost.time || w.least == c.best.cost.time && w.cost.compare(c.best.cost) >= 0) {
		return
	}
	level := levels[w.done.count()]
	w.key = w.done.key()
	if old := level[w.key]; old == nil || w.cost.compare(old.cost) < 0 {
		w.done, w.last = slices.Clone(w.done), slices.Clone(w.last)
		level[w.key] = &w
	}
}

// beside says that two steps of which neither needs the other may share a launch.
func beside(a, b *piece) bool {
	return a.Choice != nil && b.Choice != nil && a.Choice.Block == b.Choice.Block
}

// time is what a launch of these pieces takes, in picoseconds.
func (o *Options) time(launch []*piece, loads []kernels.Load) int64 {
	if len(launch) == 1 {
		return launch[0].alone
	}
	return picoseconds(o.Coster.Launch(loads...))
}
