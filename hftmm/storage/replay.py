"""Runs recorded frames through the real decoders, books, NBBO and detection."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeAlias

from hftmm.book.order_book import ASKS, BIDS, OrderBook, SideIndex
from hftmm.config import Config
from hftmm.core.errors import CaptureError, MalformedFrame, OffGrid
from hftmm.core.instrument import Listing
from hftmm.engine import publisher
from hftmm.engine.engine import Engine
from hftmm.storage.captures import CapturedFrame, read
from hftmm.venues import registry
from hftmm.venues.codec import Addressed, Feed, FeedKind, Request, VenueCodec

NEVER_STALE_MS: Final = 10**12
"""A recording has no clock offset and may be of a quiet market: nothing in it is stale."""


@dataclass(slots=True)
class _Stream:
    """What a first look at the recording told of one stream."""

    feed: Feed
    has_snapshot: bool = False


@dataclass(slots=True)
class Contents:
    """What is in a recording.

    Attributes:
        frames: in the order recorded.
        streams: by (venue, route, what the venue's cut finds in their frames).
        definitions: by (venue, family of the route, the venue's symbol).
    """

    frames: list[CapturedFrame] = field(default_factory=list)
    streams: dict[tuple[str, str, bytes], _Stream] = field(default_factory=dict)
    definitions: dict[tuple[str, str, str], Listing] = field(default_factory=dict)


def family(route: str) -> str:
    """Namespace of a route's symbols: `spot`, `linear`, or "" where one route has them all."""
    head, _, tail = route.partition(".")
    return head if tail else ""


class Survey:
    """The first pass over a recording: which instruments and streams it has, on which grids."""

    def __init__(self, config: Config) -> None:
        self._codecs: dict[str, VenueCodec] = {
            name: registry.codec(name, config, config.venues[name]) for name in config.venues
        }

    def look(self, frames: Iterable[CapturedFrame]) -> Contents:
        """Reads it all, and tells.

        Of several depth streams of one instrument (Bybit's depths, Binance's speeds) the first in
        the recording makes its book: each has ids of its own, and mixed they make none.

        Raises:
            CaptureError: instrument definitions in it cannot be read.
        """
        contents = Contents(list(frames))
        grids = _Grids(contents.definitions, self._codecs)
        books = self._look_at_rest(contents)
        # A refusal is recorded like any answer, and is no snapshot.
        snapshots = {
            _instrument(frame, request.listing)
            for frame, request, body in books
            if grids.fit_book(frame, request.listing, body)
        }
        topics: dict[tuple[str, str, bytes], tuple[FeedKind, str, str] | None] = {}
        with_snapshot: set[tuple[str, str, bytes]] = set()
        for frame in contents.frames:
            if frame.is_rest:
                continue
            codec = self._codecs[frame.venue]
            key = (frame.venue, frame.route, _cut(codec, frame.body))
            if key not in topics:
                topics[key] = self._identify(codec, frame)
            known = topics[key]
            if known is None or known[0] is not FeedKind.DEPTH:
                continue
            is_snapshot = b'"snapshot"' in frame.body
            if is_snapshot:
                with_snapshot.add(key)
            grids.fit_frame(frame, known, is_snapshot)
        with_book: set[_Instrument] = set()
        for (venue, route, cut), known in topics.items():
            if known is None:
                continue
            kind, venue_symbol, topic = known
            instrument = (venue, family(route), venue_symbol)
            if kind is FeedKind.DEPTH:
                if instrument in with_book:
                    continue
                with_book.add(instrument)
            stream = _Stream(Feed(kind, route, topic, cut, grids.listing(instrument, route)))
            stream.has_snapshot = (venue, route, cut) in with_snapshot or instrument in snapshots
            contents.streams[venue, route, cut] = stream
        return contents

    def _look_at_rest(self, contents: Contents) -> list[tuple[CapturedFrame, Request, bytes]]:
        """Notes the definitions among the REST answers; returns those about books.

        A request that was refused at first has another answer later on.
        """
        books = []
        read: set[tuple[str, str]] = set()
        unread: dict[tuple[str, str], CaptureError] = {}
        for frame in contents.frames:
            if not frame.is_rest:
                continue
            url, body = frame.rest()
            request = self._codecs[frame.venue].recognise(frame.route, url)
            if request is not None and request.purpose == "book":
                books.append((frame, request, body))
            elif request is not None:
                try:
                    self._define(frame, request, body, contents)
                    read.add((frame.venue, url))
                except CaptureError as error:
                    unread[frame.venue, url] = error
        for asked, refusal in unread.items():
            if asked not in read:
                raise refusal
        return books

    def _define(
        self, frame: CapturedFrame, request: Request, body: bytes, contents: Contents
    ) -> None:
        try:
            listings = self._codecs[frame.venue].decode_instruments(request, body).listings
        except MalformedFrame as error:
            text = f"{request.path}: instrument definitions cannot be read: {error}"
            raise CaptureError(text) from error
        for listing in listings:
            place = family(frame.route)
            if place == "" and listing.venue != "okx":
                place = "spot" if listing.kind.value == "spot" else "linear"
            contents.definitions[frame.venue, place, listing.venue_symbol] = listing

    @staticmethod
    def _identify(codec: VenueCodec, frame: CapturedFrame) -> tuple[FeedKind, str, str] | None:
        try:
            envelope = codec.decode_envelope(frame.route, frame.body)
        except MalformedFrame:
            return None
        if not isinstance(envelope, Addressed):
            return None
        found = codec.identify(frame.route, envelope.topic)
        return None if found is None else (*found, envelope.topic)


_Instrument: TypeAlias = tuple[str, str, str]
"""(venue, family of the route, the venue's symbol)"""


class _Grids:
    """The grid every instrument needs, so that no book has to change its own while it is played.

    That of a defined instrument is its tick, unless a snapshot holds orders from before the venue
    made it coarser; that of an undefined one is read off all its depth frames.
    """

    def __init__(
        self, definitions: dict[_Instrument, Listing], codecs: dict[str, VenueCodec]
    ) -> None:
        self._definitions = definitions
        self._undefined: set[_Instrument] = set()
        self._codecs = codecs

    def fit_book(self, frame: CapturedFrame, venue_symbol: str, body: bytes) -> bool:
        """A REST snapshot; False if it is none."""
        codec = self._codecs[frame.venue]
        return self._fit(
            _instrument(frame, venue_symbol),
            frame.route,
            lambda listing: codec.decode_book(listing, body, frame.received_ns),
        )

    def fit_frame(
        self, frame: CapturedFrame, known: tuple[FeedKind, str, str], is_snapshot: bool
    ) -> None:
        """A depth frame."""
        kind, venue_symbol, topic = known
        instrument = _instrument(frame, venue_symbol)
        if is_snapshot or instrument in self._undefined or instrument not in self._definitions:
            codec = self._codecs[frame.venue]
            self._fit(
                instrument,
                frame.route,
                lambda listing: codec.decode_market(
                    Feed(kind, frame.route, topic, b"", listing), frame.body, frame.received_ns
                ),
            )

    def listing(self, instrument: _Instrument, route: str) -> Listing:
        """The instrument on its grid, inferred where it has no definition."""
        venue, _, venue_symbol = instrument
        known = self._definitions.get(instrument)
        if known is None or instrument in self._undefined:
            decimals = 0 if known is None else known.decimals
            known = self._codecs[venue].infer(route, venue_symbol, decimals)
            self._definitions[instrument] = known
            self._undefined.discard(instrument)
        return known

    def _fit(
        self, instrument: _Instrument, route: str, decode: Callable[[Listing], object]
    ) -> bool:
        venue, _, venue_symbol = instrument
        listing = self._definitions.get(instrument)
        if listing is None:
            self._undefined.add(instrument)
            listing = self._codecs[venue].infer(route, venue_symbol, 0)
        self._definitions.setdefault(instrument, listing)
        while True:
            try:
                decode(listing)
            except OffGrid as error:
                listing = replace(listing, grid=error.decimals)
            except MalformedFrame:
                # A damaged frame says nothing about the grid; it is met again when it is played.
                return False
            else:
                self._definitions[instrument] = listing
                return True


def _instrument(frame: CapturedFrame, venue_symbol: str) -> _Instrument:
    return frame.venue, family(frame.route), venue_symbol


def _cut(codec: VenueCodec, frame: bytes) -> bytes:
    start = codec.cut.start
    return frame[start : frame.find(codec.cut.stop, start)]


class Replay:
    """A recording on its way through an engine.

    Attributes:
        engine: as it stands after the frames played so far.
        cpu_ns: process CPU time spent on them.
        links: number of the session's link for each venue and route.
    """

    def __init__(self, config: Config, paths: Iterable[Path]) -> None:
        """
        Raises:
            CaptureError: a file cannot be read.
        """
        contents = Survey(config).look(_all(paths, tuple(config.venues)))
        self.contents = contents
        listings = {stream.feed.listing.symbol: None for stream in contents.streams.values()}
        if not listings:
            raise CaptureError("nothing in the capture is a market data stream that hftmm knows")
        played = dict.fromkeys(frame.venue for frame in contents.frames)
        config = replace(
            config,
            engine=replace(config.engine, mode="replay"),
            markets=replace(config.markets, symbols=tuple(listings)),
            venues={
                name: replace(own, max_age_ms=NEVER_STALE_MS, max_lag_ms=NEVER_STALE_MS)
                for name, own in config.venues.items()
                if name in played
            },
        )
        codecs = {name: registry.codec(name, config, own) for name, own in config.venues.items()}
        hosts = {name: codec.hosts("live") for name, codec in codecs.items()}
        self.engine = Engine(config, codecs, hosts, lambda: 0.0)
        self.frames = 0
        self.cpu_ns = 0
        self._codecs = codecs
        self.links: dict[str, dict[str, int]] = {}
        started_ns = contents.frames[0].received_ns
        for venue, session in self.engine.exchanges.sessions.items():
            routes: dict[str, list[Feed]] = {}
            for (of, route, _), stream in contents.streams.items():
                if of == venue:
                    routes.setdefault(route, []).append(stream.feed)
            self.links[venue] = {
                route: session.adopt(feeds, started_ns) for route, feeds in routes.items()
            }
        for stream in contents.streams.values():
            feed = stream.feed
            if feed.kind is FeedKind.DEPTH and not stream.has_snapshot:
                depths = self.engine.exchanges.sessions[feed.listing.venue].depths
                depths[feed.listing.key].sync.from_delta = True

    def play(self) -> None:
        """All of it, as fast as it goes."""
        for frame in self.contents.frames:
            self.step(frame)

    def step(self, frame: CapturedFrame) -> None:
        """One frame."""
        engine = self.engine
        session = engine.exchanges.sessions[frame.venue]
        now_ns = frame.received_ns
        rest = self._rest(frame) if frame.is_rest else None
        begun_ns = time.process_time_ns()
        if rest is not None:
            session.responded(*rest, now_ns)
        elif not frame.is_rest:
            link = self.links[frame.venue].get(frame.route)
            if link is not None:
                session.received(link, frame.body, now_ns)
        engine.settle(now_ns)
        engine.review(now_ns)
        self.cpu_ns += time.process_time_ns() - begun_ns
        self.frames += 1
        # What the session would now ask of the venue, the recording answers or nobody does.
        session.outbox.clear()

    def report(self, depth: int) -> dict[str, object]:
        """What became of it, as `hftmm replay --json` prints it.

        Args:
            depth: levels a side to list.
        """
        engine = self.engine
        now_ns = self.contents.frames[-1].received_ns
        status = publisher.status(engine, now_ns)
        markets = status["markets"]
        assert isinstance(markets, dict)
        return {
            "frames": self.frames,
            "us_per_frame": self.cpu_ns / max(1, self.frames) / 1000.0,
            "books": [
                self._book(route, stream, depth)
                for (_, route, _), stream in self.contents.streams.items()
                if stream.feed.kind is FeedKind.DEPTH
            ],
            "nbbo": {symbol: market["nbbo"] for symbol, market in markets.items()},
            "opportunities": status["opportunities"],
        }

    def _book(self, route: str, stream: _Stream, depth: int) -> dict[str, object]:
        listing = stream.feed.listing
        feed = self.engine.exchanges.sessions[listing.venue].depths[listing.key]
        sync, book = feed.sync, feed.book
        return {
            "venue": listing.venue,
            "route": route,
            "venue_symbol": listing.venue_symbol,
            "symbol": listing.symbol,
            "snapshots": sync.snapshots,
            "deltas": sync.deltas + feed.fast,
            "skipped": sync.skipped,
            "gaps": sync.gaps,
            "resyncs": sync.resyncs,
            "checksums_verified": sync.verified,
            "checksum_failures": sync.mismatched,
            "crossed": sync.crossed,
            "levels": [book.count(BIDS), book.count(ASKS)],
            "bids": _levels(book, BIDS, depth),
            "asks": _levels(book, ASKS, depth),
            "seeded": sync.seeded,
            "inferred": listing.inferred,
            "valid": book.valid,
        }

    def _rest(self, frame: CapturedFrame) -> tuple[Request, int, bytes] | None:
        codec = self._codecs[frame.venue]
        url, body = frame.rest()
        request = codec.recognise(frame.route, url)
        if request is None or request.purpose != "book":
            return None
        listing = self.contents.definitions.get((frame.venue, family(frame.route), request.listing))
        if listing is None:
            return None
        return Request(request.route, request.path, "book", 0, listing.key), 200, body


def _levels(book: OrderBook, side: SideIndex, depth: int) -> list[tuple[float, float]]:
    ticks, sizes = book.levels(side, depth)
    prices = ticks / 10**book.listing.decimals
    return list(zip(prices.tolist(), sizes.tolist(), strict=True))


def _all(paths: Iterable[Path], venues: tuple[str, ...]) -> Iterator[CapturedFrame]:
    """The frames of several captures in the order they were received."""
    captures = [list(read(path, venues)) for path in paths]
    if len(captures) == 1:
        yield from captures[0]
        return
    yield from sorted(
        (frame for capture in captures for frame in capture),
        key=lambda frame: frame.received_ns,
    )
