package weights

import "slices"

// An arch is what one GGUF architecture calls things: the facts with which its
// files are shown as Hugging Face checkpoints.
type arch struct {
	name    string         // general.architecture
	fixed   map[string]any // config fields that hold for every model of it
	fields  []field
	tensors []row
}

// A field joins a metadata key (behind "<arch>.") and a config field. Several
// keys may give one field; then they must agree. With need, one of them must be
// there. A key without a field is known and says nothing that HF's config does.
type field struct {
	key, config string
	need        bool
	text        bool // a string, where all others are numbers
}

// A row joins a GGUF tensor and an HF tensor. {l} is the layer; {e} counts the
// slices of the first dimension, of which HF keeps each as a tensor of its own.
type row struct {
	gguf, hf string
	// heads is the metadata key of the number of heads, where the rows of each
	// head were re-ordered for interleaved RoPE.
	heads string
	// skip says why the tensor isn't shown.
	skip string
}

const block, layer = "blk.{l}.", "model.layers.{l}."

var ends = []row{
	{gguf: "token_embd.weight", hf: "model.embed_tokens.weight"},
	{gguf: "output_norm.weight", hf: "model.norm.weight"},
	{gguf: "output.weight", hf: "lm_head.weight"},
	{gguf: block + "attn_norm.weight", hf: layer + "input_layernorm.weight"},
	{gguf: block + "ffn_norm.weight", hf: layer + "post_attention_layernorm.weight"},
}

var attention = []row{
	{gguf: block + "attn_q.weight", hf: layer + "self_attn.q_proj.weight"},
	{gguf: block + "attn_k.weight", hf: layer + "self_attn.k_proj.weight"},
	{gguf: block + "attn_v.weight", hf: layer + "self_attn.v_proj.weight"},
	{gguf: block + "attn_output.weight", hf: layer + "self_attn.o_proj.weight"},
}

var attentionBias = []row{
	{gguf: block + "attn_q.bias", hf: layer + "self_attn.q_proj.bias"},
	{gguf: block + "attn_k.bias", hf: layer + "self_attn.k_proj.bias"},
	{gguf: block + "attn_v.bias", hf: layer + "self_attn.v_proj.bias"},
	{gguf: block + "attn_output.bias", hf: layer + "self_attn.o_proj.bias"},
}

var attentionNorm = []row{
	{gguf: block + "attn_q_norm.weight", hf: layer + "self_attn.q_norm.weight"},
	{gguf: block + "attn_k_norm.weight", hf: layer + "self_attn.k_norm.weight"},
}

var attentionInterleaved = []row{
	{gguf: block + "attn_q.weight", hf: layer + "self_attn.q_proj.weight", heads: "attention.head_count"},
	{gguf: block + "attn_k.weight", hf: layer + "self_attn.k_proj.weight", heads: "attention.head_count_kv"},
	{gguf: block + "attn_v.weight", hf: layer + "self_attn.v_proj.weight"},
	{gguf: block + "attn_output.weight", hf: layer + "self_attn.o_proj.weight"},
	{gguf: block + "attn_q.bias", hf: layer + "self_attn.q_proj.bias", heads: "attention.head_count"},
	{gguf: block + "attn_k.bias", hf: layer + "self_attn.k_proj.bias", heads: "attention.head_count_kv"},
	{gguf: block + "attn_v.bias", hf: layer + "self_attn.v_proj.bias"},
	{gguf: block + "attn_output.bias", hf: layer + "self_attn.o_proj.bias"},
	{gguf: block + "attn_rot_embd.weight", skip: "the inverse frequencies follow from rope_theta"},
	{gguf: ropeFreqs, skip: "shown as the config's rope_scaling, which gives the same frequencies"},
}

var mlp = []row{
	{gguf: block + "ffn_gate.weight", hf: layer + "mlp.gate_proj.weight"},
	{gguf: block + "ffn_up.weight", hf: layer + "mlp.up_proj.weight"},
	{gguf: block + "ffn_down.weight", hf: layer + "mlp.down_proj.weight"},
}

