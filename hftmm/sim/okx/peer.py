"""OKX without a socket: connections, subscriptions, heartbeats, and the clock that drives them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from random import Random

import msgspec

from hftmm.sim.broker import Broker
from hftmm.sim.market import Market
from hftmm.sim.okx.connection import PATHS, Connection, Event, Operation, shown
from hftmm.sim.okx.entry import price_limit_row, price_limits
from hftmm.sim.okx.instrument import Instrument, milliseconds
from hftmm.sim.okx.members import Acks
from hftmm.sim.okx.refusal import Refusal
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
from hftmm.sim.okx.trading import Trading, TradingOptions
from hftmm.sim.peers import Close, HttpAnswer, HttpQuery, Outgoing, Push
from hftmm.venues.codec import MILLISECOND, SECOND

_IDLE_NS = 30 * SECOND
_HOUR_NS = 3_600 * SECOND
_REQUESTS = 480
"""Subscriptions, unsubscriptions and logins of one connection in an hour."""
_NEVER_NS = 10**18

# Channels that exist, but not for a connection like this one.
_FOR_MEMBERS = frozenset({"books-l2-tbt", "books50-l2-tbt"})
_FOR_BUSINESS = ("candle", "mark-price-candle", "index-candle", "trades-all", "sprd-", "algo-")
_MARKET = ("trades", "bbo-tbt", "books", "books5", "tickers", "price-limit")
"""Channels of every instrument, in the order in which one event reaches them."""
_DERIVED = ("mark-price", "funding-rate")
"""Channels of swaps only."""

_operation = msgspec.json.Decoder(Operation)
_args = msgspec.json.Decoder(list[dict[str, str]])


class OkxPeer:
    """The practice venue that speaks OKX v5; see `Peer` for what drives it.

    Args:
        checksums: send a real CRC32 in `books`, as OKX did until June 2026, so that clients which
            verify it can be held against it; otherwise 0, as OKX does now.
        farewell_ns: from the notice of a planned disconnect to the cut; 60 s at OKX.
        trading: how members are treated.
    """

    venue = "okx"
    faces: tuple[str, ...] = ("rest", *PATHS)

    def __init__(
        self,
        market: Market,
        seed: int,
        *,
        checksums: bool = False,
        farewell_ns: int = 5 * SECOND,
        trading: TradingOptions | None = None,
    ) -> None:
        options = trading or TradingOptions()
        self.outbox: list[Outgoing] = []
        self._chance = Random(seed)
        self._checksums = checksums
        self._farewell_ns = farewell_ns
        self._instruments: Mapping[str, Instrument] = {
            engine.spec.venue_symbol: Instrument(engine, market, self._chance, demo=options.demo)
            for engine in market.of(self.venue)
        }
        # A chance of their own, so that what members do leaves public ids as they would be.
        self._trading = Trading(market, self._instruments, Random(seed + 1), options)
        self._rest = PublicRest(self._instruments, self.broker)
        self._connections: dict[int, Connection] = {}
        self._topics: dict[tuple[str, str], Topic] = {}
        self._cuts: list[tuple[int, list[int]]] = []

    @property
    def broker(self) -> Broker:
        """Accounts and orders behind the protocol."""
        return self._trading.broker

    @property
    def skew_ns(self) -> int:
        """The venue's clock less true time."""
        return self._trading.skew_ns

    @skew_ns.setter
    def skew_ns(self, skew_ns: int) -> None:
        self._trading.skew_ns = skew_ns

    @property
    def acks(self) -> Acks:
        """When order operations are answered; may be changed at any time."""
        return self._trading.acks

    @acks.setter
    def acks(self, acks: Acks) -> None:
        self._trading.acks = acks

    def url(self, face: str, authority: str) -> str:
        return f"http://{authority}" if face == "rest" else f"ws://{authority}{PATHS[face]}"

    def opened(
        self, connection: int, face: str, path: str, query: str, now_ns: int
    ) -> HttpAnswer | None:
        # As at OKX every host serves every path, whatever address was printed for it.
        served = {served: name for name, served in PATHS.items()}.get(path)
        if face == "rest" or served is None:
            return HttpAnswer(404, b'{"code":404,"msg":"Not Found"}')
        conn_id = f"{self._chance.getrandbits(32):08x}"
        self._connections[connection] = Connection(connection, served, conn_id, now_ns)
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
            self._refuse(connection, "", "60012", f"Illegal request: {shown(frame)}")
            return
        if operation.op in ("subscribe", "unsubscribe", "login") and not client.requests.spend(
            client.number, 1, _REQUESTS, now_ns, _HOUR_NS
        ):
            self._refuse(connection, operation.id, "60014", "Requests too frequent.")
        elif operation.op == "login":
            self._trading.login(client, operation, now_ns)
        elif client.face != "public":
            self._trading.received(client, operation, frame, now_ns)
        else:
            self._listen(connection, operation, frame, now_ns)

    def _listen(self, connection: int, operation: Operation, frame: bytes, now_ns: int) -> None:
        """A request on the public socket."""
        try:
            args = _args.decode(operation.args)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._refuse(connection, operation.id, "60012", f"Illegal request: {shown(frame)}")
            return
        if operation.op not in ("subscribe", "unsubscribe"):
            self._refuse(connection, operation.id, "60012", f"Illegal request: {shown(frame)}")
        elif not args:
            self._refuse(connection, operation.id, "60013", "Invalid args")
        else:
            for arg in args:
                try:
                    self._subscription(connection, operation, arg, now_ns)
                except Refusal as refused:
                    self._refuse(connection, operation.id, refused.code, refused.message)

    def closed(self, connection: int) -> None:
        self._connections.pop(connection, None)
        self._trading.closed(connection)
        for key in list(self._topics):
            self._leave(key, connection)

    def request(self, query: HttpQuery, now_ns: int) -> HttpAnswer:
        if self._trading.serves(query):
            return self._trading.request(query, now_ns)
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
        for outgoing in self._trading.advance(now_ns):
            if isinstance(outgoing, Push):
                if outgoing.connection in self._connections:
                    self.outbox.append(outgoing)
                    self._connections[outgoing.connection].heard_ns = now_ns
            else:
                self._close(outgoing.connection, outgoing.code, outgoing.reason)
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
        self._trading.restart()
        self.renumber()

    def renumber(self) -> None:
        """Ids of every book begin anew, smaller, without breaking a chain: OKX's maintenance."""
        for instrument in self._instruments.values():
            instrument.renumber()

    def farewell(self, now_ns: int) -> None:
        for connection, client in self._connections.items():
            notice = Event(
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

    def _subscription(self, connection: int, operation: Operation, arg: Arg, now_ns: int) -> None:
        """Acknowledges one arg of a request, then says what a newcomer is told at once."""
        key = self._key(connection, arg)
        client = self._connections[connection]
        ack = encode(Event(operation.op, client.conn_id, operation.id, arg))
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

    def _key(self, connection: int, arg: Arg) -> tuple[str, str]:
        """Channel and subject, if this connection may have them."""
        channel, name = arg.get("channel", ""), arg.get("instId", "")
        if "uly" in arg:
            raise Refusal("64000", "Subscription parameter uly is unavailable anymore.")
        if channel.startswith(_FOR_BUSINESS):
            raise Refusal("64001", "This channel has been migrated to the '/business' URL.")
        if channel == "status":
            return channel, ""
        if channel == "instruments" and arg.get("instType") in INSTRUMENT_TYPES:
            return channel, arg["instType"]
        instrument = self._instruments.get(name)
        if instrument is not None:
            if channel in _FOR_MEMBERS:
                if self._connections[connection].member is None:
                    raise Refusal("60011", "Please log in")
                raise Refusal(
                    "64003",
                    "Your trading fee tier doesn't meet the requirement to access this channel",
                )
            if channel in _MARKET or (channel in _DERIVED and instrument.inst_type == "SWAP"):
                return channel, name
        subject = f",instId:{name}" if name else ""
        raise Refusal(
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
            case "price-limit":
                return Latest(
                    arg,
                    lambda: price_limits(one, self.broker),
                    lambda stamp: [price_limit_row(one, self.broker, stamp)],
                    200 * MILLISECOND,
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
        event = Event("error", conn_id, request_id, code=code, msg=message)
        self.outbox.append(Push(connection, encode(event)))

    def _close(self, connection: int, code: int, reason: str) -> None:
        if connection in self._connections:
            self.outbox.append(Close(connection, code, reason))
            self.closed(connection)


def _rank(entry: tuple[tuple[str, str], Topic]) -> int:
    channel = entry[0][0]
    return _MARKET.index(channel) if channel in _MARKET else len(_MARKET)
