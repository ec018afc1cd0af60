package sim

import "encoding/binary"

// LDS: a block's own memory. Each byte starts poisoned.

const maxLDS = 64 << 10

// shared checks n bytes of LDS at p.
func (w *wave) shared(p uint32, n, lane int) bool {
	if size := len(w.block.lds); uint64(p)+uint64(n) > uint64(size) {
		w.faultAt(lane, "%d bytes of LDS at byte %d are beyond the block's %d", n, p, size)
		return false
	}
	return true
}

// ldsBad is which of n bytes of LDS at p are poisoned.
func (w *wave) ldsBad(p uint32, n int) (bad uint32) {
	switch b := w.block.ldsBad[p : p+uint32(n)]; {
	case n == 4 && binary.LittleEndian.Uint32(b) == 0, n == 8 && binary.LittleEndian.Uint64(b) == 0,
		n == 16 && binary.LittleEndian.Uint64(b)|binary.LittleEndian.Uint64(b[8:]) == 0:
		return 0
	}
	for i, c := range w.block.ldsBad[p : p+uint32(n)] {
		bad |= uint32(c) << i
	}
	return bad
}

// spread sets what of a register is poisoned from the 4 bytes loaded into it.
func (w *wave) spread(t *access, r, lane int, bad uint32) {
	m := uint32(1) << lane
	lo, hi := bit(bad&3 != 0)<<lane, bit(bad&12 != 0)<<lane
	if t.bytes < 4 {
		lo = bit(bad != 0) << lane
		hi = lo
		if t.bytes == 1 && !t.signed || t.bytes == 2 && !t.signed {
			hi = 0
		}
	}
	switch t.d16 {
	case 1:
		w.plo[r] = w.plo[r]&^m | lo
	case 2:
		w.phi[r] = w.phi[r]&^m | lo
	default:
		w.mark(r, m, lo, hi)
	}
}

// ldsLane loads for one lane.
func (w *wave) ldsLane(t *access, p uint32, lane, r int) {
	if !w.shared(p, t.bytes, lane) {
		return
	}
	if w.block.launch.races {
		w.noteShared(uint64(p), uint64(t.bytes), lane, false)
	}
	w.load(t, w.block.lds[p:], lane, r)
	bad := w.ldsBad(p, t.bytes)
	if bad == 0 && t.bytes >= 4 {
		w.clean(t, 1<<lane, r)
		return
	}
	for k := 0; k < t.bytes; k += 4 {
		w.spread(t, r+k/4, lane, bad>>k&15)
	}
}

func (w *wave) ldsStoreLane(t *access, p uint32, lane, r int) {
	if !w.shared(p, t.bytes, lane) {
		return
	}
	if w.block.launch.races {
		w.noteShared(uint64(p), uint64(t.bytes), lane, true)
	}
	var buf [16]byte
	bad := w.gather(t, &buf, lane, r)
	copy(w.block.lds[p:], buf[:t.bytes])
	marks := w.block.ldsBad[p : int(p)+t.bytes]
	if bad == 0 {
		clear(marks)
		return
	}
	for i := range marks {
		marks[i] = uint8(bad >> i & 1)
	}
}

// ldsAddress gives the address VGPR, checked.
func (w *wave) ldsAddress(in *inst) *reg {
	o := &in.src[0]
	if bad := w.bad(o.reg) & w.exec(); bad != 0 {
		w.faultLanes(bad, "the LDS address in v%d depends on what was never written", o.reg)
	}
	return &w.v[o.reg]
}

func ldsLoad(w *wave, in *inst) {
	addr := *w.ldsAddress(in) // a copy: the result may lie where the address does
	m := w.exec()
	t := in.mem
	w.act(false, true)
	for i := range lanes {
		if m>>i&1 == 0 || w.err != nil {
			continue
		}
		if t.two == 0 {
			w.ldsLane(t, addr[i]+uint32(in.mod.offset), i, in.d.reg)
			continue
		}
		for k := range 2 {
			w.ldsLane(t, addr[i]+uint32(in.mod.offsets[k]*t.two), i, in.d.reg+k*t.bytes/4)
		}
	}
	w.count.LDSRead += int64(t.bytes * (1 + int(bit(t.two != 0))) * ones(m))
}

func ldsStore(w *wave, in *inst) {
	addr := w.ldsAddress(in)
	m := w.exec()
	t := in.mem
	w.act(false, true)
	for i := range lanes {
		if m>>i&1 == 0 || w.err != nil {
			continue
		}
		if t.two == 0 {
			w.ldsStoreLane(t, addr[i]+uint32(in.mod.offset), i, in.src[1].reg)
			continue
		}
		for k := range 2 {
			w.ldsStoreLane(t, addr[i]+uint32(in.mod.offsets[k]*t.two), i, in.src[1+k].reg)
		}
	}
	w.count.LDSWritten += int64(t.bytes * (1 + int(bit(t.two != 0))) * ones(m))
}

// bpermute: each lane reads source 1 of the lane whose number, times 4, is its address. Lanes that are off give 0.
func bpermute(w *wave, in *inst) {
	addr := *w.ldsAddress(in)
	src := w.v[in.src[1].reg]
	plo, phi := w.plo[in.src[1].reg], w.phi[in.src[1].reg]
	m := w.exec()
	var lo, hi uint32
	for i := range lanes {
		from := (addr[i] + uint32(in.mod.offset)) >> 2 & 31
		w.out[i] = 0
		if m>>from&1 != 0 {
			w.out[i] = src[from]
			lo |= plo >> from & 1 << i
			hi |= phi >> from & 1 << i
		}
	}
	w.store(&in.d, 'i', &w.out, m, lo, hi)
}

// permute: each lane sends source 1 to the lane whose number, times 4, is its address; the highest lane wins.
func permute(w *wave, in *inst) {
	addr := *w.ldsAddress(in)
	src := w.v[in.src[1].reg]
	plo, phi := w.plo[in.src[1].reg], w.phi[in.src[1].reg]
	m := w.exec()
	var out reg
	var lo, hi uint32
	for i := range lanes {
		if m>>i&1 == 0 {
			continue
		}
		to := (addr[i] + uint32(in.mod.offset)) >> 2 & 31
		out[to] = src[i]
		lo = lo&^(1<<to) | plo>>i&1<<to
		hi = hi&^(1<<to) | phi>>i&1<<to
	}
	w.store(&in.d, 'i', &out, m, lo, hi)
}

// swizzle: quads by 2 bits a lane where bit 15 is set, else and, or, xor masks of 5 bits.
func swizzle(w *wave, in *inst) {
	r := in.src[0].reg
	src, plo, phi := w.v[r], w.plo[r], w.phi[r]
	m, off := w.exec(), in.mod.offset
	var lo, hi uint32
	for i := range lanes {
		from := (i&(off&31) | off>>5&31) ^ off>>10&31
		if off&0x8000 != 0 {
			from = i&^3 | off>>(2*(i&3))&3
		}
		w.out[i] = 0
		if m>>from&1 != 0 {
			w.out[i] = src[from]
			lo |= plo >> from & 1 << i
			hi |= phi >> from & 1 << i
		}
	}
	w.store(&in.d, 'i', &w.out, m, lo, hi)
}
