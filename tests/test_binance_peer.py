"""The practice Binance: its wire protocol, and the codec's books against the engines' own."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from hftmm.config import PracticeConfig
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
from hftmm.sim.binance import BinancePeer
from hftmm.sim.market import Market, practice_specs
from hftmm.sim.matching import MatchingEngine, Spec
from hftmm.sim.peers import Close, HttpAnswer, HttpQuery, Peer, Push
from hftmm.venues.binance import BinanceCodec
from hftmm.venues.codec import Feed

MS = 1_000_000
SECOND = 1000 * MS
START = 1_780_000_000 * SECOND
SYMBOLS = ("BTC/USDT:USDT", "BTC/USDT", "ETH/USDT:USDT", "ETH/USDT")


class Venue:
    """A peer and its market on one clock."""

    def __init__(self, seed: int = 7, symbols: tuple[str, ...] = SYMBOLS) -> None:
        specs = [spec for spec in practice_specs(symbols) if spec.venue == "binance"]
        self.market = Market(specs, PracticeConfig(seed=seed), START)
        self.peer = BinancePeer(self.market, seed)
        self.now_ns = START

    def engine(self, market: str, symbol: str = "BTCUSDT") -> MatchingEngine:
        return self.market.engines["binance", Kind(market), symbol]

    def run(self, span_ms: float, step_ms: float = 5, *, trading: bool = True) -> None:
        end_ns = self.now_ns + round(span_ms * MS)
        while self.now_ns < end_ns:
            self.now_ns = min(end_ns, self.now_ns + round(step_ms * MS))
            if trading:
                self.market.advance(self.now_ns)
            self.peer.advance(self.now_ns)

    def open(self, connection: int, face: str, path: str, query: str = "") -> HttpAnswer | None:
        return self.peer.opened(connection, face, path, query, self.now_ns)

    def take(self, connection: int | None = None) -> list[bytes]:
        """Frames pushed since the last take, of one connection or of all."""
        pushed = [out for out in self.peer.outbox if isinstance(out, Push)]
        self.peer.outbox[:] = [out for out in self.peer.outbox if isinstance(out, Close)]
        return [out.frame for out in pushed if connection in (None, out.connection)]

    def messages(self, connection: int | None = None) -> list[Any]:
        return [msgspec.json.decode(frame) for frame in self.take(connection)]

    def say(self, connection: int, text: str) -> Any:
        """The answer to a control message; time moves so that the rate limit stays out of it."""
        self.now_ns += SECOND
        self.take()
        self.peer.received(connection, text.encode(), self.now_ns)
        (answer,) = self.messages(connection)
        return answer

    def subscribe(self, connection: int, *topics: str) -> None:
        frame = msgspec.json.encode({"method": "SUBSCRIBE", "params": topics, "id": 1})
        assert self.say(connection, frame.decode()) == {"result": None, "id": 1}

    def get(self, market: str, path: str, query: str = "") -> tuple[int, Any, HttpAnswer]:
        answer = self.peer.request(
            HttpQuery(f"{market}.rest", "GET", path, query, {}, b""), self.now_ns
        )
        return answer.status, msgspec.json.decode(answer.body), answer

    def closes(self) -> dict[int, int]:
        return {out.connection: out.code for out in self.peer.outbox if isinstance(out, Close)}


@pytest.fixture
def venue() -> Venue:
    return Venue()


def test_the_peer_has_the_whole_contract(venue: Venue) -> None:
    peer: Peer = venue.peer
    assert peer.url("spot.rest", "127.0.0.1:1") == "http://127.0.0.1:1"
    assert peer.url("linear.stream", "127.0.0.1:2") == "ws://127.0.0.1:2"


# --- connections --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("face", "path", "query"),
    [
        ("spot.stream", "/ws/btcusdt@depth@100ms", ""),
        ("spot.stream", "/ws/btcusdt@depth@100ms/ethusdt@trade", ""),
        ("spot.stream", "/stream", "streams=ethusdt@trade/btcusdt@depth@100ms"),
        ("spot.stream", "/stream", "streams=btcusdt%40depth%40100ms"),
        ("linear.stream", "/public/ws/btcusdt@depth@100ms", ""),
        ("linear.stream", "/public/stream", "streams=btcusdt@depth@100ms"),
        ("linear.stream", "/ws/btcusdt@depth@100ms", ""),
        ("linear.stream", "/stream", "streams=btcusdt@depth@100ms"),
    ],
)
def test_streams_named_in_the_url_are_delivered(
    venue: Venue, face: str, path: str, query: str
) -> None:
    assert venue.open(1, face, path, query) is None
    venue.run(1000)
    messages = venue.messages(1)
    if "/stream" in path:
        assert {m["stream"] for m in messages} >= {"btcusdt@depth@100ms"}
        messages = [m["data"] for m in messages]
    assert any(m["e"] == "depthUpdate" and m["s"] == "BTCUSDT" for m in messages)


@pytest.mark.parametrize("path", ["/", "/ws-api/v3", "/stream/btcusdt@depth", "/public/ws"])
def test_a_path_the_spot_streams_do_not_have_is_refused(venue: Venue, path: str) -> None:
    answer = venue.open(1, "spot.stream", path)
    assert answer is not None
    assert answer.status == 404


@pytest.mark.parametrize(
    ("face", "path"),
    [
        ("spot.stream", "/ws"),
        ("spot.stream", "/ws/0"),
        ("spot.stream", "/stream"),
        ("linear.stream", "/public/ws/0"),
        ("linear.stream", "/public/stream"),
        ("linear.stream", "/ws"),
    ],
)
def test_streams_can_be_subscribed_to_later(venue: Venue, face: str, path: str) -> None:
    venue.open(1, face, path)
    venue.run(500)
    assert venue.take(1) == []
    venue.subscribe(1, "btcusdt@bookTicker")
    venue.run(2000)
    assert venue.take(1)


def test_unsubscribed_streams_fall_silent(venue: Venue) -> None:
    venue.open(1, "spot.stream", "/ws/btcusdt@bookTicker/btcusdt@depth@100ms")
    answer = venue.say(1, '{"method":"UNSUBSCRIBE","params":["btcusdt@bookTicker"],"id":"a-1"}')
    assert answer == {"result": None, "id": "a-1"}
    venue.run(2000)
    assert {m.get("e") for m in venue.messages(1)} == {"depthUpdate"}


@pytest.mark.parametrize(
    ("path", "topic"),
    [
        ("/public/stream", "btcusdt@aggTrade"),
        ("/public/stream", "btcusdt@markPrice@1s"),
        ("/stream", "btcusdt@markPrice@1s"),
        ("/ws", "btcusdt@aggTrade"),
        ("/market/stream", "btcusdt@depth@100ms"),
        ("/market/stream", "btcusdt@bookTicker"),
        ("/private/ws", "btcusdt@depth@100ms"),
        ("/public/stream", "btcusdt@kline_1m"),
        ("/public/stream", "nosuch@depth"),
        ("/public/stream", "BTCUSDT@depth"),
        ("/public/stream", "btcusdt@depth@7ms"),
    ],
)
def test_a_stream_on_the_wrong_route_is_acknowledged_and_silent(
    venue: Venue, path: str, topic: str
) -> None:
    venue.open(1, "linear.stream", path)
    venue.subscribe(1, topic)
    venue.run(5000)
    assert venue.take(1) == []
    assert venue.say(1, '{"method":"LIST_SUBSCRIPTIONS","id":3}') == {"result": [topic], "id": 3}


def test_a_stream_subscribed_to_twice_is_delivered_once(venue: Venue) -> None:
    venue.open(1, "spot.stream", "/ws")
    venue.subscribe(1, "btcusdt@trade", "btcusdt@trade", "btcusdt@kline_1m")
    venue.subscribe(1, "btcusdt@trade")
    venue.run(5000)
    trades = [m["t"] for m in venue.messages(1)]
    assert trades
    assert len(trades) == len(set(trades))
    venue.say(1, '{"method":"UNSUBSCRIBE","params":["btcusdt@trade","never@seen"],"id":1}')
    venue.run(5000)
    assert venue.take(1) == []


def test_the_codecs_probe_is_answered(venue: Venue) -> None:
    codec = BinanceCodec()
    for connection, face in enumerate(("spot.stream", "linear.stream"), 1):
        venue.open(connection, face, "/stream")
        venue.peer.received(connection, codec.stream_rules.probe, venue.now_ns)
        (answer,) = venue.take(connection)
        assert codec.decode_envelope("spot.public", answer) == Pong()


def test_the_market_route_serves_trades_and_marks(venue: Venue) -> None:
    venue.open(1, "linear.stream", "/market/stream")
    venue.subscribe(1, "btcusdt@aggTrade", "btcusdt@markPrice@1s")
    venue.run(10_000)
    events = [m["data"]["e"] for m in venue.messages(1)]
    assert events.count("markPriceUpdate") == 10
    assert "aggTrade" in events


def test_properties_switch_between_raw_and_combined(venue: Venue) -> None:
    venue.open(1, "spot.stream", "/ws/btcusdt@depth@100ms")
    get = '{"method":"GET_PROPERTY","params":["combined"],"id":2}'
    assert venue.say(1, get) == {"result": False, "id": 2}
    set_it = '{"method":"SET_PROPERTY","params":["combined",true],"id":3}'
    assert venue.say(1, set_it) == {"result": None, "id": 3}
    assert venue.say(1, get) == {"result": True, "id": 2}
    venue.run(1000)
    assert {m["stream"] for m in venue.messages(1)} == {"btcusdt@depth@100ms"}


@pytest.mark.parametrize(
    ("message", "code", "text"),
    [
        ("{", 3, "Invalid JSON: expected value at line 1 column"),
        ("[]", 2, "Invalid request: invalid type"),
        ('{"params":[],"id":7}', 2, "Invalid request: missing field `method` at line 1"),
        ('{"method":"SUBSCRIBE","id":7}', 2, "Invalid request: missing field `params`"),
        ('{"method":"SUBSCRIBE","params":[1],"id":7}', 2, "Invalid request: invalid type"),
        ('{"method":"SHOUT","params":[],"id":7}', 2, "Invalid request: unknown variant `SHOUT`"),
        ('{"method":"SUBSCRIBE","params":[],"id":7,"x":1}', 2, "Invalid request: too many"),
        ('{"method":"SUBSCRIBE","params":[],"id":1.5}', 2, "Invalid request: request ID must"),
        ('{"method":"SUBSCRIBE","params":[],"id":"a b"}', 2, "Invalid request: request ID must"),
        ('{"method":"GET_PROPERTY","params":["x"],"id":7}', 0, "Unknown property"),
        ('{"method":"GET_PROPERTY","params":[],"id":7}', 2, "Invalid request: property name"),
        ('{"method":"GET_PROPERTY","params":["combined",1]}', 2, "Invalid request: too many"),
        ('{"method":"SET_PROPERTY","params":["combined"]}', 1, "Invalid value type: expected"),
        ('{"method":"SET_PROPERTY","params":["combined","yes"]}', 1, "Invalid value type"),
    ],
)
def test_a_control_message_out_of_order_is_refused_in_the_venues_words(
    venue: Venue, message: str, code: int, text: str
) -> None:
    venue.open(1, "spot.stream", "/ws")
    answer = venue.say(1, message)
    assert answer["code"] == code
    assert answer["msg"].startswith(text)
    assert answer.get("id") == (7 if '"id":7' in message else None)
    frame = msgspec.json.encode(answer)
    assert isinstance(BinanceCodec().decode_envelope("spot.public", frame), Refusal)


@pytest.mark.parametrize(("face", "limit"), [("spot.stream", 5), ("linear.stream", 10)])
def test_more_messages_a_second_than_allowed_end_the_connection(
    venue: Venue, face: str, limit: int
) -> None:
    venue.open(1, face, "/ws")
    for _ in range(limit):
        venue.peer.received(1, b'{"method":"LIST_SUBSCRIPTIONS","id":1}', venue.now_ns)
    assert venue.closes() == {}
    venue.peer.received(1, b'{"method":"LIST_SUBSCRIPTIONS","id":1}', venue.now_ns)
    assert venue.closes() == {1: 1008}
    assert len(venue.take(1)) == limit
    venue.peer.received(1, b'{"method":"LIST_SUBSCRIPTIONS","id":1}', venue.now_ns)
    assert venue.take(1) == []


def test_a_slow_sequence_of_messages_is_no_offence(venue: Venue) -> None:
    venue.open(1, "spot.stream", "/ws")
    for _ in range(30):
        venue.now_ns += SECOND // 5
        venue.peer.received(1, b'{"method":"LIST_SUBSCRIPTIONS","id":1}', venue.now_ns)
    assert venue.closes() == {}


def test_all_readers_of_a_stream_get_the_same_payload(venue: Venue) -> None:
    venue.open(1, "spot.stream", "/stream", "streams=btcusdt@depth@100ms")
    venue.open(2, "spot.stream", "/ws/btcusdt@depth@100ms")
    venue.run(1000)
    pushes = [out for out in venue.peer.outbox if isinstance(out, Push)]
    raw = [out.frame for out in pushes if out.connection == 2]
    combined = [out.frame for out in pushes if out.connection == 1]
    assert len(raw) > 3
    assert combined == [b'{"stream":"btcusdt@depth@100ms","data":%b}' % frame for frame in raw]
    assert {out.feed for out in pushes} == {"spot BTCUSDT"}
    venue.peer.closed(2)
    venue.take()
    venue.run(1000)
    assert venue.take(1)
    assert venue.take(2) == []


def test_only_book_deltas_name_a_feed(venue: Venue) -> None:
    streams = "btcusdt@depth@100ms/btcusdt@depth5@100ms/btcusdt@bookTicker/btcusdt@trade"
    venue.open(1, "linear.stream", "/public/stream", f"streams={streams}")
    venue.run(3000)
    feeds: dict[str, set[str]] = {}
    for out in venue.peer.outbox:
        assert isinstance(out, Push)
        feeds.setdefault(msgspec.json.decode(out.frame)["stream"], set()).add(out.feed)
    assert feeds == {
        "btcusdt@depth@100ms": {"linear BTCUSDT"},
        "btcusdt@depth5@100ms": {""},
        "btcusdt@bookTicker": {""},
        "btcusdt@trade": {""},
    }


# --- payloads -----------------------------------------------------------------------------


def stream_of(venue: Venue, face: str, path: str, topic: str, span_ms: int = 5000) -> list[Any]:
    venue.open(9, face, f"{path}/{topic}")
    venue.run(span_ms)
    return venue.messages(9)


def test_spot_update_ids_touch(venue: Venue) -> None:
    events = stream_of(venue, "spot.stream", "/ws", "btcusdt@depth@100ms")
    assert len(events) > 20
    for before, after in pairwise(events):
        assert after["U"] == before["u"] + 1
        assert after["u"] >= after["U"]
    assert set(events[0]) == {"e", "E", "s", "U", "u", "b", "a"}


def test_usd_m_update_ids_have_holes_and_name_the_one_before(venue: Venue) -> None:
    events = stream_of(venue, "linear.stream", "/public/ws", "btcusdt@depth@100ms")
    assert len(events) > 20
    for before, after in pairwise(events):
        assert after["pu"] == before["u"]
        assert after["U"] > before["u"] + 1
        assert after["u"] >= after["U"]
    assert set(events[0]) == {"e", "E", "T", "s", "ps", "st", "U", "u", "pu", "b", "a"}
    assert events[0]["st"] == 1
    assert all(event["E"] >= event["T"] for event in events)


@pytest.mark.parametrize(
    ("face", "path", "name", "speed_ms"),
    [
        ("spot.stream", "/ws", "depth", 1000),
        ("spot.stream", "/ws", "depth@100ms", 100),
        ("linear.stream", "/public/ws", "depth", 250),
        ("linear.stream", "/public/ws", "depth@500ms", 500),
        ("linear.stream", "/public/ws", "depth@100ms", 100),
    ],
)
def test_depth_comes_at_the_speed_asked_for(
    venue: Venue, face: str, path: str, name: str, speed_ms: int
) -> None:
    stamps = [e["E"] for e in stream_of(venue, face, path, f"btcusdt@{name}", 20_000)]
    steps = {after - before for before, after in pairwise(stamps)}
    assert min(steps) == speed_ms
    assert all(step % speed_ms == 0 for step in steps)


@pytest.mark.parametrize("market", ["spot", "linear"])
def test_partial_depth_is_the_best_of_the_book(venue: Venue, market: str) -> None:
    path = "/public/ws" if market == "linear" else "/ws"
    last = stream_of(venue, f"{market}.stream", path, "btcusdt@depth5@100ms")[-1]
    venue.run(200, trading=False)
    bids = [float(price) for price, _ in last["b" if market == "linear" else "bids"]]
    asks = [float(price) for price, _ in last["a" if market == "linear" else "asks"]]
    assert (len(bids), len(asks)) == (5, 5)
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]
    if market == "spot":
        assert set(last) == {"lastUpdateId", "bids", "asks"}
    else:
        assert last["pu"] < last["U"] <= last["u"]


@pytest.mark.parametrize(
    ("market", "keys"),
    [
        ("spot", {"u", "s", "b", "B", "a", "A"}),
        ("linear", {"e", "u", "s", "ps", "st", "b", "B", "a", "A", "T", "E"}),
    ],
)
def test_the_best_quote_follows_the_book(venue: Venue, market: str, keys: set[str]) -> None:
    path = "/public/ws" if market == "linear" else "/ws"
    quotes = stream_of(venue, f"{market}.stream", path, "btcusdt@bookTicker")
    assert set(quotes[0]) == keys
    bodies = [(q["b"], q["B"], q["a"], q["A"]) for q in quotes]
    assert all(a != b for a, b in pairwise(bodies))
    _, rest, _ = venue.get(
        market,
        "/fapi/v1/ticker/bookTicker" if market == "linear" else "/api/v3/ticker/bookTicker",
        "symbol=BTCUSDT",
    )
    assert bodies[-1] == (rest["bidPrice"], rest["bidQty"], rest["askPrice"], rest["askQty"])


def small_venue(symbol: str = "BTC/USDT:USDT") -> Venue:
    """A venue whose only book is empty and receives no orders but a test's own."""
    venue = Venue(symbols=(symbol,))
    ((key, engine),) = venue.market.engines.items()
    venue.market.engines[key] = MatchingEngine(engine.spec)
    venue.peer = BinancePeer(venue.market, 7)
    return venue


