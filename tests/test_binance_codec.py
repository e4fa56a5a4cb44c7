"""Binance's codec: documented frames, the rules of the wire, and recorded days."""

from __future__ import annotations

import gzip
import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftmm.core.errors import MalformedFrame, OffGrid
from hftmm.core.events import (
    Acknowledged,
    BookDelta,
    Farewell,
    MarkPrice,
    Pong,
    Refusal,
    TopOfBook,
    Trade,
    Verdict,
)
from hftmm.core.instrument import Kind, Listing
from hftmm.venues.binance import BinanceCodec
from hftmm.venues.codec import Addressed, Feed, FeedKind, Request, VenueCodec
from tests.recordings import recording

FIXTURES = Path(__file__).parent / "fixtures" / "binance"
CODEC = BinanceCodec()
SPOT = Listing(
    "binance", "BTCUSDT", "BTC/USDT", Kind.SPOT, "BTC", "USDT", "USDT", Decimal("0.01"), Decimal(1)
)
LINEAR = Listing(
    "binance",
    "BTCUSDT",
    "BTC/USDT:USDT",
    Kind.LINEAR,
    "BTC",
    "USDT",
    "USDT",
    Decimal("0.10"),
    Decimal("0.001"),
)
LISTINGS = {"spot": SPOT, "linear": LINEAR}


def fixture(name: str) -> bytes:
    return (FIXTURES / f"{name}.json").read_bytes()


def feed(kind: FeedKind, listing: Listing, topic: str = "") -> Feed:
    return Feed(kind, "", topic, topic.encode(), listing)


def delta(
    listing: Listing, first: int, final: int, prev: int = -1, *, snapshot: bool = False
) -> BookDelta:
    return BookDelta(
        listing=listing,
        tick_buffer=np.empty(0, np.int64),
        size_buffer=np.empty(0, np.float64),
        n_bids=0,
        count=0,
        first_id=first,
        final_id=final,
        prev_id=prev,
        state_id=final,
        venue_ns=0,
        received_ns=0,
        snapshot=snapshot,
    )


def only_delta(listing: Listing, frame: bytes) -> BookDelta:
    (event,) = CODEC.decode_market(feed(FeedKind.DEPTH, listing), frame, 9)
    assert isinstance(event, BookDelta)
    return event


# --- hosts and requests -------------------------------------------------------------------


def test_the_codec_has_every_verb_of_the_contract() -> None:
    codec: VenueCodec = CODEC
    assert codec.venue == "binance"
    assert codec.book_by_rest


def test_usd_m_streams_go_to_routed_hosts_only() -> None:
    endpoints = CODEC.endpoints(CODEC.hosts("live"))
    assert endpoints["linear.public"] == "wss://fstream.binance.com/public/stream"
    assert endpoints["linear.market"] == "wss://fstream.binance.com/market/stream"
    assert endpoints["spot.public"] == "wss://stream.binance.com:9443/stream"


def test_live_and_demo_name_the_same_hosts_and_share_none() -> None:
    live, demo = CODEC.hosts("live"), CODEC.hosts("demo")
    assert set(live) == set(demo)
    assert not set(live.values()) & set(demo.values())


def test_depth_and_quotes_are_public_trades_and_marks_are_market_data() -> None:
    assert [(f.kind, f.route, f.topic) for f in CODEC.feeds(LINEAR)] == [
        (FeedKind.DEPTH, "linear.public", "btcusdt@depth@100ms"),
        (FeedKind.TOP, "linear.public", "btcusdt@bookTicker"),
        (FeedKind.TRADES, "linear.market", "btcusdt@aggTrade"),
        (FeedKind.MARK, "linear.market", "btcusdt@markPrice@1s"),
    ]
    assert [(f.route, f.topic) for f in CODEC.feeds(SPOT)] == [
        ("spot.public", "btcusdt@depth@100ms"),
        ("spot.public", "btcusdt@bookTicker"),
        ("spot.public", "btcusdt@aggTrade"),
    ]


def test_the_key_of_a_feed_is_what_the_cut_finds_in_its_frames() -> None:
    frame = fixture("linear_depth")
    stop = frame.index(CODEC.cut.stop, CODEC.cut.start)
    assert frame[CODEC.cut.start : stop] == CODEC.feeds(LINEAR)[0].key


