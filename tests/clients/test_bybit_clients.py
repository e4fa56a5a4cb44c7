"""Unmodified clients from PyPI trade on the practice Bybit, spot and linear."""

from __future__ import annotations

import asyncio
import queue
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeVar

import ccxt
import ccxt.pro
import pybit._websocket_trading
import pybit.exceptions
import pybit.unified_trading
import pytest

DEADLINE_S = 30
AGAIN_S, TIMES = 0.5, 6
"""What no stream told of within so long is done again, because the subscription did not stand yet,
and after so many times on another socket."""
T = TypeVar("T")
SYMBOLS = {"spot": "BTC/USDT", "linear": "BTC/USDT:USDT"}

Row = dict[str, Any]


async def soon(awaited: Awaitable[T]) -> T:
    """What is awaited, within the deadline."""
    return await asyncio.wait_for(awaited, DEADLINE_S)


def far_bid(best: float) -> float:
    """A price a whole number of any tick, well below the market."""
    return round(best * 0.97, 0)


# --- ccxt and ccxt.pro ----------------------------------------------------------------------


def _ccxt(module: Any, venues: dict[str, Any], **credentials: str) -> Any:
    urls = venues["bybit"]
    rest = dict.fromkeys(("spot", "futures", "v2", "public", "private"), urls["rest"])
    known = {"apiKey": venues["credentials"]["key"], "secret": venues["credentials"]["secret"]}
    return module.bybit(
        {
            **known,
            **credentials,
            "options": {"fetchMarkets": {"types": ["spot", "linear"]}},
            "urls": {
                "api": {
                    **rest,
                    "ws": {
                        "public": {"spot": urls["public_spot"], "linear": urls["public_linear"]},
                        "private": {
                            "spot": {"unified": urls["private"]},
                            "contract": urls["private"],
                            "trade": urls["trade"],
                        },
                    },
                }
            },
        }
    )


@pytest.fixture
async def ccxt_pro(venues: dict[str, Any]) -> AsyncIterator[Any]:
    client = _ccxt(ccxt.pro, venues)
    yield client
    await client.close()


async def told(
    watch: Callable[[], Awaitable[list[Row]]],
    act: Callable[[], Awaitable[Row]],
    about: Callable[[Row], Any],
) -> tuple[Row, Row]:
    """Acts until the stream tells of it; the answer to the act, and what the stream told."""
    heard: list[Row] = []

    async def listen() -> None:
        while True:
            heard.extend(await watch())

    async def find(answer: Row) -> Row:
        while True:
            for row in heard:
                if about(row) == answer["id"]:
                    return row
            await asyncio.wait([listening], timeout=0.02)
            if listening.done():
                listening.result()

    listening = asyncio.create_task(listen())
    try:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                answer = await act()
                try:
                    return answer, await asyncio.wait_for(find(answer), AGAIN_S)
                except TimeoutError:
                    continue
    finally:
        listening.cancel()
        await asyncio.wait([listening])


@pytest.mark.parametrize("category", SYMBOLS)
async def test_ccxt_pro_rests_queries_and_cancels_an_order(ccxt_pro: Any, category: str) -> None:
    client, symbol = ccxt_pro, SYMBOLS[category]
    markets = await soon(client.load_markets())
    assert markets[symbol]["precision"]["price"] == 0.1
    assert markets[symbol]["limits"]["cost"]["min"] == 5
    book = await soon(client.watch_order_book(symbol))
    assert book["bids"][0][0] < book["asks"][0][0]
    price = far_bid(book["bids"][0][0])

    placed, seen = await told(
        lambda: client.watch_orders(symbol),
        lambda: client.create_order(symbol, "limit", "buy", 0.01, price, {"postOnly": True}),
        lambda row: row["id"],
    )
    assert (seen["status"], seen["symbol"], seen["postOnly"]) == ("open", symbol, True)
    queried = await soon(client.fetch_open_order(placed["id"], symbol))
    assert (queried["status"], queried["price"], queried["amount"]) == ("open", price, 0.01)
    assert placed["id"] in [one["id"] for one in await soon(client.fetch_open_orders(symbol))]
    await soon(client.cancel_order(placed["id"], symbol))
    canceled = await soon(client.fetch_canceled_orders(symbol))
    assert placed["id"] in [one["id"] for one in canceled]
    with pytest.raises(ccxt.OrderNotFound):
        await soon(client.cancel_order(placed["id"], symbol))
    await soon(client.cancel_all_orders(symbol))
    assert await soon(client.fetch_open_orders(symbol)) == []


