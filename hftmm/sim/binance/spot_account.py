"""The spot account: balances, past orders, fills, fees and what the key may do."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from hftmm.core.fees import FeeRates
from hftmm.sim.binance.history import page, page_of_fills
from hftmm.sim.binance.keys import ApiKey
from hftmm.sim.binance.limits import Window
from hftmm.sim.binance.params import Params, flag
from hftmm.sim.binance.spot import SpotFloor
from hftmm.sim.binance.spot_view import eight, order_row, trade_row
from hftmm.sim.ledger import Account

SPOT_FEES: Final = FeeRates(Decimal(10), Decimal(10))
"""VIP 0: 0.1 % either way."""
USER_ID: Final = 354937868
_NOTHING = "0.00000000"


def rate(bps: Decimal) -> str:
    """Basis points as the fraction the venue writes."""
    return f"{bps / 10_000:.8f}"


class SpotAccount:
    """Queries of the spot account."""

    def __init__(self, floor: SpotFloor) -> None:
        self._floor = floor

    def account(self, account: Account, params: Params, now_ns: int) -> dict[str, Any]:
        """`GET /api/v3/account`, `account.status`."""
        maker, taker = rate(SPOT_FEES.maker_bps), rate(SPOT_FEES.taker_bps)
        rows = [
            {"asset": asset, "free": eight(balance.free), "locked": eight(balance.locked)}
            for asset, balance in account.spot.items()
            if balance.total or not flag(params, "omitZeroBalances")
        ]
        return {
            "makerCommission": int(SPOT_FEES.maker_bps),
            "takerCommission": int(SPOT_FEES.taker_bps),
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": {
                "maker": maker,
                "taker": taker,
                "buyer": _NOTHING,
                "seller": _NOTHING,
            },
            "canTrade": True,
            "canWithdraw": False,
            "canDeposit": False,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": self._floor.clock.ms(now_ns),
            "accountType": "SPOT",
            "balances": rows,
            "permissions": ["SPOT"],
            "uid": USER_ID,
        }

    def all_orders(self, account: Account, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """`GET /api/v3/allOrders`, `allOrders`."""
        instrument = self._floor.instrument(params)
        clock = self._floor.clock
        chosen = page(
            [order for order in account.orders.values() if order.spec is instrument.spec],
            params,
            lambda order: clock.ms(order.created_ns),
            lambda order: order.id,
            id_name="orderId",
            most_hours=24,
        )
        return [order_row(instrument, order, order.client_id, clock) for order in chosen]

    def my_trades(self, account: Account, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """`GET /api/v3/myTrades`, `myTrades`."""
        instrument, clock = self._floor.instrument(params), self._floor.clock
        fills = page_of_fills(account, instrument.spec, params, clock, 24)
        return [trade_row(instrument, fill.order, fill, clock) for fill in fills]

    def prevented(self, account: Account, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """`GET /api/v3/preventedMatches`: self-trades that expired an order are not kept."""
        self._floor.instrument(params)
        return []

    def commission(self, account: Account, params: Params, now_ns: int) -> dict[str, Any]:
        """`GET /api/v3/account/commission`, `account.commission`."""
        nothing = dict.fromkeys(("maker", "taker", "buyer", "seller"), _NOTHING)
        standard = {
            **nothing,
            "maker": rate(SPOT_FEES.maker_bps),
            "taker": rate(SPOT_FEES.taker_bps),
        }
        return {
            "symbol": self._floor.instrument(params).name,
            "standardCommission": standard,
            "specialCommission": nothing,
            "taxCommission": nothing,
            "discount": {
                "enabledForAccount": False,
                "enabledForSymbol": False,
                "discountAsset": "BNB",
                "discount": "0.75000000",
            },
        }

    def trade_fee(self, account: Account, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """`GET /sapi/v1/asset/tradeFee`."""
        maker, taker = SPOT_FEES.maker_bps / 10_000, SPOT_FEES.taker_bps / 10_000
        return [
            {"symbol": entry.name, "makerCommission": f"{maker}", "takerCommission": f"{taker}"}
            for entry in self._floor.chosen(params)
        ]

    def order_counts(self, account: Account, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """`GET /api/v3/rateLimit/order`, `account.rateLimits.orders`."""
        windows: list[Window] = self._floor.limits.orders
        return [window.shown(now_ns) for window in windows]

    def coins(self, account: Account, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """`GET /sapi/v1/capital/config/getall`: every coin, none of which can leave."""
        return [
            {
                "coin": asset,
                "depositAllEnable": False,
                "free": eight(balance.free),
                "freeze": "0",
                "ipoable": "0",
                "ipoing": "0",
                "isLegalMoney": False,
                "locked": eight(balance.locked),
                "name": asset,
                "networkList": [],
                "storage": "0",
                "trading": True,
                "withdrawAllEnable": False,
                "withdrawing": "0",
            }
            for asset, balance in account.spot.items()
        ]

    def nothing(self, account: Account, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """Lists that are empty here: margin pairs, isolated margin pairs."""
        return []


def restrictions(key: ApiKey, now_ms: int) -> dict[str, Any]:
    """`GET /sapi/v1/account/apiRestrictions`."""
    rights = key.credentials.permissions
    trades = "trade" in rights
    withdraws = "withdraw" in rights
    return {
        "ipRestrict": True,
        "createTime": now_ms - now_ms % 86_400_000,
        "enableReading": "read" in rights,
        "enableWithdrawals": withdraws,
        "enableInternalTransfer": withdraws,
        "enableMargin": False,
        "enableFutures": trades,
        "permitsUniversalTransfer": withdraws,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
        "enableSpotAndMarginTrading": trades,
        "enablePortfolioMarginTrading": False,
    }
