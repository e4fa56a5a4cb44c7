"""Counters of a running engine: rates, latencies, and the log it shows."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

from hftmm.desk.snapshot import LogRow
from hftmm.venues.session import Note

_SECOND: Final = 1_000_000_000
SAMPLES: Final = 8192
"""Latencies remembered, a power of two: some ten seconds of a busy market."""
LOG_LINES: Final = 500
SAME_EVENT_NS: Final = _SECOND
"""Notes of one venue and event within this time become one line that counts them."""
SAME_TEXT_NS: Final = 64 * _SECOND
"""The time doubles up to this while they say the same: a host that is down for an hour."""
_LEVELS: Final = ("debug", "info", "warning", "error")


class Rate:
    """Events a second over the last second, from a counter that only grows."""

    __slots__ = ("_marks", "per_s")

    def __init__(self) -> None:
        self.per_s = 0.0
        self._marks: deque[tuple[int, int]] = deque()

    def mark(self, count: int, now_ns: int) -> None:
        """Notes where the counter stands; call it several times a second."""
        self._marks.append((now_ns, count))
        while len(self._marks) > 2 and now_ns - self._marks[1][0] >= _SECOND:
            self._marks.popleft()
        first_ns, first = self._marks[0]
        if now_ns > first_ns:
            self.per_s = (count - first) * _SECOND / (now_ns - first_ns)


class Latencies:
    """The newest latencies, in a ring."""

    __slots__ = ("_count", "_ring")

    def __init__(self) -> None:
        self._ring = np.zeros(SAMPLES, dtype=np.int64)
        self._count = 0

    def note(self, ns: int) -> None:
        """Adds one."""
        self._ring[self._count & (SAMPLES - 1)] = ns
        self._count += 1

    def percentiles_us(self, *ranks: float) -> tuple[float | None, ...]:
        """Microseconds at each rank (0 to 100); None before the first sample."""
        if not self._count:
            return tuple(None for _ in ranks)
        known = self._ring[: min(self._count, SAMPLES)]
        return tuple((np.percentile(known, ranks) / 1000.0).tolist())


@dataclass(slots=True)
class _Told:
    """A line that was told, and how many like it were not."""

    ns: int
    text: str
    patience_ns: int
    untold: int = 0


class LogBook:
    """The lines the operator can read, newest last.

    Attributes:
        fresh: rows not yet taken by whoever writes them out.
    """

    __slots__ = ("_least", "_serial", "_told", "fresh", "rows")

    def __init__(self, least: str) -> None:
        """
        Args:
            least: lowest level kept, `debug`, `info`, `warning` or `error`.
        """
        self.rows: deque[LogRow] = deque(maxlen=LOG_LINES)
        self.fresh: deque[LogRow] = deque(maxlen=LOG_LINES)
        self._least = _LEVELS.index(least)
        self._serial = 0
        self._told: dict[tuple[str, str], _Told] = {}

    def note(self, note: Note) -> None:
        """Keeps a note, unless the same event has just been told; then it is counted."""
        if _LEVELS.index(note.level) < self._least:
            return
        key = (note.venue, note.event)
        told = self._told.get(key)
        more, patience_ns = "", SAME_EVENT_NS
        if told is not None:
            again = note.text == told.text
            patient = note.ns - told.ns < (told.patience_ns if again else SAME_EVENT_NS)
            if patient and not note.apart:
                told.untold += 1
                return
            if told.untold:
                more = f" (and {told.untold} more before)"
            if again and note.ns - told.ns < 2 * told.patience_ns:
                patience_ns = min(2 * told.patience_ns, SAME_TEXT_NS)
        self._told[key] = _Told(note.ns, note.text, patience_ns)
        self._serial += 1
        text = f"{note.event}: {note.text}{more}"
        row = LogRow(self._serial, note.ns, note.level, note.venue, text)
        self.rows.append(row)
        self.fresh.append(row)
