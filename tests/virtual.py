"""The whole desk in virtual time: practice venues, their network, and a real engine.

No sockets, no clock: `World.run` moves time in small steps and carries what either side says to
the other after the venue's lag, as the driver and the venues' server do over loopback.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from random import Random
from urllib.parse import urlsplit

from hftmm.book.order_book import ASKS, BIDS, OrderBook
from hftmm.config import Config, MarketsConfig, PracticeConfig
from hftmm.core.events import Trade
from hftmm.core.instrument import Side
from hftmm.engine.engine import Engine
from hftmm.sim.binance import BinancePeer
from hftmm.sim.bybit import BybitPeer
from hftmm.sim.faults import FaultyPeer
from hftmm.sim.market import Market, practice_specs
from hftmm.sim.matching import MatchingEngine
from hftmm.sim.okx import OkxPeer
from hftmm.sim.peers import Close, HttpQuery, Peer, Push
from hftmm.venues import registry
from hftmm.venues.codec import Hosts, Request, VenueCodec
from hftmm.venues.depth import DepthFeed
from hftmm.venues.effects import Connect, Disconnect, Fetch, Note, Send
from hftmm.venues.session import VenueSession

MILLISECOND = 1_000_000
SECOND = 1_000_000_000
START_NS = 1_790_000_000 * SECOND
STEP_NS = 5 * MILLISECOND
PEERS: Mapping[str, Callable[[Market, int], Peer]] = {
    "binance": BinancePeer,
    "bybit": BybitPeer,
    "okx": OkxPeer,
}
VENUES = tuple(PEERS)
SPOT, LINEAR = "BTC/USDT", "BTC/USDT:USDT"

Touch = tuple[float, float, float, float]


class WatchedEngine(Engine):
    """An engine that notes what it is told, and holds what must hold after every call."""

    notes: list[Note]
    trades: list[Trade]
    fallen: list[tuple[int, str, str]]
    """(when, venue, symbol) of each time a book was told of while it was invalid."""

    def book_moved(self, book: OrderBook, now_ns: int) -> None:
        super().book_moved(book, now_ns)
        market = self.markets[book.listing.symbol]
        venues = {quote.venue for quote in market.book.eligible}
        assert all(member.book.valid for member in market.book.eligible)
        if not book.valid:
            assert book.listing.venue not in venues, "an invalid book is in the NBBO"
            self.fallen.append((now_ns, book.listing.venue, book.listing.symbol))

    def traded(self, trade: Trade) -> None:
        super().traded(trade)
        self.trades.append(trade)

    def noted(self, note: Note) -> None:
        super().noted(note)
        self.notes.append(note)


@dataclass
class Line:
    """One venue's end of the network.

    Attributes:
        connections: link number of the session by connection number of the peer.
        controls: when each control message was sent, by link.
        requests: when each REST request was sent, with its path.
        dials: when each connection was dialled, with its route.
    """

    peer: FaultyPeer
    session: VenueSession
    connections: dict[int, int] = field(default_factory=dict)
    controls: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    requests: list[tuple[int, str]] = field(default_factory=list)
    dials: list[tuple[int, str]] = field(default_factory=list)


class World:
    """Practice venues and an engine that watches them.

    Attributes:
        now_ns: virtual time.
        lines: by venue.
        truth: by listing key, the touches that a venue could have published, with their times.
        strays: (when, listing key, touch) of quotes in the NBBO that were never true in time.
        tolerance_ns: how old a quote in the NBBO may be beyond its venue's lag.
        tamper: what becomes of a frame on its way to us: given the venue and the frame; None loses
            it.
        tamper_rest: the same for the body of an answer, given the venue and the request.
    """

    def __init__(
        self,
        seed: int = 7,
        symbols: tuple[str, ...] = (LINEAR, SPOT),
        *,
        codecs: Mapping[str, VenueCodec] | None = None,
        venues: tuple[str, ...] = VENUES,
        intensity: float = 1.0,
        tolerance_ns: int = 120 * MILLISECOND,
    ) -> None:
        config = Config(
            markets=MarketsConfig(symbols=symbols),
            practice=PracticeConfig(seed=seed, intensity=intensity),
        )
        config = replace(config, venues={name: config.venues[name] for name in venues})
        self.config = config
        self.now_ns = START_NS
        self.tolerance_ns = tolerance_ns
        specs = [spec for spec in practice_specs(symbols) if spec.venue in venues]
        self.market = Market(specs, config.practice, START_NS)
        lags = dict(config.practice.lag_ms)
        peers = {
            name: FaultyPeer(
                PEERS[name](self.market, seed + number), lags[name] * MILLISECOND, seed + number
            )
            for number, name in enumerate(venues)
        }
        given = codecs or {}
        chosen = {
            name: given.get(name) or registry.codec(name, config, config.venues[name])
            for name in venues
        }
        hosts: dict[str, Hosts] = {
            name: {face: peer.url(face, face) for face in peer.faces}
            for name, peer in peers.items()
        }
        self.jitter = Random(seed)
        self.engine = WatchedEngine(config, chosen, hosts, self.jitter.random)
        self.engine.notes, self.engine.trades, self.engine.fallen = [], [], []
        sessions = self.engine.exchanges.sessions
        self.lines = {name: Line(peers[name], sessions[name]) for name in venues}
        self.truth: dict[str, list[tuple[int, Touch]]] = defaultdict(list)
        self.strays: list[tuple[int, str, Touch]] = []
        self.tamper: Callable[[str, bytes], bytes | None] = lambda _, frame: frame
        self.tamper_rest: Callable[[str, Request, bytes], bytes] = lambda *given: given[2]
        self._matching = {
            f"{engine.spec.venue} {engine.spec.symbol}": engine
            for engine in self.market.engines.values()
        }
        self._under_way: list[tuple[int, int, Callable[[], None]]] = []
        self._serial = count()
        self._connection = count(1)
        self.engine.start(self.now_ns)

    # ---- time -------------------------------------------------------------------------------

    def run(self, ns: int, *, trading: bool = True) -> None:
        """Lets time pass; without `trading` the matching engines stand still, so that everything
        said so far arrives.
        """
        end_ns = self.now_ns + ns
        while self.now_ns < end_ns:
            self.step(trading=trading)

    def until(self, condition: Callable[[], bool], within_ns: int) -> int:
        """Lets time pass until a condition holds; returns how long it took.

        Raises:
            AssertionError: it did not hold in time.
        """
        began_ns = self.now_ns
        while not condition():
            assert self.now_ns - began_ns < within_ns, f"not within {within_ns / SECOND} s"
            self.step()
        return self.now_ns - began_ns

    def step(self, *, trading: bool = True) -> None:
        """One step of time."""
        self.now_ns += STEP_NS
        now_ns = self.now_ns
        if trading:
            self.market.advance(now_ns)
            self._remember()
        while self._under_way and self._under_way[0][0] <= now_ns:
            heapq.heappop(self._under_way)[2]()
        for line in self.lines.values():
            line.peer.advance(now_ns)
            self._deliver(line)
        self.engine.settle(now_ns)
        self.engine.tick(now_ns)
        for line in self.lines.values():
            self._carry_out(line)
        self._compare_quotes()

    # ---- what is known ----------------------------------------------------------------------

    def depth(self, venue: str, symbol: str) -> DepthFeed:
        return self.lines[venue].session.depths[f"{venue} {symbol}"]

    def depths(self, venue: str) -> list[DepthFeed]:
        return list(self.lines[venue].session.depths.values())

    def live(self, *venues: str) -> bool:
        """Whether every book of these venues, or of all, counts in the NBBO."""
        chosen = venues or tuple(self.lines)
        return all(
            venue in {member.venue for member in market.book.eligible}
            for market in self.engine.markets.values()
            for venue in chosen
        )

    def differences(self, *venues: str) -> list[str]:
        """Books of these venues, or of all, that are not those of the matching engines."""
        found = []
        for venue in venues or tuple(self.lines):
            for depth in self.depths(venue):
                engine = self._matching[depth.feed.listing.key]
                for side in ("buy", "sell"):
                    ours, theirs = shown(depth.book, side), true_levels(engine, depth.book, side)
                    if ours != theirs:
                        found.append(f"{venue} {depth.feed.listing.symbol} {side}")
        return found

    def lost_notes(self, venue: str) -> list[str]:
        """What the operator read of lost books of a venue."""
        notes = self.engine.notes
        return [note.text for note in notes if (note.venue, note.event) == (venue, "book lost")]

    def forget(self) -> None:
        """What happened so far is no longer of interest."""
        self.engine.notes.clear()
        self.engine.trades.clear()
        self.engine.fallen.clear()
        self.strays.clear()

    def quiesce(self) -> None:
        """Trading stops until everything that was said has arrived."""
        self.run(600 * MILLISECOND, trading=False)

    def _remember(self) -> None:
        for key, engine in self._matching.items():
            touch = true_touch(engine)
            history = self.truth[key]
            if not history or history[-1][1] != touch:
                history.append((self.now_ns, touch))

    def _compare_quotes(self) -> None:
        """Notes quotes in the NBBO that were not the venue's within its lag and the tolerance."""
        for market in self.engine.markets.values():
            for member in market.book.eligible:
                book = member.book
                touch = (book.bid, book.bid_size, book.ask, book.ask_size)
                delay_ns = self.lines[member.venue].peer.delay_ns
                since_ns = self.now_ns - delay_ns - self.tolerance_ns
                key = book.listing.key
                history = self.truth[key]
                first = max(0, bisect_left(history, since_ns, key=lambda entry: entry[0]) - 1)
                if not any(same(touch, entry[1]) for entry in history[first:]):
                    self.strays.append((self.now_ns, key, touch))

    # ---- the network ------------------------------------------------------------------------

    def _later(self, delay_ns: int, what: Callable[[], None]) -> None:
        heapq.heappush(self._under_way, (self.now_ns + delay_ns, next(self._serial), what))

    def _deliver(self, line: Line) -> None:
        outbox, line.peer.outbox = line.peer.outbox, []
        for item in outbox:
            link = line.connections.get(item.connection)
            if link is None:
                continue
            match item:
                case Push(frame=frame):
                    arriving = self.tamper(line.peer.venue, frame)
                    if arriving is not None:
                        line.session.received(link, arriving, self.now_ns)
                case Close(connection=connection, code=code):
                    del line.connections[connection]
                    line.peer.closed(connection)
                    line.session.lost(link, f"closed with {code}", self.now_ns)

    def _carry_out(self, line: Line) -> None:
        waiting = deque(line.session.outbox)
        line.session.outbox.clear()
        delay_ns = line.peer.delay_ns
        for output in waiting:
            match output:
                case Connect():
                    line.dials.append((self.now_ns, output.route))
                    self._later(delay_ns, partial(self._dialled, line, output))
                case Send():
                    line.controls[output.link].append(self.now_ns)
                    self._later(delay_ns, partial(self._said, line, output))
                case Fetch():
                    line.requests.append((self.now_ns, output.request.path))
                    self._later(delay_ns, partial(self._asked, line, output, self.now_ns))
                case Disconnect(link=link):
                    for connection in [c for c, known in line.connections.items() if known == link]:
                        del line.connections[connection]
                        line.peer.closed(connection)

    def _dialled(self, line: Line, wanted: Connect) -> None:
        connection = next(self._connection)
        url = urlsplit(wanted.url)
        refusal = line.peer.opened(connection, url.netloc, url.path, url.query, self.now_ns)
        delay_ns = line.peer.delay_ns
        if refusal is not None:
            reason = f"HTTP {refusal.status}"
            self._later(delay_ns, lambda: line.session.lost(wanted.link, reason, self.now_ns))
            return
        line.connections[connection] = wanted.link
        self._later(delay_ns, lambda: line.session.connected(wanted.link, self.now_ns))

    def _said(self, line: Line, sent: Send) -> None:
        for connection, link in line.connections.items():
            if link == sent.link:
                line.peer.received(connection, sent.frame, self.now_ns)
                return

    def _asked(self, line: Line, asked: Fetch, sent_ns: int) -> None:
        request = asked.request
        url = urlsplit(line.session.base_url(request.route) + request.path)
        query = HttpQuery(url.netloc, request.method, url.path, url.query, {}, b"")
        answer = line.peer.request(query, self.now_ns)

        def arrive() -> None:
            session = line.session
            if request.purpose == "clock" and answer.status == 200:
                session.clock_answered(answer.body, sent_ns, self.now_ns)
                return
            wait = answer.headers.get("Retry-After")
            if answer.status != 200 and wait:
                session.pause(float(wait), self.now_ns)
            body = self.tamper_rest(line.peer.venue, request, answer.body)
            session.responded(request, answer.status, body, self.now_ns)

        self._later(line.peer.delay_ns, arrive)


