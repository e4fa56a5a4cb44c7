"""What docs/conformance says is held by a test is held by one of that name; nothing is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
DOCS = TESTS.parent / "docs"
TABLES = sorted((DOCS / "conformance").glob("*.md"))
_defined = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE).findall
_named = re.compile(r"`(test_\w+)`").findall
_numbered = re.compile(r"^\| (\d+)(?:\.| \|)", re.MULTILINE).findall


@pytest.mark.parametrize("table", [DOCS / "conformance.md", *TABLES], ids=lambda table: table.stem)
def test_every_test_a_conformance_table_names_exists(table: Path) -> None:
    names = {name for path in TESTS.rglob("test_*.py") for name in _defined(path.read_text())}
    claimed = set(_named(table.read_text()))
    assert claimed
    assert claimed - names == set()


@pytest.mark.parametrize(
    ("venue", "served", "connected"), [("binance", 30, 34), ("bybit", 40, 40), ("okx", 26, 37)]
)
def test_every_item_of_a_venues_lists_has_its_row(venue: str, served: int, connected: int) -> None:
    practice, connector = (
        (DOCS / "conformance" / f"{venue}.md").read_text().split("\n## The connector\n")
    )
    assert [int(number) for number in _numbered(practice)] == [*range(1, served + 1)]
    assert [int(number) for number in _numbered(connector)] == [*range(1, connected + 1)]
    row = next(
        line
        for line in (DOCS / "conformance.md").read_text().splitlines()
        if f"(conformance/{venue}.md)" in line
    )
    assert f"| {served} items | {connected} items |" in row


def test_every_venue_has_its_tables() -> None:
    assert [table.stem for table in TABLES] == ["binance", "bybit", "okx"]
