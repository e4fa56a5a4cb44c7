"""Commands without a screen: the engine alone, the practice venues alone, and the check."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from hftmm.assembly import practice
from hftmm.assembly.choice import Choice
from hftmm.assembly.credentials import credentials_in, variables
from hftmm.assembly.ending import Ending, unless
from hftmm.assembly.output import StatusLines, complain, log_to, say
from hftmm.assembly.station import assemble
from hftmm.config import Config
from hftmm.core.errors import ConfigError
from hftmm.desk.commands import Answer, Command, View
from hftmm.desk.snapshot import DeskSnapshot

if TYPE_CHECKING:
    from hftmm.transport.driver import Driver


class _Front:
    """What viewers meet at the socket, which is taken before there is an engine behind it."""

    driver: Driver | None = None

    def picture(self, view: View) -> DeskSnapshot | None:
        return None if self.driver is None else self.driver.picture(view)

    def asked(self, viewer: int, command: Command) -> Answer:
        if self.driver is None:
            return Answer(False, "the engine is starting")
        return self.driver.asked(viewer, command)


async def run_engine(
    settings: Config,
    choice: Choice,
    venues_file: Path | None,
    socket: Path | None,
    ending: Ending,
    recording: bool = False,
) -> bool:
    """Runs an engine until it is told to end; a line of status a second on standard output.

    A child prints one line once it can be reached at its socket, and no status.

    Args:
        socket: where viewers may come; None for no viewers.
        recording: to record is what it runs for; it does not trade.

    Returns:
        False if something it needs ended before, or what was to be recorded is not all there.
    """
    log_to(sys.stderr, settings.engine.log_level)
    async with AsyncExitStack() as stack:
        stop = await ending.arrange(stack)
        front = _Front()
        if socket is not None:
            # First of all: if another engine is there, nothing has been started yet.
            await _serve(front, socket, stack)
        starting = assemble(settings, choice, venues_file, stack, trades=not recording)
        driver = await unless(stop, starting)
        if driver is None:
            return True
        front.driver = driver
        driver.stopping = stop
        loop = asyncio.get_running_loop()
        lines = StatusLines(sys.stdout.fileno(), lambda: loop.call_soon_threadsafe(stop.set))
        stack.callback(lines.close)
        if ending.child:
            lines.say(b"ready")
        else:
            telling = asyncio.create_task(_tell(driver, lines, settings.engine.status_every_s))
            stack.callback(telling.cancel)
        # What is alive now stays: the collector need not walk it again and again.
        gc.collect()
        gc.freeze()
        ending.begin(stop)
        await driver.run(at_end=None if ending.child else lambda: lines.say(driver.status()))
    # The last of a recording goes to the disk when the stack closes.
    unrecorded = driver.recorder.failure if recording and driver.recorder is not None else ""
    for failure in filter(None, (driver.failure, unrecorded)):
        complain(failure)
    return not driver.failure and not unrecorded


async def serve_venues(settings: Config, control_port: int, ending: Ending) -> bool:
    """Serves the practice venues until told to end; their description is the first line.

    Raises:
        Unavailable: the port is in use.
    """
    from hftmm.sim.server import serve

    log_to(sys.stderr, settings.engine.log_level)
    async with AsyncExitStack() as stack:
        stop = await ending.arrange(stack)

        def announce(description: str) -> None:
            say(description)
            ending.begin(stop)

        await unless(stop, serve(settings, announce, control_port=control_port))
        return stop.is_set()


async def check_venues(settings: Config, choice: Choice) -> bool:
    """Prints what the check of each venue says; whether all of it is fine."""
    from hftmm.transport.check import Venue, check
    from hftmm.transport.check_account import Account
    from hftmm.venues import registry

    log_to(sys.stderr, "error")
    fine = True

    def tell(name: str, text: str, good: bool) -> None:
        nonlocal fine
        fine = fine and good
        say(f"{name}: {text}")

    mode = settings.engine.mode
    async with AsyncExitStack() as stack:
        found = None
        if mode == "sim":
            found = await practice.ready(await practice.start(choice, stack, None))
        codecs = registry.codecs(settings)
        private = registry.private_codecs(settings, codecs)
        for name, urls in practice.hosts(settings, codecs, found).items():
            account = None
            try:
                key = credentials_in(mode, name, found, os.environ)
            except ConfigError as error:
                tell(name, str(error).removeprefix(f"{name}: "), False)
            else:
                if name not in private:
                    tell(name, "watch only: this version sends it no orders", True)
                elif key is not None:
                    account = Account(private[name], key)
                elif mode in ("demo", "live"):
                    tell(name, f"no key: watch only; set {variables(name)} to trade", True)
            async for text, good in check(
                Venue(codecs[name], urls, account), settings.markets.symbols
            ):
                tell(name, text, good)
        return fine


async def _serve(front: _Front, socket: Path, stack: AsyncExitStack) -> None:
    """Takes the socket until the stack closes.

    Raises:
        Unavailable: another engine has it, or it cannot be made.
    """
    from hftmm.transport.link import LinkServer

    server = LinkServer(socket, front.picture, front.asked)
    await server.start()

    async def close() -> None:
        failure = "" if front.driver is None else front.driver.failure
        await server.close(failure or "engine stopped")

    stack.push_async_callback(close)


async def _tell(driver: Driver, lines: StatusLines, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        lines.say(driver.status())
