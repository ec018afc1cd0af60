package tests

import (
	"encoding/json"
	"strings"
	"testing"

	"hipc/runtime"
	"hipc/runtime/sim"
)

// TestProfileCounts: a profile of the simulator is what a token executes, not how long that took.
func TestProfileCounts(t *testing.T) {
	if _, err := sim.Disassembler(); err != nil {
		t.Skip(err)
	}
	dir := gfx1100Artifact(t, "llama")
	a, err := runtime.OpenArtifact(dir)
	if err != nil {
		t.Fatal(err)
	}
	launches, kernels := int64(0), map[string]bool{}
	for _, r := range a.Plan.Runs(&a.Plan.Buckets[0]) {
		for _, s := range r.Part.Steps {
			launches++
			kernels[s.Kernel] = true
		}
	}
	got := runProgram(t, nil, "hiprun", "profile", dir, "--device", "sim", "--json", "--at", "127") // where only a single token has room
	var list []struct {
		Kernel       string
		Launches     int64
		Instructions map[string]int64
		Read         int64 `json:"read_bytes"`
	}
	if err := json.Unmarshal([]byte(got.out), &list); err != nil || got.code != 0 || got.err != "" || len(list) != len(kernels) {
		t.Fatalf("exit %d, %v, %d kernels of %d: %s", got.code, err, len(list), len(kernels), got.err)
	}
	for _, k := range list {
		launches -= k.Launches
		if !kernels[k.Kernel] || k.Instructions["salu"] < k.Launches || k.Read < 4*k.Launches {
			t.Errorf("%+v", k)
		}
		if strings.HasPrefix(k.Kernel, "matmul_add_bf16_64_64_") && k.Read < k.Launches*2*64*64 {
			t.Errorf("%s reads %d bytes, its weights alone have %d", k.Kernel, k.Read/k.Launches, 2*64*64)
		}
	}
	if launches != 0 {
		t.Errorf("%d launches too few", launches)
	}
	got = runProgram(t, nil, "hiprun", "profile", dir, "--device", "sim")
	if _, table, _ := strings.Cut(got.out, "\n\n"); got.code != 0 || strings.Contains(got.out, "µs") || strings.Count(table, "\n") != 1+len(list) || !strings.Contains(table, "  valu  trans  dot  wmma ") {
		t.Errorf("exit %d, %s%s", got.code, got.out, got.err)
	}
}
