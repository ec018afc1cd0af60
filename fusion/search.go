package fusion

import (
	"cmp"
	"slices"

	"hipc/kernels"
)

// A piece may cover nodes of a graph: a match, or one node by itself.
type piece struct {
	kernels.Step
	lacks error  // that there is no kernel for it
	match *Match // nil: a single node
	nodes bitset // that it gets done
	first int    // of nodes
	needs bitset // nodes outside that must be done before
	load  kernels.Load
	alone int64 // picoseconds, in a launch of its own
	busy  int64 // picoseconds of the whole machine
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
	switch { // cmp.Or would compare all of them always, and this is what a search does most
	case p.time != q.time:
		return cmp.Compare(p.time, q.time)
	case p.rank != q.rank:
		return cmp.Compare(p.rank, q.rank)
	case p.beside != q.beside:
		return cmp.Compare(p.beside, q.beside)
	}
	return cmp.Compare(p.wait, q.wait)
}

// lacking is the cost of a node that has no kernel: dearer than any plan in which every node has one, so that a match
// that covers it always pays.
const lacking = int64(1) << 50

// Bounds for graphs that no model has: beyond them a plan is found without looking at all of them. Qwen3.6's layers, 55
// nodes and 90 pieces, take up to 1,600 ways and 11,300 launches.
const (
	mostLaunches = 1 << 18 // looked at
	mostNext     = 1 << 10 // that may come next on one way
)

// A way is the cheapest one found to have some nodes done: launches, one after another.
type way struct {
	done  bitset
	count int // of done
	cost  price
	share int64    // of the nodes that aren't done: bound.go
	least int64    // time that any plan takes that begins so
	last  []*piece // the launch that was added to from
	from  *way
	next  *way // of those that ways keeps in one place
	stale bool // since then a cheaper one was found
}

// A candidate is a piece, and what its nodes have of the bound.
type candidate struct {
	*piece
	share int64
}

// A spare node is one that all who read it may compute for themselves. Once they're done, so is it.
type spare struct {
	node    int
	readers bitset
}

// spare lists the nodes that a plan of these pieces may leave out.
func (s *site) spare(pieces []*piece) (list []spare) {
	without := make([]bitset, len(s.graph.Nodes)) // of each node: the nodes that may be done without it
	for _, p := range pieces {
		if p.match == nil {
			continue
		}
		for _, i := range p.match.again.members() {
			if without[i] == nil {
				without[i] = newBitset(len(s.graph.Nodes))
			}
			without[i].addAll(p.nodes)
		}
	}
	for i, may := range without {
		if may == nil {
			continue
		}
		v := s.graph.Nodes[i].Outs[0]
		readers := newBitset(len(s.graph.Nodes))
		for _, j := range s.readers[v] {
			readers.add(j)
		}
		if !s.results[v] && readers.within(may) {
			list = append(list, spare{i, readers})
		}
	}
	return list
}

// A search looks for the cheapest plan.
//
// A plan is a way from no node done to all of them; a step of the way is a launch. Any pieces may be the next launch of
// which all that they need is done, if their blocks are alike and they are no more than a launch has tickets: then none
// needs another, and no order has to be found afterwards. So what covers a node, what stands beside it and when are one
// question, and a cover is priced with the launches that it makes possible.
//
// The cheapest way is found as by Hart, Nilsson and Raphael (1968): of the ways to have the same nodes done the cheapest is
// kept, and that is continued next of which, with a bound for the rest (bound.go), the cheapest plan may come. When that is
// more than a plan that was found, none is cheaper.
type search struct {
	*site
	*bound
	o      *Options
	pieces []candidate // by their first nodes: so they stand in a launch
	spare  []spare
	ways   ways
	open   heap // the most promising first
	best   *way
	left   int // launches that may still be looked at

	// Of the way that is extended:
	ready  []candidate // what may be in the next launch
	next   int         // launches that may still be looked at
	launch []*piece
	loads  []kernels.Load
	done   [kernels.MostParts + 1]bitset // with the first so many of the launch's pieces
}

