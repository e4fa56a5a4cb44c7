"""Positions and the wallet of the practice Bybit, as REST and streams show them."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from hftmm.sim.bybit.answers import Row
from hftmm.sim.bybit.instrument import MILLISECOND
from hftmm.sim.bybit.rows import ms, plain
from hftmm.sim.spec import Spec

_CENTS = Decimal("0.00000001")


class PositionView(msgspec.Struct, frozen=True, kw_only=True):
    """What a position row is made of; money in the settle coin."""

    spec: Spec
    base: Decimal
    entry: Decimal
    mark: Decimal
    leverage: Decimal
    unrealised: Decimal
    realised: Decimal
    sequence: int
    updated_ns: int

    @property
    def value(self) -> Decimal:
        return abs(self.base) * self.mark

    @property
    def margin(self) -> Decimal:
        """Initial margin."""
        return self.value / self.leverage


def position_row(view: PositionView, *, stream: bool, skew_ns: int) -> Row:
    """A position; a flat one has no side. The stream calls the entry price otherwise than REST."""
    flat = not view.base
    entry = plain(view.entry.quantize(view.spec.tick / 10_000)) if not flat else "0"
    updated = ms(view.updated_ns + skew_ns) if view.updated_ns else ""
    row: Row = {
        "positionIdx": 0,
        "tradeMode": 0,
        "riskId": 1,
        "riskLimitValue": "2000000",
        "symbol": view.spec.venue_symbol,
        "side": "" if flat else "Buy" if view.base > 0 else "Sell",
        "size": plain(abs(view.base)),
        "positionValue": plain((abs(view.base) * view.entry).quantize(_CENTS)) if not flat else "",
        "entryPrice" if stream else "avgPrice": entry,
        "leverage": plain(view.leverage),
        "markPrice": plain(view.mark),
        "liqPrice": "",
        "bustPrice": "",
        "breakEvenPrice": entry if not flat else "",
        "positionIM": plain(view.margin.quantize(_CENTS)),
        "positionIMByMp": plain(view.margin.quantize(_CENTS)),
        "positionMM": plain((view.value / 200).quantize(_CENTS)),
        "positionMMByMp": plain((view.value / 200).quantize(_CENTS)),
        "positionBalance": "0",
        "autoAddMargin": 0,
        "tpslMode": "Full",
        "takeProfit": "",
        "stopLoss": "",
        "trailingStop": "0",
        "sessionAvgPrice": "",
        "unrealisedPnl": plain(view.unrealised.quantize(_CENTS)) if not flat else "",
        "curRealisedPnl": plain(view.realised.quantize(_CENTS)),
        "cumRealisedPnl": plain(view.realised.quantize(_CENTS)),
        "positionStatus": "Normal",
        "adlRankIndicator": 0 if flat else 2,
        "isReduceOnly": False,
        "leverageSysUpdatedTime": "",
        "mmrSysUpdatedTime": "",
        "seq": view.sequence,
        "openTime": 0 if flat else (view.updated_ns + skew_ns) // MILLISECOND,
        "createdTime": updated,
        "updatedTime": updated,
    }
    return row


class CoinView(msgspec.Struct, frozen=True, kw_only=True):
    """What one coin of the wallet is made of, in that coin; `price` is what one is worth in USD."""

    coin: str
    total: Decimal
    locked: Decimal
    unrealised: Decimal = Decimal(0)
    realised: Decimal = Decimal(0)
    order_margin: Decimal = Decimal(0)
    position_margin: Decimal = Decimal(0)
    maintenance: Decimal = Decimal(0)
    price: Decimal = Decimal(1)

    @property
    def equity(self) -> Decimal:
        return self.total + self.unrealised


def wallet_row(coins: Iterable[CoinView]) -> Row:
    """The unified account: its totals in USD, its coins each in itself."""
    coins = list(coins)

    def usd(amounts: Iterable[Decimal]) -> Decimal:
        return sum(amounts, Decimal(0)).quantize(_CENTS)

    equity = usd(one.equity * one.price for one in coins)
    initial = usd((one.order_margin + one.position_margin) * one.price for one in coins)
    maintenance = usd(one.maintenance * one.price for one in coins)
    spoken_for = usd(one.locked * one.price for one in coins)
    return {
        "accountType": "UNIFIED",
        "accountIMRate": f"{initial / equity if equity else 0:.4f}",
        "accountMMRate": f"{maintenance / equity if equity else 0:.4f}",
        "accountIMRateByMp": f"{initial / equity if equity else 0:.4f}",
        "accountMMRateByMp": f"{maintenance / equity if equity else 0:.4f}",
        "accountLTV": "",
        "totalEquity": plain(equity),
        "totalWalletBalance": plain(usd(one.total * one.price for one in coins)),
        "totalMarginBalance": plain(equity),
        "totalAvailableBalance": plain(equity - initial - spoken_for),
        "totalPerpUPL": plain(usd(one.unrealised * one.price for one in coins)),
        "totalInitialMargin": plain(initial),
        "totalMaintenanceMargin": plain(maintenance),
        "totalInitialMarginByMp": plain(initial),
        "totalMaintenanceMarginByMp": plain(maintenance),
        "coin": [_coin_row(one) for one in coins],
    }


def _coin_row(view: CoinView) -> Row:
    return {
        "coin": view.coin,
        "equity": plain(view.equity),
        "usdValue": plain((view.equity * view.price).quantize(_CENTS)),
        "walletBalance": plain(view.total),
        "free": "",
        "locked": plain(view.locked),
        "spotHedgingQty": "0",
        "borrowAmount": "0",
        "spotBorrow": "0",
        "availableToBorrow": "",
        "availableToWithdraw": "",
        "accruedInterest": "0",
        "totalOrderIM": plain(view.order_margin.quantize(_CENTS)),
        "totalPositionIM": plain(view.position_margin.quantize(_CENTS)),
        "totalPositionMM": plain(view.maintenance.quantize(_CENTS)),
        "unrealisedPnl": plain(view.unrealised.quantize(_CENTS)),
        "cumRealisedPnl": plain(view.realised.quantize(_CENTS)),
        "bonus": "0",
        "marginCollateral": True,
        "collateralSwitch": True,
        "colRes": "0",
    }
