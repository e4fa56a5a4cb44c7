"""The practice Binance as `hftmm venues` serves it: orders over real sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import ClientSession

from hftmm.config import load
from hftmm.sim.binance import BinancePeer
from hftmm.sim.server import PracticeVenues
from tests.binance_floor import KEY, hmac_hex

DEADLINE_S = 20


@pytest.fixture
async def urls() -> AsyncIterator[dict[str, Any]]:
    async with PracticeVenues(load(None), peers={"binance": BinancePeer}) as venues:
        described: Any = venues.description["binance"]
        yield described


def signed(params: dict[str, object]) -> str:
    payload = urlencode({**params, "timestamp": time.time_ns() // 1_000_000})
    return f"{payload}&signature={hmac_hex(payload)}"


async def ask(client: ClientSession, method: str, url: str, params: dict[str, object]) -> Any:
    """The value of a signed request: query string for GET and DELETE, body for POST."""
    text = signed(params)
    headers = {"X-MBX-APIKEY": KEY}
    if method == "POST":
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        request = client.request(method, url, data=text, headers=headers)
    else:
        request = client.request(method, f"{url}?{text}", headers=headers)
    async with request as answer:
        assert "X-MBX-USED-WEIGHT-1M" in answer.headers
        value = await answer.json()
        assert answer.status == 200, value
        return value


async def test_a_spot_order_lives_over_real_sockets(urls: dict[str, Any]) -> None:
    spot = urls["spot"]
    async with (
        asyncio.timeout(DEADLINE_S),
        ClientSession() as client,
        client.ws_connect(spot["api"]) as socket,
    ):
        stamp = str(time.time_ns() // 1_000_000)
        payload = f"apiKey={KEY}&timestamp={stamp}"
        params = {"apiKey": KEY, "timestamp": stamp, "signature": hmac_hex(payload)}
        method = "userDataStream.subscribe.signature"
        await socket.send_json({"id": "s", "method": method, "params": params})
        assert (await socket.receive_json())["result"] == {"subscriptionId": 0}
        url = f"{spot['rest']}/api/v3/order"
        order: dict[str, object] = {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT_MAKER",
            "quantity": "0.001",
            "price": "60000",
        }
        placed = await ask(client, "POST", url, order)
        which = {"symbol": "BTCUSDT", "orderId": placed["orderId"]}
        assert (await ask(client, "GET", url, which))["status"] == "NEW"
        assert (await ask(client, "DELETE", url, which))["status"] == "CANCELED"
        states: list[str] = []
        while states[-1:] != ["CANCELED"]:
            event = (await socket.receive_json())["event"]
            if event["e"] == "executionReport":
                states.append(event["X"])
        assert states == ["NEW", "CANCELED"]


async def test_a_usd_m_order_lives_over_real_sockets(urls: dict[str, Any]) -> None:
    linear = urls["linear"]
    async with asyncio.timeout(DEADLINE_S), ClientSession() as client:
        rest = f"{linear['rest']}/fapi/v1"
        key_url = f"{rest}/listenKey"
        async with client.post(key_url, headers={"X-MBX-APIKEY": KEY}) as answer:
            listen_key = (await answer.json())["listenKey"]
        stream = f"{linear['stream']}/private/ws?listenKey={listen_key}"
        async with client.ws_connect(stream) as socket:
            order: dict[str, object] = {
                "symbol": "BTCUSDT",
                "side": "BUY",
                "type": "MARKET",
                "quantity": "0.001",
            }
            placed = await ask(client, "POST", f"{rest}/order", order)
            kinds: list[str] = []
            while kinds[-1:] != ["ACCOUNT_UPDATE"]:
                event = await socket.receive_json()
                kinds.append(event["e"])
            assert kinds == ["ORDER_TRADE_UPDATE", "TRADE_LITE", "ORDER_TRADE_UPDATE", kinds[-1]]
            which = {"symbol": "BTCUSDT", "orderId": placed["orderId"]}
            assert (await ask(client, "GET", f"{rest}/order", which))["status"] == "FILLED"
            risk = f"{linear['rest']}/fapi/v3/positionRisk"
            (position,) = await ask(client, "GET", risk, {})
            assert position["positionAmt"] == "0.001"
