"""The terminal in front of an engine: of its own, of somebody else's, inline, or of a recording."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hftmm import paths
from hftmm.assembly.choice import Choice
from hftmm.assembly.output import complain, log_to
from hftmm.config import Config
from hftmm.core.errors import Unavailable
from hftmm.desk.handle import Desk
from hftmm.transport.children import Child, last_line

if TYPE_CHECKING:
    from hftmm.transport.inline import InlineDesk

ENGINE_PATIENCE_S: Final = 30.0
LAST_WORDS_S: Final = 5.0
"""What an engine may take to end once its orders are gone."""


async def with_engine(
    settings: Config, arguments: list[str], socket: Path, duration_s: float | None
) -> bool:
    """The terminal in this process, its engine in another that ends with this one.

    Args:
        arguments: for `hftmm run`, beside those that make it the engine of this terminal.

    Returns:
        False if the engine failed while the terminal showed it.

    Raises:
        Unavailable: the engine ended before it could be shown; its own words say why.
    """
    from hftmm.transport.link import LinkDesk

    outlived = False
    log = _log_file(socket.parent)
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    try:
        start = log.stat().st_size
        words = ["run", "--headless", "--child", "--socket", str(socket), *arguments]
        engine = await Child.start("engine", words, descriptor, {"HFTMM_LIVE": "yes"})
    finally:
        os.close(descriptor)
    try:
        # Half a second of imports, while the engine starts.
        import_module("hftmm.terminal.app")
        try:
            await engine.first_line(ENGINE_PATIENCE_S)
        except Unavailable as error:
            said = last_line(log, start)
            raise Unavailable(said.removeprefix("hftmm: ") or str(error)) from error
        desk = await LinkDesk.connect(socket, frames_per_s=settings.terminal.frames_per_s)
        unverified: str | None = None
        try:
            unverified = await _show(desk, settings, duration_s, owned=True)
        finally:
            await desk.close()
            if unverified is None and settings.engine.on_lost_terminal == "run":
                outlived = True
                complain("the engine goes on without a terminal: hftmm attach shows it")
        if outlived:
            return True
        if unverified:
            complain(f"not verified: {unverified}")
        with suppress(TimeoutError):
            async with asyncio.timeout(settings.engine.stop_within_ms / 1000.0):
                await engine.process.wait()
        if engine.process.returncode:
            complain(f"the {engine.name} {engine.ended}; its log is {log}")
        return engine.process.returncode in {0, None} and not unverified
    finally:
        if not outlived:
            await engine.stop(settings.engine.stop_within_ms / 1000.0 + LAST_WORDS_S)


async def attached(settings: Config, socket: Path) -> None:
    """The terminal on an engine that already runs, and goes on after it.

    Raises:
        Unavailable: none runs there.
    """
    from hftmm.transport.link import LinkDesk

    desk = await LinkDesk.connect(socket, frames_per_s=settings.terminal.frames_per_s)
    try:
        await _show(desk, settings, None)
    finally:
        await desk.close()


async def inline(
    settings: Config, choice: Choice, venues_file: Path | None, duration_s: float | None
) -> bool:
    """Terminal and engine in this process, and in one event loop.

    Returns:
        False if something the engine needs ended before.
    """
    from hftmm.assembly.station import assemble
    from hftmm.transport.inline import InlineDesk

    log = _log_file(paths.state_folder(settings.engine.state_dir))
    async with AsyncExitStack() as stack:
        log_file = stack.enter_context(log.open("a"))
        log_to(log_file, settings.engine.log_level)
        driver = await assemble(settings, choice, venues_file, stack, log_file.fileno())
        desk = InlineDesk(driver.engine, driver.clock, driver.told)
        working = asyncio.create_task(driver.run())
        async with _beside(desk, working, lambda: driver.failure) as running:
            await _show(desk, settings, duration_s, owned=True)
            driver.stopping.set()
            await running
    if driver.failure:
        complain(driver.failure)
    return not driver.failure


async def playback(settings: Config, captures: tuple[Path, ...], speed: float) -> None:
    """The terminal on a recording.

    Raises:
        CaptureError: it cannot be read.
    """
    from hftmm.storage.playback import Playback
    from hftmm.storage.replay import Replay
    from hftmm.transport.inline import InlineDesk

    replayed = Replay(settings, captures)
    player = Playback(replayed, speed)
    desk = InlineDesk(replayed.engine, lambda: player.now_ns, player.command)
    async with _beside(desk, asyncio.create_task(player.run())):
        await _show(desk, settings, None)


@asynccontextmanager
async def _beside(
    desk: InlineDesk, work: asyncio.Task[None], why: Callable[[], str] = str
) -> AsyncIterator[asyncio.Task[None]]:
    """Work that a desk shows; the desk says so if the work fails, and the error comes out here.

    Args:
        why: the reason for an end in good order, "" if it needs none.
    """

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            error = task.exception()
            desk.failed = why() if error is None else f"the engine failed: {error!r}"

    work.add_done_callback(ended)
    try:
        yield work
    finally:
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work


async def _show(
    desk: Desk, settings: Config, duration_s: float | None, *, owned: bool = False
) -> str | None:
    """Until the operator leaves, or is gone.

    Args:
        owned: leaving ends the engine.

    Returns:
        What was not verified when the operator left, "" if all was; None if the terminal was lost.

    Raises:
        Unavailable: the terminal failed.
    """
    from hftmm.sim.faults import FAULTS
    from hftmm.terminal.app import HftmmApp

    terminal = HftmmApp(desk, settings.terminal, owned=owned, faults=FAULTS)
    loop = asyncio.get_running_loop()
    # A lost ssh: nobody sees how an end would go.
    loop.add_signal_handler(signal.SIGHUP, terminal.exit)
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, terminal.leave, each.name)
    if duration_s is not None:
        loop.call_later(duration_s, terminal.leave, "the time is up")
    left = await terminal.run_async()
    if terminal.return_code:
        raise Unavailable("the terminal failed, as told above")
    return left


def _log_file(folder: Path) -> Path:
    """The engine's log, made if it is not there.

    Raises:
        Unavailable: it cannot be written.
    """
    log = paths.log_path(folder)
    try:
        log.touch(mode=0o600)
    except OSError as error:
        raise Unavailable(f"{log}: {error.strerror or error}") from error
    return log
