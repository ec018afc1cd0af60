package engine

import (
	"context"
	"fmt"
	"math"
)

// Score says how well a model predicts a text.
type Score struct {
	Tokens     int     `json:"tokens"`  // that were predicted
	Windows    int     `json:"windows"` // from an empty context each; the first token of each isn't predicted
	MeanNLL    float64 `json:"mean_nll"`
	Perplexity float64 `json:"perplexity"`
	*Distance  `json:",omitempty"`
}

// Distance says how far a model is from another one, over the same positions.
type Distance struct {
	MeanKL float64 `json:"mean_kl"` // of the other model's distribution from this one's, in nats
	MaxKL  float64 `json:"max_kl"`
	Top1   float64 `json:"top1"` // how often both find the same token likeliest, 0 to 1
	RefNLL float64 `json:"reference_mean_nll"`
}

// evalChunk is how many tokens both models take in turn: few enough that their logits fit anywhere.
const evalChunk = 64

// Evaluate predicts ids in windows of so many tokens and, if against isn't nil, compares the distributions with that
// model's. progress, if it isn't nil, is told how many tokens are done.
func Evaluate(ctx context.Context, m, against Model, ids []int32, window int, progress func(done, of int)) (Score, error) {
	if window < 2 || window > m.Context() {
		return Score{}, fmt.Errorf("a window of %d tokens, want 2 to the context's %d", window, m.Context())
	}
	if len(ids) < 2 {
		return Score{}, fmt.Errorf("a text of %d tokens, want at least 2: the first isn't predicted", len(ids))
	}
	for i, id := range ids { // all of them: a token is predicted before it is fed
		if id < 0 || int(id) >= m.Vocab() {
			return Score{}, fmt.Errorf("token %d is %d, want 0 to %d", i, id, m.Vocab()-1)
		}
	}
	e := evaluation{m: m, ref: against}
	if against != nil {
		if against.Vocab() != m.Vocab() {
			return Score{}, fmt.Errorf("%d tokens in one vocabulary and %d in the other", m.Vocab(), against.Vocab())
		}
		e.s.Distance, e.rows = &Distance{}, make([]float32, min(evalChunk, window)*m.Vocab())
	}
	for at := 0; at+1 < len(ids); at += window {
		end := min(at+window, len(ids))
		e.s.Windows++
		for _, x := range []Model{m, against} {
			if x == nil {
				continue
			}
			if _, err := x.Keep(nil); err != nil {
				return Score{}, err
			}
		}
		for from := at; from < end; from += evalChunk {
			if err := e.chunk(ctx, ids, from, min(from+evalChunk, end), end); err != nil {
				return Score{}, err
			}
			if progress != nil {
				progress(min(from+evalChunk, end), len(ids))
			}
		}
	}
	n := float64(e.s.Tokens)
	e.s.MeanNLL /= n
	e.s.Perplexity = math.Exp(e.s.MeanNLL)
	if d := e.s.Distance; d != nil {
		d.MeanKL /= n
		d.Top1 /= n
		d.RefNLL /= n
	}
	return e.s, nil
}

// An evaluation adds up.
type evaluation struct {
	m, ref Model
	rows   []float32 // the reference's logits of a chunk
	s      Score
}

// chunk takes ids[from:to] of a window that ends before end; the last token predicts nothing in it.
func (e *evaluation) chunk(ctx context.Context, ids []int32, from, to, end int) error {
	v := e.m.Vocab()
	if e.ref != nil {
		err := e.ref.Logits(ctx, ids[from:to], func(i int, logits []float32) error {
			copy(e.rows[i*v:], logits)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return e.m.Logits(ctx, ids[from:to], func(i int, logits []float32) error {
		if from+i+1 >= end {
			return nil
		}
		target := ids[from+i+1]
		sum, best := logSum(logits)
		nll := sum - float64(logits[target])
		if math.IsNaN(nll) || math.IsInf(nll, 0) {
			return fmt.Errorf("after token %d: the logits aren't finite", from+i)
		}
		e.s.Tokens++
		e.s.MeanNLL += nll
		if e.ref == nil {
			return nil
		}
		ref := e.rows[i*v : (i+1)*v]
		refSum, refBest := logSum(ref)
		kl := 0.0
		for j, x := range ref {
			p := float64(x) - refSum
			kl += math.Exp(p) * (p - (float64(logits[j]) - sum))
		}
		d := e.s.Distance
		d.MeanKL += kl
		d.MaxKL = max(d.MaxKL, kl)
		d.RefNLL += refSum - float64(ref[target])
		if best == refBest {
			d.Top1++
		}
		return nil
	})
}

// logSum is log Σ exp(x), and where the largest x is.
func logSum(x []float32) (float64, int) {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(float64(v) - float64(x[best]))
	}
	return float64(x[best]) + math.Log(sum), best
}