@pytest.mark.parametrize("category", SYMBOLS)
async def test_ccxt_pro_takes_and_sees_its_fill(ccxt_pro: Any, category: str) -> None:
    client, symbol = ccxt_pro, SYMBOLS[category]
    await soon(client.load_markets())
    book = await soon(client.fetch_order_book(symbol))
    limit = round(book["asks"][0][0] * 1.01, 1)
    before = await soon(client.fetch_balance())
    taken, seen = await told(
        lambda: client.watch_my_trades(symbol),
        lambda: client.create_order(symbol, "limit", "buy", 0.01, limit, {"timeInForce": "IOC"}),
        lambda row: row["order"],
    )
    assert (seen["symbol"], seen["side"], seen["takerOrMaker"]) == (symbol, "buy", "taker")
    mine = await soon(client.fetch_my_trades(symbol))
    assert sum(one["amount"] for one in mine if one["order"] == taken["id"]) == pytest.approx(0.01)
    assert {one["fee"]["currency"] for one in mine} == {"BTC" if category == "spot" else "USDT"}
    closed = await soon(client.fetch_closed_order(taken["id"], symbol))
    assert (closed["status"], closed["filled"]) == ("closed", 0.01)
    after = await soon(client.fetch_balance())
    fees = await soon(client.fetch_trading_fee(symbol))
    if category == "linear":
        (position,) = await soon(client.fetch_positions([symbol]))
        assert (position["side"], position["contracts"] >= 0.01) == ("long", True)
        assert after["USDT"]["total"] < before["USDT"]["total"]
        assert fees["taker"] == 0.00055
    else:
        assert after["BTC"]["total"] > before["BTC"]["total"]
        assert after["USDT"]["free"] < before["USDT"]["free"]
        assert fees["taker"] == 0.001


async def test_ccxt_pro_watches_balance_and_positions(ccxt_pro: Any) -> None:
    client, symbol = ccxt_pro, SYMBOLS["linear"]
    await soon(client.load_markets())
    balance = asyncio.create_task(client.watch_balance())
    positions = asyncio.create_task(client.watch_positions([symbol]))
    async with asyncio.timeout(DEADLINE_S):
        while not (balance.done() and positions.done()):
            await client.create_order(symbol, "market", "buy", 0.01)
            await asyncio.wait([balance, positions], timeout=AGAIN_S)
    assert balance.result()["USDT"]["total"] > 0
    assert positions.result()[0]["side"] == "long"


@pytest.mark.parametrize("category", SYMBOLS)
async def test_ccxt_pro_trades_over_the_trade_socket(ccxt_pro: Any, category: str) -> None:
    client, symbol = ccxt_pro, SYMBOLS[category]
    await soon(client.load_markets())
    book = await soon(client.fetch_order_book(symbol))
    price = far_bid(book["bids"][0][0])
    placed = await soon(client.create_order_ws(symbol, "limit", "buy", 0.01, price))
    edited = await soon(client.edit_order_ws(placed["id"], symbol, "limit", "buy", 0.02, price))
    assert edited["id"] == placed["id"]
    queried = await soon(client.fetch_open_order(placed["id"], symbol))
    assert queried["amount"] == 0.02
    canceled = await soon(client.cancel_order_ws(placed["id"], symbol))
    assert canceled["id"] == placed["id"]


@pytest.mark.parametrize("category", SYMBOLS)
async def test_ccxt_reads_of_a_post_only_order_that_would_take(
    ccxt_pro: Any, category: str
) -> None:
    client, symbol = ccxt_pro, SYMBOLS[category]
    await soon(client.load_markets())
    book = await soon(client.fetch_order_book(symbol))
    price = round(book["asks"][0][0] * 1.01, 1)
    placed = await soon(
        client.create_order(symbol, "limit", "buy", 0.01, price, {"postOnly": True})
    )
    canceled = await soon(client.fetch_canceled_orders(symbol))
    (order,) = [one for one in canceled if one["id"] == placed["id"]]
    assert order["info"]["rejectReason"] == "EC_PostOnlyWillTakeLiquidity"


