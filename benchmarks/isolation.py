"""What a screen costs the engine: echo latency headless, with a terminal process, and inline.

    python benchmarks/isolation.py [--seconds 20] [--rate 500]

A server on loopback sends `--rate` depth-sized frames a second and measures how long the engine's
loop takes to answer each: that is the time until an engine could have reacted. Three engines take
turns with it: alone, with a terminal in a process of its own attached over the Desk link, and with
the terminal in the same event loop.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import os
import pty
import struct
import sys
import tempfile
import termios
import time
from pathlib import Path

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

HEAD = '{"echo":%d,"pad":"' + "x" * 1400 + '"}'


class Echoes(WSListener):
    """The server's side of one engine's connection."""

    def __init__(self, arrivals: asyncio.Queue[Echoes]) -> None:
        self.latencies_us: list[float] = []
        self.transport: WSTransport | None = None
        self._arrivals = arrivals

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        self._arrivals.put_nowait(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.TEXT:
            sent_ns = json.loads(frame.get_payload_as_bytes())["echo"]
            self.latencies_us.append((time.perf_counter_ns() - sent_ns) / 1000.0)

    async def burst(self, seconds: float, rate: float) -> list[float]:
        """Sends at a steady rate; the latencies of what came back."""
        assert self.transport is not None
        self.latencies_us.clear()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        sent = 0
        while loop.time() - begun < seconds:
            self.transport.send(WSMsgType.TEXT, (HEAD % time.perf_counter_ns()).encode())
            sent += 1
            await asyncio.sleep(max(0.0, begun + sent / rate - loop.time()))
        await asyncio.sleep(0.5)
        return sorted(self.latencies_us)


ENGINE = """
import asyncio, json, sys
from hftmm import cli
from hftmm.transport.websocket import StreamConnection
from hftmm.transport import driver
url = sys.argv.pop(1)
run = driver.Driver.run
async def with_echo(self, *args, **kwargs):
    connection = None
    def answer(frame, last):
        connection.send(b'{"echo":%d}' % json.loads(frame)["echo"])
    def opened(made):
        nonlocal connection
        connection = made
    await StreamConnection.connect(url, answer, lambda reason: None, on_open=opened)
    await run(self, *args, **kwargs)
driver.Driver.run = with_echo
cli.main(sys.argv[1:])
"""


async def started(
    url: str, arguments: list[str], arrivals: asyncio.Queue[Echoes], terminal: bool
) -> tuple[asyncio.subprocess.Process, Echoes]:
    """An engine with the echo beside its own work, and its connection."""
    process = await spawn(["-c", ENGINE, url, *arguments], terminal)
    async with asyncio.timeout(60):
        echoes = await arrivals.get()
    return process, echoes


async def spawn(arguments: list[str], terminal: bool) -> asyncio.subprocess.Process:
    """A Python process, on a terminal of its own if it needs one."""
    if not terminal:
        return await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdout=asyncio.subprocess.DEVNULL
        )
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 60, 200, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "200", "LINES": "60"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    loop = asyncio.get_running_loop()

    def drain() -> None:
        try:
            os.read(ours, 65536)
        except OSError:
            # The process is gone, and its terminal with it.
            loop.remove_reader(ours)
            os.close(ours)

    loop.add_reader(ours, drain)
    return process


async def ended(process: asyncio.subprocess.Process) -> None:
    """Ends a process."""
    process.terminate()
    await process.wait()


async def measure(seconds: float, rate: float) -> None:
    arrivals: asyncio.Queue[Echoes] = asyncio.Queue()
    server = await ws_create_server(lambda _: Echoes(arrivals), "127.0.0.1", 0)
    url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    rows: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "engine.sock"
        headless = ["--headless", "--socket", str(socket)]
        engine, echoes = await started(url, headless, arrivals, terminal=False)
        await asyncio.sleep(5.0)
        rows["headless"] = await echoes.burst(seconds, rate)
        viewer = await spawn(["-m", "hftmm", "attach", str(socket)], terminal=True)
        await asyncio.sleep(5.0)
        rows["terminal attached"] = await echoes.burst(seconds, rate)
        await ended(viewer)
        await ended(engine)
    engine, echoes = await started(url, ["--inline"], arrivals, terminal=True)
    await asyncio.sleep(5.0)
    rows["inline"] = await echoes.burst(seconds, rate)
    await ended(engine)
    server.close()
    base = rows["headless"]
    print(f"{'echo latency, us':20}{'p50':>10}{'p90':>10}{'p99':>10}{'p99 ratio':>12}")
    for name, values in rows.items():
        ranks = [values[int(len(values) * rank)] for rank in (0.5, 0.9, 0.99)]
        ratio = ranks[2] / base[int(len(base) * 0.99)]
        print(f"{name:20}{ranks[0]:10.0f}{ranks[1]:10.0f}{ranks[2]:10.0f}{ratio:12.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=500.0)
    options = parser.parse_args()
    asyncio.run(measure(options.seconds, options.rate))


if __name__ == "__main__":
    main()
