package ir

var _ = define(Op{
	Name:   "rotate",
	Params: "x r",
	Doc: `ParoQuant's rotation (spec paro_w4 §3): x, flat or each row of its last axis, is scaled per channel; then, in groups of
the rotation's width, stage by stage, disjoint pairs of channels are turned: (v_i, v_j) <- (v_i·c + v_j·s, v_j·c - v_i·s)`,
	Light: true,
	Types: func(c *Call) []Type {
		x, r := c.Type(0), c.Type(1)
		if len(r.Dims) != 1 || r.Dims[0] != x.Last() && r.Dims[0] != x.Size() {
			c.Errorf(1, "r is %s, want the width of x's last axis, or of all of x, which is %s", r, x)
		}
		return []Type{Of(Act, c.Type(0).Dims...)}
	},
	Eval: func(f *Frame) {
		rot := f.Args[1].Rotation
		k := f.Args[1].Type.Size()
		for i := 0; i < len(f.Args[0].Data); i += k {
			rot.Turn(f.Args[0].Data[i:i+k], f.Outs[0].Data[i:i+k])
		}
	},
})

// A Rotation turns rows of a fixed width.
type Rotation interface {
	Turn(x, y []float32) // y = the turned x; they don't overlap
}
