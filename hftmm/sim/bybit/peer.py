"""The practice Bybit: its connections, and what is said on them."""

from __future__ import annotations

import random
import uuid
from collections import deque
from dataclasses import dataclass, field

import msgspec

from hftmm.sim.bybit.instrument import MILLISECOND, Instrument
from hftmm.sim.bybit.rest import MarketEndpoints, not_found
from hftmm.sim.bybit.topic import (
    CADENCE_NS,
    SECOND,
    BookTopic,
    TickerTopic,
    Topic,
    TopTopic,
    TradeTopic,
)
from hftmm.sim.market import Market
from hftmm.sim.peers import Close, HttpAnswer, HttpQuery, Outgoing, Push

REPLY_NS = 10 * MILLISECOND
"""How long a frame waits to be heard: some clients send first and listen for the reply after."""
IDLE_NS, SCAN_NS = 600 * SECOND, 30 * SECOND
"""A connection without ping or push for so long is cut, at the next scan."""
SPOT_ARGS = 10
"""Topics in one subscription on spot."""

_CUT = 1006
_CATEGORIES = {"/v5/public/spot": "spot", "/v5/public/linear": "linear"}
_URLS = {
    "rest": "http://{}",
    "public_spot": "ws://{}/v5/public/spot",
    "public_linear": "ws://{}/v5/public/linear",
}


class _Command(msgspec.Struct, gc=False):
    """What a client says; some number their requests, and get the number back."""

    op: str = ""
    req_id: str | int = ""
    args: list[str] = []


_command = msgspec.json.Decoder(_Command)


@dataclass(slots=True)
class _Connection:
    number: int
    category: str
    conn_id: str
    active_ns: int
    topics: dict[str, Topic] = field(default_factory=dict)


