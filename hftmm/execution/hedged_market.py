"""Where the hedging of one market stands: what is open, on its way, and which step it is at."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from hftmm.execution.exposure_clock import ExposureClock, plain
from hftmm.execution.order import ZERO, Order

_MILLISECOND: Final = 1_000_000


class Sent:
    """A hedge order.

    Attributes:
        step: of the ladder. late: it was not final in its time. ended: its end was dealt with.
        told: base coins of it that the clock has counted. News of an order and of its fills come
            one after the other, so the order itself may be ahead.
    """

    __slots__ = ("ended", "late", "ns", "order", "step", "told")

    def __init__(self, order: Order, step: int, now_ns: int) -> None:
        self.order: Final = order
        self.step: Final = step
        self.ns: Final = now_ns
        self.told = order.booked
        self.late = False
        self.ended = False

    @property
    def coming(self) -> Decimal:
        """Base coins that it may still close, all of it while nobody vouches for less."""
        order = self.order
        return max((order.size if order.live else order.filled) - self.told, ZERO)


class HedgedMarket:
    """One market.

    What was done about an exposure holds while any of it is open: a moment of `alarmed_ns`,
    `flatten_ns`, `engaged_ns` or the ladder's that lies before the oldest open part is history.

    Attributes:
        clock: what is open.
        flight: hedge orders that may still trade, or whose fills are not all told, by client id.
        step: of the ladder, from 0.
        tried: venues whose order fell short in this round -> whether it traded at all.
        out: venues that take no order in this round -> why.
        why: why the last attempt left something, by venue.
        next_ns: when the next round begins; 0 if none is due. waits: for it, or for a book.
        residual_ns: since when all that is open is too small to hedge; 0 if it is not.
        halted: venues that were halted for what is open.
        exposed_ns: since when more than that is open; 0 if it is not.
        obstacle: own orders that a hedge had to wait for; "" if none.
        last: the newest order, one line.
        reason: why nobody may open more of this market, one line; "" if they may.
    """

    def __init__(self, symbol: str) -> None:
        self.symbol: Final = symbol
        self.clock: Final = ExposureClock()
        self.flight: Final[dict[str, Sent]] = {}
        self.tried: Final[dict[str, bool]] = {}
        self.out: Final[dict[str, str]] = {}
        self.why: dict[str, str] = {}
        self.next_ns = 0
        self.waits = False
        self.residual_ns = 0
        self.exposed_ns = 0
        self.alarmed_ns = 0
        self.flatten_ns = 0
        self.engaged_ns = 0
        self.attempts = 0
        self.halted: Final[set[str]] = set()
        self.obstacle = ""
        self.last = ""
        self.reason = ""
        self._step = 0
        self._step_ns = 0
        self._round_step = 0

    @property
    def idle(self) -> bool:
        """Nothing is open and nothing on its way."""
        return not self.clock.parts and not self.flight

    @property
    def step(self) -> int:
        return self._step if self.holds(self._step_ns) else 0

    @property
    def flattening(self) -> bool:
        return self.holds(self.flatten_ns)

    def holds(self, moment_ns: int) -> bool:
        """What was done then was about something that is open now."""
        return 0 < self.clock.since_ns <= moment_ns

    def age_ns(self, now_ns: int) -> int:
        """Of the oldest open unit; 0 if nothing is, or only what is too small."""
        since_ns = self.clock.since_ns
        return now_ns - since_ns if since_ns and not self.residual_ns else 0

    def free(self) -> Decimal:
        """What is open for certain: signed, and 0 if what is on its way may close it all."""
        amount = self.clock.amount
        sign = 1 if amount > ZERO else -1
        coming = ZERO
        for sent in self.flight.values():
            if (sent.order.side == "sell") is (sign > 0):
                coming += sent.coming
        return max(abs(amount) - coming, ZERO) * sign

    def fly(self, order: Order, now_ns: int) -> Sent:
        """An order may trade."""
        return self.flight.setdefault(order.client_id, Sent(order, self.step, now_ns))

    def late(self, venue: str) -> Order | None:
        """An order there that is overdue and not settled."""
        for sent in self.flight.values():
            if sent.late and sent.order.live and sent.order.listing.venue == venue:
                return sent.order
        return None

    def land(self) -> None:
        """Lets go of orders that nothing more can come of."""
        for client_id, sent in list(self.flight.items()):
            if not sent.order.live and not sent.coming:
                del self.flight[client_id]

    def climb(self, step: int, now_ns: int) -> None:
        """The ladder stands at this step at least."""
        self._step = max(self.step, step)
        self._step_ns = now_ns

    def round(self, now_ns: int) -> None:
        """All venues may be asked again; at a wider cap than in the last round if that failed."""
        if self.waits:
            self.climb(min(self._round_step, self.step) + 1, now_ns)
        self._round_step = self.step
        self.tried.clear()
        self.out.clear()
        self.next_ns = 0

    def rest(self) -> None:
        """Nothing is left to hedge."""
        self.tried.clear()
        self.out.clear()
        self.halted.clear()
        self.why = {}
        self.next_ns = self.exposed_ns = self._round_step = 0
        self.waits = False
        self.obstacle = ""

    def words(self, now_ns: int) -> str:
        """How much is open for how long, and why: one line."""
        text = f"{plain(self.clock.amount)} open for {self.age_ns(now_ns) / _MILLISECOND:.0f} ms"
        doubts = [
            f"{sent.order.listing.venue} {plain(sent.coming)} {sent.order.state}"
            for sent in self.flight.values()
        ]
        reasons = [f"{venue} {why}" for venue, why in self.why.items()]
        return "; ".join([text, *doubts, *reasons])

    def _check(self) -> None:
        """Walks every invariant; O(parts + orders)."""
        self.clock._check()
        if self.residual_ns:
            assert self.clock.parts
        for client_id, sent in self.flight.items():
            assert sent.order.client_id == client_id
            assert sent.order.listing.symbol == self.symbol
