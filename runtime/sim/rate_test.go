package sim_test

import (
	"testing"

	"hipc/runtime"
	"hipc/runtime/sim"
)

// BenchmarkRate says how many wave-instructions a second one core executes, with all checks and without races.
func BenchmarkRate(b *testing.B) {
	code := hip(b, "kernels.hip", "gfx1100")
	for _, o := range []struct {
		name string
		opts sim.Options
	}{{"checked", sim.Options{}}, {"no_races", sim.Options{NoRaces: true, Threads: 1}}} {
		for _, k := range []string{"mean", "transpose", "dot16", "busy", "matrix_loop"} {
			b.Run(k+"/"+o.name, func(b *testing.B) {
				d := open(b, o.opts)
				m, err := d.Load(code)
				if err != nil {
					b.Fatal(err)
				}
				x := make([]float32, 1<<16)
				p, q, r := place(b, d, floats(x...)), place(b, d, floats(x...)), place(b, d, floats(x...))
				l := runtime.Launch{Kernel: k, Grid: 16, Block: 256, Args: []runtime.Ptr{p, q}}
				if k == "dot16" || k == "busy" || k == "matrix_loop" {
					l.Grid, l.Block, l.Args = 1, 32, []runtime.Ptr{p, q, r}
				}
				g, err := d.Record(m, []runtime.Launch{l})
				if err != nil {
					b.Fatal(err)
				}
				for b.Loop() {
					if err := g.Replay(); err != nil {
						b.Fatal(err)
					}
				}
				c := d.Counts()[k]
				b.ReportMetric(float64(c.Instructions())/b.Elapsed().Seconds()/1e6, "Minst/s")
			})
		}
	}
}
