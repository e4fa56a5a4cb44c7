"""The drills there are: what is done to the venues or the engine, and what must follow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Final

from hftmm.assembly.drill import Do, Drill, Expect, Probe, Step
from hftmm.assembly.drill_stage import LOOK_S, Sight, Stage
from hftmm.config import VENUES
from hftmm.core.errors import Unavailable
from hftmm.desk.commands import Kill, Rearm, Resume
from hftmm.desk.snapshot import PositionRow, RiskRow, StrategyRow
from hftmm.risk.kill_switch import WORD, told

QUOTING: Final = ("binance", "bybit")
HEDGING: Final = "okx"
ONE_WAY_OUT: Final = {
    "market_making.quote_exchanges": list(QUOTING),
    "market_making.hedge_exchanges": [HEDGING],
    "arbitrage.enabled": False,
}
"""Quotes at two venues, hedges at the third alone."""
IN_DOUBT_MS: Final = 3_000.0
PATIENCE_S: Final = 20.0
STANDSTILL_S: Final = 0.7
"""Longer than a leg may take, shorter than a book may be silent."""
PLACES: Final = Decimal("1e-7")
"""To which amounts are the same: each fee that is told is rounded to eight places."""


# ---- what is seen -----------------------------------------------------------------------------


def _row(sight: Sight, venue: str) -> RiskRow:
    return next(row for row in sight.desk.risk if row.venue == venue)


def _strategy(sight: Sight, name: str) -> StrategyRow:
    return next(row for row in sight.desk.strategies if row.name == name)


def quotes_stand(sight: Sight) -> tuple[bool, str]:
    """Market making has orders in a book."""
    maker = _strategy(sight, "cross mm")
    good = sight.open_orders > 0 and maker.state == "quoting"
    return good, f"{sight.open_orders} open; cross mm {maker.state} {maker.reason}"


def no_order(sight: Sight) -> tuple[bool, str]:
    """No venue has an order of ours."""
    counts = {venue: len(account.orders) for venue, account in sight.truth.items()}
    return not any(counts.values()), " ".join(f"{venue} {n}" for venue, n in counts.items())


def no_quote(sight: Sight) -> tuple[bool, str]:
    """No venue has an order of ours; and why not."""
    good, shown = no_order(sight)
    return good, f"{shown}; {_strategy(sight, 'cross mm').reason}"


def stopped(sight: Sight) -> tuple[bool, str]:
    """No venue has an order of ours, because too much was open for too long."""
    good, shown = no_quote(sight)
    return good and "unhedged" in shown, shown


def trading(least: int) -> Probe:
    """So many trades since the last thing that was done."""

    def probe(sight: Sight) -> tuple[bool, str]:
        before = 0 if sight.before is None else sight.before.trades
        fresh = sight.trades - before
        return fresh >= least, f"{fresh} trades"

    return probe


def trading_at(venue: str) -> Probe:
    """Trades or orders there since the last thing that was done."""

    def probe(sight: Sight) -> tuple[bool, str]:
        since_ns = 0 if sight.before is None else sight.before.ns
        account = sight.truth[venue]
        fresh = sum(order.created_ns > since_ns for order in account.orders)
        traded = sum(one.ts_ns > since_ns for one in account.executions)
        return (
            fresh + traded > 0,
            f"{fresh} new orders, {traded} trades; {_row(sight, venue).account}",
        )

    return probe


def hedged(sight: Sight) -> tuple[bool, str]:
    """What the venues executed for us nets to less than a tenth of a quote."""
    hedger = _strategy(sight, "hedger")
    least = Decimal(repr(sight.config.market_making.order_size)) / 10
    net = sight.net()
    good = all(abs(amount) < least for amount in net.values()) and hedger.state != "hedging"
    amounts = ", ".join(f"{amount:f} {symbol}" for symbol, amount in net.items())
    return good, f"{amounts or 'nothing traded'} open after {sight.trades} trades; {hedger.reason}"


def unhedged(sight: Sight) -> tuple[bool, str]:
    """A quote traded and its hedge is not done."""
    age_ms = sight.desk.risk_totals.unhedged_ms
    return age_ms is not None, f"{sight.desk.risk_totals.unhedged:+g} unhedged"


def agrees(sight: Sight) -> tuple[bool, str]:
    """Positions and balances of our books are those of the venues."""
    rows = {(row.venue, row.market): row for row in sight.desk.positions}
    wrong: list[str] = []
    count = 0
    for venue, account in sight.truth.items():
        for symbol, held in account.positions.items():
            count += 1
            row: PositionRow | None = rows.get((venue, symbol))
            ours = Decimal(0 if row is None else row.size)
            if ours != held.base:
                wrong.append(f"{venue} {symbol} {ours:f} and not {held.base:f}")
    for balance in sight.desk.balances:
        wallet = balance.wallet or "unified"
        amount = sight.truth[balance.venue].balances.get(wallet, {}).get(balance.asset)
        if amount is None:
            continue
        count += 1
        if abs(amount.total - Decimal(balance.total)) > PLACES:
            wrong.append(
                f"{balance.venue} {balance.total} and not {amount.total:f} {balance.asset}"
            )
    return count > 0 and not wrong, wrong[0] if wrong else f"{count} amounts agree"


def live(*venues: str) -> Probe:
    """The venues' books are trusted and their accounts take orders."""

    def probe(sight: Sight) -> tuple[bool, str]:
        rows = [_row(sight, venue) for venue in venues]
        why = [f"{row.venue} {row.state} {row.account or row.reason}" for row in rows]
        good = all(row.state == "live" and not row.account for row in rows)
        return good, "; ".join(why)

    return probe


