"""The network between an engine and the practice venues, in virtual time: one heap of events.

No socket, no clock, no sleep. What either side says arrives a seeded moment later; a connection
keeps the order of what is said on it, requests do not.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from random import Random
from typing import Final, Protocol, TypeAlias
from urllib.parse import urlsplit

from hftmm.engine.engine import Engine
from hftmm.sim.faults import FaultyPeer
from hftmm.sim.market import Market
from hftmm.sim.peers import LOST, Close, HttpAnswer, HttpQuery, Outgoing, Push
from hftmm.venues.account import AccountSession
from hftmm.venues.codec import Request
from hftmm.venues.effects import Call, Connect, Disconnect, Fetch, Send
from hftmm.venues.private import SignedRequest
from hftmm.venues.session import VenueSession

Session: TypeAlias = VenueSession | AccountSession

STEADY: Final = 0.7
"""Share of the lag that every message takes; the rest is exponential, of the mean that is left."""


class Timeline:
    """Virtual time, and what is to happen in it.

    Attributes:
        now_ns: the moment of the event that happens now.
    """

    def __init__(self, start_ns: int) -> None:
        self.now_ns = start_ns
        self._due: Final[list[tuple[int, int, Callable[[], None]]]] = []
        self._serial: Final = count()

    def at(self, when_ns: int, what: Callable[[], None]) -> None:
        """Something is to happen then; what is due in one moment happens in the order of calls."""
        heapq.heappush(self._due, (when_ns, next(self._serial), what))

    def until(self, end_ns: int) -> Iterator[None]:
        """Lets everything happen that is due before or at a moment; yields after each event."""
        due = self._due
        while due and due[0][0] <= end_ns:
            self.now_ns, _, what = heapq.heappop(due)
            what()
            yield
        self.now_ns = end_ns


class Sniffer(Protocol):
    """Sees everything that passes."""

    def sent(self, venue: str, frame: bytes) -> None:
        """We say something on a connection."""
        ...

    def asked(self, venue: str, request: SignedRequest) -> None:
        """We make a signed request."""
        ...

    def heard(self, venue: str, frame: bytes) -> None:
        """A venue's word arrives, by stream or in answer to a request."""
        ...


