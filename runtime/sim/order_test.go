package sim_test

import (
	"encoding/binary"
	"testing"

	"hipc/runtime"
	"hipc/runtime/sim"
)

func TestNeighbours(t *testing.T) {
	everywhere(t, func(t *testing.T, d *sim.Device, code []byte) {
		h, b := place(t, d, make([]byte, 16)), place(t, d, make([]byte, 8))
		args := []runtime.Ptr{h, b}
		for range 2 {
			must(t, run(t, d, code, runtime.Launch{Kernel: "neighbours", Grid: 8, Block: 32, Args: args}))
		}
		gh, gb := read(t, d, h, 16), read(t, d, b, 8)
		for i := range 8 {
			if v := half(binary.LittleEndian.Uint16(gh[2*i:])); v != 3 || int(gb[i]) != 2*i {
				t.Errorf("%d: %v, %d", i, v, gb[i])
			}
		}
		fails(t, run(t, d, code, runtime.Launch{Kernel: "neighbours_race", Grid: 8, Block: 32, Args: args}), "a race: ", "in the same launch")
	})
}

func TestThroughMemory(t *testing.T) {
	everywhere(t, func(t *testing.T, d *sim.Device, code []byte) {
		a := place(t, d, make([]byte, 512))
		must(t, run(t, d, code, runtime.Launch{Kernel: "through_memory", Grid: 1, Block: 64, Args: []runtime.Ptr{a}}))
		for i, v := range words(read(t, d, a, 256)) {
			if int(v) != (i^32)*3+1 {
				t.Errorf("%d: %d", i, v)
			}
		}
		fails(t, run(t, d, code, runtime.Launch{Kernel: "through_memory_unordered", Grid: 1, Block: 64, Args: []runtime.Ptr{a}}), "a race: ", "since the last barrier")
	})
}

func TestLookup(t *testing.T) {
	everywhere(t, func(t *testing.T, d *sim.Device, code []byte) {
		var b []byte
		for i := range 32 {
			b = binary.LittleEndian.AppendUint32(b, uint32(i*5))
		}
		a := place(t, d, make([]byte, 128))
		must(t, run(t, d, code, runtime.Launch{Kernel: "lookup", Grid: 1, Block: 32, Args: []runtime.Ptr{place(t, d, b), a}}))
		for i, v := range words(read(t, d, a, 128)) {
			if v != []uint32{3, 1, 4, 1, 5, 9, 2, 6}[i*5&7] {
				t.Errorf("%d: %d", i, v)
			}
		}
	})
}

// TestForms: the same kernels as other options of the compiler make them. Older object versions read sizes from the queue's
// packet, newer ones from hidden arguments.
func TestForms(t *testing.T) {
	for _, args := range [][]string{{"-mcode-object-version=4"}, {"-mcode-object-version=5"}, {"-mcode-object-version=6"}, {"-mcumode"}, {"-O1"}, {"-fgpu-flush-denormals-to-zero"},
		{"-Xclang", "-target-feature", "-Xclang", "-real-true16"}} {
		code := hip(t, "kernels.hip", "gfx1100", args...)
		d := open(t, sim.Options{})
		m, err := d.Load(code)
		if err != nil {
			t.Errorf("%s: %v", args, err)
			continue
		}
		a := place(t, d, make([]byte, 4*12*10*6))
		arg := binary.LittleEndian.AppendUint64(nil, uint64(a))
		if err := d.Dispatch(m, sim.Dispatch{Kernel: "places", Grid: [3]int{3, 2, 2}, Block: [3]int{4, 5, 3}, Kernarg: arg}); err != nil {
			t.Errorf("%s: %v", args, err)
			continue
		}
		for i, v := range words(read(t, d, a, 4*12*10*6)) {
			if want := i%12 | i/12%10<<8 | i/120<<16; int(v) != want {
				t.Fatalf("%s: %d: %#x, want %#x", args, i, v, want)
			}
		}
		x := make([]float32, 256)
		for i := range x {
			x[i] = float32(i)
		}
		out := place(t, d, make([]byte, 4))
		if err := run(t, d, code, runtime.Launch{Kernel: "mean", Grid: 1, Block: 256, Args: []runtime.Ptr{place(t, d, floats(x...)), out}}); err != nil {
			t.Errorf("%s: %v", args, err)
		}
		if v := asFloats(read(t, d, out, 4))[0]; v != 127.5 {
			t.Errorf("%s: the mean is %v", args, v)
		}
	}
}

// TestMemory: what the host does.
func TestMemory(t *testing.T) {
	d := open(t, sim.Options{Memory: 1 << 20})
	_, err := d.Alloc(0)
	fails(t, err, "want at least 1")
	_, err = d.Alloc(2 << 20)
	fails(t, err, "asked for", "free")
	p, err := d.Alloc(4096)
	must(t, err)
	q, err := d.Place([]byte("read-only"))
	must(t, err)
	if p>>40 == 0 || p%4096 != 0 || d.Info().Counted != 4096+9 {
		t.Errorf("%#x, %+v", uint64(p), d.Info())
	}
	fails(t, d.Write(q, []byte{1}), "read-only")
	fails(t, d.Write(p.Add(4095), []byte{1, 2}), "beyond the end")
	fails(t, d.Read(make([]byte, 1), 4096), "in no allocation")
	must(t, d.Copy(p, q, 9))
	if s := string(read(t, d, p, 9)); s != "read-only" {
		t.Error(s)
	}
	fails(t, d.Free(p.Add(1)), "isn't the start")
	must(t, d.Free(p))
	fails(t, d.Free(p), "isn't the start")
	fails(t, d.Read(make([]byte, 1), p), "was freed")
	if d.Info().Counted != 9 {
		t.Errorf("%+v", d.Info())
	}
}
