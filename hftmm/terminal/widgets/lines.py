"""The base of every live widget: rows in, strips out, and only what changed is repainted.

A row is a value. `show` compares it with what stands there; only a row that differs is drawn again
and only its line is refreshed. Textual's per-widget style cache is passed by: a finished strip
goes to the compositor as it is, which is what makes ten pictures a second affordable.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import ClassVar, TypeAlias

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.filter import ANSIToTruecolor, LineFilter
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from hftmm.terminal.picture import Picture
from hftmm.terminal.themes import FALLBACK, Ink

Span: TypeAlias = tuple[str, str]
"""Text and its role; see `Ink` for roles."""
Line: TypeAlias = tuple[Span, ...]

BRIGHT_NS = 500_000_000
"""How long a number that changed stands out."""


def text_of(line: Line) -> str:
    """A line without its roles."""
    return "".join(text for text, _ in line)


class LineWidget(Widget):
    """A widget whose content is a list of lines.

    Subclasses say how a row becomes a line (`draw`).

    Attributes:
        SHOWS_ITSELF: comes and goes by what there is to say: painted also while out of sight.
        repainted: lines repainted by the last `show`.
    """

    ALLOW_SELECT = False
    GROUND: ClassVar[str] = "pane"
    SHOWS_ITSELF: ClassVar[bool] = False

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - Textual's own argument
        super().__init__(id=id, classes=classes)
        self.ink = Ink(FALLBACK)
        self.repainted = 0
        self._rows: list[Hashable] = []
        self._lines: list[Line] = []
        self._strips: list[Strip | None] = []
        # Of each line that brightened: until when, and which spans.
        self._bright: dict[int, tuple[int, frozenset[int]]] = {}
        self._extent = Size()
        self._filters: list[LineFilter] = []

    def paint(self, picture: Picture) -> None:
        """Draws what changed since the picture before."""
        raise NotImplementedError

    def draw(self, row: Hashable) -> Line:
        """The line of a row, at most as wide as the content; called only when the row is new."""
        raise NotImplementedError

    @property
    def room(self) -> tuple[int, int]:
        """Columns and lines the content may use."""
        return self.size.width, self.size.height

    @property
    def lines(self) -> list[Line]:
        """What stands in the widget now, top first."""
        return list(self._lines)

    def use(self, ink: Ink) -> None:
        """Draws in this ink from now on."""
        if ink is not self.ink:
            self.ink = ink
            self.repaint()

    def repaint(self) -> None:
        """Every line anew, from the lines there are."""
        self._strips = [None] * len(self._lines)
        self.refresh()

    def forget(self) -> None:
        """Every row anew at the next `show`: the width or the meaning of rows changed."""
        self._rows.clear()
        self._lines.clear()
        self._strips.clear()
        self._bright.clear()
        self.refresh()

    def show(self, rows: Sequence[Hashable], now_ns: int, *, calm: bool = False) -> None:
        """Puts rows on the screen, from the top.

        Args:
            now_ns: the viewer's clock, for how long a change stands out.
            calm: nothing stands out, because everything moved.
        """
        old = self._rows
        changed: list[int] = []
        if self._bright:
            self._settle(now_ns, changed)
        if calm:
            for y in self._bright:
                self._strips[y] = None
            changed.extend(self._bright)
            self._bright.clear()
        before = list(zip(self._lines, self._strips, strict=True))
        # Where rows move, most of them stood elsewhere a moment ago.
        stood = {row: y for y, row in enumerate(old)} if calm and rows != old else {}
        for y, row in enumerate(rows):
            if y < len(old) and row == old[y]:
                continue
            at = stood.get(row)
            line, strip = before[at] if at is not None else (self.draw(row), None)
            if y < len(old):
                if not calm:
                    self._brighten(y, before[y][0], line, now_ns)
                self._lines[y] = line
                self._strips[y] = strip
            else:
                self._lines.append(line)
                self._strips.append(strip)
            changed.append(y)
        if len(old) > len(rows):
            changed.extend(range(len(rows), len(old)))
            del self._lines[len(rows) :], self._strips[len(rows) :]
            self._bright = {y: bright for y, bright in self._bright.items() if y < len(rows)}
        self._rows = list(rows)
        self.repainted = len(set(changed))
        self._refresh_lines(changed)

    def _settle(self, now_ns: int, changed: list[int]) -> None:
        for y in [y for y, (until_ns, _) in self._bright.items() if until_ns <= now_ns]:
            del self._bright[y]
            self._strips[y] = None
            changed.append(y)

    def _brighten(self, y: int, before: Line, after: Line, now_ns: int) -> None:
        if len(before) != len(after):
            self._bright.pop(y, None)
            return
        spans = frozenset(
            i
            for i, (text, role) in enumerate(after)
            if role.startswith("live ") and text != before[i][0] and not text.isspace()
        )
        if spans:
            self._bright[y] = (now_ns + BRIGHT_NS, spans)

    def _refresh_lines(self, changed: list[int]) -> None:
        width, height = self.size
        regions = [
            Region(0, y, width, 1) for y in map(self._screen_line, set(changed)) if 0 <= y < height
        ]
        if regions:
            self.refresh(*regions)

    def _screen_line(self, y: int) -> int:
        """Where a line of the content stands in the widget."""
        return y

    def notify_style_update(self) -> None:
        """Nothing drawn here depends on the widget's own style, but its frame may."""
        super().notify_style_update()
        self._strips = [None] * len(self._lines)

    def on_resize(self) -> None:
        self.forget()

    def render_line(self, y: int) -> Strip:
        """The strip of a line, made once."""
        if y >= len(self._lines):
            return Strip.blank(self._extent.width, self.ink.style(f"plain on {self.GROUND}"))
        strip = self._strips[y]
        if strip is None:
            strip = self._strips[y] = self.strip(*self._segments(y))
        return strip

    def render_lines(self, crop: Region) -> list[Strip]:
        # Both cost a walk up the tree, too much to be asked for every line.
        self._extent = self.size
        self._filters = [
            line_filter
            for line_filter in self.app.get_line_filters()
            # Every colour of a theme is a true colour already.
            if not isinstance(line_filter, ANSIToTruecolor)
        ]
        strips = [self.render_line(y) for y in crop.line_range]
        if crop.x == 0 and crop.width == self._extent.width:
            return strips
        return [strip.crop(crop.x, crop.right) for strip in strips]

    def strip(self, segments: list[Segment], cells: int) -> Strip:
        """Segments of `cells` cells as a strip as wide as the widget, in the terminal's colours."""
        width = self._extent.width
        base = self.ink.style(f"plain on {self.GROUND}")
        if cells < width:
            segments.append(Segment(" " * (width - cells), base))
        strip = Strip(segments, max(cells, width))
        if cells > width:
            strip = strip.crop(0, width)
        for line_filter in self._filters:
            strip = strip.apply_filter(line_filter, self.background_colors[1])
        return strip

    def _segments(self, y: int) -> tuple[list[Segment], int]:
        """The segments of a line, and the cells they take."""
        line = self._lines[y]
        bright = self._bright.get(y)
        style = self.ink.style
        if bright is None:
            return joined([(text, style(role)) for text, role in line])
        brightened = self.ink.brightened
        spans = bright[1]
        return joined(
            [
                (text, brightened(role) if i in spans else style(role))
                for i, (text, role) in enumerate(line)
            ]
        )


