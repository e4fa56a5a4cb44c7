"""What the docstrings beside the fields of a section struct say."""

from __future__ import annotations

import ast
import inspect
from functools import cache
from textwrap import dedent


@cache
def documented(section: type[object]) -> dict[str, str]:
    """Docstrings of the keys by name, and under "" the section's own."""
    (node,) = ast.parse(dedent(inspect.getsource(section))).body
    assert isinstance(node, ast.ClassDef)
    texts = {"": (ast.get_docstring(node) or "").partition(": ")[2]}
    for field, text in zip(node.body, node.body[1:], strict=False):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=words)):
                texts[name] = " ".join(str(words).split())
    return texts
