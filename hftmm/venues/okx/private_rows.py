"""Rows of OKX's streams and queries as ours; both have the same ones.

Rows about what is not traded here, margin, options or dated futures, are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from hftmm.core.instrument import Kind, Listing
from hftmm.core.order import (
    AccountEvent,
    Balance,
    Fill,
    Funding,
    OrderAnswer,
    OrderState,
    OrderUpdate,
    Position,
)
from hftmm.venues.okx import private_wire as wire
from hftmm.venues.okx.private_refusal import judge
from hftmm.venues.okx.wire import nanoseconds
from hftmm.venues.private import Listings

VENUE: Final = "okx"
_AMEND_FAILED: Final = "-1"
# Liquidations have 0 in orders and a negative number in the list of fills: nothing of an order's
# push tells one of them from another.
_NO_TRADE: Final = frozenset({"", "0"})


def order(row: wire.OrderRow, listings: Listings, received_ns: int) -> OrderUpdate | None:
    """An order, pushed or asked for; None if it is of nothing traded here."""
    listing = wire.find(listings, row.inst_type, row.inst_id)
    if listing is None:
        return None
    rejection, text = wire.ending(row)
    return OrderUpdate(
        listing=listing,
        client_id=row.cl_ord_id,
        venue_id=row.ord_id,
        side=wire.side(row.side),
        state=wire.state(row.state),
        filled=wire.coins(listing, row.acc_fill_sz) or wire.ZERO,
        average=wire.amount(row.avg_px) or None,
        price=wire.amount(row.px) or None,
        # A spot market order may be sized in quote.
        size=None if row.tgt_ccy == "quote_ccy" else wire.coins(listing, row.sz),
        rejection=rejection,
        text=text,
        venue_ns=nanoseconds(row.u_time),
        received_ns=received_ns,
    )


def order_events(row: wire.OrderRow, listings: Listings, received_ns: int) -> list[AccountEvent]:
    """A push of the orders channel: the fill it carries, the order, and a change that failed."""
    update = order(row, listings, received_ns)
    if update is None:
        return []
    happened: list[AccountEvent] = []
    size = wire.coins(update.listing, row.fill_sz)
    if row.trade_id not in _NO_TRADE and size:
        happened.append(
            Fill(
                listing=update.listing,
                trade_id=row.trade_id,
                client_id=row.cl_ord_id,
                venue_id=row.ord_id,
                side=update.side,
                price=wire.required(row.fill_px),
                size=size,
                fee=wire.paid(row.fill_fee),
                fee_asset=row.fill_fee_ccy,
                maker=row.exec_type == "M",
                venue_ns=nanoseconds(row.fill_time or row.u_time),
                received_ns=received_ns,
            )
        )
    happened.append(update)
    if row.amend_result == _AMEND_FAILED and update.state is not OrderState.UNKNOWN:
        verdict = judge(row.code, row.msg)
        happened.append(
            OrderAnswer(
                row.req_id,
                row.cl_ord_id,
                row.ord_id,
                accepted=False,
                rejection=verdict.rejection,
                unknown=verdict.unknown,
                text=verdict.text,
            )
        )
    return happened


def fill(row: wire.FillRow, listings: Listings, received_ns: int) -> Fill | None:
    """A fill of the list of fills."""
    listing = wire.find(listings, row.inst_type, row.inst_id)
    if listing is None:
        return None
    return Fill(
        listing=listing,
        trade_id=row.trade_id,
        client_id=row.cl_ord_id,
        venue_id=row.ord_id,
        side=wire.side(row.side),
        price=wire.required(row.fill_px),
        size=wire.required(row.fill_sz) * listing.multiplier,
        fee=wire.paid(row.fee),
        fee_asset=row.fee_ccy,
        maker=row.exec_type == "M",
        venue_ns=nanoseconds(row.fill_time or row.ts),
        received_ns=received_ns,
    )


def balances(row: wire.AccountRow, received_ns: int) -> list[Balance]:
    """What is held of each currency named; one whose cash is not told is left out."""
    told = []
    for detail in row.details:
        total = wire.amount(detail.cash_bal)
        if total is not None:
            venue_ns = nanoseconds(row.u_time or detail.u_time)
            told.append(
                Balance(VENUE, "", detail.ccy, total, _available(detail), venue_ns, received_ns)
            )
    return told


def _available(detail: wire.BalanceRow) -> Decimal:
    """What is free for new orders, spot or swap.

    Unrealised profit is good for margin alone and does not count; an unrealised loss does.
    """
    free = wire.amount(detail.avail_bal)
    equity = wire.amount(detail.avail_eq)
    if free is None:
        return equity or wire.ZERO
    loss = (wire.amount(detail.upl) or wire.ZERO) < 0
    return min(free, equity) if loss and equity is not None else free


def empty_balances(row: wire.AccountRow, listings: Listings, received_ns: int) -> list[Balance]:
    """Zeros of the currencies traded here that a complete account does not name."""
    named = {detail.ccy for detail in row.details}
    traded = {
        asset
        for listing in listings.values()
        for asset in (listing.base, listing.quote, listing.settle)
    }
    venue_ns = nanoseconds(row.u_time)
    return [
        Balance(VENUE, "", asset, wire.ZERO, wire.ZERO, venue_ns, received_ns)
        for asset in sorted(traded - named)
    ]


def positions(
    rows: Sequence[wire.PositionRow], listings: Listings, received_ns: int, *, whole: bool
) -> list[Position]:
    """Positions by contract.

    The two positions of an account in long/short mode come out as one, their difference.

    Args:
        whole: every position there is is among the rows, so that the rest is flat.
    """
    by_name: dict[str, list[wire.PositionRow]] = {}
    for row in rows:
        by_name.setdefault(row.inst_id, []).append(row)
    return [
        _position(listing, by_name.get(name, ()), received_ns)
        for (kind, name), listing in listings.items()
        if kind is Kind.LINEAR and (whole or name in by_name)
    ]


def _position(listing: Listing, rows: Iterable[wire.PositionRow], received_ns: int) -> Position:
    size, unrealised, venue_ns = wire.ZERO, wire.ZERO, 0
    entries = []
    for row in rows:
        contracts = wire.amount(row.pos) or wire.ZERO
        size += -contracts if row.pos_side == "short" else contracts
        unrealised += wire.amount(row.upl) or wire.ZERO
        venue_ns = max(venue_ns, nanoseconds(row.p_time or row.u_time))
        if contracts:
            entries.append(wire.amount(row.avg_px))
    return Position(
        listing=listing,
        size=size * listing.multiplier,
        entry=entries[0] if len(entries) == 1 else None,
        unrealised=unrealised,
        venue_ns=venue_ns,
        received_ns=received_ns,
    )


def funding(row: wire.BillRow, listings: Listings, received_ns: int) -> Funding | None:
    """A funding payment of the ledger; None if the balance did not change."""
    received = wire.amount(row.bal_chg)
    if not received:
        return None
    listing = wire.find(listings, row.inst_type, row.inst_id)
    return Funding(listing, VENUE, row.ccy, received, nanoseconds(row.ts), received_ns)
