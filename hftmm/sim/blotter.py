"""Accepted orders from entry to end: what the matching engines do to them, and what follows."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import Final

from hftmm.core.instrument import Side
from hftmm.sim.clearing import Clearing
from hftmm.sim.filters import Rules
from hftmm.sim.ledger import Account, Change, OrderChanged
from hftmm.sim.matching import SELF_TRADE, MatchingEngine
from hftmm.sim.orders import Order, OrderState, Ticket
from hftmm.sim.spec import Spec
from hftmm.sim.tape import Fill

HISTORY: Final = 20_000
"""Ended orders an account remembers."""


class Listed:
    """One instrument: its engine, and whose orders rest in it, by the engine's numbers."""

    __slots__ = ("engine", "resting", "rules", "spec")

    def __init__(self, engine: MatchingEngine, rules: Rules) -> None:
        self.engine = engine
        self.spec = engine.spec
        self.rules = rules
        self.resting: dict[int, Order] = {}


class Blotter:
    """The open and ended orders of every account of a broker.

    Attributes:
        listed: by symbol.
    """

    def __init__(
        self, listed: Mapping[str, Listed], accounts: Mapping[str, Account], clearing: Clearing
    ) -> None:
        self.listed = listed
        self._accounts = accounts
        self._clearing = clearing
        self._last_order = 0
        self._ended: dict[str, deque[int]] = {name: deque() for name in accounts}
        for entry in listed.values():
            entry.engine.watch(partial(self._maker_filled, entry))

    def accept(self, account: Account, ticket: Ticket, lots: int, now_ns: int) -> Order:
        self._last_order += 1
        order = Order(
            id=self._last_order,
            account=account.key,
            spec=self.listed[ticket.spec.symbol].spec,
            side=ticket.side,
            ticks=ticket.ticks,
            lots=lots,
            client_id=ticket.client_id,
            post_only=ticket.post_only,
            time_in_force=ticket.time_in_force,
            reduce_only=ticket.reduce_only,
            self_trade=ticket.self_trade,
            quote_amount=ticket.quote_amount,
            note=ticket.note,
            created_ns=now_ns,
            updated_ns=now_ns,
        )
        account.open[order.id] = account.orders[order.id] = order
        if order.client_id:
            account.client_ids[account.wallet_name(order.spec.kind), order.client_id] = order
        if order.reduce_only:
            account.reducing.setdefault(order.spec.symbol, {})[order.id] = order
        self.tell(account, order, "new", now_ns)
        return order

    def execute(
        self, account: Account, listed: Listed, order: Order, limit: int, now_ns: int
    ) -> None:
        """Sends what is left of an order to the engine and books what comes of it."""
        placed = listed.engine.place(
            order.side,
            limit,
            order.remaining_lots,
            now_ns,
            owner=account.key,
            immediate=order.ticks is None or order.time_in_force != "gtc",
            self_trade=order.self_trade,
        )
        for resting_id in placed.removed:
            own = listed.resting[resting_id]
            self._release(account, listed, own, now_ns)
            self.end(account, own, "expired", "self_trade", now_ns)
        for fill in placed.fills:
            self._book(account, order, fill, maker=False)
        if placed.resting:
            order.resting_id = placed.order_id
            listed.resting[placed.order_id] = order
            self._clearing.hold(account, order, placed.resting, now_ns)
        elif order.remaining_lots:
            reason: str = "market" if order.ticks is None else order.time_in_force
            if placed.reason == SELF_TRADE:
                reason = "self_trade"
            self.end(account, order, "expired", reason, now_ns)
        self._keep_reducing(account, listed, now_ns)

    def _maker_filled(self, listed: Listed, fill: Fill) -> None:
        """The engine matched a resting order; called in the midst of the match."""
        self._clearing.fund_due(self._accounts.values(), fill.ts_ns)
        order = listed.resting[fill.maker_order]
        account = self._accounts[order.account]
        self._book(account, order, fill, maker=True)
        if not order.open:
            del listed.resting[fill.maker_order]
        self._keep_reducing(account, listed, fill.ts_ns)

    def _book(self, account: Account, order: Order, fill: Fill, maker: bool) -> None:
        self._clearing.settle(
            account, order, fill.ticks, fill.lots, fill.trade_id, maker, fill.ts_ns
        )
        if not order.open:
            order.resting_id = 0
            self._file(account, order)

    def _keep_reducing(self, account: Account, listed: Listed, now_ns: int) -> None:
        """Cancels and shrinks reduce-only orders that could do more than close the position."""
        orders = account.reducing.get(listed.spec.symbol)
        if not orders:
            return
        base = account.position(listed.spec).base
        most = reducible(account, listed.spec)
        for order in list(orders.values()):
            if not order.resting_id:
                continue
            if not most or (base > 0) == (order.side == "buy"):
                self.withdraw(account, order, "canceled", "reduce_only", now_ns)
            elif order.remaining_lots > most:
                listed.engine.reduce(order.resting_id, most, now_ns)
                order.lots = order.filled_lots + most
                order.updated_ns = now_ns
                self.tell(account, order, "amended", now_ns)

    def fill(self, order: Order, now_ns: int) -> None:
        """Lets the market take everything up to and including an open order."""
        if order.ticks is None:
            return
        engine = self.listed[order.spec.symbol].engine
        side: Side = "sell" if order.side == "buy" else "buy"
        better = sum(
            lots for ticks, lots, _ in engine.offers(side, order.ticks) if ticks != order.ticks
        )
        lots = better + engine.queue_ahead(order.resting_id) + order.remaining_lots
        engine.place(side, order.ticks, lots, now_ns, immediate=True)

    def withdraw(
        self, account: Account, order: Order, state: OrderState, reason: str, now_ns: int
    ) -> None:
        """Takes a resting order out of the book and ends it."""
        listed = self.listed[order.spec.symbol]
        listed.engine.cancel(order.resting_id, now_ns)
        resting = order.remaining_lots
        del listed.resting[order.resting_id]
        order.resting_id = 0
        self.end(account, order, state, reason, now_ns)
        self._clearing.hold(account, order, -resting, now_ns)

    def _release(self, account: Account, listed: Listed, order: Order, now_ns: int) -> None:
        """Gives back what an order held that the engine has removed."""
        del listed.resting[order.resting_id]
        order.resting_id = 0
        self._clearing.hold(account, order, -order.remaining_lots, now_ns)

    def end(
        self, account: Account, order: Order, state: OrderState, reason: str, now_ns: int
    ) -> None:
        order.state, order.reason, order.updated_ns = state, reason, now_ns
        self._file(account, order)
        self.tell(account, order, "expired" if state == "expired" else "canceled", now_ns)

    def _file(self, account: Account, order: Order) -> None:
        """Moves an ended order to history, and the oldest of it to oblivion."""
        del account.open[order.id]
        if order.reduce_only:
            account.reducing[order.spec.symbol].pop(order.id)
        ended = self._ended[account.key]
        ended.append(order.id)
        if len(ended) > HISTORY:
            oldest = account.orders.pop(ended.popleft())
            key = account.wallet_name(oldest.spec.kind), oldest.client_id
            if account.client_ids.get(key) is oldest:
                del account.client_ids[key]

    def tell(self, account: Account, order: Order, change: Change, now_ns: int) -> None:
        account.events.append(OrderChanged(order.snapshot(), None, change, now_ns))


def reducible(account: Account, spec: Spec) -> int:
    """Lots of the open position."""
    return int(abs(account.position(spec).base) / spec.lot)
