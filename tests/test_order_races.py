"""What goes wrong between two parties that do not share a clock, one test each."""

from __future__ import annotations

from decimal import Decimal

import pytest

from hftmm.core.instrument import Kind
from hftmm.core.order import OrderState, Rejection
from hftmm.execution.action import Amend, Cancel, FetchFills, Place, Query, SyncClock
from hftmm.execution.throttle import Denial
from tests.books import MS, SECOND
from tests.orders import (
    BYBIT,
    PERPETUAL,
    Bench,
    accepted,
    approved,
    approved_change,
    order_fill,
    order_intent,
    order_update,
    refused,
)

ZERO, ONE, TWO = Decimal(0), Decimal(1), Decimal(2)
HALF = Decimal("0.5")


def test_a_fill_during_a_cancel_is_booked_and_the_order_ends_filled() -> None:
    bench = Bench()
    order = bench.rest()
    cancel = bench.cancel(order)
    assert order.state is OrderState.PENDING_CANCEL
    bench.fill(order, "1")
    bench.manager.answered(cancel, refused(order, Rejection.ALREADY_DONE), bench.now_ns)
    bench.update(order, OrderState.FILLED, "1")
    assert (order.state, order.booked) == (OrderState.FILLED, ONE)
    assert bench.wait(30 * SECOND) == []


def test_a_partial_fill_during_a_cancel_leaves_it_pending_until_the_venue_confirms() -> None:
    bench = Bench()
    order = bench.rest()
    bench.cancel(order)
    bench.fill(order, "0.5")
    bench.update(order, OrderState.PARTIALLY_FILLED, "0.5", at=bench.now_ns + 1)
    assert order.state is OrderState.PENDING_CANCEL
    assert order.at_risk == HALF
    bench.update(order, OrderState.CANCELED, "0.5", at=bench.now_ns + 2)
    assert (order.state, order.at_risk, order.booked) == (OrderState.CANCELED, ZERO, HALF)


def test_an_order_whose_ack_was_lost_counts_in_full_until_a_query_finds_it_live() -> None:
    bench = Bench()
    order = bench.submit()
    (query,) = (found for found in bench.wait(3 * SECOND) if isinstance(found, Query))
    assert order.state is OrderState.UNKNOWN
    assert bench.manager.exposure(PERPETUAL.key).buy == ONE
    assert query.client_id == order.client_id
    bench.update(order, OrderState.OPEN, answer=True)
    assert (order.state, order.venue_id) == (OrderState.OPEN, "v1")
    assert bench.wait(30 * SECOND) == []


def test_an_ack_after_the_fill_changes_nothing() -> None:
    bench = Bench()
    order = bench.submit()
    bench.fill(order, "1")
    bench.update(order, OrderState.FILLED, "1")
    bench.manager.answered(bench.place, accepted(order), bench.now_ns)
    assert (order.state, order.booked) == (OrderState.FILLED, ONE)
    assert bench.wait(30 * SECOND) == []


def test_a_fill_told_again_after_a_reconnect_is_booked_once() -> None:
    bench = Bench()
    order = bench.rest()
    assert bench.fill(order, "0.5")
    bench.manager.lost("binance", bench.now_ns)
    assert not bench.fill(order, "0.5")
    assert order.booked == HALF
    assert len(bench.witness.fills) == 1
    assert order.state is OrderState.UNKNOWN
    assert order.at_risk == HALF


def test_a_fill_after_the_confirmed_cancel_is_booked_and_the_order_stays_canceled() -> None:
    bench = Bench()
    order = bench.rest()
    bench.cancel(order)
    bench.update(order, OrderState.CANCELED, at=bench.now_ns + 1)
    assert bench.fill(order, "0.5")
    assert (order.state, order.booked) == (OrderState.CANCELED, HALF)
    assert bench.manager.exposure(PERPETUAL.key).buy == 0
    assert [fill.size for fill in bench.witness.fills] == [HALF]


