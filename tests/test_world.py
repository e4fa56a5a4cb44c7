"""The simulated world: seeds in which nothing may break, and that each invariant can."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import msgspec
import pytest

from hftmm.core.order import Fill
from hftmm.desk.commands import Kill
from hftmm.engine.trading import Trading
from hftmm.execution.order import Order
from hftmm.execution.order_manager import OrderManager
from hftmm.risk.portfolio import Portfolio
from hftmm.risk.rules import RULES
from hftmm.sim.invariants import Inspector, Violation
from hftmm.sim.schedule import NAMES, schedule
from hftmm.sim.world import FUNDING_NS, START_NS, World, simulate
from hftmm.venues.account import AccountSession
from hftmm.venues.account_sink import Cancellation, Clearance, Errand
from hftmm.venues.codec import SECOND

pytestmark = pytest.mark.long

SEEDS = range(1, 41)


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_breaks_in_two_minutes_with_every_fault(seed: int) -> None:
    outcome = simulate(seed, 2.0)
    assert not outcome.violation, f"python -m hftmm.sim.world --seed {seed} --minutes 2"


def test_the_same_seed_is_the_same_log_to_the_byte() -> None:
    first, again = simulate(5, 0.5), simulate(5, 0.5)
    assert first.digest == again.digest
    assert first.digest != simulate(6, 0.5).digest


def test_the_log_does_not_depend_on_the_process_that_writes_it() -> None:
    script = "from hftmm.sim.world import simulate; print(simulate(1, 1.0).digest)"
    digests = set()
    for hash_seed in ("1", "2"):
        done = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(done.stdout.strip())
    assert len(digests) == 1


def test_both_strategies_trade_and_makers_are_hedged_when_nothing_goes_wrong() -> None:
    outcome = simulate(3, 2.0, ())
    assert not outcome.violation
    assert outcome.traded["mm"] > 0
    assert outcome.traded["hg"] > 0
    assert outcome.traded["ar"] > 0


def test_every_fault_and_every_deed_comes_up_and_ends() -> None:
    end_ns = START_NS + 3_600 * SECOND
    episodes = [*schedule(1, START_NS, end_ns, ("binance", "bybit", "okx"))]
    assert {episode.name for episode in episodes} == set(NAMES)
    assert all(START_NS < each.start_ns < each.end_ns <= end_ns for each in episodes)
    assert any(
        one.end_ns > other.start_ns and one.venue == other.venue != ""
        for one, other in pairwise(episodes)
    ), "none overlap"


def test_funding_is_booked_whether_a_stream_tells_of_it_or_not() -> None:
    world = World(1, ())
    world.advance(FUNDING_NS - START_NS - 2 * SECOND)
    for line in world.lines.values():
        for fault in ("refuse", "disconnect"):
            line.peer.switch(fault, world.timeline.now_ns)
        line.flush()
    world.advance(4 * SECOND)
    for line in world.lines.values():
        line.peer.end("refuse", world.timeline.now_ns)
    world.advance(60 * SECOND)
    world.journal.force()
    for venue, truth in world.truths.items():
        told = [paid.amount for paid in world.journal.fundings.values() if paid.venue == venue]
        paid = [funding.amount for funding in truth.account.fundings if funding.amount]
        assert told == pytest.approx(paid, abs=Decimal("1e-7"))
    assert world.journal.fundings


# ---- each invariant can fail -------------------------------------------------------------------


def broken(names: tuple[str, ...] = (), minutes: float = 2.0, seed: int = 3) -> str:
    """The invariant that breaks; "" if none does."""
    world = World(seed, names)
    try:
        world.run(int(minutes * 60 * SECOND))
    except Violation as violation:
        return violation.invariant
    return ""


def kill(world: World) -> None:
    """The operator does."""
    world.inspector.latched_ns = world.timeline.now_ns
    world.command(Kill("a test"))


def once(number: int) -> Callable[[], bool]:
    """True at one call alone, counted from 1."""
    calls = 0

    def now() -> bool:
        nonlocal calls
        calls += 1
        return calls == number

    return now


def test_a_fill_that_is_dropped_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    filled = OrderManager.filled
    seen: list[tuple[str, str]] = []

    def forgetful(self: OrderManager, fill: Fill, now_ns: int) -> bool:
        trade = fill.listing.key, fill.trade_id
        if trade not in seen:
            seen.append(trade)
        return seen.index(trade) != 4 and filled(self, fill, now_ns)

    monkeypatch.setattr(OrderManager, "filled", forgetful)
    assert broken() in {"trades told", "difference", "deadline", "rest"}


def test_a_fill_that_is_booked_twice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    now, filled = once(5), Portfolio.filled

    def doubling(self: Portfolio, fill: Fill, now_ns: int) -> None:
        filled(self, fill, now_ns)
        if now():
            filled(self, fill, now_ns)

    monkeypatch.setattr(Portfolio, "filled", doubling)
    assert broken() == "position"


def test_a_fill_that_is_invented_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    now, filled = once(5), OrderManager.filled

    def inventive(self: OrderManager, fill: Fill, now_ns: int) -> bool:
        if now():
            filled(self, msgspec.structs.replace(fill, trade_id="999999999"), now_ns)
        return filled(self, fill, now_ns)

    monkeypatch.setattr(OrderManager, "filled", inventive)
    assert broken() == "booked as traded"


def test_a_fee_that_is_miscounted_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    fee_told = Portfolio.fee_told

    def generous(self: Portfolio, fill: Fill, now_ns: int) -> None:
        if fill.fee is not None and fill.fee_asset == "USDT":
            fill = msgspec.structs.replace(fill, fee=fill.fee + Decimal("0.02"))
        fee_told(self, fill, now_ns)

    monkeypatch.setattr(Portfolio, "fee_told", generous)
    assert broken() == "balance"


@pytest.mark.parametrize("rule", ["venue_position", "total_position"])
def test_a_limit_that_nobody_holds_is_found(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, rule, lambda case: None)
    monkeypatch.setattr("hftmm.risk.risk_manager.headroom", _no_limit)
    world = World(3, ())
    limits = replace(world.config.limits, max_total_position=Decimal("0.02"))
    venues = {
        name: replace(venue, max_position=Decimal("0.02"))
        for name, venue in world.config.venues.items()
    }
    config = (
        replace(world.config, venues=venues)
        if rule == "venue_position"
        else replace(world.config, limits=limits)
    )
    with pytest.raises(Violation, match="limit"):
        World(3, (), config).run(120 * SECOND)


def test_an_order_after_the_kill_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trading, "stop_all", lambda *given, flatten=False: "nothing is stopped")
    world = World(3, ())
    world.advance(20 * SECOND)
    kill(world)
    with pytest.raises(Violation, match="kill"):
        world.advance(60 * SECOND)


def test_an_order_that_a_kill_leaves_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    send = AccountSession.send

    def deaf(self: AccountSession, errand: Errand, now_ns: int) -> None:
        if not isinstance(errand, Cancellation | Clearance):
            send(self, errand, now_ns)

    world = World(3, ())
    world.advance(20 * SECOND)
    assert any(truth.open_orders() for truth in world.truths.values())
    monkeypatch.setattr(AccountSession, "send", deaf)
    kill(world)
    with pytest.raises(Violation, match="zero"):
        world.advance(60 * SECOND)


def test_exposure_without_a_clock_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hftmm.execution.hedger.Hedger.maker_filled", lambda self, fill, now: None)
    monkeypatch.setattr(Inspector, "_in_time", lambda self, symbol: None)
    assert broken() == "clock"


def test_exposure_that_stays_open_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hftmm.execution.hedger.Hedger.act", lambda self, now_ns: None)
    monkeypatch.setattr("hftmm.execution.hedger.Hedger._watch", lambda self, market, now_ns: None)
    assert broken() == "deadline"


def test_a_client_id_that_is_used_twice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(3, ())
    world.advance(20 * SECOND)
    order = next(iter(world.trading.manager.live("binance")))
    assert isinstance(order, Order)
    with pytest.raises(Violation, match="client id"):
        world.inspector.intended(order, world.timeline.now_ns)


def test_what_does_not_come_to_rest_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hftmm.sim.operator.Operator.tend", lambda self, trading, now_ns: None)
    assert broken(minutes=0.5) == "rest"


def test_a_seed_that_fails_prints_the_line_that_replays_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from hftmm.sim import world

    monkeypatch.setattr("hftmm.sim.operator.Operator.tend", lambda self, trading, now_ns: None)
    assert world.main(seed=3, minutes=0.2, faults="none") == 1
    assert (
        "python -m hftmm.sim.world --seed 3 --minutes 0.2 --faults none" in capsys.readouterr().out
    )


def _no_limit(*_: object) -> object:
    from hftmm.risk.headroom import Headroom

    return Headroom(Decimal(1), "")
