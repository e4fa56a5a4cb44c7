"""What the check says of practice venues that are well, and of such that are not."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping

import pytest

from hftmm.assembly import practice
from hftmm.config import Config, MarketsConfig, PracticeConfig
from hftmm.sim.server import PracticeVenues
from hftmm.transport.check import Venue, check
from hftmm.venues import registry
from tests.engines import PERP, SPOT

CONFIG = Config(
    markets=MarketsConfig(symbols=(PERP, SPOT)),
    practice=PracticeConfig(lag_ms=(("binance", 0), ("bybit", 0), ("okx", 0))),
)
PATIENCE_S = 20.0
VENUES = ("binance", "bybit", "okx")


async def checked(
    name: str, *symbols: str, fault: str = "", hosts: Mapping[str, str] | None = None
) -> list[tuple[str, bool]]:
    """What the check says of one practice venue.

    Args:
        hosts: base URLs in place of the venue's own.
    """
    async with asyncio.timeout(PATIENCE_S), PracticeVenues(CONFIG) as venues:
        if fault:
            assert venues.switch(name, fault).accepted
        found = practice.described(json.dumps(venues.description).encode())
        venue = Venue(
            registry.codec(name, CONFIG, CONFIG.venues[name]),
            {**found.hosts[name], **(hosts or {})},
        )
        return [line async for line in check(venue, symbols or (PERP, SPOT))]


def line(said: list[tuple[str, bool]], pattern: str) -> bool:
    """Whether the one line of this pattern is fine."""
    (good,) = [good for text, good in said if re.search(pattern, text)]
    return good


@pytest.mark.parametrize("name", VENUES)
async def test_a_venue_that_is_well_is_fine_in_every_line(name: str) -> None:
    said = await checked(name)
    assert [good for _, good in said] == [True] * len(said)
    assert line(said, r"^clock offset [+-]\d+\.\d ms, round trip \d+\.\d ms$")
    assert line(said, "^BTC/USDT is live$")
    assert line(said, "^BTC/USDT:USDT is live$")
    routes = [text.split()[0] for text, _ in said if "stream answers" in text]
    assert (
        routes
        == {
            "binance": ["spot.public", "linear.public", "linear.market"],
            "bybit": ["spot.public", "linear.public"],
            "okx": ["public"],
        }[name]
    )


@pytest.mark.parametrize("name", VENUES)
async def test_a_wrong_clock_comes_with_what_to_do(name: str) -> None:
    said = await checked(name, fault="skew")
    assert not line(said, r"^clock offset \+(49|50)\d\d\.\d ms,.* set this machine's clock \(NTP\)")
    assert line(said, "^BTC/USDT is live$")


@pytest.mark.parametrize("name", VENUES)
async def test_a_symbol_that_is_not_listed_is_named(name: str) -> None:
    said = await checked(name, PERP, "DOGE/USDT")
    assert not line(said, "^DOGE/USDT is not listed: take it out of markets.symbols$")
    assert line(said, "^BTC/USDT:USDT is live$")


@pytest.mark.parametrize("name", VENUES)
async def test_a_venue_that_refuses_is_told_in_its_own_words(name: str) -> None:
    said = await checked(name, fault="throttle")
    text, good = said[0]
    assert not good
    assert re.search(r"\d+:? Too many (requests|visits)", text, re.IGNORECASE)
    # Its streams are looked at all the same.
    assert [good for text, good in said if "stream answers" in text] == [True] * (len(said) - 1)


async def test_a_host_that_is_not_there_is_named() -> None:
    said = await checked("okx", hosts={"public": "ws://127.0.0.1:9"})
    assert not line(said, "^public: ws://127.0.0.1:9: connection refused$")
    said = await checked("okx", hosts={"rest": "http://127.0.0.1:9"})
    assert said[0] == ("http://127.0.0.1:9: connection refused", False)
    assert line(said, "public stream answers")


async def test_what_is_no_venue_is_told() -> None:
    async def strange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(strange, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        hosts = {"rest": f"http://127.0.0.1:{port}", "public": f"ws://127.0.0.1:{port}"}
        said = await checked("okx", hosts=hosts)
    assert [good for _, good in said] == [False, False]
    assert "WebSocket" in said[1][0]
