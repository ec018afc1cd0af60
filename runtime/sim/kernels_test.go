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

// half converts by halving the distance: written apart from the simulator's own.
func half(h uint16) float64 {
	exp, man := int(h>>10&31), float64(h&1023)
	v := math.Ldexp(1+man/1024, exp-15)
	if exp == 0 {
		v = math.Ldexp(man, -24)
	}
	if h&0x8000 != 0 {
		v = -v
	}
	return v
}

// toHalf finds the nearest float16 among all of the same sign; a tie goes to the even one.
func toHalf(x float64) uint16 {
	lo, hi := 0, 0x7c00
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; half(uint16(mid)) <= math.Abs(x) {
			lo = mid
		} else {
			hi = mid
		}
	}
	top := 65536.0
	if hi < 0x7c00 {
		top = half(uint16(hi))
	}
	below, above := math.Abs(x)-half(uint16(lo)), top-math.Abs(x)
	if above < below || above == below && lo&1 == 1 {
		lo = hi
	}
	if math.Signbit(x) {
		lo |= 0x8000
	}
	return uint16(lo)
}

func halves(r *rand.Rand, n int) (b []byte, v []float64) {
	for range n {
		h := toHalf(r.NormFloat64())
		b = binary.LittleEndian.AppendUint16(b, h)
		v = append(v, half(h))
	}
	return b, v
}

func singles(r *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return v
}

// everywhere runs a test for both targets, in both orders.
func everywhere(t *testing.T, f func(t *testing.T, d *sim.Device, code []byte)) {
	for _, target := range []string{"gfx1100", "gfx1151"} {
		code := hip(t, "kernels.hip", target)
		for _, reverse := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/reverse=%v", target, reverse), func(t *testing.T) {
				f(t, open(t, sim.Options{Target: target, Reverse: reverse}), code)
			})
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func near(t *testing.T, got []float32, want func(i int) float64, relative float64) {
	t.Helper()
	for i, g := range got {
		if w := want(i); math.Abs(float64(g)-w) > relative*(math.Abs(w)+1e-3) {
			t.Fatalf("%d: %v, want %v", i, g, w)
		}
	}
}

func TestVectorAdd(t *testing.T) {
	everywhere(t, func(t *testing.T, d *sim.Device, code []byte) {
		r := rand.New(rand.NewSource(1))
		x, y := singles(r, 512), singles(r, 512)
		c := place(t, d, make([]byte, 2048))
		must(t, run(t, d, code, runtime.Launch{Kernel: "vector_add", Grid: 4, Block: 128, Args: []runtime.Ptr{place(t, d, floats(x...)), place(t, d, floats(y...)), c}}))
		for i, v := range asFloats(read(t, d, c, 2048)) {
			if v != x[i]+y[i] {
				t.Fatalf("%d: %v, want %v", i, v, x[i]+y[i])
			}
		}
		n := d.Counts()["vector_add"]
		if n.Waves != 16 || n.Blocks != 4 || n.Launches != 1 || n.Class[sim.ClassVMEM] != 48 || n.Written != 2048 || n.Read < 4096 {
			t.Errorf("counts: %+v", n)
		}
	})
}

func TestMean(t *testing.T) {
	everywhere(t, func(t *testing.T, d *sim.Device, code []byte) {
		x := singles(rand.New(rand.NewSource(2)), 3*256)
		out := place(t, d, make([]byte, 12))
		must(t, run(t, d, code, runtime.Launch{Kernel: "mean", Grid: 3, Block: 256, Args: []runtime.Ptr{place(t, d, floats(x...)), out}}))
		near(t, asFloats(read(t, d, out, 12)), func(i int) (s float64) {
			for _, v := range x[256*i : 256*i+256] {
				s += float64(v) / 256
			}
			return s
		}, 1e-5)
	})
}

func TestTranspose(t *testing.T) {
	everywhere(t, func(t *testing.T, d *sim.Device, code []byte) {
		x := singles(rand.New(rand.NewSource(3)), 2048)
		out := place(t, d, make([]byte, 8192))
		args := []runtime.Ptr{place(t, d, floats(x...)), out}
		must(t, run(t, d, code, runtime.Launch{Kernel: "transpose", Grid: 2, Block: 256, Args: args}))
		near(t, asFloats(read(t, d, out, 8192)), func(i int) float64 { return float64(x[i&^1023|i&31<<5|i>>5&31]) }, 0)
		fails(t, run(t, d, code, runtime.Launch{Kernel: "transpose_unordered", Grid: 2, Block: 256, Args: args}), "a race: ", "LDS at byte", "since the last barrier", "pc 0x", "ds_")
		fails(t, run(t, d, code, runtime.Launch{Kernel: "transpose_reused", Grid: 1, Block: 256, Args: args}), "a race: ", "since the last barrier", "pc 0x")
		fails(t, run(t, d, code, runtime.Launch{Kernel: "shared_unordered", Grid: 1, Block: 64, Args: args[1:]}), "a race: ", "LDS at byte", "since the last barrier")
	})
}

