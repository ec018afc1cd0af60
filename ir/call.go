package ir

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"hipc/ir/syntax"
)

// call applies a block, a fused op or a primitive op. With many, an operand that stands for several makes several calls.
func (b *Builder) call(c *syntax.Call, s *scope, many bool) []*Value {
	pos := syntax.At(c.Pos)
	if many {
		return b.each(c, s, pos)
	}
	var args []*Value
	var states []string
	named := map[string]*Value{}
	bad := false
	for _, a := range c.Args {
		if st := stateOf(a); st != "" {
			states = append(states, st)
			continue
		}
		vs := b.expr(a.Expr, s)
		if vs == nil {
			bad = true
			continue
		}
		switch {
		case a.Name == "" && len(named) > 0:
			b.errorf(syntax.At(a.Pos), "%s: an operand by position can't follow one by name", c.Name)
			bad = true
		case a.Name == "":
			args = append(args, vs...)
		case len(vs) != 1:
			b.errorf(syntax.At(a.Pos), "%s: %s has %d results, want one", c.Name, a.Name, len(vs))
			bad = true
		default:
			named[a.Name] = vs[0]
		}
	}
	if bad {
		return nil
	}
	return b.invoke(c.Name, args, named, states, s.path, pos)
}

// each calls c once for each of the values that a name... among its operands stands for.
func (b *Builder) each(c *syntax.Call, s *scope, pos syntax.Pos) []*Value {
	name := ""
	for _, a := range c.Args {
		if p := soleName(a.Expr); p != "" && s.many[p] != nil {
			name = p
		}
	}
	if name == "" {
		b.errorf(pos, "%s(…)...: none of its operands stands for several values", c.Name)
		return nil
	}
	var out []*Value
	for _, v := range s.many[name] {
		one := *s
		one.values = map[string]*Value{name: v}
		for k, w := range s.values {
			one.values[k] = w
		}
		vs := b.call(c, &one, false)
		if vs == nil {
			return nil
		}
		out = append(out, vs...)
	}
	return out
}

func (b *Builder) invoke(name string, args []*Value, named map[string]*Value, states []string, path string, pos syntax.Pos) []*Value {
	if d := b.Blocks[name]; d != nil {
		for n := range named {
			b.errorf(pos, "%s: a block takes its operands by position, not as %s=", name, n)
			return nil
		}
		return b.Inline(d, defaults(d, args), path, nil, pos)
	}
	if d := b.Fused[name]; d != nil {
		return b.fused(d, defaults(d, args), states, pos)
	}
	op, ok := ops[name]
	if !ok {
		known := OpNames()
		for n := range b.Blocks {
			known = append(known, n)
		}
		for n := range b.Fused {
			known = append(known, n)
		}
		b.errorf(pos, "no op or block is called %s%s", name, syntax.DidYouMean(name, known))
		return nil
	}
	args, ok = b.operands(op, args, named, pos)
	if !ok {
		return nil
	}
	return b.Apply(op, args, b.stateName(op, states, path), pos)
}

// defaults adds the numbers that a call of d leaves out.
func defaults(d *syntax.Decl, args []*Value) []*Value {
	for i := len(args); i < len(d.Params) && d.Params[i].Default != ""; i++ {
		x, _ := syntax.Number(d.Params[i].Default)
		args = append(args, Number(x))
	}
	return args
}

// stateName is what a stateful op's state is called: as the text says, as the rule that makes the op was told, or after
// the path where the op stands.
func (b *Builder) stateName(op *Op, states []string, path string) string {
	switch {
	case op.State == "":
		return ""
	case len(states) > 0:
		return states[0]
	case len(b.state) > 0:
		s := b.state[0]
		if len(b.state) > 1 { // the last one stays, for an op and its twin that share it
			b.state = b.state[1:]
		}
		return s
	case path == "":
		return op.State
	}
	return path + "." + op.State
}

