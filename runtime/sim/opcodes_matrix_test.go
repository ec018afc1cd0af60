package sim_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand"
	"strings"
	"testing"

	"hipc/runtime"
	"hipc/runtime/sim"
)

// matrixKernel loads A, B (8 registers a lane, of lane%16) and C (8 of each lane), multiplies and stores D over C.
func matrixKernel(op, target string) string {
	var s strings.Builder
	s.WriteString("s_load_b128 s[16:19], s[0:1], 0x0\nv_and_b32 v1, 15, v0\nv_lshlrev_b32 v1, 6, v1\nv_lshlrev_b32 v2, 5, v0\ns_waitcnt lgkmcnt(0)\n")
	for i := range 2 {
		fmt.Fprintf(&s, "global_load_b128 v[%d:%d], v1, s[16:17] offset:%d\n", 8+4*i, 11+4*i, 16*i)
		fmt.Fprintf(&s, "global_load_b128 v[%d:%d], v1, s[16:17] offset:%d\n", 16+4*i, 19+4*i, 32+16*i)
		fmt.Fprintf(&s, "global_load_b128 v[%d:%d], v2, s[18:19] offset:%d\n", 24+4*i, 27+4*i, 16*i)
	}
	s.WriteString("s_waitcnt vmcnt(0)\n" + op + "\n")
	for i := range 2 {
		fmt.Fprintf(&s, "global_store_b128 v2, v[%d:%d], s[18:19] offset:%d\n", 24+4*i, 27+4*i, 16*i)
	}
	return s.String()
}

func TestMatrixOpcodes(t *testing.T) {
	f16 := func(h uint32) float64 { return halfAny(uint16(h)) }
	bf16 := func(h uint32) float64 { return float64(math.Float32frombits(h << 16)) }
	s8 := func(x uint32) float64 { return float64(int8(x)) }
	u8 := func(x uint32) float64 { return float64(uint8(x)) }
	s4 := func(x uint32) float64 { return float64(int8(x<<4) >> 4) }
	tests := []struct {
		asm  string
		bits int // of an element of A and B
		a, b func(uint32) float64
		out  string
	}{
		{"v_wmma_f32_16x16x16_f16 v[24:31], v[8:15], v[16:23], v[24:31]", 16, f16, f16, "f32"},
		{"v_wmma_f32_16x16x16_bf16 v[24:31], v[8:15], v[16:23], v[24:31]", 16, bf16, bf16, "f32"},
		{"v_wmma_f16_16x16x16_f16 v[24:31], v[8:15], v[16:23], v[24:31]", 16, f16, f16, "low"},
		{"v_wmma_f16_16x16x16_f16 v[24:31], v[8:15], v[16:23], v[24:31] op_sel:[0,0,1]", 16, f16, f16, "high"},
		{"v_wmma_i32_16x16x16_iu8 v[24:31], v[8:11], v[16:19], v[24:31] neg_lo:[1,1,0]", 8, s8, s8, "i32"},
		{"v_wmma_i32_16x16x16_iu8 v[24:31], v[8:11], v[16:19], v[24:31] neg_lo:[0,1,0]", 8, u8, s8, "i32"},
		{"v_wmma_i32_16x16x16_iu4 v[24:31], v[8:9], v[16:17], v[24:31] neg_lo:[1,1,0]", 4, s4, s4, "i32"},
	}
	for _, target := range []string{"gfx1100", "gfx1151"} {
		var ops []opcode
		for _, c := range tests {
			ops = append(ops, opcode{asm: c.asm})
		}
		code := assembleBodies(t, target, ops, func(o opcode) string { return matrixKernel(o.asm, target) })
		r := rand.New(rand.NewSource(11))
		for n, c := range tests {
			d := open(t, sim.Options{Target: target})
			in, acc := make([]byte, 1024), make([]byte, 1024)
			for i := 0; i < 1024; i += 2 {
				v := r.NormFloat64()
				switch {
				case c.bits < 16:
					binary.LittleEndian.PutUint16(in[i:], uint16(r.Uint32()))
				case strings.Contains(c.asm, "_bf16"):
					binary.LittleEndian.PutUint16(in[i:], uint16(math.Float32bits(float32(v))>>16))
				default:
					binary.LittleEndian.PutUint16(in[i:], toHalf(v))
				}
			}
			for i := 0; i < 1024; i += 4 {
				switch c.out {
				case "f32":
					binary.LittleEndian.PutUint32(acc[i:], math.Float32bits(float32(r.NormFloat64())))
				case "i32":
					binary.LittleEndian.PutUint32(acc[i:], r.Uint32()>>8)
				default:
					binary.LittleEndian.PutUint32(acc[i:], uint32(toHalf(r.NormFloat64()))|uint32(toHalf(r.NormFloat64()))<<16)
				}
			}
			p, q := place(t, d, in), place(t, d, acc)
			must(t, run(t, d, code, runtime.Launch{Kernel: fmt.Sprintf("k%d", n), Grid: 1, Block: 32, Args: []runtime.Ptr{p, q}}))
			got, old, x := words(read(t, d, q, 1024)), words(acc), words(in)
			element := func(base, rowOrCol, k int, f func(uint32) float64) float64 {
				per := 32 / c.bits
				return f(x[rowOrCol*16+base+k/per] >> (c.bits * (k % per)) & (1<<c.bits - 1))
			}
			for m := range 16 {
				for k := range 16 {
					lane := k + 16*(m%2) // the published layout: row m is register m/2 of the lanes of its parity
					g, o := got[lane*8+m/2], old[lane*8+m/2]
					var s float64
					for j := range 16 {
						s += element(0, m, j, c.a) * element(8, k, j, c.b)
					}
					ok := false
					switch c.out {
					case "f32":
						ok = math.Abs(float64(math.Float32frombits(g))-(s+float64(math.Float32frombits(o)))) < 1e-5
					case "i32":
						ok = int32(g) == int32(o)+int32(s)
					case "low":
						ok = g>>16 == o>>16 && g&0xffff == uint32(toHalf(s+half(uint16(o))))
					case "high":
						ok = g&0xffff == o&0xffff && g>>16 == uint32(toHalf(s+half(uint16(o>>16))))
					}
					if !ok {
						t.Fatalf("%s: row %d, column %d: %#x of %#x and %v", c.asm, m, k, g, o, s)
					}
				}
			}
		}
	}
}

