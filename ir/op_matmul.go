package ir

import "sync"

var _ = define(Op{
	Name:   "linear",
	Params: "x w",
	Doc:    "y[n] = Σ_k w[n,k]·x[k], x flattened; a weight's format says how it is spelled (lower.rules)",
	Types:  matmulTypes,
	Eval:   matmulEval,
})

var _ = define(Op{
	Name:   "matmul",
	Params: "x w",
	Doc:    "y[n] = Σ_k w[n,k]·x[k], x flattened; w[N, K] in any plain format, which is an axis of the type",
	Types:  matmulTypes,
	Eval:   matmulEval,
})

func matmulTypes(c *Call) []Type {
	n := c.Matrix(1, c.Type(0).Size())
	return []Type{Of(Act, n...)}
}

// matmulEval dequantises each row of the weight once for all rows of x.
func matmulEval(f *Frame) {
	x, w, y := f.Args[0], f.Args[1], f.Outs[0]
	k, n := x.Type.Size(), y.Type.Size()
	rows := sync.Pool{New: func() any { s := make([]float32, k); return &s }}
	parallel(n, func(i int) {
		row := rows.Get().(*[]float32)
		w.read(i, *row)
		for r := range f.Rows {
			y.Data[r*n+i] = dot(*row, x.Data[r*k:(r+1)*k])
		}
		rows.Put(row)
	})
}

// read puts row i of a weight into dst, from its format or from memory.
func (t *Tensor) read(i int, dst []float32) {
	if t.Weight != nil {
		t.Weight.Row(i, dst)
		return
	}
	copy(dst, t.Data[i*len(dst):(i+1)*len(dst)])
}

// dot sums in eight lanes, which is both faster and closer to the true sum than one.
func dot(a, b []float32) float32 {
	var s [8]float32
	b = b[:len(a)]
	i := 0
	for ; i+8 <= len(a); i += 8 {
		x, y := a[i:i+8:i+8], b[i:i+8:i+8]
		s[0] += x[0] * y[0]
		s[1] += x[1] * y[1]
		s[2] += x[2] * y[2]
		s[3] += x[3] * y[3]
		s[4] += x[4] * y[4]
		s[5] += x[5] * y[5]
		s[6] += x[6] * y[6]
		s[7] += x[7] * y[7]
	}
	for ; i < len(a); i++ {
		s[0] += a[i] * b[i]
	}
	return ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7]))
}
