package tests

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hipc/kernels/times"
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

// TestProfileTable: what --update writes is read again, a second profile takes the first one's place, and that the weights fit a cache is said.
func TestProfileTable(t *testing.T) {
	dir := familyArtifact(t, familyText("llama"), "llama", true).Dir
	a, err := runtime.OpenArtifact(dir)
	if err != nil {
		t.Fatal(err)
	}
	table := filepath.Join(t.TempDir(), a.Plan.Target+".tsv")
	var lines [2]int
	for i := range lines {
		got := runProgram(t, nil, "hiprun", "profile", dir, "-r", "2", "--update", table)
		if got.code != 0 || strings.Count(got.err, "\n") != 1 || !strings.Contains(got.err, "warning: a token moves ") {
			t.Fatalf("exit %d, %s", got.code, got.err)
		}
		list, err := times.Read(readFile(t, table))
		if err != nil || len(list) == 0 {
			t.Fatalf("%d times, %v", len(list), err)
		}
		lines[i] = len(list)
	}
	if lines[0] != lines[1] {
		t.Errorf("%d lines became %d", lines[0], lines[1])
	}
	other := filepath.Join(t.TempDir(), "sm_90.tsv")
	got := runProgram(t, nil, "hiprun", "profile", dir, "--update", other)
	if _, err := os.Stat(other); got.code != 2 || err == nil || strings.Count(got.err, "\n") != 1 || !strings.Contains(got.err, "want a file "+a.Plan.Target+".tsv") {
		t.Errorf("exit %d, %v, %s", got.code, err, got.err)
	}
}
