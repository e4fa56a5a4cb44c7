"""Unmodified clients from PyPI trade on the practice OKX, spot and swaps."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import ccxt
import ccxt.pro
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from okx.Account import AccountAPI
from okx.MarketData import MarketAPI
from okx.PublicData import PublicAPI
from okx.Trade import TradeAPI
from okx.websocket.WsPrivateAsync import WsPrivateAsync

DEADLINE_S = 30
T = TypeVar("T")

SIZES = {"BTC/USDT": 0.01, "BTC/USDT:USDT": 1, "BTC-USDT": "0.01", "BTC-USDT-SWAP": "1"}
MODES = {"BTC-USDT": "cash", "BTC-USDT-SWAP": "cross"}


async def soon(task: Coroutine[Any, Any, T] | asyncio.Task[T]) -> T:
    """What is awaited, within the deadline."""
    return await asyncio.wait_for(task, DEADLINE_S)


# --- ccxt and ccxt.pro ----------------------------------------------------------------------


def ccxt_config(venues: dict[str, Any]) -> dict[str, Any]:
    """ccxt adds `/public`, `/private` and `/business` to one address, and OKX's hosts serve all."""
    okx, credentials = venues["okx"], venues["credentials"]
    return {
        "apiKey": credentials["key"],
        "secret": credentials["secret"],
        "password": credentials["passphrase"],
        "timeout": DEADLINE_S * 1_000,
        "options": {"fetchMarkets": {"types": ["spot", "swap"]}},
        "urls": {"api": {"rest": okx["rest"], "ws": okx["private"].rpartition("/")[0]}},
    }


@pytest.fixture
async def ccxt_pro(venues: dict[str, Any]) -> AsyncIterator[Any]:
    client = ccxt.pro.okx(ccxt_config(venues))
    await soon(client.load_markets())
    yield client
    await client.close()


async def listening(client: Any, symbol: str) -> tuple[asyncio.Task[Any], asyncio.Task[Any]]:
    """Futures of the next order and the next fill on the private stream.

    The account channel is subscribed to last and answers with a snapshot: once it has, the others
    are in force.
    """
    orders = asyncio.create_task(client.watch_orders(symbol))
    fills = asyncio.create_task(client.watch_my_trades(symbol))
    await soon(asyncio.create_task(client.watch_balance()))
    return orders, fills


@pytest.mark.parametrize("symbol", ["BTC/USDT", "BTC/USDT:USDT"])
async def test_ccxt_pro_trades_and_sees_its_fill(ccxt_pro: Any, symbol: str) -> None:
    size = SIZES[symbol]
    book = await soon(ccxt_pro.watch_order_book(symbol))
    bid, ask = book["bids"][0][0], book["asks"][0][0]
    assert bid < ask
    orders, fills = await listening(ccxt_pro, symbol)

    price = float(ccxt_pro.price_to_precision(symbol, bid * 0.97))
    placed = await soon(
        ccxt_pro.create_order(symbol, "limit", "buy", size, price, {"postOnly": True})
    )
    (pushed,) = await soon(orders)
    assert (pushed["id"], pushed["status"], pushed["price"]) == (placed["id"], "open", price)
    assert placed["id"] in [row["id"] for row in await soon(ccxt_pro.fetch_open_orders(symbol))]
    queried = await soon(ccxt_pro.fetch_order(placed["id"], symbol))
    assert (queried["status"], queried["amount"], queried["postOnly"]) == ("open", size, True)
    await soon(ccxt_pro.cancel_order(placed["id"], symbol))
    assert (await soon(ccxt_pro.fetch_order(placed["id"], symbol)))["status"] == "canceled"
    with pytest.raises(ccxt.OrderNotFound):
        await soon(ccxt_pro.cancel_order(placed["id"], symbol))

    taken = await soon(
        ccxt_pro.create_order(symbol, "limit", "buy", size, ask * 1.01, {"timeInForce": "IOC"})
    )
    fill = (await soon(fills))[-1]
    assert (fill["order"], fill["side"], fill["takerOrMaker"]) == (taken["id"], "buy", "taker")
    ended = await soon(ccxt_pro.fetch_order(taken["id"], symbol))
    assert (ended["status"], ended["filled"]) == ("closed", size)
    booked = [
        row for row in await soon(ccxt_pro.fetch_my_trades(symbol)) if row["order"] == taken["id"]
    ]
    assert sum(Decimal(str(row["amount"])) for row in booked) == Decimal(str(size))
    assert all(row["fee"]["cost"] > 0 for row in booked)

    balance = await soon(ccxt_pro.fetch_balance())
    assert balance["USDT"]["total"] > 0
    positions = await soon(ccxt_pro.fetch_positions())
    if symbol.endswith(":USDT"):
        (position,) = (row for row in positions if row["symbol"] == symbol)
        assert (position["side"], position["contracts"] >= size) == ("long", True)


