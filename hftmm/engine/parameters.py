"""Which keys of the config may be changed while running, and how."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from decimal import Decimal
from functools import reduce
from typing import Any, Final

import tomli

from hftmm.config import Config, contradictions
from hftmm.core.errors import ConfigError
from hftmm.desk.snapshot import Parameter
from hftmm.toml.docs import documented
from hftmm.toml.document import Problem
from hftmm.toml.structs import keys, read_struct

SECTIONS: Final = ("market_making", "hedging", "arbitrage", "limits")
VENUE_KEYS: Final = ("max_position", "max_open_orders", "max_daily_loss")
FIXED: Final = ("enabled", "keep")
"""Switched by the strategies' own keys, or laid out at the start."""
SMALL: Final = -20
"""Decimals of fewer digits after the point are shown in full, others with an exponent."""


def parameters(config: Config) -> Iterator[Parameter]:
    """All of them, as they are."""
    for path in _paths(config):
        *table, name = path
        section = _section(config, tuple(table))
        struct: type[object] = type(section)
        key, words = keys(struct)[name], documented(struct)[name]
        yield Parameter(".".join(path), _toml(getattr(section, name)), key.allowed, words)


def changed(config: Config, key: str, value: str) -> Config:
    """The config with one key other than before, checked as a whole.

    Args:
        value: as in TOML; a text may leave out its quotes.

    Raises:
        ConfigError: no such key, or not allowed; one line.
    """
    path = tuple(key.split("."))
    if path not in set(_paths(config)):
        raise ConfigError(f"{key} cannot be changed while running")
    *table, name = path
    try:
        tree = tomli.loads(f"value = {value}", parse_float=Decimal)
    except ValueError:
        # No TOML, or a number with more digits than Python reads.
        tree = {}
    parsed = tree["value"] if len(tree) == 1 else value.strip()
    problems: list[Problem] = []
    section = read_struct(_section(config, tuple(table)), {name: parsed}, (*table,), problems)
    if not problems:
        config = _with(config, tuple(table), section)
        problems = list(contradictions(config))
    if problems:
        problem = problems[0]
        raise ConfigError(f"{problem.key}: {problem.what}, allowed: {problem.allowed}")
    return config


def _paths(config: Config) -> Iterator[tuple[str, ...]]:
    for section in SECTIONS:
        for field in fields(getattr(config, section)):
            if field.name not in FIXED:
                yield section, field.name
    for venue, own in config.venues.items():
        if own.enabled:
            for name in VENUE_KEYS:
                yield "venues", venue, name


def _section(config: Config, path: tuple[str, ...]) -> Any:
    def inner(section: Any, name: str) -> Any:
        return section[name] if isinstance(section, dict) else getattr(section, name)

    return reduce(inner, path, config)


def _with(config: Config, path: tuple[str, ...], section: Any) -> Config:
    if path[0] == "venues":
        return replace(config, venues={**config.venues, path[1]: section})
    return replace(config, **{path[0]: section})


def _toml(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case tuple():
            return f"[{', '.join(map(_toml, value))}]"
        case str():
            return f'"{value}"'
        case Decimal() if value.adjusted() > SMALL:
            return f"{value:f}"
        case float():
            return repr(value).removesuffix(".0")
        case _:
            return str(value)
