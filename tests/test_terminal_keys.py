"""Every key does what the table says of it, on the running app."""

from __future__ import annotations

import msgspec
import pytest
from textual.command import CommandPalette
from textual.widgets import Input, OptionList, Static

from hftmm.desk.commands import (
    Cancel,
    Command,
    Halt,
    Kill,
    Place,
    Practice,
    Rearm,
    Set,
    Toggle,
    View,
)
from hftmm.terminal.bindings import KEYS, PANES, KeyTable
from hftmm.terminal.screens.desk import DeskScreen
from hftmm.terminal.screens.help import HelpScreen
from hftmm.terminal.screens.markets import MarketsScreen
from hftmm.terminal.widgets.banner import Banner
from hftmm.terminal.widgets.footer import KeyBar
from hftmm.terminal.widgets.header import Header
from hftmm.terminal.widgets.ladder import LadderPane
from hftmm.terminal.widgets.lines import LineWidget, text_of
from hftmm.terminal.widgets.log import LogPane
from hftmm.terminal.widgets.pane import Pane
from tests.fake_desk import (
    BTC,
    LOG,
    NOON,
    ORDERS,
    SECOND,
    STRATEGIES,
    best_quote,
    ladder,
    log_row,
)
from tests.killed_desk import PARAMETERS, VERIFIED
from tests.operators import Check, Operator, operate


async def _market_next(it: Operator) -> None:
    await it.press("right_square_bracket")
    assert it.view.market == "BTC/USDT"
    await it.press("right_square_bracket", "right_square_bracket", "right_square_bracket")
    assert it.view.market == BTC


async def _market_previous(it: Operator) -> None:
    await it.press("left_square_bracket")
    assert it.view.market == "ETH/USDT"


async def _markets(it: Operator) -> None:
    await it.press("m")
    assert isinstance(it.app.screen, MarketsScreen)
    options = it.app.screen.query_one(OptionList)
    assert options.option_count == 4
    await it.press("down", "enter")
    assert it.view.market == "BTC/USDT"


async def _recentre(it: Operator) -> None:
    centred = it.prices
    await it.press("up", "up")
    assert it.prices != centred
    await it.press("space")
    assert it.prices == centred


async def _group_wider(it: Operator) -> None:
    before = it.view.group
    await it.press("g")
    assert before == 100
    assert it.view.group == 200


async def _group_finer(it: Operator) -> None:
    await it.press(*"GGGGGG")
    assert it.view.group == 1


async def _net(it: Operator) -> None:
    await it.press("g", "n")
    assert it.view.net
    assert ("after fees", "warning") in it.screen.query_one(LadderPane).label(it.screen.picture)
    assert it.view.group == 100
    await it.press("n")
    assert not it.view.net
    assert it.view.group == 200


async def _scroll_up(it: Operator) -> None:
    top = it.prices[0]
    await it.press("up")
    assert float(it.prices[0]) == float(top) + 0.5


async def _scroll_down(it: Operator) -> None:
    top = it.prices[0]
    await it.press("down")
    assert float(it.prices[0]) == float(top) - 0.5


async def _page_up(it: Operator) -> None:
    top = it.prices[0]
    await it.press("pageup")
    assert float(it.prices[0]) > float(top) + 5


async def _page_down(it: Operator) -> None:
    top = it.prices[0]
    await it.press("pagedown")
    assert float(it.prices[0]) < float(top) - 5


async def _pane_next(it: Operator) -> None:
    seen = [it.focused]
    for _ in range(7):
        await it.press("tab")
        seen.append(it.focused)
    # Of the tabs the one in front.
    round_trip = "ladder nbbo arbitrage risk strategies log tape ladder"
    assert seen == round_trip.split()


async def _pane_previous(it: Operator) -> None:
    await it.press("shift+tab")
    assert it.focused == "tape"


async def _tab_next(it: Operator) -> None:
    seen = []
    for _ in range(7):
        await it.press("right")
        seen.append(it.focused)
    # The first time it goes to the one in front.
    assert seen == ["log", "pnl", "orders", "fills", "positions", "balances", "log"]


