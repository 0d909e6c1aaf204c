#!/usr/bin/env python3
"""What a schedule is worth: cluster/jobs/longtail.toml under each of them, one after another.

    build/troupe make-data arithmetic --operands 3-16 --tail 0.75 --out cluster/jobs/data/longtail
    tests/bench/schedules.py [--rounds 3] [--only NAME] [--set table.key=value]...

For each schedule, over the GRPO stage: tokens per second, idle shares of rollout and learner, and
seconds until the mean reward of ten steps reaches a threshold; medians and ranges of some rounds,
in which the schedules take turns. With --kill-every N each runs twice, and the second time a worker
is killed after every N-th step, each in its turn: how much of the time was of use then.
"""
import argparse
import json
import os
import pathlib
import signal
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


def kill_a_worker(home, number):
    """Kills one of those that the head has written down, by its process id."""
    cards = sorted((home / "credentials").glob("worker_*"))
    card = cards[number % len(cards)]
    os.kill(int(card.read_text().split()[3]), signal.SIGKILL)
    print(f"  killed {card.name}", flush=True)


def follow(overrides, threshold, kill_every=0):
    """Runs the job and notes when each line of its metrics comes."""
    with tempfile.TemporaryDirectory() as folder:
        home = pathlib.Path(folder) / "home"
        job = ROOT / "cluster/jobs/longtail.toml"
        command = [ROOT / "build/troupe", "run", job, "--home", home]
        for one in overrides:
            command += ["--set", one]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + SECONDS_MAX
        metrics, lines, rest, kills = None, [], "", 0
        while True:
            is_over = process.poll() is not None
            if metrics is None and (home / "metrics.jsonl").exists():
                metrics = open(home / "metrics.jsonl")
            rest += metrics.read() if metrics else ""
            *whole, rest = rest.split("\n")
            lines += [(time.monotonic(), json.loads(line)) for line in whole]
            if is_over:
                break
            num_steps = sum(line.get("stage") == "grpo" for _, line in lines)
            if kill_every > 0 and num_steps >= kill_every * (kills + 1):
                kill_a_worker(home, kills)
                kills += 1
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
        "s a step": (ended - began) / len(steps),
        "reward at the end": statistics.mean(rewards[-10:]),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threshold", type=float, default=0.42)
    parser.add_argument("--only", default="")
    parser.add_argument("--kill-every", type=int, default=0)
    parser.add_argument("--set", action="append", default=[])
    options = parser.parse_args()
    schedules = {name: sets for name, sets in SCHEDULES.items() if options.only in name}
    results = {name: [] for name in schedules}
    for _ in range(options.rounds):
        for name, overrides in schedules.items():
            result = follow(overrides + options.set, options.threshold)
            if options.kill_every > 0:
                killed = follow(overrides + options.set, options.threshold, options.kill_every)
                result["s with losses"] = killed["s in all"]
                result["useful"] = result["s in all"] / killed["s in all"]
            results[name].append(result)
            print(name, json.dumps(result), flush=True)
    print()
    for name, runs in results.items():
        cells = []
        for key in runs[0]:
            values = sorted(run[key] for run in runs)
            spread = f"{values[0]:.3g}..{values[-1]:.3g}"
            cells.append(f"{key} {statistics.median(values):.3g} ({spread})")
        print(f"{name:18}", "  ".join(cells))


main()
