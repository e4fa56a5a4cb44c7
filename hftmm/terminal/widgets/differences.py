"""The lines under the header while a venue and we see something differently."""

from __future__ import annotations

from collections.abc import Hashable

from hftmm.terminal import format as fmt
from hftmm.terminal.picture import Picture
from hftmm.terminal.widgets.lines import Line, LineWidget, Span, width_of

_MOST = 3


class Differences(LineWidget):
    """A difference a line, with how to accept it; takes no room while there is none."""

    GROUND = "crossing"
    SHOWS_ITSELF = True

    def paint(self, picture: Picture) -> None:
        """Draws what changed since the picture before."""
        snapshot = picture.shown
        # While recovering the alarm says them.
        told = snapshot is None or snapshot.state in {"RECOVERING", "STOPPING"}
        found = () if snapshot is None or told else snapshot.differences
        rows: list[tuple[str, str, int]] = [
            (venue, text.removeprefix(f"{venue} "), len(found) - _MOST if i == _MOST - 1 else 0)
            for i, (venue, text) in enumerate(found[:_MOST])
        ]
        self.display = bool(rows)
        if rows:
            self.styles.height = len(rows)
            self.show(rows, picture.now_ns)

    def draw(self, row: Hashable) -> Line:
        match row:
            case (str(venue), str(text), int(more)):
                name = fmt.plain(venue)
                rest = f"   and {more} more" if more > 0 else ""
                tail = f"{rest}   ^p accept {name} takes its word "
                head: list[Span] = [(" ! ", "bold warning"), (f"{name} ", "bold bright")]
                room = max(0, self.size.width - width_of(head) - len(tail))
                spans = [*head, (fmt.fit(fmt.plain(text), room), "bright"), (tail, "plain")]
                return tuple((shown, f"{role} on crossing") for shown, role in spans)
            case _:
                return ()
