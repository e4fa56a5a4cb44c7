"""Frozen dataclasses as the schema of a TOML table: what a key allows stands in its type.

    seed: Annotated[int, Between(0, 100)] = 7
    symbols: Annotated[tuple[str, ...], Text(r"[A-Z]+", "capital letters")] = ()
    lag_ms: Annotated[tuple[tuple[str, int], ...], Between(0, 9)] = (("okx", 5),)

A field holds one bool, int, float, Decimal or str, a list of them, or a table of named ones (as
pairs, so that the struct stays a value). The rule is about each single value.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import (
    TYPE_CHECKING,
    Annotated,
    Literal,
    TypeAlias,
    TypeVar,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from hftmm.toml.document import Problem
from hftmm.toml.lines import KeyPath

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")
Holds: TypeAlias = Literal["one", "list", "table"]

_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Between:
    """Numbers from `low` to `high`, both included."""

    low: float
    high: float

    def admits(self, value: object) -> bool:
        if isinstance(value, Decimal):
            # By their decimals: the double 0.1 is a little more than 0.1.
            return Decimal(str(self.low)) <= value <= Decimal(str(self.high))
        return isinstance(value, int | float) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"from {_number(self.low)} to {_number(self.high)}"


@dataclass(frozen=True, slots=True)
class OneOf:
    """A fixed choice."""

    choices: tuple[str | int, ...]

    def admits(self, value: object) -> bool:
        return value in self.choices

    def __str__(self) -> str:
        *others, last = map(str, self.choices)
        return f"{', '.join(others)} or {last}"


@dataclass(frozen=True, slots=True)
class Text:
    """Texts of a pattern, and the pattern in words."""

    pattern: str
    words: str

    def admits(self, value: object) -> bool:
        return isinstance(value, str) and re.fullmatch(self.pattern, value) is not None

    def __str__(self) -> str:
        return self.words


Rule: TypeAlias = Between | OneOf | Text


@dataclass(frozen=True, slots=True)
class Key:
    """What a field of a section takes.

    Attributes:
        kind: bool, int, float, Decimal or str; of the items, where it holds several.
        holds: `one` value, a `list` of them, or a `table` of named ones.
        rule: what it allows beyond its kind.
    """

    kind: type
    holds: Holds
    rule: Rule | None

    @property
    def allowed(self) -> str:
        """In words: `a whole number from 1 to 60`."""
        match self.kind, self.rule:
            case _, None:
                one = "true or false"
            case kind, Between():
                one = f"a {'whole ' if kind is int else ''}number {self.rule}"
            case _:
                one = str(self.rule)
        return one if self.holds == "one" else f"a {self.holds}, each {one}"


def keys(section: type[object]) -> dict[str, Key]:
    """The keys of a section struct, by name."""
    return {name: _key(hint) for name, hint in get_type_hints(section, include_extras=True).items()}


def read_struct(base: T, table: object, path: KeyPath, problems: list[Problem]) -> T:
    """`base` with what a TOML table says in place of its own.

    Args:
        path: where the table stands.
        problems: gets what is wrong; the result is only of use if nothing was.
    """
    known = keys(type(base))
    if not isinstance(table, Mapping):
        problems.append(Problem(path, f"is {shown(table)}", "a table"))
        return base
    changes: dict[str, object] = {}
    for name, value in table.items():
        here = (*path, name)
        key = known.get(name)
        if key is None:
            problems.append(unknown("key", here, known))
        elif key.holds == "one":
            changes[name] = _one(key, value, here, problems)
        elif key.holds == "list":
            changes[name] = _list(key, value, here, problems)
        else:
            defaults = cast("tuple[tuple[str, object], ...]", getattr(base, name))
            changes[name] = _table(key, value, here, problems, defaults)
    return base if problems else replace(base, **changes)


def unknown(what: str, path: KeyPath, known: Collection[str]) -> Problem:
    """A name that is none of the known, with the nearest of them."""
    near = difflib.get_close_matches(str(path[-1]), known, 1)
    hint = f' (did you mean "{near[0]}"?)' if near else ""
    return Problem(path, f"unknown {what}{hint}", ", ".join(known))


def shown(value: object) -> str:
    """A value in an error message, short and on one line."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            text = value if len(value) <= _SHOWN else value[: _SHOWN - 1] + "…"
            return json.dumps(text, ensure_ascii=False)
        case Mapping():
            return "a table"
        case list() | tuple():
            return "a list"
        case _:
            return str(value)


def _one(key: Key, value: object, path: KeyPath, problems: list[Problem]) -> object:
    converted = _converted(key.kind, value)
    if converted is None or not (key.rule is None or key.rule.admits(converted)):
        problems.append(Problem(path, f"is {shown(value)}", key.allowed))
    return converted


def _list(key: Key, value: object, path: KeyPath, problems: list[Problem]) -> object:
    if not isinstance(value, list | tuple):
        problems.append(Problem(path, f"is {shown(value)}", key.allowed))
        return ()
    return tuple(_one(key, item, (*path, at), problems) for at, item in enumerate(value))


def _table(
    key: Key,
    value: object,
    path: KeyPath,
    problems: list[Problem],
    defaults: tuple[tuple[str, object], ...],
) -> object:
    if not isinstance(value, Mapping):
        problems.append(Problem(path, f"is {shown(value)}", key.allowed))
        return ()
    found = dict(defaults)
    for steps, item in _leaves(value):
        found[".".join(steps)] = _one(key, item, (*path, *steps), problems)
    return tuple(found.items())


def _leaves(table: Mapping[str, object]) -> Iterator[tuple[tuple[str, ...], object]]:
    """Values of a table of names: `linear.stream = ...` means the name "linear.stream"."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            for steps, leaf in _leaves(value):
                yield (name, *steps), leaf
        else:
            yield (name,), value


def _converted(kind: type, value: object) -> object | None:
    """The value as `kind`, or None if it is of another: no text for a number, no 1 for true."""
    if kind is bool or isinstance(value, bool):
        return value if kind is bool and isinstance(value, bool) else None
    if kind is float or kind is Decimal:
        if not isinstance(value, int | float | Decimal):
            return None
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        if not number.is_finite():
            return None
        return number if kind is Decimal else float(number)
    return value if isinstance(value, kind) else None


def _key(hint: object) -> Key:
    rule: Rule | None = None
    if get_origin(hint) is Annotated:
        hint, rule = get_args(hint)
    if get_origin(hint) is not tuple:
        return Key(cast("type", hint), "one", rule)
    item = get_args(hint)[0]
    if get_origin(item) is tuple:
        return Key(get_args(item)[1], "table", rule)
    return Key(item, "list", rule)


def _number(x: float) -> str:
    return f"{x:_}" if isinstance(x, int) else repr(x)
