"""One book against a dict: levels, touch, walks, far levels, growth, quotes newer than levels."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hftmm.book.kernels import (
    APPLIED,
    ASK_MOVED,
    BASE,
    BID_MOVED,
    CROSSED,
    FAR,
    FAR_ROOM,
    FIELDS,
    NEVER,
    WIDTH,
)
from hftmm.book.order_book import ASKS, BIDS, OrderBook, SideIndex, Taken
from hftmm.core.events import BookDelta, TopOfBook
from hftmm.core.instrument import Side
from tests.books import LISTING, MS, book, delta, listing, top

BOTH = BID_MOVED | ASK_MOVED
SCALE = 100.0

sizes = st.sampled_from([0.0, 0.0, 0.001, 0.1, 0.25, 1.0, 3.0, 7.5])
alive = st.sampled_from([0.001, 0.1, 0.25, 1.0, 3.0, 7.5])
steps = st.one_of(
    st.integers(0, 6),
    st.integers(0, 60),
    st.integers(0, 3 * WIDTH),
    st.integers(WIDTH - 520, WIDTH + 8),
)
near = st.lists(st.tuples(steps, sizes), max_size=12)


def plain(side: SideIndex, held: OrderBook, depth: int | None = None) -> list[tuple[int, float]]:
    ticks, amounts = held.levels(side, depth)
    return list(zip(ticks.tolist(), amounts.tolist(), strict=True))


class BookAgainstDict(RuleBasedStateMachine):
    """Whatever is done to the book is done to two dicts; they never differ."""

    def __init__(self) -> None:
        super().__init__()
        self.book = OrderBook(LISTING)
        self.sides: tuple[dict[int, float], dict[int, float]] = ({}, {})
        self.edges: list[int | None] = [None, None]
        self.top: TopOfBook | None = None
        self.centre = 1_000_000
        self.id = 0

    @initialize()
    def begin(self) -> None:
        self.load([(0, 1.0), (3, 2.0)], [(0, 1.0), (5, 2.0)], complete=True)

    # -- what happens ---------------------------------------------------------------------------

    @rule(bids=near, asks=near, complete=st.booleans())
    def load(
        self, bids: list[tuple[int, float]], asks: list[tuple[int, float]], complete: bool
    ) -> None:
        message = self._message(bids, asks, snapshot=True, complete=complete)
        self.sides = ({}, {})
        self.top = None
        self._write(message)
        n = message.n_bids
        ticks = message.ticks.tolist()
        self.edges = [
            None if complete or not n else min(ticks[:n]),
            None if complete or n == message.count else max(ticks[n:]),
        ]
        assert self.book.apply(message) & BOTH == BOTH
        assert self.book.valid

    @rule(bids=near, asks=near)
    def change(self, bids: list[tuple[int, float]], asks: list[tuple[int, float]]) -> None:
        self._apply(self._message(bids, asks))

    @rule(by=st.integers(-9 * WIDTH, 9 * WIDTH), keep=st.booleans())
    def walk_the_market(self, by: int, keep: bool) -> None:
        """The touch goes somewhere else; what it left behind stays far away or is removed."""
        self.centre = max(100_000, self.centre + by)
        # Everything that would cross the new touch goes, or all of it.
        gone_bids = [t for t in self.sides[BIDS] if t >= self.centre or not keep]
        gone_asks = [t for t in self.sides[ASKS] if t <= self.centre or not keep]
        self.id += 1
        self._apply(
            delta(
                [(t, 0.0) for t in gone_bids] + [(self.centre - 1, 1.5)],
                [(t, 0.0) for t in gone_asks] + [(self.centre + 1, 2.5)],
                final=self.id,
                snapshot=False,
            )
        )

    @rule(side=st.sampled_from([BIDS, ASKS]))
    def empty(self, side: SideIndex) -> None:
        rows = [(tick, 0.0) for tick in self.sides[side]]
        self.id += 1
        self._apply(
            delta(rows if side == BIDS else (), rows if side == ASKS else (), final=self.id)
        )

    @rule(side=st.sampled_from([BIDS, ASKS]), count=st.integers(1, 40))
    def take_the_best(self, side: SideIndex, count: int) -> None:
        """The best levels go one message at a time, as trades eat them."""
        for _ in range(min(count, len(self.sides[side]))):
            best = max(self.sides[BIDS]) if side == BIDS else min(self.sides[ASKS])
            rows = [(best, 0.0)]
            self.id += 1
            self._apply(
                delta(rows if side == BIDS else (), rows if side == ASKS else (), final=self.id)
            )

    @rule(side=st.sampled_from([BIDS, ASKS]), offset=steps)
    def remove_what_is_not_there(self, side: SideIndex, offset: int) -> None:
        tick = self.centre - 1 - offset if side == BIDS else self.centre + 1 + offset
        if tick in self.sides[side]:
            return
        rows = [(tick, 0.0)]
        self.id += 1
        self._apply(
            delta(rows if side == BIDS else (), rows if side == ASKS else (), final=self.id)
        )

    @rule(bid=steps, bid_size=sizes, ask=steps, ask_size=sizes, ahead=st.integers(-1, 3))
    def quote(self, bid: int, bid_size: float, ask: int, ask_size: float, ahead: int) -> None:
        said = top(
            (self.centre - 1 - bid) / SCALE,
            bid_size,
            (self.centre + 1 + ask) / SCALE,
            ask_size,
            self.id + ahead,
        )
        newest = self.id if self.top is None else self.top.sequence_id
        flags = self.book.quote(said)
        if said.sequence_id > newest:
            self.top = said
        else:
            assert flags == 0

    # -- what must hold -------------------------------------------------------------------------

    @invariant()
    def the_structure_is_sound(self) -> None:
        self.book._check()

    @invariant()
    def levels_equal(self) -> None:
        assert plain(BIDS, self.book) == self._sorted(BIDS)
        assert plain(ASKS, self.book) == self._sorted(ASKS)
        assert self.book.count(BIDS) == len(self.sides[BIDS])
        for depth in (0, 1, 5, 40):
            assert plain(BIDS, self.book, depth) == self._sorted(BIDS)[:depth]
            assert plain(ASKS, self.book, depth) == self._sorted(ASKS)[:depth]

    @invariant()
    def touch_and_depth_equal(self) -> None:
        for side, price, size in (
            (BIDS, self.book.bid, self.book.bid_size),
            (ASKS, self.book.ask, self.book.ask_size),
        ):
            known = self._known(side)
            if self.top is None:
                assert (price, size) == (known[0] if known else (0.0, 0.0))
            else:
                assert size == (known[0][1] if known else 0.0)
            for depth in (1, 3, 32):
                assert self.book.depth(side, depth) == known[:depth]

    @precondition(lambda self: self.id)
    @rule(taker=st.sampled_from(["buy", "sell"]), quantity=st.floats(0.0005, 60.0))
    def walk(self, taker: Side, quantity: float) -> None:
        got = self.book.walk(taker, quantity)
        size, cost, worst = 0.0, 0.0, 0.0
        for price, there in self._reachable(ASKS if taker == "buy" else BIDS):
            part = min(there, quantity - size)
            if part <= 0.0:
                break
            size += part
            cost += part * price
            worst = price
        assert got.size == pytest.approx(size, rel=1e-12, abs=0.0)
        assert got.vwap == pytest.approx(cost / size if size else 0.0, rel=1e-12)
        assert got.worst == worst

    # -- the model ------------------------------------------------------------------------------

    def _message(
        self,
        bids: list[tuple[int, float]],
        asks: list[tuple[int, float]],
        *,
        snapshot: bool = False,
        complete: bool = True,
    ) -> BookDelta:
        self.id += 1
        return delta(
            [(self.centre - 1 - offset, size) for offset, size in bids],
            [(self.centre + 1 + offset, size) for offset, size in asks],
            final=self.id,
            snapshot=snapshot,
            complete=complete,
        )

    def _apply(self, message: BookDelta) -> int:
        self._write(message)
        if self.top is not None and self.top.sequence_id <= message.state_id:
            self.top = None
        before = (self.book.bid, self.book.bid_size, self.book.ask, self.book.ask_size)
        flags = self.book.apply(message)
        after = (self.book.bid, self.book.bid_size, self.book.ask, self.book.ask_size)
        assert bool(flags & BID_MOVED) == (before[:2] != after[:2])
        assert bool(flags & ASK_MOVED) == (before[2:] != after[2:])
        assert not flags & CROSSED
        return flags

    def _write(self, message: BookDelta) -> None:
        for i, (tick, size) in enumerate(
            zip(message.ticks.tolist(), message.sizes.tolist(), strict=True)
        ):
            side = self.sides[BIDS if i < message.n_bids else ASKS]
            if size:
                side[tick] = size
            else:
                side.pop(tick, None)

    def _sorted(self, side: SideIndex) -> list[tuple[int, float]]:
        return sorted(self.sides[side].items(), reverse=side == BIDS)

    def _known(self, side: SideIndex) -> list[tuple[float, float]]:
        rows = [(tick / SCALE, size) for tick, size in self._sorted(side)]
        if self.top is None:
            return rows
        said = self.top
        if side == BIDS:
            first = (said.bid, said.bid_size)
            return [first, *(row for row in rows if row[0] < said.bid)] if first[1] else []
        first = (said.ask, said.ask_size)
        return [first, *(row for row in rows if row[0] > said.ask)] if first[1] else []

    def _reachable(self, side: SideIndex) -> list[tuple[float, float]]:
        """The touch, and what is behind it within the window and the known depth."""
        known = self._known(side)
        base, edge = int(self.book.ints[side, BASE]), self.edges[side]

        def reached(price: float) -> bool:
            tick = round(price * SCALE)
            key = tick if side == BIDS else -tick
            within = base <= key < base + WIDTH
            return within and (edge is None or (tick >= edge if side == BIDS else tick <= edge))

        return known[:1] + [row for row in known[1:] if reached(row[0])]


TestBookAgainstDict = BookAgainstDict.TestCase
TestBookAgainstDict.settings = settings(stateful_step_count=30)


# -- validity -----------------------------------------------------------------------------------


def test_a_book_is_not_valid_before_its_first_snapshot() -> None:
    new = OrderBook(LISTING)
    assert not new.valid
    assert new.reason == "no snapshot yet"
    assert new.ints[0, APPLIED] == NEVER
    assert new.quote(top(1.0, 1.0, 2.0, 1.0, 5)) == 0


def test_an_invalid_book_keeps_its_levels_for_the_eye_and_lets_no_message_follow_unseen() -> None:
    held = book()
    held.ints[0, APPLIED] = 7
    held.invalidate("gap")
    assert (held.valid, held.reason) == (False, "gap")
    assert plain(BIDS, held) == [(10_000, 1.0)]
    assert held.ints[0, APPLIED] == NEVER


def test_a_snapshot_makes_an_invalid_book_valid_and_is_news_even_if_it_is_the_same() -> None:
    held = book()
    held.invalidate("gap")
    assert held.apply(delta([(10_000, 1.0)], [(10_002, 2.0)], snapshot=True)) == BOTH
    assert (held.valid, held.reason) == (True, "")


def test_levels_that_cross_are_flagged() -> None:
    assert book().apply(delta([(10_002, 1.0)])) & CROSSED
    assert book().apply(delta([(10_003, 1.0)])) & CROSSED
    assert not book().apply(delta([(10_001, 1.0)])) & CROSSED


def test_a_snapshot_that_crosses_is_flagged() -> None:
    held = OrderBook(LISTING)
    assert held.apply(delta([(5, 1.0)], [(5, 1.0)], snapshot=True)) & CROSSED


def test_an_empty_snapshot_is_an_empty_book() -> None:
    held = book()
    assert held.apply(delta(snapshot=True)) == BOTH
    assert (held.bid_size, held.ask_size, held.depth(BIDS, 5)) == (0.0, 0.0, [])
    assert held.walk("buy", 1.0) == Taken(0.0, 0.0, 0.0)
    held._check()


def test_a_best_level_that_a_snapshot_takes_back_does_not_hide_the_far_ones() -> None:
    held = OrderBook(LISTING)
    held.apply(delta([(90_000, 1.0), (90_000, 0.0), (10_000, 2.0)], snapshot=True))
    held._check()
    assert (held.bid, held.bid_size) == (100.0, 2.0)


# -- flags --------------------------------------------------------------------------------------


def test_only_the_side_whose_touch_moved_is_flagged() -> None:
    held = book()
    assert held.apply(delta([(10_000, 1.5)])) == BID_MOVED
    assert held.apply(delta((), [(10_001, 1.0)])) == ASK_MOVED
    assert held.apply(delta([(9_000, 1.0)], [(11_000, 1.0)])) == 0


def test_a_touch_that_leaves_the_window_is_flagged_after_centring() -> None:
    held = book()
    flags = held.apply(delta([(10_000, 0.0), (90_000, 1.0)], [(10_002, 0.0), (90_005, 1.0)]))
    assert flags == BOTH
    assert (held.bid, held.ask) == (900.0, 900.05)
    held._check()


# -- stamps -------------------------------------------------------------------------------------


def test_the_stamp_of_the_venue_is_that_of_the_newest_state_seen() -> None:
    held = book(venue_ns=5 * MS, received_ns=6 * MS)
    assert (held.venue_ns, held.received_ns) == (5 * MS, 6 * MS)
    held.quote(top(100.0, 1.0, 100.02, 1.0, 9, venue_ns=8 * MS, received_ns=9 * MS))
    assert (held.venue_ns, held.received_ns) == (8 * MS, 9 * MS)
    held.apply(delta(final=10, venue_ns=11 * MS, received_ns=12 * MS))
    assert (held.venue_ns, held.received_ns) == (11 * MS, 12 * MS)


def test_a_venue_without_stamps_has_none() -> None:
    assert book().venue_ns == 0


# -- growth -------------------------------------------------------------------------------------


def test_the_table_of_far_levels_grows_with_a_deep_snapshot() -> None:
    far = [(1_000_000 - 7 * k, 1.0 + k) for k in range(3 * FAR_ROOM)]
    held = book(far, [(1_000_001, 1.0)])
    held._check()
    assert held.count(BIDS) == 3 * FAR_ROOM
    assert plain(BIDS, held) == far
    assert held.ints.shape[1] - FIELDS >= 2 * held.ints[BIDS, FAR]


def test_the_table_of_far_levels_is_cleaned_of_removed_ones_before_it_is_full() -> None:
    held = book([(10_000_000, 1.0)], [(10_000_001, 1.0)])
    room = held.ints.shape[1]
    for k in range(FAR_ROOM):
        tick = 1_000 + 11 * k
        held.apply(delta([(tick, 1.0)], final=2 * k + 2))
        held.apply(delta([(tick, 0.0)], final=2 * k + 3))
    held._check()
    assert held.count(BIDS) == 1
    assert held.ints.shape[1] == room


def test_one_message_with_more_far_levels_than_the_table_holds_is_applied_whole() -> None:
    held = book([(10_000_000, 1.0)], [(10_000_001, 1.0)])
    rows = [(10_000_002 + 13 * k, 2.0) for k in range(2 * FAR_ROOM)]
    held.apply(delta((), rows, final=2))
    held._check()
    assert plain(ASKS, held) == [(10_000_001, 1.0), *rows]


# -- depth-limited snapshots --------------------------------------------------------------------


def deep(count: int) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
    return (
        [(10_000 - k, 1.0) for k in range(count)],
        [(10_001 + k, 1.0) for k in range(count)],
    )


def test_a_complete_snapshot_has_no_edge() -> None:
    held = book(*deep(3), complete=True)
    assert (held.bid_floor, held.ask_ceiling) == (None, None)
    assert not held.near_edge(5)


def test_a_cut_snapshot_is_known_to_its_last_levels() -> None:
    held = book(*deep(10), complete=False)
    assert (held.bid_floor, held.ask_ceiling) == (9_991, 10_010)


@pytest.mark.parametrize("side", [BIDS, ASKS])
def test_the_edge_is_near_when_few_of_the_known_levels_are_left(side: SideIndex) -> None:
    held = book(*deep(10), complete=False)
    levels = deep(10)[side]
    for n, (tick, _) in enumerate(levels[:8], start=1):
        rows = [(tick, 0.0)]
        held.apply(delta(rows if side == BIDS else (), rows if side == ASKS else (), final=n + 1))
        assert held.near_edge(5) == (10 - n < 5)


def test_levels_beyond_the_edge_do_not_push_it_away() -> None:
    held = book(*deep(10), complete=False)
    gone = [(tick, 0.0) for tick, _ in deep(10)[BIDS][:7]]
    beyond = [(9_900 - k, 1.0) for k in range(50)]
    held.apply(delta(gone + beyond, final=2))
    assert held.near_edge(5)


def test_a_side_that_came_with_few_levels_is_not_near_its_edge_for_that() -> None:
    held = book(deep(3)[BIDS], deep(10)[ASKS], complete=False)
    assert not held.near_edge(5)
    held.apply(delta([(10_000, 0.0)], final=2))
    assert held.near_edge(5)


def test_a_walk_stops_at_the_edge_of_what_is_known() -> None:
    held = book(*deep(4), complete=False)
    held.apply(delta([(9_990, 5.0)], [(10_020, 5.0)], final=2))
    assert held.walk("sell", 100.0) == pytest.approx((4.0, 99.985, 99.97))
    assert held.walk("buy", 100.0) == pytest.approx((4.0, 100.025, 100.04))


def test_a_walk_of_nothing_takes_nothing() -> None:
    assert book().walk("buy", 0.0) == Taken(0.0, 0.0, 0.0)


# -- quotes newer than the levels ---------------------------------------------------------------


def test_a_quote_newer_than_the_levels_is_the_touch() -> None:
    held = book(final=5)
    assert held.quote(top(100.01, 3.0, 100.02, 2.0, 6)) == BID_MOVED
    assert (held.bid, held.bid_size, held.ask, held.ask_size) == (100.01, 3.0, 100.02, 2.0)


@pytest.mark.parametrize("sequence_id", [5, 4, -1])
def test_a_quote_that_is_not_newer_than_the_levels_is_passed_over(sequence_id: int) -> None:
    held = book(final=5)
    assert held.quote(top(100.01, 3.0, 100.02, 2.0, sequence_id)) == 0
    assert held.bid == 100.0


def test_a_quote_older_than_the_last_quote_is_passed_over() -> None:
    held = book(final=5)
    held.quote(top(100.01, 3.0, 100.02, 2.0, 8))
    assert held.quote(top(99.0, 3.0, 99.01, 2.0, 7)) == 0
    assert held.bid == 100.01


def test_a_quote_that_crosses_itself_is_passed_over() -> None:
    held = book(final=5)
    assert held.quote(top(100.02, 3.0, 100.02, 2.0, 6)) == 0
    assert held.quote(top(100.03, 3.0, 100.02, 2.0, 7)) == 0
    assert (held.bid, held.top) == (100.0, None)


def test_levels_that_have_caught_up_are_the_touch_again() -> None:
    held = book(final=5)
    held.quote(top(100.01, 3.0, 100.02, 2.0, 7))
    assert held.apply(delta([(10_000, 9.0)], final=6)) == 0
    assert held.bid == 100.01
    assert held.apply(delta((), (), final=7)) == BID_MOVED
    assert (held.bid, held.bid_size, held.top) == (100.0, 9.0, None)


def test_a_quote_of_ids_that_began_anew_since_does_not_stay_the_touch() -> None:
    held = book(final=5_000)
    held.quote(top(100.01, 3.0, 100.02, 2.0, 5_010))
    # OKX after maintenance: the chain is unbroken, the ids are small again.
    assert held.apply(delta([(10_000, 4.0)], final=3, prev=5_000)) == BID_MOVED
    assert (held.bid, held.bid_size, held.top) == (100.0, 4.0, None)
    assert held.quote(top(100.01, 1.0, 100.02, 2.0, 4)) == BID_MOVED


def test_a_snapshot_is_newer_than_any_quote_before_it() -> None:
    held = book(final=5)
    held.quote(top(100.01, 3.0, 100.02, 2.0, 50))
    held.apply(delta([(9_000, 1.0)], [(9_005, 1.0)], final=6, snapshot=True))
    assert (held.bid, held.ask, held.top) == (90.0, 90.05, None)


def test_depth_behind_a_quote_is_whole_however_far_the_touch_walked() -> None:
    bids, asks = deep(200)
    held = book(bids, asks, final=5)
    held.quote(top(99.00, 7.0, 100.01, 1.0, 6))
    rows = held.depth(BIDS, 32)
    assert rows[0] == (99.0, 7.0)
    assert rows[1:] == [(tick / 100.0, size) for tick, size in bids if tick < 9_900][:31]


def test_a_side_that_the_quote_says_is_empty_has_no_depth_and_no_walk() -> None:
    held = book(final=5)
    held.quote(top(100.0, 1.0, 0.0, 0.0, 6))
    assert held.depth(ASKS, 5) == []
    assert held.walk("buy", 1.0) == Taken(0.0, 0.0, 0.0)


def test_a_walk_begins_at_the_quote_and_passes_the_levels_it_has_left_behind() -> None:
    held = book(*deep(4), final=5)
    held.quote(top(100.0, 1.0, 100.02, 0.5, 6))
    assert held.walk("buy", 2.0) == pytest.approx(
        (2.0, (0.5 * 100.02 + 100.03 + 50.02) / 2, 100.04)
    )


def test_prices_of_two_grids_that_are_equal_decimals_are_equal_floats() -> None:
    coarse, fine = listing(tick="0.1"), listing(tick="0.00001")
    for text in ("64123.7", "0.3", "1.1", "99999.9"):
        tick = int(Decimal(text) * 10)
        a, b = book([(tick, 1.0)], (), of=coarse), book([(tick * 10_000, 1.0)], (), of=fine)
        assert a.bid == b.bid == float(text)
