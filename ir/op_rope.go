package ir

import "math"

var _ = define(Op{
	Name:   "rope",
	Params: "x theta:real width:int=0 factor:real=1 low:real=1 high:real=1 original:real=0",
	Doc: `rotary position embedding (Su et al. 2021), rotate-half: with f_i = pos / theta^(2i/R), i < R/2, a = x[:R/2],
b = x[R/2:R] of the last axis: [a·cos f - b·sin f, b·cos f + a·sin f, x[R:]]. width is R; 0 means the whole axis.
For longer contexts (position interpolation, Chen et al. 2023), a frequency that turns fewer than low times in original
positions is divided by factor; one that turns more than high times stays; between, the quotient goes over linearly in the
number of turns (Llama 3). original 0: all are divided`,
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
		if !(c.Num(3) > 0) || !(c.Num(6) >= 0) {
			c.Errorf(3, "factor is %s and original %s, want a positive factor and a number of positions", formatNumber(c.Num(3)), formatNumber(c.Num(6)))
		}
		if c.Num(3) != 1 && !(c.Num(4) > 0 && c.Num(5) >= c.Num(4)) {
			c.Errorf(4, "low is %s and high %s, want 0 < low ≤ high", formatNumber(c.Num(4)), formatNumber(c.Num(5)))
		}
		return []Type{c.Type(0)}
	},
	Eval: func(f *Frame) {
		t := f.Args[0].Type
		d := t.Last()
		inv := inverseFrequencies(f.Num(1), f.Int(2))
		interpolate(inv, f.Num(3), f.Num(4), f.Num(5), f.Num(6))
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

// interpolate slows frequencies down by their number of turns in original positions, in fp32 like transformers.
func interpolate(inv []float32, factor, low, high, original float64) {
	if factor == 1 {
		return
	}
	for i, f := range inv {
		slow := f / float32(factor)
		turns := float32(original) / (2 * math.Pi / f)
		switch {
		case original == 0 || turns < float32(low):
			inv[i] = slow
		case turns <= float32(high) && low < high:
			smooth := (turns - float32(low)) / float32(high-low)
			inv[i] = (1-smooth)*slow + smooth*f
		}
	}
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
