"""A Desk on an engine in this process, and in this event loop."""

from __future__ import annotations

from collections.abc import Callable

from hftmm.desk.commands import Answer, Command, View
from hftmm.desk.snapshot import DeskSnapshot
from hftmm.engine import publisher
from hftmm.engine.engine import Engine


class InlineDesk:
    """Pictures of an engine as they are asked for.

    Attributes:
        failed: set it to say why the engine is gone.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Callable[[], int],
        command: Callable[[Command], Answer],
    ) -> None:
        self.failed = ""
        self._engine = engine
        self._clock = clock
        self._command = command
        self._view = View()
        self._number = 0

    def snapshot(self) -> DeskSnapshot | None:
        self._number += 1
        return publisher.snapshot(self._engine, self._view, self._number, self._clock())

    def send(self, command: Command) -> None:
        answer = self._command(command)
        if answer.accepted and isinstance(command, View):
            self._view = command

    @property
    def connected(self) -> bool:
        return not self.failed

    @property
    def failure(self) -> str:
        return self.failed
