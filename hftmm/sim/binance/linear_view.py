"""USD-M orders, fills and positions as the venue writes them: answers and stream events."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hftmm.sim.binance.clock import Clock
from hftmm.sim.binance.instrument import Instrument
from hftmm.sim.orders import Execution, Order

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
    "amended": "AMENDMENT",
}
# `er` of an order event.
_EXPIRY = {"self_trade": "1", "ioc": "2", "reduce_only": "4", "liquidation": "5"}


def plain(amount: Decimal) -> str:
    """An amount without needless zeros and never with an exponent."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def eight(amount: Decimal) -> str:
    """An amount with eight decimals."""
    return f"{amount:.8f}"


def status(order: Order) -> str:
    if order.state == "expired" and order.reason == "self_trade":
        return "EXPIRED_IN_MATCH"
    return _STATUS[order.state]


def time_in_force(order: Order) -> str:
    return "GTX" if order.post_only else order.time_in_force.upper()


def order_type(order: Order) -> str:
    return "MARKET" if order.ticks is None else "LIMIT"


def average(instrument: Instrument, order: Order) -> str:
    """Average price of the fills, `0.00` without any."""
    if not order.filled_lots:
        return "0.00"
    return f"{order.average:.{instrument.price_decimals + 4}f}"


def price(instrument: Instrument, order: Order) -> str:
    return "0" if order.ticks is None else instrument.price(order.ticks)


def ack_row(instrument: Instrument, order: Order, clock: Clock) -> dict[str, Any]:
    """An order as placing, changing and cancelling it answer: no prices of fills."""
    return {
        "orderId": order.id,
        "symbol": instrument.name,
        "status": status(order),
        "clientOrderId": order.client_id,
        "price": price(instrument, order),
        "origQty": instrument.size(order.lots),
        "executedQty": instrument.size(order.filled_lots),
        "cumQty": instrument.size(order.filled_lots),
        "timeInForce": time_in_force(order),
        "type": order_type(order),
        "reduceOnly": order.reduce_only,
        "closePosition": False,
        "side": order.side.upper(),
        "positionSide": "BOTH",
        "stopPrice": "0.00",
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": order_type(order),
        "priceMatch": "NONE",
        "selfTradePreventionMode": order.self_trade.upper(),
        "goodTillDate": 0,
        "updateTime": clock.ms(order.updated_ns),
    }


def just_accepted(row: dict[str, Any]) -> dict[str, Any]:
    """An `ACK`: the order as it was when the venue took it, whatever it has done since."""
    nothing = f"{Decimal(row['origQty']) * 0:f}"
    return {**row, "status": "NEW", "executedQty": nothing, "cumQty": nothing}


def order_row(instrument: Instrument, order: Order, clock: Clock) -> dict[str, Any]:
    """An order as queries answer it."""
    row = ack_row(instrument, order, clock)
    del row["cumQty"]
    return row | {
        "avgPrice": average(instrument, order),
        "cumQuote": plain(order.filled_quote),
        "time": clock.ms(order.created_ns),
    }


def trade_row(
    instrument: Instrument, order: Order, fill: Execution, clock: Clock
) -> dict[str, Any]:
    """A fill as `userTrades` lists it."""
    return {
        "symbol": instrument.name,
        "id": fill.trade_id,
        "orderId": order.id,
        "side": order.side.upper(),
        "price": instrument.price(fill.ticks),
        "qty": instrument.size(fill.lots),
        "realizedPnl": eight(fill.realised),
        "quoteQty": plain(fill.price * fill.size),
        "commission": eight(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": clock.ms(fill.ts_ns),
        "positionSide": "BOTH",
        "buyer": order.side == "buy",
        "maker": fill.maker,
        "marginAsset": instrument.spec.quote,
    }


def order_event(
    instrument: Instrument,
    order: Order,
    change: str,
    fill: Execution | None,
    open_value: tuple[Decimal, Decimal],
    stamps: tuple[int, int],
) -> dict[str, Any]:
    """One `ORDER_TRADE_UPDATE`.

    Args:
        open_value: notional of the account's open bids and asks in the contract.
        stamps: when it was sent and when it happened, the venue's milliseconds.
    """
    sent_ms, happened_ms = stamps
    prevented = order.state == "expired" and order.reason == "self_trade"
    detail: dict[str, Any] = {
        "s": instrument.name,
        "c": order.client_id,
        "S": order.side.upper(),
        "o": order_type(order),
        "f": time_in_force(order),
        "q": instrument.size(order.lots),
        "p": price(instrument, order),
        "ap": average(instrument, order) if order.filled_lots else "0",
        "sp": "0",
        "x": "EXPIRED" if prevented and change == "expired" else _EXECUTION_TYPE[change],
        "X": status(order),
        "i": order.id,
        "l": instrument.size(fill.lots if fill else 0),
        "z": instrument.size(order.filled_lots),
        "L": instrument.price(fill.ticks) if fill else "0",
    }
    if fill is not None and fill.fee:
        # Absent without a fee, as on the wire.
        detail |= {"n": eight(fill.fee), "N": fill.fee_asset}
    detail |= {
        "T": happened_ms,
        "t": fill.trade_id if fill else 0,
        "b": plain(open_value[0]),
        "a": plain(open_value[1]),
        "m": fill.maker if fill else False,
        "R": order.reduce_only,
        "wt": "CONTRACT_PRICE",
        "ot": order_type(order),
        "ps": "BOTH",
        "cp": False,
        "rp": eight(fill.realised) if fill else "0",
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": order.self_trade.upper(),
        "pm": "NONE",
        "gtd": 0,
        "er": _EXPIRY.get(order.reason, "0") if order.state == "expired" else "0",
    }
    return {"e": "ORDER_TRADE_UPDATE", "E": sent_ms, "T": happened_ms, "o": detail}


def lite_event(
    instrument: Instrument, order: Order, fill: Execution, stamps: tuple[int, int]
) -> dict[str, Any]:
    """The early copy of a fill, `TRADE_LITE`."""
    return {
        "e": "TRADE_LITE",
        "E": stamps[0],
        "T": stamps[1],
        "s": instrument.name,
        "q": instrument.size(order.lots),
        "p": price(instrument, order),
        "m": fill.maker,
        "c": order.client_id,
        "S": order.side.upper(),
        "L": instrument.price(fill.ticks),
        "l": instrument.size(fill.lots),
        "t": fill.trade_id,
        "i": order.id,
    }
