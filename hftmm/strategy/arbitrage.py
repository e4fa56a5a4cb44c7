"""Finds prices at which one venue sells for less than another buys."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field, replace
from decimal import ROUND_DOWN, Decimal
from enum import Enum
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from math import gcd, lcm
from typing import Final, NamedTuple, Protocol

from hftmm.book.consolidated import ConsolidatedBook, Member
from hftmm.book.order_book import ASKS, BIDS
from hftmm.config import ArbitrageConfig
from hftmm.core.fees import BPS

LEVELS: Final = 32
"""Levels of each book considered; a crossing deeper than that is a broken book."""
_MILLISECOND: Final = 1_000_000


class Moment(NamedTuple):
    """What a crossing was worth at one time; fields as in `Opportunity`."""

    size: float
    gross_bps: float
    net_bps: float
    profit: float
    reason: str


class Attempt(Protocol):
    """An attempt to take a crossing."""

    @property
    def result(self) -> str:
        """What came of it, or is coming, one line."""
        ...


@dataclass(slots=True)
class Opportunity:
    """One crossing of two venues, from its first moment to its last.

    Attributes:
        size: base coins, the most profitable size after fees now, on both venues' lots; at the
            touch, if no size is profitable.
        gross_bps, net_bps: edge at that size, before and after both taker fees.
        profit: quote, after fees, at that size; negative if none is profitable.
        best: what it was at the moment of its highest net edge.
        best_net_bps, best_profit: the best each of them ever was.
        reason: why it is not worth taking, with the number; "" if it is.
        untaken: why it was left alone though it was worth taking, with the number.
        attempt: the newest one to take it.
    """

    market: str
    buy: str
    sell: str
    size: float
    gross_bps: float
    net_bps: float
    profit: float
    buy_age_ms: float
    sell_age_ms: float
    first_ns: int
    last_ns: int
    reason: str
    best: Moment = field(init=False)
    best_net_bps: float = field(init=False)
    best_profit: float = field(init=False)
    counted: bool = False
    untaken: str = ""
    attempt: Attempt | None = None

    def __post_init__(self) -> None:
        self.best = self.now
        self.best_net_bps = self.net_bps
        self.best_profit = max(0.0, self.profit)

    @property
    def now(self) -> Moment:
        """What it is now, or was when it went."""
        return Moment(self.size, self.gross_bps, self.net_bps, self.profit, self.reason)

    @property
    def lasted_ms(self) -> float:
        return (self.last_ns - self.first_ns) / _MILLISECOND


@dataclass(frozen=True, slots=True)
class Edge:
    """What buying at one venue and selling at another would bring.

    Attributes:
        size: base coins. cost: quote paid with fees. proceeds: quote received after fees.
        gross: quote, the same trade without fees.
        highest_ask, lowest_bid: prices of the last levels it takes; 0.0 if it takes none.
    """

    size: float
    cost: float
    proceeds: float
    gross: float
    highest_ask: float = 0.0
    lowest_bid: float = 0.0

    @property
    def profit(self) -> float:
        return self.proceeds - self.cost


def walk(
    asks: list[tuple[float, float]],
    bids: list[tuple[float, float]],
    buy_cost: float,
    sell_yield: float,
    most: float,
) -> Edge:
    """Buys down `asks` and sells down `bids` as long as the next coin pays after fees.

    Args:
        asks, bids: (price, size) best first.
        buy_cost, sell_yield: 1 + and 1 - taker fee.
        most: base coins at most.

    Complexity:
        O(levels walked).
    """
    size = cost = proceeds = gross = highest_ask = lowest_bid = 0.0
    i = j = 0
    ask_left = asks[0][1] if asks else 0.0
    bid_left = bids[0][1] if bids else 0.0
    while i < len(asks) and j < len(bids) and size < most:
        ask, bid = asks[i][0], bids[j][0]
        if bid * sell_yield <= ask * buy_cost:
            break
        part = min(ask_left, bid_left, most - size)
        size += part
        cost += part * ask * buy_cost
        proceeds += part * bid * sell_yield
        gross += part * (bid - ask)
        highest_ask, lowest_bid = ask, bid
        ask_left -= part
        bid_left -= part
        if ask_left <= 0.0:
            i += 1
            ask_left = asks[i][1] if i < len(asks) else 0.0
        if bid_left <= 0.0:
            j += 1
            bid_left = bids[j][1] if j < len(bids) else 0.0
    return Edge(size, cost, proceeds, gross, highest_ask, lowest_bid)


@lru_cache(maxsize=1024)
def common_lot(a: Decimal, b: Decimal) -> Decimal:
    """The smallest size that is a whole number of both lots."""
    x, y = Fraction(a), Fraction(b)
    lot = Fraction(lcm(x.numerator, y.numerator), gcd(x.denominator, y.denominator))
    return Decimal(lot.numerator) / Decimal(lot.denominator)


def floored(size: float, lot: Decimal) -> float:
    """The largest whole number of lots not above `size`, which is below 2**53 lots."""
    lots = (Decimal(repr(size)) / lot).quantize(Decimal(1), ROUND_DOWN)
    return float(lots * lot)


def best_trade(
    asks: list[tuple[float, float]],
    bids: list[tuple[float, float]],
    buy: Member,
    sell: Member,
    most: float,
) -> Edge:
    """The most profitable trade between two venues in whole lots of both; its size may be 0."""
    edge = walk(asks, bids, buy.buy_cost, sell.sell_yield, most)
    # What the lots cut off is the dearest part: the rest is priced anew.
    size = floored(edge.size, common_lot(buy.book.listing.lot, sell.book.listing.lot))
    if size < edge.size:
        edge = walk(asks, bids, buy.buy_cost, sell.sell_yield, size)
    # The parts of a walk add up to the size but for the last bit.
    return replace(edge, size=size)


def ages(buy: Member, sell: Member, now_ns: int) -> tuple[float, float]:
    """Milliseconds since either book was heard of, our clock."""
    buy_ns, sell_ns = now_ns - buy.book.received_ns, now_ns - sell.book.received_ns
    return buy_ns / _MILLISECOND, sell_ns / _MILLISECOND


def unworthy(
    config: ArbitrageConfig,
    buy: Member,
    sell: Member,
    size: float,
    net_bps: float,
    ages_ms: tuple[float, float],
) -> str:
    """Why a trade between two venues is not worth it, with the number; "" if it is."""
    if net_bps < config.min_profit_bps:
        return f"net {net_bps:.1f} < {config.min_profit_bps:g} bps"
    for member, age in zip((buy, sell), ages_ms, strict=True):
        if age > config.max_age_ms:
            return f"{member.venue} {age:.0f} ms old > {config.max_age_ms}"
    for member, price in ((buy, buy.book.ask), (sell, sell.book.bid)):
        listing = member.book.listing
        least = max(config.min_quantity, float(listing.min_size), float(listing.lot))
        if size < least:
            return f"size {size:g} < {least:g} at {member.venue}"
        if size * price < float(listing.min_notional):
            return f"worth {size * price:.2f} < {listing.min_notional} at {member.venue}"
    return ""


class Outcome(Enum):
    """How an attempt ended."""

    FILLED = "filled"  # both legs alike
    UNWOUND = "unwound"  # a leg was closed otherwise
    MISSED = "missed"  # nothing traded


@dataclass(slots=True)
class Totals:
    """What was seen in a market since the detector began, and made of it.

    Attributes:
        seen: opportunities that were worth taking at some moment, each counted once.
        gross_only: crossings that were not, at no moment.
        best_net_bps: of the former; None if there was none.
        expected: quote, sum of their best profits; of those still open as far as they came.
        shots: attempts begun. outcomes: of those that ended.
        counted_on, realised: quote, what these expected and got.
    """

    seen: int = 0
    gross_only: int = 0
    best_net_bps: float | None = None
    expected: float = 0.0
    shots: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    counted_on: Decimal = Decimal(0)
    realised: Decimal = Decimal(0)


class ArbitrageDetector:
    """Watches one market for crossings between its venues, over all ordered pairs.

    Attributes:
        live: crossings open now. past: those that closed, newest first.
    """

    __slots__ = ("_config", "book", "live", "past", "totals")

    def __init__(self, book: ConsolidatedBook, config: ArbitrageConfig) -> None:
        self.book = book
        self.live: dict[tuple[str, str], Opportunity] = {}
        self.past: deque[Opportunity] = deque(maxlen=config.keep)
        self.totals = Totals()
        self._config = config

    def configure(self, config: ArbitrageConfig) -> None:
        """Other parameters hold from the next check on."""
        self._config = config
        if self.past.maxlen != config.keep:
            # The newest stand first: it is the oldest that may not fit.
            self.past = deque(islice(self.past, config.keep), config.keep)

    def check(self, now_ns: int) -> None:
        """Looks again, after any touch moved; nothing is crossed while the NBBO is not."""
        book = self.book
        if book.best_bid <= book.best_ask and not self.live:
            return
        open_pairs = set()
        for buy in book.eligible:
            if buy.book.ask_size <= 0.0 or buy.book.ask <= 0.0:
                continue
            for sell in book.eligible:
                if sell is not buy and sell.book.bid > buy.book.ask and sell.book.bid_size > 0.0:
                    open_pairs.add((buy.venue, sell.venue))
                    self._note(self._price(buy, sell, now_ns))
        # Not by a difference of sets, whose order changes from run to run.
        for pair in [pair for pair in self.live if pair not in open_pairs]:
            gone = self.live.pop(pair)
            gone.last_ns = now_ns
            if not gone.counted:
                self.totals.gross_only += 1
            self.past.appendleft(gone)

    def _note(self, now: Opportunity) -> None:
        known = self.live.setdefault((now.buy, now.sell), now)
        before = known.best_profit if known.counted else 0.0
        if known is not now:
            now.first_ns = known.first_ns
            if known.best.net_bps >= now.net_bps:
                now.best = known.best
            now.best_net_bps = max(known.best_net_bps, now.net_bps)
            now.best_profit = max(known.best_profit, now.profit)
            now.counted = known.counted
            now.untaken, now.attempt = known.untaken, known.attempt
            self.live[now.buy, now.sell] = now
        totals = self.totals
        if not now.reason and not now.counted:
            now.counted = True
            totals.seen += 1
        if now.counted:
            totals.expected += now.best_profit - before
            if totals.best_net_bps is None or now.best_net_bps > totals.best_net_bps:
                totals.best_net_bps = now.best_net_bps

    def _price(self, buy: Member, sell: Member, now_ns: int) -> Opportunity:
        config = self._config
        size = 0.0
        # Fees eat most crossings at the touch already: their books need not be walked.
        if sell.book.bid * sell.sell_yield > buy.book.ask * buy.buy_cost:
            asks = buy.book.depth(ASKS, LEVELS)
            bids = sell.book.depth(BIDS, LEVELS)
            edge = best_trade(asks, bids, buy, sell, config.max_quantity)
            size = edge.size
        if size > 0.0:
            paid = edge.cost / buy.buy_cost
            gross_bps, net_bps = edge.gross / paid * BPS, edge.profit / paid * BPS
            profit = edge.profit
        else:
            ask, bid = buy.book.ask, sell.book.bid
            size = min(buy.book.ask_size, sell.book.bid_size, config.max_quantity)
            gross_bps = (bid - ask) / ask * BPS
            net = bid * sell.sell_yield - ask * buy.buy_cost
            profit, net_bps = net * size, net / ask * BPS
        ages_ms = ages(buy, sell, now_ns)
        return Opportunity(
            self.book.symbol,
            buy.venue,
            sell.venue,
            size,
            gross_bps,
            net_bps,
            profit,
            *ages_ms,
            now_ns,
            now_ns,
            unworthy(config, buy, sell, size, net_bps, ages_ms),
        )
