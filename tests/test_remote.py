"""Commands for a running engine: what each asks of it, what it prints, and how it ends."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hftmm import cli
from hftmm.assembly import remote
from hftmm.desk.commands import (
    Accept,
    Answer,
    Cancel,
    CancelAll,
    Command,
    Halt,
    Place,
    Practice,
    Rearm,
    Resume,
    Set,
    Status,
    Stop,
    Toggle,
    View,
)
from hftmm.desk.snapshot import DeskSnapshot
from hftmm.terminal.bindings import KEYS
from hftmm.transport.link import LinkServer
from tests.killed_desk import ready_snapshot


class Listener:
    """An engine that listens in a thread of its own, and answers the same to everything.

    Attributes:
        heard: what it was asked.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: list[Command] = []
        self.answer = Answer(True, "done")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._server = LinkServer(path, self._picture, self._asked)

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._server.start(), self._loop).result(10)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._server.close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _picture(self, view: View) -> DeskSnapshot | None:
        return ready_snapshot()

    def _asked(self, viewer: int, command: Command) -> Answer:
        self.heard.append(command)
        return self.answer


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    listening = Listener(tmp_path / "engine.sock")
    listening.start()
    yield listening
    listening.stop()


def ended(*words: str) -> int:
    """Exit code of a command."""
    with pytest.raises(SystemExit) as end:
        cli.main([*words])
    assert isinstance(end.value.code, int)
    return end.value.code


ASKED: dict[str, Command] = {
    "strategy mm on": Toggle("cross mm", True),
    "strategy cross-mm off": Toggle("cross mm", False),
    "strategy market-making off": Toggle("cross mm", False),
    "strategy Arb on": Toggle("arbitrage", True),
    "strategy hedg off": Toggle("hedger", False),
    "halt okx": Halt("okx"),
    "resume okx": Resume("okx"),
    "rearm ARM": Rearm("ARM"),
    "rearm": Rearm(""),
    "order okx BTC/USDT buy 0.010 65000.5": Place("okx", "BTC/USDT", "buy", "65000.5", "0.010"),
    "order okx BTC/USDT sell 1 2 --tif ioc --reduce-only": Place(
        "okx", "BTC/USDT", "sell", "2", "1", "ioc", reduce_only=True
    ),
    "cancel hm01mm1": Cancel("hm01mm1"),
    "cancel --venue bybit": CancelAll("bybit"),
    "cancel --all": CancelAll(""),
    "set market_making.min_edge_bps -0.5": Set("market_making.min_edge_bps", "-0.5"),
    'set market_making.quote_exchanges ["okx"]': Set("market_making.quote_exchanges", '["okx"]'),
    "accept binance": Accept("binance"),
    "fault bybit gap": Practice("bybit", "gap"),
    "stop": Stop("hftmm stop"),
    "status": Status(),
}


@pytest.mark.parametrize("line", ASKED)
def test_a_command_asks_and_prints_the_answer(
    line: str, engine: Listener, capsys: pytest.CaptureFixture[str]
) -> None:
    where = [str(engine.path)] if line == "status" else ["--socket", str(engine.path)]
    assert ended(*line.split(), *where) == 0
    assert engine.heard == [ASKED[line]]
    assert capsys.readouterr() == ("done\n", "")


def test_every_command_for_a_running_engine_was_tried() -> None:
    assert {line.split()[0] for line in ASKED} - {"status"} == remote.COMMANDS.keys() - {
        "parameters"
    }


def test_a_refusal_is_one_line_on_standard_error_and_a_failure(
    engine: Listener, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.answer = Answer(False, "okx is not halted")
    assert ended("resume", "okx", "--socket", str(engine.path)) == 1
    assert capsys.readouterr() == ("", "hftmm: okx is not halted\n")


def test_the_parameters_are_printed_as_they_are_written_with_what_is_allowed(
    engine: Listener, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended("parameters", "--socket", str(engine.path)) == 0
    out = capsys.readouterr().out.splitlines()
    shown = ready_snapshot().parameters
    assert [re.split(r" = | +# ", line) for line in out] == [
        [each.key, each.value, each.allowed] for each in shown
    ]


@pytest.mark.parametrize("name", remote.COMMANDS)
def test_without_an_engine_a_command_says_so_and_fails(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = next((line for line in ASKED if line.split()[0] == name), name)
    path = tmp_path / "engine.sock"
    assert ended(*line.split(), "--socket", str(path)) == 1
    assert capsys.readouterr().err == f"hftmm: {path}: no engine runs here\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "strategy gridbot on",
            "strategy: 'gridbot' is not one strategy, allowed: cross mm, arbitrage, hedger",
        ),
        ("strategy mm", 'command "strategy" parameter SWITCH requires an argument; see hftmm'),
        ("strategy mm maybe", 'invalid value "maybe" for SWITCH. Choose from: "on", "off"'),
        ("order okx BTC/USDT buy much 1", "order: 'much' is not a number above 0"),
        ("order okx BTC/USDT buy 1 nan", "order: 'nan' is not a number above 0"),
        ("order okx BTC/USDT buy 0 1", "order: '0' is not a number above 0"),
        ("order okx BTC/USDT hold 1 1", 'invalid value "hold" for SIDE.'),
        ("order okx BTC/USDT buy 1 1 --tif fok", 'invalid value "fok" for --tif.'),
        ("cancel", "cancel: one of a client id, --venue VENUE and --all"),
        ("cancel x --all", "cancel: one of a client id, --venue VENUE and --all"),
        ("halt", 'command "halt" parameter VENUE requires an argument'),
        ("set limits.max_repeats", 'command "set" parameter VALUE requires an argument'),
    ],
)
def test_wrong_usage_is_one_line_and_reaches_no_engine(
    line: str, said: str, engine: Listener, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(*line.split(), "--socket", str(engine.path)) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"hftmm: {said}")
    assert err.count("\n") == 1
    assert not engine.heard


def test_every_key_by_which_an_operator_trades_has_a_command() -> None:
    commands = {
        "strategy_1": "strategy",
        "strategy_2": "strategy",
        "strategy_3": "strategy",
        "strategy_4": "strategy",
        "cancel": "cancel",
        "halt": "halt",
        "ticket": "order",
        "parameters": "set",
        "flatten": "kill",
        "rearm": "rearm",
        "kill": "kill",
    }
    assert [key.name for key in KEYS if key.group == "trading"] == [*commands]
    assert set(commands.values()) <= set(cli.app)
