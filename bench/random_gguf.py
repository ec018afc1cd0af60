"""Writes a GGUF of a model's true shape whose weights are made of a seed, so that llama.cpp's speed can be measured where no checkpoint is.

    random_gguf.py qwen3.6-35b-a3b|smollm2 OUT.gguf [LAYERS] [EXPERTS]

Needs numpy. Blocks of q4_0, q4_1 and q8_0 have random codes and scales that give a standard deviation of 1/sqrt(columns); a pattern of
64 MiB is repeated, which no cache holds. There is no vocabulary but its size: the file can be measured, not asked.
"""
import struct
import sys

import numpy as np

ALIGN = 32
F32, F16, Q4_0, Q4_1, Q8_0 = 0, 1, 2, 3, 8
BLOCK = {F32: (1, 4), F16: (1, 2), Q4_0: (32, 18), Q4_1: (32, 20), Q8_0: (32, 34)}
rng = np.random.default_rng(1)


def qwen36(layers=40, experts=256):
    d, f, heads, kv, width, hk, hv, dk, vocab = 2048, 512, 16, 2, 256, 16, 32, 128, 248320
    arch = "qwen35moe"
    meta = {
        "context_length": 262144, "embedding_length": d, "block_count": layers, "vocab_size": vocab,
        "attention.head_count": heads, "attention.head_count_kv": kv, "attention.key_length": width, "attention.value_length": width,
        "attention.layer_norm_rms_epsilon": 1e-6, "rope.dimension_count": 64, "rope.dimension_sections": [11, 11, 10, 0], "rope.freq_base": 1e7,
        "expert_count": experts, "expert_used_count": min(8, experts), "expert_feed_forward_length": f, "expert_shared_feed_forward_length": f,
        "ssm.conv_kernel": 4, "ssm.inner_size": hv * dk, "ssm.state_size": dk, "ssm.time_step_rank": hv, "ssm.group_count": hk,
        "full_attention_interval": 4,
    }
    tensors = [("token_embd.weight", F16, [d, vocab]), ("output_norm.weight", F32, [d]), ("output.weight", F16, [d, vocab])]
    for i in range(layers):
        def add(name, kind, *dims, i=i):
            tensors.append((f"blk.{i}.{name}", kind, list(dims)))
        add("attn_norm.weight", F32, d), add("post_attention_norm.weight", F32, d)
        if i % 4 == 3:
            add("attn_q.weight", Q4_0, d, 2 * heads * width), add("attn_k.weight", Q4_0, d, kv * width), add("attn_v.weight", Q4_0, d, kv * width)
            add("attn_output.weight", Q4_0, heads * width, d), add("attn_q_norm.weight", F32, width), add("attn_k_norm.weight", F32, width)
        else:
            conv = 2 * hk * dk + hv * dk
            add("attn_qkv.weight", Q4_0, d, conv), add("attn_gate.weight", Q4_0, d, hv * dk), add("ssm_conv1d.weight", F32, 4, conv)
            add("ssm_dt.bias", F32, hv), add("ssm_a", F32, hv), add("ssm_beta.weight", F16, d, hv), add("ssm_alpha.weight", F16, d, hv)
            add("ssm_norm.weight", F32, dk), add("ssm_out.weight", Q4_0, hv * dk, d)
        add("ffn_gate_inp.weight", F32, d, experts), add("ffn_down_exps.weight", Q4_0, f, d, experts)
        add("ffn_gate_exps.weight", Q4_0, d, f, experts), add("ffn_up_exps.weight", Q4_0, d, f, experts)
        add("ffn_gate_inp_shexp.weight", F32, d), add("ffn_gate_shexp.weight", Q4_0, d, f), add("ffn_up_shexp.weight", Q4_0, d, f)
        add("ffn_down_shexp.weight", Q4_0, f, d)
    return arch, meta, tensors


