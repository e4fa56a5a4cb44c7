"""All rules together against whatever venues do: counted anew, naively, after every event."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from hftmm.core.instrument import Kind, Side
from hftmm.core.order import OrderState
from hftmm.execution.order import Order
from hftmm.risk.approval import Approved, Refused
from tests.books import MS
from tests.risk_desk import VENUES, ZERO, Desk

held = st.integers(-400, 400).map(lambda n: Decimal(n) / 1000)
sizes = st.one_of(st.integers(1, 40), st.integers(1, 400)).map(lambda n: Decimal(n) / 1000)
offers = st.tuples(st.sampled_from(VENUES), st.booleans(), st.sampled_from(["buy", "sell"]), sizes)
happenings = st.tuples(
    st.sampled_from(["fill", "fill quietly", "tell", "cancel", "lose", "amend", "amend quietly"]),
    st.integers(0, 30),
    sizes,
)
Offer = tuple[str, bool, Side, Decimal]
Happening = tuple[str, int, Decimal]


class Venue:
    """What is true at the venues, whatever we were told: kept by the test, by hand."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.sizes: dict[str, Decimal] = {}
        self.filled: dict[str, Decimal] = {}
        self.gone: set[str] = set()
        self.untold: list[tuple[str, Decimal]] = []
        self.positions: dict[tuple[str, str], Decimal] = {}

    def take(self, order: Order) -> None:
        self.orders[order.client_id] = order
        self.sizes[order.client_id] = order.size
        self.filled[order.client_id] = ZERO

    def left(self, name: str) -> Decimal:
        return ZERO if name in self.gone else self.sizes[name] - self.filled[name]

    def trade(self, name: str, size: Decimal) -> Decimal:
        size = min(size, self.left(name))
        order = self.orders[name]
        where = (order.listing.venue, order.listing.symbol)
        signed = size if order.side == "buy" else -size
        self.positions[where] = self.positions.get(where, ZERO) + signed
        self.filled[name] += size
        return size

    def recount(self, symbol: str) -> tuple[Decimal, Decimal, Decimal]:
        """Worst position of any venue, worst net and worst gross of a market: naively, by trying
        every venue with all its buys and with all its sells.
        """
        highs, lows = [], []
        for venue in VENUES:
            position = self.positions.get((venue, symbol), ZERO)
            here = [
                name
                for name, order in self.orders.items()
                if (order.listing.venue, order.listing.symbol) == (venue, symbol)
            ]
            left = {
                side: sum((self.left(n) for n in here if self.orders[n].side == side), ZERO)
                for side in ("buy", "sell")
            }
            highs.append(position + left["buy"])
            lows.append(position - left["sell"])
        extremes = [max(abs(high), abs(low)) for high, low in zip(highs, lows, strict=True)]
        net = max(abs(sum(highs, ZERO)), abs(sum(lows, ZERO)))
        return max(extremes), net, sum(extremes, ZERO)


@given(story=st.lists(st.one_of(offers, offers, happenings), min_size=10, max_size=45))
def test_no_limit_is_ever_exceeded_in_the_worst_case(story: list[Offer | Happening]) -> None:
    live_through(story)


def live_through(story: Iterable[Offer | Happening]) -> None:
    """Reviews, sends, fills, cancels, loses and changes orders, and counts after each event."""
    desk = Desk(
        limits={
            "max_total_position": Decimal("0.6"),
            "max_worst_case": Decimal("0.7"),
            "max_open_orders": 9,
        },
        venue={"max_position": Decimal("0.4"), "max_open_orders": 5},
        money="30",
        coins="0.3",
        margin="1000",
    )
    truth, bench = Venue(), desk.bench
    for event in story:
        bench.now_ns += MS
        if len(event) == 4:
            venue, spot, side, size = event
            wanted = desk.intent(size, side, venue=venue, spot=spot)
            if isinstance(desk.ask(wanted), Approved):
                truth.take(desk.rest(wanted))
        else:
            _happen(desk, truth, *event)
        for symbol in desk.books:
            worst, net, gross = truth.recount(symbol)
            assert worst <= Decimal("0.4")
            assert net <= Decimal("0.6")
            assert gross <= Decimal("0.7")
        alive = [order.listing.venue for n, order in truth.orders.items() if truth.left(n)]
        assert len(alive) <= 9
        assert all(alive.count(venue) <= 5 for venue in VENUES)
        for venue in VENUES:
            _check_money(truth, venue)
    desk.portfolio._check()


