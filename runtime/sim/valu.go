package sim

// An inst is a decoded instruction.
type inst struct {
	pc    uint64
	text  string
	name  string
	class Class
	run   func(*wave, *inst)
	op    *valu // of vector instructions that compute lane by lane
	d     operand
	sd    operand // a second, scalar result: carries, or a comparison's
	src   [4]operand
	mod   modifiers
	to    int      // index of the branch's target
	pair  [2]*inst // of a dual instruction
	salu  *scalar  // of scalar instructions
	mem   *access  // of those that access memory
	index map[uint64]int
}

// A valu says how a vector instruction computes: the kinds of its result and sources (see constant), and one of the
// functions for one lane.
type valu struct {
	name   string
	sig    string // a letter for the result, then one for each source
	lane   func(a, b, c uint32) uint32
	whole  func(d, a, b, c *reg) // lane for all lanes at once, where it's called often
	wide   func(a, b, c uint64) uint64
	sat    func(a, b, c uint32) uint32 // lane with the clamp bit, where the result is an integer
	poison func(in *inst, a, b, c *value) (lo, hi uint32)
	trans  bool
	dot    bool
	accum  bool // the result's old value is the last source, not written out
	raw    bool // bits, not a number: denormals stay
	run    func(*wave, *inst)
}

// A value is a source as fetched: its lanes, and which of them are poisoned in the low and high half.
type value struct {
	v      *reg
	lo, hi uint32
}

func (x *value) any() uint32 { return x.lo | x.hi }

// fetch reads source k, with its modifiers and DPP.
func (w *wave) fetch(in *inst, k int, kind byte) value {
	o := &in.src[k]
	var x value
	switch o.place {
	case fixed:
		x.v = o.fill
	case vgpr:
		x = value{&w.v[o.reg], w.plo[o.reg], w.phi[o.reg]}
		if k == 0 && in.mod.dpp != nil {
			x = w.permute(in, x)
		}
		short := kind == 'h' || kind == 's' || kind == 'b'
		if o.half != 0 || short {
			x = w.part(x, k, o.half == 2)
		}
	case none:
		x.v = &zeroes
	default:
		v, p := w.getS(o, 1)
		b := &w.buf[k]
		if kind == 'h' || kind == 's' || kind == 'b' {
			if o.half == 2 {
				v, p = v>>16, p>>16
			}
			v, p = v&0xffff, p&0xffff
		}
		for i := range b {
			b[i] = uint32(v)
		}
		x.v = b
		if p&0xffff != 0 {
			x.lo = all
		}
		if p>>16 != 0 {
			x.hi = all
		}
	}
	if o.neg || o.abs {
		x.v = w.signs(x.v, k, o, kind)
	}
	if kind == 'f' && w.flush && !in.op.raw {
		b := &w.buf[k]
		for i, v := range x.v {
			b[i] = flush32(v)
		}
		x.v = b
	}
	if kind == 'h' && w.flushH && !in.op.raw {
		b := &w.buf[k]
		for i, v := range x.v {
			b[i] = flush16(v)
		}
		x.v = b
	}
	return x
}

// bits reads an operand of 32 bits as it is, without modifiers.
func (w *wave) bits(o *operand, k int) value {
	switch o.place {
	case vgpr:
		return value{&w.v[o.reg], w.plo[o.reg], w.phi[o.reg]}
	case fixed:
		return value{v: o.fill}
	}
	v, p := w.getS(o, 1)
	x := value{v: &w.buf[k]}
	for i := range x.v {
		x.v[i] = uint32(v)
	}
	if p&0xffff != 0 {
		x.lo = all
	}
	if p>>16 != 0 {
		x.hi = all
	}
	return x
}

// part takes one half of each lane.
func (w *wave) part(x value, k int, high bool) value {
	b := &w.buf[k]
	if high {
		for i, v := range x.v {
			b[i] = v >> 16
		}
		return value{b, x.hi, 0}
	}
	for i, v := range x.v {
		b[i] = v & 0xffff
	}
	return value{b, x.lo, 0}
}

func (w *wave) signs(v *reg, k int, o *operand, kind byte) *reg {
	sign := uint32(1 << 31)
	if kind == 'h' || kind == 's' || kind == 'b' {
		sign = 1 << 15
	}
	b := &w.buf[k]
	*b = *v
	if o.abs {
		for i := range b {
			b[i] &^= sign
		}
	}
	if o.neg {
		for i := range b {
			b[i] ^= sign
		}
	}
	return b
}

// fetch64 is fetch for values of 64 bits; a lane is poisoned as a whole.
func (w *wave) fetch64(in *inst, k int, kind byte) (*[lanes]uint64, uint32) {
	b := &w.wide[k]
	if kind != 'd' && kind != 'q' {
		x := w.fetch(in, k, kind)
		for i, v := range x.v {
			b[i] = uint64(v)
		}
		return b, x.any()
	}
	o := &in.src[k]
	var bad uint32
	if o.place == vgpr {
		lo, hi := &w.v[o.reg], &w.v[o.reg+1]
		for i := range b {
			b[i] = uint64(hi[i])<<32 | uint64(lo[i])
		}
		bad = w.bad(o.reg) | w.bad(o.reg+1)
	} else {
		v, p := w.getS(o, 2)
		for i := range b {
			b[i] = v
		}
		if p != 0 {
			bad = all
		}
	}
	for i := range b {
		if o.abs {
			b[i] &^= 1 << 63
		}
		if o.neg {
			b[i] ^= 1 << 63
		}
	}
	return b, bad
}