// plan is the cheapest plan's launches, in an order in which they can run, and whether it's sure that none is cheaper; nil
// if no order is one.
func (s *site) plan(pieces []*piece, o *Options) (launches [][]*piece, exact bool) {
	n := len(s.graph.Nodes)
	c := &search{site: s, o: o, left: mostLaunches}
	pieces = slices.Clone(pieces)
	slices.SortStableFunc(pieces, func(p, q *piece) int { return cmp.Compare(p.first, q.first) })
	c.spare = s.spare(pieces)
	if c.bound = s.bound(pieces, c.spare, o); c.bound == nil {
		return nil, true
	}
	for _, p := range pieces {
		c.pieces = append(c.pieces, candidate{p, c.bound.of(p)})
	}
	for i := range c.done {
		c.done[i] = newBitset(n)
	}
	exact = true
	c.keep(way{done: newBitset(n), share: c.all})
	for len(c.open) > 0 {
		w := c.open.pop()
		if w.stale || !c.pays(w.least, w.cost) {
			continue
		}
		if w.count == n {
			c.best = w
			continue
		}
		if c.left <= 0 { // on with the most promising way alone, as far as it goes
			if exact = false; c.best != nil {
				break
			}
			c.ways = ways{}
			c.open = c.open[:0]
		}
		exact = c.extend(w) && exact
	}
	for w := c.best; w != nil && w.from != nil; w = w.from {
		launches = append(launches, w.last)
	}
	slices.Reverse(launches)
	return launches, exact
}

// extend adds to w each launch that may come next and may pay, and says whether those are all.
func (c *search) extend(w *way) (all bool) {
	c.ready = c.ready[:0]
	for _, p := range c.pieces {
		if !p.nodes.meets(w.done) && p.needs.within(w.done) {
			c.ready = append(c.ready, p)
		}
	}
	copy(c.done[0], w.done)
	c.next = mostNext
	c.add(w, 0, 0, w.share)
	c.left -= mostNext - max(c.next, 0)
	return c.next >= 0
}

// add looks at the launches that are c.launch and some of what is ready, from a place on.
func (c *search) add(w *way, from int, rank, share int64) {
	k := len(c.launch)
	for i, p := range c.ready[from:] {
		if k > 0 && (p.nodes.meets(c.done[k]) || !beside(c.launch[0], p.piece)) {
			continue
		}
		if c.next--; c.next < 0 {
			return
		}
		c.launch, c.loads = append(c.launch, p.piece), append(c.loads, p.load)
		copy(c.done[k+1], c.done[k])
		c.done[k+1].addAll(p.nodes)
		for _, n := range c.spare {
			if n.readers.within(c.done[k+1]) {
				c.done[k+1].add(n.node)
			}
		}
		rank, share := rank+p.rank, share-p.share
		cost := w.cost.plus(price{c.o.time(c.launch, c.loads), rank, int64(k), int64(len(c.graph.Nodes) - w.count)})
		if least := cost.time + c.rest(c.done[k+1], share); c.pays(least, cost) {
			c.keep(way{done: c.done[k+1], cost: cost, share: share, least: least, last: c.launch, from: w})
		}
		if k+1 < kernels.MostParts {
			c.add(w, from+i+1, rank, share)
		}
		c.launch, c.loads = c.launch[:k], c.loads[:k]
	}
}

// pays says whether a plan that begins so may be cheaper than the best.
func (c *search) pays(least int64, cost price) bool {
	return c.best == nil || least < c.best.cost.time || least == c.best.cost.time && cost.compare(c.best.cost) < 0
}

// keep opens a way, unless one to the same nodes is cheaper.
func (c *search) keep(w way) {
	if kept := c.ways.keep(w); kept != nil {
		c.open.push(kept)
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
