"""Whether a venue can be reached, tells the time, and lists what is wanted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from hftmm.core.errors import MalformedFrame, Unavailable
from hftmm.core.instrument import Kind
from hftmm.transport.http import HttpClient, HttpReply
from hftmm.transport.websocket import StreamConnection
from hftmm.venues.codec import Hosts, Request, VenueCodec

CLOCK_SAMPLES: Final = 3
CLOCK_WARNING_MS: Final = 1_000.0
"""Venues refuse requests stamped this far ahead of their own time."""
PAGES: Final = 50
GOODBYE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Venue:
    """A venue to look at, and where it is."""

    codec: VenueCodec
    hosts: Hosts


async def check(venue: Venue, symbols: Sequence[str]) -> AsyncIterator[tuple[str, bool]]:
    """One line for each thing looked at, and whether it is fine.

    Args:
        symbols: markets that should be listed there.
    """
    codec = venue.codec
    async with HttpClient() as http:
        try:
            yield await _clock(venue, http)
            listed = await _listed(venue, http, symbols)
        except (Unavailable, MalformedFrame) as error:
            yield str(error), False
        else:
            for symbol in symbols:
                state = listed.get(symbol)
                if state is None:
                    yield f"{symbol} is not listed: take it out of markets.symbols", False
                else:
                    yield f"{symbol} is {state}", state == "live"
    for route, url in codec.endpoints(venue.hosts).items():
        if not route.endswith("rest"):
            yield await _stream(route, url)


async def _clock(venue: Venue, http: HttpClient) -> tuple[str, bool]:
    """
    Raises:
        Unavailable, MalformedFrame: see `_get`, and the codec.
    """
    best = (float("inf"), 0.0)
    for _ in range(CLOCK_SAMPLES):
        reply = await _get(venue, http, venue.codec.clock())
        trip_ns = reply.received_ns - reply.sent_ns
        offset_ns = venue.codec.decode_clock(reply.body) - (reply.sent_ns + trip_ns / 2)
        # The sample with the shortest round trip has the least room for error.
        best = min(best, (trip_ns / 1e6, offset_ns / 1e6))
    trip_ms, offset_ms = best
    good = abs(offset_ms) < CLOCK_WARNING_MS
    advice = "" if good else "; set this machine's clock (NTP): the venue would refuse orders"
    return f"clock offset {offset_ms:+.1f} ms, round trip {trip_ms:.1f} ms{advice}", good


async def _listed(venue: Venue, http: HttpClient, symbols: Sequence[str]) -> dict[str, str]:
    """Symbols of all instruments of the kinds wanted, and their state.

    Raises:
        Unavailable, MalformedFrame: see `_get`, and the codec.
    """
    listed: dict[str, str] = {}
    kinds = frozenset(Kind.LINEAR if ":" in symbol else Kind.SPOT for symbol in symbols)
    for first in venue.codec.instruments(kinds):
        request: Request | None = first
        for _ in range(PAGES):
            if request is None:
                break
            body = (await _get(venue, http, request)).body
            answer = venue.codec.decode_instruments(request, body)
            listed |= {listing.symbol: listing.status for listing in answer.listings}
            request = answer.more
    return listed


async def _get(venue: Venue, http: HttpClient, request: Request) -> HttpReply:
    """
    Raises:
        Unavailable: not reached, or refused; the venue's own words say why.
    """
    url = venue.codec.endpoints(venue.hosts)[request.route] + request.path
    reply = await http.request(url, method=request.method)
    if reply.status != 200:
        raise Unavailable(venue.codec.decode_error(reply.status, reply.body))
    return reply


async def _stream(route: str, url: str) -> tuple[str, bool]:
    closed = asyncio.Event()
    begun_s = time.monotonic()
    try:
        connection = await StreamConnection.connect(url, lambda *_: None, lambda _: closed.set())
    except Unavailable as error:
        return f"{route}: {error}", False
    took_ms = (time.monotonic() - begun_s) * 1000.0
    connection.close()
    with suppress(TimeoutError):
        async with asyncio.timeout(GOODBYE_S):
            await closed.wait()
    return f"{route} stream answers in {took_ms:.0f} ms", True
