"""What a strategy may do, and what it may know: the one door to the venues."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

from hftmm.book.consolidated import ConsolidatedBook
from hftmm.core.instrument import Listing, Side
from hftmm.core.order import AmendIntent, Amendment, OrderIntent
from hftmm.execution.order import Order
from hftmm.execution.throttle import Denial
from hftmm.risk.approval import Refused
from hftmm.risk.headroom import Headroom
from hftmm.venues.private import PrivateRules


class Trader(Protocol):
    """Reviews, sends and follows orders; answers at once, for nothing here waits.

    Whoever submits is told of the order's life by the engine: `changed` and `filled`.
    """

    def submit(self, intent: OrderIntent, now_ns: int) -> Order | Refused | Denial:
        """Sends an order if every rule and the rate budget allow."""
        ...

    def amend(self, intent: AmendIntent, now_ns: int) -> Amendment | Refused | Denial:
        """Changes a resting order likewise."""
        ...

    def cancel(self, client_id: str, now_ns: int) -> bool:
        """Makes an order go; False if it is gone."""
        ...

    def order(self, client_id: str) -> Order | None:
        """An order of ours; final ones are kept for a while."""
        ...

    def live(self, venue: str) -> Sequence[Order]:
        """Orders of ours that may still trade there, oldest first."""
        ...

    def position(self, listing: Listing) -> Decimal:
        """Base coins, negative is short."""
        ...

    def headroom(self, listing: Listing, side: Side, now_ns: int) -> Headroom:
        """What the limits and the wallet leave for another order that adds to the position."""
        ...

    def closed(self, listing: Listing) -> str:
        """Why no new order can go there (not logged in, reconciling, halted, killed, not trading),
        one line; "" if one can.
        """
        ...

    def rules(self, listing: Listing) -> PrivateRules:
        """How the venue wants to be treated: what an amend may change, its budgets."""
        ...

    def book(self, symbol: str) -> ConsolidatedBook | None:
        """The books of a market; None if it is not watched."""
        ...

    def note(self, level: str, venue: str, event: str, text: str, now_ns: int) -> None:
        """Tells the operator; see `Note`."""
        ...
