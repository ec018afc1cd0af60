package tests

import (
	"testing"

	"hipc/codegen"
	"hipc/kernels"
	"hipc/runtime/sim"
)

// prefillKernels are the kernels of matrix units that multiply by no weight, with heads as wide as Qwen3.6-35B-A3B's but fewer of them, and how
// many instructions of a wave there may be for each product of 16 × 16 × 16. Such a product takes 32 cycles of a unit that does most others
// in one.
var prefillKernels = []struct {
	op        string
	dims      map[string]int
	rows, pos int
	most      float64
}{
	{"attend_gate", map[string]int{"H": 4, "KV": 1, "D": 256, "window": 0}, 64, 440, 17},
	{"attend_gate_rotate", map[string]int{"H": 4, "KV": 1, "D": 256, "window": 0, "G": 128}, 64, 440, 21},
	{"gdn", map[string]int{"HK": 2, "HV": 4, "DK": 128, "DV": 128}, 256, 130, 26},
}

// TestPrefillInstructions holds them against Eval and counts what the simulator executes, in gfx1100's code.
func TestPrefillInstructions(t *testing.T) {
	target, err := codegen.TargetByName("gfx1100")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sim.Disassembler(); err != nil {
		t.Skip(err)
	}
	var all []*kernelCase
	for _, p := range prefillKernels {
		c, err := exampleCase(p.op, target, p.dims, p.rows, p.pos)
		if err != nil {
			t.Fatalf("%s: %v", p.op, err)
		}
		all = append(all, c)
	}
	device, err := sim.Open(sim.Options{Target: target.Name})
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	b := newBench(t, target, device, compileCases(t, target, all))
	for i, c := range all {
		e, err := c.check(b, nil)
		if err != nil {
			t.Errorf("%s: %v", c, err)
			continue
		}
		n := device.(*sim.Device).Counts()[c.kernel]
		per := float64(n.Instructions()) / float64(n.Class[sim.ClassWMMA])
		t.Logf("%s: %.1f instructions a product; NMSE %.1g; %v", c.choice.Inst, per, e, n.ByClass())
		if !(per <= prefillKernels[i].most) {
			t.Errorf("%s executes %.1f instructions for each product of matrix units, want at most %g", c.choice.Inst, per, prefillKernels[i].most)
		}
	}
}

// exampleCase is an op at the given dims.
func exampleCase(op string, target *codegen.Target, dims map[string]int, rows, pos int) (*kernelCase, error) {
	var refused error
	for i := range kernels.Registry {
		row := &kernels.Registry[i]
		if row.Op != op {
			continue
		}
		node, err := row.Example(dims, nil, map[string]float64{"eps": 1e-6, "scale": 0.0625})
		if err != nil {
			refused = err
			continue
		}
		c := &kernelCase{row: row, node: node, live: rows, pos: pos}
		if c.choice, err = kernels.Find(target.Name, node, kernels.Dims{T: rows, S: 1, C: caseContext, P: target.Page}); err != nil {
			return nil, err
		}
		c.row = c.choice.Kernel
		c.graph, err = meaning(op, node)
		return c, err
	}
	return nil, refused
}
