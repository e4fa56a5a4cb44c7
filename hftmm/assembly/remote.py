"""Commands for an engine that runs, from another shell: whatever a key does, one of them does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Annotated, Final, Literal

from cyclopts import App, Group, Parameter

from hftmm.assembly.choice import Choice
from hftmm.assembly.options import ConfigFile, Socket, socket_at
from hftmm.assembly.output import CLEAN, FAILED, complain, say
from hftmm.core.errors import ConfigError
from hftmm.desk import commands
from hftmm.desk.commands import Command

STRATEGIES: Final = {
    "cross mm": "cross mm",
    "mm": "cross mm",
    "market making": "cross mm",
    "arbitrage": "arbitrage",
    "hedger": "hedger",
    "hedging": "hedger",
}
"""What a strategy may be called; any beginning will do that leaves no doubt."""

Venue = Annotated[str, Parameter(help="binance, bybit, okx, or another that is configured.")]
OnOff = Literal["on", "off"]


def told(command: Command, socket: Socket, config: ConfigFile) -> int:
    """Gives an engine a command and prints its one line of answer; 1 if it refuses.

    Raises:
        Unavailable: no engine answers.
    """
    from hftmm.transport.link import ask

    settings = Choice(config).load()
    answer = asyncio.run(ask(socket_at(settings, socket), command))
    if not answer.accepted:
        complain(answer.text)
        return FAILED
    say(answer.text)
    return CLEAN


def strategy(
    name: Annotated[
        str,
        Parameter(help="cross mm (or mm), arbitrage, hedger; a beginning will do. Or a code."),
    ],
    switch: Annotated[OnOff, Parameter(help="Off cancels what it has open.")],
    /,
    *,
    socket: Socket = None,
    config: ConfigFile = None,
) -> int:
    """Switches a strategy of a running engine on or off."""
    begun = " ".join(name.lower().replace("-", " ").replace("_", " ").split())
    meant = {known for alias, known in STRATEGIES.items() if begun and alias.startswith(begun)}
    if len(meant) != 1:
        from hftmm.strategy.registry import codes

        if name in (others := codes()):
            return told(commands.Toggle(name, switch == "on"), socket, config)
        known = ", ".join(dict.fromkeys([*STRATEGIES.values(), *others]))
        raise ConfigError(f"strategy: {name!r} is not one strategy, allowed: {known}")
    return told(commands.Toggle(meant.pop(), switch == "on"), socket, config)


def halt(venue: Venue, /, *, socket: Socket = None, config: ConfigFile = None) -> int:
    """Halts a venue: its orders are canceled, and only what reduces passes until it is resumed."""
    return told(commands.Halt(venue), socket, config)


def resume(venue: Venue, /, *, socket: Socket = None, config: ConfigFile = None) -> int:
    """Ends the halt of a venue."""
    return told(commands.Resume(venue), socket, config)


def rearm(
    word: Annotated[str, Parameter(help="ARM.")] = "",
    /,
    *,
    socket: Socket = None,
    config: ConfigFile = None,
) -> int:
    """Ends a kill, once every venue shows zero: `hftmm rearm ARM`. Strategies stay off."""
    return told(commands.Rearm(word), socket, config)


def order(
    venue: Venue,
    market: Annotated[str, Parameter(help="BASE/QUOTE, or BASE/QUOTE:SETTLE for a perpetual.")],
    side: Annotated[Literal["buy", "sell"], Parameter(help="What is done with the base coin.")],
    size: Annotated[str, Parameter(help="Base coins, on the venue's grid.")],
    price: Annotated[str, Parameter(help="Quote per base coin, on the venue's grid.")],
    /,
    *,
    tif: Annotated[
        Literal["post-only", "gtc", "ioc"],
        Parameter(help="post-only never takes, gtc rests what it cannot take, ioc never rests."),
    ] = "post-only",
    reduce_only: Annotated[
        bool, Parameter(help="It may only take a position towards zero.")
    ] = False,
    socket: Socket = None,
    config: ConfigFile = None,
) -> int:
    """Places an order by hand; it passes every rule that a strategy's passes."""
    for word in (size, price):
        if not _is_amount(word):
            raise ConfigError(f"order: {word!r} is not a number above 0")
    wanted = commands.Place(venue, market, side, price, size, tif, reduce_only)
    return told(wanted, socket, config)


def cancel(
    client_id: Annotated[str, Parameter(help="Its client id, as the orders pane shows it.")] = "",
    /,
    *,
    venue: Annotated[str, Parameter(help="Every order of ours at this venue.")] = "",
    everything: Annotated[
        bool, Parameter(name="--all", help="Every order of ours at every venue.")
    ] = False,
    socket: Socket = None,
    config: ConfigFile = None,
) -> int:
    """Cancels one order, those of a venue, or all; strategies stay on and may place others."""
    if sum(map(bool, (client_id, venue, everything))) != 1:
        raise ConfigError("cancel: one of a client id, --venue VENUE and --all")
    wanted = commands.Cancel(client_id) if client_id else commands.CancelAll(venue)
    return told(wanted, socket, config)


def set_(
    key: Annotated[str, Parameter(help="As in config.toml: market_making.order_size.")],
    value: Annotated[str, Parameter(help="As written there; a text may leave out its quotes.")],
    /,
    *,
    socket: Socket = None,
    config: ConfigFile = None,
) -> int:
    """Changes a parameter of a running engine, until its next start."""
    return told(commands.Set(key, value), socket, config)


def parameters(*, socket: Socket = None, config: ConfigFile = None) -> int:
    """Prints what `hftmm set` can change: KEY = VALUE, and what is allowed."""
    from hftmm.transport.link import look

    settings = Choice(config).load()
    shown = asyncio.run(look(socket_at(settings, socket))).parameters
    width = max((len(f"{each.key} = {each.value}") for each in shown), default=0)
    for each in shown:
        say(f"{f'{each.key} = {each.value}':{width}}  # {each.allowed}")
    return CLEAN


def accept(venue: Venue, /, *, socket: Socket = None, config: ConfigFile = None) -> int:
    """Takes a venue's word on every difference between its books and ours."""
    return told(commands.Accept(venue), socket, config)


def fault(
    venue: Venue,
    name: Annotated[str, Parameter(help="A fault of the practice venues; none ends them all.")],
    /,
    *,
    socket: Socket = None,
    config: ConfigFile = None,
) -> int:
    """Switches a fault of a practice venue, to see what the engine makes of it."""
    return told(commands.Practice(venue, name), socket, config)


def stop(*, socket: Socket = None, config: ConfigFile = None) -> int:
    """Ends a running engine in good order: everything is canceled, and seen to be gone."""
    return told(commands.Stop("hftmm stop"), socket, config)


COMMANDS: Final[dict[str, Callable[..., int]]] = {
    "strategy": strategy,
    "halt": halt,
    "resume": resume,
    "rearm": rearm,
    "order": order,
    "cancel": cancel,
    "set": set_,
    "parameters": parameters,
    "accept": accept,
    "fault": fault,
    "stop": stop,
}


def register(app: App) -> None:
    """Adds them to a command line."""
    group = Group("A running engine")
    for name, command in COMMANDS.items():
        app.command(command, name=name, group=group)


def _is_amount(word: str) -> bool:
    try:
        return Decimal(word).is_finite() and Decimal(word) > 0
    except InvalidOperation:
        return False
