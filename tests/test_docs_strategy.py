"""The strategy that docs/adding-a-strategy.md shows, and how those of other packages are found."""

from __future__ import annotations

import re
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from hftmm.assembly import remote
from hftmm.core.errors import ConfigError
from hftmm.desk.commands import Kill, Toggle
from hftmm.strategy import registry
from hftmm.strategy.registry import MakeStrategy
from tests.trading_desk import TradingDesk

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "adding-a-strategy.md"


def documented() -> MakeStrategy:
    """The class of the document, as whoever copies it has it."""
    code = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {}
    exec(compile(code.group(1), DOCUMENT.name, "exec"), names)  # noqa: S102 - our own document
    made: MakeStrategy = names["Resting"]
    return made


def test_the_strategy_of_the_document_buys_below_sells_above_and_stops_when_told() -> None:
    desk = TradingDesk(strategies={"rs": documented()}).armed()
    assert desk.command(Toggle("resting", on=True)).accepted
    desk.until(lambda: desk.open("binance") == 1)
    (order,) = desk.trading.live("binance")
    assert (order.strategy, order.side) == ("rs", "buy")
    before = order.client_id
    # The practice venue fills it a moment before it would be canceled.
    desk.lines["binance"].peer.switch("fill_on_cancel", desk.now_ns, 1)
    desk.trading.cancel(before, desk.now_ns)
    desk.trading.act(desk.now_ns)
    desk.wire.carry_out()
    listing = desk.listing("binance")
    desk.until(lambda: desk.trading.position(listing) == order.size)
    assert desk.trading.hedger.unhedged == {}, "nobody hedges it"
    desk.until(lambda: [each.side for each in desk.trading.live("binance")] == ["sell"])
    assert desk.command(Toggle("rs", on=False)).accepted
    desk.until(lambda: desk.open("binance") == 0)
    assert desk.trading.others["rs"].shown(desk.now_ns).reason == "by hand"


def test_what_another_packages_strategy_holds_is_hedged_by_nobody_after_a_restart() -> None:
    desk = TradingDesk(strategies={"rs": documented()}).armed()
    filled = desk.take("binance", code="rs")
    desk.restart()
    desk.armed()
    assert desk.trading.position(desk.listing("binance")) == filled.size
    assert desk.trading.hedger.unhedged == {}


def test_a_kill_switches_it_off_and_it_stays_so() -> None:
    desk = TradingDesk(strategies={"rs": documented()}).armed()
    desk.command(Toggle("resting", on=True))
    desk.until(lambda: desk.open("binance") == 1)
    desk.command(Kill("drill", flatten=False))
    assert not desk.trading.others["rs"].on
    refused = desk.command(Toggle("resting", on=True))
    assert not refused.accepted
    desk.until(lambda: desk.trading.kill.done)
    assert desk.open("binance") == 0


def _entries(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    found = [EntryPoint(name, value, registry.GROUP) for name, value in values.items()]
    monkeypatch.setattr(registry, "entry_points", lambda group: found)


def test_strategies_are_found_by_their_code(monkeypatch: pytest.MonkeyPatch) -> None:
    _entries(monkeypatch, rs="collections:OrderedDict", ab="collections:deque")
    assert registry.codes() == ("ab", "rs")
    assert [*registry.registered()] == ["ab", "rs"]


def test_a_command_names_a_registered_strategy_by_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    _entries(monkeypatch, rs="collections:deque")
    asked: list[object] = []
    monkeypatch.setattr(remote, "told", lambda command, *_: asked.append(command))
    remote.strategy("rs", "on")
    assert asked == [Toggle("rs", on=True)]
    with pytest.raises(ConfigError, match="allowed: cross mm, arbitrage, hedger, rs"):
        remote.strategy("grid", "on")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("grid", "collections:deque", "a code is two of [a-z0-9]"),
        ("mm", "collections:deque", "the code is that of another strategy"),
        ("rs", "collections:nothing", "cannot be loaded"),
    ],
)
def test_a_strategy_that_cannot_be_says_why_in_one_line(
    name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _entries(monkeypatch, **{name: value})
    with pytest.raises(ConfigError, match=re.escape(words)) as raised:
        registry.registered()
    assert str(raised.value).startswith(f"strategy {name} ({value})")


def test_a_strategy_that_says_another_code_is_refused() -> None:
    with pytest.raises(ConfigError, match="it says its code is 'rs'"):
        TradingDesk(strategies={"xy": documented()})
