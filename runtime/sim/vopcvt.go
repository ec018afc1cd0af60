package sim

import "math"

// conversions between kinds of numbers. Those to integers round toward zero and saturate.
func conversions() {
	one := func(name, sig string, f func(a uint32) uint32) *valu {
		return def(name, sig, func(a, _, _ uint32) uint32 { return f(a) })
	}
	one("v_cvt_f32_i32", "fi", func(a uint32) uint32 { return u32(float32(int32(a))) })
	one("v_cvt_f32_u32", "fi", func(a uint32) uint32 { return u32(float32(a)) })
	one("v_cvt_i32_f32", "if", func(a uint32) uint32 { return toI32(float64(f32(a))) })
	one("v_cvt_u32_f32", "if", func(a uint32) uint32 { return toU32(float64(f32(a))) })
	one("v_cvt_nearest_i32_f32", "if", func(a uint32) uint32 { return toI32(math.Floor(float64(f32(a)) + 0.5)) })
	one("v_cvt_floor_i32_f32", "if", func(a uint32) uint32 { return toI32(math.Floor(float64(f32(a)))) })
	one("v_cvt_off_f32_i4", "fi", func(a uint32) uint32 { return u32(float32(int32(a<<28)>>28) / 16) })
	one("v_cvt_f16_f32", "hf", func(a uint32) uint32 { return uint32(halfOf(float64(f32(a)))) })
	one("v_cvt_f32_f16", "fh", func(a uint32) uint32 { return u32(half(a)) })
	for i, name := range []string{"v_cvt_f32_ubyte0", "v_cvt_f32_ubyte1", "v_cvt_f32_ubyte2", "v_cvt_f32_ubyte3"} {
		one(name, "fi", func(a uint32) uint32 { return u32(float32(a >> (8 * i) & 0xff)) }).poison = func(_ *inst, a, _, _ *value) (lo, hi uint32) {
			if i < 2 {
				return a.lo, a.lo
			}
			return a.hi, a.hi
		}
	}
	one("v_cvt_f16_u16", "hs", func(a uint32) uint32 { return uint32(halfOf(float64(a))) })
	one("v_cvt_f16_i16", "hs", func(a uint32) uint32 { return uint32(halfOf(float64(int16(a)))) })
	one("v_cvt_u16_f16", "sh", func(a uint32) uint32 { return toU16(float64(half(a))) })
	one("v_cvt_i16_f16", "sh", func(a uint32) uint32 { return toI16(float64(half(a))) })
	one("v_cvt_i32_i16", "is", func(a uint32) uint32 { return uint32(int32(int16(a))) })
	one("v_cvt_u32_u16", "is", func(a uint32) uint32 { return a })
	norm := func(x, top, low float64) uint32 {
		if x != x {
			return 0
		}
		return uint32(int32(math.RoundToEven(max(min(x, 1), low) * top)))
	}
	one("v_cvt_norm_i16_f16", "sh", func(a uint32) uint32 { return norm(float64(half(a)), 32767, -1) & 0xffff })
	one("v_cvt_norm_u16_f16", "sh", func(a uint32) uint32 { return norm(float64(half(a)), 65535, 0) & 0xffff })
	one("v_sat_pk_u8_i16", "si", func(a uint32) uint32 {
		s := func(x uint32) uint32 { return uint32(min(max(int16(x), 0), 255)) }
		return s(a) | s(a>>16)<<8
	})
	defWide("v_cvt_f64_f32", "df", func(a, _, _ uint64) uint64 { return u64(float64(f32(uint32(a)))) })
	defWide("v_cvt_f64_i32", "di", func(a, _, _ uint64) uint64 { return u64(float64(int32(a))) })
	defWide("v_cvt_f64_u32", "di", func(a, _, _ uint64) uint64 { return u64(float64(uint32(a))) })
	defWide("v_cvt_f32_f64", "fd", func(a, _, _ uint64) uint64 { return uint64(u32(float32(f64(a)))) })
	defWide("v_cvt_i32_f64", "id", func(a, _, _ uint64) uint64 { return uint64(toI32(f64(a))) })
	defWide("v_cvt_u32_f64", "id", func(a, _, _ uint64) uint64 { return uint64(toU32(f64(a))) })

	pack := func(name, sig string, f func(a uint32) uint32) {
		def(name, sig, func(a, b, _ uint32) uint32 { return f(a)&0xffff | f(b)<<16 }).poison = joined
	}
	pack("v_cvt_pk_rtz_f16_f32", "iff", func(a uint32) uint32 { return uint32(halfToward(float64(f32(a)))) })
	pack("v_pack_b32_f16", "ihh", func(a uint32) uint32 { return a })
	vops["v_pack_b32_f16"].raw = true
	pack("v_cvt_pk_u16_u32", "iii", func(a uint32) uint32 { return min(a, 0xffff) })
	pack("v_cvt_pk_i16_i32", "iii", func(a uint32) uint32 { return uint32(min(max(int32(a), -0x8000), 0x7fff)) })
	pack("v_cvt_pk_i16_f32", "iff", func(a uint32) uint32 { return toI16(float64(f32(a))) })
	pack("v_cvt_pk_u16_f32", "iff", func(a uint32) uint32 { return toU16(float64(f32(a))) })
	pack("v_cvt_pk_norm_i16_f32", "iff", func(a uint32) uint32 { return norm(float64(f32(a)), 32767, -1) })
	pack("v_cvt_pk_norm_u16_f32", "iff", func(a uint32) uint32 { return norm(float64(f32(a)), 65535, 0) })
	pack("v_cvt_pk_norm_i16_f16", "ihh", func(a uint32) uint32 { return norm(float64(half(a)), 32767, -1) })
	pack("v_cvt_pk_norm_u16_f16", "ihh", func(a uint32) uint32 { return norm(float64(half(a)), 65535, 0) })
	def("v_cvt_pk_u8_f32", "ifii", func(a, b, c uint32) uint32 {
		at := 8 * (b & 3)
		return c&^(0xff<<at) | uint32(toInt(math.RoundToEven(float64(f32(a))), 0, 255))<<at
	})
}
