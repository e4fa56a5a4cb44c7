"""One depth stream from bytes to book: the fused kernel, the venue's rule, checksums, two lines."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hftmm.book.kernels import BID_MOVED, CROSSED
from hftmm.book.order_book import ASKS, BIDS, OrderBook
from hftmm.book.sync import BookSync
from hftmm.core.errors import MalformedFrame
from hftmm.core.events import Verdict
from hftmm.venues.codec import Feed
from hftmm.venues.depth import AHEAD, BEHIND, LOST, DepthFeed, Overlap
from tests.books import delta, top
from tests.frames import BYBIT, LINEAR, OKX, SPOT, STREAMS, Rows, Stream, bybit, okx
from tests.naive import NaiveBook
from tests.test_scan import in_the_documented_envelope, mutations

BIDS_0 = [("100.00", "1.5"), ("99.90", "2")]
ASKS_0 = [("100.10", "1"), ("100.20", "3.25")]
by_venue = pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)


def opened(stream: Stream, final: int = 10) -> DepthFeed:
    """A feed whose book is live, at this id."""
    feed = DepthFeed(stream.feed, stream.codec)
    if stream.codec.book_by_rest:
        book = delta(
            [(10_000, 1.5), (9_990, 2.0)],
            [(10_010, 1.0), (10_020, 3.25)],
            final=final - 1,
            of=stream.listing,
            snapshot=True,
        )
        assert feed.answered(book)[0] is Verdict.APPLY
        feed.received(stream.write(final - 1, final, [], []), 1)
    else:
        write = bybit if stream is BYBIT else okx
        flags = feed.received(write(final=final, bids=BIDS_0, asks=ASKS_0, kind="snapshot"), 1)
        assert not flags & LOST
    assert feed.sync.live
    assert (feed.book.bid, feed.book.ask) == (100.0, 100.1)
    feed.fast = feed.slow = 0
    return feed


# -- one line ----------------------------------------------------------------------------------


@by_venue
def test_a_frame_that_plainly_follows_is_taken_by_the_kernel(stream: Stream) -> None:
    feed = opened(stream)
    assert feed.received(stream.write(10, 11, [("100.05", "0.5")], []), 7) == BID_MOVED
    assert (feed.fast, feed.slow) == (1, 0)
    assert (feed.book.bid, feed.book.received_ns, feed.heard_ns) == (100.05, 7, 7)
    assert feed.sync.last == 11
    assert feed.received(stream.write(11, 12, [("90.00", "0.5")], []), 8) == 0
    assert (feed.fast, feed.book.count(BIDS), feed.book.received_ns) == (2, 4, 8)


@by_venue
def test_a_frame_in_another_shape_is_taken_by_the_decoder_and_the_rule(stream: Stream) -> None:
    feed = opened(stream)
    frame = stream.write(10, 11, [("100.05", "0.5")], []).replace(b",", b", ")
    assert feed.received(frame, 7) == BID_MOVED
    assert (feed.fast, feed.slow, feed.sync.last) == (0, 1, 11)


@by_venue
def test_a_gap_loses_the_book_in_the_same_call(stream: Stream) -> None:
    feed = opened(stream)
    assert feed.received(stream.write(12, 13, [], []), 7) == LOST
    assert (feed.book.valid, feed.sync.gaps) == (False, 1)
    assert feed.received(stream.write(13, 14, [], []), 8) == 0


@by_venue
def test_a_repetition_changes_nothing(stream: Stream) -> None:
    feed = opened(stream)
    frame = stream.write(10, 11, [("100.05", "0.5")], [])
    feed.received(frame, 7)
    assert feed.received(frame, 8) == 0
    assert feed.book.valid
    assert feed.book.count(BIDS) == 3


@by_venue
def test_a_frame_that_crosses_the_book_loses_it(stream: Stream) -> None:
    feed = opened(stream)
    assert feed.received(stream.write(10, 11, [("100.10", "1")], []), 7) == CROSSED | LOST
    assert (feed.book.valid, feed.sync.crossed, feed.fast) == (False, 1, 1)


@by_venue
def test_a_malformed_frame_is_raised_for_whoever_counts_it(stream: Stream) -> None:
    feed = opened(stream)
    with pytest.raises(MalformedFrame):
        feed.received(stream.write(10, 11, [], [])[:-3], 7)
    assert feed.lose("malformed") == LOST
    assert (feed.book.valid, feed.book.reason) == (False, "malformed")
    assert feed.lose("disconnected", stream_ended=True) == 0


def test_a_frame_of_another_market_on_the_stream_is_malformed() -> None:
    feed = opened(LINEAR)
    # Coin-margined events carry st 2; white space keeps the kernel away from it.
    frame = LINEAR.write(10, 11, [], []).replace(b'"s":', b'"st": 2,"s":')
    with pytest.raises(MalformedFrame, match="no book in it"):
        feed.received(frame, 7)


def test_two_books_in_one_frame_are_malformed_and_none_of_them_is_taken() -> None:
    feed = opened(OKX)
    frame = OKX.write(10, 11, [("100.05", "1")], [])
    head, _, row = frame.partition(b'"data":[')
    row = row[: row.rindex(b"]}")]
    with pytest.raises(MalformedFrame, match="several books"):
        feed.received(head + b'"data":[' + row + b"," + row + b"]}", 2)
    assert (feed.sync.last, feed.book.bid) == (10, 100.0)


def test_levels_that_catch_up_with_a_quote_show_through_the_kernel_as_well() -> None:
    feed = opened(SPOT)
    feed.book.quote(top(100.04, 1.0, 100.1, 1.0, 12, of=SPOT.listing))
    assert feed.received(SPOT.write(10, 11, [("100.05", "0.5")], []), 7) == 0
    assert feed.book.bid == 100.04
    assert feed.received(SPOT.write(11, 12, [], []), 8) == BID_MOVED
    assert (feed.book.bid, feed.book.top, feed.fast) == (100.05, None, 2)


def test_the_window_is_centred_again_when_the_kernel_finds_the_touch_outside() -> None:
    feed = opened(SPOT)
    gone = [("100.10", "0"), ("100.20", "0")]
    feed.received(SPOT.write(10, 11, [("900.00", "1")], [*gone, ("900.10", "2")]), 7)
    assert (feed.book.bid, feed.book.ask, feed.fast) == (900.0, 900.1, 1)
    feed.book._check()


@by_venue
def test_a_recording_without_snapshots_begins_with_a_delta(stream: Stream) -> None:
    feed = DepthFeed(stream.feed, stream.codec)
    feed.sync.from_delta = True
    feed.received(stream.write(10, 11, BIDS_0, ASKS_0), 7)
    assert (feed.sync.live, feed.sync.seeded, feed.sync.last) == (True, False, 11)
    feed.received(stream.write(11, 12, [("100.05", "1")], []), 8)
    assert (feed.book.bid, feed.fast) == (100.05, 1)


def test_a_snapshot_nobody_could_join_says_so() -> None:
    feed = DepthFeed(SPOT.feed, SPOT.codec)
    feed.received(SPOT.write(20, 21, [], []), 1)
    old = delta(final=10, of=SPOT.listing, snapshot=True)
    assert feed.answered(old) == (Verdict.REFETCH, 0)


# -- checksums -----------------------------------------------------------------------------------


class Checked:
    """OKX frames with the checksum of the book they lead to, by the naive builder."""

    def __init__(self) -> None:
        self.book = NaiveBook()
        self.id = 10

    def write(self, bids: Rows = (), asks: Rows = (), kind: str = "update") -> bytes:
        bids, asks = [*bids], [*asks]
        change = self.book.replace if kind == "snapshot" else self.book.change
        change(bids, asks)
        before, self.id = self.id, self.id + 1
        checksum = self.book.checksum()
        return okx(prev=before, final=self.id, bids=bids, asks=asks, kind=kind, checksum=checksum)


def test_every_frame_with_a_checksum_is_verified_and_none_passes_the_rule() -> None:
    venue, feed = Checked(), DepthFeed(OKX.feed, OKX.codec)
    feed.received(venue.write(BIDS_0, ASKS_0, "snapshot"), 1)
    for k in range(5):
        feed.received(venue.write([(f"99.{k}", "1")], [("100.10", f"{k}")]), 2)
    assert (feed.sync.verified, feed.sync.mismatched, feed.fast) == (6, 0, 0)
    assert feed.book.valid


def test_a_wrong_checksum_loses_the_book_until_the_next_snapshot() -> None:
    venue, feed = Checked(), DepthFeed(OKX.feed, OKX.codec)
    feed.received(venue.write(BIDS_0, ASKS_0, "snapshot"), 1)
    venue.book.change([("98.00", "7")], [])
    assert feed.received(venue.write([("99.00", "1")]), 2) & LOST
    assert (feed.book.valid, feed.book.reason) == (False, "checksum does not match")
    assert feed.sync.mismatched == 1
    feed.received(venue.write(BIDS_0, ASKS_0, "snapshot"), 3)
    assert (feed.book.valid, feed.sync.verified, feed.sync.resyncs) == (True, 2, 1)


def test_once_the_venue_sends_no_checksums_its_sequence_has_to_do() -> None:
    venue, feed = Checked(), DepthFeed(OKX.feed, OKX.codec)
    feed.received(venue.write(BIDS_0, ASKS_0, "snapshot"), 1)
    feed.received(OKX.write(11, 12, [("99.00", "1")], []), 2)
    feed.received(OKX.write(12, 13, [("99.10", "1")], []), 3)
    feed.received(OKX.write(13, 14, [("99.20", "1")], []), 4)
    assert feed.book.valid
    assert feed.fast > 0
    assert feed.sync.verified == 1


# -- two lines -----------------------------------------------------------------------------------


@by_venue
def test_of_two_lines_the_first_with_a_message_has_it_applied(stream: Stream) -> None:
    feed = opened(stream)
    old, new = Overlap(feed, leading=True), Overlap(feed, leading=False)
    frame = stream.write(10, 11, [("100.05", "0.5")], [])
    assert new.received(frame, 5) == BID_MOVED
    assert (new.in_step, new.current) == (True, True)
    old.received(stream.write(11, 12, [("100.06", "0.5")], []), 6)
    assert feed.sync.last == 12
    assert feed.book.bid == 100.06
    assert feed.book.valid


@pytest.mark.parametrize("stream", [SPOT, BYBIT], ids=["spot", "bybit"])
def test_of_two_lines_the_second_with_a_message_repeats_it(stream: Stream) -> None:
    feed = opened(stream)
    frame = stream.write(10, 11, [("100.05", "0.5")], [])
    feed.received_beside(frame, 5, leading=True)
    assert feed.received_beside(frame, 6, leading=False) == BEHIND
    assert (feed.book.valid, feed.book.received_ns) == (True, 5)


@by_venue
def test_on_the_new_line_what_does_not_connect_is_news_for_later(stream: Stream) -> None:
    feed = opened(stream)
    line = Overlap(feed, leading=False)
    assert line.received(stream.write(20, 21, [], []), 5) == 0
    assert (line.in_step, feed.book.valid, feed.sync.gaps) == (False, True, 0)
    assert feed.received_beside(stream.write(20, 21, [], []), 5, leading=False) == AHEAD


@by_venue
def test_on_the_leading_line_what_does_not_connect_is_a_gap(stream: Stream) -> None:
    feed = opened(stream)
    assert Overlap(feed, leading=True).received(stream.write(20, 21, [], []), 5) == LOST
    assert (feed.book.valid, feed.sync.gaps) == (False, 1)


@pytest.mark.parametrize("stream", [BYBIT, OKX], ids=["bybit", "okx"])
def test_a_book_that_is_lost_comes_back_by_the_leading_line_only(stream: Stream) -> None:
    feed = opened(stream)
    feed.lose("test")
    write = bybit if stream is BYBIT else okx
    frame = write(final=30, bids=BIDS_0, asks=ASKS_0, kind="snapshot")
    assert feed.received_beside(frame, 5, leading=False) == BEHIND
    assert not feed.book.valid
    feed.received_beside(frame, 6, leading=True)
    assert (feed.book.valid, feed.sync.last, feed.heard_ns) == (True, 30, 6)


@pytest.mark.parametrize("stream", [BYBIT, OKX], ids=["bybit", "okx"])
def test_the_snapshot_a_new_line_begins_with_counts_if_it_is_newer(stream: Stream) -> None:
    feed = opened(stream)
    write = bybit if stream is BYBIT else okx
    old = write(final=10, bids=[("1.00", "1")], asks=ASKS_0, kind="snapshot")
    assert feed.received_beside(old, 5, leading=False) == BEHIND
    assert feed.book.bid == 100.0
    new = write(final=12, bids=[("99.00", "1")], asks=ASKS_0, kind="snapshot")
    assert not feed.received_beside(new, 6, leading=False) & (BEHIND | AHEAD | LOST)
    assert (feed.book.bid, feed.sync.last, feed.book.valid) == (99.0, 12, True)


def test_messages_of_two_lines_that_overlap_are_both_applied() -> None:
    feed = opened(SPOT)
    feed.received_beside(SPOT.write(10, 13, [("100.05", "1")], []), 5, leading=True)
    feed.received_beside(SPOT.write(11, 15, [("100.06", "1")], []), 6, leading=False)
    assert (feed.sync.last, feed.book.bid, feed.book.valid) == (15, 100.06, True)


# -- a finer grid --------------------------------------------------------------------------------


def finer(feed: DepthFeed, stream: Stream, grid: int) -> DepthFeed:
    listing = replace(stream.listing, grid=grid)
    old = feed.feed
    return feed.regridded(Feed(old.kind, old.route, old.topic, old.key, listing))


@by_venue
def test_a_book_goes_on_whole_and_in_step_on_a_finer_grid(stream: Stream) -> None:
    feed = opened(stream)
    feed.received(stream.write(10, 11, [("50.01", "4")], []), 2)
    before = [feed.book.depth(side, 99) for side in (BIDS, ASKS)]
    fine = finer(feed, stream, 5)
    assert fine.book.valid
    assert [fine.book.depth(side, 99) for side in (BIDS, ASKS)] == before
    assert (fine.fast, fine.sync.last, fine.sync.gaps) == (feed.fast, 11, 0)
    assert fine.received(stream.write(11, 12, [("100.00001", "1")], []), 3) == BID_MOVED
    assert (fine.book.bid, fine.fast) == (100.00001, feed.fast + 1)


def test_what_is_held_for_a_snapshot_is_on_the_finer_grid_as_well() -> None:
    feed = DepthFeed(SPOT.feed, SPOT.codec)
    feed.received(SPOT.write(10, 11, [("100.07", "1")], []), 1)
    fine = finer(feed, SPOT, 4)
    start = delta(
        [(1_000_000, 1.0)], [(1_010_000, 1.0)], final=10, of=fine.feed.listing, snapshot=True
    )
    assert fine.answered(start)[0] is Verdict.APPLY
    assert fine.book.bid == 100.07


def test_a_quote_newer_than_the_levels_stays_the_touch_on_a_finer_grid() -> None:
    feed = opened(SPOT)
    feed.book.quote(top(100.04, 2.0, 100.1, 1.0, 50, of=SPOT.listing))
    fine = finer(feed, SPOT, 4)
    assert (fine.book.bid, fine.book.bid_size) == (100.04, 2.0)


def test_a_grid_too_fine_for_its_prices_is_refused() -> None:
    with pytest.raises(MalformedFrame, match="out of range"):
        finer(opened(SPOT), SPOT, 17)


# -- against the general way ---------------------------------------------------------------------


@settings(max_examples=150)
@given(st.sampled_from(STREAMS), st.integers(0, 10_000))
def test_whatever_arrives_the_book_is_the_one_of_decoder_and_rule_alone(
    stream: Stream, seed: int
) -> None:
    """Good frames and damaged ones: the kernel's short cut never shows in the result."""
    chance = random.Random(seed)
    feed = opened(stream)
    twin = BookSync(OrderBook(stream.listing), stream.codec.sequence, stream.codec.book_by_rest)
    twin.from_delta = True
    twin.offer(
        delta(
            [(10_000, 1.5), (9_990, 2.0)],
            [(10_010, 1.0), (10_020, 3.25)],
            final=10,
            of=stream.listing,
        )
    )
    damaged = iter(mutations(stream, 60))
    last = 10
    for now_ns in range(2, 25):
        if chance.random() < 0.25:
            frame = next(damaged)
        else:
            step = chance.choice([1, 1, 1, 1, 1, 2, 0])
            price = f"{99 + chance.randrange(100) / 100:.2f}"
            size = chance.choice(["0", "1", "2.5"])
            frame = stream.write(last, last + step, [(price, size)], [])
            last += step
        try:
            event = stream.decoded(frame, now_ns)
        except (MalformedFrame, ValueError, AssertionError):
            event = None
        try:
            feed.received(frame, now_ns)
        except MalformedFrame:
            assert event is None
            feed.lose("malformed")
            twin.lose("malformed")
            continue
        if event is None:
            # Damaged only where the kernel does not look.
            event = stream.decoded(in_the_documented_envelope(stream, frame), now_ns)
        twin.offer(event)
        assert feed.sync.live == twin.live == feed.book.valid
        assert feed.sync.last == twin.last
        assert feed.sync.gaps == twin.gaps
        for side in (BIDS, ASKS):
            for mine, theirs in zip(feed.book.levels(side), twin.book.levels(side), strict=True):
                assert np.array_equal(mine, theirs)
        feed.book._check()