def test_usd_m_aggregates_one_side_at_one_price() -> None:
    venue = small_venue()
    engine = venue.engine("linear")
    venue.open(1, "linear.stream", "/market/ws/btcusdt@aggTrade")
    for ticks, lots in ((600000, 5), (600000, 5), (600001, 9)):
        engine.place("sell", ticks, lots, venue.now_ns)
    engine.place("buy", 600000, 7, venue.now_ns)
    engine.place("buy", 600001, 6, venue.now_ns)
    venue.run(200, trading=False)
    aggregates = venue.messages(1)
    assert [(e["p"], e["q"], e["f"], e["l"], e["a"], e["m"]) for e in aggregates] == [
        ("60000.0", "0.010", 1, 3, 1, False),
        ("60000.1", "0.003", 4, 4, 2, False),
    ]


def test_spot_aggregates_one_taker_order_at_one_price() -> None:
    venue = small_venue("BTC/USDT")
    engine = venue.engine("spot")
    venue.open(1, "spot.stream", "/ws/btcusdt@aggTrade")
    venue.open(2, "spot.stream", "/ws/btcusdt@trade")
    engine.place("buy", 6000000, 5, venue.now_ns)
    engine.place("buy", 6000000, 5, venue.now_ns)
    engine.place("sell", 6000000, 7, venue.now_ns)
    engine.place("sell", 6000000, 1, venue.now_ns)
    venue.peer.advance(venue.now_ns)
    pushed = [out for out in venue.peer.outbox if isinstance(out, Push)]
    first, second = (
        [msgspec.json.decode(out.frame) for out in pushed if out.connection == number]
        for number in (1, 2)
    )
    assert [(e["q"], e["f"], e["l"], e["m"]) for e in first] == [
        ("0.00007000", 1, 2, True),
        ("0.00001000", 3, 3, True),
    ]
    assert [(e["t"], e["p"], e["q"]) for e in second] == [
        (1, "60000.00000000", "0.00005000"),
        (2, "60000.00000000", "0.00002000"),
        (3, "60000.00000000", "0.00001000"),
    ]


