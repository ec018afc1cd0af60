package tests

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"hipc/compiler"
	"hipc/ir"
	"hipc/runtime/engine"
	"hipc/runtime/weights"
)

// Qwen3.5-MoE with random weights, in bf16 and in packed W4, against transformers' fp32 results (testdata/qwen35moe_b*).

const qwen36Text = "../models/qwen3.6-35b-a3b.yaml"

// qwen36Artifact compiles a checkpoint for the better target of this machine.
func qwen36Artifact(t *testing.T, weights, name string, fuse bool) string {
	t.Helper()
	return compiledOnce(t, fmt.Sprint(name, " fuse=", fuse), compiler.Options{Model: qwen36Text, Weights: weights, NoFuse: !fuse, Context: 2048})
}

// qwen36Models are the ways of running a checkpoint that must agree.
func qwen36Models(t *testing.T, weights, name string) map[string]engine.Model {
	t.Helper()
	ms := map[string]engine.Model{"fused": opened(t, qwen36Artifact(t, weights, name, true)), "reference": interpreted(t, qwen36Artifact(t, weights, name, true))}
	if !testing.Short() { // 25 s of c++
		ms["unfused"] = opened(t, qwen36Artifact(t, weights, name, false))
	}
	return ms
}

var qwen36Checkpoints = []string{"qwen35moe_b", "qwen35moe_b_paro"}

