"""Whether each venue can be reached, tells the time, and lists what is wanted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Final

from hftmm.core.errors import MalformedFrame, Unavailable
from hftmm.core.instrument import Kind
from hftmm.engine.engine import Engine
from hftmm.transport.http import HttpClient, HttpReply
from hftmm.transport.websocket import StreamConnection
from hftmm.venues.codec import Request
from hftmm.venues.session import VenueSession

CLOCK_SAMPLES: Final = 3
CLOCK_WARNING_MS: Final = 1_000.0
"""Venues refuse requests stamped this far ahead of their own time."""
PAGES: Final = 50


async def check_venues(engine: Engine) -> AsyncIterator[tuple[str, bool]]:
    """One line for each thing looked at, and whether it is fine."""
    async with HttpClient() as http:
        for session in engine.exchanges:
            async for text, good in _check(session, http, engine.config.markets.symbols):
                yield f"{session.venue}: {text}", good


async def _check(
    session: VenueSession, http: HttpClient, symbols: tuple[str, ...]
) -> AsyncIterator[tuple[str, bool]]:
    codec = session.codec
    try:
        yield await _clock(session, http)
        listed: dict[str, str] = {}
        kinds = frozenset(Kind.LINEAR if ":" in symbol else Kind.SPOT for symbol in symbols)
        for request in codec.instruments(kinds):
            page: Request | None = request
            for _ in range(PAGES):
                if page is None:
                    break
                answer = codec.decode_instruments(page, (await _get(session, http, page)).body)
                listed |= {listing.symbol: listing.status for listing in answer.listings}
                page = answer.more
        for symbol in symbols:
            state = listed.get(symbol)
            if state is None:
                yield f"{symbol} is not listed: take it out of markets.symbols", False
            else:
                yield f"{symbol} is {state}", state == "live"
    except (Unavailable, MalformedFrame) as error:
        yield str(error), False
    for route, url in codec.endpoints(session.hosts).items():
        if not route.endswith("rest"):
            yield await _stream(route, url)


async def _clock(session: VenueSession, http: HttpClient) -> tuple[str, bool]:
    best = (float("inf"), 0.0)
    for _ in range(CLOCK_SAMPLES):
        before_ns = time.time_ns()
        reply = await _get(session, http, session.codec.clock())
        after_ns = time.time_ns()
        offset_ns = session.codec.decode_clock(reply.body) - (before_ns + after_ns) / 2
        best = min(best, ((after_ns - before_ns) / 1e6, offset_ns / 1e6))
    trip_ms, offset_ms = best
    good = abs(offset_ms) < CLOCK_WARNING_MS
    advice = "" if good else "; set this machine's clock (NTP): the venue would refuse orders"
    return f"clock offset {offset_ms:+.1f} ms, round trip {trip_ms:.1f} ms{advice}", good


async def _get(session: VenueSession, http: HttpClient, request: Request) -> HttpReply:
    """
    Raises:
        Unavailable: not reached, or refused; the venue's own words say why.
    """
    url = session.base_url(request.route) + request.path
    reply = await http.request(url, method=request.method)
    if reply.status != 200:
        raise Unavailable(session.codec.decode_error(reply.status, reply.body))
    return reply


async def _stream(route: str, url: str) -> tuple[str, bool]:
    closed = asyncio.Event()
    try:
        connection = await StreamConnection.connect(url, lambda *_: None, lambda _: closed.set())
    except Unavailable as error:
        return f"{route}: {error}", False
    connection.close()
    await closed.wait()
    return f"{route} stream answers", True
