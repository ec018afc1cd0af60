package sim

import "math/bits"

// Vector instructions that aren't computed lane by lane from their sources alone.

func special(name, sig string, run func(*wave, *inst)) *valu {
	v := &valu{name: name, sig: sig, run: run}
	vops[name] = v
	return v
}

func init() {
	special("v_nop", "", func(*wave, *inst) {})
	for _, c := range []struct {
		name string
		f    func(a, b, c uint64) uint64
		in   bool
	}{
		{"v_add_co_u32", func(a, b, _ uint64) uint64 { return a + b }, false},
		{"v_sub_co_u32", func(a, b, _ uint64) uint64 { return a - b }, false},
		{"v_subrev_co_u32", func(a, b, _ uint64) uint64 { return b - a }, false},
		{"v_add_co_ci_u32", func(a, b, c uint64) uint64 { return a + b + c }, true},
		{"v_sub_co_ci_u32", func(a, b, c uint64) uint64 { return a - b - c }, true},
		{"v_subrev_co_ci_u32", func(a, b, c uint64) uint64 { return b - a - c }, true},
	} {
		sig := "icii"
		if c.in {
			sig = "iciim"
		}
		special(c.name, sig, func(w *wave, in *inst) { w.carry(in, c.f, c.in) })
	}
	special("v_mad_u64_u32", "qciiq", func(w *wave, in *inst) { w.mad64(in, false) })
	special("v_mad_i64_i32", "qciiq", func(w *wave, in *inst) { w.mad64(in, true) })
	special("v_cndmask_b32", "iiim", choose).raw = true
	special("v_cndmask_b16", "sssm", choose).raw = true
	special("v_readfirstlane_b32", "ri", readFirst)
	special("v_readlane_b32", "ris", readLane)
	special("v_writelane_b32", "iis", writeLane)
	special("v_swap_b32", "ii", swap)
	special("v_swap_b16", "ss", swap)
	special("v_permlane64_b32", "ii", compute).lane = func(a, _, _ uint32) uint32 { return a } // of wave64; a move in wave32
	special("v_permlane16_b32", "iiii", func(w *wave, in *inst) { w.permlane(in, 0) })
	special("v_permlanex16_b32", "iiii", func(w *wave, in *inst) { w.permlane(in, 16) })
	special("v_mbcnt_lo_u32_b32", "iii", func(w *wave, in *inst) { w.countBelow(in, true) })
	special("v_mbcnt_hi_u32_b32", "iii", func(w *wave, in *inst) { w.countBelow(in, false) })
	special("v_movrels_b32", "ii", func(w *wave, in *inst) { w.relative(in, true, false) })
	special("v_movreld_b32", "ii", func(w *wave, in *inst) { w.relative(in, false, true) })
	special("v_movrelsd_b32", "ii", func(w *wave, in *inst) { w.relative(in, true, true) })
}

// laneMask reads a source that is a mask of lanes.
func (w *wave) laneMask(o *operand) (v, poison uint32) {
	a, p := w.getS(o, 1)
	return uint32(a), uint32(p)
}

func (w *wave) carry(in *inst, f func(a, b, c uint64) uint64, hasIn bool) {
	a, b := w.fetch(in, 0, 'i'), w.fetch(in, 1, 'i')
	var c, pc, out uint32
	if hasIn {
		c, pc = w.laneMask(&in.src[2])
	}
	m := w.exec()
	if in.mod.dpp != nil {
		m = w.writes(in)
	}
	d, rest := &w.v[in.d.reg], m
	if m == all && in.name[2] == 'a' && !in.mod.clamp { // sums, of addresses mostly
		for i := range d {
			v, over := bits.Add32(a.v[i], b.v[i], c>>i&1)
			d[i], out = v, out|over<<i
		}
		rest = 0
	}
	for i := range d {
		if rest>>i&1 == 0 {
			continue
		}
		v := f(uint64(a.v[i]), uint64(b.v[i]), uint64(c>>i&1))
		d[i] = uint32(v)
		if v>>32 != 0 {
			out |= 1 << i
			if in.mod.clamp {
				d[i] = all
				if in.name[2] == 's' {
					d[i] = 0
				}
			}
		}
	}
	bad := (a.any() | b.any() | pc) & m
	w.mark(in.d.reg, m, bad, bad)
	w.putS(&in.sd, 1, uint64(out), uint64(bad))
}

func (w *wave) mad64(in *inst, signed bool) {
	a, pa := w.fetch64(in, 0, 'i')
	b, pb := w.fetch64(in, 1, 'i')
	c, pc := w.fetch64(in, 2, 'q')
	m := w.exec()
	lo, hi := &w.v[in.d.reg], &w.v[in.d.reg+1]
	var out uint32
	for i := range lo {
		if m>>i&1 == 0 {
			continue
		}
		p := a[i] * b[i]
		if signed {
			p = uint64(int64(int32(a[i])) * int64(int32(b[i])))
		}
		s := p + c[i]
		over := s < p
		if signed {
			over = (s^p)&(s^c[i])>>63 != 0
		}
		out |= bit(over) << i
		lo[i], hi[i] = uint32(s), uint32(s>>32)
	}
	low := pa | pb | pc
	if o := &in.src[2]; o.place == vgpr { // compilers leave the upper half undefined where the result's isn't read
		low = pa | pb | w.bad(o.reg)
	}
	bad := (pa | pb | pc) & m
	w.mark(in.d.reg, m, low, low)
	w.mark(in.d.reg+1, m, bad, bad)
	w.putS(&in.sd, 1, uint64(out), uint64(bad))
}

