"""The positions and balances tabs: what is held, and where the venues see it differently."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from hftmm.desk.snapshot import BalanceRow, PositionRow
from hftmm.terminal import format as fmt
from hftmm.terminal.picture import Picture, hue
from hftmm.terminal.widgets.columns import Column, decimals, fitting, written
from hftmm.terminal.widgets.lines import Line, Span
from hftmm.terminal.widgets.tab import Names, Tab

_MONEY = 11


class _Position(NamedTuple):
    row: PositionRow
    columns: tuple[Column, ...]


class _Balance(NamedTuple):
    row: BalanceRow
    columns: tuple[Column, ...]


class _Sum(NamedTuple):
    """Money over all positions, quote."""

    unrealised: float
    realised: float
    fees: float
    funding: float
    columns: tuple[Column, ...]


class PositionsPane(Tab):
    """A listing a row, and their money in total."""

    TITLE = "positions"
    HELP = (
        "What is held of each listing: of spot, what was traded since the day was opened. Money "
        "is in quote; a fee paid is below 0. A row that ends in ! says how the venue's own word "
        "differs from our books."
    )
    EMPTY = "nothing is held"

    def rows(self, picture: Picture) -> Sequence[Hashable]:
        snapshot = picture.shown
        if snapshot is None or not snapshot.positions:
            return self.empty(picture)
        held = snapshot.positions
        columns = fitting(
            [
                Column("venue", 9, left=True, gap=0, spared=2),
                Column("market", 10, left=True, spared=2),
                decimals("position", (row.size for row in held), least=8, spared=2),
                decimals("entry", map(_entry, held), least=10, spared=1),
                decimals("mark", map(_mark, held), least=10),
                Column("unrealised", _MONEY + 1, spared=1),
                Column("realised", _MONEY, spared=1),
                Column("fees", _MONEY),
                Column("funding", _MONEY),
                Column("venue's word", 52, left=True, stretch=True, spared=1),
            ],
            self.room[0],
        )
        return [
            Names(columns),
            *(_Position(row, columns) for row in held),
            _Sum(
                sum(row.unrealised for row in held),
                sum(row.realised for row in held),
                sum(row.fees for row in held),
                sum(row.funding for row in held),
                columns,
            ),
        ]

    def draw(self, row: Hashable) -> Line:
        match row:
            case Names():
                return row.line()
            case _Position(held, columns):
                return written(_position(held), columns)
            case _Sum():
                return written(_sum(row), row.columns)
            case tuple(line):
                return line
            case _:
                return ()


class BalancesPane(Tab):
    """An asset in a wallet a row."""

    TITLE = "balances"
    HELP = (
        "Every asset in every wallet, by our books; `available` is free for new orders. A row that "
        "ends in ! says how the venue's own word differs."
    )
    EMPTY = "no balances"

    def rows(self, picture: Picture) -> Sequence[Hashable]:
        snapshot = picture.shown
        if snapshot is None or not snapshot.balances:
            return self.empty(picture)
        balances = snapshot.balances
        columns = fitting(
            [
                Column("venue", 9, left=True, gap=0, spared=1),
                Column("wallet", 9, left=True),
                Column("asset", 9, left=True, spared=1),
                decimals("total", (row.total for row in balances), least=12, spared=1),
                decimals("available", (row.available for row in balances), least=12, spared=1),
                Column("venue's word", 40, left=True, stretch=True),
            ],
            self.room[0],
        )
        return [Names(columns), *(_Balance(row, columns) for row in balances)]

    def draw(self, row: Hashable) -> Line:
        match row:
            case Names():
                return row.line()
            case _Balance(balance, columns):
                return written(_balance(balance), columns)
            case tuple(line):
                return line
            case _:
                return ()


def money(amount: float) -> Span:
    """An amount with its sign, in the colour that repeats it."""
    text = fmt.signed(amount)
    return text, "good" if text[0] == "+" else "danger" if text[0] == "-" else "dim"


def _entry(row: PositionRow) -> str:
    # An average has no grid.
    return fmt.price(row.entry, row.decimals + 1)


def _mark(row: PositionRow) -> str:
    return fmt.price(row.mark, row.decimals)


def _drift(text: str) -> Span:
    return (f"! {fmt.plain(text)}" if text else "", "warning")


def _position(row: PositionRow) -> dict[str, Span]:
    return {
        "venue": (fmt.plain(row.venue), hue(row.venue)),
        "market": (fmt.plain(fmt.market_name(row.market)), "plain"),
        "position": (fmt.plain(row.size), "bright" if row.size.strip("-0.") else "dim"),
        "entry": (_entry(row), "own"),
        "mark": (_mark(row), "plain"),
        "unrealised": money(row.unrealised),
        "realised": money(row.realised),
        "fees": money(row.fees),
        "funding": money(row.funding),
        "venue's word": _drift(row.drift),
    }


def _sum(row: _Sum) -> dict[str, Span]:
    blank = dict.fromkeys(("market", "position", "entry", "mark", "venue's word"), ("", "dim"))
    return {
        **blank,
        "venue": ("total", "bold bright"),
        "unrealised": money(row.unrealised),
        "realised": money(row.realised),
        "fees": money(row.fees),
        "funding": money(row.funding),
    }


def _balance(row: BalanceRow) -> dict[str, Span]:
    return {
        "venue": (fmt.plain(row.venue), hue(row.venue)),
        "wallet": (fmt.plain(row.wallet), "dim"),
        "asset": (fmt.plain(row.asset), "bright"),
        "total": (fmt.plain(row.total), "plain"),
        "available": (fmt.plain(row.available), "plain"),
        "venue's word": _drift(row.drift),
    }
