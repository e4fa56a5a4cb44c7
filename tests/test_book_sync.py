"""Snapshots, deltas, gaps and what is held meanwhile: a book is never valid and wrong."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hftmm.book.kernels import APPLIED, BID_MOVED, CROSSED, NEVER
from hftmm.book.order_book import ASKS, BIDS, OrderBook
from hftmm.book.sync import MOST_HELD, BookSync
from hftmm.core.events import BookDelta, Verdict
from tests.books import Rows, delta, top
from tests.frames import BYBIT, LINEAR, OKX, SPOT, Stream

START: tuple[Rows, Rows] = [(10_000, 1.0), (9_990, 1.0)], [(10_010, 1.0), (10_020, 1.0)]


def sync(stream: Stream = SPOT) -> BookSync:
    return BookSync(OrderBook(stream.listing), stream.codec.sequence, stream.codec.book_by_rest)


def snapshot(final: int, stream: Stream = SPOT, *, complete: bool = True) -> BookDelta:
    return delta(*START, final=final, of=stream.listing, snapshot=True, complete=complete)


def update(
    before: int, final: int, bids: Rows = (), asks: Rows = (), stream: Stream = SPOT
) -> BookDelta:
    """The message that follows `before`."""
    first = before + 1 if stream is SPOT else final
    prev = before if stream in (LINEAR, OKX) else -1
    return delta(bids, asks, first=first, final=final, prev=prev, of=stream.listing)


def live(stream: Stream = SPOT, final: int = 10) -> BookSync:
    begun = sync(stream)
    if stream.codec.book_by_rest:
        begun.offer(update(final - 1, final, stream=stream))
        begun.join(snapshot(final, stream))
        # Past the first message after the snapshot, for which the rule is another.
        begun.offer(update(final, final + 1, stream=stream))
    else:
        begun.offer(snapshot(final, stream))
        begun.offer(update(final, final + 1, stream=stream))
    assert begun.live
    return begun


def applied(of: BookSync) -> int:
    return int(of.book.ints[0, APPLIED])


# -- beginning ----------------------------------------------------------------------------------


def test_a_new_book_wants_a_snapshot_and_lets_nothing_follow() -> None:
    new = sync()
    assert (new.live, new.wanting, new.book.valid, new.last) == (False, True, False, NEVER)


def test_messages_are_held_until_the_rest_snapshot_and_replayed_on_it() -> None:
    new = sync()
    for final in (9, 10, 11, 12):
        assert new.offer(update(final - 1, final, [(10_001, float(final))])) == (Verdict.HOLD, 0)
    verdict, flags = new.join(snapshot(10))
    assert verdict is Verdict.APPLY
    assert flags & BID_MOVED
    assert (new.live, new.wanting, new.book.valid, new.last) == (True, False, True, 12)
    assert (new.book.bid, new.book.bid_size) == (100.01, 12.0)
    assert (new.snapshots, new.deltas, new.skipped, new.gaps, new.resyncs) == (1, 2, 2, 0, 0)
    assert applied(new) == 12


def test_a_held_message_keeps_its_levels_when_the_scratch_is_used_again() -> None:
    new = sync()
    message = update(9, 10, [(10_005, 4.0)])
    new.offer(message)
    message.tick_buffer[0] = 1
    new.join(snapshot(9))
    assert new.book.bid == 100.05


def test_a_snapshot_older_than_what_is_held_is_fetched_again_and_nothing_is_lost() -> None:
    new = sync()
    new.offer(update(19, 20))
    new.offer(update(20, 21))
    assert new.join(snapshot(10)) == (Verdict.REFETCH, 0)
    assert (new.live, new.wanting, new.book.valid) == (False, True, False)
    assert new.join(snapshot(20))[0] is Verdict.APPLY
    assert (new.last, new.skipped) == (21, 1)


def test_what_an_attempt_to_join_passes_over_is_counted_once() -> None:
    new = sync()
    new.offer(update(8, 9))
    new.offer(update(19, 20))
    assert new.join(snapshot(10)) == (Verdict.REFETCH, 0)
    assert new.join(snapshot(11)) == (Verdict.REFETCH, 0)
    assert new.join(snapshot(20))[0] is Verdict.APPLY
    assert new.skipped == 2


def test_a_gap_among_the_held_messages_begins_again() -> None:
    new = sync()
    new.offer(update(10, 11))
    new.offer(update(20, 21))
    assert new.join(snapshot(10)) == (Verdict.RESYNC, 0)
    assert (new.live, new.gaps) == (False, 1)
    assert new.book.reason == "gap among the messages held for the snapshot"
    new.offer(update(21, 22))
    assert new.join(snapshot(21))[0] is Verdict.APPLY
    assert new.last == 22


def test_a_quiet_stream_is_joined_with_nothing_held_and_its_first_message_by_the_joining_rule() -> (
    None
):
    new = sync()
    assert new.join(snapshot(10))[0] is Verdict.APPLY
    # Held back from the kernels: an overlapping message would not plainly follow.
    assert (applied(new), new.last) == (NEVER, 10)
    assert new.offer(update(7, 9))[0] is Verdict.SKIP
    assert new.offer(update(8, 12, [(10_001, 2.0)])) == (Verdict.APPLY, BID_MOVED)
    assert applied(new) == 12
    assert new.offer(update(13, 14))[0] is Verdict.RESYNC


def test_a_gap_behind_a_snapshot_joined_in_quiet_is_a_gap() -> None:
    new = sync()
    new.join(snapshot(10))
    assert new.offer(update(12, 13))[0] is Verdict.REFETCH
    assert (new.live, new.book.valid, new.wanting, new.gaps) == (False, False, True, 1)


def test_an_answer_nobody_waits_for_changes_nothing() -> None:
    begun = live()
    assert begun.join(snapshot(99)) == (Verdict.SKIP, 0)
    assert (begun.last, begun.snapshots) == (11, 1)


def test_of_too_many_held_messages_the_oldest_go() -> None:
    new = sync()
    for final in range(1, MOST_HELD + 3):
        new.offer(update(final - 1, final))
    assert new.join(snapshot(1)) == (Verdict.REFETCH, 0)
    assert new.join(snapshot(2))[0] is Verdict.APPLY
    assert new.last == MOST_HELD + 2


def test_usd_m_joins_by_the_message_that_contains_the_snapshot() -> None:
    new = sync(LINEAR)
    wide = delta([(10_001, 3.0)], first=95, final=105, prev=90, of=LINEAR.listing)
    new.offer(wide)
    new.offer(update(105, 120, stream=LINEAR))
    assert new.join(snapshot(100, LINEAR))[0] is Verdict.APPLY
    assert (new.last, new.book.bid) == (120, 100.01)


# -- the stream brings its snapshots -------------------------------------------------------------


@pytest.mark.parametrize("stream", [BYBIT, OKX], ids=["bybit", "okx"])
def test_before_its_snapshot_a_stream_is_skipped(stream: Stream) -> None:
    new = sync(stream)
    assert new.offer(update(4, 5, stream=stream)) == (Verdict.SKIP, 0)
    assert new.offer(snapshot(10, stream))[0] is Verdict.SNAPSHOT
    assert (new.live, applied(new), new.snapshots, new.skipped) == (True, 10, 1, 1)


@pytest.mark.parametrize("stream", [BYBIT, OKX], ids=["bybit", "okx"])
def test_a_snapshot_in_the_stream_replaces_a_live_book(stream: Stream) -> None:
    begun = live(stream)
    begun.offer(snapshot(50, stream))
    assert (begun.live, begun.last, begun.snapshots, begun.resyncs) == (True, 50, 2, 0)


@pytest.mark.parametrize("stream", [BYBIT, OKX], ids=["bybit", "okx"])
def test_the_depth_a_stream_keeps_has_no_edge_that_the_touch_could_reach(stream: Stream) -> None:
    new = sync(stream)
    new.offer(snapshot(10, stream, complete=False))
    assert (new.book.bid_floor, new.book.ask_ceiling) == (None, None)


def test_the_edge_of_a_rest_snapshot_stays() -> None:
    new = sync()
    new.join(snapshot(10, complete=False))
    assert (new.book.bid_floor, new.book.ask_ceiling) == (9_990, 10_020)


def test_bybits_id_of_one_begins_anew_live_or_not() -> None:
    begun = live(BYBIT)
    one = delta([(5_000, 1.0)], [(5_010, 1.0)], final=1, of=BYBIT.listing)
    assert begun.offer(one)[0] is Verdict.SNAPSHOT
    assert (begun.book.bid, begun.book.count(BIDS), begun.last) == (50.0, 1, 1)
    begun.lose("test")
    again = delta([(5_001, 1.0)], [(5_010, 1.0)], final=1, of=BYBIT.listing)
    assert begun.offer(again)[0] is Verdict.SNAPSHOT
    assert begun.live


def test_okx_ids_that_begin_anew_are_no_gap() -> None:
    begun = live(OKX)
    assert begun.offer(update(11, 3, stream=OKX))[0] is Verdict.APPLY
    assert begun.offer(update(3, 3, stream=OKX))[0] is Verdict.APPLY
    assert begun.offer(update(3, 5, stream=OKX))[0] is Verdict.APPLY
    assert (begun.live, begun.last, applied(begun)) == (True, 5, 5)


# -- losing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [SPOT, LINEAR, BYBIT, OKX], ids=lambda s: s.name)
def test_a_gap_makes_the_book_invalid_in_the_same_call(stream: Stream) -> None:
    begun = live(stream)
    assert begun.offer(update(12, 13, stream=stream)) == (Verdict.RESYNC, 0)
    assert (begun.live, begun.book.valid, begun.wanting) == (False, False, True)
    assert (begun.gaps, applied(begun), begun.last) == (1, NEVER, 11)
    assert begun.book.reason.startswith("gap: update 11 is followed by ")


def test_the_message_that_shows_a_gap_is_held_for_the_next_snapshot_and_no_older_one() -> None:
    begun = live()
    begun.refresh()
    begun.offer(update(11, 12))
    begun.offer(update(19, 20, [(10_005, 2.0)]))
    assert begun.join(snapshot(12))[0] is Verdict.REFETCH
    assert begun.join(snapshot(19))[0] is Verdict.APPLY
    assert (begun.last, begun.book.bid, begun.resyncs, begun.gaps) == (20, 100.05, 1, 1)


def test_in_a_stream_with_snapshots_a_message_after_a_gap_is_not_held() -> None:
    begun = live(OKX)
    begun.offer(update(12, 13, stream=OKX))
    assert begun.offer(update(13, 14, stream=OKX))[0] is Verdict.SKIP
    assert begun.offer(snapshot(20, OKX))[0] is Verdict.SNAPSHOT
    assert (begun.resyncs, begun.last) == (1, 20)


def test_losing_twice_keeps_the_counts_and_the_place_in_the_stream() -> None:
    begun = live()
    begun.lose("first")
    before = (begun.snapshots, begun.deltas, begun.gaps, begun.resyncs, begun.last)
    begun.lose("second")
    assert (begun.snapshots, begun.deltas, begun.gaps, begun.resyncs, begun.last) == before
    assert (begun.book.reason, begun.wanting) == ("second", True)


def test_losing_a_book_that_never_was_is_no_resync() -> None:
    new = sync()
    new.lose("disconnected")
    new.join(snapshot(10))
    assert (new.live, new.resyncs) == (True, 0)


def test_what_was_held_is_forgotten_with_the_stream_it_came_from() -> None:
    new = sync()
    new.offer(update(19, 20))
    new.lose("disconnected")
    new.forget()
    assert new.join(snapshot(10))[0] is Verdict.APPLY


def test_levels_that_cross_lose_the_book() -> None:
    begun = live()
    assert begun.offer(update(11, 12, [(10_010, 1.0)])) == (Verdict.APPLY, CROSSED)
    assert (begun.live, begun.book.valid, begun.crossed, applied(begun)) == (False, False, 1, NEVER)
    assert "crossed" in begun.book.reason
    assert begun.wanting


def test_a_snapshot_that_crosses_is_no_book() -> None:
    new = sync(OKX)
    crossed = delta([(5, 1.0)], [(5, 1.0)], final=3, of=OKX.listing, snapshot=True)
    assert new.offer(crossed) == (Verdict.SNAPSHOT, CROSSED)
    assert (new.live, new.book.valid, applied(new)) == (False, False, NEVER)


def test_a_crossing_among_the_held_messages_leaves_the_book_lost() -> None:
    new = sync()
    new.offer(update(10, 11, [(10_010, 1.0)]))
    new.offer(update(11, 12, [(10_010, 0.0)]))
    verdict, flags = new.join(snapshot(10))
    assert verdict is Verdict.RESYNC
    assert flags & CROSSED
    assert (new.live, new.book.valid, applied(new)) == (False, False, NEVER)


def test_a_crossing_found_by_a_kernel_is_rejected_the_same_way() -> None:
    begun = live()
    assert begun.reject_crossed() == CROSSED
    assert (begun.live, begun.crossed, begun.last) == (False, 1, 11)


# -- seeding, refreshing, care -------------------------------------------------------------------


@pytest.mark.parametrize("stream", [SPOT, LINEAR, BYBIT, OKX], ids=lambda s: s.name)
def test_a_recording_without_snapshots_is_studied_from_its_first_delta(stream: Stream) -> None:
    new = sync(stream)
    new.from_delta = True
    first = update(4, 5, [(10_000, 1.0), (9_000, 0.0)], [(10_002, 1.0)], stream)
    assert new.offer(first)[0] is Verdict.APPLY
    assert (new.live, new.seeded, new.last) == (True, False, 5)
    assert (new.snapshots, new.deltas, new.skipped) == (0, 1, 0)
    assert (new.book.count(BIDS), new.book.count(ASKS)) == (1, 1)
    assert new.offer(update(5, 6, stream=stream))[0] is Verdict.APPLY
    assert new.offer(update(8, 9, stream=stream))[0] is Verdict.RESYNC
    new.offer(update(9, 10, stream=stream))
    assert not new.live, "begun once, it does not begin again for want of a snapshot"


def test_a_recording_that_begins_with_bybits_id_of_one_begins_with_a_snapshot() -> None:
    new = sync(BYBIT)
    new.from_delta = True
    assert new.offer(update(0, 1, [(10_000, 1.0)], [], BYBIT))[0] is Verdict.SNAPSHOT
    assert (new.seeded, new.snapshots, new.deltas) == (True, 1, 0)


def test_a_book_goes_on_while_a_deeper_snapshot_is_fetched() -> None:
    begun = live()
    begun.refresh()
    assert (begun.refreshing, begun.live, applied(begun), begun.last) == (True, True, NEVER, 11)
    assert begun.offer(update(11, 12, [(10_001, 3.0)])) == (Verdict.APPLY, BID_MOVED)
    assert begun.offer(update(12, 13, [(10_002, 4.0)])) == (Verdict.APPLY, BID_MOVED)
    assert (applied(begun), begun.book.bid) == (NEVER, 100.02)
    assert begun.join(snapshot(12))[0] is Verdict.APPLY
    assert (begun.refreshing, applied(begun), begun.last) == (False, 13, 13)
    assert (begun.book.bid, begun.resyncs, begun.book.valid) == (100.02, 0, True)


def test_a_deeper_snapshot_older_than_the_book_is_fetched_again() -> None:
    begun = live()
    begun.refresh()
    assert begun.join(snapshot(10)) == (Verdict.REFETCH, 0)
    begun.offer(update(11, 12))
    assert begun.join(snapshot(10)) == (Verdict.REFETCH, 0)
    assert (begun.live, begun.refreshing, begun.last) == (True, True, 12)


def test_a_deeper_snapshot_newer_than_the_book_takes_its_place_until_the_stream_meets_it() -> None:
    begun = live()
    begun.refresh()
    begun.offer(update(11, 12))
    assert begun.join(snapshot(20))[0] is Verdict.APPLY
    assert (applied(begun), begun.last) == (NEVER, 20)
    assert begun.offer(update(12, 18))[0] is Verdict.SKIP
    assert begun.offer(update(18, 22))[0] is Verdict.APPLY
    assert applied(begun) == 22


def test_the_touch_does_not_go_back_when_a_deeper_snapshot_arrives() -> None:
    begun = live()
    begun.refresh()
    begun.offer(update(11, 12))
    begun.book.quote(top(100.05, 3.0, 100.1, 1.0, 14))
    assert begun.join(snapshot(12))[0] is Verdict.APPLY
    assert (begun.book.bid, begun.book.bid_size) == (100.05, 3.0)
    begun.offer(update(12, 14))
    assert begun.book.bid == 100.0


def test_a_quote_from_before_a_loss_is_not_the_touch_of_the_book_that_comes_back() -> None:
    begun = live()
    begun.book.quote(top(100.05, 3.0, 100.1, 1.0, 99))
    begun.lose("test")
    begun.join(snapshot(20))
    assert (begun.book.bid, begun.book.top) == (100.0, None)


def test_refreshing_is_for_live_books_with_rest_snapshots_and_only_begins_once() -> None:
    new = sync()
    new.refresh()
    assert not new.refreshing
    in_stream = live(OKX)
    in_stream.refresh()
    assert not in_stream.refreshing
    begun = live()
    begun.refresh()
    begun.offer(update(11, 12))
    begun.refresh()
    assert begun.join(snapshot(11))[0] is Verdict.APPLY
    assert begun.last == 12


def test_a_loss_ends_a_refresh() -> None:
    begun = live()
    begun.refresh()
    begun.lose("disconnected")
    assert (begun.refreshing, begun.wanting) == (False, True)


def test_a_careful_book_lets_no_message_follow_unseen() -> None:
    new = sync(OKX)
    new.careful = True
    new.offer(snapshot(10, OKX))
    assert (applied(new), new.last) == (NEVER, 10)
    assert new.offer(update(10, 11, stream=OKX))[0] is Verdict.APPLY
    assert (applied(new), new.last) == (NEVER, 11)


# -- never valid and wrong -----------------------------------------------------------------------


class SyncAgainstVenue(RuleBasedStateMachine):
    """A venue that changes its book, and a wire that loses, repeats, delays and reorders.

    The truth is kept for every update id; whenever our book is valid it must equal the truth at
    the id it says it is at.
    """

    stream: Stream

    def __init__(self) -> None:
        super().__init__()
        self.sync = sync(self.stream)
        self.id = 100
        self.bids: dict[int, float] = {10_000: 1.0, 9_999: 2.0}
        self.asks: dict[int, float] = {10_010: 1.0, 10_011: 2.0}
        self.truth = {self.id: (dict(self.bids), dict(self.asks))}
        self.wire: list[BookDelta] = []
        self.answers: list[BookDelta] = []

    @initialize()
    def subscribe(self) -> None:
        if not self.sync.by_rest:
            self.wire.append(self._snapshot())

    # -- the venue

    @rule(
        side=st.booleans(),
        offset=st.integers(0, 4),
        size=st.sampled_from([0.0, 0.5, 1.0, 2.0]),
        jump=st.integers(1, 3),
    )
    def change(self, side: bool, offset: int, size: float, jump: int) -> None:
        tick = 10_000 - offset if side else 10_010 + offset
        changed = self.bids if side else self.asks
        if size:
            changed[tick] = size
        else:
            changed.pop(tick, None)
        before = self.id
        # Ids of spot count changes, those of a Bybit topic messages; the others jump.
        self.id += 1 if self.stream is BYBIT else jump
        self.truth[self.id] = (dict(self.bids), dict(self.asks))
        rows = [(tick, size)]
        self.wire.append(
            update(before, self.id, rows if side else (), () if side else rows, self.stream)
        )

    @rule()
    def snapshot_now(self) -> None:
        if self.sync.by_rest:
            self.answers.append(self._snapshot())
        elif not self.sync.live:
            # Subscribed anew: what was on the wire for the old subscription is gone.
            self.wire = [self._snapshot()]

    # -- the wire

    @precondition(lambda self: self.wire)
    @rule(count=st.integers(1, 4))
    def deliver(self, count: int) -> None:
        for message in self.wire[:count]:
            self.sync.offer(message.copy())
        del self.wire[:count]

    @precondition(lambda self: self.wire)
    @rule()
    def drop(self) -> None:
        del self.wire[0]

    @precondition(lambda self: self.wire)
    @rule()
    def repeat(self) -> None:
        self.wire.insert(0, self.wire[0].copy())

    @precondition(lambda self: len(self.wire) > 1)
    @rule()
    def swap(self) -> None:
        # A snapshot is the first of a subscription: nothing of it can come before.
        if not (self.wire[0].snapshot or self.wire[1].snapshot):
            self.wire[0], self.wire[1] = self.wire[1], self.wire[0]

    @precondition(lambda self: self.answers)
    @rule(newest=st.booleans())
    def answer(self, newest: bool) -> None:
        self.sync.join(self.answers.pop(-1 if newest else 0).copy())

    # -- what we do of our own accord

    @rule()
    def refresh(self) -> None:
        self.sync.refresh()

    @rule(ended=st.booleans())
    def lose(self, ended: bool) -> None:
        self.sync.lose("test")
        if ended:
            self.sync.forget()
            self.wire = [] if self.sync.by_rest else [self._snapshot()]

    # -- what must hold

    @invariant()
    def a_valid_book_is_right(self) -> None:
        self.sync.book._check()
        assert self.sync.live == self.sync.book.valid
        assert self.sync.live or self.sync.wanting
        if self.sync.live:
            bids, asks = self.truth[self.sync.last]
            assert self._levels(BIDS) == bids
            assert self._levels(ASKS) == asks

    @invariant()
    def nothing_passes_the_rule_while_it_must_be_asked(self) -> None:
        ints = applied(self.sync)
        assert ints in (NEVER, self.sync.last)
        if not self.sync.live or self.sync.refreshing:
            assert ints == NEVER

    def _levels(self, side: int) -> dict[int, float]:
        ticks, sizes = self.sync.book.levels(BIDS if side == BIDS else ASKS)
        return dict(zip(ticks.tolist(), sizes.tolist(), strict=True))

    def _snapshot(self) -> BookDelta:
        return delta(
            list(self.bids.items()),
            list(self.asks.items()),
            final=self.id,
            of=self.stream.listing,
            snapshot=True,
        )

    def teardown(self) -> None:
        """With a wire that works again, the book is live and up to date."""
        if not self.sync.by_rest:
            if not self.sync.live or self.wire:
                self.wire = []
                self.sync.offer(self._snapshot())
        else:
            for message in self.wire:
                self.sync.offer(message)
            self.wire = []
            for _ in range(3):
                if self.sync.wanting or self.sync.refreshing:
                    self.sync.join(self._snapshot())
            if self.sync.last < self.id:
                # Its last messages were dropped, and nothing after them can have told.
                self.change(True, 0, 3.0, 1)
                self.sync.offer(self.wire.pop())
                self.sync.join(self._snapshot())
        self.a_valid_book_is_right()
        assert self.sync.live
        if self.sync.by_rest or self.sync.last == self.id:
            assert self.sync.last == self.id


class _Spot(SyncAgainstVenue):
    stream = SPOT


class _Linear(SyncAgainstVenue):
    stream = LINEAR


class _Bybit(SyncAgainstVenue):
    stream = BYBIT


class _Okx(SyncAgainstVenue):
    stream = OKX


TestSpotSync = _Spot.TestCase
TestLinearSync = _Linear.TestCase
TestBybitSync = _Bybit.TestCase
TestOkxSync = _Okx.TestCase
for case in (TestSpotSync, TestLinearSync, TestBybitSync, TestOkxSync):
    case.settings = settings(stateful_step_count=40)
