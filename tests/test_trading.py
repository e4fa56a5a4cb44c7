"""What trades, from its start to its end, on practice venues in virtual time."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest

from hftmm.config import Config
from hftmm.core.order import OrderState
from hftmm.desk import commands
from hftmm.engine.day import DAY_NS, LATE_NS, Day
from hftmm.engine.start import RECOVERY_NS
from hftmm.execution.order import Order
from hftmm.risk.approval import Refused
from hftmm.strategy.base import HEDGING, MARKET_MAKING
from hftmm.venues.account_sink import Question
from hftmm.venues.private import Credentials
from tests.trading_desk import PERP, SECOND, START, TradingDesk

D = Decimal
WITHDRAWS = Credentials("practice-withdraw-key", "practice-secret", "practice-passphrase")
QUIET = replace(Config().hedging, enabled=False)
"""[hedging] that leaves open what is open."""


def zeros(desk: TradingDesk) -> bool:
    """Whether every venue's books are free of our orders."""
    return not any(map(desk.open, desk.truths))


# Starting


def test_it_recovers_until_every_account_agrees_and_says_what_it_waits_for() -> None:
    desk = TradingDesk()
    assert desk.trading.recovering == "waiting for the accounts"
    seen = set()
    while desk.engine.state != "ARMED":
        desk.run(0.02)
        if desk.engine.state == "RECOVERING":
            seen.add(desk.engine.state_reason.partition(": ")[2])
    assert "comparing orders, fills and balances with the venue" in seen
    assert not any(account.why for account in desk.trading.accounts.values())
    assert desk.now_ns - START < 5 * SECOND


def test_a_venue_that_does_not_answer_is_left_out_after_twenty_seconds() -> None:
    desk = TradingDesk()
    desk.fault("okx", "refuse")
    desk.until(lambda: desk.engine.state == "RECOVERING")
    desk.run(15)
    why = 'HTTP 503: {"msg":"Service unavailable"}'
    assert desk.engine.state_reason == f"okx: {why}"
    desk.until(lambda: desk.engine.state == "ARMED")
    assert RECOVERY_NS <= desk.now_ns - START < RECOVERY_NS + SECOND
    assert f"account: left out: {why}" in desk.notes("okx")
    sent = desk.order("bybit")
    assert isinstance(sent, Order)
    desk.fault("okx", "none")
    desk.until(lambda: not desk.trading.accounts["okx"].why, 90)
    desk.rest("okx")


def test_orders_of_strategies_of_an_earlier_run_are_canceled_and_those_by_hand_stay() -> None:
    desk = TradingDesk().armed()
    by_hand = desk.rest("okx")
    of_a_strategy = desk.rest("okx", "sell", code=MARKET_MAKING)
    desk.restart()
    desk.armed()
    adopted = desk.trading.order(of_a_strategy.client_id)
    assert adopted is not None
    desk.until(lambda: adopted.state is OrderState.CANCELED)
    kept = desk.trading.order(by_hand.client_id)
    assert kept is not None
    assert kept.live
    assert [order.client_id for order in desk.truths["okx"].open_orders()] == [by_hand.client_id]


def test_what_an_earlier_run_left_unhedged_is_hedged_by_the_next() -> None:
    desk = TradingDesk(hedging=QUIET).armed()
    desk.take("okx", "buy", code=MARKET_MAKING)
    desk.take("bybit", "sell")
    assert desk.trading.hedger.unhedged == {PERP: D("0.010")}
    desk.restart(hedging=Config().hedging)
    assert desk.trading.hedger.unhedged == {PERP: D("0.010")}, (
        "what is by hand is nobody's to hedge"
    )
    assert desk.trading.hedger.unhedged_ms(desk.now_ns) is not None
    desk.armed()
    desk.until(lambda: not desk.trading.hedger.unhedged.get(PERP))
    held = {venue: desk.trading.position(desk.listing(venue)) for venue in desk.truths}
    assert sum(held.values()) == D("-0.010")
    assert held["okx"] == D("0.010"), "the hedge is elsewhere"


def test_fills_missed_while_down_are_booked_once_by_the_next_run() -> None:
    desk = TradingDesk().armed()
    order = desk.order("okx", away_bps=-20.0, ioc=True)
    assert isinstance(order, Order)
    assert order.booked == 0
    desk.restart()
    desk.armed()
    assert desk.trading.position(desk.listing("okx")) == D("0.010")
    assert desk.trading.office.trades == len(desk.truths["okx"].account.executions)
    desk.restart()
    desk.armed()
    assert desk.trading.position(desk.listing("okx")) == D("0.010")


