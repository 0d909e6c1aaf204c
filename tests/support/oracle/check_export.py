"""Loads an exported folder with transformers and compares it with this program: log-probabilities
of given tokens, and the greedy responses to the first problems of a file.

    build/troupe export --model SmolLM2-135M-Instruct.Q4_1.gguf --out /tmp/smollm2
    python check_export.py build/troupe /tmp/smollm2 gsm8k/test.jsonl

Not part of the test suite: it needs torch and transformers (see make_golden.py for versions).
"""
import json
import subprocess
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

PROBLEMS, TOKENS = 50, 64
program, folder, data = sys.argv[1:4]
model = AutoModelForCausalLM.from_pretrained(
    folder, dtype=torch.float32, attn_implementation="eager").eval()
tokenizer = AutoTokenizer.from_pretrained(folder)
with open(data) as file:
    questions = [json.loads(next(file))["question"].replace("\n", " ") for _ in range(PROBLEMS)]


def run(*arguments, lines):
    ran = subprocess.run([program, *arguments, "--model", folder], input="\n".join(lines) + "\n",
                         capture_output=True, text=True, check=True)
    return [json.loads(line) for line in ran.stdout.splitlines()]


def logits_of(ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0]


prompts = [tokenizer.apply_chat_template([{"role": "user", "content": question}],
                                         add_generation_prompt=True, return_dict=False)
           for question in questions]
sequences, greedy = [], []
for ids in prompts:
    out = model.generate(torch.tensor([ids]), do_sample=False, max_new_tokens=TOKENS,
                         attention_mask=torch.ones(1, len(ids)))[0].tolist()
    sequences.append(out)
    greedy.append(out[len(ids):])

failed = False
for precision, tolerance in (("fp32", 1e-4), ("bf16", 2e-2)):
    scores = run("score", "--precision", precision,
                 lines=[json.dumps({"tokens": ids}) for ids in sequences])
    worst, difference, size = 0.0, 0.0, 0.0
    for ids, score in zip(sequences, scores, strict=True):
        want = torch.log_softmax(logits_of(ids).double(), -1)[range(len(ids) - 1), ids[1:]]
        got = torch.tensor(score["logprobs"], dtype=torch.float64)
        worst = max(worst, (got - want).abs().max().item())
        difference += (got - want).square().sum().item()
        size += want.square().sum().item()
    relative = (difference / size) ** 0.5
    print(f"{precision}: log-probabilities: relative error {relative:.2e}, largest {worst:.2e}")
    failed |= relative > tolerance
    responses = run("generate", "--json", "--precision", precision, "--max-response-tokens",
                    str(TOKENS), lines=questions)
    same = 0
    for i, (ids, want, response) in enumerate(zip(prompts, greedy, responses, strict=True)):
        got = response["tokens"]
        if got == want:
            same += 1
            continue
        at = next(k for k in range(min(len(got), len(want))) if got[k] != want[k])
        best = logits_of(ids + want[:at])[-1]
        gap = (best[want[at]] - best[got[at]]).item()
        print(f"{precision}: prompt {i + 1}: token {at + 1} is {tokenizer.decode(got[at])!r}, "
              f"transformers' {tokenizer.decode(want[at])!r}, {gap:.3f} above it")
        failed |= gap > 0.2
    print(f"{precision}: {same} of {PROBLEMS} greedy responses are the same")
sys.exit(failed)
