"""One stream connection of a session: its timers, and the control messages on their way."""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Final, Protocol

from hftmm.venues.codec import MILLISECOND, SECOND, Feed, StreamRules, VenueCodec

ANSWER_WITHIN_NS: Final = 10 * SECOND
"""A control message that got no answer for so long is sent again."""


class Target(Protocol):
    """Who takes the frames of one feed on one connection."""

    def received(self, frame: bytes, now_ns: int) -> int: ...


class LinkState(Enum):
    """Where a connection stands."""

    CONNECTING = "connecting"
    OPEN = "open"
    CLOSED = "closed"


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
        "_last_sent_ns",
        "_probed_ns",
        "_queue",
        "_rules",
        "_sent",
        "_serial",
        "acknowledged",
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
        self.acknowledged: set[str] = set()
        self.frames = 0
        self.opened_ns = now_ns
        self.heard_ns = now_ns
        self.outgoing: list[bytes] = []
        self._rules: StreamRules = codec.stream_rules
        self._queue: deque[tuple[str, list[Feed]]] = deque()
        self._sent: dict[str, tuple[list[Feed], int]] = {}
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

    def resubscribe(self, feed: Feed) -> None:
        """Leaves and enters one feed, which makes the venue send its snapshot again."""
        self.acknowledged.discard(feed.topic)
        self._queue.append(("unsubscribe", [feed]))
        self._queue.append(("subscribe", [feed]))

    def confirmed(self, request_id: str, topic: str) -> None:
        """The venue acknowledged a request, by our id or by the topic."""
        if topic:
            self.acknowledged.add(topic)
            return
        feeds, _ = self._sent.pop(request_id, ([], 0))
        self.acknowledged.update(feed.topic for feed in feeds)

    def refused(self, request_id: str) -> list[Feed]:
        """The venue refused a request; returns what it asked for."""
        return self._sent.pop(request_id, ([], 0))[0]

    def tick(self, now_ns: int, probe_after_ns: int, probe_within_ns: int) -> str:
        """Sends what is due.

        Args:
            probe_after_ns: silence after which the venue is asked for a sign of life.
            probe_within_ns: how long it may take to give one.

        Returns:
            Why the connection is dead, or "".
        """
        rules = self._rules
        spacing_ns = SECOND // max(1, rules.requests_per_second)
        if self._queue and now_ns - self._last_sent_ns >= spacing_ns:
            self._send(*self._queue.popleft(), now_ns)
        silent_ns = now_ns - self.heard_ns
        since_ping_ns = now_ns - max(self._last_sent_ns, self.opened_ns)
        if self._probed_ns > self.heard_ns:
            if now_ns - self._probed_ns > probe_within_ns:
                return f"silent for {silent_ns // MILLISECOND} ms and no answer to a probe"
        elif probe_after_ns and silent_ns > probe_after_ns:
            self._probed_ns = now_ns
            self._emit(rules.probe or rules.ping, now_ns)
        elif rules.ping and rules.ping_after_ns < (
            silent_ns if rules.ping_when_idle else since_ping_ns
        ):
            self._emit(rules.ping, now_ns)
        for request_id, (feeds, sent_ns) in list(self._sent.items()):
            if now_ns - sent_ns > ANSWER_WITHIN_NS:
                del self._sent[request_id]
                missing = [feed for feed in feeds if feed.topic not in self.acknowledged]
                if missing:
                    self.subscribe(missing)
        return ""

    def _send(self, verb: str, feeds: list[Feed], now_ns: int) -> None:
        self._serial += 1
        request_id = str(self._serial)
        if verb == "subscribe":
            self._sent[request_id] = (feeds, now_ns)
            self._emit(self.codec.subscribe(feeds, request_id), now_ns)
        else:
            self._emit(self.codec.unsubscribe(feeds, request_id), now_ns)

    def _emit(self, frame: bytes, now_ns: int) -> None:
        if frame:
            self.outgoing.append(frame)
            self._last_sent_ns = now_ns
