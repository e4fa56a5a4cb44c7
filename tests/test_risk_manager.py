"""Every rule on both sides of its limit, and all of them together in the worst case."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest

from hftmm.core.instrument import Kind, Side
from hftmm.core.order import AmendIntent, OrderIntent, OrderState
from hftmm.risk.approval import approve
from hftmm.risk.pace import Pace, same
from hftmm.risk.rules import RULES
from tests.books import MS
from tests.orders import START, order_fill
from tests.risk_desk import ASK, BID, VENUES, ZERO, Desk, disable

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


def test_without_a_best_price_only_what_reduces_passes_by_its_own_venues_last_touch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
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
    with monkeypatch.context() as patch:
        disable("stale_book", patch)
        assert desk.review(closing("98.50", "0.301")) == "collar", "it would open a position"
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


def test_two_equal_hedges_a_moment_apart_are_no_mistake() -> None:
    desk = Desk(limits={"duplicate_ms": 20})
    assert desk.review(desk.intent("0.1", strategy="hg", ioc=True, urgent=True)) == ""
    assert desk.review(desk.intent("0.1", strategy="hg", ioc=True, urgent=True), after_ms=1) == ""


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
    far = desk.rest(desk.intent("0.1", "sell", "100.60", spot=True))
    desk.bench.manager.amend(approve(desk.change(far, "0.1", "100.90")), START)
    desk.bench.manager.drain()
    assert desk.review(desk.intent(price="100.60", spot=True)) == "self_cross", "it may be late"
    assert desk.review(desk.intent(price="100.50", spot=True)) == "", "that one is a perpetual"
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


def test_a_change_of_an_order_that_traded_pays_for_what_is_left_of_it() -> None:
    desk = Desk(money="20")
    order = desk.rest(desk.intent("0.1", price="100", spot=True))
    desk.fill(order, "0.05")
    assert desk.review(desk.change(order, "0.2")) == "", "5 paid, 15 to pay"
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


# ---- while running ---------------------------------------------------------------------------


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


def test_orders_of_longer_ago_than_a_duplicate_are_forgotten() -> None:
    desk, pace = Desk(), Pace()
    first, second, third = (same(desk.intent(size)) for size in ("0.1", "0.2", "0.3"))
    for order, at in ((first, 0), (second, 5), (first, 10), (third, 30)):
        pace.placed(order, 20, at)
    assert [pace.placed_ns(order) for order in (first, second, third)] == [10, None, 30]
