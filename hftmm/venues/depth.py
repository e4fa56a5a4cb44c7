"""One depth stream: from the bytes of a frame to the book it changes."""

from __future__ import annotations

from math import inf
from typing import Final

import numpy as np

from hftmm.book.kernels import CROSSED, STATE_ID, VENUE_MS
from hftmm.book.order_book import ASKS, BIDS, OrderBook
from hftmm.book.sync import BookSync
from hftmm.core.errors import MalformedFrame
from hftmm.core.events import BookDelta, Verdict
from hftmm.venues.codec import MILLISECOND, BookAudit, Feed, VenueCodec
from hftmm.venues.decimals import MOST_DIGITS
from hftmm.venues.scan import LOOK, DepthScanner, advance_frame

LOST: Final = 128
"""Flag beside those of the kernels: the book was valid and is not any more."""
BEHIND: Final = 256
"""Flag: a repetition of what the book has."""
AHEAD: Final = 512
"""Flag: something between the book and this message is missing."""


class DepthFeed:
    """Decodes, sequences and applies the frames of one depth stream.

    Attributes:
        fast, slow: frames taken by the fused kernel, and by the venue's decoder and rule.
        heard_ns: when its last frame came.
        depth: itself; see `link.Target`.
        floor, ceiling: prices beyond which nothing is known of the bids and the asks; infinite if
            the whole book is.
    """

    __slots__ = (
        "_audit",
        "_codec",
        "_scanner",
        "book",
        "ceiling",
        "depth",
        "fast",
        "feed",
        "floor",
        "heard_ns",
        "slow",
        "sync",
    )

    def __init__(self, feed: Feed, codec: VenueCodec) -> None:
        self.feed = feed
        self.depth = self
        self.book = OrderBook(feed.listing)
        self.sync = BookSync(self.book, codec.sequence, codec.book_by_rest)
        self.fast = self.slow = 0
        self.heard_ns = 0
        self.floor, self.ceiling = -inf, inf
        self._codec = codec
        self._scanner = DepthScanner(self.book, codec.layout(feed.listing))
        self._audit: BookAudit | None = None

    def received(self, frame: bytes, now_ns: int) -> int:
        """Takes one frame.

        Returns:
            Flags of `kernels`, and LOST if the book is invalid from this frame on.

        Raises:
            MalformedFrame: it cannot be decoded; whoever gets this must `lose` the book.
        """
        self.heard_ns = now_ns
        book = self.book
        # What `DepthScanner.advance` does, without the call: there are thousands a second.
        flags = advance_frame(frame, book.ints, book.floats)
        if 0 <= flags < LOOK:
            self.fast += 1
            book.received_ns = now_ns
            if flags or book.top is not None:
                flags = book.settle(flags)
                if flags & CROSSED:
                    return self.sync.reject_crossed() | LOST
            return flags
        self.slow += 1
        delta = self._scanner.delta(now_ns) if flags == LOOK else None
        return self._sequenced(frame, self._decoded(frame, now_ns) if delta is None else delta)

    def received_beside(self, frame: bytes, now_ns: int, leading: bool) -> int:
        """Takes a frame of one of two connections that deliver the same stream.

        Whichever is first with a message has it applied; from the other it is a repetition. Their
        messages need not be cut at the same ids: one that only overlaps the book is applied too,
        since levels are absolute.

        Args:
            leading: this connection began the book, so what follows on it is no longer news once
                it is older, and proof of a gap if it does not connect. Of the other one, what does
                not connect is news for later, and snapshots only count if they are newer.

        Returns:
            As `received`; BEHIND or AHEAD if nothing was done.
        """
        self.slow += 1
        delta = self._decoded(frame, now_ns)
        if not self.sync.live:
            if not leading:
                return BEHIND
            self.heard_ns = now_ns
            return self._sequenced(frame, delta)
        last = self.sync.last
        verdict = self._codec.sequence(last, delta, True)
        if verdict is Verdict.SKIP:
            return BEHIND
        if verdict is Verdict.SNAPSHOT:
            if not leading and delta.final_id <= last:
                return BEHIND
        elif verdict is Verdict.APPLY:
            delta.first_id, delta.prev_id = last + 1, last
        else:
            return AHEAD
        self.heard_ns = now_ns
        return self._sequenced(frame, delta)

    def answered(self, snapshot: BookDelta) -> tuple[Verdict, int]:
        """Takes a REST snapshot; see `BookSync.join`."""
        was_live = self.sync.live
        verdict, flags = self.sync.join(snapshot)
        book, scale = self.book, float(10**self.feed.listing.decimals)
        self.floor = -inf if book.bid_floor is None else book.bid_floor / scale
        self.ceiling = inf if book.ask_ceiling is None else book.ask_ceiling / scale
        return verdict, flags | LOST if was_live and not self.sync.live else flags

    def lose(self, reason: str, stream_ended: bool = False) -> int:
        """The book may be wrong from here on; with `stream_ended`, so may what was held for it.

        Returns:
            LOST if it was valid, else 0.
        """
        was_live = self.sync.live
        self.sync.lose(reason)
        if stream_ended:
            self.sync.forget()
        return LOST if was_live else 0

    def regridded(self, feed: Feed) -> DepthFeed:
        """The same stream on a listing whose grid is as fine or finer.

        Its place in the stream, its counts, its levels and what is held for a snapshot go along:
        a valid book stays valid. This feed must not be used any more.

        Raises:
            MalformedFrame: its prices do not fit an int64 on that grid.
        """
        factor = 10 ** (feed.listing.decimals - self.feed.listing.decimals)
        old = self.book
        bid_ticks, bid_sizes = old.levels(BIDS)
        ask_ticks, ask_sizes = old.levels(ASKS)
        ticks = np.concatenate((bid_ticks, ask_ticks))
        if len(ticks) and int(ticks.max()) * factor >= 10**MOST_DIGITS:
            raise MalformedFrame("number out of range", f"{feed.listing.decimals} decimals")
        finer = DepthFeed(feed, self._codec)
        book = finer.book
        if self.sync.live:
            book.apply(
                BookDelta(
                    feed.listing,
                    ticks * factor,
                    np.concatenate((bid_sizes, ask_sizes)),
                    len(bid_ticks),
                    len(ticks),
                    self.sync.last,
                    self.sync.last,
                    -1,
                    int(old.ints[0, STATE_ID]),
                    int(old.ints[0, VENUE_MS]) * MILLISECOND,
                    old.received_ns,
                    snapshot=True,
                )
            )
            book.bid_floor = None if old.bid_floor is None else old.bid_floor * factor
            book.ask_ceiling = None if old.ask_ceiling is None else old.ask_ceiling * factor
            if old.top is not None:
                book.quote(old.top)
        else:
            book.invalidate(old.reason)
        self.sync.rebase(book, factor)
        finer.sync = self.sync
        finer.fast, finer.slow = self.fast, self.slow
        finer.heard_ns = self.heard_ns
        finer.floor, finer.ceiling = self.floor, self.ceiling
        finer._audit = self._audit
        return finer

    def _decoded(self, frame: bytes, now_ns: int) -> BookDelta:
        events = self._codec.decode_market(self.feed, frame, now_ns)
        match [event for event in events if isinstance(event, BookDelta)]:
            case [delta]:
                return delta
            case []:
                raise MalformedFrame("no book in it", frame[:80].decode("latin-1"))
            case several:
                # No venue sends that: what it may mean is not worth a book that is wrong.
                raise MalformedFrame("several books in it", f"{len(several)} messages")

    def _sequenced(self, frame: bytes, delta: BookDelta) -> int:
        sync = self.sync
        was_live = sync.live
        if delta.snapshot:
            self._audit = self._codec.audit() if delta.checksum else None
            sync.careful = self._audit is not None
        verdict, flags = sync.offer(delta)
        if self._audit is not None and verdict in (Verdict.APPLY, Verdict.SNAPSHOT):
            self._verify(self._audit, frame, delta.checksum)
        return flags | LOST if was_live and not sync.live else flags

    def _verify(self, audit: BookAudit, frame: bytes, checksum: int) -> None:
        if not checksum:
            # The venue stopped sending them: from here on its sequence has to do.
            self._audit = None
            self.sync.careful = False
        elif audit.check(frame):
            self.sync.verified += 1
        else:
            self._audit = None
            self.sync.mismatched += 1
            self.sync.lose("checksum does not match")


class Overlap:
    """A depth feed as seen on one of two connections while the one replaces the other.

    Attributes:
        leading: see `DepthFeed.received_beside`.
        in_step: its last frame connected to the book, so that it misses nothing.
        current: its last frame was the newest there is.
    """

    __slots__ = ("current", "depth", "in_step", "leading")

    def __init__(self, depth: DepthFeed, leading: bool) -> None:
        self.depth = depth
        self.leading = leading
        self.in_step = self.current = False

    def received(self, frame: bytes, now_ns: int) -> int:
        flags = self.depth.received_beside(frame, now_ns, self.leading)
        self.in_step = not flags & AHEAD
        self.current = not flags & (AHEAD | BEHIND)
        if self.current:
            return flags
        if flags & AHEAD and self.leading:
            self.depth.sync.gaps += 1
            return self.depth.lose("gap between two connections")
        return 0
