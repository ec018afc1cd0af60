package text

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"hipc/runtime/text/files"
	"hipc/runtime/weights"
)

const ggufPath = "../../.cache/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"

// smollm2 opens the text files rebuilt from the GGUF that `make model` fetches.
func smollm2(t testing.TB) (tok *Tokenizer, template string, gen files.Generation) {
	t.Helper()
	if _, err := os.Stat(ggufPath); os.IsNotExist(err) {
		t.Skipf("%s is absent: `make model` fetches it", ggufPath)
	}
	checkpoint, err := weights.Open(ggufPath)
	if err != nil {
		t.Fatal(err)
	}
	defer checkpoint.Close()
	tokenizerJSON, chat, generation, err := files.FromGGUF(checkpoint.GGUF())
	if err != nil {
		t.Fatal(err)
	}
	if tok, err = OpenTokenizer(tokenizerJSON); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tok.Close)
	if gen, err = files.ReadGeneration(generation); err != nil {
		t.Fatal(err)
	}
	return tok, string(chat), gen
}

// TestSmolLM2Cases holds what Hugging Face's tokenizers gave for these texts.
func TestSmolLM2Cases(t *testing.T) {
	tok, _, _ := smollm2(t)
	b, err := os.ReadFile("../../tests/testdata/smollm2/tokenizer_cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Text string
		IDs  []int32
	}
	if err := json.Unmarshal(b, &cases); err != nil || len(cases) == 0 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	for _, c := range cases {
		if diff := cmp.Diff(c.IDs, tok.Encode(c.Text)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.Text, diff)
		}
		if got := tok.Decode(c.IDs, false); got != c.Text {
			t.Errorf("decoded %q, want %q", got, c.Text)
		}
		if !slices.Equal(tok.EncodePrompt(c.Text), c.IDs) {
			t.Errorf("%q: EncodePrompt adds tokens, but the model has add_bos_token false", c.Text)
		}
	}
}

// TestSmolLM2Chat holds the golden prompt and its ids: the system message is the template's own.
func TestSmolLM2Chat(t *testing.T) {
	tok, jinja, gen := smollm2(t)
	tmpl, err := OpenTemplate(jinja, gen.TemplateTokens())
	if err != nil {
		t.Fatal(err)
	}
	prompt, err := tmpl.Render([]Message{{Role: "user", Content: "What is gravity? Answer in one sentence."}}, RenderOptions{AddGenerationPrompt: true})
	if err != nil {
		t.Fatal(err)
	}
	want := "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n<|im_start|>user\nWhat is gravity? Answer in one sentence.<|im_end|>\n<|im_start|>assistant\n"
	if prompt != want {
		t.Errorf("got %q, want %q", prompt, want)
	}
	ids := []int32{1, 9690, 198, 2683, 359, 253, 5356, 5646, 11173, 3365, 3511, 308, 34519, 28, 7018, 411, 407, 19712, 8182, 2, 198, 1, 4093, 198,
		1780, 314, 9354, 47, 19842, 281, 582, 6330, 30, 2, 198, 1, 520, 9531, 198}
	if diff := cmp.Diff(ids, tok.Encode(prompt)); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
	if !slices.Equal(gen.EOS, []int32{2}) || gen.BOS == nil || *gen.BOS != 1 || gen.Tokens["eos_token"] != "<|im_end|>" {
		t.Errorf("generation is %+v", gen)
	}
}

func TestTokenNames(t *testing.T) {
	tok, _, _ := smollm2(t)
	if n := tok.VocabSize(); n != 49152 {
		t.Errorf("vocabulary of %d, want 49152", n)
	}
	for name, want := range map[string]int32{"<|im_end|>": 2, "Ġthe": 260, "nobody's token": -1} {
		id, ok := tok.TokenID(name)
		if ok != (want >= 0) || ok && id != want {
			t.Errorf("%q is %d, %v, want %d", name, id, ok, want)
		}
	}
	if !tok.Special(2) || tok.Special(260) || tok.Special(-1) || tok.Special(1<<30) {
		t.Error("special tokens are others than <|im_end|>")
	}
	if got := tok.Decode([]int32{-1, 2, 1 << 30, 260, 49152}, true); got != " the" {
		t.Errorf("decoded %q, want \" the\": ids that don't exist have no text", got)
	}
	if a, b := tok.Encode("a\x00b"), tok.Encode("a\uFFFDb"); !slices.Equal(a, b) {
		t.Errorf("U+0000 gives %v, want %v as U+FFFD does", a, b)
	}
}

