"""The checksum of a book, as OKX sent it until June 2026; since then it is always 0."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from heapq import nlargest, nsmallest

from hftmm.venues.decimals import size
from hftmm.venues.okx.market import Level, depth_push
from hftmm.venues.okx.wire import integer

_LEVELS = 25


class ChecksumAudit:
    """One book in the venue's own strings, and the CRC32 over its best 25 levels a side."""

    def __init__(self) -> None:
        # By value, not by text: a level is the same one however its price is written.
        self._bids: dict[float, str] = {}
        self._asks: dict[float, str] = {}

    def check(self, frame: bytes) -> bool:
        """Takes every depth frame of the book in order; True where the frame has no checksum."""
        push = depth_push(frame)
        if push.snapshot:
            self._bids.clear()
            self._asks.clear()
        sent = 0
        for row in push.data:
            _apply(self._bids, row.bids)
            _apply(self._asks, row.asks)
            sent = integer(row.checksum, 0)
        return sent == 0 or sent == self.checksum()

    def checksum(self) -> int:
        """Of the book as it stands.

        Best bid, best ask, second bid, second ask and so on, each as `price:size` exactly as
        received, joined by colons; a side that has run out of levels is passed over. OKX sends
        the CRC32 of that text as a signed integer.
        """
        bids = [self._bids[price] for price in nlargest(_LEVELS, self._bids)]
        asks = [self._asks[price] for price in nsmallest(_LEVELS, self._asks)]
        levels = [side[k] for k in range(_LEVELS) for side in (bids, asks) if k < len(side)]
        unsigned = zlib.crc32(":".join(levels).encode())
        return unsigned - 2**32 if unsigned >= 2**31 else unsigned


def _apply(side: dict[float, str], levels: Sequence[Level]) -> None:
    for level in levels:
        price = size(level.price)
        if size(level.size):
            side[price] = f"{level.price}:{level.size}"
        else:
            side.pop(price, None)
