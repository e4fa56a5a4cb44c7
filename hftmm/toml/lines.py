"""In which line of a TOML text a key stands.

tomli gives values without places. Instead of a second TOML grammar, the parser itself is asked:
a text is cut into the shortest pieces that parse on their own, which are its statements, and
inside a statement of several lines a key stands in the first line after which, once open brackets
are closed, the parser sees it. Only read when there is an error to report, so cost is no concern.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

import tomli

KeyPath: TypeAlias = tuple[str | int, ...]
"""Keys from the root; an int counts the items of an array."""

# Deepest nesting of brackets in which a line of its own is told: ({[]}) and one to spare.
_DEEPEST = 4
_CLOSERS = [
    "".join(closers) for depth in range(_DEEPEST + 1) for closers in product("]}", repeat=depth)
]


@dataclass(frozen=True, slots=True)
class Statement:
    """One table header or assignment.

    Attributes:
        line: its first line, counted from 1.
        text: its lines, up to the end of the last.
        table: the table it stands in; of a header, the table it opens.
        path: what it assigns, or opens.
        header: True for `[table]`.
        array: True for `[[table]]`, which may come again.
    """

    line: int
    text: str
    table: KeyPath
    path: KeyPath
    header: bool
    array: bool = False


def statements(text: str) -> Iterator[Statement]:
    """The statements of a text, up to the first that is not valid TOML."""
    table: KeyPath = ()
    arrays: dict[KeyPath, int] = {}
    piece, first = "", 1
    for number, line in enumerate(_lines(text), 1):
        if not piece:
            first = number
        piece += line
        tree = _parsed(piece)
        if tree is None:
            continue
        if tree:
            header = piece.lstrip().startswith("[")
            array = piece.lstrip().startswith("[[")
            path = _spine(tree, header)
            if array:
                arrays[path] = arrays.get(path, -1) + 1
                path = (*path, arrays[path])
            table, path = (path, path) if header else (table, table + path)
            yield Statement(first, piece, table, path, header, array)
        piece = ""


def line_of(text: str, path: KeyPath) -> int | None:
    """The line of a key, table or array item of a valid text; None if it is not in it.

    A table that no header opens stands where its first key does.
    """
    for statement in statements(text):
        if statement.header:
            if statement.path[: len(path)] == path:
                return statement.line
        elif path[: len(statement.table)] == statement.table:
            within = path[len(statement.table) :]
            if _holds(_parsed(statement.text), within):
                return statement.line + _lines_before(statement.text, within)
    return None


def _lines_before(text: str, path: KeyPath) -> int:
    """How many lines of an assignment that holds `path` come before it."""
    begin, piece = 0, ""
    for number, line in enumerate(_lines(text), 1):
        piece += line
        trees = [tree for closers in _CLOSERS if (tree := _parsed(piece + closers)) is not None]
        if any(_holds(tree, path) for tree in trees):
            break
        if trees:
            # Up to here every value is complete, so the next begins in the next line. After a
            # line that ends inside a multi-line string it began earlier.
            begin = number
    return begin


def _lines(text: str) -> list[str]:
    """Lines with their ends, as TOML and tomli count them: str.splitlines knows more breaks."""
    return [line for line in re.split(r"(?<=\n)", text) if line]


def _parsed(text: str) -> dict[str, object] | None:
    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError:
        return None


def _spine(tree: dict[str, object], header: bool) -> KeyPath:
    """The dotted key of a single statement, from the tree it parses to.

    An assignment of an inline table with one key looks the same as a dotted key, and means the
    same.
    """
    path: list[str | int] = []
    node: object = tree
    while isinstance(node, dict) and len(node) == 1:
        ((key, node),) = node.items()
        path.append(str(key))
        if header and isinstance(node, list):
            break
    return tuple(path)


def _holds(tree: object, path: KeyPath) -> bool:
    node = tree
    for key in path:
        match node:
            case dict() if key in node:
                node = node[key]
            case list() if isinstance(key, int) and key < len(node):
                node = node[key]
            case _:
                return False
    return True