class BybitPeer:
    """Bybit's public side.

    A restart leaves connections open but every second one, in the order they came: on those that
    stay, every book goes on with a snapshot of update id 1, which is all the warning there is.
    """

    venue = "bybit"
    faces: tuple[str, ...] = ("rest", "public_spot", "public_linear")

    def __init__(self, market: Market, seed: int) -> None:
        self.outbox: list[Outgoing] = []
        self.skew_ns = 0
        self._rng = random.Random(seed)
        self._connections: dict[int, _Connection] = {}
        self._heard: deque[tuple[int, int, bytes]] = deque()
        self._scan_ns = 0
        self._topics: dict[tuple[str, str], Topic] = {}
        self._books: list[BookTopic] = []
        self._tops: list[TopTopic] = []
        self._tapes: list[tuple[Instrument, TradeTopic]] = []
        instruments: dict[tuple[str, str], Instrument] = {}
        deepest: dict[tuple[str, str], BookTopic] = {}
        for engine in market.of(self.venue):
            instrument = Instrument(market, engine)
            key = instrument.category, instrument.symbol
            instruments[key] = instrument
            top = TopTopic(instrument, self._first_u())
            books = [BookTopic(instrument, n, self._first_u()) for n in CADENCE_NS if n > 1]
            trades = TradeTopic(instrument)
            topics: list[Topic] = [top, *books, trades, TickerTopic(instrument)]
            self._topics |= {(instrument.category, topic.name): topic for topic in topics}
            self._tops.append(top)
            self._books += books
            self._tapes.append((instrument, trades))
            deepest[key] = books[-1]
        self._rest = MarketEndpoints(instruments, deepest)

    def url(self, face: str, authority: str) -> str:
        """The streams with their path, as the venue documents them."""
        return _URLS[face].format(authority)

    def opened(
        self, connection: int, face: str, path: str, query: str, now_ns: int
    ) -> HttpAnswer | None:
        """The path alone says which market it is: the venue has one host for all streams."""
        category = _CATEGORIES.get(path)
        if category is None:
            return not_found(now_ns + self.skew_ns)
        conn_id = str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
        self._connections[connection] = _Connection(connection, category, conn_id, now_ns)
        return None

    def received(self, connection: int, frame: bytes, now_ns: int) -> None:
        """It is heard, and answered, a little later."""
        self._heard.append((now_ns + REPLY_NS, connection, frame))

    def closed(self, connection: int) -> None:
        """The connection is gone, and its subscriptions with it."""
        gone = self._connections.pop(connection, None)
        if gone is not None:
            for topic in gone.topics.values():
                topic.subscribers.pop(connection, None)

    def request(self, query: HttpQuery, now_ns: int) -> HttpAnswer:
        """A REST request arrived."""
        return self._rest.answer(query, now_ns, self.skew_ns)

    def advance(self, now_ns: int) -> None:
        """Time passed: news goes out, then what was said is answered, then the idle are cut."""
        stamp_ms = self._stamp_ms(now_ns)
        for instrument, tape in self._tapes:
            trades = instrument.collect()
            if trades and tape.subscribers:
                for frame in tape.frames(trades, stamp_ms, self.skew_ns):
                    self._push(tape, frame, now_ns)
        for topic in self._topics.values():
            if topic.subscribers:
                news = topic.publish(now_ns, stamp_ms)
                if news is not None:
                    self._push(topic, news, now_ns)
        while self._heard and self._heard[0][0] <= now_ns:
            _, number, frame = self._heard.popleft()
            connection = self._connections.get(number)
            if connection is not None:
                self._hear(connection, frame, now_ns)
        if now_ns >= self._scan_ns:
            self._scan_ns = now_ns + SCAN_NS
            for connection in list(self._connections.values()):
                if now_ns - connection.active_ns >= IDLE_NS:
                    self._cut(connection.number)

    def restart(self, now_ns: int) -> None:
        """Every second connection is cut; on the others every book begins anew with id 1."""
        for number in list(self._connections)[1::2]:
            self._cut(number)
        stamp_ms = self._stamp_ms(now_ns)
        restarting: list[TopTopic | BookTopic] = [*self._tops, *self._books]
        for topic in restarting:
            self._push(topic, topic.restart(stamp_ms), now_ns)

    def farewell(self, now_ns: int) -> None:
        """The venue gives no notice: every connection is cut."""
        for number in list(self._connections):
            self._cut(number)

    def cross(self, now_ns: int) -> None:
        """One false bid on every depth stream, which stays until the topic is subscribed anew."""
        for topic in self._books:
            if topic.subscribers:
                frame = topic.cross(self._stamp_ms(now_ns))
                if frame is not None:
                    self._push(topic, frame, now_ns)

    def _hear(self, connection: _Connection, frame: bytes, now_ns: int) -> None:
        try:
            command = _command.decode(frame)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._reply(connection, "", _Command(), success=False, message="error:invalid request")
            return
        match command.op:
            case "ping":
                connection.active_ns = now_ns
                self._pong(connection, command)
            case "subscribe":
                self._subscribe(connection, command, now_ns)
            case "unsubscribe":
                for name in command.args:
                    topic = connection.topics.pop(name, None)
                    if topic is not None:
                        topic.subscribers.pop(connection.number, None)
                self._acknowledge(connection, command)
            case op:
                self._reply(connection, op, command, success=False, message="error:unknown op")

    def _subscribe(self, connection: _Connection, command: _Command, now_ns: int) -> None:
        """All of the topics or, if one is unknown, none. The venue does not document which."""
        if connection.category == "spot" and len(command.args) > SPOT_ARGS:
            self._reply(connection, "subscribe", command, success=False, message="args size >10")
            return
        topics: list[Topic] = []
        for name in command.args:
            topic = self._topics.get((connection.category, name))
            if topic is None:
                message = f"error:handler not found,topic:{name}"
                self._reply(connection, "subscribe", command, success=False, message=message)
                return
            topics.append(topic)
        self._acknowledge(connection, command)
        for topic in topics:
            first = topic.join(now_ns, self._stamp_ms(now_ns))
            topic.subscribers[connection.number] = None
            connection.topics[topic.name] = topic
            if first is not None:
                connection.active_ns = now_ns
                self.outbox.append(Push(connection.number, first, topic.feed))

    def _acknowledge(self, connection: _Connection, command: _Command) -> None:
        """Spot repeats the operation as its message, linear says nothing."""
        message = command.op if connection.category == "spot" else ""
        self._reply(connection, command.op, command, success=True, message=message)

    def _pong(self, connection: _Connection, command: _Command) -> None:
        """Spot does not echo the request's id."""
        reply: dict[str, object] = {
            "success": True,
            "ret_msg": "pong",
            "conn_id": connection.conn_id,
        }
        if connection.category == "linear":
            reply["req_id"] = command.req_id
        self._say(connection, reply | {"op": "ping"})

    def _reply(
        self, connection: _Connection, op: str, command: _Command, *, success: bool, message: str
    ) -> None:
        self._say(
            connection,
            {
                "success": success,
                "ret_msg": message,
                "conn_id": connection.conn_id,
                "req_id": command.req_id,
                "op": op,
            },
        )

    def _say(self, connection: _Connection, reply: dict[str, object]) -> None:
        self.outbox.append(Push(connection.number, msgspec.json.encode(reply)))

    def _push(self, topic: Topic, frame: bytes, now_ns: int) -> None:
        for number in topic.subscribers:
            self._connections[number].active_ns = now_ns
            self.outbox.append(Push(number, frame, topic.feed))

    def _cut(self, number: int) -> None:
        self.outbox.append(Close(number, _CUT))
        self.closed(number)

    def _stamp_ms(self, now_ns: int) -> int:
        return (now_ns + self.skew_ns) // MILLISECOND

    def _first_u(self) -> int:
        return self._rng.randrange(100_000, 100_000_000)
