package tests

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hipc/compiler"
	"hipc/fusion"
	"hipc/ir"
	"hipc/ir/syntax"
	"hipc/runtime/weights"
)

// TestFusionKeepsMeaning compiles random models and evaluates what comes out of each way: the lowered model on all tokens
// at once; the fused one token by token and in pieces; and the one with fusion off. Each goes through its own text, as
// printed after the pass. All compute with the same operations, so logits must agree bit for bit.
func TestFusionKeepsMeaning(t *testing.T) {
	ids := []int32{3, 0, 32, 7, 7, 19, 1}
	rules := map[string]int{}
	for seed := range uint64(17) {
		text := randomModel(rand.New(rand.NewPCG(seed, 3)))
		file, set := filepath.Join(t.TempDir(), "m.yaml"), map[string]string(nil)
		if seed == 16 { // the rules that only this family uses: packed weights, experts, the delta rule
			text, set = string(readFile(t, qwen36Text)), map[string]string{"L": "4", "V": "33", "d": "256", "H": "4", "KV": "2", "D": "64", "R": "16",
				"HK": "2", "HV": "4", "DK": "64", "DV": "64", "E": "6", "K": "2", "F": "128", "FS": "128"}
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		after := func(pass, bucket string, off bool) *ir.Model {
			s, err := compiler.After(compiler.Options{Model: file, Target: rulesTarget, NoFuse: off, Set: set}, pass, bucket)
			if err != nil {
				t.Fatalf("seed %d: %v in\n%s", seed, err, text)
			}
			for _, r := range fusion.Rules() {
				n := len(callOf(r.Name).FindAllString(s, -1))
				if rules[r.Name] += n; off && n > 0 {
					t.Errorf("seed %d: with fusion off %s is there", seed, r.Name)
				}
			}
			f, err := syntax.Parse("printed", s, syntax.Pos{File: "printed", Line: 1, Col: 1})
			if err != nil {
				t.Fatalf("seed %d: after %s: %v in\n%s", seed, pass, err, s)
			}
			m, err := (&ir.Builder{Fused: fusion.Decls()}).Build("m", f)
			if err != nil {
				t.Fatalf("seed %d: after %s: %v in\n%s", seed, pass, err, s)
			}
			return m
		}
		want := logitsOf(t, after("lower", "decode_1", false), ids, len(ids))
		for _, way := range []struct {
			bucket string
			rows   int
			off    bool
		}{{"decode_1", 1, false}, {"decode_1", 1, true}, {"decode_1_sample", 1, false}, {"score_64", 4, false}, {"score_64", 7, true}} {
			got := logitsOf(t, after("fuse", way.bucket, way.off), ids, way.rows)
			if !sameFloats(got, want) {
				i := furthest(got, want)
				t.Errorf("seed %d, %s, %d rows at once, fusion off %v: logits differ, most at token %d: %g, want %g; of\n%s",
					seed, way.bucket, way.rows, way.off, i*len(ids)/len(want), got[i], want[i], text)
			}
		}
	}
	for _, r := range fusion.Rules() {
		if rules[r.Name] == 0 && !slices.Contains(dearAtSmallDims, r.Name) {
			t.Errorf("no random model uses %s: let randomModel make one that does", r.Name)
		}
	}
}

// dearAtSmallDims are rules that the planner finds too dear at dims that can be evaluated here; at the real ones they fire,
// as TestRulesFire sees, and TestRulesMatchTheirBodies holds their meaning.
var dearAtSmallDims = []string{"gated_norm", "gdn_norm_rotate", "swiglu_each_rotate", "experts_down_norm", "experts_sum"}

// logitsOf evaluates a model on tokens, some rows at a time, with weights that follow from their names.
func logitsOf(t *testing.T, m *ir.Model, ids []int32, rows int) []float32 {
	t.Helper()
	known := map[string]*ir.Tensor{}
	w := &ir.World{Sample: &ir.Sampling{Temperature: 1, TopP: 1, Penalty: 1}}
	w.Weight = func(x *ir.Weight, typ ir.Type, layer int) (*ir.Tensor, error) {
		name := ir.Put(x.Path, layer)
		if f, _ := weights.FormatByName(string(typ.Elem)); f.Rotates() {
			return &ir.Tensor{Type: typ, Rows: 1, Rotation: weights.ReadRotation(f, weights.Random(f, 1, typ.Last(), name, 0, 4))}, nil
		}
		if known[name] == nil {
			h := fnv.New64a()
			fmt.Fprint(h, name)
			v := randomRows(ir.Of(ir.Act, typ.Size()), 1, rand.New(rand.NewPCG(h.Sum64(), 4)))
			for i := range v.Data {
				v.Data[i] /= 8
			}
			known[name] = v
		}
		return &ir.Tensor{Type: typ, Rows: 1, Data: known[name].Data}, nil
	}
	var out []float32
	for i := 0; i < len(ids); i += rows {
		got, err := m.Eval(w, ids[i:min(i+rows, len(ids))])
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, got[0].Data...)
	}
	return out
}

