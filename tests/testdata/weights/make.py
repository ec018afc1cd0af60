"""Makes tiny.gguf and tiny.safetensors, so that both readers are held against files that other people's code
wrote: gguf 0.19.0 (writer, quantiser, dequantiser), safetensors 0.8.0, numpy. tiny.safetensors holds what gguf's own
dequantiser makes of each tensor of tiny.gguf, in the file's order of rows, as F32. Run: python make.py"""
import gguf
import numpy as np
from safetensors.numpy import save_file

rng = np.random.default_rng(7)
d, heads, kv, width, ff, vocab, layers = 32, 4, 2, 16, 32, 24, 2
Q = gguf.GGMLQuantizationType
w = gguf.GGUFWriter("tiny.gguf", "llama")
w.add_custom_alignment(64)
w.add_block_count(layers)
w.add_context_length(128)
w.add_embedding_length(d)
w.add_feed_forward_length(ff)
w.add_head_count(heads)
w.add_head_count_kv(kv)
w.add_layer_norm_rms_eps(1e-6)
w.add_rope_freq_base(500000.0)
w.add_vocab_size(vocab)
w.add_rope_dimension_count(width)
w.add_eos_token_id(3)
w.add_eot_token_id(5)
w.add_bos_token_id(1)
w.add_token_list([f"t{i}" for i in range(vocab)])
w.add_array("test.i32", [-1, 2, 3])
w.add_array("test.f32", [0.5, -0.25])
w.add_array("test.nested", [["a", "b"], ["c"]])
w.add_int64("test.i64", -(1 << 40))
w.add_uint8("test.u8", 200)
w.add_int8("test.i8", -3)
w.add_uint16("test.u16", 65535)
w.add_int16("test.i16", -300)
w.add_int32("test.i32s", -70000)
w.add_uint64("test.u64", (1 << 64) - 1)
w.add_float64("test.f64", 0.1)
w.add_bool("test.bool", True)
want = {}

def put(name, shape, q):
    x = rng.standard_normal(shape).astype(np.float32)
    raw = gguf.quants.quantize(x, q)
    want[name] = gguf.quants.dequantize(raw, q).astype(np.float32).reshape(shape)
    w.add_tensor(name, raw, raw_dtype=q)

put("token_embd.weight", (vocab, d), Q.Q8_0)
put("output_norm.weight", (d,), Q.F32)
put("output.weight", (vocab, d), Q.BF16)
for l in range(layers):
    q = [Q.Q4_0, Q.Q4_1][l]
    b = f"blk.{l}."
    put(b + "attn_norm.weight", (d,), Q.F32)
    put(b + "ffn_norm.weight", (d,), Q.F32)
    put(b + "attn_q.weight", (heads * width, d), q)
    put(b + "attn_k.weight", (kv * width, d), q)
    put(b + "attn_v.weight", (kv * width, d), Q.F16)
    put(b + "attn_output.weight", (d, heads * width), q)
    put(b + "attn_q.bias", (heads * width,), Q.F32)
    put(b + "attn_k.bias", (kv * width,), Q.F32)
    put(b + "attn_v.bias", (kv * width,), Q.F32)
    put(b + "ffn_gate.weight", (ff, d), q)
    put(b + "ffn_up.weight", (ff, d), q)
    put(b + "ffn_down.weight", (d, ff), Q.Q8_0)
# Llama 3.2's RoPE scaling, in the words of transformers' _compute_llama3_parameters
inv = 1 / 500000.0 ** (np.arange(0, width, 2) / width)
wave = 2 * np.pi / inv
smooth = (8192 / wave - 1) / 3
factors = np.where(wave < 2048, 1, np.where(wave > 8192, 32, 1 / ((1 - smooth) / 32 + smooth))).astype(np.float32)
want["rope_freqs.weight"] = factors
w.add_tensor("rope_freqs.weight", factors)
w.write_header_to_file()
w.write_kv_data_to_file()
w.write_tensors_to_file()
w.close()
save_file(want, "tiny.safetensors", metadata={"from": "tiny.gguf"})
