"""CPU a frame from the bytes of a recorded depth frame to the decision of every strategy.

    python -m benchmarks.wire_to_decision CAPTURE [--rounds N]

The frames of `wire_to_nbbo.py` run through books, NBBO and detection, and then through market
making, arbitrage and hedging, all switched on, behind the risk manager: once at the venue that was
recorded, alone; and once at three venues, each a frame behind the one before, so that quotes stand
and move. Accounts are ready and take every order; what a venue answers to it is worked off after
the frame, and its time told apart. No byte of an order is built or sent: `order_path.py` measures
that.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Final, TypeAlias, cast
from unittest.mock import patch

from benchmarks.wire_to_nbbo import (
    Bench,
    Ours,
    bare_decode,
    compare,
    cpu,
    depth_frames,
    nautilus,
)
from hftmm.config import VENUES, Config
from hftmm.core.order import (
    Amendment,
    Balance,
    OrderRequest,
    OrderState,
    OrderUpdate,
    TimeInForce,
)
from hftmm.engine.account import Account
from hftmm.engine.engine import Engine
from hftmm.engine.licence import Licence
from hftmm.engine.trading import Trading
from hftmm.execution.action import Action, Amend, Cancel, Place
from hftmm.execution.order import Order
from hftmm.risk.portfolio import Opening
from hftmm.sim.memory_journal import Past
from hftmm.storage.replay import Replay
from hftmm.transport.driver import Driver
from hftmm.transport.websocket import OnFrame, StreamConnection
from hftmm.venues import registry
from hftmm.venues.account import AccountSession
from hftmm.venues.codec import Feed, FeedKind, Request
from hftmm.venues.effects import Connect
from hftmm.venues.private import Credentials
from hftmm.venues.session import VenueSession

WEALTH = Decimal(10_000_000)
Turn: TypeAlias = tuple[VenueSession, int, bytes, int]


class NoRecords:
    """A journal that keeps nothing: writing is not on the measured way, see `journal.py`."""

    failure = ""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return _nothing


def _nothing(*_: object) -> None:
    pass


class Silent:
    """A session that wants nothing sent."""

    outbox: Final[list[object]] = []


class Taker(Account):
    """An account that agrees with us, at a venue that does what it is asked, but for what would
    have to trade: nobody meets an IOC order. Its answers wait in `answers`.
    """

    session = cast("AccountSession", Silent())
    answers: Final[list[OrderUpdate]] = []

    def perform(self, action: Action, now_ns: int) -> None:
        match action:
            case Place(request):
                taking = request.time_in_force is TimeInForce.IOC
                state = OrderState.EXPIRED if taking else OrderState.OPEN
                self._answer(request, state, now_ns)
            case Amend(change):
                self._answer(change, OrderState.OPEN, now_ns)
            case Cancel(client_id=client_id):
                order = self._manager.order(client_id)
                if order is not None:
                    self._answer(order, OrderState.CANCELED, now_ns)

    def tick(self, now_ns: int) -> None:
        pass

    def _answer(self, terms: OrderRequest | Amendment | Order, state: OrderState, ns: int) -> None:
        self.answers.append(
            OrderUpdate(
                terms.listing,
                terms.client_id,
                f"v{terms.client_id}",
                terms.side,
                state,
                filled=Decimal(0),
                average=None,
                price=terms.price,
                size=terms.size,
                rejection=None,
                text="",
                venue_ns=ns,
                received_ns=ns,
            )
        )


@dataclass
class Desk:
    """An engine that trades what a recording of one market tells, at these venues.

    Attributes:
        turns: each depth frame as `received` takes it.
        answers_ns: CPU time of what venues answered, which is not that of frames.
    """

    engine: Engine
    trading: Trading
    turns: list[Turn]
    answers_ns: int = 0

    def run(self) -> int:
        """All frames; CPU nanoseconds."""
        settle = self.engine.settle

        def loop() -> None:
            for session, link, body, now_ns in self.turns:
                session.received(link, body, now_ns)
                settle(now_ns)
                if Taker.answers:
                    self.hear(now_ns)

        return self._checked(cpu(loop))

    def run_driven(self) -> int:
        """The same as a driver calls it for frames of its connections, one a socket read."""
        now_ns = 0
        driver = Driver(self.engine, clock=lambda: now_ns)
        connections = asyncio.run(self.connected(driver))
        frames = [
            (connections[session.venue, link], body, at_ns)
            for session, link, body, at_ns in self.turns
        ]

        def loop() -> None:
            nonlocal now_ns
            for on_frame, body, now_ns in frames:
                on_frame(body, True)
                if Taker.answers:
                    self.hear(now_ns)

        return self._checked(cpu(loop))

    async def connected(self, driver: Driver) -> dict[tuple[str, int], OnFrame]:
        """What the driver makes of a frame, by venue and link."""
        made: list[OnFrame] = []

        async def connect(url: str, on_frame: OnFrame, *_: object, **__: object) -> None:
            made.append(on_frame)

        places = {(session.venue, link): session for session, link, *_ in self.turns}
        with patch.object(StreamConnection, "connect", connect):
            for (_, link), session in places.items():
                await driver._connect(session, Connect(link, "", ""))
        return dict(zip(places, made, strict=True))

    def hear(self, now_ns: int) -> None:
        """Works off what venues answered."""
        begun = time.process_time_ns()
        while Taker.answers:
            answers = Taker.answers.copy()
            Taker.answers.clear()
            for answer in answers:
                self.trading.manager.updated(answer, now_ns)
            self.trading.act(now_ns)
        self.answers_ns += time.process_time_ns() - begun

    def _checked(self, spent: int) -> int:
        """What was spent on frames, all books still in order."""
        for session in self.engine.exchanges:
            for depth in session.depths.values():
                if depth.sync.gaps or not depth.book.valid:
                    raise SystemExit(f"{depth.feed.listing.key}: {depth.book.reason or 'gap'}")
        return spent - self.answers_ns


def desk(capture: Path, venues: Sequence[str]) -> Desk:
    """Snapshots are in and strategies on; only depth frames are left."""
    replay = Replay(Config(), [capture])
    of = replay.contents.frames[0].venue
    config = _config(replay, venues)
    codecs = {}
    for venue in venues:
        # Every venue talks like the one that was recorded.
        codecs[venue] = copy(replay.engine.exchanges.sessions[of].codec)
        codecs[venue].venue = venue
    hosts = {venue: codec.hosts("live") for venue, codec in codecs.items()}
    engine = Engine(config, codecs, hosts, lambda: 0.0)
    now_ns = replay.contents.frames[0].received_ns
    links = {
        venue: {
            route: session.adopt(feeds, now_ns) for route, feeds in _feeds(replay, venue).items()
        }
        for venue, session in engine.exchanges.sessions.items()
    }
    for frame in replay.contents.frames:
        if frame.is_rest:
            url, body = frame.rest()
            asked = codecs[of].recognise(frame.route, url)
            if asked is not None and asked.purpose == "book":
                for session in engine.exchanges:
                    (key,) = session.depths
                    answer = Request(asked.route, asked.path, "book", 0, key)
                    session.responded(answer, 200, body, frame.received_ns)
    trading = engine.trading = _trading(engine, now_ns)
    played: list[Turn] = []
    frames = depth_frames(replay)
    for at in range(len(frames) + len(venues) - 1):
        for behind, venue in enumerate(venues):
            if 0 <= at - behind < len(frames):
                frame = frames[at - behind]
                session = engine.exchanges.sessions[venue]
                now_ns = frames[min(at, len(frames) - 1)].received_ns
                played.append((session, links[venue][frame.route], frame.body, now_ns))
    now_ns = played[0][-1]
    trading.tick(now_ns)
    for strategy in trading.strategies:
        strategy.switch(True, "", now_ns)
    return Desk(engine, trading, played)


def _config(replay: Replay, venues: Sequence[str]) -> Config:
    """Defaults, for what was recorded; a quiet moment of it makes nothing stale."""
    own = next(iter(replay.engine.config.venues.values()))
    base = Config()
    return replace(
        replay.engine.config,
        venues={
            venue: replace(base.venues[venue], max_age_ms=own.max_age_ms, max_lag_ms=own.max_lag_ms)
            for venue in venues
        },
        market_making=replace(base.market_making, max_age_ms=600_000),
    )


def _feeds(replay: Replay, venue: str) -> dict[str, list[Feed]]:
    """The depth feeds that were recorded, as if of this venue, by route."""
    routes: dict[str, list[Feed]] = {}
    for stream in replay.contents.streams.values():
        feed = stream.feed
        if feed.kind is FeedKind.DEPTH:
            listing = replace(feed.listing, venue=venue)
            routes.setdefault(feed.route, []).append(replace(feed, listing=listing))
    return routes


def _trading(engine: Engine, now_ns: int) -> Trading:
    """What trades, with an account at every venue that takes everything."""
    config = engine.config
    private = registry.private_codecs(config, registry.codecs(config))
    keys = dict.fromkeys(config.venues, Credentials("benchmark", "benchmark"))
    balances = tuple(
        Balance(venue, wallet, "USDT", WEALTH, WEALTH, now_ns, now_ns)
        for venue in config.venues
        for wallet in ("", "linear")
    )
    history = Past(0, (), (), {}, "", Opening(now_ns, balances, ()), (), ())
    trading = Trading(
        config,
        Licence(private, keys, {}, NoRecords(), history),
        engine.markets,
        engine.exchanges,
        engine.noted,
        lambda *_: None,
        lambda: 0.0,
        now_ns,
    )
    for venue in config.venues:
        past = trading.accounts[venue]._past
        account = Taker(venue, trading.manager, trading.portfolio, trading, past)
        account.why = ""
        trading.accounts[venue] = trading.started[venue] = account
    for balance in balances:
        trading.portfolio.told_balance(balance, now_ns)
    return trading


def compare_all(capture: Path, rounds: int) -> None:
    """Prints the table; the ratios are to the bare decode of as many frames."""
    replay = Replay(Config(), [capture])
    frames = depth_frames(replay)
    count = len(frames)
    sent: dict[str, tuple[int, float]] = {}

    def deciding(name: str, venues: Sequence[str], *, driven: bool = False) -> Bench:
        def run() -> int:
            at = desk(capture, venues)
            spent = (at.run_driven() if driven else at.run()) * count // len(at.turns)
            sent[name] = (at.trading.orders_sent, at.answers_ns / len(at.turns) / 1e3)
            return spent

        return Bench(name, run)

    benches = [
        bare_decode(frames),
        Bench("hftmm, wire to NBBO and detection", Ours([capture], 1).run),
        deciding("hftmm, wire to decision, one venue", [frames[0].venue]),
        deciding("hftmm, wire to decision, one venue, driven", [frames[0].venue], driven=True),
        deciding("hftmm, wire to decision, three venues", VENUES),
        *(each for each in [nautilus(frames)] if each is not None),
    ]
    print(f"\n{capture.name}: {count} depth frames")
    compare(benches, count, rounds)
    for name, (orders, answers_us) in sent.items():
        print(
            f"{name}: {orders} orders and changes; their answers {answers_us:.2f} us a frame more"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("captures", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    for capture in options.captures:
        compare_all(capture, options.rounds)


if __name__ == "__main__":
    main()
