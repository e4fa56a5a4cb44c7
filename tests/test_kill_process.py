"""`hftmm kill` from another process: through an engine, past one that hangs, and after one died."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hftmm.desk.commands import Place, Rearm
from hftmm.desk.snapshot import DeskSnapshot
from hftmm.transport.link import ask, look
from tests.processes import Home, Piped, until

VENUES = ("binance", "bybit", "okx")
CONFIG = """
[engine]
status_every_s = 0.1
[markets]
symbols = ["BTC/USDT:USDT"]
[practice]
lag_ms = {binance = 0, bybit = 0, okx = 0}
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.made(tmp_path, CONFIG)


def shown(home: Home) -> DeskSnapshot:
    return asyncio.run(look(_socket(home)))


def _socket(home: Home) -> Path:
    return home.folder / "hftmm" / "engine.sock"


def live(home: Home) -> int:
    return sum(order.live for order in shown(home).orders)


def rest_orders(home: Home) -> None:
    """An order far below the market at every venue, which its venue has told of."""
    bid = shown(home).nbbo.bid
    assert bid is not None
    for venue in VENUES:
        order = Place(venue, "BTC/USDT:USDT", "buy", str(int(bid * 0.99)), "0.01")
        answer = asyncio.run(ask(_socket(home), order))
        assert answer.accepted, answer
    until(lambda: [order.state for order in shown(home).orders].count("open") == len(VENUES))


@contextmanager
def venues(home: Home) -> Iterator[Path]:
    """Practice venues that outlive an engine, and the file that says where they are."""
    with home.started("venues") as serving:
        assert serving.process.stdout is not None
        file = home.folder / "described.json"
        file.write_text(serving.process.stdout.readline())
        yield file


def until_killed(engine: Piped, why: str) -> None:
    while (line := engine.line())["state"] != "KILLED":
        pass
    assert line["state_reason"] == why


def zeros(text: str) -> list[str]:
    """Venues of which a line says that nothing is left. Without the engine, an order that went
    with its whole listing before it was listed is not counted.
    """
    line = r"^(\w+): (?:0 sent, 0|1 sent, 1) acked, zero at \d+ ms$"
    return sorted(re.findall(line, text, re.MULTILINE))


def test_a_kill_through_the_engine_is_verified_and_outlives_a_restart(home: Home) -> None:
    with venues(home) as file:
        words = ("--headless", "--venues", str(file))
        with home.started(*words) as engine:
            engine.armed()
            rest_orders(home)
            done = home.run("kill")
            assert done.returncode == 0, done.stderr
            assert zeros(done.stdout) == sorted(VENUES), done.stdout
            assert live(home) == 0
            assert engine.end() == 0
        with home.started(*words) as engine:
            until_killed(engine, "hftmm kill")
            until(lambda: asyncio.run(ask(_socket(home), Rearm("ARM"))).accepted)
            engine.armed()
            assert engine.end() == 0


def test_a_direct_kill_passes_an_engine_that_hangs_and_wakes_up_killed(home: Home) -> None:
    with home.started("--headless") as engine:
        engine.armed()
        rest_orders(home)
        engine.process.send_signal(signal.SIGSTOP)
        try:
            done = home.run("kill", "--direct")
        finally:
            engine.process.send_signal(signal.SIGCONT)
        assert done.returncode == 0, done.stdout + done.stderr
        assert zeros(done.stdout) == sorted(VENUES), done.stdout
        assert "engine: no answer within 0.5 s" in done.stdout
        until_killed(engine, "hftmm kill --direct")
        until(lambda: live(home) == 0)
        assert engine.end() == 0


def test_a_direct_kill_cleans_up_after_an_engine_that_died_which_restarts_killed(
    home: Home,
) -> None:
    with venues(home) as file:
        words = ("--headless", "--venues", str(file))
        with home.started(*words) as engine:
            engine.armed()
            rest_orders(home)
            engine.process.kill()
            engine.finish()
        done = home.run("kill", "--direct")
        assert done.returncode == 0, done.stdout + done.stderr
        assert zeros(done.stdout) == sorted(VENUES), done.stdout
        with home.started(*words) as engine:
            until_killed(engine, "hftmm kill --direct")
            assert engine.end() == 0


def test_without_an_engine_a_kill_says_so_and_fails(home: Home) -> None:
    done = home.run("kill")
    assert done.returncode == 1
    assert "no engine runs here" in done.stderr
    done = home.run("kill", "--direct")
    assert done.returncode == 2
    assert "name them by --venues, or another --mode" in done.stderr
