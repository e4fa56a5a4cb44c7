"""The practice Bybit's numbers for what goes wrong with an order: linear and spot have their own.

Source:
    the venue's list of error codes; linear 110xxx, spot 170xxx, 10001 for anything malformed.
"""

from __future__ import annotations

from collections.abc import Mapping

from hftmm.sim.bybit.answers import Refused

# Rule -> code and text, linear then spot.
_RULES: Mapping[str, tuple[tuple[int, str], tuple[int, str]]] = {
    "unknown_symbol": ((10001, "params error: symbol invalid"), (170121, "Invalid symbol.")),
    "not_trading": (
        (110074, "This contract is not live"),
        (170151, "This trading pair is not open yet."),
    ),
    "side": ((10001, "params error: side invalid"), (170117, "Invalid side.")),
    "order_type": ((10001, "params error: orderType invalid"), (170116, "Invalid orderType.")),
    "time_in_force": (
        (10001, "params error: timeInForce invalid"),
        (170115, "Invalid timeInForce."),
    ),
    "client_id": (
        (10001, "params error: orderLinkId invalid"),
        (170130, "Data sent for parameter 'orderLinkId' is not valid."),
    ),
    "quantity": (
        (10001, "params error: qty invalid"),
        (170130, "Data sent for parameter 'qty' is not valid."),
    ),
    "price": (
        (10001, "params error: price invalid"),
        (170130, "Data sent for parameter 'price' is not valid."),
    ),
    "price_filter": (
        (10001, "params error: price is not a multiple of the tick size"),
        (170134, "Order price has too many decimals."),
    ),
    "lot_size": (
        (10001, "params error: qty is not a multiple of the quantity step"),
        (170137, "Order quantity has too many decimals."),
    ),
    "amount_step": (
        (10001, "params error: qty invalid"),
        (170148, "Market order amount decimal too long."),
    ),
    "min_size": (
        (10001, "The number of contracts is less than the minimum limit allowed: too small"),
        (170136, "Order quantity exceeded lower limit."),
    ),
    "max_size": (
        (10001, "The number of contracts exceeds maximum limit allowed: too large"),
        (170124, "Order amount too large."),
    ),
    "min_notional": (
        (110094, "Order does not meet minimum order value."),
        (170140, "Order value exceeded lower limit."),
    ),
    "price_too_high": (
        (110003, "Order price exceeds the allowable range."),
        (170193, "Buy order price cannot be higher than the limit."),
    ),
    "price_too_low": (
        (110003, "Order price exceeds the allowable range."),
        (170194, "Sell order price cannot be lower than the limit."),
    ),
    "balance": ((110007, "ab not enough for new order"), (170131, "Insufficient balance.")),
    "margin": ((110007, "ab not enough for new order"), (170131, "Insufficient balance.")),
    "duplicate_client_id": (
        (110072, "OrderLinkedID is duplicate"),
        (170141, "Duplicate clientOrderId"),
    ),
    "max_orders": (
        (110020, "Not allowed to have more than 500 active orders"),
        (170810, "Cannot exceed maximum of 500 conditional, TP/SL and active orders."),
    ),
    "reduce_only": (
        (110017, "current position is zero, cannot fix reduce-only order qty"),
        (170130, "Data sent for parameter 'reduceOnly' is not valid."),
    ),
    "unknown_order": (
        (110001, "order not exists or too late to cancel"),
        (170213, "Order does not exist."),
    ),
    "amend_below_filled": (
        (110064, "New order quantity should be larger than the filled quantity."),
        (170313, "The quantity is not larger than the one filled."),
    ),
    "nothing_to_amend": (
        (10001, "The order remains unchanged as the parameters entered match the existing ones."),
        (10001, "The order remains unchanged as the parameters entered match the existing ones."),
    ),
    "rpi": (
        (110119, "RPI orders are not allowed for this account."),
        (170355, "RPI orders are not allowed for this account."),
    ),
    "leverage": (
        (10001, "leverage invalid"),
        (10001, "leverage invalid"),
    ),
    "no_liquidity": (
        (110003, "Order price exceeds the allowable range."),
        (170197, "Your order quantity to buy is too large."),
    ),
}
# Words of the broker for what is told here by another's.
_SAME = {"already_done": "unknown_order", "amend_down_only": "amend_below_filled"}


def refused(rule: str, category: str) -> Refused:
    """The refusal of an order by a rule; a rule without a number of its own is a bad parameter."""
    rule = _SAME.get(rule, rule)
    bad = (10001, f"params error: {rule.replace('_', ' ')}")
    linear, spot = _RULES.get(rule, (bad, bad))
    code, text = spot if category == "spot" else linear
    return Refused(code, text)
