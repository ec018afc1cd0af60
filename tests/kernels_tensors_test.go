package tests

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"

	"hipc/ir"
	"hipc/runtime/weights"
)

// A packedWeight is a weight as a kernel reads it, and as the oracle does: row by row out of the same bytes.
type packedWeight struct {
	format     weights.Format
	layout     weights.Layout
	rows, cols int
	bytes      []byte
}

func (w *packedWeight) Row(i int, dst []float32) {
	w.layout.Row(w.bytes, w.format, w.rows, w.cols, i, dst)
}

// tensor is what the oracle takes for it: a matrix in its format, a vector as numbers.
func (w *packedWeight) tensor(t ir.Type) *ir.Tensor {
	if w.format.Rotates() {
		return &ir.Tensor{Type: t, Rows: 1, Rotation: weights.ReadRotation(w.format, w.bytes)}
	}
	if t.Elem != ir.F32 || w.layout.Name != "rows" {
		return &ir.Tensor{Type: t, Rows: 1, Weight: w}
	}
	x := ir.NewTensor(t, 1)
	for i := range w.rows {
		w.Row(i, x.Data[i*w.cols:(i+1)*w.cols])
	}
	return x
}

// randomWeight makes random stored bytes of a type and packs them.
func randomWeight(t ir.Type, layout string, r *rand.Rand) (*packedWeight, error) {
	f, ok := weights.FormatByName(string(t.Elem))
	if !ok {
		return nil, fmt.Errorf("no format is called %s", t.Elem)
	}
	if layout == "" || t.Elem == ir.F32 && len(t.Dims) < 2 {
		layout = "rows" // as the compiler packs vectors
	}
	l, ok := weights.LayoutByName(layout)
	if !ok {
		return nil, fmt.Errorf("no layout is called %s", layout)
	}
	w := &packedWeight{format: f, layout: l, rows: t.Lead(), cols: t.Last()}
	w.bytes = make([]byte, l.Bytes(f, w.rows, w.cols))
	var wrong error
	err := l.Pack(w.bytes, f, w.rows, w.cols, func(int) []byte {
		row, err := randomRow(f, w.cols, r)
		if err != nil {
			wrong = err
		}
		return row
	})
	if wrong != nil {
		err = wrong
	}
	return w, err
}

// randomRow is a row as a checkpoint stores it: values of about one, both signs, now and then a zero or a subnormal.
func randomRow(f weights.Format, cols int, r *rand.Rand) ([]byte, error) {
	var b []byte
	half := func(low, high int) { // ± 2^(low-15) ... 2^(high-14)
		e := low + r.IntN(high-low+1)
		if r.IntN(64) == 0 {
			e = 0
		}
		b = binary.LittleEndian.AppendUint16(b, uint16(r.IntN(2)<<15|e<<10|r.IntN(1024)))
	}
	codes := func(n int) {
		for range n {
			b = append(b, byte(r.IntN(256)))
		}
	}
	for range cols / f.Block {
		switch f.Name {
		case "f32":
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(r.NormFloat64())))
		case "f16":
			half(11, 15)
		case "bf16":
			b = binary.LittleEndian.AppendUint16(b, uint16(math.Float32bits(float32(r.NormFloat64()))>>16))
		case "q4_0":
			half(9, 13)
			codes(16)
		case "q4_1":
			half(9, 13)
			half(12, 15)
			codes(16)
		case "q8_0":
			half(6, 9)
			codes(32)
		case "i4_64", "i4_128":
			half(9, 13)
			b = append(b, byte(r.IntN(16)), 0)
			codes(f.Block / 2)
		case "rot_64", "rot_128":
			b = append(b, weights.Random(f, 1, f.Block, "a rotation", 0, r.Uint64())...)
		default:
			return nil, fmt.Errorf("the test makes no random rows of %s: teach randomRow", f.Name)
		}
	}
	return b, nil
}

// randomRows is an activation of so many rows.
func randomRows(t ir.Type, rows int, r *rand.Rand) *ir.Tensor {
	x := ir.NewTensor(t, rows)
	for i := range x.Data {
		x.Data[i] = float32(r.NormFloat64())
	}
	return x
}

