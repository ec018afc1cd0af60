package main

import "C"

import (
	"bytes"
	"fmt"
	"sync"
	"unsafe"

	"hipc/runtime"
	"hipc/runtime/sim"
)

// busy is held by whoever uses the simulated card: a queue while it works, or a call.
var busy sync.Mutex

// device is the simulated card, opened when it's first needed.
func device() (*sim.Device, int) {
	l := &library
	if l.card != nil {
		return l.card, success
	}
	d, err := sim.Open(sim.Options{Target: l.cards[l.current], Memory: int64(number("HIPSTANDIN_MEMORY", defaultMemoryBytes)), NoRaces: true})
	if err != nil {
		return nil, invalidDevice
	}
	l.card = d.(*sim.Device)
	return l.card, success
}

//export hipMemGetInfo
func hipMemGetInfo(free, total uintptr) C.int {
	return call("hipMemGetInfo", func() (int, string) {
		d, status := device()
		if status != success {
			return status, ""
		}
		busy.Lock()
		defer busy.Unlock()
		info := d.Info()
		*at[uint64](free), *at[uint64](total) = uint64(info.Free), uint64(info.Total)
		return success, ""
	})
}

//export hipMalloc
func hipMalloc(to uintptr, n C.size_t) C.int {
	return call("hipMalloc", func() (int, string) {
		d, status := device()
		if status != success {
			return status, ""
		}
		busy.Lock()
		defer busy.Unlock()
		if to == 0 || n == 0 {
			return invalidValue, ""
		}
		p, err := d.Alloc(int64(n))
		if err != nil {
			return outOfMemory, err.Error()
		}
		d.Write(p, bytes.Repeat([]byte{0xcd}, int(n)))
		*at[uint64](to) = uint64(p)
		return success, fmt.Sprintf("made memory %#x", uint64(p))
	})
}

//export hipFree
func hipFree(p uintptr) C.int {
	return call("hipFree", func() (int, string) {
		finishAll()
		busy.Lock()
		defer busy.Unlock()
		if library.card == nil || library.card.Free(runtime.Ptr(p)) != nil {
			return invalidValue, ""
		}
		return success, fmt.Sprintf("gone memory %#x", p)
	})
}

// host is memory that the library made: a copy to it needn't wait.
type host struct{ b []byte }

//export hipHostMalloc
func hipHostMalloc(to uintptr, n C.size_t, flags C.uint) C.int {
	return call("hipHostMalloc", func() (int, string) {
		if to == 0 || n == 0 || n > 1<<30 || flags != 0 {
			return invalidValue, ""
		}
		h := &host{make([]byte, n)}
		p := uintptr(unsafe.Pointer(&h.b[0]))
		library.handles[p] = h
		*at[uintptr](to) = p
		return success, fmt.Sprintf("made %T %#x", h, p)
	})
}

//export hipHostFree
func hipHostFree(p uintptr) C.int {
	return call("hipHostFree", func() (int, string) { finishAll(); return drop[*host](p) })
}

func pinned(p uintptr) bool {
	library.Lock()
	defer library.Unlock()
	for at, x := range library.handles {
		if h, ok := x.(*host); ok && p >= at && p < at+uintptr(len(h.b)) {
			return true
		}
	}
	return false
}

// copying queues a copy, whose ends are checked when it's asked for; wait says that it's done when the call returns.
func copying(name string, to, from runtime.Ptr, n int64, s uintptr, wait bool, f func(d *sim.Device) error) C.int {
	var q *stream
	defer func() {
		if q != nil && wait {
			q.finish()
		}
	}()
	return call(name, func() (int, string) {
		x, ok := held[*stream](s)
		if !ok || n < 1 {
			return invalidHandle, ""
		}
		d, status := device()
		if status != success {
			return status, ""
		}
		busy.Lock()
		defer busy.Unlock()
		for _, p := range []runtime.Ptr{to, from} { // reading a byte at each end is what a check of the place is
			var b [1]byte
			if p != 0 && (d.Read(b[:], p) != nil || d.Read(b[:], p.Add(n-1)) != nil) {
				return invalidValue, fmt.Sprintf("%d bytes at %#x", n, uint64(p))
			}
		}
		q = x
		q.push(func() error { return f(d) })
		return success, ""
	})
}

//export hipMemsetD8Async
func hipMemsetD8Async(to uintptr, value C.uchar, n C.size_t, s uintptr) C.int {
	return copying("hipMemsetD8Async", runtime.Ptr(to), 0, int64(n), s, false, func(d *sim.Device) error {
		return d.Write(runtime.Ptr(to), bytes.Repeat([]byte{byte(value)}, int(n)))
	})
}

//export hipMemcpyHtoDAsync
func hipMemcpyHtoDAsync(to, from uintptr, n C.size_t, s uintptr) C.int {
	b := bytesAt(from, int(n))
	if !pinned(from) {
		b = bytes.Clone(b) // taken aside before the call returns
	}
	return copying("hipMemcpyHtoDAsync", runtime.Ptr(to), 0, int64(n), s, false, func(d *sim.Device) error { return d.Write(runtime.Ptr(to), b) })
}

//export hipMemcpyDtoHAsync
func hipMemcpyDtoHAsync(to, from uintptr, n C.size_t, s uintptr) C.int {
	return copying("hipMemcpyDtoHAsync", 0, runtime.Ptr(from), int64(n), s, !pinned(to), func(d *sim.Device) error {
		return d.Read(bytesAt(to, int(n)), runtime.Ptr(from))
	})
}

//export hipMemcpyDtoDAsync
func hipMemcpyDtoDAsync(to, from uintptr, n C.size_t, s uintptr) C.int {
	return copying("hipMemcpyDtoDAsync", runtime.Ptr(to), runtime.Ptr(from), int64(n), s, false, func(d *sim.Device) error {
		return d.Copy(runtime.Ptr(to), runtime.Ptr(from), int64(n))
	})
}
