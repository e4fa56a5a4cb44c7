"""Where an amount can be bought or sold now, cheapest first."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from hftmm.book.consolidated import ConsolidatedBook
from hftmm.core.instrument import Listing, Side
from hftmm.execution.trader import Trader
from hftmm.strategy.taking import reach


class Way(NamedTuple):
    """An order that would trade at once.

    Attributes:
        size: base coins, what the venue has of the amount within the order's reach.
        price: limit. net: what a coin costs or brings on average after the fee, quote.
    """

    listing: Listing
    size: Decimal
    price: Decimal
    net: float


def ways(
    book: ConsolidatedBook, trader: Trader, side: Side, amount: Decimal, slippage_bps: float
) -> list[Way]:
    """One for each venue that can take any of it: those first that can take all, the best first."""
    found: list[Way] = []
    for member in book.eligible:
        listing = member.book.listing
        if trader.closed(listing):
            continue
        within = reach(member.book, side, trader.live(member.venue))
        taken = within.take(float(amount))
        size = listing.size(min(Decimal(repr(taken.size)), amount))
        if not size:
            continue
        price = within.limit(listing, side, taken.worst, slippage_bps)
        average = taken.value / taken.size
        net = average * (member.buy_cost if side == "buy" else member.sell_yield)
        found.append(Way(listing, size, price, net))
    sign = 1.0 if side == "buy" else -1.0
    return sorted(found, key=lambda way: (way.size < way.listing.size(amount), sign * way.net))
