package ir

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"hipc/ir/syntax"
)

func parse(t *testing.T, text string, b *Builder) *Model {
	t.Helper()
	f, err := syntax.Parse("m", text, syntax.Pos{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := b.Build("m", f)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const small = `
block layer(h) {
  x = rmsnorm(h, 1 + @norm, 1e-6)
  q, g = split(linear(x, @q[4, 32]), [16], [16])
  k = rope(linear(x, @k[2, 16]), 1e4, width=8)
  v = linear(x, @v[2, 16])
  a = attend(rope(q, 1e4, width=8), k, v) * sigmoid(g)
  h += linear(a, @o[64]) * -exp(@scale)
  return h
}
h = embed(token, @embed[32, 64])
repeat h through layers[3]: layer
logits = linear(pick(h), @head[32])
`

// TestPrintedGraphParsesToItself: a dump is an input. Folded weights, states and negative numbers are in it.
func TestPrintedGraphParsesToItself(t *testing.T) {
	first := parse(t, small, &Builder{}).String()
	second := parse(t, first, &Builder{}).String()
	if first != second {
		t.Errorf("printed:\n%s\nparsed and printed again:\n%s", first, second)
	}
	for _, want := range []string{"1 + @layers.{l}.norm:f32[64]", "* (-exp(@layers.{l}.scale:f32[64]))", "&layers.{l}.kv", `layer in "0-2"`} {
		if !strings.Contains(first, want) {
			t.Errorf("no %q in:\n%s", want, first)
		}
	}
}

// TestFusedCallsParse: a call of a fuse rule becomes a node with a body, launches keep their groups, and the printed text
// says all of that again.
func TestFusedCallsParse(t *testing.T) {
	rules, err := syntax.Parse("r", `
fuse add_norm(h, y, w, eps) { s = h + y  return s, rmsnorm(s, w, eps) }
fuse rope_append(q, k, v, theta, width) { return rope(q, theta, width), append(rope(k, theta, width), v) }
fuse norms(x, eps, w...) { return rmsnorm(x, w, eps)... }
`, syntax.Pos{})
	if err != nil {
		t.Fatal(err)
	}
	fused := map[string]*syntax.Decl{}
	for _, it := range rules.Items {
		fused[it.Decl.Name] = it.Decl
	}
	text := `block layer(h, y) {
  s, n = add_norm(h, y, @layers.{l}.norm:f32[64], 1e-06)
  launch {
    q = matmul(n, @layers.{l}.q:q4_1[4,16,64])
    k = matmul(n, @layers.{l}.k:q8_0[2,16,64])
  }
  r, kv = rope_append(q, k, k, 10000, 16, &layers.{l}.kv)
  a = attend_kv(r, kv, 0.25, 0)
  n_1, n_2 = norms(a, 1e-06, @layers.{l}.a:f32[16], @layers.{l}.b:f32[16])
  o = matmul(n_1, @layers.{l}.o:f16[64,64])
  return s, o
}
h = embed(token, @embed:f16[32,64])
y = embed(token, @other:f16[32,64])
repeat h, y through layers[2]: layer in "0-1"
logits = matmul(h, @head:f16[32,64])
`
	m := parse(t, text, &Builder{Fused: fused})
	if got := m.String(); got != text {
		t.Errorf("got:\n%s\nwant:\n%s", got, text)
	}
	g := m.Bodies[0].Graph
	if n := g.Nodes[0]; n.Body == nil || len(n.Body.Nodes) != 2 {
		t.Errorf("add_norm has no body of two nodes: %v", n.Body)
	}
	if s := g.Nodes[3].States(); len(s) != 1 || s[0] != "layers.{l}.kv" {
		t.Errorf("rope_append keeps %v", s)
	}
}

// TestRowsAgree: several rows at once, and one after the other, give the same logits and leave the same state.
func TestRowsAgree(t *testing.T) {
	m := parse(t, small, &Builder{})
	w := randomWeights(1)
	tokens := []int32{3, 1, 4, 1, 5, 9, 2, 6}
	all := &World{Weight: w}
	want, err := m.Eval(all, tokens)
	if err != nil {
		t.Fatal(err)
	}
	one := &World{Weight: w}
	for i, tok := range tokens {
		got, err := m.Eval(one, []int32{tok})
		if err != nil {
			t.Fatal(err)
		}
		for j, x := range got[0].Data {
			if d := math.Abs(float64(x - want[0].Data[i*32+j])); d > 1e-5 {
				t.Fatalf("row %d, logit %d: %g, all rows at once %g", i, j, x, want[0].Data[i*32+j])
			}
		}
	}
	// Going back to position 4 forgets what stood after it.
	one.Pos = 4
	got, err := m.Eval(one, tokens[4:])
	if err != nil {
		t.Fatal(err)
	}
	for j, x := range got[0].Data {
		if d := math.Abs(float64(x - want[0].Data[4*32+j])); d > 1e-5 {
			t.Fatalf("after going back: %g, want %g", x, want[0].Data[4*32+j])
		}
	}
}

// randomWeights makes every weight from its name: the same name gives the same values.
func randomWeights(seed uint64) func(w *Weight, t Type, layer int) (*Tensor, error) {
	return func(w *Weight, t Type, layer int) (*Tensor, error) {
		h := seed
		for _, c := range Put(w.Path, layer) {
			h = h*31 + uint64(c)
		}
		r := rand.New(rand.NewPCG(h, 7))
		x := &Tensor{Type: t, Rows: 1, Data: make([]float32, t.Size())}
		for i := range x.Data {
			x.Data[i] = float32(r.NormFloat64()) / 8
		}
		return x, nil
	}
}

// TestVerifyFinds breaks a graph in the ways that a pass could.
func TestVerifyFinds(t *testing.T) {
	for want, breakIt := range map[string]func(g *Graph){
		"read before it is made":     func(g *Graph) { g.Nodes[0], g.Nodes[1] = g.Nodes[1], g.Nodes[0] },
		"two values are called":      func(g *Graph) { g.Nodes[1].Outs[0].Name = g.Nodes[0].Outs[0].Name },
		"but the op gives":           func(g *Graph) { g.Nodes[1].Outs[0].Type = Of(Act, 7) },
		"belongs to another node":    func(g *Graph) { g.Nodes[1].Outs[0].Node = g.Nodes[0] },
		"but the op keeps":           func(g *Graph) { g.Nodes[0].State = "x" },
		"is made in the same launch": func(g *Graph) { g.Nodes[0].Launch, g.Nodes[1].Launch = 1, 1 },
		"is torn apart":              func(g *Graph) { g.Nodes[0].Launch, g.Nodes[7].Launch = 1, 1 },
		"is never made":              func(g *Graph) { g.Results[0] = &Value{Name: "ghost", Type: Of(Act, 64)} },
	} {
		m := parse(t, small, &Builder{})
		breakIt(m.Bodies[0].Graph)
		if err := m.Verify(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestPruneKeepsState(t *testing.T) {
	g := parse(t, small, &Builder{}).Bodies[0].Graph
	g.Results = nil
	g.Prune()
	last := g.Nodes[len(g.Nodes)-1]
	if last.Op.Name != "attend" {
		t.Errorf("the last node is %s", last)
	}
}

// TestDraw holds sample's filters against what they're for.
func TestDraw(t *testing.T) {
	logits := []float32{1, 4, 3, 2, 4}
	draw := func(s Sampling) map[int]int {
		if s.Penalty == 0 {
			s.Penalty = 1
		}
		seen := map[int]int{}
		for range 4000 {
			seen[s.Draw(logits)]++
		}
		return seen
	}
	if got := draw(Sampling{TopP: 1}); got[1] != 4000 {
		t.Errorf("temperature 0 drew %v, want the first of the best", got)
	}
	if got := draw(Sampling{Temperature: 1, TopP: 1, TopK: 2}); len(got) != 2 || got[1] == 0 || got[4] == 0 {
		t.Errorf("top-k 2 drew %v", got)
	}
	if got := draw(Sampling{Temperature: 1, TopP: 0.5}); len(got) != 2 || got[1] == 0 || got[4] == 0 {
		t.Errorf("top-p 0.5 drew %v, want 1 and 4 (0.40 each)", got)
	}
	if got := draw(Sampling{Temperature: 1, TopP: 1, MinP: 0.3}); len(got) != 3 {
		t.Errorf("min-p 0.3 drew %v, want 1, 4 and 2 (e^-1 of the best)", got)
	}
	got := draw(Sampling{Temperature: 1, TopP: 1})
	sum := 0.0
	for _, l := range logits {
		sum += math.Exp(float64(l))
	}
	for i, l := range logits {
		p := math.Exp(float64(l)) / sum
		if d := math.Abs(float64(got[i])/4000 - p); d > 4*math.Sqrt(p*(1-p)/4000) {
			t.Errorf("token %d: drawn %d of 4000, probability %.3f", i, got[i], p)
		}
	}
	s := Sampling{TopP: 1, Penalty: 2, Counts: make([]int32, 5)}
	if a, b, c := s.Draw(logits), s.Draw(logits), s.Draw(logits); a != 1 || b != 4 || c != 2 {
		t.Errorf("with a penalty of 2: %d, %d, %d, want 1, 4, 2", a, b, c)
	}
}
