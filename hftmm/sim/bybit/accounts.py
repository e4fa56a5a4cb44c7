"""What the practice Bybit tells of the account and its key, and what can be set."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal

from hftmm.sim.broker import Broker
from hftmm.sim.bybit.answers import Refused, Row
from hftmm.sim.bybit.codes import refused
from hftmm.sim.bybit.instrument import MILLISECOND, Instrument
from hftmm.sim.bybit.settings import DCP_S, Settings
from hftmm.sim.ledger import Account, Credentials
from hftmm.sim.orders import Refused as Turned

Query = Mapping[str, str]
Body = Mapping[str, object]
_LEVERAGE = re.compile(r"[0-9]{1,3}(\.[0-9]{1,2})?", re.ASCII)
_EPOCH = "2025-01-01T00:00:00Z"


class Accounts:
    """Answers about accounts and keys, and their settings.

    Attributes:
        unified: what `uta` says of every account; clients refuse 0.
        asked, told: routes of GET and of POST.
    """

    def __init__(
        self,
        broker: Broker,
        instruments: Mapping[tuple[str, str], Instrument],
        settings: Mapping[str, Settings],
    ) -> None:
        self.unified = True
        self._broker = broker
        self._instruments = instruments
        self._settings = settings
        self.asked: dict[str, Callable[[Credentials, Account, Query, int], Row]] = {
            "user/query-api": self._key,
            "account/info": self._info,
            "account/query-dcp-info": self._dcp,
            "account/user-setting-config": self._config,
            "asset/coin/query-info": self._coins,
        }
        self.told: dict[str, Callable[[Account, Body], Row]] = {
            "order/disconnected-cancel-all": self._set_dcp,
            "position/set-leverage": self._set_leverage,
            "position/switch-mode": self._switch_mode,
            "account/set-limit-px-action": self._set_limit_action,
        }

    def _key(self, known: Credentials, account: Account, query: Query, stamp_ns: int) -> Row:
        """What the key may do; the secret is never shown."""
        trades = "trade" in known.permissions
        withdraws = "withdraw" in known.permissions
        return {
            "id": "1000001",
            "note": "practice",
            "apiKey": known.key,
            "readOnly": 0 if trades else 1,
            "secret": "",
            "permissions": {
                "ContractTrade": ["Order", "Position"],
                "Spot": ["SpotTrade"],
                "Wallet": ["AccountTransfer", "Withdraw"] if withdraws else [],
                "Options": [],
                "Derivatives": ["DerivativesTrade"],
                "CopyTrading": [],
                "BlockTrade": [],
                "Exchange": [],
                "NFT": [],
                "Affiliate": [],
                "Earn": [],
                "FiatP2P": [],
                "FiatBitPay": [],
            },
            "ips": ["127.0.0.1"],
            "type": 1,
            "deadlineDay": 90,
            "expiredAt": "2099-01-01T00:00:00Z",
            "createdAt": _EPOCH,
            "unified": 0,
            "uta": 1 if self.unified else 0,
            "userID": 1000001,
            "inviterID": 0,
            "vipLevel": "No VIP",
            "mktMakerLevel": "0",
            "affiliateID": 0,
            "rsaPublicKey": "",
            "isMaster": True,
            "parentUid": "0",
            "kycLevel": "LEVEL_DEFAULT",
            "kycRegion": "",
        }

    def _info(self, known: Credentials, account: Account, query: Query, stamp_ns: int) -> Row:
        return {
            "marginMode": "REGULAR_MARGIN",
            "updatedTime": str(stamp_ns // MILLISECOND),
            "unifiedMarginStatus": 6 if self.unified else 1,
            "dcpStatus": "OFF",
            "timeWindow": DCP_S,
            "smpGroup": 0,
            "isMasterTrader": False,
            "spotHedgingStatus": "OFF",
        }

    def _dcp(self, known: Credentials, account: Account, query: Query, stamp_ns: int) -> Row:
        windows = self._settings[account.key].dcp_s
        return {
            "dcpInfos": [
                {"product": product, "dcpStatus": "ON", "timeWindow": str(seconds)}
                for product, seconds in windows.items()
            ]
        }

    def _config(self, known: Credentials, account: Account, query: Query, stamp_ns: int) -> Row:
        """`lpaSpot` is True where prices are adjusted, `lpaPerp` where they are not."""
        adjusts = self._settings[account.key].adjusts
        return {
            "lpaSpot": adjusts["spot"],
            "lpaPerp": not adjusts["linear"],
            "smsef": False,
            "fmsef": False,
        }

    def _coins(self, known: Credentials, account: Account, query: Query, stamp_ns: int) -> Row:
        """Every coin of the account; nothing can be deposited or withdrawn."""
        rows: list[Row] = []
        for coin in account.balances:
            if query.get("coin", coin) != coin:
                continue
            chain: Row = {
                "chain": coin,
                "chainType": coin,
                "chainDeposit": "0",
                "chainWithdraw": "0",
                "confirmation": "1",
                "contractAddress": "",
                "depositMin": "0",
                "minAccuracy": "8",
                "safeConfirmNumber": "1",
                "withdrawFee": "0",
                "withdrawMin": "0",
                "withdrawPercentageFee": "0",
            }
            row: Row = {"name": coin, "coin": coin, "remainAmount": "0", "chains": [chain]}
            rows.append(row)
        return {"rows": rows}

    def _set_dcp(self, account: Account, body: Body) -> Row:
        """The venue takes some seconds to apply it, this one none."""
        product = body.get("product", "OPTIONS")
        self._settings[account.key].set_dcp(str(product), body.get("timeWindow"))
        return {}

    def _set_leverage(self, account: Account, body: Body) -> Row:
        """Both sides the same: positions are one-way and margin is cross."""
        instrument = self._contract(body)
        buy, sell = body.get("buyLeverage"), body.get("sellLeverage")
        if not isinstance(buy, str) or buy != sell or not _LEVERAGE.fullmatch(buy):
            raise Refused(10001, "params error: leverage invalid")
        leverage = Decimal(buy)
        if leverage == account.leverage_of(instrument.spec):
            raise Refused(110043, "Set leverage has not been modified.")
        turned = self._broker.set_leverage(account, instrument.spec, leverage)
        if isinstance(turned, Turned):
            raise refused(turned.rule, "linear")
        return {}

    def _switch_mode(self, account: Account, body: Body) -> Row:
        """Positions here are one-way, which is to say mode 0."""
        if body.get("category") != "linear" or body.get("mode") not in (0, 3):
            raise Refused(10001, "params error: mode invalid")
        symbol = body.get("symbol")
        if not symbol and body.get("coin") != "USDT":
            raise Refused(10001, "params error: symbol or coin is required")
        if body["mode"] == 0:
            raise Refused(110025, "Position mode is not modified")
        contracts = [self._contract(body)] if symbol else self._contracts()
        if any(account.position(one.spec).base for one in contracts):
            raise Refused(
                110024, "You have an existing position, so position mode cannot be switched"
            )
        if any(self._broker.open_orders(account, one.spec) for one in contracts):
            raise Refused(
                110028, "You have existing open orders, so position mode cannot be switched"
            )
        raise Refused(110029, "Hedge mode is not supported")

    def _set_limit_action(self, account: Account, body: Body) -> Row:
        category, wanted = body.get("category"), body.get("modifyEnable")
        adjusts = self._settings[account.key].adjusts
        if not isinstance(category, str) or category not in adjusts or not isinstance(wanted, bool):
            raise Refused(10001, "params error: category or modifyEnable invalid")
        adjusts[category] = wanted
        return {}

    def _contract(self, body: Body) -> Instrument:
        symbol = body.get("symbol")
        instrument = self._instruments.get(("linear", str(symbol)))
        if body.get("category") != "linear" or instrument is None:
            raise Refused(10001, "params error: symbol invalid")
        return instrument

    def _contracts(self) -> list[Instrument]:
        return [one for one in self._instruments.values() if one.linear]
