// Package chat joins text and engine: a conversation with a model, in words.
//
// Each question renders the whole conversation through the model's own chat template and asks the engine for what
// follows. The engine still has the conversation up to the question in its cache, so only the question costs time. An
// artifact without a template can only continue texts.
package chat

import (
	"context"
	"fmt"
	"io"
	"strings"

	"hipc/runtime"
	"hipc/runtime/engine"
	"hipc/runtime/text"
)

// A Conversation is what was said so far, and whom it's said to.
type Conversation struct {
	System string // what the model is told first; "": what its template says by itself

	llm      *engine.LLM
	tok      *text.Tokenizer
	template *text.Template // nil: the artifact has none
	said     []text.Message
}

// Open opens the artifact's tokenizer and template while model brings the model up: each takes a while, and neither
// needs the other. Close closes the model too.
func Open(a *runtime.Artifact, model func() (*engine.LLM, error)) (*Conversation, error) {
	type opened struct {
		tok *text.Tokenizer
		err error
	}
	words := make(chan opened, 1)
	go func() {
		tok, err := Tokenizer(a)
		words <- opened{tok, err}
	}()
	llm, err := model()
	w := <-words
	c := &Conversation{llm: llm, tok: w.tok}
	if err == nil {
		err = w.err
	}
	if err == nil {
		err = c.openTemplate(a)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *Conversation) openTemplate(a *runtime.Artifact) error {
	const member = "chat_template.jinja"
	if !a.Has(member) {
		return nil
	}
	b, err := a.File(member)
	if err != nil {
		return err
	}
	if c.template, err = text.OpenTemplate(string(b), c.llm.Generation.TemplateTokens()); err != nil {
		return fmt.Errorf("%s: %s: %w", a.Dir, member, err)
	}
	return nil
}

// Tokenizer opens the artifact's tokenizer alone.
func Tokenizer(a *runtime.Artifact) (*text.Tokenizer, error) {
	const member = "tokenizer.json"
	if !a.Has(member) {
		return nil, fmt.Errorf("%s: has no %s, its checkpoint had none: it can be measured, and takes ids (bench, logits), not words", a.Dir, member)
	}
	b, err := a.File(member)
	if err != nil {
		return nil, err
	}
	tok, err := text.OpenTokenizer(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.Dir, err)
	}
	return tok, nil
}

// Close gives back the tokenizer's memory, and the model's.
func (c *Conversation) Close() error {
	if c.tok != nil {
		c.tok.Close()
	}
	if c.llm == nil {
		return nil
	}
	return c.llm.Close()
}

// HasTemplate says whether the model can be asked, or only continues.
func (c *Conversation) HasTemplate() bool { return c.template != nil }

// Reset forgets what was said.
func (c *Conversation) Reset() { c.said = nil }

// Ask says something to the model and writes its answer to out, piece by piece as it comes. What it answered is part of
// the conversation then, an interrupted answer too.
func (c *Conversation) Ask(ctx context.Context, question string, p engine.SamplingParams, out io.Writer) (engine.Usage, error) {
	if c.template == nil {
		return engine.Usage{}, fmt.Errorf("the model has no chat template: it can only continue a text (--raw)")
	}
	var messages []text.Message
	if c.System != "" {
		messages = append(messages, text.Message{Role: "system", Content: c.System})
	}
	messages = append(append(messages, c.said...), text.Message{Role: "user", Content: question})
	prompt, err := c.template.Render(messages, text.RenderOptions{AddGenerationPrompt: true})
	if err != nil {
		return engine.Usage{}, err
	}
	var answer strings.Builder
	u, err := c.generate(ctx, c.tok.Encode(prompt), p, io.MultiWriter(&answer, out))
	if err == nil || u.Tokens > 0 {
		c.said = append(c.said, text.Message{Role: "user", Content: question}, text.Message{Role: "assistant", Content: answer.String()})
	}
	return u, err
}

// Continue writes what follows a text, which isn't part of the conversation.
func (c *Conversation) Continue(ctx context.Context, prompt string, p engine.SamplingParams, out io.Writer) (engine.Usage, error) {
	return c.generate(ctx, c.tok.EncodePrompt(prompt), p, out)
}

func (c *Conversation) generate(ctx context.Context, ids []int32, p engine.SamplingParams, out io.Writer) (engine.Usage, error) {
	stream := c.tok.Stream(true)
	var failed error
	write := func(s string) {
		if s != "" && failed == nil {
			_, failed = io.WriteString(out, s)
		}
	}
	u, err := c.llm.Generate(ctx, ids, p, func(id int32) bool {
		write(stream.Next(id))
		return failed == nil
	})
	write(stream.Flush())
	if err == nil {
		err = failed
	}
	return u, err
}
