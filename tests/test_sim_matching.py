"""The matching engine against a matcher so plain that it can be read as the rule."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hftmm.core.instrument import Kind, Side
from hftmm.sim.matching import (
    EXPIRED,
    SELF_TRADE,
    WOULD_TAKE,
    Fill,
    Level,
    Listener,
    MatchingEngine,
    Placed,
    SelfTrade,
    Spec,
)


def spec(tick: str = "0.1", lot: str = "0.001", contract: str = "1") -> Spec:
    return Spec(
        venue="okx",
        kind=Kind.LINEAR,
        symbol="BTC/USDT:USDT",
        venue_symbol="BTC-USDT-SWAP",
        base="BTC",
        quote="USDT",
        tick=Decimal(tick),
        lot=Decimal(lot),
        min_size=Decimal(lot),
        min_notional=Decimal(0),
        contract=Decimal(contract),
    )


def book(*orders: tuple[Side, int, int]) -> MatchingEngine:
    engine = MatchingEngine(spec())
    for side, ticks, lots in orders:
        engine.place(side, ticks, lots, 0)
    return engine


def traded(placed: Placed) -> list[tuple[int, int, int]]:
    return [(fill.maker_order, fill.ticks, fill.lots) for fill in placed.fills]


def test_a_price_is_written_on_the_decimals_of_the_tick() -> None:
    assert spec(tick="0.10").price(650_001) == "65000.10"
    assert spec(tick="0.00001").price(21_000) == "0.21000"


def test_a_size_is_written_in_the_unit_of_the_venue() -> None:
    assert spec(lot="0.0001", contract="0.01").size(123) == "1.23"
    assert spec(lot="0.001").size(2_000) == "2"
    assert spec(lot="10", contract="1000").size(10_000) == "100"


def test_the_better_price_trades_first_and_at_its_own_price() -> None:
    engine = book(("sell", 102, 5), ("sell", 101, 5))
    placed = engine.place("buy", 102, 7, 9)
    assert traded(placed) == [(2, 101, 5), (1, 102, 2)]
    assert placed.resting == 0
    assert engine.levels("sell") == [Level(102, 3, 1)]


def test_the_older_order_trades_first_at_one_price() -> None:
    engine = book(("buy", 100, 3), ("buy", 100, 4))
    assert traded(engine.place("sell", 100, 5, 9)) == [(1, 100, 3), (2, 100, 2)]
    assert engine.level("buy", 100) == Level(100, 2, 1)


def test_what_does_not_match_rests() -> None:
    engine = book(("sell", 101, 2))
    placed = engine.place("buy", 101, 5, 9)
    assert (placed.resting, placed.reason) == (3, "")
    assert engine.best("buy") == Level(101, 3, 1)
    assert engine.best("sell") is None
    assert engine.open_lots(placed.order_id) == 3


def test_what_an_immediate_order_cannot_match_expires() -> None:
    engine = book(("sell", 101, 2))
    placed = engine.place("buy", 101, 5, 9, immediate=True)
    assert (placed.resting, placed.reason) == (0, EXPIRED)
    assert engine.best("buy") is None


def test_an_immediate_order_that_matches_nothing_leaves_no_trace() -> None:
    engine = book(("sell", 101, 2))
    before = engine.sequence
    assert engine.place("buy", 100, 5, 9, immediate=True) == Placed(0, [], 0, EXPIRED)
    assert engine.sequence == before


def test_a_post_only_order_that_would_take_is_refused() -> None:
    engine = book(("sell", 101, 2))
    before = engine.sequence
    assert engine.place("buy", 101, 5, 9, post_only=True) == Placed(0, [], 0, WOULD_TAKE)
    assert engine.sequence == before
    assert engine.place("buy", 100, 5, 9, post_only=True).resting == 5


def test_a_cancel_removes_what_is_left_and_only_once() -> None:
    engine = book(("buy", 100, 3))
    engine.place("sell", 100, 1, 9)
    assert engine.cancel(1, 10) == 2
    assert engine.cancel(1, 11) == 0
    assert engine.best("buy") is None


@pytest.mark.parametrize(("ticks", "lots"), [(0, 1), (-1, 1), (1, 0), (1, -1)])
def test_an_order_without_price_or_size_is_an_error_of_the_caller(ticks: int, lots: int) -> None:
    with pytest.raises(ValueError, match="lots at"):
        book().place("buy", ticks, lots, 0)


def test_a_cut_order_keeps_its_place_and_its_level_is_told() -> None:
    engine = book(("buy", 100, 5), ("buy", 100, 3))
    listener = engine.listen()
    assert engine.reduce(1, 2, 9) == 3
    assert (engine.queue_ahead(1), engine.queue_ahead(2), engine.queue_ahead(99)) == (0, 2, 0)
    changes = listener.take()
    assert changes is not None
    assert changes.levels == [("buy", Level(100, 5, 2))]
    assert traded(engine.place("sell", 100, 3, 9)) == [(1, 100, 2), (2, 100, 1)]


@pytest.mark.parametrize(("order", "lots"), [(1, 5), (1, 0), (2, 1)])
def test_an_order_can_only_be_cut_to_less_than_it_has(order: int, lots: int) -> None:
    with pytest.raises(ValueError, match="cannot be cut"):
        book(("buy", 100, 5)).reduce(order, lots, 9)


def test_offers_are_what_an_order_would_match_without_its_owners_own() -> None:
    engine = book(("sell", 102, 5), ("sell", 101, 4), ("sell", 104, 9))
    engine.place("sell", 101, 7, 0, owner="me")
    flow, own, far = (101, 4, 2), (101, 7, 4), (102, 5, 1)
    assert [*engine.offers("buy", 102)] == [flow, own, far]
    assert [*engine.offers("buy", 102, "me")] == [flow, own, far]
    assert [*engine.offers("buy", 102, "me", "expire_maker")] == [flow, far]
    assert [*engine.offers("buy", 102, "me", "expire_taker")] == [flow]
    assert [*engine.offers("sell", 1)] == []
    assert engine.crosses("buy", 101)
    assert not engine.crosses("buy", 100)
    assert not engine.crosses("sell", 1)


@pytest.mark.parametrize(
    ("mode", "fills", "removed", "reason"),
    [
        ("none", [(1, 101, 4), (2, 101, 7), (3, 101, 1)], (), ""),
        ("expire_maker", [(1, 101, 4), (3, 101, 8)], (2,), ""),
        ("expire_taker", [(1, 101, 4)], (), SELF_TRADE),
        ("expire_both", [(1, 101, 4)], (2,), SELF_TRADE),
    ],
)
def test_an_order_that_meets_its_own_does_as_it_was_told(
    mode: SelfTrade, fills: list[tuple[int, int, int]], removed: tuple[int, ...], reason: str
) -> None:
    engine = book(("sell", 101, 4))
    engine.place("sell", 101, 7, 0, owner="me")
    engine.place("sell", 101, 9, 0, owner="you")
    placed = engine.place("buy", 101, 12, 9, owner="me", self_trade=mode)
    assert (traded(placed), placed.removed, placed.reason) == (fills, removed, reason)
    assert placed.resting == 0
    assert engine.orders_of("me") == ([2] if mode == "expire_taker" else [])
    engine._check()


def test_the_flow_has_no_owner_to_trade_with() -> None:
    engine = book(("sell", 101, 4))
    assert engine.place("buy", 101, 4, 9, self_trade="expire_both").fills


def test_a_watcher_sees_owned_makers_filled_and_may_empty_the_level_being_matched() -> None:
    engine = book(("sell", 101, 1))
    owned = [engine.place("sell", 101, 2, 0, owner="me").order_id for _ in range(3)]
    seen: list[int] = []

    def watch(fill: Fill) -> None:
        seen.append(fill.maker_order)
        for order_id in owned:
            engine.cancel(order_id, 9)
        engine._check()

    engine.watch(watch)
    placed = engine.place("buy", 103, 9, 9)
    assert seen == owned[:1]
    assert (traded(placed), placed.resting) == ([(1, 101, 1), (owned[0], 101, 2)], 6)
    assert engine.best("sell") is None
    engine._check()


def test_levels_come_best_first_and_no_more_than_asked() -> None:
    engine = book(
        ("buy", 98, 1), ("buy", 100, 1), ("buy", 99, 1), ("sell", 103, 1), ("sell", 101, 1)
    )
    assert [level.ticks for level in engine.levels("buy")] == [100, 99, 98]
    assert [level.ticks for level in engine.levels("buy", 2)] == [100, 99]
    assert [level.ticks for level in engine.levels("sell")] == [101, 103]


def test_a_listener_folds_events_into_current_totals() -> None:
    engine = book(("buy", 100, 1))
    listener = engine.listen()
    first = engine.place("buy", 99, 2, 0).order_id
    engine.place("buy", 99, 3, 0)
    engine.cancel(first, 0)
    engine.place("sell", 100, 1, 0)
    changes = listener.take()
    assert changes is not None
    assert changes.levels == [("buy", Level(99, 3, 1)), ("buy", Level(100, 0, 0))]
    assert [fill.lots for fill in changes.fills] == [1]
    assert (changes.first_sequence, changes.last_sequence) == (3, 6)
    assert listener.take() is None


def test_a_level_that_came_back_to_its_total_is_left_out_and_its_events_are_not_lost() -> None:
    engine = book(("buy", 100, 1))
    listener = engine.listen()
    engine.cancel(engine.place("buy", 99, 2, 0).order_id, 0)
    assert listener.take() is None
    engine.place("sell", 101, 1, 0)
    changes = listener.take()
    assert changes is not None
    assert changes.levels == [("sell", Level(101, 1, 1))]
    assert (changes.first_sequence, changes.last_sequence) == (3, 5)


def test_a_trade_is_told_even_if_the_book_looks_as_before() -> None:
    engine = book(("buy", 100, 1))
    listener = engine.listen()
    engine.place("sell", 100, 1, 0)
    engine.place("buy", 100, 1, 0)
    changes = listener.take()
    assert changes is not None
    assert changes.levels == []
    assert len(changes.fills) == 1


def test_a_closed_listener_hears_nothing_more() -> None:
    engine = book()
    closed, open_ = engine.listen(), engine.listen()
    closed.close()
    closed.close()
    engine.place("buy", 100, 1, 0)
    assert closed.take() is None
    assert open_.take() is not None


def test_a_broken_book_is_named_by_its_check() -> None:
    engine = book(("buy", 100, 1))
    engine._bids.peekitem(0)[1].lots = 2
    with pytest.raises(AssertionError, match="level of 2 lots holds 1"):
        engine._check()


class Plain:
    """One list of orders; the best is found by looking at all of them."""

    def __init__(self) -> None:
        self.orders: list[list[int | str]] = []  # id, side, ticks, lots; oldest first
        self.last_id = 0

    def resting(self, side: Side) -> list[tuple[int, int, int]]:
        """(ticks, lots, id), best price first, then oldest."""
        sign = -1 if side == "buy" else 1
        found = [(int(o[2]), int(o[3]), int(o[0])) for o in self.orders if o[1] == side]
        return sorted(found, key=lambda order: (sign * order[0], order[2]))

    def levels(self, side: Side) -> list[Level]:
        levels: dict[int, Level] = {}
        for ticks, lots, _ in self.resting(side):
            level = levels.get(ticks, Level(ticks, 0, 0))
            levels[ticks] = Level(ticks, level.lots + lots, level.orders + 1)
        return list(levels.values())

    def place(
        self, side: Side, ticks: int, lots: int, post_only: bool, immediate: bool
    ) -> tuple[list[tuple[int, int, int]], int]:
        other: Side = "sell" if side == "buy" else "buy"
        matching = [
            order
            for order in self.resting(other)
            if (order[0] <= ticks if side == "buy" else order[0] >= ticks)
        ]
        if (matching and post_only) or (immediate and not matching):
            return [], 0
        self.last_id += 1
        fills = []
        for price, size, order_id in matching:
            if not lots:
                break
            traded = min(lots, size)
            lots -= traded
            fills.append((order_id, price, traded))
            self.reduce(order_id, traded)
        if lots and not immediate:
            self.orders.append([self.last_id, side, ticks, lots])
            return fills, lots
        return fills, 0

    def reduce(self, order_id: int, lots: int) -> None:
        for order in self.orders:
            if order[0] == order_id:
                order[3] = int(order[3]) - lots
        self.orders = [order for order in self.orders if int(order[3]) > 0]

    def cancel(self, order_id: int) -> int:
        removed = sum(int(order[3]) for order in self.orders if order[0] == order_id)
        self.orders = [order for order in self.orders if order[0] != order_id]
        return removed


SIDES: tuple[Side, Side] = ("buy", "sell")


class TwoMatchers(RuleBasedStateMachine):
    """Same orders to both; same fills, same books, and listeners that can rebuild the book."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = MatchingEngine(spec())
        self.plain = Plain()
        self.placed = 0
        self.listeners: list[Listener] = []
        self.rebuilt: list[dict[tuple[Side, int], int]] = []
        self.sequences: list[int] = []
        self.trades: list[int] = []

    @rule(
        side=st.sampled_from(SIDES),
        ticks=st.integers(95, 105),
        lots=st.integers(1, 9),
        post_only=st.booleans(),
        immediate=st.booleans(),
    )
    def order(self, side: Side, ticks: int, lots: int, post_only: bool, immediate: bool) -> None:
        placed = self.engine.place(side, ticks, lots, 0, post_only=post_only, immediate=immediate)
        fills, resting = self.plain.place(side, ticks, lots, post_only, immediate)
        assert traded(placed) == fills
        assert placed.resting == resting
        assert (placed.order_id or self.plain.last_id) == self.plain.last_id
        assert sum(fill[2] for fill in fills) + resting <= lots
        self.trades += [fill.trade_id for fill in placed.fills]

    @precondition(lambda self: self.plain.last_id > 0)
    @rule(number=st.integers(0, 10**6))
    def cancel(self, number: int) -> None:
        order_id = 1 + number % self.plain.last_id
        assert self.engine.open_lots(order_id) == sum(
            int(order[3]) for order in self.plain.orders if order[0] == order_id
        )
        assert self.engine.cancel(order_id, 0) == self.plain.cancel(order_id)

    @precondition(lambda self: len(self.listeners) < 3)
    @rule()
    def listen(self) -> None:
        self.listeners.append(self.engine.listen())
        self.rebuilt.append(self.totals())
        self.sequences.append(self.engine.sequence)

    @precondition(lambda self: self.listeners)
    @rule(number=st.integers(0, 2))
    def take(self, number: int) -> None:
        number %= len(self.listeners)
        changes = self.listeners[number].take()
        mine = self.rebuilt[number]
        if changes is not None:
            assert changes.first_sequence == self.sequences[number] + 1
            assert changes.first_sequence <= changes.last_sequence == self.engine.sequence
            self.sequences[number] = changes.last_sequence
            for side, level in changes.levels:
                assert mine.get((side, level.ticks), 0) != level.lots
                mine[side, level.ticks] = level.lots
                if not level.lots:
                    del mine[side, level.ticks]
        assert mine == self.totals()

    def totals(self) -> dict[tuple[Side, int], int]:
        return {
            (side, level.ticks): level.lots for side in SIDES for level in self.plain.levels(side)
        }

    @invariant()
    def both_books_are_equal(self) -> None:
        self.engine._check()
        for side in SIDES:
            levels = self.plain.levels(side)
            assert self.engine.levels(side) == levels
            assert self.engine.best(side) == (levels[0] if levels else None)
            for ticks in range(95, 106):
                expected = next((at for at in levels if at.ticks == ticks), Level(ticks, 0, 0))
                assert self.engine.level(side, ticks) == expected
        assert self.trades == list(range(1, len(self.trades) + 1))


TestTwoMatchers = TwoMatchers.TestCase
TestTwoMatchers.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
