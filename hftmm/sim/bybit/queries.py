"""What the practice Bybit tells of orders, fills, positions and money when asked by REST."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from hftmm.core.instrument import Kind
from hftmm.sim.broker import Broker
from hftmm.sim.bybit.answers import Refused, Row, category_of, limit_of, page
from hftmm.sim.bybit.entry import OrderEntry
from hftmm.sim.bybit.instrument import MILLISECOND, Instrument
from hftmm.sim.bybit.rows import order_id, plain, status
from hftmm.sim.bybit.topic import SECOND
from hftmm.sim.bybit.view import Entry, Views
from hftmm.sim.ledger import Account
from hftmm.sim.orders import Order
from hftmm.sim.spec import Spec

DAY_NS = 86_400 * SECOND
SPAN_NS = 7 * DAY_NS
"""The longest stretch one question about the past may cover."""
CLOSED_KEPT = 500
"""Closed orders of a category that the list of open ones can still show, until a restart."""

Query = Mapping[str, str]
Route = Callable[[Account, Query, int], Row]
_T = TypeVar("_T")


class Queries:
    """Answers of `/v5/order/realtime` and its like.

    Attributes:
        forgotten_ns: orders that closed before are in no memory but the history's.
    """

    def __init__(
        self,
        broker: Broker,
        entry: OrderEntry,
        views: Views,
        instruments: Mapping[tuple[str, str], Instrument],
    ) -> None:
        self.forgotten_ns = 0
        self._broker = broker
        self._entry = entry
        self._views = views
        self._instruments = instruments
        self.routes: dict[str, Route] = {
            "order/realtime": self._realtime,
            "order/history": self._history,
            "execution/list": self._executions,
            "position/list": self._positions,
            "account/wallet-balance": self._wallet,
            "account/fee-rate": self._fees,
            "account/transaction-log": self._log,
        }

    def _realtime(self, account: Account, query: Query, now_ns: int) -> Row:
        """Open orders; those that closed of late if asked for, one by its id in either case."""
        category = category_of(query)
        by_id = bool(query.get("orderId") or query.get("orderLinkId"))
        named = any(query.get(name) for name in ("symbol", "baseCoin", "settleCoin"))
        if category == "linear" and not (named or by_id):
            raise Refused(10001, "params error: symbol, baseCoin or settleCoin is required")
        wanted = self._wanted(account, category, query, now_ns)
        recent = [order for order in wanted if not order.open][-CLOSED_KEPT:]
        recent = [order for order in recent if order.updated_ns >= self.forgotten_ns]
        found = [order for order in wanted if order.open]
        if by_id:
            found += recent
        elif query.get("openOnly", "0") == "1":
            found = recent
        return self._orders(account, category, found, query)

    def _history(self, account: Account, query: Query, now_ns: int) -> Row:
        """Closed orders; those that never traded are kept for a day, the others a week."""
        category = category_of(query)
        since_ns, until_ns = _span(query, now_ns, self._views.skew_ns)
        found = [
            order
            for order in self._wanted(account, category, query, now_ns)
            if not order.open
            and since_ns <= order.created_ns <= until_ns
            and (order.filled_lots or order.updated_ns > now_ns - DAY_NS)
            and query.get("orderStatus", status(order)) == status(order)
        ]
        return self._orders(account, category, found, query)

    def _executions(self, account: Account, query: Query, now_ns: int) -> Row:
        """Fills and fundings, newest first."""
        category = category_of(query)
        since_ns, until_ns = _span(query, now_ns, self._views.skew_ns)
        found = [
            entry
            for entry in self._views.record(account).entries
            if entry.spec.kind.value == category
            and since_ns <= entry.ts_ns <= until_ns
            and _listed(entry.spec, query)
            and _asked(query, "orderId", entry.row["orderId"])
            and _asked(query, "orderLinkId", entry.row["orderLinkId"])
            and _asked(query, "execType", entry.row["execType"])
        ][::-1]
        limit = limit_of(query, default=50, most=100)
        chosen, cursor = page(found, _execution_key, query, limit)
        rows = [entry.row for entry in chosen]
        return {"category": category, "list": rows, "nextPageCursor": cursor}

    def _positions(self, account: Account, query: Query, now_ns: int) -> Row:
        """Of one symbol also when flat, of a settle coin only what is open."""
        category = category_of(query)
        if category == "linear" and not (query.get("symbol") or query.get("settleCoin")):
            raise Refused(10001, "params error: symbol or settleCoin is required")
        if category == "spot":
            raise Refused(10001, "params error: category invalid")
        found: list[Spec] = []
        if category == "linear":
            found = [
                one.spec
                for one in self._views.contracts()
                if _listed(one.spec, query)
                and (query.get("symbol") or account.position(one.spec).base)
            ]
        if category == "linear" and query.get("symbol") and not found:
            raise Refused(10001, "params error: symbol invalid")
        limit = limit_of(query, default=20, most=200)
        chosen, cursor = page(found, _symbol, query, limit)
        rows = [self._views.position(account, spec, stream=False) for spec in chosen]
        return {"category": category, "list": rows, "nextPageCursor": cursor}

    def _wallet(self, account: Account, query: Query, now_ns: int) -> Row:
        if query.get("accountType") != "UNIFIED":
            raise Refused(10001, "accountType only support UNIFIED.")
        coins = frozenset(filter(None, query.get("coin", "").split(",")))
        return {"list": [self._views.wallet(account, coins)]}

    def _fees(self, account: Account, query: Query, now_ns: int) -> Row:
        category = category_of(query)
        rows: list[Row] = []
        for one in self._instruments.values():
            if one.category != category or not _listed(one.spec, query):
                continue
            rates = self._broker.fees[Kind(category)]
            rows.append(
                {
                    "symbol": one.symbol,
                    "baseCoin": "",
                    "takerFeeRate": plain(rates.taker_bps / 10_000),
                    "makerFeeRate": plain(rates.maker_bps / 10_000),
                }
            )
        if query.get("symbol") and not rows:
            raise Refused(10001, "params error: symbol invalid")
        return {"category": category, "list": rows}

    def _log(self, account: Account, query: Query, now_ns: int) -> Row:
        """Every change of a balance, newest first; the last day unless asked otherwise."""
        since_ns, until_ns = _span(query, now_ns, self._views.skew_ns, default_ns=DAY_NS)
        skew_ns = self._views.skew_ns
        first = (since_ns + skew_ns) // MILLISECOND
        last = (until_ns + skew_ns) // MILLISECOND
        found = [
            row
            for row in self._views.record(account).log
            if first <= int(str(row["transactionTime"])) <= last
            and _asked(query, "category", row["category"])
            and _asked(query, "currency", row["currency"])
            and _asked(query, "type", row["type"])
        ][::-1]
        limit = limit_of(query, default=20, most=50)
        chosen, cursor = page(found, lambda row: str(row["id"]), query, limit)
        return {"list": list(chosen), "nextPageCursor": cursor}

    def _wanted(self, account: Account, category: str, query: Query, now_ns: int) -> list[Order]:
        """Orders of a category the query selects, oldest first, as REST knows them by now."""
        if category not in {"spot", "linear"} or query.get("orderFilter", "Order") != "Order":
            return []
        if query.get("orderId") or query.get("orderLinkId"):
            order = self._entry.find(account, category, query)
            found = [order] if order is not None else []
        else:
            found = self._broker.history(account, kind=Kind(category))
            found = [order for order in found if _listed(order.spec, query)]
        seen = (self._views.seen(account, order, now_ns) for order in found)
        return [order for order in seen if order is not None]

    def _orders(self, account: Account, category: str, found: Sequence[Order], query: Query) -> Row:
        limit = limit_of(query, default=20, most=50)
        chosen, cursor = page(found[::-1], order_id, query, limit)
        rows = [self._views.order(account, order) for order in chosen]
        return {"category": category, "list": rows, "nextPageCursor": cursor}


def _listed(spec: Spec, query: Query) -> bool:
    """Symbol counts before base coin, base coin before settle coin."""
    if query.get("symbol"):
        return query["symbol"] == spec.venue_symbol
    if query.get("baseCoin"):
        return query["baseCoin"] == spec.base
    return query.get("settleCoin") in {None, "", spec.quote}


def _asked(query: Query, name: str, value: object) -> bool:
    return query.get(name) in {None, "", value}


def _symbol(spec: Spec) -> str:
    return spec.venue_symbol


def _execution_key(entry: Entry) -> str:
    return entry.key


def _span(query: Query, now_ns: int, skew_ns: int, default_ns: int = SPAN_NS) -> tuple[int, int]:
    """The stretch of time asked for, in true time; one end given, the other follows."""
    ends: list[int | None] = []
    for name in ("startTime", "endTime"):
        text = query.get(name, "")
        if text and not (text.isascii() and text.isdigit() and len(text) <= 15):
            raise Refused(10001, f"params error: {name} invalid")
        ends.append(int(text) * MILLISECOND - skew_ns if text else None)
    since, until = ends
    if since is None:
        until = now_ns if until is None else until
        return until - default_ns, until + MILLISECOND
    until = since + default_ns if until is None else until
    if not since <= until <= since + SPAN_NS:
        raise Refused(10001, "params error: the time range is at most 7 days")
    return since, until + MILLISECOND
