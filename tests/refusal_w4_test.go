package tests

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A packedCheckpoint is qwen35moe_b_paro, to be bent before it's written: its tensors as they lie in the file.
type packedCheckpoint struct {
	config  map[string]any
	tensors map[string]*packedTensor
}

type packedTensor struct {
	Dtype string `json:"dtype"`
	Shape []int  `json:"shape"`
	At    [2]int `json:"data_offsets"`
	data  []byte
}

func readPacked(t *testing.T) *packedCheckpoint {
	c := &packedCheckpoint{tensors: map[string]*packedTensor{}}
	if err := json.Unmarshal(readFile(t, "testdata/qwen35moe_b_paro/config.json"), &c.config); err != nil {
		t.Fatal(err)
	}
	file := readFile(t, "testdata/qwen35moe_b_paro/model.safetensors")
	n := 8 + binary.LittleEndian.Uint64(file)
	var head map[string]json.RawMessage
	if err := json.Unmarshal(file[8:n], &head); err != nil {
		t.Fatal(err)
	}
	delete(head, "__metadata__")
	for name, raw := range head {
		x := &packedTensor{}
		if err := json.Unmarshal(raw, x); err != nil {
			t.Fatal(err)
		}
		x.data = slices.Clone(file[n:][x.At[0]:x.At[1]])
		c.tensors[name] = x
	}
	return c
}

