"""A journal that cannot be written, under a whole engine: nothing new leaves, nothing is lost."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from hftmm.config import Config, MarketsConfig, PracticeConfig
from hftmm.desk.commands import Place
from hftmm.sim.ledger import DEMO
from hftmm.storage import journal as journal_module
from hftmm.venues.effects import Note
from tests.engines import PERP
from tests.processes import Home
from tests.wired import Wired, wired

VENUES = ("binance", "bybit", "okx")
CONFIG = Config(
    markets=MarketsConfig(symbols=(PERP,)),
    practice=PracticeConfig(lag_ms=tuple((venue, 0) for venue in VENUES)),
)


def taking(engine: Wired, venue: str) -> Place:
    """An order that trades at once."""
    ask = engine.engine.markets[PERP].book.best_ask
    return Place(venue, PERP, "buy", str(int(ask * 1.001)), "0.01", "ioc")


def status(engine: Wired) -> tuple[str, str]:
    line = json.loads(engine.driver.status())
    return line["state"], line["state_reason"]


def executed(engine: Wired) -> set[str]:
    """Client ids of what the venues' brokers have traded."""
    brokers = [served.peer.broker for served in engine.venues._venues.values()]
    return {
        execution.order.client_id or ""
        for broker in brokers
        if broker is not None
        for execution in broker.accounts[DEMO.account].executions
    }


def written(path: Path) -> set[str]:
    """The same as the file has it."""
    with closing(sqlite3.connect(path)) as connection:
        return {name for (name,) in connection.execute("SELECT client_id FROM fills")}


async def check_halt(engine: Wired, word: str) -> None:
    """The journal has just failed, or will with the next word: trades go on to be booked, in
    memory; nothing new leaves, and everybody reads why.
    """
    for venue in VENUES:
        assert engine.tell(taking(engine, venue)).accepted
    await engine.until(lambda: engine.journal.failure)
    reason = engine.journal.failure
    assert word in reason
    assert reason.startswith(str(engine.journal.path))
    assert reason.endswith("; new orders wait, nothing is lost")
    # The fills come all the same, and are booked.
    await engine.until(lambda: engine.trading.office.trades >= len(VENUES))
    assert not executed(engine) & written(engine.journal.path)
    assert status(engine) == ("HALTED", reason)
    answer = engine.tell(taking(engine, "okx"))
    assert (answer.accepted, answer.text) == (False, f"account: {reason}")
    await engine.until(lambda: engine.log("desk"))
    assert engine.log("desk") == [f"journal: {reason}"]


async def check_it_goes_on(engine: Wired) -> None:
    """The journal can be written again."""
    await engine.until(lambda: not engine.journal.failure)
    await engine.until(lambda: "journal: everything is written again" in engine.log("desk", "info"))
    await engine.until(lambda: written(engine.journal.path) == executed(engine))
    assert engine.journal.dropped == 0
    assert status(engine) == ("ARMED", "")
    known = engine.trading.office.trades
    assert engine.tell(taking(engine, "okx")).accepted
    await engine.until(lambda: engine.trading.office.trades > known)
    await engine.until(lambda: written(engine.journal.path) == executed(engine))


async def test_a_locked_journal_halts_new_orders_and_loses_no_fill(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    async with wired(CONFIG, path) as engine:
        await engine.armed()
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            await check_halt(engine, "locked")
            other.execute("ROLLBACK")
        await check_it_goes_on(engine)


@contextmanager
def full_disk(engine: Wired, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """The file cannot grow, by whichever connection."""
    real = journal_module._connected

    def limited(path: Path) -> sqlite3.Connection:
        connection = real(path)
        connection.execute("PRAGMA max_page_count = 1")
        return connection

    patch.setattr(journal_module, "_connected", limited)
    engine.journal._connection.execute("PRAGMA max_page_count = 1")
    # What is left of the last page is soon used up.
    engine.journal.noted(Note("info", "desk", "", "long" * 5_000, 0))
    yield
    patch.setattr(journal_module, "_connected", real)


async def test_a_full_disk_halts_new_orders_and_loses_no_fill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with wired(CONFIG, tmp_path / "journal.sqlite") as engine:
        await engine.armed()
        with full_disk(engine, monkeypatch):
            await check_halt(engine, "full")
        await check_it_goes_on(engine)


def test_a_second_engine_on_one_journal_is_refused_in_one_line(tmp_path: Path) -> None:
    home = Home.made(
        tmp_path, '[engine]\nstatus_every_s = 0.1\n[markets]\nsymbols = ["BTC/USDT"]\n'
    )
    with home.started("venues") as serving:
        assert serving.process.stdout is not None
        file = tmp_path / "described.json"
        file.write_text(serving.process.stdout.readline())
        words = ("--headless", "--venues", str(file))
        with home.started(*words) as first:
            first.armed()
            second = home.run(*words, "--socket", str(tmp_path / "other.sock"))
            assert second.returncode == 1
            assert second.stdout == ""
            (line,) = second.stderr.splitlines()
            (journal,) = (tmp_path / "hftmm").glob("journal-*.sqlite")
            assert line == f"hftmm: {journal}.intents: another engine writes this journal"
            assert first.armed()["state"] == "ARMED"
            assert first.end() == 0