def test_every_feed_can_be_identified_by_its_topic() -> None:
    for listing in (SPOT, LINEAR):
        for stream in CODEC.feeds(listing):
            assert CODEC.identify(stream.route, stream.topic) == (stream.kind, "BTCUSDT")


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("ethusdt@depth@0ms", (FeedKind.DEPTH, "ETHUSDT")),
        ("ethusdt@depth", (FeedKind.DEPTH, "ETHUSDT")),
        ("btcusdt_260925@depth@500ms", (FeedKind.DEPTH, "BTCUSDT_260925")),
        ("ethusdt@trade", (FeedKind.TRADES, "ETHUSDT")),
        ("ethusdt@markPrice", (FeedKind.MARK, "ETHUSDT")),
        ("ethusdt@kline_1m", None),
        ("ethusdt@depth20@100ms", None),
        ("!bookTicker", None),
        ("@bookTicker", None),
        ("", None),
    ],
)
def test_topics_of_recordings_are_identified(
    topic: str, expected: tuple[FeedKind, str] | None
) -> None:
    assert CODEC.identify("linear.public", topic) == expected


def test_a_subscription_names_lower_case_streams_and_a_numeric_id() -> None:
    request = msgspec.json.decode(CODEC.subscribe(CODEC.feeds(LINEAR)[:2], "7"))
    assert request == {
        "method": "SUBSCRIBE",
        "params": ["btcusdt@depth@100ms", "btcusdt@bookTicker"],
        "id": 7,
    }
    undone = msgspec.json.decode(CODEC.unsubscribe(CODEC.feeds(LINEAR)[:1], "r7"))
    assert undone == {"method": "UNSUBSCRIBE", "params": ["btcusdt@depth@100ms"], "id": "r7"}


def test_instruments_are_asked_of_the_markets_wanted() -> None:
    assert [r.route for r in CODEC.instruments(frozenset({Kind.SPOT}))] == ["spot.rest"]
    assert [r.route for r in CODEC.instruments(frozenset({Kind.DATED}))] == ["linear.rest"]
    both = CODEC.instruments(frozenset({Kind.SPOT, Kind.LINEAR}))
    assert [(r.path.partition("?")[0], r.weight) for r in both] == [
        ("/api/v3/exchangeInfo", 20),
        ("/fapi/v1/exchangeInfo", 1),
    ]


@pytest.mark.parametrize(
    ("depth", "listing", "limit", "weight"),
    [
        (1000, SPOT, 1000, 50),
        (1001, SPOT, 1001, 250),
        (9000, SPOT, 5000, 250),
        (20, SPOT, 20, 5),
        (1000, LINEAR, 1000, 20),
        (30, LINEAR, 50, 2),
        (5000, LINEAR, 1000, 20),
    ],
)
def test_a_snapshot_is_asked_for_at_a_depth_the_market_offers(
    depth: int, listing: Listing, limit: int, weight: int
) -> None:
    request = BinanceCodec(book_depth=depth).request_book(listing)
    assert request is not None
    assert request.path.endswith(f"/depth?symbol=BTCUSDT&limit={limit}")
    assert (request.weight, request.listing) == (weight, listing.key)


def test_the_clock_is_in_nanoseconds() -> None:
    assert CODEC.clock().path == "/api/v3/time"
    assert CODEC.decode_clock(b'{"serverTime":1780000000123}') == 1780000000123 * 10**6


# --- listings -----------------------------------------------------------------------------


def decoded_listings(route: str, name: str) -> dict[str, Listing]:
    request = Request(route, "", "instruments", 1)
    answer = CODEC.decode_instruments(request, fixture(name))
    assert answer.more is None
    return {listing.symbol: listing for listing in answer.listings}


def test_spot_listings_take_their_grid_from_the_filters() -> None:
    btc = decoded_listings("spot.rest", "spot_exchange_info")["BTC/USDT"]
    assert (btc.tick, btc.lot, btc.decimals) == (Decimal("0.01"), Decimal("0.00001"), 2)
    assert (btc.min_size, btc.min_notional) == (Decimal("0.00001"), Decimal(5))
    assert (btc.kind, btc.status, btc.venue_symbol) == (Kind.SPOT, "live", "BTCUSDT")