def left_out(venue: str) -> Probe:
    """The venue's book is not trusted."""

    def probe(sight: Sight) -> tuple[bool, str]:
        row = _row(sight, venue)
        return row.state != "live", f"{venue} {row.state}: {row.reason}"

    return probe


def halted(venues: Sequence[str]) -> Probe:
    """One of them is halted."""

    def probe(sight: Sight) -> tuple[bool, str]:
        rows = [row for row in sight.desk.risk if row.venue in venues and row.halted]
        return bool(rows), "; ".join(f"{row.venue}: {row.halted}" for row in rows) or "none"

    return probe


def none_halted(sight: Sight) -> tuple[bool, str]:
    """No venue is halted."""
    rows = [f"{row.venue}: {row.halted}" for row in sight.desk.risk if row.halted]
    return not rows, "; ".join(rows) or "none"


def clock_wrong(venue: str, seconds: float) -> Probe:
    """The clock column says so."""

    def probe(sight: Sight) -> tuple[bool, str]:
        offset_ms = _row(sight, venue).clock_offset_ms
        good = offset_ms is not None and abs(offset_ms / 1000 - seconds) < 0.5
        return good, f"{venue} clock {offset_ms or 0:+.0f} ms"

    return probe


def resynced(*venues: str) -> Probe:
    """Each was found broken since the last thing that was done."""

    def probe(sight: Sight) -> tuple[bool, str]:
        counts = _resyncs(sight)
        before = {} if sight.before is None else _resyncs(sight.before)
        fresh = {venue: counts[venue] - before.get(venue, 0) for venue in venues}
        shown = " ".join(f"{venue} {count}" for venue, count in fresh.items())
        return all(fresh.values()), f"resyncs: {shown}"

    return probe


def _resyncs(sight: Sight) -> dict[str, int]:
    return {row.venue: row.resyncs for row in sight.desk.venues}


def no_doubt(sight: Sight) -> tuple[bool, str]:
    """Of every order it is known what became of the last request, within two seconds."""
    old = [
        f"{row.venue} {row.client_id} {row.state} for {row.age_ms:.0f} ms"
        for row in sight.desk.orders
        if row.live and row.state.startswith("pending") and row.age_ms > IN_DOUBT_MS
    ]
    return not old, old[0] if old else f"{sight.desk.fills_total} trades booked"


def killed(sight: Sight) -> tuple[bool, str]:
    """Every venue has shown that it has no order of ours."""
    kill = sight.desk.kill
    if kill is None:
        return False, "nothing is killed"
    return kill.done, "; ".join(told(row) for row in kill.venues)


def nothing_left(sight: Sight) -> tuple[bool, str]:
    """No venue has an order of ours, nor got one since the kill."""
    assert sight.before is not None
    kill = sight.desk.kill
    since_ns = sight.before.ns if kill is None else kill.ns
    late = [
        order.client_id
        for account in sight.truth.values()
        for order in account.orders
        if order.created_ns > since_ns
    ]
    good, shown = no_order(sight)
    return good and not late, shown + "".join(f", {each} is newer than the kill" for each in late)


def ended_well(sight: Sight) -> tuple[bool, str]:
    """The engine is gone, and has shown before that its orders are."""
    return sight.ended == "ended with exit code 0", f"the engine {sight.ended or 'runs'}"


# ---- what is done -----------------------------------------------------------------------------


async def _trade(stage: Stage) -> None:
    await stage.trade(on=True)


async def _settle(stage: Stage) -> None:
    await stage.fault("none", *VENUES)
    await stage.trade(on=False)


