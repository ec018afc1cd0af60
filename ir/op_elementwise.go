package ir

import "math"

// Elementwise ops: operands align from the left and 1 stretches (w[8] * y[8,512]). They compute in fp32 whatever the
// elements are. The same functions fold literals, in double.

var _ = elementwise(
	Op{Name: "add", Params: "a b", Infix: "+", Commutative: true, Doc: "a + b", Scalar: func(x []float64) float64 { return x[0] + x[1] }},
	Op{Name: "sub", Params: "a b", Infix: "-", Doc: "a - b", Scalar: func(x []float64) float64 { return x[0] - x[1] }},
	Op{Name: "mul", Params: "a b", Infix: "*", Commutative: true, Doc: "a · b", Scalar: func(x []float64) float64 { return x[0] * x[1] }},
	Op{Name: "div", Params: "a b", Infix: "/", Doc: "a / b", Scalar: func(x []float64) float64 { return x[0] / x[1] }},
	Op{Name: "copy", Params: "x", Doc: "x, in another place", Scalar: func(x []float64) float64 { return x[0] }},
	Op{Name: "neg", Params: "x", Doc: "-x", Scalar: func(x []float64) float64 { return -x[0] }},
	Op{Name: "exp", Params: "x", Doc: "e^x", Scalar: func(x []float64) float64 { return math.Exp(x[0]) }},
	Op{Name: "sqrt", Params: "x", Doc: "√x", Scalar: func(x []float64) float64 { return math.Sqrt(x[0]) }},
	Op{Name: "sigmoid", Params: "x", Doc: "1 / (1 + e^-x)", Scalar: func(x []float64) float64 { return sigmoid(x[0]) }},
	Op{Name: "silu", Params: "x", Doc: "x · sigmoid(x)", Scalar: func(x []float64) float64 { return x[0] * sigmoid(x[0]) }},
	Op{Name: "softplus", Params: "x", Doc: "log(1 + e^x)", Scalar: func(x []float64) float64 { return softplus(x[0]) }},
	Op{Name: "gelu", Params: "x", Doc: "x/2 · (1 + erf(x/√2))", Scalar: func(x []float64) float64 { return x[0] / 2 * (1 + math.Erf(x[0]/math.Sqrt2)) }},
	Op{Name: "gelu_tanh", Params: "x", Doc: "x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³))), what config.json calls gelu_pytorch_tanh",
		Scalar: func(x []float64) float64 {
			return x[0] / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x[0]+0.044715*x[0]*x[0]*x[0])))
		}},
)

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// softplus is log(1 + e^x), without overflow.
func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

func elementwise(table ...Op) bool {
	for _, o := range table {
		o.Light = true
		o.Types, o.Eval = elementwiseTypes, elementwiseEval
		define(o)
	}
	return true
}

func elementwiseTypes(c *Call) []Type {
	// A weight without dims takes those of the other operand.
	for i, a := range c.Args {
		if a.Weight == nil || !a.Weight.open {
			continue
		}
		switch {
		case len(a.Type.Dims) > 0:
			c.Vector(i, a.Type.Dims...)
		case len(c.Args) == 2 && c.Args[1-i].Node != nil:
			c.Vector(i, c.Type(1-i).Dims...)
		}
	}
	t := c.Type(0)
	if t.Elem != Act {
		t.Elem = F32
	}
	if len(c.Args) == 1 {
		return []Type{t}
	}
	u := c.Type(1)
	dims, err := broadcast(t.Dims, u.Dims)
	if err != nil {
		c.Errorf(1, "shapes %s don't align from the left: %v", t.String()+" and "+u.String(), err)
	}
	if u.Elem == Act {
		t.Elem = Act
	}
	return []Type{Of(t.Elem, dims...)}
}

func elementwiseEval(f *Frame) {
	fn := f.Node.Op.Scalar
	out := f.Outs[0].Type.Dims
	for r := range f.Rows {
		dst := f.Out(0, r)
		x := make([]float64, len(f.Args))
		for i := range dst {
			for j, a := range f.Args {
				if a == nil {
					x[j] = f.Num(j)
				} else {
					x[j] = float64(f.Row(j, r)[stretch(i, out, a.Type.Dims)])
				}
			}
			dst[i] = float32(fn(x))
		}
	}
}

// stretch is the index into a tensor of dims that stands at index i of one of dims out.
func stretch(i int, out, dims []int) int {
	at, step := 0, 1
	for k := len(out) - 1; k >= 0; k-- {
		p := i % out[k]
		i /= out[k]
		if k < len(dims) {
			if dims[k] != 1 {
				at += p * step
			}
			step *= dims[k]
		}
	}
	return at
}
