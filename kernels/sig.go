package kernels

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"hipc/ir"
)

// A signature is what a kernel takes and gives.
type signature struct {
	In  []*operand `parser:"( @@ ( ',' @@ )* )?"`
	Out []*operand `parser:"'->' @@ ( ',' @@ )*"`
}

// An operand is a tensor, one or more alike tensors, a number known at compile time, or a list of dims: "[HK,DK]".
type operand struct {
	Elem string   `parser:"( @Ident"`
	Lit  string   `parser:"( ':' @( 'real' | 'int' )"`
	Dims []*axis  `parser:"| '[' ( @@ ( ',' @@ )* )? ']' )?"`
	List []*axis  `parser:"| '[' @@ ( ',' @@ )* ']' )"`
	Many []string `parser:"( Times @Ident )?"` // at most one; a slice tells "absent" from ""
}

// An axis is a dim, the product of all leading axes, or an expression: "[2*F,K]" asks for twice as many rows as F.
type axis struct {
	Lead bool `parser:"@Lead?"`
	Size *sum `parser:"@@"`
}

func (o *operand) many() string {
	if len(o.Many) == 0 {
		return ""
	}
	return o.Many[0]
}

// isVariable says that the element is a variable such as W or WG, which stands for a weight's format.
func (o *operand) isVariable() bool {
	return o.Lit == "" && o.Elem != "" && o.Elem[0] >= 'A' && o.Elem[0] <= 'Z'
}

// group is the name and the dim of an element such as rot_G, whose groups' width is a dim: rot_128 binds G to 128.
func (o *operand) group() (name, dim string, ok bool) {
	i := strings.LastIndexByte(o.Elem, '_')
	if o.Lit != "" || i < 0 || i+1 == len(o.Elem) || o.Elem[i+1] < 'A' || o.Elem[i+1] > 'Z' {
		return o.Elem, "", false
	}
	return o.Elem[:i+1], o.Elem[i+1:], true
}

func (o *operand) String() string {
	if o.Lit != "" {
		return o.Elem + ":" + o.Lit
	}
	var s []string
	for _, a := range slices.Concat(o.Dims, o.List) {
		t := a.Size.String()
		if a.Lead {
			t = ".." + t
		}
		s = append(s, t)
	}
	t := o.Elem + "[" + strings.Join(s, ",") + "]"
	if m := o.many(); m != "" {
		t += "×" + m
	}
	return t
}

// A binding is what unifying a signature with a node's operands has found.
type binding struct {
	dims  map[string]int
	elems map[string]string
	reals map[string]*ir.Literal
	open  []bool         // per operand, then per result: whether its element is a variable
	later []func() error // axes that are expressions, to be looked at when all dims are bound
}

