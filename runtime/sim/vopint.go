package sim

import (
	"math"
	"math/bits"
)

func bit(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

func sext24(x uint32) int32 { return int32(x<<8) >> 8 }

func satU32(v int64) uint32 { return uint32(min(max(v, 0), math.MaxUint32)) }
func satI32(v int64) uint32 { return uint32(int32(min(max(v, math.MinInt32), math.MaxInt32))) }

func lowest(a, b uint32) uint32   { return uint32(min(int32(a), int32(b))) }
func greatest(a, b uint32) uint32 { return uint32(max(int32(a), int32(b))) }

func medI(a, b, c uint32) uint32 { return greatest(lowest(a, b), lowest(greatest(a, b), c)) }
func medU(a, b, c uint32) uint32 { return max(min(a, b), min(max(a, b), c)) }

// integers are those of 32 bits.
func integers() {
	one := func(name string, f func(a uint32) uint32) *valu {
		return def(name, "ii", func(a, _, _ uint32) uint32 { return f(a) })
	}
	two := func(name string, f func(a, b uint32) uint32) *valu {
		return def(name, "iii", func(a, b, _ uint32) uint32 { return f(a, b) })
	}
	three := func(name string, f func(a, b, c uint32) uint32) *valu { return def(name, "iiii", f) }
	one("v_mov_b32", func(a uint32) uint32 { return a }).poison = bitwise
	one("v_not_b32", func(a uint32) uint32 { return ^a }).poison = bitwise
	one("v_bfrev_b32", bits.Reverse32)
	one("v_clz_i32_u32", func(a uint32) uint32 {
		if a == 0 {
			return all
		}
		return uint32(bits.LeadingZeros32(a))
	})
	one("v_ctz_i32_b32", func(a uint32) uint32 {
		if a == 0 {
			return all
		}
		return uint32(bits.TrailingZeros32(a))
	})
	one("v_cls_i32", func(a uint32) uint32 {
		if a == 0 || a == all {
			return all
		}
		return uint32(bits.LeadingZeros32(a ^ uint32(int32(a)>>31)))
	})
	two("v_and_b32", func(a, b uint32) uint32 { return a & b }).poison = masking
	two("v_or_b32", func(a, b uint32) uint32 { return a | b }).poison = bitwise
	two("v_xor_b32", func(a, b uint32) uint32 { return a ^ b }).poison = bitwise
	two("v_xnor_b32", func(a, b uint32) uint32 { return ^(a ^ b) }).poison = bitwise
	two("v_lshlrev_b32", func(a, b uint32) uint32 { return b << (a & 31) }).poison = shiftLeft
	two("v_lshrrev_b32", func(a, b uint32) uint32 { return b >> (a & 31) }).poison = shiftRight
	two("v_ashrrev_i32", func(a, b uint32) uint32 { return uint32(int32(b) >> (a & 31)) }).poison = shiftArith
	two("v_add_nc_u32", func(a, b uint32) uint32 { return a + b }).sat = func(a, b, _ uint32) uint32 { return satU32(int64(a) + int64(b)) }
	two("v_sub_nc_u32", func(a, b uint32) uint32 { return a - b }).sat = func(a, b, _ uint32) uint32 { return satU32(int64(a) - int64(b)) }
	two("v_subrev_nc_u32", func(a, b uint32) uint32 { return b - a }).sat = func(a, b, _ uint32) uint32 { return satU32(int64(b) - int64(a)) }
	two("v_add_nc_i32", func(a, b uint32) uint32 { return a + b }).sat = func(a, b, _ uint32) uint32 { return satI32(int64(int32(a)) + int64(int32(b))) }
	two("v_sub_nc_i32", func(a, b uint32) uint32 { return a - b }).sat = func(a, b, _ uint32) uint32 { return satI32(int64(int32(a)) - int64(int32(b))) }
	two("v_min_i32", lowest)
	two("v_max_i32", greatest)
	two("v_min_u32", func(a, b uint32) uint32 { return min(a, b) })
	two("v_max_u32", func(a, b uint32) uint32 { return max(a, b) })
	two("v_mul_lo_u32", func(a, b uint32) uint32 { return a * b })
	two("v_mul_hi_u32", func(a, b uint32) uint32 { return uint32(uint64(a) * uint64(b) >> 32) })
	two("v_mul_hi_i32", func(a, b uint32) uint32 { return uint32(int64(int32(a)) * int64(int32(b)) >> 32) })
	two("v_mul_i32_i24", func(a, b uint32) uint32 { return uint32(sext24(a) * sext24(b)) })
	two("v_mul_u32_u24", func(a, b uint32) uint32 { return a & 0xffffff * (b & 0xffffff) })
	two("v_mul_hi_i32_i24", func(a, b uint32) uint32 { return uint32(int64(sext24(a)) * int64(sext24(b)) >> 32) })
	two("v_mul_hi_u32_u24", func(a, b uint32) uint32 { return uint32(uint64(a&0xffffff) * uint64(b&0xffffff) >> 32) })
	two("v_bfm_b32", func(a, b uint32) uint32 { return (1<<(a&31) - 1) << (b & 31) })
	two("v_bcnt_u32_b32", func(a, b uint32) uint32 { return uint32(bits.OnesCount32(a)) + b })
	three("v_mad_i32_i24", func(a, b, c uint32) uint32 { return uint32(sext24(a)*sext24(b)) + c }).sat =
		func(a, b, c uint32) uint32 { return satI32(int64(sext24(a))*int64(sext24(b)) + int64(int32(c))) }
	three("v_mad_u32_u24", func(a, b, c uint32) uint32 { return a&0xffffff*(b&0xffffff) + c }).sat =
		func(a, b, c uint32) uint32 { return satU32(int64(a&0xffffff)*int64(b&0xffffff) + int64(c)) }
	three("v_bfe_u32", func(a, b, c uint32) uint32 { return a >> (b & 31) & (1<<(c&31) - 1) }).poison = extract
	three("v_bfe_i32", func(a, b, c uint32) uint32 {
		n := c & 31
		if n == 0 {
			return 0
		}
		v := a >> (b & 31) & (1<<n - 1)
		return uint32(int32(v<<(32-n)) >> (32 - n))
	}).poison = extract
	three("v_bfi_b32", func(a, b, c uint32) uint32 { return a&b | ^a&c }).poison = insert
	def("v_alignbit_b32", "iiis", func(a, b, c uint32) uint32 { return uint32((uint64(a)<<32 | uint64(b)) >> (c & 31)) }).poison = align
	def("v_alignbyte_b32", "iiis", func(a, b, c uint32) uint32 { return uint32((uint64(a)<<32 | uint64(b)) >> (8 * (c & 3))) }).poison = alignBytes
	three("v_min3_i32", func(a, b, c uint32) uint32 { return lowest(lowest(a, b), c) })
	three("v_max3_i32", func(a, b, c uint32) uint32 { return greatest(greatest(a, b), c) })
	three("v_min3_u32", func(a, b, c uint32) uint32 { return min(a, b, c) })
	three("v_max3_u32", func(a, b, c uint32) uint32 { return max(a, b, c) })
	three("v_med3_i32", medI)
	three("v_med3_u32", medU)
	three("v_minmax_i32", func(a, b, c uint32) uint32 { return greatest(lowest(a, b), c) })
	three("v_maxmin_i32", func(a, b, c uint32) uint32 { return lowest(greatest(a, b), c) })
	three("v_minmax_u32", func(a, b, c uint32) uint32 { return max(min(a, b), c) })
	three("v_maxmin_u32", func(a, b, c uint32) uint32 { return min(max(a, b), c) })
	three("v_perm_b32", perm).poison = permPoison
	three("v_xad_u32", func(a, b, c uint32) uint32 { return (a ^ b) + c })
	three("v_lshl_add_u32", func(a, b, c uint32) uint32 { return a<<(b&31) + c })
	three("v_add_lshl_u32", func(a, b, c uint32) uint32 { return (a + b) << (c & 31) })
	three("v_add3_u32", func(a, b, c uint32) uint32 { return a + b + c })
	three("v_lshl_or_b32", func(a, b, c uint32) uint32 { return a<<(b&31) | c }).poison = shiftOr
	three("v_and_or_b32", func(a, b, c uint32) uint32 { return a&b | c }).poison = maskOr
	three("v_or3_b32", func(a, b, c uint32) uint32 { return a | b | c }).poison = bitwise
	three("v_xor3_b32", func(a, b, c uint32) uint32 { return a ^ b ^ c }).poison = bitwise
	sad := func(a, b uint32, n uint) (s uint32) {
		for i := uint(0); i < 32; i += n {
			x, y := a>>i&(1<<n-1), b>>i&(1<<n-1)
			s += max(x, y) - min(x, y)
		}
		return s
	}
	three("v_sad_u8", func(a, b, c uint32) uint32 { return sad(a, b, 8) + c })
	three("v_sad_hi_u8", func(a, b, c uint32) uint32 { return sad(a, b, 8)<<16 + c })
	three("v_sad_u16", func(a, b, c uint32) uint32 { return sad(a, b, 16) + c })
	three("v_sad_u32", func(a, b, c uint32) uint32 { return max(a, b) - min(a, b) + c })
	def("v_mad_u32_u16", "issi", func(a, b, c uint32) uint32 { return a*b + c }).sat =
		func(a, b, c uint32) uint32 { return satU32(int64(a)*int64(b) + int64(c)) }
	def("v_mad_i32_i16", "issi", func(a, b, c uint32) uint32 { return uint32(int32(int16(a))*int32(int16(b))) + c }).sat =
		func(a, b, c uint32) uint32 { return satI32(int64(int16(a))*int64(int16(b)) + int64(int32(c))) }
}

// perm picks each byte of the result by a byte of c: 0–3 of b, 4–7 of a, 8–11 the sign of b's and a's words, 12 0, above 255.
func perm(a, b, c uint32) uint32 {
	v := uint64(a)<<32 | uint64(b)
	var r uint32
	for i := range 4 {
		s := c >> (8 * i) & 0xff
		var x uint32
		switch {
		case s < 8:
			x = uint32(v >> (8 * s) & 0xff)
		case s < 12:
			x = uint32(int64(v<<(48-16*(s-8)))>>63) & 0xff
		case s > 12:
			x = 0xff
		}
		r |= x << (8 * i)
	}
	return r
}

// shorts are integers of 16 bits.
func shorts() {
	one := func(name string, f func(a uint32) uint32) *valu {
		return def(name, "ss", func(a, _, _ uint32) uint32 { return f(a) })
	}
	two := func(name string, f func(a, b uint32) uint32) *valu {
		return def(name, "sss", func(a, b, _ uint32) uint32 { return f(a, b) & 0xffff })
	}
	three := func(name string, f func(a, b, c uint32) uint32) *valu {
		return def(name, "ssss", func(a, b, c uint32) uint32 { return f(a, b, c) & 0xffff })
	}
	s := func(x uint32) uint32 { return uint32(int32(int16(x))) }
	satU := func(v int32) uint32 { return uint32(min(max(v, 0), 0xffff)) }
	satI := func(v int32) uint32 { return uint32(min(max(v, -0x8000), 0x7fff)) & 0xffff }
	one("v_mov_b16", func(a uint32) uint32 { return a })
	one("v_not_b16", func(a uint32) uint32 { return ^a & 0xffff })
	two("v_and_b16", func(a, b uint32) uint32 { return a & b })
	two("v_or_b16", func(a, b uint32) uint32 { return a | b })
	two("v_xor_b16", func(a, b uint32) uint32 { return a ^ b })
	two("v_lshlrev_b16", func(a, b uint32) uint32 { return b << (a & 15) })
	two("v_lshrrev_b16", func(a, b uint32) uint32 { return b >> (a & 15) })
	two("v_ashrrev_i16", func(a, b uint32) uint32 { return uint32(int32(int16(b)) >> (a & 15)) })
	two("v_add_nc_u16", func(a, b uint32) uint32 { return a + b }).sat = func(a, b, _ uint32) uint32 { return satU(int32(a) + int32(b)) }
	two("v_sub_nc_u16", func(a, b uint32) uint32 { return a - b }).sat = func(a, b, _ uint32) uint32 { return satU(int32(a) - int32(b)) }
	two("v_add_nc_i16", func(a, b uint32) uint32 { return a + b }).sat = func(a, b, _ uint32) uint32 { return satI(int32(s(a) + s(b))) }
	two("v_sub_nc_i16", func(a, b uint32) uint32 { return a - b }).sat = func(a, b, _ uint32) uint32 { return satI(int32(s(a) - s(b))) }
	two("v_mul_lo_u16", func(a, b uint32) uint32 { return a * b })
	two("v_min_u16", func(a, b uint32) uint32 { return min(a, b) })
	two("v_max_u16", func(a, b uint32) uint32 { return max(a, b) })
	two("v_min_i16", func(a, b uint32) uint32 { return lowest(s(a), s(b)) })
	two("v_max_i16", func(a, b uint32) uint32 { return greatest(s(a), s(b)) })
	three("v_mad_u16", func(a, b, c uint32) uint32 { return a*b + c }).sat =
		func(a, b, c uint32) uint32 { return uint32(min(uint64(a)*uint64(b)+uint64(c), 0xffff)) }
	three("v_mad_i16", func(a, b, c uint32) uint32 { return a*b + c }).sat =
		func(a, b, c uint32) uint32 { return satI(int32(s(a))*int32(s(b)) + int32(s(c))) }
	three("v_min3_u16", func(a, b, c uint32) uint32 { return min(a, b, c) })
	three("v_max3_u16", func(a, b, c uint32) uint32 { return max(a, b, c) })
	three("v_med3_u16", medU)
	three("v_min3_i16", func(a, b, c uint32) uint32 { return lowest(lowest(s(a), s(b)), s(c)) })
	three("v_max3_i16", func(a, b, c uint32) uint32 { return greatest(greatest(s(a), s(b)), s(c)) })
	three("v_med3_i16", func(a, b, c uint32) uint32 { return medI(s(a), s(b), s(c)) })
}

// longs have 64 bits.
func longs() {
	defWide("v_lshlrev_b64", "qiq", func(a, b, _ uint64) uint64 { return b << (a & 63) })
	defWide("v_lshrrev_b64", "qiq", func(a, b, _ uint64) uint64 { return b >> (a & 63) })
	defWide("v_ashrrev_i64", "qiq", func(a, b, _ uint64) uint64 { return uint64(int64(b) >> (a & 63)) })
}