async def _kill(stage: Stage) -> None:
    await stage.ask(Kill("drill"))


async def _rearm(stage: Stage) -> None:
    await stage.ask(Rearm(WORD))


async def _crash(stage: Stage) -> None:
    await stage.crash()


async def _shot(stage: Stage) -> None:
    """Waits until an order of arbitrage is on its way."""
    desk = await stage.desk()
    while not any(row.live and row.strategy == "arbitrage" for row in desk.orders):
        desk = await stage.desk()


async def _stand_still(stage: Stage) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            for _ in range(3):
                await _shot(stage)
                await stage.freeze(STANDSTILL_S)
                await asyncio.sleep(STANDSTILL_S)


async def _lose_terminal(stage: Stage) -> None:
    await stage.lose_terminal()


async def _restart(stage: Stage) -> None:
    await stage.fault("none", *VENUES)
    await stage.start()


def _faults(*faults: tuple[str, Sequence[str], float | None]) -> Do:
    async def action(stage: Stage) -> None:
        for name, venues, amount in faults:
            await stage.fault(name, *venues, amount=amount)

    words = (
        f"{', '.join(venues)}: {name}" + ("" if amount is None else f" {amount:g}")
        for name, venues, amount in faults
    )
    return Do("; ".join(words), action)


def _fault(name: str, *venues: str, amount: float | None = None) -> Do:
    return _faults((name, venues, amount))


def _resume(*venues: str) -> Do:
    async def action(stage: Stage) -> None:
        """A venue that has not shown zero yet stays halted until it has."""
        deadline_s = time.monotonic() + PATIENCE_S
        while halted := [
            row.venue for row in (await stage.desk()).risk if row.halted and row.venue in venues
        ]:
            try:
                await stage.ask(Resume(halted[0]))
            except Unavailable:
                if time.monotonic() > deadline_s:
                    raise
                await asyncio.sleep(LOOK_S)

    return Do("resume what was halted, once it shows zero", action)


def _flatten_s(sight: Sight) -> float:
    """By when exposure must be flattened; a second more, for the orders that do it."""
    return sight.config.hedging.flatten_after_ms / 1000 + 1.0


def _late_flatten_s(sight: Sight) -> float:
    """The same of an exposure that may begin as late as quotes may stop."""
    return PATIENCE_S + _flatten_s(sight)


TRADE: Final = Do("market making and arbitrage on", _trade)
TRADES: Final = Expect("they trade", trading(6), within_s=30)
QUOTES: Final = Expect("quotes stand", quotes_stand, within_s=6)
CLOSING: Final[Sequence[Step]] = (
    Do("faults end, market making and arbitrage off", _settle),
    Expect("no order of ours stands anywhere", no_order, within_s=10),
    Expect("what was traded is hedged", hedged, within_s=10),
    Expect("positions and balances are those of the venues", agrees, within_s=10),
)

