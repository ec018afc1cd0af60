package runtime_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"hipc/runtime"
	"hipc/runtime/cpu"
	toy "hipc/runtime/runtimetest"
)

// A queued device is a cpu with a queue as a card has one: what is begun runs at once, but its result comes later. It counts what the host
// does meanwhile.
type queued struct {
	runtime.Device
	writes, reads, deepest int
	begun, failing         int // replays; the one that fails, if it isn't 0
}

func (d *queued) Write(to runtime.Ptr, b []byte) error  { d.writes++; return d.Device.Write(to, b) }
func (d *queued) Read(b []byte, from runtime.Ptr) error { d.reads++; return d.Device.Read(b, from) }
func (d *queued) Record(code runtime.Module, steps []runtime.Launch) (runtime.Graph, error) {
	g, err := d.Device.Record(code, steps)
	return &queue{g, d, nil}, err
}

type queue struct {
	runtime.Graph
	d       *queued
	results []int32
}

func (q *queue) Queue(result runtime.Ptr) error {
	if q.d.begun++; q.d.begun == q.d.failing {
		return errors.New("it fell off the bus")
	}
	if err := q.Replay(); err != nil {
		return err
	}
	b := make([]byte, 4)
	err := q.d.Device.Read(b, result)
	q.results = append(q.results, int32(binary.LittleEndian.Uint32(b)))
	q.d.deepest = max(q.d.deepest, len(q.results))
	return err
}

func (q *queue) Result() (int32, error) {
	r := q.results[0]
	q.results = q.results[1:]
	return r, nil
}

// TestBehind: on a device with a queue the host is one token behind, and neither writes nor reads the device per token; it gets the same
// tokens, also when it stops at any of them and goes on.
func TestBehind(t *testing.T) {
	d := &queued{}
	m, err := runtime.Open(toy.Write(t, nil), runtime.Options{Device: func(string) (runtime.Device, error) {
		var err error
		d.Device, err = cpu.Open(cpu.Options{Threads: 1})
		return d, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ids := someIds(7, 1)
	want, gap := toy.Greedy(ids, toy.Context-len(ids)+1)
	if gap < 1e-4 {
		t.Fatalf("the toy decides by %g: choose other ids", gap)
	}
	for _, stop := range []int{0, 1, 2, 20, len(want)} { // after so many tokens each has enough; 0: never, n says it
		n := len(want)
		if _, err := m.Keep(nil); err != nil {
			t.Fatal(err)
		}
		if err := m.Feed(t.Context(), ids[:6]); err != nil {
			t.Fatal(err)
		}
		if stop == 0 {
			n, stop = 20, 100
		}
		var got []int32
		d.writes, d.reads, d.deepest = 0, 0, 0
		if err := m.Decode(ids[6], n, false, func(id int32) bool { got = append(got, id); return len(got) < stop }); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want[:min(n, stop)]) {
			t.Errorf("%d tokens, enough after %d: %v, want %v", n, stop, got, want)
		}
		if d.writes > 3 || d.reads > 0 || d.deepest > 2 {
			t.Errorf("%d tokens: %d writes, %d reads, %d replays queued; want 3 writes, none, 2", len(got), d.writes, d.reads, d.deepest)
		}
		if over := m.Len() - 6 - len(got); over < 0 || over > 1 {
			t.Errorf("%d tokens after 6: the sequence has %d", len(got), m.Len())
		}
		at := min(stop, n)
		if at == len(want) {
			continue // it's full
		}
		if kept, err := m.Keep(slices.Concat(ids, got)[:6+at]); err != nil || kept != 6+at {
			t.Fatalf("kept %d of %d, %v", kept, 6+at, err)
		}
		if next, err := m.Next(got[len(got)-1]); err != nil || next != want[at] {
			t.Errorf("going on after %d: %d, %v, want %d", at, next, err, want[at])
		}
	}
}

// TestLost: after an error of the device, with a replay queued or without, nobody knows what its state is: nothing else is asked of it, though
// it would answer.
func TestLost(t *testing.T) {
	for failing := 1; failing <= 3; failing++ {
		d := &queued{failing: failing}
		m, err := runtime.Open(toy.Write(t, nil), runtime.Options{Device: func(string) (runtime.Device, error) {
			var err error
			d.Device, err = cpu.Open(cpu.Options{Threads: 1})
			return d, err
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		first := m.Decode(1, 5, false, func(int32) bool { return true })
		var device *runtime.DeviceError
		if !errors.As(first, &device) || first.Error() != "it fell off the bus" {
			t.Errorf("replay %d fails: %v", failing, first)
		}
		_, kept := m.Keep(nil)
		_, next := m.Next(1)
		for i, err := range []error{kept, next, m.Feed(t.Context(), []int32{1}), m.Sample(runtime.Sampling{}), m.Logits(t.Context(), []int32{1}, nil)} {
			if !errors.Is(err, first) {
				t.Errorf("replay %d has failed, call %d after it: %v", failing, i, err)
			}
		}
	}
}
