"""One stream connection of a session: its timers, and the control messages on their way."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from hftmm.venues.codec import MILLISECOND, SECOND, Feed, StreamRules, VenueCodec
from hftmm.venues.depth import DepthFeed

ANSWER_WITHIN_NS: Final = 10 * SECOND
"""A control message that got no answer for so long is sent again."""
SPLIT_AFTER_NS: Final = 1 * SECOND
"""By then a refused request's other topics are acknowledged, where the venue does that singly."""
_HOUR_NS: Final = 3600 * SECOND


class Target(Protocol):
    """Who takes the frames of one feed on one connection.

    Attributes:
        depth: whose book it is that flags other than 0 speak of; None if it never returns any.
    """

    @property
    def depth(self) -> DepthFeed | None: ...

    def received(self, frame: bytes, now_ns: int) -> int: ...


class LinkState(Enum):
    """Where a connection stands."""

    CONNECTING = "connecting"
    OPEN = "open"
    CLOSED = "closed"


@dataclass(slots=True)
class _Asked:
    """A subscription on its way; `refused` if the venue did not take all of it."""

    feeds: list[Feed]
    sent_ns: int
    refused: bool = False


class Link:
    """A connection, from dialling to closing.

    Attributes:
        number: unique in the session; drivers name a connection by it.
        feeds: the feeds it is to carry, by topic.
        targets: who takes a frame, by the bytes the codec cuts from it.
        frames: received since it opened.
        outgoing: control frames due now; the session takes them.
    """

    __slots__ = (
        "_acknowledged",
        "_asked",
        "_hour",
        "_last_sent_ns",
        "_probed_ns",
        "_queue",
        "_renewals",
        "_rules",
        "_serial",
        "codec",
        "feeds",
        "frames",
        "heard_ns",
        "number",
        "opened_ns",
        "outgoing",
        "route",
        "state",
        "targets",
        "url",
    )

    def __init__(self, number: int, route: str, url: str, codec: VenueCodec, now_ns: int) -> None:
        self.number = number
        self.route = route
        self.url = url
        self.codec = codec
        self.state = LinkState.CONNECTING
        self.feeds: dict[str, Feed] = {}
        self.targets: dict[bytes, Target] = {}
        self.frames = 0
        self.opened_ns = now_ns
        self.heard_ns = now_ns
        self.outgoing: list[bytes] = []
        rules = codec.stream_rules
        self._rules: StreamRules = rules
        self._queue: deque[tuple[str, list[Feed]]] = deque()
        self._renewals: dict[str, Feed] = {}
        self._asked: dict[str, _Asked] = {}
        self._acknowledged: set[str] = set()
        self._hour: deque[int] = deque(maxlen=rules.requests_per_hour)
        self._serial = 0
        self._last_sent_ns = 0
        self._probed_ns = 0

    def opened(self, now_ns: int) -> None:
        """The handshake is done: subscribe to everything."""
        self.state = LinkState.OPEN
        self.opened_ns = self.heard_ns = now_ns
        self.subscribe(list(self.feeds.values()))

    def subscribe(self, feeds: list[Feed]) -> None:
        """Queues subscriptions, as many to a request as the venue takes."""
        size = self._rules.topics_per_request
        for i in range(0, len(feeds), size):
            self._queue.append(("subscribe", feeds[i : i + size]))

    def renew(self, feed: Feed) -> None:
        """Leaves and enters a feed, which makes the venue send its snapshot again."""
        self._renewals[feed.topic] = feed

    def confirmed(self, request_id: str, topic: str) -> None:
        """The venue acknowledged a request: all of it, or one topic at a time."""
        asked = self._asked.get(request_id)
        if asked is None:
            return
        self._acknowledged.update([topic] if topic else (feed.topic for feed in asked.feeds))
        if not self._missing(asked):
            del self._asked[request_id]

    def refused(self, request_id: str, topic: str) -> list[Feed]:
        """The venue refused a request, or one topic of it.

        Returns:
            The feeds that are given up. Those whose fate is not clear are asked for one by one.
        """
        asked = self._asked.get(request_id)
        if asked is None:
            return []
        hopeless = [feed for feed in asked.feeds if feed.topic == topic or len(asked.feeds) == 1]
        asked.feeds = [feed for feed in asked.feeds if feed not in hopeless]
        asked.refused = True
        if not asked.feeds:
            del self._asked[request_id]
        return hopeless

    def asking(self, request_id: str) -> bool:
        """Whether part of a request is still to be settled."""
        return request_id in self._asked

    def tick(self, now_ns: int, probe_after_ns: int, probe_within_ns: int) -> str:
        """Sends what is due, never faster than the venue takes it.

        Args:
            probe_after_ns: silence after which the venue is asked for a sign of life.
            probe_within_ns: how long it may take to give one.

        Returns:
            Why the connection is of no more use, or "".
        """
        rules = self._rules
        silent_ns = now_ns - self.heard_ns
        if self._probed_ns > self.heard_ns and now_ns - self._probed_ns > probe_within_ns:
            return f"silent for {silent_ns // MILLISECOND} ms and no answer to a probe"
        self._repeat(now_ns)
        if now_ns - self._last_sent_ns < SECOND // rules.requests_per_second:
            return ""
        since_ping_ns = now_ns - max(self._last_sent_ns, self.opened_ns)
        if probe_after_ns and silent_ns > probe_after_ns and self._probed_ns <= self.heard_ns:
            self._probed_ns = now_ns
            self._emit(rules.probe or rules.ping, now_ns)
        elif rules.ping and rules.ping_after_ns < (
            silent_ns if rules.ping_when_idle else since_ping_ns
        ):
            self._emit(rules.ping, now_ns)
        elif self._queue or self._renewals:
            limit = rules.requests_per_hour
            if limit and len(self._hour) == limit and now_ns - self._hour[0] < _HOUR_NS:
                return f"the {limit} requests an hour that the venue takes are used up"
            self._hour.append(now_ns)
            self._request(now_ns)
        return ""

    def _repeat(self, now_ns: int) -> None:
        """Asks again for what was not answered, and singly for what was refused as a whole."""
        for request_id, asked in list(self._asked.items()):
            waited_ns = now_ns - asked.sent_ns
            if waited_ns <= (SPLIT_AFTER_NS if asked.refused else ANSWER_WITHIN_NS):
                continue
            del self._asked[request_id]
            missing = self._missing(asked)
            if asked.refused:
                self._queue.extend(("subscribe", [feed]) for feed in missing)
            else:
                self.subscribe(missing)

    def _missing(self, asked: _Asked) -> list[Feed]:
        return [feed for feed in asked.feeds if feed.topic not in self._acknowledged]

    def _request(self, now_ns: int) -> None:
        """Sends the next request. All that is to be renewed goes together: requests are scarce."""
        if self._queue:
            verb, feeds = self._queue.popleft()
        else:
            verb, feeds = (
                "unsubscribe",
                list(_first(self._renewals, self._rules.topics_per_request)),
            )
            for feed in feeds:
                del self._renewals[feed.topic]
            self._acknowledged.difference_update(feed.topic for feed in feeds)
            self._queue.append(("subscribe", feeds))
        self._serial += 1
        request_id = str(self._serial)
        if verb == "subscribe":
            self._asked[request_id] = _Asked(feeds, now_ns)
            self._emit(self.codec.subscribe(feeds, request_id), now_ns)
        else:
            self._emit(self.codec.unsubscribe(feeds, request_id), now_ns)

    def _emit(self, frame: bytes, now_ns: int) -> None:
        if frame:
            self.outgoing.append(frame)
            self._last_sent_ns = now_ns


def _first(feeds: dict[str, Feed], count: int) -> Iterable[Feed]:
    return [feed for _, feed in zip(range(count), feeds.values(), strict=False)]