def test_a_listing_that_does_not_trade_keeps_the_venues_word() -> None:
    assert decoded_listings("spot.rest", "spot_exchange_info")["OLD/USDT"].status == "CANCEL_ONLY"
    halted = decoded_listings("linear.rest", "linear_exchange_info")["ETH/USDT:USDT"]
    assert halted.status == "TRADING_HALT"


def test_the_older_minimum_notional_filter_is_understood() -> None:
    assert decoded_listings("spot.rest", "spot_exchange_info")["OLD/USDT"].min_notional == 10


def test_rows_without_a_grid_or_filters_are_left_out() -> None:
    assert set(decoded_listings("spot.rest", "spot_exchange_info")) == {"BTC/USDT", "OLD/USDT"}


def test_only_perpetuals_margined_in_usdt_are_linear() -> None:
    found = decoded_listings("linear.rest", "linear_exchange_info")
    assert {symbol: listing.kind for symbol, listing in found.items()} == {
        "BTC/USDT:USDT": Kind.LINEAR,
        "BTC/USDT:USDT-260925": Kind.DATED,
        "ETH/USDT:USDT": Kind.LINEAR,
    }
    btc = found["BTC/USDT:USDT"]
    assert (btc.tick, btc.lot) == (Decimal("0.1"), Decimal("0.001"))
    assert (btc.min_notional, btc.multiplier) == (Decimal(100), Decimal(1))


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"symbols":7}', b"<html>", b""])
def test_an_answer_that_is_no_exchange_info_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedFrame):
        CODEC.decode_instruments(Request("spot.rest", "", "instruments", 1), body)


@pytest.mark.parametrize(
    ("route", "name", "symbol", "kind"),
    [
        ("spot.public", "ETHUSDT", "ETH/USDT", Kind.SPOT),
        ("spot.public", "RUNEEUR", "RUNE/EUR", Kind.SPOT),
        ("spot.public", "BTCFDUSD", "BTC/FDUSD", Kind.SPOT),
        ("spot.public", "USDT", "USDT", Kind.SPOT),
        ("linear.public", "ETHUSDT", "ETH/USDT:USDT", Kind.LINEAR),
        ("linear.public", "BTCUSDT_260925", "BTC/USDT:USDT-260925", Kind.DATED),
    ],
)
def test_a_listing_without_definition_is_inferred_from_its_name(
    route: str, name: str, symbol: str, kind: Kind
) -> None:
    listing = CODEC.infer(route, name, 3)
    assert (listing.symbol, listing.kind, listing.decimals) == (symbol, kind, 3)
    assert listing.inferred
    assert listing.multiplier == 1


# --- depth --------------------------------------------------------------------------------


def test_a_spot_depth_frame_becomes_ticks_and_sizes_bids_first() -> None:
    event = only_delta(SPOT, fixture("spot_depth"))
    assert event.ticks.tolist() == [6000000, 5999050, 6000001]
    assert event.sizes.tolist() == [0.5, 0.0, 1.2]
    assert (event.n_bids, event.count) == (2, 3)
    assert len(event.tick_buffer) == len(event.size_buffer) == 3
    assert (event.first_id, event.final_id, event.prev_id) == (1001, 1004, -1)
    assert (event.venue_ns, event.received_ns) == (1780000000100 * 10**6, 9)
    assert not event.snapshot


def test_a_usd_m_depth_frame_is_stamped_by_the_matching_engine() -> None:
    event = only_delta(LINEAR, fixture("linear_depth"))
    assert event.ticks.tolist() == [600000, 600001, 600010]
    assert (event.first_id, event.final_id, event.prev_id) == (5001, 5040, 4990)
    assert event.state_id == 5040
    assert event.venue_ns == 1780000000098 * 10**6


def test_further_items_of_a_level_are_ignored() -> None:
    frame = fixture("spot_depth").replace(b'"0.50000000"]', b'"0.50000000",[]]')
    assert only_delta(SPOT, frame).sizes.tolist() == [0.5, 0.0, 1.2]


def test_the_rows_of_a_depth_frame_are_the_strings_as_sent() -> None:
    bids, asks = CODEC.rows(fixture("linear_depth"))
    assert bids == [["60000.00", "0.500"]]
    assert asks == [["60000.10", "0"], ["60001", "0.007"]]


