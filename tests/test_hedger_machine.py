"""Random fills, ends of hedges and trouble: nothing is hedged twice, and all of it in time."""

from __future__ import annotations

from decimal import Decimal
from itertools import count

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hftmm.core.instrument import Kind, Side
from hftmm.core.order import OrderIntent, OrderState, Rejection
from hftmm.execution.order import Order
from hftmm.execution.throttle import Denial
from hftmm.risk.approval import Refused
from tests.books import listing
from tests.hedging import DEEP, DEEP_ASKS, HedgeFloor
from tests.trading_floor import VENUES

LOTS = {"binance": "0.001", "bybit": "0.002", "okx": "0.0005"}
SIZES = st.integers(1, 600).map(lambda n: Decimal(n) / 2_000)
SIDES = st.sampled_from(["buy", "sell"])
PLACES = st.sampled_from(VENUES)
ENDS = st.sampled_from(
    [
        (OrderState.CANCELED, None),
        (OrderState.EXPIRED, Rejection.NOTHING_TO_TAKE),
        (OrderState.REJECTED, Rejection.BALANCE),
        (OrderState.REJECTED, None),
    ]
)


class WatchedFloor(HedgeFloor):
    """Asserts of every hedge that it closes no more than is open and not already on its way."""

    def submit(self, intent: OrderIntent, now_ns: int) -> Order | Refused | Denial:
        held = sum(self.positions.values(), Decimal(0))
        sign = 1 if intent.side == "sell" else -1
        coming = sum((o.at_risk for o in self.orders.values() if o.side == intent.side), Decimal(0))
        assert intent.size + coming <= held * sign, (intent, coming, held)
        assert intent.size % intent.listing.lot == 0
        return super().submit(intent, now_ns)


class Hedging(RuleBasedStateMachine):
    """Venues answer each hedge in any way, and news come in any order."""

    def __init__(self) -> None:
        super().__init__()
        listings = {v: listing(v, kind=Kind.LINEAR, lot=lot) for v, lot in LOTS.items()}
        self.floor = WatchedFloor(listings=listings)
        self.trades = count()

    def pick(self, number: int) -> Order:
        alive = self.floor.alive
        return alive[number % len(alive)]

    @rule(venue=PLACES, side=SIDES, size=SIZES, act=st.booleans())
    def quote_trades(self, venue: str, side: Side, size: Decimal, act: bool) -> None:
        self.floor.maker(venue, side, size, act=act)

    @precondition(lambda self: self.floor.alive)
    @rule(number=st.integers(0, 5))
    def hedge_fills(self, number: int) -> None:
        self.floor.done(self.pick(number))

    @precondition(lambda self: self.floor.alive)
    @rule(number=st.integers(0, 5), share=st.integers(1, 9), end=st.booleans())
    def hedge_fills_in_part(self, number: int, share: int, end: bool) -> None:
        order = self.pick(number)
        size = (order.size - order.booked) * share / 10
        if end:
            self.floor.part(order, size)
        else:
            self.floor.trade(order, size)
            self.floor.act()

    @precondition(lambda self: self.floor.alive)
    @rule(number=st.integers(0, 5), end=ENDS)
    def hedge_ends(self, number: int, end: tuple[OrderState, Rejection | None]) -> None:
        self.floor.end(self.pick(number), end[0], rejection=end[1])

    @precondition(lambda self: self.floor.alive)
    @rule(number=st.integers(0, 5))
    def hedge_is_unknown(self, number: int) -> None:
        self.floor.doubt(self.pick(number))
        self.floor.act()

    @precondition(lambda self: self.floor.alive)
    @rule(number=st.integers(0, 5))
    def hedge_rests(self, number: int) -> None:
        self.floor.rest(self.pick(number))
        self.floor.act()

    @precondition(lambda self: self.floor.alive)
    @rule(number=st.integers(0, 5), share=st.integers(1, 10))
    def end_is_told_before_the_fills(self, number: int, share: int) -> None:
        order = self.pick(number)
        order.filled = order.booked + (order.size - order.booked) * share / 10
        self.floor.end(order)

    @rule(number=st.integers(0, 20), share=st.integers(1, 10))
    def fill_is_told_late(self, number: int, share: int) -> None:
        over = [o for o in self.floor.submitted if not o.live and o.booked < o.size]
        if over:
            order = over[number % len(over)]
            missing = order.filled - order.booked or (order.size - order.booked) * share / 10
            self.floor.late(order, missing, f"l{next(self.trades)}")

    @rule(times=st.integers(1, 5))
    def orders_are_refused(self, times: int) -> None:
        self.floor.answers = [Refused("rule", words="as it happens")] * times

    @rule(venue=PLACES, shut=st.booleans())
    def venue_closes_or_opens(self, venue: str, shut: bool) -> None:
        if shut:
            self.floor.why_closed[venue] = "reconciling"
        else:
            self.floor.why_closed.pop(venue, None)

    @rule(venue=PLACES, broken=st.booleans())
    def book_breaks_or_returns(self, venue: str, broken: bool) -> None:
        if broken:
            self.floor.break_book(venue)
        else:
            self.floor.quote(venue, DEEP, DEEP_ASKS)
        self.floor.act()

    @rule(on=st.booleans())
    def hedger_is_switched(self, on: bool) -> None:
        self.floor.hedger.switch(on, "by hand", self.floor.now_ns)
        self.floor.act()

    @rule(ms=st.sampled_from([1, 20, 200, 1_200, 6_000]))
    def time_passes(self, ms: int) -> None:
        self.floor.act()
        self.floor.wait(ms, max(20, ms // 20))

    @invariant()
    def what_is_open_is_what_was_traded(self) -> None:
        floor = self.floor
        assert floor.open == sum(floor.positions.values(), Decimal(0))
        floor.hedger._check()

    @invariant()
    def what_is_open_has_a_clock_that_ends(self) -> None:
        floor = self.floor
        age_ms = floor.hedger.unhedged_ms(floor.now_ns)
        if floor.open:
            aside = "residual" in dict(floor.hedger.shown(floor.now_ns).facts)
            assert (age_ms is None) is aside
        if age_ms is not None and age_ms >= 5_000:
            market = floor.hedger._markets[floor.symbol]
            assert market.flattening
            halted = {venue for venue, _ in floor.halts}
            assert market.clock.parts[0].venue in halted
            assert floor.blocked

    def teardown(self) -> None:
        """Once the trouble is over, all of it is closed but for what is too small."""
        floor = self.floor
        floor.answers = []
        for venue in VENUES:
            floor.quote(venue, DEEP, DEEP_ASKS)
        for order in [*floor.orders.values()]:
            if not order.live and order.filled > order.booked:
                floor.late(order, order.filled - order.booked, f"l{next(self.trades)}")
        if not floor.hedger.on:
            floor.hedger.switch(on=True, why="", now_ns=floor.now_ns)
        for _ in range(6):
            floor.why_closed.clear()
            for order in floor.alive:
                floor.done(order)
            floor.wait(10_500, 500)
        assert floor.alive == []
        assert abs(floor.open) < Decimal("0.002"), floor.open
        assert floor.hedger.unhedged_ms(floor.now_ns) is None, floor.hedger.shown(floor.now_ns)
        floor.hedger._check()


TestHedging = Hedging.TestCase
TestHedging.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
