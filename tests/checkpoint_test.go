package tests

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A fakeCheckpoint is a Hugging Face folder of a model of two layers, small enough to compile in no time, with random
// weights. Tests bend it before they write it.
type fakeCheckpoint struct {
	family  string
	config  map[string]any
	dtype   string // F32 or BF16
	shards  int    // files that the tensors are dealt to; 0: one file, no index
	tensors map[string]*fakeTensor
	vocab   int
	files   map[string]string // others, such as tokenizer.json
}

type fakeTensor struct {
	dims []int
	data []float32
}

const (
	fakeWidth = 64
	fakeInner = 96
	fakeHeads = 4
	fakeKV    = 2
	fakeHead  = 16
)

// newCheckpoint makes a llama, with a head of its own, or a qwen3, whose head is its embedding.
func newCheckpoint(family, dtype string) *fakeCheckpoint {
	c := &fakeCheckpoint{family: family, dtype: dtype, vocab: 97, tensors: map[string]*fakeTensor{}, files: map[string]string{}}
	c.config = map[string]any{
		"architectures": []string{"LlamaForCausalLM"}, "model_type": family, "hidden_size": fakeWidth, "num_hidden_layers": 2, "vocab_size": c.vocab,
		"intermediate_size": fakeInner, "num_attention_heads": fakeHeads, "num_key_value_heads": fakeKV, "head_dim": fakeHead,
		"rms_norm_eps": 1e-5, "rope_theta": 10000.0, "rope_scaling": nil, "hidden_act": "silu", "attention_bias": false, "max_position_embeddings": 128,
		"tie_word_embeddings": family == "qwen3",
	}
	r := rand.New(rand.NewPCG(7, uint64(len(family))))
	add := func(name string, dims ...int) {
		t := &fakeTensor{dims: dims}
		n, spread := 1, 0.4
		for _, d := range dims {
			n *= d
		}
		middle := 0.0
		if len(dims) == 1 {
			middle, spread = 1, 0.2 // a norm
		} else {
			spread = 1.5 / math.Sqrt(float64(dims[1]))
		}
		for range n {
			t.data = append(t.data, float32(middle+spread*r.NormFloat64()))
		}
		c.tensors[name] = t
	}
	add("model.embed_tokens.weight", c.vocab, fakeWidth)
	for l := range 2 {
		p := fmt.Sprintf("model.layers.%d.", l)
		add(p+"input_layernorm.weight", fakeWidth)
		add(p+"post_attention_layernorm.weight", fakeWidth)
		add(p+"self_attn.q_proj.weight", fakeHeads*fakeHead, fakeWidth)
		add(p+"self_attn.k_proj.weight", fakeKV*fakeHead, fakeWidth)
		add(p+"self_attn.v_proj.weight", fakeKV*fakeHead, fakeWidth)
		add(p+"self_attn.o_proj.weight", fakeWidth, fakeHeads*fakeHead)
		if family == "qwen3" {
			add(p+"self_attn.q_norm.weight", fakeHead)
			add(p+"self_attn.k_norm.weight", fakeHead)
		}
		add(p+"mlp.gate_proj.weight", fakeInner, fakeWidth)
		add(p+"mlp.up_proj.weight", fakeInner, fakeWidth)
		add(p+"mlp.down_proj.weight", fakeWidth, fakeInner)
	}
	add("model.norm.weight", fakeWidth)
	if family != "qwen3" {
		add("lm_head.weight", c.vocab, fakeWidth)
	}
	return c
}

// write writes the folder into dir and returns its path.
func (c *fakeCheckpoint) write(t *testing.T, dir string) string {
	t.Helper()
	put := func(name string, data []byte) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	js := func(v any) []byte {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	put("config.json", js(c.config))
	for name, text := range c.files {
		put(name, []byte(text))
	}
	names := slices.Sorted(maps.Keys(c.tensors))
	if c.shards == 0 {
		put("model.safetensors", c.safetensors(names))
		return dir
	}
	where := map[string]string{}
	for i := range c.shards {
		file := fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, c.shards)
		var mine []string
		for j, n := range names {
			if j%c.shards == i {
				mine = append(mine, n)
				where[n] = file
			}
		}
		put(file, c.safetensors(mine))
	}
	put("model.safetensors.index.json", js(map[string]any{"metadata": map[string]any{"total_size": 1}, "weight_map": where}))
	return dir
}

func (c *fakeCheckpoint) safetensors(names []string) []byte {
	var head []string
	var data []byte
	for _, n := range names {
		x := c.tensors[n]
		from := len(data)
		for _, v := range x.data {
			if bits := math.Float32bits(v); c.dtype == "BF16" {
				data = binary.LittleEndian.AppendUint16(data, uint16(bits>>16))
			} else {
				data = binary.LittleEndian.AppendUint32(data, bits)
			}
		}
		dims := strings.ReplaceAll(strings.Trim(fmt.Sprint(x.dims), "[]"), " ", ",")
		head = append(head, fmt.Sprintf(`%q:{"dtype":%q,"shape":[%s],"data_offsets":[%d,%d]}`, n, c.dtype, dims, from, len(data)))
	}
	h := "{" + strings.Join(head, ",") + "}"
	h += strings.Repeat(" ", (8-len(h)%8)%8)
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(h))), h...), data...)
}

// reshape gives a tensor other dims, and as many values as those have.
func (c *fakeCheckpoint) reshape(name string, dims ...int) {
	n := 1
	for _, d := range dims {
		n *= d
	}
	c.tensors[name] = &fakeTensor{dims, make([]float32, n)}
}

// model is the text that the checkpoint is a model of.
func (c *fakeCheckpoint) model() string { return "../models/" + c.family + ".yaml" }
