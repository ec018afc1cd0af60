package files

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Limits on a GGUF's tokenizer. The largest vocabulary that is published has 262,144 tokens.
const (
	maxTokens     = 1 << 22
	maxTokenBytes = 1 << 16
	maxJSONBytes  = 256 << 20
)

// The values of tokenizer.ggml.token_type that matter: the others are plain entries of the vocabulary.
const (
	typeControl     = 3 // a special token: recognised in text, left out of answers
	typeUserDefined = 4 // recognised in text, shown in answers
)

type addedToken struct {
	ID         int    `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// FromGGUF builds the text files from a GGUF's metadata. It knows byte-level BPE (tokenizer.ggml.model = gpt2) with the
// pre-tokenizers of pre.go. chatTemplate is nil if the GGUF has none.
func FromGGUF(md Metadata) (tokenizerJSON, chatTemplate, generation []byte, err error) {
	model, ok := md.String("tokenizer.ggml.model")
	if !ok {
		return nil, nil, nil, fmt.Errorf("the GGUF has no tokenizer: tokenizer.ggml.model is absent")
	}
	if model != "gpt2" {
		return nil, nil, nil, fmt.Errorf("tokenizer.ggml.model is %.40q, want \"gpt2\" (byte-level BPE): convert from the Hugging Face checkpoint instead", model)
	}
	pre, err := preOf(md)
	if err != nil {
		return nil, nil, nil, err
	}
	tokens, err := tokensOf(md)
	if err != nil {
		return nil, nil, nil, err
	}
	merges, err := mergesOf(md, tokens)
	if err != nil {
		return nil, nil, nil, err
	}
	gen, err := generationOf(md, tokens)
	if err != nil {
		return nil, nil, nil, err
	}
	if tokenizerJSON, err = tokenizerOf(md, pre, tokens, merges, gen); err != nil {
		return nil, nil, nil, err
	}
	if generation, err = marshal(gen); err != nil {
		return nil, nil, nil, err
	}
	if t, ok := md.String("tokenizer.chat_template"); ok {
		chatTemplate = []byte(t)
	}
	return tokenizerJSON, chatTemplate, generation, nil
}

func preOf(md Metadata) (preTokenizer, error) {
	name, ok := md.String("tokenizer.ggml.pre")
	if !ok {
		return preTokenizer{}, fmt.Errorf("tokenizer.ggml.pre is absent: an old GGUF, convert it anew")
	}
	var known []string
	for _, p := range preTokenizers {
		if slices.Contains(p.names, name) {
			return p, nil
		}
		known = append(known, p.names...)
	}
	return preTokenizer{}, fmt.Errorf("tokenizer.ggml.pre is %.40q, want one of %s: convert from the Hugging Face checkpoint instead, or add a row to preTokenizers",
		name, strings.Join(known, ", "))
}

// tokensOf returns the tokens by id, each once.
func tokensOf(md Metadata) ([]string, error) {
	tokens, ok := md.Strings("tokenizer.ggml.tokens")
	if !ok || len(tokens) == 0 || len(tokens) > maxTokens {
		return nil, fmt.Errorf("tokenizer.ggml.tokens has %d tokens, want 1 to %d", len(tokens), maxTokens)
	}
	total, seen := 0, make(map[string]int, len(tokens))
	for i, t := range tokens {
		if len(t) > maxTokenBytes || total > maxJSONBytes {
			return nil, fmt.Errorf("tokenizer.ggml.tokens: too long at token %d: want at most %d bytes a token, %d in all", i, maxTokenBytes, maxJSONBytes)
		}
		total += len(t)
		if first, twice := seen[t]; twice {
			return nil, fmt.Errorf("tokenizer.ggml.tokens: %.40q is there twice, as %d and as %d", t, first, i)
		}
		seen[t] = i
	}
	return tokens, nil
}

// mergesOf returns the merges as pairs. In the file a merge is "a b"; a space within a token is written Ġ.
func mergesOf(md Metadata, tokens []string) ([][2]string, error) {
	lines, ok := md.Strings("tokenizer.ggml.merges")
	if !ok || len(lines) > maxTokens {
		return nil, fmt.Errorf("tokenizer.ggml.merges has %d merges, want a list of at most %d", len(lines), maxTokens)
	}
	known := make(map[string]bool, len(tokens))
	for _, t := range tokens {
		known[t] = true
	}
	merges := make([][2]string, len(lines))
	for i, line := range lines {
		a, b, ok := strings.Cut(line, " ")
		if !ok || a == "" || b == "" || strings.Contains(b, " ") {
			return nil, fmt.Errorf("tokenizer.ggml.merges: %d is %.40q, want two tokens and one space", i, line)
		}
		if !known[a] || !known[b] || !known[a+b] {
			return nil, fmt.Errorf("tokenizer.ggml.merges: %d is %.40q, want %.40q, %.40q and %.40q to be tokens", i, line, a, b, a+b)
		}
		merges[i] = [2]string{a, b}
	}
	return merges, nil
}

// generationOf collects the ids of the special tokens. A GGUF has up to three that end a sequence: of text, of a turn,
// of a message to a tool.
func generationOf(md Metadata, tokens []string) (Generation, error) {
	g := Generation{Tokens: map[string]string{}}
	id := func(key, name string) (*int32, error) {
		n, ok := md.Int("tokenizer.ggml." + key)
		if !ok {
			return nil, nil
		}
		if n < 0 || n >= int64(len(tokens)) {
			return nil, fmt.Errorf("tokenizer.ggml.%s is %d, want 0 to %d", key, n, len(tokens)-1)
		}
		if name != "" {
			g.Tokens[name] = tokens[n]
		}
		i := int32(n)
		return &i, nil
	}
	var err error
	if g.BOS, err = id("bos_token_id", "bos_token"); err != nil {
		return g, err
	}
	if g.Pad, err = id("padding_token_id", "pad_token"); err != nil {
		return g, err
	}
	if _, err = id("unknown_token_id", "unk_token"); err != nil {
		return g, err
	}
	for _, k := range [][2]string{{"eos_token_id", "eos_token"}, {"eot_token_id", ""}, {"eom_token_id", ""}} {
		p, err := id(k[0], k[1])
		if err != nil {
			return g, err
		}
		if p != nil && !slices.Contains(g.EOS, *p) {
			g.EOS = append(g.EOS, *p)
		}
	}
	return g, nil
}

// tokenizerOf writes tokenizer.json: the vocabulary in the order of its ids.
func tokenizerOf(md Metadata, p preTokenizer, tokens []string, merges [][2]string, gen Generation) ([]byte, error) {
	types, ok := md.Ints("tokenizer.ggml.token_type")
	if ok && len(types) != len(tokens) {
		return nil, fmt.Errorf("tokenizer.ggml.token_type has %d entries for %d tokens", len(types), len(tokens))
	}
	added := []addedToken{}
	for i, t := range types {
		if t == typeControl || t == typeUserDefined {
			added = append(added, addedToken{ID: i, Content: tokens[i], Special: t == typeControl})
		}
	}
	vocab := []byte{'{'}
	for i, t := range tokens {
		if i > 0 {
			vocab = append(vocab, ',')
		}
		vocab = append(append(vocab, quote(t)...), fmt.Sprintf(":%d", i)...)
	}
	vocab = append(vocab, '}')
	normalizer, pre := p.parts()
	return marshal(struct {
		Version       string       `json:"version"`
		Truncation    any          `json:"truncation"`
		Padding       any          `json:"padding"`
		AddedTokens   []addedToken `json:"added_tokens"`
		Normalizer    any          `json:"normalizer"`
		PreTokenizer  any          `json:"pre_tokenizer"`
		PostProcessor any          `json:"post_processor"`
		Decoder       any          `json:"decoder"`
		Model         any          `json:"model"`
	}{
		Version: "1.0", AddedTokens: added, Normalizer: normalizer, PreTokenizer: pre, PostProcessor: postProcessor(md, tokens, gen),
		Decoder: map[string]any{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
		Model: struct {
			Type                    string          `json:"type"`
			Dropout                 any             `json:"dropout"`
			UnkToken                any             `json:"unk_token"`
			ContinuingSubwordPrefix any             `json:"continuing_subword_prefix"`
			EndOfWordSuffix         any             `json:"end_of_word_suffix"`
			FuseUnk                 bool            `json:"fuse_unk"`
			ByteFallback            bool            `json:"byte_fallback"`
			IgnoreMerges            bool            `json:"ignore_merges"`
			Vocab                   json.RawMessage `json:"vocab"`
			Merges                  [][2]string     `json:"merges"`
		}{Type: "BPE", IgnoreMerges: p.ignoreMerges, Vocab: vocab, Merges: merges},
	})
}

// postProcessor puts the first token before a plain prompt, where the GGUF says so.
func postProcessor(md Metadata, tokens []string, gen Generation) any {
	if add, _ := md.Bool("tokenizer.ggml.add_bos_token"); !add || gen.BOS == nil {
		return nil
	}
	type object = map[string]any
	bos := tokens[*gen.BOS]
	first := object{"SpecialToken": object{"id": bos, "type_id": 0}}
	text := func(id string, kind int) object { return object{"Sequence": object{"id": id, "type_id": kind}} }
	return object{
		"type":           "TemplateProcessing",
		"single":         []any{first, text("A", 0)},
		"pair":           []any{first, text("A", 0), text("B", 1)},
		"special_tokens": object{bos: object{"id": bos, "ids": []int32{*gen.BOS}, "tokens": []string{bos}}},
	}
}

// quote writes a token as JSON. Tokens of a byte-level vocabulary are printable; others may hold anything.
func quote(s string) []byte {
	b, err := marshal(s)
	if err != nil {
		panic("files: a string has no JSON: " + err.Error())
	}
	return b[:len(b)-1]
}
