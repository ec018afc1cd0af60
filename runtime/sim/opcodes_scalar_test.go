package sim_test

import (
	"math"
	"math/bits"
	"testing"
)

// s3 gives the first lane's inputs: s[4:5], s[6:7], s[8:9], and a formula of value and SCC.
func s3(f func(a, b, c uint64) (uint64, bool)) func([]tuple, int) (uint64, uint64) {
	return func(w []tuple, _ int) (uint64, uint64) {
		v, c := f(w[0].a, w[0].b, w[0].c)
		return v, b2(c)
	}
}

func s2(f two) func([]tuple, int) (uint64, uint64) {
	return s3(func(a, b, _ uint64) (uint64, bool) { return f(a, b), false })
}

// nz is an instruction whose SCC says that its result isn't 0.
func nz(f two) func([]tuple, int) (uint64, uint64) {
	return s3(func(a, b, _ uint64) (uint64, bool) { v := un(f(a, b)); return v, v != 0 })
}
func nz64(f two) func([]tuple, int) (uint64, uint64) {
	return s3(func(a, b, _ uint64) (uint64, bool) { v := f(a, b); return v, v != 0 })
}

func scalarTests() []opcode {
	overflow := func(s int64) bool { return s > math.MaxInt32 || s < math.MinInt32 }
	cmp := func(f func(a, b uint64) bool) func([]tuple, int) (uint64, uint64) {
		return s3(func(a, b, _ uint64) (uint64, bool) { return 0, f(a, b) })
	}
	return []opcode{
		{"s_mov_b32 s10, s4", s2(func(a, _ uint64) uint64 { return a }), plain},
		{"s_mov_b64 s[10:11], s[4:5]", s2(func(a, _ uint64) uint64 { return a }), plains},
		{"s_mov_b64 s[10:11], -1", s2(func(a, _ uint64) uint64 { return math.MaxUint64 }), plains},
		{"s_movk_i32 s10, 0x8001", s2(func(_, _ uint64) uint64 { return 0xffff8001 }), plain},
		{"s_add_u32 s10, s4, s6", s3(func(a, b, _ uint64) (uint64, bool) { return a + b, un(a)+un(b) > math.MaxUint32 }), scalar},
		{"s_add_u32 s10, s4, s6 ; s_addc_u32 s11, s5, s7", s2(func(a, b uint64) uint64 { return a + b }), plains},
		{"s_sub_u32 s10, s4, s6 ; s_subb_u32 s11, s5, s7", s3(func(a, b, _ uint64) (uint64, bool) { return a - b, a < b }), scalars},
		{"s_add_i32 s10, s4, s6", s3(func(a, b, _ uint64) (uint64, bool) { return a + b, overflow(i32(a) + i32(b)) }), scalar},
		{"s_sub_i32 s10, s4, s6", s3(func(a, b, _ uint64) (uint64, bool) { return a - b, overflow(i32(a) - i32(b)) }), scalar},
		{"s_mov_b32 s10, s4 ; s_addk_i32 s10, 0x7fff", s3(func(a, _, _ uint64) (uint64, bool) { return a + 0x7fff, overflow(i32(a) + 0x7fff) }), scalar},
		{"s_mov_b32 s10, s4 ; s_mulk_i32 s10, 0xfffb", s2(func(a, _ uint64) uint64 { return a * (1<<64 - 5) }), plain},
		{"s_min_i32 s10, s4, s6", s3(func(a, b, _ uint64) (uint64, bool) { return uint64(min(i32(a), i32(b))), i32(a) < i32(b) }), scalar},
		{"s_max_u32 s10, s4, s6", s3(func(a, b, _ uint64) (uint64, bool) { return max(un(a), un(b)), un(a) > un(b) }), scalar},
		{"s_mul_i32 s10, s4, s6", s2(func(a, b uint64) uint64 { return a * b }), plain},
		{"s_mul_hi_u32 s10, s4, s6", s2(func(a, b uint64) uint64 { return un(a) * un(b) >> 32 }), plain},
		{"s_mul_hi_i32 s10, s4, s6", s2(func(a, b uint64) uint64 { return uint64(i32(a) * i32(b) >> 32) }), plain},
		{"s_abs_i32 s10, s4", nz(func(a, _ uint64) uint64 { return uint64(max(i32(a), -i32(a))) }), scalar},
		{"s_absdiff_i32 s10, s4, s6", nz(func(a, b uint64) uint64 { return uint64(max(i32(a)-i32(b), i32(b)-i32(a))) }), scalar},
		{"s_lshl2_add_u32 s10, s4, s6", s3(func(a, b, _ uint64) (uint64, bool) { s := un(a)<<2 + un(b); return s, s>>32 != 0 }), scalar},
		{"s_and_b32 s10, s4, s6", nz(func(a, b uint64) uint64 { return a & b }), scalar},
		{"s_or_b64 s[10:11], s[4:5], s[6:7]", nz64(func(a, b uint64) uint64 { return a | b }), scalars},
		{"s_xor_b64 s[10:11], s[4:5], s[6:7]", nz64(func(a, b uint64) uint64 { return a ^ b }), scalars},
		{"s_and_not1_b32 s10, s4, s6", nz(func(a, b uint64) uint64 { return a &^ b }), scalar},
		{"s_or_not1_b32 s10, s4, s6", nz(func(a, b uint64) uint64 { return a | ^b }), scalar},
		{"s_nand_b32 s10, s4, s6", nz(func(a, b uint64) uint64 { return ^(a & b) }), scalar},
		{"s_nor_b32 s10, s4, s6", nz(func(a, b uint64) uint64 { return ^(a | b) }), scalar},
		{"s_xnor_b32 s10, s4, s6", nz(func(a, b uint64) uint64 { return ^(a ^ b) }), scalar},
		{"s_not_b64 s[10:11], s[4:5]", nz64(func(a, _ uint64) uint64 { return ^a }), scalars},
		{"s_lshl_b32 s10, s4, s6", nz(func(a, b uint64) uint64 { return a << (b & 31) }), scalar},
		{"s_lshr_b32 s10, s4, s6", nz(func(a, b uint64) uint64 { return un(a) >> (b & 31) }), scalar},
		{"s_ashr_i32 s10, s4, s6", nz(func(a, b uint64) uint64 { return uint64(i32(a) >> (b & 31)) }), scalar},
		{"s_lshl_b64 s[10:11], s[4:5], s6", nz64(func(a, b uint64) uint64 { return a << (b & 63) }), scalars},
		{"s_lshr_b64 s[10:11], s[4:5], s6", nz64(func(a, b uint64) uint64 { return a >> (b & 63) }), scalars},
		{"s_ashr_i64 s[10:11], s[4:5], s6", nz64(func(a, b uint64) uint64 { return uint64(int64(a) >> (b & 63)) }), scalars},
		{"s_bfe_u32 s10, s4, 0x70005", nz(func(a, _ uint64) uint64 { return a >> 5 & 127 }), scalar},
		{"s_bfe_i32 s10, s4, 0x70005", nz(func(a, _ uint64) uint64 { return uint64(int64(a<<52) >> 57) }), scalar},
		{"s_bfe_u64 s[10:11], s[4:5], 0x200010", nz64(func(a, _ uint64) uint64 { return a >> 16 & math.MaxUint32 }), scalars},
		{"s_bfe_i64 s[10:11], s[4:5], 0x200000", nz64(func(a, _ uint64) uint64 { return uint64(i32(a)) }), scalars},
		{"s_bfm_b32 s10, s4, s6", s2(func(a, b uint64) uint64 { return (1<<(a&31) - 1) << (b & 31) }), plain},
		{"s_bcnt1_i32_b32 s10, s4", nz(func(a, _ uint64) uint64 { return ones(un(a)) }), scalar},
		{"s_bcnt1_i32_b64 s10, s[4:5]", nz(func(a, _ uint64) uint64 { return ones(a) }), scalar},
		{"s_bcnt0_i32_b32 s10, s4", nz(func(a, _ uint64) uint64 { return 32 - ones(un(a)) }), scalar},
		{"s_ctz_i32_b64 s10, s[4:5]", s2(func(a, _ uint64) uint64 { return uint64(bits.TrailingZeros64(a) - 65*int(b2(a == 0))) }), plain},
		{"s_ctz_i32_b32 s10, s4", s2(func(a, _ uint64) uint64 { return uint64(bits.TrailingZeros32(uint32(a)) - 33*int(b2(un(a) == 0))) }), plain},
		{"s_clz_i32_u32 s10, s4", s2(func(a, _ uint64) uint64 { return uint64(bits.LeadingZeros32(uint32(a)) - 33*int(b2(un(a) == 0))) }), plain},
		{"s_brev_b32 s10, s4", s2(func(a, _ uint64) uint64 { return uint64(bits.Reverse32(uint32(a))) }), plain},
		{"s_sext_i32_i8 s10, s4", s2(func(a, _ uint64) uint64 { return uint64(int8(a)) }), plain},
		{"s_sext_i32_i16 s10, s4", s2(func(a, _ uint64) uint64 { return uint64(int16(a)) }), plain},
		{"s_mov_b32 s10, s6 ; s_bitset1_b32 s10, s4", s2(func(a, b uint64) uint64 { return b | 1<<(a&31) }), plain},
		{"s_mov_b32 s10, s6 ; s_bitset0_b32 s10, s4", s2(func(a, b uint64) uint64 { return b &^ (1 << (a & 31)) }), plain},
		{"s_pack_ll_b32_b16 s10, s4, s6", s2(func(a, b uint64) uint64 { return a&0xffff | b<<16 }), plain},
		{"s_pack_lh_b32_b16 s10, s4, s6", s2(func(a, b uint64) uint64 { return a&0xffff | b&0xffff0000 }), plain},
		{"s_pack_hh_b32_b16 s10, s4, s6", s2(func(a, b uint64) uint64 { return un(a)>>16 | b&0xffff0000 }), plain},
		{"s_cmp_lt_i32 s4, s6", cmp(func(a, b uint64) bool { return i32(a) < i32(b) }), isSCC},
		{"s_cmp_ge_u32 s4, s6", cmp(func(a, b uint64) bool { return un(a) >= un(b) }), isSCC},
		{"s_cmp_eq_u64 s[4:5], s[6:7]", cmp(func(a, b uint64) bool { return a == b }), isSCC},
		{"s_cmp_lg_u32 s4, 0", cmp(func(a, _ uint64) bool { return un(a) != 0 }), isSCC},
		{"s_cmpk_gt_i32 s4, 0x8000", cmp(func(a, _ uint64) bool { return i32(a) > -32768 }), isSCC},
		{"s_cmpk_le_u32 s4, 0x8000", cmp(func(a, _ uint64) bool { return un(a) <= 32768 }), isSCC},
		{"s_bitcmp1_b32 s4, s6", cmp(func(a, b uint64) bool { return a>>(b&31)&1 == 1 }), isSCC},
		{"s_bitcmp0_b64 s[4:5], s6", cmp(func(a, b uint64) bool { return a>>(b&63)&1 == 0 }), isSCC},
		{"s_cmp_lt_i32 s4, s6 ; s_cselect_b32 s10, s4, s6", s2(func(a, b uint64) uint64 { return uint64(min(i32(a), i32(b))) }), plain},
		{"s_cmp_lt_u32 s4, s6 ; s_cselect_b64 s[10:11], s[4:5], s[6:7]", s2(func(a, b uint64) uint64 {
			if un(a) < un(b) {
				return a
			}
			return b
		}), plains},
		{"s_mov_b32 s10, s6 ; s_cmp_lt_i32 s4, s6 ; s_cmov_b32 s10, s4", s2(func(a, b uint64) uint64 { return uint64(min(i32(a), i32(b))) }), plain},
		{"s_mov_b32 s10, 0 ; s_bitset1_b32 s10, 31 ; s_and_saveexec_b32 s11, s4 ; s_mov_b32 s10, exec_lo ; s_mov_b32 exec_lo, s11",
			s3(func(a, _, _ uint64) (uint64, bool) { return un(a) | 0xffffffff<<32, un(a) != 0 }), scalars},
		{"s_mov_b32 exec_lo, s6 ; s_and_not1_saveexec_b32 s11, s4 ; s_mov_b32 s10, exec_lo",
			s3(func(a, b, _ uint64) (uint64, bool) { return un(a&^b) | b<<32, un(a&^b) != 0 }), scalars},
		{"s_mov_b32 exec_lo, s6 ; s_and_not0_saveexec_b32 s11, s4 ; s_mov_b32 s10, exec_lo",
			s3(func(a, b, _ uint64) (uint64, bool) { return un(b&^a) | b<<32, un(b&^a) != 0 }), scalars},
		{"s_mov_b32 s10, 0 ; s_cmp_lg_u32 s4, 0 ; s_cbranch_scc0 1 ; s_mov_b32 s10, 7", s2(func(a, _ uint64) uint64 { return 7 * b2(un(a) != 0) }), plain},
		{"s_mov_b32 s10, 3 ; s_mov_b32 s11, 0 ; s_add_i32 s11, s11, s10 ; s_sub_i32 s10, s10, 1 ; s_cmp_lg_u32 s10, 0 ; s_cbranch_scc1 -4 ; s_mov_b32 s10, s11", s2(func(_, _ uint64) uint64 { return 6 }), plain},
		{"v_readlane_b32 s10, v8, 5", func(w []tuple, _ int) (uint64, uint64) { return w[5].a, 0 }, plain},
		{"s_mov_b32 exec_lo, 0xff00 ; v_readfirstlane_b32 s10, v8", func(w []tuple, _ int) (uint64, uint64) { return w[8].a, 0 }, plain},
	}
}

