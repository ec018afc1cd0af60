package compiler

import (
	"strings"
	"testing"

	"hipc/ir/syntax"
)

// TestFrom: what weights: from may say of a weight that the checkpoint lacks, and what it may not, with the place.
func TestFrom(t *testing.T) {
	for _, c := range []struct {
		text string
		want Alias  // but for its First and Pos
		bad  string // or the error
	}{
		{text: "embed_tokens", want: Alias{Parts: []string{"embed_tokens"}}},
		{text: "embed_tokens if absent", want: Alias{Parts: []string{"embed_tokens"}, IfAbsent: true}},
		{text: "experts.{e}.down_proj", want: Alias{Parts: []string{"experts.{e}.down_proj"}}},
		{text: "experts.{e}.down_proj, rot experts.down_weight_", want: Alias{Parts: []string{"experts.{e}.down_proj"}, Rot: "experts.down_weight_"}},
		{text: "cat(b, c)", want: Alias{Parts: []string{"b", "c"}}},
		{text: "cat( b ,c,d ) , rot r_", want: Alias{Parts: []string{"b", "c", "d"}, Rot: "r_"}},
		{text: "rows(qkv_proj, H*D)", want: Alias{Parts: []string{"qkv_proj"}}},
		{text: "rows(qkv_proj, (H + KV)*D)", want: Alias{Parts: []string{"qkv_proj"}}},
		{text: "", bad: "want NAME, or cat(NAME, NAME), and perhaps , rot PREFIX"},
		{text: "a b", bad: "want NAME, or cat(NAME, NAME), and perhaps , rot PREFIX"},
		{text: "a, b", bad: "want NAME, or cat(NAME, NAME), and perhaps , rot PREFIX"},
		{text: "a, rot", bad: "want NAME, or cat(NAME, NAME), and perhaps , rot PREFIX"},
		{text: "a, rot ", bad: "want NAME, or cat(NAME, NAME), and perhaps , rot PREFIX"},
		{text: "cat(a, b", bad: `"cat(a, b" lacks its closing )`},
		{text: "cat(a,, b)", bad: "want NAME, or cat(NAME, NAME), and perhaps , rot PREFIX"},
		{text: "cat()", bad: "want NAME, or cat(NAME, NAME), and perhaps , rot PREFIX"},
		{text: "cat(a, cat(b, c))", bad: "want NAME, or cat(NAME, NAME), and perhaps , rot PREFIX"},
		{text: "cat(a, b) c", bad: "want NAME, or cat(NAME, NAME), and perhaps , rot PREFIX"},
		{text: "dog(a, b)", bad: "want NAME, or cat(NAME, NAME), and perhaps , rot PREFIX"},
		{text: "rows(a)", bad: "want rows(NAME, FIRST), with the first row's number"},
		{text: "rows(, 3)", bad: "want rows(NAME, FIRST), with the first row's number"},
		{text: "rows(a, 3", bad: "want rows(NAME, FIRST), with the first row's number"},
		{text: "rows(a, 3 3)", bad: `unexpected token "3"`},
		{text: "rows(a, H*)", bad: `unexpected token the end`},
		{text: "rows(a, 3), rot r", bad: "want rows(NAME, FIRST), with the first row's number"},
	} {
		a, err := parseAlias(c.text, syntax.Pos{File: "m.yaml", Line: 3, Col: 9})
		if c.bad != "" {
			if err == nil || !strings.Contains(err.Error(), c.bad) || !strings.HasPrefix(err.Error(), "m.yaml:3:") {
				t.Errorf("%q: %v, want m.yaml:3:…: %s", c.text, err, c.bad)
			}
			continue
		}
		if err != nil || strings.Join(a.Parts, "|") != strings.Join(c.want.Parts, "|") || a.Rot != c.want.Rot || a.IfAbsent != c.want.IfAbsent ||
			(a.First != nil) != strings.HasPrefix(c.text, "rows") {
			t.Errorf("%q: %+v, %v, want %+v", c.text, a, err, c.want)
		}
	}
}