func TestDot(t *testing.T) {
	everywhere(t, func(t *testing.T, d *sim.Device, code []byte) {
		r := rand.New(rand.NewSource(4))
		a, x := halves(r, 4096)
		b, y := halves(r, 4096)
		c := place(t, d, make([]byte, 128))
		must(t, run(t, d, code, runtime.Launch{Kernel: "dot16", Grid: 1, Block: 32, Args: []runtime.Ptr{place(t, d, a), place(t, d, b), c}}))
		near(t, asFloats(read(t, d, c, 128)), func(l int) (s float64) {
			for i := range 64 {
				for h := range 2 {
					s += x[2*(l+32*i)+h] * y[2*(l+32*i)+h]
				}
			}
			return s
		}, 1e-4)
		if n := d.Counts()["dot16"].Class[sim.ClassDot]; n != 64 {
			t.Errorf("%d dot instructions, want 64", n)
		}
	})
}

func TestMatrix(t *testing.T) {
	everywhere(t, func(t *testing.T, d *sim.Device, code []byte) {
		r := rand.New(rand.NewSource(5))
		a, x := halves(r, 256)
		b, y := halves(r, 256)
		c := place(t, d, make([]byte, 1024))
		args := []runtime.Ptr{place(t, d, a), place(t, d, b), c}
		must(t, run(t, d, code, runtime.Launch{Kernel: "matrix", Grid: 1, Block: 32, Args: args}))
		near(t, asFloats(read(t, d, c, 1024)), func(i int) (s float64) {
			for k := range 16 {
				s += x[i/16*16+k] * y[i%16*16+k]
			}
			return s
		}, 1e-6)
		if n := d.Counts()["matrix"].Class[sim.ClassWMMA]; n != 1 {
			t.Errorf("%d matrix instructions, want 1", n)
		}
		fails(t, run(t, d, code, runtime.Launch{Kernel: "matrix_unequal", Grid: 1, Block: 32, Args: args}), "matrix B", "both halves of a wave", "v_wmma_f32_16x16x16_f16", "pc 0x")
	})
}

func TestTicket(t *testing.T) {
	everywhere(t, func(t *testing.T, d *sim.Device, code []byte) {
		x := singles(rand.New(rand.NewSource(6)), 512)
		part, count, out := place(t, d, make([]byte, 2048)), place(t, d, make([]byte, 4)), place(t, d, make([]byte, 256))
		args := []runtime.Ptr{place(t, d, floats(x...)), part, count, out}
		for range 2 { // the counter is put back
			must(t, run(t, d, code, runtime.Launch{Kernel: "split_sum", Grid: 8, Block: 64, Args: args}))
		}
		near(t, asFloats(read(t, d, out, 256)), func(l int) (s float64) {
			for i := range 8 {
				s += 2 * float64(x[64*i+l])
			}
			return s
		}, 1e-5)
		fails(t, run(t, d, code, runtime.Launch{Kernel: "split_sum_unacquired", Grid: 8, Block: 64, Args: args}), "a race: reads memory", "no atomic and fences between", "global_load")
		must(t, d.Write(count, make([]byte, 4)))
		fails(t, run(t, d, code, runtime.Launch{Kernel: "split_sum_unfenced", Grid: 8, Block: 64, Args: args}), "a race: reads memory")
		must(t, d.Write(count, make([]byte, 4)))
		fails(t, run(t, d, code, runtime.Launch{Kernel: "ticket_unreleased", Grid: 8, Block: 32, Args: args}), "a race: reads memory", "in the same launch")
		fails(t, run(t, d, code, runtime.Launch{Kernel: "blocks_race", Grid: 2, Block: 32, Args: args[3:]}), "a race: ", "in the same launch")
	})
}

func TestHistogram(t *testing.T) {
	everywhere(t, func(t *testing.T, d *sim.Device, code []byte) {
		b := make([]byte, 3*4096)
		rand.New(rand.NewSource(7)).Read(b)
		var want [256]uint32
		for _, c := range b {
			want[c]++
		}
		out := place(t, d, make([]byte, 1024))
		must(t, run(t, d, code, runtime.Launch{Kernel: "histogram", Grid: 3, Block: 256, Args: []runtime.Ptr{place(t, d, b), out}}))
		for i, n := range words(read(t, d, out, 1024)) {
			if n != want[i] {
				t.Fatalf("%d: %d, want %d", i, n, want[i])
			}
		}
	})
}

