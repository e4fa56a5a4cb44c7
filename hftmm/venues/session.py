"""The state machine of one venue: everything between a socket and a book, without the socket.

A driver feeds it what happens (`connected`, `received`, `responded`, `lost`, and `tick` as time
passes) and carries out what gathers in `outbox`. What the market does goes to the `MarketSink` in
the same call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

import msgspec

from hftmm.book.order_book import OrderBook
from hftmm.core.errors import MalformedFrame
from hftmm.core.events import (
    Acknowledged,
    Farewell,
    MarketEvent,
    MarkPrice,
    Pong,
    Refusal,
    TopOfBook,
    Trade,
    Verdict,
)
from hftmm.core.instrument import Kind, Listing
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
from hftmm.venues.depth import LOST, DepthFeed
from hftmm.venues.link import Link, LinkState, Target
from hftmm.venues.scan import Scratch

FIRST_DELAY_NS: Final = 250 * MILLISECOND
LONGEST_DELAY_NS: Final = 30 * SECOND
"""Full-jitter back-off: a random part of FIRST_DELAY * 2**attempt, at most LONGEST_DELAY."""
CONNECT_WITHIN_NS: Final = 10 * SECOND
OVERLAP_NS: Final = 5 * SECOND
"""A replacement takes over after this long even if some quiet feed was not seen on it."""
SETTLED_NS: Final = 10 * SECOND
"""A connection that lived so long starts the back-off anew when it is lost."""
BEFORE_LIFETIME_NS: Final = 600 * SECOND
CLOCK_EVERY_NS: Final = 60 * SECOND
CLOCK_SAMPLES: Final = 3
INSTRUMENTS_EVERY_NS: Final = 3600 * SECOND
OFF_GRID_PAUSE_NS: Final = 60 * SECOND
BOOK_RETRY_NS: Final = 500 * MILLISECOND
BOOK_ANSWER_NS: Final = 8 * SECOND
BOOKS_AT_ONCE: Final = 4
"""Snapshots under way at a time: they are the heaviest requests there are."""
QUIET_JOIN_NS: Final = 1 * SECOND
"""A snapshot is asked for once a message is held for it, or after this long without any."""
EDGE_LEVELS: Final = 5
FRAME_HEAD: Final = 120


class Connect(msgspec.Struct, frozen=True, gc=False):
    """Open a stream connection and report `connected` or `lost` under this number."""

    link: int
    route: str
    url: str


class Disconnect(msgspec.Struct, frozen=True, gc=False):
    """Close a connection; no report is wanted."""

    link: int


class Send(msgspec.Struct, frozen=True, gc=False):
    """Send a text frame."""

    link: int
    frame: bytes


class Fetch(msgspec.Struct, frozen=True, gc=False):
    """Make a REST request and report `responded`."""

    request: Request


Output: TypeAlias = Connect | Disconnect | Send | Fetch


class Note(msgspec.Struct, frozen=True, gc=False):
    """Something the operator should be able to read later.

    Attributes:
        event: stable name; a note of one event and subject is worth a line only so often.
    """

    level: str
    venue: str
    event: str
    text: str
    ns: int


class MarketSink(Protocol):
    """Who is told what the market does."""

    def listed(self, book: OrderBook) -> None:
        """A wanted listing was found, or its definition changed: this is its book now."""
        ...

    def book_moved(self, book: OrderBook, now_ns: int) -> None:
        """The touch of a book moved, or the book came or went (see `valid`)."""
        ...

    def traded(self, trade: Trade) -> None: ...

    def marked(self, mark: MarkPrice) -> None: ...

    def noted(self, note: Note) -> None: ...


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator decides about sessions.

    Attributes:
        probe_after_ns: silence of a connection after which the venue is asked for a sign of life.
        probe_within_ns: how long that may take before the connection counts as dead.
        resubscribe_after_ns: silence of a depth stream after which it is subscribed anew.
    """

    probe_after_ns: int = 500 * MILLISECOND
    probe_within_ns: int = 1 * SECOND
    resubscribe_after_ns: int = 10 * SECOND


class Overlap:
    """A depth feed as seen on a connection that is about to replace another."""

    __slots__ = ("depth", "seen")

    def __init__(self, depth: DepthFeed) -> None:
        self.depth = depth
        self.seen = False

    def received(self, frame: bytes, now_ns: int) -> int:
        self.seen = True
        return self.depth.received_beside(frame, now_ns)


