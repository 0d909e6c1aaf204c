#!/usr/bin/env python3
"""The same GRPO step in TRL and in Troupe, in turns: seconds, tokens/s by phase, memory.

    tests/bench/grpo_step.py --peer PYTHON       # of an environment that has torch, trl, datasets
    tests/bench/grpo_step.py --install DIR       # makes that environment first, from PyPI
    tests/bench/grpo_step.py                     # Troupe alone

Both sides get the same model folder (random_model.py, or --model), the same prompts in the same
order under the model's chat template, group size, response budget, temperature 1, bf16, number of
threads, no divergence from a reference, the loss as a mean over tokens, and one AdamW step. Groups
without variance are learned like any other, with a gradient of zero that takes as long as another.
Arithmetic differs: Troupe's masters and moments are fp32, TRL's are bf16.

A run is a process; its first step warms up and is not counted. Counted is the time from the end of
one step to the end of the next, by the same clock for both: for Troupe until the step is in the
store and its line in metrics.jsonl, for TRL until its on_step_end. Start, loading, and the
checkpoint at the end lie outside. Within a step:

    generation   Troupe: from asking for a round to its last group (timing_s/gen);
                 TRL: GRPOTrainer._generate, which is tokenizing, sampling, decoding
    learning     Troupe: packing, forward, backward, update, new weights (timing_s/update_actor);
                 TRL: from the end of rollout and rewards to on_step_end
    rest         everything else: rewards, the store, messages, logs, loading a batch

Tokens/s of generation are of responses; of learning, of prompts and responses without padding.
Processor time is of all processes of a side, threads that spin while they wait included. `others`
is how many cores everything else on the machine has had meanwhile: where it is not near 0, seconds
say little, and processor time says more. Memory is the sum, over the processes of a side, of the
most that each has had resident from its start to the end of its last step: an upper bound, since
they have it at different times and share some of it.

A run's value is its mean over its counted steps. Shown are medians of the runs with the range, and
of the quotients of the two runs of a turn, which are neighbours in time. Exit codes: 0 done, 1 a
side failed or the two did not do the same work, 2 usage.
"""
import argparse
import contextlib
import json
import os
import pathlib
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import typing

sys.dont_write_bytecode = True  # Beside the sources, where git would see it.
import random_model

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CASES = {
    "short": {"prompts": 6, "group_size": 8, "response_tokens": 64, "prompt_tokens_max": 64,
              "peer_microbatch": 48},
    # With all 32 at once TRL would need more than 20 GB for activations.
    "long": {"prompts": 4, "group_size": 8, "response_tokens": 256, "prompt_tokens_max": 512,
             "peer_microbatch": 8},
}
GSM8K = ROOT.parent / "shared/data/gsm8k/train.jsonl"
PACKAGES = ["torch", "transformers", "trl", "datasets"]
SEED = 1
LEARNING_RATE = 1e-5
SECONDS_MAX = 7200  # Of one run.
POLL_SECONDS = 0.02
LENGTH_DIFFERENCE_MAX = 0.05
JOB = """name = "grpo-step"
seed = {seed}

[policy]
model = "{model}"

[data]
train = "{data}"
template = "model"
shuffle = false
max_prompt_tokens = {prompt_tokens_max}

[sft]
steps = 0

[grpo]
steps = {steps}
prompts_per_round = {prompts}
group_size = {group_size}
minibatches_per_round = 1
learning_rate = {learning_rate}
kl_coef = 0.0
loss_aggregation = "token_mean"
zero_variance_groups = "keep"

[optimizer]
betas = [0.9, 0.999]
weight_decay = 0.0
gradient_clip = 1.0
warmup_steps = 0

[rollout]
temperature = 1.0
max_response_tokens = {response_tokens}
cache_mb = 512

[learner]
microbatch_tokens = 1024
gradient_lanes = 2

[rewards]
accuracy = {{ verifier = "math", weight = 1.0 }}

[schedule]
checkpoint_every_steps = 0

[eval]
problems = 0

[resources]
placement = "colocated"
threads_per_worker = {threads}
"""
# Digits after the point.
ROWS = {
    "step s": 2, "generation s": 2, "learning s": 2, "rest s": 2, "generation tokens/s": 0,
    "learning tokens/s": 0, "processor s": 2, "memory GB": 2, "others, cores": 2,
    "prompt tokens": 1, "response tokens": 1,
}
NOT_COMPARED = {"rest s", "others, cores"}  # Near 0.


class Failure(Exception):
    """What a person is told before exit code 1."""


