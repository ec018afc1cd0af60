package tests

import (
	"path/filepath"
	"strings"
	"testing"

	"hipc/compiler"
	"hipc/fusion"
	"hipc/ir"
	"hipc/ir/syntax"
)

// statelessText has layers that keep no state, the last ones too.
const statelessText = `model: stateless
dims: {d: 64, L: 3, V: 96, F: 96, H: 2, D: 32}
reals: {eps: 1e-5}
weights: {formats: {"*": f32}}
graph: |
  block mlp(x) at mlp = linear(silu(linear(x, @gate[F])) * linear(x, @up[F]), @down[d])
  block full(h) {
    x = rmsnorm(h, @n1, eps)
    h += linear(attend(linear(x, @q[H, D]), linear(x, @k[H, D]), linear(x, @v[H, D])), @o[d])
    h += mlp(rmsnorm(h, @n2, eps))
    return h
  }
  block plain(h) {
    h += mlp(rmsnorm(h, @n2, eps))
    return h
  }
  h = embed(token, @embed_tokens[V, d])
  repeat h through layers[L]: full, plain, plain
  logits = linear(rmsnorm(pick(h), @norm, eps), @lm_head[V])
`

// TestStateless: a prompt has nothing to do in the layers behind the last one that keeps a state, however many they are; what is left is
// as the oracle says. A model all of whose layers are such is refused where it says what its layers are.
func TestStateless(t *testing.T) {
	file := filepath.Join(t.TempDir(), "m.yaml")
	writeFile(t, file, statelessText)
	for layers, last := range map[string]string{"1": "0", "2": "0", "3": "0", "4": "3", "6": "3"} {
		for _, off := range []bool{false, true} {
			for _, target := range []string{"cpu_v3", "gfx1100"} {
				d, err := compiler.Plan(compiler.Options{Model: file, NoFuse: off, Set: map[string]string{"L": layers}}, []string{target})
				if err != nil {
					t.Errorf("%s layers for %s: %v", layers, target, err)
					continue
				}
				ran := ""
				for _, b := range d[0].Plan.Buckets {
					for _, p := range b.Parts {
						if b.Name == "prefill_512" && p.Layers != "" {
							ran += p.Layers + " "
						}
					}
				}
				if !strings.HasSuffix(ran, last+" ") {
					t.Errorf("%s layers for %s: a prompt runs layers %swant %s to be the last", layers, target, ran, last)
				}
			}
		}
	}
	read := func(bucket string) *ir.Model {
		printed, err := compiler.After(compiler.Options{Model: file, Target: rulesTarget, Set: map[string]string{"L": "6"}}, "fuse", bucket)
		if err != nil {
			t.Fatal(err)
		}
		f, err := syntax.Parse("printed", printed, syntax.Pos{File: "printed", Line: 1, Col: 1})
		if err != nil {
			t.Fatal(err)
		}
		m, err := (&ir.Builder{Fused: fusion.Decls(), Headless: true}).Build("m", f)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	ids := []int32{3, 1, 4, 1, 5, 9, 2, 6}
	want := logitsOf(t, read("score_64"), ids, len(ids))[7*96:]
	w := randomWorld()
	if _, err := read("prefill_512").Eval(w, ids[:7]); err != nil {
		t.Fatal(err)
	}
	if got, err := read("decode_1").Eval(w, ids[7:]); err != nil || !sameFloats(got[0].Data, want) {
		t.Errorf("after a prompt the logits differ, %v", err)
	}

	text := strings.Replace(statelessText, "layers[L]: full, plain, plain", "layers[L]: plain", 1)
	writeFile(t, file, text)
	_, err := compiler.Plan(compiler.Options{Model: file}, []string{"cpu_v3"})
	got := syntax.Render(err, func(string) (string, bool) { return text, true })
	if want := file + ":18:3: no layer keeps a state: a token would know nothing of those before it; want attend, conv1d or delta_rule in a block\n" +
		"      repeat h through layers[L]: plain\n      ^\n"; !strings.HasPrefix(got, want) {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
