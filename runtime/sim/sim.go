// Package sim is a device that executes gfx1100 and gfx1151 code objects on the processor, instruction by instruction:
// the very bytes that a card would get. It is for tests and verification, not for speed.
//
// Load reads the ELF file, its metadata note and its kernel descriptors, has llvm-objdump (19 or newer) print the
// instructions, and decodes that text; an instruction or operand that isn't known is an error with its pc and text.
// Replay runs each launch's blocks, each block's waves of 32 lanes, one wave until it ends or comes to a barrier, then
// the next. Semantics are those of AMD's "RDNA3 Instruction Set Architecture" reference guide, and for gfx1151 of RDNA 3.5's.
//
// What a card would do silently is a Fault here, with the kernel, pc, instruction, block, wave and lane:
//   - an access to memory or LDS beyond what was allocated, to scratch beyond the lane's own, or to memory that was freed or is read-only;
//   - a value never written (registers and LDS start poisoned) that reaches an address, a branch, EXEC or memory;
//   - WMMA operands that differ between lanes 0–15 and 16–31, or EXEC that isn't full there;
//   - a race: an access to a dword that another wave accessed since the last barrier, or another block in the same
//     launch, one of them writing, unless atomics and device-scope fences order them (order.go);
//   - an endless loop, a trap.
//
// It doesn't see: missing s_waitcnt, timing, bank conflicts, and the last bits of exp, log, rcp, rsq, sqrt, sin, cos, and of
// float dot products and matrix products, which are computed in float64 and rounded once. Rounding is to nearest; denormals
// are as the kernel's mode bits say. Counts counts what was executed, by class, and bytes moved, per kernel.
package sim

import (
	"fmt"

	"hipc/runtime"
)

// Options say how a Device is opened. The zero value is the default: everything is checked, in ascending order.
type Options struct {
	Target  string // "gfx1100" or "gfx1151": the one whose code is run; "": either
	Memory  int64  // bytes that may be given out; 0: 64 GiB
	Reverse bool   // waves and blocks run in descending order
	NoRaces bool   // accesses aren't tracked; blocks then run on several threads
	Threads int    // with NoRaces; 0: one per core
	Limit   int64  // instructions that a wave may execute; 0: 1 << 26
}

// A Device is the simulated card.
type Device struct {
	opts    Options
	mem     memory
	serial  uint32 // of launches
	blocks  uint32 // serial of blocks
	modules []*module
	graphs  []*graph
	counts  map[string]*Counts
	pool    []*wave
}

// Open opens a simulated card. It starts nothing.
func Open(opts Options) (runtime.Device, error) {
	if opts.Target != "" && opts.Target != "gfx1100" && opts.Target != "gfx1151" {
		return nil, fmt.Errorf("target %s can't be simulated, want gfx1100 or gfx1151", opts.Target)
	}
	if opts.Threads < 0 || opts.Threads > 1024 {
		return nil, fmt.Errorf("%d threads, want 1 to 1024, or 0 for one per core", opts.Threads)
	}
	if opts.Memory <= 0 {
		opts.Memory = 64 << 30
	}
	if opts.Limit <= 0 {
		opts.Limit = 1 << 26
	}
	return &Device{opts: opts, counts: map[string]*Counts{}}, nil
}

// Info describes the simulated card.
func (d *Device) Info() runtime.Info {
	i := runtime.Info{Name: "simulated gfx11", Targets: []string{"gfx1100", "gfx1151"}, Total: d.opts.Memory, Free: d.opts.Memory - d.mem.counted, Counted: d.mem.counted}
	if d.opts.Target != "" {
		i.Name, i.Targets = "simulated "+d.opts.Target, []string{d.opts.Target}
	}
	return i
}

// Sync has nothing to wait for: Replay returns when all is done.
func (d *Device) Sync() error { return nil }

// Close gives all memory back.
func (d *Device) Close() error {
	for _, g := range d.graphs {
		g.Close()
	}
	for _, m := range d.modules {
		m.Close()
	}
	d.mem, d.modules, d.graphs, d.pool = memory{next: d.mem.next, ids: d.mem.ids}, nil, nil, nil
	return nil
}
