"""The order flow of one book: makers who follow the price, takers who hit them.

Every change of a book is an order placed, cancelled or matched in its engine. Makers see the
fundamental price late, by their venue's lag, and through their venue's dislocations and their own
error; that, and nothing else, is why venues disagree.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from hftmm.core.instrument import Side
from hftmm.sim.fundamental import BPS, SECOND, Dislocations, Fundamental
from hftmm.sim.matching import MatchingEngine

STEP_S = 0.04
"""Mean time between two looks of a venue's makers at the market, at intensity 1."""

ORDERS = 140
"""Orders the makers keep on each side, about one a price level."""
DEPTH_BPS = 67.0
"""From the nearest order of a side to its farthest."""
BEND = 23.0
"""How many times farther apart the farthest orders stand than the nearest ones."""
HALF_SPREAD_BPS = 0.45
"""Distance of the best quote from the price as makers see it, in a quiet market."""
PATIENCE = 0.15
"""A quote nearer to the price than this share of the half spread is withdrawn."""
MOVED_BPS = 9.0
"""After a move this large the makers rebuild their whole side, nearest orders first."""
REBUILT_PER_STEP = 10

WHIM_BPS = 0.18
WHIM_S = 3.0
"""Each venue's makers are wrong by a reverting error of this deviation and time constant."""

REFRESHED_PER_S = 10.0
"""Orders replaced without need, each second."""
TAKEN_PER_S = 1.6
"""Orders that take, each second; of log-normal value, up to so far beyond the best price."""
TAKEN_USD = 2_500.0
TAKEN_SPREAD = 1.2
TAKEN_REACH_BPS = 4.0
SNIPED_BPS = 1.5
"""A quote left this far on the wrong side of the price is as likely hit as withdrawn."""

RESTING_USD = 6_000.0
"""Value of an order at the touch, median of a log-normal; the farthest are four times as large."""
RESTING_SPREAD = 0.9


class _Slot:
    """One maker's place in the book: it holds one order, or none after a fill or withdrawal.

    Attributes:
        away: distance from the nearest quote, fraction of the price.
        usd: median order value.
    """

    __slots__ = ("away", "order_id", "rank", "ticks", "usd")

    def __init__(self, rank: int, away: float, usd: float) -> None:
        self.rank = rank
        self.away = away
        self.usd = usd
        self.order_id = 0
        self.ticks = 0


