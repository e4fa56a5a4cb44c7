"""Dialogs, and the desk while it is killed, halted or ends, compared with stored pictures."""

from __future__ import annotations

import msgspec
import pytest

from tests.fake_desk import risk_row
from tests.killed_desk import UNVERIFIED, VERIFIED, killed_snapshot, ready_snapshot
from tests.pictures import SMALL, WIDE, Compare, looks, named

SIZES = pytest.mark.parametrize("size", [WIDE, SMALL], ids=named)


@SIZES
def test_a_kill_that_is_not_verified_everywhere(
    snap_compare: Compare, size: tuple[int, int]
) -> None:
    assert looks(snap_compare, killed_snapshot(UNVERIFIED), size)


@SIZES
def test_a_kill_that_is_verified(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert looks(snap_compare, killed_snapshot(VERIFIED), size)


@pytest.mark.parametrize("theme", ["amber", "colourblind", "light"])
def test_a_kill_in_each_theme(snap_compare: Compare, theme: str) -> None:
    assert looks(snap_compare, killed_snapshot(UNVERIFIED), SMALL, theme=theme)


def test_a_halt(snap_compare: Compare) -> None:
    halted = (risk_row(), risk_row("bybit", halted="by hand"), risk_row("okx"))
    snapshot = ready_snapshot(state="HALTED", state_reason="bybit", risk=halted)
    assert looks(snap_compare, snapshot, SMALL)


def test_recovering(snap_compare: Compare) -> None:
    snapshot = ready_snapshot(
        state="RECOVERING",
        state_reason="waiting for the operator",
        differences=(("okx", "position BTC/USDT:USDT: 0.02 here, 0.03 there"),),
    )
    assert looks(snap_compare, snapshot, SMALL)


@SIZES
def test_the_order_ticket(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert looks(snap_compare, ready_snapshot(), size, press=("o",))


def test_an_order_ticket_with_much_that_is_wrong(snap_compare: Compare) -> None:
    risk = (risk_row(account="the key may not trade"), risk_row("bybit"), risk_row("okx"))
    snapshot = ready_snapshot(trades=False, kill=VERIFIED, risk=risk)
    keys = ("o", "delete", "down", "ctrl+u", "enter")
    assert looks(snap_compare, snapshot, SMALL, press=keys)


@SIZES
def test_the_question_of_flatten(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert looks(snap_compare, ready_snapshot(), size, press=("F",))


@SIZES
def test_the_word_for_re_arming(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert looks(snap_compare, killed_snapshot(UNVERIFIED), size, press=("R", "A"))


@SIZES
def test_the_parameters(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert looks(snap_compare, ready_snapshot(), size, press=("p", "down"))


def test_a_value_that_cannot_be(snap_compare: Compare) -> None:
    keys = ("p", "enter", "b", "i", "g")
    assert looks(snap_compare, ready_snapshot(), SMALL, press=keys)


def test_the_venues_to_halt(snap_compare: Compare) -> None:
    risk = (risk_row(), risk_row("bybit", halted="daily loss 512.40 > 500.00"), risk_row("okx"))
    assert looks(snap_compare, ready_snapshot(risk=risk), SMALL, press=("x", "down"))


@SIZES
def test_leaving(snap_compare: Compare, size: tuple[int, int]) -> None:
    ending = msgspec.structs.replace(UNVERIFIED, reason="the engine is ending", flattening="")
    snapshot = ready_snapshot(state="STOPPING", state_reason="canceling everything", kill=ending)
    assert looks(snap_compare, snapshot, size, press=("q",), owned=True)
