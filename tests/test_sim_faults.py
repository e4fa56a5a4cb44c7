"""Faults of a practice venue, each seen from the client's side of the wire."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftmm.sim.faults import CUT, FAULTS, MALFORMED, UNKNOWN, FaultyPeer
from hftmm.sim.peers import Close, HttpQuery, Peer, Push
from tests.practice_broker import Desk
from tests.scripted_peer import ScriptedPeer

MS = 1_000_000
SECOND = 1_000_000_000
BOOK = "linear BTCUSDT"
OTHER = "linear ETHUSDT"


class Wire:
    """A faulty peer with connections open, at a time of its own."""

    def __init__(self, venue: str = "binance", lag_ns: int = 0, connections: int = 1) -> None:
        self.script = ScriptedPeer(venue)
        self.peer = FaultyPeer(self.script, lag_ns, seed=1)
        self.now_ns = 0
        for connection in range(1, connections + 1):
            assert self.peer.opened(connection, "stream", "/", "", self.now_ns) is None
        self.pass_time(lag_ns)
        self.peer.outbox.clear()

    def pass_time(self, ns: int) -> None:
        self.now_ns += ns
        self.peer.advance(self.now_ns)

    def switch(self, fault: str, amount: float | None = None) -> None:
        answer = self.peer.switch(fault, self.now_ns, amount)
        assert answer.accepted, answer.text

    def say(self, *frames: str, connection: int = 1, feed: str = BOOK) -> None:
        for frame in frames:
            self.script.say(connection, frame.encode(), feed)
            self.pass_time(MS)

    def heard(self, connection: int = 1) -> list[str]:
        """What came out since the last call for any connection."""
        frames = [
            item.frame.decode()
            for item in self.peer.outbox
            if isinstance(item, Push) and item.connection == connection
        ]
        self.peer.outbox.clear()
        return frames

    def closes(self) -> list[Close]:
        return [item for item in self.peer.outbox if isinstance(item, Close)]

    def get(self, path: str, query: str = "") -> tuple[int, bytes, dict[str, str]]:
        asked = HttpQuery("rest", "GET", path, query, {}, b"")
        answer = self.peer.request(asked, self.now_ns)
        return answer.status, answer.body, dict(answer.headers)


def test_a_faulty_peer_is_a_peer() -> None:
    peer: Peer = FaultyPeer(ScriptedPeer("okx"), 0, 1)
    assert (peer.venue, peer.faces) == ("okx", ("rest", "stream"))
    assert peer.url("stream", "127.0.0.1:1") == "ws://127.0.0.1:1"


def test_a_frame_arrives_after_the_venues_lag() -> None:
    wire = Wire(lag_ns=9 * MS)
    wire.script.say(1, b"a", BOOK)
    wire.pass_time(0)
    wire.pass_time(8 * MS)
    assert wire.heard() == []
    wire.pass_time(MS)
    assert wire.heard() == ["a"]


def test_lag_delays_every_frame_until_it_is_cleared_and_order_stays() -> None:
    wire = Wire(lag_ns=4 * MS)
    assert wire.peer.delay_ns == 4 * MS
    wire.switch("lag", 300)
    assert wire.peer.delay_ns == 304 * MS
    wire.say("a")
    wire.switch("none")
    wire.say("b")
    wire.pass_time(100 * MS)
    assert wire.heard() == []
    wire.pass_time(300 * MS)
    assert wire.heard() == ["a", "b"]
    wire.say("c")
    wire.pass_time(4 * MS)
    assert wire.heard() == ["c"]


def test_a_gap_loses_the_next_frame_of_every_book_stream_once() -> None:
    wire = Wire(connections=2)
    for connection in (1, 2):
        wire.say("a", connection=connection)
        wire.say("A", connection=connection, feed=OTHER)
    wire.heard()
    wire.switch("gap")
    wire.say("b", "c")
    wire.say("B", "C", feed=OTHER)
    wire.say("trade", feed="")
    assert wire.heard() == ["c", "C", "trade"]
    wire.say("b", "c", connection=2)
    assert wire.heard(2) == ["c"]


def test_a_gap_may_be_several_frames_wide() -> None:
    wire = Wire()
    wire.say("a")
    wire.switch("gap", 3)
    wire.say(*"bcde")
    assert wire.heard() == ["a", "e"]


@pytest.mark.parametrize("fault", ["gap", "duplicate", "reorder"])
def test_a_stream_subscribed_after_the_fault_is_whole(fault: str) -> None:
    wire = Wire()
    wire.switch(fault)
    wire.say("snapshot", "delta")
    assert wire.heard() == ["snapshot", "delta"]


def test_a_duplicate_comes_right_after_its_original_and_once() -> None:
    wire = Wire()
    wire.say("a")
    wire.switch("duplicate")
    wire.say("b", "c")
    assert wire.heard() == ["a", "b", "b", "c"]


def test_two_frames_swap_places_once() -> None:
    wire = Wire()
    wire.say("a")
    wire.switch("reorder")
    wire.say("b")
    wire.say("trade", feed="")
    wire.say("c", "d")
    assert wire.heard() == ["a", "trade", "c", "b", "d"]


def test_a_held_frame_comes_out_when_faults_end() -> None:
    wire = Wire()
    wire.say("a")
    wire.switch("reorder")
    wire.say("b")
    wire.switch("none")
    wire.say("c")
    assert wire.heard() == ["a", "b", "c"]


def test_a_share_of_book_frames_is_dropped_and_nothing_else() -> None:
    wire = Wire()
    wire.switch("drop", 0.25)
    wire.say(*(str(number) for number in range(400)))
    wire.say(*(["trade"] * 50), feed="")
    heard = wire.heard()
    assert heard.count("trade") == 50
    numbers = [int(frame) for frame in heard if frame != "trade"]
    assert numbers == sorted(numbers)
    assert 260 <= len(numbers) <= 340
    wire.switch("none")
    wire.say("x", "y", "z")
    assert wire.heard() == ["x", "y", "z"]


def test_silence_stops_open_connections_both_ways_and_not_new_ones() -> None:
    wire = Wire()
    wire.switch("silence")
    assert wire.peer.silent(1)
    wire.peer.received(1, b"ping", wire.now_ns)
    wire.say("a")
    assert wire.script.heard == []
    assert wire.peer.outbox == []
    wire.peer.opened(2, "stream", "/", "", wire.now_ns)
    assert not wire.peer.silent(2)
    wire.peer.outbox.clear()
    wire.say("b", connection=2)
    assert wire.heard(2) == ["b"]
    wire.switch("none")
    wire.say("c")
    assert wire.heard() == ["c"]


def test_a_close_said_in_silence_is_heard_after_it() -> None:
    wire = Wire()
    wire.switch("silence")
    wire.script.hang_up(1, 1012, "restart")
    wire.pass_time(MS)
    assert wire.closes() == []
    wire.switch("none")
    wire.pass_time(MS)
    assert [(close.connection, close.code) for close in wire.closes()] == [(1, 1012)]


def test_a_disconnect_cuts_every_connection_without_a_handshake() -> None:
    wire = Wire(connections=2)
    wire.switch("disconnect")
    assert [(close.connection, close.code) for close in wire.closes()] == [(1, CUT), (2, CUT)]


def test_refuse_turns_new_clients_away_and_keeps_the_old() -> None:
    wire = Wire()
    wire.switch("refuse")
    refusal = wire.peer.opened(2, "stream", "/", "", wire.now_ns)
    assert refusal is not None
    assert refusal.status == 503
    assert wire.get("/api/v3/time")[0] == 503
    wire.say("a")
    assert wire.heard() == ["a"]
    wire.switch("none")
    assert wire.peer.opened(3, "stream", "/", "", wire.now_ns) is None


def test_a_venues_own_refusal_passes() -> None:
    wire = Wire()
    refusal = wire.peer.opened(2, "stream", "/refused", "", wire.now_ns)
    assert refusal is not None
    assert refusal.status == 403
    wire.switch("disconnect")
    assert [close.connection for close in wire.closes()] == [1]


@pytest.mark.parametrize(
    ("fault", "call"), [("crossed", "cross"), ("restart", "restart"), ("farewell", "farewell")]
)
def test_what_only_the_venue_can_do_is_passed_on(fault: str, call: str) -> None:
    wire = Wire()
    wire.switch(fault)
    assert wire.script.calls == [call]
    getattr(wire.peer, call)(wire.now_ns)
    assert wire.script.calls == [call, call]


def test_skew_moves_the_venues_clock_and_none_sets_it_right() -> None:
    wire = Wire()
    wire.switch("skew")
    assert wire.script.skew_ns == wire.peer.skew_ns == 5 * SECOND
    wire.switch("skew", -1.5)
    assert wire.script.skew_ns == -1_500 * MS
    wire.switch("none")
    assert wire.script.skew_ns == 0


@pytest.mark.parametrize(
    ("venue", "status", "words"),
    [("binance", 418, "-1003"), ("bybit", 403, "10006"), ("okx", 403, "50011")],
)
def test_throttle_and_ban_answer_as_the_venue_does(venue: str, status: int, words: str) -> None:
    wire = Wire(venue)
    wire.switch("throttle", 2.5)
    answered, body, headers = wire.get("/any")
    assert (answered, headers["Retry-After"]) == (429, "3")
    assert words in body.decode()
    wire.switch("ban", 60)
    answered, body, headers = wire.get("/any")
    assert (answered, headers["Retry-After"]) == (status, "60")
    assert wire.script.asked == []
    wire.switch("none")
    assert wire.get("/any")[0] == 200


@pytest.mark.parametrize(
    "path", ["/api/v3/depth", "/fapi/v1/depth", "/v5/market/orderbook", "/api/v5/market/books"]
)
def test_a_stale_snapshot_repeats_the_answer_before(path: str) -> None:
    wire = Wire()
    first = wire.get(path, "symbol=BTCUSDT")
    newest = wire.get(path, "symbol=BTCUSDT")
    assert newest != first
    wire.switch("stale_snapshot")
    assert wire.get(path, "symbol=BTCUSDT") == newest
    assert wire.get(path, "symbol=ETHUSDT") not in (first, newest)
    assert wire.get("/time") != wire.get("/time")
    wire.switch("none")
    assert wire.get(path, "symbol=BTCUSDT") != newest


def test_garbage_is_four_frames_on_every_connection() -> None:
    wire = Wire(connections=2)
    wire.say('{"e":"depthUpdate"}')
    wire.heard()
    wire.switch("garbage", 2)
    frames = {1: wire.peer.outbox[:4], 2: wire.peer.outbox[4:]}
    for connection, items in frames.items():
        pushes = [item for item in items if isinstance(item, Push)]
        assert [push.connection for push in pushes] == [connection] * 4
        malformed, truncated, unknown, oversized = (push.frame for push in pushes)
        assert (malformed, unknown) == (MALFORMED, UNKNOWN)
        assert len(oversized) > 2 * 2**20
        if connection == 1:
            assert truncated == b'{"e":"dep'


def test_a_closed_connection_is_forgotten() -> None:
    wire = Wire(lag_ns=5 * MS, connections=2)
    wire.say("a", "b")
    wire.switch("silence")
    wire.script.hang_up(1, 1000)
    wire.pass_time(5 * MS)
    wire.peer.closed(1)
    wire.switch("none")
    wire.script.say(1, b"late", BOOK)
    wire.pass_time(20 * MS)
    assert wire.peer.outbox == []
    assert wire.script.connections == [2]


def test_faults_of_a_closed_connection_do_not_wait_for_its_successor() -> None:
    wire = Wire(connections=2)
    wire.say("a")
    for fault in ("gap", "duplicate", "reorder"):
        wire.switch(fault)
    wire.peer.closed(1)
    wire.peer.opened(1, "stream", "/", "", wire.now_ns)
    wire.peer.outbox.clear()
    wire.say("b", "c")
    assert wire.heard() == ["b", "c"]


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_can_be_switched_and_the_stream_recovers(fault: str) -> None:
    wire = Wire(lag_ns=4 * MS)
    wire.script.broker = Desk().broker
    wire.say("a")
    wire.switch(fault)
    lasting = fault in wire.peer.active
    assert lasting is ("until none" in FAULTS[fault])
    wire.say("b", "c", "d")
    wire.switch("none")
    assert wire.peer.active == {}
    wire.pass_time(SECOND)
    wire.heard()
    wire.say("e", "f")
    wire.pass_time(SECOND)
    assert wire.heard() == ["e", "f"]


def test_an_unknown_fault_is_refused_with_the_names_there_are() -> None:
    answer = Wire().peer.switch("earthquake", 0)
    assert not answer.accepted
    assert "earthquake" in answer.text
    assert "silence" in answer.text


@pytest.mark.parametrize(
    ("fault", "amount"),
    [("drop", 1.5), ("drop", -0.1), ("lag", math.nan), ("gap", math.inf), ("skew", -1e9)],
)
def test_an_amount_that_makes_no_sense_is_refused(fault: str, amount: float) -> None:
    wire = Wire()
    answer = wire.peer.switch(fault, 0, amount)
    assert not answer.accepted
    assert "amount" in answer.text
    assert wire.peer.active == {}


def test_the_table_of_faults_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        FAULTS["more"] = "x"  # type: ignore[index]  # the point of the test


@given(
    steps=st.lists(
        st.tuples(st.integers(1, 3), st.integers(0, 40), st.sampled_from(["", "lag", "none"])),
        max_size=60,
    )
)
def test_lag_never_loses_and_never_reorders(steps: list[tuple[int, int, str]]) -> None:
    wire = Wire(lag_ns=7 * MS, connections=3)
    said: dict[int, list[str]] = {1: [], 2: [], 3: []}
    heard: dict[int, list[str]] = {1: [], 2: [], 3: []}

    def listen() -> None:
        for item in wire.peer.outbox:
            assert isinstance(item, Push)
            heard[item.connection].append(item.frame.decode())
        wire.peer.outbox.clear()

    for number, (connection, wait_ms, fault) in enumerate(steps):
        said[connection].append(str(number))
        wire.script.say(connection, str(number).encode(), BOOK)
        if fault:
            wire.switch(fault)
        wire.pass_time(wait_ms * MS)
        listen()
    wire.pass_time(2 * SECOND)
    listen()
    assert heard == said
