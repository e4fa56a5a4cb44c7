"""Every rule on both sides of its limit, and all of them together in the worst case."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftmm.core.instrument import Kind, Side
from hftmm.core.order import AmendIntent, OrderIntent, OrderState
from hftmm.execution.order import Order
from hftmm.risk.approval import Approved, Refused, approve
from hftmm.risk.rules import RULES
from tests.books import MS, SECOND
from tests.orders import START, order_fill
from tests.risk_desk import ASK, BID, VENUES, ZERO, Desk

MINUTE_MS = 60_000


# ---- each rule --------------------------------------------------------------------------------


def test_an_order_off_the_venues_grid_is_refused() -> None:
    desk = Desk(listed={"tick": "0.5", "lot": "0.01"})
    assert desk.review(desk.intent("0.10", price="99.5")) == ""
    assert desk.review(desk.intent("0.10", price="99.3")) == "grid"
    assert desk.review(desk.intent("0.105", price="99.5")) == "grid"


@pytest.mark.parametrize(
    ("price", "size", "words"),
    [
        ("99.3", "0.1", "grid: 99.3 against 0.5, not a multiple of the tick"),
        ("99.5", "0.105", "grid: 0.105 against 0.01, not a multiple of the lot"),
        ("0", "0.1", "grid: 0 against 0, a price is above zero"),
        ("99.5", "-1", "grid: -1 against 0, a size is above zero"),
        ("NaN", "0.1", "grid: NaN against 0, a price is above zero"),
        ("99.5", "sNaN", "grid: sNaN against 0, a size is above zero"),
        ("99.5", "Infinity", "grid: Infinity against 0, a size is above zero"),
    ],
)
def test_what_is_no_order_at_all_is_refused_with_the_numbers(
    price: str, size: str, words: str
) -> None:
    desk = Desk(listed={"tick": "0.5", "lot": "0.01"})
    wanted = desk.intent("0.1", price="99.5")
    wanted = OrderIntent("mm", wanted.listing, "buy", Decimal(price), Decimal(size))
    assert str(desk.ask(wanted)) == words


def test_only_an_own_order_is_changed_and_only_as_what_it_is() -> None:
    desk = Desk()
    order = desk.rest(desk.intent())
    wanted = desk.change(order, "0.2")
    assert desk.review(wanted) == ""
    stranger = AmendIntent("nobody", wanted.listing, wanted.side, wanted.price, wanted.size)
    assert str(desk.ask(stranger)) == "amendable: nobody is not ours"
    turned = AmendIntent(order.client_id, wanted.listing, "sell", ASK, wanted.size)
    assert desk.review(turned) == "amendable"


def test_nothing_passes_the_kill_latch() -> None:
    desk = Desk()
    desk.hold("0.3")
    order = desk.rest(desk.intent())
    closing = desk.intent("0.1", "sell", BID, reduce_only=True, urgent=True, ioc=True)
    assert desk.review(closing) == ""
    desk.risk.killed = "by hand"
    assert str(desk.ask(closing)) == "killed: by hand"
    assert desk.review(desk.change(order, "0.1")) == "killed"
    desk.risk.killed = ""
    assert desk.review(closing) == ""


def test_a_halted_venue_takes_reducing_orders_only() -> None:
    desk = Desk()
    desk.hold("0.3")
    desk.risk.halt("okx", "by hand")
    desk.risk.halt("okx", "again")
    assert str(desk.ask(desk.intent("0.001"))) == "halted: okx: by hand"
    assert desk.review(desk.intent("0.3", "sell")) == ""
    assert desk.review(desk.intent("0.301", "sell")) == "halted"
    assert desk.review(desk.intent(venue="bybit")) == ""
    assert desk.risk.resume("okx") == ""
    assert desk.review(desk.intent("0.001")) == ""


def test_a_strategy_that_trades_too_often_is_off_until_a_person_enables_it() -> None:
    desk = Desk(limits={"max_repeats": 3})
    order = desk.rest(desk.intent("0.4"))

    def trade(strategy: str, after_ms: int, side: Side = "buy") -> str:
        fill = msgspec.structs.replace(order_fill(order, "0.01"), side=side)
        return desk.risk.filled(strategy, fill, START + after_ms * MS)

    assert [trade("mm", ms) for ms in (0, 1, 2)] == ["", "", ""]
    assert trade("mm", 3, "sell") == "", "the other side counts by itself"
    assert trade("mm", MINUTE_MS) == "", "the first was a minute ago"
    assert desk.review(desk.intent()) == ""
    assert trade("mm", MINUTE_MS) == "4 fills in a minute, buy BTC/USDT:USDT, limit 3"
    assert trade("mm", MINUTE_MS) == "", "told once"
    assert desk.review(desk.intent()) == "repeats"
    assert desk.risk.off.keys() == {"mm"}
    for exempt in ("op", "hg", "fl"):
        assert [trade(exempt, 0) for _ in range(9)] == [""] * 9
        assert desk.review(desk.intent(strategy=exempt)) == ""
    desk.risk.enable("mm")
    assert desk.review(desk.intent()) == ""
    assert trade("mm", MINUTE_MS) == "", "it counts from zero"


def test_a_listing_that_does_not_trade_is_refused() -> None:
    desk = Desk()
    wanted = desk.intent()
    for changes, words in (
        ({"kind": Kind.INVERSE}, "trading: okx BTC/USDT:USDT: inverse is not traded"),
        ({"inferred": True}, "trading: okx BTC/USDT:USDT: the venue has not defined it yet"),
        ({"status": "halt"}, "trading: okx BTC/USDT:USDT is halt"),
    ):
        of = replace(wanted.listing, **changes)
        assert str(desk.ask(OrderIntent("mm", of, "buy", wanted.price, wanted.size))) == words
    assert desk.review(wanted) == ""


def test_an_order_below_the_venues_smallest_is_refused() -> None:
    desk = Desk(listed={"min_size": "0.01"})
    assert desk.review(desk.intent("0.01")) == ""
    assert str(desk.ask(desk.intent("0.009"))) == "min_size: 0.009 against 0.01"


def test_an_order_worth_less_than_the_venues_smallest_is_refused() -> None:
    desk = Desk(listed={"min_notional": "20"})
    assert desk.review(desk.intent("0.2", price="100")) == ""
    assert str(desk.ask(desk.intent("0.199", price="100"))) == "min_notional: 19.900 against 20"
    desk.hold("0.2")
    assert desk.review(desk.intent("0.1", "sell", reduce_only=True)) == ""
    assert desk.review(desk.intent("0.1", "sell")) == "min_notional"
    assert desk.review(desk.intent("0.1", reduce_only=True)) == "min_notional"


def test_a_larger_order_than_allowed_is_refused() -> None:
    desk = Desk(limits={"max_order_size": Decimal("0.2")})
    assert desk.review(desk.intent("0.2")) == ""
    assert str(desk.ask(desk.intent("0.201"))) == "order_size: 0.201 against 0.2"
    order = desk.rest(desk.intent("0.1"))
    assert desk.review(desk.change(order, "0.2")) == ""
    assert desk.review(desk.change(order, "0.201")) == "order_size"


def test_an_order_worth_more_than_allowed_is_refused() -> None:
    desk = Desk(limits={"max_order_notional": Decimal(20)})
    assert desk.review(desk.intent("0.2", price="100")) == ""
    assert str(desk.ask(desk.intent("0.2", price="100.01"))) == "order_notional: 20.002 against 20"


def test_nobody_trades_where_the_book_cannot_be_believed() -> None:
    desk = Desk()
    desk.hold("0.3")
    market = desk.books["BTC/USDT:USDT"]
    hedge = desk.intent(ioc=True, urgent=True)
    assert desk.review(hedge, after_ms=10_000) == ""
    assert str(desk.ask(hedge, after_ms=10_001)) == (
        "stale_book: 10001 against 10000, ms since okx was heard"
    )
    member = next(member for member in market.members if member.venue == "okx")
    member.book.valid, member.book.reason = False, "gap"
    market.review(START)
    assert str(desk.ask(hedge)) == "stale_book: okx syncing: gap"
    assert desk.review(desk.intent("0.1", "sell", reduce_only=True)) == "", "it gets out"
    assert desk.review(desk.intent("0.1", "sell", urgent=True)) == ""
    assert desk.review(desk.intent("0.1", "sell")) == "stale_book", "a quote waits"
    assert desk.review(desk.intent("0.4", "sell", urgent=True)) == "stale_book"
    assert desk.review(desk.intent(venue="bybit")) == ""


def test_a_market_that_is_not_watched_is_not_traded() -> None:
    desk = Desk()
    desk.books.clear()
    assert str(desk.ask(desk.intent())) == "stale_book: okx BTC/USDT:USDT has no book"


def test_an_order_priced_too_far_through_the_best_price_is_refused() -> None:
    desk = Desk(limits={"collar_bps": 100.0})
    assert desk.review(desk.intent("0.1", "buy", "101.02")) == ""
    assert str(desk.ask(desk.intent("0.1", "buy", "101.03"))) == (
        "collar: 101.0 against 100.0, bps through the best ask 100.02"
    )
    assert desk.review(desk.intent("0.1", "sell", "99")) == ""
    assert desk.review(desk.intent("0.1", "sell", "98.99")) == "collar"
    assert desk.review(desk.intent("0.1", "buy", "1")) == "", "it takes nothing"


def test_without_a_best_price_only_what_reduces_passes_by_its_own_venues_last_touch() -> None:
    desk = Desk()
    desk.hold("0.3")
    market = desk.books["BTC/USDT:USDT"]
    for member in market.members:
        member.book.valid = False
    market.review(START)

    def closing(price: str, size: str = "0.3") -> OrderIntent:
        return desk.intent(size, "sell", price, reduce_only=True, urgent=True, ioc=True)

    assert desk.review(closing("98.50")) == ""
    assert desk.review(closing("98.49")) == "collar"
    for member in market.members:
        member.book.bid_size = 0.0
    assert str(desk.ask(closing("98.50"))) == (
        "collar: no last bid of BTC/USDT:USDT to hold it against"
    )


def test_a_position_counts_every_open_and_unknown_order_of_its_side() -> None:
    desk = Desk(venue={"max_position": Decimal("0.5")})
    desk.hold("0.1")
    desk.rest(desk.intent("0.1"))
    half = desk.rest(desk.intent("0.2"))
    desk.fill(half, "0.15")
    desk.rest(desk.intent("0.3", "sell"))
    assert desk.review(desk.intent("0.1")) == ""
    assert str(desk.ask(desk.intent("0.101"))) == (
        "venue_position: 0.501 against 0.5, okx BTC/USDT:USDT with open orders"
    )
    desk.bench.manager.lost("okx", desk.bench.now_ns)
    assert half.state is OrderState.UNKNOWN
    assert desk.review(desk.intent("0.1")) == ""
    assert desk.review(desk.intent("0.101")) == "venue_position"
    assert desk.review(desk.intent("0.101", spot=True)) == "", "a market of its own"
    # Sells: 0.25 held, 0.3 on offer; 0.45 more makes 0.5 short.
    assert desk.review(desk.intent("0.45", "sell")) == ""
    assert desk.review(desk.intent("0.451", "sell")) == "venue_position"


def test_a_canceled_order_counts_until_all_its_fills_are_told() -> None:
    desk = Desk(venue={"max_position": Decimal("0.5")})
    order = desk.rest(desk.intent("0.4"))
    desk.bench.update(order, OrderState.CANCELED, "0.3")
    assert desk.review(desk.intent("0.201")) == "venue_position"
    desk.fill(order, "0.3")
    assert desk.review(desk.intent("0.201")) == "venue_position"
    assert desk.review(desk.intent("0.2")) == ""


def test_a_change_counts_with_the_larger_of_both_sizes_until_it_is_confirmed() -> None:
    desk = Desk(venue={"max_position": Decimal("0.5")})
    order = desk.rest(desk.intent("0.3"))
    desk.fill(order, "0.1")
    assert desk.review(desk.change(order, "0.5")) == ""
    assert desk.review(desk.change(order, "0.501")) in {"venue_position", "order_size"}
    smaller = approve(desk.change(order, "0.2"))
    desk.bench.manager.amend(smaller, desk.bench.now_ns)
    desk.bench.manager.drain()
    assert desk.review(desk.intent("0.201")) == "venue_position"
    desk.bench.now_ns += MS
    desk.bench.update(order, OrderState.PARTIALLY_FILLED, "0.1", size="0.2")
    assert desk.review(desk.intent("0.3")) == ""


def test_a_change_that_adds_nothing_passes_though_a_limit_came_below_what_stands() -> None:
    desk = Desk()
    order = desk.rest(desk.intent("0.3"))
    low = replace(desk.config.limits, max_total_position=ZERO, max_worst_case=ZERO)
    venues = {name: replace(one, max_position=ZERO) for name, one in desk.config.venues.items()}
    desk.risk.configure(replace(desk.config, limits=low, venues=venues))
    assert desk.review(desk.change(order, "0.3", "98")) == ""
    assert desk.review(desk.change(order, "0.2")) == ""
    assert desk.review(desk.change(order, "0.301")) == "venue_position"


def test_the_net_position_of_all_venues_counts_their_open_orders() -> None:
    desk = Desk(limits={"max_total_position": Decimal("0.5")})
    desk.hold("0.3", "binance")
    desk.hold("-0.2", "bybit")
    desk.rest(desk.intent("0.1", venue="bybit"))
    desk.rest(desk.intent("0.4", "sell", venue="binance"))
    assert desk.review(desk.intent("0.3")) == ""
    assert str(desk.ask(desk.intent("0.301"))) == (
        "total_position: 0.501 against 0.5, net BTC/USDT:USDT with open orders"
    )
    assert desk.review(desk.intent("0.2", "sell")) == ""
    assert desk.review(desk.intent("0.201", "sell")) == "total_position"


def test_closing_one_venues_position_may_lay_the_others_bare() -> None:
    desk = Desk(limits={"max_total_position": Decimal("0.5")})
    desk.hold("0.4", "binance")
    desk.hold("0.4", "bybit")
    desk.hold("-0.4", "okx")
    assert desk.review(desk.intent("0.3", venue="okx")) == "total_position", "a quote may not"
    assert desk.review(desk.intent("0.3", venue="okx", urgent=True, reduce_only=True)) == ""
    assert desk.review(desk.intent("0.401", venue="okx", urgent=True)) == "total_position"


def test_longs_and_shorts_of_all_venues_add_up_in_the_worst_case() -> None:
    desk = Desk(limits={"max_worst_case": Decimal("0.6")})
    desk.hold("0.2", "binance")
    desk.hold("-0.2", "bybit")
    desk.rest(desk.intent("0.1", "sell", venue="bybit"))
    desk.rest(desk.intent("0.1", "sell", venue="binance"))
    assert desk.risk.worst_case("BTC/USDT:USDT") == (ZERO, ZERO, Decimal("-0.2"), Decimal("0.5"))
    assert desk.review(desk.intent("0.1")) == ""
    assert str(desk.ask(desk.intent("0.101"))) == (
        "worst_case: 0.601 against 0.6, gross BTC/USDT:USDT with open orders"
    )
    assert desk.review(desk.intent("0.2", venue="bybit")) == "", "it only reduces"


def test_open_orders_of_a_venue_are_counted() -> None:
    desk = Desk(venue={"max_open_orders": 2})
    desk.rest(desk.intent("0.01"))
    assert desk.review(desk.intent("0.01")) == ""
    desk.rest(desk.intent("0.01", spot=True))
    assert str(desk.ask(desk.intent("0.01"))) == "venue_orders: 2 against 2, open at okx"
    assert desk.review(desk.intent("0.01", ioc=True)) == "", "it cannot rest"
    assert desk.review(desk.intent("0.01", venue="bybit")) == ""


def test_open_orders_of_all_venues_are_counted() -> None:
    desk = Desk(limits={"max_open_orders": 2})
    desk.rest(desk.intent("0.01", venue="binance"))
    assert desk.review(desk.intent("0.01")) == ""
    order = desk.rest(desk.intent("0.01", venue="bybit"))
    assert str(desk.ask(desk.intent("0.01"))) == "total_orders: 2 against 2, open over all venues"
    assert desk.review(desk.change(order, "0.02")) == ""


def test_orders_of_a_second_are_counted_and_urgent_ones_are_not_held() -> None:
    desk = Desk(limits={"max_orders_per_s": 3})
    order = desk.rest(desk.intent("0.1"))
    assert desk.review(desk.intent("0.01")) == ""
    assert desk.review(desk.intent("0.01", urgent=True)) == ""
    assert desk.review(desk.intent("0.6")) == "order_size", "what is refused counts nothing"
    assert desk.review(desk.change(order, "0.2")) == ""
    assert desk.review(desk.intent("0.02"), after_ms=999) == ""
    assert str(desk.ask(desk.intent("0.03"), after_ms=999)) == (
        "order_rate: 3 against 3, orders in the last second"
    )
    assert desk.review(desk.change(order, "0.2"), after_ms=999) == "order_rate"
    assert desk.review(desk.intent("0.03", urgent=True), after_ms=999) == ""
    assert desk.review(desk.intent("0.03"), after_ms=1_000) == ""


def test_the_same_order_again_too_soon_is_a_mistake() -> None:
    desk = Desk(limits={"duplicate_ms": 20})
    assert desk.review(desk.intent("0.1")) == ""
    assert desk.review(desk.intent("0.2"), after_ms=5) == ""
    assert str(desk.ask(desk.intent("0.1"), after_ms=19)) == (
        "duplicate: 19 against 20, ms since the same order"
    )
    others = (
        desk.intent("0.1", strategy="hg"),
        desk.intent("0.1", venue="bybit"),
        desk.intent("0.1", "sell"),
        desk.intent("0.1", price="98"),
    )
    assert [desk.review(other, after_ms=19) for other in others] == [""] * 4
    assert desk.review(desk.intent("0.2"), after_ms=24) == "duplicate"
    assert desk.review(desk.intent("0.1"), after_ms=20) == ""
    assert desk.review(desk.intent("0.1"), after_ms=39) == "duplicate"


def test_an_order_that_would_meet_one_of_our_own_is_refused_with_its_id() -> None:
    desk = Desk()
    resting = desk.rest(desk.intent("0.1", "sell", "100.50"))
    assert desk.review(desk.intent(price="100.49")) == ""
    assert str(desk.ask(desk.intent(price="100.50"))) == (
        f"self_cross: 100.50 against 100.50, meets our own {resting.client_id}"
    )
    assert desk.review(desk.intent(price="100.50", venue="bybit")) == ""
    assert desk.review(desk.intent(price="100.50", spot=True)) == ""
    desk.bench.manager.amend(approve(desk.change(resting, "0.1", "100.20")), START)
    desk.bench.manager.drain()
    assert desk.review(desk.intent(price="100.20")) == "self_cross", "a change under way"
    bid = desk.rest(desk.intent(price="99.50"))
    assert desk.review(desk.intent("0.1", "sell", "99.51")) == ""
    assert desk.review(desk.intent("0.1", "sell", "99.50")) == "self_cross"
    assert desk.review(desk.change(bid, "0.1", "100.20")) == "self_cross"
    desk.bench.update(resting, OrderState.CANCELED)
    assert desk.review(desk.intent(price="100.50")) == ""


def test_what_pays_for_an_order_must_be_free() -> None:
    desk = Desk(money="20", coins="0.2")
    assert desk.review(desk.intent("0.2", price="100", spot=True)) == ""
    assert str(desk.ask(desk.intent("0.2", price="100.01", spot=True))) == (
        "balance: 20.002 against 20, USDT free at okx"
    )
    assert desk.review(desk.intent("0.2", "sell", spot=True)) == ""
    assert str(desk.ask(desk.intent("0.201", "sell", spot=True))) == (
        "balance: 0.201 against 0.2, BTC free at okx"
    )
    assert desk.review(desk.intent("0.2", price="100")) == ""
    assert desk.review(desk.intent("0.201", price="100")) == "balance"
    order = desk.rest(desk.intent("0.1", price="100"))
    assert desk.review(desk.intent("0.1", price="100")) == ""
    assert desk.review(desk.intent("0.101", price="100")) == "balance"
    assert desk.review(desk.change(order, "0.2")) == "", "it holds half of that already"
    assert desk.review(desk.change(order, "0.201")) == "balance"


def test_a_reducing_perpetual_needs_no_margin_and_a_reducing_spot_sell_its_coins() -> None:
    desk = Desk(money="10.1", coins="0")
    desk.hold("0.4")
    desk.hold("0.4", spot=True)
    assert desk.review(desk.intent("0.4", "sell")) == ""
    assert desk.review(desk.intent("0.5", "sell", "101")) == "", "margin for 0.1 that it opens"
    assert desk.review(desk.intent("0.5", "sell", "101.01")) == "balance"
    assert desk.review(desk.intent("0.4", "sell", spot=True)) == ""
    desk.rest(desk.intent("0.1", "sell", spot=True))
    assert desk.review(desk.intent("0.301", "sell", spot=True)) == "balance"


def test_a_venue_that_loses_too_much_in_a_day_is_halted() -> None:
    desk = Desk(venue={"max_daily_loss": Decimal(8)})
    desk.hold("0.4")
    desk.mark("80")
    assert desk.risk.watch(START) == []
    desk.mark("79.97")
    assert [str(halt) for halt in desk.risk.watch(START)] == ["okx: venue loss 8.01 against 8"]
    assert desk.risk.watch(START) == [], "told once"
    assert str(desk.ask(desk.intent())) == "halted: okx: venue loss 8.01 against 8"
    assert desk.review(desk.intent("0.4", "sell")) == ""
    assert desk.review(desk.intent(venue="bybit")) == ""
    assert desk.risk.resume("okx") == (
        "okx: venue loss 8.01 against 8; raise the limit, or wait for another day"
    )
    desk.mark("80")
    assert desk.review(desk.intent()) == "halted", "it does not end by itself"
    assert desk.risk.resume("okx") == ""
    assert desk.review(desk.intent()) == ""


def test_a_desk_that_loses_too_much_in_a_day_is_halted_everywhere() -> None:
    desk = Desk(limits={"max_daily_loss": Decimal(15)}, venue={"max_daily_loss": Decimal(10)})
    desk.hold("0.4", "binance")
    desk.hold("0.4", "bybit")
    desk.mark("81.25")
    assert desk.risk.watch(START) == []
    desk.mark("81.24")
    assert [str(halt) for halt in desk.risk.watch(START)] == [
        f"{venue}: total loss 15.01 against 15" for venue in VENUES
    ]
    assert [desk.review(desk.intent(venue=venue)) for venue in VENUES] == ["halted"] * 3


def test_a_desk_that_falls_too_far_from_its_peak_is_halted_everywhere() -> None:
    desk = Desk(limits={"max_drawdown": Decimal(5)})
    desk.hold("0.4", "binance")
    desk.mark("120")
    assert desk.risk.watch(START) == []
    desk.mark("107.50")
    assert desk.risk.watch(START) == []
    desk.mark("107.47")
    assert {str(halt) for halt in desk.risk.watch(START)} == {
        f"{venue}: drawdown 5.01 against 5" for venue in VENUES
    }
    assert desk.risk.totals("BTC/USDT:USDT").drawdown == Decimal("5.012")


# ---- what reduces -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "open_sells", "size", "reduces"),
    [
        ("0.3", "0", "0.3", True),
        ("0.3", "0.1", "0.2", True),
        ("0.3", "0.1", "0.201", False),
        ("0.3", "0.3", "0.001", False),
        ("0", "0", "0.001", False),
        ("-0.3", "0", "0.001", False),
    ],
)
@pytest.mark.parametrize("claimed", [True, False], ids=["claimed", "not claimed"])
def test_whether_an_order_reduces_is_worked_out_not_believed(
    held: str, open_sells: str, size: str, *, reduces: bool, claimed: bool
) -> None:
    desk = Desk()
    if held != "0":
        desk.hold(held)
    if open_sells != "0":
        desk.rest(desk.intent(open_sells, "sell"))
    desk.risk.halt("okx", "by hand")
    wanted = desk.intent(size, "sell", reduce_only=claimed, urgent=claimed)
    assert desk.review(wanted) == ("" if reduces else "halted")


# ---- headroom ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "venue", "money", "size", "reason"),
    [
        ({}, {"max_position": Decimal("0.25")}, "1000", "0.05", "position 80% of limit"),
        ({"max_total_position": Decimal("0.4")}, {}, "1000", "0.1", "total position 75% of limit"),
        ({"max_worst_case": Decimal("0.4")}, {}, "1000", "0.1", "worst case 75% of limit"),
        ({"max_order_size": Decimal("0.02")}, {}, "1000", "0.02", "order size up to 0.02"),
        ({"max_order_notional": Decimal("10.002")}, {}, "99", "0.1", "order notional up to 10.002"),
        ({}, {}, "25.002", "0.05", "balance 5.001 USDT"),
        ({}, {"max_position": Decimal("0.1")}, "1000", "0", "position 200% of limit"),
        ({}, {"max_position": ZERO}, "1000", "0", "position limit 0"),
    ],
)
def test_headroom_names_the_nearest_limit_with_its_numbers(
    limits: dict[str, Decimal], venue: dict[str, Decimal], money: str, size: str, reason: str
) -> None:
    desk = Desk(limits=limits, venue=venue, money=money)
    desk.hold("0.1", "binance")
    desk.hold("0.1")
    desk.rest(desk.intent("0.1", price="100"))
    if "balance" in reason:
        # 10 are held by the order, and 10 of what is left by the margin of the position.
        order = desk.rest(desk.intent("0.1", "sell", "100.01"))
        desk.bench.update(order, OrderState.OPEN)
    headroom = desk.risk.headroom(desk.of["okx"], "buy", START)
    assert (headroom.size.quantize(Decimal("0.001")), headroom.reason) == (Decimal(size), reason)


def test_headroom_without_a_book_is_that_of_the_positions() -> None:
    desk = Desk(venue={"max_position": Decimal("0.1")}, money="0")
    desk.books.clear()
    headroom = desk.risk.headroom(desk.of["okx"], "sell", START)
    assert headroom == (Decimal("0.1"), "position 0% of limit")


held = st.integers(-400, 400).map(lambda n: Decimal(n) / 1000)
lots = st.integers(0, 300).map(lambda n: Decimal(n) / 1000)


@given(
    positions=st.lists(held, min_size=3, max_size=3),
    resting=st.lists(st.tuples(lots, lots), min_size=3, max_size=3),
    money=st.sampled_from(["5", "17", "40", "1000000"]),
    spot=st.booleans(),
    side=st.sampled_from(["buy", "sell"]),
)
def test_headroom_is_exactly_what_the_rules_let_pass(
    positions: list[Decimal],
    resting: list[tuple[Decimal, Decimal]],
    money: str,
    spot: bool,
    side: Side,
) -> None:
    desk = Desk(
        limits={"max_total_position": Decimal("0.6"), "max_worst_case": Decimal("1.2")},
        money=money,
        coins="1",
    )
    for venue, position, (bids, asks) in zip(VENUES, positions, resting, strict=True):
        if position:
            desk.hold(str(position), venue, spot=spot)
        if bids:
            desk.rest(desk.intent(bids, venue=venue, spot=spot))
        if asks:
            desk.rest(desk.intent(asks, "sell", venue=venue, spot=spot))
    of = (desk.spot if spot else desk.of)["okx"]
    room = of.size(desk.risk.headroom(of, side, START).size)
    if room > 0:
        fitting = desk.intent(room, side, ASK, spot=spot)
        assert desk.review(fitting) in {"", "self_cross"}
    # A sell is worth less than the dearer side of the NBBO, which it is counted at.
    beyond = desk.intent(room + of.lot, side, ASK, spot=spot)
    verdict = desk.ask(beyond)
    assert isinstance(verdict, Refused)
    assert verdict.rule in {
        "venue_position",
        "total_position",
        "worst_case",
        "order_size",
        "balance",
    }


# ---- all of them together ---------------------------------------------------------------------

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


def test_limits_change_while_running() -> None:
    desk = Desk()
    assert desk.review(desk.intent("0.1")) == ""
    tight = replace(desk.config.limits, max_order_size=Decimal("0.05"))
    desk.risk.configure(replace(desk.config, limits=tight))
    assert desk.review(desk.intent("0.1")) == "order_size"


def test_refusals_carry_the_name_of_their_rule() -> None:
    for name, rule in RULES.items():
        assert rule.__name__ == name
        assert rule.__doc__


def test_totals_are_of_the_market_shown_and_the_orders_of_all() -> None:
    desk = Desk()
    desk.hold("0.2")
    desk.rest(desk.intent("0.1", spot=True))
    desk.mark("101")
    desk.risk.watch(START + SECOND)
    totals = desk.risk.totals("BTC/USDT:USDT")
    assert totals.worst_case == (Decimal("0.2"),) * 4
    assert (totals.open_orders, totals.day_pnl) == (1, Decimal("0.2"))
