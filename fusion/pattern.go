package fusion

import (
	"slices"

	"hipc/ir"
	"hipc/ir/syntax"
)

// A pattern is a rule's body as a graph whose leaves are the rule's parameters. A parameter that stands for several
// operands is written out: one pattern a count.
type pattern struct {
	rule   *Rule
	params int
	nodes  []*patternNode // each after those that it reads
	outs   []*term
}

// A term is a value of a pattern: a parameter, a number, or a result of a node.
type term struct {
	param int // valid if node and num are nil
	num   *float64
	node  *patternNode
	out   int
}

type patternNode struct {
	op    *ir.Op
	args  []*term
	outs  int
	index int          // in nodes
	sink  bool         // no other node of the pattern reads it
	twin  *patternNode // the copy before this one: copies for the operands of a variadic parameter match in graph order
	pos   syntax.Pos
}

// expansion elaborates a body.
type expansion struct {
	*pattern
	count int // operands of the variadic parameter
	errs  syntax.Errors
	used  map[int]bool
}

// pattern is expand's, made once: nothing changes a pattern. The rule has been checked.
func (r *Rule) pattern(count int) *pattern {
	if p, ok := r.patterns.Load(count); ok {
		return p.(*pattern)
	}
	p, err := r.expand(count)
	if err != nil {
		panic(err) // expand(2) was tried when the rule was read
	}
	r.patterns.Store(count, p)
	return p
}

// expand writes the rule's pattern for count operands of its last parameter, if that is variadic.
func (r *Rule) expand(count int) (*pattern, error) {
	e := &expansion{pattern: &pattern{rule: r}, count: count, used: map[int]bool{}}
	names := map[string][]*term{}
	for _, p := range r.Decl.Params {
		n := 1
		if p.Many {
			n = count
		}
		for range n {
			names[p.Name] = append(names[p.Name], &term{param: e.params})
			e.params++
		}
	}
	if r.Decl.Expr != nil {
		e.outs = e.expr(r.Decl.Expr, names)
	} else {
		e.body(names)
	}
	if e.errs == nil {
		e.check()
	}
	return e.pattern, e.errs.Err()
}

func (e *expansion) errorf(pos syntax.Pos, format string, args ...any) []*term {
	e.errs.Add(syntax.Errorf(pos, format, args...))
	return nil
}

func (e *expansion) body(names map[string][]*term) {
	d := e.rule.Decl
	for i, s := range d.Body {
		pos := syntax.At(s.Pos)
		switch {
		case s.Return != nil:
			if i != len(d.Body)-1 {
				e.errorf(syntax.At(d.Body[i+1].Pos), "nothing may follow return")
				return
			}
			for _, x := range s.Return.Exprs {
				e.outs = append(e.outs, e.expr(x, names)...)
			}
			return
		case s.Assign != nil:
			a := s.Assign
			vs := e.expr(a.Expr, names)
			if vs == nil {
				return
			}
			if a.Add {
				x, ok := names[a.Names[0]]
				if !ok {
					e.unknown(a.Names[0], pos, names)
					return
				}
				vs = e.apply("add", append(slices.Clone(x), vs...), nil, pos)
			}
			if n := vs[0].node; len(vs) == 1 && len(a.Names) > 1 && n != nil && n.outs == 1 && vs[0].out == 0 {
				n.outs = len(a.Names) // an op with several results: they're bound all at once
				vs = nil
				for i := range a.Names {
					vs = append(vs, &term{node: n, out: i})
				}
			}
			if len(vs) != len(a.Names) {
				e.errorf(pos, "%d names for %d results", len(a.Names), len(vs))
				return
			}
			for j, n := range a.Names {
				names[n] = vs[j : j+1]
			}
		default:
			e.errorf(pos, "a fuse rule holds assignments and a return")
			return
		}
	}
	e.errorf(e.rule.Pos, "%s returns nothing: want a return at its end", e.rule.Name)
}

