"""`exchangeInfo` of both markets, with every documented field."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hftmm.core.instrument import decimal_places
from hftmm.sim.binance.instrument import Instrument
from hftmm.sim.binance.limits import Limits, Window

_MOST_TICKS = Decimal(100_000_000)
_MOST_LOTS = Decimal(1_000_000_000)
_FOREVER_MS = 4133404800000  # what the venue writes for contracts that never expire
_ONBOARD_MS = 1569398400000


def _limits(market: str) -> list[dict[str, Any]]:
    limits = Limits(market)
    return [window.described() for window in (limits.weight, *limits.orders)]


def spot_exchange_info(
    instruments: list[Instrument], server_ms: int, *, permission_sets: bool
) -> dict[str, Any]:
    """`GET /api/v3/exchangeInfo`."""
    return {
        "timezone": "UTC",
        "serverTime": server_ms,
        "rateLimits": [
            *_limits("spot"),
            Window("RAW_REQUESTS", "MINUTE", 5, 300_000).described(),
        ],
        "exchangeFilters": [],
        "symbols": [_spot_symbol(i, [["SPOT"]] if permission_sets else []) for i in instruments],
    }


def _spot_symbol(instrument: Instrument, permission_sets: list[list[str]]) -> dict[str, Any]:
    spec = instrument.spec
    price, size = instrument.written_price, instrument.written_size
    most_size = size(spec.lot * _MOST_LOTS)
    return {
        "symbol": instrument.name,
        "status": "TRADING",
        "baseAsset": spec.base,
        "baseAssetPrecision": 8,
        "quoteAsset": spec.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": price(spec.tick),
                "maxPrice": price(spec.tick * _MOST_TICKS),
                "tickSize": price(spec.tick),
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": size(spec.min_size),
                "maxQty": most_size,
                "stepSize": size(spec.lot),
            },
            {"filterType": "ICEBERG_PARTS", "limit": 100},
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": size(Decimal(0)),
                "maxQty": most_size,
                "stepSize": size(Decimal(0)),
            },
            {
                "filterType": "TRAILING_DELTA",
                "minTrailingAboveDelta": 10,
                "maxTrailingAboveDelta": 2000,
                "minTrailingBelowDelta": 10,
                "maxTrailingBelowDelta": 2000,
            },
            {
                "filterType": "PERCENT_PRICE_BY_SIDE",
                "bidMultiplierUp": "5",
                "bidMultiplierDown": "0.2",
                "askMultiplierUp": "5",
                "askMultiplierDown": "0.2",
                "avgPriceMins": 5,
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": f"{spec.min_notional:.8f}",
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
            {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": 20},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
            {"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": 10},
        ],
        "permissions": [],
        "permissionSets": permission_sets,
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": [
            "NONE",
            "EXPIRE_TAKER",
            "EXPIRE_MAKER",
            "EXPIRE_BOTH",
        ],
    }


def linear_exchange_info(instruments: list[Instrument], server_ms: int) -> dict[str, Any]:
    """`GET /fapi/v1/exchangeInfo`."""
    return {
        "timezone": "UTC",
        "serverTime": server_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": [
            *_limits("linear"),
        ],
        "exchangeFilters": [],
        "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}],
        "symbols": [_linear_symbol(instrument) for instrument in instruments],
    }


def _linear_symbol(instrument: Instrument) -> dict[str, Any]:
    spec = instrument.spec
    price, size = instrument.written_price, instrument.written_size
    lots = {
        "minQty": size(spec.min_size),
        "maxQty": size(spec.lot * _MOST_LOTS),
        "stepSize": size(spec.lot),
    }
    return {
        "symbol": instrument.name,
        "pair": instrument.name,
        "contractType": "PERPETUAL",
        "deliveryDate": _FOREVER_MS,
        "onboardDate": _ONBOARD_MS,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": spec.base,
        "quoteAsset": spec.quote,
        "marginAsset": spec.quote,
        # Finer than the steps: a precision is what a number may be written with.
        "pricePrecision": decimal_places(spec.tick) + 1,
        "quantityPrecision": decimal_places(spec.lot) + 1,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW"],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10000,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": price(spec.tick),
                "maxPrice": price(spec.tick * _MOST_TICKS),
                "tickSize": price(spec.tick),
            },
            {"filterType": "LOT_SIZE", **lots},
            {"filterType": "MARKET_LOT_SIZE", **lots},
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": f"{spec.min_notional:f}"},
            {
                "filterType": "PERCENT_PRICE",
                "multiplierUp": "1.0500",
                "multiplierDown": "0.9500",
                "multiplierDecimal": "4",
            },
        ],
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }
