"""The books of one venue: snapshots for them, and what is done when one is lost or stands still."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from hftmm.book.kernels import SIZE, STATE_ID, TICK
from hftmm.book.order_book import MOVED, OrderBook
from hftmm.core.events import TopOfBook, Verdict
from hftmm.core.instrument import Listing
from hftmm.venues.codec import MILLISECOND, SECOND, Feed, Request, VenueCodec
from hftmm.venues.depth import LOST, DepthFeed
from hftmm.venues.effects import Fetch, Outlet, Policy
from hftmm.venues.routes import Routes

ASK_AGAIN_NS: Final = 250 * MILLISECOND
ASK_AGAIN_MOST_NS: Final = 1500 * MILLISECOND
"""Between two snapshots of one book, doubling: they are the heaviest requests there are."""
HOPELESS: Final = 3
"""Snapshots too old for the first message held, after which that message is no longer believed."""
RENEW_AGAIN_NS: Final = 1 * SECOND
RENEW_AGAIN_MOST_NS: Final = 15 * SECOND
RENEWALS: Final = 30
"""Subscriptions renewed at the shorter interval before it becomes the longer one."""
CALM_NS: Final = 10 * SECOND
"""A book that was live for so long begins at the short intervals when it is lost."""
ANSWER_WITHIN_NS: Final = 8 * SECOND
BOOKS_AT_ONCE: Final = 4
"""Snapshots under way at a time."""
QUIET_JOIN_NS: Final = 1 * SECOND
"""A snapshot is asked for once a message is held for it, or after this long without any."""
EDGE_LEVELS: Final = 5
WATCH_EVERY_NS: Final = 100 * MILLISECOND
EDGE_EVERY_NS: Final = 500 * MILLISECOND
STUCK_FRAMES: Final = 3
STUCK_NS: Final = 1500 * MILLISECOND
"""A live book that takes none of so many frames of its stream for so long is not live."""
OVERLAY_NS: Final = 1 * SECOND
"""By then the depth stream must have told of a touch that the top-of-book stream brought."""


@dataclass(slots=True)
class Upkeep:
    """What is remembered of one book beside the book.

    Attributes:
        asked_ns: when the snapshot under way was asked for, 0 if none is.
        not_before_ns: no snapshot or renewal is asked for before this.
        tries: snapshots or renewals asked for since the book was last calm.
        live_ns: since when it is live, 0 if it is not.
        silence_ns: when the stream was last renewed for its silence.
        taken, refused, taken_ns: frames applied and skipped, and when the former last grew.
        overlay_id, overlay_ns: a touch that the levels have not come up to, and since when.
    """

    asked_ns: int = 0
    not_before_ns: int = 0
    tries: int = 0
    live_ns: int = 0
    silence_ns: int = 0
    taken: int = 0
    refused: int = 0
    taken_ns: int = 0
    overlay_id: int = -1
    overlay_ns: int = 0
    edge_ns: int = 0


class Books:
    """Keeps every book of a session in step with its stream.

    Attributes:
        depths: depth feeds by listing key.
    """

    __slots__ = (
        "_codec",
        "_jitter",
        "_outlet",
        "_policy",
        "_routes",
        "_told",
        "_upkeep",
        "_watched_ns",
        "depths",
    )

    def __init__(
        self,
        codec: VenueCodec,
        routes: Routes,
        outlet: Outlet,
        jitter: Callable[[], float],
        policy: Policy,
    ) -> None:
        self.depths: dict[str, DepthFeed] = {}
        self._codec = codec
        self._routes = routes
        self._outlet = outlet
        self._told = outlet.sink.book_moved
        self._jitter = jitter
        self._policy = policy
        self._upkeep: dict[str, Upkeep] = {}
        self._watched_ns = 0

    def open(self, feed: Feed, now_ns: int) -> None:
        """Begins the book of a depth feed, or begins it anew on another definition."""
        key = feed.listing.key
        depth = self.depths[key] = DepthFeed(feed, self._codec)
        self._upkeep[key] = Upkeep()
        self._announce(depth, now_ns)

    def relist(self, listing: Listing, now_ns: int) -> None:
        """Goes on with a listing whose definition or grid changed.

        The book stays valid if the new grid can show it.

        Raises:
            MalformedFrame: its prices do not fit the finer grid; nothing was changed.
        """
        old = self.depths[listing.key]
        feed = replace(old.feed, listing=listing)
        before = old.feed.listing
        same = listing.multiplier == before.multiplier
        if same and listing.decimals >= before.decimals:
            depth = self.depths[listing.key] = old.regridded(feed)
            self._announce(depth, now_ns)
            return
        self.lose(old, "the venue changed its definition", now_ns)
        self.open(feed, now_ns)
        self._get_back(self.depths[listing.key], now_ns)

    def moved(self, depth: DepthFeed, flags: int, now_ns: int) -> None:
        """Flags of a frame that moved the touch, or lost the book."""
        book = depth.book
        if (book.bid < depth.floor or book.ask > depth.ceiling) and not flags & LOST:
            # What stood between the snapshot's last level and this one is not known.
            flags |= depth.lose("the touch left the known depth")
        self._told(book, now_ns)
        if flags & LOST:
            text = f"{depth.feed.listing.symbol}: {depth.book.reason}"
            self._outlet.note("warning", "book lost", text, now_ns)
            self._get_back(depth, now_ns)

    def lose(self, depth: DepthFeed, reason: str, now_ns: int, stream_ended: bool = False) -> None:
        """The book may be wrong from here on."""
        flags = depth.lose(reason, stream_ended)
        if flags:
            self.moved(depth, flags, now_ns)

    def get_back(self, depth: DepthFeed, now_ns: int) -> None:
        """Asks for what a lost book needs, if the one who would bring it is gone."""
        if not depth.sync.live:
            self._get_back(depth, now_ns)

    def answered(self, request: Request, body: bytes, now_ns: int) -> None:
        """A snapshot came.

        Raises:
            MalformedFrame: it cannot be decoded.
        """
        depth = self.depths.get(request.listing)
        if depth is None:
            return
        snapshot = self._codec.decode_book(depth.feed.listing, body, now_ns)
        upkeep = self._upkeep[request.listing]
        upkeep.asked_ns = 0
        verdict, flags = depth.answered(snapshot)
        if verdict in (Verdict.REFETCH, Verdict.RESYNC):
            upkeep.not_before_ns = now_ns + self._patience_ns(upkeep)
            if verdict is Verdict.REFETCH and upkeep.tries % HOPELESS == 0:
                # No snapshot will ever catch up with a message whose id is damaged.
                depth.sync.forget()
        if flags:
            self.moved(depth, flags, now_ns)

    def failed(self, request: Request, now_ns: int) -> None:
        """A snapshot could not be had."""
        upkeep = self._upkeep.get(request.listing)
        if upkeep is not None:
            upkeep.asked_ns = 0
            delay_ns = ASK_AGAIN_NS + int(self._jitter() * SECOND)
            upkeep.not_before_ns = now_ns + max(delay_ns, self._patience_ns(upkeep))

    def tick(self, now_ns: int, rest_allowed: bool) -> None:
        """Asks for what is due, and looks for books that stand still.

        Args:
            rest_allowed: the venue does not want to be left alone.
        """
        watch = now_ns - self._watched_ns >= WATCH_EVERY_NS
        if watch:
            self._watched_ns = now_ns
        under_way = sum(1 for upkeep in self._upkeep.values() if upkeep.asked_ns)
        for key, depth in self.depths.items():
            upkeep = self._upkeep[key]
            if upkeep.asked_ns and now_ns - upkeep.asked_ns > ANSWER_WITHIN_NS:
                upkeep.asked_ns = 0
            sync = depth.sync
            if (sync.wanting or sync.refreshing) and now_ns >= upkeep.not_before_ns:
                if not sync.by_rest:
                    self._renew(depth, upkeep, now_ns)
                elif (
                    rest_allowed
                    and not upkeep.asked_ns
                    and under_way < BOOKS_AT_ONCE
                    and self._streaming(depth, now_ns)
                ):
                    self._ask(depth, upkeep, now_ns)
                    under_way += 1
            if not watch:
                continue
            self._tend_silence(depth, upkeep, now_ns)
            if not sync.live:
                upkeep.live_ns = 0
                continue
            upkeep.live_ns = upkeep.live_ns or now_ns
            if now_ns - upkeep.live_ns > CALM_NS:
                upkeep.tries = 0
            self._tend_edge(depth, upkeep, now_ns)
            self._tend_progress(depth, upkeep, now_ns)
            self._tend_overlay(depth, upkeep, now_ns)

    def _announce(self, depth: DepthFeed, now_ns: int) -> None:
        self._outlet.sink.listed(depth.book)
        self._told(depth.book, now_ns)

    # ---- getting a book back ----------------------------------------------------------------

    def _get_back(self, depth: DepthFeed, now_ns: int) -> None:
        upkeep = self._upkeep[depth.feed.listing.key]
        if upkeep.not_before_ns <= now_ns and not depth.sync.by_rest:
            self._renew(depth, upkeep, now_ns)

    def _patience_ns(self, upkeep: Upkeep) -> int:
        return min(ASK_AGAIN_MOST_NS, ASK_AGAIN_NS << min(upkeep.tries, 16))

    def _ask(self, depth: DepthFeed, upkeep: Upkeep, now_ns: int) -> None:
        request = self._codec.request_book(depth.feed.listing)
        if request is not None:
            upkeep.asked_ns = now_ns
            upkeep.not_before_ns = now_ns + self._patience_ns(upkeep)
            upkeep.tries += 1
            self._outlet.outbox.append(Fetch(request))

    def _renew(self, depth: DepthFeed, upkeep: Upkeep, now_ns: int) -> None:
        """Subscribes anew, where the stream brings the snapshot.

        A connection that has just opened is about to bring it anyway.
        """
        link = self._routes.carrier(depth.feed)
        if link is None:
            return
        patience_ns = RENEW_AGAIN_NS if upkeep.tries < RENEWALS else RENEW_AGAIN_MOST_NS
        upkeep.not_before_ns = now_ns + patience_ns
        if now_ns - link.opened_ns >= RENEW_AGAIN_NS:
            upkeep.tries += 1
            link.renew(depth.feed)

    def _streaming(self, depth: DepthFeed, now_ns: int) -> bool:
        """The stream has begun, so that a snapshot fetched now can be joined to it."""
        link = self._routes.carrier(depth.feed)
        if link is None:
            return False
        return depth.heard_ns >= link.opened_ns or now_ns - link.opened_ns > QUIET_JOIN_NS

    # ---- standing still ---------------------------------------------------------------------

    def _tend_silence(self, depth: DepthFeed, upkeep: Upkeep, now_ns: int) -> None:
        """Subscribes anew to a stream that went silent while its connection lives.

        The patience doubles each time until a frame comes, so that a market that is really quiet
        does not use up the venue's subscription budget.
        """
        link = self._routes.carrier(depth.feed)
        if link is None:
            return
        if depth.heard_ns > upkeep.silence_ns:
            upkeep.silence_ns = 0
        since_ns = max(depth.heard_ns, link.opened_ns)
        asked_ns = upkeep.silence_ns
        patience_ns = self._policy.resubscribe_after_ns
        if asked_ns:
            patience_ns = max(patience_ns, 2 * (asked_ns - since_ns))
        if now_ns - max(since_ns, asked_ns) > patience_ns:
            upkeep.silence_ns = now_ns
            silent_ms = (now_ns - since_ns) // MILLISECOND
            text = f"{depth.feed.listing.symbol}: {silent_ms} ms without a frame, subscribing anew"
            self._outlet.note("warning", "silent feed", text, now_ns)
            link.renew(depth.feed)

    def _tend_edge(self, depth: DepthFeed, upkeep: Upkeep, now_ns: int) -> None:
        """Asks for a deeper snapshot before the known depth is used up."""
        if depth.sync.by_rest and now_ns - upkeep.edge_ns >= EDGE_EVERY_NS:
            upkeep.edge_ns = now_ns
            if depth.book.near_edge(EDGE_LEVELS):
                depth.sync.refresh()

    def _tend_progress(self, depth: DepthFeed, upkeep: Upkeep, now_ns: int) -> None:
        """Loses a book that has long found every frame of its stream older than itself.

        An id that was damaged upwards looks like that, and so does a stream of a venue that began
        to count anew.
        """
        sync = depth.sync
        taken = sync.snapshots + sync.deltas + depth.fast
        refused = sync.skipped - upkeep.refused
        if taken != upkeep.taken:
            upkeep.taken, upkeep.refused, upkeep.taken_ns = taken, sync.skipped, now_ns
        elif refused >= STUCK_FRAMES and now_ns - upkeep.taken_ns > STUCK_NS:
            self.lose(depth, "every update is older than the book", now_ns)

    def _tend_overlay(self, depth: DepthFeed, upkeep: Upkeep, now_ns: int) -> None:
        """Looks into a touch from the top-of-book stream that the levels do not come up to.

        Whatever moves the touch is in the depth stream a moment later. If that stream speaks and
        does not get there, the touch's id is wrong; if it says nothing, the stream has ended.
        """
        top = depth.book.top
        if top is None or _agrees(depth.book, top):
            upkeep.overlay_id = -1
        elif upkeep.overlay_id < 0 or depth.book.ints[0, STATE_ID] >= upkeep.overlay_id:
            upkeep.overlay_id, upkeep.overlay_ns = top.sequence_id, now_ns
        elif now_ns - upkeep.overlay_ns > OVERLAY_NS:
            upkeep.overlay_id = -1
            if now_ns - depth.heard_ns < OVERLAY_NS:
                depth.book.top = None
                depth.book.settle(MOVED)
                self._told(depth.book, now_ns)
            else:
                self.lose(depth, "the touch moved and the depth stream is silent", now_ns)
                link = self._routes.carrier(depth.feed)
                if link is not None and depth.sync.by_rest:
                    link.renew(depth.feed)


def _agrees(book: OrderBook, top: TopOfBook) -> bool:
    """Whether the levels say the same of the touch: an id may grow without any change."""
    scale = float(10**book.listing.decimals)
    sides = ((top.bid, top.bid_size), (top.ask, top.ask_size))
    return all(
        book.floats[side, SIZE] == size and (not size or book.floats[side, TICK] / scale == price)
        for side, (price, size) in enumerate(sides)
    )