class Line:
    """One venue's end of the network.

    Attributes:
        peer: the venue, behind its faults.
    """

    def __init__(
        self, peer: FaultyPeer, market: Market, lag_ns: int, timeline: Timeline, chance: Random
    ) -> None:
        """
        Args:
            peer: without a lag of its own, but for the one that is a fault.
            market: behind it; an order must not meet what happened before it came.
            lag_ns: mean time of a message in either direction.
        """
        self.peer: Final = peer
        self.timeline: Final = timeline
        self._market: Final = market
        self._lag_ns: Final = lag_ns
        self._chance: Final = chance
        self._numbers: Final = count(1)
        self._clients: Final[dict[int, tuple[Wire, Session, int]]] = {}
        # When the newest message of a connection arrives, there and back.
        self._there_ns: Final[dict[int, int]] = {}
        self._back_ns: Final[dict[int, int]] = {}

    def delay_ns(self) -> int:
        """How long the next message takes."""
        chance = self._chance.random()
        share = STEADY + (1.0 - STEADY) * -math.log(1.0 - chance)
        return int(self._lag_ns * share) + 1

    def open(
        self, wire: Wire, session: Session, wanted: Connect, then: Callable[[int], None]
    ) -> HttpAnswer | None:
        """A handshake arrives; an answer refuses it.

        Args:
            then: told the number of the connection once the client knows that it stands.
        """
        number, url = next(self._numbers), urlsplit(wanted.url)
        now_ns = self.timeline.now_ns
        refusal = self.peer.opened(number, url.netloc, url.path, url.query, now_ns)
        if refusal is None:
            self._clients[number] = wire, session, wanted.link
            # Nothing that the venue says on it comes before its consent.
            self._back_ns[number] = now_ns + self.delay_ns() + self.peer.delay_ns
            self.timeline.at(self._back_ns[number], partial(then, number))
        self.flush()
        return refusal

    def holds(self, number: int) -> bool:
        """Whether a connection still stands, as far as its client knows."""
        return number in self._clients

    def say(self, number: int, frame: bytes) -> None:
        """A client says something on a connection."""
        self.timeline.at(self._arrival(number), partial(self._said, number, frame))

    def hang_up(self, number: int) -> None:
        """A client closes a connection: it hears no more; what it said before still arrives."""
        if self._clients.pop(number, None) is not None:
            self.timeline.at(self._arrival(number), partial(self._closed, number))

    def ask(self, query: HttpQuery) -> HttpAnswer:
        """A request arrives."""
        self._market.advance(self.timeline.now_ns)
        answer = self.peer.request(query, self.timeline.now_ns)
        self.flush()
        return answer

    def advance(self) -> None:
        """Time passed at the venue."""
        self._market.advance(self.timeline.now_ns)
        self.peer.advance(self.timeline.now_ns)
        if self.peer.outbox:
            self.flush()

    def flush(self) -> None:
        """Sends what the venue has to say; what one connection gets at once is one read there."""
        outbox = self.peer.outbox
        if not outbox:
            return
        self.peer.outbox = []
        reads: dict[int, list[Outgoing]] = {}
        for item in outbox:
            reads.setdefault(item.connection, []).append(item)
        now_ns = self.timeline.now_ns
        for number, items in reads.items():
            if isinstance(items[-1], Close):
                self.peer.closed(number)
            due_ns = max(now_ns + self.delay_ns(), self._back_ns.get(number, 0))
            self._back_ns[number] = due_ns
            self.timeline.at(due_ns, partial(self._heard, number, items))

    def _arrival(self, number: int) -> int:
        due_ns = self.timeline.now_ns + self.delay_ns() + self.peer.delay_ns
        due_ns = max(due_ns, self._there_ns.get(number, 0))
        self._there_ns[number] = due_ns
        return due_ns

    def _said(self, number: int, frame: bytes) -> None:
        self._market.advance(self.timeline.now_ns)
        self.peer.received(number, frame, self.timeline.now_ns)
        self.flush()

    def _closed(self, number: int) -> None:
        self.peer.closed(number)
        self._there_ns.pop(number, None)
        self._back_ns.pop(number, None)

    def _heard(self, number: int, items: list[Outgoing]) -> None:
        client = self._clients.get(number)
        if client is None:
            return
        wire, session, link = client
        for item in items:
            if isinstance(item, Push):
                wire.hear(session, link, item.frame)
            else:
                del self._clients[number]
                self._there_ns.pop(number, None)
                self._back_ns.pop(number, None)
                wire.lose(session, link, f"closed with {item.code}")
                break
        wire.settle()