async def _tab_previous(it: Operator) -> None:
    await it.press("left", "left")
    assert it.focused == "balances"


def _go(name: str, key: str) -> Check:
    async def check(it: Operator) -> None:
        await it.press("alt+6" if name != "orders" else "alt+1")
        await it.press(key)
        assert it.focused == name

    return check


async def _cancel(it: Operator) -> None:
    it.desk.show(orders=ORDERS, trades=True)
    await it.settle()
    await it.press("c")
    assert it.focused == "orders"
    assert not it.told
    await it.press("down", "c")
    assert it.told == [Cancel("hm1-a8")]


async def _freeze(it: Operator) -> None:
    await it.press("f")
    it.desk.show(frames_per_s=999.0)
    it.clock.advance(12)
    await it.settle()
    header = it.text(Header)[0]
    assert "FROZEN 12s" in header
    assert "999/s" not in header
    await it.press("f")
    header = it.text(Header)[0]
    assert "FROZEN" not in header
    assert "999/s" in header


async def _filter(it: Operator) -> None:
    await it.press("slash")
    assert it.screen.query_one("#filter", Input).has_focus
    await it.press(*"BYBIT")
    assert len(it.text(LogPane)) < len(LOG) + 3
    assert any("gap" in line for line in it.text(LogPane))
    assert not any("seed" in line for line in it.text(LogPane))
    await it.press("enter")
    assert it.focused == "log"
    assert not any("seed" in line for line in it.text(LogPane))
    await it.press("escape")
    assert any("seed" in line for line in it.text(LogPane))


async def _theme(it: Operator) -> None:
    seen = []
    for _ in range(4):
        seen.append(it.app.theme)
        await it.press("t")
    assert sorted(seen) == ["amber", "colourblind", "dark", "light"]
    assert it.app.theme == seen[0]


async def _palette(it: Operator) -> None:
    await it.press("ctrl+p")
    assert isinstance(it.app.screen, CommandPalette)
    await it.press(*"theme amber")
    await it.app.workers.wait_for_complete()
    await it.press("enter")
    assert it.app.theme == "amber"


async def _help(it: Operator) -> None:
    await it.press("question_mark")
    assert isinstance(it.app.screen, HelpScreen)
    text = "\n".join(str(static.content) for static in it.app.screen.query(Static))
    for key in KEYS:
        assert key.text in text
    for pane in (LadderPane, LogPane):
        assert pane.HELP in text
    await it.press("escape")
    assert isinstance(it.app.screen, DeskScreen)


async def _quit(it: Operator) -> None:
    await it.pilot.press("q")
    await it.pilot.pause()
    assert not it.app.is_running or it.app._exit


async def _fourth(it: Operator) -> None:
    fourth = msgspec.structs.replace(STRATEGIES[0], name="resting", on=True)
    it.desk.show(strategies=(*STRATEGIES, fourth))
    await it.press("4")
    assert it.told == [Toggle("resting", on=False)]


def _sends(press: str, *commands: Command) -> Check:
    async def check(it: Operator) -> None:
        it.desk.show(strategies=STRATEGIES, parameters=PARAMETERS, kill=VERIFIED)
        await it.press(*press.split())
        assert it.told == list(commands)

    return check


