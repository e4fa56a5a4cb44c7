"""Orders, fills, positions, balances, PnL and strategies, by their lines of text."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from hftmm.desk.commands import Cancel
from hftmm.desk.snapshot import BalanceRow, DeskSnapshot, OwnLevel, PnlPoint, StrategyRow
from hftmm.terminal.bindings import TABS, KeyTable
from hftmm.terminal.widgets.chart import braille, sampled
from hftmm.terminal.widgets.columns import cell, decimals
from hftmm.terminal.widgets.differences import Differences
from hftmm.terminal.widgets.fills import FillsPane
from hftmm.terminal.widgets.header import Header
from hftmm.terminal.widgets.holdings import BalancesPane, PositionsPane
from hftmm.terminal.widgets.ladder import LadderPane
from hftmm.terminal.widgets.ladder_line import plan
from hftmm.terminal.widgets.lines import LineWidget, text_of, width_of
from hftmm.terminal.widgets.orders import OrdersPane
from hftmm.terminal.widgets.pnl import PnlPane
from hftmm.terminal.widgets.risk import RiskPane
from hftmm.terminal.widgets.strategies import StrategiesPane
from tests.fake_desk import (
    BALANCES,
    FILLS,
    NOON,
    ORDERS,
    POSITIONS,
    SECOND,
    STRATEGIES,
    Clock,
    FakeDesk,
    fill,
    ladder,
    order,
    position,
    quote,
    risk_row,
    risk_totals,
    terminal,
    trading_snapshot,
)
from tests.operators import Operator

WIDE = (200, 60)
SMALL = (80, 24)


@asynccontextmanager
async def trading(
    snapshot: DeskSnapshot | None = None, size: tuple[int, int] = WIDE, press: str = "alt+6"
) -> AsyncIterator[Operator]:
    clock = Clock()
    desk = FakeDesk(snapshot or trading_snapshot())
    async with terminal(desk, clock=clock).run_test(size=size) as pilot:
        it = Operator(pilot, desk, clock)
        await it.settle()
        await it.press(press)
        yield it


async def show(it: Operator, **changes: object) -> None:
    it.desk.show(**changes)
    await it.settle()


def words(it: Operator, widget: type, line: int) -> str:
    """A line with single blanks."""
    return " ".join(it.text(widget)[line].split())


# Orders


async def test_an_order_has_all_its_columns_where_there_is_room() -> None:
    async with trading() as it:
        names, first, second = (words(it, OrdersPane, line) for line in range(3))
        assert names == "time venue side price size filled state age strategy queue id"
        assert first == "11:59:58 binance buy 64998.5 0.010 0.000 open 3.2s cross mm 0.84 hm1-a7"
        assert " 0.004 partial " in second


@pytest.mark.parametrize(
    ("width", "last"), [(160, "id"), (130, "id"), (100, "queue"), (80, "age"), (64, "state")]
)
async def test_a_narrower_list_of_orders_loses_columns_from_the_right(
    width: int, last: str
) -> None:
    async with trading(size=(width, 50)) as it:
        assert words(it, OrdersPane, 0).endswith(f" {last}")


async def test_the_title_counts_live_orders_and_fills_and_marks_what_drifted() -> None:
    async with trading() as it:
        title = text_of(it.screen.query_one(OrdersPane).title(it.screen.picture))
        assert title.strip() == "orders 5   fills 48   positions 3 !   balances !   log   pnl"
        agreed = tuple(msgspec.structs.replace(row, drift="") for row in POSITIONS)
        await show(it, positions=agreed, balances=())
        title = text_of(it.screen.query_one(OrdersPane).title(it.screen.picture))
        assert "!" not in title


async def test_orders_come_first_once_there_can_be_some_unless_a_tab_is_read() -> None:
    async with trading(trading_snapshot(trades=False), press="alt+1") as it:
        assert it.screen.query_one("#log").display
        await show(it, trades=True)
        assert it.screen.query_one("#orders").display
    async with trading(trading_snapshot(trades=False), press="alt+0") as it:
        await show(it, trades=True)
        assert it.focused == "log"
        assert it.screen.query_one("#log").display


async def test_a_click_on_a_title_brings_its_tab() -> None:
    async with trading() as it:
        pane = it.screen.query_one(OrdersPane)
        at = pane.render_line(0).text.index("fills")
        await it.pilot.click(OrdersPane, offset=(at, 0))
        await it.settle()
        assert it.focused == "fills"


async def test_the_decimal_points_of_a_column_stand_in_one_line() -> None:
    rows = (order("a", price="64998.5"), order("b", price="9.25"), order("c", price="100000"))
    async with trading(trading_snapshot(orders=rows)) as it:
        lines = it.text(OrdersPane)[1:4]
        assert lines[0].index("64998.5") + 5 == lines[1].index("9.25") + 1
        assert lines[2].index("100000 ") + 6 == lines[0].index("64998.5") + 5


async def test_the_selection_stays_on_its_order_when_others_move_it() -> None:
    async with trading() as it:
        await it.press("down", "down")
        assert it.text(OrdersPane)[2].startswith("▸ 11:59:58")
        await show(it, orders=(order("new"), *ORDERS))
        assert it.text(OrdersPane)[3].startswith("▸ 11:59:58")
        await it.press("c")
        assert it.told == [Cancel("hm1-a8")]


async def test_an_order_that_is_gone_is_not_replaced_by_its_neighbour_for_cancelling() -> None:
    async with trading() as it:
        await it.press("down")
        await show(it, orders=ORDERS[1:])
        assert not any(line.startswith("▸") for line in it.text(OrdersPane))
        await it.press("c")
        assert it.told == []
        assert it.text(OrdersPane)[1].startswith("▸")


async def test_an_order_that_ended_is_not_cancelled() -> None:
    async with trading() as it:
        await it.press("up")
        assert it.text(OrdersPane)[7].startswith("▸")
        await it.press("c")
        assert it.told == []


async def test_a_click_selects_the_order_under_it() -> None:
    async with trading() as it:
        await it.pilot.click(OrdersPane, offset=(10, 4))
        await it.settle()
        assert it.text(OrdersPane)[3].startswith("▸")


async def test_the_list_follows_the_selection_out_of_sight() -> None:
    many = tuple(order(f"o{i}") for i in range(100))
    async with trading(trading_snapshot(orders=many)) as it:
        await it.press("down", "pagedown", "pagedown", "pagedown")
        selected = it.screen.query_one(OrdersPane).selected
        assert selected is not None
        assert any(
            line.startswith("▸") and selected.client_id in line for line in it.text(OrdersPane)
        )
        assert it.screen.query_one(OrdersPane).top > 0


async def test_the_age_of_an_order_repaints_its_line_only_when_it_reads_differently() -> None:
    async with trading() as it:
        for age_ms, repainted in ((3_201.0, 0), (3_301.0, 1)):
            it.desk.show(orders=(order("hm1-a7", age_ms=age_ms), *ORDERS[1:]))
            it.screen.pull()
            assert it.screen.query_one(OrdersPane).repainted == repainted


async def test_lists_without_entries_say_so() -> None:
    nothing = trading_snapshot(
        orders=(), fills=(), fills_total=0, positions=(), balances=(), pnl_line=()
    )
    async with trading(nothing) as it:
        assert it.text(OrdersPane) == ["no orders"]
        await show(it, trades=False)
        assert it.text(OrdersPane) == ["this engine does not trade"]
        await it.press("alt+7")
        assert it.text(FillsPane) == ["this engine does not trade"]


async def test_an_order_of_another_market_names_it() -> None:
    async with trading() as it:
        assert "market" not in it.text(OrdersPane)[0]
        await show(it, orders=(*ORDERS, order("e", market="ETH/USDT")))
        assert "market" in it.text(OrdersPane)[0]
        assert "ETH spot" in it.text(OrdersPane)[-1]


# Fills, positions, balances


async def test_a_fill_shows_its_markout_once_known_and_its_hedge() -> None:
    async with trading(press="alt+7") as it:
        assert words(it, FillsPane, 0).startswith("time venue side price size role markout hedge ")
        assert " 0.004 maker unhedged 0.004 for 412 ms" in words(it, FillsPane, 1)
        assert "+0.4  hedged okx 65001.5 in 34 ms" in it.text(FillsPane)[3]


async def test_a_fee_not_yet_told_is_blank_and_a_rebate_is_negative() -> None:
    async with trading(press="alt+7") as it:
        roles = dict(it.screen.query_one(FillsPane).lines[4])
        assert "-0.0325" in it.text(FillsPane)[4]
        assert roles[next(text for text in roles if "-0.0325" in text)] == "good"
        await show(it, fills=(fill(fee="", fee_asset="USDT"),))
        assert "USDT" not in it.text(FillsPane)[1]


async def test_fills_are_counted_by_the_day_not_by_those_in_the_list() -> None:
    async with trading(press="alt+7") as it:
        title = text_of(it.screen.query_one(FillsPane).title(it.screen.picture))
        assert len(FILLS) < 48
        assert "fills 48" in title


async def test_positions_add_up_and_drift_is_said_on_its_row() -> None:
    async with trading(press="alt+8") as it:
        lines = it.text(PositionsPane)
        assert "BTC perp" in lines[1]
        assert lines[2].rstrip().endswith("! the venue says -0.062")
        assert lines[4].split() == ["total", "+0.05", "+131.36", "-96.22", "+2.80"]


async def test_balances_show_what_is_free_and_what_drifted() -> None:
    async with trading(press="alt+9") as it:
        lines = it.text(BalancesPane)
        assert lines[1].split() == ["binance", "linear", "USDT", "33412.18401200", "28210.00000000"]
        assert lines[4].rstrip().endswith("! the venue says 33368.41")
        assert len(lines) == len(BALANCES) + 1


@given(st.lists(st.decimals(-(10**6), 10**6, places=3).map(str), min_size=1))
def test_a_column_of_decimals_is_wide_enough_for_each_of_them(texts: list[str]) -> None:
    column = decimals("x", texts)
    assert {len(cell(text, column, "dim")[0]) for text in texts} == {column.width}


# PnL


async def test_the_parts_of_the_pnl_stand_over_its_line_and_wrap() -> None:
    async with trading(press="alt+p") as it:
        assert it.text(PnlPane)[0] == (
            "today +131.41  spread +214.00  fees -96.20  hedge slip -18.30  "
            "arbitrage +35.92  inventory -6.81  funding +2.80"
        )
        assert it.text(PnlPane)[-1].split() == ["09:00", "10:30", "12:00"]
    async with trading(size=SMALL, press="alt+p") as it:
        assert it.text(PnlPane)[1].startswith("arbitrage +35.92")
        assert len(it.text(PnlPane)) == 18


async def test_the_line_is_red_below_zero_and_green_above() -> None:
    async with trading(press="alt+p") as it:
        lines = it.screen.query_one(PnlPane).lines
        (zero,) = (i for i, line in enumerate(lines) if line[0][0].strip() == "0.00")
        drawn = [{role for _, role in line[2:] if line[2:]} for line in lines]
        assert "good" in drawn[zero - 1]
        assert "danger" in drawn[zero + 1]


async def test_a_day_on_which_nothing_happened_is_a_line_at_zero() -> None:
    flat = tuple(PnlPoint(NOON + i * SECOND, 0.0) for i in range(3))
    async with trading(trading_snapshot(pnl_line=flat), press="alt+p") as it:
        (zero,) = (line for line in it.text(PnlPane) if line.startswith("       0.00┤"))
        assert len(set(zero[12:])) == 1


def test_a_span_of_time_shows_its_last_value_or_the_one_before() -> None:
    points = [(0, 1.0), (1, 2.0), (60, 5.0), (100, 3.0)]
    assert sampled(points, 6) == [2.0, 2.0, 2.0, 5.0, 5.0, 3.0]
    assert sampled([], 2) == [None, None]
    assert sampled([(5, 7.0)], 3) == [None, None, 7.0]


def test_a_line_in_braille_goes_from_the_lowest_dot_to_the_highest_unbroken() -> None:
    assert braille([0.0, 1.0], 0.0, 1.0, 1) == ["⡸"]
    assert braille([None, None, 1.0, 0.0], 0.0, 1.0, 2) == [" ⢱", " ⢸"]


@given(st.lists(st.floats(-10, 10) | st.none(), min_size=2, max_size=60), st.integers(1, 12))
def test_every_known_value_is_drawn(values: list[float | None], lines: int) -> None:
    drawn = braille(values, -10.0, 10.0, lines)
    assert len(drawn) == lines
    for cells in range(len(values) // 2):
        known = any(value is not None for value in values[2 * cells : 2 * cells + 2])
        assert known == any(line[cells] != " " for line in drawn)


# Strategies


async def test_each_quote_has_its_reason_and_so_has_its_absence() -> None:
    async with trading() as it:
        lines = it.text(StrategiesPane)
        assert words(it, StrategiesPane, 1) == (
            "1 ● cross mm quoting binance 64998.5 0.010 edge 1.3 bps 65004.0 0.010 edge 1.2 bps"
        )
        assert "position 92% of limit" in lines[2]
        assert "hedge stale 412 ms" in lines[3]
        roles = {text.strip(): role for text, role in it.screen.query_one(StrategiesPane).lines[3]}
        assert roles["hedge stale 412 ms"] == "warning"


async def test_what_does_not_quote_shows_its_facts() -> None:
    async with trading() as it:
        lines = it.text(StrategiesPane)
        assert lines[4].startswith("2 ● arbitrage  watching  pairs 6  best now binance>okx -2.1 ")
        assert lines[5].strip() == "realised +35.92 of +38.10 expected"
        assert "unhedged 0.004 BTC/USDT:USDT  age 412 of 2000 ms" in lines[6]


async def test_a_blocked_hedger_says_why_and_still_what_is_unhedged() -> None:
    blocked = msgspec.structs.replace(STRATEGIES[2], state="blocked", reason="okx stale")
    async with trading(trading_snapshot(strategies=(blocked,))) as it:
        assert words(it, StrategiesPane, 1).startswith(
            "1 ● hedger blocked okx stale unhedged 0.004"
        )


async def test_facts_are_cut_where_a_strategy_would_be_pushed_out_of_sight() -> None:
    async with trading(size=(160, 45)) as it:
        assert [line[:3] for line in it.text(StrategiesPane)[4:]] == ["2 ●", "3 ●"]


async def test_why_there_is_no_quote_is_told_in_full_before_what_others_have_done() -> None:
    why = "bybit: 7 of 10 orders in 1 s, rest for hedges; next in 87 ms"
    maker = msgspec.structs.replace(
        STRATEGIES[0], quotes=(quote("bybit", bid=None, bid_size=None, bid_why=why),)
    )
    taker = msgspec.structs.replace(STRATEGIES[1], facts=STRATEGIES[1].facts * 8)
    async with trading(trading_snapshot(strategies=(maker, taker, STRATEGIES[2]))) as it:
        lines = it.text(StrategiesPane)
        assert [line.split()[0] for line in lines if line[:1].isdigit()] == ["1", "2", "3"]
        start = lines[1].index("bybit: 7 of")
        said = " ".join(word for line in lines[1:5] for word in line[start : start + 22].split())
        assert said.startswith(why)
        assert lines[-2].startswith("2 ●")


async def test_prices_of_other_markets_have_their_own_decimals() -> None:
    quotes = (quote(), quote(market="XRP/USDT", bid=0.51234, ask=0.51240, decimals=5))
    maker = msgspec.structs.replace(STRATEGIES[0], quotes=quotes)
    held = position(market="XRP/USDT", entry=0.512345, mark=0.51230, decimals=5)
    async with trading(trading_snapshot(strategies=(maker,), positions=(held,))) as it:
        assert "0.51234" in it.text(StrategiesPane)[2]
        await it.press("alt+8")
        assert words(it, PositionsPane, 1).startswith("binance XRP spot 0.080 0.512345 0.51230")


async def test_a_strategy_that_is_off_says_why() -> None:
    off = msgspec.structs.replace(STRATEGIES[0], on=False, state="off", reason="by the operator")
    async with trading(trading_snapshot(strategies=(off,))) as it:
        assert words(it, StrategiesPane, 1) == "1 ○ cross mm off by the operator"


async def test_a_strategy_that_quotes_nothing_because_it_is_off_keeps_its_line() -> None:
    off = msgspec.structs.replace(STRATEGIES[0], on=False, state="off", reason="")
    async with trading(trading_snapshot(strategies=(off, *STRATEGIES[1:]))) as it:
        assert words(it, StrategiesPane, 1) == "1 ○ cross mm off"
        assert it.text(StrategiesPane)[2].startswith("2 ●")


async def test_a_blocked_strategy_says_why_over_what_it_still_quotes() -> None:
    blocked = msgspec.structs.replace(STRATEGIES[0], state="blocked", reason="bybit halted")
    async with trading(trading_snapshot(strategies=(blocked,))) as it:
        assert words(it, StrategiesPane, 1) == "1 ● cross mm blocked bybit halted"
        assert words(it, StrategiesPane, 2).startswith("binance 64998.5")


async def test_a_narrow_list_of_quotes_keeps_prices_and_reasons() -> None:
    async with trading(size=SMALL, press="alt+5") as it:
        assert words(it, StrategiesPane, 0) == "strategy venue bid why bid ask why ask"


async def test_a_reason_too_long_for_its_column_goes_on_below_where_there_is_room() -> None:
    async with trading(size=SMALL, press="alt+5") as it:
        text = " ".join(" ".join(it.text(StrategiesPane)).split())
        assert "…" not in text
        for word in ("position", "limit", "stale", "412"):
            assert f" {word} " in text


async def test_quotes_of_the_market_on_view_come_first() -> None:
    quotes = (quote(market="ETH/USDT", bid=3500.0), quote())
    both = msgspec.structs.replace(STRATEGIES[0], quotes=quotes)
    async with trading(trading_snapshot(strategies=(both,))) as it:
        assert "BTC perp" in it.text(StrategiesPane)[1]
        assert "ETH spot" in it.text(StrategiesPane)[2]


# The ladder, the header, risk, differences


async def test_own_orders_stand_on_their_rows_with_what_is_ahead_of_them() -> None:
    async with trading() as it:
        lines = it.text(LadderPane)
        (bid,) = (line for line in lines if " 64998.5 " in line)
        assert bid.split()[:2] == ["0.010", "0.84"]
        (ask,) = (line for line in lines if " 65004.0 " in line)
        assert ask.split()[-1] == "0.010"
        (held,) = (line for line in lines if "◂" in line)
        assert "65000.0◂" in held


async def test_orders_of_one_group_are_shown_together() -> None:
    own = (OwnLevel("buy", 64998.9, 0.01, 0.5), OwnLevel("buy", 64998.6, 0.02, 0.8))
    book = msgspec.structs.replace(ladder(), own=own)
    async with trading(trading_snapshot(ladder=book)) as it:
        (row,) = (line for line in it.text(LadderPane) if " 64998.5 " in line)
        assert row.split()[:2] == ["0.030", "0.80"]
        unknown = msgspec.structs.replace(book, own=(*own, OwnLevel("buy", 64998.7, 0.01)))
        await show(it, ladder=unknown)
        (row,) = (line for line in it.text(LadderPane) if " 64998.5 " in line)
        assert row.split()[0] == "0.040"
        assert "0.80" not in row.split()


async def test_own_orders_are_gross_and_left_out_after_fees() -> None:
    async with trading() as it:
        await it.press("n")
        roles = {role for line in it.screen.query_one(LadderPane).lines for _, role in line}
        assert "live bold own" not in roles
        assert not any("◂" in line for line in it.text(LadderPane))


@given(st.integers(1, 5), st.integers(3, 12), st.integers(1, 300))
def test_a_ladder_with_own_orders_never_takes_more_than_its_room(
    venues: int, digits: int, width: int
) -> None:
    layout = plan(tuple("abcde"[:venues]), digits, width, trades=True)
    beside = len(layout.venues) * layout.venue + layout.sum + layout.total + layout.own
    used = 2 * beside + layout.price + layout.last
    assert used <= width or (layout.venues, layout.sum, layout.total) == ((), 0, 0)
    assert layout.queue <= layout.own


async def test_the_header_shows_how_long_an_order_takes_where_orders_are_sent() -> None:
    async with trading() as it:
        assert "tick▸order 61µs p99 240µs" in it.text(Header)[0]
        await show(it, trades=False)
        assert "tick▸order" not in it.text(Header)[0]


async def test_a_bar_over_seventy_and_ninety_percent_has_a_sign() -> None:
    rows = (
        risk_row(position=0.34),
        risk_row("bybit", position=0.36),
        risk_row("okx", position=-0.46),
    )
    async with trading(trading_snapshot(risk=rows)) as it:
        signs = [line.count("!") for line in it.text(RiskPane)[1:4]]
        assert signs == [0, 1, 2]


async def test_a_venue_says_why_it_does_not_trade() -> None:
    rows = (
        risk_row(account="key may withdraw"),
        risk_row("bybit", halted="3 rejects in 10 s"),
        risk_row("okx", dead_man="none"),
    )
    async with trading(trading_snapshot(risk=rows)) as it:
        lines = it.text(RiskPane)
        assert lines[2].strip() == "✕ key may withdraw"
        assert lines[4].strip() == "■ halted: 3 rejects in 10 s"
        assert lines[5].rstrip().endswith("--")


async def test_the_age_of_what_is_unhedged_runs_against_its_limit() -> None:
    totals = risk_totals(unhedged=0.02, unhedged_ms=1_900.0, unhedged_limit_ms=2_000.0)
    async with trading(trading_snapshot(risk_totals=totals)) as it:
        (line,) = (line for line in it.text(RiskPane) if "unhedged" in line)
        assert line.split()[1] == "+0.0200"
        assert "!!" in line
        assert line.rstrip().endswith("1.9s of 2.0s")


async def test_a_difference_says_how_it_is_accepted_and_takes_no_room_once_it_is_gone() -> None:
    found = (("okx", "position BTC/USDT:USDT 0.02 at the venue, 0.01 here"),)
    async with trading(trading_snapshot(differences=found)) as it:
        (line,) = it.text(Differences)
        assert line.startswith(" ! okx position BTC/USDT:USDT 0.02 at the venue, 0.01 here")
        assert line.rstrip().endswith("^p accept okx takes its word")
        assert width_of(it.screen.query_one(Differences).lines[0]) == WIDE[0]
        await show(it, differences=())
        assert not it.screen.query_one(Differences).display


# Text of strangers

HOSTILE = "[@click=app.quit]y[/] \x1b[2J \u202egap\u200b 板板 \\[ on @z"


@pytest.mark.parametrize("size", [WIDE, SMALL])
@pytest.mark.parametrize("tab", TABS)
async def test_foreign_text_in_a_list_is_shown_as_it_is_and_obeyed_nowhere(
    size: tuple[int, int], tab: str
) -> None:
    snapshot = trading_snapshot(
        orders=(order(HOSTILE, venue=HOSTILE, state=HOSTILE, strategy=HOSTILE, text=HOSTILE),),
        fills=(fill(venue=HOSTILE, side=HOSTILE, hedge=HOSTILE, fee_asset=HOSTILE),),
        positions=(position(HOSTILE, market=HOSTILE, drift=HOSTILE),),
        balances=(BalanceRow(HOSTILE, HOSTILE, HOSTILE, "1", "1", HOSTILE),),
        strategies=(
            StrategyRow(HOSTILE, on=True, state=HOSTILE, quotes=(quote(HOSTILE, bid_why=HOSTILE),)),
            StrategyRow(HOSTILE, on=True, state=HOSTILE, facts=((HOSTILE, HOSTILE),)),
        ),
        risk=(risk_row(HOSTILE, account=HOSTILE, halted=HOSTILE),),
        differences=((HOSTILE, HOSTILE),),
    )
    async with trading(snapshot, size, KeyTable.of().named(f"pane_{tab}").keys) as it:
        for widget in it.screen.query(LineWidget):
            for y in range(widget.size.height):
                strip = widget.render_line(y)
                assert cell_len(strip.text) == widget.size.width
                assert not set(strip.text) & set("\x1b\u202e\u200b")
                clicks = {segment.style.meta.get("@click") for segment in strip if segment.style}
                assert "app.quit" not in clicks
