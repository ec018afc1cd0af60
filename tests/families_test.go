package tests

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hipc/compiler"
	"hipc/runtime"
	"hipc/runtime/engine"
	"hipc/runtime/plan"
	"hipc/runtime/reference"
	"hipc/runtime/weights"
)

// familyCheckpoints are tiny random checkpoints as transformers writes them, with what it computes with them in fp32
// (testdata/families/make.py), and the model text that is to read each as it is.
var familyCheckpoints = map[string]string{
	"llama": "llama", "mistral": "mistral", "qwen3": "qwen3", "qwen3-moe": "qwen3-moe", "gemma3": "gemma3", "gemma3-v4": "gemma3",
	"phi3": "phi3", "qwen3-yarn": "qwen3", "phi3-longrope": "phi3", "olmo2": "olmo2", "qwen3.6-dense": "qwen3.6-dense",
}

func familyText(name string) string { return "../models/" + familyCheckpoints[name] + ".yaml" }

// TestFamilies: logits at every position of prompts of 1, 7 and 40 tokens, at once, in chunks and token by token, and 16
// greedy ids, on the reference and on the cpu, fused and unfused.
func TestFamilies(t *testing.T) {
	for name := range familyCheckpoints {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name != "llama" && name != "gemma3" {
				t.Skip("-short: two families are run")
			}
			golden := familyGolden(t, name)
			fused := familyArtifact(t, familyText(name), name, true)
			t.Run("reference", func(t *testing.T) { agrees(t, interpreted(t, fused.Dir), golden) })
			t.Run("fused", func(t *testing.T) { agrees(t, familyModel(t, fused), golden) })
			t.Run("unfused", func(t *testing.T) {
				if testing.Short() {
					t.Skip("-short: the fused plan is run")
				}
				agrees(t, familyModel(t, familyArtifact(t, familyText(name), name, false)), golden)
			})
		})
	}
}

// TestOddCheckpoints: what no published model has: experts whose weights aren't renormed, six of them and no power of two; linear heads of 12
// and 10, a convolution of 3, an attention layer first; three query heads of 6 on one key head; tied heads.
func TestOddCheckpoints(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: two families are run")
	}
	for name, family := range map[string]string{"odd-moe": "qwen3-moe", "odd-hybrid": "qwen3.6-dense"} {
		t.Run(name, func(t *testing.T) {
			r := familyArtifact(t, "../models/"+family+".yaml", name, true)
			t.Run("reference", func(t *testing.T) { agrees(t, interpreted(t, r.Dir), familyGolden(t, name)) })
			t.Run("fused", func(t *testing.T) { agrees(t, familyModel(t, r), familyGolden(t, name)) })
		})
	}
}

