package ir

import "math"

// Attention in the model is attend(q, k, v); lowering spells it append, then attend_kv, so that KV formats are two
// lines of lower.rules.

var _ = define(Op{
	Name:   "attend",
	Params: "q k v scale:real=0 window:int=0",
	Doc: `causal attention with grouped queries: y[h] = Σ_t softmax_t(scale · q[h]·k[t, g]) · v[t, g], g = h / (H/KV), over
positions t ≤ pos, the last window of them if that isn't 0. scale 0 means 1/√D. Keeps k and v of every position`,
	State:     "kv",
	StateType: func(n *Node) Type { return Of(KV, n.Args[1].Type.Dims...) },
	Types: func(c *Call) []Type {
		appendTypes(c, 1, 2)
		return attendTypes(c, c.Type(1).Dims, 3)
	},
	Eval: func(f *Frame) {
		cache := appendRows(f, 1, 2)
		attendRows(f, cache, 3)
	},
})

var _ = define(Op{
	Name:      "append",
	Params:    "k v",
	Doc:       "puts k and v of each row at its position of the layer's KV cache",
	State:     "kv",
	StateType: func(n *Node) Type { return Of(KV, n.Args[0].Type.Dims...) },
	Types:     func(c *Call) []Type { return appendTypes(c, 0, 1) },
	Eval:      func(f *Frame) { f.Outs[0].Cache = appendRows(f, 0, 1) },
})

var _ = define(Op{
	Name:   "attend_kv",
	Params: "q kv scale:real window:int",
	Doc:    "attend, reading the KV cache that append has written",
	Types:  func(c *Call) []Type { return attendTypes(c, c.Type(1).Dims, 2) },
	Eval:   func(f *Frame) { attendRows(f, f.Args[1].Cache, 2) },
})

func appendTypes(c *Call, k, v int) []Type {
	t, u := c.Type(k), c.Type(v)
	if len(t.Dims) != 2 {
		c.Errorf(k, "k is %s, want [KV, D]", t)
	}
	if !t.Equal(u) {
		c.Errorf(v, "v is %s, want %s like k", u, t)
	}
	return []Type{Of(KV, t.Dims...)}
}

func attendTypes(c *Call, kv []int, scale int) []Type {
	q := c.Type(0)
	if len(q.Dims) != 2 {
		c.Errorf(0, "q is %s, want [H, D]", q)
		return []Type{q}
	}
	if len(kv) != 2 {
		return []Type{q}
	}
	if q.Dims[1] != kv[1] {
		c.Errorf(1, "k is %s, want head width %d like q", dimString(kv), q.Dims[1])
	}
	if kv[0] < 1 || q.Dims[0]%kv[0] != 0 {
		c.Errorf(1, "%d query heads don't share %d kv heads evenly", q.Dims[0], kv[0])
	}
	if c.Num(scale) == 0 {
		c.Args[scale] = Number(1 / math.Sqrt(float64(q.Dims[1]))) // every later reader sees the true scale
	}
	if c.Int(scale+1) < 0 {
		c.Errorf(scale+1, "window is %d, want 0 (none) or more", c.Int(scale+1))
	}
	return []Type{q}
}

// appendRows puts each row's k and v at its position; what stood there and after it goes, as after a roll-back.
func appendRows(f *Frame, k, v int) *Cache {
	c := f.State(func() any { return &Cache{} }).(*Cache)
	pos := min(f.World.Pos, len(c.K))
	c.K, c.V = c.K[:pos], c.V[:pos]
	for r := range f.Rows {
		c.K = append(c.K, append([]float32(nil), f.Row(k, r)...))
		c.V = append(c.V, append([]float32(nil), f.Row(v, r)...))
	}
	return c
}

func attendRows(f *Frame, c *Cache, scale int) {
	dims := f.Args[0].Type.Dims
	heads, d := dims[0], dims[1]
	s, window := f.Num(scale), f.Int(scale+1)
	group := heads / (len(c.K[0]) / d)
	parallel(f.Rows*heads, func(i int) {
		row, h := i/heads, i%heads
		end := f.World.Pos + row + 1
		from := 0
		if window > 0 {
			from = max(0, end-window)
		}
		g := h / group * d
		q, y := f.Row(0, row)[h*d:(h+1)*d], f.Out(0, row)[h*d:(h+1)*d]
		p := make([]float64, end-from)
		top := math.Inf(-1)
		for t := range p {
			p[t] = s * float64(dot(q, c.K[from+t][g:g+d]))
			top = max(top, p[t])
		}
		sum := 0.0
		for t := range p {
			p[t] = math.Exp(p[t] - top)
			sum += p[t]
		}
		for t := range p {
			w := float32(p[t] / sum)
			for j, v := range c.V[from+t][g : g+d] {
				y[j] += w * v
			}
		}
	})
}
