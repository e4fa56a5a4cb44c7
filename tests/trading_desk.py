"""A desk that trades: strategies, positions, parameters and a kill, by builders."""

from __future__ import annotations

from typing import Any

import msgspec

from hftmm.desk.snapshot import (
    DeskSnapshot,
    KillRow,
    OrderRow,
    Parameter,
    PositionRow,
    StrategyRow,
    VenueKill,
)
from tests.fake_desk import BTC, NOON, SECOND, desk_snapshot


def order_row(client_id: str = "hm01mm1", **changes: Any) -> OrderRow:
    row = OrderRow(
        ns=NOON - 3 * SECOND,
        venue="binance",
        market=BTC,
        side="buy",
        price="64998.5",
        size="0.010",
        filled="0",
        state="open",
        age_ms=3_200.0,
        strategy="cross mm",
        queue=0.84,
        client_id=client_id,
        live=True,
    )
    return msgspec.structs.replace(row, **changes)


def position_row(venue: str, size: str, **changes: Any) -> PositionRow:
    row = PositionRow(
        venue=venue,
        market=BTC,
        size=size,
        entry=64990.5,
        mark=65001.2,
        realised=4.1,
        unrealised=12.3,
        fees=-1.2,
        funding=0.0,
    )
    return msgspec.structs.replace(row, **changes)


def venue_kill(venue: str = "binance", **changes: Any) -> VenueKill:
    row = VenueKill(venue=venue, sent=4, acked=4, zero_ms=38.0, open=0)
    return msgspec.structs.replace(row, **changes)


VERIFIED = KillRow(
    reason="key K",
    ns=NOON - 34 * SECOND,
    venues=(venue_kill(), venue_kill("bybit", sent=2, acked=2), venue_kill("okx", sent=0, acked=0)),
    rearm="type ARM: venues take orders again, strategies stay off until switched on",
)
UNVERIFIED = KillRow(
    reason="key K",
    ns=NOON - 2 * SECOND,
    venues=(
        venue_kill(positions=f"{BTC} +0.0800"),
        venue_kill(
            "bybit", sent=3, acked=1, zero_ms=None, open=2, problem="2 still open, asked 4 times"
        ),
        venue_kill("okx", sent=1, acked=0, zero_ms=None, open=None, problem="no answer yet"),
    ),
    flattening="binance try 1 of 5, BTC/USDT:USDT +0.0300 left",
    rearm="not before bybit and okx shows zero",
)

PARAMETERS = (
    Parameter(
        "market_making.order_size",
        "0.01",
        "a number from 0 to 1_000_000_000",
        "Size of a quote, base coins.",
    ),
    Parameter(
        "market_making.quote_exchanges",
        '["binance", "bybit", "okx"]',
        "a list, each the name of a venue",
        "Where to quote, of the enabled venues.",
    ),
    Parameter(
        "hedging.hedge_immediately",
        "true",
        "true or false",
        "Hedge every fill as it comes; otherwise only from `hedge_above` on.",
    ),
    Parameter(
        "hedging.flatten_slippage_bps",
        "100.0",
        "a number from 0 to 10_000",
        "Price cap of a flatten, from the touch it takes, bps.",
    ),
)


def trading_snapshot(**changes: Any) -> DeskSnapshot:
    """A desk with two strategies on and one off, two orders and two positions."""
    wanted = {
        "trades": True,
        "strategies": (
            StrategyRow("cross mm", on=True, state="quoting"),
            StrategyRow("arbitrage", on=False, state="off", reason="switched off"),
            StrategyRow("hedger", on=True, state="flat"),
        ),
        "orders": (order_row(), order_row("hm01mm2", venue="okx", side="sell", price="65003.5")),
        "positions": (
            position_row("binance", "0.0800"),
            position_row("bybit", "-0.0520", unrealised=-2.3),
            position_row("okx", "0"),
        ),
        "parameters": PARAMETERS,
        **changes,
    }
    return desk_snapshot(**wanted)
