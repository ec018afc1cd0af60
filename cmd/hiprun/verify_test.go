package main

import (
	"math"
	"strings"
	"testing"

	"hipc/kernels/checks"
	"hipc/runtime"
	"hipc/runtime/plan"
	"hipc/runtime/reference"
)

// TestVerifyTable: what hiprun verify prints of kernels that are as they were, that drift within the bar, that are off, and that nobody checked.
func TestVerifyTable(t *testing.T) {
	if long := verifyCommand().Long; strings.Contains(long, "%!") || !strings.Contains(long, "up to 10 times") || !strings.Contains(long, "1e-10 counts as 1e-10") {
		t.Errorf("the help says\n%s", long)
	}
	then := checks.Check{Inst: "swiglu<2>", NMSE: 2e-9, Bar: 1e-7, Run: checks.Run{Device: "simulated gfx1100", Date: "2026-11-24", Commit: "0be00db"}}
	steps := []checks.Step{
		{Inst: "swiglu<1>", Rule: "swiglu", Twin: "matmul silu matmul mul", Check: &then},
		{Inst: "attend_gate<1>", Rule: "attend_gate", Twin: "attend_kv sigmoid mul", Check: &checks.Check{NMSE: 1e-13, Run: then.Run}},
		{Inst: "add_norm<1>", Rule: "add_norm", Twin: "add rmsnorm", Why: "no run of it"},
	}
	check := func(op string, nmse float64) *reference.Check {
		return &reference.Check{Op: op, Inst: op + "<1>", Launches: 3, NMSE: nmse, Bar: 5e-4, State: op == "attend_gate"}
	}
	show := func(steps []checks.Step, list ...*reference.Check) (*verification, string) {
		v := newVerification(list, steps, &runtime.Artifact{Plan: &plan.Plan{Device: "hip"}, Manifest: &plan.Manifest{}}, "a card")
		var b strings.Builder
		if err := v.table(&b); err != nil {
			t.Fatal(err)
		}
		return v, strings.Join(strings.Fields(strings.ReplaceAll(b.String(), "\n", " | ")), " ")
	}
	for _, c := range []struct {
		steps []checks.Step
		check *reference.Check
		want  string
	}{
		{steps, check("swiglu", 1.9e-8), "swiglu<1> 3 1.9e-08 5e-04 2.0e-09 ~ | | 1 kernels, 1 of them fused; recorded 2026-11-24 on simulated gfx1100, commit 0be00db"},
		{steps, check("swiglu", 1e-11), "1.0e-11 5e-04 2.0e-09 ~ |"},
		{steps, check("swiglu", 2e-7), "2.0e-07 5e-04 2.0e-09 ×100 drifted |"},
		{steps, check("swiglu", 1e-3), "1.0e-03 5e-04 2.0e-09 ×5e+05 off |"},
		{steps, check("swiglu", math.Inf(1)), "+Inf 5e-04 2.0e-09 off |"},
		{steps, check("attend_gate", 9e-8), "9.0e-08 5e-04 1.0e-13 ~ |"}, // the oracle's cache isn't rounded
		{steps, check("attend_gate", 2e-6), "×20 drifted |"},
		{steps, check("add_norm", 1e-8), "1.0e-08 5e-04 not checked | | 1 kernels, 1 of them fused | 1 not checked: no run of it |"},
		{steps, check("matmul", 1e-8), "matmul<1> 3 1.0e-08 5e-04 | | 1 kernels, 0 of them fused |"},
		{nil, check("swiglu", 1e-8), "1.0e-08 5e-04 | | 1 kernels; no validation.tsv says what checked the fused ones: compile the model again"},
	} {
		v, got := show(c.steps, c.check)
		if !strings.Contains(got, c.want) {
			t.Errorf("%s at %g: %q, want %q", c.check.Inst, c.check.NMSE, got, c.want)
		}
		if (len(v.off()) > 0) != (c.check.NMSE > 5e-4) {
			t.Errorf("%s at %g: off are %v", c.check.Inst, c.check.NMSE, v.off())
		}
	}
}