async def test_ccxt_pro_enters_orders_over_the_websocket(ccxt_pro: Any) -> None:
    symbol = "BTC/USDT:USDT"
    book = await soon(ccxt_pro.watch_order_book(symbol))
    price = float(ccxt_pro.price_to_precision(symbol, book["bids"][0][0] * 0.97))
    placed = await soon(ccxt_pro.create_order_ws(symbol, "limit", "buy", 1, price))
    await soon(ccxt_pro.edit_order_ws(placed["id"], symbol, "limit", "buy", 2, price))
    assert (await soon(ccxt_pro.fetch_order(placed["id"], symbol)))["amount"] == 2
    await soon(ccxt_pro.cancel_order_ws(placed["id"], symbol))
    assert (await soon(ccxt_pro.fetch_order(placed["id"], symbol)))["status"] == "canceled"


async def test_ccxt_pro_reads_balance_and_positions_from_the_stream(ccxt_pro: Any) -> None:
    symbol = "BTC/USDT:USDT"
    balance = await soon(ccxt_pro.watch_balance())
    assert balance["USDT"]["total"] > 0
    book = await soon(ccxt_pro.watch_order_book(symbol))
    await soon(ccxt_pro.create_order_ws(symbol, "limit", "buy", 1, book["asks"][0][0] * 1.01))
    (position,) = await soon(ccxt_pro.watch_positions([symbol]))
    assert (position["symbol"], position["side"]) == (symbol, "long")


def test_ccxt_without_streams_trades_too(venues: dict[str, Any]) -> None:
    client = ccxt.okx(ccxt_config(venues))
    client.load_markets()
    book = client.fetch_order_book("BTC/USDT")
    price = float(client.price_to_precision("BTC/USDT", book["bids"][0][0] * 0.97))
    placed = client.create_order("BTC/USDT", "limit", "buy", 0.01, price)
    amended = client.edit_order(placed["id"], "BTC/USDT", "limit", "buy", 0.02, price)
    assert amended["id"] == placed["id"]
    assert client.fetch_order(placed["id"], "BTC/USDT")["amount"] == 0.02
    client.cancel_orders([placed["id"]], "BTC/USDT")
    assert client.fetch_order(placed["id"], "BTC/USDT")["status"] == "canceled"
    fees = client.fetch_trading_fee("BTC/USDT:USDT")
    assert (fees["maker"], fees["taker"]) == (0.0002, 0.0005)


def test_ccxt_with_a_wrong_secret_is_told_so(venues: dict[str, Any]) -> None:
    client = ccxt.okx(ccxt_config(venues) | {"secret": "not the secret"})
    with pytest.raises(ccxt.AuthenticationError, match="50113"):
        client.fetch_balance()


# --- python-okx: REST over plain HTTP; its WebSocket insists on TLS -------------------------


@pytest.fixture
def api(venues: dict[str, Any]) -> Iterator[Callable[[Any], Any]]:
    """Makes one of its clients; flag "0" is production, which the practice keys are for."""
    credentials = venues["credentials"]
    with ExitStack() as stack:

        def made(kind: Any) -> Any:
            client = kind(
                api_key=credentials["key"],
                api_secret_key=credentials["secret"],
                passphrase=credentials["passphrase"],
                flag="0",
                domain=venues["okx"]["rest"],
            )
            return stack.enter_context(client)

        yield made


