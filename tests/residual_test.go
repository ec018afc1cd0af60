package tests

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hipc/compiler"
	"hipc/runtime/engine"
)

// TestSingleResidual: layers that read what they were given until their results are made, as those with attention and MLP
// beside each other do, and layers that hand on several values. A result lies where its successor takes it: it's made there in
// place, or moved there by a step of its own.
func TestSingleResidual(t *testing.T) {
	if testing.Short() {
		t.Skip("left out of short runs")
	}
	const two = "  g = silu(h)\n  repeat h, g through"
	for _, c := range []struct {
		name, layer, repeat string
		moves               bool
		off                 bool
	}{
		{"beside each other", "block layer(h) {\n    n = rmsnorm(h, @input_layernorm, eps)\n    return h + (attention(n) + mlp(n))", "  repeat h through", false, false},
		// Seen wrong by g++ 12's merging of equal functions: see codegen/target.go.
		{"two values", "block layer(h, g) {\n    h = h + 0.1 * g\n    n = rmsnorm(h, @input_layernorm, eps)\n    h2 = h + attention(n)\n    return h2, silu(h) + mlp(n)", two, false, false},
		{"exchanged", "block layer(h, g) {\n    n = rmsnorm(h, @input_layernorm, eps)\n    return g + (attention(n) + mlp(n)), h", two, true, false},
		{"exchanged", "block layer(h, g) {\n    n = rmsnorm(h, @input_layernorm, eps)\n    return g + (attention(n) + mlp(n)), h", two, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if testing.Short() && c.name != "beside each other" {
				t.Skip("-short: a single residual is run")
			}
			f := newCheckpoint("llama", "F32")
			delete(f.tensors, "model.layers.0.post_attention_layernorm.weight")
			delete(f.tensors, "model.layers.1.post_attention_layernorm.weight")
			text := string(readFile(t, "../models/llama.yaml"))
			from, to := strings.Index(text, "block layer(h)"), strings.Index(text, "  h = embed(")
			text = text[:from] + c.layer + "\n  }\n" + strings.Replace(text[to:], "  repeat h through", c.repeat, 1)
			file := filepath.Join(t.TempDir(), "m.yaml")
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			r, err := compiler.Compile(t.Context(), compiler.Options{Model: file, Weights: f.write(t, t.TempDir()), Target: "cpu", Out: file + ".out", NoFuse: c.off})
			if err != nil {
				t.Fatal(err)
			}
			agreeWithEachOther(t, interpreted(t, r.Dir), familyModel(t, r))
			moves := false
			for _, p := range r.Plan.Buckets[0].Parts {
				for _, s := range p.Steps {
					moves = moves || strings.Contains(s.Inst, "<copy")
				}
			}
			if moves != c.moves {
				t.Errorf("a step moves a value: %v, want %v", moves, c.moves)
			}
		})
	}
}

// agreeWithEachOther compares the logits of two models on some tokens, at once, in chunks, and one by one.
func agreeWithEachOther(t *testing.T, a, b engine.Model) {
	t.Helper()
	ids := []int32{3, 90, 7, 7, 41, 0, 12, 55, 23, 8}
	for _, chunk := range []int{len(ids), 3, 1} {
		got := [2][]float32{}
		for i, m := range []engine.Model{a, b} {
			if _, err := m.Keep(nil); err != nil {
				t.Fatal(err)
			}
			for at := 0; at < len(ids); at += chunk {
				if err := m.Logits(t.Context(), ids[at:min(at+chunk, len(ids))], func(_ int, logits []float32) error {
					got[i] = append(got[i], logits...)
					return nil
				}); err != nil {
					t.Fatal(err)
				}
			}
		}
		worst := 0.0
		for i, x := range got[0] {
			worst = max(worst, math.Abs(float64(x-got[1][i])))
		}
		if len(got[0]) == 0 || len(got[0]) != len(got[1]) || !(worst <= 1e-3) {
			t.Errorf("chunks of %d: %d and %d logits, which differ by up to %.3g", chunk, len(got[0]), len(got[1]), worst)
		}
	}
}
