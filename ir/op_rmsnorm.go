package ir

import "math"

var _ = define(Op{
	Name:   "rmsnorm",
	Params: "x w eps:real",
	Doc:    "y = x / √(mean(x²) + eps) · w, in fp32 (Zhang and Sennrich 2019), over the axes of w, x's last ones; over the last where w's dims aren't written",
	Light:  true,
	Again:  true,
	Types: func(c *Call) []Type {
		x, w := c.Type(0).Dims, c.Type(1).Dims
		c.Vector(1, x[len(x)-min(max(len(w), 1), len(x)):]...)
		return []Type{Of(Act, c.Type(0).Dims...)}
	},
	Eval: func(f *Frame) {
		w, eps := f.Row(1, 0), f.Num(2)
		d := len(w)
		for i := 0; i < len(f.Args[0].Data); i += d {
			x, y := f.Args[0].Data[i:i+d], f.Outs[0].Data[i:i+d]
			sum := 0.0
			for _, v := range x {
				sum += float64(v) * float64(v)
			}
			s := float32(1 / math.Sqrt(sum/float64(d)+eps))
			for j, v := range x {
				y[j] = v * s * w[j]
			}
		}
	},
})
