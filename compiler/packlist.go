package compiler

import (
	"fmt"
	"slices"
	"strings"

	"hipc/codegen"
	"hipc/ir"
	"hipc/kernels"
	"hipc/runtime/plan"
	"hipc/runtime/weights"
)

// A packList collects the weights and states that the steps of all buckets name, in the order in which they're first
// met: decode comes first, so a token walks through the packed file from its beginning to its end.
type packList struct {
	target  *codegen.Target
	context int
	list    []*packed
	state   []*kept
}

// A packed weight is one entry of the plan: a name, a type and a layout, for some layers.
type packed struct {
	value  *ir.Value
	name   string
	layout string
	layers []int // ascending; nil for one without a layer
}

// A kept state is one entry of the plan.
type kept struct {
	name   string
	typ    ir.Type
	layers []int
}

// add records that a step of these layers reads v in a layout, and returns the operand's name.
func (p *packList) add(v *ir.Value, layers []int, layout string) (string, error) {
	if v.Type.Elem == ir.F32 && len(v.Type.Dims) == 1 {
		layout = "rows"
	}
	name, at := v.Weight.Path, layers
	if strings.Contains(name, "{l+1}") {
		name, at = strings.ReplaceAll(name, "{l+1}", "{l}"), nil
		for _, l := range layers {
			at = append(at, l+1)
		}
	} else if i := strings.IndexByte(name, '.'); layers == nil && strings.HasPrefix(name, "layers.") && i >= 0 {
		// The first layer's head, moved before the layers by rotation: layers.0.… is layer 0 of layers.{l}.…
		var l int
		rest := name[i+1:]
		if n, _ := fmt.Sscanf(rest, "%d.", &l); n == 1 {
			name, at = "layers.{l}"+rest[strings.IndexByte(rest, '.'):], []int{l}
		}
	}
	if !strings.Contains(name, "{l}") {
		at = nil
	}
	for _, w := range p.list {
		if w.name != name || w.layers == nil != (at == nil) {
			continue
		}
		if !w.value.Type.Equal(v.Type) || w.value.Weight.FoldText() != v.Weight.FoldText() {
			if at != nil && !slices.ContainsFunc(at, func(l int) bool { return slices.Contains(w.layers, l) }) {
				continue // the same name in another layer, in another format
			}
			return "", fmt.Errorf("weight %s is read as %s and as %s", name, w.value.Type, v.Type)
		}
		if w.layout != layout {
			return "", fmt.Errorf("weight %s is read in layout %s and in %s: a weight has one", name, w.layout, layout)
		}
		for _, l := range at {
			if !slices.Contains(w.layers, l) {
				w.layers = append(w.layers, l)
			}
		}
		slices.Sort(w.layers)
		return v.Weight.Path, nil
	}
	p.list = append(p.list, &packed{v, name, layout, slices.Clone(at)})
	return v.Weight.Path, nil
}

// states records the states that a step of these layers keeps.
func (p *packList) states(n *ir.Node, names []string, layers []int) {
	for _, name := range names {
		i := slices.IndexFunc(p.state, func(k *kept) bool { return k.name == name })
		if i < 0 {
			p.state = append(p.state, &kept{name: name, typ: stateType(n)})
			i = len(p.state) - 1
		}
		for _, l := range layers {
			if !slices.Contains(p.state[i].layers, l) {
				p.state[i].layers = append(p.state[i].layers, l)
			}
		}
		slices.Sort(p.state[i].layers)
	}
}

// stateType is the type of the state handle that n makes or takes.
func stateType(n *ir.Node) ir.Type {
	for _, v := range slices.Concat(n.Outs, n.Args) {
		if v.Type.Elem == ir.KV {
			return v.Type
		}
	}
	return ir.Type{}
}

// plan writes the list as the plan has it.
func (p *packList) plan() (ws []plan.Weight, ss []plan.State, err error) {
	for _, w := range p.list {
		f, ok := weights.FormatByName(string(w.value.Type.Elem))
		l, ok2 := weights.LayoutByName(w.layout)
		if !ok || !ok2 {
			return nil, nil, fmt.Errorf("weight %s: no format %s in layout %s", w.name, w.value.Type.Elem, w.layout)
		}
		ws = append(ws, plan.Weight{
			Name: w.name, Type: w.value.Type.String(), Layout: w.layout, Layers: plan.FormatRanges(w.layers),
			Bytes: l.Bytes(f, w.value.Type.Lead(), w.value.Type.Last()), Expr: w.value.Weight.FoldText(),
		})
	}
	for _, k := range p.state {
		// K and V of every position, in whole pages.
		pages := (p.context + p.target.Page - 1) / p.target.Page
		ss = append(ss, plan.State{
			Name: k.name, Type: k.typ.String(), Layers: plan.FormatRanges(k.layers),
			Bytes: 2 * k.typ.Size() * pages * p.target.Page * p.target.KVBytes(),
		})
	}
	return ws, ss, nil
}

// layout names the file of packed weights: after the layout of its matrices.
func (p *packList) layout() string {
	for _, w := range p.list {
		if w.layout != "rows" {
			return w.layout
		}
	}
	return "rows"
}

// values finds what each weight of the plan is.
func (p *packList) values() map[string]*ir.Value {
	m := map[string]*ir.Value{}
	for _, w := range p.list {
		m[packKey(w.name, plan.FormatRanges(w.layers))] = w.value
	}
	return m
}

// cells are the small pieces of memory that the host and the tail write between replays.
func cells(context, page, rows, vocab int) []plan.Cell {
	var out []plan.Cell
	for _, c := range []struct {
		name string
		n    int
	}{
		{"token", rows},                        // the tokens of the next replay
		{"pos", 1},                             // the position of its first row
		{"live", 1},                            // how many of its rows are alive
		{"table", (context + page - 1) / page}, // the KV page of each page of positions
		{"next", 1},                            // the token that the tail has drawn
		{kernels.Ticket, 16},                   // zero between launches: who finishes last
		{"params", 8},                          // f32: temperature, top-k, top-p, min-p, repetition penalty
		{"rng", 2},                             // u64
		{"counts", vocab},                      // how often each token stands in the context
	} {
		out = append(out, plan.Cell{Name: c.name, Type: ir.Of(ir.I32, c.n).String(), Bytes: 4 * c.n})
	}
	return out
}
