"""The stream topics of the practice Bybit: what each publishes, when, and in which order of keys.

A topic encodes a message once for all its subscribers, so that they all see the same ids. While it
has none it rests, and catches up when the first one joins.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from hftmm.core.instrument import Side
from hftmm.sim.bybit.instrument import MILLISECOND, Instrument
from hftmm.sim.matching import Fill

SECOND = 1_000_000_000
CADENCE_NS = {
    1: 10 * MILLISECOND,
    50: 20 * MILLISECOND,
    200: 100 * MILLISECOND,
    1000: 200 * MILLISECOND,
}
"""Depth -> how often it is pushed at most."""
REPEAT_NS = 3 * SECOND
"""Depth 1 is sent again after this long without a change."""
TICKER_NS = {"spot": 50 * MILLISECOND, "linear": 100 * MILLISECOND}
TRADES_A_FRAME = 1024

_Rows = list[tuple[str, str]]
_SIDES: tuple[tuple[Side, bool], ...] = (("buy", True), ("sell", False))


class Topic(Protocol):
    """One topic of one instrument.

    Attributes:
        name: as subscribed, `orderbook.50.BTCUSDT`.
        feed: `linear BTCUSDT` if its frames are those of a depth stream, "" if not.
        subscribers: connections, in the order they joined.
    """

    name: str
    feed: str
    subscribers: dict[int, None]

    def join(self, now_ns: int, stamp_ms: int) -> bytes | None:
        """What a new subscriber gets first; to be called before it is one."""
        ...

    def publish(self, now_ns: int, stamp_ms: int) -> bytes | None:
        """The next message to all, None if there is no news or it is too early for it."""
        ...


class BookTopic:
    """`orderbook.50`, `.200`, `.1000`: a snapshot, then deltas of the best `depth` levels.

    A level that leaves the best `depth` is deleted, one that comes in is inserted, so that a book
    kept from the messages never holds more than `depth` levels a side.

    Attributes:
        u: update id; one more with every message.
        seq: engine sequence of the state published last.
    """

    def __init__(self, instrument: Instrument, depth: int, u: int) -> None:
        self.name = f"orderbook.{depth}.{instrument.symbol}"
        self.feed = f"{instrument.category} {instrument.symbol}"
        self.subscribers: dict[int, None] = {}
        self.u = u
        self.seq = 0
        self._instrument = instrument
        self._depth = depth
        self._due_ns = 0
        self._published: tuple[dict[int, int], dict[int, int]] = ({}, {})

    def join(self, now_ns: int, stamp_ms: int) -> bytes:
        """A snapshot of what the other subscribers have; of now if there are none."""
        if not self.subscribers:
            self._sample()
            self._due_ns = now_ns + CADENCE_NS[self._depth]
        return self._encode("snapshot", *self.levels(), stamp_ms)

    def publish(self, now_ns: int, stamp_ms: int) -> bytes | None:
        """A delta, at most one in the cadence of the depth."""
        if now_ns < self._due_ns:
            return None
        changed = self._sample()
        if changed is None:
            return None
        self._due_ns = now_ns + CADENCE_NS[self._depth]
        return self._encode("delta", *changed, stamp_ms)

    def restart(self, stamp_ms: int) -> bytes:
        """The message that a restarted service begins with: a snapshot with update id 1."""
        self._sample()
        self.u = 1
        return self._encode("snapshot", *self.levels(), stamp_ms)

    def cross(self, stamp_ms: int) -> bytes | None:
        """A delta with a bid above the best ask, which no later delta takes back.

        None if nobody offers, so that there is nothing to cross.
        """
        ask = self._instrument.engine.best("sell")
        if ask is None:
            return None
        spec = self._instrument.spec
        self.u += 1
        return self._encode(
            "delta", [(spec.price(ask.ticks + 1), spec.size(ask.lots))], [], stamp_ms
        )

    def refresh(self) -> None:
        """Brings the state up to now unless there are subscribers, who get it by `publish`."""
        if not self.subscribers:
            self._sample()

    def levels(self, depth: int | None = None) -> tuple[_Rows, _Rows]:
        """Bids and asks as published, best first."""
        spec = self._instrument.spec
        bids, asks = (
            [(spec.price(ticks), spec.size(lots)) for ticks, lots in list(side.items())[:depth]]
            for side in self._published
        )
        return bids, asks

    def _sample(self) -> tuple[_Rows, _Rows] | None:
        """Looks at the book and counts an update: rows that changed, None if none did."""
        engine = self._instrument.engine
        if engine.sequence == self.seq:
            return None
        self.seq = engine.sequence
        spec = self._instrument.spec
        rows: list[_Rows] = []
        sides: list[dict[int, int]] = []
        for (side, descending), old in zip(_SIDES, self._published, strict=True):
            new = {level.ticks: level.lots for level in engine.levels(side, self._depth)}
            changed = {ticks: 0 for ticks in old if ticks not in new}
            changed |= {ticks: lots for ticks, lots in new.items() if old.get(ticks) != lots}
            order = sorted(changed, reverse=descending)
            rows.append([(spec.price(ticks), spec.size(changed[ticks])) for ticks in order])
            sides.append(new)
        if not any(rows):
            return None
        self._published = sides[0], sides[1]
        self.u += 1
        return rows[0], rows[1]

    def _encode(self, kind: str, bids: _Rows, asks: _Rows, stamp_ms: int) -> bytes:
        body = {"s": self._instrument.symbol, "b": bids, "a": asks, "u": self.u, "seq": self.seq}
        # Spot writes ts first, linear type.
        if self._instrument.linear:
            head = {"topic": self.name, "type": kind, "ts": stamp_ms}
        else:
            head = {"topic": self.name, "ts": stamp_ms, "type": kind}
        return msgspec.json.encode(head | {"data": body, "cts": stamp_ms})


class TopTopic:
    """`orderbook.1`: snapshots of the best bid and ask, sent again if nothing changes.

    Attributes:
        u: update id; it jumps, because what happened between two messages counts too.
    """

    feed = ""

    def __init__(self, instrument: Instrument, u: int) -> None:
        self.name = f"orderbook.1.{instrument.symbol}"
        self.subscribers: dict[int, None] = {}
        self.u = u
        self._instrument = instrument
        self._due_ns = 0
        self._repeat_ns = 0
        self._seen = 0
        self._seq = 0
        self._published: tuple[_Rows, _Rows] = ([], [])

    def join(self, now_ns: int, stamp_ms: int) -> bytes:
        """What the other subscribers have; the state of now if there are none."""
        if not self.subscribers:
            self._sample()
            self._due_ns = now_ns + CADENCE_NS[1]
            self._repeat_ns = now_ns + REPEAT_NS
        return self._encode(stamp_ms)

    def publish(self, now_ns: int, stamp_ms: int) -> bytes | None:
        """A snapshot when it changed, and the same again every 3 s that it did not."""
        if now_ns < self._due_ns or not (self._sample() or now_ns >= self._repeat_ns):
            return None
        self._due_ns = now_ns + CADENCE_NS[1]
        self._repeat_ns = now_ns + REPEAT_NS
        return self._encode(stamp_ms)

    def restart(self, stamp_ms: int) -> bytes:
        """The message that a restarted service begins with: update id 1."""
        self._sample()
        self.u = 1
        return self._encode(stamp_ms)

    def _sample(self) -> bool:
        """Looks at the book; True if best bid or ask changed."""
        engine = self._instrument.engine
        if engine.sequence == self._seen:
            return False
        self._seen = engine.sequence
        spec = self._instrument.spec
        bids, asks = (
            [(spec.price(best.ticks), spec.size(best.lots))] if (best := engine.best(side)) else []
            for side, _ in _SIDES
        )
        if (bids, asks) == self._published:
            return False
        self._published = bids, asks
        self.u += engine.sequence - self._seq if self._seq else 1
        self._seq = engine.sequence
        return True

    def _encode(self, stamp_ms: int) -> bytes:
        bids, asks = self._published
        body = {"s": self._instrument.symbol, "b": bids, "a": asks, "u": self.u, "seq": self._seq}
        # Here linear has the key order of spot.
        return msgspec.json.encode(
            {
                "topic": self.name,
                "ts": stamp_ms,
                "type": "snapshot",
                "data": body,
                "cts": stamp_ms,
            }
        )


class TickerTopic:
    """`tickers`: on linear a snapshot, then only the fields that changed; on spot all of it."""

    feed = ""

    def __init__(self, instrument: Instrument) -> None:
        self.name = f"tickers.{instrument.symbol}"
        self.subscribers: dict[int, None] = {}
        self._instrument = instrument
        self._due_ns = 0
        self._cross_sequence = 0
        self._published: dict[str, str] = {}

    def join(self, now_ns: int, stamp_ms: int) -> bytes:
        """A snapshot of what the other subscribers have; of now if there are none."""
        if not self.subscribers:
            self._sample()
            self._due_ns = now_ns + TICKER_NS[self._instrument.category]
        return self._encode("snapshot", self._published, stamp_ms)

    def publish(self, now_ns: int, stamp_ms: int) -> bytes | None:
        """What changed, at most once in the market's cadence."""
        if now_ns < self._due_ns:
            return None
        changed = self._sample()
        if not changed:
            return None
        self._due_ns = now_ns + TICKER_NS[self._instrument.category]
        if self._instrument.linear:
            return self._encode("delta", {"symbol": self._instrument.symbol} | changed, stamp_ms)
        return self._encode("snapshot", self._published, stamp_ms)

    def _sample(self) -> dict[str, str]:
        """Takes the figures of now; those that changed."""
        instrument = self._instrument
        fields = instrument.day()
        if instrument.linear:
            fields |= instrument.contract() | instrument.touch()
        else:
            fields["usdIndexPrice"] = ""
        changed = {name: text for name, text in fields.items() if self._published.get(name) != text}
        self._published = fields
        self._cross_sequence = instrument.engine.sequence
        return changed

    def _encode(self, kind: str, fields: dict[str, str], stamp_ms: int) -> bytes:
        cross_sequence = self._cross_sequence
        message: dict[str, object] = {"topic": self.name}
        if self._instrument.linear:
            message |= {"type": kind, "data": fields, "cs": cross_sequence, "ts": stamp_ms}
        else:
            message |= {"ts": stamp_ms, "type": kind, "cs": cross_sequence, "data": fields}
        return msgspec.json.encode(message)


