package sim

// Order between blocks. On gfx11 a release at device scope is a wait until a wave's stores are done (s_waitcnt_vscnt 0),
// an acquire is buffer_gl1_inv. So an atomic read-modify-write publishes what its wave stored and waited for, and what
// the block's other waves stored and waited for before the last barrier. Another block that later does an atomic on the
// same address, and then an acquire, comes after all of it.

// order is a wave's part of that.
type order struct {
	pending  bool   // stores that weren't waited for
	released uint32 // the last tick whose stores are done
	taken    []after
	acquired []after
}

// after means: after all entries of a location below a position.
type after struct {
	loc *location
	pos int
}

// A location is an address on which atomics were done in this launch.
type location struct {
	pos     int
	entries map[uint32][]entry // by block
	carry   []entry            // those that bring along what they themselves come after
}

type entry struct {
	pos   int
	ticks []uint32 // by wave: what is published
	after []after
}

func (w *wave) stored() { w.pending = true }

// drained is s_waitcnt_vscnt.
func (w *wave) drained(in *inst) {
	if in.src[1].val != 0 || in.src[0].place == sgpr && in.src[0].reg != regNull {
		return
	}
	if w.pending {
		w.pending = false
		w.released = w.block.tick
		w.block.tick++
	}
}

// published is the ticks up to which each wave's stores are published by an atomic of this wave.
func (w *wave) publish(at uint64) {
	l := w.block.launch
	if !l.races {
		return
	}
	if !w.pending {
		w.released = w.block.tick
	}
	loc := l.locations[at]
	if loc == nil {
		loc = &location{entries: map[uint32][]entry{}}
		l.locations[at] = loc
	}
	e := entry{pos: loc.pos, ticks: append([]uint32(nil), w.block.released...)}
	e.ticks[w.id] = w.released
	for _, list := range [][]after{w.acquired, w.block.acquired} {
		for _, a := range list {
			if a.loc != loc {
				e.after = append(e.after, a)
			}
		}
	}
	if e.after != nil {
		loc.carry = append(loc.carry, e)
	}
	loc.entries[uint32(w.block.id)] = append(loc.entries[uint32(w.block.id)], e)
	w.taken = append(w.taken, after{loc, loc.pos})
	loc.pos++
	w.block.tick++
}

// took says whether this block did an atomic at an address.
func (w *wave) took(at uint64) bool {
	loc := w.block.launch.locations[at]
	return loc != nil && loc.entries[uint32(w.block.id)] != nil
}

// acquire is buffer_gl1_inv.
func (w *wave) acquire() {
	w.acquired = merge(merge(w.acquired, w.taken), w.block.taken)
}

// merge keeps the last position of each location.
func merge(to, from []after) []after {
next:
	for _, a := range from {
		for i := range to {
			if to[i].loc == a.loc {
				to[i].pos = max(to[i].pos, a.pos)
				continue next
			}
		}
		to = append(to, a)
	}
	return to
}

// follows says whether what a wave of another block did at a tick comes before this wave's present.
func (w *wave) follows(block uint32, wave uint8, tick uint32) bool {
	return reaches(w.acquired, block, wave, tick, 4) || reaches(w.block.acquired, block, wave, tick, 4)
}

func reaches(list []after, block uint32, wave uint8, tick uint32, depth int) bool {
	for _, a := range list {
		for _, e := range a.loc.entries[block] {
			if e.pos < a.pos && int(wave) < len(e.ticks) && tick <= e.ticks[wave] {
				return true
			}
		}
		if depth == 0 {
			continue
		}
		for _, e := range a.loc.carry {
			if e.pos < a.pos && reaches(e.after, block, wave, tick, depth-1) {
				return true
			}
		}
	}
	return false
}

// meet is a barrier: from here on all waves of the block know what any of them knew.
func (b *block) meet() {
	for _, w := range b.waves {
		if w.done {
			continue
		}
		if !w.pending {
			w.released = b.tick
		}
		b.released[w.id] = w.released
		b.acquired = merge(b.acquired, w.acquired)
		b.taken = merge(b.taken, w.taken)
	}
	b.tick++
	b.epoch = b.tick
}
