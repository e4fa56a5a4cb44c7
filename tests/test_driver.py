"""An engine on real loopback sockets: one thin layer above sessions and engine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, cast

import pytest

from hftmm.assembly import practice
from hftmm.config import Config, EngineConfig, MarketsConfig, PracticeConfig
from hftmm.core.events import VenueState
from hftmm.desk.commands import Practice, Status, Stop, View
from hftmm.engine.engine import Engine
from hftmm.sim.okx import OkxPeer
from hftmm.sim.peers import HttpAnswer, HttpQuery
from hftmm.sim.server import PracticeVenues
from hftmm.transport.driver import (
    ASLEEP_NS,
    LATE_NS,
    LONGEST_PAUSE_S,
    TICK_S,
    Driver,
    _seconds,
    steady_clock,
)
from hftmm.transport.websocket import StreamConnection
from hftmm.venues import registry
from hftmm.venues.codec import Hosts
from hftmm.venues.effects import Connect
from tests.engines import PERP, SPOT

if TYPE_CHECKING:
    from hftmm.engine.trading import Trading
    from hftmm.venues.session import VenueSession

VENUES = ("binance", "bybit", "okx")
CONFIG = Config(
    markets=MarketsConfig(symbols=(PERP, SPOT)),
    practice=PracticeConfig(lag_ms=(("binance", 0), ("bybit", 0), ("okx", 0))),
)
PATIENCE_S = 20.0


@dataclass
class Desk:
    """A running engine, and the venues it is connected to."""

    driver: Driver
    venues: PracticeVenues

    @property
    def engine(self) -> Engine:
        return self.driver.engine

    def live(self, symbol: str = PERP) -> set[str]:
        """Venues that count in a market."""
        return {member.venue for member in self.engine.markets[symbol].book.eligible}

    def said(self, text: str) -> bool:
        """Whether a line of the log holds this."""
        return any(text in row.text for row in self.engine.log.rows)


@dataclass
class Recorder:
    """Keeps frames in memory."""

    failure: str = ""
    frames: list[tuple[int, str, str, bytes]] = field(default_factory=list)
    answers: list[tuple[str, str, str]] = field(default_factory=list)
    flushed: int = 0

    def write(self, received_ns: int, venue: str, route: str, body: bytes) -> None:
        self.frames.append((received_ns, venue, route, body))

    def write_rest(self, received_ns: int, venue: str, route: str, url: str, body: bytes) -> None:
        self.answers.append((venue, route, url))

    def flush(self) -> None:
        self.flushed += 1


async def until(condition: Callable[[], object]) -> None:
    """Waits for a condition; the caller's deadline says for how long."""
    while not condition():  # noqa: ASYNC110  # books and logs have no event to wait for
        await asyncio.sleep(0.005)


def made(hosts: Mapping[str, Hosts], config: Config = CONFIG, **options: object) -> Driver:
    """A driver of an engine at these hosts; reconnects come without chance."""
    codecs = {name: codec for name, codec in registry.codecs(config).items() if name in hosts}
    engine = Engine(config, codecs, dict(hosts), lambda: 0.5)
    return Driver(engine, **options)  # type: ignore[arg-type]  # options of a Driver by name


@asynccontextmanager
async def running(driver: Driver) -> AsyncIterator[Driver]:
    """A driver that runs while the context is open, all within the tests' patience."""
    async with asyncio.timeout(PATIENCE_S):
        task = asyncio.create_task(driver.run())
        try:
            yield driver
        finally:
            driver.stopping.set()
            await task


@asynccontextmanager
async def desk(
    config: Config = CONFIG,
    recorder: Recorder | None = None,
    faults: Mapping[str, str] | None = None,
) -> AsyncIterator[Desk]:
    """An engine on practice venues of its own, which have the default markets."""
    async with PracticeVenues(CONFIG) as venues:
        for venue, fault in (faults or {}).items():
            assert venues.switch(venue, fault).accepted
        found = practice.described(json.dumps(venues.description).encode())
        driver = made(found.hosts, config, recorder=recorder, control=found.control)
        async with running(driver):
            yield Desk(driver, venues)


async def test_books_of_all_venues_are_live_and_their_clocks_known() -> None:
    async with desk() as at:
        await until(lambda: at.live(PERP) == at.live(SPOT) == set(VENUES))
        await until(lambda: at.engine.state == "ARMED")
        sessions = at.engine.exchanges.sessions
        await until(lambda: all(s.clock_offset_ns is not None for s in sessions.values()))
        for session in sessions.values():
            assert session.clock_offset_ns is not None
            assert abs(session.clock_offset_ns) < 1_000_000_000
        assert all(at.engine.exchanges.state(venue) == (VenueState.LIVE, "") for venue in VENUES)
        assert at.engine.latencies.percentiles_us(50) != (None,)
        assert not any(session.malformed for session in sessions.values())
        shown = at.driver.picture(View())
        assert shown.nbbo.bid is not None
        assert at.driver.picture(View()).number == shown.number + 1


