"""What a matching engine tells: levels, fills, and the changes one listener has not yet taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hftmm.core.instrument import Side

if TYPE_CHECKING:
    from hftmm.sim.matching import MatchingEngine


class Level(msgspec.Struct, frozen=True, gc=False):
    """One price level."""

    ticks: int
    lots: int
    orders: int


class Fill(msgspec.Struct, frozen=True, gc=False):
    """One match.

    Attributes:
        trade_id: counts up by one per instrument.
        sequence: engine sequence number of the event that made it.
    """

    trade_id: int
    sequence: int
    ticks: int
    lots: int
    taker_side: Side
    maker_order: int
    taker_order: int
    ts_ns: int


class Changes(msgspec.Struct, frozen=True, gc=False):
    """What happened to a book between two takes of one listener.

    Attributes:
        first_sequence, last_sequence: events covered; the next `Changes` of the same listener
            begins at `last_sequence + 1`.
        levels: current totals of the levels that differ from the last take, in the order they
            were first touched; lots 0 is a level that is gone.
        fills: every match, oldest first.
    """

    first_sequence: int
    last_sequence: int
    levels: list[tuple[Side, Level]]
    fills: list[Fill]


class Listener:
    """Collects what changes in one book; made by `MatchingEngine.listen`.

    It remembers every level touched and every fill since the last take, so it has to be taken
    regularly, or closed.
    """

    __slots__ = ("_asks", "_bids", "_engine", "_fills", "_sequence")

    def __init__(self, engine: MatchingEngine) -> None:
        self._engine = engine
        self._sequence = engine.sequence
        # Lots a touched level had at the last take, by ticks.
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}
        self._fills: list[Fill] = []

    def take(self) -> Changes | None:
        """Everything since the last take, or None if the book and the trades are as they were.

        After None the sequence numbers seen in between belong to the next `Changes`, so that
        consecutive ones never leave a hole.
        """
        engine = self._engine
        if engine.sequence == self._sequence:
            return None
        levels: list[tuple[Side, Level]] = []
        if self._bids:
            levels += engine.differing("buy", self._bids)
            self._bids.clear()
        if self._asks:
            levels += engine.differing("sell", self._asks)
            self._asks.clear()
        if not levels and not self._fills:
            return None
        changes = Changes(self._sequence + 1, engine.sequence, levels, self._fills)
        self._sequence = engine.sequence
        self._fills = []
        return changes

    def close(self) -> None:
        """Stops listening; `take` yields nothing new from here on."""
        self._engine.unlisten(self)

    def touched(self, side: Side, ticks: int, lots_before: int) -> None:
        """Called by the engine before it changes a level."""
        (self._bids if side == "buy" else self._asks).setdefault(ticks, lots_before)

    def filled(self, fills: list[Fill]) -> None:
        """Called by the engine after a match."""
        self._fills += fills
