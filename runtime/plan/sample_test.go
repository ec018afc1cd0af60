package plan

// sample is a small plan that Check accepts: two layers, the loop rotated so that each layer ends with the next one's norm.
func sample() *Plan {
	return &Plan{
		Version: Version, Model: "tiny", Target: "cpu_v4", Device: "cpu", Act: "f32", KV: "f32",
		Layers: 2, Vocab: 100, Context: 128, Page: 64,
		Weights: []Weight{
			{Name: "embed_tokens", Type: "q4_1[100,32]", Layout: "x16", Bytes: 2240},
			{Name: "layers.{l}.input_layernorm", Type: "f32[32]", Layout: "rows", Bytes: 128, Layers: "0-1"},
			{Name: "layers.{l}.q_proj", Type: "q4_1[32,32]", Layout: "x16", Bytes: 640, Layers: "0-1", Expr: "2 * q_proj"},
			{Name: "norm", Type: "f32[32]", Layout: "rows", Bytes: 128},
		},
		State: []State{{Name: "layers.{l}.kv", Type: "kv[1,32]", Bytes: 32768, Layers: "0-1"}},
		Cells: []Cell{{Name: "tokens", Type: "i32[1]", Bytes: 4}, {Name: "position", Type: "i32[1]", Bytes: 4}},
		Buckets: []Bucket{{
			Name: "decode_1", Seqs: 1, Rows: 1, Picks: 1, Tail: "argmax", Cost: Cost{Steps: 8, Bytes: 9000, Ops: 18000},
			Parts: []Part{
				{Name: "begin", Steps: []Step{
					{Kernel: "embed", Inst: "embed<100,32>", In: []string{"tokens", "embed_tokens"}, Out: []string{"h"}, Grid: 1, Block: 1},
					{Kernel: "norm_32", In: []string{"h", "layers.0.input_layernorm"}, Out: []string{"n"}, Grid: 1, Block: 1},
				}},
				{Name: "layer", Layers: "0", Steps: []Step{
					{Kernel: "attend", In: []string{"n", "layers.{l}.q_proj", "position"}, Out: []string{"a"}, State: []string{"layers.{l}.kv"}, Grid: 2, Block: 1},
					{Kernel: "add_norm_32", In: []string{"h", "a", "layers.{l+1}.input_layernorm"}, Out: []string{"h", "n"}, Grid: 1, Block: 1},
				}},
				{Name: "layer.end", Layers: "1", Steps: []Step{
					{Kernel: "attend", In: []string{"n", "layers.{l}.q_proj", "position"}, Out: []string{"a"}, State: []string{"layers.{l}.kv"}, Grid: 2, Block: 1},
					{Kernel: "add_norm_32", In: []string{"h", "a", "norm"}, Out: []string{"h", "n"}, Grid: 1, Block: 1},
				}},
				{Name: "end", Steps: []Step{
					{Kernel: "head", In: []string{"n", "embed_tokens"}, Out: []string{"logits"}, Grid: 7, Block: 1},
					{Kernel: "argmax", In: []string{"logits"}, Out: []string{"tokens"}, Grid: 1, Block: 1, LDS: 64},
				}},
			},
		}},
		Arena: []Arena{
			{Bucket: "decode_1", Part: "begin", Slots: []Slot{{Name: "h", Type: "act[1,32]", Bytes: 128}, {Name: "n", Type: "act[1,32]", Offset: 128, Bytes: 128}}},
			{Bucket: "decode_1", Part: "layer", Slots: []Slot{{Name: "h", Type: "act[1,32]", Bytes: 128}, {Name: "n", Type: "act[1,32]", Offset: 128, Bytes: 128}, {Name: "a", Type: "act[1,32]", Offset: 256, Bytes: 128}}},
			{Bucket: "decode_1", Part: "layer.end", Slots: []Slot{{Name: "h", Type: "act[1,32]", Bytes: 128}, {Name: "n", Type: "act[1,32]", Offset: 128, Bytes: 128}, {Name: "a", Type: "act[1,32]", Offset: 256, Bytes: 128}}},
			{Bucket: "decode_1", Part: "end", Slots: []Slot{{Name: "n", Type: "act[1,32]", Offset: 128, Bytes: 128}, {Name: "logits", Type: "act[1,100]", Offset: 256, Bytes: 400}}},
		},
	}
}
