"""Where an order stands: final, live, or unknown and asked for until the venue tells."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from heapq import heappop, heappush
from typing import Final, Protocol

from hftmm.core.order import Fill, OrderRequest, OrderState, Rejection
from hftmm.execution.action import Action, Amend, Cancel, FetchFills, Place, Query, SyncClock
from hftmm.execution.order import Order
from hftmm.execution.register import Register
from hftmm.execution.settling import DEFAULT, SettlePolicy
from hftmm.execution.throttle import Throttle, Traffic
from hftmm.venues.effects import Note

QUIET: Final = frozenset({Rejection.POST_ONLY, Rejection.NOTHING_TO_TAKE, Rejection.SELF_TRADE})
"""Outcomes that a strategy asked for by its flags; nobody needs to be told."""


class OrderSink(Protocol):
    """Who is told what becomes of orders: journal, portfolio, strategies, screen."""

    def intended(self, order: Order, now_ns: int) -> None:
        """An order will leave with the next `drain`: write it down first."""
        ...

    def changed(self, order: Order, now_ns: int) -> None:
        """Anything of it is other than before."""
        ...

    def filled(self, fill: Fill, order: Order | None, now_ns: int) -> None:
        """A trade of ours, told once; without the order if that is long gone."""
        ...

    def fee_told(self, fill: Fill, now_ns: int) -> None:
        """The fee of a fill that came without one."""
        ...

    def noted(self, note: Note) -> None: ...


class Settlement:
    """Moves orders between states, and keeps asking about those that nobody vouches for.

    Attributes:
        register: the orders.
        outbox: what to send. urgent: what to send before it.
    """

    def __init__(
        self,
        register: Register,
        throttles: Mapping[str, Throttle],
        sink: OrderSink,
        policies: Mapping[str, SettlePolicy],
    ) -> None:
        self.register: Final = register
        self.outbox: Final[list[Action]] = []
        self.urgent: Final[list[Action]] = []
        self._throttles: Final = throttles
        self._sink: Final = sink
        self._policies: Final = policies
        self._timers: Final[list[tuple[int, str]]] = []
        self._done: Final[deque[tuple[int, str]]] = deque()
        self._syncing: Final[dict[str, int]] = {}

    def policy(self, order: Order) -> SettlePolicy:
        return self._policies.get(order.listing.venue, DEFAULT)

    def note(self, level: str, order: Order, event: str, text: str, now_ns: int) -> None:
        """Tells the operator."""
        line = f"{order.listing.symbol} {order.client_id}: {text}"
        self._sink.noted(Note(level, order.listing.venue, event, line, now_ns))

    # ---- states -------------------------------------------------------------------------------

    def live(self, order: Order, now_ns: int, *, answer: bool) -> None:
        """The venue has it, and it may trade."""
        was = order.state
        order.asked = 0
        if not order.cancel_wanted:
            order.state = OrderState.PARTIALLY_FILLED if order.filled else OrderState.OPEN
            return
        order.state = OrderState.PENDING_CANCEL
        idle = not order.cancel_ns and not order.cancel_due_ns
        if idle and (answer or was is OrderState.UNKNOWN):
            # It still stands though the cancel had its time: once more, but not in a loop.
            order.cancel_due_ns = now_ns + self.policy(order).pause_ns(order.cancels)
        if order.cancel_due_ns:
            self.look_at(order, order.cancel_due_ns)

    def end(
        self,
        order: Order,
        state: OrderState,
        rejection: Rejection | None,
        text: str,
        now_ns: int,
        *,
        inferred: bool,
    ) -> None:
        """Nothing more can happen to it. What the venue said is final, what we inferred is not."""
        was_final = order.state.final
        if was_final and not order.inferred:
            return
        # The venues tell a post-only order that would take in three ways: refused, canceled or
        # expired. It is one outcome.
        if rejection is Rejection.POST_ONLY and not order.filled:
            state = OrderState.REJECTED
        order.state, order.inferred = state, inferred
        order.rejection, order.text = rejection, text
        order.amend = None
        order.resting_for_clock = False
        self.forget_requests(order, now_ns)
        if was_final:
            return
        self.register.ended(order)
        self._done.append((now_ns + self.policy(order).keep_ns, order.client_id))
        if state is OrderState.REJECTED and not inferred and rejection not in QUIET:
            self.note("warning", order, "rejected", text, now_ns)

    def doubt(self, order: Order, why: str, now_ns: int, wait_ns: int | None = None) -> None:
        """Nobody knows where it stands: it counts in full until a query settles it.

        Args:
            wait_ns: before the first query; None for the usual pause, in which the stream may
                speak first.
        """
        revived = order.state.final
        if order.state is not OrderState.UNKNOWN:
            order.state = OrderState.UNKNOWN
            order.inferred = False
            order.text = why
            order.rejection = None
            order.asked = order.not_found_ns = order.query_ns = 0
        if revived:
            self.register.revived(order)
        order.resting_for_clock = False
        wait_ns = self.policy(order).pause_ns(0) if wait_ns is None else wait_ns
        if not order.query_ns or now_ns + wait_ns < order.query_ns:
            order.query_ns = now_ns + wait_ns
        self.look_at(order, order.query_ns)

    def ask_later(self, order: Order, now_ns: int) -> None:
        """A query brought nothing: the next one after a longer pause."""
        order.query_ns = now_ns + self.policy(order).pause_ns(order.asked)
        self.look_at(order, order.query_ns)

    def forget_requests(self, order: Order, now_ns: int) -> None:
        """Answers to what was sent will not come, or no longer matter."""
        if order.amend_ns and order.amend is not None:
            # It may yet arrive: until then the larger size counts.
            order.amend_grace_ns = now_ns + self.policy(order).absent_ns
        order.place_ns = order.ack_ns = order.amend_ns = order.cancel_ns = order.cancel_due_ns = 0

    def expect_fills(self, order: Order, now_ns: int) -> None:
        """The venue counts more than was booked: the fills are on their way, or lost."""
        if order.filled <= order.booked:
            order.missing_ns = order.fetches = 0
        elif not order.missing_ns:
            order.missing_ns = now_ns
            self.look_at(order, now_ns + self.policy(order).fills_within_ns)

    # ---- sending ------------------------------------------------------------------------------

    def send_place(self, order: Order, request: OrderRequest, now_ns: int) -> None:
        """Queues the request of the order; it leaves with the next drain."""
        order.place_ns = now_ns
        self.outbox.append(Place(request))
        self.look_at(order, now_ns + self.policy(order).answer_within_ns)

    def send_cancel(self, order: Order, now_ns: int, *, forced: bool = False) -> None:
        """Queues a cancel ahead of everything else, or remembers it for when the venue takes it,
        unless it is `forced`.
        """
        if not order.sent:
            # It was not drained yet, or the venue refused it for the clock: it is not there.
            self.end(order, OrderState.CANCELED, None, "not sent", now_ns, inferred=True)
            return
        if order.state is not OrderState.UNKNOWN:
            order.state = OrderState.PENDING_CANCEL
        listing = order.listing
        denial = self._throttles[listing.venue].admit(listing, Traffic.CANCEL, now_ns)
        if denial is not None and not forced:
            order.cancel_due_ns = denial.until_ns
            self.look_at(order, denial.until_ns)
            return
        order.cancels += 1
        order.cancel_ns, order.cancel_due_ns = now_ns, 0
        self.urgent.append(Cancel(listing, order.client_id, order.venue_id))
        self.look_at(order, now_ns + self.policy(order).answer_within_ns)

    def sync_clock(self, order: Order, now_ns: int) -> None:
        """Asks for the venue's clock, unless that is under way."""
        venue = order.listing.venue
        asked_ns = self._syncing.get(venue)
        if asked_ns is None or now_ns - asked_ns >= self.policy(order).answer_within_ns:
            self._syncing[venue] = now_ns
            self.outbox.append(SyncClock(venue))

    def clock_synced(self, venue: str) -> None:
        """It was measured."""
        self._syncing.pop(venue, None)

    def drain(self) -> list[Action]:
        """What to send, cancels first."""
        if not self.outbox and not self.urgent:
            return []  # after nearly every frame
        actions = self.urgent + [action for action in self.outbox if self._still_wanted(action)]
        self.urgent.clear()
        self.outbox.clear()
        return actions

    def _still_wanted(self, action: Action) -> bool:
        if not isinstance(action, Place | Amend):
            return True
        order = self.register.orders.get(action.client_id)
        if order is None or order.state.final:
            return False
        if isinstance(action, Amend) and order.cancel_wanted:
            order.amend, order.amend_ns = None, 0
            self.changed(order, order.cancel_ns)
            return False
        order.sent = True
        return True

    # ---- time ---------------------------------------------------------------------------------

    def look_at(self, order: Order, due_ns: int) -> None:
        """Looks at it no later than that."""
        if not order.due_ns or due_ns < order.due_ns:
            order.due_ns = due_ns
            heappush(self._timers, (due_ns, order.client_id))

    def tick(self, now_ns: int) -> None:
        """Time passed: requests without answers, words not kept, questions due."""
        timers = self._timers
        while timers and timers[0][0] <= now_ns:
            due_ns, client_id = heappop(timers)
            order = self.register.orders.get(client_id)
            if order is not None and order.due_ns == due_ns:
                order.due_ns = 0
                self._look(order, now_ns)
        done = self._done
        while done and done[0][0] <= now_ns:
            order = self.register.orders.get(done.popleft()[1])
            if order is None or not order.state.final:
                continue
            if order.missing_ns:
                done.append((now_ns + self.policy(order).keep_ns, order.client_id))
            else:
                self.register.drop(order)

    def changed(self, order: Order, now_ns: int) -> bool:
        """Counts it anew and tells the sink.

        Returns:
            Whether it was the last order of its listing that had something unsettled.
        """
        settled = self.register.recount(order)
        self._sink.changed(order, now_ns)
        return settled

    def _look(self, order: Order, now_ns: int) -> None:
        policy = self.policy(order)
        if order.live:
            if order.resting_for_clock:
                text = f"{order.text}; the clock could not be measured in time"
                self.end(order, OrderState.REJECTED, Rejection.CLOCK, text, now_ns, inferred=True)
                self.changed(order, now_ns)
                return
            self._look_at_requests(order, policy, now_ns)
            if order.state is OrderState.UNKNOWN and order.query_ns <= now_ns:
                order.asked += 1
                order.query_ns = now_ns + policy.pause_ns(order.asked)
                self.outbox.append(Query(order.listing, order.client_id))
            if order.cancel_due_ns and order.cancel_due_ns <= now_ns:
                self.send_cancel(order, now_ns)
                self.changed(order, now_ns)
        self._fetch(order, policy, now_ns)
        self._look_again(order, policy)

    def _look_at_requests(self, order: Order, policy: SettlePolicy, now_ns: int) -> None:
        why = ""
        oldest_ns = min((ns for ns in _under_way(order) if ns), default=now_ns)
        if now_ns - oldest_ns >= policy.answer_within_ns:
            self.forget_requests(order, now_ns)
            why = "no answer"
        if order.ack_ns and now_ns - order.ack_ns >= policy.confirm_within_ns:
            order.ack_ns = 0
            why = why or "acknowledged, not confirmed"
        if order.amend is not None and 0 < order.amend_grace_ns <= now_ns:
            order.amend_grace_ns = 0
            why = why or "a change without an answer"
        if why:
            self.doubt(order, why, now_ns, 0)
            self.changed(order, now_ns)

    def _look_again(self, order: Order, policy: SettlePolicy) -> None:
        if order.state.final:
            return
        for sent_ns in _under_way(order):
            if sent_ns:
                self.look_at(order, sent_ns + policy.answer_within_ns)
        if order.ack_ns:
            self.look_at(order, order.ack_ns + policy.confirm_within_ns)
        if order.cancel_due_ns:
            self.look_at(order, order.cancel_due_ns)
        if order.amend is not None and order.amend_grace_ns:
            self.look_at(order, order.amend_grace_ns)
        if order.state is OrderState.UNKNOWN:
            self.look_at(order, order.query_ns)

    def _fetch(self, order: Order, policy: SettlePolicy, now_ns: int) -> None:
        if not order.missing_ns:
            return
        wait_ns = policy.fills_within_ns << min(order.fetches, 6)
        if now_ns - order.missing_ns >= wait_ns:
            order.fetches += 1
            order.missing_ns = now_ns
            wait_ns = policy.fills_within_ns << min(order.fetches, 6)
            since_ns = order.created_ns - policy.overlap_ns
            self.outbox.append(FetchFills(order.listing, since_ns))
            if order.fetches > policy.patience:
                text = f"{order.filled - order.booked:f} traded of which the venue shows no fill"
                self.note("error", order, "fills missing", text, now_ns)
        self.look_at(order, order.missing_ns + wait_ns)

    def _check(self) -> None:
        """Walks every invariant; O(orders)."""
        self.register._check()
        for order in self.register.orders.values():
            assert 0 <= order.booked <= order.filled, order
            assert (order.filled > order.booked) == bool(order.missing_ns), order
            waits = order.state is OrderState.UNKNOWN or order.missing_ns or order.ack_ns
            if waits or (order.live and any(_under_way(order))):
                assert order.due_ns, order
            if order.state.final:
                assert order.amend is None, order


def _under_way(order: Order) -> tuple[int, int, int]:
    return order.place_ns, order.amend_ns, order.cancel_ns
