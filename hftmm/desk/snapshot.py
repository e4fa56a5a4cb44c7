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


class OwnLevel(Shown, frozen=True, gc=False):
    """Orders of ours at one price. Attributes: queue: base coins ahead of them, None if unknown."""

    side: str
    price: float
    size: float
    queue: float | None = None


class Ladder(Shown, frozen=True, gc=False):
    """The consolidated book of the market on view.

    Attributes:
        own: our resting orders, by their own prices, of all venues together.
        entry: average price of what we hold over all venues, None if flat.
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
    own: tuple[OwnLevel, ...] = ()
    entry: float | None = None


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
        shots: taken; of them `filled` in full on both legs, `unwound` with a leg closed otherwise,
            `missed` with nothing traded.
        counted_on, realised: quote, what those shots expected and got.
    """

    seen: int
    gross_only: int
    best_net_bps: float | None
    expected: float
    shots: int = 0
    filled: int = 0
    unwound: int = 0
    missed: int = 0
    counted_on: float = 0.0
    realised: float = 0.0


class RiskRow(Shown, frozen=True, gc=False):
    """One venue's use of its limits; None where the engine has nothing to count yet.

    Attributes:
        position: base coins of the market on view, as its limit.
        rate_used: fullest rate budget, 0 to 1. dead_man: `on`, `off`, `none` (not offered).
        account: why nothing can be traded there, one line; "" if it can.
        halted: why only reducing orders pass; "" if all do.
    """

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
    account: str = ""
    halted: str = ""


class RiskTotals(Shown, frozen=True, gc=False):
    """All venues together; positions of the market on view.

    Attributes:
        unhedged_ms: age of the oldest unhedged amount; None if there is none.
        unhedged_limit_ms: age at which it is flattened.
    """

    position: float
    position_limit: float
    worst_case: float
    worst_case_limit: float
    unhedged: float
    day_pnl: float
    loss_limit: float
    drawdown: float
    drawdown_limit: float
    open_orders: int = 0
    order_limit: int = 0
    unhedged_ms: float | None = None
    unhedged_limit_ms: float = 0.0


class OrderRow(Shown, frozen=True, gc=False):
    """One order of ours that may still trade, or ended a moment ago.

    Attributes:
        price: decimal text on the market's grid. size, filled: decimal text.
        queue: base coins ahead of it at its price, an upper bound; None if unknown.
        text: why it is as it is, where the venue says; "" otherwise.
    """

    ns: int
    venue: str
    market: str
    side: str
    price: str
    size: str
    filled: str
    state: str
    age_ms: float
    strategy: str
    queue: float | None
    client_id: str
    live: bool
    text: str = ""


class FillRow(Shown, frozen=True, gc=False):
    """One trade of ours.

    Attributes:
        price, size, fee: decimal text; fee "" until the venue says, negative is a rebate.
        markout_bps: what the mid moved our way within a second; None until then.
        hedge: what became of its risk, one line: `hedged okx 65001.5 in 34 ms`.
    """

    ns: int
    venue: str
    market: str
    side: str
    price: str
    size: str
    fee: str
    fee_asset: str
    maker: bool
    strategy: str
    client_id: str
    trade_id: str
    markout_bps: float | None = None
    hedge: str = ""


class PositionRow(Shown, frozen=True, gc=False):
    """What is held of one listing; money is quote.

    Attributes:
        size: base coins, negative is short; of spot what was traded since the day was opened.
        drift: how the venue's word differs, one line; "" if it agrees or has not been asked.
        decimals: decimal places its prices are shown with.
    """

    venue: str
    market: str
    size: str
    entry: float | None
    mark: float | None
    realised: float
    unrealised: float
    fees: float
    funding: float
    drift: str = ""
    decimals: int = 2


class BalanceRow(Shown, frozen=True, gc=False):
    """One asset in one wallet, by our books.

    Attributes:
        wallet: `spot` or `linear` where a venue keeps them apart, else "".
        available: free for new orders. drift: see `PositionRow`.
    """

    venue: str
    wallet: str
    asset: str
    total: str
    available: str
    drift: str = ""


class QuoteRow(Shown, frozen=True, gc=False):
    """What a strategy quotes at one venue; None where it does not, and why, in either case.

    Attributes:
        decimals: decimal places its prices are shown with.
    """

    market: str
    venue: str
    bid: float | None
    bid_size: float | None
    bid_why: str
    ask: float | None
    ask_size: float | None
    ask_why: str
    decimals: int = 2


