"""How soon the dashboard's page shows something, what it weighs, and what strangers cost.

    python3 dashboard_page.py TROUPE [FEED_SECONDS [HOSTILE_REQUESTS]]

A daemon with eight jobs that each have four hours of history, a step and two samples a second, and
a real Chromium. For the list of jobs, a job and the comparison of all eight: the seconds from the
request until the page has drawn what it is for, and the bytes that came. Then a job that runs, and
the page's memory over its feed (600 s). Then a client that asks 20 times a second, alone and beside
hostile requests (100,000). Needs chromium and chromedriver.
"""

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))

from dashboard_browser import JOB, Browser, Daemon, wait  # noqa: E402
from urllib.parse import urlparse  # noqa: E402
import http.client  # noqa: E402
import socket  # noqa: E402

JOBS = 8
SECONDS_OF_HISTORY = 4 * 3600
BYTES = """return performance.getEntries()
    .filter((one) => "transferSize" in one).reduce((sum, one) => sum + one.transferSize, 0)"""
CHARTS = "return document.querySelectorAll('.chart:not([hidden]) canvas').length > 4"
ROWS = "return document.querySelectorAll('tr[data-href]').length > 0"


def lengthen(home):
    """The metrics of a job of seconds as those of one of four hours."""
    path = f"{home}/metrics.jsonl"
    with open(path, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    step = [one for one in lines if one.get("stage") == "grpo"][-1]
    evaluation = [one for one in lines if "eval/pass_at_1" in one][-1]
    sample = [one for one in lines if "workers/ready" in one][-1]
    began = time.time() - SECONDS_OF_HISTORY
    with open(path, "w", encoding="utf-8") as file:
        for second in range(SECONDS_OF_HISTORY):
            at = {"policy_version": second + 1, "time": began + second}
            news = [step | at | {"step": second + 1, "reward/mean": random.random()},
                    sample | {"time": began + second}, sample | {"time": began + second + 0.5}]
            if second % 120 == 0:
                news.append(evaluation | at)
            file.writelines(json.dumps(one) + "\n" for one in news)
    return os.path.getsize(path)


def paint(browser, daemon, name, place, is_there):
    """Seconds until it is drawn, in a page that has nothing yet."""
    browser.open("about:blank")
    browser.ask("POST", "/goog/cdp/execute",
                {"cmd": "Network.clearBrowserCache", "params": {}})
    began = time.monotonic()
    browser.ask("POST", "/url", {"url": daemon.url(place)})
    wait(name, lambda: browser.run(is_there))
    took = time.monotonic() - began
    print(f"{name}: {took:.2f} s, {browser.run(BYTES) / 1000:.0f} kB", flush=True)


def heap(browser):
    browser.ask("POST", "/goog/cdp/execute",
                {"cmd": "HeapProfiler.collectGarbage", "params": {}})
    found = browser.ask("POST", "/goog/cdp/execute",
                        {"cmd": "Runtime.getHeapUsage", "params": {}})
    return found["usedSize"] / 1e6


def ask_often(port, seconds, is_over):
    """Seconds of each answer, of a client that keeps its connection."""
    took = []
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    end = time.monotonic() + seconds
    while not is_over() and time.monotonic() < end:
        began = time.monotonic()
        client.request("GET", "/api/cluster")
        assert client.getresponse().read()
        took.append(time.monotonic() - began)
        time.sleep(max(0, 0.05 - took[-1]))
    took.sort()
    return took[len(took) // 2] * 1000, took[int(len(took) * 0.99)] * 1000


def hostile(port, requests):
    rng = random.Random(1)
    good = b"GET /api/jobs/1/curves?of=steps&names=a HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for _ in range(requests):
        text = bytearray(good)
        for _ in range(rng.randrange(1, 9)):
            text[rng.randrange(len(text))] = rng.randrange(256)
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as one:
            one.sendall(text[:rng.randrange(1, len(text) + 1)])


def measure(troupe, folder, feed_seconds, requests):
    subprocess.run([troupe, "make-data", "arithmetic", "--out", f"{folder}/data"], check=True,
                   stdout=subprocess.DEVNULL)
    shutil.copy(JOB, f"{folder}/job.toml")
    with contextlib.ExitStack() as ends:
        daemon = Daemon(troupe, folder)
        ends.callback(lambda: daemon.end())
        jobs = [daemon.submit("grpo.steps=4", "eval.every_steps=2", f"seed={seed}")
                for seed in range(1, JOBS + 1)]
        for job in jobs:
            wait("a job ends", lambda job=job: daemon.state(job) == "finished")
        daemon.end()
        size = sum(lengthen(f"{folder}/daemon/jobs/{job}") for job in jobs)
        print(f"{JOBS} jobs with {size / 1e6:.0f} MB of metrics")
        browser = Browser(f"{folder}/browser")
        ends.callback(browser.end)
        # The first one to look after a restart waits for the files to be read; then nobody does.
        for when in ("first", "again"):
            if when == "first":
                daemon.start()
            paint(browser, daemon, f"{when}: the jobs", "", ROWS)
            paint(browser, daemon, f"{when}: a job", f"#/job/{jobs[0]}", CHARTS)
            paint(browser, daemon, f"{when}: all compared",
                  "#/compare/" + ",".join(map(str, jobs)), CHARTS)
        running = daemon.submit("grpo.steps=10000000", "eval.every_steps=1000")
        wait("a job runs", lambda: daemon.state(running) == "running")
        browser.open(daemon.url(f"#/job/{running}"))
        wait("it is drawn", lambda: browser.run(CHARTS))
        for tick in range(7):
            print(f"the page after {tick * feed_seconds // 6} s of feed: {heap(browser):.1f} MB",
                  flush=True)
            time.sleep(feed_seconds / 6 if tick < 6 else 0)
        browser.open("about:blank")
        port = urlparse(daemon.url()).port
        alone = ask_often(port, 20, lambda: False)
        attack = threading.Thread(target=lambda: subprocess.run(
            [sys.executable, __file__, "--hostile", str(port), str(requests)], check=True))
        began = time.monotonic()
        attack.start()
        beside = ask_often(port, 3600, lambda: not attack.is_alive())
        print(f"an answer takes {alone[0]:.1f} ms, p99 {alone[1]:.1f} ms; beside {requests} "
              f"hostile requests in {time.monotonic() - began:.0f} s {beside[0]:.1f} ms, "
              f"p99 {beside[1]:.1f} ms: {beside[1] / alone[1]:.1f} x")


def main():
    if sys.argv[1] == "--hostile":
        hostile(int(sys.argv[2]), int(sys.argv[3]))
        return
    given = [int(one) for one in sys.argv[2:]] + [600, 100_000][len(sys.argv) - 2:]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        measure(os.path.abspath(sys.argv[1]), folder, *given)


if __name__ == "__main__":
    main()