// check refuses a pattern that matches nothing, or binds less than its parameters.
func (e *expansion) check() {
	if len(e.nodes) == 0 {
		e.errorf(e.rule.Pos, "%s does nothing: its body applies no op", e.rule.Name)
		return
	}
	i := 0
	for _, p := range e.rule.Decl.Params {
		if !e.used[i] {
			e.errorf(syntax.At(p.Pos), "%s is read nowhere in %s", p.Name, e.rule.Name)
		}
		i++
	}
	needed := make([]bool, len(e.nodes))
	for _, o := range e.outs {
		if o.node == nil {
			e.errorf(e.rule.Pos, "%s returns what it was given", e.rule.Name)
			return
		}
		needed[o.node.index] = true
	}
	for i := len(e.nodes) - 1; i >= 0; i-- {
		n := e.nodes[i]
		n.sink = true
		for _, m := range e.nodes[i+1:] {
			for _, a := range m.args {
				if a.node == n {
					n.sink = false
				}
			}
		}
		if !needed[i] {
			e.errorf(n.pos, "what %s makes here is read nowhere", n.op.Name)
		}
		for _, a := range n.args {
			if a.node != nil {
				needed[a.node.index] = needed[a.node.index] || needed[i]
			}
		}
		e.checkAgain(n)
	}
}

// checkAgain refuses a rule whose steps could take away what others read who compute n for themselves: n's operand is there for them if it comes
// from outside or is a result, too. The search knows which nodes are done, not which values are there.
func (e *expansion) checkAgain(n *patternNode) {
	isResult := func(m *patternNode) bool {
		return slices.ContainsFunc(e.outs, func(o *term) bool { return o.node == m })
	}
	for _, a := range n.args {
		switch {
		case !n.op.Again || a.node == nil:
		case a.node.op.Again:
			e.errorf(n.pos, "%s of a %s: want two rules, each of which computes one of them", n.op.Name, a.node.op.Name)
		case isResult(n) && !isResult(a.node):
			e.errorf(n.pos, "%s returns what %s makes here, and not what that is made of: steps that compute it again would read that; return both", e.rule.Name, n.op.Name)
		}
	}
}

func (e *expansion) expr(x *syntax.Expr, names map[string][]*term) []*term {
	v := e.product(x.Left, names)
	for _, r := range x.Rest {
		v = e.infix(r.Op, v, e.product(r.Term, names), syntax.At(r.Pos))
	}
	return v
}

func (e *expansion) product(t *syntax.Term, names map[string][]*term) []*term {
	v := e.unary(t.Left, names)
	for _, r := range t.Rest {
		v = e.infix(r.Op, v, e.unary(r.Unary, names), syntax.At(r.Pos))
	}
	return v
}

func (e *expansion) infix(sign string, x, y []*term, pos syntax.Pos) []*term {
	if x == nil || y == nil {
		return nil
	}
	if len(x) != 1 || len(y) != 1 {
		return e.errorf(pos, "%s takes one value on each side, not %d and %d", sign, len(x), len(y))
	}
	for _, name := range ir.OpNames() {
		if op, _ := ir.OpByName(name); op.Infix == sign {
			return e.apply(name, []*term{x[0], y[0]}, nil, pos)
		}
	}
	return e.errorf(pos, "no op is written %s", sign)
}

func (e *expansion) unary(u *syntax.Unary, names map[string][]*term) []*term {
	v := e.primary(u.Primary, names)
	if !u.Minus || v == nil {
		return v
	}
	if len(v) == 1 && v[0].num != nil {
		x := -*v[0].num
		return []*term{{num: &x}}
	}
	return e.apply("neg", v, nil, syntax.At(u.Pos))
}