CHECKS: dict[str, Check] = {
    "strategy_1": _sends("1", Toggle("cross mm", on=False)),
    "strategy_2": _sends("2", Toggle("arbitrage", on=False)),
    "strategy_3": _sends("3", Toggle("hedger", on=False)),
    "strategy_4": _fourth,
    "halt": _sends("x down enter", Halt("bybit")),
    "ticket": _sends("o enter", Place("binance", BTC, "buy", "65000.5", "0.01")),
    "parameters": _sends("p enter 5 enter", Set("market_making.order_size", "5")),
    "flatten": _sends("F y", Kill("key F", flatten=True)),
    "rearm": _sends("R A R M enter", Rearm("ARM")),
    "kill": _sends("K", Kill("key K")),
    "market_next": _market_next,
    "market_previous": _market_previous,
    "markets": _markets,
    "recentre": _recentre,
    "group_wider": _group_wider,
    "group_finer": _group_finer,
    "net": _net,
    "scroll_up": _scroll_up,
    "scroll_down": _scroll_down,
    "page_up": _page_up,
    "page_down": _page_down,
    "pane_next": _pane_next,
    "pane_previous": _pane_previous,
    "tab_next": _tab_next,
    "tab_previous": _tab_previous,
    "cancel": _cancel,
    **{f"pane_{name}": _go(name, KeyTable.of().named(f"pane_{name}").keys) for name in PANES},
    "freeze": _freeze,
    "filter": _filter,
    "theme": _theme,
    "palette": _palette,
    "help": _help,
    "quit": _quit,
}


@pytest.mark.parametrize("name", [key.name for key in KEYS])
async def test_every_key_of_the_table_does_what_it_says(name: str) -> None:
    await operate(CHECKS[name])


async def test_a_key_of_the_config_works_in_place_of_the_default() -> None:
    async def check(it: Operator) -> None:
        await it.press("f")
        assert "FROZEN" not in it.text(Header)[0]
        await it.press("F2".lower())
        assert "FROZEN" in it.text(Header)[0]

    await operate(check, keys=(("freeze", "f2"),))


async def test_what_is_wrong_with_config_and_themes_stands_in_the_log() -> None:
    async def check(it: Operator) -> None:
        log = " ".join(it.text(LogPane))
        assert "terminal.keys.explode: no such action" in " ".join(log.split())
        assert "no theme 'puce'" in log
        assert it.app.theme == "amber"

    await operate(check, keys=(("explode", "e"),), theme="puce")


async def test_one_pane_shows_at_a_time_where_there_is_no_room_for_more() -> None:
    async def check(it: Operator) -> None:
        for name in PANES:
            await it.press(KeyTable.of().named(f"pane_{name}").keys)
            shown = [pane.id for pane in it.screen.query(Pane) if pane.size and pane.region]
            assert shown == [name]
            assert it.focused == name
        await it.press("tab")
        assert it.focused == "ladder"

    await operate(check, size=(80, 24))


async def test_the_engine_is_told_once_what_is_looked_at() -> None:
    async def check(it: Operator) -> None:
        for _ in range(3):
            it.desk.show()
            await it.settle()
        assert it.desk.sent == [View(market=BTC, group=100, rows=80)]

    await operate(check)


async def test_a_market_keeps_the_group_it_was_last_seen_in() -> None:
    async def check(it: Operator) -> None:
        await it.press("g", "g", "right_square_bracket")
        it.desk.show(market="BTC/USDT")
        await it.settle()
        assert it.view.group == 100
        await it.press("left_square_bracket")
        assert it.view == View(market=BTC, group=500, rows=80)

    await operate(check)


async def test_the_ladder_stands_still_while_the_market_is_in_sight() -> None:
    async def check(it: Operator) -> None:
        before = it.prices
        it.desk.show(ladder=ladder(65004.5, 65005.0), nbbo=best_quote(bid=65004.5, ask=65005.0))
        await it.settle()
        assert it.prices == before

    await operate(check)


async def test_a_ladder_nobody_scrolled_follows_a_market_that_left_it() -> None:
    async def check(it: Operator) -> None:
        it.desk.show(ladder=ladder(65104.5, 65105.0), nbbo=best_quote(bid=65104.5, ask=65105.0))
        await it.settle()
        assert "65104.5" in it.prices

    await operate(check)


async def test_a_scrolled_ladder_stays_and_says_where_the_market_is() -> None:
    async def check(it: Operator) -> None:
        await it.press("down")
        before = it.prices
        it.desk.show(ladder=ladder(65104.5, 65105.0), nbbo=best_quote(bid=65104.5, ask=65105.0))
        await it.settle()
        assert it.prices == before
        assert any("▲ market" in line and "space" in line for line in it.text(LadderPane))
        await it.press("space")
        assert "65104.5" in it.prices

    await operate(check)


