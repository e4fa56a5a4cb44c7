"""What a venue's session must do for the order manager, one value each.

The session hands the same value back with the answer, so that nobody guesses what was answered.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from hftmm.core.instrument import Listing
from hftmm.core.order import Amendment, OrderRequest


class Place(msgspec.Struct, frozen=True, gc=False):
    """Send an order; answer by `answered` or `unanswered`."""

    request: OrderRequest

    @property
    def listing(self) -> Listing:
        return self.request.listing

    @property
    def client_id(self) -> str:
        return self.request.client_id


class Amend(msgspec.Struct, frozen=True, gc=False):
    """Change an order; answer by `answered` or `unanswered`."""

    change: Amendment

    @property
    def listing(self) -> Listing:
        return self.change.listing

    @property
    def client_id(self) -> str:
        return self.change.client_id


class Cancel(msgspec.Struct, frozen=True, gc=False):
    """Cancel an order, by the venue's id where it is known ("" otherwise)."""

    listing: Listing
    client_id: str
    venue_id: str


class Query(msgspec.Struct, frozen=True, gc=False):
    """Ask for one order by our id; answer by `updated(..., answer=True)` or `not_found`."""

    listing: Listing
    client_id: str


class FetchFills(msgspec.Struct, frozen=True, gc=False):
    """Ask for the fills of a listing since then, venue's clock; each goes to `filled`."""

    listing: Listing
    since_ns: int


class SyncClock(msgspec.Struct, frozen=True, gc=False):
    """Measure the venue's clock now, then call `clock_synced`."""

    venue: str


Request: TypeAlias = Place | Amend | Cancel
Action: TypeAlias = Request | Query | FetchFills | SyncClock
