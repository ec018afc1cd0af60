"""Makes the checkpoints and goldens of this folder: one tiny random model of each family, as transformers writes it, and
what transformers computes with it in fp32 on the CPU, with eager attention.

    pip install torch==2.15.0 transformers==5.23.0 safetensors==0.8.0 && python3 make.py [NAME ...]

NAME/config.json, NAME/model*.safetensors   the checkpoint, as save_pretrained leaves it; its format is the third column
                                            of `families`. Where the row says v4, config.json is rewritten in the keys that
                                            the hub's older files have, and the goldens are of what transformers makes of *those*.
NAME/golden.safetensors                     p1, p7, p40 (p80 of phi3-longrope): token ids; p1.logits, ...: logits[n, V] at each position, fp32;
                                            greedy: 16 ids after p7; gap: by how much each was the best
Norms are not all ones, attention is not uniform, and the contexts are longer than the windows: what would hide a mistake.
"""
import json, pathlib, shutil, sys, torch, transformers
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

here = pathlib.Path(__file__).parent
base = dict(vocab_size=160, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
            max_position_embeddings=128, bos_token_id=1, eos_token_id=2, pad_token_id=None, tie_word_embeddings=False)
llama3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32)
linear = dict(rope_type="linear", factor=8.0)
mixed = ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"]
gemma = dict(base, hidden_size=96, intermediate_size=80, num_hidden_layers=4, head_dim=16, tie_word_embeddings=True, sliding_window=8,
             query_pre_attn_scalar=24)

# name, class, stored as, keys of config.json, settings
families = [
    ("llama", "Llama", "bfloat16", "v4", dict(base, tie_word_embeddings=True, rope_parameters=dict(llama3, rope_theta=500.0))),
    ("mistral", "Mistral", "float32", "v4", dict(base, num_hidden_layers=2, sliding_window=8, rope_parameters=dict(rope_type="default", rope_theta=100.0))),
    ("qwen3", "Qwen3", "bfloat16", "v5", dict(base, head_dim=32, tie_word_embeddings=True, rope_parameters=dict(rope_type="default", rope_theta=1e4))),
    ("qwen3-moe", "Qwen3Moe", "bfloat16", "v4", dict(base, num_hidden_layers=2, head_dim=32, num_experts=8, num_experts_per_tok=3, moe_intermediate_size=32,
        decoder_sparse_step=1, norm_topk_prob=True, mlp_only_layers=[], rope_parameters=dict(rope_type="default", rope_theta=1e4))),
    ("gemma3", "Gemma3", "bfloat16", "v5", dict(gemma, layer_types=mixed, rope_parameters=dict(
        full_attention=dict(linear, rope_theta=1e4), sliding_attention=dict(rope_type="default", rope_theta=100.0)))),
    ("gemma3-v4", "Gemma3", "float16", "v4", dict(gemma, num_hidden_layers=3, intermediate_size=48, layer_types=mixed[:3], rope_parameters=dict(
        full_attention=dict(rope_type="default", rope_theta=1e4), sliding_attention=dict(rope_type="default", rope_theta=100.0)))),
    ("phi3", "Phi3", "bfloat16", "v4", dict(base, intermediate_size=80, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, sliding_window=16,
        original_max_position_embeddings=128, rope_parameters=dict(rope_type="default", rope_theta=100.0, partial_rotary_factor=0.75))),
    ("qwen3.6-dense", "Qwen3_5", "bfloat16", "v5", dict(base, num_hidden_layers=4, head_dim=32, linear_num_key_heads=2, linear_num_value_heads=4,
        linear_key_head_dim=16, linear_value_head_dim=16, linear_conv_kernel_dim=4, full_attention_interval=4,
        rope_parameters=dict(rope_type="default", rope_theta=1e4, partial_rotary_factor=0.5))),
    ("qwen3-yarn", "Qwen3", "bfloat16", "v4", dict(base, num_hidden_layers=2, head_dim=32, num_attention_heads=2, num_key_value_heads=1, intermediate_size=48,
        tie_word_embeddings=True, rope_parameters=dict(rope_type="yarn", rope_theta=1e3,
        factor=4.0, beta_fast=4, beta_slow=1, original_max_position_embeddings=32))),
    ("phi3-longrope", "Phi3", "bfloat16", "v4", dict(base, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, tie_word_embeddings=True,
        original_max_position_embeddings=64, rope_parameters=dict(rope_type="longrope", rope_theta=100.0, partial_rotary_factor=0.75,
        short_factor=[1 + i / 8 for i in range(12)], long_factor=[1.5 + i * i / 4 for i in range(12)]))),
    ("olmo2", "Olmo2", "float16", "v5", dict(base, rope_parameters=dict(rope_type="default", rope_theta=1e4))),
    # What no published model has, as small as can be.
    ("odd-moe", "Qwen3Moe", "bfloat16", "v5", dict(base, vocab_size=24, hidden_size=16, num_attention_heads=3, num_key_value_heads=1, head_dim=6, num_hidden_layers=1,
        num_experts=6, num_experts_per_tok=3, moe_intermediate_size=8, norm_topk_prob=False, tie_word_embeddings=True, rope_parameters=dict(rope_type="default", rope_theta=1e4))),
    ("odd-hybrid", "Qwen3_5", "bfloat16", "v5", dict(base, vocab_size=24, hidden_size=16, intermediate_size=10, num_hidden_layers=2, head_dim=12, num_attention_heads=2,
        linear_num_key_heads=1, linear_num_value_heads=2, linear_key_head_dim=12, linear_value_head_dim=10, linear_conv_kernel_dim=3, tie_word_embeddings=True,
        layer_types=["full_attention", "linear_attention"], rope_parameters=dict(rope_type="default", rope_theta=1e4, partial_rotary_factor=0.5))),
]


