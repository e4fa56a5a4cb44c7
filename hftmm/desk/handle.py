"""The one interface between an engine and whoever watches it."""

from __future__ import annotations

from typing import Protocol

from hftmm.desk.commands import Command
from hftmm.desk.snapshot import DeskSnapshot


class Desk(Protocol):
    """A running engine as a viewer sees it, in this process or another."""

    def snapshot(self) -> DeskSnapshot | None:
        """The newest snapshot, or None before the first; never waits."""
        ...

    def send(self, command: Command) -> None:
        """Passes a command on; its outcome shows in the log of a later snapshot."""
        ...

    @property
    def connected(self) -> bool:
        """False once the engine is gone; the last snapshot stays readable."""
        ...

    @property
    def failure(self) -> str:
        """Why it is not connected, one line; "" while it is."""
        ...
