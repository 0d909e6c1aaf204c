"""The peer's side of tests/bench/grpo_step.py: GRPO steps in TRL on the processor.

    PYTHON tests/bench/peer_grpo.py SETTINGS.json

Writes a JSON line to the settings' `report` when a step has ended. TRL gets what makes it fast:
activations are kept and not computed again, as many responses are learned at once as memory allows,
and weights and moments are bf16 without fp32 masters.
"""
import json
import os
import re
import sys
import time

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import torch
import transformers
import trl
from datasets import Dataset


def rewards(completions, gold, **_):
    """1 where the last number is the reference answer; a judge as cheap as may be."""
    values = []
    for completion, answer in zip(completions, gold):
        numbers = re.findall(r"-?\d+", completion[0]["content"])
        values.append(float(bool(numbers) and numbers[-1] == answer))
    return values


class Clock:
    """Seconds and tokens of the step that is under way."""

    def __init__(self):
        self.generate_seconds = 0.0
        self.rollout_ended = 0.0
        self.prompt_tokens = 0
        self.response_tokens = 0

    def watch(self, trainer):
        """Puts itself around generation, and around it with rewards and padding."""
        for name in ("_generate", "_generate_and_score_completions"):
            if not hasattr(trainer, name):
                raise SystemExit(f"this TRL ({trl.__version__}) has no GRPOTrainer.{name} to time")
        generate = trainer._generate
        roll_out = trainer._generate_and_score_completions

        def timed_generate(*arguments, **named):
            began = time.monotonic()
            result = generate(*arguments, **named)
            self.generate_seconds += time.monotonic() - began
            prompt_ids, response_ids = result[:2]
            self.prompt_tokens += sum(map(len, prompt_ids))
            self.response_tokens += sum(map(len, response_ids))
            return result

        def timed_roll_out(*arguments, **named):
            result = roll_out(*arguments, **named)
            self.rollout_ended = time.monotonic()
            return result

        trainer._generate = timed_generate
        trainer._generate_and_score_completions = timed_roll_out


class Reporter(transformers.TrainerCallback):
    def __init__(self, clock, file):
        self.clock = clock
        self.file = file

    def on_step_end(self, args, state, control, **_):
        clock = self.clock
        print(json.dumps({
            "generate_seconds": clock.generate_seconds,
            "learn_seconds": time.monotonic() - clock.rollout_ended,
            "prompt_tokens": clock.prompt_tokens,
            "response_tokens": clock.response_tokens,
        }), file=self.file, flush=True)
        clock.generate_seconds, clock.prompt_tokens, clock.response_tokens = 0.0, 0, 0


def main():
    with open(sys.argv[1]) as file:
        settings = json.load(file)
    torch.set_num_threads(settings["threads"])
    with open(settings["data"]) as file:
        rows = [json.loads(line) for line in file]
    data = Dataset.from_list([
        {"prompt": [{"role": "user", "content": row["prompt"]}], "gold": row["gold"]}
        for row in rows])
    responses = settings["prompts"] * settings["group_size"]
    microbatch = settings["peer_microbatch"]
    config = trl.GRPOConfig(
        output_dir=settings["folder"], max_steps=settings["steps"], seed=settings["seed"],
        per_device_train_batch_size=microbatch,
        gradient_accumulation_steps=responses // microbatch,
        num_generations=settings["group_size"], shuffle_dataset=False,
        max_completion_length=settings["response_tokens"], temperature=1.0, top_p=1.0, top_k=0,
        beta=0.0, num_iterations=1, loss_type="dapo",
        learning_rate=settings["learning_rate"], lr_scheduler_type="constant",
        max_grad_norm=1.0, adam_beta1=0.9, adam_beta2=0.999, weight_decay=0.0,
        gradient_checkpointing=False, bf16=True, use_cpu=True,
        save_strategy="no", logging_steps=1, report_to=[], disable_tqdm=True)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        settings["model"], dtype=torch.bfloat16)
    tokenizer = transformers.AutoTokenizer.from_pretrained(settings["model"])
    clock = Clock()
    with open(settings["report"], "w") as report:
        trainer = trl.GRPOTrainer(
            model=model, reward_funcs=rewards, args=config, train_dataset=data,
            processing_class=tokenizer, callbacks=[Reporter(clock, report)])
        clock.watch(trainer)
        trainer.train()


if __name__ == "__main__":
    main()
