package ir

import "math"

var _ = define(Op{
	Name:   "rope",
	Params: "x theta:real width:int=0",
	Doc: `rotary position embedding (Su et al. 2021), rotate-half: with f_i = pos / theta^(2i/R), i < R/2, a = x[:R/2],
b = x[R/2:R] of the last axis: [a·cos f - b·sin f, b·cos f + a·sin f, x[R:]]. width is R; 0 means the whole axis`,
	Light: true,
	Types: func(c *Call) []Type {
		d, r := c.Type(0).Last(), c.Int(2)
		if r < 0 || r > d || r%2 != 0 {
			c.Errorf(2, "width is %d, want an even number up to %d, x's last axis", r, d)
		}
		if r == 0 {
			c.Args[2] = Number(float64(d)) // every later reader sees the true width
		}
		if !(c.Num(1) > 0) {
			c.Errorf(1, "theta is %s, want a positive base", formatNumber(c.Num(1)))
		}
		return []Type{c.Type(0)}
	},
	Eval: func(f *Frame) {
		t := f.Args[0].Type
		d := t.Last()
		inv := inverseFrequencies(f.Num(1), f.Int(2))
		for row := range f.Rows {
			cos, sin := angles(inv, f.World.Pos+row)
			x, y := f.Row(0, row), f.Out(0, row)
			for h := 0; h < len(x); h += d {
				rotateHalf(x[h:h+d], y[h:h+d], cos, sin)
			}
		}
	},
})

// inverseFrequencies are 1/theta^(2i/R), rounded to fp32 as the field's checkpoints were trained with them.
func inverseFrequencies(theta float64, r int) []float32 {
	inv := make([]float32, r/2)
	for i := range inv {
		inv[i] = float32(1 / math.Pow(theta, float64(2*i)/float64(r)))
	}
	return inv
}

// angles gives cos and sin of pos·inv, the product rounded to fp32 first.
func angles(inv []float32, pos int) (cos, sin []float32) {
	cos, sin = make([]float32, len(inv)), make([]float32, len(inv))
	for i, f := range inv {
		s, c := math.Sincos(float64(float32(pos) * f))
		cos[i], sin[i] = float32(c), float32(s)
	}
	return cos, sin
}

func rotateHalf(x, y, cos, sin []float32) {
	n := len(cos)
	copy(y[2*n:], x[2*n:])
	for i := range n {
		a, b := x[i], x[i+n]
		y[i] = a*cos[i] - b*sin[i]
		y[i+n] = b*cos[i] + a*sin[i]
	}
}
