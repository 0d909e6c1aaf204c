"""Writes tests/model/golden/: what transformers' DeepseekV3ForCausalLM and torch's autograd and
AdamW compute in float64, for the tests to hold our own model, GRPO loss and optimizer against.

Run by hand, only to change what is covered; the files are committed and no test needs Python:

  python3.11 -m venv /tmp/oracle && . /tmp/oracle/bin/activate
  pip install --no-deps torch==2.15.0 nvidia-cufile==1.20.0.107 nvidia-cusparselt-cu13==0.10.0 \\
      nvidia-nvshmem-cu13==3.7.2 nvidia-nccl-cu13==2.30.7    # the rest from /usr/local/cuda 13
  pip install transformers==5.23.0 numpy==2.4.6 safetensors==0.8.0 sympy networkx jinja2
  OMP_NUM_THREADS=1 python tests/support/oracle/make_golden.py

transformers computes norms, softmax, router and RoPE angles in float32 whatever the model's type.
Here float32 means float64 inside its module (Float64), so that every value has that precision.

case_*/model.safetensors holds bf16 (the score correction bias: F32), as published, so the weights
are the same numbers in every mode of ours. case_*/golden.safetensors, all F32:
  probe              [64]; p below.
  logits.<i>         [tokens, vocab] of sequence i.
  grad.<name>        [n]: d loss / d vector.
  grad.<name>.rows   [rows]: G p[:cols], and
  grad.<name>.cols   [cols]: p[:rows] G, of a matrix' gradient G [rows, cols]. Both, because all
                     of the gradients would be half a megabyte; --full DIR writes those.
"""
import argparse
import json
import pathlib

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from transformers import DeepseekV3ForCausalLM
from transformers.models.deepseek_v3 import modeling_deepseek_v3

GOLDEN = pathlib.Path(__file__).parents[2] / "model" / "golden"
LENGTHS = (7, 1, 19)
BIAS = "e_score_correction_bias"

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
# Of 3000 seeds, ones whose closest routing decision is far from a tie, for bf16's sake, and in
# case A does not come near one in training.
CASES = {
    "case_a": dict(seed=1627, trained=True),
    "case_b": dict(seed=156, q_lora_rank=24, n_group=4, topk_group=2, n_shared_experts=2),
}


class Float64:
    """torch, with double for float."""
    float = float32 = torch.float64

    def __getattr__(self, name):
        return getattr(torch, name)


def make_weights(c, rng):
    heads, hidden, kv, v = (c[k] for k in ("num_attention_heads", "hidden_size", "kv_lora_rank",
                                           "v_head_dim"))
    vocab, nope, rope = c["vocab_size"], c["qk_nope_head_dim"], c["qk_rope_head_dim"]
    shapes = {"model.embed_tokens.weight": (vocab, hidden), "model.norm.weight": (hidden,),
              "lm_head.weight": (vocab, hidden)}

    def swiglu(name, width):
        for part in ("gate", "up"):
            shapes[f"{name}.{part}_proj.weight"] = (width, hidden)
        shapes[f"{name}.down_proj.weight"] = (hidden, width)

    for n in range(c["num_hidden_layers"]):
        layer = f"model.layers.{n}"
        shapes[f"{layer}.input_layernorm.weight"] = (hidden,)
        shapes[f"{layer}.post_attention_layernorm.weight"] = (hidden,)
        if c["q_lora_rank"] is None:
            attn = {"q_proj": (heads * (nope + rope), hidden)}
        else:
            attn = {"q_a_proj": (c["q_lora_rank"], hidden), "q_a_layernorm": (c["q_lora_rank"],),
                    "q_b_proj": (heads * (nope + rope), c["q_lora_rank"])}
        attn |= {"kv_a_proj_with_mqa": (kv + rope, hidden), "kv_a_layernorm": (kv,),
                 "kv_b_proj": (heads * (nope + v), kv), "o_proj": (hidden, heads * v)}
        shapes |= {f"{layer}.self_attn.{name}.weight": shape for name, shape in attn.items()}
        if n < c["first_k_dense_replace"]:
            swiglu(f"{layer}.mlp", c["intermediate_size"])
            continue
        shapes[f"{layer}.mlp.gate.weight"] = (c["n_routed_experts"], hidden)
        shapes[f"{layer}.mlp.gate.{BIAS}"] = (c["n_routed_experts"],)
        for m in range(c["n_routed_experts"]):
            swiglu(f"{layer}.mlp.experts.{m}", c["moe_intermediate_size"])
        swiglu(f"{layer}.mlp.shared_experts", c["moe_intermediate_size"] * c["n_shared_experts"])

    weights = {}
    for name, shape in shapes.items():
        x = rng.standard_normal(shape)
        if name.endswith(BIAS):
            x = 0.05 * x
        elif len(shape) == 1:
            x = 1 + 0.1 * x
        elif "embed" not in name:
            x = x / np.sqrt(shape[1])
        x = torch.from_numpy(x).to(torch.bfloat16)
        weights[name] = x.float() if name.endswith(BIAS) else x
    return weights


def load(directory):
    model = DeepseekV3ForCausalLM.from_pretrained(
        directory, dtype=torch.float64, attn_implementation="eager", experts_implementation="eager")
    return model.double().eval()


def forward(model, sequences):
    """Logits, next-token log-probabilities, and the loss over all targets of all sequences."""
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
    return grads


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
        scores = (logits.sigmoid() + gate.e_score_correction_bias).detach()
        scores = scores.view(-1, gate.num_group, gate.num_experts // gate.num_group)
        self.lowest = min(self.lowest, scores.min().item())
        if gate.num_group > gate.topk_group:
            groups = scores.topk(2, -1)[0].sum(-1)
            self.decide(groups, gate.topk_group)
            kept = torch.zeros_like(groups).scatter(1, groups.topk(gate.topk_group, -1)[1], 1)
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


def policy_case(name, seed, trained=False, full=None, **changes):
    directory = GOLDEN / name
    directory.mkdir(parents=True, exist_ok=True)
    config, rng = CONFIG | changes, np.random.default_rng(seed)
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
                  full / f"{name}.safetensors")
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
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--full", type=pathlib.Path)
    full = arguments.parse_args().full
    modeling_deepseek_v3.torch = Float64()
    torch.set_num_threads(1)
    for case, settings in CASES.items():
        policy_case(case, full=full, **settings)
    grpo()
    adamw()
