"""Everything that goes wrong between a venue and its client, switched on a practice venue at will.

`FaultyPeer` stands between a peer and whoever drives it and is a peer itself, so faults work over
sockets and in virtual time alike. It is also the network: every frame takes the venue's lag.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Mapping
from types import MappingProxyType

from hftmm.desk.commands import Answer
from hftmm.sim.broker import Broker
from hftmm.sim.order_faults import ORDER_AMOUNTS, ORDER_FAULTS, OrderFaults
from hftmm.sim.overload import too_many
from hftmm.sim.peers import Close, HttpAnswer, HttpQuery, Outgoing, Peer, Push

MILLISECOND = 1_000_000
SECOND = 1_000_000_000

FAULTS: Mapping[str, str] = MappingProxyType(
    {
        "none": "ends every lasting fault of the venue",
        "gap": "the next frame of every book stream is lost (amount: how many frames)",
        "duplicate": "the next frame of every book stream comes twice",
        "reorder": "the next two frames of every book stream come in the wrong order",
        "drop": "a share of all book frames is lost, until none (amount: the share, 0.3)",
        "silence": "open connections stay open and say nothing, not even pong, until none",
        "disconnect": "every connection is cut without a closing handshake",
        "refuse": "new connections and REST requests get HTTP 503, until none",
        "crossed": "every book stream publishes a best bid above its best ask",
        "restart": "the venue restarts: connections close, update ids begin anew",
        "farewell": "the venue announces a planned disconnect where it can, then cuts",
        "skew": "the venue's clock is wrong, until none (amount: seconds ahead, 5)",
        "throttle": "REST answers 429 with Retry-After, until none (amount: seconds to wait, 1)",
        "ban": "REST answers 418 at Binance, 403 elsewhere, until none (amount: seconds, 10)",
        "stale_snapshot": "REST answers for a book repeat the one before, until none",
        "lag": "every frame and answer takes longer, until none (amount: milliseconds, 500)",
        "garbage": "each connection gets a malformed, a truncated, an unknown and an oversized "
        "frame (amount: size of the last in MiB, 5)",
        **ORDER_FAULTS,
    }
)

# What `amount` means if it is not given, and the largest that makes sense.
_AMOUNTS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "gap": (1, 1_000),
        "drop": (0.3, 1),
        "skew": (5, 86_400),
        "throttle": (1, 3_600),
        "ban": (10, 86_400),
        "lag": (500, 60_000),
        "garbage": (5, 64),
        **ORDER_AMOUNTS,
    }
)

CUT = 1006
"""WebSocket close code of a connection that ended without a closing handshake."""

MALFORMED = b'{"stream": not json at all'
UNKNOWN = (
    b'{"e":"neverHeardOf","stream":"never@heard","topic":"never.heard",'
    b'"arg":{"channel":"never-heard","instId":"NEVER"},"data":{"x":1}}'
)

# Paths of a book snapshot: Binance spot and USD-M, Bybit, OKX.
_BOOK_PATHS = frozenset(
    {"/api/v3/depth", "/fapi/v1/depth", "/v5/market/orderbook", "/api/v5/market/books"}
)

_UNAVAILABLE = HttpAnswer(503, b'{"msg":"Service unavailable"}')

_Stream = tuple[int, str]


class FaultyPeer:
    """A peer behind a network of its own, with a switch for each fault.

    Frames come out in the order they went in, `delay_ns` later, when `advance` is called.

    Attributes:
        active: names of the lasting faults in force.
    """

    def __init__(self, peer: Peer, lag_ns: int, seed: int) -> None:
        self.venue = peer.venue
        self.faces = peer.faces
        self.outbox: list[Outgoing] = []
        self.active: dict[str, float] = {}
        self._peer = peer
        self._lag_ns = lag_ns
        self._rng = random.Random(seed)
        self._under_way: deque[tuple[int, Outgoing]] = deque()
        # What a fault makes later than the frames sent after it: due time, number, item.
        self._late: list[tuple[int, int, Outgoing]] = []
        self._last_late = 0
        self._orders = OrderFaults(peer.venue, self.active)
        # The newest frame of each open connection, for a plausible truncated one.
        self._newest: dict[int, bytes] = {}
        self._streams: set[_Stream] = set()
        self._to_lose: dict[_Stream, int] = {}
        self._to_double: set[_Stream] = set()
        self._to_swap: set[_Stream] = set()
        self._held: dict[_Stream, Push] = {}
        self._silent: set[int] = set()
        self._unsaid: list[Close] = []
        self._snapshots: dict[tuple[str, str, str], HttpAnswer] = {}

    @property
    def skew_ns(self) -> int:
        """The venue's clock less true time."""
        return self._peer.skew_ns

    @skew_ns.setter
    def skew_ns(self, skew_ns: int) -> None:
        self._peer.skew_ns = skew_ns

    @property
    def delay_ns(self) -> int:
        """How long a frame takes now; whoever serves REST lets an answer take as long."""
        return self._lag_ns + int(self.active.get("lag", 0) * MILLISECOND)

    @property
    def broker(self) -> Broker | None:
        """The venue's own."""
        return self._peer.broker

    def silent(self, connection: int) -> bool:
        """True if nothing may be sent on the connection, not even a pong."""
        return connection in self._silent

    def switch(self, fault: str, now_ns: int, amount: float | None = None) -> Answer:
        """Switches a fault on, or with `none` all lasting ones off.

        Args:
            fault: a name in `FAULTS`.
            amount: see there; the default if None.
        """
        if fault not in FAULTS:
            return Answer(False, f"{fault!r} is no fault; there are: {', '.join(FAULTS)}")
        default, largest = _AMOUNTS.get(fault, (0.0, math.inf))
        value = default if amount is None else amount
        smallest = -largest if fault == "skew" else 0
        if not smallest <= value <= largest or not math.isfinite(value):
            return Answer(False, f"{fault}: amount {value:g} is not in {smallest:g} .. {largest:g}")
        if fault == "fill_on_cancel" and self.broker is None:
            return Answer(False, f"{fault}: {self.venue} takes no orders")
        self._begin(fault, value, now_ns)
        self._pass_on(now_ns)
        return Answer(True, f"{self.venue}: {fault}: {FAULTS[fault]}")

    def end(self, fault: str, now_ns: int) -> None:
        """Ends one fault, and leaves the others of the venue as they are."""
        self.active.pop(fault, None)
        self._orders.end(fault)
        match fault:
            case "silence":
                self._speak(now_ns)
            case "skew":
                self._peer.skew_ns = 0
            case "fill_on_cancel":
                if self.broker is not None:
                    self.broker.fill_before_cancel = 0
            case "gap":
                self._to_lose.clear()
            case "duplicate":
                self._to_double.clear()
            case "reorder":
                self._release(now_ns)
        self._pass_on(now_ns)

    def url(self, face: str, authority: str) -> str:
        return self._peer.url(face, authority)

    def opened(
        self, connection: int, face: str, path: str, query: str, now_ns: int
    ) -> HttpAnswer | None:
        if "refuse" in self.active:
            return _UNAVAILABLE
        refusal = self._peer.opened(connection, face, path, query, now_ns)
        if refusal is None:
            self._newest[connection] = UNKNOWN
        self._pass_on(now_ns)
        return refusal

    def received(self, connection: int, frame: bytes, now_ns: int) -> None:
        if connection in self._silent:
            return
        refusal = self._orders.refused_frame(connection, frame, now_ns + self.skew_ns)
        if refusal is None:
            self._peer.received(connection, frame, now_ns)
        else:
            self._send(Push(connection, refusal), now_ns)
        self._pass_on(now_ns)

    def closed(self, connection: int) -> None:
        self._peer.closed(connection)
        self._newest.pop(connection, None)
        self._orders.forget(connection)
        self._silent.discard(connection)
        self._unsaid = [close for close in self._unsaid if close.connection != connection]
        for stream in [stream for stream in self._streams if stream[0] == connection]:
            self._streams.discard(stream)
            self._to_lose.pop(stream, None)
            self._to_double.discard(stream)
            self._to_swap.discard(stream)
            self._held.pop(stream, None)

    def request(self, query: HttpQuery, now_ns: int) -> HttpAnswer:
        if "refuse" in self.active:
            return _UNAVAILABLE
        if "ban" in self.active:
            status = 418 if self.venue == "binance" else 403
            return too_many(self.venue, status, self.active["ban"])
        if "throttle" in self.active:
            return too_many(self.venue, 429, self.active["throttle"])
        refusal = self._orders.refused(query)
        if refusal is not None:
            return refusal
        key = (query.face, query.path, query.query)
        if "stale_snapshot" in self.active and key in self._snapshots:
            return self._snapshots[key]
        answer = self._peer.request(query, now_ns)
        if query.path in _BOOK_PATHS:
            self._snapshots[key] = answer
        self._pass_on(now_ns)
        return self._orders.answered(answer)

    def advance(self, now_ns: int) -> None:
        self._peer.advance(now_ns)
        self._pass_on(now_ns)

    def restart(self, now_ns: int) -> None:
        self._peer.restart(now_ns)
        self._pass_on(now_ns)

    def farewell(self, now_ns: int) -> None:
        self._peer.farewell(now_ns)
        self._pass_on(now_ns)

    def cross(self, now_ns: int) -> None:
        self._peer.cross(now_ns)
        self._pass_on(now_ns)

    def _begin(self, fault: str, amount: float, now_ns: int) -> None:
        match fault:
            case "none":
                self._recover(now_ns)
            case "gap":
                self._to_lose = dict.fromkeys(self._streams, int(amount))
            case "duplicate":
                self._to_double = set(self._streams)
            case "reorder":
                self._to_swap = self._streams - self._held.keys()
            case "disconnect":
                self.outbox += [Close(connection, CUT) for connection in self._newest]
            case "crossed":
                self._peer.cross(now_ns)
            case "restart":
                self._peer.restart(now_ns)
            case "farewell":
                self._peer.farewell(now_ns)
            case "garbage":
                self._spoil(int(amount * 2**20), now_ns)
            case "fill_on_cancel":
                if self.broker is not None:
                    self.broker.fill_before_cancel = int(amount)
            case "lost_ack" | "unknown" | "duplicate_fill":
                self._orders.begin(fault, amount)
            case _:
                self.active[fault] = amount
                if fault == "silence":
                    self._silent = set(self._newest)
                elif fault == "skew":
                    self._peer.skew_ns = int(amount * SECOND)

    def _recover(self, now_ns: int) -> None:
        """Ends what lasts, and what waits for a frame that may never come."""
        self.active.clear()
        self._orders.clear()
        if self.broker is not None:
            self.broker.fill_before_cancel = 0
        self._peer.skew_ns = 0
        self._to_lose.clear()
        self._to_double.clear()
        self._release(now_ns)
        self._speak(now_ns)

    def _release(self, now_ns: int) -> None:
        """Nothing waits any more for a frame that should have come after it."""
        self._to_swap.clear()
        for push in self._held.values():
            self._send(push, now_ns)
        self._held.clear()

    def _speak(self, now_ns: int) -> None:
        """Connections that were silent speak, if only to say that they are closed."""
        self._silent.clear()
        for close in self._unsaid:
            self._send(close, now_ns)
        self._unsaid.clear()

    def _spoil(self, oversized: int, now_ns: int) -> None:
        for connection, newest in self._newest.items():
            truncated = newest[: len(newest) // 2]
            padding = b'{"padding":"' + b"x" * oversized + b'"}'
            for frame in (MALFORMED, truncated, UNKNOWN, padding):
                self._send(Push(connection, frame), now_ns)

    def _pass_on(self, now_ns: int) -> None:
        """Takes what the peer says through the faults onto the wire, and off it what is due."""
        if self._peer.outbox:
            for item in self._peer.outbox:
                if item.connection not in self._newest:
                    continue
                if isinstance(item, Push):
                    self._newest[item.connection] = item.frame
                    if item.feed:
                        self._book_frame(item, now_ns)
                    elif item.matter:
                        self._order_frame(item, now_ns)
                    else:
                        self._send(item, now_ns)
                else:
                    self._send(item, now_ns)
            self._peer.outbox.clear()
        under_way, late = self._under_way, self._late
        while under_way and under_way[0][0] <= now_ns:
            self._arrive(under_way.popleft()[1])
        while late and late[0][0] <= now_ns:
            self._arrive(heapq.heappop(late)[2])

    def _arrive(self, item: Outgoing) -> None:
        if item.connection not in self._newest:
            return
        if item.connection not in self._silent:
            self.outbox.append(item)
        elif isinstance(item, Close):
            # To the peer it is gone; its client must hear of it once the silence ends.
            self._unsaid.append(item)

    def _order_frame(self, push: Push, now_ns: int) -> None:
        for heard, late_ns in self._orders.pushed(push):
            if late_ns:
                self._last_late += 1
                due_ns = now_ns + self.delay_ns + late_ns
                heapq.heappush(self._late, (due_ns, self._last_late, heard))
            else:
                self._send(heard, now_ns)

    def _book_frame(self, push: Push, now_ns: int) -> None:
        stream = (push.connection, push.feed)
        self._streams.add(stream)
        to_lose = self._to_lose.get(stream, 0)
        if to_lose:
            self._to_lose[stream] = to_lose - 1
            return
        if "drop" in self.active and self._rng.random() < self.active["drop"]:
            return
        if stream in self._to_swap:
            self._to_swap.discard(stream)
            self._held[stream] = push
            return
        self._send(push, now_ns)
        if stream in self._to_double:
            self._to_double.discard(stream)
            self._send(push, now_ns)
        held = self._held.pop(stream, None)
        if held is not None:
            self._send(held, now_ns)

    def _send(self, item: Outgoing, now_ns: int) -> None:
        due_ns = now_ns + self.delay_ns
        if self._under_way:
            # A connection never reorders: what is sent later arrives later, also when lag falls.
            due_ns = max(due_ns, self._under_way[-1][0])
        self._under_way.append((due_ns, item))
