from __future__ import annotations

import json
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftmm.config import ArbitrageConfig, BookConfig, Config, VenueConfig
from hftmm.core.events import MarkPrice, Trade
from hftmm.desk.commands import View
from hftmm.desk.snapshot import DeskSnapshot, LadderColumn, OpportunityRow, VenueQuote
from hftmm.engine import publisher
from hftmm.strategy.arbitrage import Outcome
from hftmm.venues.session import Fetch, Note
from tests.books import MS, SECOND, top
from tests.engines import NOON, PERP, SPOT, Floor, config, floor

FREE = VenueConfig(
    spot_taker_bps=Decimal(0), linear_taker_bps=Decimal(0), max_age_ms=2_500, max_lag_ms=1_500
)
NO_FEES = dict.fromkeys(("binance", "bybit", "okx"), FREE)


def picture(at: Floor, view: View | None = None, number: int = 1) -> DeskSnapshot:
    return publisher.snapshot(at.engine, view or View(), number, at.now_ns)


def said(at: Floor) -> dict[str, Any]:
    """The line of status as a reader of the JSON has it."""
    line: dict[str, Any] = json.loads(msgspec.json.encode(publisher.status(at.engine, at.now_ns)))
    return line


def quote_of(shown: DeskSnapshot, venue: str) -> VenueQuote:
    return next(quote for quote in shown.venues if quote.venue == venue)


def column(at: Floor, venue: str = "binance", **view: Any) -> LadderColumn:
    columns = picture(at, View(**view)).ladder.columns
    return next(each for each in columns if each.venue == venue)


def three_venues(settings: Config | None = None) -> Floor:
    """Every venue quotes 100.0 at 100.2."""
    at = floor(settings)
    for venue in ("binance", "bybit", "okx"):
        at.quote(venue, [(1000, 1.0), (999, 2.0)], [(1002, 1.5), (1003, 2.0)])
    return at


# What does not exist is None


def test_before_any_book_nothing_is_made_up() -> None:
    shown = picture(floor())
    assert (shown.state, shown.market) == ("STARTING", PERP)
    assert shown.nbbo.state == "empty"
    assert (shown.nbbo.bid, shown.nbbo.ask, shown.nbbo.spread_bps) == (None, None, None)
    assert shown.ladder.columns == ()
    assert (shown.ladder.mid, shown.ladder.microprice, shown.ladder.last) == (None, None, None)
    assert shown.latency.wire_to_nbbo_p50_us is None
    assert {(quote.bid, quote.age_ms, quote.lag_ms) for quote in shown.venues} == {(None,) * 3}
    assert shown.arbitrage.best_net_bps is None


def test_a_venue_without_a_book_of_the_market_says_why() -> None:
    at = floor()
    at.quote("binance", [(1000, 1.0)], [(1002, 1.0)])
    quote = quote_of(picture(at), "okx")
    assert (quote.state, quote.reason) == ("syncing", "waiting for the instruments")
    assert (quote.bid, quote.ask) == (None, None)


def test_a_book_with_one_side_makes_a_market_with_one_side() -> None:
    at = floor()
    at.quote("okx", [(1000, 1.0)], [])
    shown = picture(at)
    assert (shown.nbbo.state, shown.nbbo.bid, shown.nbbo.ask) == ("one-sided", 100.0, None)
    assert (shown.ladder.mid, shown.ladder.microprice) == (None, None)
    quote = quote_of(shown, "okx")
    assert (quote.bid, quote.bid_size, quote.ask, quote.ask_size) == (100.0, 1.0, None, None)


def test_an_empty_book_is_live_and_quotes_nothing() -> None:
    at = floor()
    at.quote("okx", [], [])
    shown = picture(at)
    assert shown.nbbo.state == "empty"
    assert quote_of(shown, "okx").bid is None
    assert shown.ladder.columns[0].bids == ()


def test_a_lost_book_leaves_the_ladder_and_the_nbbo() -> None:
    at = three_venues()
    at.lose("okx", reason="gap: update 7 is followed by 9")
    shown = picture(at)
    assert "okx" not in shown.nbbo.bid_venues
    quote = quote_of(shown, "okx")
    assert (quote.state, quote.reason) == ("syncing", "gap: update 7 is followed by 9")
    assert column(at, "okx").bids == ()
    row = shown.markets[0]
    assert (row.venues_live, row.venues_total) == (2, 3)


# The market


