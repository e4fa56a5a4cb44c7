"""The practice Bybit as a client sees it, and the codec fed by it."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl

import pytest

from hftmm.config import PracticeConfig
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
from hftmm.sim.bybit import BybitPeer
from hftmm.sim.market import Market, practice_specs
from hftmm.sim.matching import MatchingEngine
from hftmm.sim.peers import Close, HttpAnswer, HttpQuery, Peer, Push
from hftmm.venues.bybit import BybitCodec
from hftmm.venues.codec import Feed

MS = 1_000_000
SECOND = 1_000 * MS
START = 1_750_000_000_000_000_000
SYMBOLS = ("BTC/USDT:USDT", "BTC/USDT", "ETH/USDT:USDT", "ETH/USDT")
PATHS = {"linear": "/v5/public/linear", "spot": "/v5/public/spot"}


class Venue:
    """A peer, its market and the time, with what it said to each connection."""

    def __init__(
        self, seed: int = 3, symbols: tuple[str, ...] = SYMBOLS, intensity: float = 1.0
    ) -> None:
        config = PracticeConfig(seed=seed, intensity=intensity)
        self.market = Market(practice_specs(symbols), config, START)
        self.peer = BybitPeer(self.market, seed)
        self.now_ns = START
        self.said: dict[int, list[dict[str, Any]]] = {}
        self.pushes: list[Push] = []
        self.cut: list[int] = []

    def engine(self, category: str = "linear", symbol: str = "BTCUSDT") -> MatchingEngine:
        return self.market.engines["bybit", Kind(category), symbol]

    def open(self, connection: int, category: str = "linear") -> None:
        face = f"public_{category}"
        assert self.peer.opened(connection, face, PATHS[category], "", self.now_ns) is None

    def say(self, connection: int, **message: Any) -> None:
        self.peer.received(connection, json.dumps(message).encode(), self.now_ns)

    def subscribe(self, connection: int, *topics: str, req_id: str = "r") -> None:
        self.say(connection, req_id=req_id, op="subscribe", args=list(topics))

    def run(self, ms: int = 20, *, frozen: bool = False, step_ms: int = 5) -> None:
        """Lets time pass; `frozen` stops the order flow, not the venue's clock."""
        end = self.now_ns + ms * MS
        while self.now_ns < end:
            self.now_ns = min(end, self.now_ns + step_ms * MS)
            if not frozen:
                self.market.advance(self.now_ns)
            self.peer.advance(self.now_ns)
            self.drain()

    def drain(self) -> None:
        for out in self.peer.outbox:
            if isinstance(out, Close):
                self.cut.append(out.connection)
                self.peer.closed(out.connection)
            else:
                self.pushes.append(out)
                self.said.setdefault(out.connection, []).append(json.loads(out.frame))
        self.peer.outbox.clear()

    def heard(self, connection: int, topic: str = "") -> list[dict[str, Any]]:
        """What the connection was told: of one topic, or that was no topic."""
        return [m for m in self.said.get(connection, []) if m.get("topic", "") == topic]

    def get(self, path: str, query: str = "", method: str = "GET") -> HttpAnswer:
        asked = HttpQuery("rest", method, path, query, {}, b"")
        return self.peer.request(asked, self.now_ns)

    def result(self, path: str, query: str = "") -> Any:
        answer = self.get(path, query)
        envelope = json.loads(answer.body)
        assert (answer.status, envelope["retCode"]) == (200, 0)
        return envelope["result"]


def joined(category: str, *topics: str, seed: int = 3) -> Venue:
    venue = Venue(seed)
    venue.open(1, category)
    venue.subscribe(1, *topics)
    venue.run(10)
    return venue


def apply(book: dict[str, dict[str, str]], message: dict[str, Any]) -> None:
    """The rule of a naive client, over the strings as sent."""
    for side in ("b", "a"):
        if message["type"] == "snapshot":
            book[side] = {}
        for price, size in message["data"][side]:
            if size == "0":
                del book[side][price]
            else:
                book[side][price] = size


def truth(engine: MatchingEngine, depth: int) -> dict[str, dict[str, str]]:
    spec = engine.spec
    return {
        "b": {spec.price(x.ticks): spec.size(x.lots) for x in engine.levels("buy", depth)},
        "a": {spec.price(x.ticks): spec.size(x.lots) for x in engine.levels("sell", depth)},
    }


def test_the_peer_has_every_verb_of_the_contract() -> None:
    peer: Peer = Venue().peer
    assert [peer.url(face, "127.0.0.1:9") for face in peer.faces] == [
        "http://127.0.0.1:9",
        "ws://127.0.0.1:9/v5/public/spot",
        "ws://127.0.0.1:9/v5/public/linear",
        "ws://127.0.0.1:9/v5/private",
        "ws://127.0.0.1:9/v5/trade",
    ]


# Control messages


