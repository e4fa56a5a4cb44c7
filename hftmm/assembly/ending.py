"""When a command without a screen ends: on a signal, after a while, or with its parent."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from hftmm.transport.children import parent_gone

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ending:
    """What ends a command.

    Attributes:
        duration_s: how long it does what it is for; None is no limit.
        child: True if another hftmm started it and holds its standard input open.
        outlives: a child that goes on when that other one is gone.
    """

    duration_s: float | None = None
    child: bool = False
    outlives: bool = False

    async def arrange(self, stack: AsyncExitStack) -> asyncio.Event:
        """An event that is set when it is time, until the stack closes."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(each, stop.set)
        if self.child and not self.outlives:
            watching = asyncio.create_task(parent_gone(), name="watch parent")
            watching.add_done_callback(lambda _: stop.set())
            stack.callback(watching.cancel)
        return stop

    def begin(self, stop: asyncio.Event) -> None:
        """It does now what it is for: from here on its time counts."""
        if self.duration_s is not None:
            asyncio.get_running_loop().call_later(self.duration_s, stop.set)


async def unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """What the work returns, or None if it is time to end first; the work is cancelled then."""
    doing = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({doing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return doing.result() if doing.done() else None
    finally:
        for task in (doing, stopping):
            task.cancel()
            if not task.done():
                with suppress(asyncio.CancelledError):
                    await task
