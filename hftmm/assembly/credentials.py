"""Keys of the venues: from the environment, else from the system's keyring, never from our files.

Both know them by the same names: `HFTMM_OKX_KEY`, `HFTMM_OKX_SECRET`, `HFTMM_OKX_PASSPHRASE`. In
the keyring they are passwords of the service `hftmm`. Names with `_DEMO` after the venue are of its
test network, and go there before the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeAlias

from hftmm.assembly.practice import Practice
from hftmm.core.errors import ConfigError
from hftmm.venues.private import Credentials
from hftmm.venues.signing import ed25519_base64, is_private_key

Lookup: TypeAlias = Callable[[str], str | None]
"""The value kept under a name; None if there is none."""

SERVICE: Final = "hftmm"

_WITH_PASSPHRASE: Final = frozenset({"okx"})
_SHARED_SECRETS: Final = frozenset({"bybit", "okx"})
"""Venues that take no private key: both sides know the secret."""
_PARTS: Final = ("KEY", "SECRET", "SECRET_FILE", "PASSPHRASE")


def system_keyring(name: str) -> str | None:
    """What the system's keyring keeps under a name; None too where there is no keyring."""
    try:
        import keyring

        found: str | None = keyring.get_password(SERVICE, name)
    except Exception:
        # Not installed, without a backend, locked, or a backend with an error of its own: whatever
        # it is, there is no key to be had, and the screen says that.
        return None
    return found


def credentials(
    venue: str,
    environ: Mapping[str, str],
    *,
    demo: bool = False,
    keyring: Lookup = system_keyring,
) -> Credentials | None:
    """The key of a venue; None if there is none.

    Args:
        demo: of the venue's test network, if there is one of its own.

    Raises:
        ConfigError: part of it is missing, or cannot be what it should be; one line.
    """
    for prefix in _prefixes(venue, demo=demo):
        for place, lookup in (("environment", environ.get), ("keyring", keyring)):
            found = {part: value for part in _PARTS if (value := _value(lookup, prefix + part))}
            if found:
                return _checked(venue, prefix, place, found)
    return None


def credentials_in(
    mode: str,
    venue: str,
    practice: Practice | None,
    environ: Mapping[str, str],
    keyring: Lookup = system_keyring,
) -> Credentials | None:
    """The key for a venue in a mode: practice venues bring theirs, paper has none.

    Raises:
        ConfigError: see `credentials`.
    """
    if mode == "sim":
        practised = practice is not None and venue in practice.hosts
        return practice.credentials if practice is not None and practised else None
    if mode == "paper":
        return None
    return credentials(venue, environ, demo=mode == "demo", keyring=keyring)


def variables(venue: str) -> str:
    """Names of what makes a key whole, for a sentence."""
    prefix, *_ = _prefixes(venue, demo=False)
    *others, last = (prefix + part for part in _wanted(venue))
    return f"{', '.join(others)} and {last}"


def _prefixes(venue: str, *, demo: bool) -> tuple[str, ...]:
    name = venue.upper().replace("-", "_")
    return (f"HFTMM_{name}_DEMO_", f"HFTMM_{name}_") if demo else (f"HFTMM_{name}_",)


def _wanted(venue: str) -> tuple[str, ...]:
    return ("KEY", "SECRET", "PASSPHRASE") if venue in _WITH_PASSPHRASE else ("KEY", "SECRET")


def _value(lookup: Lookup, name: str) -> str:
    return (lookup(name) or "").strip()


def _checked(venue: str, prefix: str, place: str, found: dict[str, str]) -> Credentials:
    """
    Raises:
        ConfigError: see `credentials`.
    """
    file = found.pop("SECRET_FILE", "")
    if file and "SECRET" in found:
        names = f"{prefix}SECRET and {prefix}SECRET_FILE"
        raise ConfigError(f"{venue}: {names} are both set: keep one of them")
    if file:
        found["SECRET"] = _read(venue, f"{prefix}SECRET_FILE", file)
    missing = [prefix + part for part in _wanted(venue) if part not in found]
    if missing:
        there = " and ".join(prefix + part for part in found)
        lacks = " and ".join(missing)
        raise ConfigError(
            f"{venue}: the {place} has {there} but no {lacks}: set what is missing, or none of them"
        )
    for part, value in found.items():
        if part == "SECRET" and is_private_key(value):
            _check_private_key(venue, prefix + part, value)
        elif not (value.isascii() and value.isprintable()) or (part == "KEY" and " " in value):
            raise ConfigError(
                f"{venue}: {prefix}{part} has a character that no key has: copy it anew"
            )
    return Credentials(found["KEY"], found["SECRET"], found.get("PASSPHRASE", ""))


def _read(venue: str, name: str, file: str) -> str:
    """
    Raises:
        ConfigError: there is no text in the file.
    """
    try:
        text = Path(file).expanduser().read_text().strip()
    except OSError as error:
        why = error.strerror or str(error)
    except ValueError:
        why = "not a text file"
    else:
        if text:
            return text
        why = "empty"
    raise ConfigError(f"{venue}: {name}: {file}: {why}")


def _check_private_key(venue: str, name: str, pem: str) -> None:
    """
    Raises:
        ConfigError: the venue takes no private key, or this is none it takes.
    """
    if venue in _SHARED_SECRETS:
        raise ConfigError(
            f"{venue}: {name} is a private key, and {venue} knows the secrets of its keys: "
            "make a system-generated (HMAC) key"
        )
    try:
        ed25519_base64(pem, b"")
    except ConfigError as error:
        raise ConfigError(f"{venue}: {name}: {error}") from None
