package tests

import (
	"encoding/binary"
	"fmt"
	"math"

	"hipc/ir"
)

// checkRows compares live rows, and takes them over into what is expected.
func (x *experiment) checkRows(got, expected []byte, at int, w *ir.Tensor) (worst float64, err error) {
	n := w.Type.Size()
	for r := range x.live {
		from := at + 4*n*r
		row := getFloats(got[from:], n)
		e := nmse(row, w.Data[n*r:n*(r+1)])
		if !(e <= x.bar()) {
			i := furthest(row, w.Data[n*r:n*(r+1)])
			return 0, fmt.Errorf("row %d: NMSE %.2g, want at most %.0g; value %d of %d is %g, want %g", r, e, x.bar(), i, n, row[i], w.Data[n*r+i])
		}
		worst = max(worst, e)
		copy(expected[from:from+4*n], got[from:])
	}
	return worst, nil
}

// spread are values over the whole range of what a function of one value may meet.
var spread = []float32{0, 1e-30, -1e-30, 1e-3, -1e-3, 1, -1, 4, -4, 8, -8, 20, -20, 50, -50, 100, -100, 1e4, -1e4, 1e30, -1e30}

// checkEach compares value by value: in a norm, large values would hide small ones.
func (x *experiment) checkEach(got, expected []byte, at int, w *ir.Tensor) error {
	n := w.Type.Size() * x.live
	for i, g := range getFloats(got[at:], n) {
		a, b := float64(g), float64(w.Data[i])
		if a == b || math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) <= 1e-6+4e-6*math.Abs(b) {
			continue
		}
		return fmt.Errorf("of %v it makes %g, want %g", getFloat(x.bytes[x.ins[0]+4*i:]), g, b)
	}
	copy(expected[at:at+4*n], got[at:])
	return nil
}

func (x *experiment) checkInts(got, expected []byte, at int, want []int32) error {
	for r, w := range want {
		if g := int32(binary.LittleEndian.Uint32(got[at+4*r:])); g != w {
			return fmt.Errorf("row %d: %d, want %d", r, g, w)
		}
	}
	copy(expected[at:at+4*len(want)], got[at:])
	return nil
}

// checkCache compares the new positions.
func (x *experiment) checkCache(got, expected []byte, w *ir.Cache) (float64, error) {
	if len(w.K) != x.pos+x.live {
		return 0, fmt.Errorf("the oracle's cache holds %d positions, want %d", len(w.K), x.pos+x.live)
	}
	var g, v []float32
	x.cache.each(w, x.pos, func(at int, value float32) {
		from, n := x.state+x.cache.bytes()*at, x.cache.bytes()
		g, v = append(g, x.cache.get(got[x.state:], at)), append(v, value)
		copy(expected[from:from+n], got[from:])
	})
	if e := nmse(g, v); !(e <= x.bar()) {
		i := furthest(g, v)
		return 0, fmt.Errorf("the cache: NMSE %.2g, want at most %.0g; a value of row %d is %g, want %g", e, x.bar(), i*x.live/len(g), g[i], v[i])
	} else {
		return e, nil
	}
}

// furthest is the index at which got is furthest from want.
func furthest(got, want []float32) int {
	worst, at := -1.0, 0
	for i, w := range want {
		d := math.Abs(float64(got[i]) - float64(w))
		if math.IsNaN(d) && !(math.IsNaN(float64(w)) && math.IsNaN(float64(got[i]))) {
			return i
		}
		if d > worst {
			worst, at = d, i
		}
	}
	return at
}
