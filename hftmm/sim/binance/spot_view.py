"""Spot orders, fills and balances as the venue writes them: answers and stream events."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hftmm.sim.binance.clock import Clock
from hftmm.sim.binance.instrument import Instrument
from hftmm.sim.ledger import Account
from hftmm.sim.orders import Execution, Order

NO_LIST = -1
"""`orderListId` of an order that belongs to no list."""

_STATUS = {
    "new": "NEW",
    "partially_filled": "PARTIALLY_FILLED",
    "filled": "FILLED",
    "canceled": "CANCELED",
    "expired": "EXPIRED",
    "rejected": "REJECTED",
}
_EXECUTION_TYPE = {
    "new": "NEW",
    "trade": "TRADE",
    "canceled": "CANCELED",
    "expired": "EXPIRED",
    "rejected": "REJECTED",
    "amended": "REPLACED",
}
_EXPIRY = {
    "ioc": "UNFILLED_IOC_QUANTITY_EXPIRED",
    "fok": "UNFILLED_FOK_ORDER_EXPIRED",
    "market": "INSUFFICIENT_LIQUIDITY",
}
_PREVENTED = "self_trade"
_DONE = ("canceled", "expired", "rejected", "filled")


def eight(amount: Decimal) -> str:
    """An amount with the eight decimals spot writes."""
    return f"{amount:.8f}"


def status(order: Order) -> str:
    if order.state == "expired" and order.reason == _PREVENTED:
        return "EXPIRED_IN_MATCH"
    return _STATUS[order.state]


def order_type(order: Order) -> str:
    if order.ticks is None:
        return "MARKET"
    return "LIMIT_MAKER" if order.post_only else "LIMIT"


def self_trade_mode(order: Order) -> str:
    return order.self_trade.upper()


def _price(instrument: Instrument, order: Order) -> str:
    return instrument.price(order.ticks or 0)


def _terms(instrument: Instrument, order: Order) -> dict[str, Any]:
    """What an order asks for, and what has come of it."""
    return {
        "price": _price(instrument, order),
        "origQty": instrument.size(order.lots),
        "executedQty": instrument.size(order.filled_lots),
        "origQuoteOrderQty": eight(order.quote_amount or Decimal(0)),
        "cummulativeQuoteQty": eight(order.filled_quote),
        "status": status(order),
        "timeInForce": order.time_in_force.upper(),
        "type": order_type(order),
        "side": order.side.upper(),
    }


def order_row(instrument: Instrument, order: Order, client_id: str, clock: Clock) -> dict[str, Any]:
    """An order as queries answer it."""
    return {
        "symbol": instrument.name,
        "orderId": order.id,
        "orderListId": NO_LIST,
        "clientOrderId": client_id,
        **_terms(instrument, order),
        "stopPrice": "0.00000000",
        "icebergQty": "0.00000000",
        "time": clock.ms(order.created_ns),
        "updateTime": clock.ms(order.updated_ns),
        "isWorking": True,
        "workingTime": clock.ms(order.created_ns),
        "selfTradePreventionMode": self_trade_mode(order),
        **_expiry(order, "expiryReason"),
    }


def placed_row(
    instrument: Instrument, order: Order, client_id: str, clock: Clock, shape: str
) -> dict[str, Any]:
    """A new order as its placement answers: `ACK`, `RESULT` or `FULL`."""
    row: dict[str, Any] = {
        "symbol": instrument.name,
        "orderId": order.id,
        "orderListId": NO_LIST,
        "clientOrderId": client_id,
        "transactTime": clock.ms(order.updated_ns),
    }
    if shape == "ACK":
        return row
    row |= {
        **_terms(instrument, order),
        "workingTime": clock.ms(order.created_ns),
        "selfTradePreventionMode": self_trade_mode(order),
        **_expiry(order, "expiryReason"),
    }
    if shape == "FULL":
        row["fills"] = [
            {
                "price": instrument.price(fill.ticks),
                "qty": instrument.size(fill.lots),
                "commission": eight(fill.fee),
                "commissionAsset": fill.fee_asset,
                "tradeId": fill.trade_id,
            }
            for fill in order.fills
        ]
    return row


def canceled_row(
    instrument: Instrument, order: Order, client_id: str, cancel_id: str, clock: Clock
) -> dict[str, Any]:
    """A cancelled order: `clientOrderId` is the cancel's own id."""
    return {
        "symbol": instrument.name,
        "origClientOrderId": client_id,
        "orderId": order.id,
        "orderListId": NO_LIST,
        "clientOrderId": cancel_id,
        "transactTime": clock.ms(order.updated_ns),
        **_terms(instrument, order),
        "selfTradePreventionMode": self_trade_mode(order),
    }


