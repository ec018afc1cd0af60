package engine

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"
)

// BenchOptions say what Bench measures.
type BenchOptions struct {
	Prompt int // tokens of the prompt test; 0: none
	Tokens int // tokens of the generation test; 0: none
	Repeat int // how often each is measured, after one run that isn't
	// Progress, if it isn't nil, is told of each run that begins.
	Progress func(test string, run, of int)
}

// A Series is one test's results, in tokens a second.
type Series struct {
	Test   string    `json:"test"` // "pp512": a prompt of 512 tokens; "tg128": 128 tokens one by one
	Tokens int       `json:"tokens"`
	Min    float64   `json:"min"`
	Median float64   `json:"median"`
	Max    float64   `json:"max"`
	Runs   []float64 `json:"runs"`
}

// Bench measures as llama-bench does: a prompt from an empty context up to the logits of its last token, and tokens one
// by one from an empty context. The tests take turns, so that a machine that slows down slows down both. The same runs'
// logits must be finite and not all alike, otherwise there are no figures but an error.
func Bench(ctx context.Context, m Model, o BenchOptions) ([]Series, error) {
	if o.Prompt < 0 || o.Tokens < 0 || o.Prompt+o.Tokens == 0 {
		return nil, fmt.Errorf("%d tokens of a prompt and %d to generate, want something to measure", o.Prompt, o.Tokens)
	}
	if o.Repeat < 1 || o.Repeat > 10000 {
		return nil, fmt.Errorf("%d repetitions, want 1 to 10000", o.Repeat)
	}
	if n := max(o.Prompt, o.Tokens); n > m.Context() {
		return nil, fmt.Errorf("%d tokens are more than the context of %d", n, m.Context())
	}
	type test struct {
		Series
		run func() error
	}
	var tests []*test
	if o.Prompt > 0 {
		tests = append(tests, &test{Series{Test: fmt.Sprintf("pp%d", o.Prompt), Tokens: o.Prompt}, func() error { return prompt(ctx, m, o.Prompt) }})
	}
	if o.Tokens > 0 {
		tests = append(tests, &test{Series{Test: fmt.Sprintf("tg%d", o.Tokens), Tokens: o.Tokens}, func() error { return generate(ctx, m, o.Tokens) }})
	}
	for i := range o.Repeat + 1 {
		for _, t := range tests {
			if o.Progress != nil {
				o.Progress(t.Test, i, o.Repeat)
			}
			if _, err := m.Keep(nil); err != nil {
				return nil, err
			}
			start := time.Now()
			if err := t.run(); err != nil {
				return nil, err
			}
			d := time.Since(start)
			if err := gate(m); err != nil {
				return nil, fmt.Errorf("%s: %w", t.Test, err)
			}
			if i > 0 {
				t.Runs = append(t.Runs, rate(t.Tokens, d))
			}
		}
	}
	var out []Series
	for _, t := range tests {
		sorted := slices.Sorted(slices.Values(t.Runs))
		t.Min, t.Max = sorted[0], sorted[len(sorted)-1]
		t.Median = (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
		out = append(out, t.Series)
	}
	return out, nil
}

// Prompt ids of a bench spread over the vocabulary, always the same ones.
func benchID(i, vocab int) int32 { return int32((uint64(i)*2654435761 + 12345) % uint64(vocab)) }

func prompt(ctx context.Context, m Model, n int) error {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = benchID(i, m.Vocab())
	}
	if err := m.Feed(ctx, ids[:n-1]); err != nil {
		return err
	}
	_, err := m.Next(ids[n-1])
	return err
}

func generate(ctx context.Context, m Model, n int) error {
	if err := m.Decode(benchID(0, m.Vocab()), n, false, func(int32) bool { return ctx.Err() == nil }); err != nil {
		return err
	}
	return ctx.Err()
}

// gate looks at the last logits of a run.
func gate(m Model) error {
	logits, err := m.LastLogits()
	if err != nil {
		return err
	}
	low, high := math.Inf(1), math.Inf(-1)
	for i, x := range logits {
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return fmt.Errorf("logit %d is %g: a model that computes nonsense has no speed", i, x)
		}
		low, high = min(low, float64(x)), max(high, float64(x))
	}
	if low == high && len(logits) > 1 {
		return fmt.Errorf("all logits are %g: a model that computes nonsense has no speed", low)
	}
	return nil
}
