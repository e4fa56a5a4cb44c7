"""How long a venue's silence may last before it means something."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from hftmm.venues.codec import MILLISECOND, SECOND

_PAUSES: Final = (200 * MILLISECOND, 500 * MILLISECOND, 1 * SECOND, 2 * SECOND)


@dataclass(frozen=True, slots=True)
class SettlePolicy:
    """Patience with one venue.

    Attributes:
        answer_within_ns: a request without an answer for longer is unknown.
        confirm_within_ns: an ack that no stream confirms for longer is asked about.
        fills_within_ns: how long fills may lag behind the cumulative that counts them.
        absent_ns: an order that two queries this far apart do not find is not there.
        retry_within_ns: an order refused for its time stamp is sent again if it is not older.
        reconcile_within_ns: how long a reconnect has to settle orders by one list.
        overlap_ns: how far before the last known fill missed ones are looked for.
        keep_ns: how long a final order is kept for what is told late.
        patience: questions for missing fills after which a person is told.
    """

    answer_within_ns: int = 3 * SECOND
    confirm_within_ns: int = 1 * SECOND
    fills_within_ns: int = 500 * MILLISECOND
    absent_ns: int = 10 * SECOND
    retry_within_ns: int = 1 * SECOND
    reconcile_within_ns: int = 5 * SECOND
    overlap_ns: int = 60 * SECOND
    keep_ns: int = 900 * SECOND
    patience: int = 4

    def pause_ns(self, asked: int) -> int:
        """Before the next question, longer each time."""
        return _PAUSES[min(asked, len(_PAUSES) - 1)]


DEFAULT: Final = SettlePolicy()

POLICIES: Final[Mapping[str, SettlePolicy]] = MappingProxyType(
    {
        # Binance may work on a request for 10 s, and its queries answer from a copy that lags.
        "binance": SettlePolicy(absent_ns=10 * SECOND),
        # Bybit takes a request no later than its receive window, 5 s, after its stamp.
        "bybit": SettlePolicy(absent_ns=6 * SECOND),
        # OKX: query again after 1 to 2 s, counted from when a request can no longer arrive.
        "okx": SettlePolicy(absent_ns=5 * SECOND),
    }
)
