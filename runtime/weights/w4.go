package weights

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
)

// Packed W4, as ParoQuant writes it (spec: paro_w4 §2-4): a linear layer of K
// inputs and N outputs is six tensors under one module's name. qweight, qzeros
// and scales are four-bit weights with zero points, in AutoAWQ's order: an
// int32 holds eight neighbouring outputs of one input. theta, pairs and
// channel_scales are a rotation of the input in groups.
//
// W4 shows the weights row by row in the format i4_G, and the rotation as one
// row in the format rot_G, G being the width of a group. Values stay what they
// are; only their order changes, and an angle becomes its cosine and sine.

// Stages is how many rotations follow each other; published checkpoints have
// no other number.
const Stages = 8

// i4 is the format of four-bit weights with zero points: a block is an f16
// scale s, a zero point z, a zero byte, and G/8 little-endian uint32, of which
// nibble i is weight 8j+i. w = (q - z)*s.
func i4(group int) Format {
	return Format{fmt.Sprintf("i4_%d", group), group, 4 + group/2, &codec{
		func(dst []float32, src []byte) {
			for ; len(dst) >= group; dst, src = dst[group:], src[4+group/2:] {
				s, z := half(src), int(src[2])
				for k := range group {
					dst[k] = float32(int(src[4+k/2]>>(4*(k%2))&15)-z) * s
				}
			}
		},
		[]part{{2, 1}, {1, 1}, {1, 1}, {4, group / 8}},
	}}
}

// rot is the format of a rotation: a block is, for its G channels, G f32
// scales, and per stage G partners (u8, within the group), G f32 cosines and G
// f32 sines, signed so that v[i] becomes cos[i]*v[i] + sin[i]*v[partner[i]].
func rot(group int) Format {
	bytes := group * (4 + Stages*9)
	return Format{fmt.Sprintf("rot_%d", group), group, bytes, &codec{nil, []part{{1, bytes}}}}
}

// Rotates says whether a row of the format is a rotation.
func (f Format) Rotates() bool { return strings.HasPrefix(f.Name, "rot_") }

// A W4 is one packed module, or several whose outputs follow each other.
type W4 struct {
	Group    int
	Rows     int // outputs, N
	Cols     int // inputs, K
	Tensors  []string
	qweight  *Tensor
	qzeros   *Tensor
	scales   *Tensor
	rotation []byte // empty: it has been left out
}

// W4 reads module, whose name has its prefix, if the checkpoint holds it in
// packed form: it does if, and only if, there's a module.qweight. rotation is
// what the names of its rotation begin with: "module." for a module of its
// own, or something else for one that others share; empty leaves it out.
func (c *Checkpoint) W4(module, rotation string, group int) (*W4, bool, error) {
	q, ok := c.Tensor(module + ".qweight")
	if !ok {
		return nil, false, nil
	}
	fail := func(format string, args ...any) (*W4, bool, error) {
		return nil, true, fmt.Errorf("%s: "+format, append([]any{c.Path}, args...)...)
	}
	if len(q.Dims) != 2 || q.Format.Name != "i32" {
		return fail("%s is %s%v, want i32[K, N/8]", q.Name, q.Format, q.Dims)
	}
	w := &W4{Group: group, Cols: q.Dims[0], Rows: 8 * q.Dims[1], qweight: q}
	if group < 1 || w.Cols%group != 0 {
		return fail("%s has %d inputs, want whole groups of %d (quantization_config.group_size)", module, w.Cols, group)
	}
	w.Tensors = append(w.Tensors, q.Name)
	for _, part := range []struct {
		to     **Tensor
		suffix string
		format string
		dims   []int
	}{
		{&w.qzeros, ".qzeros", "i32", []int{w.Cols / group, w.Rows / 8}},
		{&w.scales, ".scales", "f16", []int{w.Cols / group, w.Rows}},
	} {
		t, err := c.part(module+part.suffix, part.format, part.dims)
		if err != nil {
			return nil, true, err
		}
		*part.to = t
		w.Tensors = append(w.Tensors, t.Name)
	}
	if rotation == "" {
		return w, true, nil
	}
	var err error
	var names []string
	w.rotation, names, err = c.rotation(rotation, w.Cols, group)
	w.Tensors = append(w.Tensors, names...)
	return w, true, err
}

// part finds a tensor that must be there, with this format and one of these
// shapes (a leading 1 may be left out).
func (c *Checkpoint) part(name, format string, dims []int) (*Tensor, error) {
	t, ok := c.Tensor(name)
	if !ok {
		return nil, fmt.Errorf("%s: no tensor %s, want %s%v: a packed module has qweight, qzeros, scales, theta, pairs and channel_scales", c.Path, name, format, dims)
	}
	same := len(t.Dims) == len(dims)
	for i := range dims {
		same = same && t.Dims[i] == dims[i]
	}
	same = same || len(t.Dims) == 1 && len(dims) == 2 && dims[0] == 1 && t.Dims[0] == dims[1]
	if !same || t.Format.Name != format {
		return nil, fmt.Errorf("%s: tensor %s is %s%v, want %s%v", c.Path, name, t.Format, t.Dims, format, dims)
	}
	return t, nil
}

