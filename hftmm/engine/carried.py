"""Positions that nobody is to hedge: what was there before, and what the operator traded."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

ZERO: Final = Decimal(0)


class Carried:
    """Base coins by market, over all venues; negative is short."""

    def __init__(self) -> None:
        self._amounts: Final[dict[str, Decimal]] = {}

    def set(self, symbol: str, amount: Decimal) -> None:
        """All of it."""
        self._amounts[symbol] = amount

    def add(self, symbol: str, amount: Decimal) -> None:
        """More of it."""
        self._amounts[symbol] = self._amounts.get(symbol, ZERO) + amount

    def flattened(self, symbol: str, amount: Decimal) -> Decimal:
        """A flattening order traded this much: it closes what is carried first.

        Returns:
            What is left of the trade, which closed what strategies held.
        """
        carried = self._amounts.get(symbol, ZERO)
        closed = (
            max(-carried, min(amount, ZERO)) if carried > 0 else min(-carried, max(amount, ZERO))
        )
        self.add(symbol, closed)
        return amount - closed
