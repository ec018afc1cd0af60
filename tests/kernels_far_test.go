package tests

import (
	"path/filepath"
	"testing"

	"hipc/codegen"
	"hipc/kernels"
	"hipc/runtime/cpu"
)

// TestFarPositions: sines and cosines of angles of 131,000 radians, where a float holds them to a hundredth: the kernels round as
// the oracle does, and reduce what they've rounded exactly.
func TestFarPositions(t *testing.T) {
	target, err := codegen.TargetByName("cpu")
	if err != nil {
		t.Fatal(err)
	}
	var all []*kernelCase
	for i := range kernels.Registry {
		row := &kernels.Registry[i]
		if ok, _ := filepath.Match(row.Targets, target.Name); !ok || row.Op != "rope" {
			continue
		}
		cases, err := casesOf(row, target, map[string]bool{}, eachHeight)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cases {
			c.pos = 131072 - 300
		}
		all = append(all, cases...)
	}
	device, err := cpu.Open(cpu.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { device.Close() })
	runCases(t, []*kernelBench{newBench(t, target, device, compileCases(t, target, all))}, all)
}
