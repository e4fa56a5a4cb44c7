from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest

from hftmm.config import VenueConfig
from hftmm.core.events import MarkPrice, Trade
from hftmm.engine.market import TRADES
from hftmm.engine.meters import LOG_LINES, SAME_EVENT_NS, SAMPLES, Latencies, LogBook, Rate
from hftmm.venues.session import Note
from tests.books import MS, SECOND
from tests.engines import NOON, PERP, SPOT, Floor, config, floor

FREE = VenueConfig(linear_taker_bps=Decimal(0), spot_taker_bps=Decimal(0))
NO_FEES = dict.fromkeys(("binance", "bybit", "okx"), FREE)


def free() -> Floor:
    """Two venues without fees."""
    return floor(config(PERP, SPOT, venues=NO_FEES), ["binance", "okx"])


# Books into markets


def test_the_markets_are_those_of_the_config_in_its_order() -> None:
    at = floor(config(SPOT, PERP))
    assert list(at.engine.markets) == [SPOT, PERP]


def test_members_stand_in_the_order_of_the_config_whenever_they_were_listed() -> None:
    at = floor()
    for venue in ("okx", "binance", "bybit"):
        at.open(venue)
    assert [m.venue for m in at.engine.markets[PERP].members] == ["binance", "bybit", "okx"]


def test_each_kind_of_market_has_its_own_fees() -> None:
    own = VenueConfig(spot_taker_bps=Decimal(7), linear_taker_bps=Decimal(3))
    at = floor(config(PERP, SPOT, venues={"okx": own}))
    at.open("okx", PERP)
    at.open("okx", SPOT)
    (perp,), (spot,) = at.engine.markets[PERP].members, at.engine.markets[SPOT].members
    assert (perp.fees.taker_bps, spot.fees.taker_bps) == (Decimal(3), Decimal(7))


def test_a_listing_that_comes_again_takes_the_place_of_the_old_one() -> None:
    at = free()
    at.quote("okx", [(1000, 1.0)], [(1002, 1.0)])
    old = at.book("okx")
    at.open("okx", tick="0.5")
    assert at.book("okx") is not old
    market = at.engine.markets[PERP]
    assert [member.book for member in market.members] == [at.book("okx")]
    assert market.book.nbbo(at.now_ns).state == "empty"
    at.quote("okx", [(900, 1.0)], [(905, 1.0)])
    assert market.book.nbbo(at.now_ns).bid == 90.0


def test_the_nbbo_is_without_a_venue_in_the_call_that_lost_its_book() -> None:
    at = free()
    at.quote("binance", [(1000, 1.0)], [(1002, 1.0)])
    at.quote("okx", [(1001, 1.0)], [(1003, 1.0)])
    book = at.engine.markets[PERP].book
    assert book.best_bid == 100.1
    at.lose("okx")
    assert book.best_bid == 100.0
    assert book.nbbo(at.now_ns).bid_venues == ("binance",)


def test_a_book_that_nobody_hears_of_is_stale_once_time_says_so() -> None:
    own = VenueConfig(max_age_ms=300)
    at = floor(config(venues={"okx": own}))
    at.quote("okx", [(1000, 1.0)], [(1002, 1.0)])
    at.wait(300)
    assert at.engine.markets[PERP].book.eligible
    at.wait(1)
    at.wait(20)
    assert not at.engine.markets[PERP].book.eligible


