"""Orders and fills of the practice Bybit, as REST and streams show them."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from hftmm.core.instrument import Kind, Side
from hftmm.sim.bybit.answers import Row
from hftmm.sim.bybit.instrument import MILLISECOND
from hftmm.sim.ledger import Funding
from hftmm.sim.orders import Execution, Order

_SPOT_IDS = 2_010_000_000_000_000_000
_UUID = "0b7b1700-0000-4000-8000-"
_SIDES: dict[Side, str] = {"buy": "Buy", "sell": "Sell"}

# Why an order ended -> cancelType, rejectReason.
_ENDS = {
    "": ("UNKNOWN", "EC_NoError"),
    "user": ("CancelByUser", "EC_PerCancelRequest"),
    "post_only": ("UNKNOWN", "EC_PostOnlyWillTakeLiquidity"),
    "market": ("UNKNOWN", "EC_NoImmediateQtyToFill"),
    "ioc": ("UNKNOWN", "EC_NoImmediateQtyToFill"),
    "fok": ("UNKNOWN", "EC_NoEnoughQtyToFill"),
    "self_trade": ("CancelBySmp", "EC_NoError"),
    "dead_man": ("CancelByDCP", "EC_PerCancelRequest"),
    "reduce_only": ("CancelByReduceOnly", "EC_NoError"),
    "liquidation": ("CancelAllBeforeLiq", "EC_NoError"),
}


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What the client said about an order that only the venue's words can say.

    Attributes:
        quantity: as sent, if it was an amount of the quote coin; else "".
        cap: the limit that a market order of a contract is given, "" for others.
    """

    order_type: str
    time_in_force: str
    smp_type: str = "None"
    market_unit: str = ""
    is_leverage: str = ""
    quantity: str = ""
    cap: str = ""
    last_price: str = ""


def side(of: Side) -> str:
    """The venue's word."""
    return _SIDES[of]


def order_id(order: Order) -> str:
    """A UUID on linear, 19 digits on spot."""
    if order.spec.kind is Kind.LINEAR:
        return f"{_UUID}{order.id:012x}"
    return str(_SPOT_IDS + order.id)


def order_number(text: str, category: str) -> int:
    """What `order_id` made the text of; 0, which is no order, if it did not."""
    if category == "linear":
        digits = text.removeprefix(_UUID)
        is_hex = len(digits) == 12 and not digits.strip("0123456789abcdef")
        return int(digits, 16) if is_hex and digits != text else 0
    plain = text.isascii() and text.isdigit() and len(text) == 19
    return max(0, int(text) - _SPOT_IDS) if plain else 0


def plain(amount: Decimal) -> str:
    """Shortest plain decimal."""
    return f"{amount.normalize():f}" if amount else "0"


def status(order: Order) -> str:
    """The venue's word for the state; spot has one of its own for what ended half filled.

    A market buy for an amount ends so whenever the last of the amount buys less than one lot.
    """
    match order.state:
        case "new":
            return "New"
        case "partially_filled":
            return "PartiallyFilled"
        case "filled" if order.quote_amount is None or order.filled_quote == order.quote_amount:
            return "Filled"
        case "rejected":
            return "Rejected"
    if order.filled_lots and order.spec.kind is Kind.SPOT:
        return "PartiallyFilledCanceled"
    return "Cancelled"


def fees(order: Order) -> dict[str, str]:
    """Fees so far by coin."""
    totals: dict[str, Decimal] = {}
    for fill in order.fills:
        totals[fill.fee_asset] = totals.get(fill.fee_asset, Decimal(0)) + fill.fee
    return {coin: plain(total) for coin, total in totals.items()}


def order_row(order: Order, wish: Wish, smp_order: str, skew_ns: int) -> Row:
    """An order with every field the venue documents, empty where it does not apply.

    A plain spot order has none of the fields of triggers on positions: clients tell spot from
    contracts by `tpslMode`.
    """
    spec = order.spec
    linear = spec.kind is Kind.LINEAR
    cancel_type, reject_reason = _ENDS.get(order.reason, ("UNKNOWN", "EC_NoError"))
    paid = fees(order)
    left = order.remaining_lots if order.open else 0
    price = spec.price(order.ticks) if order.ticks is not None else wish.cap or "0"
    row: Row = {
        "symbol": spec.venue_symbol,
        "orderId": order_id(order),
        "orderLinkId": order.client_id,
        "blockTradeId": "",
        "side": side(order.side),
        "positionIdx": 0,
        "orderType": wish.order_type,
        "timeInForce": wish.time_in_force,
        "price": price,
        "qty": wish.quantity or spec.size(order.lots),
        "orderStatus": status(order),
        "cancelType": cancel_type,
        "rejectReason": reject_reason,
        "cumExecQty": spec.size(order.filled_lots),
        "cumExecValue": plain(order.filled_quote),
        "avgPrice": average(order) if order.filled_lots else "",
        "leavesQty": spec.size(left),
        "leavesValue": plain(order.value(left)),
        "cumExecFee": next(iter(paid.values()), "0"),
        "feeCurrency": next(iter(paid), ""),
        "cumFeeDetail": paid,
        "isLeverage": wish.is_leverage,
        "marketUnit": wish.market_unit,
        "stopOrderType": "",
        "orderIv": "",
        "triggerPrice": "",
        "triggerBy": "",
        "triggerDirection": 0,
        "reduceOnly": order.reduce_only,
        "closeOnTrigger": False,
        "placeType": "",
        "lastPriceOnCreated": wish.last_price,
        "smpType": wish.smp_type,
        "smpGroup": 0,
        "smpOrderId": smp_order,
        "slippageToleranceType": "UNKNOWN",
        "slippageTolerance": "",
        "ocoTriggerBy": "",
        "parentOrderLinkId": "",
        "rpiTakerAccess": False,
        "rpiMatchedQty": "0",
        "extraFees": "",
        "createdTime": ms(order.created_ns + skew_ns),
        "updatedTime": ms(order.updated_ns + skew_ns),
    }
    if linear:
        gained = sum((fill.realised for fill in order.fills), Decimal(0))
        row |= {
            "createType": _creator(order),
            "closedPnl": plain(gained),
            "tpslMode": "",
            "takeProfit": "",
            "stopLoss": "",
            "tpTriggerBy": "",
            "slTriggerBy": "",
            "tpLimitPrice": "",
            "slLimitPrice": "",
        }
    return row


