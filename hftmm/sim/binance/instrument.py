"""One matching engine under Binance's names, numbers and update ids."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal

from hftmm.core.instrument import Kind, decimal_places
from hftmm.sim.matching import Level, MatchingEngine

LINEAR_STEP = 7
"""USD-M counts the updates of all its books in one sequence, so one book's ids have holes."""


class Instrument:
    """An engine as Binance shows it.

    Attributes:
        market: `spot` or `linear`.
        name: the symbol as REST writes it, `BTCUSDT`.
        id_step: how far apart two successive update ids of the book are.
        aggregates: aggregate trades published so far.
        before_snapshot: called before the book is shown as a whole; see `DiffDepth`.
    """

    def __init__(self, engine: MatchingEngine, rng: random.Random) -> None:
        self.engine = engine
        self.spec = engine.spec
        self.name = engine.spec.venue_symbol
        self.market = "spot" if engine.spec.kind is Kind.SPOT else "linear"
        self.id_step = 1 if self.market == "spot" else LINEAR_STEP
        self.aggregates = 0
        self.before_snapshot: list[Callable[[], None]] = []
        self._id_base = rng.randrange(10**12, 5 * 10**12)

    @property
    def update_id(self) -> int:
        """Id of the book's last change."""
        return self._id_base + self.id_step * self.engine.sequence

    def skip_id(self) -> None:
        """Uses up one update id for something the engine knows nothing of."""
        self._id_base += self.id_step

    def renumber(self, rng: random.Random) -> None:
        """Update ids go on from somewhere else, as after a restart of the venue."""
        self._id_base += rng.randrange(10**6, 10**7)

    @property
    def price_decimals(self) -> int:
        """Decimals of a price on the wire."""
        return 8 if self.market == "spot" else decimal_places(self.spec.tick)

    @property
    def size_decimals(self) -> int:
        """Decimals of a size on the wire."""
        return 8 if self.market == "spot" else decimal_places(self.spec.lot)

    def price(self, ticks: int) -> str:
        return self.written_price(self.spec.tick * ticks)

    def size(self, lots: int) -> str:
        return self.written_size(self.spec.lot * lots)

    def written_price(self, price: Decimal) -> str:
        """A price with the decimals the market writes."""
        return f"{price:.{self.price_decimals}f}"

    def written_size(self, size: Decimal) -> str:
        """A size with the decimals the market writes."""
        return f"{size:.{self.size_decimals}f}"

    def row(self, level: Level) -> list[str]:
        """A price level."""
        return [self.price(level.ticks), self.size(level.lots)]

    def snapshot(self, depth: int) -> dict[str, object]:
        """The best levels of both sides and the update id they belong to."""
        for prepare in self.before_snapshot:
            prepare()
        engine = self.engine
        return {
            "lastUpdateId": self.update_id,
            "bids": [self.row(level) for level in engine.levels("buy", depth)],
            "asks": [self.row(level) for level in engine.levels("sell", depth)],
        }
