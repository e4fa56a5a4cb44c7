"""Reads the practice accounts by ccxt, for tests in another environment.

    python reader.py DESCRIPTION

DESCRIPTION is a file with what `hftmm venues` prints. Each line of standard input is a moment in
milliseconds since the epoch; each answer is one line of JSON, by venue: `orders` (client ids of the
open ones), `trades` ([symbol, trade id] since then), `held` (base coins by symbol).
"""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt

LINEAR, SPOT = "BTC/USDT:USDT", "BTC/USDT"
PAGE = 100


def main() -> None:
    venues = json.loads(Path(sys.argv[1]).read_text().partition("\n")[0])
    made = clients(venues)
    for line in sys.stdin:
        since_ms = int(line)
        answer: dict[str, dict[str, Any]] = {}
        for venue, symbol, client in made:
            account = answer.setdefault(venue, {"orders": [], "trades": [], "held": {}})
            account["orders"] += [row["clientOrderId"] for row in client.fetch_open_orders(symbol)]
            account["trades"] += [[symbol, each] for each in _trades(client, symbol, since_ms)]
            account["held"][symbol] = _held(client, symbol)
        sys.stdout.write(f"{json.dumps(answer)}\n")
        sys.stdout.flush()


def clients(venues: dict[str, Any]) -> list[tuple[str, str, Any]]:
    credentials = venues["credentials"]
    key = {"apiKey": credentials["key"], "secret": credentials["secret"]}
    binance, bybit, okx = venues["binance"], venues["bybit"], venues["okx"]
    spot, linear = binance["spot"]["rest"], binance["linear"]["rest"]
    binance_urls = {
        "public": f"{spot}/api/v3",
        "private": f"{spot}/api/v3",
        "sapi": f"{spot}/sapi/v1",
        "fapiPublic": f"{linear}/fapi/v1",
        "fapiPublicV2": f"{linear}/fapi/v2",
        "fapiPublicV3": f"{linear}/fapi/v3",
        "fapiPrivate": f"{linear}/fapi/v1",
        "fapiPrivateV2": f"{linear}/fapi/v2",
        "fapiPrivateV3": f"{linear}/fapi/v3",
    }
    bybit_urls = dict.fromkeys(("spot", "futures", "v2", "public", "private"), bybit["rest"])

    def made(name: str, kinds: list[str], urls: dict[str, Any], **more: str) -> Any:
        options = {"fetchMarkets": {"types": kinds}, "fetchCurrencies": False}
        return getattr(ccxt, name)({**key, **more, "options": options, "urls": {"api": urls}})

    of_spot = made("binance", ["spot"], binance_urls)
    of_linear = made("binanceusdm", ["linear"], binance_urls)
    of_bybit = made("bybit", ["spot", "linear"], bybit_urls)
    of_okx = made(
        "okx", ["spot", "swap"], {"rest": okx["rest"]}, password=credentials["passphrase"]
    )
    return [
        ("binance", SPOT, of_spot),
        ("binance", LINEAR, of_linear),
        ("bybit", SPOT, of_bybit),
        ("bybit", LINEAR, of_bybit),
        ("okx", SPOT, of_okx),
        ("okx", LINEAR, of_okx),
    ]


def _trades(client: Any, symbol: str, since_ms: int) -> set[str]:
    """Ids of every trade since then, page after page."""
    found: set[str] = set()
    limit = 1000 if client.id.startswith("binance") else PAGE
    more: dict[str, Any] = {}
    while True:
        page = client.fetch_my_trades(symbol, since_ms, limit, more)
        found |= {trade["id"] for trade in page}
        if len(page) < limit:
            return found
        if client.id == "bybit":
            more = {"cursor": client.last_json_response["result"]["nextPageCursor"]}
            if not more["cursor"]:
                return found
        elif client.id == "okx":
            more = {"after": min((trade["info"]["billId"] for trade in page), key=int)}
        else:
            raise SystemExit(f"{client.id}: more than {limit} trades")


def _held(client: Any, symbol: str) -> str:
    if symbol == SPOT:
        return str(client.fetch_balance()["BTC"]["total"])
    size = Decimal()
    for position in client.fetch_positions([symbol]):
        contracts = Decimal(str(position["contracts"] or 0))
        signed = contracts if position["side"] == "long" else -contracts
        size += signed * Decimal(str(position["contractSize"] or 1))
    return str(size)


if __name__ == "__main__":
    main()
