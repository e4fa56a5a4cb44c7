"""The risk pane: every venue's health and its use of its limits, and the totals."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from hftmm.desk.snapshot import RiskRow, RiskTotals
from hftmm.terminal import format as fmt
from hftmm.terminal.picture import Picture, glyph, hue
from hftmm.terminal.widgets.columns import Column, cell, fitting, header
from hftmm.terminal.widgets.holdings import money
from hftmm.terminal.widgets.lines import Line, LineWidget, Span, width_of
from hftmm.terminal.widgets.pane import Pane

_LABEL = 12
_WARNS_AT = 0.7
_ALARMS_AT = 0.9
_EIGHTHS = " ▏▎▍▌▋▊▉"
_SIGN = 3
_DEAD_MAN = {"on": ("on", "good"), "off": ("off", "warning"), "none": ("--", "dim")}

_POSITION = Column("position", 9)
_COLUMNS = (
    Column("venue", _LABEL, left=True),
    _POSITION,
    Column("of limit", 30, left=True, stretch=True),
    Column("orders", 7),
    Column("day pnl", 10),
    Column("of loss", 10, left=True),
    Column("rate", 6),
    Column("dms", 5, left=True),
    Column("clock", 7),
    Column("reconn", 8),
)


class _Names(NamedTuple):
    columns: tuple[Column, ...]


class _Venue(NamedTuple):
    risk: RiskRow
    selected: bool
    columns: tuple[Column, ...]


class _Problem(NamedTuple):
    """Why a venue trades nothing, or only towards zero."""

    text: str
    role: str


class _Total(NamedTuple):
    totals: RiskTotals
    orders: str
    columns: tuple[Column, ...]


class _Used(NamedTuple):
    """What all venues together use of a limit. Attributes: of: words behind it."""

    label: str
    amount: str
    used: float
    of: str


class _UsedRow(NamedTuple):
    used: _Used
    columns: tuple[Column, ...]


class RiskPane(Pane):
    """A venue a row, the total, and what all venues together may still do."""

    TITLE = "risk"
    HELP = (
        "How much of every limit is used. A bar turns at 70 % (!) and again at 90 % (!!). `rate` "
        "is the fullest rate budget, `dms` the venue's dead-man switch: on, off, or -- where it "
        "has none; `clock` how far the venue's clock is from ours, `reconn` how often its "
        "connections were replaced. Under a venue stands why it trades nothing (✕), or only "
        "towards zero (■). `unhedged` is what is held against our will, with its age and that at "
        "which it is flattened; `worst case` the position if the worse open orders all fill. "
        "Arrows select the venue (▸) that x halts or resumes."
    )

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own argument
        super().__init__(id=id)
        self._venues: tuple[str, ...] = ()
        self._selected = ""

    @property
    def selected_venue(self) -> str:
        return self._selected if self._selected in self._venues else ""

    def scroll_rows(self, rows: int) -> None:
        """Moves the selection, and what lies below into sight."""
        if self._venues:
            known = self._selected in self._venues
            at = self._venues.index(self._selected) + rows if known else 0
            self._selected = self._venues[max(0, min(at, len(self._venues) - 1))]
        super().scroll_rows(rows)

    def rows(self, picture: Picture) -> Sequence[Hashable]:
        snapshot = picture.shown
        if snapshot is None:
            return []
        self._venues = tuple(one.venue for one in snapshot.risk)
        columns = fitting(_COLUMNS, self.room[0])
        rows: list[Hashable] = [_Names(columns)]
        for one in snapshot.risk:
            rows.append(_Venue(one, one.venue == self._selected, columns))
            if one.account:
                rows.append(_Problem(f"✕ {fmt.plain(one.account)}", "danger"))
            if one.halted:
                rows.append(_Problem(f"■ halted: {fmt.plain(one.halted)}", "warning"))
        totals = snapshot.risk_totals
        opened = sum(one.open_orders for one in snapshot.risk)
        allowed = totals.order_limit or sum(one.order_limit for one in snapshot.risk)
        rows.append(_Total(totals, f"{opened}/{allowed}", columns))
        spare = self.room[1] - len(rows)
        used = _used(totals)
        if spare < len(used):
            return [*rows, *([()] if spare > 1 else []), totals]
        blank = [()] if spare > len(used) else []
        return [*rows, *blank, *(_UsedRow(one, columns) for one in used)]

    def draw(self, row: Hashable) -> Line:
        match row:
            case _Names(columns):
                return header(columns)
            case _Venue(risk, selected, columns):
                return _venue_line(risk, columns, mark="▸" if selected else " ")
            case _Problem(text, role):
                return (("  ", "plain"), (fmt.fit(text, self.room[0] - 2).rstrip(), role))
            case _Total():
                return _total_line(row)
            case _UsedRow(used, columns):
                return _used_line(used, columns, self.room[0])
            case RiskTotals():
                return _short_line(row, self.room[0])
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


def _sign(used: float) -> str:
    """What repeats the colour of a bar."""
    return " !!" if used >= _ALARMS_AT else " ! " if used >= _WARNS_AT else "   "


def _part(amount: float, limit: float) -> float:
    return abs(amount) / limit if limit > 0 else 0.0


def _bar_cell(used: float, column: Column) -> list[Span]:
    cells = bar(used, column.width - column.gap - _SIGN)
    sign = (_sign(used), f"bold {_level(used, 'plain')}")
    return [(" " * column.gap, "plain"), *cells, sign]


def _position(amount: float) -> str:
    return f"{amount:+.4f}" if round(amount, 4) else "0.0000"


def _venue_line(row: RiskRow, columns: Sequence[Column], mark: str) -> Line:
    sign, role = glyph(row.state)
    held = _part(row.position, row.position_limit)
    loss = _part(min(0.0, row.day_pnl), row.loss_limit)
    filled = _part(row.open_orders, row.order_limit)
    clock = row.clock_offset_ms
    cells: dict[str, Span] = {
        "position": (_position(row.position), _level(held, "plain")),
        "orders": (f"{row.open_orders}/{row.order_limit}", _level(filled, "plain")),
        "day pnl": money(row.day_pnl),
        "rate": (fmt.percent(row.rate_used), _level(row.rate_used, "dim")),
        "dms": _DEAD_MAN.get(row.dead_man, (fmt.plain(row.dead_man), "warning")),
        "clock": ("" if clock is None else f"{fmt.signed(clock, 0)}ms", "dim"),
        "reconn": (f"{row.reconnects}", "dim"),
    }
    spans: list[Span] = []
    for column in columns:
        match column.name:
            case "venue":
                name = fmt.fit(fmt.plain(row.venue), _LABEL - 2)
                spans += [(sign, role), (mark, "bold accent"), (name, hue(row.venue))]
            case "of limit":
                spans += _bar_cell(held, column)
            case "of loss":
                spans += _bar_cell(loss, column)
            case name:
                spans.append(cell(cells[name][0], column, cells[name][1]))
    return tuple(spans)


def _total_line(row: _Total) -> Line:
    totals = row.totals
    held = _part(totals.position, totals.position_limit)
    loss = _part(min(0.0, totals.day_pnl), totals.loss_limit)
    text, role = money(totals.day_pnl)
    cells: dict[str, Span] = {
        "venue": ("  total", "bold bright"),
        "position": (_position(totals.position), _level(held, "bold bright")),
        "orders": (row.orders, "plain"),
        "day pnl": (text, f"bold {role}"),
    }
    spans: list[Span] = []
    for column in row.columns:
        if column.name == "of limit":
            spans += _bar_cell(held, column)
        elif column.name == "of loss":
            spans += _bar_cell(loss, column)
        elif column.name in cells:
            text, role = cells[column.name]
            spans.append(
                (fmt.fit(text, _LABEL), role)
                if column.name == "venue"
                else cell(text, column, role)
            )
    return tuple(spans)


def _used(totals: RiskTotals) -> list[_Used]:
    """The limits of all venues together, the most pressing first."""
    age, limit = totals.unhedged_ms, totals.unhedged_limit_ms
    return [
        _Used(
            "unhedged",
            _position(totals.unhedged),
            0.0 if age is None else _part(age, limit),
            "" if age is None else f"{fmt.age(age)} of {fmt.age(limit)}" if limit else fmt.age(age),
        ),
        _Used(
            "worst case",
            f"{totals.worst_case:.4f}",
            _part(totals.worst_case, totals.worst_case_limit),
            f"of {totals.worst_case_limit:.4f}",
        ),
        _Used(
            "drawdown",
            f"{totals.drawdown:,.2f}",
            _part(totals.drawdown, totals.drawdown_limit),
            f"of {totals.drawdown_limit:,.0f}",
        ),
    ]


def _used_line(row: _Used, columns: Sequence[Column], width: int) -> Line:
    """In the columns of the venues: what, how much, and the bar."""
    spans: list[Span] = [
        (fmt.fit(f"  {row.label}", _LABEL), "dim"),
        cell(row.amount, _POSITION, _amount_role(row)),
    ]
    for column in columns:
        if column.name == "of limit":
            spans += _bar_cell(row.used, column)
    words = f" {row.of}"
    if width >= width_of(spans) + len(words):
        spans.append((words, "dim"))
    return tuple(spans)


def _amount_role(row: _Used) -> str:
    """Anything unhedged is worth a look, however young it is."""
    held = row.label == "unhedged" and bool(row.amount.strip("-+0."))
    return _level(row.used, "warning" if held else "plain")


def _short_line(totals: RiskTotals, width: int) -> Line:
    spans: list[Span] = []
    for row in _used(totals):
        part = _short(row, "   " if spans else "")
        if width_of(spans) + width_of(part) > width:
            break
        spans += part
    return tuple(spans)


def _short(row: _Used, gap: str) -> list[Span]:
    sign = _sign(row.used).strip()
    return [
        (f"{gap}{row.label} ", "dim"),
        (row.amount + (f" {sign}" if sign else ""), _amount_role(row)),
        (f" {row.of}" if row.of else "", "dim"),
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
                    halted = ("■", "warning")
                    sign, role = halted if venue.halted else glyph(venue.state)
                    spans += [
                        (f"{sign} ", role),
                        (f"{fmt.plain(venue.venue)}  ", hue(venue.venue)),
                    ]
                held = _part(totals.position, totals.position_limit)
                for part in (
                    [("position ", "dim"), (_position(totals.position), _level(held, "bright"))],
                    [("day ", "dim"), money(totals.day_pnl)],
                    *(_short(used, "") for used in _used(totals)),
                ):
                    # Where a limit has no room, its use may still have some.
                    for shown in (part, part[:2]):
                        if width_of(spans) + width_of(shown) <= width:
                            spans += [*shown, ("  ", "dim")]
                            break
            case _:
                spans = [(" risk", "dim")]
        return tuple((text, f"{role} on raised") for text, role in spans)