# The kill latch


def test_a_kill_outlives_the_process() -> None:
    desk = TradingDesk().armed()
    desk.rest("okx")
    assert desk.command(commands.Kill("key K")).accepted
    desk.run(0.1)
    desk.restart()
    assert desk.engine.state == "KILLED"
    assert desk.engine.state_reason == "key K"
    desk.until(lambda: desk.trading.kill.done and not desk.trading.accounts["bybit"].why)
    assert zeros(desk)
    refused = desk.order("bybit")
    assert isinstance(refused, Refused)
    assert refused.rule == "killed"
    assert desk.command(commands.Rearm("ARM")).accepted
    desk.armed().rest("bybit")


def test_a_latch_pulled_from_outside_kills_the_next_run_and_is_written_down() -> None:
    desk = TradingDesk().armed()
    desk.restart(killed="hftmm kill --direct")
    assert desk.engine.state_reason == "hftmm kill --direct"
    assert desk.journal.resume().killed == "hftmm kill --direct"


def test_a_defect_kills_and_the_engine_goes_on_until_every_venue_shows_zero() -> None:
    desk = TradingDesk().armed()
    for venue in desk.truths:
        desk.rest(venue)
    desk.switch("cross mm", on=True)
    try:
        raise IndexError("list index out of range")
    except IndexError as error:
        desk.trading.defect(error, desk.now_ns)
    desk.wire.carry_out()
    assert desk.engine.state == "KILLED"
    assert desk.engine.state_reason.startswith("defect: IndexError(")
    assert "at test_trading.py:" in desk.engine.state_reason
    assert not any(strategy.on for strategy in desk.trading.strategies)
    desk.until(lambda: desk.trading.kill.done)
    assert zeros(desk)
    first = desk.engine.state_reason
    desk.trading.defect(ValueError("the next one"), desk.now_ns)
    assert desk.engine.state_reason == first


def test_orders_that_change_without_end_are_a_defect() -> None:
    desk = TradingDesk().armed()
    order = desk.rest("okx")
    news = desk.trading.office.news
    desk.trading.hedger.act = lambda now_ns: news.append(order)  # type: ignore[method-assign]  # one that never rests
    with pytest.raises(RuntimeError, match="orders still change after 32 rounds"):
        desk.trading.act(desk.now_ns)


# What closes a venue


def test_a_loss_limit_halts_cancels_and_lasts_until_a_person_resumes() -> None:
    desk = TradingDesk().armed()
    for venue in desk.truths:
        desk.rest(venue)
    desk.take("okx")
    assert desk.command(commands.Set("venues.okx.max_daily_loss", "0.01")).accepted
    desk.until(lambda: not desk.open("okx"))
    assert (desk.open("binance"), desk.open("bybit")) == (1, 1)
    assert desk.engine.state == "HALTED"
    assert desk.engine.state_reason.startswith("okx: ")
    refused = desk.order("okx")
    assert isinstance(refused, Refused)
    assert refused.rule == "halted"
    assert isinstance(desk.order("okx", "sell", away_bps=50), Order), "it only reduces"
    assert desk.command(commands.Set("venues.okx.max_daily_loss", "500")).accepted
    desk.run(5)
    assert desk.engine.state == "HALTED"
    assert desk.command(commands.Resume("okx")).accepted
    desk.until(lambda: desk.engine.state == "ARMED")
    desk.rest("okx")


def test_the_loss_of_all_together_halts_everything() -> None:
    desk = TradingDesk().armed()
    desk.rest("binance")
    desk.take("okx")
    assert desk.command(commands.Set("limits.max_daily_loss", "0.01")).accepted
    desk.until(lambda: zeros(desk))
    assert desk.trading.risk.halted.keys() == desk.truths.keys()


def test_a_key_that_may_withdraw_keeps_its_venue_closed_while_the_others_trade() -> None:
    desk = TradingDesk(keys={"okx": WITHDRAWS})
    desk.until(lambda: desk.engine.state == "ARMED")
    why = desk.trading.accounts["okx"].why
    assert "withdraw" in why
    assert f"key: {why}" in desk.notes("okx")
    assert desk.now_ns - START < 5 * SECOND, "there is nothing to wait for"
    desk.armed()
    refused = desk.order("okx")
    assert str(refused) == f"account: {why}"
    assert desk.trading.closed(desk.listing("okx")) == why
    desk.rest("binance")
    desk.rest("bybit")


