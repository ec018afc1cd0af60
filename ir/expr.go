package ir

import (
	"hipc/ir/syntax"
)

// stmts runs the statements of block d and returns what it returns.
func (b *Builder) stmts(list []*syntax.Stmt, s *scope, d *syntax.Decl) []*Value {
	for i, st := range list {
		pos := syntax.At(st.Pos)
		switch {
		case st.Return != nil:
			if i != len(list)-1 {
				b.errorf(syntax.At(list[i+1].Pos), "nothing may follow return in block %s", d.Name)
				return nil
			}
			if len(st.Return.Exprs) == 0 && !b.Headless {
				b.errorf(pos, "block %s returns nothing: want return and a value", d.Name)
			}
			var out []*Value
			for _, e := range st.Return.Exprs {
				vs := b.expr(e, s)
				if vs == nil {
					return nil
				}
				out = append(out, vs...)
			}
			return out
		case st.Assign != nil:
			b.assign(st.Assign, s)
		case st.Launch != nil:
			b.launch(st.Launch, s, d)
		default:
			b.errorf(pos, "repeat stands at the top of a model, not in block %s", d.Name)
		}
	}
	b.errorf(syntax.At(d.Pos), "block %s returns nothing: want a return statement at its end", d.Name)
	return nil
}

func (b *Builder) launch(l *syntax.Launch, s *scope, d *syntax.Decl) {
	from, group := len(b.graph.Nodes), 1
	for _, n := range b.graph.Nodes {
		group = max(group, n.Launch+1)
	}
	for _, st := range l.Body {
		if st.Assign == nil {
			b.errorf(syntax.At(st.Pos), "a launch holds assignments")
			return
		}
		b.assign(st.Assign, s)
	}
	for _, n := range b.graph.Nodes[from:] {
		n.Launch = group
	}
}

func (b *Builder) assign(a *syntax.Assign, s *scope) {
	vs := b.expr(a.Expr, s)
	if vs == nil {
		for _, n := range a.Names { // so that one mistake isn't reported again at each use
			s.values[n] = nil
		}
		return
	}
	if a.Add {
		x, ok := s.values[a.Names[0]]
		switch {
		case !ok:
			b.unknown(a.Names[0], syntax.At(a.Pos), s)
			return
		case x == nil || len(vs) != 1:
			return
		}
		vs = b.Apply(ops["add"], []*Value{x, vs[0]}, "", syntax.At(a.Pos))
		if vs == nil {
			return
		}
	}
	if len(vs) != len(a.Names) {
		b.errorf(syntax.At(a.Pos), "%d names for %d results", len(a.Names), len(vs))
		return
	}
	for i, n := range a.Names {
		if n != "_" {
			b.rename(vs[i], n)
			s.values[n] = vs[i]
		}
	}
}

func (b *Builder) unknown(name string, pos syntax.Pos, s *scope) {
	b.errorf(pos, "nothing is called %s here%s", name, syntax.DidYouMean(name, b.valueNames(s)))
}

// one evaluates an expression that has one result.
func (b *Builder) one(e *syntax.Expr, s *scope) *Value {
	vs := b.expr(e, s)
	if len(vs) > 1 {
		b.errorf(syntax.At(e.Pos), "this has %d results, want one", len(vs))
	}
	if len(vs) != 1 {
		return nil
	}
	return vs[0]
}

func (b *Builder) expr(e *syntax.Expr, s *scope) []*Value {
	x := b.term(e.Left, s)
	for _, r := range e.Rest {
		x = b.binary(r.Op, x, b.term(r.Term, s), syntax.At(r.Pos))
	}
	return x
}

func (b *Builder) term(t *syntax.Term, s *scope) []*Value {
	x := b.unary(t.Left, s)
	for _, r := range t.Rest {
		x = b.binary(r.Op, x, b.unary(r.Unary, s), syntax.At(r.Pos))
	}
	return x
}

var infix = map[string]string{"+": "add", "-": "sub", "*": "mul", "/": "div"}

func (b *Builder) binary(op string, x, y []*Value, pos syntax.Pos) []*Value {
	if x == nil || y == nil {
		return nil
	}
	if len(x) != 1 || len(y) != 1 {
		b.errorf(pos, "%s takes one value on each side, not %d and %d", op, len(x), len(y))
		return nil
	}
	return b.Apply(ops[infix[op]], []*Value{x[0], y[0]}, "", pos)
}

func (b *Builder) unary(u *syntax.Unary, s *scope) []*Value {
	x := b.primary(u.Primary, s)
	if !u.Minus || x == nil {
		return x
	}
	return b.Apply(ops["neg"], x, "", syntax.At(u.Pos))
}

func (b *Builder) primary(p *syntax.Primary, s *scope) []*Value {
	pos := syntax.At(p.Pos)
	vs := b.atom(p, s, pos)
	for _, m := range p.Member {
		if len(vs) != 1 || vs[0].Weight == nil {
			b.errorf(pos, "only a weight has members (.%s)", m)
			return nil
		}
		v := b.member(vs[0], m, pos)
		if v == nil {
			return nil
		}
		vs = []*Value{v}
	}
	return vs
}

func (b *Builder) atom(p *syntax.Primary, s *scope, pos syntax.Pos) []*Value {
	switch {
	case p.Weight != nil:
		if v := b.weight(p.Weight, s); v != nil {
			return []*Value{v}
		}
		return nil
	case p.Call != nil:
		return b.call(p.Call, s, p.Many)
	case p.Number != "":
		x, err := syntax.Number(p.Number)
		if err != nil {
			b.errorf(pos, "%s is no number", p.Number)
			return nil
		}
		v := Number(x)
		v.Pos = pos
		return []*Value{v}
	case p.List != nil:
		l := &Literal{IsList: true}
		for _, e := range p.List.Exprs {
			x, ok := b.number(e, s)
			if !ok {
				return nil
			}
			l.List = append(l.List, x)
		}
		return []*Value{{Lit: l, Pos: pos}}
	case p.Paren != nil:
		return b.expr(p.Paren, s)
	case p.State != "":
		b.errorf(pos, "a state stands among the operands of the op that keeps it")
		return nil
	}
	if p.Many {
		if vs, ok := s.many[p.Name]; ok {
			return vs
		}
	}
	if v, ok := s.values[p.Name]; ok {
		if v == nil {
			return nil
		}
		return []*Value{v}
	}
	if x, ok := b.Nums[p.Name]; ok {
		v := Number(x)
		v.Pos = pos
		return []*Value{v}
	}
	if list, ok := b.Lists[p.Name]; ok {
		return []*Value{{Lit: &Literal{IsList: true, List: list}, Pos: pos}}
	}
	b.unknown(p.Name, pos, s)
	return nil
}
