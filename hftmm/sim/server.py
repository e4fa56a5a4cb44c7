"""Practice venues on loopback sockets: a listener for each face, one task that moves time.

Everything happens on one event loop. The driver advances market and peers every few milliseconds
and hands frames to the sockets without ever waiting for one: a client that does not read is cut.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from functools import partial
from types import TracebackType
from typing import Literal, Self
from uuid import uuid4

import msgspec
from aiohttp import WSMsgType, web

from hftmm.config import Config
from hftmm.core.errors import Unavailable
from hftmm.desk.commands import Answer
from hftmm.sim.binance import BinancePeer
from hftmm.sim.bybit import BybitPeer
from hftmm.sim.control import Control
from hftmm.sim.faults import CUT, FaultyPeer
from hftmm.sim.ledger import DEMO
from hftmm.sim.market import Market, practice_specs
from hftmm.sim.okx import OkxPeer
from hftmm.sim.peers import LOST, HttpAnswer, HttpQuery, Outgoing, Peer, Push

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
TICK_S = 0.005
MAX_BUFFERED = 16 * 2**20
"""Bytes that may wait for a slow client before its connection is cut."""
MAX_RECEIVED = 2**20
GOODBYE_S = 1.0
"""How long a client may take over the closing handshake."""

PeerFactory = Callable[[Market, int], Peer]
PEERS: Mapping[str, PeerFactory] = {"binance": BinancePeer, "bybit": BybitPeer, "okx": OkxPeer}

CREDENTIALS = {"key": DEMO.key, "secret": DEMO.secret, "passphrase": DEMO.passphrase}

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Socket = web.WebSocketResponse[Literal[False]]


class _Connection:
    """One client's stream. Frames said before its handshake is over wait here."""

    def __init__(self) -> None:
        self._socket: Socket | None = None
        self._transport: asyncio.Transport | None = None
        self._early: list[Push] = []

    async def ready(self, socket: Socket, transport: asyncio.Transport) -> None:
        self._socket, self._transport = socket, transport
        early, self._early = self._early, []
        for push in early:
            await self.write(push)

    async def write(self, push: Push) -> bool:
        """Hands one frame to the socket, never waits; False if the client was too slow."""
        if self._socket is None or self._transport is None:
            self._early.append(push)
            return True
        kind = WSMsgType.TEXT if push.text else WSMsgType.BINARY
        with suppress(ConnectionResetError):
            await self._socket.send_frame(push.frame, kind)
        if self._transport.get_write_buffer_size() > MAX_BUFFERED:
            self.cut()
            return False
        return True

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def close(self, code: int, reason: str) -> None:
        if self._socket is not None:
            with suppress(ConnectionResetError):
                await self._socket.close(code=code, message=reason.encode())


class _Venue:
    """One peer and its connections."""

    def __init__(self, peer: FaultyPeer) -> None:
        self.peer = peer
        self.connections: dict[int, _Connection] = {}


