"""Hedges, from the fill that opened a position to the last resort, and how they can strand."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftmm.config import HedgingConfig
from hftmm.core.instrument import Kind, Side
from hftmm.core.order import OrderIntent, OrderState, Rejection, TimeInForce
from hftmm.execution.exposure_clock import ExposureClock
from hftmm.execution.hedge_ladder import Outlet, least_size, split
from hftmm.execution.hedger import trade_key
from hftmm.execution.order import Order
from hftmm.execution.throttle import Denial
from hftmm.risk.approval import Refused
from hftmm.risk.headroom import Headroom
from tests.books import MS, listing
from tests.hedging import HedgeFloor, config

D = Decimal
NO = Refused("balance", D("0"), D("1"), "BTC at bybit")


def coarse(venue: str, lot: str, **words: Any) -> dict[str, Any]:
    return {venue: listing(venue, kind=Kind.LINEAR, lot=lot, **words)}


# ---- where it goes ------------------------------------------------------------------------------


def test_a_fill_goes_out_at_once_on_the_best_other_venue_as_an_urgent_ioc_within_the_cap() -> None:
    floor = HedgeFloor(max_slippage_bps=5.0)
    floor.quote("okx", [(10_001, 10.0)], [(10_003, 10.0)])
    floor.maker("binance", "buy", "0.5")
    (intent,) = floor.intents
    # 100.01 less 5 bps is 99.959995; a sell is never priced below its cap.
    assert intent == OrderIntent(
        "hg",
        floor.listings["okx"],
        "sell",
        D("99.96"),
        D("0.500"),
        time_in_force=TimeInForce.IOC,
        urgent=True,
    )
    floor.done(floor.submitted[0])
    assert floor.open == 0
    assert floor.hedger.shown(floor.now_ns).state == "flat"


def test_a_sold_quote_is_bought_back_no_dearer_than_the_cap() -> None:
    floor = HedgeFloor(max_slippage_bps=5.0)
    floor.maker("bybit", "sell", "0.25")
    assert floor.hedges == [("binance", "buy", "0.250", "100.07")]


def test_the_best_venue_is_the_best_after_its_taker_fee() -> None:
    floor = HedgeFloor()
    floor.members["bybit"].sell_yield = 0.999
    floor.maker("binance", "buy", "0.5")
    assert floor.hedges == [("okx", "sell", "0.500", "99.95")]


def test_fills_of_one_event_are_netted_before_anything_leaves() -> None:
    floor = HedgeFloor()
    floor.maker("binance", "buy", "0.3", act=False)
    floor.maker("binance", "buy", "0.2", act=False)
    floor.maker("okx", "sell", "0.1", act=False)
    assert floor.hedges == []
    floor.act()
    assert floor.hedges == [("bybit", "sell", "0.400", "99.95")]


def test_fills_that_cancel_out_need_no_hedge() -> None:
    floor = HedgeFloor()
    bought = floor.maker("binance", "buy", "0.5", act=False)
    sold = floor.maker("okx", "sell", "0.5", "100.10", act=False)
    floor.act()
    assert floor.hedges == []
    assert floor.open == 0
    assert floor.hedger.hedge_of(trade_key(bought)) == "netted okx 100.10 in 0 ms"
    assert floor.hedger.hedge_of(trade_key(sold)) == "netted binance in 0 ms"


def test_the_venue_of_the_fill_is_left_out_though_it_is_the_best() -> None:
    floor = HedgeFloor()
    floor.quote("binance", [(10_050, 10.0)], [(10_052, 10.0)])
    floor.maker("binance", "buy", "0.5")
    assert [venue for venue, *_ in floor.hedges] == ["bybit"]


@pytest.mark.parametrize("way", ["closed", "stale", "not allowed", "refused"])
def test_where_it_was_filled_it_is_hedged_only_if_nothing_else_is_left(way: str) -> None:
    floor = HedgeFloor(config(["binance"] if way == "not allowed" else ["binance", "okx"]))
    if way == "closed":
        floor.why_closed["okx"] = "reconciling"
    elif way == "stale":
        floor.break_book("okx")
    elif way == "refused":
        floor.answers = [NO]
    floor.maker("binance", "buy", "0.5")
    assert floor.hedges == [("binance", "sell", "0.500", "99.95")]


def test_a_hedge_goes_only_where_hedges_are_allowed() -> None:
    floor = HedgeFloor(config(["okx"]))
    floor.maker("binance", "buy", "0.5")
    assert floor.hedges == [("okx", "sell", "0.500", "99.95")]


def test_a_hedge_too_large_for_one_book_is_split_by_the_cheapest_next_coin() -> None:
    floor = HedgeFloor()
    floor.quote("bybit", [(10_002, 0.2), (9_999, 0.3)], [(10_004, 1.0)])
    floor.quote("okx", [(10_001, 0.1), (10_000, 0.2), (9_998, 1.0)], [(10_004, 1.0)])
    floor.maker("binance", "buy", "0.6")
    assert floor.hedges == [
        ("bybit", "sell", "0.300", "99.97"),
        ("okx", "sell", "0.300", "99.96"),
    ]


def test_what_is_beyond_the_depth_that_is_seen_goes_to_the_best_venue() -> None:
    floor = HedgeFloor()
    floor.quote("bybit", [(10_000, 0.1)], [(10_002, 0.1)])
    floor.quote("okx", [(9_999, 0.2)], [(10_002, 0.1)])
    floor.maker("binance", "buy", "0.5")
    assert floor.hedges == [
        ("bybit", "sell", "0.300", "99.95"),
        ("okx", "sell", "0.200", "99.95"),
    ]


def test_no_part_is_below_the_lot_or_the_minimum_of_its_venue() -> None:
    floor = HedgeFloor(listings=coarse("bybit", "0.01", min_size="0.05"))
    floor.quote("bybit", [(10_002, 0.04)], [(10_004, 1.0)])
    floor.maker("binance", "buy", "0.0625")
    assert floor.hedges == [("okx", "sell", "0.062", "99.95")]
    assert floor.open == D("0.0625")


def test_a_minimum_worth_is_met_at_any_price_the_hedge_may_get() -> None:
    floor = HedgeFloor(
        listings=coarse("bybit", "0.001", min_notional="10")
        | coarse("okx", "0.001", min_notional="5")
    )
    floor.maker("binance", "buy", "0.1")
    assert floor.hedges == [("okx", "sell", "0.100", "99.95")], "99.95 x 0.1 is less than 10"


def test_own_resting_orders_are_neither_counted_nor_met() -> None:
    floor = HedgeFloor(max_slippage_bps=20.0)
    floor.quote("bybit", [(10_002, 0.1), (10_000, 0.4), (9_999, 5.0)], [(10_004, 1.0)])
    own = floor.submit(
        OrderIntent("mm", floor.listings["bybit"], "buy", D("100.00"), D("0.4"), True),
        floor.now_ns,
    )
    assert isinstance(own, Order)
    floor.rest(own)
    floor.maker("binance", "buy", "0.5")
    assert floor.hedges[1:] == [
        ("bybit", "sell", "0.100", "100.01"),
        ("okx", "sell", "0.400", "99.80"),
    ]


def test_own_orders_that_are_the_only_touch_left_are_canceled_and_quoting_waits() -> None:
    floor = HedgeFloor(config(["bybit"]))
    floor.quote("bybit", [(10_000, 0.4), (9_999, 5.0)], [(10_004, 1.0)])
    own = floor.submit(
        OrderIntent("mm", floor.listings["bybit"], "buy", D("100.00"), D("0.4"), True),
        floor.now_ns,
    )
    assert isinstance(own, Order)
    floor.rest(own)
    floor.maker("binance", "buy", "0.5")
    assert floor.canceled == [own.client_id]
    assert floor.blocked == "own orders at bybit in the way of a hedge"
    floor.gone(own)
    floor.quote("bybit", [(9_999, 5.0)], [(10_004, 1.0)])
    floor.act()
    assert [venue for venue, *_ in floor.hedges[1:]] == ["bybit"]
    floor.done(floor.submitted[1])
    assert floor.blocked == ""


def test_headroom_bounds_what_a_venue_gets_and_the_rest_goes_on() -> None:
    floor = HedgeFloor()
    bybit = floor.listings["bybit"]
    floor.room[bybit.key, "sell"] = Headroom(D("0.2"), "BTC available 0.2")
    floor.maker("binance", "buy", "0.5")
    assert floor.hedges == [
        ("bybit", "sell", "0.200", "99.95"),
        ("okx", "sell", "0.300", "99.95"),
    ]


def test_no_part_is_larger_than_the_largest_order_allowed() -> None:
    floor = HedgeFloor(config(["okx"]))
    floor.hedger.take_over(floor.symbol, D("1.2"), "binance", "left over", floor.now_ns)
    floor.act()
    assert floor.hedges == [("okx", "sell", "0.500", "99.95")]
    floor.done(floor.submitted[0])
    floor.done(floor.submitted[1])
    floor.done(floor.submitted[2])
    assert [size for _, _, size, _ in floor.hedges] == ["0.500", "0.500", "0.200"]
    assert floor.open == 0


# ---- what is not the end ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer", [NO, Denial("bybit", "10 orders in 1 s", 0)], ids=["refused", "throttled"]
)
def test_a_venue_that_takes_no_order_is_passed_over_at_once_and_says_why(
    answer: Refused | Denial,
) -> None:
    floor = HedgeFloor()
    floor.answers = [answer]
    floor.maker("binance", "buy", "0.5")
    assert floor.hedges == [("okx", "sell", "0.500", "99.95")]
    (note,) = floor.told
    assert (note.venue, note.event) == ("bybit", "hedge refused")
    assert str(answer) in note.text


def test_what_everybody_refuses_is_tried_again_a_step_later_and_wider() -> None:
    floor = HedgeFloor(step_ms=150, max_slippage_bps=5.0, widen_bps=10.0)
    floor.answers = [NO, NO, NO]
    floor.maker("binance", "buy", "0.5")
    assert len(floor.intents) == 3
    floor.quote("okx", [(10_000, 10.0)], [(10_002, 10.0)])
    floor.act()
    assert len(floor.intents) == 3, "not before the step is over"
    floor.wait(160)
    assert floor.hedges == [("bybit", "sell", "0.500", "99.85")]


def test_a_book_that_comes_back_takes_what_waits_at_once() -> None:
    floor = HedgeFloor(config(["okx"]))
    floor.break_book("okx")
    floor.maker("binance", "buy", "0.5")
    assert floor.hedges == []
    floor.quote("okx", [(10_000, 10.0)], [(10_002, 10.0)])
    floor.act()
    assert floor.hedges == [("okx", "sell", "0.500", "99.95")]


def test_a_partial_fill_is_followed_by_a_wider_order_on_the_next_venue() -> None:
    floor = HedgeFloor(max_slippage_bps=5.0, widen_bps=10.0)
    floor.maker("binance", "buy", "0.5")
    floor.part(floor.submitted[0], "0.2")
    assert floor.hedges == [
        ("bybit", "sell", "0.500", "99.95"),
        ("okx", "sell", "0.300", "99.85"),
    ]
    floor.part(floor.submitted[1], "0.1")
    assert floor.hedges[2] == ("bybit", "sell", "0.200", "99.75")


def test_a_venue_where_nothing_traded_is_left_alone_for_a_step() -> None:
    floor = HedgeFloor(
        config(["okx"]),
    )
    floor.maker("binance", "buy", "0.5")
    floor.end(floor.submitted[0], OrderState.EXPIRED)
    assert len(floor.hedges) == 1
    floor.wait(160)
    assert floor.hedges[1:] == [("okx", "sell", "0.500", "99.85")]


def test_a_rejected_hedge_goes_to_the_next_venue_at_once() -> None:
    floor = HedgeFloor()
    floor.maker("binance", "buy", "0.5")
    floor.end(
        floor.submitted[0],
        OrderState.REJECTED,
        rejection=Rejection.BALANCE,
        text="-2019 margin is insufficient",
    )
    assert [venue for venue, *_ in floor.hedges] == ["bybit", "okx"]


def test_the_cap_never_widens_beyond_that_of_a_flatten() -> None:
    floor = HedgeFloor(
        config(["okx"], widen_bps=100.0, flatten_slippage_bps=150.0, flatten_after_ms=60_000)
    )
    floor.maker("binance", "buy", "0.5")
    for _ in range(4):
        floor.end(floor.submitted[-1])
        floor.wait(160)
    assert [price for *_, price in floor.hedges] == ["99.95", "98.95", "98.50", "98.50", "98.50"]


def test_the_ladder_starts_over_once_what_it_was_climbed_for_is_closed() -> None:
    floor = HedgeFloor()
    floor.maker("binance", "buy", "0.5")
    floor.part(floor.submitted[0], "0.2")
    floor.done(floor.submitted[1])
    floor.wait(20)
    floor.maker("binance", "buy", "0.5")
    assert floor.hedges[-1] == ("bybit", "sell", "0.500", "99.95")


# ---- what nobody knows --------------------------------------------------------------------------


def test_an_order_without_an_answer_counts_in_full_until_it_is_settled() -> None:
    floor = HedgeFloor()
    floor.maker("binance", "buy", "0.5")
    floor.doubt(floor.submitted[0])
    floor.wait(1_000)
    assert len(floor.hedges) == 1
    assert "hedge late" in floor.events
    floor.done(floor.submitted[0])
    assert floor.open == 0
    assert len(floor.hedges) == 1


def test_an_unknown_order_that_is_gone_is_hedged_elsewhere() -> None:
    floor = HedgeFloor()
    floor.maker("binance", "buy", "0.5")
    floor.doubt(floor.submitted[0])
    floor.wait(1_000)
    floor.end(floor.submitted[0], OrderState.REJECTED, text="it never arrived")
    assert [venue for venue, *_ in floor.hedges] == ["bybit", "okx"]
    floor.done(floor.submitted[1])
    assert floor.open == 0


def test_while_an_order_is_unknown_only_what_is_certain_goes_to_the_other_venues() -> None:
    floor = HedgeFloor()
    floor.maker("binance", "buy", "0.5")
    floor.doubt(floor.submitted[0])
    floor.wait(200)
    floor.maker("binance", "buy", "0.2")
    assert floor.hedges[1:] == [("okx", "sell", "0.200", "99.85")]


def test_a_venue_that_owes_an_answer_gets_no_more_hedges() -> None:
    floor = HedgeFloor(config(["bybit"]))
    floor.maker("binance", "buy", "0.2")
    floor.wait(200)
    floor.maker("binance", "buy", "0.2")
    assert len(floor.hedges) == 1
    floor.end(floor.submitted[0])
    floor.wait(200)
    assert floor.hedges[1:] == [("bybit", "sell", "0.400", "99.85")]


def test_a_hedge_that_rests_past_its_step_is_canceled() -> None:
    floor = HedgeFloor(step_ms=150)
    floor.maker("binance", "buy", "0.5")
    order = floor.submitted[0]
    floor.rest(order)
    floor.wait(140)
    assert floor.canceled == []
    floor.wait(20)
    assert floor.canceled == [order.client_id]
    floor.end(order)
    assert [venue for venue, *_ in floor.hedges] == ["bybit", "okx"]


def test_a_fill_during_the_cancel_is_not_hedged_again() -> None:
    floor = HedgeFloor()
    floor.maker("binance", "buy", "0.5")
    order = floor.submitted[0]
    floor.rest(order)
    floor.wait(160)
    floor.done(order)
    assert floor.open == 0
    assert len(floor.hedges) == 1


def test_a_fill_told_later_than_the_end_of_its_order_is_waited_for() -> None:
    floor = HedgeFloor()
    floor.maker("binance", "buy", "0.5")
    order = floor.submitted[0]
    order.filled = D("0.3")
    floor.end(order)
    assert floor.hedges[1:] == [("okx", "sell", "0.200", "99.85")]
    floor.done(floor.submitted[1])
    floor.late(order, "0.3")
    assert floor.open == 0
    assert len(floor.hedges) == 2


def test_a_fill_that_the_order_counts_and_nobody_told_of_yet_is_not_hedged_again() -> None:
    floor = HedgeFloor()
    floor.maker("binance", "buy", "0.5")
    order = floor.submitted[0]
    order.booked = order.filled = D("0.5")
    order.state = OrderState.FILLED
    floor.maker("binance", "buy", "0.1")
    assert [size for _, _, size, _ in floor.hedges] == ["0.500", "0.100"]


def test_a_fill_that_nobody_announced_turns_the_exposure_and_is_hedged_back() -> None:
    floor = HedgeFloor()
    floor.maker("binance", "buy", "0.5")
    order = floor.submitted[0]
    floor.end(order)
    floor.done(floor.submitted[1])
    floor.late(order, "0.3")
    assert floor.open == D("-0.3")
    assert floor.hedges[2][:3] == ("binance", "buy", "0.300")


def test_a_quote_filled_the_other_way_during_a_hedge_is_closed_after_it() -> None:
    floor = HedgeFloor()
    floor.maker("binance", "buy", "0.5")
    floor.maker("binance", "sell", "0.5")
    assert len(floor.hedges) == 1
    assert floor.open == 0
    floor.done(floor.submitted[0])
    assert floor.hedges[1][1:3] == ("buy", "0.500")


def test_an_order_of_an_earlier_run_counts_as_on_its_way() -> None:
    floor = HedgeFloor()
    floor.hedger.restore(floor.symbol, D("0.5"), "binance", floor.now_ns)
    old = floor.submit(
        OrderIntent("hg", floor.listings["okx"], "sell", D("99"), D("0.5")), floor.now_ns
    )
    assert isinstance(old, Order)
    floor.doubt(old)
    floor.act()
    assert len(floor.hedges) == 1
    floor.done(old)
    assert floor.open == 0
    assert len(floor.hedges) == 1


def test_what_others_leave_is_taken_over_and_told() -> None:
    floor = HedgeFloor()
    floor.hedger.take_over(floor.symbol, D("-0.3"), "okx", "leg missed", floor.now_ns)
    floor.act()
    assert floor.hedges == [("binance", "buy", "0.300", "100.07")]
    assert floor.told[0].text == "BTC/USDT:USDT -0.3 taken over: leg missed"


def test_of_what_is_too_small_to_hedge_nobody_hears() -> None:
    floor = HedgeFloor()
    floor.hedger.take_over(floor.symbol, D("-0.0004"), "okx", "a fee in coins", floor.now_ns)
    floor.act()
    assert floor.told == []
    assert floor.fact("residual").startswith("-0.0004 BTC/USDT:USDT")


# ---- what is too small --------------------------------------------------------------------------


def test_what_is_too_small_for_every_venue_waits_for_the_next_hedge() -> None:
    floor = HedgeFloor()
    fill = floor.maker("binance", "buy", "0.0004")
    assert floor.hedges == []
    assert floor.fact("residual").startswith("0.0004 BTC/USDT:USDT of 0.01")
    assert floor.hedger.hedge_of(trade_key(fill)) == "0.0004 in the residual"
    floor.wait(10_000)
    assert floor.events == []
    assert floor.halts == []
    assert floor.blocked == ""
    assert floor.fact("residual") == "0.0004 BTC/USDT:USDT of 0.01, 10 s"
    assert floor.hedger.unhedged_ms(floor.now_ns) is None
    floor.maker("binance", "buy", "0.0106")
    assert floor.hedges == [("bybit", "sell", "0.011", "99.95")]
    assert floor.hedger.unhedged_ms(floor.now_ns) == 0.0
    floor.done(floor.submitted[0])
    assert floor.open == 0


def test_a_residual_taken_along_gets_a_clock_of_its_own_hedge() -> None:
    floor = HedgeFloor(config(["okx"]))
    floor.maker("binance", "buy", "0.0004")
    floor.wait(10_000)
    floor.break_book("okx")
    floor.maker("binance", "buy", "0.5")
    floor.wait(900)
    assert floor.events == []
    assert floor.hedger.unhedged_ms(floor.now_ns) == 900.0


def test_what_the_lot_cuts_off_a_hedge_stays_as_residual() -> None:
    floor = HedgeFloor()
    fill = floor.maker("binance", "buy", "0.0107")
    floor.now_ns += 34 * MS
    floor.done(floor.submitted[0])
    assert floor.open == D("0.0007")
    assert floor.hedger.shown(floor.now_ns).state == "flat"
    assert floor.fact("time to flat p99") == "34 ms"
    story = floor.hedger.hedge_of(trade_key(fill))
    assert story == "0.01 of 0.0107 hedged bybit 99.95 in 34 ms"


def test_a_residual_is_netted_by_the_next_fill() -> None:
    floor = HedgeFloor()
    floor.maker("binance", "buy", "0.0004")
    floor.maker("binance", "sell", "0.0004")
    assert floor.open == 0
    assert "residual" not in dict(floor.hedger.shown(floor.now_ns).facts)


def test_a_residual_above_its_limit_stops_quoting() -> None:
    floor = HedgeFloor(
        max_residual=0.01,
        listings={v: listing(v, kind=Kind.LINEAR, lot="0.1") for v in ("binance", "bybit", "okx")},
    )
    floor.maker("binance", "buy", "0.02")
    assert floor.hedges == []
    assert floor.blocked == "residual 0.02 above 0.01"
    assert floor.hedger.shown(floor.now_ns).state == "blocked"


def test_a_residual_above_its_limit_is_closed_where_it_was_filled_if_only_that_takes_it() -> None:
    floor = HedgeFloor(
        max_residual=0.01,
        listings=coarse("bybit", "0.1") | coarse("okx", "0.1"),
    )
    floor.maker("binance", "buy", "0.01")
    assert floor.hedges == []
    floor.maker("binance", "buy", "0.005")
    assert floor.hedges == [("binance", "sell", "0.015", "99.95")]


def test_an_outage_makes_nothing_too_small() -> None:
    floor = HedgeFloor(listings=coarse("bybit", "0.1"))
    floor.why_closed = {"okx": "reconciling", "bybit": "reconciling"}
    floor.maker("binance", "buy", "0.05")
    assert "residual" not in dict(floor.hedger.shown(floor.now_ns).facts)


def test_dust_that_only_a_full_venue_would_take_is_residual() -> None:
    floor = HedgeFloor(listings=coarse("binance", "0.1") | coarse("bybit", "0.1"))
    floor.room[floor.listings["okx"].key, "sell"] = Headroom(D("0.0001"), "position 100% of limit")
    floor.maker("binance", "buy", "0.005")
    floor.wait(10_000)
    assert floor.hedges == []
    assert floor.halts == []
    assert floor.fact("residual") == "0.005 BTC/USDT:USDT of 0.01, 10 s"


def test_dust_that_only_a_halted_venue_would_take_is_residual() -> None:
    floor = HedgeFloor(listings=coarse("binance", "0.1") | coarse("bybit", "0.1"))
    floor.why_closed = {"okx": "halted"}
    floor.maker("binance", "buy", "0.005")
    floor.why_closed = {"okx": "halted", "bybit": "halted"}
    floor.maker("binance", "buy", "0.001")
    floor.wait(10_000)
    assert floor.hedges == []
    assert floor.halts == []
    assert floor.fact("residual").startswith("0.006 BTC/USDT:USDT of 0.01")


def test_a_residual_that_a_venue_can_take_again_counts_from_then_on() -> None:
    floor = HedgeFloor(listings=coarse("binance", "0.1") | coarse("bybit", "0.1"))
    okx: tuple[str, Side] = (floor.listings["okx"].key, "sell")
    floor.room[okx] = Headroom(D("0.0001"), "position 100% of limit")
    floor.maker("binance", "buy", "0.005")
    floor.wait(10_000)
    del floor.room[okx]
    floor.hedger.configure(config(max_slippage_bps=6.0), floor.now_ns)
    floor.act()
    assert len(floor.hedges) == 1
    assert floor.hedger.unhedged_ms(floor.now_ns) == 0.0


# ---- the clock ----------------------------------------------------------------------------------


def stranded(**hedging: Any) -> HedgeFloor:
    """0.5 bought on binance, and no other venue takes anything."""
    floor = HedgeFloor(**hedging)
    floor.why_closed = {"bybit": "not logged in", "okx": "not logged in", "binance": "busy"}
    floor.maker("binance", "buy", "0.5")
    assert floor.hedges == []
    return floor


def test_an_exposure_that_lasts_is_an_alarm_once_with_its_reasons() -> None:
    floor = stranded(alarm_after_ms=1_000)
    floor.wait(990)
    assert floor.events == []
    floor.wait(500)
    (note,) = floor.told
    assert (note.level, note.event, note.venue) == ("error", "unhedged", "binance")
    assert note.text == (
        "BTC/USDT:USDT 0.5 open for 1010 ms; binance busy; bybit not logged in; okx not logged in"
    )


def test_an_exposure_that_lasts_longer_stops_quoting_until_it_is_closed() -> None:
    floor = stranded(stop_quoting_after_ms=2_000)
    floor.wait(1_980)
    assert not floor.blocked.startswith("unhedged")
    floor.wait(40)
    assert floor.blocked == "unhedged 0.5 for 2020 ms, limit 2000"
    assert floor.hedger.blocked("ETH/USDT:USDT") == "no hedge venue open: none allowed"
    floor.why_closed.clear()
    floor.wait(200)
    floor.done(floor.submitted[0])
    assert floor.blocked == ""


def test_at_the_deadline_the_venue_is_halted_and_then_it_is_flattened_there() -> None:
    floor = stranded(flatten_after_ms=5_000, flatten_slippage_bps=100.0)
    floor.wait(4_980)
    assert floor.halts == []
    floor.wait(40)
    ((venue, why),) = floor.halts
    assert venue == "binance"
    assert why.startswith("unhedged: BTC/USDT:USDT 0.5 open for 50")
    assert [what for what, _ in floor.log] == ["halt", "submit"], "a halt cancels what stands"
    (intent,) = floor.intents
    assert (intent.listing.venue, intent.side, intent.size) == ("binance", "sell", D("0.5"))
    assert (intent.price, intent.reduce_only, intent.urgent) == (D("99.00"), True, True)
    assert intent.time_in_force is TimeInForce.IOC
    floor.done(floor.submitted[0])
    assert floor.open == 0
    assert floor.fact("last step") == "binance sell 0.5 @ 99.00, flatten"
    floor.wait(1_000)
    assert len(floor.halts) == len(floor.hedges) == 1


def test_each_venue_is_flattened_by_what_was_filled_there() -> None:
    floor = HedgeFloor()
    floor.why_closed = dict.fromkeys(floor.members, "reconciling")
    floor.maker("binance", "buy", "0.5")
    floor.maker("okx", "buy", "0.2")
    floor.wait(5_020)
    assert [venue for venue, _ in floor.halts] == ["binance", "okx"]
    assert [hedge[:3] for hedge in floor.hedges] == [
        ("binance", "sell", "0.500"),
        ("okx", "sell", "0.200"),
    ]


def test_a_flatten_that_would_not_reduce_there_goes_where_it_does() -> None:
    floor = HedgeFloor()
    floor.why_closed = dict.fromkeys(floor.members, "reconciling")
    floor.positions[floor.listings["binance"].key] = D("-2")
    floor.positions[floor.listings["okx"].key] = D("2")
    floor.maker("binance", "buy", "0.5")
    floor.answers = [NO, NO]
    floor.wait(5_020)
    (order,) = floor.submitted
    assert (order.listing.venue, order.reduce_only) == ("okx", True)


def test_flattening_never_gives_up_and_says_so_each_time() -> None:
    floor = stranded(step_ms=100)
    floor.answers = [NO] * 3_000
    floor.wait(65_000)
    told = [note for note in floor.told if note.event == "not flattened"]
    gaps = [round((b.ns - a.ns) / 1e6, -2) for a, b in pairwise(told)]
    assert gaps[:7] == [100, 200, 400, 800, 1_600, 3_200, 6_400]
    assert set(gaps[7:]) == {10_000}
    assert "balance: 1 against 0" in told[-1].text
    assert "again in 10 s" in told[-1].text
    assert {intent.listing.venue for intent in floor.intents} == {"binance", "bybit", "okx"}
    floor.answers = []
    floor.wait(10_020)
    floor.done(floor.submitted[0])
    assert floor.open == 0


def test_a_lost_ack_at_the_deadline_halts_the_venue_and_hedges_nothing_twice() -> None:
    floor = HedgeFloor()
    floor.maker("binance", "buy", "0.5")
    floor.doubt(floor.submitted[0])
    floor.wait(6_000)
    assert [venue for venue, _ in floor.halts] == ["binance"]
    assert "bybit 0.5 unknown" in floor.halts[0][1]
    assert len(floor.hedges) == 1
    floor.end(floor.submitted[0], OrderState.REJECTED)
    floor.wait(200)
    assert floor.hedges[1][:3] == ("binance", "sell", "0.500")


def test_the_clock_is_that_of_the_oldest_unit_not_offset() -> None:
    floor = HedgeFloor()
    floor.maker("binance", "buy", "0.5")
    floor.wait(100)
    floor.maker("binance", "buy", "0.5")
    floor.wait(40)
    assert floor.hedger.unhedged_ms(floor.now_ns) == 140.0
    floor.done(floor.submitted[0])
    assert floor.hedger.unhedged_ms(floor.now_ns) == 40.0
    floor.done(floor.submitted[1])
    assert floor.hedger.unhedged_ms(floor.now_ns) is None


def test_time_to_flat_runs_from_the_first_unit_until_nothing_is_open() -> None:
    floor = HedgeFloor()
    floor.maker("binance", "buy", "0.5")
    floor.wait(20)
    floor.maker("binance", "buy", "0.5")
    floor.wait(20)
    floor.done(floor.submitted[0])
    floor.wait(20)
    floor.done(floor.submitted[1])
    floor.maker("binance", "buy", "0.5")
    floor.wait(20)
    floor.done(floor.submitted[2])
    assert floor.fact("time to flat p50") == "60 ms"
    assert floor.fact("time to flat p99") == "60 ms"


def test_every_fill_says_what_became_of_it() -> None:
    floor = HedgeFloor()
    fill = floor.maker("binance", "buy", "0.5")
    assert floor.hedger.hedge_of(trade_key(fill)) == "unhedged"
    floor.wait(20)
    floor.trade(floor.submitted[0], "0.2", "100.01")
    assert floor.hedger.hedge_of(trade_key(fill)) == "0.2 of 0.5 hedged bybit 100.01 in 20 ms"
    floor.end(floor.submitted[0])
    floor.wait(14)
    floor.done(floor.submitted[1], "99.96")
    assert floor.hedger.hedge_of(trade_key(fill)) == "hedged bybit+okx 99.98 in 34 ms"
    assert floor.hedger.hedge_of("binance BTC/USDT:USDT unheard of") == ""


# ---- off and on ---------------------------------------------------------------------------------


def test_off_it_hedges_nothing_cancels_what_lives_and_blocks_quoting() -> None:
    floor = HedgeFloor()
    floor.maker("binance", "buy", "0.5")
    floor.hedger.switch(on=False, why="by hand", now_ns=floor.now_ns)
    assert floor.canceled == [floor.submitted[0].client_id]
    assert floor.blocked == "hedger off: by hand"
    floor.end(floor.submitted[0])
    floor.wait(1_020)
    assert len(floor.hedges) == 1
    assert "unhedged" in floor.events
    row = floor.hedger.shown(floor.now_ns)
    assert (row.on, row.state, row.reason) == (False, "off", "by hand")


def test_off_at_the_deadline_the_venue_is_halted_and_still_nothing_leaves() -> None:
    floor = HedgeFloor(enabled=False)
    floor.maker("binance", "buy", "0.5")
    floor.wait(6_000)
    assert [venue for venue, _ in floor.halts] == ["binance"]
    assert floor.hedges == []


def test_off_what_a_flattening_may_leave_halts_nobody_and_is_hedged_once_it_is_on() -> None:
    floor = HedgeFloor(listings=coarse("binance", "0.1"), enabled=False)
    floor.maker("binance", "buy", "0.09")
    floor.wait(10_000)
    assert floor.halts == []
    assert floor.events == []
    assert floor.fact("residual") == "0.09 BTC/USDT:USDT of 0.01, 10 s"
    floor.hedger.switch(on=True, why="", now_ns=floor.now_ns)
    floor.act()
    assert floor.hedges == [("bybit", "sell", "0.090", "99.95")]


def test_on_again_it_goes_on_with_what_is_open() -> None:
    floor = HedgeFloor(enabled=False)
    floor.maker("binance", "buy", "0.5")
    floor.wait(500)
    floor.hedger.switch(on=True, why="", now_ns=floor.now_ns)
    floor.act()
    assert floor.hedges == [("bybit", "sell", "0.500", "99.95")]
    assert floor.hedger.unhedged_ms(floor.now_ns) == 0.0


def test_no_venue_open_blocks_quoting_and_says_which_and_why() -> None:
    floor = HedgeFloor()
    floor.why_closed = {"binance": "not logged in", "bybit": "halted"}
    floor.break_book("okx")
    floor.wait(20)
    assert floor.blocked == "no hedge venue open: binance not logged in; bybit halted; okx gap"
    floor.why_closed.clear()
    floor.wait(20)
    assert floor.blocked == ""


def test_an_event_that_concerns_no_hedge_costs_no_question() -> None:
    floor = HedgeFloor()
    asked: list[str] = []
    floor.book = asked.append  # type: ignore[assignment]  # counts the questions
    floor.hedger.moved(floor.symbol, floor.now_ns)
    floor.hedger.act(floor.now_ns)
    assert asked == []


# ---- spot ---------------------------------------------------------------------------------------


def test_a_fee_taken_in_the_base_coin_is_not_hedged() -> None:
    floor = HedgeFloor(kind=Kind.SPOT)
    floor.maker("binance", "buy", "0.5", fee="0.002", fee_asset="BTC")
    assert floor.open == D("0.498")
    assert floor.hedges == [("bybit", "sell", "0.498", "99.95")]
    assert not floor.intents[0].reduce_only


def test_a_fee_told_later_is_taken_into_account_then() -> None:
    floor = HedgeFloor(kind=Kind.SPOT)
    fill = floor.maker("binance", "buy", "0.5", fee=None, fee_asset="BTC", act=False)
    told = msgspec.structs.replace(fill, fee=D("0.002"))
    floor.hedger.fee_told(told, floor.now_ns)
    floor.act()
    assert floor.hedges == [("bybit", "sell", "0.498", "99.95")]


def test_a_fee_in_another_coin_changes_nothing_nor_does_one_of_a_perpetual() -> None:
    spot = HedgeFloor(kind=Kind.SPOT)
    spot.maker("binance", "buy", "0.5", fee="0.02", fee_asset="USDT")
    perpetual = HedgeFloor()
    perpetual.maker("binance", "buy", "0.5", fee="0.002", fee_asset="BTC")
    assert spot.open == perpetual.open == D("0.5")


def test_a_spot_flatten_is_a_plain_order() -> None:
    floor = HedgeFloor(kind=Kind.SPOT)
    floor.why_closed = dict.fromkeys(floor.members, "reconciling")
    floor.maker("binance", "buy", "0.5")
    floor.wait(5_020)
    (intent,) = floor.intents
    assert (intent.listing.venue, intent.size, intent.reduce_only) == ("binance", D("0.5"), False)


# ---- parameters ---------------------------------------------------------------------------------


def first_price(floor: HedgeFloor) -> object:
    floor.maker("binance", "buy", "0.5")
    return floor.hedges[0][3]


def second_price(floor: HedgeFloor) -> object:
    floor.maker("binance", "buy", "0.5")
    floor.part(floor.submitted[0], "0.1")
    return floor.hedges[1][3]


def small_hedged(floor: HedgeFloor) -> object:
    floor.maker("binance", "buy", "0.005")
    return len(floor.hedges)


def small_hedged_in_lots(floor: HedgeFloor) -> object:
    floor.hedger.configure(
        config(hedge_immediately=False, hedge_above=floor.hedger._hedging.hedge_above),
        floor.now_ns,
    )
    floor.maker("binance", "buy", "0.012")
    return len(floor.hedges)


def canceled_after(floor: HedgeFloor) -> object:
    floor.maker("binance", "buy", "0.5")
    floor.rest(floor.submitted[0])
    floor.wait(100)
    return floor.canceled


def strand(floor: HedgeFloor) -> HedgeFloor:
    floor.why_closed = dict.fromkeys(floor.members, "reconciling")
    floor.maker("binance", "buy", "0.5")
    return floor


def alarmed(floor: HedgeFloor) -> object:
    strand(floor).wait(500)
    return floor.events


def stopped(floor: HedgeFloor) -> object:
    strand(floor).wait(1_500)
    return floor.blocked.startswith("unhedged")


def flattened(floor: HedgeFloor) -> object:
    strand(floor).wait(3_000)
    return floor.halts != []


def flatten_price(floor: HedgeFloor) -> object:
    strand(floor).wait(5_020)
    return floor.hedges[0][3]


def residual_blocks(floor: HedgeFloor) -> object:
    floor.maker("binance", "buy", "0.0009")
    return floor.blocked


CHANGES: dict[str, tuple[Any, Callable[[HedgeFloor], object]]] = {
    "enabled": (False, small_hedged),
    "hedge_immediately": (False, small_hedged),
    "hedge_above": (0.02, small_hedged_in_lots),
    "max_slippage_bps": (20.0, first_price),
    "widen_bps": (50.0, second_price),
    "step_ms": (50, canceled_after),
    "alarm_after_ms": (400, alarmed),
    "stop_quoting_after_ms": (1_200, stopped),
    "flatten_after_ms": (2_500, flattened),
    "flatten_slippage_bps": (300.0, flatten_price),
    "max_residual": (0.0005, residual_blocks),
}


def test_every_key_has_its_case() -> None:
    assert set(CHANGES) == set(HedgingConfig.__dataclass_fields__)


@pytest.mark.parametrize("key", CHANGES)
@pytest.mark.parametrize("running", [False, True], ids=["at the start", "while running"])
def test_every_key_changed_changes_what_the_hedger_does(key: str, running: bool) -> None:
    value, see = CHANGES[key]
    changed = HedgeFloor() if running else HedgeFloor(config(**{key: value}))
    if running:
        changed.hedger.configure(config(**{key: value}), changed.now_ns)
    assert see(changed) != see(HedgeFloor())


def test_hedges_that_need_not_be_immediate_are_completed_once_begun() -> None:
    floor = HedgeFloor(hedge_immediately=False, hedge_above=0.01)
    floor.maker("binance", "buy", "0.008")
    assert floor.hedges == []
    assert floor.hedger.unhedged_ms(floor.now_ns) == 0.0
    floor.maker("binance", "buy", "0.004")
    assert floor.hedges == [("bybit", "sell", "0.012", "99.95")]
    floor.part(floor.submitted[0], "0.007")
    assert floor.hedges[1][:3] == ("okx", "sell", "0.005")


# ---- the parts ----------------------------------------------------------------------------------

AMOUNTS = st.integers(1, 2_000).map(lambda n: D(n) / 1_000)


@given(
    side=st.sampled_from(["buy", "sell"]),
    amount=AMOUNTS,
    outlets=st.lists(
        st.tuples(
            st.sampled_from(["0.001", "0.01", "0.1"]),
            st.lists(st.tuples(st.integers(9_900, 10_100), AMOUNTS), min_size=1, max_size=5),
            AMOUNTS,
            st.sampled_from(["0.001", "0.05", "0.2"]),
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_a_split_keeps_to_lots_minimums_room_and_amount(
    side: Side,
    amount: D,
    outlets: list[tuple[str, list[tuple[int, D]], D, str]],
) -> None:
    made = []
    for i, (lot, levels, room, least) in enumerate(outlets):
        best_first = sorted(levels, reverse=side == "sell")
        of = listing(f"v{i}", lot=lot)
        made.append(
            Outlet(
                of,
                D("100"),
                tuple((tick / 100, float(size)) for tick, size in best_first),
                room,
                max(of.lot, D(least)),
            )
        )
    parts = split(side, amount, made)
    for outlet, size in parts:
        assert size % outlet.listing.lot == 0
        assert outlet.least <= size <= outlet.room
    total = sum((size for _, size in parts), D(0))
    assert total <= amount
    # Nothing is left that one of those who got nothing would have taken whole.
    served = {outlet.listing.venue for outlet, _ in parts}
    for outlet in made:
        if outlet.listing.venue not in served:
            assert outlet.listing.size(min(amount - total, outlet.room)) < outlet.least


def test_the_smallest_order_is_whole_lots_that_are_worth_enough() -> None:
    of = listing(lot="0.003", min_size="0.004", min_notional="1")
    assert least_size(of, 100.0) == D("0.012")
    assert least_size(of, 0.0) == D("0.004")


@given(
    st.lists(
        st.tuples(st.integers(-5, 5).filter(bool), st.integers(0, 100), st.sampled_from("abc"))
    )
)
def test_a_clock_is_a_queue_of_units_of_which_the_oldest_is_offset_first(
    events: list[tuple[int, int, str]],
) -> None:
    clock = ExposureClock()
    units: list[tuple[int, int, str]] = []  # (sign, ns, venue)
    now_ns = 1
    for amount, wait, venue in events:
        now_ns += wait
        clock.add(D(amount), venue, now_ns)
        sign = 1 if amount > 0 else -1
        for _ in range(abs(amount)):
            if units and units[0][0] != sign:
                units.pop(0)
            else:
                units.append((sign, now_ns, venue))
        clock._check()
        assert clock.amount == sum(unit[0] for unit in units)
        assert clock.since_ns == (units[0][1] if units else 0)
        assert clock.venue == (units[-1][2] if units else "")
        by_venue = clock.by_venue()
        assert {v: int(n) for v, n in by_venue.items()} == {
            v: sum(unit[2] == v for unit in units) for v in by_venue
        }
