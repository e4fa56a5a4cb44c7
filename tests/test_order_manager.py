"""Orders against a venue that delays, loses, repeats and reorders everything it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from hftmm.core.instrument import Kind, Side
from hftmm.core.order import (
    Fill,
    OrderAnswer,
    OrderState,
    OrderUpdate,
    Rejection,
)
from hftmm.execution.action import Action, Amend, Cancel, FetchFills, Place, Query, SyncClock
from hftmm.execution.client_ids import ClientIds, number
from hftmm.execution.order import Order
from hftmm.execution.throttle import Denial
from hftmm.risk.approval import Approved
from hftmm.venues.private import PrivateRules
from tests.books import MS, SECOND
from tests.orders import (
    PERPETUAL,
    SPOT,
    START,
    Bench,
    accepted,
    approved,
    approved_change,
    order_fill,
    order_intent,
    order_update,
    refused,
)

ZERO, HALF, ONE = Decimal(0), Decimal("0.5"), Decimal(1)


@dataclass
class Held:
    """An order as the venue has it."""

    request_id: str
    venue_id: str
    side: Side
    price: Decimal
    size: Decimal
    filled: Decimal = ZERO
    state: OrderState = OrderState.OPEN
    stamp: int = 0


class Venue:
    """The other side: what it holds is the truth; what it says goes through `said`."""

    def __init__(self) -> None:
        self.held: dict[str, Held] = {}
        self.trades: list[Fill] = []
        self.said: list[Callable[[Bench], None]] = []
        self._stamp = START
        self._heard: dict[str, int] = {}

    def work(self, action: Action) -> None:
        """Does what it was asked for, and says so."""
        match action:
            case Place(request):
                if request.client_id in self.held:
                    self._answer(action, Rejection.DUPLICATE)
                    return
                held = Held(
                    request.client_id,
                    f"v{len(self.held)}",
                    request.side,
                    request.price,
                    request.size,
                )
                self.held[request.client_id] = held
                self._answer(action, None)
                self._tell(held)
            case Amend(change):
                found = self._live(action, change.client_id)
                if found is not None:
                    self._answer(action, None)
                    if change.size <= found.filled:
                        found.state = OrderState.CANCELED
                    else:
                        found.price, found.size = change.price, change.size
                    self._tell(found)
            case Cancel():
                found = self._live(action, action.client_id)
                if found is not None:
                    self._answer(action, None)
                    found.state = OrderState.CANCELED
                    self._tell(found)
            case Query():
                known = self.held.get(action.client_id)
                if known is None:
                    self.said.append(lambda us: us.manager.not_found(action, us.now_ns))
                else:
                    news = self.update(known)
                    self.said.append(lambda us: us.manager.updated(news, us.now_ns, answer=True))
            case FetchFills():
                for fill in list(self.trades):
                    self._tell_fill(fill)
            case SyncClock():
                raise AssertionError("its clock is right")

    def trade(self, held: Held, size: Decimal) -> None:
        held.filled += size
        done = held.filled == held.size
        held.state = OrderState.FILLED if done else OrderState.PARTIALLY_FILLED
        self._stamp += 1
        # Like Binance's list of trades and Bybit's fast stream: some fills do not carry our id.
        named = len(self.trades) % 2 == 0
        fill = Fill(
            PERPETUAL,
            f"t{len(self.trades)}",
            held.request_id if named else "",
            held.venue_id,
            held.side,
            held.price,
            size,
            ZERO,
            "USDT",
            True,
            self._stamp,
            self._stamp,
        )
        self.trades.append(fill)
        self._tell_fill(fill)
        self._tell(held)

    def open(self) -> list[OrderUpdate]:
        return [self.update(held) for held in self.held.values() if not held.state.final]

    def update(self, held: Held) -> OrderUpdate:
        """What it says of an order now."""
        return OrderUpdate(
            PERPETUAL,
            held.request_id,
            held.venue_id,
            held.side,
            held.state,
            held.filled,
            held.price if held.filled else None,
            held.price,
            held.size,
            None,
            "",
            held.stamp,
            held.stamp,
        )

    def _live(self, action: Amend | Cancel, client_id: str) -> Held | None:
        held = self.held.get(client_id)
        if held is not None and not held.state.final:
            return held
        self._answer(action, Rejection.ALREADY_DONE if held else Rejection.UNKNOWN_ORDER)
        return None

    def _answer(self, action: Place | Amend | Cancel, why: Rejection | None) -> None:
        held = self.held.get(action.client_id)
        name = held.venue_id if held is not None and why is None else ""
        answer = OrderAnswer("", action.client_id, name, accepted=why is None, rejection=why)
        self.said.append(lambda us: us.manager.answered(action, answer, us.now_ns))

    def _tell(self, held: Held) -> None:
        self._stamp += 1
        held.stamp = self._stamp
        news = self.update(held)

        def tell(us: Bench) -> None:
            us.manager.updated(news, us.now_ns)
            order = us.manager.order(news.client_id)
            if order is None:
                return
            assert order.filled >= news.filled, "what was told is known"
            heard_ns = self._heard.get(news.client_id, 0)
            if news.filled == order.filled:  # otherwise its trades were told before it
                heard_ns = self._heard[news.client_id] = max(heard_ns, news.venue_ns)
            assert order.venue_ns >= heard_ns, "what is older changes nothing"
            if news.state.final:
                assert order.state.final
            elif order.venue_ns == news.venue_ns:
                assert order.size == news.size

        self.said.append(tell)

    def _tell_fill(self, fill: Fill) -> None:
        def news(us: Bench) -> None:
            us.manager.filled(fill, us.now_ns)

        self.said.append(news)


several = st.lists(st.integers(0, 9), min_size=1, max_size=6)


class OrdersAgainstAVenue(RuleBasedStateMachine):
    """Nothing is booked twice, nothing that may trade is left out, and in the end both agree."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench()
        self.venue = Venue()
        self.asked: list[Action] = []
        self.booked: list[Fill] = []
        self.forgotten: set[str] = set()

    # -- what we do -----------------------------------------------------------------------------

    @rule(side=st.sampled_from(["buy", "sell"]), size=st.sampled_from(["0.5", "1", "2"]))
    def submit(self, side: Side, size: str) -> None:
        order = self.bench.manager.submit(
            approved(order_intent(size, side=side)), self.bench.now_ns
        )
        assert isinstance(order, Order)
        self._send()

    @precondition(lambda self: self.bench.manager.open_count("binance"))
    @rule(pick=st.integers(0, 9))
    def cancel(self, pick: int) -> None:
        live = self.bench.manager.live("binance")
        self.bench.manager.cancel(live[pick % len(live)].client_id, self.bench.now_ns)
        self._send()

    @precondition(lambda self: self.bench.manager.open_count("binance"))
    @rule(pick=st.integers(0, 9), size=st.sampled_from(["0.5", "1", "3"]))
    def amend(self, pick: int, size: str) -> None:
        live = self.bench.manager.live("binance")
        order = live[pick % len(live)]
        self.bench.manager.amend(approved_change(order, "101", size), self.bench.now_ns)
        self._send()

    @rule(ms=st.sampled_from([1, 250, 1_000, 4_000]))
    def pass_time(self, ms: int) -> None:
        self.bench.now_ns += ms * MS
        self.bench.manager.tick(self.bench.now_ns)
        self._send()

    @rule()
    def reconnect(self) -> None:
        self.venue.said.clear()
        self.bench.manager.lost("binance", self.bench.now_ns)
        self._list_open()

    @rule()
    def restart(self) -> None:
        """What a journal brings back: orders that are live or lack fills, and what was booked."""
        for client_id, held in self.venue.held.items():
            order = self.bench.manager.order(client_id)
            if order is not None and order.inferred and order.filled < held.size:
                return  # it arrived after the grace of the venue, which the venue rules out
        old, self.bench = self.bench, Bench()
        new = self.bench
        self.asked.clear()
        new.now_ns = old.now_ns + SECOND
        new.ids.last = old.ids.last
        self.booked += old.witness.fills
        self.venue.said.clear()
        new.manager.restore_fills((fill.listing.key, fill.trade_id) for fill in self.booked)
        for client_id in self.venue.held.keys() | {
            order.client_id for order in old.manager.live("binance")
        }:
            order = old.manager.order(client_id)
            if order is None or (order.state.final and order.filled == order.booked):
                self.forgotten.add(client_id)
                continue
            back = Order(order.request, order.strategy, order.created_ns)
            back.venue_id, back.venue_ns, back.seen = order.venue_id, order.venue_ns, order.seen
            back.filled, back.booked, back.trades = order.filled, order.booked, {*order.trades}
            new.manager.restore(back, new.now_ns)
        self._list_open()
        for fill in self.venue.trades:
            new.manager.filled(fill, new.now_ns)
        self._send()

    # -- what the network and the venue do ------------------------------------------------------

    @precondition(lambda self: self.asked)
    @rule(picks=several)
    def arrive(self, picks: list[int]) -> None:
        for pick in picks[: len(self.asked)]:
            self.venue.work(self.asked.pop(pick % len(self.asked)))
            self._verify()

    @precondition(lambda self: self.asked)
    @rule(pick=st.integers(0, 9))
    def lose_request(self, pick: int) -> None:
        self.asked.pop(pick % len(self.asked))

    @precondition(lambda self: self.venue.said)
    @rule(picks=several, again=st.booleans())
    def hear(self, picks: list[int], again: bool) -> None:
        said = self.venue.said
        for pick in picks[: len(said)]:
            news = said[pick % len(said)]
            if not again:
                said.remove(news)
            news(self.bench)
            self._send()

    @precondition(lambda self: self.venue.said)
    @rule(pick=st.integers(0, 9))
    def lose_news(self, pick: int) -> None:
        self.venue.said.pop(pick % len(self.venue.said))

    @precondition(lambda self: self.venue.open())
    @rule(pick=st.integers(0, 9), whole=st.booleans())
    def trade(self, pick: int, whole: bool) -> None:
        live = [held for held in self.venue.held.values() if not held.state.final]
        held = live[pick % len(live)]
        rest = held.size - held.filled
        self.venue.trade(held, rest if whole else min(rest, Decimal("0.25")))
        self._verify()

    # -- what must hold -------------------------------------------------------------------------

    def _send(self) -> None:
        self.asked += self.bench.manager.drain()
        self._verify()

    def _list_open(self) -> None:
        now_ns = self.bench.now_ns
        self.bench.manager.settle_open("binance", Kind.LINEAR, self.venue.open(), now_ns, now_ns)
        self._send()

    def _verify(self) -> None:
        bench = self.bench
        bench.manager._check()
        booked = [fill.trade_id for fill in self.booked + bench.witness.fills]
        assert len(set(booked)) == len(booked), "booked twice"
        for client_id, held in self.venue.held.items():
            order = bench.manager.order(client_id)
            if order is None:
                assert client_id in self.forgotten
                continue
            assert order.booked <= held.filled
            if order.state is OrderState.UNKNOWN:
                assert order.at_risk >= order.size - order.booked
            if not order.inferred and order.amend is None and not held.state.final:
                assert order.live, "what the venue said is final stays so, and it said live"

    def teardown(self) -> None:
        """What is under way arrives, or not; then the venue answers promptly, and is believed."""
        for action in self.asked:
            self.venue.work(action)
        for news in self.venue.said:
            news(self.bench)
        self.asked.clear()
        self.venue.said.clear()
        bench = self.bench
        for fill in self.venue.trades:
            bench.manager.filled(fill, bench.now_ns)
        bench.now_ns += SECOND
        self._list_open()
        for _ in range(200):
            while self.asked or self.venue.said:
                for action in self.asked:
                    self.venue.work(action)
                self.asked.clear()
                for news in self.venue.said:
                    news(bench)
                self.venue.said.clear()
                self._send()
            bench.now_ns += 250 * MS
            bench.manager.tick(bench.now_ns)
            self._send()
        assert list(bench.manager.unsettled("binance")) == []
        assert {fill.trade_id for fill in self.booked + bench.witness.fills} == {
            fill.trade_id for fill in self.venue.trades
        }
        for client_id, held in self.venue.held.items():
            order = bench.manager.order(client_id)
            if order is None:
                assert client_id in self.forgotten
                assert held.state.final
                continue
            assert order.booked == order.filled == held.filled
            assert order.state.final == held.state.final
            if order.live:
                assert (order.price, order.size) == (held.price, held.size)
                assert order.at_risk == held.size - held.filled
            elif not order.inferred:
                assert order.state is held.state
        known = {order.client_id for order in bench.manager.live("binance")}
        assert known == {update.client_id for update in self.venue.open()}


