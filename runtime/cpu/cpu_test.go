package cpu_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hipc/runtime"
	"hipc/runtime/cpu"
	"hipc/runtime/runtimetest"
)

func open(t *testing.T, opts cpu.Options) runtime.Device {
	t.Helper()
	d, err := cpu.Open(opts)
	if err != nil {
		t.Fatal(err)
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

func TestMemory(t *testing.T) {
	d := open(t, cpu.Options{Memory: 8 << 20})
	if i := d.Info(); i.Total != 8<<20 || i.Free != 8<<20 || i.Threads < 1 || i.Name == "" {
		t.Errorf("%+v", i)
	}
	a, err := d.Alloc(5 << 20)
	if err != nil {
		t.Fatal(err)
	}
	got := bytes.Repeat([]byte{1}, 4096)
	if err := d.Read(got, a.Add(5<<20-4096)); err != nil || !bytes.Equal(got, make([]byte, 4096)) {
		t.Errorf("new memory isn't zero, %v", err)
	}
	_, err = d.Alloc(4 << 20)
	wants(t, err, "4.0 MiB of memory asked for, 3.0 MiB are free")
	_, err = d.Alloc(0)
	wants(t, err, "at least 1")

	if err := d.Write(a.Add(10), []byte("hello")); err != nil {
		t.Error(err)
	}
	if err := d.Copy(a.Add(100), a.Add(10), 5); err != nil {
		t.Error(err)
	}
	if err := d.Read(got[:5], a.Add(100)); err != nil || string(got[:5]) != "hello" {
		t.Errorf("%q, %v", got[:5], err)
	}
	wants(t, d.Write(a.Add(5<<20-2), []byte("abc")), "3 bytes at 5242878 of a block that has 5242880")
	wants(t, d.Read(got, a.Add(-1)), "in no block")
	wants(t, d.Copy(a, a.Add(5<<20), 1), "in no block")
	wants(t, d.Copy(a, a, -1), "-1 bytes")
	wants(t, d.Free(a.Add(4096)), "isn't the start")
	if err := d.Free(a); err != nil {
		t.Error(err)
	}
	wants(t, d.Free(a), "isn't the start")
	wants(t, d.Read(got, a), "in no block")
}

func TestPlace(t *testing.T) {
	d := open(t, cpu.Options{})
	// A block of the device's own stands for a mapped file: it begins at a page.
	b := make([]byte, 3*4096)
	at := 0
	var p runtime.Ptr
	for err := os.ErrInvalid; err != nil; at++ {
		p, err = d.Place(b[at : at+4096])
	}
	b[at-1] = 7
	got := []byte{0}
	if err := d.Read(got, p); err != nil || got[0] != 7 {
		t.Errorf("%v, %v: placed bytes are used where they lie", got, err)
	}
	wants(t, d.Write(p, got), "read-only")
	_, err := d.Place(b[at-1 : at+4095])
	wants(t, err, "placed already")
	_, err = d.Place(nil)
	wants(t, err, "no bytes")
	if n := d.Info().Counted; n != 4096 {
		t.Errorf("%d bytes counted", n)
	}
}

func TestThreads(t *testing.T) {
	if n := cpu.Cores(); n < 1 || n > 4096 {
		t.Errorf("%d cores", n)
	}
	for _, n := range []int{-1, 1025} {
		_, err := cpu.Open(cpu.Options{Threads: n})
		wants(t, err, "want 1 to 1024")
	}
}

func TestLoadRefuses(t *testing.T) {
	d := open(t, cpu.Options{Threads: 1})
	_, err := d.Load([]byte("#!/bin/sh"))
	wants(t, err, "no shared object")
	_, err = d.Load([]byte("\x7fELF and nothing that follows"))
	wants(t, err, "loading: ")
	libc, err := filepath.Glob("/lib/x86_64-linux-gnu/libm.so.6")
	if err != nil || len(libc) == 0 {
		t.Skip("no libm.so.6 to load")
	}
	b, err := os.ReadFile(libc[0])
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Load(b)
	wants(t, err, "it has no hipc_")
}

// TestReplay runs one kernel on blocks of memory, with each number of threads, and holds it against itself in order.
func TestReplay(t *testing.T) {
	code := runtimetest.Object(t)
	for _, threads := range []int{1, 2, 5} {
		d := open(t, cpu.Options{Threads: threads})
		m, err := d.Load(code)
		if err != nil {
			t.Fatal(err)
		}
		a, err := d.Alloc(1 << 16)
		if err != nil {
			t.Fatal(err)
		}
		// toy_argmax writes the index of the greatest of 48 floats: one step reads what the step before wrote.
		if err := d.Write(a.Add(4*31), []byte{0, 0, 128, 63}); err != nil { // 1.0
			t.Fatal(err)
		}
		steps := []runtime.Launch{
			{Kernel: "toy_argmax", Grid: 1, Block: 1, Args: []runtime.Ptr{a, a.Add(12288), a.Add(4096)}},
			{Kernel: "toy_argmax", Grid: 1, Block: 1, Args: []runtime.Ptr{a, a.Add(12288), a.Add(8192)}},
		}
		g, err := d.Record(m, steps)
		if err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			if err := g.Replay(); err != nil {
				t.Fatal(err)
			}
		}
		got := make([]byte, 4)
		if err := d.Read(got, a.Add(8192)); err != nil || got[0] != 31 {
			t.Errorf("%d threads: %v, %v", threads, got, err)
		}
		if n := testing.AllocsPerRun(100, func() { g.Replay() }); n != 0 {
			t.Errorf("%d threads: %v allocations a replay", threads, n)
		}
		times, err := g.Time()
		if err != nil || len(times) != 2 || times[0] < 0 || times[0] > time.Second {
			t.Errorf("times %v, %v", times, err)
		}
		_, err = d.Record(m, []runtime.Launch{{Kernel: "toy_none", Grid: 1}})
		wants(t, err, "no kernel toy_none")
		_, err = d.Record(m, []runtime.Launch{{Kernel: "toy_argmax", Grid: 0}})
		wants(t, err, "0 blocks")
		_, err = d.Record(m, []runtime.Launch{{Kernel: "toy_argmax", Grid: 1, Args: []runtime.Ptr{1}}})
		wants(t, err, "in no block")
		_, err = d.Record(m, nil)
		wants(t, err, "nothing to record")
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		_, err = d.Record(m, steps)
		wants(t, err, "isn't one that this device has loaded")
	}
}
