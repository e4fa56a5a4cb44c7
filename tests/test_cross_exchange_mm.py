"""Market making on a floor of venues: what it sends, in which order, and what it says of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftmm.config import Config, MarketMakingConfig
from hftmm.core.fees import FeeRates
from hftmm.core.instrument import Kind
from hftmm.core.order import OrderRequest, OrderState, Rejection
from hftmm.desk.snapshot import QuoteRow
from hftmm.execution.order import Order
from hftmm.execution.throttle import Denial
from hftmm.risk.approval import Refused
from hftmm.risk.headroom import Headroom
from hftmm.strategy.cross_exchange_mm import CrossExchangeMM
from tests.books import MS, listing
from tests.trading_floor import RULES, VENUES, Floor

PERP = "BTC/USDT:USDT"
CALM = MarketMakingConfig(
    markets=(PERP,),
    order_size=1.0,
    min_edge_bps=1.0,
    cancel_edge_bps=0.0,
    target_spread_bps=0.0,
    hedge_slippage_bps=0.0,
    requote_ticks=4,
)
"""One bp of edge, with 2 + 5 bps of fees: a bid is 8 ticks below its hedge on 100.00."""


class Trial:
    """Market making on a floor where every venue shows 100.00 to 100.02, 10 coins each."""

    def __init__(self, making: MarketMakingConfig = CALM, **words: Any) -> None:
        self.config = replace(Config(), market_making=making)
        self.floor = Floor(**words)
        self.blocks: dict[str, str] = {}
        for venue in self.floor.listings:
            self.show(venue, tell=False)
        self.mm = CrossExchangeMM(
            self.config, self.floor, lambda symbol: self.blocks.get(symbol, "")
        )
        self.floor.strategies.append(self.mm)

    def show(
        self,
        venue: str,
        bid: int = 10_000,
        ask: int = 10_002,
        size: float = 10.0,
        *,
        tell: bool = True,
    ) -> None:
        """A book of one level a side."""
        self.floor.quote(venue, [(bid, size)], [(ask, size)], tell=tell)

    def start(self) -> Trial:
        """On, and every quote rests."""
        self.mm.switch(True, "", self.floor.now_ns)
        self.settle()
        return self

    def settle(self) -> None:
        """Every venue does at once what was asked of it, until nothing more is."""
        floor = self.floor
        for _ in range(10):
            before = len(floor.log)
            floor.rest_all()
            for order in floor.alive:
                if order.cancel_wanted:
                    floor.gone(order)
                elif order.amend is not None:
                    floor.confirm(order)
            floor.move()
            if len(floor.log) == before:
                return

    def configure(self, **changes: object) -> None:
        making = replace(self.config.market_making, **changes)  # type: ignore[arg-type]  # keys of the section
        self.config = replace(self.config, market_making=making)
        self.mm.configure(self.config, self.floor.now_ns)

    def row(self, venue: str) -> QuoteRow:
        return next(row for row in self.mm.shown(self.floor.now_ns).quotes if row.venue == venue)

    @property
    def state(self) -> tuple[str, str]:
        row = self.mm.shown(self.floor.now_ns)
        return row.state, row.reason

    def order(self, venue: str, side: str = "buy") -> Order:
        found = self.floor.standing(venue, "buy" if side == "buy" else "sell")
        assert found is not None, self.row(venue)
        return found

    def forget(self) -> None:
        """What was sent until now."""
        for record in (
            self.floor.log,
            self.floor.submitted,
            self.floor.amended,
            self.floor.canceled,
            self.floor.intents,
        ):
            record.clear()


def pair(making: MarketMakingConfig = CALM, **words: Any) -> Trial:
    """Quotes on Binance alone, hedged on OKX alone."""
    only = replace(making, quote_exchanges=("binance",), hedge_exchanges=("okx",))
    return Trial(only, venues=("binance", "okx"), **words)


# What is quoted


def test_one_post_only_quote_a_side_and_venue_at_what_its_hedge_leaves() -> None:
    trial = Trial().start()
    assert len(trial.floor.submitted) == 6
    assert all(order.post_only for order in trial.floor.submitted)
    assert all(order.strategy == "mm" for order in trial.floor.submitted)
    for venue in VENUES:
        assert trial.order(venue, "buy").price == Decimal("99.92")
        assert trial.order(venue, "sell").price == Decimal("100.11")
        assert trial.order(venue, "sell").size == 1
    assert trial.state == ("quoting", "")
    assert trial.row("okx").bid_why == "edge 1.0 bps"


def test_the_venue_with_the_best_bid_is_the_hedge_of_the_others() -> None:
    trial = Trial()
    trial.show("okx", 10_050, 10_052, tell=False)
    trial.start()
    assert trial.order("binance", "buy").price == Decimal("100.01")
    assert trial.row("binance").bid_why == "at the touch"
    assert trial.order("okx", "buy").price == Decimal("99.92")


def test_a_venue_is_quoted_or_hedged_on_as_configured() -> None:
    trial = pair().start()
    assert {order.listing.venue for order in trial.floor.submitted} == {"binance"}
    assert [row.venue for row in trial.mm.shown(0).quotes] == ["binance"]


def test_quotes_that_count_on_one_book_do_not_count_on_the_same_coins() -> None:
    making = replace(CALM, quote_exchanges=("binance", "bybit"), hedge_exchanges=("okx",))
    trial = Trial(making)
    trial.floor.quote("okx", [(10_000, 1.0), (9_950, 9.0)], [(10_002, 9.0)], tell=False)
    trial.mm.switch(True, "", trial.floor.now_ns)
    assert trial.order("binance", "buy").price == Decimal("99.92")
    assert trial.order("bybit", "buy").price == Decimal("99.42")


def test_our_own_orders_hedge_nothing() -> None:
    trial = pair()
    rest = OrderRequest(
        "hm01op000001", trial.floor.listings["okx"], "buy", Decimal(100), Decimal(10)
    )
    trial.floor.orders["hm01op000001"] = by_hand = Order(rest, "op", 0)
    trial.floor.rest(by_hand)
    trial.start()
    assert trial.floor.standing("binance", "buy") is None
    assert trial.row("binance").bid_why == "hedge depth 0 < 0.001 at okx"


def test_spot_and_perpetual_markets_are_quoted_beside_each_other() -> None:
    trial = Trial(replace(CALM, markets=("BTC/USDT",)), kind=Kind.SPOT).start()
    assert {order.listing.symbol for order in trial.floor.submitted} == {"BTC/USDT"}


# Why not


def test_the_size_is_what_config_depth_and_headroom_allow_on_both_lots() -> None:
    trial = pair(listings={"okx": listing("okx", kind=Kind.LINEAR, lot="0.01")})
    trial.floor.quote("okx", [(10_000, 0.456)], [(10_002, 10.0)], tell=False)
    key = trial.floor.listings["binance"].key
    trial.floor.room[key, "sell"] = Headroom(Decimal("0.123"), "position 90% of limit")
    trial.start()
    assert trial.order("binance", "buy").size == Decimal("0.45")
    assert trial.order("binance", "sell").size == Decimal("0.12")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda t: t.show("okx", size=0.004, tell=False), "hedge depth 0.004 < 0.01 at okx"),
        (lambda t: t.floor.why_closed.update(okx="halted"), "hedge okx: halted"),
        (lambda t: t.floor.why_closed.update(binance="not logged in"), "not logged in"),
        (lambda t: t.blocks.update({PERP: "unhedged 2.1 s"}), "unhedged 2.1 s"),
        (lambda t: t.floor.break_book("okx", "gap"), "hedge okx syncing: gap"),
        (lambda t: t.floor.break_book("binance", "gap"), "binance syncing: gap"),
        (
            lambda t: t.floor.room.update(
                {
                    (t.floor.listings["binance"].key, "buy"): Headroom(
                        Decimal(0), "position 92% of limit"
                    )
                }
            ),
            "position 92% of limit",
        ),
        (
            lambda t: t.floor.room.update(
                {
                    (t.floor.listings["okx"].key, "sell"): Headroom(
                        Decimal("0.005"), "balance 0.005 BTC"
                    )
                }
            ),
            "hedge okx: balance 0.005 BTC",
        ),
        (lambda t: t.configure(order_size=0.005), "size 0.005 < 0.01 with okx"),
        (lambda t: t.configure(hedge_exchanges=()), "no hedge venue"),
        (
            lambda t: t.floor.quote("okx", [], [(10_002, 1.0)], tell=False),
            "hedge depth 0 < 0.01 at okx",
        ),
    ],
)
def test_a_quote_that_may_not_stand_says_why(spoil: Callable[[Trial], object], why: str) -> None:
    trial = pair(listings={"okx": listing("okx", kind=Kind.LINEAR, min_size="0.01")})
    spoil(trial)
    trial.start()
    assert trial.floor.standing("binance", "buy") is None
    assert trial.row("binance").bid_why == why


def test_an_order_worth_less_than_a_venue_takes_is_not_sent() -> None:
    trial = pair(listings={"binance": listing(kind=Kind.LINEAR, min_notional="200")}).start()
    assert trial.row("binance").bid_why == "worth 99.92 < 200 at binance"


def test_a_hedge_worth_less_than_its_venue_takes_is_none() -> None:
    trial = pair(listings={"okx": listing("okx", kind=Kind.LINEAR, min_notional="200")}).start()
    assert trial.row("binance").bid_why.startswith("size 1 < 2.00")


def test_a_market_without_two_sides_is_not_quoted() -> None:
    trial = Trial()
    for venue in VENUES:
        trial.floor.quote(venue, [(10_000, 1.0)], [], tell=False)
    trial.start()
    assert trial.row("okx").bid_why == "no best bid and ask"
    assert trial.state == ("waiting", "no best bid and ask")


# Moving


def test_a_quote_stays_while_it_drifts_by_no_more_than_the_ticks_allowed() -> None:
    trial = pair(replace(CALM, cancel_edge_bps=-50.0)).start()
    trial.forget()
    trial.show("okx", 10_004, 10_006)
    assert trial.floor.log == []
    trial.show("okx", 10_005, 10_007)
    assert [each.price for each in trial.floor.amended] == [Decimal("100.16")]


def test_a_quote_whose_edge_is_gone_moves_though_it_drifted_less() -> None:
    making = replace(CALM, requote_ticks=1_000, min_edge_bps=3.0, cancel_edge_bps=0.5)
    trial = pair(making).start()
    trial.forget()
    trial.show("okx", 9_998, 10_000)
    assert trial.floor.amended == []
    trial.show("okx", 9_997, 9_999)
    assert [each.price for each in trial.floor.amended] == [Decimal("99.87")]


def test_a_venue_that_amends_no_price_gets_a_cancel_and_the_new_quote_after_it() -> None:
    trial = pair()
    trial.floor.venue_rules["binance"] = replace(RULES, amends_price=False)
    trial.start()
    old = trial.order("binance", "buy")
    trial.forget()
    trial.show("okx", 10_010, 10_012)
    assert trial.floor.canceled[0] == old.client_id
    trial.show("okx", 10_011, 10_013)
    trial.floor.wait(200)
    assert trial.floor.submitted == []
    trial.floor.gone(old)
    trial.floor.move()
    assert [order.side for order in trial.floor.submitted] == ["buy"]


def test_a_venue_that_amends_no_price_still_makes_an_order_smaller() -> None:
    trial = pair()
    trial.floor.venue_rules["binance"] = replace(RULES, amends_price=False)
    trial.start()
    trial.floor.quote("okx", [(10_000, 0.8)], [(10_002, 10.0)])
    assert [(each.price, each.size) for each in trial.floor.amended] == [
        (Decimal("99.92"), Decimal("0.8"))
    ]
    assert trial.floor.canceled == []


def test_an_order_on_its_way_is_not_doubled_but_waited_for() -> None:
    trial = pair()
    trial.mm.switch(True, "", trial.floor.now_ns)
    trial.forget()
    for bid in (10_010, 10_020, 10_030):
        trial.show("okx", bid, bid + 2)
        trial.floor.wait(200)
    assert not trial.floor.submitted
    assert not trial.floor.amended
    trial.floor.rest_all()
    trial.floor.move()
    assert [each.side for each in trial.floor.amended] == ["buy"]


def test_an_order_nobody_knows_of_is_neither_doubled_nor_forgotten() -> None:
    trial = pair().start()
    order = trial.order("binance", "buy")
    trial.floor.doubt(order)
    trial.forget()
    trial.show("okx", 10_050, 10_052)
    trial.floor.wait(500)
    assert [intent.side for intent in trial.floor.intents] == []
    assert all(change.side == "sell" for change in trial.floor.amended)
    trial.show("okx", 9_900, 9_902)
    assert trial.floor.canceled == [order.client_id]


def test_after_a_part_was_filled_it_stays_until_little_is_left() -> None:
    trial = pair().start()
    order = trial.order("binance", "buy")
    trial.forget()
    trial.floor.trade(order, "0.4")
    trial.floor.move()
    assert trial.floor.log == []
    trial.floor.trade(order, "0.2")
    trial.floor.move()
    assert [each.size for each in trial.floor.amended] == [Decimal("1.6")]


def test_after_a_fill_it_is_quoted_anew() -> None:
    trial = pair().start()
    trial.forget()
    order = trial.order("binance", "buy")
    trial.floor.trade(order, "1")
    trial.floor.move()
    assert [each.side for each in trial.floor.submitted] == ["buy"]


# Protecting


def test_quotes_whose_hedge_is_gone_are_canceled_before_anything_else_is_sent() -> None:
    making = replace(CALM, quote_exchanges=("bybit", "binance"), hedge_exchanges=("okx", "bybit"))
    trial = Trial(making)
    trial.show("okx", 10_100, 10_102, tell=False)
    trial.start()
    bybit = {order.client_id for order in trial.floor.live("bybit")}
    trial.forget()
    trial.floor.break_book("okx")
    kinds = [kind for kind, _ in trial.floor.log]
    assert kinds == sorted(kinds, key=["cancel", "amend"].index)
    assert set(trial.floor.canceled) == bybit
    assert {each.listing.venue for each in trial.floor.amended} == {"binance"}


def test_a_quote_stays_if_another_venue_hedges_it_as_well() -> None:
    trial = Trial().start()
    trial.forget()
    trial.floor.break_book("okx")
    gone = {trial.floor.orders[each].listing.venue for each in trial.floor.canceled}
    assert gone == {"okx"}
    assert trial.floor.amended == []


def test_a_hedge_book_that_falls_silent_backs_no_quote() -> None:
    trial = pair().start()
    trial.floor.wait(1_480)
    assert trial.floor.canceled == []
    trial.floor.wait(40)
    assert len(trial.floor.canceled) == 2
    assert trial.row("binance").bid_why.startswith("hedge okx stale 15")


def test_a_stale_book_is_seen_by_the_next_frame_of_another_venue() -> None:
    trial = pair().start()
    trial.floor.now_ns += 1_501 * MS
    trial.floor.move()
    assert len(trial.floor.canceled) == 2


def test_an_order_still_on_its_way_is_canceled_when_its_hedge_goes() -> None:
    trial = pair()
    trial.mm.switch(True, "", trial.floor.now_ns)
    trial.floor.break_book("okx")
    assert len(trial.floor.canceled) == 2


def test_a_quote_that_would_lose_is_canceled_if_it_cannot_be_moved() -> None:
    trial = pair().start()
    order = trial.order("binance", "buy")
    trial.forget()
    trial.floor.answers.append(Denial("binance", "300 orders in 10 s", trial.floor.now_ns + 10**9))
    trial.show("okx", 9_900, 9_902)
    assert trial.floor.canceled == [order.client_id]
    assert trial.row("binance").bid_why == "binance: 300 orders in 10 s"


def test_a_change_under_way_that_would_lose_is_canceled() -> None:
    trial = pair().start()
    trial.show("okx", 10_010, 10_012)
    order = trial.order("binance", "buy")
    assert order.amend is not None
    trial.show("okx", 9_900, 9_902)
    assert order.cancel_wanted


def test_a_block_of_the_hedger_cancels_its_market_with_the_next_tick() -> None:
    trial = Trial().start()
    trial.blocks[PERP] = "unhedged for 2.1 s"
    trial.floor.wait(120)
    assert len(trial.floor.canceled) == 6
    for order in trial.floor.alive:
        trial.floor.gone(order)
    assert trial.state == ("blocked", "unhedged for 2.1 s")
    trial.blocks.clear()
    trial.floor.wait(120)
    assert len(trial.floor.alive) == 6


def test_thinner_depth_than_a_quote_counts_on_makes_it_smaller() -> None:
    trial = pair().start()
    trial.show("okx", size=0.6)
    assert {each.size for each in trial.floor.amended} == {Decimal("0.6")}


def test_our_two_quotes_at_a_venue_do_not_meet_while_they_change_places() -> None:
    trial = pair(replace(CALM, cancel_edge_bps=-500.0)).start()
    trial.show("binance", 9_000, 11_000, tell=False)
    trial.show("okx", 10_100, 10_102)
    ask = trial.order("binance", "sell")
    assert ask.amend is not None
    bid = trial.order("binance", "buy")
    assert bid.amend is not None
    assert bid.amend.price < ask.price
    trial.settle()
    assert bid.price == Decimal("100.91")


def test_two_quotes_that_want_the_same_depth_do_not_chase_each_other() -> None:
    making = replace(CALM, order_size=0.4, cancel_edge_bps=-500.0, requote_ticks=0)
    trial = Trial(making)
    trial.floor.quote("binance", [(9_939, 1.0)], [(10_100, 1.0)], tell=False)
    trial.floor.quote("bybit", [(10_085, 0.1)], [(10_098, 0.8)], tell=False)
    trial.floor.quote("okx", [(9_913, 0.05)], [(10_100, 1.0)], tell=False)
    trial.start()
    trial.floor.quote("bybit", [(10_085, 0.5)], [(10_098, 0.8)])
    trial.settle()
    trial.forget()
    trial.settle()
    trial.floor.wait(300)
    assert trial.floor.log == []


# Turned down


def test_what_was_refused_is_tried_again_when_it_changed_or_after_a_pause() -> None:
    trial = pair()
    refusal = Refused("collar", Decimal(150), Decimal(151), "bps")
    trial.floor.answers += [refusal, refusal]
    trial.mm.switch(True, "", trial.floor.now_ns)
    assert trial.row("binance").bid_why == "collar: 151 against 150, bps"
    trial.forget()
    trial.floor.move()
    trial.floor.wait(100)
    assert trial.floor.intents == []
    trial.show("okx", 10_020, 10_022)
    trial.floor.wait(100)
    assert [intent.side for intent in trial.floor.intents] == ["buy", "sell"]


def test_a_refusal_is_not_repeated_before_the_pause_is_over() -> None:
    trial = pair()
    trial.floor.answers += [Refused("rate", words="too fast")] * 20
    trial.mm.switch(True, "", trial.floor.now_ns)
    trial.floor.wait(200)
    assert len(trial.floor.intents) == 2
    trial.floor.wait(200)
    assert len(trial.floor.intents) == 4


def test_a_denial_is_kept_to_until_its_time() -> None:
    trial = pair()
    until_ns = trial.floor.now_ns + 500 * MS
    trial.floor.answers += [Denial("binance", "300 orders in 10 s", until_ns)] * 2
    trial.mm.switch(True, "", trial.floor.now_ns)
    trial.show("okx", 10_020, 10_022)
    trial.floor.wait(480)
    assert trial.floor.submitted == []
    trial.floor.wait(140)
    assert len(trial.floor.submitted) == 2


def test_a_post_only_order_that_would_have_taken_comes_back_a_tick_further() -> None:
    trial = Trial()
    trial.show("okx", 10_050, 10_052, tell=False)
    trial.start()
    order = trial.order("binance", "buy")
    assert order.price == Decimal("100.01")
    trial.floor.gone(order, OrderState.REJECTED, Rejection.POST_ONLY)
    trial.floor.move()
    assert trial.order("binance", "buy").price == Decimal("100.00")


def test_what_the_venue_rejects_is_tried_again_after_a_pause() -> None:
    trial = pair().start()
    trial.floor.gone(
        trial.order("binance", "buy"), OrderState.REJECTED, Rejection.BALANCE, "-2019 no margin"
    )
    trial.forget()
    trial.floor.move()
    trial.floor.wait(200)
    assert trial.floor.submitted == []
    assert trial.row("binance").bid_why == "rejected: -2019 no margin"
    trial.floor.wait(200)
    assert len(trial.floor.submitted) == 1


# On, off, other parameters


def test_off_cancels_everything_and_says_so_until_it_is_gone() -> None:
    trial = Trial().start()
    trial.mm.switch(False, "by hand", trial.floor.now_ns)
    assert len(trial.floor.canceled) == 6
    assert trial.state == ("stopping", "by hand")
    for order in trial.floor.alive:
        trial.floor.gone(order)
    assert trial.state == ("off", "by hand")
    trial.forget()
    trial.show("okx", 10_100, 10_102)
    trial.floor.wait(300)
    assert trial.floor.log == []
    assert trial.row("okx").bid_why == "by hand"


def test_on_again_while_old_orders_leave_waits_for_none_of_them_twice() -> None:
    trial = pair().start()
    trial.mm.switch(False, "by hand", trial.floor.now_ns)
    leaving = trial.floor.alive
    trial.mm.switch(True, "", trial.floor.now_ns)
    trial.floor.wait(200)
    assert trial.floor.alive == leaving
    for order in leaving:
        trial.floor.gone(order)
    trial.floor.wait(200)
    assert len(trial.floor.alive) == 2


def test_an_order_of_an_earlier_run_goes_before_its_place_is_quoted() -> None:
    trial = pair()
    request = OrderRequest(
        "hm01mm999999", trial.floor.listings["binance"], "buy", Decimal(99), Decimal(1)
    )
    trial.floor.orders["hm01mm999999"] = old = Order(request, "mm", 0)
    trial.floor.rest(old)
    assert trial.floor.canceled == ["hm01mm999999"]
    trial.start()
    assert [order.side for order in trial.floor.submitted] == ["sell", "buy"]


def test_other_parameters_hold_at_once_and_quotes_that_fit_them_stay() -> None:
    trial = Trial().start()
    kept = {order.client_id for order in trial.floor.live("binance")}
    trial.forget()
    trial.configure(quote_exchanges=("binance",))
    assert {trial.floor.orders[each].listing.venue for each in trial.floor.canceled} == {
        "bybit",
        "okx",
    }
    trial.settle()
    assert {order.client_id for order in trial.floor.alive} == kept
    trial.configure(min_edge_bps=20.0)
    assert {each.price for each in trial.floor.amended} == {Decimal("99.73"), Decimal("100.30")}


def test_a_market_no_longer_configured_is_left() -> None:
    trial = Trial().start()
    trial.configure(markets=("BTC/USDT",))
    assert len(trial.floor.canceled) == 6


def test_books_that_come_anew_are_the_ones_quoted_from() -> None:
    trial = pair().start()
    other = Floor(("binance", "okx"))
    for venue in ("binance", "okx"):
        other.quote(venue, [(11_000, 10.0)], [(11_002, 10.0)])
    trial.floor.books = other.books
    trial.floor.wait(120)
    trial.settle()
    assert [each.price for each in trial.floor.alive] == [Decimal("109.91"), Decimal("110.11")]


def test_a_market_nobody_lists_yet_is_waited_for() -> None:
    trial = Trial(replace(CALM, markets=("ETH/USDT",)))
    trial.start()
    assert trial.state == ("waiting", "no book of its markets yet")
    assert trial.row("okx").bid_why == "ETH/USDT is not listed there"


# What always holds


LEVEL = st.tuples(st.integers(1, 30), st.integers(1, 30))
BOOK = st.tuples(
    st.integers(9_900, 10_100),
    st.integers(1, 30),
    st.lists(LEVEL, min_size=1, max_size=4),
    st.lists(LEVEL, min_size=1, max_size=4),
)


def levels(start: int, step: int, rows: list[tuple[int, int]]) -> list[tuple[int, float]]:
    made = []
    for gap, tenths in rows:
        made.append((start, tenths / 10))
        start += step * gap
    return made


def draw_books(trial: Trial, books: Iterable[Any], *, tell: bool) -> None:
    for venue, (bid, spread, bids, asks) in zip(VENUES, books, strict=True):
        trial.floor.quote(venue, levels(bid, -1, bids), levels(bid + spread, 1, asks), tell=tell)


BOOKS = st.tuples(BOOK, BOOK, BOOK)
RATES = st.builds(FeeRates, st.integers(-1, 5).map(Decimal), st.integers(0, 8).map(Decimal))


@given(
    BOOKS,
    st.tuples(RATES, RATES, RATES),
    st.floats(-5.0, 20.0),
    st.floats(0.0, 50.0),
    st.integers(-20, 20),
)
def test_a_quote_filled_and_hedged_on_the_spot_never_makes_less_than_the_edge(
    books: Any, rates: Any, least: float, spread: float, position: int
) -> None:
    making = replace(
        CALM,
        min_edge_bps=least,
        cancel_edge_bps=least,
        target_spread_bps=spread,
        inventory_skew_bps=30.0,
    )
    trial = Trial(making, fees=dict(zip(VENUES, rates, strict=True)))
    draw_books(trial, books, tell=False)
    trial.floor.positions[trial.floor.listings["okx"].key] = Decimal(position) / 10
    trial.start()
    for order in trial.floor.alive:
        best = max(hedged_bps(trial.floor, order, hedge) for hedge in VENUES)
        assert best >= least - 1e-3, trial.row(order.listing.venue)


def hedged_bps(floor: Floor, order: Order, hedge: str) -> float:
    """What an order earns if it is filled and taken out at once at another venue."""
    member, home = floor.members[hedge], floor.members[order.listing.venue]
    buying = order.side == "sell"
    size, price = float(order.size), float(order.price)
    if member is home:
        return -1e9
    side = 1 if buying else 0
    paid = left = 0.0
    left = size
    for at, there in member.book.depth(1 if side else 0, 10):
        part = min(left, there)
        left -= part
        paid += part * at
    if left > 1e-9:
        return -1e9
    taker, maker = member.fees.taker, home.fees.maker
    if buying:
        profit = size * price * (1 - maker) - paid * (1 + taker)
    else:
        profit = paid * (1 - taker) - size * price * (1 + maker)
    return profit / (size * price) * 10_000


@given(st.lists(BOOKS, min_size=2, max_size=6), st.integers(0, 6), st.booleans())
def test_what_is_passed_over_as_quiet_would_have_changed_nothing(
    moves: list[Any], slack: int, wide: bool
) -> None:
    making = replace(
        CALM, requote_ticks=slack, order_size=0.4, target_spread_bps=40.0 if wide else 0.0
    )
    trial = Trial(making)
    draw_books(trial, moves[0], tell=False)
    trial.start()
    for books in moves[1:]:
        draw_books(trial, books, tell=False)
        trial.floor.move()
        trial.settle()
        for venue in VENUES:
            bid, ask = trial.floor.standing(venue, "buy"), trial.floor.standing(venue, "sell")
            assert bid is None or ask is None or bid.price < ask.price
        trial.forget()
        trial.floor.wait(120)
        assert not trial.floor.amended
        assert not trial.floor.canceled


# Every key of the section


@dataclass(frozen=True)
class Key:
    """A value other than the default, and something that is different with it."""

    value: object
    see: Callable[[Trial], object]


def started(trial: Trial) -> list[tuple[str, str, Decimal, Decimal]]:
    trial.floor.wait(200)
    return [(order.key, order.side, order.price, order.size) for order in trial.floor.submitted]


def with_a_position(trial: Trial) -> object:
    trial.floor.positions[trial.floor.listings["okx"].key] = Decimal(1)
    return started(trial)


def after_a_drift(trial: Trial) -> object:
    started(trial)
    trial.floor.rest_all()
    trial.floor.move()
    for venue in VENUES:
        trial.show(venue, 10_003, 10_005)
    return len(trial.floor.amended)


def after_a_small_loss(trial: Trial) -> object:
    started(trial)
    trial.floor.rest_all()
    trial.floor.move()
    for venue in VENUES:
        trial.show(venue, 9_996, 9_998)
    return len(trial.floor.amended)


def after_silence(trial: Trial) -> object:
    started(trial)
    trial.floor.wait(1_000)
    return len(trial.floor.canceled)


KEYS = {
    "enabled": Key(False, started),
    "markets": Key(("BTC/USDT",), started),
    "quote_exchanges": Key(("okx",), started),
    "hedge_exchanges": Key(("okx",), started),
    "order_size": Key(0.5, started),
    "min_edge_bps": Key(10.0, started),
    "cancel_edge_bps": Key(-5.0, after_a_small_loss),
    "target_spread_bps": Key(100.0, started),
    "hedge_slippage_bps": Key(5.0, started),
    "inventory_skew_bps": Key(50.0, with_a_position),
    "requote_ticks": Key(1, after_a_drift),
    "max_age_ms": Key(700, after_silence),
}
COMMON = replace(CALM, enabled=True, cancel_edge_bps=0.9, requote_ticks=20)
BASES = {"requote_ticks": replace(CALM, enabled=True)}


def test_the_table_has_every_key_of_the_section() -> None:
    assert set(KEYS) == {entry.name for entry in fields(MarketMakingConfig)}


@pytest.mark.parametrize("name", KEYS)
def test_every_key_changed_changes_what_is_quoted(name: str) -> None:
    key = KEYS[name]
    base = BASES.get(name, COMMON)
    assert getattr(base, name) != key.value
    other = replace(base, **{name: key.value})  # type: ignore[arg-type]  # keys of the section
    assert key.see(Trial(base)) != key.see(Trial(other))
