package ir

import "math"

var _ = define(Op{
	Name:   "rmsnorm",
	Params: "x w eps:real",
	Doc:    "y = x / √(mean(x²) + eps) · w over the last axis, in fp32 (Zhang and Sennrich 2019)",
	Light:  true,
	Types: func(c *Call) []Type {
		c.Vector(1, c.Type(0).Last())
		return []Type{Of(Act, c.Type(0).Dims...)}
	},
	Eval: func(f *Frame) {
		d, eps := f.Args[0].Type.Last(), f.Num(2)
		w := f.Row(1, 0)
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
