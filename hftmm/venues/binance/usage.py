"""What Binance counts of us, as the headers of its REST answers tell it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hftmm.venues.usage import Usage

_BUDGETS: Final[Mapping[str, tuple[tuple[str, str, int, int], ...]]] = {
    "spot": (
        ("x-mbx-used-weight-1m", "weight a minute", 6_000, 60_000),
        ("x-mbx-order-count-10s", "orders in 10 s", 100, 10_000),
        ("x-mbx-order-count-1d", "orders a day", 200_000, 86_400_000),
    ),
    "linear": (
        ("x-mbx-used-weight-1m", "weight a minute", 2_400, 60_000),
        ("x-mbx-order-count-10s", "orders in 10 s", 300, 10_000),
        ("x-mbx-order-count-1m", "orders a minute", 1_200, 60_000),
    ),
}
"""By market: header, name, limit, and milliseconds."""


def told(market: str, headers: Mapping[str, str], now_ms: int) -> list[Usage]:
    """Every budget that is in the headers. Windows are aligned to the clock."""
    found = []
    for header, name, limit, per_ms in _BUDGETS.get(market, ()):
        used = headers.get(header, "")
        # USD-M answers requests that weigh nothing with -1.
        if used.isdecimal():
            found.append(Usage(f"{market} {name}", int(used), limit, per_ms - now_ms % per_ms))
    return found
