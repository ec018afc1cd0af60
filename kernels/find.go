package kernels

import (
	"errors"
	"fmt"
	"hash/fnv"
	"path"
	"slices"
	"strconv"
	"strings"

	"hipc/ir"
	"hipc/ir/syntax"
)

func (k *Kernel) on(target string) bool {
	ok, _ := path.Match(k.Targets, target)
	return ok
}

func (t table) find(target string, n *ir.Node, d Dims) (*Choice, error) {
	var why []string
	for _, r := range t[n.Op.Name] {
		if !r.on(target) {
			continue
		}
		l, err := r.line()
		if err != nil {
			panic("kernels: " + r.Op + ": " + err.Error()) // TestRegistry reads all rows
		}
		c, err := l.choose(n, d)
		if err == nil {
			return c, nil
		}
		why = append(why, fmt.Sprintf("%s: %v", l.Inst, err))
	}
	return nil, t.missing(target, n, d, why)
}

// A Missing says that no kernel of the target computes a node. It is no mistake in a model, but work to do.
type Missing struct {
	Op, Types, Target string
	Why               []string // a reason a row of that op and target; or what else is near
}

func (m *Missing) Error() string {
	s := fmt.Sprintf("no kernel of %s computes %s%s", m.Target, m.Op, m.Types)
	if len(m.Why) > 0 {
		s += ": " + strings.Join(m.Why, "; ")
	}
	return s
}

// IsMissing says whether err is that a kernel isn't there.
func IsMissing(err error) bool {
	var m *Missing
	return errors.As(err, &m)
}

// missing is the error that says what the table lacks.
func (t table) missing(target string, n *ir.Node, d Dims, why []string) error {
	m := &Missing{Op: n.Op.Name, Types: typesOf(n), Target: target, Why: why}
	if d.T > 1 {
		m.Types += fmt.Sprintf(" on %d rows", d.T)
	}
	if len(why) > 0 {
		return m
	}
	var others, names []string
	for _, l := range t[n.Op.Name] {
		if !slices.Contains(others, l.Targets) {
			others = append(others, l.Targets)
		}
	}
	if len(others) > 0 {
		m.Why = []string{n.Op.Name + " is there on " + strings.Join(others, ", ")}
		return m
	}
	for op, rows := range t {
		if slices.ContainsFunc(rows, func(r *row) bool { return r.on(target) }) {
			names = append(names, op)
		}
	}
	slices.Sort(names)
	switch near := syntax.Near(n.Op.Name, names); {
	case len(names) == 0:
		m.Why = []string{"it has none at all"}
	case len(near) > 0:
		m.Why = []string{"it has " + strings.Join(near, ", ")}
	}
	return m
}

// typesOf is a node's operands and results as in a signature.
func typesOf(n *ir.Node) string {
	list := func(vs []*ir.Value) string {
		var s []string
		for _, v := range vs {
			switch {
			case v.Lit != nil && v.Lit.IsList:
				s = append(s, fmt.Sprint(v.Lit.List))
			case v.Lit != nil:
				s = append(s, strconv.FormatFloat(v.Lit.Num, 'g', -1, 64))
			default:
				s = append(s, v.Type.String())
			}
		}
		return strings.Join(s, ", ")
	}
	return "(" + list(n.Args) + ") -> " + list(n.Outs)
}

// choose puts n's dims into l, or says why it doesn't fit.
func (l *line) choose(n *ir.Node, d Dims) (*Choice, error) {
	b, err := l.sig.unify(n, d.bind(), l.formats)
	if err != nil {
		return nil, err
	}
	if l.where != nil {
		ok, err := l.where.holds(b.dims)
		if err != nil {
			return nil, fmt.Errorf("where %s: %w", l.Where, err)
		}
		if !ok {
			return nil, fmt.Errorf("only where %s", l.Where)
		}
	}
	c := &Choice{Kernel: l.Kernel, Dims: b.dims, Elems: b.elems, Layout: l.Layout, open: b.open, Cells: slices.Clone(l.cells), Block: 1}
	for _, f := range []struct {
		e    *sum
		to   *int
		text string
	}{{l.grid, &c.Grid, l.Grid}, {l.block, &c.Block, l.Block}, {l.lds, &c.LDS, l.LDS}, {l.scratch, &c.Scratch, l.Scratch}} {
		if f.e == nil {
			continue
		}
		if *f.to, err = f.e.eval(b.dims); err != nil {
			return nil, fmt.Errorf("%s: %w", f.text, err)
		}
	}
	if c.Grid < 1 || c.Grid > 1<<31-1 {
		return nil, fmt.Errorf("a grid of %d blocks", c.Grid)
	}
	if l.lean != nil {
		if c.Lean, err = l.lean.holds(b.dims); err != nil {
			return nil, fmt.Errorf("lean %s: %w", l.Lean, err)
		}
		for _, f := range b.elems {
			c.Lean = c.Lean && slices.Contains(leanFormats, f)
		}
	}
	c.Inst, err = l.inst.text(c, b)
	return c, err
}

// text is i with all values put in, and notes the real numbers that it names.
func (i *instance) text(c *Choice, b *binding) (string, error) {
	args := make([]string, len(i.Args))
	for k, a := range i.Args {
		if a.Inst != nil {
			s, err := a.Inst.text(c, b)
			if err != nil {
				return "", err
			}
			args[k] = s
			continue
		}
		name := a.Sum.name()
		if f, ok := b.elems[name]; ok {
			args[k] = trait[f]
			continue
		}
		if x, ok := b.reals[name]; ok {
			r := realOf(x)
			if !slices.Contains(c.Reals, r) {
				c.Reals = append(c.Reals, r)
			}
			args[k] = r.Name
			continue
		}
		if _, bound := b.dims[name]; !bound && isType(name) {
			args[k] = name
			continue
		}
		x, err := a.Sum.eval(b.dims)
		if err != nil {
			return "", err
		}
		args[k] = strconv.Itoa(x)
	}
	return i.Name + "<" + strings.Join(args, ", ") + ">", nil
}

var inName = strings.NewReplacer("-", "m", "+", "", ".", "p")

// realOf names a real number, 1e-05 is r1em05, -0.125 is rm0p125, and a list of some after their digest.
func realOf(l *ir.Literal) Real {
	if !l.IsList {
		text := strconv.FormatFloat(l.Num, 'g', -1, 64)
		return Real{Name: "r" + inName.Replace(text), Text: text}
	}
	all := make([]string, len(l.List))
	for i, x := range l.List {
		all[i] = strconv.FormatFloat(x, 'g', -1, 64)
	}
	text := strings.Join(all, ", ")
	h := fnv.New64a()
	h.Write([]byte(text))
	return Real{Name: fmt.Sprintf("list%d_%016x", len(all), h.Sum64()), Text: text, List: true}
}

// Row is the row as reports name it: what is instantiated, and where it may be.
func (k *Kernel) Row() string {
	if k.Where == "" {
		return k.Inst
	}
	return k.Inst + " where " + k.Where
}
