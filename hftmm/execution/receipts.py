"""What the venue answered to a request: receipts and refusals, which are not the truth yet."""

from __future__ import annotations

from typing import Final

from hftmm.core.order import OrderAnswer, OrderState, Rejection
from hftmm.execution.action import Amend
from hftmm.execution.order import Order
from hftmm.execution.settlement import QUIET, Settlement

_GONE: Final = frozenset({Rejection.UNKNOWN_ORDER, Rejection.ALREADY_DONE})


class Receipts:
    """Draws what follows from an answer for the order that was asked about."""

    def __init__(self, settlement: Settlement) -> None:
        self._settlement: Final = settlement

    def placed(self, order: Order, answer: OrderAnswer, now_ns: int) -> None:
        """The answer to its placing."""
        order.place_ns = 0
        if order.state.final:
            return
        if answer.accepted:
            if not order.seen:
                self.await_word(order, now_ns)
        elif answer.unknown or answer.rejection is Rejection.DUPLICATE:
            # A duplicate client id says that an earlier copy of this request arrived.
            self._settlement.doubt(order, answer.text, now_ns)
        elif order.seen or order.booked:
            self._settlement.doubt(order, f"refused, yet it is there: {answer.text}", now_ns)
        elif self._may_retry(order, answer, now_ns):
            order.retried = order.resting_for_clock = True
            order.sent = False
            order.text = answer.text
            self._settlement.sync_clock(order, now_ns)
            policy = self._settlement.policy(order)
            self._settlement.look_at(order, order.created_ns + policy.retry_within_ns)
        else:
            rejection = answer.rejection or Rejection.OTHER
            self._settlement.end(
                order, OrderState.REJECTED, rejection, answer.text, now_ns, inferred=False
            )

    def amended(self, order: Order, request: Amend, answer: OrderAnswer, now_ns: int) -> None:
        """The answer to a change of it, perhaps not the newest one."""
        if order.amend is not request.change:
            return
        order.amend_ns = order.amend_grace_ns = 0
        if answer.accepted:
            self.await_word(order, now_ns)
        elif answer.unknown:
            order.amend_grace_ns = now_ns + self._settlement.policy(order).absent_ns
            self._settlement.doubt(order, answer.text, now_ns)
        else:
            order.amend = None
            if answer.rejection is Rejection.CLOCK:
                self._settlement.sync_clock(order, now_ns)
            elif answer.rejection in _GONE:
                self._settlement.doubt(order, answer.text, now_ns, 0)
            elif answer.rejection not in QUIET:
                self._settlement.note("warning", order, "amend refused", answer.text, now_ns)

    def cancel_answered(
        self, order: Order, answer: OrderAnswer, until_ns: int, now_ns: int
    ) -> None:
        """The answer to its cancel; `until_ns` is when the venue wants to be asked again."""
        order.cancel_ns = 0
        if order.state.final:
            return
        if answer.accepted:
            self.await_word(order, now_ns)
        elif answer.unknown or answer.rejection in _GONE:
            # Filled, canceled, never arrived, or not there yet: only a query can tell.
            self._settlement.doubt(order, answer.text, now_ns, 0)
        else:
            if answer.rejection is Rejection.CLOCK:
                self._settlement.sync_clock(order, now_ns)
            elif answer.rejection is not Rejection.RATE:
                self._settlement.note("error", order, "cancel refused", answer.text, now_ns)
            pause_ns = self._settlement.policy(order).pause_ns(order.cancels)
            # A stated time is kept to; without one the pauses grow.
            order.cancel_due_ns = until_ns if until_ns > now_ns else now_ns + pause_ns
            self._settlement.look_at(order, order.cancel_due_ns)

    def await_word(self, order: Order, now_ns: int) -> None:
        """It was taken for processing: the stream must tell what came of it."""
        order.ack_ns = now_ns
        policy = self._settlement.policy(order)
        self._settlement.look_at(order, now_ns + policy.confirm_within_ns)

    def _may_retry(self, order: Order, answer: OrderAnswer, now_ns: int) -> bool:
        young = now_ns - order.created_ns < self._settlement.policy(order).retry_within_ns
        first = not (order.retried or order.cancel_wanted)
        return answer.rejection is Rejection.CLOCK and first and young
