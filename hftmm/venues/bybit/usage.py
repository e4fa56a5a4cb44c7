"""What Bybit counts of us, as the headers of its REST answers tell it."""

from __future__ import annotations

from collections.abc import Mapping

from hftmm.venues.usage import Usage

_ORDERS = "/v5/order/"


def told(method: str, path: str, headers: Mapping[str, str], now_ms: int) -> list[Usage]:
    """The budget of an order request. Queries have budgets of their own, which hold up no order."""
    limit, left = headers.get("x-bapi-limit", ""), headers.get("x-bapi-limit-status", "")
    resets = headers.get("x-bapi-limit-reset-timestamp", "")
    told_all = limit.isdecimal() and left.isdecimal() and resets.isdecimal()
    if method != "POST" or not path.startswith(_ORDERS) or not told_all:
        return []
    name = f"{path.removeprefix(_ORDERS)} requests a second"
    # The moment is one to come only while the budget is used up.
    return [Usage(name, max(0, int(limit) - int(left)), int(limit), max(0, int(resets) - now_ms))]
