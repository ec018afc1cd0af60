package fusion

import (
	"fmt"
	"math"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"hipc/ir"
)

// Two matches may each be legal, but not both: they'd need each other.
func TestJointCycle(t *testing.T) {
	rules := `
fuse pair(x, y) { return exp(x), sqrt(y) }
fuse other(x, y) { return neg(x), silu(y) }`
	text := `x act[8]; y act[8]:: a = exp(x)  b = -a  c = silu(y)  d = sqrt(c)  return b, d`
	for _, c := range []struct {
		pair, other float64
		want        string
	}{
		{1, 2, "c = silu(y)\na, d = pair(x, c)\nb = -a\nreturn b, d"},
		{2, 1, "a = exp(x)\nb, c = other(a, y)\nd = sqrt(c)\nreturn b, d"},
		{1, 1, "c = silu(y)\na, d = pair(x, c)\nb = -a\nreturn b, d"}, // the rule that stands first
		{30, 30, "a = exp(x)\nb = -a\nc = silu(y)\nd = sqrt(c)\nreturn b, d"},
	} {
		f := &fake{cost: map[string]float64{"pair": c.pair, "other": c.other}}
		p, r, err := Plan(graph(t, text), f.options(t, rules))
		if err != nil {
			t.Fatal(err)
		}
		if got := statements(p); got != c.want {
			t.Errorf("pair %g, other %g: got\n%s\nwant\n%s", c.pair, c.other, got, c.want)
		}
		if r.Weigh(""); len(r.Fired)+len(r.Lost) != 2 {
			t.Errorf("%s", r)
		}
	}
}

// The coster decides, not the rules' order or size; and the report says by how much a match lost.
func TestCostDecides(t *testing.T) {
	rules := `
fuse all_three(x) = exp(sqrt(silu(x)))
fuse last_two(x) = exp(sqrt(x))
fuse first_two(x) = sqrt(silu(x))`
	text := `x act[8]:: a = silu(x)  b = sqrt(a)  c = exp(b)  return c`
	for _, c := range []struct {
		three, last, first float64
		want               string
		lost               float64 // of the rule that stands first among those that lost, µs
	}{
		{12, 8, 8, "c = all_three(x)", 6},
		{19, 8, 8, "a = silu(x)\nc = last_two(a)", 1},
		{18, 8, 8, "c = all_three(x)", 0},
		{19, 9, 8, "b = first_two(x)\nc = exp(b)", 1},
		{31, 21, 21, "a = silu(x)\nb = sqrt(a)\nc = exp(b)", 1},
	} {
		f := &fake{cost: map[string]float64{"all_three": c.three, "last_two": c.last, "first_two": c.first}}
		p, r, err := Plan(graph(t, text), f.options(t, rules))
		if err != nil {
			t.Fatal(err)
		}
		if got := statements(p); got != c.want+"\nreturn c" {
			t.Errorf("%+v: got\n%s", c, got)
		}
		r.Weigh("")
		if got := r.Lost[0].Gain * 1e6; got < c.lost-1e-6 || got > c.lost+1e-6 {
			t.Errorf("%+v: %s lost by %g µs", c, r.Lost[0].Rule, got)
		}
	}
}

// What a norm at its readers' heads saves is against a norm behind what makes its row, where that is the next best: not against a launch of its own.
func TestGainsOfNorms(t *testing.T) {
	rules := `
fuse behind(x, y, w, eps) { s = x + y  return s, rmsnorm(s, w, eps) }
fuse silu_head(x, w, eps) = silu(rmsnorm(x, w, eps))
fuse exp_head(x, w, eps) = exp(rmsnorm(x, w, eps))`
	for _, c := range []struct {
		text  string
		gains map[string]float64 // µs
	}{
		{"h = x + y  n = rmsnorm(h, w, 1)  a = silu(n)  return h, a", map[string]float64{"silu_head": 2, "behind": 2}},
		{"h = x + y  n = rmsnorm(h, w, 1)  a = silu(n)  b = exp(n)  return h, a, b", map[string]float64{"silu_head": 1, "exp_head": 1, "behind": 1}},
	} {
		f := &fake{cost: map[string]float64{"behind": 13, "silu_head": 11, "exp_head": 11}} // any other is 10
		_, r, err := Plan(graph(t, "x act[8]; y act[8]; w f32[8]:: "+c.text), f.options(t, rules))
		if err != nil {
			t.Fatal(err)
		}
		r.Weigh("")
		for _, e := range slices.Concat(r.Fired, r.Lost) {
			if got := e.Gain * 1e6; math.Abs(got-c.gains[e.Rule]) > 1e-6 {
				t.Errorf("%s: %s by %g µs, want %g; of\n%s", c.text, e.Rule, got, c.gains[e.Rule], r)
			}
		}
		if len(r.Fired)+len(r.Lost) != len(c.gains) {
			t.Errorf("%s: %s", c.text, r)
		}
	}
}

