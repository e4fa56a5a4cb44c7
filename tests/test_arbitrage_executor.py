"""Shots at crossings: what is refused, what is sent, and how uneven legs end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hftmm.core.fees import FeeRates
from hftmm.core.instrument import Kind
from hftmm.core.order import Fill, OrderState, Rejection, TimeInForce
from hftmm.execution.order import Order
from hftmm.execution.throttle import Denial
from hftmm.risk.approval import Refused
from hftmm.risk.headroom import Headroom
from hftmm.strategy.arbitrage import Outcome
from hftmm.strategy.base import Strategy
from hftmm.strategy.taking import Reach
from tests.books import MS, SECOND, listing
from tests.shooting import Gallery
from tests.trading_floor import VENUES

D = Decimal
TEN_BPS = FeeRates(D(0), D(10))


def orders(floor: Gallery) -> list[tuple[str, str, Decimal, Decimal]]:
    return [(o.listing.venue, o.side, o.price, o.size) for o in floor.submitted]


def rest_of(floor: Gallery) -> list[tuple[str, str, Decimal]]:
    """Orders beyond the legs: venue, side, size."""
    return [(o.listing.venue, o.side, o.size) for o in floor.submitted[2:]]


def events(floor: Gallery, level: str) -> list[str]:
    return [note.event for note in floor.told if note.level == level]


# -- a shot ---------------------------------------------------------------------------------------


def test_both_legs_leave_at_once_of_one_size_within_the_slippage_of_what_was_counted_on() -> None:
    floor = Gallery()
    strategy: Strategy = floor.executor
    assert (strategy.code, strategy.name) == ("ar", "arbitrage")
    # 100.00 and 101.00, each a basis point further.
    assert orders(floor) == [
        ("okx", "buy", D("100.01"), D(2)),
        ("binance", "sell", D("100.99"), D(2)),
    ]
    assert {intent.time_in_force for intent in floor.intents} == {TimeInForce.IOC}
    assert not any(intent.urgent for intent in floor.intents)
    assert floor.result == "shooting"


def test_the_limit_is_the_worst_price_counted_on() -> None:
    floor = Gallery(crossed=False)
    floor.set(max_slippage_bps=0.0)
    floor.quote("okx", [(9_990, 9.0)], [(10_000, 1.0), (10_050, 1.0)], tell=False)
    floor.quote("binance", [(10_100, 0.5), (10_080, 9.0)], [(10_120, 9.0)])
    assert [price for _, _, price, _ in orders(floor)] == [D("100.50"), D("100.80")]


def test_two_full_legs_bring_what_was_expected() -> None:
    floor = Gallery(fees={"okx": TEN_BPS})
    buy, sell = floor.pair
    floor.fill(buy, "2", fee=D("0.2"))
    floor.fill(sell, "2", fee=D(0))
    assert floor.result == "filled +1.76"  # at the limits: 201.98 - 200.02 - 0.20
    totals = floor.detector.totals
    assert (totals.shots, dict(totals.outcomes)) == (1, {Outcome.FILLED: 1})
    assert totals.counted_on == pytest.approx(D("1.8"))
    assert totals.realised == D("1.76")
    assert floor.executor.imbalance(floor.symbol) == 0
    assert not floor.given


def test_two_legs_filled_alike_in_part_are_even() -> None:
    floor = Gallery()
    for order in floor.pair:
        floor.end(order, "1.2")
    assert floor.result == "filled 60% +1.18"
    assert len(floor.submitted) == 2


def test_two_untaken_legs_are_a_miss() -> None:
    floor = Gallery()
    for order in floor.pair:
        floor.end(order)
    assert floor.result == "missed: both legs untaken"
    assert floor.detector.totals.outcomes == {Outcome.MISSED: 1}
    assert floor.detector.totals.realised == 0


def test_what_a_venue_had_against_a_leg_is_said() -> None:
    floor = Gallery()
    buy, sell = floor.pair
    floor.gone(buy, OrderState.REJECTED, Rejection.BALANCE, "51008 insufficient balance")
    floor.end(sell)
    assert floor.result == "missed: okx: 51008 insufficient balance"


def test_that_somebody_else_was_first_needs_no_words_of_the_venue() -> None:
    floor = Gallery()
    for order in floor.pair:
        floor.gone(order, OrderState.EXPIRED, Rejection.NOTHING_TO_TAKE, "EXPIRED")
    assert floor.result == "missed: both legs untaken"


def test_nothing_is_sent_while_nothing_is_crossed() -> None:
    floor = Gallery(crossed=False)
    floor.move()
    assert not floor.submitted
    floor.executor.moved("ETH/USDT", floor.now_ns)
    assert not floor.submitted


# -- guards ---------------------------------------------------------------------------------------


def refused(floor: Gallery) -> str:
    """Crosses the market, and has nothing sent for the reason returned."""
    sent = len(floor.submitted)
    floor.cross()
    assert len(floor.submitted) == sent
    return floor.seen.untaken


def quiet(**keys: object) -> Gallery:
    floor = Gallery(crossed=False)
    floor.set(**keys)
    return floor


def test_nothing_is_sent_while_it_is_off() -> None:
    floor = quiet()
    floor.executor.switch(False, "by hand", floor.now_ns)
    assert refused(floor) == "off"
    floor.executor.switch(True, "", floor.now_ns)
    floor.move()
    assert len(floor.submitted) == 2


def test_it_starts_as_configured() -> None:
    floor = Gallery(crossed=False)
    assert floor.executor.on
    off = type(floor.executor)(
        type(floor.config)(), floor, {floor.symbol: floor.detector}.get, *[lambda *_: None] * 2
    )
    assert not off.on
    assert off.shown(floor.now_ns).reason == "not switched on"


def test_other_markets_than_the_configured_ones_are_left_alone() -> None:
    floor = quiet(markets=("ETH/USDT",))
    assert refused(floor) == f"off in {floor.symbol}"
    floor.set(markets=("ETH/USDT", floor.symbol))
    floor.move()
    assert len(floor.submitted) == 2


def test_a_pair_cools_down_after_a_shot_either_way_round() -> None:
    floor = Gallery()
    floor.set(cooldown_ms=100)
    for order in floor.pair:
        floor.end(order)
    floor.wait(40)
    floor.move()
    assert floor.seen.untaken == "cooling down 60 ms"
    floor.quote("okx", [(10_200, 1.0)], [(10_210, 1.0)])
    back = floor.detector.live["binance", "okx"]
    assert back.untaken == "cooling down 60 ms"
    floor.wait(60)
    floor.move()
    assert len(floor.submitted) == 4


def test_only_so_many_shots_are_under_way() -> None:
    floor = quiet(max_shots=1)
    floor.cross()
    floor.quote("bybit", [(9_980, 1.0)], [(9_985, 1.0)])
    assert floor.detector.live["bybit", "okx"].untaken == "1 of 1 shots under way"
    floor.set(max_shots=2)
    floor.move()
    assert floor.detector.live["bybit", "okx"].untaken == "another shot is under way at okx"


def test_the_most_profitable_crossing_is_taken_first() -> None:
    floor = quiet()
    floor.executor.switch(False, "", floor.now_ns)
    floor.quote("bybit", [(10_200, 9.0)], [(10_210, 9.0)])
    floor.quote("binance", [(10_300, 9.0)], [(10_310, 9.0)])
    floor.quote("okx", [(9_990, 9.0)], [(10_000, 3.0)])
    floor.executor.switch(True, "", floor.now_ns)
    floor.move()
    assert [venue for venue, *_ in orders(floor)] == ["okx", "binance"]
    assert floor.detector.live["okx", "bybit"].untaken == "another shot is under way at okx"


@pytest.mark.parametrize(
    ("venue", "bid", "ask", "pair"),
    [
        ("okx", 10_100, 10_110, ("okx", "bybit")),
        ("binance", 9_980, 9_985, ("bybit", "binance")),
        ("okx", 9_980, 9_985, ("bybit", "okx")),
    ],
)
def test_a_venue_takes_part_in_one_shot_of_a_market_at_a_time(
    venue: str, bid: int, ask: int, pair: tuple[str, str]
) -> None:
    floor = Gallery()
    floor.quote("bybit", [(bid, 1.0)], [(ask, 1.0)])
    assert floor.detector.live[pair].untaken == f"another shot is under way at {venue}"


@pytest.mark.parametrize("stamped", [True, False])
def test_a_book_that_may_still_show_what_we_took_is_not_shot_at(stamped: bool) -> None:
    floor = quiet(cooldown_ms=0)
    floor.stamped = stamped
    floor.cross()
    floor.now_ns += 30 * MS
    for order in floor.pair:
        floor.fill(order, "1", fee=D(0))
        floor.end(order)
    assert floor.result == "filled 50% +0.98"
    floor.now_ns += 5 * MS
    floor.quote("okx", [(9_990, 9.0)], [(10_000, 2.0)], age_ms=6)
    assert floor.seen.untaken == "okx does not show our last trade there yet"
    floor.now_ns += 10 * MS
    floor.quote("okx", [(9_990, 9.0)], [(10_000, 2.0)])
    assert floor.seen.untaken == "binance does not show our last trade there yet"
    floor.cross()
    assert len(floor.submitted) == 4


def test_a_book_without_news_is_waited_for_a_second_at_most() -> None:
    floor = quiet(cooldown_ms=0, max_age_ms=5_000)
    floor.cross()
    for order in floor.pair:
        floor.fill(order, "1", fee=D(0))
        floor.end(order)
    floor.wait(1_000)
    floor.move()
    assert len(floor.submitted) == 2
    floor.wait(20)
    floor.move()
    assert len(floor.submitted) == 4


@pytest.mark.parametrize("venue", ["okx", "binance"])
def test_a_closed_venue_is_not_shot_at(venue: str) -> None:
    floor = quiet()
    floor.why_closed[venue] = "reconciling"
    assert refused(floor) == f"reconciling at {venue}"


@pytest.mark.parametrize(("venue", "side"), [("okx", "buy"), ("binance", "sell")])
def test_the_size_is_what_both_sides_have_room_for(venue: str, side: str) -> None:
    floor = quiet()
    key = floor.listings[venue].key
    floor.room[key, side] = Headroom(D("0.7005"), "position 93% of limit")  # type: ignore[index]
    floor.cross()
    assert [size for *_, size in orders(floor)] == [D("0.7")] * 2


@pytest.mark.parametrize("room", ["0", "-1", "0.0009", "0.04"])
def test_without_room_for_the_least_size_the_limit_is_the_reason(room: str) -> None:
    floor = quiet(min_quantity=0.05)
    key = floor.listings["okx"].key
    floor.room[key, "buy"] = Headroom(D(room), "position 98% of limit")
    assert refused(floor) == "position 98% of limit at okx"


def test_both_lots_divide_the_size_that_there_is_room_for() -> None:
    coarse = {"okx": listing("okx", kind=Kind.LINEAR, lot="0.25")}
    floor = Gallery(crossed=False, listings=coarse)
    floor.room[floor.listings["binance"].key, "sell"] = Headroom(D("1.9"), "position")
    floor.cross()
    assert [size for *_, size in orders(floor)] == [D("1.75")] * 2


def test_depth_behind_an_order_of_ours_is_not_taken() -> None:
    floor = quiet()
    floor.quote("okx", [(9_990, 9.0)], [(10_000, 1.0), (10_001, 9.0)])
    floor.own("okx", "sell", "100.01")
    floor.cross()
    # The limit stays a tick before ours, whatever the slippage allows.
    assert orders(floor)[0] == ("okx", "buy", D("100.00"), D(1))


def test_a_sale_stays_above_an_order_of_ours_too() -> None:
    floor = quiet()
    floor.quote("binance", [(9_990, 9.0)], [(10_120, 9.0)])
    floor.own("binance", "buy", "100.99")
    floor.quote("binance", [(10_100, 1.0), (10_099, 9.0)], [(10_120, 9.0)])
    assert orders(floor)[1] == ("binance", "sell", D("101.00"), D(1))


@pytest.mark.parametrize(
    ("venue", "side", "price"), [("okx", "sell", "100"), ("binance", "buy", "101")]
)
def test_an_order_of_ours_in_the_way_is_the_reason(venue: str, side: str, price: str) -> None:
    floor = quiet()
    floor.own(venue, side, price)  # type: ignore[arg-type]
    assert refused(floor) == f"own {side} 1 at {price} on {venue}"


def test_orders_of_ours_on_the_other_side_are_not_in_the_way() -> None:
    floor = quiet()
    floor.own("okx", "buy", "99.90")
    floor.own("binance", "sell", "101.20")
    floor.cross()
    assert len(floor.submitted) == 2


def test_books_that_aged_since_they_were_looked_at_are_not_shot_at() -> None:
    floor = quiet(max_age_ms=100)
    floor.executor.switch(False, "", floor.now_ns)
    floor.cross()
    floor.executor.switch(True, "", floor.now_ns)
    floor.executor.moved(floor.symbol, floor.now_ns + 150 * MS)
    assert floor.seen.untaken == "okx 150 ms old > 100"
    assert not floor.submitted


@pytest.mark.parametrize(
    "answer",
    [
        Refused("order_rate", D(50), D(51), "orders in a second"),
        Denial("okx", "60 orders in 2 s; new orders in 40 ms", 0),
    ],
)
def test_a_refused_first_leg_sends_nothing_and_cools_the_pair(answer: Refused | Denial) -> None:
    floor = quiet()
    floor.answers.append(answer)
    said = refused(floor)
    assert said.startswith(str(answer))
    assert "okx" in said
    floor.move()
    assert floor.seen.untaken == f"{said}; cooling down 250 ms"
    assert floor.detector.totals.shots == 0


COLLAR = Refused("collar", D(150), D(180), "bps")


def test_a_refused_second_leg_takes_the_first_one_back_before_it_leaves() -> None:
    floor = quiet()
    floor.refuse_second, floor.held = COLLAR, True
    floor.cross()
    (first,) = floor.submitted
    assert first.text == "not sent"
    assert floor.seen.untaken == "collar: 180 against 150, bps at binance"
    assert floor.detector.totals.shots == 0
    assert floor.executor.shown(floor.now_ns).state == "watching"
    floor.move()
    assert floor.seen.untaken.endswith("; cooling down 250 ms")
    floor.executor._check()


def second_refused() -> tuple[Gallery, Order]:
    """The first leg has left by then."""
    floor = quiet()
    floor.refuse_second = COLLAR
    floor.cross()
    (first,) = floor.submitted
    return floor, first


def test_a_leg_that_left_before_the_other_was_refused_is_canceled() -> None:
    floor, first = second_refused()
    assert floor.canceled == [first.client_id]
    floor.end(first)
    assert floor.result == "missed: collar: 180 against 150, bps at binance"
    assert not floor.given


def test_what_the_first_leg_got_without_the_second_is_closed() -> None:
    floor, first = second_refused()
    floor.end(first, "0.5")
    assert rest_of(floor) == []
    (closing,) = floor.submitted[1:]
    assert (closing.listing.venue, closing.side, closing.size) == ("binance", "sell", D("0.5"))
    floor.end(closing, "0.5", "101")
    assert floor.result == "binance leg 0%, finished +0.50"


# -- uneven legs ----------------------------------------------------------------------------------


def lagging(sold: str = "1.2") -> Gallery:
    """All was bought at okx, of 2, and not all sold at binance."""
    floor = Gallery()
    buy, sell = floor.pair
    floor.end(buy, "2", "100")
    floor.end(sell, sold, "101")
    return floor


def before_closing(prepare: Callable[[Gallery], None], sold: str = "1.2") -> Gallery:
    """The same, the market as prepared before the second leg ended."""
    floor = Gallery()
    buy, sell = floor.pair
    floor.end(buy, "2", "100")
    prepare(floor)
    floor.end(sell, sold, "101")
    return floor


def test_the_lagging_leg_is_finished_where_that_is_cheapest() -> None:
    floor = lagging()
    assert rest_of(floor) == [("binance", "sell", D("0.8"))]
    assert floor.intents[-1].urgent
    assert floor.submitted[-1].time_in_force is TimeInForce.IOC
    assert floor.executor.imbalance(floor.symbol) == D("0.8")
    assert floor.result == "evening out"
    floor.end(floor.submitted[2], "0.8", "100.9")
    assert floor.result == "binance leg 60%, finished +1.92"
    assert floor.detector.totals.outcomes == {Outcome.UNWOUND: 1}


def sink(at: Gallery) -> None:
    """Binance bids less than the others: the lagging leg is no longer the cheapest."""
    at.quote("binance", [(9_900, 9.0)], [(10_120, 9.0)])


def test_the_leg_that_filled_is_unwound_where_that_is_cheapest() -> None:
    def sink_both(at: Gallery) -> None:
        at.quote("bybit", [(9_980, 9.0)], [(10_110, 9.0)])
        sink(at)

    floor = before_closing(sink_both)
    assert rest_of(floor) == [("okx", "sell", D("0.8"))]
    floor.end(floor.submitted[2], "0.8", "99.9")
    assert floor.result == "binance leg 60%, unwound +1.12"


def test_a_third_venue_closes_where_that_is_cheapest() -> None:
    def rise(at: Gallery) -> None:
        at.quote("bybit", [(9_995, 9.0)], [(10_110, 9.0)])
        sink(at)

    floor = before_closing(rise)
    assert rest_of(floor) == [("bybit", "sell", D("0.8"))]
    floor.end(floor.submitted[2], "0.8", "99.95")
    assert floor.result == "binance leg 60%, closed at bybit +1.16"


@pytest.mark.parametrize(("dear", "chosen"), [("bybit", "okx"), ("okx", "bybit")])
def test_fees_decide_between_two_equal_prices(dear: str, chosen: str) -> None:
    floor = Gallery(fees={dear: TEN_BPS})
    buy, sell = floor.pair
    floor.end(buy, "2", "100")
    sink(floor)
    floor.end(sell, "1.2", "101")
    assert rest_of(floor) == [(chosen, "sell", D("0.8"))]


def test_what_was_sold_too_much_is_bought_back_where_that_is_cheapest() -> None:
    floor = Gallery()
    buy, sell = floor.pair
    floor.end(sell, "2", "101")
    floor.quote("okx", [(9_990, 9.0)], [(10_200, 9.0)])
    floor.quote("bybit", [(9_990, 9.0)], [(10_110, 0.3)])
    floor.end(buy, "1", "100")
    # Bybit is best but has too little of it: who has all of it comes first.
    assert rest_of(floor) == [("binance", "buy", D(1))]
    floor.end(floor.submitted[2], "1", "101.2")
    assert floor.result == "okx leg 50%, unwound +0.80"


def test_a_venue_whose_smallest_order_is_larger_does_not_close() -> None:
    large = {"bybit": replace(listing("bybit", kind=Kind.LINEAR), min_size=D(1))}
    floor = Gallery(listings=large)
    buy, sell = floor.pair
    floor.end(buy, "2", "100")
    floor.quote("bybit", [(9_995, 9.0)], [(10_110, 9.0)])
    sink(floor)
    floor.end(sell, "1.2", "101")
    assert rest_of(floor) == [("okx", "sell", D("0.8"))]


def test_what_several_levels_hold_together_is_taken_to_the_last_lot() -> None:
    levels = [(100.0, 0.7), (101.0, 0.1), (102.0, 5.0)]
    # In floats 0.7 + 0.1 is less than 0.8.
    for reach, size in ((Reach(levels, None), 0.8), (Reach(levels[:2], None), 1.0)):
        taken = reach.take(size)
        assert (taken.size, taken.worst) == (0.8, 101.0)
        assert taken.value == pytest.approx(80.1)


def test_no_book_that_has_it_all_makes_several_orders_at_once() -> None:
    def thin(at: Gallery) -> None:
        at.quote("binance", [(10_050, 0.3)], [(10_120, 9.0)])
        at.quote("okx", [(10_000, 0.4)], [(10_030, 9.0)])
        at.quote("bybit", [(9_990, 0.25)], [(10_110, 9.0)])

    floor = before_closing(thin)
    assert rest_of(floor) == [
        ("binance", "sell", D("0.3")),
        ("okx", "sell", D("0.4")),
        ("bybit", "sell", D("0.1")),
    ]


def test_what_an_order_did_not_get_is_sent_again_with_the_slippage_of_the_next_hedge() -> None:
    floor = lagging()
    floor.end(floor.submitted[2], "0.5")
    again = floor.submitted[3]
    assert (again.side, again.size) == ("sell", D("0.3"))
    # 5 and then 15 basis points below 101.00.
    assert (floor.submitted[2].price, again.price) == (D("100.95"), D("100.85"))


def test_a_venue_that_refuses_an_order_is_passed_over() -> None:
    floor = Gallery()
    buy, sell = floor.pair
    floor.end(buy, "2")
    floor.answers.append(Refused("halted", words="binance: by hand"))
    floor.end(sell)
    assert rest_of(floor) == [("bybit", "sell", D(2))]


def test_closed_venues_and_books_nobody_trusts_take_no_part_in_closing() -> None:
    def close(at: Gallery) -> None:
        at.why_closed["binance"] = "halted: by hand"
        at.break_book("bybit")

    floor = before_closing(close)
    assert rest_of(floor) == [("okx", "sell", D("0.8"))]


def test_closing_meets_no_order_of_ours() -> None:
    def stand(at: Gallery) -> None:
        at.own("binance", "buy", "101.00")

    ((venue, side, size),) = rest_of(before_closing(stand))
    assert venue != "binance"
    assert (side, size) == ("sell", D("0.8"))


def test_fills_that_still_come_are_waited_for_before_they_are_closed() -> None:
    floor = Gallery()
    buy, sell = floor.pair
    floor.end(sell)
    floor.trade(buy, "0.5")
    floor.trade(buy, "0.5")
    assert rest_of(floor) == []
    floor.end(buy)
    assert rest_of(floor) == [("binance", "sell", D(1))]


def test_an_order_that_takes_its_time_does_not_keep_what_it_left_open() -> None:
    floor = Gallery()
    buy, sell = floor.pair
    floor.end(sell)
    floor.trade(buy, "0.5")
    floor.wait(80)
    assert rest_of(floor) == []
    floor.wait(20)
    assert rest_of(floor) == [("binance", "sell", D("0.5"))]
    floor.end(buy, "0.25")
    assert rest_of(floor)[1:] == []
    floor.end(floor.submitted[2], "0.5")
    assert rest_of(floor)[1:] == [("binance", "sell", D("0.25"))]


# -- what is not known ----------------------------------------------------------------------------


def test_a_leg_that_may_still_fill_is_never_sent_again() -> None:
    floor = Gallery()
    buy, sell = floor.pair
    floor.end(buy, "2")
    floor.doubt(sell)
    floor.wait(400)
    assert rest_of(floor) == []
    assert not floor.given
    floor.end(sell, "2")
    assert floor.result.startswith("filled")


def test_a_venue_that_goes_down_in_mid_shot_is_closed_around_once_its_leg_is_known() -> None:
    floor = Gallery()
    buy, sell = floor.pair
    floor.end(buy, "2", "100")
    floor.doubt(sell)
    floor.break_book("binance", "connection lost")
    floor.why_closed["binance"] = "not logged in"
    floor.wait(200)
    assert rest_of(floor) == []
    floor.end(sell, "0.5")
    assert rest_of(floor) == [("bybit", "sell", D("1.5"))]
    floor.end(floor.submitted[2], "1.5", "99.9")
    assert floor.result == "binance leg 25%, closed at bybit +0.34"
    assert not floor.halts
    assert not floor.given


def test_a_leg_that_turns_out_gone_is_closed_like_any_other() -> None:
    floor = Gallery()
    buy, sell = floor.pair
    floor.end(buy, "2")
    floor.doubt(sell)
    floor.wait(100)
    floor.end(sell)
    assert rest_of(floor) == [("binance", "sell", D(2))]


def test_what_is_certain_beside_an_unknown_leg_is_closed_at_once() -> None:
    floor = Gallery()
    buy, sell = floor.pair
    floor.trade(sell, "0.5")
    floor.doubt(sell)
    floor.end(buy)
    # 0.5 is short for certain, 1.5 more may be.
    assert rest_of(floor) == [("okx", "buy", D("0.5"))]


def test_a_leg_unknown_at_the_deadline_has_its_venue_halted_and_the_operator_told() -> None:
    floor = Gallery()
    buy, sell = floor.pair
    floor.end(buy, "2")
    floor.doubt(sell)
    floor.wait(460)
    assert not floor.halts
    floor.wait(20)
    ((venue, why),) = floor.halts
    assert venue == "binance"
    assert "binance leg unknown after 4" in why
    assert sell.client_id in floor.canceled
    assert events(floor, "error") == ["arbitrage leg unsettled"]
    assert floor.result.startswith("binance leg unknown after 4")
    # It may still fill: nobody else may close it yet.
    assert not floor.given
    floor.wait(2_000)
    assert len(floor.halts) == 1
    floor.end(sell, "0.5")
    ((amount, where, _),) = floor.given
    assert (amount, where) == (D("1.5"), "okx")
    assert floor.executor.imbalance(floor.symbol) == 0


def test_a_leg_that_never_left_by_the_deadline_halts_nobody() -> None:
    floor = Gallery()
    floor.end(floor.pair[0])
    floor.held = True
    floor.wait(480)
    assert not floor.halts
    assert floor.result == "missed: both legs untaken"


def test_news_that_comes_late_together_halts_nobody() -> None:
    floor = Gallery()
    buy, sell = floor.pair
    floor.now_ns += 2_000 * MS
    floor.fill(buy, "2", fee=D(0))
    assert not floor.halts
    floor.fill(sell, "2", fee=D(0))
    floor.wait(20)
    assert not floor.halts
    assert floor.result.startswith("filled")


def test_the_deadline_is_configured() -> None:
    floor = quiet(leg_deadline_ms=2_000)
    floor.cross()
    floor.doubt(floor.pair[0])
    floor.wait(1_960)
    assert not floor.halts
    floor.wait(20)
    assert floor.halts


def test_two_unknown_legs_are_waited_for_and_both_venues_halted() -> None:
    floor = Gallery()
    for order in floor.pair:
        floor.doubt(order)
    floor.wait(500)
    assert {venue for venue, _ in floor.halts} == {"okx", "binance"}
    assert len(floor.halts) == 2
    assert rest_of(floor) == []
    for order in floor.pair:
        floor.end(order)
    assert floor.result == "missed: both legs untaken"


def test_what_no_venue_takes_until_the_deadline_goes_to_the_hedger() -> None:
    def gap(at: Gallery) -> None:
        for venue in ("binance", "bybit", "okx"):
            at.break_book(venue)

    floor = before_closing(gap)
    assert floor.result == "no venue can take it"
    floor.wait(460)
    assert not floor.given
    floor.wait(20)
    ((amount, venue, why),) = floor.given
    assert (amount, venue) == (D("0.8"), "okx")
    assert why == "legs uneven after 480 ms, no venue can take it"
    assert floor.executor.imbalance(floor.symbol) == 0
    # 80 bought back at what okx's book last said, that is at the price it was ordered at.
    assert floor.result == "binance leg 60%, handed over +1.21"


def test_books_that_come_back_in_time_are_used() -> None:
    def gap(at: Gallery) -> None:
        for venue in ("binance", "bybit", "okx"):
            at.break_book(venue)

    floor = before_closing(gap)
    floor.wait(100)
    floor.quote("okx", [(9_990, 9.0)], [(10_000, 3.0)])
    floor.wait(20)
    # The first order, however late it is: 5 basis points below 99.90.
    assert orders(floor)[2:] == [("okx", "sell", D("99.86"), D("0.8"))]


def test_a_rest_that_no_venue_takes_goes_to_the_hedger_at_once() -> None:
    coarse = {
        venue: listing(venue, kind=Kind.LINEAR, min_notional="5")
        for venue in ("binance", "bybit", "okx")
    }
    floor = Gallery(listings=coarse)
    buy, sell = floor.pair
    floor.end(buy, "2")
    floor.end(sell, "1.96")
    ((amount, venue, why),) = floor.given
    assert (amount, venue, why) == (D("0.04"), "okx", "below every venue's minimum")
    assert events(floor, "error") == []
    assert floor.result == "binance leg 98%, handed over +1.92"


def test_a_trade_told_after_its_shot_was_closed_is_handed_over_at_once() -> None:
    floor = Gallery()
    buy, sell = floor.pair
    floor.end(buy)
    floor.end(sell)
    before = floor.result
    floor.doubt(buy)
    floor.fill(buy, "0.25", fee=D(0))
    ((amount, venue, why),) = floor.given
    assert (amount, venue, why) == (D("0.25"), "okx", "traded late")
    assert before.startswith("missed")
    assert floor.result == "binance leg 0%, handed over -0.02"
    assert floor.detector.totals.outcomes[Outcome.MISSED] == 0
    assert floor.detector.totals.outcomes[Outcome.UNWOUND] == 1


def test_a_trade_of_an_order_that_nobody_keeps_any_more_still_counts_for_its_shot() -> None:
    floor = Gallery()
    for order in floor.pair:
        floor.end(order)
    late = replace_fill(floor, "0.25")
    floor.executor.filled(late, None, floor.now_ns)
    assert [given.amount for given in floor.given] == [D("0.25")]
    assert floor.result == "binance leg 0%, handed over -0.02"


def replace_fill(floor: Gallery, size: str) -> Fill:
    """A trade of the first leg that its order does not know of."""
    buy, _ = floor.pair
    return Fill(
        buy.listing, "t9", buy.client_id, "", "buy", buy.price, D(size), D(0), "USDT",
        False, floor.now_ns, floor.now_ns,
    )  # fmt: skip


def test_a_trade_of_an_order_of_an_earlier_run_is_handed_over_at_once() -> None:
    floor = Gallery(crossed=False)
    fill = Fill(
        floor.listings["bybit"], "t9", "hm00ar000007", "", "sell", D(100), D("0.5"), None, "",
        False, floor.now_ns, floor.now_ns,
    )  # fmt: skip
    floor.executor.filled(fill, None, floor.now_ns)
    ((amount, venue, why),) = floor.given
    assert (amount, venue, why) == (D("-0.5"), "bybit", "hm00ar000007 traded late")


def test_shots_are_forgotten_in_the_end() -> None:
    floor = Gallery()
    for order in floor.pair:
        floor.end(order)
    floor.now_ns += 901 * SECOND
    floor.executor.tick(floor.now_ns)
    floor.executor._check()
    floor.fill(floor.pair[0], "0.5", fee=D(0))
    assert [given.amount for given in floor.given] == [D("0.5")]


def test_switched_off_it_cancels_and_hands_over_what_is_certain() -> None:
    floor = Gallery()
    buy, sell = floor.pair
    floor.end(buy, "2")
    floor.executor.switch(False, "killed by hand", floor.now_ns)
    assert floor.canceled == [sell.client_id]
    assert not floor.given
    floor.end(sell, "0.5")
    assert rest_of(floor) == []
    ((amount, _, why),) = floor.given
    assert (amount, why) == (D("1.5"), "killed by hand")


# -- money ----------------------------------------------------------------------------------------


def test_a_fee_that_was_not_told_counts_as_configured_until_it_is() -> None:
    floor = Gallery(fees={"okx": TEN_BPS})
    buy, sell = floor.pair
    fill = floor.fill(buy, "2", fee=None)
    floor.fill(sell, "2", fee=D("0.1"))
    totals = floor.detector.totals
    assert totals.realised == D("201.98") - D("200.02") - D("0.1") - D("0.20002")
    told = msgspec.structs.replace(fill, fee=D("0.5"))
    floor.executor.fee_told(told, floor.now_ns)
    floor.executor.fee_told(told, floor.now_ns)
    assert totals.realised == D("201.98") - D("200.02") - D("0.1") - D("0.5")


def test_a_fee_in_a_third_coin_counts_as_configured() -> None:
    floor = Gallery(fees={"okx": TEN_BPS})
    buy, sell = floor.pair
    floor.fill(buy, "2", fee=D("0.0003"), asset="BNB")
    floor.fill(sell, "2", fee=D(0))
    assert floor.detector.totals.realised == D("201.98") - D("200.02") - D("0.20002")


def test_a_fee_taken_from_what_was_bought_is_bought_again() -> None:
    floor = Gallery(kind=Kind.SPOT)
    buy, sell = floor.pair
    floor.fill(sell, "2", fee=D("0.2"))
    floor.fill(buy, "2", fee=D("0.002"), asset="BTC")
    assert rest_of(floor) == [("okx", "buy", D("0.002"))]
    floor.fill(floor.submitted[2], "0.002", fee=D(0))
    floor.gone(floor.submitted[2])
    assert floor.result == "filled +1.56"
    assert not floor.given


def called_filled() -> Gallery:
    """Both legs are filled by the word of their venues, and no trade was told."""
    floor = Gallery()
    for order in floor.pair:
        order.filled = order.size
        floor.gone(order, OrderState.FILLED)
    return floor


def test_trades_that_are_told_after_the_end_of_their_orders_are_waited_for() -> None:
    floor = called_filled()
    assert floor.executor.imbalance(floor.symbol) == 0
    assert floor.result == "shooting"
    for order in floor.pair:
        floor.fill(order, "2", fee=D(0))
    assert floor.result == "filled +1.96"
    assert [note.text for note in floor.told] == [f"{floor.symbol} okx>binance 2: filled +1.96"]
    assert not floor.given


def test_trades_that_are_not_told_by_the_deadline_count_when_they_are() -> None:
    floor = called_filled()
    buy, sell = floor.pair
    floor.fill(buy, "2", fee=D(0))
    floor.wait(480)
    assert not floor.halts
    assert floor.executor.shown(floor.now_ns).state == "watching"
    assert floor.result == "filled (trades not told yet)"
    assert floor.detector.totals.realised == 0
    floor.fill(sell, "2", fee=D(0))
    assert floor.result == "filled +1.96"
    assert floor.detector.totals.realised == D("1.96")
    assert floor.detector.totals.outcomes == {Outcome.FILLED: 1}
    assert not floor.given


# -- the screen -----------------------------------------------------------------------------------


def test_what_is_shown_says_what_is_watched_and_what_came_of_it() -> None:
    floor = Gallery()
    row = floor.executor.shown(floor.now_ns)
    assert (row.name, row.on, row.state, row.reason) == ("arbitrage", True, "shooting", "")
    for order in floor.pair:
        floor.end(order, "2")
    floor.part()
    row = floor.executor.shown(floor.now_ns)
    assert (row.state, dict(row.facts)) == (
        "watching",
        {
            "pairs": "6",
            "best now": "okx>binance -10.0 bps net",
            "shots": "1",
            "hit": "1",
            "unwound": "0",
            "missed": "0",
            "realised": "+1.96 of +2.00 expected",
        },
    )


def test_it_is_blocked_where_fewer_than_two_venues_can_be_traded_on() -> None:
    floor = quiet()
    floor.why_closed = {"okx": "okx: no key", "bybit": "bybit: no key"}
    row = floor.executor.shown(floor.now_ns)
    assert (row.state, row.reason) == ("blocked", "bybit: no key")
    floor.why_closed.pop("okx")
    assert floor.executor.shown(floor.now_ns).state == "watching"


def test_without_books_no_best_pair_is_shown() -> None:
    floor = quiet()
    for venue in ("binance", "bybit", "okx"):
        floor.break_book(venue)
    assert "best now" not in dict(floor.executor.shown(floor.now_ns).facts)


# -- whatever the venues do -----------------------------------------------------------------------


class Fate(NamedTuple):
    """What becomes of an order.

    Attributes:
        quarters: of its size that trade. doubted: it is unknown until it ends.
        state_first: its end is told before its trades. takes_ms: until it ends.
        late: a lot of it trades a second after it was called canceled.
        thin: one of the books has little depth by then.
    """

    quarters: int
    doubted: bool = False
    state_first: bool = False
    takes_ms: int = 0
    late: bool = False
    thin: bool = False


def handed(floor: Gallery) -> Decimal:
    return sum((given.amount for given in floor.given), D(0))


fate = st.builds(
    Fate,
    quarters=st.sampled_from([0, 1, 2, 3, 4]),
    doubted=st.booleans(),
    state_first=st.booleans(),
    takes_ms=st.sampled_from([0, 40, 120, 300, 700]),
    late=st.booleans(),
    thin=st.booleans(),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(fate, min_size=2, max_size=24))
def test_whatever_becomes_of_its_orders_all_is_closed_or_handed_over_and_nothing_sent_twice(
    fates: list[Fate],
) -> None:
    floor = Gallery(fees=dict.fromkeys(VENUES, TEN_BPS))
    due: list[tuple[int, Order, Fate]] = []
    late: list[tuple[int, Order]] = []
    cash = D(0)

    def meet() -> None:
        """Each new order is for no more than is open whatever the others still do."""
        for order in floor.submitted[len(due) :]:
            fate = fates[len(due)] if len(due) < len(fates) else Fate(4)
            if len(due) >= 2:
                left = floor.traded - handed(floor)
                same = [o for o in floor.alive if o.side == order.side]
                assert sum(o.size - o.filled for o in same) <= abs(left)
                assert order.side == ("sell" if left > 0 else "buy")
            if fate.doubted:
                floor.doubt(order)
            due.append((floor.now_ns + fate.takes_ms * MS, order, fate))

    def settle(order: Order, amount: Decimal, *, state_first: bool) -> None:
        nonlocal cash
        worth = amount * order.price
        cash += worth * (1 if order.side == "sell" else -1) - worth / 1_000
        floor.settle(order, amount, state_first=state_first)
        meet()

    meet()
    floor.part()
    while floor.alive or late:
        for at_ns, order, fate in tuple(due):
            if order.live and at_ns <= floor.now_ns:
                amount = order.listing.size(order.size * fate.quarters / 4)
                settle(order, amount, state_first=fate.state_first)
                if fate.late and amount < order.size:
                    late.append((floor.now_ns + SECOND, order))
        for at_ns, order in tuple(late):
            if at_ns <= floor.now_ns:
                late.remove((at_ns, order))
                floor.doubt(order)
                settle(order, order.listing.lot, state_first=False)
        if fates[min(len(due), len(fates)) - 1].thin:
            floor.quote("bybit", [(9_990, 0.3)], [(10_110, 0.3)])
        floor.wait(20)
        meet()
    assert floor.executor.imbalance(floor.symbol) == 0
    assert floor.traded == handed(floor)
    totals = floor.detector.totals
    assert totals.shots == sum(totals.outcomes.values()) == 1
    if not floor.given:
        assert totals.realised == cash
