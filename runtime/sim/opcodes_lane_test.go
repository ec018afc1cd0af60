package sim_test

import (
	"bytes"
	"fmt"
	"testing"

	"hipc/runtime/sim"
)

// from is an instruction that reads another lane's a; where that is none (-1), what the instruction then gives.
func from(f func(i int) int, other func(x tuple) uint64) func([]tuple, int) (uint64, uint64) {
	return func(w []tuple, i int) (uint64, uint64) {
		if n := f(i); n >= 0 {
			return w[n].a, 0
		}
		return other(w[i]), 0
	}
}

func zero(tuple) uint64   { return 0 }
func kept(x tuple) uint64 { return x.d }
func row(i, at int) (n int) {
	if at < 0 || at > 15 {
		return -1
	}
	return i&16 | at
}

func TestLaneOpcodes(t *testing.T) {
	const full = " row_mask:0xf bank_mask:0xf"
	tests := []opcode{
		{"v_mov_b32_dpp v2, v8 row_shr:3" + full, from(func(i int) int { return row(i, i&15-3) }, kept), word},
		{"v_mov_b32_dpp v2, v8 row_shr:3" + full + " bound_ctrl:1", from(func(i int) int { return row(i, i&15-3) }, zero), word},
		{"v_mov_b32_dpp v2, v8 row_shl:5" + full, from(func(i int) int { return row(i, i&15+5) }, kept), word},
		{"v_mov_b32_dpp v2, v8 row_ror:7" + full, from(func(i int) int { return row(i, (i-7)&15) }, nil), word},
		{"v_mov_b32_dpp v2, v8 row_mirror" + full, from(func(i int) int { return row(i, 15-i&15) }, nil), word},
		{"v_mov_b32_dpp v2, v8 row_half_mirror" + full, from(func(i int) int { return i&24 | 7 - i&7 }, nil), word},
		{"v_mov_b32_dpp v2, v8 row_share:9" + full, from(func(i int) int { return row(i, 9) }, nil), word},
		{"v_mov_b32_dpp v2, v8 row_xmask:10" + full, from(func(i int) int { return i ^ 10 }, nil), word},
		{"v_mov_b32_dpp v2, v8 quad_perm:[3,1,0,2]" + full, from(func(i int) int { return i&28 | []int{3, 1, 0, 2}[i&3] }, nil), word},
		{"v_mov_b32_dpp v2, v8 quad_perm:[3,1,0,2] row_mask:0x2 bank_mask:0x5", from(func(i int) int {
			if i < 16 || i/4&1 == 1 {
				return -1
			}
			return i&28 | []int{3, 1, 0, 2}[i&3]
		}, kept), word},
		{"v_mov_b32_dpp v2, v8 dpp8:[7,6,5,4,3,2,1,0]", from(func(i int) int { return i ^ 7 }, nil), word},
		{"v_add_nc_u32_dpp v2, v8, v10 row_xmask:1" + full, func(w []tuple, i int) (uint64, uint64) { return w[i^1].a + w[i].b, 0 }, word},
		{"v_add_f16_e64_dpp v2.l, v8.l, v10.l quad_perm:[1,0,3,2]" + full, func(w []tuple, i int) (uint64, uint64) { return round16(lo16(w[i^1].a) + lo16(w[i].b)), 0 }, low},
		{"v_cmp_lt_i32_e64_dpp vcc_lo, v8, v10 row_xmask:3" + full, func(w []tuple, i int) (uint64, uint64) { return 0, b2(i32(w[i^3].a) < i32(w[i].b)) }, mask},
		// lanes that are off: read only where fi says so
		{"s_mov_b32 exec_lo, 0x55555555 ; v_mov_b32_dpp v2, v8 row_xmask:1" + full + " ; s_mov_b32 exec_lo, -1", from(func(int) int { return -1 }, kept), word},
		{"s_mov_b32 exec_lo, 0x55555555 ; v_mov_b32_dpp v2, v8 row_xmask:1" + full + " bound_ctrl:1 ; s_mov_b32 exec_lo, -1", func(w []tuple, i int) (uint64, uint64) {
			if i&1 == 0 {
				return 0, 0
			}
			return w[i].d, 0
		}, word},
		{"s_mov_b32 exec_lo, 0x55555555 ; v_mov_b32_dpp v2, v8 row_xmask:1" + full + " fi:1 ; s_mov_b32 exec_lo, -1", from(func(i int) int {
			if i&1 == 1 {
				return -1
			}
			return i ^ 1
		}, kept), word},
		{"v_permlane16_b32 v2, v8, s4, s6", func(w []tuple, i int) (uint64, uint64) {
			s := un(w[0].a) | w[0].b<<32
			return w[row(i, int(s>>(4*(i&15))&15))].a, 0
		}, word},
		{"v_permlanex16_b32 v2, v8, s4, s6", func(w []tuple, i int) (uint64, uint64) {
			s := un(w[0].a) | w[0].b<<32
			return w[row(i, int(s>>(4*(i&15))&15))^16].a, 0
		}, word},
		{"s_mov_b32 exec_lo, 0xffff ; v_permlanex16_b32 v2, v8, 0, 0 op_sel:[1,0] ; s_mov_b32 exec_lo, -1", from(func(i int) int {
			if i > 15 {
				return -1
			}
			return 16
		}, kept), word},
		{"s_mov_b32 s20, 77 ; v_writelane_b32 v2, s20, 9", func(w []tuple, i int) (uint64, uint64) {
			if i == 9 {
				return 77, 0
			}
			return w[i].d, 0
		}, word},
		{"ds_bpermute_b32 v2, v10, v8 ; s_waitcnt lgkmcnt(0)", func(w []tuple, i int) (uint64, uint64) { return w[un(w[i].b)>>2&31].a, 0 }, word},
		{"ds_bpermute_b32 v2, v10, v8 offset:8", func(w []tuple, i int) (uint64, uint64) { return w[un(w[i].b+8)>>2&31].a, 0 }, word},
		{"ds_permute_b32 v2, v10, v8", func(w []tuple, i int) (v, _ uint64) {
			for _, x := range w {
				if int(x.b>>2&31) == i {
					v = x.a
				}
			}
			return v, 0
		}, word},
		{"ds_swizzle_b32 v2, v8 offset:swizzle(SWAP,8)", from(func(i int) int { return i ^ 8 }, nil), word},
		{"ds_swizzle_b32 v2, v8 offset:swizzle(BITMASK_PERM,\"0p1ip\")", from(func(i int) int { return i&0b01011 ^ 2 | 4 }, nil), word},
		{"ds_swizzle_b32 v2, v8 offset:swizzle(QUAD_PERM,2,3,0,1)", from(func(i int) int { return i ^ 2 }, nil), word},
		{"ds_swizzle_b32 v2, v8 offset:swizzle(BROADCAST,8,3)", from(func(i int) int { return i&24 | 3 }, nil), word},
		{"ds_swizzle_b32 v2, v8 offset:swizzle(REVERSE,16)", from(func(i int) int { return i ^ 15 }, nil), word},
	}
	testOpcodes(t, "gfx1100", tests)
	testOpcodes(t, "gfx1151", tests)
}