// TestQwen36Logits: all positions of four prompts, and 16 greedy tokens.
func TestQwen36Logits(t *testing.T) {
	for _, name := range qwen36Checkpoints {
		golden := openGolden(t, name, "golden")
		if testing.Short() && name != "qwen35moe_b_paro" {
			continue
		}
		for way, m := range qwen36Models(t, "testdata/"+name, name) {
			worst := 0.0
			for p := range 4 {
				ids := ints(t, golden, fmt.Sprintf("p%d.ids", p))
				want := floats(t, golden, fmt.Sprintf("p%d.logits", p))
				restart(t, m)
				err := m.Logits(t.Context(), ids, func(i int, logits []float32) error {
					for j, x := range logits {
						worst = max(worst, math.Abs(float64(x-want[i*len(logits)+j])))
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				if got, want := greedy(t, m, ids, 16), ints(t, golden, fmt.Sprintf("p%d.greedy", p)); !slices.Equal(got, want) {
					t.Errorf("%s %s, prompt %d: greedy %v, the golden has %v", name, way, p, got, want)
				}
			}
			t.Logf("%s %s: largest difference of a logit %.2g", name, way, worst)
			if !(worst <= 1e-3) {
				t.Errorf("%s %s: logits differ by up to %.3g, bar 1e-3", name, way, worst)
			}
		}
	}
}

// TestQwen36Chunks: a prompt of 200 in one prefill, in chunks of 64 and of 7, and token by token leads to the same logits.
func TestQwen36Chunks(t *testing.T) {
	for _, name := range qwen36Checkpoints {
		golden := openGolden(t, name, "golden")
		ids := ints(t, golden, "p3.ids")
		all := floats(t, golden, "p3.logits")
		want := all[len(all)-320:]
		if testing.Short() && name != "qwen35moe_b_paro" {
			continue
		}
		for way, m := range qwen36Models(t, "testdata/"+name, name) {
			for _, chunk := range []int{len(ids), 64, 7, 1} {
				restart(t, m)
				for rest := ids[:len(ids)-1]; len(rest) > 0; {
					n := min(chunk, len(rest))
					if err := m.Feed(t.Context(), rest[:n]); err != nil {
						t.Fatal(err)
					}
					rest = rest[n:]
				}
				if _, err := m.Next(ids[len(ids)-1]); err != nil {
					t.Fatal(err)
				}
				got, err := m.LastLogits()
				if err != nil {
					t.Fatal(err)
				}
				worst := 0.0
				for i := range want {
					worst = max(worst, math.Abs(float64(got[i]-want[i])))
				}
				if !(worst <= 1e-3) {
					t.Errorf("%s %s in chunks of %d: logits differ by up to %.3g, bar 1e-3", name, way, chunk, worst)
				}
			}
		}
	}
}

// TestQwen36Trace holds the oracle's values inside of layers 0 and 3, and its conv and recurrent states, against the
// modules' own outputs.
func TestQwen36Trace(t *testing.T) {
	for _, name := range qwen36Checkpoints {
		trace := openGolden(t, name, "trace_p1")
		ids := ints(t, openGolden(t, name, "golden"), "p1.ids")
		m, w := oracle(t, qwen36Text, "testdata/"+name)
		seen := map[string][]float32{}
		w.Trace = func(layer int, v *ir.Value, x *ir.Tensor) { seen[fmt.Sprintf("%d.%s", layer, v.Name)] = x.Data }
		if _, err := m.Eval(w, ids); err != nil {
			t.Fatal(err)
		}
		for value, tensor := range map[string]string{
			"0.input_layernorm":          "layers.0.input_layernorm.out",
			"0.in_proj_qkv":              "layers.0.linear_attn.in_proj_qkv.out",
			"0.z":                        "layers.0.linear_attn.in_proj_z.out",
			"0.beta":                     "layers.0.linear_attn.rule.beta",
			"0.g":                        "layers.0.linear_attn.rule.g",
			"0.v":                        "layers.0.linear_attn.rule.v",
			"0.o":                        "layers.0.linear_attn.rule.core_out",
			"0.norm_mul":                 "layers.0.linear_attn.norm.out",
			"0.out_proj":                 "layers.0.linear_attn.out_proj.out",
			"0.post_attention_layernorm": "layers.0.post_attention_layernorm.out",
			"0.shared_expert_gate":       "layers.0.mlp.shared_expert_gate.out",
			"0.down_proj":                "layers.0.mlp.shared_expert.out",
			"0.w_mul_sum":                "layers.0.mlp.experts.out",
			"0.w":                        "layers.0.mlp.gate.out1",
			"3.input_layernorm":          "layers.3.input_layernorm.out",
			"3.q_proj":                   "layers.3.self_attn.q_proj.out",
			"3.q_norm":                   "layers.3.self_attn.q_norm.out",
			"3.k_norm":                   "layers.3.self_attn.k_norm.out",
			"3.v":                        "layers.3.self_attn.v_proj.out",
			"3.o_proj":                   "layers.3.self_attn.o_proj.out",
			"3.w_mul_sum_add":            "layers.3.mlp.out",
			"-1.norm":                    "norm.out",
		} {
			near(t, name+" "+value, seen[value], floats(t, trace, tensor), 1e-4)
		}
		// transformers keeps four columns of inputs, oldest first; three are the state.
		conv := floats(t, trace, "layers.0.cache.conv_state")
		channels := len(conv) / 4
		var got, want []float32
		for j, row := range w.States["layers.0.linear_attn.conv"].(*ir.Conv).Rows {
			for c, x := range row {
				got, want = append(got, x), append(want, conv[c*4+j+1])
			}
		}
		if len(got) != 3*channels {
			t.Errorf("%s: the conv state has %d values, want %d", name, len(got), 3*channels)
		}
		near(t, name+" conv state", got, want, 1e-4)
		near(t, name+" recurrent state", w.States["layers.0.linear_attn.delta"].(*ir.Delta).S, floats(t, trace, "layers.0.cache.recurrent_state"), 1e-4)
	}
}

// TestQwen36Hidden: the input of each layer and the final norm's result, on 64 tokens.
func TestQwen36Hidden(t *testing.T) {
	for _, name := range qwen36Checkpoints {
		golden := openGolden(t, name, "golden")
		want := floats(t, golden, "p2.hidden")
		n := len(want) / 5
		m, w := oracle(t, qwen36Text, "testdata/"+name)
		seen := map[string][]float32{}
		w.Trace = func(layer int, v *ir.Value, x *ir.Tensor) { seen[fmt.Sprintf("%d.%s", layer, v.Name)] = x.Data }
		if _, err := m.Eval(w, ints(t, golden, "p2.ids")); err != nil {
			t.Fatal(err)
		}
		for k, value := range []string{"-1.h", "0.h_3", "1.h_3", "2.h_3", "-1.norm"} {
			near(t, fmt.Sprintf("%s hidden %d", name, k), seen[value], want[k*n:(k+1)*n], 5e-4)
		}
	}
}

// TestLinearCases: two packed projections, inputs and results given, to 1e-6 of the largest result.
func TestLinearCases(t *testing.T) {
	cases := openGolden(t, "qwen35moe_b_paro", "linear_cases")
	_, w := oracle(t, qwen36Text, "testdata/qwen35moe_b_paro")
	for path, dims := range map[string][]int{"layers.0.linear_attn.in_proj_qkv": {512, 256}, "layers.3.self_attn.o_proj": {256, 512}} {
		x, rotated, y := floats(t, cases, path+".x"), floats(t, cases, path+".x_rot"), floats(t, cases, path+".y")
		rot, err := w.Weight(&ir.Weight{Path: path + ".rot"}, ir.Of("rot_128", dims[1]), 0)
		if err != nil {
			t.Fatal(err)
		}
		q4, err := w.Weight(&ir.Weight{Path: path + ".q4"}, ir.Of("i4_128", dims...), 0)
		if err != nil {
			t.Fatal(err)
		}
		row, turned := make([]float32, dims[1]), make([]float32, dims[1])
		for r := range 3 {
			rot.Rotation.Turn(x[r*dims[1]:(r+1)*dims[1]], turned)
			near(t, path+" rotated", turned, rotated[r*dims[1]:(r+1)*dims[1]], 1e-6)
			got := make([]float32, dims[0])
			for i := range got {
				q4.Weight.Row(i, row)
				sum := 0.0
				for k := range row {
					sum += float64(row[k]) * float64(turned[k])
				}
				got[i] = float32(sum)
			}
			near(t, path+" product", got, y[r*dims[0]:(r+1)*dims[0]], 1e-6)
		}
	}
}

// near compares with a tolerance relative to the largest value wanted.
func near(t *testing.T, what string, got, want []float32, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	worst, top := 0.0, 0.0
	for i := range want {
		worst = max(worst, math.Abs(float64(got[i]-want[i])))
		top = max(top, math.Abs(float64(want[i])))
	}
	if !(worst <= tolerance*top) {
		t.Errorf("%s: differs by up to %.3g of %.3g, bar %g", what, worst, top, tolerance)
	}
}

func openGolden(t *testing.T, name, file string) *weights.Checkpoint {
	t.Helper()
	c, err := weights.Open("testdata/" + name + "/" + file + ".safetensors")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func restart(t *testing.T, m engine.Model) {
	t.Helper()
	if _, err := m.Keep(nil); err != nil {
		t.Fatal(err)
	}
}

// oracle is a model as its text and checkpoint say, lowered and interpreted, with no artifact between.
func oracle(t *testing.T, text, checkpoint string) (*ir.Model, *ir.World) {
	t.Helper()
	m, w, done, err := compiler.Oracle(context.Background(), compiler.Options{Model: text, Weights: checkpoint, Target: "reference"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(done)
	return m, w
}

// tinyW4 is a small trained model whose licence keeps it out of this tree; HIPC_TINY_W4 or ../shared says where it lies.
func tinyW4(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("HIPC_TINY_W4")
	if dir == "" {
		dir = "../../shared/golden/tiny_w4"
	}
	if _, err := os.Stat(filepath.Join(dir, "model.safetensors")); err != nil {
		t.Skipf("the trained W4 model isn't here (set HIPC_TINY_W4 to its folder): %v", err)
	}
	return dir
}

// TestTinyW4: where logits mean something. 16-bit bars on the shipped path, fp32's on the reference.
func TestTinyW4(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: the random model in the same format is run")
	}
	dir := tinyW4(t)
	c, err := weights.Open(filepath.Join(dir, "golden.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for way, m := range qwen36Models(t, dir, "tiny_w4") {
		if way == "reference" {
			holdTinyW4(t, way, m, c, 1e-5, 1, 33, 256)
		} else {
			holdTinyW4(t, way, m, c, 2e-3, 1, 33, 256, 700)
		}
	}
}

// TestTinyW4ThroughHIP: one of its prompts in gfx1100 code, through the stand-in for HIP.
func TestTinyW4ThroughHIP(t *testing.T) {
	dir := tinyW4(t) // before the stand-in's process, which would only skip
	if !inStandin(t) {
		return
	}
	c, err := weights.Open(filepath.Join(dir, "golden.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r, err := compiler.Compile(t.Context(), compiler.Options{Model: qwen36Text, Weights: dir, Target: "gfx1100", Out: filepath.Join(t.TempDir(), "artifact"), Context: 256})
	if err != nil {
		t.Fatal(err)
	}
	if r.Missing != nil {
		t.Skipf("no compiler: %v", r.Missing)
	}
	llm, err := engine.Open(r.Dir, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer llm.Close()
	holdTinyW4(t, "gfx1100 through HIP", llm.Model, c, 2e-3, 33)
}

// holdTinyW4 holds a model's predictions of the golden's prompts of these lengths against the golden's.
func holdTinyW4(t *testing.T, way string, m engine.Model, golden *weights.Checkpoint, bar float64, lengths ...int) {
	t.Helper()
	var kl float64
	var same, all int
	for _, n := range lengths {
		ids, pos := ints(t, golden, fmt.Sprintf("ids_%d", n)), ints(t, golden, fmt.Sprintf("pos_%d", n))
		want, best := floats(t, golden, fmt.Sprintf("logits_%d", n)), ints(t, golden, fmt.Sprintf("argmax_%d", n))
		at := map[int]int{}
		for i, p := range pos {
			at[int(p)] = i
		}
		restart(t, m)
		err := m.Logits(t.Context(), ids, func(i int, logits []float32) error {
			if argmax(logits) == int(best[i]) {
				same++
			}
			all++
			if k, ok := at[i]; ok {
				kl += fullDivergence(want[k*len(logits):(k+1)*len(logits)], logits) / float64(len(pos)) / float64(len(lengths))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%s: mean KL %.2g, top-1 %d of %d", way, kl, same, all)
	if !(kl <= bar) || float64(same) < 0.99*float64(all) {
		t.Errorf("%s: mean KL %.3g (bar %g), top-1 %d of %d (bar 99 %%)", way, kl, bar, same, all)
	}
}

func fullDivergence(p, q []float32) float64 {
	lse := func(x []float32) float64 {
		top, sum := float64(x[argmax(x)]), 0.0
		for _, v := range x {
			sum += math.Exp(float64(v) - top)
		}
		return top + math.Log(sum)
	}
	a, b, kl := lse(p), lse(q), 0.0
	for i := range p {
		d := float64(p[i]) - a
		kl += math.Exp(d) * (d - float64(q[i]) + b)
	}
	return kl
}
