"""The books of a practice account, added up again from its deposits and executions alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal

from hftmm.core.instrument import Kind
from hftmm.sim.ledger import COLLATERAL, ZERO, Account, OpenValue, Position
from hftmm.sim.matching import MatchingEngine
from hftmm.sim.orders import Order


def audit(account: Account, engines: Mapping[str, MatchingEngine]) -> None:
    """Walks every invariant; AssertionError names the one that does not hold.

    Args:
        engines: by symbol, where the account's orders rest.
    """
    _orders(account, engines)
    _executions(account)
    _positions(account)
    _balances(account)
    _held(account)


def _orders(account: Account, engines: Mapping[str, MatchingEngine]) -> None:
    resting: dict[str, set[int]] = defaultdict(set)
    for number, order in account.orders.items():
        _hold(order.id == number, f"order {order.id} filed as {number}")
        _hold(0 <= order.filled_lots <= order.lots, f"{order} is overfilled")
        filled = sum(fill.lots for fill in order.fills)
        _hold(filled == order.filled_lots, f"{order} holds fills of {filled} lots")
        quote = sum((fill.price * fill.size for fill in order.fills), ZERO)
        _hold(quote == order.filled_quote, f"{order} paid {quote}, not {order.filled_quote}")
        _hold(order.open == (number in account.open), f"{order} is open in one place only")
        _hold(
            (order.state == "filled") == (order.filled_lots == order.lots),
            f"{order} disagrees with its size",
        )
        over_unfilled = not order.open and order.state != "filled"
        if order.reason != "liquidation":
            _hold(bool(order.reason) == over_unfilled, f"{order}: wrong reason")
        if order.open:
            resting[order.spec.symbol].add(order.resting_id)
            rests = engines[order.spec.symbol].open_lots(order.resting_id)
            _hold(rests == order.remaining_lots, f"{order} rests with {rests} lots")
            _hold((order.state == "new") == (order.filled_lots == 0), f"{order}: wrong open state")
            if order.reduce_only:
                base = account.position(order.spec).base
                _hold((base > 0) == (order.side == "sell"), f"{order} would enlarge {base}")
                left = order.spec.lot * order.remaining_lots
                _hold(left <= abs(base), f"{order} could turn {base}")
    for symbol, engine in engines.items():
        held = set(engine.orders_of(account.key))
        _hold(held == resting[symbol], f"{symbol}: {held} rest, {resting[symbol]} are known")
    reducing = {number for orders in account.reducing.values() for number in orders}
    known = {number for number, order in account.open.items() if order.reduce_only}
    _hold(reducing == known, "reduce-only orders are filed elsewhere")


def _executions(account: Account) -> None:
    seen: set[tuple[str, int, int]] = set()
    for execution in account.executions:
        key = execution.order.spec.symbol, execution.trade_id, execution.order.id
        _hold(key not in seen, f"trade {key} is booked twice")
        seen.add(key)


def _positions(account: Account) -> None:
    sums: dict[str, Position] = defaultdict(Position)
    for execution in account.executions:
        order = execution.order
        if order.spec.kind is Kind.LINEAR:
            total = sums[order.spec.symbol]
            signed = execution.size if order.side == "buy" else -execution.size
            total.base += signed
            total.realised += execution.realised
            total.fees += execution.fee
            # Here: everything ever paid, less everything ever received.
            total.cost += signed * execution.price
    for funding in account.fundings:
        sums[funding.spec.symbol].funding -= funding.amount
    _hold(sums.keys() == account.positions.keys(), "positions without executions, or the reverse")
    for symbol, total in sums.items():
        position = account.positions[symbol]
        for name in ("base", "realised", "fees", "funding"):
            booked, added = getattr(position, name), getattr(total, name)
            _hold(booked == added, f"{symbol}: {name} is {booked}, executions say {added}")
        _hold(
            position.cost == total.cost + total.realised,
            f"{symbol}: {total.cost} paid and {total.realised} realised leave not {position.cost}",
        )


def _balances(account: Account) -> None:
    sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for wallet, asset, amount in account.deposits:
        sums[wallet, asset] += amount
    for execution in account.executions:
        order, spec = execution.order, execution.order.spec
        wallet = account.wallet_name(spec.kind)
        sums[wallet, execution.fee_asset] -= execution.fee
        if spec.kind is Kind.LINEAR:
            sums[wallet, COLLATERAL] += execution.realised
            continue
        signed = execution.size if order.side == "buy" else -execution.size
        sums[wallet, spec.base] += signed
        sums[wallet, spec.quote] -= signed * execution.price
    for funding in account.fundings:
        sums[account.wallet_name(Kind.LINEAR), COLLATERAL] += funding.amount
    for kind in (Kind.SPOT, Kind.LINEAR):
        wallet = account.wallet_name(kind)
        for asset, balance in account.wallet(kind).items():
            added = sums[wallet, asset]
            _hold(balance.total == added, f"{wallet} {asset} is {balance.total}, not {added}")


def _held(account: Account) -> None:
    locked: dict[str, Decimal] = defaultdict(Decimal)
    values: dict[str, OpenValue] = defaultdict(OpenValue)
    for order in account.open.values():
        need = _need(order)
        if order.spec.kind is Kind.SPOT:
            locked[order.spec.quote if order.side == "buy" else order.spec.base] += need
        elif order.side == "buy":
            values[order.spec.symbol].buys += need
        else:
            values[order.spec.symbol].sells += need
    for asset, balance in account.spot.items():
        held = locked[asset]
        _hold(balance.locked == held, f"{asset}: {balance.locked} locked, orders need {held}")
        _hold(asset == COLLATERAL or balance.total >= held, f"{asset}: {balance} is overdrawn")
    for symbol, open_value in account.open_value.items():
        _hold(open_value == values[symbol], f"{symbol}: {open_value}, orders say {values[symbol]}")


def _need(order: Order) -> Decimal:
    size = order.spec.lot * order.remaining_lots
    if order.spec.kind is Kind.SPOT and order.side == "sell":
        return size
    if order.reduce_only or order.price is None:
        return ZERO
    return size * order.price


def _hold(invariant: bool, broken: str) -> None:
    if not invariant:
        raise AssertionError(broken)
