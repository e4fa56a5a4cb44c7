"""What the documents say is true: the key table, the commands, the links."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import pytest

from hftmm.assembly import remote
from hftmm.assembly.drills import DRILLS
from hftmm.cli import app
from hftmm.config import Config
from hftmm.risk.losses import LOSSES
from hftmm.risk.rules import RULES
from hftmm.sim.faults import FAULTS
from hftmm.terminal.bindings import KeyTable
from tests.processes import PATIENCE_S, Home

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]


def commands(document: Path) -> list[str]:
    """Lines of the document's shell blocks, without their comments."""
    blocks = re.findall(r"```sh\n(.*?)```", document.read_text(), re.DOTALL)
    lines = [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def ends_by_itself(command: str) -> bool:
    """It needs no terminal, no engine and no person to end."""
    words = command.split()
    return "--duration" in words or words[1:2] in (["check"], ["replay"]) or words[1:] == ["drill"]


def is_for_an_engine(command: str) -> bool:
    """It asks or tells an engine that runs."""
    return command.split()[1] in {"status", "kill", *remote.COMMANDS}


def section(title: str) -> str:
    """A chapter of docs/operating.md."""
    text = (ROOT / "docs" / "operating.md").read_text()
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_the_key_table_of_the_readme_is_that_of_the_terminal() -> None:
    readme = (ROOT / "README.md").read_text()
    shown = re.search(r"<!-- keys -->\n(.*?)<!-- /keys -->", readme, re.DOTALL)
    assert shown is not None
    assert shown.group(1).strip() == KeyTable.of().markdown().strip()


def test_the_command_table_of_the_readme_has_every_command() -> None:
    table = (ROOT / "README.md").read_text().partition("\n## Commands\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `hftmm(?: (\w+))?.*?` \|", table, re.MULTILINE)
    named = ["run", *filter(None, rows)]
    assert sorted(named) == sorted(name for name in app if not name.startswith("-"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home.made(tmp_path_factory.mktemp("h"))


@pytest.fixture(scope="module")
def shown() -> list[str]:
    """Every command of hftmm that a document shows, in their order."""
    lines = [line for document in DOCUMENTS for line in commands(document)]
    return [line for line in lines if line.startswith("hftmm ")]


def _done(home: Home, line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own commands
        [sys.executable, "-m", *line.split()],
        env=home.environment,
        cwd=home.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_every_command_shown_that_ends_by_itself_ends_well(home: Home, shown: list[str]) -> None:
    ran = [line for line in dict.fromkeys(shown) if ends_by_itself(line)]
    assert len(ran) >= 5
    for line in ran:
        done = _done(home, line)
        assert done.returncode == 0, f"{line}\n{done.stderr}"


def test_every_command_shown_for_an_engine_is_done_by_one(home: Home, shown: list[str]) -> None:
    told = [line for line in shown if is_for_an_engine(line)]
    assert len(told) >= 15
    engine = subprocess.Popen(
        [sys.executable, "-m", "hftmm", "--headless"],
        env=home.environment,
        cwd=home.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert engine.stdout is not None
        assert any(json.loads(line)["state"] == "ARMED" for line in engine.stdout)
        for line in [*told, "hftmm stop"]:
            # A halt is resumed, and a kill re-armed, only once the venues show zero.
            deadline = time.monotonic() + PATIENCE_S
            while (done := _done(home, line)).returncode and time.monotonic() < deadline:
                pass
            assert done.returncode == 0, f"{line}\n{done.stderr}"
        assert engine.wait(PATIENCE_S) == 0
    finally:
        engine.kill()
        engine.communicate()


def test_every_command_shown_is_one_that_exists() -> None:
    known = {*app}
    for document in DOCUMENTS:
        for line in commands(document):
            words = line.split()
            if words[0] == "hftmm" and len(words) > 1 and not words[1].startswith("-"):
                assert words[1] in known, f"{document.name}: {line}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    for name, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", document.read_text()):
        if name.startswith(("http:", "https:")):
            continue
        target = document.parent / name if name else document
        assert target.exists(), name
        if anchor:
            titles = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            assert anchor in {title.lower().replace(" ", "-") for title in titles}, anchor


def _first_cells(text: str) -> set[str]:
    """Words in backticks, each by itself, of the first cells of all tables."""
    rows = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([\w.-]+)`", row)}


def test_every_drill_has_its_row_and_every_fault_named_beside_them_exists() -> None:
    named = _first_cells(section("Drills"))
    drills = {drill.name for drill in DRILLS}
    assert drills <= named
    assert named - drills == FAULTS.keys() - {"none"}


def test_every_section_of_the_config_has_its_row() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    named = set(re.findall(r"`\[(\w+)", text))
    assert {field.name for field in fields(Config)} <= named


def test_every_rule_and_every_limit_on_losses_has_its_row() -> None:
    named = _first_cells(section("Limits"))
    assert RULES.keys() <= named
    losses = {name.rpartition(".")[2] for name in named - RULES.keys()}
    assert losses == {"max_daily_loss", "max_drawdown"}
    assert all(f"`{rule.replace('_', ' ')} " in section("Limits") for rule in LOSSES)
