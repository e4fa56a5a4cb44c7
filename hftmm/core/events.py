"""What a venue tells us, in our words.

Events are msgspec structs, not dataclasses: one is made for every frame, and a struct costs a
tenth. They are values; nobody changes one after it was passed on.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from hftmm.core.instrument import Listing, Side

Ticks: TypeAlias = npt.NDArray[np.int64]
Sizes: TypeAlias = npt.NDArray[np.float64]


class Verdict(Enum):
    """What to do with a book message, by the venue's own rule."""

    APPLY = "apply"
    SKIP = "skip"  # older than what we have
    SNAPSHOT = "snapshot"  # replaces the book
    RESYNC = "resync"  # something is missing: the book is invalid from here on
    REFETCH = "refetch"  # the REST snapshot is too old: fetch another, keep the buffer
    HOLD = "hold"  # kept until the snapshot arrives


class BookDelta(msgspec.Struct, gc=False, eq=False):
    """Changes to one book, bids first; with `snapshot` the whole of it.

    `ticks` and `sizes` may be views of a scratch buffer that the next frame of the same feed
    overwrites: whoever keeps a delta keeps `copy()`.

    Attributes:
        tick_buffer: int64, at least `count` long; price = ticks / 10**listing.decimals.
        size_buffer: float64, base coins, absolute; 0 removes the level.
        first_id, final_id: the venue's update ids; equal where it sends one.
        prev_id: id of the message before, -1 where the venue sends none.
        snapshot: replaces the book.
        complete: only on snapshots: False if the venue cut it at a depth, so that what lies
            beyond the last level is unknown, not empty.
        state_id: where the book now stands, comparable with `TopOfBook.sequence_id`.
        checksum: the venue's CRC32 as sent; 0 is none.
        venue_ns: the venue's stamp, 0 if it sent none.
    """

    listing: Listing
    tick_buffer: Ticks
    size_buffer: Sizes
    n_bids: int
    count: int
    first_id: int
    final_id: int
    prev_id: int
    state_id: int
    venue_ns: int
    received_ns: int
    snapshot: bool = False
    complete: bool = True
    checksum: int = 0

    @property
    def ticks(self) -> Ticks:
        return self.tick_buffer[: self.count]

    @property
    def sizes(self) -> Sizes:
        return self.size_buffer[: self.count]

    def copy(self) -> BookDelta:
        """The same delta with arrays of its own."""
        return msgspec.structs.replace(
            self, tick_buffer=self.ticks.copy(), size_buffer=self.sizes.copy()
        )


class BookInvalid(msgspec.Struct, gc=False, frozen=True):
    """From this moment on the book may be wrong; nobody trades on it until the next snapshot."""

    listing: Listing
    reason: str
    received_ns: int


class TopOfBook(msgspec.Struct, gc=False, frozen=True):
    """Best bid and offer from the venue's fast stream; an empty side has size 0.

    Attributes:
        sequence_id: comparable with `BookDelta.final_id` of the same listing, so that the newer
            of the two can be told; -1 where the venue offers nothing comparable.
    """

    listing: Listing
    bid: float
    bid_size: float
    ask: float
    ask_size: float
    sequence_id: int
    venue_ns: int
    received_ns: int


class Trade(msgspec.Struct, gc=False, frozen=True):
    """A public trade; `side` is the taker's."""

    listing: Listing
    price: float
    size: float
    side: Side
    trade_id: str
    venue_ns: int
    received_ns: int


class MarkPrice(msgspec.Struct, gc=False, frozen=True):
    """Mark price and funding of a perpetual; None where this message did not say.

    Attributes:
        funding_rate: fraction of notional a holder of a long pays at `next_funding_ns`.
    """

    listing: Listing
    mark: float | None
    index: float | None
    funding_rate: float | None
    next_funding_ns: int | None
    venue_ns: int
    received_ns: int


class Acknowledged(msgspec.Struct, gc=False, frozen=True):
    """The venue confirmed a control message of ours (subscribe, unsubscribe).

    Attributes:
        request_id: the id we sent, or "" where the venue echoes the topic instead.
        topic: the topic it confirms, or "" where it echoes only the id.
    """

    request_id: str
    topic: str = ""


class Refusal(msgspec.Struct, gc=False, frozen=True):
    """The venue refused a control message of ours."""

    request_id: str
    topic: str
    code: str
    message: str


class Pong(msgspec.Struct, gc=False, frozen=True):
    """The venue answered our application-level ping."""


class Farewell(msgspec.Struct, gc=False, frozen=True):
    """The venue will close this connection soon; open the next one first."""

    reason: str


class VenueState(StrEnum):
    """How much one venue's market data may be trusted, worst last."""

    LIVE = "live"
    STALE = "stale"
    SYNCING = "syncing"
    QUARANTINED = "quarantined"
    DOWN = "down"


class FeedState(msgspec.Struct, gc=False, frozen=True):
    """A venue's connection or a listing's feed changed state.

    Attributes:
        symbol: the listing's symbol, or "" for the venue as a whole.
        reason: one line for the operator.
    """

    venue: str
    symbol: str
    state: VenueState
    reason: str
    received_ns: int


MarketEvent: TypeAlias = BookDelta | BookInvalid | TopOfBook | Trade | MarkPrice
ControlEvent: TypeAlias = Acknowledged | Refusal | Pong | Farewell
Event: TypeAlias = MarketEvent | FeedState