def true_touch(engine: MatchingEngine) -> Touch:
    """Best bid, its size, best ask, its size."""
    numbers = []
    for side in ("buy", "sell"):
        best = engine.best("buy" if side == "buy" else "sell")
        numbers += [
            float(engine.spec.tick * best.ticks) if best else 0.0,
            float(engine.spec.lot * best.lots) if best else 0.0,
        ]
    bid, bid_size, ask, ask_size = numbers
    return bid, bid_size, ask, ask_size


def same(one: Touch, other: Touch) -> bool:
    """Equal prices, and sizes but for the rounding of contracts to coins."""
    return (
        one[0] == other[0]
        and one[2] == other[2]
        and abs(one[1] - other[1]) <= 1e-9 * other[1]
        and abs(one[3] - other[3]) <= 1e-9 * other[3]
    )


def shown(book: OrderBook, side: Side) -> list[tuple[float, float]]:
    """Levels of a book within its known depth."""
    ticks, sizes = book.levels(BIDS if side == "buy" else ASKS)
    scale = 10**book.listing.decimals
    edge = book.bid_floor if side == "buy" else book.ask_ceiling
    return [
        (tick / scale, round(size, 9))
        for tick, size in zip(ticks.tolist(), sizes.tolist(), strict=True)
        if edge is None or (tick >= edge if side == "buy" else tick <= edge)
    ]


def true_levels(engine: MatchingEngine, book: OrderBook, side: Side) -> list[tuple[float, float]]:
    """Levels of a matching engine as far as its venue's stream goes."""
    spec = engine.spec
    depth = {"binance": None, "bybit": 50, "okx": 400}[spec.venue]
    edge = book.bid_floor if side == "buy" else book.ask_ceiling
    scale = 10**book.listing.decimals
    levels = [
        (float(spec.tick * level.ticks), round(float(spec.lot * level.lots), 9))
        for level in engine.levels(side, depth)
    ]
    if edge is None:
        return levels
    limit = edge / scale
    return [row for row in levels if (row[0] >= limit if side == "buy" else row[0] <= limit)]
