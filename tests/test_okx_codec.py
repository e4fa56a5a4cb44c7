"""OKX v5 on the wire, public side: documented frames, recorded frames, and every rule by name."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftmm.core.errors import MalformedFrame
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
from hftmm.venues.codec import Addressed, Feed, FeedKind, Request, VenueCodec
from hftmm.venues.okx import OkxCodec
from hftmm.venues.okx.checksum import ChecksumAudit
from tests.recordings import recording

FIXTURES = Path(__file__).parent / "fixtures" / "okx"
CODEC = OkxCodec()
RECEIVED = 1_781_784_000_150_000_000
MS = 1_000_000


def fixture(name: str) -> bytes:
    return (FIXTURES / f"{name}.json").read_bytes()


def listings(*names: str) -> dict[str, Listing]:
    request = CODEC.instruments(frozenset({Kind.SPOT}))[0]
    return {
        listing.venue_symbol: listing
        for name in names
        for listing in CODEC.decode_instruments(request, fixture(name)).listings
    }


SWAP = listings("instruments_swap")["BTC-USDT-SWAP"]
SPOT = listings("instruments_spot")["BTC-USDT"]


def feed(kind: FeedKind, listing: Listing = SWAP, channel: str = "") -> Feed:
    return next(f for f in CODEC.feeds(listing) if f.kind is kind and f.topic.startswith(channel))


def decoded(name: str, kind: FeedKind, channel: str = "") -> object:
    (event,) = CODEC.decode_market(feed(kind, SWAP, channel), fixture(name), RECEIVED)
    return event


def depth(name: str) -> BookDelta:
    event = decoded(name, FeedKind.DEPTH)
    assert isinstance(event, BookDelta)
    return event


def books_frame(
    bids: list[list[str]], asks: list[list[str]], action: str = "update", **row: object
) -> bytes:
    arg = {"channel": "books", "instId": SPOT.venue_symbol}
    data = [{"asks": asks, "bids": bids, "ts": "1781784000123", **row}]
    return msgspec.json.encode({"arg": arg, "action": action, "data": data})


def spot_delta(frame: bytes) -> BookDelta:
    (event,) = CODEC.decode_market(feed(FeedKind.DEPTH, SPOT), frame, RECEIVED)
    assert isinstance(event, BookDelta)
    return event


def link(prev_id: int, final_id: int, *, snapshot: bool = False) -> BookDelta:
    action = "snapshot" if snapshot else "update"
    return spot_delta(books_frame([], [], action, prevSeqId=prev_id, seqId=final_id))


# -- the contract ---------------------------------------------------------------------------------


def test_the_codec_is_a_venue_codec() -> None:
    codec: VenueCodec = CODEC
    assert (codec.venue, codec.book_by_rest) == ("okx", False)


@pytest.mark.parametrize("mode", ["live", "demo"])
def test_each_mode_has_the_four_hosts_and_two_public_routes(mode: str) -> None:
    hosts = CODEC.hosts(mode)
    assert set(hosts) == {"rest", "public", "private", "business"}
    assert CODEC.endpoints(hosts) == {"rest": hosts["rest"], "public": hosts["public"]}
    assert hosts["public"].endswith("/ws/v5/public")


def test_demo_streams_come_from_another_host_than_live_ones() -> None:
    assert "wspap" in CODEC.hosts("demo")["public"]
    assert "wspap" not in CODEC.hosts("live")["public"]


def test_no_host_names_the_port_that_was_closed() -> None:
    urls = [*CODEC.hosts("live").values(), *CODEC.hosts("demo").values()]
    assert not [url for url in urls if "8443" in url]


def test_the_heartbeat_is_the_text_ping_before_thirty_idle_seconds() -> None:
    rules = CODEC.stream_rules
    assert rules.ping == b"ping"
    assert rules.ping_when_idle
    assert rules.ping_after_ns <= 25 * 10**9


# -- clock and instruments ------------------------------------------------------------------------


def test_the_clock_is_milliseconds_on_the_wire_and_nanoseconds_with_us() -> None:
    assert CODEC.clock().path == "/api/v5/public/time"
    assert CODEC.decode_clock(fixture("time")) == 1_781_784_000_123 * MS


def test_an_answer_without_a_time_is_malformed() -> None:
    with pytest.raises(MalformedFrame, match="no time"):
        CODEC.decode_clock(b'{"code":"0","msg":"","data":[]}')


def test_an_error_answer_is_malformed_in_words() -> None:
    with pytest.raises(MalformedFrame, match=r"50011 Too Many Requests \(rate limit"):
        CODEC.decode_clock(fixture("rate_limited"))


def test_linear_and_inverse_swaps_are_asked_for_once() -> None:
    requests = CODEC.instruments(frozenset({Kind.SPOT, Kind.LINEAR, Kind.INVERSE, Kind.DATED}))
    assert [request.path for request in requests] == [
        "/api/v5/public/instruments?instType=FUTURES",
        "/api/v5/public/instruments?instType=SPOT",
        "/api/v5/public/instruments?instType=SWAP",
    ]
    assert {request.purpose for request in requests} == {"instruments"}


def test_a_spot_pair_is_listed_in_coins() -> None:
    assert (SPOT.symbol, SPOT.kind, SPOT.base, SPOT.settle) == (
        "BTC/USDT",
        Kind.SPOT,
        "BTC",
        "USDT",
    )
    assert (SPOT.tick, SPOT.lot, SPOT.min_size) == (
        Decimal("0.1"),
        Decimal("0.00000001"),
        Decimal("0.00001"),
    )
    assert SPOT.multiplier == 1
    assert (SPOT.decimals, SPOT.venue_code) == (1, 10458)


def test_a_linear_swap_is_listed_in_coins_not_in_contracts() -> None:
    assert (SWAP.symbol, SWAP.kind) == ("BTC/USDT:USDT", Kind.LINEAR)
    assert SWAP.multiplier == Decimal("0.01")
    assert SWAP.lot == SWAP.min_size == Decimal("0.0001")
    assert SWAP.venue_code == 10459


def test_an_inverse_swap_and_a_dated_contract_stay_in_contracts() -> None:
    found = listings("instruments_swap", "instruments_futures")
    inverse, dated = found["UNI-USD-SWAP"], found["BTC-USD-220527"]
    assert (inverse.symbol, inverse.kind, inverse.settle) == ("UNI/USD:UNI", Kind.INVERSE, "UNI")
    assert (dated.symbol, dated.kind) == ("BTC/USD:BTC-220527", Kind.DATED)
    assert inverse.multiplier == dated.multiplier == 1
    assert inverse.lot == dated.lot == 1


def test_an_instrument_code_is_a_whole_64_bit_number_or_none() -> None:
    found = listings("instruments_swap")
    assert found["PEPE-USDT-SWAP"].venue_code == 9_007_199_254_740_993
    assert found["UNI-USD-SWAP"].venue_code is None


def test_the_venue_s_own_word_for_the_trading_state_is_kept() -> None:
    assert listings("instruments_swap")["PEPE-USDT-SWAP"].status == "post_only"


def test_a_row_whose_steps_are_still_empty_is_left_out() -> None:
    assert set(listings("instruments_spot")) == {"BTC-USDT"}


@pytest.mark.parametrize(
    "change",
    [
        {"ctVal": ""},
        {"ctMult": ""},
        {"tickSz": "0"},
        {"lotSz": "x"},
        {"minSz": ""},
        {"instType": "OPTION"},
        {"instId": 7},
        {"tickSz": None},
    ],
)
def test_a_swap_row_that_cannot_be_understood_is_left_out(change: dict[str, object]) -> None:
    body = msgspec.json.decode(fixture("instruments_swap"))
    body["data"][0].update(change)
    body["data"].append("not a row")
    request = Request("rest", "", "instruments", 1)
    found = CODEC.decode_instruments(request, msgspec.json.encode(body)).listings
    assert [listing.venue_symbol for listing in found] == ["PEPE-USDT-SWAP", "UNI-USD-SWAP"]


@pytest.mark.parametrize(
    ("venue_symbol", "symbol", "kind"),
    [
        ("BTC-USDT", "BTC/USDT", Kind.SPOT),
        ("BTC-USDT-SWAP", "BTC/USDT:USDT", Kind.LINEAR),
        ("UNI-USD-SWAP", "UNI/USD:UNI", Kind.INVERSE),
        ("BTC-USD-220527", "BTC/USD:BTC-220527", Kind.DATED),
        ("BTC-USDT-220527", "BTC/USDT:USDT-220527", Kind.DATED),
        ("ODD", "ODD", Kind.SPOT),
    ],
)
def test_an_instrument_without_a_definition_is_named_by_its_id(
    venue_symbol: str, symbol: str, kind: Kind
) -> None:
    listing = CODEC.infer("public", venue_symbol, 3)
    assert (listing.symbol, listing.kind) == (symbol, kind)
    assert listing.multiplier == 1
    assert (listing.decimals, listing.inferred) == (3, True)


# -- streams --------------------------------------------------------------------------------------


def test_a_swap_has_five_streams_and_depth_comes_first() -> None:
    feeds = CODEC.feeds(SWAP)
    assert [f.topic.split(":")[0] for f in feeds] == [
        "books",
        "bbo-tbt",
        "trades",
        "mark-price",
        "funding-rate",
    ]
    assert {f.route for f in feeds} == {"public"}


def test_a_spot_pair_has_neither_mark_price_nor_funding() -> None:
    assert [f.kind for f in CODEC.feeds(SPOT)] == [FeedKind.DEPTH, FeedKind.TOP, FeedKind.TRADES]


@pytest.mark.parametrize(
    ("name", "channel"),
    [
        ("books_snapshot", "books"),
        ("books_update", "books"),
        ("books_heartbeat", "books"),
        ("bbo_tbt", "bbo-tbt"),
        ("trades", "trades"),
        ("mark_price", "mark-price"),
        ("funding_rate", "funding-rate"),
    ],
)
def test_the_cut_of_a_frame_is_the_key_of_its_feed(name: str, channel: str) -> None:
    frame = fixture(name)
    cut = CODEC.cut
    key = frame[cut.start : frame.index(cut.stop, cut.start)]
    (found,) = (f for f in CODEC.feeds(SWAP) if f.key == key)
    assert found.topic == f"{channel}:BTC-USDT-SWAP"
    assert CODEC.identify(found.route, found.topic) == (found.kind, "BTC-USDT-SWAP")


@pytest.mark.parametrize("topic", ["tickers:BTC-USDT", "books", "status", "books5:BTC-USDT"])
def test_a_topic_we_do_not_read_is_not_identified(topic: str) -> None:
    assert CODEC.identify("public", topic) is None


def test_a_subscription_names_every_stream_and_carries_its_id() -> None:
    feeds = CODEC.feeds(SPOT)[:2]
    assert msgspec.json.decode(CODEC.subscribe(feeds, "a1")) == {
        "id": "a1",
        "op": "subscribe",
        "args": [
            {"channel": "books", "instId": "BTC-USDT"},
            {"channel": "bbo-tbt", "instId": "BTC-USDT"},
        ],
    }
    assert msgspec.json.decode(CODEC.unsubscribe(feeds, "a2"))["op"] == "unsubscribe"


@pytest.mark.parametrize("request_id", ["", "a-1", "é", "a" * 33])
def test_an_id_the_venue_would_refuse_is_refused_by_us(request_id: str) -> None:
    with pytest.raises(ValueError, match="request id"):
        CODEC.subscribe(CODEC.feeds(SPOT), request_id)


# -- envelopes ------------------------------------------------------------------------------------


def envelope(name: str) -> object:
    return CODEC.decode_envelope("public", fixture(name))


def test_pong_is_bare_text() -> None:
    assert CODEC.decode_envelope("public", b"pong") == Pong()


def test_an_acknowledgement_carries_the_id_and_the_topic() -> None:
    assert envelope("subscribed") == Acknowledged("a1", "books:BTC-USDT-SWAP")


def test_an_acknowledgement_of_2022_has_no_id() -> None:
    frame = b'{"event":"subscribe","arg":{"channel":"tickers","instId":"BTC-USDT"}}'
    assert CODEC.decode_envelope("public", frame) == Acknowledged("", "tickers:BTC-USDT")


def test_an_acknowledged_channel_of_a_whole_type_is_named_by_the_type() -> None:
    frame = b'{"event":"unsubscribe","arg":{"channel":"instruments","instType":"SPOT"}}'
    assert CODEC.decode_envelope("public", frame) == Acknowledged("", "instruments:SPOT")


def test_an_error_is_a_refusal_in_words_even_without_a_topic() -> None:
    refusal = envelope("error")
    assert isinstance(refusal, Refusal)
    assert (refusal.request_id, refusal.topic, refusal.code) == ("a2", "", "60018")
    assert "NO-SUCH" in refusal.message
    assert "wrong URL or channel" in refusal.message


def test_the_notice_64008_is_a_farewell() -> None:
    farewell = envelope("notice")
    assert isinstance(farewell, Farewell)
    assert "service upgrade" in farewell.reason


def test_another_notice_is_nothing_to_us() -> None:
    assert CODEC.decode_envelope("public", b'{"event":"notice","code":"1","msg":""}') is None


def test_a_connection_count_is_ignored_and_one_too_many_is_a_refusal() -> None:
    assert envelope("conn_count") is None
    refusal = envelope("conn_count_error")
    assert isinstance(refusal, Refusal)
    assert refusal.topic == "orders"


@pytest.mark.parametrize(
    "frame", [b'{"event":"brand-new","x":{"y":[1]}}', b'{"id":"1","op":"order","code":"0"}']
)
def test_an_unknown_event_is_nothing_to_us(frame: bytes) -> None:
    assert CODEC.decode_envelope("public", frame) is None


def test_a_market_frame_in_another_shape_is_addressed_by_its_topic() -> None:
    frame = fixture("bbo_tbt").replace(b'{"arg"', b'{ "arg"')
    assert CODEC.decode_envelope("public", frame) == Addressed("bbo-tbt:BTC-USDT-SWAP")


@pytest.mark.parametrize(
    "frame", [b"", b"{", b"[]", b"{}", b'{"e":1}', b"\xff", b'{"event":"\xff"}', b"[" * 100_000]
)
def test_what_is_no_envelope_is_malformed(frame: bytes) -> None:
    with pytest.raises(MalformedFrame):
        CODEC.decode_envelope("public", frame)


# -- depth ----------------------------------------------------------------------------------------


def test_a_snapshot_is_decoded_bids_first_in_ticks_and_coins() -> None:
    delta = depth("books_snapshot")
    assert delta.snapshot
    assert delta.complete
    assert (delta.n_bids, delta.count) == (2, 5)
    assert delta.tick_buffer.tolist() == [670123, 670100, 670124, 670129, 670150]
    assert delta.size_buffer.tolist() == [x * 0.01 for x in (8.01, 55.0, 12.5, 0.07, 340.0)]
    assert delta.tick_buffer.dtype == np.dtype(np.int64)
    assert delta.size_buffer.dtype == np.dtype(np.float64)
    assert (delta.prev_id, delta.final_id) == (-1, 9_007_199_254_740_993)
    assert delta.first_id == delta.state_id == delta.final_id
    assert (delta.venue_ns, delta.received_ns) == (1_781_784_000_123 * MS, RECEIVED)
    assert delta.checksum == 0


def test_an_update_removes_by_a_size_of_zero() -> None:
    delta = depth("books_update")
    assert not delta.snapshot
    assert delta.complete
    assert delta.ticks.tolist() == [670123, 670124, 670130]
    assert delta.sizes[1] == 0.0


def test_a_heartbeat_has_no_levels_and_equal_ids() -> None:
    delta = depth("books_heartbeat")
    assert (delta.count, delta.prev_id) == (0, delta.final_id)


def test_a_frame_of_2022_has_no_ids_but_a_checksum() -> None:
    delta = spot_delta(fixture("books_2022"))
    assert (delta.prev_id, delta.final_id, delta.checksum) == (-1, -1, 326_673_559)


@pytest.mark.parametrize(("levels", "complete"), [(399, True), (400, False)])
def test_a_snapshot_of_four_hundred_levels_may_have_been_cut(levels: int, complete: bool) -> None:
    asks = [[str(100 + i), "1", "0", "1"] for i in range(levels)]
    assert spot_delta(books_frame([], asks, "snapshot")).complete is complete


def test_items_after_the_size_are_ignored_whatever_they_are() -> None:
    frame = books_frame([], []).replace(b'"bids":[]', b'"bids":[["1","2",null,{"a":[]},5]]')
    assert spot_delta(frame).sizes.tolist() == [2.0]


def test_numbers_may_be_quoted_or_bare_and_unknown_fields_are_ignored() -> None:
    frame = books_frame([], [], seqId="12", prevSeqId="-1", checksum=None, novelty={"a": 1})
    delta = spot_delta(frame.replace(b'"1781784000123"', b"1781784000123"))
    assert (delta.final_id, delta.prev_id, delta.checksum) == (12, -1, 0)
    assert delta.venue_ns == 1_781_784_000_123 * MS


def test_an_empty_stamp_is_no_stamp() -> None:
    frame = books_frame([], []).replace(b'"1781784000123"', b'""')
    assert spot_delta(frame).venue_ns == 0


@given(st.integers(0, 10**17 - 1), st.integers(0, 6), st.integers(0, 3))
def test_a_price_on_the_grid_is_its_ticks_exactly(ticks: int, zeros: int, lead: int) -> None:
    whole, last = divmod(ticks, 10)
    price = "0" * lead + f"{whole}.{last}" + "0" * zeros
    assert spot_delta(books_frame([[price, "1"]], [])).ticks.tolist() == [ticks]


@given(st.decimals("0", "1e12", allow_nan=False))
def test_a_size_is_the_nearest_double_times_the_multiplier(size: Decimal) -> None:
    frame = books_frame([["1", str(size)]], [])
    (event,) = CODEC.decode_market(feed(FeedKind.DEPTH), frame, RECEIVED)
    assert isinstance(event, BookDelta)
    assert event.sizes.tolist() == [float(str(size)) * 0.01]


@pytest.mark.parametrize(
    ("price", "ticks"), [("3.02e4", 302_000), ("5e-1", 5), ("0", 0), ("7.", 70), (".5", 5)]
)
def test_unusual_spellings_of_a_price_are_read(price: str, ticks: int) -> None:
    assert spot_delta(books_frame([[price, "1"]], [])).ticks.tolist() == [ticks]


@pytest.mark.parametrize("price", ["1.01", "0.00001", "1.1e-1"])
def test_a_price_off_the_grid_is_malformed(price: str) -> None:
    with pytest.raises(MalformedFrame, match="off-grid price"):
        spot_delta(books_frame([[price, "1"]], []))


@pytest.mark.parametrize(
    "price",
    ["", ".", "-1", "+1", " 1", "1_0", "1,0", "nan", "inf", "0x1", "١", "1e999", "9" * 19, "1e18"],
)
def test_a_price_that_is_no_price_is_malformed(price: str) -> None:
    with pytest.raises(MalformedFrame, match=r"not a number|out of range"):
        spot_delta(books_frame([[price, "1"]], []))


@pytest.mark.parametrize("size", ["", ".", "-1", " 1", "1_0", "nan", "inf", "1e999", "9" * 400])
def test_a_size_that_is_no_size_is_malformed(size: str) -> None:
    with pytest.raises(MalformedFrame, match=r"not a number|out of range"):
        spot_delta(books_frame([["1", size]], []))


@pytest.mark.parametrize(
    "frame",
    [
        b'{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update"}',
        books_frame([], []).replace(b'"asks"', b'"axes"'),
        books_frame([["1"]], []),
        books_frame([], [], seqId="x"),
        books_frame([], []).replace(b'"data"', b'"seqId":1,"data"')[:-1],
        books_frame([], []).replace(b'"ts"', b'"seqId":9223372036854775808,"ts"'),
    ],
)
def test_a_depth_frame_of_the_wrong_shape_is_malformed(frame: bytes) -> None:
    with pytest.raises(MalformedFrame):
        spot_delta(frame)


def test_rows_are_the_venue_s_own_strings() -> None:
    assert CODEC.rows(fixture("books_2022")) == (
        [["100.1", "5"], ["100", "2.50"]],
        [["100.2", "1"]],
    )


def test_the_layout_names_keys_that_a_frame_has() -> None:
    layout = CODEC.layout(SWAP)
    frame = fixture("books_update")
    for key in (layout.bids, layout.asks, layout.final_id, layout.prev_id, layout.venue_ms):
        assert frame.count(b'"%s":' % key) == 1
    assert frame.count(b'"%s":"update"' % layout.kind) == 1
    assert frame.count(b'"%s":0' % layout.checksum) == 1


def test_the_snapshot_is_in_the_stream_and_none_is_asked_for() -> None:
    assert CODEC.request_book(SWAP) is None


def test_a_rest_book_is_a_snapshot_of_the_same_chain() -> None:
    delta = CODEC.decode_book(SWAP, fixture("market_books"), RECEIVED)
    assert delta.snapshot
    assert delta.final_id == 9_007_199_254_740_993
    assert delta.ticks.tolist() == [670123, 670124]
    with pytest.raises(MalformedFrame, match="no book"):
        CODEC.decode_book(SWAP, b'{"code":"0","msg":"","data":[]}', RECEIVED)


# -- sequence -------------------------------------------------------------------------------------


def test_the_documented_chain_with_heartbeat_and_reset_is_applied() -> None:
    assert CODEC.sequence(-1, link(-1, 10, snapshot=True), joining=False) is Verdict.SNAPSHOT
    applied = 10
    for prev_id, final_id in ((10, 15), (15, 15), (15, 3), (3, 5)):
        assert CODEC.sequence(applied, link(prev_id, final_id), joining=False) is Verdict.APPLY
        applied = final_id


@pytest.mark.parametrize("prev_id", [-1, 0, 9, 11])
def test_an_update_that_does_not_follow_the_last_one_is_a_gap(prev_id: int) -> None:
    assert CODEC.sequence(10, link(prev_id, 15), joining=False) is Verdict.RESYNC


def test_the_last_update_once_more_changes_nothing() -> None:
    assert CODEC.sequence(10, link(7, 10), joining=False) is Verdict.SKIP


def test_an_update_without_ids_breaks_a_chain_that_had_them() -> None:
    assert CODEC.sequence(10, spot_delta(books_frame([], [])), joining=False) is Verdict.RESYNC


def test_a_chain_that_never_had_ids_is_applied() -> None:
    assert CODEC.sequence(-1, spot_delta(books_frame([], [])), joining=False) is Verdict.APPLY


def test_a_snapshot_replaces_the_book_at_any_time() -> None:
    assert CODEC.sequence(99, link(-1, 10, snapshot=True), joining=False) is Verdict.SNAPSHOT


@pytest.mark.parametrize(
    ("prev_id", "final_id", "verdict"),
    [
        (5, 10, Verdict.SKIP),
        (10, 12, Verdict.APPLY),
        (8, 12, Verdict.APPLY),
        (11, 12, Verdict.REFETCH),
    ],
)
def test_the_first_update_kept_after_a_rest_book_spans_it(
    prev_id: int, final_id: int, verdict: Verdict
) -> None:
    assert CODEC.sequence(10, link(prev_id, final_id), joining=True) is verdict


# -- checksums ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bids", "asks", "checksum"),
    [
        ([["100.1", "5"], ["100", "2.50"]], [["100.2", "1"]], 326_673_559),
        ([["100.1", "5"], ["100", "2.5"]], [["100.2", "1"]], 458_666_254),
        ([["3366.1", "7"]], [["3366.8", "9"], ["3368", "8"], ["3372", "8"]], 831_078_360),
    ],
)
def test_the_checksum_is_over_the_exact_strings(
    bids: list[list[str]], asks: list[list[str]], checksum: int
) -> None:
    audit = ChecksumAudit()
    assert audit.check(books_frame(bids, asks, "snapshot", checksum=checksum))
    assert audit.checksum() == checksum
    assert not audit.check(books_frame([], [], checksum=checksum + 1))


def test_a_checksum_of_zero_or_none_says_nothing() -> None:
    audit = CODEC.audit()
    assert audit is not None
    assert audit.check(books_frame([["1", "1"]], [], "snapshot", checksum=0))
    assert audit.check(books_frame([["2", "1"]], []))


def test_the_checksum_covers_the_best_twenty_five_levels_only() -> None:
    bids = [[str(100 - i), "1"] for i in range(26)]
    deep, shallow = ChecksumAudit(), ChecksumAudit()
    deep.check(books_frame(bids, [], "snapshot"))
    shallow.check(books_frame(bids[:25], [], "snapshot"))
    assert deep.checksum() == shallow.checksum()


def test_a_snapshot_forgets_the_book_the_checksum_was_over() -> None:
    audit = ChecksumAudit()
    audit.check(books_frame([["9", "9"]], [["10", "1"]], "snapshot"))
    audit.check(fixture("books_2022"))
    assert audit.checksum() == 326_673_559


# -- the other streams ----------------------------------------------------------------------------


def test_the_best_bid_and_offer_carry_the_book_s_own_sequence() -> None:
    assert decoded("bbo_tbt", FeedKind.TOP) == TopOfBook(
        SWAP,
        bid=67012.3,
        bid_size=8.01 * 0.01,
        ask=67012.4,
        ask_size=12.5 * 0.01,
        sequence_id=9_007_199_254_740_990,
        venue_ns=1_781_784_000_118 * MS,
        received_ns=RECEIVED,
    )


def test_an_empty_side_of_the_best_bid_and_offer_has_size_zero() -> None:
    frame = fixture("bbo_tbt").replace(b'[["67012.3","8.01","0","2"]]', b"[]")
    (top,) = CODEC.decode_market(feed(FeedKind.TOP), frame, RECEIVED)
    assert isinstance(top, TopOfBook)
    assert (top.bid_size, top.ask) == (0.0, 67012.4)


@pytest.mark.parametrize("price", [b"", b"nan", b"-1", b"inf", b"x"])
def test_a_best_bid_that_is_no_number_is_malformed(price: bytes) -> None:
    frame = fixture("bbo_tbt").replace(b"67012.3", price)
    with pytest.raises(MalformedFrame):
        CODEC.decode_market(feed(FeedKind.TOP), frame, RECEIVED)


@given(st.decimals("0", "1e9", allow_nan=False, places=8))
def test_a_best_price_is_the_double_a_book_price_would_be(price: Decimal) -> None:
    frame = fixture("bbo_tbt").replace(b"67012.3", f"{price:f}".encode())
    (top,) = CODEC.decode_market(feed(FeedKind.TOP), frame, RECEIVED)
    assert isinstance(top, TopOfBook)
    assert top.bid == float(price)


def test_a_trade_is_the_taker_s() -> None:
    assert decoded("trades", FeedKind.TRADES) == Trade(
        SWAP, 67012.4, 2.5 * 0.01, "buy", "1250043101", 1_781_784_000_119 * MS, RECEIVED
    )


def test_a_trade_with_neither_side_is_malformed() -> None:
    frame = fixture("trades").replace(b'"buy"', b'"both"')
    with pytest.raises(MalformedFrame):
        CODEC.decode_market(feed(FeedKind.TRADES), frame, RECEIVED)


def test_the_mark_price_says_nothing_about_funding() -> None:
    assert decoded("mark_price", FeedKind.MARK, "mark-price") == MarkPrice(
        SWAP, 67011.8, None, None, None, 1_781_784_000_200 * MS, RECEIVED
    )


def test_the_funding_rate_is_due_at_funding_time_and_says_nothing_about_the_mark() -> None:
    assert decoded("funding_rate", FeedKind.MARK, "funding-rate") == MarkPrice(
        SWAP,
        None,
        None,
        -0.0001252,
        1_781_798_400_000 * MS,
        1_781_784_000_000 * MS,
        RECEIVED,
    )


def test_empty_strings_of_a_mark_are_not_zero() -> None:
    frame = fixture("funding_rate").replace(b"-0.0001252", b"").replace(b"1781798400000", b"")
    (mark,) = CODEC.decode_market(feed(FeedKind.MARK), frame, RECEIVED)
    assert isinstance(mark, MarkPrice)
    assert (mark.funding_rate, mark.next_funding_ns) == (None, None)


# -- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "word"),
    [("50011", "rate limit"), ("50061", "sub-account"), ("50119", "region"), ("50102", "clock")],
)
def test_an_error_is_explained_in_words(code: str, word: str) -> None:
    body = msgspec.json.encode({"code": code, "msg": "as sent", "data": []})
    said = CODEC.decode_error(200, body)
    assert said.startswith(f"{code} as sent")
    assert word in said


def test_an_error_without_an_explanation_keeps_the_venue_s_words() -> None:
    assert CODEC.decode_error(200, b'{"code":"99999","msg":"odd"}') == "99999 odd"
    assert CODEC.decode_error(404, b'{"code":404,"data":{},"msg":"Not Found"}') == "404 Not Found"
    assert CODEC.decode_error(503, b"<html>") == "HTTP 503: <html>"


# -- the recording --------------------------------------------------------------------------------


def recorded() -> Iterator[tuple[int, str, bytes]]:
    path = recording("okx_3instruments_checksums_20220513.txt.gz")
    with gzip.open(path, "rb") as lines:
        for line in lines:
            received_ns, _, route, frame = line.rstrip(b"\n").split(b" ", 3)
            yield int(received_ns), route.decode(), frame


def recorded_listings() -> dict[str, Listing]:
    found: dict[str, Listing] = {}
    for _, route, frame in recorded():
        if route == "rest":
            body = bytes(msgspec.json.decode(frame, type=dict[str, msgspec.Raw])["body"])
            for listing in CODEC.decode_instruments(CODEC.clock(), body).listings:
                found[listing.venue_symbol] = listing
    return found


def test_every_recorded_frame_decodes_and_every_checksum_verifies() -> None:
    feeds = {f.key: f for listing in recorded_listings().values() for f in CODEC.feeds(listing)}
    audits: dict[bytes, ChecksumAudit] = {}
    counts = {"depth": 0, "trades": 0, "acknowledged": 0, "other": 0}
    applied: dict[bytes, int] = {}
    for received_ns, route, frame in recorded():
        if route == "rest":
            continue
        key = frame[CODEC.cut.start : frame.index(CODEC.cut.stop, CODEC.cut.start)]
        found = feeds.get(key)
        if found is None:
            event = CODEC.decode_envelope(route, frame)
            counts["acknowledged" if isinstance(event, Acknowledged) else "other"] += 1
            continue
        events = CODEC.decode_market(found, frame, received_ns)
        if found.kind is not FeedKind.DEPTH:
            counts["trades"] += len(events)
            continue
        (delta,) = events
        assert isinstance(delta, BookDelta)
        verdict = CODEC.sequence(applied.get(key, 0), delta, joining=False)
        assert verdict is (Verdict.SNAPSHOT if delta.snapshot else Verdict.APPLY)
        applied[key] = delta.final_id
        assert delta.checksum
        assert audits.setdefault(key, ChecksumAudit()).check(frame)
        counts["depth"] += 1
    assert (counts["depth"], counts["acknowledged"], counts["other"]) == (290, 18, 28)
    assert counts["trades"] == 74


def test_a_flipped_digit_in_the_recording_fails_its_checksum() -> None:
    frames = [frame for _, _, frame in recorded() if b'"books","instId":"BTC-USDT"' in frame]
    audit = ChecksumAudit()
    assert audit.check(next(frame for frame in frames if b'"snapshot"' in frame))
    update = next(frame for frame in frames if b'"update"' in frame)
    assert not audit.check(update.replace(b'["30243.5","1.2112"', b'["30243.5","1.2113"'))
