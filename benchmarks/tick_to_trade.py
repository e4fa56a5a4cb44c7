"""From a frame to the bytes of the order it led to, headless and with a terminal, over loopback.

    python -m benchmarks.tick_to_trade [--seconds 30] [--turns 4] [--intensity 2]

An engine trades on practice venues in a process of their own, both strategies on. It notes which
frame it has in hand whenever an order or a change goes to a socket; the venues note when that frame
went to theirs, and when the order was read from it. All processes read the same clock. A terminal
is attached every other turn, to the same engine.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.isolation import ended, spawn
from hftmm.core.errors import Unavailable
from hftmm.desk.commands import Command, Toggle
from hftmm.transport.link import ask, look

STRATEGIES = ("cross mm", "arbitrage", "hedger")
TERMINAL_S = 5.0
"""What a terminal takes to start."""
SETTLE_S = 3.0

# A note is kept until the event loop is idle again: writing it costs more than what is measured.
NOTES = """
import asyncio, re, sys, time, zlib
from hftmm import cli
path, waiting = sys.argv.pop(1), []
ours = re.compile(rb"hm01[a-z0-9]{3,}")
order = re.compile(rb"order\\.(?:place|amend|modify|create)|batch|amend-order|\\"op\\":\\"order\\"")
def note(*words):
    if not waiting:
        asyncio.get_running_loop().call_later(0.5, write)
    waiting.append(" ".join(map(str, words)))
def write():
    with open(path, "a") as file:
        file.write("\\n".join(waiting) + "\\n")
    waiting.clear()
def ordered(frame):
    found = ours.search(frame)
    return found[0].decode() if found and order.search(frame) and b"cancel" not in frame else ""
"""

ENGINE = (
    NOTES
    + """
from hftmm.transport import driver, websocket
connect, send = websocket.StreamConnection.connect, websocket.StreamConnection.send
hand = None
def watched(on_frame):
    def taken(frame, last_in_read):
        global hand
        hand = (frame, time.time_ns(), time.thread_time_ns())
        try:
            on_frame(frame, last_in_read)
        finally:
            hand = None
    return taken
async def connected(cls, url, on_frame, *args, **words):
    return await connect(url, watched(on_frame), *args, **words)
def sent(self, frame):
    send(self, frame)
    if hand is not None and (name := ordered(frame)):
        cpu_ns, sent_ns = time.thread_time_ns() - hand[2], time.time_ns()
        note(zlib.crc32(frame), zlib.crc32(hand[0]), sent_ns - hand[1], cpu_ns)
websocket.StreamConnection.connect = classmethod(connected)
websocket.StreamConnection.send = sent
cli.main(sys.argv[1:])
"""
)

VENUES = (
    NOTES
    + """
from hftmm.sim import faults, server
write_frame, received = server._Connection.write, faults.FaultyPeer.received
async def written(self, push):
    note("out", zlib.crc32(push.frame), time.time_ns())
    return await write_frame(self, push)
def taken(self, connection, message, now_ns):
    frame = message if isinstance(message, bytes) else message.encode()
    if ordered(frame):
        note("in", zlib.crc32(frame), time.time_ns())
    return received(self, connection, message, now_ns)
