package gpu

import (
	"fmt"
	goruntime "runtime"
	"slices"
	"unsafe"

	"hipc/runtime"
)

// A block is memory on the card, aligned within what the driver gave.
type block struct {
	at    runtime.Ptr
	base  uint64 // as the driver gave it
	bytes int64
	owned bool // made by Alloc: it may be written
}

const alignment = 4096

// Alloc asks for zeroed memory.
func (d *Device) Alloc(bytes int64) (runtime.Ptr, error) {
	at, err := d.take(bytes, true)
	if err != nil {
		return 0, err
	}
	leave, err := d.enter()
	if err != nil {
		return 0, err
	}
	defer leave()
	return at, d.Call(MemsetD8Async, uintptr(at), 0, uintptr(bytes), d.stream)
}

// Place copies b to the card.
func (d *Device) Place(b []byte) (runtime.Ptr, error) {
	at, err := d.take(int64(len(b)), false)
	if err != nil {
		return 0, err
	}
	leave, err := d.enter()
	if err != nil {
		return 0, err
	}
	defer leave()
	err = d.Call(MemcpyHtoDAsync, uintptr(at), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), d.stream)
	if wait := d.wait(); err == nil {
		err = wait
	}
	goruntime.KeepAlive(b)
	return at, err
}

// take counts bytes and asks the driver for them: the only way to memory here.
func (d *Device) take(bytes int64, owned bool) (runtime.Ptr, error) {
	if bytes <= 0 {
		return 0, fmt.Errorf("%d bytes of memory asked for, want at least 1", bytes)
	}
	info := d.Info()
	if info.Err != nil {
		return 0, info.Err
	}
	if free := info.Free; bytes+alignment > free {
		return 0, &runtime.DeviceError{Err: fmt.Errorf("%s of memory asked for, %s are free on %s", runtime.Size(bytes), runtime.Size(free), d.card.Name)}
	}
	leave, err := d.enter()
	if err != nil {
		return 0, err
	}
	defer leave()
	var base uint64
	if err := d.Call(MemAlloc, uintptr(unsafe.Pointer(&base)), uintptr(bytes+alignment)); err != nil {
		return 0, fmt.Errorf("%s of memory: %w", runtime.Size(bytes), err)
	}
	at := runtime.Ptr((base + alignment - 1) / alignment * alignment)
	i, _ := d.find(at)
	d.blocks = slices.Insert(d.blocks, i, block{at, base, bytes, owned})
	d.counted += bytes
	return at, nil
}

// find gives the index of the block in which p lies, or where it would have its place.
func (d *Device) find(p runtime.Ptr) (int, bool) {
	i, _ := slices.BinarySearchFunc(d.blocks, p, func(b block, p runtime.Ptr) int {
		switch {
		case p < b.at:
			return 1
		case p >= b.at.Add(b.bytes):
			return -1
		}
		return 0
	})
	return i, i < len(d.blocks) && p >= d.blocks[i].at
}

// within wants n bytes at p to lie in one block.
func (d *Device) within(p runtime.Ptr, n int64, write bool) error {
	i, ok := d.find(p)
	if !ok {
		return fmt.Errorf("%#x is in no block of memory", uint64(p))
	}
	b := d.blocks[i]
	from := int64(p - b.at)
	if n < 0 || n > b.bytes-from {
		return fmt.Errorf("%d bytes at %d of a block that has %d", n, from, b.bytes)
	}
	if write && !b.owned {
		return fmt.Errorf("%d bytes to be written at %d of a block that is read-only", n, from)
	}
	return nil
}

// Write copies b to the card, behind what the stream has been given before. From memory like Go's the driver takes b aside before it returns.
func (d *Device) Write(to runtime.Ptr, b []byte) error {
	if err := d.within(to, int64(len(b)), true); err != nil || len(b) == 0 {
		return err
	}
	leave, err := d.enter()
	if err != nil {
		return err
	}
	defer leave()
	err = d.Call(MemcpyHtoDAsync, uintptr(to), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), d.stream)
	goruntime.KeepAlive(b)
	return err
}

// Read copies memory of the card into b.
func (d *Device) Read(b []byte, from runtime.Ptr) error {
	if err := d.within(from, int64(len(b)), false); err != nil || len(b) == 0 {
		return err
	}
	leave, err := d.enter()
	if err != nil {
		return err
	}
	defer leave()
	err = d.Call(MemcpyDtoHAsync, uintptr(unsafe.Pointer(&b[0])), uintptr(from), uintptr(len(b)), d.stream)
	if wait := d.wait(); err == nil {
		err = wait
	}
	goruntime.KeepAlive(b)
	return err
}

// Copy copies within the card's memory.
func (d *Device) Copy(to, from runtime.Ptr, bytes int64) error {
	if err := d.within(from, bytes, false); err != nil {
		return err
	}
	if err := d.within(to, bytes, true); err != nil || bytes == 0 {
		return err
	}
	leave, err := d.enter()
	if err != nil {
		return err
	}
	defer leave()
	return d.Call(MemcpyDtoDAsync, uintptr(to), uintptr(from), uintptr(bytes), d.stream)
}

// Free gives a block back.
func (d *Device) Free(p runtime.Ptr) error {
	i, ok := d.find(p)
	if !ok || d.blocks[i].at != p {
		return fmt.Errorf("%#x isn't the start of a block of memory", uint64(p))
	}
	b := d.blocks[i]
	d.blocks = slices.Delete(d.blocks, i, i+1)
	d.counted -= b.bytes
	leave, err := d.enter()
	if err != nil {
		return err
	}
	defer leave()
	return d.Call(MemFree, uintptr(b.base))
}
