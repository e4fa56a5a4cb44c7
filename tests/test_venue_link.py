"""One connection's timers and control messages, and two connections that overlap."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from hftmm.core.instrument import Listing
from hftmm.venues.bybit import BybitCodec
from hftmm.venues.codec import MILLISECOND, SECOND, StreamRules, VenueCodec
from hftmm.venues.depth import LOST, DepthFeed, Overlap
from hftmm.venues.link import Link
from hftmm.venues.okx import OkxCodec

PROBE_NS, WITHIN_NS = 500 * MILLISECOND, SECOND


def listing(codec: VenueCodec, symbol: str) -> Listing:
    route = "public" if codec.venue == "okx" else "linear.public"
    return codec.infer(route, symbol, 1)


class Wire:
    """A link, and what it sends."""

    def __init__(self, codec: VenueCodec, *symbols: str, **rules: object) -> None:
        if rules:
            codec.stream_rules = replace(codec.stream_rules, **rules)  # type: ignore[arg-type]  # by name
        self.codec = codec
        self.now_ns = 1_000 * SECOND
        self.link = Link(1, "public", "ws://venue", codec, self.now_ns)
        for symbol in symbols:
            feed = codec.feeds(listing(codec, symbol))[0]
            self.link.feeds[feed.topic] = feed
        self.link.opened(self.now_ns)
        self.sent: list[tuple[int, bytes]] = []

    def pass_time(self, ns: int, *, heard: bool = True) -> str:
        """Runs its timers; returns why it is dead, if it is."""
        end_ns = self.now_ns + ns
        while self.now_ns < end_ns:
            self.now_ns += 5 * MILLISECOND
            if heard:
                self.link.heard_ns = self.now_ns
            reason = self.link.tick(self.now_ns, PROBE_NS, WITHIN_NS)
            self.sent += [(self.now_ns, frame) for frame in self.link.outgoing]
            self.link.outgoing.clear()
            if reason:
                return reason
        return ""

    def said(self) -> list[tuple[str, list[str]]]:
        """Operation and symbols of what was sent since the last look."""
        found = []
        for _, frame in self.sent:
            message = msgspec.json.decode(frame)
            topics = [
                arg["instId"] if isinstance(arg, dict) else arg.rpartition(".")[2]
                for arg in message.get("args", [])
            ]
            found.append((message["op"], topics))
        self.sent.clear()
        return found


def test_a_connection_subscribes_to_everything_in_requests_the_venue_takes() -> None:
    symbols = [f"C{i}USDT" for i in range(23)]
    wire = Wire(BybitCodec(), *symbols)
    wire.pass_time(SECOND)
    assert [len(topics) for _, topics in wire.said()] == [10, 10, 3]


def test_what_is_renewed_together_leaves_together_and_returns_together() -> None:
    wire = Wire(OkxCodec(), "A-USDT", "B-USDT", "C-USDT")
    wire.pass_time(SECOND)
    wire.said()
    for feed in wire.link.feeds.values():
        wire.link.renew(feed)
    wire.pass_time(SECOND)
    every = ["A-USDT", "B-USDT", "C-USDT"]
    assert wire.said() == [("unsubscribe", every), ("subscribe", every)]


def test_a_subscription_without_an_answer_is_sent_again() -> None:
    wire = Wire(OkxCodec(), "A-USDT", "B-USDT")
    wire.pass_time(SECOND)
    wire.link.confirmed("1", "books:A-USDT")
    wire.said()
    wire.pass_time(8 * SECOND)
    assert wire.said() == []
    wire.pass_time(2 * SECOND)
    assert wire.said() == [("subscribe", ["B-USDT"])]


def test_an_acknowledged_subscription_is_not_sent_again() -> None:
    wire = Wire(BybitCodec(), "AUSDT", "BUSDT")
    wire.pass_time(SECOND)
    wire.link.confirmed("1", "")
    wire.link.confirmed("7", "")
    wire.said()
    wire.pass_time(15 * SECOND)
    assert wire.said() == []


def test_a_topic_refused_by_name_is_given_up_and_the_others_are_asked_for_singly() -> None:
    wire = Wire(BybitCodec(), "AUSDT", "BUSDT", "CUSDT")
    wire.pass_time(SECOND)
    (gone,) = wire.link.refused("1", "orderbook.50.BUSDT")
    assert gone.listing.venue_symbol == "BUSDT"
    wire.said()
    wire.pass_time(2 * SECOND)
    assert wire.said() == [("subscribe", ["AUSDT"]), ("subscribe", ["CUSDT"])]


def test_a_refusal_that_names_nothing_is_traced_by_asking_singly() -> None:
    wire = Wire(OkxCodec(), "A-USDT", "B-USDT")
    wire.pass_time(SECOND)
    assert wire.link.refused("1", "") == []
    assert wire.link.asking("1")
    wire.link.confirmed("1", "books:A-USDT")
    wire.said()
    wire.pass_time(2 * SECOND)
    assert wire.said() == [("subscribe", ["B-USDT"])]
    (gone,) = wire.link.refused("2", "")
    assert gone.topic == "books:B-USDT"
    assert not wire.link.asking("2")
    wire.pass_time(15 * SECOND)
    assert wire.said() == []
    assert wire.link.refused("99", "") == []


def test_silence_is_probed_once_and_then_means_death() -> None:
    wire = Wire(BybitCodec(), "AUSDT")
    wire.pass_time(SECOND)
    wire.said()
    began_ns = wire.now_ns
    reason = wire.pass_time(5 * SECOND, heard=False)
    assert "no answer to a probe" in reason
    assert wire.said() == [("ping", [])]
    assert PROBE_NS + WITHIN_NS < wire.now_ns - began_ns < PROBE_NS + WITHIN_NS + SECOND // 10


def test_an_answer_to_a_probe_keeps_a_quiet_connection() -> None:
    wire = Wire(BybitCodec(), "AUSDT")
    for _ in range(20):
        assert wire.pass_time(700 * MILLISECOND, heard=False) == ""
        wire.link.heard_ns = wire.now_ns


@pytest.mark.parametrize(("idle", "expected"), [(True, 0), (False, 3)])
def test_a_heartbeat_is_sent_by_the_venues_clock(idle: bool, expected: int) -> None:
    wire = Wire(BybitCodec(), "AUSDT", ping_when_idle=idle)
    wire.pass_time(SECOND)
    wire.link.confirmed("1", "")
    wire.said()
    wire.pass_time(61 * SECOND)
    assert wire.said() == [("ping", [])] * expected


def test_control_messages_keep_their_distance_whatever_is_asked() -> None:
    wire = Wire(OkxCodec(), "A-USDT", "B-USDT")
    for _ in range(40):
        for feed in wire.link.feeds.values():
            wire.link.renew(feed)
        wire.pass_time(100 * MILLISECOND, heard=False)
        wire.link.heard_ns = wire.now_ns
    times = [at for at, _ in wire.sent]
    assert all(sum(at <= other < at + SECOND for other in times) <= 3 for at in times)


def test_a_connection_whose_hourly_budget_is_used_up_is_of_no_more_use() -> None:
    wire = Wire(OkxCodec(), "A-USDT", requests_per_hour=10)
    (feed,) = wire.link.feeds.values()
    reason = ""
    for _ in range(20):
        wire.link.renew(feed)
        reason = reason or wire.pass_time(SECOND)
    assert reason == "the 10 requests an hour that the venue takes are used up"
    assert len(wire.said()) == 10


def test_a_venue_without_an_hourly_budget_is_asked_as_often_as_needed() -> None:
    assert StreamRules().requests_per_hour == 0
    wire = Wire(BybitCodec(), "AUSDT")
    (feed,) = wire.link.feeds.values()
    for _ in range(400):
        wire.link.renew(feed)
        assert wire.pass_time(SECOND // 2) == ""


# ---- two connections -------------------------------------------------------------------------


def bybit_frame(kind: str, u: int, bid: str = "100.0") -> bytes:
    book = {"s": "AUSDT", "b": [[bid, "1"]], "a": [["101.0", "1"]], "u": u, "seq": u}
    frame = {"topic": "orderbook.50.AUSDT", "type": kind, "ts": 5, "data": book, "cts": 4}
    return msgspec.json.encode(frame)


def okx_frame(action: str, previous: int, last: int) -> bytes:
    rows = {"bids": [["100.0", "1", "0", "1"]], "asks": [["101.0", "1", "0", "1"]], "ts": "5"}
    data = rows | {"checksum": 0, "prevSeqId": previous, "seqId": last}
    arg = {"channel": "books", "instId": "A-USDT"}
    return msgspec.json.encode({"arg": arg, "action": action, "data": [data]})


class Pair:
    """A depth feed on the connection in use and on the one that is to replace it."""

    def __init__(self) -> None:
        codec = BybitCodec()
        self.depth = DepthFeed(codec.feeds(listing(codec, "AUSDT"))[0], codec)
        self.depth.received(bybit_frame("snapshot", 10), 1)
        self.old = Overlap(self.depth, leading=True)
        self.new = Overlap(self.depth, leading=False)

    @property
    def last(self) -> int:
        assert self.depth.book.valid
        return self.depth.sync.last


def test_whichever_connection_is_first_brings_the_news_and_the_other_repeats_it() -> None:
    pair = Pair()
    for u, first, second in ((11, pair.new, pair.old), (12, pair.old, pair.new)):
        first.received(bybit_frame("delta", u), u)
        assert pair.last == u
        assert second.received(bybit_frame("delta", u), u) == 0
        assert (first.current, second.current, second.in_step) == (True, False, True)
    for u in (13, 14, 15):
        pair.new.received(bybit_frame("delta", u), u)
    for u in (13, 14, 15):
        pair.old.received(bybit_frame("delta", u), u)
    assert pair.last == 15
    assert pair.depth.sync.gaps == 0


def test_a_connection_that_is_ahead_waits_for_the_one_in_use() -> None:
    pair = Pair()
    assert pair.new.received(bybit_frame("delta", 12), 1) == 0
    assert not pair.new.in_step
    pair.old.received(bybit_frame("delta", 11), 1)
    pair.old.received(bybit_frame("delta", 12), 1)
    pair.new.received(bybit_frame("delta", 13), 1)
    assert pair.new.in_step
    assert pair.last == 13


def test_a_gap_on_the_connection_in_use_costs_the_book_also_while_two_overlap() -> None:
    pair = Pair()
    assert pair.old.received(bybit_frame("delta", 12), 1) & LOST
    assert not pair.depth.book.valid
    assert pair.depth.sync.gaps == 1
    # The follower cannot begin a book for the other one.
    assert pair.new.received(bybit_frame("snapshot", 20), 1) == 0
    assert not pair.depth.book.valid
    pair.old.received(bybit_frame("snapshot", 21), 1)
    assert pair.last == 21


def test_a_snapshot_of_the_follower_counts_only_if_it_is_newer() -> None:
    pair = Pair()
    pair.new.received(bybit_frame("snapshot", 9, "99.0"), 1)
    assert (pair.last, pair.depth.book.count(0)) == (10, 1)
    assert pair.new.in_step
    pair.new.received(bybit_frame("snapshot", 15, "99.0"), 1)
    assert (pair.last, pair.depth.book.bid) == (15, 99.0)


def test_a_restarted_service_begins_the_book_anew_on_the_connection_in_use_only() -> None:
    pair = Pair()
    pair.new.received(bybit_frame("snapshot", 1, "98.0"), 1)
    assert pair.last == 10
    pair.old.received(bybit_frame("snapshot", 1, "98.0"), 1)
    assert (pair.last, pair.depth.book.bid) == (1, 98.0)


def test_messages_cut_at_other_ids_are_joined_where_they_overlap() -> None:
    codec = OkxCodec()
    depth = DepthFeed(codec.feeds(listing(codec, "A-USDT"))[0], codec)
    depth.received(okx_frame("snapshot", -1, 100), 1)
    old, new = Overlap(depth, leading=True), Overlap(depth, leading=False)
    new.received(okx_frame("update", 95, 103), 1)
    assert depth.sync.last == 103
    old.received(okx_frame("update", 100, 102), 1)
    old.received(okx_frame("update", 102, 105), 1)
    assert (depth.sync.last, depth.book.valid, depth.sync.gaps) == (105, True, 0)


def test_a_checksum_is_verified_only_while_the_venue_sends_them() -> None:
    codec = OkxCodec()
    depth = DepthFeed(codec.feeds(listing(codec, "A-USDT"))[0], codec)
    plain = okx_frame("snapshot", -1, 100)
    # CRC32 of "100.0:1:101.0:1".
    sent = plain.replace(b'"checksum":0', b'"checksum":50512329')
    depth.received(sent, 1)
    assert (depth.sync.verified, depth.sync.careful) == (1, True)
    depth.received(okx_frame("update", 100, 101), 2)
    assert (depth.sync.verified, depth.sync.careful) == (1, False)
    depth.received(okx_frame("update", 101, 102), 3)
    depth.received(okx_frame("update", 102, 103), 3)
    assert (depth.fast, depth.sync.last) == (1, 103)
    assert depth.received(sent.replace(b"50512329", b"50512328"), 4) & LOST
    assert depth.sync.mismatched == 1
    assert depth.book.reason == "checksum does not match"