func TestScalarOpcodes(t *testing.T) {
	var tests []opcode
	for _, o := range scalarTests() {
		if o.want != nil {
			tests = append(tests, o)
		}
	}
	testOpcodes(t, "gfx1100", tests)
	testOpcodes(t, "gfx1151", tests)
}

// TestScalarFloats: gfx11.5 alone has them.
func TestScalarFloats(t *testing.T) {
	f := func(f func(a, b float32) float32) func([]tuple, int) (uint64, uint64) {
		return s2(func(a, b uint64) uint64 { return bitsOf(f(fl(a), fl(b))) })
	}
	tests := []opcode{
		{"s_add_f32 s10, s4, s6", f(func(a, b float32) float32 { return a + b }), single},
		{"s_sub_f32 s10, s4, 1.0", f(func(a, _ float32) float32 { return a - 1 }), single},
		{"s_mul_f32 s10, s4, s6", f(func(a, b float32) float32 { return a * b }), single},
		{"s_min_f32 s10, s4, s6", f(min32), single},
		{"s_max_f32 s10, s4, s6", f(max32), single},
		{"s_mov_b32 s10, s8 ; s_fmac_f32 s10, s4, s6", s3(func(a, b, c uint64) (uint64, bool) { return bitsOf(fma32(fl(a), fl(b), fl(c))), false }), single},
		{"s_fmaak_f32 s10, s4, s6, 0x40490fdb", f(func(a, b float32) float32 { return fma32(a, b, fl(0x40490fdb)) }), single},
		{"s_cvt_f32_i32 s10, s4", s2(func(a, _ uint64) uint64 { return bitsOf(float32(int32(a))) }), plain},
		{"s_cvt_u32_f32 s10, s4", s2(func(a, _ uint64) uint64 { return clampInt(float64(fl(a)), 0, math.MaxUint32) }), plain},
		{"s_cvt_f32_f16 s10, s4", s2(func(a, _ uint64) uint64 { return bitsOf(float32(lo16(a))) }), single},
		{"s_rndne_f32 s10, s4", f(func(a, _ float32) float32 { return float32(math.RoundToEven(float64(a))) }), single},
		{"s_cmp_lt_f32 s4, s6", s3(func(a, b, _ uint64) (uint64, bool) { return 0, fl(a) < fl(b) }), isSCC},
		{"s_cmp_nge_f32 s4, s6", s3(func(a, b, _ uint64) (uint64, bool) { return 0, !(fl(a) >= fl(b)) }), isSCC},
		{"s_cmp_lg_f16 s4, s6", s3(func(a, b, _ uint64) (uint64, bool) { return 0, lo16(a) < lo16(b) || lo16(a) > lo16(b) }), isSCC},
	}
	for i := range tests {
		if tests[i].kind == single { // of s10, not v2: an SGPR's result
			tests[i].asm += " ; v_mov_b32 v2, s10"
		}
	}
	testOpcodes(t, "gfx1151", tests)
}
