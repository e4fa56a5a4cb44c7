"""One depth stream: from the bytes of a frame to the book it changes."""

from __future__ import annotations

from typing import Final

from hftmm.book.kernels import CROSSED
from hftmm.book.order_book import OrderBook
from hftmm.book.sync import BookSync
from hftmm.core.errors import MalformedFrame
from hftmm.core.events import BookDelta, Verdict
from hftmm.venues.codec import BookAudit, Feed, VenueCodec
from hftmm.venues.scan import LOOK, DepthScanner, Scratch

LOST: Final = 128
"""Flag beside those of the kernels: the book is not valid any more."""


class DepthFeed:
    """Decodes, sequences and applies the frames of one depth stream.

    Attributes:
        fast, slow: frames taken by the fused kernel, and by the venue's decoder and rule.
        heard_ns: when its last frame came.
    """

    __slots__ = ("_audit", "_codec", "_scanner", "book", "fast", "feed", "heard_ns", "slow", "sync")

    def __init__(self, feed: Feed, codec: VenueCodec, scratch: Scratch) -> None:
        self.feed = feed
        self.book = OrderBook(feed.listing)
        self.sync = BookSync(self.book, codec.sequence, codec.book_by_rest)
        self.fast = self.slow = 0
        self.heard_ns = 0
        self._codec = codec
        self._scanner = DepthScanner(feed.listing, codec.layout(feed.listing), scratch)
        self._audit: BookAudit | None = None

    def received(self, frame: bytes, now_ns: int) -> int:
        """Takes one frame.

        Returns:
            Flags of `kernels`, and LOST if the book is invalid from this frame on.

        Raises:
            MalformedFrame: it cannot be decoded; the book is invalid from here on.
        """
        self.heard_ns = now_ns
        book = self.book
        flags = self._scanner.advance(frame, book)
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

    def received_beside(self, frame: bytes, now_ns: int) -> int:
        """Takes a frame of a second connection, which continues the book or is passed over.

        While a connection is being replaced both deliver the same stream: what is older than the
        book is a repetition, and what does not follow is not a gap but news for later.
        """
        delta = self._decoded(frame, now_ns)
        last = self.sync.last
        if self.sync.live:
            if delta.final_id <= last:
                return 0
            if self._codec.sequence(last, delta, False) is Verdict.RESYNC:
                return 0
        self.heard_ns = now_ns
        return self._sequenced(frame, delta)

    def begin(self, frame: bytes, now_ns: int) -> int:
        """Begins the book with a delta; see `BookSync.seed`."""
        self.slow += 1
        self.heard_ns = now_ns
        return self.sync.seed(self._decoded(frame, now_ns))

    def answered(self, snapshot: BookDelta) -> tuple[Verdict, int]:
        """Takes a REST snapshot; see `BookSync.join`."""
        verdict, flags = self.sync.join(snapshot)
        return verdict, flags if self.sync.live else flags | LOST

    def lose(self, reason: str, stream_ended: bool = False) -> int:
        """The book may be wrong from here on; with `stream_ended`, so may what was held for it."""
        self.sync.lose(reason)
        if stream_ended:
            self.sync.forget()
        return LOST

    def _decoded(self, frame: bytes, now_ns: int) -> BookDelta:
        try:
            for event in self._codec.decode_market(self.feed, frame, now_ns):
                if isinstance(event, BookDelta):
                    return event
        except MalformedFrame as error:
            self.sync.lose(f"malformed frame: {error.kind}")
            raise
        self.sync.lose("malformed frame: no book in it")
        raise MalformedFrame("no book in it", frame[:80].decode("latin-1"))

    def _sequenced(self, frame: bytes, delta: BookDelta) -> int:
        if delta.snapshot:
            self._audit = self._codec.audit() if delta.checksum else None
            self.sync.careful = self._audit is not None
        verdict, flags = self.sync.offer(delta)
        if self._audit is not None and verdict in (Verdict.APPLY, Verdict.SNAPSHOT):
            if self._audit.check(frame):
                self.sync.verified += 1
            else:
                self.sync.mismatched += 1
                self._audit = None
                self.sync.lose("checksum does not match")
        if not self.sync.live:
            return flags | LOST
        return flags
