"""The Python client against a real daemon: at its own sockets and over the network.

    python3 python_client.py TROUPE

pyzmq and pycapnp come from PyPI into a folder beside the program. Exit code 77: they cannot be had
here.
"""

import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
JOB = os.path.join(HERE, "..", "support", "short_job.toml")
CLIENTS = os.path.join(HERE, "..", "..", "cluster", "clients")
WANTED = ["pyzmq==27.3.0", "pycapnp==2.2.4"]
# Keys that a job file and the schema call differently, and one of each kind.
MORE = {"data": 'columns = { prompt = "prompt" }\nshuffle = false\n',
        "sft": "balance_bias_rate = 0.02\npart_shares = [0.75, 0.25]\n",
        "optimizer": "betas = [0.9, 0.98]\n",
        "schedule": "[storage]\ncopies = 1\n",
        "eval": "[resources]\nthreads_per_worker = 1\n"}


def python_with_packages(folder):
    python = os.path.join(folder, "bin", "python")
    if os.path.exists(python):
        found = subprocess.run([python, "-c", "import zmq, capnp"], capture_output=True)
        if found.returncode == 0:
            return python
    made = subprocess.run([sys.executable, "-m", "venv", folder], capture_output=True)
    if made.returncode != 0:
        return None
    installed = subprocess.run([python, "-m", "pip", "install", "--quiet", *WANTED],
                               capture_output=True)
    return python if installed.returncode == 0 else None


def write_job(path):
    with open(JOB) as file:
        text = file.read()
    for table, keys in MORE.items():
        header = f"[{table}]\n"
        assert header in text
        text = (text.replace(header, keys + header) if keys.startswith("[")
                else text.replace(header, header + keys))
    with open(path, "w") as file:
        file.write(text)


def serve(troupe, *words):
    """A daemon that has begun to serve, and what it said."""
    daemon = subprocess.Popen(["trouped", *words], executable=troupe, stderr=subprocess.PIPE,
                              text=True)
    said = ""
    for line in daemon.stderr:
        said += line
        if "serving" in line:
            return daemon, said
    raise AssertionError("no daemon: " + said)


def follow(client, job):
    """Watches it to its end; each event is told once, in order, from the first to the last."""
    events = list(client.watch(job))
    assert client.show(job)["state"] == "finished", client.show(job)
    numbers = [event["sequence"] for event in events]
    assert numbers == sorted(set(numbers)), numbers
    kinds = [next(kind for kind in ("started", "progressed", "stepped", "evaluated", "sampled",
                                    "noted", "ended") if kind in event) for event in events]
    assert kinds[0] == "started" and "ended" in kinds and kinds.count("stepped") == 6, kinds
    return events


def check_local(client_type, refused, troupe, folder):
    door, job = os.path.join(folder, "door"), os.path.join(folder, "job.toml")
    client = client_type(door)
    first = client.submit(job, request_id="once")
    assert client.submit(job, request_id="once") == first
    events = follow(client, first)
    said = subprocess.run([troupe, "submit", job, "--json", "--server", door],
                          capture_output=True, text=True, check=True)
    second = json.loads(said.stdout)["id"]
    same = follow(client, second)
    # The same job, key by key, and so the same weights.
    assert events[0]["started"]["job"] == same[0]["started"]["job"]
    assert events[0]["started"]["job"]["schedule"]["checkpointCopies"] == 1
    jobs = {one["id"]: one for one in client.jobs()}
    assert set(jobs) == {first, second}
    assert jobs[first]["state"] == jobs[second]["state"] == "finished"
    assert jobs[first]["weightsSha256"] == jobs[second]["weightsSha256"] != ""
    traces = client.traces(first)
    assert len(traces) == 3 and all(one["prompt"] and "response" in one for one in traces)
    for wrong in ({"show": {"id": 99}}, {"submit": {"requestId": "x", "job": {"name": "/"}}}):
        try:
            client.ask(**wrong)
            raise AssertionError("this was taken: " + str(wrong))
        except refused as error:
            assert str(error)


def check_network(client_type, troupe, folder, port, keys):
    subprocess.run([troupe, "keys", "user", "olga", "--operator", "--keys", keys, "--out",
                    os.path.join(folder, "olga.key")], check=True, capture_output=True)
    client = client_type(f"127.0.0.1:{port}", os.path.join(folder, "olga.key"))
    assert client.ask(showServer={})["server"]["name"] == "olga"
    job = client.submit(os.path.join(folder, "job.toml"))
    follow(client, job)
    assert client.show(job)["owner"] == "olga"
    assert len(client.jobs()) == 3
    assert len(client.traces(job)) == 3


def check(troupe):
    sys.path.insert(0, CLIENTS)
    from troupe_client import Client, Refused
    with open(os.path.join(CLIENTS, "troupe_client.py")) as file:
        assert len(file.readlines()) <= 150
    with tempfile.TemporaryDirectory() as folder:
        keys = os.path.join(folder, "keys")
        subprocess.run([troupe, "make-data", "arithmetic", "--out", folder + "/data", "--train",
                        "200", "--cold-start-clean", "200", "--cold-start-noisy", "100",
                        "--held-out", "20"], check=True, capture_output=True)
        write_job(folder + "/job.toml")
        subprocess.run([troupe, "keys", "init", "--keys", keys], check=True, capture_output=True)
        daemon, said = serve(troupe, "--home", folder + "/daemon", "--server", folder + "/door",
                             "--slots", "1", "--keys", keys, "--listen", "127.0.0.1:0")
        try:
            check_local(Client, Refused, troupe, folder)
            port = re.search(r"serving .*? and 127.0.0.1:(\d+)", said).group(1)
            check_network(Client, troupe, folder, port, keys)
        finally:
            daemon.kill()
            daemon.wait()
    print("ok: submitted, watched and read, at the daemon's sockets and over the network")


def main():
    troupe = os.path.abspath(sys.argv[1])
    if len(sys.argv) == 3:
        check(troupe)
        return
    python = python_with_packages(os.path.join(os.path.dirname(troupe), "python_client"))
    if python is None:
        print("pyzmq and pycapnp cannot be had from PyPI here")
        sys.exit(77)
    sys.exit(subprocess.run([python, os.path.abspath(__file__), troupe, "--check"]).returncode)


if __name__ == "__main__":
    main()
