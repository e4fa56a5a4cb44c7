"""What a kill needs of whoever sends orders and hears the venues."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Protocol

from hftmm.core.instrument import Listing, Side
from hftmm.core.order import OrderIntent
from hftmm.risk.approval import Approved


class Brakes(Protocol):
    """The engine, as the kill switch sees it. Nothing here waits."""

    def latch(self, why: str) -> None:
        """From this call on nothing new leaves for any venue, save by `send`; "" ends that."""
        ...

    def hold(self, venue: str, why: str) -> None:
        """From this call on only reducing orders leave for a venue."""
        ...

    def let_go(self, venue: str) -> str:
        """Ends that; why it cannot, one line, "" if it did."""
        ...

    def persist(self, why: str, now_ns: int) -> None:
        """Has the latch forced through to the disk, for a restart to find; "" once it ended."""
        ...

    def cancel(self, venue: str, client_ids: Collection[str], now_ns: int, *, bulk: bool) -> None:
        """Cancels each of these orders by its id, ahead of all other traffic, past every budget of
        ours, and also if that was tried before.

        Args:
            bulk: first clear every listing of the venue whole, whoever's orders stand there.
        """
        ...

    def ask_open(self, venue: str, now_ns: int) -> None:
        """Asks a venue for the open orders of every kind; answer by `KillSwitch.open_told`."""
        ...

    def live(self, venue: str) -> Collection[str]:
        """Client ids of our orders that may still trade there, unknown ones included."""
        ...

    def settled(self, venue: str) -> bool:
        """Whether all fills are booked that the venue has told of there."""
        ...

    def unreachable(self, venue: str, now_ns: int) -> str:
        """Why a venue cannot be asked now, one line; "" if it can."""
        ...

    def positions(self, venue: str) -> Sequence[tuple[Listing, Decimal]]:
        """What is held there, base coins, negative is short: of perpetuals, and of spot what was
        traded since the day was opened. Flat ones may be left out.
        """
        ...

    def touch(self, listing: Listing, side: Side, now_ns: int) -> float | None:
        """The price that an order of this side would take first; None without a book to trust."""
        ...

    def send(self, order: Approved[OrderIntent], now_ns: int) -> str:
        """Sends a flattening order past the latch; why it did not leave, "" if it did."""
        ...

    def note(self, level: str, venue: str, event: str, text: str, now_ns: int) -> None:
        """Tells the operator."""
        ...
