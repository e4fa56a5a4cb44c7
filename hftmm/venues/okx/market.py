"""Market frames: depth, best bid and offer, trades, mark price and funding.

Sizes of contracts count contracts. Those of linear swaps are converted to base coins by one
multiplication with `Listing.multiplier`; inverse and dated contracts, which nobody quotes, have
multiplier 1 and stay in contracts.

`seqId` and `prevSeqId` came after 2022. Frames from before have neither and are given -1 for both,
which makes every update follow the one before: there the checksum verifies the book instead.
"""

from __future__ import annotations

import msgspec
import numpy as np

from hftmm.core.events import BookDelta, MarkPrice, TopOfBook, Trade
from hftmm.core.instrument import Listing, Side
from hftmm.venues.decimals import size, ticks
from hftmm.venues.okx.wire import (
    Number,
    answer_rows,
    decoded,
    finite,
    fraction,
    integer,
    nanoseconds,
)

BOOK_DEPTH = 400
"""Levels a side the `books` channel carries; what lies beyond is unknown."""


class Level(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """`[price, size, "0", orders]`; whatever follows the size is ignored."""

    price: str
    size: str


class DepthRow(msgspec.Struct, frozen=True, gc=False):
    """The whole book or its changes; only the levels came in every year."""

    asks: list[Level]
    bids: list[Level]
    ts: Number = None
    seq_id: Number = msgspec.field(name="seqId", default=None)
    prev_seq_id: Number = msgspec.field(name="prevSeqId", default=None)
    checksum: Number = None


class DepthPush(msgspec.Struct, frozen=True, gc=False):
    """One `books` frame."""

    data: list[DepthRow]
    action: str = ""

    @property
    def snapshot(self) -> bool:
        return self.action.startswith("s")


class _TopLevel(msgspec.Struct, frozen=True, gc=False, array_like=True):
    price: float
    size: float


class _TopRow(msgspec.Struct, frozen=True, gc=False):
    asks: list[_TopLevel]
    bids: list[_TopLevel]
    ts: Number = None
    seq_id: Number = msgspec.field(name="seqId", default=None)


class _TopPush(msgspec.Struct, frozen=True, gc=False):
    data: list[_TopRow]


class _TradeRow(msgspec.Struct, frozen=True, gc=False):
    side: Side
    px: float
    sz: float
    trade_id: str = msgspec.field(name="tradeId", default="")
    ts: Number = None


class _TradesPush(msgspec.Struct, frozen=True, gc=False):
    data: list[_TradeRow]


class _MarkRow(msgspec.Struct, frozen=True, gc=False):
    """A row of `mark-price` or of `funding-rate`; each has half of the fields."""

    mark_price: str = msgspec.field(name="markPx", default="")
    funding_rate: str = msgspec.field(name="fundingRate", default="")
    funding_time: Number = msgspec.field(name="fundingTime", default=None)
    ts: Number = None


class _MarkPush(msgspec.Struct, frozen=True, gc=False):
    data: list[_MarkRow]


_depth = msgspec.json.Decoder(DepthPush)
# Not strict: msgspec itself reads the quoted prices and sizes, as correctly rounded doubles.
_top = msgspec.json.Decoder(_TopPush, strict=False)
_trades = msgspec.json.Decoder(_TradesPush, strict=False)
_mark = msgspec.json.Decoder(_MarkPush)
_rest_book = msgspec.json.Decoder(DepthRow)
_EMPTY = _TopLevel(0.0, 0.0)


def depth_push(frame: bytes) -> DepthPush:
    """A `books` frame, its strings untouched."""
    return decoded(_depth, frame)


def depth(listing: Listing, frame: bytes, received_ns: int) -> list[BookDelta]:
    """Deltas of a `books` frame."""
    push = depth_push(frame)
    return [_delta(listing, row, received_ns, snapshot=push.snapshot) for row in push.data]


def rest_book(listing: Listing, body: bytes, received_ns: int) -> list[BookDelta]:
    """The snapshot in an answer of `market/books`."""
    return [
        _delta(listing, decoded(_rest_book, row), received_ns, snapshot=True)
        for row in answer_rows(body)
    ]


def top(listing: Listing, frame: bytes, received_ns: int) -> list[TopOfBook]:
    """Best bid and offer of a `bbo-tbt` frame; its `seqId` is of the book's own chain."""
    multiplier = float(listing.multiplier)
    tops = []
    for row in decoded(_top, frame).data:
        bid = row.bids[0] if row.bids else _EMPTY
        ask = row.asks[0] if row.asks else _EMPTY
        tops.append(
            TopOfBook(
                listing,
                finite(bid.price),
                finite(bid.size) * multiplier,
                finite(ask.price),
                finite(ask.size) * multiplier,
                integer(row.seq_id, -1),
                nanoseconds(row.ts),
                received_ns,
            )
        )
    return tops


def trades(listing: Listing, frame: bytes, received_ns: int) -> list[Trade]:
    """Trades of a `trades` frame; one is what a taker order took at one price."""
    multiplier = float(listing.multiplier)
    return [
        Trade(
            listing,
            finite(row.px),
            finite(row.sz) * multiplier,
            row.side,
            row.trade_id,
            nanoseconds(row.ts),
            received_ns,
        )
        for row in decoded(_trades, frame).data
    ]


def mark(listing: Listing, frame: bytes, received_ns: int) -> list[MarkPrice]:
    """What a `mark-price` or a `funding-rate` frame says, and None for the other half."""
    return [
        MarkPrice(
            listing,
            mark=fraction(row.mark_price),
            index=None,
            funding_rate=fraction(row.funding_rate),
            next_funding_ns=nanoseconds(row.funding_time) or None,
            venue_ns=nanoseconds(row.ts),
            received_ns=received_ns,
        )
        for row in decoded(_mark, frame).data
    ]


def _delta(listing: Listing, row: DepthRow, received_ns: int, *, snapshot: bool) -> BookDelta:
    levels = row.bids + row.asks
    multiplier = float(listing.multiplier)
    decimals = listing.decimals
    final_id = integer(row.seq_id, -1)
    return BookDelta(
        listing=listing,
        tick_buffer=np.array([ticks(level.price, decimals) for level in levels], np.int64),
        size_buffer=np.array([size(level.size) * multiplier for level in levels], np.float64),
        n_bids=len(row.bids),
        count=len(levels),
        first_id=final_id,
        final_id=final_id,
        prev_id=integer(row.prev_seq_id, -1),
        state_id=final_id,
        venue_ns=nanoseconds(row.ts),
        received_ns=received_ns,
        snapshot=snapshot,
        complete=not snapshot or max(len(row.bids), len(row.asks)) < BOOK_DEPTH,
        checksum=integer(row.checksum, 0),
    )
