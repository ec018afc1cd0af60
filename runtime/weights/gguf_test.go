package weights

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A fake is a GGUF in the making; what it says may be false.
type fake struct {
	magic         string
	version       uint32
	nTensors      uint64 // 0: as many as there are
	nKeys         uint64
	keys          []fakeKey
	tensors       []fakeTensor
	data          int // bytes of data; -1: as many as the tensors need
	afterMetadata []byte
}

type fakeKey struct {
	name  string
	kind  uint32
	value []byte
}

type fakeTensor struct {
	name   string
	dims   []uint64 // innermost first
	kind   uint32
	offset int64 // -1: right behind the one before
}

func u32(v uint32) []byte { return binary.LittleEndian.AppendUint32(nil, v) }
func u64(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }
func str(s string) []byte { return append(u64(uint64(len(s))), s...) }
func kv32(name string, v uint32) fakeKey {
	return fakeKey{name, 4, u32(v)}
}
func kvf(name string, v float32) fakeKey { return fakeKey{name, 6, u32(math.Float32bits(v))} }

// small is a sound model of one layer: width 32, 2 heads of 16, 4 tokens.
func small(arch string) *fake {
	f := &fake{magic: "GGUF", version: 3, data: -1, keys: []fakeKey{{"general.architecture", 8, str(arch)}}}
	for _, k := range []fakeKey{kv32("block_count", 1), kv32("context_length", 64), kv32("embedding_length", 32), kv32("feed_forward_length", 64),
		kv32("attention.head_count", 2), kvf("attention.layer_norm_rms_epsilon", 1e-6)} {
		k.name = arch + "." + k.name
		f.keys = append(f.keys, k)
	}
	f.tensor("token_embd.weight", 8, 32, 4) // q8_0
	f.tensor("output_norm.weight", 0, 32)
	f.tensor("blk.0.attn_q.weight", 3, 32, 32) // q4_1
	return f
}

func (f *fake) tensor(name string, kind uint32, dims ...uint64) {
	f.tensors = append(f.tensors, fakeTensor{name, dims, kind, -1})
}

// set changes a key or adds it.
func (f *fake) set(k fakeKey) {
	for i := range f.keys {
		if f.keys[i].name == k.name {
			f.keys[i] = k
			return
		}
	}
	f.keys = append(f.keys, k)
}

func (f *fake) bytes() []byte {
	b := append([]byte(f.magic), u32(f.version)...)
	count := func(claim uint64, n int) {
		if claim == 0 {
			claim = uint64(n)
		}
		b = append(b, u64(claim)...)
	}
	count(f.nTensors, len(f.tensors))
	count(f.nKeys, len(f.keys))
	for _, k := range f.keys {
		b = slices.Concat(b, str(k.name), u32(k.kind), k.value)
	}
	b = append(b, f.afterMetadata...)
	at := 0
	for _, t := range f.tensors {
		b = slices.Concat(b, str(t.name), u32(uint32(len(t.dims))))
		n := 1
		for _, d := range t.dims {
			b = append(b, u64(d)...)
			n *= int(d)
		}
		b = append(b, u32(t.kind)...)
		if t.offset != -1 {
			b = append(b, u64(uint64(t.offset))...)
			continue
		}
		b = append(b, u64(uint64(at))...)
		if g, ok := FormatByName(ggufTypes[t.kind]); ok {
			at += (n/g.Block*g.Bytes + 31) &^ 31
		}
	}
	b = append(b, make([]byte, (32-len(b)%32)%32)...)
	if f.data >= 0 {
		at = f.data
	}
	return append(b, make([]byte, at)...)
}

func hostile(change func(*fake)) []byte {
	f := small("llama")
	change(f)
	return f.bytes()
}

func openBytes(t *testing.T, b []byte) (*Checkpoint, error) {
	path := filepath.Join(t.TempDir(), "x.gguf")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := Open(path)
	if err == nil {
		t.Cleanup(func() { c.Close() })
	}
	return c, err
}

