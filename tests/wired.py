"""A whole engine on served practice venues, all in one event loop: for tests of how they fit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from hftmm.assembly import practice
from hftmm.config import Config
from hftmm.desk.commands import Answer, Command, View
from hftmm.desk.snapshot import LogRow
from hftmm.engine.engine import Engine
from hftmm.engine.licence import Licence
from hftmm.engine.trading import Trading
from hftmm.sim.ledger import DEMO
from hftmm.sim.server import PEERS, PeerFactory, PracticeVenues
from hftmm.storage.journal import Journal
from hftmm.transport.driver import Driver
from hftmm.venues import registry
from hftmm.venues.private import Credentials

PATIENCE_S = 30.0
KEY = Credentials(DEMO.key, DEMO.secret, DEMO.passphrase)


@dataclass
class Wired:
    """An engine that runs, and the venues that it runs on."""

    driver: Driver
    venues: PracticeVenues
    journal: Journal

    @property
    def engine(self) -> Engine:
        return self.driver.engine

    @property
    def trading(self) -> Trading:
        assert self.engine.trading is not None
        return self.engine.trading

    async def until(self, condition: Callable[[], object]) -> None:
        """Waits for something to be so, and fails if it never is."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110  # an engine is looked at, and calls nobody
                await asyncio.sleep(0.01)

    async def armed(self) -> None:
        """Waits until it may trade, and has a book of every venue to trade on."""
        await self.until(lambda: self.engine.state == "ARMED")
        members = [each for market in self.engine.markets.values() for each in market.members]
        await self.until(lambda: all(each.eligible for each in members))

    def tell(self, command: Command) -> Answer:
        return self.driver.command(command)

    def log(self, venue: str, level: str = "error") -> list[str]:
        """Lines of a venue on the screen."""
        rows: tuple[LogRow, ...] = self.driver.picture(View()).log
        return [row.text for row in rows if (row.source, row.level) == (venue, level)]


@asynccontextmanager
async def wired(
    config: Config,
    journal: Path,
    *,
    keys: Mapping[str, Credentials] | None = None,
    peers: Mapping[str, PeerFactory] | None = None,
) -> AsyncIterator[Wired]:
    """Starts it all, and ends it.

    Args:
        journal: file of the journal.
        keys: by venue, in place of the good ones.
        peers: venues in place of the usual ones.
    """
    async with PracticeVenues(config, peers={**PEERS, **(peers or {})}) as venues:
        found = practice.described(json.dumps(venues.description).encode())
        codecs = registry.codecs(config)
        private = registry.private_codecs(config, codecs)
        hosts = practice.hosts(config, codecs, found)
        with Journal(journal) as records:
            credentials = {**dict.fromkeys(private, KEY), **(keys or {})}
            licence = Licence(private, credentials, hosts, records, records.resume())
            engine = Engine(config, codecs, hosts, lambda: 0.5, licence)
            driver = Driver(engine)
            running = asyncio.create_task(driver.run())
            wired = Wired(driver, venues, records)
            try:
                await wired.until(lambda: engine.trading is not None or running.done())
                yield wired
            finally:
                driver.stopping.set()
                await running
