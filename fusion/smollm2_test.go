package fusion

import (
	"testing"

	"hipc/ir"
	"hipc/ir/syntax"
	"hipc/kernels"
)

const smollm2 = `
block norm(x, w) = rmsnorm(x, w, eps)
block attention(x) at self_attn {
  q = rope(linear(x, @q_proj[H, D]), theta)
  k = rope(linear(x, @k_proj[KV, D]), theta)
  v = linear(x, @v_proj[KV, D])
  return linear(attend(q, k, v), @o_proj[d])
}
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

var smollm2Dims = map[string]float64{"d": 576, "L": 30, "V": 49152, "H": 9, "KV": 3, "D": 64, "F": 1536, "eps": 1e-5, "theta": 1e5}

// build reads a model's text and lowers it.
func build(t *testing.T, text string, dims map[string]float64) *ir.Model {
	t.Helper()
	f, err := syntax.Parse("model", text, syntax.Pos{File: "model", Line: 1, Col: 1})
	if err != nil {
		t.Fatal(err)
	}
	m, err := (&ir.Builder{Nums: dims, Resolve: func(_ int, path string, _ []int, _ syntax.Pos) (ir.Elem, string, error) { return "q4_1", path, nil }}).Build("m", f)
	if err != nil {
		t.Fatal(err)
	}
	if m, err = LowerModel(m); err != nil {
		t.Fatal(err)
	}
	if m.End, err = AddTail(m.End, "argmax"); err != nil {
		t.Fatal(err)
	}
	if err := m.Verify(); err != nil {
		t.Fatal(err)
	}
	return m
}

func decode(t *testing.T) Options {
	t.Helper()
	o, err := For("cpu_v4", kernels.Dims{T: 1, S: 1, C: 2048, P: 64}, 1)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestShow(t *testing.T) {
	m := build(t, smollm2, smollm2Dims)
	p, r, err := PlanModel(m, decode(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Verify(); err != nil {
		t.Fatal(err)
	}
	t.Log(p, r)
}
