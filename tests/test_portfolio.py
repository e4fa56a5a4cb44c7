"""Books that balance, whatever order the news come in."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftmm.core.instrument import Kind, Listing, Side
from hftmm.core.order import Balance, Fill, Funding, Position
from hftmm.risk.holding import RECENT, Holding
from hftmm.risk.ledger import Counter
from hftmm.risk.portfolio import Opening, OpenPosition, Portfolio
from tests.books import SECOND, listing

SPOT = listing("binance")
PERPETUAL = listing("binance", kind=Kind.LINEAR)
UNIFIED = listing("bybit")
NOW = 1_750_000_000 * SECOND
ZERO = Decimal(0)


def fill(
    size: str | Decimal,
    price: str | Decimal,
    side: Side = "buy",
    *,
    of: Listing = PERPETUAL,
    fee: str | None = "0",
    fee_asset: str = "USDT",
    trade_id: str = "1",
    at: int = NOW,
) -> Fill:
    return Fill(
        of,
        trade_id,
        "c",
        "v",
        side,
        Decimal(price),
        Decimal(size),
        None if fee is None else Decimal(fee),
        fee_asset,
        True,
        at,
        at,
    )


def balance(
    total: str,
    asset: str = "USDT",
    wallet: str = "linear",
    *,
    venue: str = "binance",
    available: str | None = None,
    at: int = NOW,
) -> Balance:
    free = Decimal(total if available is None else available)
    return Balance(venue, wallet, asset, Decimal(total), free, at, at)


def opened(*balances: Balance, positions: tuple[OpenPosition, ...] = ()) -> Portfolio:
    portfolio = Portfolio()
    portfolio.open(Opening(NOW, balances, positions))
    return portfolio


# ---- properties -------------------------------------------------------------------------------

sizes = st.integers(1, 50).map(lambda n: Decimal(n) / 1000)
prices = st.integers(9_000, 11_000).map(lambda n: Decimal(n) / 100)
fees = st.sampled_from([None, "0", "0.013", "-0.004"])
rows = st.tuples(sizes, prices, st.sampled_from(["buy", "sell"]), fees)
histories = st.lists(rows, min_size=1, max_size=25)


def told(history: list[tuple[Decimal, Decimal, Side, str | None]], of: Listing) -> list[Fill]:
    fee_asset = of.base if of.kind is Kind.SPOT else "USDT"
    return [
        fill(
            size, price, side, of=of, fee=fee, fee_asset=fee_asset, trade_id=str(n), at=NOW + n // 2
        )
        for n, (size, price, side, fee) in enumerate(history)
    ]


@pytest.mark.parametrize("of", [PERPETUAL, SPOT, UNIFIED], ids=lambda of: of.key)
@given(history=histories, mark=prices)
def test_pnl_is_cash_plus_position_times_mark_and_the_ledger_sums_to_zero(
    of: Listing, history: list[tuple[Decimal, Decimal, Side, str | None]], mark: Decimal
) -> None:
    portfolio = Portfolio()
    cash = position = ZERO
    for news in told(history, of):
        portfolio.filled(news, NOW)
        signed = news.size if news.side == "buy" else -news.size
        cash -= signed * news.price
        position += signed
        if of.kind is Kind.SPOT:
            position -= news.fee or ZERO
        else:
            cash -= news.fee or ZERO
        portfolio._check()
    portfolio.marked(of, mark)
    portfolio._check()
    assert portfolio.position(of) == position
    assert portfolio.pnl(of).total == cash + position * mark
    assert portfolio.day_pnl() == portfolio.pnl(of).total
    assert portfolio.day_pnl(of.venue) == portfolio.pnl(of).total
    if of.kind is Kind.SPOT:
        wallet = portfolio.wallet(of)
        assert portfolio.ledger.balance(of.venue, wallet, "BTC") == position
        assert portfolio.ledger.balance(of.venue, wallet, "USDT") == cash
    else:
        made = portfolio.pnl(of).realised - portfolio.pnl(of).fees
        assert portfolio.ledger.balance(of.venue, portfolio.wallet(of), "USDT") == made


@pytest.mark.parametrize("of", [PERPETUAL, SPOT], ids=lambda of: of.key)
@given(history=histories, data=st.data())
def test_the_order_in_which_fills_and_fees_are_told_does_not_matter(
    of: Listing, history: list[tuple[Decimal, Decimal, Side, str | None]], data: st.DataObject
) -> None:
    news = told(history, of)
    first, second = Portfolio(), Portfolio()
    for event in news:
        first.filled(event, NOW)
    for event in data.draw(st.permutations(news)):
        if data.draw(st.booleans()):
            second.filled(event, NOW)
        else:
            second.filled(msgspec.structs.replace(event, fee=None), NOW)
            second.fee_told(event, NOW)
    for portfolio in (first, second):
        portfolio.marked(of, Decimal(100))
    assert second.opening(NOW) == first.opening(NOW)
    assert second.pnl(of) == first.pnl(of)


@given(history=histories, cut=st.integers(0, 25))
def test_books_that_are_opened_again_go_on_where_they_stood(
    history: list[tuple[Decimal, Decimal, Side, str | None]], cut: int
) -> None:
    news = told(history, PERPETUAL)
    straight, first = Portfolio(), Portfolio()
    for event in news:
        straight.filled(event, NOW)
    for event in news[:cut]:
        first.filled(event, NOW)
    first.marked(PERPETUAL, Decimal(105))
    second = Portfolio()
    second.open(first.opening(NOW))
    assert second.day_pnl() == pytest.approx(first.day_pnl(), abs=Decimal("1e-9"))
    for event in news[cut:]:
        second.filled(event, NOW)
    for portfolio in (straight, second):
        portfolio.marked(PERPETUAL, Decimal(100))
    assert second.position(PERPETUAL) == straight.position(PERPETUAL)
    assert second.day_pnl() == pytest.approx(straight.day_pnl(), abs=Decimal("1e-9"))


def test_a_trade_told_very_late_is_booked_though_it_can_no_longer_be_sorted_in() -> None:
    holding = Holding()
    for number in range(RECENT + 10):
        holding.traded("buy", Decimal(1), Decimal(100), NOW + number, str(number))
    holding.traded("sell", Decimal(1), Decimal(90), NOW - 1, "late")
    assert holding.size == RECENT + 9
    assert holding.cash == -100 * (RECENT + 10) + 90


# ---- by hand ----------------------------------------------------------------------------------


def test_reducing_realises_at_the_average_entry_and_keeps_it() -> None:
    portfolio = Portfolio()
    trades = [("1", "100", "buy"), ("1", "110", "buy"), ("0.5", "120", "sell")]
    for number, (size, price, side) in enumerate(trades):
        way: Side = "buy" if side == "buy" else "sell"
        portfolio.filled(fill(size, price, way, trade_id=str(number), at=NOW + number), NOW)
    portfolio.marked(PERPETUAL, Decimal(107))
    assert portfolio.entry(PERPETUAL) == 105
    assert portfolio.pnl(PERPETUAL).realised == Decimal("7.5")
    assert portfolio.pnl(PERPETUAL).unrealised == Decimal("3")


def test_a_flip_realises_all_that_was_held_and_enters_at_the_new_price() -> None:
    portfolio = Portfolio()
    portfolio.filled(fill("1", "100", at=NOW), NOW)
    portfolio.filled(fill("3", "90", "sell", trade_id="2", at=NOW + 1), NOW)
    assert portfolio.position(PERPETUAL) == -2
    assert portfolio.entry(PERPETUAL) == 90
    assert portfolio.pnl(PERPETUAL).realised == -10


def test_a_spot_buy_credits_less_than_was_bought_when_the_fee_is_in_the_base_coin() -> None:
    portfolio = opened(balance("1000", wallet="spot"), balance("2", "BTC", "spot"))
    portfolio.filled(fill("1", "100", of=SPOT, fee="0.001", fee_asset="BTC"), NOW)
    portfolio.marked(SPOT, Decimal(100))
    assert portfolio.position(SPOT) == Decimal("0.999"), "what was held before is no position"
    assert portfolio.ledger.balance("binance", "spot", "BTC") == Decimal("2.999")
    assert portfolio.ledger.balance("binance", "spot", "USDT") == 900
    assert portfolio.pnl(SPOT).fees == Decimal("0.1")
    assert portfolio.day_pnl() == Decimal("-0.1")
    assert portfolio.ledger.total(Counter.FEES, "binance", "BTC") == Decimal("-0.001")


def test_a_rebate_is_income() -> None:
    portfolio = Portfolio()
    portfolio.filled(fill("1", "100", fee="-0.01"), NOW)
    assert portfolio.pnl(PERPETUAL).fees == Decimal("-0.01")
    assert portfolio.ledger.balance("binance", "linear", "USDT") == Decimal("0.01")


def test_a_fee_in_a_third_coin_counts_at_its_price_and_is_named_while_it_has_none() -> None:
    portfolio = Portfolio()
    coin = Listing(
        "binance", "BNBUSDT", "BNB/USDT", Kind.SPOT, "BNB", "USDT", "", Decimal("0.1"), Decimal(1)
    )
    portfolio.filled(fill("1", "100", fee="0.01", fee_asset="BNB"), NOW)
    assert portfolio.unvalued() == ["BNB"]
    portfolio.marked(coin, Decimal(600))
    assert portfolio.pnl(PERPETUAL).fees == 6
    assert portfolio.day_pnl() == -6
    assert portfolio.unvalued() == []


def test_funding_is_money_and_no_trade() -> None:
    portfolio = Portfolio()
    portfolio.filled(fill("1", "100"), NOW)
    portfolio.funded(Funding(PERPETUAL, "binance", "USDT", Decimal("-0.3"), NOW, NOW), NOW)
    assert portfolio.position(PERPETUAL) == 1
    assert portfolio.pnl(PERPETUAL).funding == Decimal("-0.3")
    assert portfolio.day_pnl() == Decimal("-0.3")
    assert portfolio.ledger.total(Counter.FUNDING, "binance", "USDT") == Decimal("-0.3")
    portfolio._check()


def test_what_was_carried_into_the_day_counts_from_its_first_mark() -> None:
    carried = OpenPosition(PERPETUAL, Decimal(2), Decimal(50))
    portfolio = opened(positions=(carried,))
    assert portfolio.day_pnl() == 0
    portfolio.marked(PERPETUAL, Decimal(100))
    assert portfolio.day_pnl() == 0
    portfolio.marked(PERPETUAL, Decimal(101))
    assert portfolio.day_pnl() == 2
    assert portfolio.pnl(PERPETUAL).unrealised == 102


def test_a_new_day_begins_at_zero_and_spot_joins_the_baseline() -> None:
    portfolio = Portfolio()
    portfolio.filled(fill("1", "100"), NOW)
    portfolio.filled(fill("1", "100", of=SPOT), NOW)
    for of in (PERPETUAL, SPOT):
        portfolio.marked(of, Decimal(110))
    assert portfolio.day_pnl() == 20
    portfolio.roll()
    assert portfolio.day_pnl() == 0
    assert portfolio.position(PERPETUAL) == 1
    assert portfolio.position(SPOT) == 0
    portfolio.marked(PERPETUAL, Decimal(111))
    portfolio.marked(SPOT, Decimal(111))
    assert portfolio.day_pnl() == 1


def test_drawdown_is_the_fall_from_the_days_peak() -> None:
    portfolio = Portfolio()
    portfolio.filled(fill("1", "100"), NOW)
    falls = []
    for mark in ("101", "105", "103", "106", "95"):
        portfolio.marked(PERPETUAL, Decimal(mark))
        falls.append(portfolio.drawdown())
    assert falls == [0, 0, 2, 0, 11]
    assert portfolio.peak == 6


def test_equity_counts_wallets_at_their_prices_and_open_profit() -> None:
    portfolio = opened(balance("1000"), balance("2", "BTC", "spot"), balance("5", "DOGE", "spot"))
    portfolio.filled(fill("1", "100"), NOW)
    portfolio.marked(PERPETUAL, Decimal(103))
    portfolio.marked(SPOT, Decimal(101))
    assert portfolio.equity() == 1000 + 202 + 3
    assert portfolio.unvalued() == ["DOGE"]


def test_a_position_that_differs_is_a_drift_only_after_the_grace() -> None:
    portfolio = Portfolio()
    portfolio.filled(fill("1", "100"), NOW)
    position = Position(PERPETUAL, Decimal("1.5"), None, None, NOW, NOW)
    assert portfolio.told_position(position, NOW) is None
    assert portfolio.drifts(NOW + 2 * SECOND) == []
    (drift,) = portfolio.drifts(NOW + 3 * SECOND)
    assert str(drift) == (
        "binance position BTC/USDT:USDT: the venue says 1.5, we count 1, a difference of +0.5"
    )
    assert portfolio.drifts(NOW + 3 * SECOND, "okx") == []


def test_a_difference_that_a_fill_on_its_way_explains_is_none() -> None:
    portfolio = opened(balance("1000"))
    portfolio.told_position(Position(PERPETUAL, Decimal(1), None, None, NOW, NOW), NOW)
    portfolio.filled(fill("1", "100"), NOW + SECOND)
    portfolio.told_position(Position(PERPETUAL, Decimal(2), None, None, NOW, NOW), NOW + 2 * SECOND)
    assert portfolio.drifts(NOW + 4 * SECOND) == [], "the clock began again with the second fill"


def test_a_balance_that_differs_is_shown_and_the_operator_may_take_the_venues_word() -> None:
    portfolio = opened(balance("1000"))
    portfolio.told_balance(balance("900", at=NOW + 1), NOW)
    portfolio.told_balance(balance("1000", at=NOW - 1), NOW)
    (drift,) = portfolio.drifts(NOW + 5 * SECOND)
    assert drift.subject == "balance linear USDT"
    assert (drift.ours, drift.theirs) == (Decimal(1000), Decimal(900))
    portfolio.accept(drift, NOW)
    assert portfolio.drifts(NOW + 60 * SECOND) == []
    assert portfolio.ledger.balance("binance", "linear", "USDT") == 900
    assert portfolio.day_pnl() == 0, "a withdrawal is no loss"


def test_a_position_taken_over_from_the_venue_makes_no_profit() -> None:
    portfolio = Portfolio()
    portfolio.marked(PERPETUAL, Decimal(100))
    portfolio.told_position(Position(PERPETUAL, Decimal(-2), None, None, NOW, NOW), NOW)
    (drift,) = portfolio.drifts(NOW) + portfolio.drifts(NOW + 5 * SECOND)
    portfolio.accept(drift, NOW)
    assert portfolio.position(PERPETUAL) == -2
    assert portfolio.day_pnl() == 0
    portfolio._check()


def test_rounding_of_a_venue_is_no_drift() -> None:
    portfolio = opened(balance("1000"))
    portfolio.told_balance(balance("1000.0009"), NOW)
    assert portfolio.drifts(NOW + 60 * SECOND) == []


def test_orders_reserve_what_they_may_spend_until_they_are_gone() -> None:
    portfolio = opened(balance("1000", wallet="spot"), balance("3", "BTC", "spot"), balance("500"))
    portfolio.reserve(SPOT, "a", "buy", Decimal(100), Decimal(2))
    portfolio.reserve(SPOT, "b", "sell", Decimal(100), Decimal(1))
    portfolio.reserve(PERPETUAL, "c", "sell", Decimal(100), Decimal(4))
    assert portfolio.available("binance", "spot", "USDT") == 800
    assert portfolio.available("binance", "spot", "BTC") == 2
    assert portfolio.available("binance", "linear", "USDT") == 100
    portfolio.reserve(SPOT, "a", "buy", Decimal(100), Decimal(1))
    assert portfolio.available("binance", "spot", "USDT") == 900
    for name, of in (("a", SPOT), ("b", SPOT), ("c", PERPETUAL)):
        portfolio.reserve(of, name, "buy", Decimal(100), ZERO)
    assert portfolio.available("binance", "linear", "USDT") == 500
    portfolio._check()


def test_what_the_venue_has_not_counted_yet_is_taken_off_what_it_says_is_free() -> None:
    portfolio = opened(balance("1000"))
    portfolio.reserve(PERPETUAL, "a", "buy", Decimal(100), Decimal(1))
    portfolio.told_balance(balance("1000", available="300"), NOW)
    assert portfolio.available("binance", "linear", "USDT") == 300
    portfolio.reserve(PERPETUAL, "b", "buy", Decimal(100), Decimal(2))
    assert portfolio.available("binance", "linear", "USDT") == 100
    portfolio.reserve(PERPETUAL, "c", "buy", Decimal(100), Decimal(9))
    assert portfolio.available("binance", "linear", "USDT") == 0
    portfolio._check()


def test_margin_is_reserved_by_leverage() -> None:
    portfolio = Portfolio(leverage=Decimal(10))
    portfolio.open(Opening(NOW, (balance("1000"),), ()))
    portfolio.reserve(PERPETUAL, "a", "buy", Decimal(100), Decimal(5))
    assert portfolio.available("binance", "linear", "USDT") == 950


def test_one_wallet_holds_spot_and_perpetuals_where_the_venue_keeps_only_one() -> None:
    portfolio = opened(balance("1000", wallet="", venue="bybit"))
    portfolio.filled(fill("1", "100", of=UNIFIED), NOW)
    assert portfolio.ledger.balance("bybit", "", "USDT") == 900


def test_a_holding_sorts_trades_of_one_stamp_by_their_ids() -> None:
    deals = [("9", "buy", "100"), ("10", "sell", "90"), ("11", "buy", "80")]
    ends = set()
    for order in (deals, deals[::-1], [deals[1], deals[0], deals[2]]):
        holding = Holding()
        for trade_id, side, price in order:
            way: Side = "buy" if side == "buy" else "sell"
            holding.traded(way, Decimal(1), Decimal(price), NOW, trade_id)
        ends.add((holding.size, holding.entry, holding.realised))
    assert ends == {(Decimal(1), Decimal(80), Decimal(-10))}
    assert all(int(a) < int(b) for (a, _, _), (b, _, _) in pairwise(deals))
