"""What can be seen of the keys by which hftmm trades: quotes, hedges, shots, and what risk says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from unittest.mock import patch

from hftmm import cli
from hftmm.assembly import headless
from hftmm.assembly.ending import Ending
from hftmm.config import Config
from hftmm.engine.engine import Engine
from hftmm.engine.licence import Licence
from hftmm.risk.approval import Refused
from hftmm.sim.memory_journal import MemoryJournal
from hftmm.transport.driver import Driver
from hftmm.venues import registry
from tests import test_cross_exchange_mm as making
from tests import test_hedger as hedging
from tests.engines import NOON
from tests.hedging import HedgeFloor
from tests.orders import START, order_fill
from tests.risk_desk import Desk
from tests.shooting import Gallery
from tests.virtual_account import KEY

See = Callable[[Config, str], object]
"""What can be seen of a config; of the venue by that name, where the key is a venue's."""


def trades(config: Config) -> Engine:
    """An engine that would trade at every venue, and talks to none."""
    codecs = registry.codecs(config)
    private = registry.private_codecs(config, codecs)
    hosts = {name: codec.hosts("live") for name, codec in codecs.items()}
    journal = MemoryJournal()
    licence = Licence(private, dict.fromkeys(private, KEY), hosts, journal, journal.resume())
    engine = Engine(config, codecs, hosts, lambda: 0.0, licence)
    engine.start(NOON)
    return engine


# [engine]


def client_id(config: Config, _: str) -> str:
    trading = trades(config).trading
    assert trading is not None
    return trading.manager.ids.next("mm")


def outlives_its_terminal(config: Config, _: str) -> bool:
    """Whether an engine goes on that a terminal started, and that is gone."""
    endings: list[Ending] = []

    async def run_engine(*given: object) -> bool:
        endings.extend(each for each in given if isinstance(each, Ending))
        return True

    with (
        patch("hftmm.assembly.choice.Choice.load", lambda _: config),
        patch.object(headless, "run_engine", run_engine),
    ):
        cli.run(headless=True, child=True)
    return endings[0].outlives


def patience_at_the_end(config: Config, _: str) -> list[float]:
    """How long the driver waits for the venues to show that nothing stands."""
    waits: list[float] = []

    def timeout(seconds: float) -> object:
        waits.append(seconds)
        raise TimeoutError

    async def end() -> None:
        driver = Driver(trades(config))
        with patch("asyncio.timeout", timeout):
            await driver._wind_down()

    with suppress(TimeoutError):
        asyncio.run(end())
    return waits


# [market_making], [hedging], [arbitrage]


def quoted(name: str) -> See:
    """What market making sends, with this key of the config and the rest as in its own tests."""

    def see(config: Config, _: str) -> object:
        base = making.BASES.get(name, making.COMMON)
        changed = {name: getattr(config.market_making, name)}
        return making.KEYS[name].see(making.Trial(replace(base, **changed)))

    return see


def hedged(name: str) -> See:
    def see(config: Config, _: str) -> object:
        return hedging.CHANGES[name][1](HedgeFloor(config))

    return see


def shot_at(config: Config, _: str) -> object:
    """What arbitrage sends when two pairs of venues cross, why not more, and what it halts 300 ms
    later, for nothing is answered.
    """
    gallery = Gallery(config.arbitrage)
    for order in gallery.submitted:
        gallery.doubt(order)
    gallery.quote("bybit", [(9_980, 1.0)], [(9_985, 1.0)])
    untaken = [each.untaken for each in gallery.detector.live.values()]
    gallery.wait(300)
    sent = [(order.key, order.side, order.price) for order in gallery.submitted]
    return sent, untaken, gallery.halts


def on(see: See) -> See:
    """The same with arbitrage switched on."""
    return lambda config, venue: see(
        replace(config, arbitrage=replace(config.arbitrage, enabled=True)), venue
    )


def shots_in_a_second(config: Config, __: str) -> int:
    """How many orders a market leads to that stays crossed, none of them filled."""
    gallery = Gallery(config.arbitrage)
    for _ in range(10):
        for order in gallery.alive:
            gallery.end(order)
        gallery.wait(100)
        gallery.move()
    return len(gallery.submitted)


# [limits], and the limits of a venue


def verdicts(config: Config, venue: str) -> list[str]:
    """What risk says to a morning of orders at a venue, to many fills, and then to a loss."""
    desk = Desk()
    desk.risk.configure(config)
    at = venue or "okx"

    def ask(size: str, price: str, ms: int) -> str:
        verdict = desk.ask(desk.intent(size, "buy", price, venue=at), after_ms=ms)
        return str(verdict) if isinstance(verdict, Refused) else ""

    orders = (("0.2", "98", 0), ("0.02", "100.5", 2_000), ("0.01", "97", 4_000))
    said = [ask(*order) for order in (*orders, ("0.01", "97", 4_100))]
    order = desk.rest(desk.intent("0.4", "buy", "100", venue=at))
    said.append(ask("0.01", "96", 6_000))
    said += [desk.risk.filled("mm", order_fill(order, "0.01"), START) for _ in range(3)]
    desk.fill(order, "0.4")
    desk.mark("50")
    return said + [halt.why for halt in desk.risk.watch(START)]
