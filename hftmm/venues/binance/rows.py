"""Answers of Binance's private queries, row by row.

Rows about what is not traded here, or about COIN-M, are left out.
"""

from __future__ import annotations

from decimal import Decimal

from hftmm.core.instrument import Kind, Listing, Side
from hftmm.core.order import Balance, Fill, Funding, OrderUpdate, Position
from hftmm.venues.binance import private_wire as wire
from hftmm.venues.binance import query_wire
from hftmm.venues.binance.account import VENUE, spot_balance
from hftmm.venues.binance.wire import decode
from hftmm.venues.codec import MILLISECOND
from hftmm.venues.private import Listings


def orders(body: bytes, listings: Listings, received_ns: int) -> list[OrderUpdate]:
    """Orders of a list, or the one order of an answer about one.

    Raises:
        MalformedFrame: it is neither.
    """
    if body.lstrip().startswith(b"["):
        rows = decode(query_wire.decode_order_rows, body)
    else:
        rows = [decode(query_wire.decode_order_row, body)]
    updates = []
    for row in rows:
        listing = wire.find(listings, row.symbol, spot=row.positionSide is None)
        if listing is not None:
            updates.append(_order(listing, row, received_ns))
    return updates


def _order(listing: Listing, row: query_wire.OrderRow, received_ns: int) -> OrderUpdate:
    filled = wire.amount(row.executedQty)
    quote = wire.amount(row.cummulativeQuoteQty)
    average = quote / filled if filled and quote else wire.amount(row.avgPrice)
    rejection, text = wire.reason(row.status, row.timeInForce, row.expiryReason)
    return OrderUpdate(
        listing=listing,
        client_id=row.clientOrderId,
        venue_id=str(row.orderId),
        side=wire.side(row.side),
        state=wire.state(row.status),
        filled=filled,
        average=average or None,
        price=wire.amount(row.price) or None,
        size=wire.amount(row.origQty),
        rejection=rejection,
        text=text,
        venue_ns=row.updateTime * MILLISECOND,
        received_ns=received_ns,
    )


def fills(
    body: bytes, listings: Listings, received_ns: int, *, full: int
) -> tuple[list[Fill], str]:
    """Fills, oldest first, and where to go on if the answer is as long as answers get.

    The next page begins in the millisecond the last one ends in, so that none is missed; what is
    in both is told twice.
    """
    rows = decode(query_wire.decode_trade_rows, body)
    told = []
    for row in rows:
        listing = wire.find(listings, row.symbol, spot=row.isBuyer is not None and not row.side)
        if listing is not None:
            told.append(_fill(listing, row, received_ns))
    if len(rows) < full:
        return told, ""
    first, last = rows[0].time, rows[-1].time
    return told, str(last if last > first else last + 1)


def funding(body: bytes, listings: Listings, received_ns: int) -> list[Funding]:
    """Funding payments of the income history."""
    return [
        Funding(
            wire.find(listings, row.symbol, spot=False),
            VENUE,
            row.asset,
            wire.amount(row.income),
            row.time * MILLISECOND,
            received_ns,
        )
        for row in decode(query_wire.decode_income_rows, body)
    ]


def _fill(listing: Listing, row: query_wire.TradeRow, received_ns: int) -> Fill:
    side: Side = "buy" if row.isBuyer else "sell"
    return Fill(
        listing=listing,
        trade_id=str(row.id),
        client_id="",
        venue_id=str(row.orderId),
        side=wire.side(row.side) if row.side else side,
        price=wire.amount(row.price),
        size=wire.amount(row.qty),
        fee=wire.amount(row.commission),
        fee_asset=row.commissionAsset,
        maker=row.maker or row.isMaker,
        venue_ns=row.time * MILLISECOND,
        received_ns=received_ns,
    )


def positions(body: bytes, listings: Listings, received_ns: int) -> list[Position]:
    """A position for every perpetual; Binance names only those with a position or orders.

    The two positions of an account in hedge mode come out as one, their difference.
    """
    rows = decode(query_wire.decode_position_rows, body)
    by_symbol: dict[str, list[query_wire.PositionRow]] = {}
    for row in rows:
        by_symbol.setdefault(row.symbol, []).append(row)
    return [
        _position(listing, by_symbol.get(symbol, []), received_ns)
        for (kind, symbol), listing in listings.items()
        if kind is Kind.LINEAR
    ]


def _position(listing: Listing, rows: list[query_wire.PositionRow], received_ns: int) -> Position:
    held = [row for row in rows if wire.amount(row.positionAmt)]
    return Position(
        listing=listing,
        size=sum((wire.amount(row.positionAmt) for row in held), wire.NOTHING),
        entry=wire.amount(held[0].entryPrice) if len(held) == 1 else None,
        unrealised=sum((wire.amount(row.unRealizedProfit) for row in held), wire.NOTHING),
        venue_ns=max((row.updateTime for row in rows), default=0) * MILLISECOND,
        received_ns=received_ns,
    )


def spot_balances(body: bytes, received_ns: int) -> list[Balance]:
    """The spot wallet."""
    answer = decode(query_wire.decode_spot_account, body)
    venue_ns = answer.updateTime * MILLISECOND
    return [
        spot_balance(
            row.asset, wire.amount(row.free), wire.amount(row.locked), venue_ns, received_ns
        )
        for row in answer.balances
    ]


def linear_balances(body: bytes, received_ns: int) -> list[Balance]:
    """The USD-M wallet."""
    return [
        Balance(
            venue=VENUE,
            wallet="linear",
            asset=row.asset,
            total=wire.amount(row.balance),
            available=wire.amount(row.availableBalance),
            venue_ns=row.updateTime * MILLISECOND,
            received_ns=received_ns,
        )
        for row in decode(query_wire.decode_linear_balances, body)
    ]


def spot_rates(body: bytes) -> tuple[Decimal, Decimal]:
    """Maker and taker as fractions: standard, special and tax rates of the worse side."""
    answer = decode(query_wire.decode_spot_commission, body)
    maker = taker = wire.NOTHING
    for rates in (answer.standardCommission, answer.specialCommission, answer.taxCommission):
        either = max(wire.amount(rates.buyer), wire.amount(rates.seller))
        maker += wire.amount(rates.maker) + either
        taker += wire.amount(rates.taker) + either
    return maker, taker


def linear_rates(body: bytes) -> tuple[Decimal, Decimal]:
    """Maker and taker as fractions; the maker's is negative under a rebate."""
    answer = decode(query_wire.decode_linear_commission, body)
    return wire.amount(answer.makerCommissionRate), wire.amount(answer.takerCommissionRate)