// unify binds a signature's variables to the types of n, starting from the bucket's dims. The error says which operand
// doesn't fit, and why.
func (s *signature) unify(n *ir.Node, bucket map[string]int, formats []string) (*binding, error) {
	b := &binding{dims: maps.Clone(bucket), elems: map[string]string{}, reals: map[string]*ir.Literal{}}
	if err := b.list(s.In, n.Args, formats, "operand"); err != nil {
		return nil, err
	}
	if err := b.list(s.Out, n.Outs, formats, "result"); err != nil {
		return nil, err
	}
	for _, check := range b.later {
		if err := check(); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// list unifies operands with values. A variadic operand takes as many values as are left for it; where its count is
// bound already, it takes that many.
func (b *binding) list(ops []*operand, vs []*ir.Value, formats []string, what string) error {
	fixed := 0
	for _, o := range ops {
		if o.many() == "" {
			fixed++
		}
	}
	at := 0
	for i, o := range ops {
		count := 1
		if m := o.many(); m != "" {
			free := 1 // this one and those after it that nothing has bound yet
			known := 0
			for _, p := range ops[i+1:] {
				if pm := p.many(); pm == "" {
					known++
				} else if c, ok := b.dims[pm]; ok {
					known += c
				} else if pm != m {
					free++
				}
			}
			c, bound := b.dims[m]
			switch {
			case bound:
				count = c
			case free > 1:
				return fmt.Errorf("two counts are open in %s", o)
			default:
				same := 1
				for _, p := range ops[i+1:] {
					if p.many() == m {
						same++
					}
				}
				if count = (len(vs) - at - known) / same; count < 1 {
					return fmt.Errorf("it takes more %ss", what)
				}
				b.dims[m] = count
			}
		}
		for range count {
			if at >= len(vs) {
				return fmt.Errorf("it takes more %ss, there are %d", what, len(vs))
			}
			b.open = append(b.open, o.isVariable())
			if err := b.one(o, vs[at], formats); err != nil {
				return fmt.Errorf("%s %d: %w", what, at+1, err)
			}
			at++
		}
	}
	if at < len(vs) {
		return fmt.Errorf("it takes %d %ss, not %d", at, what, len(vs))
	}
	return nil
}

func (b *binding) one(o *operand, v *ir.Value, formats []string) error {
	switch {
	case o.Lit != "":
		return b.literal(o, v)
	case o.List != nil && (v.Lit == nil || !v.Lit.IsList):
		return fmt.Errorf("%s, want a list of dims %s", v.Type, o)
	case o.List != nil:
		return b.match(o, o.List, v.Lit.Dims(), fmt.Sprint(v.Lit.List))
	}
	if v.Lit != nil {
		return fmt.Errorf("a number, want %s", o)
	}
	elem := string(v.Type.Elem)
	switch {
	case !o.isVariable():
		name, dim, grouped := o.group()
		if grouped && strings.HasPrefix(elem, name) {
			width, err := strconv.Atoi(elem[len(name):])
			if err == nil {
				err = b.dim(dim, width)
			}
			if err != nil {
				return fmt.Errorf("%s, want %s: %w", v.Type, o, err)
			}
		} else if elem != o.Elem {
			return fmt.Errorf("%s, want %s", v.Type, o)
		}
		if elem == "f32" && v.Node != nil { // f32 in a signature is a vector among the weights: one for all rows
			return fmt.Errorf("%s is made by a step, want a weight", v.Type)
		}
	case !slices.Contains(formats, elem):
		return fmt.Errorf("%s, want one of the formats %s", v.Type, strings.Join(formats, " "))
	default:
		if old, ok := b.elems[o.Elem]; ok && old != elem {
			return fmt.Errorf("%s, but %s is %s", v.Type, o.Elem, old)
		}
		b.elems[o.Elem] = elem
	}
	return b.axes(o, v)
}

func (b *binding) literal(o *operand, v *ir.Value) error {
	switch {
	case v.Lit == nil || v.Lit.IsList && o.Lit != "real":
		return fmt.Errorf("%s, want a number for %s", v.Type, o.Elem)
	case o.Lit == "real":
		if old, ok := b.reals[o.Elem]; ok && realOf(old) != realOf(v.Lit) {
			return fmt.Errorf("%s is %s and %s", o.Elem, realOf(old).Name, realOf(v.Lit).Name)
		}
		b.reals[o.Elem] = v.Lit
		return nil
	}
	x := int(v.Lit.Num)
	if float64(x) != v.Lit.Num {
		return fmt.Errorf("%s is %g, want a whole number", o.Elem, v.Lit.Num)
	}
	return b.dim(o.Elem, x)
}

func (b *binding) axes(o *operand, v *ir.Value) error {
	dims, axes := v.Type.Dims, o.Dims
	if len(axes) > 0 && axes[0].Lead {
		lead := len(dims) - (len(axes) - 1)
		if lead < 0 {
			return fmt.Errorf("%s, want %s", v.Type, o)
		}
		size := ir.Of(v.Type.Elem, dims[:lead]...).Size()
		if err := b.dim(axes[0].Size.name(), size); err != nil {
			return fmt.Errorf("%s, want %s: %w", v.Type, o, err)
		}
		dims, axes = dims[lead:], axes[1:]
	}
	return b.match(o, axes, dims, v.Type.String())
}

// match binds axes to as many dims; is says what they're of.
func (b *binding) match(o *operand, axes []*axis, dims []int, is string) error {
	if len(dims) != len(axes) {
		return fmt.Errorf("%s, want %s", is, o)
	}
	for i, a := range axes {
		if name := a.Size.name(); name != "" {
			if err := b.dim(name, dims[i]); err != nil {
				return fmt.Errorf("%s, want %s: %w", is, o, err)
			}
			continue
		}
		b.later = append(b.later, func() error {
			x, err := a.Size.eval(b.dims)
			if err == nil && x != dims[i] {
				err = fmt.Errorf("%s is %d and %d", a.Size, x, dims[i])
			}
			if err != nil {
				return fmt.Errorf("%s, want %s: %w", is, o, err)
			}
			return nil
		})
	}
	return nil
}

func (b *binding) dim(name string, x int) error {
	if old, ok := b.dims[name]; ok && old != x {
		return fmt.Errorf("%s is %d and %d", name, old, x)
	}
	b.dims[name] = x
	return nil
}
