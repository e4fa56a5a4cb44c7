"""The REST calls of members: orders and what became of them. The account's own are apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import TypeAlias
from urllib.parse import parse_qsl

import msgspec

from hftmm.sim.ledger import Account, Credentials
from hftmm.sim.okx.access import Gate
from hftmm.sim.okx.deadman import DeadMan
from hftmm.sim.okx.entry import Action, OrderEntry
from hftmm.sim.okx.instrument import Instrument, Row, milliseconds
from hftmm.sim.okx.limits import Limits
from hftmm.sim.okx.members import Voice, check_batch, check_expiry, verdict
from hftmm.sim.okx.records import (
    bill_id,
    fill_row,
    note_of,
    order_id,
    order_number,
    order_record,
    order_state,
)
from hftmm.sim.okx.refusal import Refusal, missing, unknown_instrument, wrong
from hftmm.sim.okx.statement import Statement
from hftmm.sim.okx.tickets import TAG, text
from hftmm.sim.orders import Order
from hftmm.sim.peers import LOST, HttpAnswer, HttpQuery, Matter
from hftmm.venues.codec import MILLISECOND, SECOND

PREFIX = "/api/v5/"
Asked: TypeAlias = Mapping[str, object]
Call: TypeAlias = Callable[[Credentials, Asked, int, str], Sequence[Row]]
"""Who asks, the arguments, the moment, and its stamp by the venue's clock."""

_DAY_NS = 86_400 * SECOND
_ORDER_CALLS: Mapping[str, tuple[Action, bool]] = {
    "trade/order": ("order", False),
    "trade/batch-orders": ("order", True),
    "trade/amend-order": ("amend-order", False),
    "trade/amend-batch-orders": ("amend-order", True),
    "trade/cancel-order": ("cancel-order", False),
    "trade/cancel-batch-orders": ("cancel-order", True),
}
_MESSAGES = {
    "0": "",
    "1": "All operations failed",
    "2": "Bulk operation partially succeeded.",
}
_PAGE = 100
_BEYOND = 10**30
"""Later than any time and larger than any id."""


