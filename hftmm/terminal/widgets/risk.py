"""The risk pane: every venue's health and its use of its limits, and the totals."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from hftmm.desk.snapshot import RiskRow, RiskTotals
from hftmm.terminal import format as fmt
from hftmm.terminal.picture import Picture, glyph, hue
from hftmm.terminal.widgets.columns import Column, cell, fitting, header
from hftmm.terminal.widgets.lines import Line, LineWidget, Span, width_of
from hftmm.terminal.widgets.pane import Pane

_LABEL = 13
_WARNS_AT = 0.7
_ALARMS_AT = 0.9
_EIGHTHS = " ▏▎▍▌▋▊▉"

_COLUMNS = (
    Column("venue", _LABEL, left=True),
    Column("position", 10),
    Column("of limit", 13, left=True),
    Column("orders", 8),
    Column("day pnl", 10),
    Column("of loss", 9, left=True),
    Column("rate", 6),
    Column("dms", 6, left=True),
    Column("clock", 8),
    Column("reconn", 8),
)


class _Names(NamedTuple):
    columns: tuple[Column, ...]


class _Venue(NamedTuple):
    risk: RiskRow
    columns: tuple[Column, ...]


class _Total(NamedTuple):
    totals: RiskTotals
    orders: tuple[int, int]
    columns: tuple[Column, ...]


class RiskPane(Pane):
    """A venue a row, the total, and what all venues together may still do."""

    TITLE = "risk"
    HELP = (
        "How much of every limit is used. A bar turns at 70 % and again at 90 %, and its number "
        "says the same. `dms` is the venue's dead-man switch, `clock` how far the venue's clock is "
        "from ours, `reconn` how often its connections were replaced."
    )

    def rows(self, picture: Picture) -> Sequence[Hashable]:
        snapshot = picture.shown
        if snapshot is None:
            return []
        columns = fitting(_COLUMNS, self.room[0])
        orders = (
            sum(one.open_orders for one in snapshot.risk),
            sum(one.order_limit for one in snapshot.risk),
        )
        return [
            _Names(columns),
            *(_Venue(one, columns) for one in snapshot.risk),
            _Total(snapshot.risk_totals, orders, columns),
            (),
            snapshot.risk_totals,
        ]

    def draw(self, row: Hashable) -> Line:
        match row:
            case _Names(columns):
                return header(columns)
            case _Venue(risk, columns):
                return _venue_line(risk, columns)
            case _Total(totals, orders, columns):
                return _total_line(totals, orders, columns)
            case RiskTotals():
                return _limits_line(row, self.room[0])
            case _:
                return ()


def bar(used: float, width: int) -> list[Span]:
    """A bar of `width` cells; `used` is a fraction, drawn to an eighth of a cell."""
    used = min(1.0, max(0.0, used))
    role = _level(used, "accent")
    eighths = round(used * width * 8)
    # Something used is never drawn as nothing.
    if used > 0:
        eighths = max(1, eighths)
    full, rest = divmod(eighths, 8)
    part = _EIGHTHS[rest] if rest else ""
    empty = width - full - len(part)
    return [(("█" * full) + part, f"{role} on bar_empty"), (" " * empty, "plain on bar_empty")]


def _level(used: float, role: str) -> str:
    if used >= _ALARMS_AT:
        return "danger"
    return "warning" if used >= _WARNS_AT else role


def _part(amount: float, limit: float) -> float:
    return abs(amount) / limit if limit > 0 else 0.0


def _bar_cell(used: float, column: Column) -> list[Span]:
    return [(" " * column.gap, "plain"), *bar(used, column.width - column.gap)]


def _money(amount: float) -> str:
    return "good" if amount > 0 else "danger" if amount < 0 else "plain"


def _venue_line(row: RiskRow, columns: Sequence[Column]) -> Line:
    sign, role = glyph(row.state)
    loss = _part(min(0.0, row.day_pnl), row.loss_limit)
    held = _part(row.position, row.position_limit)
    spans: list[Span] = []
    cells: dict[str, Span] = {
        "position": (f"{row.position:+.4f}" if row.position else "0.0000", _level(held, "plain")),
        "orders": (f"{row.open_orders}/{row.order_limit}", "plain"),
        "day pnl": (fmt.signed(row.day_pnl), _money(row.day_pnl)),
        "rate": (fmt.percent(row.rate_used), _level(row.rate_used, "dim")),
        "dms": (fmt.plain(row.dead_man), "good" if row.dead_man == "on" else "dim"),
        "clock": (
            "" if row.clock_offset_ms is None else f"{fmt.signed(row.clock_offset_ms, 0)}ms",
            "dim",
        ),
        "reconn": (f"{row.reconnects}", "dim"),
    }
    for column in columns:
        match column.name:
            case "venue":
                name = fmt.fit(fmt.plain(row.venue), _LABEL - 2)
                spans += [(f"{sign} ", role), (name, hue(row.venue))]
            case "of limit":
                spans += _bar_cell(held, column)
            case "of loss":
                spans += _bar_cell(loss, column)
            case name:
                spans.append(cell(cells[name][0], column, cells[name][1]))
    return tuple(spans)


def _total_line(totals: RiskTotals, orders: tuple[int, int], columns: Sequence[Column]) -> Line:
    held = _part(totals.position, totals.position_limit)
    loss = _part(min(0.0, totals.day_pnl), totals.loss_limit)
    spans: list[Span] = []
    for column in columns:
        match column.name:
            case "venue":
                spans.append(cell("total", column, "bold bright"))
            case "position":
                text = f"{totals.position:+.4f}" if totals.position else "0.0000"
                spans.append(cell(text, column, _level(held, "bold bright")))
            case "of limit":
                spans += _bar_cell(held, column)
            case "orders":
                spans.append(cell(f"{orders[0]}/{orders[1]}", column, "plain"))
            case "day pnl":
                spans.append(cell(fmt.signed(totals.day_pnl), column, _money(totals.day_pnl)))
            case "of loss":
                spans += _bar_cell(loss, column)
    return tuple(spans)


def _limits_line(totals: RiskTotals, width: int) -> Line:
    spans: list[Span] = []
    for part in _limits(totals):
        gap: list[Span] = [("   ", "plain")] if spans else []
        if width_of(spans) + width_of(gap) + width_of(part) > width:
            break
        spans += [*gap, *part]
    return tuple(spans)


def _limits(totals: RiskTotals) -> list[list[Span]]:
    worst = _part(totals.worst_case, totals.worst_case_limit)
    drawdown = _part(totals.drawdown, totals.drawdown_limit)
    unhedged = "warning" if totals.unhedged else "plain"
    return [
        [("unhedged ", "dim"), (f"{totals.unhedged:.4f}", unhedged)],
        [
            ("worst case ", "dim"),
            (f"{totals.worst_case:.4f}", _level(worst, "plain")),
            (f" of {totals.worst_case_limit:.4f}", "dim"),
        ],
        [
            ("drawdown ", "dim"),
            (f"{totals.drawdown:.2f}", _level(drawdown, "plain")),
            (f" of {totals.drawdown_limit:,.0f}", "dim"),
        ],
    ]


class RiskLine(LineWidget):
    """Health and risk in one line, for when their pane is not on the screen."""

    GROUND = "raised"

    def paint(self, picture: Picture) -> None:
        """Draws what changed since the picture before."""
        snapshot = picture.shown
        rows = [] if snapshot is None else [(snapshot.risk, snapshot.risk_totals, self.size.width)]
        self.show(rows or [()], picture.now_ns)

    def draw(self, row: Hashable) -> Line:
        match row:
            case (tuple(venues), RiskTotals() as totals, int(width)):
                spans: list[Span] = [(" ", "dim")]
                for venue in venues:
                    sign, role = glyph(venue.state)
                    spans += [
                        (f"{sign} ", role),
                        (f"{fmt.plain(venue.venue)}  ", hue(venue.venue)),
                    ]
                held = _part(totals.position, totals.position_limit)
                position = f"{totals.position:+.4f}" if totals.position else "0.0000"
                for part in (
                    [("position ", "dim"), (position, _level(held, "bright"))],
                    [("day ", "dim"), (fmt.signed(totals.day_pnl), _money(totals.day_pnl))],
                    *_limits(totals),
                ):
                    if width_of(spans) + width_of(part) + 2 <= width:
                        spans += [*part, ("  ", "dim")]
            case _:
                spans = [(" risk", "dim")]
        return tuple((text, f"{role} on raised") for text, role in spans)
