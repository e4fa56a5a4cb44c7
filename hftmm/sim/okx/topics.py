"""The public channels: what a subscriber gets at once, and what follows."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import msgspec

from hftmm.sim.matching import Level
from hftmm.sim.okx.instrument import Instrument, LevelRow, Row, TradeRow
from hftmm.venues.codec import MILLISECOND, SECOND

BOOK_DEPTH = 400
BOOK_EVERY_NS = 100 * MILLISECOND
TOP_EVERY_NS = 10 * MILLISECOND
QUIET_NS = 60 * SECOND
"""A book channel without changes speaks up after this long."""
_CHECKSUM_LEVELS = 25

Arg: TypeAlias = dict[str, str]
"""What a subscription names: `channel`, and `instId` or `instType`."""


class _BookRow(msgspec.Struct, gc=False):
    asks: list[LevelRow]
    bids: list[LevelRow]
    ts: str
    checksum: int
    prev_seq_id: int = msgspec.field(name="prevSeqId")
    seq_id: int = msgspec.field(name="seqId")


class _BookPush(msgspec.Struct, gc=False):
    arg: Arg
    action: str
    data: list[_BookRow]


class _Push(msgspec.Struct, gc=False):
    arg: Arg
    data: Sequence[Row | TradeRow]


encode = msgspec.json.Encoder().encode


class Topic(Protocol):
    """One channel of one subject.

    Attributes:
        connections: who subscribed, in that order.
        feed: `Push.feed` of its frames.
    """

    connections: dict[int, None]
    feed: str

    def greeting(self, now_ns: int, stamp: str) -> list[bytes]:
        """Frames for a connection that has just subscribed."""
        ...

    def due(self, now_ns: int, stamp: str) -> list[bytes]:
        """Frames for every connection, if it is time."""
        ...


class Books:
    """`books`: a snapshot, then every 100 ms what changed within the best 400 levels a side.

    All connections get the same chain: a newcomer's snapshot is the book as last published, so
    that the next update follows it as it follows the others' last one.
    """

    def __init__(self, instrument: Instrument, stamp: str, now_ns: int, *, checksums: bool) -> None:
        self.connections: dict[int, None] = {}
        self.feed = instrument.feed
        self._arg = {"channel": "books", "instId": instrument.inst_id}
        self._instrument = instrument
        self._checksums = checksums
        self._bids, self._asks = self._window()
        self._seen = instrument.engine.sequence
        self._seq_id = instrument.seq_id()
        self._stamp = stamp
        self._looked_ns = self._spoke_ns = now_ns

    def greeting(self, now_ns: int, stamp: str) -> list[bytes]:
        rows = self._instrument.rows
        row = _BookRow(
            asks=rows(self._asks.values()),
            bids=rows(self._bids.values()),
            ts=self._stamp,
            checksum=self._checksum(),
            prev_seq_id=-1,
            seq_id=self._seq_id,
        )
        return [encode(_BookPush(self._arg, "snapshot", [row]))]

    def due(self, now_ns: int, stamp: str) -> list[bytes]:
        if now_ns - self._looked_ns < BOOK_EVERY_NS:
            return []
        self._looked_ns = now_ns
        if self._seen != self._instrument.engine.sequence:
            self._seen = self._instrument.engine.sequence
            before_bids, before_asks = self._bids, self._asks
            self._bids, self._asks = self._window()
            bids = sorted(_changed(before_bids, self._bids), key=lambda level: -level.ticks)
            asks = sorted(_changed(before_asks, self._asks), key=lambda level: level.ticks)
            if bids or asks:
                return [self._update(bids, asks, self._instrument.seq_id(), now_ns, stamp)]
        if now_ns - self._spoke_ns >= QUIET_NS:
            return [self._update([], [], self._seq_id, now_ns, stamp)]
        return []

    def crossed(self, now_ns: int, stamp: str) -> list[bytes]:
        """One update that puts a bid above the best ask; nothing rests there in truth."""
        if not self._asks:
            return []
        best = next(iter(self._asks.values()))
        phantom = Level(best.ticks + 2, best.lots, 1)
        return [self._update([phantom], [], self._instrument.skip_id(), now_ns, stamp)]

    def _update(
        self, bids: list[Level], asks: list[Level], seq_id: int, now_ns: int, stamp: str
    ) -> bytes:
        rows = self._instrument.rows
        row = _BookRow(rows(asks), rows(bids), stamp, self._checksum(), self._seq_id, seq_id)
        self._seq_id = seq_id
        self._stamp = stamp
        self._spoke_ns = now_ns
        return encode(_BookPush(self._arg, "update", [row]))

    def _window(self) -> tuple[dict[int, Level], dict[int, Level]]:
        bids, asks = self._instrument.top(BOOK_DEPTH)
        return {level.ticks: level for level in bids}, {level.ticks: level for level in asks}

    def _checksum(self) -> int:
        """0 as OKX sends it since June 2026, or the CRC32 it sent before."""
        if not self._checksums:
            return 0
        rows = self._instrument.rows
        bids = rows(list(self._bids.values())[:_CHECKSUM_LEVELS])
        asks = rows(list(self._asks.values())[:_CHECKSUM_LEVELS])
        pieces = [
            f"{side[k][0]}:{side[k][1]}"
            for k in range(_CHECKSUM_LEVELS)
            for side in (bids, asks)
            if k < len(side)
        ]
        unsigned = zlib.crc32(":".join(pieces).encode())
        return unsigned - 2**32 if unsigned >= 2**31 else unsigned


class Latest:
    """A channel whose every frame is the whole state: sent on change, and again when quiet.

    Args:
        state: what to compare to know whether anything changed.
        rows: the frame's data, given the stamp.
        every_ns: changes are not sent more often.
        quiet_ns: sent unchanged after this long.
    """

    feed = ""

    def __init__(
        self,
        arg: Arg,
        state: Callable[[], object],
        rows: Callable[[str], list[Row]],
        every_ns: int,
        quiet_ns: int,
        now_ns: int,
    ) -> None:
        self.connections: dict[int, None] = {}
        self._arg = arg
        self._state = state
        self._rows = rows
        self._every_ns = every_ns
        self._quiet_ns = quiet_ns
        self._sent = state()
        self._spoke_ns = now_ns

    def greeting(self, now_ns: int, stamp: str) -> list[bytes]:
        rows = self._rows(stamp)
        return [encode(_Push(self._arg, rows))] if rows else []

    def due(self, now_ns: int, stamp: str) -> list[bytes]:
        quiet_ns = now_ns - self._spoke_ns
        if quiet_ns < self._every_ns:
            return []
        state = self._state()
        if state == self._sent and quiet_ns < self._quiet_ns:
            return []
        self._sent = state
        self._spoke_ns = now_ns
        return self.greeting(now_ns, stamp)


class Trades:
    """`trades`: the last trade, then each as it happens."""

    feed = ""

    def __init__(self, instrument: Instrument) -> None:
        self.connections: dict[int, None] = {}
        self.fresh: list[TradeRow] = []
        """Trades not yet sent."""
        self._arg = {"channel": "trades", "instId": instrument.inst_id}
        self._instrument = instrument

    def greeting(self, now_ns: int, stamp: str) -> list[bytes]:
        last = self._instrument.last_trade
        return [encode(_Push(self._arg, [last]))] if last else []

    def due(self, now_ns: int, stamp: str) -> list[bytes]:
        fresh, self.fresh = self.fresh, []
        return [encode(_Push(self._arg, [row])) for row in fresh]


def best_levels(
    instrument: Instrument, channel: str, depth: int, every_ns: int, now_ns: int
) -> Latest:
    """`bbo-tbt` and `books5`: the best levels, whole each time."""

    def state() -> tuple[list[Level], list[Level]]:
        return instrument.top(depth)

    def rows(stamp: str) -> list[Row]:
        bids, asks = state()
        row: Row = {
            "asks": instrument.rows(asks),
            "bids": instrument.rows(bids),
            "ts": stamp,
            "seqId": instrument.seq_id(),
        }
        return [row]

    arg = {"channel": channel, "instId": instrument.inst_id}
    return Latest(arg, state, rows, every_ns, QUIET_NS, now_ns)


def _changed(before: dict[int, Level], after: dict[int, Level]) -> list[Level]:
    """Levels that differ, those that left the window as removed."""
    gone = [Level(ticks, 0, 0) for ticks in before if ticks not in after]
    return gone + [level for ticks, level in after.items() if before.get(ticks) != level]
