"""Crossings between venues: found, priced, counted once, and closed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hftmm.book.consolidated import ConsolidatedBook, Member, Quarantine, Trust
from hftmm.book.order_book import ASKS, BIDS
from hftmm.config import ArbitrageConfig
from hftmm.core.fees import FeeRates
from hftmm.strategy.arbitrage import LEVELS, ArbitrageDetector, common_lot, floored, walk
from tests.books import MS, SECOND, Rows, book, delta, listing, top

NOW = 1_000 * SECOND
TRUST = Trust(10 * SECOND, 10 * SECOND)
RULE = Quarantine(8.0, 20.0, SECOND)
CONFIG = ArbitrageConfig(
    min_profit_bps=1.0, max_quantity=100.0, min_quantity=0.001, max_age_ms=1_000, keep=3
)


def member(
    venue: str,
    bids: Rows,
    asks: Rows,
    *,
    fee_bps: str = "0",
    lot: str = "0.001",
    min_size: str = "0",
    min_notional: str = "0",
    at_ns: int = NOW,
) -> Member:
    """Prices are ticks of 0.01."""
    of = listing(venue, lot=lot, min_size=min_size, min_notional=min_notional)
    held = book(bids, asks, of=of, received_ns=at_ns)
    return Member(held, TRUST, FeeRates(Decimal(0), Decimal(fee_bps)))


def detector(*members: Member, config: ArbitrageConfig = CONFIG) -> ArbitrageDetector:
    consolidated = ConsolidatedBook("BTC/USDT", members, RULE)
    consolidated.review(NOW)
    return ArbitrageDetector(consolidated, config)


def crossed(fee_bps: str = "0", lot: str = "0.001", min_size: str = "0") -> tuple[Member, Member]:
    """okx sells at 100.00 what binance buys at 101.00, two coins of it."""
    return (
        member(
            "binance", [(10_100, 2.0)], [(10_200, 1.0)], fee_bps=fee_bps, lot=lot, min_size=min_size
        ),
        member("okx", [(9_900, 1.0)], [(10_000, 3.0)], fee_bps=fee_bps, lot=lot, min_size=min_size),
    )


def update(of: Member, bids: Rows = (), asks: Rows = (), at_ns: int = NOW) -> None:
    of.book.apply(delta(bids, asks, final=9, of=of.book.listing, received_ns=at_ns))


# -- the walk -------------------------------------------------------------------------------------

side = st.lists(
    st.tuples(st.integers(9_950, 10_050), st.sampled_from([0.25, 0.5, 1.0, 2.5])),
    min_size=0,
    max_size=6,
    unique_by=lambda row: row[0],
)


@given(side, side, st.sampled_from(["0", "2.5", "10"]), st.sampled_from([0.5, 3.0, 100.0]))
def test_a_walk_takes_the_most_profitable_size(
    asks: list[tuple[int, float]], bids: list[tuple[int, float]], fee_bps: str, most: float
) -> None:
    asks.sort()
    bids.sort(reverse=True)
    fee = Decimal(fee_bps) / 10_000
    edge = walk(
        [(tick / 100, size) for tick, size in asks],
        [(tick / 100, size) for tick, size in bids],
        1.0 + float(fee),
        1.0 - float(fee),
        most,
    )
    # Sizes are quarters: the best size is among them.
    limit = min(sum(s for _, s in asks), sum(s for _, s in bids), most)
    candidates = [Decimal(k) / 4 for k in range(int(limit * 4) + 1)]
    profits = [exact_profit(asks, bids, fee, size) for size in candidates]
    assert edge.profit == pytest.approx(float(max(profits)), abs=1e-9)
    at = candidates.index(Decimal(edge.size))
    assert profits[at] == max(profits)
    without_fees = exact_profit(asks, bids, Decimal(0), candidates[at])
    assert edge.gross == pytest.approx(float(without_fees), abs=1e-9)


def exact_profit(
    asks: list[tuple[int, float]], bids: list[tuple[int, float]], fee: Decimal, size: Decimal
) -> Decimal:
    def value(rows: list[tuple[int, float]]) -> Decimal:
        left, total = size, Decimal(0)
        for tick, there in rows:
            part = min(left, Decimal(there))
            total += part * Decimal(tick) / 100
            left -= part
        return total

    return value(bids) * (1 - fee) - value(asks) * (1 + fee)


def test_a_walk_through_nothing_is_nothing() -> None:
    assert walk([], [(100.0, 1.0)], 1.0, 1.0, 1.0).size == 0.0
    assert walk([(100.0, 1.0)], [], 1.0, 1.0, 1.0).profit == 0.0


# -- lots -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "both"),
    [
        ("0.001", "0.001", "0.001"),
        ("0.001", "0.01", "0.01"),
        ("0.002", "0.003", "0.006"),
        ("0.25", "0.1", "0.5"),
        ("5", "0.3", "15"),
        ("0.00001", "1E+1", "10"),
    ],
)
def test_the_common_lot_is_the_smallest_whole_number_of_both(a: str, b: str, both: str) -> None:
    assert common_lot(Decimal(a), Decimal(b)) == Decimal(both)
    assert common_lot(Decimal(b), Decimal(a)) == Decimal(both)


def test_a_size_is_floored_by_its_decimal_digits() -> None:
    assert floored(0.3, Decimal("0.1")) == 0.3
    assert floored(0.29, Decimal("0.1")) == 0.2
    assert floored(1.15, Decimal("0.05")) == 1.15
    assert floored(0.0009, Decimal("0.001")) == 0.0


def test_the_size_is_a_whole_number_of_both_venues_lots_and_priced_at_that() -> None:
    buy = member("okx", [(9_900, 1.0)], [(10_000, 0.005), (10_050, 0.004)], lot="0.003")
    sell = member("binance", [(10_100, 1.0)], [(10_200, 1.0)], lot="0.002")
    found = detector(buy, sell)
    found.check(NOW)
    (seen,) = found.live.values()
    assert seen.size == 0.006
    assert seen.profit == pytest.approx(0.005 * 1.0 + 0.001 * 0.5)
    assert seen.gross_bps == pytest.approx(seen.profit / (0.5 + 0.1005) * 10_000)


# -- finding --------------------------------------------------------------------------------------

rows = st.lists(
    st.tuples(st.integers(0, 12), st.sampled_from([0.25, 0.5, 1.0])),
    max_size=5,
    unique_by=lambda row: row[0],
)


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.integers(9_990, 10_020), rows, rows), min_size=2, max_size=4),
    st.sampled_from(["0", "1", "5"]),
)
def test_every_ordered_pair_that_crosses_is_found_and_priced(
    books: list[tuple[int, list[tuple[int, float]], list[tuple[int, float]]]], fee_bps: str
) -> None:
    members = [
        member(
            f"venue{n}",
            [(middle - offset, size) for offset, size in bids],
            [(middle + 1 + offset, size) for offset, size in asks],
            fee_bps=fee_bps,
        )
        for n, (middle, bids, asks) in enumerate(books)
    ]
    found = detector(*members)
    found.check(NOW)
    fee = Decimal(fee_bps) / 10_000
    expected = {}
    for buy, sell in permutations(members, 2):
        asks = [(round(p * 100), s) for p, s in buy.book.depth(ASKS, 99)]
        bids = [(round(p * 100), s) for p, s in sell.book.depth(BIDS, 99)]
        if asks and bids and bids[0][0] > asks[0][0]:
            most = min(sum(s for _, s in asks), sum(s for _, s in bids))
            sizes = [Decimal(k) / 4 for k in range(1, int(most * 4) + 1)]
            expected[buy.venue, sell.venue] = max(
                exact_profit(asks, bids, fee, size) for size in sizes
            )
    assert found.live.keys() == expected.keys()
    for pair, seen in found.live.items():
        if expected[pair] > 0:
            assert seen.profit == pytest.approx(float(expected[pair]), abs=1e-9)
            assert seen.best_profit == seen.profit
        else:
            assert seen.profit <= 1e-9
            assert seen.best_profit == pytest.approx(0.0, abs=1e-9)
    good = [seen for seen in found.live.values() if not seen.reason]
    assert found.totals.seen == len(good)
    assert all(seen.net_bps >= CONFIG.min_profit_bps for seen in good)


def test_a_market_that_is_not_crossed_has_none() -> None:
    found = detector(
        member("binance", [(10_000, 1.0)], [(10_001, 1.0)]),
        member("okx", [(9_999, 1.0)], [(10_000, 1.0)]),
    )
    found.check(NOW)
    assert not found.live
    assert found.totals.seen == found.totals.gross_only == 0


def test_a_crossing_says_who_sells_to_whom_and_what_it_brings() -> None:
    sell, buy = crossed(fee_bps="10")
    found = detector(sell, buy)
    update(sell, [(10_050, 5.0)], at_ns=NOW - 40 * MS)
    found.check(NOW + 10 * MS)
    (seen,) = found.live.values()
    assert (seen.market, seen.buy, seen.sell, seen.size) == ("BTC/USDT", "okx", "binance", 3.0)
    proceeds, cost = (2 * 101.0 + 100.5) * 0.999, 300.0 * 1.001
    assert seen.profit == pytest.approx(proceeds - cost)
    assert seen.gross_bps == pytest.approx(2.5 / 300.0 * 10_000)
    assert seen.net_bps == pytest.approx((proceeds - cost) / 300.0 * 10_000)
    assert (seen.buy_age_ms, seen.sell_age_ms) == (10.0, 50.0)
    assert seen.reason == ""


def test_levels_deeper_than_a_broken_book_would_cross_are_not_walked() -> None:
    asks = [(10_000 + k, 1.0) for k in range(LEVELS + 20)]
    found = detector(
        member("okx", [(9_000, 1.0)], asks), member("binance", [(20_000, 90.0)], [(20_001, 1.0)])
    )
    found.check(NOW)
    (seen,) = found.live.values()
    assert seen.size == float(LEVELS)


def test_a_quote_newer_than_the_levels_is_what_crosses() -> None:
    sell = member("binance", [(9_990, 1.0), (9_950, 5.0)], [(10_200, 1.0)])
    buy = member("okx", [(9_900, 1.0)], [(10_000, 3.0)])
    found = detector(sell, buy)
    found.check(NOW)
    assert not found.live
    said = top(101.0, 0.5, 102.0, 1.0, 50, of=sell.book.listing, received_ns=NOW)
    assert sell.book.quote(said)
    found.book.moved(sell, NOW)
    found.check(NOW)
    (seen,) = found.live.values()
    assert seen.size == 0.5
    assert seen.profit == pytest.approx(0.5)


def test_no_more_than_the_largest_size_is_considered() -> None:
    found = detector(*crossed(), config=ArbitrageConfig(max_quantity=0.75))
    found.check(NOW)
    (seen,) = found.live.values()
    assert seen.size == 0.75


def test_an_ask_of_nothing_is_no_gift() -> None:
    broken = member("okx", [], [(0, 1.0)])
    found = detector(broken, member("binance", [(10_000, 1.0)], [(10_001, 1.0)]))
    found.check(NOW)
    assert not found.live


# -- reasons --------------------------------------------------------------------------------------


def reason(*members: Member, config: ArbitrageConfig = CONFIG, now_ns: int = NOW) -> str:
    found = detector(*members, config=config)
    found.check(now_ns)
    (seen,) = found.live.values()
    return seen.reason


def test_a_crossing_that_fees_eat_says_what_is_left() -> None:
    sell, buy = crossed(fee_bps="60")
    found = detector(sell, buy)
    found.check(NOW)
    (seen,) = found.live.values()
    assert seen.reason == "net -20.6 < 1 bps"
    # Priced at the touch, where it is least bad.
    assert seen.size == 2.0
    assert seen.gross_bps == pytest.approx(100.0)
    assert seen.profit < 0.0
    assert seen.best_profit == 0.0


def test_a_net_edge_below_the_wanted_one_says_so() -> None:
    config = ArbitrageConfig(min_profit_bps=150.0)
    assert reason(*crossed(), config=config) == "net 100.0 < 150 bps"


def test_a_book_that_is_too_old_is_named_with_its_age() -> None:
    sell, buy = crossed()
    update(buy, [(9_900, 1.5)], at_ns=NOW + 400 * MS)
    assert reason(sell, buy, now_ns=NOW + 1_200 * MS) == "binance 1200 ms old > 1000"


def test_a_size_below_what_a_venue_takes_names_the_venue() -> None:
    assert reason(*crossed(min_size="2.5")) == "size 2 < 2.5 at okx"
    config = ArbitrageConfig(min_quantity=5.0, max_quantity=10.0)
    assert reason(*crossed(), config=config) == "size 2 < 5 at okx"


def test_a_size_below_one_lot_is_not_worth_taking() -> None:
    assert reason(*crossed(lot="4")) == "size 2 < 4 at okx"


def test_a_notional_below_what_a_venue_takes_names_the_venue() -> None:
    sell, buy = crossed()
    sell = member("binance", [(10_100, 2.0)], [(10_200, 1.0)], min_notional="500")
    assert reason(sell, buy) == "worth 202.00 < 500 at binance"


# -- lifetimes ------------------------------------------------------------------------------------


def test_an_opportunity_is_counted_once_and_lives_from_first_to_last() -> None:
    sell, buy = crossed()
    found = detector(sell, buy)
    found.check(NOW)
    update(sell, [(10_100, 1.0)])
    found.check(NOW + 5 * MS)
    update(sell, [(10_150, 4.0)])
    found.check(NOW + 9 * MS)
    (seen,) = found.live.values()
    assert (seen.first_ns, seen.lasted_ms, seen.counted) == (NOW, 9.0, True)
    assert (found.totals.seen, found.totals.gross_only) == (1, 0)
    assert seen.best_profit == pytest.approx(3 * 1.5)
    assert found.totals.expected == pytest.approx(3 * 1.5)
    assert found.totals.best_net_bps == pytest.approx(150.0)


def test_the_best_it_ever_was_is_kept_when_it_shrinks() -> None:
    sell, buy = crossed()
    found = detector(sell, buy)
    found.check(NOW)
    update(sell, [(10_100, 0.0), (10_020, 1.0)])
    found.check(NOW + MS)
    (seen,) = found.live.values()
    assert seen.net_bps == pytest.approx(20.0)
    assert (seen.best_net_bps, seen.best_profit) == pytest.approx((100.0, 2.0))
    assert found.totals.expected == pytest.approx(2.0)


def test_a_crossing_that_ends_is_past_with_its_lifetime() -> None:
    sell, buy = crossed()
    found = detector(sell, buy)
    found.check(NOW)
    update(sell, [(10_100, 0.0), (9_990, 1.0)])
    found.book.moved(sell, NOW + 7 * MS)
    found.check(NOW + 7 * MS)
    assert not found.live
    (past,) = found.past
    assert (past.lasted_ms, past.counted) == (7.0, True)
    assert found.totals.gross_only == 0


def test_a_crossing_never_worth_taking_is_counted_apart_when_it_ends() -> None:
    sell, buy = crossed(fee_bps="60")
    found = detector(sell, buy)
    found.check(NOW)
    assert found.totals.gross_only == 0
    buy.book.invalidate("gap")
    found.book.moved(buy, NOW + MS)
    found.check(NOW + MS)
    totals = found.totals
    assert (totals.seen, totals.gross_only, totals.best_net_bps, totals.expected) == (0, 1, None, 0)


def test_a_crossing_that_becomes_worth_taking_is_counted_then() -> None:
    sell, buy = crossed(fee_bps="60")
    found = detector(sell, buy)
    found.check(NOW)
    update(sell, [(10_300, 1.0)], [(10_200, 0.0), (10_400, 1.0)])
    found.check(NOW + MS)
    assert found.totals.seen == 1
    (seen,) = found.live.values()
    assert found.totals.expected == pytest.approx(seen.profit)


@pytest.mark.parametrize("gone", [0, 1])
def test_a_crossing_with_a_venue_that_turns_stale_is_gone(gone: int) -> None:
    members = crossed()
    found = detector(*members)
    found.check(NOW)
    late = NOW + TRUST.max_age_ns + 1
    members[1 - gone].book.received_ns = late
    found.book.review(late)
    found.check(late)
    assert not found.live
    assert len(found.past) == 1


def test_the_same_pair_crossing_again_is_a_new_opportunity_and_the_oldest_past_ones_go() -> None:
    sell, buy = crossed()
    found = detector(sell, buy)
    for n in range(5):
        at_ns = NOW + 2 * n * MS
        update(sell, [(10_100, 2.0)], at_ns=at_ns)
        found.book.moved(sell, at_ns)
        found.check(at_ns)
        update(sell, [(10_100, 0.0)], at_ns=at_ns + MS)
        found.book.moved(sell, at_ns + MS)
        found.check(at_ns + MS)
    assert found.totals.seen == 5
    assert found.totals.expected == pytest.approx(10.0)
    assert [past.first_ns for past in found.past] == [NOW + 2 * n * MS for n in (4, 3, 2)]


# -- parameters -----------------------------------------------------------------------------------


def test_other_parameters_hold_from_the_next_check_on() -> None:
    sell, buy = crossed()
    found = detector(sell, buy)
    found.check(NOW)
    found.configure(replace(CONFIG, min_profit_bps=200.0))
    found.check(NOW + MS)
    (seen,) = found.live.values()
    assert seen.reason == "net 100.0 < 200 bps"


def test_fewer_past_ones_are_kept_once_that_is_wanted_and_they_are_the_newest() -> None:
    sell, buy = crossed()
    found = detector(sell, buy)
    for n in range(3):
        at_ns = NOW + 2 * n * MS
        update(sell, [(10_100, 2.0)], at_ns=at_ns)
        found.book.moved(sell, at_ns)
        found.check(at_ns)
        update(sell, [(10_100, 0.0)], at_ns=at_ns + MS)
        found.book.moved(sell, at_ns + MS)
        found.check(at_ns + MS)
    found.configure(replace(CONFIG, keep=2))
    assert [past.first_ns for past in found.past] == [NOW + 4 * MS, NOW + 2 * MS]
    assert found.past.maxlen == 2


def test_what_became_of_a_crossing_stays_with_it_while_it_changes() -> None:
    sell, buy = crossed()
    found = detector(sell, buy)
    found.check(NOW)
    (seen,) = found.live.values()
    seen.untaken, seen.attempt = "off", Attempted("filled +0.98")
    found.check(NOW + MS)
    (now,) = found.live.values()
    assert now is not seen
    assert (now.untaken, now.attempt) == ("off", Attempted("filled +0.98"))


@dataclass(frozen=True)
class Attempted:
    result: str
