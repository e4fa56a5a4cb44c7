"""What a taker may take of a book without meeting an order of ours, and at which price."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final, NamedTuple

from hftmm.book.order_book import ASKS, BIDS, OrderBook
from hftmm.core.fees import BPS
from hftmm.core.instrument import Listing, Side
from hftmm.execution.hedge_ladder import LEVELS, in_the_way
from hftmm.execution.order import Order

_DIGITS: Final = 12
"""Decimal places below any lot, to which sums of sizes are rounded: their last bits are noise."""


class Reach(NamedTuple):
    """One side of a book, up to the first order of ours.

    Attributes:
        levels: (price, size) best first.
        own: the order of ours that ends them; None if there is none.
    """

    levels: list[tuple[float, float]]
    own: Order | None

    @property
    def obstacle(self) -> str:
        """The order of ours, for the operator; "" if there is none."""
        own = self.own
        if own is None:
            return ""
        return f"own {own.side} {own.size - own.filled:f} at {own.price:f} on {own.listing.venue}"

    def take(self, size: float) -> Taken:
        """What so many base coins, or as many of them as there are, cost or bring now."""
        taken = value = worst = 0.0
        for price, there in self.levels:
            part = min(round(size - taken, _DIGITS), there)
            if part <= 0.0:
                break
            taken = round(taken + part, _DIGITS)
            value += part * price
            worst = price
        return Taken(taken, value, worst)

    def limit(self, listing: Listing, taker: Side, worst: float, slippage_bps: float) -> Decimal:
        """A limit price that far beyond `worst`, which is one of the levels, and never at or past
        the order of ours.
        """
        if taker == "buy":
            price = listing.price(worst * (1.0 + slippage_bps / BPS), taker)
            return price if self.own is None else min(price, self.own.price - listing.tick)
        price = listing.price(worst * (1.0 - slippage_bps / BPS), taker)
        return price if self.own is None else max(price, self.own.price + listing.tick)


class Taken(NamedTuple):
    """Attributes: size: base coins. value: quote before fees. worst: price of the last level."""

    size: float
    value: float
    worst: float


def reach(book: OrderBook, taker: Side, live: Iterable[Order]) -> Reach:
    """What a buy may take of the asks, a sell of the bids.

    A venue may cancel either order when two of one account meet, and it tells only afterwards:
    what stands behind a resting order of ours is out of reach.

    Args:
        live: orders of ours that may still trade at the venue.
    """
    levels = book.depth(ASKS if taker == "buy" else BIDS, LEVELS)
    against = in_the_way(live, book.listing, taker)
    if not against:
        return Reach(levels, None)
    if taker == "buy":
        own = min(against, key=lambda order: order.price)
        edge = float(own.price)
        return Reach([level for level in levels if level[0] < edge], own)
    own = max(against, key=lambda order: order.price)
    edge = float(own.price)
    return Reach([level for level in levels if level[0] > edge], own)
