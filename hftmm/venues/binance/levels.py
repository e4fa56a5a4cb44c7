"""Depth levels as they are sent, to the grid of a listing."""

from __future__ import annotations

import re

import numpy as np

from hftmm.core.errors import MalformedFrame
from hftmm.core.events import BookDelta, Sizes, Ticks
from hftmm.core.instrument import Listing
from hftmm.venues.binance.wire import DepthUpdate, Level, Snapshot
from hftmm.venues.codec import MILLISECOND

_is_plain = re.compile(r"[0-9]+(?:\.[0-9]+)?").fullmatch
_MOST_DIGITS = 18  # any 18-digit number fits an int64


def ticks_of(price: str, decimals: int) -> int:
    """A plain decimal string as a whole number of 10**-decimals.

    Raises:
        MalformedFrame: it is no plain decimal, not on the grid, or larger than an int64 holds.
    """
    if not _is_plain(price):
        raise MalformedFrame("not a number", price[:40])
    whole, _, fraction = price.partition(".")
    if len(fraction) > decimals:
        if fraction[decimals:].strip("0"):
            raise MalformedFrame("off-grid price", price[:40])
        fraction = fraction[:decimals]
    digits = (whole + fraction.ljust(decimals, "0")).lstrip("0")
    if len(digits) > _MOST_DIGITS:
        raise MalformedFrame("number out of range", price[:40])
    return int(digits or "0")


def size_of(size: str) -> float:
    """A plain decimal string as the nearest double.

    Raises:
        MalformedFrame: it is no plain decimal, or too large for a double.
    """
    if not _is_plain(size):
        raise MalformedFrame("not a number", size[:40])
    value = float(size)
    if value == float("inf"):
        raise MalformedFrame("number out of range", size[:40])
    return value


def _arrays(listing: Listing, bids: list[Level], asks: list[Level]) -> tuple[Ticks, Sizes]:
    levels = [*bids, *asks]
    decimals = listing.decimals
    ticks = np.array([ticks_of(level.price, decimals) for level in levels], dtype=np.int64)
    sizes = np.array([size_of(level.size) for level in levels], dtype=np.float64)
    return ticks, sizes


def update(listing: Listing, depth: DepthUpdate, received_ns: int) -> BookDelta:
    """A diff depth event. USD-M stamps the matching engine's time in `T`; spot only sends `E`."""
    ticks, sizes = _arrays(listing, depth.b, depth.a)
    return BookDelta(
        listing=listing,
        tick_buffer=ticks,
        size_buffer=sizes,
        n_bids=len(depth.b),
        count=len(ticks),
        first_id=depth.U,
        final_id=depth.u,
        prev_id=depth.pu,
        state_id=depth.u,
        venue_ns=(depth.T or depth.E) * MILLISECOND,
        received_ns=received_ns,
    )


def _off_grid(level: Level, decimals: int) -> bool:
    rest = level.price.partition(".")[2][decimals:].strip("0")
    return rest.isdecimal() and _is_plain(level.price) is not None


def snapshot(listing: Listing, book: Snapshot, limit: int, received_ns: int) -> BookDelta:
    """A REST snapshot asked for with `limit`: a side that came back full was cut there.

    Orders placed before the venue coarsened the tick keep their price. Such levels, far from the
    touch, are left out here: the book's grid has no place for them, and without this a listing
    with one of them would never have a book.
    """
    decimals = listing.decimals
    bids = [level for level in book.bids if not _off_grid(level, decimals)]
    asks = [level for level in book.asks if not _off_grid(level, decimals)]
    ticks, sizes = _arrays(listing, bids, asks)
    return BookDelta(
        listing=listing,
        tick_buffer=ticks,
        size_buffer=sizes,
        n_bids=len(bids),
        count=len(ticks),
        first_id=book.lastUpdateId,
        final_id=book.lastUpdateId,
        prev_id=-1,
        state_id=book.lastUpdateId,
        venue_ns=book.T * MILLISECOND,
        received_ns=received_ns,
        snapshot=True,
        complete=len(book.bids) < limit and len(book.asks) < limit,
    )
