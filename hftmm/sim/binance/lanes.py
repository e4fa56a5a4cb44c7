"""The venue takes a moment to answer: frames that wait, each way of saying things in order."""

from __future__ import annotations

import heapq
import random

from hftmm.sim.peers import Push

SOONEST_NS = 1_000_000
LATEST_NS = 4_000_000


class Lanes:
    """Frames under way.

    Each lane of a connection, its answers or its events, keeps its order; between the two the
    draw decides, so that a fill may be heard of before the order is answered, or after.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._waiting: list[tuple[int, int, Push]] = []
        self._sent = 0
        self._last_ns: dict[tuple[int, str], int] = {}

    def moment_ns(self) -> int:
        """How long the venue takes over the next thing it says."""
        return self._rng.randint(SOONEST_NS, LATEST_NS)

    def send(self, lane: str, push: Push, now_ns: int) -> None:
        """Puts a frame on its way."""
        key = push.connection, lane
        due_ns = max(now_ns + self.moment_ns(), self._last_ns.get(key, 0))
        self._last_ns[key] = due_ns
        self._sent += 1
        heapq.heappush(self._waiting, (due_ns, self._sent, push))

    def due(self, now_ns: int) -> list[Push]:
        """Frames whose moment has come."""
        arrived = []
        while self._waiting and self._waiting[0][0] <= now_ns:
            arrived.append(heapq.heappop(self._waiting)[2])
        return arrived

    def close(self, connection: int) -> None:
        """Forgets a connection and what was on its way to it."""
        self._waiting = [entry for entry in self._waiting if entry[2].connection != connection]
        heapq.heapify(self._waiting)
        for lane in ("answer", "event"):
            self._last_ns.pop((connection, lane), None)
