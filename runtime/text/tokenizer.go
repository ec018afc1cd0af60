package text

import (
	"fmt"
	"strings"

	"github.com/daulet/tokenizers"
)

// Tokenizer is an open tokenizer.json. It may be used from several goroutines at once, until Close.
type Tokenizer struct {
	vocabulary
	rust *tokenizers.Tokenizer
}

// OpenTokenizer reads a tokenizer.json. It takes BPE models, with the normalisers, pre-tokenizers and decoders that
// language models publish; anything else is an error that names it. An added token that the library would number
// otherwise than the file does is an error too.
func OpenTokenizer(json []byte) (*Tokenizer, error) {
	v, err := readVocabulary(json)
	if err != nil {
		return nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	rust, err := tokenizers.FromBytes(json)
	if err != nil {
		return nil, fmt.Errorf("tokenizer.json: %s", oneLine(err.Error()))
	}
	t := &Tokenizer{vocabulary: *v, rust: rust}
	for _, a := range v.added {
		// The library numbers added tokens by their order, whatever the file says.
		if ids := t.Encode(a.Content); len(ids) == 1 && ids[0] != a.ID {
			t.Close()
			return nil, fmt.Errorf("tokenizer.json: added token %q has the id %d, want %d, where its place in the list puts it", a.Content, a.ID, ids[0])
		}
	}
	return t, nil
}

// Encode gives the ids of a text. Special tokens that stand in it become their ids; none are added. Bytes that aren't
// UTF-8, and U+0000, which no C string can carry, count as U+FFFD.
func (t *Tokenizer) Encode(s string) []int32 { return t.encode(s, false) }

// EncodePrompt is Encode, plus the tokens that the tokenizer's post-processor puts around a text, such as Llama's
// <|begin_of_text|>. It is for plain prompts: a chat template writes these tokens itself.
func (t *Tokenizer) EncodePrompt(s string) []int32 { return t.encode(s, true) }

func (t *Tokenizer) encode(s string, addSpecial bool) []int32 {
	s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	u := t.rust.EncodeWithOptions(s, addSpecial).IDs
	ids := make([]int32, len(u))
	for i, id := range u {
		ids[i] = int32(id)
	}
	return ids
}

// Decode gives the text of ids. Ids that the tokenizer doesn't have are left out, with skipSpecial its special tokens
// too. Bytes that aren't UTF-8 become U+FFFD.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) string {
	if t.byteLevel {
		var b []byte
		for _, id := range ids {
			b = t.appendBytes(b, id, skipSpecial)
		}
		s, rest := validUTF8(b)
		if len(rest) > 0 {
			s += "\uFFFD"
		}
		return s
	}
	known := make([]uint32, 0, len(ids))
	for _, id := range ids {
		if t.has(id) {
			known = append(known, uint32(id))
		}
	}
	return t.rust.Decode(known, skipSpecial)
}

// Close frees the tokenizer's memory, which the garbage collector doesn't see.
func (t *Tokenizer) Close() {
	if t.rust != nil {
		t.rust.Close()
		t.rust = nil
	}
}

// oneLine makes a foreign error fit for ours: no line breaks, no quoted file.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 240 {
		s = string(r[:240]) + "..."
	}
	return s
}
