"""Strategies of other packages: those of the entry-point group `hftmm.strategies`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Final, TypeAlias

from hftmm.config import Config
from hftmm.core.errors import ConfigError
from hftmm.execution.trader import Trader
from hftmm.strategy.base import NAMES, Strategy

MakeStrategy: TypeAlias = Callable[[Config, Trader], Strategy]

GROUP: Final = "hftmm.strategies"
_CODE: Final = re.compile(r"[a-z0-9]{2}")


def codes() -> tuple[str, ...]:
    """Their codes, which are the names of their entry points."""
    return tuple(sorted({entry.name for entry in entry_points(group=GROUP)}))


def registered() -> dict[str, MakeStrategy]:
    """How to make each, by its code.

    Raises:
        ConfigError: one has a code that cannot be, or cannot be loaded.
    """
    found: dict[str, MakeStrategy] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        which = f"strategy {entry.name} ({entry.value})"
        if not _CODE.fullmatch(entry.name):
            raise ConfigError(f"{which}: a code is two of [a-z0-9]")
        if entry.name in NAMES or entry.name in found:
            raise ConfigError(f"{which}: the code is that of another strategy")
        try:
            found[entry.name] = entry.load()
        except Exception as error:
            # Someone else's code: whatever it raises, the operator needs to know whose.
            raise ConfigError(f"{which} cannot be loaded: {error}") from error
    return found


def made(makers: Mapping[str, MakeStrategy], config: Config, trader: Trader) -> dict[str, Strategy]:
    """One of each, by its code.

    Raises:
        ConfigError: one says that its code is another.
    """
    strategies = {code: make(config, trader) for code, make in makers.items()}
    for code, strategy in strategies.items():
        if strategy.code != code:
            raise ConfigError(f"strategy {code}: it says its code is {strategy.code!r}")
    return strategies
