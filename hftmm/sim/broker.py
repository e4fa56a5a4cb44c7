"""The trading side of a practice venue: accounts, and the life of their orders.

One broker stands between a venue's wire formats and its matching engines. It speaks no venue's
words: a request gives an `Order` or a `Refused`, and everything that happens is an event of the
account, in order. Resting orders are filled while the market advances, at that very moment: a fill
that empties a position takes its reduce-only orders out of the book before they can trade.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import partial
from typing import Final, Literal

from hftmm.core.fees import FeeRates
from hftmm.core.instrument import Kind
from hftmm.sim.audit import audit
from hftmm.sim.clearing import Clearing
from hftmm.sim.filters import Rules, affordable, cost, limit_of_band, refusal, takeable
from hftmm.sim.ledger import (
    COLLATERAL,
    DEMO,
    PRACTICE_KEYS,
    Account,
    Balance,
    BalanceChanged,
    BrokerEvent,
    Change,
    Credentials,
    Funding,
    OrderChanged,
    Position,
    PositionChanged,
    start_balances,
)
from hftmm.sim.market import FUNDING_HOURS, Market
from hftmm.sim.matching import SELF_TRADE, MatchingEngine
from hftmm.sim.orders import Execution, Order, OrderState, Refused, Ticket
from hftmm.sim.spec import Spec
from hftmm.sim.tape import Fill

__all__ = [
    "COLLATERAL",
    "DEMO",
    "PRACTICE_KEYS",
    "Account",
    "Balance",
    "BalanceChanged",
    "Broker",
    "BrokerEvent",
    "Credentials",
    "Execution",
    "Funding",
    "Order",
    "OrderChanged",
    "Position",
    "PositionChanged",
    "Refused",
    "Rules",
    "Ticket",
]

HISTORY: Final = 20_000
"""Ended orders an account remembers."""
MAX_LEVERAGE: Final = 100
_FUNDING_NS: Final = FUNDING_HOURS * 3_600 * 1_000_000_000


class Listed:
    """One instrument: its engine, and whose orders rest in it, by the engine's numbers."""

    __slots__ = ("engine", "resting", "rules", "spec")

    def __init__(self, engine: MatchingEngine, rules: Rules) -> None:
        self.engine = engine
        self.spec = engine.spec
        self.rules = rules
        self.resting: dict[int, Order] = {}


