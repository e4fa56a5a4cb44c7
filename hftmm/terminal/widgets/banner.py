"""The band over the desk when there is nothing live to look at."""

from __future__ import annotations

from collections.abc import Hashable

from hftmm.terminal import format as fmt
from hftmm.terminal.picture import Picture
from hftmm.terminal.widgets.lines import Line, LineWidget, Span

_MARGIN = 4
_ORDERS = "orders may still stand: hftmm kill --direct in a shell ends them; q leaves"


class Banner(LineWidget):
    """Says why the screen is empty or grey; takes no room otherwise."""

    GROUND = "raised"
    SHOWS_ITSELF = True

    def paint(self, picture: Picture) -> None:
        """Shows itself with what there is to say, or hides."""
        rows = self._rows_of(picture)
        self.display = bool(rows)
        if rows:
            self.styles.height = len(rows)
            room = self.screen.size.height
            self.styles.offset = (0, max(1, (room - len(rows)) // 2))
            self.show(rows, picture.now_ns)

    def draw(self, row: Hashable) -> Line:
        match row:
            case (str(text), str(role)):
                width = self.size.width
                ground = " on raised" if " on " not in role else ""
                shown = fmt.fit(text, max(1, width - _MARGIN)).rstrip()
                spans: list[Span] = [(shown.center(width), f"{role}{ground}")]
                return tuple(spans)
            case _:
                return ()

    def _rows_of(self, picture: Picture) -> list[tuple[str, str]]:
        width = max(20, self.screen.size.width - 2 * _MARGIN)
        if not picture.connected:
            failure = fmt.plain(picture.failure) or "the engine is gone"
            text = fmt.wrap(failure, width)[:4]
            return [
                ("✕ DISCONNECTED ✕", "bold badge on danger"),
                ("", "plain"),
                *((line, "bright") for line in text),
                (_last_seen(picture), "dim"),
                *(((_ORDERS, "bright"),) if picture.shown and picture.shown.trades else ()),
                ("", "plain"),
            ]
        if picture.shown is None:
            return [
                ("", "plain"),
                ("◐ STARTING", "bold warning"),
                ("waiting for the engine's first picture", "plain"),
                ("", "plain"),
            ]
        return []


def _last_seen(picture: Picture) -> str:
    if picture.shown is None:
        return "no picture was ever received"
    ago = fmt.age(max(0, picture.now_ns - picture.shown.ns) / 1e6)
    return f"last data {fmt.clock(picture.shown.ns)}, {ago} ago, shown grey"