OrdersAgainstAVenue.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestOrdersAgainstAVenue = OrdersAgainstAVenue.TestCase


# ---- one at a time ----------------------------------------------------------------------------


def test_the_journal_is_told_before_the_order_can_leave() -> None:
    bench = Bench()
    order = bench.manager.submit(approved(order_intent()), bench.now_ns)
    assert isinstance(order, Order)
    assert bench.witness.intents == [order.client_id]
    assert len(bench.manager.drain()) == 1


def test_nobody_but_a_review_makes_an_approval() -> None:
    with pytest.raises(TypeError, match="only a review"):
        Approved(order_intent(), object())


def test_an_order_that_was_not_sent_yet_is_canceled_without_a_word_to_the_venue() -> None:
    bench = Bench()
    order = bench.manager.submit(approved(order_intent()), bench.now_ns)
    assert isinstance(order, Order)
    assert bench.manager.cancel(order.client_id, bench.now_ns)
    assert bench.manager.drain() == []
    assert order.state is OrderState.CANCELED


def test_cancels_leave_before_orders_that_were_submitted_earlier() -> None:
    bench = Bench()
    resting = bench.rest()
    bench.manager.submit(approved(order_intent()), bench.now_ns)
    bench.manager.cancel(resting.client_id, bench.now_ns)
    assert [type(action) for action in bench.manager.drain()] == [Cancel, Place]


