package sim

import (
	"bytes"
	"strings"
	"testing"
)

func FuzzMetadata(f *testing.F) {
	f.Add([]byte("\x81\xaeamdhsa.kernels\x91\x83\xa5.name\xa1k\xa5.args\x90\xaf.wavefront_size\x20"))
	f.Add([]byte("\xdd\xff\xff\xff\xff"))
	f.Add(bytes.Repeat([]byte{0x91}, 100))
	f.Add([]byte("\xdf\x00\x00\x00\x01\xd9\x01a\xcb\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		im := &image{kernels: map[string]*Kernel{}}
		if im.metadata(b) == nil {
			for _, k := range im.order {
				if k.Name == "" || k.LDS > maxLDS || k.KernargSize > 1<<16 {
					t.Errorf("%+v", k)
				}
			}
		}
	})
}

func FuzzImage(f *testing.F) {
	f.Add([]byte("\x7fELF\x02\x01\x01\x40"))
	f.Fuzz(func(t *testing.T, b []byte) { readImage(b) })
}

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

// TestUnpack: each form of msgpack that there is, and each way to end too early.
func TestUnpack(t *testing.T) {
	good := "\x87\xa1a\xc0\xa1b\xc3\xa1c\xcd\x01\x00\xa1d\xd1\xff\xfe\xa1e\xdc\x00\x02\x01\xff\xa1f\xda\x00\x02hi\xa1g\xca\x3f\x80\x00\x00"
	v, err := unpack([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	if field[int64](v, "c") != 256 || field[int64](v, "d") != -2 || field[string](v, "f") != "hi" || field[float64](v, "g") != 1 || !field[bool](v, "b") || len(field[[]any](v, "e")) != 2 {
		t.Errorf("%v", v)
	}
	for n := range len(good) {
		if _, err := unpack([]byte(good[:n])); err == nil {
			t.Errorf("%d bytes of %d were read", n, len(good))
		}
	}
	for _, bad := range []string{"\x82\xa1a\x01\xa1a\x02", "\x81\x01\x02", "\xc1", strings.Repeat("\x91", 20) + "\x01", "\x01\x01", "\xdd\xff\xff\xff\xff"} {
		if v, err := unpack([]byte(bad)); err == nil {
			t.Errorf("%q is %v", bad, v)
		}
	}
}
