"""What the docstrings beside the fields of a section struct say."""

from __future__ import annotations

import ast
import inspect
from textwrap import dedent
from typing import Final

_READ: Final[dict[type[object], dict[str, str]]] = {}


def documented(section: type[object]) -> dict[str, str]:
    """Docstrings of the keys by name, and under "" the section's own."""
    texts = _READ.get(section)
    if texts is None:
        texts = _READ[section] = _documented(section)
    return texts


def _documented(section: type[object]) -> dict[str, str]:
    (node,) = ast.parse(dedent(inspect.getsource(section))).body
    assert isinstance(node, ast.ClassDef)
    texts = {"": (ast.get_docstring(node) or "").partition(": ")[2]}
    for field, text in zip(node.body, node.body[1:], strict=False):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=words)):
                texts[name] = " ".join(str(words).split())
    return texts