class Wire:
    """An engine's end of the network: does for it what a driver does.

    Attributes:
        alive: False once its process was killed: from then on nobody hears.
    """

    def __init__(
        self, engine: Engine, lines: dict[str, Line], timeline: Timeline, sniffer: Sniffer
    ) -> None:
        self.engine: Final = engine
        self.alive = True
        self._lines: Final = lines
        self._timeline: Final = timeline
        self._sniffer: Final = sniffer
        self._open: Final[dict[tuple[Session, int], int]] = {}

    def start(self) -> None:
        """The process begins."""
        self.engine.start(self._timeline.now_ns)
        self.carry_out()

    def crash(self) -> None:
        """The process is killed: its connections close, and what it had sent still arrives."""
        self.alive = False
        for (session, _), number in self._open.items():
            self._lines[session.venue].hang_up(number)
        self._open.clear()

    def tick(self) -> None:
        """Time passed."""
        self.engine.tick(self._timeline.now_ns)
        self.carry_out()

    def settle(self) -> None:
        """A read is over."""
        self.engine.settle(self._timeline.now_ns)
        self.carry_out()

    def hear(self, session: Session, link: int, frame: bytes) -> None:
        """A frame arrived."""
        self._sniffer.heard(session.venue, frame)
        session.received(link, frame, self._timeline.now_ns)

    def lose(self, session: Session, link: int, why: str) -> None:
        """A connection is gone, or could not be made."""
        self._open.pop((session, link), None)
        session.lost(link, why, self._timeline.now_ns)

    def carry_out(self) -> None:
        """Does what the sessions want done."""
        for session in self.engine.sessions:
            if session.outbox:
                self._carry_out(session)

    def _carry_out(self, session: Session) -> None:
        outputs = session.outbox.copy()
        session.outbox.clear()
        line = self._lines[session.venue]
        for output in outputs:
            match output:
                case Send(link=link, frame=frame):
                    number = self._open.get((session, link))
                    if number is not None:
                        self._sniffer.sent(session.venue, frame)
                        line.say(number, frame)
                case Call(request=request):
                    assert isinstance(session, AccountSession)
                    self._sniffer.asked(session.venue, request)
                    self._later(line, partial(self._call, line, session, request))
                case Fetch(request=request):
                    assert isinstance(session, VenueSession)
                    sent_ns = self._timeline.now_ns
                    self._later(line, partial(self._fetch, line, session, request, sent_ns))
                case Connect():
                    self._later(line, partial(self._dial, line, session, output))
                case Disconnect(link=link):
                    number = self._open.pop((session, link), None)
                    if number is not None:
                        line.hang_up(number)

    def _later(self, line: Line, what: Callable[[], None], more_ns: int = 0) -> None:
        delay_ns = line.delay_ns() + line.peer.delay_ns + more_ns
        self._timeline.at(self._timeline.now_ns + delay_ns, what)

    def _dial(self, line: Line, session: Session, wanted: Connect) -> None:
        if not self.alive:
            return
        then = partial(self._dialled, line, session, wanted.link)
        refusal = line.open(self, session, wanted, then)
        if refusal is not None:
            self._later(line, partial(self._refused, session, wanted.link, refusal.status))

    def _dialled(self, line: Line, session: Session, link: int, number: int) -> None:
        if not self.alive:
            line.hang_up(number)
        elif line.holds(number):
            self._open[session, link] = number
            session.connected(link, self._timeline.now_ns)
            self.settle()

    def _refused(self, session: Session, link: int, status: int) -> None:
        if self.alive:
            self.lose(session, link, f"HTTP {status}")
            self.settle()

    def _fetch(self, line: Line, session: VenueSession, request: Request, sent_ns: int) -> None:
        url = urlsplit(session.base_url(request.route) + request.path)
        headers = dict(request.headers)
        query = HttpQuery(url.netloc, request.method, url.path, url.query, headers, b"")
        answer = line.ask(query)
        then = partial(self._fetched, session, request, sent_ns, answer)
        self._later(line, then, answer.late_ns)

    def _fetched(
        self, session: VenueSession, request: Request, sent_ns: int, answer: HttpAnswer
    ) -> None:
        if not self.alive:
            return
        now_ns = self._timeline.now_ns
        self._sniffer.heard(session.venue, answer.body)
        if request.purpose == "clock" and answer.status == 200:
            session.clock_answered(answer.body, sent_ns, now_ns)
            return
        if answer.status != 200 and (wait_s := _retry_after_s(answer)):
            session.pause(wait_s, now_ns)
        session.responded(request, answer.status, answer.body, now_ns)
        self.settle()

    def _call(self, line: Line, session: AccountSession, request: SignedRequest) -> None:
        url = urlsplit(session.base_url(request.route) + request.path)
        answer = line.ask(
            HttpQuery(
                url.netloc, request.method, url.path, url.query, request.headers, request.body
            )
        )
        self._later(line, partial(self._called, session, request, answer), answer.late_ns)

    def _called(self, session: AccountSession, request: SignedRequest, answer: HttpAnswer) -> None:
        if not self.alive:
            return
        body = b"connection cut" if answer.status == LOST else answer.body
        self._sniffer.heard(session.venue, body)
        now_ns, wait_s = self._timeline.now_ns, _retry_after_s(answer)
        session.responded(request, answer.status, body, now_ns, wait_s)
        self.settle()


def _retry_after_s(answer: HttpAnswer) -> float:
    return float(answer.headers.get("Retry-After", 0))
