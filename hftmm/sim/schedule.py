"""What goes wrong in a simulated world, and when: drawn from a seed before anything happens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from random import Random
from types import MappingProxyType
from typing import Final

import msgspec

from hftmm.sim.faults import FAULTS

SECOND: Final = 1_000_000_000


class Episode(msgspec.Struct, frozen=True):
    """One thing that goes wrong, or that somebody does.

    Attributes:
        venue: where; "" for the engine itself.
        name: a fault of `FAULTS`, or of `DEEDS`.
        amount: of the fault; for `set` the number of the change.
        end_ns: when it ends.
    """

    start_ns: int
    end_ns: int
    venue: str
    name: str
    amount: float

    def __str__(self) -> str:
        where = self.venue or "engine"
        lasts_s = (self.end_ns - self.start_ns) / SECOND
        return f"{where} {self.name} {self.amount:g} for {lasts_s:.2f} s"


DEEDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "crash": "the engine is killed as by SIGKILL, and starts again from its journal",
        "kill": "the operator kills, and re-arms later",
        "flatten": "the operator kills and flattens, and re-arms later",
        "halt": "the operator halts a venue, and resumes it later",
        "toggle": "the operator switches a strategy off, and on again",
        "set": "the operator changes a parameter, and changes it back",
    }
)
NAMES: Final = (*(name for name in FAULTS if name != "none"), *DEEDS)

SETTINGS: Final = (
    ("market_making.order_size", "0.02"),
    ("market_making.min_edge_bps", "2"),
    ("market_making.target_spread_bps", "12"),
    ("market_making.quote_exchanges", '["binance", "okx"]'),
    ("market_making.hedge_exchanges", '["bybit", "okx"]'),
    ("hedging.hedge_immediately", "false"),
    ("hedging.max_slippage_bps", "1"),
    ("hedging.step_ms", "60"),
    ("arbitrage.max_quantity", "0.05"),
    ("arbitrage.leg_deadline_ms", "200"),
    ("limits.max_total_position", "0.05"),
    ("limits.max_order_size", "0.02"),
    ("venues.okx.max_position", "0.03"),
    ("venues.binance.max_open_orders", "2"),
)
"""What `set` changes for a while, each to a value that matters."""
STRATEGIES: Final = ("cross mm", "arbitrage", "hedger")

# How much of each: from, to.
_AMOUNTS: Final[Mapping[str, tuple[float, float]]] = MappingProxyType(
    {
        "gap": (1, 4),
        "drop": (0.05, 0.6),
        "skew": (-8, 8),
        "throttle": (1, 3),
        "ban": (1, 6),
        "lag": (50, 1_500),
        "garbage": (0.01, 0.05),
        "lost_ack": (1, 4),
        "unknown": (1, 4),
        "late_ack": (100, 3_500),
        "late_private": (100, 2_500),
        "late_fill": (100, 2_500),
        "duplicate_fill": (1, 4),
        "fill_on_cancel": (1, 4),
        "order_throttle": (1, 3),
    }
)
_WHOLE: Final = frozenset({"gap", "lost_ack", "unknown", "duplicate_fill", "fill_on_cancel"})
_MEAN_GAP_S: Final = 3.0
_SHORTEST_S: Final = 0.3
_MEAN_S: Final = 4.0
_LONGEST_S: Final = 15.0
_RARE: Final[Mapping[str, float]] = MappingProxyType({"kill": 0.5, "flatten": 0.5, "garbage": 0.5})
"""How often some come up, of the others."""


def schedule(
    seed: int, start_ns: int, end_ns: int, venues: Sequence[str], names: Sequence[str] = NAMES
) -> Iterator[Episode]:
    """Episodes that begin and end between two moments, in the order of their beginnings.

    Args:
        names: what may happen; nothing does if there are none.
    """
    if not names:
        return
    chance = Random(f"schedule {seed}")
    weights = [_RARE.get(name, 1.0) for name in names]
    now_ns = start_ns
    while True:
        now_ns += int(chance.expovariate(1.0 / _MEAN_GAP_S) * SECOND)
        (name,) = chance.choices(names, weights)
        venue = chance.choice(venues)
        low, high = _AMOUNTS.get(name, (0.0, 100.0))
        amount = chance.uniform(low, high)
        lasts_s = min(_SHORTEST_S + chance.expovariate(1.0 / _MEAN_S), _LONGEST_S)
        over_ns = now_ns + int(lasts_s * SECOND)
        if over_ns > end_ns:
            return
        if name in DEEDS and name != "halt":
            venue = ""
        yield Episode(now_ns, over_ns, venue, name, int(amount) if name in _WHOLE else amount)