@pytest.mark.parametrize(("category", "message"), [("spot", "subscribe"), ("linear", "")])
def test_a_subscription_is_acknowledged_in_the_style_of_its_market(
    category: str, message: str
) -> None:
    venue = joined(category, "publicTrade.BTCUSDT")
    (reply,) = venue.heard(1)
    assert list(reply) == ["success", "ret_msg", "conn_id", "req_id", "op"]
    assert (reply["success"], reply["ret_msg"]) == (True, message)
    assert (reply["req_id"], reply["op"]) == ("r", "subscribe")


def test_a_reply_takes_ten_milliseconds() -> None:
    venue = Venue()
    venue.open(1)
    venue.subscribe(1, "orderbook.50.BTCUSDT")
    venue.run(9, step_ms=1)
    assert venue.said == {}
    venue.run(1)
    assert [m.get("topic") for m in venue.said[1]] == [None, "orderbook.50.BTCUSDT"]


def test_a_numeric_request_id_comes_back_as_it_was() -> None:
    venue = Venue()
    venue.open(1)
    venue.say(1, req_id=7, op="subscribe", args=["orderbook.1.BTCUSDT"])
    venue.run(10)
    assert venue.heard(1)[0]["req_id"] == 7


def test_more_than_ten_topics_are_refused_on_spot_only() -> None:
    topics = [f"orderbook.{n}.{s}" for s in ("BTCUSDT", "ETHUSDT") for n in (1, 50, 200, 1000)]
    topics += [f"{kind}.{s}" for kind in ("publicTrade", "tickers") for s in ("BTCUSDT", "ETHUSDT")]
    refused = joined("spot", *topics[:11])
    (reply,) = refused.said[1]
    assert (reply["success"], reply["ret_msg"]) == (False, "args size >10")
    assert joined("linear", *topics[:11]).heard(1)[0]["success"]
    assert joined("spot", *topics[:10]).heard(1)[0]["success"]


@pytest.mark.parametrize("topic", ["orderbook.500.BTCUSDT", "orderbook.50.NOPE", "x", "orderbook"])
def test_an_unknown_topic_has_no_handler_and_spoils_the_request(topic: str) -> None:
    venue = joined("linear", "orderbook.50.BTCUSDT", topic)
    venue.run(100)
    (reply,) = venue.said[1]
    assert reply["success"] is False
    assert reply["ret_msg"] == f"error:handler not found,topic:{topic}"


def test_pongs_have_the_shape_of_their_market() -> None:
    venue = Venue()
    for number, category in ((1, "spot"), (2, "linear"), (3, "linear")):
        venue.open(number, category)
        venue.say(number, op="ping", **({"req_id": "x"} if number < 3 else {}))
    venue.run(10)
    spot, linear, unnumbered = (venue.said[n][0] for n in (1, 2, 3))
    assert list(spot) == ["success", "ret_msg", "conn_id", "op"]
    assert list(linear) == ["success", "ret_msg", "conn_id", "req_id", "op"]
    assert {m["ret_msg"] for m in (spot, linear)} == {"pong"}
    assert {m["op"] for m in (spot, linear)} == {"ping"}
    assert (linear["req_id"], unnumbered["req_id"]) == ("x", "")


@pytest.mark.parametrize(
    "frame", [b"", b"\xff", b"[]", b'{"op":"subscribe","args":[1]}', b"[" * 99_999]
)
def test_what_cannot_be_read_is_refused(frame: bytes) -> None:
    venue = Venue()
    venue.open(1)
    venue.peer.received(1, frame, venue.now_ns)
    venue.run(10)
    assert [m["success"] for m in venue.said[1]] == [False]


def test_an_operation_of_another_socket_is_refused() -> None:
    venue = Venue()
    venue.open(1)
    venue.say(1, op="auth", args=["k", "1", "s"])
    venue.run(10)
    assert venue.said[1][0]["success"] is False


def test_after_unsubscribing_nothing_more_comes() -> None:
    venue = joined("linear", "orderbook.50.BTCUSDT")
    venue.say(1, req_id="u", op="unsubscribe", args=["orderbook.50.BTCUSDT", "never.heard"])
    venue.run(10)
    count = len(venue.heard(1, "orderbook.50.BTCUSDT"))
    assert venue.heard(1)[-1]["op"] == "unsubscribe"
    assert venue.heard(1)[-1]["success"]
    venue.run(2_000)
    assert len(venue.heard(1, "orderbook.50.BTCUSDT")) == count


def test_a_closed_connection_is_told_nothing() -> None:
    venue = joined("linear", "orderbook.50.BTCUSDT")
    venue.say(1, op="ping")
    venue.peer.closed(1)
    venue.peer.closed(1)
    venue.said.clear()
    venue.run(1_000)
    assert venue.said == {}


def test_another_path_is_not_found() -> None:
    venue = Venue()
    answer = venue.peer.opened(1, "public_spot", "/v5/nowhere", "", venue.now_ns)
    assert answer is not None
    assert answer.status == 404


def test_the_path_says_which_market_whatever_the_face() -> None:
    venue = Venue()
    assert venue.peer.opened(1, "public_spot", "/v5/public/linear", "", venue.now_ns) is None
    venue.subscribe(1, "orderbook.50.BTCUSDT")
    venue.run(10)
    assert venue.pushes[-1].feed == "linear BTCUSDT"


