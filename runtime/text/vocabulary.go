package text

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Limits on a tokenizer.json. The largest that is published has 262,144 tokens in 33 MB.
const (
	maxTokenizerBytes = 256 << 20
	maxTokens         = 1 << 22
)

// A vocabulary is what Go knows of a tokenizer.json: the names of the tokens, and how ids become bytes.
type vocabulary struct {
	ids       map[string]int32
	tokens    []string // by id
	known     []bool   // by id: a vocabulary may have gaps
	special   []bool   // by id
	added     []addedToken
	byteLevel bool // the decoder is ByteLevel: a token's characters stand for bytes
}

type addedToken struct {
	ID      int32  `json:"id"`
	Content string `json:"content"`
	Special bool   `json:"special"`
}

// VocabSize is the highest id plus one. The model's logits may have more rows: they are padded.
func (v *vocabulary) VocabSize() int { return len(v.tokens) }

// TokenID finds a token by its name as it stands in tokenizer.json: "<|im_end|>", "Ġthe".
func (v *vocabulary) TokenID(s string) (int32, bool) {
	id, ok := v.ids[s]
	return id, ok
}

// Special says whether an id is a special token, which Decode can leave out.
func (v *vocabulary) Special(id int32) bool { return v.has(id) && v.special[id] }

func (v *vocabulary) has(id int32) bool { return id >= 0 && int(id) < len(v.tokens) && v.known[id] }

// components are the building blocks that published BPE tokenizers use, and that the library handles without ending
// the process on bad parameters. An entry's values are the types that may stand in that field of tokenizer.json.
var components = []struct {
	field string
	types []string
}{
	{"normalizer", []string{"Sequence", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Strip", "Replace", "Prepend"}},
	{"pre_tokenizer", []string{"Sequence", "ByteLevel", "Split", "Digits", "Metaspace", "Whitespace", "WhitespaceSplit", "Punctuation"}},
	{"post_processor", []string{"Sequence", "ByteLevel", "TemplateProcessing"}},
	{"decoder", []string{"Sequence", "ByteLevel", "ByteFallback", "Replace", "Fuse", "Strip", "Metaspace"}},
}

func readVocabulary(b []byte) (*vocabulary, error) {
	if len(b) > maxTokenizerBytes {
		return nil, fmt.Errorf("has %d bytes, want at most %d", len(b), maxTokenizerBytes)
	}
	if holdsNUL(b) { // the library's error texts are C strings: a NUL in one ends the process
		return nil, fmt.Errorf("holds the character U+0000")
	}
	var file, model map[string]json.RawMessage // maps, not structs: Go would take "Vocab" for vocab, the library not
	if err := json.Unmarshal(b, &file); err != nil {
		return nil, fmt.Errorf("isn't JSON: %s", oneLine(err.Error()))
	}
	if err := json.Unmarshal(file["model"], &model); err != nil {
		return nil, fmt.Errorf("has no object called model")
	}
	if err := checkModel(model); err != nil {
		return nil, err
	}
	for _, c := range components {
		if err := checkComponent(c.field, c.types, file[c.field]); err != nil {
			return nil, err
		}
	}
	v := &vocabulary{byteLevel: isByteLevel(file["decoder"])}
	if err := json.Unmarshal(model["vocab"], &v.ids); err != nil {
		return nil, fmt.Errorf("model.vocab: want an object of token ids: %s", oneLine(err.Error()))
	}
	if raw := file["added_tokens"]; raw != nil {
		if err := json.Unmarshal(raw, &v.added); err != nil {
			return nil, fmt.Errorf("added_tokens: %s", oneLine(err.Error()))
		}
	}
	return v, v.index()
}

// index fills the tables by id, and puts the added tokens over the vocabulary's.
func (v *vocabulary) index() error {
	size := int32(0)
	room := func(name string, id int32) error {
		if id < 0 || id >= maxTokens {
			return fmt.Errorf("token %q has the id %d, want 0 to %d", name, id, maxTokens-1)
		}
		size = max(size, id+1)
		return nil
	}
	for name, id := range v.ids {
		if err := room(name, id); err != nil {
			return err
		}
	}
	for _, a := range v.added {
		if err := room(a.Content, a.ID); err != nil {
			return err
		}
	}
	if size == 0 {
		return fmt.Errorf("has no tokens")
	}
	v.tokens, v.known, v.special = make([]string, size), make([]bool, size), make([]bool, size)
	for name, id := range v.ids {
		if v.known[id] {
			return fmt.Errorf("tokens %q and %q have the same id %d", min(name, v.tokens[id]), max(name, v.tokens[id]), id)
		}
		v.tokens[id], v.known[id] = name, true
	}
	if v.ids == nil {
		v.ids = map[string]int32{}
	}
	for _, a := range v.added {
		v.ids[a.Content] = a.ID
		v.tokens[a.ID], v.known[a.ID], v.special[a.ID] = a.Content, true, a.Special
	}
	return nil
}

// checkModel refuses what isn't a deterministic BPE. A subword prefix longer than a token ends the library's process.
func checkModel(model map[string]json.RawMessage) error {
	kind := "BPE" // older files leave it out
	if raw := model["type"]; raw != nil {
		if json.Unmarshal(raw, &kind) != nil || kind != "BPE" {
			return fmt.Errorf("model.type is %s, want \"BPE\"", oneLine(string(raw)))
		}
	}
	if model["merges"] == nil {
		return fmt.Errorf("model has no merges, want a BPE model")
	}
	for _, field := range []string{"continuing_subword_prefix", "dropout"} {
		switch raw := string(model[field]); raw {
		case "", "null", `""`, "0", "0.0":
		default:
			return fmt.Errorf("model.%s is %s, want none", field, oneLine(raw))
		}
	}
	return nil
}

// checkComponent looks at a component's type, and at those of its members if it is a Sequence.
func checkComponent(field string, types []string, raw json.RawMessage) error {
	if raw == nil || string(raw) == "null" {
		return nil
	}
	var c map[string]json.RawMessage
	var kind string
	if json.Unmarshal(raw, &c) != nil || json.Unmarshal(c["type"], &kind) != nil {
		return fmt.Errorf("%s: want an object with a type", field)
	}
	if !slices.Contains(types, kind) {
		return fmt.Errorf("%s %q is not supported, want one of %s", field, kind, strings.Join(types, ", "))
	}
	if kind != "Sequence" {
		return nil
	}
	for _, members := range []string{"normalizers", "pretokenizers", "processors", "decoders"} {
		var list []json.RawMessage
		if c[members] == nil {
			continue
		}
		if err := json.Unmarshal(c[members], &list); err != nil {
			return fmt.Errorf("%s.%s: want a list", field, members)
		}
		for _, m := range list {
			if err := checkComponent(field, types, m); err != nil {
				return err
			}
		}
	}
	return nil
}

func isByteLevel(raw json.RawMessage) bool {
	var c struct{ Type string }
	return raw != nil && json.Unmarshal(raw, &c) == nil && c.Type == "ByteLevel"
}

// holdsNUL finds a zero byte, or the escape \u0000 whose backslash isn't itself escaped.
func holdsNUL(b []byte) bool {
	if bytes.IndexByte(b, 0) >= 0 {
		return true
	}
	for at := 0; ; {
		i := bytes.Index(b[at:], []byte(`\u0000`))
		if i < 0 {
			return false
		}
		i += at
		before := i
		for before > 0 && b[before-1] == '\\' {
			before--
		}
		if (i-before)%2 == 0 {
			return true
		}
		at = i + 1
	}
}
