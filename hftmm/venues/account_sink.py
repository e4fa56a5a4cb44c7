"""What is asked of an account's session, and whom it tells what the venue said.

Every answer comes with the value it answers, so that nobody guesses what was meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Protocol, TypeAlias

import msgspec

from hftmm.core.fees import FeeRates
from hftmm.core.instrument import Kind, Listing
from hftmm.core.order import (
    Amendment,
    Balance,
    Fill,
    Funding,
    OrderAnswer,
    OrderRequest,
    OrderUpdate,
    Position,
)
from hftmm.venues.effects import Note
from hftmm.venues.private import Permissions
from hftmm.venues.usage import Usage


class Cancellation(msgspec.Struct, frozen=True, gc=False):
    """One order that is to go. Attributes: venue_id: "" if the venue has not told it yet."""

    listing: Listing
    client_id: str
    venue_id: str = ""


class Clearance(msgspec.Struct, frozen=True, gc=False):
    """All orders of a listing that are to go.

    Attributes:
        orders: (client id, venue id) of those known, for venues that take no other word.
    """

    listing: Listing
    orders: tuple[tuple[str, str], ...] = ()


Errand: TypeAlias = OrderRequest | Amendment | Cancellation | Clearance
"""What changes something at the venue."""


class OpenOrders(msgspec.Struct, frozen=True, gc=False):
    """All open orders of a kind."""

    kind: Kind


class OneOrder(msgspec.Struct, frozen=True, gc=False):
    """One order by our id."""

    listing: Listing
    client_id: str


class FillsSince(msgspec.Struct, frozen=True, gc=False):
    """All fills of a listing since a moment of the venue's clock."""

    listing: Listing
    since_ns: int


class FundingSince(msgspec.Struct, frozen=True, gc=False):
    """All funding payments since a moment of the venue's clock."""

    since_ns: int


class Positions(msgspec.Struct, frozen=True, gc=False):
    """All positions."""


class Balances(msgspec.Struct, frozen=True, gc=False):
    """The balances of every wallet."""


class Rates(msgspec.Struct, frozen=True, gc=False):
    """The fee rates of a listing."""

    listing: Listing


class Rights(msgspec.Struct, frozen=True, gc=False):
    """What the key may do, and how the account is set."""


Question: TypeAlias = (
    OpenOrders | OneOrder | FillsSince | FundingSince | Positions | Balances | Rates | Rights
)
"""What changes nothing at the venue."""


class AccountSink(Protocol):
    """Who is told what happens to an account."""

    def answered(self, errand: Errand, answer: OrderAnswer, now_ns: int) -> None:
        """The venue answered, or the errand was refused here before it left (`accepted` False)."""
        ...

    def unanswered(self, errand: Errand, why: str, now_ns: int) -> None:
        """It was sent, and nobody knows what became of it; an answer may still come."""
        ...

    def updated(self, update: OrderUpdate, now_ns: int) -> None:
        """The private stream tells of an order."""
        ...

    def filled(self, fill: Fill, now_ns: int) -> None:
        """The private stream tells of a trade, perhaps not for the first time."""
        ...

    def balance_told(self, balance: Balance, now_ns: int) -> None: ...

    def position_told(self, position: Position, now_ns: int) -> None: ...

    def funded(self, funding: Funding, now_ns: int) -> None: ...

    def orders_found(
        self, question: OpenOrders, orders: Sequence[OrderUpdate], now_ns: int
    ) -> None: ...

    def order_found(self, question: OneOrder, order: OrderUpdate | None, now_ns: int) -> None:
        """None if the venue does not know it, or not yet."""
        ...

    def fills_found(self, question: FillsSince, fills: Sequence[Fill], now_ns: int) -> None: ...

    def funding_found(
        self, question: FundingSince, fundings: Sequence[Funding], now_ns: int
    ) -> None:
        """Perhaps not for the first time."""
        ...

    def positions_found(self, positions: Sequence[Position], now_ns: int) -> None: ...

    def balances_found(self, balances: Sequence[Balance], now_ns: int) -> None: ...

    def rates_found(self, listing: Listing, rates: FeeRates, now_ns: int) -> None: ...

    def rights_found(self, rights: Permissions, now_ns: int) -> None: ...

    def failed(self, question: Question, why: str, now_ns: int) -> None:
        """A question has no answer; nothing is asked again by itself."""
        ...

    def lost(self, venue: str, kinds: frozenset[Kind], why: str, now_ns: int) -> None:
        """News of these kinds may be missed from now on."""
        ...

    def back(self, venue: str, kinds: frozenset[Kind], now_ns: int) -> None:
        """News of these kinds arrives; what happened before must be asked for."""
        ...

    def clock_synced(self, venue: str, now_ns: int) -> None:
        """The venue's clock was measured after somebody asked for that."""
        ...

    def usage_told(self, venue: str, usage: Usage, now_ns: int) -> None:
        """What the venue counts of our requests."""
        ...

    def noted(self, note: Note) -> None: ...


class Protection(Enum):
    """Whether the venue cancels our orders when we fall silent."""

    NONE = "the venue has no dead-man switch"
    OFF = "not protected"
    ARMED = "protected"


class AccountState(msgspec.Struct, frozen=True, gc=False):
    """How an account's session stands, for the screen.

    Attributes:
        connected: every connection is open. logged_in: news and orders flow on all of them.
        missing: what stands in the way of that, one line; "" if nothing does.
        last_error: what went wrong last, one line; "" if nothing did.
        refused: what is missing is the venue's acceptance of the key: no time will bring it.
    """

    connected: bool
    logged_in: bool
    protection: Protection
    missing: str
    last_error: str
    refused: bool = False
