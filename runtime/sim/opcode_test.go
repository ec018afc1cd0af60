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

// A tuple is one lane's inputs: a in v[8:9], b in v[10:11], c in v[12:13], d in v[14:15], which v[2:3] hold too before the
// instruction. Of scalar instructions the first lane's are in s[4:5], s[6:7], s[8:9], s[10:11].
type tuple struct{ a, b, c, d uint64 }

// An opcode is a test of one instruction, or a few, against a formula: of v[2:3] and of VCC, or of s[10:11] and SCC.
type opcode struct {
	asm  string
	want func(w []tuple, i int) (v, flag uint64)
	kind kind
}

type kind int

const (
	word    kind = iota // v2
	long                // v[2:3]
	single              // v2, a float32: NaNs are alike
	close32             // v2, a float32 to a relative 1e-6
	low                 // v2's low half, a float16; the high one stays
	double              // v[2:3], a float64
	mask                // VCC
	carries             // v2 and VCC
	scalar              // s10 and SCC
	scalars             // s[10:11] and SCC
	plain               // s10
	plains              // s[10:11]
	isSCC               // SCC
)

const opcodeBlocks = 32

// assemble makes a code object with a kernel for each test.
func assemble(t testing.TB, target string, tests []opcode) []byte {
	return assembleBodies(t, target, tests, func(o opcode) string {
		var s strings.Builder
		s.WriteString("s_load_b128 s[16:19], s[0:1], 0x0\ns_lshl_b32 s2, s2, 10\nv_lshl_add_u32 v1, v0, 5, s2\ns_waitcnt lgkmcnt(0)\n")
		s.WriteString("global_load_b128 v[8:11], v1, s[16:17]\nglobal_load_b128 v[12:15], v1, s[16:17] offset:16\ns_waitcnt vmcnt(0)\nv_mov_b32 v2, v14\nv_mov_b32 v3, v15\n")
		for r := range 8 {
			fmt.Fprintf(&s, "v_readfirstlane_b32 s%d, v%d\n", 4+r, 8+r)
		}
		s.WriteString("s_mov_b32 vcc_lo, 0\ns_cmp_lg_u32 s0, s0\n")
		s.WriteString(strings.ReplaceAll(o.asm, ";", "\n") + "\n")
		s.WriteString("s_cselect_b32 s13, 1, 0\ns_mov_b32 exec_lo, -1\nv_lshlrev_b32 v1, 4, v0\ns_lshr_b32 s2, s2, 1\nv_add_nc_u32 v1, s2, v1\nv_mov_b32 v4, vcc_lo\n")
		if o.kind >= scalar {
			s.WriteString("v_mov_b32 v2, s10\nv_mov_b32 v3, s11\nv_mov_b32 v4, s13\n")
		}
		s.WriteString("v_mov_b32 v5, 0\nglobal_store_b128 v1, v[2:5], s[18:19]\n")
		return s.String()
	})
}

// assembleBodies makes one of kernels k0, k1, … with two pointers as arguments.
func assembleBodies(t testing.TB, target string, tests []opcode, body func(opcode) string) []byte {
	var s, meta strings.Builder
	fmt.Fprintf(&s, ".amdgcn_target \"amdgcn-amd-amdhsa--%s\"\n.text\n", target)
	meta.WriteString(".amdgpu_metadata\n---\namdhsa.version: [1, 2]\namdhsa.kernels:\n")
	for i, o := range tests {
		fmt.Fprintf(&s, ".globl k%d\n.p2align 8\n.type k%d,@function\nk%d:\n%s\ns_endpgm\n", i, i, i, body(o))
		fmt.Fprintf(&s, ".rodata\n.p2align 6\n.amdhsa_kernel k%d\n.amdhsa_next_free_vgpr 64\n.amdhsa_next_free_sgpr 64\n.amdhsa_user_sgpr_kernarg_segment_ptr 1\n"+
			".amdhsa_user_sgpr_count 2\n.amdhsa_group_segment_fixed_size 4096\n.amdhsa_wavefront_size32 1\n.amdhsa_float_denorm_mode_32 3\n.end_amdhsa_kernel\n.text\n", i)
		fmt.Fprintf(&meta, "  - .name: k%d\n    .symbol: k%d.kd\n    .kernarg_segment_size: 16\n    .kernarg_segment_align: 8\n    .group_segment_fixed_size: 4096\n"+
			"    .private_segment_fixed_size: 0\n    .wavefront_size: 32\n    .sgpr_count: 64\n    .vgpr_count: 64\n    .max_flat_workgroup_size: 1024\n"+
			"    .args:\n      - {.offset: 0, .size: 8, .value_kind: global_buffer}\n      - {.offset: 8, .size: 8, .value_kind: global_buffer}\n", i, i)
	}
	meta.WriteString("...\n.end_amdgpu_metadata\n")
	return build(t, "ops.s", target, s.String()+meta.String(), "-x", "assembler", "-target", "amdgcn-amd-amdhsa", "-mcpu="+target, "-fuse-ld=lld", "-nostdlib")
}

