"""OKX without a socket: connections, subscriptions, heartbeats, and the clock that drives them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from random import Random

import msgspec

from hftmm.sim.market import Market
from hftmm.sim.okx.instrument import Instrument, milliseconds
from hftmm.sim.okx.rest import INSTRUMENT_TYPES, PublicRest
from hftmm.sim.okx.topics import (
    BOOK_EVERY_NS,
    TOP_EVERY_NS,
    Arg,
    Books,
    Latest,
    Topic,
    Trades,
    best_levels,
    encode,
)
from hftmm.sim.peers import Close, HttpAnswer, HttpQuery, Outgoing, Push
from hftmm.venues.codec import MILLISECOND, SECOND

PUBLIC_PATH = "/ws/v5/public"

_IDLE_NS = 30 * SECOND
_NEVER_NS = 10**18

# Channels that exist, but not for a connection like this one.
_FOR_MEMBERS = frozenset({"books-l2-tbt", "books50-l2-tbt"})
_FOR_BUSINESS = ("candle", "mark-price-candle", "index-candle", "trades-all", "sprd-", "algo-")
_MARKET = ("trades", "bbo-tbt", "books", "books5", "tickers")
"""Channels of every instrument, in the order in which one event reaches them."""
_DERIVED = ("mark-price", "funding-rate")
"""Channels of swaps only."""


class _Operation(msgspec.Struct, frozen=True):
    op: str = ""
    args: list[Arg] = []
    id: str = ""


class _Event(msgspec.Struct, frozen=True, omit_defaults=True, rename={"conn_id": "connId"}):
    event: str
    conn_id: str
    id: str = ""
    arg: Arg | None = None
    code: str = ""
    msg: str = ""


class _Connection:
    """One client on the public stream.

    Attributes:
        heard_ns: when either side last said anything; OKX closes after 30 s of silence.
    """

    __slots__ = ("conn_id", "heard_ns")

    def __init__(self, conn_id: str, now_ns: int) -> None:
        self.conn_id = conn_id
        self.heard_ns = now_ns


class _Unavailable(Exception):
    """A subscription the venue does not accept, with its error code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


_operation = msgspec.json.Decoder(_Operation)


