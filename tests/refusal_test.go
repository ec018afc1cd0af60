package tests

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"hipc/compiler"
)

// TestBadCheckpoints: what hipc says about a checkpoint that isn't the model's: one mistake, the tensor, both shapes,
// and the line of the text that wants it; exit code 1, and nothing written.
func TestBadCheckpoints(t *testing.T) {
	const q0 = "model.layers.0.self_attn.q_proj.weight"
	spoil := func(file string, change func([]byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			p := filepath.Join(dir, file)
			if err := os.WriteFile(p, change(readFile(t, p)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	cut := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:len(b)-n] } }
	for name, c := range map[string]struct {
		family string
		bend   func(*fakeCheckpoint)
		after  func(*testing.T, string) // bends what is written
		caret  string                   // what the caret points at, with the line's start; "" for a mistake of no line
		want   string                   // a regular expression
	}{
		"missing tensor": {bend: func(c *fakeCheckpoint) { delete(c.tensors, "model.layers.1.mlp.up_proj.weight") },
			caret: "@up_proj[F]", want: `has no tensor model\.layers\.1\.mlp\.up_proj\.weight, which this line wants as \[96,64\]`},
		"misspelt tensor": {bend: func(c *fakeCheckpoint) {
			c.tensors["model.layers.0.mlp.up_prj.weight"] = c.tensors["model.layers.0.mlp.up_proj.weight"]
			delete(c.tensors, "model.layers.0.mlp.up_proj.weight")
		}, caret: "@up_proj[F]", want: `did you mean up_prj\?`},
		"wrong shape": {bend: func(c *fakeCheckpoint) { c.reshape(q0, 48, 64) },
			caret: "@q_proj[H, D]", want: `tensor model\.layers\.0\.self_attn\.q_proj\.weight is f32\[48,64\], the model wants \[4,16,64\]`},
		"turned": {bend: func(c *fakeCheckpoint) { c.reshape("model.layers.0.mlp.down_proj.weight", 96, 64) },
			caret: "@down_proj[d]", want: `is f32\[96,64\], the model wants \[64,96\]`},
		"norm of another width": {bend: func(c *fakeCheckpoint) { c.reshape("model.norm.weight", 65) },
			caret: "@norm", want: `tensor model\.norm\.weight is f32\[65\], the model wants \[64\]`},
		"another model's": {bend: func(c *fakeCheckpoint) { c.reshape("model.layers.0.self_attn.q_norm.weight", 16) },
			want: `the model llama reads no tensor model\.layers\.0\.self_attn\.q_norm\.weight \(f32\[16\]\): it's another model's checkpoint`},
		"biases": {bend: func(c *fakeCheckpoint) {
			for _, p := range []string{"q_proj", "k_proj"} {
				c.reshape("model.layers.0.self_attn."+p+".bias", 64)
			}
		}, want: `reads no tensor model\.layers\.0\.self_attn\.k_proj\.bias \(f32\[64\]\) and 1 more`},
		"one layer more": {bend: func(c *fakeCheckpoint) { c.config["num_hidden_layers"] = 1 }, want: `reads no tensor model\.layers\.1\..* and 8 more`},
		"one layer less": {bend: func(c *fakeCheckpoint) { c.config["num_hidden_layers"] = 3 },
			caret: "@", want: `has no tensor model\.layers\.2\.`},
		"a field less": {bend: func(c *fakeCheckpoint) { delete(c.config, "intermediate_size") },
			caret: "F: intermediate_size", want: `config has no intermediate_size, which F is read from`},
		"a text for a number": {bend: func(c *fakeCheckpoint) { c.config["vocab_size"] = "97" }, caret: "V: vocab_size", want: `vocab_size`},
		"no whole number":     {bend: func(c *fakeCheckpoint) { c.config["hidden_size"] = 64.5 }, caret: "d: hidden_size", want: `d is 64\.5: a dim is a whole number`},
		"scaled rope": {bend: func(c *fakeCheckpoint) {
			c.config["rope_scaling"] = map[string]any{"rope_type": "dynamic", "factor": 32.0}
		},
			caret: "rope_", want: `the checkpoint says rope_type: dynamic, this model wants default or linear or llama3 or yarn`},
		"scaled rope, as transformers 5 says it": {family: "qwen3", bend: func(c *fakeCheckpoint) {
			c.config["rope_parameters"] = map[string]any{"rope_type": "llama3", "factor": 32.0, "rope_theta": 10000.0}
		}, caret: "rope_type:", want: `the checkpoint says rope_type: llama3, this model wants default`},
		"another activation": {bend: func(c *fakeCheckpoint) { c.config["hidden_act"] = "gelu" },
			caret: "hidden_act:", want: `the checkpoint says hidden_act: gelu, this model wants silu`},
		"sliding window": {family: "qwen3", bend: func(c *fakeCheckpoint) { c.config["use_sliding_window"] = true },
			caret: "use_sliding_window:", want: `the checkpoint says use_sliding_window: true, this model wants false`},
		"no config":     {after: func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "config.json")) }, want: `has no config\.json beside it`},
		"broken config": {after: spoil("config.json", cut(1)), want: `config\.json: .*want a JSON object`},
		"cut short":     {after: spoil("model.safetensors", cut(100)), want: `model\.safetensors: tensor ".*": data ends at byte \d+, but the file has \d+ bytes of data: it is cut short`},
		"overlapping": {after: spoil("model.safetensors", func(b []byte) []byte {
			return bytes.Replace(b, []byte("[24832,49664]"), []byte("[24828,49660]"), 1)
		}), want: `tensor "model\.embed_tokens\.weight": data begins at byte 24828 inside "lm_head\.weight", which ends at 24832`},
		"no weights":       {after: func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "model.safetensors")) }, want: `holds no weights, want model\.safetensors`},
		"a shard is lost":  {bend: func(c *fakeCheckpoint) { c.shards = 3 }, after: func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "model-00002-of-00003.safetensors")) }, want: `model-00002-of-00003\.safetensors.*named by model\.safetensors\.index\.json`},
		"a shard is empty": {bend: func(c *fakeCheckpoint) { c.shards = 3 }, after: spoil("model-00002-of-00003.safetensors", func([]byte) []byte { return nil }), want: `model-00002-of-00003\.safetensors: `},
		"a broken tokenizer": {bend: func(c *fakeCheckpoint) {
			c.files["tokenizer.json"], c.files["tokenizer_config.json"] = "{", `{"eos_token": "</s>"}`
		}, want: `tokenizer\.json: `},
	} {
		t.Run(name, func(t *testing.T) {
			if c.family == "" {
				c.family = "llama"
			}
			f := newCheckpoint(c.family, "F32")
			if c.bend != nil {
				c.bend(f)
			}
			place := t.TempDir()
			dir := f.write(t, filepath.Join(place, "checkpoint"))
			if c.after != nil {
				c.after(t, dir)
			}
			got := runProgram(t, nil, "hipc", "compile", f.model(), "--weights", dir, "-o", filepath.Join(place, "new", "out"))
			lines := strings.Split(strings.TrimSuffix(got.err, "\n"), "\n")
			if got.code != 1 || got.out != "" || !regexp.MustCompile(c.want).MatchString(lines[0]) {
				t.Errorf("exit %d, %q\n%s\nwant exit 1 and first %s", got.code, got.out, got.err, c.want)
			}
			if names := entries(t, place); len(names) != 1 {
				t.Errorf("there is something: %v", names)
			}
			if c.caret == "" {
				if len(lines) != 1 {
					t.Errorf("want one line, got\n%s", got.err)
				}
				return
			}
			if len(lines)%3 != 0 || !regexp.MustCompile(`^\.\./models/`+c.family+`\.yaml:\d+:\d+: `).MatchString(lines[0]) {
				t.Fatalf("want FILE:LINE:COL, the line and a caret, or several of these, got\n%s", got.err)
			}
			if at := strings.IndexByte(lines[2], '^'); at < 0 || at >= len(lines[1]) || !strings.HasPrefix(lines[1][at:], c.caret) {
				t.Errorf("the caret doesn't point at %s:\n%s", c.caret, got.err)
			}
		})
	}
}

