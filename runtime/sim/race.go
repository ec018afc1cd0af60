package sim

import "fmt"

// Races. Each dword of global memory and of LDS has a cell: who wrote it last and who read it since. Time within a block
// is counted in ticks: a barrier begins a new one, and so does whatever publishes writes. An access that another wave's
// or block's access doesn't come before in every order is a fault: between waves of a block a barrier orders, between
// blocks only an atomic read-modify-write with fences around it does (see order).

// A cell is the history of a dword in the current launch (of LDS: in the current block), or of one byte where waves share
// the dword.
type cell struct {
	wLaunch, wBlock, wTick         uint32
	rLaunch, rBlock, rTick, rWaves uint32
	wWave                          uint8
	wMask, rMask                   uint8 // bytes
	wAtomic                        bool
	split                          bool
}

const (
	cellPage = 1024 // dwords
	several  = ^uint32(0)
)

// A history is the cells of an allocation or of LDS.
type history struct {
	pages [][]cell
	split map[uint64]*[4]cell
}

func (h *history) cell(dword, total uint64) *cell {
	if h.pages == nil {
		h.pages = make([][]cell, (total/4+cellPage)/cellPage+1)
	}
	p := &h.pages[dword/cellPage]
	if *p == nil {
		*p = make([]cell, cellPage)
	}
	return &(*p)[dword%cellPage]
}

// An actor is who accesses: a wave in its block, at a time.
type actor struct {
	launch, block, tick, epoch uint32 // of an epoch's first tick: what is older lies before a barrier
	wave                       uint8
	atomic                     bool
	at                         uint64 // the address, for messages
	lds                        bool
}

