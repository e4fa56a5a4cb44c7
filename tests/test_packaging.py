from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Runs a program; its output, or a failure that shows what it said."""
    done = subprocess.run(  # noqa: S603  # our own interpreter
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation"]
    run(*build, "--outdir", folder, CHECKOUT, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the installed wheel and nothing else."""
    folder = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    run(*pip, "install", "--no-index", "--no-deps", "--target", folder, wheel, cwd=folder)
    return folder


def python(site: Path, folder: Path, source: str) -> str:
    """Runs Python against the installed wheel, far from the checkout and with an empty home."""
    return run(
        sys.executable,
        "-c",
        source,
        cwd=folder,
        PYTHONPATH=str(site),
        HOME=str(folder),
        XDG_CONFIG_HOME=str(folder / "config"),
    )


def test_the_wheel_holds_the_package_its_config_and_its_themes(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    themes = {f"hftmm/themes/{path.name}" for path in (CHECKOUT / "themes").glob("*.toml")}
    sources = {
        str(path.relative_to(CHECKOUT))
        for path in (CHECKOUT / "hftmm").rglob("*")
        if path.suffix in {".py", ".tcss", ".typed"}
    }
    assert themes
    assert {"hftmm/config.toml", "hftmm/py.typed"} | themes | sources <= names
    assert not {name for name in names if name.startswith(("tests/", "benchmarks/", "docs/"))}
    assert (CHECKOUT / "config.toml").read_bytes() == zipfile.ZipFile(wheel).read(
        "hftmm/config.toml"
    )


def test_an_installed_hftmm_finds_its_config_and_themes_in_the_package(
    site: Path, tmp_path: Path
) -> None:
    said = python(
        site,
        tmp_path,
        "import json; from hftmm import config, paths\n"
        "shipped = config.load(paths.default_config()) == config.Config()\n"
        "folders = [str(folder) for folder in paths.themes_folders()]\n"
        "print(json.dumps([str(paths.default_config()), folders, shipped]))",
    )
    package = site / "hftmm"
    assert json.loads(said) == [str(package / "config.toml"), [str(package / "themes")], True]
