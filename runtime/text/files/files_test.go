package files

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"hipc/runtime/weights"
)

// metadata is a GGUF's, in a map.
type metadata map[string]any

func value[T any](m metadata, key string) (T, bool) { v, ok := m[key].(T); return v, ok }

func (m metadata) String(key string) (string, bool)    { return value[string](m, key) }
func (m metadata) Strings(key string) ([]string, bool) { return value[[]string](m, key) }
func (m metadata) Int(key string) (int64, bool)        { return value[int64](m, key) }
func (m metadata) Ints(key string) ([]int64, bool)     { return value[[]int64](m, key) }
func (m metadata) Bool(key string) (bool, bool)        { return value[bool](m, key) }

func tiny(changes ...any) metadata {
	m := metadata{
		"tokenizer.ggml.model":        "gpt2",
		"tokenizer.ggml.pre":          "gpt-2",
		"tokenizer.ggml.tokens":       []string{"<s>", "a", "b", "ab", "<tool>", "</s>"},
		"tokenizer.ggml.token_type":   []int64{3, 1, 1, 1, 4, 3},
		"tokenizer.ggml.merges":       []string{"a b"},
		"tokenizer.ggml.bos_token_id": int64(0),
		"tokenizer.ggml.eos_token_id": int64(5),
		"tokenizer.ggml.eot_token_id": int64(4),
		"tokenizer.ggml.eom_token_id": int64(5),
		"tokenizer.chat_template":     "{{ messages }}",
	}
	for i := 0; i < len(changes); i += 2 {
		m["tokenizer."+changes[i].(string)] = changes[i+1]
	}
	return m
}

// TestSmolLM2Rebuilt compares with the tokenizer.json that the GGUF was rebuilt to by other people's code, part by part
// through digests of its canonical JSON: the file itself has 3.5 MB.
func TestSmolLM2Rebuilt(t *testing.T) {
	const path = "../../../.cache/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
	if _, err := os.Stat(path); os.IsNotExist(err) {
		t.Skipf("%s is absent: `make model` fetches it", path)
	}
	checkpoint, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer checkpoint.Close()
	got, _, generation, err := FromGGUF(checkpoint.GGUF())
	if err != nil {
		t.Fatal(err)
	}
	again, _, _, _ := FromGGUF(checkpoint.GGUF())
	if string(got) != string(again) {
		t.Error("the same GGUF gave other bytes")
	}
	b, err := os.ReadFile("../../../tests/testdata/smollm2/tokenizer_digests.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]string
	var file map[string]any
	if json.Unmarshal(b, &want) != nil || json.Unmarshal(got, &file) != nil {
		t.Fatal("no JSON")
	}
	parts := map[string]any{}
	for k, v := range file {
		if k != "model" {
			parts[k] = v
			continue
		}
		for k, v := range v.(map[string]any) {
			parts["model."+k] = v
		}
	}
	digests := map[string]string{}
	for k, v := range parts {
		var canonical strings.Builder // Go sorts the keys
		e := json.NewEncoder(&canonical)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(strings.TrimSuffix(canonical.String(), "\n")))
		digests[k] = hex.EncodeToString(sum[:])
	}
	if diff := cmp.Diff(want, digests); diff != "" {
		t.Errorf("digests (-want +got):\n%s", diff)
	}
	const gen = `{
  "bos_token_id": 1,
  "eos_token_id": [
    2
  ],
  "pad_token_id": 2,
  "tokens": {
    "bos_token": "<|im_start|>",
    "eos_token": "<|im_end|>",
    "pad_token": "<|im_end|>",
    "unk_token": "<|endoftext|>"
  }
}
`
	if diff := cmp.Diff(gen, string(generation)); diff != "" {
		t.Errorf("generation.json (-want +got):\n%s", diff)
	}
}

func TestFromGGUF(t *testing.T) {
	tokenizer, chat, generation, err := FromGGUF(tiny("ggml.pre", "llama-bpe", "ggml.add_bos_token", true))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"ignore_merges": true`, `"Regex": "(?i:'s|'t`, `\\p{N}{1,3}`, `"type": "TemplateProcessing"`, `"<s>": 0`, `"use_regex": false`} {
		if !strings.Contains(string(tokenizer), want) {
			t.Errorf("tokenizer.json lacks %s", want)
		}
	}
	g, err := ReadGeneration(generation)
	if err != nil {
		t.Fatal(err)
	}
	zero := int32(0)
	want := Generation{BOS: &zero, EOS: IDs{5, 4}, Tokens: map[string]string{"bos_token": "<s>", "eos_token": "</s>"}}
	if diff := cmp.Diff(want, g); diff != "" {
		t.Errorf("generation (-want +got):\n%s", diff)
	}
	if string(chat) != "{{ messages }}" {
		t.Errorf("chat template %q", chat)
	}
	m := tiny("ggml.pre", "qwen2")
	delete(m, "tokenizer.chat_template")
	if tokenizer, chat, _, err = FromGGUF(m); err != nil || chat != nil || !strings.Contains(string(tokenizer), `"NFC"`) {
		t.Errorf("qwen2 without a template: %q, %v", chat, err)
	}
}

