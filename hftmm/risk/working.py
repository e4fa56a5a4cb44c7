"""What the rules must know of our own orders; the order manager knows it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

from hftmm.core.instrument import Listing, Side
from hftmm.core.order import Amendment


class Exposed(Protocol):
    """Base coins that all open and unknown orders of a listing may still buy and sell."""

    @property
    def buy(self) -> Decimal: ...
    @property
    def sell(self) -> Decimal: ...


class WorkingOrder(Protocol):
    """An order of ours.

    Attributes:
        amend: a change of it that is under way.
        booked: base coins filled and booked. at_risk: what it may still trade.
    """

    @property
    def client_id(self) -> str: ...
    @property
    def strategy(self) -> str: ...
    @property
    def listing(self) -> Listing: ...
    @property
    def side(self) -> Side: ...
    @property
    def price(self) -> Decimal: ...
    @property
    def size(self) -> Decimal: ...
    @property
    def amend(self) -> Amendment | None: ...
    @property
    def booked(self) -> Decimal: ...
    @property
    def at_risk(self) -> Decimal: ...
    @property
    def reduce_only(self) -> bool: ...


class Working(Protocol):
    """Our orders everywhere. Every question but `live` is O(1)."""

    def exposure(self, key: str) -> Exposed:
        """Of a listing; see `Listing.key`."""
        ...

    def order(self, client_id: str) -> WorkingOrder | None:
        """By our id; None if it is not ours, or long gone."""
        ...

    def live(self, venue: str) -> Sequence[WorkingOrder]:
        """Orders that may still trade there."""
        ...

    def open_count(self, venue: str) -> int:
        """How many they are."""
        ...
