"""A real browser on the real page: a daemon with jobs, Chromium driven over WebDriver.

    python3 dashboard_browser.py TROUPE [--pictures DIR]

Exit code 77: there is no Chromium here. With --pictures the page is kept as PNG files.
"""

import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

JOB = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support", "short_job.toml")
PATIENCE_S = 60


def wait(what, holds):
    end = time.monotonic() + PATIENCE_S
    while True:
        value = holds()
        if value:
            return value
        if time.monotonic() > end:
            raise SystemExit(f"dashboard_browser: {what}: not within {PATIENCE_S} s")
        time.sleep(0.1)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Browser:
    """A page of headless Chromium."""

    def __init__(self, folder):
        port = free_port()
        self.base = f"http://127.0.0.1:{port}"
        self.driver = subprocess.Popen(
            ["chromedriver", f"--port={port}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait("chromedriver", self.is_ready)
        options = {
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1300,1000",
                     f"--user-data-dir={folder}"],
        }
        wanted = {"alwaysMatch": {"goog:chromeOptions": options,
                                  "goog:loggingPrefs": {"browser": "ALL"}}}
        session = self.ask("POST", "/session", {"capabilities": wanted})["sessionId"]
        self.base += "/session/" + session

    def is_ready(self):
        try:
            return self.ask("GET", "/status")["ready"]
        except OSError:
            return False

    def ask(self, method, path, body=None):
        data = None if method == "GET" else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.base + path, method=method, data=data,
                                         headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as reply:
            return json.load(reply)["value"]

    def open(self, url):
        self.ask("POST", "/url", {"url": "about:blank"})
        self.ask("POST", "/url", {"url": url})

    def run(self, script):
        return self.ask("POST", "/execute/sync", {"script": script, "args": []})

    def key(self, key):
        action = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self.ask("POST", "/actions",
                 {"actions": [{"type": "key", "id": "keyboard", "actions": action}]})

    def resize(self, width, height):
        self.ask("POST", "/window/rect", {"width": width, "height": height})

    def picture(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.ask("GET", "/screenshot")))

    def complaints(self):
        """What the browser says of the page's own code, not of a head that was away."""
        return [one["message"] for one in self.ask("POST", "/se/log", {"type": "browser"})
                if "ERR_CONNECTION" not in one["message"] and "ERR_INCOMPLETE" not in one["message"]
                and "503" not in one["message"] and "ERR_EMPTY" not in one["message"]]

    def end(self):
        self.ask("DELETE", "")
        self.driver.terminate()
        self.driver.wait()