func TestGGUFRefuses(t *testing.T) {
	nested := func(depth int) []byte {
		var b []byte
		for range depth {
			b = append(append(b, u32(9)...), u64(1)...)
		}
		return append(append(b, u32(0)...), u64(0)...)
	}
	for _, c := range []struct {
		name   string
		change func(*fake)
		want   string
	}{
		{"magic", func(f *fake) { f.magic = "GGML" }, `begins with "GGML", want "GGUF"`},
		{"version 2", func(f *fake) { f.version = 2 }, "GGUF version 2, want 3"},
		{"big-endian", func(f *fake) { f.version = 3 << 24 }, "big-endian"},
		{"tensor count", func(f *fake) { f.nTensors = 1 << 60 }, "claims 1152921504606846976 tensors, want at most"},
		{"tensor count beyond the file", func(f *fake) { f.nTensors = 1 << 19 }, "claims 524288 tensors, but only"},
		{"one tensor too many", func(f *fake) { f.nTensors = 4; f.data = 0 }, "tensor 3"},
		{"key count", func(f *fake) { f.nKeys = 1 << 60 }, "keys, want at most"},
		{"key count beyond the file", func(f *fake) { f.nKeys = 60000 }, "claims 60000 keys, but only"},
		{"key twice", func(f *fake) { f.keys = append(f.keys, f.keys[1]) }, `key "llama.block_count" is there twice`},
		{"empty key", func(f *fake) { f.keys[0].name = "" }, "want UTF-8 of at least one character"},
		{"key no UTF-8", func(f *fake) { f.keys[0].name = "\xff" }, "want UTF-8"},
		{"key too long", func(f *fake) { f.keys[0].name = strings.Repeat("x", maxName+1) }, "want at most 65536"},
		{"value type", func(f *fake) { f.set(fakeKey{"x", 13, nil}) }, `value of key "x": value type 13`},
		{"string too long", func(f *fake) { f.set(fakeKey{"x", 8, u64(maxString + 1)}) }, `value of key "x" of 16777217 bytes`},
		{"string beyond the file", func(f *fake) { f.set(fakeKey{"x", 8, u64(maxString)}) }, "the file ends at"},
		{"bool", func(f *fake) { f.set(fakeKey{"x", 7, []byte{2}}) }, `value of key "x": bool of 2`},
		{"array of bools", func(f *fake) { f.set(fakeKey{"x", 9, slices.Concat(u32(7), u64(2), []byte{1, 7})}) }, "bool of 7"},
		{"array type", func(f *fake) { f.set(fakeKey{"x", 9, slices.Concat(u32(99), u64(2))}) }, "array of type 99"},
		{"array length", func(f *fake) { f.set(fakeKey{"x", 9, slices.Concat(u32(12), u64(1<<61))}) }, "array of 2305843009213693952 f64"},
		{"array nested", func(f *fake) { f.set(fakeKey{"x", 9, nested(9)}) }, "nested deeper than 4"},
		{"alignment 0", func(f *fake) { f.set(kv32("general.alignment", 0)) }, `general.alignment is "0", want a power of two`},
		{"alignment 48", func(f *fake) { f.set(kv32("general.alignment", 48)) }, `general.alignment is "48", want a power of two`},
		{"alignment huge", func(f *fake) { f.set(kv32("general.alignment", 1<<31)) }, "want a power of two up to"},
		{"alignment text", func(f *fake) { f.set(fakeKey{"general.alignment", 8, str("32")}) }, "general.alignment"},
		{"tensor twice", func(f *fake) { f.tensors[1].name = f.tensors[0].name }, `tensor "token_embd.weight" is there twice`},
		{"rank 0", func(f *fake) { f.tensors[1].dims = nil }, `tensor "output_norm.weight": 0 dimensions`},
		{"rank 5", func(f *fake) { f.tensors[1].dims = []uint64{1, 1, 1, 1, 1} }, "5 dimensions, want 1 to 4"},
		{"dimension 0", func(f *fake) { f.tensors[1].dims[0] = 0 }, "dimension 0 is 0"},
		{"dimension huge", func(f *fake) { f.tensors[1].dims[0] = 1 << 63 }, "dimension 0 is 9223372036854775808"},
		{"overflow", func(f *fake) { f.tensors[1].dims = []uint64{1 << 40, 1 << 40} }, "more values than any file"},
		{"half a block", func(f *fake) { f.tensors[2].dims[0] = 31 }, `tensor "blk.0.attn_q.weight": shape [32 31] in q4_1, want a last dimension of whole blocks of 32`},
		{"q6_K", func(f *fake) { f.tensors[2].kind = 14 }, `tensor "blk.0.attn_q.weight": q6_K isn't read yet; re-quantise`},
		{"i32", func(f *fake) { f.tensors[1].kind = 26 }, "i32 isn't read yet"},
		{"type 77", func(f *fake) { f.tensors[2].kind = 77 }, "type 77 isn't read yet"},
		{"misaligned", func(f *fake) { f.tensors[1].offset = 137 }, "offset 137, want a multiple of 32"},
		{"overlap", func(f *fake) { f.tensors[1].offset = 128 }, `tensor "output_norm.weight": offset 128 lies inside tensor "token_embd.weight", which ends at 136`},
		{"same place", func(f *fake) { f.tensors[1].offset = 0 }, "offset 0 lies inside"},
		{"hole", func(f *fake) { f.tensors[1].offset = 192; f.tensors[2].offset = 320; f.data = 2048 }, "offset 192, want 160 right behind"},
		{"beyond", func(f *fake) { f.data = 900 }, "the file has 900 bytes of data: it is cut short"},
		{"far beyond", func(f *fake) { f.tensors[2].offset = 1 << 62 }, "it is cut short"},
		{"offset negative", func(f *fake) { f.tensors[2].offset = -32 }, "cut short"},
		{"no data", func(f *fake) { f.data = 0 }, "cut short"},
		{"trailing", func(f *fake) { f.data = 1024 }, `follow tensor "blk.0.attn_q.weight", want none`},
		{"junk", func(f *fake) { f.afterMetadata = bytes.Repeat([]byte{0xff}, 64) }, "tensor 0"},

		{"no architecture", func(f *fake) { f.keys[0].name = "x" }, "no general.architecture, want one of llama, qwen2, qwen3, qwen3moe"},
		{"architecture", func(f *fake) { f.keys[0].value = str("gemma3") }, `architecture "gemma3" isn't known, want one of llama`},
		{"adapter", func(f *fake) { f.set(fakeKey{"general.type", 8, str("adapter")}) }, `general.type is "adapter"`},
		{"split", func(f *fake) { f.set(fakeKey{"split.count", 2, []byte{3, 0}}) }, "one of 3 parts of a split GGUF"},
		{"no embedding_length", func(f *fake) { f.keys[3].name = "x" }, `no key "llama.embedding_length", which gives hidden_size`},
		{"text for a number", func(f *fake) { f.set(fakeKey{"llama.context_length", 8, str("x")}) }, `key "llama.context_length" is "x", want a number`},
		{"text for heads", func(f *fake) { f.set(fakeKey{"llama.attention.head_count_kv", 8, str("x")}) }, "want a number"},
		{"number for text", func(f *fake) { f.set(kv32("llama.rope.scaling.type", 1)) }, "want a string"},
		{"no heads", func(f *fake) { f.set(kv32("llama.attention.head_count", 0)) }, `key "llama.attention.head_count" is "0", want a whole number from 1`},
		{"half a head", func(f *fake) { f.set(kv32("llama.attention.head_count", 5)) }, "5 heads don't divide a width of 32"},
		{"NaN", func(f *fake) { f.set(kvf("llama.rope.freq_base", float32(math.NaN()))) }, "want a finite number"},
		{"head widths", func(f *fake) {
			f.set(kv32("llama.attention.key_length", 16))
			f.set(kv32("llama.attention.value_length", 8))
		}, `key "llama.attention.value_length" says 8, but "llama.attention.key_length" says 16`},
		{"widths by layer", func(f *fake) {
			f.set(fakeKey{"llama.feed_forward_length", 9, slices.Concat(u32(4), u64(2), u32(64), u32(96))})
		}, "differs from layer to layer"},
		{"no embedding", func(f *fake) { f.tensors = f.tensors[1:] }, `no tensor "token_embd.weight"`},
		{"unknown tensor", func(f *fake) { f.tensor("blk.0.ffn_gate_inp.weight", 0, 32) }, `tensor "blk.0.ffn_gate_inp.weight": architecture llama is known without`},
		{"no such layer", func(f *fake) { f.tensor("blk.1.attn_norm.weight", 0, 32) }, "no such layer, want 0 to 0"},
		{"layer 00", func(f *fake) { f.tensor("blk.00.attn_norm.weight", 0, 32) }, "no such layer"},
		{"layer -0", func(f *fake) { f.tensor("blk.-0.attn_norm.weight", 0, 32) }, "no such layer"},
		{"layer +0", func(f *fake) { f.tensor("blk.+0.attn_norm.weight", 0, 32) }, "no such layer"},
		{"placeholder", func(f *fake) { f.tensor("blk.{l}.attn_norm.weight", 0, 32) }, "no such layer"},
		{"odd heads", func(f *fake) { f.tensors[2].dims[1] = 30 }, "30 rows for 2 heads"},
		{"rope factors", func(f *fake) { f.tensor(ropeFreqs, 0, 8) }, `tensor "rope_freqs.weight": element 0 is 0`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := openBytes(t, hostile(c.change))
			oneLine(t, err, "x.gguf", c.want)
		})
	}
}

