"""What a command says: status on standard output, logs and complaints on standard error."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final, TextIO

CLEAN, FAILED, WRONG_USE = 0, 1, 2
"""Exit codes."""
BACKLOG: Final = 4
"""Lines that wait for a reader; more are left out, for the next second brings a newer one."""
LAST_WORDS_S: Final = 1.0


def say(line: str) -> None:
    """One line on standard output, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """One line for a person, on standard error."""
    sys.stderr.write(f"hftmm: {text}\n")
    sys.stderr.flush()


class StatusLines:
    """Writes lines to a file descriptor from a thread of its own.

    A reader that does not read (a paused `less`, a stopped job) must never hold up an engine.
    """

    def __init__(self, descriptor: int, on_gone: Callable[[], object]) -> None:
        """
        Args:
            on_gone: called from the thread when nobody reads any more.
        """
        self._descriptor = descriptor
        self._on_gone = on_gone
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="status", daemon=True)
        self._thread.start()

    def say(self, line: bytes) -> None:
        """Takes one line; never waits."""
        if self._lines.qsize() < BACKLOG:
            self._lines.put(line + b"\n")

    def close(self) -> None:
        """Waits a moment for the last words to be read."""
        self._lines.put(None)
        self._thread.join(LAST_WORDS_S)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                # Past Python's buffer: a thread that waits in it could not be left behind.
                while line:
                    line = line[os.write(self._descriptor, line) :]
            except OSError:
                self._on_gone()
                return


def log_to(stream: TextIO, level: str) -> None:
    """Sends the log to a stream, from this level up.

    Args:
        level: `debug`, `info`, `warning` or `error`.
    """
    form = logging.Formatter(
        "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S"
    )
    form.converter = time.gmtime
    handler = logging.StreamHandler(stream)
    handler.setFormatter(form)
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    # Every connection of theirs that opens or closes is news only to us, who tell it better.
    for library in ("picows", "websockets", "aiohttp"):
        logging.getLogger(library).setLevel(logging.WARNING)
