"""Where the day's PnL comes from, and what the market did after each fill."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from typing import Final, NamedTuple

from hftmm.core.fees import BPS
from hftmm.core.order import Fill
from hftmm.desk.snapshot import PnlParts
from hftmm.risk.portfolio import Portfolio

ZERO: Final = Decimal(0)
MARKOUT_NS: Final = 1_000_000_000
KEPT: Final = 1_000
"""Markouts that are remembered; the oldest go first."""

Mid = Callable[[str], float | None]
"""Of a market by its symbol; None while it has none."""


class Source(Enum):
    """What a fill was for."""

    SPREAD = "spread"
    HEDGE = "hedge"
    ARBITRAGE = "arbitrage"


class _Watched(NamedTuple):
    due_ns: int
    trade: tuple[str, str]
    symbol: str
    mid: float
    sign: float


class Attribution:
    """Splits the PnL at the mid of each fill.

    A position is worth what its trades were better than the mid when they happened, and what the
    mid has moved since: cash + size x mark = sum of (mid - price) x size over the fills, a sale
    negative, + the sum of (mark - mid) x size. The first sum goes to what each fill was for; the
    second, with all that nobody told this of, is inventory.
    """

    def __init__(self) -> None:
        self._edges: Final[dict[tuple[Source, str], Decimal]] = {}
        self._watched: Final[deque[_Watched]] = deque()
        self._markouts: Final[dict[tuple[str, str], float]] = {}

    def filled(self, fill: Fill, source: Source, mid: float | None, now_ns: int) -> None:
        """A trade, told once, with the mid of its market then. O(1). Without a mid its whole
        result is inventory.
        """
        if mid is None:
            return
        listing, sign = fill.listing, 1 if fill.side == "buy" else -1
        edge = sign * (Decimal(repr(mid)) - fill.price) * fill.size
        key = (source, listing.quote)
        self._edges[key] = self._edges.get(key, ZERO) + edge
        self._watched.append(_Watched(now_ns + MARKOUT_NS, _trade(fill), listing.symbol, mid, sign))

    def watch(self, mid: Mid, now_ns: int) -> None:
        """Time passed: fills a second old get their markout, unless there is no mid then."""
        watched = self._watched
        while watched and watched[0].due_ns <= now_ns:
            due = watched.popleft()
            then = mid(due.symbol)
            if then is not None:
                self._markouts[due.trade] = due.sign * (then / due.mid - 1.0) * BPS
                if len(self._markouts) > KEPT:
                    del self._markouts[next(iter(self._markouts))]

    def markout(self, fill: Fill) -> float | None:
        """Bps that the mid moved our way in the second after a fill; None until then."""
        return self._markouts.get(_trade(fill))

    def roll(self) -> None:
        """A new day: every part starts at zero."""
        self._edges.clear()

    def parts(self, portfolio: Portfolio) -> PnlParts:
        """The parts of `Portfolio.day_pnl`, which they add up to. O(listings)."""
        total, costs = portfolio.day_pnl(), portfolio.costs()
        edge = dict.fromkeys(Source, ZERO)
        for (source, quote), amount in self._edges.items():
            edge[source] += amount * portfolio.worth(quote)
        inventory = total - sum(edge.values(), ZERO) + costs.fees - costs.funding
        return PnlParts(
            total=float(total),
            spread=float(edge[Source.SPREAD]),
            hedge=float(edge[Source.HEDGE]),
            arbitrage=float(edge[Source.ARBITRAGE]),
            fees=-float(costs.fees),
            funding=float(costs.funding),
            inventory=float(inventory),
        )


def _trade(fill: Fill) -> tuple[str, str]:
    return fill.listing.key, fill.trade_id