class StrategyRow(Shown, frozen=True, gc=False):
    """One strategy.

    Attributes:
        state: one word or two: `quoting`, `off`, `watching`, `flat`, `hedging`, `blocked`.
        reason: why it is off or blocked, one line; "" otherwise.
        quotes: of market making. facts: (label, value) of the others, most important first.
    """

    name: str
    on: bool
    state: str
    reason: str = ""
    quotes: tuple[QuoteRow, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()


class VenueKill(Shown, frozen=True, gc=False):
    """How a kill went at one venue.

    Attributes:
        sent, acked: cancels of orders; bulk ones count for the orders they are for.
        zero_ms: from the kill until the venue showed no open order of ours; None until then.
        open: orders that it showed last; None before its first answer.
        positions: what is held there, one line; "" if nothing.
        problem: why it is not verified yet, one line; "" if it is.
    """

    venue: str
    sent: int
    acked: int
    zero_ms: float | None
    open: int | None
    positions: str = ""
    problem: str = ""


class KillRow(Shown, frozen=True, gc=False):
    """The kill latch while it is pulled.

    Attributes:
        flattening: what flattening does or did, one line; "" if it was not asked for.
        rearm: what re-arming will do, one line.
        done: every venue shows zero, and what was to be flattened is as flat as it gets.
    """

    reason: str
    ns: int
    venues: tuple[VenueKill, ...]
    flattening: str = ""
    rearm: str = ""
    done: bool = False


class PnlPoint(Shown, frozen=True, gc=False):
    """The day's PnL at one moment, quote."""

    ns: int
    total: float


class PnlParts(Shown, frozen=True, gc=False):
    """Where the day's PnL comes from, quote; they add up to `total`.

    Attributes:
        spread: what maker fills were better than the mid. hedge: what hedges were worse than it.
        arbitrage: the same of its legs. fees: paid is negative. inventory: moves of the mid
            against what was held.
    """

    total: float = 0.0
    spread: float = 0.0
    hedge: float = 0.0
    arbitrage: float = 0.0
    fees: float = 0.0
    funding: float = 0.0
    inventory: float = 0.0


class Parameter(Shown, frozen=True, gc=False):
    """A key of the config that may be changed while running. Attributes: value: as in TOML."""

    key: str
    value: str
    allowed: str
    words: str


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
    """One market in the switcher. Attributes: decimals: decimal places its prices have."""

    symbol: str
    kind: str
    nbbo: BestQuote
    net: BestQuote
    venues_live: int
    venues_total: int
    decimals: int = 2


class Latency(Shown, frozen=True, gc=False):
    """Microseconds over the last ten seconds, from the frame in hand: until NBBO and detection are
    done, and until the bytes of an order that it led to are with the socket.
    """

    wire_to_nbbo_p50_us: float | None
    wire_to_nbbo_p99_us: float | None
    loop_lag_ms: float | None
    tick_to_order_p50_us: float | None = None
    tick_to_order_p99_us: float | None = None


class DeskSnapshot(Shown, frozen=True, gc=False):
    """Everything a viewer draws.

    Attributes:
        number: counts up; a viewer that sees the same number twice sees no news.
        ns: engine clock, ns since the epoch.
        mode: `sim`, `paper`, `demo`, `live`, `replay`.
        state: `STARTING`, `ARMED`, `HALTED`, `KILLED`, `RECOVERING`, `STOPPING`, `STOPPED`,
            `FINISHED` (replay).
        market: symbol of the market on view.
        tape, fills: newest first. orders: live ones first, each newest first.
        log: newest last. pnl_line: oldest first.
        trades: False if this engine cannot trade (paper, no keys, a recording).
        differences: (venue, what it and we see differently), for the operator to accept.
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
    trades: bool = False
    orders: tuple[OrderRow, ...] = ()
    fills: tuple[FillRow, ...] = ()
    fills_total: int = 0
    positions: tuple[PositionRow, ...] = ()
    balances: tuple[BalanceRow, ...] = ()
    strategies: tuple[StrategyRow, ...] = ()
    kill: KillRow | None = None
    pnl_line: tuple[PnlPoint, ...] = ()
    pnl_parts: PnlParts = PnlParts()
    parameters: tuple[Parameter, ...] = ()
    differences: tuple[tuple[str, str], ...] = ()
