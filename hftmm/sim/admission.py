"""What a practice venue decides about an order before it takes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

import msgspec

from hftmm.sim.blotter import Listed, reducible
from hftmm.sim.clearing import Clearing
from hftmm.sim.filters import Rules, affordable, cost, limit_of_band, refusal, takeable
from hftmm.sim.ledger import Account
from hftmm.sim.matching import Offer
from hftmm.sim.orders import Order, Refused, Ticket
from hftmm.sim.spec import Spec


class Admitted(msgspec.Struct, frozen=True):
    """An order that may come in.

    Attributes:
        ticks: limit to match at; of a market order the end of the price band.
        lots: size in force: bought by quote amount, or shrunk to the position.
        would_take: it is post-only and would match at once.
        fillable: it is not fill-or-kill, or all of it matches at once.
    """

    ticks: int
    lots: int
    would_take: bool
    fillable: bool


class Admission:
    """The door of a venue: filters, client ids, funds."""

    def __init__(self, clearing: Clearing, accounts: Mapping[str, Account]) -> None:
        self._clearing = clearing
        self._accounts = accounts

    def edge(self, listed: Listed, ticket: Ticket) -> int:
        """The last price of the band on the ticket's side, in ticks."""
        mark = self._clearing.mark(listed.spec)
        return limit_of_band(listed.spec, ticket.side, mark, listed.rules.band)

    def admit(self, account: Account, listed: Listed, ticket: Ticket) -> Admitted | Refused:
        """Looks at a new order; nothing changes."""
        engine, rules = listed.engine, listed.rules
        edge = self.edge(listed, ticket)
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
            or _client_id_taken(account, ticket, rules)
            or _too_many(account, listed.spec, rules)
        )
        if refused is not None:
            return refused
        would_take = ticket.post_only and engine.crosses(ticket.side, limit)
        if would_take and rules.post_only_refuses:
            return Refused("post_only_would_take", "the order would match at once and take")
        fillable = True
        if ticket.time_in_force == "fok":
            offers = engine.offers(ticket.side, limit, account.key, ticket.self_trade)
            fillable = takeable(self._firm(listed, offers), lots) == lots
            if not fillable and rules.fok_refuses:
                return Refused("fok_unfillable", f"{lots} lots cannot be filled at once")
        lack = self._lack(account, listed, ticket, limit, lots)
        return lack if lack is not None else Admitted(limit, lots, would_take, fillable)

    def refuse_amend(
        self, account: Account, listed: Listed, order: Order, ticks: int, lots: int
    ) -> Refused | None:
        """Looks at a new price and total size of an open order; nothing changes."""
        spec, rules = listed.spec, listed.rules
        ticket = Ticket(spec=spec, side=order.side, ticks=ticks, reduce_only=order.reduce_only)
        refused = refusal(ticket, lots, ticks, rules, self.edge(listed, ticket))
        if refused is not None:
            return refused
        if order.post_only and listed.engine.crosses(order.side, ticks):
            return Refused("post_only_would_take", "the order would match at once and take", order)
        if order.reduce_only:
            return None
        left = lots - order.filled_lots
        value = spec.tick * spec.lot * (ticks * left)
        freed = self._clearing.held(order, order.remaining_lots)
        return self._clearing.lack(account, spec, order.side, left, value, freed)

    def _lots(self, account: Account, listed: Listed, ticket: Ticket, limit: int) -> int | Refused:
        if ticket.quote_amount is not None:
            spec = listed.spec
            offers = listed.engine.offers(ticket.side, limit, account.key, ticket.self_trade)
            return affordable(offers, int(ticket.quote_amount / (spec.tick * spec.lot)))
        if not ticket.reduce_only:
            return ticket.lots
        base = account.position(listed.spec).base
        if not base or (base > 0) == (ticket.side == "buy"):
            return Refused("reduce_only", f"no position that a {ticket.side} would reduce")
        return min(ticket.lots, reducible(account, listed.spec))

    def _firm(self, listed: Listed, offers: Iterable[Offer]) -> Iterator[Offer]:
        """Offers less what reduce-only orders will not give once others have emptied a position."""
        positions: dict[str, int] = {}
        for ticks, offered, number in offers:
            lots = offered
            order = listed.resting.get(number)
            if order is not None:
                name = order.account
                held = positions.get(name)
                if held is None:
                    base = self._accounts[name].position(listed.spec).base
                    held = int(base / listed.spec.lot)
                sign = 1 if order.side == "buy" else -1
                if order.reduce_only:
                    lots = min(lots, max(0, -sign * held))
                positions[name] = held + sign * lots
            yield ticks, lots, number

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
        return self._clearing.lack(account, spec, ticket.side, lots, value, Decimal(0))


def _client_id_taken(account: Account, ticket: Ticket, rules: Rules) -> Refused | None:
    if not ticket.client_id:
        return None
    key = account.wallet_name(ticket.spec.kind), ticket.client_id
    earlier = account.client_ids.get(key)
    if earlier is None or (rules.client_ids == "open" and not earlier.open):
        return None
    return Refused("duplicate_client_id", f"{ticket.client_id} names another order", earlier)


def _too_many(account: Account, spec: Spec, rules: Rules) -> Refused | None:
    if len(account.open) < rules.max_orders:
        return None
    if len(account.open_orders(spec)) < rules.max_orders:
        return None
    return Refused("max_orders", f"{rules.max_orders} orders are open in {spec.symbol}")
