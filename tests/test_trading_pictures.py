"""What a viewer sees of what trades, and what the line of status says of it."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import pairwise

import msgspec
import pytest

from hftmm.desk.commands import Halt, Kill, Set, Toggle, View
from hftmm.engine import publisher
from hftmm.engine.results import FIRST_STEP_NS, POINTS, Results
from hftmm.execution.order import Order
from hftmm.risk.portfolio import Portfolio
from hftmm.strategy.base import MARKET_MAKING
from tests.engines import floor
from tests.trading_desk import PERP, TradingDesk

SPOT = "BTC/USDT"


@pytest.fixture
def desk() -> TradingDesk:
    return TradingDesk().armed()


def status(desk: TradingDesk) -> dict[str, object]:
    """The line of status, as a reader of JSON has it."""
    encoded = msgspec.json.encode(publisher.status(desk.engine, desk.now_ns))
    found: dict[str, object] = json.loads(encoded)
    return found


def test_an_engine_that_only_watches_shows_nothing_of_trading() -> None:
    at = floor()
    picture = publisher.snapshot(at.engine, View(), 1, at.now_ns)
    assert not picture.trades
    assert (picture.equity, picture.day_pnl, picture.kill) == (None, None, None)
    assert not picture.orders
    assert not picture.strategies
    assert "trading" not in publisher.status(at.engine, at.now_ns)


def test_orders_are_shown_live_ones_first_and_newest_first(desk: TradingDesk) -> None:
    first = desk.rest("okx")
    second = desk.rest("bybit", "sell")
    desk.trading.cancel(first.client_id, desk.now_ns)
    desk.until(lambda: not first.live)
    third = desk.rest("okx")
    rows = desk.picture().orders
    assert [row.client_id for row in rows] == [
        third.client_id,
        second.client_id,
        first.client_id,
    ]
    assert [row.live for row in rows] == [True, True, False]
    row = rows[1]
    assert (row.venue, row.market, row.side, row.state) == ("bybit", PERP, "sell", "open")
    assert (row.size, row.filled, row.strategy) == ("0.01", "0", "by hand")
    assert Decimal(row.price) == second.price
    assert row.age_ms == (desk.now_ns - second.created_ns) / 1e6
    assert rows[2].state == "canceled"


def test_a_fill_shows_its_fee_whose_it_was_and_where_the_market_went(desk: TradingDesk) -> None:
    order = desk.take("okx", size="0.020")
    row = desk.picture().fills[0]
    (booked,) = (traded.fill for traded in desk.trading.office.fills)
    assert (row.venue, row.market, row.side, row.size) == ("okx", PERP, "buy", "0.02")
    assert (row.client_id, row.trade_id) == (order.client_id, booked.trade_id)
    assert (row.strategy, row.maker, row.fee_asset) == ("by hand", False, "USDT")
    assert Decimal(row.fee) == booked.fee
    assert row.markout_bps is None
    desk.run(1.5)
    assert desk.picture().fills[0].markout_bps is not None
    assert desk.picture().fills_total == 1


def test_a_fill_of_market_making_says_what_became_of_its_risk(desk: TradingDesk) -> None:
    desk.take("okx", code=MARKET_MAKING)
    desk.until(lambda: not desk.trading.hedger.unhedged.get(PERP))
    hedge, maker = desk.picture().fills[:2]
    assert (hedge.strategy, hedge.side, maker.strategy) == ("hedger", "sell", "cross mm")
    assert Decimal(hedge.size) == Decimal("0.01")
    assert hedge.venue != "okx"
    assert hedge.venue in maker.hedge


def test_positions_and_balances_are_those_that_there_are(desk: TradingDesk) -> None:
    assert desk.picture().positions == ()
    desk.take("okx", size="0.020")
    desk.run(0.2)
    (row,) = desk.picture().positions
    assert (row.venue, row.market, row.size, row.drift) == ("okx", PERP, "0.02", "")
    entry = desk.trading.portfolio.entry(desk.listing("okx"))
    assert entry is not None
    assert row.entry == float(entry)
    assert row.mark is not None
    assert row.unrealised == pytest.approx((row.mark - float(entry)) * 0.02)
    assert row.fees > 0
    picture = desk.picture()
    assert picture.ladder.entry == row.entry
    usdt = {(each.venue, each.wallet): each for each in picture.balances if each.asset == "USDT"}
    assert usdt.keys() == {("binance", "linear"), ("bybit", ""), ("okx", "")}
    assert Decimal(usdt["okx", ""].total) < 1_000_000
    assert usdt["okx", ""].drift == ""


def test_the_ladder_shows_the_average_of_the_side_we_are_on_and_none_while_we_are_even(
    desk: TradingDesk,
) -> None:
    desk.take("okx", "buy", "0.020")
    desk.take("bybit", "sell", "0.020")
    desk.run(0.2)
    assert desk.picture().ladder.entry is None
    desk.take("bybit", "sell", "0.010")
    desk.run(0.2)
    picture = desk.picture()
    entries = {row.venue: row.entry for row in picture.positions}
    assert picture.ladder.entry == pytest.approx(entries["bybit"])
    assert picture.ladder.entry != pytest.approx(entries["okx"], abs=0.01)


def test_prices_stand_on_the_grid_of_their_market(desk: TradingDesk) -> None:
    desk.take("okx", size="0.020")
    picture = desk.picture()
    decimals = desk.listing("okx").decimals
    for text in (picture.orders[0].price, picture.fills[0].price):
        assert len(text.partition(".")[2]) == decimals
    assert {row.decimals for row in picture.markets} == {
        max(member.book.listing.decimals for member in market.members)
        for market in desk.engine.markets.values()
    }


def test_a_difference_is_shown_where_it_is_and_among_the_differences(desk: TradingDesk) -> None:
    usdt = desk.truths["okx"].account.wallet(desk.listing("okx").kind)["USDT"]
    usdt.total += 500
    desk.until(lambda: desk.trading.accounts["okx"].differences, 100)
    picture = desk.picture()
    row = next(row for row in picture.balances if (row.venue, row.asset) == ("okx", "USDT"))
    assert row.drift == "the venue says 1000500, +500"
    ((venue, words),) = picture.differences
    assert venue == "okx"
    assert "okx balance USDT: the venue says 1000500" in words
    account = next(row.account for row in picture.risk if row.venue == "okx")
    assert account == f"{words}: accept it, or put it right there"


def test_our_orders_stand_on_the_ladder_with_what_is_ahead_of_them(desk: TradingDesk) -> None:
    order = desk.order("bybit", away_bps=0.0)
    assert isinstance(order, Order)
    desk.until(lambda: any(level.queue is not None for level in desk.picture().ladder.own), 5)
    (level,) = desk.picture().ladder.own
    assert (level.side, level.price, level.size) == ("buy", float(order.price), 0.01)
    assert level.queue is not None
    assert level.queue >= 0.0
    rows = desk.picture().orders
    assert rows[0].queue == level.queue
    desk.rest("okx")
    assert len(desk.picture().ladder.own) == 2


def test_orders_of_another_market_are_not_on_this_ladder() -> None:
    desk = TradingDesk(symbols=(PERP, SPOT)).armed()
    desk.rest("okx")
    assert len(desk.picture(PERP).ladder.own) == 1
    assert desk.picture(SPOT).ladder.own == ()


def test_risk_is_shown_venue_by_venue_and_in_total(desk: TradingDesk) -> None:
    desk.take("okx", size="0.020")
    desk.rest("okx")
    desk.rest("bybit", "sell")
    assert desk.command(Halt("binance")).accepted
    desk.run(0.2)
    picture = desk.picture()
    rows = {row.venue: row for row in picture.risk}
    assert (rows["okx"].position, rows["okx"].open_orders) == (0.02, 1)
    assert rows["okx"].day_pnl < 0
    assert 0 < rows["okx"].rate_used < 1
    assert rows["okx"].dead_man == "on"
    assert rows["bybit"].dead_man == "none"
    assert rows["binance"].halted == "by hand"
    assert (rows["okx"].halted, rows["okx"].account) == ("", "")
    totals = picture.risk_totals
    assert (totals.position, totals.open_orders) == (0.02, 2)
    assert totals.worst_case == pytest.approx(0.04)
    assert totals.unhedged == 0.0
    assert totals.unhedged_ms is None
    assert totals.day_pnl == picture.day_pnl
    assert totals.order_limit == desk.engine.config.limits.max_open_orders


def test_what_is_unhedged_is_shown_with_its_age_and_limit(desk: TradingDesk) -> None:
    desk.switch("hedger", on=False)
    desk.take("okx", code=MARKET_MAKING)
    desk.run(0.5)
    totals = desk.picture().risk_totals
    assert totals.unhedged == 0.01
    assert totals.unhedged_ms is not None
    assert totals.unhedged_ms >= 500
    assert totals.unhedged_limit_ms == desk.engine.config.hedging.flatten_after_ms


def test_a_venue_without_a_key_says_so_in_its_row() -> None:
    desk = TradingDesk()
    del desk.keys["okx"]
    desk.restart()
    desk.armed()
    rows = {row.venue: row for row in desk.picture().risk}
    assert rows["okx"].account == "no key: it is only watched"


def test_parameters_are_shown_as_they_are_now(desk: TradingDesk) -> None:
    assert desk.command(Set("hedging.step_ms", "200")).accepted
    shown = {each.key: each.value for each in desk.picture().parameters}
    assert shown["hedging.step_ms"] == "200"


def test_a_kill_is_shown_venue_by_venue(desk: TradingDesk) -> None:
    desk.rest("okx")
    assert desk.picture().kill is None
    assert desk.command(Kill("key K")).accepted
    desk.until(lambda: desk.trading.kill.done)
    killed = desk.picture().kill
    assert killed is not None
    assert (killed.reason, killed.done) == ("key K", True)
    assert [row.venue for row in killed.venues] == ["binance", "bybit", "okx"]
    assert all(row.zero_ms is not None for row in killed.venues)
    assert desk.picture().state == "KILLED"
    assert {row.reason for row in desk.picture().strategies} == {"since the kill"}


def test_a_halt_is_named_where_it_keeps_a_quote_away(desk: TradingDesk) -> None:
    assert desk.command(Toggle("cross mm", on=True)).accepted
    assert desk.command(Halt("okx")).accepted
    desk.run(0.2)
    quotes = {row.venue: row for row in desk.picture().strategies[0].quotes}
    assert (quotes["okx"].bid, quotes["okx"].bid_why) == (None, "halted: by hand")


def test_the_line_of_status_has_what_trades_in_it(desk: TradingDesk) -> None:
    desk.take("okx", size="0.020")
    desk.rest("bybit")
    desk.run(0.2)
    told = status(desk)["trading"]
    assert isinstance(told, dict)
    assert told.keys() == {
        "equity",
        "day_pnl",
        "drawdown",
        "strategies",
        "accounts",
        "positions",
        "unhedged",
        "fills",
        "differences",
        "kill",
    }
    assert told["strategies"].keys() == {"cross mm", "arbitrage", "hedger"}
    assert told["strategies"]["cross mm"].keys() == {"on", "state", "reason"}
    assert told["strategies"]["cross mm"]["on"] is False
    assert told["accounts"].keys() == {"binance", "bybit", "okx"}
    bybit = told["accounts"]["bybit"]
    assert (bybit["ready"], bybit["reason"], bybit["halted"], bybit["open_orders"]) == (
        True,
        "",
        "",
        1,
    )
    assert told["accounts"]["okx"]["dead_man"] == "on"
    assert told["positions"] == {PERP: {"okx": "0.02"}}
    assert (told["fills"], told["differences"], told["kill"]) == (1, [], None)
    day = desk.trading.portfolio.day_pnl()
    assert Decimal(told["day_pnl"]) == day.quantize(Decimal("1e-8"))
    assert Decimal(told["drawdown"]) >= -day - Decimal("0.01")


def test_the_line_of_status_tells_of_a_kill_and_of_an_account_that_is_not_there(
    desk: TradingDesk,
) -> None:
    desk.rest("okx")
    desk.command(Kill("key K"))
    desk.until(lambda: desk.trading.kill.done)
    line = status(desk)
    assert (line["state"], line["state_reason"]) == ("KILLED", "key K")
    told = line["trading"]
    assert isinstance(told, dict)
    assert told["kill"]["reason"] == "key K"
    okx = told["kill"]["venues"]["okx"]
    assert (okx["sent"], okx["acked"], okx["problem"]) == (1, 1, "")
    assert okx["zero_ms"] > 0
    begun = status(TradingDesk())["trading"]
    assert isinstance(begun, dict)
    assert begun["accounts"]["okx"]["ready"] is False
    assert begun["accounts"]["okx"]["dead_man"] == "none"


def test_the_line_of_the_day_thins_itself_and_keeps_its_ends() -> None:
    results = Results(Portfolio(), lambda symbol: None, lambda listing: None)
    for second in range(4 * POINTS):
        results.watch(second * FIRST_STEP_NS)
        assert len(results.line) < POINTS
    times = [point.ns // FIRST_STEP_NS for point in results.line]
    assert times[0] == 0
    assert 4 * POINTS - 1 - times[-1] < 8
    steps = {later - sooner for sooner, later in pairwise(times)}
    assert steps == {8}
    results.roll()
    assert results.line == []
    results.watch(0)
    results.watch(FIRST_STEP_NS)
    assert len(results.line) == 2
