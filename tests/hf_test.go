package tests

import (
	"fmt"
	"math"
	"path/filepath"
	"sync"
	"testing"

	"hipc/compiler"
	"hipc/runtime"
	"hipc/runtime/engine"
	"hipc/runtime/reference"
	"hipc/runtime/weights"
)

// logits computes the checkpoint's logits after each id as transformers does, in float64 and with none of our code: the
// reference reads packed weights, so it can't see a weight that was packed wrongly.
func (c *fakeCheckpoint) logits(ids []int32) [][]float32 {
	get := func(name string) []float32 {
		t := c.tensors[name]
		if t == nil {
			t = c.tensors["model.embed_tokens.weight"] // a tied head
		}
		if c.dtype != "BF16" {
			return t.data
		}
		cut := make([]float32, len(t.data))
		for i, v := range t.data {
			cut[i] = math.Float32frombits(math.Float32bits(v) &^ 0xffff)
		}
		return cut
	}
	product := func(w []float32, x []float64) []float64 {
		y := make([]float64, len(w)/len(x))
		for i := range y {
			for j, v := range x {
				y[i] += float64(w[i*len(x)+j]) * v
			}
		}
		return y
	}
	norm := func(x []float64, w []float32) []float64 {
		sum := 0.0
		for _, v := range x {
			sum += v * v
		}
		y := make([]float64, len(x))
		for i, v := range x {
			y[i] = v / math.Sqrt(sum/float64(len(x))+1e-5) * float64(w[i])
		}
		return y
	}
	// heads norms and turns each head of q or k.
	heads := func(x []float64, pos int, qk string) {
		for at := 0; at < len(x); at += fakeHead {
			h := x[at : at+fakeHead]
			if c.family == "qwen3" {
				copy(h, norm(h, get(qk)))
			}
			for i := range fakeHead / 2 {
				sin, cos := math.Sincos(float64(pos) * math.Pow(10000, -2*float64(i)/fakeHead))
				a, b := h[i], h[i+fakeHead/2]
				h[i], h[i+fakeHead/2] = a*cos-b*sin, b*cos+a*sin
			}
		}
	}
	type cache struct{ k, v [][]float64 }
	caches := make([]cache, 2)
	var out [][]float32
	for pos, id := range ids {
		h := make([]float64, fakeWidth)
		for i, v := range get("model.embed_tokens.weight")[int(id)*fakeWidth:][:fakeWidth] {
			h[i] = float64(v)
		}
		for l := range caches {
			p := fmt.Sprintf("model.layers.%d.", l)
			x := norm(h, get(p+"input_layernorm.weight"))
			q, k, v := product(get(p+"self_attn.q_proj.weight"), x), product(get(p+"self_attn.k_proj.weight"), x), product(get(p+"self_attn.v_proj.weight"), x)
			heads(q, pos, p+"self_attn.q_norm.weight")
			heads(k, pos, p+"self_attn.k_norm.weight")
			caches[l].k, caches[l].v = append(caches[l].k, k), append(caches[l].v, v)
			o := make([]float64, len(q))
			for head := range fakeHeads {
				kv := head * fakeKV / fakeHeads * fakeHead
				probs, sum := make([]float64, pos+1), 0.0
				for s := range probs {
					for i := range fakeHead {
						probs[s] += q[head*fakeHead+i] * caches[l].k[s][kv+i]
					}
					probs[s] = math.Exp(probs[s] / 4) // 4 is the root of fakeHead
					sum += probs[s]
				}
				for s, w := range probs {
					for i := range fakeHead {
						o[head*fakeHead+i] += w / sum * caches[l].v[s][kv+i]
					}
				}
			}
			for i, v := range product(get(p+"self_attn.o_proj.weight"), o) {
				h[i] += v
			}
			x = norm(h, get(p+"post_attention_layernorm.weight"))
			g, u := product(get(p+"mlp.gate_proj.weight"), x), product(get(p+"mlp.up_proj.weight"), x)
			for i := range g {
				g[i] = g[i] / (1 + math.Exp(-g[i])) * u[i]
			}
			for i, v := range product(get(p+"mlp.down_proj.weight"), g) {
				h[i] += v
			}
		}
		var row []float32
		for _, v := range product(get("lm_head.weight"), norm(h, get("model.norm.weight"))) {
			row = append(row, float32(v))
		}
		out = append(out, row)
	}
	return out
}

// fakeArtifacts are compiled once each.
var fakeArtifacts sync.Map // key -> func() (*compiler.Result, error)