class PracticeVenues:
    """All practice venues, served while the context is open.

    Attributes:
        description: base URL of every face by venue, credentials, the control face and which run
            it is, as `hftmm venues` prints it; filled on entry.
        market: the market behind them; made on entry.
        driver: the task that moves time; it ends only by failure or exit.
    """

    market: Market
    driver: asyncio.Task[None]

    def __init__(
        self,
        config: Config,
        *,
        control_port: int = 0,
        peers: Mapping[str, PeerFactory] = PEERS,
    ) -> None:
        """Listens on free ports.

        Args:
            control_port: port of the control face; 0 takes a free one.
            peers: venues to serve.
        """
        self._config = config
        self._control_port = control_port
        self._factories = peers
        self._venues: dict[str, _Venue] = {}
        self._stack = AsyncExitStack()
        self._goodbyes: set[asyncio.Task[None]] = set()
        self._last_connection = 0
        # Time for the venues: the wall clock on entry, from there on one that never jumps.
        self._epoch_ns = 0
        self.description: dict[str, object] = {}

    async def __aenter__(self) -> Self:
        """Raises Unavailable if a port is in use."""
        practice = self._config.practice
        specs = [
            spec
            for spec in practice_specs(self._config.markets.symbols)
            if spec.venue in self._factories
        ]
        self._epoch_ns = time.time_ns() - time.monotonic_ns()
        self.market = Market(specs, practice, self._now_ns())
        lags = dict(practice.lag_ms)
        for number, (venue, factory) in enumerate(self._factories.items()):
            peer = factory(self.market, practice.seed + number)
            lag_ns = lags.get(venue, 0) * 1_000_000
            self._venues[venue] = _Venue(FaultyPeer(peer, lag_ns, practice.seed + number))
        async with AsyncExitStack() as stack:
            await self._listen(stack)
            self.driver = asyncio.create_task(self._drive(), name="practice venues")
            stack.push_async_callback(self._stop)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    def switch(self, venue: str, fault: str, amount: float | None = None) -> Answer:
        """Switches a fault of one venue; see `hftmm.sim.faults`."""
        if venue not in self._venues:
            return Answer(False, f"{venue!r} is no venue; there are: {', '.join(self._venues)}")
        answer = self._venues[venue].peer.switch(fault, self._now_ns(), amount)
        if answer.accepted:
            logger.info("fault venue=%s fault=%s amount=%s", venue, fault, amount)
        return answer

    def _now_ns(self) -> int:
        return self._epoch_ns + time.monotonic_ns()

    def _moment_ns(self) -> int:
        """Now, with the market there: an order must not meet what happened before it came."""
        now_ns = self._now_ns()
        self.market.advance(now_ns)
        return now_ns

    async def _listen(self, stack: AsyncExitStack) -> None:
        for venue, served in self._venues.items():
            urls: dict[str, str] = {}
            for face in served.peer.faces:
                port = await _listener(stack, partial(self._answer, served, face))
                urls[face] = served.peer.url(face, f"{HOST}:{port}")
            self.description[venue] = _nested(urls)
        control = Control(
            self.market, {name: venue.peer for name, venue in self._venues.items()}, self.switch
        )
        port = await _listener(stack, partial(_control, control), self._control_port)
        self.description["credentials"] = dict(CREDENTIALS)
        # Accounts begin anew with each run: what was known of another one's is of no use.
        self.description["run"] = uuid4().hex[:12]
        self.description["control"] = f"http://{HOST}:{port}"

    async def _drive(self) -> None:
        """Moves time for market and peers, for as long as the venues are open."""
        try:
            while True:
                begun_ns = self._now_ns()
                self.market.advance(begun_ns)
                for venue in self._venues.values():
                    venue.peer.advance(begun_ns)
                    if venue.peer.outbox:
                        await self._deliver(venue)
                spent_s = (self._now_ns() - begun_ns) / 1e9
                await asyncio.sleep(max(0.001, TICK_S - spent_s))
        except Exception:
            logger.exception("practice venues stopped")
            raise

    async def _deliver(self, venue: _Venue) -> None:
        outbox: list[Outgoing] = venue.peer.outbox[:]
        venue.peer.outbox.clear()
        for item in outbox:
            connection = venue.connections.get(item.connection)
            if connection is None:
                continue
            if isinstance(item, Push):
                if not await connection.write(item):
                    del venue.connections[item.connection]
                    logger.warning("slow client cut venue=%s", venue.peer.venue)
            elif item.code == CUT:
                connection.cut()
            else:
                goodbye = asyncio.create_task(connection.close(item.code, item.reason))
                self._goodbyes.add(goodbye)
                goodbye.add_done_callback(self._goodbyes.discard)

    async def _stop(self) -> None:
        self.driver.cancel()
        closing = [
            connection.close(1001, "practice venues end")
            for venue in self._venues.values()
            for connection in venue.connections.values()
        ]
        await asyncio.gather(*closing, *self._goodbyes)
        await asyncio.wait([self.driver])
        if not self.driver.cancelled():
            # Whatever stopped it must not pass for a clean end.
            self.driver.result()

    async def _answer(
        self, venue: _Venue, face: str, request: web.BaseRequest
    ) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._stream(venue, face, request)
        path, _, query = request.raw_path.partition("?")
        body = await request.read()
        asked = HttpQuery(face, request.method, path, query, request.headers, body)
        answer = venue.peer.request(asked, self._moment_ns())
        await asyncio.sleep((venue.peer.delay_ns + answer.late_ns) / 1e9)
        if answer.status == LOST and request.transport is not None:
            request.transport.abort()
        return _response(answer)

    async def _stream(
        self, venue: _Venue, face: str, request: web.BaseRequest
    ) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        peer = venue.peer
        self._last_connection += 1
        number = self._last_connection
        refusal = peer.opened(number, face, path, query, self._now_ns())
        if refusal is not None:
            return _response(refusal)
        connection = venue.connections[number] = _Connection()
        socket: Socket = web.WebSocketResponse(
            timeout=GOODBYE_S,
            # A half-open connection must not pong, so pongs are ours to send.
            autoping=False,
            compress=False,
            max_msg_size=MAX_RECEIVED,
            # The driver must never wait for a client; `_Connection.write` bounds the buffer.
            writer_limit=sys.maxsize,
            decode_text=False,
        )
        try:
            await socket.prepare(request)
            if request.transport is None:
                return socket
            await connection.ready(socket, request.transport)
            async for message in socket:
                if message.type is WSMsgType.TEXT or message.type is WSMsgType.BINARY:
                    peer.received(number, message.data, self._moment_ns())
                elif message.type is WSMsgType.PING and not peer.silent(number):
                    await socket.pong(message.data)
        finally:
            venue.connections.pop(number, None)
            peer.closed(number)
        return socket


