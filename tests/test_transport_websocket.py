from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import pytest
from websockets.asyncio.server import ServerConnection, serve

from hftmm.core.errors import Unavailable
from hftmm.transport.websocket import StreamConnection

DEADLINE = 5.0
Raw: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Ear:
    """Hears what a connection says, and waits for it."""

    def __init__(self) -> None:
        self.frames: list[tuple[bytes, bool]] = []
        self.lost: list[str] = []
        self._news = asyncio.Event()

    def on_frame(self, message: bytes, last_in_read: bool) -> None:
        self.frames.append((message, last_in_read))
        self._news.set()

    def on_lost(self, reason: str) -> None:
        self.lost.append(reason)
        self._news.set()

    async def until(self, heard: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not heard():
                self._news.clear()
                await self._news.wait()

    async def until_lost(self) -> str:
        await self.until(lambda: bool(self.lost))
        return self.lost[0]


async def listen(url: str, ear: Ear, limit: int = 16 * 1024 * 1024) -> StreamConnection:
    return await StreamConnection.connect(url, ear.on_frame, ear.on_lost, limit=limit)


@asynccontextmanager
async def venue(handler: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[str]:
    """A WebSocket server on loopback; yields its URL."""
    async with serve(handler, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}/ws"


@asynccontextmanager
async def raw_venue(handler: Raw) -> AsyncIterator[str]:
    """A TCP server on loopback that speaks whatever the handler writes."""

    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(closing, "127.0.0.1", 0)
    async with server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"


async def accept(reader: asyncio.StreamReader) -> bytes:
    """Reads a handshake; the answer that accepts it."""
    request = (await reader.readuntil(b"\r\n\r\n")).decode()
    assert "permessage-deflate" not in request
    key = next(
        line.partition(": ")[2]
        for line in request.split("\r\n")
        if line.startswith("Sec-WebSocket-Key")
    )
    digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()  # noqa: S324  # the protocol's
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
    )


TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10


def frame(kind: int, payload: bytes, *, fin: bool = True, rsv: int = 0) -> bytes:
    """One frame as a server sends it."""
    first = (0x80 if fin else 0) | rsv << 4 | kind
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", first, size) + payload
    if size < 65_536:
        return struct.pack("!BBH", first, 126, size) + payload
    return struct.pack("!BBQ", first, 127, size) + payload


def says(*frames: bytes) -> Raw:
    """A server that accepts, writes all frames at once, and waits for the client to leave."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await accept(reader))
        writer.write(b"".join(frames))
        await reader.read()

    return handler


async def heard(*frames: bytes, count: int) -> list[tuple[bytes, bool]]:
    """The messages a connection hears when a server sends these frames in one write."""
    ear = Ear()
    async with raw_venue(says(*frames)) as url:
        connection = await listen(url, ear)
        await ear.until(lambda: len(ear.frames) >= count)
        connection.close()
        await ear.until_lost()
    return ear.frames


async def test_text_and_binary_messages_arrive_as_bytes() -> None:
    async def handler(peer: ServerConnection) -> None:
        await peer.send("grün")
        await peer.recv()
        await peer.send(b"\x00\xff")
        await peer.recv()

    ear = Ear()
    async with venue(handler) as url:
        connection = await listen(url, ear)
        await ear.until(lambda: len(ear.frames) == 1)
        connection.send(b"next")
        await ear.until(lambda: len(ear.frames) == 2)
        connection.close()
        await ear.until_lost()
    assert ear.frames == [("grün".encode(), True), (b"\x00\xff", True)]


async def test_what_is_sent_arrives_as_text() -> None:
    received: list[str | bytes] = []

    async def handler(peer: ServerConnection) -> None:
        received.append(await peer.recv())
        await peer.send("done")
        await peer.wait_closed()

    ear = Ear()
    async with venue(handler) as url:
        connection = await listen(url, ear)
        connection.send(b'{"op":"ping"}')
        await ear.until(lambda: bool(ear.frames))
        connection.close()
        await ear.until_lost()
    assert received == ['{"op":"ping"}']


async def test_only_the_last_message_of_a_read_is_last() -> None:
    frames = await heard(frame(TEXT, b"1"), frame(TEXT, b"2"), frame(BINARY, b"3"), count=3)
    assert frames == [(b"1", False), (b"2", False), (b"3", True)]


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(frame(PING, b"p"), id="a ping"),
        pytest.param(frame(PONG, b"p"), id="a pong"),
        pytest.param(frame(TEXT, b"begin", fin=False), id="a first fragment"),
        pytest.param(frame(TEXT, b"cut")[:3], id="half a frame"),
    ],
)
async def test_a_message_followed_by_none_is_last(after: bytes) -> None:
    assert await heard(frame(TEXT, b"1"), frame(TEXT, b"2"), after, count=2) == [
        (b"1", False),
        (b"2", True),
    ]


async def test_a_message_sent_with_the_handshake_comes_after_on_open() -> None:
    order: list[str] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await accept(reader) + frame(TEXT, b"hello"))
        await reader.read()

    ear = Ear()

    def on_frame(message: bytes, last_in_read: bool) -> None:
        order.append("frame")
        ear.on_frame(message, last_in_read)

    async with raw_venue(handler) as url:
        connection = await StreamConnection.connect(
            url, on_frame, ear.on_lost, on_open=lambda _: order.append("open")
        )
        await ear.until(lambda: bool(ear.frames))
        connection.close()
        await ear.until_lost()
    assert order == ["open", "frame"]


async def test_fragments_become_one_message_with_a_ping_between_them() -> None:
    frames = await heard(
        frame(TEXT, b"a", fin=False),
        frame(PING, b"p"),
        frame(CONTINUATION, b"b", fin=False),
        frame(CONTINUATION, b"c"),
        frame(TEXT, b"d"),
        count=2,
    )
    assert frames == [(b"abc", False), (b"d", True)]


async def test_a_ping_is_answered_with_its_payload() -> None:
    pongs: list[bytes] = []

    async def handler(peer: ServerConnection) -> None:
        answered = await peer.ping(b"1723161255000")
        await answered
        pongs.append(b"1723161255000")
        await peer.send("done")
        await peer.wait_closed()

    ear = Ear()
    async with venue(handler) as url:
        connection = await listen(url, ear)
        await ear.until(lambda: bool(ear.frames))
        connection.close()
        await ear.until_lost()
    assert pongs == [b"1723161255000"]


@pytest.mark.parametrize(
    ("code", "reason", "said"),
    [
        (1001, "going away", "closed by the venue: 1001 going away"),
        (1008, "", "closed by the venue: 1008"),
        (4004, "no such stream", "closed by the venue: 4004 no such stream"),
    ],
)
async def test_the_venues_close_code_and_reason_are_told(code: int, reason: str, said: str) -> None:
    async def handler(peer: ServerConnection) -> None:
        await peer.close(code, reason)

    ear = Ear()
    async with venue(handler) as url:
        await listen(url, ear)
        assert await ear.until_lost() == said
    assert len(ear.lost) == 1


async def test_our_own_close_says_why_and_tells_the_venue() -> None:
    codes: list[int | None] = []
    gone = asyncio.Event()

    async def handler(peer: ServerConnection) -> None:
        await peer.wait_closed()
        codes.append(peer.close_code)
        gone.set()

    ear = Ear()
    async with venue(handler) as url:
        connection = await listen(url, ear)
        connection.close("no frame for 10 s")
        connection.close()
        assert await ear.until_lost() == "no frame for 10 s"
        connection.send(b"into the void")
        connection.close()
        async with asyncio.timeout(DEADLINE):
            await gone.wait()
    assert codes == [1000]
    assert len(ear.lost) == 1


async def test_a_cut_connection_says_so() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await accept(reader))
        await writer.drain()

    ear = Ear()
    async with raw_venue(handler) as url:
        await listen(url, ear)
        assert await ear.until_lost() == "connection cut without a close frame"


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        pytest.param(
            [frame(TEXT, b"x" * 101)],
            "protocol error: Received frame with payload size exceeding max allowed size, "
            "101 > 100",
            id="one frame",
        ),
        pytest.param(
            [frame(TEXT, b"x" * 60, fin=False), frame(CONTINUATION, b"x" * 60)],
            "protocol error: message of more than 100 bytes",
            id="in fragments",
        ),
        pytest.param(
            [frame(CONTINUATION, b"x")], "protocol error: fragment of no message", id="no beginning"
        ),
        pytest.param(
            [frame(TEXT, b"x", fin=False), frame(TEXT, b"x")],
            "protocol error: message inside a message",
            id="a message begins inside another",
        ),
        pytest.param(
            [frame(TEXT, b"x", rsv=4)],
            "protocol error: frame of an extension not agreed on",
            id="compressed",
        ),
    ],
)
async def test_a_message_that_breaks_the_rules_drops_the_connection_with_a_reason(
    frames: list[bytes], reason: str
) -> None:
    ear = Ear()
    good = frame(TEXT, b"good")
    async with raw_venue(says(good, *frames, frame(TEXT, b"after"))) as url:
        await listen(url, ear, limit=100)
        assert await ear.until_lost() == reason
    assert all(message == b"good" for message, _ in ear.frames)


async def test_a_message_as_large_as_the_limit_is_taken() -> None:
    ear = Ear()
    async with raw_venue(says(frame(TEXT, b"x" * 70_000))) as url:
        connection = await listen(url, ear, limit=70_000)
        await ear.until(lambda: bool(ear.frames))
        connection.close()
        await ear.until_lost()
    assert ear.frames == [(b"x" * 70_000, True)]


async def test_a_defect_while_processing_ends_the_connection_with_its_name(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ear = Ear()

    def on_frame(message: bytes, last_in_read: bool) -> None:
        raise KeyError("level")

    async with raw_venue(says(frame(TEXT, b"1"))) as url:
        await StreamConnection.connect(url, on_frame, ear.on_lost)
        assert await ear.until_lost() == "a frame could not be processed: KeyError('level')"
    assert "frame_failed head=b'1'" in caplog.text


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def failure(url: str, deadline_s: float = DEADLINE) -> str:
    """What connecting to a URL says when it fails."""
    ear = Ear()
    with pytest.raises(Unavailable) as caught:
        await StreamConnection.connect(url, ear.on_frame, ear.on_lost, deadline_s=deadline_s)
    assert ear.lost == []
    return str(caught.value)


async def test_a_refused_connection_names_the_host() -> None:
    port = free_port()
    assert await failure(f"ws://127.0.0.1:{port}/ws/listen-key") == (
        f"ws://127.0.0.1:{port}: connection refused"
    )


async def test_a_name_that_does_not_resolve_is_named() -> None:
    assert await failure("wss://stream.invalid/ws") == (
        "wss://stream.invalid: name does not resolve: Name or service not known"
    )


async def test_an_impossible_port_is_refused() -> None:
    said = await failure("ws://127.0.0.1:99999/")
    assert said.startswith("ws://127.0.0.1:99999: ")


async def test_a_url_of_another_scheme_is_refused() -> None:
    assert (await failure("ftp://127.0.0.1/")).startswith("ftp://127.0.0.1: ")


async def test_a_refused_handshake_tells_status_and_words() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b"<h1>slow down</h1>\nsecond line"
        writer.write(b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: %d\r\n\r\n" % len(body))
        writer.write(body)
        await writer.drain()

    async with raw_venue(handler) as url:
        host = url.removesuffix("/ws")
        assert (await failure(url)).startswith(
            f"{host}: WebSocket refused: HTTP 429 Too Many Requests"
        )


async def test_a_peer_that_speaks_no_http_is_named() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")
        await writer.drain()

    async with raw_venue(handler) as url:
        assert (await failure(url)).partition(": ")[2].startswith("WebSocket handshake failed")


async def test_a_redirect_is_not_followed() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\n\r\n")
        await writer.drain()

    async with raw_venue(handler) as url:
        assert (await failure(url)).endswith("WebSocket refused: HTTP 302 Found")


async def test_a_peer_that_hangs_up_in_the_handshake_is_named() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with raw_venue(handler) as url:
        assert (await failure(url)).endswith(": connection closed during the handshake")


async def test_a_peer_that_speaks_no_tls_is_named() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with raw_venue(handler) as url:
        assert (
            (await failure(url.replace("ws:", "wss:"))).partition(": ")[2].startswith("TLS failed")
        )


async def test_a_peer_that_never_answers_is_given_up_at_the_deadline() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw_venue(handler) as url:
        assert (await failure(url, deadline_s=0.05)).endswith(": no answer in time")
