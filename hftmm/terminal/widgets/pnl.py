"""The PnL tab: the day's line, and what it is made of."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from hftmm.desk.snapshot import PnlParts, PnlPoint
from hftmm.terminal import format as fmt
from hftmm.terminal.picture import Picture
from hftmm.terminal.widgets.chart import braille, sampled
from hftmm.terminal.widgets.holdings import money
from hftmm.terminal.widgets.lines import Line, Span, flowed
from hftmm.terminal.widgets.tab import Tab

_PARTS = (
    ("spread", "spread"),
    ("fees", "fees"),
    ("hedge slip", "hedge"),
    ("arbitrage", "arbitrage"),
    ("inventory", "inventory"),
    ("funding", "funding"),
)
_LABEL = 11
_NOTHING = 1.0  # quote either way of zero, for a day on which nothing happened yet


class _Stroke(NamedTuple):
    """One line of the chart. Attributes: role: above zero, below it, or on it."""

    label: str
    dots: str
    role: str


class _Hours(NamedTuple):
    start_ns: int
    end_ns: int


class PnlPane(Tab):
    """The day's PnL as a line over its hours, its parts above it."""

    TITLE = "pnl"
    HELP = (
        "The day's PnL in quote, and its parts, which add up to it: `spread` is what maker fills "
        "were better than the mid, `hedge slip` what hedges were worse than it, `inventory` "
        "what moves of the mid did to what was held."
    )
    EMPTY = "no PnL yet"
    FIXED = 0

    def rows(self, picture: Picture) -> Sequence[Hashable]:
        snapshot = picture.shown
        if snapshot is None or not snapshot.pnl_line:
            return self.empty(picture)
        points = snapshot.pnl_line
        parts = _parts(snapshot.pnl_parts, self.room[0])
        lines = self.room[1] - len(parts) - 1
        if lines < 1:
            return parts
        hours = _Hours(points[0].ns, points[-1].ns)
        return [*parts, *self._strokes(points, lines), hours]

    def _strokes(self, points: Sequence[PnlPoint], lines: int) -> list[Hashable]:
        columns = 2 * max(1, self.room[0] - _LABEL - 1)
        values = sampled([(point.ns, point.total) for point in points], columns)
        low = min(0.0, *(point.total for point in points))
        high = max(0.0, *(point.total for point in points))
        if low == high:
            low, high = -_NOTHING, _NOTHING
        zero = round(high / (high - low) * (lines - 1))
        labels = {0: fmt.signed(high), lines - 1: fmt.signed(low), zero: "0.00"}
        return [
            _Stroke(
                labels.get(y, ""),
                _on_zero(dots) if y == zero else dots,
                "good" if y < zero or low == 0 else "danger" if y > zero else "plain",
            )
            for y, dots in enumerate(braille(values, low, high, lines))
        ]

    def draw(self, row: Hashable) -> Line:
        match row:
            case _Stroke(label, dots, role):
                axis = "┤" if label else "│"
                spans: list[Span] = [(label.rjust(_LABEL), "dim"), (axis, "line")]
                return (*spans, *((run, "line" if run[0] == "·" else role) for run in _runs(dots)))
            case _Hours(start, end):
                width = self.room[0] - _LABEL - 1
                left, right = fmt.clock(start)[:5], fmt.clock(end)[:5]
                middle = fmt.clock((start + end) // 2)[:5].center(width - len(left) - len(right))
                return ((" " * (_LABEL + 1), "dim"), (left + middle + right, "dim"))
            case tuple(line):
                return line
            case _:
                return ()


def _on_zero(dots: str) -> str:
    return dots.replace(" ", "·")


def _runs(dots: str) -> list[str]:
    """The text cut where the dotted line of zero begins and ends."""
    runs: list[str] = []
    for char in dots:
        if runs and (runs[-1][0] == "·") == (char == "·"):
            runs[-1] += char
        else:
            runs.append(char)
    return runs


def _parts(parts: PnlParts, width: int) -> list[Line]:
    """The total and what it is made of."""
    text, role = money(parts.total)
    made_of: list[Line] = [
        ((f"{label} ", "dim"), money(getattr(parts, name))) for label, name in _PARTS
    ]
    return flowed([(("today ", "dim"), (text, f"bold {role}")), *made_of], width)