class Daemon:
    def __init__(self, troupe, folder):
        self.troupe = troupe
        self.folder = folder
        self.port = free_port()
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [os.path.join(os.path.dirname(self.troupe), "trouped"),
             "--home", f"{self.folder}/daemon", "--server", f"{self.folder}/door", "--slots", "1",
             "--dashboard", f"127.0.0.1:{self.port}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait("the daemon", self.is_there)

    def is_there(self):
        try:
            return self.ask("/api/cluster") is not None
        except OSError:
            return False

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def url(self, place=""):
        return f"http://127.0.0.1:{self.port}/{place}"

    def ask(self, path):
        with urllib.request.urlopen(self.url(path[1:]), timeout=10) as reply:
            return json.load(reply)

    def submit(self, *settings):
        words = [self.troupe, "submit", f"{self.folder}/job.toml", "--json", "--server",
                 f"{self.folder}/door"]
        for one in settings:
            words += ["--set", one]
        return json.loads(subprocess.run(words, check=True, capture_output=True).stdout)["id"]

    def state(self, job):
        return self.ask(f"/api/jobs/{job}")["job"]["state"]


def check(what, holds):
    if not holds:
        raise SystemExit(f"dashboard_browser: not so: {what}")
    print("ok:", what, flush=True)


def drive(troupe, folder, pictures):
    subprocess.run([troupe, "make-data", "arithmetic", "--out", f"{folder}/data"], check=True,
                   stdout=subprocess.DEVNULL)
    shutil.copy(JOB, f"{folder}/job.toml")
    with contextlib.ExitStack() as ends:
        daemon = Daemon(troupe, folder)
        ends.callback(daemon.end)
        browser = Browser(f"{folder}/browser")
        ends.callback(browser.end)
        look(daemon, browser, folder, pictures)


def look(daemon, browser, folder, pictures):
    count = lambda css: browser.run(f"return document.querySelectorAll({json.dumps(css)}).length")
    text = lambda css: browser.run(f"return document.querySelector({json.dumps(css)})?.innerText")

    def keep(name):
        if pictures:
            time.sleep(1)
            browser.picture(f"{pictures}/{name}.png")

    finished = daemon.submit("grpo.steps=40", "eval.every_steps=10")
    wait("the first job ends", lambda: daemon.state(finished) == "finished")
    running = daemon.submit("grpo.steps=1000000", "seed=2", "eval.every_steps=200")
    browser.open(daemon.url())
    wait("two jobs are listed", lambda: count("tr[data-href]") == 2)
    check("the newest job is listed first", f"#/job/{running}" == browser.run(
        "return document.querySelector('tr[data-href]').dataset.href"))
    keep("cluster")

    # By keyboard: the second row, opened; up again.
    for key in "jj\ue007":
        browser.key(key)
    wait("Enter opens a job", lambda: browser.run("return location.hash") == f"#/job/{finished}")
    charts = lambda: browser.run(
        "return [...document.querySelectorAll('.chart:not([hidden]) canvas')].length")
    wait("curves are drawn", lambda: charts() > 10)
    check("a line was drawn on a chart", browser.run("""
        const canvas = document.querySelector('.chart:not([hidden]) .plot canvas');
        const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        return data.some((value) => value !== 0);"""))
    browser.key("u")
    wait("u goes up", lambda: browser.run("return location.hash") == "#/")

    browser.open(daemon.url(f"#/job/{running}"))
    wait("the running job moves", lambda: "step" in (text(".facts") or ""))
    before = text(".facts")
    wait("numbers change by themselves", lambda: text(".facts") != before)
    wait("the timeline is drawn", lambda: count(".timeline") == 1)
    keep("job")

    # Traces: a bin of the histogram, a group, a token.
    def rewards(round_):
        groups = daemon.ask(f"/api/jobs/{finished}/rounds/{round_}")["groups"]
        return {sample["reward"] for group in groups for sample in group["samples"]}

    rounds = daemon.ask(f"/api/jobs/{finished}/rounds")["rounds"]
    varied = next(one for one in rounds if len(rewards(one)) > 1)
    browser.open(daemon.url(f"#/job/{finished}/traces?round={varied}"))
    wait("groups are listed", lambda: count("tr[data-href]") > 0)
    whole = int(text("main > p.quiet").split()[0])
    browser.run("[...document.querySelectorAll('.histogram button')]"
                ".find((one) => one.style.height !== '0%').click()")
    left = int(text("main > p.quiet").split()[0])
    check("a click on a bar leaves only its rewards", 0 < left < whole)
    check("the address says what is seen", "bin=" in browser.run("return location.hash"))
    address = browser.run("return location.href")
    browser.open(address)
    wait("a link reopens it", lambda: count(".histogram button[aria-pressed=true]") == 1)
    browser.run("document.querySelector('tr[data-href]').click()")
    wait("a group is open", lambda: count(".sample .model-text span") > 0)
    wait("a held-out problem over versions", lambda: "version" in (text("main") or ""))
    keep("traces")

    # What a model writes is text, whatever it is.
    hostile = ["<img src=x onerror=document.title='taken'>",
               "<script>document.title='taken'</script>", "\u001b[31mred", "\u202eabc",
               "y" * 1_000_000]
    kept = f"{folder}/daemon/jobs/{finished}/traces"
    part = {"name": "<b>part</b>", "kind": "equal", "value": 1, "weight": 1, "reason": "<i>why</i>"}
    sample = {"sample": 0, "reward": 1.0, "parts": [part], "length": 5, "is_cut": False,
              "is_shortened": False, "versions": [[0, 1]], "texts": hostile, "logprobs": [-1] * 5}
    group = {"round": 999, "ordinal": 0, "prompt": hostile[0], "gold": hostile[1],
             "samples": [sample]}
    with open(f"{kept}/999.jsonl", "w", encoding="utf-8") as file:
        file.write(json.dumps(group) + "\n")
    browser.open(daemon.url(f"#/job/{finished}/traces?round=999&group=0"))
    wait("the hostile group is open", lambda: count(".sample .model-text span") == 5)
    check("nothing of it became markup", count("main img") == 0 and count("main i") == 0
          and count("main script") == 0 and browser.run("return document.title") == "Troupe")
    shown = browser.run("return document.querySelector('.sample .model-text').textContent")
    check("it is shown as text", hostile[0] in shown and "\\u{1b}" in shown
          and "\\u{202e}" in shown and "y" * 1_000_000 in shown)
    os.remove(f"{kept}/999.jsonl")

    # Compare, by another colour, on a phone.
    browser.open(daemon.url(f"#/compare/{finished},{running}"))
    wait("two jobs are compared", lambda: charts() > 4)
    browser.key("d")
    theme = browser.run("return document.documentElement.dataset.theme")
    check("d is for the dark", theme == "dark")
    keep("compare_dark")
    browser.resize(420, 900)
    browser.open(daemon.url(f"#/job/{running}"))
    wait("curves on a phone", lambda: charts() > 4)
    check("nothing is wider than the phone", browser.run(
        "return document.documentElement.scrollWidth <= window.innerWidth"))
    keep("phone")

    # The head is killed and comes back: the page goes on by itself.
    daemon.kill()
    wait("the page says that the head is away", lambda: "away" in (text("#link-state") or ""))
    daemon.start()
    wait("the page goes on by itself",
         lambda: text("#link-state") == "" and count(".failure") == 0)
    complaints = browser.complaints()
    check(f"the browser has nothing to complain of {complaints}", complaints == [])


def main():
    if not shutil.which("chromedriver") or not shutil.which("chromium"):
        print("no chromium or no chromedriver here")
        sys.exit(77)
    troupe = os.path.abspath(sys.argv[1])
    pictures = sys.argv[3] if len(sys.argv) > 3 else None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        drive(troupe, folder, pictures)


main()
