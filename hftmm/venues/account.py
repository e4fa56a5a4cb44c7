"""The state machine of one venue's private side: everything between a socket and an order.

A driver feeds it what happens, as it feeds a `VenueSession`, and carries out what gathers in
`outbox`. What the venue says goes to the `AccountSink` in the same call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from hftmm.core.errors import MalformedFrame
from hftmm.core.instrument import Kind
from hftmm.core.order import (
    AccountEvent,
    Balance,
    Fill,
    Funding,
    OrderAnswer,
    OrderUpdate,
    Position,
    StreamEnded,
    StreamReady,
)
from hftmm.venues.account_entry import AccountEntry
from hftmm.venues.account_guard import TIMEOUT_NS, AccountGuard
from hftmm.venues.account_outlet import AccountOutlet
from hftmm.venues.account_queries import AccountQueries
from hftmm.venues.account_routes import AccountRoutes
from hftmm.venues.account_sink import AccountSink, AccountState, Errand, Question
from hftmm.venues.clock import VenueClock
from hftmm.venues.codec import Hosts, StreamRules
from hftmm.venues.effects import AccountOutput
from hftmm.venues.private import Credentials, Listings, PrivateCodec, SignedRequest
from hftmm.venues.private_link import PrivateLink

__all__ = ["AccountSession"]

_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class AccountSession:
    """One venue's account.

    Attributes:
        outbox: what the driver must do next, in order; it empties the list as it goes.
        malformed: counts since the start, by kind.
    """

    def __init__(
        self,
        codec: PrivateCodec,
        hosts: Hosts,
        rules: StreamRules,
        credentials: Credentials,
        listings: Listings,
        clock: VenueClock,
        sink: AccountSink,
        jitter: Callable[[], float],
        dead_man_ns: int = TIMEOUT_NS,
    ) -> None:
        """
        Args:
            rules: of the venue's public streams, which its private ones share.
            listings: every listing of the venue that is traded.
            clock: of the public session, which measures it.
            jitter: uniform in [0, 1).
            dead_man_ns: silence of ours after which the venue is to cancel, where it can.
        """
        self.codec: Final = codec
        self.venue: Final = codec.venue
        self.malformed: Final[Counter[str]] = Counter()
        self._hosts: Final = hosts
        self._clock: Final = clock
        self._sink: Final = sink
        kinds = frozenset(kind for kind, _ in listings)
        outlet = AccountOutlet(codec, credentials, listings, clock, sink, jitter)
        self._outlet: Final = outlet
        self.outbox: Final[list[AccountOutput]] = outlet.outbox
        urls = codec.private_endpoints(hosts, kinds)
        self._routes: Final = AccountRoutes(outlet, urls, kinds, rules, self)
        self._entry: Final = AccountEntry(outlet, self._routes)
        self._queries: Final = AccountQueries(outlet, kinds)
        self._guard: Final = AccountGuard(outlet, listings.values(), dead_man_ns)
        self._syncing_ns: int | None = None
        self._stopped = False

    # ---- what the driver reports --------------------------------------------------------------

    def start(self, now_ns: int) -> None:
        """Connects as soon as the venue's clock is known."""
        self.tick(now_ns)

    def connected(self, link: int, now_ns: int) -> None:
        """The handshake of a connection is done."""
        self._routes.connected_to(link, now_ns)

    def received(self, link: int, frame: bytes, now_ns: int) -> None:
        """A frame arrived."""
        source = self._routes.links.get(link)
        if source is None:
            return
        source.heard_ns = now_ns
        try:
            events = self.codec.decode_account(source.route, frame, self._outlet.listings, now_ns)
        except MalformedFrame as error:
            self.malformed[error.kind] += 1
            if self.malformed[error.kind] == 1:
                # Only what is wrong: the frame itself may hold what nobody else may read.
                self._outlet.note("warning", "malformed frame", f"{source.route}: {error}", now_ns)
            return
        for event in events:
            self._happened(source, event, now_ns)

    def responded(
        self,
        request: SignedRequest,
        status: int,
        body: bytes,
        now_ns: int,
        retry_after_s: float = 0.0,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> None:
        """A REST request was answered; status 0 if it failed, with the reason as body.

        Args:
            retry_after_s: as the answer's header states; 0 if it does not.
            headers: by names in lower case.
        """
        for usage in self.codec.decode_usage(request, headers, self._outlet.now_ms(now_ns)):
            self._sink.usage_told(self.venue, usage, now_ns)
        if request.purpose != "dead_man" or retry_after_s:
            # OKX takes one a second and counts it apart: a restart right after the last one is not
            # to keep everything else waiting.
            self._outlet.heard(status, retry_after_s, now_ns)
        if (
            self._entry.responded(request, status, body, retry_after_s, now_ns)
            or self._queries.responded(request, status, body, now_ns)
            or self._guard.responded(request, status, body, now_ns)
        ):
            return
        self._routes.renewed(request, status, body, now_ns)

    def lost(self, link: int, reason: str, now_ns: int) -> None:
        """A connection could not be opened, or is gone."""
        self._routes.lost(link, reason, now_ns)

    def tick(self, now_ns: int) -> None:
        """Does what is due; call it every few milliseconds."""
        if self._stopped:
            return
        if self._syncing_ns is not None and self._outlet.measured_since(self._syncing_ns):
            self._syncing_ns = None
            self._sink.clock_synced(self.venue, now_ns)
        self._entry.tick(now_ns)
        self._routes.tick(now_ns)
        self._guard.tick(now_ns)
        self._queries.tick(now_ns)

    # ---- what the desk wants ------------------------------------------------------------------

    def send(self, errand: Errand, now_ns: int) -> None:
        """Places, changes or cancels; every request is answered, or told to be without answer."""
        self._entry.send(errand, now_ns)

    def ask(self, question: Question, now_ns: int) -> None:
        """Asks the venue; the sink is told what was found, or that it failed."""
        self._queries.ask(question, now_ns)

    def sync_clock(self, now_ns: int) -> None:
        """Has the venue's clock measured; the sink is told when it was."""
        self._syncing_ns = now_ns
        self._clock.doubt()

    def stop(self, now_ns: int) -> None:
        """An orderly end: disarms the dead-man switch and closes every connection."""
        if not self._stopped:
            self._stopped = True
            self._guard.disarm(now_ns)
            self._routes.close()

    def state(self, now_ns: int) -> AccountState:
        """For the screen."""
        missing = self._routes.missing
        if self._clock.offset_ns is None:
            missing = "the venue's clock is not known"
        return AccountState(
            self._routes.connected,
            not missing,
            self._guard.protection(now_ns),
            missing,
            self._outlet.last_error,
            any(route.refused for route in self._routes.routes.values()),
        )

    @property
    def reconnects(self) -> int:
        """Connections lost or not made, since the start."""
        return self._routes.reconnects

    def base_url(self, route: str) -> str:
        """Where the requests of a REST route go."""
        return self._hosts[route]

    # ---- what the connections tell ------------------------------------------------------------

    def news_lost(self, kinds: frozenset[Kind], why: str, now_ns: int) -> None:
        """Nobody tells what happens to these kinds any more."""
        self._sink.lost(self.venue, kinds, why, now_ns)

    def news_back(self, kinds: frozenset[Kind], now_ns: int) -> None:
        """Somebody does again, or for the first time."""
        self._guard.guard(kinds)
        self._sink.back(self.venue, kinds, now_ns)

    def key_refused(self, kinds: frozenset[Kind]) -> None:
        """The venue takes nothing of these kinds from our key."""
        self._guard.give_up(kinds)

    def link_gone(self, link: int, why: str, now_ns: int) -> None:
        """Answers to what was sent on this connection will not come."""
        self._entry.link_gone(link, why, now_ns)

    def _happened(self, source: PrivateLink, event: AccountEvent, now_ns: int) -> None:
        sink = self._sink
        match event:
            case OrderAnswer():
                self._entry.answered(event, now_ns)
            case OrderUpdate():
                sink.updated(event, now_ns)
            case Fill():
                sink.filled(event, now_ns)
            case Balance():
                sink.balance_told(event, now_ns)
            case Position():
                sink.position_told(event, now_ns)
            case Funding():
                sink.funded(event, now_ns)
            case StreamReady():
                self._routes.ready(source, event, now_ns)
            case StreamEnded():
                self._routes.ended(source, event, now_ns)