def test_a_connection_without_ping_or_push_is_cut_after_ten_minutes() -> None:
    venue = Venue()
    venue.open(1)
    venue.open(2)
    for _ in range(20):
        venue.say(2, op="ping")
        venue.now_ns += 30 * SECOND
        venue.peer.advance(venue.now_ns)
    assert venue.cut == []
    venue.now_ns += 30 * SECOND
    venue.peer.advance(venue.now_ns)
    venue.drain()
    assert venue.cut == [1]


# Books


@pytest.mark.parametrize("category", ["spot", "linear"])
@pytest.mark.parametrize("depth", [1, 50, 200, 1000])
def test_keys_stand_in_the_documented_order(category: str, depth: int) -> None:
    topic = f"orderbook.{depth}.BTCUSDT"
    venue = joined(category, topic)
    venue.run(3_000)
    head = ["type", "ts"] if category == "linear" and depth > 1 else ["ts", "type"]
    for message in venue.heard(1, topic):
        assert list(message) == ["topic", *head, "data", "cts"]
        assert list(message["data"]) == ["s", "b", "a", "u", "seq"]


@pytest.mark.parametrize("category", ["spot", "linear"])
@pytest.mark.parametrize("depth", [50, 200, 1000])
def test_a_snapshot_is_followed_by_deltas_with_consecutive_ids(category: str, depth: int) -> None:
    topic = f"orderbook.{depth}.BTCUSDT"
    venue = joined(category, topic)
    venue.run(5_000)
    messages = venue.heard(1, topic)
    kinds = [m["type"] for m in messages]
    assert kinds == ["snapshot"] + ["delta"] * (len(kinds) - 1)
    assert len(kinds) > 10
    first = messages[0]["data"]["u"]
    assert [m["data"]["u"] for m in messages] == list(range(first, first + len(kinds)))
    seqs = [m["data"]["seq"] for m in messages]
    assert seqs == sorted(set(seqs))
    prices = [float(price) for price, _ in messages[0]["data"]["b"]]
    assert prices == sorted(prices, reverse=True)


@pytest.mark.parametrize(("depth", "cadence_ms"), [(1, 10), (50, 20), (200, 100), (1000, 200)])
def test_a_topic_is_pushed_no_more_often_than_its_cadence(depth: int, cadence_ms: int) -> None:
    topic = f"orderbook.{depth}.BTCUSDT"
    venue = Venue(intensity=50.0)
    venue.open(1)
    venue.subscribe(1, topic)
    venue.run(3_000, step_ms=1)
    stamps = [m["ts"] for m in venue.heard(1, topic)]
    gaps = [b - a for a, b in pairwise(stamps)]
    assert min(gaps) == cadence_ms


def test_nothing_is_pushed_while_nothing_changes() -> None:
    venue = joined("linear", "orderbook.50.BTCUSDT")
    venue.run(1_000, frozen=True)
    assert len(venue.heard(1, "orderbook.50.BTCUSDT")) == 1


def test_the_best_bid_and_offer_is_sent_again_with_the_same_id_after_three_seconds() -> None:
    venue = joined("linear", "orderbook.1.BTCUSDT")
    venue.run(6_100, frozen=True)
    messages = venue.heard(1, "orderbook.1.BTCUSDT")
    assert [m["ts"] - messages[0]["ts"] for m in messages] == [0, 3_000, 6_000]
    assert {m["type"] for m in messages} == {"snapshot"}
    assert len({m["data"]["u"] for m in messages}) == 1


def test_ids_of_the_best_bid_and_offer_grow_with_jumps() -> None:
    venue = joined("linear", "orderbook.1.BTCUSDT")
    venue.run(3_000)
    ids = [m["data"]["u"] for m in venue.heard(1, "orderbook.1.BTCUSDT")]
    steps = [b - a for a, b in pairwise(ids)]
    assert min(steps) >= 1
    assert max(steps) > 1


def test_the_best_bid_and_offer_equals_the_depth_of_the_same_sequence() -> None:
    venue = joined("linear", "orderbook.1.BTCUSDT", "orderbook.50.BTCUSDT")
    venue.run(5_000)
    tops = {m["data"]["seq"]: m["data"] for m in venue.heard(1, "orderbook.1.BTCUSDT")}
    book: dict[str, dict[str, str]] = {}
    compared = 0
    for message in venue.heard(1, "orderbook.50.BTCUSDT"):
        apply(book, message)
        top = tops.get(message["data"]["seq"])
        if top:
            compared += 1
            assert top["b"][0][0] == max(book["b"], key=float)
            assert top["a"][0][0] == min(book["a"], key=float)
    assert compared > 10


@pytest.mark.parametrize("depth", [1, 50])
def test_an_empty_side_is_an_empty_list(depth: int) -> None:
    venue = Venue()
    engine = venue.engine()
    for level in engine.levels("buy"):
        engine.place("sell", level.ticks, level.lots, START, immediate=True)
    venue.open(1)
    venue.subscribe(1, f"orderbook.{depth}.BTCUSDT")
    venue.run(10, frozen=True)
    (message,) = venue.heard(1, f"orderbook.{depth}.BTCUSDT")
    assert message["data"]["b"] == []
    assert message["data"]["a"]


