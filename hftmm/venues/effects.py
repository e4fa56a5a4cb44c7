"""What a session wants done, and whom it tells what the market does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

import msgspec

from hftmm.book.order_book import OrderBook
from hftmm.core.events import MarkPrice, Trade
from hftmm.venues.codec import MILLISECOND, SECOND, Request
from hftmm.venues.private import SignedRequest


class Connect(msgspec.Struct, frozen=True, gc=False):
    """Open a stream connection and report `connected` or `lost` under this number."""

    link: int
    route: str
    url: str

    def __repr__(self) -> str:
        # The URL of a private stream may be its key.
        return f"<Connect {self.link} {self.route}>"


class Disconnect(msgspec.Struct, frozen=True, gc=False):
    """Close a connection; no report is wanted."""

    link: int


class Send(msgspec.Struct, frozen=True, gc=False):
    """Send a text frame."""

    link: int
    frame: bytes

    def __repr__(self) -> str:
        # A private frame may be signed.
        return f"<Send {self.link} {len(self.frame)} bytes>"


class Fetch(msgspec.Struct, frozen=True, gc=False):
    """Make a REST request and report `responded`."""

    request: Request


class Call(msgspec.Struct, frozen=True, gc=False):
    """Make a signed REST request, exactly as it stands, and report `responded`."""

    request: SignedRequest


Output: TypeAlias = Connect | Disconnect | Send | Fetch
AccountOutput: TypeAlias = Connect | Disconnect | Send | Call


class Note(msgspec.Struct, frozen=True, gc=False):
    """Something the operator should be able to read later.

    Attributes:
        event: stable name; a note of one event and subject is worth a line only so often.
        apart: it is worth a line whatever was told a moment ago.
    """

    level: str
    venue: str
    event: str
    text: str
    ns: int
    apart: bool = False


class MarketSink(Protocol):
    """Who is told what the market does."""

    def listed(self, book: OrderBook) -> None:
        """A wanted listing was found, or its definition or grid changed: this is its book now."""
        ...

    def book_moved(self, book: OrderBook, now_ns: int) -> None:
        """The touch of a book moved, or the book came or went (see `valid`)."""
        ...

    def traded(self, trade: Trade) -> None: ...

    def marked(self, mark: MarkPrice) -> None: ...

    def noted(self, note: Note) -> None: ...


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator decides about sessions.

    Attributes:
        probe_after_ns: silence of a connection after which the venue is asked for a sign of life.
        probe_within_ns: how long that may take before the connection counts as dead.
        resubscribe_after_ns: silence of a depth stream after which it is subscribed anew.
    """

    probe_after_ns: int = 500 * MILLISECOND
    probe_within_ns: int = 1 * SECOND
    resubscribe_after_ns: int = 10 * SECOND


class Outlet:
    """Where the parts of one session put what they want done, and what should be known.

    Attributes:
        outbox: what the driver must do next, in order. The driver empties it, nobody replaces it.
    """

    __slots__ = ("outbox", "sink", "venue")

    def __init__(self, venue: str, sink: MarketSink) -> None:
        self.venue: Final = venue
        self.sink: Final = sink
        self.outbox: Final[list[Output]] = []

    def note(self, level: str, event: str, text: str, now_ns: int) -> None:
        """Tells the operator."""
        self.sink.noted(Note(level, self.venue, event, text, now_ns))
