package compiler

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTied: a head that the checkpoint lacks is the embedding, unless the checkpoint says that it isn't: then it is incomplete, and
// nothing is written.
func TestTied(t *testing.T) {
	const refused = "has no tensor lm_head.weight, and its config says tie_word_embeddings: false, so embed_tokens can't stand in for it"
	for _, c := range []struct{ family, top, text, want string }{
		{"llama", "true", "", ""}, {"llama", "", "", ""}, {"llama", "null", "", ""}, {"llama", "false", "", refused},
		{"llama", "false", "false", refused}, {"llama", "", "false", refused}, {"llama", "false", "true", ""}, {"llama", "true", "false", ""},
		{"gemma3", "", "", ""}, {"gemma3", "false", "", refused}, {"phi3-longrope", "false", "", refused},
		{"mistral", "false", "", ""}, {"mistral", "true", "", ""}, // it has a head
	} {
		from, dir := filepath.Join("../tests/testdata/families", c.family), t.TempDir()
		names, err := filepath.Glob(from + "/*")
		if err != nil || len(names) == 0 {
			t.Fatal(names, err)
		}
		for _, n := range names {
			b, err := os.ReadFile(n)
			if err != nil {
				t.Fatal(err)
			}
			if filepath.Base(n) == "config.json" {
				for _, says := range []string{"true", "false"} {
					b = []byte(strings.Replace(string(b), `"tie_word_embeddings": `+says, `"said": `+says, 1))
				}
				for key, says := range map[string]string{"%s": c.top, `"text_config": {%s}`: c.text} {
					if says != "" {
						b = []byte(strings.Replace(string(b), "{", "{"+strings.Replace(key, "%s", `"tie_word_embeddings": `+says, 1)+",", 1))
					}
				}
			}
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(n)), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		model, _, _ := strings.Cut(c.family, "-")
		out := filepath.Join(t.TempDir(), "out")
		o := Options{Model: "../models/" + model + ".yaml", Weights: dir, Target: "cpu_v3", Out: out, NoFuse: true}
		if _, err = Plan(o, []string{o.Target}); c.want != "" {
			_, err = Compile(t.Context(), o)
		}
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "../models/"+model+".yaml:")) {
			t.Errorf("%s, tie_word_embeddings %q, in text_config %q: %v, want %q", c.family, c.top, c.text, err, c.want)
		}
		if left, err := os.ReadDir(filepath.Dir(out)); err != nil || len(left) > 0 {
			t.Errorf("%s: %v, %v was left", c.family, err, left)
		}
	}
}
