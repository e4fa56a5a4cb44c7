"""An engine with everything around it: venues to talk to, a driver, a recorder."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hftmm import paths
from hftmm.assembly import practice
from hftmm.assembly.choice import Choice
from hftmm.assembly.credentials import credentials_in, variables
from hftmm.assembly.output import complain
from hftmm.assembly.practice import Practice
from hftmm.config import Config
from hftmm.transport.children import Child

if TYPE_CHECKING:
    from hftmm.engine.licence import Licence
    from hftmm.transport.driver import Driver
    from hftmm.venues.codec import Hosts, VenueCodec

KEPT_RUNS: Final = 5


async def assemble(
    settings: Config,
    choice: Choice,
    venues_file: Path | None,
    stack: AsyncExitStack,
    log: int | None = None,
    *,
    trades: bool = True,
) -> Driver:
    """A driver that is ready to run; what it needs lives until the stack closes.

    Args:
        trades: False to watch only, whatever keys there are.
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
    from hftmm.storage.latch import LatchFile
    from hftmm.transport.driver import Driver
    from hftmm.venues import registry

    codecs = registry.codecs(settings)
    if child is not None:
        found = await practice.ready(child)
    hosts = practice.hosts(settings, codecs, found)
    for name in codecs.keys() - hosts.keys():
        complain(f"{name} is left out: there is no practice venue of that name")
    codecs = {name: codec for name, codec in codecs.items() if name in hosts}
    state = paths.state_folder(settings.engine.state_dir)
    latch = LatchFile(state, settings.engine.mode)
    licence = None
    if trades:
        licence = _licence(settings, codecs, hosts, found, state, latch.reason, stack)
    if licence is not None:
        practice.write_venues(state, settings.engine.mode, hosts)
    engine = Engine(settings, codecs, hosts, random.SystemRandom().random, licence)
    recorder = None
    if settings.record.file:
        recorder = stack.enter_context(CaptureWriter(_capture(settings)))
        complain(f"recording to {recorder.path}")
    control = "" if found is None else found.control
    driver = Driver(engine, recorder=recorder, control=control, latch=latch)
    if child is not None:
        stack.callback(child.when_ended(driver.stop))
    return driver


def _licence(
    settings: Config,
    codecs: Mapping[str, VenueCodec],
    hosts: Mapping[str, Hosts],
    found: Practice | None,
    state: Path,
    killed: str,
    stack: AsyncExitStack,
) -> Licence | None:
    """What it takes to trade on the venues there are keys of; None if there are none.

    Args:
        killed: why the kill latch is pulled, by word from outside.

    Raises:
        ConfigError: half a key, or a strategy of another package that cannot be loaded.
        Unavailable: the journal cannot be had.
    """
    from hftmm.engine.licence import Licence
    from hftmm.storage.journal import Journal
    from hftmm.strategy.registry import registered
    from hftmm.venues import registry

    mode = settings.engine.mode
    private = registry.private_codecs(settings, codecs)
    keys = {
        venue: key
        for venue in private
        if (key := credentials_in(mode, venue, found, os.environ)) is not None
    }
    if not keys:
        return None
    for venue in codecs.keys() - keys.keys():
        complain(f"{venue} is only watched: no key; set {variables(venue)} to trade")
    name = mode if found is None else f"sim-{found.run}"
    if found is not None:
        _forget_old_runs(state)
    journal = stack.enter_context(Journal(paths.journal_path(state, name)))
    return Licence(private, keys, hosts, journal, journal.resume(), killed, registered())


def _forget_old_runs(state: Path) -> None:
    """Practice accounts begin anew with each run; a few journals are kept to look at."""
    pattern = paths.journal_path(state, "sim-*").name
    found = sorted(state.glob(pattern), key=lambda file: file.stat().st_mtime)
    for file in found[:-KEPT_RUNS]:
        for each in state.glob(f"{file.name}*"):
            each.unlink(missing_ok=True)


def _capture(settings: Config) -> Path:
    """Where to record; a bare name is a file among the captures."""
    file = Path(settings.record.file).expanduser()
    if file.parent == Path():
        return paths.captures_folder(paths.state_folder(settings.engine.state_dir)) / file
    return file
