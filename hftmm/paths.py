"""Where config, themes, sockets, logs and captures live.

What ships with hftmm is found in the installed package first and in the checkout second: an
editable install leaves `config.toml` and `themes/` where the checkout keeps them. What belongs to
the user lives in the platform's folders (on Linux `~/.config/hftmm` and `~/.local/state/hftmm`).
"""

from __future__ import annotations

from pathlib import Path

import platformdirs

from hftmm.core.errors import Unavailable

_PACKAGE = Path(__file__).resolve().parent
_NAME = "hftmm"

# A socket's path must fit sockaddr_un.sun_path with its closing zero: 108 bytes on Linux, 104 on
# the BSDs and macOS.
_LONGEST_SOCKET_PATH = 103


def user_config_folder() -> Path:
    """Folder of the user's own config.toml and themes/; it need not exist."""
    return platformdirs.user_config_path(_NAME, appauthor=False)


def shipped_config() -> Path:
    """The config.toml that came with hftmm.

    Raises:
        Unavailable: the installation is incomplete.
    """
    return _shipped("config.toml")


def default_config() -> Path:
    """The config read when none is named: the user's own if there is one, else the shipped."""
    own = user_config_folder() / "config.toml"
    return own if own.is_file() else shipped_config()


def themes_folders() -> list[Path]:
    """Folders of theme files that exist, the shipped first: a later one's file wins by name.

    Raises:
        Unavailable: the installation is incomplete.
    """
    own = user_config_folder() / "themes"
    return [_shipped("themes"), *([own] if own.is_dir() else [])]


def state_folder(configured: str = "") -> Path:
    """The folder of sockets, logs and captures, made (mode 0700) if it is not there.

    Args:
        configured: `engine.state_dir`; empty for the user's state folder. `~` is the home folder.

    Raises:
        Unavailable: it cannot be made or written to.
    """
    try:
        folder = (
            Path(configured).expanduser().absolute()
            if configured
            else platformdirs.user_state_path(_NAME, appauthor=False)
        )
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not configured:
            # The folder is ours alone, so an older, wider mode may be narrowed. A folder the user
            # named may be shared with others on purpose; the socket in it is 0600 either way.
            folder.chmod(0o700)
    except (OSError, RuntimeError) as error:
        # RuntimeError: `~` in an environment without a home folder.
        named = configured or "the user's state folder"
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise Unavailable(
            f"state folder {named}: {reason}; name another as engine.state_dir"
        ) from error
    return folder


def socket_path(state: Path) -> Path:
    """The engine's socket.

    Raises:
        Unavailable: the path is longer than the system allows for a socket.
    """
    path = state / "engine.sock"
    if len(str(path).encode()) > _LONGEST_SOCKET_PATH:
        raise Unavailable(
            f"{path}: longer than the {_LONGEST_SOCKET_PATH} bytes a socket's path may have; "
            "name a shorter engine.state_dir"
        )
    return path


def log_path(state: Path) -> Path:
    """The engine's log file."""
    return state / "hftmm.log"


def journal_path(state: Path, name: str) -> Path:
    """The journal of orders and money; each account network has its own, by this name."""
    return state / f"journal-{name}.sqlite"


def captures_folder(state: Path) -> Path:
    """Where captures go that are named without a folder."""
    return state / "captures"


def _shipped(name: str) -> Path:
    """A file or folder that came with hftmm: in the package, else in the checkout around it."""
    for folder in (_PACKAGE, _PACKAGE.parent):
        path = folder / name
        if path.exists():
            return path
    raise Unavailable(f"{_PACKAGE}: {name} is missing, install hftmm again")
