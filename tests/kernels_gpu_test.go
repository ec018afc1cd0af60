package tests

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"hipc/codegen"
	"hipc/kernels"
	"hipc/runtime"
	"hipc/runtime/cuda"
)

// cards open what GPU targets run on; a target without one is compiled only.
var cards = map[string]func() (runtime.Device, error){
	"cuda": func() (runtime.Device, error) { return cuda.Open(cuda.Options{}) },
}

// TestGPUKernels compiles every row of the registry that is for GPUs, for each such target, and runs what there is a card for against
// Eval. HIPC_OBJECTS is a folder that compiled objects are left in, and taken from where there's no compiler: so the machine that
// has the card needs none.
func TestGPUKernels(t *testing.T) {
	for _, target := range codegen.Targets {
		if target.Object == "" || target.Device == "cpu" {
			continue
		}
		t.Run(target.Name, func(t *testing.T) {
			if only := os.Getenv("HIPC_TARGET"); only != "" && only != target.Name {
				t.Skipf("HIPC_TARGET is %s", only)
			}
			if os.Getenv("HIPC_TARGET") == "" && (testing.Short() || target.Name == "gfx1151") {
				t.Skip("left out of short runs; gfx1151 differs from gfx1100 by its name alone: HIPC_TARGET=gfx1151 compiles it")
			}
			var all []*kernelCase
			covered := map[string]bool{}
			for i := range kernels.Registry {
				row := &kernels.Registry[i]
				if ok, _ := filepath.Match(row.Targets, target.Name); !ok {
					continue
				}
				cases, err := casesOf(row, target, covered, eachHeight)
				if err != nil {
					t.Errorf("%s, %s: %v", row.Op, row.Sig, err)
				}
				all = append(all, cases...)
			}
			device, err := openCard(target)
			if err != nil {
				compileCases(t, target, nil, all)
				t.Logf("%d cases compiled, none run: %v", len(all), err)
				return
			}
			t.Cleanup(func() { device.Close() })
			runCases(t, compileCases(t, target, device, all), all)
		})
	}
}

func openCard(target *codegen.Target) (runtime.Device, error) {
	open := cards[target.Device]
	if open == nil {
		return nil, errors.New("no device " + target.Device)
	}
	d, err := open()
	if err == nil && (len(d.Info().Targets) == 0 || d.Info().Targets[0] != target.Name) {
		d.Close()
		err = errors.New(d.Info().Name + " is no " + target.Name)
	}
	return d, err
}
