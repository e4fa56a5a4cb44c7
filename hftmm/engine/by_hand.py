"""What an operator asks of what trades, done and answered in words."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import cast

from hftmm.core.errors import ConfigError
from hftmm.core.instrument import Listing, Side
from hftmm.core.order import OrderIntent, TimeInForce
from hftmm.desk import commands
from hftmm.desk.commands import Answer
from hftmm.engine import parameters
from hftmm.engine.engine import Engine
from hftmm.engine.trading import Trading
from hftmm.execution.order import Order
from hftmm.strategy.base import BY_HAND

_KINDS = {
    "post-only": (TimeInForce.GTC, True),
    "gtc": (TimeInForce.GTC, False),
    "ioc": (TimeInForce.IOC, False),
}


def carry_out(engine: Engine, command: commands.Command, now_ns: int) -> Answer:
    """Does it, and sends what comes of it; a refusal says why in one line."""
    if isinstance(command, commands.Set):
        return _set(engine, command, now_ns)
    trading = engine.trading
    if trading is None:
        return Answer(False, "this engine watches and does not trade")
    answer = _carry_out(trading, command, now_ns)
    trading.act(now_ns)
    return answer


def _set(engine: Engine, wanted: commands.Set, now_ns: int) -> Answer:
    try:
        config = parameters.changed(engine.config, wanted.key, wanted.value)
    except ConfigError as error:
        return Answer(False, str(error))
    engine.configure(config, now_ns)
    return Answer(True, f"{wanted.key} = {wanted.value.strip()}")


def _carry_out(trading: Trading, command: commands.Command, now_ns: int) -> Answer:
    match command:
        case commands.Kill(reason, flatten):
            return Answer(True, trading.stop_all(reason, now_ns, flatten=flatten))
        case commands.Rearm(word):
            refusal = trading.kill.rearm(word, now_ns)
            return Answer(not refusal, refusal or "armed again")
        case commands.Place():
            return _place(trading, command, now_ns)
        case commands.Cancel(client_id):
            order = trading.order(client_id)
            if order is None or not trading.cancel(client_id, now_ns):
                state = "not ours" if order is None else str(order.state)
                return Answer(False, f"{client_id} is {state}")
            return Answer(True, f"canceling {client_id}")
        case commands.CancelAll(venue):
            if venue and venue not in trading.accounts:
                return _unknown(trading, venue)
            venues = [venue] if venue else list(trading.accounts)
            count = sum(trading.manager.cancel_all(each, now_ns) for each in venues)
            return Answer(True, f"canceling {count} orders at {', '.join(venues)}")
        case commands.Toggle(name, on):
            return _toggle(trading, name, on, now_ns)
        case commands.Halt(venue):
            if venue not in trading.accounts:
                return _unknown(trading, venue)
            trading.halt(venue, "by hand", now_ns)
            return Answer(True, f"{venue} halted")
        case commands.Resume(venue):
            if venue not in trading.risk.halted:
                return Answer(False, f"{venue} is not halted")
            refusal = trading.kill.resume(venue, now_ns)
            return Answer(not refusal, refusal or f"{venue} resumed")
        case commands.Accept(venue):
            if venue not in trading.started:
                return _unknown(trading, venue)
            words = trading.accounts[venue].accept(now_ns)
            if not words:
                return Answer(False, f"{venue}: there is nothing to accept")
            return Answer(True, f"accepted {'; '.join(words)}")
        case _:
            return Answer(False, f"{type(command).__name__} is not for what trades")


def _place(trading: Trading, wanted: commands.Place, now_ns: int) -> Answer:
    listing = _listing(trading, wanted.venue, wanted.market)
    if listing is None:
        return Answer(False, f"{wanted.market} is not traded at {wanted.venue}")
    if wanted.side not in {"buy", "sell"}:
        return Answer(False, f"side {wanted.side!r}: buy or sell")
    if wanted.time_in_force not in _KINDS:
        return Answer(False, f"{wanted.time_in_force!r}: one of {', '.join(_KINDS)}")
    try:
        price, size = Decimal(wanted.price), Decimal(wanted.size)
    except InvalidOperation:
        return Answer(False, f"price {wanted.price!r}, size {wanted.size!r}: two numbers")
    time_in_force, post_only = _KINDS[wanted.time_in_force]
    intent = OrderIntent(
        BY_HAND,
        listing,
        cast("Side", wanted.side),
        price,
        size,
        post_only=post_only,
        time_in_force=time_in_force,
        reduce_only=wanted.reduce_only,
    )
    placed = trading.submit(intent, now_ns)
    if not isinstance(placed, Order):
        return Answer(False, str(placed))
    words = f"{wanted.side} {size:f} @ {price:f} {wanted.venue} {wanted.market}"
    return Answer(True, f"sent {placed.client_id}: {words}")


def _toggle(trading: Trading, name: str, on: bool | None, now_ns: int) -> Answer:
    known = {strategy.name: strategy for strategy in trading.strategies}
    strategy = known.get(name) or trading.others.get(name)
    if strategy is None:
        return Answer(False, f"no strategy {name!r}: one of {', '.join(known)}")
    wanted = not strategy.on if on is None else on
    if wanted and trading.kill.killed:
        return Answer(False, f"{name} stays off while everything is killed: re-arm first")
    if wanted:
        trading.risk.enable(strategy.code)
    strategy.switch(wanted, "by hand", now_ns)
    return Answer(True, f"{name} {'on' if wanted else 'off'}")


def _listing(trading: Trading, venue: str, market: str) -> Listing | None:
    known = trading.markets.get(market)
    members = () if known is None else known.members
    found = (member.book.listing for member in members if member.venue == venue)
    return next(found, None)


def _unknown(trading: Trading, venue: str) -> Answer:
    return Answer(False, f"no account at {venue!r}: one of {', '.join(trading.accounts) or 'none'}")