// fused makes a node of rule d: its body is the rule's, built on these very types.
func (b *Builder) fused(d *syntax.Decl, args []*Value, states []string, pos syntax.Pos) []*Value {
	n := &Node{Op: &Op{Name: d.Name, Params: d.Operands()}, Args: args, Pos: pos}
	inner := &Builder{Nums: b.Nums, Fused: nil, Resolve: nil, layer: b.layer, depth: b.depth}
	var params, bound []*Value
	for i, a := range args {
		v := a
		if a.Bound() {
			v = &Value{Name: d.Operand(i), Type: a.Type, Pos: a.Pos}
			params = append(params, v)
		}
		bound = append(bound, v)
	}
	n.Body = inner.Start(d.Name, params...)
	results := inner.Inline(d, bound, "", states, pos)
	if err := inner.Err(); err != nil {
		b.errs.Add(err)
		return nil
	}
	n.Body.Results = results
	var types []Type
	for _, r := range results {
		types = append(types, r.Type)
	}
	return b.add(n, types)
}

// Fill puts operands that are given by name, which it takes out of named, and defaults, of which number makes operands, into their
// places. They are values, or what a pattern has for them.
func Fill[T any](op *Op, args []T, named map[string]T, number func(float64) T) ([]T, error) {
	ps := op.params()
	var names []string
	for i, p := range ps {
		names = append(names, p.name)
		if i < len(args) || p.many {
			continue
		}
		switch v, ok := named[p.name]; {
		case ok:
			args = append(args, v)
			delete(named, p.name)
		case p.def != "":
			x, _ := syntax.Number(p.def)
			args = append(args, number(x))
		default:
			return nil, fmt.Errorf("%s(%s) lacks its operand %s", op.Name, strings.Join(strings.Fields(op.Params), ", "), p.name)
		}
	}
	for _, n := range slices.Sorted(maps.Keys(named)) {
		return nil, fmt.Errorf("%s takes no operand %s%s", op.Name, n, syntax.DidYouMean(n, names))
	}
	if len(args) > len(ps) && (len(ps) == 0 || !ps[len(ps)-1].many) {
		return nil, fmt.Errorf("%s(%s) takes %d operands, not %d", op.Name, strings.Join(strings.Fields(op.Params), ", "), len(ps), len(args))
	}
	return args, nil
}

// operands puts named operands and defaults into place and checks their kinds.
func (b *Builder) operands(op *Op, args []*Value, named map[string]*Value, pos syntax.Pos) ([]*Value, bool) {
	args, err := Fill(op, args, named, Number)
	if err != nil {
		b.errorf(pos, "%v", err)
		return nil, false
	}
	ps := op.params()
	for i, a := range args {
		p := ps[min(i, len(ps)-1)]
		isNum, isList := a.Lit != nil && !a.Lit.IsList, a.Lit != nil && a.Lit.IsList
		switch {
		case (p.kind == "real" || p.kind == "int") && !isNum:
			b.errorf(pos, "%s: %s is known at compile time: want a number", op.Name, p.name)
			return nil, false
		case p.kind == "reals" && a.Lit == nil:
			b.errorf(pos, "%s: %s is known at compile time: want a number or a list of some", op.Name, p.name)
			return nil, false
		case p.kind == "list" && !isList:
			b.errorf(pos, "%s: %s is a list of dims: want […]", op.Name, p.name)
			return nil, false
		case p.kind == "list":
			for _, x := range a.Lit.List {
				if !b.isDim(x, a.Pos) {
					return nil, false
				}
			}
		case p.kind == "" && a.Lit != nil && op.Scalar == nil:
			b.errorf(pos, "%s: %s is a tensor: want a value", op.Name, p.name)
			return nil, false
		}
	}
	return args, true
}

// soleName is the name that e consists of, if it's nothing else.
func soleName(e *syntax.Expr) string {
	if p := sole(e); p != nil {
		return p.Name
	}
	return ""
}

func stateOf(a *syntax.Arg) string {
	if p := sole(a.Expr); p != nil && a.Name == "" {
		return strings.TrimPrefix(p.State, "&")
	}
	return ""
}

func sole(e *syntax.Expr) *syntax.Primary {
	if len(e.Rest) > 0 || len(e.Left.Rest) > 0 || e.Left.Left.Minus {
		return nil
	}
	return e.Left.Left.Primary
}
