// Package gpu is the device that a card is, whoever made it: runtime/hip and runtime/cuda fill in a Driver each, and all else is here.
//
// Both vendors' driver libraries have the same calls with the same arguments under other names (HIP was made so). So a Driver is mostly
// a table of names; where the two differ, in how a card is described and code is read, in one structure's layout, it has functions. The
// library is opened when a device is, so one program serves machines with and without it, and no toolkit is needed at run time.
//
// A graph is the vendor's graph of kernel nodes in a plain chain, made node by node and instantiated once; a replay is one launch of it
// and one wait. No node is ever changed: what varies from token to token lies in cells. With Eager the same launches are made one by
// one, from the same list: the twin that the graph is held against.
//
// Everything is done on one stream, in the order in which it was asked for: the calls without a stream work on another, which ours
// wouldn't wait for, and return before they're done. Nothing waits for a card without end: a wait asks the stream whether it's done, and
// gives the card up after Options.Timeout. What is known to be wrong, too much memory or a launch that doesn't match its kernel, is
// refused before the driver is asked.
//
// The driver's state belongs to an operating system's thread, and goroutines move between those: each method binds the card to the
// thread that it runs on. Every status of the driver is an error with its name and the call's, and a *runtime.DeviceError.
package gpu

import (
	"fmt"
	goruntime "runtime"
	"slices"
	"strings"
	"time"
	"unsafe"

	"hipc/runtime"
)

// Options say how a Device is opened. The zero value is the default.
type Options struct {
	Target  string        // the first card that has this target, "gfx1100"; "": the first card
	Force   bool          // the first card that is near the target, if none has it
	Eager   bool          // launches one by one instead of a graph
	Memory  int64         // bytes that may be used at most; 0: what is free on the card
	Timeout time.Duration // after which a replay is given up; 0: a minute
}

// A Device is one card.
type Device struct {
	*Library
	card    Card
	current uintptr // what Bind takes
	release func() error
	stream  uintptr
	opts    Options
	counted int64
	blocks  []block // ascending
	modules []*module
	graphs  []*graph
	lost    error // why the card was given up
}

// Open opens a card. Without the library, or without a card, the error says so in one line.
func Open(driver *Driver, opts Options) (runtime.Device, error) {
	l, err := driver.open()
	if err != nil {
		return nil, err
	}
	if opts.Timeout <= 0 {
		opts.Timeout = time.Minute
	}
	d := &Device{Library: l, opts: opts}
	if err := d.open(); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// Cards lists the machine's cards.
func Cards(driver *Driver) ([]Card, error) {
	l, err := driver.open()
	if err != nil {
		return nil, err
	}
	return l.cards()
}

func (d *Device) open() error {
	cards, err := d.cards()
	if err != nil {
		return err
	}
	want, remedy := d.opts.Target, ""
	var others []string
	for _, c := range cards {
		if want == "" || c.Target == want {
			d.card = c
			return d.bind()
		}
		others = append(others, c.String())
	}
	if i := slices.IndexFunc(cards, func(c Card) bool { return c.Near(want) }); i >= 0 {
		if d.opts.Force {
			d.card = cards[i]
			d.card.Target = want
			return d.bind()
		}
		remedy = fmt.Sprintf("try --target %s, at your own risk, or ", want)
	}
	return &runtime.DeviceError{Err: fmt.Errorf("no card here is %s, but %s: %scompile the model with --target cpu", want, strings.Join(others, ", "), remedy)}
}

func (d *Device) bind() (err error) {
	if d.current, d.release, err = d.Bind(d.Library, d.card); err != nil {
		return err
	}
	leave, err := d.enter()
	if err != nil {
		return err
	}
	defer leave()
	return d.Call(StreamCreate, uintptr(unsafe.Pointer(&d.stream)), streamNonBlocking)
}

// enter binds the card to this thread, and this goroutine to it until leave is called.
func (d *Device) enter() (leave func(), err error) {
	if d.lost != nil {
		return nil, d.lost
	}
	goruntime.LockOSThread()
	if err := d.Call(SetCurrent, d.current); err != nil {
		goruntime.UnlockOSThread()
		return nil, err
	}
	return goruntime.UnlockOSThread, nil
}

// Info reads the memory's state anew. A card that is gone has none.
func (d *Device) Info() runtime.Info {
	info := runtime.Info{Name: d.card.Name, Targets: []string{d.card.Target}, Multiprocessors: d.card.Multiprocessors, Counted: d.counted, Graphs: !d.opts.Eager}
	leave, err := d.enter()
	if err != nil {
		info.Err = err
		return info
	}
	defer leave()
	var free, total uint64
	if info.Err = d.Call(MemGetInfo, uintptr(unsafe.Pointer(&free)), uintptr(unsafe.Pointer(&total))); info.Err == nil {
		info.Total, info.Free = int64(total), int64(free)
	}
	if limit := d.opts.Memory; limit > 0 {
		info.Total, info.Free = min(info.Total, limit), min(info.Free, max(limit-d.counted, 0))
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
	return d.wait()
}

// spinning is how long a wait asks without a pause: longer than a token takes, since a pause's end is late by half a tenth of a
// millisecond. The vendors' own waits spin too.
const spinning = 20 * time.Millisecond

// wait waits until the stream is done.
func (d *Device) wait() error { return d.waitFor(StreamQuery, d.stream) }

// waitFor asks a stream or an event until it's done. A card that isn't within the timeout is given up: whatever else is asked of it might
// wait without end.
func (d *Device) waitFor(query int, handle uintptr) error {
	begun := time.Now()
	for {
		if status := int32(d.Result(d.procs[query], handle)); status != statusNotReady {
			return d.failure(d.procs[query], status)
		}
		switch took := time.Since(begun); {
		case took > d.opts.Timeout:
			d.lost = &runtime.DeviceError{Err: fmt.Errorf("%s hasn't finished within %v: given up (--timeout waits longer)", d.card, d.opts.Timeout)}
			return d.lost
		case took > spinning:
			time.Sleep(200 * time.Microsecond)
		default:
			goruntime.Gosched()
		}
	}
}

// Close gives all memory back. What a card that was given up holds ends with the process.
func (d *Device) Close() error {
	if d.lost != nil {
		return nil
	}
	var first error
	keep := func(err error) {
		if first == nil {
			first = err
		}
	}
	if d.stream != 0 {
		if keep(d.Sync()); d.lost != nil { // what is queued uses what is given back here
			return first
		}
	}
	for _, g := range slices.Clone(d.graphs) { // each takes itself away
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
		leave, err := d.enter()
		if err == nil {
			err = d.Call(StreamDestroy, d.stream)
			leave()
		}
		keep(err)
		d.stream = 0
	}
	if d.release != nil {
		keep(d.release())
		d.release = nil
	}
	return first
}
