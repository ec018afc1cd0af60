package engine

import (
	"bytes"
	"testing"

	"hipc/runtime/plan"
	"hipc/runtime/weights"
)

// TestRandomPieces: weights that are made by pieces, on all cores, are those that are made in one: a table of more than a piece, whose last one is
// shorter and ends within a group of rows, and a vector.
func TestRandomPieces(t *testing.T) {
	const rows, cols = 3*16384 + 7, 256
	p := &plan.Plan{Layers: 2, Weights: []plan.Weight{
		{Name: "table", Type: "f16[49159,256]", Layout: "x16"},
		{Name: "layers.{l}.norm", Type: "f32[256]", Layout: "rows", Bytes: 4 * cols, Layers: "0-1"},
	}}
	f, _ := weights.FormatByName("f16")
	l, _ := weights.LayoutByName("x16")
	p.Weights[0].Bytes = l.Bytes(f, rows, cols)
	got, free, err := randomWeights(p, 7)
	if err != nil {
		t.Fatal(err)
	}
	defer free()
	segments, _ := p.Segments()
	for _, s := range segments {
		f, l, n := f, l, rows
		if s.Weight.Layout == "rows" {
			f, _ = weights.FormatByName("f32")
			l, _ = weights.LayoutByName("rows")
			n = 1
		}
		want := make([]byte, s.Bytes)
		if err := l.Pack(want, f, n, cols, func(i int) []byte { return weights.Random(f, n, cols, s.Name, i, 7) }); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got[s.Offset:s.Offset+s.Bytes], want) {
			t.Errorf("%s in pieces isn't what it is in one", s.Name)
		}
	}
	if p.Weights[0].Bytes <= piece {
		t.Errorf("the table is %d bytes, a piece %d: nothing is cut", p.Weights[0].Bytes, piece)
	}
}
