"""When a day's profit and loss is closed."""

from __future__ import annotations

from typing import Final

from hftmm.venues.codec import SECOND

DAY_NS: Final = 86_400 * SECOND
LATE_NS: Final = 60 * SECOND


class Day:
    """Ends at midnight UTC, or as soon after it as nothing is unhedged, but a minute after it at
    the latest: new books say what is held, not what of it is still to be hedged.
    """

    def __init__(self, since_ns: int) -> None:
        self._end_ns = _midnight_after(since_ns)

    def over(self, now_ns: int, *, hedged: bool) -> bool:
        """Whether it ended; the next one has begun then."""
        if now_ns < self._end_ns or not (hedged or now_ns >= self._end_ns + LATE_NS):
            return False
        self._end_ns = _midnight_after(now_ns)
        return True


def _midnight_after(ns: int) -> int:
    return (ns // DAY_NS + 1) * DAY_NS
