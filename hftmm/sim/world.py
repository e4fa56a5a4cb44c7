"""The whole desk in virtual time: practice venues, their network, an engine that trades on them,
and an operator. What goes wrong is drawn from a seed; what must hold is looked at after every
event.

    python -m hftmm.sim.world --seed 17 --minutes 10
"""

from __future__ import annotations

import hashlib
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

import msgspec
from cyclopts import App

from hftmm.config import (
    ArbitrageConfig,
    Config,
    MarketMakingConfig,
    MarketsConfig,
    PracticeConfig,
)
from hftmm.desk.commands import Answer, Command
from hftmm.engine import by_hand
from hftmm.engine.engine import Engine
from hftmm.engine.licence import Licence
from hftmm.engine.trading import Trading
from hftmm.sim.binance import BinancePeer
from hftmm.sim.bybit import BybitPeer
from hftmm.sim.faults import FAULTS, FaultyPeer
from hftmm.sim.invariants import Inspector, Violation
from hftmm.sim.ledger import DEMO
from hftmm.sim.market import Market, practice_specs
from hftmm.sim.memory_journal import WRITTEN_WITHIN_NS, MemoryJournal
from hftmm.sim.network import Line, Timeline, Wire
from hftmm.sim.okx import OkxPeer
from hftmm.sim.operator import Operator
from hftmm.sim.peers import Peer
from hftmm.sim.schedule import NAMES, Episode, schedule
from hftmm.sim.truth import Truth
from hftmm.venues import registry
from hftmm.venues.codec import MILLISECOND, SECOND, Hosts
from hftmm.venues.private import Credentials

PEERS: Final[Mapping[str, Callable[[Market, int], Peer]]] = {
    "binance": BinancePeer,
    "bybit": BybitPeer,
    "okx": OkxPeer,
}
KEY: Final = Credentials(DEMO.key, DEMO.secret, DEMO.passphrase)

FUNDING_NS: Final = 62_146 * 28_800 * SECOND
"""A moment at which perpetuals pay funding, and no day ends."""
START_NS: Final = FUNDING_NS - 45 * SECOND
VENUES_NS: Final = 80 * MILLISECOND
"""How often the market and the venues move on by themselves."""
TICK_NS: Final = 70 * MILLISECOND
AUDIT_NS: Final = 250 * MILLISECOND
OPERATOR_NS: Final = 1 * SECOND
REST_NS: Final = 150 * SECOND
"""How long everything has, once nothing is wrong any more, to come to rest."""


def world_config(seed: int) -> Config:
    """Both strategies on, on one perpetual and one spot market, and a market that is calm enough to
    be simulated fast and disagrees enough to be traded.
    """
    symbols = ("BTC/USDT:USDT", "BTC/USDT")
    return Config(
        markets=MarketsConfig(symbols=symbols),
        market_making=MarketMakingConfig(enabled=True),
        arbitrage=ArbitrageConfig(enabled=True),
        practice=PracticeConfig(
            seed=seed, intensity=0.03, dislocation_bps=20.0, dislocations_per_minute=10.0
        ),
    )


class Outcome(msgspec.Struct, frozen=True):
    """What became of one seed.

    Attributes:
        violation: what did not hold, one line; "" if all did.
        digest: of the log, and of every frame that passed.
        factor: how many times faster than real time it ran, by the CPU's time.
    """

    seed: int
    violation: str
    digest: str
    factor: float
    seconds: float
    placed: Mapping[str, int]
    traded: Mapping[str, int]


