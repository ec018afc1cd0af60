// Package reference runs an artifact by interpreting its lowered graph in fp32: the oracle as a backend.
//
// It has no kernels, no plan of launches and no arena. It reads graph.txt, whose text is the model language, and the
// packed weights, row by row as they're needed, and asks ir's Eval what each op means. So it is slow, and it agrees with
// a device exactly as far as the device is right. It serves the same methods as runtime.Model.
package reference

import (
	"context"
	"fmt"
	"strings"

	"hipc/ir"
	"hipc/ir/syntax"
	"hipc/runtime"
)

// A Model is an artifact that is interpreted, with one sequence. It is used by one goroutine at a time.
type Model struct {
	*runtime.Artifact
	graph   *ir.Model
	world   *ir.World
	context int
	ids     []int32
	logits  []float32 // of the last row
	unmap   func() error
}

const (
	graphFile = "graph.txt"
	section   = "# --- "
	lowered   = "lowered"
	chunk     = 64 // rows that are evaluated at once: each weight is decoded once for all of them
)

// Open opens an artifact for a context of so many tokens; 0: as compiled.
func Open(a *runtime.Artifact, context int) (*Model, error) {
	m := &Model{Artifact: a, context: context}
	if context == 0 {
		m.context = a.Plan.Context
	}
	if m.context < 1 || m.context > a.Plan.Context {
		return nil, fmt.Errorf("%s: a context of %d tokens, want 1 to %d as compiled", a.Dir, m.context, a.Plan.Context)
	}
	text, err := a.File(graphFile)
	if err != nil {
		return nil, err
	}
	if m.graph, err = build(a.Plan.Model, string(text), lowered, &ir.Builder{}); err != nil {
		return nil, fmt.Errorf("%s: %w", a.Dir, err)
	}
	b, unmap, err := a.MapWeights()
	if err != nil {
		return nil, err
	}
	m.unmap = unmap
	w, err := openWeights(a.Plan, b)
	if err == nil {
		err = w.check(m.graph, a.Plan.Vocab)
	}
	if err != nil {
		unmap()
		return nil, fmt.Errorf("%s: %w", a.Dir, err)
	}
	m.world = &ir.World{Weight: w.tensor, States: map[string]any{}}
	return m, nil
}

// build reads a model out of a section of graph.txt.
func build(name, text, part string, b *ir.Builder) (*ir.Model, error) {
	body, line, err := sectionOf(text, part)
	if err != nil {
		return nil, err
	}
	f, err := syntax.Parse(graphFile, body, syntax.Pos{File: graphFile, Line: line, Col: 1})
	if err != nil {
		return nil, oneLine(err)
	}
	m, err := b.Build(name, f)
	if err != nil {
		return nil, oneLine(err)
	}
	unfold(m)
	return m, nil
}

// sectionOf cuts a section out of graph.txt, and says in which line it begins.
func sectionOf(text, part string) (body string, line int, err error) {
	at, line := 0, 1
	for l := range strings.Lines(text) {
		at, line = at+len(l), line+1
		if strings.TrimSpace(l) == section+part {
			body := text[at:]
			if i := strings.Index("\n"+body, "\n"+section); i >= 0 {
				body = body[:i]
			}
			return body, line, nil
		}
	}
	return "", 0, fmt.Errorf("%s has no section %q: compile the model again", graphFile, section+part)
}

// oneLine takes the excerpt with the caret off: an artifact isn't a text that its reader has written.
func oneLine(err error) error {
	s, _, _ := strings.Cut(err.Error(), "\n")
	return fmt.Errorf("%s", s)
}

// unfold lets folded weights (1 + @norm) be what they are in the packed file: tensors under their path.
func unfold(m *ir.Model) {
	for _, g := range m.Graphs() {
		for _, n := range g.Nodes {
			for _, a := range n.Args {
				if a.Weight != nil {
					a.Weight.Fold = nil
				}
			}
		}
	}
}

// Context is the longest sequence in tokens.
func (m *Model) Context() int { return m.context }

// Vocab is the number of tokens that there are.
func (m *Model) Vocab() int { return m.Plan.Vocab }

// Close gives the weights back.
func (m *Model) Close() error {
	if m.unmap == nil {
		return nil
	}
	defer func() { m.unmap = nil }()
	return m.unmap()
}

// Keep goes back to the longest prefix that ids and the sequence share.
func (m *Model) Keep(ids []int32) (int, error) {
	n := 0
	for n < len(ids) && n < len(m.ids) && ids[n] == m.ids[n] {
		n++
	}
	if n < len(m.ids) {
		for _, s := range m.world.States {
			if _, ok := s.(*ir.Cache); !ok {
				n = 0 // a recurrent state has no past to go back to
				m.world.States = map[string]any{}
				break
			}
		}
	}
	m.ids, m.world.Pos = m.ids[:n], n
	return n, nil
}