// A pagedCache says where the device keeps K and V of a position: pages in an order of their own, in each K as
// [KV][D][page], then V as [KV][page][D] (templates/cpu/pages.h). A cache in f16 has K as it has V (templates/gpu/pages.hip).
type pagedCache struct {
	heads, width, page int
	half               bool
	table              []int32
}

func newPagedCache(t ir.Type, context, page int, elem string, r *rand.Rand) *pagedCache {
	p := &pagedCache{heads: t.Dims[0], width: t.Dims[1], page: page, half: elem == "f16"}
	for _, i := range r.Perm((context + page - 1) / page) {
		p.table = append(p.table, int32(i))
	}
	return p
}

func (p *pagedCache) values() int { return 2 * len(p.table) * p.page * p.heads * p.width }

func (p *pagedCache) k(position, head, d int) int {
	if p.half {
		return p.v(position, head, d) - p.page*p.heads*p.width
	}
	return int(p.table[position/p.page])*2*p.page*p.heads*p.width + (head*p.width+d)*p.page + position%p.page
}

func (p *pagedCache) v(position, head, d int) int {
	half := p.page * p.heads * p.width
	return int(p.table[position/p.page])*2*half + half + (head*p.page+position%p.page)*p.width + d
}

// randomCache is what positions 0 ... n-1 have left.
func (p *pagedCache) randomCache(n int, r *rand.Rand) *ir.Cache {
	row := func() []float32 {
		x := make([]float32, p.heads*p.width)
		for i := range x {
			if x[i] = float32(r.NormFloat64()); p.half {
				x[i] = fromHalf(toHalf(x[i]))
			}
		}
		return x
	}
	c := &ir.Cache{}
	for range n {
		c.K, c.V = append(c.K, row()), append(c.V, row())
	}
	return c
}

// bytes is the size of a value; put and get are of one at its place.
func (p *pagedCache) bytes() int {
	if p.half {
		return 2
	}
	return 4
}

func (p *pagedCache) put(b []byte, at int, v float32) {
	if p.half {
		binary.LittleEndian.PutUint16(b[2*at:], toHalf(v))
	} else {
		binary.LittleEndian.PutUint32(b[4*at:], math.Float32bits(v))
	}
}

func (p *pagedCache) get(b []byte, at int) float32 {
	if p.half {
		return fromHalf(binary.LittleEndian.Uint16(b[2*at:]))
	}
	return getFloat(b[4*at:])
}

// toHalf cuts a value of about 1 to binary16, and fromHalf is its inverse; what is below 2^-14 is 0.
func toHalf(x float32) uint16 {
	bits := math.Float32bits(x)
	sign, exp := uint16(bits>>16&0x8000), int(bits>>23&255)-112
	if exp <= 0 {
		return sign
	}
	return sign | uint16(exp)<<10 | uint16(bits>>13&1023)
}

func fromHalf(h uint16) float32 {
	sign, exp, frac := uint32(h&0x8000)<<16, uint32(h>>10&31), uint32(h&1023)
	if exp == 0 {
		x := float32(frac) / (1 << 24)
		return math.Float32frombits(math.Float32bits(x) | sign)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}

// each goes over the cache's values with their places in the pages.
func (p *pagedCache) each(c *ir.Cache, from int, f func(at int, value float32)) {
	for pos := from; pos < len(c.K); pos++ {
		for h := range p.heads {
			for d := range p.width {
				f(p.k(pos, h, d), c.K[pos][h*p.width+d])
				f(p.v(pos, h, d), c.V[pos][h*p.width+d])
			}
		}
	}
}

// nmse is the normalised mean square error of got; a NaN or an infinity that isn't in both is infinitely wrong.
func nmse(got, want []float32) float64 {
	err, size := 0.0, 0.0
	for i, w := range want {
		g := float64(got[i])
		w := float64(w)
		switch {
		case g == w || math.IsNaN(g) && math.IsNaN(w):
		case math.IsNaN(g) || math.IsNaN(w) || math.IsInf(g, 0) || math.IsInf(w, 0):
			return math.Inf(1)
		default:
			err += (g - w) * (g - w)
		}
		if !math.IsNaN(w) && !math.IsInf(w, 0) {
			size += w * w
		}
	}
	if err == 0 {
		return 0
	}
	return err / max(size, 1e-20) // a row of zeros has no size of its own
}