def say(text):
    print(text, file=sys.stderr, flush=True)


# What the processes of a side have used.


def family_of(root):
    """The process and its descendants that are there now."""
    children = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            # The name is in parentheses and may hold anything.
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            children.setdefault(int(parent), []).append(int(entry.name))
    family, waiting = [], [root]
    while waiting:
        process = waiting.pop()
        family.append(process)
        waiting += children.get(process, [])
    return family


def use_of(root):
    """The most bytes that each process has had resident, and processor seconds, of all together."""
    resident, seconds = 0, 0.0
    for process in family_of(root):
        with contextlib.suppress(OSError):
            stat = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            status = pathlib.Path(f"/proc/{process}/status").read_text()
            peak = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
            resident += 1024 * int(peak[0]) if peak else 0
            seconds += (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
    return resident, seconds


def machine_seconds():
    """Processor seconds that anybody has had, and those that the host took away."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, softirq, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


# Running a side.


def stop(process):
    """Both programs end their own workers at a SIGTERM; who does not is killed with its group."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Step(typing.NamedTuple):
    at: float
    line: dict
    resident: int
    own_seconds: float  # Of processors, until now.
    others_seconds: float


def ended_steps(name, command, environment, report, log, is_step):
    """Runs a command and returns its steps: when the line came, the line, what was used by then."""
    steps, rest, file = [], "", None
    deadline = time.monotonic() + SECONDS_MAX
    with open(log, "w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL,
                                   env=environment, start_new_session=True)
    try:
        while True:
            is_over = process.poll() is not None
            if file is None and report.exists():
                file = open(report)
            rest += file.read() if file else ""
            *lines, rest = rest.split("\n")
            at = time.monotonic()
            for line in filter(is_step, map(json.loads, lines)):
                resident, own = use_of(process.pid)
                steps.append(Step(at, line, resident, own, machine_seconds() - own))
            if is_over:
                break
            if at > deadline:
                raise Failure(f"{name} has not ended within {SECONDS_MAX} s")
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=POLL_SECONDS)
    finally:
        stop(process)
        if file:
            file.close()
    if process.returncode != 0:
        tail = "".join(open(log, errors="replace").readlines()[-12:])
        raise Failure(f"{name} failed with exit code {process.returncode}; its last lines:\n{tail}")
    return steps


def values_of(name, case, steps, phases_of):
    """A run's values by row, over all of its steps but the first."""
    if len(steps) != case["steps"]:
        raise Failure(f"{name} reported {len(steps)} steps instead of {case['steps']}")
    first, last, counted = steps[0], steps[-1], steps[1:]
    seconds = last.at - first.at
    phases = [phases_of(step.line) for step in counted]
    sums = {key: sum(phase[key] for phase in phases) for key in phases[0]}
    prompt, response = sums["prompt_tokens"], sums["response_tokens"]
    responses = case["prompts"] * case["group_size"] * len(counted)
    generate, learn = sums["generate_seconds"], sums["learn_seconds"]
    return {
        "step s": seconds / len(counted),
        "generation s": generate / len(counted),
        "learning s": learn / len(counted),
        "rest s": (seconds - generate - learn) / len(counted),
        "generation tokens/s": response / generate,
        "learning tokens/s": (prompt + response) / learn,
        "processor s": (last.own_seconds - first.own_seconds) / len(counted),
        "memory GB": max(step.resident for step in steps) / 1e9,
        "others, cores": (last.others_seconds - first.others_seconds) / seconds,
        "prompt tokens": prompt / responses,
        "response tokens": response / responses,
    }


def run_troupe(program, case, folder):
    job, home = folder / "job.toml", folder / "home"
    job.write_text(JOB.format(**case))
    steps = ended_steps("Troupe", [program, "run", job, "--home", home], os.environ,
                        home / "metrics.jsonl", folder / "troupe.log",
                        lambda line: line.get("stage") == "grpo")
    if any(step.line["skipped"] for step in steps):
        raise Failure("Troupe skipped a step")
    return values_of("Troupe", case, steps, lambda line: {
        "generate_seconds": line["timing_s/gen"],
        "learn_seconds": line["timing_s/update_actor"],
        "prompt_tokens": line["tokens/learned"] - line["tokens/generated"],
        "response_tokens": line["tokens/generated"],
    })


def run_peer(python, case, folder):
    settings, report = folder / "settings.json", folder / "report.jsonl"
    settings.write_text(json.dumps({**case, "report": str(report), "folder": str(folder / "trl")}))
    threads = str(case["threads"])
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    steps = ended_steps("TRL", [python, HERE / "peer_grpo.py", settings], environment, report,
                        folder / "trl.log", lambda line: True)
    return values_of("TRL", case, steps, lambda line: line)


