"""The tape: public trades of every venue, newest first."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from hftmm.desk.snapshot import TapeRow
from hftmm.terminal import format as fmt
from hftmm.terminal.picture import Picture, hue
from hftmm.terminal.widgets.columns import Column, cell, fitting, header
from hftmm.terminal.widgets.lines import Line
from hftmm.terminal.widgets.pane import Pane


class _Names(NamedTuple):
    columns: tuple[Column, ...]


class _Trade(NamedTuple):
    trade: TapeRow
    decimals: int
    columns: tuple[Column, ...]


class TapePane(Pane):
    """A trade a row."""

    TITLE = "tape"
    HELP = (
        "Trades of all venues, newest first: ▲ the taker bought, ▼ the taker sold. Trades large "
        "for this market are bright."
    )
    BRIGHTENS = False

    def rows(self, picture: Picture) -> Sequence[Hashable]:
        snapshot = picture.shown
        if snapshot is None:
            return []
        decimals = snapshot.ladder.decimals
        widest = max((trade.price for trade in snapshot.tape), default=0.0)
        columns = fitting(
            (
                Column("time", 12, left=True, gap=0),
                Column("venue", 10, left=True),
                Column("price", max(9, len(fmt.price(widest, decimals)) + 3)),
                Column("size", 9),
            ),
            self.room[0],
        )
        return [_Names(columns), *(_Trade(trade, decimals, columns) for trade in snapshot.tape)]

    def draw(self, row: Hashable) -> Line:
        match row:
            case _Names(columns):
                return header(columns)
            case _Trade(trade, decimals, columns):
                buys = trade.side == "buy"
                role = "bid" if buys else "ask"
                sign = "▲" if buys else "▼"
                cells = (
                    (fmt.clock_ms(trade.ns), "dim"),
                    (fmt.plain(trade.venue), hue(trade.venue)),
                    (f"{sign} {fmt.price(trade.price, decimals)}", role),
                    (fmt.size_cell(trade.size, 9), "bold bright" if trade.large else "plain"),
                )
                return tuple(
                    cell(text, column, one)
                    for (text, one), column in zip(cells, columns, strict=False)
                )
            case _:
                return ()
