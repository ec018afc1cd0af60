package tests

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"hipc/ir"
)

// draws times 3 vocabularies is what a share of one in a thousand can be told from. The simulator, a thousand times slower than a card, does
// fewer of them.
func draws(b *kernelBench) int {
	if b.target.Device == "hip" {
		return 400
	}
	return 1500
}

// checkDraws draws many tokens from random logits with random parameters, each as Sampling.Draw does: token, counts and
// the generator's state are compared. The oracle's weights come of a double exponential and the kernel's of a float one,
// so a draw that falls on the edge of a token's share may go to its neighbour: one in a thousand, and only where the oracle
// gives the same token at a temperature that differs by some millionths.
func (c *kernelCase) checkDraws(b *kernelBench) error {
	x, err := c.setUp(b, nil)
	if err != nil {
		return err
	}
	l, err := x.launch(b)
	if err != nil {
		return err
	}
	defer l.close()
	edges, most := 0, draws(b)
	for i := range most {
		logits, s := x.randomDraw()
		putFloats(x.bytes[x.ins[0]:], logits)
		putFloats(x.bytes[x.cells["params"]:], []float32{s.Temperature, float32(s.TopK), s.TopP, s.MinP, s.Penalty})
		putInts(x.bytes[x.cells["counts"]:], s.Counts)
		binary.LittleEndian.PutUint64(x.bytes[x.cells["rng"]:], s.RNG)
		got, err := l.run()
		if err != nil {
			return err
		}
		what := fmt.Sprintf("draw %d (temperature %g, top-k %d, top-p %g, min-p %g, penalty %g)", i, s.Temperature, s.TopK, s.TopP, s.MinP, s.Penalty)
		next := int(int32(binary.LittleEndian.Uint32(got[x.outs[0]:])))
		want := s
		want.Counts = slices.Clone(s.Counts)
		if token := want.Draw(logits); token != next {
			if !onEdge(s, logits, next) {
				return fmt.Errorf("%s: token %d, want %d", what, next, token)
			}
			edges++
			want.Counts[token]--
			want.Counts[next]++
		}
		expected := slices.Clone(x.bytes)
		x.moveOn(expected)
		putInts(expected[x.outs[0]:], []int32{int32(next)})
		putInts(expected[x.cells["counts"]:], want.Counts)
		binary.LittleEndian.PutUint64(expected[x.cells["rng"]:], want.RNG)
		for j := range got {
			if got[j] != expected[j] {
				return fmt.Errorf("%s: it left something else: %s", what, x.where(j))
			}
		}
	}
	if edges > most/1000+1 {
		return fmt.Errorf("%d of %d draws fell to a neighbour, want at most one in a thousand", edges, most)
	}
	return nil
}

// onEdge says whether the oracle draws that token as well, with a temperature or a top-p that differs a little.
func onEdge(s ir.Sampling, logits []float32, token int) bool {
	for _, by := range []float32{1e-6, -1e-6, 1e-5, -1e-5} {
		hot, wide := s, s
		hot.Temperature *= 1 + by
		wide.TopP *= 1 + by
		hot.Counts, wide.Counts = slices.Clone(s.Counts), slices.Clone(s.Counts)
		if hot.Draw(logits) == token || wide.Draw(logits) == token {
			return true
		}
	}
	return false
}

// randomDraw makes logits, flat, peaked, with equals, or with some that a mask has taken, and parameters for them.
func (x *experiment) randomDraw() ([]float32, ir.Sampling) {
	r := x.r
	logits := make([]float32, x.node.Args[0].Type.Size())
	scale := []float64{0.5, 2, 6}[r.IntN(3)]
	for i := range logits {
		logits[i] = float32(scale * r.NormFloat64())
	}
	switch r.IntN(4) {
	case 0:
		for i := range logits {
			logits[i] = float32(math.Round(float64(logits[i])))
		}
	case 1:
		for i := range logits {
			if r.IntN(3) > 0 && i != len(logits)/2 {
				logits[i] = float32(math.Inf(-1))
			}
		}
	}
	s := ir.Sampling{
		Temperature: []float32{0, 0.2, 0.7, 1, 1.5, 5}[r.IntN(6)],
		TopK:        []int{0, 0, 1, 5, 40, len(logits) + 10}[r.IntN(6)],
		TopP:        []float32{1, 1, 0.95, 0.5, 0.01}[r.IntN(5)],
		MinP:        []float32{0, 0, 0.05, 0.3, 1}[r.IntN(5)],
		Penalty:     []float32{1, 1, 1.1, 2, 0.8}[r.IntN(5)],
		RNG:         r.Uint64(),
		Counts:      make([]int32, len(logits)),
	}
	for range r.IntN(len(logits)) {
		s.Counts[r.IntN(len(logits))]++
	}
	return logits, s
}
