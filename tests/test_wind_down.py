"""How an engine ends, or goes on after a mistake of ours: nothing of ours is left to stand."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hftmm.config import Config, EngineConfig, MarketsConfig, PracticeConfig
from hftmm.core.instrument import Side
from hftmm.desk.commands import Halt, Place, Stop, Toggle
from hftmm.desk.snapshot import DeskSnapshot
from hftmm.execution.order import Order
from hftmm.transport.link import ask, look
from tests.processes import Home, children, gone, until
from tests.wired import Wired, wired

PERP = "BTC/USDT:USDT"
VENUES = ("binance", "bybit", "okx")
CONFIG = Config(
    markets=MarketsConfig((PERP,)),
    practice=PracticeConfig(lag_ms=tuple((venue, 0) for venue in VENUES)),
)


async def resting(at: Wired, side: Side = "buy") -> list[Order]:
    """An order at every venue, by hand, that its venue has told of."""
    await at.armed()
    orders = []
    for venue in VENUES:
        listing = next(
            member.book.listing
            for member in at.engine.markets[PERP].members
            if member.venue == venue
        )
        away = 0.99 if side == "buy" else 1.01
        best = at.engine.markets[PERP].book.best_bid
        price = listing.price(best * away, side)
        answer = at.tell(Place(venue, PERP, side, f"{price:f}", "0.010"))
        assert answer.accepted, answer
        order = at.trading.order(answer.text.partition(": ")[0].removeprefix("sent "))
        assert order is not None
        orders.append(order)
    await at.until(lambda: all(order.seen for order in orders))
    return orders


def standing(at: Wired) -> list[str]:
    """Venues in whose own books an order of ours stands."""
    return [
        venue
        for venue, served in at.venues._venues.items()
        if served.peer.broker is not None
        and any(account.open for account in served.peer.broker.accounts.values())
    ]


async def ended(at: Wired) -> str:
    """Has it end, and waits until it did; why that failed, "" if it did not."""
    at.driver.stopping.set()
    await at.until(lambda: at.engine.state == "STOPPED")
    return at.driver.failure


# In one event loop


async def test_an_end_cancels_everything_and_waits_until_each_venue_shows_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with wired(CONFIG, tmp_path / "journal") as at:
        orders = await resting(at)
        assert standing(at) == [*VENUES]
        assert await ended(at) == ""
        assert standing(at) == []
        assert not any(order.live for order in orders)
        assert at.engine.state_reason == "no order of ours stands anywhere"
        assert at.engine.halted_for_good
    stopped = [record.message for record in caplog.records if record.message.startswith("stopped")]
    assert [line.split()[1] for line in stopped] == [f"{venue}:" for venue in VENUES]
    assert all("zero at" in line for line in stopped)


async def test_strategies_that_quote_are_ended_with_nothing_left(tmp_path: Path) -> None:
    async with wired(CONFIG, tmp_path / "journal") as at:
        await at.armed()
        assert at.tell(Toggle("cross mm", True)).accepted
        await at.until(lambda: standing(at) == [*VENUES])
        assert await ended(at) == ""
        assert standing(at) == []


async def test_an_end_leaves_no_kill_and_no_halt_to_the_next_run(tmp_path: Path) -> None:
    async with wired(CONFIG, tmp_path / "journal") as at:
        await at.armed()
        assert at.tell(Halt("okx")).accepted
        assert await ended(at) == ""
    async with wired(CONFIG, tmp_path / "journal") as at:
        await at.armed()
        assert not at.trading.risk.killed
        assert not at.trading.risk.halted


async def test_while_it_ends_nothing_new_leaves(tmp_path: Path) -> None:
    async with wired(CONFIG, tmp_path / "journal") as at:
        await resting(at)
        at.driver.stopping.set()
        await at.until(lambda: at.engine.state in {"STOPPING", "STOPPED"})
        refused = at.tell(Place("okx", PERP, "buy", "60000", "0.010"))
        assert not refused.accepted
        assert refused.text.startswith("killed: ")


async def test_a_venue_that_does_not_answer_ends_it_in_time_and_with_a_failure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    hasty = replace(CONFIG, engine=EngineConfig(stop_within_ms=300))
    async with wired(hasty, tmp_path / "journal") as at:
        await resting(at)
        for fault in ("silence", "refuse"):
            assert at.venues.switch("okx", fault).accepted
        assert await ended(at) == "not every venue shows that our orders are gone"
        assert at.engine.state_reason == at.driver.failure
        assert set(standing(at)) <= {"okx"}
    (okx,) = (record.message for record in caplog.records if "stopped okx" in record.message)
    assert "zero at" not in okx


Break = Callable[[Wired, pytest.MonkeyPatch], None]


def fails(*_: object) -> None:
    raise RuntimeError("a mistake of ours")


def in_a_strategy(at: Wired, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(at.trading.maker, "tick", fails)


def in_a_strategy_that_cannot_be_switched_off(at: Wired, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(at.trading.maker, "switch", fails)
    patch.setattr(at.trading.maker, "moved", fails)


def in_a_book(at: Wired, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(at.engine.exchanges.sessions["bybit"], "received", fails)


def in_a_command(at: Wired, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(at.trading.kill, "halt", fails)
    refused = at.tell(Halt("okx"))
    assert not refused.accepted
    assert refused.text == "this met a defect: see the log"


def when_a_connection_is_lost(at: Wired, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(at.engine.exchanges.sessions["okx"], "lost", fails)
    assert at.venues.switch("okx", "disconnect").accepted


def in_an_answer(at: Wired, patch: pytest.MonkeyPatch) -> None:
    account = at.trading.started["okx"]
    patch.setattr(account, "balances_found", fails)
    account._audit(at.driver.clock())
    at.driver._carry_out_all()


@pytest.mark.parametrize(
    "broken",
    [
        in_a_strategy,
        in_a_strategy_that_cannot_be_switched_off,
        in_a_book,
        in_a_command,
        when_a_connection_is_lost,
        in_an_answer,
    ],
)
async def test_a_mistake_of_ours_kills_and_the_engine_goes_on_to_verify_it(
    broken: Break, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with wired(CONFIG, tmp_path / "journal") as at:
        await resting(at)
        broken(at, monkeypatch)
        await at.until(lambda: at.engine.state == "KILLED")
        assert at.engine.state_reason.startswith("defect: RuntimeError('a mistake of ours') at ")
        await at.until(lambda: at.trading.kill.done)
        assert standing(at) == []
        assert not any(strategy.on for strategy in at.trading.strategies)
        assert at.driver.status()
        assert await ended(at) == ""


async def test_a_mistake_at_the_very_end_is_no_reason_not_to_cancel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with wired(CONFIG, tmp_path / "journal") as at:
        await resting(at)
        once = iter([True])
        act = at.trading.act

        def fails_once(now_ns: int) -> None:
            if at.driver.stopping.is_set() and next(once, False):
                fails()
            act(now_ns)

        monkeypatch.setattr(at.trading, "act", fails_once)
        assert await ended(at) == ""
        assert standing(at) == []


# Processes

FILE = """
[engine]
status_every_s = 0.1
on_lost_terminal = "{lost}"
[markets]
symbols = ["BTC/USDT:USDT"]
[practice]
lag_ms = {{binance = 0, bybit = 0, okx = 0}}
"""


def home(folder: Path, lost: str = "stop") -> Home:
    return Home.made(folder, FILE.format(lost=lost))


def socket(at: Home) -> Path:
    return at.folder / "hftmm" / "engine.sock"


def shown(at: Home) -> DeskSnapshot:
    return asyncio.run(look(socket(at)))


def rest_everywhere(at: Home) -> None:
    """An order far below the market at every venue, which its venue has told of."""
    until(lambda: shown(at).state == "ARMED" and all(row.bid for row in shown(at).venues))
    bid = shown(at).nbbo.bid
    assert bid is not None
    for venue in VENUES:
        order = Place(venue, PERP, "buy", str(int(bid * 0.99)), "0.010")
        assert asyncio.run(ask(socket(at), order)).accepted
    until(lambda: [order.state for order in shown(at).orders].count("open") == len(VENUES))


def verified(log: str) -> list[str]:
    """Venues that showed zero before the end, of those that had an order."""
    lines = [line.partition("stopped ")[2] for line in log.splitlines() if "stopped " in line]
    return [line.partition(":")[0] for line in lines if "1 sent, 1 acked, zero at" in line]


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_headless_engine_once_every_venue_shows_zero(
    by: signal.Signals, tmp_path: Path
) -> None:
    at = home(tmp_path)
    with at.started("--headless") as engine:
        engine.armed()
        rest_everywhere(at)
        assert engine.end(by) == 0
        assert verified(engine.error.read_text()) == [*VENUES]


def test_the_command_to_stop_ends_it_the_same_way(tmp_path: Path) -> None:
    at = home(tmp_path)
    with at.started("--headless") as engine:
        engine.armed()
        rest_everywhere(at)
        assert at.run("stop").stdout == "stopping\n"
        assert engine.finish() == 0
        assert verified(engine.error.read_text()) == [*VENUES]


@pytest.mark.parametrize(
    ("by", "lost"),
    [(signal.SIGHUP, "stop"), (signal.SIGKILL, "stop"), (signal.SIGHUP, "run")],
)
def test_the_engine_of_a_terminal_that_is_gone_ends_or_goes_on_as_configured(
    by: signal.Signals, lost: str, tmp_path: Path
) -> None:
    at = home(tmp_path, lost)
    with at.screened() as terminal:
        terminal.shows("ARMED")
        (engine,) = children(terminal.process.pid)
        rest_everywhere(at)
        terminal.process.send_signal(by)
        terminal.finish()
        if lost == "run":
            assert sum(order.live for order in shown(at).orders) == len(VENUES)
            assert asyncio.run(ask(socket(at), Stop("enough"))).accepted
        until(lambda: gone(engine))
    assert verified((at.folder / "hftmm" / "hftmm.log").read_text()) == [*VENUES]
