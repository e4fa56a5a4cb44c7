"""Everything the rules may know of one intent, put together once."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from hftmm.book.consolidated import ConsolidatedBook, Member
from hftmm.config import LimitsConfig, VenueConfig
from hftmm.core.order import AmendIntent, OrderIntent, TimeInForce
from hftmm.risk.exposure import Reach
from hftmm.risk.pace import Pace
from hftmm.risk.portfolio import Portfolio
from hftmm.risk.working import Working, WorkingOrder

ZERO: Final = Decimal(0)


class Standing:
    """What holds for every review until somebody changes it.

    Attributes:
        killed: why nothing new leaves, one line; "" if it does.
        halted: venue -> why only reducing orders pass there.
        off: strategy -> why nothing of it passes until a person enables it.
        limits, venues: as configured.
    """

    __slots__ = ("halted", "killed", "limits", "off", "pace", "portfolio", "venues", "working")

    def __init__(
        self,
        limits: LimitsConfig,
        venues: Mapping[str, VenueConfig],
        portfolio: Portfolio,
        working: Working,
    ) -> None:
        self.killed = ""
        self.halted: Final[dict[str, str]] = {}
        self.off: Final[dict[str, str]] = {}
        self.limits = limits
        self.venues = venues
        self.portfolio: Final = portfolio
        self.working: Final = working
        self.pace: Final = Pace()


class Case:
    """One intent under review.

    Attributes:
        order: the order that an amend changes; None of a new one, or if it is not ours.
        added: base coins by which it may move the position beyond what is counted already: all of
            a new order, what an amend adds to the larger of the sizes it may end with.
        ahead: how far this and all other orders of its side may carry positions to that side.
        reducing: it takes the position of its listing towards zero, and cannot, together with all
            other orders of its side, carry it through zero.
        book: of its market; None if that is not watched. member: its venue there.
    """

    __slots__ = (
        "added",
        "ahead",
        "book",
        "intent",
        "listing",
        "member",
        "now_ns",
        "order",
        "price",
        "reducing",
        "side",
        "size",
        "standing",
        "strategy",
        "venue",
    )

    def __init__(
        self,
        intent: OrderIntent | AmendIntent,
        ahead: Reach,
        book: ConsolidatedBook | None,
        standing: Standing,
        now_ns: int,
    ) -> None:
        listing = intent.listing
        self.intent: Final = intent
        self.listing: Final = listing
        self.side: Final = intent.side
        self.price: Final = intent.price
        self.size: Final = intent.size
        self.book: Final = book
        self.standing: Final = standing
        self.venue: Final = standing.venues[listing.venue]
        self.now_ns: Final = now_ns
        self.order: Final[WorkingOrder | None] = (
            None if isinstance(intent, OrderIntent) else standing.working.order(intent.client_id)
        )
        # What is no number is refused by its own rule; the sums need one.
        added = intent.size if intent.size.is_finite() else ZERO
        if self.order is not None:
            added = max(added - self.order.booked - self.order.at_risk, ZERO)
        self.added: Final = added
        self.ahead: Final = Reach(
            ahead.venue + added, ahead.behind, ahead.total + added, ahead.gross
        )
        self.reducing: Final = self.ahead.venue <= ZERO
        if isinstance(intent, OrderIntent):
            self.strategy: str = intent.strategy
        else:
            self.strategy = "" if self.order is None else self.order.strategy
        self.member: Member | None = None
        if book is not None:
            for member in book.members:
                if member.venue == listing.venue:
                    self.member = member
                    break

    @property
    def rests(self) -> bool:
        """It is a new order that may stay in the book."""
        return isinstance(self.intent, OrderIntent) and self.intent.time_in_force is TimeInForce.GTC

    @property
    def reduce_only(self) -> bool:
        """The venue keeps it from opening a position."""
        if isinstance(self.intent, OrderIntent):
            return self.intent.reduce_only
        return self.order is not None and self.order.reduce_only

    @property
    def closing(self) -> bool:
        """It takes risk off for good, and must not wait: reducing, and sent as such."""
        return self.reducing and (self.reduce_only or self.intent.urgent)

    @property
    def remaining(self) -> Decimal:
        """Base coins that may still trade once it stands as wanted."""
        return self.size if self.order is None else self.size - self.order.booked
