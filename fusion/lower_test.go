package fusion

import (
	"strings"
	"testing"

	"hipc/ir"
	"hipc/ir/syntax"
	"hipc/kernels"
)

func TestLower(t *testing.T) {
	rules, err := ParseRules("lower", "r", `
lower linear(x, w: q4_1) = exp(matmul(x, w))
lower linear(x, w) = matmul(x, w)
lower attend(q, k, v, scale, window) = attend_kv(q, append(k, v), scale, window)`)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ in, want string }{
		// The named result keeps its name, and what a rule makes besides gets one of its own.
		{`x act[8]:: y = linear(x, @w:f16[8,8])  z = linear(y, @w:q4_1[8,8])  return z`,
			"y = matmul(x, @w:f16[8,8])\nw_2 = matmul(y, @w:q4_1[8,8])\nz = exp(w_2)\nreturn z"},
		{`x act[8]:: w_2 = linear(x, @w:f16[8,8])  w = linear(w_2, @w:q4_1[8,8])  return w_2, w`,
			"w_2 = matmul(x, @w:f16[8,8])\nw_2_2 = matmul(w_2, @w:q4_1[8,8])\nw = exp(w_2_2)\nreturn w_2, w"},
		{`q act[2,8]; k act[1,8]; v act[1,8]:: y = attend(q, k, v, 0.5, 3, &a.kv)  return y`,
			"k_append = append(k, v, &a.kv)\ny = attend_kv(q, k_append, 0.5, 3)\nreturn y"},
		{`q act[2,16]; k act[1,16]; v act[1,16]:: y = attend(q, k, v, &a.kv)  return y`, // what the op has filled in stays
			"k_append = append(k, v, &a.kv)\ny = attend_kv(q, k_append, 0.25, 0)\nreturn y"},
		{`x act[8]:: y = silu(x)  return y`, "y = silu(x)\nreturn y"},
	} {
		g := graph(t, c.in)
		before := g.String()
		p, err := lower(g, rules)
		if err != nil {
			t.Error(err)
			continue
		}
		if err := p.Verify(); err != nil {
			t.Error(err)
		}
		if got := statements(p); got != c.want {
			t.Errorf("got\n%s\nwant\n%s", got, c.want)
		}
		if g.String() != before {
			t.Errorf("Lower changed its graph to\n%s", g)
		}
	}
	bad, err := ParseRules("lower", "r", "lower linear(x, w) = silu(x)")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lower(graph(t, `x act[8]:: y = linear(x, @w:f16[4,8])  return y`), bad); err == nil || !strings.Contains(err.Error(), "linear gives act[8], want act[4]") {
		t.Errorf("a rule with another result: %v", err)
	}
}

