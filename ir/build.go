package ir

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"hipc/ir/syntax"
)

// A Builder makes graphs of syntax. Blocks are inlined; a call of a rule in Fused makes a node with a body; anything
// else is a primitive op. Numbers and folded weights never become nodes: arithmetic on literals is done here, and an
// elementwise op on weights makes a new weight, computed when the model is packed.
type Builder struct {
	Nums   map[string]float64      // dims and reals of the model
	Lists  map[string][]float64    // reals that are lists in its checkpoint's config
	Blocks map[string]*syntax.Decl // block declarations
	Fused  map[string]*syntax.Decl // fuse rules
	// Resolve says in which format a weight is and under which path, given its whole dims. Nil: everything is f16.
	Resolve func(layer int, path string, dims []int, pos syntax.Pos) (Elem, string, error)
	// List is a list of names in the checkpoint's config, such as layer_types; nil where there's none.
	List func(field string) []string

	// Headless takes what a bucket without logits is printed as, too: its last layer returns nothing, and nothing follows.
	Headless bool

	graph   *Graph
	layer   int
	state   []string // states that the next stateful ops take, where they are given rather than named by path
	names   map[string]bool
	weights map[string]*Value
	errs    syntax.Errors
	depth   int
}

// scope is what names mean inside of one block.
type scope struct {
	values map[string]*Value
	many   map[string][]*Value
	path   string
}

// Start begins a graph with these parameters.
func (b *Builder) Start(name string, params ...*Value) *Graph {
	b.graph = &Graph{Name: name, Params: params}
	b.names = map[string]bool{}
	b.weights = map[string]*Value{}
	for _, p := range params {
		b.names[p.Name] = true
	}
	return b.graph
}

// Apply adds op to the graph and returns its results, after finding their types.
func (b *Builder) Apply(op *Op, args []*Value, state string, pos syntax.Pos) []*Value {
	c := &Call{Op: op, Args: args, Pos: pos, build: b}
	if v := fold(c); v != nil {
		return []*Value{v}
	}
	types := op.Types(c)
	if len(c.errs) > 0 {
		b.errs = append(b.errs, c.errs...)
		return nil
	}
	if v := b.foldWeights(c, types); v != nil {
		return []*Value{v}
	}
	n := &Node{Op: op, Args: args, Pos: pos}
	if op.State != "" {
		n.State = state
	}
	return b.add(n, types)
}

// add appends n with results of these types.
func (b *Builder) add(n *Node, types []Type) []*Value {
	base := autoName(n)
	for i, t := range types {
		name := base
		if len(types) > 1 {
			name = fmt.Sprintf("%s_%d", base, i)
		}
		n.Outs = append(n.Outs, &Value{Name: b.unique(name), Type: t, Node: n, Pos: n.Pos})
	}
	b.graph.Nodes = append(b.graph.Nodes, n)
	return n.Outs
}

// autoName names what n makes after the weight that it reads, or after its operand: names that stay when a step is
// inserted elsewhere.
func autoName(n *Node) string {
	for _, a := range n.Args {
		if a.Weight != nil {
			p := a.Weight.Path
			if base, member := cutMember(p); member != "" { // in_proj_z.rot is what rotates for in_proj_z
				return base[strings.LastIndexByte(base, '.')+1:] + "_" + member
			}
			return p[strings.LastIndexByte(p, '.')+1:]
		}
	}
	for _, a := range n.Args {
		if a.Bound() && len(n.Op.Name)+len(a.Name) < 40 {
			return a.Name + "_" + n.Op.Name
		}
	}
	return n.Op.Name
}

// unique makes name the graph's own: name, name_2, name_3, …
func (b *Builder) unique(name string) string {
	u := name
	for i := 2; b.names[u]; i++ {
		u = fmt.Sprintf("%s_%d", name, i)
	}
	b.names[u] = true
	return u
}

// rename gives v the name that the text gives it.
func (b *Builder) rename(v *Value, name string) {
	if v.Node == nil || v.Name == name {
		return
	}
	delete(b.names, v.Name)
	v.Name = b.unique(name)
}

// fold computes elementwise ops on literals.
func fold(c *Call) *Value {
	f := c.Op.Scalar
	if f == nil {
		return nil
	}
	x := make([]float64, len(c.Args))
	for i, a := range c.Args {
		if a.Lit == nil || a.Lit.IsList {
			return nil
		}
		x[i] = a.Lit.Num
	}
	v := Number(f(x))
	v.Pos = c.Pos
	return v
}

// foldWeights makes an elementwise op on weights and literals a weight.
func (b *Builder) foldWeights(c *Call, types []Type) *Value {
	if c.Op.Scalar == nil {
		return nil
	}
	w := &Weight{Fold: &Node{Op: c.Op, Args: c.Args, Pos: c.Pos}}
	for _, a := range c.Args {
		switch {
		case a.Weight != nil:
			if w.Path == "" {
				w.Path = a.Weight.Path
			}
			w.open = w.open || a.Weight.open
		case a.Lit == nil:
			return nil
		}
	}
	if w.Path == "" {
		return nil
	}
	v := &Value{Type: types[0], Weight: w, Pos: c.Pos}
	key := exprString(v)
	if old := b.weights[key]; old != nil && !w.open {
		return old
	}
	b.weights[key] = v
	return v
}

