package reference_test

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hipc/runtime"
	"hipc/runtime/plan"
	"hipc/runtime/reference"
	"hipc/runtime/runtimetest"
	"hipc/runtime/weights"
)

// A small model in the language that hipc writes into graph.txt: a folded norm, a cache, a weight in another layout.
const graph = `# --- lowered
block layer(h) {
  n = rmsnorm(h, 1 + @layers.{l}.norm:f32[8], 1e-05)
  q = matmul(n, @layers.{l}.q:f32[2,4,8])
  k = matmul(n, @layers.{l}.k:f32[1,4,8])
  v = matmul(n, @layers.{l}.v:f32[1,4,8])
  c = append(k, v, &layers.{l}.kv)
  y = attend_kv(q, c, 0.5, 0)
  o = matmul(y, @layers.{l}.o:f32[8,8])
  h_2 = h + o
  return h_2
}
h = embed(token, @embed:f32[20,8])
repeat h through layers[2]: layer in "0-1"
h_pick = pick(h)
logits = matmul(h_pick, @embed:f32[20,8])
# --- decode_1
this isn't read
`

const (
	vocab  = 20
	width  = 8
	layers = 2
)

func thePlan() *plan.Plan {
	w := func(name, typ, layout string, bytes int) plan.Weight {
		p := plan.Weight{Name: name, Type: typ, Layout: layout, Bytes: bytes}
		if strings.HasPrefix(name, "layers") {
			p.Layers = "0-1"
		}
		return p
	}
	return &plan.Plan{
		Version: plan.Version, Model: "small", Target: "reference", Device: "reference", Act: "f32", KV: "f32",
		Layers: layers, Vocab: vocab, Context: 100, Page: 16,
		Weights: []plan.Weight{
			w("embed", "f32[20,8]", "x16", 4*32*8),
			w("layers.{l}.norm", "f32[8]", "rows", 4*8), // 1 + norm, as packed
			w("layers.{l}.q", "f32[2,4,8]", "rows", 4*64),
			w("layers.{l}.k", "f32[1,4,8]", "x16", 4*16*8),
			w("layers.{l}.v", "f32[1,4,8]", "rows", 4*32),
			w("layers.{l}.o", "f32[8,8]", "x16", 4*16*8),
		},
		State: []plan.State{{Name: "layers.{l}.kv", Type: "kv[1,4]", Bytes: 4096, Layers: "0-1"}},
		Cells: []plan.Cell{{Name: "token", Type: "i32[1]", Bytes: 4}, {Name: "x", Type: "i32[1]", Bytes: 4}},
		Buckets: []plan.Bucket{{Name: "decode_1", Seqs: 1, Rows: 1, Cost: plan.Cost{Steps: 1}, Parts: []plan.Part{
			{Name: "begin", Steps: []plan.Step{{Kernel: "none", In: []string{"token"}, Out: []string{"x"}, Grid: 1, Block: 1}}},
		}}},
	}
}

// value is element i of a weight.
func value(name string, i int) float32 {
	h := uint32(2166136261)
	for _, c := range []byte(name) {
		h = (h ^ uint32(c)) * 16777619
	}
	h = (h ^ uint32(i)) * 16777619
	h ^= h >> 15
	h *= 0x85ebca6b
	h ^= h >> 13
	x := float32(h%1000)/1000 - 0.5
	if strings.HasSuffix(name, "norm") {
		x += 1
	}
	return x
}

