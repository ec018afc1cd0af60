package engine

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"hipc/runtime"
)

// SamplingParams say how tokens are chosen, and when to stop. The zero value is greedy and ends with the model's own
// end-of-text token, or when the context is full.
type SamplingParams struct {
	Temperature       float64 // 0: the likeliest token, always
	TopK              int     // draw from the k likeliest; 0: from all
	TopP              float64 // from the fewest that have this probability together; 0 or 1: from all
	MinP              float64 // from those at least this times as likely as the likeliest; 0: from all
	RepetitionPenalty float64 // of tokens that the context has: logits above 0 divided by it, others multiplied; 0 or 1: none
	Seed              uint64  // equal seeds draw equal tokens
	MaxTokens         int     // 0: until the context is full
	Stop              []int32 // tokens that end the answer, besides the model's own
	IgnoreEOS         bool    // don't stop at the model's own
}

// check refuses what has no meaning.
func (p SamplingParams) check() error {
	for _, x := range []struct {
		name      string
		v         float64
		low, high float64
	}{
		{"temperature", p.Temperature, 0, 100}, {"top-k", float64(p.TopK), 0, 1 << 24}, {"top-p", p.TopP, 0, 1}, {"min-p", p.MinP, 0, 1},
		{"repetition penalty", p.RepetitionPenalty, 0, 100}, {"max tokens", float64(p.MaxTokens), 0, math.MaxInt32},
	} {
		if !(x.v >= x.low && x.v <= x.high) {
			return fmt.Errorf("%s is %v, want %v to %v", x.name, x.v, x.low, x.high)
		}
	}
	return nil
}

// Greedy says that nothing is drawn and nothing penalised.
func (p SamplingParams) Greedy() bool {
	return p.Temperature == 0 && (p.RepetitionPenalty == 0 || p.RepetitionPenalty == 1)
}

func (p SamplingParams) sampling(context []int32) runtime.Sampling {
	s := runtime.Sampling{Temperature: float32(p.Temperature), TopK: p.TopK, TopP: float32(p.TopP), MinP: float32(p.MinP),
		Penalty: float32(p.RepetitionPenalty), Seed: p.Seed, Context: context}
	if s.TopP == 0 {
		s.TopP = 1
	}
	if s.Penalty == 0 {
		s.Penalty = 1
	}
	return s
}

// Usage says what a request took.
type Usage struct {
	Prompt  int           // tokens of the prompt
	Cached  int           // of them, those that the model still had
	Tokens  int           // tokens of the answer, without the one that ended it
	Steps   int           // decode steps after the first token
	Prefill time.Duration // until the first token was there
	Decode  time.Duration // from then on
	Reason  string        // why it ended: "stop", "length", "context", "caller"
	Peak    int64         // bytes: the most memory that the process ever had
}

// PrefillRate is in tokens a second; 0 if there is nothing to divide by.
func (u Usage) PrefillRate() float64 { return rate(u.Prompt-u.Cached, u.Prefill) }

// DecodeRate is in tokens a second.
func (u Usage) DecodeRate() float64 { return rate(u.Steps, u.Decode) }

func rate(n int, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

// Generate answers a prompt: emit gets token after token and says whether to go on. When ctx ends, Generate returns
// what there is with ctx's error; the cache stays good for the next request.
func (m *LLM) Generate(ctx context.Context, ids []int32, p SamplingParams, emit func(id int32) bool) (u Usage, err error) {
	u = Usage{Prompt: len(ids)}
	defer func() { u.Peak = PeakMemory() }()
	if err := p.check(); err != nil {
		return u, err
	}
	if len(ids) == 0 {
		return u, fmt.Errorf("an empty prompt: want at least one token")
	}
	if !p.Greedy() {
		if err := m.Sample(p.sampling(ids)); err != nil {
			return u, err
		}
	}
	start := time.Now()
	last := len(ids) - 1
	if u.Cached, err = m.Keep(ids[:last]); err != nil {
		return u, err
	}
	if err := m.Feed(ctx, ids[u.Cached:last]); err != nil {
		return u, err
	}
	most := max(m.Context()-last, 1) // of a prompt that has no room, Decode says so
	if p.MaxTokens > 0 {
		most = min(most, p.MaxTokens)
	}
	var first time.Time
	steps := 0
	err = m.Decode(ids[last], most, !p.Greedy(), func(id int32) bool {
		if steps++; steps == 1 {
			first = time.Now()
			u.Prefill = first.Sub(start)
		} else {
			u.Steps++
			u.Decode = time.Since(first)
		}
		if !p.IgnoreEOS && slices.Contains(m.Generation.EOS, id) || slices.Contains(p.Stop, id) {
			u.Reason = "stop"
			return false
		}
		u.Tokens++
		switch more := emit(id); {
		case !more:
			u.Reason = "caller"
		case u.Tokens == p.MaxTokens:
			u.Reason = "length"
		case u.Tokens == most:
			u.Reason = "context"
		}
		return u.Reason == "" && ctx.Err() == nil
	})
	if err == nil && u.Reason == "" {
		err = ctx.Err()
	}
	return u, err
}

// PeakMemory is the most memory that the process ever had in bytes, mapped files included; 0 where the system doesn't
// tell.
func PeakMemory() int64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for l := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(l, "VmHWM:"); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return n * 1024
		}
	}
	return 0
}
