package sim

import "math"

// Conversions round to nearest, ties to even, and keep denormals. A NaN stays one (quiet).

func f32(x uint32) float32 { return math.Float32frombits(x) }
func u32(x float32) uint32 { return math.Float32bits(x) }
func f64(x uint64) float64 { return math.Float64frombits(x) }
func u64(x float64) uint64 { return math.Float64bits(x) }

// halves are the values of all float16s: most are looked up many times.
var halves = func() (t [1 << 16]float32) {
	for h := range t {
		t[h] = halfValue(uint32(h))
	}
	return t
}()

// half gives the value of a float16.
func half(h uint32) float32 { return halves[uint16(h)] }

func halfValue(h uint32) float32 {
	sign, exp, man := h&0x8000<<16, h>>10&31, h&0x3ff
	switch {
	case exp == 31:
		return f32(sign | 0x7f800000 | man<<13)
	case exp > 0:
		return f32(sign | (exp+112)<<23 | man<<13)
	case man == 0:
		return f32(sign)
	}
	v := float32(man) * (1.0 / (1 << 24))
	return f32(u32(v) | sign)
}

// halfOf rounds a real number to float16. From float64, so that what is exact there is rounded once.
func halfOf(x float64) uint16 { return halfRound(x, true) }

// halfToward rounds toward zero.
func halfToward(x float64) uint16 { return halfRound(x, false) }

func halfRound(x float64, nearest bool) uint16 {
	b := u64(x)
	sign := uint16(b >> 48 & 0x8000)
	exp := int(b>>52&0x7ff) - 1023
	man := b&(1<<52-1) | 1<<52
	switch {
	case exp == 1024:
		if b<<12 != 0 {
			return sign | 0x7e00
		}
		return sign | 0x7c00
	case exp > 15:
		if !nearest {
			return sign | 0x7bff
		}
		return sign | 0x7c00
	case exp < -25:
		return sign
	}
	shift := uint(42) // bits that a normal number loses
	if exp < -14 {
		shift += uint(-14 - exp)
	}
	v := man >> shift
	if exp >= -14 {
		v += uint64(exp+14) << 10 // man's leading bit is worth one step of the exponent
	}
	rest, tie := man&(1<<shift-1), uint64(1)<<(shift-1)
	if nearest && (rest > tie || rest == tie && v&1 == 1) {
		v++ // may carry into the exponent, up to infinity: that is right
	}
	return sign | uint16(v)
}

func bfloat(b uint32) float32 { return f32(b << 16) }

func bfloatOf(x float32) uint16 {
	b := u32(x)
	if x != x {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// fma32 is a·b+c rounded once to float32: the product is exact in float64, and where the sum there is a normal number in float32 and not halfway
// between two of them, it rounds as the exact one does. Elsewhere the sum is rounded to odd, and that leaves the second rounding right (Boldo
// and Melquiond, "When double rounding is odd", 2005).
func fma32(a, b, c float32) float32 {
	s := float64(a)*float64(b) + float64(c)
	if x := u64(s); x&(1<<29-1) != 1<<28 && x>>52&0x7ff > 1023-126 {
		return float32(s)
	}
	return float32(fmaOdd(float64(a), float64(b), float64(c)))
}

func fmaOdd(a, b, c float64) float64 {
	p := a * b
	s := p + c
	t := s - p
	e := (p - (s - t)) + (c - t)
	if e == 0 || e != e || math.IsInf(s, 0) {
		return s
	}
	bits := u64(s)
	if bits&1 == 0 {
		if (e > 0) == (s > 0) {
			bits++
		} else {
			bits--
		}
	}
	return f64(bits)
}

// quiet makes a NaN of any kind a quiet one.
func quiet(x uint32) uint32 {
	if x&0x7fffffff > 0x7f800000 {
		return x | 0x400000
	}
	return x
}

// flush32 is the value that an instruction sees, or leaves, where float32 denormals are flushed.
func flush32(x uint32) uint32 {
	if x&0x7f800000 == 0 {
		return x & 0x80000000
	}
	return x
}

func flush16(x uint32) uint32 {
	if x&0x7c00 == 0 {
		return x & 0x8000
	}
	return x
}

// less orders numbers with -0 before +0, as min and max do.
func less(a, b float64) bool {
	return a < b || a == b && math.Signbit(a) && !math.Signbit(b)
}

// minimum and maximum are IEEE 754-2008's minNum and maxNum: of a number and a NaN, the number.
func minimum(a, b float64) float64 {
	switch {
	case a != a:
		return b
	case b != b || less(a, b):
		return a
	}
	return b
}

func maximum(a, b float64) float64 {
	switch {
	case a != a:
		return b
	case b != b || less(b, a):
		return a
	}
	return b
}

// toInt converts toward zero and saturates; a NaN is 0.
func toInt(x float64, low, high float64) int64 {
	switch {
	case x != x:
		return 0
	case x <= low:
		return int64(low)
	case x >= high:
		return int64(high)
	}
	return int64(x)
}

func toI32(x float64) uint32 { return uint32(toInt(x, math.MinInt32, math.MaxInt32)) }
func toU32(x float64) uint32 { return uint32(toInt(x, 0, math.MaxUint32)) }
func toI16(x float64) uint32 { return uint32(toInt(x, math.MinInt16, math.MaxInt16)) & 0xffff }
func toU16(x float64) uint32 { return uint32(toInt(x, 0, math.MaxUint16)) }
