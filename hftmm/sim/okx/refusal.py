"""What OKX answers instead of doing as asked: its codes and texts.

`code` of a whole request, `sCode` of one order: both are a `Refusal`, raised where it is known and
written where the answer is.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType


class Refusal(Exception):
    """A request or an order the venue does not accept.

    Attributes:
        status: of the HTTP answer, where the refusal is of a whole REST request.
        sub_code: refines a few codes (`51008` by `1000`), "" for the rest.
    """

    def __init__(self, code: str, message: str, *, status: int = 200, sub_code: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.sub_code = sub_code


def missing(parameter: str, *, status: int = 400) -> Refusal:
    """A parameter that has to be there."""
    return Refusal("50014", f"Parameter {parameter} can not be empty.", status=status)


def wrong(parameter: str, *, status: int = 400) -> Refusal:
    """A parameter whose value makes no sense."""
    return Refusal("51000", f"Parameter {parameter} error", status=status)


def unknown_instrument() -> Refusal:
    return Refusal("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")


def too_many_requests() -> Refusal:
    return Refusal("50011", "Too Many Requests", status=429)


_OF_ORDERS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "price_filter": ("51000", "", "Parameter px error"),
        "price_band": (
            "51006",
            "",
            "Order price is not within the price limit (maximum buy price: {buy}, minimum sell "
            "price: {sell})",
        ),
        "lot_size": ("51121", "", "Order quantity must be a multiple of the lot size."),
        "min_size": ("51020", "", "Your order should meet or exceed the minimum order amount."),
        "min_notional": ("51020", "", "Your order should meet or exceed the minimum order amount."),
        "max_size": ("51005", "", "Your order amount exceeds the max order amount."),
        "balance": ("51008", "1000", "Order failed. Insufficient {asset} balance in account."),
        "margin": ("51008", "1002", "Order failed. Insufficient {asset} margin in account."),
        "duplicate_client_id": ("51016", "", "Client order ID already exists."),
        "unknown_symbol": (
            "51001",
            "",
            "Instrument ID, Instrument ID code, or Spread ID doesn't exist.",
        ),
        "not_trading": ("51021", "", "Contract is pending listing"),
        "max_orders": (
            "51025",
            "",
            "The number of pending orders on this instrument has reached the limit of 500.",
        ),
        "reduce_only": (
            "51169",
            "",
            "Order failed because you don't have any positions in this direction to reduce.",
        ),
        "already_done": (
            "51503",
            "",
            "Order modification failed as the order has been filled, canceled or does not exist.",
        ),
        "leverage": ("59102", "", "Leverage exceeds the maximum limit."),
        "amend_below_filled": ("51000", "", "Parameter newSz error"),
        "nothing_to_amend": ("51000", "", "Parameter newSz or newPx error"),
        "post_only_would_take": (
            "51511",
            "",
            "Failed to modify the order as the price doesn't meet the post-only requirement.",
        ),
    }
)
"""By the broker's rule: code, sub-code, text."""


def of_order(rule: str, facts: Mapping[str, str]) -> Refusal:
    """How OKX words a refusal of the broker's."""
    code, sub_code, text = _OF_ORDERS.get(rule, ("51000", "", f"Parameter error: {rule}"))
    return Refusal(code, text.format_map(facts), sub_code=sub_code)
