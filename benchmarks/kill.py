"""How long a kill takes under load: to the last cancel on the wire, and until all is verified.

    python -m benchmarks.kill [--trials 200] [--others 5] [--pause 4] [--flood CAPTURE]
        [--intensity 1] [--rate 4500]

An engine trades on practice venues with both strategies on. The venues share the processor with
it, and are what limits the load they make; the rest of it are recorded frames of three venues
that arrive in the same event loop, see `flood.py`. A viewer sends `Kill`; the engine notes when
the first cancel of each order and listing was handed to its socket, and any order after that. Then
the venues themselves are asked, by REST, what is open. The same is done by `hftmm kill`, and by
`hftmm kill --direct` while the engine is stopped by SIGSTOP.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from hftmm.assembly import direct_kill
from hftmm.assembly.rest_account import RestAccount
from hftmm.config import load
from hftmm.core.errors import Unavailable
from hftmm.desk.commands import Command, Kill, Rearm, Toggle
from hftmm.desk.snapshot import DeskSnapshot
from hftmm.transport.http import HttpClient
from hftmm.transport.link import LinkDesk, ask, look

LIMIT_MS = 20.0
CHECKED_EVERY = 10
"""Trials after which the venues are asked from here too: lists of open orders weigh much there."""
STRATEGIES = ("cross mm", "arbitrage", "hedger")

ENGINE = """
import asyncio, pathlib, re, sys, time
from benchmarks import flood
from hftmm import cli
from hftmm.desk.commands import Kill
from hftmm.transport import driver, http, websocket
notes, waiting = sys.argv.pop(1), []
capture, url = sys.argv.pop(1), sys.argv.pop(1)
ours = re.compile(rb"hm01[a-z0-9]{3,}")
listing = re.compile(rb'(?:symbol|instId)"?[=:]"?([A-Z-]+)')
send, request = websocket.StreamConnection.send, http.HttpClient.request
def note(*words):
    # Written when the event is over: a write costs more than what is measured.
    if not waiting:
        asyncio.get_running_loop().call_soon(write)
    waiting.append(" ".join(map(str, words)))
def write():
    with open(notes, "a") as file:
        file.write("\\n".join(waiting) + "\\n")
    waiting.clear()
def sent(self, frame):
    done = send(self, frame)
    now_ns, name = time.time_ns(), ours.search(frame)
    if name and re.search(b'cancel|place|create|"order"', frame):
        what = "cancel" if b"cancel" in frame else "order"
        note(what, name[0].decode(), now_ns)
    return done
async def requested(self, url, **words):
    reply = await request(self, url, **words)
    about = listing.search(url.encode() + words.get("body", b""))
    if about and (words.get("method") == "DELETE" or "cancel-" in url):
        path = url.partition("?")[0]
        note("cancel", f"{path}?{about[1].decode()}", reply.sent_ns)
    return reply
run, asked = driver.Driver.run, driver.Driver.asked
async def flooded(self, *args, **words):
    taken = await flood.join(pathlib.Path(capture), url) if url else [0]
    async def tell():
        while True:
            begun_s, before = time.monotonic(), taken[0]
            await asyncio.sleep(2.0)
            rate = (taken[0] - before) / (time.monotonic() - begun_s)
            note("rate", round(rate), time.time_ns())
    telling = asyncio.create_task(tell())
    await run(self, *args, **words)
    telling.cancel()
def heard(self, viewer, command):
    if not isinstance(command, Kill):
        return asked(self, viewer, command)
    heard_ns, cpu_ns = time.time_ns(), time.thread_time_ns()
    answer = asked(self, viewer, command)
    note("heard", "-", heard_ns)
    note("cpu", time.thread_time_ns() - cpu_ns, heard_ns)
    return answer
