"""What viewers of the dashboard cost a run.

    python3 dashboard_viewers.py TROUPE [IDLE [LIVE [SECONDS]]]

A daemon with one job; IDLE event streams that only listen, LIVE pages that ask each second for what
the page of a job asks for. Prints the CPU seconds a second of the daemon's process, without viewers
and with them, and how long an answer took.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

JOB = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support", "short_job.toml")
STEPS = "reward/mean,accuracy,format,response_length/mean,loss,grad_norm,entropy,kl,ppo_kl"
TIMES = "tokens_per_second/rollout_mean,busy/rollout,busy/learner,queue/waiting,money"


def cpu_seconds(process):
    with open(f"/proc/{process}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def connect(port):
    return await asyncio.open_connection("127.0.0.1", port)


async def get(reader, writer, path):
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    body = await reader.readexactly(size)
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(head.decode() + body.decode())
    return json.loads(body)


async def listen(port):
    reader, writer = await connect(port)
    writer.write(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    while await reader.read(4096):
        pass


async def look(port, job, took):
    reader, writer = await connect(port)
    cursors = {"steps": "", "samples": ""}
    tick = 0
    while True:
        began = time.monotonic()
        await get(reader, writer, f"/api/jobs/{job}")
        if tick % 2 == 0:
            for of, names in (("steps", STEPS), ("samples", TIMES)):
                news = await get(reader, writer,
                                 f"/api/jobs/{job}/curves?of={of}&names={names}{cursors[of]}")
                cursors[of] = "".join(f"&{name}={news[name]}"
                                      for name in ("generation", "bucket", "next"))
            await get(reader, writer, f"/api/jobs/{job}/work?since={int(time.time()) - 2}")
        tick += 1
        took.append(time.monotonic() - began)
        await asyncio.sleep(max(0, 1 - (time.monotonic() - began)))


async def measure(process, port, job, idle, live, seconds):
    took = []
    tasks = [asyncio.create_task(listen(port)) for _ in range(idle)]
    tasks += [asyncio.create_task(look(port, job, took)) for _ in range(live)]
    await asyncio.sleep(3)
    took.clear()
    before, began = cpu_seconds(process), time.monotonic()
    await asyncio.sleep(seconds)
    spent = (cpu_seconds(process) - before) / (time.monotonic() - began)
    failed = sum(one.done() for one in tasks)
    for one in tasks:
        one.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    took.sort()
    return spent, took, failed


def main():
    troupe = os.path.abspath(sys.argv[1])
    given = sys.argv[2:] + ["1000", "50", "20"][len(sys.argv) - 2:]
    idle, live, seconds = (int(one) for one in given)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        subprocess.run([troupe, "make-data", "arithmetic", "--out", f"{folder}/data"], check=True,
                       stdout=subprocess.DEVNULL)
        shutil.copy(JOB, f"{folder}/job.toml")
        daemon = subprocess.Popen(
            [os.path.join(os.path.dirname(troupe), "trouped"), "--home", f"{folder}/home",
             "--server", f"{folder}/door", "--slots", "1", "--dashboard", "127.0.0.1:7099"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(2)
            words = [troupe, "submit", f"{folder}/job.toml", "--json", "--server", f"{folder}/door",
                     "--set", "grpo.steps=10000000"]
            job = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)["id"]
            time.sleep(5)
            alone, _, _ = asyncio.run(measure(daemon.pid, 7099, job, 0, 0, seconds))
            watched, took, failed = asyncio.run(
                measure(daemon.pid, 7099, job, idle, live, seconds))
        finally:
            daemon.terminate()
            daemon.wait()
    middle, slow = (took[int(len(took) * share)] for share in (0.5, 0.99))
    print(f"the head alone {alone:.3f} of a core; with {idle} that listen and {live} that look "
          f"{watched:.3f}: {100 * (watched - alone):.1f} % of a core for viewers; a look takes "
          f"{1000 * middle:.0f} ms (p99 {1000 * slow:.0f} ms); {failed} were hung up on")


main()
