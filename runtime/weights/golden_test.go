package weights

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// smollm2 finds the real SmolLM2-135M-Instruct.Q4_1.gguf, or skips.
func smollm2(t testing.TB) string {
	path := os.Getenv("HIPC_SMOLLM2")
	if path == "" {
		path = filepath.Join("..", "..", ".cache", "smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no SmolLM2 GGUF (set HIPC_SMOLLM2, or run make test once): %v", err)
	}
	return path
}

func open(t testing.TB, path string) *Checkpoint {
	t.Helper()
	c, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// values decodes a whole tensor.
func values(t testing.TB, x *Tensor) []float32 {
	t.Helper()
	w := make([]float32, x.Rows()*x.Cols())
	for i := range x.Rows() {
		if err := x.Row(i, w[i*x.Cols():][:x.Cols()]); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// TestDequantChecksums holds every tensor of a real GGUF, in the file's own
// order, against sums and values that other code computed.
func TestDequantChecksums(t *testing.T) {
	c := open(t, smollm2(t))
	b, err := os.ReadFile("../../tests/testdata/smollm2/dequant_checksums.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]struct {
		Type          string
		Shape         []int
		Sum           float64
		AbsSum        float64 `json:"abs_sum"`
		First8, Last4 []float32
	}
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	if len(want) != len(c.GGUF().Tensors()) {
		t.Errorf("%d tensors, want %d", len(c.GGUF().Tensors()), len(want))
	}
	formats := map[string]string{"F32": "f32", "Q4_1": "q4_1", "Q8_0": "q8_0"}
	for name, w := range want {
		x, ok := c.GGUF().Tensor(name)
		if !ok {
			t.Errorf("%s is missing", name)
			continue
		}
		if x.Format.Name != formats[w.Type] || !equal(x.Dims, w.Shape) {
			t.Errorf("%s is %s%v, want %s%v", name, x.Format, x.Dims, w.Type, w.Shape)
			continue
		}
		got := values(t, x)
		var sum, abs float64
		for _, v := range got {
			sum += float64(v)
			abs += math.Abs(float64(v))
		}
		if math.Abs(sum-w.Sum) > 1e-10*w.AbsSum || math.Abs(abs-w.AbsSum) > 1e-10*w.AbsSum {
			t.Errorf("%s sums to %v and %v, want %v and %v", name, sum, abs, w.Sum, w.AbsSum)
		}
		if !equal(got[:len(w.First8)], w.First8) || !equal(got[len(got)-len(w.Last4):], w.Last4) {
			t.Errorf("%s begins %v and ends %v, want %v and %v", name, got[:8], got[len(got)-4:], w.First8, w.Last4)
		}
	}
}

func equal[T comparable](a, b []T) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// TestSmolLM2AsHF: the config that the model was published with, and the names,
// from a GGUF.
func TestSmolLM2AsHF(t *testing.T) {
	c := open(t, smollm2(t))
	want := map[string]string{
		"model_type": `"llama"`, "architectures": `["LlamaForCausalLM"]`, "hidden_act": `"silu"`,
		"num_hidden_layers": "30", "hidden_size": "576", "intermediate_size": "1536", "num_attention_heads": "9",
		"num_key_value_heads": "3", "head_dim": "64", "rms_norm_eps": "1e-05", "rope_theta": "100000", "vocab_size": "49152",
		"max_position_embeddings": "8192", "tie_word_embeddings": "true", "attention_bias": "false", "mlp_bias": "false",
	}
	checkJSON(t, c.Config(), want)
	checkJSON(t, c.Generation(), map[string]string{"eos_token_id": "2", "bos_token_id": "1", "pad_token_id": "2"})
	if n := len(c.Tensors()); n != 272 {
		t.Errorf("%d tensors, want 272", n)
	}
	if _, ok := c.Tensor("lm_head.weight"); ok {
		t.Error("lm_head.weight is there, want it tied")
	}
	q, _ := c.Tensor("model.layers.7.self_attn.q_proj.weight")
	raw, _ := c.GGUF().Tensor("blk.7.attn_q.weight")
	if string(q.Raw(64+33)) != string(raw.Raw(64+3)) {
		t.Error("row 33 of head 1 isn't the second of its second pair in the file")
	}
	if len(c.Skipped()) != 0 {
		t.Errorf("skipped %v, want nothing", c.Skipped())
	}
	if toks, ok := c.GGUF().Strings("tokenizer.ggml.tokens"); !ok || len(toks) != 49152 || toks[2] != "<|im_end|>" {
		t.Errorf("%d tokens, want 49152", len(toks))
	}
	if kinds, ok := c.GGUF().Ints("tokenizer.ggml.token_type"); !ok || kinds[16] != 3 || kinds[17] != 1 {
		t.Error("token types: want 17 specials")
	}
}

func checkJSON(t *testing.T, got map[string]any, want map[string]string) {
	t.Helper()
	for k, w := range want {
		if b, _ := json.Marshal(got[k]); string(b) != w {
			t.Errorf("%s is %s, want %s", k, b, w)
		}
	}
	for k, v := range got {
		if want[k] == "" {
			t.Errorf("%s is %v, want no such field", k, v)
		}
	}
}

func TestDigest(t *testing.T) {
	path := smollm2(t)
	c := open(t, path)
	var last, total int64
	a, err := c.Digest(func(done, all int64) {
		if done <= last {
			t.Errorf("progress went from %d to %d", last, done)
		}
		last, total = done, all
	})
	if err != nil || len(a) != 64 {
		t.Fatalf("digest %q, %v", a, err)
	}
	if info, _ := os.Stat(path); last != total || total != info.Size() {
		t.Errorf("progress ended at %d of %d, want %d", last, total, info.Size())
	}
	link := filepath.Join(t.TempDir(), "other.gguf")
	abs, _ := filepath.Abs(path)
	if err := os.Symlink(abs, link); err != nil {
		t.Fatal(err)
	}
	if b, err := open(t, link).Digest(nil); err != nil || b != a {
		t.Errorf("digest under another name is %s, want %s", b, a)
	}
}
