"""kill -9 of an engine that trades, at random moments: what it finds out about when it is back.

Five kills here. `make soak` sets HFTMM_KILLS, and HFTMM_CLIENTS to the interpreter that has ccxt:
then that reads the venues as well.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import pytest

from hftmm.desk.commands import Answer, CancelAll, Command, Place, Status, Toggle
from hftmm.desk.snapshot import DeskSnapshot
from hftmm.transport.link import ask, look
from tests.plain_client import LINEAR, SPOT, Account, PlainClient, get_json
from tests.processes import Home, Piped, until

KILLS = int(os.environ.get("HFTMM_KILLS", "5"))
CLIENTS = os.environ.get("HFTMM_CLIENTS", "")
SEED = int(os.environ.get("HFTMM_SEED", "9"))
VENUES = ("binance", "bybit", "okx")
STRATEGIES = ("cross mm", "arbitrage", "hedger")
INSTALLATION = "hm01"
OVERLAP_MS = 2_000
SOON_S = 5.0
PRECISION = Decimal("1e-9")
"""Third-party clients read some amounts as floats."""
# Both strategies trade at a loss, so that orders are always on their way.
CONFIG = f"""
[engine]
status_every_s = 0.1
installation = "{INSTALLATION}"
[markets]
symbols = ["{LINEAR}", "{SPOT}"]
[market_making]
enabled = true
markets = ["{LINEAR}", "{SPOT}"]
min_edge_bps = -8
cancel_edge_bps = -10
target_spread_bps = 0.5
requote_ticks = 0
[arbitrage]
enabled = true
min_profit_bps = -12
max_quantity = 0.02
cooldown_ms = 100
[hedging]
stop_quoting_after_ms = 600_000
flatten_after_ms = 600_000
max_residual = 1_000
[limits]
max_total_position = 50
max_worst_case = 200
max_daily_loss = 1_000_000
max_drawdown = 1_000_000
max_repeats = 100_000
[practice]
intensity = 2
dislocations_per_minute = 60
""" + "".join(f"[venues.{v}]\nmax_position = 50\nmax_daily_loss = 1_000_000\n" for v in VENUES)


Held: TypeAlias = dict[str, dict[str, Decimal]]
"""Base coins by venue and symbol."""


class Reader(Protocol):
    """Reads the three accounts, with the trades since a moment."""

    def read(self, since_ms: int) -> dict[str, Account]: ...


@dataclass
class Tally:
    """What the kills met. Attributes: standing: orders that the venues had open after a kill.
    unsure: orders that the journal had under way. unwritten: trades that it had not heard of.
    """

    kills: int = 0
    standing: int = 0
    unsure: int = 0
    unwritten: int = 0
    trades: int = 0
    starts_s: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        slowest = max(self.starts_s, default=0.0)
        return (
            f"{self.kills} kills: left {self.standing} orders standing and {self.unsure} under "
            f"way, with {self.unwritten} trades unheard of; {self.trades} trades in all; ready "
            f"again within {slowest:.1f} s"
        )


@dataclass
class Desk:
    """An engine's folder, and the practice venues that it trades on."""

    home: Home
    file: Path
    venues: dict[str, Any]

    @property
    def words(self) -> tuple[str, ...]:
        return ("--headless", "--venues", str(self.file))

    @property
    def _socket(self) -> Path:
        return self.home.folder / "hftmm" / "engine.sock"

    def status(self) -> dict[str, Any]:
        """What trades, as a line of status tells it."""
        found: dict[str, Any] = json.loads(self.ask(Status()).text)["trading"]
        return found

    def positions(self) -> dict[tuple[str, str], Decimal]:
        """The engine's, by venue and symbol."""
        told = self.status()["positions"]
        return {
            (venue, symbol): Decimal(told.get(symbol, {}).get(venue, "0"))
            for venue in VENUES
            for symbol in (SPOT, LINEAR)
        }

    def ours(self) -> dict[str, set[str]]:
        """Client ids of orders that live for the engine, by venue."""
        rows = [row for row in self.look().orders if row.live]
        return {venue: {row.client_id for row in rows if row.venue == venue} for venue in VENUES}

    def look(self) -> DeskSnapshot:
        return asyncio.run(look(self._socket))

    def ask(self, command: Command) -> Answer:
        return asyncio.run(ask(self._socket, command))

    def switch(self, on: bool) -> None:
        """Every strategy on or off."""
        for name in STRATEGIES:
            answer = self.ask(Toggle(name, on))
            assert answer.accepted, answer

    def truth(self, venue: str) -> dict[str, Any]:
        """The account as the venue's own broker knows it."""
        found: dict[str, Any] = get_json(f"{self.venues['control']}/account?venue={venue}")
        return found

    def standing(self, venue: str) -> set[str]:
        """Client ids of what the venue has open of ours."""
        ids = {order["client_id"] for order in self.truth(venue)["orders"]}
        return {each for each in ids if each.startswith(INSTALLATION)}

    def traded(self, venue: str) -> list[tuple[str, str]]:
        """(symbol, trade id as the venue tells it) of every execution."""
        return [(one["symbol"], _told_id(venue, one)) for one in self.truth(venue)["executions"]]

    def booked(self, since_ms: int = 0) -> dict[str, list[tuple[str, str]]]:
        """The same of the journal, by venue."""
        found: dict[str, list[tuple[str, str]]] = {venue: [] for venue in VENUES}
        query = "SELECT listing, trade_id FROM fills WHERE venue_ns >= ?"
        for key, trade_id in self._journal(query, since_ms * 1_000_000):
            venue, _, symbol = key.partition(" ")
            found[venue].append((symbol, trade_id))
        return found

    def unsure(self) -> int:
        """Orders of which the journal does not know what became of a request."""
        rows = self._journal(
            "SELECT client_id FROM orders WHERE state IN ('pending_new', 'pending_cancel')"
        )
        return len(rows)

    def _journal(self, query: str, *values: int) -> list[tuple[str, ...]]:
        (file,) = (self.home.folder / "hftmm").glob("journal-*.sqlite")
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            return connection.execute(query, values).fetchall()


