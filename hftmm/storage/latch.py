"""The kill latch as a file, for a kill from outside while an engine hangs, or while none runs.

An engine keeps its latch in its journal, which only it writes. Who kills without it leaves this
file: the engine looks for it at its start and then every second, takes the kill for its own, and
removes the file once its journal has it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from hftmm.core.errors import Unavailable


class LatchFile:
    """The file `killed-MODE` in a state folder: a kill of live venues is not one of practice."""

    def __init__(self, state: Path, mode: str) -> None:
        self.path: Final = state / f"killed-{mode}"

    @property
    def reason(self) -> str:
        """Why everything is to be stopped, one line; "" if the file is not there."""
        try:
            text = self.path.read_text(errors="replace")
        except FileNotFoundError:
            return ""
        except OSError as error:
            # What cannot be read may say that everything is to be stopped.
            return f"{self.path}: {error.strerror or error}"
        return " ".join(text.split()) or "killed from outside"

    def pull(self, reason: str) -> None:
        """Leaves the word, forced through to the disk.

        Raises:
            Unavailable: it cannot be written.
        """
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(f"{reason}\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise Unavailable(f"{self.path}: {error.strerror or error}") from error

    def release(self) -> None:
        """Takes the word away, if it is there.

        Raises:
            Unavailable: it cannot be removed.
        """
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise Unavailable(f"{self.path}: {error.strerror or error}") from error