def test_a_journal_that_cannot_write_holds_new_orders_and_not_what_takes_risk_off() -> None:
    desk = TradingDesk().armed()
    resting = desk.rest("okx")
    desk.journal.failure = "journal: disk full"
    refused = desk.order("okx")
    assert str(refused) == "account: journal: disk full"
    assert desk.trading.closed(desk.listing("okx")) == "journal: disk full"
    assert isinstance(desk.order("okx", "sell", urgent=True, code=HEDGING), Order)
    assert desk.command(commands.Cancel(resting.client_id)).accepted
    desk.until(lambda: resting.state is OrderState.CANCELED)
    desk.journal.failure = ""
    desk.rest("okx")


def test_a_venue_without_a_key_is_only_watched() -> None:
    desk = TradingDesk()
    del desk.keys["okx"]
    desk.restart()
    desk.armed()
    assert str(desk.order("okx")) == "account: no key for okx: it is only watched"


# What the venues say


def test_fees_that_a_venue_tells_go_before_those_of_the_config() -> None:
    venues = {
        name: replace(venue, linear_maker_bps=D(77), linear_taker_bps=D(99))
        for name, venue in Config().venues.items()
    }
    desk = TradingDesk(venues=venues).armed()
    book = desk.trading.book(PERP)
    assert book is not None
    desk.until(lambda: all(member.fees.taker < D("0.005") for member in book.members))
    rates = {member.venue: (member.fees.maker, member.fees.taker) for member in book.members}
    engine = desk.engine
    engine.listed(book.members[0].book)
    again = engine.markets[PERP].members[0]
    assert (again.fees.maker, again.fees.taker) == rates[again.venue], "a new listing keeps them"


def test_a_difference_that_lasts_closes_the_venue_until_it_is_accepted() -> None:
    desk = TradingDesk().armed()
    account = desk.trading.accounts["bybit"]
    wallet = desk.truths["bybit"].account
    balances = next(iter([wallet.wallet(desk.listing("bybit").kind)]))
    balances["USDT"].total += 1_000
    desk.until(lambda: account.differences, 100)
    (difference,) = account.differences
    assert "+1000" in difference
    assert account.why == f"{difference}: accept it, or put it right there"
    assert str(desk.order("bybit")) == f"account: {account.why}"
    desk.rest("okx")
    equity = desk.trading.portfolio.equity()
    answer = desk.command(commands.Accept("bybit"))
    assert answer.accepted
    assert "+1000" in answer.text
    desk.until(lambda: not account.why)
    assert not account.differences
    assert desk.trading.portfolio.equity() - equity == pytest.approx(1_000, abs=1)
    assert desk.trading.portfolio.day_pnl() == 0, "no profit comes of it"
    desk.rest("bybit")


def test_a_difference_that_is_put_right_opens_the_venue_again() -> None:
    desk = TradingDesk().armed()
    account = desk.trading.accounts["okx"]
    usdt = desk.truths["okx"].account.wallet(desk.listing("okx").kind)["USDT"]
    usdt.total += 1_000
    desk.until(lambda: account.why, 100)
    usdt.total -= 1_000
    desk.until(lambda: not account.why, 60)


