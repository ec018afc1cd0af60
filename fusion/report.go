package fusion

import (
	"fmt"
	"slices"
	"strings"

	"hipc/ir"
)

// A Report says what Plan did with a graph, for hipc explain.
type Report struct {
	Graph      string
	Cost       float64 // seconds, of all launches
	Shared     float64 // seconds that sharing launches saved of that
	Primitives int     // launches without any fusion
	Launches   int
	Fired      []Event
	Lost       []Event // matched, but another cover is cheaper
	Others     int     // more that lost, not weighed one by one
	Lacking    []Event // matched, but the target has no kernel
}

// An Event is a rule at a place.
type Event struct {
	Rule string
	At   string  // the values that it makes: "h, x"
	Gain float64 // seconds: saved against its nodes one by one; of what lost, how much more its best cover costs
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

// report tells which matches were chosen and what they save, and which were not and by how much they lost.
func (s *site) report(r *Report, pieces, chosen []*piece) {
	single := make([]int64, len(s.graph.Nodes))
	total := int64(0)
	for _, p := range pieces {
		if p.match == nil {
			single[p.nodes.members()[0]] = p.cost.time
		}
	}
	for _, p := range chosen {
		total += p.cost.time
	}
	for i, p := range pieces {
		if p.match == nil {
			continue
		}
		e := Event{Rule: p.match.Rule.Name, At: p.match.at()}
		if slices.Contains(chosen, p) {
			gain := -p.cost.time
			for _, i := range p.nodes.members() {
				gain += single[i]
			}
			e.Gain = float64(gain) * 1e-12
			r.Fired = append(r.Fired, e)
			continue
		}
		if len(r.Lost) == mostLost {
			r.Others++
			continue
		}
		var rivals []int // all that overlap: without them, p must be taken
		for j, q := range pieces {
			if j != i && q.nodes.meets(p.nodes) {
				rivals = append(rivals, j)
			}
		}
		with, cost := s.coverWithout(pieces, rivals, &tried{sets: map[string]bool{}})
		if with == nil {
			continue
		}
		e.Gain = float64(cost.time-total) * 1e-12
		r.Lost = append(r.Lost, e)
	}
}

func (r *Report) count(g *ir.Graph) {
	r.Primitives = g.Primitives()
	r.Launches = Launches(g)
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

// String is a line for the graph and one for each event.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d launches for %d ops, %.1f µs predicted", r.Graph, r.Launches, r.Primitives, r.Cost*1e6)
	if r.Shared > 0 {
		fmt.Fprintf(&b, "; shared launches save %.1f µs", r.Shared*1e6)
	}
	b.WriteByte('\n')
	for _, e := range r.Fired {
		if e.Gain > 600 {
			fmt.Fprintf(&b, "  %s makes %s, which single kernels can't\n", e.Rule, e.At)
		} else {
			fmt.Fprintf(&b, "  %s makes %s, saves %.1f µs\n", e.Rule, e.At, e.Gain*1e6)
		}
	}
	for _, e := range r.Lost {
		fmt.Fprintf(&b, "  %s could make %s, but costs %.1f µs more\n", e.Rule, e.At, e.Gain*1e6)
	}
	if r.Others > 0 {
		fmt.Fprintf(&b, "  %d more matches lost\n", r.Others)
	}
	for _, e := range r.Lacking {
		fmt.Fprintf(&b, "  %s could make %s: %s\n", e.Rule, e.At, e.Why)
	}
	return b.String()
}