// TestCheckpointForms: one file, shards, an index or a folder give the same weights; what lies beside them is noticed.
func TestCheckpointForms(t *testing.T) {
	noCompiler(t)
	place := t.TempDir()
	compile := func(name string, c *fakeCheckpoint, file string) (*compiler.Result, string) {
		from := filepath.Join(c.write(t, filepath.Join(place, name)), file)
		out := filepath.Join(place, "out-"+name)
		r, err := compiler.Compile(t.Context(), compiler.Options{Model: c.model(), Weights: from, Target: "cpu_v3", Out: out})
		if err != nil {
			t.Fatal(err)
		}
		if !r.NoTokenizer {
			t.Error("nobody notices that there is no tokenizer")
		}
		return r, string(readFile(t, filepath.Join(out, weightsFile(t, out))))
	}
	_, one := compile("one", newCheckpoint("llama", "F32"), "")
	_, file := compile("file", newCheckpoint("llama", "F32"), "model.safetensors")
	three := newCheckpoint("llama", "F32")
	three.shards = 3
	_, folder := compile("three", three, "")
	_, index := compile("index", three, "model.safetensors.index.json")
	other := newCheckpoint("llama", "F32")
	other.tensors["model.norm.weight"].data[5] += 1e-3
	_, changed := compile("changed", other, "")
	if one != file || one != folder || one != index {
		t.Error("the same tensors in another form are packed to other weights")
	}
	if one == changed {
		t.Error("another tensor is packed to the same weights")
	}
}
