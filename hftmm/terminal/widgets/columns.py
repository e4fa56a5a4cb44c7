"""Columns of a table that loses some where there is no room."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
        stretch: takes what room is left over, or its part of it.
        spared: a column spared more is lost later.
        places: decimals that numbers have room for, so that their points stand in one line.
    """

    name: str
    width: int
    left: bool = False
    stretch: bool = False
    gap: int = 2
    spared: int = 0
    places: int = 0


def decimals(name: str, texts: Iterable[str], *, least: int = 0, spared: int = 0) -> Column:
    """A column for decimal texts, as wide as they need with their points in one line."""
    whole = places = 0
    for text in texts:
        front, _, rest = text.partition(".")
        whole = max(whole, len(front))
        places = max(places, len(rest))
    width = max(len(name), least, whole + places + (places > 0)) + 2
    return Column(name, width, spared=spared, places=places)


def fitting(columns: Sequence[Column], width: int) -> tuple[Column, ...]:
    """The columns that fit; one that stretches gets what is left over.

    Of columns spared alike, the last is lost first. A stretching column is kept while half of its
    width is there.
    """
    kept = list(columns)
    while kept and sum(map(_least, kept)) > width:
        del kept[max(range(len(kept)), key=lambda i: (-kept[i].spared, i))]
    stretching = sum(column.stretch for column in kept)
    spare = (width - sum(map(_least, kept))) // max(1, stretching)
    return tuple(
        replace(column, width=_least(column) + spare) if column.stretch else column
        for column in kept
    )


def _least(column: Column) -> int:
    return column.width // 2 if column.stretch else column.width


def header(columns: Sequence[Column]) -> Line:
    """The names of the columns, placed as their cells are."""
    return tuple(cell(column.name, replace(column, places=0), "dim") for column in columns)


def written(cells: Mapping[str, Span], columns: Sequence[Column]) -> Line:
    """The line of a row: of its cells, by the names of their columns, those there is room for."""
    return tuple(cell(cells[column.name][0], column, cells[column.name][1]) for column in columns)


def cell(text: str, column: Column, role: str) -> Span:
    """Text in its column; words too long end in an ellipsis, numbers are never cut."""
    if not column.left:
        if column.places and text:
            rest = text.partition(".")[2]
            text += " " * (column.places - len(rest) + (0 if rest else 1))
        return text.rjust(column.width), role
    gap = " " * column.gap
    return gap + fit(text, column.width - column.gap), role
