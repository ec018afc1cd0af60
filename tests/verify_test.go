package tests

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hipc/compiler"
	"hipc/runtime"
	"hipc/runtime/engine"
	"hipc/runtime/reference"
	"hipc/runtime/sim"
)

// TestVerify: every kernel of these artifacts is what graph.txt says, on the cpu and, in gfx1100 code, in the simulator.
func TestVerify(t *testing.T) {
	for _, c := range []struct{ text, weights, target, device string }{
		{familyText("llama"), "families/llama", "cpu", ""},
		{qwen36Text, "qwen35moe_b_paro", "cpu", ""},
		{familyText("gemma3"), "families/gemma3", "gfx1100", "sim"},
		{qwen36Text, "qwen35moe_b_paro", "gfx1100", "sim"},
	} {
		t.Run(filepath.Base(c.weights)+"/"+c.target, func(t *testing.T) {
			if testing.Short() && c.target != "cpu" {
				t.Skip("left out of short runs")
			}
			checks := verified(t, verifiable(t, c.text, c.weights, c.target), c.device)
			worst := &reference.Check{}
			for _, k := range checks {
				if !k.Passed() {
					t.Errorf("%s: NMSE %.2g in %d launches, want %.0g", k.Kernel, k.NMSE, k.Launches, k.Bar)
				}
				if k.NMSE >= worst.NMSE {
					worst = k
				}
			}
			t.Logf("%d kernels; the furthest is %s, %.2g", len(checks), worst.Kernel, worst.NMSE)
		})
	}
}

func verifiable(t *testing.T, text, weights, target string) *runtime.Artifact {
	t.Helper()
	if target != "cpu" {
		if _, err := sim.Disassembler(); err != nil {
			t.Skip(err)
		}
	}
	r, err := compiler.Compile(t.Context(), compiler.Options{Model: text, Weights: "testdata/" + weights, Target: target, Out: filepath.Join(t.TempDir(), "out"), Context: 128})
	if err != nil {
		t.Fatal(err)
	}
	if r.Missing != nil {
		t.Skipf("no compiler: %v", r.Missing)
	}
	a, err := runtime.OpenArtifact(r.Dir)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func verified(t *testing.T, a *runtime.Artifact, device string) []*reference.Check {
	t.Helper()
	m, err := engine.Run(a, engine.Options{Device: device})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	checks, err := reference.Verify(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return checks
}

// TestVerifyNotices: a kernel that reads another weight than it should is found, and no other one.
func TestVerifyNotices(t *testing.T) {
	a := verifiable(t, familyText("llama"), "families/llama", "cpu")
	bent := ""
	for i, p := range a.Plan.Buckets[0].Parts {
		for j, s := range p.Steps {
			if strings.HasPrefix(s.Inst, "swiglu<") {
				in := slices.Clone(s.In) // parts that begin alike have it together
				in[1], in[2], bent = in[2], in[1], s.Kernel
				a.Plan.Buckets[0].Parts[i].Steps[j].In = in
			}
		}
	}
	for _, c := range verified(t, a, "") {
		if c.Passed() == (c.Kernel == bent) || math.IsNaN(c.NMSE) {
			t.Errorf("%s: NMSE %.2g; %s was bent", c.Kernel, c.NMSE, bent)
		}
	}
}

// TestVerifyProgram: hiprun verify prints a line a kernel.
func TestVerifyProgram(t *testing.T) {
	a := verifiable(t, familyText("llama"), "families/llama", "cpu")
	got := runProgram(t, nil, "hiprun", "verify", a.Dir)
	if got.code != 0 || got.err != "" || !strings.Contains(got.out, "embed_norm") || strings.Count(got.out, "\n") < 20 {
		t.Errorf("exit %d, %q %q", got.code, got.out, got.err)
	}
	if got := runProgram(t, nil, "hiprun", "verify", a.Dir, "--device", "reference"); got.code != 2 {
		t.Errorf("exit %d, %q: want the usage refused", got.code, got.err)
	}
}