func TestMixed(t *testing.T) {
	everywhere(t, func(t *testing.T, d *sim.Device, code []byte) {
		r := rand.New(rand.NewSource(8))
		a, x := halves(r, 128)
		var b []byte
		var n []int16
		for range 64 {
			v := int16(r.Intn(1 << 16))
			n, b = append(n, v), binary.LittleEndian.AppendUint16(b, uint16(v))
		}
		c, bf, e := place(t, d, make([]byte, 128)), place(t, d, make([]byte, 128)), place(t, d, make([]byte, 64))
		must(t, run(t, d, code, runtime.Launch{Kernel: "mixed", Grid: 1, Block: 64, Args: []runtime.Ptr{place(t, d, a), place(t, d, b), c, bf, e}}))
		gc, gd, ge := read(t, d, c, 128), read(t, d, bf, 128), read(t, d, e, 64)
		for i := range 64 {
			want := toHalf(float64(n[i]) * 0.125)
			if x[i] > x[i+64] {
				want = toHalf(x[i]*x[i+64] + x[i]) // contracted to one fma
			}
			if got := binary.LittleEndian.Uint16(gc[2*i:]); got != want {
				t.Errorf("%d: %#x, want %#x", i, got, want)
			}
			bits := math.Float32bits(float32(x[i] * x[i+64]))
			if got := binary.LittleEndian.Uint16(gd[2*i:]); got != uint16((bits+0x7fff+bits>>16&1)>>16) {
				t.Errorf("%d: %#x of %#x", i, got, bits)
			}
			s, m := 0, int(n[i]&31)
			for ; m > 1; s++ {
				if m&1 == 1 {
					m = 3*m + 1
				} else {
					m >>= 1
				}
			}
			if int(ge[i]) != s {
				t.Errorf("%d: %d steps, want %d", i, ge[i], s)
			}
		}
	})
}

func TestFaults(t *testing.T) {
	everywhere(t, func(t *testing.T, d *sim.Device, code []byte) {
		a := place(t, d, make([]byte, 256))
		one := func(kernel string, lds int) error {
			return run(t, d, code, runtime.Launch{Kernel: kernel, Grid: 1, Block: 64, LDS: lds, Args: []runtime.Ptr{a}})
		}
		fails(t, one("beyond", 0), "beyond the end of allocation", "wave 1, lane 31", "pc 0x", "global_store_b32")
		must(t, one("shared_beyond", 260))
		fails(t, one("shared_beyond", 256), "beyond the block's 256", "wave 1, lane 31", "ds_store_b32")
		fails(t, one("unwritten", 0), "never written", "lane 5", "global_store_b32")
		fails(t, one("unwritten_branch", 0), "never written", "exec", "0x20")
		m, err := d.Load(code)
		must(t, err)
		g, err := d.Record(m, []runtime.Launch{{Kernel: "vector_add", Grid: 1, Block: 64, Args: []runtime.Ptr{a, a, a}}})
		must(t, err)
		must(t, g.Replay())
		must(t, d.Free(a))
		fails(t, g.Replay(), "was freed", "global_load_b32")
		ro, err := d.Place(make([]byte, 256))
		must(t, err)
		fails(t, run(t, d, code, runtime.Launch{Kernel: "vector_add", Grid: 1, Block: 64, Args: []runtime.Ptr{ro, ro, ro}}), "read-only")
	})
}