def test_an_empty_side_is_a_quote_of_zero() -> None:
    venue = small_venue("BTC/USDT")
    venue.open(1, "spot.stream", "/ws/btcusdt@bookTicker")
    venue.engine("spot").place("buy", 6000000, 5, venue.now_ns)
    venue.peer.advance(venue.now_ns)
    (quote,) = venue.messages(1)
    assert (quote["b"], quote["a"], quote["A"]) == ("60000.00000000", "0.00000000", "0.00000000")


@pytest.mark.parametrize("symbol", ["BTC/USDT", "BTC/USDT:USDT"])
def test_a_level_that_changes_back_after_a_snapshot_is_published(symbol: str) -> None:
    venue = small_venue(symbol)
    market = "linear" if ":" in symbol else "spot"
    engine = venue.engine(market)
    venue.open(1, f"{market}.stream", "/ws/btcusdt@depth@100ms")
    order = engine.place("buy", 600000, 5, venue.now_ns).order_id
    path = "/fapi/v1/depth" if ":" in symbol else "/api/v3/depth"
    book = venue.get(market, path, "symbol=BTCUSDT")[1]
    assert len(book["bids"]) == 1
    engine.cancel(order, venue.now_ns)
    venue.run(200, trading=False)
    (event,) = venue.messages(1)
    assert event["U"] <= book["lastUpdateId"] < event["u"]
    assert [float(size) for _, size in event["b"]] == [0]


