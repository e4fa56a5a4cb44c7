"""Depth frames of the three venues after their documented shapes, one builder a stream."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from hftmm.core.events import BookDelta
from hftmm.core.instrument import Kind, Listing
from hftmm.venues.binance import BinanceCodec
from hftmm.venues.bybit import BybitCodec
from hftmm.venues.codec import Feed, FeedKind, VenueCodec
from hftmm.venues.okx import OkxCodec
from tests.books import listing

Rows = Iterable[tuple[str, str]]
"""(price, size) as sent."""


def compact(value: Any) -> bytes:
    """JSON as the venues write it, without white space."""
    return json.dumps(value, separators=(",", ":")).encode()


def binance(
    *, final: int, first: int = 0, prev: int = 0, bids: Rows = (), asks: Rows = (), ms: int = 5
) -> bytes:
    """`depthUpdate` of USD-M, or of spot if `prev` is below 0."""
    event: dict[str, Any] = {"e": "depthUpdate", "E": ms + 2}
    if prev >= 0:
        event["T"] = ms
    event |= {"s": "BTCUSDT", "U": first or final, "u": final}
    if prev >= 0:
        event["pu"] = prev
    event |= {"b": [list(row) for row in bids], "a": [list(row) for row in asks]}
    return compact({"stream": "btcusdt@depth@100ms", "data": event})


def bybit(
    *,
    final: int,
    bids: Rows = (),
    asks: Rows = (),
    ms: int = 5,
    seq: int | None = None,
    kind: str = "delta",
) -> bytes:
    """`orderbook.50`."""
    rows = {
        "s": "BTCUSDT",
        "b": [list(row) for row in bids],
        "a": [list(row) for row in asks],
        "u": final,
        "seq": final if seq is None else seq,
    }
    head = {"topic": "orderbook.50.BTCUSDT", "type": kind, "ts": ms}
    return compact({**head, "data": rows, "cts": ms - 1})


def okx(
    *,
    final: int,
    prev: int = -1,
    bids: Rows = (),
    asks: Rows = (),
    ms: int = 5,
    kind: str = "update",
    checksum: int = 0,
) -> bytes:
    """`books`."""
    book = {
        "asks": [[*row, "0", "1"] for row in asks],
        "bids": [[*row, "0", "1"] for row in bids],
        "ts": str(ms),
        "checksum": checksum,
        "prevSeqId": prev,
        "seqId": final,
    }
    arg = {"channel": "books", "instId": "BTC-USDT"}
    return compact({"arg": arg, "action": kind, "data": [book]})


@dataclass(frozen=True)
class Stream:
    """A depth stream, and how to write its frames."""

    name: str
    codec: VenueCodec
    listing: Listing
    write: Callable[[int, int, Rows, Rows], bytes]
    """(id before, id, bids, asks) -> a delta that follows the id before."""

    @property
    def feed(self) -> Feed:
        feeds = self.codec.feeds(self.listing)
        return next(feed for feed in feeds if feed.kind is FeedKind.DEPTH)

    def decoded(self, frame: bytes, now_ns: int = 0) -> BookDelta:
        """By the general decoder."""
        (event,) = self.codec.decode_market(self.feed, frame, now_ns)
        assert isinstance(event, BookDelta)
        return event


_OKX_SPOT = Listing(
    **{
        name: getattr(listing("okx"), name)
        for name in ("venue", "symbol", "kind", "base", "quote", "settle", "tick", "lot")
    },
    venue_symbol="BTC-USDT",
)

SPOT = Stream(
    "binance spot",
    BinanceCodec(),
    listing("binance"),
    lambda before, final, bids, asks: binance(
        first=before + 1, final=final, prev=-1, bids=bids, asks=asks
    ),
)
LINEAR = Stream(
    "binance linear",
    BinanceCodec(),
    listing("binance", kind=Kind.LINEAR),
    lambda before, final, bids, asks: binance(
        first=final, final=final, prev=before, bids=bids, asks=asks
    ),
)
BYBIT = Stream(
    "bybit",
    BybitCodec(),
    listing("bybit", kind=Kind.LINEAR),
    lambda _, final, bids, asks: bybit(final=final, bids=bids, asks=asks),
)
OKX = Stream(
    "okx",
    OkxCodec(),
    _OKX_SPOT,
    lambda before, final, bids, asks: okx(prev=before, final=final, bids=bids, asks=asks),
)
STREAMS = (SPOT, LINEAR, BYBIT, OKX)
