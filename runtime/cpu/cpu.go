// Package cpu is the device that runs an artifact's shared object on the processor's cores.
//
// A kernel is a function of the object that computes one block of a launch. What runs the blocks is compiled into the
// same object: a pool of threads, with which one call replays a whole graph (hipc_replay). So Go makes one native call
// per token, and what that call reads, the launches and their operands, was written once, by Record, into memory that
// the garbage collector doesn't know.
//
// Memory is anonymous mappings, zeroed and with huge pages where the system grants them. Weights are used where they
// lie, in the mapping of their file. Every byte is counted before it is asked for; reads and writes by the host go
// through the table of blocks, so a wrong place is an error and not a crash.
package cpu

import (
	"fmt"

	"hipc/runtime"
)

// Options say how a Device is opened. The zero value is the default.
type Options struct {
	Threads int   // of the pool, the caller's included; 0: one per core that this process may use
	Memory  int64 // bytes that may be used at most; 0: what the machine and its cgroup allow
}

// maxThreads bounds the pool: a number beyond it is a slip of the pen.
const maxThreads = 1024

// A Device is the processor.
type Device struct {
	threads int
	limit   int64
	counted int64
	blocks  []block // ascending
	modules []*module
	graphs  []*graph
	name    string
}

// Open opens the processor. It starts no thread: a module's pool does, when it's loaded.
func Open(opts Options) (runtime.Device, error) {
	if opts.Threads < 0 || opts.Threads > maxThreads {
		return nil, fmt.Errorf("%d threads, want 1 to %d, or 0 for one per core", opts.Threads, maxThreads)
	}
	d := &Device{threads: opts.Threads, limit: opts.Memory, name: processor()}
	if d.threads == 0 {
		d.threads = Cores()
	}
	return d, nil
}

// Info reads the memory's state anew.
func (d *Device) Info() runtime.Info {
	total, free := memory()
	if d.limit > 0 {
		total, free = min(total, d.limit), min(free, d.limit-d.counted)
	}
	return runtime.Info{Name: d.name, Targets: targets(features), Threads: d.threads, Total: total, Free: max(free, 0), Counted: d.counted}
}

// Sync has nothing to wait for: Replay returns when all is done.
func (d *Device) Sync() error { return nil }

// Close ends the threads and gives all memory back.
func (d *Device) Close() error {
	var first error
	keep := func(err error) {
		if first == nil {
			first = err
		}
	}
	for _, g := range d.graphs {
		keep(g.Close())
	}
	for _, m := range d.modules {
		keep(m.Close())
	}
	for len(d.blocks) > 0 {
		keep(d.Free(d.blocks[len(d.blocks)-1].at))
	}
	d.graphs, d.modules = nil, nil
	return first
}
