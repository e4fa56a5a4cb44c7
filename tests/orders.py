"""Builders of intents, answers and news for the tests of everything between decision and fill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from hftmm.core.instrument import Kind, Listing, Side
from hftmm.core.order import (
    AmendIntent,
    Fill,
    OrderAnswer,
    OrderIntent,
    OrderState,
    OrderUpdate,
    Rejection,
    TimeInForce,
)
from hftmm.execution.action import Action, Cancel, Place
from hftmm.execution.client_ids import ClientIds
from hftmm.execution.order import Order
from hftmm.execution.order_manager import OrderManager
from hftmm.execution.settling import POLICIES, SettlePolicy
from hftmm.execution.throttle import Throttle
from hftmm.risk.approval import Approved, approve
from hftmm.venues.effects import Note
from hftmm.venues.private import PrivateRules
from tests.books import MS, SECOND, listing

SPOT = listing("binance")
PERPETUAL = listing("binance", kind=Kind.LINEAR)
BYBIT = listing("bybit", kind=Kind.LINEAR)
START = 1_750_000_000 * SECOND
GENEROUS = PrivateRules(order_budget=(1_000, SECOND))


@dataclass
class Witness:
    """A sink that remembers everything."""

    intents: list[str] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    fees: list[Fill] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    states: list[tuple[str, OrderState]] = field(default_factory=list)

    def intended(self, order: Order, now_ns: int) -> None:
        self.intents.append(order.client_id)

    def changed(self, order: Order, now_ns: int) -> None:
        self.states.append((order.client_id, order.state))

    def filled(self, fill: Fill, order: Order | None, now_ns: int) -> None:
        self.fills.append(fill)

    def fee_told(self, fill: Fill, now_ns: int) -> None:
        self.fees.append(fill)

    def noted(self, note: Note) -> None:
        self.notes.append(note)

    @property
    def events(self) -> list[str]:
        return [note.event for note in self.notes]


class Bench:
    """An order manager with a clock and a witness; what it sends is taken and kept."""

    def __init__(
        self,
        rules: PrivateRules = GENEROUS,
        policies: Mapping[str, SettlePolicy] = POLICIES,
        witness: Witness | None = None,
    ) -> None:
        self.now_ns = START
        self.witness = witness or Witness()
        both = {Kind.SPOT: rules, Kind.LINEAR: rules}
        venues = ("binance", "bybit", "okx")
        self.throttles = {venue: Throttle(venue, both) for venue in venues}
        self.ids = ClientIds("inst", 0, START)
        self.manager = OrderManager(self.ids, self.throttles, self.witness, policies)

    def submit(self, intent: OrderIntent | None = None) -> Order:
        """An order that was approved and sent."""
        order = self.manager.submit(approved(intent or order_intent()), self.now_ns)
        assert isinstance(order, Order), str(order)
        (place,) = self.manager.drain()
        assert isinstance(place, Place)
        self.place = place
        return order

    def rest(self, intent: OrderIntent | None = None, venue_id: str = "v1") -> Order:
        """An order that rests at the venue."""
        order = self.submit(intent)
        self.manager.answered(self.place, accepted(order, venue_id), self.now_ns)
        self.update(order, OrderState.OPEN, venue_id=venue_id)
        return order

    def cancel(self, order: Order) -> Cancel:
        """A cancel that was sent."""
        assert self.manager.cancel(order.client_id, self.now_ns)
        (action,) = self.manager.drain()
        assert isinstance(action, Cancel)
        return action

    def update(
        self,
        order: Order,
        state: OrderState,
        filled: str = "0",
        *,
        at: int | None = None,
        answer: bool = False,
        venue_id: str = "",
        rejection: Rejection | None = None,
        price: str | None = None,
        size: str | None = None,
    ) -> None:
        """News of an order; `at` is the venue's stamp."""
        news = order_update(
            order,
            state,
            filled,
            at=self.now_ns if at is None else at,
            venue_id=venue_id,
            rejection=rejection,
            price=price,
            size=size,
        )
        self.manager.updated(news, self.now_ns, answer=answer)
        self.manager._check()

    def fill(self, order: Order, size: str, trade_id: str = "t1", **words: str) -> bool:
        """A trade of an order."""
        new = self.manager.filled(order_fill(order, size, trade_id, **words), self.now_ns)
        self.manager._check()
        return new

    def wait(self, ns: int) -> list[Action]:
        """What is sent while that time passes, in steps of 50 ms."""
        actions: list[Action] = []
        end_ns = self.now_ns + ns
        while self.now_ns < end_ns:
            self.now_ns = min(self.now_ns + 50 * MS, end_ns)
            self.manager.tick(self.now_ns)
            actions += self.manager.drain()
            self.manager._check()
        return actions


def order_intent(
    size: str = "1",
    price: str = "100",
    side: Side = "buy",
    *,
    of: Listing = PERPETUAL,
    post_only: bool = False,
    ioc: bool = False,
    urgent: bool = False,
    reduce_only: bool = False,
) -> OrderIntent:
    tif = TimeInForce.IOC if ioc else TimeInForce.GTC
    return OrderIntent(
        "mm", of, side, Decimal(price), Decimal(size), post_only, tif, reduce_only, urgent
    )


def approved(intent: OrderIntent) -> Approved[OrderIntent]:
    """As if a review had passed it."""
    return approve(intent)


def approved_change(order: Order, price: str, size: str) -> Approved[AmendIntent]:
    return approve(
        AmendIntent(order.client_id, order.listing, order.side, Decimal(price), Decimal(size))
    )


def accepted(order: Order, venue_id: str = "") -> OrderAnswer:
    known = venue_id or order.venue_id or "v1"
    return OrderAnswer(order.client_id, order.client_id, known, accepted=True)


def refused(order: Order, why: Rejection, retry_after_ms: int = 0) -> OrderAnswer:
    return OrderAnswer(
        order.client_id,
        order.client_id,
        "",
        accepted=False,
        rejection=why,
        text=why.value,
        retry_after_ms=retry_after_ms,
    )


def order_update(
    order: Order,
    state: OrderState,
    filled: str = "0",
    *,
    at: int,
    venue_id: str = "",
    rejection: Rejection | None = None,
    price: str | None = None,
    size: str | None = None,
) -> OrderUpdate:
    amount = Decimal(filled)
    return OrderUpdate(
        order.listing,
        order.client_id,
        venue_id or order.venue_id or "v1",
        order.side,
        state,
        amount,
        order.price if amount else None,
        None if price is None else Decimal(price),
        None if size is None else Decimal(size),
        rejection,
        "" if rejection is None else rejection.value,
        at,
        at,
    )


def order_fill(
    order: Order,
    size: str,
    trade_id: str = "t1",
    *,
    price: str = "",
    fee: str = "0",
    client_id: str | None = None,
    venue_id: str = "",
) -> Fill:
    return Fill(
        order.listing,
        trade_id,
        order.client_id if client_id is None else client_id,
        venue_id or order.venue_id or "v1",
        order.side,
        Decimal(price) if price else order.price,
        Decimal(size),
        Decimal(fee) if fee else None,
        "USDT",
        True,
        START,
        START,
    )
