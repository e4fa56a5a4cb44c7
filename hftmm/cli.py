"""The command line: the top layer, which knows what each command is made of.

Heavy parts are imported where they are used, so that each command starts with what it needs.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn

import msgspec
from cyclopts import App, CycloptsError, Parameter
from cyclopts.exceptions import UnknownOptionError, UnusedCliTokensError

from hftmm import __version__, paths
from hftmm.assembly import remote
from hftmm.assembly.choice import Choice
from hftmm.assembly.ending import Ending
from hftmm.assembly.options import (
    Capture,
    Child,
    ConfigFile,
    Depth,
    Direct,
    Duration,
    Flatten,
    Headless,
    Inline,
    Json,
    Only,
    Port,
    Seed,
    Socket,
    Speed,
    VenuesFile,
    WhichVenues,
    Within,
    socket_at,
)
from hftmm.assembly.output import CLEAN, FAILED, WRONG_USE, complain, say
from hftmm.config import Config
from hftmm.core.errors import ConfigError, FileError, HftmmError

app = App(
    name="hftmm",
    help="Market making and arbitrage across Binance, Bybit and OKX, in a terminal.",
    version=__version__,
    help_format="plaintext",
    default_parameter=Parameter(negative="", show_default=lambda value: value or None),
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
        complain(_usage(error))
        sys.exit(WRONG_USE)
    except FileError as error:
        print(error, file=sys.stderr)
        sys.exit(WRONG_USE)
    except ConfigError as error:
        complain(str(error))
        sys.exit(WRONG_USE)
    except HftmmError as error:
        complain(str(error))
        sys.exit(FAILED)
    except KeyboardInterrupt:
        # Commands that run until they are told to end take SIGINT as the word; others were cut off.
        sys.exit(FAILED)
    except BrokenPipeError:
        # Whoever read the output has what it wanted; what is left must not fail at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    else:
        sys.exit(code if isinstance(code, int) else CLEAN)
    sys.exit(CLEAN)


@app.default
def run(
    *,
    config: ConfigFile = None,
    mode: WhichVenues = None,
    headless: Headless = False,
    inline: Inline = False,
    duration: Duration = None,
    seed: Seed = None,
    venues: VenuesFile = None,
    socket: Socket = None,
    only: Only = None,
    child: Child = False,
) -> int:
    """Terminal and engine; on practice venues unless told otherwise."""
    choice = Choice(config, {"engine.mode": mode, "practice.seed": seed, **_strategies(only)})
    settings = choice.load()
    _check_venues_file(settings, venues)
    if headless and inline:
        raise ConfigError("--headless and --inline exclude each other: inline is about the screen")
    _confirm_live(settings)
    if not headless and (missing := _missing_terminal()):
        complain(f"{missing}: running headless")
        headless = True
    if headless:
        from hftmm.assembly.headless import run_engine

        ending = Ending(duration, child, settings.engine.on_lost_terminal == "run")
        where = socket_at(settings, socket)
        return _loop(run_engine(settings, choice, venues, where, ending))
    from hftmm.assembly import screen

    if inline:
        # Textual makes every task eager, and uvloop then makes none on Python 3.13.0.
        return _code(asyncio.run(screen.inline(settings, choice, venues, duration)))
    words = choice.words("engine.mode", "practice.seed")
    if only is not None:
        words += ["--only", only]
    if venues is not None:
        words += ["--venues", str(venues)]
    showing = screen.with_engine(settings, words, socket_at(settings, socket), duration)
    return _code(asyncio.run(showing))


app.command(run, name="run")


@app.command
def attach(socket: Socket = None, /, *, config: ConfigFile = None) -> int:
    """Opens the terminal on an engine that already runs; leaving it does not stop the engine."""
    from hftmm.assembly import screen

    settings = Choice(config).load()
    if missing := _missing_terminal():
        raise ConfigError(f"{missing}: `hftmm status` tells about an engine without one")
    asyncio.run(screen.attached(settings, socket_at(settings, socket)))
    return CLEAN


@app.command
def status(socket: Socket = None, /, *, config: ConfigFile = None) -> int:
    """Prints the status of a running engine: one JSON object."""
    from hftmm.desk.commands import Status

    return remote.told(Status(), socket, config)


@app.command
def kill(
    socket: Socket = None,
    /,
    *,
    flatten: Flatten = False,
    direct: Direct = False,
    within: Within = 30.0,
    config: ConfigFile = None,
    mode: WhichVenues = None,
    venues: VenuesFile = None,
) -> int:
    """Cancels everything everywhere and shows that it is gone; nothing new leaves until re-armed.

    Ends with 0 only if every venue shows no open order of ours.
    """
    settings = Choice(config).load()
    where = socket_at(settings, socket)
    if not direct:
        from hftmm.assembly import kill as killing

        watching = killing.kill(where, say, flatten=flatten, within_s=within)
        return _code(asyncio.run(watching))
    from hftmm.assembly import direct_kill, practice

    state = paths.state_folder(settings.engine.state_dir)
    if mode is None and venues is None and (noted := practice.read_venues(state)) is not None:
        # The mode may have been named on the command line of the engine, not in the file.
        settings = Choice(config, {"engine.mode": noted[0]}).load()
    else:
        settings = Choice(config, {"engine.mode": mode}).load()
    _check_venues_file(settings, venues)
    doors, shut = direct_kill.doors(settings, venues, os.environ)
    for problem in shut:
        complain(problem)
    say(f"killing in mode {settings.engine.mode} at {', '.join(doors)}")
    work = direct_kill.kill(settings, doors, state, where, say, flatten=flatten, within_s=within)
    return _code(asyncio.run(work) and not shut)


@app.command
def venues(
    *,
    config: ConfigFile = None,
    seed: Seed = None,
    control_port: Port = 0,
    duration: Duration = None,
    child: Child = False,
) -> int:
    """Serves the practice venues alone, on free ports of this machine.

    The first line of output is one JSON object: the base URLs of every venue, and demo keys.
    """
    from hftmm.assembly.headless import serve_venues

    settings = Choice(config, {"practice.seed": seed}).load()
    return _loop(serve_venues(settings, control_port, Ending(duration, child)))


@app.command
def replay(
    *captures: Capture,
    json: Json = False,
    depth: Depth = 10,
    speed: Speed = 1.0,
    config: ConfigFile = None,
) -> int:
    """Runs recorded frames through the real decoders, books, NBBO and detection."""
    if not captures:
        raise ConfigError("replay: name at least one capture")
    settings = Choice(config).load()
    missing = "" if json else _missing_terminal()
    if not json and not missing:
        from hftmm.assembly import screen

        asyncio.run(screen.playback(settings, captures, speed))
        return CLEAN
    from hftmm.storage.replay import Replay

    replayed = Replay(settings, captures)
    if missing:
        complain(f"{missing}: printing what --json prints")
    replayed.play()
    say(msgspec.json.encode(replayed.report(depth)).decode())
    return CLEAN


@app.command
def record(
    file: Annotated[Path, Parameter(help="Where to; .gz compresses. Nothing is overwritten.")],
    /,
    *,
    config: ConfigFile = None,
    mode: WhichVenues = None,
    seed: Seed = None,
    venues: VenuesFile = None,
    duration: Duration = None,
) -> int:
    """Runs headless and records every received frame."""
    from hftmm.assembly.headless import run_engine

    target = str(file.expanduser().absolute())
    choice = Choice(config, {"engine.mode": mode, "practice.seed": seed, "record.file": target})
    settings = choice.load()
    _check_venues_file(settings, venues)
    _confirm_live(settings)
    return _loop(run_engine(settings, choice, venues, None, Ending(duration), recording=True))


@app.command
def check(*, config: ConfigFile = None, mode: WhichVenues = None) -> int:
    """Says in words what is wrong with config, venues' reachability, clocks, keys and accounts."""
    from hftmm.assembly.headless import check_venues

    choice = Choice(config, {"engine.mode": mode})
    settings = choice.load()
    say(f"config: {choice.path}: fine")
    return _loop(check_venues(settings, choice))


