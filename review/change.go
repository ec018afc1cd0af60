package review

import (
	"fmt"
	"slices"
	"strings"
)

// sameStep says that two steps launch the same on the same weights and states. Names of buffers don't count.
func sameStep(a, b *Step) bool {
	return a.Inst == b.Inst && a.Grid == b.Grid && a.Block == b.Block && a.LDS == b.LDS &&
		slices.Equal(a.Weights, b.Weights) && slices.Equal(a.types, b.types) && slices.Equal(a.layout, b.layout) && slices.Equal(a.step.State, b.step.State)
}

// compareParts aligns the steps of two parts. unchanged counts those that are in both and cost the same.
func compareParts(a, b part) (changes []Change, unchanged int) {
	x, y := a.steps, b.steps
	name := b.name
	if name == "" {
		name = a.name
	}
	if len(x) == 0 || len(y) == 0 {
		if len(x)+len(y) > 0 {
			changes = append(changes, Change{Kind: Layers, Parts: []string{name}, A: x, B: y})
		}
		return changes, 0
	}
	partner := make([]int, len(x)) // of each step of a, in b
	taken := make([]bool, len(y))
	for i := range partner {
		partner[i] = -1
	}
	anchors := lcs(len(x), len(y), func(i, j int) bool { return sameStep(&x[i], &y[j]) })
	for _, p := range anchors {
		partner[p[0]], taken[p[1]] = p[1], true
	}
	names := newWiring()
	add := func(kind Kind, i, j int, reason ...string) {
		changes = append(changes, Change{Kind: kind, Parts: []string{name}, A: x[i : i+1], B: y[j : j+1], Reason: reason})
	}
	for i := range x {
		if partner[i] >= 0 {
			continue
		}
		if j := slices.IndexFunc(y, func(s Step) bool { return sameStep(&x[i], &s) }); j >= 0 {
			for j < len(y) && (taken[j] || !sameStep(&x[i], &y[j])) {
				j++
			}
			if j < len(y) {
				partner[i], taken[j] = j, true
				add(Moved, i, j, fmt.Sprintf("from place %d of its part to %d", i+1, j+1))
			}
		}
	}
	for i, j := range partner {
		if j < 0 {
			continue
		}
		moved := !slices.Contains(anchors, [2]int{i, j})
		rewired := names.pair(&x[i], &y[j])
		facts := x[i].Fact.differences(y[j].Fact)
		switch {
		case moved: // told already
		case rewired != "":
			add(Rewired, i, j, rewired)
		case len(facts) > 0:
			add(Rebuilt, i, j, facts...)
		case !sameCost(x[i].Cost, y[j].Cost):
			add(Repriced, i, j)
		default:
			unchanged++
		}
	}
	for _, g := range pairs(x, y, partner, taken) {
		changes = append(changes, g.change(name))
	}
	for _, g := range groups(x, y, partner, taken) {
		changes = append(changes, g.change(name))
	}
	return changes, unchanged
}

func sameCost(a, b *StepCost) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Time == b.Time && a.Full == b.Full && a.From == b.From && a.Bound == b.Bound
}

// A wiring says what the buffers of a are called in b.
type wiring struct{ of map[string]string }

func newWiring() *wiring { return &wiring{map[string]string{}} }

// pair notes that two equal steps make the same values, and says where b's reads another one than a's.
func (w *wiring) pair(a, b *Step) string {
	reads := ""
	for i, n := range a.step.In {
		if i >= len(b.step.In) {
			break
		}
		m, known := w.of[n]
		if known && m != b.step.In[i] && reads == "" {
			reads = fmt.Sprintf("reads %s instead of %s", b.step.In[i], n)
		}
		if !known {
			w.of[n] = b.step.In[i]
		}
	}
	for i, n := range a.step.Out {
		if i < len(b.step.Out) {
			w.of[n] = b.step.Out[i]
		}
	}
	return reads
}

// A group is steps of both sides that do the same work in another way.
type group struct{ a, b []Step }

