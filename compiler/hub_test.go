package compiler

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"hipc/runtime/weights"
)

// TestHubConfigs: the keys that config.json has in published checkpoints, in the forms of transformers 4 and 5 (only those that a
// text could read): the dims and reals that follow, or the one line with which the checkpoint is refused.
func TestHubConfigs(t *testing.T) {
	const llama = `"model_type":"llama","hidden_act":"silu","attention_bias":false,"mlp_bias":false,"rms_norm_eps":1e-05,"max_position_embeddings":131072,
		"hidden_size":4096,"intermediate_size":14336,"num_hidden_layers":32,"num_attention_heads":32,"num_key_value_heads":8,"vocab_size":128256,"tie_word_embeddings":false`
	const mistral = `"model_type":"mistral","hidden_act":"silu","rms_norm_eps":1e-05,"hidden_size":4096,"intermediate_size":14336,"num_hidden_layers":32,
		"num_attention_heads":32,"num_key_value_heads":8,"vocab_size":32768,"max_position_embeddings":32768`
	const qwen3 = `"model_type":"qwen3","hidden_act":"silu","attention_bias":false,"head_dim":128,"hidden_size":5120,"intermediate_size":25600,"num_hidden_layers":64,
		"num_attention_heads":64,"num_key_value_heads":8,"rms_norm_eps":1e-06,"vocab_size":151936,"max_position_embeddings":40960,"max_window_layers":64,
		"sliding_window":null,"tie_word_embeddings":false,"use_sliding_window":false`
	const phi = `"model_type":"phi3","hidden_act":"silu","attention_bias":false,"hidden_size":3072,"intermediate_size":8192,"num_hidden_layers":32,
		"num_attention_heads":32,"num_key_value_heads":32,"rms_norm_eps":1e-05,"vocab_size":32064,"rope_theta":10000.0,"original_max_position_embeddings":4096`
	const qwen35 = `"model_type":"qwen3_5_text","hidden_act":"silu","attention_bias":false,"attn_output_gate":true,"hidden_size":1024,"intermediate_size":3584,
		"num_hidden_layers":24,"num_attention_heads":8,"num_key_value_heads":2,"head_dim":256,"rms_norm_eps":1e-06,"vocab_size":248320,"linear_conv_kernel_dim":4,
		"linear_key_head_dim":128,"linear_num_key_heads":16,"linear_num_value_heads":16,"linear_value_head_dim":128,"full_attention_interval":4`
	factors := func(n int, by float64) string {
		s := make([]string, n)
		for i := range s {
			s[i] = fmt.Sprint(1 + by*float64(i))
		}
		return "[" + strings.Join(s, ",") + "]"
	}
	longrope := func(n int, key string) string {
		return `"` + key + `":"longrope","short_factor":` + factors(n, 0.01) + `,"long_factor":` + factors(n, 1)
	}
	nums := func(pairs ...any) map[string]float64 {
		m := map[string]float64{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i].(string)] = pairs[i+1].(float64)
		}
		return m
	}
	for name, c := range map[string]struct {
		text, config string
		context      int
		want         map[string]float64
		lists        map[string]int
		bad          string
	}{
		"Llama 3.1":            {"llama", llama + `,"rope_theta":500000.0,"rope_scaling":{"factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":8192,"rope_type":"llama3"}`, 0, nums("D", 128., "factor", 8., "low", 1., "high", 4., "original", 8192., "yarn", 0., "gain", 1.), nil, ""},
		"Llama 3, v5":          {"llama", llama + `,"head_dim":64,"rope_parameters":{"rope_theta":500000.0,"rope_type":"default"}`, 0, nums("D", 64., "theta", 5e5, "factor", 1.), nil, ""},
		"Llama 2, as first":    {"llama", llama + `,"rope_scaling":null,"pretraining_tp":1`, 0, nil, nil, "config has no rope_theta, which theta is read from: it's no model of this family, or give --set theta="},
		"no grouped queries":   {"llama", strings.Replace(llama, `"num_key_value_heads":8,`, "", 1) + `,"rope_theta":1e4`, 0, nums("KV", 32.), nil, ""},
		"linear, as first":     {"llama", llama + `,"rope_theta":1e4,"rope_scaling":{"type":"linear","factor":4.0}`, 0, nums("factor", 4., "original", 0., "gain", 1.), nil, ""},
		"YaRN Llama":           {"llama", llama + `,"rope_theta":1e4,"rope_scaling":{"type":"yarn","factor":16.0,"original_max_position_embeddings":4096}`, 0, nums("yarn", 1., "low", 1., "high", 32., "original", 4096., "gain", 1+0.1*math.Log(16)), nil, ""},
		"dynamic":              {"llama", llama + `,"rope_theta":1e4,"rope_scaling":{"type":"dynamic","factor":4.0}`, 0, nil, nil, "the checkpoint says rope_scaling.type: dynamic, this model wants default or linear or llama3 or yarn"},
		"biases":               {"llama", strings.Replace(llama, `"attention_bias":false`, `"attention_bias":true`, 1) + `,"rope_theta":1e4`, 0, nil, nil, "the checkpoint says attention_bias: true, this model wants false"},
		"Mistral 0.1":          {"mistral", mistral + `,"rope_theta":10000.0,"sliding_window":4096`, 0, nums("W", 4096., "D", 128.), nil, ""},
		"Mistral 0.3":          {"mistral", mistral + `,"rope_theta":1000000.0,"sliding_window":null,"head_dim":null`, 0, nums("W", 0., "D", 128., "theta", 1e6), nil, ""},
		"Mistral Nemo":         {"mistral", strings.Replace(mistral, `"hidden_size":4096`, `"hidden_size":5120,"head_dim":128`, 1) + `,"rope_theta":1000000.0,"sliding_window":null`, 0, nums("d", 5120., "D", 128.), nil, ""},
		"Mistral 3, yarn":      {"mistral", mistral + `,"rope_parameters":{"rope_theta":1e6,"rope_type":"yarn","factor":16.0}`, 0, nil, nil, "the checkpoint says rope_type: yarn, this model wants default"},
		"Qwen3 32B":            {"qwen3", qwen3 + `,"rope_theta":1000000,"rope_scaling":null`, 0, nums("D", 128., "H", 64., "factor", 1., "gain", 1.), nil, ""},
		"Qwen3, v5":            {"qwen3", qwen3 + `,"dtype":"bfloat16","layer_types":["full_attention"],"rope_parameters":{"rope_theta":1000000,"rope_type":"default"}`, 0, nums("theta", 1e6, "gain", 1.), nil, ""},
		"Qwen3, yarn":          {"qwen3", qwen3 + `,"rope_theta":1000000,"rope_scaling":{"rope_type":"yarn","factor":4.0,"original_max_position_embeddings":32768}`, 0, nums("factor", 4., "low", 1., "high", 32., "original", 32768., "gain", 1+0.1*math.Log(4)), nil, ""},
		"Qwen3, yarn, v5":      {"qwen3", qwen3 + `,"rope_parameters":{"rope_theta":1000000,"rope_type":"yarn","factor":4.0,"attention_factor":1.5,"original_max_position_embeddings":32768}`, 0, nums("factor", 4., "gain", 1.5), nil, ""},
		"Qwen3, exact yarn":    {"qwen3", qwen3 + `,"rope_theta":1000000,"rope_scaling":{"rope_type":"yarn","factor":4.0,"truncate":false}`, 0, nil, nil, "the checkpoint says truncate: false, this model wants true"},
		"Qwen3, llama3":        {"qwen3", qwen3 + `,"rope_theta":1000000,"rope_scaling":{"rope_type":"llama3","factor":4.0}`, 0, nil, nil, "the checkpoint says rope_type: llama3, this model wants default or yarn"},
		"Qwen3, sliding":       {"qwen3", strings.Replace(qwen3, `"use_sliding_window":false`, `"use_sliding_window":true`, 1) + `,"rope_theta":1e6`, 0, nil, nil, "the checkpoint says use_sliding_window: true, this model wants false"},
		"Phi 3 4k":             {"phi3", phi + `,"max_position_embeddings":4096,"rope_scaling":null,"sliding_window":2047`, 0, nums("W", 2047., "R", 96., "factor", 1., "gain", 1.), nil, ""},
		"Phi 3 128k":           {"phi3", phi + `,"max_position_embeddings":131072,"sliding_window":262144,"rope_scaling":{` + longrope(48, "type") + `}`, 0, nums("R", 96., "gain", math.Sqrt(1+math.Log(32)/math.Log(4096)), "W", 262144.), map[string]int{"factor": 48}, ""},
		"Phi 3 128k, as first": {"phi3", phi + `,"max_position_embeddings":131072,"sliding_window":262144,"rope_scaling":{` + strings.Replace(longrope(48, "type"), "longrope", "su", 1) + `}`, 4096, nums("gain", math.Sqrt(1+math.Log(32)/math.Log(4096))), map[string]int{"factor": 48}, ""},
		"Phi 4 mini":           {"phi3", strings.Replace(phi, `"num_attention_heads":32,"num_key_value_heads":32`, `"num_attention_heads":24,"num_key_value_heads":8`, 1) + `,"partial_rotary_factor":0.75,"max_position_embeddings":131072,"rope_scaling":{` + longrope(48, "type") + `}`, 8192, nums("D", 128., "R", 96.), map[string]int{"factor": 48}, ""},
		"Phi 4 mini, v5":       {"phi3", phi + `,"max_position_embeddings":131072,"rope_parameters":{"rope_theta":10000.0,"partial_rotary_factor":0.75,` + longrope(36, "rope_type") + `}`, 0, nums("R", 72.), map[string]int{"factor": 36}, ""},
		"Phi 4":                {"phi3", strings.Replace(phi, `"original_max_position_embeddings":4096`, `"original_max_position_embeddings":16384`, 1) + `,"max_position_embeddings":16384,"rope_scaling":null,"sliding_window":null`, 0, nums("W", 0., "gain", 1.), nil, ""},
		"Qwen3.5":              {"qwen3.6-dense", qwen35 + `,"rope_parameters":{"mrope_interleaved":true,"mrope_section":[11,11,10],"rope_theta":10000000,"partial_rotary_factor":0.25,"rope_type":"default"}`, 0, nums("R", 64., "I", 4., "theta", 1e7), nil, ""},
		"Qwen3.5, yarn":        {"qwen3.6-dense", qwen35 + `,"rope_parameters":{"rope_theta":10000000,"partial_rotary_factor":0.25,"rope_type":"yarn","factor":4.0}`, 0, nil, nil, "the checkpoint says rope_type: yarn, this model wants default"},
		"Qwen3.5, no gate":     {"qwen3.6-dense", strings.Replace(qwen35, `"attn_output_gate":true`, `"attn_output_gate":false`, 1) + `,"rope_parameters":{"rope_theta":1e7,"partial_rotary_factor":0.25}`, 0, nil, nil, "the checkpoint says attn_output_gate: false, this model wants true"},
		"Gemma 3 1B":           {"gemma3", `"model_type":"gemma3_text","hidden_activation":"gelu_pytorch_tanh","attention_bias":false,"attn_logit_softcapping":null,"final_logit_softcapping":null,"head_dim":256,"hidden_size":1152,"intermediate_size":6912,"num_attention_heads":4,"num_hidden_layers":26,"num_key_value_heads":1,"query_pre_attn_scalar":256,"rms_norm_eps":1e-06,"rope_local_base_freq":10000,"rope_scaling":null,"rope_theta":1000000,"sliding_window":512,"sliding_window_pattern":6,"vocab_size":262144`, 0, nums("P", 6., "theta", 1e6, "local_theta", 1e4, "factor", 1., "V", 262144.), nil, ""},
		"Gemma 3 4B":           {"gemma3", `"model_type":"gemma3","mm_tokens_per_image":256,"text_config":{"hidden_size":2560,"intermediate_size":10240,"model_type":"gemma3_text","num_hidden_layers":34,"rope_scaling":{"factor":8.0,"rope_type":"linear"},"sliding_window":1024},"vision_config":{"hidden_size":1152}`, 0, nums("d", 2560., "H", 8., "KV", 4., "D", 256., "W", 1024., "V", 262208., "P", 6., "factor", 8., "theta", 1e6, "local_theta", 1e4), nil, ""},
		"Gemma 3 27B":          {"gemma3", `"model_type":"gemma3","mm_tokens_per_image":256,"text_config":{"head_dim":128,"hidden_size":5376,"intermediate_size":21504,"model_type":"gemma3_text","num_attention_heads":32,"num_hidden_layers":62,"num_key_value_heads":16,"query_pre_attn_scalar":168,"rope_scaling":{"factor":8.0,"rope_type":"linear"},"sliding_window":1024}`, 0, nums("H", 32., "KV", 16., "D", 128., "query", 168.), nil, ""},
		"Gemma 3, no theta":    {"gemma3", `"model_type":"gemma3_text","hidden_size":1152,"intermediate_size":6912,"num_hidden_layers":26,"sliding_window":512,"rope_local_base_freq":10000`, 0, nil, nil, "which theta is read from"},
		"OLMo 2 32B":           {"olmo2", `"model_type":"olmo2","hidden_act":"silu","attention_bias":false,"hidden_size":5120,"intermediate_size":27648,"num_attention_heads":40,"num_hidden_layers":64,"num_key_value_heads":8,"rms_norm_eps":1e-06,"rope_scaling":null,"rope_theta":500000,"vocab_size":100352`, 0, nums("KV", 8., "D", 128.), nil, ""},
		"Qwen3 30B-A3B":        {"qwen3-moe", strings.Replace(qwen3, `"qwen3"`, `"qwen3_moe"`, 1) + `,"rope_theta":1000000.0,"rope_scaling":null,"decoder_sparse_step":1,"mlp_only_layers":[],"moe_intermediate_size":768,"norm_topk_prob":true,"num_experts":128,"num_experts_per_tok":8`, 0, nums("E", 128., "K", 8., "F", 768., "N", 1., "gain", 1.), nil, ""},
		"plain top-k":          {"qwen3-moe", strings.Replace(qwen3, `"qwen3"`, `"qwen3_moe"`, 1) + `,"rope_theta":1e6,"moe_intermediate_size":768,"norm_topk_prob":false,"num_experts":128,"num_experts_per_tok":8`, 0, nums("N", 0.), nil, ""},
	} {
		text, err := ReadText("../models/" + c.text + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		var config weights.Config
		d := json.NewDecoder(strings.NewReader("{" + c.config + "}"))
		d.UseNumber()
		if err := d.Decode(&config); err != nil {
			t.Fatal(name, err)
		}
		var got map[string]float64
		var lists map[string][]float64
		if err = text.expect(config); err == nil {
			got, lists, err = text.numbers(config, nil, max(c.context, 4096))
		}
		if (err != nil) != (c.bad != "") || err != nil && (!strings.Contains(err.Error(), c.bad) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%s: %v, want %s", name, err, c.bad)
		}
		for n, x := range c.want {
			if math.Abs(got[n]-x) > 1e-9 {
				t.Errorf("%s: %s is %v, want %v", name, n, got[n], x)
			}
		}
		for n, k := range c.lists {
			if len(lists[n]) != k || (lists[n][1] == 2) != (c.context > 4096) {
				t.Errorf("%s: %s has %d values from %v, want %d; the long ones for more than 4096 tokens", name, n, len(lists[n]), lists[n][:2], k)
			}
		}
		if len(c.lists) != len(lists) {
			t.Errorf("%s: lists %v", name, lists)
		}
	}
}