var experts = []row{
	{gguf: block + "ffn_gate_inp.weight", hf: layer + "mlp.gate.weight"},
	{gguf: block + "ffn_gate_exps.weight", hf: layer + "mlp.experts.{e}.gate_proj.weight"},
	{gguf: block + "ffn_up_exps.weight", hf: layer + "mlp.experts.{e}.up_proj.weight"},
	{gguf: block + "ffn_down_exps.weight", hf: layer + "mlp.experts.{e}.down_proj.weight"},
}

// sizes are the fields that all architectures share. vocab_size is counted, not
// read: it is the number of the embedding's rows.
var sizes = []field{
	{key: "block_count", config: "num_hidden_layers", need: true},
	{key: "context_length", config: "max_position_embeddings", need: true},
	{key: "embedding_length", config: "hidden_size", need: true},
	{key: "attention.head_count", config: "num_attention_heads", need: true},
	{key: "attention.head_count_kv", config: "num_key_value_heads"},
	{key: "attention.key_length", config: "head_dim"},
	{key: "attention.value_length", config: "head_dim"},
	{key: "rope.dimension_count", config: "head_dim"},
	{key: "attention.layer_norm_rms_epsilon", config: "rms_norm_eps", need: true},
	{key: "rope.freq_base", config: "rope_theta"},
	{key: "rope.scaling.type", config: "rope_scaling.rope_type", text: true},
	{key: "rope.scaling.factor", config: "rope_scaling.factor"},
	{key: "rope.scaling.original_context_length", config: "rope_scaling.original_max_position_embeddings"},
	{key: "rope.scaling.attn_factor", config: "rope_scaling.attention_factor"},
	{key: "rope.scaling.yarn_beta_fast", config: "rope_scaling.beta_fast"},
	{key: "rope.scaling.yarn_beta_slow", config: "rope_scaling.beta_slow"},
	{key: "rope.scaling.finetuned"},
	{key: "attention.sliding_window", config: "sliding_window"},
	{key: "vocab_size"},
}

var denseSizes = append([]field{{key: "feed_forward_length", config: "intermediate_size", need: true}}, sizes...)

var expertSizes = append([]field{
	{key: "feed_forward_length", config: "intermediate_size"},
	{key: "expert_count", config: "num_experts", need: true},
	{key: "expert_used_count", config: "num_experts_per_tok", need: true},
	{key: "expert_feed_forward_length", config: "moe_intermediate_size", need: true},
}, sizes...)

// family gives the fixed fields of an architecture.
func family(modelType, class string, more map[string]any) map[string]any {
	m := map[string]any{"model_type": modelType, "architectures": []any{class}, "hidden_act": "silu"}
	for k, v := range more {
		m[k] = v
	}
	return m
}

// archs is the table of the GGUF architectures that can be shown.
var archs = []arch{
	{
		name:    "llama",
		fixed:   family("llama", "LlamaForCausalLM", map[string]any{"mlp_bias": false}),
		fields:  denseSizes,
		tensors: slices.Concat(ends, attentionInterleaved, mlp),
	},
	{
		name:    "qwen2",
		fixed:   family("qwen2", "Qwen2ForCausalLM", nil),
		fields:  denseSizes,
		tensors: slices.Concat(ends, attention, attentionBias, mlp),
	},
	{
		name:    "qwen3",
		fixed:   family("qwen3", "Qwen3ForCausalLM", nil),
		fields:  denseSizes,
		tensors: slices.Concat(ends, attention, attentionBias, attentionNorm, mlp),
	},
	{
		// llama.cpp's graph of it always renormalises the weights of the chosen
		// experts, and every layer has experts; the metadata says neither.
		name:    "qwen3moe",
		fixed:   family("qwen3_moe", "Qwen3MoeForCausalLM", map[string]any{"norm_topk_prob": true, "decoder_sparse_step": number(1), "mlp_only_layers": []any{}}),
		fields:  expertSizes,
		tensors: slices.Concat(ends, attention, attentionBias, attentionNorm, experts),
	},
}
