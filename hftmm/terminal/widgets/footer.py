"""The footer: the keys worth knowing, from the key table."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from hftmm.terminal import format as fmt
from hftmm.terminal.bindings import Key, KeyTable
from hftmm.terminal.picture import Picture
from hftmm.terminal.widgets.lines import Line, LineWidget, Span, width_of

_ALWAYS = ("kill", "help", "quit")
# What there is to do after a kill.
_KILLED = ("rearm", "flatten")


class KeyBar(LineWidget):
    """One line of keys, or what the operator must not miss; those without room go from the right,
    never kill, help and quit.
    """

    GROUND = "raised"

    def __init__(self, table: KeyTable) -> None:
        super().__init__()
        self._keys = tuple(key for key in table.keys if key.footer)

    def paint(self, picture: Picture) -> None:
        """Draws what changed since the picture before."""
        self.show([(self.size.width, picture.state == "KILLED", picture.notice)], picture.now_ns)

    def draw(self, row: Hashable) -> Line:
        match row:
            case (int(width), bool(killed), str(notice)):
                return self._line(width, notice, _KILLED if killed else ())
            case _:
                return ()

    def _line(self, width: int, notice: str, first: Sequence[str]) -> Line:
        last = _spans([key for key in self._keys if key.name in _ALWAYS])
        room = width - width_of(last)
        if notice:
            return ((fmt.fit(f" ! {fmt.plain(notice)}", room), "bold badge on warning"), *last)
        line: list[Span] = []
        for key in sorted(self._keys, key=lambda key: key.name not in first):
            spans = _spans([key])
            if key.name in _ALWAYS:
                continue
            if width_of(line) + width_of(spans) > room:
                break
            line += spans
        return (*line, *last)


def _spans(keys: Sequence[Key]) -> list[Span]:
    spans: list[Span] = []
    for key in keys:
        shown, label = ("bold accent on raised", "dim on raised")
        if key.everywhere:
            shown = label = "bold badge on danger"
        spans.append((f" {key.shown}", f"{shown} @{key.action}"))
        spans.append((f" {key.label} ", f"{label} @{key.action}"))
    return spans
