package compiler

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"runtime"
	"sync"

	"hipc/ir"
	"hipc/runtime/plan"
	"hipc/runtime/weights"
)

// packChunk is how much of a weight is laid out at a time: enough for all cores, and never a model's worth of memory.
const packChunk = 16 << 20

// A packer writes the weights of a plan, in the plan's order and layouts.
type packer struct {
	src    *sourceMap
	values map[string]*ir.Value // what each weight of the plan is, by name and layers
}

func packKey(name, layers string) string { return name + " in " + layers }

// pack writes all segments of p to out, and calls progress with the bytes written so far.
func (k *packer) pack(ctx context.Context, out io.Writer, p *plan.Plan, progress func(done int64)) error {
	segments, total := p.Segments()
	var at int64
	for _, s := range segments {
		if err := zeros(out, s.Offset-at); err != nil {
			return err
		}
		if err := k.segment(ctx, out, s, func(n int64) { progress(s.Offset + n) }); err != nil {
			return fmt.Errorf("packing %s: %w", s.Name, err)
		}
		at = s.Offset + s.Bytes
	}
	progress(total)
	return zeros(out, total-at)
}

func zeros(out io.Writer, n int64) error {
	_, err := out.Write(make([]byte, n))
	return err
}

// segment writes one weight of one layer.
func (k *packer) segment(ctx context.Context, out io.Writer, s plan.Segment, progress func(int64)) error {
	v := k.values[packKey(s.Weight.Name, s.Weight.Layers)]
	f, _ := weights.FormatByName(string(v.Type.Elem))
	l, _ := weights.LayoutByName(s.Weight.Layout)
	rows, cols := v.Type.Lead(), v.Type.Last()
	raw, err := k.raw(v, s.Layer)
	if err != nil {
		return err
	}
	groups, size := l.Groups(rows), l.GroupBytes(f, cols)
	step := max(1, packChunk/size)
	buf := make([]byte, min(step, groups)*size)
	for from := 0; from < groups; from += step {
		if err := ctx.Err(); err != nil {
			return err
		}
		to := min(from+step, groups)
		b := buf[:(to-from)*size]
		if err := packParallel(b, l, f, rows, cols, raw, from, to); err != nil {
			return err
		}
		if _, err := out.Write(b); err != nil {
			return err
		}
		progress(int64(to) * int64(size))
	}
	return nil
}

// packParallel lays out groups [from, to) on all cores.
func packParallel(dst []byte, l weights.Layout, f weights.Format, rows, cols int, raw func(int) []byte, from, to int) error {
	workers := min(runtime.GOMAXPROCS(0), to-from)
	size := l.GroupBytes(f, cols)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		a, z := from+w*(to-from)/workers, from+(w+1)*(to-from)/workers
		wg.Add(1)
		go func() {
			defer wg.Done()
			errs[w] = l.PackGroups(dst[(a-from)*size:(z-from)*size], f, rows, cols, raw, a, z)
		}()
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// raw gives the bytes of the weight's rows in the format in which it's packed: as they are stored, or as fp32 for
// vectors and folded weights.
func (k *packer) raw(v *ir.Value, layer int) (func(i int) []byte, error) {
	if v.Weight.Fold == nil {
		s, err := k.source(v.Weight, v.Type, layer)
		if err != nil {
			return nil, err
		}
		if _, cols := s.shape(); s.format().Name == string(v.Type.Elem) && cols == v.Type.Last() {
			return s.raw, nil
		}
	}
	data, err := k.floats(v, layer)
	if err != nil {
		return nil, err
	}
	cols := v.Type.Last()
	b := make([]byte, 4*len(data))
	for i, x := range data {
		binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(x))
	}
	return func(i int) []byte { return b[4*i*cols : 4*(i+1)*cols] }, nil
}

// source finds the rows of a weight, or makes some.
func (k *packer) source(w *ir.Weight, t ir.Type, layer int) (source, error) {
	name := ir.Put(w.Path, layer)
	if s := k.src.tensor[name]; s != nil {
		return s, nil
	}
	f, ok := weights.FormatByName(string(t.Elem))
	if k.src.random == nil || !ok {
		return nil, fmt.Errorf("no tensor was found for %s", name)
	}
	return noise{f, t.Lead(), t.Last(), name, *k.src.random}, nil
}

// floats computes a vector, or a folded weight, in fp32.
func (k *packer) floats(v *ir.Value, layer int) ([]float32, error) {
	w := &ir.World{Layer: layer, Rows: 1, Weight: k.tensor}
	if v.Weight.Fold != nil {
		out, err := v.Weight.Eval(w, v.Type)
		if err != nil {
			return nil, err
		}
		return out.Data, nil
	}
	out, err := k.tensor(v.Weight, v.Type, layer)
	if err != nil {
		return nil, err
	}
	return out.Data, nil
}

// tensor reads a weight whole, in fp32.
func (k *packer) tensor(w *ir.Weight, t ir.Type, layer int) (*ir.Tensor, error) {
	src, err := k.source(w, t, layer)
	if err != nil {
		return nil, err
	}
	out := ir.NewTensor(t, 1)
	rows, cols := src.shape()
	for i := range rows {
		if err := src.format().Decode(out.Data[i*cols:(i+1)*cols], src.raw(i)); err != nil {
			return nil, err
		}
	}
	return out, nil
}
