package gpu

import (
	"fmt"
	"unsafe"

	"hipc/runtime"
)

// depth is how many replays of a graph may be queued: the one that runs, and the one behind it.
const depth = 2

// A ring is memory of the host that the card writes queued replays' results to, each with the event behind it. Only to such memory can a
// copy be queued: to any other, the driver's call returns when all before it is done.
type ring struct {
	host        uintptr
	events      [depth]uintptr
	begun, done int
}

// Queue implements runtime.Queue.
func (g *graph) Queue(result runtime.Ptr) error {
	d, r := g.d, &g.behind
	if r.begun-r.done == depth {
		return fmt.Errorf("%d replays are queued: ask for the first one's result", depth)
	}
	if err := d.within(result, 4, false); err != nil {
		return err
	}
	leave, err := d.enter()
	if err != nil {
		return err
	}
	defer leave()
	if r.host == 0 {
		if err := d.Call(HostAlloc, uintptr(unsafe.Pointer(&r.host)), 4*depth, 0); err != nil {
			return err
		}
	}
	i := r.begun % depth
	if r.events[i] == 0 {
		if err := d.Call(EventCreate, uintptr(unsafe.Pointer(&r.events[i])), 0); err != nil {
			return err
		}
	}
	if err := g.start(); err != nil {
		return err
	}
	if err := d.Call(MemcpyDtoHAsync, r.host+4*uintptr(i), uintptr(result), 4, d.stream); err != nil {
		return err
	}
	if err := d.Call(EventRecord, r.events[i], d.stream); err != nil {
		return err
	}
	r.begun++
	return nil
}

// Result implements runtime.Queue.
func (g *graph) Result() (int32, error) {
	d, r := g.d, &g.behind
	if r.begun == r.done {
		return 0, fmt.Errorf("no replay is queued")
	}
	leave, err := d.enter()
	if err != nil {
		return 0, err
	}
	defer leave()
	i := r.done % depth
	r.done++
	if err := d.waitFor(EventQuery, r.events[i]); err != nil {
		return 0, err
	}
	at := r.host + 4*uintptr(i)
	return *(*int32)(*(*unsafe.Pointer)(unsafe.Pointer(&at))), nil // the driver's memory, not Go's
}
