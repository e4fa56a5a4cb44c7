"""Depth levels as they are sent, to the grid of a listing."""

from __future__ import annotations

import numpy as np

from hftmm.core.events import BookDelta, Sizes, Ticks
from hftmm.core.instrument import Listing
from hftmm.venues.binance.wire import DepthUpdate, Level, Snapshot
from hftmm.venues.codec import MILLISECOND
from hftmm.venues.decimals import size, ticks


def _arrays(listing: Listing, bids: list[Level], asks: list[Level]) -> tuple[Ticks, Sizes]:
    levels = [*bids, *asks]
    decimals = listing.decimals
    return (
        np.array([ticks(level.price, decimals) for level in levels], dtype=np.int64),
        np.array([size(level.size) for level in levels], dtype=np.float64),
    )


def update(listing: Listing, depth: DepthUpdate, received_ns: int) -> BookDelta:
    """A diff depth event. USD-M stamps the matching engine's time in `T`; spot only sends `E`."""
    tick_buffer, size_buffer = _arrays(listing, depth.b, depth.a)
    return BookDelta(
        listing=listing,
        tick_buffer=tick_buffer,
        size_buffer=size_buffer,
        n_bids=len(depth.b),
        count=len(tick_buffer),
        first_id=depth.U,
        final_id=depth.u,
        prev_id=depth.pu,
        state_id=depth.u,
        venue_ns=(depth.T or depth.E) * MILLISECOND,
        received_ns=received_ns,
    )


def snapshot(listing: Listing, book: Snapshot, limit: int, received_ns: int) -> BookDelta:
    """A REST snapshot asked for with `limit`: a side that came back full was cut there."""
    tick_buffer, size_buffer = _arrays(listing, book.bids, book.asks)
    return BookDelta(
        listing=listing,
        tick_buffer=tick_buffer,
        size_buffer=size_buffer,
        n_bids=len(book.bids),
        count=len(tick_buffer),
        first_id=book.lastUpdateId,
        final_id=book.lastUpdateId,
        prev_id=-1,
        state_id=book.lastUpdateId,
        venue_ns=book.T * MILLISECOND,
        received_ns=received_ns,
        snapshot=True,
        complete=len(book.bids) < limit and len(book.asks) < limit,
    )
