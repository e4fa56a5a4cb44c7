"""A peer that says what a test tells it to, and remembers what it was told."""

from __future__ import annotations

import asyncio

import msgspec

from hftmm.sim.broker import Broker
from hftmm.sim.peers import Close, HttpAnswer, HttpQuery, Matter, Outgoing, Push


class ScriptedPeer:
    """Echoes frames; paths beginning with /refused are refused, /order answers as an order does.

    Attributes:
        calls: names of the rarer verbs, in the order they came.
        heard: connection and frame, in the order they came.
        every_advance: pushed anew each time time moves.
        gone: set once a connection has closed.
        moved: set whenever time moves.
    """

    faces = ("rest", "stream")

    def __init__(self, venue: str = "binance") -> None:
        self.venue = venue
        self.outbox: list[Outgoing] = []
        self.skew_ns = 0
        self.broker: Broker | None = None
        self.calls: list[str] = []
        self.heard: list[tuple[int, bytes]] = []
        self.asked: list[HttpQuery] = []
        self.connections: list[int] = []
        self.every_advance: list[Outgoing] = []
        self.gone = asyncio.Event()
        self.moved = asyncio.Event()
        self.broken = False

    def say(self, connection: int, frame: bytes, feed: str = "", matter: Matter = "") -> None:
        self.outbox.append(Push(connection, frame, feed, matter=matter))

    def hang_up(self, connection: int, code: int, reason: str = "") -> None:
        self.outbox.append(Close(connection, code, reason))

    def url(self, face: str, authority: str) -> str:
        return f"{'ws' if face == 'stream' else 'http'}://{authority}"

    def opened(
        self, connection: int, face: str, path: str, query: str, now_ns: int
    ) -> HttpAnswer | None:
        if path.startswith("/refused"):
            return HttpAnswer(403, b'{"refused":true}')
        self.connections.append(connection)
        self.say(connection, f"hello {face} {path}?{query}".encode())
        return None

    def received(self, connection: int, frame: bytes, now_ns: int) -> None:
        self.heard.append((connection, frame))
        self.outbox.append(Push(connection, frame, text=not frame.startswith(b"\x00")))

    def closed(self, connection: int) -> None:
        self.connections.remove(connection)
        self.gone.set()

    def request(self, query: HttpQuery, now_ns: int) -> HttpAnswer:
        self.asked.append(query)
        body = msgspec.json.encode({"number": len(self.asked)})
        matter: Matter = "ack" if query.path == "/order" else ""
        return HttpAnswer(200, body, {"X-Weight": "1"}, matter)

    def advance(self, now_ns: int) -> None:
        if self.broken:
            raise RuntimeError("the peer is broken")
        self.outbox += self.every_advance
        self.moved.set()

    def restart(self, now_ns: int) -> None:
        self.calls.append("restart")

    def farewell(self, now_ns: int) -> None:
        self.calls.append("farewell")

    def cross(self, now_ns: int) -> None:
        self.calls.append("cross")
