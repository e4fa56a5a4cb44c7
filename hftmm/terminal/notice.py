"""What the operator must not miss: refused commands, and what the terminal could not do."""

from __future__ import annotations

from collections.abc import Sequence

from hftmm.desk.snapshot import LogRow

NOTICE_NS = 6_000_000_000
"""How long a notice stands in the footer; the log keeps it."""


def answers(log: Sequence[LogRow], since: int) -> list[LogRow]:
    """What the engine answered to commands, in lines with a number above `since`."""
    return [row for row in log if row.number > since and row.source == "desk"]


def newest(log: Sequence[LogRow]) -> int:
    """The number of the last line, 0 if there is none."""
    return max((row.number for row in log), default=0)


class Notices:
    """The one line that stands in the footer for some seconds."""

    def __init__(self) -> None:
        self._seen: int | None = None
        self._text = ""
        self._until_ns = 0

    def hear(self, log: Sequence[LogRow], now_ns: int) -> None:
        """Takes refusals from the log; those from before the first look are no news."""
        if self._seen is not None:
            for row in answers(log, self._seen):
                if row.level in {"warning", "error"}:
                    self.say(row.text, now_ns)
        self._seen = newest(log)

    def say(self, text: str, now_ns: int) -> None:
        """Puts a line of the terminal's own there."""
        self._text, self._until_ns = text, now_ns + NOTICE_NS

    def shown(self, now_ns: int) -> str:
        """The line; "" if there is nothing to say, or no longer."""
        return self._text if now_ns < self._until_ns else ""