DRILLS: Final[Sequence[Drill]] = (
    Drill(
        "kill-under-load",
        "everything is killed while both strategies trade at every venue",
        "the frame turns to KILLED; each venue counts cancels sent, acknowledged, and zero",
        (
            TRADE,
            Expect("they trade", trading(20), within_s=40),
            Do("kill", _kill),
            Expect("every venue shows zero", killed, within_s=2),
            Expect("nothing stands, and nothing new comes", nothing_left, within_s=0, stays_s=3),
            Do("re-arm", _rearm),
            Expect("strategies stay off until switched on", no_order, within_s=0, stays_s=1),
        ),
        {"practice.intensity": 8, "practice.dislocations_per_minute": 120},
    ),
    Drill(
        "hedge-venue-down",
        f"{HEDGING}, the only venue to hedge at, goes away while we quote",
        f"{HEDGING} turns to down; quotes vanish with the reason; both come back by themselves",
        (
            TRADE,
            QUOTES,
            _faults(("refuse", (HEDGING,), None), ("disconnect", (HEDGING,), None)),
            Expect(f"{HEDGING} is left out", left_out(HEDGING), within_s=2),
            Expect("no quote stands without a hedge", no_quote, within_s=2, stays_s=2),
            Expect("what is open is closed where it was filled", hedged, within_s=_flatten_s),
            _fault("none", HEDGING),
            Expect(f"{HEDGING} is back", live(HEDGING), within_s=15),
            _resume(*QUOTING),
            QUOTES,
        ),
        ONE_WAY_OUT,
    ),
    Drill(
        "lost-acks",
        "order requests at every venue are carried out and never answered",
        "orders stay pending for some hundred ms, then show what the venue says of them",
        (
            TRADE,
            TRADES,
            _fault("lost_ack", *VENUES, amount=5),
            Expect("trading goes on", trading(10), within_s=30),
            Expect("no order stays in doubt", no_doubt, within_s=30),
        ),
    ),
    Drill(
        "gap-storm",
        "three in ten book frames are lost at every venue",
        "books turn to syncing again and again, gaps and resyncs count; quotes come and go",
        (
            TRADE,
            TRADES,
            _fault("drop", *VENUES, amount=0.3),
            Expect("every venue's book is found broken", resynced(*VENUES), within_s=10, stays_s=4),
            _fault("none", *VENUES),
            Expect("every book is whole again", live(*VENUES), within_s=10, stays_s=1),
            QUOTES,
        ),
    ),
    Drill(
        "rate-limit-storm",
        f"{HEDGING}, the only venue to hedge at, refuses every order as one too many",
        "the age bar of the unhedged amount fills; it is flattened where it was filled, the venue"
        " halted, the log says why",
        (
            TRADE,
            QUOTES,
            _fault("order_throttle", HEDGING, amount=2),
            Expect("a quote trades that cannot be hedged", unhedged, within_s=20),
            Expect("quotes stop, unless they even it out", stopped, within_s=PATIENCE_S),
            Expect("it is closed where it was filled", hedged, within_s=_late_flatten_s),
            _fault("none", HEDGING),
            _resume(*QUOTING),
            Expect("quotes come back", quotes_stand, within_s=6),
        ),
        ONE_WAY_OUT,
    ),
    Drill(
        "clock-jump",
        f"the clock of {HEDGING} jumps ahead by five seconds, then back",
        "the clock column of the risk pane says +5000 ms; orders refused for it are sent anew",
        (
            TRADE,
            TRADES,
            _fault("skew", HEDGING, amount=5),
            Expect("the clock column says so", clock_wrong(HEDGING, 5), within_s=45),
            _fault("none", HEDGING),
            Expect("the clock column says so", clock_wrong(HEDGING, 0), within_s=45),
            _resume(*VENUES),
            Expect(f"{HEDGING} is traded at again", trading_at(HEDGING), within_s=30),
        ),
    ),
    Drill(
        "half-open-socket",
        f"connections to {HEDGING} stay open and say nothing, not even pong",
        f"{HEDGING} turns to stale, then down; its log line says how long it was silent",
        (
            TRADE,
            TRADES,
            _fault("silence", HEDGING),
            Expect(f"{HEDGING} is left out", left_out(HEDGING), within_s=4),
            _fault("none", HEDGING),
            Expect(f"{HEDGING} is back and agrees", live(HEDGING), within_s=15),
            _resume(*VENUES),
            Expect(f"{HEDGING} is traded at again", trading_at(HEDGING), within_s=30),
        ),
    ),
    Drill(
        "standstill",
        f"the engine stands still for {STANDSTILL_S} s, three times, with orders under way",
        "the header counts up and is well again; no venue is halted for what we did not hear",
        (
            TRADE,
            _fault("lag", *VENUES, amount=120),
            Do(f"stop it with a shot under way, go on after {STANDSTILL_S} s", _stand_still),
            Expect("no venue is halted for it", none_halted, within_s=0, stays_s=1),
            _fault("none", *VENUES),
            Expect("trading goes on", trading(6), within_s=20),
        ),
    ),
    Drill(
        "restart-in-mid-hedge",
        "the engine dies by kill -9 after a quote traded and before its hedge is done",
        "the terminal says DISCONNECTED; after a new start RECOVERING, then ARMED, and flat",
        (
            TRADE,
            QUOTES,
            _fault("lag", HEDGING, amount=700),
            Expect("a quote trades, its hedge is on its way", unhedged, within_s=30),
            Do("kill -9 of the engine", _crash),
            Do(f"{HEDGING} as usual; a new start", _restart),
            Expect("what was left open is hedged", hedged, within_s=_flatten_s),
            Expect("no order of the dead engine stands", no_order, within_s=5),
            TRADE,
            QUOTES,
        ),
        ONE_WAY_OUT,
    ),
    Drill(
        "lost-terminal",
        "the terminal is gone in the middle of trading, as when ssh breaks",
        "nothing: it is gone; hftmm attach finds no engine, and the venues have no order",
        (
            TRADE,
            TRADES,
            Do("the terminal is closed", _lose_terminal),
            Expect("the engine ends, with nothing left to do", ended_well, within_s=3),
            Expect("no order of ours stands anywhere", no_order, within_s=0),
            Do("a new start", _restart),
        ),
    ),
)
