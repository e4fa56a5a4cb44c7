"""One order of ours, and what all of them together could still do to a position."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from hftmm.core.instrument import Listing, Side
from hftmm.core.order import Amendment, OrderRequest, OrderState, Rejection, TimeInForce

ZERO: Final = Decimal(0)


class Order:
    """What we know of an order. The order manager alone changes it; everybody may read.

    Attributes:
        state: see `OrderState`.
        price, size: as the venue has them, as far as told.
        filled: what the venue says was traded in all, never falling; at least `booked`.
        booked: sum of the fills that were booked. trades: their ids.
        amend: change that was sent and not confirmed yet; until then the larger size counts.
        cancel_wanted: it is to go, whatever it takes.
        inferred: the final state is a conclusion of ours (all of it was filled; the venue does not
            know it); a word of the venue overrides it.
        sent: it left, and the venue may have it.
        seen: the venue spoke of it, other than by an ack.
        venue_ns: stamp of the newest update applied.
        rejection, text: why it is rejected, canceled or expired, where the venue says.
    """

    __slots__ = (
        "ack_ns",
        "amend",
        "amend_grace_ns",
        "amend_ns",
        "asked",
        "average",
        "booked",
        "cancel_due_ns",
        "cancel_ns",
        "cancel_wanted",
        "cancels",
        "client_id",
        "counted",
        "created_ns",
        "due_ns",
        "fetches",
        "filled",
        "inferred",
        "listing",
        "missing_ns",
        "not_found_ns",
        "place_ns",
        "post_only",
        "price",
        "query_ns",
        "reduce_only",
        "rejection",
        "resting_for_clock",
        "retried",
        "seen",
        "sent",
        "side",
        "size",
        "state",
        "strategy",
        "text",
        "time_in_force",
        "trades",
        "venue_id",
        "venue_ns",
    )

    def __init__(self, request: OrderRequest, strategy: str, created_ns: int) -> None:
        self.client_id: Final = request.client_id
        self.listing: Final[Listing] = request.listing
        self.side: Final[Side] = request.side
        self.strategy: Final = strategy
        self.post_only: Final = request.post_only
        self.reduce_only: Final = request.reduce_only
        self.time_in_force: Final[TimeInForce] = request.time_in_force
        self.created_ns: Final = created_ns
        self.price = request.price
        self.size = request.size
        self.state = OrderState.PENDING_NEW
        self.venue_id = ""
        self.venue_ns = 0
        self.filled = ZERO
        self.average: Decimal | None = None
        self.booked = ZERO
        self.trades: set[str] = set()
        self.rejection: Rejection | None = None
        self.text = ""
        self.inferred = False
        self.seen = False
        self.sent = False
        self.amend: Amendment | None = None
        self.cancel_wanted = False
        # When requests without an answer were sent, and when one was acknowledged that the stream
        # has not confirmed; 0 for none. Until `amend_grace_ns` a lost change may yet arrive.
        self.place_ns = 0
        self.ack_ns = 0
        self.amend_ns = 0
        self.amend_grace_ns = 0
        self.cancel_ns = 0
        self.cancel_due_ns = 0
        self.cancels = 0
        self.retried = False
        self.resting_for_clock = False
        # What is being found out: queries asked and the next one, since when the venue does not
        # know it, since when fills are missing and how often they were asked for.
        self.asked = 0
        self.query_ns = 0
        self.not_found_ns = 0
        self.missing_ns = 0
        self.fetches = 0
        self.due_ns = 0
        self.counted = ZERO

    @property
    def key(self) -> str:
        return self.listing.key

    @property
    def live(self) -> bool:
        """It may still trade."""
        return not self.state.final

    @property
    def request(self) -> OrderRequest:
        """What is sent to place it."""
        return OrderRequest(
            self.client_id,
            self.listing,
            self.side,
            self.price,
            self.size,
            self.post_only,
            self.time_in_force,
            self.reduce_only,
        )

    @property
    def at_risk(self) -> Decimal:
        """Base coins by which it may still move the position: all that is not booked and not
        known to be gone. Unknown orders count in full.
        """
        if self.state.final:
            return max(self.filled - self.booked, ZERO)
        size = self.size
        if self.amend is not None and self.amend.size > size:
            size = self.amend.size
        left = size - self.booked
        return left if left > ZERO else ZERO

    def __repr__(self) -> str:
        return (
            f"{self.client_id} {self.key} {self.side} {self.size:f} @ {self.price:f} "
            f"{self.state} {self.filled:f}"
        )


class Exposure:
    """Orders of one listing: base coins they may still buy and sell, and how many are live."""

    __slots__ = ("buy", "orders", "sell")

    def __init__(self) -> None:
        self.buy = ZERO
        self.sell = ZERO
        self.orders = 0

    def recount(self, order: Order, was_live: bool) -> None:
        """An order changed: replaces what it counted."""
        now = order.at_risk
        change = now - order.counted
        order.counted = now
        if order.side == "buy":
            self.buy += change
        else:
            self.sell += change
        self.orders += order.live - was_live
