"""What a coin is worth, and how far single venues stray from it: the causes behind the order flow.

Both are functions of time alone, generated ahead on a fixed grid, so that the way time is sliced
cannot change them.
"""

from __future__ import annotations

import math

import numpy as np

from hftmm.core.instrument import Kind

SECOND = 1_000_000_000
STEP_NS = 5_000_000
BLOCK = 1_024

# Volatility in bps per square root of a second: 0.7 is 39 % a year, 2.4 is 135 %.
QUIET_BPS = 0.7
BUSY_BPS = 2.4
QUIET_S = 25.0
BUSY_S = 6.0
JUMPS_PER_MINUTE = 0.8
JUMP_BPS = 7.0
JUMP_SPREAD = 0.5

# The perpetual's premium over spot: mean, deviation and time to revert.
BASIS_BPS = 4.0
BASIS_DEVIATION_BPS = 2.5
BASIS_S = 90.0

BPS = 1e-4


class Fundamental:
    """The fair price of one coin, spot and perpetual, before any venue's lag or whim.

    A jump-diffusion with quiet and busy regimes; the perpetual stands off by a reverting basis.
    Values before `start_ns - history_ns` or older than `history_ns` are those of the oldest kept.
    """

    def __init__(
        self, price: float, rng: np.random.Generator, start_ns: int, history_ns: int
    ) -> None:
        self._rng = rng
        self._kept = history_ns // STEP_NS + 1
        self._origin_ns = start_ns - self._kept * STEP_NS
        self._log = math.log(price)
        self._basis = BASIS_BPS
        self._busy = False
        self._regime_steps = self._duration()
        self._spot: list[float] = []
        self._linear: list[float] = []
        self._unrest: list[float] = []

    def price(self, kind: Kind, now_ns: int) -> float:
        """Quote per base coin."""
        index = self._index(now_ns)
        return self._linear[index] if kind is Kind.LINEAR else self._spot[index]

    def unrest(self, now_ns: int) -> float:
        """Volatility as a multiple of a quiet market's, >= 1."""
        return self._unrest[self._index(now_ns)]

    def mean(self, kind: Kind, now_ns: int, span_ns: int) -> float:
        """Average price over the span before now."""
        last = self._index(now_ns)
        prices = self._linear if kind is Kind.LINEAR else self._spot
        window = prices[max(0, last - span_ns // STEP_NS) : last + 1]
        return sum(window) / len(window)

    def _index(self, now_ns: int) -> int:
        index = (now_ns - self._origin_ns) // STEP_NS
        while index >= len(self._spot):
            index -= self._extend()
        return max(0, index)

    def _extend(self) -> int:
        """Generates the next block; returns how many of the oldest steps were let go."""
        rng = self._rng
        unrest = self._regimes()
        dt = STEP_NS / SECOND
        returns = rng.standard_normal(BLOCK) * unrest * (QUIET_BPS * BPS * math.sqrt(dt))
        # Jumps cluster where the market is restless already.
        rate = JUMPS_PER_MINUTE / 60 * dt * unrest
        jumps = np.flatnonzero(rng.random(BLOCK) < rate)
        sizes = rng.lognormal(math.log(JUMP_BPS), JUMP_SPREAD, len(jumps)) * BPS
        returns[jumps] += sizes * rng.choice((-1.0, 1.0), len(jumps))
        log = self._log + np.cumsum(returns)
        self._log = float(log[-1])

        decay = math.exp(-dt / BASIS_S)
        shock = BASIS_DEVIATION_BPS * math.sqrt(1 - decay * decay)
        basis = np.empty(BLOCK)
        value = self._basis
        for step, normal in enumerate(rng.standard_normal(BLOCK).tolist()):
            value = BASIS_BPS + (value - BASIS_BPS) * decay + shock * normal
            basis[step] = value
        self._basis = value

        dropped = max(0, len(self._spot) - self._kept)
        self._spot = self._spot[dropped:] + np.exp(log).tolist()
        self._linear = self._linear[dropped:] + np.exp(log + basis * BPS).tolist()
        self._unrest = self._unrest[dropped:] + unrest.tolist()
        self._origin_ns += dropped * STEP_NS
        return dropped

    def _regimes(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        unrest = np.empty(BLOCK)
        begin = 0
        while begin < BLOCK:
            end = min(BLOCK, begin + self._regime_steps)
            unrest[begin:end] = BUSY_BPS / QUIET_BPS if self._busy else 1.0
            self._regime_steps -= end - begin
            begin = end
            if not self._regime_steps:
                self._busy = not self._busy
                self._regime_steps = self._duration()
        return unrest

    def _duration(self) -> int:
        mean_s = BUSY_S if self._busy else QUIET_S
        return 1 + int(self._rng.exponential(mean_s) * SECOND / STEP_NS)


class Dislocations:
    """Episodes in which one venue's price of one market strays from the others and comes back.

    They begin at random, one venue at a time. A venue holds its price for a while and then gives
    way quickly, as when arbitrage closes a gap; the while varies so that what is profitable lasts
    from tens of milliseconds to a second or two.
    """

    SIZE_SPREAD = 0.25
    LASTING_S = 0.45
    LASTING_SPREAD = 0.7
    OVER = 2.0
    """In multiples of its time: an episode this old has exp(-16) of its size left."""

    def __init__(
        self,
        venues: tuple[str, ...],
        typical_bps: float,
        per_minute: float,
        rng: np.random.Generator,
        start_ns: int,
    ) -> None:
        self._venues = venues
        self._typical = typical_bps * BPS
        self._mean_gap_s = 60 / per_minute if per_minute > 0 and typical_bps > 0 else math.inf
        self._rng = rng
        # Begin in ns, venue, size as a difference of log prices, time it lasts in ns.
        self._active: list[tuple[int, str, float, float]] = []
        self._next_ns: int | None = None
        self._schedule(start_ns)

    def offset(self, venue: str, now_ns: int) -> float:
        """How far the venue strays, as a difference of log prices; `now_ns` never goes back."""
        while self._next_ns is not None and self._next_ns <= now_ns:
            self._begin(self._next_ns)
        total = 0.0
        for episode in self._active:
            begin_ns, where, size, lasting_ns = episode
            if where == venue:
                total += size * math.exp(-(((now_ns - begin_ns) / lasting_ns) ** 4))
        return total

    def _begin(self, now_ns: int) -> None:
        rng = self._rng
        self._active = [
            episode for episode in self._active if now_ns - episode[0] < self.OVER * episode[3]
        ]
        venue = self._venues[int(rng.integers(len(self._venues)))]
        size = self._typical * rng.lognormal(0.0, self.SIZE_SPREAD) * rng.choice((-1.0, 1.0))
        lasting_ns = self.LASTING_S * rng.lognormal(0.0, self.LASTING_SPREAD) * SECOND
        self._active.append((now_ns, venue, float(size), float(lasting_ns)))
        self._schedule(now_ns)

    def _schedule(self, now_ns: int) -> None:
        if math.isinf(self._mean_gap_s):
            self._next_ns = None
        else:
            self._next_ns = now_ns + 1 + int(self._rng.exponential(self._mean_gap_s) * SECOND)