remote.register(app)


@app.command
def drill(
    name: Annotated[str, Parameter(help="One of them, or all; without one they are listed.")] = "",
    /,
    *,
    seed: Seed = None,
    config: ConfigFile = None,
) -> int:
    """Lets something go wrong on purpose and checks that what must follow does.

    On practice venues and with an engine of its own; the limits are those of the config. Ends with
    0 only if everything held.
    """
    from hftmm.assembly import drill as drilling
    from hftmm.assembly.drills import CLOSING, DRILLS

    if not name:
        for each in DRILLS:
            say(f"{each.name:<20} {each.summary}")
        return CLEAN
    chosen = [each for each in DRILLS if name in (each.name, "all")]
    if not chosen:
        raise ConfigError(f"no drill {name!r}: all, {', '.join(each.name for each in DRILLS)}")
    choice = Choice(config)
    wanted = choice.load().practice.seed if seed is None else seed
    return _code(asyncio.run(drilling.drill(chosen, CLOSING, choice, wanted, say)))


# ---- the same program under other names -----------------------------------------------------


def multi_exchange_mm() -> NoReturn:
    """`multi-exchange-mm`: hftmm with market making on and arbitrage off."""
    _main_with_only("market-making")


def arbitrage_bot() -> NoReturn:
    """`arbitrage-bot`: hftmm with arbitrage on and market making off."""
    _main_with_only("arbitrage")


