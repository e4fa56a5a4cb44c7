"""`cancel-all-after`: cancels everything, or everything with a tag, unless armed again in time."""

from __future__ import annotations

from collections import deque

from hftmm.sim.broker import Broker
from hftmm.sim.ledger import Account
from hftmm.sim.okx.records import note_of
from hftmm.sim.okx.refusal import Refusal, wrong
from hftmm.venues.codec import MILLISECOND, SECOND

TAGS = 20
_SHORTEST_S, _LONGEST_S = 10, 120
_EVERY_NS = 5 * MILLISECOND
"""Orders are canceled one by one, this far apart."""


class DeadMan:
    """The timers of one account, by tag; "" is the one for all its orders."""

    def __init__(self, broker: Broker, account: Account) -> None:
        self._broker = broker
        self._account = account
        self._deadlines: dict[str, int] = {}
        self._doomed: deque[int] = deque()
        self._next_ns = 0

    def arm(self, timeout: str, tag: str, now_ns: int) -> int:
        """Arms, or with "0" disarms; returns when it acts, 0 if not at all.

        Raises:
            Refusal: the timeout is neither 0 nor 10 to 120 seconds, or there are too many tags.
        """
        if not timeout.isdecimal():
            raise wrong("timeOut")
        seconds = int(timeout)
        if not seconds:
            self._deadlines.pop(tag, None)
            return 0
        if not _SHORTEST_S <= seconds <= _LONGEST_S:
            raise wrong("timeOut")
        tags = self._deadlines.keys() - {"", tag}
        if tag and len(tags) >= TAGS:
            raise Refusal(
                "51071", "Tag level cancel-all-after timers have reached the limit of 20."
            )
        self._deadlines[tag] = now_ns + seconds * SECOND
        return self._deadlines[tag]

    def advance(self, now_ns: int) -> None:
        """Cancels what is due."""
        for tag, deadline_ns in list(self._deadlines.items()):
            if deadline_ns <= now_ns:
                del self._deadlines[tag]
                self._doomed += [
                    order.id
                    for order in self._broker.open_orders(self._account)
                    if not tag or note_of(order).tag == tag
                ]
                self._next_ns = now_ns
        while self._doomed and self._next_ns <= now_ns:
            self._broker.cancel(self._account, self._doomed.popleft(), None, now_ns, "dead_man")
            self._next_ns += _EVERY_NS