// TestFamilyGoldensTell bends each text in the ways in which someone could have written it wrong: the goldens notice.
func TestFamilyGoldensTell(t *testing.T) {
	t.Setenv("PATH", "") // no compiler: the reference doesn't need one
	for _, c := range []struct{ name, old, new string }{
		{"llama", ", factor=factor", ", factor=1"},
		{"llama", "low=low", "low=high"},
		{"llama", "original=original", "original=0"},
		{"mistral", "window=W", "window=0"},
		{"mistral", "window=W", "window=W+1"},
		{"qwen3", "turn(rmsnorm(linear(x, @q_proj[H, D]), @q_norm, eps))", "rmsnorm(turn(linear(x, @q_proj[H, D])), @q_norm, eps)"},
		{"qwen3-moe", "layer[N], raw[1-N]", "raw"},
		{"gemma3", "1 + w", "w"},
		{"gemma3", "gelu_tanh", "gelu"},
		{"gemma3", "1 / sqrt(query)", "1 / sqrt(D)"},
		{"gemma3", " * sqrt(d)", " * 9.8125"}, // what bf16 makes of it
		{"gemma3", "factor=factor", "factor=1"},
		{"gemma3", "local_theta, 1, W", "theta, 1, W"},
		{"gemma3", "local_theta, 1, W", "local_theta, 1, 0"},
		{"gemma3", " by layer_types {sliding_attention: local, full_attention: global}", ""},
		{"gemma3-v4", "P: sliding_window_pattern | 6", "P: 6"},
		{"phi3", "R: D * partial_rotary_factor | D", "R: D"},
		{"qwen3-yarn", "ramp=1", "ramp=0"},
		{"qwen3-yarn", "gain=gain", "gain=1"},
		{"qwen3-yarn", "low=low, high=high", "low=low, high=low"},
		{"qwen3-yarn", "factor=factor", "factor=1"},
		{"phi3-longrope", "R, factor, gain=gain", "R, factor"},
		{"phi3-longrope", "R, factor, gain=gain", "R, gain=gain"},
		{"phi3-longrope", "long_factor if context > original | short_factor", "long_factor"},
		{"phi3", "k_proj: rows(qkv_proj, H*D)\n    v_proj: rows(qkv_proj, (H + KV)*D)", "v_proj: rows(qkv_proj, H*D)\n    k_proj: rows(qkv_proj, (H + KV)*D)"},
		{"olmo2", "@q_norm[H, D]", "@q_norm[H, D] * 1.1"},
	} {
		text := string(readFile(t, familyText(c.name)))
		bent := strings.Replace(text, c.old, c.new, -1)
		if bent == text {
			t.Errorf("%s has no %q", familyText(c.name), c.old)
			continue
		}
		file := filepath.Join(t.TempDir(), "bent.yaml")
		if err := os.WriteFile(file, []byte(bent), 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := compiler.Compile(t.Context(), compiler.Options{Model: file, Weights: "testdata/families/" + c.name, Target: "cpu", Out: file + ".out"})
		if err != nil {
			t.Errorf("%s, %q for %q: refused: %v", c.name, c.new, c.old, err)
			continue
		}
		if d := difference(t, interpreted(t, r.Dir), familyGolden(t, c.name), 40, 40); d < 2e-3 {
			t.Errorf("%s, %q for %q: logits differ by no more than %.2g", c.name, c.new, c.old, d)
		}
	}
}

// TestLongContext: with more than its original context a LongRoPE model has its other frequencies, as in transformers for a
// prompt as long; without --context it's compiled for the original one.
func TestLongContext(t *testing.T) {
	const name = "phi3-longrope"
	compile := func(asked int) *compiler.Result {
		r, err := compiler.Compile(t.Context(), compiler.Options{Model: familyText(name), Weights: "testdata/families/" + name, Target: "cpu",
			Out: filepath.Join(t.TempDir(), "out"), Context: asked})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	long := compile(128)
	for _, m := range []engine.Model{interpreted(t, long.Dir), familyModel(t, long)} {
		if d := difference(t, m, familyGolden(t, name), 80, 33); !(d <= 1e-3) {
			t.Errorf("80 tokens: logits differ by up to %.3g", d)
		}
	}
	t.Setenv("PATH", "") // the reference needs no compiler
	for _, asked := range []int{0, 64} {
		r := compile(asked)
		if r.Plan.Context != 64 {
			t.Errorf("--context %d: a context of %d, want 64", asked, r.Plan.Context)
		}
		if d := difference(t, interpreted(t, r.Dir), familyGolden(t, name), 40, 40); !(d <= 1e-3) {
			t.Errorf("--context %d, 40 tokens: logits differ by up to %.3g", asked, d)
		}
	}
}

// TestFamilySpellings: the keys of transformers 4 and 5 give the same graph.
func TestFamilySpellings(t *testing.T) {
	for name, change := range map[string]func(c map[string]any){
		"llama": func(c map[string]any) {
			r := c["rope_scaling"].(map[string]any)
			r["rope_theta"] = c["rope_theta"]
			c["rope_parameters"] = r
			delete(c, "rope_scaling")
			delete(c, "rope_theta")
		},
		"mistral": func(c map[string]any) { c["head_dim"] = 16 },
		"qwen3": func(c map[string]any) {
			c["rope_theta"] = 10000.0
			c["rope_scaling"] = nil
			delete(c, "rope_parameters")
		},
		"qwen3-moe": func(c map[string]any) { c["num_local_experts"] = c["num_experts"]; delete(c, "num_experts") },
		"gemma3": func(c map[string]any) {
			r := c["rope_parameters"].(map[string]any)
			full, local := r["full_attention"].(map[string]any), r["sliding_attention"].(map[string]any)
			c["rope_theta"], c["rope_local_base_freq"] = full["rope_theta"], local["rope_theta"]
			c["rope_scaling"] = map[string]any{"rope_type": "linear", "factor": full["factor"]}
			c["sliding_window_pattern"] = 3
			delete(c, "layer_types")
			delete(c, "rope_parameters")
		},
		"gemma3-v4": func(c map[string]any) { // as a part of a model that sees, too
			text := map[string]any{}
			for k, v := range c {
				text[k] = v
				delete(c, k)
			}
			c["model_type"], c["text_config"] = "gemma3", text
		},
		"phi3": func(c map[string]any) {
			c["rope_parameters"] = map[string]any{"rope_type": "default", "rope_theta": c["rope_theta"], "partial_rotary_factor": c["partial_rotary_factor"]}
			for _, k := range []string{"rope_theta", "rope_scaling", "partial_rotary_factor"} {
				delete(c, k)
			}
		},
		"olmo2": func(c map[string]any) { c["rope_theta"] = 10000.0; delete(c, "rope_parameters") },
	} {
		from := "testdata/families/" + name
		files, err := os.ReadDir(from)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		for _, f := range files {
			data := readFile(t, filepath.Join(from, f.Name()))
			if f.Name() == "config.json" {
				var c map[string]any
				if err := json.Unmarshal(data, &c); err != nil {
					t.Fatal(err)
				}
				change(c)
				data, _ = json.Marshal(c)
			}
			if err := os.WriteFile(filepath.Join(dir, f.Name()), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := compiler.After(compiler.Options{Model: familyText(name), Weights: from, Target: "cpu"}, "elaborate", "")
		if err != nil {
			t.Fatal(err)
		}
		got, err := compiler.After(compiler.Options{Model: familyText(name), Weights: dir, Target: "cpu"}, "elaborate", "")
		if err != nil || got != want {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, err, got, want)
		}
	}
}

// TestPublishedSizes: without weights the texts have the sizes of what was published: the parameters that the hub counts.
func TestPublishedSizes(t *testing.T) {
	t.Setenv("PATH", "")
	for name, want := range map[string]int{
		"llama":     1_235_814_400,  // Llama-3.2-1B
		"mistral":   7_241_732_096,  // Mistral-7B-v0.1
		"qwen3":     596_049_920,    // Qwen3-0.6B
		"qwen3-moe": 30_532_122_624, // Qwen3-30B-A3B
		"gemma3":    999_885_952,    // gemma-3-1b-it
		"phi3":      3_821_079_552,  // Phi-3-mini-4k-instruct
		"olmo2":     1_484_916_736,  // OLMo-2-0425-1B
	} {
		r, err := compiler.Compile(t.Context(), compiler.Options{Model: "../models/" + name + ".yaml", Target: "cpu", Out: filepath.Join(t.TempDir(), "out")})
		if err != nil {
			t.Error(err)
			continue
		}
		n, bytes := 0, int64(0)
		for _, w := range r.Plan.Weights {
			layers, err := plan.Ranges(w.Layers)
			if err != nil {
				t.Fatal(err)
			}
			_, dims, _ := strings.Cut(strings.TrimSuffix(w.Type, "]"), "[")
			size := max(1, len(layers))
			for _, d := range strings.Split(dims, ",") {
				k, err := strconv.Atoi(d)
				if err != nil {
					t.Fatal(err)
				}
				size *= k
			}
			n += size
		}
		bytes = r.Plan.WeightBytes()
		t.Logf("%s: %d parameters in %d bytes, %d steps a token, %d with -fuse=off", name, n, bytes, r.Plan.Buckets[0].Cost.Steps, r.Unfused)
		if n != want {
			t.Errorf("%s has %d parameters, published are %d", name, n, want)
		}
		if b := int64(2 * n); bytes < b || bytes > b+b/100 { // bf16; norms are f32, segments begin on pages
			t.Errorf("%s: %d bytes of weights, want about %d", name, bytes, b)
		}
	}
}

// TestFittingText: a checkpoint of another model: the message names the text that it fits.
func TestFittingText(t *testing.T) {
	for name, family := range familyCheckpoints {
		other := "olmo2"
		if family == other {
			other = "phi3"
		}
		_, err := compiler.After(compiler.Options{Model: "../models/" + other + ".yaml", Weights: "testdata/families/" + name, Target: "cpu"}, "elaborate", "")
		if err == nil || !strings.Contains(err.Error(), "; it fits ../models/"+family+".yaml") {
			t.Errorf("%s's checkpoint as %s: %v", name, other, err)
		}
	}
	f := newCheckpoint("gpt9", "F32")
	f.reshape("model.layers.0.self_attn.sinks", 4)
	_, err := compiler.After(compiler.Options{Model: "../models/llama.yaml", Weights: f.write(t, t.TempDir()), Target: "cpu"}, "elaborate", "")
	if err == nil || strings.Contains(err.Error(), "it fits") || !strings.Contains(err.Error(), "model_type: gpt9, this model wants llama") {
		t.Errorf("a checkpoint that fits nothing: %v", err)
	}
}

// TestTakenApart: the rows of a tensor that is several weights must all be read, each once.
func TestTakenApart(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"rows(qkv_proj, H*D)", "rows(qkv_proj, KV*D)", `self_attn.qkv_proj has 128 rows, the model phi3 reads no weight from row 64 on`},
		{"rows(gate_up_proj, F)", "rows(gate_up_proj, F+1)", `gate_up_proj is bf16\[160,64\], the model wants \[80,64\] of it, from row 81 on`},
		{"rows(gate_up_proj, F)", "rows(gate_up_proj, F/3)", `from row 26.666666666666668 on`},
		{"rows(gate_up_proj, F)", "rows(gate_up_proj, FF)", `no field is called FF`},
		{"rows(gate_up_proj, F)", "rows(gate_up_proj)", `want rows\(NAME, FIRST\)`},
		{"rows(gate_up_proj, F)", "rows(gate_upp_proj, F)", `has no tensor .*gate_upp_proj.weight.*did you mean gate_up_proj\?`},
	} {
		file := filepath.Join(t.TempDir(), "bent.yaml")
		text := strings.Replace(string(readFile(t, "../models/phi3.yaml")), c.old, c.new, 1)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := compiler.After(compiler.Options{Model: file, Weights: "testdata/families/phi3", Target: "cpu"}, "elaborate", "")
		if err == nil || !regexp.MustCompile(c.want).MatchString(err.Error()) {
			t.Errorf("%s: %v\nwant %s", c.new, err, c.want)
		}
	}
}

func familyGolden(t *testing.T, name string) *weights.Checkpoint {
	t.Helper()
	golden, err := weights.Open(filepath.Join("testdata/families", name, "golden.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { golden.Close() })
	return golden
}

// familyArtifact compiles a checkpoint.
func familyArtifact(t *testing.T, text, name string, fuse bool) *compiler.Result {
	t.Helper()
	r, err := compiler.Compile(t.Context(), compiler.Options{Model: text, Weights: "testdata/families/" + name, Target: "cpu", Out: filepath.Join(t.TempDir(), "out"), NoFuse: !fuse})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// interpreted opens an artifact on the reference.
func interpreted(t *testing.T, dir string) engine.Model {
	t.Helper()
	a, err := runtime.OpenArtifact(dir)
	if err != nil {
		t.Fatal(err)
	}
	m, err := reference.Open(a, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func familyModel(t *testing.T, r *compiler.Result) engine.Model {
	t.Helper()
	if r.Missing != nil {
		t.Skipf("no compiler: %v", r.Missing)
	}
	return opened(t, r.Dir)
}

func agrees(t *testing.T, m engine.Model, golden *weights.Checkpoint) {
	worst := 0.0
	for _, n := range []int{1, 7, 40} {
		for _, chunk := range []int{n, 7, 1} {
			d := difference(t, m, golden, n, chunk)
			if !(d <= 1e-3) {
				t.Fatalf("%d tokens in chunks of %d: logits differ by up to %.3g, want 1e-3", n, chunk, d)
			}
			worst = max(worst, d)
		}
	}
	t.Logf("logits differ by up to %.2g", worst)
	if got, want := greedy(t, m, ints(t, golden, "p7"), 16), ints(t, golden, "greedy"); !slices.Equal(got, want) {
		t.Errorf("greedy ids %v, want %v", got, want)
	}
}

// difference is the largest of a logit, over all positions of the prompt of n tokens, in chunks.
func difference(t *testing.T, m engine.Model, golden *weights.Checkpoint, n, chunk int) float64 {
	t.Helper()
	ids, want := ints(t, golden, fmt.Sprintf("p%d", n)), floats(t, golden, fmt.Sprintf("p%d.logits", n))
	if _, err := m.Keep(nil); err != nil {
		t.Fatal(err)
	}
	worst := 0.0
	for some := range slices.Chunk(ids, chunk) {
		err := m.Logits(t.Context(), some, func(i int, logits []float32) error {
			for j, x := range logits {
				if d := math.Abs(float64(x - want[j])); !(d <= worst) {
					worst = d
				}
			}
			want = want[len(logits):]
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return worst
}
