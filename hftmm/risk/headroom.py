"""How much more may be ordered before a limit, and which one."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple

from hftmm.book.consolidated import ConsolidatedBook
from hftmm.core.instrument import Kind, Listing, Side
from hftmm.risk.case import Standing
from hftmm.risk.exposure import Reach

ZERO: Final = Decimal(0)


class Headroom(NamedTuple):
    """Base coins, not on a lot; and the limit that is nearest, with its numbers."""

    size: Decimal
    reason: str


def headroom(
    listing: Listing, side: Side, ahead: Reach, book: ConsolidatedBook | None, standing: Standing
) -> Headroom:
    """Of the rules on positions, order size and notional, and balance; O(1) given the reach."""
    limits, most = standing.limits, standing.venues[listing.venue].max_position
    used: Decimal | None = ahead.venue
    size, name, limit = most - ahead.venue, "position", most
    room = limits.max_total_position - ahead.total
    if room < size:
        size, name, limit = room, "total position", limits.max_total_position
        used = ahead.total
    most = limits.max_worst_case - ahead.gross
    closing = max(-ahead.venue, ZERO)
    room = max(most - ahead.venue if ahead.behind <= most else ZERO, closing)
    if room < size:
        size, name, limit = room, "worst case", limits.max_worst_case
        used = ahead.gross + max(ahead.venue, ahead.behind)
    if limits.max_order_size < size:
        size, name, limit = limits.max_order_size, "order size", limits.max_order_size
        used = None
    price = _price(book)
    most = limits.max_order_notional
    if most < size * price:
        size, name, limit, used = most / price, "order notional", most, None
    # What a perpetual order closes has its margin already.
    opening = size - closing if listing.kind is not Kind.SPOT else size
    wallet, need = standing.portfolio.needs(listing, side, price, opening)
    if need > ZERO and (free := standing.portfolio.free(wallet)) < need:
        size += opening * free / need - opening
        return Headroom(max(size, ZERO), f"balance {free.normalize():f} {wallet.asset}")
    if used is None:
        return Headroom(size, f"{name} up to {limit:f}")
    share = f"{used / limit:.0%} of limit" if limit else "limit 0"
    return Headroom(max(size, ZERO), f"{name} {share}")


def _price(book: ConsolidatedBook | None) -> Decimal:
    """The dearer side of the NBBO: what an order is worth at most, while nobody knows its price."""
    if book is None:
        return ZERO
    dear = book.best_ask if book.best_ask < float("inf") else book.best_bid
    return Decimal(repr(dear))
