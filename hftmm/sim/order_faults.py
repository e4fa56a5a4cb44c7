"""What goes wrong between an order and its client: answers and private news, lost or late.

The venue itself is right all along; only what the client hears of it suffers. Which messages are
meant they say themselves, by their `matter`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from hftmm.sim.overload import (
    OrderRequest,
    is_order,
    number_of,
    order_request,
    too_many,
    too_many_frame,
    unknown,
    unknown_frame,
)
from hftmm.sim.peers import LOST, HttpAnswer, HttpQuery, Matter, Push

MILLISECOND = 1_000_000

ORDER_FAULTS: Mapping[str, str] = MappingProxyType(
    {
        "lost_ack": "order requests are carried out and never answered (amount: how many, 1)",
        "unknown": "order requests are carried out, and the answer says that nobody knows "
        "(amount: how many, 1)",
        "late_ack": "answers to order requests come after the private stream's news, until none "
        "(amount: milliseconds, 300)",
        "late_private": "private streams lag behind answers, until none "
        "(amount: milliseconds, 300)",
        "late_fill": "fills come later than all other news, even than that of a cancel, "
        "until none (amount: milliseconds, 300)",
        "duplicate_fill": "the next private frames with a fill come twice (amount: how many, 1)",
        "fill_on_cancel": "the next orders to be canceled or amended are filled a moment before "
        "(amount: how many, 1)",
        "order_throttle": "order requests, cancels too, are refused as too many, until none "
        "(amount: seconds to wait, 1)",
    }
)

ORDER_AMOUNTS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "lost_ack": (1, 1_000),
        "unknown": (1, 1_000),
        "late_ack": (300, 60_000),
        "late_private": (300, 60_000),
        "late_fill": (300, 60_000),
        "duplicate_fill": (1, 1_000),
        "fill_on_cancel": (1, 1_000),
        "order_throttle": (1, 3_600),
    }
)

_PRIVATE: frozenset[Matter] = frozenset({"order", "fill", "account"})


class OrderFaults:
    """The faults of one venue's order entry and private streams.

    Attributes:
        left: how often a fault that is counted still strikes, by name.
    """

    def __init__(self, venue: str, active: Mapping[str, float]) -> None:
        """Reads lasting faults from `active`, amounts by name, as they are switched."""
        self.left: dict[str, int] = {}
        self._venue = venue
        self._active = active
        # Order requests whose answers are to be replaced, by connection and the client's id.
        self._asked: dict[int, dict[bytes, OrderRequest]] = {}

    def begin(self, fault: str, amount: float) -> None:
        """Switches on a fault that is counted."""
        self.left[fault] = int(amount)

    def end(self, fault: str) -> None:
        """Ends one fault; answers still awaited are heard as they come."""
        self.left.pop(fault, None)
        if fault == "unknown":
            self._asked.clear()

    def clear(self) -> None:
        """Ends every fault; answers still awaited are heard as they come."""
        self.left.clear()
        self._asked.clear()

    def forget(self, connection: int) -> None:
        """The connection is gone."""
        self._asked.pop(connection, None)

    def refused(self, query: HttpQuery) -> HttpAnswer | None:
        """The answer to a REST request that does not reach the venue."""
        if "order_throttle" not in self._active or not is_order(query):
            return None
        return too_many(self._venue, 429, self._active["order_throttle"])

    def refused_frame(self, connection: int, frame: bytes, venue_ns: int) -> bytes | None:
        """The answer to a frame that does not reach the venue.

        Args:
            venue_ns: the time by the venue's own clock.
        """
        throttled = "order_throttle" in self._active
        if not throttled and not self.left.get("unknown"):
            return None
        asked = order_request(self._venue, frame)
        if asked is None:
            return None
        if throttled:
            retry_after_s = self._active["order_throttle"]
            return too_many_frame(self._venue, asked, retry_after_s, venue_ns)
        if self._strikes("unknown"):
            self._asked.setdefault(connection, {})[bytes(asked.number)] = asked
        return None

    def answered(self, answer: HttpAnswer) -> HttpAnswer:
        """What the client gets of the venue's answer to a REST request."""
        if answer.matter != "ack":
            return answer
        if self._strikes("lost_ack"):
            return HttpAnswer(LOST, b"")
        if self._strikes("unknown"):
            answer = unknown(self._venue)
        late_ns = int(self._active.get("late_ack", 0) * MILLISECOND)
        return msgspec.structs.replace(answer, late_ns=late_ns) if late_ns else answer

    def pushed(self, push: Push) -> list[tuple[Push, int]]:
        """What the client gets of a frame, and how much later than usual, ns."""
        if push.matter == "ack":
            asked = self._unknown(push)
            if asked is not None:
                push = msgspec.structs.replace(push, frame=unknown_frame(self._venue, asked))
            elif self._strikes("lost_ack"):
                return []
            return [(push, self._late_ns("late_ack"))]
        if push.matter not in _PRIVATE:
            return [(push, 0)]
        late_ns = self._late_ns("late_private")
        if push.matter == "fill":
            late_ns = max(late_ns, self._late_ns("late_fill"))
            if self._strikes("duplicate_fill"):
                return [(push, late_ns), (push, late_ns)]
        return [(push, late_ns)]

    def _unknown(self, push: Push) -> OrderRequest | None:
        """The request this answers, if nobody is to know what became of it."""
        waiting = self._asked.get(push.connection)
        if not waiting:
            return None
        number = number_of(self._venue, push.frame)
        return waiting.pop(number, None) if number is not None else None

    def _late_ns(self, fault: str) -> int:
        return int(self._active.get(fault, 0) * MILLISECOND)

    def _strikes(self, fault: str) -> bool:
        left = self.left.get(fault, 0)
        if not left:
            return False
        self.left[fault] = left - 1
        return True
