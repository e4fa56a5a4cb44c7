"""Binance's public streams: each turns one engine's events into payloads, once for all readers."""

from __future__ import annotations

import re
import zlib
from abc import ABC, abstractmethod
from typing import Any

import msgspec

from hftmm.core.instrument import Side
from hftmm.sim.binance.instrument import Instrument
from hftmm.sim.market import Market
from hftmm.sim.matching import Fill, Level

MILLISECOND = 1_000_000
SECOND = 1_000_000_000
USD_MARGINED = 1

encode = msgspec.json.encode


def _spread(instrument: Instrument, topic: str) -> int:
    """A number of milliseconds, in ns, of the stream's own."""
    return zlib.crc32(f"{instrument.market} {topic}".encode()) * MILLISECOND


class Stream(ABC):
    """One stream of one instrument.

    Attributes:
        topic: its name as clients subscribe to it.
        feed: names its book if losing one of its frames would break it, "" otherwise.
        readers: connections that receive it.
    """

    feed = ""

    def __init__(self, instrument: Instrument, topic: str, period_ns: int, now_ns: int) -> None:
        self.instrument = instrument
        self.topic = topic
        self.readers: list[int] = []
        self._period_ns = period_ns
        # Streams of one speed do not all speak in the same instant.
        self._phase_ns = _spread(instrument, topic) % period_ns if period_ns else 0
        self._due_ns = self._next(now_ns)

    def _next(self, now_ns: int) -> int:
        if not self._period_ns:
            return 0
        return now_ns - (now_ns - self._phase_ns) % self._period_ns + self._period_ns

    def advance(self, now_ns: int, stamp_ms: int) -> list[bytes]:
        """Payloads that are due; `stamp_ms` is the time they bear."""
        if now_ns < self._due_ns:
            return []
        self._due_ns = self._next(now_ns)
        return self.payloads(stamp_ms)

    @abstractmethod
    def payloads(self, stamp_ms: int) -> list[bytes]:
        """What happened since the last call."""

    @abstractmethod
    def close(self) -> None:
        """Nobody reads it any more."""


class DiffDepth(Stream):
    """`depth`: every level that changed. Spot ids touch, USD-M's name the event before.

    A client may fetch the book between two events and must come out right after the second, so
    levels that changed before the snapshot belong to that event even if they change back after
    it: the listener, which forgets what changed back, is asked at every snapshot.
    """

    def __init__(self, instrument: Instrument, topic: str, period_ns: int, now_ns: int) -> None:
        super().__init__(instrument, topic, period_ns, now_ns)
        self.feed = f"{instrument.market} {instrument.name}"
        self._listener = instrument.engine.listen()
        self._last_id = instrument.update_id
        self._touched: dict[tuple[Side, int], None] = {}
        instrument.before_snapshot.append(self._gather)

    def _gather(self) -> None:
        changes = self._listener.take()
        for side, level in changes.levels if changes else []:
            self._touched[side, level.ticks] = None

    def payloads(self, stamp_ms: int) -> list[bytes]:
        self._gather()
        return [self._event(stamp_ms)] if self._touched else []

    def crossed(self, stamp_ms: int) -> bytes | None:
        """An event whose bid stands above the best ask; None if there is no ask."""
        best = self.instrument.engine.best("sell")
        if best is None:
            return None
        self._gather()
        self._touched["sell", best.ticks] = None
        bid = Level(best.ticks + 10, best.lots, 1)
        self._touched.pop(("buy", bid.ticks), None)
        return self._event(stamp_ms, self.instrument.row(bid))

    def _event(self, stamp_ms: int, *bids: list[str]) -> bytes:
        """All levels touched, and some bids that the engine does not have."""
        instrument = self.instrument
        previous, self._last_id = self._last_id, instrument.update_id
        rows: dict[Side, list[list[str]]] = {"buy": [*bids], "sell": []}
        for side, ticks in self._touched:
            rows[side].append(instrument.row(instrument.engine.level(side, ticks)))
        self._touched.clear()
        event: dict[str, Any] = {"e": "depthUpdate", "E": stamp_ms}
        if instrument.market == "linear":
            event |= {"T": stamp_ms, "s": instrument.name, "ps": instrument.name}
            event["st"] = USD_MARGINED
        else:
            event["s"] = instrument.name
        event |= {"U": previous + instrument.id_step, "u": self._last_id}
        if instrument.market == "linear":
            event["pu"] = previous
        return encode(event | {"b": rows["buy"], "a": rows["sell"]})

    def close(self) -> None:
        self._listener.close()
        self.instrument.before_snapshot.remove(self._gather)


