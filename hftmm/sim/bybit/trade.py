"""The trade socket of the practice Bybit: orders by WebSocket."""

from __future__ import annotations

import random
from collections.abc import Mapping

from hftmm.sim.bybit.answers import Refused, Row
from hftmm.sim.bybit.budget import Budget
from hftmm.sim.bybit.connection import Command, Connection
from hftmm.sim.bybit.entry import BATCH, OrderEntry
from hftmm.sim.bybit.identity import Keyring, in_time, may_trade, stamps
from hftmm.sim.bybit.instrument import MILLISECOND
from hftmm.sim.ledger import Account

_OPS = {
    f"order.{action}{many}" for action in ("create", "amend", "cancel") for many in ("", "-batch")
}
_ID_LENGTH = 36


class TradeSocket:
    """Every connection to `/v5/trade`.

    Attributes:
        retired: connections to a service that restarts: it takes nothing new, and whoever asks is
            told so and cut.
    """

    def __init__(
        self,
        keyring: Keyring,
        accounts: Mapping[str, Account],
        entry: OrderEntry,
        budget: Budget,
        seed: int,
    ) -> None:
        self._keyring = keyring
        self._accounts = accounts
        self._entry = entry
        self._budget = budget
        self._rng = random.Random(seed)
        self.retired: set[int] = set()

    def hear(self, connection: Connection, asked: Command, now_ns: int, skew_ns: int) -> Row:
        """One frame of a client: does what it asks and says how it went."""
        stamp_ms = (now_ns + skew_ns) // MILLISECOND
        header: Row = {}
        data: Row = {}
        extra: Row = {}
        code, text = 0, "OK"
        try:
            match asked.op:
                case "ping":
                    return said(connection, "pong", 0, "OK") | {"data": [str(stamp_ms)]}
                case "auth":
                    self._login(connection, asked, stamp_ms)
                    return _numbered(asked, said(connection, "auth", 0, "OK"))
            data, extra, header = self._order(connection, asked, now_ns, skew_ns)
        except _Metered as hasty:
            header = hasty.header
            code, text = hasty.code, str(hasty)
        except Refused as refused:
            code, text = refused.code, str(refused)
        header |= {"Traceid": f"{self._rng.getrandbits(128):032x}", "Timenow": str(stamp_ms)}
        reply = said(connection, asked.op, code, text)
        reply |= {"data": data, "retExtInfo": extra, "header": header}
        return _numbered(asked, reply)

    def _login(self, connection: Connection, asked: Command, stamp_ms: int) -> None:
        if connection.account is not None:
            raise Refused(20001, "Repeat auth")
        known = self._keyring.login(asked.args, stamp_ms)
        connection.credentials = known
        connection.account = self._accounts[known.account]

    def _order(
        self, connection: Connection, asked: Command, now_ns: int, skew_ns: int
    ) -> tuple[Row, Row, Row]:
        """Data, what is beside it, and the state of the rate limit."""
        if connection.number in self.retired:
            raise Refused(10019, "WS trade service is restarting, do not accept new request.")
        if asked.op not in _OPS:
            raise Refused(10404, "op type is not found")
        if connection.account is None or connection.credentials is None:
            raise Refused(10001, "Request not authorized")
        if asked.reqId is not None:
            number = str(asked.reqId)
            if len(number) > _ID_LENGTH:
                raise Refused(10001, "reqId too long")
            if number in connection.used:
                raise Refused(20006, "reqId is duplicated")
            connection.used.add(number)
        may_trade(connection.credentials)
        stamp, window = stamps(asked.header)
        if not stamp:
            raise Refused(10001, "X-BAPI-TIMESTAMP is required in the header")
        in_time(stamp, window, (now_ns + skew_ns) // MILLISECOND)
        if len(asked.args) != 1 or not isinstance(asked.args[0], dict):
            raise Refused(10001, "params error: args invalid")
        body = asked.args[0]
        if str(body.get("category")) not in BATCH:
            raise Refused(10404, "category is not correct")
        entry, account = self._entry, connection.account
        endpoint = asked.op.replace(".", "/")
        batch = asked.op.endswith("-batch")
        wanted = entry.batch_size(body) if batch else 1
        allowance = self._budget.ask(
            account.key, endpoint, str(body["category"]), now_ns, wanted=wanted
        )
        header: Row = {**allowance.headers(skew_ns)}
        if not allowance.granted:
            raise _Metered(header)
        action = asked.op.removeprefix("order.").removesuffix("-batch")
        if batch:
            data, extra = entry.batch(action, account, body, allowance.granted, now_ns)
            return data, extra, header
        try:
            match action:
                case "create":
                    return entry.create(account, body, now_ns), {}, header
                case "amend":
                    return entry.amend(account, body, now_ns), {}, header
                case _:
                    return entry.cancel(account, body, now_ns), {}, header
        except Refused as refused:
            raise _Metered(header, refused.code, str(refused)) from None


class _Metered(Refused):
    """A refusal that tells the state of the rate limit."""

    def __init__(self, header: Row, code: int = 10006, text: str = "Too many visits!") -> None:
        super().__init__(code, text)
        self.header = header


def said(connection: Connection, op: str, code: int, text: str) -> Row:
    """The head of every answer."""
    return {"retCode": code, "retMsg": text, "op": op, "connId": connection.conn_id}


def _numbered(asked: Command, reply: Row) -> Row:
    """Whoever sent no number gets none back."""
    return reply if asked.reqId is None else {"reqId": asked.reqId} | reply