def test_the_layout_names_keys_that_the_documented_frames_have() -> None:
    for market, listing in LISTINGS.items():
        layout = CODEC.layout(listing)
        depth = msgspec.json.decode(fixture(f"{market}_depth"))["data"]
        event = only_delta(listing, fixture(f"{market}_depth"))
        assert len(depth[layout.bids.decode()]) == event.n_bids
        assert len(depth[layout.asks.decode()]) == event.count - event.n_bids
        assert depth[layout.first_id.decode()] == event.first_id
        assert depth[layout.final_id.decode()] == event.final_id
        assert depth[layout.venue_ms.decode()] * 10**6 == event.venue_ns
        if layout.prev_id:
            assert depth[layout.prev_id.decode()] == event.prev_id


@pytest.mark.parametrize("market", ["spot", "linear"])
def test_a_snapshot_that_fits_the_limit_is_complete(market: str) -> None:
    listing = LISTINGS[market]
    book = CODEC.decode_book(listing, fixture(f"{market}_snapshot"), 5)
    assert (book.snapshot, book.complete, book.n_bids, book.count) == (True, True, 2, 3)
    assert book.sizes.tolist() == [0.5, 1.25, 0.1]
    assert book.first_id == book.final_id == {"spot": 1002, "linear": 5040}[market]
    assert book.venue_ns == {"spot": 0, "linear": 1780000000098 * 10**6}[market]


def test_a_resting_order_from_before_a_tick_change_asks_for_a_finer_grid() -> None:
    body = fixture("linear_snapshot").replace(b"59999.90", b"59999.95")
    with pytest.raises(OffGrid) as caught:
        CODEC.decode_book(LINEAR, body, 5)
    finer = replace(LINEAR, grid=caught.value.decimals)
    assert finer.decimals == LINEAR.decimals + 1
    book = CODEC.decode_book(finer, body, 5)
    assert (book.n_bids, book.ticks.tolist()) == (2, [6000000, 5999995, 6000010])
    with pytest.raises(MalformedFrame, match="not a number"):
        CODEC.decode_book(LINEAR, body.replace(b"59999.95", b"59999.9x"), 5)


def test_a_snapshot_with_a_full_side_is_cut() -> None:
    codec = BinanceCodec(book_depth=2)
    assert not codec.decode_book(SPOT, fixture("spot_snapshot"), 5).complete
    # USD-M answers at least 5 levels, so two are all there are.
    assert codec.decode_book(LINEAR, fixture("linear_snapshot"), 5).complete


# --- quotes, trades, marks ----------------------------------------------------------------


def test_a_spot_quote_carries_no_time() -> None:
    events = CODEC.decode_market(feed(FeedKind.TOP, SPOT), fixture("spot_book_ticker"), 9)
    assert events == [TopOfBook(SPOT, 60000.0, 0.5, 60000.01, 1.2, 1004, 0, 9)]


def test_a_usd_m_quote_carries_the_matching_engines_time() -> None:
    events = CODEC.decode_market(feed(FeedKind.TOP, LINEAR), fixture("linear_book_ticker"), 9)
    stamp = 1780000000098 * 10**6
    assert events == [TopOfBook(LINEAR, 60000.0, 0.5, 60000.1, 1.2, 5040, stamp, 9)]


@pytest.mark.parametrize(
    ("name", "trade_id", "side"),
    [
        ("spot_agg_trade", "77", "buy"),
        ("spot_trade", "500", "sell"),
        ("linear_agg_trade", "78", "sell"),
    ],
)
def test_a_trade_has_the_takers_side(name: str, trade_id: str, side: str) -> None:
    listing = LISTINGS[name.partition("_")[0]]
    (event,) = CODEC.decode_market(feed(FeedKind.TRADES, listing), fixture(name), 9)
    assert isinstance(event, Trade)
    assert (event.trade_id, event.side, event.venue_ns) == (trade_id, side, 1780000000099 * 10**6)


def test_a_match_outside_the_order_book_is_no_trade() -> None:
    frame = fixture("spot_trade").replace(b'"m":true', b'"m":true,"X":"INSURANCE_FUND"')
    assert CODEC.decode_market(feed(FeedKind.TRADES, LINEAR), frame, 9) == []