class OkxPeer:
    """The practice venue that speaks OKX v5; see `Peer` for what drives it.

    Args:
        checksums: send a real CRC32 in `books`, as OKX did until June 2026, so that clients which
            verify it can be held against it; otherwise 0, as OKX does now.
        farewell_ns: from the notice of a planned disconnect to the cut; 60 s at OKX.
    """

    venue = "okx"
    faces: tuple[str, ...] = ("rest", "public")

    def __init__(
        self,
        market: Market,
        seed: int,
        *,
        checksums: bool = False,
        farewell_ns: int = 5 * SECOND,
    ) -> None:
        self.outbox: list[Outgoing] = []
        self.skew_ns = 0
        self._chance = Random(seed)
        self._checksums = checksums
        self._farewell_ns = farewell_ns
        self._instruments: Mapping[str, Instrument] = {
            engine.spec.venue_symbol: Instrument(engine, market, self._chance)
            for engine in market.of(self.venue)
        }
        self._rest = PublicRest(self._instruments)
        self._connections: dict[int, _Connection] = {}
        self._topics: dict[tuple[str, str], Topic] = {}
        self._cuts: list[tuple[int, list[int]]] = []

    def url(self, face: str, authority: str) -> str:
        return f"http://{authority}" if face == "rest" else f"ws://{authority}{PUBLIC_PATH}"

    def opened(
        self, connection: int, face: str, path: str, query: str, now_ns: int
    ) -> HttpAnswer | None:
        if path != PUBLIC_PATH:
            return HttpAnswer(404, b'{"code":404,"msg":"Not Found"}')
        conn_id = f"{self._chance.getrandbits(32):08x}"
        self._connections[connection] = _Connection(conn_id, now_ns)
        return None

    def received(self, connection: int, frame: bytes, now_ns: int) -> None:
        client = self._connections.get(connection)
        if client is None:
            return
        client.heard_ns = now_ns
        if frame == b"ping":
            self.outbox.append(Push(connection, b"pong"))
            return
        try:
            operation = _operation.decode(frame)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._refuse(connection, "", "60012", f"Illegal request: {_shown(frame)}")
            return
        if operation.op not in ("subscribe", "unsubscribe"):
            self._refuse(connection, operation.id, "60012", f"Illegal request: {_shown(frame)}")
        elif not operation.args:
            self._refuse(connection, operation.id, "60013", "Invalid args")
        else:
            for arg in operation.args:
                try:
                    self._subscription(connection, operation, arg, now_ns)
                except _Unavailable as refused:
                    self._refuse(connection, operation.id, refused.code, refused.message)

    def closed(self, connection: int) -> None:
        self._connections.pop(connection, None)
        for key in list(self._topics):
            self._leave(key, connection)

    def request(self, query: HttpQuery, now_ns: int) -> HttpAnswer:
        return self._rest.answer(query, self._stamp(now_ns))

    def advance(self, now_ns: int) -> None:
        stamp = self._stamp(now_ns)
        for name, instrument in self._instruments.items():
            traded = instrument.collect(self.skew_ns)
            topic = self._topics.get(("trades", name))
            if isinstance(topic, Trades):
                topic.fresh += traded
        for topic in self._topics.values():
            self._tell(topic, topic.due(now_ns, stamp), now_ns)
        while self._cuts and self._cuts[0][0] <= now_ns:
            for connection in self._cuts.pop(0)[1]:
                self._close(connection, 1001, "service upgrade")
        for connection, client in list(self._connections.items()):
            if now_ns - client.heard_ns >= _IDLE_NS:
                self._close(connection, 4004, "No data received in 30s.")

    def restart(self, now_ns: int) -> None:
        for connection in list(self._connections):
            self._close(connection, 1006, "")
        self._cuts.clear()
        self.renumber()

    def renumber(self) -> None:
        """Ids of every book begin anew, smaller, without breaking a chain: OKX's maintenance."""
        for instrument in self._instruments.values():
            instrument.renumber()

    def farewell(self, now_ns: int) -> None:
        for connection, client in self._connections.items():
            notice = _Event(
                "notice",
                client.conn_id,
                code="64008",
                msg="The connection will soon be closed for a service upgrade. Please reconnect.",
            )
            self._send(connection, encode(notice), now_ns)
        self._cuts.append((now_ns + self._farewell_ns, list(self._connections)))

    def cross(self, now_ns: int) -> None:
        stamp = self._stamp(now_ns)
        for topic in self._topics.values():
            if isinstance(topic, Books):
                self._tell(topic, topic.crossed(now_ns, stamp), now_ns)

    # -- subscriptions ------------------------------------------------------------------------

    def _subscription(self, connection: int, operation: _Operation, arg: Arg, now_ns: int) -> None:
        """Acknowledges one arg of a request, then says what a newcomer is told at once."""
        key = self._key(arg)
        client = self._connections[connection]
        ack = encode(_Event(operation.op, client.conn_id, operation.id, arg))
        if operation.op == "unsubscribe":
            self._leave(key, connection)
            self._send(connection, ack, now_ns)
            return
        stamp = self._stamp(now_ns)
        topic = self._topics.get(key)
        if topic is None:
            topic = self._topics[key] = self._topic(*key, now_ns, stamp)
            self._topics = dict(sorted(self._topics.items(), key=_rank))
        topic.connections[connection] = None
        self._send(connection, ack, now_ns)
        for frame in topic.greeting(now_ns, stamp):
            self._send(connection, frame, now_ns, topic.feed)

    def _key(self, arg: Arg) -> tuple[str, str]:
        """Channel and subject, if this connection may have them."""
        channel, name = arg.get("channel", ""), arg.get("instId", "")
        if "uly" in arg:
            raise _Unavailable("64000", "Subscription parameter uly is unavailable anymore.")
        if channel.startswith(_FOR_BUSINESS):
            raise _Unavailable("64001", "This channel has been migrated to the '/business' URL.")
        if channel == "status":
            return channel, ""
        if channel == "instruments" and arg.get("instType") in INSTRUMENT_TYPES:
            return channel, arg["instType"]
        instrument = self._instruments.get(name)
        if instrument is not None:
            if channel in _FOR_MEMBERS:
                raise _Unavailable("60011", "Please log in")
            if channel in _MARKET or (channel in _DERIVED and instrument.inst_type == "SWAP"):
                return channel, name
        subject = f",instId:{name}" if name else ""
        raise _Unavailable(
            "60018",
            f"Wrong URL or channel:{channel}{subject} doesn't exist. Please use the correct URL, "
            "channel and parameters referring to API document.",
        )

    def _topic(self, channel: str, name: str, now_ns: int, stamp: str) -> Topic:
        if channel == "status":
            return Latest(
                {"channel": channel}, lambda: None, lambda _: [], _NEVER_NS, _NEVER_NS, now_ns
            )
        if channel == "instruments":
            return Latest(
                {"channel": channel, "instType": name},
                lambda: None,
                lambda _: [
                    one.definition() for one in self._instruments.values() if one.inst_type == name
                ],
                _NEVER_NS,
                _NEVER_NS,
                now_ns,
            )
        one = self._instruments[name]
        arg = {"channel": channel, "instId": name}
        match channel:
            case "books":
                return Books(one, stamp, now_ns, checksums=self._checksums)
            case "books5":
                return best_levels(one, channel, 5, BOOK_EVERY_NS, now_ns)
            case "bbo-tbt":
                return best_levels(one, channel, 1, TOP_EVERY_NS, now_ns)
            case "trades":
                return Trades(one)
            case "tickers":
                return Latest(
                    arg,
                    lambda: (one.last_trade, one.top(1)),
                    lambda stamp: [one.ticker(stamp)],
                    100 * MILLISECOND,
                    _NEVER_NS,
                    now_ns,
                )
            case "mark-price":
                return Latest(
                    arg,
                    one.mark,
                    lambda stamp: [one.mark_price(stamp)],
                    200 * MILLISECOND,
                    10 * SECOND,
                    now_ns,
                )
            case _:
                return Latest(
                    arg,
                    lambda: None,
                    lambda stamp: [one.funding_rate(stamp)],
                    60 * SECOND,
                    60 * SECOND,
                    now_ns,
                )

    def _leave(self, key: tuple[str, str], connection: int) -> None:
        topic = self._topics.get(key)
        if topic is not None:
            topic.connections.pop(connection, None)
            if not topic.connections:
                del self._topics[key]

    # -- sending ------------------------------------------------------------------------------

    def _stamp(self, now_ns: int) -> str:
        return milliseconds(now_ns + self.skew_ns)

    def _tell(self, topic: Topic, frames: Iterable[bytes], now_ns: int) -> None:
        for frame in frames:
            for connection in topic.connections:
                self._send(connection, frame, now_ns, topic.feed)

    def _send(self, connection: int, frame: bytes, now_ns: int, feed: str = "") -> None:
        self.outbox.append(Push(connection, frame, feed))
        self._connections[connection].heard_ns = now_ns

    def _refuse(self, connection: int, request_id: str, code: str, message: str) -> None:
        conn_id = self._connections[connection].conn_id
        event = _Event("error", conn_id, request_id, code=code, msg=message)
        self.outbox.append(Push(connection, encode(event)))

    def _close(self, connection: int, code: int, reason: str) -> None:
        if connection in self._connections:
            self.outbox.append(Close(connection, code, reason))
            self.closed(connection)


def _rank(entry: tuple[tuple[str, str], Topic]) -> int:
    channel = entry[0][0]
    return _MARKET.index(channel) if channel in _MARKET else len(_MARKET)


def _shown(frame: bytes) -> str:
    return frame[:200].decode(errors="replace")