class PartialDepth(Stream):
    """`depth5`, `depth10`, `depth20`: the best levels whenever the book changed."""

    def __init__(
        self, instrument: Instrument, topic: str, period_ns: int, now_ns: int, depth: int
    ) -> None:
        super().__init__(instrument, topic, period_ns, now_ns)
        self._depth = depth
        self._last_id = instrument.update_id

    def payloads(self, stamp_ms: int) -> list[bytes]:
        instrument = self.instrument
        previous, update_id = self._last_id, instrument.update_id
        if update_id == previous:
            return []
        self._last_id = update_id
        bids, asks = (
            [instrument.row(level) for level in instrument.engine.levels(side, self._depth)]
            for side in _SIDES
        )
        if instrument.market == "spot":
            return [encode({"lastUpdateId": update_id, "bids": bids, "asks": asks})]
        event = {
            "e": "depthUpdate",
            "E": stamp_ms,
            "T": stamp_ms,
            "s": instrument.name,
            "ps": instrument.name,
            "st": USD_MARGINED,
            "U": previous + instrument.id_step,
            "u": update_id,
            "pu": previous,
            "b": bids,
            "a": asks,
        }
        return [encode(event)]

    def close(self) -> None:
        """It holds nothing."""


_SIDES: tuple[Side, Side] = ("buy", "sell")


def best_rows(instrument: Instrument) -> tuple[list[str], list[str]]:
    """Best bid and best ask; an empty side is a price and size of zero."""
    engine = instrument.engine
    nothing = Level(0, 0, 0)
    bid, ask = (instrument.row(engine.best(side) or nothing) for side in _SIDES)
    return bid, ask


class BookTicker(Stream):
    """`bookTicker`: best bid and ask, the moment either changes."""

    def __init__(self, instrument: Instrument, topic: str, now_ns: int) -> None:
        super().__init__(instrument, topic, 0, now_ns)
        self._last_id = instrument.update_id
        self._last = best_rows(instrument)

    def payloads(self, stamp_ms: int) -> list[bytes]:
        instrument = self.instrument
        if instrument.update_id == self._last_id:
            return []
        self._last_id = instrument.update_id
        best = best_rows(instrument)
        if best == self._last:
            return []
        self._last = best
        (bid, bid_size), (ask, ask_size) = best
        event: dict[str, Any] = {"u": self._last_id, "s": instrument.name}
        if instrument.market == "linear":
            event = {"e": "bookTicker", **event, "ps": instrument.name, "st": USD_MARGINED}
        event |= {"b": bid, "B": bid_size, "a": ask, "A": ask_size}
        if instrument.market == "linear":
            event |= {"T": stamp_ms, "E": stamp_ms}
        return [encode(event)]

    def close(self) -> None:
        """It holds nothing."""


class Trades(Stream):
    """`trade`: every match. USD-M does not document it, but serves it."""

    def __init__(self, instrument: Instrument, topic: str, period_ns: int, now_ns: int) -> None:
        super().__init__(instrument, topic, period_ns, now_ns)
        self._listener = instrument.engine.listen()

    def payloads(self, stamp_ms: int) -> list[bytes]:
        changes = self._listener.take()
        if changes is None or not changes.fills:
            return []
        return [encode(event) for event in self._events(changes.fills, stamp_ms)]

    def _events(self, fills: list[Fill], stamp_ms: int) -> list[dict[str, Any]]:
        instrument = self.instrument
        last = {"X": "MARKET"} if instrument.market == "linear" else {"M": True}
        return [
            {
                "e": "trade",
                "E": stamp_ms,
                "s": instrument.name,
                "t": fill.trade_id,
                "p": instrument.price(fill.ticks),
                "q": instrument.size(fill.lots),
                "T": stamp_ms,
                "m": fill.taker_side == "sell",
                **last,
            }
            for fill in fills
        ]

    def close(self) -> None:
        self._listener.close()


