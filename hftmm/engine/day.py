"""When a day's profit and loss is closed."""

from __future__ import annotations

from typing import Final

from hftmm.venues.codec import SECOND

DAY_NS: Final = 86_400 * SECOND
LATE_NS: Final = 60 * SECOND


class Day:
    """Ends at midnight UTC, or as soon after it as its books can be closed, but a minute after it
    at the latest.
    """

    def __init__(self, since_ns: int, now_ns: int) -> None:
        """Args: since_ns: a moment of the day; if that is over already, it ends now."""
        self._end_ns = max(_midnight_after(since_ns), now_ns)

    def over(self, now_ns: int, *, ready: bool) -> bool:
        """Whether it ended; the next one has begun then. Args: ready: its books can be closed."""
        if now_ns < self._end_ns or not (ready or now_ns >= self._end_ns + LATE_NS):
            return False
        self._end_ns = _midnight_after(now_ns)
        return True


def _midnight_after(ns: int) -> int:
    return (ns // DAY_NS + 1) * DAY_NS
