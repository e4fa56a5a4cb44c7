"""What an operator asks of what trades: done or refused, and said in one line either way."""

from __future__ import annotations

from decimal import Decimal

import pytest

from hftmm.core.order import OrderState
from hftmm.desk.commands import (
    Accept,
    Answer,
    Cancel,
    CancelAll,
    Command,
    Halt,
    Kill,
    Place,
    Rearm,
    Resume,
    Set,
    Toggle,
)
from hftmm.engine import by_hand
from hftmm.strategy.base import MARKET_MAKING
from tests.engines import floor
from tests.trading_desk import PERP, TradingDesk


@pytest.fixture(scope="module")
def steady() -> TradingDesk:
    """A desk for what changes nothing."""
    return TradingDesk().armed()


@pytest.fixture
def desk() -> TradingDesk:
    return TradingDesk().armed()


REFUSED: list[tuple[Command, str]] = [
    (Place("kraken", PERP, "buy", "60000", "0.01"), f"{PERP} is not traded at kraken"),
    (Place("okx", "DOGE/USDT", "buy", "60000", "0.01"), "DOGE/USDT is not traded at okx"),
    (Place("okx", PERP, "hold", "60000", "0.01"), "side 'hold': buy or sell"),
    (Place("okx", PERP, "buy", "60000", "0.01", "fok"), "'fok': one of post-only, gtc, ioc"),
    (Place("okx", PERP, "buy", "much", "0.01"), "price 'much', size '0.01': two numbers"),
    (Place("okx", PERP, "buy", "60000", "nan"), "grid: NaN against 0, a size is above zero"),
    (Place("okx", PERP, "buy", "60000.01", "0.01"), "grid: "),
    (Place("okx", PERP, "buy", "60000", "0.00005"), "grid: "),
    (Place("okx", PERP, "buy", "60000", "0.6"), "order_size: 0.6 against 0.5"),
    (Place("okx", PERP, "buy", "90000", "0.01", "gtc"), "collar: "),
    (Cancel("hm01mm7"), "hm01mm7 is not ours"),
    (CancelAll("kraken"), "no account at 'kraken': one of binance, bybit, okx"),
    (Toggle("gridbot"), "no strategy 'gridbot': one of cross mm, arbitrage, hedger"),
    (Halt("kraken"), "no account at 'kraken': one of binance, bybit, okx"),
    (Resume("okx"), "okx is not halted"),
    (Accept("kraken"), "no account at 'kraken': one of binance, bybit, okx"),
    (Accept("okx"), "okx: there is nothing to accept"),
    (Rearm("ARM"), "nothing is killed"),
    (Set("limits.max_repeats", "0"), "limits.max_repeats: is 0, allowed: a whole number from 1"),
    (Set("engine.mode", "live"), "engine.mode cannot be changed while running"),
]


@pytest.mark.parametrize(("command", "said"), REFUSED, ids=str)
def test_what_cannot_be_done_is_refused_with_its_reason(
    command: Command, said: str, steady: TradingDesk
) -> None:
    answer = steady.command(command)
    assert not answer.accepted
    assert answer.text.startswith(said)
    assert "\n" not in answer.text
    assert not any(map(steady.open, steady.truths))


@pytest.mark.parametrize("command", [Kill("K"), Rearm("ARM"), Halt("okx"), Toggle("hedger")])
def test_an_engine_that_only_watches_says_so(command: Command) -> None:
    at = floor()
    answer = by_hand.carry_out(at.engine, command, at.now_ns)
    assert answer == Answer(False, "this engine watches and does not trade")


def test_parameters_of_an_engine_that_only_watches_can_be_changed() -> None:
    at = floor()
    answer = by_hand.carry_out(at.engine, Set("arbitrage.min_profit_bps", " 7.5 "), at.now_ns)
    assert answer == Answer(True, "arbitrage.min_profit_bps = 7.5")
    assert at.engine.config.arbitrage.min_profit_bps == 7.5


@pytest.mark.parametrize(
    ("kind", "away_bps", "ends"),
    [
        ("post-only", 50.0, OrderState.OPEN),
        ("gtc", 50.0, OrderState.OPEN),
        ("gtc", -20.0, OrderState.FILLED),
        ("ioc", 50.0, OrderState.CANCELED),
        ("ioc", -20.0, OrderState.FILLED),
    ],
)
def test_an_order_by_hand_leaves_and_is_what_was_asked_for(
    kind: str, away_bps: float, ends: OrderState, desk: TradingDesk
) -> None:
    price = desk.price("bybit", "buy", away_bps)
    answer = desk.command(Place("bybit", PERP, "buy", f"{price:f}", "0.010", kind))
    words, _, what = answer.text.partition(": ")
    assert answer.accepted
    assert what == f"buy 0.010 @ {price:f} bybit {PERP}"
    order = desk.trading.order(words.removeprefix("sent "))
    assert order is not None
    desk.until(lambda: order.state is ends)
    assert order.post_only is (kind == "post-only")
    assert order.size == Decimal("0.010")


