package ir

import "math"

var _ = define(Op{
	Name:   "rope",
	Params: "x theta:real width:int=0 factor:reals=1 low:real=1 high:real=1 original:real=0 ramp:int=0 gain:real=1",
	Doc: `rotary position embedding (Su et al. 2021), rotate-half: with f_i = pos / theta^(2i/R), i < R/2, a = x[:R/2],
b = x[R/2:R] of the last axis: [a·cos f - b·sin f, b·cos f + a·sin f, x[R:]]. width is R; 0 means the whole axis. cos and
sin are multiplied by gain.
For longer contexts (position interpolation, Chen et al. 2023) frequencies are divided by factor: each by its own if that
is a list of R/2 (LongRoPE, Ding et al. 2024), or all if original is 0; else one that turns fewer than low times in
original positions, while one that turns more than high times stays, and between the quotient goes over linearly: in the
number of turns if ramp is 0 (Llama 3), in i if it's 1, where the bounds are whole i's (YaRN, Peng et al. 2023)`,
	Light: true,
	Types: func(c *Call) []Type {
		d, r := c.Type(0).Last(), c.Int(2)
		if r < 0 || r > d || r%2 != 0 {
			c.Errorf(2, "width is %d, want an even number up to %d, x's last axis", r, d)
		}
		if r == 0 {
			r = d
			c.Args[2] = Number(float64(d)) // every later reader sees the true width
		}
		if !(c.Num(1) > 0) {
			c.Errorf(1, "theta is %s, want a positive base", formatNumber(c.Num(1)))
		}
		if !(c.Num(8) > 0) {
			c.Errorf(8, "gain is %s, want a positive number", formatNumber(c.Num(8)))
		}
		ropeFactors(c, r)
		return []Type{c.Type(0)}
	},
	Eval: func(f *Frame) {
		t := f.Args[0].Type
		d := t.Last()
		inv, gain := inverseFrequencies(f.Node.Args), float32(f.Num(8))
		for row := range f.Rows {
			cos, sin := angles(inv, f.World.Pos+row, gain)
			x, y := f.Row(0, row), f.Out(0, row)
			for h := 0; h < len(x); h += d {
				rotateHalf(x[h:h+d], y[h:h+d], cos, sin)
			}
		}
	},
})

// ropeFactors checks what is said of longer contexts. What changes nothing becomes its default, so that every later reader
// sees at once which frequencies are those of theta alone.
func ropeFactors(c *Call, r int) {
	if f := c.Args[3].Lit; f.IsList {
		if len(f.List) != r/2 {
			c.Errorf(3, "factor is a list of %d, want one for each of the %d frequencies", len(f.List), r/2)
		}
		for _, x := range f.List {
			if !(x > 0) {
				c.Errorf(3, "factor holds %s, want positive numbers", formatNumber(x))
				break
			}
		}
		c.reset(4, 1, 1, 0, 0)
		return
	}
	factor, low, high, original, ramp := c.Num(3), c.Num(4), c.Num(5), c.Num(6), c.Int(7)
	switch {
	case !(factor > 0) || !(original >= 0):
		c.Errorf(3, "factor is %s and original %s, want a positive factor and a number of positions", formatNumber(factor), formatNumber(original))
	case factor == 1 || original == 0:
		c.reset(4, 1, 1, 0, 0)
	case !(low > 0 && high >= low):
		c.Errorf(4, "low is %s and high %s, want 0 < low ≤ high", formatNumber(low), formatNumber(high))
	case ramp != 0 && ramp != 1:
		c.Errorf(7, "ramp is %d, want 0 or 1", ramp)
	case ramp == 1 && !(c.Num(1) > 1):
		c.Errorf(1, "theta is %s, want more than 1 for a ramp over frequencies", formatNumber(c.Num(1)))
	}
}

// reset puts numbers in the place of operands from i on.
func (c *Call) reset(i int, to ...float64) {
	for j, x := range to {
		c.Args[i+j] = Number(x)
	}
}

// inverseFrequencies are a token's turns a position, in radians: every step rounded to fp32, as transformers computes them,
// by which checkpoints were trained.
func inverseFrequencies(args []*Value) []float32 {
	num := func(i int) float64 { return args[i].Lit.Num }
	theta, r, factor, low, high, original := num(1), int(num(2)), num(3), num(4), num(5), num(6)
	inv := make([]float32, r/2)
	first, last := rampBounds(theta, r, low, high, original)
	for i := range inv {
		wave := float32(math.Pow(theta, float64(float32(2*i)/float32(r))))
		f := 1 / wave
		switch {
		case args[3].Lit.IsList:
			f = 1 / (float32(args[3].Lit.List[i]) * wave)
		case factor == 1:
		case original == 0:
			f /= float32(factor)
		case num(7) == 1:
			at := min(max((float32(i)-float32(first))/float32(last-first), 0), 1)
			stays := 1 - at
			f = 1/(float32(factor)*wave)*(1-stays) + f*stays
		default:
			f = interpolate(f, factor, low, high, original)
		}
		inv[i] = f
	}
	return inv
}

// interpolate slows a frequency down by its number of turns in original positions.
func interpolate(f float32, factor, low, high, original float64) float32 {
	slow := f / float32(factor)
	turns := float32(original) / (2 * math.Pi / f)
	switch {
	case turns < float32(low):
		return slow
	case turns <= float32(high) && low < high:
		smooth := (turns - float32(low)) / float32(high-low)
		return (1-smooth)*slow + smooth*f
	}
	return f
}

// rampBounds are the frequencies between which YaRN goes over: the last that turns high times in original positions, and
// the first that turns low times.
func rampBounds(theta float64, r int, low, high, original float64) (first, last float64) {
	turning := func(times float64) float64 {
		return float64(r) * math.Log(original/(times*2*math.Pi)) / (2 * math.Log(theta))
	}
	first, last = max(math.Floor(turning(high)), 0), min(math.Ceil(turning(low)), float64(r-1))
	if first == last {
		last += 0.001 // a step, as there
	}
	return first, last
}

// angles gives cos and sin of pos·inv, the product rounded to fp32 first.
func angles(inv []float32, pos int, gain float32) (cos, sin []float32) {
	cos, sin = make([]float32, len(inv)), make([]float32, len(inv))
	for i, f := range inv {
		s, c := math.Sincos(float64(float32(pos) * f))
		cos[i], sin[i] = float32(c)*gain, float32(s)*gain
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
