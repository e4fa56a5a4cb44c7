"""Instruments of the practice venues, on integer grids."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from hftmm.core.instrument import Kind


@dataclass(frozen=True, slots=True)
class Spec:
    """One instrument at one practice venue.

    Attributes:
        tick: price step; a price is `ticks * tick`.
        lot: size step in base coins; a size is `lots * lot` base coins.
        contract: base coins in one unit of the venue's own size (OKX swaps: ctVal), else 1.
        code: the venue's numeric id of the instrument (OKX instIdCode).
    """

    venue: str
    kind: Kind
    symbol: str
    venue_symbol: str
    base: str
    quote: str
    tick: Decimal
    lot: Decimal
    min_size: Decimal
    min_notional: Decimal
    contract: Decimal = Decimal(1)
    code: int = 0

    def price(self, ticks: int) -> str:
        """The price as the venue writes it: plain decimal, on the tick's decimals."""
        return f"{self.tick * ticks:f}"

    def size(self, lots: int) -> str:
        """The size in the venue's own unit, plain decimal."""
        return f"{(self.lot * lots / self.contract).normalize():f}"