// compute is an instruction that computes lane by lane.
func compute(w *wave, in *inst) {
	op := in.op
	n := len(op.sig) - 1
	x := &w.x
	for k := range x {
		if k < n {
			x[k] = w.fetch(in, k, op.sig[k+1])
		} else {
			x[k] = value{v: &zeroes}
		}
	}
	m := w.exec()
	if in.mod.dpp != nil {
		m = w.writes(in)
	}
	a, b, c := x[0].v, x[1].v, x[2].v
	lo := x[0].any() | x[1].any() | x[2].any()
	hi := lo
	if lo != 0 && op.poison != nil {
		lo, hi = op.poison(in, &x[0], &x[1], &x[2])
	}
	f := op.lane
	if in.mod.clamp && op.sat != nil {
		f = op.sat
	}
	if k := op.sig[0]; in.mod.post != nil || k != 'i' && (k != 'f' || w.flush) {
		w.computeShaped(in, f, a, b, c, m, lo, hi)
		return
	}
	d := &w.v[in.d.reg]
	if m == all && op.whole != nil && !in.mod.clamp {
		op.whole(d, a, b, c)
	} else if m == all {
		for i := range d {
			d[i] = f(a[i], b[i], c[i])
		}
	} else {
		for i := range d {
			if m>>i&1 != 0 {
				d[i] = f(a[i], b[i], c[i])
			}
		}
	}
	w.mark(in.d.reg, m, lo, hi)
}

// computeShaped is compute where the result has modifiers, or half a register.
func (w *wave) computeShaped(in *inst, f func(a, b, c uint32) uint32, a, b, c *reg, m, lo, hi uint32) {
	out := &w.out
	for i := range out {
		if m>>i&1 != 0 {
			out[i] = f(a[i], b[i], c[i])
		}
	}
	w.put(in, out, m, lo, hi)
}

// put writes a result of at most 32 bits, with the modifiers of results.
func (w *wave) put(in *inst, out *reg, m, lo, hi uint32) {
	kind := in.op.sig[0]
	if in.mod.post != nil {
		for i := range out {
			out[i] = in.mod.post(out[i])
		}
	}
	if kind == 'f' && w.flush && !in.op.raw {
		for i := range out {
			out[i] = flush32(out[i])
		}
	}
	if kind == 'h' && w.flushH && !in.op.raw {
		for i := range out {
			out[i] = flush16(out[i])
		}
	}
	w.store(&in.d, kind, out, m, lo, hi)
}

// store writes lanes to a VGPR or half of one.
func (w *wave) store(o *operand, kind byte, out *reg, m, lo, hi uint32) {
	d := &w.v[o.reg]
	switch {
	case o.half == 2:
		for i := range d {
			if m>>i&1 != 0 {
				d[i] = d[i]&0xffff | out[i]<<16
			}
		}
		w.phi[o.reg] = w.phi[o.reg]&^m | lo&m
	case o.half == 1 || kind == 'h' || kind == 's' || kind == 'b':
		for i := range d {
			if m>>i&1 != 0 {
				d[i] = d[i]&^0xffff | out[i]&0xffff
			}
		}
		w.plo[o.reg] = w.plo[o.reg]&^m | lo&m
	default:
		for i := range d {
			if m>>i&1 != 0 {
				d[i] = out[i]
			}
		}
		w.mark(o.reg, m, lo, hi)
	}
}

// computeWide is compute where the result or a source has 64 bits.
func computeWide(w *wave, in *inst) {
	op := in.op
	var x [3]*[lanes]uint64
	x[1], x[2] = &w.wide[3], &w.wide[3]
	var bad uint32
	for k := range len(op.sig) - 1 {
		var p uint32
		x[k], p = w.fetch64(in, k, op.sig[k+1])
		bad |= p
	}
	m := w.exec()
	if in.mod.dpp != nil {
		m = w.writes(in)
	}
	if k := op.sig[0]; k != 'd' && k != 'q' {
		for i := range w.out {
			if m>>i&1 != 0 {
				w.out[i] = uint32(op.wide(x[0][i], x[1][i], x[2][i]))
			}
		}
		w.put(in, &w.out, m, bad, bad)
		return
	}
	low := bad
	if op.name == "v_lshlrev_b64" && bad != 0 && in.src[1].place == vgpr && in.src[0].place == fixed {
		low = w.bad(in.src[1].reg) // the upper half may be left undefined
	}
	lo, hi := &w.v[in.d.reg], &w.v[in.d.reg+1]
	for i := range lo {
		if m>>i&1 != 0 {
			v := op.wide(x[0][i], x[1][i], x[2][i])
			if in.mod.post64 != nil {
				v = in.mod.post64(v)
			}
			lo[i], hi[i] = uint32(v), uint32(v>>32)
		}
	}
	w.mark(in.d.reg, m, low, low)
	w.mark(in.d.reg+1, m, bad, bad)
}
