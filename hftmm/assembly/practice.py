"""Where the venues are: practice ones in a process beside this one, or the venues' own hosts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from hftmm.assembly.choice import Choice
from hftmm.config import Config
from hftmm.core.errors import ConfigError, Unavailable
from hftmm.transport.children import Child
from hftmm.venues.codec import Hosts, VenueCodec
from hftmm.venues.private import Credentials

PATIENCE_S: Final = 30.0
VENUES_FILE: Final = "venues.json"

_Urls: TypeAlias = dict[str, str | dict[str, str]]
_DESCRIPTION: Final = msgspec.json.Decoder(dict[str, str | _Urls])
_NO_VENUES: Final = ("credentials", "control", "run")


@dataclass(frozen=True, slots=True)
class Practice:
    """Practice venues that run.

    Attributes:
        hosts: base URLs by venue.
        control: base URL of their control face; "" if it was not told.
        child: their process, if it is ours.
        credentials: of an account at each of them; None if they were not told.
        run: which run of theirs it is: the accounts of another one are others.
    """

    hosts: Mapping[str, Hosts]
    control: str
    child: Child | None = None
    credentials: Credentials | None = None
    run: str = ""


def described(line: bytes, child: Child | None = None) -> Practice:
    """Practice venues from the line `hftmm venues` prints.

    Raises:
        ValueError: it is another line.
    """
    try:
        description = _DESCRIPTION.decode(line)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error
    control = description.get("control", "")
    hosts = {
        name: _flat(urls)
        for name, urls in description.items()
        if name not in _NO_VENUES and not isinstance(urls, str)
    }
    if not hosts or not isinstance(control, str):
        raise ValueError("no venue in it")
    run = description.get("run", "")
    key = _credentials(description.get("credentials"))
    return Practice(hosts, control, child, key, run if isinstance(run, str) else "")


def read_description(file: Path) -> Practice:
    """Practice venues that somebody else runs, from a file with their description.

    Raises:
        ConfigError: it cannot be read, or is something else.
    """
    try:
        return described(file.read_bytes().partition(b"\n")[0])
    except OSError as error:
        raise ConfigError(f"--venues {file}: {error.strerror or error}") from error
    except ValueError as error:
        raise ConfigError(f"--venues {file}: not what `hftmm venues` prints: {error}") from error


async def start(choice: Choice, stack: AsyncExitStack, log: int | None) -> Child:
    """Starts practice venues in a process of their own, which ends when the stack closes.

    Args:
        log: file descriptor for what they log; None is our standard error.
    """
    arguments = ["venues", "--child", *choice.words("practice.seed")]
    child = await Child.start("practice venues", arguments, log)
    stack.push_async_callback(child.stop)
    return child


async def ready(child: Child) -> Practice:
    """Practice venues of ours, once they answer.

    Raises:
        Unavailable: they ended, or said something else.
    """
    try:
        return described(await child.first_line(PATIENCE_S), child)
    except ValueError as error:
        raise Unavailable(f"the {child.name} cannot be understood: {error}") from error


def hosts(
    config: Config, codecs: Mapping[str, VenueCodec], practice: Practice | None
) -> dict[str, Hosts]:
    """Base URLs of each venue; what the config names goes before the mode's own.

    A venue that is not practised on, and that the config gives no hosts, is left out.

    Raises:
        ConfigError: a host is missing, or no venue is left.
    """
    found: dict[str, Hosts] = {}
    for name, codec in codecs.items():
        own = dict(config.venues[name].hosts)
        if practice is None:
            mode = "demo" if config.engine.mode == "demo" else "live"
            found[name] = {**codec.hosts(mode), **own}
        elif name in practice.hosts or own:
            found[name] = {**practice.hosts.get(name, {}), **own}
    for name, urls in found.items():
        try:
            codecs[name].endpoints(urls)
        except KeyError as error:
            raise ConfigError(f"venue {name}: no URL for its host {error}") from error
    if not found:
        raise ConfigError(f"no practice venue for {', '.join(codecs)}: name venues.NAME.hosts")
    return found


def _credentials(told: object) -> Credentials | None:
    """
    Raises:
        ValueError: something is told that is no key.
    """
    try:
        return None if told is None else msgspec.convert(told, Credentials)
    except msgspec.ValidationError as error:
        raise ValueError(f"credentials: {error}") from error


def _flat(urls: _Urls) -> dict[str, str]:
    """`{"spot": {"rest": URL}}` as `{"spot.rest": URL}`."""
    flat: dict[str, str] = {}
    for name, value in urls.items():
        if isinstance(value, str):
            flat[name] = value
        else:
            flat |= {f"{name}.{face}": url for face, url in value.items()}
    return flat


# ---- where an engine's venues are, for a kill from outside -----------------------------------


def write_venues(state: Path, mode: str, hosts: Mapping[str, Hosts]) -> None:
    """Leaves word, mode 0600, of where an engine trades, in its state folder, for a kill without
    it. No credentials; of the practice venues they are known.

    Raises:
        Unavailable: it cannot be written.
    """
    path = state / VENUES_FILE
    fresh = path.with_suffix(".new")
    body = msgspec.json.encode({"mode": mode, **{name: dict(urls) for name, urls in hosts.items()}})
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
        fresh.replace(path)
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror or error}") from error


def read_venues(state: Path) -> tuple[str, Mapping[str, Hosts]] | None:
    """The mode of the engine that ran there last, and where it traded; None if none left word."""
    try:
        body = (state / VENUES_FILE).read_bytes()
        mode = _DESCRIPTION.decode(body).get("mode")
        return (mode, described(body).hosts) if isinstance(mode, str) else None
    except (OSError, ValueError, msgspec.DecodeError):
        return None
