"""Unmodified clients from PyPI trade on the practice Binance, spot and USD-M."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from decimal import Decimal
from typing import Any, TypeVar

import ccxt
import ccxt.pro
import pytest
from binance import AsyncClient, BinanceSocketManager
from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_sdk_derivatives_trading_usds_futures import derivatives_trading_usds_futures as usds
from binance_sdk_derivatives_trading_usds_futures.rest_api import models as usds_models
from binance_sdk_spot import spot
from binance_sdk_spot.rest_api import models as spot_models

DEADLINE_S = 30
T = TypeVar("T")


async def soon(awaited: Awaitable[T]) -> T:
    """What is awaited, within the deadline."""
    return await asyncio.wait_for(awaited, DEADLINE_S)


def far_bid(best: float) -> float:
    """A price a whole number of any tick, well below the market."""
    return round(best * 0.97, 0)


# --- ccxt and ccxt.pro ----------------------------------------------------------------------


def _ccxt(venues: dict[str, Any], name: str) -> Any:
    spot_urls, linear = venues["binance"]["spot"], venues["binance"]["linear"]
    return getattr(ccxt.pro, name)(
        {
            "apiKey": venues["credentials"]["key"],
            "secret": venues["credentials"]["secret"],
            "options": {
                "fetchMarkets": {"types": ["spot"] if name == "binance" else ["linear"]},
            },
            "urls": {
                "api": {
                    "public": f"{spot_urls['rest']}/api/v3",
                    "private": f"{spot_urls['rest']}/api/v3",
                    "sapi": f"{spot_urls['rest']}/sapi/v1",
                    "fapiPublic": f"{linear['rest']}/fapi/v1",
                    "fapiPublicV2": f"{linear['rest']}/fapi/v2",
                    "fapiPublicV3": f"{linear['rest']}/fapi/v3",
                    "fapiPrivate": f"{linear['rest']}/fapi/v1",
                    "fapiPrivateV2": f"{linear['rest']}/fapi/v2",
                    "fapiPrivateV3": f"{linear['rest']}/fapi/v3",
                    "ws": {
                        "spot": f"{spot_urls['stream']}/ws",
                        "linear": f"{linear['stream']}/ws",
                        "ws-api": {"spot": spot_urls["api"], "linear": linear["api"]},
                    },
                }
            },
        }
    )


@pytest.fixture(params=["binance", "binanceusdm"])
async def ccxt_pro(request: pytest.FixtureRequest, venues: dict[str, Any]) -> AsyncIterator[Any]:
    client = _ccxt(venues, request.param)
    yield client
    await client.close()


async def test_ccxt_pro_trades_and_sees_its_fill(ccxt_pro: Any) -> None:
    client = ccxt_pro
    linear = client.id == "binanceusdm"
    symbol = "BTC/USDT:USDT" if linear else "BTC/USDT"
    markets = await soon(client.load_markets())
    assert markets[symbol]["precision"]["price"] == (0.1 if linear else 0.01)
    book = await soon(client.watch_order_book(symbol))
    assert book["bids"][0][0] < book["asks"][0][0]

    price = far_bid(book["bids"][0][0])
    watched = asyncio.create_task(client.watch_orders(symbol))
    # The stream tells nothing of what was placed before it was subscribed, and the client does not
    # say when it is: orders are placed until it tells of one.
    for _ in range(5):
        placed = await soon(
            client.create_order(symbol, "limit", "buy", 0.01, price, {"postOnly": True})
        )
        told, _ = await asyncio.wait({watched}, timeout=5)
        if told:
            break
        await soon(client.cancel_order(placed["id"], symbol))
    # Orders come one by one or several at once.
    seen = await soon(watched)
    while seen[-1]["id"] != placed["id"]:
        seen = await soon(client.watch_orders(symbol))
    assert seen[-1]["status"] == "open"
    queried = await soon(client.fetch_order(placed["id"], symbol))
    assert (queried["status"], queried["price"], queried["amount"]) == ("open", price, 0.01)
    assert placed["id"] in [o["id"] for o in await soon(client.fetch_open_orders(symbol))]
    canceled = await soon(client.cancel_order(placed["id"], symbol))
    assert canceled["status"] == "canceled"
    with pytest.raises(ccxt.OrderNotFound):
        await soon(client.cancel_order(placed["id"], symbol))

    before = await soon(client.fetch_balance())
    limit = round(book["asks"][0][0] * 1.01, 1)
    taken = await soon(
        client.create_order(symbol, "limit", "buy", 0.01, limit, {"timeInForce": "IOC"})
    )
    filled: list[Any] = []
    while not [o for o in filled if o["id"] == taken["id"] and o["status"] == "closed"]:
        filled += await soon(client.watch_orders(symbol))
    mine = await soon(client.fetch_my_trades(symbol))
    assert sum(t["amount"] for t in mine if t["order"] == taken["id"]) == pytest.approx(0.01)
    after = await soon(client.fetch_balance())
    if linear:
        (position,) = await soon(client.fetch_positions([symbol]))
        assert position["contracts"] >= 0.01
        assert after["USDT"]["total"] < before["USDT"]["total"]
    else:
        # The fee is a thousandth of what was received.
        assert after["BTC"]["total"] - before["BTC"]["total"] == pytest.approx(0.00999)


async def test_ccxt_pro_sees_the_trades_it_made(ccxt_pro: Any) -> None:
    client = ccxt_pro
    symbol = "BTC/USDT:USDT" if client.id == "binanceusdm" else "BTC/USDT"
    await soon(client.load_markets())
    watched = asyncio.create_task(client.watch_my_trades(symbol))
    # The subscription stands once this answers: it shares the connection.
    await soon(client.watch_order_book(symbol))
    while not watched.done():
        await soon(client.create_order(symbol, "market", "buy", 0.01))
    (trade, *_) = await watched
    assert (trade["symbol"], trade["side"], trade["takerOrMaker"]) == (symbol, "buy", "taker")


async def test_ccxt_reports_a_post_only_order_that_would_take(ccxt_pro: Any) -> None:
    client = ccxt_pro
    symbol = "BTC/USDT:USDT" if client.id == "binanceusdm" else "BTC/USDT"
    await soon(client.load_markets())
    book = await soon(client.fetch_order_book(symbol))
    price = round(book["asks"][0][0] * 1.01, 1)
    with pytest.raises(ccxt.InvalidOrder, match=r"immediately match|as maker"):
        await soon(client.create_order(symbol, "limit", "buy", 0.01, price, {"postOnly": True}))


async def test_ccxt_pro_places_orders_over_the_websocket_api(ccxt_pro: Any) -> None:
    client = ccxt_pro
    symbol = "BTC/USDT:USDT" if client.id == "binanceusdm" else "BTC/USDT"
    await soon(client.load_markets())
    book = await soon(client.fetch_order_book(symbol))
    price = far_bid(book["bids"][0][0])
    placed = await soon(client.create_order_ws(symbol, "limit", "buy", 0.01, price))
    canceled = await soon(client.cancel_order_ws(placed["id"], symbol))
    assert canceled["status"] == "canceled"


# --- python-binance -------------------------------------------------------------------------


@pytest.fixture
async def python_binance(venues: dict[str, Any]) -> AsyncIterator[Any]:
    spot_urls, linear = venues["binance"]["spot"], venues["binance"]["linear"]

    class Client(AsyncClient):  # type: ignore[misc]  # it has no types
        API_URL = f"{spot_urls['rest']}/api"
        MARGIN_API_URL = f"{spot_urls['rest']}/sapi"
        FUTURES_URL = f"{linear['rest']}/fapi"
        WS_API_URL = spot_urls["api"]
        WS_FUTURES_URL = linear["api"]

    class Sockets(BinanceSocketManager):  # type: ignore[misc]  # it has no types
        STREAM_URL = f"{spot_urls['stream']}/"
        FSTREAM_URL = f"{linear['stream']}/"

    credentials = venues["credentials"]
    client = await soon(Client.create(credentials["key"], credentials["secret"]))
    yield client, Sockets(client)
    await client.close_connection()


async def test_python_binance_trades_spot_and_sees_its_fill(python_binance: Any) -> None:
    client, sockets = python_binance
    async with sockets.depth_socket("BTCUSDT", interval=100) as depth:
        assert (await soon(depth.recv()))["e"] == "depthUpdate"
    book = await soon(client.get_order_book(symbol="BTCUSDT"))
    bid, ask = float(book["bids"][0][0]), float(book["asks"][0][0])
    async with sockets.user_socket() as user:
        placed = await soon(
            client.create_order(
                symbol="BTCUSDT",
                side="BUY",
                type="LIMIT_MAKER",
                quantity="0.01",
                price=str(far_bid(bid)),
            )
        )
        order_id = placed["orderId"]
        queried = await soon(client.get_order(symbol="BTCUSDT", orderId=order_id))
        assert queried["status"] == "NEW"
        canceled = await soon(client.cancel_order(symbol="BTCUSDT", orderId=order_id))
        assert canceled["status"] == "CANCELED"
        taken = await soon(
            client.ws_create_order(
                symbol="BTCUSDT",
                side="BUY",
                type="LIMIT",
                timeInForce="IOC",
                quantity="0.01",
                price=str(round(ask * 1.01, 1)),
            )
        )
        event: dict[str, Any] = {}
        while not (event.get("i") == taken["orderId"] and event.get("X") == "FILLED"):
            event = await soon(user.recv())
            event = event.get("event", event)
    trades = await soon(client.get_my_trades(symbol="BTCUSDT", orderId=taken["orderId"]))
    assert sum(Decimal(trade["qty"]) for trade in trades) == Decimal("0.01")
    account = await soon(client.get_account())
    assert Decimal(next(b["free"] for b in account["balances"] if b["asset"] == "BTC")) > 20


async def test_python_binance_trades_usd_m_and_sees_its_fill(python_binance: Any) -> None:
    client, sockets = python_binance
    async with sockets.futures_depth_socket("BTCUSDT") as depth:
        assert (await soon(depth.recv()))["data"]["e"] == "depthUpdate"
    book = await soon(client.futures_order_book(symbol="BTCUSDT"))
    bid, ask = float(book["bids"][0][0]), float(book["asks"][0][0])
    async with sockets.futures_user_socket() as user:
        placed = await soon(
            client.futures_create_order(
                symbol="BTCUSDT",
                side="BUY",
                type="LIMIT",
                timeInForce="GTX",
                quantity="0.01",
                price=str(far_bid(bid)),
            )
        )
        order_id = placed["orderId"]
        queried = await soon(client.futures_get_order(symbol="BTCUSDT", orderId=order_id))
        assert queried["status"] == "NEW"
        canceled = await soon(client.futures_cancel_order(symbol="BTCUSDT", orderId=order_id))
        assert canceled["status"] == "CANCELED"
        taken = await soon(
            client.futures_create_order(
                symbol="BTCUSDT",
                side="BUY",
                type="LIMIT",
                timeInForce="IOC",
                quantity="0.01",
                price=str(round(ask * 1.01, 1)),
            )
        )
        detail: dict[str, Any] = {}
        while not (detail.get("i") == taken["orderId"] and detail.get("X") == "FILLED"):
            event = await soon(user.recv())
            detail = event["o"] if event["e"] == "ORDER_TRADE_UPDATE" else {}
    trades = await soon(client.futures_account_trades(symbol="BTCUSDT"))
    mine = [trade for trade in trades if trade["orderId"] == taken["orderId"]]
    assert sum(Decimal(trade["qty"]) for trade in mine) == Decimal("0.01")
    (position,) = await soon(client.futures_position_information(symbol="BTCUSDT"))
    assert Decimal(position["positionAmt"]) >= Decimal("0.01")
    assert (await soon(client.futures_account_balance()))[0]["asset"] == "USDT"


# --- the venue's own SDKs -------------------------------------------------------------------


async def test_the_spot_sdk_trades_and_sees_its_fill(venues: dict[str, Any]) -> None:
    urls, credentials = venues["binance"]["spot"], venues["credentials"]
    keys = {"api_key": credentials["key"], "api_secret": credentials["secret"]}
    client = spot.Spot(
        config_rest_api=ConfigurationRestAPI(base_path=urls["rest"], **keys),
        config_ws_api=ConfigurationWebSocketAPI(stream_url=urls["api"], **keys),
        config_ws_streams=ConfigurationWebSocketStreams(stream_url=urls["stream"]),
    )
    assert client.rest_api.exchange_info(symbol="BTCUSDT").data().symbols[0].symbol == "BTCUSDT"
    book = client.rest_api.depth("BTCUSDT").data()
    bid, ask = float(book.bids[0][0]), float(book.asks[0][0])

    streams = await soon(client.websocket_streams.create_connection())
    depth: asyncio.Queue[Any] = asyncio.Queue()
    stream = await soon(streams.diff_book_depth(symbol="btcusdt", update_speed="100ms"))
    stream.on("message", depth.put_nowait)
    assert (await soon(depth.get())).s == "BTCUSDT"
    await streams.close_connection()

    api = await soon(client.websocket_api.create_connection())
    user: asyncio.Queue[Any] = asyncio.Queue()
    subscribed = await soon(api.user_data_stream_subscribe_signature())
    subscribed.stream.on("message", user.put_nowait)
    placed = client.rest_api.new_order(
        symbol="BTCUSDT",
        side=spot_models.NewOrderSideEnum.BUY,
        type=spot_models.NewOrderTypeEnum.LIMIT_MAKER,
        quantity=0.01,
        price=far_bid(bid),
    ).data()
    queried = client.rest_api.get_order("BTCUSDT", order_id=placed.order_id).data()
    assert queried.status == "NEW"
    canceled = client.rest_api.delete_order("BTCUSDT", order_id=placed.order_id).data()
    assert canceled.status == "CANCELED"
    taken = client.rest_api.new_order(
        symbol="BTCUSDT",
        side=spot_models.NewOrderSideEnum.BUY,
        type=spot_models.NewOrderTypeEnum.LIMIT,
        time_in_force=spot_models.NewOrderTimeInForceEnum.IOC,
        quantity=0.01,
        price=round(ask * 1.01, 1),
    ).data()
    assert taken.status == "FILLED"
    event: Any = await soon(user.get())
    while _field(event, "i") != taken.order_id or _field(event, "X") != "FILLED":
        event = await soon(user.get())
    await api.close_connection()
    trades = client.rest_api.my_trades("BTCUSDT", order_id=taken.order_id).data()
    assert sum(Decimal(trade.qty) for trade in trades) == Decimal("0.01")
    balances = client.rest_api.get_account().data().balances
    assert Decimal(next(b.free for b in balances if b.asset == "BTC")) > 20


async def test_the_usd_m_sdk_trades_and_sees_its_fill(venues: dict[str, Any]) -> None:
    urls, credentials = venues["binance"]["linear"], venues["credentials"]
    keys = {"api_key": credentials["key"], "api_secret": credentials["secret"]}
    client = usds.DerivativesTradingUsdsFutures(
        config_rest_api=ConfigurationRestAPI(base_path=urls["rest"], **keys),
        config_ws_api=ConfigurationWebSocketAPI(stream_url=urls["api"], **keys),
        config_ws_streams=ConfigurationWebSocketStreams(stream_url=urls["stream"]),
    )
    rest = client.rest_api
    assert "BTCUSDT" in [s.symbol for s in rest.exchange_information().data().symbols]
    book = rest.order_book("BTCUSDT").data()
    bid, ask = float(book.bids[0][0]), float(book.asks[0][0])

    streams = await soon(client.websocket_streams.create_connection())
    depth: asyncio.Queue[Any] = asyncio.Queue()
    stream = await soon(streams.diff_book_depth_streams(symbol="btcusdt", update_speed="100ms"))
    stream.on("message", depth.put_nowait)
    assert (await soon(depth.get())).s == "BTCUSDT"
    listen_key = rest.start_user_data_stream().data().listen_key
    user: asyncio.Queue[Any] = asyncio.Queue()
    user_stream = await soon(streams.user_data(listen_key))
    user_stream.on("message", user.put_nowait)

    placed = rest.new_order(
        symbol="BTCUSDT",
        side=usds_models.NewOrderSideEnum.BUY,
        type="LIMIT",
        time_in_force=usds_models.NewOrderTimeInForceEnum.GTX,
        quantity=0.01,
        price=far_bid(bid),
    ).data()
    assert rest.query_order("BTCUSDT", order_id=placed.order_id).data().status == "NEW"
    assert rest.cancel_order("BTCUSDT", order_id=placed.order_id).data().status == "CANCELED"
    taken = rest.new_order(
        symbol="BTCUSDT",
        side=usds_models.NewOrderSideEnum.BUY,
        type="LIMIT",
        time_in_force=usds_models.NewOrderTimeInForceEnum.IOC,
        quantity=0.01,
        price=round(ask * 1.01, 1),
        new_order_resp_type=usds_models.NewOrderNewOrderRespTypeEnum.RESULT,
    ).data()
    assert taken.status == "FILLED"
    event: Any = await soon(user.get())
    while _order_state(event) != (taken.order_id, "FILLED"):
        event = await soon(user.get())
    await streams.close_connection()
    trades = rest.account_trade_list("BTCUSDT", order_id=taken.order_id).data()
    assert sum(Decimal(trade.qty) for trade in trades) == Decimal("0.01")
    (position,) = rest.position_information_v3(symbol="BTCUSDT").data()
    assert Decimal(position.position_amt) >= Decimal("0.01")
    assert rest.futures_account_balance_v3().data()[0].asset == "USDT"

    api = await soon(client.websocket_api.create_connection())
    answered = await soon(
        api.new_order(
            symbol="BTCUSDT",
            side="BUY",
            type="LIMIT",
            time_in_force="GTC",
            quantity=0.01,
            price=far_bid(bid),
        )
    )
    order_id = answered.data().result.order_id
    canceled = await soon(api.cancel_order(symbol="BTCUSDT", order_id=order_id))
    assert canceled.data().result.status == "CANCELED"
    await api.close_connection()


def _field(event: Any, name: str) -> Any:
    """A field of an event, whichever model the SDK made of it."""
    actual = getattr(event, "actual_instance", event)
    return actual.get(name) if isinstance(actual, dict) else getattr(actual, name, None)


def _order_state(event: Any) -> tuple[Any, Any]:
    detail = _field(event, "o")
    return (None, None) if detail is None else (_field(detail, "i"), _field(detail, "X"))
