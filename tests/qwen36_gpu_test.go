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
// one gfx1100's code through the stand-in for HIP, two prompts of each checkpoint, by DESIGN's gates for 16-bit activations: where two experts are
// nearly as good a rounding may choose the other, and some logits of that token are off by tenths. The cache is in f16.
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
					path, prompts = qwen36ForGPU(t, name, fuse), 2
				} else if _, err := os.Stat(path); err != nil {
					t.Skipf("not compiled for this card: %v", err)
				} else if testing.Short() {
					prompts = 2
				}
				llm, err := engine.Open(path, engine.Options{})
				if err != nil {
					t.Fatal(err)
				}
				defer llm.Close()
				golden := openGolden(t, name, "golden")
				for p := range prompts {
					ids, want := ints(t, golden, fmt.Sprintf("p%d.ids", p)), floats(t, golden, fmt.Sprintf("p%d.logits", p))
					for _, chunk := range []int{len(ids), 1} {
						some := ids[:min(len(ids), map[bool]int{true: 40, false: len(ids)}[chunk == 1])]
						mean, most, top1 := apart(t, llm.Model, some, want, chunk)
						said := fmt.Sprintf("prompt %d, %d tokens in chunks of %d: mean KL %.2g, at most %.2g, top-1 %.0f %%", p, len(some), chunk, mean, most, 100*top1)
						others := math.Round((1 - top1) * float64(len(some)))
						if t.Log(said); !(mean <= 2e-3 && most <= 5e-2 && others <= max(1, 0.04*float64(len(some)))) { // of some tokens one is no per cent
							t.Errorf("%s; want 2e-3, 5e-2 and 96 %%, or one token", said)
						}
					}
					restart(t, llm.Model)
					if got, want := greedy(t, llm.Model, ids, 16), ints(t, golden, fmt.Sprintf("p%d.greedy", p)); !slices.Equal(got, want) {
						t.Errorf("prompt %d: greedy %v, the golden has %v", p, got, want)
					}
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
