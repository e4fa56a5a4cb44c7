"""How fast things happen: orders in a second, the same order again, fills in a minute."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Final

import msgspec

from hftmm.core.instrument import Side
from hftmm.core.order import OrderIntent

SECOND: Final = 1_000_000_000
MINUTE: Final = 60 * SECOND
MILLISECOND: Final = 1_000_000


class Same(msgspec.Struct, frozen=True, gc=False):
    """Orders that agree in all of this are the same."""

    strategy: str
    key: str
    side: Side
    price: Decimal
    size: Decimal


def same(intent: OrderIntent) -> Same:
    return Same(intent.strategy, intent.listing.key, intent.side, intent.price, intent.size)


class Pace:
    """What was approved lately. Every change and question is O(1), amortised."""

    def __init__(self) -> None:
        self._sent: Final[deque[int]] = deque()
        self._placed: Final[dict[Same, int]] = {}

    def in_a_second(self, now_ns: int) -> int:
        """Orders and changes of the last second, urgent ones left out."""
        sent, horizon = self._sent, now_ns - SECOND
        while sent and sent[0] <= horizon:
            sent.popleft()
        return len(sent)

    def placed_ns(self, order: Same) -> int | None:
        """When the same order was approved last; None if that is longer ago than was asked for
        since.
        """
        return self._placed.get(order)

    def took(self, now_ns: int) -> None:
        """An order or a change was approved."""
        self._sent.append(now_ns)

    def placed(self, order: Same, within_ns: int, now_ns: int) -> None:
        """An order was approved; those of more than `within_ns` ago are forgotten."""
        placed = self._placed
        placed.pop(order, None)
        placed[order] = now_ns
        while now_ns - placed[oldest := next(iter(placed))] > within_ns:
            del placed[oldest]


class Repeats:
    """Fills of each strategy on each side of each market within a minute."""

    def __init__(self) -> None:
        self._fills: Final[dict[tuple[str, str, Side], deque[int]]] = {}

    def filled(self, strategy: str, symbol: str, side: Side, now_ns: int) -> int:
        """One more; how many that makes. O(1), amortised."""
        fills = self._fills.setdefault((strategy, symbol, side), deque())
        fills.append(now_ns)
        while fills[0] <= now_ns - MINUTE:
            fills.popleft()
        return len(fills)

    def forget(self, strategy: str) -> None:
        """A person lets a strategy go on: it counts from zero."""
        for key in [key for key in self._fills if key[0] == strategy]:
            del self._fills[key]