def test_a_change_that_was_not_sent_yet_is_dropped_when_its_order_is_canceled() -> None:
    bench = Bench()
    order = bench.rest()
    bench.manager.amend(approved_change(order, "101", "2"), bench.now_ns)
    bench.manager.cancel(order.client_id, bench.now_ns)
    (cancel,) = bench.manager.drain()
    assert isinstance(cancel, Cancel)
    assert (order.amend, order.at_risk) == (None, ONE)


def test_an_ack_is_a_receipt_and_silence_after_it_is_asked_about() -> None:
    bench = Bench()
    order = bench.submit()
    bench.manager.answered(bench.place, accepted(order), bench.now_ns)
    bench.wait(950 * MS)
    assert bench.witness.states[-1] == (order.client_id, OrderState.PENDING_NEW)
    actions = bench.wait(50 * MS)
    assert [type(action) for action in actions] == [Query]
    assert bench.witness.states[-1] == (order.client_id, OrderState.UNKNOWN)


def test_an_answer_that_says_it_does_not_know_leaves_the_order_unknown() -> None:
    bench = Bench()
    order = bench.submit()
    answer = msgspec.structs.replace(refused(order, Rejection.OTHER), unknown=True)
    bench.manager.answered(bench.place, answer, bench.now_ns)
    assert (order.state, order.at_risk) == (OrderState.UNKNOWN, ONE)


