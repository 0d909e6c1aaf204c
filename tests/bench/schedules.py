#!/usr/bin/env python3
"""What a schedule is worth: cluster/jobs/longtail.toml under each of them, one after another.

    build/troupe make-data arithmetic --operands 3-16 --tail 0.75 --out cluster/jobs/data/longtail
    tests/bench/schedules.py [--rounds 3] [--set table.key=value]...

For each schedule, over the GRPO stage: tokens per second, idle shares of rollout and learner, and
seconds until the mean reward of ten steps reaches a threshold; medians and ranges of some rounds,
in which the schedules take turns.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECONDS_MAX = 1800  # Of one run.
SCHEDULES = {
    "sync, colocated": ["resources.placement=colocated"],
    "sync, split": [],
    "pipelined, lag 1": ["schedule.mode=pipelined", "schedule.lag=1"],
    "pipelined, lag 2": ["schedule.mode=pipelined", "schedule.lag=2"],
    "async, 7 steps": ["schedule.mode=async"],
}


def follow(overrides, threshold):
    """Runs the job and notes when each line of its metrics comes."""
    with tempfile.TemporaryDirectory() as folder:
        home = pathlib.Path(folder) / "home"
        job = ROOT / "cluster/jobs/longtail.toml"
        command = [ROOT / "build/troupe", "run", job, "--home", home]
        for one in overrides:
            command += ["--set", one]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + SECONDS_MAX
        metrics, lines, rest = None, [], ""
        while True:
            is_over = process.poll() is not None
            if metrics is None and (home / "metrics.jsonl").exists():
                metrics = open(home / "metrics.jsonl")
            rest += metrics.read() if metrics else ""
            *whole, rest = rest.split("\n")
            lines += [(time.monotonic(), json.loads(line)) for line in whole]
            if is_over:
                break
            if time.monotonic() > deadline:
                process.kill()
                raise SystemExit(f"the job has not ended within {SECONDS_MAX} s")
            try:
                process.wait(timeout=0.02)
            except subprocess.TimeoutExpired:
                pass
    if process.returncode != 0:
        raise SystemExit("the job failed")
    steps = [(at, line) for at, line in lines if line.get("stage") == "grpo"]
    began = max(at for at, line in lines if "eval/pass_at_1" in line and at < steps[0][0])
    ended = steps[-1][0]
    busy = [line for at, line in lines if "busy/rollout" in line and began < at < ended]
    rewards = [line["reward/mean"] for _, line in steps]
    reached = next((steps[i][0] - began for i in range(10, len(steps))
                    if statistics.mean(rewards[i - 10:i]) >= threshold), float("nan"))
    return {
        "tokens/s": sum(line["tokens/generated"] for _, line in steps) / (ended - began),
        "rollout idle": 1 - statistics.mean(line["busy/rollout"] for line in busy),
        "learner idle": 1 - statistics.mean(line["busy/learner"] for line in busy),
        "s to threshold": reached,
        "s in all": ended - began,
        "reward at the end": statistics.mean(rewards[-10:]),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threshold", type=float, default=0.5)
    parser.add_argument("--set", action="append", default=[])
    options = parser.parse_args()
    results = {name: [] for name in SCHEDULES}
    for _ in range(options.rounds):
        for name, overrides in SCHEDULES.items():
            results[name].append(follow(overrides + options.set, options.threshold))
            print(name, json.dumps(results[name][-1]), flush=True)
    print()
    for name, runs in results.items():
        cells = []
        for key in runs[0]:
            values = sorted(run[key] for run in runs)
            spread = f"{values[0]:.3g}..{values[-1]:.3g}"
            cells.append(f"{key} {statistics.median(values):.3g} ({spread})")
        print(f"{name:18}", "  ".join(cells))


main()
