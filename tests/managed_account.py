"""An order manager on top of an account's session, wired as an engine wires them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from hftmm.core.instrument import Kind, Listing, Side
from hftmm.core.order import (
    Amendment,
    Fill,
    OrderAnswer,
    OrderIntent,
    OrderRequest,
    OrderUpdate,
    TimeInForce,
)
from hftmm.execution.action import Action, Amend, Cancel, FetchFills, Place, Query, Request
from hftmm.execution.action import SyncClock as SyncClockAction
from hftmm.execution.client_ids import ClientIds
from hftmm.execution.order import Order
from hftmm.execution.order_manager import OrderManager
from hftmm.execution.throttle import Denial, Throttle
from hftmm.risk.approval import approve
from hftmm.venues.account_sink import (
    Cancellation,
    Clearance,
    Errand,
    FillsSince,
    OneOrder,
    OpenOrders,
    Question,
)
from tests.orders import Witness
from tests.virtual_account import STEP_NS, Desk, Told

BEFORE_NS = 60_000_000_000


class Managed(Told):
    """Passes what the venue says on to the order manager."""

    desk: ManagedDesk

    def answered(self, errand: Errand, answer: OrderAnswer, now_ns: int) -> None:
        super().answered(errand, answer, now_ns)
        if not isinstance(errand, Clearance):
            self.desk.manager.answered(_request(errand), answer, now_ns)

    def unanswered(self, errand: Errand, why: str, now_ns: int) -> None:
        super().unanswered(errand, why, now_ns)
        if not isinstance(errand, Clearance):
            self.desk.manager.unanswered(_request(errand), why, now_ns)

    def updated(self, update: OrderUpdate, now_ns: int) -> None:
        super().updated(update, now_ns)
        self.desk.manager.updated(update, now_ns)

    def filled(self, fill: Fill, now_ns: int) -> None:
        super().filled(fill, now_ns)
        self.desk.manager.filled(fill, now_ns)

    def orders_found(
        self, question: OpenOrders, orders: Sequence[OrderUpdate], now_ns: int
    ) -> None:
        super().orders_found(question, orders, now_ns)
        asked_ns = self.desk.asked.pop(question.kind, None)
        if asked_ns is not None:
            manager = self.desk.manager
            manager.settle_open(self.desk.venue, question.kind, orders, asked_ns, now_ns)

    def order_found(self, question: OneOrder, order: OrderUpdate | None, now_ns: int) -> None:
        super().order_found(question, order, now_ns)
        manager = self.desk.manager
        if order is None:
            manager.not_found(Query(question.listing, question.client_id), now_ns)
        else:
            manager.updated(order, now_ns, answer=True)

    def fills_found(self, question: FillsSince, fills: Sequence[Fill], now_ns: int) -> None:
        super().fills_found(question, fills, now_ns)
        for fill in fills:
            self.desk.manager.filled(fill, now_ns)

    def failed(self, question: Question, why: str, now_ns: int) -> None:
        super().failed(question, why, now_ns)
        if isinstance(question, OneOrder):
            query = Query(question.listing, question.client_id)
            self.desk.manager.unanswered(query, why, now_ns)
        elif isinstance(question, OpenOrders | FillsSince):
            self.desk.session.ask(question, now_ns)

    def lost(self, venue: str, kinds: frozenset[Kind], why: str, now_ns: int) -> None:
        super().lost(venue, kinds, why, now_ns)
        for kind in kinds:
            self.desk.manager.lost(venue, now_ns, kind)

    def back(self, venue: str, kinds: frozenset[Kind], now_ns: int) -> None:
        super().back(venue, kinds, now_ns)
        for listing in (self.desk.spot, self.desk.linear):
            if listing.kind in kinds:
                self.desk.asked[listing.kind] = now_ns
                self.desk.session.ask(OpenOrders(listing.kind), now_ns)
                self.desk.session.ask(FillsSince(listing, now_ns - BEFORE_NS), now_ns)

    def clock_synced(self, venue: str, now_ns: int) -> None:
        super().clock_synced(venue, now_ns)
        self.desk.manager.clock_synced(venue, now_ns)


class ManagedDesk(Desk):
    """A desk whose orders somebody follows.

    Attributes:
        witness: what the order manager told.
        asked: when open orders were asked for after a connection came back, by kind.
    """

    def __init__(self, venue: str) -> None:
        self.witness = Witness()
        self.asked: dict[Kind, int] = {}
        super().__init__(venue)

    def begin(self) -> None:
        told = Managed()
        told.desk = self
        self.told = told
        super().begin()
        self.manager = OrderManager(
            ClientIds("desk", 0, self.now_ns),
            {self.venue: Throttle(self.venue, self.session.codec.rules)},
            self.witness,
        )

    def step(self, step_ns: int = STEP_NS) -> None:
        super().step(step_ns)
        self.manager.tick(self.now_ns)
        for action in self.manager.drain():
            self._do(action)
        self._carry_out()

    def submit(
        self,
        listing: Listing,
        side: Side,
        price: str,
        size: str = "0.01",
        *,
        time_in_force: TimeInForce = TimeInForce.GTC,
    ) -> Order | None:
        """Hands a wish to the order manager; None if the rate budget has no room for it."""
        intent = OrderIntent(
            "mm",
            listing,
            side,
            Decimal(price),
            Decimal(size),
            post_only=time_in_force is TimeInForce.GTC,
            time_in_force=time_in_force,
        )
        order = self.manager.submit(approve(intent), self.now_ns)
        return None if isinstance(order, Denial) else order

    def _do(self, action: Action) -> None:
        session, now_ns = self.session, self.now_ns
        match action:
            case Place(request):
                session.send(request, now_ns)
            case Amend(change):
                session.send(change, now_ns)
            case Cancel(listing, client_id, venue_id):
                session.send(Cancellation(listing, client_id, venue_id), now_ns)
            case Query(listing, client_id):
                session.ask(OneOrder(listing, client_id), now_ns)
            case FetchFills(listing, since_ns):
                session.ask(FillsSince(listing, since_ns), now_ns)
            case SyncClockAction():
                session.sync_clock(now_ns)


def _request(errand: OrderRequest | Amendment | Cancellation) -> Request:
    match errand:
        case OrderRequest():
            return Place(errand)
        case Amendment():
            return Amend(errand)
        case Cancellation(listing, client_id, venue_id):
            return Cancel(listing, client_id, venue_id)
