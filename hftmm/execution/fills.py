"""Which trades were booked, and those of others on the same account."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from hftmm.core.instrument import Kind
from hftmm.core.order import Fill, OrderUpdate

REMEMBERED: Final = 200_000
"""Trade ids kept; a venue repeats those of the last minutes, not of the last week."""


class Booking(NamedTuple):
    """What a fill told: a trade that is new, or the fee of one that came without."""

    new: bool
    fee_told: bool


class FillBook:
    """Trade ids by listing key, each with whether its fee is known. Every call is O(1)."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: Final[dict[tuple[str, str], bool]] = {}

    def book(self, fill: Fill) -> Booking:
        """Books a trade once, whatever number of times it is told."""
        identity = (fill.listing.key, fill.trade_id)
        fee_known = self._known.get(identity)
        if fee_known is None:
            self._known[identity] = fill.fee is not None
            if len(self._known) > REMEMBERED:
                del self._known[next(iter(self._known))]
            return Booking(new=True, fee_told=False)
        if fee_known or fill.fee is None:
            return Booking(new=False, fee_told=False)
        self._known[identity] = True
        return Booking(new=False, fee_told=True)

    def has(self, fill: Fill) -> bool:
        """It was booked."""
        return (fill.listing.key, fill.trade_id) in self._known

    def known(self, key: str, trade_id: str) -> None:
        """A trade that an earlier run booked."""
        self._known[key, trade_id] = True


class Strangers:
    """Orders and trades on the account that are not ours: counted and shown, never touched.

    Attributes:
        orders: live ones, by (listing key, venue id).
        trades: how many were seen, by venue.
    """

    def __init__(self) -> None:
        self.orders: Final[dict[tuple[str, str], OrderUpdate]] = {}
        self.trades: Final[dict[str, int]] = {}
        self._parked: Final[dict[str, list[Fill]]] = {}
        self._seen: Final = FillBook()

    def ordered(self, update: OrderUpdate) -> None:
        """An order of somebody else."""
        identity = (update.listing.key, update.venue_id)
        if update.state.final:
            self.orders.pop(identity, None)
        else:
            self.orders[identity] = update

    def listed(self, venue: str, kind: Kind, live: Iterable[OrderUpdate]) -> None:
        """A venue's full list of them of one kind: those not in it are gone."""
        for identity, known in list(self.orders.items()):
            if known.listing.venue == venue and known.listing.kind is kind:
                del self.orders[identity]
        for update in live:
            self.ordered(update)

    def traded(self, fill: Fill) -> None:
        """A trade of somebody else."""
        if self._seen.book(fill).new:
            venue = fill.listing.venue
            self.trades[venue] = self.trades.get(venue, 0) + 1

    def count(self, venue: str) -> int:
        """Live orders of others there."""
        return sum(known.listing.venue == venue for known in self.orders.values())

    def park(self, fill: Fill) -> None:
        """Keeps a trade that names no order we know, while one of ours has no venue id yet."""
        self._parked.setdefault(fill.listing.key, []).append(fill)

    def claim(self, key: str, venue_id: str) -> list[Fill]:
        """Takes those that belong to an order."""
        parked = self._parked.get(key)
        if not parked:
            return []
        self._parked[key] = [fill for fill in parked if fill.venue_id != venue_id]
        return [fill for fill in parked if fill.venue_id == venue_id]

    def release(self, key: str) -> list[Fill]:
        """Takes all of a listing."""
        return self._parked.pop(key, [])
