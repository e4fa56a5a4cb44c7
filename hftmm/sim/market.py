"""The market behind the practice venues: one price process a coin, order flow on every book.

Seeded and in virtual time: the same seed gives the same orders, however time is sliced.
"""

from __future__ import annotations

import heapq
import zlib
from collections.abc import Iterable

import msgspec
import numpy as np

from hftmm.config import PracticeConfig
from hftmm.core.instrument import Kind
from hftmm.sim.flow import OrderFlow
from hftmm.sim.fundamental import BPS, SECOND, Dislocations, Fundamental
from hftmm.sim.listings import coin, practice_specs
from hftmm.sim.matching import MatchingEngine, Spec

__all__ = ["Mark", "Market", "practice_specs"]

FUNDING_HOURS = 8
MARK_SPAN_NS = SECOND

# The fees that keep arbitrage away are higher on spot, so prices stray farther there.
SPOT_DISLOCATION = 1.7


class Mark(msgspec.Struct, frozen=True, gc=False):
    """Mark price and funding of a perpetual.

    Attributes:
        mark, index: perpetual and spot fundamental, averaged over the last second.
        funding_rate: fraction of notional a long pays at `next_funding_ns`.
    """

    mark: float
    index: float
    funding_rate: float
    next_funding_ns: int
    interval_hours: int


class Market:
    """All instruments of all practice venues.

    Attributes:
        engines: by venue, kind and the venue's own symbol.
        now_ns: time reached.
    """

    def __init__(self, specs: Iterable[Spec], config: PracticeConfig, start_ns: int) -> None:
        self.now_ns = start_ns
        self.engines: dict[tuple[str, Kind, str], MatchingEngine] = {}
        self._fundamentals: dict[str, Fundamental] = {}
        specs = list(specs)
        lags = {venue: lag_ms * 1_000_000 for venue, lag_ms in config.lag_ms}
        history_ns = max(MARK_SPAN_NS, *lags.values()) if lags else MARK_SPAN_NS
        venues = tuple(dict.fromkeys(spec.venue for spec in specs))
        dislocations: dict[str, Dislocations] = {}
        # The newest mark of each coin, and of what moment: many ask for the same.
        self._marks: dict[str, tuple[int, Mark]] = {}
        flows: list[OrderFlow] = []
        for spec in specs:
            if spec.base not in self._fundamentals:
                self._fundamentals[spec.base] = Fundamental(
                    coin(spec.base).price, _generator(config, spec.base), start_ns, history_ns
                )
            if spec.symbol not in dislocations:
                dislocations[spec.symbol] = Dislocations(
                    venues,
                    config.dislocation_bps * (SPOT_DISLOCATION if spec.kind is Kind.SPOT else 1.0),
                    config.dislocations_per_minute,
                    _generator(config, f"dislocations {spec.symbol}"),
                    start_ns,
                )
            rng = _generator(config, f"{spec.venue} {spec.symbol}")
            engine = MatchingEngine(spec, int(rng.integers(1_000_000_000, 9_000_000_000)))
            self.engines[spec.venue, spec.kind, spec.venue_symbol] = engine
            flows.append(
                OrderFlow(
                    engine,
                    self._fundamentals[spec.base],
                    dislocations[spec.symbol],
                    rng,
                    lags.get(spec.venue, 0),
                    config.intensity,
                    start_ns,
                )
            )
        # The number breaks ties, so that the order of events never depends on how it was reached.
        self._due = [(flow.next_ns, number, flow) for number, flow in enumerate(flows)]
        heapq.heapify(self._due)

    def of(self, venue: str) -> list[MatchingEngine]:
        """The venue's engines, in the order of the specs."""
        return [engine for key, engine in self.engines.items() if key[0] == venue]

    def mark(self, spec: Spec, at_ns: int | None = None) -> Mark:
        """Mark price and funding now; funding by the venues' common formula.

        Args:
            at_ns: a moment of the last second, instead of now.

        Source:
            premium + clamp(interest - premium, -5 bps, 5 bps), interest 1 bps in 8 hours.
        """
        now_ns = self.now_ns if at_ns is None else at_ns
        known = self._marks.get(spec.base)
        if known is not None and known[0] == now_ns:
            return known[1]
        fundamental = self._fundamentals[spec.base]
        mark = fundamental.mean(Kind.LINEAR, now_ns, MARK_SPAN_NS)
        index = fundamental.mean(Kind.SPOT, now_ns, MARK_SPAN_NS)
        premium = mark / index - 1
        rate = premium + min(5 * BPS, max(-5 * BPS, BPS - premium))
        interval_ns = FUNDING_HOURS * 3600 * SECOND
        next_ns = (now_ns // interval_ns + 1) * interval_ns
        made = Mark(mark, index, round(rate, 8), next_ns, FUNDING_HOURS)
        self._marks[spec.base] = now_ns, made
        return made

    def advance(self, now_ns: int) -> None:
        """Runs all order flow up to and including now; the slicing of time changes nothing."""
        due = self._due
        while due and due[0][0] <= now_ns:
            _, number, flow = due[0]
            flow.step()
            heapq.heapreplace(due, (flow.next_ns, number, flow))
        self.now_ns = max(self.now_ns, now_ns)


def _generator(config: PracticeConfig, name: str) -> np.random.Generator:
    """A stream of its own for each name, so that a market more leaves the others as they were."""
    return np.random.default_rng([config.seed, zlib.crc32(name.encode())])
