"""An account's session against the practice venues, over a network with faults, in virtual time."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest

from hftmm.core.instrument import Kind, Listing
from hftmm.core.order import Amendment, OrderState, Rejection, TimeInForce
from hftmm.sim.ledger import DEMO
from hftmm.venues.account_entry import ANSWER_WITHIN_NS
from hftmm.venues.account_sink import (
    Balances,
    Cancellation,
    Clearance,
    FillsSince,
    OneOrder,
    OpenOrders,
    Positions,
    Protection,
    Rates,
    Rights,
)
from hftmm.venues.bybit import BybitPrivateCodec
from hftmm.venues.clock import EVERY_NS
from hftmm.venues.effects import Call
from hftmm.venues.private import Credentials, Permissions
from tests.virtual_account import BOTH, KEY, MS, SECOND, START, Desk

VENUES = ("binance", "bybit", "okx")


@pytest.fixture(params=VENUES)
def desk(request: pytest.FixtureRequest) -> Desk:
    """A desk that is logged in everywhere."""
    return Desk(request.param).ready()


@pytest.fixture
def binance() -> Desk:
    return Desk("binance").ready()


@pytest.fixture(params=["spot", "linear"])
def listing(request: pytest.FixtureRequest, desk: Desk) -> Listing:
    return desk.spot if request.param == "spot" else desk.linear


# --- connecting ---------------------------------------------------------------------------


def test_a_session_logs_in_everywhere_and_says_that_news_arrives(desk: Desk) -> None:
    state = desk.session.state(desk.now_ns)
    assert (state.connected, state.logged_in, state.missing) == (True, True, "")
    assert frozenset[Kind]().union(*desk.told.returns) == BOTH
    assert desk.told.outages == []


def test_nothing_is_signed_before_the_venues_clock_is_known() -> None:
    desk = Desk("binance")
    desk.switch("refuse")
    desk.run(3 * SECOND)
    assert desk.outputs == []
    assert desk.session.state(desk.now_ns).missing == "the venue's clock is not known"


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("skew_s", [-30, 5])
def test_a_venue_whose_clock_is_wrong_is_addressed_in_its_own_time(venue: str, skew_s: int) -> None:
    desk = Desk(venue, skew_ns=skew_s * SECOND).ready()
    order = desk.rest_order(desk.linear)
    assert order.state is OrderState.OPEN
    assert desk.lines("disconnected") == []


def test_a_clock_that_was_set_meanwhile_is_measured_and_the_order_told_apart(desk: Desk) -> None:
    desk.run(2 * EVERY_NS, step_ns=50 * MS)
    desk.switch("skew", 7)
    order = desk.order(desk.linear)
    desk.send(order)
    desk.until(lambda: desk.answers(order))
    assert desk.answers(order)[0].rejection is Rejection.CLOCK
    desk.session.sync_clock(desk.now_ns)
    desk.until(lambda: desk.told.syncs)
    desk.send(order)
    desk.until(lambda: len(desk.answers(order)) == 2)
    assert desk.answers(order)[1].accepted


def test_a_question_refused_for_its_time_stamp_is_asked_once_more(desk: Desk) -> None:
    desk.run(2 * EVERY_NS, step_ns=50 * MS)
    desk.switch("skew", 40)
    assert desk.ask(OpenOrders(Kind.LINEAR)) == []


@pytest.mark.parametrize("venue", VENUES)
def test_a_wrong_key_is_one_line_and_is_not_tried_again_at_once(venue: str) -> None:
    desk = Desk(venue, Credentials("nobody-knows-this", "secret", "phrase"))
    desk.run(20 * SECOND)
    (line,) = desk.lines("key refused")
    assert "key" in line.lower()
    assert [note.text for note in desk.told.notes if note.level != "info"] == [line]
    state = desk.session.state(desk.now_ns)
    assert (state.logged_in, state.missing) == (False, line)
    assert sum(route.endswith("private") for _, route in desk.dials) <= 1
    desk.send(order := desk.order(desk.spot))
    (answer,) = desk.answers(order)
    assert (answer.accepted, answer.rejection) == (False, Rejection.CREDENTIALS)


def test_a_wrong_key_at_one_venue_leaves_another_alone() -> None:
    wrong, right = Desk("binance", Credentials("nobody", "secret")), Desk("bybit")
    wrong.run(5 * SECOND)
    right.ready()
    assert wrong.lines("key refused")
    assert right.rest_order(right.spot).state is OrderState.OPEN


def test_a_log_in_refused_for_its_time_stamp_is_made_again_by_a_clock_measured_since(
    desk: Desk,
) -> None:
    desk.run(2 * EVERY_NS, step_ns=50 * MS)
    desk.switch("skew", 40)
    desk.switch("disconnect")
    desk.until(lambda: desk.told.outages)
    desk.ready()
    assert desk.rest_order(desk.linear).state is OrderState.OPEN


def test_a_key_taken_back_while_connected_stops_the_session_in_one_line(binance: Desk) -> None:
    binance.run(SECOND)
    assert binance.peer.broker is not None
    del binance.peer.broker.credentials[DEMO.key]
    binance.switch("disconnect")
    binance.run(30 * SECOND)
    assert len(binance.lines("key refused")) == 1
    assert binance.session.state(binance.now_ns).protection is Protection.OFF
    calls = len(binance.calls)
    binance.run(120 * SECOND, step_ns=50 * MS)
    assert len(binance.calls) == calls


def test_a_venue_that_never_answers_the_log_in_is_dialled_anew(binance: Desk) -> None:
    binance.switch("disconnect")
    binance.until(lambda: len(binance.dials) > 4)
    binance.run(15 * MS)
    binance.switch("silence")
    binance.run(11 * SECOND)
    assert any("no answer to the log-in" in line for line in binance.lines("disconnected"))
    binance.switch("none")
    binance.ready()


# --- orders -------------------------------------------------------------------------------


def test_an_order_is_acknowledged_rests_and_is_canceled(desk: Desk, listing: Listing) -> None:
    order = desk.rest_order(listing)
    desk.send(cancel := Cancellation(listing, order.client_id, order.venue_id))
    desk.until(lambda: desk.answers(cancel))
    desk.until(lambda: desk.states(order.client_id)[-1] is OrderState.CANCELED)
    assert [answer.accepted for _, answer in desk.told.answers] == [True, True]
    assert desk.told.silences == []


def test_orders_go_over_the_trading_connection_and_not_by_rest(
    desk: Desk, listing: Listing
) -> None:
    calls = len(desk.calls)
    desk.rest_order(listing)
    assert [one for _, one in desk.calls[calls:] if one.purpose == "answer"] == []


def test_an_order_that_takes_is_filled(desk: Desk, listing: Listing) -> None:
    desk.crowd(listing, "sell", "64000", "1")
    desk.send(order := desk.order(listing, price="64000", time_in_force=TimeInForce.IOC))
    desk.until(lambda: OrderState.FILLED in desk.states(order.client_id))
    desk.until(lambda: any(fill.client_id == order.client_id for fill in desk.told.fills))
    fills = {fill.trade_id: fill.size for fill in desk.told.fills}
    assert sum(fills.values()) == order.size


def test_an_order_can_be_made_smaller(desk: Desk, listing: Listing) -> None:
    desk.send(order := desk.order(listing, size="0.03", post_only=True))
    desk.until(lambda: desk.states(order.client_id))
    venue_id = desk.told.updates[-1].venue_id
    price = order.price
    change = Amendment(order.client_id, listing, "buy", price, Decimal("0.02"), venue_id)
    desk.send(change)
    desk.until(lambda: desk.answers(change))
    desk.until(lambda: desk.told.updates[-1].size == Decimal("0.02"))
    assert desk.answers(change)[0].accepted


def test_everything_of_a_listing_is_canceled_at_once(desk: Desk, listing: Listing) -> None:
    orders = [desk.rest_order(listing, price) for price in ("64000", "63999", "63998")]
    named = tuple((order.client_id, order.venue_id) for order in orders)
    desk.send(all_of := Clearance(listing, named))
    desk.until(lambda: desk.answers(all_of))
    assert desk.answers(all_of)[0].accepted
    desk.run(SECOND)
    assert desk.open_orders() == []


def test_a_venue_without_a_bulk_cancel_has_nothing_to_do_without_orders() -> None:
    desk = Desk("okx").ready()
    desk.send(nothing := Clearance(desk.spot))
    (answer,) = desk.answers(nothing)
    assert answer.accepted
    assert desk.calls[-1][1].purpose != "answer"


def test_a_change_and_a_cancel_go_by_rest_without_a_trading_connection(binance: Desk) -> None:
    order = binance.rest_order(binance.linear)
    binance.switch("disconnect")
    binance.run(30 * MS)
    size = Decimal("0.005")
    change = Amendment(order.client_id, binance.linear, "buy", Decimal(64000), size, order.venue_id)
    cancel = Cancellation(binance.linear, order.client_id, order.venue_id)
    binance.send(change)
    binance.run(60 * MS)
    binance.send(cancel)
    binance.until(lambda: binance.answers(cancel) and binance.answers(change))
    assert [answer.accepted for _, answer in binance.told.answers] == [True] * 3
    assert [one.method for _, one in binance.calls if one.purpose == "answer"] == ["PUT", "DELETE"]


def test_a_lost_acknowledgement_is_told_as_unknown_and_the_order_is_found(
    desk: Desk, listing: Listing
) -> None:
    desk.switch("lost_ack")
    desk.send(order := desk.order(listing, post_only=True))
    desk.until(lambda: desk.told.silences)
    ((errand, why),) = desk.told.silences
    assert errand == order
    assert "no answer" in why
    assert desk.answers(order) == []
    found = desk.ask(OneOrder(listing, order.client_id))
    assert getattr(found, "state", None) is OrderState.OPEN


def test_an_acknowledgement_after_its_time_is_still_told(desk: Desk) -> None:
    desk.switch("late_ack", (ANSWER_WITHIN_NS + SECOND) // MS)
    desk.send(order := desk.order(desk.linear, post_only=True))
    desk.until(lambda: desk.answers(order))
    assert [errand for errand, _ in desk.told.silences] == [order]
    assert desk.answers(order)[0].accepted
    assert desk.told.outages == []


def test_news_may_come_before_the_acknowledgement(desk: Desk, listing: Listing) -> None:
    desk.switch("late_ack", 500)
    desk.send(order := desk.order(listing, post_only=True))
    desk.until(lambda: desk.answers(order))
    assert [what for what, _ in desk.told.log if what in ("answer", "update")] == [
        "update",
        "answer",
    ]


def test_a_fill_told_twice_is_passed_on_under_one_trade_id(desk: Desk, listing: Listing) -> None:
    desk.switch("duplicate_fill", 3)
    desk.crowd(listing, "sell", "64000", "1")
    desk.send(order := desk.order(listing, price="64000", time_in_force=TimeInForce.IOC))
    desk.until(lambda: len(desk.told.fills) >= 2)
    assert len({fill.trade_id for fill in desk.told.fills}) == 1
    assert desk.told.fills[0].size == order.size


def test_an_unknown_order_is_found_to_be_none(desk: Desk, listing: Listing) -> None:
    assert desk.ask(OneOrder(listing, "deskmm999")) is None


def test_without_a_trading_connection_orders_go_by_rest(binance: Desk) -> None:
    binance.switch("disconnect")
    binance.run(30 * MS)
    calls = len(binance.calls)
    binance.send(order := binance.order(binance.spot, post_only=True))
    binance.until(lambda: binance.answers(order))
    assert binance.answers(order)[0].accepted
    assert binance.calls[calls][1].path.startswith("/api/v3/order?")


def test_an_answer_by_rest_that_never_comes_leaves_the_order_unknown(binance: Desk) -> None:
    binance.switch("disconnect")
    binance.run(30 * MS)
    binance.switch("lost_ack")
    binance.send(order := binance.order(binance.spot, post_only=True))
    binance.until(lambda: binance.told.silences)
    assert binance.told.silences == [(order, "connection cut")]


def test_an_answer_by_rest_after_its_time_is_still_told(binance: Desk) -> None:
    binance.switch("disconnect")
    binance.run(30 * MS)
    binance.switch("late_ack", (ANSWER_WITHIN_NS + SECOND) // MS)
    binance.send(order := binance.order(binance.spot, post_only=True))
    binance.until(lambda: binance.answers(order))
    assert [errand for errand, _ in binance.told.silences] == [order]
    assert binance.answers(order)[0].accepted


# --- outages ------------------------------------------------------------------------------


def test_a_disconnect_leaves_orders_in_flight_unknown_and_news_returns(desk: Desk) -> None:
    rested = desk.rest_order(desk.linear)
    desk.send(order := desk.order(desk.linear, price="63990", post_only=True))
    desk.run(12 * MS)
    desk.switch("disconnect")
    desk.until(lambda: desk.told.outages)
    assert [errand for errand, _ in desk.told.silences] == [order]
    returns = len(desk.told.returns)
    desk.until(lambda: len(desk.told.returns) > returns)
    desk.ready()
    found = desk.ask(OneOrder(desk.linear, order.client_id))
    standing = {rested.client_id} | ({order.client_id} if found is not None else set())
    assert {one.client_id for one in desk.open_orders()} == standing


def test_open_orders_outlive_a_restart_of_the_venue(desk: Desk, listing: Listing) -> None:
    order = desk.rest_order(listing)
    desk.switch("restart")
    desk.until(lambda: desk.told.outages)
    desk.ready()
    assert [one.client_id for one in desk.open_orders()] == [order.client_id]
    desk.send(cancel := Cancellation(listing, order.client_id, order.venue_id))
    desk.until(lambda: desk.answers(cancel))
    desk.until(lambda: OrderState.CANCELED in desk.states(order.client_id))


def test_attempts_during_a_long_outage_are_spread_and_never_hurried(binance: Desk) -> None:
    binance.switch("refuse")
    binance.switch("disconnect")
    began = len(binance.dials)
    binance.run(60 * SECOND, step_ns=20 * MS)
    times = [ns for ns, route in binance.dials[began:] if route == "spot.trade"]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert 20 < len(times) < 180
    assert min(gaps) >= 350 * MS
    assert len(set(gaps)) > 10
    binance.switch("none")
    binance.until(lambda: binance.session.state(binance.now_ns).logged_in, 40 * SECOND)


def test_a_silent_connection_is_replaced_once_an_order_gets_no_answer(desk: Desk) -> None:
    desk.switch("silence")
    desk.send(order := desk.order(desk.linear, post_only=True))
    desk.until(lambda: desk.told.silences)
    assert desk.told.silences[0][0] == order
    desk.until(lambda: desk.told.outages and desk.session.state(desk.now_ns).logged_in, 20 * SECOND)
    assert desk.rest_order(desk.linear, "63990").state is OrderState.OPEN


def test_the_key_of_the_stream_is_renewed_in_time(binance: Desk) -> None:
    binance.run(150 * 60 * SECOND, step_ns=200 * MS)
    asked = [one.method for _, one in binance.calls if one.purpose == "renewal"]
    assert asked[:1] == ["POST"]
    assert set(asked[1:]) == {"PUT"}
    assert len(asked) == 5
    assert binance.told.outages == []
    assert len(binance.told.returns) == 2


def test_a_stream_whose_key_expired_in_a_long_pause_comes_back_after_it(binance: Desk) -> None:
    binance.run(25 * 60 * SECOND, step_ns=200 * MS)
    binance.switch("throttle", 40 * 60)
    binance.run(36 * 60 * SECOND, step_ns=200 * MS)
    ((kinds, why),) = binance.told.outages
    assert kinds == {Kind.LINEAR}
    assert "listen key expired" in why
    binance.switch("none")
    binance.run(5 * 60 * SECOND, step_ns=200 * MS)
    assert binance.told.returns.count(kinds) == 2
    assert binance.rest_order(binance.linear).state is OrderState.OPEN


def test_a_key_that_is_gone_is_replaced_and_what_was_missed_is_to_be_asked_for(
    binance: Desk,
) -> None:
    query = next(one for _, one in binance.calls if one.purpose == "renewal")
    delete = type(query)(query.route, "DELETE", query.path, b"", query.headers, "renewal", "")
    binance.session.outbox.append(Call(delete))
    binance.run(31 * 60 * SECOND, step_ns=100 * MS)
    assert [kinds for kinds, _ in binance.told.outages] == [frozenset({Kind.LINEAR})]
    assert binance.told.returns.count(frozenset({Kind.LINEAR})) == 2
    binance.told.updates.clear()
    assert binance.rest_order(binance.linear).state is OrderState.OPEN


def test_a_key_that_cannot_be_renewed_is_obtained_anew(binance: Desk) -> None:
    binance.run(29 * 60 * SECOND, step_ns=200 * MS)
    binance.switch("refuse")
    binance.run(2 * 60 * SECOND, step_ns=50 * MS)
    assert 50 < len(binance.lines("stream key")) < 300
    assert binance.told.outages == []
    binance.switch("none")
    failures = len(binance.lines("stream key"))
    binance.run(5 * 60 * SECOND, step_ns=50 * MS)
    assert len(binance.lines("stream key")) <= failures + 1


def test_a_connection_is_replaced_before_its_time_is_over_and_nothing_is_missed(
    binance: Desk,
) -> None:
    binance.run(22 * 3600 * SECOND + 45 * 60 * SECOND, step_ns=2 * SECOND)
    dials = len(binance.dials)
    binance.run(10 * 60 * SECOND, step_ns=50 * MS)
    again = [route for _, route in binance.dials[dials:]]
    assert sorted(again) == ["linear.private", "linear.trade", "spot.private", "spot.trade"]
    assert binance.told.outages == []
    assert binance.rest_order(binance.spot).state is OrderState.OPEN


# --- too many -----------------------------------------------------------------------------


def test_in_a_storm_of_429_orders_wait_cancels_go_and_questions_come_last(desk: Desk) -> None:
    order = desk.rest_order(desk.linear)
    desk.switch("throttle", 2)
    desk.session.ask(OpenOrders(Kind.LINEAR), desk.now_ns)
    desk.until(lambda: desk.lines("rate limit"))
    paused_ns, calls = desk.now_ns, len(desk.calls)
    desk.send(Clearance(desk.linear, ((order.client_id, order.venue_id),)))
    assert [one.purpose for _, one in desk.calls[calls:]] == ["answer"]
    desk.run(SECOND)
    assert [one.purpose for _, one in desk.calls[calls:]] == ["answer"]
    desk.switch("none")
    desk.send(again := Clearance(desk.linear, ((order.client_id, order.venue_id),)))
    desk.until(lambda: desk.told.findings, 10 * SECOND)
    assert desk.now_ns - paused_ns >= 2 * SECOND - 100 * MS
    assert any(answer.accepted for answer in desk.answers(again))
    purposes = [one.purpose for _, one in desk.calls[calls:] if one.purpose != "dead_man"]
    assert purposes.index("orders") > purposes.index("answer")
    assert desk.told.findings[-1][1] == []


def test_a_refused_cancel_says_when_it_may_go_again(desk: Desk) -> None:
    order = desk.rest_order(desk.linear)
    desk.switch("order_throttle", 2)
    desk.send(cancel := Cancellation(desk.linear, order.client_id, order.venue_id))
    desk.until(lambda: desk.answers(cancel))
    (answer,) = desk.answers(cancel)
    assert answer.rejection is Rejection.RATE
    assert 0 < answer.retry_after_ms <= 2_000


def test_a_banned_address_sends_nothing_by_rest_and_says_for_how_long(binance: Desk) -> None:
    binance.switch("ban", 30)
    binance.session.ask(Balances(), binance.now_ns)
    binance.until(lambda: binance.lines("rate limit"))
    calls = len(binance.calls)
    binance.send(all_of := Clearance(binance.spot))
    (answer,) = binance.answers(all_of)
    assert (answer.accepted, answer.rejection) == (False, Rejection.RATE)
    assert 29_000 < answer.retry_after_ms <= 30_000
    binance.run(20 * SECOND)
    assert len(binance.calls) == calls


# --- questions ----------------------------------------------------------------------------


def test_holdings_rates_and_rights_are_told(desk: Desk) -> None:
    balances, positions = desk.ask(Balances()), desk.ask(Positions())
    assert isinstance(balances, list)
    assert {"BTC", "USDT"} <= {balance.asset for balance in balances}
    assert isinstance(positions, list)
    assert all(position.size == 0 for position in positions)
    for listing in (desk.spot, desk.linear):
        assert getattr(desk.ask(Rates(listing)), "taker_bps", 0) > 0
    rights = desk.ask(Rights())
    assert isinstance(rights, Permissions)
    assert (rights.trade_spot, rights.trade_linear, rights.withdraw) == (True, True, False)


@pytest.mark.parametrize("venue", ["binance", "bybit", "okx"])
def test_rights_refused_for_a_time_stamp_are_asked_for_by_the_right_time(venue: str) -> None:
    desk = Desk(venue).ready()
    desk.switch("skew", 8)
    rights = desk.ask(Rights())
    assert isinstance(rights, Permissions)
    assert rights.read
    assert rights.problems == ()


def test_fills_are_found_over_all_windows_since_then(desk: Desk, listing: Listing) -> None:
    desk.crowd(listing, "sell", "64000", "1")
    desk.send(order := desk.order(listing, price="64000", time_in_force=TimeInForce.IOC))
    desk.until(lambda: OrderState.FILLED in desk.states(order.client_id))
    desk.run(SECOND)
    fills = desk.ask(FillsSince(listing, START - 10 * 24 * 3600 * SECOND))
    assert isinstance(fills, list)
    assert sum(fill.size for fill in fills) == order.size


@pytest.mark.parametrize(("venue", "count", "pace_ms"), [("bybit", 60, 150), ("okx", 105, 50)])
def test_open_orders_are_found_page_after_page(venue: str, count: int, pace_ms: int) -> None:
    desk = Desk(venue).ready()
    placed = set()
    for number in range(count):
        desk.send(order := desk.order(desk.linear, price=str(60_000 + number), post_only=True))
        placed.add(order.client_id)
        desk.run(pace_ms * MS)
    desk.until(lambda: len(desk.told.answers) == count)
    calls = len(desk.calls)
    found = desk.ask(OpenOrders(Kind.LINEAR))
    assert isinstance(found, list)
    assert len(found) == count
    assert {update.client_id for update in found} == placed
    assert sum(one.purpose == "orders" for _, one in desk.calls[calls:]) >= 2


@pytest.mark.parametrize("market", ["spot", "linear"])
def test_the_next_page_of_fills_at_binance_begins_where_the_cursor_says(
    binance: Desk, market: str
) -> None:
    listing = binance.spot if market == "spot" else binance.linear
    binance.crowd(listing, "sell", "64000", "1")
    taking = binance.order(listing, price="64000", time_in_force=TimeInForce.IOC)
    binance.send(taking)
    binance.until(lambda: OrderState.FILLED in binance.states(taking.client_id))
    binance.run(SECOND)
    now_ms, since_ms = binance.now_ns // MS, START // MS - 1_000
    first = binance.codec.fills_since(KEY, listing, since_ms, now_ms)
    for cursor, count in ((since_ms, 1), (now_ms, 0)):
        page = binance.codec.next_page(KEY, first, str(cursor), now_ms)
        answer = binance.request(page)
        fills, more = binance.codec.decode_fills(answer.body, binance.listings, binance.now_ns)
        assert (answer.status, len(fills), more) == (200, count, "")


def test_the_same_question_twice_is_asked_once(desk: Desk) -> None:
    question, calls = OpenOrders(Kind.SPOT), len(desk.calls)
    desk.session.ask(question, desk.now_ns)
    desk.session.ask(question, desk.now_ns)
    desk.run(SECOND)
    assert [one.purpose for _, one in desk.calls[calls:]] == ["orders"]
    assert len(desk.told.findings) == 1


def test_a_question_that_gets_no_answer_fails_with_the_reason(desk: Desk) -> None:
    desk.switch("refuse")
    desk.session.ask(Positions(), desk.now_ns)
    desk.until(lambda: desk.told.failures)
    assert desk.told.failures[0][0] == Positions()
    assert desk.told.failures[0][1]


# --- dead man -----------------------------------------------------------------------------


@pytest.mark.parametrize("venue", VENUES)
def test_after_a_crash_the_venue_cancels_what_stands(venue: str) -> None:
    granted = BybitPrivateCodec(dead_man=True) if venue == "bybit" else None
    desk = Desk(venue, codec=granted).ready()
    desk.until(lambda: desk.session.state(desk.now_ns).protection is Protection.ARMED)
    desk.rest_order(desk.linear)
    desk.run(40 * SECOND)
    assert len(desk.open_orders()) == 1
    desk.crash()
    desk.run(35 * SECOND)
    desk.crashed, desk.told.findings = False, []
    desk.begin()
    desk.ready()
    assert desk.open_orders() == []


@pytest.mark.parametrize("venue", ["binance", "okx"])
def test_the_switch_is_refreshed_at_a_third_of_its_time_and_disarmed_at_the_end(
    venue: str,
) -> None:
    desk = Desk(venue).ready()
    desk.rest_order(desk.linear)
    desk.run(65 * SECOND)
    times = [ns for ns, one in desk.calls if one.purpose == "dead_man"]
    gaps = {later - earlier for earlier, later in pairwise(times)}
    assert max(gaps) <= 10 * SECOND + 10 * MS
    desk.session.stop(desk.now_ns)
    desk.run(45 * SECOND)
    desk.begin()
    desk.ready()
    assert len(desk.open_orders()) == 1


def test_a_venue_without_the_switch_says_so_and_one_that_refuses_it_is_not_protected() -> None:
    bybit, binance = Desk("bybit").ready(), Desk("binance").ready()
    assert bybit.session.state(bybit.now_ns).protection is Protection.NONE
    binance.run(SECOND)
    assert binance.session.state(binance.now_ns).protection is Protection.ARMED
    binance.switch("refuse")
    binance.run(40 * SECOND)
    assert binance.session.state(binance.now_ns).protection is Protection.OFF
    assert len(binance.lines("dead-man switch")) == 1


# --- secrets ------------------------------------------------------------------------------


def test_no_secret_is_in_what_is_shown_of_outputs_notes_and_the_session(desk: Desk) -> None:
    desk.rest_order(desk.linear)
    desk.ask(Balances())
    desk.switch("restart")
    desk.run(5 * SECOND)
    desk.switch("garbage", 0.001)
    desk.run(SECOND)
    shown = repr((desk.outputs, desk.told.notes, desk.told.log, desk.session.state(desk.now_ns)))
    for secret in (DEMO.key, DEMO.secret, DEMO.passphrase, "signature", "apiKey"):
        assert secret not in shown
    assert repr(KEY) == "Credentials()"
