"""Bybit market frames: books, best quotes, trades, mark prices.

The functions raise `MalformedFrame` for a number that is none, its subclass `OffGrid` for a price
off the grid, and msgspec's own errors for a frame of another shape.
"""

from __future__ import annotations

from math import isfinite
from typing import Annotated

import msgspec
import numpy as np

from hftmm.core.errors import MalformedFrame
from hftmm.core.events import BookDelta, MarketEvent, MarkPrice, TopOfBook, Trade
from hftmm.core.instrument import Listing, Side
from hftmm.venues.codec import MILLISECOND
from hftmm.venues.decimals import size, ticks

_SIDES: dict[str, Side] = {"Buy": "buy", "Sell": "sell"}


class _Level(msgspec.Struct, array_like=True, gc=False):
    price: str
    size: str


_Id = Annotated[int, msgspec.Meta(ge=-1, le=2**63 - 1)]


class _Rows(msgspec.Struct, gc=False):
    # Both sides are required: a frame whose side went missing must not pass for an empty change.
    b: list[_Level]
    a: list[_Level]
    u: _Id
    seq: _Id = -1


class _DepthFrame(msgspec.Struct, gc=False):
    type: str
    data: _Rows
    ts: _Id = 0


class _RawRows(msgspec.Struct, gc=False):
    b: list[list[str]]
    a: list[list[str]]


class _RawFrame(msgspec.Struct, gc=False):
    data: _RawRows


class _RestRows(_Rows, gc=False):
    ts: _Id = 0


class _Touch(msgspec.Struct, array_like=True, gc=False):
    price: float
    size: float


class _Tops(msgspec.Struct, gc=False):
    b: list[_Touch]
    a: list[_Touch]
    seq: _Id = -1


class _TopFrame(msgspec.Struct, gc=False):
    type: str
    data: _Tops
    ts: _Id = 0


class _Match(msgspec.Struct, gc=False):
    ms: int = msgspec.field(name="T")
    side: str = msgspec.field(name="S")
    size: float = msgspec.field(name="v")
    price: float = msgspec.field(name="p")
    id: str = msgspec.field(name="i")


class _TradeFrame(msgspec.Struct, gc=False):
    data: list[_Match]


class _Ticker(msgspec.Struct, gc=False):
    mark: str = msgspec.field(name="markPrice", default="")
    index: str = msgspec.field(name="indexPrice", default="")
    funding_rate: str = msgspec.field(name="fundingRate", default="")
    next_funding: str = msgspec.field(name="nextFundingTime", default="")


class _TickerFrame(msgspec.Struct, gc=False):
    data: _Ticker
    ts: int = 0


# Lax: the venue quotes its decimals, and whether it quotes an id carries no meaning.
_depth = msgspec.json.Decoder(_DepthFrame, strict=False)
_rest_book = msgspec.json.Decoder(_RestRows, strict=False)
_raw = msgspec.json.Decoder(_RawFrame)
_top = msgspec.json.Decoder(_TopFrame, strict=False)
_trades = msgspec.json.Decoder(_TradeFrame, strict=False)
_ticker = msgspec.json.Decoder(_TickerFrame, strict=False)


def decode_depth(listing: Listing, depth: int, frame: bytes, received_ns: int) -> BookDelta:
    """A frame of `orderbook.{depth}`; a snapshot with a side that long is cut off there."""
    message = _depth.decode(frame)
    rows = message.data
    snapshot = message.type.startswith("s")
    # A delta that begins the book anew (update id 1) does not say that it is the whole of it.
    complete = max(len(rows.b), len(rows.a)) < depth if snapshot else rows.u != 1
    return _delta(listing, rows, message.ts, received_ns, snapshot=snapshot, complete=complete)


def decode_rest_book(listing: Listing, result: msgspec.Raw, received_ns: int) -> BookDelta:
    """The result of `/v5/market/orderbook`, which does not say at what depth it was cut."""
    book = _rest_book.decode(result)
    return _delta(listing, book, book.ts, received_ns, snapshot=True, complete=False)


def decode_rows(frame: bytes) -> tuple[list[list[str]], list[list[str]]]:
    """Bid and ask levels of a depth frame exactly as sent."""
    levels = _raw.decode(frame).data
    return levels.b, levels.a


def _delta(
    listing: Listing,
    rows: _Rows,
    venue_ms: int,
    received_ns: int,
    *,
    snapshot: bool,
    complete: bool,
) -> BookDelta:
    levels = rows.b + rows.a
    decimals = listing.decimals
    return BookDelta(
        listing=listing,
        tick_buffer=np.array([ticks(row.price, decimals) for row in levels], dtype=np.int64),
        size_buffer=np.array([size(row.size) for row in levels], dtype=np.float64),
        n_bids=len(rows.b),
        count=len(levels),
        first_id=rows.u,
        final_id=rows.u,
        prev_id=-1,
        state_id=rows.seq,
        venue_ns=venue_ms * MILLISECOND,
        received_ns=received_ns,
        snapshot=snapshot,
        complete=complete,
    )


def decode_top(listing: Listing, frame: bytes, received_ns: int) -> list[MarketEvent]:
    """A frame of `orderbook.1`, which replaces both sides."""
    message = _top.decode(frame)
    # Until March 2025 this topic sent deltas, whose absent side meant "unchanged".
    if message.type != "snapshot":
        return []
    tops = message.data
    bid, bid_size = _touch(tops.b[0]) if tops.b else (0.0, 0.0)
    ask, ask_size = _touch(tops.a[0]) if tops.a else (0.0, 0.0)
    venue_ns = message.ts * MILLISECOND
    return [TopOfBook(listing, bid, bid_size, ask, ask_size, tops.seq, venue_ns, received_ns)]


def decode_trades(listing: Listing, frame: bytes, received_ns: int) -> list[MarketEvent]:
    """A frame of `publicTrade`, oldest trade first."""
    events: list[MarketEvent] = []
    for match in _trades.decode(frame).data:
        if not (isfinite(match.price) and isfinite(match.size)):
            raise MalformedFrame("not a number", f"{match.price} {match.size}")
        side = _SIDES.get(match.side)
        if side is not None:
            venue_ns = match.ms * MILLISECOND
            events.append(
                Trade(listing, match.price, match.size, side, match.id, venue_ns, received_ns)
            )
    return events


def decode_mark(listing: Listing, frame: bytes, received_ns: int) -> list[MarketEvent]:
    """A frame of `tickers`, whose deltas leave out what did not change; none if all of it did."""
    message = _ticker.decode(frame)
    ticker = message.data
    mark, index = _number(ticker.mark), _number(ticker.index)
    funding_rate = _number(ticker.funding_rate)
    # Contracts without funding give "" or "0".
    funding_ms = _number(ticker.next_funding)
    next_funding_ns = int(funding_ms) * MILLISECOND if funding_ms else None
    if mark is None and index is None and funding_rate is None and next_funding_ns is None:
        return []
    venue_ns = message.ts * MILLISECOND
    return [MarkPrice(listing, mark, index, funding_rate, next_funding_ns, venue_ns, received_ns)]


def _touch(level: _Touch) -> tuple[float, float]:
    price, size = level.price, level.size
    if not (isfinite(price) and price >= 0.0 and isfinite(size) and size >= 0.0):
        raise MalformedFrame("not a number", f"{price} {size}")
    return price, size


def _number(text: str) -> float | None:
    """A decimal string, None where the venue left it empty or out."""
    if not text:
        return None
    try:
        number = float(text)
    except ValueError as error:
        raise MalformedFrame("not a number", text) from error
    if not isfinite(number):
        raise MalformedFrame("not a number", text)
    return number