def test_a_level_that_leaves_the_window_is_deleted_and_one_that_enters_inserted() -> None:
    venue = joined("linear", "orderbook.50.BTCUSDT")
    engine = venue.engine()
    levels = engine.levels("buy", 51)
    better = levels[0].ticks + 1
    order = engine.place("buy", better, 5, venue.now_ns, post_only=True).order_id
    assert order
    venue.run(20, frozen=True)
    pushed_out = venue.heard(1, "orderbook.50.BTCUSDT")[-1]["data"]["b"]
    assert pushed_out == [
        [engine.spec.price(better), "0.005"],
        [engine.spec.price(levels[49].ticks), "0"],
    ]
    engine.cancel(order, venue.now_ns)
    venue.run(20, frozen=True)
    came_back = venue.heard(1, "orderbook.50.BTCUSDT")[-1]["data"]["b"]
    assert came_back == [
        [engine.spec.price(better), "0"],
        [engine.spec.price(levels[49].ticks), engine.spec.size(levels[49].lots)],
    ]


def test_one_who_joins_late_sees_the_same_ids_as_the_others() -> None:
    topic = "orderbook.50.BTCUSDT"
    venue = joined("linear", topic)
    venue.run(1_000)
    venue.open(2)
    venue.subscribe(2, topic)
    venue.run(3_000)
    early, late = venue.heard(1, topic), venue.heard(2, topic)
    assert late[0]["type"] == "snapshot"
    deltas = [m for m in early if m["data"]["u"] > late[0]["data"]["u"]]
    assert deltas == late[1:]
    assert len(deltas) > 10
    books: list[dict[str, dict[str, str]]] = [{}, {}]
    for book, messages in zip(books, (early, late), strict=True):
        for message in messages:
            apply(book, message)
    assert books[0] == books[1]


@pytest.mark.parametrize("topic", ["orderbook.1.BTCUSDT", "tickers.BTCUSDT"])
def test_one_who_joins_late_begins_with_what_the_others_have(topic: str) -> None:
    venue = joined("linear", topic)
    venue.run(1_000)
    venue.open(2)
    venue.subscribe(2, topic)
    venue.run(10)
    merged: dict[str, Any] = {}
    for message in venue.heard(1, topic):
        merged |= message["data"]
    assert venue.heard(2, topic)[0]["data"] == merged
    venue.run(1_000)
    assert venue.heard(2, topic)[-1] == venue.heard(1, topic)[-1]


def test_only_frames_of_the_deep_books_carry_a_feed() -> None:
    topics = [f"orderbook.{n}.BTCUSDT" for n in (1, 50, 200, 1000)]
    venue = joined("spot", *topics, "publicTrade.BTCUSDT", "tickers.BTCUSDT")
    venue.run(3_000)
    for push in venue.pushes:
        deep = any(f'"orderbook.{n}.'.encode() in push.frame for n in (50, 200, 1000))
        assert push.feed == ("spot BTCUSDT" if deep else "")


# Trades and tickers


@pytest.mark.parametrize("category", ["spot", "linear"])
def test_trades_show_the_taker_and_share_the_cross_sequence(category: str) -> None:
    venue = joined(category, "publicTrade.BTCUSDT")
    engine = venue.engine(category)
    best = engine.levels("sell", 2)
    lots = best[0].lots + 1
    sequence = engine.sequence
    engine.place("buy", best[1].ticks, lots, venue.now_ns, immediate=True)
    venue.run(5, frozen=True)
    message = venue.heard(1, "publicTrade.BTCUSDT")[-1]
    assert list(message) == ["topic", "type", "ts", "data"]
    rows = message["data"]
    assert {row["S"] for row in rows} == {"Buy"}
    assert {row["seq"] for row in rows} == {sequence + 1}
    assert (rows[0]["p"], rows[-1]["p"]) == tuple(engine.spec.price(x.ticks) for x in best)
    assert sum(round(float(row["v"]) / float(engine.spec.lot)) for row in rows) == lots
    assert all(row["T"] <= message["ts"] for row in rows)
    assert all(("L" in row) == (category == "linear") for row in rows)
    assert all(row["i"].isdigit() == (category == "spot") for row in rows)
    assert len({row["i"] for row in rows}) == len(rows)


def test_the_tick_direction_compares_with_the_trade_before() -> None:
    venue = joined("linear", "publicTrade.BTCUSDT")
    engine = venue.engine()
    bid, ask = engine.best("buy"), engine.best("sell")
    assert bid
    assert ask
    engine.place("sell", bid.ticks, 1, START, immediate=True)
    for _ in range(3):
        engine.place("sell", ask.ticks - 1, 1, START)
        engine.place("buy", ask.ticks - 1, 1, START, immediate=True)
    engine.place("sell", bid.ticks, 1, START, immediate=True)
    venue.run(5, frozen=True)
    directions = [row["L"] for row in venue.heard(1, "publicTrade.BTCUSDT")[-1]["data"]]
    assert directions[1:] == ["PlusTick", "ZeroPlusTick", "ZeroPlusTick", "MinusTick"]


