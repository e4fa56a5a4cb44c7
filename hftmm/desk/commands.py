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


class Place(msgspec.Struct, frozen=True, tag="place"):
    """An order by hand; it passes every rule that a strategy's passes.

    Attributes:
        market: symbol. side: `buy` or `sell`.
        price, size: decimal text, quote and base coins; they must be on the venue's grid.
        time_in_force: `post-only`, `gtc` or `ioc`.
        reduce_only: it may only take a position towards zero.
    """

    venue: str
    market: str
    side: str
    price: str
    size: str
    time_in_force: str = "post-only"
    reduce_only: bool = False


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    """Cancels one order of ours."""

    client_id: str


class CancelAll(msgspec.Struct, frozen=True, tag="cancel-all"):
    """Cancels every order of ours at a venue, or everywhere if it is "" ."""

    venue: str = ""


class Toggle(msgspec.Struct, frozen=True, tag="toggle"):
    """Switches a strategy on or off; off cancels what it has open.

    Attributes:
        strategy: its name, `cross mm`, `arbitrage`, `hedger`.
        on: None turns it over.
    """

    strategy: str
    on: bool | None = None


class Halt(msgspec.Struct, frozen=True, tag="halt"):
    """Halts a venue: its orders are canceled and only reducing ones pass, until `Resume`."""

    venue: str


class Resume(msgspec.Struct, frozen=True, tag="resume"):
    """Ends the halt of a venue."""

    venue: str


class Accept(msgspec.Struct, frozen=True, tag="accept"):
    """Takes a venue's word on every difference between its books and ours."""

    venue: str


class Kill(msgspec.Struct, frozen=True, tag="kill"):
    """Cancels everything everywhere, at once; nothing new leaves until `Rearm`.

    Attributes:
        flatten: then take every position to zero, within the slippage cap of the config.
    """

    reason: str
    flatten: bool = False


class Rearm(msgspec.Struct, frozen=True, tag="rearm"):
    """Ends a kill; `word` must be what the refusal of an empty one says."""

    word: str


class Set(msgspec.Struct, frozen=True, tag="set"):
    """Changes a parameter while running, until the next start.

    Attributes:
        key: as in config.toml, `market_making.order_size`. value: as written there.
    """

    key: str
    value: str


Command: TypeAlias = (
    View
    | Practice
    | Stop
    | Status
    | Place
    | Cancel
    | CancelAll
    | Toggle
    | Halt
    | Resume
    | Accept
    | Kill
    | Rearm
    | Set
)


class Answer(msgspec.Struct, frozen=True):
    """What became of a command; a refusal says why in one line."""

    accepted: bool
    text: str
