package tests

import (
	"fmt"
	"math"
	"slices"

	"hipc/ir"
)

// What a kernel keeps from token to token in fp32: a convolution's last inputs, a recurrence's matrix. Position 0 begins
// a sequence: then the memory holds what another one has left.

// kept are the graph's states but for the KV cache.
func (c *kernelCase) kept() []ir.StateRef {
	var out []ir.StateRef
	for _, n := range c.graph.Nodes {
		for _, s := range n.StateRefs() {
			if s.Type.Elem != ir.KV {
				out = append(out, s)
			}
		}
	}
	return out
}

// recurs says that a matrix is kept, which grows beyond all bounds if what goes in is large or a decay is above 1.
func (c *kernelCase) recurs() bool {
	return slices.ContainsFunc(c.kept(), func(s ir.StateRef) bool { return len(s.Type.Dims) == 3 })
}

// tame makes an activation's values small and negative, and a vector of weights negative: a decay is then below 1.
func tame(x []float32) {
	for i, v := range x {
		x[i] = -0.1 * float32(math.Abs(float64(v)))
	}
}

func negative(b []byte) {
	for i := 3; i < len(b); i += 4 {
		b[i] |= 0x80
	}
}

// keep makes room for the case's states and fills them, for the oracle too.
func (x *experiment) keep() {
	for _, s := range x.kept() {
		t := randomRows(s.Type, 1, x.r)
		at := x.room("state "+s.Name, 4*len(t.Data))
		putFloats(x.bytes[at:], t.Data)
		x.states = append(x.states, at)
		x.args = append(x.args, at)
		if len(s.Type.Dims) == 3 {
			x.world.States[s.Name] = &ir.Delta{S: t.Data}
			continue
		}
		conv := &ir.Conv{}
		for i := range s.Type.Dims[0] {
			n := s.Type.Dims[1]
			conv.Rows = append(conv.Rows, t.Data[i*n:(i+1)*n])
		}
		x.world.States[s.Name] = conv
	}
}

// checkStates compares them after the oracle has run.
func (x *experiment) checkStates(got, expected []byte) (worst float64, err error) {
	for i, s := range x.kept() {
		var want []float32
		switch state := x.world.States[s.Name].(type) {
		case *ir.Delta:
			want = state.S
		case *ir.Conv:
			for _, row := range state.Rows {
				want = append(want, row...)
			}
		}
		at, n := x.states[i], 4*len(want)
		have := getFloats(got[at:], len(want))
		e := nmse(have, want)
		if !(e <= x.bar()) {
			return 0, fmt.Errorf("state %s: NMSE %.2g, want at most %.0g", s.Name, e, x.bar())
		}
		worst = max(worst, e)
		copy(expected[at:at+n], got[at:at+n])
	}
	return worst, nil
}