def test_a_mark_price_carries_the_funding_that_comes_next() -> None:
    frame = fixture("linear_mark_price")
    (event,) = CODEC.decode_market(feed(FeedKind.MARK, LINEAR), frame, 9)
    assert event == MarkPrice(
        LINEAR, 60001.2, 60000.9, -0.0001, 1780012800000 * 10**6, 1780000000000 * 10**6, 9
    )


def test_a_contract_that_expires_has_no_funding() -> None:
    frame = fixture("linear_mark_price").replace(b'"-0.00010000"', b'""')
    frame = frame.replace(b"1780012800000", b"0")
    (event,) = CODEC.decode_market(feed(FeedKind.MARK, LINEAR), frame, 9)
    assert isinstance(event, MarkPrice)
    assert (event.funding_rate, event.next_funding_ns) == (None, None)


def test_a_mark_price_that_is_no_number_is_malformed() -> None:
    frame = fixture("linear_mark_price").replace(b"60001.20000000", b"nan")
    with pytest.raises(MalformedFrame, match="not a number"):
        CODEC.decode_market(feed(FeedKind.MARK, LINEAR), frame, 9)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (FeedKind.DEPTH, "linear_depth"),
        (FeedKind.TOP, "linear_book_ticker"),
        (FeedKind.TRADES, "linear_agg_trade"),
        (FeedKind.MARK, "linear_mark_price"),
    ],
)
def test_coin_margined_events_unknown_events_and_unknown_fields_are_nothing_to_us(
    kind: FeedKind, name: str
) -> None:
    frame = fixture(name)
    stream = feed(kind, LINEAR)
    coin_margined = frame.replace(b'"st":1', b'"st":2')
    assert coin_margined != frame
    assert CODEC.decode_market(stream, coin_margined, 9) == []
    event = msgspec.json.decode(frame)["data"]["e"].encode()
    assert CODEC.decode_market(stream, frame.replace(event, b"surprise"), 9) == []
    extended = frame.replace(b'"st":1', b'"st":1,"news":{"of":[1,null,"\\u20ac"]}')
    assert len(CODEC.decode_market(stream, extended, 9)) == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"60000.00"', b"60000.00"),
        (b'"60000.00"', b'"60000.05"'),
        (b'"0.500"', b'"many"'),
        (b'"U":5001', b'"U":"x"'),
        (b'"u":5040', b'"v":5040'),
        (b'"u":5040', b'"u":1' + b"0" * 30),
        (b'"b":[', b'"b":{'),
        (b"}}", b"}"),
        (b"depthUpdate", b"depth\xffUpdate"),
    ],
)
def test_a_depth_frame_that_breaks_its_documentation_is_malformed(old: bytes, new: bytes) -> None:
    with pytest.raises(MalformedFrame):
        CODEC.decode_market(
            feed(FeedKind.DEPTH, LINEAR), fixture("linear_depth").replace(old, new), 9
        )


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "1e400", "x", ""])
def test_a_quote_that_is_no_number_is_malformed(text: str) -> None:
    frame = fixture("spot_book_ticker").replace(b"60000.01000000", text.encode())
    with pytest.raises(MalformedFrame):
        CODEC.decode_market(feed(FeedKind.TOP, SPOT), frame, 9)


@given(
    st.sampled_from(sorted(path.stem for path in FIXTURES.glob("*.json"))),
    st.integers(0, 4000),
    st.integers(0, 60),
    st.binary(max_size=6),
    st.sampled_from(FeedKind),
    st.sampled_from(sorted(LISTINGS)),
)
def test_bytes_of_any_kind_raise_only_malformed_frame(
    name: str, at: int, length: int, new: bytes, kind: FeedKind, market: str
) -> None:
    whole = fixture(name)
    frame = whole[:at] + new + whole[at + length :]
    listing = LISTINGS[market]
    calls: list[Callable[[], object]] = [
        lambda: CODEC.decode_envelope("spot.public", frame),
        lambda: CODEC.decode_market(feed(kind, listing), frame, 0),
        lambda: CODEC.decode_book(listing, frame, 0),
        lambda: CODEC.decode_clock(frame),
        lambda: CODEC.rows(frame),
        lambda: CODEC.decode_instruments(Request("spot.rest", "", "instruments", 1), frame),
        lambda: CODEC.decode_instruments(Request("linear.rest", "", "instruments", 1), frame),
    ]
    for call in calls:
        with suppress(MalformedFrame):
            call()
    assert "\n" not in CODEC.decode_error(400, frame)


