"""What no order may do: the venue's own filters, a halted venue, a pulled kill latch."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from hftmm.core.instrument import Listing
from hftmm.core.order import AmendIntent, OrderIntent
from hftmm.risk.approval import Approved, I, Refused, approve

ZERO: Final = Decimal(0)


class Gate:
    """Reviews every intent against the rules that hold for whoever sends it. O(1) a review.

    Attributes:
        killed: why everything is stopped, one line; "" while it is not.
        halted: venue -> why only reducing orders pass there.
    """

    def __init__(self) -> None:
        self.killed = ""
        self.halted: dict[str, str] = {}

    def review(self, intent: I, *, reducing: bool = False) -> Approved[I] | Refused:
        """The first rule that it breaks, or leave to send it.

        Args:
            reducing: it takes the position towards zero; reducing orders pass a halted venue.
                Nothing passes the kill latch.
        """
        listing = intent.listing
        if self.killed:
            return Refused("killed", words=self.killed)
        if not reducing and (why := self.halted.get(listing.venue)):
            return Refused("halted", words=f"{listing.venue}: {why}")
        return (
            _not_trading(listing)
            or _off_grid(intent)
            or _too_small(intent, reducing)
            or approve(intent)
        )


def _not_trading(listing: Listing) -> Refused | None:
    if not listing.kind.tradable:
        return Refused("kind", words=f"{listing.key}: {listing.kind} is not traded")
    if listing.inferred:
        return Refused("definition", words=f"{listing.key}: the venue has not defined it yet")
    if listing.status != "live":
        return Refused("trading", words=f"{listing.key} is {listing.status}")
    return None


def _off_grid(intent: OrderIntent | AmendIntent) -> Refused | None:
    listing = intent.listing
    if not intent.price.is_finite() or intent.price <= ZERO:
        return Refused("price", ZERO, intent.price, "a price is above zero")
    if not intent.size.is_finite() or intent.size <= ZERO:
        return Refused("size", ZERO, intent.size, "a size is above zero")
    if intent.price % listing.tick:
        return Refused("tick", listing.tick, intent.price, "not a multiple of the tick")
    if intent.size % listing.lot:
        return Refused("lot", listing.lot, intent.size, "not a multiple of the lot")
    return None


def _too_small(intent: OrderIntent | AmendIntent, reducing: bool) -> Refused | None:
    listing = intent.listing
    if intent.size < listing.min_size:
        return Refused("min_size", listing.min_size, intent.size)
    notional = intent.price * intent.size
    # The venues let a reduce-only order of a perpetual be worth less than their minimum, so that
    # a remainder can be closed.
    exempt = reducing and isinstance(intent, OrderIntent) and intent.reduce_only
    if notional < listing.min_notional and not exempt:
        return Refused("min_notional", listing.min_notional, notional)
    return None