// fakeArtifact compiles a random llama in fp32 or a random qwen3 in bf16.
func fakeArtifact(t *testing.T, family string, fuse bool) (string, *fakeCheckpoint) {
	t.Helper()
	c := newCheckpoint(family, map[string]string{"llama": "F32", "qwen3": "BF16"}[family])
	key := fmt.Sprintf("%s fuse=%v", family, fuse)
	dir := filepath.Join(sharedDir(t), "fake", key)
	once, _ := fakeArtifacts.LoadOrStore(key, sync.OnceValues(func() (*compiler.Result, error) {
		from := c.write(t, filepath.Join(t.TempDir(), "checkpoint"))
		return compiler.Compile(t.Context(), compiler.Options{Model: c.model(), Weights: from, Target: "cpu", Out: dir, NoFuse: !fuse})
	}))
	r, err := once.(func() (*compiler.Result, error))()
	if err != nil {
		t.Fatal(err)
	}
	if r.Missing != nil {
		t.Skipf("no compiler: %v", r.Missing)
	}
	return dir, c
}

// TestHuggingFace: checkpoints as transformers saves them, on the kernels fused and unfused and on the reference,
// against a forward pass written here.
func TestHuggingFace(t *testing.T) {
	for _, family := range []string{"llama", "qwen3"} {
		for _, fuse := range []bool{true, false} {
			if testing.Short() && !(fuse && family == "llama") {
				continue
			}
			t.Run(fmt.Sprintf("%s/fuse=%v", family, fuse), func(t *testing.T) {
				t.Parallel()
				dir, c := fakeArtifact(t, family, fuse)
				var ids []int32
				for i := range 75 { // more than one page of KV, and more than one bucket of 64 rows
					ids = append(ids, int32(i*i*31+7*i)%int32(c.vocab))
				}
				want := c.logits(ids)
				llm, err := engine.Open(dir, engine.Options{})
				if err != nil {
					t.Fatal(err)
				}
				defer llm.Close()
				sameLogits(t, "cpu, scored", llm.Model, ids, want)
				decoded(t, llm.Model, ids, want)
				a, err := runtime.OpenArtifact(dir)
				if err != nil {
					t.Fatal(err)
				}
				ref, err := reference.Open(a, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer ref.Close()
				sameLogits(t, "reference", ref, ids, want)
			})
		}
	}
}

const fakeBar = 1e-9 // NMSE of fp32 against float64, through two layers

func sameLogits(t *testing.T, who string, m engine.Model, ids []int32, want [][]float32) {
	t.Helper()
	rows := 0
	err := m.Logits(t.Context(), ids, func(i int, row []float32) error {
		rows++
		if e := nmse(row, want[i]); !(e <= fakeBar) {
			return fmt.Errorf("%s: after token %d the NMSE is %.2g, want at most %g", who, i, e, fakeBar)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	} else if rows != len(ids) {
		t.Errorf("%s: logits after %d tokens, want %d", who, rows, len(ids))
	}
}

// decoded feeds half by prefill and takes the rest token by token.
func decoded(t *testing.T, m engine.Model, ids []int32, want [][]float32) {
	t.Helper()
	if _, err := m.Keep(nil); err != nil {
		t.Fatal(err)
	}
	half := len(ids) / 2
	if err := m.Feed(t.Context(), ids[:half]); err != nil {
		t.Fatal(err)
	}
	for i := half; i < len(ids); i++ {
		next, err := m.Next(ids[i])
		if err != nil {
			t.Fatal(err)
		}
		row, err := m.LastLogits()
		if err != nil {
			t.Fatal(err)
		}
		if e := nmse(row, want[i]); !(e <= fakeBar) || int(next) != argmax(row) {
			t.Fatalf("decoding: after token %d the NMSE is %.2g, want at most %g; next is %d, the largest logit %d", i, e, fakeBar, next, argmax(row))
		}
	}
}

// sameRows holds a file of hiprun logits against what is wanted.
func sameRows(t *testing.T, who, file string, want [][]float32) {
	t.Helper()
	c, err := weights.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	x, ok := c.Tensor("logits")
	if !ok || len(c.Tensors()) != 1 || x.Format.Name != "f32" || x.Rows() != len(want) || x.Cols() != len(want[0]) {
		t.Fatalf("%s: tensors %v", who, c.Tensors())
	}
	row := make([]float32, x.Cols())
	for i := range want {
		if err := x.Row(i, row); err != nil {
			t.Fatal(err)
		}
		if e := nmse(row, want[i]); !(e <= fakeBar) {
			t.Errorf("%s: row %d has an NMSE of %.2g", who, i, e)
		}
	}
}
