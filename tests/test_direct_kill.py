"""A kill at the venues themselves, without an engine, over real sockets on loopback."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import pytest

from hftmm.assembly import direct_kill, practice
from hftmm.assembly.rest_account import Door, RestAccount
from hftmm.config import Config, EngineConfig, MarketsConfig, PracticeConfig
from hftmm.core.errors import ConfigError
from hftmm.core.instrument import Kind, Listing, Side
from hftmm.core.order import OrderRequest, TimeInForce
from hftmm.desk.commands import Answer, Command, Kill, View
from hftmm.desk.snapshot import DeskSnapshot
from hftmm.sim.server import PracticeVenues
from hftmm.storage.latch import LatchFile
from hftmm.transport.http import HttpClient
from hftmm.transport.link import LinkServer

PATIENCE_S = 30.0
CONFIG = Config(
    engine=EngineConfig(installation="desk"),
    markets=MarketsConfig(symbols=("BTC/USDT:USDT", "BTC/USDT")),
    practice=PracticeConfig(lag_ms=(("binance", 0), ("bybit", 0), ("okx", 0))),
)


@dataclass
class Floor:
    """Practice venues that are served, an account at each, and what a kill said."""

    venues: PracticeVenues
    doors: dict[str, Door]
    accounts: dict[str, RestAccount]
    state: Path
    said: list[str] = field(default_factory=list)
    orders: int = 0

    def listing(self, venue: str, kind: Kind) -> Listing:
        return next(one for one in self.accounts[venue].listings.values() if one.kind is kind)

    async def order(
        self,
        venue: str,
        kind: Kind,
        *,
        side: Side = "buy",
        times: str = "0.97",
        size: str = "0.01",
        owner: str = "deskmm",
        time_in_force: TimeInForce = TimeInForce.GTC,
    ) -> None:
        """An order at a multiple of the price."""
        listing = self.listing(venue, kind)
        price = listing.price(self.price(venue, listing) * Decimal(times), side)
        self.orders += 1
        answer = await self.accounts[venue].place(
            OrderRequest(
                f"{owner}{self.orders:06}",
                listing,
                side,
                price,
                Decimal(size),
                time_in_force=time_in_force,
            )
        )
        assert answer.accepted, answer

    def price(self, venue: str, listing: Listing) -> Decimal:
        engine = self.venues.market.engines[venue, listing.kind, listing.venue_symbol]
        return engine.levels("sell")[0].ticks * engine.spec.tick

    async def open(self, venue: str) -> list[str]:
        return [order.client_id for order in await self.accounts[venue].open_orders()]

    async def held(self, venue: str) -> list[Decimal]:
        return [position.size for position in await self.accounts[venue].positions()]

    async def kill(self, *, flatten: bool = False, within_s: float = 10.0) -> bool:
        return await direct_kill.kill(
            CONFIG,
            self.doors,
            self.state,
            self.state / "engine.sock",
            self.said.append,
            flatten=flatten,
            within_s=within_s,
        )

    def line(self, venue: str) -> str:
        """What was said of a venue first."""
        return next(line for line in self.said if line.startswith(f"{venue}:"))


@asynccontextmanager
async def floor(state: Path, *names: str) -> AsyncIterator[Floor]:
    async with (
        asyncio.timeout(PATIENCE_S),
        PracticeVenues(CONFIG) as venues,
        HttpClient() as http,
    ):
        description = state / "described.json"
        description.write_text(json.dumps(venues.description))
        doors, shut = direct_kill.doors(CONFIG, description, {})
        assert not shut
        doors = {name: door for name, door in doors.items() if name in names} if names else doors
        accounts = {
            name: RestAccount(door, CONFIG.markets.symbols, http, time.time_ns)
            for name, door in doors.items()
        }
        for account in accounts.values():
            await account.open()
        yield Floor(venues, doors, accounts, state)


async def test_every_venue_is_canceled_by_rest_and_shows_zero(tmp_path: Path) -> None:
    async with floor(tmp_path) as desk:
        for venue in desk.doors:
            for kind in (Kind.SPOT, Kind.LINEAR):
                await desk.order(venue, kind)
                await desk.order(venue, kind, times="0.96")
            assert len(await desk.open(venue)) == 4
        assert await desk.kill()
        for venue in desk.doors:
            assert await desk.open(venue) == []
            assert ": " in desk.line(venue)
            assert "acked, zero at " in desk.line(venue)


async def test_where_a_venue_clears_by_id_alone_orders_of_others_stay(tmp_path: Path) -> None:
    async with floor(tmp_path, "okx") as desk:
        await desk.order("okx", Kind.LINEAR)
        await desk.order("okx", Kind.LINEAR, owner="stranger")
        assert await desk.kill()
        (left,) = await desk.open("okx")
        assert left.startswith("stranger")
        assert desk.line("okx").startswith("okx: 1 sent, 1 acked, zero at ")


@pytest.mark.parametrize(
    ("side", "times", "held"), [("buy", "1.01", "0.01"), ("sell", "0.99", "-0.01")]
)
@pytest.mark.parametrize("venue", ["binance", "bybit", "okx"])
async def test_flattening_closes_perpetuals_on_either_side(
    tmp_path: Path, venue: str, side: Side, times: str, held: str
) -> None:
    async with floor(tmp_path, venue) as desk:
        take = TimeInForce.IOC
        await desk.order(venue, Kind.LINEAR, side=side, times=times, time_in_force=take)
        assert await desk.kill()
        assert desk.said[-1].endswith(f", holds BTC/USDT:USDT {Decimal(held):+}")
        assert await desk.held(venue) == [Decimal(held)]
        assert await desk.kill(flatten=True)
        assert desk.said[-1] == f"{venue}: no perpetual is held"
        assert await desk.held(venue) == []


async def test_a_venue_that_is_down_is_named_and_does_not_keep_the_others(tmp_path: Path) -> None:
    async with floor(tmp_path) as desk:
        for venue in desk.doors:
            await desk.order(venue, Kind.SPOT)
        assert desk.venues.switch("bybit", "refuse").accepted
        assert not await desk.kill(within_s=2.0)
        assert await desk.open("binance") == []
        assert await desk.open("okx") == []
        assert desk.line("bybit").startswith("bybit: 0 sent, 0 acked, not zero: ")
        assert desk.venues.switch("bybit", "none").accepted
        assert len(await desk.open("bybit")) == 1
        assert await desk.kill()
        assert await desk.open("bybit") == []


@pytest.mark.parametrize("fault", ["lost_ack", "unknown", "throttle", "order_throttle"])
@pytest.mark.parametrize("venue", ["binance", "bybit", "okx"])
async def test_answers_that_are_lost_or_refused_for_their_number_are_tried_again(
    tmp_path: Path, venue: str, fault: str
) -> None:
    async with floor(tmp_path, venue) as desk:
        await desk.order(venue, Kind.LINEAR)
        await desk.order(venue, Kind.LINEAR, times="0.95")
        assert desk.venues.switch(venue, fault).accepted
        killing = asyncio.create_task(desk.kill(within_s=20.0))
        asyncio.get_running_loop().call_later(1.0, desk.venues.switch, venue, "none")
        assert await killing
        assert await desk.open(venue) == []


async def test_the_latch_is_left_for_the_engine_and_names_its_mode(tmp_path: Path) -> None:
    async with floor(tmp_path, "okx") as desk:
        assert await desk.kill()
    latch = LatchFile(tmp_path, "sim")
    assert latch.reason == "hftmm kill --direct"
    assert LatchFile(tmp_path, "live").reason == ""
    latch.release()
    assert latch.reason == ""


async def test_an_engine_that_listens_is_told_and_one_that_hangs_is_not_waited_for(
    tmp_path: Path,
) -> None:
    heard: list[Command] = []

    def picture(view: View) -> DeskSnapshot | None:
        return None

    def asked(viewer: int, command: Command) -> Answer:
        heard.append(command)
        return Answer(True, "killed: on its way")

    async with floor(tmp_path, "okx") as desk:
        server = LinkServer(tmp_path / "engine.sock", picture, asked)
        await server.start()
        try:
            assert await desk.kill(flatten=True)
        finally:
            await server.close()
        assert heard == [Kill("hftmm kill --direct", flatten=True)]
        assert "engine: killed: on its way" in desk.said
        with socket.socket(socket.AF_UNIX) as hangs:
            # As a stopped process leaves it: the system takes the connection, nobody answers.
            hangs.bind(str(tmp_path / "engine.sock"))
            hangs.listen()
            assert await desk.kill()
        assert "engine: no answer within 0.5 s" in desk.said


# ---- where to kill --------------------------------------------------------------------------


def test_the_venues_an_engine_left_word_of_are_found_without_its_keys(tmp_path: Path) -> None:
    hosts = {
        "okx": {
            "rest": "http://127.0.0.1:1",
            "public": "ws://127.0.0.1:1/a",
            "private": "ws://127.0.0.1:1/b",
            "business": "ws://127.0.0.1:1/c",
        }
    }
    practice.write_venues(tmp_path, "sim", hosts)
    file = tmp_path / "venues.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert "practice" not in file.read_text()
    assert practice.read_venues(tmp_path) == ("sim", hosts)
    config = replace(CONFIG, engine=EngineConfig(state_dir=str(tmp_path)))
    doors, shut = direct_kill.doors(config, None, {})
    assert list(doors) == ["okx"]
    assert not shut


def test_without_word_of_practice_venues_it_says_what_to_name(tmp_path: Path) -> None:
    config = replace(CONFIG, engine=EngineConfig(state_dir=str(tmp_path)))
    with pytest.raises(ConfigError, match="name them by --venues, or another --mode"):
        direct_kill.doors(config, None, {})
    assert practice.read_venues(tmp_path) is None


def test_half_a_key_of_one_venue_does_not_keep_the_kill_from_another() -> None:
    config = replace(CONFIG, engine=EngineConfig(mode="live"))
    environ = {
        "HFTMM_BYBIT_KEY": "k",
        "HFTMM_BYBIT_SECRET": "s",
        "HFTMM_BINANCE_KEY": "k",
    }
    doors, shut = direct_kill.doors(config, None, environ)
    assert list(doors) == ["bybit"]
    assert len(shut) == 1
    assert "HFTMM_BINANCE_SECRET" in shut[0]
    with pytest.raises(ConfigError, match="there is no key of any venue"):
        direct_kill.doors(config, None, {})