async def test_an_automatic_ladder_keeps_the_market_in_the_middle() -> None:
    async def check(it: Operator) -> None:
        before = it.prices
        it.desk.show(ladder=ladder(65004.5, 65005.0), nbbo=best_quote(bid=65004.5, ask=65005.0))
        await it.settle()
        assert float(it.prices[0]) == float(before[0]) + 4.0

    await operate(check, auto_centre=True)


async def test_a_silent_engine_shows_within_a_second_and_counts_up() -> None:
    async def check(it: Operator) -> None:
        it.clock.advance(0.9)
        await it.settle()
        assert "silent" not in it.text(Header)[0]
        it.clock.advance(0.5)
        await it.settle()
        assert "engine silent 1.4 s" in it.text(Header)[0]
        it.clock.advance(2)
        await it.settle()
        assert "engine silent 3.4 s" in it.text(Header)[0]
        it.desk.show()
        await it.settle()
        assert "silent" not in it.text(Header)[0]

    await operate(check)


async def test_a_finished_replay_is_not_silent() -> None:
    async def check(it: Operator) -> None:
        it.desk.show(mode="replay", state="FINISHED")
        await it.settle()
        it.clock.advance(60)
        await it.settle()
        assert "silent" not in it.text(Header)[0]
        assert "FINISHED" in it.text(Header)[0]
        assert "12:00:01Z" in it.text(Header)[0]

    await operate(check)


async def test_last_data_turns_grey_when_the_engine_is_gone_and_back_when_it_returns() -> None:
    async def check(it: Operator) -> None:
        pane = it.screen.query_one(LadderPane)
        coloured = pane.ink
        it.desk.alive, it.desk.cause = False, "engine exited with code 1"
        await it.settle()
        assert pane.ink is not coloured
        assert it.screen.query_one("#banner").display
        it.desk.alive = True
        it.desk.show()
        await it.settle()
        assert pane.ink is coloured
        assert not it.screen.query_one("#banner").display

    await operate(check)


async def test_an_engine_that_is_gone_may_have_left_orders_and_the_screen_says_so() -> None:
    async def check(it: Operator) -> None:
        for trades in (False, True):
            it.desk.show(trades=trades)
            await it.settle()
            it.desk.alive, it.desk.cause = False, "engine exited with code 1"
            await it.settle()
            said = any("hftmm kill --direct" in line for line in it.text(Banner))
            assert said is trades
            it.desk.alive = True

    await operate(check)


async def test_alt_and_a_digit_torn_apart_on_the_way_switch_no_strategy() -> None:
    async def check(it: Operator) -> None:
        it.desk.show(strategies=STRATEGIES)
        await it.settle()
        await it.press("escape", "1")
        assert it.told == []
        assert "escape came just before" in it.text(KeyBar)[0]
        it.clock.advance(1)
        await it.press("1")
        assert it.told == [Toggle("cross mm", on=False)]

    await operate(check)


async def test_practice_faults_are_in_the_palette_of_a_practice_desk() -> None:
    async def check(it: Operator) -> None:
        await it.press("ctrl+p")
        await it.press(*"practice okx gap")
        await it.app.workers.wait_for_complete()
        await it.press("enter")
        assert Practice(venue="okx", fault="gap") in it.desk.sent

    await operate(check)


async def test_the_desk_is_drawn_less_often_under_a_dialog() -> None:
    async def check(it: Operator) -> None:
        desk = it.screen
        await it.press("question_mark")
        it.desk.show(frames_per_s=999.0)
        desk._tick()
        assert desk.picture.shown is not it.desk.shown
        it.clock.advance(0.5)
        desk._tick()
        assert desk.picture.shown is it.desk.shown

    await operate(check)


