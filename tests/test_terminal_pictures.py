"""The screen in every state that occurs, compared with stored pictures."""

from __future__ import annotations

import msgspec
import pytest
from textual.pilot import Pilot

from hftmm.desk.snapshot import DeskSnapshot
from hftmm.terminal.bindings import PANES, TABS, KeyTable
from tests.fake_desk import (
    SECOND,
    Clock,
    FakeDesk,
    best_quote,
    desk_snapshot,
    ladder,
    risk_row,
    risk_totals,
    terminal,
    trading_snapshot,
    venue_quote,
)
from tests.pictures import GOOD, SMALL, WIDE, Compare, drawn, looks, named


@pytest.mark.parametrize("size", [WIDE, GOOD, (120, 50), (100, 40), (200, 29)], ids=named)
def test_a_normal_market(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert looks(snap_compare, desk_snapshot(), size)


@pytest.mark.parametrize("size", [WIDE, GOOD, (120, 50), (100, 40)], ids=named)
def test_a_desk_that_quotes(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert looks(snap_compare, trading_snapshot(), size)


@pytest.mark.parametrize("tab", TABS)
def test_each_tab(snap_compare: Compare, tab: str) -> None:
    key = KeyTable.of().named(f"pane_{tab}").keys
    assert looks(snap_compare, trading_snapshot(), GOOD, press=(key, "down"))


def test_a_halted_venue(snap_compare: Compare) -> None:
    normal = trading_snapshot()
    halted = msgspec.structs.replace(normal.risk[1], halted="daily loss 512.40 > 500.00")
    snapshot = msgspec.structs.replace(
        normal,
        state="HALTED",
        state_reason="bybit",
        risk=(normal.risk[0], halted, normal.risk[2]),
        strategies=(
            msgspec.structs.replace(normal.strategies[0], state="blocked", reason="bybit halted"),
            *normal.strategies[1:],
        ),
    )
    assert looks(snap_compare, snapshot, WIDE)


@pytest.mark.parametrize("size", [WIDE, SMALL], ids=named)
def test_an_unhedged_amount_that_ages(snap_compare: Compare, size: tuple[int, int]) -> None:
    totals = risk_totals(
        position=-0.3, unhedged=-0.12, unhedged_ms=1_840.0, unhedged_limit_ms=2_000.0,
        worst_case=1.62, day_pnl=-811.2, drawdown=942.0,
    )  # fmt: skip
    assert looks(snap_compare, trading_snapshot(risk_totals=totals), size, press=("alt+4",))


@pytest.mark.parametrize("size", [GOOD, SMALL], ids=named)
def test_differences_wait_for_the_operator(snap_compare: Compare, size: tuple[int, int]) -> None:
    differences = (
        ("bybit", "position BTC/USDT:USDT -0.062 at the venue, -0.052 here"),
        ("bybit", "USDT 33368.41 at the venue, 33368.90 here"),
    )
    assert looks(snap_compare, trading_snapshot(differences=differences), size)


@pytest.mark.parametrize("pane", PANES)
def test_one_pane_at_a_time_on_a_small_terminal(snap_compare: Compare, pane: str) -> None:
    key = KeyTable.of().named(f"pane_{pane}").keys
    assert looks(snap_compare, trading_snapshot(), SMALL, press=(key,))


@pytest.mark.parametrize("theme", ["amber", "colourblind", "dark", "light"])
def test_each_theme(snap_compare: Compare, theme: str) -> None:
    assert looks(snap_compare, _crossed(), theme=theme)


@pytest.mark.parametrize("theme", ["amber", "colourblind", "light"])
def test_each_theme_of_a_desk_that_quotes(snap_compare: Compare, theme: str) -> None:
    assert looks(snap_compare, trading_snapshot(), GOOD, theme=theme)


@pytest.mark.parametrize("size", [WIDE, SMALL], ids=named)
def test_starting(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert looks(snap_compare, None, size)


def test_a_market_before_its_first_book(snap_compare: Compare) -> None:
    nothing = best_quote(
        bid=None, bid_size=None, bid_venues=(), ask=None, ask_size=None, ask_venues=(),
        spread_bps=None, state="empty",
    )  # fmt: skip
    venues = tuple(
        venue_quote(
            venue, state="syncing", reason="waiting for a snapshot", bid=None, bid_size=None,
            ask=None, ask_size=None, age_ms=None, lag_ms=None, mark=None, funding_bps=None,
        )
        for venue in ("binance", "bybit", "okx")
    )  # fmt: skip
    snapshot = desk_snapshot(state="STARTING", venues=venues, nbbo=nothing, net=nothing)
    empty = msgspec.structs.replace(
        snapshot.ladder, columns=(), mid=None, microprice=None, last=None, last_size=None
    )
    assert looks(
        snap_compare,
        msgspec.structs.replace(snapshot, ladder=empty, opportunities=(), tape=()),
    )


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("syncing", "gap: first id 1207 > 1201 + 1"),
        ("stale", "no frame for 2,612 ms"),
        ("down", "connection refused, next try in 4.1 s"),
        ("quarantined", "mid 41.2 bps from the others, 8.0 deviations"),
    ],
    ids=["syncing", "stale", "down", "quarantined"],
)
@pytest.mark.parametrize("size", [WIDE, SMALL], ids=named)
def test_a_venue_that_is_not_live(
    snap_compare: Compare, state: str, reason: str, size: tuple[int, int]
) -> None:
    normal = desk_snapshot()
    gone = state == "down"
    venue = venue_quote(
        "okx", state=state, reason=reason, frames_per_s=0.0, age_ms=2612.0,
        bid=None if gone else 65000.0, ask=None if gone else 65002.0, lag_ms=None,
    )  # fmt: skip
    snapshot = msgspec.structs.replace(
        normal,
        venues=(*normal.venues[:2], venue),
        risk=(*normal.risk[:2], risk_row("okx", state=state, reason=reason, reconnects=3)),
        nbbo=best_quote(bid_venues=("binance", "bybit"), ask_venues=("binance",)),
    )
    assert looks(snap_compare, snapshot, size, press=("alt+2",))


def test_a_locked_market(snap_compare: Compare) -> None:
    best = best_quote(bid=65001.0, spread_bps=0.0, state="locked")
    assert looks(snap_compare, desk_snapshot(nbbo=best, ladder=ladder(65001.0, 65001.0)))


@pytest.mark.parametrize("size", [GOOD, SMALL], ids=named)
def test_a_crossed_market(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert looks(snap_compare, _crossed(), size)


def test_prices_after_fees(snap_compare: Compare) -> None:
    assert looks(snap_compare, desk_snapshot(), GOOD, press=("n",))


@pytest.mark.parametrize("size", [WIDE, SMALL], ids=named)
def test_disconnected(snap_compare: Compare, size: tuple[int, int]) -> None:
    clock = Clock()
    desk = FakeDesk(desk_snapshot())

    async def gone(pilot: Pilot[None]) -> None:
        await drawn(pilot)
        desk.alive, desk.cause = False, "the engine exited with code 1: see its log"
        clock.advance(4)
        await drawn(pilot)

    app = terminal(desk, clock=clock)
    assert snap_compare(app, terminal_size=size, run_before=gone)


@pytest.mark.parametrize("size", [GOOD, SMALL], ids=named)
def test_a_silent_engine(snap_compare: Compare, size: tuple[int, int]) -> None:
    clock = Clock()

    async def silent(pilot: Pilot[None]) -> None:
        await drawn(pilot)
        clock.advance(1.4)
        await drawn(pilot)

    app = terminal(FakeDesk(desk_snapshot()), clock=clock)
    assert snap_compare(app, terminal_size=size, run_before=silent)


@pytest.mark.parametrize("size", [GOOD, SMALL], ids=named)
def test_a_frozen_picture(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert looks(snap_compare, desk_snapshot(), size, press=("f",))


def test_a_finished_replay(snap_compare: Compare) -> None:
    assert looks(snap_compare, desk_snapshot(mode="replay", state="FINISHED"), GOOD)


def test_a_live_desk_is_unmistakable(snap_compare: Compare) -> None:
    snapshot = desk_snapshot(mode="live", equity=100_131.41, day_pnl=131.41)
    assert looks(snap_compare, snapshot, GOOD)


@pytest.mark.parametrize("state", ["HALTED", "KILLED", "RECOVERING"])
def test_an_engine_that_does_not_trade(snap_compare: Compare, state: str) -> None:
    assert looks(snap_compare, desk_snapshot(state=state, state_reason="okx down"), SMALL)


def test_what_just_changed_stands_out(snap_compare: Compare) -> None:
    clock = Clock()
    desk = FakeDesk(desk_snapshot())

    async def changed(pilot: Pilot[None]) -> None:
        await drawn(pilot)
        assert desk.shown is not None
        clock.advance(0.1)
        venue = venue_quote("binance", bid_size=7.31, ask_size=3.14)
        desk.show(venues=(venue, *desk.shown.venues[1:]), ns=desk.shown.ns + 6 * SECOND)
        await drawn(pilot)

    app = terminal(desk, clock=clock)
    assert snap_compare(app, terminal_size=GOOD, run_before=changed)


@pytest.mark.parametrize("size", [GOOD, SMALL], ids=named)
def test_help(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert looks(snap_compare, desk_snapshot(), size, press=("question_mark",))


def test_list_of_markets(snap_compare: Compare) -> None:
    assert looks(snap_compare, desk_snapshot(), GOOD, press=("m",))


def _crossed() -> DeskSnapshot:
    best = best_quote(
        bid=65002.5, bid_venues=("bybit",), ask_venues=("okx",), spread_bps=-0.23, state="crossed"
    )
    normal = desk_snapshot()
    return msgspec.structs.replace(
        normal,
        nbbo=best,
        ladder=ladder(65002.5, 65001.0),
        venues=(
            normal.venues[0],
            venue_quote("bybit", bid=65002.5, ask=65003.0),
            venue_quote("okx", state="stale", reason="no frame for 2,612 ms", age_ms=2612.0),
        ),
    )