// close completes a weight whose dims were open.
func (b *Builder) close(c *Call, i int, elem Elem, dims []int) {
	v := c.Args[i]
	v.Weight.open = false
	if f := v.Weight.Fold; f != nil {
		for j, a := range f.Args {
			if a.Weight != nil && a.Weight.open {
				b.close(&Call{Op: f.Op, Args: f.Args, Pos: c.Pos, build: b}, j, elem, dims)
			}
		}
		v.Type = Of(F32, dims...)
		return
	}
	found := Elem("f16")
	if b.Resolve != nil {
		e, path, err := b.Resolve(b.layer, v.Weight.Path, dims, v.Pos)
		if err != nil {
			b.errs.Add(err)
			e = found
		} else {
			v.Weight.Path = path
		}
		found = e
	}
	if elem == "" {
		elem = found
	}
	v.Type = Of(elem, dims...)
}

// weight is the value of a weight in the text; nil where its dims are none, so that one mistake isn't reported again by what reads it.
func (b *Builder) weight(w *syntax.Weight, s *scope) *Value {
	path := strings.TrimPrefix(w.Path, "@")
	if w.Format == "" && s.path != "" {
		path = s.path + "." + path
	}
	v := &Value{Weight: &Weight{Path: path, open: w.Format == ""}, Type: Of(Elem(w.Format)), Pos: syntax.At(w.Pos)}
	for _, e := range w.Dims {
		n := len(b.errs)
		v.Type.Dims = append(v.Type.Dims, b.dim(e, s))
		if len(b.errs) > n {
			return nil
		}
	}
	key := path + dimString(v.Type.Dims) + w.Format
	if old := b.weights[key]; old != nil {
		return old
	}
	b.weights[key] = v
	return v
}

// dim evaluates an expression that must be a positive whole number.
func (b *Builder) dim(e *syntax.Expr, s *scope) int {
	x, ok := b.number(e, s)
	if !ok || !b.isDim(x, syntax.At(e.Pos)) {
		return 1
	}
	return int(x)
}

func (b *Builder) isDim(x float64, pos syntax.Pos) bool {
	if x != math.Trunc(x) || x < 1 || x > 1<<31 {
		b.errorf(pos, "a dimension is a positive whole number, not %s", formatNumber(x))
		return false
	}
	return true
}

// number evaluates an expression that must be known at compile time.
func (b *Builder) number(e *syntax.Expr, s *scope) (float64, bool) {
	v := b.one(e, s)
	if v == nil {
		return 0, false
	}
	if v.Lit == nil || v.Lit.IsList {
		b.errorf(syntax.At(e.Pos), "a dimension is a number, not a tensor")
		return 0, false
	}
	return v.Lit.Num, true
}

func (b *Builder) errorf(pos syntax.Pos, format string, args ...any) {
	b.errs = append(b.errs, syntax.Errorf(pos, format, args...))
}

// Copy adds n to the graph with its operands replaced, keeping its results' names and types: for passes that rebuild a
// graph. It returns the new results.
func (b *Builder) Copy(n *Node, args []*Value) []*Value {
	m := &Node{Op: n.Op, Args: args, State: n.State, Body: n.Body, Launch: n.Launch, Pos: n.Pos}
	for _, o := range n.Outs {
		m.Outs = append(m.Outs, &Value{Name: b.unique(o.Name), Type: o.Type, Node: m, Pos: o.Pos})
	}
	b.graph.Nodes = append(b.graph.Nodes, m)
	return m.Outs
}

// Inline applies a declaration (a block, or a lower rule) to values, in the graph that was started. states are what
// its stateful ops keep, in order; without them they're named by path.
func (b *Builder) Inline(d *syntax.Decl, args []*Value, path string, states []string, pos syntax.Pos) []*Value {
	s := &scope{values: map[string]*Value{}, many: map[string][]*Value{}, path: path}
	if d.At != "" {
		if s.path != "" {
			s.path += "."
		}
		s.path += d.At
	}
	if !b.bind(s, d, args, pos) {
		return nil
	}
	if b.depth++; b.depth > 64 {
		b.errorf(pos, "block %s calls itself", d.Name)
		return nil
	}
	defer func() { b.depth-- }()
	if states != nil {
		old := b.state
		b.state = states
		defer func() { b.state = old }()
	}
	if d.Expr != nil {
		return b.expr(d.Expr, s)
	}
	return b.stmts(d.Body, s, d)
}

func (b *Builder) bind(s *scope, d *syntax.Decl, args []*Value, pos syntax.Pos) bool {
	for i, p := range d.Params {
		if p.Many {
			s.many[p.Name] = args[min(i, len(args)):]
			return true
		}
		if i >= len(args) {
			break
		}
		s.values[p.Name] = args[i]
	}
	if len(args) != len(d.Params) {
		e := syntax.Errorf(pos, "%s takes %d operands, not %d", d.Name, len(d.Params), len(args))
		e.Notes = append(e.Notes, syntax.Note{Pos: syntax.At(d.Pos), Msg: d.Name + " is declared here"})
		b.errs = append(b.errs, e)
		return false
	}
	return true
}

// Err returns the mistakes found so far.
func (b *Builder) Err() error { return b.errs.Err() }

// numberNames lists what a name could have been.
func (b *Builder) valueNames(s *scope) []string {
	return append(slices.Collect(maps.Keys(s.values)), slices.Collect(maps.Keys(b.Nums))...)
}