def test_what_only_reduces_takes_a_position_no_further_than_to_zero(desk: TradingDesk) -> None:
    desk.take("okx", "buy")
    price = f"{desk.price('okx', 'sell', -20.0):f}"
    assert desk.command(Place("okx", PERP, "sell", price, "0.010", "ioc", True)).accepted
    desk.until(lambda: desk.trading.position(desk.listing("okx")) == 0)
    again = desk.command(Place("okx", PERP, "sell", price, "0.010", "ioc", True))
    order = desk.trading.order(again.text.partition(": ")[0].removeprefix("sent "))
    assert order is not None
    desk.until(lambda: order.state.final)
    assert order.booked == 0


def test_one_order_is_canceled_and_then_there_is_nothing_to_cancel(desk: TradingDesk) -> None:
    order = desk.rest("okx")
    answer = desk.command(Cancel(order.client_id))
    assert answer == Answer(True, f"canceling {order.client_id}")
    desk.until(lambda: order.state is OrderState.CANCELED)
    assert desk.open("okx") == 0
    again = desk.command(Cancel(order.client_id))
    assert again == Answer(False, f"{order.client_id} is canceled")


def test_all_orders_of_a_venue_or_of_all_are_canceled(desk: TradingDesk) -> None:
    for venue in ("binance", "bybit", "okx", "okx"):
        desk.rest(venue)
    assert desk.command(CancelAll("okx")) == Answer(True, "canceling 2 orders at okx")
    desk.until(lambda: not desk.trading.live("okx"))
    assert [desk.open(venue) for venue in desk.truths] == [1, 1, 0]
    answer = desk.command(CancelAll())
    assert answer == Answer(True, "canceling 2 orders at binance, bybit, okx")
    desk.until(lambda: not any(map(desk.open, desk.truths)))


def test_a_strategy_is_switched_and_off_cancels_what_it_has_open(desk: TradingDesk) -> None:
    assert desk.command(Toggle("cross mm", True)) == Answer(True, "cross mm on")
    desk.until(lambda: all(map(desk.open, desk.truths)))
    by_hand_order = desk.rest("okx")
    assert desk.command(Toggle("cross mm")) == Answer(True, "cross mm off")
    desk.until(lambda: sum(map(desk.open, desk.truths)) == 1)
    assert by_hand_order.live
    assert desk.command(Toggle("cross mm")) == Answer(True, "cross mm on")


def test_a_strategy_that_traded_too_often_is_enabled_by_switching_it_on(desk: TradingDesk) -> None:
    assert desk.command(Set("limits.max_repeats", "1")).accepted
    for _ in range(2):
        desk.take("okx", code=MARKET_MAKING)
    assert desk.trading.risk.off.keys() == {MARKET_MAKING}
    assert desk.command(Toggle("cross mm", True)).accepted
    assert not desk.trading.risk.off


def test_a_venue_is_halted_until_it_is_resumed(desk: TradingDesk) -> None:
    desk.rest("okx")
    assert desk.command(Halt("okx")) == Answer(True, "okx halted")
    assert desk.engine.state_reason == "okx: by hand"
    desk.until(lambda: not desk.open("okx"))
    refused = desk.command(Place("okx", PERP, "buy", f"{desk.price('okx', 'buy', 50):f}", "0.010"))
    assert refused.text.startswith("halted: ")
    desk.until(lambda: desk.command(Resume("okx")).accepted)
    assert desk.engine.state == "ARMED"
    desk.rest("okx")


def test_a_kill_is_ended_by_its_word_once_all_is_verified(desk: TradingDesk) -> None:
    desk.rest("okx")
    desk.switch("arbitrage", on=True)
    killed = desk.command(Kill("key K"))
    assert killed == Answer(True, "killed: cancels are on their way to binance, bybit and okx")
    early = desk.command(Rearm("ARM"))
    assert not early.accepted
    assert early.text.startswith("not re-armed: ")
    assert "is not verified zero" in early.text
    on = desk.command(Toggle("arbitrage", True))
    assert on == Answer(False, "arbitrage stays off while everything is killed: re-arm first")
    desk.until(lambda: desk.trading.kill.done)
    assert desk.command(Rearm("")) == Answer(False, "type ARM to re-arm")
    assert desk.command(Rearm("arm")) == Answer(False, "type ARM to re-arm")
    assert desk.command(Rearm("ARM")) == Answer(True, "armed again")
    assert [strategy.on for strategy in desk.trading.strategies] == [False] * 3


def test_flattening_takes_every_position_to_zero(desk: TradingDesk) -> None:
    desk.take("okx", "buy", "0.020")
    desk.take("bybit", "sell", "0.030")
    assert desk.command(Kill("key F", flatten=True)).accepted
    desk.until(lambda: desk.trading.kill.done)
    assert not any(desk.trading.position(desk.listing(venue)) for venue in desk.truths)


def test_a_parameter_is_in_force_at_once(desk: TradingDesk) -> None:
    price = f"{desk.price('okx', 'buy', 50):f}"
    assert desk.command(Set("limits.max_order_size", "0.005")).accepted
    refused = desk.command(Place("okx", PERP, "buy", price, "0.010"))
    assert refused.text.startswith("order_size: 0.010 against 0.005")
    assert desk.engine.config.limits.max_order_size == Decimal("0.005")
