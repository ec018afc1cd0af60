package weights

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const testdata = "../../tests/testdata/weights/"

// TestForeignFiles holds both readers and all float formats against files and
// values of other people's writers and dequantiser (testdata/weights/make.py).
func TestForeignFiles(t *testing.T) {
	g := open(t, testdata+"tiny.gguf").GGUF()
	want := open(t, testdata+"tiny.safetensors")
	names := g.Tensors()
	slices.Sort(names)
	if !slices.Equal(names, want.Tensors()) {
		t.Fatalf("tensors %v, want %v", names, want.Tensors())
	}
	formats := map[string]int{}
	for _, name := range names {
		x, _ := g.Tensor(name)
		w, _ := want.Tensor(name)
		formats[x.Format.Name]++
		if !slices.Equal(x.Dims, w.Dims) {
			t.Errorf("%s has shape %v, want %v", name, x.Dims, w.Dims)
		} else if got := values(t, x); !slices.Equal(got, values(t, w)) {
			t.Errorf("%s (%s) has other values", name, x.Format)
		}
	}
	for _, f := range []string{"f32", "f16", "bf16", "q4_0", "q4_1", "q8_0"} {
		if formats[f] == 0 {
			t.Errorf("no tensor in %s: the test proves nothing about it", f)
		}
	}
}

func TestMetadataTypes(t *testing.T) {
	g := open(t, testdata+"tiny.gguf").GGUF()
	for key, want := range map[string]any{
		"test.u8": uint8(200), "test.i8": int8(-3), "test.u16": uint16(65535), "test.i16": int16(-300), "test.i32s": int32(-70000),
		"test.i64": int64(-1 << 40), "test.u64": uint64(math.MaxUint64), "test.f64": 0.1, "test.bool": true,
		"llama.attention.layer_norm_rms_epsilon": float32(1e-6), "general.architecture": "llama", "general.alignment": uint32(64),
		"test.nested": []any{[]any{"a", "b"}, []any{"c"}}, "test.f32": []any{float32(0.5), float32(-0.25)},
	} {
		if got, ok := g.Value(key); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %T %v, want %T %v", key, got, got, want, want)
		}
	}
	if v, ok := g.Ints("test.i32"); !ok || !slices.Equal(v, []int64{-1, 2, 3}) {
		t.Errorf("test.i32 is %v", v)
	}
	if v, ok := g.Floats("test.f32"); !ok || !slices.Equal(v, []float64{0.5, -0.25}) {
		t.Errorf("test.f32 is %v", v)
	}
	for key, ok := range map[string]bool{
		"Int of u64 beyond int64": second(g.Int("test.u64")), "Int of a string": second(g.Int("general.architecture")),
		"String of an int": second(g.String("test.u8")), "Strings of ints": second(g.Strings("test.i32")),
		"Strings of a string": second(g.Strings("general.architecture")), "Int of nothing": second(g.Int("test.none")),
		"String of nothing": second(g.String("test.none")), "Bool of an int": second(g.Bool("test.u8")),
	} {
		if ok {
			t.Errorf("%s is ok, want not", key)
		}
	}
}

func second[T any](_ T, ok bool) bool { return ok }

