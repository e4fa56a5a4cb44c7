"""Fee rates, and prices after fees."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

BPS = 10_000.0


@dataclass(frozen=True, slots=True)
class FeeRates:
    """Fees of one market at one venue, basis points of notional; a rebate is negative."""

    maker_bps: Decimal
    taker_bps: Decimal

    @property
    def taker(self) -> float:
        """Taker fee as a fraction of notional."""
        return float(self.taker_bps) / BPS

    @property
    def maker(self) -> float:
        """Maker fee as a fraction of notional."""
        return float(self.maker_bps) / BPS


NO_FEES = FeeRates(Decimal(0), Decimal(0))
