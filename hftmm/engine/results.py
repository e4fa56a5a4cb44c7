"""What trading made, for the screen: the day's line, its parts, markouts, and places in queues."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hftmm.book.order_book import ASKS, BIDS, OrderBook
from hftmm.core.instrument import Listing
from hftmm.core.order import Fill
from hftmm.desk.snapshot import PnlParts, PnlPoint
from hftmm.engine.back_office import Traded
from hftmm.execution.order import Order
from hftmm.risk.attribution import Attribution, Source
from hftmm.risk.portfolio import Portfolio
from hftmm.strategy.base import ARBITRAGE, FLATTENING, HEDGING
from hftmm.venues.codec import SECOND

POINTS: Final = 600
"""Points of the day's line; when they are full, every other one goes and time steps double."""
FIRST_STEP_NS: Final = SECOND
QUEUE_LEVELS: Final = 200
_SOURCES: Final = {
    HEDGING: Source.HEDGE,
    FLATTENING: Source.HEDGE,
    ARBITRAGE: Source.ARBITRAGE,
}


class Results:
    """Keeps them.

    Attributes:
        line: the day's PnL over time, oldest first.
    """

    def __init__(
        self,
        portfolio: Portfolio,
        mid: Callable[[str], float | None],
        book: Callable[[Listing], OrderBook | None],
    ) -> None:
        """
        Args:
            mid: of a market by its symbol. book: of a listing.
        """
        self.line: list[PnlPoint] = []
        self._portfolio: Final = portfolio
        self._mid: Final = mid
        self._book: Final = book
        self._attribution: Final = Attribution()
        self._step_ns = FIRST_STEP_NS
        self._queues: Final[dict[str, float]] = {}

    def booked(self, traded: Traded, now_ns: int) -> None:
        """The portfolio has a trade."""
        mid = self._mid(traded.fill.listing.symbol)
        source = _SOURCES.get(traded.code, Source.SPREAD)
        self._attribution.filled(traded.fill, source, mid, now_ns)

    def watch(self, now_ns: int) -> None:
        """Time passed."""
        self._attribution.watch(self._mid, now_ns)
        if not self.line or now_ns - self.line[-1].ns >= self._step_ns:
            self.line.append(PnlPoint(now_ns, float(self._portfolio.day_pnl())))
            if len(self.line) >= POINTS:
                del self.line[1::2]
                self._step_ns *= 2

    def roll(self) -> None:
        """A new day."""
        self.line.clear()
        self._step_ns = FIRST_STEP_NS
        self._attribution.roll()

    def parts(self) -> PnlParts:
        """Where the day's PnL comes from."""
        return self._attribution.parts(self._portfolio)

    def markout(self, fill: Fill) -> float | None:
        """Bps that the mid moved our way within a second; None until then."""
        return self._attribution.markout(fill)

    def queue(self, order: Order) -> float | None:
        """Base coins ahead of a resting order, at most: what stood at its price when it was first
        looked at, and no more than stands there now.
        """
        if not order.seen:
            return None
        book = self._book(order.listing)
        if book is None or not book.valid:
            return None
        side, price = (BIDS if order.side == "buy" else ASKS), float(order.price)
        level = next((size for at, size in book.depth(side, QUEUE_LEVELS) if at == price), 0.0)
        ahead = max(0.0, level - float(order.at_risk))
        ahead = min(ahead, self._queues.get(order.client_id, ahead))
        self._queues[order.client_id] = ahead
        return ahead

    def gone(self, order: Order) -> None:
        """An order may not trade any more."""
        self._queues.pop(order.client_id, None)