def _main_with_only(strategy: str) -> NoReturn:
    arguments = sys.argv[1:]
    runs = not arguments or arguments[0].startswith("-") or arguments[0] == "run"
    asks = any(word in {"-h", "--help", "--version"} for word in arguments)
    main([*arguments, "--only", strategy] if runs and not asks else arguments)


def _strategies(only: str | None) -> dict[str, object]:
    """Values of the config that a choice of one strategy stands for."""
    if only is None:
        return {}
    return {
        "market_making.enabled": only == "market-making",
        "arbitrage.enabled": only == "arbitrage",
    }


# ---- what commands have in common -----------------------------------------------------------


def _usage(error: CycloptsError) -> str:
    """What is wrong with a command line, and what is allowed, in one line."""
    names = [name for name in error.command_chain or () if name]
    if isinstance(error, UnknownOptionError):
        options = [argument.name for argument in error.argument_collection if argument.show]
        known = ", ".join(name for name in options if name.startswith("--"))
        given = (error.token.keyword or error.token.value).partition("=")[0]
        return f"unknown option {given}, allowed: {known}"
    if isinstance(error, UnusedCliTokensError):
        words = " ".join(error.unused_tokens or ())
        if names:
            return f"{names[-1]} takes no {words!r}; see hftmm {names[-1]} --help"
        commands = ", ".join(name for name in app if not name.startswith("-"))
        return f"unknown command {words!r}, allowed: {commands}"
    said = " ".join(str(error).split()).rstrip(".")
    command = " ".join(["hftmm", *names])
    return f"{said[:1].lower()}{said[1:]}; see {command} --help"


def _missing_terminal() -> str:
    """Why there can be no screen, "" if there can."""
    if not sys.stdout.isatty():
        return "no terminal on standard output"
    return "" if sys.stdin.isatty() else "no terminal on standard input"


def _check_venues_file(settings: Config, venues_file: Path | None) -> None:
    if venues_file is not None and settings.engine.mode != "sim":
        raise ConfigError(f"--venues is for --mode sim only, the mode is {settings.engine.mode}")


def _confirm_live(settings: Config) -> None:
    """Has the word typed that starts live; the environment may say it beforehand."""
    if settings.engine.mode != "live" or os.environ.get("HFTMM_LIVE") == "yes":
        return
    if not sys.stdin.isatty():
        raise ConfigError("--mode live without a terminal wants HFTMM_LIVE=yes in the environment")
    from hftmm.assembly.credentials import credentials

    enabled = {name: venue for name, venue in settings.venues.items() if venue.enabled}
    told = [f"live venues: {', '.join(enabled)}"]
    for name, venue in enabled.items():
        key = credentials(name, os.environ)
        told.append(
            f"{name}: no key, watch only"
            if key is None
            else f"{name}: key {key.fingerprint}; limits: position {venue.max_position}, open"
            f" orders {venue.max_open_orders}, daily loss {venue.max_daily_loss}"
        )
    limits = settings.limits
    # Standard output is for status lines alone.
    print(
        *told,
        f"limits in total: position {limits.max_total_position}, worst case"
        f" {limits.max_worst_case}, open orders {limits.max_open_orders}, daily loss"
        f" {limits.max_daily_loss}, drawdown {limits.max_drawdown}",
        "type LIVE to go on: ",
        sep="\n",
        end="",
        file=sys.stderr,
        flush=True,
    )
    if sys.stdin.readline().strip() != "LIVE":
        raise ConfigError("--mode live was not confirmed")


def _code(fine: bool) -> int:
    return CLEAN if fine else FAILED


def _loop(work: Coroutine[Any, Any, bool]) -> int:
    if sys.platform == "win32":
        return _code(asyncio.run(work))
    import uvloop

    return _code(uvloop.run(work))


__all__ = ["app", "main"]
