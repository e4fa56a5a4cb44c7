"""What the engine keeps of one market."""

from __future__ import annotations

from collections import deque
from typing import Final

from hftmm.book.consolidated import ConsolidatedBook, Member
from hftmm.core.events import MarkPrice, Trade
from hftmm.core.instrument import Kind
from hftmm.strategy.arbitrage import ArbitrageDetector

TRADES: Final = 200
LARGE: Final = 4.0
"""A trade this many times the average of the recent ones is large."""


class Market:
    """One market: its books, its crossings, its trades.

    Attributes:
        trades: newest last. marks: the newest mark price and funding of each venue.
    """

    __slots__ = ("_average", "book", "detector", "kind", "marks", "symbol", "trades")

    def __init__(self, book: ConsolidatedBook, detector: ArbitrageDetector) -> None:
        self.symbol = book.symbol
        self.kind = Kind.LINEAR if ":" in book.symbol else Kind.SPOT
        self.book = book
        self.detector = detector
        self.trades: deque[tuple[Trade, bool]] = deque(maxlen=TRADES)
        self.marks: dict[str, MarkPrice] = {}
        self._average = 0.0

    @property
    def members(self) -> tuple[Member, ...]:
        return self.book.members

    def traded(self, trade: Trade) -> None:
        """A public trade at one of the venues."""
        large = bool(self.trades) and trade.size > LARGE * self._average
        self._average += (trade.size - self._average) * (0.05 if self.trades else 1.0)
        self.trades.append((trade, large))

    def marked(self, mark: MarkPrice) -> None:
        """A mark price; what a message leaves out keeps its last value."""
        known = self.marks.get(mark.listing.venue)
        if known is not None:
            mark = MarkPrice(
                mark.listing,
                known.mark if mark.mark is None else mark.mark,
                known.index if mark.index is None else mark.index,
                known.funding_rate if mark.funding_rate is None else mark.funding_rate,
                known.next_funding_ns if mark.next_funding_ns is None else mark.next_funding_ns,
                mark.venue_ns,
                mark.received_ns,
            )
        self.marks[mark.listing.venue] = mark