def test_the_best_quote_names_its_venues_largest_first() -> None:
    at = floor()
    at.quote("binance", [(1000, 1.0)], [(1003, 1.0)])
    at.quote("bybit", [(1000, 3.0)], [(1002, 1.0)])
    best = picture(at).nbbo
    assert (best.bid, best.bid_size, best.bid_venues) == (100.0, 4.0, ("bybit", "binance"))
    assert (best.ask, best.ask_venues) == (100.2, ("bybit",))
    assert best.spread_bps == pytest.approx(0.2 / 100.1 * 10_000)


@pytest.mark.parametrize(
    ("okx_bid", "state"), [(1001, "normal"), (1002, "locked"), (1003, "crossed")]
)
def test_a_locked_or_crossed_market_is_said_to_be(okx_bid: int, state: str) -> None:
    at = floor()
    at.quote("binance", [(1000, 1.0)], [(1002, 1.0)])
    at.quote("okx", [(okx_bid, 1.0)], [(1005, 1.0)])
    assert picture(at).nbbo.state == state
    market = said(at)["markets"][PERP]
    assert (market["locked"], market["crossed"]) == (state == "locked", state == "crossed")


def test_the_net_quote_is_after_each_venues_taker_fee() -> None:
    at = floor(config(venues={"binance": VenueConfig(linear_taker_bps=Decimal(10))}))
    at.quote("binance", [(1000, 1.0)], [(1002, 1.0)])
    net = picture(at).net
    assert net.bid == pytest.approx(100.0 * 0.999)
    assert net.ask == pytest.approx(100.2 * 1.001)


def test_each_viewer_sees_the_market_it_looks_at() -> None:
    at = floor(config(PERP, SPOT))
    at.quote("binance", [(1000, 1.0)], [(1002, 1.0)])
    at.quote("binance", [(2000, 1.0)], [(2002, 1.0)], SPOT)
    assert picture(at, View(market=SPOT)).nbbo.bid == 200.0
    assert picture(at, View(market=PERP)).nbbo.bid == 100.0
    assert picture(at, View(market="DOGE/USDT")).market == PERP
    assert [row.kind for row in picture(at).markets] == ["linear", "spot"]


# Price groups


def test_bids_are_grouped_down_and_asks_up() -> None:
    at = floor()
    at.quote("binance", [(1009, 1.0), (1000, 2.0), (999, 4.0)], [(1010, 1.0), (1011, 2.0)])
    shown = column(at, group=10)
    assert shown.bids == ((100.0, 3.0), (99.0, 4.0))
    assert shown.asks == ((101.0, 1.0), (102.0, 2.0))


def test_a_group_is_a_multiple_of_the_finest_tick_of_the_venues() -> None:
    at = floor()
    at.open("binance", tick="0.1")
    at.open("okx", tick="0.5")
    at.quote("okx", [(1005, 1.0)], [(1010, 1.0)])
    ladder = picture(at, View(group=5)).ladder
    assert (ladder.step, ladder.group, ladder.decimals) == (0.1, 0.5, 1)


