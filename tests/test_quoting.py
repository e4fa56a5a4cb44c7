"""The arithmetic of a quote: depth, price, size, and how far a market may move without news."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftmm.book.order_book import OrderBook
from hftmm.config import MarketMakingConfig
from hftmm.strategy.quoting import (
    Depth,
    Offer,
    Reason,
    Terms,
    available,
    best,
    edge,
    floored,
    limits,
    priced,
)
from tests.books import book

TICK = 0.01
MAKER = 2e-4
TERMS = Terms.of(MarketMakingConfig(min_edge_bps=1.0, cancel_edge_bps=0.5, target_spread_bps=0.0))
OPEN = 1 << 62
"""No touch in the way."""


def bids(*levels: tuple[int, float]) -> OrderBook:
    return book(levels, [(20_000, 1.0)])


# Depth


def test_a_touch_that_is_large_enough_is_the_price() -> None:
    assert available(bids((10_000, 2.0)), "sell", 1.0, 0.5, ()) == Depth(1.0, 100.0)


def test_what_is_promised_to_others_is_taken_first() -> None:
    deep = bids((10_000, 1.0), (9_900, 1.0), (9_800, 5.0))
    assert available(deep, "sell", 1.0, 0.5, ()) == pytest.approx((1.0, 99.5))
    assert available(deep, "sell", 1.0, 1.0, ()) == pytest.approx((1.0, 99.0))


def test_our_own_orders_are_stepped_over() -> None:
    deep = bids((10_000, 1.0), (9_900, 1.0))
    assert available(deep, "sell", 1.0, 0.0, [(100.0, 1.0)]) == pytest.approx((1.0, 99.0))
    assert available(deep, "sell", 1.0, 0.0, [(100.0, 0.5)]) == pytest.approx((1.0, 99.5))
    assert available(deep, "sell", 1.0, 0.0, [(99.0, 1.0)]) == Depth(1.0, 100.0)


def test_depth_that_runs_out_is_less_than_asked_for() -> None:
    assert available(bids((10_000, 0.4)), "sell", 1.0, 0.1, ()).size == pytest.approx(0.3)
    assert available(bids((10_000, 0.4)), "sell", 1.0, 0.5, ()) == Depth(0.0, 0.0)
    assert available(bids((10_000, 0.4)), "sell", 1.0, 0.0, [(100.0, 0.4)]) == Depth(0.0, 0.0)
    assert available(bids(), "sell", 1.0, 0.0, ()) == Depth(0.0, 0.0)


def naive(
    levels: list[tuple[float, float]],
    quantity: float,
    promised: float,
    own: list[tuple[float, float]],
) -> tuple[float, float]:
    """(size, price) level by level, without our own orders."""
    size = paid = 0.0
    for price, there in levels:
        left = there - sum(ours for at, ours in own if at == price)
        skipped = min(left, promised)
        promised -= skipped
        part = min(left - skipped, quantity - size)
        size += part
        paid += part * price
    return size, paid / size if size else 0.0


LEVELS = st.lists(st.integers(1, 40), min_size=1, max_size=6)


@given(LEVELS, st.data(), st.integers(1, 60), st.integers(0, 40), st.sampled_from([1, -1]))
def test_depth_is_what_a_walk_level_by_level_finds(
    tenths: list[int], draw: st.DataObject, quantity: int, promised: int, sign: int
) -> None:
    rows = [(10_000 - sign * 10 * at, size / 10) for at, size in enumerate(tenths)]
    mine = draw.draw(st.lists(st.integers(0, len(rows) - 1), unique=True, max_size=3))
    own = [(rows[at][0] / 100, draw.draw(st.integers(1, tenths[at])) / 10) for at in sorted(mine)]
    if sign > 0:
        made, taker = book(rows, [(20_000, 1.0)]), "sell"
    else:
        made, taker = book([(1, 1.0)], rows), "buy"
    found = available(made, "sell" if taker == "sell" else "buy", quantity / 10, promised / 10, own)
    size, price = naive([(t / 100, s) for t, s in rows], quantity / 10, promised / 10, own)
    assert found.size == pytest.approx(size, abs=1e-9)
    if size > 1e-6:
        assert found.price == pytest.approx(price)


# The best hedge


def offer(venue: int, net: float, size: float, least: float = 0.001) -> Offer:
    return Offer(venue, net, size, least, Reason("too thin"))


def test_the_best_price_wins_among_those_who_hedge_all_of_it() -> None:
    offers = [offer(0, 99.0, 0.01), offer(1, 100.0, 0.01), offer(2, 101.0, 0.002)]
    bid, ask = best(1, offers, 0.01), best(-1, offers, 0.01)
    assert bid is not None
    assert ask is not None
    assert (bid.venue, ask.venue) == (1, 0)


def test_if_nobody_hedges_all_of_it_the_largest_wins() -> None:
    found = best(1, [offer(0, 101.0, 0.002), offer(1, 99.0, 0.004)], 0.01)
    assert found is not None
    assert found.venue == 1


def test_a_hedge_below_the_minimum_of_a_venue_is_none() -> None:
    assert best(1, [offer(0, 100.0, 0.004, least=0.005)], 0.01) is None


def test_sizes_are_whole_lots_in_spite_of_binary_fractions() -> None:
    assert floored(0.3, 0.1) == pytest.approx(0.3)
    assert floored(0.299, 0.1) == pytest.approx(0.2)


# The price


def test_a_quote_is_its_hedge_less_fee_and_edge() -> None:
    """100 / (1 + 2 bps + 1 bp), and 100 / (1 - 2 bps - 1 bp), each away from the touch."""
    assert priced(1, 100.0, 100.0, 0.0, MAKER, TERMS, TICK, OPEN).key == 9_997
    assert priced(-1, 100.0, 100.0, 0.0, MAKER, TERMS, TICK, OPEN).key == -10_004


def test_a_quote_nearer_to_the_mid_than_the_target_spread_is_widened() -> None:
    wide = TERMS._replace(half=50e-4)
    bid = priced(1, 100.0, 100.0, 0.0, MAKER, wide, TICK, OPEN)
    ask = priced(-1, 100.0, 100.0, 0.0, MAKER, wide, TICK, OPEN)
    assert (bid.key, ask.key) == (9_950, -10_050)
    assert str(bid.held) == "spread 100 bps wide"


def test_a_long_position_moves_both_sides_down_but_never_below_the_edge() -> None:
    wide = TERMS._replace(half=50e-4)
    bid = priced(1, 100.0, 100.0, 0.2, MAKER, wide, TICK, OPEN)
    assert (bid.key, str(bid.held)) == (9_930, "moved -20.0 bps by inventory")
    assert priced(-1, 100.0, 100.0, 0.2, MAKER, wide, TICK, OPEN).key == -10_030
    assert priced(-1, 100.0, 100.0, 9.0, MAKER, wide, TICK, OPEN).key == -10_004


def test_a_trace_of_a_position_is_not_what_a_quote_is_held_by() -> None:
    near = TERMS._replace(half=0.0)
    bid = priced(1, 100.0, 100.0, 0.0004, MAKER, near, TICK, OPEN)
    assert bid.held is None
    moved = priced(1, 100.0, 100.0, 0.0006, MAKER, near, TICK, OPEN)
    assert str(moved.held) == "moved -0.1 bps by inventory"


def test_a_quote_never_takes_but_stands_at_the_touch() -> None:
    found = priced(1, 100.0, 100.0, 0.0, MAKER, TERMS, TICK, 9_990)
    assert (found.key, str(found.held)) == (9_990, "at the touch")


PRICES = st.floats(50.0, 150.0)
SHARES = st.floats(-0.02, 0.02)


@st.composite
def terms(draw: st.DrawFn) -> Terms:
    least = draw(st.floats(-20.0, 50.0))
    return Terms.of(
        replace(
            MarketMakingConfig(),
            min_edge_bps=least,
            cancel_edge_bps=least - draw(st.floats(0.0, 20.0)),
            target_spread_bps=draw(st.floats(0.0, 100.0)),
            requote_ticks=draw(st.integers(0, 20)),
        )
    )


@given(st.sampled_from([1, -1]), PRICES, SHARES, SHARES, st.floats(-2e-4, 1e-3), terms())
def test_no_price_earns_less_than_the_least_edge(
    sign: int, net: float, lean: float, skew: float, maker: float, wanted: Terms
) -> None:
    mid = net * (1.0 + lean)
    key = priced(sign, net, mid, skew * mid, maker, wanted, TICK, OPEN).key
    earned = edge(sign, net, sign * key * TICK, maker)
    assert earned >= wanted.edge - 1e-6 * TICK / net * 2


@given(
    st.sampled_from([1, -1]),
    PRICES,
    SHARES,
    SHARES,
    st.integers(0, 3_000),
    terms(),
    st.data(),
)
def test_within_its_limits_nothing_moves_a_quote(
    sign: int, net: float, lean: float, skew: float, room: int, wanted: Terms, draw: st.DataObject
) -> None:
    mid = net * (1.0 + lean)
    shift = skew * mid
    free = priced(sign, net, mid, shift, MAKER, wanted, TICK, OPEN).key
    most = free + room - 1_000
    key = priced(sign, net, mid, shift, MAKER, wanted, TICK, most).key
    bounds = limits(sign, key, net, mid, shift, MAKER, wanted, TICK, most)
    assert bounds.net <= sign * net + 1e-6 * TICK * 2
    other_net = sign * draw.draw(within(bounds.net, bounds.better, sign * net))
    other_mid = sign * draw.draw(within(bounds.spread, bounds.wider, sign * mid))
    steps = 0 if bounds.touch == inf else max(0, int(bounds.touch / TICK))
    again = priced(sign, other_net, other_mid, shift, MAKER, wanted, TICK, most + steps).key
    assert abs(again - key) <= wanted.slack
    assert edge(sign, other_net, sign * key * TICK, MAKER) >= wanted.cancel - 1e-9


def within(low: float, high: float, now: float) -> st.SearchStrategy[float]:
    """Between two bounds, a hair inside, and near to now if they are infinite."""
    low, high = low + 1e-6, min(high, now + 20.0) - 1e-6
    return st.floats(min(low, now), max(high, now))
