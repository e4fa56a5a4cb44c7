"""A desk without an engine: snapshots by builders, the commands it was sent, and the app on it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec

from hftmm.config import TerminalConfig
from hftmm.desk.commands import Command, View
from hftmm.desk.handle import Desk
from hftmm.desk.snapshot import (
    ArbitrageTotals,
    BalanceRow,
    BestQuote,
    DeskSnapshot,
    FillRow,
    Ladder,
    LadderColumn,
    Latency,
    LogRow,
    MarketRow,
    OpportunityRow,
    OrderRow,
    OwnLevel,
    PnlParts,
    PnlPoint,
    PositionRow,
    QuoteRow,
    RiskRow,
    RiskTotals,
    StrategyRow,
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
        decimals=1,
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


def order(client_id: str = "hm1-a7", **changes: Any) -> OrderRow:
    row = OrderRow(
        ns=NOON - 3 * SECOND,
        venue="binance",
        market=BTC,
        side="buy",
        price="64998.5",
        size="0.010",
        filled="0.000",
        state="open",
        age_ms=3_200.0,
        strategy="cross mm",
        queue=0.84,
        client_id=client_id,
        live=True,
    )
    return msgspec.structs.replace(row, **changes)


ORDERS = (
    order("hm1-a7"),
    order(
        "hm1-a8", venue="bybit", price="64998.0", filled="0.004", state="partially_filled",
        queue=0.1,
    ),
    order(
        "hm1-a3", venue="okx", side="sell", price="65003.5", ns=NOON - 6 * SECOND, age_ms=6_100.0,
        queue=1.31,
    ),
    order(
        "hm1-a4", side="sell", price="65004.0", ns=NOON - 6 * SECOND, age_ms=6_100.0,
        state="pending_cancel", queue=2.02,
    ),
    order(
        "hm1-m1", venue="bybit", side="sell", price="65010.0", size="0.250", strategy="by hand",
        state="unknown", age_ms=640.0, ns=NOON, queue=None,
        text="no answer after 500 ms: asked the venue",
    ),
    order(
        "hm1-h9", venue="okx", price="65001.0", filled="0.010", state="filled", strategy="hedger",
        ns=NOON - 14 * SECOND, age_ms=14_000.0, queue=None, live=False,
    ),
    order(
        "hm1-a1", side="sell", price="65000.5", state="rejected", ns=NOON - 22 * SECOND,
        age_ms=22_000.0, queue=None, live=False, text="would cross the book as post-only",
    ),
)  # fmt: skip


def fill(trade_id: str = "t1", **changes: Any) -> FillRow:
    row = FillRow(
        ns=NOON - 2 * SECOND,
        venue="bybit",
        market=BTC,
        side="buy",
        price="64998.0",
        size="0.004",
        fee="0.0520",
        fee_asset="USDT",
        maker=True,
        strategy="cross mm",
        client_id="hm1-a8",
        trade_id=trade_id,
        markout_bps=0.4,
        hedge="hedged okx 65001.5 in 34 ms",
    )
    return msgspec.structs.replace(row, **changes)


FILLS = (
    fill("t9", ns=NOON, markout_bps=None, hedge="unhedged 0.004 for 412 ms"),
    fill(
        "t8", venue="okx", side="sell", price="65001.5", fee="0.1300", maker=False,
        strategy="hedger", markout_bps=-0.1, hedge="hedge of bybit t7",
    ),
    fill("t7"),
    fill(
        "t6", venue="binance", side="sell", price="65004.0", size="0.010", fee="-0.0325",
        markout_bps=-1.2, hedge="hedged bybit 65002.0 in 61 ms", ns=NOON - 31 * SECOND,
    ),
    fill(
        "t5", venue="okx", price="65000.0", size="0.120", fee="", fee_asset="", maker=False,
        strategy="arbitrage", markout_bps=2.1, hedge="other leg binance 65011.5",
        ns=NOON - 64 * SECOND,
    ),
)  # fmt: skip


def position(venue: str = "binance", **changes: Any) -> PositionRow:
    row = PositionRow(
        venue=venue,
        market=BTC,
        size="0.080",
        entry=64998.25,
        mark=65001.2,
        realised=112.16,
        unrealised=0.24,
        fees=-31.2,
        funding=1.1,
        decimals=1,
    )
    return msgspec.structs.replace(row, **changes)


POSITIONS = (
    position(),
    position(
        "bybit", size="-0.052", entry=65002.1, realised=-30.9, unrealised=-0.2, fees=-40.02,
        funding=0.9, drift="the venue says -0.062",
    ),
    position("okx", size="-0.028", realised=50.1, unrealised=0.01, fees=-25.0, funding=0.8),
)  # fmt: skip

BALANCES = tuple(
    BalanceRow(venue, wallet, asset, total, available, drift)
    for venue, wallet, asset, total, available, drift in (
        ("binance", "linear", "USDT", "33412.18401200", "28210.00000000", ""),
        ("binance", "spot", "BTC", "0.52001000", "0.52001000", ""),
        ("bybit", "", "BTC", "0.4999", "0.4999", ""),
        ("bybit", "", "USDT", "33368.90", "29916.55", "the venue says 33368.41"),
        ("okx", "", "USDT", "33350.12", "31001.00", ""),
    )
)


def quote(venue: str = "binance", **changes: Any) -> QuoteRow:
    row = QuoteRow(
        market=BTC,
        venue=venue,
        bid=64998.5,
        bid_size=0.01,
        bid_why="edge 1.3 bps",
        ask=65004.0,
        ask_size=0.01,
        ask_why="edge 1.2 bps",
        decimals=1,
    )
    return msgspec.structs.replace(row, **changes)


STRATEGIES = (
    StrategyRow(
        "cross mm",
        on=True,
        state="quoting",
        quotes=(
            quote(),
            quote("bybit", bid=64998.0, ask=None, ask_size=None, ask_why="position 92% of limit"),
            quote("okx", bid=None, bid_size=None, bid_why="hedge stale 412 ms", ask=65003.5),
        ),
    ),
    StrategyRow(
        "arbitrage",
        on=True,
        state="watching",
        facts=(
            ("pairs", "6"),
            ("best now", "binance>okx -2.1 bps net"),
            ("shots", "41"),
            ("hit", "36"),
            ("unwound", "5"),
            ("missed", "4"),
            ("realised", "+35.92 of +38.10 expected"),
        ),
    ),
    StrategyRow(
        "hedger",
        on=True,
        state="hedging",
        facts=(
            ("unhedged", "0.004 BTC/USDT:USDT"),
            ("age", "412 of 2000 ms"),
            ("time to flat p50", "61 ms"),
            ("time to flat p99", "180 ms"),
        ),
    ),
)

TAKEN = (
    opportunity(sell_venue="binance", size=0.12, gross_bps=9.8, net_bps=-1.2, live=True,
                profit=0.0, result="net -1.2 < 1.0 bps"),
    opportunity(result="filled +0.98"),
    opportunity(buy_venue="binance", sell_venue="okx", size=0.2, gross_bps=13.2, net_bps=2.2,
                profit=2.86, lasted_ms=90.0, result="okx leg 60%, unwound -0.41"),
    opportunity(buy_venue="bybit", sell_venue="binance", size=0.08, gross_bps=12.4, net_bps=1.4,
                profit=0.71, lasted_ms=35.0, result="missed: gone in flight"),
    opportunity(sell_venue="binance", size=0.1, gross_bps=15.0, net_bps=4.0, profit=2.6,
                lasted_ms=210.0, result="refused: okx stale 412 ms > 300 ms"),
)  # fmt: skip


def pnl_line(count: int = 300) -> tuple[PnlPoint, ...]:
    """Three hours that began with a loss."""
    ns = NOON - 10_800 * SECOND
    line = []
    for i in range(count):
        x = i / (count - 1)
        wave = 14 * math.sin(9 * x) + 5 * math.sin(31 * x) + 2 * math.sin(83 * x)
        line.append(PnlPoint(ns + round(x * 10_800) * SECOND, 131.41 * x**1.5 + wave * (x - 1)))
    return tuple(line)


def trading_snapshot(**changes: Any) -> DeskSnapshot:
    """The same market, with strategies that trade in it."""
    own = (
        OwnLevel("buy", 64998.5, 0.01, 0.84),
        OwnLevel("buy", 64998.0, 0.006, 0.1),
        OwnLevel("sell", 65003.5, 0.01, 1.31),
        OwnLevel("sell", 65004.0, 0.01),
    )
    snapshot = desk_snapshot(
        trades=True,
        equity=100_131.41,
        day_pnl=131.41,
        latency=Latency(61.0, 240.0, 0.4, 61.0, 240.0),
        ladder=msgspec.structs.replace(ladder(), own=own, entry=64999.93),
        opportunities=TAKEN,
        arbitrage=ArbitrageTotals(
            seen=212, gross_only=41, best_net_bps=4.0, expected=44.0, shots=41, filled=36,
            unwound=5, missed=4, counted_on=38.1, realised=35.92,
        ),
        risk=(
            risk_row(position=0.38, open_orders=2, day_pnl=112.4, rate_used=0.12, dead_man="on"),
            risk_row("bybit", position=-0.052, open_orders=2, day_pnl=-31.1, rate_used=0.08),
            risk_row("okx", position=-0.028, open_orders=1, day_pnl=50.11, rate_used=0.31,
                     dead_man="on"),
        ),
        risk_totals=risk_totals(
            position=0.3, worst_case=1.12, unhedged=0.004, day_pnl=131.41, drawdown=12.1,
            open_orders=5, order_limit=60, unhedged_ms=412.0, unhedged_limit_ms=2_000.0,
        ),
        orders=ORDERS,
        fills=FILLS,
        fills_total=48,
        positions=POSITIONS,
        balances=BALANCES,
        strategies=STRATEGIES,
        pnl_line=pnl_line(),
        pnl_parts=PnlParts(total=131.41, spread=214.0, hedge=-18.3, arbitrage=35.92, fees=-96.2,
                           funding=2.8, inventory=-6.81),
    )  # fmt: skip
    return msgspec.structs.replace(snapshot, **changes)


THEMES = Path(__file__).parents[1] / "themes"
FAULTS = {"gap": "a delta is lost [once]", "crossed": "bids above asks"}


def terminal(
    desk: Desk, *, clock: Clock | None = None, owned: bool = False, **config: Any
) -> HftmmApp:
    """The app on a desk, with the shipped themes and a clock that stands still."""
    return HftmmApp(
        desk,
        TerminalConfig(**config),
        owned=owned,
        now_ns=clock or Clock(),
        faults=FAULTS,
        folders=[THEMES],
    )
