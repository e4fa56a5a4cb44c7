"""The practice OKX: its protocol as a client sees it, and its streams against its own engines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec
import pytest

from hftmm.config import PracticeConfig
from hftmm.core.events import BookDelta, TopOfBook, Trade, Verdict
from hftmm.core.instrument import Kind, Listing, Side
from hftmm.sim.market import Market, practice_specs
from hftmm.sim.matching import MatchingEngine
from hftmm.sim.okx import OkxPeer
from hftmm.sim.peers import Close, HttpQuery, Peer, Push
from hftmm.venues.codec import Feed, FeedKind
from hftmm.venues.okx import OkxCodec

MS = 1_000_000
SECOND = 1_000_000_000
START = 1_781_784_000_000 * MS
SWAP, SPOT = "BTC-USDT-SWAP", "BTC-USDT"
CODEC = OkxCodec()

Json = dict[str, Any]


def market(seed: int = 1, **config: Any) -> Market:
    specs = practice_specs(["BTC/USDT:USDT", "BTC/USDT"])
    specs = [spec for spec in specs if spec.venue == "okx"]
    return Market(specs, PracticeConfig(seed=seed, **config), START)


@dataclass
class Wire:
    """A peer and what its clients received; the market stands still unless `run` is called."""

    peer: OkxPeer
    market: Market
    now_ns: int = START
    frames: dict[int, list[bytes]] = field(default_factory=dict)
    feeds: list[str] = field(default_factory=list)
    closes: list[Close] = field(default_factory=list)

    def open(self, connection: int = 1) -> None:
        self.frames[connection] = []
        assert self.peer.opened(connection, "public", "/ws/v5/public", "", self.now_ns) is None

    def send(self, text: bytes | Json, connection: int = 1) -> list[Json]:
        """Sends a request and returns the answers to it."""
        frame = text if isinstance(text, bytes) else msgspec.json.encode(text)
        self.peer.received(connection, frame, self.now_ns)
        return self.take(connection)

    def subscribe(self, *topics: str, connection: int = 1) -> list[Json]:
        """Subscribes to `channel:instId` each; returns what came except the acknowledgements."""
        args = [dict(zip(("channel", "instId"), t.split(":"), strict=True)) for t in topics]
        answers = self.send({"op": "subscribe", "args": args}, connection)
        return [answer for answer in answers if "event" not in answer]

    def wait(self, ms: int, connection: int = 1) -> list[Json]:
        self.now_ns += ms * MS
        self.peer.advance(self.now_ns)
        return self.take(connection)

    def take(self, connection: int = 1) -> list[Json]:
        self.drain()
        frames, self.frames[connection] = self.frames[connection], []
        return [msgspec.json.decode(frame) for frame in frames if frame != b"pong"]

    def drain(self) -> None:
        for outgoing in self.peer.outbox:
            if isinstance(outgoing, Push):
                self.frames[outgoing.connection].append(outgoing.frame)
                self.feeds.append(outgoing.feed)
            else:
                self.closes.append(outgoing)
        self.peer.outbox.clear()

    def engine(self, name: str = SWAP) -> MatchingEngine:
        kind = Kind.LINEAR if name == SWAP else Kind.SPOT
        return self.market.engines["okx", kind, name]

    def rest(self, target: str, method: str = "GET") -> tuple[int, Json]:
        path, _, query = target.partition("?")
        asked = HttpQuery("rest", method, f"/api/v5/{path}", query, {}, b"")
        answer = self.peer.request(asked, self.now_ns)
        body: Json = msgspec.json.decode(answer.body)
        return answer.status, body


def wire(seed: int = 1, **options: Any) -> Wire:
    one = market(seed)
    made = Wire(OkxPeer(one, seed, **options), one)
    made.open()
    return made


def improve(engine: MatchingEngine, side: Side = "buy", lots: int = 3) -> int:
    """Places an order one tick behind the best, where it changes a level and trades nothing."""
    best = engine.best(side)
    assert best is not None
    ticks = best.ticks - 1 if side == "buy" else best.ticks + 1
    return engine.place(side, ticks, lots, START).order_id


# -- handshake and heartbeat ----------------------------------------------------------------------


def test_the_peer_is_a_peer_with_four_faces() -> None:
    peer: Peer = wire().peer
    assert (peer.venue, peer.faces) == ("okx", ("rest", "public", "private", "business"))
    assert peer.url("rest", "127.0.0.1:80") == "http://127.0.0.1:80"
    assert peer.url("public", "127.0.0.1:80") == "ws://127.0.0.1:80/ws/v5/public"


def test_another_path_is_not_found() -> None:
    answer = wire().peer.opened(2, "public", "/ws/v5/elsewhere", "", START)
    assert answer is not None
    assert answer.status == 404


def test_the_text_ping_is_answered_by_the_text_pong() -> None:
    one = wire()
    one.peer.received(1, b"ping", START)
    assert one.peer.outbox == [Push(1, b"pong")]


def test_a_connection_silent_for_thirty_seconds_is_closed_with_4004() -> None:
    one = wire()
    one.wait(29_999)
    assert one.closes == []
    one.wait(1)
    assert [(close.connection, close.code) for close in one.closes] == [(1, 4004)]


def test_a_ping_keeps_a_connection_and_so_does_a_push() -> None:
    one = wire()
    one.wait(20_000)
    one.send(b"ping")
    one.wait(20_000)
    one.subscribe(f"mark-price:{SWAP}")
    for _ in range(6):
        one.wait(10_000)
    assert one.closes == []


def test_frames_of_a_closed_connection_are_not_heard() -> None:
    one = wire()
    one.peer.closed(1)
    one.peer.received(1, b"ping", START)
    one.peer.closed(1)
    assert one.peer.outbox == []


# -- subscriptions --------------------------------------------------------------------------------


def test_every_arg_is_acknowledged_with_the_id_and_the_connection() -> None:
    args = [{"channel": "trades", "instId": SWAP}, {"channel": "trades", "instId": SPOT}]
    answers = wire().send({"id": "a1", "op": "subscribe", "args": args})
    assert [answer["arg"] for answer in answers] == args
    assert {(answer["id"], answer["event"]) for answer in answers} == {("a1", "subscribe")}
    assert len({answer["connId"] for answer in answers}) == 1


def test_without_an_id_none_is_echoed() -> None:
    args = [{"channel": "trades", "instId": SWAP}]
    (answer,) = wire().send({"op": "subscribe", "args": args})
    assert "id" not in answer


def test_after_an_unsubscription_nothing_comes() -> None:
    one = wire()
    one.subscribe(f"books:{SWAP}")
    args = [{"channel": "books", "instId": SWAP}]
    (answer,) = one.send({"op": "unsubscribe", "args": args})
    assert (answer["event"], answer["arg"]) == ("unsubscribe", args[0])
    improve(one.engine())
    assert one.wait(100) == []


@pytest.mark.parametrize(
    ("arg", "code"),
    [
        ({"channel": "books", "instId": "NO-SUCH"}, "60018"),
        ({"channel": "books"}, "60018"),
        ({"channel": "orders", "instType": "SWAP"}, "60018"),
        ({"channel": "mark-price", "instId": SPOT}, "60018"),
        ({"channel": "instruments", "instType": "NONE"}, "60018"),
        ({"channel": "candle1m", "instId": SWAP}, "64001"),
        ({"channel": "trades-all", "instId": SWAP}, "64001"),
        ({"channel": "books-l2-tbt", "instId": SWAP}, "60011"),
        ({"channel": "mark-price", "uly": "BTC-USDT"}, "64000"),
    ],
)
def test_a_subscription_that_cannot_be_is_an_error_event(arg: dict[str, str], code: str) -> None:
    (answer,) = wire().send({"id": "a1", "op": "subscribe", "args": [arg]})
    assert (answer["event"], answer["code"], answer["id"]) == ("error", code, "a1")
    assert answer["connId"]
    assert answer["msg"]


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"nonsense", "60012"),
        (b"[" * 100_000, "60012"),
        (b'{"op":"subscribe","args":[{"channel":"\\ud800"}]}', "60012"),
        (b"\xff", "60012"),
        (b'{"op":"dance","args":[]}', "60012"),
        (b'{"op":"subscribe","args":[7]}', "60012"),
        (b'{"op":"subscribe","args":[]}', "60013"),
    ],
)
def test_a_request_that_is_none_is_an_error_event(frame: bytes, code: str) -> None:
    (answer,) = wire().send(frame)
    assert (answer["event"], answer["code"]) == ("error", code)


def test_one_bad_arg_does_not_spoil_the_others() -> None:
    args = [{"channel": "books", "instId": "NO-SUCH"}, {"channel": "trades", "instId": SWAP}]
    answers = wire().send({"op": "subscribe", "args": args})
    assert [answer["event"] for answer in answers] == ["error", "subscribe"]


# -- books ----------------------------------------------------------------------------------------


def test_books_begin_with_a_snapshot_of_the_documented_shape() -> None:
    one = wire()
    (snapshot,) = one.subscribe(f"books:{SWAP}")
    assert list(snapshot) == ["arg", "action", "data"]
    assert (snapshot["arg"], snapshot["action"]) == (
        {"channel": "books", "instId": SWAP},
        "snapshot",
    )
    (row,) = snapshot["data"]
    assert list(row) == ["asks", "bids", "ts", "checksum", "prevSeqId", "seqId"]
    assert (row["ts"], row["checksum"], row["prevSeqId"]) == (str(START // MS), 0, -1)
    assert isinstance(row["seqId"], int)
    bids, asks = ([float(level[0]) for level in row[side]] for side in ("bids", "asks"))
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert all(len(level) == 4 and level[2] == "0" for level in row["asks"])


def test_sizes_of_a_swap_are_contracts_and_prices_have_no_trailing_zeros() -> None:
    one = wire()
    engine = one.engine()
    best = engine.best("sell")
    assert best is not None
    engine.place("sell", (best.ticks // 10 + 1) * 10, 150, START)
    (snapshot,) = one.subscribe(f"books:{SWAP}")
    level = engine.level("sell", (best.ticks // 10 + 1) * 10)
    price, size, _, orders = next(
        row for row in snapshot["data"][0]["asks"] if float(row[0]) * 10 == level.ticks
    )
    assert "." not in price
    # One lot of 0.0001 BTC is a hundredth of a contract of 0.01 BTC.
    assert float(size) == level.lots / 100
    assert orders == str(level.orders)


def test_an_update_carries_only_what_changed_and_follows_the_last_message() -> None:
    one = wire()
    (snapshot,) = one.subscribe(f"books:{SWAP}")
    improve(one.engine(), "buy", 3)
    assert one.wait(99) == []
    (update,) = one.wait(1)
    (row,) = update["data"]
    assert update["action"] == "update"
    assert (len(row["bids"]), row["asks"]) == (1, [])
    assert row["prevSeqId"] == snapshot["data"][0]["seqId"] < row["seqId"]


def test_a_removed_level_has_size_zero() -> None:
    one = wire()
    engine = one.engine()
    engine.place("buy", 7, 1, START)
    order = engine.place("buy", 9, 1, START).order_id
    one.subscribe(f"books:{SWAP}")
    engine.cancel(order, START)
    (update,) = one.wait(100)
    assert update["data"][0]["bids"] == [["0.9", "0", "0", "0"]]


def test_a_level_that_came_back_to_what_it_was_is_not_sent() -> None:
    one = wire()
    one.subscribe(f"books:{SWAP}")
    engine = one.engine()
    engine.cancel(improve(engine), START)
    assert one.wait(100) == []


def test_ids_jump() -> None:
    one = wire()
    one.subscribe(f"books:{SWAP}")
    steps = set()
    for _ in range(20):
        improve(one.engine())
        (row,) = one.wait(100)[0]["data"]
        steps.add(row["seqId"] - row["prevSeqId"])
    assert min(steps) > 0
    assert len(steps) > 3


def test_all_connections_follow_one_chain_and_one_encoding() -> None:
    one = wire()
    one.open(2)
    one.subscribe(f"books:{SWAP}")
    improve(one.engine())
    one.wait(60)
    (snapshot,) = one.subscribe(f"books:{SWAP}", connection=2)
    one.now_ns += 40 * MS
    one.peer.advance(one.now_ns)
    first, second = (push.frame for push in one.peer.outbox if isinstance(push, Push))
    assert first is second
    (row,) = msgspec.json.decode(first)["data"]
    assert row["prevSeqId"] == snapshot["data"][0]["seqId"]


def test_a_quiet_book_says_so_after_sixty_seconds_with_equal_ids() -> None:
    one = wire()
    (snapshot,) = one.subscribe(f"books:{SWAP}")
    for _ in range(3):
        one.send(b"ping")
        assert one.wait(19_000) == []
    one.send(b"ping")
    (heartbeat,) = one.wait(3_000)
    (row,) = heartbeat["data"]
    assert (heartbeat["action"], row["bids"], row["asks"]) == ("update", [], [])
    assert row["prevSeqId"] == row["seqId"] == snapshot["data"][0]["seqId"]


def test_the_window_is_four_hundred_levels_and_moves() -> None:
    one = wire()
    engine = one.engine()
    for ticks in range(1_000, 1_500):
        engine.place("buy", ticks, 1, START)
    (snapshot,) = one.subscribe(f"books:{SWAP}")
    bids = snapshot["data"][0]["bids"]
    assert len(bids) == 400
    best = engine.best("buy")
    assert best is not None
    empty = next(t for t in range(best.ticks, 0, -1) if not engine.level("buy", t).lots)
    order = engine.place("buy", empty, 1, START).order_id
    (entered,) = one.wait(100)
    assert entered["data"][0]["bids"][-1] == [bids[-1][0], "0", "0", "0"]
    engine.cancel(order, START)
    (left,) = one.wait(100)
    assert left["data"][0]["bids"][-1] == bids[-1]


def test_after_maintenance_ids_are_smaller_but_the_chain_holds() -> None:
    one = wire()
    (snapshot,) = one.subscribe(f"books:{SWAP}")
    one.peer.renumber()
    improve(one.engine())
    (row,) = one.wait(100)[0]["data"]
    assert row["prevSeqId"] == snapshot["data"][0]["seqId"] > row["seqId"] > 0


def test_only_books_are_open_to_faults_of_the_book() -> None:
    one = wire()
    one.subscribe(f"books:{SWAP}", f"books:{SPOT}", f"bbo-tbt:{SWAP}", f"trades:{SWAP}")
    assert one.feeds == ["", "linear BTC-USDT-SWAP", "", "spot BTC-USDT", "", "", ""]


def test_real_checksums_can_be_switched_on() -> None:
    one = wire(checksums=True)
    audit = CODEC.audit()
    assert audit is not None
    one.subscribe(f"trades:{SPOT}")
    args = [{"channel": "books", "instId": SPOT}]
    one.peer.received(1, msgspec.json.encode({"op": "subscribe", "args": args}), one.now_ns)
    checked = 0
    for _ in range(200):
        one.now_ns += 50 * MS
        one.market.advance(one.now_ns)
        one.peer.advance(one.now_ns)
        one.drain()
        for frame in one.frames[1]:
            if b'"checksum":' in frame:
                assert msgspec.json.decode(frame)["data"][0]["checksum"] != 0
                assert audit.check(frame)
                checked += 1
        one.frames[1].clear()
    assert checked > 50


# -- the other channels ---------------------------------------------------------------------------


def test_books5_and_bbo_are_whole_each_time_and_carry_no_chain() -> None:
    one = wire()
    five, top = one.subscribe(f"books5:{SWAP}", f"bbo-tbt:{SWAP}")
    for frame, depth in ((five, 5), (top, 1)):
        assert list(frame) == ["arg", "data"]
        (row,) = frame["data"]
        assert list(row) == ["asks", "bids", "ts", "seqId"]
        assert len(row["asks"]) == len(row["bids"]) == depth


def test_the_best_bid_and_offer_are_sent_ten_milliseconds_after_a_change() -> None:
    one = wire()
    one.subscribe(f"bbo-tbt:{SWAP}")
    best = one.engine().best("buy")
    assert best is not None
    one.engine().place("buy", best.ticks, 5, START)
    assert one.wait(9) == []
    (push,) = one.wait(1)
    assert float(push["data"][0]["bids"][0][1]) == (best.lots + 5) / 100
    assert one.wait(50) == []


def test_a_change_behind_the_best_is_no_news_for_the_best_bid_and_offer() -> None:
    one = wire()
    one.subscribe(f"bbo-tbt:{SWAP}")
    improve(one.engine())
    assert one.wait(100) == []


def test_a_quiet_best_bid_and_offer_is_sent_again_after_sixty_seconds() -> None:
    one = wire()
    (first,) = one.subscribe(f"bbo-tbt:{SWAP}")
    for _ in range(5):
        one.send(b"ping")
        assert one.wait(11_900) == []
    one.send(b"ping")
    (again,) = one.wait(1_000)
    assert again["data"][0]["bids"] == first["data"][0]["bids"]


def test_the_best_bid_and_offer_come_before_the_book_whatever_was_subscribed_first() -> None:
    one = wire()
    one.subscribe(f"books5:{SWAP}", f"books:{SWAP}", f"bbo-tbt:{SWAP}")
    best = one.engine().best("sell")
    assert best is not None
    one.engine().place("sell", best.ticks, 1, START)
    assert [push["arg"]["channel"] for push in one.wait(100)] == ["bbo-tbt", "books", "books5"]


def test_trades_are_aggregated_by_taker_order_and_price() -> None:
    one = wire()
    one.subscribe(f"trades:{SWAP}")
    engine = one.engine()
    best = engine.best("sell")
    assert best is not None
    engine.place("sell", best.ticks - 1, 2, START)
    engine.place("sell", best.ticks - 1, 3, START)
    engine.place("buy", best.ticks, 6, START, immediate=True)
    engine.place("buy", best.ticks, 1, START, immediate=True)
    pushes = one.wait(1)
    rows = [push["data"][0] for push in pushes]
    assert [(row["sz"], row["count"]) for row in rows] == [
        ("0.05", "2"),
        ("0.01", "1"),
        ("0.01", "1"),
    ]
    assert [row["tradeId"] for row in rows] == ["2", "3", "4"]
    assert {row["side"] for row in rows} == {"buy"}
    assert {row["source"] for row in rows} == {"0"}
    assert isinstance(rows[0]["seqId"], int)
    assert one.wait(100) == []


def test_a_newcomer_to_trades_gets_the_last_one() -> None:
    one = wire()
    assert one.subscribe(f"trades:{SWAP}") == []
    best = one.engine().best("buy")
    assert best is not None
    one.engine().place("sell", best.ticks, 1, START, immediate=True)
    (push,) = one.wait(1)
    one.open(2)
    assert one.subscribe(f"trades:{SWAP}", connection=2) == [push]


def test_tickers_follow_trades_at_most_every_hundred_milliseconds() -> None:
    one = wire()
    one.subscribe(f"tickers:{SWAP}")
    best = one.engine().best("buy")
    assert best is not None
    one.engine().place("sell", best.ticks, 1, START, immediate=True)
    assert one.wait(50) == []
    (push,) = one.wait(50)
    (row,) = push["data"]
    assert (row["instType"], row["lastSz"], row["vol24h"], row["volCcy24h"]) == (
        "SWAP",
        "0.01",
        "0.01",
        "0.0001",
    )
    assert row["last"] == row["open24h"] == row["high24h"] == row["low24h"]
    assert one.wait(100) == []


def test_the_mark_price_is_repeated_after_ten_seconds_when_it_stands_still() -> None:
    one = wire()
    (first,) = one.subscribe(f"mark-price:{SWAP}")
    assert set(first["data"][0]) == {"instType", "instId", "markPx", "ts"}
    assert one.wait(9_999) == []
    (again,) = one.wait(1)
    assert again["data"][0]["markPx"] == first["data"][0]["markPx"]


def test_the_funding_rate_comes_at_once_and_every_minute() -> None:
    one = wire()
    (first,) = one.subscribe(f"funding-rate:{SWAP}")
    (row,) = first["data"]
    assert row["nextFundingRate"] == ""
    assert int(row["nextFundingTime"]) - int(row["fundingTime"]) == 8 * 3_600_000
    for _ in range(2):
        one.send(b"ping")
        assert one.wait(29_000) == []
    one.send(b"ping")
    assert len(one.wait(2_000)) == 1


def test_the_instruments_channel_gives_the_whole_list() -> None:
    one = wire()
    args = [{"channel": "instruments", "instType": "SWAP"}]
    ack, push = one.send({"op": "subscribe", "args": args})
    assert ack["arg"] == push["arg"] == args[0]
    assert [row["instId"] for row in push["data"]] == [SWAP]
    assert one.wait(1_000) == []


def test_the_status_channel_is_acknowledged_and_silent() -> None:
    one = wire()
    (ack,) = one.send({"op": "subscribe", "args": [{"channel": "status"}]})
    assert ack["event"] == "subscribe"
    assert one.wait(1_000) == []


# -- REST -----------------------------------------------------------------------------------------


def test_the_time_is_milliseconds_as_a_string_and_may_be_wrong() -> None:
    one = wire()
    assert one.rest("public/time") == (
        200,
        {"code": "0", "msg": "", "data": [{"ts": str(START // MS)}]},
    )
    one.peer.skew_ns = -1500 * MS
    assert one.rest("public/time")[1]["data"] == [{"ts": str(START // MS - 1500)}]
    (snapshot,) = one.subscribe(f"books:{SWAP}")
    assert snapshot["data"][0]["ts"] == str(START // MS - 1500)


def test_the_definition_of_a_swap_counts_in_contracts() -> None:
    (row,) = wire().rest("public/instruments?instType=SWAP")[1]["data"]
    assert row["instIdCode"] == 10459
    texts = {
        name: row[name] for name in ("ctVal", "ctMult", "ctValCcy", "lotSz", "minSz", "tickSz")
    }
    assert texts == {
        "ctVal": "0.01",
        "ctMult": "1",
        "ctValCcy": "BTC",
        "lotSz": "0.01",
        "minSz": "0.01",
        "tickSz": "0.1",
    }
    assert (row["baseCcy"], row["settleCcy"], row["instFamily"]) == ("", "USDT", "BTC-USDT")


def test_the_definition_of_a_spot_pair_counts_in_coins() -> None:
    (row,) = wire().rest(f"public/instruments?instType=SPOT&instId={SPOT}")[1]["data"]
    assert (row["baseCcy"], row["quoteCcy"], row["ctVal"]) == ("BTC", "USDT", "")
    assert (row["lotSz"], row["state"], row["groupId"]) == ("0.00000001", "live", "1")
    assert row["minSz"] == "0.00001"


def test_definitions_are_narrowed_by_family() -> None:
    one = wire()
    assert one.rest("public/instruments?instType=SWAP&instFamily=ETH-USDT")[1]["data"] == []
    assert len(one.rest("public/instruments?instType=SWAP&uly=BTC-USDT")[1]["data"]) == 1
    assert one.rest("public/instruments?instType=OPTION&uly=BTC-USD")[1]["data"] == []


def test_a_rest_book_has_one_level_unless_more_are_asked_for() -> None:
    one = wire()
    (row,) = one.rest(f"market/books?instId={SWAP}")[1]["data"]
    assert list(row) == ["asks", "bids", "ts", "seqId"]
    assert len(row["asks"]) == len(row["bids"]) == 1
    (deep,) = one.rest(f"market/books?instId={SWAP}&sz=50")[1]["data"]
    assert len(deep["asks"]) == 50


def test_a_rest_book_lies_on_the_stream_s_chain() -> None:
    one = wire()
    (snapshot,) = one.subscribe(f"books:{SWAP}")
    assert (
        one.rest(f"market/books?instId={SWAP}")[1]["data"][0]["seqId"]
        == (snapshot["data"][0]["seqId"])
    )
    improve(one.engine())
    between = one.rest(f"market/books?instId={SWAP}")[1]["data"][0]["seqId"]
    improve(one.engine())
    (row,) = one.wait(100)[0]["data"]
    assert row["prevSeqId"] < between < row["seqId"]


def test_tickers_marks_and_funding_come_by_rest_too() -> None:
    one = wire()
    assert [row["instId"] for row in one.rest("market/tickers?instType=SPOT")[1]["data"]] == [SPOT]
    assert one.rest(f"market/ticker?instId={SWAP}")[1]["data"][0]["instType"] == "SWAP"
    assert one.rest("public/mark-price?instType=SWAP")[1]["data"][0]["instId"] == SWAP
    for name in (SWAP, "ANY"):
        (row,) = one.rest(f"public/funding-rate?instId={name}")[1]["data"]
        assert row["instId"] == SWAP
    assert one.rest("system/status")[1] == {"code": "0", "msg": "", "data": []}


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("market/books?instId=NO-SUCH", 200, "51001"),
        ("market/books", 400, "50014"),
        ("market/books?instId=BTC-USDT&sz=401", 400, "51000"),
        ("market/books?instId=BTC-USDT&sz=x", 400, "51000"),
        ("market/books?instId=BTC-USDT&sz=" + "9" * 5000, 400, "51000"),
        ("public/instruments", 400, "50014"),
        ("public/instruments?instType=FRUIT", 400, "51000"),
        ("public/instruments?instType=SPOT&instId=NO-SUCH", 200, "51001"),
        ("public/mark-price?instType=SPOT", 400, "51000"),
        ("public/funding-rate?instId=BTC-USDT", 400, "51000"),
        ("public/nothing", 404, 404),
    ],
)
def test_a_call_that_cannot_be_answered_has_a_code(
    target: str, status: int, code: str | int
) -> None:
    answered, body = wire().rest(target)
    assert (answered, body["code"]) == (status, code)
    assert body["msg"]


def test_a_public_call_is_a_get() -> None:
    status, body = wire().rest("public/time", "POST")
    assert (status, body["code"]) == (405, "50115")


# -- what the venue does to its clients -----------------------------------------------------------


def test_a_planned_disconnect_is_announced_and_spares_newcomers() -> None:
    one = wire(farewell_ns=2 * SECOND)
    one.peer.farewell(one.now_ns)
    (notice,) = one.take()
    assert (notice["event"], notice["code"]) == ("notice", "64008")
    assert notice["connId"]
    one.open(2)
    one.wait(1_999)
    assert one.closes == []
    one.wait(1)
    assert [close.connection for close in one.closes] == [1]


def test_a_restart_cuts_everyone_and_begins_new_ids() -> None:
    one = wire()
    one.open(2)
    (before,) = one.subscribe(f"books:{SWAP}")
    one.peer.restart(one.now_ns)
    one.drain()
    assert [(close.connection, close.code) for close in one.closes] == [(1, 1006), (2, 1006)]
    one.open(3)
    (after,) = one.subscribe(f"books:{SWAP}", connection=3)
    assert after["data"][0]["seqId"] < before["data"][0]["seqId"]
    assert after["data"][0]["asks"] == before["data"][0]["asks"]


def test_a_crossed_update_keeps_the_chain_and_truth_follows_it() -> None:
    one = wire()
    (snapshot,) = one.subscribe(f"books:{SWAP}", f"trades:{SWAP}")
    one.peer.cross(one.now_ns)
    (push,) = one.take()
    (row,) = push["data"]
    assert float(row["bids"][0][0]) > float(snapshot["data"][0]["asks"][0][0])
    assert row["prevSeqId"] == snapshot["data"][0]["seqId"] < row["seqId"]
    improve(one.engine())
    (after,) = one.wait(100)
    assert after["data"][0]["prevSeqId"] == row["seqId"]
    (fresh,) = one.subscribe(f"books:{SWAP}")
    assert fresh["data"][0]["bids"][0] == snapshot["data"][0]["bids"][0]


def test_an_empty_book_cannot_be_crossed() -> None:
    one = wire()
    engine = one.engine()
    worst = engine.levels("sell")[-1]
    engine.place("buy", worst.ticks, 10**9, START, immediate=True)
    one.subscribe(f"books:{SWAP}", f"bbo-tbt:{SWAP}", f"tickers:{SWAP}")
    one.peer.cross(one.now_ns)
    assert one.take() == []


# -- the stream against the engine ----------------------------------------------------------------


@dataclass
class Follower:
    """A deliberately naive client: dicts of what the codec decodes."""

    feeds: dict[bytes, Feed]
    books: dict[str, dict[int, float]] = field(default_factory=dict)
    asks: dict[str, dict[int, float]] = field(default_factory=dict)
    applied: dict[str, int] = field(default_factory=dict)
    tops: dict[str, TopOfBook] = field(default_factory=dict)
    traded: dict[str, float] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)

    def received(self, frame: bytes, now_ns: int) -> str | None:
        """The name of the book that changed, if one did."""
        cut = CODEC.cut
        feed = self.feeds.get(frame[cut.start : frame.find(cut.stop, cut.start)])
        if feed is None:
            CODEC.decode_envelope("public", frame)
            return None
        name = feed.listing.venue_symbol
        for event in CODEC.decode_market(feed, frame, now_ns):
            if isinstance(event, TopOfBook):
                self.tops[name] = event
            elif isinstance(event, Trade):
                self.traded[name] = self.traded.get(name, 0.0) + event.size
            elif isinstance(event, BookDelta):
                self.apply(name, event)
        return name if feed.kind is FeedKind.DEPTH else None

    def apply(self, name: str, delta: BookDelta) -> None:
        verdict = CODEC.sequence(self.applied.get(name, -1), delta, joining=False)
        self.verdicts.append(verdict)
        assert verdict in (Verdict.SNAPSHOT, Verdict.APPLY)
        self.applied[name] = delta.final_id
        if delta.snapshot:
            self.books[name], self.asks[name] = {}, {}
        for i, (ticks, size) in enumerate(zip(delta.ticks, delta.sizes, strict=True)):
            side = self.books[name] if i < delta.n_bids else self.asks[name]
            side[int(ticks)] = float(size)
            if not size:
                del side[int(ticks)]


def truth(engine: MatchingEngine, side: Side, listing: Listing) -> dict[int, float]:
    multiplier = float(listing.multiplier)
    return {
        level.ticks: float(engine.spec.size(level.lots)) * multiplier
        for level in engine.levels(side, 400)
    }


def advance_market(one: Wire, chance: Random) -> None:
    one.market.advance(one.now_ns)


def place_at_random(one: Wire, chance: Random) -> None:
    """Order events over more than four hundred levels, so that the window is felt."""
    for name in (SWAP, SPOT):
        engine = one.engine(name)
        for _ in range(chance.randrange(8)):
            side: Side = chance.choice(("buy", "sell"))
            offset = chance.randrange(600)
            ticks = 650_000 + (offset if side == "sell" else -offset) + chance.randrange(-2, 3)
            engine.place(side, ticks, chance.randrange(1, 10**6), one.now_ns)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("flow", [advance_market, place_at_random])
def test_a_naive_book_equals_the_engine_whenever_the_stream_is_drained(
    flow: Callable[[Wire, Random], None], seed: int
) -> None:
    chance = Random(seed)
    one = wire(seed)
    listings = [
        listing
        for request in CODEC.instruments(frozenset({Kind.SPOT, Kind.LINEAR}))
        for listing in CODEC.decode_instruments(
            request, msgspec.json.encode(one.rest(request.path.removeprefix("/api/v5/"))[1])
        ).listings
    ]
    feeds = [feed for listing in listings for feed in CODEC.feeds(listing)]
    by_name = {listing.venue_symbol: listing for listing in listings}
    follower = Follower({feed.key: feed for feed in feeds})
    one.peer.received(1, CODEC.subscribe(feeds, "all"), one.now_ns)
    compared = 0
    for step in range(2_500):
        one.now_ns += chance.randrange(2, 40) * MS
        flow(one, chance)
        if step % 500 == 250:
            one.peer.renumber()
        if step % 700 == 350:
            books = [feed for feed in feeds if feed.kind is FeedKind.DEPTH]
            one.peer.received(1, CODEC.subscribe(books, "again"), one.now_ns)
        one.peer.advance(one.now_ns)
        one.drain()
        arrived = [(follower.received(frame, one.now_ns), frame) for frame in one.frames[1]]
        one.frames[1].clear()
        for name, frame in arrived:
            # A snapshot for a newcomer shows the book as last published.
            if name is None or b'"action":"snapshot"' in frame:
                continue
            engine = one.engine(name)
            assert follower.books[name] == truth(engine, "buy", by_name[name])
            assert follower.asks[name] == truth(engine, "sell", by_name[name])
            compared += 1
    assert compared > 500
    assert follower.verdicts.count(Verdict.SNAPSHOT) >= 6
    one.now_ns += 200 * MS
    one.peer.advance(one.now_ns)
    one.drain()
    for frame in one.frames[1]:
        follower.received(frame, one.now_ns)
    for name, top in follower.tops.items():
        bid, ask = one.engine(name).best("buy"), one.engine(name).best("sell")
        assert bid is not None
        assert ask is not None
        assert (top.bid, top.ask) == (bid.ticks / 10, ask.ticks / 10)
    assert set(follower.traded) == set(follower.tops) == {SWAP, SPOT}
    assert one.closes == []