async def test_trades_and_marks_arrive_beside_the_books() -> None:
    async with desk() as at:
        market = at.engine.markets[PERP]
        await until(lambda: market.trades and set(market.marks) == set(VENUES))


async def test_a_venue_that_is_gone_is_left_out_and_comes_back() -> None:
    async with desk() as at:
        await until(lambda: at.live() == set(VENUES))
        at.venues.switch("okx", "refuse")
        at.venues.switch("okx", "disconnect")
        await until(lambda: at.live() == {"binance", "bybit"})
        await until(lambda: at.said("cannot connect") and at.said("503"))
        state, reason = at.engine.exchanges.state("okx")
        assert (state, reason) == (VenueState.DOWN, "public is not connected")
        assert at.engine.markets[PERP].book.nbbo(0).bid_venues != ()
        at.venues.switch("okx", "none")
        await until(lambda: at.live() == set(VENUES))
        assert at.engine.exchanges.sessions["okx"].reconnects >= 2


async def test_a_venue_that_is_not_there_is_asked_again_with_growing_patience() -> None:
    async with desk(faults={"bybit": "refuse"}) as at:
        await until(lambda: at.live() == {"binance", "okx"})
        await until(lambda: at.said("rest instruments"))
        assert at.engine.exchanges.state("bybit")[0] is VenueState.DOWN
        at.venues.switch("bybit", "none")
        await until(lambda: at.live() == set(VENUES))


async def test_a_refused_connection_is_told_with_its_host_and_cause() -> None:
    closed = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = closed.sockets[0].getsockname()[1]
    closed.close()
    await closed.wait_closed()
    urls = {"rest": f"http://127.0.0.1:{port}", "public": f"ws://127.0.0.1:{port}"}
    async with running(made({"okx": urls})) as driver:
        text = f"http://127.0.0.1:{port}: connection refused"
        await until(lambda: any(text in row.text for row in driver.engine.log.rows))
        assert driver.engine.state == "STARTING"


async def test_a_host_that_never_answers_does_not_hold_up_the_end() -> None:
    asked = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    urls = {"rest": f"http://127.0.0.1:{port}", "public": f"ws://127.0.0.1:{port}"}
    # Half the deadline of a request, which is what the end must not wait for.
    async with server, asyncio.timeout(2.5), running(made({"okx": urls})):
        await asked.wait()


async def test_a_connection_that_the_venue_will_close_is_replaced_before_it_does() -> None:
    async with desk() as at:
        await until(lambda: at.live(PERP) == at.live(SPOT) == set(VENUES))
        at.venues.switch("okx", "farewell")
        await until(lambda: at.said("planned reconnect") and at.said("reconnected"))
        syncs = [depth.sync for depth in at.engine.exchanges.sessions["okx"].depths.values()]
        assert [(sync.gaps, sync.resyncs, sync.live) for sync in syncs] == [(0, 0, True)] * 2


async def test_a_market_that_a_venue_does_not_trade_says_so() -> None:
    wanted = replace(CONFIG, markets=MarketsConfig(symbols=(PERP, "DOGE/USDT")))
    async with desk(wanted) as at:
        await until(lambda: at.live(PERP) == set(VENUES))
        shown = at.driver.picture(View(market="DOGE/USDT"))
        assert {(quote.state, quote.reason) for quote in shown.venues} == {
            ("down", "DOGE/USDT is not traded there")
        }
        assert at.said("DOGE/USDT is not listed or not trading")


async def test_a_venue_that_asks_for_a_pause_gets_it_and_answers_after_it() -> None:
    async with desk(faults={"binance": "throttle"}) as at:
        await until(lambda: at.said("429"))
        at.venues.switch("binance", "none")
        await until(lambda: at.live() == set(VENUES))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3.0),
        ("", 0.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 0.0),
        ("-5", 0.0),
        ("inf", 0.0),
        ("9" * 400, float(LONGEST_PAUSE_S)),
    ],
)
def test_a_pause_is_whole_seconds_of_a_day_at_most(header: str, seconds: float) -> None:
    assert _seconds({"retry-after": header} if header else {}) == seconds