def _told_id(venue: str, execution: dict[str, Any]) -> str:
    """Bybit names trades by ids of its own, which end in the number of the execution."""
    if venue != "bybit":
        return str(execution["trade_id"])
    if execution["symbol"] == LINEAR:
        return f"5e1f0000-0000-4000-8000-{execution['id']:012x}"
    return str(2_011_000_000_000_000_000 + execution["id"])


@contextmanager
def desk(folder: Path) -> Iterator[Desk]:
    home = Home.made(folder, CONFIG)
    with home.started("venues") as serving:
        assert serving.process.stdout is not None
        file = folder / "described.json"
        file.write_text(serving.process.stdout.readline())
        yield Desk(home, file, json.loads(file.read_text()))


class Ccxt:
    """The reader in the environment of the third-party clients."""

    def __init__(self, file: Path) -> None:
        script = Path(__file__).parent / "clients" / "reader.py"
        self.process = subprocess.Popen(  # noqa: S603  # our own script
            [CLIENTS, str(script), str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def read(self, since_ms: int) -> dict[str, Account]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{since_ms}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the reader ended"
        told = json.loads(line)
        return {
            venue: Account(
                set(account["orders"]),
                {(symbol, trade) for symbol, trade in account["trades"]},
                {symbol: Decimal(size) for symbol, size in account["held"].items()},
            )
            for venue, account in told.items()
        }

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def ready(engine: Piped) -> None:
    """Waits until it is armed and every account agrees with its venue."""
    while True:
        line = engine.armed()
        if all(account["ready"] for account in line["trading"]["accounts"].values()):
            return


def check_orphans(place: Desk) -> None:
    """While it trades: an order that the venue had before and after we looked is one of ours."""
    before = {venue: place.standing(venue) for venue in VENUES}
    ours = place.ours()
    for venue in VENUES:
        orphans = (before[venue] & place.standing(venue)) - ours[venue]
        assert not orphans, f"{venue} has {orphans}, of which the engine knows nothing"


def check_books(place: Desk, tally: Tally) -> None:
    """With strategies off: orders, trades and positions are those of the venues."""
    place.switch(False)
    until(lambda: not any(row.live and row.strategy in STRATEGIES for row in place.look().orders))
    # The word of a last trade may be on its way. An audit, which finds trades too, comes later.
    deadline = time.monotonic() + SOON_S
    while True:
        booked = place.booked()
        traded = {venue: place.traded(venue) for venue in VENUES}
        if all(sorted(booked[venue]) == sorted(traded[venue]) for venue in VENUES):
            break
        if time.monotonic() > deadline:
            missed = {venue: set(traded[venue]) - set(booked[venue]) for venue in VENUES}
            doubled = {venue: Counter(booked[venue]) - Counter(traded[venue]) for venue in VENUES}
            pytest.fail(f"trades missed: {missed}; doubled or made up: {doubled}")
    tally.trades = sum(map(len, traded.values()))
    ours = place.ours()
    for venue in VENUES:
        assert place.standing(venue) == ours[venue], venue


def check_against(place: Desk, client: Reader, held: Held, since_ms: int) -> None:
    """The same in the eyes of somebody else's client.

    Args:
        held: what the venues held before the first order.
        since_ms: from when on trades are compared.
    """
    told = client.read(since_ms)
    positions = place.positions()
    booked = place.booked()
    recent = place.booked(since_ms)
    for venue, ours in place.ours().items():
        account = told[venue]
        assert {each for each in account.orders if each.startswith(INSTALLATION)} == ours, venue
        assert account.trades <= set(booked[venue]), venue
        assert set(recent[venue]) <= account.trades, venue
        for symbol in (SPOT, LINEAR):
            position = account.held[symbol] - held[venue][symbol]
            assert abs(position - positions[venue, symbol]) < PRECISION, (venue, symbol)


def kill(place: Desk, engine: Piped, tally: Tally) -> None:
    """kill -9, and what it left behind."""
    engine.process.kill()
    engine.finish()
    tally.kills += 1
    tally.standing += sum(len(place.standing(venue)) for venue in VENUES)
    tally.unsure += place.unsure()
    booked = place.booked()
    tally.unwritten += sum(len(place.traded(venue)) - len(booked[venue]) for venue in VENUES)


def test_nothing_is_lost_or_doubled_by_kill_9(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    tally = Tally()
    with desk(tmp_path) as place, ExitStack() as stack:
        clients: list[Reader] = [PlainClient(place.venues)]
        if CLIENTS:
            clients.append(stack.enter_context(closing(Ccxt(place.file))))
        held = {venue: account.held for venue, account in clients[0].read(_now_ms()).items()}
        begun_ms = _now_ms()
        while True:
            with place.home.started(*place.words) as engine:
                started = time.monotonic()
                ready(engine)
                tally.starts_s.append(time.monotonic() - started)
                check_orphans(place)
                check_books(place, tally)
                for client in clients:
                    check_against(place, client, held, begun_ms - OVERLAP_MS)
                if tally.kills >= KILLS:
                    assert engine.end() == 0
                    break
                begun_ms = _now_ms()
                place.switch(True)
                # How long it may trade: the moment is what the test is about.
                time.sleep(chance.uniform(0.0, 1.2))
                place.ask(last_word(place, chance))
                kill(place, engine, tally)
            if tally.kills < KILLS and chance.random() < 0.25:
                with place.home.started(*place.words) as engine:
                    # Starting, or in the middle of comparing its books, or just armed.
                    time.sleep(chance.uniform(0.5, 2.5))
                    kill(place, engine, tally)
            time.sleep(chance.uniform(0.0, 0.8))
    sys.stdout.write(f"{tally}\n")
    assert tally.standing
    assert tally.unsure


def last_word(place: Desk, chance: random.Random) -> Command:
    """What an operator asks right before the kill, so that its requests are on their way."""
    if chance.random() < 0.3:
        return CancelAll()
    bid = place.look().nbbo.bid
    assert bid is not None
    venue = chance.choice(VENUES)
    return Place(venue, LINEAR, "buy", str(int(bid * 0.98)), "0.01")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
