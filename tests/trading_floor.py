"""A `Trader` for the tests of strategies: real books and orders, and venues that do as told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from hftmm.book.consolidated import ConsolidatedBook, Member, Quarantine, Trust
from hftmm.core.fees import FeeRates
from hftmm.core.instrument import Kind, Listing, Side
from hftmm.core.order import (
    AmendIntent,
    Amendment,
    Fill,
    OrderIntent,
    OrderRequest,
    OrderState,
    Rejection,
)
from hftmm.execution.order import Order
from hftmm.execution.throttle import Denial
from hftmm.risk.approval import Refused
from hftmm.risk.headroom import Headroom
from hftmm.strategy.base import Strategy
from hftmm.venues.effects import Note
from hftmm.venues.private import PrivateRules
from tests.books import MS, SECOND, Rows, book, listing

NOON = 1_750_000_000 * SECOND
VENUES = ("binance", "bybit", "okx")
RULES = PrivateRules(order_budget=(1_000, SECOND))
FEES = FeeRates(Decimal(2), Decimal(5))
FOREVER = Quarantine(1_000.0, 10_000.0, 0)
PLENTY = Headroom(Decimal(1_000), "position 1% of limit")


class Floor:
    """One market on several venues; every request is recorded, and done at once or not at all.

    A test sets what the strategy sees, calls it, and looks at `submitted`, `amended`, `canceled`
    or at `log`, which has all of them in order. Venues answer nothing by themselves: `rest`,
    `trade`, `gone` and `confirm` are their news, told to `strategies` as an engine does it.

    Attributes:
        now_ns: the clock; `wait` moves it.
        room: (listing key, side) -> headroom; what is not there is `PLENTY`.
        why_closed: venue -> why no order can go there.
        answers: what the next requests come to, instead of being taken.
        told: what strategies noted.
    """

    def __init__(
        self,
        venues: Sequence[str] = VENUES,
        *,
        kind: Kind = Kind.LINEAR,
        fees: Mapping[str, FeeRates] | None = None,
        listings: Mapping[str, Listing] | None = None,
        max_age_ms: int = 2_500,
    ) -> None:
        self.now_ns = NOON
        self.listings = {venue: listing(venue, kind=kind) for venue in venues} | dict(
            listings or {}
        )
        trust = Trust(max_age_ms * MS, max_age_ms * MS)
        self.members = {
            venue: Member(book(of=each, received_ns=NOON), trust, (fees or {}).get(venue, FEES))
            for venue, each in self.listings.items()
        }
        for member in self.members.values():
            member.book.invalidate("no snapshot yet")
        symbol = next(iter(self.listings.values())).symbol
        self.symbol = symbol
        self.books = {symbol: ConsolidatedBook(symbol, [*self.members.values()], FOREVER)}
        self.positions: dict[str, Decimal] = {}
        self.room: dict[tuple[str, Side], Headroom] = {}
        self.why_closed: dict[str, str] = {}
        self.venue_rules: dict[str, PrivateRules] = {}
        self.answers: list[Refused | Denial] = []
        self.orders: dict[str, Order] = {}
        self.submitted: list[Order] = []
        self.intents: list[OrderIntent] = []
        self.amended: list[AmendIntent] = []
        self.canceled: list[str] = []
        self.log: list[tuple[str, str]] = []
        self.told: list[Note] = []
        self.strategies: list[Strategy] = []

    # ---- the market ---------------------------------------------------------------------------

    def quote(self, venue: str, bids: Rows, asks: Rows, *, tell: bool = True) -> None:
        """A venue's whole book, sizes in base coins at ticks of its listing."""
        member = self.members[venue]
        made = book(bids, asks, of=self.listings[venue], received_ns=self.now_ns)
        member.book = made
        self.books[self.symbol].review(self.now_ns)
        if tell:
            self.move()

    def break_book(self, venue: str, reason: str = "gap") -> None:
        """A venue's book cannot be trusted from here on."""
        self.members[venue].book.invalidate(reason)
        self.books[self.symbol].review(self.now_ns)
        self.move()

    def move(self) -> None:
        """Tells the strategies that the market moved."""
        for strategy in self.strategies:
            strategy.moved(self.symbol, self.now_ns)

    def wait(self, ms: int) -> None:
        """Time passes, and is told, in steps of 20 ms at most."""
        end_ns = self.now_ns + ms * MS
        while self.now_ns < end_ns:
            self.now_ns = min(self.now_ns + 20 * MS, end_ns)
            self.books[self.symbol].review(self.now_ns)
            for strategy in self.strategies:
                strategy.tick(self.now_ns)

    # ---- what the venues say ------------------------------------------------------------------

    def rest(self, order: Order) -> None:
        """It stands in the venue's book."""
        order.seen = True
        order.state = OrderState.PARTIALLY_FILLED if order.filled else OrderState.OPEN
        self._changed(order)

    def rest_all(self) -> None:
        """All that is on its way stands in the venues' books."""
        for order in [*self.orders.values()]:
            if order.state is OrderState.PENDING_NEW:
                self.rest(order)

    def gone(
        self,
        order: Order,
        state: OrderState = OrderState.CANCELED,
        rejection: Rejection | None = None,
        text: str = "",
    ) -> None:
        """Nothing more happens to it."""
        order.state, order.rejection, order.text = state, rejection, text
        order.amend = None
        self._changed(order)

    def doubt(self, order: Order) -> None:
        """Nobody knows where it stands."""
        order.state = OrderState.UNKNOWN
        self._changed(order)

    def trade(
        self, order: Order, size: str | Decimal, price: str | Decimal = "", *, fee: str = "0"
    ) -> Fill:
        """A part of it trades, at its own price unless told; its position follows."""
        amount = Decimal(size)
        fill = Fill(
            order.listing,
            f"t{len(order.trades) + 1}-{order.client_id}",
            order.client_id,
            order.venue_id,
            order.side,
            Decimal(price) if price else order.price,
            amount,
            Decimal(fee),
            "USDT",
            order.post_only,
            self.now_ns,
            self.now_ns,
        )
        order.trades.add(fill.trade_id)
        order.booked += amount
        order.filled = max(order.filled, order.booked)
        done = order.filled >= order.size
        order.state = OrderState.FILLED if done else OrderState.PARTIALLY_FILLED
        key = order.listing.key
        change = amount if order.side == "buy" else -amount
        self.positions[key] = self.positions.get(key, Decimal(0)) + change
        for strategy in self._strategies_of(order):
            strategy.filled(fill, order, self.now_ns)
        self._changed(order)
        return fill

    def confirm(self, order: Order) -> None:
        """The venue did the change that was asked for."""
        assert order.amend is not None
        order.price, order.size = order.amend.price, order.amend.size
        order.amend = None
        self._changed(order)

    @property
    def alive(self) -> list[Order]:
        """Orders that may still trade, oldest first."""
        return [order for order in self.orders.values() if order.live]

    def standing(self, venue: str, side: Side) -> Order | None:
        """The only order that may still trade on this side of a venue."""
        found = [o for o in self.alive if o.listing.venue == venue and o.side == side]
        assert len(found) <= 1, found
        return found[0] if found else None

    # ---- Trader -------------------------------------------------------------------------------

    def submit(self, intent: OrderIntent, now_ns: int) -> Order | Refused | Denial:
        self.intents.append(intent)
        if self.answers:
            return self.answers.pop(0)
        request = OrderRequest(
            f"hm01{intent.strategy}{len(self.orders):06d}",
            intent.listing,
            intent.side,
            intent.price,
            intent.size,
            intent.post_only,
            intent.time_in_force,
            intent.reduce_only,
        )
        order = Order(request, intent.strategy, now_ns)
        order.sent = True
        self.orders[order.client_id] = order
        self.submitted.append(order)
        self.log.append(("submit", order.client_id))
        self._changed(order)
        return order

    def amend(self, intent: AmendIntent, now_ns: int) -> Amendment | Refused | Denial:
        if self.answers:
            return self.answers.pop(0)
        order = self.orders[intent.client_id]
        assert order.amend is None, "one change at a time"
        assert (intent.price, intent.size) != (order.price, order.size), "nothing changes"
        change = Amendment(
            intent.client_id, intent.listing, intent.side, intent.price, intent.size, ""
        )
        order.amend = change
        self.amended.append(intent)
        self.log.append(("amend", intent.client_id))
        self._changed(order)
        return change

    def cancel(self, client_id: str, now_ns: int) -> bool:
        order = self.orders.get(client_id)
        if order is None or order.state.final:
            return False
        if not order.cancel_wanted:
            order.cancel_wanted = True
            if order.state is not OrderState.UNKNOWN:
                order.state = OrderState.PENDING_CANCEL
            self.canceled.append(client_id)
            self.log.append(("cancel", client_id))
            self._changed(order)
        return True

    def order(self, client_id: str) -> Order | None:
        return self.orders.get(client_id)

    def live(self, venue: str) -> Sequence[Order]:
        return [order for order in self.alive if order.listing.venue == venue]

    def position(self, listing: Listing) -> Decimal:
        return self.positions.get(listing.key, Decimal(0))

    def headroom(self, listing: Listing, side: Side, now_ns: int) -> Headroom:
        return self.room.get((listing.key, side), PLENTY)

    def closed(self, listing: Listing) -> str:
        return self.why_closed.get(listing.venue, "")

    def rules(self, listing: Listing) -> PrivateRules:
        return self.venue_rules.get(listing.venue, RULES)

    def book(self, symbol: str) -> ConsolidatedBook | None:
        return self.books.get(symbol)

    def note(self, level: str, venue: str, event: str, text: str, now_ns: int) -> None:
        self.told.append(Note(level, venue, event, text, now_ns))

    # -------------------------------------------------------------------------------------------

    def _changed(self, order: Order) -> None:
        for strategy in self._strategies_of(order):
            strategy.changed(order, self.now_ns)

    def _strategies_of(self, order: Order) -> list[Strategy]:
        return [each for each in self.strategies if each.code == order.strategy]
