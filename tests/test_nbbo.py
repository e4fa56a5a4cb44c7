"""The best of several quotes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftmm.book.nbbo import MarketState, best

Quote = tuple[str, float, float, float, float]

prices = st.sampled_from([99.9, 100.0, 100.1, 100.2, 100.3])
amounts = st.sampled_from([0.0, 0.5, 1.0, 2.0])
VENUES = ("a", "b", "c", "d")
quotes = st.lists(st.tuples(prices, amounts, prices, amounts), max_size=4).map(
    lambda rows: [(VENUES[n], *row) for n, row in enumerate(rows)]
)


@given(quotes)
def test_it_equals_a_scan_of_all_quotes(rows: list[Quote]) -> None:
    formed = best(rows, False, 5)
    bids = [(bid, size, venue) for venue, bid, size, _, _ in rows if size]
    asks = [(ask, size, venue) for venue, _, _, ask, size in rows if size]
    for found, price, size, venues, chosen in (
        (bids, formed.bid, formed.bid_size, formed.bid_venues, max),
        (asks, formed.ask, formed.ask_size, formed.ask_venues, min),
    ):
        if not found:
            assert (price, size, venues) == (0.0, 0.0, ())
            assert isinstance(size, float)
            continue
        assert price == chosen(row[0] for row in found)
        there = [row for row in found if row[0] == price]
        assert size == sum(row[1] for row in there)
        assert sorted(venues) == sorted(row[2] for row in there)
        sizes = {row[2]: row[1] for row in there}
        assert [sizes[venue] for venue in venues] == sorted(sizes.values(), reverse=True)
    assert (formed.net, formed.ns) == (False, 5)


def test_venues_at_one_price_are_together_and_the_largest_is_first() -> None:
    formed = best([("a", 100.0, 1.0, 101.0, 2.0), ("b", 100.0, 3.0, 101.0, 0.5)], False, 0)
    assert (formed.bid_size, formed.bid_venues) == (4.0, ("b", "a"))
    assert (formed.ask_size, formed.ask_venues) == (2.5, ("a", "b"))


def test_equal_sizes_are_in_the_order_of_their_names() -> None:
    formed = best([("b", 100.0, 1.0, 101.0, 1.0), ("a", 100.0, 1.0, 101.0, 1.0)], False, 0)
    assert (formed.bid_venues, formed.ask_venues) == (("a", "b"), ("a", "b"))


@pytest.mark.parametrize(
    ("rows", "state", "mid", "spread"),
    [
        ([], MarketState.EMPTY, None, None),
        ([("a", 100.0, 1.0, 0.0, 0.0)], MarketState.ONE_SIDED, None, None),
        ([("a", 0.0, 0.0, 100.0, 1.0)], MarketState.ONE_SIDED, None, None),
        ([("a", 99.0, 1.0, 101.0, 1.0)], MarketState.NORMAL, 100.0, 200.0),
        (
            [("a", 99.0, 1.0, 100.0, 1.0), ("b", 100.0, 1.0, 101.0, 1.0)],
            MarketState.LOCKED,
            100.0,
            0.0,
        ),
        (
            [("a", 98.0, 1.0, 99.0, 1.0), ("b", 101.0, 1.0, 102.0, 1.0)],
            MarketState.CROSSED,
            100.0,
            -200.0,
        ),
    ],
)
def test_how_bid_and_ask_stand_to_each_other_has_a_name(
    rows: list[Quote], state: MarketState, mid: float | None, spread: float | None
) -> None:
    formed = best(rows, False, 0)
    assert (formed.state, formed.mid) == (state, mid)
    assert formed.spread_bps == (None if spread is None else pytest.approx(spread))
