package reference

import (
	"fmt"
	"strings"

	"hipc/ir"
	"hipc/runtime/plan"
	"hipc/runtime/weights"
)

// A packed is the block of packed weights with the names of what lies in it.
type packed struct {
	segments map[string]segment
	vectors  map[string]*ir.Tensor // decoded once: they are few and small
}

// A segment is one packed weight. It is an ir.Matrix.
type segment struct {
	typ        string
	bytes      []byte
	format     weights.Format
	layout     weights.Layout
	rows, cols int
}

// Row gives the values of row i.
func (s segment) Row(i int, dst []float32) {
	s.layout.Row(s.bytes, s.format, s.rows, s.cols, i, dst)
}

// openWeights finds the plan's weights in their block, and holds every size against its type.
func openWeights(p *plan.Plan, b []byte) (*packed, error) {
	w := &packed{segments: map[string]segment{}, vectors: map[string]*ir.Tensor{}}
	list, _ := p.Segments()
	for _, s := range list {
		x := segment{typ: s.Weight.Type, bytes: b[s.Offset : s.Offset+s.Bytes]}
		elem, _, _ := strings.Cut(s.Weight.Type, "[")
		var ok bool
		if x.format, ok = weights.FormatByName(elem); !ok || !x.format.Float() && !x.format.Rotates() {
			return nil, fmt.Errorf("plan: weight %s is %s: the reference knows %s", s.Name, s.Weight.Type, strings.Join(weights.FormatNames(), ", "))
		}
		if x.layout, ok = weights.LayoutByName(s.Weight.Layout); !ok {
			return nil, fmt.Errorf("plan: weight %s has layout %s, want one of %s", s.Name, s.Weight.Layout, strings.Join(weights.LayoutNames(), ", "))
		}
		w.segments[s.Name] = x
	}
	return w, nil
}

// check finds each weight that the graph reads, before anything is computed.
func (w *packed) check(m *ir.Model, vocab int) error {
	for _, g := range m.Graphs() {
		layers := []int{-1}
		for _, b := range m.Bodies {
			if b.Graph == g {
				layers = b.Layers
			}
		}
		for _, n := range g.Nodes {
			for _, a := range n.Args {
				if a.Weight == nil {
					continue
				}
				if n.Op.Name == "embed" && a.Type.Lead() != vocab {
					return fmt.Errorf("%s embeds %d tokens, the plan has %d", graphFile, a.Type.Lead(), vocab)
				}
				for _, l := range layers {
					if err := w.find(ir.Put(a.Weight.Path, l), a.Type); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// find gives a segment its shape, which is that of the graph's type.
func (w *packed) find(name string, t ir.Type) error {
	s, ok := w.segments[name]
	if !ok {
		return fmt.Errorf("%s reads weight %s, which the plan doesn't have", graphFile, name)
	}
	if t.String() != s.typ {
		return fmt.Errorf("weight %s is %s in %s and %s in the plan", name, t, graphFile, s.typ)
	}
	s.rows, s.cols = t.Lead(), t.Last()
	if s.cols%s.format.Block != 0 || s.layout.Bytes(s.format, s.rows, s.cols) != len(s.bytes) {
		return fmt.Errorf("weight %s has %d bytes, which isn't the size of %s in layout %s", name, len(s.bytes), t, s.layout)
	}
	w.segments[name] = s
	return nil
}

// tensor is an ir.World's Weight.
func (w *packed) tensor(x *ir.Weight, t ir.Type, layer int) (*ir.Tensor, error) {
	name := ir.Put(x.Path, layer)
	if v := w.vectors[name]; v != nil {
		return v, nil
	}
	s, ok := w.segments[name]
	if !ok {
		return nil, fmt.Errorf("no weight %s", name)
	}
	if s.format.Rotates() {
		return &ir.Tensor{Type: t, Rows: 1, Rotation: weights.ReadRotation(s.format, s.bytes)}, nil
	}
	if t.Elem != ir.F32 {
		return &ir.Tensor{Type: t, Rows: 1, Weight: s}, nil
	}
	v := &ir.Tensor{Type: t, Rows: 1, Data: make([]float32, t.Size())}
	for i := range s.rows {
		s.Row(i, v.Data[i*s.cols:(i+1)*s.cols])
	}
	w.vectors[name] = v
	return v, nil
}