// Feed appends tokens to the sequence.
func (m *Model) Feed(ctx context.Context, ids []int32) error {
	return m.run(ctx, ids, false, func(int, []float32) error { return nil })
}

// Logits appends tokens and hands out the logits after each.
func (m *Model) Logits(ctx context.Context, ids []int32, each func(i int, logits []float32) error) error {
	return m.run(ctx, ids, true, each)
}

// run evaluates rows; without logits, the graph after the layers is left out.
func (m *Model) run(ctx context.Context, ids []int32, logits bool, each func(i int, logits []float32) error) error {
	for i, id := range ids {
		if id < 0 || int(id) >= m.Vocab() {
			return fmt.Errorf("token %d is %d, want 0 to %d", i, id, m.Vocab()-1)
		}
	}
	if n := len(m.ids) + len(ids); n > m.context {
		return &runtime.ContextError{Tokens: n, Context: m.context, Compiled: m.Plan.Context}
	}
	for done := 0; done < len(ids); {
		if err := ctx.Err(); err != nil {
			return err
		}
		some := ids[done:min(done+chunk, len(ids))]
		rows, err := m.eval(some, logits)
		if err != nil {
			return fmt.Errorf("%s: %w", m.Dir, err)
		}
		m.ids = append(m.ids, some...)
		m.world.Pos = len(m.ids)
		for i := range some {
			if !logits {
				break
			}
			v := m.Vocab()
			m.logits = append(m.logits[:0], rows[i*v:(i+1)*v]...)
			if err := each(done+i, rows[i*v:(i+1)*v]); err != nil {
				return err
			}
		}
		done += len(some)
	}
	return nil
}

func (m *Model) eval(ids []int32, logits bool) ([]float32, error) {
	w := m.world
	w.Rows, w.Layer = len(ids), -1
	vals, err := m.graph.Begin.Eval(w, []*ir.Tensor{{Type: ir.Of(ir.I32), Rows: len(ids), Ints: ids}})
	for l := 0; l < m.graph.Layers && err == nil; l++ {
		w.Layer = l
		vals, err = m.graph.BodyOf(l).Graph.Eval(w, vals)
	}
	if err != nil || !logits {
		return nil, err
	}
	w.Layer = -1
	out, err := m.graph.End.Eval(w, vals)
	if err != nil {
		return nil, err
	}
	if n := len(ids) * m.Vocab(); len(out) == 0 || len(out[0].Data) != n {
		return nil, fmt.Errorf("%s: the graph doesn't end in %d logits a token", graphFile, m.Vocab())
	}
	return out[0].Data, nil
}

// Next appends one token and returns the likeliest one after it.
func (m *Model) Next(id int32) (int32, error) {
	if err := m.last(id); err != nil {
		return 0, err
	}
	best := 0
	for i, v := range m.logits {
		if v > m.logits[best] {
			best = i
		}
	}
	return int32(best), nil
}

// Decode appends id and what follows it, n tokens, until each has enough; draw draws them as Sample said.
func (m *Model) Decode(id int32, n int, draw bool, each func(id int32) bool) error {
	if draw && m.world.Sample == nil {
		return fmt.Errorf("nothing says how to draw: call Sample first")
	}
	for more := true; more && n > 0; n-- {
		next, err := m.Next(id)
		if err != nil {
			return err
		}
		if draw {
			next = int32(m.world.Sample.Draw(m.logits))
		}
		id, more = next, each(next)
	}
	return nil
}

func (m *Model) last(id int32) error {
	return m.run(context.Background(), []int32{id}, true, func(int, []float32) error { return nil })
}

// Sample sets how Draw chooses from now on.
func (m *Model) Sample(s runtime.Sampling) error {
	x := &ir.Sampling{Temperature: s.Temperature, TopK: s.TopK, TopP: s.TopP, MinP: s.MinP, Penalty: s.Penalty, RNG: s.Seed}
	x.Counts = make([]int32, m.Vocab())
	for _, id := range s.Context {
		if id >= 0 && int(id) < len(x.Counts) {
			x.Counts[id]++
		}
	}
	m.world.Sample = x
	return nil
}

// LastLogits gives what the last Next chose from.
func (m *Model) LastLogits() ([]float32, error) {
	if m.logits == nil {
		return nil, fmt.Errorf("no token was asked for yet")
	}
	return append([]float32(nil), m.logits...), nil
}
