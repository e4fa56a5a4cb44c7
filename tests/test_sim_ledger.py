"""Money at the practice venues: positions, balances, fees, margin, funding and liquidation."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftmm.core.fees import FeeRates
from hftmm.core.instrument import Kind, Side
from hftmm.sim.ledger import (
    DEMO,
    BalanceChanged,
    Funding,
    Position,
    PositionChanged,
    start_balances,
)
from hftmm.sim.orders import Order, Refused
from tests.practice_broker import HOUR, LINEAR, SECOND, SPOT, Desk, spec

GRAIN = Decimal("1E-12")
D = Decimal
MILLION = D(1_000_000)


def money(*amounts: int | Decimal) -> tuple[Decimal, ...]:
    return tuple(D(amount) for amount in amounts)


def position(*trades: tuple[Side, str, str]) -> tuple[Position, list[Decimal]]:
    held = Position()
    return held, [held.trade(side, D(size), D(price), GRAIN) for side, size, price in trades]


def test_the_entry_of_a_growing_position_is_the_average_price() -> None:
    held, realised = position(("buy", "1", "100"), ("buy", "3", "104"))
    assert (held.base, held.entry, *realised) == money(4, 103, 0, 0)


def test_a_reduction_realises_profit_and_keeps_the_entry() -> None:
    held, realised = position(("buy", "4", "100"), ("sell", "1", "110"))
    assert (held.base, held.entry, held.realised, *realised) == money(3, 100, 10, 0, 10)


def test_a_short_gains_when_the_price_falls() -> None:
    held, realised = position(("sell", "2", "100"), ("buy", "1", "90"), ("buy", "1", "105"))
    assert (held.base, held.entry, *realised) == money(0, 0, 0, 10, -5)


def test_a_flip_closes_at_a_profit_and_opens_the_rest_at_its_own_price() -> None:
    held, realised = position(("buy", "1", "100"), ("sell", "3", "110"))
    assert (held.base, held.entry, *realised) == money(-2, 110, 0, 10)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("buy", "sell")), st.integers(1, 10_000), st.integers(1, 200_000)
        ),
        max_size=40,
    )
)
def test_profit_is_cash_and_what_is_open_whatever_the_rounding(
    trades: list[tuple[Side, int, int]],
) -> None:
    held = Position()
    cash = D(0)
    for side, lots, ticks in trades:
        size, price = D(lots) / 1000, D(ticks) / 10
        before = held.base
        gained = held.trade(side, size, price, GRAIN)
        cash -= size * price if side == "buy" else -size * price
        assert held.realised == cash + held.cost
        if not before or (before > 0) == (side == "buy"):
            assert gained == 0
        assert (held.cost >= 0) == (held.base >= 0) or held.base == 0
    if not held.base:
        assert held.cost == 0


def test_a_practice_account_begins_with_about_as_much_of_everything() -> None:
    balances = start_balances([LINEAR, SPOT, spec(base="SOL"), spec(base="XRP")])
    assert (balances["USDT"], balances["BTC"], balances["ETH"]) == money(MILLION, 20, 300)
    assert balances["BNB"] == 100
    assert (balances["SOL"], balances["XRP"]) == money(6800, 480_000)


@pytest.mark.parametrize("unified", [True, False])
def test_spot_and_contracts_share_a_wallet_only_if_unified(unified: bool) -> None:
    desk = Desk(unified=unified)
    desk.place("buy", 1001, one=SPOT)
    assert desk.account.spot["USDT"].total == MILLION - 1001
    assert desk.account.linear["USDT"].total == MILLION - (1001 if unified else 0)
    assert desk.account.wallet_name(Kind.LINEAR) == ("unified" if unified else "linear")
    desk.place("buy", 1001)
    fee = D("0.5005")
    assert desk.account.linear["USDT"].total == MILLION - (1001 if unified else 0) - fee


def test_a_spot_buy_pays_its_fee_in_what_it_receives_and_a_sell_in_quote() -> None:
    desk = Desk()
    bought = desk.place("buy", 1001, one=SPOT).fills[0]
    assert (bought.fee, bought.fee_asset, bought.realised) == (D("0.001"), "BTC", D(0))
    assert desk.account.spot["BTC"].total == D("20.999")
    sold = desk.place("sell", 999, one=SPOT).fills[0]
    assert (sold.fee, sold.fee_asset) == (D("0.999"), "USDT")
    assert desk.account.spot["USDT"].total == MILLION - 1001 + 999 - D("0.999")


def test_a_venue_may_take_spot_fees_in_quote_alone() -> None:
    bought = Desk(spot_fee_in="quote").place("buy", 1001, one=SPOT).fills[0]
    assert (bought.fee, bought.fee_asset) == (D("1.001"), "USDT")


def test_makers_and_takers_pay_their_own_rate_on_contracts_in_the_collateral() -> None:
    desk = Desk()
    taken = desk.place("buy", 1001).fills[0]
    assert (taken.fee, taken.fee_asset, taken.maker) == (D("0.5005"), "USDT", False)
    made = desk.place("sell", 1001)
    desk.crowd("buy", 1001, 6000)
    assert [(fill.fee, fill.maker) for fill in made.fills] == [(D("0.2002"), True)]


def test_a_rebate_is_a_fee_below_zero() -> None:
    rebate = {kind: FeeRates(D(-1), D(5)) for kind in (Kind.SPOT, Kind.LINEAR)}
    desk = Desk(fees=rebate)
    made = [desk.place("buy", 1000, one=one) for one in (LINEAR, SPOT)]
    for one in (LINEAR, SPOT):
        desk.crowd("sell", 1000, 1000, one)
    assert [order.fills[0].fee for order in made] == [D("-0.1"), D("-0.0001")]
    assert desk.account.spot["BTC"].total == D("21.0001")
    desk.broker._check()


def test_profit_reaches_the_balance_when_it_is_realised_and_not_before() -> None:
    desk = Desk()
    desk.place("buy", 1001)
    desk.market.marks[LINEAR.symbol] = 1100.0
    desk.pass_time(SECOND)
    assert desk.broker.unrealised(desk.account, LINEAR) == 99
    before = desk.account.linear["USDT"].total
    desk.crowd("buy", 1050, 5000)
    sold = desk.place("sell", 1050).fills[0]
    assert sold.realised == 49
    assert desk.account.linear["USDT"].total == before + 49 - sold.fee
    assert desk.account.position(LINEAR).realised == 49


def test_a_resting_spot_order_locks_what_it_needs_and_gives_it_back() -> None:
    desk = Desk()
    bid = desk.place("buy", 900, 2000, one=SPOT)
    ask = desk.place("sell", 1100, 3000, one=SPOT)
    usdt, btc = desk.account.spot["USDT"], desk.account.spot["BTC"]
    assert (usdt.locked, btc.locked) == money(1800, 3)
    assert (usdt.free, btc.free) == money(MILLION - 1800, 17)
    desk.crowd("sell", 900, 5500, one=SPOT)
    assert (bid.filled_lots, usdt.locked) == (500, D(1350))
    for order in (bid, ask):
        desk.broker.cancel(desk.account, order.id, SPOT, desk.now_ns)
    assert (usdt.locked, btc.locked) == money(0, 0)


def test_spot_needs_the_money_and_the_coins() -> None:
    desk = Desk()
    assert desk.refused("buy", 1000, 1_000_001, one=SPOT) == "balance"
    assert desk.refused("sell", 1002, 20_001, one=SPOT) == "balance"
    desk.place("sell", 1100, 20_000, one=SPOT)
    assert desk.refused("sell", 1100, 2000, one=SPOT) == "balance"


def test_a_market_buy_needs_what_the_book_asks_not_the_end_of_the_band() -> None:
    desk = Desk()
    desk.crowd("sell", 1006, 10_000_000, one=SPOT)
    assert desk.refused("buy", None, 995_000, one=SPOT) == "balance"
    order = desk.place("buy", None, 993_000, one=SPOT)
    assert order.state == "filled"


def test_orders_reserve_margin_by_leverage_beyond_what_they_reduce() -> None:
    desk = Desk()
    desk.place("buy", 900, 10_000)
    assert desk.broker.margins(desk.account, LINEAR) == money(0, 900)
    desk.place("sell", 1100, 5_000)
    assert desk.broker.margins(desk.account, LINEAR) == money(0, 900)
    desk.place("buy", 1001, 1000)
    assert desk.broker.margins(desk.account, LINEAR) == money(100, 900)
    desk.place("sell", 1100, 10_000)
    assert desk.broker.margins(desk.account, LINEAR) == money(100, 1450)
    spare = MILLION - D("0.5005") - 1550 - 1
    assert desk.broker.available(desk.account, kind=Kind.LINEAR) == spare


def test_a_contract_order_without_margin_is_refused_until_leverage_rises() -> None:
    desk = Desk()
    assert desk.refused("buy", 1000, 10_000_001) == "margin"
    assert desk.broker.set_leverage(desk.account, LINEAR, D(20)) is None
    desk.place("buy", 1000, 10_000_001)
    lowered = desk.broker.set_leverage(desk.account, LINEAR, D(5))
    assert isinstance(lowered, Refused)
    assert lowered.rule == "margin"
    assert desk.account.leverage_of(LINEAR) == 20


@pytest.mark.parametrize("leverage", [D("0.5"), D(0), D(-3), D(101)])
def test_leverage_has_bounds(leverage: Decimal) -> None:
    desk = Desk()
    refused = desk.broker.set_leverage(desk.account, LINEAR, leverage)
    assert isinstance(refused, Refused)
    assert refused.rule == "leverage"


def test_an_order_that_reduces_needs_no_margin() -> None:
    desk = Desk()
    desk.crowd("sell", 1000, 9_000_000)
    desk.place("buy", 1000, 9_000_000)
    desk.market.marks[LINEAR.symbol] = 990.0
    desk.pass_time(SECOND)
    assert desk.refused("buy", 990, 3_000_000) == "margin"
    desk.place("sell", 990, 9_000_000)


def test_margin_of_contracts_is_not_there_for_spot_in_a_unified_wallet() -> None:
    desk = Desk()
    desk.place("buy", 990, 5_000_000)
    assert desk.broker.available(desk.account) == MILLION - 495_000
    assert desk.refused("buy", 1000, 600_000, one=SPOT) == "balance"
    split = Desk(unified=False)
    split.place("buy", 990, 5_000_000)
    split.place("buy", 1000, 600_000, one=SPOT)


def test_an_unrealised_loss_binds_spot_and_a_gain_does_not_free_it() -> None:
    desk = Desk()
    desk.place("buy", 1001)
    total = desk.account.linear["USDT"].total
    for mark, spare in ((901.0, total - D("90.1") - 100), (1101.0, total - D("110.1"))):
        desk.market.marks[LINEAR.symbol] = mark
        desk.pass_time(SECOND)
        assert desk.broker.available(desk.account) == spare
    assert desk.broker.available(desk.account, kind=Kind.LINEAR) == total - D("110.1") + 100
    assert desk.broker.equity(desk.account) == total + 100
    assert desk.broker.equity(desk.account, "BTC", Kind.SPOT) == 20


@pytest.mark.parametrize(("side", "amount"), [("buy", D("-0.1")), ("sell", D("0.1"))])
def test_longs_pay_shorts_at_the_funding_hour_at_the_mark(side: Side, amount: Decimal) -> None:
    desk = Desk()
    desk.place(side, 1000, time_in_force="gtc")
    desk.crowd("sell" if side == "buy" else "buy", 1000, 1000)
    before = desk.account.linear["USDT"].total
    desk.account.events.clear()
    desk.pass_time(8 * HOUR - START_OFFSET - 1)
    assert desk.account.fundings == []
    desk.pass_time(1)
    due_ns = desk.now_ns
    assert desk.account.fundings == [Funding(LINEAR, D("0.0001"), amount, due_ns)]
    assert desk.account.linear["USDT"].total == before + amount
    assert desk.account.position(LINEAR).funding == -amount
    kinds = [type(event) for event in desk.account.events]
    assert kinds == [Funding, BalanceChanged, PositionChanged]
    desk.pass_time(8 * HOUR - 1)
    assert len(desk.account.fundings) == 1
    desk.pass_time(24 * HOUR)
    assert len(desk.account.fundings) == 4


START_OFFSET = (1_000 % 8) * HOUR


def test_a_fill_after_the_funding_hour_is_not_funded_for_it() -> None:
    desk = Desk()
    bid = desk.place("buy", 1000)
    # The flow trades while the market advances, before the broker hears of the time.
    desk.now_ns += 9 * HOUR
    desk.crowd("sell", 1000, 1000)
    desk.market.advance(desk.now_ns)
    desk.broker.advance(desk.now_ns)
    assert bid.state == "filled"
    assert desk.account.fundings == []


def test_an_account_below_maintenance_loses_its_orders_and_its_position() -> None:
    desk = Desk()
    desk.broker.set_leverage(desk.account, LINEAR, D(100))
    desk.crowd("sell", 1000, 50_000_000)
    desk.place("buy", 1000, 50_000_000)
    resting = desk.place("buy", 900, 1000)
    desk.market.marks[LINEAR.symbol] = 984.0
    desk.crowd("buy", 975, 60_000_000)
    desk.pass_time(SECOND)
    assert (resting.state, resting.reason) == ("canceled", "liquidation")
    assert desk.account.position(LINEAR).base == 0
    assert desk.account.executions[-1].order.reason == "liquidation"


def test_a_deposit_counts_and_can_be_taken_out() -> None:
    desk = Desk()
    desk.broker.deposit(desk.account, Kind.SPOT, "SOL", D(5), desk.now_ns)
    desk.broker.deposit(desk.account, Kind.SPOT, "SOL", D(-2), desk.now_ns)
    assert desk.account.spot["SOL"].total == 3
    changed = [event for event in desk.account.take_events() if isinstance(event, BalanceChanged)]
    assert [(event.delta, event.cause) for event in changed] == [
        (D(5), "transfer"),
        (D(-2), "transfer"),
    ]
    desk.broker._check()


def test_coins_are_worth_their_index_and_unlisted_ones_a_price_of_their_own() -> None:
    desk = Desk()
    assert desk.broker.price("USDT") == 1
    assert desk.broker.price("BTC") == 1000
    assert desk.broker.price("BNB") > 0


def test_credentials_never_show_what_signs() -> None:
    assert "secret" not in f"{DEMO!r} {DEMO}"
    assert "passphrase" not in f"{DEMO!r} {DEMO}"


def test_a_key_finds_its_account_and_an_unknown_one_finds_none() -> None:
    desk = Desk()
    assert desk.broker.login("practice-key") == (DEMO, desk.account)
    assert desk.broker.login("nobody") is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda desk: setattr(desk.account.spot["USDT"], "total", D(1)),
        lambda desk: setattr(desk.account.spot["USDT"], "locked", D(1)),
        lambda desk: setattr(desk.account.positions[LINEAR.symbol], "base", D(2)),
        lambda desk: setattr(desk.account.positions[LINEAR.symbol], "cost", D(2)),
        lambda desk: desk.account.executions.append(desk.account.executions[0]),
        lambda desk: setattr(_open(desk), "filled_lots", 1),
        lambda desk: setattr(_open(desk), "lots", 5000),
        lambda desk: desk.account.open.clear(),
        lambda desk: desk.engine().cancel(_open(desk).resting_id, 0),
    ],
)
def test_the_audit_finds_whatever_does_not_add_up(spoil: object) -> None:
    desk = Desk()
    desk.place("buy", 1001)
    desk.place("buy", 900, 3000)
    assert callable(spoil)
    spoil(desk)
    with pytest.raises(AssertionError):
        desk.broker._check()


def _open(desk: Desk) -> Order:
    return next(iter(desk.account.open.values()))
