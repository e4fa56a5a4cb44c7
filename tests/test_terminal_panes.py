"""The panes by their lines of text, and by how many of them a change repaints."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from hftmm.desk.snapshot import DeskSnapshot, Ladder, LadderColumn
from hftmm.terminal.grouping import GROUPS, finer, sensible, wider
from hftmm.terminal.screens.desk import DeskScreen
from hftmm.terminal.widgets.columns import Column, cell, fitting
from hftmm.terminal.widgets.ladder_line import plan
from hftmm.terminal.widgets.lines import LineWidget, text_of, width_of
from hftmm.terminal.widgets.risk import bar
from tests.fake_desk import (
    NOON,
    SECOND,
    Clock,
    FakeDesk,
    best_quote,
    desk_snapshot,
    ladder,
    log_row,
    net_quote,
    opportunity,
    risk_row,
    risk_totals,
    tape,
    terminal,
    venue_quote,
)

WIDE = (200, 60)


class Shown:
    """The running desk: `show` changes the snapshot, `lines` reads a pane."""

    def __init__(
        self, desk: FakeDesk, screen: DeskScreen, clock: Clock, pause: Callable[[], object]
    ):
        self.desk = desk
        self.screen = screen
        self.clock = clock

    def show(self, **changes: object) -> None:
        self.desk.show(**changes)
        self.screen.pull()

    def pane(self, name: str) -> LineWidget:
        return self.screen.query_one(f"#{name}", LineWidget)

    def lines(self, name: str) -> list[str]:
        return [text_of(line).rstrip() for line in self.pane(name).lines]

    def repainted(self) -> dict[str, int]:
        return {
            widget.id: widget.repainted
            for widget in self.screen.query(LineWidget)
            if widget.id and widget.repainted
        }


@asynccontextmanager
async def shown(
    snapshot: DeskSnapshot | None = None, size: tuple[int, int] = WIDE
) -> AsyncIterator[Shown]:
    clock = Clock()
    desk = FakeDesk(snapshot or desk_snapshot())
    app = terminal(desk, clock=clock)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        assert isinstance(app.screen, DeskScreen)
        app.screen.pull()
        await pilot.pause()
        yield Shown(desk, app.screen, clock, pilot.pause)


# What a change costs


async def test_nothing_is_repainted_when_nothing_changed() -> None:
    async with shown() as it:
        it.show()
        assert it.repainted() == {}


async def test_one_changed_size_repaints_one_line_of_its_pane() -> None:
    async with shown() as it:
        assert it.desk.shown is not None
        beyond_sight = _resized(it.desk.shown.ladder, venue=1, level=30, size=7.5)
        it.show(ladder=beyond_sight)
        assert it.repainted() == {}
        it.show(venues=(*it.desk.shown.venues[:2], venue_quote("okx", bid_size=9.0)))
        assert it.repainted() == {"nbbo": 1}


async def test_a_size_that_changed_stands_out_for_half_a_second() -> None:
    async with shown() as it:
        assert it.desk.shown is not None
        pane = it.pane("nbbo")
        calm = pane.render_line(2)
        it.show(venues=(venue_quote("binance", bid_size=3.0), *it.desk.shown.venues[1:]))
        bright = pane.render_line(2)
        assert bright.text == calm.text.replace("1.00 ", "3.00 ", 1)
        assert [segment.style for segment in bright] != [segment.style for segment in calm]
        it.clock.advance(0.4)
        it.show()
        assert it.repainted() == {}
        it.clock.advance(0.2)
        it.show()
        assert it.repainted() == {"nbbo": 1}
        assert [segment.style for segment in pane.render_line(2)] == [
            segment.style for segment in calm
        ]


async def test_a_deeper_level_repaints_its_line_and_the_sums_behind_it() -> None:
    async with shown() as it:
        assert it.desk.shown is not None
        it.show(ladder=_resized(it.desk.shown.ladder, venue=0, level=11, size=0.01))
        # 14 rows of bids are in sight: the changed one, its sum, and those further out.
        assert 1 <= it.repainted()["ladder"] <= 3


async def test_a_new_trade_repaints_the_tape_and_nothing_else() -> None:
    async with shown() as it:
        it.show(tape=tape(41)[1:])
        assert set(it.repainted()) == {"tape"}


async def test_a_row_scrolled_out_of_sight_costs_nothing() -> None:
    async with shown() as it:
        many = tuple(opportunity(profit=float(i)) for i in range(100))
        it.show(opportunities=many)
        it.show(opportunities=(*many[:-1], opportunity(profit=5000.0)))
        assert it.repainted() == {}


# The ladder


async def test_each_venue_stands_in_its_own_column_mirrored_about_the_price() -> None:
    async with shown() as it:
        names = it.lines("ladder")[0].split()
        assert names == [
            "Σ", "okx", "bybit", "binance", "price", "binance", "bybit", "okx", "Σ", "last",
        ]  # fmt: skip


async def test_a_row_has_its_sizes_and_the_sum_from_the_touch_to_it() -> None:
    columns = (
        LadderColumn("binance", ((65000.5, 1.0), (65000.0, 0.5)), ((65001.0, 1.1),)),
        LadderColumn("bybit", ((65000.0, 1.25),), ((65001.0, 0.4), (65001.5, 2.0))),
    )
    snapshot = desk_snapshot()
    book = msgspec.structs.replace(snapshot.ladder, columns=columns)
    async with shown(msgspec.structs.replace(snapshot, ladder=book)) as it:
        rows = {
            line.split("650")[1][:4]: line.split() for line in it.lines("ladder") if " 650" in line
        }
        assert rows["01.5"] == ["65001.5", "2.00", "3.50"]
        assert rows["01.0"] == ["65001.0", "1.10", "0.40", "1.50", "0.12"]
        assert rows["00.5"] == ["1.00", "1.00", "65000.5"]
        assert rows["00.0"] == ["2.75", "1.25", "0.50", "65000.0"]


async def test_a_venue_that_does_not_count_is_dim_under_its_sign() -> None:
    venues = (venue_quote("binance"), venue_quote("bybit", state="stale"), venue_quote("okx"))
    async with shown(desk_snapshot(venues=venues)) as it:
        assert it.lines("ladder")[0].split().count("◌bybit") == 2
        roles = {role for line in it.pane("ladder").lines[1:] for _, role in line}
        assert "live venue.binance" in roles
        best_ask = next(line for line in it.lines("ladder") if " 65001.0 " in line)
        assert best_ask.split() == ["65001.0", "0.62", "1.57", "0.43", "1.05", "0.12"]
        assert "live venue.bybit" not in roles


async def test_no_price_is_invented_before_the_first_quote() -> None:
    nothing = best_quote(bid=None, ask=None, spread_bps=None, state="empty")
    async with shown(desk_snapshot(nbbo=nothing, net=nothing)) as it:
        text = " ".join(it.lines("ladder")[1:])
        assert "empty" in text
        assert "0.0" not in text.replace("mid 65000.75", "").replace("micro 65000.82", "")


async def test_the_rule_shows_spread_net_mid_and_microprice() -> None:
    async with shown() as it:
        rule = next(line for line in it.lines("ladder") if "spread" in line)
        for part in ("spread 0.5 0.08 bps", "net -10.1 bps", "mid 65000.75", "micro 65000.82"):
            assert part in rule


async def test_prices_stand_still_when_the_market_moves_and_the_rule_goes_with_it() -> None:
    async with shown() as it:
        before = it.lines("ladder")
        it.show(nbbo=best_quote(bid=65003.5, ask=65004.0), ladder=ladder(65003.5, 65004.0))
        after = it.lines("ladder")
    rules = [next(i for i, line in enumerate(at) if "spread" in line) for at in (before, after)]
    assert rules[0] - rules[1] == 6
    above, below = after[rules[1] - 1], after[rules[1] + 1]
    assert "65004.0" in above
    assert "65003.5" in below
    prices = [
        [line[45:58].strip() for line in at if "spread" not in line] for at in (before, after)
    ]
    assert prices[0] == prices[1]


async def test_the_rule_stays_while_it_stands_between_bids_and_asks() -> None:
    async with shown() as it:
        it.show(nbbo=best_quote(ask=65003.0), ladder=ladder(ask=65003.0))
        wide = it.lines("ladder")
        it.show(nbbo=best_quote(bid=65000.0, ask=65002.0), ladder=ladder(65000.0, 65002.0))
        moved = it.lines("ladder")
    at = [next(i for i, line in enumerate(lines) if "spread" in line) for lines in (wide, moved)]
    assert at[0] == at[1]


@pytest.mark.parametrize(("bid", "word"), [(65001.0, "LOCKED"), (65002.0, "CROSSED")])
async def test_locked_and_crossed_rows_show_both_sides_and_the_rule_says_it_once(
    bid: float, word: str
) -> None:
    best = best_quote(bid=bid, ask=65001.0, spread_bps=-0.1, state=word.lower())
    async with shown(desk_snapshot(nbbo=best, ladder=ladder(bid, 65001.0))) as it:
        (rule,) = (line for line in it.lines("ladder") if word in line)
        assert "spread" in rule
        crossed = [
            text_of(line)
            for line in it.pane("ladder").lines
            if line and all(role.endswith("on crossing") for text, role in line if text)
        ]
        assert len(crossed) == round((bid - 65001.0) / 0.5) + 1
        for line in crossed:
            bids, asks = line.split("6500")
            assert any(char.isdigit() for char in bids)
            assert any(char.isdigit() for char in asks[3:])
        assert any(word in line for line in it.lines("nbbo"))


async def test_the_last_trade_fades_on_its_row() -> None:
    roles = []
    async with shown() as it:
        assert it.desk.shown is not None
        for seconds in (0, 2, 6):
            it.show(ns=NOON + seconds * SECOND)
            line = next(
                line for line in it.pane("ladder").lines if text_of(line).rstrip().endswith("0.12")
            )
            roles.append(line[-1][1])
    assert roles == ["bold bright", "venue.bybit", "dim"]


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (110, "Σ okx bybit binance price binance bybit okx Σ last"),
        (76, "Σ okx bybit binance price binance bybit okx Σ"),
        (60, "okx bybit binance price binance bybit okx"),
        (50, "Σ size price size Σ"),
        (30, "size price size"),
        (12, "price"),
    ],
)
async def test_a_narrower_ladder_loses_last_sums_and_venues(width: int, columns: str) -> None:
    async with shown(size=(width + 4 if width < 96 else 199, 60 if width > 96 else 24)) as it:
        assert it.lines("ladder")[0].split() == columns.split()


@given(st.integers(1, 5), st.integers(3, 12), st.integers(1, 300))
def test_a_planned_ladder_never_takes_more_than_its_room(
    venues: int, digits: int, width: int
) -> None:
    layout = plan(tuple("abcde"[:venues]), digits, width)
    beside = len(layout.venues) * layout.venue + layout.sum + layout.total
    used = 2 * beside + layout.price + layout.last
    assert used <= width or (layout.venues, layout.sum, layout.total) == ((), 0, 0)


# The other panes


async def test_a_venue_that_is_not_live_says_why_with_its_sign() -> None:
    venues = (
        venue_quote("binance", state="stale", reason="no frame for 2,612 ms", age_ms=2612.0),
        venue_quote("bybit", state="quarantined", reason="41 bps from the others"),
        venue_quote("okx", state="syncing", reason="waiting for a snapshot", bid=None, ask=None),
    )
    async with shown(desk_snapshot(venues=venues)) as it:
        lines = it.lines("nbbo")
        assert lines[1].startswith("◌ binance")
        assert lines[2].startswith("⊘ bybit")
        assert lines[3].startswith("◐ okx")
        assert any(line.startswith("◌ binance   stale: no frame for 2,612 ms") for line in lines)
        assert any(
            line.startswith("⊘ bybit     quarantined: 41 bps from the others") for line in lines
        )
        assert any(line.startswith("◐ okx       syncing: waiting for a snapshot") for line in lines)


async def test_a_result_too_long_for_its_column_goes_on_below() -> None:
    reason = "size 0.004 < 0.01 at binance"
    async with shown(desk_snapshot(opportunities=(opportunity(result=reason),)), (160, 45)) as it:
        first, second = it.lines("arbitrage")[1:3]
        assert second.strip()
        assert second.index(second.strip()) == it.lines("arbitrage")[0].index("result")
        assert f"{first[second.index(second.strip()) :]} {second.strip()}" == reason


async def test_the_best_quotes_name_their_venues_before_and_after_fees() -> None:
    async with shown() as it:
        lines = it.lines("nbbo")
        assert any("NBBO" in line and "bin+byb+okx / bin+okx" in line for line in lines)
        assert any("after fees" in line and "bybit / binance" in line for line in lines)


@pytest.mark.parametrize(
    ("size", "tail"),
    [((200, 60), "bin+byb+okx / bin+okx"), ((140, 50), "bin+2 / bin+1"), ((110, 50), "1.51")],
)
async def test_a_narrower_nbbo_shortens_its_venues_before_it_drops_them(
    size: tuple[int, int], tail: str
) -> None:
    async with shown(size=size) as it:
        assert next(line for line in it.lines("nbbo") if "NBBO" in line).endswith(tail)


async def test_a_crossed_market_is_named_where_there_is_room_for_nothing_else() -> None:
    crossed = best_quote(bid=65002.0, state="crossed")
    async with shown(desk_snapshot(nbbo=crossed), (100, 45)) as it:
        assert any(line.startswith("  CROSSED") for line in it.lines("nbbo"))


async def test_what_is_wrong_goes_before_funding_where_there_is_no_room_for_both() -> None:
    venues = (
        venue_quote("binance"),
        venue_quote("bybit", state="stale", reason="silent"),
        venue_quote("okx", state="down", reason="refused"),
        venue_quote("deribit"),
    )
    async with shown(desk_snapshot(venues=venues), (200, 29)) as it:
        assert [line.split("  gaps")[0] for line in it.lines("nbbo")[-2:]] == [
            "◌ bybit     stale: silent",
            "✕ okx       down: refused",
        ]


async def test_mark_funding_and_counters_stand_below_the_best_quotes() -> None:
    async with shown(desk_snapshot(venues=(venue_quote(gaps=2, resyncs=3, malformed=1),))) as it:
        line = it.lines("nbbo")[-1]
        assert "mark 65001.2  funding +0.75 bps in 4h00m" in line
        assert line.endswith("gaps 2  resyncs 3  bad 1")
        spot = venue_quote(mark=None, funding_bps=None, next_funding_ns=None)
        it.show(venues=(spot,))
        assert it.lines("nbbo")[-1].split() == ["binance", "gaps", "0", "resyncs", "0", "bad", "0"]


async def test_live_crossings_come_first_and_the_days_totals_last() -> None:
    rows = (opportunity(result="gone"), opportunity(live=True, result="now"))
    async with shown(desk_snapshot(opportunities=rows)) as it:
        lines = it.lines("arbitrage")
        assert "live" in lines[1]
        assert lines[2].endswith("gone")
        assert lines[-1] == "today 212 seen   eaten by fees 41   expected +38.10   best +4.0 bps"


async def test_crossings_of_other_markets_name_them() -> None:
    async with shown(desk_snapshot(opportunities=(opportunity(market="ETH/USDT"),))) as it:
        assert "market" in it.lines("arbitrage")[0]
        assert "ETH spot" in it.lines("arbitrage")[1]


async def test_the_risk_pane_shows_positions_against_their_limits() -> None:
    rows = (
        risk_row("binance", position=0.08, day_pnl=112.4),
        risk_row("bybit", position=-0.38, day_pnl=-31.1),
        risk_row("okx", state="down", position=0.46),
    )
    totals = risk_totals(position=0.16, worst_case=0.3, drawdown=12.1)
    async with shown(desk_snapshot(risk=rows, risk_totals=totals)) as it:
        lines = it.lines("risk")
        assert lines[1].split()[:3] == ["●", "binance", "+0.0800"]
        assert "+112.40" in lines[1]
        assert "-0.3800" in lines[2]
        assert lines[3].startswith("✕ okx")
        assert lines[4].split()[:2] == ["total", "+0.1600"]
        assert [line.split() for line in lines[6:]] == [
            ["unhedged", "0.0000"],
            ["worst", "case", "0.3000", "██▎", "of", "2.0000"],
            ["drawdown", "12.10", "▏", "of", "1,000"],
        ]
        roles = [{role for _, role in line} for line in it.pane("risk").lines]
        assert "accent on bar_empty" in roles[1]
        assert "warning on bar_empty" in roles[2]
        assert "danger on bar_empty" in roles[3]


@given(st.floats(0, 3), st.integers(1, 40))
def test_a_bar_fills_its_cells_and_no_more(used: float, width: int) -> None:
    spans = bar(used, width)
    assert width_of(spans) == width
    assert bool(spans[0][0]) == (used > 0)


def test_a_bar_turns_at_seventy_and_at_ninety_percent() -> None:
    roles = [bar(used, 10)[0][1].split()[0] for used in (0.69, 0.70, 0.89, 0.90, 1.5)]
    assert roles == ["accent", "warning", "warning", "danger", "danger"]


async def test_the_tape_tells_buys_from_sells_by_sign() -> None:
    async with shown() as it:
        lines = it.lines("tape")
        assert lines[1].split() == ["12:00:01.000", "binance", "▲", "65001.0", "0.008"]
        assert lines[2].split() == ["12:00:00.863", "bybit", "▼", "65000.5", "0.93"]


async def test_the_lines_of_a_small_terminal_hold_nbbo_and_risk() -> None:
    async with shown(size=(80, 24)) as it:
        assert "65000.5 │ 65001.0" in it.lines("nbbo-line")[0]
        assert it.lines("risk-line")[0].startswith(" ● binance  ● bybit  ● okx  position 0.0000")


async def test_the_header_shows_equity_only_where_there_is_some() -> None:
    async with shown() as it:
        assert "equity" not in it.lines("header")[0]
        it.show(equity=100_131.41, day_pnl=131.41)
        assert "equity 100,131.41  day +131.41" in it.lines("header")[0]


async def test_a_halted_engine_says_why_in_the_header() -> None:
    async with shown(desk_snapshot(state="HALTED", state_reason="okx down")) as it:
        header = it.lines("header")[0]
        assert "■ HALTED" in header
        assert "okx down" in header


# Text of strangers

HOSTILE = "[bold red]x[/] [@click=app.quit]y[/] \x1b[2J\x07 \u202egap\u200b 板板板 \\[ ]] on @z"


async def test_foreign_text_is_shown_as_it_is_and_obeyed_nowhere() -> None:
    snapshot = desk_snapshot(
        venues=(venue_quote("binance", state="down", reason=HOSTILE), venue_quote(HOSTILE)),
        risk=(risk_row(HOSTILE, dead_man=HOSTILE),),
        opportunities=(opportunity(buy_venue=HOSTILE, market=HOSTILE, result=HOSTILE),),
        log=(log_row(1, HOSTILE, source=HOSTILE, level=HOSTILE),),
        tape=tuple(msgspec.structs.replace(row, venue=HOSTILE) for row in tape(2)),
        nbbo=best_quote(bid_venues=(HOSTILE,)),
        net=net_quote(ask_venues=(HOSTILE,)),
        state="HALTED",
        state_reason=HOSTILE,
    )
    for size in (WIDE, (80, 24)):
        async with shown(snapshot, size) as it:
            for widget in it.screen.query(LineWidget):
                for y in range(widget.size.height):
                    strip = widget.render_line(y)
                    assert cell_len(strip.text) == widget.size.width
                    assert not set(strip.text) & set("\x1b\x07\u202e\u200b")
                    clicks = {
                        segment.style.meta.get("@click") for segment in strip if segment.style
                    }
                    assert "app.quit" not in clicks
            if size == WIDE:
                log = " ".join(" ".join(it.lines("log")).split())
                assert "[bold red]x[/] [@click=app.quit]y[/] ␛[2J␇" in log


async def test_foreign_text_passes_through_banner_and_list_of_markets() -> None:
    desk = FakeDesk(desk_snapshot())
    desk.alive, desk.cause = False, HOSTILE
    app = terminal(desk)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert isinstance(app.screen, DeskScreen)
        app.screen.pull()
        await pilot.pause()
        banner = " ".join(
            text_of(line) for line in app.screen.query_one("#banner", LineWidget).lines
        )
        assert "[bold red]x[/]" in banner
        assert "\x1b" not in banner


# Columns and groups


def test_columns_are_lost_from_the_right() -> None:
    columns = (Column("a", 5), Column("b", 5), Column("c", 6, left=True, stretch=True))
    assert [(one.name, one.width) for one in fitting(columns, 30)] == [
        ("a", 5),
        ("b", 5),
        ("c", 20),
    ]
    assert [one.name for one in fitting(columns, 12)] == ["a", "b"]
    assert [one.name for one in fitting(columns, 9)] == ["a"]
    assert fitting(columns, 4) == ()


def test_a_column_spared_more_is_lost_later() -> None:
    columns = (
        Column("a", 5, spared=2),
        Column("b", 5),
        Column("c", 5, spared=1),
        Column("d", 6, left=True, stretch=True, spared=2),
    )
    assert [one.name for one in fitting(columns, 18)] == ["a", "b", "c", "d"]
    assert [(one.name, one.width) for one in fitting(columns, 17)] == [("a", 5), ("c", 5), ("d", 7)]
    assert [one.name for one in fitting(columns, 12)] == ["a", "d"]
    assert [one.name for one in fitting(columns, 7)] == ["a"]


def test_words_are_cut_with_an_ellipsis_and_numbers_never() -> None:
    assert cell("quarantined", Column("x", 8, left=True), "dim") == ("  quara…", "dim")
    assert cell("123456789", Column("x", 8), "dim") == ("123456789", "dim")


def test_groups_go_up_and_down_the_same_steps() -> None:
    assert GROUPS[:8] == (1, 2, 5, 10, 20, 50, 100, 200)
    assert [wider(group) for group in (1, 2, 3, GROUPS[-1])] == [2, 5, 5, GROUPS[-1]]
    assert [finer(group) for group in (1, 2, 3, 10)] == [1, 1, 2, 5]


def book(bid: float, ask: float, step: float, every: float, levels: int = 60) -> Ladder:
    """One venue's ungrouped book, a level each `every`."""
    bids = tuple((bid - i * every, 1.0) for i in range(levels))
    asks = tuple((ask + i * every, 1.0) for i in range(levels))
    column = LadderColumn("binance", bids, asks)
    return msgspec.structs.replace(ladder(), group=step, step=step, columns=(column,))


