"""A client of the practice venues in plain signed HTTP, which knows nothing of our codecs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

TIMEOUT_S = 20.0
PAGE = 100
LINEAR, SPOT = "BTC/USDT:USDT", "BTC/USDT"


@dataclass
class Account:
    """What a venue says of an account.

    Attributes:
        orders: client ids of the open ones.
        trades: (symbol, trade id) since the moment asked for.
        held: base coins by symbol: position of the perpetual, balance of the coin.
    """

    orders: set[str] = field(default_factory=set)
    trades: set[tuple[str, str]] = field(default_factory=set)
    held: dict[str, Decimal] = field(default_factory=dict)


class PlainClient:
    """Reads the accounts of the three venues; markets are those of BTC."""

    def __init__(self, venues: Mapping[str, Any]) -> None:
        """`venues` is what `hftmm venues` prints."""
        self._venues = venues
        self._key: dict[str, str] = venues["credentials"]

    def read(self, since_ms: int) -> dict[str, Account]:
        """Every account, with the trades since then."""
        return {
            "binance": self._binance(since_ms),
            "bybit": self._bybit(since_ms),
            "okx": self._okx(since_ms),
        }

    # ---- venues -------------------------------------------------------------------------------

    def _binance(self, since_ms: int) -> Account:
        account = Account()
        prefixes = ((SPOT, "spot", "/api/v3", "myTrades"), (LINEAR, "linear", "/fapi/v1", ""))
        for symbol, face, prefix, trades in prefixes:
            rest = self._venues["binance"][face]["rest"]
            orders = self._ask_binance(rest, f"{prefix}/openOrders", symbol="BTCUSDT")
            account.orders |= {order["clientOrderId"] for order in orders}
            path = f"{prefix}/{trades or 'userTrades'}"
            page = {"symbol": "BTCUSDT", "limit": 1000}
            told = self._ask_binance(rest, path, startTime=since_ms, **page)
            while told:
                account.trades |= {(symbol, str(trade["id"])) for trade in told}
                if len(told) < 1000:
                    break
                told = self._ask_binance(rest, path, fromId=told[-1]["id"] + 1, **page)
        spot, linear = (self._venues["binance"][face]["rest"] for face in ("spot", "linear"))
        (coin,) = (
            balance
            for balance in self._ask_binance(spot, "/api/v3/account")["balances"]
            if balance["asset"] == "BTC"
        )
        account.held[SPOT] = Decimal(coin["free"]) + Decimal(coin["locked"])
        positions = self._ask_binance(linear, "/fapi/v3/positionRisk", symbol="BTCUSDT")
        account.held[LINEAR] = sum((Decimal(row["positionAmt"]) for row in positions), Decimal())
        return account

    def _bybit(self, since_ms: int) -> Account:
        account = Account()
        for symbol, category in ((SPOT, "spot"), (LINEAR, "linear")):
            what = {"category": category, "symbol": "BTCUSDT"}
            for order in self._ask_bybit("/v5/order/realtime", **what, limit=50)["list"]:
                account.orders.add(order["orderLinkId"])
            cursor = ""
            while True:
                asked = {**what, "startTime": since_ms, "limit": PAGE, "cursor": cursor}
                told = self._ask_bybit("/v5/execution/list", **asked)
                account.trades |= {(symbol, row["execId"]) for row in told["list"]}
                cursor = told["nextPageCursor"]
                if not cursor:
                    break
        wallet = self._ask_bybit("/v5/account/wallet-balance", accountType="UNIFIED")["list"][0]
        (coin,) = (row for row in wallet["coin"] if row["coin"] == "BTC")
        account.held[SPOT] = Decimal(coin["walletBalance"])
        positions = self._ask_bybit("/v5/position/list", category="linear", symbol="BTCUSDT")
        account.held[LINEAR] = sum(
            (
                Decimal(row["size"]) * (-1 if row["side"] == "Sell" else 1)
                for row in positions["list"]
            ),
            Decimal(),
        )
        return account

    def _okx(self, since_ms: int) -> Account:
        account = Account()
        kinds = ((SPOT, "SPOT", "BTC-USDT"), (LINEAR, "SWAP", "BTC-USDT-SWAP"))
        for symbol, kind, name in kinds:
            what = {"instType": kind, "instId": name, "limit": PAGE}
            orders = self._ask_okx("/api/v5/trade/orders-pending", **what)
            account.orders |= {order["clOrdId"] for order in orders}
            after: dict[str, object] = {}
            while True:
                told = self._ask_okx("/api/v5/trade/fills", **what, begin=since_ms, **after)
                account.trades |= {(symbol, trade["tradeId"]) for trade in told}
                if len(told) < PAGE:
                    break
                after = {"after": told[-1]["billId"]}
        (balance,) = self._ask_okx("/api/v5/account/balance", ccy="BTC")
        account.held[SPOT] = Decimal(balance["details"][0]["cashBal"])
        (contract,) = self._ask_okx(
            "/api/v5/public/instruments", instType="SWAP", instId="BTC-USDT-SWAP"
        )
        positions = self._ask_okx("/api/v5/account/positions", instId="BTC-USDT-SWAP")
        account.held[LINEAR] = Decimal(contract["ctVal"]) * sum(
            (Decimal(row["pos"] or 0) for row in positions), Decimal()
        )
        return account

    # ---- signed requests ----------------------------------------------------------------------

    def _ask_binance(self, rest: str, path: str, **asked: object) -> Any:
        query = urlencode({**asked, "timestamp": _now_ms(), "recvWindow": 10_000})
        signature = self._hmac(query).hex()
        return _get(
            rest, f"{path}?{query}&signature={signature}", {"X-MBX-APIKEY": self._key["key"]}
        )

    def _ask_bybit(self, path: str, **asked: object) -> Any:
        stamp, window, query = str(_now_ms()), "10000", urlencode(asked)
        headers = {
            "X-BAPI-API-KEY": self._key["key"],
            "X-BAPI-TIMESTAMP": stamp,
            "X-BAPI-RECV-WINDOW": window,
            "X-BAPI-SIGN": self._hmac(stamp + self._key["key"] + window + query).hex(),
        }
        answer = _get(self._venues["bybit"]["rest"], f"{path}?{query}", headers)
        assert answer["retCode"] == 0, answer
        return answer["result"]

    def _ask_okx(self, path: str, **asked: object) -> Any:
        target = f"{path}?{urlencode(asked)}"
        stamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        headers = {
            "OK-ACCESS-KEY": self._key["key"],
            "OK-ACCESS-PASSPHRASE": self._key["passphrase"],
            "OK-ACCESS-TIMESTAMP": stamp,
            "OK-ACCESS-SIGN": base64.b64encode(self._hmac(f"{stamp}GET{target}")).decode(),
        }
        answer = _get(self._venues["okx"]["rest"], target, headers)
        assert answer["code"] == "0", answer
        return answer["data"]

    def _hmac(self, text: str) -> bytes:
        return hmac.new(self._key["secret"].encode(), text.encode(), hashlib.sha256).digest()


def get_json(url: str) -> Any:
    """What an address answers that needs no signature."""
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return _get(f"{parts.scheme}://{parts.netloc}", target, {})


def _get(base: str, target: str, headers: Mapping[str, str]) -> Any:
    connection = HTTPConnection(urlsplit(base).netloc, timeout=TIMEOUT_S)
    try:
        connection.request("GET", target, headers=dict(headers))
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    assert answer.status == 200, (target, body)
    return json.loads(body)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
