"""The processes beside this one: an engine for a terminal, practice venues for an engine."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from hftmm.core.errors import Unavailable

LINE_LIMIT = 1024 * 1024


class Child:
    """A child process of the same program.

    It ends when this process does, however this process ends: it watches its standard input, which
    only we hold open.
    """

    def __init__(self, process: asyncio.subprocess.Process, name: str) -> None:
        self.process = process
        self.name = name

    @classmethod
    async def start(cls, name: str, arguments: Sequence[str], log: IO[bytes] | int | None) -> Child:
        """Starts `hftmm ARGUMENTS`.

        Args:
            log: where its standard error goes; None is ours.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "hftmm",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
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
        if stdout is None:
            raise Unavailable(f"the {self.name} have no output")
        try:
            async with asyncio.timeout(within_s):
                line = await stdout.readline()
        except TimeoutError:
            raise Unavailable(f"the {self.name} said nothing within {within_s:g} s") from None
        if not line:
            code = await self.process.wait()
            raise Unavailable(f"the {self.name} ended at once with exit code {code}")
        return line

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