class AggregateTrades(Trades):
    """`aggTrade`: on spot the matches of one taker order at one price, at once; on USD-M all of
    one side at one price within 100 ms."""

    def _events(self, fills: list[Fill], stamp_ms: int) -> list[dict[str, Any]]:
        instrument = self.instrument
        linear = instrument.market == "linear"
        groups: dict[tuple[object, int], list[Fill]] = {}
        for fill in fills:
            taker = fill.taker_side if linear else fill.taker_order
            groups.setdefault((taker, fill.ticks), []).append(fill)
        events = []
        for group in groups.values():
            instrument.aggregates += 1
            size = instrument.size(sum(fill.lots for fill in group))
            event: dict[str, Any] = {
                "e": "aggTrade",
                "E": stamp_ms,
                "s": instrument.name,
                "a": instrument.aggregates,
                "p": instrument.price(group[0].ticks),
                "q": size,
                "f": group[0].trade_id,
                "l": group[-1].trade_id,
                "T": stamp_ms,
                "m": group[0].taker_side == "sell",
            }
            event |= {"nq": size, "st": USD_MARGINED} if linear else {"M": True}
            events.append(event)
        return events


class MarkPrices(Stream):
    """`markPrice`: mark, index and funding, every three seconds or every second."""

    def __init__(
        self, instrument: Instrument, topic: str, period_ns: int, now_ns: int, market: Market
    ) -> None:
        super().__init__(instrument, topic, period_ns, now_ns)
        self._market = market

    def payloads(self, stamp_ms: int) -> list[bytes]:
        mark = self._market.mark(self.instrument.spec)
        event = {
            "e": "markPriceUpdate",
            "E": stamp_ms,
            "s": self.instrument.name,
            "p": f"{mark.mark:.8f}",
            "ap": f"{mark.mark:.8f}",
            "P": f"{mark.mark:.8f}",
            "i": f"{mark.index:.8f}",
            "r": f"{mark.funding_rate:.8f}",
            "T": mark.next_funding_ns // MILLISECOND,
            "st": USD_MARGINED,
        }
        return [encode(event)]

    def close(self) -> None:
        """It holds nothing."""


# Milliseconds by the suffix of the topic; a speed that is not offered is no stream.
_SPEEDS = {
    "spot": {"": 1000, "@1000ms": 1000, "@100ms": 100},
    "linear": {"": 250, "@100ms": 100, "@250ms": 250, "@500ms": 500},
}
_depth_name = re.compile(r"depth(5|10|20|)((?:@[0-9]+ms)?)").fullmatch


def route_of(name: str) -> str:
    """USD-M's route of a stream: `depth@100ms` -> `public`, `markPrice` -> `market`."""
    return "public" if name.startswith("depth") or name in ("bookTicker", "trade") else "market"


def open_stream(instrument: Instrument, name: str, market: Market, now_ns: int) -> Stream | None:
    """The stream `<symbol>@<name>`, None if the venue has no such stream."""
    topic = f"{instrument.name.lower()}@{name}"
    if depth := _depth_name(name):
        levels, suffix = depth.groups()
        speed = _SPEEDS[instrument.market].get(suffix)
        if speed is None:
            return None
        if not levels:
            return DiffDepth(instrument, topic, speed * MILLISECOND, now_ns)
        return PartialDepth(instrument, topic, speed * MILLISECOND, now_ns, int(levels))
    if name == "bookTicker":
        return BookTicker(instrument, topic, now_ns)
    if name == "trade":
        return Trades(instrument, topic, 0, now_ns)
    if name == "aggTrade":
        period_ns = 0 if instrument.market == "spot" else 100 * MILLISECOND
        return AggregateTrades(instrument, topic, period_ns, now_ns)
    if instrument.market == "linear" and name in ("markPrice", "markPrice@1s"):
        period_ns = SECOND if name.endswith("@1s") else 3 * SECOND
        return MarkPrices(instrument, topic, period_ns, now_ns, market)
    return None
