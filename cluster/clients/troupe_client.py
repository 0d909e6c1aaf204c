"""Troupe's front door from Python: submit a job, watch it, read what the model wrote.

    client = Client("/run/user/1000/troupe")                # on the daemon's host, or
    client = Client("head.example.org:7733", "alice.key")   # over the network
    for event in client.watch(client.submit("job.toml")): ...

Messages are those of schemas/control.capnp; cluster/gateway/front_door.h draws the sockets that
they go through. Troupe's folder `schemas` lies as it does there, or is named by TROUPE_SCHEMAS.
"""

import itertools
import os
import time
import tomllib
import uuid

import capnp
import zmq

from job_spec import job_spec

HERE = os.path.dirname(os.path.abspath(__file__))
SCHEMAS = os.environ.get("TROUPE_SCHEMAS", os.path.join(HERE, "..", "..", "schemas"))
capnp.remove_import_hook()
PACKAGES = os.path.dirname(os.path.dirname(capnp.__file__))  # With capnp/c++.capnp.
control = capnp.load(os.path.join(SCHEMAS, "control.capnp"), imports=[PACKAGES])

OVER = ("finished", "failed", "cancelled")
BYTES_MAX = (4 << 20) + 64  # Of a message; larger ones are not accepted.


class Refused(Exception):
    pass


class Client:
    """A daemon, by its folder, or by its address and a user's key. For one thread."""

    def __init__(self, server, key_file=None, patience=10.0):
        self.server, self.patience, self.key = server, patience, None
        if key_file:
            with open(key_file, "rb") as file:
                self.key = tomllib.load(file)
        self.tags = itertools.count(1)
        self.door = self._socket(zmq.DEALER, "control.sock")

    def _socket(self, kind, name):
        socket = zmq.Context.instance().socket(kind)
        socket.linger, socket.maxmsgsize = 0, BYTES_MAX
        if self.key:
            secret = self.key["secret_key"].encode()
            socket.curve_secretkey, socket.curve_publickey = secret, zmq.curve_public(secret)
            socket.curve_serverkey = self.key["head_key"].encode()
            socket.connect("tcp://" + self.server)
        else:
            socket.connect("ipc://" + os.path.join(self.server, name))
        return socket

    def ask(self, **request):
        """One request of control.capnp, as in ask(show={"id": 1}), and its answer."""
        tag = next(self.tags).to_bytes(8, "little")
        message = control.ControlRequest.new_message(**request)
        self.door.send_multipart([tag, message.to_bytes()])
        until = time.monotonic() + self.patience
        while self.door.poll(max(0, int(1000 * (until - time.monotonic())))):
            frames = self.door.recv_multipart()
            if len(frames) == 2 and frames[0] == tag:  # Others answer what was given up.
                answer = read(control.ControlReply, frames[1])
                if "error" in answer:
                    raise Refused(answer["error"]["message"])
                return answer
        # What was asked may have been done; a submission with the same request id is one job.
        raise TimeoutError(f"no answer from {self.server}: is trouped running?")

    def submit(self, job_file, request_id=None):
        """The job's id. Relative paths count from the file's folder; all are the daemon's."""
        request = {"requestId": request_id or str(uuid.uuid4()), "job": job_spec(job_file)}
        answer = self.ask(submit=request)
        return answer["jobs"][0]["id"]

    def jobs(self):
        found, first = [], 0
        while True:
            answer = self.ask(list={"firstId": first})
            found += answer.get("jobs", [])
            if answer["next"] <= first:
                return found
            first = answer["next"]

    def show(self, job):
        return self.ask(show={"id": job})["jobs"][0]

    def history(self, job, first=0):
        """Events that the daemon remembers from number `first` on; old ones are thinned out."""
        while True:
            answer = self.ask(watch={"id": job, "firstSequence": first})
            yield from (read(control.RunEvent, event) for event in answer.get("events", []))
            if not answer.get("events") or answer["next"] <= first:
                return
            first = answer["next"]

    def watch(self, job):
        """Each event once, past and to come, until the job is over."""
        feed, heard, followed_at = self.door, 0, -30
        if not self.key:
            feed = self._socket(zmq.SUB, "feed.sock")
            feed.subscribe(f"job/{job}/")
        while True:
            if self.key and time.monotonic() - followed_at > 10:  # It holds for half a minute.
                followed_at = time.monotonic()
                self.ask(follow={"id": job})
            is_over = self.show(job)["state"] in OVER
            for event in self.history(job, heard + 1):
                if event["sequence"] > heard:
                    heard = event["sequence"]
                    yield event
            if is_over:
                return
            # The feed may lose events, so it only says that there is something to ask for.
            if feed.poll(2000):
                feed.recv_multipart()

    def traces(self, job):
        """Answers to held-out problems, of the newest evaluation: prompt, response, gold."""
        evaluated = [event["evaluated"] for event in self.history(job) if "evaluated" in event]
        return [trace for one in evaluated for trace in one.get("traces", [])]


def read(schema, message):
    with schema.from_bytes(message) as root:
        return root.to_dict()
