"""The venue's clock: true time, and how wrong the venue is about it."""

from __future__ import annotations

MILLISECOND = 1_000_000


class Clock:
    """Stamps of the venue.

    Attributes:
        skew_ns: the venue's time less true time.
    """

    __slots__ = ("skew_ns",)

    def __init__(self) -> None:
        self.skew_ns = 0

    def ms(self, now_ns: int) -> int:
        """A true time as the venue writes it."""
        return (now_ns + self.skew_ns) // MILLISECOND

    def us(self, now_ns: int) -> int:
        """The same in microseconds."""
        return (now_ns + self.skew_ns) // 1_000
