"""An engine that trades on practice venues, in virtual time: for tests of the whole chain.

No sockets, no clock: the network and the venues are those of the simulated world, the market is
calm, strategies are off, and nothing goes wrong that a test does not ask for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any

from hftmm.config import Config, MarketsConfig, PracticeConfig
from hftmm.core.instrument import Listing, Side
from hftmm.core.order import OrderIntent, TimeInForce
from hftmm.desk import commands
from hftmm.desk.commands import Answer, Command, View
from hftmm.desk.snapshot import DeskSnapshot
from hftmm.engine import by_hand, publisher
from hftmm.engine.engine import Engine
from hftmm.engine.licence import Licence
from hftmm.engine.trading import Trading
from hftmm.execution.order import Order
from hftmm.risk.portfolio import Opening
from hftmm.sim.binance import BinancePeer
from hftmm.sim.bybit import BybitPeer
from hftmm.sim.faults import FaultyPeer
from hftmm.sim.market import Market, practice_specs
from hftmm.sim.memory_journal import MemoryJournal
from hftmm.sim.network import Line, Timeline, Wire
from hftmm.sim.okx import OkxPeer
from hftmm.sim.peers import Peer
from hftmm.sim.truth import Truth
from hftmm.strategy.base import BY_HAND
from hftmm.strategy.registry import MakeStrategy
from hftmm.venues import registry
from hftmm.venues.codec import Hosts
from hftmm.venues.private import Credentials, SignedRequest
from tests.virtual_account import KEY

MS = 1_000_000
SECOND = 1_000 * MS
START = 1_780_000_020 * SECOND
TICK_NS = 20 * MS
VENUES_NS = 40 * MS
LAG_NS = 10 * MS
PERP = "BTC/USDT:USDT"
PEERS: Mapping[str, Callable[[Market, int], Peer]] = {
    "binance": BinancePeer,
    "bybit": BybitPeer,
    "okx": OkxPeer,
}
CALM = PracticeConfig(intensity=0.05, dislocation_bps=0.0, dislocations_per_minute=0.0)


class Journal(MemoryJournal):
    """Attributes: failure: why it cannot write. openings: every one it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.failure = ""
        self.openings: list[Opening] = []

    def opened(self, opening: Opening) -> None:
        super().opened(opening)
        self.openings.append(opening)


class Deaf:
    """Takes no notice of what passes."""

    def sent(self, venue: str, frame: bytes) -> None: ...

    def asked(self, venue: str, request: SignedRequest) -> None: ...

    def heard(self, venue: str, frame: bytes) -> None: ...


