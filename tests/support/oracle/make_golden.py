"""Writes tests/model/golden/: what transformers' model of each family and torch's autograd and
AdamW compute in float64, for the tests to hold our own model, GRPO loss and optimizer against.

Run by hand, only to change what is covered; the files are committed and no test needs Python:

  python3.11 -m venv /tmp/oracle && . /tmp/oracle/bin/activate
  pip install --no-deps torch==2.15.0 nvidia-cufile==1.20.0.107 nvidia-cusparselt-cu13==0.10.0 \\
      nvidia-nvshmem-cu13==3.7.2 nvidia-nccl-cu13==2.30.7    # the rest from /usr/local/cuda 13
  pip install transformers==5.23.0 numpy==2.4.6 safetensors==0.8.0 sympy networkx jinja2
  OMP_NUM_THREADS=1 python tests/support/oracle/make_golden.py

transformers computes norms, softmax, router and RoPE angles in float32 whatever the model's type.
Here float32 means float64 inside its modules (Float64), so that every value has that precision.

Of each case, model.safetensors holds bf16 (the score correction bias: F32), as published, so the
weights are the same numbers in every mode of ours. golden.safetensors has, all F32:
  probe              [64]; p below.
  logits.<i>         [tokens, vocab] of sequence i.
  grad.<name>        [n]: d loss / d vector.
  grad.<name>.rows   [rows]: G p[:cols], and
  grad.<name>.cols   [cols]: p[:rows] G, of a matrix' gradient G [rows, cols]. Both, because all
                     of the gradients would be half a megabyte; --full DIR writes those.
"""
import argparse
import contextlib
import json
import pathlib
import sys
from unittest import mock

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from transformers import modeling_rope_utils

GOLDEN = pathlib.Path(__file__).parents[2] / "model" / "golden"
LENGTHS = (7, 1, 19)
BIAS = "e_score_correction_bias"
# Of an expert, by the names of the other families.
MIXTRAL = {"gate_proj": "w1", "up_proj": "w3", "down_proj": "w2"}

CONFIG = dict(
    architectures=["DeepseekV3ForCausalLM"], model_type="deepseek_v3", torch_dtype="bfloat16",
    vocab_size=48, hidden_size=32, num_hidden_layers=3, first_k_dense_replace=1, moe_layer_freq=1,
    intermediate_size=48, moe_intermediate_size=16, n_routed_experts=8, n_shared_experts=1,
    num_experts_per_tok=2, n_group=1, topk_group=1, norm_topk_prob=True, routed_scaling_factor=1.5,
    scoring_func="sigmoid", topk_method="noaux_tc", num_attention_heads=2, num_key_value_heads=2,
    q_lora_rank=None, kv_lora_rank=16, qk_nope_head_dim=16, qk_rope_head_dim=16, v_head_dim=16,
    rms_norm_eps=1e-6, rope_theta=10000, rope_scaling=None, max_position_embeddings=64,
    hidden_act="silu", attention_bias=False, attention_dropout=0.0, tie_word_embeddings=False,
    num_nextn_predict_layers=0, initializer_range=0.02, bos_token_id=0, eos_token_id=1)
# Of thousands of seeds, ones whose closest routing decision is far from a tie, for bf16's sake, and
# in case A does not come near one in training.
CASES = {
    "case_a": dict(seed=1627, trained=True, config=CONFIG),
    "case_b": dict(seed=156, config=CONFIG | dict(q_lora_rank=24, n_group=4, topk_group=2,
                                                  n_shared_experts=2)),
}


YARN = dict(type="yarn", rope_type="yarn", factor=40, original_max_position_embeddings=256,
            beta_fast=32, beta_slow=1)
# A norm's epsilon so large that one which has another is seen, in DeepSeek's latents.
DEEPSEEK = CONFIG | dict(
    num_hidden_layers=2, rms_norm_eps=1e-3, max_position_embeddings=10240, rope_interleave=True)
