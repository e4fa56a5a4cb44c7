"""What orders on their way and in the book hold of each wallet, before the venue tells."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple

ZERO: Final = Decimal(0)


class Wallet(NamedTuple):
    """One asset in one wallet of a venue."""

    venue: str
    wallet: str
    asset: str


class Reservations:
    """Amounts held by order. Every change and question is O(1).

    `fresh` are those made since the venue last told what is available: it cannot have counted
    them yet.
    """

    def __init__(self) -> None:
        self._held: Final[dict[str, tuple[Wallet, Decimal, int]]] = {}
        self._sums: Final[dict[Wallet, Decimal]] = {}
        self._fresh: Final[dict[Wallet, Decimal]] = {}
        self._epochs: Final[dict[Wallet, int]] = {}

    def hold(self, client_id: str, wallet: Wallet, amount: Decimal) -> None:
        """An order holds this much now; 0 frees it."""
        known = self._held.pop(client_id, None)
        epoch = self._epochs.get(wallet, 0)
        if known is not None:
            before, held, since = known
            self._sums[before] -= held
            if since == self._epochs.get(before, 0):
                self._fresh[before] -= held
            # What grew since is as fresh as the order; what shrank keeps its age.
            epoch = since if amount <= held else epoch
        if amount > ZERO:
            self._held[client_id] = (wallet, amount, epoch)
            self._sums[wallet] = self._sums.get(wallet, ZERO) + amount
            if epoch == self._epochs.get(wallet, 0):
                self._fresh[wallet] = self._fresh.get(wallet, ZERO) + amount

    def told(self, wallet: Wallet) -> None:
        """The venue told what is available: what is held by now it has counted."""
        self._epochs[wallet] = self._epochs.get(wallet, 0) + 1
        self._fresh[wallet] = ZERO

    def total(self, wallet: Wallet) -> Decimal:
        """Held by all orders."""
        return self._sums.get(wallet, ZERO)

    def fresh(self, wallet: Wallet) -> Decimal:
        """Held by orders that the venue had not counted when it last told."""
        return self._fresh.get(wallet, ZERO)

    def _check(self) -> None:
        for wallet, total in self._sums.items():
            held = [entry for entry in self._held.values() if entry[0] == wallet]
            assert total == sum((amount for _, amount, _ in held), ZERO), wallet
            fresh = [amount for _, amount, since in held if since == self._epochs.get(wallet, 0)]
            assert self.fresh(wallet) == sum(fresh, ZERO), wallet
