"""The Bybit codec, frame by frame. The fixtures are written after the documented shapes."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftmm.core.errors import MalformedFrame
from hftmm.core.events import (
    Acknowledged,
    BookDelta,
    MarkPrice,
    Pong,
    Refusal,
    TopOfBook,
    Trade,
    Verdict,
)
from hftmm.core.instrument import Kind, Listing
from hftmm.venues.bybit import BybitCodec
from hftmm.venues.codec import Addressed, Feed, FeedKind, VenueCodec
from tests.recordings import recording

FIXTURES = Path(__file__).parent / "fixtures" / "bybit"
CODEC = BybitCodec()
NOW = 1_750_000_000_007_000_000


def fixture(name: str) -> bytes:
    return (FIXTURES / f"{name}.json").read_bytes().strip()


def listing(kind: Kind = Kind.LINEAR, tick: str = "0.10") -> Listing:
    symbol = "BTC/USDT" if kind is Kind.SPOT else "BTC/USDT:USDT"
    return Listing(
        venue="bybit",
        venue_symbol="BTCUSDT",
        symbol=symbol,
        kind=kind,
        base="BTC",
        quote="USDT",
        settle="" if kind is Kind.SPOT else "USDT",
        tick=Decimal(tick),
        lot=Decimal("0.001"),
    )


def feed(kind: FeedKind, market: Kind = Kind.LINEAR) -> Feed:
    return next(f for f in CODEC.feeds(listing(market)) if f.kind is kind)


def depth_frame(
    bids: list[list[str]] | None = None,
    asks: list[list[str]] | None = None,
    u: int = 7,
    kind: str = "delta",
) -> bytes:
    return msgspec.json.encode(
        {
            "topic": "orderbook.50.BTCUSDT",
            "type": kind,
            "ts": 1750000000005,
            "data": {"s": "BTCUSDT", "b": bids or [], "a": asks or [], "u": u, "seq": 5},
            "cts": 1750000000003,
        }
    )


def depth(frame: bytes, market: Kind = Kind.LINEAR) -> BookDelta:
    (event,) = CODEC.decode_market(feed(FeedKind.DEPTH, market), frame, NOW)
    assert isinstance(event, BookDelta)
    return event


def test_the_codec_has_every_verb_of_the_contract() -> None:
    codec: VenueCodec = BybitCodec()
    assert codec.venue == "bybit"


# Hosts and feeds


def test_live_hosts_are_the_documented_ones() -> None:
    assert CODEC.endpoints(CODEC.hosts("live")) == {
        "rest": "https://api.bybit.com",
        "spot.public": "wss://stream.bybit.com/v5/public/spot",
        "linear.public": "wss://stream.bybit.com/v5/public/linear",
    }


def test_demo_takes_its_market_data_from_the_live_hosts_and_has_no_order_socket() -> None:
    live, demo = CODEC.hosts("live"), CODEC.hosts("demo")
    assert demo["public_linear"] == live["public_linear"]
    assert demo["rest"] == "https://api-demo.bybit.com"
    assert demo["private"] == "wss://stream-demo.bybit.com/v5/private"
    assert "trade" not in demo


def test_a_contract_has_depth_first_then_top_trades_and_mark() -> None:
    feeds = CODEC.feeds(listing())
    assert [(f.kind, f.route, f.topic) for f in feeds] == [
        (FeedKind.DEPTH, "linear.public", "orderbook.50.BTCUSDT"),
        (FeedKind.TOP, "linear.public", "orderbook.1.BTCUSDT"),
        (FeedKind.TRADES, "linear.public", "publicTrade.BTCUSDT"),
        (FeedKind.MARK, "linear.public", "tickers.BTCUSDT"),
    ]


def test_spot_has_no_mark_price() -> None:
    assert [f.kind for f in CODEC.feeds(listing(Kind.SPOT))] == [
        FeedKind.DEPTH,
        FeedKind.TOP,
        FeedKind.TRADES,
    ]


def test_an_inverse_contract_has_no_public_stream_here() -> None:
    assert CODEC.feeds(listing(Kind.INVERSE)) == []


@pytest.mark.parametrize("name", ["linear_depth_snapshot", "spot_depth_delta", "linear_top"])
def test_the_cut_finds_the_topic_of_a_market_frame(name: str) -> None:
    frame = fixture(name)
    stop = frame.index(CODEC.cut.stop, CODEC.cut.start)
    assert frame[CODEC.cut.start : stop].decode() == json.loads(frame)["topic"]


@pytest.mark.parametrize(
    ("topic", "kind"),
    [
        ("orderbook.1.BTCUSDT", FeedKind.TOP),
        ("orderbook.50.BTCUSDT", FeedKind.DEPTH),
        ("orderbook.200.BTCUSDT", FeedKind.DEPTH),
        ("orderbook.500.BTCUSDT", FeedKind.DEPTH),
        ("orderbook.1000.BTCUSDT", FeedKind.DEPTH),
        ("publicTrade.BTCUSDT", FeedKind.TRADES),
        ("tickers.BTCUSDT", FeedKind.MARK),
    ],
)
def test_a_topic_nobody_subscribed_to_is_identified(topic: str, kind: FeedKind) -> None:
    assert CODEC.identify("linear.public", topic) == (kind, "BTCUSDT")


@pytest.mark.parametrize(
    "topic", ["orderbook.rpi.BTCUSDT", "orderbook.full.BTCUSDT", "kline.1.BTCUSDT", "x", ""]
)
def test_a_topic_of_another_shape_is_nothing_to_us(topic: str) -> None:
    assert CODEC.identify("linear.public", topic) is None


def test_spot_tickers_and_other_routes_are_nothing_to_us() -> None:
    assert CODEC.identify("spot.public", "tickers.BTCUSDT") is None
    assert CODEC.identify("rest", "orderbook.50.BTCUSDT") is None


# Requests


def test_a_subscription_carries_its_id_and_the_topics() -> None:
    feeds = CODEC.feeds(listing())[:2]
    assert json.loads(CODEC.subscribe(feeds, "a1")) == {
        "req_id": "a1",
        "op": "subscribe",
        "args": ["orderbook.50.BTCUSDT", "orderbook.1.BTCUSDT"],
    }
    assert json.loads(CODEC.unsubscribe(feeds[:1], "a2")) == {
        "req_id": "a2",
        "op": "unsubscribe",
        "args": ["orderbook.50.BTCUSDT"],
    }


def test_the_heartbeat_is_a_json_ping_every_twenty_seconds() -> None:
    rules = CODEC.stream_rules
    assert json.loads(rules.ping) == {"op": "ping"}
    assert rules.ping_after_ns == 20_000_000_000
    assert not rules.ping_when_idle
    assert rules.topics_per_request == 10


# Envelopes


@pytest.mark.parametrize("name", ["spot_pong", "linear_pong", "private_pong", "trade_pong"])
def test_all_four_pongs_are_recognised(name: str) -> None:
    assert CODEC.decode_envelope("linear.public", fixture(name)) == Pong()


@pytest.mark.parametrize(
    ("name", "request_id"), [("spot_acknowledged", "r1"), ("linear_acknowledged", "r2")]
)
def test_an_acknowledgement_names_the_request(name: str, request_id: str) -> None:
    assert CODEC.decode_envelope("spot.public", fixture(name)) == Acknowledged(request_id)


def test_an_unsubscription_is_acknowledged_too() -> None:
    frame = fixture("linear_acknowledged").replace(b'"op":"subscribe"', b'"op":"unsubscribe"')
    assert CODEC.decode_envelope("linear.public", frame) == Acknowledged("r2")


def test_a_refusal_says_why_and_where_it_can_which_topic() -> None:
    assert CODEC.decode_envelope("spot.public", fixture("spot_refused")) == Refusal(
        "r4", "", "", "args size >10"
    )
    assert CODEC.decode_envelope("linear.public", fixture("linear_refused")) == Refusal(
        "r3",
        "orderbook.500.BTCUSDT",
        "",
        "error:handler not found,topic:orderbook.500.BTCUSDT",
    )


def test_a_market_frame_with_its_keys_moved_is_addressed_by_its_topic() -> None:
    frame = b'{"type":"delta", "topic":"orderbook.50.BTCUSDT","data":{}}'
    assert CODEC.decode_envelope("linear.public", frame) == Addressed("orderbook.50.BTCUSDT")


@pytest.mark.parametrize("frame", [b"{}", b'{"op":"somethingNew","success":true,"more":[1]}'])
def test_an_unknown_event_is_nothing_to_us(frame: bytes) -> None:
    assert CODEC.decode_envelope("linear.public", frame) is None


@pytest.mark.parametrize(
    "frame", [b"", b"pong", b"[1]", b'{"op":1}', b'{"op":"pi', b'{"op":"\xff"}', b"[" * 200_000]
)
def test_what_is_no_envelope_is_malformed(frame: bytes) -> None:
    with pytest.raises(MalformedFrame):
        CODEC.decode_envelope("linear.public", frame)


# Depth


def test_a_linear_snapshot_becomes_ticks_and_sizes_bids_first() -> None:
    delta = depth(fixture("linear_depth_snapshot"))
    assert delta.ticks.tolist() == [600000, 599999, 599905, 600001, 600123]
    assert delta.sizes.tolist() == [1.5, 2.0, 0.001, 0.7, 12.345]
    assert (delta.n_bids, delta.count) == (3, 5)
    assert len(delta.tick_buffer) == len(delta.size_buffer) == 5
    assert (delta.first_id, delta.final_id, delta.prev_id, delta.state_id) == (
        9001,
        9001,
        -1,
        770001,
    )
    assert delta.snapshot
    assert delta.complete
    assert (delta.venue_ns, delta.received_ns) == (1_750_000_000_005_000_000, NOW)


def test_the_key_order_of_spot_is_read_as_well() -> None:
    snapshot = depth(fixture("spot_depth_snapshot"), Kind.SPOT)
    delta = depth(fixture("spot_depth_delta"), Kind.SPOT)
    assert (snapshot.snapshot, snapshot.final_id, snapshot.n_bids) == (True, 411, 1)
    assert snapshot.venue_ns == 1_750_000_000_105_000_000
    assert (delta.snapshot, delta.final_id, delta.n_bids) == (False, 412, 0)
    assert (delta.ticks.tolist(), delta.sizes.tolist()) == ([600011], [0.0])


def test_any_key_order_and_white_space_give_the_same_delta() -> None:
    frame = fixture("linear_depth_delta")
    message = json.loads(frame)
    message["data"] = dict(reversed(message["data"].items()))
    shuffled = json.dumps(dict(reversed(message.items())), indent=1).encode()
    one, other = depth(frame), depth(shuffled)
    assert other.ticks.tolist() == one.ticks.tolist()
    assert other.sizes.tolist() == one.sizes.tolist()
    assert (other.final_id, other.state_id, other.venue_ns, other.n_bids) == (
        one.final_id,
        one.state_id,
        one.venue_ns,
        one.n_bids,
    )


def test_a_snapshot_with_a_side_as_long_as_the_depth_is_cut_there() -> None:
    side = [[str(60000 - i), "1"] for i in range(50)]
    assert not depth(depth_frame(bids=side, kind="snapshot")).complete
    assert depth(depth_frame(bids=side[:49], kind="snapshot")).complete
    assert depth(depth_frame(bids=side, kind="delta")).complete
    assert not depth(depth_frame(bids=side[:1], kind="delta", u=1)).complete


def test_unknown_fields_and_further_items_of_a_level_are_ignored() -> None:
    frame = fixture("linear_depth_delta").replace(b'"3.1"]', b'"3.1","9"]')
    frame = frame.replace(b'"u":', b'"tomorrow":{"b":[[1]]},"u":')
    assert depth(frame).sizes.tolist() == [0.0, 3.1]


@pytest.mark.parametrize("price", ["60000.05", "60000.001", "0.01"])
def test_a_price_off_the_grid_is_malformed(price: str) -> None:
    with pytest.raises(MalformedFrame, match="off-grid price"):
        depth(depth_frame(bids=[[price, "1"]]))


def test_zeros_beyond_the_grid_are_no_offence() -> None:
    assert depth(depth_frame(bids=[["60000.5000", "1"]])).ticks.tolist() == [600005]
    assert depth(depth_frame(bids=[["60000", "1"]])).ticks.tolist() == [600000]


@pytest.mark.parametrize(
    "number", ["", ".", "-1", "+1", "1_0", " 1", "nan", "inf", "1.2.3", "١", "9" * 60]
)
def test_what_is_no_decimal_is_malformed(number: str) -> None:
    with pytest.raises(MalformedFrame):
        depth(depth_frame(bids=[[number, "1"]]))
    with pytest.raises(MalformedFrame):
        depth(depth_frame(asks=[["60000", number]]))


def test_a_price_too_large_for_a_book_is_malformed() -> None:
    with pytest.raises(MalformedFrame, match="out of range"):
        depth(depth_frame(bids=[["1" + "0" * 18, "1"]]))


@pytest.mark.parametrize("key", [b'"b"', b'"a"', b'"u"', b'"data"', b'"type"'])
def test_a_depth_frame_without_one_of_its_parts_is_malformed(key: bytes) -> None:
    with pytest.raises(MalformedFrame):
        depth(fixture("linear_depth_delta").replace(key, b'"zz"', 1))


@given(cut=st.integers(0, 400))
def test_a_truncated_depth_frame_is_malformed(cut: int) -> None:
    frame = fixture("linear_depth_snapshot")
    with pytest.raises(MalformedFrame):
        depth(frame[: min(cut, len(frame) - 1)])


@given(
    at=st.integers(0, 10_000),
    byte=st.integers(0, 255),
    name=st.sampled_from(
        ["linear_depth_snapshot", "linear_top", "linear_trades", "linear_ticker_snapshot"]
    ),
)
def test_a_corrupted_byte_never_raises_anything_but_malformed(
    at: int, byte: int, name: str
) -> None:
    frame = bytearray(fixture(name))
    frame[at % len(frame)] = byte
    for one in CODEC.feeds(listing()):
        try:
            CODEC.decode_market(one, bytes(frame), NOW)
        except MalformedFrame:
            continue


@given(ticks=st.integers(0, 10**12), decimals=st.integers(0, 8), zeros=st.integers(0, 3))
def test_every_price_on_the_grid_comes_back_as_its_ticks(
    ticks: int, decimals: int, zeros: int
) -> None:
    price = f"{Decimal(ticks).scaleb(-decimals):f}"
    price += "0" * zeros if "." in price else ""
    one = feed(FeedKind.DEPTH)
    grid = Feed(
        one.kind, one.route, one.topic, one.key, listing(tick=f"{Decimal(1).scaleb(-decimals):f}")
    )
    (event,) = CODEC.decode_market(grid, depth_frame(bids=[[price, "1"]]), NOW)
    assert isinstance(event, BookDelta)
    assert event.ticks.tolist() == [ticks]


@given(size=st.decimals(0, 10**12, allow_nan=False, places=12))
def test_a_size_is_the_nearest_double_of_its_decimal(size: Decimal) -> None:
    assert depth(depth_frame(bids=[["1", f"{size:f}"]])).sizes.tolist() == [float(size)]


def test_rows_are_exactly_what_was_sent() -> None:
    bids, asks = CODEC.rows(fixture("linear_depth_snapshot"))
    assert bids == [["60000.0", "1.5"], ["59999.9", "2"], ["59990.50", "0.001"]]
    assert asks == [["60000.1", "0.7"], ["60012.3", "12.345"]]
    with pytest.raises(MalformedFrame):
        CODEC.rows(b'{"data":{}}')


def test_the_layout_names_the_keys_of_a_depth_frame() -> None:
    layout = CODEC.layout(listing())
    message = json.loads(fixture("spot_depth_delta"))
    for key in (layout.bids, layout.asks, layout.final_id, layout.state_id):
        assert key.decode() in message["data"]
    for key in (layout.venue_ms, layout.kind):
        assert key.decode() in message


def test_a_frame_nested_too_deep_is_malformed() -> None:
    frame = b'{"topic":"orderbook.50.BTCUSDT","more":' + b"[" * 200_000
    with pytest.raises(MalformedFrame):
        CODEC.decode_envelope("linear.public", frame)
    with pytest.raises(MalformedFrame):
        depth(frame)
    with pytest.raises(MalformedFrame):
        CODEC.rows(frame)
    with pytest.raises(MalformedFrame):
        CODEC.decode_clock(frame)
    assert CODEC.decode_error(200, frame) == "HTTP 200: an answer that is not of this venue"


# Sequence


def sequence(applied: int, u: int, kind: str = "delta", policy: str = "strict") -> Verdict:
    codec = BybitCodec("warn" if policy == "warn" else "strict")
    return codec.sequence(applied, depth(depth_frame(u=u, kind=kind)), joining=False)


def test_the_next_update_id_is_applied() -> None:
    assert sequence(100, 101) is Verdict.APPLY


def test_a_snapshot_replaces_the_book_at_any_time() -> None:
    assert sequence(100, 50, "snapshot") is Verdict.SNAPSHOT
    assert sequence(100, 5000, "snapshot") is Verdict.SNAPSHOT


def test_update_id_one_is_a_restart_and_replaces_the_book() -> None:
    assert sequence(100, 1) is Verdict.SNAPSHOT
    assert sequence(100, 1, "snapshot") is Verdict.SNAPSHOT
    assert sequence(1, 1) is Verdict.SNAPSHOT


def test_an_update_id_that_was_seen_is_skipped() -> None:
    assert sequence(100, 100) is Verdict.SKIP
    assert sequence(100, 99) is Verdict.SKIP


def test_a_skipped_update_id_is_a_gap() -> None:
    assert sequence(100, 102) is Verdict.RESYNC


def test_under_the_warn_policy_a_skipped_update_id_is_applied() -> None:
    assert sequence(100, 102, policy="warn") is Verdict.APPLY
    assert sequence(100, 99, policy="warn") is Verdict.SKIP


# Top, trades, mark


def test_the_best_bid_and_offer_carry_the_number_that_compares_with_depth() -> None:
    (top,) = CODEC.decode_market(feed(FeedKind.TOP), fixture("linear_top"), NOW)
    assert top == TopOfBook(
        listing(), 59999.9, 2.0, 60000.1, 0.7, 770009, 1_750_000_000_035_000_000, NOW
    )
    assert isinstance(top, TopOfBook)
    assert top.sequence_id == depth(fixture("linear_depth_delta")).state_id


def test_an_empty_side_of_the_best_bid_and_offer_has_size_zero() -> None:
    frame = fixture("linear_top").replace(b'[["59999.9","2"]]', b"[]")
    (top,) = CODEC.decode_market(feed(FeedKind.TOP), frame, NOW)
    assert isinstance(top, TopOfBook)
    assert (top.bid_size, top.ask_size) == (0.0, 0.7)


def test_a_delta_of_the_best_bid_and_offer_from_before_2025_says_nothing() -> None:
    frame = fixture("linear_top").replace(b'"snapshot"', b'"delta"')
    assert CODEC.decode_market(feed(FeedKind.TOP), frame, NOW) == []


@pytest.mark.parametrize("price", ["nan", "-1", "x"])
def test_a_bad_best_price_is_malformed(price: str) -> None:
    frame = fixture("linear_top").replace(b"59999.9", price.encode())
    with pytest.raises(MalformedFrame):
        CODEC.decode_market(feed(FeedKind.TOP), frame, NOW)


def test_trades_carry_the_side_of_the_taker_oldest_first() -> None:
    trades = CODEC.decode_market(feed(FeedKind.TRADES), fixture("linear_trades"), NOW)
    assert [(t.price, t.size, t.side) for t in trades if isinstance(t, Trade)] == [
        (60000.0, 1.25, "sell"),
        (60000.1, 0.25, "buy"),
    ]
    first = trades[0]
    assert isinstance(first, Trade)
    assert first.trade_id == "5b0c41de-77a1-5a43-9f0a-2f1c5ad0b001"
    assert first.venue_ns == 1_750_000_000_021_000_000


def test_a_spot_trade_is_read_in_its_own_key_order() -> None:
    (trade,) = CODEC.decode_market(feed(FeedKind.TRADES, Kind.SPOT), fixture("spot_trades"), NOW)
    assert isinstance(trade, Trade)
    assert (trade.price, trade.size, trade.side) == (60001.1, 0.000345, "buy")


@pytest.mark.parametrize("number", ["1.25", "60000.0"])
def test_a_trade_that_is_no_number_is_malformed(number: str) -> None:
    frame = fixture("linear_trades").replace(f'"{number}"'.encode(), b'"nan"')
    with pytest.raises(MalformedFrame, match="not a number"):
        CODEC.decode_market(feed(FeedKind.TRADES), frame, NOW)


def test_a_trade_with_an_unknown_side_is_left_out() -> None:
    frame = fixture("linear_trades").replace(b'"Sell"', b'"Swap"')
    assert len(CODEC.decode_market(feed(FeedKind.TRADES), frame, NOW)) == 1


def test_a_ticker_snapshot_gives_mark_index_and_funding() -> None:
    events = CODEC.decode_market(feed(FeedKind.MARK), fixture("linear_ticker_snapshot"), NOW)
    assert events == [
        MarkPrice(
            listing(),
            60001.12,
            60010.57,
            -0.0001,
            1_750_003_200_000_000_000,
            1_750_000_000_040_000_000,
            NOW,
        )
    ]


def test_a_field_absent_from_a_ticker_delta_is_none_never_zero() -> None:
    (mark,) = CODEC.decode_market(feed(FeedKind.MARK), fixture("linear_ticker_delta"), NOW)
    assert isinstance(mark, MarkPrice)
    assert mark.mark == 60001.5
    assert (mark.index, mark.funding_rate, mark.next_funding_ns) == (None, None, None)


def test_empty_numbers_in_a_ticker_are_absent() -> None:
    frame = fixture("linear_ticker_delta").replace(
        b'"markPrice":"60001.50"', b'"markPrice":"","fundingRate":"","nextFundingTime":"0"'
    )
    assert CODEC.decode_market(feed(FeedKind.MARK), frame, NOW) == []


@pytest.mark.parametrize("text", ["x", "nan"])
def test_a_mark_price_that_is_no_number_is_malformed(text: str) -> None:
    frame = fixture("linear_ticker_delta").replace(b"60001.50", text.encode())
    with pytest.raises(MalformedFrame, match="not a number"):
        CODEC.decode_market(feed(FeedKind.MARK), frame, NOW)


def test_a_funding_rate_of_zero_is_a_number() -> None:
    frame = fixture("linear_ticker_delta").replace(b'"markPrice":"60001.50"', b'"fundingRate":"0"')
    (mark,) = CODEC.decode_market(feed(FeedKind.MARK), frame, NOW)
    assert isinstance(mark, MarkPrice)
    assert mark.funding_rate == 0.0


# REST


def test_the_clock_is_read_in_nanoseconds() -> None:
    assert CODEC.clock().path == "/v5/market/time"
    assert CODEC.decode_clock(fixture("time")) == 1_750_000_000_123_456_789


def test_only_the_kinds_asked_for_are_requested() -> None:
    spot, linear = CODEC.instruments(frozenset({Kind.SPOT, Kind.LINEAR}))
    assert spot.path == "/v5/market/instruments-info?category=spot"
    assert linear.path == "/v5/market/instruments-info?category=linear&limit=1000"
    assert CODEC.instruments(frozenset({Kind.SPOT})) == [spot]
    assert CODEC.instruments(frozenset({Kind.DATED})) == [linear]
    assert CODEC.instruments(frozenset({Kind.INVERSE})) == []


def test_linear_instruments_get_the_symbols_of_the_ecosystem() -> None:
    (request,) = CODEC.instruments(frozenset({Kind.LINEAR}))
    listings = CODEC.decode_instruments(request, fixture("instruments_linear")).listings
    assert [(one.venue_symbol, one.symbol, one.kind, one.status) for one in listings] == [
        ("BTCUSDT", "BTC/USDT:USDT", Kind.LINEAR, "live"),
        ("BTCPERP", "BTC/USDC:USDC", Kind.LINEAR, "live"),
        ("BTCUSDT-26DEC25", "BTC/USDT:USDT-251226", Kind.DATED, "Delivering"),
    ]
    first = listings[0]
    assert (first.tick, first.lot, first.decimals) == (Decimal("0.1"), Decimal("0.001"), 1)
    assert (first.min_size, first.min_notional) == (Decimal("0.001"), Decimal(5))


def test_spot_binds_by_amount_and_its_deprecated_minimum_size_is_not_read() -> None:
    (request,) = CODEC.instruments(frozenset({Kind.SPOT}))
    answer = CODEC.decode_instruments(request, fixture("instruments_spot"))
    (spot,) = answer.listings
    assert (spot.symbol, spot.kind, spot.settle) == ("BTC/USDT", Kind.SPOT, "")
    assert (spot.lot, spot.min_size, spot.min_notional) == (
        Decimal("0.000001"),
        Decimal(0),
        Decimal(5),
    )
    assert answer.more is None


def test_pages_are_followed_by_the_cursor_as_sent_until_it_is_empty() -> None:
    (request,) = CODEC.instruments(frozenset({Kind.LINEAR}))
    first = CODEC.decode_instruments(request, fixture("instruments_linear"))
    assert first.more is not None
    assert first.more.path == f"{request.path}&cursor=first%3DBTCUSDT%26last%3DBADUSDT"
    again = CODEC.decode_instruments(first.more, fixture("instruments_linear")).more
    assert again == first.more
    last = CODEC.decode_instruments(first.more, fixture("instruments_linear_last"))
    assert last.more is None
    assert [one.symbol for one in last.listings] == ["ETH/USDT:USDT"]


def test_an_empty_page_is_the_last_whatever_its_cursor_says() -> None:
    (request,) = CODEC.instruments(frozenset({Kind.LINEAR}))
    body = b'{"retCode":0,"result":{"list":[],"nextPageCursor":"again"}}'
    assert CODEC.decode_instruments(request, body).more is None


def test_a_cursor_that_would_break_the_query_is_encoded() -> None:
    (request,) = CODEC.instruments(frozenset({Kind.LINEAR}))
    body = fixture("instruments_linear").replace(b"first%3DBTCUSDT%26last%3D", b"a b&c=%26")
    more = CODEC.decode_instruments(request, body).more
    assert more is not None
    assert more.path == f"{request.path}&cursor=a%20b%26c%3D%26BADUSDT"


@pytest.mark.parametrize("step", ["", "0", "-0.1", "NaN", "1e-40", "x"])
def test_a_definition_without_a_usable_grid_is_left_out(step: str) -> None:
    (request,) = CODEC.instruments(frozenset({Kind.LINEAR}))
    body = fixture("instruments_linear_last")
    for name in ("tickSize", "qtyStep"):
        changed = body.replace(f'"{name}":"0.01"'.encode(), f'"{name}":"{step}"'.encode())
        assert changed != body
        assert CODEC.decode_instruments(request, changed).listings == []


def test_an_inverse_contract_is_told_apart() -> None:
    (request,) = CODEC.instruments(frozenset({Kind.LINEAR}))
    body = fixture("instruments_linear_last")
    for name, kind, symbol, extra in (
        ("InversePerpetual", Kind.INVERSE, "ETH/USD:ETH", b"0"),
        ("InverseFutures", Kind.DATED, "ETH/USD:ETH-251226", b"1766736000000"),
    ):
        changed = (
            body.replace(b"LinearPerpetual", name.encode())
            .replace(b'"quoteCoin":"USDT"', b'"quoteCoin":"USD"')
            .replace(b'"settleCoin":"USDT"', b'"settleCoin":"ETH"')
            .replace(b'"deliveryTime":"0"', b'"deliveryTime":"' + extra + b'"')
        )
        (one,) = CODEC.decode_instruments(request, changed).listings
        assert (one.kind, one.symbol) == (kind, symbol)


@pytest.mark.parametrize(
    ("route", "venue_symbol", "symbol", "kind"),
    [
        ("spot.public", "BTCUSDT", "BTC/USDT", Kind.SPOT),
        ("spot.public", "ETHBTC", "ETH/BTC", Kind.SPOT),
        ("linear.public", "XRPUSDT", "XRP/USDT:USDT", Kind.LINEAR),
        ("linear.public", "BTCPERP", "BTC/USDC:USDC", Kind.LINEAR),
        ("linear.public", "BTC-26DEC25", "BTC/USDC:USDC-251226", Kind.DATED),
        ("linear.public", "ETHUSDT-2JAN26", "ETH/USDT:USDT-260102", Kind.DATED),
        ("linear.public", "ETHUSDT-99XXX26", "ETH/USDT:USDT-99XXX26", Kind.DATED),
    ],
)
def test_a_listing_without_definition_is_read_off_its_symbol(
    route: str, venue_symbol: str, symbol: str, kind: Kind
) -> None:
    one = CODEC.infer(route, venue_symbol, 4)
    assert (one.symbol, one.kind, one.inferred) == (symbol, kind, True)
    assert (one.tick, one.decimals, one.multiplier) == (Decimal("0.0001"), 4, Decimal(1))


def test_the_book_comes_in_the_stream_and_is_not_fetched() -> None:
    assert not CODEC.book_by_rest
    assert CODEC.request_book(listing()) is None
    assert CODEC.audit() is None


def test_a_rest_book_is_a_snapshot_cut_at_an_unknown_depth() -> None:
    book = CODEC.decode_book(listing(), fixture("rest_book"), NOW)
    assert (book.snapshot, book.complete, book.final_id, book.state_id) == (
        True,
        False,
        5551,
        770001,
    )
    assert book.ticks.tolist() == [600000, 600001]


def test_a_refused_request_is_malformed_with_the_refusal_in_words() -> None:
    body = b'{"retCode":10001,"retMsg":"params error: category","result":{},"time":1}'
    (request,) = CODEC.instruments(frozenset({Kind.SPOT}))
    for decode in (
        lambda: CODEC.decode_clock(body),
        lambda: CODEC.decode_instruments(request, body),
        lambda: CODEC.decode_book(listing(), body, NOW),
    ):
        with pytest.raises(MalformedFrame, match="10001: params error: category"):
            decode()


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"retCode":0}', b'{"retCode":0,"result":[]}'])
def test_an_answer_of_another_shape_is_malformed(body: bytes) -> None:
    (request,) = CODEC.instruments(frozenset({Kind.SPOT}))
    with pytest.raises(MalformedFrame):
        CODEC.decode_clock(body)
    with pytest.raises(MalformedFrame):
        CODEC.decode_instruments(request, body)
    with pytest.raises(MalformedFrame):
        CODEC.decode_book(listing(), body, NOW)


@pytest.mark.parametrize(
    ("status", "body", "line"),
    [
        (
            200,
            b'{"retCode":10006,"retMsg":"Too many visits!"}',
            "10006: Too many visits! (too many requests for this account)",
        ),
        (200, b'{"retCode":131231,"retMsg":"something new"}', "131231: something new"),
        (
            200,
            b'{"retCode":10016,"retMsg":""}',
            "10016 (the venue failed internally; the outcome is unknown)",
        ),
        (
            403,
            b"access too frequent",
            "HTTP 403: too many requests from this address, or region blocked; wait ten minutes",
        ),
        (502, b"<html>", "HTTP 502: the venue failed internally; the outcome is unknown"),
        (418, b"", "HTTP 418: an answer that is not of this venue"),
    ],
)
def test_an_error_is_told_in_one_line(status: int, body: bytes, line: str) -> None:
    assert CODEC.decode_error(status, body) == line


# Recordings


def test_every_frame_of_a_real_recording_decodes_and_chains_without_a_gap() -> None:
    verdicts: list[Verdict] = []
    applied = -1
    book: dict[bool, dict[int, float]] = {True: {}, False: {}}
    with gzip.open(recording("bybit_linear_XRPUSDT_20241201.txt.gz"), "rb") as capture:
        for line in capture:
            received, _, route, frame = line.rstrip().split(b" ", 3)
            stop = frame.index(CODEC.cut.stop, CODEC.cut.start)
            topic = frame[CODEC.cut.start : stop].decode()
            identified = CODEC.identify(route.decode(), topic)
            assert identified == (FeedKind.DEPTH, "XRPUSDT")
            inferred = CODEC.infer(route.decode(), "XRPUSDT", 4)
            one = Feed(FeedKind.DEPTH, route.decode(), topic, topic.encode(), inferred)
            (delta,) = CODEC.decode_market(one, frame, int(received))
            assert isinstance(delta, BookDelta)
            verdict = CODEC.sequence(applied, delta, joining=False)
            verdicts.append(verdict)
            applied = delta.final_id
            if verdict is Verdict.SNAPSHOT:
                book = {True: {}, False: {}}
            for i, (tick, size) in enumerate(
                zip(delta.ticks.tolist(), delta.sizes.tolist(), strict=True)
            ):
                book[i < delta.n_bids][tick] = size
            bids, asks = ([t for t, size in book[side].items() if size] for side in (True, False))
            assert max(bids) < min(asks)
    assert verdicts == [Verdict.SNAPSHOT] + [Verdict.APPLY] * 49
