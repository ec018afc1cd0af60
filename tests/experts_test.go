package tests

import (
	"path/filepath"
	"strings"
	"testing"

	"hipc/compiler"
)

// TestOddExperts: experts whose width is no multiple of a vector's 16 have a kernel of their own, in a whole model.
func TestOddExperts(t *testing.T) {
	if testing.Short() {
		t.Skip("left out of short runs")
	}
	set := map[string]string{"F": "20", "d": "72", "L": "2", "V": "97", "H": "4", "KV": "2", "D": "16", "E": "5", "K": "2"}
	r, err := compiler.Compile(t.Context(), compiler.Options{Model: "../models/qwen3-moe.yaml", Weights: "random:3", Target: "cpu", Out: filepath.Join(t.TempDir(), "out"),
		Context: 128, Set: set})
	if err != nil {
		t.Fatal(err)
	}
	both := map[string]bool{}
	for _, b := range r.Plan.Buckets {
		for _, p := range b.Parts {
			for _, s := range p.Steps {
				for _, inst := range strings.Split(s.Inst, " | ") {
					if strings.HasPrefix(inst, "matmul_each_any<") {
						both[strings.Join(strings.Split(inst, ", ")[1:5], ",")] = true
					}
				}
			}
		}
	}
	if len(both) != 2 {
		t.Errorf("matmul_each_any computes %v, want gate and up, and down", both)
	}
	agreeWithEachOther(t, interpreted(t, r.Dir), familyModel(t, r))
}
