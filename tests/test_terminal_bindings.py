"""The key table, and what is made of it."""

from __future__ import annotations

from collections import Counter

import pytest
from textual._xterm_parser import XTermParser
from textual.events import Key

from hftmm.terminal.bindings import KEYS, PANES, KeyTable


def test_no_two_actions_share_a_key_or_a_name() -> None:
    assert max(Counter(one for key in KEYS for one in key.keys.split(",")).values()) == 1
    assert max(Counter(key.name for key in KEYS).values()) == 1


def test_every_pane_has_its_key_with_alt() -> None:
    keys = {key.name: key.keys for key in KEYS}
    assert [keys[f"pane_{name}"] for name in PANES] == [f"alt+{one}" for one in "1234567890pt"]


@pytest.mark.parametrize("number", "1234567890pt")
@pytest.mark.parametrize("sent", ["\x1b{}", "\x1b[{:d};3u"])
def test_alt_and_a_number_is_heard_from_every_terminal(number: str, sent: str) -> None:
    # What a terminal sends is the character; by the kitty protocol, its code.
    data = sent.format(ord(number) if sent.endswith("u") else number)
    parser = XTermParser()
    keys = [event.key for event in [*parser.feed(data), *parser.feed("")] if isinstance(event, Key)]
    (pane,) = (key for key in KEYS if key.keys == f"alt+{number}")
    assert keys
    assert set(keys) <= set(pane.heard.split(","))
    assert pane.shown == f"alt+{number}"


@pytest.mark.parametrize("name", ["kill", "flatten", "rearm", "group_finer"])
@pytest.mark.parametrize("sent", ["{upper}", "\x1b[{lower:d};2u", "\x1b[{lower:d};2;{code:d}u"])
def test_a_capital_letter_is_heard_from_every_terminal(name: str, sent: str) -> None:
    key = KeyTable.of().named(name)
    upper = key.keys
    data = sent.format(upper=upper, lower=ord(upper.lower()), code=ord(upper))
    parser = XTermParser()
    (event,) = (one for one in [*parser.feed(data), *parser.feed("")] if isinstance(one, Key))
    assert event.key in key.heard.split(",")


def test_the_kill_is_heard_everywhere_and_nothing_else_is() -> None:
    assert KeyTable.of().everywhere == {"K": "app.kill", "shift+k": "app.kill"}
    assert KeyTable.of([("kill", "!")]).everywhere == {"exclamation_mark": "app.kill"}


def test_a_key_of_the_config_takes_the_place_of_the_tables_own() -> None:
    table = KeyTable.of([("freeze", "ctrl+f")])
    assert table.named("freeze").keys == "ctrl+f"
    assert table.named("freeze").shown == "^f"
    assert not table.problems


def test_an_override_of_an_unknown_action_is_reported() -> None:
    table = KeyTable.of([("explode", "e")])
    assert table.keys == KEYS
    assert table.problems[0].startswith("terminal.keys.explode: no such action; known: strategy_1")


def test_an_override_that_takes_another_actions_key_is_reported_and_not_followed() -> None:
    table = KeyTable.of([("freeze", "q")])
    assert table.named("freeze").keys == "f"
    assert table.problems == ("terminal.keys.freeze: 'q' is the key of quit",)


def test_two_actions_may_exchange_their_keys() -> None:
    table = KeyTable.of([("theme", "f"), ("freeze", "t")])
    assert (table.named("theme").keys, table.named("freeze").keys) == ("f", "t")
    assert not table.problems


def test_of_two_actions_that_want_one_key_the_first_gets_it() -> None:
    table = KeyTable.of([("theme", "y"), ("freeze", "y")])
    assert (table.named("theme").keys, table.named("freeze").keys) == ("y", "f")
    assert table.problems == ("terminal.keys.freeze: 'y' is the key of theme",)


def test_an_action_that_keeps_its_key_after_all_does_not_lose_it_to_another() -> None:
    table = KeyTable.of([("theme", "f"), ("freeze", "q")])
    assert (table.named("theme").keys, table.named("freeze").keys) == ("t", "f")
    assert table.problems == (
        "terminal.keys.freeze: 'q' is the key of quit",
        "terminal.keys.theme: 'f' is the key of freeze",
    )


def test_an_override_without_a_key_is_reported() -> None:
    table = KeyTable.of([("freeze", " ")])
    assert table.named("freeze").keys == "f"
    assert table.problems == ("terminal.keys.freeze: a key must be named",)


def test_the_readme_table_has_a_line_for_every_action() -> None:
    lines = KeyTable.of().markdown().splitlines()
    assert len(lines) == len(KEYS) + 2
    assert "| `f` | freeze the picture, on and off; the engine goes on | `freeze` |" in lines


def test_keys_stand_under_their_headings_in_the_order_of_the_table() -> None:
    groups = KeyTable.of().groups()
    assert list(groups) == ["trading", "market", "ladder", "panes", "desk"]
    assert [key for keys in groups.values() for key in keys] == list(KEYS)
