package sim_test

import (
	"math"
	"testing"
)

func halfTests() []opcode {
	op := func(f func(a, b float64) float64) func([]tuple, int) (uint64, uint64) {
		return h2(func(a, b float64) uint64 { return round16(f(a, b)) })
	}
	minH := func(a, b float64) float64 { return float64(min32(float32(a), float32(b))) }
	maxH := func(a, b float64) float64 { return float64(max32(float32(a), float32(b))) }
	packed := func(f func(a, b float64) uint64) func([]tuple, int) (uint64, uint64) {
		return v2(func(a, b uint64) uint64 { return f(lo16(a), lo16(b)) | f(hi16(a), hi16(b))<<16 })
	}
	shorts := func(f func(a, b uint16) uint16) func([]tuple, int) (uint64, uint64) {
		return v2(func(a, b uint64) uint64 {
			return uint64(f(uint16(a), uint16(b))) | uint64(f(uint16(a>>16), uint16(b>>16)))<<16
		})
	}
	short := func(f func(a, b uint16) uint16) func([]tuple, int) (uint64, uint64) {
		return v2(func(a, b uint64) uint64 { return uint64(f(uint16(a), uint16(b))) })
	}
	add := func(a, b uint16) uint16 { return a + b }
	return []opcode{
		{"v_add_f16 v2.l, v8.l, v10.l", op(func(a, b float64) float64 { return a + b }), low},
		{"v_sub_f16 v2.l, v8.l, v10.l", op(func(a, b float64) float64 { return a - b }), low},
		{"v_mul_f16 v2.l, v8.l, v10.l", op(func(a, b float64) float64 { return a * b }), low},
		{"v_add_f16 v2.l, v8.h, v10.l", v2(func(a, b uint64) uint64 { return round16(hi16(a) + lo16(b)) }), low},
		{"v_add_f16 v2.l, s4, -v10.h", func(w []tuple, i int) (uint64, uint64) { return round16(lo16(w[0].a) - hi16(w[i].b)), 0 }, low},
		{"v_add_f16 v2.l, 1.0, v10.l", op(func(_, b float64) float64 { return 1 + b }), low},
		{"v_mul_f16 v2.h, v8.h, v10.h ; v_mov_b16 v3.l, v2.h ; v_mov_b32 v2, v14 ; v_mov_b16 v2.l, v3.l", v2(func(a, b uint64) uint64 { return round16(hi16(a) * hi16(b)) }), low},
		{"v_min_f16 v2.l, v8.l, v10.l", op(minH), low},
		{"v_max_f16 v2.l, v8.l, v10.l", op(maxH), low},
		{"v_fma_f16 v2.l, v8.l, v10.l, v12.l", v3(func(a, b, c uint64) uint64 { return fma16(lo16(a), lo16(b), lo16(c)) }), low},
		{"v_fmac_f16 v2.l, v8.l, v10.l", v4(func(a, b, _, d uint64) uint64 { return fma16(lo16(a), lo16(b), lo16(d)) }), low},
		{"v_cvt_f16_i16 v2.l, v8.l", v1(func(a uint64) uint64 { return round16(float64(int16(a))) }), low},
		{"v_cvt_f16_u16 v2.l, v8.l", v1(func(a uint64) uint64 { return round16(float64(uint16(a))) }), low},
		{"v_cvt_i16_f16 v2.l, v8.l", v1(func(a uint64) uint64 { return clampInt(lo16(a), -32768, 32767) & 0xffff }), low},
		{"v_cvt_u16_f16 v2.l, v8.l", v1(func(a uint64) uint64 { return clampInt(lo16(a), 0, 65535) }), low},
		{"v_floor_f16 v2.l, v8.l", v1(func(a uint64) uint64 { return round16(math.Floor(lo16(a))) }), low},
		{"v_rndne_f16 v2.l, v8.l", v1(func(a uint64) uint64 { return round16(math.RoundToEven(lo16(a))) }), low},
		{"v_ldexp_f16 v2.l, v8.l, v10.l", v2(func(a, b uint64) uint64 { return round16(math.Ldexp(lo16(a), int(int16(b)))) }), low},
		{"v_sqrt_f16 v2.l, v8.l", v1(func(a uint64) uint64 { return round16(math.Sqrt(lo16(a))) }), low},
		{"v_pack_b32_f16 v2, v8.h, v10.l", v2(func(a, b uint64) uint64 { return a>>16&0xffff | b&0xffff<<16 }), word},
		{"v_pk_add_u16 v2, v8, v10", shorts(add), word},
		{"v_pk_sub_i16 v2, v8, v10", shorts(func(a, b uint16) uint16 { return a - b }), word},
		{"v_pk_mul_lo_u16 v2, v8, v10", shorts(func(a, b uint16) uint16 { return a * b }), word},
		{"v_pk_min_i16 v2, v8, v10", shorts(func(a, b uint16) uint16 { return uint16(min(int16(a), int16(b))) }), word},
		{"v_pk_max_u16 v2, v8, v10", shorts(func(a, b uint16) uint16 { return max(a, b) }), word},
		{"v_pk_lshlrev_b16 v2, v8, v10", shorts(func(a, b uint16) uint16 { return b << (a & 15) }), word},
		{"v_pk_lshrrev_b16 v2, 4, v10 op_sel_hi:[0,1]", v2(func(_, b uint64) uint64 { return b&0xffff>>4 | b>>20&0xfff<<16 }), word},
		{"v_pk_ashrrev_i16 v2, v8, v10", shorts(func(a, b uint16) uint16 { return uint16(int16(b) >> (a & 15)) }), word},
		{"v_pk_mad_u16 v2, v8, v10, v12", v3(func(a, b, c uint64) uint64 {
			return uint64(uint16(a)*uint16(b)+uint16(c)) | uint64(uint16(a>>16)*uint16(b>>16)+uint16(c>>16))<<16
		}), word},
		{"v_pk_add_u16 v2, v8, v10 op_sel:[1,0] op_sel_hi:[0,1]", v2(func(a, b uint64) uint64 {
			return uint64(uint16(a>>16)+uint16(b)) | uint64(uint16(a)+uint16(b>>16))<<16
		}), word},
		{"v_pk_add_f16 v2, v8, v10 ; v_pk_max_f16 v2, v2, v2 ; v_pk_min_f16 v2, v2, 1.0 op_sel_hi:[1,0]", packed(func(a, b float64) uint64 {
			if s := a + b; s == s {
				return round16(min(s, 1))
			}
			return 0x3c00
		}), word},
		{"v_pk_mul_f16 v2, v8, v10 ; v_pk_max_f16 v2, v2, 0", packed(func(a, b float64) uint64 {
			if s := a * b; s > 0 {
				return round16(s)
			}
			return 0
		}), word},
		{"v_pk_fma_f16 v2, v8, v10, v12 neg_lo:[1,0,0] ; v_pk_max_f16 v2, v2, 0", v3(func(a, b, c uint64) uint64 {
			pos := func(x uint64) uint64 {
				if x&0x8000 != 0 || x > 0x7c00 {
					return 0
				}
				return x
			}
			return pos(fma16(-lo16(a), lo16(b), lo16(c))) | pos(fma16(hi16(a), hi16(b), hi16(c)))<<16
		}), word},
		{"v_fma_mix_f32 v2, v8, -v10, v12 op_sel:[1,0,0] op_sel_hi:[1,1,0]", v3(func(a, b, c uint64) uint64 {
			return bitsOf(fma32(float32(hi16(a)), -float32(lo16(b)), fl(c)))
		}), single},
		{"v_fma_mixlo_f16 v2, v8, v10, v12 op_sel_hi:[1,0,0]", v3(func(a, b, c uint64) uint64 {
			return round16(float64(fma32(float32(lo16(a)), fl(b), fl(c))))
		}), low},
		{"v_fma_mixhi_f16 v2, v8, 1.0, v12 op_sel_hi:[1,0,0] ; v_lshrrev_b32 v2, 16, v2 ; v_and_b32 v3, 0xffff0000, v14 ; v_or_b32 v2, v2, v3", v3(func(a, _, c uint64) uint64 {
			return round16(float64(fma32(float32(lo16(a)), 1, fl(c))))
		}), low},
		{"v_add_nc_u16 v2.l, v8.l, v10.l", short(add), low},
		{"v_sub_nc_u16 v2.l, v8.l, v10.l clamp", short(func(a, b uint16) uint16 { return a - min(a, b) }), low},
		{"v_add_nc_i16 v2.l, v8.l, v10.l clamp", short(func(a, b uint16) uint16 {
			return uint16(int16(max(min(int(int16(a))+int(int16(b)), 32767), -32768)))
		}), low},
		{"v_mul_lo_u16 v2.l, v8.l, v10.l", short(func(a, b uint16) uint16 { return a * b }), low},
		{"v_lshlrev_b16 v2.l, v8.l, v10.l", short(func(a, b uint16) uint16 { return b << (a & 15) }), low},
		{"v_lshrrev_b16 v2.l, v8.l, v10.l", short(func(a, b uint16) uint16 { return b >> (a & 15) }), low},
		{"v_ashrrev_i16 v2.l, v8.l, v10.l", short(func(a, b uint16) uint16 { return uint16(int16(b) >> (a & 15)) }), low},
		{"v_min_i16 v2.l, v8.l, v10.l", short(func(a, b uint16) uint16 { return uint16(min(int16(a), int16(b))) }), low},
		{"v_max_u16 v2.l, v8.l, v10.l", short(func(a, b uint16) uint16 { return max(a, b) }), low},
		{"v_and_b16 v2.l, v8.l, v10.l", short(func(a, b uint16) uint16 { return a & b }), low},
		{"v_xor_b16 v2.l, v8.l, v10.l", short(func(a, b uint16) uint16 { return a ^ b }), low},
		{"v_not_b16 v2.l, v8.l", short(func(a, _ uint16) uint16 { return ^a }), low},
		{"v_mad_u16 v2.l, v8.l, v10.l, v12.l", v3(func(a, b, c uint64) uint64 { return uint64(uint16(a)*uint16(b) + uint16(c)) }), low},
		{"v_mad_u32_u16 v2, v8.l, v10.h, v12", v3(func(a, b, c uint64) uint64 { return a&0xffff*(b>>16&0xffff) + c }), word},
		{"v_mad_i32_i16 v2, v8.l, v10.l, v12", v3(func(a, b, c uint64) uint64 { return uint64(int64(int16(a))*int64(int16(b))) + c }), word},
		{"v_cvt_i32_i16 v2, v8.l", v1(func(a uint64) uint64 { return uint64(int16(a)) }), word},
		{"v_cvt_u32_u16 v2, v8.h", v1(func(a uint64) uint64 { return a >> 16 & 0xffff }), word},
		{"v_sat_pk_u8_i16 v2.l, v8", v1(func(a uint64) uint64 {
			return uint64(min(max(int16(a), 0), 255)) | uint64(min(max(int16(a>>16), 0), 255))<<8
		}), low},
		{"s_mov_b32 vcc_lo, 0x0f0f3355 ; v_cndmask_b16 v2.l, v8.l, v10.l, vcc_lo", func(w []tuple, i int) (uint64, uint64) {
			if 0x0f0f3355>>i&1 != 0 {
				return w[i].b & 0xffff, 0
			}
			return w[i].a & 0xffff, 0
		}, low},
		{"v_swap_b16 v2.l, v8.l", v1(func(a uint64) uint64 { return a & 0xffff }), low},
	}
}

func TestHalfOpcodes(t *testing.T) { testOpcodes(t, "gfx1100", halfTests()) }
