"""What there is to draw: the newest snapshot, and what only the viewer knows."""

from __future__ import annotations

from dataclasses import dataclass

from hftmm.desk.commands import View
from hftmm.desk.snapshot import BestQuote, DeskSnapshot, LogRow

SILENT_AFTER_NS = 1_000_000_000

GLYPHS = {"live": "●", "stale": "◌", "syncing": "◐", "down": "✕", "quarantined": "⊘"}
STATE_ROLES = {
    "live": "good",
    "stale": "warning",
    "syncing": "warning",
    "down": "danger",
    "quarantined": "danger",
}


@dataclass(frozen=True, slots=True)
class Picture:
    """One moment of the screen.

    Attributes:
        shown: what is drawn, None before the first snapshot.
        now_ns: the viewer's clock.
        silent_ns: how long the engine has sent no new snapshot; 0 within the first second.
        failure: why the desk is not connected, "" while it is.
        frozen_ns: how long the operator has held the picture; None while it moves.
        view: what the operator chose to look at.
        notes: log lines of the terminal itself.
        notice: what the operator must not miss just now, one line; "" if nothing.
    """

    shown: DeskSnapshot | None
    now_ns: int
    silent_ns: int = 0
    connected: bool = True
    failure: str = ""
    frozen_ns: int | None = None
    view: View = View()  # noqa: RUF009 - frozen, so that sharing the default is sharing a value
    notes: tuple[LogRow, ...] = ()
    notice: str = ""

    @property
    def grey(self) -> bool:
        """Whether what is drawn may no longer be so: the engine is gone or silent."""
        return not self.connected or self.silent_ns > 0

    @property
    def state(self) -> str:
        """The word of the header's badge."""
        if not self.connected:
            return "DISCONNECTED"
        return "STARTING" if self.shown is None else self.shown.state

    def best(self) -> BestQuote | None:
        """The best quote on the side of fees the ladder is on."""
        if self.shown is None:
            return None
        return self.shown.net if self.view.net else self.shown.nbbo


def hue(venue: str) -> str:
    """The role of a venue's colour; a name that is not one word has no hue of its own."""
    return f"venue.{venue}" if venue.isidentifier() else "venue.other"


def glyph(state: str) -> tuple[str, str]:
    """The sign of a venue's state and its role; an unknown state is drawn as a warning."""
    return GLYPHS.get(state, "?"), STATE_ROLES.get(state, "warning")
