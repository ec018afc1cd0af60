package tests

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hipc/codegen"
	"hipc/compiler"
	"hipc/kernels/checks"
	"hipc/runtime"
	"hipc/runtime/engine"
	"hipc/runtime/plan"
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
			if testing.Short() && (c.target != "cpu" || c.text == qwen36Text) {
				t.Skip("left out of short runs")
			}
			checks := verified(t, verifiable(t, c.text, c.weights, c.target), c.device)
			worst := &reference.Check{}
			for _, k := range checks {
				if !k.Passed() {
					t.Errorf("%s: NMSE %.2g in %d launches, want %.0g", k.Inst, k.NMSE, k.Launches, k.Bar)
				}
				if k.NMSE >= worst.NMSE {
					worst = k
				}
			}
			t.Logf("%d kernels; the furthest is %s, %.2g", len(checks), worst.Inst, worst.NMSE)
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
	o := compiler.Options{Model: text, Weights: "testdata/" + weights, Target: target, Out: filepath.Join(t.TempDir(), "out"), Context: 128}
	if target == "cpu" {
		return openedArtifact(t, compiledOnce(t, "verify-"+filepath.Base(weights), o))
	}
	r, err := compiler.Compile(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Missing != nil {
		t.Skipf("no compiler: %v", r.Missing)
	}
	return openedArtifact(t, r.Dir)
}

func openedArtifact(t *testing.T, dir string) *runtime.Artifact {
	t.Helper()
	a, err := runtime.OpenArtifact(dir)
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
				in[1], in[2], bent = in[2], in[1], s.Inst
				a.Plan.Buckets[0].Parts[i].Steps[j].In = in
			}
		}
	}
	for _, c := range verified(t, a, "") {
		if c.Passed() == (c.Inst == bent) || math.IsNaN(c.NMSE) {
			t.Errorf("%s: NMSE %.2g; %s was bent", c.Inst, c.NMSE, bent)
		}
	}
}

// TestVerifyProgram: hiprun verify prints a line a kernel, and beside the fused ones what they were off when they were recorded. A fault that
// stays within the bar is a drift, of the kernels that have it. What it found can be recorded, if nothing is off.
func TestVerifyProgram(t *testing.T) {
	a := verifiable(t, familyText("llama"), "families/llama", "cpu")
	got := runProgram(t, nil, "hiprun", "verify", a.Dir)
	if got.code != 0 || got.err != "" || !strings.Contains(got.out, "embed_norm") || strings.Count(got.out, "\n") < 20 {
		t.Errorf("exit %d, %q %q", got.code, got.out, got.err)
	}
	if got := runProgram(t, nil, "hiprun", "verify", a.Dir, "--device", "reference"); got.code != 2 {
		t.Errorf("exit %d, %q: want the usage refused", got.code, got.err)
	}
	record := a.Dir + "/" + checks.RecordName
	steps, err := checks.ReadRecord(readFile(t, record))
	if err != nil {
		t.Fatal(err)
	}
	bent := filepath.Join(t.TempDir(), "bent")
	if err := os.CopyFS(bent, os.DirFS(a.Dir)); err != nil {
		t.Fatal(err)
	}
	const silu = "V a = g * u / (all(1.0f)"
	replaceIn(t, filepath.Join(bent, "templates/matmul.h"), silu, strings.Replace(silu, "1.0f", "1.0003f", 1))
	target, err := codegen.TargetByName(a.Plan.Target)
	if err == nil {
		_, err = codegen.Build(t.Context(), target, bent)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := range steps { // whatever the table has of these kernels now
		steps[i].Check = &checks.Check{Source: steps[i].Source, Inst: "another<1>", Shape: "1/1@0", Seed: "1", NMSE: 1e-12, Bar: 1e-7, Run: checks.Run{Device: "d", Date: "2026-11-24", Commit: "c"}}
		if strings.HasPrefix(steps[i].Inst, "embed_norm<") {
			steps[i].Check, steps[i].Why = nil, "it has changed"
		}
	}
	src, err := checks.WriteRecord(steps)
	if err == nil {
		err = os.WriteFile(filepath.Join(bent, checks.RecordName), src, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	seal(t, bent)
	table := filepath.Join(t.TempDir(), "cpu.tsv")
	got = runProgram(t, nil, "hiprun", "verify", bent, "--update", table)
	if got.code != 0 || got.err != "" {
		t.Fatalf("exit %d, %q", got.code, got.err)
	}
	drifted := 0
	for line := range strings.Lines(got.out) {
		if line = strings.TrimSpace(line); strings.HasSuffix(line, "drifted") != strings.HasPrefix(line, "swiglu<") || strings.HasPrefix(line, "embed_norm<") != strings.HasSuffix(line, "not checked") {
			t.Errorf("a fault in silu, and no run of embed_norm: %s", line)
		}
		if strings.HasSuffix(line, "drifted") {
			drifted++
		}
	}
	if drifted == 0 || !strings.Contains(got.out, "not checked: it has changed\n") {
		t.Errorf("%d kernels drifted:\n%s", drifted, got.out)
	}
	list, err := checks.Read(readFile(t, table))
	if err != nil || len(list) != len(steps) {
		t.Fatalf("%d checks of %d fused kernels, %v", len(list), len(steps), err)
	}
	for _, s := range steps {
		if c, ok := checks.Find(list, s.Source, s.Inst); !ok || c.Inst != s.Inst || c.Seed != "checkpoint" || c.Bar != 1e-7 {
			t.Errorf("%s was recorded as %v", s.Inst, c)
		}
	}
}

func replaceIn(t *testing.T, path, from, to string) {
	t.Helper()
	text := string(readFile(t, path))
	if strings.Count(text, from) != 1 {
		t.Fatalf("%s has no %q, or more than one: plant the fault elsewhere", path, from)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(text, from, to, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// seal makes an artifact's members as they are now its own.
func seal(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, plan.ManifestName)
	man, err := plan.ReadManifest(readFile(t, path))
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range man.Members {
		man.Members[i] = plan.Digest(m.Name, readFile(t, filepath.Join(dir, m.Name)))
	}
	b, err := man.Write()
	if err == nil {
		err = os.WriteFile(path, b, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
