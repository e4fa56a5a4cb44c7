"""What the practice Bybit lets a client ask: requests of an address, requests of an account."""

from __future__ import annotations

from collections import deque

import msgspec

from hftmm.sim.bybit.instrument import MILLISECOND

SECOND = 1_000_000_000
CALLS, CALLS_NS = 600, 5 * SECOND
"""Requests an address may make in a rolling window, over all hosts."""

# Requests a second of one account, by endpoint: linear, spot. Requests by REST and by WebSocket
# share a pool; the batch endpoints have their own, from which every order of a batch takes one.
_RATES: dict[str, tuple[int, int]] = {
    "order/create": (10, 20),
    "order/amend": (10, 10),
    "order/cancel": (10, 20),
    "order/cancel-all": (10, 20),
    "order/create-batch": (10, 20),
    "order/amend-batch": (10, 20),
    "order/cancel-batch": (10, 20),
    "order/realtime": (50, 50),
    "order/history": (50, 50),
    "execution/list": (50, 50),
    "order/disconnected-cancel-all": (5, 5),
    "position/list": (50, 50),
    "position/set-leverage": (10, 10),
    "position/switch-mode": (10, 10),
    "account/wallet-balance": (50, 50),
    "account/info": (50, 50),
    "account/fee-rate": (5, 5),
    "account/query-dcp-info": (5, 5),
    "account/transaction-log": (25, 25),
    "user/query-api": (10, 10),
}
_OTHERWISE = (10, 10)


class Window:
    """At most so many in any `span_ns`."""

    def __init__(self, most: int, span_ns: int) -> None:
        self.most = most
        self._span_ns = span_ns
        self._taken: deque[int] = deque()

    def take(self, wanted: int, now_ns: int) -> int:
        """How many of `wanted` are granted; those count."""
        self._forget(now_ns)
        granted = min(wanted, self.most - len(self._taken))
        self._taken.extend([now_ns] * granted)
        return granted

    def left(self, now_ns: int) -> int:
        self._forget(now_ns)
        return self.most - len(self._taken)

    def free_ns(self, now_ns: int) -> int:
        """When there is room again; now if there is."""
        if self.left(now_ns):
            return now_ns
        return self._taken[0] + self._span_ns

    def _forget(self, now_ns: int) -> None:
        while self._taken and self._taken[0] <= now_ns - self._span_ns:
            self._taken.popleft()


class Allowance(msgspec.Struct, frozen=True, gc=False):
    """What an account got of what it asked for.

    Attributes:
        granted: how many orders or requests may go on.
        reset_ns: when there is room again, by the clock the request was timed with.
    """

    granted: int
    limit: int
    left: int
    reset_ns: int

    def headers(self, skew_ns: int) -> dict[str, str]:
        """As REST answers and order acknowledgements carry them."""
        return {
            "X-Bapi-Limit": str(self.limit),
            "X-Bapi-Limit-Status": str(self.left),
            "X-Bapi-Limit-Reset-Timestamp": str((self.reset_ns + skew_ns) // MILLISECOND),
        }


class Budget:
    """The requests a second of every account."""

    def __init__(self) -> None:
        self._windows: dict[tuple[str, str, bool], Window] = {}

    def ask(
        self, account: str, endpoint: str, category: str, now_ns: int, *, wanted: int = 1
    ) -> Allowance:
        """Takes what is wanted as far as there is any.

        Args:
            endpoint: its path below `/v5/`, `order/create`.
        """
        spot = category == "spot"
        window = self._windows.get((account, endpoint, spot))
        if window is None:
            most = _RATES.get(endpoint, _OTHERWISE)[spot]
            window = self._windows[account, endpoint, spot] = Window(most, SECOND)
        granted = window.take(wanted, now_ns)
        return Allowance(granted, window.most, window.left(now_ns), window.free_ns(now_ns))