// TestGGUFCutShort cuts a sound file at every byte.
func TestGGUFCutShort(t *testing.T) {
	whole := small("llama").bytes()
	if _, err := parseGGUF("x.gguf", whole); err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) {
		if _, err := parseGGUF("x.gguf", whole[:n]); err == nil {
			t.Fatalf("cut to %d of %d bytes: no error", n, len(whole))
		}
	}
}

func TestArchitectures(t *testing.T) {
	for _, a := range archs {
		f := small(a.name)
		f.set(kv32(a.name+".expert_count", 3))
		f.set(kv32(a.name+".expert_used_count", 2))
		f.set(kv32(a.name+".expert_feed_forward_length", 64))
		f.set(fakeKey{a.name + ".attention.head_count_kv", 9, slices.Concat(u32(5), u64(2), u32(1), u32(1))})
		for _, r := range a.tensors {
			name := strings.ReplaceAll(r.gguf, "{l}", "0")
			has := slices.ContainsFunc(f.tensors, func(t fakeTensor) bool { return t.name == name })
			switch {
			case has || name == ropeFreqs:
			case strings.HasSuffix(name, "_exps.weight"):
				f.tensor(name, 1, 8, 4, 3)
			case strings.HasSuffix(name, ".bias"):
				f.tensor(name, 0, 32)
			default:
				f.tensor(name, 0, 32, 2)
			}
		}
		c, err := openBytes(t, f.bytes())
		if err != nil {
			t.Errorf("%s: %v", a.name, err)
			continue
		}
		shown := 0
		for _, r := range a.tensors {
			if r.hf == "" {
				continue
			}
			for e := range map[bool]int{true: 3, false: 1}[strings.Contains(r.hf, "{e}")] {
				shown++
				name := strings.NewReplacer("{l}", "0", "{e}", string(rune('0'+e))).Replace(r.hf)
				x, ok := c.Tensor(name)
				if !ok {
					t.Errorf("%s: no %s", a.name, name)
					continue
				}
				if strings.Contains(r.hf, "{e}") {
					raw, _ := c.GGUF().Tensor(strings.ReplaceAll(r.gguf, "{l}", "0"))
					if !slices.Equal(x.Dims, []int{4, 8}) || &x.Raw(1)[0] != &raw.Raw(4*e + 1)[0] {
						t.Errorf("%s: %s has shape %v or lies elsewhere", a.name, name, x.Dims)
					}
				}
				if mixed := x.head != 0; len(x.Dims) > 1 && mixed != (r.heads != "") {
					t.Errorf("%s: %s: heads interleaved: %v", a.name, name, mixed)
				}
			}
		}
		if shown != len(c.Tensors()) {
			t.Errorf("%s: %d tensors, want %d", a.name, len(c.Tensors()), shown)
		}
		if c.Config()["num_key_value_heads"] != number(1) || c.Config()["head_dim"] != number(16) || c.Config()["rope_theta"] != number(10000) {
			t.Errorf("%s: config %v", a.name, c.Config())
		}
		if experts := c.Config()["num_experts"] != nil; experts == (len(c.Skipped()) >= 3) {
			t.Errorf("%s: skipped %v", a.name, c.Skipped())
		}
	}
}

