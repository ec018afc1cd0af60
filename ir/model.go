package ir

import (
	"strconv"

	"hipc/ir/syntax"
)

// Build makes a model of a parsed text: blocks, statements before the layers, one repeat, statements after it that
// make logits. Layers whose graphs come out alike share one body; they differ where the text, or the checkpoint's
// formats, say so.
func (b *Builder) Build(name string, f *syntax.File) (*Model, error) {
	m := &Model{Name: name}
	b.Blocks = map[string]*syntax.Decl{}
	var before, after []*syntax.Stmt
	var repeat *syntax.Repeat
	for _, it := range f.Items {
		switch {
		case it.Decl != nil && it.Decl.Kind != "block":
			b.errorf(syntax.At(it.Decl.Pos), "a model holds blocks; a %s rule belongs into a rules file", it.Decl.Kind)
			b.Blocks[it.Decl.Name] = it.Decl
		case it.Decl != nil:
			b.declare(it.Decl)
		case it.Stmt.Repeat != nil && repeat != nil:
			b.errorf(syntax.At(it.Stmt.Pos), "a model has one repeat")
		case it.Stmt.Repeat != nil:
			repeat = it.Stmt.Repeat
		case it.Stmt.Return != nil:
			b.errorf(syntax.At(it.Stmt.Pos), "return belongs into a block; a model ends with logits = …")
		case repeat == nil:
			before = append(before, it.Stmt)
		default:
			after = append(after, it.Stmt)
		}
	}
	if repeat == nil {
		pos := syntax.Pos{}
		if n := len(f.Items); n > 0 && f.Items[n-1].Stmt != nil {
			pos = syntax.At(f.Items[n-1].Stmt.Pos)
		}
		b.errorf(pos, "the model has no layers: want repeat h through layers[L]: block")
		return nil, b.Err()
	}
	carried := b.begin(m, before, repeat)
	if carried != nil {
		carried = b.layers(m, repeat, carried)
	}
	switch {
	case carried == nil:
	case b.Headless && m.Layers > 0 && len(after) == 0 && len(m.BodyOf(m.Layers-1).Graph.Results) == 0:
		m.End = b.Start("end")
	default:
		b.end(m, after, repeat, carried)
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return m, m.Verify()
}

func (b *Builder) declare(d *syntax.Decl) {
	if old := b.Blocks[d.Name]; old != nil {
		e := syntax.Errorf(syntax.At(d.Pos), "block %s is declared twice", d.Name)
		e.Notes = append(e.Notes, syntax.Note{Pos: syntax.At(old.Pos), Msg: "here first"})
		b.errs = append(b.errs, e)
		return
	}
	if _, ok := ops[d.Name]; ok || b.Fused[d.Name] != nil {
		b.errorf(syntax.At(d.Pos), "%s is an op already: a block needs a name of its own", d.Name)
	}
	b.Blocks[d.Name] = d
}

// begin builds what runs before the layers and returns the carried values that it makes.
func (b *Builder) begin(m *Model, stmts []*syntax.Stmt, r *syntax.Repeat) []*Value {
	token := &Value{Name: "token", Type: Of(I32)}
	b.layer = -1
	m.Begin = b.Start("begin", token)
	s := &scope{values: map[string]*Value{"token": token}}
	b.top(stmts, s)
	for _, name := range r.Carry {
		v, ok := s.values[name]
		switch {
		case !ok:
			b.unknown(name, syntax.At(r.Pos), s)
			return nil
		case v == nil:
			return nil
		}
		m.Begin.Results = append(m.Begin.Results, v)
	}
	return m.Begin.Results
}

func (b *Builder) top(stmts []*syntax.Stmt, s *scope) {
	d := &syntax.Decl{Name: "model"}
	for _, st := range stmts {
		switch {
		case st.Assign != nil:
			b.assign(st.Assign, s)
		case st.Launch != nil:
			b.launch(st.Launch, s, d)
		}
	}
}

// layers builds each layer's graph and keeps those that differ.
func (b *Builder) layers(m *Model, r *syntax.Repeat, in []*Value) []*Value {
	m.Layers = b.dim(r.Count, &scope{})
	if m.Layers > 4096 {
		b.errorf(syntax.At(r.Pos), "%d layers: no more than 4096 make sense", m.Layers)
		return nil
	}
	turns, ok := b.turns(m, r)
	if !ok {
		return nil
	}
	same := map[string]*Body{}
	for l, t := range turns {
		d := b.Blocks[t.Name]
		b.layer = l
		params := b.carried(r, d, in)
		g := b.Start(t.Name, params...)
		g.Results = b.Inline(d, params, r.Path+".{l}", nil, syntax.At(t.Pos))
		if len(b.errs) > 0 {
			return nil // the same mistakes in every layer
		}
		if r.To == nil && len(g.Results) != len(in) && !(b.Headless && len(g.Results) == 0 && l == m.Layers-1) {
			b.errorf(syntax.At(t.Pos), "block %s returns %d values, but repeat carries %d", t.Name, len(g.Results), len(in))
			return nil
		}
		for i, v := range g.Results {
			if r.To == nil && !v.Type.Equal(in[i].Type) {
				b.errorf(syntax.At(t.Pos), "block %s returns %s for %s, which is %s", t.Name, v.Type, in[i].Name, in[i].Type)
				return nil
			}
		}
		key := g.String()
		if same[key] == nil {
			same[key] = &Body{Graph: g}
			m.Bodies = append(m.Bodies, same[key])
		}
		same[key].Layers = append(same[key].Layers, l)
		if r.To != nil {
			in = g.Results
		}
	}
	b.nameBodies(m)
	if r.To != nil && len(in) != len(r.To) {
		b.errorf(syntax.At(r.Pos), "the last layer gives %d values, but repeat names %d", len(in), len(r.To))
		return nil
	}
	return in
}

// carried are a layer's parameters: what its predecessor gives, under the names of repeat, or of the block itself where
// each layer takes other values.
func (b *Builder) carried(r *syntax.Repeat, d *syntax.Decl, in []*Value) []*Value {
	var params []*Value
	for i, v := range in {
		name := v.Name
		switch {
		case r.To != nil && i < len(d.Params):
			name = d.Params[i].Name
		case r.To == nil && len(in) == len(r.Carry):
			name = r.Carry[i]
		}
		params = append(params, &Value{Name: name, Type: v.Type, Pos: v.Pos})
	}
	return params
}

// nameBodies gives bodies of one block that differ names of their own: delta, delta_2.
func (b *Builder) nameBodies(m *Model) {
	seen := map[string]int{}
	for _, body := range m.Bodies {
		name := body.Graph.Name
		if seen[name]++; seen[name] > 1 {
			body.Graph.Name = name + "_" + strconv.Itoa(seen[name])
		}
	}
}

// end builds what runs after the layers.
func (b *Builder) end(m *Model, stmts []*syntax.Stmt, r *syntax.Repeat, in []*Value) {
	b.layer = -1
	s := &scope{values: map[string]*Value{}}
	var params []*Value
	for i, v := range in {
		names := r.Carry
		if r.To != nil {
			names = r.To
		}
		p := &Value{Name: names[i], Type: v.Type, Pos: v.Pos}
		params = append(params, p)
		s.values[p.Name] = p
	}
	m.End = b.Start("end", params...)
	b.top(stmts, s)
	if len(b.errs) > 0 {
		return
	}
	v := s.values["logits"]
	if v == nil {
		b.errorf(syntax.At(r.Pos), "the model makes no logits: want logits = … after the layers")
		return
	}
	m.End.Results = []*Value{v}
	if next := s.values["next"]; next != nil {
		m.End.Results = append(m.End.Results, next)
	}
}
