"""A venue and we, compared after a start or a reconnect."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from hftmm.core.instrument import Kind
from hftmm.core.order import Balance, Fill, OrderState, OrderUpdate, Position
from hftmm.execution.action import FetchFills, Query
from hftmm.execution.order import Order
from hftmm.execution.reconciliation import (
    Ask,
    AskBalances,
    AskFunding,
    AskOrders,
    AskPositions,
    Reconciliation,
    Remedy,
)
from hftmm.risk.portfolio import Opening, OpenPosition, Portfolio
from tests.books import SECOND
from tests.orders import PERPETUAL, SPOT, Bench, Witness, order_fill, order_update

ONE = Decimal(1)


class Books(Witness):
    """A sink that books fills, as an engine does."""

    def __init__(self) -> None:
        super().__init__()
        self.portfolio = Portfolio()

    def filled(self, fill: Fill, order: Order | None, now_ns: int) -> None:
        super().filled(fill, order, now_ns)
        self.portfolio.filled(fill, now_ns)


class Desk:
    """One reconciliation of Binance, with what its venue would answer."""

    def __init__(self, *, opened: bool = True, position: str = "0", usdt: str = "1000") -> None:
        self.books = Books()
        self.bench = Bench(witness=self.books)
        self.orders: list[OrderUpdate] = []
        self.fills: list[Fill] = []
        self.held = Decimal(position)
        self.usdt = Decimal(usdt)
        self.pass_ = Reconciliation(
            "binance",
            [PERPETUAL, SPOT],
            self.bench.manager,
            self.books.portfolio,
            {PERPETUAL.key: self.bench.now_ns},
            opened=opened,
        )
        if opened:
            self.open("1000")

    def open(self, usdt: str, position: str = "0") -> None:
        held = OpenPosition(PERPETUAL, Decimal(position), Decimal(100))
        self.books.portfolio.open(Opening(0, (self.balance(Decimal(usdt)),), (held,)))

    def balance(self, total: Decimal) -> Balance:
        now_ns = self.bench.now_ns
        return Balance("binance", "linear", "USDT", total, total, now_ns, now_ns)

    def answer(self, asks: Sequence[Ask]) -> None:
        now_ns = self.bench.now_ns
        for ask in asks:
            match ask:
                case AskOrders(_, kind):
                    told = [update for update in self.orders if update.listing.kind is kind]
                    self.pass_.orders(ask, told, now_ns)
                case FetchFills(listing):
                    told_fills = [fill for fill in self.fills if fill.listing.key == listing.key]
                    self.pass_.fills(ask, told_fills, now_ns)
                case AskPositions():
                    position = Position(PERPETUAL, self.held, None, None, now_ns, now_ns)
                    self.pass_.positions([position] if self.held else [], now_ns)
                case AskFunding():
                    self.pass_.funding()
                case AskBalances():
                    self.pass_.balances([self.balance(self.usdt)] if self.usdt else [], now_ns)

    def run(self, seconds: int = 30) -> list[Ask]:
        """Begins, and answers everything at once, query after query."""
        asked = self.pass_.begin(self.bench.now_ns)
        self.answer(asked)
        for _ in range(seconds * 4):
            asks = self.pass_.tick(self.bench.now_ns)
            asked += asks
            self.answer(asks)
            for action in self.bench.wait(SECOND // 4):
                if isinstance(action, Query):
                    self.bench.manager.not_found(action, self.bench.now_ns)
            if self.pass_.settled:
                break
        return asked

    @property
    def words(self) -> list[str]:
        return [str(difference) for difference in self.pass_.differences]


def test_where_nothing_differs_it_settles_without_a_word() -> None:
    desk = Desk()
    asked = desk.run()
    assert desk.pass_.settled
    assert desk.words == []
    assert [type(ask) for ask in asked] == [
        AskOrders,
        AskOrders,
        FetchFills,
        FetchFills,
        AskPositions,
        AskBalances,
        AskFunding,
    ]
    since = [ask.since_ns for ask in asked if isinstance(ask, FetchFills)]
    assert max(since) < desk.bench.now_ns - 59 * SECOND


def test_an_own_order_of_an_earlier_run_is_adopted_and_named() -> None:
    desk = Desk()
    order = Bench().rest()
    desk.orders = [order_update(order, OrderState.OPEN, at=1, price="100", size="1")]
    desk.run()
    assert desk.pass_.settled
    assert desk.words == [
        f"binance {order.client_id} binance BTC/USDT:USDT buy 1 @ 100 open 0 of an earlier run "
        "was open: adopted"
    ]
    assert desk.bench.manager.open_count("binance") == 1


def test_fills_missed_while_down_are_booked_and_the_holdings_agree() -> None:
    desk = Desk(position="1", usdt="999.98")
    order = desk.bench.rest()
    desk.bench.manager.lost("binance", desk.bench.now_ns)
    desk.fills = [order_fill(order, "1", fee="0.02", client_id="")]
    desk.run()
    assert desk.pass_.settled
    assert order.state is OrderState.FILLED
    assert desk.books.portfolio.position(PERPETUAL) == 1
    assert desk.words[-1] == ("binance BTC/USDT:USDT trade t1, buy 1 @ 100, was missed: booked")


def test_it_does_not_settle_while_an_order_is_unknown() -> None:
    desk = Desk()
    order = desk.bench.submit()
    desk.bench.manager.lost("binance", desk.bench.now_ns)
    desk.bench.now_ns += SECOND
    desk.run(5)
    assert not desk.pass_.settled
    assert desk.words == [f"binance {order!r} is not among the open orders: asked the venue"]
    assert order.state is OrderState.UNKNOWN


def test_a_position_that_differs_three_times_needs_a_person_who_may_accept_it() -> None:
    desk = Desk(position="1")
    asked = desk.run(9)
    assert not desk.pass_.settled
    assert [type(ask) for ask in asked].count(AskPositions) == 3
    assert desk.pass_.differences[-1].remedy is Remedy.OPERATOR
    assert desk.words == [
        "binance position BTC/USDT:USDT: the venue says 1, we count 0, a difference of +1: "
        "accept it, or put it right at the venue"
    ]
    desk.pass_.accept(desk.bench.now_ns)
    assert desk.pass_.settled
    assert desk.books.portfolio.position(PERPETUAL) == 1
    assert desk.pass_.tick(desk.bench.now_ns) == []


def test_a_difference_put_right_at_the_venue_settles_by_itself() -> None:
    desk = Desk(position="1")
    desk.run(9)
    assert desk.pass_.needs_operator
    desk.held = Decimal(0)
    for _ in range(60):
        desk.answer(desk.pass_.tick(desk.bench.now_ns))
        desk.bench.now_ns += SECOND // 4
    assert desk.pass_.settled
    assert desk.pass_.needs_operator == []


def test_a_fill_that_the_venue_tells_late_explains_the_difference() -> None:
    desk = Desk(position="1")
    order = desk.bench.rest()
    desk.orders = [order_update(order, OrderState.OPEN, at=order.venue_ns)]
    asked = desk.pass_.begin(desk.bench.now_ns)
    desk.answer(asked)
    desk.answer(desk.pass_.tick(desk.bench.now_ns))
    desk.fills = [order_fill(order, "1")]
    desk.answer(desk.pass_.tick(desk.bench.now_ns))
    for _ in range(20):
        desk.bench.now_ns += SECOND // 4
        desk.answer(desk.pass_.tick(desk.bench.now_ns))
    assert desk.pass_.settled
    assert desk.pass_.differences[-1].remedy is Remedy.BOOKED


def test_a_balance_that_the_venue_leaves_out_is_zero() -> None:
    desk = Desk(usdt="0")
    desk.run(9)
    assert [drift.theirs for drift in desk.pass_.needs_operator] == [0]


def test_the_first_books_begin_with_the_venues_word_and_what_was_booked_meanwhile() -> None:
    desk = Desk(opened=False, position="3", usdt="500")
    order = desk.bench.rest()
    desk.fills = [order_fill(order, "1", fee="0.5")]
    desk.run()
    assert desk.pass_.settled
    assert desk.pass_.began
    portfolio = desk.books.portfolio
    assert portfolio.position(PERPETUAL) == 3
    assert portfolio.ledger.balance("binance", "linear", "USDT") == 500
    portfolio._check()


def test_a_question_that_fails_or_is_never_answered_is_asked_again() -> None:
    desk = Desk()
    asks = desk.pass_.begin(desk.bench.now_ns)
    failed, *others = asks
    desk.pass_.failed(failed, desk.bench.now_ns)
    desk.answer(others[:-1])
    assert desk.pass_.tick(desk.bench.now_ns + SECOND) == []
    assert desk.pass_.tick(desk.bench.now_ns + 2 * SECOND) == [failed]
    assert desk.pass_.tick(desk.bench.now_ns + 10 * SECOND) == [others[-1]]


def test_an_answer_nobody_waits_for_changes_nothing() -> None:
    desk = Desk()
    order = desk.bench.rest()
    desk.bench.now_ns += SECOND
    desk.pass_.orders(AskOrders("binance", Kind.LINEAR), [], desk.bench.now_ns)
    assert order.state is OrderState.OPEN
