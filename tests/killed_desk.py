"""Kills as an engine shows them, and the parameters it offers."""

from __future__ import annotations

from typing import Any

import msgspec

from hftmm.desk.snapshot import DeskSnapshot, KillRow, Parameter, VenueKill
from tests.fake_desk import BTC, NOON, SECOND, trading_snapshot


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


def killed_snapshot(kill: KillRow = VERIFIED, **changes: Any) -> DeskSnapshot:
    """A desk that traded and was killed."""
    wanted = {"state": "KILLED", "state_reason": kill.reason, "kill": kill, "orders": ()}
    return trading_snapshot(**{**wanted, "parameters": PARAMETERS, **changes})


def ready_snapshot(**changes: Any) -> DeskSnapshot:
    """A desk that trades, with parameters to change."""
    return trading_snapshot(parameters=PARAMETERS, **changes)