# --- envelopes ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (b'{"result":null,"id":7}', Acknowledged("7")),
        (b'{"result":null,"id":"r7"}', Acknowledged("r7")),
        (b'{"result":["btcusdt@depth"],"id":0}', Pong()),
        (
            b'{"code":2,"msg":"Invalid request","id":7}',
            Refusal("7", "", "2", "Invalid request"),
        ),
        (b'{"code":3,"msg":"Invalid JSON"}', Refusal("", "", "3", "Invalid JSON")),
        (
            b'{"error":{"code":2,"msg":"Invalid request"},"id":null}',
            Refusal("", "", "2", "Invalid request"),
        ),
        (b'{ "stream": "btcusdt@depth" , "data":{}}', Addressed("btcusdt@depth")),
        (b'{"data":{},"stream":"btcusdt@depth"}', Addressed("btcusdt@depth")),
        (b'{"e":"somethingNew","E":1}', None),
    ],
)
def test_a_frame_without_a_known_stream_is_told_apart(frame: bytes, expected: object) -> None:
    assert CODEC.decode_envelope("spot.public", frame) == expected


@pytest.mark.parametrize(
    "frame",
    [
        b'{"e":"serverShutdown","E":1780000000000}',
        b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1780000000000}}',
    ],
)
def test_an_announced_shutdown_is_a_farewell(frame: bytes) -> None:
    assert isinstance(CODEC.decode_envelope("spot.public", frame), Farewell)


@pytest.mark.parametrize("frame", [b"", b"pong", b"[]", b"{}", b"7", b'{"stream":7}', b"[" * 10**5])
def test_what_is_no_envelope_is_malformed(frame: bytes) -> None:
    with pytest.raises(MalformedFrame):
        CODEC.decode_envelope("spot.public", frame)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (
            400,
            b'{"code":-1121,"msg":"Invalid symbol."}',
            "400 -1121 Invalid symbol. (the venue has no",
        ),
        (
            429,
            b'{"code":-1003,"msg":"Too many requests."}',
            "429 -1003 Too many requests. (request limit",
        ),
        (
            418,
            b'{"code":-1003,"msg":"banned until 1"}',
            "418 -1003 banned until 1 (this address is ban",
        ),
        (403, b"<html>\n<body>no", "403 <html> <body>no (the venue's firewall"),
        (400, b'{"code":-9999,"msg":"New."}', "400 -9999 New."),
        (502, b"", "502"),
    ],
)
def test_errors_are_said_in_words(status: int, body: bytes, words: str) -> None:
    assert CODEC.decode_error(status, body).startswith(words)


# --- sequence -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("applied", "first", "final", "joining", "verdict"),
    [
        (100, 95, 100, True, Verdict.SKIP),
        (100, 96, 101, True, Verdict.APPLY),
        (100, 101, 105, True, Verdict.APPLY),
        (100, 102, 105, True, Verdict.REFETCH),
        (100, 101, 101, False, Verdict.APPLY),
        (100, 98, 100, False, Verdict.SKIP),
        (100, 99, 103, False, Verdict.RESYNC),
        (100, 90, 99, False, Verdict.RESYNC),
        (100, 102, 105, False, Verdict.RESYNC),
    ],
)
def test_a_spot_event_must_touch_the_one_before(
    applied: int, first: int, final: int, joining: bool, verdict: Verdict
) -> None:
    assert CODEC.sequence(applied, delta(SPOT, first, final), joining) is verdict