GROUPED = dict(
    torch_dtype="bfloat16", vocab_size=48, hidden_size=32, num_hidden_layers=2,
    intermediate_size=48, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
    rms_norm_eps=1e-5, rope_theta=10000.0, rope_scaling=None, max_position_embeddings=512,
    hidden_act="silu", attention_bias=False, attention_dropout=0.0, tie_word_embeddings=False,
    initializer_range=0.02, bos_token_id=0, eos_token_id=1)


def of(architecture, model_type, base, **changes):
    return base | dict(architectures=[architecture], model_type=model_type) | changes


FAMILIES = {
    "deepseek_v3": dict(seed=1, config=of(
        "DeepseekV3ForCausalLM", "deepseek_v3", DEEPSEEK, n_group=2, topk_group=1,
        rope_scaling=YARN | dict(mscale=1.0, mscale_all_dim=0.5))),
    "deepseek_v2": dict(seed=583, config=of(
        "DeepseekV2ForCausalLM", "deepseek_v2", DEEPSEEK, scoring_func="softmax",
        topk_method="group_limited_greedy", norm_topk_prob=False, n_group=4, topk_group=2,
        num_experts_per_tok=3, routed_scaling_factor=4.0, q_lora_rank=24, mlp_bias=False,
        rope_scaling=YARN | dict(mscale=0.707, mscale_all_dim=0.707))),
    "llama": dict(seed=1, config=of(
        "LlamaForCausalLM", "llama", GROUPED, mlp_bias=False, tie_word_embeddings=True, head_dim=8,
        rope_scaling=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0,
                          high_freq_factor=4.0, original_max_position_embeddings=64))),
    "mistral": dict(seed=1, config=of(
        "MistralForCausalLM", "mistral", GROUPED, num_key_value_heads=1, sliding_window=None,
        rope_scaling=dict(type="linear", rope_type="linear", factor=2.5))),
    "qwen2": dict(seed=1, config=of(
        "Qwen2ForCausalLM", "qwen2", GROUPED, head_dim=8, tie_word_embeddings=True,
        use_sliding_window=False, rope_scaling=YARN | dict(factor=2.0))),
    "qwen3": dict(seed=1, config=of(
        "Qwen3ForCausalLM", "qwen3", GROUPED, rope_theta=1000000.0,
        use_sliding_window=False)),
    "qwen3_moe": dict(seed=534, config=of(
        "Qwen3MoeForCausalLM", "qwen3_moe", GROUPED, num_experts=6, num_experts_per_tok=2,
        moe_intermediate_size=16, norm_topk_prob=True, decoder_sparse_step=1, mlp_only_layers=[],
        use_sliding_window=False)),
    "mixtral": dict(seed=132, config=of(
        "MixtralForCausalLM", "mixtral", GROUPED, head_dim=8, intermediate_size=16,
        num_local_experts=6, num_experts_per_tok=2, rope_theta=1000000.0, sliding_window=None)),
}


class Float64:
    """torch, with double for float."""
    float = float32 = torch.float64

    def __getattr__(self, name):
        return getattr(torch, name)


@contextlib.contextmanager
def in_float64(model):
    """Nothing in the model is rounded to float32 within this."""
    module = sys.modules[type(model).__module__]
    with mock.patch.object(module, "torch", Float64()), \
            mock.patch.object(torch.Tensor, "float", torch.Tensor.double):
        yield


def num_experts(c):
    names = ("n_routed_experts", "num_experts", "num_local_experts")
    return next((c[name] for name in names if name in c), 0)


def latent_attention(c):
    heads, hidden, kv, v = (c[k] for k in ("num_attention_heads", "hidden_size", "kv_lora_rank",
                                           "v_head_dim"))
    nope, rope = c["qk_nope_head_dim"], c["qk_rope_head_dim"]
    if c["q_lora_rank"] is None:
        shapes = {"q_proj.weight": (heads * (nope + rope), hidden)}
    else:
        shapes = {"q_a_proj.weight": (c["q_lora_rank"], hidden),
                  "q_a_layernorm.weight": (c["q_lora_rank"],),
                  "q_b_proj.weight": (heads * (nope + rope), c["q_lora_rank"])}
    return shapes | {
        "kv_a_proj_with_mqa.weight": (kv + rope, hidden), "kv_a_layernorm.weight": (kv,),
        "kv_b_proj.weight": (heads * (nope + v), kv), "o_proj.weight": (hidden, heads * v)}


