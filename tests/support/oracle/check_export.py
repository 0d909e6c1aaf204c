"""Loads a checkpoint folder with transformers and compares log-probabilities with `troupe score`.

    python check_export.py build/troupe runs/quickstart/checkpoints/step_2520

Not part of the test suite: it needs torch and transformers (see make_golden.py for versions).
"""
import json
import subprocess
import sys

import torch
from transformers import AutoModelForCausalLM

program, folder = sys.argv[1:3]
model = AutoModelForCausalLM.from_pretrained(
    folder, dtype=torch.float32, attn_implementation="eager").eval()
ids = [257, *b"7*4+3+4=?", 259, *b"8+3+4=1+4=5", 260, 261, *b"5", 262, 258]
with torch.no_grad():
    logprobs = torch.log_softmax(model(torch.tensor([ids])).logits[0], -1)
want = [logprobs[i, token].item() for i, token in enumerate(ids[1:])]
for precision, tolerance in (("fp32", 1e-5), ("bf16", 5e-2)):
    ran = subprocess.run(
        [program, "score", "--model", folder, "--precision", precision],
        input=json.dumps({"tokens": ids}) + "\n", capture_output=True, text=True, check=True)
    got = json.loads(ran.stdout)["logprobs"]
    worst = max(abs(a - b) for a, b in zip(got, want, strict=True))
    print(f"{precision}: largest difference {worst:.2e}")
    if worst > tolerance:
        sys.exit(f"{precision}: more than {tolerance}")