def test_more_than_1024_trades_are_split() -> None:
    venue = joined("linear", "publicTrade.BTCUSDT")
    engine = venue.engine()
    ask = engine.best("sell")
    assert ask
    for _ in range(1_100):
        engine.place("sell", ask.ticks - 1, 1, START)
        engine.place("buy", ask.ticks - 1, 1, START, immediate=True)
    venue.run(5, frozen=True)
    sizes = [len(m["data"]) for m in venue.heard(1, "publicTrade.BTCUSDT")]
    assert sizes == [1_024, 76]


def test_a_linear_ticker_is_a_snapshot_then_only_what_changed() -> None:
    venue = joined("linear", "tickers.BTCUSDT")
    venue.run(2_000)
    first, *deltas = venue.heard(1, "tickers.BTCUSDT")
    assert list(first) == ["topic", "type", "data", "cs", "ts"]
    assert first["type"] == "snapshot"
    assert {"markPrice", "indexPrice", "fundingRate", "nextFundingTime", "bid1Price"} <= set(
        first["data"]
    )
    merged = dict(first["data"])
    assert {m["type"] for m in deltas} == {"delta"}
    for message in deltas:
        fields = dict(message["data"])
        assert fields.pop("symbol") == "BTCUSDT"
        assert fields
        assert all(merged[name] != text for name, text in fields.items())
        merged |= fields
    gaps = [b["ts"] - a["ts"] for a, b in pairwise(deltas)]
    assert min(gaps) >= 100


def test_a_spot_ticker_is_always_whole_and_has_no_bid_or_ask() -> None:
    venue = joined("spot", "tickers.BTCUSDT")
    engine = venue.engine("spot")
    for _ in range(3):
        ask = engine.best("sell")
        assert ask
        engine.place("buy", ask.ticks, ask.lots, venue.now_ns, immediate=True)
        venue.run(50, frozen=True)
    messages = venue.heard(1, "tickers.BTCUSDT")
    assert len(messages) == 4
    for message in messages:
        assert list(message) == ["topic", "ts", "type", "cs", "data"]
        assert message["type"] == "snapshot"
        assert {"lastPrice", "volume24h", "usdIndexPrice"} <= set(message["data"])
        assert not any(name.startswith(("bid", "ask")) for name in message["data"])


# Faults


def test_after_a_restart_every_book_goes_on_with_a_snapshot_of_id_one() -> None:
    topics = [f"orderbook.{n}.BTCUSDT" for n in (1, 50, 200, 1000)]
    venue = joined("linear", *topics)
    venue.run(1_000)
    venue.said.clear()
    venue.peer.restart(venue.now_ns)
    venue.drain()
    assert venue.cut == []
    assert [m["topic"] for m in venue.said[1]] == topics
    assert {(m["type"], m["data"]["u"]) for m in venue.said[1]} == {("snapshot", 1)}
    venue.run(2_000)
    for topic in topics[1:]:
        ids = [m["data"]["u"] for m in venue.heard(1, topic)]
        assert ids == list(range(1, len(ids) + 1))


def test_a_restart_cuts_every_second_connection() -> None:
    venue = Venue()
    for number in (1, 2, 3, 4):
        venue.open(number)
        venue.subscribe(number, "orderbook.50.BTCUSDT")
    venue.run(10)
    venue.peer.restart(venue.now_ns)
    venue.drain()
    assert venue.cut == [2, 4]
    assert [venue.said[n][-1]["data"]["u"] == 1 for n in (1, 2, 3, 4)] == [True, False, True, False]


def test_a_planned_disconnect_comes_without_notice() -> None:
    venue = joined("linear", "orderbook.50.BTCUSDT")
    venue.said.clear()
    venue.peer.farewell(venue.now_ns)
    venue.drain()
    assert (venue.cut, venue.said) == ([1], {})


def test_a_crossed_book_keeps_its_ids_and_only_a_new_subscription_heals_it() -> None:
    topic = "orderbook.50.BTCUSDT"
    venue = joined("linear", topic)
    venue.run(500)
    venue.peer.cross(venue.now_ns)
    venue.drain()
    book: dict[str, dict[str, str]] = {}
    for message in venue.heard(1, topic):
        apply(book, message)
    assert max(map(float, book["b"])) > min(map(float, book["a"]))
    venue.run(500)
    ids = [m["data"]["u"] for m in venue.heard(1, topic)]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    venue.say(1, op="unsubscribe", args=[topic])
    venue.subscribe(1, topic)
    venue.run(10)
    apply(book, venue.heard(1, topic)[-1])
    assert book == truth(venue.engine(), 50)


