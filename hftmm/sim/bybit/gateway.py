"""The REST host of the practice Bybit: who asks, whether it may, and who answers."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

import msgspec

from hftmm.sim.bybit.accounts import Accounts
from hftmm.sim.bybit.answers import Refused, Row, answer, not_found, refusal
from hftmm.sim.bybit.budget import CALLS, CALLS_NS, Allowance, Budget, Window
from hftmm.sim.bybit.entry import BATCH, OrderEntry
from hftmm.sim.bybit.identity import Keyring, may_trade
from hftmm.sim.bybit.instrument import MILLISECOND
from hftmm.sim.bybit.queries import Queries
from hftmm.sim.bybit.rest import MarketEndpoints
from hftmm.sim.ledger import Account
from hftmm.sim.peers import HttpAnswer, HttpQuery

_ORDERS = {
    f"order/{action}{many}": (action, bool(many))
    for action in ("create", "amend", "cancel")
    for many in ("", "-batch")
}
_CANCEL_ALL = "order/cancel-all"


class Gateway:
    """Takes every REST request."""

    def __init__(
        self,
        keyring: Keyring,
        accounts: Mapping[str, Account],
        markets: MarketEndpoints,
        queries: Queries,
        account_endpoints: Accounts,
        entry: OrderEntry,
        budget: Budget,
    ) -> None:
        self._keyring = keyring
        self._accounts = accounts
        self._markets = markets
        self._queries = queries
        self._endpoints = account_endpoints
        self._entry = entry
        self._budget = budget
        self._calls = Window(CALLS, CALLS_NS)

    def answer(self, query: HttpQuery, now_ns: int, skew_ns: int) -> HttpAnswer:
        """One request. The venue bans a hasty address for ten minutes, this one until it slows."""
        stamp_ns = now_ns + skew_ns
        if not self._calls.take(1, now_ns):
            return refusal(Refused(10018, "access too frequent", status=403), stamp_ns)
        try:
            public = self._markets.answer(query, stamp_ns, skew_ns)
        except Refused as refused:
            return refusal(refused, stamp_ns)
        if public is not None:
            headers = {
                "X-Bapi-Limit": str(CALLS),
                "X-Bapi-Limit-Status": str(self._calls.left(now_ns)),
                "X-Bapi-Limit-Reset-Timestamp": str(stamp_ns // MILLISECOND),
            }
            return HttpAnswer(public.status, public.body, headers)
        headers = {}
        try:
            private = self._private(query, now_ns, skew_ns, headers)
        except Refused as refused:
            private = refusal(refused, stamp_ns, headers)
        if _endpoint(query) in _ORDERS or _endpoint(query) == _CANCEL_ALL:
            return msgspec.structs.replace(private, matter="ack")
        return private

    def _private(
        self, query: HttpQuery, now_ns: int, skew_ns: int, headers: dict[str, str]
    ) -> HttpAnswer:
        """A signed request; `headers` is filled with what is left of the rate limit."""
        endpoint = _endpoint(query)
        writes = endpoint in _ORDERS or endpoint == _CANCEL_ALL or endpoint in self._endpoints.told
        reads = endpoint in self._queries.routes or endpoint in self._endpoints.asked
        stamp_ns = now_ns + skew_ns
        if not (reads or writes) or not query.path.startswith("/v5/"):
            return not_found(stamp_ns)
        if query.method != ("POST" if writes else "GET"):
            raise Refused(10001, "Request method error", status=400)
        if reads and query.body:
            raise Refused(10001, "a GET has no body", status=403)
        known = self._keyring.request(query, stamp_ns // MILLISECOND)
        account = self._accounts[known.account]
        if reads:
            # Values are decoded once; a cursor may have been encoded twice.
            asked = dict(parse_qsl(query.query))
            self._spend(account, endpoint, asked.get("category", ""), 1, now_ns, skew_ns, headers)
            route = self._queries.routes.get(endpoint)
            if route is not None:
                return answer(route(account, asked, now_ns), stamp_ns, headers=headers)
            row = self._endpoints.asked[endpoint](known, account, asked, stamp_ns)
            return answer(row, stamp_ns, headers=headers)
        may_trade(known)
        body = _body(query)
        category = str(body.get("category", ""))
        action, many = _ORDERS.get(endpoint, ("", False))
        wanted = self._entry.batch_size(body) if many else 1
        allowance = self._spend(account, endpoint, category, wanted, now_ns, skew_ns, headers)
        if many:
            result, extra = self._entry.batch(action, account, body, allowance.granted, now_ns)
            return answer(result, stamp_ns, extra=extra, headers=headers)
        result = self._write(endpoint, account, body, now_ns)
        return answer(result, stamp_ns, headers=headers)

    def _write(self, endpoint: str, account: Account, body: Row, now_ns: int) -> Row:
        entry = self._entry
        match endpoint:
            case "order/create":
                return entry.create(account, body, now_ns)
            case "order/amend":
                return entry.amend(account, body, now_ns)
            case "order/cancel":
                return entry.cancel(account, body, now_ns)
            case "order/cancel-all":
                return entry.cancel_all(account, body, now_ns)
        return self._endpoints.told[endpoint](account, body)

    def _spend(
        self,
        account: Account,
        endpoint: str,
        category: str,
        wanted: int,
        now_ns: int,
        skew_ns: int,
        headers: dict[str, str],
    ) -> Allowance:
        category = category if category in BATCH else "linear"
        allowance = self._budget.ask(account.key, endpoint, category, now_ns, wanted=wanted)
        headers |= allowance.headers(skew_ns)
        if not allowance.granted:
            raise Refused(10006, "Too many visits!")
        return allowance


def _endpoint(query: HttpQuery) -> str:
    return query.path.removeprefix("/v5/")


def _body(query: HttpQuery) -> Row:
    try:
        body = msgspec.json.decode(query.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Refused(10001, "Request parameter error.")
    return body