def test_ccxt_names_what_the_venue_refuses(venues: dict[str, Any]) -> None:
    client = _ccxt(ccxt, venues)
    symbol = SYMBOLS["spot"]
    price = far_bid(client.fetch_order_book(symbol)["bids"][0][0])
    with pytest.raises(ccxt.InsufficientFunds):
        client.create_order(symbol, "limit", "buy", 1_000, price)
    with pytest.raises(ccxt.InvalidOrder):
        client.create_order(symbol, "limit", "buy", 0.00001, price)
    with pytest.raises(ccxt.AuthenticationError):
        _ccxt(ccxt, venues, apiKey="nobody").fetch_balance()
    with pytest.raises(ccxt.AuthenticationError):
        _ccxt(ccxt, venues, secret="wrong").fetch_balance()  # noqa: S106  meant to be wrong
    with pytest.raises(ccxt.PermissionDenied):
        _ccxt(ccxt, venues, apiKey="practice-read-key").create_order(
            symbol, "limit", "buy", 0.01, price
        )


def test_ccxt_sets_leverage_and_trades_in_batches(venues: dict[str, Any]) -> None:
    client, symbol = _ccxt(ccxt, venues), SYMBOLS["linear"]
    client.load_markets()
    client.set_leverage(7, "ETH/USDT:USDT")
    price = far_bid(client.fetch_order_book(symbol)["bids"][0][0])
    order = {"symbol": symbol, "type": "limit", "side": "buy", "amount": 0.01, "price": price}
    placed = client.create_orders([order, order, {**order, "amount": 1_000_000}])
    assert [one["status"] for one in placed][2] == "rejected"
    ids = [one["id"] for one in placed[:2]]
    assert [one["id"] for one in client.cancel_orders(ids, symbol)] == ids
    assert client.fetch_open_orders(symbol) == []


# --- pybit ----------------------------------------------------------------------------------


@pytest.fixture
def pybit_http(venues: dict[str, Any]) -> Any:
    known = venues["credentials"]
    session = pybit.unified_trading.HTTP(api_key=known["key"], api_secret=known["secret"])
    session.endpoint = venues["bybit"]["rest"]
    return session


@pytest.fixture
def pybit_sockets(
    venues: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Any]]:
    """Opens sockets; the client keeps its addresses in templates, which are set here."""
    urls = venues["bybit"]
    unified, trading = pybit.unified_trading, pybit._websocket_trading
    public = urls["public_spot"].replace("/public/spot", "/public/{CHANNEL_TYPE}")
    monkeypatch.setattr(unified, "PUBLIC_WSS", public)
    monkeypatch.setattr(unified, "PRIVATE_WSS", urls["private"])
    monkeypatch.setattr(trading, "TRADE_WSS", urls["trade"])
    known = {"api_key": venues["credentials"]["key"], "api_secret": venues["credentials"]["secret"]}
    opened: list[Any] = []

    def socket(channel: str) -> Any:
        if channel == "trade":
            opened.append(unified.WebSocketTrading(testnet=False, **known))
        elif channel == "private":
            opened.append(unified.WebSocket(channel, testnet=False, **known))
        else:
            opened.append(unified.WebSocket(channel, testnet=False))
        return opened[-1]

    yield socket
    for one in opened:
        one.exit()


