"""Rate limits: fixed windows aligned to the clock, headers, 429 and the ban that follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from hftmm.sim.binance.errors import ApiError

SECOND: Final = 1_000_000_000
MINUTE: Final = 60 * SECOND
DAY: Final = 86_400 * SECOND

IGNORED_BEFORE_BAN: Final = 50
"""Requests refused with 429 in one window after which the address is banned."""
BAN_NS: Final = 2 * MINUTE

_LETTERS: Final = {"SECOND": "S", "MINUTE": "M", "DAY": "D"}
_LENGTHS: Final = {"SECOND": SECOND, "MINUTE": MINUTE, "DAY": DAY}


@dataclass(slots=True)
class Window:
    """A counter that begins anew at every multiple of its length."""

    kind: str
    interval: str
    number: int
    limit: int
    _count: int = 0
    _period: int = -1

    @property
    def length_ns(self) -> int:
        return _LENGTHS[self.interval] * self.number

    @property
    def suffix(self) -> str:
        """As headers name it: `10S`."""
        return f"{self.number}{_LETTERS[self.interval]}"

    def count(self, now_ns: int) -> int:
        period = now_ns // self.length_ns
        if period != self._period:
            self._period, self._count = period, 0
        return self._count

    def add(self, amount: int, now_ns: int) -> int:
        self._count = max(0, self.count(now_ns) + amount)
        return self._count

    def left_ns(self, now_ns: int) -> int:
        """Time until the count begins anew."""
        return self.length_ns - now_ns % self.length_ns

    def shown(self, now_ns: int) -> dict[str, Any]:
        """As `rateLimits` of a WebSocket API answer lists it."""
        return {**self.described(), "count": self.count(now_ns)}

    def described(self) -> dict[str, Any]:
        """As `exchangeInfo` lists it."""
        return {
            "rateLimitType": self.kind,
            "interval": self.interval,
            "intervalNum": self.number,
            "limit": self.limit,
        }


WEIGHT: Final = {"spot": 6000, "linear": 2400}


class Limits:
    """What one address and one account used up in one market."""

    def __init__(self, market: str) -> None:
        self.weight = Window("REQUEST_WEIGHT", "MINUTE", 1, WEIGHT[market])
        if market == "spot":
            self.orders = [
                Window("ORDERS", "SECOND", 10, 100),
                Window("ORDERS", "DAY", 1, 200_000),
            ]
        else:
            self.orders = [
                Window("ORDERS", "SECOND", 10, 300),
                Window("ORDERS", "MINUTE", 1, 1200),
            ]
        self._refused = Window("REFUSED", "MINUTE", 1, IGNORED_BEFORE_BAN)
        self._banned_until_ns = 0

    def admit(self, weight: int, now_ns: int) -> None:
        """Counts a request before it is answered.

        Raises:
            ApiError: 429, or 418 for a client that went on regardless. `data` says when to return.
        """
        if now_ns < self._banned_until_ns:
            raise self._ban(now_ns)
        if self.weight.add(weight, now_ns) <= self.weight.limit:
            return
        if self._refused.add(1, now_ns) > self._refused.limit:
            self._banned_until_ns = now_ns + BAN_NS
            raise self._ban(now_ns)
        text = (
            f"Too much request weight used; current limit is {self.weight.limit} request weight "
            "per 1 MINUTE. Please use WebSocket Streams for live updates to avoid polling the API."
        )
        raise LimitError(429, -1003, text, now_ns + self.weight.left_ns(now_ns))

    def admit_order(self, now_ns: int) -> None:
        """Raises ApiError if one order more would be one too many; counts nothing."""
        for window in self.orders:
            if window.count(now_ns) >= window.limit:
                every = f"{window.number} {window.interval}"
                text = f"Too many new orders; current limit is {window.limit} orders per {every}."
                raise LimitError(429, -1015, text, now_ns + window.left_ns(now_ns))

    def count_orders(self, amount: int, now_ns: int) -> None:
        """Adds new orders, or takes back one that has begun to fill."""
        for window in self.orders:
            window.add(amount, now_ns)

    def order_headers(self, now_ns: int) -> dict[str, str]:
        return {f"X-MBX-ORDER-COUNT-{w.suffix}": str(w.count(now_ns)) for w in self.orders}

    def shown(self, now_ns: int, *, orders: bool) -> list[dict[str, Any]]:
        """`rateLimits` of a WebSocket API answer."""
        windows = [*self.orders, self.weight] if orders else [self.weight]
        return [window.shown(now_ns) for window in windows]

    def _ban(self, now_ns: int) -> LimitError:
        until_ms = self._banned_until_ns // 1_000_000
        text = (
            f"Way too much request weight used; IP banned until {until_ms}. Please use WebSocket "
            "Streams for live updates to avoid bans."
        )
        return LimitError(418, -1003, text, self._banned_until_ns)


class LimitError(ApiError):
    """Too much was asked; `until_ns` is when to ask again."""

    def __init__(self, status: int, code: int, text: str, until_ns: int) -> None:
        super().__init__(status, code, text)
        self.until_ns = until_ns