def trade_row(
    instrument: Instrument, order: Order, fill: Execution, clock: Clock
) -> dict[str, Any]:
    """A fill as `myTrades` lists it."""
    return {
        "symbol": instrument.name,
        "id": fill.trade_id,
        "orderId": order.id,
        "orderListId": NO_LIST,
        "price": instrument.price(fill.ticks),
        "qty": instrument.size(fill.lots),
        "quoteQty": eight(instrument.spec.tick * fill.ticks * instrument.spec.lot * fill.lots),
        "commission": eight(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": clock.ms(fill.ts_ns),
        "isBuyer": order.side == "buy",
        "isMaker": fill.maker,
        "isBestMatch": True,
    }


def execution_report(
    instrument: Instrument,
    order: Order,
    change: str,
    fill: Execution | None,
    ids: tuple[str, str],
    execution_id: int,
    stamps: tuple[int, int],
    clock: Clock,
) -> dict[str, Any]:
    """One `executionReport`.

    Args:
        ids: client id of the request that caused it, and the order's own if that is another.
        stamps: when it was sent and when it happened, the venue's milliseconds.
    """
    sent_ms, happened_ms = stamps
    prevented = change == "expired" and order.reason == _PREVENTED
    event: dict[str, Any] = {
        "e": "executionReport",
        "E": sent_ms,
        "s": instrument.name,
        "c": ids[0],
        "S": order.side.upper(),
        "o": order_type(order),
        "f": order.time_in_force.upper(),
        "q": instrument.size(order.lots),
        "p": _price(instrument, order),
        "P": "0.00000000",
        "F": "0.00000000",
        "g": NO_LIST,
        "C": ids[1],
        "x": "TRADE_PREVENTION" if prevented else _EXECUTION_TYPE[change],
        "X": status(order),
        "r": "NONE",
        "i": order.id,
        "l": instrument.size(fill.lots if fill else 0),
        "z": instrument.size(order.filled_lots),
        "L": instrument.price(fill.ticks if fill else 0),
        "n": eight(fill.fee) if fill else "0",
        "N": fill.fee_asset if fill else None,
        "T": happened_ms,
        "t": fill.trade_id if fill else -1,
        "I": execution_id,
        "w": order.state not in _DONE,
        "m": fill.maker if fill else False,
        "M": fill is not None,
        "O": clock.ms(order.created_ns),
        "Z": eight(order.filled_quote),
        "Y": eight(
            instrument.spec.tick * fill.ticks * instrument.spec.lot * fill.lots
            if fill
            else Decimal(0)
        ),
        "Q": eight(order.quote_amount or Decimal(0)),
        "W": clock.ms(order.created_ns),
        "V": self_trade_mode(order),
        **_expiry(order, "eR"),
    }
    if prevented:
        left = instrument.size(order.lots - order.filled_lots)
        event |= {"v": execution_id, "A": left, "B": left}
    return event


def balances(account: Account, assets: list[str]) -> list[dict[str, str]]:
    """Rows `a`, `f`, `l` of an `outboundAccountPosition`, absolute values."""
    rows = []
    for asset in assets:
        balance = account.balances.get(asset)
        total = balance.total if balance else Decimal(0)
        locked = balance.locked if balance else Decimal(0)
        rows.append({"a": asset, "f": eight(total - locked), "l": eight(locked)})
    return rows


def _expiry(order: Order, key: str) -> dict[str, str]:
    """Why it expired, where the venue says so."""
    reason = _EXPIRY.get(order.reason) if order.state == "expired" else None
    return {key: reason} if reason else {}