// choose takes source 1 in the lanes of the mask, source 0 elsewhere.
func choose(w *wave, in *inst) {
	kind := in.op.sig[1]
	a, b := w.fetch(in, 0, kind), w.fetch(in, 1, kind)
	c, pc := w.laneMask(&in.src[2])
	m := w.exec()
	if in.mod.dpp != nil {
		m = w.writes(in)
	}
	out := &w.out
	for i := range out {
		if c>>i&1 != 0 {
			out[i] = b.v[i]
		} else {
			out[i] = a.v[i]
		}
	}
	w.put(in, out, m, a.lo&^c|b.lo&c|pc, a.hi&^c|b.hi&c|pc)
}

// readFirst gives an SGPR the value of the first active lane, or of lane 0 where none is.
func readFirst(w *wave, in *inst) {
	x := w.fetch(in, 0, 'i')
	w.toScalar(in, x, first(w.exec()))
}

func first(m uint32) int {
	if m == 0 {
		return 0
	}
	return bits.TrailingZeros32(m)
}

func (w *wave) toScalar(in *inst, x value, lane int) {
	var p uint32
	if x.lo>>lane&1 != 0 {
		p |= 0xffff
	}
	if x.hi>>lane&1 != 0 {
		p |= 0xffff0000
	}
	w.setS(in.d.reg, x.v[lane], p)
}

// lane reads a scalar source that names a lane.
func (w *wave) lane(o *operand) int {
	v, p := w.getS(o, 1)
	if p&31 != 0 {
		w.fault("the number of a lane is poisoned: it depends on what was never written")
	}
	return int(v & 31)
}

func readLane(w *wave, in *inst) { w.toScalar(in, w.fetch(in, 0, 'i'), w.lane(&in.src[1])) }

// writeLane writes one lane, whatever EXEC says.
func writeLane(w *wave, in *inst) {
	v, p := w.getS(&in.src[0], 1)
	i := w.lane(&in.src[1])
	w.v[in.d.reg][i] = uint32(v)
	m := uint32(1) << i
	var lo, hi uint32
	if p&0xffff != 0 {
		lo = m
	}
	if p>>16 != 0 {
		hi = m
	}
	w.mark(in.d.reg, m, lo, hi)
}

func swap(w *wave, in *inst) {
	kind := in.op.sig[1]
	in2 := inst{op: in.op}
	in2.src[0] = in.d
	b := *w.fetch(&in2, 0, kind).v
	pb := w.fetch(&in2, 0, kind)
	lo, hi := pb.lo, pb.hi
	a := w.fetch(in, 0, kind)
	av, alo, ahi := *a.v, a.lo, a.hi
	w.store(&in.d, kind, &av, w.exec(), alo, ahi)
	w.store(&in.src[0], kind, &b, w.exec(), lo, hi)
}

// permlane reads from any lane of the own row of 16, or of the other one (flip 16): 4 bits a lane in sources 1 and 2.
func (w *wave) permlane(in *inst, flip int) {
	x := w.fetch(in, 0, 'i')
	s1, p1 := w.getS(&in.src[1], 1)
	s2, p2 := w.getS(&in.src[2], 1)
	if p1|p2 != 0 {
		w.fault("the selection of lanes is poisoned: it depends on what was never written")
		return
	}
	sel := uint64(uint32(s1)) | s2<<32
	idle, zero := in.mod.sel&1 != 0, in.mod.sel&2 != 0 // op_sel: fetch from inactive lanes, else 0 there
	exec := w.exec()
	m := exec
	var lo, hi uint32
	out := &w.out
	for i := range out {
		from := i&^15 ^ flip | int(sel>>(4*(i&15))&15)
		if !idle && exec>>from&1 == 0 {
			out[i] = 0
			if !zero {
				m &^= 1 << i
			}
			continue
		}
		out[i] = x.v[from]
		lo |= x.lo >> from & 1 << i
		hi |= x.hi >> from & 1 << i
	}
	w.store(&in.d, 'i', out, m, lo, hi)
}

// countBelow counts the bits of a mask that belong to lanes below each lane, and adds source 1. Of the mask's upper
// half (lanes 32 to 63) no lane of a wave of 32 has any below it.
func (w *wave) countBelow(in *inst, low bool) {
	a, b := w.fetch(in, 0, 'i'), w.fetch(in, 1, 'i')
	out := &w.out
	for i := range out {
		out[i] = b.v[i]
		if low {
			for m := a.v[i] & (1<<i - 1); m != 0; m &= m - 1 {
				out[i]++
			}
		}
	}
	bad := b.any()
	if low {
		bad |= a.any()
	}
	w.store(&in.d, 'i', out, w.exec(), bad, bad)
}

// relative moves from or to a register whose number M0 is added to.
func (w *wave) relative(in *inst, src, dst bool) {
	off := int(w.s[regM0])
	from, to := in.src[0], in.d
	if src {
		from.reg += off
	}
	if dst {
		to.reg += off
	}
	if n := w.block.vgprs; w.sp[regM0] != 0 || from.place == vgpr && uint(from.reg) >= uint(n) || uint(to.reg) >= uint(n) {
		w.fault("m0 = %d leads to a register beyond the kernel's %d, or is poisoned", off, w.block.vgprs)
		return
	}
	tmp := inst{op: in.op}
	tmp.src[0] = from
	x := w.fetch(&tmp, 0, 'i')
	v := *x.v
	w.store(&to, 'i', &v, w.exec(), x.lo, x.hi)
}
