"""What a viewer asks of an engine."""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class View(msgspec.Struct, frozen=True, tag="view"):
    """What this viewer looks at; each viewer has its own.

    Attributes:
        market: symbol; "" keeps the first of the config.
        group: price groups, in multiples of the finest grid of the market's listings, >= 1.
        rows: price groups wanted per side.
        net: True for prices after taker fees.
    """

    market: str = ""
    group: int = 1
    rows: int = 60
    net: bool = False


class Practice(msgspec.Struct, frozen=True, tag="practice"):
    """Switches a fault of a practice venue; refused in every mode but sim.

    Attributes:
        fault: a name of `hftmm.sim.faults`, or `none` to clear the venue.
    """

    venue: str
    fault: str


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """Ends the engine in good order."""

    reason: str


class Status(msgspec.Struct, frozen=True, tag="status"):
    """Asks for the line of status that a headless engine prints; it is the answer's text."""


Command: TypeAlias = View | Practice | Stop | Status


class Answer(msgspec.Struct, frozen=True):
    """What became of a command; a refusal says why in one line."""

    accepted: bool
    text: str
