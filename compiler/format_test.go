package compiler

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func models(t testing.TB) map[string]string {
	files, err := filepath.Glob("../models/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no models", err)
	}
	out := map[string]string{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out[f] = string(b)
	}
	return out
}

// TestModelsAreFormatted: models/ is as hipc fmt -w writes it.
func TestModelsAreFormatted(t *testing.T) {
	for file, src := range models(t) {
		if text, err := Format(file, src); err != nil || text != src {
			t.Errorf("%s isn't in its canonical form: hipc fmt -w %s (%v)", file, file, err)
		}
	}
}

// TestFormatRestores: whatever somebody's editor does to spaces, the text comes back as it was, comments and all.
func TestFormatRestores(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for file, src := range models(t) {
		for range 20 {
			spoilt := spoil(rng, src)
			text, err := Format(file, spoilt)
			if err != nil {
				t.Fatalf("%s: %v\n%s", file, err, spoilt)
			}
			if text != src {
				t.Fatalf("%s: another text comes back\n%s\nof\n%s", file, text, spoilt)
			}
		}
	}
}

// spoil changes spaces that mean nothing.
func spoil(rng *rand.Rand, src string) string {
	var b strings.Builder
	graph := false
	for l := range strings.Lines(src) {
		text := strings.TrimSuffix(l, "\n")
		body := strings.TrimLeft(text, " ")
		indent := len(text) - len(body)
		if graph && body != "" {
			// Deeper, or shallower if there's an indentation left.
			text = strings.Repeat(" ", max(4, indent+rng.IntN(5)-2)) + body
		}
		comment := strings.Index(text, " #")
		if comment < 0 {
			comment = len(text)
		}
		for _, c := range []string{", ", " = ", " | ", " * ", " + "} {
			if i := strings.Index(text[:comment], c); i >= 0 && !strings.Contains(text[:comment], `"`) && rng.IntN(2) == 0 {
				k := 0
				if c == ", " && !graph {
					k = 1 // a comma needs no space before it, and here one after it
				}
				text = text[:i+k] + strings.Repeat(" ", rng.IntN(3)) + text[i+k:]
				comment = strings.Index(text, " #")
				if comment < 0 {
					comment = len(text)
				}
			}
		}
		if rng.IntN(3) == 0 {
			text += strings.Repeat(" ", rng.IntN(4))
		}
		if rng.IntN(8) == 0 && body == "" {
			text += "\n\n"
		}
		graph = graph || strings.HasPrefix(body, "graph:")
		b.WriteString(text + "\n")
	}
	return b.String()
}

// TestFormatKeeps: what is written otherwise on purpose.
func TestFormatKeeps(t *testing.T) {
	const want = `# A model of no use.
model: toy   # its name
dims: {d: 8, L: 1, V: 16}
weights:
  # formats by glob
  formats: {"*": f32, "a,  b": f16}
  skip: ["x  #y", 'it''s: {']
  from:
    # tied
    lm_head: embed_tokens
graph: |
  # What it does.
  block layer(h) {
    a = linear(h, @a[d, 2*d])   # short
    b = linear(h, @b[d - 1 + 1*d])
    h += -a * (1 - 2) / sqrt(d) +
      linear(b, @c[d-1, d]) - 1

    c  = rmsnorm(h, 1 + @n, 1e-5)
    dd = split(c, [d], [2*d], [d-1])
    return h
  }
  h = embed(token, @embed_tokens[V, d])
  repeat h through layers[L]: layer
  logits = linear(h, @lm_head[V])
`
	spoilt := strings.NewReplacer("    ", "      ", " = ", "=", ", ", ",  ", "   #", " #", "toy", "toy ").Replace(want)
	spoilt = strings.NewReplacer(`"a,   b"`, `"a,  b"`, `{d: 8,  L`, `{  d: 8  ,   L`).Replace(spoilt) + "\n\n"
	got, err := Format("toy.yaml", spoilt)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("of\n%s\ncomes\n%s\nwant\n%s", spoilt, got, want)
	}
	for text, wrong := range map[string]string{
		"model: a\ngraph: |\n  x = (\n": "a.yaml:4:3",
		"model: a\n":                    "no graph",
		"model: [\n":                    "a.yaml",
	} {
		if _, err := Format("a.yaml", text); err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%q: %v, want %q", text, err, wrong)
		}
	}
}

// TestDiffers: what Format compares before it gives a text away.
func TestDiffers(t *testing.T) {
	for file, src := range models(t) {
		a, err := ParseText(file, src)
		if err != nil {
			t.Fatal(err)
		}
		for old, new := range map[string]string{"return h\n": "return h + h\n", "hidden_size": "hidden_sise", "1e-": "2e-", "rmsnorm(": "l2norm("} {
			other, err := ParseText(file, strings.Replace(src, old, new, 1))
			if err != nil {
				t.Fatal(err)
			}
			if a.differs(other) == "" {
				t.Errorf("%s: nothing differs after %q became %q", file, old, new)
			}
		}
		if same, err := ParseText(file, "\n# another place\n"+src); err != nil || a.differs(same) != "" {
			t.Errorf("%s: %s differs after a comment (%v)", file, a.differs(same), err)
		}
	}
}

// FuzzFormat: what can be read can be formatted, is the same model then, and formatting that changes nothing.
func FuzzFormat(f *testing.F) {
	for _, src := range models(f) {
		f.Add(src)
	}
	f.Add("model: a\ngraph: |\n  x = y\n")
	f.Add("graph: |2\n   x = y # c\n\nmodel: {a\n}\n")
	f.Fuzz(func(t *testing.T, src string) {
		if _, err := ParseText("a.yaml", src); err != nil {
			return
		}
		text, err := Format("a.yaml", src)
		if err != nil {
			if strings.Contains(err.Error(), "bug in hipc") {
				t.Fatalf("%v\n%q", err, src)
			}
			return
		}
		if again, err := Format("a.yaml", text); err != nil || again != text {
			t.Fatalf("formatted twice, %q becomes %q, and that %q (%v)", src, text, again, err)
		}
	})
}
