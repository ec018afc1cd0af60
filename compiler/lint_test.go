package compiler

import (
	"slices"
	"strings"
	"testing"
)

// TestModelsHaveNothingUnused: models/ has no finding.
func TestModelsHaveNothingUnused(t *testing.T) {
	for file, src := range models(t) {
		if found, err := Lint(file, src); err != nil || len(found) > 0 {
			t.Errorf("%s: %v %v", file, found, err)
		}
	}
}

// TestLint: each kind of finding, where it is; and what looks like one and is none.
func TestLint(t *testing.T) {
	const clean = `model: toy
dims: {d: 8, L: 1, V: 16, W: hidden_size / d = 2}
reals: {eps: 1e-5}
weights:
  formats: {"*": f32, embed_tokens: f16}
  from: {lm_head: embed_tokens}
graph: |
  block norm(x, w) = rmsnorm(x, w, eps)
  block layer(h) {
    a = linear(h, @a[d])
    a = a * W
    h += norm(a, @n)
    return h
  }
  h = embed(token, @embed_tokens[V, d])
  repeat h through layers[L]: layer
  logits = linear(h, @lm_head[V])
`
	if found, err := Lint("a", clean); err != nil || len(found) > 0 {
		t.Fatalf("a clean text: %v %v", found, err)
	}
	for edit, want := range map[[2]string]string{
		{"L: 1,", "L: 1, X: 3,"}:                                          "a:2:20: dim X is never used",
		{"eps: 1e-5", "eps: 1e-5, theta: 1e4"}:                            "a:3:20: real theta is never used",
		{"  h = embed", "  block lost(x) = norm(x, @n)\n  h = embed"}:     "a:15:3: block lost is never used",
		{"block layer(h)", "block other(h) = layer(h)\n  block layer(h)"}: "a:9:3: block other is never used",
		{"norm(x, w) =", "norm(x, w, y=1) ="}:                             "a:8:20: block norm doesn't read its parameter y",
		{"    a = a * W", "    b = a * W\n    b = a * W"}:                 "a:11:5: b is never read",
		{"    return h", "    c = h\n    return h"}:                       "a:13:5: c is never read",
		{"  logits =", "  x = h\n  logits ="}:                             "a:17:3: x is never read",
		{"embed_tokens: f16", "embd_tokens: f16"}:                         "a:5:36: formats: embd_tokens matches no weight of the graph; did you mean embed_tokens?",
		{"lm_head: embed_tokens", "lm_haed: embed_tokens"}:                "a:6:19: from: the graph has no weight lm_haed; did you mean lm_head?",
	} {
		src := strings.Replace(clean, edit[0], edit[1], 1)
		found, err := Lint("a", src)
		var got []string
		for _, e := range found {
			got = append(got, e.Error())
		}
		if err != nil || !slices.Contains(got, want) {
			t.Errorf("%q: %q %v, want %q", edit[1], got, err, want)
		}
	}
	if _, err := Lint("a", strings.Replace(clean, "[L]: layer", "[L]: layr", 1)); err == nil {
		t.Error("a text that doesn't compile has no error")
	}
}