// TestScratch: an array that each lane has for itself, indexed at run time.
func TestScratch(t *testing.T) {
	text := `#define KERNEL extern "C" __attribute__((global)) void
#define LANE __builtin_amdgcn_workitem_id_x()
KERNEL keep(int *out, const int *n) {
  int v[200];
  for (int i = 0; i < 200; i++) v[(n[i] * 7) % 200] = i + 1000 * LANE;
  out[LANE] = v[n[LANE + 8]];
}
KERNEL one(int *out, const int *n) { // n[2] is 1, which the compiler doesn't know
  int v[200];
  for (int i = 0; i < n[2]; i++) v[n[i]] = 5;
  out[LANE] = v[n[1]];
}
KERNEL shorts(short *out, const int *n) {
  short v[64];
  for (int i = 0; i < 64; i++) v[(n[i] * 7) % 64] = i - LANE;
  out[LANE] = v[n[LANE]];
}`
	code := build(t, "k.hip", "gfx1100", text, "-x", "hip", "--offload-device-only", "--no-gpu-bundle-output", "--offload-arch=gfx1100", "-nogpulib", "-nogpuinc", "-O3")
	d := open(t, sim.Options{})
	var b []byte
	for i := range 256 {
		b = binary.LittleEndian.AppendUint32(b, uint32(i))
	}
	out, n := place(t, d, make([]byte, 256)), place(t, d, b)
	launch := func(kernel string) error {
		return run(t, d, code, runtime.Launch{Kernel: kernel, Grid: 1, Block: 64, Args: []runtime.Ptr{out, n}})
	}
	must(t, launch("keep"))
	for l, v := range words(read(t, d, out, 256)) {
		if i := v % 1000; v/1000 != uint32(l) || int(i*7%200) != l+8 {
			t.Errorf("lane %d: %d", l, v)
		}
	}
	must(t, launch("shorts"))
	for l := range 64 {
		b := read(t, d, out+runtime.Ptr(2*l), 2)
		if i := int(int16(binary.LittleEndian.Uint16(b))) + l; i < 0 || i*7%64 != l {
			t.Errorf("lane %d: %d", l, i)
		}
	}
	set := func(v ...uint32) {
		t.Helper()
		var b []byte
		for _, x := range v {
			b = binary.LittleEndian.AppendUint32(b, x)
		}
		must(t, d.Write(n, b))
	}
	set(3, 3, 1)
	must(t, launch("one"))
	set(3, 4, 1)
	fails(t, launch("one"), "never written", "global_store_b32")
	set(3, 1<<20, 1)
	fails(t, launch("one"), "beyond the lane's", "scratch_load_b32", "lane 0")
	set(1<<20, 3, 1)
	fails(t, launch("one"), "beyond the lane's", "scratch_store_b32", "lane 0")
}

// TestParallel: without races tracked, blocks run on several threads, and the results are the same.
func TestParallel(t *testing.T) {
	code := hip(t, "kernels.hip", "gfx1100")
	d := open(t, sim.Options{NoRaces: true, Threads: 3})
	x := singles(rand.New(rand.NewSource(6)), 512)
	part, count, out := place(t, d, make([]byte, 2048)), place(t, d, make([]byte, 4)), place(t, d, make([]byte, 256))
	must(t, run(t, d, code, runtime.Launch{Kernel: "vector_add", Grid: 8, Block: 64, Args: []runtime.Ptr{place(t, d, floats(x...)), place(t, d, floats(x...)), part}}))
	near(t, asFloats(read(t, d, part, 2048)), func(i int) float64 { return 2 * float64(x[i]) }, 0)
	_, _ = count, out
}

func TestRefusals(t *testing.T) {
	code := hip(t, "kernels.hip", "gfx1100")
	d := open(t, sim.Options{Target: "gfx1151"})
	_, err := d.Load(code)
	fails(t, err, "is for gfx1100", "runs gfx1151")
	d = open(t, sim.Options{})
	for _, bad := range []string{"", "#!/bin/sh", "\x7fELF and nothing that follows", strings.Repeat("\x7fELF", 100)} {
		if _, err := d.Load([]byte(bad)); err == nil {
			t.Errorf("%.20q was loaded", bad)
		}
	}
	m, err := d.Load(code)
	must(t, err)
	a := place(t, d, make([]byte, 64))
	for _, c := range []struct {
		l    runtime.Launch
		want string
	}{
		{runtime.Launch{Kernel: "none", Grid: 1, Block: 32}, "no kernel none"},
		{runtime.Launch{Kernel: "vector_add", Grid: 1, Block: 32, Args: []runtime.Ptr{a}}, "1 operands, its code takes 3"},
		{runtime.Launch{Kernel: "vector_add", Grid: 0, Block: 32, Args: []runtime.Ptr{a, a, a}}, "blocks, want"},
		{runtime.Launch{Kernel: "vector_add", Grid: 1, Block: 2048, Args: []runtime.Ptr{a, a, a}}, "threads, want"},
		{runtime.Launch{Kernel: "vector_add", Grid: 1, Block: 32, Args: []runtime.Ptr{a, a, 1}}, "in no block of memory"},
		{runtime.Launch{Kernel: "vector_add", Grid: 1, Block: 32, LDS: 1 << 20, Args: []runtime.Ptr{a, a, a}}, "bytes of LDS"},
	} {
		_, err := d.Record(m, []runtime.Launch{c.l})
		fails(t, err, c.want)
	}
	_, err = d.Record(m, nil)
	fails(t, err, "nothing to record")
	must(t, m.Close())
	_, err = d.Record(m, []runtime.Launch{{Kernel: "vector_add", Grid: 1, Block: 32, Args: []runtime.Ptr{a, a, a}}})
	fails(t, err, "isn't one that this device has loaded")
	_, err = sim.Open(sim.Options{Target: "gfx906"})
	fails(t, err, "gfx906")
}
