"""How a hedge is priced and divided among venues. Pure: books in, sizes and prices out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Final, NamedTuple

from hftmm.book.consolidated import Member
from hftmm.book.order_book import ASKS, BIDS
from hftmm.core.instrument import Listing, Side
from hftmm.core.order import TimeInForce
from hftmm.execution.order import Order

LEVELS: Final = 32
"""Levels of each book that a hedge looks at."""
_ZERO: Final = Decimal(0)


class Outlet(NamedTuple):
    """One venue where a hedge may go.

    Attributes:
        limit: price of the order, on the tick.
        levels: (quote per base after the taker fee, base coins) that the limit reaches, best first.
        room: the largest order it takes. least: the smallest.
    """

    listing: Listing
    limit: Decimal
    levels: tuple[tuple[float, float], ...]
    room: Decimal
    least: Decimal


def least_size(listing: Listing, price: float) -> Decimal:
    """The smallest order of a listing at a price, on its lot; by its sizes alone if price is 0."""
    least = max(listing.lot, listing.min_size)
    if listing.min_notional and price > 0.0:
        lots = listing.min_notional / Decimal(repr(price)) / listing.lot
        least = max(least, lots.to_integral_value(ROUND_CEILING) * listing.lot)
    return least


def in_the_way(live: Iterable[Order], listing: Listing, side: Side) -> list[Order]:
    """Our resting orders that an order of this side could meet."""
    return [
        order
        for order in live
        if order.key == listing.key
        and order.side != side
        and order.time_in_force is not TimeInForce.IOC
    ]


def limit_price(member: Member, side: Side, cap_bps: float, own: Sequence[Order]) -> Decimal | None:
    """The touch and so much beyond it, but short of our own orders; None if they are the touch."""
    book = member.book
    listing = book.listing
    cap = Decimal(repr(cap_bps)) / 10_000
    if side == "buy":
        touch, limit = book.ask, listing.price(Decimal(repr(book.ask)) * (1 + cap), "buy")
        if own:
            limit = min(limit, min(order.price for order in own) - listing.tick)
        return limit if float(limit) >= touch else None
    touch, limit = book.bid, listing.price(Decimal(repr(book.bid)) * (1 - cap), "sell")
    if own:
        limit = max(limit, max(order.price for order in own) + listing.tick)
    return limit if float(limit) <= touch else None


def reachable(member: Member, side: Side, limit: Decimal) -> tuple[tuple[float, float], ...]:
    """What an order at that limit takes: see `Outlet.levels`."""
    bound = float(limit)
    if side == "buy":
        cost = member.buy_cost
        asks = member.book.depth(ASKS, LEVELS)
        return tuple((price * cost, size) for price, size in asks if price <= bound)
    gain = member.sell_yield
    bids = member.book.depth(BIDS, LEVELS)
    return tuple((price * gain, size) for price, size in bids if price >= bound)


def split(side: Side, amount: Decimal, outlets: Sequence[Outlet]) -> list[tuple[Outlet, Decimal]]:
    """Divides an amount by the cheapest next coin after fees.

    What lots and minimums cut off, and what is beyond the depth that is seen, goes to the best
    outlet that takes it: an IOC order costs nothing where there is nothing.

    Returns:
        Sizes on their outlets' lots, within their room, none below their least; together no more
        than the amount.

    Complexity:
        O(n log n) of the levels.
    """
    sign = 1.0 if side == "buy" else -1.0
    queue = sorted(
        (sign * price, place, size)
        for place, outlet in enumerate(outlets)
        for price, size in outlet.levels
    )
    shares = [_ZERO] * len(outlets)
    left = amount
    for _, place, size in queue:
        if not left:
            break
        share = min(left, Decimal(repr(size)), outlets[place].room - shares[place])
        if share > _ZERO:
            shares[place] += share
            left -= share
    for place, outlet in enumerate(outlets):
        whole = outlet.listing.size(shares[place])
        shares[place] = whole if whole >= outlet.least else _ZERO
    left = amount - sum(shares, _ZERO)
    best_first = sorted(range(len(outlets)), key=lambda i: (sign * outlets[i].levels[0][0], i))
    for place in best_first:
        outlet = outlets[place]
        more = outlet.listing.size(min(left, outlet.room - shares[place]))
        if more > _ZERO and shares[place] + more >= outlet.least:
            shares[place] += more
            left -= more
    return [(outlet, size) for outlet, size in zip(outlets, shares, strict=True) if size]
