package ir

var _ = define(Op{
	Name:   "embed",
	Params: "token w",
	Doc:    "y = row `token` of w[V, d]",
	Types: func(c *Call) []Type {
		if c.Type(0).Elem != I32 {
			c.Errorf(0, "token is %s, want i32[]", c.Type(0))
		}
		dims := c.Matrix(1)
		if len(dims) != 2 {
			c.Errorf(1, "w is %s, want [V, d]", c.Type(1))
			return []Type{Of(Act)}
		}
		return []Type{Of(Act, dims[1])}
	},
	Eval: func(f *Frame) {
		for r := range f.Rows {
			f.Args[1].read(int(f.Args[0].Ints[r]), f.Out(0, r))
		}
	},
})

var _ = define(Op{
	Name:   "pick",
	Params: "x",
	Doc:    "the rows of x of which logits are wanted; which, says the bucket",
	Light:  true,
	Types:  func(c *Call) []Type { return []Type{c.Type(0)} },
	Eval:   func(f *Frame) { copy(f.Outs[0].Data, f.Args[0].Data) },
})
