"""Sessions, engine and practice venues in virtual time, with every fault in turn."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from itertools import pairwise

import pytest

from hftmm.sim.faults import FAULTS
from hftmm.venues.binance import BinanceCodec
from hftmm.venues.bybit import BybitCodec
from hftmm.venues.codec import VenueCodec
from hftmm.venues.okx import OkxCodec
from hftmm.venues.routes import BEFORE_LIFETIME_NS
from tests.virtual import LINEAR, MILLISECOND, SECOND, SPOT, VENUES, World

BACK_NS = 2 * SECOND

PUBLIC = (
    "gap",
    "duplicate",
    "reorder",
    "drop",
    "silence",
    "disconnect",
    "refuse",
    "crossed",
    "restart",
    "farewell",
    "skew",
    "throttle",
    "ban",
    "stale_snapshot",
    "lag",
    "garbage",
)
"""The faults that concern public data."""

# Lasting faults that only show once something else goes wrong.
TRIGGERS = {
    "refuse": "disconnect",
    "throttle": "disconnect",
    "ban": "disconnect",
    "stale_snapshot": "gap",
}
LASTING = {"drop", "silence", "refuse", "skew", "throttle", "ban", "stale_snapshot", "lag"}
AMOUNTS = {"ban": 1.0}

# Faults that a venue's stream outlives by design, and which must not cost a book.
HARMLESS = {
    *(("duplicate", venue) for venue in VENUES),
    ("farewell", "binance"),
    ("farewell", "okx"),
    *((fault, venue) for fault in ("skew", "lag") for venue in VENUES),
}
# What may happen to be no frame of a book at all.
UNCERTAIN = {("garbage", venue) for venue in VENUES}


def ready(world: World) -> None:
    world.until(world.live, 3 * SECOND)
    world.run(1500 * MILLISECOND)
    world.forget()


def test_every_fault_of_public_data_is_one_that_can_be_switched_on() -> None:
    assert set(PUBLIC) <= FAULTS.keys()


def rate(times: list[int]) -> int:
    """The most of these times that lie within one second."""
    return max((bisect_left(times, at + SECOND) - i for i, at in enumerate(times)), default=0)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_without_faults_every_book_is_the_matching_engines_own(seed: int) -> None:
    world = World(seed, (LINEAR, SPOT, "ETH/USDT:USDT") if seed == 1 else (LINEAR, SPOT))
    world.until(world.live, SECOND)
    world.forget()
    for _ in range(6):
        world.run(3 * SECOND)
        world.quiesce()
        assert world.differences() == []
    assert world.engine.fallen == []
    assert world.strays == []
    for venue in VENUES:
        for depth in world.depths(venue):
            sync = depth.sync
            assert (sync.gaps, sync.resyncs, sync.crossed, sync.snapshots) == (0, 0, 0, 1)
            assert depth.fast > depth.slow
    assert [note for note in world.engine.notes if note.level != "info"] == []


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("fault", PUBLIC)
def test_a_fault_costs_its_venue_a_moment_and_the_others_nothing(fault: str, venue: str) -> None:
    # A silent venue is believed until its connection is found dead.
    slow = {"silence": 1600, "lag": 700}.get(fault, 300)
    world = World(11, tolerance_ns=slow * MILLISECOND)
    ready(world)
    peer = world.lines[venue].peer
    assert peer.switch(fault, world.now_ns, AMOUNTS.get(fault)).accepted
    if fault in TRIGGERS:
        peer.switch(TRIGGERS[fault], world.now_ns)
    began_ns = world.now_ns
    if fault in LASTING:
        world.run(3 * SECOND)
        peer.switch("none", world.now_ns)
    elif (fault, venue) not in HARMLESS | UNCERTAIN:
        world.until(lambda: bool(world.engine.fallen), SECOND)
        world.run(100 * MILLISECOND)  # every book of the venue has met the fault by then
    fallen = [entry for entry in world.engine.fallen if entry[1] == venue]
    if (fault, venue) in HARMLESS:
        assert fallen == []
    elif (fault, venue) not in UNCERTAIN:
        assert fallen
        assert fallen[0][0] - began_ns < 1600 * MILLISECOND
    world.until(lambda: world.live(venue), BACK_NS)
    world.run(SECOND)
    assert world.live()
    world.quiesce()
    assert world.differences() == []
    assert {entry[1] for entry in world.engine.fallen} <= {venue}
    assert world.strays == []
    # Each loss is told once, with its own reason.
    assert len(world.lost_notes(venue)) <= len(world.engine.fallen)
    resyncs = sum(depth.sync.resyncs for depth in world.depths(venue))
    assert len(world.lost_notes(venue)) == resyncs


@pytest.mark.parametrize("venue", VENUES)
def test_a_silent_venue_is_back_within_two_and_a_half_seconds(venue: str) -> None:
    world = World(5, tolerance_ns=1600 * MILLISECOND)
    ready(world)
    world.lines[venue].peer.switch("silence", world.now_ns)
    silent_ns = world.now_ns
    world.until(lambda: len({fallen[2] for fallen in world.engine.fallen}) == 2, 2 * SECOND)
    world.until(lambda: world.live(venue), SECOND)
    assert world.now_ns - silent_ns < 2500 * MILLISECOND
    world.quiesce()
    assert world.differences() == []
    assert world.strays == []


@pytest.mark.parametrize(("venue", "symbol"), [("binance", SPOT), ("okx", LINEAR), ("okx", SPOT)])
@pytest.mark.parametrize("seed", [1, 2])
def test_an_announced_disconnect_costs_no_book(venue: str, symbol: str, seed: int) -> None:
    world = World(seed, (symbol,), venues=(venue,))
    ready(world)
    world.lines[venue].peer.switch("farewell", world.now_ns)
    world.run(7 * SECOND)
    assert [note.event for note in world.engine.notes] == ["planned reconnect", "reconnected"]
    assert world.engine.fallen == []
    assert world.strays == []
    sync = world.depth(venue, symbol).sync
    assert (sync.gaps, sync.resyncs) == (0, 0)
    world.quiesce()
    assert world.differences() == []


def short_lived(codec: VenueCodec) -> VenueCodec:
    lifetime_ns = BEFORE_LIFETIME_NS + 2 * SECOND
    codec.stream_rules = replace(codec.stream_rules, lifetime_ns=lifetime_ns)
    return codec


def test_connections_are_replaced_before_the_venue_ends_them_without_a_gap() -> None:
    codecs: dict[str, VenueCodec] = {
        codec.venue: short_lived(codec) for codec in (BinanceCodec(), BybitCodec(), OkxCodec())
    }
    world = World(4, codecs=codecs)
    world.until(world.live, SECOND)
    world.forget()
    world.run(9 * SECOND)
    events = [(note.venue, note.event) for note in world.engine.notes]
    for venue in VENUES:
        assert events.count((venue, "reconnected")) >= 4
        assert all(depth.sync.gaps == depth.sync.resyncs == 0 for depth in world.depths(venue))
        assert len({route for _, route in world.lines[venue].dials}) * 5 <= len(
            world.lines[venue].dials
        )
    assert world.engine.fallen == []
    assert world.strays == []
    told = [(trade.listing.key, trade.trade_id) for trade in world.engine.trades]
    assert len(told) == len(set(told)), "a trade was told twice"
    world.quiesce()
    assert world.differences() == []


@pytest.mark.parametrize(("fault", "seconds"), [("throttle", 1), ("throttle", 3), ("ban", 4)])
@pytest.mark.parametrize("venue", VENUES)
def test_a_venue_that_wants_to_be_left_alone_is(venue: str, fault: str, seconds: int) -> None:
    world = World(6)
    ready(world)
    line = world.lines[venue]
    line.peer.switch(fault, world.now_ns, seconds)
    line.peer.switch("disconnect", world.now_ns)
    line.requests.clear()
    world.run(2 * seconds * SECOND + 500 * MILLISECOND)
    line.peer.switch("none", world.now_ns)
    pause_ns = seconds * SECOND
    times = [at for at, _ in line.requests]
    assert times
    # What was under way together comes back together; after that nothing is asked for a while.
    trip_ns = 2 * line.peer.delay_ns + 10 * MILLISECOND
    for before, after in pairwise(times):
        assert after - before <= trip_ns or after - before >= pause_ns
    world.until(lambda: world.live(venue), pause_ns + BACK_NS)
    world.quiesce()
    assert world.differences() == []


@pytest.mark.parametrize("seconds", [5.0, -5.0, 0.8, -40.0])
@pytest.mark.parametrize("venue", VENUES)
def test_a_wrong_clock_of_a_venue_is_seen_through(venue: str, seconds: float) -> None:
    world = World(8)
    ready(world)
    line = world.lines[venue]
    line.peer.switch("skew", world.now_ns, seconds)
    offset_ns = round(seconds * SECOND)

    def found() -> bool:
        known = line.session.clock_offset_ns
        return known is not None and abs(known - offset_ns) < 30 * MILLISECOND

    world.until(found, 1200 * MILLISECOND)
    world.run(SECOND)
    assert world.live()
    for market in world.engine.markets.values():
        member = next(member for member in market.members if member.venue == venue)
        if member.lag_ns is not None:
            assert abs(member.lag_ns - line.peer.delay_ns) < 30 * MILLISECOND
    assert world.engine.fallen == []


def test_a_clock_that_runs_ahead_never_makes_a_book_stale() -> None:
    world = World(8)
    ready(world)
    world.lines["bybit"].peer.switch("skew", world.now_ns, 5)
    for _ in range(300):
        world.step()
        assert world.live()


@pytest.mark.parametrize("venue", VENUES)
def test_control_messages_never_come_faster_than_the_venue_takes_them(venue: str) -> None:
    world = World(9, (LINEAR, SPOT, "ETH/USDT:USDT", "ETH/USDT"))
    line = world.lines[venue]
    world.until(world.live, 3 * SECOND)
    for fault in ("drop", "gap", "crossed", "disconnect", "silence"):
        line.peer.switch(fault, world.now_ns)
        world.run(2 * SECOND)
    line.peer.switch("none", world.now_ns)
    world.run(BACK_NS)
    assert world.live()
    rules = line.session.codec.stream_rules
    assert max(rate(times) for times in line.controls.values()) <= rules.requests_per_second
    # New connections: OKX takes three a second, Binance three hundred in five minutes.
    assert rate([at for at, _ in line.dials]) <= 3 * len({route for _, route in line.dials})


def test_four_markets_that_break_together_come_back_together() -> None:
    world = World(10, (LINEAR, SPOT, "ETH/USDT:USDT", "ETH/USDT"))
    ready(world)
    for line in world.lines.values():
        line.peer.switch("gap", world.now_ns)
    world.until(lambda: len(world.engine.fallen) == 12, SECOND)
    world.until(world.live, BACK_NS)
    world.quiesce()
    assert world.differences() == []


def test_an_outage_of_many_seconds_is_over_soon_after_it_ends() -> None:
    world = World(12, tolerance_ns=SECOND)
    ready(world)
    for line in world.lines.values():
        line.peer.switch("refuse", world.now_ns)
        line.peer.switch("disconnect", world.now_ns)
    world.run(20 * SECOND)
    assert not any(world.live(venue) for venue in VENUES)
    for line in world.lines.values():
        line.peer.switch("none", world.now_ns)
    world.until(world.live, BACK_NS)
    world.quiesce()
    assert world.differences() == []
