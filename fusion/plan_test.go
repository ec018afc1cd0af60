package fusion

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"hipc/ir"
	"hipc/ir/syntax"
	"hipc/kernels"
)

// The texts of SmolLM2 and, with a norm of each head, of Qwen3.
const (
	header = `
block norm(x, w) = rmsnorm(x, w, eps)
block mlp(x) at mlp = linear(silu(linear(x, @gate_proj[F])) * linear(x, @up_proj[F]), @down_proj[d])
block layer(h) {
  h += attention(norm(h, @input_layernorm))
  h += mlp(norm(h, @post_attention_layernorm))
  return h
}
h = embed(token, @embed_tokens[V, d])
repeat h through layers[L]: layer
logits = linear(norm(pick(h), @norm), @lm_head[V])
`
	llama = `
block attention(x) at self_attn {
  q = rope(linear(x, @q_proj[H, D]), theta)
  k = rope(linear(x, @k_proj[KV, D]), theta)
  return linear(attend(q, k, linear(x, @v_proj[KV, D])), @o_proj[d])
}` + header
	qwen3 = `
block attention(x) at self_attn {
  q = rope(norm(linear(x, @q_proj[H, D]), @q_norm), theta)
  k = rope(norm(linear(x, @k_proj[KV, D]), 1 + @k_norm), theta)
  return linear(attend(q, k, linear(x, @v_proj[KV, D])), @o_proj[d])
}` + header
)

var (
	smollm2 = map[string]float64{"d": 576, "L": 30, "V": 49152, "H": 9, "KV": 3, "D": 64, "F": 1536, "eps": 1e-5, "theta": 1e5}
	tiny    = map[string]float64{"d": 32, "L": 3, "V": 11, "H": 2, "KV": 1, "D": 16, "F": 48, "eps": 1e-5, "theta": 1e4}
)

// build reads a model's text, lowers it and makes it a bucket's, in which all rows are picked.
func build(t testing.TB, text string, dims map[string]float64, tail string) *ir.Model {
	t.Helper()
	f, err := syntax.Parse("model", text, syntax.Pos{File: "model", Line: 1, Col: 1})
	if err != nil {
		t.Fatal(err)
	}
	m, err := (&ir.Builder{Nums: dims, Resolve: func(_ int, path string, _ []int, _ syntax.Pos) (ir.Elem, string, error) { return "f16", path, nil }}).Build("m", f)
	if err != nil {
		t.Fatal(err)
	}
	if m, err = LowerModel(m); err != nil {
		t.Fatal(err)
	}
	m = m.Clone(func(n *ir.Node, args []*ir.Value) ([]*ir.Value, bool) { return args, n.Op.Name == "pick" })
	if m.End, err = AddTail(m.End, tail); err != nil {
		t.Fatal(err)
	}
	if err := m.Verify(); err != nil {
		t.Fatal(err)
	}
	return m
}

