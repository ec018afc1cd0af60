package ir

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"hipc/ir/syntax"
)

// An Op is a primitive operation: what it takes, what that gives, and what it means. Fused ops have none of these: all
// three follow from their body.
type Op struct {
	Name   string
	Params string // "x w eps:real", "x theta:real width:int=0", "x parts:list...": see param
	Doc    string // equations and source, for hipc's reader and ours

	// Types completes the weights among the operands and says what the op gives.
	Types func(c *Call) []Type
	// Eval computes the results for all rows. It may not look at anything but e.
	Eval func(e *Frame)

	Commutative bool // of its first two operands
	// Scalar computes a value of the result from those at the same place of the operands, if the op is elementwise: such may be
	// folded.
	Scalar    func(x []float64) float64
	Light     bool   // no matrix is read: may move across the end of a layer
	Again     bool   // steps that read it may each compute it for themselves: its one result is less work than a launch
	State     string // keeps state from token to token, called so: "kv"
	StateType func(n *Node) Type
	Infix     string // how it's written between its operands
}

var ops = map[string]*Op{}

// define adds op to the table. Only variables of this package call it, so the table is complete before main begins.
func define(op Op) *Op {
	if ops[op.Name] != nil {
		panic("ir: op defined twice: " + op.Name)
	}
	o := &op
	ops[op.Name] = o
	return o
}

// OpByName finds a primitive op.
func OpByName(name string) (*Op, bool) {
	o, ok := ops[name]
	return o, ok
}

// OpNames lists the primitive ops.
func OpNames() []string {
	names := make([]string, 0, len(ops))
	for n := range ops {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// A param is a formal parameter of an op: "x" a tensor, "eps:real" and "width:int" a number known at compile time,
// "factor:reals" a number or a list of some, "parts:list" a list of dimensions. "=" gives a default, "..." takes any number of arguments from there on.
type param struct {
	name, kind, def string
	many            bool
}

func (o *Op) params() []param {
	var out []param
	for _, f := range strings.Fields(o.Params) {
		p := param{name: f}
		if p.many = strings.HasSuffix(p.name, "..."); p.many {
			p.name = strings.TrimSuffix(p.name, "...")
		}
		p.name, p.def, _ = strings.Cut(p.name, "=")
		p.name, p.kind, _ = strings.Cut(p.name, ":")
		out = append(out, p)
	}
	return out
}

// A Call is an application of an op whose types are being found.
type Call struct {
	Op    *Op
	Args  []*Value
	Pos   syntax.Pos
	build *Builder
	errs  syntax.Errors
}

// Type is operand i's type.
func (c *Call) Type(i int) Type { return c.Args[i].Type }

// Num is operand i's number.
func (c *Call) Num(i int) float64 { return c.Args[i].Lit.Num }

// Int is operand i's number, which must be whole.
func (c *Call) Int(i int) int {
	x := c.Num(i)
	if x != float64(int(x)) {
		c.Errorf(i, "%s is %s, want a whole number", c.name(i), formatNumber(x))
	}
	return int(x)
}

func (c *Call) name(i int) string {
	ps := c.Op.params()
	return ps[min(i, len(ps)-1)].name
}

// Errorf reports a mistake at operand i.
func (c *Call) Errorf(i int, format string, args ...any) {
	pos := c.Pos
	if i >= 0 && i < len(c.Args) && c.Args[i].isWritten() {
		pos = c.Args[i].Pos
	}
	e := syntax.Errorf(pos, "%s: %s", c.Op.Name, fmt.Sprintf(format, args...))
	for j, a := range c.Args {
		if j != i && a.Node != nil && a.Pos.IsValid() && len(e.Notes) == 0 {
			e.Notes = append(e.Notes, syntax.Note{Pos: a.Pos, Msg: fmt.Sprintf("%s is %s, made here", c.name(j), a.Type)})
		}
	}
	c.errs = append(c.errs, e)
}

// isWritten says whether v's own position is a better place for an error than the call's: for weights and literals,
// which stand in the call's text, but not for values that were made elsewhere.
func (v *Value) isWritten() bool { return (v.Lit != nil || v.Weight != nil) && v.Pos.IsValid() }

// Vector says that operand i has these dims. If it is a weight, it's packed as f32: such are few and small.
func (c *Call) Vector(i int, dims ...int) {
	a := c.Args[i]
	switch {
	case a.Lit != nil:
		c.Errorf(i, "%s is a number, want a tensor %s", c.name(i), dimString(dims))
	case a.Weight != nil && a.Weight.open && len(a.Type.Dims) == 0:
		c.build.close(c, i, F32, dims)
	case a.Weight != nil && a.Weight.open:
		c.build.close(c, i, F32, a.Type.Dims)
	}
	if a.Lit == nil && !slices.Equal(a.Type.Dims, dims) {
		c.Errorf(i, "%s is %s, want %s", c.name(i), a.Type, dimString(dims))
	}
}

// Matrix says that operand i is a weight in a format of its own whose trailing dims are these; it returns the leading
// ones, which stand in the text.
func (c *Call) Matrix(i int, trailing ...int) []int {
	a := c.Args[i]
	open := a.Weight != nil && a.Weight.open
	switch {
	case a.Weight == nil && !a.IsParam(): // a parameter of a fused op's body stands for a weight
		c.Errorf(i, "%s is %s, want a weight (@name)", c.name(i), a.Type)
		return nil
	case open && len(a.Type.Dims) == 0:
		c.Errorf(i, "@%s needs its leading dims: @%s[…]", a.Weight.Path, a.Weight.Path)
		return nil
	}
	if open {
		c.build.close(c, i, "", append(slices.Clone(a.Type.Dims), trailing...))
	}
	n := len(a.Type.Dims) - len(trailing)
	if n < 0 || !slices.Equal(a.Type.Dims[n:], trailing) {
		c.Errorf(i, "%s is %s, want […,%s to match the operand", c.name(i), a.Type, dimString(trailing)[1:])
		return nil
	}
	return a.Type.Dims[:n]
}