// TestDots: pairs of 16-bit floats.
func TestDots(t *testing.T) {
	pair := func(a, b uint64, f func(uint64) float64) float64 { return f(a)*f(b) + f(a>>16)*f(b>>16) }
	bf := func(x uint64) float64 { return float64(math.Float32frombits(uint32(x) << 16)) }
	dot := func(f func(uint64) float64, third func(x tuple) uint64) func([]tuple, int) (uint64, uint64) {
		return func(w []tuple, i int) (uint64, uint64) {
			return bitsOf(float32(float64(fl(third(w[i]))) + pair(w[i].a, w[i].b, f))), 0
		}
	}
	c := func(x tuple) uint64 { return x.c }
	testOpcodes(t, "gfx1100", []opcode{
		{"v_dot2_f32_f16 v2, v8, v10, v12", dot(lo16, c), close32},
		{"v_dot2acc_f32_f16 v2, v8, v10", dot(lo16, kept), close32},
		{"v_dot2_f32_bf16 v2, v8, v10, v12", dot(bf, c), close32},
		{"v_dual_dot2acc_f32_f16 v2, v8, v9 :: v_dual_mov_b32 v3, v2 ; v_mov_b32 v2, v3", v4(func(_, _, _, d uint64) uint64 { return d }), word},
		{"v_dot2_f32_f16 v2, v8, v10, v12 neg_lo:[1,0,0] neg_hi:[1,0,0]", v3(func(a, b, c uint64) uint64 {
			return bitsOf(float32(float64(fl(c)) - pair(a, b, lo16)))
		}), close32},
	})
}