def test_a_canceled_order_with_fills_still_to_come_counts_them_until_they_are_booked() -> None:
    bench = Bench()
    order = bench.rest()
    bench.cancel(order)
    bench.update(order, OrderState.CANCELED, "0.5", at=bench.now_ns + 1)
    assert order.at_risk == HALF
    (fetch,) = bench.wait(SECOND)
    assert isinstance(fetch, FetchFills)
    assert fetch.since_ns < order.created_ns
    bench.fill(order, "0.5")
    assert order.at_risk == 0
    assert bench.wait(30 * SECOND) == []


def test_the_cancel_of_an_order_the_venue_does_not_know_asks_before_it_concludes() -> None:
    bench = Bench()
    order = bench.submit()
    cancel = bench.cancel(order)
    bench.manager.answered(cancel, refused(order, Rejection.UNKNOWN_ORDER), bench.now_ns)
    assert order.state is OrderState.UNKNOWN
    (query,) = bench.wait(50 * MS)
    assert isinstance(query, Query)
    # It was overtaken by its own cancel: now it rests, and must go after all.
    bench.update(order, OrderState.OPEN, answer=True)
    (again,) = bench.wait(SECOND)
    assert isinstance(again, Cancel)
    assert again.venue_id == "v1"


def test_an_order_that_no_query_finds_for_the_venues_grace_never_arrived() -> None:
    bench = Bench()
    order = bench.submit()
    bench.manager.unanswered(bench.place, "connection reset", bench.now_ns)
    asked_ns = []
    while order.state is OrderState.UNKNOWN:
        for action in bench.wait(50 * MS):
            if isinstance(action, Query):
                asked_ns.append(bench.now_ns)
                assert order.at_risk == ONE
                bench.manager.not_found(action, bench.now_ns)
    assert (order.state, order.rejection, order.at_risk) == (OrderState.REJECTED, None, ZERO)
    assert len(asked_ns) > 2
    assert asked_ns[-1] - asked_ns[0] >= 10 * SECOND
    assert "not found" in bench.witness.events


def test_an_order_given_up_that_turns_up_late_is_live_again() -> None:
    bench = Bench()
    order = bench.submit(order_intent(of=BYBIT))
    bench.manager.unanswered(bench.place, "connection reset", bench.now_ns)
    while order.live:
        for action in bench.wait(50 * MS):
            if isinstance(action, Query):
                bench.manager.not_found(action, bench.now_ns)
    bench.update(order, OrderState.OPEN)
    assert order.state is OrderState.UNKNOWN
    assert bench.manager.exposure(BYBIT.key).buy == ONE
    assert bench.manager.open_count("bybit") == 1


def test_an_amend_that_loses_against_a_fill_ends_with_the_venues_truth() -> None:
    bench = Bench()
    order = bench.rest()
    bench.manager.amend(approved_change(order, "100", "2"), bench.now_ns)
    (amend,) = bench.manager.drain()
    assert isinstance(amend, Amend)
    assert order.at_risk == 2, "the larger of both sizes counts while the change is under way"
    bench.fill(order, "1")
    assert order.live, "the change may have made it larger before it traded"
    bench.manager.answered(amend, refused(order, Rejection.ALREADY_DONE), bench.now_ns)
    (query,) = bench.wait(50 * MS)
    assert isinstance(query, Query)
    bench.update(order, OrderState.FILLED, "1", answer=True)
    assert (order.state, order.size, order.at_risk) == (OrderState.FILLED, ONE, ZERO)


def test_an_amend_that_wins_against_a_fill_leaves_the_rest_open() -> None:
    bench = Bench()
    order = bench.rest()
    bench.manager.amend(approved_change(order, "100", "2"), bench.now_ns)
    (amend,) = bench.manager.drain()
    bench.fill(order, "1")
    assert isinstance(amend, Amend)
    bench.manager.answered(amend, accepted(order), bench.now_ns)
    later = bench.now_ns + 1
    bench.update(order, OrderState.PARTIALLY_FILLED, "1", at=later, price="100", size="2")
    assert (order.state, order.size, order.at_risk) == (OrderState.PARTIALLY_FILLED, TWO, ONE)
    assert order.amend is None
    assert bench.wait(30 * SECOND) == []