// TestDecodeAsRust: our own decoder of byte-level tokens against the library's, on ids in any order, so that characters
// come torn and broken. The library has no answer where a zero byte is in it.
func TestDecodeAsRust(t *testing.T) {
	tok, _, _ := smollm2(t)
	r := rand.New(rand.NewPCG(1, 2))
	zero, odd := 0, oddTokens(tok)
	for range 3000 {
		ids := make([]int32, 1+r.IntN(12))
		u := make([]uint32, len(ids))
		for i := range ids {
			ids[i] = odd[r.IntN(len(odd))]
			if r.IntN(2) == 0 {
				ids[i] = int32(r.IntN(tok.VocabSize()))
			}
			u[i] = uint32(ids[i])
		}
		got, skip := "", r.IntN(2) == 0
		got = tok.Decode(ids, skip)
		if strings.Contains(got, "\x00") {
			zero++
			continue
		}
		if want := tok.rust.Decode(u, skip); got != want {
			t.Fatalf("%v: %q, the library says %q", ids, got, want)
		}
	}
	if zero == 0 {
		t.Error("no case held a zero byte: is the byte's token missing?")
	}
}

// oddTokens are those whose bytes aren't whole characters.
func oddTokens(tok *Tokenizer) (ids []int32) {
	for id := range int32(tok.VocabSize()) {
		if b := tok.appendBytes(nil, id, false); !utf8.Valid(b) || len(b) == 1 && b[0] == 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// checkStream: what comes piece by piece is what Decode gives, and every piece is whole characters.
func checkStream(t *testing.T, tok *Tokenizer, ids []int32, skip bool) {
	t.Helper()
	s := tok.Stream(skip)
	for range 2 { // Flush leaves a stream that is good for another sequence
		var out strings.Builder
		for _, id := range ids {
			piece := s.Next(id)
			if !utf8.ValidString(piece) {
				t.Fatalf("%v: piece %q isn't whole characters", ids, piece)
			}
			out.WriteString(piece)
		}
		out.WriteString(s.Flush())
		if want := tok.Decode(ids, skip); out.String() != want {
			t.Fatalf("%v: streamed %q, want %q", ids, out.String(), want)
		}
	}
}

func TestStream(t *testing.T) {
	tok, _, _ := smollm2(t)
	r := rand.New(rand.NewPCG(3, 4))
	odd := oddTokens(tok)
	for _, s := range []string{"naïve café — 日本語 🙂", "👩‍👩‍👧‍👦 🇨🇭 नमस्ते", "<|im_start|>user\nhi<|im_end|>\n", "plain"} {
		checkStream(t, tok, tok.Encode(s), false)
		checkStream(t, tok, tok.Encode(s), true)
	}
	for range 2000 {
		ids := make([]int32, r.IntN(20))
		for i := range ids {
			ids[i] = odd[r.IntN(len(odd))]
			if r.IntN(3) == 0 {
				ids[i] = int32(r.IntN(tok.VocabSize()+4)) - 2
			}
		}
		checkStream(t, tok, ids, r.IntN(2) == 0)
	}
	// A character's bytes come one by one, and it appears with its last.
	s := tok.Stream(false)
	var pieces []string
	for _, b := range []byte("🙂") {
		for r, c := range byteOf {
			if c == b {
				id, _ := tok.TokenID(string(r))
				pieces = append(pieces, s.Next(id))
			}
		}
	}
	if want := []string{"", "", "", "🙂"}; !slices.Equal(pieces, want) {
		t.Errorf("the bytes of 🙂 gave %q, want %q", pieces, want)
	}
}

// metaspace is a tokenizer with the decoder of Llama 2: ▁ for spaces, the first of which is dropped, bytes as <0xNN>.
const metaspace = `{"added_tokens":[{"id":0,"content":"<s>","special":true,"normalized":false,"single_word":false,"lstrip":false,"rstrip":false}],
"normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]},
"pre_tokenizer":null,"post_processor":null,
"decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]},
"model":{"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":null,"end_of_word_suffix":null,"fuse_unk":true,"byte_fallback":true,
"vocab":{"<s>":0,"<0xF0>":1,"<0x9F>":2,"<0x99>":3,"<0x82>":4,"▁":5,"a":6,"b":7,"▁a":8,"é":9,"<0xC3>":10,"<0xA9>":11},"merges":["▁ a"]}}`

func TestStreamMetaspace(t *testing.T) {
	tok, err := OpenTokenizer([]byte(metaspace))
	if err != nil {
		t.Fatal(err)
	}
	defer tok.Close()
	if got := tok.Encode("a a🙂"); !slices.Equal(got, []int32{8, 8, 1, 2, 3, 4}) {
		t.Fatalf("encoded %v", got)
	}
	for _, ids := range [][]int32{{}, {8}, {0, 8, 8}, {8, 0, 8, 0, 0, 8}, {8, 1, 2, 3, 4, 8, 7}, {5, 5, 5}, {10, 11, 9, 8}, {8, 1, 2}, {6, 10, 8, 6}} {
		checkStream(t, tok, ids, false)
		checkStream(t, tok, ids, true)
	}
}

func TestOpenTokenizerRefuses(t *testing.T) {
	edit := func(old, new string) string {
		if !strings.Contains(metaspace, old) {
			t.Fatalf("%q isn't in the tokenizer", old)
		}
		return strings.Replace(metaspace, old, new, 1)
	}
	for name, c := range map[string]struct{ json, want string }{
		"empty":            {"", "isn't JSON"},
		"not an object":    {"[]", "isn't JSON"},
		"no model":         {"{}", "no object called model"},
		"cut":              {metaspace[:300], "isn't JSON"},
		"other model":      {edit(`"BPE"`, `"Unigram"`), `model.type is "Unigram", want "BPE"`},
		"no merges":        {edit(`,"merges":["▁ a"]`, ``), "no merges"},
		"unknown merge":    {edit(`"▁ a"`, `"▁ q"`), "tokenizer.json"},
		"subword prefix":   {edit(`"continuing_subword_prefix":null`, `"continuing_subword_prefix":"#######"`), "continuing_subword_prefix"},
		"dropout":          {edit(`"dropout":null`, `"dropout":0.5`), "dropout"},
		"negative id":      {edit(`"é":9`, `"é":-9`), "-9"},
		"huge id":          {edit(`"é":9`, `"é":2000000000`), "2000000000"},
		"same id":          {edit(`"é":9`, `"é":7`), "same id 7"},
		"NUL":              {edit(`"é":9`, `"\u0000":9`), "U+0000"},
		"other decoder":    {edit(`"ByteFallback"`, `"CTC"`), `decoder "CTC" is not supported`},
		"other normaliser": {edit(`"Prepend"`, `"Precompiled"`), `normalizer "Precompiled" is not supported`},
		"displaced":        {edit(`"id":0,"content":"<s>"`, `"id":20,"content":"<x>"`), "want 12"},
	} {
		tok, err := OpenTokenizer([]byte(c.json))
		if err == nil {
			tok.Close()
			t.Errorf("%s: opened, want an error with %q", name, c.want)
		} else if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %q, want one line with %q", name, err, c.want)
		}
	}
	// An escaped backslash before u0000 is no NUL.
	if tok, err := OpenTokenizer([]byte(edit(`"é":9`, `"\\u0000":9`))); err != nil {
		t.Error(err)
	} else {
		tok.Close()
	}
}

func FuzzOpenTokenizer(f *testing.F) {
	f.Add([]byte(metaspace))
	f.Fuzz(func(t *testing.T, b []byte) {
		tok, err := OpenTokenizer(b)
		if err != nil {
			return
		}
		defer tok.Close()
		ids := tok.Encode("a é🙂<s>")
		for _, id := range ids {
			if !tok.has(id) {
				t.Errorf("encoded %v, of which %d has no name", ids, id)
			}
		}
		tok.Decode(ids, true)
	})
}
