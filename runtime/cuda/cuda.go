// Package cuda is the device that runs an artifact's PTX on an NVIDIA card, through the driver's library alone.
//
// libcuda is opened when the device is (machine.go), so one program serves machines with and without it; the CUDA toolkit isn't
// needed. The driver compiles the PTX when it's loaded, for exactly the processor that it was written for: an sm_90 artifact runs on
// compute capability 9.0 and nowhere else, since what a kernel was tuned for is part of the plan.
//
// A graph is a CUDA graph of kernel nodes in a plain chain, made node by node and instantiated once; a replay is one launch of it
// and one wait. No node is ever changed: what varies from token to token lies in cells. With Eager the same launches are made one by
// one, from the same list: the twin that the graph is held against.
//
// Everything is done on one stream, in the order in which it was asked for: the driver's calls without a stream work on another, which
// ours wouldn't wait for, and return before they're done.
//
// The driver's state belongs to an operating system's thread, and goroutines move between those: each method binds the context to
// the thread that it runs on. Every status of the driver is an error with its name and the call's.
package cuda

import (
	"fmt"
	goruntime "runtime"
	"unsafe"

	"hipc/runtime"
)

// Options say how a Device is opened. The zero value is the default.
type Options struct {
	Ordinal int   // which of the machine's cards
	Eager   bool  // launches one by one instead of a graph
	Memory  int64 // bytes that may be used at most; 0: what is free on the card
}

// A Device is one card.
type Device struct {
	lib     *library
	ordinal int32 // as the driver counts
	context uintptr
	stream  uintptr
	eager   bool
	limit   int64
	counted int64
	blocks  []block // ascending
	modules []*module
	graphs  []*graph
	info    runtime.Info
}

// Open opens a card. Without the library, or without a card, the error says so in one line.
func Open(opts Options) (runtime.Device, error) {
	lib, err := open()
	if err != nil {
		return nil, err
	}
	d := &Device{lib: lib, eager: opts.Eager, limit: opts.Memory}
	if err := d.open(opts.Ordinal); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func (d *Device) open(ordinal int) error {
	if err := d.lib.call(cuInit, 0); err != nil {
		return err
	}
	var n int32
	if err := d.lib.call(cuDeviceGetCount, uintptr(unsafe.Pointer(&n))); err != nil {
		return err
	}
	if ordinal < 0 || ordinal >= int(n) {
		return fmt.Errorf("NVIDIA card %d of %d: there is none", ordinal, n)
	}
	if err := d.lib.call(cuDeviceGet, uintptr(unsafe.Pointer(&d.ordinal)), uintptr(ordinal)); err != nil {
		return err
	}
	var err error
	if d.info, err = d.lib.describe(d.ordinal); err != nil {
		return err
	}
	if err := d.lib.call(cuDevicePrimaryCtxRetain, uintptr(unsafe.Pointer(&d.context)), uintptr(d.ordinal)); err != nil {
		return err
	}
	leave, err := d.enter()
	if err != nil {
		return err
	}
	defer leave()
	return d.lib.call(cuStreamCreate, uintptr(unsafe.Pointer(&d.stream)), streamNonBlocking)
}

// enter binds the context to this thread, and this goroutine to it until leave is called.
func (d *Device) enter() (leave func(), err error) {
	goruntime.LockOSThread()
	if err := d.lib.call(cuCtxSetCurrent, d.context); err != nil {
		goruntime.UnlockOSThread()
		return nil, err
	}
	return goruntime.UnlockOSThread, nil
}

// Info reads the memory's state anew. A card that is gone has none.
func (d *Device) Info() runtime.Info {
	info := d.info
	info.Counted = d.counted
	leave, err := d.enter()
	if err != nil {
		return info
	}
	defer leave()
	var free, total uint64
	if d.lib.call(cuMemGetInfo, uintptr(unsafe.Pointer(&free)), uintptr(unsafe.Pointer(&total))) == nil {
		info.Total, info.Free = int64(total), int64(free)
	}
	if d.limit > 0 {
		info.Total, info.Free = min(info.Total, d.limit), min(info.Free, max(d.limit-d.counted, 0))
	}
	return info
}

// Sync waits until the card has done all.
func (d *Device) Sync() error {
	leave, err := d.enter()
	if err != nil {
		return err
	}
	defer leave()
	return d.lib.call(cuStreamSynchronize, d.stream)
}

// Close gives all memory back.
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
	if d.stream != 0 {
		if leave, err := d.enter(); err == nil {
			keep(d.lib.call(cuStreamDestroy, d.stream))
			leave()
		}
		d.stream = 0
	}
	if d.context != 0 {
		keep(d.lib.call(cuDevicePrimaryCtxRelease, uintptr(d.ordinal)))
		d.context = 0
	}
	return first
}
