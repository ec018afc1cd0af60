package tests

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hipc/codegen"
	"hipc/ir"
	"hipc/kernels"
	"hipc/runtime"
	"hipc/runtime/cpu"
)

// TestKernels runs every row of the registry, on every target that this machine can run, against Eval. Shapes come out
// of the rows themselves, so a new row is tested the moment it is there.
func TestKernels(t *testing.T) {
	for _, target := range codegen.Targets {
		if target.Device != "cpu" {
			continue // kernels_gpu_test.go
		}
		t.Run(target.Name, func(t *testing.T) {
			if m := target.Missing(); len(m) > 0 {
				t.Skipf("this processor lacks %s", strings.Join(m, ", "))
			}
			best, _ := codegen.TargetByName(target.Alias)
			switch {
			case testing.Short() && best != nil && best != target:
				t.Skipf("-short: %s is run", best.Name)
			case testing.Short():
				testKernels(t, target, eachFormat)
			case best != nil && best != target: // the same templates over other vectors
				testKernels(t, target, eachHeight)
			default:
				testKernels(t, target, eachDim)
			}
		})
	}
}

func testKernels(t *testing.T, target *codegen.Target, depth int) {
	covered := map[string]bool{}
	var all []*kernelCase
	begun := time.Now()
	for i := range kernels.Registry {
		row := &kernels.Registry[i]
		if ok, _ := filepath.Match(row.Targets, target.Name); !ok || !strings.HasPrefix(row.Inst, *onlyKernel) {
			continue
		}
		cases, err := casesOf(row, target, covered, depth)
		if err != nil {
			t.Errorf("%s, %s: %v", row.Op, row.Sig, err)
		}
		all = append(all, cases...)
	}
	t.Logf("%d cases of %d rows, chosen in %.1f s", len(all), len(kernels.Registry), time.Since(begun).Seconds())
	device, err := cpu.Open(cpu.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { device.Close() })
	objects := compileCases(t, target, all)
	promised, worst := runCases(t, []*kernelBench{newBench(t, target, device, objects)}, all)
	record(t, target, device.Info().Name, worst)
	for name := range kernels.InPlace {
		has := slices.ContainsFunc(kernels.Registry, func(k kernels.Kernel) bool {
			ok, _ := filepath.Match(k.Targets, target.Name)
			return ok && strings.HasPrefix(k.Inst, name+"<")
		})
		if has && !promised[name] && *onlyKernel == "" {
			t.Errorf("no case of the template %s worked in place, as it is said to", name)
		}
	}
}

// A kernelRun is a case, a way of placing its results, and whether its operands are far apart.
type kernelRun struct {
	*kernelCase
	alias *[2]int
}

func (r kernelRun) String() string {
	switch {
	case r.spread:
		return r.kernelCase.String() + " on values far apart"
	case r.alias != nil:
		return fmt.Sprintf("%s, result %d in the place of operand %d", r.kernelCase, r.alias[0], r.alias[1])
	}
	return r.kernelCase.String()
}

// runsOf lists what is to be run of all cases. promised are the templates that work in place.
func runsOf(all []*kernelCase) (runs []kernelRun, promised map[string]bool) {
	promised = map[string]bool{}
	for _, c := range all {
		runs = append(runs, kernelRun{c, nil})
		template := c.choice.Template()
		for _, p := range kernels.InPlace[template] {
			promised[template] = true
			if c.choice.InPlace(c.node, p[0], p[1]) {
				runs = append(runs, kernelRun{c, &p})
			}
		}
		if op, ok := ir.OpByName(c.row.Op); ok && op.Scalar != nil && len(c.node.Args) == 1 { // functions of one value
			far := *c
			far.spread = true
			runs = append(runs, kernelRun{&far, nil})
		}
	}
	return runs, promised
}

// runCases holds all cases against the oracle, on all benches side by side. promised are the templates that work in place, worst is the NMSE of each case.
func runCases(t *testing.T, benches []*kernelBench, all []*kernelCase) (promised map[string]bool, worst map[*kernelCase]float64) {
	begun := time.Now()
	runs, promised := runsOf(all)
	var (
		next  atomic.Int64
		found = make([]float64, len(runs))
		wg    sync.WaitGroup
	)
	for _, b := range benches {
		wg.Go(func() {
			for {
				n := int(next.Add(1)) - 1
				if n >= len(runs) {
					return
				}
				e, err := runs[n].run(b)
				if err != nil {
					t.Errorf("%s: %v", runs[n], err)
				}
				found[n] = e
			}
		})
	}
	wg.Wait()
	worst = map[*kernelCase]float64{}
	for i, r := range runs {
		worst[r.kernelCase] = max(worst[r.kernelCase], found[i])
	}
	t.Logf("%d runs in %.1f s; the worst NMSE of a row is %.1g", len(runs), time.Since(begun).Seconds(), slices.Max(found))
	return promised, worst
}