driver.Driver.run, driver.Driver.asked = flooded, heard
websocket.StreamConnection.send = sent
http.HttpClient.request = requested
cli.main(sys.argv[1:])
"""


@dataclass
class Trials:
    """What was measured.

    Attributes:
        by_id_ms: to the last cancel of a known order on the wire. last_ms: to the last of all, bulk
            ones included. zero_ms: until verified, by venue.
        heard_ms: until the engine was told. cpu_ms: its CPU from there to the last cancel by id.
        rates: frames a second besides those of the venues.
    """

    heard_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    rates: list[int] = field(default_factory=list)

    by_id_ms: list[float] = field(default_factory=list)
    last_ms: list[float] = field(default_factory=list)
    cancels: list[int] = field(default_factory=list)
    zero_ms: dict[str, list[float]] = field(default_factory=dict)
    orders_after: int = 0
    left_open: int = 0


class Bench:
    """An engine under load, its venues, and a way to each."""

    def __init__(
        self, folder: Path, accounts: Sequence[RestAccount], engine_pid: int, pause_s: float
    ) -> None:
        self.folder = folder
        self.pause_s = pause_s
        self.socket = folder / "hftmm" / "engine.sock"
        self.accounts = accounts
        self.engine_pid = engine_pid
        self.environment = {**os.environ, "XDG_STATE_HOME": str(folder), "HOME": str(folder)}

    async def tell(self, command: Command) -> None:
        answer = await ask(self.socket, command)
        assert answer.accepted, answer

    async def until(self, state: str) -> DeskSnapshot:
        while True:
            try:
                snapshot = await look(self.socket)
            except Unavailable:
                await asyncio.sleep(0.5)
                continue
            killed = snapshot.kill
            if snapshot.state == state and (killed is None or killed.done):
                return snapshot
            await asyncio.sleep(0.05)

    async def trade(self) -> None:
        """Armed, with every strategy on, for a while."""
        await self.tell(Rearm("ARM"))
        for name in STRATEGIES:
            await self.tell(Toggle(name, on=True))
        await asyncio.sleep(self.pause_s)

    async def killed(self, begun_ns: int, trials: Trials) -> None:
        """Waits for the end of a kill, and takes its times."""
        snapshot = await self.until("KILLED")
        assert snapshot.kill is not None
        first: dict[str, int] = {}
        for line in (self.folder / "notes").read_text().splitlines():
            what, name, ns = line.split()
            if what == "rate":
                trials.rates.append(int(name))
            elif int(ns) >= begun_ns and what == "cancel":
                first.setdefault(name, int(ns))
            elif int(ns) >= begun_ns and what == "heard":
                trials.heard_ms.append((int(ns) - begun_ns) / 1e6)
            elif int(ns) >= begun_ns and what == "cpu":
                trials.cpu_ms.append(int(name) / 1e6)
        if by_id := [ns for name, ns in first.items() if "?" not in name]:
            trials.by_id_ms.append((max(by_id) - begun_ns) / 1e6)
        if first:
            trials.last_ms.append((max(first.values()) - begun_ns) / 1e6)
        trials.cancels.append(len(first))
        for row in snapshot.kill.venues:
            trials.zero_ms.setdefault(row.venue, []).append(row.zero_ms or 0.0)
        for line in (self.folder / "notes").read_text().splitlines():
            what, _, ns = line.split()
            trials.orders_after += what == "order" and int(ns) > snapshot.kill.ns
        if len(trials.cancels) % CHECKED_EVERY == 1:
            trials.left_open += await self.open_orders()
        (self.folder / "notes").write_text("")

    async def open_orders(self) -> int:
        """By the venues' own word."""
        found = [await account.open_orders() for account in self.accounts]
        return sum(map(len, found))

    async def command(self, *words: str) -> list[str]:
        """Runs hftmm kill; its lines."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "hftmm", "kill", *words, "--config", str(self.folder / "config.toml")),
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
        )
        told, _ = await process.communicate()
        assert process.returncode == 0, told.decode()
        return told.decode().splitlines()


async def measure(
    trials: int, others: int, intensity: float, pause_s: float, flood: tuple[Path, float] | None
) -> None:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "config.toml").write_text(f"[practice]\nintensity = {intensity}\n")
        (folder / "notes").touch()
        environment = {**os.environ, "XDG_STATE_HOME": str(folder), "HOME": str(folder)}
        config = ("--config", str(folder / "config.toml"))
        venues = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "hftmm", "venues", *config),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
        )
        stack.push_async_callback(ended, venues)
        assert venues.stdout is not None
        described = folder / "described.json"
        described.write_bytes(await venues.stdout.readline())
        source = ("", "")
        if flood is not None:
            capture, rate = flood
            flooding = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "benchmarks.flood", str(capture), "--rate", str(rate)),
                stdout=asyncio.subprocess.PIPE,
            )
            stack.push_async_callback(ended, flooding)
            assert flooding.stdout is not None
            source = (str(capture.resolve()), (await flooding.stdout.readline()).decode().strip())
        engine = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", ENGINE, str(folder / "notes"), *source, "--headless"),
            *("--venues", str(described), *config),
            env=environment,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=(folder / "engine.log").open("wb"),
        )
        stack.push_async_callback(ended, engine)
        http = await stack.enter_async_context(HttpClient())
        settings = load(folder / "config.toml")
        doors, _ = direct_kill.doors(settings, described, {})
        accounts = [
            RestAccount(door, settings.markets.symbols, http, time.time_ns)
            for door in doors.values()
        ]
        for account in accounts:
            await account.open()
        bench = Bench(folder, accounts, engine.pid, pause_s)
        snapshot = await bench.until("ARMED")
        print(
            f"load: {snapshot.frames_per_s:.0f} frames/s; orders and listings canceled, times in ms"
        )
        await bench.tell(Kill("benchmark"))
        await bench.until("KILLED")
        await by_viewer(bench, trials)
        await by_command(bench, others)
        await by_rest(bench, others)


async def ended(process: asyncio.subprocess.Process) -> None:
    """Ends a process."""
    process.terminate()
    await process.wait()


async def by_viewer(bench: Bench, number: int) -> None:
    trials = Trials()
    viewer = await LinkDesk.connect(bench.socket)
    for _ in range(number):
        await bench.trade()
        begun_ns = time.time_ns()
        viewer.send(Kill("benchmark"))
        await bench.killed(begun_ns, trials)
    await viewer.close()
    load = (await look(bench.socket)).frames_per_s
    more = _mean(trials.rates)
    print(f"key, {number} trials, {load:.0f} + {more:.0f} frames/s from venues and recording,")
    print(f"  {_mean(trials.cancels):.1f} cancels each, load average {os.getloadavg()[0]:.1f}")
    print(f"  until the engine was told: {_ranks(trials.heard_ms)}")
    print(f"  its CPU from there until every order's cancel is sent: {_ranks(trials.cpu_ms)}")
    print(f"  to the last order's cancel on the wire: {_ranks(trials.by_id_ms)}")
    print(
        f"  to the last of all, bulk included: {_ranks(trials.last_ms)}, p99 limit {LIMIT_MS:.0f}"
    )
    for venue, times in trials.zero_ms.items():
        print(f"  {venue} verified zero: {_ranks(times)}")
    print(f"  orders after a kill: {trials.orders_after}; open at the venues: {trials.left_open}")


async def by_command(bench: Bench, number: int) -> None:
    trials = Trials()
    for _ in range(number):
        await bench.trade()
        begun_ns = time.time_ns()
        await bench.command()
        await bench.killed(begun_ns, trials)
    print(f"hftmm kill, {number} trials, start of its process included")
    print(f"  to the last cancel on the wire: {_ranks(trials.last_ms)}")
    print(f"  orders after a kill: {trials.orders_after}; open at the venues: {trials.left_open}")


async def by_rest(bench: Bench, number: int) -> None:
    took_ms, left = [], 0
    for _ in range(number):
        await bench.trade()
        os.kill(bench.engine_pid, signal.SIGSTOP)
        begun_s = time.perf_counter()
        try:
            await bench.command("--direct")
            took_ms.append((time.perf_counter() - begun_s) * 1000.0)
            left += await bench.open_orders()
        finally:
            os.kill(bench.engine_pid, signal.SIGCONT)
        await bench.until("KILLED")
        left += await bench.open_orders()
    print(f"hftmm kill --direct, engine stopped, {number} trials: {_ranks(took_ms)} for all of it")
    print(f"  open at the venues, before and after the engine woke up: {left}")


def _ranks(values: list[float]) -> str:
    ordered = sorted(values)
    if not ordered:
        return "nothing was canceled"
    p50, p99 = (ordered[min(len(ordered) - 1, int(len(ordered) * rank))] for rank in (0.5, 0.99))
    return f"p50 {p50:.1f}, p99 {p99:.1f}, most {ordered[-1]:.1f}"


def _mean(values: list[int]) -> float:
    return sum(values) / len(values) if values else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--others", type=int, default=5)
    parser.add_argument("--intensity", type=float, default=1.0)
    parser.add_argument("--flood", type=Path, help="a recording of one Binance linear market")
    parser.add_argument("--rate", type=float, default=4_500.0, help="of its frames, a second")
    # Shorter ones run into the venues' limits for lists of open orders.
    parser.add_argument("--pause", type=float, default=4.0)
    options = parser.parse_args()
    # Who ends this ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    flood = None if options.flood is None else (options.flood, options.rate)
    asyncio.run(measure(options.trials, options.others, options.intensity, options.pause, flood))


if __name__ == "__main__":
    main()