@given(
    ticks=st.sets(st.integers(1, 10_000_000), min_size=1, max_size=40),
    group=st.sampled_from([1, 2, 5, 10, 25, 1000]),
)
def test_every_level_is_in_exactly_its_group(ticks: set[int], group: int) -> None:
    at = floor()
    bids = [(tick, 1.0) for tick in sorted(ticks, reverse=True)]
    asks = [(tick + 10_000_001, 1.0) for tick in sorted(ticks)]
    at.quote("binance", bids, asks)
    shown = column(at, group=group, rows=50)
    wanted_bids: dict[float, float] = {}
    for tick, size in bids:
        price = tick // group * group / 10
        wanted_bids[price] = wanted_bids.get(price, 0.0) + size
    wanted_asks: dict[float, float] = {}
    for tick, size in asks:
        price = -(-tick // group) * group / 10
        wanted_asks[price] = wanted_asks.get(price, 0.0) + size
    assert list(shown.bids) == list(wanted_bids.items())
    assert list(shown.asks) == list(wanted_asks.items())


def test_a_coarse_group_holds_all_its_levels() -> None:
    at = floor()
    at.quote("binance", [(50_000 - i, 1.0) for i in range(3_000)], [(60_000, 1.0)])
    shown = column(at, group=1_000, rows=2)
    assert shown.bids == ((5000.0, 1.0), (4900.0, 1000.0))


def test_as_many_rows_as_are_asked_for() -> None:
    at = floor()
    at.quote("binance", [(1000 - i, 1.0) for i in range(300)], [(1001 + i, 1.0) for i in range(3)])
    shown = column(at, rows=7)
    assert shown.bids == tuple(((1000 - i) / 10, 1.0) for i in range(7))
    assert len(shown.asks) == 3


def test_the_ladder_after_fees_moves_bids_down_and_asks_up() -> None:
    at = floor(config(venues={"binance": VenueConfig(linear_taker_bps=Decimal(10))}))
    at.quote("binance", [(10_000, 1.0)], [(10_010, 2.0)])
    shown = column(at, net=True)
    # 1000.0 less 0.1 % is 999.0; 1001.0 plus 0.1 % is 1002.001, and an ask is grouped up.
    assert shown.bids == ((999.0, 1.0),)
    assert shown.asks == ((1002.1, 2.0),)


def test_the_ladder_begins_with_the_fast_touch_where_that_is_newer() -> None:
    at = floor()
    at.quote("binance", [(1000, 1.0), (999, 2.0)], [(1002, 1.0), (1003, 2.0)])
    book = at.book("binance")
    book.quote(top(99.9, 7.0, 100.3, 5.0, 50, of=book.listing, received_ns=at.now_ns))
    shown = column(at)
    assert shown.bids == ((99.9, 7.0),)
    assert shown.asks == ((100.3, 5.0),)
    book.quote(top(0.0, 0.0, 100.3, 5.0, 51, of=book.listing, received_ns=at.now_ns))
    assert column(at).bids == ()


# Venues, trades, marks


def test_age_and_lag_of_a_venue_are_in_milliseconds() -> None:
    at = floor()
    at.quote("okx", [(1000, 1.0)], [(1002, 1.0)], venue_ns=at.now_ns - 30 * MS)
    at.now_ns += 250 * MS
    quote = quote_of(picture(at), "okx")
    assert quote.age_ms == pytest.approx(250.0)
    assert quote.lag_ms == pytest.approx(30.0)


def test_a_stale_book_is_shown_and_not_counted() -> None:
    at = floor(config(venues=NO_FEES))
    at.quote("okx", [(1000, 1.0)], [(1002, 1.0)])
    at.wait(2_600)
    shown = picture(at)
    quote = quote_of(shown, "okx")
    assert (quote.bid, shown.nbbo.bid) == (100.0, None)
    assert said(at)["markets"][PERP]["venues_live"] == 0


def test_funding_is_shown_in_basis_points_beside_the_mark() -> None:
    at = floor()
    listing = at.open("okx")
    at.engine.marked(MarkPrice(listing, 100.5, None, 0.0001, NOON + SECOND, NOON, NOON))
    quote = quote_of(picture(at), "okx")
    assert (quote.mark, quote.next_funding_ns) == (100.5, NOON + SECOND)
    assert quote.funding_bps == pytest.approx(1.0)


def test_the_tape_is_newest_first_and_the_ladder_knows_the_last_trade() -> None:
    at = floor()
    listing = at.open("bybit")
    for i in range(publisher.TAPE + 5):
        at.engine.traded(Trade(listing, 100.0 + i, 1.0, "buy", str(i), NOON, NOON + i))
    shown = picture(at)
    assert len(shown.tape) == publisher.TAPE
    assert shown.tape[0].price == shown.ladder.last == 164.0
    assert (shown.ladder.last_venue, shown.ladder.last_ns) == ("bybit", NOON + 64)


def test_the_log_is_newest_last_and_bounded() -> None:
    at = floor()
    for i in range(publisher.LOG + 10):
        at.engine.noted(Note("info", "okx", f"event {i}", "text", NOON))
    log = picture(at).log
    assert len(log) == publisher.LOG
    assert (log[-1].number, log[-1].text) == (
        publisher.LOG + 10,
        f"event {publisher.LOG + 9}: text",
    )


def test_limits_are_shown_while_there_is_nothing_to_count() -> None:
    shown = picture(floor())
    okx = next(row for row in shown.risk if row.venue == "okx")
    assert (okx.position, okx.position_limit, okx.order_limit) == (0.0, 0.5, 20)
    assert (okx.clock_offset_ms, shown.risk_totals.worst_case_limit) == (None, 2.0)


# Opportunities


def crossed(at: Floor, bid: int, size: float = 1.0) -> None:
    """OKX bids so much while Binance offers at 100.0."""
    at.quote("binance", [(990, 1.0)], [(1000, size)])
    at.quote("okx", [(bid, size)], [(bid + 50, 1.0)])


def only(shown: DeskSnapshot) -> OpportunityRow:
    (row,) = shown.opportunities
    return row


def test_a_live_crossing_is_shown_as_it_is_now() -> None:
    at = floor(config(venues=NO_FEES), ["binance", "okx"])
    crossed(at, 1010)
    at.now_ns += 40 * MS
    crossed(at, 1005)
    row = only(picture(at))
    assert (row.buy_venue, row.sell_venue, row.live, row.result) == ("binance", "okx", True, "open")
    assert (row.size, row.lasted_ms) == (1.0, 40.0)
    assert row.gross_bps == row.net_bps == pytest.approx(50.0)
    assert row.profit == pytest.approx(0.5)


def test_a_past_crossing_is_shown_as_it_was_at_its_best() -> None:
    at = floor(config(venues=NO_FEES), ["binance", "okx"])
    crossed(at, 1005, size=1.0)
    at.now_ns += 10 * MS
    crossed(at, 1010, size=0.5)
    at.now_ns += 10 * MS
    crossed(at, 1002, size=0.25)
    at.now_ns += 10 * MS
    crossed(at, 995)
    row = only(picture(at))
    assert (row.live, row.size, row.lasted_ms) == (False, 0.5, 30.0)
    assert row.gross_bps == row.net_bps == pytest.approx(100.0)
    assert row.profit == pytest.approx(0.5)
    assert row.result == "gone untaken"


def test_a_crossing_that_was_left_alone_says_why() -> None:
    at = floor(config(venues=NO_FEES), ["binance", "okx"])
    crossed(at, 1010)
    (seen,) = at.engine.markets[PERP].detector.live.values()
    seen.untaken = "cooling down 120 ms"
    assert only(picture(at)).result == "cooling down 120 ms"
    crossed(at, 995)
    assert only(picture(at)).result == "cooling down 120 ms"


def test_a_crossing_that_was_shot_at_says_what_came_of_it() -> None:
    at = floor(config(venues=NO_FEES), ["binance", "okx"])
    crossed(at, 1010)
    detector = at.engine.markets[PERP].detector
    (seen,) = detector.live.values()
    seen.untaken, seen.attempt = "cooling down 120 ms", SimpleNamespace(result="filled +0.98")
    assert only(picture(at)).result == "filled +0.98"
    crossed(at, 995)
    assert only(picture(at)).result == "filled +0.98"
    totals = detector.totals
    totals.shots, totals.counted_on, totals.realised = 4, Decimal("1.5"), Decimal("0.98")
    totals.outcomes.update({Outcome.FILLED: 2, Outcome.MISSED: 1, Outcome.UNWOUND: 3})
    shown = picture(at).arbitrage
    assert (shown.shots, shown.filled, shown.unwound, shown.missed) == (4, 2, 3, 1)
    assert (shown.counted_on, shown.realised) == (1.5, 0.98)


def test_a_crossing_that_fees_ate_says_so_with_the_number_of_its_best_moment() -> None:
    fees = VenueConfig(linear_taker_bps=Decimal(100))
    at = floor(config(venues={**NO_FEES, "binance": fees}), ["binance", "okx"])
    crossed(at, 1005)
    crossed(at, 1008)
    crossed(at, 1001)
    crossed(at, 995)
    shown = picture(at)
    row = only(shown)
    assert row.net_bps == pytest.approx(-20.0)
    assert row.gross_bps == pytest.approx(80.0)
    assert row.result == "net -20.0 < 1 bps"
    assert (shown.arbitrage.seen, shown.arbitrage.gross_only) == (0, 1)
    assert shown.arbitrage.best_net_bps is None
    assert said(at)["opportunities"] == {"count": 0, "best_net_bps": None, "live": 0}


def test_past_crossings_are_newest_first_over_all_markets_and_bounded() -> None:
    at = floor(
        config(PERP, SPOT, venues=NO_FEES, arbitrage=ArbitrageConfig(keep=500)), ["binance", "okx"]
    )
    for i in range(publisher.OPPORTUNITIES):
        symbol = (PERP, SPOT)[i % 2]
        at.now_ns += MS
        at.quote("binance", [(990, 1.0)], [(1000, 1.0)], symbol)
        at.quote("okx", [(1001 + i, 1.0)], [(1100, 1.0)], symbol)
        at.now_ns += MS
        at.quote("okx", [(991, 1.0)], [(1100, 1.0)], symbol)
    crossed(at, 1020)
    rows = picture(at).opportunities
    assert len(rows) == publisher.OPPORTUNITIES
    assert [row.live for row in rows] == [True] + [False] * (publisher.OPPORTUNITIES - 1)
    gross = [round(row.gross_bps) for row in rows[1:]]
    assert gross == [10 * (i + 1) for i in reversed(range(1, publisher.OPPORTUNITIES))]
    assert [row.market for row in rows[1:3]] == [SPOT, PERP]


# The line of status


def test_the_line_of_status_holds_what_its_docstring_lists() -> None:
    at = three_venues(config(PERP, SPOT))
    line = said(at)
    assert set(line) == {
        "ts", "mode", "state", "state_reason", "venues", "markets", "opportunities", "latency",
    }  # fmt: skip
    assert (line["ts"], line["mode"]) == (NOON / SECOND, "sim")
    assert set(line["venues"]) == {"binance", "bybit", "okx"}
    assert set(line["venues"]["okx"]) == {
        "state", "reason", "age_ms", "lag_ms", "frames_per_s", "bid", "ask", "clock_offset_ms",
        "reconnects", "gaps", "resyncs", "malformed",
    }  # fmt: skip
    assert (line["venues"]["okx"]["bid"], line["venues"]["okx"]["ask"]) == (100.0, 100.2)
    assert set(line["markets"]) == {PERP, SPOT}
    market = line["markets"][PERP]
    assert set(market) == {"nbbo", "net", "locked", "crossed", "venues_live"}
    for side in ("nbbo", "net"):
        assert set(market[side]) == {
            "bid", "bid_size", "bid_venues", "ask", "ask_size", "ask_venues", "spread_bps", "state",
        }  # fmt: skip
    assert market["nbbo"]["bid_venues"] == ["binance", "bybit", "okx"]
    assert line["markets"][SPOT]["nbbo"]["state"] == "empty"
    assert line["opportunities"] == {"count": 0, "best_net_bps": None, "live": 0}
    assert line["latency"] == {
        "wire_to_nbbo_p50_us": None, "wire_to_nbbo_p99_us": None, "loop_lag_ms": None,
    }  # fmt: skip


def test_the_line_of_status_counts_opportunities_of_the_run() -> None:
    at = floor(config(venues=NO_FEES), ["binance", "okx"])
    crossed(at, 1010)
    crossed(at, 995)
    crossed(at, 1005)
    found = said(at)["opportunities"]
    assert (found["count"], found["live"]) == (2, 1)
    assert found["best_net_bps"] == pytest.approx(100.0)


def test_latency_is_told_in_microseconds() -> None:
    at = floor()
    for us in range(1, 101):
        at.engine.latencies.note(us * 1_000)
    latency = said(at)["latency"]
    assert latency["wire_to_nbbo_p50_us"] == pytest.approx(50.5)
    assert latency["wire_to_nbbo_p99_us"] == pytest.approx(99.01)


def test_a_quarantined_venue_is_shown_with_its_distance() -> None:
    at = three_venues(config(book=BookConfig(quarantine_floor_bps=20.0, quarantine_deviations=1)))
    for _ in range(20):
        at.quote("binance", [(1000, 1.0)], [(1002, 1.0)])
        at.quote("bybit", [(1000, 1.0)], [(1002, 1.0)])
        at.quote("okx", [(1020, 1.0)], [(1022, 1.0)])
        at.wait(210)
    quote = quote_of(picture(at), "okx")
    assert quote.state == "quarantined"
    assert "bps from the others" in quote.reason


def test_a_snapshot_arrives_as_it_was_sent() -> None:
    shown = picture(three_venues(), number=7)
    sent = msgspec.msgpack.decode(msgspec.msgpack.encode(shown), type=DeskSnapshot)
    assert sent.number == 7
    assert msgspec.to_builtins(sent) == msgspec.to_builtins(shown)


def test_a_venue_whose_definitions_cannot_be_had_is_down_and_says_why() -> None:
    engine = floor().engine
    session = engine.exchanges.sessions["okx"]
    session.start(NOON)
    fetched = [each.request for each in session.outbox if isinstance(each, Fetch)]
    asked = next(request for request in fetched if request.purpose == "instruments")
    session.responded(asked, 0, b"openapi.okx.com: connection refused", NOON)
    assert engine.exchanges.state("okx") == ("down", "openapi.okx.com: connection refused")
