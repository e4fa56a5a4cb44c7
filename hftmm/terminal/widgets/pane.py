"""A pane: a frame with a title, and rows that can be scrolled."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.strip import Strip

from hftmm.terminal.picture import Picture
from hftmm.terminal.widgets.lines import Line, LineWidget, Span, joined, width_of


class Pane(LineWidget, can_focus=True):
    """A framed widget with the keys' attention when it has the focus.

    Subclasses turn a picture into rows (`rows`) and a row into a line (`draw`).

    Attributes:
        TITLE: stands in the frame.
        HELP: how to read the pane, for the help screen.
        FIXED: rows at the top that do not scroll, such as the column names.
        BRIGHTENS: a number that changed stands out; not where rows move by themselves.
    """

    TITLE: ClassVar[str]
    HELP: ClassVar[str]
    FIXED: ClassVar[int] = 1
    BRIGHTENS: ClassVar[bool] = True

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - Textual's own argument
        super().__init__(id=id, classes=classes)
        self.top = 0
        self._moved = False
        self._held = False
        self._title: Line = ()
        self._label: Line = ()
        self._border: tuple[Strip, Strip] | None = None

    def rows(self, picture: Picture) -> Sequence[Hashable]:
        """All rows of the pane, the fixed ones first; those out of sight are not drawn."""
        raise NotImplementedError

    @property
    def selected_venue(self) -> str:
        """The venue of the selected row; "" where rows are not of venues, or none is selected."""
        return ""

    def foot(self, picture: Picture) -> Sequence[Hashable]:
        """Rows that stay at the bottom of the pane."""
        return ()

    def title(self, picture: Picture) -> Line:
        """What stands at the left of the frame's top."""
        return ((f" {self.TITLE} ", "bold accent"),)

    def label(self, picture: Picture) -> Line:
        """What stands at the right of the frame's top."""
        return ()

    @property
    def room(self) -> tuple[int, int]:
        return max(0, self.size.width - 4), max(0, self.size.height - 2)

    def paint(self, picture: Picture) -> None:
        """Draws what changed since the picture before."""
        title, label = self.title(picture), self.label(picture)
        if (title, label) != (self._title, self._label):
            self._title, self._label = title, label
            self._reframe()
        held = picture.frozen_ns is not None
        if held != self._held:
            self._held = held
            self.repaint()
        if self.room[0] and self.room[1]:
            visible = self._visible(self.rows(picture), self.foot(picture))
            calm, self._moved = self._moved or not self.BRIGHTENS, False
            self.show(visible, picture.now_ns, calm=calm)

    def _visible(self, rows: Sequence[Hashable], foot: Sequence[Hashable]) -> Sequence[Hashable]:
        """The rows in sight; holds `top` within what there is."""
        height = max(0, self.room[1] - len(foot))
        self.top = max(0, min(self.top, len(rows) - height))
        start = self.FIXED + self.top
        seen = [*rows[: self.FIXED], *rows[start : start + height - self.FIXED]]
        if not foot:
            return seen
        return [*seen, *((),) * (height - len(seen)), *foot]

    def scroll_rows(self, rows: int) -> None:
        """Moves the content up by `rows`; negative is down. Takes effect at the next picture."""
        self.top = max(0, self.top + rows)
        self._moved = True

    @property
    def page_rows(self) -> int:
        """Rows a page key moves."""
        return max(1, self.room[1] - self.FIXED - 1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.scroll_rows(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.scroll_rows(-3)

    def on_focus(self) -> None:
        self.repaint()

    def on_blur(self) -> None:
        self.repaint()

    def repaint(self) -> None:
        self._border = None
        super().repaint()

    def forget(self) -> None:
        self._border = None
        super().forget()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._border = None

    def _reframe(self) -> None:
        self._border = None
        self._refresh_lines([-1])

    def _screen_line(self, y: int) -> int:
        return y + 1

    def render_line(self, y: int) -> Strip:
        if self._border is None:
            self._border = self._frame()
        if y == 0:
            return self._border[0]
        if y >= self._extent.height - 1:
            return self._border[1]
        row = y - 1
        if row < len(self._strips) and (strip := self._strips[row]) is not None:
            return strip
        return self._content(row)

    def _content(self, row: int) -> Strip:
        ink = self.ink
        edge = ink.style(self._edge)
        room = max(0, self._extent.width - 4)
        segments, cells = self._segments(row) if row < len(self._lines) else ([], 0)
        if cells > room:
            segments, cells = list(Strip(segments, cells).crop(0, room)), room
        fill = Segment(" " * (room - cells), ink.style("plain"))
        strip = self.strip([Segment("│ ", edge), *segments, fill, Segment(" │", edge)], room + 4)
        if row < len(self._strips):
            self._strips[row] = strip
        return strip

    @property
    def _edge(self) -> str:
        if self._held:
            return "warning"
        return "focus" if self.has_focus else "line"

    def _frame(self) -> tuple[Strip, Strip]:
        edge = self._edge
        width = self._extent.width
        title: list[Span] = [("┌─", edge), *self._title]
        label = self._label
        room = width - width_of(title) - 2
        if label and width_of(label) + 2 > room:
            label = ()
        tail: list[Span] = [(" ", edge), *label, (" ", edge)] if label else []
        fill = max(0, room - width_of(tail))
        top = [*title, ("─" * fill, edge), *tail, ("─┐", edge)]
        bottom = [("└" + "─" * max(0, width - 2) + "┘", edge)]
        style = self.ink.style
        return (
            self.strip(*joined([(text, style(role)) for text, role in top])),
            self.strip(*joined([(text, style(role)) for text, role in bottom])),
        )
