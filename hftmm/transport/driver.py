"""Carries out what an engine wants done: sockets, requests, timers, and the clock."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Final, Protocol, TypeAlias

import msgspec

from hftmm.core.errors import Unavailable
from hftmm.desk.commands import Answer, Command, Practice, Status, Stop, View
from hftmm.desk.snapshot import DeskSnapshot
from hftmm.engine import by_hand, publisher
from hftmm.engine.engine import Engine
from hftmm.transport.http import HttpClient
from hftmm.transport.websocket import StreamConnection
from hftmm.venues.account import AccountSession
from hftmm.venues.codec import Request
from hftmm.venues.effects import Call, Connect, Disconnect, Fetch, Note, Send
from hftmm.venues.private import SignedRequest
from hftmm.venues.session import VenueSession

Session: TypeAlias = VenueSession | AccountSession

TICK_S: Final = 0.005
HOUSEKEEPING_S: Final = 1.0
DISARM_S: Final = 1.0
LONGEST_PAUSE_S: Final = 86_400
LATE_NS: Final = 50_000_000
"""A tick that comes later follows a standstill of ours."""
HEARINGS: Final = 3
"""Rounds of the loop in which what waited in the sockets is heard."""
ASLEEP_NS: Final = 500_000_000
"""Without a tick for longer, this process was stopped or starved: much may have happened since."""
_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

log = logging.getLogger(__name__)


def steady_clock() -> Callable[[], int]:
    """Nanoseconds since the epoch that never jump: the wall clock now, and from here on elapsed
    time. A wall clock set back would make stale books look fresh.
    """
    epoch_ns = time.time_ns() - time.monotonic_ns()
    monotonic_ns = time.monotonic_ns
    return lambda: epoch_ns + monotonic_ns()


class Recorder(Protocol):
    """Keeps what was received; `failure` says why it stopped, one line, "" while it goes on."""

    failure: str

    def write(self, received_ns: int, venue: str, route: str, body: bytes) -> None: ...

    def write_rest(
        self, received_ns: int, venue: str, route: str, url: str, body: bytes
    ) -> None: ...

    def flush(self) -> None: ...


class Latch(Protocol):
    """Where somebody outside leaves word that everything is to be stopped; see `LatchFile`."""

    @property
    def reason(self) -> str: ...

    def release(self) -> None: ...


class Driver:
    """Runs one engine.

    Attributes:
        stopping: set it, or send `Stop`, to end `run`.
        failure: why `run` had to end, one line; "" if it was asked to.
        recorder: what it was given, also once recording stopped.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        clock: Callable[[], int] | None = None,
        recorder: Recorder | None = None,
        control: str = "",
        latch: Latch | None = None,
    ) -> None:
        """
        Args:
            control: base URL of the practice venues' control face; "" outside practice.
            latch: looked at every second, and after a standstill before anything else is done.
        """
        self.engine = engine
        self.stopping = asyncio.Event()
        self.failure = ""
        self.clock = clock or steady_clock()
        self.recorder = self._recorder = recorder
        self._control = control
        self._latch = latch
        self._pictures = 0
        self._awake_ns = 0
        self._connections: dict[tuple[Session, int], StreamConnection] = {}
        self._http = HttpClient(clock=self.clock)
        self._group: asyncio.TaskGroup | None = None
        self._wound_down = asyncio.Event()
        self._working: set[asyncio.Task[None]] = set()

    async def run(self, at_end: Callable[[], None] | None = None) -> None:
        """Until `stopping` is set; every connection is closed when it returns.

        Args:
            at_end: called once, while everything still stands.
        """
        async with self._http, asyncio.TaskGroup() as group:
            self._group = group
            self._awake_ns = self.clock()
            self.engine.start(self._awake_ns)
            self._spawn(self._tick())
            await self.stopping.wait()
            await self._wind_down()
            if at_end is not None:
                at_end()
            self._write_log()
            self._group = None
            for connection in list(self._connections.values()):
                connection.close()
            # A host that does not answer must not hold up the end.
            for task in self._working:
                task.cancel()

    async def _wind_down(self) -> None:
        """Cancels everything of ours, and waits until each venue shows that it is gone."""
        trading = self.engine.trading
        if trading is None:
            return
        self.engine.ending = ("STOPPING", "canceling everything")
        with self._minded():
            trading.kill.wind_down(self.clock())
            trading.act(self.clock())
        self._carry_out_all()
        deadline_s = self.engine.config.engine.stop_within_ms / 1000.0
        with suppress(TimeoutError):
            async with asyncio.timeout(deadline_s):
                await self._wound_down.wait()
        for line in trading.kill.report(self.clock()):
            log.info("stopped %s", line)
        if not trading.kill.done:
            self.failure = self.failure or "not every venue shows that our orders are gone"
        self.engine.ending = ("STOPPED", self.failure or "no order of ours stands anywhere")
        trading.stop(self.clock())
        before = set(self._working)
        self._carry_out_all()
        # The last requests switch the venues' dead-man switches off.
        if last := self._working - before:
            await asyncio.wait(last, timeout=DISARM_S)

    def stop(self, failure: str) -> None:
        """Ends `run` for something that it cannot go on without, unless it is ending anyway."""
        if not self.stopping.is_set():
            self.failure = failure
            self.stopping.set()

    def command(self, command: Command) -> Answer:
        """What a viewer asks; a `View` is the link's affair and only checked here."""
        self._awaken(self.clock())
        match command:
            case View(market=market):
                if market and market not in self.engine.markets:
                    return Answer(False, f"{market} is not among the configured markets")
                return Answer(True, "")
            case Practice(venue=venue, fault=fault):
                if not self._control:
                    return Answer(False, "faults can be switched on practice venues only")
                if self._group is None:
                    return Answer(False, "the engine is not running")
                self._spawn(self._switch(venue, fault))
                return Answer(True, f"asked {venue} for {fault}")
            case Status():
                return Answer(True, self.status().decode())
            case Stop(reason=reason):
                log.info("stopping reason=%s", reason)
                self.stopping.set()
                return Answer(True, "stopping")
            case _:
                answer = Answer(False, "this met a defect: see the log")
                with self._minded():
                    answer = by_hand.carry_out(self.engine, command, self.clock())
                self._carry_out_all()
                return answer

    def asked(self, viewer: int, command: Command) -> Answer:
        """What one of several viewers asks."""
        if not isinstance(command, View | Status):
            log.info("command viewer=%d command=%r", viewer, command)
        return self.told(command)

    def told(self, command: Command) -> Answer:
        """The same, and what became of it in the log, where those read it who got no answer."""
        answer = self.command(command)
        if not isinstance(command, View | Status):
            level = "info" if answer.accepted else "warning"
            event = type(command).__name__.lower()
            note = Note(level, "desk", event, answer.text, self.clock(), apart=True)
            self.engine.noted(note)
        return answer

    def picture(self, view: View) -> DeskSnapshot:
        """What a viewer sees now."""
        self._pictures += 1
        return publisher.snapshot(self.engine, view, self._pictures, self.clock())

    def status(self) -> bytes:
        """The line of status, JSON."""
        return msgspec.json.encode(publisher.status(self.engine, self.clock()))

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        housekeeping = due = loop.time()
        lag_s = 0.0
        while True:
            now_s = loop.time()
            # The worst delay decays, so that one hiccup stays on the screen long enough to be seen.
            lag_s = max(now_s - due, lag_s * 0.998)
            self.engine.loop_lag_ms = lag_s * 1000.0
            now_ns = self.clock()
            late_ns = now_ns - self._awake_ns
            self._awaken(now_ns)
            if late_ns > LATE_NS:
                # It was we who stood still, not the venues: what they said meanwhile is heard
                # before anybody's deadline is judged.
                for _ in range(HEARINGS):
                    await asyncio.sleep(0)
                now_ns = self.clock()
            self._awake_ns = now_ns
            with self._minded():
                self.engine.tick(now_ns)
            self._carry_out_all()
            if self.engine.ending is not None and self.engine.halted_for_good:
                self._wound_down.set()
            self._write_log()
            if now_s >= housekeeping:
                housekeeping = now_s + HOUSEKEEPING_S
                if self._recorder is not None:
                    self._tend_recorder(self._recorder)
                if self._latch is not None:
                    self._heed(self._latch)
            due = loop.time() + TICK_S
            await asyncio.sleep(TICK_S)

    @contextmanager
    def _minded(self) -> Iterator[None]:
        """Takes an error for a defect."""
        try:
            yield
        except Exception as error:
            self._defect(error)

    def _defect(self, error: Exception) -> None:
        """A mistake of ours: what trades is killed, which needs the rest to go on.

        Raises:
            Exception: the error, where nothing trades.
        """
        trading = self.engine.trading
        if trading is None:
            raise error
        if trading.kill.killed:
            # The same one, most likely, and it may come with every frame.
            self.engine.noted(Note("error", "desk", "defect", repr(error), self.clock()))
            return
        log.error("defect", exc_info=error)
        trading.defect(error, self.clock())

    def _carry_out_all(self) -> None:
        for session in self.engine.sessions:
            if session.outbox:
                self._carry_out(session)

    def _carry_out(self, session: Session) -> None:
        outputs = session.outbox.copy()
        session.outbox.clear()
        for output in outputs:
            match output:
                case Connect():
                    self._spawn(self._connect(session, output))
                case Disconnect(link=link):
                    connection = self._connections.pop((session, link), None)
                    if connection is not None:
                        connection.close()
                case Send(link=link, frame=frame):
                    connection = self._connections.get((session, link))
                    if connection is not None:
                        connection.send(frame)
                case Fetch(request=request):
                    assert isinstance(session, VenueSession)
                    self._spawn(self._fetch(session, request))
                case Call(request=request):
                    assert isinstance(session, AccountSession)
                    self._spawn(self._call(session, request))

    async def _connect(self, session: Session, wanted: Connect) -> None:
        number, key = wanted.link, (session, wanted.link)
        engine, clock = self.engine, self.clock
        # What an account's connection says may hold what nobody else may read.
        recorder = self._recorder if isinstance(session, VenueSession) else None
        note_latency, note_order = engine.latencies.note, engine.order_latencies.note
        venue, route = session.venue, wanted.route

        def on_frame(frame: bytes, last_in_read: bool) -> None:
            now_ns = clock()
            if now_ns - self._awake_ns > ASLEEP_NS:
                self._awaken(now_ns)
            if recorder is not None:
                recorder.write(now_ns, venue, route, frame)
            sent = engine.orders_sent
            try:
                session.received(number, frame, now_ns)
                if last_in_read:
                    engine.settle(now_ns)
            except Exception as error:
                self._defect(error)
            if last_in_read:
                note_latency(clock() - now_ns)
                self._carry_out_all()
                if engine.orders_sent != sent:
                    note_order(clock() - now_ns)
            elif session.outbox:
                self._carry_out(session)

        def on_lost(reason: str) -> None:
            self._connections.pop(key, None)
            if self._group is not None:
                now_ns = clock()
                self._awaken(now_ns)
                with self._minded():
                    session.lost(number, reason, now_ns)
                    engine.settle(now_ns)
                self._carry_out_all()

        def on_open(connection: StreamConnection) -> None:
            self._connections[key] = connection
            with self._minded():
                session.connected(number, clock())
            self._carry_out(session)

        try:
            await StreamConnection.connect(wanted.url, on_frame, on_lost, on_open=on_open)
        except Unavailable as error:
            on_lost(str(error))

    async def _fetch(self, session: VenueSession, request: Request) -> None:
        url = session.base_url(request.route) + request.path
        try:
            reply = await self._http.request(
                url, method=request.method, headers=dict(request.headers)
            )
        except Unavailable as error:
            session.responded(request, 0, str(error).encode(), self.clock())
            return
        now_ns = self.clock()
        self._awaken(now_ns)
        if self._recorder is not None:
            self._recorder.write_rest(now_ns, session.venue, request.route, url, reply.body)
        if request.purpose == "clock" and reply.status == 200:
            session.clock_answered(reply.body, reply.sent_ns, reply.received_ns)
            return
        wait_s = _seconds(reply.headers)
        if reply.status != 200 and wait_s:
            session.pause(wait_s, now_ns)
        with self._minded():
            session.responded(request, reply.status, reply.body, now_ns)
            self.engine.settle(now_ns)
        self._carry_out_all()

    async def _call(self, session: AccountSession, request: SignedRequest) -> None:
        url = session.base_url(request.route) + request.path
        headers: Mapping[str, str] = {}
        try:
            reply = await self._http.request(
                url, method=request.method, body=request.body, headers=request.headers
            )
        except Unavailable as error:
            status, body = 0, str(error).encode()
        else:
            status, body, headers = reply.status, reply.body, reply.headers
        now_ns = self.clock()
        self._awaken(now_ns)
        with self._minded():
            session.responded(request, status, body, now_ns, _seconds(headers), headers)
            self.engine.settle(now_ns)
        self._carry_out_all()

    async def _switch(self, venue: str, fault: str) -> None:
        body = msgspec.json.encode({"venue": venue, "fault": fault})
        level, text = "info", "switched"
        try:
            reply = await self._http.request(
                f"{self._control}/faults",
                method="POST",
                body=body,
                headers={"Content-Type": "application/json"},
            )
            if reply.status != 200:
                level, text = "error", reply.body.decode(errors="replace")
        except Unavailable as error:
            level, text = "error", str(error)
        words = f"{fault} {text}"
        self.engine.noted(Note(level, venue, "practice fault", words, self.clock(), apart=True))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        if self._group is None:
            work.close()
            return
        task = self._group.create_task(work)
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    def _awaken(self, now_ns: int) -> None:
        """After a standstill, hears whether everything was to be stopped meanwhile, before what
        waited in the sockets is acted on.
        """
        if now_ns - self._awake_ns > ASLEEP_NS:
            self._awake_ns = now_ns
            if self._latch is not None:
                self._heed(self._latch)

    def _heed(self, latch: Latch) -> None:
        """Takes a kill from outside for our own, and the word away once the journal has it."""
        trading = self.engine.trading
        why = latch.reason
        if not why or trading is None:
            return
        if not trading.kill.killed:
            with self._minded():
                trading.stop_all(why, self.clock())
                trading.act(self.clock())
            self._carry_out_all()
            return
        try:
            latch.release()
        except Unavailable as error:
            self.engine.noted(Note("warning", "desk", "latch", str(error), self.clock()))

    def _tend_recorder(self, recorder: Recorder) -> None:
        recorder.flush()
        if recorder.failure:
            note = Note("error", "record", "recording stopped", recorder.failure, self.clock())
            self.engine.noted(note)
            self._recorder = None

    def _write_log(self) -> None:
        fresh = self.engine.log.fresh
        while fresh:
            row = fresh.popleft()
            log.log(_LEVELS[row.level], "%s: %s", row.source, row.text)


def _seconds(headers: Mapping[str, str]) -> float:
    """Retry-After in seconds, at most a day; 0.0 if there is none, or it is a date."""
    said = headers.get("retry-after", "")
    return float(min(int(said), LONGEST_PAUSE_S)) if said.isdecimal() else 0.0