def joined(spans: list[tuple[str, Style]]) -> tuple[list[Segment], int]:
    """Segments of the spans, blanks joined to what stands before them on the same ground.

    Returns:
        The segments, and the cells they take.
    """
    segments: list[Segment] = []
    cells = 0
    texts: list[str] = []
    current: Style | None = None
    for text, style in spans:
        if not text:
            continue
        cells += len(text) if text.isascii() else cell_len(text)
        if current is not None and (
            style is current or (text.isspace() and style.bgcolor == current.bgcolor)
        ):
            texts.append(text)
            continue
        if texts:
            segments.append(Segment("".join(texts), current))
        texts = [text]
        current = style
    if texts:
        segments.append(Segment("".join(texts), current))
    return segments, cells


def width_of(line: Sequence[Span]) -> int:
    """Cells a line takes."""
    return sum(len(text) if text.isascii() else cell_len(text) for text, _ in line)


def flowed(parts: Iterable[Line], width: int) -> list[Line]:
    """Parts one after the other with two blanks between, in as many lines as they take."""
    lines: list[Line] = []
    for part in parts:
        if lines and width_of(lines[-1]) + 2 + width_of(part) <= width:
            lines[-1] = (*lines[-1], ("  ", "plain"), *part)
        else:
            lines.append(part)
    return lines
