"""The footer: the keys worth knowing, from the key table."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from hftmm.terminal.bindings import Key, KeyTable
from hftmm.terminal.picture import Picture
from hftmm.terminal.widgets.lines import Line, LineWidget, Span, width_of

_ALWAYS = ("help", "quit")


class KeyBar(LineWidget):
    """One line of keys; those without room go from the right, never help and quit."""

    GROUND = "raised"

    def __init__(self, table: KeyTable) -> None:
        super().__init__()
        self._keys = tuple(key for key in table.keys if key.footer)

    def paint(self, picture: Picture) -> None:
        """Draws what changed since the picture before."""
        self.show([self.size.width], picture.now_ns)

    def draw(self, row: Hashable) -> Line:
        width = row if isinstance(row, int) else 0
        last = _spans([key for key in self._keys if key.name in _ALWAYS])
        room = width - width_of(last)
        line: list[Span] = []
        for key in self._keys:
            spans = _spans([key])
            if key.name in _ALWAYS:
                continue
            if width_of(line) + width_of(spans) > room:
                break
            line += spans
        return (*line, *last)


def _spans(keys: Sequence[Key]) -> list[Span]:
    return [
        span
        for key in keys
        for span in (
            (f" {key.shown}", f"bold accent on raised @{key.action}"),
            (f" {key.label} ", f"dim on raised @{key.action}"),
        )
    ]
