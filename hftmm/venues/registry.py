"""The venues there are: ours, and those of the entry-point group `hftmm.venues`."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final, TypeAlias

from hftmm.config import Config, VenueConfig
from hftmm.core.errors import ConfigError

if TYPE_CHECKING:
    from hftmm.venues.codec import VenueCodec

MakeCodec: TypeAlias = "Callable[[Config, VenueConfig], VenueCodec]"

GROUP: Final = "hftmm.venues"


# Codecs are loaded when one is made: who only wants the names (a terminal) needs no numpy.
def _binance(config: Config, own: VenueConfig) -> VenueCodec:
    from hftmm.venues.binance import BinanceCodec

    return BinanceCodec(own.book_depth)


def _bybit(config: Config, own: VenueConfig) -> VenueCodec:
    from hftmm.venues.bybit import BybitCodec

    return BybitCodec("warn" if config.book.gap_policy == "warn" else "strict")


def _okx(config: Config, own: VenueConfig) -> VenueCodec:
    from hftmm.venues.okx import OkxCodec

    return OkxCodec()


OURS: Final[dict[str, MakeCodec]] = {"binance": _binance, "bybit": _bybit, "okx": _okx}


def names() -> tuple[str, ...]:
    """Ours first, then those that other packages registered."""
    others = sorted({entry.name for entry in entry_points(group=GROUP)} - OURS.keys())
    return (*OURS, *others)


def codecs(config: Config) -> dict[str, VenueCodec]:
    """The codec of every enabled venue, in the order of the config.

    Raises:
        ConfigError: a registered venue cannot be loaded.
    """
    return {name: codec(name, config, own) for name, own in config.venues.items() if own.enabled}


def codec(name: str, config: Config, own: VenueConfig) -> VenueCodec:
    """One venue's codec.

    Raises:
        ConfigError: a registered venue cannot be loaded.
    """
    make = OURS.get(name)
    if make is not None:
        return make(config, own)
    for entry in entry_points(group=GROUP):
        if entry.name == name:
            try:
                registered: MakeCodec = entry.load()
                return registered(config, own)
            except Exception as error:
                # Someone else's code: whatever it raises, the operator needs to know whose.
                raise ConfigError(
                    f"venue {name} ({entry.value}) cannot be loaded: {error}"
                ) from error
    raise ConfigError(f"venue {name} is not registered: one of {', '.join(names())}")