def test_a_one_sided_book_cannot_be_crossed() -> None:
    venue = joined("linear", "orderbook.50.BTCUSDT")
    engine = venue.engine()
    for level in engine.levels("sell"):
        engine.place("buy", level.ticks, level.lots, START, immediate=True)
    venue.peer.cross(venue.now_ns)
    assert venue.peer.outbox == []


def test_a_wrong_clock_shows_in_every_stamp_and_changes_no_schedule() -> None:
    venue = Venue()
    venue.peer.skew_ns = -3 * SECOND
    venue.open(1)
    venue.subscribe(1, "orderbook.50.BTCUSDT", "publicTrade.BTCUSDT")
    venue.run(2_000)
    right = joined("linear", "orderbook.50.BTCUSDT", "publicTrade.BTCUSDT")
    right.run(1_990)
    for topic in ("orderbook.50.BTCUSDT", "publicTrade.BTCUSDT"):
        stamps = [m["ts"] + 3_000 for m in venue.heard(1, topic)]
        assert stamps == [m["ts"] for m in right.heard(1, topic)]
    (last,) = venue.heard(1, "publicTrade.BTCUSDT")[-1]["data"][-1:]
    assert last["T"] + 3_000 == right.heard(1, "publicTrade.BTCUSDT")[-1]["data"][-1]["T"]
    seen = venue.result("/v5/market/time")
    assert int(seen["timeNano"]) == venue.now_ns - 3 * SECOND


# REST


def test_the_time_is_told_in_seconds_and_nanoseconds() -> None:
    venue = Venue()
    answer = venue.get("/v5/market/time")
    assert json.loads(answer.body) == {
        "retCode": 0,
        "retMsg": "OK",
        "result": {"timeSecond": str(START // SECOND), "timeNano": str(START)},
        "retExtInfo": {},
        "time": START // MS,
    }
    assert answer.headers["X-Bapi-Limit-Status"] == "599"


def test_linear_instruments_come_in_pages_whose_cursor_may_be_encoded_twice() -> None:
    venue = Venue(symbols=("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT", "BTC/USDT"))
    path = "/v5/market/instruments-info"
    query = "category=linear&limit=2"
    first = venue.result(path, query)
    cursor = first["nextPageCursor"]
    assert [row["symbol"] for row in first["list"]] == ["BTCUSDT", "ETHUSDT"]
    assert "%" in cursor
    for written in (cursor, cursor.replace("%", "%25")):
        last = venue.result(path, f"{query}&cursor={written}")
        assert [row["symbol"] for row in last["list"]] == ["SOLUSDT"]
        assert last["nextPageCursor"] == ""


def test_spot_instruments_come_all_at_once() -> None:
    venue = Venue()
    result = venue.result("/v5/market/instruments-info", "category=spot&limit=1")
    assert [row["symbol"] for row in result["list"]] == ["BTCUSDT", "ETHUSDT"]
    assert "nextPageCursor" not in result
    assert "contractType" not in result["list"][0]


@pytest.mark.parametrize(
    "query",
    [
        "category=linear&status=PreLaunch",
        "category=linear&symbol=NOPE",
        "category=linear&baseCoin=XYZ",
        "category=inverse",
        "category=option&baseCoin=BTC",
    ],
)
def test_a_filter_nothing_passes_gives_an_empty_page(query: str) -> None:
    result = Venue().result("/v5/market/instruments-info", query)
    assert (result["list"], result["nextPageCursor"]) == ([], "")


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("instruments-info", ""),
        ("instruments-info", "category=linear&limit=0"),
        ("instruments-info", "category=linear&limit=x"),
        ("instruments-info", "category=linear&cursor=nonsense"),
        ("orderbook", "category=linear"),
        ("orderbook", "category=linear&symbol=NOPE"),
        ("orderbook", "category=everything&symbol=BTCUSDT"),
        ("tickers", "category=spot&symbol=NOPE"),
        ("recent-trade", "category=spot"),
    ],
)
def test_a_wrong_parameter_is_code_10001_with_status_200(path: str, query: str) -> None:
    answer = Venue().get(f"/v5/market/{path}", query)
    assert answer.status == 200
    assert json.loads(answer.body)["retCode"] == 10001


def test_a_path_or_method_the_venue_does_not_have_is_refused() -> None:
    venue = Venue()
    assert venue.get("/v5/market/nothing").status == 404
    assert venue.get("/v5/market/time", method="POST").status == 400


def test_too_many_requests_are_refused_until_they_slow_down() -> None:
    venue = Venue()
    statuses = [venue.get("/v5/market/time").status for _ in range(601)]
    assert statuses == [200] * 600 + [403]
    venue.now_ns += 5 * SECOND
    assert venue.get("/v5/market/time").status == 200


def test_the_rest_book_has_the_ids_of_the_deepest_topic() -> None:
    venue = joined("linear", "orderbook.1000.BTCUSDT")
    book: dict[str, dict[str, str]] = {}
    query = "category=linear&symbol=BTCUSDT&limit=1000"
    for _ in range(20):
        venue.run(130)
        result = venue.result("/v5/market/orderbook", query)
        last = venue.heard(1, "orderbook.1000.BTCUSDT")[-1]["data"]
        assert (result["u"]) == last["u"]
    for message in venue.heard(1, "orderbook.1000.BTCUSDT"):
        apply(book, message)
    assert dict(result["b"]) == book["b"]
    assert dict(result["a"]) == book["a"]


