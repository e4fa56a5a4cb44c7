"""Any sequence of requests, trades and time: the broker's books add up after each step."""

from __future__ import annotations

from decimal import Decimal

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hftmm.core.instrument import Kind, Side
from hftmm.sim.ledger import Account, Balance, BalanceChanged, OrderChanged
from hftmm.sim.orders import Order, Refused, TimeInForce
from hftmm.sim.spec import Spec
from hftmm.sim.tape import Fill, Listener
from tests.practice_broker import HOUR, LINEAR, SECOND, SPOT, Desk

SIDES: st.SearchStrategy[Side] = st.sampled_from(("buy", "sell"))
SPECS = st.sampled_from((LINEAR, SPOT))
TICKS = st.integers(994, 1006)
LOTS = st.integers(2, 2_500)
ACCOUNTS = st.sampled_from(("practice", "other"))
IN_FORCE: st.SearchStrategy[TimeInForce] = st.sampled_from(("gtc", "gtc", "gtc", "ioc", "fok"))
PREVENTION = st.sampled_from(("none", "expire_taker", "expire_maker", "expire_both"))


class Trading(RuleBasedStateMachine):
    """Two accounts and a crowd; every fill the engines tell of has to be booked, and no other."""

    @initialize(unified=st.booleans())
    def open_desk(self, unified: bool) -> None:
        self.desk = Desk(unified=unified)
        self.listeners: dict[str, Listener] = {
            one.symbol: self.desk.engine(one).listen() for one in (LINEAR, SPOT)
        }
        self.crowd_orders = {
            (one.symbol, number)
            for one in (LINEAR, SPOT)
            for number in self.desk.engine(one).orders_of("")
        }
        self.expected: dict[tuple[str, int], tuple[int, int, int]] = {}
        self.told: dict[tuple[str, int], Order] = {}
        self.balances = {
            (name, wallet, asset): balance.total
            for name, account in self.desk.broker.accounts.items()
            for wallet, asset, balance in _balances(account)
        }

    @rule(
        name=ACCOUNTS,
        one=SPECS,
        side=SIDES,
        ticks=TICKS,
        lots=LOTS,
        time_in_force=IN_FORCE,
        post_only=st.booleans(),
        reduce_only=st.booleans(),
        self_trade=PREVENTION,
        client_id=st.sampled_from(("", "", "a", "b")),
    )
    def place(
        self,
        name: str,
        one: Spec,
        side: Side,
        ticks: int,
        lots: int,
        time_in_force: TimeInForce,
        post_only: bool,
        reduce_only: bool,
        self_trade: str,
        client_id: str,
    ) -> None:
        account = self.desk.broker.accounts[name]
        base = account.position(one).base
        placed = self.desk.ask(
            side,
            ticks,
            lots,
            one,
            account,
            time_in_force,
            post_only=post_only and time_in_force == "gtc",
            reduce_only=reduce_only and one is LINEAR,
            self_trade=self_trade,
            client_id=client_id,
        )
        if isinstance(placed, Order):
            if placed.post_only:
                assert not placed.fills or placed.state == "canceled"
            if time_in_force == "fok":
                assert placed.filled_lots in {0, placed.lots}
            if placed.reduce_only:
                assert abs(account.position(one).base) <= abs(base)
            if time_in_force != "gtc":
                assert not placed.open
            for fill in placed.fills:
                assert fill.ticks <= ticks if side == "buy" else fill.ticks >= ticks

    @rule(name=ACCOUNTS, one=SPECS, side=SIDES, lots=LOTS, spend=st.booleans())
    def at_market(self, name: str, one: Spec, side: Side, lots: int, spend: bool) -> None:
        account = self.desk.broker.accounts[name]
        if spend and one is SPOT and side == "buy":
            quote = Decimal(lots)
            placed = self.desk.ask(side, None, 0, one, account, quote_amount=quote)
            if isinstance(placed, Order):
                assert placed.filled_quote <= quote
        else:
            placed = self.desk.ask(side, None, lots, one, account)
        assert isinstance(placed, Refused) or not placed.open

    @rule(side=SIDES, one=SPECS, ticks=TICKS, lots=LOTS)
    def crowd(self, side: Side, one: Spec, ticks: int, lots: int) -> None:
        # Known before the fills are looked at: the engine numbers its orders one after another.
        self.crowd_orders.add((one.symbol, self.desk.crowd(side, ticks, lots, one)))

    @rule(name=ACCOUNTS, pick=st.integers(0, 20))
    def cancel(self, name: str, pick: int) -> None:
        account = self.desk.broker.accounts[name]
        if orders := list(account.orders.values()):
            order = orders[pick % len(orders)]
            was_open = order.open
            canceled = self.desk.broker.cancel(account, order.id, order.spec, self.desk.now_ns)
            if was_open:
                assert canceled is order
                assert (order.state, order.reason) == ("canceled", "user")
            else:
                assert isinstance(canceled, Refused)
                assert canceled.rule == "already_done"

    @rule(name=ACCOUNTS, kind=st.sampled_from((None, Kind.SPOT, Kind.LINEAR)))
    def cancel_all(self, name: str, kind: Kind | None) -> None:
        account = self.desk.broker.accounts[name]
        self.desk.broker.cancel_all(account, None, kind, self.desk.now_ns)
        assert not account.open_orders(kind=kind)

    @rule(
        name=ACCOUNTS,
        pick=st.integers(0, 20),
        ticks=st.none() | TICKS,
        lots=st.none() | LOTS,
        keep=st.booleans(),
    )
    def amend(self, name: str, pick: int, ticks: int | None, lots: int | None, keep: bool) -> None:
        account = self.desk.broker.accounts[name]
        if orders := list(account.open.values()):
            order = orders[pick % len(orders)]
            before = (order.ticks, order.lots, order.state)
            ahead = self.desk.broker.queue_ahead(order)
            amended = self.desk.broker.amend(account, order, self.desk.now_ns, ticks, lots, keep)
            if isinstance(amended, Refused):
                assert (order.ticks, order.lots, order.state) == before
            elif keep:
                assert self.desk.broker.queue_ahead(order) == ahead

    @rule(name=ACCOUNTS, timeout=st.sampled_from((0, 1, 3)), one=st.none() | SPECS)
    def arm(self, name: str, timeout: int, one: Spec | None) -> None:
        account = self.desk.broker.accounts[name]
        self.desk.broker.arm_dead_man(account, one, timeout * SECOND, self.desk.now_ns)

    @rule(ns=st.sampled_from((1, SECOND, 5 * SECOND, 9 * HOUR)), mark=st.integers(950, 1050))
    def advance(self, ns: int, mark: int) -> None:
        self.desk.market.marks[LINEAR.symbol] = float(mark)
        self.desk.pass_time(ns)

    @invariant()
    def everything_adds_up(self) -> None:
        self.desk.broker._check()
        for one in (LINEAR, SPOT):
            self.desk.engine(one)._check()

    @invariant()
    def every_fill_of_an_account_is_booked_once_for_each_side(self) -> None:
        for symbol, listener in self.listeners.items():
            changes = listener.take()
            for fill in changes.fills if changes is not None else ():
                sides = self._sides(symbol, fill)
                self.expected[symbol, fill.trade_id] = fill.ticks, fill.lots, sides
        booked: dict[tuple[str, int], tuple[int, int, int]] = {}
        for account in self.desk.broker.accounts.values():
            for execution in account.executions:
                key = execution.order.spec.symbol, execution.trade_id
                sides = booked.get(key, (0, 0, 0))[2] + 1
                booked[key] = execution.ticks, execution.lots, sides
        assert booked == {key: value for key, value in self.expected.items() if value[2]}

    @invariant()
    def events_tell_the_whole_story(self) -> None:
        for name, account in self.desk.broker.accounts.items():
            for event in account.take_events():
                if isinstance(event, OrderChanged):
                    self.told[name, event.order.id] = event.order
                elif isinstance(event, BalanceChanged):
                    key = name, event.wallet, event.asset
                    self.balances[key] = self.balances.get(key, Decimal(0)) + event.delta
                    assert self.balances[key] == event.total
            for wallet, asset, balance in _balances(account):
                assert self.balances[name, wallet, asset] == balance.total
            for order in account.orders.values():
                told = self.told[name, order.id]
                assert _values(told) == _values(order)

    def _sides(self, symbol: str, fill: Fill) -> int:
        both = (fill.maker_order, fill.taker_order)
        return sum((symbol, number) not in self.crowd_orders for number in both)


def _balances(account: Account) -> list[tuple[str, str, Balance]]:
    kinds = (Kind.SPOT,) if account.unified else (Kind.SPOT, Kind.LINEAR)
    return [
        (account.wallet_name(kind), asset, balance)
        for kind in kinds
        for asset, balance in account.wallet(kind).items()
    ]


def _values(order: Order) -> tuple[object, ...]:
    return (order.ticks, order.lots, order.state, order.reason, order.filled_lots, order.fills)


TestTrading = Trading.TestCase
TestTrading.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