async def test_a_wrong_clock_is_measured() -> None:
    async with desk(faults={"okx": "skew"}) as at:
        session = at.engine.exchanges.sessions["okx"]
        await until(lambda: session.clock_offset_ns is not None)
        assert session.clock_offset_ns == pytest.approx(5_000_000_000, abs=500_000_000)


async def test_every_frame_and_answer_is_recorded_where_it_came_from() -> None:
    recorder = Recorder()
    async with desk(recorder=recorder) as at:
        await until(lambda: at.live(PERP) == at.live(SPOT) == set(VENUES))
        await until(lambda: recorder.flushed)
    sessions = at.engine.exchanges.sessions
    for venue in VENUES:
        frames = [frame for frame in recorder.frames if frame[1] == venue]
        assert len(frames) >= sessions[venue].frames > 0
        assert [frame[0] for frame in frames] == sorted(frame[0] for frame in frames)
    routes = {(venue, route) for _, venue, route, _ in recorder.frames}
    assert {("binance", "linear.public"), ("bybit", "spot.public"), ("okx", "public")} <= routes
    urls = [url for venue, route, url in recorder.answers if (venue, route) == ("okx", "rest")]
    assert any("/api/v5/public/instruments" in url for url in urls)


async def test_an_engine_goes_on_when_its_recording_cannot() -> None:
    recorder = Recorder()
    async with desk(recorder=recorder) as at:
        await until(lambda: at.live() == set(VENUES))
        recorder.failure = "capture.gz: No space left on device, recording stopped"
        await until(lambda: at.said(recorder.failure))
        before = at.engine.exchanges.sessions["okx"].frames
        await until(lambda: at.engine.exchanges.sessions["okx"].frames > before)
        assert at.live() == set(VENUES)


async def test_a_fault_that_is_asked_for_comes_into_force() -> None:
    async with desk() as at:
        await until(lambda: at.live() == set(VENUES))
        answer = at.driver.asked(1, Practice("okx", "silence"))
        assert (answer.accepted, answer.text) == (True, "asked okx for silence")
        await until(lambda: at.said("practice fault: silence switched"))
        await until(lambda: "okx" not in at.live())
        at.driver.command(Practice("okx", "none"))
        await until(lambda: at.live() == set(VENUES))
        at.driver.command(Practice("okx", "earthquake"))
        await until(lambda: at.said("practice fault: earthquake "))
        assert at.engine.log.rows[-1].level == "error"


async def test_a_fault_without_a_control_face_is_refused_or_told() -> None:
    urls = {"rest": "http://127.0.0.1:9", "public": "ws://127.0.0.1:9"}
    answer = made({"okx": urls}).command(Practice("okx", "gap"))
    assert (answer.accepted, answer.text) == (
        False,
        "faults can be switched on practice venues only",
    )
    idle = made({"okx": urls}, control="http://127.0.0.1:9")
    assert idle.command(Practice("okx", "gap")).text == "the engine is not running"
    async with running(made({"okx": urls}, control="http://127.0.0.1:9")) as driver:
        await until(lambda: driver.command(Practice("okx", "gap")).accepted)
        wanted = "practice fault: gap http://127.0.0.1:9: connection refused"
        await until(lambda: any(wanted in row.text for row in driver.engine.log.rows))


class Listening(OkxPeer):
    """Notes which REST requests are about demo trading."""

    simulated: ClassVar[set[tuple[str, str | None]]] = set()

    def request(self, query: HttpQuery, now_ns: int) -> HttpAnswer:
        self.simulated.add((query.path, query.headers.get("x-simulated-trading")))
        return super().request(query, now_ns)


async def test_okx_demo_trading_is_asked_for_instruments_of_its_own() -> None:
    config = replace(CONFIG, engine=EngineConfig(mode="demo"))
    async with PracticeVenues(CONFIG, peers={"okx": Listening}) as venues:
        found = practice.described(json.dumps(venues.description).encode())
        async with running(made(found.hosts, config)):
            asked = {("/api/v5/public/time", "1"), ("/api/v5/public/instruments", "1")}
            await until(lambda: Listening.simulated >= asked)
    assert Listening.simulated == asked


async def test_viewers_look_at_markets_there_are_and_read_the_status() -> None:
    driver = made({"okx": {"rest": "http://127.0.0.1:9", "public": "ws://127.0.0.1:9"}})
    assert driver.asked(1, View(market=SPOT)).accepted
    assert driver.asked(1, View()).accepted
    refused = driver.asked(1, View(market="DOGE/USDT"))
    assert (refused.accepted, refused.text) == (
        False,
        "DOGE/USDT is not among the configured markets",
    )
    answer = driver.asked(1, Status())
    assert json.loads(answer.text)["state"] == "STARTING"


