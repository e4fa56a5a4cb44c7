"""A desk without an engine: snapshots by builders, the commands it was sent, and the app on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from hftmm.config import TerminalConfig
from hftmm.desk.commands import Command, View
from hftmm.desk.handle import Desk
from hftmm.desk.snapshot import (
    ArbitrageTotals,
    BestQuote,
    DeskSnapshot,
    Ladder,
    LadderColumn,
    Latency,
    LogRow,
    MarketRow,
    OpportunityRow,
    RiskRow,
    RiskTotals,
    TapeRow,
    VenueQuote,
)
from hftmm.terminal.app import HftmmApp

SECOND = 1_000_000_000
NOON = 1_780_315_201 * SECOND
"""2026-06-01 12:00:01 UTC."""
VENUES = ("binance", "bybit", "okx")
BTC = "BTC/USDT:USDT"


class FakeDesk:
    """Shows what it is given, keeps what it is sent."""

    def __init__(self, snapshot: DeskSnapshot | None = None) -> None:
        self.shown = snapshot
        self.sent: list[Command] = []
        self.alive = True
        self.cause = ""

    def snapshot(self) -> DeskSnapshot | None:
        return self.shown

    def send(self, command: Command) -> None:
        self.sent.append(command)

    @property
    def connected(self) -> bool:
        return self.alive

    @property
    def failure(self) -> str:
        return self.cause

    def show(self, **changes: Any) -> None:
        """The next snapshot, with these fields changed."""
        assert self.shown is not None
        self.shown = msgspec.structs.replace(
            self.shown, **{"number": self.shown.number + 1, **changes}
        )

    @property
    def views(self) -> list[View]:
        """The views it was sent."""
        return [command for command in self.sent if isinstance(command, View)]


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self, ns: int = NOON) -> None:
        self.ns = ns

    def __call__(self) -> int:
        return self.ns

    def advance(self, seconds: float) -> None:
        self.ns += round(seconds * SECOND)


def venue_quote(venue: str = "binance", **changes: Any) -> VenueQuote:
    quote = VenueQuote(
        venue=venue,
        state="live",
        reason="",
        bid=65000.5,
        bid_size=1.0,
        ask=65001.0,
        ask_size=1.1,
        age_ms=4.0,
        lag_ms=11.0,
        frames_per_s=48.0,
        gaps=0,
        resyncs=0,
        malformed=0,
        mark=65001.2,
        funding_bps=0.75,
        next_funding_ns=NOON + 14_400 * SECOND,
    )
    return msgspec.structs.replace(quote, **changes)


def best_quote(**changes: Any) -> BestQuote:
    best = BestQuote(
        bid=65000.5,
        bid_size=2.02,
        bid_venues=("binance", "bybit", "okx"),
        ask=65001.0,
        ask_size=1.51,
        ask_venues=("binance", "okx"),
        spread_bps=0.08,
        state="normal",
    )
    return msgspec.structs.replace(best, **changes)


def net_quote(**changes: Any) -> BestQuote:
    return best_quote(
        **{
            "bid": 64968.0,
            "bid_size": 0.71,
            "bid_venues": ("bybit",),
            "ask": 65033.5,
            "ask_size": 1.1,
            "ask_venues": ("binance",),
            "spread_bps": 10.08,
            **changes,
        }
    )


def ladder(
    bid: float = 65000.5, ask: float = 65001.0, *, group: float = 0.5, levels: int = 40
) -> Ladder:
    """Three venues' books; sizes follow from venue and distance, some levels are empty."""
    columns = []
    for v, venue in enumerate(VENUES):
        sides: list[list[tuple[float, float]]] = [[], []]
        for side, (start, step) in enumerate(((bid, -group), (ask, group))):
            for i in range(levels):
                weight = (i * 7 + v * 5 + side * 3) % 11
                if weight != (v * 3) % 11:
                    sides[side].append((start + i * step, round(0.05 + weight * 0.19 + i / 50, 3)))
        columns.append(LadderColumn(venue, tuple(sides[0]), tuple(sides[1])))
    return Ladder(
        group=group,
        step=0.1,
        decimals=1,
        columns=tuple(columns),
        mid=(bid + ask) / 2,
        microprice=(bid + ask) / 2 + 0.07,
        last=ask,
        last_size=0.12,
        last_venue="bybit",
        last_ns=NOON - SECOND // 2,
    )


def opportunity(**changes: Any) -> OpportunityRow:
    row = OpportunityRow(
        market=BTC,
        buy_venue="okx",
        sell_venue="bybit",
        size=0.05,
        gross_bps=14.1,
        net_bps=3.1,
        profit=1.02,
        lasted_ms=180.0,
        live=False,
        result="seen, nothing trades yet",
    )
    return msgspec.structs.replace(row, **changes)


