"""Balances and positions of a member as OKX writes them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal

import msgspec

from hftmm.core.instrument import Kind
from hftmm.sim.broker import Broker
from hftmm.sim.clearing import MAINTENANCE
from hftmm.sim.ledger import (
    COLLATERAL,
    Account,
    BalanceChanged,
    BrokerEvent,
    OrderChanged,
    PositionChanged,
)
from hftmm.sim.okx.instrument import Instrument, Row, milliseconds, plain
from hftmm.sim.orders import Execution

_POSITIONS_FROM = 1_700_000_000_000_000_000
_CENT = Decimal("0.00000001")

# What an account in futures mode leaves empty, for itself and for each currency.
_ACCOUNT_EMPTY = (
    "adjEq", "availEq", "borrowFroz", "imr", "mgnRatio", "mmr", "notionalUsd",
    "notionalUsdForBorrow", "notionalUsdForFutures", "notionalUsdForOption", "notionalUsdForSwap",
    "ordFroz", "upl",
)  # fmt: skip
_DETAIL_EMPTY = (
    "accAvgPx", "borrowFroz", "clSpotInUseAmt", "crossLiab", "interest", "isoLiab", "liab",
    "maxLoan", "maxSpotInUse", "maxSpotInUseAmt", "mgnRatio", "openAvgPx", "spotBal",
    "spotInUseAmt", "spotUpl", "spotUplRatio", "totalPnl", "totalPnlRatio", "uplLiab",
)  # fmt: skip
_DETAIL_ZERO = (
    "autoLendMtAmt", "colBorrAutoConversion", "colRes", "fixedBal", "frpType", "isoEq", "isoUpl",
    "notionalLever", "rewardBal", "smtSyncEq", "spotCopyTradingEq", "spotIsoBal", "stgyEq", "twap",
)  # fmt: skip
_POSITION_EMPTY = (
    "baseBal", "baseBorrowed", "baseInterest", "bizRefId", "bizRefType", "clSpotInUseAmt",
    "deltaBS", "deltaPA", "gammaBS", "gammaPA", "hedgedPos", "interest", "liab", "liabCcy",
    "margin", "maxSpotInUseAmt", "nonSettleAvgPx", "optVal", "pendingCloseOrdLiabVal", "posCcy",
    "quoteBal", "quoteBorrowed", "quoteInterest", "settledPnl", "spotInUseAmt", "spotInUseCcy",
    "thetaBS", "thetaPA", "vegaBS", "vegaPA",
)  # fmt: skip


class _Sums(msgspec.Struct, frozen=True):
    """Of one position: profit of what was closed, fees and funding paid."""

    realised: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    funding: Decimal = Decimal(0)


class Wealth:
    """What an account owns, read from the broker whenever it is asked for.

    OKX counts profit, fees and funding of a position from when it was opened; the broker from when
    the account was: what had gathered before is kept here and taken off.
    """

    def __init__(
        self, instruments: Mapping[str, Instrument], broker: Broker, account: Account
    ) -> None:
        self._changed_ns: dict[str, int] = {}
        self._opened_ns: dict[str, int] = {}
        self._last_trade: dict[str, str] = {}
        self._before: dict[str, _Sums] = {}
        self._instruments = instruments
        self._broker = broker
        self._account = account

    def enter(self, events: Iterable[BrokerEvent]) -> None:
        """Remembers of events what the broker does not keep."""
        for event in events:
            match event:
                case OrderChanged(execution=Execution() as fill):
                    self._last_trade[event.order.spec.venue_symbol] = str(fill.trade_id)
                case BalanceChanged():
                    self._changed_ns[event.asset] = event.ts_ns
                case PositionChanged():
                    name = event.spec.venue_symbol
                    if event.base:
                        self._opened_ns.setdefault(name, event.ts_ns)
                    else:
                        position = self._account.position(event.spec)
                        self._opened_ns.pop(name, None)
                        self._before[name] = _Sums(
                            position.realised, position.fees, position.funding
                        )

    def currencies(self) -> list[str]:
        """Those with anything in them."""
        return [asset for asset, balance in self._account.spot.items() if balance.total]

    def balance(self, stamp: str, only: Collection[str] | None = None) -> Row:
        """The account, with the details of its currencies or of some of them."""
        details = [
            self.detail(asset, stamp)
            for asset in self.currencies()
            if only is None or asset in only
        ]
        worth = sum((self._worth(asset) for asset in self.currencies()), Decimal(0))
        return {
            **dict.fromkeys(_ACCOUNT_EMPTY, ""),
            "delta": "",
            "deltaLever": "",
            "deltaNeutralStatus": "",
            "details": details,
            "isoEq": "0",
            "totalEq": plain(worth.quantize(_CENT)),
            "uTime": stamp,
        }

    def detail(self, asset: str, stamp: str) -> Row:
        """One currency. Cash less what is held for orders is available; profit not yet realised
        and margin count in the currency contracts settle in."""
        balance = self._account.spot[asset]
        settles = asset == COLLATERAL
        upl = self._unrealised() if settles else Decimal(0)
        available = self._broker.available(self._account, asset, Kind.SPOT)
        margin_left = self._broker.available(self._account, asset, Kind.LINEAR)
        equity = balance.total + upl
        margin = self._margin() if settles else Decimal(0)
        changed = self._changed_ns.get(asset, 0)
        price = self._broker.price(asset)
        return {
            **dict.fromkeys(_DETAIL_EMPTY, ""),
            **dict.fromkeys(_DETAIL_ZERO, "0"),
            "autoLendStatus": "off",
            "availBal": plain(available),
            "availEq": plain(margin_left),
            "cashBal": plain(balance.total),
            "ccy": asset,
            "coinUsdPrice": plain(price),
            "collateralEnabled": False,
            "collateralRestrict": False,
            "disEq": plain((equity * price).quantize(_CENT)) if settles else "0",
            "eq": plain(equity),
            "eqUsd": plain((equity * price).quantize(_CENT)),
            "frozenBal": plain(max(Decimal(0), equity - available)),
            "imr": plain(margin),
            "mmr": plain((self._notional() * MAINTENANCE).quantize(_CENT)) if settles else "0",
            "ordFrozen": plain(balance.locked),
            "uTime": milliseconds(changed) if changed else stamp,
            "upl": plain(upl),
        }

    def cash(self, asset: str, stamp: str) -> Row:
        """One currency on `balance_and_position`."""
        return {"ccy": asset, "cashBal": plain(self._account.spot[asset].total), "uTime": stamp}

    def swaps(self, *, flat: bool) -> list[Instrument]:
        """Swaps with a position; also those that had one, if `flat`."""
        return [
            one
            for one in self._instruments.values()
            if one.inst_type == "SWAP"
            and one.spec.symbol in self._account.positions
            and (flat or self._account.position(one.spec).base)
        ]

    def position(self, one: Instrument, stamp: str) -> Row:
        """One position; signed contracts, as net mode has them."""
        position = self._account.position(one.spec)
        lever = self._account.leverage_of(one.spec)
        mark = self._broker.mark(one.spec)
        notional = abs(position.base) * mark
        upl = self._broker.unrealised(self._account, one.spec)
        last = one.spec.tick * one.last_ticks
        upl_last = position.base * last - position.cost
        margin = abs(position.cost) / lever
        sums = self._sums(one)
        fee, funding = -sums.fees, -sums.funding
        opened = self._opened_ns.get(one.inst_id, position.updated_ns)
        flat = not position.base
        return {
            **dict.fromkeys(_POSITION_EMPTY, ""),
            "adl": "1" if position.base else "",
            "availPos": "",
            "avgPx": "" if flat else _price(one, position.entry),
            "bePx": "" if flat else _price(one, self._break_even(one)),
            "cTime": milliseconds(opened),
            "ccy": one.spec.quote,
            "closeOrderAlgo": [],
            "fee": plain(fee),
            "fundingFee": plain(funding),
            "idxPx": one.index(),
            "imr": plain((notional / lever).quantize(_CENT)),
            "instId": one.inst_id,
            "instType": "SWAP",
            "last": one.price(one.last_ticks),
            "lever": plain(lever),
            "liqPenalty": "0",
            "liqPx": "",
            "markPx": one.mark(),
            "mgnMode": "cross",
            "mgnRatio": "" if flat else plain(self._margin_ratio(notional)),
            "mmr": plain((notional * MAINTENANCE).quantize(_CENT)),
            "notionalUsd": plain(notional.quantize(_CENT)),
            "pnl": plain(sums.realised),
            "pos": plain(position.base / one.spec.contract),
            "posId": self._position_id(one),
            "posSide": "net",
            "realizedPnl": plain(sums.realised + fee + funding),
            "tradeId": self._last_trade.get(one.inst_id, ""),
            "uTime": milliseconds(position.updated_ns),
            "upl": plain(upl.quantize(_CENT)),
            "uplLastPx": plain(upl_last.quantize(_CENT)),
            "uplRatio": "" if flat else plain((upl / margin).quantize(_CENT)),
            "uplRatioLastPx": "" if flat else plain((upl_last / margin).quantize(_CENT)),
            "usdPx": "1",
            "pTime": stamp,
        }

    def holding(self, one: Instrument) -> Row:
        """One position on `balance_and_position`."""
        position = self._account.position(one.spec)
        return {
            "avgPx": _price(one, position.entry) if position.base else "",
            "ccy": one.spec.quote,
            "instId": one.inst_id,
            "instType": "SWAP",
            "mgnMode": "cross",
            "nonSettleAvgPx": "",
            "pos": plain(position.base / one.spec.contract),
            "posCcy": "",
            "posId": self._position_id(one),
            "posSide": "net",
            "settledPnl": "",
            "tradeId": self._last_trade.get(one.inst_id, ""),
            "uTime": milliseconds(position.updated_ns),
        }

    def _sums(self, one: Instrument) -> _Sums:
        """Profit, fees and funding since the position was opened."""
        position = self._account.position(one.spec)
        before = self._before.get(one.inst_id) or _Sums()
        return _Sums(
            position.realised - before.realised,
            position.fees - before.fees,
            position.funding - before.funding,
        )

    def _position_id(self, one: Instrument) -> str:
        return str(_POSITIONS_FROM + one.spec.code)

    def _break_even(self, one: Instrument) -> Decimal:
        """Where closing pays back what was lost, charged and paid for funding so far."""
        position = self._account.position(one.spec)
        sums = self._sums(one)
        spent = sums.fees + sums.funding - sums.realised
        return max(Decimal(0), (position.cost + spent) / position.base)

    def _margin_ratio(self, notional: Decimal) -> Decimal:
        equity = self._account.spot[COLLATERAL].total + self._unrealised()
        return (equity / (notional * MAINTENANCE)).quantize(_CENT)

    def _positions(self) -> Iterable[Instrument]:
        return self.swaps(flat=False)

    def _unrealised(self) -> Decimal:
        return sum(
            (self._broker.unrealised(self._account, one.spec) for one in self._positions()),
            Decimal(0),
        ).quantize(_CENT)

    def _notional(self) -> Decimal:
        return sum(
            (
                abs(self._account.position(one.spec).base) * self._broker.mark(one.spec)
                for one in self._positions()
            ),
            Decimal(0),
        )

    def _margin(self) -> Decimal:
        """Initial margin of positions and orders."""
        margin = Decimal(0)
        for one in self._instruments.values():
            if one.inst_type == "SWAP":
                margin += sum(self._broker.margins(self._account, one.spec))
        return margin.quantize(_CENT)

    def _worth(self, asset: str) -> Decimal:
        balance = self._account.wallet(Kind.SPOT)[asset].total
        extra = self._unrealised() if asset == COLLATERAL else Decimal(0)
        return (balance + extra) * self._broker.price(asset)


def _price(one: Instrument, price: Decimal) -> str:
    """An average price, finer than the tick."""
    return plain(price.quantize(one.spec.tick * _CENT))
