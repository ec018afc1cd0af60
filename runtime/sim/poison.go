package sim

// How poison passes through instructions that move bits rather than compute. All others poison their whole result when
// any of a source is: these keep the halves of a register apart, since compilers leave one undefined.

// bitwise: each half of the result depends on that half of the sources.
func bitwise(_ *inst, a, b, c *value) (lo, hi uint32) { return a.lo | b.lo | c.lo, a.hi | b.hi | c.hi }

// joined: source 0 is the low half, source 1 the high one.
func joined(_ *inst, a, b, _ *value) (lo, hi uint32) { return a.any(), b.any() }

// keeps is the halves that a mask lets through, where the mask is the same in all lanes.
func keeps(o *operand, x *value) (lo, hi uint32) {
	lo, hi = all, all
	if o.place != vgpr && x.any() == 0 {
		if x.v[0]&0xffff == 0 {
			lo = 0
		}
		if x.v[0]>>16 == 0 {
			hi = 0
		}
	}
	return lo, hi
}

func masking(in *inst, a, b, _ *value) (lo, hi uint32) {
	alo, ahi := keeps(&in.src[0], a)
	blo, bhi := keeps(&in.src[1], b)
	return (a.lo | b.lo) & alo & blo, (a.hi | b.hi) & ahi & bhi
}

func maskOr(in *inst, a, b, c *value) (lo, hi uint32) {
	lo, hi = masking(in, a, b, nil)
	return lo | c.lo, hi | c.hi
}

// amount is a shift that is the same in all lanes; -1 where it isn't.
func amount(o *operand, x *value) int {
	if o.place == vgpr || x.any() != 0 {
		return -1
	}
	return int(x.v[0] & 31)
}

// shifted is the poison of a value shifted by n, left (n > 0) or right, with zeroes coming in.
func shifted(x *value, n int) (lo, hi uint32) {
	switch {
	case n == 0:
		return x.lo, x.hi
	case n >= 16:
		return 0, x.lo
	case n > 0:
		return x.lo, x.lo | x.hi
	case n <= -16:
		return x.hi, 0
	}
	return x.lo | x.hi, x.hi
}

func shiftLeft(in *inst, a, b, _ *value) (lo, hi uint32) {
	n := amount(&in.src[0], a)
	if n < 0 {
		return a.any() | b.any(), a.any() | b.any()
	}
	return shifted(b, n)
}

func shiftRight(in *inst, a, b, _ *value) (lo, hi uint32) {
	n := amount(&in.src[0], a)
	if n < 0 {
		return a.any() | b.any(), a.any() | b.any()
	}
	return shifted(b, -n)
}

func shiftArith(in *inst, a, b, _ *value) (lo, hi uint32) {
	n := amount(&in.src[0], a)
	if n < 0 {
		return a.any() | b.any(), a.any() | b.any()
	}
	lo, _ = shifted(b, -n)
	return lo, b.hi
}

func shiftOr(in *inst, a, b, c *value) (lo, hi uint32) {
	if n := amount(&in.src[1], b); n >= 0 {
		lo, hi = shifted(a, n)
	} else {
		lo = a.any() | b.any()
		hi = lo
	}
	return lo | c.lo, hi | c.hi
}

// extract: a field of a, from b on, c bits wide.
func extract(in *inst, a, b, c *value) (lo, hi uint32) {
	at, n := amount(&in.src[1], b), amount(&in.src[2], c)
	if at < 0 || n < 0 {
		lo = a.any() | b.any() | c.any()
		return lo, lo
	}
	if at < 16 {
		lo = a.lo
	}
	if at+n > 16 {
		lo |= a.hi
	}
	if n > 16 || in.name == "v_bfe_i32" {
		hi = lo
	}
	return lo, hi
}

// insert: b where a has ones, c elsewhere.
func insert(in *inst, a, b, c *value) (lo, hi uint32) {
	lo, hi = a.lo|b.lo|c.lo, a.hi|b.hi|c.hi
	if in.src[0].place == vgpr || a.any() != 0 {
		return lo, hi
	}
	pick := func(m, one, zero uint32) uint32 {
		switch m {
		case 0xffff:
			return one
		case 0:
			return zero
		}
		return one | zero
	}
	return pick(a.v[0]&0xffff, b.lo, c.lo), pick(a.v[0]>>16, b.hi, c.hi)
}

func alignBy(a, b *value, n int) (lo, hi uint32) {
	h := [4]uint32{b.lo, b.hi, a.lo, a.hi}
	if n%16 == 0 {
		return h[n/16], h[n/16+1]
	}
	k := n / 16
	return h[k] | h[k+1], h[k+1] | h[k+2]
}

func align(in *inst, a, b, c *value) (lo, hi uint32) {
	if n := amount(&in.src[2], c); n >= 0 {
		return alignBy(a, b, n)
	}
	lo = a.any() | b.any() | c.any()
	return lo, lo
}

func alignBytes(in *inst, a, b, c *value) (lo, hi uint32) {
	if n := amount(&in.src[2], c); n >= 0 {
		return alignBy(a, b, 8*(n&3))
	}
	lo = a.any() | b.any() | c.any()
	return lo, lo
}

// permPoison: the selector says which byte comes from where.
func permPoison(in *inst, a, b, c *value) (lo, hi uint32) {
	if c.any() != 0 || in.src[2].place == vgpr {
		lo = a.any() | b.any() | c.any()
		return lo, lo
	}
	h := [4]uint32{b.lo, b.hi, a.lo, a.hi}
	byteOf := func(i int) uint32 {
		switch s := c.v[0] >> (8 * i) & 0xff; {
		case s < 8:
			return h[s/2]
		case s < 12:
			return h[s-8]
		}
		return 0
	}
	return byteOf(0) | byteOf(1), byteOf(2) | byteOf(3)
}