func bucket(t testing.TB, rows int) Options {
	t.Helper()
	o, err := For("cpu_v4", kernels.Dims{T: rows, S: 1, C: 2048, P: 64}, rows)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func planned(t *testing.T, m *ir.Model, o Options) (*ir.Model, *ModelReport) {
	t.Helper()
	p, r, err := PlanModel(m, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Verify(); err != nil {
		t.Fatal(err)
	}
	return p, r
}

// The launches that a layer comes to, and what they are.
func TestModels(t *testing.T) {
	for _, c := range []struct {
		name, text string
		rows       int
		want       string // ops of a layer in the middle; + for those that share a launch
		edges      int    // launches before and after the layers
		off        int    // launches of a layer without fusion
	}{
		{"smollm2 decode", llama, 1, "matmul+matmul+matmul rope_append attend_kv matmul_add_norm swiglu matmul_add_norm", 2, 17},
		{"qwen3 decode", qwen3, 1, "matmul+matmul+matmul norm_rope_append attend_kv matmul_add_norm swiglu matmul_add_norm", 2, 19},
		{"smollm2 prefill", llama, 512, "matmul+matmul+matmul rope_append attend_kv matmul_add rmsnorm swiglu matmul_add rmsnorm", 2, 17},
	} {
		t.Run(c.name, func(t *testing.T) {
			tail := "argmax"
			if c.rows > 1 {
				tail = ""
			}
			m, o := build(t, c.text, smollm2, tail), bucket(t, c.rows)
			p, r := planned(t, m, o)
			g := p.BodyOf(7).Graph
			var ops []string
			for i, n := range g.Nodes {
				if i > 0 && n.Launch > 0 && g.Nodes[i-1].Launch == n.Launch {
					ops[len(ops)-1] += "+" + n.Op.Name
				} else {
					ops = append(ops, n.Op.Name)
				}
			}
			if got := strings.Join(ops, " "); got != c.want {
				t.Errorf("got  %s\nwant %s\n%s", got, c.want, r)
			}
			if c.rows == 1 && Launches(p.Begin)+Launches(p.End) != c.edges {
				t.Errorf("%d launches before the layers and %d after them, want %d:\n%s", Launches(p.Begin), Launches(p.End), c.edges, p)
			}
			o.Off = true
			off, r := planned(t, m, o)
			if got := Launches(off.BodyOf(7).Graph); got != c.off {
				t.Errorf("without fusion %d launches a layer, want %d:\n%s", got, c.off, r)
			}
			for _, g := range off.Graphs() {
				for _, n := range g.Nodes {
					if n.Body != nil || n.Launch != 0 {
						t.Errorf("without fusion there is %s, launch %d", n, n.Launch)
					}
				}
			}
		})
	}
}

// A plan, rotated or not, computes what the text says: logits, token and cache.
func TestPlanMeansTheSame(t *testing.T) {
	for _, text := range []string{llama, qwen3} {
		m := build(t, text, tiny, "argmax")
		want := run(t, m)
		p, r := planned(t, m, bucket(t, 1))
		if !r.Rotated {
			t.Errorf("not rotated:\n%s", r)
		}
		if got := run(t, p); got != want {
			t.Errorf("planned: got %s\nwant %s\n%s", got, want, p)
		}
		turned, why := Rotate(m)
		if turned == nil {
			t.Fatal(why)
		}
		if err := turned.Verify(); err != nil {
			t.Fatal(err)
		}
		if got := run(t, turned); got != want {
			t.Errorf("rotated: got %s\nwant %s\n%s", got, want, turned)
		}
		if n := len(turned.Bodies); n != 2 {
			t.Errorf("%d bodies, want one and one for the last layer", n)
		}
	}
}

// run evaluates three prompts of a token each and shows the results.
func run(t *testing.T, m *ir.Model) string {
	t.Helper()
	w := &ir.World{Weight: weight, States: map[string]any{}}
	out := ""
	for pos, token := range []int32{3, 7, 1} {
		w.Pos = pos
		r, err := m.Eval(w, []int32{token})
		if err != nil {
			t.Fatal(err)
		}
		out += fmt.Sprintf("%.6v %v ", r[0].Data, r[1].Ints)
	}
	return out
}

// weight makes up a tensor from its name.
func weight(w *ir.Weight, typ ir.Type, layer int) (*ir.Tensor, error) {
	seed := uint32(7)
	for _, c := range []byte(ir.Put(w.Path, layer)) {
		seed = seed*31 + uint32(c)
	}
	x := &ir.Tensor{Type: typ, Rows: 1, Data: make([]float32, typ.Size())}
	for i := range x.Data {
		seed = seed*1664525 + 1013904223
		x.Data[i] = float32(int32(seed>>16)%1000-500) / 2000
	}
	return x, nil
}

func TestSiblings(t *testing.T) {
	for _, c := range []struct {
		name, rules, in, want string
		f                     fake
	}{
		{"share", "", `x act[8]:: a = exp(x)  b = silu(x)  c = a + b  return c`,
			"launch {\na = exp(x)\nb = silu(x)\n}\nc = a + b\nreturn c", fake{share: 1}},
		{"not for nothing", "", `x act[8]:: a = exp(x)  b = silu(x)  c = a + b  return c`,
			"a = exp(x)\nb = silu(x)\nc = a + b\nreturn c", fake{}},
		{"one needs the other", "", `x act[8]:: a = exp(x)  b = silu(a)  c = -b  return c`,
			"a = exp(x)\nb = silu(a)\nc = -b\nreturn c", fake{share: 1}},
		{"what stands between moves away", "", `x act[8]; y act[8]:: a = exp(x)  b = a + a  c = exp(y)  return b, c`,
			"launch {\na = exp(x)\nc = exp(y)\n}\nb = a + a\nreturn b, c", fake{share: 1}},
		{"two launches don't cross", "", `x act[8]; y act[8]:: a = exp(x)  b = sqrt(a)  c = silu(y)  d = -c  return b, d`,
			"launch {\na = exp(x)\nc = silu(y)\n}\nlaunch {\nb = sqrt(a)\nd = -c\n}\nreturn b, d", fake{share: 1}},
		{"other block sizes", "", `x act[8]:: a = exp(x)  b = silu(x)  c = a + b  return c`,
			"a = exp(x)\nb = silu(x)\nc = a + b\nreturn c", fake{share: 1, block: map[string]int{"exp": 64}}},
		{"launches that need each other through a third", "", `x act[8]; y act[8]:: c = -y  a = exp(x)  b = silu(a)  d = sqrt(c)  return b, d`,
			"a = exp(x)\nlaunch {\nc = -y\nb = silu(a)\n}\nd = sqrt(c)\nreturn b, d", fake{share: 1, block: map[string]int{"exp": 64, "sqrt": 32}}},
		{"after rules", "fuse f(x) = silu(exp(x))", `x act[8]:: a = silu(exp(x))  b = -x  c = a + b  return c`,
			"launch {\na = f(x)\nb = -x\n}\nc = a + b\nreturn c", fake{share: 1}},
		{"not two that touch one state", "", `k act[1,16]; v act[1,16]:: a = append(k, v, &s)  b = append(v, k, &s)  q = attend_kv(k, a, 1, 0)  r = attend_kv(v, b, 1, 0)  return q, r`,
			"a = append(k, v, &s)\nb = append(v, k, &s)\nq = attend_kv(k, a, 1, 0)\nr = attend_kv(v, b, 1, 0)\nreturn q, r", fake{share: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, _, err := Plan(graph(t, c.in), c.f.options(t, c.rules))
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Verify(); err != nil {
				t.Error(err)
			}
			if got := statements(p); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// Rows count what a step works on: a rule doesn't reach over pick.
func TestRows(t *testing.T) {
	f := &fake{}
	o := f.options(t, "fuse f(x) = silu(exp(x))")
	o.Rows, o.Picks = 8, 2
	rows := map[string]int{}
	o.Kernels = finder(func(n *ir.Node, r int) (*kernels.Choice, error) {
		rows[n.Op.Name] = r
		return f.Find(n, r)
	})
	_, _, err := Plan(graph(t, `x act[8]:: a = exp(x)  b = pick(a)  c = silu(b)  return c`), o)
	if err != nil || rows["exp"] != 8 || rows["pick"] != 2 || rows["silu"] != 2 {
		t.Errorf("%v, %v", rows, err)
	}
}

// What works on different rows is not one step.
func TestRowsDiffer(t *testing.T) {
	for rules, want := range map[string]string{
		"fuse f(x) = pick(exp(x))":                      "a = exp(x)\nb = pick(a)\nc = silu(b)\nreturn c",
		"fuse f(x) = silu(pick(x))":                     "a = exp(x)\nc = f(a)\nreturn c",
		"fuse f(x, y) { return exp(x), silu(pick(y)) }": "a = exp(x)\nb = pick(a)\nc = silu(b)\nreturn c",
	} {
		o := (&fake{}).options(t, rules)
		o.Rows, o.Picks = 8, 2
		p, _, err := Plan(graph(t, `x act[8]:: a = exp(x)  b = pick(a)  c = silu(b)  return c`), o)
		if err != nil {
			t.Fatal(err)
		}
		if got := statements(p); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", rules, got, want)
		}
	}
}

type finder func(n *ir.Node, rows int) (*kernels.Choice, error)

func (f finder) Find(n *ir.Node, rows int) (*kernels.Choice, error) { return f(n, rows) }

// Every rule has a kernel, and every kernel of a rule computes what the rule's body gives.
func TestRulesHaveKernels(t *testing.T) {
	for _, r := range Rules() {
		found := false
		for i := range kernels.Registry {
			k := &kernels.Registry[i]
			if k.Op != r.Name {
				continue
			}
			found = true
			names, elems, reals := k.Vars()
			dims, els, rs := map[string]int{}, map[string]string{}, map[string]float64{}
			for _, n := range names {
				dims[n] = 32
			}
			dims["ramp"] = 0 // a kind, no number of anything
			for _, n := range elems {
				els[n] = "f16"
			}
			for _, n := range reals {
				rs[n] = 0.5
			}
			n, err := k.Example(dims, els, rs)
			if err != nil {
				t.Errorf("%s: %v", r.Name, err)
				continue
			}
			body, err := r.Body(n.Args)
			if err != nil {
				t.Errorf("%s: %v", r.Name, err)
				continue
			}
			if len(body.Results) != len(n.Outs) {
				t.Errorf("%s gives %d values, its kernel %s", r.Name, len(body.Results), k.Sig)
				continue
			}
			for i, v := range body.Results {
				if !v.Type.Equal(n.Outs[i].Type) {
					t.Errorf("%s: result %d is %s, its kernel's %s", r.Name, i, v.Type, n.Outs[i].Type)
				}
			}
		}
		if !found {
			t.Errorf("%s: no kernel computes it", r.Pos)
		}
	}
}

// Rules that make the same step twice as cheap in one text and are read again in the other: what Plan prints, parses.
func TestPrintsParse(t *testing.T) {
	g := graph(t, `h act[64]; x act[64]:: s = h + matmul(x, @w:q4_1[64,64])  n = rmsnorm(s, @g:f32[64], 1e-5)  a = silu(matmul(n, @a:f16[96,64])) * matmul(n, @b:q8_0[96,64])  return s, a`)
	p, _, err := Plan(g, bucket(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	text := statements(p)
	if !strings.Contains(text, "matmul_add_norm(") || !strings.Contains(text, "swiglu(") {
		t.Error(text)
	}
	again, err := readGraph("h act[64]; x act[64]:: " + text)
	if err != nil {
		t.Fatal(err)
	}
	if got := statements(again); got != text {
		t.Errorf("printed\n%s\nread and printed again\n%s", text, got)
	}
}

func BenchmarkPlanModel(b *testing.B) {
	m := build(b, llama, smollm2, "argmax")
	o := bucket(b, 1)
	for b.Loop() {
		if _, _, err := PlanModel(m, o); err != nil {
			b.Fatal(err)
		}
	}
}

// Many steps that could pair up in many ways: the search gives up being exact, but not being right or quick.
func TestWideGraph(t *testing.T) {
	text := "x act[8]::"
	var sums []string
	for i := range 24 {
		text += fmt.Sprintf(" a%d = exp(x * %d.5) b%d = sqrt(x + %d.5)", i, i, i, i)
		sums = append(sums, fmt.Sprintf("a%d + b%d", i, i))
	}
	text += " return " + strings.Join(sums, ", ")
	f := &fake{cost: map[string]float64{"pair": 5}}
	g := graph(t, text)
	start := time.Now()
	p, r, err := Plan(g, f.options(t, "fuse pair(x, y) { return exp(x), sqrt(y) }"))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Verify(); err != nil {
		t.Error(err)
	}
	if len(r.Fired) != 24 {
		t.Errorf("%d pairs, want 24", len(r.Fired))
	}
	t.Logf("%d matches in %v", len(r.Fired)+len(r.Lost)+r.Others, time.Since(start))
}
