package sim_test

import (
	"encoding/binary"
	"math"
	"math/rand"
	"path/filepath"
	"testing"

	"hipc/runtime"
	"hipc/runtime/sim"
)

// TestMatrixOperands multiplies by each way in which the templates make operands of the matrix units.
func TestMatrixOperands(t *testing.T) {
	folder, err := filepath.Abs("../../kernels/templates/gpu")
	must(t, err)
	brains := func(r *rand.Rand, n int) (b []byte, v []float64) {
		for range n {
			w := math.Float32bits(float32(r.NormFloat64())) & 0xffff0000
			b = binary.LittleEndian.AppendUint16(b, uint16(w>>16))
			v = append(v, float64(math.Float32frombits(w)))
		}
		return b, v
	}
	for _, target := range []string{"gfx1100", "gfx1151"} {
		code := hip(t, "products.hip", target, "-std=c++17", "-I"+folder)
		for _, of := range []struct {
			kernel string
			values func(*rand.Rand, int) ([]byte, []float64)
			last   float64 // of the product whose operand is a sum, rounded
		}{{"products_f16", halves, 1e-3}, {"products_bf16", brains, 8e-3}} {
			d := open(t, sim.Options{Target: target})
			r := rand.New(rand.NewSource(1))
			ab, a := of.values(r, 16*32)
			bb, b := of.values(r, 16*32)
			cb, c := of.values(r, 32*16)
			const results = 6
			y := place(t, d, make([]byte, results*1024))
			must(t, run(t, d, code, runtime.Launch{Kernel: of.kernel, Grid: 1, Block: 32, Args: []runtime.Ptr{place(t, d, ab), place(t, d, bb), place(t, d, cb), y}}))
			got := asFloats(read(t, d, y, results*1024))
			product := make([]float64, 256)
			for i := range product {
				for k := range 32 {
					product[i] += a[i/16*32+k] * b[i%16*32+k]
				}
			}
			near(t, got[:256], func(i int) float64 { return product[i] }, 1e-5)
			near(t, got[256:512], func(i int) (s float64) {
				for k := range 32 {
					s += a[i/16*32+k] * c[k*16+i%16]
				}
				return s
			}, 1e-5)
			near(t, got[512:768], func(i int) float64 { return product[i] }, 1e-5)
			near(t, got[768:1024], func(i int) float64 { return product[i] }, 1e-5)
			for i := range 256 {
				got[1024+i] += 100 // a sum near 0 may be far off, relatively
			}
			near(t, got[1024:1280], func(i int) float64 {
				s := 100.0
				for k := range 16 {
					s += product[i/16*16+k] * b[i%16*32+k]
				}
				return s
			}, of.last)
			near(t, got[1280:], func(i int) (s float64) {
				for _, x := range product[i/16*16 : i/16*16+16] {
					s += x
				}
				return s
			}, 1e-3)
		}
	}
}
