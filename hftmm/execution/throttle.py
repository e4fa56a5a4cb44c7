"""How much a venue lets us ask: budgets, what its answers say of them, and bans."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from hftmm.core.instrument import Kind, Listing
from hftmm.venues.codec import SECOND
from hftmm.venues.private import PrivateRules

RESERVE: Final = 0.25
"""Share of each budget that only cancels and urgent orders may use."""
PAUSE_NS: Final = 2 * SECOND
"""How long a venue is left alone that said `too many` without saying until when: OKX's window,
the longest of those who do not say."""


class Traffic(Enum):
    """What a request is for, as far as budgets care."""

    ORDER = "order"
    URGENT = "urgent order"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Denial:
    """A request that must wait: why, and until when (our clock, ns)."""

    venue: str
    reason: str
    until_ns: int

    def __str__(self) -> str:
        return f"{self.venue}: {self.reason}"


class Window:
    """Requests of the last `per_ns`.

    The log slides, which is right for rolling windows (Bybit, OKX) and stays below fixed ones
    (Binance): no aligned window holds more than the sliding one of the same length.

    Attributes:
        limit: requests allowed in any `per_ns`.
    """

    __slots__ = ("_sent", "limit", "per_ns")

    def __init__(self, limit: int, per_ns: int) -> None:
        self.limit = limit
        self.per_ns: Final = per_ns
        self._sent: deque[int] = deque()

    def used(self, now_ns: int) -> int:
        """Requests that still count. O(1) a request, amortised."""
        sent = self._sent
        horizon = now_ns - self.per_ns
        while sent and sent[0] <= horizon:
            sent.popleft()
        return len(sent)

    def wait_ns(self, share: float, now_ns: int) -> int:
        """When the next request fits into this share of the limit; `now_ns` if it does now."""
        used = self.used(now_ns)
        allowed = max(1, int(self.limit * share))
        if used < allowed:
            return now_ns
        return self._sent[used - allowed] + self.per_ns

    def take(self, now_ns: int) -> None:
        """A request was sent."""
        self._sent.append(now_ns)

    def told(self, used: int, limit: int, now_ns: int) -> None:
        """The venue says how many it counted, other programs on the account included.

        A count below ours is no news: what is under way has not been counted there yet.
        """
        if limit > 0:
            self.limit = limit
        self._sent.extend([now_ns] * (used - self.used(now_ns)))


class Throttle:
    """The budgets of one venue. Admitting is O(1).

    Orders stop at three quarters of a budget, so that cancels and hedges always find room. After
    a 429, 418, 403 or the venue's own code for them no order leaves until the time it stated;
    cancels do: each one that the venue turns away is sent again at that time, before any order.
    """

    def __init__(self, venue: str, rules: Mapping[Kind, PrivateRules]) -> None:
        self.venue: Final = venue
        self._rules: Final = rules
        self._orders: Final[dict[tuple[Kind, str], Window]] = {}
        self._cancels: Final[dict[tuple[Kind, str], Window]] = {}
        self._weights: Final[dict[str, tuple[int, int, int]]] = {}
        self._halted_until_ns = 0
        self._halted_why = ""

    def admit(self, listing: Listing, traffic: Traffic, now_ns: int) -> Denial | None:
        """Takes a request from the budget, or says what stands against it."""
        cancel = traffic is Traffic.CANCEL
        if not cancel and now_ns < self._halted_until_ns:
            return self._denial(self._halted_why, self._halted_until_ns, now_ns)
        share = 1 - RESERVE if traffic is Traffic.ORDER else 1.0
        if traffic is Traffic.ORDER and (denial := self._too_heavy(now_ns)) is not None:
            return denial
        window = self._window(listing, cancel)
        until_ns = window.wait_ns(share, now_ns)
        if until_ns > now_ns:
            what = "cancels" if cancel else "orders"
            rate = f"{window.used(now_ns)} of {window.limit} {what} in {_span(window.per_ns)}"
            kept = "" if share == 1.0 else ", rest for hedges"
            return self._denial(f"{rate}{kept}", until_ns, now_ns)
        window.take(now_ns)
        return None

    def told_orders(self, listing: Listing, used: int, limit: int, now_ns: int) -> None:
        """A header says how many orders the venue counted of how many; limit 0 if it does not."""
        self._window(listing, cancel=False).told(used, limit, now_ns)

    def told_weight(self, name: str, used: int, limit: int, resets_ns: int, now_ns: int) -> None:
        """A header says how much of a budget of all requests is used; it ends at `resets_ns`."""
        self._weights[name] = (used, limit, max(resets_ns, now_ns))

    def turned_away(self, reason: str, retry_after_ms: int, now_ns: int) -> int:
        """The venue said `too many`; no order leaves before the moment returned.

        Args:
            retry_after_ms: as the venue stated; 0 if it did not.
        """
        wait_ns = retry_after_ms * 1_000_000 or PAUSE_NS
        if now_ns + wait_ns > self._halted_until_ns:
            self._halted_until_ns = now_ns + wait_ns
            self._halted_why = reason
        return self._halted_until_ns

    def halted(self, now_ns: int) -> Denial | None:
        """Why no order leaves now, by word of the venue."""
        if now_ns < self._halted_until_ns:
            return self._denial(self._halted_why, self._halted_until_ns, now_ns)
        return None

    def used(self, now_ns: int) -> float:
        """The fullest budget as a fraction, 1 while the venue turns orders away; for the screen."""
        if now_ns < self._halted_until_ns:
            return 1.0
        windows = (*self._orders.values(), *self._cancels.values())
        shares = [window.used(now_ns) / window.limit for window in windows]
        shares += [
            used / limit for used, limit, end in self._weights.values() if limit and end > now_ns
        ]
        return max(shares, default=0.0)

    def _window(self, listing: Listing, cancel: bool) -> Window:
        rules = self._rules[listing.kind]
        apart = cancel and rules.cancel_budget is not None
        windows = self._cancels if apart else self._orders
        key = (listing.kind, listing.symbol if rules.per_listing else "")
        window = windows.get(key)
        if window is None:
            budget = rules.cancel_budget if apart and rules.cancel_budget else rules.order_budget
            window = windows[key] = Window(*budget)
        return window

    def _too_heavy(self, now_ns: int) -> Denial | None:
        for name, (used, limit, end_ns) in self._weights.items():
            if limit and end_ns > now_ns and used >= limit * (1 - RESERVE):
                return self._denial(f"{name} {used} of {limit}", end_ns, now_ns)
        return None

    def _denial(self, reason: str, until_ns: int, now_ns: int) -> Denial:
        wait = f"{reason}; next in {_span(until_ns - now_ns)}"
        return Denial(self.venue, wait, until_ns)


def _span(ns: int) -> str:
    return f"{ns / SECOND:g} s" if ns >= SECOND else f"{ns / 1e6:.0f} ms"
