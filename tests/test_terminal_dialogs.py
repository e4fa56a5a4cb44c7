"""The keys that act: what each sends, what it asks before, and that K is never in anybody's way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from textual.command import CommandPalette
from textual.screen import Screen
from textual.widgets import Button, Input, OptionList, Static

from hftmm.desk.commands import (
    Accept,
    CancelAll,
    Halt,
    Kill,
    Place,
    Rearm,
    Resume,
    Set,
    Stop,
    Toggle,
)
from hftmm.desk.snapshot import LogRow
from hftmm.terminal.notice import NOTICE_NS
from hftmm.terminal.screens.desk import DeskScreen
from hftmm.terminal.screens.dialog import Choice, Dialog, Entry
from hftmm.terminal.screens.flatten import FlattenScreen
from hftmm.terminal.screens.leaving import LeavingScreen, unverified
from hftmm.terminal.screens.parameters import ParametersScreen, mismatch
from hftmm.terminal.screens.rearm import RearmScreen
from hftmm.terminal.screens.ticket import TicketScreen
from hftmm.terminal.screens.venues import VenuesScreen
from hftmm.terminal.widgets.alarm import Alarm
from hftmm.terminal.widgets.footer import KeyBar
from hftmm.terminal.widgets.lines import text_of
from hftmm.terminal.widgets.risk import RiskPane
from tests.fake_desk import BTC, NOON, SECOND, order, risk_row, trading_snapshot
from tests.killed_desk import (
    PARAMETERS,
    UNVERIFIED,
    VERIFIED,
    killed_snapshot,
    ready_snapshot,
    venue_kill,
)
from tests.operators import Check, Operator, operate

SMALL = (80, 24)


def said(it: Operator, where: str) -> str:
    """What a part of the dialog on top says."""
    return str(it.app.screen.query_one(f"#{where}", Static).content)


def fill_in(it: Operator, **values: str) -> None:
    """Writes into the fields of the dialog on top, as a paste does."""
    for name, value in values.items():
        field = it.app.screen.query_one(f"#{name}")
        assert isinstance(field, Input | Choice)
        field.value = value


def answer(it: Operator, text: str, level: str = "warning", number: int = 90) -> None:
    """The engine says what became of a command."""
    assert it.desk.shown is not None
    row = LogRow(number, NOON, level, "desk", text)
    it.desk.show(log=(*it.desk.shown.log, row))


async def look(it: Operator) -> None:
    """Lets the dialog on top take the newest snapshot."""
    if isinstance(it.app.screen, Dialog):
        it.app.screen.pull()
    await it.settle()


async def on_ready(check: Check, **options: Any) -> None:
    await operate(check, **{"shown": ready_snapshot(), **options})


# Kill


async def _filter(it: Operator) -> None:
    await it.press("slash", *"ab")
    assert it.screen.query_one("#filter").has_focus


async def _in_palette(it: Operator) -> None:
    await it.press("ctrl+p", *"se")
    assert isinstance(it.app.screen, CommandPalette)


def _opened(keys: str, kind: type[Screen[Any]]) -> Callable[[Operator], Awaitable[None]]:
    async def opened(it: Operator) -> None:
        await it.press(*keys.split())
        assert isinstance(it.app.screen, kind)

    return opened


PLACES: dict[str, Callable[[Operator], Awaitable[None]]] = {
    "the desk": _opened("alt+1", DeskScreen),
    "the filter": _filter,
    "the palette": _in_palette,
    "the help": _opened("question_mark", Screen),
    "the markets": _opened("m", Screen),
    "the venues": _opened("x", VenuesScreen),
    "a choice of the ticket": _opened("o up", TicketScreen),
    "the price of the ticket": _opened("o", TicketScreen),
    "the parameters": _opened("p", ParametersScreen),
    "the value of a parameter": _opened("p enter", ParametersScreen),
    "the question of flatten": _opened("F", FlattenScreen),
}


@pytest.mark.parametrize("place", PLACES)
async def test_k_kills_at_once_from_everywhere(place: str) -> None:
    async def check(it: Operator) -> None:
        await PLACES[place](it)
        await it.press("K")
        assert it.told == [Kill("key K")]
        assert isinstance(it.app.screen, DeskScreen)
        await it.press("f")
        assert it.app.is_running

    await on_ready(check)


async def test_k_kills_again_while_the_word_for_re_arming_is_typed() -> None:
    async def check(it: Operator) -> None:
        await it.press("R", *"AR", "K")
        assert it.told == [Kill("key K")]
        assert isinstance(it.app.screen, DeskScreen)

    await operate(check, shown=killed_snapshot())


async def test_k_kills_again_while_the_engine_ends() -> None:
    async def check(it: Operator) -> None:
        await it.press("q", "K")
        assert it.told == [Stop("key q"), Kill("key K")]
        assert isinstance(it.app.screen, LeavingScreen)

    await on_ready(check, owned=True)


async def test_k_is_not_typed_where_text_is() -> None:
    async def check(it: Operator) -> None:
        await it.press("slash", "a", "K", "b")
        assert it.screen.query_one("#filter", Input).value == "ab"

    await on_ready(check)


async def test_another_key_for_the_kill_is_heard_over_dialogs_too() -> None:
    async def check(it: Operator) -> None:
        await it.press("o", "K")
        assert it.told == []
        await it.press("f9")
        assert it.told == [Kill("key f9")]

    await on_ready(check, keys=(("kill", "f9"),))


async def test_a_click_on_the_kill_of_the_footer_kills() -> None:
    async def check(it: Operator) -> None:
        bar = it.text(KeyBar)[0]
        await it.pilot.click(KeyBar, offset=(bar.index("K KILL"), 0))
        await it.settle()
        assert it.told == [Kill("key K")]

    await on_ready(check)


@pytest.mark.parametrize("width", [40, 80, 200])
async def test_the_kill_is_in_the_footer_at_any_width(width: int) -> None:
    async def check(it: Operator) -> None:
        assert "K KILL" in it.text(KeyBar)[0]

    await on_ready(check, size=(width, 24))


async def test_without_an_engine_a_kill_says_what_is_left_to_do() -> None:
    async def check(it: Operator) -> None:
        it.desk.alive = False
        await it.press("K")
        assert it.told == []
        assert "hftmm kill --direct" in it.text(KeyBar)[0]

    await on_ready(check)


async def test_a_kill_for_a_silent_engine_is_sent_and_says_what_else_there_is() -> None:
    async def check(it: Operator) -> None:
        it.clock.advance(1.4)
        await it.press("K")
        assert it.told == [Kill("key K")]
        assert "the engine is silent; from a shell: hftmm kill --direct" in it.text(KeyBar)[0]

    await on_ready(check)


async def test_a_kill_ends_a_frozen_picture() -> None:
    async def check(it: Operator) -> None:
        await it.press("f")
        it.desk.show(state="KILLED", kill=UNVERIFIED)
        await it.settle()
        assert it.screen.picture.frozen_ns is None
        assert it.screen.query_one(Alarm).display

    await on_ready(check)


# Killed, halted, recovering, stopping


async def alarm(it: Operator) -> list[str]:
    """The band under the header; empty where it is not shown."""
    # What was hidden is drawn once it is laid out.
    await it.settle()
    band = it.screen.query_one(Alarm)
    return [text_of(line).strip() for line in band.lines] if band.display else []


@pytest.mark.parametrize("size", [SMALL, (200, 60)])
async def test_a_kill_shows_each_venue_with_what_is_sent_acked_and_verified(
    size: tuple[int, int],
) -> None:
    async def check(it: Operator) -> None:
        rows = await alarm(it)
        assert rows[0].startswith("✕ KILLED ✕  key K · 11:59:59Z, 2.0s ago")
        assert "binance   sent 4 · acked 4 · ● zero at 38 ms · holds BTC" in rows[1]
        text = " ".join(rows)
        assert "bybit     sent 3 · acked 1 · ✕ NOT ZERO, 2 open" in text
        assert "2 still open, asked 4 times" in text
        assert "okx       sent 1 · acked 0 · ◌ NOT VERIFIED · no answer yet" in text
        assert "flatten   binance try 1 of 5" in text
        assert "re-arm    not before bybit and okx shows zero" in text
        assert it.screen.has_class("-killed")
        assert "KILLED" in str(it.screen.border_title)

    await operate(check, size=size, shown=killed_snapshot(UNVERIFIED))


async def test_the_frame_is_as_before_once_re_armed() -> None:
    async def check(it: Operator) -> None:
        killed = it.screen.query_one("#ladder").size
        it.desk.show(state="ARMED", kill=None)
        await it.settle()
        assert await alarm(it) == []
        assert not it.screen.has_class("-killed")
        assert it.screen.query_one("#ladder").size.width > killed.width

    await operate(check, shown=killed_snapshot())


async def test_a_halt_says_where_and_why_and_how_it_ends() -> None:
    async def check(it: Operator) -> None:
        halted = risk_row("okx", halted="day loss 501.20 > 500.00")
        it.desk.show(state="HALTED", state_reason="okx", risk=(risk_row(), halted))
        await it.settle()
        assert await alarm(it) == [
            "■ HALTED  only reducing orders pass: okx",
            "okx       day loss 501.20 > 500.00 · x resumes it",
        ]

    await on_ready(check)


async def test_recovering_says_what_differs_and_how_to_accept_it() -> None:
    async def check(it: Operator) -> None:
        it.desk.show(
            state="RECOVERING",
            state_reason="waiting for the operator",
            differences=(("okx", "position 0.02, the venue says 0.03"),),
        )
        await it.settle()
        assert await alarm(it) == [
            "◐ RECOVERING  waiting for the operator",
            "okx       position 0.02, the venue says 0.03 · ^p accept okx",
        ]

    await on_ready(check)


async def test_a_kill_on_a_terminal_of_any_size_is_survived() -> None:
    async def check(it: Operator) -> None:
        for width, height in [(20, 5), (3, 3), (1, 1), (100, 30), (80, 24)]:
            await it.pilot.resize_terminal(width, height)
            it.desk.show()
            await it.settle()
        assert "KILLED" in (await alarm(it))[0]

    await operate(check, shown=killed_snapshot(UNVERIFIED))


# Flatten


async def test_flatten_shows_what_is_held_and_the_cap_and_wants_a_yes() -> None:
    async def check(it: Operator) -> None:
        await it.press("F")
        rows = said(it, "positions").splitlines()
        assert [row.split()[0] for row in rows] == ["binance", "bybit", "okx"]
        assert "0.080" in rows[0]
        assert "100.0 bps from the touch" in said(it, "cap")
        assert it.told == []
        await it.press("y")
        assert it.told == [Kill("key F", flatten=True)]

    await on_ready(check)


@pytest.mark.parametrize("keys", ["enter", "escape", "n", "left enter right enter"])
async def test_flatten_is_not_done_by_what_is_not_a_yes(keys: str) -> None:
    async def check(it: Operator) -> None:
        await it.press("F", *keys.split()[:1])
        if keys.startswith("left"):
            # Around both buttons and back to the first.
            await it.press("right", "enter")
        assert it.told == []
        assert isinstance(it.app.screen, DeskScreen)

    await on_ready(check)


async def test_the_button_that_flattens_is_chosen_on_purpose() -> None:
    async def check(it: Operator) -> None:
        await it.press("F", "right")
        assert it.app.screen.query_one("#yes", Button).has_focus
        await it.press("enter")
        assert it.told == [Kill("key F", flatten=True)]

    await on_ready(check)


async def test_flatten_says_that_nothing_is_held() -> None:
    async def check(it: Operator) -> None:
        await it.press("F")
        assert said(it, "positions") == "nothing is held by our books"
        assert "the config's slippage cap" in said(it, "cap")

    await operate(check, shown=trading_snapshot(positions=()))


# Re-arm


async def test_re_arming_wants_the_word_and_closes_when_the_kill_is_over() -> None:
    async def check(it: Operator) -> None:
        await it.press("R")
        assert "strategies stay off" in said(it, "will")
        await it.press(*"ARM", "enter")
        assert it.told == [Rearm("ARM")]
        assert isinstance(it.app.screen, RearmScreen)
        it.desk.show(state="ARMED", kill=None)
        await look(it)
        assert isinstance(it.app.screen, DeskScreen)

    await operate(check, shown=killed_snapshot(VERIFIED))


@pytest.mark.parametrize("word", ["", "A", "arm", "AR"])
async def test_another_word_does_not_re_arm(word: str) -> None:
    async def check(it: Operator) -> None:
        await it.press("R", *word, "enter")
        assert it.told == []
        assert "the word is ARM" in said(it, "answers")

    await operate(check, shown=killed_snapshot())


async def test_the_dialog_shows_what_is_not_verified_and_why_re_arming_was_refused() -> None:
    async def check(it: Operator) -> None:
        await it.press("R")
        assert "bybit     sent 3 · acked 1 · ✕ NOT ZERO, 2 open" in said(it, "venues")
        await it.press(*"ARM", "enter")
        answer(it, "rearm not re-armed: bybit is not verified zero")
        await look(it)
        assert said(it, "answers") == "✕ rearm not re-armed: bybit is not verified zero"

    await operate(check, shown=killed_snapshot(UNVERIFIED))


async def test_there_is_nothing_to_re_arm_without_a_kill() -> None:
    async def check(it: Operator) -> None:
        await it.press("R")
        assert "nothing is killed" in it.text(KeyBar)[0]
        assert it.told == []

    await on_ready(check)


# Strategies and venues


@pytest.mark.parametrize(
    ("key", "name", "on"),
    [("1", "cross mm", False), ("2", "arbitrage", True), ("3", "hedger", False)],
)
async def test_a_number_switches_its_strategy(key: str, name: str, on: bool) -> None:
    async def check(it: Operator) -> None:
        assert it.desk.shown is not None
        first, second, third = it.desk.shown.strategies
        off = msgspec.structs.replace(second, on=False)
        it.desk.show(strategies=(first, off, third))
        await it.press(key)
        assert it.told == [Toggle(name, on=on)]

    await on_ready(check)


async def test_a_number_without_a_strategy_says_so() -> None:
    async def check(it: Operator) -> None:
        await it.press("3")
        assert it.told == []
        assert "there is no strategy 3" in it.text(KeyBar)[0]

    await operate(check, shown=trading_snapshot(strategies=trading_snapshot().strategies[:2]))


async def test_x_asks_which_venue_and_halts_or_resumes_it() -> None:
    async def check(it: Operator) -> None:
        it.desk.show(risk=(risk_row(), risk_row("bybit", halted="by hand"), risk_row("okx")))
        await it.press("x")
        options = it.app.screen.query_one(OptionList)
        assert "resume: by hand" in str(options.get_option("bybit").prompt)
        await it.press("down", "enter")
        assert it.told == [Resume("bybit")]
        await it.press("x", "enter")
        assert it.told[1:] == [Halt("binance")]
        await it.press("x", "escape")
        assert len(it.told) == 2

    await on_ready(check)


async def test_x_halts_the_venue_that_is_selected_in_the_risk_pane() -> None:
    async def check(it: Operator) -> None:
        await it.press("alt+4", "down", "down", "x")
        assert it.told == [Halt("bybit")]
        assert any("●▸bybit" in line for line in it.text(RiskPane))
        await it.press("down", "down", "down", "x", "up", "x")
        assert it.told[1:] == [Halt("okx"), Halt("bybit")]
        # Where no venue is selected, it is asked for.
        await it.press("alt+1", "x")
        assert isinstance(it.app.screen, VenuesScreen)

    await on_ready(check)


async def test_the_selection_of_a_venue_goes_with_the_venue() -> None:
    async def check(it: Operator) -> None:
        await it.press("alt+4", "down", "down")
        it.desk.show(risk=(risk_row(), risk_row("okx")))
        await it.settle()
        assert it.screen.query_one(RiskPane).selected_venue == ""
        await it.press("x")
        assert isinstance(it.app.screen, VenuesScreen)

    await on_ready(check)


# The order ticket


async def test_the_ticket_begins_with_the_touch_and_the_usual_size() -> None:
    async def check(it: Operator) -> None:
        await it.press("o")
        assert said(it, "meaning") == (
            "buy 0.01 BTC perp at 65000.5 on binance, post-only = 650.00 USDT"
        )
        assert said(it, "wrong") == ""
        await it.press("enter")
        assert it.told == [Place("binance", BTC, "buy", "65000.5", "0.01")]

    await on_ready(check)


async def test_a_side_and_a_type_propose_their_own_touch_until_a_price_is_typed() -> None:
    async def check(it: Operator) -> None:
        await it.press("o")
        price = it.app.screen.query_one("#price", Entry)
        await it.press("up", "right")
        assert price.value == "65001.0"
        fill_in(it, type="ioc")
        await it.settle()
        assert price.value == "65000.5"
        fill_in(it, price="65003", side="buy")
        await it.settle()
        assert price.value == "65003"

    await on_ready(check)


async def test_the_ticket_shows_the_touch_of_its_venue_and_of_all() -> None:
    async def check(it: Operator) -> None:
        await it.press("o")
        fill_in(it, venue="bybit")
        await look(it)
        assert said(it, "venue-note") == "live 65000.5 │ 65001.5"
        assert said(it, "price-note") == "nbbo 65000.5 │ 65001.0"
        assert said(it, "size-note") == "held -0.052"
        fill_in(it, market="ETH/USDT")
        await look(it)
        # The venues on view are those of another market.
        assert said(it, "venue-note") == "live"
        assert said(it, "size-note") == ""

    await on_ready(check)


async def test_every_field_of_the_ticket_is_in_the_order() -> None:
    async def check(it: Operator) -> None:
        await it.press("o")
        fill_in(it, venue="okx", market="ETH/USDT", side="sell", type="gtc", reduce="yes")
        fill_in(it, price="2500.1", size="1.5")
        await it.settle()
        await it.press("enter")
        assert it.told == [Place("okx", "ETH/USDT", "sell", "2500.1", "1.5", "gtc", True)]

    await on_ready(check)


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"price": ""}, "price: is missing"),
        ({"size": "1.2.3"}, "size: '1.2.3' is not a number"),
        ({"size": "0.000"}, "size: 0.000 is not above 0"),
        ({"price": "."}, "price: '.' is not a number"),
    ],
)
async def test_what_is_no_order_is_not_sent(fields: dict[str, str], wrong: str) -> None:
    async def check(it: Operator) -> None:
        await it.press("o")
        fill_in(it, **fields)
        await it.settle()
        await it.press("enter")
        assert it.told == []
        assert f"! {wrong}" in said(it, "wrong")
        assert "not sent" in said(it, "wrong")

    await on_ready(check)


@pytest.mark.parametrize(
    ("fields", "changes", "doubt"),
    [
        ({"price": "65001.0"}, {}, "post-only would cross the ask 65001.0"),
        ({"side": "sell", "price": "65000.4"}, {}, "post-only would cross the bid 65000.5"),
        ({"type": "ioc", "price": "65000.0"}, {}, "ioc does not reach the ask 65001.0"),
        ({}, {"trades": False}, "this engine cannot trade"),
        ({}, {"kill": VERIFIED}, "killed: nothing leaves until it is re-armed"),
        ({}, {"risk": (risk_row(halted="by hand"),)}, "binance is halted, only reducing orders"),
        ({}, {"risk": (risk_row(account="no key"),)}, "binance: no key"),
    ],
)
async def test_what_would_be_refused_is_said_before_it_is_sent(
    fields: dict[str, str], changes: dict[str, Any], doubt: str
) -> None:
    async def check(it: Operator) -> None:
        it.desk.show(**changes)
        await it.press("o")
        fill_in(it, **fields)
        await look(it)
        assert doubt in said(it, "wrong")

    await on_ready(check)


async def test_a_reducing_order_passes_a_halt_without_a_word() -> None:
    async def check(it: Operator) -> None:
        it.desk.show(risk=(risk_row(halted="by hand"),))
        await it.press("o")
        fill_in(it, reduce="yes")
        await look(it)
        assert said(it, "wrong") == ""

    await on_ready(check)


async def test_an_order_is_not_sent_twice_by_a_key_pressed_twice() -> None:
    async def check(it: Operator) -> None:
        await it.press("o", "enter", "enter", "enter")
        assert len(it.told) == 1
        assert "nothing was sent again" in said(it, "wrong")
        await it.press("ctrl+n", "enter")
        assert len(it.told) == 2
        fill_in(it, size="0.02")
        await it.settle()
        await it.press("enter")
        assert len(it.told) == 3

    await on_ready(check)


async def test_the_ticket_shows_what_the_engine_made_of_the_order_and_stays_open() -> None:
    async def check(it: Operator) -> None:
        answer(it, "an older refusal", number=80)
        await it.press("o", "enter")
        answer(it, "place total_position: 1.01 > 1", number=91)
        await look(it)
        assert said(it, "answers") == "✕ place total_position: 1.01 > 1"
        answer(it, "place hm01ma1 sent", "info", number=92)
        await look(it)
        assert said(it, "answers").splitlines()[1] == "· place hm01ma1 sent"
        assert isinstance(it.app.screen, TicketScreen)

    await on_ready(check)


async def test_a_field_for_numbers_takes_nothing_else() -> None:
    async def check(it: Operator) -> None:
        await it.press("o", "home", "x", "q", "m", "1", "p")
        assert it.app.screen.query_one("#price", Entry).value in {"1", "165000.5"}
        assert it.told == []
        assert isinstance(it.app.screen, TicketScreen)

    await on_ready(check)


async def test_all_orders_of_the_venue_in_the_ticket_are_canceled_by_one_key() -> None:
    async def check(it: Operator) -> None:
        await it.press("o")
        fill_in(it, venue="bybit")
        await it.settle()
        await it.press("C")
        assert it.told == [CancelAll("bybit")]

    await on_ready(check)


async def test_the_ticket_opens_before_there_is_a_market() -> None:
    async def check(it: Operator) -> None:
        it.desk.show(venues=(), markets=(), market="")
        await it.press("o", "enter", "C")
        assert "no venue and market yet" in said(it, "wrong")
        assert [command for command in it.told if isinstance(command, Place)] == []

    await on_ready(check)


# Parameters


async def test_a_parameter_is_edited_and_sent() -> None:
    async def check(it: Operator) -> None:
        await it.press("p")
        assert "Size of a quote" in said(it, "words")
        assert said(it, "allowed") == "allowed: a number from 0 to 1_000_000_000"
        await it.press("enter", "ctrl+u", *"0.02", "enter")
        assert it.told == [Set("market_making.order_size", "0.02")]
        assert it.app.screen.query_one("#keys").has_focus

    await on_ready(check)


async def test_a_value_of_another_kind_is_not_sent_and_says_what_is_allowed() -> None:
    async def check(it: Operator) -> None:
        await it.press("p", "enter", "ctrl+u", *"big", "enter")
        assert it.told == []
        assert said(it, "allowed") == (
            "✕ is not a value as config.toml has them; allowed: a number from 0 to 1_000_000_000"
        )

    await on_ready(check)


async def test_a_refused_parameter_says_why_and_keeps_its_value() -> None:
    async def check(it: Operator) -> None:
        await it.press("p", "enter", "ctrl+u", *"-1", "enter")
        answer(it, "set market_making.order_size: -1 is below 0, allowed: a number from 0")
        await look(it)
        assert said(it, "answers").startswith("✕ set market_making.order_size: -1 is below 0")
        keys = it.app.screen.query_one("#keys", OptionList)
        assert str(keys.get_option_at_index(0).prompt).endswith("0.01")

    await on_ready(check)


async def test_a_changed_parameter_shows_its_new_value() -> None:
    async def check(it: Operator) -> None:
        await it.press("p", "down", "down")
        changed = msgspec.structs.replace(PARAMETERS[0], value="0.02")
        it.desk.show(parameters=(changed, *PARAMETERS[1:]))
        await look(it)
        keys = it.app.screen.query_one("#keys", OptionList)
        assert str(keys.get_option_at_index(0).prompt).endswith("0.02")
        assert keys.highlighted == 2

    await on_ready(check)


async def test_escape_leaves_a_value_then_the_parameters() -> None:
    async def check(it: Operator) -> None:
        await it.press("p", "enter", "ctrl+u", "9", "escape")
        assert isinstance(it.app.screen, ParametersScreen)
        await it.press("escape")
        assert isinstance(it.app.screen, DeskScreen)
        assert it.told == []

    await on_ready(check)


async def test_parameters_that_an_engine_does_not_offer_are_none() -> None:
    async def check(it: Operator) -> None:
        await it.press("p", "enter")
        assert said(it, "words") == "this engine offers none"
        assert it.told == []

    await operate(check)


@pytest.mark.parametrize(
    ("at", "text", "fits"),
    [
        (0, "1", True),
        (0, "1.5", True),
        (0, "true", False),
        (0, "", False),
        (1, '["okx"]', True),
        (1, "okx", False),
        (2, "false", True),
        (2, "1", False),
    ],
)
def test_a_value_must_be_of_the_kind_the_parameter_is(at: int, text: str, fits: bool) -> None:
    assert (mismatch(text, PARAMETERS[at]) == "") is fits


def test_a_word_needs_no_quotes_where_a_word_is_wanted() -> None:
    policy = msgspec.structs.replace(PARAMETERS[0], value='"strict"')
    assert mismatch("warn", policy) == ""


# Answers


async def test_a_refused_command_stands_in_the_footer_for_some_seconds() -> None:
    async def check(it: Operator) -> None:
        await it.press("1")
        answer(it, "toggle cross mm is killed")
        await it.settle()
        assert "! toggle cross mm is killed" in it.text(KeyBar)[0]
        assert "K KILL" in it.text(KeyBar)[0]
        it.clock.advance(NOTICE_NS / SECOND + 0.1)
        await it.settle()
        assert "toggle" not in it.text(KeyBar)[0]

    await on_ready(check)


async def test_what_was_refused_before_the_terminal_came_is_no_news() -> None:
    async def check(it: Operator) -> None:
        assert "older" not in it.text(KeyBar)[0]
        answer(it, "an order was taken", "info", number=91)
        await it.settle()
        assert "taken" not in it.text(KeyBar)[0]

    old = (LogRow(80, NOON, "warning", "desk", "an older refusal"),)
    await operate(check, shown=ready_snapshot(log=old))


# Leaving


async def test_leaving_an_engine_of_ones_own_waits_until_it_has_ended() -> None:
    async def check(it: Operator) -> None:
        await it.press("q")
        assert it.told == [Stop("key q")]
        assert "canceling 5 orders of ours" in said(it, "doing")
        assert (
            said(it, "unverified") == "not verified yet: binance 2 open, bybit 2 open, okx 1 open"
        )
        waiting = venue_kill("bybit", acked=1, zero_ms=None, open=1)
        stopping = msgspec.structs.replace(VERIFIED, venues=(venue_kill(), waiting))
        it.desk.show(state="STOPPING", kill=stopping)
        await look(it)
        assert "binance   sent 4 · acked 4 · ● zero at 38 ms" in said(it, "venues")
        assert said(it, "unverified") == "not verified yet: bybit 1 open"
        await it.press("escape")
        assert isinstance(it.app.screen, LeavingScreen)
        it.desk.show(state="STOPPED", kill=None, orders=())
        it.desk.alive = False
        await look(it)
        assert it.app.return_value == ""

    await on_ready(check, owned=True)


async def test_an_engine_that_dies_on_the_way_out_leaves_a_word_of_what_it_left() -> None:
    async def check(it: Operator) -> None:
        await it.press("q")
        it.desk.alive = False
        await look(it)
        assert it.app.return_value == "binance 2 open, bybit 2 open, okx 1 open"

    await on_ready(check, owned=True)


async def test_leaving_a_dead_engine_says_what_it_showed_last() -> None:
    async def check(it: Operator) -> None:
        it.desk.alive = False
        await it.pilot.press("q")
        await it.pilot.pause()
        assert it.app.return_value == "binance 2 open, bybit 2 open, okx 1 open"
        assert it.told == []

    await on_ready(check, owned=True)


async def test_a_second_q_leaves_at_once_with_what_is_not_verified() -> None:
    async def check(it: Operator) -> None:
        await it.press("q")
        await it.pilot.press("q")
        await it.pilot.pause()
        assert it.app.return_value == "binance 2 open, bybit 2 open, okx 1 open"
        assert it.told == [Stop("key q")]

    await on_ready(check, owned=True)


async def test_leaving_somebody_elses_engine_does_not_stop_it() -> None:
    async def check(it: Operator) -> None:
        await it.pilot.press("q")
        await it.pilot.pause()
        assert it.app.return_value == ""
        assert it.told == []

    await on_ready(check)


async def test_a_signal_leaves_as_the_key_does_even_over_a_dialog() -> None:
    async def check(it: Operator) -> None:
        await it.press("R")
        it.app.leave("SIGTERM")
        it.app.leave("SIGTERM")
        await it.settle()
        assert it.told == [Stop("SIGTERM")]
        it.desk.show(state="STOPPED", kill=None)
        await look(it)
        assert it.app.return_value == ""

    await operate(check, shown=killed_snapshot(), owned=True)


def test_what_is_not_verified_is_told_by_venue() -> None:
    assert unverified(None) == "no word from the engine"
    assert unverified(trading_snapshot(orders=())) == ""
    assert unverified(trading_snapshot(orders=(order(), order("b", live=False)))) == (
        "binance 1 open"
    )
    assert unverified(killed_snapshot(UNVERIFIED)) == "bybit 2 open, okx no answer"
    assert unverified(killed_snapshot(VERIFIED)) == ""


# The palette


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("cancel all okx", CancelAll("okx")),
        ("halt bybit", Halt("bybit")),
        ("arbitrage off", Toggle("arbitrage", on=False)),
        ("accept okx", Accept("okx")),
        ("cancel everything everywhere", Kill("key K")),
    ],
)
async def test_the_palette_tells_the_engine_what_keys_tell_it(words: str, command: object) -> None:
    async def check(it: Operator) -> None:
        it.desk.show(differences=(("okx", "position 0.02, the venue says 0.03"),))
        await it.press("ctrl+p", *(" " if char == " " else char for char in words))
        await it.app.workers.wait_for_complete()
        await it.press("enter")
        assert it.told == [command]

    await on_ready(check)


async def test_the_palette_goes_to_a_parameter() -> None:
    async def check(it: Operator) -> None:
        await it.press("ctrl+p", *"set hedging.flatten")
        await it.app.workers.wait_for_complete()
        await it.press("enter")
        assert isinstance(it.app.screen, ParametersScreen)
        assert "Price cap of a flatten" in said(it, "words")

    await on_ready(check)
