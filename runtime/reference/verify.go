package reference

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"hipc/ir"
	"hipc/ir/syntax"
	"hipc/runtime"
	"hipc/runtime/plan"
)

const (
	rules = "rules"
	// verifyRows is how many tokens a bucket with many rows is given: more than matrix units take at once.
	verifyRows = 20
)

// A Check is how far an instance of a kernel is from what it's to compute, an op or a fuse rule, over all launches that it has a part in.
type Check struct {
	Op, Inst  string
	Launches  int
	NMSE      float64 // the worst of any launch's results; infinite where a token or a NaN differs
	Bar       float64
	Kernel    string // of that worst launch, as plan.go names it
	Rows, Pos int    // of that launch: tokens, and the position of the first one
	State     bool   // it reads what earlier launches have left, of which the oracle has its own
}

// Passed says that it's within its bar.
func (c *Check) Passed() bool { return c.NMSE <= c.Bar }

// Verify runs the artifact's buckets on m's device launch by launch, and holds each launch against Eval of what graph.txt says that it
// computes, on the very operands that it finds in the device's memory. So each kernel is by itself: what one gets wrong, the next
// one takes for granted. States are the oracle's own, which is told the same operands. m's sequence must be empty.
func Verify(ctx context.Context, m *runtime.Model) ([]*Check, error) {
	a := m.Artifact
	if a.Plan.Act != "f32" {
		return nil, fmt.Errorf("%s: activations are %s, this program verifies f32", a.Dir, a.Plan.Act)
	}
	text, err := a.File(graphFile)
	if err != nil {
		return nil, err
	}
	b, unmap, err := a.MapWeights()
	if err != nil {
		return nil, err
	}
	defer unmap()
	w, err := openWeights(a.Plan, b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.Dir, err)
	}
	fused, err := declared(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.Dir, err)
	}
	v := &verifier{world: &ir.World{Weight: w.tensor, States: map[string]any{}}, cells: map[string]bool{}, checks: map[[2]string]*Check{}, bar: 1e-7}
	for _, c := range a.Plan.Cells {
		v.cells[c.Name] = c.Name != "token"
	}
	if a.Plan.Device != "cpu" {
		v.bar = 5e-4 // the cache and the matrix units' operands have 16 bits
	}
	sampling := runtime.Sampling{Temperature: 0.7, TopK: 20, TopP: 0.95, Penalty: 1, Seed: 1}
	drawn := &ir.Sampling{Temperature: sampling.Temperature, TopK: sampling.TopK, TopP: sampling.TopP, Penalty: sampling.Penalty, RNG: sampling.Seed, Counts: make([]int32, m.Vocab())}
	if slices.ContainsFunc(a.Plan.Buckets, func(b plan.Bucket) bool { return b.Tail == "sample" }) {
		if err := m.Sample(sampling); err != nil {
			return nil, err
		}
		v.world.Sample = drawn
	}
	var buckets []*plan.Bucket
	for i := range a.Plan.Buckets {
		buckets = append(buckets, &a.Plan.Buckets[i])
	}
	slices.SortStableFunc(buckets, func(a, b *plan.Bucket) int { return cmp.Compare(b.Rows, a.Rows) }) // so that decoding has a past
	for _, b := range buckets {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if v.model, err = build(a.Plan.Model, string(text), b.Name, &ir.Builder{Fused: fused, Headless: true}); err == nil {
			err = w.check(v.model, a.Plan.Vocab)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", a.Dir, err)
		}
		n := min(b.Rows, verifyRows, m.Context()-m.Len())
		if n < 1 {
			return nil, fmt.Errorf("%s: a context of %d tokens is too short to verify bucket %s", a.Dir, m.Context(), b.Name)
		}
		ids := make([]int32, n)
		for i := range ids {
			ids[i] = int32((m.Len()*7 + i*13 + 1) % m.Vocab())
		}
		v.layer = -2
		if err := m.Walk(b, ids, v.step); err != nil {
			return nil, fmt.Errorf("bucket %s: %w", b.Name, err)
		}
	}
	return v.list, nil
}

// A verifier goes along with a walk.
type verifier struct {
	world  *ir.World
	model  *ir.Model
	cells  map[string]bool
	part   *plan.Part
	layer  int
	nodes  []*ir.Node               // of the part, that no step has computed yet
	kept   map[*ir.Value]*ir.Tensor // handles of caches, which aren't in the device's memory
	checks map[[2]string]*Check     // by op and instance
	list   []*Check
	bar    float64
}

func (v *verifier) step(s *runtime.WalkStep) error {
	if s.Part != v.part || s.Layer != v.layer {
		v.part, v.layer, v.kept = s.Part, s.Layer, map[*ir.Value]*ir.Tensor{}
		switch {
		case s.Layer >= 0:
			v.nodes = v.model.BodyOf(s.Layer).Graph.Nodes
		case s.Part == &s.Bucket.Parts[0]:
			v.nodes = v.model.Begin.Nodes
		default:
			v.nodes = v.model.End.Nodes
		}
	}
	v.world.Rows, v.world.Pos, v.world.Layer = s.Rows, s.Pos, s.Layer
	g, params, outs, err := v.meaning(s)
	if err != nil {
		return err
	}
	if n := strings.Count(s.Step.Inst, " | ") + 1; n != len(g.Nodes) {
		return fmt.Errorf("step %s of part %s has %d instances, %s has %d ops for it: compile the model again", s.Step.Kernel, s.Part.Name, n, graphFile, len(g.Nodes))
	}
	want, err := g.Eval(v.world, params)
	if err != nil {
		return err
	}
	if err := s.Run(); err != nil {
		return err
	}
	parts := v.parts(s, g)
	for i, o := range g.Results {
		if o.Type.Elem == ir.KV {
			v.kept[o] = want[i]
			continue
		}
		got, err := v.read(s, outs[i], o.Type)
		if err != nil {
			return err
		}
		c := parts[o.Node]
		if e := apart(got, want[i]); e > c.NMSE {
			c.NMSE, c.Kernel, c.Rows, c.Pos = e, s.Step.Kernel, s.Rows, s.Pos
		}
	}
	return nil
}