func (c *packedCheckpoint) write(t *testing.T, dir string) string {
	at := 0
	var data []byte
	for _, name := range slices.Sorted(maps.Keys(c.tensors)) {
		x := c.tensors[name]
		x.At = [2]int{at, at + len(x.data)}
		at += len(x.data)
		data = append(data, x.data...)
	}
	head, err := json.Marshal(c.tensors)
	if err != nil {
		t.Fatal(err)
	}
	config, err := json.Marshal(c.config)
	if err != nil {
		t.Fatal(err)
	}
	file := append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(head))), head...), data...)
	for name, b := range map[string][]byte{"config.json": config, "model.safetensors": file} {
		if err := os.MkdirAll(dir, 0o755); err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestBadPackedCheckpoints: what hipc compile says about packed W4 that can't be used: name, expected, found, in one line
// with the place in the text, where it has one; exit code 1, and nothing written.
func TestBadPackedCheckpoints(t *testing.T) {
	const (
		layer = "model.language_model.layers.0."
		qkv   = layer + "linear_attn.in_proj_qkv."
	)
	type bend = func(c *packedCheckpoint)
	drop := func(name string) bend { return func(c *packedCheckpoint) { delete(c.tensors, name) } }
	shape := func(name, dtype string, dims ...int) bend {
		return func(c *packedCheckpoint) {
			n := map[string]int{"F16": 2, "BF16": 2, "I16": 2, "I32": 4, "F32": 4, "U8": 1, "I64": 8}[dtype]
			for _, d := range dims {
				n *= d
			}
			c.tensors[name] = &packedTensor{Dtype: dtype, Shape: dims, data: make([]byte, n)}
		}
	}
	pair := func(at int, channel int16) bend {
		return func(c *packedCheckpoint) {
			binary.LittleEndian.PutUint16(c.tensors[qkv+"pairs"].data[2*at:], uint16(channel))
		}
	}
	text := func(key string, value any) bend {
		return func(c *packedCheckpoint) { c.config["text_config"].(map[string]any)[key] = value }
	}
	rope := func(key string, value any) bend {
		return func(c *packedCheckpoint) {
			c.config["text_config"].(map[string]any)["rope_parameters"].(map[string]any)[key] = value
		}
	}
	quantization := func(key string, value any) bend {
		return func(c *packedCheckpoint) { c.config["quantization_config"].(map[string]any)[key] = value }
	}
	for name, c := range map[string]struct {
		bend  bend
		model string // "" for the checkpoint's own
		caret string // "" for a mistake of no line
		want  string
	}{
		"no scales":         {drop(qkv + "scales"), "", "@in_proj_qkv", `no tensor .*in_proj_qkv\.scales, want f16\[2 512\]: a packed module has qweight, qzeros, scales, theta, pairs and channel_scales`},
		"no zeros":          {drop(qkv + "qzeros"), "", "@in_proj_qkv", `no tensor .*in_proj_qkv\.qzeros, want i32\[2 64\]`},
		"no angles":         {drop(qkv + "theta"), "", "@in_proj_qkv", `no tensor .*in_proj_qkv\.theta, want f16\[8 128\]`},
		"no pairs":          {drop(qkv + "pairs"), "", "@in_proj_qkv", `no tensor .*in_proj_qkv\.pairs, want i16\[8 256\]`},
		"no channel scales": {drop(qkv + "channel_scales"), "", "@in_proj_qkv", `no tensor .*in_proj_qkv\.channel_scales, want f16\[1 256\]`},
		"no weight":         {drop(qkv + "qweight"), "", "@in_proj_qkv", `has no tensor .*in_proj_qkv\.weight, which this line wants as \[512,256\]`},
		"an expert's scales": {drop(layer + "mlp.experts.2.up_proj.scales"), "", "@experts.gate_up_proj",
			`no tensor .*experts\.2\.up_proj\.scales, want f16\[2 128\]`},
		"the experts' pairs":  {drop(layer + "mlp.experts.gate_up_weight_pairs"), "", "@experts.gate_up_proj", `no tensor .*experts\.gate_up_weight_pairs, want i16\[8 256\]`},
		"scales of bf16":      {shape(qkv+"scales", "BF16", 2, 512), "", "@in_proj_qkv", `tensor .*in_proj_qkv\.scales is bf16\[2 512\], want f16\[2 512\]`},
		"pairs of i32":        {shape(qkv+"pairs", "I32", 8, 256), "", "@in_proj_qkv", `tensor .*in_proj_qkv\.pairs is i32\[8 256\], want i16\[8 256\]`},
		"pairs of a half":     {shape(qkv+"pairs", "I16", 8, 128), "", "@in_proj_qkv", `tensor .*in_proj_qkv\.pairs is i16\[8 128\], want i16\[8 256\]`},
		"seven stages":        {shape(qkv+"theta", "F16", 7, 128), "", "@in_proj_qkv", `tensor .*in_proj_qkv\.theta is f16\[7 128\], want f16\[8 128\]`},
		"weights of f16":      {shape(qkv+"qweight", "F16", 256, 64), "", "@in_proj_qkv", `in_proj_qkv\.qweight is f16\[256 64\], want i32\[K, N/8\]`},
		"weights of one axis": {shape(qkv+"qweight", "I32", 256*64), "", "@in_proj_qkv", `in_proj_qkv\.qweight is i32\[16384\], want i32\[K, N/8\]`},
		"other inputs": {func(c *packedCheckpoint) {
			for suffix, dims := range map[string][]int{"qweight": {384, 64}, "qzeros": {3, 64}} {
				shape(qkv+suffix, "I32", dims...)(c)
			}
			for suffix, dims := range map[string][]int{"scales": {3, 512}, "theta": {8, 192}, "channel_scales": {1, 384}} {
				shape(qkv+suffix, "F16", dims...)(c)
			}
			shape(qkv+"pairs", "I16", 8, 384)(c)
			for i := range 8 * 384 {
				binary.LittleEndian.PutUint16(c.tensors[qkv+"pairs"].data[2*i:], uint16(i%128))
			}
		}, "", "@in_proj_qkv", `in_proj_qkv is i4_128\[512,384\], the model wants \[512,256\]`},
		"inputs of no whole groups":   {shape(qkv+"qweight", "I32", 200, 64), "", "@in_proj_qkv", `in_proj_qkv has 200 inputs, want whole groups of 128`},
		"a channel twice":             {pair(1, 0), "", "@in_proj_qkv", `in_proj_qkv\.pairs: stage 0 of group 0 pairs channel \d+ with \d+: want each of 0 to 127 once`},
		"a channel of the next group": {pair(2*256+130, 128), "", "@in_proj_qkv", `in_proj_qkv\.pairs: stage 2 of group 1 pairs channel .*: want each of 0 to 127 once`},
		"a negative channel":          {pair(256, -1), "", "@in_proj_qkv", `in_proj_qkv\.pairs: stage 1 of group 0 pairs channel -1 with \d+: want each of 0 to 127 once`},
		"groups of 64 for 128":        {quantization("group_size", 64), "", "@in_proj_qkv", `tensor .*in_proj_qkv\.qzeros is i32\[2 64\], want i32\[4 64\]`},
		"groups of 100":               {quantization("group_size", 100), "", "@in_proj_qkv", `quantization_config\.group_size is 100, want 64 or 128`},
		"groups of no size":           {quantization("group_size", nil), "", "@in_proj_qkv", `quantization_config\.group_size is .*, want 64 or 128`},
		"groups of 128.5":             {quantization("group_size", 128.5), "", "@in_proj_qkv", `quantization_config\.group_size is 128\.5, want 64 or 128`},
		"eight bits":                  {quantization("bits", 8), "", "@in_proj_qkv", `quantization_config\.bits is 8, want 4`},
		"four stages":                 {quantization("krot", 4), "", "@in_proj_qkv", `quantization_config\.krot is 4, want 8`},
		"another method":              {quantization("quant_method", "awq"), "", "@in_proj_qkv", `no quantization_config with quant_method paroquant`},
		"no method":                   {func(c *packedCheckpoint) { delete(c.config, "quantization_config") }, "", "@in_proj_qkv", `no quantization_config with quant_method paroquant`},
		"an expert more":              {text("num_experts", 5), "", "@gate", `mlp\.gate\.weight is f16\[4,256\], the model wants \[5,256\]`},
		"an expert less":              {text("num_experts", 3), "", "@gate", `mlp\.gate\.weight is f16\[4,256\], the model wants \[3,256\]`},
		"a lost expert": {func(c *packedCheckpoint) {
			for name := range c.tensors {
				if strings.Contains(name, "layers.0.mlp.experts.3.") {
					delete(c.tensors, name)
				}
			}
		}, "", "@experts.gate_up_proj", `has no tensor .*layers\.0\.mlp\.experts\.3\.gate_proj`},
		"an expert too many": {func(c *packedCheckpoint) {
			for name, x := range maps.Clone(c.tensors) {
				if strings.Contains(name, "layers.0.mlp.experts.3.") {
					c.tensors[strings.Replace(name, "experts.3.", "experts.4.", 1)] = &packedTensor{Dtype: x.Dtype, Shape: x.Shape, data: x.data}
				}
			}
		}, "", "", `reads no tensor .*layers\.0\.mlp\.experts\.4\.down_proj\.qweight .* and 8 more`},
		"no experts":         {text("num_experts", 0), "", "E])), K)", `a dimension is a positive whole number, not 0`},
		"minus four experts": {text("num_experts", -4), "", "E: num_experts", `E is -4: a dim is a whole number`},
		"a trillion experts": {text("num_experts", 1e12), "", "E: num_experts", `E is 1e\+12: a dim is a whole number, at most 2³¹`},
		"half an expert":     {text("num_experts", 4.5), "", "E: num_experts", `E is 4\.5: a dim is a whole number`},
		"more are chosen":    {text("num_experts_per_tok", 5), "", "", `topk: k is 5, want 1 to the length of x, which is act\[4\]`},
		"none is chosen":     {text("num_experts_per_tok", 0), "", "", `topk: k is 0, want 1 to the length of x, which is act\[4\]`},
		"no theta":           {rope("rope_theta", nil), "", "theta: rope_theta", `config has no rope_theta, which theta is read from`},
		"an unknown rope":    {rope("rope_type", "spiral"), "", "rope_type:", `the checkpoint says rope_type: spiral, this model wants default`},
		"another model's":    {func(*packedCheckpoint) {}, "qwen3.yaml", "model_type:", `the checkpoint says model_type: qwen3_5_moe_text, this model wants qwen3; it fits \.\./models/qwen3\.6-35b-a3b\.yaml`},
		"no model's": {func(c *packedCheckpoint) { c.config["text_config"].(map[string]any)["model_type"] = "gpt9" }, "qwen3.yaml", "model_type:",
			`the checkpoint says model_type: gpt9, this model wants qwen3$`},
	} {
		t.Run(name, func(t *testing.T) {
			f := readPacked(t)
			c.bend(f)
			place := t.TempDir()
			dir := f.write(t, filepath.Join(place, "checkpoint"))
			model := qwen36Text
			if c.model != "" {
				model = "../models/" + c.model
			}
			got := runProgram(t, nil, "hipc", "compile", model, "--weights", dir, "-o", filepath.Join(place, "new", "out"))
			lines := strings.Split(strings.TrimSuffix(got.err, "\n"), "\n")
			if got.code != 1 || got.out != "" || !regexp.MustCompile(c.want).MatchString(lines[0]) {
				t.Errorf("exit %d, %q\n%s\nwant exit 1 and first %s", got.code, got.out, got.err, c.want)
			}
			if names := entries(t, place); len(names) != 1 {
				t.Errorf("there is something: %v", names)
			}
			if c.caret == "" {
				return
			}
			if len(lines) < 3 || !strings.HasPrefix(lines[0], fmt.Sprint(model, ":")) {
				t.Fatalf("want FILE:LINE:COL, the line and a caret, got\n%s", got.err)
			}
			if at := strings.IndexByte(lines[2], '^'); at < 0 || at >= len(lines[1]) || !strings.HasPrefix(lines[1][at:], c.caret) {
				t.Errorf("the caret doesn't point at %s:\n%s", c.caret, got.err)
			}
		})
	}
}
