package sim_test

import (
	"encoding/binary"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hipc/runtime"
	"hipc/runtime/sim"
)

// clang finds a compiler for the target, and llvm-objdump; the test skips where there is none.
func clang(t testing.TB) string {
	t.Helper()
	if _, err := sim.Disassembler(); err != nil {
		t.Skip(err)
	}
	for _, name := range []string{"clang++-22", "clang++-21", "clang++-20", "clang++-19", "/opt/rocm/llvm/bin/clang++"} {
		if p, err := exec.LookPath(name); err == nil {
			return p
		}
	}
	t.Skip("no clang++ (19 or newer) with which to compile for gfx11: install clang-22 and lld-22")
	return ""
}

func build(t testing.TB, file, target, text string, args ...string) []byte {
	t.Helper()
	cc := clang(t)
	dir := t.TempDir()
	in, out := filepath.Join(dir, file), filepath.Join(dir, "k.hsaco")
	if err := os.WriteFile(in, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := exec.Command(cc, append(args, in, "-o", out)...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", file, err, b)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// hip compiles a kernel file of tests/testdata/sim.
func hip(t testing.TB, name, target string, args ...string) []byte {
	t.Helper()
	key := strings.Join(append([]string{name, target}, args...), " ")
	if b := objects[key]; b != nil {
		return b
	}
	text, err := os.ReadFile(filepath.Join("../../tests/testdata/sim", name))
	if err != nil {
		t.Fatal(err)
	}
	objects[key] = build(t, name, target, string(text), append([]string{"-x", "hip", "--offload-device-only", "--no-gpu-bundle-output", "--offload-arch=" + target,
		"-nogpulib", "-nogpuinc", "-O3"}, args...)...)
	return objects[key]
}

// objects are those that are compiled already.
var objects = map[string][]byte{}

func open(t testing.TB, o sim.Options) *sim.Device {
	t.Helper()
	d, err := sim.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d.(*sim.Device)
}

// place allocates memory that holds b.
func place(t testing.TB, d *sim.Device, b []byte) runtime.Ptr {
	t.Helper()
	p, err := d.Alloc(int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Write(p, b); err != nil {
		t.Fatal(err)
	}
	return p
}

func read(t testing.TB, d *sim.Device, p runtime.Ptr, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if err := d.Read(b, p); err != nil {
		t.Fatal(err)
	}
	return b
}

func floats(v ...float32) []byte {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

func words(b []byte) []uint32 {
	v := make([]uint32, len(b)/4)
	for i := range v {
		v[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return v
}

func asFloats(b []byte) []float32 {
	v := make([]float32, len(b)/4)
	for i, w := range words(b) {
		v[i] = math.Float32frombits(w)
	}
	return v
}

// run records and replays one launch.
func run(t testing.TB, d *sim.Device, code []byte, l runtime.Launch) error {
	t.Helper()
	m, err := d.Load(code)
	if err != nil {
		t.Fatal(err)
	}
	g, err := d.Record(m, []runtime.Launch{l})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	return g.Replay()
}

// fails wants an error with all the parts.
func fails(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q, want %q in it", err, p)
		}
	}
}