class _Draws:
    """Random numbers taken from a generator in bulk: one by one they cost more than an order."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._uniforms: list[float] = []
        self._normals: list[float] = []

    def uniform(self) -> float:
        if not self._uniforms:
            self._uniforms = self._rng.random(1024).tolist()
        return self._uniforms.pop()

    def normal(self) -> float:
        if not self._normals:
            self._normals = self._rng.standard_normal(1024).tolist()
        return self._normals.pop()


class OrderFlow:
    """The makers and takers of one instrument at one venue.

    Attributes:
        next_ns: when they act next.
    """

    def __init__(
        self,
        engine: MatchingEngine,
        fundamental: Fundamental,
        dislocations: Dislocations,
        rng: np.random.Generator,
        lag_ns: int,
        intensity: float,
        start_ns: int,
    ) -> None:
        spec = engine.spec
        self._engine = engine
        self._fundamental = fundamental
        self._dislocations = dislocations
        self._draws = _Draws(rng)
        self._lag_ns = lag_ns
        # At 0 the next step would never come, and with it no reaction to the price.
        self._intensity = max(intensity, 0.01)
        self._tick = float(spec.tick)
        self._lot = float(spec.lot)
        self._venue = spec.venue
        self._kind = spec.kind
        self._now_ns = start_ns
        self._whim = 0.0
        self._refresh_debt = 0.0
        self._fair = 0.0
        self._half = 0.5
        self._slots: dict[Side, list[_Slot]] = {"buy": _slots(), "sell": _slots()}
        self._vacant: deque[tuple[Side, _Slot]] = deque()
        self._rebuilt_at = 0.0
        self._rebuilding = ORDERS
        self._look(0.0)
        for rank in range(ORDERS):
            self._quote("buy", self._slots["buy"][rank])
            self._quote("sell", self._slots["sell"][rank])
        self._rebuilt_at = self._fair
        self.next_ns = start_ns + 1 + int(self._draws.uniform() * STEP_S * SECOND)

    def step(self) -> None:
        """Acts once, at `next_ns`, and sets the next time."""
        elapsed_s = (self.next_ns - self._now_ns) / SECOND
        self._now_ns = self.next_ns
        unrest = self._look(elapsed_s)
        pace = self._intensity * math.sqrt(unrest)
        self._withdraw("buy", "sell", 1)
        self._withdraw("sell", "buy", -1)
        self._close_gap("buy", 1)
        self._close_gap("sell", -1)
        self._return()
        self._rebuild()
        self._refresh(elapsed_s * pace)
        if self._draws.uniform() < TAKEN_PER_S * pace * elapsed_s:
            self._take()
        # From half to one and a half times the mean, so that venues never march in step.
        wait_s = STEP_S / pace * (0.5 + self._draws.uniform())
        self.next_ns += max(1_000_000, int(wait_s * SECOND))

    def _look(self, elapsed_s: float) -> float:
        """Forms an idea of the price; returns the market's unrest."""
        now_ns = self._now_ns
        decay = math.exp(-elapsed_s / WHIM_S)
        self._whim = self._whim * decay + WHIM_BPS * BPS * self._draws.normal() * math.sqrt(
            1 - decay * decay
        )
        price = self._fundamental.price(self._kind, now_ns - self._lag_ns)
        unrest = self._fundamental.unrest(now_ns - self._lag_ns)
        astray = self._whim + self._dislocations.offset(self._venue, now_ns)
        self._fair = price * math.exp(astray) / self._tick
        self._half = max(0.5, self._fair * HALF_SPREAD_BPS * BPS * math.sqrt(unrest))
        return unrest

    def _target(self, side: Side, slot: _Slot) -> int:
        """Where the slot's order belongs now, in ticks.

        Ranks lie almost a tick apart at least: on a coarse grid the book gets wide, not tall.
        """
        distance = self._half + max(slot.rank * 0.9, slot.away * self._fair)
        if side == "buy":
            return max(1, math.floor(self._fair - distance))
        return math.ceil(self._fair + distance)

    def _quote(self, side: Side, slot: _Slot) -> None:
        """Replaces the slot's order by one at its proper price, somewhat scattered."""
        if slot.order_id:
            self._engine.cancel(slot.order_id, self._now_ns)
        ticks = self._target(side, slot)
        if slot.rank > 2:
            scatter = (self._draws.uniform() - 0.5) * 0.3 * slot.away * self._fair
            ticks = max(1, ticks + round(scatter))
        usd = slot.usd * math.exp(RESTING_SPREAD * self._draws.normal())
        slot.ticks = ticks
        slot.order_id = self._engine.place(side, ticks, self._lots(usd), self._now_ns).order_id

    def _lots(self, usd: float) -> int:
        return max(1, round(usd / (self._fair * self._tick * self._lot)))

    def _withdraw(self, side: Side, against: Side, sign: int) -> None:
        """Takes back quotes the price has run into; a taker may have been faster."""
        best = self._engine.best(side)
        limit = self._fair - sign * PATIENCE * self._half
        if best is None or sign * best.ticks <= sign * limit:
            return
        beyond = sign * (best.ticks - self._fair)
        if beyond > SNIPED_BPS * BPS * self._fair and self._draws.uniform() < 0.5:
            self._hit(against, math.floor(self._fair) if sign < 0 else math.ceil(self._fair))
        for slot in self._slots[side]:
            if slot.order_id and sign * slot.ticks > sign * limit:
                self._engine.cancel(slot.order_id, self._now_ns)
                slot.order_id = 0
                self._vacant.append((side, slot))

    def _return(self) -> None:
        """Withdrawn quotes come back, one a step, unless they already have."""
        while self._vacant:
            side, slot = self._vacant.popleft()
            if not slot.order_id:
                self._quote(side, slot)
                return

    def _close_gap(self, side: Side, sign: int) -> None:
        """Brings the nearest slots back where they belong if nobody stands near the price."""
        best = self._engine.best(side)
        nearest = self._slots[side]
        if best is not None and sign * (self._fair - best.ticks) <= 2.0 * self._half + 1:
            return
        for slot in nearest[:2]:
            self._quote(side, slot)

    def _rebuild(self) -> None:
        """After a large move, replaces what stands far from its place, a few orders each step."""
        if abs(self._fair - self._rebuilt_at) > MOVED_BPS * BPS * self._fair:
            self._rebuilt_at = self._fair
            self._rebuilding = 0
        budget = REBUILT_PER_STEP
        while self._rebuilding < ORDERS and budget:
            sides: tuple[Side, Side] = ("buy", "sell")
            for side in sides:
                slot = self._slots[side][self._rebuilding]
                off = abs(slot.ticks - self._target(side, slot))
                if not slot.order_id or off > 1 + slot.away * self._fair:
                    self._quote(side, slot)
                    budget = max(0, budget - 1)
            self._rebuilding += 1

    def _refresh(self, elapsed_s: float) -> None:
        """Makers come and go: some orders are replaced, the nearer ones more often."""
        self._refresh_debt += REFRESHED_PER_S * elapsed_s
        while self._refresh_debt >= 1:
            self._refresh_debt -= 1
            side: Side = "buy" if self._draws.uniform() < 0.5 else "sell"
            self._quote(side, self._slots[side][int(ORDERS * self._draws.uniform() ** 2)])

    def _take(self) -> None:
        """A taker crosses the spread, within reach."""
        reach = self._half + TAKEN_REACH_BPS * BPS * self._fair
        if self._draws.uniform() < 0.5:
            self._hit("buy", math.ceil(self._fair + reach))
        else:
            self._hit("sell", max(1, math.floor(self._fair - reach)))

    def _hit(self, side: Side, ticks: int) -> None:
        usd = TAKEN_USD * math.exp(TAKEN_SPREAD * self._draws.normal())
        self._engine.place(side, ticks, self._lots(usd), self._now_ns, immediate=True)


def _slots() -> list[_Slot]:
    """Places from the touch outwards: distances grow geometrically, so that depth thins out."""
    return [
        _Slot(
            rank,
            DEPTH_BPS * BPS * (BEND ** (rank / (ORDERS - 1)) - 1) / (BEND - 1),
            RESTING_USD * (1 + 3 * rank / ORDERS),
        )
        for rank in range(ORDERS)
    ]