def average(order: Order) -> str:
    """Average fill price with two digits more than the tick has."""
    places = order.spec.tick / 100
    return plain(order.average.quantize(places))


def execution_row(
    fill: Execution, wish: Wish, left: int, sequence: int, fee_rate: Decimal, skew_ns: int
) -> Row:
    """A fill with every field the venue documents.

    Args:
        left: lots of the order still open after it.
    """
    order = fill.order
    spec = order.spec
    value = fill.price * fill.size
    closed = fill.size if fill.realised else Decimal(0)
    return {
        "symbol": spec.venue_symbol,
        "orderId": order_id(order),
        "orderLinkId": order.client_id,
        "side": side(order.side),
        "orderPrice": spec.price(order.ticks) if order.ticks is not None else wish.cap or "0",
        "orderQty": wish.quantity or spec.size(order.lots),
        "leavesQty": spec.size(left),
        "createType": _creator(order) if spec.kind is Kind.LINEAR else "",
        "orderType": wish.order_type,
        "stopOrderType": "",
        "execId": execution_id(fill),
        "execPrice": spec.price(fill.ticks),
        "execQty": spec.size(fill.lots),
        "execValue": plain(value),
        "execFee": plain(fill.fee),
        "execType": "BustTrade" if _creator(order) == "CreateByLiq" else "Trade",
        "execTime": ms(fill.ts_ns + skew_ns),
        "execPnl": plain(fill.realised),
        "feeCurrency": fill.fee_asset,
        "feeRate": plain(fee_rate),
        "isMaker": fill.maker,
        "isLeverage": wish.is_leverage,
        "marketUnit": wish.market_unit,
        "tradeIv": "",
        "markIv": "",
        "markPrice": "",
        "indexPrice": "",
        "underlyingPrice": "",
        "blockTradeId": "",
        "closedSize": plain(closed) if spec.kind is Kind.LINEAR else "",
        "extraFees": "",
        "seq": sequence,
    }


def execution_id(fill: Execution) -> str:
    """A UUID on linear, 19 digits on spot."""
    if fill.order.spec.kind is Kind.LINEAR:
        return f"5e1f0000-0000-4000-8000-{fill.id:012x}"
    return str(_SPOT_IDS + 10**15 + fill.id)


def fast_row(fill: Execution, sequence: int, skew_ns: int) -> Row:
    """A fill as the fast topic has it: a maker's is without the client's own id."""
    order = fill.order
    return {
        "category": order.spec.kind.value,
        "symbol": order.spec.venue_symbol,
        "execId": execution_id(fill),
        "execPrice": order.spec.price(fill.ticks),
        "execQty": order.spec.size(fill.lots),
        "orderId": order_id(order),
        "isMaker": fill.maker,
        "orderLinkId": "" if fill.maker else order.client_id,
        "side": side(order.side),
        "execTime": ms(fill.ts_ns + skew_ns),
        "seq": sequence,
    }


def funding_row(
    paid: Funding, base: Decimal, mark: Decimal, sequence: int, number: int, skew_ns: int
) -> Row:
    """Funding as the venue shows it: a fill of the whole position which moves nothing but cash.

    Args:
        base: the position it was paid for.
        number: tells the fundings of one account apart.
    """
    spec = paid.spec
    return {
        "symbol": spec.venue_symbol,
        "orderId": f"f0d10000-0000-4000-8000-{number:012x}",
        "orderLinkId": "",
        "side": "Buy" if base > 0 else "Sell",
        "orderPrice": "0",
        "orderQty": "0",
        "leavesQty": "0",
        "createType": "",
        "orderType": "UNKNOWN",
        "stopOrderType": "UNKNOWN",
        "execId": f"f0d20000-0000-4000-8000-{number:012x}",
        "execPrice": plain(mark),
        "execQty": plain(abs(base)),
        "execValue": plain(abs(base) * mark),
        "execFee": plain(-paid.amount),
        "execType": "Funding",
        "execTime": ms(paid.ts_ns + skew_ns),
        "execPnl": "",
        "feeCurrency": spec.quote,
        "feeRate": plain(paid.rate),
        "isMaker": False,
        "isLeverage": "",
        "marketUnit": "",
        "tradeIv": "",
        "markIv": "",
        "markPrice": plain(mark),
        "indexPrice": "",
        "underlyingPrice": "",
        "blockTradeId": "",
        "closedSize": "0",
        "extraFees": "",
        "seq": sequence,
    }


def _creator(order: Order) -> str:
    return "CreateByLiq" if order.note is None else "CreateByUser"


def ms(ns: int) -> str:
    """Milliseconds, as a string."""
    return str(ns // MILLISECOND)