class TradingDesk:
    """Practice venues, a network, a journal, and an engine that is started at once.

    Attributes:
        engine, trading: of the process that runs; `restart` begins another one.
        truths: what the venues know, by venue.
    """

    engine: Engine
    trading: Trading
    wire: Wire

    def __init__(
        self,
        config: Config | None = None,
        *,
        symbols: Sequence[str] = (PERP,),
        keys: Mapping[str, Credentials] | None = None,
        strategies: Mapping[str, MakeStrategy] | None = None,
        start_ns: int = START,
        **sections: Any,
    ) -> None:
        """
        Args:
            keys: in place of the demo's, by venue.
            strategies: of other packages, by code.
            sections: of the config, by name.
        """
        made = config or Config(markets=MarketsConfig(tuple(symbols)), practice=CALM)
        self.config = replace(made, **sections)
        self.keys = dict.fromkeys(PEERS, KEY) | dict(keys or {})
        self.strategies = dict(strategies or {})
        self.timeline = Timeline(start_ns)
        self.chance = Random(7)
        practice = self.config.practice
        specs = practice_specs(self.config.markets.symbols)
        self.market = Market(specs, practice, start_ns)
        self.lines: dict[str, Line] = {}
        self.truths: dict[str, Truth] = {}
        for venue, make in PEERS.items():
            peer = FaultyPeer(make(self.market, 7), 0, 7)
            assert peer.broker is not None
            self.lines[venue] = Line(peer, self.market, LAG_NS, self.timeline, self.chance)
            self.truths[venue] = Truth(venue, peer.broker)
        self.journal = Journal()
        self.begin()
        self._every(VENUES_NS, self._move)
        self._every(TICK_NS, self._tick)

    # ---- the process --------------------------------------------------------------------------

    def begin(self, killed: str = "") -> None:
        """An engine starts from the journal."""
        codecs = registry.codecs(self.config)
        private = registry.private_codecs(self.config, codecs)
        hosts: dict[str, Hosts] = {
            venue: {face: line.peer.url(face, face) for face in line.peer.faces}
            for venue, line in self.lines.items()
        }
        history = self.journal.resume()
        licence = Licence(private, self.keys, hosts, self.journal, history, killed, self.strategies)
        self.engine = Engine(self.config, codecs, hosts, self.chance.random, licence)
        self.wire = Wire(self.engine, self.lines, self.timeline, Deaf())
        self.wire.start()
        assert self.engine.trading is not None
        self.trading = self.engine.trading

    def restart(self, killed: str = "", **sections: Any) -> None:
        """The process is killed, and another begins, with other sections of the config."""
        self.crash()
        self.config = replace(self.config, **sections)
        self.begin(killed)

    def crash(self) -> None:
        """The process is killed."""
        self.wire.crash()
        self.journal.crash(self.now_ns, 0)

    # ---- time ---------------------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        return self.timeline.now_ns

    def run(self, seconds: float) -> None:
        """Lets time pass."""
        for _ in self.timeline.until(self.now_ns + int(seconds * SECOND)):
            pass

    def until(self, condition: Callable[[], object], seconds: float = 30.0) -> None:
        """Lets time pass until something is so, and fails if it is not in time."""
        end_ns = self.now_ns + int(seconds * SECOND)
        while not condition():
            assert self.now_ns < end_ns, f"waited in vain; {self.engine.state_reason}"
            self.run(TICK_NS / SECOND)

    def armed(self) -> TradingDesk:
        """As soon as it trades, and every book is there."""
        self.until(lambda: self.engine.state == "ARMED" and self._complete())
        return self

    # ---- what a test does ---------------------------------------------------------------------

    def command(self, command: Command) -> Answer:
        """What an operator asks."""
        answer = by_hand.carry_out(self.engine, command, self.now_ns)
        self.wire.carry_out()
        return answer

    def listing(self, venue: str, symbol: str = PERP) -> Listing:
        book = self.trading.book(symbol)
        assert book is not None
        return next(each.book.listing for each in book.members if each.venue == venue)

    def price(self, venue: str, side: Side, away_bps: float, symbol: str = PERP) -> Decimal:
        """So far on the passive side of the touch; negative takes."""
        listing = self.listing(venue, symbol)
        book = self.trading.order_book(listing)
        assert book is not None
        sign = -1 if side == "buy" else 1
        touch = book.bid if side == "buy" else book.ask
        return listing.price(touch * (1 + sign * away_bps / 10_000), side)

    def order(
        self,
        venue: str,
        side: Side = "buy",
        size: str = "0.010",
        away_bps: float = 50.0,
        *,
        code: str = BY_HAND,
        ioc: bool = False,
        urgent: bool = False,
        symbol: str = PERP,
    ) -> object:
        """An order of a strategy that is sent; what became of the wish."""
        intent = OrderIntent(
            code,
            self.listing(venue, symbol),
            side,
            self.price(venue, side, away_bps, symbol),
            Decimal(size),
            time_in_force=TimeInForce.IOC if ioc else TimeInForce.GTC,
            urgent=urgent,
        )
        sent = self.trading.submit(intent, self.now_ns)
        self.trading.act(self.now_ns)
        self.wire.carry_out()
        return sent

    def rest(self, venue: str, side: Side = "buy", *, code: str = BY_HAND) -> Order:
        """An order that stands in the venue's book, far from the market."""
        order = self.order(venue, side, code=code)
        assert isinstance(order, Order), order
        self.until(lambda: order.seen and order.live)
        return order

    def take(
        self, venue: str, side: Side = "buy", size: str = "0.010", *, code: str = BY_HAND
    ) -> Order:
        """An order that traded at once."""
        order = self.order(venue, side, size, -20.0, code=code, ioc=True)
        assert isinstance(order, Order), order
        self.until(lambda: order.state.final and order.filled == order.booked)
        assert order.booked == Decimal(size)
        return order

    def switch(self, name: str, *, on: bool) -> None:
        assert self.command(commands.Toggle(name, on)).accepted

    def fault(self, venue: str, name: str, amount: float | None = None) -> None:
        """Something goes wrong at a venue."""
        assert self.lines[venue].peer.switch(name, self.now_ns, amount).accepted
        self.lines[venue].flush()

    def open(self, venue: str) -> int:
        """Orders of ours that stand there, by the venue's own books."""
        return len(self.truths[venue].open_orders())

    def picture(self, market: str = PERP) -> DeskSnapshot:
        return publisher.snapshot(self.engine, View(market), 1, self.now_ns)

    def notes(self, source: str = "") -> list[str]:
        """Lines of the log, those of one source."""
        return [row.text for row in self.engine.log.rows if source in row.source]

    # -------------------------------------------------------------------------------------------

    def _complete(self) -> bool:
        books = [market.book for market in self.engine.markets.values()]
        return all(len(book.eligible) == len(PEERS) for book in books)

    def _every(self, span_ns: int, what: Callable[[], None]) -> None:
        def again() -> None:
            what()
            self.timeline.at(self.now_ns + span_ns, again)

        self.timeline.at(self.now_ns + span_ns, again)

    def _move(self) -> None:
        self.market.advance(self.now_ns)
        for line in self.lines.values():
            line.advance()

    def _tick(self) -> None:
        if self.wire.alive:
            self.wire.tick()