// TestPoison: what of a result is poisoned, where only part of the sources is. v20 was never written; v21.l wasn't.
func TestPoison(t *testing.T) {
	const setup = "v_mov_b16 v21.h, v8.l ; "
	good := []string{
		"v_lshl_or_b32 v2, v21, 16, v8 ; v_and_b32 v21, 0xffff0000, v21 ; v_or_b32 v2, v21, v8",
		"v_lshrrev_b32 v2, 16, v21", "v_and_b32 v2, 0xffff0000, v21", "v_perm_b32 v2, v21, v8, 0x07060100", "v_alignbit_b32 v2, v8, v21, 16",
		"v_bfe_u32 v2, v21, 16, 8", "v_pk_add_u16 v2, v21, v21 op_sel:[1,1] op_sel_hi:[1,1]", "v_cvt_f32_f16 v2, v21.h", "v_bfi_b32 v2, 0xffff, v8, v21",
		"v_cvt_f32_ubyte2 v2, v21", "v_and_or_b32 v2, 0xffff0000, v21, v8", "v_mov_b16 v21.l, v8.l ; v_mov_b32 v2, v21", "v_cndmask_b32 v2, v8, v20, vcc_lo",
		"v_mov_b32 v20, v8 ; v_mov_b32 v2, v20", "s_and_b32 s20, s30, 0 ; v_mov_b32 v2, s20", "s_mov_b32 s20, s30 ; s_mov_b32 s20, 5 ; v_mov_b32 v2, s20",
		"v_cmp_eq_u32 s20, v20, v8 ; s_and_b32 s20, s20, 0 ; s_cmp_eq_u32 s20, 0 ; s_cbranch_scc0 0",
		"v_mov_b16 v22.l, v8.l ; v_readfirstlane_b32 s20, v22 ; s_sub_i32 s20, s20, s4 ; s_mul_i32 s20, s20, 5 ; s_and_b32 s20, s20, 0xff ; v_mov_b32 v2, s20",
	}
	bad := []string{
		"v_mov_b32 v2, v20", "v_add_f32 v2, v8, v20", "v_fma_f32 v2, v8, v8, v20", "v_mov_b32 v2, v21", "v_lshlrev_b32 v2, 8, v21", "v_perm_b32 v2, v21, v8, 0x05060100", "v_cvt_f32_f16 v2, v21.l",
		"v_pk_add_u16 v2, v21, v8", "v_mov_b32 v2, s30", "v_cndmask_b32 v2, v20, v8, vcc_lo", "v_dot2_f32_f16 v2, v8, v20, v8", "v_mov_b32_dpp v2, v20 row_xmask:1 row_mask:0xf bank_mask:0xf",
		"ds_bpermute_b32 v2, v8, v20", "v_fma_mix_f32 v2, v21, v8, v8 op_sel_hi:[1,0,0]", "v_readlane_b32 s20, v20, 3 ; v_mov_b32 v2, s20", "v_exp_f32 v2, v20",
		"ds_load_b32 v2, v0", "v_cmp_eq_u32 s20, v20, v8 ; v_cndmask_b32 v2, v8, v9, s20", "v_mad_u64_u32 v[2:3], null, v20, v8, v[8:9]",
		"s_cmp_eq_u32 s30, 0 ; s_cbranch_scc0 0", "v_cmp_eq_u32 vcc_lo, v20, v8 ; s_and_saveexec_b32 s20, vcc_lo", "global_load_b32 v2, v20, s[16:17]", "s_load_b32 s20, s[30:31], 0x0",
		"ds_store_b32 v20, v8", "v_cmpx_eq_u32 v20, v8", "global_atomic_add_u32 v0, v20, s[18:19]", "ds_add_u32 v0, v8",
		"v_mov_b16 v22.l, v8.l ; v_readfirstlane_b32 s20, v22 ; s_sub_i32 s20, s20, s4 ; s_and_b32 s20, s20, 0x1ffff ; v_mov_b32 v2, s20",
	}
	var tests []opcode
	for _, s := range append(good, bad...) {
		tests = append(tests, opcode{asm: setup + s, kind: word})
	}
	code := assemble(t, "gfx1100", tests)
	d := open(t, sim.Options{})
	m, err := d.Load(code)
	must(t, err)
	in, out := place(t, d, make([]byte, 32*32)), place(t, d, make([]byte, 16*32))
	for i, o := range tests {
		g, err := d.Record(m, []runtime.Launch{{Kernel: fmt.Sprintf("k%d", i), Grid: 1, Block: 32, Args: []runtime.Ptr{in, out}}})
		must(t, err)
		if err := g.Replay(); i < len(good) {
			if err != nil {
				t.Errorf("%s: %v", o.asm, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), "never written") || !strings.Contains(err.Error(), "pc 0x") {
			t.Errorf("%s: %v, want an error about what was never written", o.asm, err)
		}
	}
}

// TestUnknown: what isn't known is refused when it's loaded, with pc and text.
func TestUnknown(t *testing.T) {
	for _, c := range []struct{ asm, want string }{
		{"v_cubeid_f32 v2, v8, v9, v10", "doesn't know"}, {"image_load v[2:5], v[8:9], s[16:23] dmask:0xf dim:SQ_RSRC_IMG_2D", "doesn't know"},
		{"s_getreg_b32 s20, hwreg(HW_REG_HW_ID1)", "isn't simulated"},
		{".long 0xbfff0000", "doesn't know"}, {"v_trig_preop_f64 v[2:3], v[8:9], v10", "doesn't know"},
	} {
		code := assemble(t, "gfx1100", []opcode{{asm: "s_nop 0 ; " + strings.ReplaceAll(c.asm, ";", ","), kind: word}})
		_, err := open(t, sim.Options{}).Load(code)
		name, _, _ := strings.Cut(c.asm, " ")
		if name == ".long" {
			name = "pc 0x"
		}
		fails(t, err, "pc 0x", name, c.want)
	}
}

// TestEndless: a wave that doesn't end is stopped.
func TestEndless(t *testing.T) {
	code := assemble(t, "gfx1100", []opcode{{asm: "s_branch -1", kind: word}, {asm: "s_trap 2", kind: word}, {asm: "s_round_mode 0x1", kind: word}})
	d := open(t, sim.Options{Limit: 10000})
	b := place(t, d, make([]byte, 1024))
	for i, want := range []string{"endless loop", "trap", "rounding"} {
		fails(t, run(t, d, code, runtime.Launch{Kernel: fmt.Sprintf("k%d", i), Grid: 1, Block: 32, Args: []runtime.Ptr{b, b}}), want, "pc 0x")
	}
}

// TestFlush: denormals are flushed where the mode says so, and only those.
func TestFlush(t *testing.T) {
	ftz2 := func(f func(a, b float32) float32) func([]tuple, int) (uint64, uint64) {
		return f2(func(a, b float32) float32 { return ftz(f(ftz(a), ftz(b))) })
	}
	testOpcodes(t, "gfx1100", []opcode{
		{"s_denorm_mode 0xc ; v_add_f32 v2, v8, v10", ftz2(func(a, b float32) float32 { return a + b }), single},
		{"s_denorm_mode 0xc ; v_mul_f32 v2, v8, v10", ftz2(func(a, b float32) float32 { return a * b }), single},
		{"s_denorm_mode 0xc ; v_mov_b32 v2, v8", v1(func(a uint64) uint64 { return a }), word},
		{"s_denorm_mode 0xc ; v_add_f16 v2.l, v8.l, v10.l", h2(func(a, b float64) uint64 { return round16(a + b) }), low},
		{"s_setreg_imm32_b32 hwreg(HW_REG_MODE, 4, 2), 0 ; s_denorm_mode 0xf ; v_add_f32 v2, v8, v10", f2(func(a, b float32) float32 { return a + b }), single},
		{"s_setreg_imm32_b32 hwreg(HW_REG_MODE, 4, 2), 0 ; v_sub_f32 v2, v8, v10", ftz2(func(a, b float32) float32 { return a - b }), single},
	})
}
