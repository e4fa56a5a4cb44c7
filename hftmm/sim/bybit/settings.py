"""The terms of the practice Bybit, and what a client sets for its account."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from hftmm.core.fees import FeeRates
from hftmm.core.instrument import Kind
from hftmm.sim.bybit.answers import Refused
from hftmm.sim.filters import Rules

BAND = Decimal("0.05")
"""How far from the mark, on spot the index, a price may be."""
FEES = {
    Kind.SPOT: FeeRates(Decimal(10), Decimal(10)),
    Kind.LINEAR: FeeRates(Decimal(2), Decimal("5.5")),
}
"""Of an account that has no discounts."""
RULES = {
    Kind.SPOT: Rules(band=BAND, max_lots=10**9, max_orders=500, client_ids="ever"),
    Kind.LINEAR: Rules(band=BAND, max_lots=10**6, max_orders=500, client_ids="ever"),
}
PRODUCTS = {"SPOT": "spot", "DERIVATIVES": "linear"}
"""What the dead-man switch calls the categories; options, its default, are not traded here."""
DCP_S = 10
"""Seconds an account may be without its connections before its orders are canceled."""


class Settings(msgspec.Struct):
    """Settings of one account.

    Attributes:
        adjusts: by category: True moves a price outside the band to its edge, False refuses it.
        dcp_s: seconds until the dead-man switch cancels, by product.
    """

    adjusts: dict[str, bool] = msgspec.field(
        default_factory=lambda: {"spot": False, "linear": True}
    )
    dcp_s: dict[str, int] = msgspec.field(default_factory=lambda: dict.fromkeys(PRODUCTS, DCP_S))

    def set_dcp(self, product: str, seconds: object) -> None:
        """Raises Refused outside 3 to 300 seconds, and for a product that is not traded."""
        if product not in PRODUCTS:
            raise Refused(10001, "params error: product invalid")
        if isinstance(seconds, bool) or not isinstance(seconds, int) or not 3 <= seconds <= 300:
            raise Refused(10001, "params error: timeWindow invalid")
        self.dcp_s[product] = seconds
