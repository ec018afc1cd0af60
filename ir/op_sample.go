package ir

import (
	"math"
	"math/bits"
	"sort"
)

var _ = define(Op{
	Name:   "argmax",
	Params: "logits",
	Doc:    "the token of the largest logit, the lowest of equals",
	Types:  tokenTypes,
	Eval: func(f *Frame) {
		for r := range f.Rows {
			f.Outs[0].Ints[r] = int32(argmax(f.Row(0, r)))
		}
	},
})

var _ = define(Op{
	Name:   "sample",
	Params: "logits",
	Doc: `draws a token: repetition penalty, temperature, top-k, top-p, min-p, draw, in this order. Probabilities are
counted in whole 2^-30ths of the best one's, so that no result hangs on the order of a sum; see Sampling.Draw`,
	Types: tokenTypes,
	Eval: func(f *Frame) {
		for r := range f.Rows {
			f.Outs[0].Ints[r] = int32(f.World.Sample.Draw(f.Row(0, r)))
		}
	},
})

func tokenTypes(c *Call) []Type {
	if t := c.Type(0); len(t.Dims) != 1 {
		c.Errorf(0, "logits are %s, want one axis, the vocabulary", t)
	}
	return []Type{Of(I32)}
}

func argmax(x []float32) int {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}

// Sampling is what sample draws with: a sequence's parameters, and the state that it draws from.
type Sampling struct {
	Temperature float32 // 0: the largest logit
	TopK        int     // 0: all
	TopP        float32 // 1: all
	MinP        float32 // 0: all
	Penalty     float32 // repetition penalty (Keskar et al. 2019), 1: none
	RNG         uint64
	Counts      []int32 // how often each token stands in the context; nil: no penalty
}

// Draw chooses a token and counts it. The weight of token i is w = floor(2^30 · exp((l - max l) / temperature)); the
// candidates are ordered by w, largest first, the lower index first among equals, and each filter keeps a prefix:
// top-k the first k; top-p the shortest whose sum is at least ceil(p · sum); min-p those with w ≥ ceil(p · 2^30). Then
// splitmix64 advances, and its value, scaled to the sum of what is left, falls on a token in the order of indices.
func (s *Sampling) Draw(logits []float32) int {
	l := make([]float32, len(logits))
	for i, x := range logits {
		if s.Counts != nil && s.Counts[i] > 0 {
			if x > 0 {
				x /= s.Penalty
			} else {
				x *= s.Penalty
			}
		}
		l[i] = x
	}
	next := argmax(l)
	if s.Temperature > 0 {
		next = s.draw(s.candidates(l, l[next]))
	}
	if s.Counts != nil {
		s.Counts[next]++
	}
	return next
}

type candidate struct {
	token  int
	weight uint64
}

// candidates are the tokens that the filters leave, by weight.
func (s *Sampling) candidates(l []float32, top float32) []candidate {
	var c []candidate
	for i, x := range l {
		if w := math.Floor(math.Exp(float64(x-top)/float64(s.Temperature)) * (1 << 30)); w >= 1 {
			c = append(c, candidate{i, uint64(w)})
		}
	}
	sort.SliceStable(c, func(i, j int) bool { return c[i].weight > c[j].weight })
	if s.TopK >= 1 && s.TopK < len(c) {
		c = c[:s.TopK]
	}
	if s.TopP < 1 {
		need := max(1, uint64(math.Ceil(float64(s.TopP)*float64(total(c)))))
		sum, n := uint64(0), 0
		for n < len(c) && sum < need {
			sum += c[n].weight
			n++
		}
		c = c[:n]
	}
	least := uint64(min(1<<30, max(0, math.Ceil(float64(s.MinP)*(1<<30)))))
	n := 0
	for n < len(c) && c[n].weight >= least {
		n++
	}
	return c[:n]
}

func total(c []candidate) (sum uint64) {
	for _, x := range c {
		sum += x.weight
	}
	return sum
}

func (s *Sampling) draw(c []candidate) int {
	s.RNG += 0x9E3779B97F4A7C15
	z := s.RNG
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	z ^= z >> 31
	r, _ := bits.Mul64(z, total(c))
	sort.Slice(c, func(i, j int) bool { return c[i].token < c[j].token })
	for _, x := range c {
		if r < x.weight {
			return x.token
		}
		r -= x.weight
	}
	return c[len(c)-1].token
}
