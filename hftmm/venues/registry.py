"""The venues there are: ours, and those of the entry-point group `hftmm.venues`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final, TypeAlias

from hftmm.config import Config, VenueConfig
from hftmm.core.errors import ConfigError
from hftmm.core.instrument import Kind, kind_of

if TYPE_CHECKING:
    from hftmm.venues.codec import VenueCodec
    from hftmm.venues.private import PrivateCodec

MakePrivate: TypeAlias = "Callable[[frozenset[Kind], bool, VenueConfig], PrivateCodec]"
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

    return OkxCodec(demo=config.engine.mode == "demo")


def _binance_private(kinds: frozenset[Kind], demo: bool, own: VenueConfig) -> PrivateCodec:
    from hftmm.venues.binance import BinancePrivateCodec

    # The demo does not tell what a key may do.
    return BinancePrivateCodec(kinds, restrictions=not demo)


def _bybit_private(kinds: frozenset[Kind], demo: bool, own: VenueConfig) -> PrivateCodec:
    from hftmm.venues.bybit import BybitPrivateCodec

    return BybitPrivateCodec(kinds, demo=demo, dead_man=own.dead_man)


def _okx_private(kinds: frozenset[Kind], demo: bool, own: VenueConfig) -> PrivateCodec:
    from hftmm.venues.okx import OkxPrivateCodec

    return OkxPrivateCodec(kinds, demo=demo)


OURS: Final[dict[str, MakeCodec]] = {"binance": _binance, "bybit": _bybit, "okx": _okx}
PRIVATE: Final[dict[str, MakePrivate]] = {
    "binance": _binance_private,
    "bybit": _bybit_private,
    "okx": _okx_private,
}


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


def private_codecs(config: Config, codecs: Mapping[str, VenueCodec]) -> dict[str, PrivateCodec]:
    """The private side of each of these venues that has one; the others can only be watched."""
    from hftmm.venues.private import Tradable

    kinds = frozenset(map(kind_of, config.markets.symbols))
    demo = config.engine.mode == "demo"
    found: dict[str, PrivateCodec] = {}
    for name, codec in codecs.items():
        own = config.venues[name]
        if name in PRIVATE:
            private = PRIVATE[name](kinds, demo, own)
        elif isinstance(codec, Tradable):
            private = codec.private_codec(kinds, demo=demo)
        else:
            continue
        if not own.dead_man:
            private.rules = {
                kind: replace(rules, dead_man_ns=(0, 0)) for kind, rules in private.rules.items()
            }
        found[name] = private
    return found


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