def test_the_rest_book_without_subscribers_is_that_of_now() -> None:
    venue = Venue()
    venue.run(1_000)
    result = venue.result("/v5/market/orderbook", "category=spot&symbol=ETHUSDT&limit=200")
    known = truth(venue.engine("spot", "ETHUSDT"), 200)
    assert (dict(result["b"]), dict(result["a"])) == (known["b"], known["a"])


@pytest.mark.parametrize(("category", "default"), [("spot", 1), ("linear", 25)])
def test_the_rest_book_is_short_unless_asked(category: str, default: int) -> None:
    venue = Venue()
    query = f"category={category}&symbol=BTCUSDT"
    result = venue.result("/v5/market/orderbook", query)
    assert (len(result["b"]), len(result["a"])) == (default, default)


def test_rest_tickers_have_the_touch_on_both_markets_and_funding_on_linear() -> None:
    venue = Venue()
    venue.run(3_000)
    for category in ("spot", "linear"):
        rows = venue.result("/v5/market/tickers", f"category={category}")["list"]
        assert [row["symbol"] for row in rows] == ["BTCUSDT", "ETHUSDT"]
        best = venue.engine(category).best("buy")
        assert best
        assert rows[0]["bid1Price"] == venue.engine(category).spec.price(best.ticks)
        assert ("fundingRate" in rows[0]) == (category == "linear")
        one = venue.result("/v5/market/tickers", f"category={category}&symbol=ETHUSDT")["list"]
        assert one == rows[1:]


def test_recent_trades_are_newest_first_and_the_same_as_in_the_stream() -> None:
    venue = joined("spot", "publicTrade.BTCUSDT")
    venue.run(20_000, step_ms=20)
    streamed = [r for m in venue.heard(1, "publicTrade.BTCUSDT") for r in m["data"]]
    rows = venue.result("/v5/market/recent-trade", "category=spot&symbol=BTCUSDT&limit=5")["list"]
    assert [row["execId"] for row in rows] == [r["i"] for r in streamed[:-6:-1]]
    assert (rows[0]["price"], rows[0]["side"]) == (streamed[-1]["p"], streamed[-1]["S"])
    many = venue.result("/v5/market/recent-trade", "category=spot&symbol=BTCUSDT&limit=999")
    assert len(many["list"]) <= 60


# The codec, fed by the peer


def listings(venue: Venue, codec: BybitCodec) -> list[Listing]:
    found: list[Listing] = []
    waiting = codec.instruments(frozenset({Kind.SPOT, Kind.LINEAR}))
    while waiting:
        request = waiting.pop(0)
        path, _, query = request.path.partition("?")
        answer = venue.get(path, query)
        page = codec.decode_instruments(request, answer.body)
        found += page.listings
        if page.more is not None:
            waiting.append(page.more)
    return found


def test_the_codec_reads_every_listing_as_it_was_specified() -> None:
    venue = Venue()
    specs = {engine.spec.symbol: engine.spec for engine in venue.market.of("bybit")}
    found = listings(venue, BybitCodec())
    assert {one.symbol for one in found} == set(SYMBOLS)
    for one in found:
        spec = specs[one.symbol]
        assert (one.venue_symbol, one.kind, one.tick, one.lot) == (
            spec.venue_symbol,
            spec.kind,
            spec.tick,
            spec.lot,
        )
        assert (one.min_notional, one.base, one.quote) == (spec.min_notional, spec.base, spec.quote)


def test_the_codec_follows_the_pages_of_the_peer() -> None:
    venue = Venue(symbols=("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"))
    codec = BybitCodec()
    (request,) = codec.instruments(frozenset({Kind.LINEAR}))
    path, _, query = request.path.partition("?")
    short = "&".join(f"{k}={v if k != 'limit' else 1}" for k, v in parse_qsl(query))
    page = codec.decode_instruments(
        type(request)(request.route, f"{path}?{short}", request.purpose, 1),
        venue.get(path, short).body,
    )
    symbols = [one.venue_symbol for one in page.listings]
    while page.more is not None:
        path, _, query = page.more.path.partition("?")
        page = codec.decode_instruments(page.more, venue.get(path, query).body)
        symbols += [one.venue_symbol for one in page.listings]
    assert symbols == ["BTCUSDT", "ETHUSDT", "SOLUSDT"]


def test_the_codec_reads_the_clock_and_the_refusals_of_the_peer() -> None:
    venue = Venue()
    codec = BybitCodec()
    assert codec.decode_clock(venue.get(codec.clock().path).body) == venue.now_ns
    refused = venue.get("/v5/market/orderbook", "category=spot")
    assert codec.decode_error(refused.status, refused.body).startswith("10001: params error")


