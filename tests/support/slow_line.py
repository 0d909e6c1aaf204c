"""A TCP line with a rate and a delay, each way: what comes in at one address goes on to another."""

import argparse
import asyncio
import collections

PIECE = 16 << 10


async def carry(reader, writer, bytes_per_second, delay):
    """Every piece leaves `delay` seconds after the line had time for it, all in their order.

    A line holds what is under way for the delay and a little more; who sends faster has to wait.
    """
    loop = asyncio.get_running_loop()
    under_way = collections.deque()
    room = asyncio.Semaphore(max(4, int(bytes_per_second * (delay + 0.05)) // PIECE))
    arrived = asyncio.Event()

    async def deliver():
        while True:
            while not under_way:
                arrived.clear()
                await arrived.wait()
            at, piece = under_way.popleft()
            await asyncio.sleep(at - loop.time())
            room.release()
            if not piece:
                writer.close()
                return
            writer.write(piece)
            await writer.drain()

    delivering = asyncio.create_task(deliver())
    free_at = loop.time()
    try:
        while piece := await reader.read(PIECE):
            await room.acquire()
            free_at = max(free_at, loop.time()) + len(piece) / bytes_per_second
            under_way.append((free_at + delay, piece))
            arrived.set()
    except ConnectionError:
        pass
    under_way.append((loop.time() + delay, b""))
    arrived.set()
    await asyncio.gather(delivering, return_exceptions=True)


async def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", required=True, help="ADDRESS:PORT")
    parser.add_argument("--to", required=True, help="ADDRESS:PORT")
    parser.add_argument("--mbit", type=float, required=True, help="megabits per second, each way")
    parser.add_argument("--delay-ms", type=float, required=True, help="each way")
    options = parser.parse_args()
    host, port = options.listen.rsplit(":", 1)
    to_host, to_port = options.to.rsplit(":", 1)
    rate, delay = options.mbit * 1e6 / 8, options.delay_ms / 1e3

    async def serve(reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection(to_host, int(to_port))
        except OSError:
            writer.close()
            return
        await asyncio.gather(
            carry(reader, far_writer, rate, delay), carry(far_reader, writer, rate, delay)
        )

    server = await asyncio.start_server(serve, host, int(port))
    async with server:
        await server.serve_forever()


asyncio.run(main())