// randomModel is a small model: some layers of one or two kinds, grouped queries, norms before, after or around, each
// weight in a format of its own; now and then with something that a rule almost covers, and must not.
func randomModel(r *rand.Rand) string {
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	format := func() string { return pick("f32", "f16", "bf16", "q4_0", "q4_1", "q8_0") }
	kv := 1 + r.IntN(3)
	var b strings.Builder
	fmt.Fprintf(&b, "model: random\ndims: {d: hidden_size = %d, L: layers = %d, V: vocab = 33, F: inner = %d, H: heads = %d, KV: kv_heads = %d, D: head = %d}\n",
		32*(1+r.IntN(3)), 1+r.IntN(4), 32*(1+r.IntN(3)), kv*(1+r.IntN(4)), kv, 32*(1+r.IntN(2)))
	fmt.Fprintf(&b, "reals: {eps: eps = %s, theta: theta = 1e4}\nweights:\n", pick("1e-5", "1e-6"))
	fmt.Fprintf(&b, "  formats: {\"*\": %s, q_proj: %s, v_proj: %s, up_proj: %s, embed_tokens: %s}\n", format(), format(), format(), format(), format())
	if r.IntN(2) == 0 {
		b.WriteString("  from: {lm_head: embed_tokens}\n")
	}
	norm := pick("rmsnorm(x, w, eps)", "rmsnorm(x, 1 + w, eps)")
	fmt.Fprintf(&b, "graph: |\n  block norm(x, w) = %s\n", norm)
	kinds := []string{"layer"}
	if r.IntN(2) == 0 {
		kinds = append(kinds, "other")
	}
	for _, k := range kinds {
		q, key := "linear(x, @q_proj[H, D])", "linear(x, @k_proj[KV, D])"
		if r.IntN(2) == 0 {
			q, key = "norm("+q+", @q_norm)", "norm("+key+", @k_norm)"
		}
		width := pick("", "", ", width=16")
		attention := fmt.Sprintf("linear(attend(rope(%s, theta%s), rope(%s, theta%s), linear(x, @v_proj[KV, D])%s), @o_proj[d])",
			q, width, key, pick(width, width, ", width=32"), pick("", "", ", window=3", ", scale=0.25"))
		gated := "= linear(silu(linear(x, @gate_proj[F])) * linear(x, @up_proj[F]), @down_proj[d])"
		mlp := pick(gated, gated, gated,
			"= linear(silu(linear(x, @gate_proj[F])) * linear(x / 2, @up_proj[F]), @down_proj[d])",                             // two operands, where the rule has one
			"{\n    g = linear(x, @gate_proj[F])\n    return linear(silu(g) * linear(x, @up_proj[F]) + g, @down_proj[d])\n  }", // an inner value is read again
			"= linear(gelu_tanh(linear(x, @gate_proj[F])) * linear(x, @up_proj[F]), @down_proj[d])",
			"= linear(gelu(linear(x, @up_proj[F])), @down_proj[d])")
		around := pick("BLOCK(norm(h, @NAME_norm))", "BLOCK(norm(h, @NAME_norm))", "0.5 * BLOCK(norm(h, @NAME_norm))",
			"norm(BLOCK(norm(h, @NAME_norm)), @post_NAME_norm)", "norm(BLOCK(h), @post_NAME_norm)")
		add := func(name string) string {
			return "h += " + strings.NewReplacer("BLOCK", k+"_"+name, "NAME", name).Replace(around)
		}
		fmt.Fprintf(&b, "  block %s_attention(x) at self_attn = %s\n  block %s_mlp(x) at mlp %s\n", k, attention, k, mlp)
		fmt.Fprintf(&b, "  block %s(h) {\n    %s\n    %s\n    return h\n  }\n", k, add("attention"), add("mlp"))
	}
	fmt.Fprintf(&b, "  h = embed(token, @embed_tokens[V, d])\n  repeat h through layers[L]: %s\n", strings.Join(kinds, ", "))
	b.WriteString("  logits = linear(norm(pick(h), @norm), @lm_head[V])\n")
	return b.String()
}
