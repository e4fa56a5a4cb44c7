"""One private connection of an account, and the route that it serves."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from hftmm.core.instrument import Kind
from hftmm.venues.codec import SECOND, StreamRules
from hftmm.venues.link import LinkState
from hftmm.venues.private import SignedRequest, StreamFrame
from hftmm.venues.routes import CONNECT_WITHIN_NS

LOGIN_WITHIN_NS: Final = 10 * SECOND
PING_AFTER_NS: Final = 5 * SECOND
"""Silence after which a venue that answers pings is asked for one."""
PONG_WITHIN_NS: Final = 5 * SECOND
_KEY: Final = "{key}"


@dataclass(slots=True)
class PrivateLink:
    """A connection, from dialling to closing.

    Attributes:
        logins: frames of the log-in that are still to be sent.
        asked_ns: when the last of those was sent, 0 if none waits for its answer.
        ready: it is logged in and subscribed.
    """

    number: int
    route: str
    opened_ns: int
    heard_ns: int
    state: LinkState = LinkState.CONNECTING
    logins: deque[StreamFrame] = field(default_factory=deque)
    asked_ns: int = 0
    pinged_ns: int = 0
    ready: bool = False

    def overdue(self, now_ns: int) -> str:
        """Why it is of no more use, "" as long as the venue keeps its terms."""
        if self.state is LinkState.CONNECTING:
            late = now_ns - self.opened_ns > CONNECT_WITHIN_NS
            return "no answer to the handshake" if late else ""
        if self.asked_ns and now_ns - self.asked_ns > LOGIN_WITHIN_NS:
            return "no answer to the log-in"
        if self.pinged_ns > self.heard_ns and now_ns - self.pinged_ns > PONG_WITHIN_NS:
            return "no answer to a ping"
        return ""

    def wants_ping(self, rules: StreamRules, now_ns: int) -> bool:
        """Whether the heartbeat is due, or it has been silent for long."""
        if not rules.ping or self.state is not LinkState.OPEN or self.pinged_ns > self.heard_ns:
            return False
        if now_ns - self.heard_ns > PING_AFTER_NS:
            return True
        since_ns = now_ns - max(self.pinged_ns, self.opened_ns)
        return not rules.ping_when_idle and since_ns > rules.ping_after_ns


@dataclass(slots=True)
class PrivateRoute:
    """One kind of private connection, and the back-off between its attempts.

    Attributes:
        url: with `{key}` where the key goes that the stream lives on.
        news: it tells of orders and fills, and does not only take them.
        primary: the connection in use. successor: the one that is to replace it.
        leaving: why the primary must be replaced, "" if it need not.
        silent: nobody delivers its news.
        refused_until_ns: the venue refused the key; before then it is not tried again.
        after_clock_ns: the clock must be measured after this before the next attempt.
        renewal: the request for the key that is under way.
        renew_ns: when the key is to be asked for or renewed.
    """

    name: str
    url: str
    kinds: frozenset[Kind]
    news: bool
    primary: PrivateLink | None = None
    successor: PrivateLink | None = None
    leaving: str = ""
    silent: bool = True
    attempt: int = 0
    dial_ns: int = 0
    dialled_ns: int = 0
    refused: str = ""
    refused_until_ns: int = 0
    after_clock_ns: int = 0
    key: str = field(default="", repr=False)
    renewal: SignedRequest | None = None
    renew_ns: int = 0

    @property
    def keyed(self) -> bool:
        """Its stream lives on a key that must be obtained and renewed."""
        return _KEY in self.url

    @property
    def address(self) -> str:
        """The URL to dial."""
        return self.url.replace(_KEY, self.key)
