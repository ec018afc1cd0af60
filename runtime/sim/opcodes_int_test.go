package sim_test

import (
	"fmt"
	"math"
	"math/bits"
	"testing"
)

func i32(x uint64) int64 { return int64(int32(x)) }
func un(x uint64) uint64 { return x & 0xffffffff }

func i24(x uint64) int64 { return int64(int32(x<<8) >> 8) }

func intTests() []opcode {
	med := func(a, b, c int64) uint64 { return uint64(a + b + c - max(a, b, c) - min(a, b, c)) }
	return []opcode{
		{"v_mov_b32 v2, v8", v1(func(a uint64) uint64 { return a }), word},
		{"v_mov_b32 v2, -16", v1(func(a uint64) uint64 { return 0xfffffff0 }), word},
		{"v_not_b32 v2, v8", v1(func(a uint64) uint64 { return ^a }), word},
		{"v_bfrev_b32 v2, v8", v1(func(a uint64) uint64 { return uint64(bits.Reverse32(uint32(a))) }), word},
		{"v_clz_i32_u32 v2, v8", v1(func(a uint64) uint64 { return uint64(int32(bits.LeadingZeros32(uint32(a)) - 33*int(b2(un(a) == 0)))) }), word},
		{"v_ctz_i32_b32 v2, v8", v1(func(a uint64) uint64 { return uint64(int32(bits.TrailingZeros32(uint32(a)) - 33*int(b2(un(a) == 0)))) }), word},
		{"v_cls_i32 v2, v8", v1(func(a uint64) uint64 {
			n := 0
			for n < 31 && uint32(a)>>(31-n)&1 == uint32(a)>>31 {
				n++
			}
			if n == 31 && (un(a) == 0 || un(a) == 0xffffffff) {
				return math.MaxUint64
			}
			return uint64(n)
		}), word},
		{"v_and_b32 v2, v8, v10", v2(func(a, b uint64) uint64 { return a & b }), word},
		{"v_or_b32 v2, v8, v10", v2(func(a, b uint64) uint64 { return a | b }), word},
		{"v_xor_b32 v2, v8, v10", v2(func(a, b uint64) uint64 { return a ^ b }), word},
		{"v_xnor_b32 v2, v8, v10", v2(func(a, b uint64) uint64 { return ^(a ^ b) }), word},
		{"v_lshlrev_b32 v2, v8, v10", v2(func(a, b uint64) uint64 { return b << (a & 31) }), word},
		{"v_lshrrev_b32 v2, v8, v10", v2(func(a, b uint64) uint64 { return un(b) >> (a & 31) }), word},
		{"v_ashrrev_i32 v2, v8, v10", v2(func(a, b uint64) uint64 { return uint64(i32(b) >> (a & 31)) }), word},
		{"v_add_nc_u32 v2, v8, v10", v2(func(a, b uint64) uint64 { return a + b }), word},
		{"v_add_nc_u32 v2, v8, v10 clamp", v2(func(a, b uint64) uint64 { return min(un(a)+un(b), math.MaxUint32) }), word},
		{"v_sub_nc_u32 v2, v8, v10 clamp", v2(func(a, b uint64) uint64 { return un(a) - min(un(a), un(b)) }), word},
		{"v_subrev_nc_u32 v2, v8, v10", v2(func(a, b uint64) uint64 { return b - a }), word},
		{"v_add_nc_i32 v2, v8, v10 clamp", v2(func(a, b uint64) uint64 { return uint64(max(min(i32(a)+i32(b), math.MaxInt32), math.MinInt32)) }), word},
		{"v_sub_nc_i32 v2, v8, v10", v2(func(a, b uint64) uint64 { return a - b }), word},
		{"v_min_i32 v2, v8, v10", v2(func(a, b uint64) uint64 { return uint64(min(i32(a), i32(b))) }), word},
		{"v_max_i32 v2, v8, v10", v2(func(a, b uint64) uint64 { return uint64(max(i32(a), i32(b))) }), word},
		{"v_min_u32 v2, v8, v10", v2(func(a, b uint64) uint64 { return min(un(a), un(b)) }), word},
		{"v_max_u32 v2, v8, v10", v2(func(a, b uint64) uint64 { return max(un(a), un(b)) }), word},
		{"v_mul_lo_u32 v2, v8, v10", v2(func(a, b uint64) uint64 { return a * b }), word},
		{"v_mul_hi_u32 v2, v8, v10", v2(func(a, b uint64) uint64 { return un(a) * un(b) >> 32 }), word},
		{"v_mul_hi_i32 v2, v8, v10", v2(func(a, b uint64) uint64 { return uint64(i32(a) * i32(b) >> 32) }), word},
		{"v_mul_i32_i24 v2, v8, v10", v2(func(a, b uint64) uint64 { return uint64(i24(a) * i24(b)) }), word},
		{"v_mul_hi_i32_i24 v2, v8, v10", v2(func(a, b uint64) uint64 { return uint64(i24(a) * i24(b) >> 32) }), word},
		{"v_mul_u32_u24 v2, v8, v10", v2(func(a, b uint64) uint64 { return a & 0xffffff * (b & 0xffffff) }), word},
		{"v_mad_u32_u24 v2, v8, v10, v12", v3(func(a, b, c uint64) uint64 { return a&0xffffff*(b&0xffffff) + c }), word},
		{"v_mad_i32_i24 v2, v8, v10, v12", v3(func(a, b, c uint64) uint64 { return uint64(i24(a)*i24(b)) + c }), word},
		{"v_bfm_b32 v2, v8, v10", v2(func(a, b uint64) uint64 { return (1<<(a&31) - 1) << (b & 31) }), word},
		{"v_bcnt_u32_b32 v2, v8, v10", v2(func(a, b uint64) uint64 { return ones(un(a)) + b }), word},
		{"v_bfe_u32 v2, v8, v10, v12", v3(func(a, b, c uint64) uint64 { return un(a) >> (b & 31) & (1<<(c&31) - 1) }), word},
		{"v_bfe_i32 v2, v8, 3, 7", v1(func(a uint64) uint64 { return uint64(int64(a<<54) >> 57) }), word},
		{"v_bfi_b32 v2, v8, v10, v12", v3(func(a, b, c uint64) uint64 { return a&b | ^a&c }), word},
		{"v_alignbit_b32 v2, v8, v10, v12", v3(func(a, b, c uint64) uint64 { return (un(a)<<32 | un(b)) >> (c & 31) }), word},
		{"v_alignbyte_b32 v2, v8, v10, v12.l", v3(func(a, b, c uint64) uint64 { return (un(a)<<32 | un(b)) >> (8 * (c & 3)) }), word},
		{"v_min3_i32 v2, v8, v10, v12", v3(func(a, b, c uint64) uint64 { return uint64(min(i32(a), i32(b), i32(c))) }), word},
		{"v_max3_u32 v2, v8, v10, v12", v3(func(a, b, c uint64) uint64 { return max(un(a), un(b), un(c)) }), word},
		{"v_med3_i32 v2, v8, v10, v12", v3(func(a, b, c uint64) uint64 { return med(i32(a), i32(b), i32(c)) }), word},
		{"v_med3_u32 v2, v8, v10, v12", v3(func(a, b, c uint64) uint64 { return med(int64(un(a)), int64(un(b)), int64(un(c))) }), word},
		{"v_minmax_i32 v2, v8, v10, v12", v3(func(a, b, c uint64) uint64 { return uint64(max(min(i32(a), i32(b)), i32(c))) }), word},
		{"v_maxmin_u32 v2, v8, v10, v12", v3(func(a, b, c uint64) uint64 { return min(max(un(a), un(b)), un(c)) }), word},
		{"v_perm_b32 v2, v8, v10, v12", v3(func(a, b, c uint64) uint64 {
			var bytes [13]uint64
			for i := range 4 {
				bytes[i], bytes[4+i] = b>>(8*i)&255, a>>(8*i)&255
			}
			for i := range 4 {
				bytes[8+i] = 255 * (bytes[2*i+1] >> 7)
			}
			var r uint64
			for i := range 4 {
				if s := c >> (8 * i) & 255; s < 13 {
					r |= bytes[s] << (8 * i)
				} else {
					r |= 255 << (8 * i)
				}
			}
			return r
		}), word},
		{"v_xad_u32 v2, v8, v10, v12", v3(func(a, b, c uint64) uint64 { return (a ^ b) + c }), word},
		{"v_lshl_add_u32 v2, v8, v10, v12", v3(func(a, b, c uint64) uint64 { return a<<(b&31) + c }), word},
		{"v_add_lshl_u32 v2, v8, v10, v12", v3(func(a, b, c uint64) uint64 { return (a + b) << (c & 31) }), word},
		{"v_add3_u32 v2, v8, v10, v12", v3(func(a, b, c uint64) uint64 { return a + b + c }), word},
		{"v_lshl_or_b32 v2, v8, v10, v12", v3(func(a, b, c uint64) uint64 { return a<<(b&31) | c }), word},
		{"v_and_or_b32 v2, v8, v10, v12", v3(func(a, b, c uint64) uint64 { return a&b | c }), word},
		{"v_or3_b32 v2, v8, v10, v12", v3(func(a, b, c uint64) uint64 { return a | b | c }), word},
		{"v_xor3_b32 v2, v8, v10, v12", v3(func(a, b, c uint64) uint64 { return a ^ b ^ c }), word},
		{"v_sad_u8 v2, v8, v10, v12", v3(func(a, b, c uint64) uint64 {
			for i := range 4 {
				c += uint64(math.Abs(float64(a>>(8*i)&255) - float64(b>>(8*i)&255)))
			}
			return c
		}), word},
		{"v_lshlrev_b64 v[2:3], v8, v[10:11]", v2(func(a, b uint64) uint64 { return b << (a & 63) }), long},
		{"v_lshrrev_b64 v[2:3], v8, v[10:11]", v2(func(a, b uint64) uint64 { return b >> (a & 63) }), long},
		{"v_ashrrev_i64 v[2:3], v8, v[10:11]", v2(func(a, b uint64) uint64 { return uint64(int64(b) >> (a & 63)) }), long},
		{"v_mad_u64_u32 v[2:3], null, v8, v10, v[12:13]", v3(func(a, b, c uint64) uint64 { return un(a)*un(b) + c }), long},
		{"v_mad_i64_i32 v[2:3], null, v8, v10, v[12:13]", v3(func(a, b, c uint64) uint64 { return uint64(i32(a)*i32(b)) + c }), long},
		{"v_add_co_u32 v2, vcc_lo, v8, v10", func(w []tuple, i int) (uint64, uint64) { s := un(w[i].a) + un(w[i].b); return s, s >> 32 }, carries},
		{"v_sub_co_u32 v2, vcc_lo, v8, v10", func(w []tuple, i int) (uint64, uint64) { return w[i].a - w[i].b, b2(un(w[i].a) < un(w[i].b)) }, carries},
		{"v_add_co_u32 v2, vcc_lo, v8, v10 ; v_add_co_ci_u32 v3, vcc_lo, v9, v11, vcc_lo", v2(func(a, b uint64) uint64 { return a + b }), long},
		{"v_sub_co_u32 v2, s20, v8, v10 ; v_sub_co_ci_u32 v3, null, v9, v11, s20", v2(func(a, b uint64) uint64 { return a - b }), long},
		{"v_subrev_co_u32 v2, s20, v8, v10 ; v_subrev_co_ci_u32 v3, null, v9, v11, s20", v2(func(a, b uint64) uint64 { return b - a }), long},
		{"v_dot4_i32_iu8 v2, v8, v10, v12 neg_lo:[1,1,0]", v3(func(a, b, c uint64) uint64 {
			for i := range 4 {
				c += uint64(int64(int8(a>>(8*i))) * int64(int8(b>>(8*i))))
			}
			return c
		}), word},
		{"v_dot4_i32_iu8 v2, v8, v10, v12 neg_lo:[0,1,0] clamp", v3(func(a, b, c uint64) uint64 {
			s := i32(c)
			for i := range 4 {
				s += int64(uint8(a>>(8*i))) * int64(int8(b>>(8*i)))
			}
			return uint64(max(min(s, math.MaxInt32), math.MinInt32))
		}), word},
		{"v_dot4_u32_u8 v2, v8, v10, v12", v3(func(a, b, c uint64) uint64 {
			for i := range 4 {
				c += a >> (8 * i) & 255 * (b >> (8 * i) & 255)
			}
			return c
		}), word},
		{"v_dot8_i32_iu4 v2, v8, v10, v12 neg_lo:[1,0,0]", v3(func(a, b, c uint64) uint64 {
			for i := range 8 {
				c += uint64(int64(a<<(60-4*i)) >> 60 * int64(b>>(4*i)&15))
			}
			return c
		}), word},
		{"v_dot8_u32_u4 v2, v8, v10, v12", v3(func(a, b, c uint64) uint64 {
			for i := range 8 {
				c += a >> (4 * i) & 15 * (b >> (4 * i) & 15)
			}
			return c
		}), word},
		{"v_cvt_pk_i16_i32 v2, v8, v10", v2(func(a, b uint64) uint64 {
			c := func(x uint64) uint64 { return uint64(max(min(i32(x), 32767), -32768)) & 0xffff }
			return c(a) | c(b)<<16
		}), word},
		{"v_cvt_pk_u16_u32 v2, v8, v10", v2(func(a, b uint64) uint64 { return min(un(a), 65535) | min(un(b), 65535)<<16 }), word},
		{"v_mbcnt_lo_u32_b32 v2, v8, v10", func(w []tuple, i int) (uint64, uint64) { return ones(un(w[i].a)&(1<<i-1)) + w[i].b, 0 }, word},
		{"v_mbcnt_hi_u32_b32 v2, v8, v10", v2(func(_, b uint64) uint64 { return b }), word},
		{"s_mov_b32 vcc_lo, 0x0f0f3355 ; v_cndmask_b32 v2, v8, v10, vcc_lo", func(w []tuple, i int) (uint64, uint64) {
			if 0x0f0f3355>>i&1 != 0 {
				return w[i].b, 0
			}
			return w[i].a, 0
		}, word},
		{"v_swap_b32 v2, v8", v1(func(a uint64) uint64 { return a }), word},
		{"v_dual_mov_b32 v2, v8 :: v_dual_mov_b32 v3, v2", v4(func(a, _, _, d uint64) uint64 { return un(a) | d<<32 }), long},
		{"v_dual_mov_b32 v2, v11 :: v_dual_add_nc_u32 v11, v8, v2 ; v_mov_b32 v3, v11", v4(func(a, b, _, d uint64) uint64 { return b>>32 | (a+d)<<32 }), long},
		{"v_dual_fmac_f32 v2, v8, v9 :: v_dual_cndmask_b32 v3, v9, v10 ; v_mov_b32 v2, v3", v1(func(a uint64) uint64 { return a >> 32 }), word},
	}
}

