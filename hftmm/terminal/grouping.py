"""Sensible sizes of a price group, in multiples of a market's finest step."""

from __future__ import annotations

GROUPS: tuple[int, ...] = tuple(
    n * power for power in (1, 10, 100, 1_000, 10_000, 100_000) for n in (1, 2, 5)
)

# About what 20 rows a side can show of a liquid perpetual: the touch, and where it goes next.
_GROUP_BPS = 0.05


def wider(group: int) -> int:
    """The next wider group; the widest stays."""
    return next((one for one in GROUPS if one > group), GROUPS[-1])


def finer(group: int) -> int:
    """The next finer group; the finest stays."""
    return next((one for one in reversed(GROUPS) if one < group), GROUPS[0])


def sensible(step: float, mid: float, spread: float, rows: int) -> int:
    """The group a market is first shown in.

    Args:
        spread: quote, what lies between best bid and ask; it takes no more than half of the rows.
        rows: what the ladder shows of both sides together.

    Returns:
        The narrowest group of at least 0.05 bps of the price that leaves room for both sides.
    """
    wanted = max(mid * _GROUP_BPS / 10_000, 2 * spread / max(1, rows))
    return next((one for one in GROUPS if one * step >= wanted), GROUPS[-1])