def smollm2(layers=30, _=0):
    d, f, heads, kv, vocab = 576, 1536, 9, 3, 49152
    meta = {
        "context_length": 8192, "embedding_length": d, "block_count": layers, "vocab_size": vocab, "feed_forward_length": f,
        "attention.head_count": heads, "attention.head_count_kv": kv, "attention.layer_norm_rms_epsilon": 1e-5,
        "rope.dimension_count": 64, "rope.freq_base": 1e5,
    }
    tensors = [("token_embd.weight", Q8_0, [d, vocab]), ("output_norm.weight", F32, [d])]
    for i in range(layers):
        for name, kind, dims in [
            ("attn_norm", F32, [d]), ("ffn_norm", F32, [d]), ("attn_q", Q4_1, [d, d]), ("attn_k", Q4_1, [d, 192]), ("attn_v", Q4_1, [d, 192]),
            ("attn_output", Q4_1, [d, d]), ("ffn_gate", Q4_1, [d, f]), ("ffn_up", Q4_1, [d, f]), ("ffn_down", Q4_1, [f, d]),
        ]:
            tensors.append((f"blk.{i}.{name}.weight", kind, dims))
    return "llama", meta, tensors


def size(kind, dims):
    per, nbytes = BLOCK[kind]
    return int(np.prod(dims, dtype=np.int64)) // per * nbytes


def pattern(kind, dims):
    """Some blocks, at most 64 MiB; vectors, which are norms, lie about 1."""
    per, nbytes = BLOCK[kind]
    n = min(size(kind, dims), 64 << 20) // nbytes
    std = 1 / np.sqrt(dims[0])
    if kind == F32:
        x = rng.standard_normal(n, dtype=np.float32) * np.float32(std) if len(dims) > 1 else rng.random(n, dtype=np.float32) + np.float32(0.5)
        return x.astype("<f4").tobytes()
    if kind == F16:
        return (rng.standard_normal(n, dtype=np.float32) * np.float32(std)).astype("<f2").tobytes()
    b = rng.integers(0, 256, (n, nbytes), dtype=np.uint8)
    spread = 73.9 if kind == Q8_0 else 4.6  # of 256, of 16 equally likely codes
    b[:, :2] = np.frombuffer(np.full(n, std / spread, "<f2").tobytes(), np.uint8).reshape(n, 2)
    if kind == Q4_1:
        b[:, 2:4] = np.frombuffer(np.full(n, -7.5 * std / spread, "<f2").tobytes(), np.uint8).reshape(n, 2)
    return b.tobytes()


def text(s):
    b = s.encode()
    return struct.pack("<Q", len(b)) + b


def value(v):
    if isinstance(v, str):
        return struct.pack("<I", 8) + text(v)
    if isinstance(v, float):
        return struct.pack("<If", 6, v)
    if isinstance(v, list):
        return struct.pack("<IIQ", 9, 5, len(v)) + struct.pack(f"<{len(v)}i", *v)
    return struct.pack("<II", 4, v)


def write(path, arch, meta, tensors):
    meta = {"general.architecture": arch, "general.alignment": ALIGN, "tokenizer.ggml.model": "none"} | {f"{arch}.{k}": v for k, v in meta.items()}
    with open(path, "wb") as out:
        out.write(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(meta)))
        for k, v in meta.items():
            out.write(text(k) + value(v))
        at = 0
        for name, kind, dims in tensors:
            out.write(text(name) + struct.pack("<I", len(dims)) + struct.pack(f"<{len(dims)}Q", *dims) + struct.pack("<IQ", kind, at))
            at += (size(kind, dims) + ALIGN - 1) // ALIGN * ALIGN
        out.write(b"\0" * (-out.tell() % ALIGN))
        made = {}
        for name, kind, dims in tensors:
            key = (kind, dims[0], len(dims) > 1, min(size(kind, dims), 64 << 20))
            if key not in made:
                made[key] = pattern(kind, dims)
            left = size(kind, dims)
            pad = -left % ALIGN
            while left > 0:
                n = min(left, len(made[key]))
                out.write(memoryview(made[key])[:n])
                left -= n
            out.write(b"\0" * pad)


if __name__ == "__main__":
    shape = {"qwen3.6-35b-a3b": qwen36, "smollm2": smollm2}.get(sys.argv[1] if len(sys.argv) > 2 else "")
    if shape is None:
        sys.exit(__doc__)
    write(sys.argv[2], *shape(*map(int, sys.argv[3:])))
