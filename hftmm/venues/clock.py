"""How far a venue's clock is from ours."""

from __future__ import annotations

from typing import Final

from hftmm.venues.codec import SECOND

SAMPLES: Final = 3
SOON_NS: Final = SECOND
"""Until there are enough samples, and while the stamps of the streams contradict them."""
EVERY_NS: Final = 60 * SECOND


class VenueClock:
    """The offset of one venue's clock, by its answers to the question for its time.

    Attributes:
        offset_ns: the venue's clock less ours, None before the first answer.
        due_ns: when to ask next.
        measured_ns: when the newest question behind an answer was sent, 0 before the first.
    """

    __slots__ = ("_asked_ns", "_samples", "due_ns", "measured_ns", "offset_ns")

    def __init__(self) -> None:
        self.offset_ns: int | None = None
        self.due_ns = 0
        self.measured_ns = 0
        self._asked_ns = -SOON_NS
        self._samples: list[tuple[int, int]] = []

    def asked(self, now_ns: int) -> None:
        """A question is on its way."""
        self._asked_ns = now_ns
        self.due_ns = now_ns + (EVERY_NS if len(self._samples) >= SAMPLES else SOON_NS)

    def doubt(self) -> None:
        """Stamps arrive that cannot be right by this offset: ask again soon."""
        self.due_ns = min(self.due_ns, self._asked_ns + SOON_NS)

    def answered(self, venue_ns: int, sent_ns: int, received_ns: int) -> None:
        """The venue told its time; `sent_ns` and `received_ns` are ours around the question."""
        self.measured_ns = max(self.measured_ns, sent_ns)
        trip_ns = received_ns - sent_ns
        offset_ns = venue_ns - (sent_ns + received_ns) // 2
        # A sample is wrong by at most half its round trip: two that are further apart than both
        # can be wrong say that the clock was set, and the older ones are about another clock.
        if any(
            abs(offset_ns - known_ns) > (trip_ns + known_trip_ns) // 2 + SECOND // 1000
            for known_trip_ns, known_ns in self._samples
        ):
            self._samples.clear()
        self._samples.append((trip_ns, offset_ns))
        del self._samples[:-SAMPLES]
        # The sample with the shortest round trip has the least room for error.
        self.offset_ns = min(self._samples)[1]