func TestFromGGUFRefuses(t *testing.T) {
	for _, c := range []struct {
		md   metadata
		want string
	}{
		{metadata{}, "no tokenizer"},
		{tiny("ggml.model", "llama"), `tokenizer.ggml.model is "llama", want "gpt2"`},
		{tiny("ggml.pre", "mystery"), `tokenizer.ggml.pre is "mystery", want one of gpt-2, smollm, qwen2`},
		{tiny("ggml.pre", nil), "tokenizer.ggml.pre is absent"},
		{tiny("ggml.tokens", []string{}), "has 0 tokens"},
		{tiny("ggml.tokens", []string{"a", "b", "a"}), `"a" is there twice, as 0 and as 2`},
		{tiny("ggml.tokens", []string{strings.Repeat("x", maxTokenBytes+1)}), "too long at token 0"},
		{tiny("ggml.token_type", []int64{3}), "token_type has 1 entries for 6 tokens"},
		{tiny("ggml.merges", nil), "want a list"},
		{tiny("ggml.merges", []string{"a b b"}), `0 is "a b b", want two tokens and one space`},
		{tiny("ggml.merges", []string{"ab"}), "want two tokens and one space"},
		{tiny("ggml.merges", []string{"b a"}), `"ba" to be tokens`},
		{tiny("ggml.eos_token_id", int64(6)), "eos_token_id is 6, want 0 to 5"},
		{tiny("ggml.bos_token_id", int64(-1)), "bos_token_id is -1"},
	} {
		_, _, _, err := FromGGUF(c.md)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v, want one line with %q", err, c.want)
		}
	}
}

func TestFromHF(t *testing.T) {
	const tokenizer = `{"added_tokens":[{"id":7,"content":"</s>"}],"model":{"type":"BPE","vocab":{"a":0,"</s>":3},"merges":[]}}`
	dir := func(files ...string) fstest.MapFS {
		fs := fstest.MapFS{"tokenizer.json": {Data: []byte(tokenizer)}}
		for i := 0; i < len(files); i += 2 {
			fs[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
		}
		return fs
	}
	for name, c := range map[string]struct {
		dir              fstest.MapFS
		chat, generation string
	}{
		"bare": {dir(), "", `{}`},
		"all": {dir("tokenizer_config.json", `{"chat_template":"old","bos_token":"<s>","eos_token":{"content":"</s>"},"pad_token":null}`, "chat_template.jinja", "new",
			"generation_config.json", `{"eos_token_id":[5,6],"temperature":0.6,"top_k":20,"top_p":0.95,"do_sample":true,"transformers_version":"4"}`),
			"new", `{"eos_token_id":[5,6],"do_sample":true,"temperature":0.6,"top_k":20,"top_p":0.95,"tokens":{"bos_token":"<s>","eos_token":"</s>"}}`},
		"named": {dir("tokenizer_config.json", `{"chat_template":[{"name":"tool_use","template":"t"},{"name":"default","template":"d"}],"eos_token":"</s>"}`),
			"d", `{"eos_token_id":[7],"tokens":{"eos_token":"</s>"}}`},
		"one id": {dir("generation_config.json", `{"eos_token_id":5,"bos_token_id":1}`), "", `{"bos_token_id":1,"eos_token_id":[5]}`},
	} {
		tok, chat, generation, err := FromHF(c.dir)
		var compact strings.Builder
		if err == nil {
			var v Generation
			if v, err = ReadGeneration(generation); err == nil {
				err = json.NewEncoder(&compact).Encode(v)
			}
		}
		if err != nil || string(tok) != tokenizer || string(chat) != c.chat || strings.TrimSpace(compact.String()) != strings.NewReplacer("<", `\u003c`, ">", `\u003e`).Replace(c.generation) {
			t.Errorf("%s: template %q, generation %s, %v", name, chat, compact.String(), err)
		}
	}
	for _, c := range []struct {
		dir  fstest.MapFS
		want string
	}{
		{dir("tokenizer_config.json", `[`), "tokenizer_config.json"},
		{dir("tokenizer_config.json", `{"chat_template":7}`), "chat_template"},
		{dir("tokenizer_config.json", `{"chat_template":[{"name":"x","template":"y"}]}`), "called default"},
		{dir("generation_config.json", `{"eos_token_id":"x"}`), "token id"},
		{dir("generation_config.json", `{"eos_token_id":[-4]}`), "-4 is negative"},
		{dir("chat_template.jinja", strings.Repeat("x", maxConfig+1)), "longer than"},
	} {
		if _, _, _, err := FromHF(c.dir); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
	mute := fstest.MapFS{"tokenizer_config.json": {Data: []byte(`{"eos_token":"</s>","chat_template":"t"}`)}}
	if tok, chat, _, err := FromHF(mute); tok != nil || string(chat) != "t" || err != nil {
		t.Errorf("without a tokenizer: %q, %q, %v", tok, chat, err)
	}
}
