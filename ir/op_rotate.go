package ir

var _ = define(Op{
	Name:   "rotate",
	Params: "x r",
	Doc: `ParoQuant's rotation (spec paro_w4 §3): x is scaled per channel; then, in groups of the rotation's width, stage by stage,
disjoint pairs of channels are turned: (v_i, v_j) <- (v_i·c + v_j·s, v_j·c - v_i·s)`,
	Light: true,
	Types: func(c *Call) []Type {
		if lead := c.Matrix(1, c.Type(0).Last()); len(lead) > 0 {
			c.Errorf(1, "r is %s, want one axis, x's last", c.Type(1))
		}
		return []Type{Of(Act, c.Type(0).Dims...)}
	},
	Eval: func(f *Frame) {
		rot := f.Args[1].Rotation
		k := f.Args[0].Type.Last()
		for i := 0; i < len(f.Args[0].Data); i += k {
			rot.Turn(f.Args[0].Data[i:i+k], f.Outs[0].Data[i:i+k])
		}
	},
})

// A Rotation turns rows of a fixed width.
type Rotation interface {
	Turn(x, y []float32) // y = the turned x; they don't overlap
}
