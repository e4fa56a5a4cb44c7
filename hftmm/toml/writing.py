"""A tree of values as TOML text, which reads back as the same tree."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal


def written(tree: Mapping[str, object], table: tuple[str, ...] = ()) -> str:
    """Values of a table first, then its tables; comments and order of a file are not kept."""
    values = [(name, value) for name, value in tree.items() if not isinstance(value, Mapping)]
    lines = [f"[{'.'.join(map(_text, table))}]"] if table and values else []
    lines += [f"{_text(name)} = {_value(value)}" for name, value in values]
    inner = [
        written(value, (*table, name)) for name, value in tree.items() if isinstance(value, Mapping)
    ]
    return "\n".join([*lines, *filter(None, inner)])


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _text(value)
        case list() | tuple():
            return f"[{', '.join(map(_value, value))}]"
        case Decimal():
            return f"{value:f}"
        case _:
            return str(value)


def _text(text: str) -> str:
    return json.dumps(text)
