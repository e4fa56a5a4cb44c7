"""Where the PnL comes from: parts that add up, and markouts."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftmm.core.instrument import Side
from hftmm.core.order import Funding
from hftmm.desk.snapshot import PnlParts
from hftmm.risk.attribution import KEPT, Attribution, Source
from hftmm.risk.portfolio import Portfolio
from tests.books import SECOND
from tests.test_portfolio import NOW, PERPETUAL, SPOT, fill


def sum_of(p: PnlParts) -> float:
    return p.spread + p.hedge + p.arbitrage + p.fees + p.funding + p.inventory


def test_a_quote_its_hedge_and_an_arbitrage_each_have_their_part() -> None:
    portfolio, attribution = Portfolio(), Attribution()
    trades: list[tuple[Source, Side, str, str, float]] = [
        (Source.SPREAD, "buy", "1", "99", 100.0),
        (Source.HEDGE, "sell", "1", "99.5", 100.0),
        (Source.ARBITRAGE, "buy", "2", "101", 101.5),
        (Source.ARBITRAGE, "sell", "2", "102.5", 101.5),
    ]
    for number, (source, side, size, price, mid) in enumerate(trades):
        news = fill(size, price, side, fee="0.1", trade_id=str(number), at=NOW + number)
        portfolio.filled(news, NOW)
        attribution.filled(news, source, mid, NOW)
    portfolio.funded(Funding(PERPETUAL, "binance", "USDT", Decimal("0.3"), NOW, NOW), NOW)
    portfolio.marked(PERPETUAL, Decimal(103))
    parts = attribution.parts(portfolio)
    assert (parts.spread, parts.hedge, parts.arbitrage) == (1.0, -0.5, 3.0)
    assert (parts.fees, parts.funding, parts.inventory) == (-0.4, 0.3, 0.0)
    assert parts.total == pytest.approx(3.4)


def test_what_the_mid_moves_against_a_position_is_inventory() -> None:
    portfolio, attribution = Portfolio(), Attribution()
    news = fill("2", "99")
    portfolio.filled(news, NOW)
    attribution.filled(news, Source.SPREAD, 100.0, NOW)
    portfolio.marked(PERPETUAL, Decimal(97))
    parts = attribution.parts(portfolio)
    assert (parts.total, parts.spread, parts.inventory) == (-4.0, 2.0, -6.0)


def test_a_fill_without_a_mid_is_inventory_and_has_no_markout() -> None:
    portfolio, attribution = Portfolio(), Attribution()
    news = fill("2", "99")
    portfolio.filled(news, NOW)
    attribution.filled(news, Source.SPREAD, None, NOW)
    portfolio.marked(PERPETUAL, Decimal(100))
    parts = attribution.parts(portfolio)
    assert (parts.total, parts.spread, parts.inventory) == (2.0, 0.0, 2.0)
    attribution.watch(lambda _: 100.0, NOW + SECOND)
    assert attribution.markout(news) is None


def test_parts_of_a_market_in_another_coin_count_at_its_price() -> None:
    portfolio, attribution = Portfolio(), Attribution()
    cross = replace(SPOT, symbol="ETH/BTC", base="ETH", quote="BTC")
    news = fill("10", "0.049", of=cross, fee="0.01", fee_asset="BTC")
    portfolio.filled(news, NOW)
    attribution.filled(news, Source.SPREAD, 0.05, NOW)
    portfolio.marked(cross, Decimal("0.052"))
    portfolio.marked(SPOT, Decimal(1000))
    parts = attribution.parts(portfolio)
    assert (parts.spread, parts.fees, parts.inventory, parts.total) == (10.0, -10.0, 20.0, 20.0)


def test_a_new_day_begins_with_every_part_at_zero() -> None:
    portfolio, attribution = Portfolio(), Attribution()
    news = fill("1", "99", fee="0.1")
    portfolio.filled(news, NOW)
    attribution.filled(news, Source.SPREAD, 100.0, NOW)
    portfolio.marked(PERPETUAL, Decimal(102))
    portfolio.roll()
    attribution.roll()
    assert attribution.parts(portfolio) == PnlParts()


trades = st.tuples(
    st.sampled_from(["buy", "sell"]),
    st.integers(1, 50).map(lambda n: Decimal(n) / 1000),
    st.integers(9_000, 11_000).map(lambda n: Decimal(n) / 100),
    st.integers(9_000, 11_000).map(lambda n: n / 100),
    st.sampled_from(Source),
    st.sampled_from(["0", "0.013", "-0.004"]),
    st.booleans(),
)


@given(history=st.lists(trades, min_size=1, max_size=25), mark=st.integers(9_000, 11_000))
def test_the_parts_add_up_and_inventory_is_what_the_mid_moved(
    history: list[tuple[Side, Decimal, Decimal, float, Source, str, bool]], mark: int
) -> None:
    portfolio, attribution = Portfolio(), Attribution()
    price = Decimal(mark) / 100
    moved = Decimal(0)
    for number, (side, size, at, mid, source, fee, spot) in enumerate(history):
        of = SPOT if spot else PERPETUAL
        news = fill(size, at, side, of=of, fee=fee, trade_id=str(number), at=NOW + number)
        portfolio.filled(news, NOW)
        attribution.filled(news, source, mid, NOW)
        moved += (size if side == "buy" else -size) * (price - Decimal(repr(mid)))
    for of in (SPOT, PERPETUAL):
        portfolio.marked(of, price)
    parts = attribution.parts(portfolio)
    assert parts.inventory == pytest.approx(float(moved), abs=1e-9)
    assert parts.total == pytest.approx(sum_of(parts), abs=1e-9)
    assert parts.total == pytest.approx(float(portfolio.day_pnl()), abs=1e-9)


@pytest.mark.parametrize(("side", "bps"), [("buy", 20.0), ("sell", -20.0)])
def test_a_markout_is_what_the_mid_moved_our_way_in_a_second(side: Side, bps: float) -> None:
    attribution = Attribution()
    news = fill("1", "99", side)
    attribution.filled(news, Source.SPREAD, 100.0, NOW)
    attribution.watch(lambda _: 100.1, NOW + SECOND - 1)
    assert attribution.markout(news) is None
    attribution.watch({"BTC/USDT:USDT": 100.2}.get, NOW + SECOND)
    attribution.watch(lambda _: 101.0, NOW + 2 * SECOND)
    assert attribution.markout(news) == pytest.approx(bps)


def test_a_market_without_a_mid_after_a_second_has_no_markout() -> None:
    attribution = Attribution()
    news = fill("1", "99")
    attribution.filled(news, Source.SPREAD, 100.0, NOW)
    attribution.watch(lambda _: None, NOW + SECOND)
    attribution.watch(lambda _: 101.0, NOW + 2 * SECOND)
    assert attribution.markout(news) is None


def test_the_oldest_markouts_are_forgotten() -> None:
    attribution = Attribution()
    news = [fill("1", "99", trade_id=str(number)) for number in range(KEPT + 1)]
    for one in news:
        attribution.filled(one, Source.SPREAD, 100.0, NOW)
    attribution.watch(lambda _: 100.0, NOW + SECOND)
    assert attribution.markout(news[0]) is None
    assert attribution.markout(news[1]) == 0.0
    assert attribution.markout(news[-1]) == 0.0