@pytest.mark.parametrize(
    ("applied", "first", "final", "prev", "joining", "verdict"),
    [
        (100, 90, 99, 80, True, Verdict.SKIP),
        (100, 90, 100, 80, True, Verdict.APPLY),
        (100, 100, 120, 99, True, Verdict.APPLY),
        (100, 107, 120, 100, True, Verdict.APPLY),
        (100, 107, 120, 103, True, Verdict.REFETCH),
        (100, 150, 170, 100, False, Verdict.APPLY),
        (100, 101, 110, 99, False, Verdict.RESYNC),
        (100, 101, 110, 103, False, Verdict.RESYNC),
        (100, 101, 110, -1, False, Verdict.RESYNC),
        (100, 90, 100, 80, False, Verdict.SKIP),
        (100, 80, 89, 70, False, Verdict.RESYNC),
    ],
)
def test_a_usd_m_event_must_name_the_one_before(
    applied: int, first: int, final: int, prev: int, joining: bool, verdict: Verdict
) -> None:
    assert CODEC.sequence(applied, delta(LINEAR, first, final, prev), joining) is verdict


def test_a_snapshot_always_replaces_the_book() -> None:
    assert CODEC.sequence(10**9, delta(SPOT, 1, 1, snapshot=True), False) is Verdict.SNAPSHOT


def test_binance_sends_no_checksums() -> None:
    assert CODEC.audit() is None


# --- recordings ---------------------------------------------------------------------------


class _Answer(msgspec.Struct):
    rest: str
    body: msgspec.Raw


def lines(name: str) -> Iterator[tuple[int, str, bytes]]:
    with gzip.open(recording(name)) as file:
        for line in file:
            received, _, route, frame = line.rstrip(b"\n").split(b" ", 3)
            yield int(received), route.decode(), frame


@pytest.mark.parametrize(
    ("name", "books"),
    [
        ("binance_spot_ETHUSDT_20240808.txt.gz", 1),
        ("binance_linear_ETHUSDT_20240808.txt.gz", 1),
        ("binance_spot_4symbols_20211012.txt.gz", 4),
        ("binance_linear_4symbols_20210722.txt.gz", 4),
    ],
)
def test_a_recorded_day_decodes_and_has_no_gap(name: str, books: int) -> None:
    listings: dict[str, Listing] = {}
    applied: dict[str, int] = {}
    joining: set[str] = set()
    buffered: dict[str, list[BookDelta]] = {}
    verdicts: Counter[Verdict] = Counter()

    def judge(event: BookDelta) -> None:
        symbol = event.listing.venue_symbol
        verdict = CODEC.sequence(applied[symbol], event, symbol in joining)
        verdicts[verdict] += 1
        if verdict is Verdict.APPLY:
            joining.discard(symbol)
            applied[symbol] = event.final_id

    for received, route, frame in lines(name):
        if route.endswith(".rest"):
            answer = msgspec.json.decode(frame, type=_Answer)
            if "exchangeInfo" in answer.rest:
                found = CODEC.decode_instruments(
                    Request(route, answer.rest, "instruments", 1), bytes(answer.body)
                )
                listings |= {listing.venue_symbol: listing for listing in found.listings}
                continue
            symbol = answer.rest.partition("symbol=")[2].partition("&")[0]
            try:
                book = CODEC.decode_book(listings[symbol], bytes(answer.body), received)
            except OffGrid as error:
                listings[symbol] = replace(listings[symbol], grid=error.decimals)
                book = CODEC.decode_book(listings[symbol], bytes(answer.body), received)
            applied[symbol] = book.final_id
            joining.add(symbol)
            for event in buffered.pop(symbol, []):
                judge(event)
            continue
        stop = frame.index(CODEC.cut.stop, CODEC.cut.start)
        topic = frame[CODEC.cut.start : stop].decode()
        assert CODEC.decode_envelope(route, frame) == Addressed(topic)
        identified = CODEC.identify(route, topic)
        if identified is None:
            assert "@kline" in topic
            continue
        kind, symbol = identified
        (decoded,) = CODEC.decode_market(feed(kind, listings[symbol], topic), frame, received)
        if isinstance(decoded, BookDelta):
            if symbol in applied:
                judge(decoded)
            else:
                buffered.setdefault(symbol, []).append(decoded)
        elif isinstance(decoded, TopOfBook):
            assert math.isfinite(decoded.bid)
            assert decoded.bid < decoded.ask

    assert len(applied) == len(listings) == books
    assert not buffered
    assert set(verdicts) <= {Verdict.APPLY, Verdict.SKIP}
    assert verdicts[Verdict.APPLY] > 100