def test_a_duplicate_client_id_means_that_the_first_copy_arrived() -> None:
    bench = Bench()
    order = bench.submit()
    bench.manager.answered(bench.place, refused(order, Rejection.DUPLICATE), bench.now_ns)
    assert order.state is OrderState.UNKNOWN


def test_a_refusal_frees_everything_the_order_counted_for() -> None:
    bench = Bench()
    order = bench.submit()
    bench.manager.answered(bench.place, refused(order, Rejection.BALANCE), bench.now_ns)
    assert (order.state, order.rejection) == (OrderState.REJECTED, Rejection.BALANCE)
    exposure = bench.manager.exposure(PERPETUAL.key)
    assert (exposure.buy, exposure.orders) == (ZERO, 0)
    assert bench.witness.events == ["rejected"]


def test_an_update_older_than_what_is_known_changes_nothing() -> None:
    bench = Bench()
    order = bench.rest()
    later = bench.now_ns + 10
    bench.update(order, OrderState.PARTIALLY_FILLED, "0.5", at=later, size="2")
    bench.update(order, OrderState.OPEN, "0", at=later - 1, size="1")
    assert (order.state, order.filled, order.size) == (
        OrderState.PARTIALLY_FILLED,
        HALF,
        Decimal(2),
    )


def test_a_final_state_stays_whatever_is_told_later() -> None:
    bench = Bench()
    order = bench.rest()
    bench.update(order, OrderState.CANCELED, at=bench.now_ns + 1)
    bench.update(order, OrderState.OPEN, at=bench.now_ns + 2)
    bench.update(order, OrderState.FILLED, "0", at=bench.now_ns + 3)
    assert order.state is OrderState.CANCELED


def test_fills_that_the_venue_counted_and_did_not_send_are_asked_for_ever_less_often() -> None:
    bench = Bench()
    order = bench.rest()
    bench.update(order, OrderState.FILLED, "1", at=bench.now_ns + 1)
    assert bench.wait(450 * MS) == []
    actions = bench.wait(30 * SECOND)
    assert {type(action) for action in actions} == {FetchFills}
    assert len(actions) == 5, "after 0.5, 1.5, 3.5, 7.5 and 15.5 s"
    assert "fills missing" in bench.witness.events
    bench.fill(order, "1")
    assert bench.wait(60 * SECOND) == []