var edges = []uint32{0, 1 << 31, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000, 1, 0x80000001, 0x7fffff, 0x800000, 0x7f7fffff, 0xff7fffff, 0xffffffff, 0x7fffffff,
	0x3c003c00, 0xbc007c00, 0xfc000001, 0x03ff0400, 0x7bff8001, 0x4b000001, 0x3f000000, 0x40490fdb, 0x33800000, 0x477fe000, 0x477ff000, 0x38800000, 31, 32, 5, 0x00ff80ff, 0x0c0d0806}

func tuples(r *rand.Rand) []tuple {
	list := make([]tuple, 32*opcodeBlocks)
	word := func() uint64 {
		switch r.Intn(4) {
		case 0:
			return uint64(edges[r.Intn(len(edges))])
		case 1:
			return uint64(math.Float32bits(float32(r.NormFloat64())))
		case 2:
			return uint64(toHalf(r.NormFloat64()*8)) | uint64(toHalf(r.NormFloat64()/1024))<<16
		}
		return uint64(r.Uint32())
	}
	value := func() uint64 {
		switch r.Intn(3) {
		case 0:
			return word()<<32 | word()
		case 1:
			return uint64(int64(int32(word())))
		}
		return word() | uint64(r.Intn(3))<<62
	}
	for i := range list {
		list[i] = tuple{value(), value(), value(), value()}
		if i%7 == 0 {
			list[i].b = list[i].a
		}
		if i%11 == 0 { // small shifts and exponents
			list[i].b = uint64(r.Intn(40))
		}
	}
	return list
}

func testOpcodes(t *testing.T, target string, tests []opcode) {
	code := assemble(t, target, tests)
	in := tuples(rand.New(rand.NewSource(9)))
	var b []byte
	for _, x := range in {
		for _, v := range []uint64{x.a, x.b, x.c, x.d} {
			b = binary.LittleEndian.AppendUint64(b, v)
		}
	}
	d := open(t, sim.Options{Target: target})
	m, err := d.Load(code)
	must(t, err)
	from, to := place(t, d, b), place(t, d, make([]byte, 16*len(in)))
	for n, o := range tests {
		must(t, d.Write(to, make([]byte, 16*len(in))))
		g, err := d.Record(m, []runtime.Launch{{Kernel: fmt.Sprintf("k%d", n), Grid: opcodeBlocks, Block: 32, Args: []runtime.Ptr{from, to}}})
		must(t, err)
		if err := g.Replay(); err != nil {
			t.Errorf("%s: %v", o.asm, err)
			continue
		}
		out := read(t, d, to, 16*len(in))
		for i := range in {
			w := in[i&^31 : i&^31+32]
			v, flag := o.want(w, i&31)
			gotV, gotF := binary.LittleEndian.Uint64(out[16*i:]), uint64(binary.LittleEndian.Uint32(out[16*i+8:]))
			if !o.agrees(v, flag, gotV, gotF, i&31, w[i&31].d) {
				x := w[i&31]
				if o.kind >= scalar {
					x = w[0]
				}
				t.Errorf("%s: lane %d, a %#x b %#x c %#x d %#x: %#x, %#x, want %#x, %#x", o.asm, i&31, x.a, x.b, x.c, x.d, gotV, gotF, v, flag)
				break
			}
		}
	}
	t.Logf("%d instructions, %d lanes each", len(tests), len(in))
}

// agrees compares as the kind says.
func (o *opcode) agrees(v, flag, gotV, gotF uint64, lane int, old uint64) bool {
	lo := uint32(gotV)
	f, g := math.Float32frombits(uint32(v)), math.Float32frombits(lo)
	switch o.kind {
	case word:
		return lo == uint32(v)
	case long:
		return gotV == v
	case single:
		return lo == uint32(v) || f != f && g != g
	case close32:
		return lo == uint32(v) || f != f && g != g || math.Abs(float64(f)-float64(g)) <= 1e-6*math.Abs(float64(f))
	case low:
		nan := func(h uint64) bool { return h&0x7fff > 0x7c00 }
		return lo>>16 == uint32(old)>>16 && (uint16(lo) == uint16(v) || nan(gotV) && nan(v))
	case double:
		x, y := math.Float64frombits(v), math.Float64frombits(gotV)
		return gotV == v || x != x && y != y
	case mask:
		return gotF>>lane&1 == flag
	case carries:
		return lo == uint32(v) && gotF>>lane&1 == flag
	case scalar:
		return lo == uint32(v) && gotF == flag
	case scalars:
		return gotV == v && gotF == flag
	case plain:
		return lo == uint32(v)
	case plains:
		return gotV == v
	}
	return gotF == flag
}