async def test_a_frozen_picture_keeps_its_side_of_fees() -> None:
    async def check(it: Operator) -> None:
        await it.press("f", "n")
        assert it.view.net
        assert ("gross", "dim") in it.screen.query_one(LadderPane).label(it.screen.picture)
        await it.press("f")
        assert ("gross", "dim") not in it.screen.query_one(LadderPane).label(it.screen.picture)

    await operate(check)


async def test_no_faults_are_offered_where_money_is_real() -> None:
    async def check(it: Operator) -> None:
        it.desk.show(mode="live")
        await it.settle()
        assert "LIVE: REAL MONEY" in it.text(Header)[0]
        await it.press("ctrl+p")
        await it.press(*"practice okx gap")
        await it.app.workers.wait_for_complete()
        await it.press("enter")
        assert not [command for command in it.desk.sent if isinstance(command, Practice)]

    await operate(check)


async def test_a_click_on_the_footer_does_what_its_key_does() -> None:
    async def check(it: Operator) -> None:
        footer = text_of(it.screen.query("KeyBar").first(LineWidget).lines[0])
        await it.pilot.click("KeyBar", offset=(footer.index("net"), 0))
        await it.settle()
        assert it.view.net

    await operate(check)


async def test_a_click_on_the_market_opens_the_list_of_markets() -> None:
    async def check(it: Operator) -> None:
        await it.pilot.click(Header, offset=(it.text(Header)[0].index("BTC"), 0))
        await it.pilot.pause()
        assert isinstance(it.app.screen, MarketsScreen)

    await operate(check)


async def test_the_wheel_scrolls_the_pane_under_it() -> None:
    async def check(it: Operator) -> None:
        top = it.prices[0]
        await it.pilot._post_mouse_events([_wheel()], "#ladder", (10, 10))
        await it.settle()
        assert float(it.prices[0]) == float(top) - 1.5

    await operate(check)


async def test_the_log_follows_its_end_until_it_is_scrolled_up() -> None:
    rows = tuple(log_row(i, f"line {i:03}", ns=NOON + i * SECOND) for i in range(100))

    async def check(it: Operator) -> None:
        it.desk.show(log=rows)
        await it.press("alt+0")
        assert "line 099" in it.text(LogPane)[-1]
        await it.press("up", "up")
        assert "line 097" in it.text(LogPane)[-1]
        it.desk.show(log=(*rows, log_row(100, "line 100", ns=NOON + 100 * SECOND)))
        await it.settle()
        assert "line 097" in it.text(LogPane)[-1]
        await it.press("pagedown")
        assert "line 100" in it.text(LogPane)[-1]

    await operate(check)


async def test_any_size_of_terminal_and_any_change_of_it_is_survived() -> None:
    async def check(it: Operator) -> None:
        sizes = [(20, 5), (200, 60), (80, 24), (159, 45), (160, 29), (99, 60), (120, 48), (1, 1)]
        for width, height in [*sizes, *reversed(sizes)]:
            await it.pilot.resize_terminal(width, height)
            it.desk.show(venues=it.desk.shown.venues[::-1] if it.desk.shown else ())
            await it.settle()
            await it.press("tab", "up", "pagedown")
        assert it.app.is_running

    await operate(check)


async def test_a_market_with_nothing_in_it_is_drawn() -> None:
    async def check(it: Operator) -> None:
        assert it.desk.shown is not None
        nothing = best_quote(
            bid=None, bid_size=None, bid_venues=(), ask=None, ask_size=None, ask_venues=(),
            spread_bps=None, state="empty",
        )  # fmt: skip
        empty = msgspec.structs.replace(
            it.desk.shown.ladder, columns=(), mid=None, microprice=None, last=None, last_size=None
        )
        it.desk.show(
            nbbo=nothing, net=nothing, ladder=empty, venues=(), opportunities=(), risk=(), tape=(),
            log=(), markets=(),
        )  # fmt: skip
        await it.settle()
        await it.press("right_square_bracket", "m", "escape", "space", "n")
        assert any("empty" in line for line in it.text(LadderPane))

    await operate(check)


def _wheel() -> type:
    from textual.events import MouseScrollDown

    return MouseScrollDown
