"""The trading side of a practice venue: accounts, and the life of their orders.

One broker stands between a venue's wire formats and its matching engines. It speaks no venue's
words: a request gives an `Order` or a `Refused`, and everything that happens is an event of the
account, in order. Resting orders are filled while the market advances, at that very moment: a fill
that empties a position takes its reduce-only orders out of the book before they can trade.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final, Literal

from hftmm.core.fees import FeeRates
from hftmm.core.instrument import Kind
from hftmm.sim.admission import Admission
from hftmm.sim.audit import audit
from hftmm.sim.blotter import Blotter, Listed, reducible
from hftmm.sim.clearing import Clearing
from hftmm.sim.filters import Rules
from hftmm.sim.ledger import (
    COLLATERAL,
    PRACTICE_KEYS,
    Account,
    Credentials,
    concerns,
    start_balances,
)
from hftmm.sim.market import Market
from hftmm.sim.orders import Execution, Order, Refused, Ticket
from hftmm.sim.spec import Spec

__all__ = ["MAX_LEVERAGE", "Broker", "Rules"]

MAX_LEVERAGE: Final = 100
JUDGED_EVERY_NS: Final = 250_000_000
"""How often the margin of every account is looked at."""


class Broker:
    """Accounts and orders of one practice venue.

    Whoever advances the market advances the broker right after.

    Attributes:
        accounts: by key.
        credentials: by API key; more may be added.
        clearing: the money side.
        fill_before_cancel: so many of the next orders to be canceled or amended are filled just
            before.
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
        self.specs = [listed.spec for listed in self._listed.values()]
        self.clearing = Clearing(
            market,
            self.specs,
            fees,
            spot_fee_in == "received",
            places,
            market.now_ns if start_ns is None else start_ns,
        )
        self.credentials = {entry.key: entry for entry in credentials}
        balances = start_balances(self.specs)
        self.accounts = {
            name: Account(name, unified, balances)
            for name in dict.fromkeys(entry.account for entry in self.credentials.values())
        }
        self._blotter = Blotter(self._listed, self.accounts, self.clearing)
        self._admission = Admission(self.clearing, self.accounts)
        self.fill_before_cancel = 0
        self._judged_ns = 0
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
        admitted = self._admission.admit(account, listed, ticket)
        if isinstance(admitted, Refused):
            return admitted
        order = self._blotter.accept(account, ticket, admitted.lots, now_ns)
        if admitted.would_take:
            self._blotter.end(account, order, "canceled", "post_only", now_ns)
        elif not admitted.fillable:
            self._blotter.end(account, order, "expired", "fok", now_ns)
        else:
            self._blotter.execute(account, listed, order, admitted.ticks, now_ns)
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
        self._maybe_fill(order, now_ns)
        if not order.open:
            return Refused("already_done", f"order {which} is {order.state}", order)
        self._blotter.withdraw(account, order, "canceled", reason, now_ns)
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
        canceled: list[Order] = []
        for order in self.open_orders(account, spec, kind):
            self._maybe_fill(order, now_ns)
            # A fill of one may have ended another: reduce-only orders go with their position.
            if order.open:
                self._blotter.withdraw(account, order, "canceled", reason, now_ns)
                canceled.append(order)
        return canceled

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
        self._maybe_fill(order, now_ns)
        if not order.open:
            return Refused("already_done", f"order {order.id} is {order.state}", order)
        listed = self._listed[order.spec.symbol]
        ticks = order.ticks if ticks is None else ticks
        lots = order.lots if lots is None else lots
        if order.reduce_only:
            lots = min(lots, order.filled_lots + reducible(account, order.spec))
        if ticks is None or (ticks == order.ticks and lots == order.lots):
            return Refused("nothing_to_amend", "neither price nor size would change", order)
        moved = ticks != order.ticks or lots > order.lots
        if keep_priority and moved:
            return Refused("amend_down_only", "only the size may change, and only down", order)
        if lots <= order.filled_lots:
            filled = f"{order.filled_lots} lots are filled already"
            return Refused("amend_below_filled", filled, order)
        refused = self._admission.refuse_amend(account, listed, order, ticks, lots)
        if refused is not None:
            return refused
        self.clearing.hold(account, order, -order.remaining_lots, now_ns)
        order.ticks, order.lots, order.updated_ns = ticks, lots, now_ns
        if moved:
            listed.engine.cancel(order.resting_id, now_ns)
            del listed.resting[order.resting_id]
            order.resting_id = 0
            self._blotter.tell(account, order, "amended", now_ns)
            self._blotter.execute(account, listed, order, ticks, now_ns)
        else:
            listed.engine.reduce(order.resting_id, order.remaining_lots, now_ns)
            self._blotter.tell(account, order, "amended", now_ns)
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

    def deposit(
        self, account: Account, kind: Kind, asset: str, amount: Decimal, now_ns: int
    ) -> None:
        """Adds to the wallet of a kind from outside; a negative amount takes away."""
        self.clearing.deposit(account, kind, asset, amount, now_ns)

    def advance(self, now_ns: int) -> None:
        """Time passed: funding, dead-man switches, liquidation."""
        self._catch_up(now_ns)
        if now_ns < self._judged_ns + JUDGED_EVERY_NS:
            return
        self._judged_ns = now_ns
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
        return account.find(spec, order_id, client_id)

    def open_orders(
        self, account: Account, spec: Spec | None = None, kind: Kind | None = None
    ) -> list[Order]:
        """Open orders, oldest first."""
        return account.open_orders(spec, kind)

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
            if order.created_ns >= since_ns and concerns(order, spec, kind)
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
            if execution.ts_ns >= since_ns and concerns(execution.order, spec, kind)
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

    def _maybe_fill(self, order: Order, now_ns: int) -> None:
        if self.fill_before_cancel and order.open:
            self.fill_before_cancel -= 1
            self._blotter.fill(order, now_ns)

    # Time

    def _catch_up(self, now_ns: int) -> None:
        """What was due before now happens before a request of now is looked at."""
        # Fills up to the market's time are booked; beyond it they are still to come.
        self.clearing.fund_due(self.accounts.values(), self._market.now_ns)
        if self._dead_men:
            for (key, scope), deadline_ns in list(self._dead_men.items()):
                if deadline_ns <= now_ns:
                    del self._dead_men[key, scope]
                    spec = scope if isinstance(scope, Spec) else None
                    kind = scope if isinstance(scope, Kind) else None
                    account = self.accounts[key]
                    for order in self.open_orders(account, spec, kind):
                        self._blotter.withdraw(account, order, "canceled", "dead_man", now_ns)

    def _liquidate(self, account: Account, now_ns: int) -> None:
        """Cancels the contracts' orders and closes their positions at the market."""
        for order in self.open_orders(account, kind=Kind.LINEAR):
            self._blotter.withdraw(account, order, "canceled", "liquidation", now_ns)
        for listed in self._listed.values():
            base = account.position(listed.spec).base
            if base:
                ticket = Ticket(
                    spec=listed.spec,
                    side="sell" if base > 0 else "buy",
                    ticks=None,
                    lots=reducible(account, listed.spec),
                    reduce_only=True,
                )
                order = self._blotter.accept(account, ticket, ticket.lots, now_ns)
                order.reason = "liquidation"
                self._blotter.execute(
                    account, listed, order, self._admission.edge(listed, ticket), now_ns
                )

    def _check(self) -> None:
        """Walks every invariant; AssertionError names the one that does not hold."""
        engines = {symbol: listed.engine for symbol, listed in self._listed.items()}
        for account in self.accounts.values():
            audit(account, engines)
