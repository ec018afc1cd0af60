package kernels

import (
	"math"
	"testing"

	"hipc/kernels/times"
)

func launch(t *testing.T, target, op, types string, d Dims) []Step {
	t.Helper()
	n := node(op, types)
	c, err := Find(target, n, d)
	if err != nil {
		t.Fatal(err)
	}
	return []Step{{n, c, d.T}}
}

// TestBound: what a launch is bound by, worked out by hand for gfx1100: 960 GB/s, 123 Tflop/s, 96 units, 4 µs a launch.
func TestBound(t *testing.T) {
	m := Machines["gfx1100"]
	for _, c := range []struct {
		name, op, types string
		rows, grid, pos int
		want            Bound
		micros          float64
	}{
		// 2048·8192·2 bytes are 35 µs; 128 blocks keep 96 units busy.
		{"a product", "matmul", "act[8192] bf16[2048,8192] -> act[2048]", 1, 128, 0, Memory, 33595392.0/960e3 + 4},
		{"the same of many rows", "matmul", "act[2048] bf16[8192,2048] -> act[8192]", 512, 4096, 0, Matrix, 2*512*2048*8192.0/123e6 + 4},
		{"a norm", "rmsnorm", "act[2048] f32[2048] 1e-5 -> act[2048]", 1, 1, 0, Launch, 24576.0/960e3*96 + 4},
		{"a wide norm in one block", "rmsnorm", "act[65536] f32[65536] 1e-5 -> act[65536]", 1, 1, 0, Latency, 786432.0/960e3*96 + 4},
		// 4096 positions of K and V, 8 heads of 64 halves, are 8 MiB beside 16 KiB of q and y.
		{"attention", "attend_kv", "act[32,64] kv[8,64] 0.125 0 -> act[32,64]", 1, 32, 4096, Latency, (16384+8388608)/960e3*3 + 4},
		{"attention at the start", "attend_kv", "act[32,64] kv[8,64] 0.125 0 -> act[32,64]", 1, 32, 0, Launch, 16384/960e3*3 + 4},
		{"attention through a window", "attend_kv", "act[32,64] kv[8,64] 0.125 128 -> act[32,64]", 1, 32, 4096, Launch, (16384+262144)/960e3*3 + 4},
	} {
		e := m.Estimate([]Step{{node(c.op, c.types), &Choice{Grid: c.grid}, c.rows}}, c.pos)
		if e.Bound != c.want || math.Abs(e.Seconds*1e6-c.micros) > 1e-3*c.micros || e.Measured != nil {
			t.Errorf("%s: %.3f µs bound by %s, %d bytes, %d operations, filled %.2f; want %.3f µs bound by %s", c.name, e.Seconds*1e6, e.Bound, e.Bytes, e.Flops, e.Fill, c.micros, c.want)
		}
	}
}

// TestMeasured: a time in the table goes before a prediction, for that kernel, shape and grid alone; the position counts
// only where the context is read.
func TestMeasured(t *testing.T) {
	d := Dims{T: 1, S: 1, C: 8192, P: 64}
	product := launch(t, "gfx1100", "matmul", "act[2048] bf16[512,2048] -> act[512]", d)
	attend := launch(t, "gfx1100", "attend_kv", "act[32,64] kv[8,64] 0.125 0 -> act[32,64]", d)
	p := &PriceList{Machines["gfx1100"], map[times.Key]times.Time{}}
	for _, l := range [][]Step{product, attend} {
		k := times.Key{Inst: l[0].Choice.Inst, Shape: "1x1@0", Grid: l[0].Choice.Grid}
		p.Times[k] = times.Time{Key: k, Median: 2.5, Date: "2026-11-23", Device: "a card"}
	}
	if c, want := p.Launch(p.Load(product[0])), p.Machine.Launch(p.Machine.Load(product[0])); c != want {
		t.Errorf("a plan is made with %v s for a measured product, want the predicted %v", c, want)
	}
	if e := p.Estimate(product, 4096); e.Measured == nil || math.Abs(e.Seconds-2.5e-6) > 1e-12 {
		t.Errorf("a product at another position: %+v", e)
	}
	if e := p.Estimate(attend, 0); e.Measured == nil {
		t.Errorf("attention where it was measured: %+v", e)
	}
	more := p.Machine.Estimate(attend, 4096).Seconds - p.Machine.Estimate(attend, 0).Seconds
	if e := p.Estimate(attend, 4096); e.Measured != nil || more <= 0 || math.Abs(e.Seconds-(2.5e-6+more)) > 1e-12 {
		t.Errorf("attention elsewhere: %+v, want %.3f µs more than was measured where there's no context", e, more*1e6)
	}
	if e := p.Estimate(append(product, product...), 0); e.Measured != nil {
		t.Errorf("two products have the time of one: %+v", e)
	}
	for target := range Machines {
		if _, err := Prices(target); err != nil {
			t.Errorf("%s: %v", target, err)
		}
	}
	if _, err := Prices("gfx9000"); err == nil {
		t.Error("a target that nobody knows has prices")
	}
}