# What both sides are given.


def rows_of_case(name, count, troupe, gsm8k, work):
    """`count` problems as {prompt, gold}; none where the data are not there."""
    if name == "short":
        folder = work / "arithmetic"
        made = subprocess.run([troupe, "make-data", "arithmetic", "--task", "natural", "--operands",
                               "3-4", "--out", folder], capture_output=True, text=True)
        if made.returncode != 0:
            raise Failure(f"troupe make-data failed: {made.stderr.strip()}")
        path = folder / "train.jsonl"
    else:
        path = gsm8k
        if not path.exists():
            return None
    with open(path) as file:
        rows = [json.loads(line) for line, _ in zip(file, range(count))]
    if len(rows) < count:
        raise Failure(f"{path} has {len(rows)} problems; {count} are needed")
    if name == "short":
        return rows
    return [{"prompt": row["question"], "gold": row["answer"].rpartition("####")[2].strip()}
            for row in rows]


def case_settings(name, options, work):
    """Writes model and prompts of a case; None where it cannot be run."""
    case = dict(CASES[name], threads=options.threads, steps=1 + options.steps, seed=SEED,
                learning_rate=LEARNING_RATE)
    if options.peer_microbatch:
        case["peer_microbatch"] = options.peer_microbatch
    rows = rows_of_case(name, case["prompts"] * case["steps"], options.troupe, options.gsm8k, work)
    if rows is None:
        return None
    data = work / f"{name}.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = options.model
    if model is None:
        model = work / f"{name}-model"
        say(f"{name}: writing a model of random weights")
        random_model.write_model(model, [row["prompt"] for row in rows], SEED)
    return {**case, "data": str(data), "model": str(model.resolve())}


def check_peer(python):
    """Its versions; a failure in words where a package is missing."""
    code = f"""import importlib, json
print(json.dumps({{name: importlib.import_module(name).__version__ for name in {PACKAGES}}}))"""
    try:
        ran = subprocess.run([python, "-c", code], capture_output=True, text=True)
    except OSError as error:
        raise Failure(f"the peer's Python cannot be run: {error}") from None
    if ran.returncode != 0:
        why = (ran.stderr.strip().splitlines() or ["no reason was given"])[-1]
        raise Failure(f"{python} cannot import {', '.join(PACKAGES)}: {why}")
    return json.loads(ran.stdout.splitlines()[-1])


def install(folder):
    """A virtual environment with the peer; its interpreter."""
    python = folder / "bin/python"
    say(f"installing {', '.join(PACKAGES)} in {folder}; torch alone is some gigabytes")
    for command in ([sys.executable, "-m", "venv", folder],
                    [python, "-m", "pip", "install", "--quiet", *PACKAGES]):
        if subprocess.run(command, stdout=sys.stderr).returncode != 0:
            raise Failure(f"the peer could not be installed in {folder}")
    return python


# What a person is shown.


def spread(values):
    values = sorted(values)
    return {"median": statistics.median(values), "min": values[0], "max": values[-1]}


def summary(runs):
    """Per row and side the spread over the runs, and that of the quotients of each turn."""
    result = {}
    for row in runs["Troupe"][0]:
        result[row] = {side: spread([run[row] for run in of_side])
                       for side, of_side in runs.items() if of_side}
        if runs["TRL"] and row not in NOT_COMPARED:
            pairs = zip(runs["TRL"], runs["Troupe"])
            result[row]["TRL / Troupe"] = spread([a[row] / b[row] for a, b in pairs])
    return result


def check_lengths(runs):
    for row in ("prompt tokens", "response tokens"):
        means = {side: statistics.mean(run[row] for run in of_side)
                 for side, of_side in runs.items() if of_side}
        if max(means.values()) > (1 + LENGTH_DIFFERENCE_MAX) * min(means.values()):
            raise Failure(f"the sides had different work: mean {row} were " + ", ".join(
                f"{mean:.1f} ({side})" for side, mean in means.items()))


