package sim

// How poison passes through instructions that move bits rather than compute. All others poison their whole result when
// any of a source is: these keep the halves of a register apart, since compilers leave one undefined.

// bitwise: each half of the result depends on that half of the sources.
func bitwise(_ *inst, a, b, c *value) (lo, hi uint32) { return a.lo | b.lo | c.lo, a.hi | b.hi | c.hi }

// joined: source 0 is the low half, source 1 the high one.
func joined(_ *inst, a, b, _ *value) (lo, hi uint32) { return a.any(), b.any() }

// uniform says whether a source is known and the same in all lanes.
func uniform(x *value) bool {
	for _, v := range x.v {
		if v != x.v[0] {
			return false
		}
	}
	return x.any() == 0
}

// keeps is the halves that a mask lets through, where the mask is the same in all lanes.
func keeps(x *value) (lo, hi uint32) {
	lo, hi = all, all
	if uniform(x) {
		if x.v[0]&0xffff == 0 {
			lo = 0
		}
		if x.v[0]>>16 == 0 {
			hi = 0
		}
	}
	return lo, hi
}

func masking(_ *inst, a, b, _ *value) (lo, hi uint32) {
	alo, ahi := keeps(a)
	blo, bhi := keeps(b)
	return (a.lo | b.lo) & alo & blo, (a.hi | b.hi) & ahi & bhi
}

func maskOr(in *inst, a, b, c *value) (lo, hi uint32) {
	lo, hi = masking(in, a, b, nil)
	return lo | c.lo, hi | c.hi
}

// amount is a shift that is the same in all lanes; -1 where it isn't.
func amount(x *value) int {
	if !uniform(x) {
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

func shiftLeft(_ *inst, a, b, _ *value) (lo, hi uint32) {
	n := amount(a)
	if n < 0 {
		return a.any() | b.any(), a.any() | b.any()
	}
	return shifted(b, n)
}

func shiftRight(_ *inst, a, b, _ *value) (lo, hi uint32) {
	n := amount(a)
	if n < 0 {
		return a.any() | b.any(), a.any() | b.any()
	}
	return shifted(b, -n)
}

func shiftArith(_ *inst, a, b, _ *value) (lo, hi uint32) {
	n := amount(a)
	if n < 0 {
		return a.any() | b.any(), a.any() | b.any()
	}
	lo, _ = shifted(b, -n)
	return lo, b.hi
}

func shiftOr(_ *inst, a, b, c *value) (lo, hi uint32) {
	if n := amount(b); n >= 0 {
		lo, hi = shifted(a, n)
	} else {
		lo = a.any() | b.any()
		hi = lo
	}
	return lo | c.lo, hi | c.hi
}

// extract: a field of a, from b on, c bits wide.
func extract(in *inst, a, b, c *value) (lo, hi uint32) {
	at, n := amount(b), amount(c)
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
func insert(_ *inst, a, b, c *value) (lo, hi uint32) {
	lo, hi = a.lo|b.lo|c.lo, a.hi|b.hi|c.hi
	if !uniform(a) {
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

func align(_ *inst, a, b, c *value) (lo, hi uint32) {
	if n := amount(c); n >= 0 {
		return alignBy(a, b, n)
	}
	lo = a.any() | b.any() | c.any()
	return lo, lo
}

func alignBytes(_ *inst, a, b, c *value) (lo, hi uint32) {
	if n := amount(c); n >= 0 {
		return alignBy(a, b, 8*(n&3))
	}
	lo = a.any() | b.any() | c.any()
	return lo, lo
}

// permPoison: the selector says which byte comes from where.
func permPoison(_ *inst, a, b, c *value) (lo, hi uint32) {
	if !uniform(c) {
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