def test_a_venues_clock_offset_is_taken_out_of_its_lag() -> None:
    at = floor(config(venues={"okx": VenueConfig(max_lag_ms=100)}))
    at.quote("okx", [(1000, 1.0)], [(1002, 1.0)], venue_ns=NOON - 500 * MS)
    (member,) = at.engine.markets[PERP].members
    assert not member.eligible
    session = at.engine.exchanges.sessions["okx"]
    behind = str((at.now_ns - 480 * MS) // MS).encode()
    session.clock_answered(b'{"code":"0","msg":"","data":[{"ts":"%b"}]}' % behind, NOON, NOON)
    at.wait(250)
    assert member.clock_offset_ns == pytest.approx(-480 * MS, abs=MS)
    assert member.eligible


# Detection


def test_books_that_moved_in_one_read_are_looked_at_once_and_together() -> None:
    at = free()
    at.quote("binance", [(990, 1.0)], [(1000, 1.0)])
    at.quote("okx", [(990, 1.0)], [(1000, 1.0)])
    detector = at.engine.markets[PERP].detector
    # In the middle of the read OKX has fallen through Binance's old bid; at its end Binance has
    # followed.
    at.quote("okx", [(970, 1.0)], [(980, 1.0)], settle=False)
    at.quote("binance", [(970, 1.0)], [(980, 1.0)], settle=False)
    at.engine.settle(at.now_ns)
    assert not detector.live
    assert not detector.past


def test_a_read_that_moved_nothing_looks_at_nothing() -> None:
    at = free()
    at.quote("binance", [(990, 1.0)], [(1000, 1.0)])
    at.quote("okx", [(1010, 1.0)], [(1020, 1.0)])
    (open_now,) = at.engine.markets[PERP].detector.live.values()
    at.engine.settle(at.now_ns + 5 * MS)
    (still,) = at.engine.markets[PERP].detector.live.values()
    assert still is open_now


def test_only_the_market_that_moved_is_looked_at() -> None:
    at = free()
    at.quote("binance", [(990, 1.0)], [(1000, 1.0)], SPOT)
    at.quote("okx", [(1010, 1.0)], [(1020, 1.0)], SPOT)
    (spot_now,) = at.engine.markets[SPOT].detector.live.values()
    at.now_ns += 5 * MS
    at.quote("okx", [(990, 1.0)], [(1000, 1.0)])
    assert list(at.engine.markets[SPOT].detector.live.values()) == [spot_now]


def test_a_crossing_closes_when_time_makes_one_of_its_books_stale() -> None:
    at = free()
    at.quote("binance", [(990, 1.0)], [(1000, 1.0)])
    at.quote("okx", [(1010, 1.0)], [(1020, 1.0)])
    detector = at.engine.markets[PERP].detector
    assert detector.live
    at.wait(2_501)
    assert not detector.live
    assert detector.past[0].lasted_ms == 2_501.0


# State


def test_the_engine_is_armed_by_the_first_book_and_stays_so() -> None:
    at = free()
    at.wait(20)
    assert (at.engine.state, at.engine.state_reason) == ("STARTING", "waiting for the first books")
    at.quote("okx", [(1000, 1.0)], [(1002, 1.0)])
    at.wait(20)
    assert (at.engine.state, at.engine.state_reason) == ("ARMED", "")
    at.lose("okx")
    at.wait(20)
    assert at.engine.state == "ARMED"


# Trades and marks


def test_a_trade_is_large_beside_the_ones_before_it() -> None:
    at = free()
    listing = at.open("okx")
    market = at.engine.markets[PERP]
    for size in (1.0, 1.0, 5.0, 1.0):
        at.engine.traded(Trade(listing, 100.0, size, "buy", "1", NOON, NOON))
    assert [large for _, large in market.trades] == [False, False, True, False]


def test_only_the_newest_trades_are_kept() -> None:
    at = free()
    listing = at.open("okx")
    for i in range(TRADES + 3):
        at.engine.traded(Trade(listing, float(i), 1.0, "buy", str(i), NOON, NOON))
    trades = at.engine.markets[PERP].trades
    assert (len(trades), trades[0][0].price) == (TRADES, 3.0)


def test_a_mark_keeps_what_the_next_message_leaves_out() -> None:
    at = free()
    listing = at.open("okx")
    at.engine.marked(MarkPrice(listing, 100.0, 99.0, 0.0001, NOON + SECOND, NOON, NOON))
    at.engine.marked(MarkPrice(listing, 101.0, None, None, None, NOON + 1, NOON + 1))
    mark = at.engine.markets[PERP].marks["okx"]
    assert (mark.mark, mark.index, mark.funding_rate) == (101.0, 99.0, 0.0001)
    assert (mark.next_funding_ns, mark.received_ns) == (NOON + SECOND, NOON + 1)
    at.engine.marked(MarkPrice(listing, None, 98.0, 0.0002, NOON + 2 * SECOND, NOON, NOON))
    mark = at.engine.markets[PERP].marks["okx"]
    assert (mark.mark, mark.index, mark.funding_rate) == (101.0, 98.0, 0.0002)


# Meters


def test_a_rate_is_that_of_the_last_second() -> None:
    rate = Rate()
    assert rate.per_s == 0.0
    for tenth in range(31):
        rate.mark(tenth * 50, NOON + tenth * SECOND // 10)
    assert rate.per_s == pytest.approx(500.0)
    for tenth in range(31, 42):
        rate.mark(1500, NOON + tenth * SECOND // 10)
    assert rate.per_s == 0.0


def test_a_rate_needs_two_marks() -> None:
    rate = Rate()
    rate.mark(1_000, NOON)
    assert rate.per_s == 0.0
    rate.mark(1_000, NOON)
    assert rate.per_s == 0.0


def test_percentiles_are_of_the_newest_latencies() -> None:
    latencies = Latencies()
    assert latencies.percentiles_us(50, 99) == (None, None)
    latencies.note(3_000)
    assert latencies.percentiles_us(50, 99) == (3.0, 3.0)
    for _ in range(SAMPLES):
        latencies.note(8_000)
    assert latencies.percentiles_us(0, 100) == (8.0, 8.0)


def test_the_same_event_of_a_venue_is_one_line_that_counts_the_others() -> None:
    log = LogBook("info")
    for i in range(4):
        log.note(Note("warning", "okx", "book lost", f"loss {i}", NOON + i * MS))
    log.note(Note("warning", "bybit", "book lost", "elsewhere", NOON + 5 * MS))
    log.note(Note("warning", "okx", "refused", "something else", NOON + 6 * MS))
    log.note(Note("warning", "okx", "book lost", "later", NOON + SAME_EVENT_NS))
    log.note(Note("warning", "okx", "book lost", "latest", NOON + 2 * SAME_EVENT_NS))
    assert [(row.number, row.source, row.text) for row in log.rows] == [
        (1, "okx", "book lost: loss 0"),
        (2, "bybit", "book lost: elsewhere"),
        (3, "okx", "refused: something else"),
        (4, "okx", "book lost: later (and 3 more before)"),
        (5, "okx", "book lost: latest"),
    ]
    assert list(log.fresh) == list(log.rows)


def test_what_says_the_same_for_long_is_told_ever_more_rarely() -> None:
    log = LogBook("info")
    for second in range(3_600):
        log.note(Note("warning", "okx", "rest", "connection refused", NOON + second * SECOND))
    told = [(row.ns - NOON) // SECOND for row in log.rows]
    assert told[:7] == [0, 1, 3, 7, 15, 31, 63]
    assert {later - earlier for earlier, later in pairwise(told[7:])} == {64}
    assert log.rows[-1].text == "rest: connection refused (and 63 more before)"
    log.note(Note("warning", "okx", "rest", "no answer in time", NOON + 3_600 * SECOND))
    assert log.rows[-1].text.startswith("rest: no answer in time")


def test_what_comes_again_after_a_pause_is_news() -> None:
    log = LogBook("info")
    for second in (0, 1, 3, 11, 12):
        log.note(Note("warning", "okx", "rest", "connection refused", NOON + second * SECOND))
    assert [(row.ns - NOON) // SECOND for row in log.rows] == [0, 1, 3, 11, 12]


@pytest.mark.parametrize(
    ("least", "kept"),
    [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)],
)
def test_the_log_keeps_a_level_and_worse(least: str, kept: int) -> None:
    log = LogBook(least)
    for level in ("debug", "info", "warning", "error"):
        log.note(Note(level, "okx", level, "text", NOON))
    assert len(log.rows) == kept


def test_the_log_is_bounded() -> None:
    log = LogBook("info")
    for i in range(LOG_LINES + 5):
        log.note(Note("info", "okx", f"event {i}", "text", NOON))
    assert (len(log.rows), log.rows[0].number) == (LOG_LINES, 6)
