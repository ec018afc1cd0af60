package ir

import (
	"math"
	"sort"
	"sync"
)

// The ops of a mixture of experts: a router's softmax and top-k, products with the chosen experts, their weighted sum.

var _ = define(Op{
	Name:   "softmax",
	Params: "x",
	Doc:    "y = e^(x - max x) / Σ e^(x - max x) over the last axis, in fp32",
	Light:  true,
	Types:  func(c *Call) []Type { return []Type{c.Type(0)} },
	Eval: func(f *Frame) {
		d := f.Args[0].Type.Last()
		for i := 0; i < len(f.Args[0].Data); i += d {
			x, y := f.Args[0].Data[i:i+d], f.Outs[0].Data[i:i+d]
			top := float64(x[argmax(x)])
			sum := 0.0
			for _, v := range x {
				sum += math.Exp(float64(v) - top)
			}
			for j, v := range x {
				y[j] = float32(math.Exp(float64(v)-top) / sum)
			}
		}
	},
})

var _ = define(Op{
	Name:   "topk",
	Params: "x k:int",
	Doc:    "the k largest values of x[E], largest first and the lower index first among equals, and their indices",
	Light:  true,
	Types: func(c *Call) []Type {
		t, k := c.Type(0), c.Int(1)
		if len(t.Dims) != 1 || k < 1 || k > t.Size() {
			c.Errorf(1, "k is %d, want 1 to the length of x, which is %s", k, t)
			return nil
		}
		return []Type{Of(t.Elem, k), Of(I32, k)}
	},
	Eval: func(f *Frame) {
		k := f.Int(1)
		for r := range f.Rows {
			x := f.Row(0, r)
			order := make([]int, len(x))
			for i := range order {
				order[i] = i
			}
			sort.SliceStable(order, func(i, j int) bool { return x[order[i]] > x[order[j]] })
			for i, e := range order[:k] {
				f.Out(0, r)[i] = x[e]
				f.Outs[1].Ints[r*k+i] = int32(e)
			}
		}
	},
})

var _ = define(Op{
	Name:   "sum",
	Params: "x",
	Doc:    "Σ x over the first axis",
	Light:  true,
	Types: func(c *Call) []Type {
		t := c.Type(0)
		if len(t.Dims) == 0 {
			c.Errorf(0, "x is a scalar, want an axis to sum over")
			return nil
		}
		return []Type{Of(t.Elem, t.Dims[1:]...)}
	},
	Eval: func(f *Frame) {
		n := f.Outs[0].Type.Size()
		for r := range f.Rows {
			x, y := f.Row(0, r), f.Out(0, r)
			for i, v := range x {
				y[i%n] += v
			}
		}
	},
})

var _ = define(Op{
	Name:   "linear_each",
	Params: "x id w",
	Doc:    "y[k] = w[id[k]] · x, or · x[k] where x has a row for each k: a product with each chosen expert of w[E, N, ·]",
	Types:  eachTypes,
	Eval:   eachEval,
})

var _ = define(Op{
	Name:   "matmul_each",
	Params: "x id w",
	Doc:    "linear_each in a plain format",
	Types:  eachTypes,
	Eval:   eachEval,
})

func eachTypes(c *Call) []Type {
	x, id := c.Type(0), c.Type(1)
	if id.Elem != I32 || len(id.Dims) != 1 {
		c.Errorf(1, "id is %s, want i32[K] as topk gives it", id)
		return nil
	}
	if len(x.Dims) < 1 || len(x.Dims) > 2 || len(x.Dims) == 2 && x.Dims[0] != id.Dims[0] {
		c.Errorf(0, "x is %s, want one row, or one for each of the %d experts", x, id.Dims[0])
		return nil
	}
	lead := c.Matrix(2, x.Last())
	if len(lead) != 2 {
		c.Errorf(2, "w is %s, want [E, N, %d]", c.Type(2), x.Last())
		return nil
	}
	return []Type{Of(Act, id.Dims[0], lead[1])}
}

func eachEval(f *Frame) {
	x, id, w, y := f.Args[0], f.Args[1], f.Args[2], f.Outs[0]
	k, n, in := y.Type.Dims[0], y.Type.Dims[1], x.Type.Last()
	shared := len(x.Type.Dims) == 1
	rows := sync.Pool{New: func() any { s := make([]float32, in); return &s }}
	for r := range f.Rows {
		parallel(k*n, func(i int) {
			row := rows.Get().(*[]float32)
			w.read(int(id.Ints[r*k+i/n])*n+i%n, *row)
			at := r * k * in
			if shared {
				at = r * in
			} else {
				at += i / n * in
			}
			y.Data[r*k*n+i] = dot(*row, x.Data[at:at+in])
			rows.Put(row)
		})
	}
}
