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

// TestGPUKernels compiles every row of the registry that is for GPUs, for each such target, and runs it against Eval where it can be:
// gfx targets' in the simulator. HIPC_OBJECTS is a folder that compiled objects are left in, and taken from where there's no
// compiler: so the machine that has the card needs none.
func TestGPUKernels(t *testing.T) {
	for _, target := range codegen.Targets {
		if target.Object == "" || target.Device == "cpu" {
			continue
		}
		t.Run(target.Name, func(t *testing.T) {
			if testing.Short() && os.Getenv("HIPC_OBJECTS") == "" {
				t.Skip("left out of short runs")
			}
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
				cases, err := casesOf(row, target, covered, eachHeight)
				if err != nil {
					t.Errorf("%s, %s: %v", row.Op, row.Sig, err)
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
			runCases(t, benches, all)
		})
	}
}
