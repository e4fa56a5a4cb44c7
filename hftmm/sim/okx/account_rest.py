"""The REST calls of members about their account: balances, positions, settings, fees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from hftmm.core.instrument import Kind, Side
from hftmm.sim.broker import Broker
from hftmm.sim.ledger import COLLATERAL, Account, Credentials
from hftmm.sim.okx.entry import price_limit
from hftmm.sim.okx.instrument import Instrument, Row, plain
from hftmm.sim.okx.member_rest import Asked, Call
from hftmm.sim.okx.refusal import Refusal, missing, of_order, unknown_instrument, wrong
from hftmm.sim.okx.tickets import House, number, text
from hftmm.sim.okx.wealth import Wealth

_BPS = Decimal(10_000)
_PERMISSIONS = {"read": "read_only", "withdraw": "withdraw", "trade": "trade"}


class AccountRest:
    """Answers about the one account there is.

    Args:
        user: its id.
    """

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        broker: Broker,
        account: Account,
        wealth: Wealth,
        house: House,
        user: str,
    ) -> None:
        self._instruments = instruments
        self._broker = broker
        self._account = account
        self._wealth = wealth
        self._house = house
        self._user = user

    def calls(self) -> dict[tuple[str, str], Call]:
        """By method and path."""
        return {
            ("GET", "account/config"): self._config,
            ("GET", "account/balance"): self._balance,
            ("GET", "account/positions"): self._positions,
            ("GET", "account/trade-fee"): self._trade_fee,
            ("GET", "account/instruments"): self._definitions,
            ("GET", "account/leverage-info"): self._leverage,
            ("GET", "account/max-size"): self._max_size,
            ("GET", "asset/currencies"): self._currencies,
            ("GET", "asset/balances"): lambda member, asked, now_ns, stamp: [],
            ("POST", "account/set-leverage"): self._set_leverage,
            ("POST", "account/set-position-mode"): self._set_position_mode,
        }

    def _config(self, member: Credentials, asked: Asked, now_ns: int, stamp: str) -> Sequence[Row]:
        """The settings, and what the key may do."""
        permissions = [word for name, word in _PERMISSIONS.items() if name in member.permissions]
        row: Row = {
            "acctLv": self._house.account_level,
            "acctStpMode": "cancel_maker",
            "autoLoan": False,
            "ctIsoMode": "automatic",
            "enableSpotBorrow": False,
            "feeType": "0",
            "greeksType": "PA",
            "ip": "127.0.0.1",
            "kycLv": "3",
            "label": "practice",
            "level": "Lv1",
            "levelTmp": "",
            "liquidationGear": "-1",
            "mainUid": self._user,
            "mgnIsoMode": "automatic",
            "opAuth": "0",
            "perm": ",".join(permissions),
            "posMode": self._house.position_mode,
            "roleType": "0",
            "settleCcy": COLLATERAL,
            "settleCcyList": [COLLATERAL],
            "spotBorrowAutoRepay": False,
            "spotOffsetType": "",
            "spotRoleType": "0",
            "spotTraderInsts": [],
            "stgyType": "0",
            "traderInsts": [],
            "type": "0",
            "uid": self._user,
        }
        return [row]

    def _balance(self, member: Credentials, asked: Asked, now_ns: int, stamp: str) -> Sequence[Row]:
        only = text(asked, "ccy")
        return [self._wealth.balance(stamp, only.split(",") if only else None)]

    def _positions(
        self, member: Credentials, asked: Asked, now_ns: int, stamp: str
    ) -> Sequence[Row]:
        names = [name for name in text(asked, "instId").split(",") if name]
        kind = text(asked, "instType")
        if kind not in ("", "MARGIN", "SWAP", "FUTURES", "OPTION"):
            raise wrong("instType")
        if kind not in ("", "SWAP"):
            return []
        # One that was closed is shown only to who asks for its instrument.
        return [
            self._wealth.position(one, stamp)
            for one in self._wealth.swaps(flat=bool(names))
            if not names or one.inst_id in names
        ]

    def _trade_fee(
        self, member: Credentials, asked: Asked, now_ns: int, stamp: str
    ) -> Sequence[Row]:
        kind = text(asked, "instType")
        if kind not in ("SPOT", "SWAP"):
            raise wrong("instType") if kind else missing("instType")
        swap = kind == "SWAP"
        rates = self._broker.fees[Kind.LINEAR if swap else Kind.SPOT]
        # OKX writes a commission as a negative rate.
        maker, taker = plain(-rates.maker_bps / _BPS), plain(-rates.taker_bps / _BPS)
        group = {
            "elpMaker": maker,
            "groupId": "2" if swap else "1",
            "maker": maker,
            "rpiMaker": maker,
            "taker": taker,
        }
        return [
            {
                "category": "1",
                "delivery": "",
                "exercise": "",
                "feeGroup": [group],
                "fiat": [],
                "instType": kind,
                "level": "Lv1",
                "maker": maker,
                "makerU": maker if swap else "",
                "makerUSDC": "",
                "ruleType": "normal",
                "settle": "",
                "taker": taker,
                "takerU": taker if swap else "",
                "takerUSDC": "",
                "ts": stamp,
            }
        ]

    def _definitions(
        self, member: Credentials, asked: Asked, now_ns: int, stamp: str
    ) -> Sequence[Row]:
        kind, name = text(asked, "instType"), text(asked, "instId")
        if not kind:
            raise missing("instType")
        return [
            one.definition()
            for one in self._instruments.values()
            if one.inst_type == kind and name in ("", one.inst_id)
        ]

    def _leverage(
        self, member: Credentials, asked: Asked, now_ns: int, stamp: str
    ) -> Sequence[Row]:
        mode = _margin_mode(asked)
        return [
            {
                "ccy": "",
                "instId": one.inst_id,
                "lever": plain(self._account.leverage_of(one.spec)),
                "mgnMode": mode,
                "posSide": "net",
            }
            for one in self._swaps(asked)
        ]

    def _set_leverage(
        self, member: Credentials, asked: Asked, now_ns: int, stamp: str
    ) -> Sequence[Row]:
        mode = _margin_mode(asked)
        lever = number(asked, "lever")
        one, *others = self._swaps(asked)
        if others:
            raise wrong("instId")
        refused = self._broker.set_leverage(self._account, one.spec, lever)
        if refused is not None:
            raise of_order(refused.rule, {"asset": one.spec.quote})
        return [{"instId": one.inst_id, "lever": plain(lever), "mgnMode": mode, "posSide": ""}]

    def _set_position_mode(
        self, member: Credentials, asked: Asked, now_ns: int, stamp: str
    ) -> Sequence[Row]:
        mode = text(asked, "posMode")
        if mode not in ("net_mode", "long_short_mode"):
            raise wrong("posMode") if mode else missing("posMode")
        if mode != self._house.position_mode:
            if self._wealth.swaps(flat=False) or self._broker.open_orders(
                self._account, kind=Kind.LINEAR
            ):
                raise Refusal(
                    "59000",
                    "Setting failed. Cancel any open orders, close positions, and stop trading "
                    "bots first.",
                )
            self._house.position_mode = mode
        return [{"posMode": mode}]

    def _max_size(
        self, member: Credentials, asked: Asked, now_ns: int, stamp: str
    ) -> Sequence[Row]:
        names = text(asked, "instId")
        if not names:
            raise missing("instId")
        if not text(asked, "tdMode"):
            raise missing("tdMode")
        rows: list[Row] = []
        for name in names.split(","):
            one = self._instruments.get(name)
            if one is None:
                raise unknown_instrument()
            rows.append(
                {
                    "ccy": one.spec.quote if one.inst_type == "SWAP" else "",
                    "instId": name,
                    "maxBuy": self._most(one, asked, "buy"),
                    "maxSell": self._most(one, asked, "sell"),
                }
            )
        return rows

    def _most(self, one: Instrument, asked: Asked, side: Side) -> str:
        """The largest order the account could pay for."""
        spec = one.spec
        price = number(asked, "px") if asked.get("px") else spec.tick * one.last_ticks
        limit = spec.tick * price_limit(one, self._broker, side)
        price = min(price, limit) if side == "buy" else max(price, limit)
        if spec.kind is Kind.LINEAR:
            free = self._broker.available(self._account, spec.quote, Kind.LINEAR)
            base = self._account.position(spec).base
            closing = max(Decimal(0), -base if side == "buy" else base)
            most = free * self._account.leverage_of(spec) / price + 2 * closing
        elif side == "buy":
            most = self._broker.available(self._account, spec.quote, Kind.SPOT) / price
        else:
            most = self._broker.available(self._account, spec.base, Kind.SPOT)
        return spec.size(int(most / spec.lot))

    def _currencies(
        self, member: Credentials, asked: Asked, now_ns: int, stamp: str
    ) -> Sequence[Row]:
        only = [name for name in text(asked, "ccy").split(",") if name]
        return [
            {
                "burningFeeRate": "",
                "canDep": False,
                "canInternal": False,
                "canWd": False,
                "ccy": name,
                "chain": f"{name}-Practice",
                "ctAddr": "",
                "depEstOpenTime": "",
                "depQuotaFixed": "",
                "depQuoteDailyLayer2": "",
                "fee": "0",
                "logoLink": "",
                "mainNet": True,
                "maxFee": "0",
                "maxFeeForCtAddr": "",
                "maxWd": "0",
                "minDep": "0",
                "minDepArrivalConfirm": "1",
                "minFee": "0",
                "minFeeForCtAddr": "",
                "minInternal": "0",
                "minWd": "0",
                "minWdUnlockConfirm": "1",
                "name": name,
                "needTag": False,
                "usedDepQuotaFixed": "",
                "usedWdQuota": "0",
                "wdEstOpenTime": "",
                "wdQuota": "0",
                "wdTickSz": "8",
            }
            for name in self._account.spot
            if not only or name in only
        ]

    def _swaps(self, asked: Asked) -> list[Instrument]:
        names = text(asked, "instId")
        if not names:
            raise missing("instId")
        found = [self._instruments.get(name) for name in names.split(",")]
        swaps = [one for one in found if one is not None and one.inst_type == "SWAP"]
        if len(swaps) != len(found):
            raise unknown_instrument()
        return swaps


def _margin_mode(asked: Asked) -> str:
    mode = text(asked, "mgnMode")
    if mode != "cross":
        raise wrong("mgnMode") if mode else missing("mgnMode")
    return mode
