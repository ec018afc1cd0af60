package sim

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"hipc/runtime"
	"hipc/runtime/hsaco"
)

// A module is a loaded code object.
type module struct {
	kernels map[string]*kernel
	code    []inst
	index   map[uint64]int // from pc to instruction
	base    uint64         // where the image was loaded
	d       *Device
}

// A kernel is one of a module's.
type kernel struct {
	*hsaco.Kernel
	start int // index of its first instruction
}

// Load reads a code object and decodes all its instructions.
func (d *Device) Load(code []byte) (runtime.Module, error) {
	o, err := hsaco.Read(code)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(d.Info().Targets, o.Target) {
		return nil, fmt.Errorf("the code object is for %s, the simulated card runs %s", o.Target, strings.Join(d.Info().Targets, " and "))
	}
	lines, err := disassemble(code)
	if err != nil {
		return nil, err
	}
	m := &module{d: d, kernels: map[string]*kernel{}}
	if m.code, m.index, err = decode(lines); err != nil {
		return nil, err
	}
	for _, k := range o.Kernels {
		if k.Scratch > maxScratch {
			return nil, fmt.Errorf("kernel %s: %d bytes of scratch a lane, want at most %d", k.Name, k.Scratch, maxScratch)
		}
		i, ok := m.index[k.Entry]
		if !ok {
			return nil, fmt.Errorf("kernel %s: no instruction begins at its entry %#x", k.Name, k.Entry)
		}
		m.kernels[k.Name] = &kernel{Kernel: k, start: i}
	}
	b := slices.Clone(o.Image)
	a := d.mem.add(b, !o.Written)
	m.base = a.at
	for _, f := range o.Fixes {
		binary.LittleEndian.PutUint64(b[f.At:], m.base+f.Addend)
	}
	d.modules = append(d.modules, m)
	return m, nil
}

// Close frees the image. It may be called twice.
func (m *module) Close() error {
	if m.code == nil {
		return nil
	}
	m.code = nil
	return m.d.mem.free(m.base)
}

// find gives a kernel of a module that is loaded.
func (d *Device) find(code runtime.Module, name string) (*module, *kernel, error) {
	m, ok := code.(*module)
	if !ok || m.code == nil || m.d != d {
		return nil, nil, fmt.Errorf("the module isn't one that this device has loaded")
	}
	k := m.kernels[name]
	if k == nil {
		return nil, nil, fmt.Errorf("the object has no kernel %s", name)
	}
	return m, k, nil
}

// A graph is a list of launches.
type graph struct {
	d     *Device
	steps []Dispatch
	code  runtime.Module
}

// Record checks the launches: kernels, numbers of operands, block sizes.
func (d *Device) Record(code runtime.Module, steps []runtime.Launch) (runtime.Graph, error) {
	if len(steps) == 0 {
		return nil, fmt.Errorf("nothing to record")
	}
	g := &graph{d: d, code: code}
	for _, s := range steps {
		_, k, err := d.find(code, s.Kernel)
		if err != nil {
			return nil, err
		}
		want := k.Explicit()
		if len(want) != len(s.Args) {
			return nil, fmt.Errorf("kernel %s: %d operands, its code takes %d", s.Kernel, len(s.Args), len(want))
		}
		x := Dispatch{Kernel: s.Kernel, Grid: [3]int{s.Grid, 1, 1}, Block: [3]int{s.Block, 1, 1}, LDS: s.LDS, Kernarg: make([]byte, k.explicitSize())}
		for i, p := range s.Args {
			if want[i].Size != 8 {
				return nil, fmt.Errorf("kernel %s: argument %d has %d bytes, want a pointer", s.Kernel, i, want[i].Size)
			}
			if a := d.mem.find(uint64(p)); a == nil || a.freed || uint64(p)-a.at >= a.size {
				return nil, fmt.Errorf("kernel %s: an operand at %#x is in no block of memory", s.Kernel, uint64(p))
			}
			binary.LittleEndian.PutUint64(x.Kernarg[want[i].Offset:], uint64(p))
		}
		if err := d.checkDispatch(k, &x); err != nil {
			return nil, err
		}
		g.steps = append(g.steps, x)
	}
	d.graphs = append(d.graphs, g)
	return g, nil
}

func (g *graph) Replay() error {
	if g.steps == nil {
		return fmt.Errorf("the graph is closed")
	}
	for i := range g.steps {
		if err := g.d.Dispatch(g.code, g.steps[i]); err != nil {
			return err
		}
	}
	return nil
}

func (g *graph) Time() ([]time.Duration, error) {
	out := make([]time.Duration, len(g.steps))
	for i := range g.steps {
		t := time.Now()
		if err := g.d.Dispatch(g.code, g.steps[i]); err != nil {
			return nil, err
		}
		out[i] = time.Since(t)
	}
	return out, nil
}

func (g *graph) Close() error {
	g.steps = nil
	return nil
}