// TestLlamaShown: everything that the table of llama does, on a small file.
func TestLlamaShown(t *testing.T) {
	c := open(t, testdata+"tiny.gguf")
	checkJSON(t, c.Config(), map[string]string{
		"model_type": `"llama"`, "architectures": `["LlamaForCausalLM"]`, "hidden_act": `"silu"`, "mlp_bias": "false",
		"num_hidden_layers": "2", "hidden_size": "32", "intermediate_size": "32", "num_attention_heads": "4",
		"num_key_value_heads": "2", "head_dim": "16", "rms_norm_eps": "1e-06", "rope_theta": "500000", "vocab_size": "24",
		"max_position_embeddings": "128", "tie_word_embeddings": "false", "attention_bias": "true",
		"rope_scaling": `{"factor":32,"high_freq_factor":4,"low_freq_factor":1,"original_max_position_embeddings":8192,"rope_type":"llama3"}`,
	})
	checkJSON(t, c.Generation(), map[string]string{"eos_token_id": "[3,5]", "bos_token_id": "1"})
	if s := c.Skipped(); len(s) != 1 || s[0].Name != ropeFreqs {
		t.Errorf("skipped %v, want %s", s, ropeFreqs)
	}
	if c.Kind != "gguf" || c.Path != testdata+"tiny.gguf" {
		t.Errorf("kind %q, path %q", c.Kind, c.Path)
	}
	if _, ok := c.File("make.py"); ok {
		t.Error("a lone GGUF gives a file that lies beside it")
	}
	for name, want := range map[string]string{
		"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight", "lm_head.weight": "output.weight",
		"model.layers.1.input_layernorm.weight": "blk.1.attn_norm.weight", "model.layers.1.post_attention_layernorm.weight": "blk.1.ffn_norm.weight",
		"model.layers.0.self_attn.v_proj.weight": "blk.0.attn_v.weight", "model.layers.1.self_attn.o_proj.weight": "blk.1.attn_output.weight",
		"model.layers.1.mlp.gate_proj.weight": "blk.1.ffn_gate.weight", "model.layers.1.mlp.up_proj.weight": "blk.1.ffn_up.weight",
		"model.layers.0.mlp.down_proj.weight": "blk.0.ffn_down.weight", "model.layers.0.self_attn.v_proj.bias": "blk.0.attn_v.bias",
	} {
		x, ok := c.Tensor(name)
		if !ok {
			t.Errorf("no %s", name)
			continue
		}
		raw, _ := c.GGUF().Tensor(want)
		if x.Source != "tiny.gguf: "+want || !slices.Equal(values(t, x), values(t, raw)) {
			t.Errorf("%s comes from %s, want %s", name, x.Source, want)
		}
	}
}

// TestUnpermute holds q and k against the formula
// w.reshape(heads, D/2, 2, in).swapaxes(1, 2).reshape(out, in), written as loops.
func TestUnpermute(t *testing.T) {
	c := open(t, testdata+"tiny.gguf")
	for _, p := range []struct {
		hf, gguf string
		heads    int
	}{{"q_proj", "attn_q", 4}, {"k_proj", "attn_k", 2}} {
		for _, kind := range []string{".weight", ".bias"} {
			x, _ := c.Tensor("model.layers.1.self_attn." + p.hf + kind)
			raw, _ := c.GGUF().Tensor("blk.1." + p.gguf + kind)
			in := 32
			if kind == ".bias" {
				in = 1
			}
			w := values(t, raw)
			out, half := len(w)/in, len(w)/in/p.heads/2
			want := make([]float32, 0, len(w))
			for h := range p.heads {
				for b := range 2 {
					for a := range half {
						at := ((h*half+a)*2 + b) * in // [heads, half, 2, in]
						want = append(want, w[at:at+in]...)
					}
				}
			}
			if got := values(t, x); !slices.Equal(got, want) || slices.Equal(got, w) || out != p.heads*half*2 {
				t.Errorf("%s isn't in HF's order", x.Name)
			}
		}
	}
}

// TestOtherRopeFactors: numbers that llama3's formula doesn't give are refused,
// whatever factor the last one claims.
func TestOtherRopeFactors(t *testing.T) {
	f, _ := FormatByName("f32")
	for _, c := range []struct {
		w    []float32
		want string
	}{
		{[]float32{1, 1, 1, 32}, "element 2 is 1, want 3.29"}, // between the bands
		{[]float32{1.01, 1, 1.3, 32}, "element 0 is 1.00999"},
		{[]float32{1, 1, 1, 0}, "element 0"},
		{[]float32{1, 1, 1, -2}, "element"},
		{[]float32{1, 1, 1, float32(math.NaN())}, "element 0"},
		{[]float32{1, 1, 1, float32(math.Inf(1))}, "element"},
	} {
		x := &Tensor{Name: ropeFreqs, Format: f, Dims: []int{4}}
		for _, v := range c.w {
			x.data = append(x.data, u32(math.Float32bits(v))...)
		}
		if _, err := llama3Scaling(x, 500000); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: error %v, want one with %q", c.w, err, c.want)
		}
	}
	x := &Tensor{Name: ropeFreqs, Format: f, Dims: []int{2, 2}}
	if _, err := llama3Scaling(x, 500000); err == nil || !strings.Contains(err.Error(), "want f32[head_dim/2]") {
		t.Errorf("error %v", err)
	}
}

