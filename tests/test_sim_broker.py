"""The life of an order at a practice venue, and everything it can be refused for."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftmm.config import PracticeConfig
from hftmm.core.instrument import Kind, Side
from hftmm.sim import blotter
from hftmm.sim.broker import Broker
from hftmm.sim.filters import Rules, limit_of_band, to_lots, to_ticks
from hftmm.sim.ledger import BalanceChanged, OrderChanged, PositionChanged
from hftmm.sim.market import Market, practice_specs
from hftmm.sim.matching import SelfTrade
from hftmm.sim.orders import Order, Refused, Ticket, TimeInForce
from hftmm.sim.spec import Spec
from tests.practice_broker import FEES, LINEAR, SECOND, SPOT, Desk, spec

D = Decimal


def changes(desk: Desk) -> list[tuple[str, str, str]]:
    """Change, state and reason of every order event since the last call."""
    return [
        (event.change, event.order.state, event.order.reason)
        for event in desk.account.take_events()
        if isinstance(event, OrderChanged)
    ]


def cancel(desk: Desk, which: int | str, one: Spec | None = LINEAR) -> Order | Refused:
    canceled = desk.broker.cancel(desk.account, which, one, desk.now_ns)
    desk.broker._check()
    return canceled


def amended(desk: Desk, order: Order, **change: int | bool) -> Order:
    outcome = desk.broker.amend(desk.account, order, desk.now_ns, **change)  # type: ignore[arg-type]  # ints and a bool, by name
    desk.broker._check()
    assert isinstance(outcome, Order), outcome
    return outcome


def amend_refused(desk: Desk, order: Order, **change: int | bool) -> str:
    before = (order.ticks, order.lots, order.state, order.resting_id)
    outcome = desk.broker.amend(desk.account, order, desk.now_ns, **change)  # type: ignore[arg-type]  # ints and a bool, by name
    desk.broker._check()
    assert isinstance(outcome, Refused), outcome
    assert (order.ticks, order.lots, order.state, order.resting_id) == before
    return outcome.rule


# From the ticket to the end


def test_an_order_rests_is_filled_in_parts_and_tells_each_step_once() -> None:
    desk = Desk()
    order = desk.place("buy", 1000, 1000, client_id="mine")
    desk.crowd("sell", 1000, 400)
    assert (order.state, order.filled_lots, order.remaining_lots) == ("partially_filled", 400, 600)
    desk.crowd("sell", 1000, 700)
    assert (order.state, order.filled_quote, order.average) == ("filled", D(1000), D(1000))
    assert changes(desk) == [
        ("new", "new", ""),
        ("trade", "partially_filled", ""),
        ("trade", "filled", ""),
    ]
    assert desk.fills() == [(1000, 400, True), (1000, 600, True)]
    assert desk.broker.order(desk.account, LINEAR, client_id="mine") is order
    assert desk.broker.open_orders(desk.account) == []


def test_an_event_keeps_the_values_of_its_moment() -> None:
    desk = Desk()
    desk.place("buy", 1000, 1000)
    first = desk.account.take_events()[0]
    desk.crowd("sell", 1000, 1000)
    assert isinstance(first, OrderChanged)
    assert (first.order.state, first.order.filled_lots, first.order.fills) == ("new", 0, [])


def test_a_taker_gets_the_better_price_and_rests_with_what_is_left() -> None:
    desk = Desk()
    order = desk.place("buy", 1002, 2500)
    assert desk.fills() == [(1001, 1000, False), (1002, 1000, False)]
    assert (order.state, order.remaining_lots) == ("partially_filled", 500)
    assert desk.engine().best("buy").ticks == 1002  # type: ignore[union-attr]  # it rests there


def test_one_fill_tells_of_order_balances_and_position_in_this_order() -> None:
    desk = Desk()
    desk.place("buy", 1001)
    desk.place("sell", 999)
    told = [type(event) for event in desk.account.take_events()]
    assert told == [
        *(OrderChanged, OrderChanged, BalanceChanged, PositionChanged),
        *(OrderChanged, OrderChanged, BalanceChanged, BalanceChanged, PositionChanged),
    ]


def test_a_spot_order_that_rests_tells_what_it_locks() -> None:
    desk = Desk()
    order = desk.place("buy", 900, one=SPOT)
    cancel(desk, order.id, SPOT)
    locks = [event for event in desk.account.take_events() if isinstance(event, BalanceChanged)]
    assert [(one.cause, one.delta, one.locked) for one in locks] == [
        ("lock", D(0), D(900)),
        ("lock", D(0), D(0)),
    ]


def test_fills_come_while_the_market_moves_and_not_only_when_asked() -> None:
    symbols = ["BTC/USDT:USDT", "BTC/USDT"]
    market = Market(practice_specs(symbols), PracticeConfig(seed=3), 0)
    broker = Broker("bybit", market, True, FEES)
    account = broker.accounts["practice"]
    placed: list[Order] = []
    for step in range(1, 400):
        now_ns = step * 5_000_000
        market.advance(now_ns)
        broker.advance(now_ns)
        if step % 40 == 0:
            for engine in market.of("bybit"):
                sides: tuple[Side, Side] = ("buy", "sell")
                for side in sides:
                    best = engine.best(side)
                    assert best is not None
                    lots = int(D(2) / engine.spec.lot / 10)
                    ticket = Ticket(spec=engine.spec, side=side, ticks=best.ticks, lots=lots)
                    order = broker.place(account, ticket, now_ns)
                    assert isinstance(order, Order), order
                    placed.append(order)
        broker._check()
    assert any(fill.maker for order in placed for fill in order.fills)


def test_time_sliced_otherwise_gives_the_same_fills() -> None:
    def run(slice_ns: int) -> list[tuple[int, int, int]]:
        market = Market(practice_specs(["BTC/USDT"]), PracticeConfig(seed=5), 0)
        broker = Broker("okx", market, True, FEES)
        account = broker.accounts["practice"]
        one = broker.specs[0]
        engine = market.engines["okx", Kind.SPOT, "BTC-USDT"]
        for side in ("buy", "sell"):
            best = engine.best(side)
            assert best is not None
            ticket = Ticket(spec=one, side=side, ticks=best.ticks, lots=50_000_000)
            assert isinstance(broker.place(account, ticket, 0), Order)
        for now_ns in range(0, 8 * SECOND, slice_ns):
            market.advance(now_ns)
            broker.advance(now_ns)
        return [(fill.ticks, fill.lots, fill.ts_ns) for fill in account.executions]

    runs = [run(4_000_000), run(4_000_000), run(500_000_000)]
    assert runs[0]
    assert runs[0] == runs[1]
    assert runs[2] == [fill for fill in runs[0] if fill[2] <= 7_500_000_000]


def test_clients_change_neither_the_price_process_nor_what_they_do_not_touch() -> None:
    def run(trade: bool) -> tuple[list[float], list[object]]:
        market = Market(practice_specs(["BTC/USDT", "ETH/USDT"]), PracticeConfig(seed=5), 0)
        broker = Broker("okx", market, True, FEES)
        account = broker.accounts["practice"]
        btc, eth = broker.specs
        marks: list[float] = []
        for step in range(1, 300):
            market.advance(step * 10_000_000)
            broker.advance(step * 10_000_000)
            if trade and step % 10 == 0:
                ticket = Ticket(spec=btc, side="buy", ticks=None, lots=1_000_000)
                assert isinstance(broker.place(account, ticket, step * 10_000_000), Order)
            marks.append(market.mark(btc).index)
        others = [
            engine.levels("buy")
            for key, engine in market.engines.items()
            if (key[0], key[2]) != ("okx", btc.venue_symbol)
        ]
        assert eth.symbol != btc.symbol
        return marks, [*others]

    assert run(trade=True) == run(trade=False)


@pytest.mark.parametrize("crossing", [1001, 1005])
def test_a_crossing_post_only_order_is_canceled_or_refused_as_the_venue_does(crossing: int) -> None:
    desk = Desk()
    order = desk.place("buy", crossing, post_only=True)
    assert (order.state, order.reason, order.fills) == ("canceled", "post_only", [])
    assert changes(desk) == [("new", "new", ""), ("canceled", "canceled", "post_only")]
    strict = Desk(rules={Kind.LINEAR: Rules(post_only_refuses=True)})
    assert strict.refused("buy", crossing, post_only=True) == "post_only_would_take"
    assert strict.place("buy", 1000, post_only=True).state == "new"


def test_an_ioc_order_takes_what_there_is_and_expires() -> None:
    desk = Desk()
    order = desk.place("sell", 998, 2600, time_in_force="ioc")
    assert (order.filled_lots, order.state, order.reason) == (2000, "expired", "ioc")
    nothing = desk.place("sell", 1500, time_in_force="ioc")
    assert (nothing.filled_lots, nothing.state) == (0, "expired")
    assert desk.engine().orders_of("practice") == []


def test_a_fok_order_is_filled_whole_or_not_at_all() -> None:
    desk = Desk()
    short = desk.place("buy", 1002, 2001, time_in_force="fok")
    assert (short.state, short.reason, short.fills) == ("expired", "fok", [])
    assert desk.place("buy", 1002, 2000, time_in_force="fok").state == "filled"
    strict = Desk(rules={Kind.LINEAR: Rules(fok_refuses=True)})
    assert strict.refused("buy", 1002, 2001, time_in_force="fok") == "fok_unfillable"


def test_a_market_order_takes_within_the_band_and_the_rest_expires() -> None:
    desk = Desk(rules={Kind.LINEAR: Rules(band=D("0.002"))})
    order = desk.place("buy", None, 4000)
    assert (order.filled_lots, order.state, order.reason) == (2000, "expired", "market")
    assert order.price is None


def test_a_spot_market_buy_spends_no_more_than_its_quote_amount() -> None:
    desk = Desk()
    order = desk.place("buy", None, 0, one=SPOT, quote_amount=D("1502.9"))
    assert order.state == "filled"
    # 1 at 1001 and 0.5 at 1002; what is left buys no further lot.
    assert (order.filled_lots, order.filled_quote) == (1500, D(1502))
    assert desk.refused("buy", None, 0, one=SPOT, quote_amount=D("0.5")) == "min_size"


# Refusals at the door


@pytest.mark.parametrize(
    ("side", "ticks", "lots", "rule"),
    [
        ("buy", 0, 1000, "price_filter"),
        ("buy", -5, 1000, "price_filter"),
        ("buy", 1000, 0, "min_size"),
        ("buy", 1000, 1, "min_size"),
        ("buy", 1000, 4, "min_notional"),
        ("buy", 1051, 1000, "price_band"),
        ("sell", 949, 1000, "price_band"),
        ("buy", 1000, 100_001, "max_size"),
    ],
)
def test_filters_refuse_what_is_off(side: Side, ticks: int, lots: int, rule: str) -> None:
    rules = Rules(max_lots=100_000)
    desk = Desk(rules={Kind.LINEAR: rules})
    assert desk.refused(side, ticks, lots) == rule


def test_the_edges_of_the_filters_are_inside() -> None:
    desk = Desk(rules={Kind.LINEAR: Rules(max_lots=100_000)})
    for side, ticks, lots in (("buy", 1050, 5), ("sell", 950, 6), ("buy", 900, 100_000)):
        desk.place(side, ticks, lots)  # type: ignore[arg-type]  # literals in a tuple


def test_only_the_aggressive_side_has_a_band() -> None:
    desk = Desk()
    assert desk.place("buy", 6, 1000).state == "new"
    assert desk.place("sell", 9000, 1000).state == "new"


def test_the_band_ends_inside_the_fraction() -> None:
    coarse = spec()
    assert limit_of_band(coarse, "buy", D("1000.5"), D("0.05")) == 1050
    assert limit_of_band(coarse, "sell", D("1000.5"), D("0.05")) == 951
    assert limit_of_band(coarse, "sell", D("0.5"), D("0.05")) == 1


@pytest.mark.parametrize(
    ("price", "expected"), [("7", 7), ("7.5", "price_filter"), ("0", "price_filter")]
)
def test_prices_become_ticks_or_are_refused(price: str, expected: int | str) -> None:
    found = to_ticks(LINEAR, D(price))
    assert (found.rule if isinstance(found, Refused) else found) == expected


@pytest.mark.parametrize(
    ("size", "expected"),
    [("0.007", 7), ("0.0075", "lot_size"), ("-1", "min_size"), ("NaN", "min_size")],
)
def test_sizes_become_lots_or_are_refused(size: str, expected: int | str) -> None:
    found = to_lots(LINEAR, D(size))
    assert (found.rule if isinstance(found, Refused) else found) == expected


def test_an_instrument_the_venue_does_not_list_is_unknown() -> None:
    desk = Desk(specs=(LINEAR,))
    assert desk.refused("buy", 1000, one=spec(base="ETH")) == "unknown_symbol"


def test_open_orders_are_counted_by_instrument() -> None:
    desk = Desk(rules={Kind.LINEAR: Rules(max_orders=2), Kind.SPOT: Rules(max_orders=2)})
    first = desk.place("buy", 900)
    desk.place("buy", 900)
    assert desk.refused("buy", 900) == "max_orders"
    desk.place("buy", 900, one=SPOT)
    cancel(desk, first.id)
    desk.place("buy", 900)


def test_a_client_id_is_free_again_when_its_order_is_done_unless_the_venue_keeps_it() -> None:
    for forever in (False, True):
        desk = Desk(rules={Kind.LINEAR: Rules(client_ids="ever" if forever else "open")})
        order = desk.place("buy", 900, client_id="mine")
        assert desk.refused("buy", 901, client_id="mine") == "duplicate_client_id"
        assert cancel(desk, "mine") is order
        if forever:
            assert desk.refused("buy", 901, client_id="mine") == "duplicate_client_id"
        else:
            again = desk.place("buy", 901, client_id="mine")
            assert desk.broker.order(desk.account, LINEAR, client_id="mine") is again


def test_client_ids_belong_to_an_account_and_in_split_wallets_to_a_kind() -> None:
    desk = Desk(unified=False)
    desk.place("buy", 900, client_id="mine")
    desk.place("buy", 900, client_id="mine", account=desk.other)
    on_spot = desk.place("buy", 900, one=SPOT, client_id="mine")
    assert desk.broker.order(desk.account, SPOT, client_id="mine") is on_spot
    assert Desk().place("buy", 900, client_id="mine").client_id == "mine"
    unified = Desk()
    unified.place("buy", 900, client_id="mine")
    assert unified.refused("buy", 900, one=SPOT, client_id="mine") == "duplicate_client_id"


# Cancel


def test_a_cancel_ends_an_order_once_and_an_unknown_one_is_said_to_be_so() -> None:
    desk = Desk()
    order = desk.place("buy", 900)
    assert cancel(desk, order.id) is order
    assert (order.state, order.reason) == ("canceled", "user")
    for which, rule in ((order.id, "already_done"), (99, "unknown_order"), ("x", "unknown_order")):
        refused = cancel(desk, which)
        assert isinstance(refused, Refused)
        assert refused.rule == rule


def test_an_order_is_not_found_under_another_instrument_or_account() -> None:
    desk = Desk()
    order = desk.place("buy", 900, client_id="mine")
    assert isinstance(cancel(desk, order.id, SPOT), Refused)
    assert isinstance(cancel(desk, "mine", SPOT), Refused)
    assert isinstance(desk.broker.cancel(desk.other, order.id, LINEAR, desk.now_ns), Refused)
    assert cancel(desk, "mine", None) is order


def test_cancel_all_takes_an_instrument_a_kind_or_everything() -> None:
    desk = Desk(specs=(LINEAR, SPOT, spec(base="ETH")))
    orders = [desk.place("buy", 900, one=one) for one in desk.broker.specs]
    desk.place("buy", 900, account=desk.other)
    cancels = desk.broker.cancel_all
    assert cancels(desk.account, LINEAR, None, desk.now_ns) == orders[:1]
    assert cancels(desk.account, None, Kind.SPOT, desk.now_ns) == orders[1:2]
    assert cancels(desk.account, None, None, desk.now_ns) == orders[2:]
    assert len(desk.other.open) == 1
    desk.broker._check()


def test_an_order_to_be_canceled_can_be_filled_a_moment_before() -> None:
    desk = Desk()
    desk.crowd("buy", 999, 300)
    order = desk.place("buy", 999, 500)
    desk.broker.fill_before_cancel = 1
    refused = cancel(desk, order.id)
    assert isinstance(refused, Refused)
    assert (refused.rule, refused.order, order.state) == ("already_done", order, "filled")
    second = desk.place("buy", 990, 500)
    assert cancel(desk, second.id) is second
    third, fourth = desk.place("sell", 1009, 500), desk.place("sell", 1010, 500)
    desk.broker.fill_before_cancel = 1
    assert desk.broker.cancel_all(desk.account, None, None, desk.now_ns) == [fourth]
    assert third.state == "filled"
    desk.broker._check()


# Amend


def test_an_order_to_be_amended_can_be_filled_a_moment_before() -> None:
    desk = Desk()
    order = desk.place("buy", 999, 500)
    desk.broker.fill_before_cancel = 1
    refused = desk.broker.amend(desk.account, order, desk.now_ns, ticks=998)
    assert isinstance(refused, Refused)
    assert (refused.rule, order.state) == ("already_done", "filled")


def test_a_reduce_only_order_is_not_amended_beyond_the_position() -> None:
    desk = Desk()
    desk.place("buy", 1001, 800)
    order = desk.place("sell", 1100, 500, reduce_only=True)
    amended(desk, order, lots=5000)
    assert order.lots == 800
    assert amend_refused(desk, order, lots=5000) == "nothing_to_amend"


def test_a_smaller_size_keeps_the_place_in_the_queue() -> None:
    desk = Desk()
    order = desk.place("buy", 999, 2000)
    desk.crowd("buy", 999, 500)
    assert desk.broker.queue_ahead(order) == 1000
    changes(desk)
    amended(desk, order, lots=1200, keep_priority=True)
    assert (order.lots, desk.broker.queue_ahead(order)) == (1200, 1000)
    amended(desk, order, lots=1000)
    assert desk.broker.queue_ahead(order) == 1000
    assert changes(desk) == [("amended", "new", "")] * 2


@pytest.mark.parametrize("change", [{"ticks": 998}, {"lots": 2001}, {"ticks": 1000}])
def test_another_price_or_a_larger_size_loses_the_place(change: dict[str, int]) -> None:
    desk = Desk()
    order = desk.place("buy", 999, 2000)
    assert amend_refused(desk, order, keep_priority=True, **change) == "amend_down_only"
    desk.crowd("buy", 999, 500)
    before = order.resting_id
    amended(desk, order, **change)
    assert order.resting_id > before
    ticks = change.get("ticks", 999)
    assert order.ticks == ticks
    assert desk.broker.queue_ahead(order) == {998: 1000, 999: 1500, 1000: 0}[ticks]


def test_an_amended_order_may_take() -> None:
    desk = Desk()
    order = desk.place("buy", 999, 1500)
    amended(desk, order, ticks=1001)
    assert (order.filled_lots, order.state) == (1000, "partially_filled")
    amended(desk, order, ticks=1002)
    assert order.state == "filled"
    assert desk.fills() == [(1001, 1000, False), (1002, 500, False)]


def test_a_post_only_order_is_not_amended_into_the_spread_it_would_take() -> None:
    desk = Desk()
    order = desk.place("buy", 999, post_only=True)
    assert amend_refused(desk, order, ticks=1001) == "post_only_would_take"
    amended(desk, order, ticks=1000)


def test_an_amend_passes_the_filters_and_the_funds_like_a_new_order() -> None:
    desk = Desk()
    order = desk.place("buy", 1000, 1000, one=SPOT)
    assert amend_refused(desk, order, ticks=1051) == "price_band"
    assert amend_refused(desk, order, lots=1) == "min_size"
    assert amend_refused(desk, order, ticks=0) == "price_filter"
    assert amend_refused(desk, order, lots=1_000_001) == "balance"
    amended(desk, order, lots=1_000_000)
    assert desk.account.spot["USDT"].free == 0
    contract = desk.place("sell", 1050, 1000, account=desk.other)
    refused = desk.broker.amend(desk.other, contract, desk.now_ns, lots=10_000_000)
    assert isinstance(refused, Refused)
    assert refused.rule == "margin"


def test_an_amend_below_what_is_filled_or_of_nothing_is_refused() -> None:
    desk = Desk()
    order = desk.place("buy", 1001, 1500)
    assert amend_refused(desk, order, lots=1000) == "amend_below_filled"
    assert amend_refused(desk, order, lots=1500, ticks=1001) == "nothing_to_amend"
    amended(desk, order, lots=1100)
    assert order.remaining_lots == 100
    cancel(desk, order.id)
    assert amend_refused(desk, order, lots=1050) == "already_done"


# Self-trade


@pytest.mark.parametrize(
    ("mode", "maker", "taker", "traded"),
    [
        ("expire_maker", ("expired", "self_trade"), ("partially_filled", ""), 1000),
        ("expire_taker", ("new", ""), ("expired", "self_trade"), 0),
        ("expire_both", ("expired", "self_trade"), ("expired", "self_trade"), 0),
        ("none", ("filled", ""), ("filled", ""), 1500),
    ],
)
def test_an_order_meets_its_own_as_the_taker_wishes(
    mode: SelfTrade, maker: tuple[str, str], taker: tuple[str, str], traded: int
) -> None:
    desk = Desk()
    own = desk.place("sell", 1000, 500)
    order = desk.place("buy", 1001, 1500, self_trade=mode)
    assert (own.state, own.reason) == maker
    assert (order.state, order.reason) == taker
    assert order.filled_lots == traded


def test_orders_of_other_accounts_trade_with_each_other() -> None:
    desk = Desk()
    theirs = desk.place("sell", 1000, 500, account=desk.other)
    mine = desk.place("buy", 1000, 500)
    assert (theirs.state, mine.state) == ("filled", "filled")
    assert desk.other.position(LINEAR).base == -desk.account.position(LINEAR).base == D("-0.5")


def test_a_fok_order_does_not_count_on_its_own_account() -> None:
    desk = Desk()
    desk.place("sell", 1000, 500)
    order = desk.place("buy", 1001, 1500, time_in_force="fok")
    assert (order.state, order.reason) == ("expired", "fok")
    assert desk.place("buy", 1001, 1000, time_in_force="fok").state == "filled"


def test_a_fok_order_does_not_count_on_reduce_only_orders_that_would_go() -> None:
    desk = Desk(book=False)
    desk.crowd("sell", 1000, 1000)
    desk.place("buy", 1000, 1000, account=desk.other)
    for ticks in (1001, 1002):
        desk.place("sell", ticks, 1000, account=desk.other, reduce_only=True)
    assert desk.place("buy", 1002, 2000, time_in_force="fok").state == "expired"
    assert desk.place("buy", 1002, 1000, time_in_force="fok").state == "filled"
    assert desk.other.position(LINEAR).base == 0


@given(
    st.sampled_from((LINEAR, SPOT)),
    st.sampled_from(("buy", "sell")),
    st.none() | st.integers(960, 1040),
    st.integers(1, 30_000_000),
    st.integers(1, 30_000_000),
)
def test_what_is_too_large_stays_so_when_it_grows(
    one: Spec, side: Side, ticks: int | None, lots: int, more: int
) -> None:
    desk = Desk(rules={Kind.LINEAR: Rules(max_lots=25_000_000)})
    desk.crowd("sell", 1006, 50_000_000, one)
    desk.crowd("buy", 994, 50_000_000, one)
    smaller = desk.ask(side, ticks, lots, one)
    if isinstance(smaller, Refused) and smaller.rule in {"balance", "margin", "max_size"}:
        assert isinstance(desk.ask(side, ticks, lots + more, one), Refused)


# Reduce-only


def test_a_reduce_only_order_needs_a_position_on_the_other_side_and_shrinks_to_it() -> None:
    desk = Desk()
    assert desk.refused("sell", 1000, reduce_only=True) == "reduce_only"
    desk.place("buy", 1001, 800)
    assert desk.refused("buy", 900, reduce_only=True) == "reduce_only"
    order = desk.place("sell", 1100, 2000, reduce_only=True)
    assert order.lots == 800
    assert desk.broker.margins(desk.account, LINEAR)[1] == 0


def test_a_reduce_only_order_may_be_below_the_least_value() -> None:
    desk = Desk()
    desk.place("buy", 1001, 5)
    assert desk.refused("sell", 1000, 2) == "min_notional"
    assert desk.place("sell", 1000, 2, reduce_only=True).state == "new"


def test_reduce_only_orders_shrink_and_go_with_the_position() -> None:
    desk = Desk()
    desk.place("buy", 1001, 1000)
    far = desk.place("sell", 1100, 1000, reduce_only=True)
    farther = desk.place("sell", 1200, 300, reduce_only=True)
    changes(desk)
    desk.place("sell", 999, 600)
    assert (far.lots, farther.lots) == (400, 300)
    desk.place("sell", 998, 600)
    assert [(one.state, one.reason) for one in (far, farther)] == [("canceled", "reduce_only")] * 2
    assert [change for change, _, _ in changes(desk)].count("amended") == 1


def test_a_sweep_through_two_reduce_only_orders_never_turns_the_position() -> None:
    desk = Desk(book=False)
    desk.crowd("sell", 1000, 1000)
    desk.place("buy", 1000, 1000)
    first = desk.place("sell", 1001, 1000, reduce_only=True)
    second = desk.place("sell", 1001, 1000, reduce_only=True)
    third = desk.place("sell", 1002, 700, reduce_only=True)
    # One order of the market meets all three within one match.
    desk.crowd("buy", 1005, 5000)
    assert (first.state, second.state, third.state) == ("filled", "canceled", "canceled")
    assert desk.account.position(LINEAR).base == 0
    desk.broker._check()
    desk.engine()._check()


# Dead-man switches


@pytest.mark.parametrize(("scope", "left"), [(LINEAR, [SPOT]), (Kind.SPOT, [LINEAR]), (None, [])])
def test_a_dead_man_switch_cancels_its_scope_unless_armed_again(
    scope: Spec | Kind | None, left: list[Spec]
) -> None:
    desk = Desk()
    orders = [desk.place("buy", 900, one=one) for one in (LINEAR, SPOT)]
    deadline_ns = desk.broker.arm_dead_man(desk.account, scope, 10 * SECOND, desk.now_ns)
    assert desk.broker.dead_man(desk.account, scope) == deadline_ns == desk.now_ns + 10 * SECOND
    desk.pass_time(9 * SECOND)
    desk.broker.arm_dead_man(desk.account, scope, 10 * SECOND, desk.now_ns)
    desk.pass_time(10 * SECOND - 1)
    assert [order.state for order in orders] == ["new", "new"]
    desk.pass_time(1)
    assert [order.spec for order in desk.broker.open_orders(desk.account)] == left
    assert {order.reason for order in orders if not order.open} == {"dead_man"}
    assert desk.broker.dead_man(desk.account, scope) == 0


def test_a_dead_man_switch_set_to_nothing_is_off() -> None:
    desk = Desk()
    order = desk.place("buy", 900)
    desk.broker.arm_dead_man(desk.account, None, SECOND, desk.now_ns)
    assert desk.broker.arm_dead_man(desk.account, None, 0, desk.now_ns) == 0
    desk.pass_time(60 * SECOND)
    assert order.open


def test_a_request_after_the_deadline_finds_the_orders_gone() -> None:
    desk = Desk()
    order = desk.place("buy", 900)
    desk.broker.arm_dead_man(desk.account, None, SECOND, desk.now_ns)
    desk.now_ns += SECOND
    refused = cancel(desk, order.id)
    assert isinstance(refused, Refused)
    assert (refused.rule, order.reason) == ("already_done", "dead_man")


# Questions


def test_history_and_executions_are_asked_by_instrument_kind_and_time() -> None:
    desk = Desk()
    old = desk.place("buy", 1001)
    desk.pass_time(SECOND)
    new = desk.place("buy", 1001, one=SPOT)
    broker, account = desk.broker, desk.account
    assert broker.history(account) == [old, new]
    assert broker.history(account, since_ns=desk.now_ns) == [new]
    assert broker.history(account, kind=Kind.LINEAR) == [old]
    assert broker.executions(account, SPOT) == new.fills
    assert broker.executions(account, since_ns=desk.now_ns) == new.fills
    assert broker.executions(account, kind=Kind.LINEAR) == old.fills


def test_the_oldest_ended_orders_are_forgotten_open_ones_never(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(blotter, "HISTORY", 3)
    desk = Desk()
    lasting = desk.place("buy", 900, client_id="lasting")
    for number in range(5):
        cancel(desk, desk.place("buy", 901, client_id=f"n{number}").id)
    assert [order.client_id for order in desk.broker.history(desk.account)] == [
        *("lasting", "n2", "n3", "n4")
    ]
    assert desk.broker.order(desk.account, LINEAR, client_id="n1") is None
    assert lasting.open


@pytest.mark.parametrize("time_in_force", ["gtc", "ioc", "fok"])
def test_an_order_shows_what_it_is(time_in_force: TimeInForce) -> None:
    order = Desk().place("buy", 1001, time_in_force=time_in_force, client_id="c", note="kept")
    assert (order.price, order.size, order.filled, order.note) == (D(1001), D(1), D(1), "kept")
    assert f"{order!r}" == "<Order 1 BTC/USDT:USDT buy 1000 lots at 1001 ticks: filled 1000 >"
