package weights

import (
	"fmt"
	"math/bits"
)

// A Tensor is one tensor of a checkpoint. Its rows are in the order that the
// HF model uses, its values as they are stored. Rows may be read by several
// goroutines at once, until the checkpoint is closed.
type Tensor struct {
	Name   string // HF name: model.layers.0.self_attn.q_proj.weight
	Source string // file, and for GGUF its own name: x.gguf: blk.0.attn_q.weight
	Format Format
	Dims   []int // outermost first, as HF prints them; empty for a scalar

	data []byte
	// head is the height of a head whose rows lie interleaved (GGUF's llama: the
	// pair of a rotation in neighbouring rows); 0 where the stored order is HF's.
	head int
}

// Cols is the last dimension: the values in a row. A scalar has 1.
func (t *Tensor) Cols() int {
	if len(t.Dims) == 0 {
		return 1
	}
	return t.Dims[len(t.Dims)-1]
}

// Rows is the product of all dimensions but the last. A vector has 1.
func (t *Tensor) Rows() int {
	n := 1
	for i := 0; i < len(t.Dims)-1; i++ {
		n *= t.Dims[i]
	}
	return n
}

// Bytes is the tensor's stored size.
func (t *Tensor) Bytes() int { return len(t.data) }

// Raw gives the stored bytes of row i: a view of the mapping, not to be written
// and not to be kept beyond Close.
func (t *Tensor) Raw(i int) []byte {
	if i < 0 || i >= t.Rows() {
		panic(fmt.Sprintf("weights: row %d of %s, which has %d", i, t.Name, t.Rows()))
	}
	n := t.Format.RowBytes(t.Cols())
	return t.data[t.stored(i)*n:][:n:n]
}

// Row gives the float32 values of row i, exactly as the format defines them;
// dst has Cols values. It is an error if the format has no values of its own
// (Format.Float) or dst has another length.
func (t *Tensor) Row(i int, dst []float32) error {
	if err := t.Format.Decode(dst, t.Raw(i)); err != nil {
		return fmt.Errorf("%s: %s: row %d of %v: %w", t.Source, t.Name, i, t.Dims, err)
	}
	return nil
}

// stored says where HF's row i lies. HF keeps a head's first halves of all
// rotation pairs, then the second halves; interleaved storage keeps each pair
// together: w.reshape(heads, head/2, 2, cols).swapaxes(1, 2).
func (t *Tensor) stored(i int) int {
	if t.head == 0 {
		return i
	}
	return interleaved(i, t.head)
}

func interleaved(i, head int) int {
	r := i % head
	return i - r + 2*(r%(head/2)) + r/(head/2)
}

// storedBytes is the size of a tensor, or why there can be none. A dimension of
// zero counts as one for the overflow, so that no partial product of an empty
// tensor overflows later.
func storedBytes(f Format, dims []int) (int, error) {
	n, empty := uint64(1), false
	for _, d := range dims {
		if d < 0 {
			return 0, fmt.Errorf("shape %v has a negative dimension", dims)
		}
		empty = empty || d == 0
		hi, lo := bits.Mul64(n, uint64(max(d, 1)))
		if hi != 0 || lo > 1<<56 {
			return 0, fmt.Errorf("shape %v holds more values than any file", dims)
		}
		n = lo
	}
	if empty {
		return 0, nil
	}
	if f.Block > 1 && (len(dims) == 0 || dims[len(dims)-1]%f.Block != 0) {
		return 0, fmt.Errorf("shape %v in %s, want a last dimension of whole blocks of %d", dims, f.Name, f.Block)
	}
	return int(n) / f.Block * f.Bytes, nil
}