func b2(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func TestIntegerOpcodes(t *testing.T) {
	testOpcodes(t, "gfx1100", intTests())
}

// TestComparisons tries every relation of every kind of number.
func TestComparisons(t *testing.T) {
	var tests []opcode
	order := map[string]func(l, e, u bool) bool{
		"lt": func(l, e, u bool) bool { return l }, "eq": func(l, e, u bool) bool { return e }, "le": func(l, e, u bool) bool { return l || e },
		"gt": func(l, e, u bool) bool { return !(l || e || u) }, "ge": func(l, e, u bool) bool { return !(l || u) }, "ne": func(l, e, u bool) bool { return !e },
		"lg": func(l, e, u bool) bool { return !(e || u) }, "o": func(l, e, u bool) bool { return !u }, "u": func(l, e, u bool) bool { return u },
		"nge": func(l, e, u bool) bool { return l || u }, "nlg": func(l, e, u bool) bool { return e || u }, "ngt": func(l, e, u bool) bool { return l || e || u },
		"nle": func(l, e, u bool) bool { return !(l || e) }, "neq": func(l, e, u bool) bool { return !e }, "nlt": func(l, e, u bool) bool { return !l },
	}
	whole := []string{"lt", "eq", "le", "gt", "ge", "ne"}
	real := []string{"lt", "eq", "le", "gt", "ge", "lg", "o", "u", "nge", "nlg", "ngt", "nle", "neq", "nlt"}
	add := func(typ, a, b string, list []string, less func(a, b uint64) (l, e, u bool)) {
		for _, how := range list {
			f := order[how]
			want := func(w []tuple, i int) (uint64, uint64) { return 0, b2(f(less(w[i].a, w[i].b))) }
			tests = append(tests, opcode{fmt.Sprintf("v_cmp_%s_%s vcc_lo, %s, %s", how, typ, a, b), want, mask},
				opcode{fmt.Sprintf("v_cmpx_%s_%s %s, %s ; s_mov_b32 vcc_lo, exec_lo", how, typ, a, b), want, mask})
		}
	}
	ints := func(conv func(x uint64) int64) func(a, b uint64) (l, e, u bool) {
		return func(a, b uint64) (l, e, u bool) { return conv(a) < conv(b), conv(a) == conv(b), false }
	}
	floats := func(conv func(x uint64) float64) func(a, b uint64) (l, e, u bool) {
		return func(a, b uint64) (l, e, u bool) {
			x, y := conv(a), conv(b)
			return x < y, x == y, math.IsNaN(x) || math.IsNaN(y)
		}
	}
	add("i32", "v8", "v10", whole, ints(i32))
	add("u32", "v8", "v10", whole, ints(func(x uint64) int64 { return int64(un(x)) }))
	add("i16", "v8.l", "v10.l", whole, ints(func(x uint64) int64 { return int64(int16(x)) }))
	add("u16", "v8.l", "v10.l", whole, ints(func(x uint64) int64 { return int64(uint16(x)) }))
	add("i64", "v[8:9]", "v[10:11]", whole, ints(func(x uint64) int64 { return int64(x) }))
	add("u64", "v[8:9]", "v[10:11]", whole, func(a, b uint64) (l, e, u bool) { return a < b, a == b, false })
	add("f32", "v8", "v10", real, floats(func(x uint64) float64 { return float64(fl(x)) }))
	add("f16", "v8.l", "v10.l", real, floats(lo16))
	add("f64", "v[8:9]", "v[10:11]", real, floats(math.Float64frombits))
	tests = append(tests, opcode{"v_cmp_class_f32 vcc_lo, v8, 0x1f8", func(w []tuple, i int) (uint64, uint64) { return 0, b2(finite(float64(fl(w[i].a)))) }, mask},
		opcode{"v_cmp_class_f32 vcc_lo, v8, 3", func(w []tuple, i int) (uint64, uint64) { return 0, b2(fl(w[i].a) != fl(w[i].a)) }, mask},
		opcode{"v_cmp_class_f32 vcc_lo, v8, 0x204", func(w []tuple, i int) (uint64, uint64) { return 0, b2(math.IsInf(float64(fl(w[i].a)), 0)) }, mask})
	testOpcodes(t, "gfx1100", tests)
}
