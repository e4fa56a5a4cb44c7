"""Whether a venue can be reached, tells the time, lists what is wanted, and takes our key."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from hftmm.core.errors import MalformedFrame, Unavailable
from hftmm.core.instrument import Listing, kind_of
from hftmm.transport.check_account import Account, AccountCheck, Finding
from hftmm.transport.http import HttpClient, HttpReply
from hftmm.transport.websocket import StreamConnection
from hftmm.venues.codec import MILLISECOND, Hosts, Request, VenueCodec

CLOCK_SAMPLES: Final = 3
CLOCK_WARNING_MS: Final = 1_000.0
"""Venues refuse requests stamped this far ahead of their own time."""
PAGES: Final = 50
GOODBYE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Venue:
    """A venue to look at, and where it is.

    Attributes:
        account: what we have there; None to look at nothing but the market.
    """

    codec: VenueCodec
    hosts: Hosts
    account: Account | None = None


async def check(venue: Venue, symbols: Sequence[str]) -> AsyncIterator[Finding]:
    """One line for each thing looked at, and whether it is fine.

    Args:
        symbols: markets that should be listed there.
    """
    routes = dict(venue.codec.endpoints(venue.hosts))
    async with HttpClient() as http:
        try:
            offset_ns, trip_ns = await _clock(venue, http)
            yield _told_time(offset_ns, trip_ns)
            listed = await _listed(venue, http, symbols)
        except (Unavailable, MalformedFrame) as error:
            yield str(error), False
        else:
            wanted = [listed[symbol] for symbol in symbols if symbol in listed]
            for symbol in symbols:
                yield _state(symbol, listed.get(symbol))
            if venue.account is not None:
                account = AccountCheck(
                    venue.account,
                    venue.hosts,
                    http,
                    lambda: (time.time_ns() + offset_ns) // MILLISECOND,
                    venue.codec.decode_error,
                )
                async for finding in account.findings(symbols, wanted):
                    yield finding
    if venue.account is not None:
        kinds = frozenset(map(kind_of, symbols))
        routes |= venue.account.codec.private_endpoints(venue.hosts, kinds)
    for route, url in routes.items():
        # A stream that opens by a key of its own is at the host of the public ones.
        if not route.endswith("rest") and "{key}" not in url:
            yield await _stream(route, url)


async def _clock(venue: Venue, http: HttpClient) -> tuple[int, int]:
    """The venue's clock less ours, and the round trip by which it was measured, ns.

    Raises:
        Unavailable, MalformedFrame: see `_get`, and the codec.
    """
    samples = []
    for _ in range(CLOCK_SAMPLES):
        reply = await _get(venue, http, venue.codec.clock())
        trip_ns = reply.received_ns - reply.sent_ns
        offset_ns = venue.codec.decode_clock(reply.body) - (reply.sent_ns + trip_ns // 2)
        samples.append((trip_ns, offset_ns))
    # The sample with the shortest round trip has the least room for error.
    trip_ns, offset_ns = min(samples)
    return offset_ns, trip_ns


def _told_time(offset_ns: int, trip_ns: int) -> Finding:
    offset_ms, trip_ms = offset_ns / MILLISECOND, trip_ns / MILLISECOND
    good = abs(offset_ms) < CLOCK_WARNING_MS
    advice = "" if good else "; set this machine's clock (NTP): the venue would refuse orders"
    return f"clock offset {offset_ms:+.1f} ms, round trip {trip_ms:.1f} ms{advice}", good


def _state(symbol: str, listing: Listing | None) -> Finding:
    if listing is None:
        return f"{symbol} is not listed: take it out of markets.symbols", False
    return f"{symbol} is {listing.status}", listing.status == "live"


async def _listed(venue: Venue, http: HttpClient, symbols: Sequence[str]) -> dict[str, Listing]:
    """All instruments of the kinds wanted, by symbol.

    Raises:
        Unavailable, MalformedFrame: see `_get`, and the codec.
    """
    listed: dict[str, Listing] = {}
    for first in venue.codec.instruments(frozenset(map(kind_of, symbols))):
        request: Request | None = first
        for _ in range(PAGES):
            if request is None:
                break
            body = (await _get(venue, http, request)).body
            answer = venue.codec.decode_instruments(request, body)
            listed |= {listing.symbol: listing for listing in answer.listings}
            request = answer.more
    return listed


async def _get(venue: Venue, http: HttpClient, request: Request) -> HttpReply:
    """
    Raises:
        Unavailable: not reached, or refused; the venue's own words say why.
    """
    url = venue.codec.endpoints(venue.hosts)[request.route] + request.path
    reply = await http.request(url, method=request.method, headers=dict(request.headers))
    if reply.status != 200:
        raise Unavailable(venue.codec.decode_error(reply.status, reply.body))
    return reply


async def _stream(route: str, url: str) -> Finding:
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
