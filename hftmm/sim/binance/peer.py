"""The practice Binance as a whole: connections, streams and requests."""

from __future__ import annotations

import random

from hftmm.sim.binance.api import PATHS
from hftmm.sim.binance.clock import Clock
from hftmm.sim.binance.control import (
    Connection,
    Control,
    parse_control,
    parse_url,
    result,
)
from hftmm.sim.binance.instrument import Instrument
from hftmm.sim.binance.streams import (
    SECOND,
    DiffDepth,
    Stream,
    encode,
    open_stream,
    route_of,
)
from hftmm.sim.binance.trading import Trading
from hftmm.sim.broker import Broker
from hftmm.sim.market import Market
from hftmm.sim.peers import Close, HttpAnswer, HttpQuery, Outgoing, Push

VENUE = "binance"
LIFETIME_NS = 24 * 3600 * SECOND
"""No connection lives longer."""
FAREWELL_LEAD_NS = 5 * SECOND
"""From the notice of a shutdown to the cut; the venue promises none at all."""


class BinancePeer:
    """Spot and USD-M futures behind the venue's REST, stream and WebSocket API hosts.

    Attributes:
        trading: orders and accounts.

    Args:
        market: the books, which somebody else advances before this.
        seed: of the update ids.
    """

    venue = VENUE
    faces: tuple[str, ...] = (
        "spot.rest",
        "spot.stream",
        "spot.api",
        "linear.rest",
        "linear.stream",
        "linear.api",
    )

    def __init__(self, market: Market, seed: int) -> None:
        self.outbox: list[Outgoing] = []
        self._clock = Clock()
        self._market = market
        self._rng = random.Random(seed)
        instruments = [Instrument(engine, self._rng) for engine in market.of(VENUE)]
        self._instruments = {(entry.market, entry.name): entry for entry in instruments}
        self._connections: dict[int, Connection] = {}
        # Its draws are its own: trading leaves the update ids as they were.
        self.trading = Trading(
            market, self._instruments, self._connections, self._clock, random.Random(f"{seed}")
        )
        self._streams: dict[tuple[str, str], Stream] = {}
        self._cuts_ns: dict[int, int] = {}

    @property
    def skew_ns(self) -> int:
        """The venue's clock less true time."""
        return self._clock.skew_ns

    @skew_ns.setter
    def skew_ns(self, skew_ns: int) -> None:
        self._clock.skew_ns = skew_ns

    @property
    def broker(self) -> Broker:
        """Accounts and orders."""
        return self.trading.broker

    def url(self, face: str, authority: str) -> str:
        market, _, host = face.partition(".")
        if host == "api":
            return f"ws://{authority}{PATHS[market]}"
        return f"ws://{authority}" if host == "stream" else f"http://{authority}"

    def opened(
        self, connection: int, face: str, path: str, query: str, now_ns: int
    ) -> HttpAnswer | None:
        market, _, host = face.partition(".")
        if host == "api":
            refusal = self.trading.opened(connection, market, path, query, now_ns)
            if refusal is None:
                self._cuts_ns[connection] = now_ns + LIFETIME_NS
            return refusal
        parsed = parse_url(face, path, query)
        if parsed is None:
            return HttpAnswer(404, b"{}")
        route, combined, topics = parsed
        opened = Connection(connection, market, route, combined)
        self._connections[connection] = opened
        self._cuts_ns[connection] = now_ns + LIFETIME_NS
        self._subscribe(opened, topics, now_ns)
        return None

    def received(self, connection: int, frame: bytes, now_ns: int) -> None:
        sender = self._connections.get(connection)
        if sender is None:
            self.trading.received(connection, frame, now_ns)
            return
        if sender.too_fast(now_ns):
            self._close(connection, 1008, "Too many requests")
            return
        control = parse_control(frame)
        answer = self._obey(sender, control, now_ns) if isinstance(control, Control) else control
        self.outbox.append(Push(connection, answer))

    def closed(self, connection: int) -> None:
        self.trading.closed(connection)
        gone = self._connections.pop(connection, None)
        self._cuts_ns.pop(connection, None)
        if gone is not None:
            self._unsubscribe(gone, list(gone.topics))

    def request(self, query: HttpQuery, now_ns: int) -> HttpAnswer:
        return self.trading.request(query, now_ns)

    def advance(self, now_ns: int) -> None:
        self.outbox += self.trading.advance(now_ns)
        stamp_ms = self._clock.ms(now_ns)
        for stream in self._streams.values():
            for payload in stream.advance(now_ns, stamp_ms):
                self._publish(stream, payload)
        for connection in [number for number, due in self._cuts_ns.items() if due <= now_ns]:
            self._close(connection, 1001, "Going away")

    def restart(self, now_ns: int) -> None:
        for connection in [*self._connections, *self.trading.clients()]:
            self._close(connection, 1006)
        for instrument in self._instruments.values():
            instrument.renumber(self._rng)

    def farewell(self, now_ns: int) -> None:
        """Spot announces a shutdown; USD-M documents no such notice, its connections stay."""
        payload = encode({"e": "serverShutdown", "E": self._clock.ms(now_ns)})
        for connection in self._connections.values():
            if connection.market == "spot":
                frame = _combined("!serverShutdown", payload) if connection.combined else payload
                self.outbox.append(Push(connection.number, frame))
                self._cuts_ns[connection.number] = now_ns + FAREWELL_LEAD_NS
        for number in self.trading.farewell(now_ns):
            self._cuts_ns[number] = now_ns + FAREWELL_LEAD_NS

    def cross(self, now_ns: int) -> None:
        streams = [stream for stream in self._streams.values() if isinstance(stream, DiffDepth)]
        for instrument in {stream.instrument for stream in streams}:
            instrument.skip_id()
        for stream in streams:
            payload = stream.crossed(self._clock.ms(now_ns))
            if payload is not None:
                self._publish(stream, payload)

    def _obey(self, sender: Connection, control: Control, now_ns: int) -> bytes:
        value: object = None
        match control.method:
            case "SUBSCRIBE":
                self._subscribe(sender, control.params, now_ns)
            case "UNSUBSCRIBE":
                self._unsubscribe(sender, control.params)
            case "LIST_SUBSCRIPTIONS":
                value = list(sender.topics)
            case "SET_PROPERTY":
                sender.combined = control.combined
            case _:
                value = sender.combined
        return result(value, control.request_id)

    def _subscribe(self, reader: Connection, topics: list[str], now_ns: int) -> None:
        """Adds topics; what the venue does not serve on this route is accepted and stays silent."""
        for topic in topics:
            if topic in reader.topics:
                continue
            reader.topics[topic] = None
            symbol, _, name = topic.partition("@")
            if not reader.receives(route_of(name)):
                continue
            key = reader.market, topic
            stream = self._streams.get(key)
            if stream is None:
                # Stream names are lower case; a name in capitals is no stream.
                instrument = self._instruments.get((reader.market, symbol.upper()))
                if instrument is None or symbol != symbol.lower():
                    continue
                stream = open_stream(instrument, name, self._market, now_ns)
                if stream is None:
                    continue
                self._streams[key] = stream
            stream.readers.append(reader.number)

    def _unsubscribe(self, reader: Connection, topics: list[str]) -> None:
        for topic in topics:
            reader.topics.pop(topic, None)
            stream = self._streams.get((reader.market, topic))
            if stream is not None and reader.number in stream.readers:
                stream.readers.remove(reader.number)
                if not stream.readers:
                    stream.close()
                    del self._streams[reader.market, topic]

    def _publish(self, stream: Stream, payload: bytes) -> None:
        combined = _combined(stream.topic, payload)
        for number in stream.readers:
            frame = combined if self._connections[number].combined else payload
            self.outbox.append(Push(number, frame, stream.feed))

    def _close(self, connection: int, code: int, reason: str = "") -> None:
        self.outbox.append(Close(connection, code, reason))
        self.closed(connection)


def _combined(topic: str, payload: bytes) -> bytes:
    return b'{"stream":"%b","data":%b}' % (topic.encode(), payload)
