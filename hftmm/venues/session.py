"""The state machine of one venue: everything between a socket and a book, without the socket.

A driver feeds it what happens (`connected`, `received`, `responded`, `lost`, and `tick` as time
passes) and carries out what gathers in `outbox`. What the market does goes to the `MarketSink` in
the same call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from hftmm.core.errors import MalformedFrame, OffGrid
from hftmm.core.events import Acknowledged, Farewell, Pong, Refusal
from hftmm.core.instrument import Kind, Listing
from hftmm.venues.books import Books
from hftmm.venues.catalogue import Catalogue
from hftmm.venues.clock import VenueClock
from hftmm.venues.codec import (
    MILLISECOND,
    SECOND,
    Addressed,
    Feed,
    FeedKind,
    Hosts,
    Request,
    VenueCodec,
)
from hftmm.venues.depth import DepthFeed, Overlap
from hftmm.venues.effects import (
    Connect,
    Disconnect,
    Fetch,
    MarketSink,
    Note,
    Outlet,
    Output,
    Policy,
    Send,
)
from hftmm.venues.link import Link, Target
from hftmm.venues.market_feed import MarketFeed
from hftmm.venues.routes import Role, Routes

__all__ = [
    "Connect",
    "Disconnect",
    "Fetch",
    "MarketSink",
    "Note",
    "Output",
    "Policy",
    "Send",
    "VenueSession",
]

RETRY_NS: Final = 250 * MILLISECOND
PAUSE_NS: Final = 10 * SECOND
"""How long a venue is left alone that refuses requests for their number and does not say so."""
LAG_CHECK_NS: Final = 100 * MILLISECOND
ODD_LAG_NS: Final = 400 * MILLISECOND
EARLY_NS: Final = 50 * MILLISECOND
"""Stamps later than their arrival by more, or earlier by more than ODD_LAG, question the clock."""
FRAME_HEAD: Final = 120
_TOO_MANY: Final = (403, 418, 429)


class VenueSession:
    """One venue's connections, subscriptions and books.

    Attributes:
        outbox: what the driver must do next, in order; it empties the list as it goes.
        depths: depth feeds by listing key.
        frames, malformed: counts since the start; malformed by kind.
        unlisted: why the definitions asked for last could not be had, one line; "" if they could.
    """

    def __init__(
        self,
        codec: VenueCodec,
        hosts: Hosts,
        symbols: Iterable[str],
        sink: MarketSink,
        jitter: Callable[[], float],
        policy: Policy | None = None,
    ) -> None:
        """
        Args:
            symbols: markets wanted, as the ecosystem writes them.
            jitter: uniform in [0, 1).
        """
        self.codec = codec
        self.venue = codec.venue
        self.policy = policy or Policy()
        self.frames = 0
        self.malformed: Counter[str] = Counter()
        self.unlisted = ""
        self._jitter = jitter
        self._urls = dict(codec.endpoints(hosts))
        outlet = self._outlet = Outlet(codec.venue, sink)
        self.outbox: Final[list[Output]] = outlet.outbox
        self._clock = VenueClock()
        self._catalogue = Catalogue(codec, symbols, outlet)
        self._routes = Routes(codec, self._urls, self, outlet, jitter, self.policy)
        self._books = Books(codec, self._routes, outlet, jitter, self.policy)
        self.depths: Final = self._books.depths
        self._links: Final = self._routes.links
        self._cut_start = codec.cut.start
        self._cut_stop = codec.cut.stop
        self._rest_pause_ns = 0
        self._lag_check_ns = 0
        self._refused: set[str] = set()

    # ---- what the driver reports ------------------------------------------------------------

    def start(self, now_ns: int) -> None:
        """Asks for the time and the instruments; connections follow when they are known."""
        self.tick(now_ns)

    def connected(self, link: int, now_ns: int) -> None:
        """The handshake of a connection is done."""
        self._routes.connected(link, now_ns)

    def received(self, link: int, frame: bytes, now_ns: int) -> None:
        """A frame arrived."""
        source = self._links.get(link)
        if source is None:
            return
        source.heard_ns = now_ns
        source.frames += 1
        self.frames += 1
        start = self._cut_start
        target = source.targets.get(frame[start : frame.find(self._cut_stop, start)])
        try:
            if target is None:
                target = self._addressed(source, frame, now_ns)
                if target is None:
                    return
            flags = target.received(frame, now_ns)
        except MalformedFrame as error:
            self._malformed(source, target, frame, error, now_ns)
            return
        depth = target.depth
        if flags and depth is not None:
            self._books.moved(depth, flags, now_ns)

    def responded(self, request: Request, status: int, body: bytes, now_ns: int) -> None:
        """A REST request was answered; status 0 if it failed, with the reason as body."""
        if status != 200:
            said = self.codec.decode_error(status, body) if status else body.decode("latin-1")
            self._outlet.note("warning", f"rest {request.purpose}", said, now_ns)
            if request.purpose == "instruments":
                self.unlisted = said
            if status in _TOO_MANY and now_ns >= self._rest_pause_ns:
                self._rest_pause_ns = now_ns + PAUSE_NS
            self._retry(request, now_ns)
            return
        try:
            if request.purpose == "book":
                self._book_answered(request, body, now_ns)
            elif request.purpose == "instruments":
                self._instruments_answered(request, body, now_ns)
        except MalformedFrame as error:
            self.malformed[error.kind] += 1
            self._outlet.note("warning", f"rest {request.purpose}", str(error), now_ns)
            self._retry(request, now_ns)

    def clock_answered(self, body: bytes, sent_ns: int, received_ns: int) -> None:
        """The venue told its time; `sent_ns` and `received_ns` are ours around the request."""
        try:
            self._clock.answered(self.codec.decode_clock(body), sent_ns, received_ns)
        except MalformedFrame as error:
            self.malformed[error.kind] += 1

    def lost(self, link: int, reason: str, now_ns: int) -> None:
        """A connection could not be opened, or is gone."""
        self._routes.lost(link, reason, now_ns)

    def pause(self, seconds: float, now_ns: int) -> None:
        """The venue asked for no requests for so long (Retry-After)."""
        self._rest_pause_ns = max(self._rest_pause_ns, now_ns + int(seconds * SECOND))

    def tick(self, now_ns: int) -> None:
        """Does what is due; call it every few milliseconds."""
        rest_allowed = now_ns >= self._rest_pause_ns
        if rest_allowed:
            if now_ns >= self._clock.due_ns:
                self._clock.asked(now_ns)
                self.outbox.append(Fetch(self.codec.clock()))
            self._catalogue.tick(now_ns)
        self._routes.tick(now_ns)
        self._books.tick(now_ns, rest_allowed)
        if now_ns - self._lag_check_ns >= LAG_CHECK_NS:
            self._lag_check_ns = now_ns
            self._check_lags(now_ns)

    # ---- what others ask --------------------------------------------------------------------

    @property
    def defined(self) -> bool:
        """The venue has answered for every definition that was asked for."""
        return self._catalogue.defined

    @property
    def tradable(self) -> dict[tuple[Kind, str], Listing]:
        """The wanted listings by kind and venue symbol, kept up to date."""
        return self._catalogue.tradable

    @property
    def clock(self) -> VenueClock:
        """The venue's clock as measured here, for whoever signs by it."""
        return self._clock

    @property
    def clock_offset_ns(self) -> int | None:
        """The venue's clock less ours, None before the first answer."""
        return self._clock.offset_ns

    @property
    def connected_once(self) -> bool:
        """A stream has been open at some time."""
        return self._routes.connected_once

    @property
    def reconnects(self) -> int:
        """Connections lost or not made, since the start."""
        return self._routes.reconnects

    @property
    def state_reason(self) -> str:
        """What is missing for the session to be whole, one line; "" if nothing is."""
        if not self._routes.routes:
            return self.unlisted or "waiting for the instruments"
        return self._routes.missing

    def base_url(self, route: str) -> str:
        """Where the requests of a REST route go."""
        return self._urls[route]

    def replace(self, route: str, reason: str) -> None:
        """Opens a second connection of a route and, once it delivers, drops the first."""
        self._routes.leave(route, reason)

    def adopt(self, feeds: Iterable[Feed], now_ns: int) -> int:
        """Takes feeds nobody subscribed to, as a recording has them, on a link of their own.

        Returns:
            The number under which their frames are to be passed to `received`.
        """
        feeds = list(feeds)
        for feed in feeds:
            self._catalogue.listings[feed.listing.symbol] = feed.listing
            if feed.kind is FeedKind.DEPTH:
                self._books.open(feed, now_ns)
        return self._routes.adopt(feeds, now_ns)

    # ---- what the connections ask -----------------------------------------------------------

    def target(self, feed: Feed, role: Role) -> Target:
        """Who takes the frames of a feed on a connection."""
        if feed.kind is FeedKind.DEPTH:
            depth = self.depths[feed.listing.key]
            return depth if role is Role.ALONE else Overlap(depth, role is Role.LEADING)
        muted = role is Role.FOLLOWING and feed.kind is FeedKind.TRADES
        return MarketFeed(feed, self.codec, self.depths, self._outlet.sink, muted)

    def cut_off(self, feed: Feed, reason: str, now_ns: int) -> None:
        """Nobody delivers this feed any more."""
        if feed.kind is FeedKind.DEPTH:
            self._books.lose(self.depths[feed.listing.key], reason, now_ns, stream_ended=True)

    def taken_over(self, feed: Feed, now_ns: int) -> None:
        """A feed goes on over a connection that was subscribed to it before."""
        if feed.kind is FeedKind.DEPTH:
            # A snapshot that came while this connection was not yet the one in use was not taken.
            self._books.get_back(self.depths[feed.listing.key], now_ns)

    # ---- frames -----------------------------------------------------------------------------

    def _addressed(self, source: Link, frame: bytes, now_ns: int) -> Target | None:
        """Whose a frame is that names no feed of ours where market frames do."""
        envelope = self.codec.decode_envelope(source.route, frame)
        match envelope:
            case Acknowledged(request_id, topic):
                source.confirmed(request_id, topic)
            case Refusal():
                self._told_no(source, envelope, now_ns)
            case Farewell(reason):
                self.replace(source.route, reason)
            case Addressed(topic):
                feed = source.feeds.get(topic)
                return None if feed is None else source.targets[feed.key]
            case Pong() | None:
                pass
        return None

    def _told_no(self, source: Link, refusal: Refusal, now_ns: int) -> None:
        """Notes what is given up, once; the rest of the request is asked for by itself."""
        topics = [feed.topic for feed in source.refused(refusal.request_id, refusal.topic)]
        what = ", ".join(topics) or refusal.topic or f"request {refusal.request_id}"
        said = f"{what} refused: {refusal.code} {refusal.message}".strip()
        if what not in self._refused and (topics or not source.asking(refusal.request_id)):
            self._refused.add(what)
            self._outlet.note("error", "refused", said, now_ns)

    def _malformed(
        self, source: Link, target: Target | None, frame: bytes, error: MalformedFrame, now_ns: int
    ) -> None:
        depth = None if target is None else target.depth
        if isinstance(error, OffGrid) and depth is not None and self._refine(depth, error, now_ns):
            source.frames -= 1
            self.frames -= 1
            self.received(source.number, frame, now_ns)
            return
        self.malformed[error.kind] += 1
        if self.malformed[error.kind] == 1:
            head = frame[:FRAME_HEAD].decode("latin-1")
            text = f"{source.route}: {error} in {head!r}"
            self._outlet.note("warning", "malformed frame", text, now_ns)
        if isinstance(target, Overlap) and not target.leading:
            # The connection in use goes on; this one does not take over before it is in step.
            target.in_step = False
        elif depth is not None:
            self._books.lose(depth, f"malformed frame: {error.kind}", now_ns)

    def _refine(self, depth: DepthFeed, error: OffGrid, now_ns: int) -> bool:
        """Goes on with a listing on a grid that has a place for the price; False if none has."""
        listing = depth.feed.listing
        self._catalogue.surprised(now_ns)
        try:
            self._relist(replace(listing, grid=error.decimals), now_ns)
        except MalformedFrame:
            return False
        text = f"{listing.symbol}: prices with {error.decimals} decimals, tick {listing.tick}"
        self._outlet.note("info", "finer grid", text, now_ns)
        return True

    # ---- requests ---------------------------------------------------------------------------

    def _retry(self, request: Request, now_ns: int) -> None:
        if request.purpose == "book":
            self._books.failed(request, now_ns)
        elif request.purpose == "instruments":
            self._catalogue.retry(request, now_ns + RETRY_NS + int(self._jitter() * SECOND))

    def _book_answered(self, request: Request, body: bytes, now_ns: int) -> None:
        while True:
            try:
                self._books.answered(request, body, now_ns)
                return
            except OffGrid as error:
                if not self._refine(self.depths[request.listing], error, now_ns):
                    raise

    def _instruments_answered(self, request: Request, body: bytes, now_ns: int) -> None:
        fresh: list[Feed] = []
        answer = self.codec.decode_instruments(request, body)
        self.unlisted = ""
        for listing in self._catalogue.answered(answer, now_ns):
            if listing.key in self.depths:
                self._relist(listing, now_ns)
                text = f"{listing.symbol}: tick {listing.tick}, lot {listing.lot}"
                self._outlet.note("warning", "new definition", text, now_ns)
                continue
            feeds = self.codec.feeds(listing)
            fresh.extend(feeds)
            for feed in feeds:
                if feed.kind is FeedKind.DEPTH:
                    self._books.open(feed, now_ns)
        self._routes.carry(fresh, now_ns)

    def _relist(self, listing: Listing, now_ns: int) -> None:
        """Puts every feed of a listing on its new definition or grid, where it stands.

        Raises:
            MalformedFrame: its prices do not fit the finer grid; nothing was changed.
        """
        self._books.relist(listing, now_ns)
        self._catalogue.listings[listing.symbol] = listing
        self._routes.relist(listing)

    def _check_lags(self, now_ns: int) -> None:
        """Asks for the time if the stamps of the streams do not fit what is known of the clock."""
        offset_ns = self._clock.offset_ns
        if offset_ns is None:
            return
        for depth in self.depths.values():
            book = depth.book
            if book.venue_ns and now_ns - book.received_ns < LAG_CHECK_NS:
                lag_ns = book.received_ns - book.venue_ns + offset_ns
                if not -EARLY_NS <= lag_ns <= ODD_LAG_NS:
                    self._clock.doubt()
                    return
