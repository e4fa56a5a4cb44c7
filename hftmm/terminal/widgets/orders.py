"""The orders tab: what of ours may still trade, one of them selected."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import msgspec
from textual import events

from hftmm.desk.snapshot import OrderRow
from hftmm.terminal import format as fmt
from hftmm.terminal.picture import Picture, hue
from hftmm.terminal.widgets.columns import Column, decimals, fitting, written
from hftmm.terminal.widgets.lines import Line, Span
from hftmm.terminal.widgets.tab import MARKET, Names, Tab, several_markets

_STATES = {
    "open": "plain",
    "partially_filled": "own",
    "filled": "good",
    "pending_new": "dim",
    "pending_cancel": "warning",
    "unknown": "bold warning",
    "rejected": "danger",
}
_WORDS = {
    "partially_filled": "partial",
    "pending_new": "sent",
    "pending_cancel": "canceling",
}


class _Order(NamedTuple):
    """`age` stands for the order's own, which differs in every picture."""

    order: OrderRow
    age: str
    selected: bool
    columns: tuple[Column, ...]


class OrdersPane(Tab):
    """An order a row; the selection stays on its order when rows move."""

    TITLE = "orders"
    HELP = (
        "Orders that may still trade, then those that ended a moment ago. Arrows select one, "
        "c cancels it. `queue` is what is ahead of it at its price, at the most; `unknown` is an "
        "order whose fate is being asked for: it counts in full until the venue says."
    )
    EMPTY = "no orders"

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own argument
        super().__init__(id=id)
        self._orders: tuple[OrderRow, ...] = ()
        self._selected = ""
        self._selects_first = False

    @property
    def selected(self) -> OrderRow | None:
        """The order `c` cancels."""
        return next((one for one in self._orders if one.client_id == self._selected), None)

    def rows(self, picture: Picture) -> Sequence[Hashable]:
        snapshot = picture.shown
        self._orders = () if snapshot is None else snapshot.orders
        if snapshot is None or not self._orders:
            return self.empty(picture)
        if self._selects_first:
            self._selects_first = False
            self.select(0)
        columns = fitting(_columns(self._orders, snapshot.market), self.room[0])
        return [
            Names(columns),
            *(
                _Order(
                    msgspec.structs.replace(order, age_ms=0.0),
                    fmt.age(order.age_ms),
                    order.client_id == self._selected,
                    columns,
                )
                for order in self._orders
            ),
        ]

    def draw(self, row: Hashable) -> Line:
        match row:
            case Names():
                return row.line()
            case _Order():
                return _order_line(row)
            case tuple(line):
                return line
            case _:
                return ()

    def scroll_rows(self, rows: int) -> None:
        """Moves the selection; the list follows it."""
        at = self._at()
        if at is None:
            self.select(0 if rows > 0 else len(self._orders) - 1)
        else:
            self.select(at + rows)

    def select_first(self) -> None:
        """Selects the newest order at the next picture; the pane may not be in sight before."""
        self._selects_first = True

    def select(self, at: int) -> None:
        """Selects an order by its row, or the nearest there is."""
        if not self._orders:
            return
        at = max(0, min(at, len(self._orders) - 1))
        self._selected = self._orders[at].client_id
        height = max(1, self.room[1] - self.FIXED)
        self.top = max(at - height + 1, min(self.top, at))

    def on_click(self, event: events.Click) -> None:
        """Selects the order under the pointer."""
        row = event.y - 1 - self.FIXED
        if 0 <= row < min(len(self._orders) - self.top, self.room[1] - self.FIXED):
            self.select(self.top + row)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.top += 3

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.top -= 3

    def _at(self) -> int | None:
        ids = [order.client_id for order in self._orders]
        return ids.index(self._selected) if self._selected in ids else None


def _columns(orders: Sequence[OrderRow], market: str) -> list[Column]:
    several = several_markets([order.market for order in orders], market)
    return [
        Column("", 2, left=True, gap=0, spared=3),
        Column("time", 8, left=True, gap=0),
        Column("venue", 9, left=True, spared=2),
        *([MARKET] if several else []),
        Column("side", 6, left=True, spared=2),
        decimals("price", (order.price for order in orders), least=7, spared=2),
        decimals("size", (order.size for order in orders), least=5, spared=2),
        decimals("filled", (order.filled for order in orders), spared=1),
        Column("state", 12, left=True, spared=1),
        Column("age", 6),
        Column("strategy", 12, left=True),
        Column("queue", 8),
        Column("id", 14, left=True),
        Column("", 24, left=True, stretch=True),
    ]


def _order_line(row: _Order) -> Line:
    order = row.order
    buys = order.side == "buy"
    ended = not order.live
    plain = "dim" if ended else "plain"
    filled = bool(order.filled.strip("0."))
    cells: dict[str, Span] = {
        "time": (fmt.clock(order.ns)[:-1], "dim"),
        "venue": (fmt.plain(order.venue), "dim" if ended else hue(order.venue)),
        "market": (fmt.plain(fmt.market_name(order.market)), plain),
        "side": (fmt.plain(order.side), "dim" if ended else "bid" if buys else "ask"),
        "price": (fmt.plain(order.price), "dim" if ended else "bright"),
        "size": (fmt.plain(order.size), plain),
        "filled": (fmt.plain(order.filled), "own" if filled else "dim"),
        "state": (
            fmt.plain(_WORDS.get(order.state, order.state)),
            _STATES.get(order.state, "dim"),
        ),
        "age": (row.age, "dim"),
        "strategy": (fmt.plain(order.strategy), plain),
        "queue": (fmt.size_cell(order.queue, 6), "dim"),
        "id": (fmt.plain(order.client_id), "dim"),
    }
    # The last column has no name: it is there for the few orders that need a word.
    cells[""] = (fmt.plain(order.text), "warning" if order.live else "dim")
    mark: Span = ("▸ " if row.selected else "  ", "bold accent")
    line = (mark, *written(cells, row.columns[1:]))
    if not row.selected:
        return line
    return tuple((text, f"{role} on raised") for text, role in line)
