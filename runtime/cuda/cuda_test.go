package cuda

import (
	"bytes"
	"strings"
	"testing"

	"hipc/runtime"
	"hipc/runtime/gpu"
)

// card opens the first card, or skips.
func card(t *testing.T, o gpu.Options) runtime.Device {
	t.Helper()
	d, err := Open(o)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if n := d.Info().Counted; n != 0 {
			t.Errorf("%d bytes are counted after Close", n)
		}
	})
	return d
}

func wants(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v, want one line with %q", err, text)
	}
}

func TestNoDriver(t *testing.T) {
	before := driver.Libraries
	defer func() { driver.Libraries = before }()
	driver.Libraries = []string{"libhipc-absent.so.1"}
	_, err := Open(gpu.Options{})
	wants(t, err, "no NVIDIA driver: libhipc-absent.so.1 isn't there")
	driver.Libraries = []string{"libc.so.6"} // a library that has no such calls
	_, err = Open(gpu.Options{})
	wants(t, err, "libc.so.6 has no cuInit")
}

const twice = `//
.version 8.0
.target sm_90
.address_size 64

	// .globl	twice
.visible .entry twice(
	.param .u64 .ptr .align 1 twice_param_0,
	.param .u64 .ptr .align 1 twice_param_1
)
.maxntid 32
{
	.reg .b32 	%r<4>;
	.reg .b64 	%rd<8>;
	ld.param.b64 	%rd1, [twice_param_0];
	ld.param.b64 	%rd2, [twice_param_1];
	mov.u32 	%r1, %tid.x;
	mul.wide.u32 	%rd3, %r1, 4;
	add.s64 	%rd4, %rd1, %rd3;
	add.s64 	%rd5, %rd2, %rd3;
	ld.b32 	%r2, [%rd4];
	add.s32 	%r3, %r2, %r2;
	st.b32 	[%rd5], %r3;
	ret;
}
.visible .entry nothing()
{
	ret;
}
`

func TestParsePTX(t *testing.T) {
	c, err := parsePTX([]byte(twice))
	if err != nil || c.Target != "sm_90" || c.Kernels["twice"] != 2 || len(c.Kernels) != 2 || c.Kernels["nothing"] != 0 {
		t.Errorf("%v, %v", c, err)
	}
	for _, text := range []string{"", "\x7fELF", ".target sm_90\n", ".visible .entry k(\n.param .u64 a\n)\n"} {
		_, err := parsePTX([]byte(text))
		wants(t, err, "no PTX of hipc")
	}
	for _, param := range []string{".param .align 8 .b8 twice_param_1[64]", ".param .u32 twice_param_1"} {
		_, err := parsePTX([]byte(strings.Replace(twice, ".param .u64 .ptr .align 1 twice_param_1", param, 1)))
		wants(t, err, "kernel twice: its parameter 1 is "+param+", want a pointer")
	}
}

func TestVersion(t *testing.T) {
	l := &gpu.Library{Driver: &driver, Name: "libcuda.so.1"}
	if err := fits(l, 12000); err != nil {
		t.Error(err)
	}
	wants(t, fits(l, 11080), "libcuda.so.1 is of CUDA 11.8, want that of CUDA 12 or newer: install a newer driver")
}

func TestMemory(t *testing.T) {
	d := card(t, gpu.Options{Memory: 8 << 20})
	a, err := d.Alloc(5 << 20)
	if err != nil {
		t.Fatal(err)
	}
	if a%4096 != 0 {
		t.Errorf("memory at %#x", uint64(a))
	}
	got := bytes.Repeat([]byte{1}, 4096)
	if err := d.Read(got, a.Add(5<<20-4096)); err != nil || !bytes.Equal(got, make([]byte, 4096)) {
		t.Errorf("new memory isn't zero, %v", err)
	}
	_, err = d.Alloc(4 << 20)
	wants(t, err, "4.0 MiB of memory asked for, 3.0 MiB are free")
	_, err = d.Alloc(0)
	wants(t, err, "at least 1")
	wants(t, d.Write(a.Add(5<<20-1), []byte("ab")), "2 bytes at 5242879 of a block that has 5242880")
	b, err := d.Place(bytes.Repeat([]byte{7}, 4096))
	if err != nil {
		t.Fatal(err)
	}
	wants(t, d.Write(b, []byte{1}), "read-only")
	if err := d.Copy(a, b, 4096); err != nil {
		t.Error(err)
	}
	if err := d.Read(got, a); err != nil || got[4095] != 7 {
		t.Errorf("copied: %d, %v", got[4095], err)
	}
	wants(t, d.Free(a.Add(1)), "isn't the start")
}

// A graph and its eager twin do the same, in order, and a replay sees what was written before it.
func TestGraph(t *testing.T) {
	for _, eager := range []bool{false, true} {
		d := card(t, gpu.Options{Eager: eager})
		if d.Info().Targets[0] != "sm_90" {
			t.Skipf("%s is %s, the test's code is for sm_90", d.Info().Name, d.Info().Targets[0])
		}
		m, err := d.Load([]byte(twice))
		if err != nil {
			t.Fatal(err)
		}
		x, err := d.Alloc(128)
		if err != nil {
			t.Fatal(err)
		}
		step := runtime.Launch{Kernel: "twice", Grid: 1, Block: 32, Args: []runtime.Ptr{x, x}}
		g, err := d.Record(m, []runtime.Launch{step, step, step})
		if err != nil {
			t.Fatal(err)
		}
		for i := range byte(20) {
			if err := d.Write(x, bytes.Repeat([]byte{i, 0, 0, 0}, 32)); err != nil {
				t.Fatal(err)
			}
			if err := g.Replay(); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 128)
			if err := d.Read(got, x); err != nil || !bytes.Equal(got, bytes.Repeat([]byte{8 * i, 0, 0, 0}, 32)) {
				t.Fatalf("%d eightfold is %d, %v", i, got[0], err)
			}
		}
		if times, err := g.Time(); err != nil || len(times) != 3 || times[0] <= 0 {
			t.Errorf("%v, %v", times, err)
		}
		_, err = d.Load([]byte(strings.Replace(twice, "mul.wide", "mul.wild", 1)))
		wants(t, err, "cuModuleLoadDataEx: CUDA_ERROR_INVALID_PTX")
		_, err = d.Load([]byte(strings.Replace(twice, "sm_90", "sm_86", 1)))
		wants(t, err, "code for sm_86")
	}
}