def test_the_codec_reads_the_control_messages_of_the_peer() -> None:
    codec = BybitCodec()
    venue = Venue()
    one = next(x for x in listings(venue, codec) if x.kind is Kind.SPOT)
    venue.open(1, "spot")
    venue.peer.received(1, codec.subscribe(codec.feeds(one)[:1], "a"), venue.now_ns)
    venue.peer.received(1, codec.stream_rules.ping, venue.now_ns)
    venue.subscribe(1, "orderbook.500.BTCUSDT", req_id="b")
    venue.run(10, frozen=True)
    replies = [codec.decode_envelope("spot.public", p.frame) for p in venue.pushes if not p.feed]
    text = "error:handler not found,topic:orderbook.500.BTCUSDT"
    assert replies == [
        Acknowledged("a"),
        Pong(),
        Refusal("b", "orderbook.500.BTCUSDT", "", text),
    ]


class Client:
    """Every feed of every listing over the codec, with dict books beside."""

    def __init__(self, venue: Venue) -> None:
        self.codec = BybitCodec()
        self.feeds: dict[tuple[int, bytes], Feed] = {}
        self.applied: dict[str, int] = {}
        self.states: dict[str, int] = {}
        self.books: dict[str, tuple[dict[int, float], dict[int, float]]] = {}
        self.tops: dict[str, TopOfBook] = {}
        self.marks: list[MarkPrice] = []
        self.trades: list[Trade] = []
        self.verdicts: list[Verdict] = []
        connections = {"spot.public": 1, "linear.public": 2}
        venue.open(1, "spot")
        venue.open(2, "linear")
        for one in listings(venue, self.codec):
            feeds = self.codec.feeds(one)
            connection = connections[feeds[0].route]
            self.feeds |= {(connection, feed.key): feed for feed in feeds}
            request = self.codec.subscribe(feeds, one.symbol)
            venue.peer.received(connection, request, venue.now_ns)

    def take(self, venue: Venue) -> None:
        cut = self.codec.cut
        for push in venue.pushes:
            stop = push.frame.find(cut.stop, cut.start)
            feed = self.feeds.get((push.connection, push.frame[cut.start : stop]))
            if feed is None:
                reply = self.codec.decode_envelope("", push.frame)
                assert isinstance(reply, Acknowledged)
                continue
            for event in self.codec.decode_market(feed, push.frame, venue.now_ns):
                match event:
                    case BookDelta():
                        self.apply(event)
                    case TopOfBook():
                        self.tops[event.listing.key] = event
                    case MarkPrice():
                        self.marks.append(event)
                    case Trade():
                        self.trades.append(event)
        venue.pushes.clear()

    def apply(self, delta: BookDelta) -> None:
        key = delta.listing.key
        verdict = self.codec.sequence(self.applied.get(key, -1), delta, joining=False)
        self.verdicts.append(verdict)
        self.applied[key], self.states[key] = delta.final_id, delta.state_id
        if verdict is Verdict.SNAPSHOT:
            self.books[key] = {}, {}
        for i, (ticks, size) in enumerate(
            zip(delta.ticks.tolist(), delta.sizes.tolist(), strict=True)
        ):
            side = self.books[key][i >= delta.n_bids]
            if size:
                side[ticks] = size
            else:
                del side[ticks]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_drained_books_equal_the_matching_engines_at_any_time(seed: int) -> None:
    venue = Venue(seed, intensity=5.0)
    client = Client(venue)
    venue.run(10)
    for _ in range(100):
        venue.run(100)
        venue.run(20, frozen=True)
        client.take(venue)
        for engine in venue.market.of("bybit"):
            spec, key = engine.spec, f"bybit {engine.spec.symbol}"
            bids, asks = client.books[key]
            for side, book in (("buy", bids), ("sell", asks)):
                levels = engine.levels("buy" if side == "buy" else "sell", 50)
                assert book == {x.ticks: float(spec.size(x.lots)) for x in levels}
            top, best = client.tops[key], engine.best("buy")
            assert best
            assert (top.bid, top.bid_size) == (
                float(spec.price(best.ticks)),
                float(spec.size(best.lots)),
            )
            assert top.sequence_id <= engine.sequence
    assert client.verdicts.count(Verdict.SNAPSHOT) == len(SYMBOLS)
    assert set(client.verdicts) == {Verdict.SNAPSHOT, Verdict.APPLY}
    assert len(client.verdicts) > 1_000
    assert client.trades
    assert client.marks[0].funding_rate is not None


def test_a_restart_is_a_snapshot_to_the_codec_and_the_book_is_right_again() -> None:
    venue = Venue()
    client = Client(venue)
    venue.run(1_000)
    client.take(venue)
    client.verdicts.clear()
    venue.peer.restart(venue.now_ns)
    venue.drain()
    client.take(venue)
    assert client.verdicts == [Verdict.SNAPSHOT] * 2
    assert venue.cut == [2]
    engine = venue.engine("spot")
    levels = engine.levels("buy", 50)
    assert client.books["bybit BTC/USDT"][0] == {
        x.ticks: float(engine.spec.size(x.lots)) for x in levels
    }
