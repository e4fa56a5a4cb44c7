"""What the venue answers when it refuses: codes and texts, which differ between its markets."""

from __future__ import annotations

from collections.abc import Mapping

from hftmm.sim.orders import Refused

Answered = tuple[int, int, str]
"""HTTP status, code and text."""


class ApiError(Exception):
    """An error answer.

    Attributes:
        data: what the body says beyond code and text, None for nothing.
    """

    def __init__(self, status: int, code: int, text: str, data: object = None) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.text = text
        self.data = data

    @property
    def body(self) -> dict[str, object]:
        """The JSON object of the answer."""
        body: dict[str, object] = {"code": self.code, "msg": self.text}
        if self.data is not None:
            body["data"] = self.data
        return body


INVALID_SYMBOL: Answered = (400, -1121, "Invalid symbol.")
INVALID_KEY: Answered = (401, -2015, "Invalid API-key, IP, or permissions for action.")
KEY_FORMAT: Answered = (401, -2014, "API-key format invalid.")
UNKNOWN_ORDER: Answered = (400, -2011, "Unknown order sent.")
NO_SUCH_ORDER: Answered = (400, -2013, "Order does not exist.")
NO_LISTEN_KEY: Answered = (400, -1125, "This listenKey does not exist.")
INVALID_SIDE: Answered = (400, -1117, "Invalid side.")
INVALID_TYPE: Answered = (400, -1116, "Invalid orderType.")
INVALID_TIME_IN_FORCE: Answered = (400, -1115, "Invalid timeInForce.")
BAD_COMBINATION: Answered = (400, -1128, "Combination of optional parameters invalid.")
BEYOND_WORDS = (-1000, "An unknown error occurred while processing the request.")
"""For a refusal that a market has no words for."""

OVERLOADED: Answered = (503, -1008, "Request throttled by system-level protection.")


def missing(name: str) -> ApiError:
    """A mandatory parameter is not there."""
    text = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    return ApiError(400, -1102, text)


def illegal(name: str, legal: str) -> ApiError:
    """A parameter holds characters it may not."""
    text = f"Illegal characters found in parameter '{name}'; legal range is '{legal}'."
    return ApiError(400, -1100, text)


def not_required(name: str) -> ApiError:
    """A parameter that this kind of order does not take."""
    return ApiError(400, -1106, f"Parameter '{name}' sent when not required.")


def invalid(name: str) -> ApiError:
    """A parameter whose value is none of those allowed."""
    return ApiError(400, -1130, f"Data sent for parameter '{name}' is not valid.")


_SPOT: Mapping[str, tuple[int, str]] = {
    "price_filter": (-1013, "Filter failure: PRICE_FILTER"),
    "lot_size": (-1013, "Filter failure: LOT_SIZE"),
    "min_size": (-1013, "Filter failure: LOT_SIZE"),
    "max_size": (-1013, "Filter failure: LOT_SIZE"),
    "min_notional": (-1013, "Filter failure: NOTIONAL"),
    "price_band": (-1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    "max_orders": (-1013, "Filter failure: MAX_NUM_ORDERS"),
    "balance": (-2010, "Account has insufficient balance for requested action."),
    "duplicate_client_id": (-2010, "Duplicate order sent."),
    "not_trading": (-2010, "Market is closed."),
    "post_only_would_take": (-2010, "Order would immediately match and take."),
    "unknown_symbol": (-1121, "Invalid symbol."),
    "unknown_order": (-2011, "Unknown order sent."),
    "already_done": (-2011, "Unknown order sent."),
    "amend_down_only": (-2038, "Order amend (quantity increase) is not supported."),
    "amend_below_filled": (-2038, "Order amend (quantity increase) is not supported."),
    "nothing_to_amend": (-2038, "The requested action would change no state; rejecting."),
}

_LINEAR: Mapping[str, tuple[int, str]] = {
    "price_filter": (-4014, "Price not increased by tick size."),
    "lot_size": (-4023, "Qty not increased by step size."),
    "min_size": (-4004, "Quantity less than min quantity."),
    "max_size": (-4005, "Quantity greater than max quantity."),
    "min_notional": (
        -4164,
        "Order's notional must be no smaller than {notional} (unless you choose reduce only).",
    ),
    "price_band": (-4016, "Limit price can't be higher than {upper}."),
    "max_orders": (-2025, "Reach max open order limit."),
    "balance": (-2018, "Balance is insufficient."),
    "margin": (-2019, "Margin is insufficient."),
    "duplicate_client_id": (-4116, "ClientOrderId is duplicated."),
    "not_trading": (-4108, "This symbol is currently not available for trading."),
    "fok_unfillable": (
        -5021,
        "Due to the order could not be filled immediately, the FOK order has been rejected. "
        "The order will not be recorded in the order history",
    ),
    "post_only_would_take": (
        -5022,
        "Due to the order could not be executed as maker, the Post Only order will be rejected. "
        "The order will not be recorded in the order history",
    ),
    "reduce_only": (-2022, "ReduceOnly Order is rejected."),
    "amend_below_filled": (-2022, "ReduceOnly Order is rejected."),
    "unknown_symbol": (-1121, "Invalid symbol."),
    "unknown_order": (-2011, "Unknown order sent."),
    "already_done": (-2011, "Unknown order sent."),
    "nothing_to_amend": (-5027, "No need to modify the order."),
}


def spot_error(refused: Refused) -> ApiError:
    """The spot market's words for a refusal."""
    code, text = _SPOT.get(refused.rule, BEYOND_WORDS)
    return ApiError(400, code, text)


def linear_error(refused: Refused, **numbers: str) -> ApiError:
    """USD-M's words for a refusal; `numbers` are those its text names."""
    code, text = _LINEAR.get(refused.rule, BEYOND_WORDS)
    return ApiError(400, code, text.format(**numbers))
