package files

// A preTokenizer says how a text is cut before the merges. GGUF names it by a word in tokenizer.ggml.pre; the regular
// expressions are those of the tokenizer.json files that the models were published with.
type preTokenizer struct {
	names        []string // the words for it in tokenizer.ggml.pre
	digits       bool     // every digit stands alone
	split        string   // what stays together; "" is GPT-2's own expression, which the library has built in
	nfc          bool     // the text is normalised first; GGUF doesn't say so, the published files do
	ignoreMerges bool     // a word that is a token is taken whole
}

// Contractions, an optional symbol and letters, numbers, symbols with the line ends after them, and white space, of
// which the last is left to the next word. The variants differ in the letters and in how many digits stay together.
const (
	splitQwen2  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	splitQwen35 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	splitLlama3 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

var preTokenizers = []preTokenizer{
	{names: []string{"gpt-2"}},
	{names: []string{"smollm"}, digits: true},
	{names: []string{"qwen2"}, split: splitQwen2, nfc: true},
	{names: []string{"qwen35"}, split: splitQwen35, nfc: true},
	{names: []string{"llama-bpe", "llama3", "llama-v3"}, split: splitLlama3, ignoreMerges: true},
}

// parts gives the values of "normalizer" and "pre_tokenizer" in tokenizer.json.
func (p preTokenizer) parts() (normalizer, pre any) {
	type object = map[string]any
	if p.nfc {
		normalizer = object{"type": "NFC"}
	}
	level := object{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": p.split == ""}
	switch {
	case p.digits:
		pre = object{"type": "Sequence", "pretokenizers": []any{object{"type": "Digits", "individual_digits": true}, level}}
	case p.split != "":
		cut := object{"type": "Split", "pattern": object{"Regex": p.split}, "behavior": "Isolated", "invert": false}
		pre = object{"type": "Sequence", "pretokenizers": []any{cut, level}}
	default:
		pre = level
	}
	return normalizer, pre
}