func (e *expansion) primary(p *syntax.Primary, names map[string][]*term) []*term {
	pos := syntax.At(p.Pos)
	switch {
	case len(p.Member) > 0 || p.Weight != nil || p.State != "" || p.List != nil:
		return e.errorf(pos, "a fuse rule speaks of its parameters, numbers and ops")
	case p.Paren != nil:
		return e.expr(p.Paren, names)
	case p.Number != "":
		x, err := syntax.Number(p.Number)
		if err != nil {
			return e.errorf(pos, "%s is no number", p.Number)
		}
		return []*term{{num: &x}}
	case p.Call != nil && p.Many:
		return e.each(p.Call, names)
	case p.Call != nil:
		return e.call(p.Call, names)
	}
	v, ok := names[p.Name]
	switch {
	case !ok:
		return e.unknown(p.Name, pos, names)
	case len(v) > 1 && !p.Many:
		return e.errorf(pos, "%s stands for several operands: want %s...", p.Name, p.Name)
	case p.Many && !e.isMany(p.Name):
		return e.errorf(pos, "%s stands for one operand, not for several", p.Name)
	}
	for _, t := range v {
		if t.node == nil && t.num == nil {
			e.used[t.param] = true
		}
	}
	return v
}

func (e *expansion) isMany(name string) bool {
	ps := e.rule.Decl.Params
	return len(ps) > 0 && ps[len(ps)-1].Many && ps[len(ps)-1].Name == name
}

func (e *expansion) unknown(name string, pos syntax.Pos, names map[string][]*term) []*term {
	var known []string
	for n := range names {
		known = append(known, n)
	}
	return e.errorf(pos, "nothing is called %s here%s", name, syntax.DidYouMean(name, known))
}

// each writes a call out, once for each operand of the variadic parameter. Alike copies are twins.
func (e *expansion) each(c *syntax.Call, names map[string][]*term) []*term {
	if !e.rule.many() {
		return e.errorf(syntax.At(c.Pos), "%s(…)...: the rule has no parameter that stands for several operands", c.Name)
	}
	name := e.rule.Decl.Params[len(e.rule.Decl.Params)-1].Name
	var out []*term
	var last *patternNode
	first := !slices.ContainsFunc(e.nodes, func(n *patternNode) bool { return n.twin != nil })
	for i := range e.count {
		one := map[string][]*term{}
		for k, v := range names {
			one[k] = v
		}
		one[name] = names[name][i : i+1]
		vs := e.call(c, one)
		if vs == nil {
			return nil
		}
		n := vs[0].node
		if first {
			n.twin, last = last, n
		}
		out = append(out, vs...)
	}
	return out
}

func (e *expansion) call(c *syntax.Call, names map[string][]*term) []*term {
	pos := syntax.At(c.Pos)
	var args []*term
	named := map[string]*term{}
	for _, a := range c.Args {
		vs := e.expr(a.Expr, names)
		switch {
		case vs == nil:
			return nil
		case a.Name == "" && len(named) > 0:
			return e.errorf(syntax.At(a.Pos), "%s: an operand by position can't follow one by name", c.Name)
		case a.Name == "":
			args = append(args, vs...)
		case len(vs) != 1:
			return e.errorf(syntax.At(a.Pos), "%s: %s has %d results, want one", c.Name, a.Name, len(vs))
		default:
			named[a.Name] = vs[0]
		}
	}
	return e.apply(c.Name, args, named, pos)
}

// apply adds a node.
func (e *expansion) apply(name string, args []*term, named map[string]*term, pos syntax.Pos) []*term {
	op, ok := ir.OpByName(name)
	if !ok {
		return e.errorf(pos, "no op is called %s%s", name, syntax.DidYouMean(name, ir.OpNames()))
	}
	args, err := ir.Fill(op, args, named, func(x float64) *term { return &term{num: &x} })
	if err != nil {
		return e.errorf(pos, "%v", err)
	}
	n := &patternNode{op: op, args: args, outs: 1, index: len(e.nodes), pos: pos}
	e.nodes = append(e.nodes, n)
	return []*term{{node: n}}
}
