"""The command line, and what it puts together: the only file that knows every part.

Heavy parts are imported where they are used, so that each command starts with what it needs.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NoReturn, TypeAlias

import msgspec
from cyclopts import App, CycloptsError, Parameter

from hftmm import __version__, paths
from hftmm.config import Config, load
from hftmm.core.errors import ConfigError, HftmmError, Unavailable

Mode: TypeAlias = Literal["sim", "paper", "demo", "live"]
ConfigFile = Annotated[Path | None, Parameter(help="config file; default: yours, else ours")]
Socket = Annotated[Path | None, Parameter(help="socket of the engine; default: the usual one")]
Hidden = Annotated[bool, Parameter(show=False, negative="")]
Flag = Annotated[bool, Parameter(negative="")]
Description: TypeAlias = Mapping[str, Any]

CLEAN, FAILED, WRONG_USE = 0, 1, 2
ENGINE_PATIENCE_S: Final = 30.0
VENUES_PATIENCE_S: Final = 30.0

app = App(
    name="hftmm",
    help="Market making and arbitrage across Binance, Bybit and OKX, in a terminal.",
    version=__version__,
    help_format="plaintext",
)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Runs one command and exits: 0 clean, 1 failed, 2 bad usage or config."""
    try:
        code = app(
            sys.argv[1:] if arguments is None else arguments,
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
    except CycloptsError as error:
        _complain(str(error))
        sys.exit(WRONG_USE)
    except ConfigError as error:
        _complain(str(error))
        sys.exit(WRONG_USE)
    except HftmmError as error:
        _complain(str(error))
        sys.exit(FAILED)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    sys.exit(code if isinstance(code, int) else CLEAN)


@app.default
def run(
    *,
    config: ConfigFile = None,
    mode: Mode | None = None,
    headless: Flag = False,
    inline: Flag = False,
    duration: float | None = None,
    seed: int | None = None,
    venues: Path | None = None,
    socket: Socket = None,
    child: Hidden = False,
) -> int:
    """Terminal and engine; on practice venues unless told otherwise.

    Parameters
    ----------
    mode: which venues: practice ones on this machine, live data without orders, demo, live.
    headless: no terminal; one JSON object of status a second on standard output.
    inline: terminal and engine in one process.
    duration: seconds after which to end.
    seed: seed of the practice market.
    venues: description of practice venues that already run, as `hftmm venues` prints it.
    """
    settings = _settings(config, mode, seed)
    if not headless and not sys.stdout.isatty():
        _complain("no terminal on standard output: running headless")
        headless = True
    _confirm_live(settings, child)
    if headless:
        end = _Ending(duration, child)
        return _loop(_headless(settings, venues, _socket(settings, socket), end))
    if inline:
        return _loop(_inline(settings, venues, duration))
    options = _options(config, mode, seed, venues)
    return asyncio.run(_terminal(settings, options, _socket(settings, socket), duration))


app.command(run, name="run")


@app.command
def attach(socket: Socket = None, /, *, config: ConfigFile = None) -> int:
    """Opens the terminal on an engine that already runs; leaving it does not stop the engine."""
    settings = load(config or paths.default_config())
    return asyncio.run(_watch(settings, _socket(settings, socket), None, patience_s=0.0))


@app.command
def status(socket: Socket = None, /, *, config: ConfigFile = None) -> int:
    """Prints the status of a running engine: one JSON object."""
    from hftmm.desk.commands import Status
    from hftmm.transport import link

    settings = load(config or paths.default_config())
    answer = asyncio.run(link.ask(_socket(settings, socket), Status()))
    print(answer.text)
    return CLEAN if answer.accepted else FAILED


@app.command
def venues(
    *,
    config: ConfigFile = None,
    seed: int | None = None,
    control_port: int = 0,
    duration: float | None = None,
    child: Hidden = False,
) -> int:
    """Serves the practice venues alone, on free ports of this machine.

    The first line of output is one JSON object: the base URLs of every venue, and demo keys.

    Parameters
    ----------
    control_port: port of the control face, which switches faults; 0 takes a free one.
    """
    settings = _settings(config, None, seed)
    return _loop(_venues(settings, control_port, _Ending(duration, child)))


@app.command
def replay(
    *captures: Path,
    json: Flag = False,
    depth: int = 10,
    speed: float = 1.0,
    config: ConfigFile = None,
) -> int:
    """Runs recorded frames through the real decoders, books, NBBO and detection.

    Parameters
    ----------
    captures: files in the capture format; several are merged by time.
    json: print what became of them instead of showing it.
    depth: levels a side to print of each book.
    speed: 1 is the pace of the recording.
    """
    from hftmm.storage.replay import Replay

    if not captures:
        raise ConfigError("replay: name at least one capture")
    if speed <= 0 or depth < 0:
        raise ConfigError("replay: --speed must be above 0 and --depth not below")
    settings = load(config or paths.default_config())
    replayed = Replay(settings, captures)
    if not json and sys.stdout.isatty():
        return asyncio.run(_playback(settings, replayed, speed))
    if not json:
        _complain("no terminal on standard output: printing what --json prints")
    replayed.play()
    print(msgspec.json.encode(replayed.report(depth)).decode())
    return CLEAN


@app.command
def record(
    file: Path,
    /,
    *,
    config: ConfigFile = None,
    mode: Mode | None = None,
    seed: int | None = None,
    venues: Path | None = None,
    duration: float | None = None,
) -> int:
    """Runs headless and records every received frame; .gz compresses."""
    settings = _settings(config, mode, seed, {"record.file": str(file)})
    _confirm_live(settings, child=False)
    return _loop(_headless(settings, venues, None, _Ending(duration, child=False)))


@app.command
def check(*, config: ConfigFile = None, mode: Mode | None = None) -> int:
    """Validates the config and says in words whether each venue can be reached and told time."""
    settings = _settings(config, mode, None)
    print(f"config: {config or paths.default_config()}: fine")
    return _loop(_check(settings))


# ---- parts put together ---------------------------------------------------------------------


class _Ending:
    """When a headless command ends: on a signal, after a while, or with whoever started it."""

    def __init__(self, duration: float | None, child: bool) -> None:
        self.duration = duration
        self.child = child

    async def arrange(self, stop: asyncio.Event, stack: AsyncExitStack) -> None:
        """Sets the event when it is time."""
        from hftmm.transport.children import parent_gone

        loop = asyncio.get_running_loop()
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(each, stop.set)
        if self.duration is not None:
            handle = loop.call_later(self.duration, stop.set)
            stack.callback(handle.cancel)
        if self.child:
            watching = asyncio.create_task(parent_gone())
            watching.add_done_callback(lambda _: stop.set())
            stack.callback(watching.cancel)


async def _headless(
    settings: Config, venues_file: Path | None, socket: Path | None, end: _Ending
) -> int:
    from hftmm.transport.driver import Driver
    from hftmm.transport.link import LinkServer

    _log_to(sys.stderr, settings)
    async with AsyncExitStack() as stack:
        stop = asyncio.Event()
        await end.arrange(stop, stack)
        driver, failed = await _driver(settings, venues_file, stack, Driver)
        driver.stopping = stop
        if socket is not None:
            server = LinkServer(socket, driver.picture, driver.asked)
            await server.start()
            stack.push_async_callback(server.close)
        lines = asyncio.create_task(_print_status(driver.status, settings))
        stack.callback(lines.cancel)
        lines.add_done_callback(lambda _: stop.set())
        # What is alive now stays: the collector need not walk it again and again.
        gc.collect()
        gc.freeze()
        await driver.run(at_end=lambda: _last_words(driver.status))
        return FAILED if failed() else CLEAN


async def _driver(
    settings: Config, venues_file: Path | None, stack: AsyncExitStack, make: Callable[..., Any]
) -> tuple[Any, Callable[[], bool]]:
    """An engine and its driver, with practice venues beside them if they are wanted.

    Returns:
        The driver, and whether what it runs on has failed.
    """
    from hftmm.storage.captures import CaptureWriter
    from hftmm.transport.children import Child

    venues_child: Child | None = None
    description: Description = {}
    if settings.engine.mode == "sim":
        if venues_file is not None:
            description = _description(venues_file)
        else:
            arguments = ["venues", "--child", *_practice_options(settings)]
            venues_child = await Child.start("practice venues", arguments, None)
            stack.push_async_callback(venues_child.stop)

    from hftmm.engine.engine import Engine
    from hftmm.venues import registry

    codecs = registry.codecs(settings)
    if venues_child is not None:
        line = await venues_child.first_line(VENUES_PATIENCE_S)
        description = msgspec.json.decode(line)
    hosts: dict[str, Mapping[str, str]] = {
        name: {
            **(_flat(description[name]) if description else codec.hosts(_hosts_of(settings))),
            **dict(settings.venues[name].hosts),
        }
        for name, codec in codecs.items()
        if not description or name in description
    }
    codecs = {name: codec for name, codec in codecs.items() if name in hosts}
    engine = Engine(settings, codecs, hosts, random.SystemRandom().random)
    recorder = None
    if settings.record.file:
        recorder = stack.enter_context(CaptureWriter(Path(settings.record.file).expanduser()))
        _complain(f"recording to {recorder.path}")
    driver = make(engine, recorder=recorder, control=str(description.get("control", "")))
    if venues_child is None:
        return driver, lambda: False
    child = venues_child
    watching = asyncio.create_task(child.process.wait())

    def gone(_: object) -> None:
        if not driver.stopping.is_set():
            _complain(f"the practice venues ended with exit code {child.process.returncode}")
            driver.stopping.set()

    watching.add_done_callback(gone)
    stack.callback(watching.remove_done_callback, gone)
    return driver, watching.done


async def _terminal(
    settings: Config, options: list[str], socket: Path, duration: float | None
) -> int:
    """The terminal in this process, the engine in its own."""
    from hftmm.transport.children import Child, last_line

    log = paths.log_path(socket.parent)
    log.touch(mode=0o600)
    start = log.stat().st_size
    with log.open("ab") as appended:
        arguments = ["run", "--headless", "--child", "--socket", str(socket), *options]
        engine = await Child.start("engine", arguments, appended.fileno())
        draining = asyncio.create_task(_drain(engine.process))
        try:
            watching = asyncio.create_task(
                _watch(settings, socket, duration, patience_s=ENGINE_PATIENCE_S)
            )
            ended = asyncio.create_task(engine.process.wait())
            await asyncio.wait({watching, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not watching.done() and not _on_screen.is_set():
                watching.cancel()
                reason = last_line(log, start) or f"exit code {engine.process.returncode}"
                _complain(reason.removeprefix("hftmm: "))
                return engine.process.returncode or FAILED
            return await watching
        finally:
            await engine.stop()
            draining.cancel()


_on_screen = asyncio.Event()
"""Set once the terminal has the screen: from then on an engine's end shows there."""


async def _watch(settings: Config, socket: Path, duration: float | None, patience_s: float) -> int:
    from hftmm.sim.faults import FAULTS
    from hftmm.transport.link import LinkDesk

    desk = await LinkDesk.connect(
        socket, frames_per_s=settings.terminal.frames_per_s, patience_s=patience_s
    )
    faults = FAULTS if settings.engine.mode == "sim" else {}
    try:
        await _show(desk, settings, faults, duration)
    finally:
        await desk.close()
    return CLEAN


async def _show(
    desk: Any, settings: Config, faults: Mapping[str, str], duration: float | None
) -> None:
    from hftmm.terminal.app import HftmmApp

    _on_screen.set()
    terminal = HftmmApp(desk, settings.terminal, faults=faults)
    loop = asyncio.get_running_loop()
    # A lost ssh is a person who left.
    for each in (signal.SIGHUP, signal.SIGTERM):
        loop.add_signal_handler(each, terminal.exit)
    if duration is not None:
        loop.call_later(duration, terminal.exit)
    await terminal.run_async()


async def _inline(settings: Config, venues_file: Path | None, duration: float | None) -> int:
    from hftmm.sim.faults import FAULTS
    from hftmm.transport.driver import Driver
    from hftmm.transport.inline import InlineDesk

    log_file = paths.log_path(paths.state_folder(settings.engine.state_dir)).open("a")
    async with AsyncExitStack() as stack:
        stack.enter_context(log_file)
        _log_to(log_file, settings)
        driver, _ = await _driver(settings, venues_file, stack, Driver)
        desk = InlineDesk(driver.engine, driver.clock, driver.command)
        running = asyncio.create_task(driver.run())
        faults = FAULTS if settings.engine.mode == "sim" else {}
        await _show(desk, settings, faults, duration)
        driver.stopping.set()
        await running
    return CLEAN


async def _playback(settings: Config, replayed: Any, speed: float) -> int:
    from hftmm.transport.inline import InlineDesk
    from hftmm.storage.playback import Playback

    playback = Playback(replayed, speed)
    desk = InlineDesk(replayed.engine, lambda: playback.now_ns, playback.command)
    playing = asyncio.create_task(playback.run())
    await _show(desk, settings, {}, None)
    playing.cancel()
    with suppress(asyncio.CancelledError):
        await playing
    return CLEAN


async def _venues(settings: Config, control_port: int, end: _Ending) -> int:
    from hftmm.sim.server import serve

    _log_to(sys.stderr, settings)
    async with AsyncExitStack() as stack:
        stop = asyncio.Event()
        await end.arrange(stop, stack)
        serving = asyncio.create_task(
            serve(settings, lambda text: _print_line(text.encode()), control_port=control_port)
        )
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if serving.done():
            serving.result()
            return FAILED
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
    return CLEAN


async def _check(settings: Config) -> int:
    from hftmm.transport.check import check_venues
    from hftmm.transport.driver import Driver

    async with AsyncExitStack() as stack:
        driver, _ = await _driver(settings, None, stack, Driver)
        fine = True
        async for line, good in check_venues(driver.engine):
            fine = fine and good
            print(line)
    return CLEAN if fine else FAILED


# ---- small parts ----------------------------------------------------------------------------


def _settings(
    config: Path | None,
    mode: str | None,
    seed: int | None,
    more: Mapping[str, object] | None = None,
) -> Config:
    overrides: dict[str, object] = dict(more or {})
    if mode is not None:
        overrides["engine.mode"] = mode
    if seed is not None:
        overrides["practice.seed"] = seed
    from hftmm.venues import registry

    return load(config or paths.default_config(), overrides, registry.names())


def _options(
    config: Path | None, mode: str | None, seed: int | None, venues_file: Path | None
) -> list[str]:
    given = {"--config": config, "--mode": mode, "--seed": seed, "--venues": venues_file}
    return [
        word for name, value in given.items() if value is not None for word in (name, str(value))
    ]


def _practice_options(settings: Config) -> list[str]:
    return ["--seed", str(settings.practice.seed)]


def _socket(settings: Config, given: Path | None) -> Path:
    return given or paths.socket_path(paths.state_folder(settings.engine.state_dir))


def _hosts_of(settings: Config) -> str:
    return "demo" if settings.engine.mode == "demo" else "live"


def _description(file: Path) -> Description:
    try:
        found: Description = msgspec.json.decode(file.read_bytes().partition(b"\n")[0])
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"{file}: not what `hftmm venues` prints: {error}") from error
    return found


def _flat(urls: Mapping[str, Any]) -> dict[str, str]:
    """`{"spot": {"rest": URL}}` as `{"spot.rest": URL}`."""
    flat: dict[str, str] = {}
    for name, value in urls.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{face}": url for face, url in value.items()}
        else:
            flat[name] = value
    return flat


def _confirm_live(settings: Config, child: bool) -> None:
    if settings.engine.mode != "live" or child or os.environ.get("HFTMM_LIVE") == "yes":
        return
    enabled = ", ".join(name for name, venue in settings.venues.items() if venue.enabled)
    limits = settings.limits
    print(f"live venues: {enabled}", file=sys.stderr)
    print(
        f"limits: position {limits.max_total_position}, worst case {limits.max_worst_case},"
        f" daily loss {limits.max_daily_loss}, drawdown {limits.max_drawdown}",
        file=sys.stderr,
    )
    print("keys: none are read; this version watches and does not trade", file=sys.stderr)
    if not sys.stdin.isatty():
        raise ConfigError("--mode live without a terminal wants HFTMM_LIVE=yes in the environment")
    if input("type LIVE to go on: ").strip() != "LIVE":
        raise ConfigError("--mode live was not confirmed")


def _log_to(stream: Any, settings: Config) -> None:
    logging.basicConfig(
        stream=stream,
        level=settings.engine.log_level.upper(),
        format="%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S",
        force=True,
    )
    # Every connection of theirs that opens or closes is news only to us, who tell it better.
    for library in ("picows", "websockets", "aiohttp"):
        logging.getLogger(library).setLevel(logging.WARNING)
    import time

    logging.Formatter.converter = time.gmtime


async def _print_status(line: Callable[[], bytes], settings: Config) -> None:
    while True:
        await asyncio.sleep(settings.engine.status_every_s)
        try:
            _print_line(line())
        except BrokenPipeError:
            # Whoever read the status is gone; so is the reason to print it.
            return


def _last_words(line: Callable[[], bytes]) -> None:
    with suppress(BrokenPipeError):
        _print_line(line())


def _print_line(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


async def _drain(process: asyncio.subprocess.Process) -> None:
    """Reads a child's status lines, which nobody needs while the screen shows them."""
    if process.stdout is not None:
        while await process.stdout.readline():
            pass


def _complain(text: str) -> None:
    print(f"hftmm: {text}", file=sys.stderr)


def _loop(work: Coroutine[Any, Any, int]) -> int:
    if sys.platform == "win32":
        return asyncio.run(work)
    import uvloop

    return uvloop.run(work)


__all__ = ["Unavailable", "app", "main"]
