from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import pytest
from aiohttp import web

from hftmm.core.errors import Unavailable
from hftmm.transport.http import HttpClient
from hftmm.transport.unreachable import cause, unreachable

Handler: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Raw: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def host(handler: Handler) -> AsyncIterator[str]:
    """An HTTP server on loopback; yields its base URL."""
    server = web.Server(handler)
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = runner.addresses[0][1]
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw_host(handler: Raw) -> AsyncIterator[str]:
    """A TCP server on loopback that answers whatever the handler writes."""

    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(closing, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def failure(url: str, *, deadline_s: float = 5.0, body_limit: int = 1_000) -> str:
    """What a call says when it fails."""
    async with HttpClient(deadline_s=deadline_s, body_limit=body_limit) as client:
        with pytest.raises(Unavailable) as caught:
            await client.request(url)
    return str(caught.value)


async def test_a_reply_carries_status_body_headers_and_both_times() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(status=418, body=b"teapot", headers={"X-MBX-USED-WEIGHT": "7"})

    async with host(handler) as base, HttpClient() as client:
        reply = await client.request(f"{base}/x")
    assert (reply.status, reply.body, reply.headers["x-mbx-used-weight"]) == (418, b"teapot", "7")
    assert 0 < reply.sent_ns <= reply.received_ns


async def test_the_times_of_a_reply_are_by_the_clients_clock() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response()

    ticks = iter(range(100, 200, 10))
    async with host(handler) as base, HttpClient(clock=lambda: next(ticks)) as client:
        reply = await client.request(base)
    assert (reply.sent_ns, reply.received_ns) == (100, 110)


async def test_method_headers_body_and_query_go_out_exactly_as_given() -> None:
    seen: list[tuple[str, str, str, bytes]] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        seen.append(
            (request.method, request.raw_path, request.headers["X-Key"], await request.read())
        )
        return web.Response()

    query = "/order?symbol=%5BBTC%5D&x=a+b%20c&sign=A%2fb%3D"
    async with host(handler) as base, HttpClient() as client:
        await client.request(base + query, method="POST", headers={"X-Key": "k"}, body=b"{}")
    assert seen == [("POST", query, "k", b"{}")]


async def test_connections_are_used_again() -> None:
    peers: set[object] = set()

    async def handler(request: web.BaseRequest) -> web.Response:
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        return web.Response(body=b"x")

    async with host(handler) as base, HttpClient() as client:
        for _ in range(3):
            await client.request(base)
    assert len(peers) == 1


async def test_a_packed_body_is_unpacked() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(body=gzip.compress(b"[1]"), headers={"Content-Encoding": "gzip"})

    async with host(handler) as base, HttpClient() as client:
        assert (await client.request(base)).body == b"[1]"


async def test_a_redirect_is_a_reply_and_not_followed() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"})

    async with host(handler) as base, HttpClient() as client:
        assert (await client.request(base)).status == 302


async def test_cookies_are_not_kept() -> None:
    cookies: list[str | None] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        cookies.append(request.headers.get("Cookie"))
        return web.Response(headers={"Set-Cookie": "a=b"})

    async with host(handler) as base, HttpClient() as client:
        await client.request(base)
        await client.request(base)
    assert cookies == [None, None]


@pytest.mark.parametrize("packed", [False, True])
async def test_a_body_beyond_the_limit_is_refused_unpacked_size_counting(packed: bool) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        body = b"x" * 1_001
        if packed:
            return web.Response(body=gzip.compress(body), headers={"Content-Encoding": "gzip"})
        return web.Response(body=body)

    async with host(handler) as base:
        assert await failure(base) == f"{base}: answer of more than 1000 bytes"


async def test_a_body_as_large_as_the_limit_is_taken() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(body=b"x" * 1_000)

    async with host(handler) as base, HttpClient(body_limit=1_000) as client:
        assert len((await client.request(base)).body) == 1_000


async def test_a_refused_connection_names_the_host_and_not_the_query() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    said = await failure(f"http://127.0.0.1:{port}/x?signature=abc")
    assert said == f"http://127.0.0.1:{port}: connection refused"


async def test_a_name_that_does_not_resolve_is_named() -> None:
    said = await failure("https://api.invalid/x")
    assert said == "https://api.invalid: name does not resolve: Name or service not known"


@pytest.mark.parametrize("url", ["nonsense", "http:///x"])
async def test_a_url_without_a_host_is_refused(url: str) -> None:
    assert (await failure(url)).endswith(": not a URL of a host")


async def test_an_impossible_port_is_refused() -> None:
    said = await failure("http://127.0.0.1:99999/")
    assert said == "http://127.0.0.1:99999: Port out of range 0-65535"


async def test_a_host_that_never_answers_is_given_up_at_the_deadline() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw_host(handler) as base:
        assert await failure(base, deadline_s=0.05) == f"{base}: no answer in time"


async def test_a_body_that_stalls_is_given_up_at_the_deadline() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        await reader.read()
        await reader.read()

    async with raw_host(handler) as base:
        assert await failure(base, deadline_s=0.2) == f"{base}: no answer in time"


async def test_the_deadline_of_one_call_comes_before_the_clients() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw_host(handler) as base, HttpClient(deadline_s=600) as client:
        with pytest.raises(Unavailable, match="no answer in time"):
            await client.request(base, deadline_s=0.05)


async def test_a_host_that_hangs_up_is_named() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with raw_host(handler) as base:
        assert await failure(base) == f"{base}: connection closed before the answer"


async def test_a_body_that_is_cut_off_is_named() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        await writer.drain()

    async with raw_host(handler) as base:
        assert await failure(base) == f"{base}: the answer was cut off"


async def test_a_host_that_speaks_no_http_is_named() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")
        await writer.drain()

    async with raw_host(handler) as base:
        assert await failure(base) == f"{base}: the answer is not HTTP"


async def test_a_host_that_speaks_no_tls_is_named() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with raw_host(handler) as base:
        said = await failure(base.replace("http:", "https:"))
    assert said.partition(": ")[2].startswith("TLS failed")


def certificate_error() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (certificate_error(), "TLS failed, certificate not accepted: self-signed certificate"),
        (ssl.SSLError(1, "broken"), "TLS failed: "),
        (ConnectionResetError(104, "x"), "connection reset"),
        (OSError(113, "No route to host"), "No route to host"),
        (OSError("Multiple exceptions: [Errno 111] Connect call failed"), "connection refused"),
        (OSError(), "OSError"),
        (ValueError(), "ValueError"),
        (ValueError("a" * 300 + "\nb"), "a" * 119 + "…"),
    ],
)
def test_an_error_of_the_network_is_told_in_words(error: Exception, words: str) -> None:
    said = cause(error)
    assert said.startswith(words)
    assert "\n" not in said


def test_what_follows_the_host_in_a_url_is_not_told() -> None:
    said = unreachable("https://user:secret@x.test:8443/key?signature=s", TimeoutError())
    assert str(said) == "https://x.test:8443: no answer in time"


async def test_a_client_that_is_not_open_says_so() -> None:
    with pytest.raises(Unavailable, match="not open"):
        await HttpClient().request("http://127.0.0.1:1/")
