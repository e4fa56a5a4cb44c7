"""The private and trading connections of an account: dialled, logged in, kept alive, replaced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from hftmm.core.errors import MalformedFrame
from hftmm.core.instrument import Kind
from hftmm.core.order import Rejection, StreamEnded, StreamReady
from hftmm.venues.account_outlet import AccountOutlet
from hftmm.venues.codec import SECOND, StreamRules
from hftmm.venues.effects import Connect, Disconnect, Send
from hftmm.venues.link import LinkState
from hftmm.venues.private import SignedRequest
from hftmm.venues.private_link import PrivateLink, PrivateRoute
from hftmm.venues.routes import (
    BEFORE_LIFETIME_NS,
    FIRST_DELAY_NS,
    LONGEST_DELAY_NS,
    QUICK_ATTEMPTS,
    QUICK_DELAY_NS,
    SETTLED_NS,
    SPACING_NS,
)

RETIRE_NS: Final = 3 * SECOND
"""How long a replaced connection stays for the answers that are still to come on it."""
REFUSED_NS: Final = 300 * SECOND
"""Before a key that the venue refused is tried again: it may have been put right there."""


class Listener(Protocol):
    """Who must know of connections."""

    def news_lost(self, kinds: frozenset[Kind], why: str, now_ns: int) -> None:
        """Nobody tells what happens to these kinds any more."""
        ...

    def news_back(self, kinds: frozenset[Kind], now_ns: int) -> None:
        """Somebody does again, or for the first time."""
        ...

    def key_refused(self, kinds: frozenset[Kind]) -> None:
        """The venue takes nothing of these kinds from our key."""
        ...

    def link_gone(self, link: int, why: str, now_ns: int) -> None:
        """Answers to what was sent on this connection will not come."""
        ...


class AccountRoutes:
    """All private connections of a session.

    Attributes:
        links: every connection that is open or under way, by number.
        reconnects: connections lost or not made, since the start.
    """

    def __init__(
        self,
        outlet: AccountOutlet,
        urls: Mapping[str, str],
        kinds: frozenset[Kind],
        rules: StreamRules,
        listener: Listener,
    ) -> None:
        """
        Args:
            urls: as `PrivateCodec.private_endpoints` gives them.
            rules: heartbeat and lifetime, as public streams have them.
        """
        self.links: Final[dict[int, PrivateLink]] = {}
        self.reconnects = 0
        self._outlet: Final = outlet
        self._rules: Final = rules
        self._listener: Final = listener
        self._serial = 0
        self._retiring: Final[list[tuple[PrivateLink, int]]] = []
        self._noted: Final[set[str]] = set()
        self.routes: Final = {
            name: PrivateRoute(name, url, _kinds_of(name, kinds), name.endswith("private"))
            for name, url in urls.items()
        }

    # ---- what others ask ----------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        return all(
            route.primary is not None and route.primary.state is LinkState.OPEN
            for route in self.routes.values()
        )

    @property
    def missing(self) -> str:
        """What is missing for orders and news to flow, one line; "" if nothing is."""
        for route in self.routes.values():
            if route.refused:
                return route.refused
        for route in self.routes.values():
            if route.primary is None or route.primary.state is not LinkState.OPEN:
                return f"{route.name} is not connected"
            if not route.primary.ready or (route.news and route.silent):
                return f"{route.name} is not logged in"
        return ""

    def refused(self, kind: Kind) -> str:
        """Why the venue takes nothing of this kind from this key, "" if it does."""
        told = (route.refused for route in self.routes.values() if kind in route.kinds)
        return next(filter(None, told), "")

    def carrier(self, name: str) -> PrivateLink | None:
        """The connection of a route that takes frames now."""
        route = self.routes.get(name)
        primary = None if route is None else route.primary
        return primary if primary is not None and primary.ready else None

    # ---- what happens -------------------------------------------------------------------------

    def connected_to(self, number: int, now_ns: int) -> None:
        """The handshake of a connection is done."""
        link = self.links.get(number)
        if link is None:
            self._outlet.outbox.append(Disconnect(number))
            return
        link.state = LinkState.OPEN
        link.opened_ns = link.heard_ns = now_ns
        outlet = self._outlet
        ms = outlet.now_ms(now_ns)
        link.logins.extend(outlet.codec.login(outlet.credentials, link.route, ms))
        self._log_in(link, now_ns)

    def ready(self, link: PrivateLink, event: StreamReady, now_ns: int) -> None:
        """A step of the log-in succeeded or failed."""
        if link.ready or not link.asked_ns:
            return
        if event.ok:
            self._log_in(link, now_ns)
            return
        route = self.routes[link.route]
        if event.rejection is Rejection.CREDENTIALS:
            self._refuse(route, event.text, now_ns)
            return
        if event.rejection is Rejection.CLOCK:
            route.after_clock_ns = now_ns
            self._outlet.clock.doubt()
        self.drop(link, f"the log-in failed: {event.text}", now_ns)

    def ended(self, link: PrivateLink, event: StreamEnded, now_ns: int) -> None:
        """The venue ended, or will end, what a connection is for."""
        route = self.routes[link.route]
        if link is route.primary and link.ready:
            self._leave(route, event.text, now_ns)
        elif link in (route.primary, route.successor):
            self.drop(link, event.text, now_ns)

    def lost(self, number: int, reason: str, now_ns: int) -> None:
        """A connection could not be opened, or is gone."""
        gone = self.links.pop(number, None)
        if gone is None:
            return
        was_open, gone.state = gone.state is LinkState.OPEN, LinkState.CLOSED
        self._listener.link_gone(number, f"connection lost: {reason}", now_ns)
        route = self.routes[gone.route]
        if gone is not route.primary and gone is not route.successor:
            return
        if gone.ready and now_ns - gone.opened_ns > SETTLED_NS:
            route.attempt = 0
        event = "disconnected" if was_open else "cannot connect"
        self._outlet.note("warning", event, f"{route.name}: {reason}", now_ns)
        if gone is route.successor:
            route.successor = None
        else:
            route.primary, route.successor = route.successor, None
            route.leaving = ""
            self._fall_silent(route, f"{route.name}: {reason}", now_ns)
            if route.primary is not None:
                return
        # What the stream lived on may be gone with it; asking anew costs one request.
        route.key = ""
        self._back_off(route, now_ns)

    def suspect(self, number: int, since_ns: int, now_ns: int) -> None:
        """A request sent then was not answered: connections of its kinds that have said nothing
        since may be dead, and are replaced; those that live go on until then.
        """
        link = self.links.get(number)
        if link is None:
            return
        kinds = self.routes[link.route].kinds
        for route in self.routes.values():
            primary = route.primary
            if primary is None or not primary.ready or route.leaving or not route.kinds & kinds:
                continue
            if primary.heard_ns <= since_ns:
                self._leave(route, "silent since a request without an answer", now_ns)

    def drop(self, link: PrivateLink, reason: str, now_ns: int) -> None:
        """Closes a connection that is of no more use."""
        self._outlet.outbox.append(Disconnect(link.number))
        self.lost(link.number, reason, now_ns)

    def renewed(self, request: SignedRequest, status: int, body: bytes, now_ns: int) -> bool:
        """An answer to a request for a key; False if it is none."""
        route = next((one for one in self.routes.values() if one.renewal is request), None)
        if route is None:
            return False
        route.renewal = None
        if status == 200:
            try:
                key = self._outlet.codec.decode_renewal(body) or route.key
            except MalformedFrame as error:
                self._renewal_failed(route, str(error), now_ns)
                return True
            moved = bool(route.key) and key != route.key
            route.key = key
            # An extension may not repeat the key, which a lost connection has made us forget.
            route.renew_ns = now_ns + (self._renew_every_ns(route) if key else SPACING_NS)
            if moved:
                self._leave(route, "the key of the stream changed", now_ns)
            return True
        if status == 0:
            self._renewal_failed(route, body.decode("latin-1"), now_ns)
            return True
        rejection, unknown, text = self._outlet.codec.classify(status, body)
        if rejection is Rejection.CREDENTIALS:
            self._refuse(route, text, now_ns)
        else:
            if route.key and not unknown and rejection is not Rejection.RATE:
                self._leave(route, f"the key of the stream is gone: {text}", now_ns)
            self._renewal_failed(route, text, now_ns)
        return True

    def tick(self, now_ns: int) -> None:
        """Does what is due."""
        for route in self.routes.values():
            self._tend(route, now_ns)
        retiring = self._retiring
        while retiring and retiring[0][1] <= now_ns:
            link, _ = retiring.pop(0)
            if link.number in self.links:
                self.drop(link, "replaced", now_ns)

    def close(self) -> None:
        """Closes every connection, for good."""
        self._outlet.outbox.extend(Disconnect(number) for number in self.links)
        self.links.clear()
        self._retiring.clear()
        for route in self.routes.values():
            route.primary = route.successor = None
            route.silent = True

    # -------------------------------------------------------------------------------------------

    def _tend(self, route: PrivateRoute, now_ns: int) -> None:
        if now_ns < route.refused_until_ns:
            return
        if route.keyed:
            self._tend_key(route, now_ns)
        for link in (route.primary, route.successor):
            if link is not None:
                self._watch(link, now_ns)
        lifetime_ns = self._rules.lifetime_ns
        primary = route.primary
        if (
            lifetime_ns
            and primary is not None
            and primary.ready
            and now_ns - primary.opened_ns > lifetime_ns - BEFORE_LIFETIME_NS
        ):
            route.leaving = route.leaving or "the venue limits how long a connection lives"
        if not self._may_dial(route, now_ns):
            return
        if route.primary is None:
            route.primary = self._dial(route, now_ns)
        elif route.leaving and route.successor is None:
            self._outlet.note("info", "reconnect", f"{route.name}: {route.leaving}", now_ns)
            route.successor = self._dial(route, now_ns)

    def _may_dial(self, route: PrivateRoute, now_ns: int) -> bool:
        """Log-ins are signed by the venue's clock, so that it must be known."""
        known = self._outlet.measured_since(route.after_clock_ns)
        return now_ns >= route.dial_ns and known and (bool(route.key) or not route.keyed)

    def _dial(self, route: PrivateRoute, now_ns: int) -> PrivateLink:
        self._serial += 1
        route.dialled_ns = now_ns
        link = PrivateLink(self._serial, route.name, now_ns, now_ns)
        self.links[link.number] = link
        self._outlet.outbox.append(Connect(link.number, route.name, route.address))
        return link

    def _tend_key(self, route: PrivateRoute, now_ns: int) -> None:
        outlet = self._outlet
        if route.renewal is not None or now_ns < route.renew_ns or outlet.wait_ns(now_ns):
            return
        if not outlet.measured_since(route.after_clock_ns):
            return
        (kind,) = route.kinds
        request = outlet.codec.renew(outlet.credentials, kind, route.key, outlet.now_ms(now_ns))
        if request is not None:
            route.renewal = outlet.call(request)

    def _renew_every_ns(self, route: PrivateRoute) -> int:
        (kind,) = route.kinds
        return self._outlet.codec.rules[kind].renew_ns

    def _renewal_failed(self, route: PrivateRoute, why: str, now_ns: int) -> None:
        self._outlet.note("warning", "stream key", f"{route.name}: {why}", now_ns)
        route.renew_ns = now_ns + SPACING_NS + int(self._outlet.jitter() * QUICK_DELAY_NS)

    def _watch(self, link: PrivateLink, now_ns: int) -> None:
        reason = link.overdue(now_ns)
        if reason:
            self.drop(link, reason, now_ns)
        elif link.wants_ping(self._rules, now_ns):
            link.pinged_ns = now_ns
            self._outlet.outbox.append(Send(link.number, self._rules.ping))

    def _log_in(self, link: PrivateLink, now_ns: int) -> None:
        """Sends the next frame of the log-in, or is done with it."""
        if link.logins:
            link.asked_ns = now_ns
            self._outlet.outbox.append(Send(link.number, link.logins.popleft().frame))
            return
        link.asked_ns = 0
        link.ready = True
        route = self.routes[link.route]
        if link is route.successor:
            old, route.primary, route.successor = route.primary, link, None
            route.leaving = ""
            if old is not None:
                self._retiring.append((old, now_ns + RETIRE_NS))
        elif link is not route.primary:
            return
        self._noted.discard(route.refused)
        route.refused = ""
        if route.news and route.silent:
            route.silent = False
            self._outlet.note("info", "logged in", route.name, now_ns)
            self._listener.news_back(route.kinds, now_ns)

    def _leave(self, route: PrivateRoute, why: str, now_ns: int) -> None:
        """The stream is over or about to be: a new one is opened, and what was missed asked for."""
        route.leaving = why
        if route.keyed:
            route.key = ""
            route.renew_ns = now_ns
        self._outlet.note("warning", "stream ended", f"{route.name}: {why}", now_ns)
        self._fall_silent(route, f"{route.name}: {why}", now_ns)

    def _fall_silent(self, route: PrivateRoute, why: str, now_ns: int) -> None:
        if route.news and not route.silent:
            route.silent = True
            self._listener.news_lost(route.kinds, why, now_ns)

    def _refuse(self, route: PrivateRoute, text: str, now_ns: int) -> None:
        """The venue does not take the key: one line, however many routes hear it."""
        # Of two connections for the same kinds, the second has no news.
        known = any(one.refused and one.kinds == route.kinds for one in self.routes.values())
        route.refused = text
        route.refused_until_ns = now_ns + REFUSED_NS
        route.key = ""
        route.renew_ns = route.dial_ns = route.refused_until_ns
        if not known and text not in self._noted:
            self._noted.add(text)
            self._outlet.note("error", "key refused", text, now_ns)
        for link in (route.primary, route.successor):
            if link is not None:
                del self.links[link.number]
                self._outlet.outbox.append(Disconnect(link.number))
                self._listener.link_gone(link.number, text, now_ns)
        route.primary = route.successor = None
        self._listener.key_refused(route.kinds)
        self._fall_silent(route, text, now_ns)

    def _back_off(self, route: PrivateRoute, now_ns: int) -> None:
        """Full jitter, as public connections have it."""
        self.reconnects += 1
        slow = max(0, route.attempt - QUICK_ATTEMPTS)
        quick_ns = min(QUICK_DELAY_NS, FIRST_DELAY_NS << min(route.attempt, 16))
        limit_ns = min(LONGEST_DELAY_NS, quick_ns << min(slow, 16))
        route.attempt += 1
        delayed_ns = now_ns + int(self._outlet.jitter() * limit_ns)
        route.dial_ns = max(delayed_ns, route.dialled_ns + SPACING_NS)
        if route.keyed:
            route.renew_ns = route.dial_ns


def _kinds_of(route: str, kinds: frozenset[Kind]) -> frozenset[Kind]:
    """`spot.private` is of spot; a route that names no kind is of all."""
    head = route.partition(".")[0]
    return frozenset(kind for kind in kinds if kind.value == head) or kinds
