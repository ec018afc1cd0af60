package compiler

import (
	"fmt"
	"slices"
	"strings"

	"hipc/codegen"
	"hipc/ir"
	"hipc/ir/syntax"
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
	name, at := canonical(v.Weight.Path, layers)
	operand := v.Weight.Path
	v = canonicalWeight(v, layers)
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
		return operand, nil
	}
	p.list = append(p.list, &packed{v, name, layout, slices.Clone(at)})
	return operand, nil
}

// canonical is the name under which the plan lists a weight that steps of these layers call path, and the layers whose
// it is: layers.{l+1}.x of layers 0-28 is layers.{l}.x of 1-29. Rotation moves the first layer's head before the layers,
// where {l} is 0: layers.0.x is layers.{l}.x of layer 0.
func canonical(path string, layers []int) (string, []int) {
	if strings.Contains(path, "{l+1}") {
		var next []int
		for _, l := range layers {
			next = append(next, l+1)
		}
		return strings.ReplaceAll(path, "{l+1}", "{l}"), next
	}
	if layers == nil {
		if head, rest, ok := strings.Cut(path, ".0."); ok {
			return head + ".{l}." + rest, []int{0}
		}
	}
	if strings.Contains(path, "{l}") {
		return path, layers
	}
	return path, nil
}

// canonicalWeight is v under its canonical name, and so what it's folded from.
func canonicalWeight(v *ir.Value, layers []int) *ir.Value {
	if v.Weight == nil {
		return v
	}
	out, w := *v, *v.Weight
	w.Path, _ = canonical(w.Path, layers)
	if w.Fold != nil {
		fold := *w.Fold
		fold.Args = slices.Clone(fold.Args)
		for i, a := range fold.Args {
			fold.Args[i] = canonicalWeight(a, layers)
		}
		w.Fold = &fold
	}
	out.Weight = &w
	return &out
}

// states records the states that a step of these layers keeps or reads.
func (p *packList) states(refs []ir.StateRef, layers []int) {
	for _, ref := range refs {
		i := slices.IndexFunc(p.state, func(k *kept) bool { return k.name == ref.Name })
		if i < 0 {
			p.state = append(p.state, &kept{name: ref.Name, typ: ref.Type})
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

// bytes is what one layer keeps: K and V of every position, in whole pages; of any other state, what its type says.
func (p *packList) bytes(t ir.Type) int {
	if t.Elem != ir.KV {
		return 4 * t.Size()
	}
	pages := (p.context + p.target.Page - 1) / p.target.Page
	return 2 * t.Size() * pages * p.target.Page * p.target.KVBytes()
}

// plan writes the list as the plan has it.
func (p *packList) plan() (ws []plan.Weight, ss []plan.State, err error) {
	values := 0.0 // a product of dims may be more than an int holds
	for _, w := range p.list {
		size := float64(max(len(w.layers), 1))
		for _, d := range w.value.Type.Dims {
			size *= float64(d)
		}
		if values += size; values/2 > plan.MaxBlob {
			return nil, nil, syntax.Errorf(w.value.Pos, "up to %s the model has %.3g weights: more than any machine holds; look at its dims, and at --set", w.name, values)
		}
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
		ss = append(ss, plan.State{Name: k.name, Type: k.typ.String(), Layers: plan.FormatRanges(k.layers), Bytes: p.bytes(k.typ)})
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

// tickets is how many parts of a launch may finish in their last block.
const tickets = 8

// cells are the small pieces of memory that the host and the tail write between replays.
func cells(context, page, rows, vocab int) []plan.Cell {
	type cell struct {
		name string
		n    int
	}
	list := []cell{
		{"token", rows},                        // the tokens of the next replay: the host's, or what the tail has drawn
		{"pos", 1},                             // the position of its first row; the tail moves it on
		{"live", 1},                            // how many of its rows are alive
		{"table", (context + page - 1) / page}, // the KV page of each page of positions
		{kernels.Ticket, kernels.Tickets},      // zero between launches: which block finishes last
		{"params", 8},                          // f32: temperature, top-k, top-p, min-p, repetition penalty
		{"rng", 2},                             // u64
		{"counts", vocab},                      // how often each token stands in the context
	}
	for i := 1; i < tickets; i++ {
		list = append(list, cell{fmt.Sprintf("%s_%d", kernels.Ticket, i), kernels.Tickets})
	}
	var out []plan.Cell
	for _, c := range list {
		out = append(out, plan.Cell{Name: c.name, Type: ir.Of(ir.I32, c.n).String(), Bytes: 4 * c.n})
	}
	return out
}
