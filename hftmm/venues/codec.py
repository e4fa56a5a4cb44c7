"""What hftmm knows of one venue's wire format, as one contract with the same verbs for each.

A codec is pure: bytes and values in, bytes and values out. It keeps no connection state; the
`VenueSession` above it does. A fourth venue is one codec, one line in `registry.py` and fixtures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeAlias

import msgspec

from hftmm.core.events import BookDelta, ControlEvent, MarketEvent, Verdict
from hftmm.core.instrument import Kind, Listing

MILLISECOND = 1_000_000
SECOND = 1_000_000_000

Hosts: TypeAlias = Mapping[str, str]
"""Base URLs of one venue under one mode, `"linear.stream" -> "wss://fstream.binance.com"`.

The keys are those that `hftmm venues` prints: Binance `{spot,linear}.{rest,stream,api}`, Bybit
`rest public_spot public_linear private trade`, OKX `rest public private business`.
"""


class FeedKind(Enum):
    """What a public stream carries."""

    DEPTH = "depth"
    TOP = "top"
    TRADES = "trades"
    MARK = "mark"


@dataclass(frozen=True, slots=True)
class Feed:
    """One public stream of one listing.

    Attributes:
        route: the connection it arrives on, as captures name it (`linear.public`).
        topic: the venue's name for it, as in `subscribe` (`btcusdt@depth@100ms`).
        key: the bytes `VenueCodec.cut` cuts from each of its frames.
    """

    kind: FeedKind
    route: str
    topic: str
    key: bytes
    listing: Listing


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a market frame names its stream: from `start` to the next `stop`."""

    start: int
    stop: bytes


@dataclass(frozen=True, slots=True)
class Layout:
    """JSON keys of a depth frame, for the kernel that scans it without decoding the rest.

    A key may stand at any depth and in any order; the first occurrence counts. Numbers may be
    bare or quoted. A price level is `[price, size, ...]`, both quoted; further items are ignored.

    Attributes:
        kind: key whose string value begins with `s` on snapshots; b"" if deltas only.
        final_id: the update id; the only one a venue must have.
        state_id: the number comparable with the fast top-of-book stream; b"" if `final_id` is.
    """

    bids: bytes
    asks: bytes
    final_id: bytes
    first_id: bytes = b""
    prev_id: bytes = b""
    state_id: bytes = b""
    venue_ms: bytes = b""
    checksum: bytes = b""
    kind: bytes = b""


class Request(msgspec.Struct, frozen=True, gc=False):
    """One REST call to make; `path` includes the query string exactly as it will be sent.

    Attributes:
        purpose: what the answer is for: `instruments`, `book`, `clock`.
        weight: what it costs of the route's published budget.
        listing: key of the listing it concerns, or "".
        headers: (name, value) of what the request must carry besides.
    """

    route: str
    path: str
    purpose: str
    weight: int
    listing: str = ""
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()


class Instruments(msgspec.Struct, frozen=True, gc=False):
    """Listings of one answer, and the request for the next page if there is one."""

    listings: list[Listing]
    more: Request | None = None


class Addressed(msgspec.Struct, frozen=True, gc=False):
    """A market frame in a shape the cut did not know (other key order, white space)."""

    topic: str


@dataclass(frozen=True, slots=True)
class StreamRules:
    """How one stream connection must be treated.

    Attributes:
        ping: text frame of the application-level heartbeat; b"" if the venue uses WebSocket pings.
        ping_after_ns: send it after this long (OKX: without any frame; Bybit: since the last).
        ping_when_idle: True if any inbound frame restarts the timer.
        probe: frame that the venue must answer, to tell a quiet connection from a dead one; b"" if
            `ping` is it.
        lifetime_ns: replace the connection after this long; 0 if the venue sets no limit.
        topics_per_request: largest subscribe request.
        requests_per_second: control messages per connection.
        requests_per_hour: subscribe and unsubscribe requests per connection; 0 if not limited.
    """

    ping: bytes = b""
    probe: bytes = b""
    ping_after_ns: int = 20 * SECOND
    ping_when_idle: bool = False
    lifetime_ns: int = 0
    topics_per_request: int = 50
    requests_per_second: int = 5
    requests_per_hour: int = 0


