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


def sensible(step: float, mid: float) -> int:
    """The group a market is first shown in: the narrowest of at least 0.05 bps of its price."""
    wanted = mid * _GROUP_BPS / 10_000
    return next((one for one in GROUPS if one * step >= wanted), GROUPS[-1])