def fill(model, seed):
    """Weights with which every part of the mathematics shows in the logits."""
    g = torch.Generator().manual_seed(seed)
    zero = any(s in type(model).__name__ for s in ("Gemma3", "Qwen3_5"))  # their norms multiply by 1 + w
    with torch.no_grad():
        for name, p in model.named_parameters():
            r = torch.randn(p.shape, generator=g)
            if "linear_attn.norm" in name:
                p.copy_(1 + 0.3 * r)
            elif any(s in name for s in ("A_log", "dt_bias")):
                p.copy_(0.5 * r)
            elif "conv1d" in name:
                p.copy_(0.5 * r)
            elif "norm" in name:
                p.copy_((1.5 if zero and name == "model.norm.weight" else 0 if zero else 1) + 0.3 * r)
            elif "embed_tokens" in name or "lm_head" in name:
                p.copy_((0.1 if zero else 0.3) * r)
            elif any(s in name for s in ("q_proj", "k_proj", "qkv_proj", "mlp.gate.")):
                p.copy_(2 * r / p.shape[-1] ** 0.5)
            else:
                p.copy_(r / p.shape[-1] ** 0.5)


def older(c):
    """The config in the keys that transformers 4 wrote."""
    r = c.pop("rope_parameters")
    if "full_attention" in r:
        c["rope_theta"], c["rope_local_base_freq"] = r["full_attention"].pop("rope_theta"), r["sliding_attention"]["rope_theta"]
        r = r["full_attention"]
        c["sliding_window_pattern"] = c.pop("layer_types").index("full_attention") + 1
        c.pop("_sliding_window_pattern", None)
    else:
        c["rope_theta"] = r.pop("rope_theta")
    if c["model_type"] == "mistral":
        del c["head_dim"]  # the hub's 7B has none
    part = r.pop("partial_rotary_factor", None)
    if part is not None:
        c["partial_rotary_factor"] = part
    if "num_local_experts" in c:
        c["num_experts"] = c.pop("num_local_experts")
    c["rope_scaling"] = None if r["rope_type"] == "default" else r
    c["torch_dtype"] = c.pop("dtype")
    c["transformers_version"] = "4.44.0"
    return c


def prompt(n, seed, vocab):
    return torch.randint(3, vocab, (1, n), generator=torch.Generator().manual_seed(seed))


