"""A line drawn in braille: two by four dots a cell."""

from __future__ import annotations

import math
from collections.abc import Sequence

# Dots of a braille cell from the top, left and right, as bits above U+2800.
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


def sampled(points: Sequence[tuple[int, float]], columns: int) -> list[float | None]:
    """The value in each of `columns` equal spans of time; the last one of a span counts.

    Args:
        points: (time, value), oldest first.

    Returns:
        A span without a point has the value before it; None before the first.
    """
    values: list[float | None] = [None] * columns
    if not points:
        return values
    start, end = points[0][0], points[-1][0]
    for ns, value in points:
        at = (ns - start) * (columns - 1) // (end - start) if end > start else columns - 1
        values[at] = value
    for i in range(1, columns):
        if values[i] is None:
            values[i] = values[i - 1]
    return values


def braille(values: Sequence[float | None], low: float, high: float, lines: int) -> list[str]:
    """Values as a continuous line, `lines` high, top first; two values a cell.

    Args:
        low, high: values at the lowest and the highest dot, low < high.
    """
    steps = lines * 4 - 1
    cells = [[0] * math.ceil(len(values) / 2) for _ in range(lines)]
    before: int | None = None
    for column, value in enumerate(values):
        if value is None:
            continue
        dot = steps - round((min(high, max(low, value)) - low) / (high - low) * steps)
        # A step is drawn upright from the height before, so that the line never breaks.
        first = dot if before is None else before + (dot > before) - (dot < before)
        for y in range(min(first, dot), max(first, dot) + 1):
            cells[y // 4][column // 2] |= _DOTS[y % 4][column % 2]
        before = dot
    return ["".join(chr(0x2800 + bits) if bits else " " for bits in line) for line in cells]
