"""What Binance answers about the market, by REST and by WebSocket API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from hftmm.sim.binance.errors import INVALID_SYMBOL, ApiError, illegal, invalid, missing
from hftmm.sim.binance.exchange_info import linear_exchange_info, spot_exchange_info
from hftmm.sim.binance.instrument import Instrument
from hftmm.sim.binance.params import Params
from hftmm.sim.binance.streams import MILLISECOND, best_rows
from hftmm.sim.market import Market

# Largest limit and weight; USD-M takes only these limits.
_SPOT_DEPTHS = ((100, 5), (500, 25), (1000, 50), (5000, 250))
_LINEAR_DEPTHS = {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1000: 20}
_USUAL_INTERVAL_HOURS = 8


class PublicRest:
    """Answers requests about the market."""

    def __init__(self, market: Market, instruments: Mapping[tuple[str, str], Instrument]) -> None:
        self._market = market
        self._instruments = instruments

    def answer(
        self, market: str, name: str, params: Params, server_ms: int
    ) -> tuple[int, Any] | None:
        """Weight and value of an answer, None if it is none of these requests.

        Args:
            name: of the request, `depth`, `ticker/bookTicker`.

        Raises:
            ApiError: the parameters are not as the venue wants them.
        """
        match market, name:
            case _, "ping":
                return 1, {}
            case _, "time":
                return 1, {"serverTime": server_ms}
            case "spot", "exchangeInfo":
                chosen = self._chosen(market, params)
                shown = params.get("showPermissionSets") != "false"
                return 20, spot_exchange_info(chosen, server_ms, permission_sets=shown)
            case "linear", "exchangeInfo":
                return 1, linear_exchange_info(self._all(market), server_ms)
            case "spot", "depth":
                return self._spot_depth(params)
            case "linear", "depth":
                return self._linear_depth(params, server_ms)
            case _, "ticker/bookTicker":
                return self._book_ticker(market, params, server_ms)
            case "linear", "premiumIndex":
                return self._premium_index(params, server_ms)
            case "linear", "fundingInfo":
                return 0, self._funding_info()
        return None

    def _all(self, market: str) -> list[Instrument]:
        return [entry for (where, _), entry in self._instruments.items() if where == market]

    def _one(self, market: str, params: Params) -> Instrument:
        symbol = params.get("symbol", "")
        if not symbol:
            raise missing("symbol")
        return self._named(market, symbol)

    def _named(self, market: str, symbol: str) -> Instrument:
        instrument = self._instruments.get((market, symbol))
        if instrument is None:
            raise ApiError(*INVALID_SYMBOL)
        return instrument

    def _chosen(self, market: str, params: Params) -> list[Instrument]:
        """Instruments of `symbol` or `symbols`, all if neither is there."""
        if "symbol" in params:
            return [self._one(market, params)]
        if "symbols" not in params:
            return self._all(market)
        try:
            symbols = msgspec.json.decode(params["symbols"], type=list[str])
        except msgspec.DecodeError:
            text = (
                "Illegal characters found in parameter 'symbols'; legal range is '^\\[\"...\"\\]$'."
            )
            raise ApiError(400, -1100, text) from None
        return [self._named(market, symbol) for symbol in symbols]

    def _spot_depth(self, params: Params) -> tuple[int, Any]:
        instrument = self._one("spot", params)
        limit = min(_limit(params, 100), _SPOT_DEPTHS[-1][0])
        if limit < 1:
            raise invalid("limit")
        weight = next(weight for most, weight in _SPOT_DEPTHS if limit <= most)
        return weight, instrument.snapshot(limit)

    def _linear_depth(self, params: Params, server_ms: int) -> tuple[int, Any]:
        instrument = self._one("linear", params)
        limit = _limit(params, 500)
        if limit not in _LINEAR_DEPTHS:
            raise ApiError(400, -4021, f"'{limit}' is not valid depth limit.")
        book = {**instrument.snapshot(limit), "E": server_ms, "T": server_ms}
        return _LINEAR_DEPTHS[limit], book

    def _book_ticker(self, market: str, params: Params, server_ms: int) -> tuple[int, Any]:
        rows = []
        for instrument in self._chosen(market, params):
            (bid, bid_size), (ask, ask_size) = best_rows(instrument)
            row: dict[str, Any] = {
                "symbol": instrument.name,
                "bidPrice": bid,
                "bidQty": bid_size,
                "askPrice": ask,
                "askQty": ask_size,
            }
            if market == "linear":
                row |= {"time": server_ms, "lastUpdateId": instrument.update_id}
            rows.append(row)
        if "symbol" in params:
            return 2, rows[0]
        return (4 if market == "spot" else 5), rows

    def _premium_index(self, params: Params, server_ms: int) -> tuple[int, Any]:
        rows = [self._premium(entry, server_ms) for entry in self._chosen("linear", params)]
        return (1, rows[0]) if "symbol" in params else (10, rows)

    def _premium(self, instrument: Instrument, server_ms: int) -> dict[str, Any]:
        mark = self._market.mark(instrument.spec)
        return {
            "symbol": instrument.name,
            "markPrice": f"{mark.mark:.8f}",
            "indexPrice": f"{mark.index:.8f}",
            "estimatedSettlePrice": f"{mark.mark:.8f}",
            "lastFundingRate": f"{mark.funding_rate:.8f}",
            "interestRate": "0.00010000",
            "nextFundingTime": mark.next_funding_ns // MILLISECOND,
            "time": server_ms,
        }

    def _funding_info(self) -> list[dict[str, Any]]:
        """Only contracts whose funding differs from the usual, as the venue does it."""
        hours = {i.name: self._market.mark(i.spec).interval_hours for i in self._all("linear")}
        return [
            {
                "symbol": name,
                "adjustedFundingRateCap": "0.02000000",
                "adjustedFundingRateFloor": "-0.02000000",
                "fundingIntervalHours": interval,
                "disclaimer": False,
            }
            for name, interval in hours.items()
            if interval != _USUAL_INTERVAL_HOURS
        ]


def _limit(params: Params, default: int) -> int:
    text = params.get("limit", str(default))
    if not (text.isascii() and text.isdecimal() and len(text) <= 20):
        raise illegal("limit", "^[0-9]{1,20}$")
    return int(text)
