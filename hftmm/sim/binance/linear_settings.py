"""Settings of the USD-M account, and what the venue tells of its rules: modes, margin, fees."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hftmm.core.instrument import Kind
from hftmm.sim.binance.errors import ApiError, invalid
from hftmm.sim.binance.linear import LinearFloor
from hftmm.sim.binance.linear_account import LINEAR_FEES, NOTIONAL_CAP
from hftmm.sim.binance.params import Params, flag, number, text
from hftmm.sim.broker import MAX_LEVERAGE
from hftmm.sim.clearing import MAINTENANCE
from hftmm.sim.ledger import Account
from hftmm.sim.orders import Refused

_NOT_HERE = "This operation is not supported."


class LinearSettings:
    """What can be set, and what only be read."""

    def __init__(self, floor: LinearFloor) -> None:
        self._floor = floor

    def config(self, account: Account, params: Params, now_ns: int) -> dict[str, Any]:
        """`GET /fapi/v1/accountConfig`."""
        return {
            "feeTier": 0,
            "canTrade": True,
            "canDeposit": True,
            "canWithdraw": True,
            "dualSidePosition": False,
            "updateTime": 0,
            "multiAssetsMargin": False,
            "tradeGroupId": -1,
        }

    def set_leverage(self, account: Account, params: Params, now_ns: int) -> dict[str, Any]:
        """`POST /fapi/v1/leverage`."""
        entry = self._floor.instrument(params)
        text(params, "leverage")
        leverage = number(params, "leverage") or 0
        if not 1 <= leverage <= MAX_LEVERAGE:
            raise ApiError(400, -4028, f"Leverage {leverage} is not valid")
        refused = self._floor.broker.set_leverage(account, entry.spec, Decimal(leverage))
        if isinstance(refused, Refused):
            raise ApiError(400, -2019, "Margin is insufficient.")
        return {
            "symbol": entry.name,
            "leverage": leverage,
            "maxNotionalValue": str(NOTIONAL_CAP),
        }

    def set_margin_type(self, account: Account, params: Params, now_ns: int) -> dict[str, Any]:
        """`POST /fapi/v1/marginType`: all margin is cross margin."""
        spec = self._floor.instrument(params).spec
        margin_type = text(params, "marginType")
        if margin_type == "CROSSED":
            raise ApiError(400, -4046, "No need to change margin type.")
        if margin_type != "ISOLATED":
            raise invalid("marginType")
        if self._floor.broker.open_orders(account, spec=spec):
            words = "Margin type cannot be changed if there exists open orders."
            raise ApiError(400, -4047, words)
        if account.position(spec).base:
            raise ApiError(400, -4048, "Margin type cannot be changed if there exists position.")
        raise ApiError(400, -1020, _NOT_HERE)

    def mode(self, account: Account, params: Params, now_ns: int) -> dict[str, Any]:
        """`GET /fapi/v1/positionSide/dual`: one-way."""
        return {"dualSidePosition": False}

    def set_mode(self, account: Account, params: Params, now_ns: int) -> dict[str, Any]:
        """`POST /fapi/v1/positionSide/dual`: accounts stay one-way."""
        text(params, "dualSidePosition")
        if not flag(params, "dualSidePosition"):
            raise ApiError(400, -4059, "No need to change position side.")
        if self._floor.broker.open_orders(account, kind=Kind.LINEAR):
            words = "Position side cannot be changed if there exists open orders."
            raise ApiError(400, -4067, words)
        if any(position.base for position in account.positions.values()):
            words = "Position side cannot be changed if there exists position."
            raise ApiError(400, -4068, words)
        raise ApiError(400, -1020, _NOT_HERE)

    def assets_mode(self, account: Account, params: Params, now_ns: int) -> dict[str, Any]:
        """`GET /fapi/v1/multiAssetsMargin`."""
        return {"multiAssetsMargin": False}

    def fee_burn(self, account: Account, params: Params, now_ns: int) -> dict[str, Any]:
        """`GET /fapi/v1/feeBurn`: fees are paid in the margin asset."""
        return {"feeBurn": False}

    def brackets(self, account: Account, params: Params, now_ns: int) -> Any:
        """`GET /fapi/v1/leverageBracket`: one bracket a contract."""
        rows = [
            {
                "symbol": entry.name,
                "notionalCoef": 1.0,
                "brackets": [
                    {
                        "bracket": 1,
                        "initialLeverage": MAX_LEVERAGE,
                        "notionalCap": NOTIONAL_CAP,
                        "notionalFloor": 0,
                        "maintMarginRatio": float(MAINTENANCE),
                        "cum": 0.0,
                    }
                ],
            }
            for entry in self._floor.chosen(params)
        ]
        return rows[0] if "symbol" in params else rows

    def commission(self, account: Account, params: Params, now_ns: int) -> dict[str, Any]:
        """`GET /fapi/v1/commissionRate`."""
        return {
            "symbol": self._floor.instrument(params).name,
            "makerCommissionRate": f"{LINEAR_FEES.maker_bps / 10_000:f}",
            "takerCommissionRate": f"{LINEAR_FEES.taker_bps / 10_000:f}",
            "rpiCommissionRate": "0",
        }

    def symbol_config(self, account: Account, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """`GET /fapi/v1/symbolConfig`."""
        return [
            {
                "symbol": entry.name,
                "marginType": "CROSSED",
                "isAutoAddMargin": False,
                "leverage": int(account.leverage_of(entry.spec)),
                "maxNotionalValue": str(NOTIONAL_CAP),
            }
            for entry in self._floor.chosen(params)
        ]

    def order_counts(self, account: Account, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """`GET /fapi/v1/rateLimit/order`."""
        return [window.described() for window in self._floor.limits.orders]

    def trading_status(self, account: Account, params: Params, now_ns: int) -> dict[str, Any]:
        """`GET /fapi/v1/apiTradingStatus`: nothing locks this account."""
        return {"indicators": {}, "updateTime": self._floor.clock.ms(now_ns)}
