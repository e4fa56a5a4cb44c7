"""A journal in memory: what a crash of the engine leaves of it is what the next run starts from."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Final, TypeAlias

import msgspec

from hftmm.core.instrument import Listing
from hftmm.core.order import Fill, Funding, OrderRequest, OrderState, Rejection
from hftmm.execution.client_ids import number
from hftmm.execution.order import Order
from hftmm.risk.portfolio import Opening, Pnl
from hftmm.venues.effects import Note

WRITTEN_WITHIN_NS: Final = 50_000_000
"""How far the writing may be behind when the process is killed."""

Trade: TypeAlias = tuple[str, str]
"""Listing key and trade id."""


class Past(msgspec.Struct, frozen=True):
    """Where an earlier run stood; see `History`."""

    last_id: int
    orders: tuple[Order, ...]
    trades: tuple[Trade, ...]
    last_fill_ns: dict[str, int]
    killed: str
    opening: Opening | None
    fills: tuple[Fill, ...]
    fundings: tuple[Funding, ...]


class _Row(msgspec.Struct, frozen=True):
    """An order as last written."""

    request: OrderRequest
    strategy: str
    created_ns: int
    venue_id: str
    state: OrderState
    filled: Decimal
    venue_ns: int
    rejection: Rejection | None
    text: str
    unsettled: bool


class MemoryJournal:
    """Keeps what a journal keeps, in the order it was told.

    Like one that a thread writes, it is a little behind: `crash` loses what was told last, but for
    the orders that were about to leave, and for what is forced through.

    Attributes:
        fills, fundings: what is written, each once.
        failure: always "", a memory is never full.
    """

    failure = ""

    def __init__(self) -> None:
        self.fills: Final[dict[Trade, Fill]] = {}
        self._orders: Final[dict[str, _Row]] = {}
        self._intents: Final[dict[str, _Row]] = {}
        self.fundings: Final[dict[tuple[str, str, str, int], Funding]] = {}
        self._opening: Opening | None = None
        self._opened_after = (0, 0)
        self._killed = ""
        self._behind: Final[deque[tuple[int, Callable[[], object]]]] = deque()

    # ---- Records ------------------------------------------------------------------------------

    def intended(self, order: Order, now_ns: int) -> None:
        row = _row(order)
        self._intents[order.client_id] = row
        self._write(now_ns, partial(self._orders.__setitem__, order.client_id, row))

    def changed(self, order: Order, now_ns: int) -> None:
        self._write(now_ns, partial(self._orders.__setitem__, order.client_id, _row(order)))

    def filled(self, fill: Fill, now_ns: int) -> None:
        self._write(now_ns, partial(self._traded, fill))

    def funded(self, funding: Funding, now_ns: int) -> None:
        key = "" if funding.listing is None else funding.listing.key
        paid = funding.venue, key, funding.asset, funding.venue_ns
        self._write(now_ns, partial(self.fundings.setdefault, paid, funding))

    def noted(self, note: Note) -> None:
        """Nobody reads it again."""

    def killed(self, reason: str, now_ns: int) -> None:
        self.force()
        self._killed = reason

    def marked(self, listing: Listing, position: Decimal, pnl: Pnl, now_ns: int) -> None:
        """Nobody reads it again."""

    def opened(self, opening: Opening) -> None:
        self.force()
        self._opening = opening
        self._opened_after = len(self.fills), len(self.fundings)

    # ---- ending and beginning -----------------------------------------------------------------

    def force(self) -> None:
        """Everything told so far is written."""
        while self._behind:
            self._behind.popleft()[1]()

    def crash(self, now_ns: int, behind_ns: int) -> None:
        """The process is killed while the writing is so far behind."""
        while self._behind and self._behind[0][0] <= now_ns - behind_ns:
            self._behind.popleft()[1]()
        self._behind.clear()

    def resume(self) -> Past:
        """What a restart needs to know."""
        unwritten = {key: row for key, row in self._intents.items() if key not in self._orders}
        self._orders.update(unwritten)
        last_fill_ns: dict[str, int] = {}
        for (key, _), fill in self.fills.items():
            last_fill_ns[key] = max(fill.venue_ns, last_fill_ns.get(key, 0))
        fills, fundings = self._opened_after
        return Past(
            last_id=max(map(number, self._orders), default=0),
            orders=tuple(
                self._order(client_id, row)
                for client_id, row in self._orders.items()
                if row.unsettled
            ),
            trades=tuple(self.fills),
            last_fill_ns=last_fill_ns,
            killed=self._killed,
            opening=self._opening,
            fills=tuple(self.fills.values())[fills:],
            fundings=tuple(self.fundings.values())[fundings:],
        )

    # -------------------------------------------------------------------------------------------

    def _write(self, now_ns: int, what: Callable[[], object]) -> None:
        behind = self._behind
        while behind and behind[0][0] <= now_ns - WRITTEN_WITHIN_NS:
            behind.popleft()[1]()
        behind.append((now_ns, what))

    def _traded(self, fill: Fill) -> None:
        """Written once; a fee that is told later completes it."""
        trade = fill.listing.key, fill.trade_id
        known = self.fills.get(trade)
        if known is None or (known.fee is None and fill.fee is not None):
            self.fills[trade] = fill

    def _order(self, client_id: str, row: _Row) -> Order:
        order = Order(row.request, row.strategy, row.created_ns)
        order.venue_id, order.state, order.venue_ns = row.venue_id, row.state, row.venue_ns
        order.seen = row.venue_ns > 0
        order.rejection, order.text = row.rejection, row.text
        for (key, trade_id), fill in self.fills.items():
            named = row.venue_id and (key, fill.venue_id) == (order.key, row.venue_id)
            if fill.client_id == client_id or named:
                order.trades.add(trade_id)
                order.booked += fill.size
        order.filled = max(row.filled, order.booked)
        return order


def _row(order: Order) -> _Row:
    return _Row(
        order.request,
        order.strategy,
        order.created_ns,
        order.venue_id,
        order.state,
        order.filled,
        order.venue_ns,
        order.rejection,
        order.text,
        order.live or order.filled > order.booked,
    )