async def serve(
    config: Config,
    announce: Callable[[str], None],
    *,
    control_port: int = 0,
    duration_s: float | None = None,
) -> None:
    """Serves the practice venues until cancelled, or for so long.

    Args:
        announce: called once with the description as one line of JSON.

    Raises:
        Unavailable: a port is in use.
    """
    async with PracticeVenues(config, control_port=control_port) as venues:
        announce(msgspec.json.encode(venues.description).decode())
        await asyncio.wait([venues.driver], timeout=duration_s)
        if venues.driver.done():
            venues.driver.result()


async def _listener(stack: AsyncExitStack, handler: Handler, port: int = 0) -> int:
    """Serves HTTP on a port of loopback until the stack closes; returns the port.

    Raises:
        Unavailable: the port is in use.
    """
    runner = web.ServerRunner(web.Server(handler, access_log=None), shutdown_timeout=GOODBYE_S)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        await web.TCPSite(runner, HOST, port).start()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise Unavailable(
            f"port {port} on {HOST} is in use: stop what listens there or choose another port"
        ) from None
    bound: int = runner.addresses[0][1]
    return bound


async def _control(control: Control, request: web.BaseRequest) -> web.StreamResponse:
    path, _, query = request.raw_path.partition("?")
    return _response(control.request(request.method, path, query, await request.read()))


def _response(answer: HttpAnswer) -> web.Response:
    return web.Response(
        # To a connection that is cut nothing is said; any status will do.
        status=answer.status or 500,
        body=answer.body,
        headers={"Content-Type": "application/json", **answer.headers},
    )


def _nested(urls: Mapping[str, str]) -> dict[str, object]:
    """`spot.rest` becomes `{"spot": {"rest": url}}`."""
    groups: dict[str, dict[str, str]] = {}
    for face, url in urls.items():
        group, _, name = face.partition(".")
        groups.setdefault(group, {})[name] = url
    return {group: named.get("", named) for group, named in groups.items()}
