"""The arbitrage pane: crossings of two venues, live ones first."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from hftmm.desk.snapshot import ArbitrageTotals, OpportunityRow
from hftmm.terminal import format as fmt
from hftmm.terminal.picture import Picture, hue
from hftmm.terminal.widgets.columns import Column, fitting, header, written
from hftmm.terminal.widgets.holdings import money
from hftmm.terminal.widgets.lines import Line, Span, width_of
from hftmm.terminal.widgets.pane import Pane

# The words of a result are what a crossing is shown for: most numbers go before them.
_MARKET = Column("market", 10, left=True, spared=3)
_RESULT = Column("result", 36, left=True, stretch=True, gap=1, spared=4)
_COLUMNS = (
    Column("buy", 8, left=True, gap=0, spared=4),
    Column("sell", 9, left=True, gap=1, spared=4),
    Column("size", 7),
    Column("gross", 7),
    Column("net", 7, spared=4),
    Column("profit", 8, spared=1),
    Column("lasted", 7, spared=2),
)

_GAP = "   "


class _Names(NamedTuple):
    columns: tuple[Column, ...]


class _Crossing(NamedTuple):
    """`result`: its first line, of those it is broken into."""

    opportunity: OpportunityRow
    result: str
    columns: tuple[Column, ...]


class _More(NamedTuple):
    """What of a result had no room beside its crossing."""

    text: str
    indent: int
    role: str


class ArbitragePane(Pane):
    """A crossing a row, and the day's totals at the foot."""

    TITLE = "arbitrage"
    HELP = (
        "Where one venue's bid is above another's ask: buy here, sell there. Live ones come first, "
        "then those that were worth taking, then the last few that were not. `gross` and `net` "
        "are in basis points, net of both taker fees at the most profitable size; `profit` is what "
        "that size would have earned, `lasted` how long it stood. `result` says what came of it, "
        "or which number stood in the way."
    )
    BRIGHTENS = False

    def rows(self, picture: Picture) -> Sequence[Hashable]:
        snapshot = picture.shown
        if snapshot is None:
            return []
        crossings = sorted(snapshot.opportunities, key=lambda one: not one.live)
        several = any(one.market != snapshot.market for one in crossings)
        wanted = (*_COLUMNS, _MARKET, _RESULT) if several else (*_COLUMNS, _RESULT)
        columns = fitting(wanted, self.room[0])
        return [_Names(columns), *(row for one in crossings for row in _written(one, columns))]

    def foot(self, picture: Picture) -> Sequence[Hashable]:
        return () if picture.shown is None else ((), *_foot(picture.shown.arbitrage, self.room[0]))

    def label(self, picture: Picture) -> Line:
        live = sum(one.live for one in picture.shown.opportunities) if picture.shown else 0
        return ((f"{live} live", "good"),) if live else ()

    def draw(self, row: Hashable) -> Line:
        match row:
            case _Names(columns):
                return header(columns)
            case _Crossing():
                return _crossing_line(row)
            case _More(text, indent, role):
                return ((" " * indent + text, role),)
            case tuple(line):
                return line
            case _:
                return ()


def _written(one: OpportunityRow, columns: tuple[Column, ...]) -> list[Hashable]:
    """A crossing's lines: its result goes on below where it is too long for its column."""
    result = next((column for column in columns if column.name == "result"), None)
    if result is None:
        return [_Crossing(one, "", columns)]
    indent = sum(column.width for column in columns) - result.width + result.gap
    first, *more = fmt.wrap(fmt.plain(one.result), result.width - result.gap)
    role = _result_role(one)
    return [_Crossing(one, first, columns), *(_More(text, indent, role) for text in more)]


def _crossing_line(row: _Crossing) -> Line:
    one, result, columns = row
    pays = one.net_bps > 0
    plain = "plain" if one.live else "dim"
    texts: dict[str, Span] = {
        "buy": (fmt.plain(one.buy_venue), hue(one.buy_venue)),
        "sell": (fmt.plain(one.sell_venue), hue(one.sell_venue)),
        "size": (fmt.size_cell(one.size or None, 7), plain),
        "gross": (fmt.bps(one.gross_bps), "dim"),
        "net": (fmt.bps(one.net_bps), ("bold good" if one.live else "good") if pays else "dim"),
        "profit": (fmt.signed(one.profit) if one.size else "", "good" if pays else "dim"),
        "lasted": (
            "live" if one.live else fmt.age(one.lasted_ms),
            "bold bright" if one.live else "dim",
        ),
        "market": (fmt.plain(fmt.market_name(one.market)), plain),
        "result": (result, _result_role(one)),
    }
    return written(texts, columns)


def _result_role(one: OpportunityRow) -> str:
    """The colour of what came of a crossing: taken in full, or with a leg left behind."""
    if one.result.startswith("filled"):
        return "good"
    if " leg " in one.result:
        return "warning"
    return "plain" if one.live else "dim"


def _foot(totals: ArbitrageTotals, width: int) -> list[Line]:
    """The day in one line, or in two where it is too long."""
    counts, sums = _totals(totals)
    if width_of(counts) + len(_GAP) + width_of(sums) <= width:
        return [(*counts, (_GAP, "dim"), *sums)]
    return [counts, sums]


def _totals(totals: ArbitrageTotals) -> tuple[Line, Line]:
    """What was seen and taken of it, and what that brought; or else what it could have brought."""
    seen: Line = (("today ", "dim"), _count(totals.seen), (" seen", "dim"))
    if totals.shots:
        taken = (
            *(("  ", "dim"), _count(totals.shots), (" shot", "dim")),
            *(("  ", "dim"), _count(totals.filled), (" filled", "dim")),
            *(("  ", "dim"), _count(totals.unwound, "warning"), (" unwound", "dim")),
            *(("  ", "dim"), _count(totals.missed), (" missed", "dim")),
        )
        got, role = money(totals.realised)
        return (*seen, *taken), (
            *(("expected ", "dim"), money(totals.counted_on)),
            *(("  got ", "dim"), (got, f"bold {role}")),
        )
    best = "-" if totals.best_net_bps is None else f"{fmt.bps(totals.best_net_bps)} bps"
    return (*seen, ("   eaten by fees ", "dim"), (f"{totals.gross_only}", "plain")), (
        *(("expected ", "dim"), money(totals.expected)),
        *(("   best ", "dim"), (best, "plain")),
    )


def _count(number: int, role: str = "bright") -> Span:
    return f"{number}", role if number else "dim"
