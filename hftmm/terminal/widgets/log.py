"""The log pane: what engine and terminal have to say, newest last."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import NamedTuple

from hftmm.config import VENUES
from hftmm.desk.snapshot import LogRow
from hftmm.terminal import format as fmt
from hftmm.terminal.picture import Picture, hue
from hftmm.terminal.widgets.lines import Line
from hftmm.terminal.widgets.tab import Tab

_SIGNS = {"debug": ("·", "dim"), "warning": ("!", "warning"), "error": ("✕", "danger")}
_SOURCE = 9
_NARROW = 11


class _Entry(NamedTuple):
    row: LogRow
    text: str
    first: bool


class LogPane(Tab):
    """A line an event, broken where the pane ends; follows the newest until scrolled away."""

    TITLE = "log"
    HELP = (
        "What happened, newest last; ! is a warning, ✕ an error. It follows the newest line until "
        "you scroll up. The filter keeps lines that contain a text, whatever its case."
    )
    FIXED = 0
    BRIGHTENS = False

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own argument
        super().__init__(id=id)
        self.filter = ""
        self._follows = True

    def rows(self, picture: Picture) -> Sequence[Hashable]:
        engine = picture.shown.log if picture.shown is not None else ()
        entries = sorted((*engine, *picture.notes), key=lambda row: row.ns)
        wanted = self.filter.casefold()
        width = self.room[0]
        head = _head_width(width)
        rows = [
            _Entry(entry, text, i == 0)
            for entry in entries
            if not wanted or wanted in f"{entry.source} {entry.text}".casefold()
            for i, text in enumerate(_broken(_said(entry, head), max(8, width - head)))
        ]
        last = max(0, len(rows) - self.room[1])
        if self._follows:
            self.top = last
        self._follows = self.top >= last
        return rows

    def scroll_rows(self, rows: int) -> None:
        self._follows = False
        super().scroll_rows(rows)

    def label(self, picture: Picture) -> Line:
        if self.filter:
            return (("filter ", "dim"), (fmt.fit(fmt.plain(self.filter), 16).rstrip(), "warning"))
        return ()

    def draw(self, row: Hashable) -> Line:
        if not isinstance(row, _Entry):
            return ()
        head = _head_width(self.room[0])
        if not row.first:
            return ((" " * head, "plain"), (row.text, "plain"))
        sign, role = _SIGNS.get(row.row.level, (" ", "plain"))
        text_role = role if role in {"warning", "danger"} else "plain"
        source = fmt.plain(row.row.source)
        spans = (
            (f"{fmt.clock(row.row.ns)[:-1]} ", "dim"),
            (f"{sign} ", role),
            *(((fmt.fit(source, _SOURCE) + " ", _hue(source)),) if head > _NARROW else ()),
            (row.text, text_role),
        )
        return tuple(spans)


@lru_cache(maxsize=1024)
def _broken(text: str, width: int) -> tuple[str, ...]:
    return tuple(fmt.wrap(fmt.plain(text), width))


def _said(row: LogRow, head: int) -> str:
    """The text, behind its source where that has no column of its own."""
    return row.text if head > _NARROW else f"{row.source}: {row.text}"


def _head_width(width: int) -> int:
    """Time and sign, and the source where there is room for it."""
    return _NARROW + (_SOURCE + 1 if width >= 44 else 0)


def _hue(source: str) -> str:
    venue = source.partition(".")[0].partition(" ")[0]
    return hue(venue) if venue in VENUES else "dim"
