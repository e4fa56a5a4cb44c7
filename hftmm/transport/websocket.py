"""Stream connections to venues: picows below, whole messages above."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, TypeAlias, cast

from picows import (
    WSCloseCode,
    WSError,
    WSFrame,
    WSHandshakeError,
    WSListener,
    WSMsgType,
    WSProtocolError,
    WSTransport,
    ws_connect,
)

from hftmm.core.errors import Unavailable
from hftmm.transport.unreachable import first_line, unreachable

if TYPE_CHECKING:
    from picows.picows import WSCloseHandshake

MESSAGE_LIMIT = 16 * 1024 * 1024
"""Bytes of the largest message taken, whole or in fragments."""

# Looked up once: an enum's member costs more than the rest of a frame.
_DATA = (WSMsgType.TEXT, WSMsgType.BINARY)
_CONTINUATION, _PING, _CLOSE = WSMsgType.CONTINUATION, WSMsgType.PING, WSMsgType.CLOSE

OnFrame: TypeAlias = Callable[[bytes, bool], None]
OnLost: TypeAlias = Callable[[str], None]

log = logging.getLogger(__name__)


class StreamConnection(WSListener):
    """One WebSocket connection; made by `connect`, over after `on_lost`.

    Messages come as `on_frame(message, last_in_read)`: bytes of a text or binary message, whole
    whether it was sent in one frame or in fragments. `last_in_read` is True for the last message
    of a socket read: only then is it worth while to decide anything.
    """

    def __init__(
        self,
        on_frame: OnFrame,
        on_lost: OnLost,
        on_open: Callable[[StreamConnection], None] | None = None,
        limit: int = MESSAGE_LIMIT,
    ) -> None:
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._on_open = on_open
        self._limit = limit
        self._transport: WSTransport | None = None
        self._end: asyncio.Future[None] | None = None
        self._held: bytes | None = None
        self._fragments: bytearray | None = None
        self._reason = ""

    @classmethod
    async def connect(
        cls,
        url: str,
        on_frame: OnFrame,
        on_lost: OnLost,
        *,
        on_open: Callable[[StreamConnection], None] | None = None,
        deadline_s: float = 5.0,
        tls: ssl.SSLContext | None = None,
        limit: int = MESSAGE_LIMIT,
    ) -> StreamConnection:
        """Opens a connection: name, TCP, TLS and handshake within the deadline.

        Args:
            on_frame: gets each message. The server may talk first, and then it is called before
                this returns.
            on_lost: called once, with the reason in one line, when an open connection is gone;
                also after `close`.
            on_open: called with the connection when it is open, before any message.
            limit: bytes of a message above which the connection is dropped.

        Raises:
            Unavailable: one line with the host and the cause; nothing is called then.
        """

        def listener() -> StreamConnection:
            return cls(on_frame, on_lost, on_open, limit)

        try:
            async with asyncio.timeout(deadline_s):
                # One deadline for all steps: picows' own covers the handshake only, and ends a
                # connection that this one left behind.
                _, connection = await ws_connect(
                    listener,
                    url,
                    ssl_context=tls or (_tls() if url.startswith("wss:") else None),
                    websocket_handshake_timeout=deadline_s,
                    # Answered here: a ping may be the last frame of a read, see `on_ws_frame`.
                    enable_auto_pong=False,
                    max_frame_size=limit,
                    max_redirects=0,
                )
        except WSHandshakeError as error:
            raise unreachable(url, _refusal(error)) from error
        except (OSError, WSError, ValueError) as error:
            # ValueError: a URL with an impossible port.
            raise unreachable(url, error) from error
        if not isinstance(connection, StreamConnection):
            # What picows returns when the peer hangs up before it has answered.
            raise unreachable(url, Unavailable("connection closed during the handshake"))
        return connection

    def send(self, frame: bytes) -> None:
        """Sends a text message; one sent after the connection was lost goes nowhere."""
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.send(WSMsgType.TEXT, frame)

    def close(self, reason: str = "closed by us") -> None:
        """Ends the connection without waiting for the peer; `on_lost` follows with the reason."""
        self._reason = self._reason or reason
        transport = self._transport
        if transport is not None and not transport.is_disconnected:
            if not transport.is_close_frame_sent:
                transport.send_close(WSCloseCode.OK)
            # A half-open socket would never drain: what the system has not taken is dropped.
            transport.disconnect(graceful=False)

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        # picows keeps why it ended a connection for whoever waits for the end, and asyncio
        # complains if nobody does. The reason is told by `on_lost`.
        self._end = asyncio.ensure_future(transport.wait_disconnected())
        self._end.add_done_callback(_look_at)
        if self._on_open is not None:
            self._on_open(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if transport.is_close_frame_sent:
            return
        # A message is held until the next frame of the same read is known: if only pings and
        # fragments follow, it was the last.
        message = self._message(transport, frame)
        last = frame.last_in_buffer
        if message is not None:
            if last and self._held is None:
                self._pass_on(message, True)
                return
            if self._held is not None:
                self._pass_on(self._held, False)
            self._held = message
        if last and self._held is not None:
            held, self._held = self._held, None
            self._pass_on(held, True)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._on_lost(self._reason or _farewell(transport))

    def _pass_on(self, message: bytes, last_in_read: bool) -> None:
        try:
            self._on_frame(message, last_in_read)
        except Exception as error:
            # A defect above must not leave a book half updated: the connection ends, and what
            # follows is a clean start.
            log.exception("frame_failed head=%r", message[:80])
            self._reason = f"a frame could not be processed: {first_line(repr(error))}"
            raise

    def _message(self, transport: WSTransport, frame: WSFrame) -> bytes | None:
        """The message that a frame completes, if it does; control frames are seen to."""
        kind = frame.msg_type
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            raise WSProtocolError(WSCloseCode.PROTOCOL_ERROR, "frame of an extension not agreed on")
        if kind in _DATA:
            if self._fragments is not None:
                raise WSProtocolError(WSCloseCode.PROTOCOL_ERROR, "message inside a message")
            if frame.fin:
                return frame.get_payload_as_bytes()
            self._fragments = bytearray(frame.get_payload_as_memoryview())
        elif kind == _CONTINUATION:
            if self._fragments is None:
                raise WSProtocolError(WSCloseCode.PROTOCOL_ERROR, "fragment of no message")
            if len(self._fragments) + frame.payload_size > self._limit:
                raise WSProtocolError(
                    WSCloseCode.MESSAGE_TOO_BIG, f"message of more than {self._limit} bytes"
                )
            self._fragments += frame.get_payload_as_memoryview()
            if frame.fin:
                message, self._fragments = bytes(self._fragments), None
                return message
        elif kind == _PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif kind == _CLOSE:
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()
        return None


def _look_at(end: asyncio.Future[None]) -> None:
    if not end.cancelled():
        end.exception()


@cache
def _tls() -> ssl.SSLContext:
    """The system's trust, read once: it takes tens of milliseconds."""
    return ssl.create_default_context()


def _refusal(error: WSHandshakeError) -> Exception:
    """A refused handshake in the words of HTTP, with the first line of what the server said."""
    response = error.response
    if response is None:
        return Unavailable(f"WebSocket handshake failed: {error}")
    said = first_line((error.raw_body or b"").decode(errors="replace"))
    status = f"{response.status:d} {response.status.phrase}"
    return Unavailable(f"WebSocket refused: HTTP {status}{f': {said}' if said else ''}")


def _farewell(transport: WSTransport) -> str:
    """Why a connection ended, from the close frames exchanged."""
    # The stub says it always exists; it does only after a close frame.
    handshake = cast("WSCloseHandshake | None", transport.close_handshake)
    if handshake is None:
        return "connection cut without a close frame"
    if handshake.recv is not None and handshake.recv_then_sent:
        # An IntEnum, whatever the stub says, or a bare int for codes of the venue's own.
        code, reason = int(cast("int", handshake.recv.code)), handshake.recv.reason
        return f"closed by the venue: {code}{f' {reason}' if reason else ''}"
    sent = handshake.sent
    return f"protocol error: {sent.reason}" if sent is not None else "closed"