def grouped_attention(c):
    hidden, d = c["hidden_size"], c["head_dim"]
    widths = {"q": d * c["num_attention_heads"], "k": d * c["num_key_value_heads"],
              "v": d * c["num_key_value_heads"]}
    shapes = {f"{x}_proj.weight": (width, hidden) for x, width in widths.items()}
    if c["model_type"] == "qwen2":
        shapes |= {f"{x}_proj.bias": (width,) for x, width in widths.items()}
    if c["model_type"].startswith("qwen3"):
        shapes |= {"q_norm.weight": (d,), "k_norm.weight": (d,)}
    return shapes | {"o_proj.weight": (hidden, widths["q"])}


def make_weights(c, rng):
    hidden, vocab = c["hidden_size"], c["vocab_size"]
    shapes = {"model.embed_tokens.weight": (vocab, hidden), "model.norm.weight": (hidden,)}
    if not c["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (vocab, hidden)

    def swiglu(name, width, gate="gate_proj", up="up_proj", down="down_proj"):
        shapes[f"{name}.{gate}.weight"] = (width, hidden)
        shapes[f"{name}.{up}.weight"] = (width, hidden)
        shapes[f"{name}.{down}.weight"] = (hidden, width)

    for n in range(c["num_hidden_layers"]):
        layer = f"model.layers.{n}"
        shapes[f"{layer}.input_layernorm.weight"] = (hidden,)
        shapes[f"{layer}.post_attention_layernorm.weight"] = (hidden,)
        attn = latent_attention(c) if "kv_lora_rank" in c else grouped_attention(c)
        shapes |= {f"{layer}.self_attn.{name}": shape for name, shape in attn.items()}
        if num_experts(c) == 0 or n < c.get("first_k_dense_replace", 0):
            swiglu(f"{layer}.mlp", c["intermediate_size"])
            continue
        if c["model_type"] == "mixtral":
            shapes[f"{layer}.block_sparse_moe.gate.weight"] = (num_experts(c), hidden)
            for m in range(num_experts(c)):
                swiglu(f"{layer}.block_sparse_moe.experts.{m}", c["intermediate_size"],
                       **dict(zip(("gate", "up", "down"), MIXTRAL.values())))
            continue
        shapes[f"{layer}.mlp.gate.weight"] = (num_experts(c), hidden)
        if c["model_type"] == "deepseek_v3":
            shapes[f"{layer}.mlp.gate.{BIAS}"] = (num_experts(c),)
        for m in range(num_experts(c)):
            swiglu(f"{layer}.mlp.experts.{m}", c["moe_intermediate_size"])
        if "n_shared_experts" in c:
            swiglu(f"{layer}.mlp.shared_experts",
                   c["moe_intermediate_size"] * c["n_shared_experts"])

    weights = {}
    for name, shape in shapes.items():
        x = rng.standard_normal(shape)
        if name.endswith(BIAS):
            x = 0.05 * x
        elif name.endswith(".bias"):
            x = 0.3 * x
        elif len(shape) == 1:
            x = 1 + 0.1 * x
        elif "embed" not in name or c["tie_word_embeddings"]:
            x = x / np.sqrt(shape[1])
        x = torch.from_numpy(x).to(torch.bfloat16)
        weights[name] = x.float() if name.endswith(BIAS) else x
    return weights


def load(directory):
    config = json.loads((directory / "config.json").read_text())
    model_class = getattr(transformers, config["architectures"][0])
    with mock.patch.object(sys.modules[model_class.__module__], "torch", Float64()), \
            mock.patch.object(modeling_rope_utils, "torch", Float64()):
        model = model_class.from_pretrained(
            directory, dtype=torch.float64, attn_implementation="eager",
            experts_implementation="eager")
    return model.double().eval()


def forward(model, sequences):
    """Logits, next-token log-probabilities, and the loss over all targets of all sequences."""
    with in_float64(model):
        logits = [model(torch.tensor([ids])).logits[0] for ids in sequences]
    logprobs = [torch.log_softmax(x, -1)[range(len(ids) - 1), ids[1:]]
                for x, ids in zip(logits, sequences)]
    return logits, logprobs, -torch.cat(logprobs).mean()


def published_gradients(model):
    """By the checkpoint's names: transformers fuses the experts of a layer."""
    grads = {}
    for name, parameter in model.named_parameters():
        prefix, _, last = name.rpartition(".")
        if not prefix.endswith(".experts"):
            grads[name] = parameter.grad
            continue
        for m, g in enumerate(parameter.grad):
            if last == "gate_up_proj":
                parts = dict(zip(("gate_proj", "up_proj"), g.chunk(2)))
            else:
                parts = {last: g}
            grads |= {f"{prefix}.{m}.{part}.weight": x for part, x in parts.items()}
    if model.config.model_type == "mixtral":
        grads = {mixtral_name(name): g for name, g in grads.items()}
    return grads


def mixtral_name(name):
    if ".mlp." not in name:
        return name
    for ours, theirs in MIXTRAL.items():
        name = name.replace(f".{ours}.", f".{theirs}.")
    return name.replace(".mlp.", ".block_sparse_moe.")


class Routing:
    """What the routers decide, and by how much."""

    def __init__(self, model):
        self.chosen, self.margin, self.lowest = {}, np.inf, np.inf
        for name, module in model.named_modules():
            if name.endswith("mlp.gate"):
                module.register_forward_hook(lambda *args, name=name: self.hook(name, *args))

    def decide(self, scores, k):
        order = scores.sort(-1, descending=True)[0]
        self.margin = min(self.margin, (order[:, k - 1] - order[:, k]).min().item())

    def hook(self, name, gate, inputs, output):
        logits, _, indices = output
        if hasattr(gate, BIAS):
            scores = (logits.sigmoid() + gate.e_score_correction_bias).detach()
        else:
            scores = logits.softmax(-1).detach()
        num_groups = getattr(gate, "num_group", None) or 1
        scores = scores.view(-1, num_groups, gate.num_experts // num_groups)
        self.lowest = min(self.lowest, scores.min().item())
        if num_groups > getattr(gate, "topk_group", 1):
            best = scores.topk(2, -1)[0].sum(-1) if hasattr(gate, BIAS) else scores.max(-1)[0]
            self.decide(best, gate.topk_group)
            kept = torch.zeros_like(best).scatter(1, best.topk(gate.topk_group, -1)[1], 1)
            scores = scores.masked_fill(kept[..., None] == 0, -np.inf)
        self.decide(scores.flatten(1), gate.top_k)
        self.chosen.setdefault(name, []).append(indices.sort(-1)[0].tolist())


def train(model, sequences, steps=10):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), eps=1e-8,
                                  weight_decay=0)
    losses = []  # Each before its step.
    for _ in range(steps):
        loss = forward(model, sequences)[2]
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {"train": {"lr": 1e-3, "beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "weight_decay": 0},
            "train_losses": losses,
            "train_final_loss": forward(model, sequences)[2].item()}


def write_json(path, value):
    """One line for every value of the top-level object. Numbers read back as the same double."""
    lines = [f" {json.dumps(key)}: {json.dumps(item)}" for key, item in value.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def policy_case(name, seed, config, trained=False, full=None):
    directory = GOLDEN / name
    directory.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    save_file(make_weights(config, rng), directory / "model.safetensors", metadata={"format": "pt"})
    sequences = [rng.integers(2, config["vocab_size"], n).tolist() for n in LENGTHS]

    model = load(directory)
    routing = Routing(model)
    logits, logprobs, loss = forward(model, sequences)
    loss.backward()
    grads = published_gradients(model)
    golden = {
        "made_with": f"torch {torch.__version__}, transformers {transformers.__version__}, float64",
        "sequences": sequences,
        "logprobs": [x.tolist() for x in logprobs],
        "loss": loss.item(),
        "grad_norm": torch.cat([g.flatten() for g in grads.values()]).norm().item(),
        "routing": dict(routing.chosen),
    }
    print(f"{name}: loss {loss.item():.6f}; closest routing decision {routing.margin:.2e}; "
          f"lowest biased score {routing.lowest:.3f}")
    assert routing.margin > 5e-3 and routing.lowest > 0

    probe = torch.from_numpy(rng.standard_normal(64)).float()
    tensors = {"probe": probe} | {f"logits.{i}": x for i, x in enumerate(logits)}
    for key, g in grads.items():
        if g.dim() == 1:
            tensors[f"grad.{key}"] = g
        else:
            tensors[f"grad.{key}.rows"] = g @ probe[: g.shape[1]].double()
            tensors[f"grad.{key}.cols"] = probe[: g.shape[0]].double() @ g
    tensors = {key: x.detach().float().contiguous() for key, x in tensors.items()}
    save_file(tensors, directory / "golden.safetensors")
    if full:
        full.mkdir(parents=True, exist_ok=True)
        save_file({key: g.float().contiguous() for key, g in grads.items()},
                  full / f"{directory.name}.safetensors")
    if trained:
        model = load(directory)
        routing = Routing(model)
        golden |= train(model, sequences)
        print(f"{name}: trained to {golden['train_final_loss']:.6f}; "
              f"closest routing decision {routing.margin:.2e}")
        assert routing.margin > 5e-4
    write_json(directory / "golden.json", golden)


def grpo(seed=1):
    rng = np.random.default_rng(seed)
    low, high, kl_coef = 0.2, 0.28, 0.05
    lengths = [9, 1, 12, 6, 5, 2, 3, 7]
    rewards = [1.0, 0.0, 0.25, 1.0, 0.5, 0.5, 0.5, 0.5]  # The second group has no variance.
    rollout = [-rng.exponential(1.0, n) - 0.5 for n in lengths]
    logprob = [np.minimum(x + 0.4 * rng.standard_normal(x.shape), -1e-3) for x in rollout]
    reference = [np.minimum(x + 0.3 * rng.standard_normal(x.shape), -1e-3) for x in logprob]

    groups = torch.tensor(rewards, dtype=torch.float64).view(2, 4)
    centred = groups - groups.mean(1, keepdim=True)
    advantages = (centred / (groups.std(1, keepdim=True, correction=0) + 1e-6)).flatten()
    assert (advantages[4:] == 0).all()

    new = torch.tensor(np.concatenate(logprob), requires_grad=True)
    old, ref = (torch.tensor(np.concatenate(x)) for x in (rollout, reference))
    n = torch.tensor(lengths)
    a = advantages.repeat_interleave(n)
    ratio = (new - old).exp()
    plain, clipped = ratio * a, ratio.clamp(1 - low, 1 + high) * a
    gain = torch.minimum(plain, clipped)
    active = clipped < plain
    d = new - ref
    kl = {"k1": d, "k2": d * d / 2, "k3": (-d).exp() + d - 1}
    weights = {"sequence_mean_token_mean": (1 / (len(lengths) * n.double())).repeat_interleave(n),
               "token_mean": torch.full_like(old, 1 / n.sum().item())}
    split = lambda x: [part.tolist() for part in x.detach().split(lengths)]
    results = {}
    for aggregation, weight in weights.items():
        for kind, penalty in kl.items():
            loss = (weight * (kl_coef * penalty - gain)).sum()
            gradient, = torch.autograd.grad(loss, new, retain_graph=True)
            results[f"{aggregation}.{kind}"] = {"loss": loss.item(), "dlogprob": split(gradient)}
    edge = torch.minimum((ratio - 1 + low).abs(), (ratio - 1 - high).abs()).min().item()
    for name, sign in (("positive", a > 0), ("negative", a < 0)):
        above, below = int((sign & (ratio > 1 + high)).sum()), int((sign & (ratio < 1 - low)).sum())
        print(f"grpo: advantage {name}: {above} ratios above, {below} below the clip range")
        assert above and below
    print(f"grpo: ratio nearest to an edge of it {edge:.1e}")
    write_json(GOLDEN / "grpo.json", {
        "clip_low": low, "clip_high": high, "kl_coef": kl_coef, "advantage_eps": 1e-6,
        "group_size": 4,
        "rewards": rewards,
        "rollout_logprob": [x.tolist() for x in rollout],
        "logprob": [x.tolist() for x in logprob],
        "ref_logprob": [x.tolist() for x in reference],
        "advantages": advantages.tolist(),
        "clip_fraction": active.double().mean().item(),
        "mean_kl": {kind: x.mean().item() for kind, x in kl.items()},
    } | results)


def off_policy(seed=3):
    rng = np.random.default_rng(seed)
    count, low, high, kl_coef, cap = 40, 0.2, 0.28, 0.05, 1.5
    rollout = -rng.exponential(1.0, count) - 0.5
    old = np.minimum(rollout + 0.5 * rng.standard_normal(count), -1e-3)
    logprob = np.minimum(old + 0.4 * rng.standard_normal(count), -1e-3)
    reference = np.minimum(logprob + 0.3 * rng.standard_normal(count), -1e-3)
    advantages = rng.standard_normal(count)

    # Two policies, one graph: the weight is a ratio that no gradient goes through.
    mu, prox, ref, a = (torch.tensor(x) for x in (rollout, old, reference, advantages))
    theta = torch.tensor(logprob, requires_grad=True)
    kl = (ref - theta).exp() - (ref - theta) - 1

    def objective(base, weight):
        ratio = (theta - base).exp()
        gain = weight * torch.minimum(ratio * a, ratio.clamp(1 - low, 1 + high) * a)
        loss = (kl_coef * kl - gain).mean()
        gradient, = torch.autograd.grad(loss, theta, retain_graph=True)
        return {"loss": loss.item(), "dlogprob": gradient.tolist(),
                "importance_weight_mean": weight.mean().item(),
                "truncated_share": 0.0}

    weight = prox.exp() / mu.exp()
    truncated = int((weight > cap).sum())
    print(f"off_policy: {truncated} of {count} weights above the cap")
    assert 0 < truncated < count
    results = {"none": objective(mu, torch.ones_like(mu)),
               "decoupled": objective(prox, weight),
               "truncated": objective(prox, weight.clamp(max=cap))}
    results["truncated"]["truncated_share"] = truncated / count
    write_json(GOLDEN / "off_policy.json", {
        "clip_low": low, "clip_high": high, "kl_coef": kl_coef, "importance_cap": cap,
        "rollout_logprob": rollout.tolist(), "old_logprob": old.tolist(),
        "logprob": logprob.tolist(), "ref_logprob": reference.tolist(),
        "advantages": advantages.tolist(),
    } | results)


def adamw(seed=2):
    rng = np.random.default_rng(seed)
    x = torch.tensor(rng.standard_normal(8), requires_grad=True)
    optimizer = torch.optim.AdamW([x], lr=1e-2, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
    initial, gradients, values = x.tolist(), rng.standard_normal((10, 8)), []
    gradients[:, 0] = 0  # A parameter that only decays,
    gradients[:, 1] *= 1e-8  # and one whose gradients are of the size of eps.
    for g in gradients:
        x.grad = torch.tensor(g)
        optimizer.step()
        values.append(x.tolist())
    write_json(GOLDEN / "adamw.json", {
        "lr": 1e-2, "beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "weight_decay": 0.1,
        "initial": initial, "gradients": gradients.tolist(), "values": values})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", type=pathlib.Path)
    parser.add_argument("case", nargs="*", help="only these, such as families/llama; or all")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cases = CASES | {f"families/{family}": settings for family, settings in FAMILIES.items()}
    for case in arguments.case or cases:
        policy_case(case, full=arguments.full, **cases[case])
    if not arguments.case:
        grpo()
        off_policy()
        adamw()
