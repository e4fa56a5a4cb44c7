"""What the documents say is true: the key table, the commands, the links."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from hftmm.cli import app
from hftmm.sim.faults import FAULTS
from hftmm.terminal.bindings import KeyTable
from tests.processes import Home

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]


def commands(document: Path) -> list[str]:
    """Lines of the document's shell blocks, without their comments."""
    blocks = re.findall(r"```sh\n(.*?)```", document.read_text(), re.DOTALL)
    lines = [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def ends_by_itself(command: str) -> bool:
    """It needs no terminal and no person to end."""
    return "--duration" in command or command.split()[1:2] in (["check"], ["replay"])


def test_the_key_table_of_the_readme_is_that_of_the_terminal() -> None:
    readme = (ROOT / "README.md").read_text()
    shown = re.search(r"<!-- keys -->\n(.*?)<!-- /keys -->", readme, re.DOTALL)
    assert shown is not None
    assert shown.group(1).strip() == KeyTable.of().markdown().strip()


def test_the_command_table_of_the_readme_has_every_command() -> None:
    rows = re.findall(
        r"^\| `hftmm(?: (\w+))?.*?` \|", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    named = ["run", *filter(None, rows)]
    assert sorted(named) == sorted(name for name in app if not name.startswith("-"))


def test_every_command_shown_that_ends_by_itself_ends_well(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    home = Home.made(tmp_path_factory.mktemp("h"))
    shown = [line for document in DOCUMENTS for line in commands(document)]
    ran = [line for line in shown if line.startswith("hftmm ") and ends_by_itself(line)]
    assert len(ran) >= 4
    for line in ran:
        done = subprocess.run(  # noqa: S603 - our own commands
            [sys.executable, "-m", *line.split()],
            env=home.environment,
            cwd=home.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"


def test_every_command_shown_is_one_that_exists() -> None:
    known = {*app}
    for document in DOCUMENTS:
        for line in commands(document):
            words = line.split()
            if words[0] == "hftmm" and len(words) > 1 and not words[1].startswith("-"):
                assert words[1] in known, f"{document.name}: {line}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_to_a_file_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        if not target.startswith(("http:", "https:")):
            assert (document.parent / target).exists(), target


def test_every_fault_of_the_drills_exists() -> None:
    drills = (ROOT / "docs" / "operating.md").read_text().partition("## Drills")[2]
    rows = re.findall(r"^\| (`.*?) \|", drills, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named
    assert named <= set(FAULTS)
