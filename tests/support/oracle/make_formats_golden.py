"""Writes tests/model/golden/formats/: files as other programs write them, and what those programs
read from them, for the tests to hold our readers against.

Run by hand, only to change what is covered; the files are committed and no test needs Python:

  python3.11 -m venv /tmp/oracle && . /tmp/oracle/bin/activate
  pip install gguf==0.19.0 safetensors==0.8.0 numpy==2.4.6 torch==2.15.0 transformers==5.24.0
  python tests/support/oracle/make_formats_golden.py
  python tests/support/oracle/make_formats_golden.py --check MODEL.gguf LISTING.json

types.gguf           one tensor [3, 512] of each type that we read, quantised by gguf-py where it
                     can, else random blocks; metadata of every kind.
types.safetensors    gguf-py's dequantisation of each, F32.
numbers.safetensors  F8_E4M3, F16 and BF16 tensors, an F8_E4M3 one with scales for blocks of 2 x 128
                     whose last row and column of blocks are ragged; "<name>.expected" is torch's.
sharded/             a checkpoint in three files with an index, names and bytes of case_a.
<arch>/model.gguf    a tiny random model as llama.cpp's converter would write it: names by gguf-py's
                     table, shapes and order of rows by the transforms written down here.
<arch>/config.json, model.safetensors    the model that was converted, as transformers saves it.

Values of the models are k / 64, |k| <= 127, so F16 and BF16 both have them exactly.
"""
import argparse
import json
import pathlib
import shutil
import tempfile

import gguf
import numpy as np
import torch
import transformers
from gguf import GGMLQuantizationType as Q
from safetensors import safe_open
from safetensors.numpy import load_file
from safetensors.numpy import save_file as save_numpy
from safetensors.torch import load_file as load_torch
from safetensors.torch import save_file

GOLDEN = pathlib.Path(__file__).parents[2] / "model" / "golden"
OUT = GOLDEN / "formats"
BLOCKS = (2, 128)


