"""The stream connections of one venue: dialled, kept alive, replaced before they end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final, Protocol

from hftmm.core.instrument import Listing
from hftmm.venues.codec import MILLISECOND, SECOND, Feed, VenueCodec
from hftmm.venues.depth import Overlap
from hftmm.venues.effects import Connect, Disconnect, Outlet, Policy, Send
from hftmm.venues.link import Link, LinkState, Target

FIRST_DELAY_NS: Final = 250 * MILLISECOND
QUICK_DELAY_NS: Final = 1 * SECOND
QUICK_ATTEMPTS: Final = 60
LONGEST_DELAY_NS: Final = 30 * SECOND
"""Full-jitter back-off: a random part of FIRST_DELAY * 2**attempt. Most outages are short, so it
stays at QUICK_DELAY for half a minute before it goes on to LONGEST_DELAY; together that is a third
of the 300 connections in five minutes that the strictest venue allows."""
SPACING_NS: Final = 350 * MILLISECOND
"""Between two attempts of one route; OKX takes three connections a second."""
CONNECT_WITHIN_NS: Final = 10 * SECOND
OVERLAP_NS: Final = 5 * SECOND
"""A replacement takes over after this long even if some quiet feed was not seen on it."""
SETTLED_NS: Final = 10 * SECOND
"""A connection that lived so long starts the back-off anew when it is lost."""
BEFORE_LIFETIME_NS: Final = 600 * SECOND


class Role(Enum):
    """What a connection is to a feed."""

    ALONE = "alone"
    LEADING = "leading"  # of two, the one in use
    FOLLOWING = "following"  # of two, the one that will replace it


class Subscriber(Protocol):
    """Whom the connections deliver to."""

    def target(self, feed: Feed, role: Role) -> Target:
        """Who takes the frames of a feed on a connection."""
        ...

    def cut_off(self, feed: Feed, reason: str, now_ns: int) -> None:
        """Nobody delivers this feed any more."""
        ...

    def taken_over(self, feed: Feed, now_ns: int) -> None:
        """A feed goes on over a connection that was subscribed to it before."""
        ...


@dataclass(slots=True)
class Route:
    """One kind of connection of a venue, and the back-off between its attempts.

    Attributes:
        primary: the connection in use. successor: the one that is to replace it.
        feeds: what it carries, by topic.
        leaving: why the primary must be replaced, "" if it need not.
        settling_ns: until then a new primary's feeds may still be behind those of the old.
    """

    name: str
    url: str
    primary: Link | None = None
    successor: Link | None = None
    feeds: dict[str, Feed] = field(default_factory=dict)
    leaving: str = ""
    attempt: int = 0
    dial_ns: int = 0
    dialled_ns: int = 0
    settling_ns: int = 0


class Routes:
    """All stream connections of a session.

    Attributes:
        links: every connection that is open or under way, by number.
        routes: by name.
        reconnects: connections lost or not made, since the start.
        connected_once: a stream has been open at some time.
    """

    __slots__ = (
        "_codec",
        "_jitter",
        "_outlet",
        "_policy",
        "_serial",
        "_subscriber",
        "_urls",
        "connected_once",
        "links",
        "reconnects",
        "routes",
    )

    def __init__(
        self,
        codec: VenueCodec,
        urls: Mapping[str, str],
        subscriber: Subscriber,
        outlet: Outlet,
        jitter: Callable[[], float],
        policy: Policy,
    ) -> None:
        self.links: dict[int, Link] = {}
        self.routes: dict[str, Route] = {}
        self.reconnects = 0
        self.connected_once = False
        self._codec = codec
        self._urls = urls
        self._subscriber = subscriber
        self._outlet = outlet
        self._jitter = jitter
        self._policy = policy
        self._serial = 0

    @property
    def missing(self) -> str:
        """What is missing for all to be connected, one line; "" if nothing is."""
        for route in self.routes.values():
            if route.primary is None or route.primary.state is not LinkState.OPEN:
                return f"{route.name} is not connected"
        return ""

    def carry(self, feeds: Iterable[Feed], now_ns: int) -> None:
        """Takes feeds that are new, and dials where there is no connection yet."""
        fresh: dict[str, list[Feed]] = {}
        for feed in feeds:
            fresh.setdefault(feed.route, []).append(feed)
        for name, group in fresh.items():
            route = self.routes.get(name)
            if route is None:
                route = self.routes[name] = Route(name, self._urls[name], dial_ns=now_ns)
            route.feeds.update((feed.topic, feed) for feed in group)
            alone = Role.ALONE if route.successor is None else Role.LEADING
            for link, role in ((route.primary, alone), (route.successor, Role.FOLLOWING)):
                if link is not None:
                    self._load(link, group, role)
                    if link.state is LinkState.OPEN:
                        link.subscribe(group)
            self._tend(route, now_ns)

    def adopt(self, feeds: Iterable[Feed], now_ns: int) -> int:
        """An open connection with these feeds that belongs to no route; returns its number."""
        link = self._link("recording", "", now_ns)
        link.state = LinkState.OPEN
        self._load(link, feeds, Role.ALONE)
        return link.number

    def relist(self, listing: Listing) -> None:
        """Every feed of a listing goes on with another definition of it."""
        for route in self.routes.values():
            for topic, feed in route.feeds.items():
                if feed.listing.key == listing.key:
                    route.feeds[topic] = replace(feed, listing=listing)
        for link in self.links.values():
            route_of = self.routes.get(link.route)
            following = route_of is not None and route_of.successor is link
            for topic, feed in link.feeds.items():
                if feed.listing.key != listing.key:
                    continue
                link.feeds[topic] = renewed = replace(feed, listing=listing)
                target = link.targets[feed.key]
                role = Role.FOLLOWING if following else Role.ALONE
                if isinstance(target, Overlap):
                    role = Role.LEADING if target.leading else Role.FOLLOWING
                link.targets[feed.key] = self._subscriber.target(renewed, role)

    def carrier(self, feed: Feed) -> Link | None:
        """The open connection a feed is taken from."""
        route = self.routes.get(feed.route)
        if route is None or route.primary is None or route.primary.state is not LinkState.OPEN:
            return None
        return route.primary

    def connected(self, number: int, now_ns: int) -> None:
        """The handshake of a connection is done."""
        link = self.links.get(number)
        if link is None:
            self._outlet.outbox.append(Disconnect(number))
            return
        self.connected_once = True
        link.opened(now_ns)
        route = self.routes[link.route]
        if link is not route.successor:
            return
        primary = route.primary
        if primary is None:
            self._promote(route, now_ns)
            return
        for feed in primary.feeds.values():
            primary.targets[feed.key] = self._subscriber.target(feed, Role.LEADING)

    def lost(self, number: int, reason: str, now_ns: int) -> None:
        """A connection could not be opened, or is gone."""
        gone = self.links.pop(number, None)
        if gone is None or gone.route not in self.routes:
            return
        route = self.routes[gone.route]
        was_open = gone.state is LinkState.OPEN
        gone.state = LinkState.CLOSED
        if was_open and now_ns - gone.opened_ns > SETTLED_NS:
            route.attempt = 0
        if gone is route.successor:
            route.successor = None
            # The primary's feeds may be behind what this one brought.
            route.settling_ns = now_ns + OVERLAP_NS
            self._outlet.note("warning", f"{route.name} replacement", f"failed: {reason}", now_ns)
            self._back_off(route, now_ns)
            return
        event = "disconnected" if was_open else "cannot connect"
        self._outlet.note("warning", event, f"{route.name}: {reason}", now_ns)
        route.primary = None
        successor = route.successor
        takes_over = successor is not None and successor.state is LinkState.OPEN
        for feed in gone.feeds.values():
            target = successor.targets[feed.key] if takes_over and successor is not None else None
            if not (isinstance(target, Overlap) and target.in_step):
                self._subscriber.cut_off(feed, f"disconnected: {reason}", now_ns)
        if takes_over:
            self._promote(route, now_ns)
        elif successor is None:
            self._back_off(route, now_ns)

    def leave(self, name: str, reason: str) -> None:
        """The connection of a route will end: a second one takes over as soon as it delivers."""
        route = self.routes.get(name)
        if route is not None and route.primary is not None and route.successor is None:
            route.leaving = reason

    def tick(self, now_ns: int) -> None:
        """Does what is due."""
        for route in self.routes.values():
            self._tend(route, now_ns)

    def _tend(self, route: Route, now_ns: int) -> None:
        if route.primary is None and route.successor is None and now_ns >= route.dial_ns:
            route.primary = self._dial(route, Role.ALONE, now_ns)
        for link in (route.primary, route.successor):
            if link is None:
                continue
            if link.state is LinkState.CONNECTING:
                if now_ns - link.opened_ns > CONNECT_WITHIN_NS:
                    self._drop(link, "no answer to the handshake", now_ns)
                continue
            policy = self._policy
            reason = link.tick(now_ns, policy.probe_after_ns, policy.probe_within_ns)
            if link.outgoing:
                self._outlet.outbox.extend(Send(link.number, frame) for frame in link.outgoing)
                link.outgoing.clear()
            if reason:
                self._drop(link, reason, now_ns)
        primary, successor = route.primary, route.successor
        if successor is not None:
            if successor.state is LinkState.OPEN and (
                _delivers(successor) or now_ns - successor.opened_ns > OVERLAP_NS
            ):
                self._promote(route, now_ns)
        elif primary is not None and primary.state is LinkState.OPEN:
            if route.settling_ns:
                self._settle(route, primary, now_ns)
            self._replace_in_time(route, primary, now_ns)

    def _replace_in_time(self, route: Route, primary: Link, now_ns: int) -> None:
        lifetime_ns = self._codec.stream_rules.lifetime_ns
        if lifetime_ns and now_ns - primary.opened_ns > lifetime_ns - BEFORE_LIFETIME_NS:
            route.leaving = route.leaving or "the venue limits how long a connection lives"
        if route.leaving and now_ns >= route.dial_ns:
            text = f"{route.name}: {route.leaving}"
            self._outlet.note("info", "planned reconnect", text, now_ns)
            route.successor = self._dial(route, Role.FOLLOWING, now_ns)

    def _dial(self, route: Route, role: Role, now_ns: int) -> Link:
        route.dialled_ns = now_ns
        link = self._link(route.name, route.url, now_ns)
        self._load(link, route.feeds.values(), role)
        self._outlet.outbox.append(Connect(link.number, route.name, route.url))
        return link

    def _link(self, route: str, url: str, now_ns: int) -> Link:
        self._serial += 1
        link = Link(self._serial, route, url, self._codec, now_ns)
        self.links[link.number] = link
        return link

    def _load(self, link: Link, feeds: Iterable[Feed], role: Role) -> None:
        for feed in feeds:
            link.feeds[feed.topic] = feed
            link.targets[feed.key] = self._subscriber.target(feed, role)

    def _promote(self, route: Route, now_ns: int) -> None:
        """The replacement takes over."""
        link, old = route.successor, route.primary
        if link is None:
            return
        route.primary, route.successor = link, None
        route.leaving = ""
        route.settling_ns = now_ns + OVERLAP_NS
        for feed in link.feeds.values():
            target = link.targets[feed.key]
            if isinstance(target, Overlap):
                target.leading = True
            else:
                link.targets[feed.key] = self._subscriber.target(feed, Role.ALONE)
        if old is not None:
            self.links.pop(old.number, None)
            self._outlet.outbox.append(Disconnect(old.number))
        text = f"{route.name}: the new connection took over"
        self._outlet.note("info", "reconnected", text, now_ns)
        if link.opened_ns < now_ns:
            for feed in link.feeds.values():
                self._subscriber.taken_over(feed, now_ns)

    def _settle(self, route: Route, primary: Link, now_ns: int) -> None:
        """Takes feeds straight from the only connection, once it is not behind the old one."""
        overdue = now_ns > route.settling_ns
        if overdue:
            route.settling_ns = 0
        for feed in primary.feeds.values():
            target = primary.targets[feed.key]
            if isinstance(target, Overlap) and (overdue or target.current):
                primary.targets[feed.key] = self._subscriber.target(feed, Role.ALONE)

    def _drop(self, link: Link, reason: str, now_ns: int) -> None:
        self._outlet.outbox.append(Disconnect(link.number))
        self.lost(link.number, reason, now_ns)

    def _back_off(self, route: Route, now_ns: int) -> None:
        self.reconnects += 1
        slow = max(0, route.attempt - QUICK_ATTEMPTS)
        quick_ns = min(QUICK_DELAY_NS, FIRST_DELAY_NS << min(route.attempt, 16))
        limit_ns = min(LONGEST_DELAY_NS, quick_ns << min(slow, 16))
        route.attempt += 1
        delayed_ns = now_ns + int(self._jitter() * limit_ns)
        route.dial_ns = max(delayed_ns, route.dialled_ns + SPACING_NS)


def _delivers(link: Link) -> bool:
    """Whether a connection has begun, and brings every book where it stands."""
    overlaps = [target for target in link.targets.values() if isinstance(target, Overlap)]
    return link.frames > 0 and all(overlap.in_step for overlap in overlaps)
