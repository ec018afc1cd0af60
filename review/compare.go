package review

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"hipc/runtime/plan"
)

// Compare says what differs between two plans for one target.
func Compare(a, b *Side) (*Diff, error) {
	d := &Diff{Target: b.Target, Context: b.Plan.Context, Memory: [2]Memory{a.memory(), b.memory()}}
	d.settings(a, b)
	if a.Costs != nil && b.Costs != nil && a.Costs.Machine != b.Costs.Machine {
		d.Machine = []string{a.Costs.Machine, b.Costs.Machine}
	}
	for _, name := range bucketNames(a.Plan, b.Plan) {
		x, err := a.bucket(name)
		if err != nil {
			return nil, err
		}
		y, err := b.bucket(name)
		if err != nil {
			return nil, err
		}
		k := compareBuckets(name, x, y)
		if d.Machine == nil && slices.ContainsFunc(k.Changes, func(c Change) bool { return c.inexplicable(a.Plan.Context == b.Plan.Context) }) {
			d.Reckoned = b.Costs.Machine
		}
		d.Buckets = append(d.Buckets, k)
	}
	return d, nil
}

// bucketNames are those of b, then those that only a has.
func bucketNames(a, b *plan.Plan) []string {
	var out []string
	for _, p := range []*plan.Plan{b, a} {
		for _, k := range p.Buckets {
			if !slices.Contains(out, k.Name) {
				out = append(out, k.Name)
			}
		}
	}
	return out
}

func (s *Side) memory() Memory {
	return Memory{s.Plan.WeightBytes(), s.Plan.StateBytes(), s.Plan.ArenaBytes()}
}

func (d *Diff) settings(a, b *Side) {
	p, q := a.Plan, b.Plan
	for _, s := range []Setting{
		{"model", p.Model, q.Model}, {"device", p.Device, q.Device}, {"activations", p.Act, q.Act}, {"KV", p.KV, q.KV},
		{"layers", fmt.Sprint(p.Layers), fmt.Sprint(q.Layers)}, {"vocabulary", fmt.Sprint(p.Vocab), fmt.Sprint(q.Vocab)},
		{"context", fmt.Sprint(p.Context), fmt.Sprint(q.Context)}, {"page", fmt.Sprint(p.Page), fmt.Sprint(q.Page)},
	} {
		if s.A != s.B {
			d.Plan = append(d.Plan, s)
		}
	}
}

// A bucket is one bucket's parts with their steps; zero where a side has none of that name.
type bucket struct {
	side   *Side
	parts  []part // those without layers before the loop, those of the loop, those after it
	layers []int  // the part of each layer that has one
	total  Total
	// predicted is total by predictions alone.
	predicted Total
}

type part struct {
	name  string
	times int // 1 or the number of its layers
	loops bool
	steps []Step
}

func (s *Side) bucket(name string) (*bucket, error) {
	b := &bucket{side: s}
	if s.Facts != nil {
		b.total.Spills = new(int)
		b.predicted.Spills = b.total.Spills
	}
	i := slices.IndexFunc(s.Plan.Buckets, func(k plan.Bucket) bool { return k.Name == name })
	if i < 0 {
		return b, nil
	}
	b.layers = make([]int, s.Plan.Layers)
	ran := 0
	seen := map[string]bool{}
	for k, p := range s.Plan.Buckets[i].Parts {
		layers, err := plan.Ranges(p.Layers)
		if err != nil {
			return nil, err
		}
		q := part{name: p.Name, times: max(1, len(layers)), loops: p.Layers != ""}
		for _, l := range layers {
			if l < len(b.layers) {
				b.layers[l] = k
				ran = max(ran, l+1)
			}
		}
		for j := range p.Steps {
			st := s.step(name, p.Name, j, &p.Steps[j])
			q.steps = append(q.steps, st)
			b.count(st, q.times, seen)
		}
		b.parts = append(b.parts, q)
	}
	b.layers = b.layers[:ran]
	return b, nil
}

func (b *bucket) count(s Step, times int, seen map[string]bool) {
	b.total.count(s.Cost, times)
	b.predicted.count(s.Cost.prediction(), times)
	if n := b.total.Spills; n != nil && !seen[s.step.Kernel] {
		seen[s.step.Kernel] = true
		*n += s.Fact.Spills()
	}
}

// step is a step of the plan with all that is known of it.
func (s *Side) step(bucket, part string, i int, p *plan.Step) Step {
	st := Step{Inst: p.Inst, Grid: p.Grid, Block: p.Block, LDS: p.LDS, Fact: s.Facts[p.Kernel], step: p, part: part, bucket: bucket}
	for _, name := range p.In {
		if w, ok := s.weight(name); ok {
			st.Weights = append(st.Weights, short(name))
			st.types, st.layout = append(st.types, w.Type), append(st.layout, w.Layout)
		}
	}
	c, ok := s.Costs.Of(bucket, part, i, p.Kernel)
	if !ok { // the part may be the base's
		for _, b := range s.Plan.Buckets {
			if c, ok = s.Costs.Of(b.Name, part, i, p.Kernel); ok {
				break
			}
		}
	}
	st.Op = opsOf(p.Inst)
	if ok {
		st.Cost = &StepCost{c.Time, c.Full, c.From, c.Bound, c.Bytes, c.Ops, c.Predicted}
		st.Op, st.Row = c.Op, c.Row
	}
	return st
}