def make(name, cls, dtype, keys, settings, seed):
    out = here / name
    shutil.rmtree(out, ignore_errors=True)
    config = cls + ("TextConfig" if cls in ("Gemma3", "Qwen3_5") else "Config")
    model = getattr(transformers, cls + "ForCausalLM")(getattr(transformers, config)(**settings))
    fill(model, seed)
    model.to(getattr(torch, dtype)).save_pretrained(out, max_shard_size="100KB" if name == "qwen3" else "5GB")
    (out / "generation_config.json").unlink(missing_ok=True)
    if keys == "v4":
        c = older(json.loads((out / "config.json").read_text()))
        (out / "config.json").write_text(json.dumps(c, indent=2, sort_keys=True) + "\n")

    model = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32, attn_implementation="eager").eval()
    golden = {}
    with torch.no_grad():
        for n in (1, 7, 40) + (80,) * (name == "phi3-longrope"):  # the last is of the long factors
            ids = prompt(n, n, settings["vocab_size"])
            golden[f"p{n}"], golden[f"p{n}.logits"] = ids[0].int(), model(ids, use_cache=False).logits[0].float().contiguous()
        ids, gaps = prompt(7, 7, settings["vocab_size"]), []
        for _ in range(16):
            best = model(ids, use_cache=False).logits[0, -1].topk(2)
            gaps.append(best.values[0] - best.values[1])
            ids = torch.cat([ids, best.indices[None, :1]], 1)
    golden["greedy"], golden["gap"] = ids[0, 7:].int(), torch.stack(gaps).float()
    save_file(golden, out / "golden.safetensors")
    for f in out.iterdir():
        f.chmod(0o644)
    print(f"{name:12} seed {seed}, std of the logits {golden['p40.logits'].std():.2f}, gaps {[round(float(x), 2) for x in gaps]},",
          sum(f.stat().st_size for f in out.iterdir()) >> 10, "KiB")
    return min(gaps)


def ropes(out):
    """Inverse frequencies and the factor of sines and cosines, as transformers 5 computes them, of what the op rope is given."""
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
    rows = []
    def add(kind, operands, seq_len=None, head=128, part=1.0, theta=1e6, length=131072, **params):
        c = transformers.Phi3Config(hidden_size=2 * head, num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=length,
                                    original_max_position_embeddings=params.get("original_max_position_embeddings", length), pad_token_id=None)
        c.rope_parameters = dict(params, rope_type=kind, rope_theta=theta, partial_rotary_factor=part)
        if kind == "default":
            dim = int(head * part)
            inv, gain = 1.0 / (theta ** (torch.arange(0, dim, 2, dtype=torch.int64).float() / dim)), 1.0
        else:
            inv, gain = ROPE_INIT_FUNCTIONS[kind](c, seq_len=seq_len)
        rows.append(dict(kind=kind, theta=theta, width=int(head * part), gain=gain, inv=[float(x) for x in inv], **operands))
    for theta, head in ((1e4, 96), (5e5, 64), (1e6, 128), (1e7, 256)):
        add("default", {}, theta=theta, head=head)
    add("linear", dict(factor=8), factor=8.0)
    add("linear", dict(factor=3), factor=3.0)
    for factor, original in ((8, 8192), (32, 8192), (8, 32)):
        add("llama3", dict(factor=factor, low=1, high=4, original=original), theta=5e5, head=64, factor=float(factor), low_freq_factor=1.0,
            high_freq_factor=4.0, original_max_position_embeddings=original)
    for factor, original, fast, head in ((4, 32768, 32, 128), (2.5, 4096, 16, 64), (8, 32, 32, 32), (4, 32, 2, 16)):
        add("yarn", dict(factor=factor, low=1, high=fast, original=original, ramp=1), head=head, factor=float(factor), beta_fast=fast,
            original_max_position_embeddings=original)
    short, long = [1 + i / 40 for i in range(36)], [1.05 + i * i / 20 for i in range(36)]
    for n, factors in ((100, short), (5000, long)):
        add("longrope", dict(factor=factors), seq_len=n, head=96, part=0.75, theta=1e4, short_factor=short, long_factor=long,
            original_max_position_embeddings=4096)
    out.write_text("[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]\n")


if sys.argv[1:] in ([], ["rope"]):
    ropes(here / "rope.json")
for row in families:
    if len(sys.argv) > 1 and row[0] not in sys.argv[1:]:
        continue
    seed = 0
    while make(*row, seed) < 0.02:  # an id that hangs on rounding says nothing
        seed += 1