OPPORTUNITIES = (
    opportunity(
        sell_venue="binance", size=0.12, gross_bps=13.8, net_bps=2.8, profit=2.18, live=True
    ),
    opportunity(),
    opportunity(
        buy_venue="binance", sell_venue="okx", size=0.2, gross_bps=13.2, net_bps=2.2, profit=2.86,
        lasted_ms=90.0,
    ),
    opportunity(
        buy_venue="bybit", sell_venue="binance", size=0.0, gross_bps=9.8, net_bps=-1.2, profit=0.0,
        lasted_ms=35.0, result="fees: net -1.2 < 1.0 bps",
    ),
    opportunity(
        sell_venue="binance", size=0.1, gross_bps=15.0, net_bps=4.0, profit=2.6, lasted_ms=210.0,
        result="okx stale 1,412 ms > 1,000 ms",
    ),
)  # fmt: skip


def risk_row(venue: str = "binance", **changes: Any) -> RiskRow:
    row = RiskRow(
        venue=venue,
        state="live",
        reason="",
        position=0.0,
        position_limit=0.5,
        open_orders=0,
        order_limit=20,
        day_pnl=0.0,
        loss_limit=500.0,
        rate_used=0.02,
        dead_man="none",
        clock_offset_ms=1.0,
        reconnects=0,
    )
    return msgspec.structs.replace(row, **changes)


def risk_totals(**changes: Any) -> RiskTotals:
    totals = RiskTotals(
        position=0.0,
        position_limit=1.0,
        worst_case=0.0,
        worst_case_limit=2.0,
        unhedged=0.0,
        day_pnl=0.0,
        loss_limit=1000.0,
        drawdown=0.0,
        drawdown_limit=1000.0,
    )
    return msgspec.structs.replace(totals, **changes)


def tape(count: int = 40) -> tuple[TapeRow, ...]:
    return tuple(
        TapeRow(
            ns=NOON - i * 137_000_000,
            venue=VENUES[i % 3],
            price=65001.0 - 0.5 * (i % 2),
            size=round(0.008 + (i * 37 % 53) / 40, 3),
            side="buy" if i % 2 == 0 else "sell",
            large=i % 9 == 4,
        )
        for i in range(count)
    )


def log_row(number: int, text: str, **changes: Any) -> LogRow:
    row = LogRow(number, NOON - (100 - number) * SECOND, "info", "engine", text)
    return msgspec.structs.replace(row, **changes)


LOG = (
    log_row(1, "practice venues up, seed 7"),
    log_row(2, "connected linear.public in 12 ms", source="binance"),
    log_row(3, "connected linear.public in 9 ms", source="bybit"),
    log_row(4, "connected public in 14 ms", source="okx"),
    log_row(5, "book BTC/USDT:USDT live after 1 snapshot, 3 deltas replayed", source="okx"),
    log_row(6, "gap: first id 1207 > 1201 + 1; book invalid", source="bybit", level="warning"),
    log_row(7, "book BTC/USDT:USDT live again after 214 ms", source="bybit"),
)


def market_row(symbol: str = BTC, **changes: Any) -> MarketRow:
    row = MarketRow(
        symbol=symbol,
        kind="linear" if ":" in symbol else "spot",
        nbbo=best_quote(),
        net=net_quote(),
        venues_live=3,
        venues_total=3,
    )
    return msgspec.structs.replace(row, **changes)


MARKETS = tuple(map(market_row, (BTC, "BTC/USDT", "ETH/USDT:USDT", "ETH/USDT")))


def desk_snapshot(**changes: Any) -> DeskSnapshot:
    """Three live venues in a normal market."""
    snapshot = DeskSnapshot(
        number=1,
        ns=NOON,
        mode="sim",
        state="ARMED",
        state_reason="",
        equity=None,
        day_pnl=None,
        frames_per_s=147.0,
        latency=Latency(61.0, 240.0, 0.4),
        market=BTC,
        markets=MARKETS,
        venues=(
            venue_quote("binance"),
            venue_quote("bybit", bid_size=0.71, ask=65001.5, ask_size=1.4, lag_ms=14.0),
            venue_quote("okx", bid_size=0.31, ask_size=0.41, age_ms=12.0, lag_ms=38.0),
        ),
        nbbo=best_quote(),
        net=net_quote(),
        ladder=ladder(),
        opportunities=OPPORTUNITIES,
        arbitrage=ArbitrageTotals(seen=212, gross_only=41, best_net_bps=4.0, expected=38.1),
        risk=tuple(map(risk_row, VENUES)),
        risk_totals=risk_totals(),
        tape=tape(),
        log=LOG,
    )
    return msgspec.structs.replace(snapshot, **changes)


THEMES = Path(__file__).parents[1] / "themes"
FAULTS = {"gap": "a delta is lost [once]", "crossed": "bids above asks"}


def terminal(desk: Desk, *, clock: Clock | None = None, **config: Any) -> HftmmApp:
    """The app on a desk, with the shipped themes and a clock that stands still."""
    return HftmmApp(
        desk,
        TerminalConfig(**config),
        now_ns=clock or Clock(),
        faults=FAULTS,
        folders=[THEMES],
    )