// pairs takes out of what has no partner the steps that do the same on the same weights and states, in the same order: they have other dims,
// formats or tiles. Those that have neither weights nor states must make a value of the same name.
func pairs(x, y []Step, partner []int, taken []bool) []group {
	var a, b []int
	for i := range x {
		if partner[i] < 0 {
			a = append(a, i)
		}
	}
	for j := range y {
		if !taken[j] {
			b = append(b, j)
		}
	}
	var out []group
	for _, p := range lcs(len(a), len(b), func(i, j int) bool {
		s, t := &x[a[i]], &y[b[j]]
		return s.Op == t.Op && slices.Equal(s.Weights, t.Weights) && slices.Equal(s.step.State, t.step.State) &&
			(len(s.Weights)+len(s.step.State) > 0 || meet(s.step.Out, t.step.Out))
	}) {
		i, j := a[p[0]], b[p[1]]
		partner[i], taken[j] = j, true
		out = append(out, group{x[i : i+1], y[j : j+1]})
	}
	return out
}

// groups divides what has no partner. Steps belong together that read the same weight or make the same value, and a step
// whose value exists on its side alone belongs to those that read it.
func groups(x, y []Step, partner []int, taken []bool) []group {
	type item struct {
		side int
		s    *Step
	}
	var items []item
	for i := range x {
		if partner[i] < 0 {
			items = append(items, item{0, &x[i]})
		}
	}
	for j := range y {
		if !taken[j] {
			items = append(items, item{1, &y[j]})
		}
	}
	root := make([]int, len(items))
	for i := range root {
		root[i] = i
	}
	var find func(i int) int
	find = func(i int) int {
		for root[i] != i {
			i = root[i]
		}
		return i
	}
	join := func(i, j int) {
		i, j = find(i), find(j)
		root[max(i, j)] = min(i, j)
	}
	made := [2]map[string]bool{{}, {}}
	for _, it := range items {
		for _, o := range it.s.step.Out {
			made[it.side][o] = true
		}
	}
	for i, p := range items {
		for j, q := range items[:i] {
			switch {
			case p.side != q.side && (meet(p.s.Weights, q.s.Weights) || meet(p.s.step.Out, q.s.step.Out) || meet(p.s.step.State, q.s.step.State)):
				join(i, j)
			case p.side == q.side && feeds(q.s, p.s, made[1-p.side]):
				join(i, j)
			}
		}
	}
	var out []group
	at := map[int]int{}
	for i, it := range items {
		r := find(i)
		k, ok := at[r]
		if !ok {
			k = len(out)
			at[r] = k
			out = append(out, group{})
		}
		if it.side == 0 {
			out[k].a = append(out[k].a, *it.s)
		} else {
			out[k].b = append(out[k].b, *it.s)
		}
	}
	return out
}

func meet(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// feeds says that q reads a value of p that the other side doesn't make.
func feeds(p, q *Step, other map[string]bool) bool {
	return slices.ContainsFunc(p.step.Out, func(o string) bool { return !other[o] && slices.Contains(q.step.In, o) })
}

// change says what kind of change a group is.
func (g group) change(part string) Change {
	c := Change{Parts: []string{part}, A: g.a, B: g.b}
	switch n, m := len(g.a), len(g.b); {
	case n == 0:
		c.Kind = Added
	case m == 0:
		c.Kind = Removed
	case n > m:
		c.Kind = Fused
	case n < m:
		c.Kind = Split
	case n > 1:
		c.Kind = Replaced
	default:
		c.Kind = one(&g.a[0], &g.b[0])
	}
	return c
}

// one says what became of a step that is still one step.
func one(a, b *Step) Kind {
	switch {
	case a.Op != b.Op:
		return Replaced
	case !slices.Equal(a.Weights, b.Weights):
		return Rewired
	case !slices.Equal(formats(a.types), formats(b.types)) || !slices.Equal(a.layout, b.layout):
		return Reformatted
	case !slices.Equal(a.types, b.types):
		return Resized
	case a.Row != "" && a.Row == b.Row && a.Inst != b.Inst:
		if onlyNumbers(a, b) {
			return Adjusted
		}
		return Resized
	}
	return Retiled
}

func formats(types []string) []string {
	out := make([]string, len(types))
	for i, t := range types {
		out[i], _, _ = strings.Cut(t, "[")
	}
	return out
}