@given(
    position=st.integers(1, 400).map(lambda n: Decimal(n) / 1000),
    long=st.booleans(),
    story=st.lists(st.one_of(offers, happenings), max_size=30),
)
def test_at_a_halted_venue_a_position_can_only_shrink(
    position: Decimal, *, long: bool, story: list[Offer | Happening]
) -> None:
    desk, truth = Desk(), Venue()
    desk.hold(f"{position if long else -position}")
    desk.risk.halt("okx", "by hand")
    where, sign = ("okx", "BTC/USDT:USDT"), 1 if long else -1
    truth.positions[where] = sign * position
    for event in story:
        desk.bench.now_ns += MS
        if len(event) == 4:
            _, _, side, size = event
            wanted = desk.intent(size, side)
            if isinstance(desk.ask(wanted), Approved):
                truth.take(desk.rest(wanted))
        else:
            _happen(desk, truth, *event)
        left = sign * truth.positions[where]
        assert ZERO <= left <= position
        position = left


@given(
    gaps_ms=st.lists(st.one_of(st.just(0), st.integers(0, 700)), min_size=5, max_size=40),
    limit=st.integers(1, 6),
)
def test_no_second_has_more_orders_than_allowed(gaps_ms: list[int], limit: int) -> None:
    desk = Desk(limits={"max_orders_per_s": limit})
    now_ms = 0
    passed: list[int] = []
    for gap_ms in gaps_ms:
        now_ms += gap_ms
        before = [at for at in passed if now_ms - at < 1_000]
        if desk.review(desk.intent(), after_ms=now_ms) == "":
            passed.append(now_ms)
            assert len(before) < limit
        else:
            assert len(before) == limit


def _happen(desk: Desk, truth: Venue, what: str, which: int, size: Decimal) -> None:
    """Something at a venue, told to us or not."""
    bench = desk.bench
    alive = [name for name in truth.orders if truth.left(name)]
    if what == "tell" and truth.untold:
        name, told = truth.untold.pop(which % len(truth.untold))
        desk.fill(truth.orders[name], told)
    elif what == "lose":
        bench.manager.lost(VENUES[which % 3], bench.now_ns)
    if not alive:
        return
    name = alive[which % len(alive)]
    order = truth.orders[name]
    match what:
        case "fill":
            desk.fill(order, truth.trade(name, size))
        case "fill quietly":
            truth.untold.append((name, truth.trade(name, size)))
        case "cancel":
            truth.gone.add(name)
            bench.update(order, OrderState.CANCELED, str(truth.filled[name]))
        case "amend" | "amend quietly":
            verdict = desk.ask(desk.change(order, str(size)))
            if isinstance(verdict, Approved):
                sent = bench.manager.amend(verdict, bench.now_ns)
                if not isinstance(sent, Refused) and size > truth.filled[name]:
                    # The venue took it; only sometimes are we told.
                    truth.sizes[name] = size
                    if what == "amend":
                        state = OrderState.PARTIALLY_FILLED
                        bench.update(order, state, str(truth.filled[name]), size=str(size))
    bench.manager.drain()


def _check_money(truth: Venue, venue: str) -> None:
    """Spot orders at a venue never want more than is there, at 99 to buy and 101 to sell."""
    money, coins = Decimal(30), Decimal("0.3")
    for name, order in truth.orders.items():
        if order.listing.venue == venue and order.listing.kind is Kind.SPOT:
            if order.side == "buy":
                money -= order.price * (truth.filled[name] + truth.left(name))
                coins += truth.filled[name]
            else:
                coins -= truth.filled[name] + truth.left(name)
                money += order.price * truth.filled[name]
    assert money >= 0
    assert coins >= 0


@given(
    size=st.integers(1, 700).map(lambda n: Decimal(n) / 1000),
    more=st.integers(1, 300).map(lambda n: Decimal(n) / 1000),
    position=held,
    side=st.sampled_from(["buy", "sell"]),
)
def test_what_is_refused_for_its_size_is_refused_when_larger(
    size: Decimal, more: Decimal, position: Decimal, side: Side
) -> None:
    desk = Desk(money="60")
    if position:
        desk.hold(str(position))
    if desk.review(desk.intent(size, side)):
        assert desk.review(desk.intent(size + more, side))
