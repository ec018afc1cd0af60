package compiler

import (
	"path"
	"slices"
	"strings"

	"hipc/ir/syntax"
)

// Lint says what a model text has without a use: dims, reals, blocks, parameters, values, formats and names of weights. A mistake that keeps
// the text from being compiled is an error of the first kind; what lint finds compiles, but seldom as it was meant.
func Lint(file, src string) (syntax.Errors, error) {
	t, err := ParseText(file, src)
	if err != nil {
		return nil, err
	}
	_, sources, err := t.elaborate(nil, nil, DefaultContext)
	if err != nil {
		return nil, err
	}
	l := &linter{text: t, blocks: map[string]*syntax.Decl{}}
	l.blocksAndValues()
	l.numbers()
	l.weights(sources.asked)
	if list, ok := l.found.Err().(syntax.Errors); ok {
		return list, nil
	}
	return nil, nil
}

type linter struct {
	text   *Text
	blocks map[string]*syntax.Decl
	read   []string // names that are read where no parameter or value has them
	found  syntax.Errors
}

func (l *linter) say(pos syntax.Pos, format string, args ...any) {
	l.found = append(l.found, syntax.Errorf(pos, format, args...))
}

// blocksAndValues follows the calls from the top of the graph, and within each block what is assigned.
func (l *linter) blocksAndValues() {
	var top []*syntax.Stmt
	for _, it := range l.text.Graph.Items {
		if it.Decl != nil {
			l.blocks[it.Decl.Name] = it.Decl
		} else {
			top = append(top, it.Stmt)
		}
	}
	called := map[string]bool{}
	var follow func(node any)
	follow = func(node any) {
		for _, u := range syntax.Uses(node) {
			if d := l.blocks[u.Name]; u.Called && d != nil && !called[u.Name] {
				called[u.Name] = true
				follow(d)
			}
		}
	}
	follow(top)
	for _, it := range l.text.Graph.Items {
		if d := it.Decl; d != nil {
			if !called[d.Name] {
				l.say(syntax.At(d.Pos), "block %s is never used", d.Name)
			}
			l.block(d)
		}
	}
	l.statements(top, []string{"token"}, []string{"logits"}, nil)
}

// block looks at a block's parameters and values.
func (l *linter) block(d *syntax.Decl) {
	var params []string
	used := map[string]bool{}
	for _, p := range d.Params {
		params = append(params, p.Name)
	}
	for _, node := range []any{d.Expr, d.Body} {
		for _, u := range syntax.Uses(node) {
			used[u.Name] = used[u.Name] || !u.Called
		}
	}
	for _, p := range d.Params {
		if !used[p.Name] {
			l.say(syntax.At(p.Pos), "block %s doesn't read its parameter %s", d.Name, p.Name)
		}
	}
	if d.Expr != nil {
		l.reads(syntax.Uses(d.Expr), params)
		return
	}
	l.statements(d.Body, params, nil, d)
}

// reads notes names that are no values: they're dims or reals.
func (l *linter) reads(list []syntax.Use, values []string) {
	for _, u := range list {
		if !u.Called && !slices.Contains(values, u.Name) {
			l.read = append(l.read, u.Name)
		}
	}
}

// statements finds values that are assigned and not read before they're assigned again, or at all. kept are read by whoever comes after.
func (l *linter) statements(list []*syntax.Stmt, values, kept []string, d *syntax.Decl) {
	type value struct {
		name string
		pos  syntax.Pos
	}
	var waiting []value // not read yet
	use := func(name string) {
		waiting = slices.DeleteFunc(waiting, func(v value) bool { return v.name == name })
	}
	unread := func(v value) {
		if !slices.Contains(kept, v.name) {
			l.say(v.pos, "%s is never read", v.name)
		}
	}
	for _, s := range list {
		uses := syntax.Uses(s)
		l.reads(uses, values)
		for _, u := range uses {
			if !u.Called {
				use(u.Name)
			}
		}
		if s.Repeat != nil {
			for _, c := range s.Repeat.Carry { // what the layers give
				waiting = append(waiting, value{c, syntax.At(s.Pos)})
			}
		}
		if s.Assign == nil {
			continue
		}
		for _, n := range s.Assign.Names {
			for _, v := range waiting {
				if v.name == n {
					unread(v)
				}
			}
			use(n)
			waiting = append(waiting, value{n, syntax.At(s.Assign.Pos)})
			values = append(values, n)
		}
	}
	for _, v := range waiting {
		unread(v)
	}
}

// numbers finds dims and reals that nothing reads: neither the graph nor another one nor a weight's rows.
func (l *linter) numbers() {
	read := slices.Clone(l.read)
	add := func(e *syntax.Expr) {
		for _, u := range syntax.Uses(e) {
			read = append(read, u.Name)
		}
	}
	all := slices.Concat(l.text.Dims, l.text.Reals)
	for _, f := range all {
		for _, e := range f.Alternatives {
			add(e.Expr)
			add(e.If[0])
			add(e.If[1])
		}
	}
	for _, a := range l.text.From {
		if a.First != nil {
			add(a.First)
		}
	}
	for i, f := range all {
		if !slices.Contains(read, f.Name) {
			kind := "dim"
			if i >= len(l.text.Dims) {
				kind = "real"
			}
			l.say(f.Pos, "%s %s is never used", kind, f.Name)
		}
	}
}

// weights finds formats and names for weights that the graph doesn't have.
func (l *linter) weights(asked map[string]bool) {
	var names []string
	for p := range asked {
		names = append(names, p, p[strings.LastIndexByte(p, '.')+1:])
	}
	slices.Sort(names)
	names = slices.Compact(names)
	for _, key := range sortedKeys(l.text.From) {
		if !slices.ContainsFunc(names, func(p string) bool { return p == key || strings.HasSuffix(p, "."+key) }) {
			l.say(l.text.From[key].Pos, "from: the graph has no weight %s%s", key, syntax.DidYouMean(key, names))
		}
	}
	for _, f := range l.text.Format {
		matches := func(p string) bool { ok, _ := path.Match(f.Glob, p); return ok }
		if !slices.ContainsFunc(names, matches) && !slices.ContainsFunc(slices.Collect(l.stored()), matches) {
			l.say(f.Pos, "formats: %s matches no weight of the graph%s", f.Glob, syntax.DidYouMean(strings.Trim(f.Glob, "*"), names))
		}
	}
}

// stored are the names under which weights that stand in for others are stored.
func (l *linter) stored() func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, key := range sortedKeys(l.text.From) {
			for _, p := range l.text.From[key].Parts {
				if !yield(p) || !yield(p[strings.LastIndexByte(p, '.')+1:]) {
					return
				}
			}
		}
	}
}
