"""CPU of ccxt.pro from a call of create_order_ws to the text that it would send; for order_path.py.

    python ccxt_orders.py DESCRIPTION ROUNDS

Runs where ccxt is installed. DESCRIPTION is a file with what `hftmm venues` prints. `watch`, which
sends, is replaced: it makes the text as ccxt's own client does, and notes the time. Prints one line
of JSON: the median by venue and kind, in microseconds.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import ccxt.pro

WARM_UP = 20


class Sent(Exception):
    """What would have waited for an answer."""


async def main(venues: dict[str, Any], rounds: int) -> None:
    found = {}
    for name, kind, client in _clients(venues):
        await client.load_markets()
        symbol = "BTC/USDT" if kind == "spot" else "BTC/USDT:USDT"
        done_ns = 0

        async def watch(
            url: str, key: str, message: object = None, *others: object, of: Any = client
        ) -> None:
            nonlocal done_ns
            # As ccxt.pro's FastClient.send does.
            of.json(message)
            done_ns = time.perf_counter_ns()
            raise Sent

        async def authenticated(*_: object) -> None:
            pass

        client.watch, client.authenticate = watch, authenticated
        spent = []
        for number in range(rounds + WARM_UP):
            begun_ns = time.perf_counter_ns()
            try:
                await client.create_order_ws(
                    symbol,
                    "limit",
                    "buy",
                    1.0 if name == "okx" else 0.01,
                    60_000.0 + number,
                    {"postOnly": True, "clientOrderId": f"bench{number:012d}"},
                )
            except Sent:
                spent.append((done_ns - begun_ns) / 1e3)
        found[f"{name} {kind}"] = statistics.median(spent[WARM_UP:])
        await client.close()
    print(json.dumps(found))


def _clients(venues: dict[str, Any]) -> list[tuple[str, str, Any]]:
    credentials = venues["credentials"]
    key = {"apiKey": credentials["key"], "secret": credentials["secret"]}
    binance, bybit, okx = venues["binance"], venues["bybit"], venues["okx"]
    spot, linear = binance["spot"], binance["linear"]
    of_binance = {
        "public": f"{spot['rest']}/api/v3",
        "private": f"{spot['rest']}/api/v3",
        "sapi": f"{spot['rest']}/sapi/v1",
        "fapiPublic": f"{linear['rest']}/fapi/v1",
        "fapiPrivate": f"{linear['rest']}/fapi/v1",
        "ws": {"ws-api": {"spot": spot["api"], "future": linear["api"], "linear": linear["api"]}},
    }
    of_bybit = {
        **dict.fromkeys(("spot", "futures", "v2", "public", "private"), bybit["rest"]),
        "ws": {"private": {"trade": bybit["trade"]}},
    }
    of_okx = {"rest": okx["rest"], "ws": okx["private"].rpartition("/")[0]}

    def made(name: str, kinds: list[str], urls: dict[str, Any], **more: str) -> Any:
        options = {"fetchMarkets": {"types": kinds}, "fetchCurrencies": False}
        told = {**key, **more, "options": options, "urls": {"api": urls}}
        return getattr(ccxt.pro, name)(told)

    return [
        ("binance", "spot", made("binance", ["spot"], of_binance)),
        ("binance", "linear", made("binanceusdm", ["linear"], of_binance)),
        ("bybit", "spot", made("bybit", ["spot"], of_bybit)),
        ("bybit", "linear", made("bybit", ["linear"], of_bybit)),
        ("okx", "spot", made("okx", ["spot"], of_okx, password=credentials["passphrase"])),
        ("okx", "linear", made("okx", ["swap"], of_okx, password=credentials["passphrase"])),
    ]


DESCRIPTION = json.loads(Path(sys.argv[1]).read_text().partition("\n")[0])
asyncio.run(main(DESCRIPTION, int(sys.argv[2])))