func TestConfigLookup(t *testing.T) {
	c, err := parseObject("config.json", []byte(`{"a": 1, "hidden_size": 8, "head_dim": null, "rope_scaling": {"factor": 2},
		"rope_parameters": {"rope_theta": 5}, "text_config": {"a": 2, "rope_parameters": {"rope_theta": 10000000, "p": 0.25}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]string{"a": "2", "hidden_size": "8", "rope_theta": "10000000", "p": "0.25", "factor": "2", "head_dim": "", "b": "", "rope_parameters.p": "0.25",
		"rope_parameters.q": "", "rope_scaling.factor": "2", "hidden_size.x": "", "text_config.a": "2"} {
		v, ok := Config(c).Lookup(field)
		if ok != (want != "") || ok && want != string(v.(interface{ String() string }).String()) {
			t.Errorf("%s is %v, want %q", field, v, want)
		}
	}
	for _, bad := range []string{``, `null`, `[]`, `{} {}`, `{`, `{} x`} {
		if _, err := parseObject("config.json", []byte(bad)); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: error %v, want one line", bad, err)
		}
	}
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	refuse := func(path, want string) {
		t.Helper()
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	refuse(dir, "holds no weights")
	refuse(filepath.Join(dir, "none.gguf"), "no such file")
	put("model.bin", "x")
	refuse(filepath.Join(dir, "model.bin"), "unknown kind of file")
	refuse("/dev/null", "unknown kind of file")
	os.Mkdir(filepath.Join(dir, "d.safetensors"), 0o755)
	refuse(filepath.Join(dir, "d.safetensors"), "holds no weights")
	put("empty.safetensors", "")
	refuse(filepath.Join(dir, "empty.safetensors"), "the file is empty")
	os.Remove(filepath.Join(dir, "empty.safetensors"))

	os.Symlink("/dev/zero", filepath.Join(dir, "zero.gguf"))
	refuse(filepath.Join(dir, "zero.gguf"), "want a regular file")
	os.Remove(filepath.Join(dir, "zero.gguf"))

	b, _ := os.ReadFile(testdata + "tiny.gguf")
	put("a.gguf", string(b))
	put("tokenizer.json", "{}")
	c := open(t, dir)
	if c.Kind != "gguf" {
		t.Errorf("kind %q, want gguf", c.Kind)
	}
	if got, ok := c.File("tokenizer.json"); !ok || string(got) != "{}" {
		t.Error("no tokenizer.json")
	}
	put("b.gguf", string(b))
	refuse(dir, "holds 2 files *.gguf")

	if err := WriteSafetensors(filepath.Join(dir, "model.safetensors"), []Float32s{{"w", []int{1}, []float32{1}}}); err != nil {
		t.Fatal(err)
	}
	put("config.json", `{"eos_token_id": [1, 2], "hidden_size": 64}`)
	c = open(t, dir)
	checkJSON(t, c.Config(), map[string]string{"eos_token_id": "[1,2]", "hidden_size": "64"})
	checkJSON(t, c.Generation(), map[string]string{"eos_token_id": "[1,2]"})
	one, _ := c.Digest(nil)
	put("generation_config.json", `{"eos_token_id": 7}`)
	c = open(t, dir)
	checkJSON(t, c.Generation(), map[string]string{"eos_token_id": "7"})
	if two, _ := c.Digest(nil); two == one {
		t.Error("generation_config.json doesn't count in the digest")
	}
	for _, name := range []string{"../" + filepath.Base(dir) + "/config.json", "none", "d.safetensors", "..", ""} {
		if _, ok := c.File(name); ok {
			t.Errorf("File(%q) is ok", name)
		}
	}
	put("config.json", `{"a": `)
	refuse(dir, "config.json")
}
