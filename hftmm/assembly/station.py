"""An engine with everything around it: venues to talk to, a driver, a recorder."""

from __future__ import annotations

import random
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from hftmm import paths
from hftmm.assembly import practice
from hftmm.assembly.choice import Choice
from hftmm.assembly.output import complain
from hftmm.assembly.practice import Practice
from hftmm.config import Config
from hftmm.transport.children import Child

if TYPE_CHECKING:
    from hftmm.transport.driver import Driver


async def assemble(
    settings: Config,
    choice: Choice,
    venues_file: Path | None,
    stack: AsyncExitStack,
    log: int | None = None,
) -> Driver:
    """A driver that is ready to run; what it needs lives until the stack closes.

    Args:
        venues_file: description of practice venues that already run.
        log: file descriptor for what the practice venues log; None is our standard error.

    Raises:
        ConfigError: hosts or files that cannot be.
        Unavailable: practice venues or the recording could not be begun.
    """
    found: Practice | None = None
    child: Child | None = None
    if settings.engine.mode == "sim":
        if venues_file is not None:
            found = practice.read_description(venues_file)
        else:
            child = await practice.start(choice, stack, log)
    # The engine's kernels take half a second to load: time in which the practice venues start.
    from hftmm.engine.engine import Engine
    from hftmm.storage.captures import CaptureWriter
    from hftmm.transport.driver import Driver
    from hftmm.venues import registry

    codecs = registry.codecs(settings)
    if child is not None:
        found = await practice.ready(child)
    hosts = practice.hosts(settings, codecs, found)
    for name in codecs.keys() - hosts.keys():
        complain(f"{name} is left out: there is no practice venue of that name")
    codecs = {name: codec for name, codec in codecs.items() if name in hosts}
    engine = Engine(settings, codecs, hosts, random.SystemRandom().random)
    recorder = None
    if settings.record.file:
        recorder = stack.enter_context(CaptureWriter(_capture(settings)))
        complain(f"recording to {recorder.path}")
    driver = Driver(engine, recorder=recorder, control="" if found is None else found.control)
    if child is not None:
        stack.callback(child.when_ended(driver.stop))
    return driver


def _capture(settings: Config) -> Path:
    """Where to record; a bare name is a file among the captures."""
    file = Path(settings.record.file).expanduser()
    if file.parent == Path():
        return paths.captures_folder(paths.state_folder(settings.engine.state_dir)) / file
    return file