def test_a_venue_is_asked_for_its_own_word_every_half_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = TradingDesk().armed()
    session = desk.trading.accounts["okx"].session
    asked: list[tuple[str, int]] = []
    ask = session.ask

    def heard(question: Question, now_ns: int) -> None:
        asked.append((type(question).__name__, now_ns))
        ask(question, now_ns)

    monkeypatch.setattr(session, "ask", heard)
    desk.run(95)
    times: dict[str, list[int]] = {}
    for name, now_ns in asked:
        times.setdefault(name, []).append(now_ns)
    for name in ("OpenOrders", "FillsSince", "Positions", "Balances"):
        assert len(times[name]) == 3
        assert {(b - a) // SECOND for a, b in pairwise(times[name])} == {30}
    assert not desk.trading.accounts["okx"].why


# The day


def test_a_day_ends_at_midnight_or_soon_after_it_once_its_books_can_be_closed() -> None:
    midnight = 20_000 * DAY_NS
    day = Day(midnight - 1, midnight - 1)
    assert not day.over(midnight - 1, ready=True)
    assert not day.over(midnight, ready=False)
    assert not day.over(midnight + LATE_NS - 1, ready=False)
    assert day.over(midnight + LATE_NS, ready=False)
    assert not day.over(midnight + LATE_NS, ready=True)
    assert not day.over(midnight + DAY_NS - 1, ready=True)
    assert day.over(midnight + DAY_NS, ready=True)
    found = Day(midnight - 1, midnight + LATE_NS)
    assert not found.over(midnight + 2 * LATE_NS - 1, ready=False)
    assert found.over(midnight + 2 * LATE_NS - 1, ready=True)


def test_the_day_is_closed_once_in_the_books_and_in_the_journal() -> None:
    midnight = START // DAY_NS * DAY_NS + DAY_NS
    desk = TradingDesk(start_ns=midnight - 8 * SECOND).armed()
    desk.take("okx")
    desk.run(0.2)
    made = desk.trading.portfolio.day_pnl()
    assert made < 0
    assert desk.trading.results.line[-1].total == pytest.approx(float(made), abs=0.1)
    opened = len(desk.journal.openings)
    desk.run((midnight - desk.now_ns) / SECOND - 0.2)
    assert len(desk.journal.openings) == opened
    desk.run(0.4)
    assert len(desk.journal.openings) == opened + 1
    opening = desk.journal.openings[-1]
    assert midnight <= opening.ns < midnight + SECOND
    assert [(held.listing.venue, held.size) for held in opening.positions if held.size] == [
        ("okx", D("0.010"))
    ]
    assert opening.peak == 0
    made_since = desk.trading.portfolio.day_pnl()
    assert abs(made_since) < abs(made), "what the market did since"
    assert desk.trading.portfolio.position(desk.listing("okx")) == D("0.010")
    assert [point.ns >= midnight for point in desk.trading.results.line] == [True]
    desk.run(120)
    assert len(desk.journal.openings) == opened + 1
    desk.restart()
    desk.armed()
    assert len(desk.journal.openings) == opened + 1, "the next run goes on with the same day"
    assert desk.trading.position(desk.listing("okx")) == D("0.010")


def test_a_day_is_not_closed_while_something_is_unhedged() -> None:
    midnight = START // DAY_NS * DAY_NS + DAY_NS
    desk = TradingDesk(start_ns=midnight - 8 * SECOND, hedging=QUIET).armed()
    desk.run((midnight - desk.now_ns) / SECOND - 0.5)
    desk.take("okx", code=MARKET_MAKING)
    opened = len(desk.journal.openings)
    desk.run(3)
    assert len(desk.journal.openings) == opened
    desk.switch("hedger", on=True)
    desk.until(lambda: len(desk.journal.openings) == opened + 1, 2)
    assert not desk.trading.hedger.unhedged.get(PERP)


def test_a_start_on_a_later_day_closes_the_one_it_finds() -> None:
    midnight = START // DAY_NS * DAY_NS + DAY_NS
    desk = TradingDesk(start_ns=midnight - 8 * SECOND).armed()
    desk.take("okx", size="0.200")
    desk.run(0.2)
    assert desk.trading.portfolio.costs().fees > 0
    desk.crash()
    desk.run(20)
    opened = len(desk.journal.openings)
    desk.begin()
    desk.armed()
    assert len(desk.journal.openings) == opened + 1
    assert desk.trading.portfolio.costs().fees == 0
    assert desk.trading.position(desk.listing("okx")) == D("0.200")
    assert desk.trading.carried.flattened(PERP, D("-0.200")) == 0, "it is still the operator's"


def test_a_halt_by_yesterdays_loss_is_still_for_a_person_to_end() -> None:
    midnight = START // DAY_NS * DAY_NS + DAY_NS
    desk = TradingDesk(start_ns=midnight - 8 * SECOND).armed()
    desk.take("okx")
    assert desk.command(commands.Set("venues.okx.max_daily_loss", "0.01")).accepted
    desk.until(lambda: desk.trading.risk.halted)
    desk.take("okx", "sell")
    desk.run((midnight - desk.now_ns) / SECOND + 1)
    assert desk.trading.portfolio.day_pnl("okx") == 0
    assert desk.engine.state == "HALTED"
    assert desk.command(commands.Resume("okx")).accepted
    desk.run(5)
    assert desk.engine.state == "ARMED"
