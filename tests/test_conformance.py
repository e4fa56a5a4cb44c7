"""What docs/conformance says is held by a test is held by a test of that name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
TABLES = sorted((TESTS.parent / "docs" / "conformance").glob("*.md"))
_defined = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE).findall
_named = re.compile(r"`(test_\w+)`").findall


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.stem)
def test_every_test_a_conformance_table_names_exists(table: Path) -> None:
    names = {name for path in TESTS.rglob("test_*.py") for name in _defined(path.read_text())}
    claimed = set(_named(table.read_text()))
    assert claimed
    assert claimed - names == set()


def test_there_are_conformance_tables() -> None:
    assert "binance" in [table.stem for table in TABLES]
