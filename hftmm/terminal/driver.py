"""The tie to the operator's terminal, which may break: a closed window, a lost ssh."""

from __future__ import annotations

import io
from typing import TextIO, cast

from textual.app import App
from textual.drivers.linux_driver import LinuxDriver


class Lasting(io.TextIOBase):
    """A terminal to write to, also after it is gone: then nothing is written any more.

    Textual writes from a thread through a queue that holds 30 writes. An error would end the
    thread, the queue would fill, and the app would wait for room in it for ever.
    """

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal
        self.gone = False

    def write(self, text: str) -> int:
        """Writes, or does nothing if there is no terminal."""
        if not self.gone:
            try:
                self._terminal.write(text)
            except OSError:
                self.gone = True
        return len(text)

    def flush(self) -> None:
        """Flushes, or does nothing if there is no terminal."""
        if not self.gone:
            try:
                self._terminal.flush()
            except OSError:
                self.gone = True

    def fileno(self) -> int:
        return self._terminal.fileno()

    def isatty(self) -> bool:
        return self._terminal.isatty()


class TerminalDriver(LinuxDriver):
    """Textual's driver, on a terminal that may go away."""

    def __init__(
        self,
        app: App[object],
        *,
        debug: bool = False,
        mouse: bool = True,
        size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        if self._file is not None:
            self._file = cast("io.TextIOWrapper", Lasting(self._file))
