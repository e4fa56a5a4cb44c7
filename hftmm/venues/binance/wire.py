"""Binance's JSON as structs; fields we do not use are left out and skipped by the decoder.

All prices and sizes are decimal strings, all times integer milliseconds. Events of COIN-M
contracts, which some streams carry since the two markets were merged, have `st` 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeAlias, TypeVar

import msgspec

from hftmm.core.errors import MalformedFrame

COIN_MARGINED = 2

Id: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Amount: TypeAlias = Annotated[float, msgspec.Meta(ge=0, lt=1e300)]
"""A decimal string as a correctly rounded double; the bounds keep nan and inf out."""

T = TypeVar("T")


class Level(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """`[price, size, ...]`; old recordings carry a third, empty item."""

    price: str
    size: str


class DepthUpdate(msgspec.Struct, frozen=True, gc=False):
    """Diff depth of both markets; `T` and `pu` are USD-M's, `E` is all that spot stamps."""

    e: str
    U: Id
    u: Id
    b: list[Level]
    a: list[Level]
    E: Id = 0
    T: Id = 0
    pu: Annotated[int, msgspec.Meta(ge=-1, le=2**63 - 1)] = -1
    st: int = 1


class BookTicker(msgspec.Struct, frozen=True, gc=False):
    """Best bid and offer; spot sends neither `T` nor an event name."""

    u: Id
    b: Amount
    B: Amount
    a: Amount
    A: Amount
    T: Id = 0
    st: int = 1
    e: str = "bookTicker"


class PublicTrade(msgspec.Struct, frozen=True, gc=False):
    """`trade` (id `t`) or `aggTrade` (id `a`); `m` is true if the buyer was the maker.

    `X` names matches outside the order book on USD-M's undocumented `trade` stream.
    """

    e: str
    p: Amount
    q: Amount
    m: bool
    T: Id = 0
    t: int = -1
    a: int = -1
    st: int = 1
    X: str = "MARKET"


class MarkPriceUpdate(msgspec.Struct, frozen=True, gc=False):
    """Mark, index, funding rate and next funding time; contracts that expire have no funding."""

    e: str
    p: str = ""
    i: str = ""
    r: str = ""
    E: Id = 0
    T: Id = 0
    st: int = 1


class DepthFrame(msgspec.Struct, frozen=True, gc=False):
    data: DepthUpdate


class BookTickerFrame(msgspec.Struct, frozen=True, gc=False):
    data: BookTicker


class TradeFrame(msgspec.Struct, frozen=True, gc=False):
    data: PublicTrade


class MarkPriceFrame(msgspec.Struct, frozen=True, gc=False):
    data: MarkPriceUpdate


class Snapshot(msgspec.Struct, frozen=True, gc=False):
    """`GET depth`; `T` is USD-M's."""

    lastUpdateId: Id  # noqa: N815 - the venue's name
    bids: list[Level]
    asks: list[Level]
    T: Id = 0


class ServerTime(msgspec.Struct, frozen=True, gc=False):
    serverTime: Id  # noqa: N815 - the venue's name


class Rows(msgspec.Struct, frozen=True, gc=False):
    b: list[Level] = []
    a: list[Level] = []


class RowsFrame(msgspec.Struct, frozen=True, gc=False):
    data: Rows


decode_depth_frame = msgspec.json.Decoder(DepthFrame).decode
decode_snapshot = msgspec.json.Decoder(Snapshot).decode
decode_server_time = msgspec.json.Decoder(ServerTime).decode
decode_rows_frame = msgspec.json.Decoder(RowsFrame).decode
# Not strict, so that decimal strings become doubles inside the decoder.
decode_book_ticker_frame = msgspec.json.Decoder(BookTickerFrame, strict=False).decode
decode_trade_frame = msgspec.json.Decoder(TradeFrame, strict=False).decode
decode_mark_price_frame = msgspec.json.Decoder(MarkPriceFrame).decode


def malformed(error: Exception) -> MalformedFrame:
    """The error of a frame msgspec refused."""
    kind = "unexpected shape" if isinstance(error, msgspec.ValidationError) else "not JSON"
    return MalformedFrame(kind, str(error))


REFUSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""All that decoding arbitrary bytes may raise."""


def decode(decoder: Callable[[bytes], T], frame: bytes) -> T:
    """Decodes, or raises `MalformedFrame`."""
    try:
        return decoder(frame)
    except REFUSED as error:
        raise malformed(error) from error


def decode_any(frame: bytes) -> Any:
    """Any JSON value, or `MalformedFrame`."""
    return decode(msgspec.json.decode, frame)
