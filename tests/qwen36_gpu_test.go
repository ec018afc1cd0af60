package tests

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"hipc/compiler"
	"hipc/runtime/engine"
)

// TestQwen36OnGPU holds Qwen3.5-MoE in GPU code against transformers' results: on a card, what HIPC_ARTIFACTS has in its folder qwen36; without
// one gfx1100's code through the stand-in for HIP, one prompt of each checkpoint. The cache is in f16.
func TestQwen36OnGPU(t *testing.T) {
	card := os.Getenv("HIPC_ARTIFACTS")
	if card == "" && !inStandin(t) {
		return
	}
	for _, name := range qwen36Checkpoints {
		for _, fuse := range []string{"on", "off"} {
			t.Run(name+"/fuse="+fuse, func(t *testing.T) {
				path, prompts := filepath.Join(card, "qwen36", name+"-"+fuse), 4
				if card == "" {
					path, prompts = qwen36ForGPU(t, name, fuse), 1
				} else if _, err := os.Stat(path); err != nil {
					t.Skipf("not compiled for this card: %v", err)
				}
				llm, err := engine.Open(path, engine.Options{})
				if err != nil {
					t.Fatal(err)
				}
				defer llm.Close()
				golden := openGolden(t, name, "golden")
				worst := 0.0
				for p := range prompts {
					ids := ints(t, golden, fmt.Sprintf("p%d.ids", p))
					want := floats(t, golden, fmt.Sprintf("p%d.logits", p))
					for _, chunk := range []int{len(ids), 1} {
						if chunk == 1 {
							ids = ids[:min(len(ids), 40)]
						}
						restart(t, llm.Model)
						at := 0
						for some := range slices.Chunk(ids, chunk) {
							err := llm.Logits(t.Context(), some, func(i int, logits []float32) error {
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
					}
					ids = ints(t, golden, fmt.Sprintf("p%d.ids", p))
					restart(t, llm.Model)
					if got, want := greedy(t, llm.Model, ids, 16), ints(t, golden, fmt.Sprintf("p%d.greedy", p)); !slices.Equal(got, want) {
						t.Errorf("prompt %d: greedy %v, the golden has %v", p, got, want)
					}
				}
				if t.Logf("logits differ by up to %.2g", worst); !(worst <= 5e-2) {
					t.Errorf("logits differ by up to %.3g, want 5e-2", worst)
				}
				if card != "" {
					eagerAndGraph(t, path, ints(t, golden, "p1.ids"), 256)
				}
			})
		}
	}
}

// qwen36ForGPU compiles a checkpoint for gfx1100.
func qwen36ForGPU(t *testing.T, name, fuse string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "artifact")
	r, err := compiler.Compile(t.Context(), compiler.Options{Model: qwen36Text, Weights: "testdata/" + name, Target: "gfx1100", Out: dir, NoFuse: fuse == "off", Context: 2048})
	if err != nil {
		t.Fatal(err)
	}
	if r.Missing != nil {
		t.Skipf("no compiler: %v", r.Missing)
	}
	return r.Dir
}