@pytest.mark.parametrize("name", ["BTC-USDT", "BTC-USDT-SWAP"])
def test_python_okx_trades_over_rest(api: Callable[[Any], Any], name: str) -> None:
    market, public, trade, account = map(api, (MarketAPI, PublicAPI, TradeAPI, AccountAPI))
    kind = "SWAP" if name.endswith("SWAP") else "SPOT"
    (instrument,) = public.get_instruments(instType=kind, instId=name)["data"]
    (book,) = market.get_orderbook(instId=name, sz="5")["data"]
    tick = Decimal(instrument["tickSz"])
    common = {"instId": name, "tdMode": MODES[name], "side": "buy", "sz": SIZES[name]}

    price = str(Decimal(book["bids"][0][0]) - 1_000 * tick)
    (placed,) = trade.place_order(**common, ordType="post_only", px=price, clOrdId=f"py{kind}1")[
        "data"
    ]
    assert placed["sCode"] == "0"
    (queried,) = trade.get_order(instId=name, clOrdId=f"py{kind}1")["data"]
    assert (queried["state"], Decimal(queried["px"])) == ("live", Decimal(price))
    pending = trade.get_order_list(instType=kind)["data"]
    assert placed["ordId"] in [row["ordId"] for row in pending]
    (amended,) = trade.amend_order(instId=name, ordId=placed["ordId"], newSz="2")["data"]
    assert amended["sCode"] == "0"
    (canceled,) = trade.cancel_order(instId=name, ordId=placed["ordId"])["data"]
    assert canceled["sCode"] == "0"

    limit = str(Decimal(book["asks"][0][0]) + 1_000 * tick)
    (taken,) = trade.place_order(**common, ordType="ioc", px=limit)["data"]
    fills = trade.get_fills(instType=kind, ordId=taken["ordId"])["data"]
    assert sum(Decimal(row["fillSz"]) for row in fills) == Decimal(str(SIZES[name]))
    assert all(Decimal(row["fee"]) < 0 for row in fills)
    (detail,) = account.get_account_balance(ccy="USDT")["data"][0]["details"]
    assert Decimal(detail["availBal"]) > 0
    positions = account.get_positions(instType="SWAP")["data"]
    if kind == "SWAP":
        (position,) = (row for row in positions if row["instId"] == name)
        assert Decimal(position["pos"]) >= 1
        (set_,) = account.set_leverage(instId=name, lever="5", mgnMode="cross")["data"]
        assert set_["lever"] == "5"


def test_python_okx_reads_its_account_and_the_clock(api: Callable[[Any], Any]) -> None:
    account, public = api(AccountAPI), api(PublicAPI)
    (config,) = account.get_account_config()["data"]
    assert (config["posMode"], config["perm"]) == ("net_mode", "read_only,trade")
    assert int(public.get_system_time()["data"][0]["ts"]) > 1_700_000_000_000
    assert account.get_account_bills()["code"] == "0"
    (fee,) = account.get_fee_rates(instType="SPOT", instId="BTC-USDT")["data"]
    assert fee["feeGroup"][0]["taker"] == "-0.001"


def self_signed(folder: Path) -> Path:
    """A certificate for loopback with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "practice venues")])
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([loopback]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "loopback.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file


@pytest.fixture
async def wss(
    venues: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[str]:
    """The private stream behind TLS: a relay in front of what the venue serves in the clear."""
    certificate = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    private = urlsplit(venues["okx"]["private"])

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65_536):
            writer.write(chunk)
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, downstream = await asyncio.open_connection(private.hostname, private.port)
        await asyncio.gather(pump(reader, downstream), pump(upstream, writer))

    server = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    yield f"wss://127.0.0.1:{port}{private.path}"
    server.close()


async def test_python_okx_hears_its_fill_on_the_private_stream(
    venues: dict[str, Any], api: Callable[[Any], Any], wss: str
) -> None:
    credentials = venues["credentials"]
    name = "BTC-USDT-SWAP"
    (instrument,) = api(PublicAPI).get_instruments(instType="SWAP", instId=name)["data"]
    (book,) = api(MarketAPI).get_orderbook(instId=name, sz="1")["data"]
    heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def until(wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while not wanted(frame := await heard.get()):
            pass
        return frame

    stream = WsPrivateAsync(
        credentials["key"], credentials["passphrase"], credentials["secret"], wss
    )
    await soon(stream.start())
    channels = [{"channel": "orders", "instType": "SWAP"}]
    await soon(stream.subscribe(channels, lambda text: heard.put_nowait(json.loads(text))))
    await soon(until(lambda frame: frame.get("event") == "subscribe"))
    limit = str(Decimal(book["asks"][0][0]) + 100)
    order = {
        "instIdCode": instrument["instIdCode"],
        "tdMode": "cross",
        "side": "buy",
        "ordType": "ioc",
        "sz": "1",
        "px": limit,
    }
    await soon(stream.place_order([order], id="1"))
    reply = await soon(until(lambda frame: frame.get("op") == "order"))
    number = reply["data"][0]["ordId"]
    filled = await soon(until(lambda frame: frame.get("data", [{}])[0].get("state") == "filled"))
    assert filled["data"][0]["ordId"] == number
    assert filled["data"][0]["tradeId"]
    await soon(stream.stop())
