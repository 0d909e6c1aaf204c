"""Strangers at every port: they come without a key, say something, and listen.

    python3 strangers.py TRIES ADDRESS:PORT...

Each port is tried equally often, in seven ways: silence, the greetings of ZeroMQ's three
mechanisms, HTTP, TLS without a certificate, and bytes that mean nothing. What a protocol says
before it knows whom it speaks to (a greeting, an error, a handshake) is no answer; every other
byte is counted.
Prints one line of JSON: {"tries", "connected", "greeted", "bytes"}.
"""

import asyncio
import json
import random
import ssl
import sys

AT_ONCE = 200
LISTEN_SECONDS = 0.3
WAYS = 7


def greeting(mechanism):
    text = b"\xff" + bytes(8) + b"\x7f\x03\x00" + mechanism.ljust(20, b"\0") + bytes(32)
    assert len(text) == 64
    return text


def words(way, rng):
    ready = b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"
    return {
        0: b"",
        1: greeting(b"NULL") + ready,
        2: greeting(b"PLAIN") + b"\x04\x0f\x05HELLO\x04user\x04pass",
        3: greeting(b"CURVE") + b"\x04\xc8\x05HELLO\x01\x00" + rng.randbytes(192),
        4: b"GET / HTTP/1.1\r\nHost: troupe\r\n\r\n",
        6: rng.randbytes(rng.randrange(1, 400)),
    }[way]


async def listen(reader):
    heard = b""
    try:
        async with asyncio.timeout(LISTEN_SECONDS):
            while chunk := await reader.read(65536):
                heard += chunk
    except (TimeoutError, OSError, ssl.SSLError):
        pass
    return heard


def answer_in(heard):
    """What is behind a greeting of ZeroMQ and its error, or an alert of TLS."""
    if heard[:1] == b"\xff":
        rest = heard[64:] if len(heard) > 64 else b""
        is_error = rest[:1] == b"\x04" and rest[2:8] == b"\x05ERROR"
        return rest[2 + rest[1]:] if is_error else rest
    if heard[:1] == b"\x15" and len(heard) >= 5:
        return heard[5 + int.from_bytes(heard[3:5], "big"):]
    return heard


async def one_try(address, port, way, rng, counts):
    counts["tries"] += 1
    context = None
    if way == 5:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_connection(address, port, ssl=context)
    except (TimeoutError, OSError, ssl.SSLError):
        return
    counts["connected"] += 1
    try:
        # Over TLS every byte that can be read is an answer.
        writer.write(b"anything" if context else words(way, rng))
        heard = await listen(reader)
        counts["greeted"] += heard != b""
        counts["bytes"] += len(heard) if context else len(answer_in(heard))
    finally:
        writer.transport.abort()


async def main():
    tries = int(sys.argv[1])
    places = [place.rsplit(":", 1) for place in sys.argv[2:]]
    rng = random.Random(1)
    counts = {"tries": 0, "connected": 0, "greeted": 0, "bytes": 0}
    room = asyncio.Semaphore(AT_ONCE)

    async def bounded(i):
        async with room:
            address, port = places[i % len(places)]
            await one_try(address, int(port), i // len(places) % WAYS, rng, counts)

    await asyncio.gather(*(bounded(i) for i in range(tries)))
    print(json.dumps(counts))


asyncio.run(main())