func TestRopeScalingKeys(t *testing.T) {
	f := small("qwen3")
	f.set(fakeKey{"qwen3.rope.scaling.type", 8, str("yarn")})
	f.set(kvf("qwen3.rope.scaling.factor", 4))
	f.set(kv32("qwen3.rope.scaling.original_context_length", 32768))
	c, err := openBytes(t, f.bytes())
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := c.Config().Lookup("original_max_position_embeddings"); v != number(32768) {
		t.Errorf("rope_scaling is %v", c.Config()["rope_scaling"])
	}
	f.set(fakeKey{"qwen3.rope.scaling.type", 8, str("none")})
	if c, err = openBytes(t, f.bytes()); err != nil || c.Config()["rope_scaling"] != nil {
		t.Errorf("scaling none gives %v, %v", c.Config()["rope_scaling"], err)
	}
}

func FuzzGGUF(f *testing.F) {
	f.Add(small("llama").bytes())
	f.Add(small("qwen3").bytes())
	if b, err := os.ReadFile(testdata + "tiny.gguf"); err == nil {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := parseGGUF("x.gguf", b)
		if err != nil {
			return
		}
		readAll(t, g.list, len(b))
		for _, k := range g.Keys() {
			g.Value(k)
			g.Strings(k)
			g.Ints(k)
			g.scalar(k)
		}
		for i := range archs {
			c := &Checkpoint{gguf: g, tensors: map[string]*Tensor{}}
			if c.show(&archs[i]) == nil {
				for _, x := range c.tensors {
					readAll(t, []*Tensor{x}, len(b))
				}
			}
		}
	})
}