@pytest.mark.parametrize(
    ("mid", "step", "rows", "group"),
    [(65_000.0, 0.1, 42, 50), (65_000.0, 0.1, 28, 100), (3_500.0, 0.01, 42, 50)],
)
def test_a_market_starts_in_a_group_that_keeps_venues_15_bps_apart_in_sight(
    mid: float, step: float, rows: int, group: int
) -> None:
    best = best_quote(bid=mid, ask=mid + step)
    assert sensible(book(mid, mid + step, step, step), best, rows) == group
    assert group * step * rows >= mid * 30 / 10_000


def test_a_thin_book_starts_in_a_group_wide_enough_to_fill_most_rows() -> None:
    thin = book(100.0, 100.5, 0.01, 0.5)
    assert sensible(thin, best_quote(bid=100.0, ask=100.5), 42) == 50


def test_a_wide_spread_takes_no_more_than_half_of_the_rows() -> None:
    wide = book(65_000.0, 65_680.0, 0.1, 0.1)
    assert sensible(wide, best_quote(bid=65_000.0, ask=65_680.0), 42) == 500


def test_a_market_without_both_sides_starts_in_the_finest_group() -> None:
    empty = msgspec.structs.replace(ladder(), columns=())
    assert sensible(empty, best_quote(bid=None, state="one-sided"), 42) == 1


def test_a_price_beyond_every_group_takes_the_widest() -> None:
    best = best_quote(bid=1e9, ask=1e9 + 1e-9)
    assert sensible(book(1e9, 1e9, 1e-9, 1e-9), best, 42) == GROUPS[-1]


def _resized(book: Ladder, *, venue: int, level: int, size: float) -> Ladder:
    column = book.columns[venue]
    bids = list(column.bids)
    bids[level] = (bids[level][0], size)
    columns = list(book.columns)
    columns[venue] = msgspec.structs.replace(column, bids=tuple(bids))
    return msgspec.structs.replace(book, columns=tuple(columns))
