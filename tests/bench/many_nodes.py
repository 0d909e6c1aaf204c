"""Daemons of many hosts join one head: how long that takes, and what the head needs afterwards.

    tests/bench/many_nodes.py build/troupe --nodes 64 --slots 8
"""

import argparse
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def processor_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid):
    pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("troupe")
    parser.add_argument("--nodes", type=int, default=64)
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--idle-seconds", type=float, default=20)
    parser.add_argument("--patience-seconds", type=float, default=120)
    options = parser.parse_args()
    troupe = os.path.realpath(options.troupe)
    trouped = os.path.join(os.path.dirname(troupe), "trouped")

    with tempfile.TemporaryDirectory() as folder:
        keys = f"{folder}/keys"

        def troupe_does(*words):
            return subprocess.run([troupe, *words], check=True, capture_output=True, text=True)

        troupe_does("keys", "init", "--keys", keys)
        for i in range(options.nodes):
            troupe_does("keys", "node", f"n{i}", "--keys", keys, "--out", f"{folder}/n{i}.key")
        users, nodes = free_port(), free_port()
        log = open(f"{folder}/log", "w")
        processes = []

        def start(*words):
            processes.append(subprocess.Popen([trouped, *words], stdout=log, stderr=log))
            return processes[-1]

        def hosts_up():
            reply = subprocess.run(
                [troupe, "nodes", "--json", "--server", f"{folder}/door"],
                capture_output=True,
                text=True,
            )
            if reply.returncode != 0:
                return 0
            return sum(1 for host in json.loads(reply.stdout) if host["state"] == "up")

        def wait_for(count):
            until = time.monotonic() + options.patience_seconds
            while hosts_up() < count:
                if time.monotonic() > until:
                    raise SystemExit(f"{hosts_up()} of {count} hosts are up; {folder}/log says why")
                time.sleep(0.05)

        try:
            head = start(
                "--home", f"{folder}/head", "--server", f"{folder}/door", "--keys", keys,
                "--listen", f"127.0.0.1:{users}", "--listen-nodes", f"127.0.0.1:{nodes}",
                "--slots", "1",
            )  # fmt: skip
            wait_for(1)
            before = processor_seconds(head.pid)
            began = time.monotonic()
            for i in range(options.nodes):
                start(
                    "--join", f"127.0.0.1:{nodes}", "--key", f"{folder}/n{i}.key",
                    "--home", f"{folder}/n{i}", "--slots", str(options.slots),
                )  # fmt: skip
            wait_for(options.nodes + 1)
            joined = time.monotonic() - began
            joining = processor_seconds(head.pid) - before
            before, node_before = processor_seconds(head.pid), processor_seconds(processes[1].pid)
            time.sleep(options.idle_seconds)
            head_share = (processor_seconds(head.pid) - before) / options.idle_seconds
            node_share = (processor_seconds(processes[1].pid) - node_before) / options.idle_seconds
            print(
                f"{options.nodes} daemons of {options.slots} slots: all joined after {joined:.1f} s"
                f" (processes started included), {joining:.2f} processor seconds of the head;"
                f" afterwards the head needs {100 * head_share:.1f} % of a core and"
                f" {resident_mb(head.pid):.0f} MB, a node {100 * node_share:.1f} % and"
                f" {resident_mb(processes[1].pid):.0f} MB"
            )
        finally:
            for process in processes:
                process.send_signal(signal.SIGKILL)
            for process in processes:
                process.wait()


main()