// On random graphs with random rules, costs and blocks the search is as good as trying everything, its plan is in order, and
// it computes the same as the graph it was made of. Norms may be computed by each of those that read them.
func TestSearchIsExact(t *testing.T) {
	seed := rand.New(rand.NewSource(1))
	cycles, fused, shared, late, again := 0, 0, 0, 0, 0
	for i := range 500 {
		text := randomGraph(seed, 4+i%5)
		f := &fake{cost: map[string]float64{}, block: map[string]int{}, share: float64(seed.Intn(3)), units: float64(1 + 2*(seed.Intn(3)/2))}
		o := f.options(t, `
fuse r_pair(x, y) { return exp(x), silu(y) }
fuse r_chain(x) = silu(exp(x))
fuse r_head(x, y) { s = x + y  return s, exp(s) }
fuse r_tail(x, y) = x + silu(y)
fuse r_fan(x, y...) { s = silu(x)  return s, add(s, y)... }
fuse r_neg(x) = -(-x)
fuse r_two(x, y) { return neg(x), neg(y) }
fuse r_again(x, w, eps) = exp(rmsnorm(x, w, eps))
fuse r_behind(x, y, w, eps) = y + rmsnorm(x, w, eps)
fuse r_keep(x, w, eps) { n = rmsnorm(x, w, eps)  return n, silu(n) }`)
		for _, op := range []string{"exp", "silu", "add", "neg", "rmsnorm"} {
			f.cost[op] = float64(4 + seed.Intn(8))
			f.block[op] = 1 + seed.Intn(5)/4
		}
		for _, r := range o.Rules {
			f.cost[r.Name] = float64(4 + seed.Intn(20))
		}
		g := graph(t, text)
		p, r, err := Plan(g, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Verify(); err != nil {
			t.Fatalf("%v in\n%s\nof\n%s", err, p, g)
		}
		want, alone, jointly := bruteForce(g, o)
		if got := picoseconds(r.Cost); got != want || !r.Exact {
			t.Fatalf("the search found %d (exact: %v), everything tried %d for\n%s\n%s%s", got, r.Exact, want, g, p, r)
		}
		if jointly {
			cycles++
		}
		if want < alone {
			late++
		}
		fused += len(r.Fired)
		again += norms(p) - norms(g)
		shared += len(p.Nodes) - r.Launches
		if err := sameMeaning(g, p); err != nil {
			t.Fatalf("%v for\n%s\n%s", err, g, p)
		}
	}
	t.Logf("%d rules fired, %d steps shared a launch, %d norms are computed again; in %d graphs the cheapest launches couldn't be put in an order, in %d another cover than the cheapest by itself was the best",
		fused, shared, again, cycles, late)
	if cycles == 0 || fused == 0 || shared == 0 || late == 0 || again == 0 {
		t.Error("the random graphs are too tame to test anything")
	}
}

// norms counts the norms of g, those of fused steps too.
func norms(g *ir.Graph) (n int) {
	for _, m := range g.Nodes {
		if m.Body != nil {
			n += norms(m.Body)
		} else if m.Op.Again {
			n++
		}
	}
	return n
}

func randomGraph(r *rand.Rand, n int) string {
	var b strings.Builder
	b.WriteString("x act[8]; y act[8]; w f32[8]::")
	names := []string{"x", "y"}
	pick := func() string { return names[max(0, len(names)-1-r.Intn(4))] }
	for i := range n {
		v := fmt.Sprintf("v%d", i)
		switch r.Intn(5) {
		case 4:
			fmt.Fprintf(&b, " %s = rmsnorm(%s, w, 1)", v, pick())
		case 0:
			fmt.Fprintf(&b, " %s = exp(%s)", v, pick())
		case 1:
			fmt.Fprintf(&b, " %s = silu(%s)", v, pick())
		case 2:
			fmt.Fprintf(&b, " %s = -%s", v, pick())
		default:
			fmt.Fprintf(&b, " %s = %s + %s", v, pick(), pick())
		}
		names = append(names, v)
	}
	fmt.Fprintf(&b, " return %s", names[len(names)-1])
	if r.Intn(2) == 0 {
		fmt.Fprintf(&b, ", %s", names[2+r.Intn(n)])
	}
	return b.String()
}

// bruteForce tries every exact cover by pieces, with and without each norm, each in all launches, and keeps the cheapest that can be put in an
// order. It also gives the cheapest launches of that cover which is cheapest with a launch for each step, and says whether the cheapest launches of all
// can't be put in an order.
func bruteForce(g *ir.Graph, o Options) (best, alone int64, jointly bool) {
	s := newSite(g, &o)
	pieces, err := s.pieces(&o, &Report{})
	if err != nil {
		panic(err)
	}
	covered := newBitset(len(g.Nodes))
	best, alone = 1<<60, 1<<60
	free, least := best, best
	var cover []*piece
	var try func(cost int64)
	try = func(cost int64) {
		at := 0
		for at < len(g.Nodes) && covered.has(at) {
			at++
		}
		if at == len(g.Nodes) && !whole(cover) {
			return
		}
		if at == len(g.Nodes) {
			mine := int64(1 << 60)
			partitions(cover, func(launches [][]*piece) {
				for _, l := range launches {
					for _, p := range l {
						if !beside(l[0], p) && p != l[0] {
							return
						}
					}
				}
				c := o.cost(launches)
				if !dependent(launches) {
					free = min(free, c)
					if c < mine && ordered(launches) {
						mine = c
					}
				}
			})
			best = min(best, mine)
			if cost < least && mine < 1<<60 {
				least, alone = cost, mine
			}
			return
		}
		for _, p := range pieces {
			if p.nodes.has(at) && !p.nodes.meets(covered) {
				before := covered
				covered, cover = covered.union(p.nodes), append(cover, p)
				try(cost + p.alone)
				covered, cover = before, cover[:len(cover)-1]
			}
		}
		if n := g.Nodes[at]; n.Op.Again && !s.results[n.Outs[0]] && len(s.readers[n.Outs[0]]) > 0 {
			before := covered
			covered = covered.union(newBitset(len(g.Nodes)))
			covered.add(at)
			try(cost)
			covered = before
		}
	}
	try(0)
	return best, alone, free < best
}

// partitions calls each with every way to divide list.
func partitions(list []*piece, each func([][]*piece)) {
	var groups [][]*piece
	var place func(i int)
	place = func(i int) {
		if i == len(list) {
			each(groups)
			return
		}
		for k := range groups {
			groups[k] = append(groups[k], list[i])
			place(i + 1)
			groups[k] = groups[k][:len(groups[k])-1]
		}
		groups = append(groups, []*piece{list[i]})
		place(i + 1)
		groups = groups[:len(groups)-1]
	}
	place(0)
}

// makes are the values that others may read when p has run.
func (p *piece) makes() []*ir.Value {
	if p.match != nil {
		return p.match.Outs
	}
	return p.Node.Outs
}

// whole says that somebody makes whatever a piece reads.
func whole(cover []*piece) bool {
	made := map[*ir.Value]bool{}
	for _, p := range cover {
		for _, v := range p.makes() {
			made[v] = true
		}
	}
	return !slices.ContainsFunc(cover, func(p *piece) bool {
		return slices.ContainsFunc(p.Node.Args, func(a *ir.Value) bool { return a.Node != nil && !made[a] })
	})
}

// dependent says that a piece of some launch reads what another one of it makes.
func dependent(launches [][]*piece) bool {
	for _, l := range launches {
		for _, p := range l {
			for _, q := range l {
				if slices.ContainsFunc(p.Node.Args, func(a *ir.Value) bool { return slices.Contains(q.makes(), a) }) {
					return true
				}
			}
		}
	}
	return false
}

// ordered says whether launches can run one after another: again and again one runs of which all operands are there.
func ordered(launches [][]*piece) bool {
	made := map[*ir.Value]bool{}
	ran := make([]bool, len(launches))
	for range launches {
		for k, l := range launches {
			ready := !ran[k]
			for _, p := range l {
				ready = ready && !slices.ContainsFunc(p.Node.Args, func(a *ir.Value) bool { return a.Node != nil && !made[a] })
			}
			if !ready {
				continue
			}
			ran[k] = true
			for _, p := range l {
				for _, v := range p.makes() {
					made[v] = true
				}
			}
		}
	}
	return !slices.Contains(ran, false)
}

// sameMeaning evaluates both graphs on the same operands.
func sameMeaning(g, p *ir.Graph) error {
	var in []*ir.Tensor
	for i, v := range g.Params {
		x := ir.NewTensor(v.Type, 2)
		for j := range x.Data {
			x.Data[j] = float32(i+1)/8 - float32(j)/64
		}
		in = append(in, x)
	}
	a, err := g.Eval(&ir.World{Rows: 2}, in)
	if err != nil {
		return err
	}
	b, err := p.Eval(&ir.World{Rows: 2}, in)
	if err != nil {
		return err
	}
	for i := range a {
		for j := range a[i].Data {
			x, y := a[i].Data[j], b[i].Data[j]
			if x != y && (x == x || y == y) {
				return fmt.Errorf("result %d is %g, was %g", i, y, x)
			}
		}
	}
	return nil
}
