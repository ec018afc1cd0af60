package engine_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"hipc/runtime"
	"hipc/runtime/engine"
	"hipc/runtime/plan"
	toy "hipc/runtime/runtimetest"
)

func open(t *testing.T, opts engine.Options) *engine.LLM {
	t.Helper()
	llm, err := engine.Open(toy.Write(t, nil), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { llm.Close() })
	return llm
}

func prompt(n, seed int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32((7*i*i + 3*i + seed) % toy.Vocab)
	}
	return ids
}

func generate(t *testing.T, llm *engine.LLM, ids []int32, p engine.SamplingParams) ([]int32, engine.Usage) {
	t.Helper()
	var out []int32
	u, err := llm.Generate(t.Context(), ids, p, func(id int32) bool {
		out = append(out, id)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	if u.Prompt != len(ids) || u.Tokens != len(out) || u.Prefill <= 0 || u.Peak <= 0 || u.Tokens > 1 && (u.Steps == 0 || u.Decode <= 0) {
		t.Errorf("%d tokens from %d: %+v", len(out), len(ids), u)
	}
	return out, u
}

// expected cuts what the model has to say at token 3, which is the toy's end-of-text.
func expected(t *testing.T, ids []int32, n int) ([]int32, string) {
	t.Helper()
	want, gap := toy.Greedy(ids, n)
	if gap < 1e-4 {
		t.Fatalf("the toy decides by %g: choose another prompt", gap)
	}
	if i := slices.Index(want, 3); i >= 0 {
		return want[:i], "stop"
	}
	return want, "length"
}

func TestGenerate(t *testing.T) {
	llm := open(t, engine.Options{Threads: 2})
	for seed := range 6 {
		ids := prompt(1+4*seed, seed)
		want, reason := expected(t, ids, 12)
		got, u := generate(t, llm, ids, engine.SamplingParams{MaxTokens: 12})
		if !slices.Equal(got, want) || u.Reason != reason {
			t.Errorf("prompt %v: %v (%s), want %v (%s)", ids, got, u.Reason, want, reason)
		}
	}
}

// TestConversation goes on from an answer: the cached prefix isn't computed again, and doesn't change what follows.
func TestConversation(t *testing.T) {
	llm := open(t, engine.Options{Threads: 1})
	ids := prompt(9, 1)
	answer, _ := generate(t, llm, ids, engine.SamplingParams{MaxTokens: 5, IgnoreEOS: true})
	next := append(append(slices.Clone(ids), answer...), 11, 12)
	want, reason := expected(t, next, 6)
	got, u := generate(t, llm, next, engine.SamplingParams{MaxTokens: 6})
	if !slices.Equal(got, want) || u.Reason != reason {
		t.Errorf("%v (%s), want %v (%s)", got, u.Reason, want, reason)
	}
	if u.Cached < len(ids)+len(answer)-1 {
		t.Errorf("%d of %d tokens were cached", u.Cached, len(next))
	}
	// The same prompt again: all but its last token is there.
	if again, u := generate(t, llm, next, engine.SamplingParams{MaxTokens: 6}); !slices.Equal(again, want) || u.Cached != len(next)-1 {
		t.Errorf("again: %v with %d cached, want %v", again, u.Cached, want)
	}
}

func TestEnds(t *testing.T) {
	llm := open(t, engine.Options{Threads: 1, Context: 20})
	if got, u := generate(t, llm, prompt(10, 1), engine.SamplingParams{IgnoreEOS: true}); u.Reason != "context" || len(got) != 11 {
		t.Errorf("%d tokens, %s: 10 and 10 are in the context, and the last one needn't be", len(got), u.Reason)
	}
	first, _ := generate(t, llm, prompt(10, 1), engine.SamplingParams{MaxTokens: 1, IgnoreEOS: true})
	if got, u := generate(t, llm, prompt(10, 1), engine.SamplingParams{Stop: first}); u.Reason != "stop" || len(got) != 0 {
		t.Errorf("%v, %s: want to stop at %v", got, u.Reason, first)
	}
	n := 0
	u, err := llm.Generate(t.Context(), prompt(4, 1), engine.SamplingParams{IgnoreEOS: true}, func(int32) bool { n++; return n < 3 })
	if err != nil || u.Reason != "caller" || u.Tokens != 3 {
		t.Errorf("%+v, %v", u, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	u, err = llm.Generate(ctx, prompt(4, 1), engine.SamplingParams{IgnoreEOS: true}, func(int32) bool { cancel(); return true })
	if !errors.Is(err, context.Canceled) || u.Tokens != 1 {
		t.Errorf("after cancelling: %+v, %v", u, err)
	}
	// An ended request leaves the model fit for the next one.
	want, _ := expected(t, prompt(7, 2), 4)
	if got, _ := generate(t, llm, prompt(7, 2), engine.SamplingParams{MaxTokens: 4}); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestDraws(t *testing.T) {
	llm := open(t, engine.Options{Threads: 1})
	got, _ := generate(t, llm, prompt(4, 1), engine.SamplingParams{Temperature: 1, Seed: 40, MaxTokens: 3, IgnoreEOS: true})
	if want := []int32{40, 47, 54 - toy.Vocab}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v as the toy draws", got, want)
	}
}

func TestRefuses(t *testing.T) {
	llm := open(t, engine.Options{Threads: 1, Context: 20})
	for _, c := range []struct {
		ids  []int32
		p    engine.SamplingParams
		want string
	}{
		{nil, engine.SamplingParams{}, "an empty prompt"},
		{prompt(21, 1), engine.SamplingParams{}, "more than the context of 20"},
		{[]int32{5, 48, 6}, engine.SamplingParams{}, "48, want 0 to 47"},
		{[]int32{48}, engine.SamplingParams{}, "48, want 0 to 47"},
		{prompt(3, 1), engine.SamplingParams{Temperature: -1}, "temperature is -1"},
		{prompt(3, 1), engine.SamplingParams{Temperature: math.NaN()}, "temperature is NaN"},
		{prompt(3, 1), engine.SamplingParams{TopP: 1.5}, "top-p is 1.5"},
		{prompt(3, 1), engine.SamplingParams{MaxTokens: -1}, "max tokens is -1"},
	} {
		_, err := llm.Generate(t.Context(), c.ids, c.p, func(int32) bool { t.Error("a token"); return false })
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

func TestBench(t *testing.T) {
	llm := open(t, engine.Options{Threads: 2})
	s, err := engine.Bench(t.Context(), llm.Model, engine.BenchOptions{Prompt: 12, Tokens: 5, Repeat: 4})
	if err != nil || len(s) != 2 || s[0].Test != "pp12" || s[1].Test != "tg5" {
		t.Fatalf("%+v, %v", s, err)
	}
	for _, x := range s {
		if len(x.Runs) != 4 || !(0 < x.Min && x.Min <= x.Median && x.Median <= x.Max) || slices.Max(x.Runs) != x.Max {
			t.Errorf("%+v", x)
		}
	}
	for _, o := range []engine.BenchOptions{{Repeat: 1}, {Prompt: 1}, {Prompt: 65, Repeat: 1}, {Prompt: -1, Tokens: 2, Repeat: 1}} {
		if _, err := engine.Bench(t.Context(), llm.Model, o); err == nil {
			t.Errorf("%+v was measured", o)
		}
	}
}

// TestBenchGate: a model that computes nonsense has no speed.
func TestBenchGate(t *testing.T) {
	llm, err := engine.Open(toy.Write(t, func(p *plan.Plan) {
		// The head multiplies zeros, for the first logit alone: all stay 0.
		for i := range p.Buckets {
			for j := range p.Buckets[i].Parts {
				if part := &p.Buckets[i].Parts[j]; part.Name == "end" {
					part.Steps[0].In[0], part.Steps[0].Grid = "zero", 1
				}
			}
		}
		p.Cells = append(p.Cells, plan.Cell{Name: "zero", Type: "f32[128]", Bytes: 512})
	}), engine.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer llm.Close()
	if s, err := engine.Bench(t.Context(), llm.Model, engine.BenchOptions{Tokens: 5, Repeat: 1}); err == nil || !strings.Contains(err.Error(), "no speed") {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestEvaluate holds the mean over windows against the toy's meaning.
func TestEvaluate(t *testing.T) {
	llm := open(t, engine.Options{Threads: 2})
	ids := prompt(41, 3)
	want, n := 0.0, 0
	for at := 0; at+1 < len(ids); at += 16 {
		window := ids[at:min(at+16, len(ids))]
		rows := toy.Logits(window)
		for i, target := range window[1:] {
			sum := 0.0
			for _, x := range rows[i] {
				sum += math.Exp(x)
			}
			want += math.Log(sum) - rows[i][target]
			n++
		}
	}
	want /= float64(n)
	s, err := engine.Evaluate(t.Context(), llm.Model, nil, ids, 16, nil)
	if err != nil || s.Tokens != n || s.Windows != 3 || math.Abs(s.MeanNLL-want) > 1e-4 || math.Abs(s.Perplexity-math.Exp(want)) > 1e-2*s.Perplexity || s.Distance != nil {
		t.Errorf("%+v, %v, want %d tokens, %g", s, err, n, want)
	}
	other := open(t, engine.Options{Threads: 1})
	s, err = engine.Evaluate(t.Context(), llm.Model, other.Model, ids, 16, nil)
	if err != nil || s.MaxKL > 1e-9 || s.Top1 != 1 || s.RefNLL != s.MeanNLL {
		t.Errorf("against itself: %+v, %v", s.Distance, err)
	}
	s, err = engine.Evaluate(t.Context(), llm.Model, &shifted{other.Model}, ids, 16, nil)
	if err != nil || s.MeanKL < 1e-3 || s.MaxKL < s.MeanKL || s.Top1 == 1 {
		t.Errorf("against a shifted model: %+v, %v", s.Distance, err)
	}
	for _, window := range []int{0, 1, 65} {
		if _, err := engine.Evaluate(t.Context(), llm.Model, nil, ids, window, nil); err == nil {
			t.Errorf("a window of %d", window)
		}
	}
	ids[20] = 99
	if _, err := engine.Evaluate(t.Context(), llm.Model, nil, ids, 16, nil); err == nil || err.Error() != "token 20 is 99, want 0 to 47" {
		t.Errorf("a token that there isn't: %v", err)
	}
}

// shifted is a model whose logits are another token's.
type shifted struct{ engine.Model }

func (s *shifted) Logits(ctx context.Context, ids []int32, each func(int, []float32) error) error {
	return s.Model.Logits(ctx, ids, func(i int, logits []float32) error {
		return each(i, append(slices.Clone(logits[1:]), logits[0]))
	})
}

func TestGenerationFile(t *testing.T) {
	a, err := runtime.OpenArtifact(toy.Write(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	llm, err := engine.New(nil, a)
	if err != nil || !slices.Equal(llm.Generation.EOS, []int32{3}) {
		t.Errorf("%+v, %v", llm, err)
	}
}
