"""Keeps one book in step with its venue's stream, by the venue's documented rule."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

from hftmm.book.kernels import APPLIED, CROSSED, NEVER
from hftmm.book.order_book import OrderBook
from hftmm.core.events import BookDelta, Verdict

Sequence: TypeAlias = Callable[[int, BookDelta, bool], Verdict]
"""(id applied last, message, whether it is the first after a REST snapshot) -> verdict."""

MOST_HELD: Final = 5_000
"""Messages held for a snapshot; if it takes more, the oldest go, and the next snapshot joins."""


class BookSync:
    """Buffer, snapshot, replay, live, gap, and again.

    The book is valid exactly while `live`. A message that plainly follows may be applied past this
    object by a kernel that reads `ints[0, APPLIED]`; that holds NEVER while the rule must be asked.

    Attributes:
        live: the book follows the stream.
        wanting: a snapshot must be got: by a request where `by_rest`, else by subscribing anew.
        from_delta: the book may begin with a delta, for want of any snapshot (recordings).
        seeded: False if it did.
        careful: every message is shown to the rule, none applied past it (checksums are verified).
        snapshots, deltas, skipped, gaps, crossed, resyncs: counts since the start; a resync is a
            book that was lost for any cause and came back. `deltas` are those applied here.
        verified, mismatched: checksums.
    """

    __slots__ = (
        "_held",
        "_joining",
        "_last",
        "_sequence",
        "book",
        "by_rest",
        "careful",
        "crossed",
        "deltas",
        "from_delta",
        "gaps",
        "live",
        "mismatched",
        "refreshing",
        "resyncs",
        "seeded",
        "skipped",
        "snapshots",
        "verified",
        "wanting",
    )

    def __init__(self, book: OrderBook, sequence: Sequence, by_rest: bool) -> None:
        self.book = book
        self.by_rest = by_rest
        self.live = False
        self.wanting = True
        self.refreshing = False
        self.from_delta = False
        self.seeded = True
        self.careful = False
        self.verified = self.mismatched = 0
        self.snapshots = self.deltas = self.skipped = 0
        self.gaps = self.crossed = self.resyncs = 0
        self._sequence = sequence
        self._held: deque[BookDelta] = deque(maxlen=MOST_HELD)
        self._joining = False
        self._last = NEVER

    @property
    def last(self) -> int:
        """Update id applied last, or of the snapshot."""
        applied = int(self.book.ints[0, APPLIED])
        return self._last if applied == NEVER else applied

    def offer(self, delta: BookDelta) -> tuple[Verdict, int]:
        """Takes the next message of the stream.

        Returns:
            The verdict, and the book's flags if something was applied. After RESYNC the book is
            invalid and a snapshot is wanted.
        """
        verdict = self._judge(delta)
        if self.from_delta and not self.live and verdict is not Verdict.SNAPSHOT:
            return Verdict.APPLY, self._seed(delta)
        match verdict:
            case Verdict.APPLY:
                if self.refreshing:
                    self._held.append(delta.copy())
                self._joining = False
                return verdict, self._apply(delta)
            case Verdict.SNAPSHOT:
                # A stream that brings its snapshots goes on to tell what comes within its depth:
                # unlike that of a REST snapshot, its edge moves with the touch.
                delta.complete |= delta.snapshot
                delta.snapshot = True
                return verdict, self._begin(delta)
            case Verdict.HOLD:
                self._held.append(delta.copy())
            case Verdict.SKIP:
                self.skipped += 1
            case Verdict.RESYNC | Verdict.REFETCH:
                self.gaps += 1
                self.lose(f"gap: update {self.last} is followed by {delta.first_id}")
                # What was held connects to the book just lost, but not to this message.
                self._held.clear()
                if self.by_rest:
                    self._held.append(delta.copy())
        return verdict, 0

    def join(self, snapshot: BookDelta) -> tuple[Verdict, int]:
        """Takes a REST snapshot and replays the messages held for it.

        Returns:
            APPLY and the flags if the book is live now; REFETCH if the snapshot is older than the
            first message held, which all stay held; RESYNC if those do not connect to each other.
        """
        if not self.wanting and not self.refreshing:
            return Verdict.SKIP, 0
        last, joining, skipped = snapshot.final_id, True, 0
        follow: list[BookDelta] = []
        for delta in self._held:
            verdict = self._sequence(last, delta, joining)
            if verdict is Verdict.APPLY:
                follow.append(delta)
                last, joining = delta.final_id, False
            elif verdict is Verdict.SKIP:
                skipped += 1
            elif joining:
                return Verdict.REFETCH, 0
            else:
                self.gaps += 1
                self._held.clear()
                self.lose("gap among the messages held for the snapshot")
                return Verdict.RESYNC, 0
        if self.refreshing and last < self.last:
            return Verdict.REFETCH, 0
        top = self.book.top if self.refreshing else None
        self.refreshing = False
        self.skipped += skipped
        flags = self._begin(snapshot)
        self._joining = joining
        if joining:
            self.book.ints[0, APPLIED] = NEVER
        for delta in follow:
            if self.live:
                flags |= self._apply(delta)
        if top is not None:
            # Newer than the levels before, and as a rule than these: the touch must not go back.
            flags |= self.book.quote(top)
        return (Verdict.APPLY if self.live else Verdict.RESYNC), flags

    def refresh(self) -> None:
        """A deeper snapshot is on its way while the book goes on: hold what it must replay."""
        if self.live and self.by_rest and not self.refreshing:
            self._last = self.last
            self.refreshing = True
            self.book.ints[0, APPLIED] = NEVER
            self._held.clear()

    def lose(self, reason: str) -> None:
        """The book may be wrong from here on."""
        self._last = self.last
        self.book.invalidate(reason)
        self.live = False
        self.wanting = True
        self.refreshing = False
        self._joining = False

    def forget(self) -> None:
        """The stream itself ended: nothing held so far connects to what comes next."""
        self._held.clear()

    def rebase(self, book: OrderBook, factor: int) -> None:
        """Goes on with a copy of the book on a grid `factor` times as fine."""
        book.ints[0, APPLIED] = self.book.ints[0, APPLIED]
        for delta in self._held:
            delta.listing = book.listing
            delta.tick_buffer = delta.ticks * factor
        self.book = book

    def _judge(self, delta: BookDelta) -> Verdict:
        if self.live:
            return self._sequence(self.last, delta, self._joining)
        if delta.snapshot:
            return Verdict.SNAPSHOT
        if self.by_rest:
            return Verdict.HOLD
        # Even now the rule may call a plain message a snapshot (Bybit u = 1).
        verdict = self._sequence(NEVER, delta, False)
        return verdict if verdict is Verdict.SNAPSHOT else Verdict.SKIP

    def _seed(self, delta: BookDelta) -> int:
        """Begins the book with a delta: what it does not mention is unknown."""
        self.seeded = False
        delta.snapshot = True
        delta.complete = False
        flags = self._begin(delta)
        self.snapshots -= 1
        self.deltas += 1
        return flags

    def _begin(self, snapshot: BookDelta) -> int:
        self.from_delta = False
        if self.snapshots and not self.live:
            self.resyncs += 1
        self.snapshots += 1
        flags = self.book.apply(snapshot)
        self.live = True
        self.wanting = False
        self._joining = False
        self._held.clear()
        self._note(snapshot.final_id)
        return self._reject_crossed(flags)

    def _apply(self, delta: BookDelta) -> int:
        self.deltas += 1
        flags = self.book.apply(delta)
        self._note(delta.final_id)
        return self._reject_crossed(flags)

    def _note(self, final_id: int) -> None:
        self._last = final_id
        self.book.ints[0, APPLIED] = NEVER if self.refreshing or self.careful else final_id

    def _reject_crossed(self, flags: int) -> int:
        return self.reject_crossed() if flags & CROSSED else flags

    def reject_crossed(self) -> int:
        """A venue's own book never crosses: what says so is corrupt.

        Returns:
            CROSSED, the flag that tells the caller.
        """
        self.crossed += 1
        book = self.book
        self.lose(f"crossed: bid {book.bid} at or above ask {book.ask}")
        return CROSSED
