"""Double entry: every amount that enters an account leaves another one."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from enum import Enum
from typing import Final, TypeAlias

ZERO: Final = Decimal(0)


class Counter(Enum):
    """Where what a wallet gains comes from, and where what it loses goes."""

    OPENING = "opening"
    TRADING = "trading"
    FEES = "fees"
    FUNDING = "funding"
    ADJUSTMENT = "adjustment"


Account: TypeAlias = tuple[str, str | Counter, str]
"""One column of the ledger, (venue, wallet or counter account, asset): a plain tuple, as the review
of each order looks one up.
"""


class Ledger:
    """Balances by account. A posting is O(1); every asset sums to zero over all accounts."""

    def __init__(self) -> None:
        self._balances: Final[dict[Account, Decimal]] = {}

    def post(self, venue: str, wallet: str, asset: str, amount: Decimal, why: Counter) -> None:
        """A wallet gains an amount, which the counter account loses; negative is the reverse."""
        if amount:
            balances = self._balances
            own: Account = (venue, wallet, asset)
            other: Account = (venue, why, asset)
            balances[own] = balances.get(own, ZERO) + amount
            balances[other] = balances.get(other, ZERO) - amount

    def balance(self, venue: str, wallet: str, asset: str) -> Decimal:
        """What a wallet holds."""
        return self._balances.get((venue, wallet, asset), ZERO)

    def total(self, why: Counter, venue: str, asset: str) -> Decimal:
        """What wallets of a venue gained for a reason; negative is a loss."""
        return -self._balances.get((venue, why, asset), ZERO)

    def wallets(self) -> Iterator[tuple[str, str, str, Decimal]]:
        """Venue, wallet, asset, and what is there."""
        for (venue, wallet, asset), balance in self._balances.items():
            if isinstance(wallet, str):
                yield venue, wallet, asset, balance

    def _check(self) -> None:
        """Every asset sums to zero."""
        sums: dict[str, Decimal] = {}
        for (_, _, asset), balance in self._balances.items():
            sums[asset] = sums.get(asset, ZERO) + balance
        assert not any(sums.values()), sums