// weight finds a weight by the name that a step has for it: {l+1} is listed as {l}, and what stands before the layers may be
// layer 0's.
func (s *Side) weight(name string) (plan.Weight, bool) {
	canonical := strings.Replace(strings.ReplaceAll(name, "{l+1}", "{l}"), ".0.", ".{l}.", 1)
	for _, w := range s.Plan.Weights {
		if w.Name == name || w.Name == canonical {
			return w, true
		}
	}
	return plan.Weight{}, false
}

// short is a weight's name within its layer: "mlp.up_proj".
func short(name string) string {
	for _, l := range []string{".{l}.", ".{l+1}.", ".0."} {
		if _, rest, ok := strings.Cut(name, l); ok {
			return rest
		}
	}
	return name
}

// opsOf guesses the ops of an instance whose prediction is lost: the templates' names.
func opsOf(inst string) string {
	var out []string
	for _, i := range strings.Split(inst, " | ") {
		name, _, _ := strings.Cut(i, "<")
		out = append(out, name)
	}
	return strings.Join(out, " | ")
}

// compareBuckets pairs the parts of two buckets, layer by layer, and compares each pair once.
func compareBuckets(name string, a, b *bucket) BucketDiff {
	d := BucketDiff{Name: name, A: a.total, B: b.total}
	similar := map[[2]int]int{}
	cost := func(i, j int) int {
		k := [2]int{i, j}
		c, ok := similar[k]
		if !ok {
			x, y := a.parts[i].steps, b.parts[j].steps
			common := len(lcs(len(x), len(y), func(i, j int) bool { return sameStep(&x[i], &y[j]) }))
			if c = 2 * (len(x) + len(y) - 2*common); c > 0 {
				c++ // of equal ways the one with more equal parts
			}
			similar[k] = c
		}
		return c
	}
	gap := func(side, i int) int { return len([]*bucket{a, b}[side].parts[i].steps)*2 + 1 }
	// Pairs of parts, and how many layers run each.
	var pairs [][2]int
	times := map[[2]int]int{}
	add := func(p [2]int, n int) {
		if times[p] == 0 {
			pairs = append(pairs, p)
		}
		times[p] += n
	}
	once := func(b *bucket, after bool) int {
		looped := false
		for i, p := range b.parts {
			if looped = looped || p.loops; !p.loops && looped == after {
				return i
			}
		}
		return -1
	}
	if i, j := once(a, false), once(b, false); i >= 0 || j >= 0 {
		add([2]int{i, j}, 1)
	}
	for _, p := range alignLayers(a.layers, b.layers, cost, gap) {
		k := [2]int{-1, -1}
		if p[0] >= 0 {
			k[0] = a.layers[p[0]]
		}
		if p[1] >= 0 {
			k[1] = b.layers[p[1]]
		}
		add(k, 1)
	}
	if i, j := once(a, true), once(b, true); i >= 0 || j >= 0 {
		add([2]int{i, j}, 1)
	}
	for _, p := range pairs {
		x, y := part{}, part{}
		if p[0] >= 0 {
			x = a.parts[p[0]]
		}
		if p[1] >= 0 {
			y = b.parts[p[1]]
		}
		changes, unchanged := compareParts(x, y)
		d.Unchanged += unchanged * times[p]
		for _, c := range changes {
			c.Times = times[p]
			c.because(a.side, b.side)
			d.merge(c)
		}
	}
	slices.SortStableFunc(d.Changes, func(x, y Change) int { return cmp.Compare(order[x.Kind], order[y.Kind]) })
	if !d.alike() {
		d.predict(a.predicted, b.predicted)
	}
	return d
}

// order is that in which changes are told: those of structure first, mere prices last.
var order = map[Kind]int{Repriced: 2, Rebuilt: 1}

// merge adds a change, or counts it with an equal one of another part.
func (d *BucketDiff) merge(c Change) {
	for i := range d.Changes {
		if o := &d.Changes[i]; o.key() == c.key() {
			o.Times += c.Times
			o.Parts = append(o.Parts, c.Parts...)
			return
		}
	}
	d.Changes = append(d.Changes, c)
}

// key is what a change is, whichever part it's in.
func (c *Change) key() string {
	var b strings.Builder
	b.WriteString(string(c.Kind))
	for _, list := range [][]Step{c.A, c.B} {
		b.WriteString("\n")
		for _, s := range list {
			fmt.Fprintln(&b, s.Op, s.Inst, s.Grid, s.Block, s.LDS, s.Weights, s.types)
		}
	}
	return b.String()
}
