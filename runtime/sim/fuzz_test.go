package sim

import (
	"strings"
	"testing"
)

func FuzzListing(f *testing.F) {
	for _, s := range []string{"v_add_f32_e32 v0, v1, v2", "v_mov_b32_dpp v0, v1 quad_perm:[1,0,3,2] row_mask:0xf bank_mask:0xf", "s_load_b64 s[0:1], s[2:3], s4 offset:0x10",
		"ds_swizzle_b32 v0, v1 offset:swizzle(BITMASK_PERM,\"00p11\")", "v_dual_mov_b32 v0, 1 :: v_dual_add_f32 v1, v2, v3", "v_wmma_f32_16x16x16_f16 v[0:7], v[8:15], v[16:23], 1.0",
		"global_atomic_add_u32 v0, v[2:3], v1, off glc", "s_setreg_imm32_b32 hwreg(HW_REG_MODE, 4, 2), 3", "s_cbranch_scc0 65532"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if list, err := readListing("\t" + s + " // 000000000100: BF850001\n"); err == nil && !strings.ContainsAny(s, "\n") {
			decode(list)
		}
	})
}
