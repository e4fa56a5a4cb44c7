"""The processes beside this one: an engine for a terminal, practice venues for an engine."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from hftmm.core.errors import Unavailable

LINE_LIMIT: Final = 1024 * 1024


class Child:
    """A child process of the same program.

    It ends when this process does, however this process ends: it watches its standard input, which
    only we hold open.
    """

    def __init__(self, process: asyncio.subprocess.Process, name: str) -> None:
        self.process = process
        self.name = name

    @classmethod
    async def start(
        cls,
        name: str,
        arguments: Sequence[str],
        log: int | None = None,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> Child:
        """Starts `hftmm ARGUMENTS`.

        Args:
            name: what a person calls it, in the singular or plural.
            log: file descriptor where its standard error goes; None is ours.
            environment: variables beside our own.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "hftmm",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env={**os.environ, **environment},
            # A Ctrl-C at the terminal is for us to act on, and for us to pass on.
            start_new_session=True,
            limit=LINE_LIMIT,
        )
        return cls(process, name)

    async def first_line(self, within_s: float) -> bytes:
        """Its first line on standard output.

        Raises:
            Unavailable: it ended, or said nothing in time.
        """
        stdout = self.process.stdout
        assert stdout is not None
        try:
            async with asyncio.timeout(within_s):
                line = await stdout.readline()
        except TimeoutError:
            raise Unavailable(f"the {self.name} said nothing within {within_s:g} s") from None
        except ValueError:
            raise Unavailable(f"the {self.name} said more than fits into a line") from None
        if not line:
            await self.process.wait()
            raise Unavailable(f"the {self.name} {self.ended}")
        return line

    @property
    def ended(self) -> str:
        """How it ended, as the rest of a sentence; "" while it runs."""
        code = self.process.returncode
        if code is None:
            return ""
        if code < 0:
            return f"ended by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def when_ended(self, tell: Callable[[str], None]) -> Callable[[], object]:
        """Has one line told when it ends by itself.

        Returns:
            What to call before it is ended on purpose.
        """
        waiting = asyncio.create_task(self.process.wait(), name=f"watch {self.name}")
        waiting.add_done_callback(
            lambda task: None if task.cancelled() else tell(f"the {self.name} {self.ended}")
        )
        return waiting.cancel

    async def stop(self, within_s: float = 5.0) -> int:
        """Asks it to end, and ends it if it does not; its exit code."""
        if self.process.returncode is None:
            self.process.terminate()
            try:
                async with asyncio.timeout(within_s):
                    return await self.process.wait()
            except TimeoutError:
                self.process.kill()
        return await self.process.wait()


async def parent_gone() -> None:
    """Returns when whoever started us is gone: our standard input ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(4096):
        pass


def last_line(path: Path, start: int) -> str:
    """The last line that was appended to a log since byte `start`; "" if none was."""
    with path.open("rb") as log:
        log.seek(start)
        lines = log.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