class VenueCodec(Protocol):
    """The verbs of a venue, in this order in every venue module."""

    venue: str
    cut: Cut
    stream_rules: StreamRules
    book_by_rest: bool
    """True if the snapshot is fetched (Binance), False if it comes in the stream (Bybit, OKX)."""

    def hosts(self, mode: str) -> Hosts:
        """Base URLs of `live` or `demo`."""
        ...

    def endpoints(self, hosts: Hosts) -> Mapping[str, str]:
        """Route -> URL, for every public route; `*.rest` routes without a path."""
        ...

    def clock(self) -> Request:
        """Asks the venue for its time."""
        ...

    def decode_clock(self, body: bytes) -> int:
        """Venue time, ns since the epoch."""
        ...

    def instruments(self, kinds: frozenset[Kind]) -> list[Request]:
        """Asks for the definitions of these kinds of instruments."""
        ...

    def decode_instruments(self, request: Request, body: bytes) -> Instruments:
        """Listings in an answer; rows that cannot be understood are left out, never raised."""
        ...

    def feeds(self, listing: Listing) -> list[Feed]:
        """The public streams of a listing, depth first."""
        ...

    def identify(self, route: str, topic: str) -> tuple[FeedKind, str] | None:
        """Kind and venue symbol of a topic, for frames nobody subscribed to (captures)."""
        ...

    def infer(self, route: str, venue_symbol: str, decimals: int) -> Listing:
        """A listing for an instrument without a definition: the grid seen, multiplier 1."""
        ...

    def subscribe(self, feeds: list[Feed], request_id: str) -> bytes:
        """One request for feeds of one route, at most `topics_per_request` of them."""
        ...

    def unsubscribe(self, feeds: list[Feed], request_id: str) -> bytes:
        """The inverse."""
        ...

    def layout(self, listing: Listing) -> Layout:
        """Where the depth frames of a listing keep what the kernel scans for."""
        ...

    def decode_envelope(self, route: str, frame: bytes) -> ControlEvent | Addressed | None:
        """What a frame is that the cut did not recognise; None if it is nothing to us.

        Raises:
            MalformedFrame: it is not JSON, or not an envelope of this venue.
        """
        ...

    def decode_market(self, feed: Feed, frame: bytes, received_ns: int) -> list[MarketEvent]:
        """Events of one frame of a feed; depth frames too, by the general decoder.

        Raises:
            MalformedFrame: wrong shape, a price off the listing's grid, a number that is none.
        """
        ...

    def rows(self, frame: bytes) -> tuple[list[list[str]], list[list[str]]]:
        """Bid and ask levels of a depth frame exactly as sent."""
        ...

    def request_book(self, listing: Listing) -> Request | None:
        """Asks for a snapshot, or None where the stream brings it."""
        ...

    def decode_book(self, listing: Listing, body: bytes, received_ns: int) -> BookDelta:
        """A REST snapshot."""
        ...

    def recognise(self, route: str, url: str) -> Request | None:
        """What a recorded REST answer was asked for: `instruments`, or `book` with the venue
        symbol as `listing`; None if it is neither.
        """
        ...

    def sequence(self, applied: int, delta: BookDelta, joining: bool) -> Verdict:
        """The venue's documented rule for the next message of a book.

        Args:
            applied: id of the last message applied, or of the snapshot.
            joining: True for the first message after a REST snapshot.
        """
        ...

    def audit(self) -> BookAudit | None:
        """A checksum verifier for one book, where the venue ever sent checksums."""
        ...

    def decode_error(self, status: int, body: bytes) -> str:
        """An error answer in one line: the venue's code and message, and what it means."""
        ...


class BookAudit(Protocol):
    """Verifies a venue's checksums over the exact strings it sent."""

    def check(self, frame: bytes) -> bool:
        """Takes every depth frame of the book in order; False if the checksum does not match."""
        ...
