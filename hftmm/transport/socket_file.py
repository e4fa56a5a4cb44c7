"""One engine at one socket file: taken over from the dead, never from the living."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path

from hftmm.core.errors import Unavailable


@dataclass(slots=True)
class SocketFile:
    """A socket bound to a file, mode 0600, and the lock that says who owns it.

    Attributes:
        listening: bound, not listening yet; whoever serves on it closes it.
    """

    path: Path
    listening: socket.socket
    _lock: int

    def release(self) -> None:
        """Takes the file away and lets the next engine have the path."""
        self.listening.close()
        self.path.unlink(missing_ok=True)
        os.close(self._lock)


def claim(path: Path) -> SocketFile:
    """Takes a path for the sockets of this engine.

    Raises:
        Unavailable: another engine has it, something else is in the way, or the system refuses;
            one line.
    """
    try:
        lock = _locked(path)
        try:
            return SocketFile(path, _bound(path), lock)
        except BaseException:
            os.close(lock)
            raise
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror or error}") from error


def _locked(path: Path) -> int:
    """A lock beside the socket: the system frees it whenever and however its engine ends."""
    lock = os.open(path.with_name(f"{path.name}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise _taken(path) from None
    return lock


def _bound(path: Path) -> socket.socket:
    if path.exists():
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise Unavailable(f"{path}: is in the way, and is no socket")
        if _answers(path):
            raise _taken(path)
        path.unlink()
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.setblocking(False)
        bound.bind(str(path))
        # Before it listens, so that nobody can come through while the mode is wider.
        path.chmod(0o600)
    except OSError:
        bound.close()
        raise
    return bound


def _answers(path: Path) -> bool:
    """Whether anybody listens at a socket, be it too busy to accept."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        except OSError:
            # Only a refusal proves that nobody is there: EAGAIN is a full queue.
            return True
    return True


def _taken(path: Path) -> Unavailable:
    return Unavailable(
        f"{path}: an engine runs here already; `hftmm attach` opens it, and another "
        "engine.state_dir makes room for a second"
    )
