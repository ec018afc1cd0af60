package compiler

import (
	"context"
	"fmt"

	"hipc/ir"
	"hipc/runtime/weights"
)

// Oracle gives a model as its text and its checkpoint say, lowered, and the world to evaluate it in: ir.Model.Eval with
// no artifact, plan or layout between. done gives the checkpoint back.
func Oracle(ctx context.Context, opts Options) (m *ir.Model, w *ir.World, done func(), err error) {
	c, err := start(opts)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := c.run("lower"); err != nil {
		c.close()
		return nil, nil, nil, err
	}
	if !c.packs() {
		return nil, nil, nil, fmt.Errorf("%s: no weights to evaluate it with", opts.Model)
	}
	k := &packer{src: c.sources}
	w = &ir.World{Weight: func(x *ir.Weight, t ir.Type, layer int) (*ir.Tensor, error) {
		if t.Elem == ir.F32 {
			return k.tensor(x, t, layer)
		}
		s, err := k.source(x, t, layer)
		if err != nil {
			return nil, err
		}
		if f := s.format(); f.Rotates() {
			return &ir.Tensor{Type: t, Rows: 1, Rotation: weights.ReadRotation(f, s.raw(0))}, nil
		}
		return &ir.Tensor{Type: t, Rows: 1, Weight: matrix{s}}, nil
	}}
	return c.lowered, w, c.close, nil
}

// A matrix shows a source as an ir.Matrix.
type matrix struct{ source }

func (r matrix) Row(i int, dst []float32) {
	if err := r.format().Decode(dst, r.raw(i)); err != nil {
		panic("compiler: " + err.Error()) // its format was checked when it was found
	}
}
