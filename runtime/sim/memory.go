package sim

import (
	"fmt"
	"slices"

	"hipc/runtime"
)

// Addresses are laid out as a card's are: high bits set, pages of 4096 bytes, and gaps that belong to nobody, so that an
// index that runs over ends in none. An address is never given twice: what was freed stays known as freed.
const (
	firstAddress = 0x7f4c_8000_0000
	gap          = 1 << 16
	sharedBase   = 0x0001_0000_0000_0000 // of LDS, for flat instructions
	privateBase  = 0x0002_0000_0000_0000
	page         = 4096
)

// An allocation is a run of addresses.
type allocation struct {
	id       int
	at       uint64
	b        []byte
	readOnly bool
	freed    bool
	size     uint64
	history  history
}

func (a *allocation) String() string {
	return fmt.Sprintf("allocation %d of %d bytes at %#x", a.id, a.size, a.at)
}

// A memory is all that a device has given out.
type memory struct {
	list    []*allocation // ascending
	next    uint64
	ids     int
	counted int64
}

func (m *memory) add(b []byte, readOnly bool) *allocation {
	if m.next == 0 {
		m.next = firstAddress
	}
	m.ids++
	a := &allocation{id: m.ids, at: m.next, b: b, readOnly: readOnly, size: uint64(len(b))}
	m.next += (uint64(len(b))+page-1)&^(page-1) + gap
	m.list = append(m.list, a)
	m.counted += int64(len(b))
	return a
}

// find gives the allocation that an address lies in or behind; nil where it lies before all.
func (m *memory) find(p uint64) *allocation {
	i, ok := slices.BinarySearchFunc(m.list, p, func(a *allocation, p uint64) int {
		switch {
		case a.at < p:
			return -1
		case a.at > p:
			return 1
		}
		return 0
	})
	if !ok {
		i--
	}
	if i < 0 {
		return nil
	}
	return m.list[i]
}

// check says why n bytes at p can't be accessed, or gives their allocation.
func (m *memory) check(p, n uint64, write bool) (*allocation, error) {
	a := m.find(p)
	switch {
	case a == nil || p-a.at >= a.size+gap:
		return nil, fmt.Errorf("%d bytes at %#x are in no allocation", n, p)
	case a.freed:
		return nil, fmt.Errorf("%d bytes at %#x are in %v, which was freed", n, p, a)
	case p-a.at > a.size || n > a.size-(p-a.at):
		return nil, fmt.Errorf("%d bytes at %#x are beyond the end of %v: at byte %d", n, p, a, p-a.at)
	case write && a.readOnly:
		return nil, fmt.Errorf("%d bytes to be written at %#x are in %v, which is read-only", n, p, a)
	}
	return a, nil
}

func (m *memory) free(p uint64) error {
	a := m.find(p)
	if a == nil || a.at != p || a.freed {
		return fmt.Errorf("%#x isn't the start of a block of memory", p)
	}
	m.counted -= int64(a.size)
	a.freed, a.b, a.history = true, nil, history{}
	return nil
}

// Alloc gives zeroed memory.
func (d *Device) Alloc(bytes int64) (runtime.Ptr, error) {
	if bytes <= 0 {
		return 0, fmt.Errorf("%d bytes of memory asked for, want at least 1", bytes)
	}
	if free := d.Info().Free; bytes > free {
		return 0, fmt.Errorf("%s of memory asked for, %s are free", runtime.Size(bytes), runtime.Size(free))
	}
	return runtime.Ptr(d.mem.add(make([]byte, bytes), false).at), nil
}

// Place makes b readable where it lies; kernels that write to it are at fault.
func (d *Device) Place(b []byte) (runtime.Ptr, error) {
	if len(b) == 0 {
		return 0, fmt.Errorf("no bytes to place")
	}
	if free := d.Info().Free; int64(len(b)) > free {
		return 0, fmt.Errorf("%s of memory asked for, %s are free", runtime.Size(int64(len(b))), runtime.Size(free))
	}
	return runtime.Ptr(d.mem.add(b, true).at), nil
}

func (d *Device) view(p runtime.Ptr, n int64, write bool) ([]byte, error) {
	if n < 0 {
		return nil, fmt.Errorf("%d bytes, want at least 0", n)
	}
	a, err := d.mem.check(uint64(p), uint64(n), write)
	if err != nil {
		return nil, err
	}
	from := uint64(p) - a.at
	return a.b[from : from+uint64(n)], nil
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

// Free gives back what Alloc or Place returned.
func (d *Device) Free(p runtime.Ptr) error { return d.mem.free(uint64(p)) }
