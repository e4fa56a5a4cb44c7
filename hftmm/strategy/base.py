"""What every strategy is to the engine."""

from __future__ import annotations

from typing import Final, Protocol

from hftmm.config import Config
from hftmm.core.order import Fill
from hftmm.desk.snapshot import StrategyRow
from hftmm.execution.order import Order

MARKET_MAKING: Final = "mm"
HEDGING: Final = "hg"
ARBITRAGE: Final = "ar"
BY_HAND: Final = "op"
FLATTENING: Final = "fl"
NAMES: Final = {
    MARKET_MAKING: "cross mm",
    ARBITRAGE: "arbitrage",
    HEDGING: "hedger",
    BY_HAND: "by hand",
    FLATTENING: "flatten",
}
"""Who an order is of, as client ids write it, and as the screen does."""


class Strategy(Protocol):
    """Decides on what it is told, through the `Trader` it was given.

    The engine calls it in one thread, after all books of a socket read are up to date.

    Attributes:
        code: two characters, in the client ids of its orders. name: for the operator.
        on: whether it may send new orders.
    """

    on: bool

    @property
    def code(self) -> str: ...

    @property
    def name(self) -> str: ...

    def moved(self, symbol: str, now_ns: int) -> None:
        """A book of this market moved, came, went or grew stale."""
        ...

    def changed(self, order: Order, now_ns: int) -> None:
        """An order of its code changed."""
        ...

    def filled(self, fill: Fill, order: Order | None, now_ns: int) -> None:
        """A trade of its code, told once; without the order if that is long gone."""
        ...

    def tick(self, now_ns: int) -> None:
        """Time passed; a few times in every 100 ms."""
        ...

    def switch(self, on: bool, why: str, now_ns: int) -> None:
        """On, or off: then everything it has open is canceled, and `why` is shown."""
        ...

    def configure(self, config: Config, now_ns: int) -> None:
        """Other parameters hold from now on."""
        ...

    def shown(self, now_ns: int) -> StrategyRow:
        """For the screen."""
        ...
