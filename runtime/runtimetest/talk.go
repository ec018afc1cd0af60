package runtimetest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// The letters of the toy's language, one token each; the tokens before them are special.
const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQR"

// Talking is the toy's artifact with a tokenizer and a chat template: <u>question<end><a>answer<end>, and <s> before what
// the system says.
func Talking(t testing.TB) string {
	t.Helper()
	vocab := map[string]int{}
	var added []string
	for i, s := range []string{"<u>", "<a>", "<s>", "<end>"} {
		vocab[s] = i
		added = append(added, fmt.Sprintf(`{"id": %d, "content": %q, "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false}`, i, s))
	}
	for i, c := range letters {
		vocab[string(c)] = 4 + i
	}
	v, err := json.Marshal(vocab)
	if err != nil {
		t.Fatal(err)
	}
	t.Helper()
	members := Members(t)
	members["tokenizer.json"] = fmt.Appendf(nil, `{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [%s], "normalizer": null,
		"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}, "post_processor": null,
		"decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
		"model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": %s, "merges": []}}`,
		strings.Join(added, ", "), v)
	members["chat_template.jinja"] = []byte(`{% for m in messages %}{{ {"user": "<u>", "assistant": "<a>", "system": "<s>"}[m.role] + m.content + "<end>" }}{% endfor %}{% if add_generation_prompt %}<a>{% endif %}`)
	return Artifact(t, Plan(), Weights(), members)
}

// IDs is what the toy's tokenizer makes of a prompt without special tokens' names.
func IDs(s string) (out []int32) {
	for _, c := range s {
		out = append(out, int32(4+strings.IndexRune(letters, c)))
	}
	return out
}

// Answer is what the toy has to say after ids, up to n tokens.
func Answer(t testing.TB, ids []int32, n int) string {
	t.Helper()
	next, gap := Greedy(ids, n)
	if gap < 1e-4 {
		t.Fatalf("the toy decides by %g: choose another prompt", gap)
	}
	s := ""
	for _, id := range next {
		if id == 3 {
			break
		}
		if id >= 4 {
			s += letters[id-4 : id-3]
		}
	}
	return s
}
