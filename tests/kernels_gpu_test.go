package tests

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"

	"hipc/codegen"
	"hipc/kernels"
	"hipc/runtime"
	"hipc/runtime/cuda"
	"hipc/runtime/gpu"
	"hipc/runtime/sim"
)

var onlyKernel = flag.String("kernel", "", "TestKernels and TestGPUKernels run only rows whose instance begins so")

// cards open what a GPU target's kernels run on here: an AMD target's in the simulator, one for each core, another's on a card.
var cards = map[string]func(target string) ([]runtime.Device, error){
	"hip": func(target string) (list []runtime.Device, err error) {
		if _, err := sim.Disassembler(); err != nil {
			return nil, err
		}
		for range goruntime.GOMAXPROCS(0) {
			d, err := sim.Open(sim.Options{Target: target, Reverse: target == "gfx1151"}) // one in each order of blocks and waves
			if err != nil {
				return nil, err
			}
			list = append(list, d)
		}
		return list, nil
	},
	"cuda": func(target string) ([]runtime.Device, error) {
		d, err := cuda.Open(gpu.Options{})
		if err != nil {
			return nil, err
		}
		if i := d.Info(); i.Targets[0] != target {
			d.Close()
			return nil, errors.New(i.Name + " is no " + target)
		}
		return []runtime.Device{d}, nil
	},
}

// compiledBy are copies of a GPU target that have one compiler each: clang as it's found here, and where it takes the target AMD's hipcc.
func compiledBy(t *testing.T, target *codegen.Target) (list []*codegen.Target, names []string) {
	clang, hipcc := *target, *target
	clang.Compilers, hipcc.Compilers = nil, nil
	for _, c := range target.Compilers {
		switch c.Program {
		case "hipcc":
			hipcc.Compilers = append(hipcc.Compilers, c)
		case "nvcc":
		default:
			clang.Compilers = append(clang.Compilers, c)
		}
	}
	list, names = append(list, &clang), append(names, target.Name)
	if hipcc.Compilers != nil && os.Getenv("HIPC_OBJECTS") == "" {
		if _, err := codegen.FindCompiler(t.Context(), &hipcc); err == nil {
			list, names = append(list, &hipcc), append(names, target.Name+"-hipcc")
		}
	}
	return list, names
}

// TestGPUKernels compiles every row of the registry that is for GPUs, for each such target, and runs it against Eval where it can be:
// gfx targets' in the simulator. HIPC_OBJECTS is a folder that compiled objects are left in, and taken from where there's no
// compiler: so the machine that has the card needs none. hipcc's objects are run too, of fewer shapes: its clang 15 has 128 registers, so that some
// kernels work in scratch.
func TestGPUKernels(t *testing.T) {
	for _, row := range codegen.Targets {
		if row.Object == "" || row.Device == "cpu" {
			continue
		}
		targets, names := compiledBy(t, row)
		for i, target := range targets {
			t.Run(names[i], func(t *testing.T) {
				if testing.Short() && os.Getenv("HIPC_OBJECTS") == "" {
					t.Skip("left out of short runs")
				}
				depth := eachHeight
				if i > 0 {
					depth = eachFormat
				}
				testGPUKernels(t, target, depth)
			})
		}
	}
}

func testGPUKernels(t *testing.T, target *codegen.Target, depth int) {
	devices, lacks := cards[target.Device](target.Name)
	for _, d := range devices {
		t.Cleanup(func() { d.Close() })
	}
	var all []*kernelCase
	covered := map[string]bool{}
	for i := range kernels.Registry {
		row := &kernels.Registry[i]
		if ok, _ := filepath.Match(row.Targets, target.Name); !ok || !strings.HasPrefix(row.Inst, *onlyKernel) {
			continue
		}
		cases, err := casesOf(row, target, covered, depth)
		if err != nil {
			t.Errorf("%s, %s, where %s: %v", row.Op, row.Sig, row.Where, err)
		}
		all = append(all, cases...)
	}
	objects := compileCases(t, target, all)
	if lacks != nil {
		t.Logf("%d cases compiled, none run: %v", len(all), lacks)
		return
	}
	var benches []*kernelBench
	for _, d := range devices {
		benches = append(benches, newBench(t, target, d, objects))
	}
	_, worst := runCases(t, benches, all)
	if depth == eachHeight { // not hipcc
		record(t, target, devices[0].Info().Name, worst)
	}
}