class TradeTopic:
    """`publicTrade`: every match as it happens, nothing at first."""

    feed = ""

    def __init__(self, instrument: Instrument) -> None:
        self.name = f"publicTrade.{instrument.symbol}"
        self.subscribers: dict[int, None] = {}
        self._instrument = instrument

    def join(self, now_ns: int, stamp_ms: int) -> None:
        """Nothing: only trades to come are pushed."""

    def publish(self, now_ns: int, stamp_ms: int) -> None:
        """Nothing of its own accord: see `frames`."""

    def frames(self, trades: list[tuple[Fill, str]], stamp_ms: int, skew_ns: int) -> list[bytes]:
        """These trades, oldest first, at most 1024 a message."""
        rows = [self._row(fill, direction, skew_ns) for fill, direction in trades]
        return [
            msgspec.json.encode(
                {
                    "topic": self.name,
                    "type": "snapshot",
                    "ts": stamp_ms,
                    "data": rows[start : start + TRADES_A_FRAME],
                }
            )
            for start in range(0, len(rows), TRADES_A_FRAME)
        ]

    def _row(self, fill: Fill, direction: str, skew_ns: int) -> dict[str, object]:
        instrument = self._instrument
        spec = instrument.spec
        row: dict[str, object] = {
            "T": (fill.ts_ns + skew_ns) // MILLISECOND,
            "s": instrument.symbol,
            "S": "Buy" if fill.taker_side == "buy" else "Sell",
            "v": spec.size(fill.lots),
            "p": spec.price(fill.ticks),
        }
        if instrument.linear:
            row["L"] = direction
        return row | {
            "i": instrument.trade_id(fill),
            "BT": False,
            "RPI": False,
            "seq": fill.sequence,
        }