def table(name, case, repeats, rows):
    sides = list(rows["step s"])
    lines = [f"{name}: {case['prompts']} prompts x {case['group_size']} responses x "
             f"{case['response_tokens']} tokens, bf16, {case['threads']} threads; medians of "
             f"{repeats} runs of {case['steps'] - 1} counted steps (min..max)", "",
             " " * 22 + "".join(f"{side:>26}" for side in sides)]
    for row, digits in ROWS.items():
        cells = []
        for side in sides:
            cells.append("")
            if side in rows[row]:
                places = 2 if "/" in side else digits
                # Adding 0 makes no number -0.
                median, low, high = (f"{round(rows[row][side][of], places) + 0:,.{places}f}"
                                     for of in ("median", "min", "max"))
                cells[-1] = f"{median} ({low}..{high})"
        lines.append((f"{row:22}" + "".join(f"{cell:>26}" for cell in cells)).rstrip())
    return "\n".join(lines)


def processor():
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        return next((line.partition(":")[2].strip() for line in file
                     if line.startswith("model name")), platform.machine())
    return platform.machine()


def measure(name, options, python, work):
    """Settings, runs and summary of a case; None where the data are not there."""
    case = case_settings(name, options, work)
    if case is None:
        return None
    runs = {"Troupe": [], "TRL": []}
    for turn in range(options.repeats):
        sides = [("Troupe", lambda folder: run_troupe(options.troupe, case, folder))]
        if python:
            sides.append(("TRL", lambda folder: run_peer(python, case, folder)))
        for side, run in sides:
            folder = work / f"{name}-{turn}-{side}"
            folder.mkdir()
            runs[side].append(run(folder))
            say(f"{name}: {side}, run {turn + 1} of {options.repeats}: " + ", ".join(
                f"{key} {value:.4g}" for key, value in runs[side][-1].items()))
            shutil.rmtree(folder)  # A checkpoint with its recovery point is 2 GB.
    check_lengths(runs)
    return {"settings": {key: case[key] for key in (*CASES[name], "threads", "steps")},
            "runs": runs, "summary": summary(runs)}


def parsed_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    peer = parser.add_mutually_exclusive_group()
    peer.add_argument("--peer", metavar="PYTHON", help="an interpreter that imports TRL")
    peer.add_argument("--install", metavar="DIR", type=pathlib.Path,
                      help="makes a virtual environment with TRL there and takes it")
    parser.add_argument("--case", choices=[*CASES, "all"], default="short")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each side (3)")
    parser.add_argument("--steps", type=int, default=2, help="counted steps of a run (2)")
    parser.add_argument("--threads", type=int, default=2, help="of each side (2)")
    parser.add_argument("--peer-microbatch", type=int, metavar="N",
                        help="responses that TRL learns at once (short: 48, long: 8)")
    parser.add_argument("--model", metavar="DIR", type=pathlib.Path,
                        help="a Hugging Face folder instead of random weights")
    parser.add_argument("--gsm8k", metavar="FILE", type=pathlib.Path, default=GSM8K,
                        help="its train.jsonl, for the long case")
    parser.add_argument("--troupe", metavar="PROGRAM", type=pathlib.Path,
                        default=ROOT / "build/troupe")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    options = parser.parse_args()
    if min(options.repeats, options.steps, options.threads) < 1:
        parser.error("--repeats, --steps and --threads must be at least 1")
    options.cases = list(CASES) if options.case == "all" else [options.case]
    for name in options.cases:
        responses = CASES[name]["prompts"] * CASES[name]["group_size"]
        if options.peer_microbatch is not None and (
                options.peer_microbatch < 1 or responses % options.peer_microbatch):
            parser.error(f"--peer-microbatch must divide the {responses} responses of a step")
    return options


def main():
    options = parsed_options()
    report = {"machine": f"{processor()}, {os.cpu_count()} cores", "cases": {}}
    try:
        if not os.access(options.troupe, os.X_OK):
            raise Failure(f"there is no program {options.troupe}; build it or name it by --troupe")
        python = install(options.install) if options.install else options.peer
        if python:
            report["peer"] = check_peer(python)
        with tempfile.TemporaryDirectory(prefix="grpo_step_") as folder:
            for name in options.cases:
                result = measure(name, options, python, pathlib.Path(folder))
                if result is None:
                    say(f"{name}: skipped, {options.gsm8k} is not there; --gsm8k names it")
                    continue
                report["cases"][name] = result
    except Failure as failure:
        say(f"grpo_step.py: {failure}")
        return 1
    if options.json:
        print(json.dumps(report, indent=1))
        return 0
    versions = ", ".join(f"{name} {version}" for name, version in report.get("peer", {}).items())
    print("; ".join(filter(None, [report["machine"], versions])))
    for name, result in report["cases"].items():
        print("\n" + table(name, result["settings"], options.repeats, result["summary"]))
    return 0


if __name__ == "__main__":
    # As an exception, so that what was started is stopped and what was written removed.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(1))
    sys.exit(main())