// touch notes an access to n bytes at off by w.who. Most are of whole dwords to which nothing has happened, or only reads, or what lies before a
// barrier: these are noted here.
func (w *wave) touch(h *history, off, n, total uint64, write bool) error {
	if (off|n)%4 != 0 || w.who.atomic {
		return w.touchBytes(h, off, n, total, write)
	}
	launch, block, tick, epoch, one := w.who.launch, w.who.block, w.who.tick, w.who.epoch, uint32(1)<<w.who.wave
	d := off / 4
	for end := d + n/4; d < end; {
		h.cell(d, total)
		p := h.pages[d/cellPage]
		for i := d % cellPage; i < cellPage && d < end; i, d = i+1, d+1 {
			c := &p[i]
			written := c.wLaunch == launch
			switch read := c.rLaunch == launch; {
			case c.split || written && (c.wBlock != block || c.wWave != w.who.wave && c.wTick >= epoch):
			case !write && !read, !write && c.rBlock == block && c.rTick < epoch:
				c.rLaunch, c.rBlock, c.rTick, c.rWaves, c.rMask = launch, block, tick, one, 15
				continue
			case !write && c.rBlock == block:
				c.rTick, c.rWaves, c.rMask = tick, c.rWaves|one, 15
				continue
			case write && (!read || c.rBlock == block && (c.rTick < epoch || c.rWaves == one)):
				c.wLaunch, c.wBlock, c.wTick, c.wWave, c.wMask, c.wAtomic = launch, block, tick, w.who.wave, 15, false
				continue
			}
			if err := w.touchBytes(h, 4*d, 4, total, write); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *wave) touchBytes(h *history, off, n, total uint64, write bool) error {
	who := &w.who
	note := (*wave).noteRead
	if write {
		note = (*wave).noteWrite
	}
	for n > 0 {
		d := off / 4
		k := min(4-off%4, n)
		mask := uint8((1<<k - 1) << (off % 4))
		off, n = off+k, n-k
		c := h.cell(d, total)
		if !c.split && mask != 15 && c.foreign(who) {
			h.divide(d, c)
		}
		if !c.split {
			if err := note(w, c, who, mask); err != nil {
				return err
			}
			continue
		}
		for i := range 4 {
			if mask>>i&1 != 0 {
				if err := note(w, &h.split[d][i], who, 15); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// foreign: someone else, or the same wave at another time, has been here in this launch.
func (c *cell) foreign(who *actor) bool {
	return c.wLaunch == who.launch && (c.wBlock != who.block || c.wWave != who.wave || c.wTick != who.tick) ||
		c.rLaunch == who.launch && (c.rBlock != who.block || c.rWaves != 1<<who.wave || c.rTick != who.tick)
}

// divide gives each byte of a dword a cell of its own.
func (h *history) divide(d uint64, c *cell) {
	var four [4]cell
	for i := range four {
		x := *c
		if c.wMask>>i&1 == 0 {
			x.wLaunch = 0
		}
		if c.rMask>>i&1 == 0 {
			x.rLaunch = 0
		}
		x.wMask, x.rMask = 15, 15
		four[i] = x
	}
	if h.split == nil {
		h.split = map[uint64]*[4]cell{}
	}
	h.split[d] = &four
	c.split = true
}

// where says for a message what was accessed.
func (who *actor) where() string {
	if who.lds {
		return fmt.Sprintf("LDS at byte %d", who.at)
	}
	return fmt.Sprintf("memory at %#x", who.at)
}

// afterWrite says whether the last write comes before this access in every order.
func (w *wave) afterWrite(c *cell, who *actor, verb string) error {
	if c.wLaunch != who.launch || c.wAtomic && who.atomic {
		return nil
	}
	if c.wBlock == who.block {
		if c.wWave == who.wave || c.wTick < who.epoch {
			return nil
		}
		return fmt.Errorf("a race: %s %s that wave %d wrote since the last barrier", verb, who.where(), c.wWave)
	}
	if w.follows(c.wBlock, c.wWave, c.wTick) {
		return nil
	}
	return fmt.Errorf("a race: %s %s that block %d, wave %d wrote in the same launch, with no atomic and fences between them", verb, who.where(), c.wBlock, c.wWave)
}

func (w *wave) noteRead(c *cell, who *actor, mask uint8) error {
	if err := w.afterWrite(c, who, "reads"); err != nil || who.atomic {
		return err
	}
	one := uint32(1) << who.wave
	switch {
	case c.rLaunch != who.launch:
		c.rLaunch, c.rBlock, c.rTick, c.rWaves, c.rMask = who.launch, who.block, who.tick, one, mask
	case c.rBlock != who.block:
		c.rBlock, c.rMask = several, c.rMask|mask
	case c.rTick < who.epoch:
		c.rTick, c.rWaves, c.rMask = who.tick, one, mask
	default:
		c.rTick, c.rWaves, c.rMask = who.tick, c.rWaves|one, c.rMask|mask
	}
	return nil
}

func (w *wave) noteWrite(c *cell, who *actor, mask uint8) error {
	if !(c.wAtomic && !who.lds && w.took(who.at)) { // who took the ticket last may put the counter back
		if err := w.afterWrite(c, who, "writes"); err != nil {
			return err
		}
	}
	if c.rLaunch == who.launch {
		others := c.rWaves &^ (1 << who.wave)
		switch {
		case c.rBlock == who.block:
			if c.rTick >= who.epoch && others != 0 {
				return fmt.Errorf("a race: writes %s that wave %d read since the last barrier", who.where(), first(others))
			}
		case c.rBlock == several:
			if len(w.acquired) == 0 && len(w.block.acquired) == 0 {
				return fmt.Errorf("a race: writes %s that several blocks read in the same launch", who.where())
			}
		default:
			for i := range lanes {
				if c.rWaves>>i&1 != 0 && !w.follows(c.rBlock, uint8(i), c.rTick) {
					return fmt.Errorf("a race: writes %s that block %d, wave %d read in the same launch, with no atomic and fences between them", who.where(), c.rBlock, i)
				}
			}
		}
	}
	same := c.wLaunch == who.launch && c.wBlock == who.block && c.wWave == who.wave && c.wTick == who.tick
	if same {
		mask |= c.wMask
	}
	c.wLaunch, c.wBlock, c.wTick, c.wWave, c.wMask, c.wAtomic = who.launch, who.block, who.tick, who.wave, mask, who.atomic
	return nil
}

// act begins an instruction's accesses to memory, or to LDS.
func (w *wave) act(atomic, lds bool) {
	b := w.block
	w.who = actor{launch: b.launch.serial, block: uint32(b.id), tick: b.tick, epoch: b.epoch, wave: uint8(w.id), atomic: atomic, lds: lds}
	if lds {
		w.who.launch = b.serial
	}
}

// noteCells notes an access to n bytes at off of an allocation.
func (w *wave) noteCells(a *allocation, off, n uint64, lane int, write bool) {
	w.who.at = a.at + off
	if err := w.touch(&a.history, off, n, a.size, write); err != nil {
		w.faultAt(lane, "%v", err)
	}
}

// noteShared is the same of LDS.
func (w *wave) noteShared(off, n uint64, lane int, write bool) {
	w.who.at = off
	if err := w.touch(&w.block.history, off, n, uint64(len(w.block.lds)), write); err != nil {
		w.faultAt(lane, "%v", err)
	}
}