async def test_a_viewer_may_stop_the_engine() -> None:
    said: list[str] = []
    async with desk() as at:
        assert at.driver.asked(1, Stop("enough")).accepted
        assert at.driver.stopping.is_set()
    driver = made({"okx": {"rest": "http://127.0.0.1:9", "public": "ws://127.0.0.1:9"}})
    driver.stopping.set()
    await driver.run(at_end=lambda: said.append(driver.engine.state))
    assert said == ["STARTING"]
    assert driver.failure == ""


async def test_only_an_end_that_nobody_asked_for_is_a_failure() -> None:
    urls = {"rest": "http://127.0.0.1:9", "public": "ws://127.0.0.1:9"}
    lost, stopped = made({"okx": urls}), made({"okx": urls})
    lost.stop("the practice venues ended by SIGKILL")
    assert (lost.failure, lost.stopping.is_set()) == ("the practice venues ended by SIGKILL", True)
    stopped.stopping.set()
    stopped.stop("the practice venues ended with exit code 0")
    assert stopped.failure == ""


def test_the_clock_never_goes_back() -> None:
    clock = steady_clock()
    times = [clock() for _ in range(1_000)]
    assert times == sorted(times)


class Standstill:
    """What an engine that trades and one connection of it are told, in order."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.venue = "okx"
        self.outbox: list[object] = []
        self.kill = self
        self.killed = False
        self.orders_sent = 0
        self.started: dict[str, object] = {}

    def stop_all(self, why: str, now_ns: int) -> None:
        self.killed = True
        self.log.append(f"killed: {why}")

    def act(self, now_ns: int) -> None:
        self.log.append("act")

    def sessions(self) -> tuple[()]:
        return ()

    def connected(self, link: int, now_ns: int) -> None:
        pass

    def received(self, link: int, frame: bytes, now_ns: int) -> None:
        self.log.append(frame.decode())


@dataclass
class Word:
    """A latch in memory."""

    reason: str = ""

    def release(self) -> None:
        self.reason = ""


async def test_after_a_standstill_the_latch_is_read_before_the_frames_that_waited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_ns, latch, desk = 0, Word(), Standstill()
    frames: list[Callable[[bytes, bool], None]] = []

    async def connect(url: str, on_frame: Callable[[bytes, bool], None], *_: object, **__: object):  # type: ignore[no-untyped-def]  # nobody looks at the connection
        frames.append(on_frame)

    monkeypatch.setattr(StreamConnection, "connect", connect)
    driver = Driver(Engine(CONFIG, {}, {}, lambda: 0.5), clock=lambda: now_ns, latch=latch)
    driver.engine.trading = cast("Trading", desk)
    await driver._connect(cast("VenueSession", desk), Connect(1, "public", "ws://127.0.0.1:9"))
    (on_frame,) = frames
    latch.reason = "hftmm kill --direct"
    now_ns = ASLEEP_NS
    on_frame(b"before the next look at it", True)
    assert desk.log == ["before the next look at it", "act"]
    desk.log.clear()
    now_ns += 1
    on_frame(b"waited", True)
    assert desk.log == ["killed: hftmm kill --direct", "act", "waited", "act"]


async def test_a_command_that_waited_through_a_standstill_finds_everything_killed() -> None:
    desk = Standstill()
    engine = Engine(CONFIG, {}, {}, lambda: 0.5)
    driver = Driver(engine, clock=lambda: ASLEEP_NS + 1, latch=Word("killed elsewhere"))
    engine.trading = cast("Trading", desk)
    driver.command(View())
    assert desk.log == ["killed: killed elsewhere", "act"]


async def test_after_a_standstill_what_waited_is_heard_before_anybody_is_judged() -> None:
    log: list[str] = []
    ticked = asyncio.Event()
    now_ns = 0

    class Watched(Engine):
        def tick(self, now_ns: int) -> None:
            log.append("tick")
            ticked.set()

    driver = Driver(Watched(CONFIG, {}, {}, lambda: 0.5), clock=lambda: now_ns)
    ticking = asyncio.create_task(driver._tick())
    await ticked.wait()
    ticked.clear()
    log.clear()
    now_ns = LATE_NS + 1
    loop = asyncio.get_running_loop()
    # The tick is due, and in the same round of the loop a frame is.
    loop.call_at(loop.time() + TICK_S, lambda: loop.call_soon(log.append, "frame"))
    await ticked.wait()
    ticking.cancel()
    assert log == ["frame", "tick"]