def random_blocks(rng, q, rows, cols):
    """Bytes that are valid blocks: everything is but the scales, which shall be finite."""
    block, size = gguf.GGML_QUANT_SIZES[q]
    raw = rng.integers(0, 256, (rows, cols // block, size), dtype=np.uint8)
    scales = rng.normal(0, 0.05, (rows, cols // block, 2)).astype(np.float16)
    scales[0, 0] = [6e-8, -6e-8]  # Below the normal range of f16.
    scales[-1, -1] = [-65504, 0]
    scales = scales.view(np.uint8)
    if q == Q.Q6_K:
        raw[..., 208:210] = scales[..., :2]
    else:
        width = 4 if q in (Q.Q4_1, Q.Q4_K) else 2
        raw[..., :width] = scales[..., :width]
    return raw.reshape(rows, -1)


def make_types():
    rng = np.random.default_rng(7)
    writer = gguf.GGUFWriter(OUT / "types.gguf", "llama")
    writer.add_custom_alignment(64)
    for kind, value in dict(uint8=200, int8=-100, uint16=60000, int16=-30000, uint32=4000000000,
                            int32=-2000000000, uint64=2**63, int64=-(2**62), float32=0.1,
                            float64=0.1, bool=True).items():
        getattr(writer, f"add_{kind}")(f"test.{kind}", value)
    writer.add_string("test.string", "grüße\n")
    writer.add_array("test.strings", ["a", "", "bcd"])
    writer.add_array("test.integers", [3, -1, 2])
    writer.add_array("test.floats", [0.5, -0.25])
    writer.add_array("test.bools", [True, False])
    expected = {}
    values = rng.normal(0, 1, (3, 512)).astype(np.float32)
    for q in (Q.F32, Q.F16, Q.BF16, Q.Q8_0, Q.Q4_0, Q.Q4_1):
        name = f"quantised.{q.name}"
        data = gguf.quants.quantize(values, q)
        raw = None if q in (Q.F32, Q.F16) else q
        writer.add_tensor(name, data, raw_dtype=raw)
        expected[name] = gguf.quants.dequantize(data, q).astype(np.float32)
    for q in (Q.Q8_0, Q.Q4_0, Q.Q4_1, Q.Q4_K, Q.Q6_K):
        name = f"random.{q.name}"
        data = random_blocks(rng, q, 3, 512)
        writer.add_tensor(name, data, raw_dtype=q)
        expected[name] = gguf.quants.dequantize(data, q).astype(np.float32)
    stack = rng.normal(0, 1, (2, 3, 32)).astype(np.float32)
    data = gguf.quants.quantize(stack, Q.Q8_0)
    writer.add_tensor("stack", data, raw_dtype=Q.Q8_0)
    expected["stack"] = gguf.quants.dequantize(data, Q.Q8_0).astype(np.float32)
    finish(writer)
    save_numpy(expected, OUT / "types.safetensors")


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def make_numbers():
    torch.manual_seed(7)
    f8 = torch.arange(256, dtype=torch.uint8).view(torch.float8_e4m3fn)
    # Every exponent, the edges of the mantissa and some in between, both signs.
    f16 = torch.tensor([s | e << 10 | m for s in (0, 0x8000) for e in range(32)
                        for m in (0, 1, 2, 3, 0x155, 0x200, 0x3fe, 0x3ff)],
                       dtype=torch.int32).to(torch.uint16).view(torch.float16)
    bf16 = torch.tensor([s | e << 7 | m for s in (0, 0x8000) for e in range(0, 256, 5)
                         for m in (0, 1, 0x55, 0x7f)],
                        dtype=torch.int32).to(torch.uint16).view(torch.bfloat16)
    tensors = {"codes.weight": f8.reshape(2, 128), "codes.weight_scale_inv": torch.ones(1, 1),
               "f16": f16, "bf16": bf16}
    rows, cols = 5, 300
    scaled = torch.randn(rows, cols).to(torch.float8_e4m3fn)
    scales = torch.rand((rows + 1) // BLOCKS[0], (cols + 127) // BLOCKS[1]) * 0.01
    spread = scales.repeat_interleave(BLOCKS[0], 0).repeat_interleave(BLOCKS[1], 1)[:rows, :cols]
    tensors |= {"scaled.weight": scaled, "scaled.weight_scale_inv": scales,
                "codes.weight.expected": tensors["codes.weight"].float(),
                "f16.expected": f16.float(), "bf16.expected": bf16.float(),
                "scaled.weight.expected": scaled.float() * spread}
    save_file({k: v.contiguous() for k, v in tensors.items()}, OUT / "numbers.safetensors")


def make_sharded():
    folder = OUT / "sharded"
    folder.mkdir()
    shutil.copy(GOLDEN / "case_a" / "config.json", folder)
    tensors = load_torch(GOLDEN / "case_a" / "model.safetensors")
    names = sorted(tensors)
    weight_map = {}
    for i in range(3):
        file = f"model-{i + 1:05}-of-00003.safetensors"
        save_file({n: tensors[n] for n in names[i::3]}, folder / file)
        weight_map |= {n: file for n in names[i::3]}
    total = sum(t.numel() * t.element_size() for t in tensors.values())
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}, indent=1,
                   sort_keys=True) + "\n")


COMMON = dict(vocab_size=24, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
              num_attention_heads=4, max_position_embeddings=64, rms_norm_eps=1e-5,
              bos_token_id=1, eos_token_id=2, initializer_range=0.02)
MLA = dict(COMMON, num_hidden_layers=2, first_k_dense_replace=1, moe_intermediate_size=16,
           n_routed_experts=4, n_shared_experts=1, num_experts_per_tok=2, num_key_value_heads=4,
           kv_lora_rank=16, qk_nope_head_dim=8, qk_rope_head_dim=4, v_head_dim=12,
           rope_parameters=dict(rope_type="yarn", rope_theta=10000.0, factor=40.0, mscale=1.0,
                                mscale_all_dim=1.0, original_max_position_embeddings=4096,
                                beta_fast=32.0, beta_slow=1.0))
MODELS = {
    "llama": ("llama", transformers.LlamaConfig(
        **COMMON, num_key_value_heads=2, tie_word_embeddings=True, attention_bias=True,
        rope_parameters=dict(rope_type="llama3", rope_theta=500000.0, factor=8.0,
                             low_freq_factor=1.0, high_freq_factor=4.0,
                             original_max_position_embeddings=8192))),
    "qwen2": ("qwen2", transformers.Qwen2Config(
        **COMMON, num_key_value_heads=2, tie_word_embeddings=False,
        rope_parameters=dict(rope_type="default", rope_theta=1000000.0))),
    "qwen3": ("qwen3", transformers.Qwen3Config(
        **COMMON, num_key_value_heads=2, head_dim=16, tie_word_embeddings=True,
        rope_parameters=dict(rope_type="default", rope_theta=1000000.0))),
    "qwen3moe": ("qwen3moe", transformers.Qwen3MoeConfig(
        **COMMON, num_key_value_heads=2, head_dim=16, moe_intermediate_size=16, num_experts=4,
        num_experts_per_tok=2, norm_topk_prob=True, tie_word_embeddings=False,
        rope_parameters=dict(rope_type="default", rope_theta=1000000.0))),
    "deepseek_v2": ("deepseek2", transformers.DeepseekV2Config(
        **MLA, q_lora_rank=None, norm_topk_prob=False, routed_scaling_factor=1.0, n_group=1,
        topk_group=1, topk_method="greedy", tie_word_embeddings=False)),
    "deepseek_v3": ("deepseek2", transformers.DeepseekV3Config(
        **MLA, q_lora_rank=20, norm_topk_prob=True, routed_scaling_factor=2.5, n_group=2,
        topk_group=1, tie_word_embeddings=False)),
}


def saved_model(config, folder, seed):
    """A random model of `config` as transformers saves it; its tensors by name."""
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        tensors = [*model.parameters(), *(b for n, b in model.named_buffers() if "correction" in n)]
        for p in tensors:
            p.copy_(torch.randint(-127, 128, p.shape) / 64)
    model = model.to(torch.bfloat16)
    with tempfile.TemporaryDirectory() as saved:
        model.save_pretrained(saved)
        shutil.copy(pathlib.Path(saved) / "config.json", folder)
        tensors = load_torch(pathlib.Path(saved) / "model.safetensors")
    save_file(tensors, folder / "model.safetensors")
    return {name: tensor.float().numpy() for name, tensor in tensors.items()}


def to_llama_cpp_rope(weight, heads):
    """Rows of a head from halves [x_0 .. x_k-1, y_0 .. y_k-1] to pairs [x_0, y_0, x_1, ...]."""
    return np.stack(np.split(weight.reshape(heads, -1, *weight.shape[1:]), 2, axis=1),
                    axis=2).reshape(weight.shape)


def converted(arch, config, tensors, is_old):
    """(name for gguf-py's table, array) of every tensor that the converter writes."""
    stacks = {}
    for name, value in tensors.items():
        if ".experts." in name:
            before, rest = name.split(".experts.")
            expert, part = rest.split(".", 1)
            stacks.setdefault(f"{before}.experts.{part}", {})[int(expert)] = value
        elif arch == "llama" and ("q_proj" in name or "k_proj" in name):
            heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
            yield name, to_llama_cpp_rope(value, heads)
        elif name.endswith("kv_b_proj.weight") and not is_old:
            heads = value.reshape(config.num_attention_heads, -1, config.kv_lora_rank)
            nope = config.qk_nope_head_dim
            yield name.replace("kv_b", "k_b"), heads[:, :nope].transpose(0, 2, 1).copy()
            yield name.replace("kv_b", "v_b"), heads[:, nope:].copy()
        elif name.endswith("e_score_correction_bias"):
            yield name.replace("e_score_correction_bias", "e_score_correction.bias"), value
        else:
            yield name, value
    for name, parts in stacks.items():
        yield name, np.stack([parts[i] for i in range(len(parts))])


def rope_freqs(config):
    """How much slower than plain RoPE's each frequency is, as llama.cpp stores llama3's scaling."""
    slowed, _ = transformers.modeling_rope_utils.ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")
    dim = config.hidden_size // config.num_attention_heads
    plain = config.rope_parameters["rope_theta"] ** (-np.arange(0, dim, 2) / dim)
    return (plain / slowed.numpy()).astype(np.float32)


def write_model(path, arch, config, tensors, is_old=False):
    c = config
    writer = gguf.GGUFWriter(path, arch)
    rope = c.rope_parameters
    writer.add_block_count(c.num_hidden_layers)
    writer.add_context_length(c.max_position_embeddings)
    writer.add_embedding_length(c.hidden_size)
    writer.add_feed_forward_length(c.intermediate_size)
    writer.add_head_count(c.num_attention_heads)
    writer.add_layer_norm_rms_eps(c.rms_norm_eps)
    writer.add_rope_freq_base(rope["rope_theta"])
    if arch != "deepseek2":
        writer.add_head_count_kv(c.num_key_value_heads)
    if arch in ("qwen3", "qwen3moe"):
        writer.add_key_length(c.head_dim)
        writer.add_value_length(c.head_dim)
    if arch == "llama":
        writer.add_vocab_size(c.vocab_size)
        writer.add_rope_dimension_count(c.hidden_size // c.num_attention_heads)
        writer.add_tensor("rope_freqs.weight", rope_freqs(c))
    if arch == "qwen3moe":
        writer.add_expert_count(c.num_experts)
        writer.add_expert_used_count(c.num_experts_per_tok)
        writer.add_expert_feed_forward_length(c.moe_intermediate_size)
    if arch == "deepseek2":
        writer.add_vocab_size(c.vocab_size)
        writer.add_head_count_kv(c.num_attention_heads if is_old else 1)
        writer.add_leading_dense_block_count(c.first_k_dense_replace)
        if c.q_lora_rank is not None:
            writer.add_q_lora_rank(c.q_lora_rank)
        writer.add_kv_lora_rank(c.kv_lora_rank)
        whole = c.qk_nope_head_dim + c.qk_rope_head_dim
        writer.add_key_length(whole if is_old else c.kv_lora_rank + c.qk_rope_head_dim)
        writer.add_value_length(c.v_head_dim if is_old else c.kv_lora_rank)
        if not is_old:
            writer.add_key_length_mla(whole)
            writer.add_value_length_mla(c.v_head_dim)
        writer.add_expert_feed_forward_length(c.moe_intermediate_size)
        writer.add_expert_count(c.n_routed_experts)
        writer.add_expert_used_count(c.num_experts_per_tok)
        writer.add_expert_shared_count(c.n_shared_experts)
        writer.add_expert_weights_scale(c.routed_scaling_factor)
        if c.norm_topk_prob:
            writer.add_expert_weights_norm(True)
        if c.model_type == "deepseek_v3":
            writer.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
        if not is_old:
            writer.add_expert_group_count(c.n_group)
            writer.add_expert_group_used_count(c.topk_group)
        writer.add_rope_dimension_count(c.qk_rope_head_dim)
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(rope["factor"])
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
        writer.add_rope_scaling_yarn_log_mul(0.1 * rope["mscale_all_dim"])
    writer.add_bos_token_id(c.bos_token_id)
    writer.add_eos_token_id(c.eos_token_id)
    names = gguf.get_tensor_name_map(
        next(a for a, n in gguf.MODEL_ARCH_NAMES.items() if n == arch), c.num_hidden_layers)
    for name, value in converted(arch, c, tensors, is_old):
        to = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert to is not None, name
        keep = value.ndim == 1
        writer.add_tensor(to, value.astype(np.float32 if keep else np.float16))
    finish(writer)


def make_models():
    for i, (name, (arch, config)) in enumerate(MODELS.items()):
        folder = OUT / name
        folder.mkdir()
        tensors = saved_model(config, folder, seed=i)
        write_model(folder / "model.gguf", arch, config, tensors)
        if name == "deepseek_v2":
            write_model(folder / "old.gguf", arch, config, tensors, is_old=True)


def check(path, listing):
    """Compares what a test lists of a published GGUF of Llama (TROUPE_TEST_GGUF, in
    tests/model/formats/gguf_model_test.cpp): names and shapes with the state dict of transformers'
    model of its configuration, and a sum over the bits of every tensor with gguf-py's."""
    got = json.loads(pathlib.Path(listing).read_text())
    config = got["config"]
    names = {k for k in transformers.LlamaConfig().to_dict()} | {"rope_theta", "head_dim"}
    llama = transformers.LlamaConfig(**{k: v for k, v in config.items() if k in names})
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(llama)
    wanted = {n: list(t.shape) for n, t in model.state_dict().items()}
    if llama.tie_word_embeddings:
        del wanted["lm_head.weight"]
    assert {n: t["shape"] for n, t in got["tensors"].items()} == wanted
    reader = gguf.GGUFReader(path)
    by_name = {t.name: gguf.quants.dequantize(t.data, t.tensor_type) for t in reader.tensors}
    for name, tensor in got["tensors"].items():
        value = by_name[tensor["from"]]
        heads = dict(q_proj=llama.num_attention_heads, k_proj=llama.num_key_value_heads)
        for part, n in heads.items():
            if part in name:  # The inverse of to_llama_cpp_rope, another way.
                v = value.reshape(n, -1, 2, *value.shape[1:])
                value = np.concatenate([v[:, :, 0], v[:, :, 1]], axis=1).reshape(value.shape)
        bits = np.ascontiguousarray(value, dtype=np.float32).view(np.uint32).reshape(-1)
        weights = np.arange(1, bits.size + 1, dtype=np.uint64)
        with np.errstate(over="ignore"):
            total = int((bits.astype(np.uint64) * weights).sum())
        assert total == tensor["sum"], name
    print(f"{len(wanted)} tensors agree in name, shape and every bit")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", nargs=2, metavar=("MODEL.gguf", "LISTING.json"))
    arguments = parser.parse_args()
    if arguments.check:
        check(*arguments.check)
    else:
        shutil.rmtree(OUT, ignore_errors=True)
        OUT.mkdir(parents=True)
        make_types()
        make_numbers()
        make_sharded()
        make_models()