func TestTail(t *testing.T) {
	text := `x act[8]:: logits = matmul(x, @w:f16[11,8])  return logits`
	for name, want := range map[string]string{
		"":       "logits = matmul(x, @w:f16[11,8])\nreturn logits",
		"argmax": "logits = matmul(x, @w:f16[11,8])\nnext = argmax(logits)\nreturn logits, next",
		"sample": "logits = matmul(x, @w:f16[11,8])\nnext = sample(logits)\nreturn logits, next",
	} {
		g, err := AddTail(graph(t, text), name)
		if err != nil {
			t.Error(err)
			continue
		}
		if err := g.Verify(); err != nil {
			t.Error(err)
		}
		if got := strings.ReplaceAll(statements(g), "&sampler", ""); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
	if _, err := AddTail(graph(t, text), "beam"); err == nil || !strings.Contains(err.Error(), "no tail is called beam, want one of [argmax sample]") {
		t.Errorf("%v", err)
	}
}

// Two kinds of layers that take turns: a body for each pair that follows each other.
func TestRotateTurns(t *testing.T) {
	text := `
block one(h) { x = rmsnorm(h, 1 + @norm, 1e-5)  h += linear(x, @a[8])  return h }
block two(h) { x = rmsnorm(h, @norm, 1e-6)  h += linear(silu(x), @b[8])  return h }
h = embed(token, @e[11, 8])
repeat h through layers[7]: one, one, two
logits = linear(rmsnorm(h, @norm, 1e-5), @lm_head[11])`
	m := build(t, text, nil, "argmax")
	r, why := Rotate(m)
	if r == nil {
		t.Fatal(why)
	}
	if err := r.Verify(); err != nil {
		t.Fatal(err)
	}
	want := `block one(h, x) {
  a = matmul(x, @layers.{l}.a:f16[8,8])
  h_2 = h + a
  x_2 = rmsnorm(h_2, 1 + @layers.{l+1}.norm:f32[8], 1e-05)
  return h_2, x_2
}
block one_two(h, x) {
  a = matmul(x, @layers.{l}.a:f16[8,8])
  h_2 = h + a
  x_2 = rmsnorm(h_2, @layers.{l+1}.norm:f32[8], 1e-06)
  x_silu = silu(x_2)
  return h_2, x_silu
}
block two(h, x_silu) {
  b = matmul(x_silu, @layers.{l}.b:f16[8,8])
  h_2 = h + b
  x = rmsnorm(h_2, 1 + @layers.{l+1}.norm:f32[8], 1e-05)
  return h_2, x
}
block one_end(h, x) {
  a = matmul(x, @layers.{l}.a:f16[8,8])
  h_2 = h + a
  norm = rmsnorm(h_2, @norm:f32[8], 1e-05)
  return h_2, norm
}
h = embed(token, @e:f16[11,8])
x = rmsnorm(h, 1 + @layers.0.norm:f32[8], 1e-05)
repeat h, x to h, norm through layers[7]: one in "0,3", one_two in "1,4", two in "2,5", one_end in "6"
logits = matmul(norm, @lm_head:f16[11,8])
next = argmax(logits)
`
	if got := r.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if a, b := run(t, m), run(t, r); a != b {
		t.Errorf("rotated: %s, want %s", b, a)
	}
}

// In a bucket without logits the last layer gives nothing.
func TestRotateWithoutEnd(t *testing.T) {
	m := build(t, llama, tiny, "")
	last := m.Bodies[0].Graph.Clone(nil)
	last.Name, last.Results = "layer_last", nil
	last.Prune()
	m.Bodies[0].Layers = []int{0, 1}
	m.Bodies = append(m.Bodies, &ir.Body{Graph: last, Layers: []int{2}})
	m.End = &ir.Graph{Name: "end"}
	if err := m.Verify(); err != nil {
		t.Fatal(err)
	}
	p, r := planned(t, m, bucket(t, 32))
	if !r.Rotated || len(p.Bodies) != 2 || p.Bodies[1].Graph.Name != "layer_last" || len(p.Bodies[1].Graph.Results) != 0 || len(p.Bodies[1].Graph.Params) != 2 {
		t.Errorf("%s\n%s", p, r)
	}
	w, v := &ir.World{Weight: weight, States: map[string]any{}}, &ir.World{Weight: weight, States: map[string]any{}}
	tokens := []int32{3, 7, 1, 2}
	if _, err := m.Eval(w, tokens); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Eval(v, tokens); err != nil {
		t.Fatal(err)
	}
	for name, s := range w.States {
		if a, b := s.(*ir.Cache), v.States[name].(*ir.Cache); len(b.K) != 4 || a.K[3][5] != b.K[3][5] || a.V[2][7] != b.V[2][7] {
			t.Errorf("%s differs", name)
		}
	}
	if len(w.States) != 3 || len(v.States) != 3 {
		t.Errorf("%d states and %d", len(w.States), len(v.States))
	}
}

// Layers of different kinds carry different values into each other.
func TestRotateUnlikeHeads(t *testing.T) {
	m := build(t, `
block a(h) = h + linear(silu(h), @a[8])
block b(h) = h + linear(silu(h), @b[8]) * exp(h)
h = embed(token, @e[11, 8])
repeat h through layers[5]: a, b
logits = linear(rmsnorm(h, @norm, 1e-5), @lm_head[11])`, nil, "argmax")
	r, why := Rotate(m)
	if r == nil {
		t.Fatal(why)
	}
	if err := r.Verify(); err != nil {
		t.Fatal(err)
	}
	if got := len(r.BodyOf(1).Graph.Params); got != 3 {
		t.Errorf("b takes %d values, want h, silu(h) and exp(h):\n%s", got, r)
	}
	if a, b := run(t, m), run(t, r); a != b {
		t.Errorf("rotated: %s, want %s", b, a)
	}
	f, err := syntax.Parse("printed", r.String(), syntax.Pos{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := (&ir.Builder{}).Build(r.Name, f)
	if err != nil {
		t.Fatal(err)
	}
	if again.String() != r.String() {
		t.Errorf("parsed again:\n%s\nwas:\n%s", again, r)
	}
}

func TestRotateRefuses(t *testing.T) {
	m := build(t, `
block a(h) = h + linear(h, @a[8])
h = embed(token, @e[11, 8])
repeat h through layers[4]: a
logits = linear(h, @lm_head[11])`, nil, "")
	want := "no layer has a head that could move"
	if r, why := Rotate(m); r != nil || why != want {
		t.Errorf("%q, want %q", why, want)
	}
	if _, r := planned(t, m, bucket(t, 1)); r.Rotated || r.Why != want {
		t.Errorf("%s", r)
	}
	// Where it costs more, it isn't done.
	m = build(t, llama, tiny, "")
	o := bucket(t, 1)
	o.Coster = dearEnd{o.Coster}
	if _, r := planned(t, m, o); r.Rotated || r.Saved >= 0 || r.Why != "" {
		t.Errorf("%s", r)
	}
}

// dearEnd is a coster to whom the norm that a rotated layer ends with is dear.
type dearEnd struct{ kernels.Coster }

func (d dearEnd) Load(s kernels.Step) kernels.Load {
	l := d.Coster.Load(s)
	for _, a := range s.Node.Args {
		if a.Weight != nil && strings.Contains(a.Weight.Path, "{l+1}") {
			l.Busy++
		}
	}
	return l
}
