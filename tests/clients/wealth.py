"""Reads what the practice accounts are worth by ccxt, for tests in another environment.

    python wealth.py DESCRIPTION

DESCRIPTION is a file with what `hftmm venues` prints. Each line of standard input, whatever it
says, is answered by one line of JSON, by venue: `cash` (units by wallet and asset, without open
profits), `positions` (by symbol, base coins and average entry) and `orders` (how many are open).
"""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

from reader import clients

PERPETUALS = ("BTC/USDT:USDT", "ETH/USDT:USDT")
SPOTS = ("BTC/USDT", "ETH/USDT")


def main() -> None:
    venues = json.loads(Path(sys.argv[1]).read_text().partition("\n")[0])
    found = {(venue, client.id): client for venue, _, client in clients(venues)}
    for _ in sys.stdin:
        answer: dict[str, dict[str, Any]] = {}
        for (venue, _), client in found.items():
            account = answer.setdefault(venue, {"cash": {}, "positions": {}, "orders": 0})
            wallet = {"binance": "spot", "binanceusdm": "linear"}.get(client.id, "unified")
            account["cash"][wallet] = _cash(client)
            if wallet != "spot":
                account["positions"] = _positions(client)
            for symbol in (*SPOTS, *PERPETUALS):
                if wallet == "unified" or (wallet == "linear") is (symbol in PERPETUALS):
                    account["orders"] += len(client.fetch_open_orders(symbol))
        sys.stdout.write(f"{json.dumps(answer)}\n")
        sys.stdout.flush()


def _cash(client: Any) -> dict[str, str]:
    """As the venue calls it, where ccxt's own total counts open profits."""
    balance = client.fetch_balance()
    if client.id == "binanceusdm":
        return {row["asset"]: row["walletBalance"] for row in balance["info"]["assets"]}
    if client.id == "okx":
        return {row["ccy"]: row["cashBal"] for row in balance["info"]["data"][0]["details"]}
    return {asset: str(total) for asset, total in balance["total"].items()}


def _positions(client: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    told = [row for symbol in PERPETUALS for row in client.fetch_positions([symbol])]
    for position in told:
        contracts = Decimal(str(position["contracts"] or 0))
        size = contracts * Decimal(str(position["contractSize"] or 1))
        signed = size if position["side"] == "long" else -size
        if signed:
            found[position["symbol"]] = [str(signed), str(position["entryPrice"])]
    return found


if __name__ == "__main__":
    main()