class Broker:
    """Accounts and orders of one practice venue.

    Whoever advances the market advances the broker right after.

    Attributes:
        accounts: by key.
        credentials: by API key; more may be added.
        clearing: the money side.
    """

    def __init__(
        self,
        venue: str,
        market: Market,
        unified: bool,
        fees: Mapping[Kind, FeeRates],
        spot_fee_in: Literal["received", "quote"] = "received",
        start_ns: int | None = None,
        *,
        rules: Mapping[Kind, Rules] | None = None,
        credentials: Iterable[Credentials] = PRACTICE_KEYS,
        places: int = 12,
    ) -> None:
        """Opens an account for every name the credentials give.

        Args:
            unified: one wallet for spot and linear instead of two.
            fees: of every kind the venue lists.
            spot_fee_in: what a spot fee is taken from: what was received, or always the quote.
            start_ns: when funding begins to count; the market's time if None.
            rules: by kind; the defaults of `Rules` for a kind that is left out.
            places: decimal places of fees, profit and funding.
        """
        self.venue = venue
        self.unified = unified
        self.fees = dict(fees)
        self._market = market
        given = rules or {}
        self._listed = {
            engine.spec.symbol: Listed(engine, given.get(engine.spec.kind, Rules()))
            for engine in market.of(venue)
        }
        for listed in self._listed.values():
            listed.engine.watch(partial(self._maker_filled, listed))
        self.specs = [listed.spec for listed in self._listed.values()]
        self.clearing = Clearing(market, self.specs, fees, spot_fee_in == "received", places)
        self.credentials = {entry.key: entry for entry in credentials}
        balances = start_balances(self.specs)
        self.accounts = {
            name: Account(name, unified, balances)
            for name in dict.fromkeys(entry.account for entry in self.credentials.values())
        }
        self._last_order = 0
        self._ended: dict[str, deque[int]] = {name: deque() for name in self.accounts}
        begun_ns = market.now_ns if start_ns is None else start_ns
        self._funding_due_ns = (begun_ns // _FUNDING_NS + 1) * _FUNDING_NS
        self._dead_men: dict[tuple[str, Spec | Kind | None], int] = {}

    def login(self, key: str) -> tuple[Credentials, Account] | None:
        """The credentials of an API key and their account, None if there are none."""
        found = self.credentials.get(key)
        return (found, self.accounts[found.account]) if found is not None else None

    # Requests

    def place(self, account: Account, ticket: Ticket, now_ns: int) -> Order | Refused:
        """Accepts an order, or refuses it and changes nothing.

        An accepted order may be over on return: filled, canceled because it was post-only and
        would have taken, or expired.
        """
        self._catch_up(now_ns)
        listed = self._listed.get(ticket.spec.symbol)
        if listed is None:
            return Refused("unknown_symbol", f"{ticket.spec.symbol} is not listed here")
        spec, engine, rules = listed.spec, listed.engine, listed.rules
        edge = self._edge(listed, ticket)
        limit = edge if ticket.ticks is None else ticket.ticks
        lots = self._lots(account, listed, ticket, limit)
        if isinstance(lots, Refused):
            return lots
        valued_at = limit
        if ticket.ticks is None:
            best = engine.best("sell" if ticket.side == "buy" else "buy")
            valued_at = best.ticks if best is not None else limit
        refused = (
            refusal(ticket, lots, valued_at, rules, edge)
            or self._client_id_taken(account, ticket, rules)
            or self._too_many(account, spec, rules)
        )
        if refused is not None:
            return refused
        would_take = ticket.post_only and engine.crosses(ticket.side, limit)
        if would_take and rules.post_only_refuses:
            return Refused("post_only_would_take", "the order would match at once and take")
        fillable = True
        if ticket.time_in_force == "fok":
            offers = engine.offers(ticket.side, limit, account.key, ticket.self_trade)
            fillable = takeable(offers, lots) == lots
            if not fillable and rules.fok_refuses:
                return Refused("fok_unfillable", f"{lots} lots cannot be filled at once")
        lack = self._lack(account, listed, ticket, limit, lots)
        if lack is not None:
            return lack
        order = self._accept(account, ticket, lots, now_ns)
        if would_take:
            self._end(account, order, "canceled", "post_only", now_ns)
        elif not fillable:
            self._end(account, order, "expired", "fok", now_ns)
        else:
            self._execute(account, listed, order, limit, now_ns)
        return order

    def cancel(
        self,
        account: Account,
        which: int | str,
        spec: Spec | None,
        now_ns: int,
        reason: str = "user",
    ) -> Order | Refused:
        """Cancels one open order.

        Args:
            which: id of the order, or its client id if a string.
            spec: where it must rest; None for anywhere.
            reason: kept as the order's.
        """
        self._catch_up(now_ns)
        if isinstance(which, str):
            order = self.order(account, spec, client_id=which)
        else:
            order = self.order(account, spec, order_id=which)
        if order is None:
            return Refused("unknown_order", f"there is no order {which}")
        if not order.open:
            return Refused("already_done", f"order {which} is {order.state}", order)
        self._withdraw(account, order, "canceled", reason, now_ns)
        return order

    def cancel_all(
        self,
        account: Account,
        spec: Spec | None,
        kind: Kind | None,
        now_ns: int,
        reason: str = "user",
    ) -> list[Order]:
        """Cancels every open order of an instrument, of a kind, or all; oldest first."""
        self._catch_up(now_ns)
        orders = self.open_orders(account, spec, kind)
        for order in orders:
            self._withdraw(account, order, "canceled", reason, now_ns)
        return orders

    def amend(
        self,
        account: Account,
        order: Order,
        now_ns: int,
        ticks: int | None = None,
        lots: int | None = None,
        keep_priority: bool = False,
    ) -> Order | Refused:
        """Changes price and size of an open order; a refusal leaves it as it was.

        A smaller size keeps the place in the queue; another price or a larger size loses it, and
        the order may take.

        Args:
            ticks: new price.
            lots: new total, filled part included.
            keep_priority: refuse whatever would lose the place.
        """
        self._catch_up(now_ns)
        if not order.open:
            return Refused("already_done", f"order {order.id} is {order.state}", order)
        listed = self._listed[order.spec.symbol]
        ticks = order.ticks if ticks is None else ticks
        lots = order.lots if lots is None else lots
        if ticks is None or (ticks == order.ticks and lots == order.lots):
            return Refused("nothing_to_amend", "neither price nor size would change", order)
        if order.reduce_only:
            lots = min(lots, order.filled_lots + self._reducible(account, order.spec))
        moved = ticks != order.ticks or lots > order.lots
        if keep_priority and moved:
            return Refused("amend_down_only", "only the size may change, and only down", order)
        if lots <= order.filled_lots:
            filled = f"{order.filled_lots} lots are filled already"
            return Refused("amend_below_filled", filled, order)
        refused = self._amendable(account, listed, order, ticks, lots)
        if refused is not None:
            return refused
        self.clearing.hold(account, order, -order.remaining_lots, now_ns)
        order.ticks, order.lots, order.updated_ns = ticks, lots, now_ns
        if moved:
            listed.engine.cancel(order.resting_id, now_ns)
            del listed.resting[order.resting_id]
            order.resting_id = 0
            self._tell(account, order, "amended", now_ns)
            self._execute(account, listed, order, ticks, now_ns)
        else:
            listed.engine.reduce(order.resting_id, order.remaining_lots, now_ns)
            self._tell(account, order, "amended", now_ns)
            self.clearing.hold(account, order, order.remaining_lots, now_ns)
        return order

    def set_leverage(self, account: Account, spec: Spec, leverage: Decimal) -> Refused | None:
        """Changes the leverage of a contract; refused where the margin would not suffice."""
        if not 1 <= leverage <= MAX_LEVERAGE:
            return Refused("leverage", f"leverage {leverage} is not in 1 .. {MAX_LEVERAGE}")
        before = account.leverage_of(spec)
        spare = self.available(account, COLLATERAL, Kind.LINEAR)
        held = sum(self.margins(account, spec))
        if held * before / leverage - held > spare:
            return Refused("margin", f"leverage {leverage} needs more margin than {spare}")
        account.leverage[spec.symbol] = leverage
        return None

    def arm_dead_man(
        self, account: Account, scope: Spec | Kind | None, timeout_ns: int, now_ns: int
    ) -> int:
        """Cancels everything in scope unless armed again in time; returns the deadline.

        Args:
            scope: an instrument, a kind, or None for all.
            timeout_ns: from now; 0 disarms, and 0 is returned.
        """
        self._catch_up(now_ns)
        if timeout_ns <= 0:
            self._dead_men.pop((account.key, scope), None)
            return 0
        self._dead_men[account.key, scope] = now_ns + timeout_ns
        return now_ns + timeout_ns

    def advance(self, now_ns: int) -> None:
        """Time passed: funding, dead-man switches, liquidation."""
        self._catch_up(now_ns)
        for account in self.accounts.values():
            if account.positions and self.clearing.below_maintenance(account):
                self._liquidate(account, now_ns)

    # Questions

    def order(
        self,
        account: Account,
        spec: Spec | None,
        order_id: int | None = None,
        client_id: str | None = None,
    ) -> Order | None:
        """An order, open or remembered; with both ids given the order id wins."""
        found: Order | None = None
        if order_id is not None:
            found = account.orders.get(order_id)
        elif client_id and spec is not None:
            found = account.client_ids.get((account.wallet_name(spec.kind), client_id))
        elif client_id:
            wallets = {account.wallet_name(kind) for kind in (Kind.SPOT, Kind.LINEAR)}
            matches = [account.client_ids.get((name, client_id)) for name in sorted(wallets)]
            found = next((order for order in matches if order is not None), None)
        if found is None or (spec is not None and found.spec.symbol != spec.symbol):
            return None
        return found

    def open_orders(
        self, account: Account, spec: Spec | None = None, kind: Kind | None = None
    ) -> list[Order]:
        """Open orders, oldest first."""
        return [order for order in account.open.values() if _concerns(order, spec, kind)]

    def history(
        self,
        account: Account,
        spec: Spec | None = None,
        kind: Kind | None = None,
        since_ns: int = 0,
    ) -> list[Order]:
        """Open and ended orders created since then, oldest first."""
        return [
            order
            for order in account.orders.values()
            if order.created_ns >= since_ns and _concerns(order, spec, kind)
        ]

    def executions(
        self,
        account: Account,
        spec: Spec | None = None,
        since_ns: int = 0,
        kind: Kind | None = None,
    ) -> list[Execution]:
        """Fills since then, oldest first."""
        return [
            execution
            for execution in account.executions
            if execution.ts_ns >= since_ns and _concerns(execution.order, spec, kind)
        ]

    def mark(self, spec: Spec) -> Decimal:
        """Mark price of a perpetual, index of a spot pair."""
        return self.clearing.mark(spec)

    def price(self, asset: str) -> Decimal:
        """What one unit of an asset is worth in USDT."""
        return self.clearing.price(asset)

    def unrealised(self, account: Account, spec: Spec) -> Decimal:
        """Profit of the open position at the mark."""
        return self.clearing.unrealised(account, spec)

    def equity(
        self, account: Account, asset: str = COLLATERAL, kind: Kind = Kind.LINEAR
    ) -> Decimal:
        """A balance with, for the collateral, unrealised profit."""
        return self.clearing.equity(account, asset, kind)

    def available(
        self, account: Account, asset: str = COLLATERAL, kind: Kind = Kind.SPOT
    ) -> Decimal:
        """What a new order of a kind may use of an asset."""
        return self.clearing.available(account, asset, kind)

    def margins(self, account: Account, spec: Spec) -> tuple[Decimal, Decimal]:
        """Initial margin of the position, and what open orders need beyond it."""
        return (
            self.clearing.position_margin(account, spec),
            self.clearing.order_margin(account, spec),
        )

    def dead_man(self, account: Account, scope: Spec | Kind | None) -> int:
        """When the switch acts, 0 if it is not armed."""
        return self._dead_men.get((account.key, scope), 0)

    def queue_ahead(self, order: Order) -> int:
        """Lots that trade before an open order at its price."""
        return self._listed[order.spec.symbol].engine.queue_ahead(order.resting_id)

    # Steps of a request

    def _edge(self, listed: Listed, ticket: Ticket) -> int:
        mark = self.clearing.mark(listed.spec)
        return limit_of_band(listed.spec, ticket.side, mark, listed.rules.band)

    def _lots(self, account: Account, listed: Listed, ticket: Ticket, limit: int) -> int | Refused:
        """The size in force: bought by quote amount, or shrunk to the position."""
        if ticket.quote_amount is not None:
            spec = listed.spec
            offers = listed.engine.offers(ticket.side, limit, account.key, ticket.self_trade)
            return affordable(offers, int(ticket.quote_amount / (spec.tick * spec.lot)))
        if not ticket.reduce_only:
            return ticket.lots
        position = account.position(listed.spec)
        if not position.base or (position.base > 0) == (ticket.side == "buy"):
            return Refused("reduce_only", f"no position that a {ticket.side} would reduce")
        return min(ticket.lots, self._reducible(account, listed.spec))

    def _reducible(self, account: Account, spec: Spec) -> int:
        return int(abs(account.position(spec).base) / spec.lot)

    def _client_id_taken(self, account: Account, ticket: Ticket, rules: Rules) -> Refused | None:
        if not ticket.client_id:
            return None
        key = account.wallet_name(ticket.spec.kind), ticket.client_id
        earlier = account.client_ids.get(key)
        if earlier is None or (rules.client_ids == "open" and not earlier.open):
            return None
        return Refused("duplicate_client_id", f"{ticket.client_id} names another order", earlier)

    def _too_many(self, account: Account, spec: Spec, rules: Rules) -> Refused | None:
        if len(account.open) < rules.max_orders:
            return None
        if len(self.open_orders(account, spec)) < rules.max_orders:
            return None
        return Refused("max_orders", f"{rules.max_orders} orders are open in {spec.symbol}")

    def _lack(
        self, account: Account, listed: Listed, ticket: Ticket, limit: int, lots: int
    ) -> Refused | None:
        if ticket.reduce_only:
            return None
        spec = listed.spec
        amount = limit * lots
        if ticket.ticks is None:
            offers = listed.engine.offers(ticket.side, limit, account.key, ticket.self_trade)
            amount = cost(offers, lots)
        value = spec.tick * spec.lot * amount
        return self.clearing.lack(account, spec, ticket.side, lots, value, Decimal(0))

    def _amendable(
        self, account: Account, listed: Listed, order: Order, ticks: int, lots: int
    ) -> Refused | None:
        spec, rules = listed.spec, listed.rules
        ticket = Ticket(spec=spec, side=order.side, ticks=ticks, reduce_only=order.reduce_only)
        refused = refusal(ticket, lots, ticks, rules, self._edge(listed, ticket))
        if refused is not None:
            return refused
        if order.post_only and listed.engine.crosses(order.side, ticks):
            return Refused("post_only_would_take", "the order would match at once and take", order)
        if order.reduce_only:
            return None
        left = lots - order.filled_lots
        value = spec.tick * spec.lot * (ticks * left)
        freed = self.clearing.held(order, order.remaining_lots)
        return self.clearing.lack(account, spec, order.side, left, value, freed)

    def _accept(self, account: Account, ticket: Ticket, lots: int, now_ns: int) -> Order:
        self._last_order += 1
        order = Order(
            id=self._last_order,
            account=account.key,
            spec=self._listed[ticket.spec.symbol].spec,
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
        self._tell(account, order, "new", now_ns)
        return order

    def _execute(
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
            self._end(account, own, "expired", "self_trade", now_ns)
        for fill in placed.fills:
            self._book(account, order, fill, maker=False)
        if placed.resting:
            order.resting_id = placed.order_id
            listed.resting[placed.order_id] = order
            self.clearing.hold(account, order, placed.resting, now_ns)
        elif order.remaining_lots:
            reason: str = "market" if order.ticks is None else order.time_in_force
            if placed.reason == SELF_TRADE:
                reason = "self_trade"
            self._end(account, order, "expired", reason, now_ns)
        self._keep_reducing(account, listed, now_ns)

    # What happens to orders

    def _maker_filled(self, listed: Listed, fill: Fill) -> None:
        """The engine matched a resting order; called in the midst of the match."""
        self._fund(fill.ts_ns)
        order = listed.resting[fill.maker_order]
        account = self.accounts[order.account]
        self._book(account, order, fill, maker=True)
        if not order.open:
            del listed.resting[fill.maker_order]
        self._keep_reducing(account, listed, fill.ts_ns)

    def _book(self, account: Account, order: Order, fill: Fill, maker: bool) -> None:
        self.clearing.settle(
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
        most = self._reducible(account, listed.spec)
        for order in list(orders.values()):
            if not order.resting_id:
                continue
            if not most or (base > 0) == (order.side == "buy"):
                self._withdraw(account, order, "canceled", "reduce_only", now_ns)
            elif order.remaining_lots > most:
                listed.engine.reduce(order.resting_id, most, now_ns)
                order.lots = order.filled_lots + most
                order.updated_ns = now_ns
                self._tell(account, order, "amended", now_ns)

    def _withdraw(
        self, account: Account, order: Order, state: OrderState, reason: str, now_ns: int
    ) -> None:
        """Takes a resting order out of the book and ends it."""
        listed = self._listed[order.spec.symbol]
        listed.engine.cancel(order.resting_id, now_ns)
        resting = order.remaining_lots
        del listed.resting[order.resting_id]
        order.resting_id = 0
        self._end(account, order, state, reason, now_ns)
        self.clearing.hold(account, order, -resting, now_ns)

    def _release(self, account: Account, listed: Listed, order: Order, now_ns: int) -> None:
        """Gives back what an order held that the engine has removed."""
        del listed.resting[order.resting_id]
        order.resting_id = 0
        self.clearing.hold(account, order, -order.remaining_lots, now_ns)

    def _end(
        self, account: Account, order: Order, state: OrderState, reason: str, now_ns: int
    ) -> None:
        order.state, order.reason, order.updated_ns = state, reason, now_ns
        self._file(account, order)
        self._tell(account, order, "expired" if state == "expired" else "canceled", now_ns)

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

    def _tell(self, account: Account, order: Order, change: Change, now_ns: int) -> None:
        account.events.append(OrderChanged(order.snapshot(), None, change, now_ns))

    # Time

    def _catch_up(self, now_ns: int) -> None:
        """What was due before now happens before a request of now is looked at."""
        # Fills up to the market's time are booked; beyond it they are still to come.
        self._fund(self._market.now_ns)
        if self._dead_men:
            for (key, scope), deadline_ns in list(self._dead_men.items()):
                if deadline_ns <= now_ns:
                    del self._dead_men[key, scope]
                    spec = scope if isinstance(scope, Spec) else None
                    kind = scope if isinstance(scope, Kind) else None
                    account = self.accounts[key]
                    for order in self.open_orders(account, spec, kind):
                        self._withdraw(account, order, "canceled", "dead_man", now_ns)

    def _fund(self, until_ns: int) -> None:
        while self._funding_due_ns <= until_ns:
            due_ns = self._funding_due_ns
            self._funding_due_ns += _FUNDING_NS
            for account in self.accounts.values():
                for listed in self._listed.values():
                    if account.position(listed.spec).base:
                        self.clearing.fund(account, listed.spec, due_ns)

    def _liquidate(self, account: Account, now_ns: int) -> None:
        """Cancels the contracts' orders and closes their positions at the market."""
        for order in self.open_orders(account, kind=Kind.LINEAR):
            self._withdraw(account, order, "canceled", "liquidation", now_ns)
        for listed in self._listed.values():
            base = account.position(listed.spec).base
            if base:
                ticket = Ticket(
                    spec=listed.spec,
                    side="sell" if base > 0 else "buy",
                    ticks=None,
                    lots=self._reducible(account, listed.spec),
                    reduce_only=True,
                )
                order = self._accept(account, ticket, ticket.lots, now_ns)
                order.reason = "liquidation"
                self._execute(account, listed, order, self._edge(listed, ticket), now_ns)

    def _check(self) -> None:
        """Walks every invariant; AssertionError names the one that does not hold."""
        engines = {symbol: listed.engine for symbol, listed in self._listed.items()}
        for account in self.accounts.values():
            audit(account, engines)


def _concerns(order: Order, spec: Spec | None, kind: Kind | None) -> bool:
    if spec is not None:
        return order.spec.symbol == spec.symbol
    return kind is None or order.spec.kind is kind