func packed(t *testing.T) []byte {
	t.Helper()
	f32, _ := weights.FormatByName("f32")
	segments, n := thePlan().Segments()
	b := make([]byte, n)
	for _, s := range segments {
		l, _ := weights.LayoutByName(s.Weight.Layout)
		rows := int(s.Bytes) / 4 / width
		if s.Name == "embed" {
			rows = vocab
		} else if l.Name == "x16" && !strings.HasSuffix(s.Name, "o") {
			rows = 4
		} else if l.Name == "x16" {
			rows = 8
		}
		raw := func(i int) []byte {
			var row []byte
			for j := range width {
				row = binary.LittleEndian.AppendUint32(row, math.Float32bits(value(s.Name, i*width+j)))
			}
			return row
		}
		if err := l.Pack(b[s.Offset:s.Offset+s.Bytes], f32, rows, width, raw); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// want computes the model in float64, token by token, in the plainest way.
func want(ids []int32) [][]float64 {
	var ks, vs [layers][][]float64
	mul := func(name string, rows int, x []float64) []float64 {
		y := make([]float64, rows)
		for i := range y {
			for j := range x {
				y[i] += float64(value(name, i*width+j)) * x[j]
			}
		}
		return y
	}
	var out [][]float64
	for _, id := range ids {
		h := make([]float64, width)
		for i := range h {
			h[i] = float64(value("embed", int(id)*width+i))
		}
		for l := range layers {
			name := func(s string) string { return plan.Name("layers.{l}."+s, l) }
			ss := 1e-5
			for _, x := range h {
				ss += x * x / width
			}
			n := make([]float64, width)
			for i := range n {
				n[i] = h[i] / math.Sqrt(ss) * float64(value(name("norm"), i))
			}
			q := mul(name("q"), 8, n)
			ks[l], vs[l] = append(ks[l], mul(name("k"), 4, n)), append(vs[l], mul(name("v"), 4, n))
			y := make([]float64, width)
			for head := range 2 {
				total := 0.0
				p := make([]float64, len(ks[l]))
				for t, k := range ks[l] {
					dot := 0.0
					for i := range 4 {
						dot += q[4*head+i] * k[i]
					}
					p[t] = math.Exp(dot * 0.5)
					total += p[t]
				}
				for t, v := range vs[l] {
					for i := range 4 {
						y[4*head+i] += p[t] / total * v[i]
					}
				}
			}
			for i, x := range mul(name("o"), 8, y) {
				h[i] += x
			}
		}
		out = append(out, mul("embed", vocab, h))
	}
	return out
}

func write(t *testing.T, text string, edit func(p *plan.Plan)) string {
	t.Helper()
	p := thePlan()
	if edit != nil {
		edit(p)
	}
	return runtimetest.Artifact(t, p, packed(t), map[string][]byte{"graph.txt": []byte(text)})
}

func open(dir string, context int) (*reference.Model, error) {
	a, err := runtime.OpenArtifact(dir)
	if err != nil {
		return nil, err
	}
	return reference.Open(a, context)
}

func someIds(n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32((5*i*i + 3*i + 7) % vocab)
	}
	return ids
}

func TestLogits(t *testing.T) {
	m, err := open(write(t, graph, nil), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ids := someIds(80) // more than are evaluated at once
	rows := want(ids)
	check := func(i int, got []float32) error {
		for v := range got {
			if math.Abs(float64(got[v])-rows[i][v]) > 1e-4 {
				t.Fatalf("row %d, logit %d: %g, want %g", i, v, got[v], rows[i][v])
			}
		}
		return nil
	}
	if err := m.Logits(t.Context(), ids, check); err != nil {
		t.Fatal(err)
	}
	// In pieces, after going back.
	if n, err := m.Keep(ids[:30]); n != 30 || err != nil {
		t.Fatalf("kept %d, %v", n, err)
	}
	if err := m.Feed(t.Context(), ids[30:40]); err != nil {
		t.Fatal(err)
	}
	if err := m.Logits(t.Context(), ids[40:45], func(i int, got []float32) error { return check(40+i, got) }); err != nil {
		t.Fatal(err)
	}
	next, err := m.Next(ids[45])
	if err != nil {
		t.Fatal(err)
	}
	if best := slices.Index(rows[45], slices.Max(rows[45])); int(next) != best {
		t.Errorf("next is %d, want %d", next, best)
	}
	if got, err := m.LastLogits(); err != nil || check(45, got) != nil {
		t.Error(err)
	}
}

func TestDraw(t *testing.T) {
	m, err := open(write(t, graph, nil), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Decode(1, 1, true, nil); err == nil || !strings.Contains(err.Error(), "call Sample first") {
		t.Error(err)
	}
	var runs [2][]int32
	for i := range runs {
		m.Keep(nil)
		if err := m.Sample(runtime.Sampling{Temperature: 2, TopP: 1, Penalty: 1, Seed: 5}); err != nil {
			t.Fatal(err)
		}
		if err := m.Decode(3, 20, true, func(id int32) bool { runs[i] = append(runs[i], id); return true }); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(runs[0], runs[1]) || len(slices.Compact(slices.Sorted(slices.Values(runs[0])))) < 4 {
		t.Errorf("equal seeds drew %v and %v", runs[0], runs[1])
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name    string
		text    string
		plan    func(p *plan.Plan)
		context int
		want    string
	}{
		{name: "no section", text: "# --- decode_1\n", want: `graph.txt has no section "# --- lowered"`},
		{name: "no model", text: "# --- lowered\nh = (\n", want: "graph.txt:3"},
		{name: "unknown weight", text: strings.ReplaceAll(graph, ".k:", ".kk:"), want: "reads weight layers.0.kk, which the plan doesn't have"},
		{name: "other shape", text: strings.ReplaceAll(graph, "h_pick, @embed:f32", "h_pick, @embed:f16"), want: "weight embed is f16[20,8] in graph.txt and f32[20,8] in the plan"},
		{name: "other format", plan: func(p *plan.Plan) { p.Weights[0].Type = "q9_9[20,8]" }, want: "weight embed is q9_9[20,8]: the reference knows"},
		{name: "other layout", plan: func(p *plan.Plan) { p.Weights[0].Layout = "x17" }, want: "weight embed has layout x17, want one of rows"},
		{name: "lying size", plan: func(p *plan.Plan) { p.Weights[0].Layout = "rows" }, want: "weight embed has 1024 bytes, which isn't the size of f32[20,8] in layout rows"},
		{name: "fewer embeddings", plan: func(p *plan.Plan) { p.Vocab = 21 }, want: "embeds 20 tokens, the plan has 21"},
		{name: "context", context: 101, want: "want 1 to 100"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.text == "" {
				c.text = graph
			}
			m, err := open(write(t, c.text, c.plan), c.context)
			if err == nil {
				m.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want one line with %q", err, c.want)
			}
		})
	}
	dir := write(t, graph, nil)
	if err := os.Remove(filepath.Join(dir, "graph.txt")); err != nil {
		t.Fatal(err)
	}
	if _, err := open(dir, 0); err == nil || !strings.Contains(err.Error(), "missing member: graph.txt") {
		t.Error(err)
	}
}

func TestContext(t *testing.T) {
	m, err := open(write(t, graph, nil), 10)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Feed(t.Context(), someIds(11)); err == nil || !strings.Contains(err.Error(), "11 tokens are more than the context of 10") {
		t.Error(err)
	}
	if _, err := m.Next(vocab); err == nil || !strings.Contains(err.Error(), "want 0 to 19") {
		t.Error(err)
	}
}
