"""Listen keys of USD-M: what names a user data stream, for an hour at a time."""

from __future__ import annotations

import random
import string
from dataclasses import dataclass

from hftmm.sim.binance.errors import NO_LISTEN_KEY, ApiError

LIFETIME_NS = 60 * 60 * 1_000_000_000
_LENGTH = 64
_ALPHABET = string.ascii_letters + string.digits


@dataclass(slots=True)
class _Lease:
    account: str
    until_ns: int


class ListenKeys:
    """At most one key an account."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._leases: dict[str, _Lease] = {}

    def open(self, account: str, now_ns: int) -> str:
        """The account's key, made if there is none; either way it lasts an hour from now."""
        key = self.of(account)
        if key is None:
            key = "".join(self._rng.choices(_ALPHABET, k=_LENGTH))
        self._leases[key] = _Lease(account, now_ns + LIFETIME_NS)
        return key

    def extend(self, account: str, now_ns: int) -> str:
        """The account's key, another hour.

        Raises:
            ApiError: it has none (any more).
        """
        key = self.of(account)
        if key is None:
            raise ApiError(*NO_LISTEN_KEY)
        return self.open(account, now_ns)

    def close(self, account: str) -> None:
        """Ends the account's key. Raises ApiError if it has none."""
        key = self.of(account)
        if key is None:
            raise ApiError(*NO_LISTEN_KEY)
        del self._leases[key]

    def of(self, account: str) -> str | None:
        """The account's key, None if it has none."""
        return next((k for k, lease in self._leases.items() if lease.account == account), None)

    def expire(self, now_ns: int) -> list[str]:
        """Keys whose hour is over; they are gone."""
        over = [key for key, lease in self._leases.items() if lease.until_ns <= now_ns]
        for key in over:
            del self._leases[key]
        return over
