"""Real hftmm processes for tests: with pipes, or with a terminal of their own."""

from __future__ import annotations

import fcntl
import json
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PATIENCE_S = 30.0
_ESCAPE = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[@-_]")
_COMMAND = [sys.executable, "-m", "hftmm"]


def until(condition: Callable[[], object]) -> None:
    """Waits for a condition, and fails if it never comes true."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def children(pid: int) -> list[int]:
    """Child processes that live."""
    try:
        return [int(pid) for pid in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def gone(pid: int) -> bool:
    """Whether a process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@dataclass
class Home:
    """A folder with a config of its own, and an environment in which nothing is the user's."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def made(cls, folder: Path, config: str = "") -> Home:
        (folder / "config.toml").write_text(config)
        environment = {
            # No test may run with the keys of whoever runs it, nor with what confirms live.
            **{name: value for name, value in os.environ.items() if not name.startswith("HFTMM_")},
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_STATE_HOME": str(folder),
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "PYTHONWARNINGS": "ignore",
        }
        return cls(folder, environment)

    @property
    def config(self) -> list[str]:
        return ["--config", str(self.folder / "config.toml")]

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end, without a terminal."""
        return subprocess.run(  # noqa: S603  # our own interpreter
            [*_COMMAND, *words, *self.config],
            env={**self.environment, **environment},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    @contextmanager
    def started(self, *words: str, **environment: str) -> Iterator[Piped]:
        """A command that runs, with pipes for its output; ended by force if it still runs."""
        error = (self.folder / f"stderr-{time.monotonic_ns()}").open("w+")
        with error:
            process = subprocess.Popen(  # noqa: S603  # our own interpreter
                [*_COMMAND, *words, *self.config],
                env={**self.environment, **environment},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=error,
                text=True,
            )
            try:
                yield Piped(process, Path(error.name))
            finally:
                _end(process)
                if process.stdout is not None:
                    process.stdout.close()

    @contextmanager
    def screened(self, *words: str, **environment: str) -> Iterator[Screened]:
        """A command that runs on a terminal of 200 by 60."""
        ours, its = os.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 60, 200, 0, 0))
        try:
            process = subprocess.Popen(  # noqa: S603  # our own interpreter
                [*_COMMAND, *words, *self.config],
                env={**self.environment, **environment},
                cwd=self.folder,
                stdin=its,
                stdout=its,
                stderr=its,
                start_new_session=True,
            )
        finally:
            os.close(its)
        try:
            yield Screened(process, ours)
        finally:
            _end(process)
            os.close(ours)


def _end(process: subprocess.Popen[Any]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait(PATIENCE_S)


@dataclass
class Piped:
    """A command without a terminal."""

    process: subprocess.Popen[str]
    error: Path

    def line(self) -> Mapping[str, Any]:
        """The next line of status."""
        assert self.process.stdout is not None
        text = self.process.stdout.readline()
        assert text, self.error.read_text()
        found: Mapping[str, Any] = json.loads(text)
        return found

    def armed(self) -> Mapping[str, Any]:
        """The first line that says so."""
        deadline = time.monotonic() + PATIENCE_S
        while (line := self.line())["state"] != "ARMED":
            assert time.monotonic() < deadline, line
        return line

    def complaints(self) -> list[str]:
        """Lines for a person on its standard error."""
        lines = self.error.read_text().splitlines()
        return [line for line in lines if line.startswith("hftmm: ")]

    def end(self, by: signal.Signals = signal.SIGTERM) -> int:
        """Sends a signal and reads what is left; the exit code."""
        self.process.send_signal(by)
        return self.finish()

    def finish(self) -> int:
        """Waits for its end; the exit code."""
        assert self.process.stdout is not None
        self.process.stdout.read()
        return self.process.wait(PATIENCE_S)


@dataclass
class Screened:
    """A command on a terminal, and all it has written there."""

    process: subprocess.Popen[bytes]
    ours: int
    raw: bytearray = field(default_factory=bytearray)

    def read(self) -> None:
        """Takes what was written since."""
        while select.select([self.ours], [], [], 0.02)[0]:
            try:
                piece = os.read(self.ours, 65_536)
            except OSError:
                # What Linux says once nobody has the other end open.
                return
            if not piece:
                return
            self.raw += piece

    @property
    def text(self) -> str:
        self.read()
        return _ESCAPE.sub(b"", bytes(self.raw)).decode(errors="replace")

    def shows(self, text: str) -> None:
        """Waits until this was written."""
        until(lambda: text in self.text or self._ended())
        assert text in self.text, self.text[-2_000:]

    def _ended(self) -> bool:
        return self.process.poll() is not None

    def forget(self) -> None:
        """From here on only what is new counts."""
        self.read()
        self.raw.clear()

    def type(self, text: str) -> None:
        os.write(self.ours, text.encode())

    def finish(self) -> int:
        """Waits for its end, reading on; the exit code."""

        def ended() -> bool:
            self.read()
            return self._ended()

        until(ended)
        self.read()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(PATIENCE_S)
        return self.process.returncode
