"""How much more may be ordered before a limit, and which one."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple

from hftmm.book.consolidated import ConsolidatedBook
from hftmm.core.instrument import Kind, Listing, Side
from hftmm.risk.case import Standing
from hftmm.risk.exposure import Reach

ZERO: Final = Decimal(0)
_INFINITE: Final = Decimal("Infinity")


class Headroom(NamedTuple):
    """Base coins, not on a lot; and the limit that is nearest, with its numbers."""

    size: Decimal
    reason: str


def headroom(
    listing: Listing, side: Side, ahead: Reach, book: ConsolidatedBook | None, standing: Standing
) -> Headroom:
    """Of the rules on positions, order size and notional, and balance; O(1) given the reach."""
    limits, most = standing.limits, standing.venues[listing.venue].max_position
    size, name, used, limit = most - ahead.venue, "position", ahead.venue, most
    room = limits.max_total_position - ahead.total
    if room < size:
        size, name, used, limit = room, "total position", ahead.total, limits.max_total_position
    most = limits.max_worst_case - ahead.gross
    closing = max(-ahead.venue, ZERO)
    room = max(most - ahead.venue if ahead.behind <= most else ZERO, closing)
    if room < size:
        gross = ahead.gross + max(ahead.venue, ahead.behind)
        size, name, used, limit = room, "worst case", gross, limits.max_worst_case
    if limits.max_order_size < size:
        size, name, limit = limits.max_order_size, "", limits.max_order_size
    price = _price(book)
    if limits.max_order_notional < size * price:
        size, name, limit = limits.max_order_notional / price, "notional", limits.max_order_notional
    # What a perpetual order closes has its margin already.
    opening = size - closing if listing.kind is not Kind.SPOT else size
    wallet, need = standing.portfolio.needs(listing, side, price, opening)
    if need > ZERO and (free := standing.portfolio.available(*wallet)) < need:
        size += opening * free / need - opening
        return Headroom(max(size, ZERO), f"balance {free.normalize():f} {wallet.asset}")
    if not name:
        return Headroom(size, f"order size up to {limit:f}")
    if name == "notional":
        return Headroom(size, f"order notional up to {limit:f}")
    share = f"{used / limit:.0%} of limit" if limit else "limit 0"
    return Headroom(max(size, ZERO), f"{name} {share}")


def _price(book: ConsolidatedBook | None) -> Decimal:
    """The dearer side of the NBBO: what an order is worth at most, while nobody knows its price."""
    if book is None:
        return ZERO
    dear = book.best_ask if book.best_ask < float("inf") else book.best_bid
    return Decimal(dear)
