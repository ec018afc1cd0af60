package tests

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hipc/compiler"
	"hipc/runtime"
	"hipc/runtime/cuda"
	"hipc/runtime/engine"
	"hipc/runtime/gpu"
	"hipc/runtime/reference"
)

// TestFamiliesOnCard holds the families' tiny checkpoints, compiled for a card into the folder families of HIPC_ARTIFACTS, against their
// goldens: prompts at once and token by token,
// by graph and launch by launch. The cache is in f16.
func TestFamiliesOnCard(t *testing.T) {
	dir := os.Getenv("HIPC_ARTIFACTS")
	if dir == "" {
		t.Skip("HIPC_ARTIFACTS is not set: it names the folder of artifacts for a card")
	}
	for name := range familyCheckpoints {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, "families", name)
			if _, err := os.Stat(path); err != nil {
				t.Skipf("not compiled for this card: %v", err)
			}
			golden := familyGolden(t, name)
			for _, eager := range []bool{false, true} {
				llm, err := engine.Open(path, engine.Options{Eager: eager})
				if err != nil {
					t.Fatal(err)
				}
				defer llm.Close()
				worst := max(difference(t, llm.Model, golden, 40, 40), difference(t, llm.Model, golden, 40, 1))
				if t.Logf("logits differ by up to %.2g", worst); !(worst <= 5e-2) {
					t.Errorf("logits differ by up to %.3g, want 5e-2", worst)
				}
			}
			eagerAndGraph(t, path, ints(t, golden, "p7"), 100)
		})
	}
}

// TestSmolLM2OnCard: a graph's replays and the same launches one by one give the same 256 tokens.
func TestSmolLM2OnCard(t *testing.T) {
	if os.Getenv("HIPC_ARTIFACTS") == "" {
		t.Skip("HIPC_ARTIFACTS is not set: it names the folder of artifacts for a card")
	}
	eagerAndGraph(t, smollm2Artifact(t, true), smollm2Golden(t)[1].IDs, 256)
}

// TestFullSizeOnCard: Qwen3.6-35B-A3B, all of it, with weights of a seed: 256 tokens by graph and launch by launch are the same, and the card
// has as much memory in use as was said before. Its tokens mean nothing.
func TestFullSizeOnCard(t *testing.T) {
	path := filepath.Join(os.Getenv("HIPC_ARTIFACTS"), "qwen3.6-35b-a3b")
	if os.Getenv("HIPC_ARTIFACTS") == "" {
		t.Skip("HIPC_ARTIFACTS is not set: it names the folder of artifacts for a card")
	}
	if _, err := os.Stat(path); err != nil {
		t.Skip(err)
	}
	a, err := runtime.OpenArtifact(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.Randomize(a, "random:1"); err != nil {
		t.Fatal(err)
	}
	weights, free, err := a.MapWeights()
	if err != nil {
		t.Fatal(err)
	}
	defer free()
	a.Substitute("random:1", func() ([]byte, func() error, error) { return weights, func() error { return nil }, nil }) // made once
	var ids [2][]int32
	for i, eager := range []bool{false, true} {
		before, err := cuda.Open(gpu.Options{})
		if err != nil {
			t.Fatal(err)
		}
		used := -before.Info().Free
		if err := before.Close(); err != nil {
			t.Fatal(err)
		}
		llm, err := engine.OpenArtifact(a, engine.Options{Eager: eager})
		if err != nil {
			t.Fatal(err)
		}
		m := llm.Model.(*runtime.Model)
		ids[i] = greedy(t, m, []int32{1, 2, 3, 4, 5, 6, 7, 8}, 256)
		used = -used - m.Info().Free
		need := m.Memory()
		t.Logf("eager %v: %s in use; %v", eager, runtime.Size(used), need)
		if off := float64(used)/float64(need.Total()) - 1; math.Abs(off) > 0.02 {
			t.Errorf("%s of the card are in use, %s were said: %+.1f %%", runtime.Size(used), runtime.Size(need.Total()), 100*off)
		}
		if err := llm.Close(); err != nil {
			t.Error(err)
		}
	}
	if !slices.Equal(ids[0], ids[1]) {
		t.Errorf("by graph %v, launch by launch %v", ids[0], ids[1])
	}
}

func eagerAndGraph(t *testing.T, path string, prompt []int32, n int) {
	t.Helper()
	if testing.Short() { // as under compute-sanitizer, where 512 tokens take longer than anybody waits
		n = min(n, 16)
	}
	var ids [2][]int32
	for i, eager := range []bool{false, true} {
		llm, err := engine.Open(path, engine.Options{Eager: eager})
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = greedy(t, llm.Model, prompt, n)
		if err := llm.Close(); err != nil {
			t.Error(err)
		}
	}
	for i := range ids[0] {
		if ids[0][i] != ids[1][i] {
			t.Fatalf("token %d is %d by graph, %d launch by launch", i, ids[0][i], ids[1][i])
		}
	}
}

// TestNoCard: an artifact for a card, where there's none, is one line and the exit code of a device.
func TestNoCard(t *testing.T) {
	if d, err := cuda.Open(gpu.Options{}); err == nil {
		d.Close()
		t.Skip("there is a card")
	}
	dir := t.TempDir()
	path := os.Getenv("PATH")
	t.Setenv("PATH", "") // no compiler: the card is asked for first
	r, err := compiler.Compile(t.Context(), compiler.Options{Model: familyText("llama"), Weights: "testdata/families/llama", Target: "sm_90", Out: filepath.Join(dir, "out")})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", path)
	got := runProgram(t, nil, "hiprun", "bench", r.Dir)
	if got.code != 3 || got.out != "" || strings.Count(got.err, "\n") != 1 || !strings.Contains(got.err, "no NVIDIA driver: libcuda.so.1 isn't there") {
		t.Errorf("exit %d, %q %q; want exit 3 and one line that names the library", got.code, got.out, got.err)
	}
}

// TestRandomWeights: an artifact without weights runs with those of a seed, and says so; the reference has the same.
func TestRandomWeights(t *testing.T) {
	if testing.Short() {
		t.Skip("left out of short runs")
	}
	dir := familyArtifact(t, familyText("llama"), "llama", true).Dir
	var logits [3][]float32
	for i, spec := range []string{"random:1", "random:1", "random:2"} {
		a, err := runtime.OpenArtifact(dir)
		if err != nil {
			t.Fatal(err)
		}
		a.Manifest.Weights = nil
		if err := engine.Randomize(a, spec); err != nil {
			t.Fatal(err)
		}
		if a.Origin() != spec {
			t.Errorf("the weights are said to be %q", a.Origin())
		}
		var m engine.Model
		if i == 1 {
			m, err = reference.Open(a, 0)
		} else {
			m, err = engine.Run(a, engine.Options{})
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Logits(t.Context(), []int32{1, 2, 3}, func(_ int, row []float32) error { logits[i] = append(logits[i], row...); return nil }); err != nil {
			t.Error(err)
		}
		m.Close()
	}
	far := func(a, b []float32) (worst float64) {
		for i := range a {
			worst = max(worst, math.Abs(float64(a[i]-b[i])))
		}
		return worst
	}
	if d := far(logits[0], logits[1]); !(d < 1e-3) {
		t.Errorf("the cpu and the reference differ by %g", d)
	}
	if d := far(logits[0], logits[2]); d < 1e-2 {
		t.Errorf("two seeds differ by no more than %g", d)
	}
}
