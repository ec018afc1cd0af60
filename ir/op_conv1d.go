package ir

var _ = define(Op{
	Name:   "conv1d",
	Params: "x w width:int",
	Doc: `causal depthwise convolution over positions: y_t[c] = Σ_j w[c, j] · x_{t-W+1+j}[c], tap W-1 being the newest; what was
before position 0 is 0. Keeps the last W-1 inputs, oldest first`,
	State: "conv",
	Light: true,
	StateType: func(n *Node) Type {
		return Of(F32, int(n.Args[2].Lit.Num)-1, n.Args[0].Type.Size())
	},
	Types: func(c *Call) []Type {
		t, w := c.Type(0), c.Int(2)
		if len(t.Dims) != 1 {
			c.Errorf(0, "x is %s, want one axis, the channels", t)
		}
		if w < 2 || w > 64 {
			c.Errorf(2, "width is %d, want 2 to 64", w)
			return nil
		}
		c.Vector(1, t.Size(), w)
		return []Type{t}
	},
	Eval: func(f *Frame) {
		c, width := f.Args[0].Type.Size(), f.Int(2)
		s := f.State(func() any { return &Conv{Rows: make([][]float32, 0)} }).(*Conv)
		if f.World.Pos == 0 {
			s.Rows = nil
		}
		for len(s.Rows) < width-1 {
			s.Rows = append([][]float32{make([]float32, c)}, s.Rows...)
		}
		w := f.Row(1, 0)
		for r := range f.Rows {
			window := append(s.Rows, append([]float32(nil), f.Row(0, r)...))
			y := f.Out(0, r)
			for ch := range y {
				sum := float32(0)
				for j, row := range window {
					sum += w[ch*width+j] * row[ch]
				}
				y[ch] = sum
			}
			s.Rows = window[1:]
		}
	},
})

// A Conv is the state of a conv1d: its last inputs, oldest first.
type Conv struct{ Rows [][]float32 }