// TestSharedOpcodes writes LDS and reads it back in other shapes.
func TestSharedOpcodes(t *testing.T) {
	const at = "v_lshlrev_b32 v20, 4, v0 ; " // 16 bytes a lane
	same := func(f func(x tuple) uint64) func([]tuple, int) (uint64, uint64) {
		return func(w []tuple, i int) (uint64, uint64) { return f(w[i]), 0 }
	}
	tests := []opcode{
		{at + "ds_store_b32 v20, v8 ; ds_load_b32 v2, v20", same(func(x tuple) uint64 { return x.a }), word},
		{at + "ds_store_b64 v20, v[8:9] offset:8 ; ds_load_b64 v[2:3], v20 offset:8", same(func(x tuple) uint64 { return x.a }), long},
		{at + "ds_store_b128 v20, v[8:11] ; ds_load_b64 v[2:3], v20 offset:8", same(func(x tuple) uint64 { return x.b }), long},
		{at + "ds_store_b96 v20, v[8:10] ; ds_load_b96 v[24:26], v20 ; v_mov_b32 v2, v26 ; v_mov_b32 v3, v24", same(func(x tuple) uint64 { return un(x.b) | x.a<<32 }), long},
		{at + "ds_store_b128 v20, v[8:11] ; ds_load_b128 v[24:27], v20 ; v_mov_b32 v2, v27 ; v_mov_b32 v3, v25", same(func(x tuple) uint64 { return x.b>>32 | x.a>>32<<32 }), long},
		{at + "ds_store_b32 v20, v8 ; ds_load_u8 v2, v20 offset:1 ; ds_load_i8 v3, v20 offset:2", same(func(x tuple) uint64 { return x.a>>8&255 | uint64(uint32(int8(x.a>>16)))<<32 }), long},
		{at + "ds_store_b32 v20, v8 ; ds_load_u16 v2, v20 offset:2 ; ds_load_i16 v3, v20", same(func(x tuple) uint64 { return x.a>>16&65535 | uint64(uint32(int16(x.a)))<<32 }), long},
		{at + "ds_store_b32 v20, v8 ; ds_load_u16_d16 v2, v20 offset:2 ; ds_load_u16_d16_hi v3, v20", same(func(x tuple) uint64 {
			return x.d&0xffff0000 | x.a>>16&0xffff | (x.d>>32&0xffff|x.a&0xffff<<16)<<32
		}), long},
		{at + "ds_store_b32 v20, v8 ; ds_load_u8_d16 v2, v20 offset:3 ; ds_load_i8_d16_hi v3, v20", same(func(x tuple) uint64 {
			return x.d&0xffff0000 | x.a>>24&255 | (x.d>>32&0xffff|uint64(uint16(int8(x.a)))<<16)<<32
		}), long},
		{at + "ds_store_b32 v20, v8 ; ds_store_b8 v20, v10 offset:1 ; ds_store_b8_d16_hi v20, v10 ; ds_store_b16_d16_hi v20, v12 offset:2 ; ds_load_b32 v2, v20", same(func(x tuple) uint64 {
			return x.b>>16&255 | x.b&255<<8 | x.c&0xffff0000
		}), word},
		{at + "ds_store_b16 v20, v8 ; ds_load_u16 v2, v20", same(func(x tuple) uint64 { return x.a & 0xffff }), word},
		{at + "ds_store_2addr_b32 v20, v8, v10 offset0:3 offset1:1 ; ds_load_2addr_b32 v[2:3], v20 offset0:1 offset1:3", same(func(x tuple) uint64 { return un(x.b) | x.a<<32 }), long},
		{at + "ds_store_2addr_b64 v20, v[8:9], v[10:11] offset1:1 ; ds_load_2addr_b64 v[24:27], v20 offset1:1 ; v_mov_b32 v2, v26 ; v_mov_b32 v3, v25", same(func(x tuple) uint64 { return un(x.b) | x.a>>32<<32 }), long},
		{"v_lshlrev_b32 v20, 2, v0 ; ds_store_2addr_stride64_b32 v20, v8, v10 offset0:1 offset1:3 ; ds_load_b32 v2, v20 offset:256 ; ds_load_b32 v3, v20 offset:768", same(func(x tuple) uint64 { return un(x.a) | x.b<<32 }), long},
	}
	type rmw struct {
		name string
		f    func(old, x uint64) uint64
	}
	for _, o := range []rmw{{"add_u32", func(o, x uint64) uint64 { return o + x }}, {"sub_u32", func(o, x uint64) uint64 { return o - x }}, {"and_b32", func(o, x uint64) uint64 { return o & x }},
		{"or_b32", func(o, x uint64) uint64 { return o | x }}, {"xor_b32", func(o, x uint64) uint64 { return o ^ x }}, {"min_i32", func(o, x uint64) uint64 { return uint64(min(i32(o), i32(x))) }},
		{"max_u32", func(o, x uint64) uint64 { return max(un(o), un(x)) }}, {"inc_u32", func(o, x uint64) uint64 {
			if un(o) >= un(x) {
				return 0
			}
			return o + 1
		}}} {
		want := same(func(x tuple) uint64 { return un(x.a) | o.f(x.a, x.b)<<32 })
		tests = append(tests, opcode{fmt.Sprintf(at+"ds_store_b32 v20, v8 ; ds_%s_rtn_%s v2, v20, v10 ; ds_load_b32 v3, v20", o.name[:len(o.name)-4], o.name[len(o.name)-3:]), want, long},
			opcode{fmt.Sprintf(global+"global_store_b32 v20, v8, s[18:19] ; global_atomic_%s v2, v20, v10, s[18:19] glc ; global_load_b32 v3, v20, s[18:19]", o.name), want, long})
	}
	tests = append(tests,
		opcode{global + "global_store_b64 v20, v[8:9], s[18:19] ; global_atomic_add_u64 v20, v[10:11], s[18:19] ; global_load_b64 v[2:3], v20, s[18:19]", same(func(x tuple) uint64 { return x.a + x.b }), long},
		opcode{global + "global_store_b32 v20, v8, s[18:19] ; global_atomic_add_f32 v20, v10, s[18:19] ; global_load_b32 v2, v20, s[18:19]", same(func(x tuple) uint64 { return bitsOf(fl(x.a) + fl(x.b)) }), single},
		opcode{global + "v_mov_b32 v11, v8 ; v_mov_b32 v10, v12 ; global_store_b32 v20, v8, s[18:19] ; global_atomic_cmpswap_b32 v2, v20, v[10:11], s[18:19] glc ; global_load_b32 v3, v20, s[18:19]",
			same(func(x tuple) uint64 { return un(x.a) | x.c<<32 }), long},
		opcode{at + "ds_store_b32 v20, v8 ; ds_cmpstore_rtn_b32 v2, v20, v12, v8 ; ds_load_b32 v3, v20", same(func(x tuple) uint64 { return un(x.a) | x.c<<32 }), long},
		opcode{at + "ds_store_b32 v20, v8 ; ds_storexchg_rtn_b32 v2, v20, v10 ; ds_load_b32 v3, v20", same(func(x tuple) uint64 { return un(x.a) | x.b<<32 }), long},
		opcode{at + "ds_store_b32 v20, v8 ; ds_add_f32 v20, v10 ; ds_load_b32 v2, v20", same(func(x tuple) uint64 { return bitsOf(fl(x.a) + fl(x.b)) }), single},
		opcode{at + "ds_store_b64 v20, v[8:9] ; ds_add_u64 v20, v[10:11] ; ds_load_b64 v[2:3], v20", same(func(x tuple) uint64 { return x.a + x.b }), long},
		opcode{global + "global_store_d16_hi_b16 v20, v8, s[18:19] ; global_store_b16 v20, v10, s[18:19] offset:2 ; global_load_b32 v2, v20, s[18:19]", same(func(x tuple) uint64 { return x.a>>16&0xffff | x.b<<16 }), word},
		opcode{global + "global_store_b32 v20, v8, s[18:19] ; global_load_d16_b16 v2, v20, s[18:19] offset:2 ; global_load_d16_hi_u8 v2, v20, s[18:19]", same(func(x tuple) uint64 { return x.a>>16&0xffff | x.a&255<<16 }), word},
		opcode{global + "v_add_co_u32 v24, vcc_lo, s18, v20 ; v_add_co_ci_u32 v25, null, s19, 0, vcc_lo ; flat_store_b32 v[24:25], v8 ; flat_load_i16 v2, v[24:25] ; global_load_i8 v3, v[24:25], off offset:3",
			same(func(x tuple) uint64 { return uint64(uint32(int16(x.a))) | uint64(uint32(int8(x.a>>24)))<<32 }), long},
	)
	testOpcodes(t, "gfx1100", tests)
}

// global makes v20 the lane's place in the results.
const global = "v_lshlrev_b32 v20, 4, v0 ; s_lshr_b32 s20, s2, 1 ; v_add_nc_u32 v20, s20, v20 ; "

// TestOldPermlane: clang before 19 sets bits in v_permlanex16 that llvm-objdump refuses and a card ignores.
func TestOldPermlane(t *testing.T) {
	code := assemble(t, "gfx1100", []opcode{{asm: "v_permlanex16_b32 v2, v8, s4, s6 op_sel:[1,0]", kind: word}})
	i := bytes.Index(code, []byte{2, 8, 0x5c, 0xd6})
	if i < 0 {
		t.Fatal("the instruction isn't where it was put")
	}
	code[i+1] |= 0x41
	code[i+7] |= 0x20
	_, err := open(t, sim.Options{}).Load(code)
	must(t, err)
}
