"""Columns of a table that loses some where there is no room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hftmm.terminal.format import fit
from hftmm.terminal.widgets.lines import Line, Span


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a pane.

    Attributes:
        name: stands above it.
        width: cells, the gap to its left included.
        left: left-aligned, words; otherwise right-aligned, numbers.
        gap: blank cells before what is left-aligned.
        stretch: takes what room is left over.
    """

    name: str
    width: int
    left: bool = False
    stretch: bool = False
    gap: int = 2
    spared: int = 0


def fitting(columns: Sequence[Column], width: int) -> tuple[Column, ...]:
    """The columns that fit; one that stretches gets what is left over.

    Of columns spared alike, the last is lost first. A stretching column is kept while half of its
    width is there.
    """
    kept = list(columns)
    while kept and sum(map(_least, kept)) > width:
        kept.remove(min(reversed(kept), key=lambda column: column.spared))
    spare = width - sum(map(_least, kept))
    return tuple(
        replace(column, width=_least(column) + spare) if column.stretch else column
        for column in kept
    )


def _least(column: Column) -> int:
    return column.width // 2 if column.stretch else column.width


def header(columns: Sequence[Column]) -> Line:
    """The names of the columns, placed as their cells are."""
    return tuple(cell(column.name, column, "dim") for column in columns)


def cell(text: str, column: Column, role: str) -> Span:
    """Text in its column; words too long end in an ellipsis, numbers are never cut."""
    if not column.left:
        return text.rjust(column.width), role
    gap = " " * column.gap
    return gap + fit(text, column.width - column.gap), role
