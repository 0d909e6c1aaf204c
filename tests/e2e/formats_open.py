"""What we write, opened by the programs that it is for: TensorBoard reads a run's event files.

    python3 formats_open.py TROUPE

TensorBoard comes from PyPI into a folder beside the program. Exit code 77: it cannot be had here.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile

VERSION = "2.20.0"
JOB = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support", "short_job.toml")

READ = """
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
run = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "tensors": 0})
run.Reload()
tags = run.Tags()
scalars = {tag: [[one.step, one.value] for one in run.Scalars(tag)] for tag in tags["scalars"]}
texts = {tag: [one.tensor_proto.string_val[0].decode() for one in run.Tensors(tag)]
         for tag in tags["tensors"] if tag.startswith("held_out")}
from tensorboard.plugins.hparams import plugin_data_pb2
settings = {}
for tag in tags["tensors"]:
    metadata = run.SummaryMetadata(tag)
    if metadata.plugin_data.plugin_name == "hparams":
        read = plugin_data_pb2.HParamsPluginData.FromString(metadata.plugin_data.content)
        for name, value in read.session_start_info.hparams.items():
            settings[name] = value.number_value or value.string_value
print(json.dumps({"scalars": scalars, "texts": texts, "settings": settings}))
"""


def python_with_tensorboard(folder):
    python = os.path.join(folder, "bin", "python")
    if os.path.exists(python):
        found = subprocess.run([python, "-c", "import tensorboard"], capture_output=True)
        if found.returncode == 0:
            return python
    made = subprocess.run([sys.executable, "-m", "venv", folder], capture_output=True)
    if made.returncode != 0:
        return None
    wanted = [f"tensorboard=={VERSION}", "setuptools<81"]
    installed = subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted],
                               capture_output=True)
    return python if installed.returncode == 0 else None


def main():
    troupe = os.path.abspath(sys.argv[1])
    python = python_with_tensorboard(os.path.join(os.path.dirname(troupe), "tensorboard_oracle"))
    if python is None:
        print("no TensorBoard from PyPI here")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([troupe, "make-data", "arithmetic", "--out", f"{folder}/data"], check=True,
                       stdout=subprocess.DEVNULL)
        shutil.copy(JOB, f"{folder}/job.toml")
        run = [troupe, "run", f"{folder}/job.toml", "--home", f"{folder}/home"]
        settings = ["--set", "eval.every_steps=4", "--set"]
        subprocess.run(run + settings + ["grpo.steps=8"], check=True, capture_output=True)
        subprocess.run(run + settings + ["grpo.steps=12", "--resume"], check=True,
                       capture_output=True)
        read = subprocess.run([python, "-c", READ, f"{folder}/home/tensorboard"], check=True,
                              capture_output=True, text=True)
        seen = json.loads(read.stdout)
        rewards = seen["scalars"]["reward/mean"]
        with open(f"{folder}/home/metrics.jsonl", encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        written = [[one["policy_version"], one["reward/mean"]]
                   for one in lines if "reward/mean" in one]
        assert [step for step, _ in rewards] == [step for step, _ in written], (rewards, written)
        for (_, a), (_, b) in zip(rewards, written):
            assert abs(a - b) <= 1e-6 * max(1, abs(b)), (a, b)
        assert len(seen["scalars"]["eval/pass_at_1"]) >= 3, seen["scalars"]["eval/pass_at_1"]
        assert any("response" in text for text in seen["texts"]["held_out/0"]), seen["texts"]
        assert seen["settings"]["grpo.group_size"] == 4, seen["settings"]
        assert seen["settings"]["name"] == "short", seen["settings"]
        print(f"TensorBoard {VERSION} reads {len(seen['scalars'])} curves, "
              f"{len(rewards)} points of reward/mean, and {len(seen['settings'])} settings")


main()
