"""What a quote may be: its hedge, its price, its size, and why not.

Both sides run the same code. A side has a *sign*, 1 for a bid and -1 for an ask, and a price is a
*key*, sign * ticks: the greater key is the more aggressive quote, rounding away from the touch is
rounding the key down, and the better hedge is the one with the greater sign * net.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor
from typing import Final, Literal, NamedTuple

from hftmm.book.order_book import OrderBook
from hftmm.config import MarketMakingConfig
from hftmm.core.fees import BPS
from hftmm.core.instrument import Side

SIDES: Final[tuple[Side, Side]] = ("buy", "sell")
SIGNS: Final = (1, -1)
SideIndex = Literal[0, 1]
"""0 for a bid, which is hedged by selling; 1 for an ask, which is hedged by buying."""
HEDGES: Final[tuple[Side, Side]] = ("sell", "buy")

_TOLD: Final = 0.05 / BPS
"""What moves a quote by less, as a fraction of its price, is not what it is told to be held by."""
_GRAIN: Final = 1e-6
"""Of a tick or a lot: what a float may be off a grid that it stands for."""


class Reason(NamedTuple):
    """Why a quote is as it is, or is not: put into words only when somebody looks."""

    words: str
    numbers: tuple[object, ...] = ()

    def __str__(self) -> str:
        return self.words.format(*self.numbers) if self.numbers else self.words


class Terms(NamedTuple):
    """[market_making] in fractions of the price.

    Attributes:
        size: base coins.
        edge: least profit of a new quote. cancel: least profit of a standing one.
        slippage: what a hedge costs beyond the book. half: least distance from the mid.
        skew: how far quotes move at the position limit.
        slack: ticks that a standing quote may be away from where a new one would be.
    """

    size: float
    edge: float
    cancel: float
    slippage: float
    half: float
    skew: float
    slack: int
    max_age_ns: int

    @classmethod
    def of(cls, config: MarketMakingConfig) -> Terms:
        return cls(
            config.order_size,
            config.min_edge_bps / BPS,
            config.cancel_edge_bps / BPS,
            config.hedge_slippage_bps / BPS,
            config.target_spread_bps / 2.0 / BPS,
            config.inventory_skew_bps / BPS,
            config.requote_ticks,
            config.max_age_ms * 1_000_000,
        )


class Depth(NamedTuple):
    """Base coins that can be had, and their average price; 0.0 if none."""

    size: float
    price: float


def available(
    book: OrderBook,
    taker: Side,
    quantity: float,
    promised: float,
    own: Sequence[tuple[float, float]],
) -> Depth:
    """What taking `quantity` base coins would get, after all that is promised was taken.

    Args:
        promised: base coins that other quotes count on.
        own: (price, size) of our own orders on the side that is taken, best first: nobody trades
            with himself.
    """
    price, size = (book.ask, book.ask_size) if taker == "buy" else (book.bid, book.bid_size)
    hidden = 0.0
    for _, ours in own:
        hidden += ours
    if size >= quantity + promised + hidden:
        return Depth(quantity, price)
    had, paid = _taken(book, taker, promised, own)
    all_had, all_paid = _taken(book, taker, promised + quantity, own)
    got = all_had - had
    if got <= _GRAIN * quantity:
        return Depth(0.0, 0.0)
    return Depth(min(got, quantity), (all_paid - paid) / got)


def _taken(
    book: OrderBook, taker: Side, quantity: float, own: Sequence[tuple[float, float]]
) -> tuple[float, float]:
    """Base coins and quote of a walk that steps over our own orders.

    An order that the book does not show yet is taken from what it does show: that errs on the
    side of less depth at a worse price.
    """
    if quantity <= 0.0:
        return 0.0, 0.0
    sign = 1.0 if taker == "buy" else -1.0
    taken = book.walk(taker, quantity)
    ours = ours_paid = 0.0
    for price, size in own:
        if taken.size <= 0.0 or sign * price > sign * taken.worst:
            break
        ours += size
        ours_paid += size * price
        taken = book.walk(taker, quantity + ours)
    got = taken.size - ours
    return (got, taken.size * taken.vwap - ours_paid) if got > 0.0 else (0.0, 0.0)


class Offer(NamedTuple):
    """What one venue offers as the hedge of a quote.

    Attributes:
        venue: its place among the venues of the market.
        net: quote a coin that the hedge brings or costs, after its fee and slippage.
        size: base coins that can be hedged, on both lots.
        least: the smallest order that both venues take, base coins.
        reason: why it is no more than that, or none.
    """

    venue: int
    net: float
    size: float
    least: float
    reason: Reason


ENOUGH: Final = 0.9
"""Of what is wanted: lots cut a little off, and a better price is worth more than that."""


def best(sign: int, offers: Sequence[Offer], wanted: float) -> Offer | None:
    """The best price among those that hedge nearly all that is wanted, else the largest; None if
    nobody hedges what both venues would take.
    """
    found: Offer | None = None
    enough = ENOUGH * wanted
    for offer in offers:
        if offer.size < offer.least or offer.size <= 0.0:
            continue
        if found is None:
            found = offer
        elif offer.size >= enough and found.size >= enough:
            if sign * offer.net > sign * found.net:
                found = offer
        elif offer.size > found.size:
            found = offer
    return found


def floored(size: float, lot: float) -> float:
    """The largest whole number of lots not above `size`."""
    return floor(size / lot + _GRAIN) * lot


def edge(sign: int, net: float, price: float, maker: float) -> float:
    """What a quote at `price` earns as a fraction of it, once filled and hedged at `net`."""
    return sign * (net / price - 1.0) - maker


class Price(NamedTuple):
    """Where a quote goes: sign * ticks, and what holds it there; None if its edge alone does."""

    key: int
    held: Reason | None


def priced(
    sign: int,
    net: float,
    mid: float,
    shift: float,
    maker: float,
    terms: Terms,
    tick: float,
    most: int,
) -> Price:
    """The most aggressive price that the terms allow.

    Never one that earns less than `terms.edge`: the spread and the inventory move a quote only
    within what its hedge leaves.

    Args:
        mid: of the NBBO.
        shift: quote by which both sides are moved, down if positive.
        most: the greatest key that does not take.
    """
    worth = sign * net / (1.0 + sign * (maker + terms.edge))
    spread = sign * mid * (1.0 - sign * terms.half)
    moved = min(worth, spread) - sign * shift
    key = floor(min(worth, moved) / tick + _GRAIN)
    if key > most:
        return Price(most, Reason("at the touch"))
    if worth <= moved + mid * _TOLD:
        return Price(key, None)
    if sign * shift > 0.0:
        return Price(key, Reason("moved {:+.1f} bps by inventory", (-shift / mid * BPS,)))
    return Price(key, Reason("spread {:g} bps wide", (2.0 * terms.half * BPS,)))


class Limits(NamedTuple):
    """Between which values of its inputs a standing quote stays where it is.

    Attributes:
        net: sign * net of its hedge below which it must move or go.
        better: sign * net of any hedge above which it may move up.
        spread: sign * mid below which it must move. wider: above which it may move up.
        touch: quote by which the touch that its venue shows it must move away before it may.
    """

    net: float
    better: float
    spread: float
    wider: float
    touch: float


FAR: Final = float("inf")


def limits(
    sign: int,
    key: int,
    net: float,
    mid: float,
    shift: float,
    maker: float,
    terms: Terms,
    tick: float,
    most: int,
) -> Limits:
    """The inverse of `priced`: what it takes to move a quote that stands at `key`.

    One bound is enough to hold it down, so only the widest of the three is set.
    """
    push = sign * shift
    worth_by = 1.0 + sign * (maker + terms.edge)
    spread_by = 1.0 - sign * terms.half
    held = max(push, 0.0)
    low, high = (key - terms.slack) * tick, (key + terms.slack + 1) * tick
    least = max((low + held) * worth_by, key * tick * (1.0 + sign * (maker + terms.cancel)))
    nearest = (low + push) / spread_by
    if most <= key + terms.slack:
        room = (key + terms.slack - most + 0.5) * tick
        return Limits(least, FAR, nearest, FAR, room)
    better, wider = (high + held) * worth_by, (high + push) / spread_by
    if better - sign * net >= wider - sign * mid:
        return Limits(least, better, nearest, FAR, FAR)
    return Limits(least, FAR, nearest, wider, FAR)
