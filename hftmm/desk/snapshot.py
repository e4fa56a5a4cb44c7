"""What an engine shows: frozen values only, the whole screen in one message.

Prices and sizes are floats because nothing is computed from them: they are for eyes. A value that
does not exist (no bid, no fill yet) is None, never 0.
"""

from __future__ import annotations

import msgspec


class Shown(msgspec.Struct, frozen=True, gc=False):
    """Base of everything in a snapshot."""


class VenueQuote(Shown, frozen=True, gc=False):
    """One venue's top of book in the market on view, and the health of its feed.

    Attributes:
        state: `live`, `stale`, `syncing`, `quarantined`, `down`.
        reason: why it is not live, one line; "" if it is.
        age_ms: since the last change or heartbeat of its book, our clock.
        lag_ms: our receive time less the venue's stamp, clock offset removed; None if unstamped.
        frames_per_s: all frames of the venue, one-second window.
    """

    venue: str
    state: str
    reason: str
    bid: float | None
    bid_size: float | None
    ask: float | None
    ask_size: float | None
    age_ms: float | None
    lag_ms: float | None
    frames_per_s: float
    gaps: int
    resyncs: int
    malformed: int
    mark: float | None = None
    funding_bps: float | None = None
    next_funding_ns: int | None = None


class BestQuote(Shown, frozen=True, gc=False):
    """Best bid and ask over the eligible venues.

    Attributes:
        bid_venues, ask_venues: those that stand at the price, largest size first.
        spread_bps: (ask - bid) / mid; < 0 when crossed.
        state: `normal`, `locked` (bid = ask), `crossed` (bid > ask), `one-sided`, `empty`.
    """

    bid: float | None
    bid_size: float | None
    bid_venues: tuple[str, ...]
    ask: float | None
    ask_size: float | None
    ask_venues: tuple[str, ...]
    spread_bps: float | None
    state: str


class LadderColumn(Shown, frozen=True, gc=False):
    """One venue's book in price groups, best first.

    Attributes:
        bids, asks: (group price, size); bids are grouped down, asks up.
    """

    venue: str
    bids: tuple[tuple[float, float], ...]
    asks: tuple[tuple[float, float], ...]


class Ladder(Shown, frozen=True, gc=False):
    """The consolidated book of the market on view.

    Attributes:
        group: size of a price group, quote; a multiple of `step`.
        step: the finest grid of the listings, and of the prices shown.
        decimals: decimal places a price is shown with.
    """

    group: float
    step: float
    decimals: int
    columns: tuple[LadderColumn, ...]
    mid: float | None
    microprice: float | None
    last: float | None
    last_size: float | None
    last_venue: str
    last_ns: int


class OpportunityRow(Shown, frozen=True, gc=False):
    """One crossing of two venues, live or gone.

    Attributes:
        size: base coins, most profitable size after fees; 0 if none is.
        profit: quote, after fees, at that size.
        lasted_ms: since it was first seen, until it went.
        result: what came of it, or why nothing did, with the number.
    """

    market: str
    buy_venue: str
    sell_venue: str
    size: float
    gross_bps: float
    net_bps: float
    profit: float
    lasted_ms: float
    live: bool
    result: str


class ArbitrageTotals(Shown, frozen=True, gc=False):
    """The day's crossings.

    Attributes:
        seen: crossings net of fees above the configured minimum, each counted once.
        gross_only: crossings that fees ate.
        best_net_bps: of the day; None if there was none.
        expected: quote, sum of their profits at their best.
    """

    seen: int
    gross_only: int
    best_net_bps: float | None
    expected: float


class RiskRow(Shown, frozen=True, gc=False):
    """One venue's use of its limits; None where the engine has nothing to count yet."""

    venue: str
    state: str
    reason: str
    position: float
    position_limit: float
    open_orders: int
    order_limit: int
    day_pnl: float
    loss_limit: float
    rate_used: float
    dead_man: str
    clock_offset_ms: float | None
    reconnects: int


class RiskTotals(Shown, frozen=True, gc=False):
    """All venues together."""

    position: float
    position_limit: float
    worst_case: float
    worst_case_limit: float
    unhedged: float
    day_pnl: float
    loss_limit: float
    drawdown: float
    drawdown_limit: float


class TapeRow(Shown, frozen=True, gc=False):
    """A public trade; `side` is the taker's. `large` against the market's recent trades."""

    ns: int
    venue: str
    price: float
    size: float
    side: str
    large: bool


class LogRow(Shown, frozen=True, gc=False):
    """One line of the log; `number` counts up from 1, so that a viewer sees what it missed."""

    number: int
    ns: int
    level: str
    source: str
    text: str


class MarketRow(Shown, frozen=True, gc=False):
    """One market in the switcher."""

    symbol: str
    kind: str
    nbbo: BestQuote
    net: BestQuote
    venues_live: int
    venues_total: int


class Latency(Shown, frozen=True, gc=False):
    """Microseconds over the last ten seconds, from the frame in hand to NBBO and detection done."""

    wire_to_nbbo_p50_us: float | None
    wire_to_nbbo_p99_us: float | None
    loop_lag_ms: float | None


class DeskSnapshot(Shown, frozen=True, gc=False):
    """Everything a viewer draws.

    Attributes:
        number: counts up; a viewer that sees the same number twice sees no news.
        ns: engine clock, ns since the epoch.
        mode: `sim`, `paper`, `demo`, `live`, `replay`.
        state: `STARTING`, `ARMED`, `HALTED`, `KILLED`, `RECOVERING`, `FINISHED` (replay).
        market: symbol of the market on view.
        tape: newest first.
        log: newest last.
    """

    number: int
    ns: int
    mode: str
    state: str
    state_reason: str
    equity: float | None
    day_pnl: float | None
    frames_per_s: float
    latency: Latency
    market: str
    markets: tuple[MarketRow, ...]
    venues: tuple[VenueQuote, ...]
    nbbo: BestQuote
    net: BestQuote
    ladder: Ladder
    opportunities: tuple[OpportunityRow, ...]
    arbitrage: ArbitrageTotals
    risk: tuple[RiskRow, ...]
    risk_totals: RiskTotals
    tape: tuple[TapeRow, ...]
    log: tuple[LogRow, ...]
