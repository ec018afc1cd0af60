package cpu

import (
	"fmt"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"hipc/runtime"
)

// A block is memory that Alloc made (owned) or that Place was given.
type block struct {
	at    runtime.Ptr
	b     []byte
	owned bool
}

// hugePage is where huge pages begin to pay; smaller blocks would only waste them.
const hugePage = 2 << 20

// Alloc maps zeroed memory.
func (d *Device) Alloc(bytes int64) (runtime.Ptr, error) {
	if bytes <= 0 {
		return 0, fmt.Errorf("%d bytes of memory asked for, want at least 1", bytes)
	}
	b, err := d.take(bytes)
	if err != nil {
		return 0, err
	}
	return d.enter(b, true), nil
}

// take counts bytes and maps them: the only way to memory here.
func (d *Device) take(bytes int64) ([]byte, error) {
	if free := d.Info().Free; bytes > free {
		return nil, fmt.Errorf("%s of memory asked for, %s are free", runtime.Size(bytes), runtime.Size(free))
	}
	b, err := unix.Mmap(-1, 0, int(bytes), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("%s of memory: %w", runtime.Size(bytes), err)
	}
	if bytes >= hugePage {
		unix.Madvise(b, unix.MADV_HUGEPAGE) // advice: a kernel without huge pages says no, and that's fine
	}
	d.counted += bytes
	return b, nil
}

// give is take's inverse.
func (d *Device) give(b []byte) error {
	d.counted -= int64(len(b))
	return unix.Munmap(b)
}

// Place takes b as it lies.
func (d *Device) Place(b []byte) (runtime.Ptr, error) {
	if len(b) == 0 {
		return 0, fmt.Errorf("no bytes to place")
	}
	at := address(b)
	if at%4096 != 0 {
		return 0, fmt.Errorf("bytes to place begin at %#x, want a page's start", uint64(at))
	}
	if i, ok := d.find(at); ok && d.blocks[i].at == at {
		return 0, fmt.Errorf("the bytes at %#x are placed already", uint64(at))
	}
	d.counted += int64(len(b))
	return d.enter(b, false), nil
}

func (d *Device) enter(b []byte, owned bool) runtime.Ptr {
	at := address(b)
	i, _ := d.find(at)
	d.blocks = slices.Insert(d.blocks, i, block{at, b, owned})
	return at
}

func address(b []byte) runtime.Ptr { return runtime.Ptr(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }

// find gives the index of the block in which p lies, or where it would have its place.
func (d *Device) find(p runtime.Ptr) (int, bool) {
	i, _ := slices.BinarySearchFunc(d.blocks, p, func(b block, p runtime.Ptr) int {
		switch {
		case p < b.at:
			return 1
		case p >= b.at.Add(int64(len(b.b))):
			return -1
		}
		return 0
	})
	return i, i < len(d.blocks) && p >= d.blocks[i].at
}

// view gives n bytes at p.
func (d *Device) view(p runtime.Ptr, n int64, write bool) ([]byte, error) {
	i, ok := d.find(p)
	if !ok {
		return nil, fmt.Errorf("%#x is in no block of memory", uint64(p))
	}
	b := d.blocks[i]
	from := int64(p - b.at)
	if n < 0 || n > int64(len(b.b))-from {
		return nil, fmt.Errorf("%d bytes at %d of a block that has %d", n, from, len(b.b))
	}
	if write && !b.owned {
		return nil, fmt.Errorf("%d bytes to be written at %d of a block that is read-only", n, from)
	}
	return b.b[from : from+n], nil
}

// Write copies b into memory.
func (d *Device) Write(to runtime.Ptr, b []byte) error {
	v, err := d.view(to, int64(len(b)), true)
	copy(v, b)
	return err
}

// Read copies memory into b.
func (d *Device) Read(b []byte, from runtime.Ptr) error {
	v, err := d.view(from, int64(len(b)), false)
	copy(b, v)
	return err
}

// Copy copies within memory; the ranges may overlap.
func (d *Device) Copy(to, from runtime.Ptr, bytes int64) error {
	src, err := d.view(from, bytes, false)
	if err != nil {
		return err
	}
	dst, err := d.view(to, bytes, true)
	copy(dst, src)
	return err
}

// Free unmaps what Alloc mapped and forgets what Place took.
func (d *Device) Free(p runtime.Ptr) error {
	i, ok := d.find(p)
	if !ok || d.blocks[i].at != p {
		return fmt.Errorf("%#x isn't the start of a block of memory", uint64(p))
	}
	b := d.blocks[i]
	d.blocks = slices.Delete(d.blocks, i, i+1)
	if b.owned {
		return d.give(b.b)
	}
	d.counted -= int64(len(b.b))
	return nil
}