@dataclass(slots=True)
class _Route:
    """The connection of a route, its replacement if one is under way, and the back-off."""

    url: str
    primary: Link | None = None
    successor: Link | None = None
    attempt: int = 0
    dial_ns: int = 0
    replaced_ns: int = 0


@dataclass(slots=True)
class _Snapshot:
    """A REST snapshot: when it was asked for, or when it may be asked for again."""

    asked_ns: int = 0
    not_before_ns: int = 0
    silence_ns: int = 0


class VenueSession:
    """One venue's connections, subscriptions and books.

    Attributes:
        outbox: what the driver must do next, in order.
        depths: depth feeds by listing key.
        clock_offset_ns: the venue's clock less ours, None before the first answer.
        state_reason: one line on what the session waits for; "" once all is connected.
        connected_once: a stream has been open at some time.
        frames, reconnects, malformed: counts since the start; malformed by kind.
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
        self.hosts = hosts
        self.policy = policy or Policy()
        self.outbox: list[Output] = []
        self.depths: dict[str, DepthFeed] = {}
        self.clock_offset_ns: int | None = None
        self.connected_once = False
        self.frames = 0
        self.reconnects = 0
        self.malformed: Counter[str] = Counter()
        self._sink = sink
        self._jitter = jitter
        self._wanted = frozenset(symbols)
        self._kinds = frozenset(Kind.LINEAR if ":" in s else Kind.SPOT for s in self._wanted)
        self._urls = dict(codec.endpoints(hosts))
        self._routes: dict[str, _Route] = {}
        self._links: dict[int, Link] = {}
        self._listings: dict[str, Listing] = {}
        self._feeds: list[Feed] = []
        self._snapshots: dict[str, _Snapshot] = {}
        self._scratch = Scratch()
        self._serial = 0
        self._cut_start = codec.cut.start
        self._cut_stop = codec.cut.stop
        self._clock_samples: list[tuple[int, int]] = []
        self._clock_due_ns = 0
        self._instruments_due_ns = 0
        self._pages = 0
        self._fetched: dict[str, Listing] = {}
        self._rest_pause_ns = 0
        self._off_grid_ns = 0
        self._depth_heard_ns = 0

    # ---- what the driver reports ------------------------------------------------------------

    def start(self, now_ns: int) -> None:
        """Asks for the time and the instruments; connections follow when they are known."""
        self._clock_due_ns = self._instruments_due_ns = now_ns
        self.tick(now_ns)

    def connected(self, link: int, now_ns: int) -> None:
        """The handshake of a connection is done."""
        opened = self._links.get(link)
        if opened is None:
            self.outbox.append(Disconnect(link))
            return
        self.connected_once = True
        opened.opened(now_ns)
        self._flush(opened, now_ns)

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
                self._strange(source, frame, now_ns)
                return
            flags = target.received(frame, now_ns)
        except MalformedFrame as error:
            self._malformed(source, frame, error, now_ns)
            flags = LOST if target is not None and self._is_depth(target) else 0
        if flags:
            depth = target.depth if isinstance(target, Overlap) else target
            if isinstance(depth, DepthFeed):
                self._book_moved(depth, flags, now_ns)

    def responded(self, request: Request, status: int, body: bytes, now_ns: int) -> None:
        """A REST request was answered; status 0 if it failed, with the reason as body."""
        if status != 200:
            self._refused(request, status, body, now_ns)
            return
        try:
            if request.purpose == "book":
                self._book_answered(request, body, now_ns)
            elif request.purpose == "instruments":
                self._instruments_answered(request, body, now_ns)
        except MalformedFrame as error:
            self.malformed[error.kind] += 1
            self._note("warning", f"rest {request.purpose}", str(error), now_ns)
            self._retry(request, now_ns)

    def clock_answered(self, body: bytes, sent_ns: int, received_ns: int) -> None:
        """The venue told its time; `sent_ns` and `received_ns` are ours around the request."""
        try:
            venue_ns = self.codec.decode_clock(body)
        except MalformedFrame as error:
            self.malformed[error.kind] += 1
            return
        offset_ns = venue_ns - (sent_ns + received_ns) // 2
        self._clock_samples.append((received_ns - sent_ns, offset_ns))
        del self._clock_samples[:-CLOCK_SAMPLES]
        # The sample with the shortest round trip has the least room for error.
        self.clock_offset_ns = min(self._clock_samples)[1]

    def lost(self, link: int, reason: str, now_ns: int) -> None:
        """A connection could not be opened, or is gone."""
        gone = self._links.pop(link, None)
        if gone is None:
            return
        route = self._routes[gone.route]
        was_open = gone.state is LinkState.OPEN
        gone.state = LinkState.CLOSED
        if route.successor is gone:
            route.successor = None
            self._note("warning", f"{gone.route} replacement", f"failed: {reason}", now_ns)
            if route.primary is None:
                self._back_off(route, now_ns)
            return
        route.primary = None
        event = "disconnected" if was_open else "cannot connect"
        self._note("warning", event, f"{gone.route}: {reason}", now_ns)
        if was_open and now_ns - gone.opened_ns > SETTLED_NS:
            route.attempt = 0
        successor = route.successor
        if successor is not None and successor.state is LinkState.OPEN:
            self._promote(route, now_ns)
            return
        for feed in gone.feeds.values():
            if feed.kind is FeedKind.DEPTH:
                depth = self.depths[feed.listing.key]
                self._book_moved(depth, depth.lose(f"disconnected: {reason}", True), now_ns)
        if successor is None:
            self._back_off(route, now_ns)

    def tick(self, now_ns: int) -> None:
        """Does what is due; call it every few milliseconds."""
        if now_ns >= self._clock_due_ns:
            settled = len(self._clock_samples) >= CLOCK_SAMPLES
            self._clock_due_ns = now_ns + (CLOCK_EVERY_NS if settled else SECOND)
            self.outbox.append(Fetch(self.codec.clock()))
        if now_ns >= self._instruments_due_ns and now_ns >= self._rest_pause_ns:
            self._instruments_due_ns = now_ns + INSTRUMENTS_EVERY_NS
            self._fetched = {}
            requests = self.codec.instruments(self._kinds)
            self._pages = len(requests)
            self.outbox.extend(Fetch(request) for request in requests)
        for name, route in self._routes.items():
            self._tend(name, route, now_ns)
        self._tend_books(now_ns)

    # ---- what others ask --------------------------------------------------------------------

    def replace(self, route: str, reason: str, now_ns: int) -> None:
        """Opens a second connection of a route and, once it delivers, drops the first."""
        entry = self._routes.get(route)
        if entry is None or entry.successor is not None or entry.primary is None:
            return
        self._note("info", "planned reconnect", f"{route}: {reason}", now_ns)
        entry.replaced_ns = now_ns
        entry.successor = self._dial(route, entry, now_ns)

    def adopt(self, feeds: Iterable[Feed], now_ns: int) -> int:
        """Takes feeds nobody subscribed to, as a recording has them, on a link of their own.

        Returns:
            The number under which their frames are to be passed to `received`.
        """
        self._serial += 1
        link = Link(self._serial, "recording", "", self.codec, now_ns)
        link.state = LinkState.OPEN
        self._links[link.number] = link
        for feed in feeds:
            self._listings[feed.listing.symbol] = feed.listing
            self._open_book(feed)
            link.feeds[feed.topic] = feed
            link.targets[feed.key] = self._target(feed, beside=False)
        return link.number

    def base_url(self, route: str) -> str:
        """Where the requests of a REST route go."""
        return self._urls[route]

    @property
    def state_reason(self) -> str:
        """What is missing for the session to be whole, one line; "" if nothing is."""
        if not self._routes:
            return "waiting for the instruments"
        for name, route in self._routes.items():
            if route.primary is None or route.primary.state is not LinkState.OPEN:
                return f"{name} is not connected"
        return ""

    # ---- frames -----------------------------------------------------------------------------

    def _strange(self, source: Link, frame: bytes, now_ns: int) -> None:
        """A frame that names no feed of ours where market frames do."""
        envelope = self.codec.decode_envelope(source.route, frame)
        match envelope:
            case Acknowledged(request_id, topic):
                source.confirmed(request_id, topic)
            case Refusal():
                feeds = source.refused(envelope.request_id)
                what = envelope.topic or ", ".join(feed.topic for feed in feeds) or "a request"
                text = f"{what} refused: {envelope.code} {envelope.message}".strip()
                self._note("error", "refused", text, now_ns)
            case Farewell(reason):
                self.replace(source.route, reason, now_ns)
            case Addressed(topic):
                feed = source.feeds.get(topic)
                if feed is not None:
                    target = source.targets[feed.key]
                    flags = target.received(frame, now_ns)
                    depth = target.depth if isinstance(target, Overlap) else target
                    if flags and isinstance(depth, DepthFeed):
                        self._book_moved(depth, flags, now_ns)
            case Pong() | None:
                pass

    def _malformed(self, source: Link, frame: bytes, error: MalformedFrame, now_ns: int) -> None:
        self.malformed[error.kind] += 1
        if self.malformed[error.kind] == 1:
            head = frame[:FRAME_HEAD].decode("latin-1")
            self._note("warning", "malformed frame", f"{source.route}: {error} in {head!r}", now_ns)
        if error.kind == "off-grid price" and now_ns - self._off_grid_ns > OFF_GRID_PAUSE_NS:
            # The venue trades on a finer grid than its definition said: it has a new one.
            self._off_grid_ns = now_ns
            self._instruments_due_ns = now_ns

    def deliver(self, events: list[MarketEvent], now_ns: int) -> None:
        """Passes decoded events on."""
        for event in events:
            match event:
                case TopOfBook():
                    depth = self.depths.get(event.listing.key)
                    if depth is not None and depth.book.quote(event):
                        self._sink.book_moved(depth.book, now_ns)
                case Trade():
                    self._sink.traded(event)
                case MarkPrice():
                    self._sink.marked(event)
                case _:
                    pass

    @staticmethod
    def _is_depth(target: Target) -> bool:
        return isinstance(target, DepthFeed | Overlap)

    # ---- books ------------------------------------------------------------------------------

    def _book_moved(self, depth: DepthFeed, flags: int, now_ns: int) -> None:
        if flags & LOST:
            self._recover(depth, now_ns)
        self._sink.book_moved(depth.book, now_ns)

    def _recover(self, depth: DepthFeed, now_ns: int) -> None:
        """Gets the book back: a snapshot by REST, or the stream anew."""
        key = depth.feed.listing.key
        self._note(
            "warning", "book lost", f"{depth.feed.listing.symbol}: {depth.book.reason}", now_ns
        )
        if depth.sync.by_rest:
            self._snapshots[key].not_before_ns = now_ns
            return
        for link in self._links.values():
            if depth.feed.topic in link.feeds and link.state is LinkState.OPEN:
                link.resubscribe(depth.feed)
                self._flush(link, now_ns)

    def _tend_books(self, now_ns: int) -> None:
        under_way = sum(1 for snapshot in self._snapshots.values() if snapshot.asked_ns)
        for key, depth in self.depths.items():
            snapshot = self._snapshots[key]
            if snapshot.asked_ns and now_ns - snapshot.asked_ns > BOOK_ANSWER_NS:
                snapshot.asked_ns = 0
            if depth.sync.by_rest:
                due = (
                    (depth.sync.wanting or depth.sync.refreshing)
                    and not snapshot.asked_ns
                    and now_ns >= max(snapshot.not_before_ns, self._rest_pause_ns)
                    and under_way < BOOKS_AT_ONCE
                    and self._streaming(depth, now_ns)
                )
                if due:
                    self._ask_book(depth, snapshot, now_ns)
                    under_way += 1
                elif depth.sync.live and depth.book.near_edge(EDGE_LEVELS):
                    depth.sync.refresh()
            self._tend_silence(depth, snapshot, now_ns)

    def _streaming(self, depth: DepthFeed, now_ns: int) -> bool:
        """The stream has begun, so that a snapshot fetched now can be joined to it."""
        for link in self._links.values():
            if depth.feed.topic in link.feeds and link.state is LinkState.OPEN:
                return depth.heard_ns >= link.opened_ns or (now_ns - link.opened_ns > QUIET_JOIN_NS)
        return False

    def _ask_book(self, depth: DepthFeed, snapshot: _Snapshot, now_ns: int) -> None:
        request = self.codec.request_book(depth.feed.listing)
        if request is not None:
            snapshot.asked_ns = now_ns
            self.outbox.append(Fetch(request))

    def _book_answered(self, request: Request, body: bytes, now_ns: int) -> None:
        depth = self.depths.get(request.listing)
        if depth is None:
            return
        snapshot = self._snapshots[request.listing]
        snapshot.asked_ns = 0
        verdict, flags = depth.answered(self.codec.decode_book(depth.feed.listing, body, now_ns))
        if verdict is Verdict.REFETCH:
            snapshot.not_before_ns = now_ns + BOOK_RETRY_NS
        elif flags:
            self._book_moved(depth, flags, now_ns)

    def _tend_silence(self, depth: DepthFeed, snapshot: _Snapshot, now_ns: int) -> None:
        """Subscribes anew to a stream that went silent while its connection lives.

        The patience doubles each time until a frame comes, so that a market that is really quiet
        does not use up the venue's subscription budget.
        """
        if depth.heard_ns > snapshot.silence_ns:
            snapshot.silence_ns = 0
        link = next(
            (
                link
                for link in self._links.values()
                if depth.feed.topic in link.feeds and link.state is LinkState.OPEN
            ),
            None,
        )
        if link is None:
            return
        since_ns = max(depth.heard_ns, link.opened_ns)
        asked_ns = snapshot.silence_ns
        patience_ns = self.policy.resubscribe_after_ns
        if asked_ns:
            patience_ns = max(patience_ns, 2 * (asked_ns - since_ns))
        if now_ns - max(since_ns, asked_ns) > patience_ns:
            snapshot.silence_ns = now_ns
            silent_ms = (now_ns - since_ns) // MILLISECOND
            text = f"{depth.feed.listing.symbol}: {silent_ms} ms without a frame, subscribing anew"
            self._note("warning", "silent feed", text, now_ns)
            link.resubscribe(depth.feed)
            self._flush(link, now_ns)

    # ---- requests ---------------------------------------------------------------------------

    def _refused(self, request: Request, status: int, body: bytes, now_ns: int) -> None:
        reason = body.decode("latin-1") if status == 0 else self.codec.decode_error(status, body)
        self._note("warning", f"rest {request.purpose}", reason, now_ns)
        self._retry(request, now_ns)

    def pause(self, seconds: float, now_ns: int) -> None:
        """The venue asked for no requests for so long (Retry-After)."""
        self._rest_pause_ns = max(self._rest_pause_ns, now_ns + int(seconds * SECOND))

    def _retry(self, request: Request, now_ns: int) -> None:
        delay_ns = FIRST_DELAY_NS + int(self._jitter() * SECOND)
        if request.purpose == "book":
            snapshot = self._snapshots.get(request.listing)
            if snapshot is not None:
                snapshot.asked_ns = 0
                snapshot.not_before_ns = now_ns + delay_ns
        elif request.purpose == "instruments":
            self._instruments_due_ns = now_ns + delay_ns

    def _instruments_answered(self, request: Request, body: bytes, now_ns: int) -> None:
        answer = self.codec.decode_instruments(request, body)
        for listing in answer.listings:
            if listing.symbol in self._wanted and listing.status == "live":
                self._fetched[listing.symbol] = listing
        if answer.more is not None:
            self.outbox.append(Fetch(answer.more))
            return
        self._pages -= 1
        if self._pages > 0:
            return
        for symbol in sorted(self._wanted - self._fetched.keys()):
            if symbol not in self._listings:
                self._note(
                    "warning", f"no {symbol}", f"{symbol} is not listed or not trading", now_ns
                )
        changed = {
            symbol: listing
            for symbol, listing in self._fetched.items()
            if self._listings.get(symbol) != listing
        }
        if changed:
            self._subscribe_to(changed, now_ns)

    def _subscribe_to(self, changed: dict[str, Listing], now_ns: int) -> None:
        known = self._listings.keys() & changed.keys()
        self._listings.update(changed)
        self._feeds = [
            feed for listing in self._listings.values() for feed in self.codec.feeds(listing)
        ]
        for feed in self._feeds:
            if feed.listing.symbol in changed and feed.kind is FeedKind.DEPTH:
                self._open_book(feed)
        for symbol in sorted(known):
            self._note("warning", "new definition", f"{symbol}: the venue changed its grid", now_ns)
        for route in sorted({feed.route for feed in self._feeds}):
            entry = self._routes.setdefault(route, _Route(self._urls[route]))
            if entry.primary is not None:
                # A book on another grid cannot go on: begin the connection anew.
                link = entry.primary
                self.outbox.append(Disconnect(link.number))
                self.lost(link.number, "instrument definitions changed", now_ns)
            entry.dial_ns = now_ns
            self._tend(route, entry, now_ns)

    def _open_book(self, feed: Feed) -> None:
        if feed.kind is FeedKind.DEPTH:
            depth = DepthFeed(feed, self.codec, self._scratch)
            self.depths[feed.listing.key] = depth
            self._snapshots[feed.listing.key] = _Snapshot()
            self._sink.listed(depth.book)

    # ---- connections ------------------------------------------------------------------------

    def _tend(self, name: str, route: _Route, now_ns: int) -> None:
        if route.primary is None and route.successor is None and now_ns >= route.dial_ns:
            route.primary = self._dial(name, route, now_ns)
        for link in (route.primary, route.successor):
            if link is None:
                continue
            if link.state is LinkState.CONNECTING:
                if now_ns - link.opened_ns > CONNECT_WITHIN_NS:
                    self._drop(link, "no answer to the handshake", now_ns)
                continue
            reason = link.tick(now_ns, self.policy.probe_after_ns, self.policy.probe_within_ns)
            self._flush(link, now_ns)
            if reason:
                self._drop(link, reason, now_ns)
        primary, successor = route.primary, route.successor
        if successor is not None and successor.state is LinkState.OPEN:
            seen = all(
                target.seen for target in successor.targets.values() if isinstance(target, Overlap)
            )
            if seen or now_ns - successor.opened_ns > OVERLAP_NS:
                self._promote(route, now_ns)
        elif primary is not None and successor is None and primary.state is LinkState.OPEN:
            lifetime_ns = self.codec.stream_rules.lifetime_ns
            if lifetime_ns and now_ns - primary.opened_ns > lifetime_ns - BEFORE_LIFETIME_NS:
                self.replace(name, "the venue limits how long a connection lives", now_ns)

    def _dial(self, name: str, route: _Route, now_ns: int) -> Link:
        self._serial += 1
        link = Link(self._serial, name, route.url, self.codec, now_ns)
        beside = route.primary is not None
        for feed in self._feeds:
            if feed.route == name:
                link.feeds[feed.topic] = feed
                link.targets[feed.key] = self._target(feed, beside)
        self._links[link.number] = link
        self.outbox.append(Connect(link.number, name, route.url))
        return link

    def _target(self, feed: Feed, beside: bool) -> Target:
        if feed.kind is FeedKind.DEPTH:
            depth = self.depths[feed.listing.key]
            return Overlap(depth) if beside else depth
        return _Other(self, feed, muted=beside and feed.kind is FeedKind.TRADES)

    def _promote(self, route: _Route, now_ns: int) -> None:
        """The replacement takes over."""
        link, old = route.successor, route.primary
        if link is None:
            return
        route.primary, route.successor = link, None
        for feed in link.feeds.values():
            link.targets[feed.key] = self._target(feed, beside=False)
        if old is not None:
            self._links.pop(old.number, None)
            self.outbox.append(Disconnect(old.number))
        self._note("info", "reconnected", f"{link.route}: the new connection took over", now_ns)
        # A book that could not be continued on the new connection will not be on the old one.
        for feed in link.feeds.values():
            if feed.kind is FeedKind.DEPTH and not self.depths[feed.listing.key].sync.live:
                self._recover(self.depths[feed.listing.key], now_ns)

    def _drop(self, link: Link, reason: str, now_ns: int) -> None:
        self.outbox.append(Disconnect(link.number))
        self.lost(link.number, reason, now_ns)

    def _back_off(self, route: _Route, now_ns: int) -> None:
        self.reconnects += 1
        limit_ns = min(LONGEST_DELAY_NS, FIRST_DELAY_NS << min(route.attempt, 16))
        route.attempt += 1
        route.dial_ns = now_ns + int(self._jitter() * limit_ns)

    def _flush(self, link: Link, now_ns: int) -> None:
        for frame in link.outgoing:
            self.outbox.append(Send(link.number, frame))
        link.outgoing.clear()

    def _note(self, level: str, event: str, text: str, now_ns: int) -> None:
        self._sink.noted(Note(level, self.venue, event, text, now_ns))


class _Other:
    """A feed of anything but depth. Muted, its frames only show that it delivers: the connection
    being replaced has delivered the same trades.
    """

    __slots__ = ("_feed", "_muted", "_session")

    def __init__(self, session: VenueSession, feed: Feed, muted: bool) -> None:
        self._session = session
        self._feed = feed
        self._muted = muted

    def received(self, frame: bytes, now_ns: int) -> int:
        if not self._muted:
            events = self._session.codec.decode_market(self._feed, frame, now_ns)
            self._session.deliver(events, now_ns)
        return 0