// rotation reads a rotation of cols channels into a row of format rot_G.
func (c *Checkpoint) rotation(prefix string, cols, group int) ([]byte, []string, error) {
	theta, err := c.part(prefix+"theta", "f16", []int{Stages, cols / 2})
	if err != nil {
		return nil, nil, err
	}
	pairs, err := c.part(prefix+"pairs", "i16", []int{Stages, cols})
	if err != nil {
		return nil, nil, err
	}
	scales, err := c.part(prefix+"channel_scales", "f16", []int{1, cols})
	if err != nil {
		return nil, nil, err
	}
	block := group * (4 + Stages*9)
	out := make([]byte, cols/group*block)
	for g := range cols / group {
		b := out[g*block:][:block]
		for i := range group {
			put(b[4*i:], half(scales.Raw(0)[2*(g*group+i):]))
		}
		for r := range Stages {
			st := b[4*group+9*group*r:][:9*group]
			seen := make([]bool, group)
			for t := range group / 2 {
				raw := pairs.Raw(r)[2*(g*group+2*t):]
				i, j := int(int16(binary.LittleEndian.Uint16(raw))), int(int16(binary.LittleEndian.Uint16(raw[2:])))
				if i < 0 || i >= group || j < 0 || j >= group || i == j || seen[i] || seen[j] {
					return nil, nil, fmt.Errorf("%s: %s: stage %d of group %d pairs channel %d with %d: want each of 0 to %d once", c.Path, pairs.Name, r, g, i, j, group-1)
				}
				seen[i], seen[j] = true, true
				sin, cos := math.Sincos(float64(half(theta.Raw(r)[2*(g*group/2+t):])))
				pair(st, group, i, j, float32(cos), float32(sin))
			}
		}
	}
	return out, []string{theta.Name, pairs.Name, scales.Name}, nil
}

// pair writes the turn of channels i and j into a stage.
func pair(stage []byte, group, i, j int, cos, sin float32) {
	stage[i], stage[j] = byte(j), byte(i)
	put(stage[group+4*i:], cos)
	put(stage[group+4*j:], cos)
	put(stage[5*group+4*i:], sin)
	put(stage[5*group+4*j:], -sin)
}

func put(b []byte, x float32) { binary.LittleEndian.PutUint32(b, math.Float32bits(x)) }

// awqSlot is the nibble of an int32 that holds output lane j of eight.
var awqSlot = [8]uint{0, 4, 1, 5, 2, 6, 3, 7}

// Raw gives row i, the weights of one output, in the format i4_G.
func (w *W4) Raw(i int) []byte {
	size := 4 + w.Group/2
	out := make([]byte, w.Cols/w.Group*size)
	shift := 4 * awqSlot[i%8]
	for g := range w.Cols / w.Group {
		b := out[g*size:][:size]
		copy(b, w.scales.Raw(g)[2*i:2*i+2])
		b[2] = byte(binary.LittleEndian.Uint32(w.qzeros.Raw(g)[i/8*4:]) >> shift & 15)
		for k := range w.Group {
			q := byte(binary.LittleEndian.Uint32(w.qweight.Raw(g*w.Group + k)[i/8*4:]) >> shift & 15)
			b[4+k/2] |= q << (4 * (k % 2))
		}
	}
	return out
}

// Rotation gives the rotation as one row of the format rot_G.
func (w *W4) Rotation() []byte { return w.rotation }

// A Rotation turns rows of Cols channels, in groups.
type Rotation struct {
	group  int
	packed []byte
}

// ReadRotation reads a row of the format f, which is rot_G.
func ReadRotation(f Format, row []byte) *Rotation { return &Rotation{f.Block, row} }

// Turn computes y, the turned x, in fp32: scales first, then stage by stage.
func (r *Rotation) Turn(x, y []float32) {
	get := func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }
	block := r.group * (4 + Stages*9)
	v := make([]float32, r.group)
	for g := range len(x) / r.group {
		b, y := r.packed[g*block:][:block], y[g*r.group:][:r.group]
		for i := range y {
			y[i] = x[g*r.group+i] * get(b[4*i:])
		}
		for s := range Stages {
			st := b[4*r.group+9*r.group*s:]
			copy(v, y)
			for i := range y {
				y[i] = get(st[r.group+4*i:])*v[i] + get(st[5*r.group+4*i:])*v[st[i]]
			}
		}
	}
}