// TestFromPoints: the caret stands where the value does, and within rows() where its expression goes wrong.
func TestFromPoints(t *testing.T) {
	for _, c := range []struct{ value, at string }{
		{"cat(a, b", "cat(a, b"}, {"a, b", "a, b"}, {"rows(a)", "rows(a)"}, {"rows(a, H * * D)", "* D)"}, {"rows(a, H D)", "D)"},
	} {
		src := "model: m\nweights:\n  from: {lm_head: \"" + c.value + "\"}\n"
		_, err := ParseText("m.yaml", src)
		got := strings.Split(syntax.Render(err, func(string) (string, bool) { return src, true }), "\n")
		if err == nil || len(got) < 3 {
			t.Errorf("%s: %v", c.value, err)
			continue
		}
		i := strings.IndexByte(got[2], '^')
		if i < 0 || i >= len(got[1]) || !strings.HasPrefix(got[1][i:], c.at) {
			t.Errorf("%s: want the caret at %s, got\n%s", c.value, c.at, strings.Join(got, "\n"))
		}
	}
}

// TestAlternatives: what a dim or a real may be read from, with a config, and what may not be said.
func TestAlternatives(t *testing.T) {
	txt := func(reals string) string {
		return "model: m\nreals: {a: " + reals + "}\ngraph: |\n  block l(h) = rope(h, 100, 16, a)\n  h = embed(token, @e[8, 16])\n  repeat h through layers[1]: l\n  logits = linear(h, @head[8])\n"
	}
	config := map[string]any{"n": 3.0, "big": 9.0, "kind": "spiral", "list": []any{1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0}, "words": []any{"x"}}
	for _, c := range []struct {
		reals string
		x     float64
		list  int
		bad   string
	}{
		{reals: "n | big = 1", x: 3}, {reals: "none | big = 1", x: 9}, {reals: "none | 7 = 1", x: 7},
		{reals: "sqrt(big) + log(1) = 1", x: 3}, {reals: "list = 1", list: 8}, {reals: "none | list = 1", list: 8},
		{reals: "list if n > big | n = 1", x: 3}, {reals: "list if big > n | n = 1", list: 8}, {reals: "5 if context > 99 | 6 = 1", x: 5},
		{reals: "5 if context > 100 | 6 = 1", x: 6}, {reals: "5 if none > 1 | 6 = 1", x: 6},
		{reals: "kind is spiral = 1", x: 1}, {reals: "kind is round or spiral = 1", x: 1}, {reals: "kind is round | 5 = 1", x: 0}, {reals: "none is round | 5 = 1", x: 5},
		{reals: "none = 1", bad: "the checkpoint's config has no none, which a is read from"}, {reals: "words = 1", bad: "no words"},
		{reals: "none is x = 1", bad: "config has no none"}, {reals: "n is = 1", bad: "want FIELD is VALUE"}, {reals: "n + 1 is x = 1", bad: "want FIELD is VALUE"},
		{reals: "n if big = 1", bad: "want a comparison, A > B"}, {reals: "n if big > = 1", bad: "unexpected token"}, {reals: "tan(n) = 1", bad: "log and sqrt"},
		{reals: "n / (n - 3) = 1", bad: "division by zero"},
	} {
		text, err := ParseText("m.yaml", txt(c.reals))
		if err == nil {
			var nums map[string]float64
			var lists map[string][]float64
			if nums, lists, err = text.numbers(config, nil, 100); err == nil && c.bad == "" {
				if nums["a"] != c.x && c.list == 0 || len(lists["a"]) != c.list {
					t.Errorf("%s: %v, %v, want %v or a list of %d", c.reals, nums, lists, c.x, c.list)
				}
			}
		}
		if (err != nil) != (c.bad != "") || err != nil && (!strings.Contains(err.Error(), c.bad) || !strings.HasPrefix(err.Error(), "m.yaml:2:")) {
			t.Errorf("%s: %v, want m.yaml:2:…: %s", c.reals, err, c.bad)
		}
	}
}
