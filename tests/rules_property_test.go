package tests

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hipc/compiler"
	"hipc/fusion"
	"hipc/ir"
	"hipc/ir/syntax"
	"hipc/kernels"
	"hipc/runtime/weights"
)

// TestFusionKeepsMeaning compiles random models and evaluates what comes out of each way: the lowered model on all tokens
// at once; the fused one token by token and in pieces; and the one with fusion off. Each goes through its own text, as
// printed after the pass. All compute with the same operations, so logits must agree bit for bit.
//
// What pays at real sizes may not at those that can be evaluated here, and any plan has to be right, not only those that pay on
// today's machines: so each model is also planned with prices drawn at random, and in the end every rule must have been used.
func TestFusionKeepsMeaning(t *testing.T) {
	ids := []int32{3, 0, 32, 7, 7, 19, 1}
	rules := map[string]int{}
	// The rules that only these families use: packed weights, experts with and without a shared one, the delta rule.
	families := []struct {
		model string
		set   map[string]string
	}{
		{qwen36Text, map[string]string{"L": "4", "V": "33", "d": "256", "H": "4", "KV": "2", "D": "64", "R": "16",
			"HK": "2", "HV": "4", "DK": "64", "DV": "64", "E": "6", "K": "2", "F": "128", "FS": "128"}},
		{"../models/qwen3-moe.yaml", map[string]string{"L": "2", "V": "33", "d": "64", "H": "4", "KV": "2", "D": "32", "E": "6", "K": "2", "F": "64"}},
	}
	const random = 16
	for seed := range uint64(random + len(families)) {
		text := randomModel(rand.New(rand.NewPCG(seed, 3)))
		file, set, draws := filepath.Join(t.TempDir(), "m.yaml"), map[string]string(nil), uint64(1)
		if seed >= random {
			f := families[seed-random]
			text, set, draws = string(readFile(t, f.model)), f.set, 4
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		read := func(s, pass string) *ir.Model {
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
		count := func(s string, off bool) {
			for _, r := range fusion.Rules() {
				n := len(callOf(r.Name).FindAllString(s, -1))
				if rules[r.Name] += n; off && n > 0 {
					t.Errorf("seed %d: with fusion off %s is there", seed, r.Name)
				}
			}
		}
		after := func(pass, bucket string, off bool) *ir.Model {
			s, err := compiler.After(compiler.Options{Model: file, Target: rulesTarget, NoFuse: off, Set: set}, pass, bucket)
			if err != nil {
				t.Fatalf("seed %d: %v in\n%s", seed, err, text)
			}
			count(s, off)
			return read(s, pass)
		}
		want := logitsOf(t, after("lower", "decode_1", false), ids, len(ids))
		same := func(m *ir.Model, rows int, how string) {
			got := logitsOf(t, m, ids, rows)
			if !sameFloats(got, want) {
				i := furthest(got, want)
				t.Errorf("seed %d, %s, %d rows at once: logits differ, most at token %d: %g, want %g; of\n%s",
					seed, how, rows, i*len(ids)/len(want), got[i], want[i], text)
			}
		}
		for _, way := range []struct {
			bucket string
			rows   int
			off    bool
		}{{"decode_1", 1, false}, {"decode_1", 1, true}, {"decode_1_sample", 1, false}, {"score_64", 4, false}, {"score_64", 7, true}} {
			same(after("fuse", way.bucket, way.off), way.rows, fmt.Sprintf("%s, fusion off %v", way.bucket, way.off))
		}
		for draw := range draws * uint64(len(ruleTargets)) {
			target := ruleTargets[draw%uint64(len(ruleTargets))]
			for i, bucket := range []string{"decode_1", "score_64"} {
				rows := []int{1, 64}[i]
				o, err := fusion.For(target, kernels.Dims{T: rows, S: 1, C: 64, P: 64}, rows)
				if err != nil {
					t.Fatal(err)
				}
				o.Coster = randomPrices{seed, draw}
				p, _, err := fusion.PlanModel(after("bucket", bucket, false), o)
				if err != nil {
					t.Fatalf("seed %d, %s: %v in\n%s", seed, target, err, text)
				}
				count(p.String(), false)
				same(read(p.String(), "fuse"), min(rows, 5), fmt.Sprintf("%s, prices of %s drawn %d times", bucket, target, draw+1))
			}
		}
	}
	for _, r := range fusion.Rules() {
		if rules[r.Name] == 0 {
			t.Errorf("no random model uses %s: let randomModel make one that does, or draw more prices", r.Name)
		}
	}
}

// randomPrices are prices that depend on a kernel's name alone, by two orders of magnitude, and say that some fill the machine and some don't.
type randomPrices struct{ seed, draw uint64 }

func (p randomPrices) Load(s kernels.Step) kernels.Load {
	h := fnv.New64a()
	fmt.Fprint(h, s.Node.Op.Name)
	r := rand.New(rand.NewPCG(h.Sum64(), p.seed<<8|p.draw))
	busy := 1e-6 * math.Pow(100, r.Float64())
	return kernels.Load{Step: s, Busy: busy, Alone: busy * (1 + 3*r.Float64())}
}

func (randomPrices) Launch(steps ...kernels.Load) float64 {
	var busy, alone float64
	for _, l := range steps {
		busy, alone = busy+l.Busy, max(alone, l.Alone)
	}
	return max(busy, alone) + 2e-6
}

// randomWorld has weights that follow from their names.
func randomWorld() *ir.World {
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
	return w
}

// logitsOf evaluates a model on tokens, some rows at a time, in a world of random weights.
func logitsOf(t *testing.T, m *ir.Model, ids []int32, rows int) []float32 {
	t.Helper()
	w := randomWorld()
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
	fmt.Fprintf(&b, "  h = embed(token, @embed_tokens[V, d])%s\n  repeat h through layers[L]: %s\n", pick("", "", " * sqrt(d)"), strings.Join(kinds, ", "))
	b.WriteString("  logits = linear(norm(pick(h), @norm), @lm_head[V])\n")
	return b.String()
}