// parts counts the launch for the instances that share it, and gives the check of each node's.
func (v *verifier) parts(s *runtime.WalkStep, g *ir.Graph) map[*ir.Node]*Check {
	m := map[*ir.Node]*Check{}
	for i, inst := range strings.Split(s.Step.Inst, " | ") {
		n := g.Nodes[i]
		key := [2]string{n.Op.Name, inst}
		c := v.checks[key]
		if c == nil {
			c = &Check{Op: key[0], Inst: inst, Bar: v.bar, Kernel: s.Step.Kernel, Rows: s.Rows, Pos: s.Pos,
				State: len(n.States()) > 0 || slices.ContainsFunc(n.Args, func(a *ir.Value) bool { return a.Type.Elem == ir.KV })}
			v.checks[key], v.list = c, append(v.list, c)
		}
		c.Launches++
		m[n] = c
	}
	return m
}

// meaning is the graph of what the next step computes, its operands as they are in memory now, and the names of its results. A part's
// steps are its graph's launches in their order, and a step's operands are its nodes', each followed by the cells that its kernel takes.
func (v *verifier) meaning(s *runtime.WalkStep) (g *ir.Graph, params []*ir.Tensor, outs []string, err error) {
	wrong := fmt.Errorf("%s and step %s of part %s don't agree on operands: compile the model again", graphFile, s.Step.Kernel, s.Part.Name)
	n := min(1, len(v.nodes))
	for n > 0 && v.nodes[0].Launch > 0 && n < len(v.nodes) && v.nodes[n].Launch == v.nodes[0].Launch {
		n++
	}
	g = &ir.Graph{Name: s.Step.Kernel, Nodes: v.nodes[:n]}
	v.nodes = v.nodes[n:]
	in, out := s.Step.In, s.Step.Out
	for i, n := range g.Nodes {
		for i > 0 && len(in) > 0 && v.cells[in[0]] {
			in = in[1:]
		}
		for _, a := range n.Args {
			if a.Lit != nil {
				continue
			}
			t := v.kept[a]
			if a.Type.Elem != ir.KV {
				if len(in) == 0 {
					return nil, nil, nil, wrong
				}
				name := in[0]
				if in = in[1:]; a.Weight != nil || slices.Contains(g.Params, a) {
					continue
				}
				if t, err = v.read(s, name, a.Type); err != nil {
					return nil, nil, nil, err
				}
			}
			if t == nil {
				return nil, nil, nil, wrong
			}
			g.Params, params = append(g.Params, a), append(params, t)
		}
		for _, o := range n.Outs {
			name := ""
			if o.Type.Elem != ir.KV {
				for len(out) > 0 && strings.Contains(out[0], "scratch") {
					out = out[1:]
				}
				if len(out) == 0 {
					return nil, nil, nil, wrong
				}
				name, out = out[0], out[1:]
			}
			g.Results, outs = append(g.Results, o), append(outs, name)
		}
	}
	if n == 0 {
		return nil, nil, nil, wrong
	}
	return g, params, outs, nil
}

// read takes a value out of the device's memory.
func (v *verifier) read(s *runtime.WalkStep, name string, typ ir.Type) (*ir.Tensor, error) {
	t := ir.NewTensor(typ, s.Rows)
	b := make([]byte, 4*s.Rows*typ.Size())
	ok, err := s.Read(name, b)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("part %s has no %s of %d rows of %s", s.Part.Name, name, s.Rows, typ)
	}
	for i := range t.Data {
		t.Data[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	for i := range t.Ints {
		t.Ints[i] = int32(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return t, nil
}

// apart is the normalised mean square error; infinite where whole numbers or NaNs differ.
func apart(got, want *ir.Tensor) float64 {
	if !slices.Equal(got.Ints, want.Ints) {
		return math.Inf(1)
	}
	e, size := 0.0, 0.0
	for i, w := range want.Data {
		d := float64(got.Data[i]) - float64(w)
		if got.Data[i] == w {
			d = 0 // infinities too
		}
		e, size = e+d*d, size+float64(w)*float64(w)
	}
	if e == 0 {
		return 0
	}
	if n := e / max(size, 1e-20); !math.IsNaN(n) {
		return n
	}
	return math.Inf(1)
}

// declared reads the fused ops' bodies out of graph.txt.
func declared(text string) (map[string]*syntax.Decl, error) {
	body, line, err := sectionOf(text, rules)
	if err != nil {
		return nil, err
	}
	f, err := syntax.Parse(graphFile, body, syntax.Pos{File: graphFile, Line: line, Col: 1})
	if err != nil {
		return nil, oneLine(err)
	}
	m := map[string]*syntax.Decl{}
	for _, it := range f.Items {
		if it.Decl == nil || it.Decl.Kind != "fuse" {
			return nil, fmt.Errorf("%s: its section %q has more than fuse rules", graphFile, rules)
		}
		m[it.Decl.Name] = it.Decl
	}
	return m, nil
}