class World:
    """Three practice venues, an engine with everything on, its journal, and an operator.

    Attributes:
        timeline: virtual time. engine, trading: those of the process that runs.
        log: what happened, one line each.
    """

    trading: Trading

    def __init__(
        self, seed: int, names: Sequence[str] = NAMES, config: Config | None = None
    ) -> None:
        """
        Args:
            names: what may go wrong; see `schedule`.
        """
        self.seed: Final = seed
        self.config: Final = config or world_config(seed)
        self.timeline: Final = Timeline(START_NS)
        self.log: Final[list[str]] = []
        self._names: Final = names
        self._chance: Final = Random(f"world {seed}")
        self._digest: Final = hashlib.sha256()
        practice = self.config.practice
        self.market: Final = Market(practice_specs(self.config.markets.symbols), practice, START_NS)
        lags = dict(practice.lag_ms)
        self.lines: Final = {
            venue: Line(
                FaultyPeer(make(self.market, seed + number), 0, seed + number),
                self.market,
                lags[venue] * MILLISECOND,
                self.timeline,
                self._chance,
            )
            for number, (venue, make) in enumerate(PEERS.items())
        }
        self.truths: Final = {
            venue: Truth(venue, line.peer.broker)
            for venue, line in self.lines.items()
            if line.peer.broker is not None
        }
        self.journal: Final = MemoryJournal()
        self.inspector: Final = Inspector(
            self.journal, self.truths, self._now, self._tell, self._digest.update
        )
        self._wrong: Final[dict[str, list[Episode]]] = {venue: [] for venue in self.lines}
        self._operator: Final = Operator(self.config, self.inspector, self.command)
        self._down = 0
        self._begin()
        self._every(VENUES_NS, self._move_venues)
        self._every(TICK_NS, self._tick)
        self._every(AUDIT_NS, self._audit)
        self._every(OPERATOR_NS, self._tend)

    # ---- running ------------------------------------------------------------------------------

    def run(self, span_ns: int) -> None:
        """Lets so much time pass with everything that goes wrong, then without until all rests.

        Raises:
            Violation: something that must hold does not.
        """
        end_ns = START_NS + span_ns
        venues = [*self.lines]
        for episode in schedule(self.seed, START_NS, end_ns - SECOND, venues, self._names):
            self.timeline.at(episode.start_ns, partial(self._start, episode))
            self.timeline.at(episode.end_ns, partial(self._end, episode))
        self.advance(end_ns - self.timeline.now_ns)
        self._wind_up()

    def advance(self, span_ns: int) -> None:
        """Lets time pass.

        Raises:
            Violation: something that must hold does not.
        """
        inspector = self.inspector
        try:
            for _ in self.timeline.until(self.timeline.now_ns + span_ns):
                inspector.look()
                if inspector.violation is not None:
                    raise inspector.violation
        except Exception as error:
            if inspector.violation is not None:
                raise inspector.violation from None
            if isinstance(error, Violation):
                raise
            where = traceback.extract_tb(error.__traceback__)[-5:]
            words = f"{error!r} in {' > '.join(frame.name for frame in where)}"
            raise Violation("defect", words, self.timeline.now_ns) from error

    def command(self, command: Command) -> Answer:
        """What the operator asks."""
        answer = by_hand.carry_out(self.engine, command, self.timeline.now_ns)
        self._tell(f"command {command!r}: {answer.text}")
        self.wire.carry_out()
        return answer

    @property
    def digest(self) -> str:
        """Of the log and of every frame that passed."""
        whole = self._digest.copy()
        whole.update("\n".join(self.log).encode())
        return whole.hexdigest()

    def _wind_up(self) -> None:
        """Nothing is wrong any more, and nothing new is begun."""
        self._tell("ending")
        self._operator.leaving = True
        self._operator.hurry()
        for venue, line in self.lines.items():
            line.peer.switch("none", self.timeline.now_ns)
            line.flush()
            self._wrong[venue].clear()
            self.inspector.calm_ns[venue] = self.timeline.now_ns
        end_ns = self.timeline.now_ns + REST_NS
        restless = ["not looked at"]
        while restless and self.timeline.now_ns < end_ns:
            self.advance(5 * SECOND)
            restless = self.inspector.rest()
        if restless:
            raise Violation("rest", "; ".join(restless[:4]), self.timeline.now_ns)
        for line in self.lines.values():
            if line.peer.broker is not None:
                line.peer.broker._check()

    # ---- what moves by itself -----------------------------------------------------------------

    def _every(self, span_ns: int, what: Callable[[], None]) -> None:
        def again() -> None:
            what()
            self.timeline.at(self.timeline.now_ns + span_ns, again)

        self.timeline.at(self.timeline.now_ns + span_ns, again)

    def _move_venues(self) -> None:
        for line in self.lines.values():
            line.advance()

    def _tick(self) -> None:
        if self.wire.alive:
            self.wire.tick()

    def _audit(self) -> None:
        if self.wire.alive:
            self.inspector.audit()

    def _tend(self) -> None:
        if self.wire.alive:
            self._operator.tend(self.trading, self.timeline.now_ns)

    # ---- the process --------------------------------------------------------------------------

    def _begin(self) -> None:
        """An engine starts from the journal."""
        config = self.config
        codecs = registry.codecs(config)
        private = registry.private_codecs(config, codecs)
        hosts: dict[str, Hosts] = {
            venue: {face: line.peer.url(face, face) for face in line.peer.faces}
            for venue, line in self.lines.items()
        }
        keys = dict.fromkeys(private, KEY)
        licence = Licence(private, keys, hosts, self.inspector, self.journal.resume())
        self.engine = Engine(config, codecs, hosts, self._chance.random, licence)
        self.wire = Wire(self.engine, self.lines, self.timeline, self.inspector)
        self.inspector.expects()
        self.wire.start()
        assert self.engine.trading is not None
        self.trading = self.engine.trading
        self.inspector.begins(self.trading)

    def _crash(self) -> None:
        self._down += 1
        if not self.wire.alive:
            return
        self.wire.crash()
        behind_ns = int(self._chance.random() * WRITTEN_WITHIN_NS)
        self.journal.crash(self.timeline.now_ns, behind_ns)
        self.inspector.crashed()
        self._operator.forget()

    def _restart(self) -> None:
        self._down -= 1
        if not self._down:
            self._begin()

    # ---- what goes wrong ----------------------------------------------------------------------

    def _start(self, episode: Episode) -> None:
        self._tell(f"begins {episode}")
        now_ns, name, venue = self.timeline.now_ns, episode.name, episode.venue
        if name in FAULTS:
            self._wrong[venue].append(episode)
            self.inspector.calm_ns[venue] = 0
            if name == "skew":
                self.inspector.skewed.add(venue)
            self.lines[venue].peer.switch(name, now_ns, episode.amount if episode.amount else None)
            self.lines[venue].flush()
        elif name == "crash":
            self._crash()
        elif self.wire.alive:
            self._operator.begin(episode)

    def _end(self, episode: Episode) -> None:
        self._tell(f"ends {episode}")
        name, venue = episode.name, episode.venue
        if name in FAULTS:
            self._wrong[venue].remove(episode)
            if all(other.name != name for other in self._wrong[venue]):
                self.lines[venue].peer.end(name, self.timeline.now_ns)
                self.lines[venue].flush()
            if not self._wrong[venue]:
                self.inspector.calm_ns[venue] = self.timeline.now_ns
        elif name == "crash":
            self._restart()

    # -------------------------------------------------------------------------------------------

    def _now(self) -> int:
        return self.timeline.now_ns

    def _tell(self, line: str) -> None:
        self.log.append(f"{(self.timeline.now_ns - START_NS) / SECOND:.6f} {line}")