server._Connection.write = written
faults.FaultyPeer.received = taken
cli.main(sys.argv[1:])
"""
)


@dataclass
class Times:
    """Microseconds to the bytes of an order: from the frame in hand to the engine's socket, the CPU
    of that, and from the venue's socket to the venue's.
    """

    hand_us: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    wire_us: list[float] = field(default_factory=list)


@dataclass
class Bench:
    """An engine and its venues, and what they noted."""

    folder: Path

    @property
    def socket(self) -> Path:
        return self.folder / "hftmm" / "engine.sock"

    async def tell(self, command: Command) -> None:
        answer = await ask(self.socket, command)
        assert answer.accepted, answer

    async def armed(self) -> None:
        while True:
            try:
                if (await look(self.socket)).state == "ARMED":
                    return
            except Unavailable:
                pass
            await asyncio.sleep(0.5)

    async def turn(self, seconds: float, times: Times) -> None:
        """Lets it trade for so long, and adds what was noted meanwhile."""
        for name in ("engine", "venues"):
            (self.folder / name).write_text("")
        await asyncio.sleep(seconds)
        went: dict[str, int] = {}
        came: dict[str, int] = {}
        for line in (self.folder / "venues").read_text().splitlines():
            way, crc, ns = line.split()
            # A frame that went to two connections: the first is what the engine acted on.
            (went if way == "out" else came).setdefault(crc, int(ns))
        for line in (self.folder / "engine").read_text().splitlines():
            order, frame, hand_ns, cpu_ns = line.split()
            times.hand_us.append(int(hand_ns) / 1e3)
            times.cpu_us.append(int(cpu_ns) / 1e3)
            if frame in went and order in came:
                times.wire_us.append((came[order] - went[frame]) / 1e3)


async def process(
    script: str, notes: Path, environment: Mapping[str, str], *arguments: str, told: int
) -> asyncio.subprocess.Process:
    """A hftmm that notes what passes. Args: told: where its standard output goes."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, str(notes), *arguments),
        env=environment,
        stdout=told,
        stderr=asyncio.subprocess.DEVNULL,
    )


async def measure(seconds: float, turns: int, intensity: float) -> None:
    headless, attached = Times(), Times()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        config = folder / "config.toml"
        config.write_text(f"[practice]\nintensity = {intensity}\n")
        environment = {**os.environ, "XDG_STATE_HOME": str(folder), "HOME": str(folder)}
        bench = Bench(folder)
        venues = await process(
            *(VENUES, folder / "venues", environment, "venues", "--config", str(config)),
            told=asyncio.subprocess.PIPE,
        )
        stack.push_async_callback(ended, venues)
        assert venues.stdout is not None
        described = folder / "described.json"
        described.write_bytes(await venues.stdout.readline())
        engine = await process(
            *(ENGINE, folder / "engine", environment, "--headless"),
            *("--venues", str(described), "--config", str(config)),
            told=asyncio.subprocess.DEVNULL,
        )
        stack.push_async_callback(ended, engine)
        await bench.armed()
        for name in STRATEGIES:
            await bench.tell(Toggle(name, on=True))
        await asyncio.sleep(SETTLE_S)
        for _ in range(turns):
            await bench.turn(seconds, headless)
            viewer = await spawn(["-m", "hftmm", "attach", str(bench.socket)], terminal=True)
            try:
                await asyncio.sleep(TERMINAL_S)
                await bench.turn(seconds, attached)
            finally:
                await ended(viewer)
            await asyncio.sleep(SETTLE_S)
        rate = (await look(bench.socket)).frames_per_s
    print(f"{rate:.0f} frames/s, load average {os.getloadavg()[0]:.1f}; microseconds")
    print(f"{'':44}{'orders':>8}{'p50':>8}{'p90':>8}{'p99':>8}{'p99 ratio':>11}")
    for what, one, other in (
        ("frame in hand to order bytes", headless.hand_us, attached.hand_us),
        ("  CPU of it", headless.cpu_us, attached.cpu_us),
        ("venue's socket to venue's socket", headless.wire_us, attached.wire_us),
    ):
        base = _rank(one, 0.99)
        for name, values in ((what, one), ("  with a terminal", other)):
            ranks = "".join(f"{_rank(values, rank):8.0f}" for rank in (0.5, 0.9, 0.99))
            ratio = _rank(values, 0.99) / base if base else 0.0
            print(f"{name:44}{len(values):8}{ranks}{ratio:11.2f}")


def _rank(values: list[float], rank: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * rank))] if ordered else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--intensity", type=float, default=2.0)
    options = parser.parse_args()
    # Who ends this ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    asyncio.run(measure(options.seconds, options.turns, options.intensity))


if __name__ == "__main__":
    main()