class MemberRest:
    """Answers signed calls.

    Args:
        calls: further calls, by method and path.
        forgotten_ns: canceled orders without any fill are forgotten after this long; 2 h at OKX.
    """

    def __init__(
        self,
        gate: Gate,
        entry: OrderEntry,
        limits: Limits,
        account: Account,
        instruments: Mapping[str, Instrument],
        statement: Statement,
        dead_man: DeadMan,
        voice: Voice,
        calls: Mapping[tuple[str, str], Call],
        *,
        forgotten_ns: int,
    ) -> None:
        self._gate = gate
        self._entry = entry
        self._limits = limits
        self._account = account
        self._instruments = instruments
        self._statement = statement
        self._dead_man = dead_man
        self._voice = voice
        self._forgotten_ns = forgotten_ns
        self._calls: Mapping[tuple[str, str], Call] = {
            ("GET", "trade/order"): self._order,
            ("GET", "trade/orders-pending"): self._pending,
            ("GET", "trade/orders-history"): self._history(7 * _DAY_NS),
            ("GET", "trade/orders-history-archive"): self._history(90 * _DAY_NS),
            ("GET", "trade/fills"): self._fills(3 * _DAY_NS),
            ("GET", "trade/fills-history"): self._fills(90 * _DAY_NS),
            ("POST", "trade/cancel-all-after"): self._cancel_all_after,
            **calls,
        }
        self._paths = {path for _, path in self._calls} | _ORDER_CALLS.keys()

    def knows(self, query: HttpQuery) -> bool:
        """True if the call is one of these, whatever its method."""
        return query.path.removeprefix(PREFIX) in self._paths

    def answer(self, query: HttpQuery, now_ns: int) -> HttpAnswer:
        """One call. Business errors come with status 200 and a code, as they do at OKX."""
        path = query.path.removeprefix(PREFIX)
        entering = query.method == "POST" and path in _ORDER_CALLS
        try:
            member = self._gate.caller(query, now_ns + self._voice.skew_ns)
            if entering:
                return self._orders(query, member, path, now_ns)
            call = self._calls.get((query.method, path))
            if call is None:
                raise Refusal("50115", "Invalid request method.", status=405)
            _permitted(member, "read" if query.method == "GET" else "trade")
            self._limits.call(self._account.key, query.method, path, now_ns)
            asked: Asked = dict(parse_qsl(query.query))
            if query.method == "POST":
                asked = _object(query.body)
            stamp = milliseconds(now_ns + self._voice.skew_ns)
            return _answer(200, "0", "", call(member, asked, now_ns, stamp))
        except Refusal as refused:
            matter: Matter = "ack" if entering else ""
            return _answer(refused.status, refused.code, refused.message, [], matter=matter)

    # -- order entry --------------------------------------------------------------------------

    def _orders(self, query: HttpQuery, member: Credentials, path: str, now_ns: int) -> HttpAnswer:
        action, batch = _ORDER_CALLS[path]
        came_ns = now_ns + self._voice.skew_ns
        _permitted(member, "trade")
        orders: Sequence[object] = _array(query.body) if batch else [_object(query.body)]
        check_batch(action, len(orders))
        if action != "cancel-order":
            headers = {name.lower(): value for name, value in query.headers.items()}
            check_expiry(headers.get("exptime", ""), came_ns)
        rows: list[Row] = []
        for given in orders:
            stamp = milliseconds(came_ns)
            rows.append(
                self._entry.act(action, given, now_ns, stamp, by_code=False, batch=len(orders) > 1)
            )
            self._voice.say(self._voice.happened(now_ns), now_ns)
        if self._voice.acks == "lost":
            return HttpAnswer(LOST, b"", matter="ack")
        code = verdict(rows)
        refused = rows[0]["sCode"] if len(rows) == 1 else "0"
        # Only a single order over its limit is refused by status as well.
        status = 429 if refused == "50011" else 200
        micros = str(came_ns // 1_000)
        times = {"inTime": micros, "outTime": micros}
        return _answer(status, code, _MESSAGES[code], rows, times, "ack")

    def _cancel_all_after(
        self, member: Credentials, asked: Asked, now_ns: int, stamp: str
    ) -> Sequence[Row]:
        timeout, tag = text(asked, "timeOut"), text(asked, "tag")
        if not timeout:
            raise missing("timeOut")
        if tag and not TAG.fullmatch(tag):
            raise wrong("tag")
        due_ns = self._dead_man.arm(timeout, tag, now_ns)
        trigger = milliseconds(due_ns + self._voice.skew_ns) if due_ns else "0"
        return [{"triggerTime": trigger, "tag": tag, "ts": stamp}]

    # -- what became of orders ----------------------------------------------------------------

    def _order(self, member: Credentials, asked: Asked, now_ns: int, stamp: str) -> Sequence[Row]:
        order = self._entry.find(self._named(asked), asked)
        if order is None or self._forgotten(order, now_ns):
            raise Refusal("51603", "Order does not exist")
        return [self._record(order)]

    def _pending(self, member: Credentials, asked: Asked, now_ns: int, stamp: str) -> Sequence[Row]:
        return self._records(reversed(self._account.open.values()), asked)

    def _history(self, span_ns: int) -> Call:
        def history(member: Credentials, asked: Asked, now_ns: int, stamp: str) -> Sequence[Row]:
            if not asked.get("instType"):
                raise missing("instType")
            ended = (
                order
                for order in reversed(self._account.orders.values())
                if not order.open
                and order.updated_ns >= now_ns - span_ns
                and not self._forgotten(order, now_ns)
            )
            return self._records(ended, asked)

        return history

    def _fills(self, span_ns: int) -> Call:
        def fills(member: Credentials, asked: Asked, now_ns: int, stamp: str) -> Sequence[Row]:
            number = order_number(text(asked, "ordId"))
            page = Page(asked, self._voice.skew_ns)
            rows: list[Row] = []
            for fill in reversed(self._account.executions):
                if fill.ts_ns < now_ns - span_ns or len(rows) == page.limit:
                    break
                one = self._instruments[fill.order.spec.venue_symbol]
                bill = self._statement.bill_of(fill)
                if (
                    page.holds(int(bill_id(bill)), fill.ts_ns)
                    and (not asked.get("ordId") or fill.order.id == number)
                    and asked.get("instId") in (None, "", one.inst_id)
                    and asked.get("instType") in (None, "", one.inst_type)
                ):
                    rows.append(fill_row(one, fill, bill, self._voice.skew_ns))
            return rows

        return fills

    def _records(self, orders: Iterable[Order], asked: Asked) -> list[Row]:
        """One page of orders that come newest first; only what is on it is written."""
        page = Page(asked, self._voice.skew_ns)
        rows: list[Row] = []
        for order in orders:
            if len(rows) == page.limit:
                break
            if page.holds(int(order_id(order)), order.created_ns) and self._wanted(order, asked):
                rows.append(self._record(order))
        return rows

    def _wanted(self, order: Order, asked: Asked) -> bool:
        """True if the order has what is asked for, where it is."""
        one = self._instruments[order.spec.venue_symbol]
        facts = {
            "instType": one.inst_type,
            "instId": one.inst_id,
            "instFamily": one.family,
            "ordType": note_of(order).ord_type,
            "state": order_state(order),
        }
        return all(asked.get(name) in (None, "", fact) for name, fact in facts.items())

    def _record(self, order: Order) -> Row:
        one = self._instruments[order.spec.venue_symbol]
        leverage = self._account.leverage_of(order.spec)
        return order_record(one, order, leverage, self._voice.skew_ns)

    def _forgotten(self, order: Order, now_ns: int) -> bool:
        return (
            not order.open
            and not order.filled_lots
            and order.updated_ns < now_ns - self._forgotten_ns
        )

    def _named(self, asked: Asked) -> Instrument:
        name = text(asked, "instId")
        if not name:
            raise missing("instId")
        found = self._instruments.get(name)
        if found is None:
            raise unknown_instrument()
        return found


class Page:
    """Which of many rows, newest first, a query wants.

    Attributes:
        limit: rows at most.
    """

    def __init__(self, asked: Asked, skew_ns: int) -> None:
        self.limit = min(_PAGE, _integer(asked, "limit", _PAGE))
        self._after = _integer(asked, "after", _BEYOND)
        self._before = _integer(asked, "before", -1)
        self._begin_ns = _integer(asked, "begin", 0) * MILLISECOND - skew_ns
        self._end_ns = (_integer(asked, "end", _BEYOND) + 1) * MILLISECOND - skew_ns

    def holds(self, number: int, ns: int) -> bool:
        """True for a row with an id older than `after` and newer than `before`, and a time from
        `begin` to `end`."""
        return self._before < number < self._after and self._begin_ns <= ns < self._end_ns


def bills(statement: Statement) -> Call:
    """`account/bills`."""

    def answer(member: Credentials, asked: Asked, now_ns: int, stamp: str) -> Sequence[Row]:
        page = Page(asked, 0)
        names = ("instType", "instId", "ccy", "type", "subType", "mgnMode")
        wanted = {name: asked[name] for name in names if asked.get(name)}
        rows = (
            row
            for row in statement.bills
            if page.holds(int(str(row["billId"])), int(str(row["ts"])) * MILLISECOND)
            and all(row[name] == want for name, want in wanted.items())
        )
        return list(islice(rows, page.limit))

    return answer


def _permitted(member: Credentials, permission: str) -> None:
    if permission not in member.permissions:
        if permission == "read":
            raise Refusal("50114", "Invalid Authorization", status=401)
        raise Refusal(
            "50120", "Your API key doesn't have permission to use this function.", status=401
        )


def _integer(asked: Asked, name: str, default: int) -> int:
    value = text(asked, name)
    if not value:
        return default
    if not value.isdecimal():
        raise wrong(name)
    return int(value)


def _object(body: bytes) -> dict[str, object]:
    try:
        return msgspec.json.decode(body, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _not_json() from None


def _array(body: bytes) -> list[object]:
    try:
        found = msgspec.json.decode(body, type=list[object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _not_json() from None
    if not found:
        raise _not_json()
    return found


def _not_json() -> Refusal:
    return Refusal("50002", "JSON syntax error", status=400)


def _answer(
    status: int,
    code: str,
    message: str,
    rows: Sequence[Row],
    times: Mapping[str, str] = {},
    matter: Matter = "",
) -> HttpAnswer:
    body = {"code": code, "data": rows, "msg": message, **times}
    return HttpAnswer(status, msgspec.json.encode(body), matter=matter)
