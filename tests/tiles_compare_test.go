package tests

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"hipc/ir"
)

// A written is what some blocks left of a result: rows (of a product by expert: a row and a slot each), and a range of columns.
type written struct {
	rows     []int
	from, to int
}

// found looks for what isn't poison any more. It must be the same columns of each row.
func found(b []byte, cols int) (w written, err error) {
	for at := 0; at < len(b); at += 4 * cols {
		from, to, n := cols, 0, 0
		for i := range cols {
			if binary.LittleEndian.Uint32(b[at+4*i:]) != 0xffffffff {
				from, to, n = min(from, i), i+1, n+1
			}
		}
		switch {
		case n == 0:
			continue
		case n != to-from || w.rows != nil && (w.from != from || w.to != to):
			return w, fmt.Errorf("row %d: %d values in columns %d to %d, others have %d to %d", at/4/cols, n, from, to, w.from, w.to)
		}
		w.from, w.to = from, to
		w.rows = append(w.rows, at/4/cols)
	}
	if w.rows == nil {
		return w, fmt.Errorf("no result was written")
	}
	return w, nil
}

// compare holds what was written against Eval: of the whole node, or of one that has only these rows and columns.
func (r *tileRun) compare(m *tileMemory) (worst float64, err error) {
	got := make([][]byte, len(m.outs))
	for i, o := range r.node.Outs {
		got[i] = make([]byte, 4*r.rows()*o.Type.Size())
		if err := m.d.Read(got[i], m.outs[i]); err != nil {
			return 0, err
		}
	}
	node, graph, params, rows := r.node, r.graph, m.params, r.rows()
	w := written{to: r.node.Outs[0].Type.Last()}
	if r.blocks != nil {
		if w, err = found(got[0], w.to); err != nil {
			return 0, err
		}
		// Each block of a grid must have its share, or some results are nobody's.
		if share := len(got[0]) / 4 / r.choice.Grid; !r.each() && r.blocks[0] == 0 && len(w.rows)*(w.to-w.from) < share {
			return 0, fmt.Errorf("the first of %d blocks wrote %d values of %d", r.choice.Grid, len(w.rows)*(w.to-w.from), len(got[0])/4)
		}
		if node, params, err = r.narrowed(m.params, w); err != nil {
			return 0, err
		}
		if graph, err = meaning(r.row.Op, node); err != nil {
			return 0, err
		}
		rows = len(w.rows)
	} else {
		for i := range rows {
			w.rows = append(w.rows, i)
		}
	}
	want, err := graph.Eval(&ir.World{States: map[string]any{}, Rows: rows}, params)
	if err != nil {
		return 0, err
	}
	for i, t := range want {
		if t.Type.Elem == ir.I32 {
			for j, v := range t.Ints {
				if g := int(int32(binary.LittleEndian.Uint32(got[i][4*j:]))) - w.from; g != int(v) {
					return 0, fmt.Errorf("result %d: %d, want %d", i, g, v)
				}
			}
			continue
		}
		n, full := t.Type.Size(), r.node.Outs[i].Type.Size()
		if r.each() {
			full = r.node.Outs[i].Type.Last()
		}
		at := 0
		if r.blocks != nil {
			at = w.from
		}
		if n < 16 { // a single sum may be near 0: all rows are one
			var have []float32
			for _, row := range w.rows {
				have = append(have, getFloats(got[i][4*(row*full+at):], n)...)
			}
			e := nmse(have, t.Data)
			if worst = max(worst, e); !(e <= r.bar()) {
				return 0, fmt.Errorf("result %d, %d values: NMSE %.2g, want at most %.0g", i, len(have), e, r.bar())
			}
			continue
		}
		for j, row := range w.rows {
			have := getFloats(got[i][4*(row*full+at):], n)
			e := nmse(have, t.Data[j*n:(j+1)*n])
			if !(e <= r.bar()) {
				k := furthest(have, t.Data[j*n:(j+1)*n])
				return 0, fmt.Errorf("result %d, row %d: NMSE %.2g, want at most %.0g; value %d is %g, want %g", i, row, e, r.bar(), at+k, have[k], t.Data[j*n+k])
			}
			worst = max(worst, e)
		}
	}
	return worst, nil
}

// narrowed is the node that makes only what was written, and its operands, taken out of the full ones.
func (r *tileRun) narrowed(params []*ir.Tensor, w written) (*ir.Node, []*ir.Tensor, error) {
	dims, full, few := maps.Clone(r.dims), 0, w.to-w.from
	for _, d := range []string{"N", "F"} { // what a product's columns are called
		if r.dims[d] == r.node.Outs[0].Type.Last() && full == 0 {
			full, dims[d] = r.dims[d], few
		}
	}
	slots := 1
	if r.each() {
		slots, dims["A"] = r.dims["A"], 1
	}
	node, err := r.row.Example(dims, r.mix, r.reals)
	if err != nil || full == 0 {
		return nil, nil, fmt.Errorf("its outputs can't be narrowed: %v", err)
	}
	var out []*ir.Tensor
	for i, a := range node.Bound() {
		p, was := params[i], r.node.Bound()[i].Type
		switch {
		case p.Weight != nil: // rows of full, or of two of them, of each expert
			p = &ir.Tensor{Type: a.Type, Rows: 1, Weight: rowsOf{p.Weight, func(row int) int { return row/few*full + w.from + row%few }}}
		case was.Elem == ir.Act || was.Elem == ir.I32:
			t := ir.NewTensor(a.Type, len(w.rows))
			cut, size := 0, was.Size()
			if was.Last() == full && a.Type.Last() == few && full != few {
				cut = w.from
			}
			for j, row := range w.rows {
				at, n := row/slots*size+cut, a.Type.Size()
				if slots > 1 && a.Type.Size() < size { // the slot's own
					at += row % slots * (size / slots)
				}
				if was.Elem == ir.I32 {
					copy(t.Ints[j*n:(j+1)*n], p.Ints[at:])
				} else {
					copy(t.Data[j*n:(j+1)*n], p.Data[at:])
				}
			}
			p = t
		}
		out = append(out, p)
	}
	return node, slices.Clip(out), nil
}