def test_the_fee_of_a_fill_may_be_told_later_and_only_once() -> None:
    bench = Bench()
    order = bench.rest()
    assert bench.fill(order, "0.5", fee="")
    assert not bench.fill(order, "0.5", fee="0.02")
    assert not bench.fill(order, "0.5", fee="0.02")
    assert [fill.fee for fill in bench.witness.fees] == [Decimal("0.02")]
    assert order.booked == HALF


def test_the_same_trade_id_on_another_listing_is_another_trade() -> None:
    bench = Bench()
    linear = bench.rest(venue_id="a")
    spot = bench.rest(order_intent(of=SPOT), venue_id="b")
    assert bench.fill(linear, "0.5", "7")
    assert bench.fill(spot, "0.5", "7")


def test_a_fill_without_our_id_waits_for_the_order_that_it_may_belong_to() -> None:
    bench = Bench()
    order = bench.submit()
    fill = order_fill(order, "1", client_id="", venue_id="v9")
    assert not bench.manager.filled(fill, bench.now_ns)
    bench.update(order, OrderState.FILLED, "1", venue_id="v9")
    assert (order.state, order.booked) == (OrderState.FILLED, ONE)
    assert bench.manager.strangers.trades == {}


def test_a_trade_of_an_order_given_up_makes_it_count_again() -> None:
    bench = Bench()
    order = bench.submit()
    bench.manager.unanswered(bench.place, "connection reset", bench.now_ns)
    while order.live:
        for action in bench.wait(50 * MS):
            if isinstance(action, Query) and order.live:
                bench.manager.not_found(action, bench.now_ns)
    assert [type(action) for action in bench.manager.drain()] == [FetchFills]
    bench.fill(order, "0.5")
    assert (order.state, order.at_risk) == (OrderState.UNKNOWN, HALF)
    assert [type(action) for action in bench.wait(200 * MS)] == [Query]


def test_a_trade_of_a_settled_order_of_an_earlier_run_is_not_somebody_elses() -> None:
    bench = Bench()
    fill = order_fill(Bench().rest(), "1", client_id="", venue_id="old")
    bench.manager.restore_fills([(fill.listing.key, fill.trade_id)])
    assert not bench.manager.filled(fill, bench.now_ns)
    assert bench.manager.strangers.trades == {}


def test_orders_and_trades_of_others_are_counted_and_never_touched() -> None:
    bench = Bench()
    mine = bench.rest()
    theirs = msgspec.structs.replace(
        order_update(mine, OrderState.OPEN, at=bench.now_ns, venue_id="x"), client_id="web-1"
    )
    bench.manager.updated(theirs, bench.now_ns)
    trade = order_fill(mine, "1", "t9", client_id="web-1", venue_id="x")
    assert not bench.manager.filled(trade, bench.now_ns)
    assert not bench.manager.filled(trade, bench.now_ns)
    assert bench.manager.strangers.count("binance") == 1
    assert bench.manager.strangers.trades == {"binance": 1}
    bench.manager.cancel_all("binance", bench.now_ns)
    assert [action.client_id for action in bench.manager.drain() if isinstance(action, Cancel)] == [
        mine.client_id
    ]
    bench.manager.settle_open("binance", Kind.LINEAR, [], bench.now_ns, bench.now_ns)
    assert bench.manager.strangers.count("binance") == 0


def test_an_open_order_with_our_prefix_is_adopted_after_a_restart() -> None:
    first, second = Bench(), Bench()
    order = first.rest()
    news = order_update(order, OrderState.PARTIALLY_FILLED, "0.5", at=START, size="1", price="100")
    second.manager.updated(news, second.now_ns)
    adopted = second.manager.order(order.client_id)
    assert adopted is not None
    assert (adopted.state, adopted.size, adopted.strategy) == (
        OrderState.PARTIALLY_FILLED,
        ONE,
        "mm",
    )
    assert adopted.at_risk == ONE, "its fills are not booked here yet"
    assert second.manager.cancel(order.client_id, second.now_ns)