class Heard:
    """What a callback was told."""

    def __init__(self) -> None:
        self._messages: queue.Queue[Row] = queue.Queue()

    def __call__(self, message: Row) -> None:
        self._messages.put(message)

    def soon(self) -> Row | None:
        """The next message, None if there is none in time."""
        try:
            return self._messages.get(timeout=TIMES * AGAIN_S)
        except queue.Empty:
            return None

    def row(self, timeout: float, **wanted: object) -> Row | None:
        """The first row pushed that has these values, None if there is none in time."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            try:
                message = self._messages.get(timeout=AGAIN_S)
            except queue.Empty:
                continue
            for row in message["data"]:
                if all(row[name] == value for name, value in wanted.items()):
                    return dict(row)
        return None


def order(category: str, price: float, **changed: str) -> Row:
    return {
        "category": category,
        "symbol": "BTCUSDT",
        "side": "Buy",
        "orderType": "Limit",
        "qty": "0.010",
        "price": f"{price:.1f}",
        "timeInForce": "PostOnly",
    } | changed


def best(book: Row, side: str) -> float:
    return float(book["result"][side][0][0])


def until_heard(attempt: Callable[[], T | None]) -> T:
    """What an attempt with a socket of its own yields.

    This client sends first and listens for the answer after; where the answer wins that race, its
    reader ends and the socket stays deaf. Then another is opened, as its users have to.
    """
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        found = attempt()
        if found is not None:
            return found
    raise TimeoutError("nothing was heard on any socket")


@pytest.mark.parametrize("category", SYMBOLS)
def test_pybit_loads_instruments_and_streams_the_book(
    pybit_http: Any, pybit_sockets: Callable[..., Any], category: str
) -> None:
    listed = pybit_http.get_instruments_info(category=category, symbol="BTCUSDT")
    assert listed["result"]["list"][0]["priceFilter"]["tickSize"] == "0.1"

    def attempt() -> Row | None:
        books = Heard()
        pybit_sockets(category).orderbook_stream(50, "BTCUSDT", books)
        return books.soon()

    book = until_heard(attempt)
    assert float(book["data"]["b"][0][0]) < float(book["data"]["a"][0][0])


@pytest.mark.parametrize("category", SYMBOLS)
def test_pybit_rests_queries_and_cancels_an_order(
    pybit_http: Any, pybit_sockets: Callable[..., Any], category: str
) -> None:
    price = far_bid(best(pybit_http.get_orderbook(category=category, symbol="BTCUSDT"), "b"))

    def attempt() -> tuple[Heard, Row] | None:
        orders = Heard()
        pybit_sockets("private").order_stream(orders)
        for _ in range(TIMES):
            order_id = pybit_http.place_order(**order(category, price))["result"]["orderId"]
            row = orders.row(AGAIN_S, orderId=order_id)
            if row is not None:
                return orders, row
        return None

    orders, seen = until_heard(attempt)
    assert (seen["orderStatus"], seen["category"]) == ("New", category)
    scope = {"category": category, "symbol": "BTCUSDT", "orderId": seen["orderId"]}
    (row,) = pybit_http.get_open_orders(**scope)["result"]["list"]
    assert (row["orderStatus"], row["price"]) == ("New", f"{price:.1f}")
    pybit_http.amend_order(qty="0.020", **scope)
    pybit_http.cancel_order(**scope)
    ended = orders.row(DEADLINE_S, orderId=seen["orderId"], orderStatus="Cancelled")
    assert ended is not None
    assert (ended["qty"], ended["cancelType"]) == ("0.02", "CancelByUser")
    with pytest.raises(pybit.exceptions.InvalidRequestError):
        pybit_http.cancel_order(**scope)
    pybit_http.cancel_all_orders(category=category, symbol="BTCUSDT")
    left = pybit_http.get_open_orders(category=category, symbol="BTCUSDT")
    assert left["result"]["list"] == []


@pytest.mark.parametrize("category", SYMBOLS)
def test_pybit_takes_and_sees_its_fill(
    pybit_http: Any, pybit_sockets: Callable[..., Any], category: str
) -> None:
    limit = best(pybit_http.get_orderbook(category=category, symbol="BTCUSDT"), "a") * 1.01

    def attempt() -> tuple[Row, Row] | None:
        fills, wallets, private = Heard(), Heard(), pybit_sockets("private")
        private.execution_stream(fills)
        private.wallet_stream(wallets)
        for _ in range(TIMES):
            wanted = order(category, limit, timeInForce="IOC")
            order_id = pybit_http.place_order(**wanted)["result"]["orderId"]
            row = fills.row(AGAIN_S, orderId=order_id)
            wallet = wallets.soon() if row is not None else None
            if row is not None and wallet is not None:
                return row, wallet
        return None

    seen, wallet = until_heard(attempt)
    assert seen["feeCurrency"] == ("BTC" if category == "spot" else "USDT")
    assert wallet["data"][0]["accountType"] == "UNIFIED"
    order_id = seen["orderId"]
    mine = pybit_http.get_executions(category=category, orderId=order_id)["result"]["list"]
    assert sum(float(row["execQty"]) for row in mine) == pytest.approx(0.01)
    history = pybit_http.get_order_history(category=category, orderId=order_id)
    assert history["result"]["list"][0]["orderStatus"] == "Filled"
    balance = pybit_http.get_wallet_balance(accountType="UNIFIED", coin="USDT")
    assert float(balance["result"]["list"][0]["coin"][0]["walletBalance"]) > 0


def test_pybit_sees_its_position(pybit_http: Any, pybit_sockets: Callable[..., Any]) -> None:
    limit = best(pybit_http.get_orderbook(category="linear", symbol="BTCUSDT"), "a") * 1.01

    def attempt() -> Row | None:
        positions = Heard()
        pybit_sockets("private").position_stream(positions)
        for _ in range(TIMES):
            pybit_http.place_order(**order("linear", limit, timeInForce="IOC"))
            row = positions.row(AGAIN_S, symbol="BTCUSDT")
            if row is not None:
                return row
        return None

    row = until_heard(attempt)
    assert (row["side"], float(row["size"]) > 0) == ("Buy", True)
    held = pybit_http.get_positions(category="linear", settleCoin="USDT")["result"]["list"]
    assert [one["side"] for one in held if one["symbol"] == "BTCUSDT"] == ["Buy"]


@pytest.mark.parametrize("category", SYMBOLS)
def test_pybit_trades_over_the_trade_socket(
    pybit_http: Any, pybit_sockets: Callable[..., Any], category: str
) -> None:
    price = far_bid(best(pybit_http.get_orderbook(category=category, symbol="BTCUSDT"), "b"))

    def attempt() -> list[Row] | None:
        trade, answers, errors = pybit_sockets("trade"), Heard(), Heard()
        trade.place_order(answers, **order(category, price))
        placed = answers.soon()
        if placed is None:
            return None
        scope = {"category": category, "symbol": "BTCUSDT", "orderId": placed["data"]["orderId"]}
        trade.amend_order(answers, qty="0.020", **scope)
        amended = answers.soon()
        trade.cancel_order(answers, **scope)
        canceled = answers.soon()
        trade.cancel_order(answers, errors, **scope)
        refused = errors.soon()
        orders = [order(category, price), order(category, -1)]
        trade.place_batch_order(answers, category=category, request=orders)
        batch = answers.soon()
        said = [one for one in (placed, amended, canceled, refused, batch) if one is not None]
        return said if len(said) == 5 else None

    placed, amended, canceled, refused, batch = until_heard(attempt)
    assert (placed["retCode"], placed["op"]) == (0, "order.create")
    assert placed["header"]["X-Bapi-Limit"] == {"spot": "20", "linear": "10"}[category]
    assert (amended["retCode"], canceled["retCode"]) == (0, 0)
    assert refused["retCode"] == {"spot": 170213, "linear": 110001}[category]
    codes = [row["code"] for row in batch["retExtInfo"]["list"]]
    assert [code == 0 for code in codes] == [True, False]
    pybit_http.cancel_all_orders(category=category, symbol="BTCUSDT")


def test_pybit_reads_the_account_and_its_key(pybit_http: Any) -> None:
    assert pybit_http.get_api_key_information()["result"]["permissions"]["Wallet"] == []
    assert pybit_http.get_account_info()["result"]["unifiedMarginStatus"] == 6
    fees = pybit_http.get_fee_rates(category="linear", symbol="BTCUSDT")["result"]["list"]
    assert fees[0]["takerFeeRate"] == "0.00055"
    assert pybit_http.get_transaction_log(accountType="UNIFIED")["retCode"] == 0
    assert pybit_http.get_server_time()["retCode"] == 0
    pybit_http.set_dcp(product="SPOT", timeWindow=30)
