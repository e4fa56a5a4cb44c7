from __future__ import annotations

import stat
from pathlib import Path

import pytest

from hftmm import paths
from hftmm.core.errors import Unavailable

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of its own, with nothing in it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_checkout_uses_the_config_beside_the_package() -> None:
    assert paths.default_config() == CHECKOUT / "config.toml"


def test_the_config_in_the_package_comes_before_the_one_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site" / "hftmm"
    package.mkdir(parents=True)
    (package / "config.toml").touch()
    (package.parent / "config.toml").touch()
    monkeypatch.setattr(paths, "_PACKAGE", package)
    assert paths.shipped_config() == package / "config.toml"


def test_an_incomplete_installation_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "_PACKAGE", tmp_path / "hftmm")
    with pytest.raises(Unavailable, match=r"config\.toml is missing, install hftmm again"):
        paths.shipped_config()


def test_the_users_own_config_comes_before_the_shipped_one(home: Path) -> None:
    own = home / ".config" / "hftmm" / "config.toml"
    own.parent.mkdir(parents=True)
    own.touch()
    assert paths.default_config() == own
    assert paths.shipped_config() == CHECKOUT / "config.toml"


def test_the_users_themes_come_after_the_shipped_ones(home: Path) -> None:
    assert paths.themes_folders() == [CHECKOUT / "themes"]
    own = home / ".config" / "hftmm" / "themes"
    own.mkdir(parents=True)
    assert paths.themes_folders() == [CHECKOUT / "themes", own]


def test_the_state_folder_is_made_for_the_user_alone(home: Path) -> None:
    state = paths.state_folder()
    assert state == home / ".local" / "state" / "hftmm"
    assert mode(state) == 0o700


def test_a_state_folder_of_ours_that_others_can_read_is_narrowed(home: Path) -> None:
    state = home / ".local" / "state" / "hftmm"
    state.mkdir(parents=True, mode=0o755)
    assert mode(paths.state_folder()) == 0o700


def test_a_configured_state_folder_keeps_the_mode_it_has(home: Path) -> None:
    shared = home / "shared"
    shared.mkdir()
    shared.chmod(0o755)
    assert paths.state_folder("~/shared") == shared
    assert mode(shared) == 0o755


def test_a_configured_state_folder_is_made_with_its_parents(home: Path) -> None:
    state = paths.state_folder(str(home / "a" / "b"))
    assert mode(state) == 0o700


def test_a_state_folder_that_cannot_be_made_is_one_line_with_the_way_out(home: Path) -> None:
    (home / "file").touch()
    with pytest.raises(Unavailable) as caught:
        paths.state_folder(f"{home}/file")
    assert str(caught.value) == (
        f"state folder {home}/file: File exists; name another as engine.state_dir"
    )


def test_what_lives_in_the_state_folder(home: Path) -> None:
    assert paths.socket_path(home) == home / "engine.sock"
    assert paths.log_path(home) == home / "hftmm.log"
    assert paths.captures_folder(home) == home / "captures"


def test_a_socket_path_too_long_for_the_system_is_refused() -> None:
    with pytest.raises(Unavailable, match="longer than the 103 bytes"):
        paths.socket_path(Path("/", "x" * 100))
