"""A TOML file as read: its values, and the one line that says what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import tomli

from hftmm.core.errors import FileError
from hftmm.toml.lines import KeyPath, line_of, statements

_COMMAND_LINE = "command line"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a key or table, and what is allowed."""

    path: KeyPath
    what: str
    allowed: str

    @property
    def key(self) -> str:
        """Where it stands, as a person writes it: `venues.okx.max_age_ms`."""
        # An item of a list is named by the list: its value is in the message.
        return ".".join(step for step in self.path if isinstance(step, str)) or "file"


class Document:
    """Values of a TOML file, overridden by those of a command line.

    Attributes:
        tree: the values; TOML floats as Decimal, exactly as written.
    """

    def __init__(self, name: str, text: str = "") -> None:
        """
        Args:
            name: the file as the user named it.

        Raises:
            FileError: the text is not TOML.
        """
        self._name = name
        self._text = text
        self._overridden: set[KeyPath] = set()
        try:
            self.tree: dict[str, object] = tomli.loads(text, parse_float=Decimal)
        except tomli.TOMLDecodeError as error:
            raise self._syntax_error(error) from error

    @classmethod
    def read(cls, path: Path) -> Document:
        """
        Raises:
            FileError: the file cannot be read, is not UTF-8, or not TOML.
        """
        name = str(path)
        try:
            content = path.read_bytes()
        except OSError as error:
            allowed = "a TOML file that can be read"
            raise _error(name, 1, Problem((), error.strerror or str(error), allowed)) from error
        try:
            return cls(name, content.decode())
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            what = f"byte 0x{content[error.start]:02x} is not UTF-8"
            raise _error(name, line, Problem((), what, "text in UTF-8")) from error

    def override(self, values: Mapping[str, object]) -> None:
        """Puts values of the command line in place of the file's: `engine.mode` -> `live`."""
        for name, value in values.items():
            *tables, last = name.split(".")
            node = self.tree
            for table in tables:
                child = node.get(table)
                if not isinstance(child, dict):
                    node[table] = child = {}
                node = child
            node[last] = value
            self._overridden.add((*tables, last))

    def error(self, problems: list[Problem]) -> FileError:
        """The first of the problems, by line: `FILE:LINE: section.key: what, allowed: what`."""
        line, problem = min(
            ((self._line(problem.path), problem) for problem in problems), key=lambda at: at[0]
        )
        return _error(self._name, line, problem)

    def _line(self, path: KeyPath) -> int:
        """0 for the command line; a path that is not in the file stands where its table does."""
        if any(path[: len(given)] == given for given in self._overridden):
            return 0
        for end in range(len(path), 0, -1):
            *table, last = path[:end]
            # A name with dots may have been written as nested tables.
            nested = last.split(".") if isinstance(last, str) else []
            for place in (path[:end], (*table, *nested)):
                line = line_of(self._text, place) if place else None
                if line is not None:
                    return line
        # Not in the file at all: the command line contradicts a default.
        return 0 if self._overridden else 1

    def _syntax_error(self, error: tomli.TOMLDecodeError) -> FileError:
        """Names the table and key in which a text stops being TOML."""
        first: dict[KeyPath, int] = {}
        table: KeyPath = ()
        for statement in statements(self._text):
            if statement.path in first and not statement.array:
                what = f"given again, first in line {first[statement.path]}"
                return _error(self._name, statement.line, Problem(statement.path, what, "once"))
            if statement.line > error.lineno:
                break
            first[statement.path] = statement.line
            table = statement.table
        line = self._text.split("\n")[error.lineno - 1]
        name = re.match(r"\s*([\w-]+(?:\.[\w-]+)*)\s*=", line)
        path = (*table, *name[1].split(".")) if name else table
        what = f"column {error.colno} is not TOML ({error.msg})"
        return _error(self._name, error.lineno, Problem(path, what, "key = value"))


def _error(name: str, line: int, problem: Problem) -> FileError:
    place = f"{name}:{line}" if line else _COMMAND_LINE
    return FileError(f"{place}: {problem.key}: {problem.what}, allowed: {problem.allowed}")
