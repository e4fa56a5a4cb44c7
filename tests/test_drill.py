"""Drills: they hold on a desk as it ships, and fail in words on one that is not.

Here the quickest; `make soak` sets HFTMM_DRILLS=all.
"""

from __future__ import annotations

import asyncio
import os
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
import tomli

from hftmm.assembly import drill as drilling
from hftmm.assembly.choice import Choice
from hftmm.assembly.drill import Drill, Expect, Finding, Watch, play
from hftmm.assembly.drill_stage import Amount, Execution, Held, Order, Sight, Stage, Truth
from hftmm.assembly.drills import CLOSING, DRILLS, agrees, hedged, nothing_left
from hftmm.cli import main
from hftmm.config import VENUES, load
from hftmm.desk.snapshot import BalanceRow, KillRow, StrategyRow
from hftmm.toml.writing import written
from tests import fake_desk

SEED = 7
QUICK = ("hedge-venue-down",)
CHOSEN = [each for each in DRILLS if each.name in QUICK or os.environ.get("HFTMM_DRILLS") == "all"]
PERPETUAL, SPOT = "BTC/USDT:USDT", "BTC/USDT"


def played(drill: Drill, folder: Path, config: str = "") -> tuple[drilling.Card, list[str]]:
    """Plays it for real; the card, and what was told meanwhile."""
    file = folder / "own.toml"
    file.write_text(config)
    told: list[str] = []
    return asyncio.run(play(drill, CLOSING, Choice(file), SEED, told.append)), told


def named(name: str) -> Drill:
    return next(each for each in DRILLS if each.name == name)


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What drills keep goes where tests keep theirs."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.mark.parametrize("drill", CHOSEN, ids=lambda drill: drill.name)
def test_what_must_follow_does(drill: Drill, tmp_path: Path) -> None:
    card, told = played(drill, tmp_path)
    sys.stdout.write("\n".join(told))
    assert card.good, told
    assert not [*tmp_path.glob("hftmm-*")]


def test_a_desk_that_does_not_hedge_fails_the_drill_in_words(tmp_path: Path) -> None:
    config = "[hedging]\nenabled = false\n"
    card, told = played(named("hedge-venue-down"), tmp_path, config)
    (failed,) = (finding for finding in card.findings if not finding.good)
    assert "quotes stand" in failed.wanted
    assert "hedger off" in failed.shown
    assert str(card).startswith("FAIL  hedge-venue-down")
    (kept,) = tmp_path.glob("hftmm-*")
    assert told[-1].endswith(str(kept))
    assert (kept / "engine.log").exists()


def test_drills_are_listed_with_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["drill"])
    lines = capsys.readouterr().out.splitlines()
    assert ended.value.code == 0
    assert [line.split()[0] for line in lines] == [each.name for each in DRILLS]


def test_a_drill_that_there_is_not_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["drill", "earthquake"])
    assert ended.value.code == 2
    assert "no drill 'earthquake': all, kill-under-load" in capsys.readouterr().err


# ---- what is judged ---------------------------------------------------------------------------


def execution(side: str, size: str, symbol: str = PERPETUAL, fee: str = "0") -> Execution:
    return Execution("hm01mm1", symbol, side, Decimal(size), True, Decimal(fee), "BTC", 1)


def sight(executions: list[Execution] | None = None, **changes: Any) -> Sight:
    empty = Truth([], [], {"unified": {"USDT": Amount(Decimal(100))}}, {})
    truth = dict.fromkeys(VENUES, empty)
    truth["okx"] = Truth(
        changes.pop("orders", []),
        executions or [],
        empty.balances,
        {PERPETUAL: Held(Decimal(changes.pop("position", "0")))},
    )
    hedger = StrategyRow("hedger", True, "flat")
    maker = StrategyRow("cross mm", True, "quoting")
    desk = fake_desk.desk_snapshot(trades=True, strategies=(maker, hedger), **changes)
    return Sight(desk, truth, 1, "", load(None))


def test_trades_that_do_not_net_are_not_hedged() -> None:
    assert hedged(sight([execution("buy", "0.01"), execution("sell", "0.01")]))[0]
    good, shown = hedged(sight([execution("buy", "0.01"), execution("sell", "0.008")]))
    assert (good, shown[:19]) == (False, "0.002 BTC/USDT:USDT")


def test_a_fee_in_the_coin_is_less_of_the_coin() -> None:
    paid = execution("buy", "0.02", SPOT, fee="0.005")
    good, shown = hedged(sight([paid, execution("sell", "0.02", SPOT)]))
    assert (good, shown[:15]) == (False, "-0.005 BTC/USDT")


def test_a_position_or_balance_other_than_the_venues_is_told() -> None:
    ours = BalanceRow("okx", "", "USDT", "100", "100")
    assert agrees(sight(balances=(ours,)))[0]
    assert agrees(sight(balances=(ours,), position="0.1"))[1] == ("okx BTC/USDT:USDT 0 and not 0.1")
    cent = BalanceRow("okx", "", "USDT", "100.01", "100")
    assert agrees(sight(balances=(cent,)))[1] == "okx 100.01 and not 100 USDT"


def test_an_order_that_is_newer_than_the_kill_is_told() -> None:
    order = Order("hm01mm2", "buy", PERPETUAL, 12)
    seen = sight(orders=[order], kill=KillRow("drill", 10, ()))
    good, shown = nothing_left(Sight(seen.desk, seen.truth, 1, "", seen.config, seen))
    assert (good, shown) == (False, "binance 0 bybit 0 okx 1, hm01mm2 is newer than the kill")


class Scripted:
    """A stage that shows one sight after the other, the last one again and again."""

    def __init__(self, *sights: Sight) -> None:
        self._sights = list(sights)

    async def sight(self, before: Sight | None) -> Sight:
        return self._sights.pop(0) if len(self._sights) > 1 else self._sights[0]


def watched(step: Expect, *sights: Sight) -> tuple[Finding, Finding]:
    """What became of an expectation, and of the limits meanwhile."""

    async def watch() -> tuple[Finding, Finding]:
        watching = Watch(cast("Stage", Scripted(*sights)))
        return await watching.met(step), watching.limits()

    return asyncio.run(watch())


def test_what_is_so_for_a_moment_only_is_not_what_must_stay_so() -> None:
    flat, open_ = sight(), sight([execution("buy", "0.01")])
    stays = Expect("flat", hedged, within_s=0.0, stays_s=3_600.0)
    finding, _ = watched(stays, flat, flat, open_)
    assert not finding.good
    finding, _ = watched(Expect("flat", hedged, within_s=3_600.0), open_, open_, flat)
    assert finding.good


def test_a_limit_that_was_exceeded_once_fails_the_drill() -> None:
    over = fake_desk.risk_totals(worst_case=2.1, worst_case_limit=2.0)
    under = fake_desk.risk_totals(worst_case=1.9, worst_case_limit=2.0)
    open_ = sight([execution("buy", "0.01")], risk_totals=over)
    step = Expect("flat", hedged, within_s=3_600.0)
    _, limits = watched(step, open_, sight(risk_totals=under))
    assert (limits.good, limits.shown[:17]) == (False, "worst case 2.1 of")
    _, limits = watched(step, sight(risk_totals=under))
    assert limits.good


def test_a_tree_written_as_toml_reads_back_as_it_was() -> None:
    tree = {
        "a": {"text": 'a "b" \\ é', "on": True, "list": ["x", "y"], "at": {"deep.name": 1}},
        "price": Decimal("0.10"),
        "empty": {},
    }
    del tree["empty"]
    assert tomli.loads(written(tree), parse_float=Decimal) == tree
