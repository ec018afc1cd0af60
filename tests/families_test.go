package tests

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"hipc/compiler"
	"hipc/runtime"
	"hipc/runtime/engine"
	"hipc/runtime/reference"
	"hipc/runtime/weights"
)

// familyCheckpoints are tiny random checkpoints as transformers writes them, with what it computes with them in fp32
// (testdata/families/make.py), and the model text that is to read each as it is.
var familyCheckpoints = map[string]string{
	"llama": "llama", "mistral": "mistral", "qwen3": "qwen3", "qwen3-moe": "qwen3-moe", "gemma3": "gemma3", "gemma3-v4": "gemma3",
	"phi3": "phi3", "olmo2": "olmo2",
}

func familyText(name string) string { return "../models/" + familyCheckpoints[name] + ".yaml" }

// TestFamilies: logits at every position of prompts of 1, 7 and 40 tokens, at once and token by token, and 8 greedy ids,
// on the reference and on the cpu, fused and unfused.
func TestFamilies(t *testing.T) {
	for name := range familyCheckpoints {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join("testdata/families", name)
			golden, err := weights.Open(filepath.Join(dir, "golden.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			defer golden.Close()
			for _, way := range []string{"reference", "fused", "unfused"} {
				t.Run(way, func(t *testing.T) { agrees(t, familyModel(t, name, dir, way), golden) })
			}
		})
	}
}

// familyModel compiles a checkpoint and opens it.
func familyModel(t *testing.T, name, dir, way string) engine.Model {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	r, err := compiler.Compile(t.Context(), compiler.Options{Model: familyText(name), Weights: dir, Target: "cpu", Out: out, NoFuse: way == "unfused"})
	if err != nil {
		t.Fatal(err)
	}
	if way == "reference" {
		a, err := runtime.OpenArtifact(out)
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
	if r.Missing != nil {
		t.Skipf("no compiler: %v", r.Missing)
	}
	llm, err := engine.Open(out, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { llm.Close() })
	return llm.Model
}

func agrees(t *testing.T, m engine.Model, golden *weights.Checkpoint) {
	worst := 0.0
	for _, n := range []int{1, 7, 40} {
		ids, want := ints(t, golden, fmt.Sprintf("p%d", n)), floats(t, golden, fmt.Sprintf("p%d.logits", n))
		for _, chunk := range []int{n, 7, 1} {
			if _, err := m.Keep(nil); err != nil {
				t.Fatal(err)
			}
			at := 0
			for some := range slices.Chunk(ids, chunk) {
				err := m.Logits(t.Context(), some, func(i int, logits []float32) error {
					for j, x := range logits {
						if d := math.Abs(float64(x - want[(at+i)*len(logits)+j])); !(d <= worst) {
							worst = d
						}
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				at += len(some)
			}
			if !(worst <= 1e-3) {
				t.Fatalf("%d tokens in chunks of %d: logits differ by up to %.3g, want 1e-3", n, chunk, worst)
			}
		}
	}
	t.Logf("logits differ by up to %.2g", worst)
	if got, want := greedy(t, m, ints(t, golden, "p7"), 8), ints(t, golden, "greedy"); !slices.Equal(got, want) {
		t.Errorf("greedy ids %v, want %v", got, want)
	}
}