def test_a_restored_order_is_unknown_until_the_venue_speaks() -> None:
    first, second = Bench(), Bench()
    order = first.rest()
    restored = Order(order.request, order.strategy, order.created_ns)
    restored.venue_id, restored.filled, restored.booked = "v1", HALF, HALF
    restored.trades.add("t1")
    second.manager.restore_fills([(order.key, "t1")])
    second.manager.restore(restored, second.now_ns)
    assert (restored.state, restored.at_risk) == (OrderState.UNKNOWN, HALF)
    assert not second.fill(restored, "0.5", "t1")
    assert restored.booked == HALF
    assert second.fill(restored, "0.5", "t2", client_id="")
    assert restored.state is OrderState.FILLED


def test_final_orders_are_forgotten_after_a_while_and_their_late_fills_are_not() -> None:
    bench = Bench()
    order = bench.rest()
    bench.update(order, OrderState.CANCELED, at=bench.now_ns + 1)
    bench.now_ns += 901 * SECOND
    bench.manager.tick(bench.now_ns)
    assert bench.manager.order(order.client_id) is None
    assert bench.fill(order, "0.5")
    assert len(bench.witness.fills) == 1


def test_an_amend_needs_a_resting_order_one_at_a_time_and_more_than_is_filled() -> None:
    bench = Bench()
    order = bench.submit()
    refusals = [bench.manager.amend(approved_change(order, "100", "2"), bench.now_ns)]
    bench.update(order, OrderState.PARTIALLY_FILLED, "0.5")
    refusals.append(bench.manager.amend(approved_change(order, "100", "0.5"), bench.now_ns))
    bench.manager.amend(approved_change(order, "100", "2"), bench.now_ns)
    refusals.append(bench.manager.amend(approved_change(order, "100", "3"), bench.now_ns))
    assert [str(refusal) for refusal in refusals] == [
        f"amend: {order.client_id} is pending_new",
        "amend: 0.5 against 0.5, no more than is filled",
        f"amend: {order.client_id} has a change under way",
    ]


def test_an_amend_that_the_venue_refuses_leaves_the_order_as_it_was() -> None:
    bench = Bench()
    order = bench.rest()
    bench.manager.amend(approved_change(order, "101", "2"), bench.now_ns)
    (amend,) = bench.manager.drain()
    assert isinstance(amend, Amend)
    bench.manager.answered(amend, refused(order, Rejection.POST_ONLY), bench.now_ns)
    assert (order.state, order.price, order.at_risk) == (OrderState.OPEN, Decimal(100), ONE)
    assert bench.witness.notes == []


def test_a_cancel_with_a_wrong_time_stamp_goes_again_as_soon_as_the_clock_is_known() -> None:
    bench = Bench()
    order = bench.rest()
    cancel = bench.cancel(order)
    bench.manager.answered(cancel, refused(order, Rejection.CLOCK), bench.now_ns)
    assert bench.manager.drain() == [SyncClock("binance")]
    bench.manager.clock_synced("binance", bench.now_ns)
    assert [type(action) for action in bench.manager.drain()] == [Cancel]


def test_a_budget_that_is_used_up_denies_with_the_time_it_takes() -> None:
    bench = Bench(PrivateRules(order_budget=(4, SECOND)))
    for _ in range(3):
        bench.submit()
    denial = bench.manager.submit(approved(order_intent()), bench.now_ns)
    assert isinstance(denial, Denial)
    assert denial.until_ns == bench.now_ns + SECOND
    bench.submit(order_intent(urgent=True))


def test_client_ids_are_short_plain_ours_and_never_repeat_across_restarts() -> None:
    first = ClientIds("inst", 0, START)
    made = [first.next("mm") for _ in range(100)]
    second = ClientIds("inst", first.last, START - 3_600 * SECOND)
    made += [second.next("ar") for _ in range(100)]
    assert len(set(made)) == 200
    assert all(name.isalnum() and name == name.lower() and len(name) <= 32 for name in made)
    assert all(second.owns(name) for name in made)
    assert not ClientIds("othr", 0, START).owns(made[0])
    assert (second.strategy(made[-1]), number(made[-1])) == ("ar", second.last)
    assert not second.owns("inst")
    assert number("instmm!") == 0


@pytest.mark.parametrize("name", ["", "ins", "1nst", "INST", "inst5", "in-t"])
def test_an_installation_is_a_letter_and_three_of_letters_and_digits(name: str) -> None:
    with pytest.raises(ValueError, match="installation"):
        ClientIds(name, 0, START)


def test_a_strategy_is_two_letters_or_digits() -> None:
    with pytest.raises(ValueError, match="strategy"):
        ClientIds("inst", 0, START).next("mmm")
