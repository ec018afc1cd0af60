package sim

import (
	"math/rand/v2"
	"testing"
)

// TestWhole: an instruction does the same to a whole register as to lane by lane.
func TestWhole(t *testing.T) {
	telling := []uint32{0, 1, 31, 32, 0x7fffffff, 0x80000000, all, 0x3f800000, 0x7f800000, 0xff800000, 0x7fc00001, 0x00000001, 0x007fffff, 0x00800000, 0x7f7fffff, 0x33800000, 0x3f800001}
	r := rand.New(rand.NewPCG(1, 2))
	n := 0
	for name, op := range vops {
		if op.whole == nil {
			continue
		}
		n++
		for range 2000 {
			var d, a, b, c reg
			for _, x := range []*reg{&a, &b, &c} {
				for i := range x {
					if x[i] = r.Uint32(); r.IntN(3) == 0 {
						x[i] = telling[r.IntN(len(telling))]
					}
				}
			}
			op.whole(&d, &a, &b, &c)
			for i := range d {
				if want := op.lane(a[i], b[i], c[i]); d[i] != want && quiet(d[i]) != quiet(want) {
					t.Fatalf("%s of %#x, %#x, %#x: %#x, want %#x", name, a[i], b[i], c[i], d[i], want)
				}
			}
		}
	}
	if n < 25 {
		t.Errorf("%d instructions are there for whole registers", n)
	}
}

// TestFMA: rounding once, where the sum in float64 isn't enough too.
func TestFMA(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300000 {
		a, b := f32(r.Uint32()), f32(r.Uint32())
		c := f32(u32(-a*b) ^ r.Uint32()&3<<r.IntN(30))
		if r.IntN(2) == 0 {
			c = f32(r.Uint32())
		}
		want := float32(fmaOdd(float64(a), float64(b), float64(c)))
		if got := fma32(a, b, c); got != want && (got == got || want == want) {
			t.Fatalf("%g * %g + %g = %g, want %g", a, b, c, got, want)
		}
	}
}
