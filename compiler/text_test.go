package compiler

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"hipc/ir/syntax"
	"hipc/runtime/weights"
)

// TestModelErrors reads tests/testdata/model_errors.txt: each chunk must give exactly the error that stands on its line.
func TestModelErrors(t *testing.T) {
	data, err := os.ReadFile("../tests/testdata/model_errors.txt")
	if err != nil {
		t.Fatal(err)
	}
	mark := regexp.MustCompile(` *### "(.*)"$`)
	for i, chunk := range strings.Split(string(data), "\n---\n") {
		var text []string
		line, want := 0, ""
		for n, l := range strings.Split(chunk, "\n") {
			if m := mark.FindStringSubmatch(l); m != nil {
				want, line = m[1], n+1
				l = mark.ReplaceAllString(l, "")
			}
			text = append(text, l)
		}
		_, _, err := func() (any, any, error) {
			txt, err := ParseText("m.yaml", strings.Join(text, "\n"))
			if err != nil {
				return nil, nil, err
			}
			return txt.elaborate(nil, nil, DefaultContext)
		}()
		var list syntax.Errors
		list.Add(err)
		if len(list) == 0 {
			t.Errorf("chunk %d: no error, want %q", i+1, want)
			continue
		}
		e := list[0]
		if e.Pos.Line != line || !regexp.MustCompile(want).MatchString(e.Msg) {
			t.Errorf("chunk %d: got %v\nwant line %d: %s", i+1, err, line, want)
		}
		for _, o := range list[1:] {
			t.Errorf("chunk %d: a second error for one mistake: %v", i+1, o)
		}
	}
}

func TestErrorIsRenderedWithLineAndCaret(t *testing.T) {
	src := "model: m\ndims: {d: hidden_size = 64}\ngraph: |\n  block layer(h) = h + rmsnrm(h, @norm, 1e-5)\n  h = embed(token, @e[8, d])\n  repeat h through layers[1]: layer\n  logits = linear(h, @head[8])\n"
	txt, err := ParseText("m.yaml", src)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = txt.elaborate(nil, nil, DefaultContext)
	got := syntax.Render(err, func(string) (string, bool) { return src, true })
	want := "m.yaml:4:24: no op or block is called rmsnrm; did you mean rmsnorm?\n" +
		"      block layer(h) = h + rmsnrm(h, @norm, 1e-5)\n" +
		"                           ^\n"
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestAtMostTenErrorsSorted(t *testing.T) {
	var lines []string
	for range 15 {
		lines = append(lines, "    x = nothing_here + 1")
	}
	src := "model: m\ngraph: |\n  block layer(h) {\n" + strings.Join(lines, "\n") + "\n    return h\n  }\n  h = embed(token, @e[8, 64])\n  repeat h through layers[1]: layer\n  logits = linear(h, @head[8])\n"
	txt, err := ParseText("m.yaml", src)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = txt.elaborate(nil, nil, DefaultContext)
	var list syntax.Errors
	if !errors.As(err, &list) || len(list) != 11 || list[10].Msg != "and 5 more" {
		t.Fatalf("got %d errors: %v", len(list), err)
	}
	for i := 1; i < 10; i++ {
		if list[i].Pos.Line <= list[i-1].Pos.Line {
			t.Errorf("not sorted: %v after %v", list[i].Pos, list[i-1].Pos)
		}
	}
}

// TestSet: --set and the text's published values give the dims; one that isn't there is refused.
func TestSet(t *testing.T) {
	txt, err := ReadText("../models/llama.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := txt.elaborate(nil, map[string]string{"L": "2", "F": "64"}, DefaultContext)
	if err != nil {
		t.Fatal(err)
	}
	if m.Layers != 2 || !strings.Contains(m.String(), "@layers.{l}.mlp.up_proj:bf16[64,2048]") {
		t.Errorf("--set had no effect:\n%s", m)
	}
	if _, _, err := txt.elaborate(nil, map[string]string{"LL": "2"}, DefaultContext); err == nil || !strings.Contains(err.Error(), "no dim or real LL; did you mean L?") {
		t.Errorf("got %v", err)
	}
}

// TestContext: for how many tokens a checkpoint is compiled, whatever number stands in its config.
func TestContext(t *testing.T) {
	b, err := os.ReadFile("../tests/testdata/families/llama/config.json")
	if err != nil {
		t.Fatal(err)
	}
	tensors, err := filepath.Abs("../tests/testdata/families/llama/model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	field := regexp.MustCompile(`"max_position_embeddings": \d+`)
	for says, want := range map[string]int{"100": 100, "8192": 8192, "8193": 8192, "1e30": 8192, "99.5": 99, "0.5": 8192, "-1": 8192, `"x"`: 8192, "null": 8192} {
		dir := t.TempDir()
		config := field.ReplaceAllString(string(b), `"max_position_embeddings": `+says)
		if err := errors.Join(os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o644), os.Symlink(tensors, filepath.Join(dir, "model.safetensors"))); err != nil {
			t.Fatal(err)
		}
		c, err := weights.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := contextOf(c, 0); got != want {
			t.Errorf("max_position_embeddings %s: a context of %d, want %d", says, got, want)
		}
		if got := contextOf(c, 7); got != 7 {
			t.Errorf("asked for 7: %d", got)
		}
		c.Close()
	}
}

// TestTooLarge: dims that no machine has room for are the user's, not a bug.
func TestTooLarge(t *testing.T) {
	for _, c := range []struct {
		set  map[string]string
		want string
	}{
		{map[string]string{"d": "2000000000"}, "weights: more than any machine holds; look at its dims, and at --set"},
		{map[string]string{"F": "2147483648", "d": "2147483648"}, "weights: more than any machine holds; look at its dims, and at --set"},
		{map[string]string{"L": "1025"}, "1025 layers: a plan has at most 1024"},
	} {
		_, err := Plan(Options{Model: "../models/llama.yaml", NoFuse: true, Set: c.set}, []string{"cpu_v3"})
		if err == nil || !strings.HasPrefix(err.Error(), "../models/llama.yaml:") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("--set %v: %v, want %s", c.set, err, c.want)
		}
	}
}
