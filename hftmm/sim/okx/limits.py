"""How often OKX may be asked: sliding windows, no headers, one code when they are full."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping
from types import MappingProxyType

from hftmm.sim.okx.refusal import Refusal, too_many_requests
from hftmm.venues.codec import SECOND

WINDOW_NS = 2 * SECOND

SINGLE = 60
"""Place, amend and cancel, each in a bucket of its own, by user and instrument."""
BATCH = 300
"""Orders in batches of the same three, by user and instrument."""
SUB_ACCOUNT = 1000
"""New and amended swap orders of one account; spot is exempt and cancels are not counted."""

ENDPOINTS: Mapping[tuple[str, str], tuple[int, int]] = MappingProxyType(
    {
        ("GET", "trade/order"): (60, WINDOW_NS),
        ("GET", "trade/orders-pending"): (60, WINDOW_NS),
        ("GET", "trade/orders-history"): (40, WINDOW_NS),
        ("GET", "trade/orders-history-archive"): (20, WINDOW_NS),
        ("GET", "trade/fills"): (60, WINDOW_NS),
        ("GET", "trade/fills-history"): (10, WINDOW_NS),
        ("POST", "trade/cancel-all-after"): (1, SECOND),
        ("GET", "account/config"): (5, WINDOW_NS),
        ("GET", "account/balance"): (10, WINDOW_NS),
        ("GET", "account/positions"): (10, WINDOW_NS),
        ("GET", "account/trade-fee"): (5, WINDOW_NS),
        ("GET", "account/instruments"): (20, WINDOW_NS),
        ("GET", "account/leverage-info"): (20, WINDOW_NS),
        ("GET", "account/max-size"): (20, WINDOW_NS),
        ("GET", "account/bills"): (5, SECOND),
        ("POST", "account/set-leverage"): (20, WINDOW_NS),
        ("POST", "account/set-position-mode"): (5, WINDOW_NS),
        ("GET", "asset/currencies"): (12, WINDOW_NS),
    }
)
"""Private calls other than orders: how many in how long, by user."""


class Limits:
    """Counts what was asked, for each bucket, over the last while."""

    def __init__(self) -> None:
        self._spent: dict[Hashable, deque[tuple[int, int]]] = {}

    def spend(
        self, bucket: Hashable, cost: int, most: int, now_ns: int, window_ns: int = WINDOW_NS
    ) -> bool:
        """True if it fitted, and then it counts; what did not fit costs nothing."""
        spent = self._spent.setdefault(bucket, deque())
        while spent and spent[0][0] <= now_ns - window_ns:
            spent.popleft()
        if sum(count for _, count in spent) + cost > most:
            return False
        spent.append((now_ns, cost))
        return True

    def call(self, user: str, method: str, path: str, now_ns: int) -> None:
        """One private call that is not an order.

        Raises:
            Refusal: the user calls it too often.
        """
        limit = ENDPOINTS.get((method, path))
        if limit and not self.spend((user, method, path), 1, limit[0], now_ns, limit[1]):
            raise too_many_requests()

    def order(self, user: str, action: str, instrument: str, swap: bool, now_ns: int) -> None:
        """One order of `action` `order`, `amend-order`, `cancel-order`, or one of a batch of them.

        Raises:
            Refusal: 50011, the bucket is full; 50061, the account's is.
        """
        batch = action.startswith("batch-")
        if not self.spend((user, action, instrument), 1, BATCH if batch else SINGLE, now_ns):
            raise too_many_requests()
        if (
            swap
            and "cancel" not in action
            and not self.spend((user, "sub-account"), 1, SUB_ACCOUNT, now_ns)
        ):
            raise Refusal(
                "50061",
                "Sub-account exceeds the maximum number of new and amended orders in 2 seconds.",
            )