func (r kernelRun) run(b *kernelBench) (float64, error) {
	if slices.Contains(r.choice.Cells, "params") {
		return 0, r.checkDraws(b)
	}
	return r.check(b, r.alias)
}

// A kernelObject is a compiled object and the kernels in it.
type kernelObject struct {
	dir     string
	code    []byte
	kernels []codegen.Entry
}

// newBench loads the objects into a device.
func newBench(t *testing.T, target *codegen.Target, device runtime.Device, objects []kernelObject) *kernelBench {
	t.Helper()
	b := &kernelBench{target: target, device: device, modules: map[string]runtime.Module{}}
	for _, o := range objects {
		m, err := device.Load(o.code)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range o.kernels {
			b.modules[e.Name] = m
		}
	}
	return b
}

// compileCases compiles all cases, in as many objects as compilers can run at once.
func compileCases(t *testing.T, target *codegen.Target, all []*kernelCase) []kernelObject {
	t.Helper()
	begun := time.Now()
	objects := os.Getenv("HIPC_OBJECTS")
	entries, reals := entriesOf(all)
	parts := make([][]codegen.Entry, 2)
	if objects == "" && target.Device == "cpu" {
		parts = make([][]codegen.Entry, max(1, min(cpu.Cores(), 8)))
	}
	for i, e := range entries {
		parts[i%len(parts)] = append(parts[i%len(parts)], e)
	}
	dirs := make([]string, len(parts))
	errs := make([]error, len(parts))
	var wg sync.WaitGroup
	for i := range parts {
		dirs[i] = t.TempDir()
		if objects != "" {
			dirs[i] = filepath.Join(objects, target.Name, fmt.Sprint(i))
			if _, err := os.Stat(filepath.Join(dirs[i], target.Object)); err == nil {
				continue
			}
		}
		wg.Go(func() { errs[i] = compileObject(t.Context(), kernels.Templates, target, dirs[i], parts[i], reals) })
	}
	wg.Wait()
	list := make([]kernelObject, len(parts))
	for i, err := range errs {
		var missing *codegen.MissingTool
		if errors.As(err, &missing) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		list[i].dir, list[i].kernels = dirs[i], parts[i]
		if list[i].code, err = os.ReadFile(filepath.Join(dirs[i], target.Object)); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d instances compiled in %.1f s", len(entries), time.Since(begun).Seconds())
	return list
}

// entriesOf lists the kernels that the cases are instances of, each once, and gives each case its kernel's name.
func entriesOf(all []*kernelCase) (entries []codegen.Entry, reals []codegen.Real) {
	instances := map[string]*kernelCase{}
	for _, c := range all {
		if same := instances[c.choice.Inst]; same != nil {
			c.kernel = same.kernel
			continue
		}
		instances[c.choice.Inst] = c
		c.kernel = fmt.Sprintf("case_%d", len(entries))
		entries = append(entries, codegen.Entry{Name: c.kernel, Block: c.choice.Block, LDS: c.choice.LDS, Parts: []codegen.EntryPart{{
			Inst: c.choice.Inst, Header: c.row.Header, Args: c.operands(), Grid: c.choice.Grid}}})
		for _, r := range c.choice.Reals {
			reals = append(reals, codegen.Real(r))
		}
	}
	return entries, reals
}

// operands says in which order the kernel takes what the launch lists: as it does.
func (c *kernelCase) operands() []int {
	n := len(c.choice.Cells)
	kv := false
	for _, v := range slices.Concat(c.node.Bound(), c.node.Outs) {
		if v.Type.Elem == ir.KV {
			kv = true
		} else {
			n++
		}
	}
	if kv {
		n++
	}
	n += len(c.kept())
	if c.choice.Scratch > 0 {
		n++
	}
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func compileObject(ctx context.Context, templates fs.FS, target *codegen.Target, dir string, entries []codegen.Entry, reals []codegen.Real) error {
	files, err := codegen.Templates(target, templates, entries)
	if err != nil {
		return err
	}
	files[target.Source] = codegen.Source(target, "the registry's test", entries, reals)
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return err
		}
	}
	_, err = codegen.Build(ctx, target, dir)
	return err
}
