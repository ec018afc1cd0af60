package chat_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"hipc/runtime"
	"hipc/runtime/chat"
	"hipc/runtime/engine"
	toy "hipc/runtime/runtimetest"
)

func open(t *testing.T, dir string) *chat.Conversation {
	t.Helper()
	a, err := runtime.OpenArtifact(dir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := chat.Open(a, func() (*engine.LLM, error) { return engine.Open(dir, engine.Options{Threads: 1}) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// turn is what the toy's template makes of one message.
func turn(role int32, text string) []int32 { return append(append([]int32{role}, toy.IDs(text)...), 3) }

func TestConversation(t *testing.T) {
	c := open(t, toy.Talking(t))
	ask := func(question string, history []int32, cached bool) []int32 {
		t.Helper()
		var out strings.Builder
		u, err := c.Ask(t.Context(), question, engine.SamplingParams{MaxTokens: 5}, &out)
		if err != nil {
			t.Fatal(err)
		}
		history = append(slices.Clone(history), turn(0, question)...)
		prompt := append(slices.Clone(history), 1)
		if want := toy.Answer(t, prompt, 5); out.String() != want || u.Prompt != len(prompt) || cached != (u.Cached > 0) {
			t.Errorf("asked %q: %q, want %q; %+v", question, out.String(), want, u)
		}
		return append(history, turn(1, out.String())...)
	}
	history := ask("hello", nil, false)
	ask("why", history, true)
	c.Reset()
	c.System = "be"
	ask("hello", turn(2, "be"), false)
}

// TestInterrupted: what was said of an answer that was stopped stays said.
func TestInterrupted(t *testing.T) {
	c := open(t, toy.Talking(t))
	ctx, cancel := context.WithCancel(t.Context())
	var out strings.Builder
	_, err := c.Ask(ctx, "hello", engine.SamplingParams{}, writer(func(b []byte) (int, error) { cancel(); return out.Write(b) }))
	if !errors.Is(err, context.Canceled) || out.Len() == 0 {
		t.Fatalf("%q, %v", out.String(), err)
	}
	u, err := c.Ask(t.Context(), "why", engine.SamplingParams{MaxTokens: 2}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	want := len(turn(0, "hello")) + len(turn(1, out.String())) + len(turn(0, "why")) + 1
	if u.Prompt != want {
		t.Errorf("a prompt of %d tokens, want %d", u.Prompt, want)
	}
}

func TestFullDisk(t *testing.T) {
	c := open(t, toy.Talking(t))
	full := errors.New("no space left on device")
	if _, err := c.Ask(t.Context(), "hello", engine.SamplingParams{}, writer(func([]byte) (int, error) { return 0, full })); !errors.Is(err, full) {
		t.Error(err)
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

func TestNoTemplate(t *testing.T) {
	members := toy.Members(t)
	b, err := runtime.OpenArtifact(toy.Talking(t))
	if err != nil {
		t.Fatal(err)
	}
	if members["tokenizer.json"], err = b.File("tokenizer.json"); err != nil {
		t.Fatal(err)
	}
	c := open(t, toy.Artifact(t, toy.Plan(), toy.Weights(), members))
	if _, err := c.Ask(t.Context(), "hello", engine.SamplingParams{}, io.Discard); err == nil || !strings.Contains(err.Error(), "no chat template") {
		t.Error(err)
	}
	var out strings.Builder
	if _, err := c.Continue(t.Context(), "hello", engine.SamplingParams{MaxTokens: 4}, &out); err != nil || out.String() != toy.Answer(t, toy.IDs("hello"), 4) {
		t.Errorf("%q, %v", out.String(), err)
	}
}
