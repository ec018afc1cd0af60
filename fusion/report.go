package fusion

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"hipc/ir"
	"hipc/kernels"
)

// A Report says what Plan did with a graph, for hipc explain.
type Report struct {
	Graph      string
	Cost       float64 // seconds, of all launches
	Shared     float64 // seconds less than if each step had a launch of its own
	Exact      bool    // no plan is cheaper: the search left nothing out
	Primitives int     // launches without any fusion
	Launches   int
	Fired      []Event
	Lost       []Event // matched, but it's cheaper without
	Others     int     // more that lost, not weighed one by one
	Lacking    []Event // matched, but the target has no kernel

	weigh func(rule string) // fills in Gain
}

// An Event is a rule at a place.
type Event struct {
	Rule string
	At   string  // the values that it makes: "h, x"
	Gain float64 // seconds that its nodes would cost more without it; of what lost, with it
	Why  string  // of what lacks a kernel: what is missing
}

func (r *Report) lacks(m *Match, err error) {
	r.Lacking = append(r.Lacking, Event{Rule: m.Rule.Name, At: m.at(), Why: err.Error()})
}

func (m *Match) at() string {
	var s []string
	for _, v := range m.Outs {
		s = append(s, v.Name)
	}
	return strings.Join(s, ", ")
}

// mostLost is for how many matches that lost it is worked out by how much.
const mostLost = 32

// report tells what the plan costs, which matches it uses, and which not. How much they save or would cost is weighed on
// demand: a search for each, a small one.
func (s *site) report(r *Report, pieces []*piece, launches [][]*piece, o *Options) {
	chosen := slices.Concat(launches...)
	cost := o.cost(launches)
	for _, p := range chosen {
		r.Shared += float64(p.alone) * 1e-12
	}
	r.Cost = float64(cost) * 1e-12
	r.Shared -= r.Cost
	var fired, lost []*piece
	for _, p := range pieces {
		switch {
		case p.match == nil:
		case slices.Contains(chosen, p):
			fired = append(fired, p)
			r.Fired = append(r.Fired, Event{Rule: p.match.Rule.Name, At: p.match.at()})
		case len(lost) == mostLost:
			r.Others++
		default:
			lost = append(lost, p)
			r.Lost = append(r.Lost, Event{Rule: p.match.Rule.Name, At: p.match.at()})
		}
	}
	// What the nodes that a match shares with chosen pieces cost otherwise: all other pieces stay, the launches are sought again. A norm among them could
	// be made where its operand is, or by its other readers, each for itself: so these pieces are open, too.
	dearer := func(p *piece, with bool) float64 {
		open := p.nodes.union(p.match.again)
		var others []*piece
		for range 2 { // the second time for the norms of pieces that came in the first
			for _, i := range open.members() {
				if n := s.graph.Nodes[i]; n.Op.Again && n.Args[0].Node != nil {
					open.add(s.index[n.Args[0].Node])
				}
			}
			others = others[:0]
			about := slices.Clone(open)
			for _, q := range chosen {
				if q.nodes.meets(about) || q.match != nil && q.match.again.meets(about) {
					open.addAll(q.nodes)
				} else {
					others = append(others, q)
				}
			}
		}
		for _, q := range pieces {
			if q.nodes.within(open) && (q == p) == (with && q.nodes.meets(p.nodes)) {
				others = append(others, q)
			}
		}
		other, _ := s.plan(others, o)
		if other == nil { // they need each other round about: any plan
			other, _ = s.plan(slices.DeleteFunc(slices.Clone(pieces), func(q *piece) bool {
				return (q == p) != with && q.nodes.meets(p.nodes)
			}), o)
		}
		return float64(o.cost(other)-cost) * 1e-12
	}
	var mu sync.Mutex
	weighed := map[*piece]bool{}
	r.weigh = func(rule string) {
		mu.Lock()
		defer mu.Unlock()
		weigh := func(events []Event, pieces []*piece, with bool) {
			for i, p := range pieces {
				if !weighed[p] && (rule == "" || rule == events[i].Rule) {
					weighed[p], events[i].Gain = true, dearer(p, with)
				}
			}
		}
		weigh(r.Fired, fired, false)
		weigh(r.Lost, lost, true)
	}
}

// cost is what launches take, in picoseconds.
func (o *Options) cost(launches [][]*piece) int64 {
	sum := int64(0)
	for _, l := range launches {
		loads := make([]kernels.Load, len(l))
		for i, p := range l {
			loads[i] = p.load
		}
		sum += o.time(l, loads)
	}
	return sum
}

// Launches counts what a graph launches.
func Launches(g *ir.Graph) int {
	n := 0
	for i, m := range g.Nodes {
		if m.Launch == 0 || i == 0 || g.Nodes[i-1].Launch != m.Launch {
			n++
		}
	}
	return n
}

// String is a line for the graph, one for each place where a rule fired, and one for each rule that lost, the nearest first, or that lacks a kernel.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s for %s, %.1f µs predicted", r.Graph, count(r.Launches, "launch", "es"), count(r.Primitives, "op", "s"), r.Cost*1e6)
	if r.Shared > 0 {
		fmt.Fprintf(&b, "; shared launches save %.1f µs", r.Shared*1e6)
	}
	b.WriteByte('\n')
	for _, e := range r.Fired {
		fmt.Fprintf(&b, "  %s makes %s, %s\n", e.Rule, e.At, e.Saves())
	}
	for _, e := range r.Nearest() {
		fmt.Fprintf(&b, "  %s could make %s, but costs %.1f µs more%s\n", e.Rule, e.At, e.Gain*1e6, e.Why)
	}
	if r.Others > 0 {
		fmt.Fprintf(&b, "  %d more matches lost\n", r.Others)
	}
	for _, e := range r.Lacking {
		fmt.Fprintf(&b, "  %s could make %s: %s\n", e.Rule, e.At, e.Why)
	}
	return b.String()
}

// Saves says what a rule that fired saves.
func (e *Event) Saves() string {
	if e.Gain > 600 {
		return "which single kernels can't"
	}
	return fmt.Sprintf("saves %.1f µs", e.Gain*1e6)
}

// Nearest is of each rule that lost the place where it lost by least, those first that did so by least. Why says how often it lost elsewhere.
func (r *Report) Nearest() []Event {
	var out []Event
	for _, e := range r.Lost {
		if !slices.ContainsFunc(out, func(o Event) bool { return o.Rule == e.Rule && o.Gain <= e.Gain }) {
			out = append(slices.DeleteFunc(out, func(o Event) bool { return o.Rule == e.Rule }), e)
		}
	}
	for i := range out {
		n, most := 0, 0.0
		for _, e := range r.Lost {
			if e.Rule == out[i].Rule {
				n, most = n+1, max(most, e.Gain)
			}
		}
		if n > 1 {
			out[i].Why = fmt.Sprintf("; %s more, by up to %.1f µs", count(n-1, "place", "s"), most*1e6)
		}
	}
	slices.SortStableFunc(out, func(a, b Event) int { return cmp.Compare(a.Gain, b.Gain) })
	return out
}

func count(n int, what, s string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %s%s", n, what, s)
}
