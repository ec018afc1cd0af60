package sim

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"

	"hipc/runtime"
)

// A Dispatch is a launch as a driver takes it: three dimensions, and the bytes of the arguments that aren't hidden.
type Dispatch struct {
	Kernel  string
	Grid    [3]int // blocks
	Block   [3]int // threads
	LDS     int    // bytes beyond those that the kernel has by itself
	Kernarg []byte
	Only    []int // the blocks that are run, ascending; nil: all
}

// explicitSize is the bytes that they take.
func (k *kernel) explicitSize() (n int) {
	for _, a := range k.Explicit() {
		n = max(n, a.Offset+a.Size)
	}
	return n
}

// A launch is one kernel's run.
type launch struct {
	mem       *memory
	module    *module
	kernel    *kernel
	x         *Dispatch
	kernarg   uint64 // its address
	packet    uint64
	serial    uint32
	limit     int64
	races     bool
	reverse   bool
	locations map[uint64]*location
	lock      sync.Mutex
}

func (d *Device) checkDispatch(k *kernel, x *Dispatch) error {
	threads, blocks := 1, 1
	for i := range 3 {
		if x.Grid[i] < 1 || x.Grid[i] > 1<<24 || blocks > (1<<30)/x.Grid[i] {
			return fmt.Errorf("kernel %s: %d×%d×%d blocks, want 1 to %d", k.Name, x.Grid[0], x.Grid[1], x.Grid[2], 1<<30)
		}
		if x.Block[i] < 1 || x.Block[i] > 1024 {
			return fmt.Errorf("kernel %s: blocks of %d×%d×%d threads, want 1 to 1024", k.Name, x.Block[0], x.Block[1], x.Block[2])
		}
		threads *= x.Block[i]
		blocks *= x.Grid[i]
	}
	most := 1024
	if k.MaxBlock > 0 {
		most = min(most, k.MaxBlock)
	}
	if threads > most {
		return fmt.Errorf("kernel %s: blocks of %d threads, it was compiled for at most %d", k.Name, threads, most)
	}
	if x.LDS < 0 || x.LDS > maxLDS-k.LDS {
		return fmt.Errorf("kernel %s: %d bytes of LDS, and %d of its own: there are %d", k.Name, x.LDS, k.LDS, maxLDS)
	}
	for i, b := range x.Only {
		if b < 0 || b >= blocks || i > 0 && b <= x.Only[i-1] {
			return fmt.Errorf("kernel %s: block %d is to be run, want ascending ones of %d", k.Name, b, blocks)
		}
	}
	if n := k.explicitSize(); len(x.Kernarg) != n {
		return fmt.Errorf("kernel %s: %d bytes of arguments, its code takes %d", k.Name, len(x.Kernarg), n)
	}
	return nil
}

// Dispatch runs one launch to its end.
func (d *Device) Dispatch(code runtime.Module, x Dispatch) error {
	m, k, err := d.find(code, x.Kernel)
	if err != nil {
		return err
	}
	if err := d.checkDispatch(k, &x); err != nil {
		return err
	}
	d.serial++
	l := &launch{mem: &d.mem, module: m, kernel: k, x: &x, serial: d.serial, limit: d.opts.Limit, races: !d.opts.NoRaces, reverse: d.opts.Reverse, locations: map[uint64]*location{}}
	args := d.mem.add(l.arguments(), true)
	defer d.forget(args)
	l.kernarg = args.at
	if k.Props&2 != 0 {
		p := d.mem.add(l.aql(), true)
		defer d.forget(p)
		l.packet = p.at
	}
	total, err := d.runBlocks(l)
	total.Launches = 1
	if d.counts[k.Name] == nil {
		d.counts[k.Name] = &Counts{}
	}
	d.counts[k.Name].add(&total)
	return err
}

// forget takes away memory that only a launch knew; its addresses are given anew.
func (d *Device) forget(a *allocation) {
	d.mem.counted -= int64(a.size)
	d.mem.list = slices.DeleteFunc(d.mem.list, func(b *allocation) bool { return a == b })
	for _, w := range d.pool {
		w.last = nil
	}
}

// arguments is the kernarg segment, hidden arguments filled in by their kind. Its end is rounded up, as loads are.
func (l *launch) arguments() []byte {
	b := make([]byte, (max(l.kernel.KernargSize, 1)+63)&^63)
	copy(b, l.x.Kernarg)
	dims := 1
	for i := 1; i < 3; i++ {
		if l.x.Grid[i]*l.x.Block[i] > 1 {
			dims = i + 1
		}
	}
	for _, a := range l.kernel.Args {
		var v uint64
		axis := 0
		if n := len(a.Kind); n > 2 && a.Kind[n-2] == '_' {
			axis = int(a.Kind[n-1]-'x') % 3
		}
		switch {
		case !strings.HasPrefix(a.Kind, "hidden_"):
			continue
		case strings.HasPrefix(a.Kind, "hidden_block_count_"):
			v = uint64(l.x.Grid[axis])
		case strings.HasPrefix(a.Kind, "hidden_group_size_"):
			v = uint64(l.x.Block[axis])
		case a.Kind == "hidden_grid_dims":
			v = uint64(dims)
		case a.Kind == "hidden_dynamic_lds_size":
			v = uint64(l.x.LDS)
		case a.Kind == "hidden_shared_base":
			v = sharedBase >> 32
		case a.Kind == "hidden_private_base":
			v = privateBase >> 32
		}
		var w [8]byte
		binary.LittleEndian.PutUint64(w[:], v)
		copy(b[a.Offset:a.Offset+a.Size], w[:])
	}
	return b
}

// aql is the packet with which a launch is queued: older code reads sizes from it.
func (l *launch) aql() []byte {
	b := make([]byte, 64)
	le := binary.LittleEndian
	le.PutUint16(b[2:], 3)
	for i := range 3 {
		le.PutUint16(b[4+2*i:], uint16(l.x.Block[i]))
		le.PutUint32(b[12+4*i:], uint32(l.x.Grid[i]*l.x.Block[i]))
	}
	le.PutUint32(b[28:], uint32(l.kernel.LDS+l.x.LDS))
	le.PutUint64(b[40:], l.kernarg)
	return b
}
