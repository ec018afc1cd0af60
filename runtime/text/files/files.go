// Package files makes the three text files of an artifact out of a checkpoint:
//
//	tokenizer.json        a Hugging Face tokenizer
//	chat_template.jinja   the checkpoint's chat template; absent if it has none
//	generation.json       how a sequence starts and stops, and the sampling that the model's makers advise
//
// A Hugging Face folder has them, more or less (hf.go). A GGUF has the tokens, merges and settings as metadata, and
// names its pre-tokenizer only by a word; gguf.go builds the tokenizer.json that the GGUF was once converted from, and
// pre.go holds what each word means. The words that aren't there are errors: a guessed pre-tokenizer gives a model that
// answers, but worse than it could, and nobody sees why.
//
// Same checkpoint, same bytes: nothing here depends on a map's order, a clock or a machine. Checkpoints are hostile
// input: every list is bounded and every id checked before it is used. The package is plain Go; hipc/runtime/text,
// which opens these files, links the tokenizer library.
package files

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Metadata is the metadata of a GGUF. Each method reports false if the key is absent or of another kind.
type Metadata interface {
	String(key string) (string, bool)
	Strings(key string) ([]string, bool)
	Int(key string) (int64, bool)
	Ints(key string) ([]int64, bool)
	Bool(key string) (bool, bool)
}

// Generation is generation.json: the fields of Hugging Face's generation_config.json that hipc heeds, and the special
// tokens as a chat template may name them. What the checkpoint doesn't say is nil or empty.
type Generation struct {
	BOS               *int32            `json:"bos_token_id,omitempty"`
	EOS               IDs               `json:"eos_token_id,omitempty"` // any of them ends a sequence
	Pad               *int32            `json:"pad_token_id,omitempty"`
	DoSample          *bool             `json:"do_sample,omitempty"`
	Temperature       *float64          `json:"temperature,omitempty"`
	TopK              *int              `json:"top_k,omitempty"`
	TopP              *float64          `json:"top_p,omitempty"`
	MinP              *float64          `json:"min_p,omitempty"`
	RepetitionPenalty *float64          `json:"repetition_penalty,omitempty"`
	Tokens            map[string]string `json:"tokens,omitempty"` // "bos_token": "<s>", ...: for the chat template
}

// IDs reads from JSON as one id or as a list of them.
type IDs []int32

func (ids *IDs) UnmarshalJSON(b []byte) error {
	var one int32
	if json.Unmarshal(b, &one) == nil {
		if string(b) != "null" {
			*ids = IDs{one}
		}
		return nil
	}
	var list []int32
	if err := json.Unmarshal(b, &list); err != nil {
		return fmt.Errorf("want a token id or a list of them, got %.40s", b)
	}
	*ids = list
	return nil
}

// ReadGeneration reads generation.json, or a generation_config.json: fields that it doesn't know are passed over.
func ReadGeneration(b []byte) (Generation, error) {
	var g Generation
	if len(b) > maxConfig {
		return g, fmt.Errorf("generation.json has %d bytes, want at most %d", len(b), maxConfig)
	}
	if err := json.Unmarshal(b, &g); err != nil {
		return g, fmt.Errorf("generation.json: %w", err)
	}
	ids := slices.Clone(g.EOS)
	for _, p := range []*int32{g.BOS, g.Pad} {
		if p != nil {
			ids = append(ids, *p)
		}
	}
	for _, id := range ids {
		if id < 0 {
			return g, fmt.Errorf("generation.json: token id %d is negative", id)
		}
	}
	return g, nil
}

// TemplateTokens are the special tokens as text.OpenTemplate takes them.
func (g Generation) TemplateTokens() map[string]any {
	m := make(map[string]any, len(g.Tokens))
	for name, token := range g.Tokens {
		m[name] = token
	}
	return m
}

// maxConfig bounds the small JSON files of a checkpoint. tokenizer_config.json repeats each added token in 200 bytes.
const maxConfig = 16 << 20

// marshal writes JSON as a person would: indented, with < and > as they are.
func marshal(v any) ([]byte, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return []byte(b.String()), nil
}