# ---- the command line -------------------------------------------------------------------------


def simulate(seed: int, minutes: float, names: Sequence[str] = NAMES, log: str = "") -> Outcome:
    """Runs one seed.

    Args:
        log: file to write the log to; "" for none.
    """
    began_s = time.process_time()
    world = World(seed, names)
    violation = ""
    try:
        world.run(int(minutes * 60 * SECOND))
    except Violation as broken:
        violation = f"{(broken.ns - START_NS) / SECOND:.3f} s: {broken}"
    spent_s = time.process_time() - began_s
    seconds = (world.timeline.now_ns - START_NS) / SECOND
    if log:
        Path(log).write_text("\n".join([*world.log, f"violation {violation}", world.digest]) + "\n")
    inspector = world.inspector
    return Outcome(
        seed,
        violation,
        world.digest,
        seconds / spent_s,
        seconds,
        inspector.placed,
        inspector.traded,
    )


app = App(name="python -m hftmm.sim.world", help=__doc__)


@app.default
def main(
    *,
    seed: int = 1,
    minutes: float = 2.0,
    seeds: int = 1,
    jobs: int = 1,
    faults: str = "all",
    log: str = "",
) -> int:
    """Simulates one seed, or several from it on; 1 if something that must hold did not.

    Args:
        jobs: processes to run seeds in; 0 is one a core.
        faults: all, none, or names with commas between them.
        log: file for the log.
    """
    names = {"all": NAMES, "none": ()}.get(faults, tuple(faults.split(",")))
    if unknown := [name for name in names if name not in NAMES]:
        sys.stderr.write(f"{unknown[0]!r} is no fault: all, none, {', '.join(NAMES)}\n")
        return 2
    work = partial(simulate, minutes=minutes, names=names, log=log)
    numbers = range(seed, seed + seeds)
    began_s = time.perf_counter()
    if jobs != 1:
        with ProcessPoolExecutor(jobs or None) as pool:
            outcomes = _reported(pool.map(work, numbers), minutes, faults)
    else:
        outcomes = _reported(map(work, numbers), minutes, faults)
    failed = sum(1 for outcome in outcomes if outcome.violation)
    simulated_s = sum(outcome.seconds for outcome in outcomes)
    factor = simulated_s / (time.perf_counter() - began_s)
    _say(
        f"{len(outcomes)} seeds, {simulated_s / 60:.0f} minutes at {factor:.0f} x real time, "
        f"{failed} with a violation"
    )
    return 1 if failed else 0


def _reported(outcomes: Iterable[Outcome], minutes: float, faults: str) -> list[Outcome]:
    """All of them, each told as it comes; of one that failed the line that replays it."""
    told = []
    for outcome in outcomes:
        told.append(outcome)
        placed, traded = (
            " ".join(f"{code} {count}" for code, count in sorted(counts.items()))
            for counts in (outcome.placed, outcome.traded)
        )
        _say(
            f"seed {outcome.seed}: {outcome.seconds:.0f} s at {outcome.factor:.0f} x, "
            f"orders {placed}, trades {traded}, log {outcome.digest[:16]}"
        )
        if outcome.violation:
            replay = f"--seed {outcome.seed} --minutes {minutes:g} --faults {faults}"
            _say(f"  {outcome.violation}\n  python -m hftmm.sim.world {replay}")
    return told


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(app(sys.argv[1:], result_action="return_value"))
