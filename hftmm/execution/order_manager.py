"""Every order of ours from the approval until nothing more can happen to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from hftmm.core.instrument import Kind, Listing
from hftmm.core.order import (
    AmendIntent,
    Amendment,
    Fill,
    OrderAnswer,
    OrderIntent,
    OrderRequest,
    OrderState,
    OrderUpdate,
    Rejection,
)
from hftmm.execution.action import Action, Amend, Cancel, FetchFills, Place, Query, Request
from hftmm.execution.client_ids import ClientIds
from hftmm.execution.fills import FillBook, Strangers
from hftmm.execution.order import ZERO, Exposure, Order
from hftmm.execution.receipts import Receipts
from hftmm.execution.register import Register
from hftmm.execution.settlement import OrderSink, Settlement
from hftmm.execution.settling import POLICIES, SettlePolicy
from hftmm.execution.throttle import Denial, Throttle, Traffic
from hftmm.risk.approval import Approved, Refused

_RESTING: Final = frozenset({OrderState.OPEN, OrderState.PARTIALLY_FILLED})


class OrderManager:
    """Sends, follows and settles orders of every venue.

    Acks are receipts. What is true comes from the private streams (`updated`, `filled`) and from
    queries. Where neither speaks, an order is `unknown`, counts in full, and is asked for by its
    client id until the venue settles it.

    What to send is taken by `drain`, what happened is told to the sink, time comes by `tick`.
    Each event costs O(1); a timer costs O(log n) of the orders that wait for something.

    Attributes:
        ids: makes the client ids.
        throttles: by venue.
        strangers: orders and trades on the accounts that are not ours.
    """

    def __init__(
        self,
        ids: ClientIds,
        throttles: Mapping[str, Throttle],
        sink: OrderSink,
        policies: Mapping[str, SettlePolicy] = POLICIES,
    ) -> None:
        self.ids: Final = ids
        self.throttles: Final = throttles
        self.strangers: Final = Strangers()
        self._sink: Final = sink
        self._register: Final = Register()
        self._settlement: Final = Settlement(self._register, throttles, sink, policies)
        self._receipts: Final = Receipts(self._settlement)
        self._fills: Final = FillBook()

    # ---- what we want -------------------------------------------------------------------------

    def submit(self, approved: Approved[OrderIntent], now_ns: int) -> Order | Denial:
        """Takes a reviewed order; it leaves with the next `drain`, if the rate budget allows."""
        intent = approved.intent
        listing = intent.listing
        traffic = Traffic.URGENT if intent.urgent else Traffic.ORDER
        denial = self.throttles[listing.venue].admit(listing, traffic, now_ns)
        if denial is not None:
            return denial
        request = OrderRequest(
            self.ids.next(intent.strategy),
            listing,
            intent.side,
            intent.price,
            intent.size,
            intent.post_only,
            intent.time_in_force,
            intent.reduce_only,
        )
        order = Order(request, intent.strategy, now_ns)
        self._register.enter(order)
        self._sink.intended(order, now_ns)
        self._settlement.send_place(order, request, now_ns)
        self._changed(order, now_ns)
        return order

    def amend(self, approved: Approved[AmendIntent], now_ns: int) -> Amendment | Denial | Refused:
        """Takes a reviewed change of an order; one at a time, while it rests."""
        intent = approved.intent
        order = self._register.orders.get(intent.client_id)
        if order is None or order.state not in _RESTING:
            state = "not ours" if order is None else order.state
            return Refused("amend", words=f"{intent.client_id} is {state}")
        if order.amend is not None:
            return Refused("amend", words=f"{intent.client_id} has a change under way")
        if intent.size <= order.filled:
            return Refused("amend", order.filled, intent.size, "no more than is filled")
        traffic = Traffic.URGENT if intent.urgent else Traffic.ORDER
        denial = self.throttles[order.listing.venue].admit(order.listing, traffic, now_ns)
        if denial is not None:
            return denial
        change = Amendment(
            order.client_id, order.listing, order.side, intent.price, intent.size, order.venue_id
        )
        order.amend, order.amend_ns, order.amend_grace_ns = change, now_ns, 0
        self._settlement.outbox.append(Amend(change))
        self._settlement.look_at(order, now_ns + self._settlement.policy(order).answer_within_ns)
        self._changed(order, now_ns)
        return change

    def cancel(self, client_id: str, now_ns: int, *, forced: bool = False) -> bool:
        """Makes an order go, however often that takes; False if it is gone or not ours.

        Args:
            forced: send a cancel now, past the rate budget, and also if one was sent before.
        """
        order = self._register.orders.get(client_id)
        if order is None or order.state.final:
            return False
        if forced or not order.cancel_wanted:
            order.cancel_wanted = True
            self._settlement.send_cancel(order, now_ns, forced=forced)
            self._changed(order, now_ns)
        return True

    def cancel_all(self, venue: str, now_ns: int, listing: Listing | None = None) -> int:
        """Cancels what is live on a venue, or of one listing there; how many that were."""
        return sum(
            self.cancel(order.client_id, now_ns)
            for order in self._register.live(venue)
            if listing is None or order.key == listing.key
        )

    def drain(self) -> list[Action]:
        """What to send now, cancels first. Whoever takes it sends it."""
        return self._settlement.drain()

    # ---- what the venue says ------------------------------------------------------------------

    def answered(self, request: Request, answer: OrderAnswer, now_ns: int) -> None:
        """The venue answered a request: a receipt, or a refusal."""
        order = self._register.orders.get(request.client_id)
        if order is None:
            return
        if answer.venue_id:
            self._name(order, answer.venue_id, now_ns)
        until_ns = now_ns
        if answer.rejection is Rejection.RATE:
            throttle = self.throttles[order.listing.venue]
            until_ns = throttle.turned_away(answer.text, answer.retry_after_ms, now_ns)
            self._settlement.note("warning", order, "too many requests", answer.text, now_ns)
        match request:
            case Place():
                self._receipts.placed(order, answer, now_ns)
            case Amend():
                self._receipts.amended(order, request, answer, now_ns)
            case Cancel():
                self._receipts.cancel_answered(order, answer, until_ns, now_ns)
        self._changed(order, now_ns)

    def unanswered(self, request: Request | Query, why: str, now_ns: int) -> None:
        """A request failed without an answer: nobody knows what became of it."""
        order = self._register.orders.get(request.client_id)
        if order is None or order.state.final:
            return
        if isinstance(request, Query):
            self._settlement.ask_later(order, now_ns)
        elif isinstance(request, Place) and order.seen:
            order.place_ns = 0  # the stream told what the answer would have
        else:
            self._settlement.forget_requests(order, now_ns)
            self._settlement.doubt(order, why, now_ns)
            self._changed(order, now_ns)

    def updated(self, update: OrderUpdate, now_ns: int, *, answer: bool = False) -> None:
        """An order as the venue has it.

        Args:
            answer: it answers a query, or stands in the list of open orders, so that it settles
                the order even if it says nothing new.
        """
        order = self._register.find(update.listing, update.client_id, update.venue_id)
        if order is None:
            self._met(update, now_ns)
            return
        if update.venue_id:
            self._name(order, update.venue_id, now_ns)
        news = update.venue_ns > order.venue_ns or update.filled > order.filled
        stale = update.venue_ns < order.venue_ns or update.filled < order.filled
        order.seen = True
        order.place_ns = order.not_found_ns = 0
        if update.filled >= order.filled:
            order.filled = update.filled
            order.average = order.average if update.average is None else update.average
        if not stale:
            order.venue_ns = update.venue_ns
            self._take_terms(order, update, answer=answer, now_ns=now_ns)
        if update.state.final:
            self._settlement.end(
                order, update.state, update.rejection, update.text, now_ns, inferred=False
            )
        elif order.state.final:
            if order.inferred and news and not stale:
                self._settlement.doubt(order, "the venue still has it", now_ns)
        elif not stale and (news or answer or order.state is not OrderState.UNKNOWN):
            self._settlement.live(order, now_ns, answer=answer)
        self._settlement.expect_fills(order, now_ns)
        self._changed(order, now_ns)

    def filled(self, fill: Fill, now_ns: int) -> bool:
        """A trade; True if it is ours and new. In whatever order it comes, it is booked once."""
        order = self._register.find(fill.listing, fill.client_id, fill.venue_id)
        if order is None and not self.ids.owns(fill.client_id):
            if self._fills.has(fill):
                pass  # booked by an earlier run, of an order that is settled
            elif not fill.client_id and self._register.waiting(fill.listing):
                # It may belong to an order whose venue id we have not been told yet.
                self.strangers.park(fill)
            else:
                self.strangers.traded(fill)
            return False
        booking = self._fills.book(fill)
        if booking.fee_told:
            self._sink.fee_told(fill, now_ns)
        if order is not None:
            if fill.venue_id:
                self._name(order, fill.venue_id, now_ns)
            self._add(order, fill, now_ns)
        if booking.new:
            self._sink.filled(fill, order, now_ns)
        if order is not None:
            self._changed(order, now_ns)
        return booking.new

    def not_found(self, query: Query, now_ns: int) -> None:
        """The venue does not know the order asked for. Once, that means nothing: venues answer
        queries from copies that lag, and a request may still be on its way.
        """
        order = self._register.orders.get(query.client_id)
        if order is None or order.state is not OrderState.UNKNOWN:
            return
        policy = self._settlement.policy(order)
        if not order.not_found_ns:
            order.not_found_ns = now_ns
        if now_ns - order.not_found_ns < policy.absent_ns:
            self._settlement.ask_later(order, now_ns)
            return
        known = order.seen or order.filled > ZERO
        state = OrderState.CANCELED if known else OrderState.REJECTED
        why = "the venue no longer knows it" if known else "it never arrived"
        self._settlement.end(order, state, None, why, now_ns, inferred=True)
        self._settlement.note("warning", order, "not found", why, now_ns)
        # It may have traded before it went out of the venue's memory.
        since_ns = order.created_ns - policy.overlap_ns
        self._settlement.outbox.append(FetchFills(order.listing, since_ns))
        self._changed(order, now_ns)

    def lost(self, venue: str, now_ns: int, kind: Kind | None = None) -> None:
        """A private or trading connection broke: every live order there is unknown.

        Each is asked for by itself only after a while: the reconciliation that follows a reconnect
        settles them together.
        """
        for order in self._register.live(venue):
            if order.sent and (kind is None or order.listing.kind is kind):
                wait_ns = self._settlement.policy(order).reconcile_within_ns
                self._settlement.forget_requests(order, now_ns)
                self._settlement.doubt(order, "connection lost", now_ns, wait_ns)
                self._changed(order, now_ns)

    def clock_synced(self, venue: str, now_ns: int) -> None:
        """The clock was measured: what a wrong time stamp had stopped is sent once more."""
        self._settlement.clock_synced(venue)
        for order in self._register.live(venue):
            if order.cancel_due_ns:
                self._settlement.send_cancel(order, now_ns)
            elif order.resting_for_clock:
                order.resting_for_clock = False
                self._settlement.send_place(order, order.request, now_ns)
            else:
                continue
            self._changed(order, now_ns)

    def tick(self, now_ns: int) -> None:
        """Time passed. Call it a few times a second, and `drain` after it."""
        self._settlement.tick(now_ns)

    # ---- starting over ------------------------------------------------------------------------

    def restore(self, order: Order, now_ns: int) -> None:
        """Takes back an order of an earlier run, unknown until the venue speaks of it. One that was
        final and lacked fills is looked at again like the others.
        """
        order.sent = True
        order.state = OrderState.UNKNOWN
        self._register.enter(order)
        wait_ns = self._settlement.policy(order).reconcile_within_ns
        self._settlement.doubt(order, "restart", now_ns, wait_ns)
        self._settlement.expect_fills(order, now_ns)
        self._changed(order, now_ns)

    def restore_fills(self, trades: Iterable[tuple[str, str]]) -> None:
        """Takes back what was booked: (listing key, trade id)."""
        for key, trade_id in trades:
            self._fills.known(key, trade_id)

    def settle_open(
        self, venue: str, kind: Kind, told: Iterable[OrderUpdate], asked_ns: int, now_ns: int
    ) -> list[Order]:
        """The venue's whole list of open orders of a kind, asked for at `asked_ns`.

        Returns:
            Ours that were live then and are not in it; each is now asked for by its id.
        """
        listed: set[str] = set()
        others: list[OrderUpdate] = []
        for update in told:
            self.updated(update, now_ns, answer=True)
            order = self._register.find(update.listing, update.client_id, update.venue_id)
            if order is not None:
                listed.add(order.client_id)
            else:
                others.append(update)
        self.strangers.listed(venue, kind, others)
        missing = [
            order
            for order in self._register.live(venue)
            if order.listing.kind is kind
            and order.sent
            and order.client_id not in listed
            and order.created_ns < asked_ns
        ]
        for order in missing:
            self._settlement.doubt(order, "not among the open orders", now_ns, 0)
            self._changed(order, now_ns)
        return missing

    # ---- what is known ------------------------------------------------------------------------

    def order(self, client_id: str) -> Order | None:
        """An order by our id; final ones are kept for a while."""
        return self._register.orders.get(client_id)

    def live(self, venue: str) -> tuple[Order, ...]:
        """Orders of ours that may still trade there, oldest first."""
        return self._register.live(venue)

    def open_count(self, venue: str) -> int:
        """How many they are."""
        return self._register.open_count(venue)

    def unsettled(self, venue: str) -> Iterator[Order]:
        """Orders that lack the venue's word, its id, or fills that it has told of."""
        return self._register.unsettled(venue)

    def exposure(self, key: str) -> Exposure:
        """What the orders of a listing may still do; see `Listing.key`."""
        return self._register.exposure(key)

    def _check(self) -> None:
        """Walks every invariant; O(orders)."""
        self._settlement._check()

    # ---- news ---------------------------------------------------------------------------------

    def _take_terms(self, order: Order, update: OrderUpdate, *, answer: bool, now_ns: int) -> None:
        order.price = order.price if update.price is None else update.price
        order.size = order.size if update.size is None else update.size
        change = order.amend
        if change is not None:
            done = (order.price, order.size) == (change.price, change.size)
            # A query made after the change was answered, or had its time, tells what came of it.
            told = answer and not order.amend_ns and now_ns >= order.amend_grace_ns
            if done or told:
                order.amend = None
                order.amend_ns = order.amend_grace_ns = 0
        if order.amend is None and not order.cancel_wanted:
            order.ack_ns = 0

    def _add(self, order: Order, fill: Fill, now_ns: int) -> None:
        if fill.trade_id in order.trades:
            return
        order.trades.add(fill.trade_id)
        order.booked += fill.size
        order.filled = max(order.filled, order.booked)
        if not order.seen and order.live:
            # It arrived; how much of it rests the stream has yet to tell.
            order.place_ns = 0
            self._receipts.await_word(order, now_ns)
        if order.amend is None and order.booked >= order.size:
            if order.booked > order.size:
                text = f"{order.booked:f} traded of {order.size:f}"
                self._settlement.note("error", order, "overfilled", text, now_ns)
            self._settlement.end(order, OrderState.FILLED, None, "", now_ns, inferred=True)
        elif order.inferred and order.state is OrderState.REJECTED:
            self._settlement.doubt(order, "it traded after all", now_ns)
        elif order.state in {OrderState.PENDING_NEW, OrderState.OPEN}:
            order.state = OrderState.PARTIALLY_FILLED
        self._settlement.expect_fills(order, now_ns)

    def _changed(self, order: Order, now_ns: int) -> None:
        if self._settlement.changed(order, now_ns):
            # No order of ours lacks its venue id any more: what is parked is not ours.
            for fill in self.strangers.release(order.key):
                self.strangers.traded(fill)

    def _name(self, order: Order, venue_id: str, now_ns: int) -> None:
        if order.venue_id != venue_id:
            self._register.named(order, venue_id)
            for fill in self.strangers.claim(order.key, venue_id):
                self.filled(fill, now_ns)

    def _met(self, update: OrderUpdate, now_ns: int) -> None:
        """An order that we do not hold: an own one of an earlier run, or somebody else's."""
        if not self.ids.owns(update.client_id):
            self.strangers.ordered(update)
        elif not update.state.final:
            request = OrderRequest(
                update.client_id,
                update.listing,
                update.side,
                update.price or ZERO,
                update.size or update.filled,
            )
            order = Order(request, self.ids.strategy(update.client_id), update.venue_ns)
            order.sent = True
            self._register.enter(order)
            self._settlement.note("warning", order, "adopted", f"{order!r}", now_ns)
            self.updated(update, now_ns, answer=True)
