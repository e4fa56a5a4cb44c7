"""The fills tab: what traded, what the market did next, and what became of the risk."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from hftmm.desk.snapshot import FillRow
from hftmm.terminal import format as fmt
from hftmm.terminal.picture import Picture, hue
from hftmm.terminal.widgets.columns import Column, decimals, fitting, written
from hftmm.terminal.widgets.lines import Line, Span
from hftmm.terminal.widgets.tab import MARKET, Names, Tab, several_markets


class _Fill(NamedTuple):
    fill: FillRow
    columns: tuple[Column, ...]


class FillsPane(Tab):
    """A trade of ours a row, newest first."""

    TITLE = "fills"
    HELP = (
        "Our trades, newest first. `markout` is how far the mid moved our way within a second, in "
        "basis points: steadily below 0 means that those who traded with us knew more. `hedge` is "
        "what became of the risk. A fee below 0 is a rebate."
    )
    EMPTY = "no fills yet"

    def rows(self, picture: Picture) -> Sequence[Hashable]:
        snapshot = picture.shown
        if snapshot is None or not snapshot.fills:
            return self.empty(picture)
        fills = snapshot.fills
        several = several_markets([fill.market for fill in fills], snapshot.market)
        columns = fitting(
            [
                Column("time", 8, left=True, gap=0),
                Column("venue", 9, left=True, spared=2),
                *([MARKET] if several else []),
                Column("side", 6, left=True, spared=2),
                decimals("price", (fill.price for fill in fills), least=7, spared=2),
                decimals("size", (fill.size for fill in fills), least=5, spared=2),
                Column("role", 7, left=True),
                Column("markout", 9, spared=1),
                Column("hedge", 60, left=True, stretch=True, spared=1),
                Column("strategy", 11, left=True),
                decimals("fee", (fill.fee for fill in fills)),
                Column("asset", 6, left=True, gap=1),
            ],
            self.room[0],
        )
        return [Names(columns), *(_Fill(fill, columns) for fill in fills)]

    def draw(self, row: Hashable) -> Line:
        match row:
            case Names():
                return row.line()
            case _Fill(fill, columns):
                return written(_cells(fill), columns)
            case tuple(line):
                return line
            case _:
                return ()


def _cells(fill: FillRow) -> dict[str, Span]:
    markout = fill.markout_bps
    buys = fill.side == "buy"
    return {
        "time": (fmt.clock(fill.ns)[:-1], "dim"),
        "venue": (fmt.plain(fill.venue), hue(fill.venue)),
        "market": (fmt.plain(fmt.market_name(fill.market)), "plain"),
        "side": (fmt.plain(fill.side), "bid" if buys else "ask"),
        "price": (fmt.plain(fill.price), "bright"),
        "size": (fmt.plain(fill.size), "plain"),
        "role": ("maker" if fill.maker else "taker", "plain" if fill.maker else "dim"),
        "markout": (
            fmt.bps(markout),
            "dim" if not markout else "good" if markout > 0 else "danger",
        ),
        "hedge": (fmt.plain(fill.hedge), "plain"),
        "strategy": (fmt.plain(fill.strategy), "plain"),
        "fee": (fmt.plain(fill.fee), "good" if fill.fee.startswith("-") else "dim"),
        "asset": (fmt.plain(fill.fee_asset) if fill.fee else "", "dim"),
    }
