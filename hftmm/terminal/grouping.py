"""Sensible sizes of a price group, in multiples of a market's finest step."""

from __future__ import annotations

import math

from hftmm.desk.snapshot import BestQuote, Ladder

GROUPS: tuple[int, ...] = tuple(
    n * power for power in (1, 10, 100, 1_000, 10_000, 100_000) for n in (1, 2, 5)
)

# What the ladder reaches over: two venues 10 to 15 bps apart are both in sight, and the books
# behind them.
_REACH_BPS = 30.0
# A picture is dense when so many of its rows have a size in them.
_FILLED = 0.75
# A price that was computed may miss its group by float noise.
_NOISE = 1e-6


def wider(group: int) -> int:
    """The next wider group; the widest stays."""
    return next((one for one in GROUPS if one > group), GROUPS[-1])


def finer(group: int) -> int:
    """The next finer group; the finest stays."""
    return next((one for one in reversed(GROUPS) if one < group), GROUPS[0])


def sensible(ladder: Ladder, best: BestQuote, rows: int) -> int:
    """The group a market is first shown in.

    Args:
        best: the quote on the side of fees the ladder is on.
        rows: what the ladder shows of both sides together.

    Returns:
        The narrowest group with which the rows reach over 30 bps, the spread takes no more than
        half of them, and three quarters of those within the books have a size in them; 1 while
        the market has not both sides.
    """
    if best.bid is None or best.ask is None or ladder.step <= 0:
        return GROUPS[0]
    reach = max(best.ask * _REACH_BPS / 10_000, 2 * (best.ask - best.bid)) / max(1, rows)
    wide = [one for one in GROUPS if one * ladder.step >= reach * (1 - _NOISE)]
    return next(
        (one for one in wide if _filled(ladder, one * ladder.step, rows // 2) >= _FILLED),
        wide[0] if wide else GROUPS[-1],
    )


def _filled(ladder: Ladder, group: float, rows: int) -> float:
    """The part of the first `rows` groups of either side, as deep as it is known, with a size."""
    known = filled = 0
    for is_bid in (True, False):
        # Counted outwards on both sides.
        sign = -1 if is_bid else 1
        groups = {
            math.ceil(sign * price / group - _NOISE)
            for column in ladder.columns
            for price, _ in (column.bids if is_bid else column.asks)
        }
        if groups:
            first = min(groups)
            depth = min(rows, max(groups) - first + 1)
            known += depth
            filled += sum(one < first + depth for one in groups)
    return filled / known if known else 1.0