def test_a_lost_amend_counts_the_larger_size_until_it_can_no_longer_arrive() -> None:
    bench = Bench()
    order = bench.rest()
    bench.manager.amend(approved_change(order, "100", "2"), bench.now_ns)
    bench.manager.drain()
    bench.wait(3 * SECOND)
    assert order.state is OrderState.UNKNOWN
    bench.update(order, OrderState.OPEN, price="100", size="1", answer=True)
    assert (order.state, order.at_risk) == (OrderState.OPEN, TWO)
    (query,) = bench.wait(10 * SECOND)
    assert isinstance(query, Query)
    bench.update(order, OrderState.OPEN, price="100", size="1", answer=True)
    assert (order.amend, order.at_risk) == (None, ONE)


@pytest.mark.parametrize("told", [OrderState.REJECTED, OrderState.CANCELED, OrderState.EXPIRED])
def test_a_post_only_order_that_would_cross_is_an_outcome_in_each_venues_manner(
    told: OrderState,
) -> None:
    bench = Bench()
    order = bench.submit(order_intent(post_only=True))
    bench.manager.answered(bench.place, accepted(order), bench.now_ns)
    bench.update(order, told, rejection=Rejection.POST_ONLY)
    assert (order.state, order.rejection) == (OrderState.REJECTED, Rejection.POST_ONLY)
    assert bench.witness.notes == []


def test_a_post_only_order_refused_in_the_answer_is_the_same_outcome() -> None:
    bench = Bench()
    order = bench.submit(order_intent(post_only=True))
    bench.manager.answered(bench.place, refused(order, Rejection.POST_ONLY), bench.now_ns)
    assert (order.state, order.rejection) == (OrderState.REJECTED, Rejection.POST_ONLY)
    assert bench.witness.notes == []


def test_a_venue_that_restarts_with_open_orders_settles_each_of_them() -> None:
    bench = Bench()
    kept = bench.rest(venue_id="kept")
    gone = bench.rest(venue_id="gone")
    traded = bench.rest(venue_id="traded")
    flying = bench.submit()
    elsewhere = bench.rest(order_intent(of=BYBIT), venue_id="b1")
    bench.manager.lost("binance", bench.now_ns)
    for order in (kept, gone, traded, flying):
        assert (order.state, order.at_risk) == (OrderState.UNKNOWN, ONE)
    assert elsewhere.state is OrderState.OPEN
    bench.now_ns += SECOND
    listed = [order_update(kept, OrderState.OPEN, at=kept.venue_ns, venue_id="kept")]
    missing = bench.manager.settle_open("binance", Kind.LINEAR, listed, bench.now_ns, bench.now_ns)
    assert missing == [gone, traded, flying]
    queries = {found.client_id for found in bench.wait(50 * MS) if isinstance(found, Query)}
    assert queries == {order.client_id for order in missing}
    late = bench.now_ns
    bench.update(gone, OrderState.CANCELED, answer=True, venue_id="gone", at=late)
    bench.update(traded, OrderState.FILLED, "1", answer=True, venue_id="traded", at=late)
    bench.update(flying, OrderState.OPEN, answer=True, venue_id="flying", at=late)
    assert [kept.state, gone.state, flying.state] == [
        OrderState.OPEN,
        OrderState.CANCELED,
        OrderState.OPEN,
    ]
    assert list(bench.manager.unsettled("binance")) == [traded], "its fill is not booked yet"
    # This venue's list of fills does not carry our ids.
    fill = order_fill(traded, "1", client_id="", venue_id="traded")
    assert bench.manager.filled(fill, bench.now_ns)
    assert list(bench.manager.unsettled("binance")) == []