def test_a_level_that_goes_and_comes_back_is_not_published() -> None:
    venue = small_venue("BTC/USDT")
    engine = venue.engine("spot")
    venue.open(1, "spot.stream", "/ws/btcusdt@depth@100ms")
    fleeting = engine.place("buy", 6000000, 5, venue.now_ns).order_id
    engine.cancel(fleeting, venue.now_ns)
    venue.run(200, trading=False)
    assert venue.take(1) == []
    engine.place("buy", 6000001, 5, venue.now_ns)
    venue.run(200, trading=False)
    (event,) = venue.messages(1)
    # The ids of what was not worth an event are part of the next one.
    assert event["u"] == event["U"] + 2
    assert event["b"] == [["60000.01000000", "0.00005000"]]


# --- requests -----------------------------------------------------------------------------


def test_ping_and_time_answer(venue: Venue) -> None:
    for market, prefix in (("spot", "/api/v3"), ("linear", "/fapi/v1")):
        assert venue.get(market, f"{prefix}/ping")[:2] == (200, {})
        assert venue.get(market, f"{prefix}/time")[1] == {"serverTime": START // MS}


def test_a_skewed_clock_shows_in_stamps_but_not_in_the_schedule(venue: Venue) -> None:
    venue.open(1, "linear.stream", "/public/ws/btcusdt@depth@100ms")
    venue.peer.skew_ns = 5 * SECOND
    venue.run(1000)
    events = venue.messages(1)
    assert len(events) >= 8
    assert all(START // MS + 5000 < e["E"] <= venue.now_ns // MS + 5000 for e in events)
    assert venue.get("spot", "/api/v3/time")[1]["serverTime"] == venue.now_ns // MS + 5000


@pytest.mark.parametrize(
    ("market", "path", "query", "status", "code"),
    [
        ("spot", "/api/v3/depth", "symbol=NOSUCH", 400, -1121),
        ("spot", "/api/v3/depth", "", 400, -1102),
        ("spot", "/api/v3/depth", "symbol=", 400, -1102),
        ("spot", "/api/v3/depth", "symbol=BTCUSDT&limit=0", 400, -1130),
        ("spot", "/api/v3/depth", "symbol=BTCUSDT&limit=x", 400, -1100),
        ("spot", "/api/v3/exchangeInfo", "symbol=NOSUCH", 400, -1121),
        ("spot", "/api/v3/exchangeInfo", "symbols=BTC", 400, -1100),
        ("spot", "/api/v3/nothing", "", 404, -5000),
        ("linear", "/fapi/v1/depth", "symbol=NOSUCH", 400, -1121),
        ("linear", "/fapi/v1/depth", "", 400, -1102),
        ("linear", "/fapi/v1/depth", "symbol=BTCUSDT&limit=7", 400, -4021),
        ("linear", "/fapi/v1/premiumIndex", "symbol=NOSUCH", 400, -1121),
        ("linear", "/api/v3/depth", "symbol=BTCUSDT", 404, -5000),
    ],
)
def test_a_wrong_request_gets_the_documented_error(
    venue: Venue, market: str, path: str, query: str, status: int, code: int
) -> None:
    answered, body, answer = venue.get(market, path, query)
    assert (answered, body["code"], set(body)) == (status, code, {"code", "msg"})
    assert BinanceCodec().decode_error(status, answer.body).startswith(f"{status} {code} ")


@pytest.mark.parametrize(
    ("market", "path", "query", "weight"),
    [
        ("spot", "/api/v3/exchangeInfo", "", 20),
        ("spot", "/api/v3/depth", "symbol=BTCUSDT", 5),
        ("spot", "/api/v3/depth", "symbol=BTCUSDT&limit=500", 25),
        ("spot", "/api/v3/depth", "symbol=BTCUSDT&limit=9999", 250),
        ("spot", "/api/v3/ticker/bookTicker", "symbol=BTCUSDT", 2),
        ("spot", "/api/v3/ticker/bookTicker", "", 4),
        ("linear", "/fapi/v1/depth", "symbol=BTCUSDT", 10),
        ("linear", "/fapi/v1/depth", "symbol=BTCUSDT&limit=1000", 20),
        ("linear", "/fapi/v1/premiumIndex", "", 10),
        ("linear", "/fapi/v1/fundingInfo", "", 0),
    ],
)
def test_requests_cost_their_documented_weight(
    venue: Venue, market: str, path: str, query: str, weight: int
) -> None:
    _, _, answer = venue.get(market, path, query)
    assert answer.headers["X-MBX-USED-WEIGHT-1M"] == str(weight)


def test_weight_is_counted_by_the_minute_and_refused_beyond_the_limit(venue: Venue) -> None:
    venue.now_ns = START - START % (60 * SECOND) + 20 * SECOND
    for _ in range(24):
        status, _, answer = venue.get("spot", "/api/v3/depth", "symbol=BTCUSDT&limit=5000")
        assert status == 200
    assert answer.headers["X-MBX-USED-WEIGHT-1M"] == "6000"
    status, body, answer = venue.get("spot", "/api/v3/ping")
    assert (status, body["code"], answer.headers["Retry-After"]) == (429, -1003, "41")
    assert venue.get("linear", "/fapi/v1/ping")[0] == 200
    venue.now_ns += 40 * SECOND
    assert venue.get("spot", "/api/v3/ping")[0] == 200


def test_a_snapshot_is_the_engines_book(venue: Venue) -> None:
    venue.run(1000)
    engine = venue.engine("linear")
    _, book, _ = venue.get("linear", "/fapi/v1/depth", "symbol=BTCUSDT&limit=50")
    spec = engine.spec
    assert book["bids"] == [
        [spec.price(level.ticks), f"{spec.lot * level.lots:f}"]
        for level in engine.levels("buy", 50)
    ]
    assert len(book["asks"]) == 50
    assert set(book) == {"lastUpdateId", "E", "T", "bids", "asks"}
    _, book, _ = venue.get("spot", "/api/v3/depth", "symbol=BTCUSDT&limit=3")
    assert set(book) == {"lastUpdateId", "bids", "asks"}
    assert all(len(text.partition(".")[2]) == 8 for row in book["bids"] for text in row)


def test_the_mark_price_answers_by_request_too(venue: Venue) -> None:
    _, one, _ = venue.get("linear", "/fapi/v1/premiumIndex", "symbol=BTCUSDT")
    mark = venue.market.mark(venue.engine("linear").spec)
    assert float(one["markPrice"]) == pytest.approx(mark.mark)
    assert one["nextFundingTime"] == mark.next_funding_ns // MS
    _, every, _ = venue.get("linear", "/fapi/v1/premiumIndex")
    assert [row["symbol"] for row in every] == ["BTCUSDT", "ETHUSDT"]


def test_only_unusual_funding_intervals_are_listed(
    venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert venue.get("linear", "/fapi/v1/fundingInfo")[1] == []
    usual = venue.market.mark

    def four_hourly(spec: Spec) -> Any:
        mark = usual(spec)
        return msgspec.structs.replace(mark, interval_hours=4) if spec.base == "ETH" else mark

    monkeypatch.setattr(venue.market, "mark", four_hourly)
    (row,) = venue.get("linear", "/fapi/v1/fundingInfo")[1]
    assert (row["symbol"], row["fundingIntervalHours"]) == ("ETHUSDT", 4)


def test_instruments_can_be_chosen(venue: Venue) -> None:
    def names(query: str) -> list[str]:
        return [
            row["symbol"] for row in venue.get("spot", "/api/v3/exchangeInfo", query)[1]["symbols"]
        ]

    assert names("") == ["BTCUSDT", "ETHUSDT"]
    assert names("symbol=ETHUSDT") == ["ETHUSDT"]
    assert names("symbols=%5B%22ETHUSDT%22%5D") == ["ETHUSDT"]


def listings_of(venue: Venue) -> dict[str, Listing]:
    codec = BinanceCodec()
    found = {}
    for request in codec.instruments(frozenset({Kind.SPOT, Kind.LINEAR})):
        path, _, query = request.path.partition("?")
        _, _, answer = venue.get(request.route.partition(".")[0], path, query)
        for listing in codec.decode_instruments(request, answer.body).listings:
            found[listing.symbol] = listing
    return found


def test_the_codec_reads_the_specs_back(venue: Venue) -> None:
    found = listings_of(venue)
    assert set(found) == set(SYMBOLS)
    for engine in venue.market.of("binance"):
        spec, listing = engine.spec, found[engine.spec.symbol]
        assert (listing.kind, listing.venue_symbol) == (spec.kind, spec.venue_symbol)
        assert (listing.tick, listing.lot) == (spec.tick, spec.lot)
        assert (listing.min_size, listing.min_notional) == (spec.min_size, spec.min_notional)
        assert listing.status == "live"


# --- what the venue does to its clients ---------------------------------------------------


def test_a_farewell_is_announced_on_spot_and_then_cuts(venue: Venue) -> None:
    venue.open(1, "spot.stream", "/ws")
    venue.open(2, "spot.stream", "/stream")
    venue.open(3, "linear.stream", "/public/stream")
    venue.peer.farewell(venue.now_ns)
    raw, combined = venue.take()
    assert msgspec.json.decode(raw) == {"e": "serverShutdown", "E": START // MS}
    assert msgspec.json.decode(combined)["stream"] == "!serverShutdown"
    for frame in (raw, combined):
        assert isinstance(BinanceCodec().decode_envelope("spot.public", frame), Farewell)
    venue.run(1000)
    assert venue.closes() == {}
    venue.run(5000)
    assert venue.closes() == {1: 1001, 2: 1001}


def test_a_client_that_leaves_after_the_farewell_is_not_closed_again(venue: Venue) -> None:
    venue.open(1, "spot.stream", "/ws")
    venue.peer.farewell(venue.now_ns)
    venue.peer.closed(1)
    venue.run(6000)
    assert venue.closes() == {}


def test_a_connection_the_venue_closed_may_be_reported_closed_again(venue: Venue) -> None:
    venue.open(1, "spot.stream", "/ws/btcusdt@depth@100ms")
    venue.peer.restart(venue.now_ns)
    venue.peer.closed(1)
    assert venue.closes() == {1: 1006}


def test_a_restart_cuts_everybody_and_numbers_anew(venue: Venue) -> None:
    venue.open(1, "spot.stream", "/ws/btcusdt@depth@100ms")
    venue.open(2, "linear.stream", "/public/ws/btcusdt@depth@100ms")
    before = venue.get("spot", "/api/v3/depth", "symbol=BTCUSDT")[1]["lastUpdateId"]
    venue.peer.restart(venue.now_ns)
    assert venue.closes() == {1: 1006, 2: 1006}
    after = venue.get("spot", "/api/v3/depth", "symbol=BTCUSDT")[1]["lastUpdateId"]
    assert abs(after - before) > 1000
    venue.take()
    venue.run(1000)
    assert venue.take() == []


@pytest.mark.parametrize("market", ["spot", "linear"])
def test_a_crossed_update_keeps_the_sequence(venue: Venue, market: str) -> None:
    path = "/public/ws" if market == "linear" else "/ws"
    venue.open(1, f"{market}.stream", f"{path}/btcusdt@depth@100ms/btcusdt@depth")
    venue.run(1000)
    venue.take()
    venue.peer.cross(venue.now_ns)
    crossed = venue.messages(1)
    assert len(crossed) == 2
    for event in crossed:
        asks = [float(price) for price, size in event["a"] if float(size)]
        assert max(float(price) for price, _ in event["b"]) > min(asks)
        assert event["u"] >= event["U"]
    venue.run(1000)
    assert any(e.get("pu", e["U"] - 1) == crossed[0]["u"] for e in venue.messages(1))


def test_a_book_without_asks_cannot_be_crossed() -> None:
    venue = small_venue("BTC/USDT")
    venue.open(1, "spot.stream", "/ws/btcusdt@depth@100ms")
    venue.engine("spot").place("buy", 6000000, 5, venue.now_ns)
    venue.peer.cross(venue.now_ns)
    assert venue.take(1) == []


def test_the_same_seed_says_the_same() -> None:
    said = []
    for _ in range(2):
        venue = Venue(seed=3)
        venue.open(1, "spot.stream", "/stream", "streams=btcusdt@depth@100ms/btcusdt@bookTicker")
        venue.run(2000)
        said.append(venue.take())
    assert said[0] == said[1]


# --- the codec against the peer -----------------------------------------------------------


class Reader:
    """A client of one listing: the codec, and a book as a dict a side."""

    def __init__(self, venue: Venue, listing: Listing, connection: int) -> None:
        self.venue, self.listing, self.connection = venue, listing, connection
        self.codec = BinanceCodec()
        self.market = "spot" if listing.kind is Kind.SPOT else "linear"
        self.engine = venue.engine(self.market, listing.venue_symbol)
        self.sides: tuple[dict[int, float], dict[int, float]] = ({}, {})
        self.buffer: list[BookDelta] = []
        self.applied = -1
        self.joining = False
        self.verdicts: dict[Verdict, int] = {}
        self.last_top: TopOfBook | None = None
        self.others: list[Trade | MarkPrice] = []
        routes = {feed.route for feed in self.codec.feeds(listing)}
        self.feeds: dict[bytes, Feed] = {}
        self.connections = []
        endpoints = self.codec.endpoints(dict.fromkeys(self.codec.hosts("live"), "ws://peer"))
        for number, route in enumerate(sorted(routes)):
            path = endpoints[route].removeprefix("ws://peer")
            face = f"{self.market}.stream"
            assert venue.open(connection + number, face, path) is None
            feeds = [feed for feed in self.codec.feeds(listing) if feed.route == route]
            self.feeds |= {feed.key: feed for feed in feeds}
            venue.peer.received(connection + number, self.codec.subscribe(feeds, "5"), venue.now_ns)
            self.connections.append(connection + number)

    def snapshot(self) -> None:
        request = self.codec.request_book(self.listing)
        assert request is not None
        path, _, query = request.path.partition("?")
        _, _, answer = self.venue.get(self.market, path, query)
        book = self.codec.decode_book(self.listing, answer.body, self.venue.now_ns)
        assert book.complete
        assert answer.headers["X-MBX-USED-WEIGHT-1M"]
        self.sides = ({}, {})
        self.apply(book)
        self.joining = True
        buffered, self.buffer = self.buffer, []
        for delta in buffered:
            self.judge(delta)

    def apply(self, delta: BookDelta) -> None:
        self.applied = delta.final_id
        for index, (ticks, size) in enumerate(
            zip(delta.ticks.tolist(), delta.sizes.tolist(), strict=True)
        ):
            side = self.sides[0 if index < delta.n_bids else 1]
            if size:
                side[ticks] = size
            else:
                side.pop(ticks, None)

    def judge(self, delta: BookDelta) -> None:
        verdict = self.codec.sequence(self.applied, delta, self.joining)
        self.verdicts[verdict] = self.verdicts.get(verdict, 0) + 1
        if verdict is Verdict.APPLY:
            self.joining = False
            self.apply(delta)

    def receive(self, frame: bytes) -> None:
        stop = frame.find(self.codec.cut.stop, self.codec.cut.start)
        feed = self.feeds.get(frame[self.codec.cut.start : stop])
        if feed is None:
            assert self.codec.decode_envelope("", frame) == Acknowledged("5")
            return
        for event in self.codec.decode_market(feed, frame, self.venue.now_ns):
            if isinstance(event, BookDelta):
                assert event.venue_ns <= self.venue.now_ns
                if self.applied < 0:
                    self.buffer.append(event)
                else:
                    self.judge(event)
            elif isinstance(event, TopOfBook):
                self.last_top = event
            else:
                assert isinstance(event, Trade | MarkPrice)
                self.others.append(event)

    def truth(self) -> tuple[dict[int, float], dict[int, float]]:
        spec = self.engine.spec
        scale = 10**self.listing.decimals

        def side(name: Any) -> dict[int, float]:
            return {
                int(spec.tick * level.ticks * scale): float(spec.lot * level.lots)
                for level in self.engine.levels(name)
            }

        return side("buy"), side("sell")

    def check(self) -> None:
        assert self.sides == self.truth()
        top = self.last_top
        if top is not None:
            bids, asks = self.sides
            scale = 10**self.listing.decimals
            assert (top.bid, top.bid_size) == (max(bids) / scale, bids[max(bids)])
            assert (top.ask, top.ask_size) == (min(asks) / scale, asks[min(asks)])
            assert top.sequence_id <= self.applied


def deliver(venue: Venue, readers: list[Reader]) -> None:
    owner = {number: reader for reader in readers for number in reader.connections}
    outbox, venue.peer.outbox[:] = list(venue.peer.outbox), []
    for out in outbox:
        assert isinstance(out, Push)
        owner[out.connection].receive(out.frame)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_book_read_by_the_codec_equals_the_engines_whenever_drained(seed: int) -> None:
    venue = Venue(seed)
    rng = random.Random(seed)
    readers = [
        Reader(venue, listing, 10 * number)
        for number, listing in enumerate(listings_of(venue).values(), 1)
    ]
    for reader in readers:
        venue.run(rng.uniform(0, 400))
        deliver(venue, readers)
        reader.snapshot()
    for _ in range(50):
        for _ in range(60):
            venue.run(rng.uniform(1, 20), step_ms=20)
            deliver(venue, readers)
            if rng.random() < 0.02:
                rng.choice(readers).snapshot()
        # Nothing more trades, and everything that did is published.
        venue.run(300, trading=False)
        deliver(venue, readers)
        for reader in readers:
            reader.check()
    for reader in readers:
        assert set(reader.verdicts) <= {Verdict.APPLY, Verdict.SKIP}
        assert reader.verdicts[Verdict.APPLY] > 50
        kinds = {type(event) for event in reader.others}
        assert kinds == ({Trade} if reader.market == "spot" else {Trade, MarkPrice})
        assert reader.last_top is not None


@pytest.mark.parametrize("symbol", ["BTC/USDT", "BTC/USDT:USDT"])
def test_a_lost_delta_is_noticed_at_the_next(symbol: str) -> None:
    venue = Venue(symbols=(symbol,))
    reader = Reader(venue, listings_of(venue)[symbol], 1)
    deliver(venue, [reader])
    reader.snapshot()
    venue.run(1000)
    deliver(venue, [reader])
    assert set(reader.verdicts) <= {Verdict.APPLY, Verdict.SKIP}
    venue.run(1000)
    pushes = [out for out in venue.peer.outbox if isinstance(out, Push)]
    venue.peer.outbox.remove(next(out for out in pushes if out.feed))
    deliver(venue, [reader])
    assert reader.verdicts[Verdict.RESYNC] > 0


@pytest.mark.parametrize("symbol", ["BTC/USDT", "BTC/USDT:USDT"])
def test_a_snapshot_older_than_the_first_delta_is_fetched_again(symbol: str) -> None:
    venue = Venue(symbols=(symbol,))
    listing = listings_of(venue)[symbol]
    early = Reader(venue, listing, 1)
    deliver(venue, [early])
    early.snapshot()
    venue.run(500)
    venue.peer.outbox.clear()
    late = Reader(venue, listing, 5)
    late.applied, late.joining = early.applied, True
    venue.run(500)
    venue.peer.outbox[:] = [
        out for out in venue.peer.outbox if isinstance(out, Push) and out.connection >= 5
    ]
    deliver(venue, [late])
    assert set(late.verdicts) == {Verdict.REFETCH}


def test_a_book_is_right_again_after_a_crossed_update_and_a_new_snapshot() -> None:
    venue = Venue()
    readers = [
        Reader(venue, listing, 10 * number)
        for number, listing in enumerate(listings_of(venue).values(), 1)
    ]
    deliver(venue, readers)
    for reader in readers:
        reader.snapshot()
    venue.run(500)
    deliver(venue, readers)
    venue.peer.cross(venue.now_ns)
    deliver(venue, readers)
    for reader in readers:
        assert max(reader.sides[0]) > min(reader.sides[1])
        reader.snapshot()
    venue.run(500)
    venue.run(300, trading=False)
    deliver(venue, readers)
    for reader in readers:
        reader.check()
        assert set(reader.verdicts) <= {Verdict.APPLY, Verdict.SKIP}
