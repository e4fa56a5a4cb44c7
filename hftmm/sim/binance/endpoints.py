"""Every signed request the venue answers: by REST path and by WebSocket API method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from hftmm.sim.binance.linear import LinearFloor
from hftmm.sim.binance.linear_account import LinearAccount
from hftmm.sim.binance.linear_settings import LinearSettings
from hftmm.sim.binance.params import Params
from hftmm.sim.binance.spot import SpotFloor
from hftmm.sim.binance.spot_account import SpotAccount
from hftmm.sim.ledger import Account

Action: TypeAlias = Callable[[Account, Params, int], Any]
"""Takes the account, the parameters and the true time."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One request.

    Attributes:
        weight: what it costs; given the parameters if it depends on them.
        permission: what the key needs.
        free: it costs nothing unless it fails.
        enters: it places, amends or cancels.
        counted: its answer tells how many orders were sent.
    """

    action: Action
    weight: int | Callable[[Params], int]
    permission: Literal["read", "trade"] = "read"
    free: bool = False
    enters: bool = False
    counted: bool = False

    def cost(self, params: Params) -> int:
        return self.weight if isinstance(self.weight, int) else self.weight(params)


RestTable: TypeAlias = dict[tuple[str, str, str], Endpoint]
"""By market, method and path."""
FrameTable: TypeAlias = dict[tuple[str, str], Endpoint]
"""By market and method."""


def _by_symbol(one: int, every: int) -> Callable[[Params], int]:
    return lambda params: one if "symbol" in params else every


def spot_endpoints(floor: SpotFloor, queries: SpotAccount) -> tuple[RestTable, FrameTable]:
    """What spot answers."""
    place = Endpoint(floor.place, 1, "trade", free=True, enters=True, counted=True)
    test = Endpoint(floor.test, 1, "trade")
    cancel = Endpoint(floor.cancel, 1, "trade", free=True, enters=True)
    cancel_all = Endpoint(floor.cancel_all, 1, "trade", free=True, enters=True)
    cancel_replace = Endpoint(
        floor.cancel_replace, 1, "trade", free=True, enters=True, counted=True
    )
    amend = Endpoint(floor.amend, 4, "trade", free=True, enters=True)
    show = Endpoint(floor.show, 4)
    show_open = Endpoint(floor.show_open, _by_symbol(6, 80))
    all_orders = Endpoint(queries.all_orders, 20)
    my_trades = Endpoint(queries.my_trades, lambda params: 5 if "orderId" in params else 20)
    account = Endpoint(queries.account, 20)
    commission = Endpoint(queries.commission, 20)
    order_counts = Endpoint(queries.order_counts, 40)
    prevented = Endpoint(queries.prevented, 2)
    nothing = Endpoint(queries.nothing, 1)
    rest = {
        ("POST", "/api/v3/order"): place,
        ("POST", "/api/v3/order/test"): test,
        ("DELETE", "/api/v3/order"): cancel,
        ("GET", "/api/v3/order"): show,
        ("POST", "/api/v3/order/cancelReplace"): cancel_replace,
        ("PUT", "/api/v3/order/amend/keepPriority"): amend,
        ("GET", "/api/v3/openOrders"): show_open,
        ("DELETE", "/api/v3/openOrders"): cancel_all,
        ("GET", "/api/v3/allOrders"): all_orders,
        ("GET", "/api/v3/myTrades"): my_trades,
        ("GET", "/api/v3/myPreventedMatches"): prevented,
        ("GET", "/api/v3/account"): account,
        ("GET", "/api/v3/account/commission"): commission,
        ("GET", "/api/v3/rateLimit/order"): order_counts,
        ("GET", "/sapi/v1/asset/tradeFee"): Endpoint(queries.trade_fee, 1),
        ("GET", "/sapi/v1/capital/config/getall"): Endpoint(queries.coins, 10),
        ("GET", "/sapi/v1/margin/allPairs"): nothing,
        ("GET", "/sapi/v1/margin/isolated/allPairs"): nothing,
    }
    frames = {
        "order.place": place,
        "order.test": test,
        "order.cancel": cancel,
        "order.status": show,
        "order.cancelReplace": cancel_replace,
        "order.amend.keepPriority": amend,
        "openOrders.status": show_open,
        "openOrders.cancelAll": cancel_all,
        "allOrders": all_orders,
        "myTrades": my_trades,
        "myPreventedMatches": prevented,
        "account.status": account,
        "account.commission": commission,
        "account.rateLimits.orders": order_counts,
    }
    return (
        {("spot", *route): endpoint for route, endpoint in rest.items()},
        {("spot", method): endpoint for method, endpoint in frames.items()},
    )


def linear_endpoints(
    floor: LinearFloor, queries: LinearAccount, settings: LinearSettings
) -> tuple[RestTable, FrameTable]:
    """What USD-M answers."""
    place = Endpoint(floor.place, 0, "trade", enters=True, counted=True)
    cancel = Endpoint(floor.cancel, 1, "trade", enters=True)
    batch = replace(place, action=floor.place_batch, weight=5)
    show_open = Endpoint(floor.show_open, _by_symbol(1, 40))
    modify = Endpoint(floor.modify, 0, "trade", enters=True, counted=True)
    modify_batch = replace(modify, action=floor.modify_batch, weight=5)
    show = Endpoint(floor.show, 1)
    balance = Endpoint(queries.balance, 5)
    account_v2, account_v3 = Endpoint(queries.account_v2, 5), Endpoint(queries.account_v3, 5)
    risk_v2, risk_v3 = Endpoint(queries.risk_v2, 5), Endpoint(queries.risk_v3, 5)
    rest = {
        ("POST", "v1/order"): place,
        ("PUT", "v1/order"): modify,
        ("DELETE", "v1/order"): cancel,
        ("GET", "v1/order"): show,
        ("POST", "v1/order/test"): Endpoint(floor.test, 1, "trade"),
        ("POST", "v1/batchOrders"): batch,
        ("PUT", "v1/batchOrders"): modify_batch,
        ("DELETE", "v1/batchOrders"): replace(cancel, action=floor.cancel_batch),
        ("DELETE", "v1/allOpenOrders"): replace(cancel, action=floor.cancel_all),
        ("POST", "v1/countdownCancelAll"): Endpoint(floor.count_down, 10, "trade"),
        ("GET", "v1/openOrder"): Endpoint(floor.show_if_open, 1),
        ("GET", "v1/openOrders"): show_open,
        ("GET", "v1/allOrders"): Endpoint(queries.all_orders, 5),
        ("GET", "v1/userTrades"): Endpoint(queries.user_trades, 5),
        ("GET", "v2/balance"): balance,
        ("GET", "v3/balance"): balance,
        ("GET", "v2/account"): account_v2,
        ("GET", "v3/account"): account_v3,
        ("GET", "v1/accountConfig"): Endpoint(settings.config, 5),
        ("GET", "v2/positionRisk"): risk_v2,
        ("GET", "v3/positionRisk"): risk_v3,
        ("POST", "v1/leverage"): Endpoint(settings.set_leverage, 1, "trade"),
        ("POST", "v1/marginType"): Endpoint(settings.set_margin_type, 1, "trade"),
        ("GET", "v1/positionSide/dual"): Endpoint(settings.mode, 30),
        ("POST", "v1/positionSide/dual"): Endpoint(settings.set_mode, 1, "trade"),
        ("GET", "v1/multiAssetsMargin"): Endpoint(settings.assets_mode, 30),
        ("GET", "v1/feeBurn"): Endpoint(settings.fee_burn, 30),
        ("GET", "v1/leverageBracket"): Endpoint(settings.brackets, 1),
        ("GET", "v1/commissionRate"): Endpoint(settings.commission, 20),
        ("GET", "v1/symbolConfig"): Endpoint(settings.symbol_config, 5),
        ("GET", "v1/income"): Endpoint(queries.income, 30),
        ("GET", "v1/rateLimit/order"): Endpoint(settings.order_counts, 1),
        ("GET", "v1/apiTradingStatus"): Endpoint(settings.trading_status, _by_symbol(1, 10)),
    }
    frames = {
        "order.place": place,
        "order.modify": modify,
        "order.cancel": cancel,
        "order.status": show,
        "account.balance": balance,
        "v2/account.balance": balance,
        "account.status": account_v2,
        "v2/account.status": account_v3,
        "account.position": risk_v2,
        "v2/account.position": risk_v3,
    }
    return (
        {
            ("linear", method, f"/fapi/{path}"): endpoint
            for (method, path), endpoint in rest.items()
        },
        {("linear", method): endpoint for method, endpoint in frames.items()},
    )