def test_a_clock_five_seconds_off_is_measured_and_the_order_sent_once_more() -> None:
    bench = Bench()
    order = bench.submit()
    bench.manager.answered(bench.place, refused(order, Rejection.CLOCK), bench.now_ns)
    assert order.live
    assert bench.manager.drain() == [SyncClock("binance")]
    bench.now_ns += 80 * MS
    bench.manager.clock_synced("binance", bench.now_ns)
    (again,) = bench.manager.drain()
    assert again == bench.place, "the same client id, so that no second order can come of it"
    assert isinstance(again, Place)
    bench.manager.answered(again, refused(order, Rejection.CLOCK), bench.now_ns)
    assert (order.state, order.rejection) == (OrderState.REJECTED, Rejection.CLOCK)
    bench.manager.clock_synced("binance", bench.now_ns)
    assert bench.wait(30 * SECOND) == []


def test_an_order_waiting_for_the_clock_is_not_sent_when_it_was_canceled_or_is_old() -> None:
    bench = Bench()
    canceled = bench.submit()
    bench.manager.answered(bench.place, refused(canceled, Rejection.CLOCK), bench.now_ns)
    assert bench.manager.drain() == [SyncClock("binance")]
    old = bench.submit()
    bench.manager.answered(bench.place, refused(old, Rejection.CLOCK), bench.now_ns)
    assert bench.manager.cancel(canceled.client_id, bench.now_ns)
    assert canceled.state is OrderState.CANCELED
    bench.manager.drain()
    bench.wait(2 * SECOND)
    assert (old.state, old.rejection) == (OrderState.REJECTED, Rejection.CLOCK)
    bench.manager.clock_synced("binance", bench.now_ns)
    assert bench.manager.drain() == []


def test_too_many_requests_amid_a_cancel_all_hold_new_orders_back_and_no_cancel() -> None:
    bench = Bench()
    orders = [bench.rest(venue_id=f"v{number}") for number in range(4)]
    assert bench.manager.cancel_all("binance", bench.now_ns) == 4
    cancels = bench.manager.drain()
    assert [action.client_id for action in cancels if isinstance(action, Cancel)] == [
        order.client_id for order in orders
    ]
    turned_away, fourth = orders[1], orders[3]
    for order, action in zip(orders[:3], cancels[:3], strict=True):
        assert isinstance(action, Cancel)
        if order is turned_away:
            answer = refused(order, Rejection.RATE, retry_after_ms=2_000)
        else:
            answer = accepted(order)
        bench.manager.answered(action, answer, bench.now_ns)
        if order is not turned_away:
            bench.update(order, OrderState.CANCELED, venue_id=order.venue_id)
    until_ns = bench.now_ns + 2 * SECOND
    denial = bench.manager.submit(approved(order_intent(urgent=True)), bench.now_ns)
    assert isinstance(denial, Denial)
    assert denial.until_ns == until_ns
    # Another cancel is not held back meanwhile.
    fresh = orders[3]
    assert fresh is fourth
    bench.manager.unanswered(cancels[3], "timed out", bench.now_ns)  # type: ignore[arg-type]  # a Cancel
    bench.wait(200 * MS)
    bench.update(fourth, OrderState.OPEN, venue_id="v3", answer=True)
    resent = [found for found in bench.wait(1_500 * MS) if isinstance(found, Cancel)]
    assert [found.client_id for found in resent] == [fourth.client_id]
    assert bench.now_ns < until_ns
    # At the stated time the one that was turned away goes before any new order.
    bench.now_ns = until_ns
    placed = bench.manager.submit(approved(order_intent()), bench.now_ns)
    assert not isinstance(placed, Denial)
    bench.manager.tick(bench.now_ns)
    first, second = bench.manager.drain()
    assert isinstance(first, Cancel)
    assert first.client_id == turned_away.client_id
    assert isinstance(second, Place)
