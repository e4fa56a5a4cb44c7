"""The contract of a practice venue: the server half of a venue's protocol, without a socket.

A peer is driven like a session: connections open and close, frames and requests come in, time
passes; what it wants to say gathers in `outbox`. `server.py` drives peers over loopback sockets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import msgspec

if TYPE_CHECKING:
    from hftmm.sim.broker import Broker

Matter = Literal["", "ack", "order", "fill", "account"]
"""What a message is about, for the faults of order entry and of private streams.

"ack" answers a request to place, amend or cancel; an "order" push tells of an order without a fill,
a "fill" push carries one or more, an "account" push tells of balances or positions. All else,
log-ins, subscriptions and queries included, is "".
"""


class Push(msgspec.Struct, gc=False):
    """One frame for one connection.

    Attributes:
        feed: key of the depth stream it belongs to (`linear BTCUSDT`), "" for anything else; faults
            of the book act on frames that have one.
        text: True for a text frame.
        matter: what faults of orders go by: an answer on an order-entry socket is an "ack", what a
            private stream says is "order", "fill" or "account".
    """

    connection: int
    frame: bytes
    feed: str = ""
    text: bool = True
    matter: Matter = ""


class Close(msgspec.Struct, gc=False):
    """Close a connection with a WebSocket close code; 1006 cuts it without a closing handshake."""

    connection: int
    code: int
    reason: str = ""


Outgoing: TypeAlias = Push | Close


class HttpQuery(msgspec.Struct, gc=False, frozen=True):
    """A REST request as received.

    Attributes:
        face: which of the venue's REST hosts it came to (`spot.rest`).
        query: the raw query string, undecoded: signatures are over these bytes.
    """

    face: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


LOST = 0
"""Status of an answer that never comes."""


class HttpAnswer(msgspec.Struct, gc=False, frozen=True):
    """A REST answer; `body` is JSON.

    Attributes:
        status: `LOST` for none at all: the request was carried out, the connection is cut.
        matter: "ack" if the request was to place, amend or cancel, whatever came of it.
        late_ns: how much longer than usual it takes.
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = {}
    matter: Matter = ""
    late_ns: int = 0


class Peer(Protocol):
    """One practice venue."""

    venue: str
    outbox: list[Outgoing]
    skew_ns: int
    """The venue's clock less true time: added to every stamp it writes, to its server time and to
    the time it judges signatures by, never to its schedule. 0 until a fault sets it."""

    @property
    def broker(self) -> Broker | None:
        """Who keeps the venue's accounts and orders; None if it takes none."""
        ...

    @property
    def faces(self) -> tuple[str, ...]:
        """Names of its base URLs, as `hftmm venues` prints them: `spot.rest`, `spot.stream`."""
        ...

    def url(self, face: str, authority: str) -> str:
        """What `hftmm venues` prints for a face served at `127.0.0.1:PORT`."""
        ...

    def opened(
        self, connection: int, face: str, path: str, query: str, now_ns: int
    ) -> HttpAnswer | None:
        """A WebSocket handshake arrived; an answer refuses it."""
        ...

    def received(self, connection: int, frame: bytes, now_ns: int) -> None:
        """A text or binary frame arrived."""
        ...

    def closed(self, connection: int) -> None:
        """The connection is gone."""
        ...

    def request(self, query: HttpQuery, now_ns: int) -> HttpAnswer:
        """A REST request arrived."""
        ...

    def advance(self, now_ns: int) -> None:
        """Time passed: push what is due."""
        ...

    def restart(self, now_ns: int) -> None:
        """The venue restarts: every connection closes, update ids begin anew as it documents.

        Accounts and open orders stay; log-ins and whatever lives with a connection are gone.
        """
        ...

    def farewell(self, now_ns: int) -> None:
        """Announce a planned disconnect where the venue has such a notice, then cut."""
        ...

    def cross(self, now_ns: int) -> None:
        """Publish, on every depth stream, one update whose best bid is above its best ask, with
        an unbroken sequence: what a corrupted book looks like from outside."""
        ...
