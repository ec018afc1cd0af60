package ir

var _ = define(Op{
	Name:   "split",
	Params: "x parts:list...",
	Doc:    "cuts x along its last axes into parts of these dims: split(x[H,2·D], [D], [D]) gives two [H,D]; split(x[n], [H,D], …) cuts a vector into matrices",
	Light:  true,
	Types: func(c *Call) []Type {
		t := c.Type(0)
		if len(t.Dims) == 0 {
			c.Errorf(0, "x is a scalar, want something to split")
			return nil
		}
		sum := 0
		var out []Type
		for _, a := range c.Args[1:] {
			sum += product(a.Lit.Dims())
			dims := append(append([]int(nil), t.Dims[:len(t.Dims)-1]...), a.Lit.Dims()...)
			out = append(out, Of(t.Elem, dims...))
		}
		if sum != t.Last() {
			c.Errorf(0, "the parts hold %d values, x's last axis has %d", sum, t.Last())
		}
		return out
	},
	Eval: func(f *Frame) {
		t := f.Args[0].Type
		last := t.Last()
		for r := range f.Rows {
			x := f.Row(0, r)
			at := 0
			for i, o := range f.Outs {
				n := product(f.Node.Args[1+i].Lit.Dims())
				y := o.row(r)
				for lead := range t.Lead() {
					copy(y[lead*n:(lead+1)*n], x[lead*last+at:])
				}
				at += n
			}
		}
	},
})
