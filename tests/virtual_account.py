"""An account's session and its practice venue in virtual time, over a network with faults.

No sockets, no clock: `Desk.run` moves time in small steps and carries what either side says to the
other after the venue's lag, as the driver and the venues' server do over loopback.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from itertools import count
from random import Random
from typing import TypeVar
from urllib.parse import urlsplit

from hftmm.config import Config, PracticeConfig
from hftmm.core.fees import FeeRates
from hftmm.core.instrument import Kind, Listing, Side
from hftmm.core.order import (
    Balance,
    Fill,
    Funding,
    OrderAnswer,
    OrderRequest,
    OrderState,
    OrderUpdate,
    Position,
    TimeInForce,
)
from hftmm.sim.binance import BinancePeer
from hftmm.sim.bybit import BybitPeer
from hftmm.sim.faults import FaultyPeer
from hftmm.sim.ledger import DEMO
from hftmm.sim.market import Market, practice_specs
from hftmm.sim.okx import OkxPeer
from hftmm.sim.peers import LOST, Close, HttpAnswer, HttpQuery, Peer, Push
from hftmm.venues import registry
from hftmm.venues.account import AccountSession
from hftmm.venues.account_sink import (
    Errand,
    FillsSince,
    FundingSince,
    OneOrder,
    OpenOrders,
    Question,
)
from hftmm.venues.binance import BinancePrivateCodec
from hftmm.venues.bybit import BybitPrivateCodec
from hftmm.venues.clock import VenueClock
from hftmm.venues.effects import AccountOutput, Call, Connect, Disconnect, Note, Send
from hftmm.venues.okx import OkxPrivateCodec
from hftmm.venues.private import Credentials, Permissions, PrivateCodec, SignedRequest
from hftmm.venues.usage import Usage

MS = 1_000_000
SECOND = 1000 * MS
START = 1_780_000_020 * SECOND
STEP_NS = 5 * MS
LAG_NS = 10 * MS
BOTH = frozenset({Kind.SPOT, Kind.LINEAR})
SYMBOLS = ("BTC/USDT:USDT", "BTC/USDT")
KEY = Credentials(DEMO.key, DEMO.secret, DEMO.passphrase)
PEERS: Mapping[str, Callable[[Market, int], Peer]] = {
    "binance": BinancePeer,
    "bybit": BybitPeer,
    "okx": OkxPeer,
}
CODECS: Mapping[str, Callable[[], PrivateCodec]] = {
    "binance": BinancePrivateCodec,
    "bybit": BybitPrivateCodec,
    "okx": OkxPrivateCodec,
}

T = TypeVar("T")


@dataclass
class Told:
    """What a session told, in the order it did."""

    log: list[tuple[str, object]] = field(default_factory=list)
    answers: list[tuple[Errand, OrderAnswer]] = field(default_factory=list)
    silences: list[tuple[Errand, str]] = field(default_factory=list)
    updates: list[OrderUpdate] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    balances: list[Balance] = field(default_factory=list)
    positions: list[Position] = field(default_factory=list)
    findings: list[tuple[Question | str, object]] = field(default_factory=list)
    failures: list[tuple[Question, str]] = field(default_factory=list)
    outages: list[tuple[frozenset[Kind], str]] = field(default_factory=list)
    returns: list[frozenset[Kind]] = field(default_factory=list)
    syncs: int = 0
    usages: list[Usage] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def answered(self, errand: Errand, answer: OrderAnswer, now_ns: int) -> None:
        self.log.append(("answer", errand))
        self.answers.append((errand, answer))

    def unanswered(self, errand: Errand, why: str, now_ns: int) -> None:
        self.log.append(("silence", errand))
        self.silences.append((errand, why))

    def updated(self, update: OrderUpdate, now_ns: int) -> None:
        self.log.append(("update", update))
        self.updates.append(update)

    def filled(self, fill: Fill, now_ns: int) -> None:
        self.fills.append(fill)

    def balance_told(self, balance: Balance, now_ns: int) -> None:
        self.balances.append(balance)

    def position_told(self, position: Position, now_ns: int) -> None:
        self.positions.append(position)

    def funded(self, funding: Funding, now_ns: int) -> None:
        self.log.append(("funding", funding))

    def orders_found(
        self, question: OpenOrders, orders: Sequence[OrderUpdate], now_ns: int
    ) -> None:
        self.findings.append((question, list(orders)))

    def order_found(self, question: OneOrder, order: OrderUpdate | None, now_ns: int) -> None:
        self.findings.append((question, order))

    def fills_found(self, question: FillsSince, fills: Sequence[Fill], now_ns: int) -> None:
        self.findings.append((question, list(fills)))

    def funding_found(
        self, question: FundingSince, fundings: Sequence[Funding], now_ns: int
    ) -> None:
        self.findings.append((question, list(fundings)))

    def positions_found(self, positions: Sequence[Position], now_ns: int) -> None:
        self.findings.append(("positions", list(positions)))

    def balances_found(self, balances: Sequence[Balance], now_ns: int) -> None:
        self.findings.append(("balances", list(balances)))

    def rates_found(self, listing: Listing, rates: FeeRates, now_ns: int) -> None:
        self.findings.append(("rates", rates))

    def rights_found(self, rights: Permissions, now_ns: int) -> None:
        self.findings.append(("rights", rights))

    def failed(self, question: Question, why: str, now_ns: int) -> None:
        self.failures.append((question, why))

    def lost(self, venue: str, kinds: frozenset[Kind], why: str, now_ns: int) -> None:
        self.log.append(("lost", kinds))
        self.outages.append((kinds, why))

    def back(self, venue: str, kinds: frozenset[Kind], now_ns: int) -> None:
        self.log.append(("back", kinds))
        self.returns.append(kinds)

    def clock_synced(self, venue: str, now_ns: int) -> None:
        self.syncs += 1

    def usage_told(self, venue: str, usage: Usage, now_ns: int) -> None:
        self.usages.append(usage)

    def noted(self, note: Note) -> None:
        self.notes.append(note)


class Desk:
    """A session, its practice venue, and the network between them.

    Attributes:
        outputs: everything the session wanted done, in order.
        calls: when each REST request was made, and the request.
        dials: when each connection was dialled, and its route.
    """

    def __init__(
        self,
        venue: str = "binance",
        credentials: Credentials = KEY,
        *,
        skew_ns: int = 0,
        codec: PrivateCodec | None = None,
    ) -> None:
        specs = [spec for spec in practice_specs(SYMBOLS) if spec.venue == venue]
        self.market = Market(specs, PracticeConfig(seed=7), START)
        for engine in self.market.engines.values():
            highest = engine.levels("sell")[-1].ticks
            engine.place("buy", highest, 10**12, START, immediate=True)
            engine.place("sell", 1, 10**12, START, immediate=True)
        self.venue = venue
        self.codec = codec or CODECS[venue]()
        self.now_ns = START
        self.peer = FaultyPeer(PEERS[venue](self.market, 7), LAG_NS, 7)
        self.peer.skew_ns = skew_ns
        config = Config()
        self._public = registry.codec(venue, config, config.venues[venue])
        self.hosts = {face: self.peer.url(face, face) for face in self.peer.faces}
        self.listings = self._listings()
        self.spot = next(one for one in self.listings.values() if one.kind is Kind.SPOT)
        self.linear = next(one for one in self.listings.values() if one.kind is Kind.LINEAR)
        self.credentials = credentials
        self.told = Told()
        self.outputs: list[AccountOutput] = []
        self.calls: list[tuple[int, SignedRequest]] = []
        self.dials: list[tuple[int, str]] = []
        self.crashed = False
        self._connections: dict[int, int] = {}
        self._next_connection = count(1)
        self._under_way: list[tuple[int, int, Callable[[], None]]] = []
        self._serial = count()
        self._orders = count(1)
        self.begin()

    def begin(self) -> None:
        """A session from scratch, as a new process has it."""
        self.clock = VenueClock()
        self.session = AccountSession(
            self.codec,
            self.hosts,
            self._public.stream_rules,
            self.credentials,
            self.listings,
            self.clock,
            self.told,
            Random(7).random,
        )
        self.session.start(self.now_ns)

    # ---- time -------------------------------------------------------------------------------

    def run(self, ns: int, step_ns: int = STEP_NS) -> None:
        """Lets time pass."""
        end_ns = self.now_ns + ns
        while self.now_ns < end_ns:
            self.step(step_ns)

    def until(self, condition: Callable[[], object], within_ns: int = 10 * SECOND) -> None:
        """Lets time pass until a condition holds, which it must in time."""
        end_ns = self.now_ns + within_ns
        while not condition():
            assert self.now_ns < end_ns, "it did not happen in time"
            self.step()

    def crash(self) -> None:
        """The process ends: its connections are cut, and nobody does anything more."""
        self.crashed = True
        for connection in self._connections:
            self.peer.closed(connection)
        self._connections.clear()

    def step(self, step_ns: int = STEP_NS) -> None:
        self.now_ns += step_ns
        self.market.now_ns = self.now_ns
        while self._under_way and self._under_way[0][0] <= self.now_ns:
            heapq.heappop(self._under_way)[2]()
        self.peer.advance(self.now_ns)
        self._deliver()
        if self.crashed:
            return
        if self.now_ns >= self.clock.due_ns:
            self.clock.asked(self.now_ns)
            self._later(self.peer.delay_ns, partial(self._ask_time, self.now_ns))
        self.session.tick(self.now_ns)
        self._carry_out()

    # ---- the market and the desk ------------------------------------------------------------

    def ready(self) -> Desk:
        """Once every connection is logged in."""
        self.until(lambda: self.session.state(self.now_ns).logged_in)
        return self

    def crowd(self, listing: Listing, side: Side, price: str, size: str) -> None:
        """Somebody else's limit order."""
        engine = self.market.engines[self.venue, listing.kind, listing.venue_symbol]
        ticks = int(Decimal(price) / engine.spec.tick)
        lots = int(Decimal(size) / engine.spec.lot)
        engine.place(side, ticks, lots, self.now_ns)

    def order(
        self,
        listing: Listing,
        side: Side = "buy",
        price: str = "64000",
        size: str = "0.01",
        *,
        post_only: bool = False,
        time_in_force: TimeInForce = TimeInForce.GTC,
    ) -> OrderRequest:
        """An order that has not been sent."""
        client_id = f"deskmm{next(self._orders)}"
        return OrderRequest(
            client_id, listing, side, Decimal(price), Decimal(size), post_only, time_in_force
        )

    def send(self, errand: Errand) -> None:
        self.session.send(errand, self.now_ns)
        self._carry_out()

    def rest_order(self, listing: Listing, price: str = "64000") -> OrderUpdate:
        """An order that rests at the venue, as its own news tells it."""
        order = self.order(listing, price=price, post_only=True)
        self.send(order)
        self.until(lambda: self.states(order.client_id))
        return next(one for one in self.told.updates if one.client_id == order.client_id)

    def ask(self, question: Question) -> object:
        """What the venue answers to a question."""
        known = len(self.told.findings) + len(self.told.failures)
        self.session.ask(question, self.now_ns)
        self.until(lambda: len(self.told.findings) + len(self.told.failures) > known)
        assert not self.told.failures, self.told.failures
        return self.told.findings[-1][1]

    def open_orders(self) -> list[OrderUpdate]:
        """All that the venue says is open."""
        found: list[OrderUpdate] = []
        for kind in (Kind.SPOT, Kind.LINEAR):
            orders = self.ask(OpenOrders(kind))
            assert isinstance(orders, list)
            found += orders
        return found

    def answers(self, errand: Errand) -> list[OrderAnswer]:
        return [answer for one, answer in self.told.answers if one == errand]

    def states(self, client_id: str) -> list[OrderState]:
        return [one.state for one in self.told.updates if one.client_id == client_id]

    def switch(self, fault: str, amount: float | None = None) -> None:
        done = self.peer.switch(fault, self.now_ns, amount)
        assert done.accepted, done

    def lines(self, event: str) -> list[str]:
        """What the operator read of an event."""
        return [note.text for note in self.told.notes if note.event == event]

    # ---- the network ------------------------------------------------------------------------

    def _listings(self) -> dict[tuple[Kind, str], Listing]:
        found = {}
        for request in self._public.instruments(BOTH):
            url = urlsplit(self.hosts[request.route] + request.path)
            query = HttpQuery(url.netloc, "GET", url.path, url.query, {}, b"")
            body = self.peer.request(query, self.now_ns).body
            for listing in self._public.decode_instruments(request, body).listings:
                if listing.symbol in SYMBOLS:
                    found[listing.kind, listing.venue_symbol] = listing
        return found

    def _later(self, delay_ns: int, what: Callable[[], None]) -> None:
        heapq.heappush(self._under_way, (self.now_ns + delay_ns, next(self._serial), what))

    def _ask_time(self, sent_ns: int) -> None:
        request = self._public.clock()
        url = urlsplit(self.hosts[request.route] + request.path)
        query = HttpQuery(url.netloc, "GET", url.path, url.query, {}, b"")
        answer = self.peer.request(query, self.now_ns)
        if answer.status == 200:
            venue_ns = self._public.decode_clock(answer.body)

            def arrive() -> None:
                self.clock.answered(venue_ns, sent_ns, self.now_ns)

            self._later(self.peer.delay_ns, arrive)

    def _deliver(self) -> None:
        outbox, self.peer.outbox = self.peer.outbox, []
        for item in outbox:
            link = self._connections.get(item.connection)
            if link is None or self.crashed:
                continue
            match item:
                case Push(frame=frame):
                    self.session.received(link, frame, self.now_ns)
                case Close(connection=connection, code=code):
                    del self._connections[connection]
                    self.peer.closed(connection)
                    self.session.lost(link, f"closed with {code}", self.now_ns)

    def _carry_out(self) -> None:
        waiting = list(self.session.outbox)
        self.session.outbox.clear()
        self.outputs += waiting
        delay_ns = self.peer.delay_ns
        for output in waiting:
            match output:
                case Connect():
                    self.dials.append((self.now_ns, output.route))
                    self._later(delay_ns, partial(self._dialled, output))
                case Send():
                    self._later(delay_ns, partial(self._said, output))
                case Call(request=request):
                    self.calls.append((self.now_ns, request))
                    self._later(delay_ns, partial(self._asked, request))
                case Disconnect(link=link):
                    for connection in [c for c, one in self._connections.items() if one == link]:
                        del self._connections[connection]
                        self.peer.closed(connection)

    def _dialled(self, wanted: Connect) -> None:
        connection, session = next(self._next_connection), self.session
        url = urlsplit(wanted.url)
        refusal = self.peer.opened(connection, url.netloc, url.path, url.query, self.now_ns)
        delay_ns = self.peer.delay_ns
        if refusal is not None:
            reason = f"HTTP {refusal.status}"
            self._later(delay_ns, lambda: session.lost(wanted.link, reason, self.now_ns))
            return
        self._connections[connection] = wanted.link
        self._later(delay_ns, lambda: session.connected(wanted.link, self.now_ns))

    def _said(self, sent: Send) -> None:
        for connection, link in list(self._connections.items()):
            if link == sent.link:
                self.peer.received(connection, sent.frame, self.now_ns)

    def request(self, request: SignedRequest) -> HttpAnswer:
        """What the venue answers to a request at this very moment."""
        url = urlsplit(self.session.base_url(request.route) + request.path)
        query = HttpQuery(
            url.netloc, request.method, url.path, url.query, request.headers, request.body
        )
        return self.peer.request(query, self.now_ns)

    def _asked(self, request: SignedRequest) -> None:
        session = self.session
        answer = self.request(request)
        wait_s = float(answer.headers.get("Retry-After", 0))

        def arrive() -> None:
            if not self.crashed:
                session.responded(request, answer.status, answer.body, self.now_ns, wait_s)

        def cut() -> None:
            session.responded(request, 0, b"connection cut", self.now_ns)

        delay_ns = self.peer.delay_ns + answer.late_ns
        self._later(delay_ns, cut if answer.status == LOST else arrive)
