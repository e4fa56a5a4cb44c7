"""The USD-M account: wallet, positions, past orders and what moved the balance."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from hftmm.core.fees import FeeRates
from hftmm.core.instrument import Kind
from hftmm.sim.binance.history import page, page_of_fills
from hftmm.sim.binance.instrument import Instrument
from hftmm.sim.binance.linear import LinearFloor
from hftmm.sim.binance.linear_view import eight, order_row, plain, trade_row
from hftmm.sim.binance.params import Params
from hftmm.sim.clearing import MAINTENANCE
from hftmm.sim.ledger import COLLATERAL, Account

LINEAR_FEES: Final = FeeRates(Decimal(2), Decimal(5))
"""VIP 0: 0.02 % maker, 0.05 % taker."""
NOTIONAL_CAP: Final = 50_000_000
_WEEK_HOURS = 7 * 24


class LinearAccount:
    """Queries of the USD-M account."""

    def __init__(self, floor: LinearFloor) -> None:
        self._floor = floor

    def balance(self, account: Account, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """`GET /fapi/v3/balance`, `v2/account.balance`."""
        broker = self._floor.broker
        profit = self._profit(account)
        return [
            {
                "accountAlias": "SgsR",
                "asset": asset,
                "balance": eight(balance.total),
                "crossWalletBalance": eight(balance.total),
                "crossUnPnl": eight(profit if asset == COLLATERAL else Decimal(0)),
                "availableBalance": eight(broker.available(account, asset, Kind.LINEAR)),
                "maxWithdrawAmount": eight(broker.available(account, asset, Kind.LINEAR)),
                "marginAvailable": True,
                "updateTime": self._floor.clock.ms(now_ns),
            }
            for asset, balance in account.linear.items()
        ]

    def account_v2(self, account: Account, params: Params, now_ns: int) -> dict[str, Any]:
        """`GET /fapi/v2/account`: every contract has a position."""
        positions = [self._position_v2(account, entry) for entry in self._floor.instruments]
        return {
            "feeTier": 0,
            "feeBurn": False,
            "canTrade": True,
            "canDeposit": True,
            "canWithdraw": True,
            "tradeGroupId": -1,
            "updateTime": 0,
            "multiAssetsMargin": False,
            **self._totals(account, now_ns),
            "positions": positions,
        }

    def account_v3(self, account: Account, params: Params, now_ns: int) -> dict[str, Any]:
        """`GET /fapi/v3/account`, `v2/account.status`: positions and open orders only."""
        rows = []
        for entry in self._shown(account):
            amount, risk = account.position(entry.spec).base, self._risk(account, entry)
            rows.append(
                {
                    "symbol": entry.name,
                    "positionSide": "BOTH",
                    "positionAmt": entry.written_size(amount),
                    "unrealizedProfit": risk["unRealizedProfit"],
                    "isolatedMargin": "0",
                    "notional": risk["notional"],
                    "isolatedWallet": "0",
                    "initialMargin": risk["initialMargin"],
                    "maintMargin": risk["maintMargin"],
                    "updateTime": risk["updateTime"],
                }
            )
        return {**self._totals(account, now_ns), "positions": rows}

    def risk_v2(self, account: Account, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """`GET /fapi/v2/positionRisk`: every contract."""
        rows = []
        for entry in self._floor.chosen(params):
            risk = self._risk(account, entry)
            leverage = account.leverage_of(entry.spec)
            kept = ("symbol", "positionAmt", "entryPrice", "breakEvenPrice", "markPrice")
            rows.append(
                {name: risk[name] for name in kept}
                | {
                    "unRealizedProfit": risk["unRealizedProfit"],
                    "liquidationPrice": risk["liquidationPrice"],
                    "leverage": f"{leverage:f}",
                    "maxNotionalValue": str(NOTIONAL_CAP),
                    "marginType": "cross",
                    "isolatedMargin": "0.00000000",
                    "isAutoAddMargin": "false",
                    "positionSide": "BOTH",
                    "notional": risk["notional"],
                    "isolatedWallet": "0",
                    "updateTime": risk["updateTime"],
                }
            )
        return rows

    def risk_v3(self, account: Account, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """`GET /fapi/v3/positionRisk`, `v2/account.position`: positions and open orders only."""
        chosen = self._floor.chosen(params)
        return [self._risk(account, entry) for entry in self._shown(account) if entry in chosen]

    def all_orders(self, account: Account, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """`GET /fapi/v1/allOrders`."""
        entry, clock = self._floor.instrument(params), self._floor.clock
        chosen = page(
            [order for order in account.orders.values() if order.spec is entry.spec],
            params,
            lambda order: clock.ms(order.created_ns),
            lambda order: order.id,
            id_name="orderId",
            most_hours=_WEEK_HOURS,
        )
        return [order_row(entry, order, clock) for order in chosen]

    def user_trades(self, account: Account, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """`GET /fapi/v1/userTrades`."""
        entry, clock = self._floor.instrument(params), self._floor.clock
        fills = page_of_fills(account, entry.spec, params, clock, _WEEK_HOURS)
        return [trade_row(entry, fill.order, fill, clock) for fill in fills]

    def income(self, account: Account, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """`GET /fapi/v1/income`: realised profit, commission and funding, oldest first."""
        rows = [row for row in self._incomes(account) if self._wanted(row, params)]
        return page(
            rows,
            {name: value for name, value in params.items() if name != "orderId"},
            lambda row: int(row["time"]),
            lambda row: int(row["tranId"]),
            id_name="fromTranId",
            most_hours=_WEEK_HOURS,
        )

    def _incomes(self, account: Account) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for fill in account.executions:
            if fill.order.spec.kind is not Kind.LINEAR:
                continue
            name, when = self._floor.of(fill.order).name, fill.ts_ns
            if fill.realised:
                realised = ("REALIZED_PNL", fill.realised, str(fill.trade_id))
                rows.append(self._income(name, *realised, when))
            if fill.fee:
                rows.append(self._income(name, "COMMISSION", -fill.fee, str(fill.trade_id), when))
        for funding in account.fundings:
            name = funding.spec.venue_symbol
            rows.append(self._income(name, "FUNDING_FEE", funding.amount, "", funding.ts_ns))
        rows.sort(key=lambda row: int(row["time"]))
        return [{**row, "tranId": number} for number, row in enumerate(rows, 1)]

    def _income(
        self, name: str, kind: str, amount: Decimal, trade: str, ts_ns: int
    ) -> dict[str, Any]:
        return {
            "symbol": name,
            "incomeType": kind,
            "income": eight(amount),
            "asset": COLLATERAL,
            "info": kind if kind != "REALIZED_PNL" else trade,
            "time": self._floor.clock.ms(ts_ns),
            "tradeId": trade,
        }

    def _wanted(self, row: dict[str, Any], params: Params) -> bool:
        return all(
            params.get(name, row[key]) == row[key]
            for name, key in (("symbol", "symbol"), ("incomeType", "incomeType"))
        )

    def _profit(self, account: Account) -> Decimal:
        broker = self._floor.broker
        instruments = self._floor.instruments
        return sum((broker.unrealised(account, i.spec) for i in instruments), Decimal(0))

    def _shown(self, account: Account) -> list[Instrument]:
        busy = {order.spec.symbol for order in account.open.values()}
        return [
            entry
            for entry in self._floor.instruments
            if account.position(entry.spec).base or entry.spec.symbol in busy
        ]

    def _totals(self, account: Account, now_ns: int) -> dict[str, Any]:
        """Sums of the account, and its one asset."""
        broker = self._floor.broker
        specs = [entry.spec for entry in self._floor.instruments]
        margins_of = [broker.margins(account, spec) for spec in specs]
        for_positions = sum((own for own, _ in margins_of), Decimal(0))
        for_orders = sum((more for _, more in margins_of), Decimal(0))
        marks = (abs(account.position(s).base) * broker.mark(s) for s in specs)
        maintenance = sum(marks, Decimal(0)) * MAINTENANCE
        wallet, profit = account.linear[COLLATERAL].total, self._profit(account)
        available = eight(broker.available(account, COLLATERAL, Kind.LINEAR))
        margins = {
            "InitialMargin": eight(for_positions + for_orders),
            "MaintMargin": eight(maintenance),
            "WalletBalance": eight(wallet),
            "UnrealizedProfit": eight(profit),
            "MarginBalance": eight(wallet + profit),
            "PositionInitialMargin": eight(for_positions),
            "OpenOrderInitialMargin": eight(for_orders),
            "CrossWalletBalance": eight(wallet),
            "CrossUnPnl": eight(profit),
        }
        asset = {name[0].lower() + name[1:]: value for name, value in margins.items()}
        return {
            **{f"total{name}": value for name, value in margins.items()},
            "availableBalance": available,
            "maxWithdrawAmount": available,
            "assets": [
                {
                    "asset": COLLATERAL,
                    **asset,
                    "availableBalance": available,
                    "maxWithdrawAmount": available,
                    "marginAvailable": True,
                    "updateTime": self._floor.clock.ms(now_ns),
                }
            ],
        }

    def _position_v2(self, account: Account, entry: Instrument) -> dict[str, Any]:
        risk = self._risk(account, entry)
        return {
            "symbol": entry.name,
            "initialMargin": risk["initialMargin"],
            "maintMargin": risk["maintMargin"],
            "unrealizedProfit": risk["unRealizedProfit"],
            "positionInitialMargin": risk["positionInitialMargin"],
            "openOrderInitialMargin": risk["openOrderInitialMargin"],
            "leverage": f"{account.leverage_of(entry.spec):f}",
            "isolated": False,
            "entryPrice": risk["entryPrice"],
            "breakEvenPrice": risk["breakEvenPrice"],
            "maxNotional": str(NOTIONAL_CAP),
            "bidNotional": "0",
            "askNotional": "0",
            "positionSide": "BOTH",
            "positionAmt": risk["positionAmt"],
            "updateTime": risk["updateTime"],
            "notional": risk["notional"],
            "isolatedWallet": "0",
        }

    def _risk(self, account: Account, entry: Instrument) -> dict[str, Any]:
        broker, spec = self._floor.broker, entry.spec
        position, mark = account.position(spec), broker.mark(spec)
        notional = position.base * mark
        own, orders = broker.margins(account, spec)
        return {
            "symbol": entry.name,
            "positionSide": "BOTH",
            "positionAmt": entry.written_size(position.base),
            "entryPrice": plain(round(position.entry, 8)),
            "breakEvenPrice": plain(round(break_even(position.base, position.entry), 8)),
            "markPrice": eight(mark),
            "unRealizedProfit": eight(broker.unrealised(account, spec)),
            "liquidationPrice": "0",
            "isolatedMargin": "0",
            "notional": eight(notional),
            "marginAsset": COLLATERAL,
            "isolatedWallet": "0",
            "initialMargin": eight(own + orders),
            "maintMargin": eight(abs(notional) * MAINTENANCE),
            "positionInitialMargin": eight(own),
            "openOrderInitialMargin": eight(orders),
            "adl": 0,
            "bidNotional": "0",
            "askNotional": "0",
            "updateTime": self._floor.clock.ms(position.updated_ns) if position.base else 0,
        }


def break_even(base: Decimal, entry: Decimal) -> Decimal:
    """The price at which closing pays for both taker fees."""
    fee = LINEAR_FEES.taker_bps / 10_000
    if not base:
        return Decimal(0)
    return entry * (1 + fee) if base > 0 else entry * (1 - fee)
