from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEADLESS = [
    "hftmm.engine",
    "hftmm.book",
    "hftmm.venues",
    "hftmm.desk",
    "hftmm.transport.websocket",
    "hftmm.storage.captures",
]


def loaded_by(package: str) -> set[str]:
    """Top-level packages in memory after everything in a package was imported, and nothing else."""
    source = (
        "import importlib, json, pkgutil, sys\n"
        f"root = importlib.import_module({package!r})\n"
        "for found in pkgutil.walk_packages(getattr(root, '__path__', []), root.__name__ + '.'):\n"
        "    importlib.import_module(found.name)\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))\n"
    )
    done = subprocess.run(  # noqa: S603  # our own interpreter
        [sys.executable, "-c", source], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("package", HEADLESS)
def test_what_runs_without_a_screen_never_loads_textual(package: str) -> None:
    assert "textual" not in loaded_by(package)


def test_the_terminal_loads_textual_and_never_the_compiler() -> None:
    loaded = loaded_by("hftmm.terminal")
    assert "textual" in loaded
    assert "numba" not in loaded
