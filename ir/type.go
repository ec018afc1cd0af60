package ir

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// An Elem is what a tensor is made of. Activations are Act, which a target binds to a real element; weights carry the
// name of their format (f16, q4_1, …), which the tables of runtime/weights describe.
type Elem string

const (
	Act Elem = "act" // an activation: f32 on cpu and reference, 16-bit on GPUs
	F32 Elem = "f32"
	I32 Elem = "i32"
	KV  Elem = "kv" // the handle of a layer's KV cache: no buffer, it stands for state
)

// A Type is an element and dimensions, outermost first, of one token's row: act[9,64]. How many rows a launch works on
// is the bucket's, never the type's.
type Type struct {
	Elem Elem
	Dims []int
}

// Of makes a Type.
func Of(e Elem, dims ...int) Type { return Type{e, dims} }

// Size is the number of elements.
func (t Type) Size() int { return product(t.Dims) }

// Last is the width of the last axis, 1 for a scalar.
func (t Type) Last() int {
	if len(t.Dims) == 0 {
		return 1
	}
	return t.Dims[len(t.Dims)-1]
}

// Lead is the product of all axes but the last.
func (t Type) Lead() int {
	if len(t.Dims) == 0 {
		return 1
	}
	return product(t.Dims[:len(t.Dims)-1])
}

// Equal says whether both are the same type.
func (t Type) Equal(u Type) bool { return t.Elem == u.Elem && slices.Equal(t.Dims, u.Dims) }

func (t Type) String() string { return string(t.Elem) + dimString(t.Dims) }

func dimString(dims []int) string {
	s := make([]string, len(dims))
	for i, d := range dims {
		s[i] = strconv.Itoa(d)
	}
	return "[" + strings.Join(s, ",") + "]"
}

func product(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}

// broadcast aligns two shapes from the left; 1 stretches, and so do missing trailing axes: [8] with [8,512] is [8,512].
func broadcast(a, b []int) ([]int, error) {
	n := max(len(a), len(b))
	out := make([]int, n)
	for i := range out {
		x, y := 1, 1
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		switch {
		case x == y || y == 1:
			out[i] = x
		case x == 1:
			out[i] = y
		default:
			return nil, fmt.Errorf("%s and %s differ in axis %d", dimString(a), dimString(b), i)
		}
	}
	return out, nil
}
