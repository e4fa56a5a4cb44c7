"""The private socket of the practice Bybit: login, topics, and the dead-man switch they arm."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from hftmm.core.instrument import Kind
from hftmm.sim.broker import Broker
from hftmm.sim.bybit.answers import Refused, Row
from hftmm.sim.bybit.connection import Command, Connection
from hftmm.sim.bybit.identity import Keyring
from hftmm.sim.bybit.settings import Settings
from hftmm.sim.bybit.topic import SECOND
from hftmm.sim.bybit.view import Views
from hftmm.sim.ledger import Account, BalanceChanged, BrokerEvent, OrderChanged, PositionChanged
from hftmm.sim.orders import Order
from hftmm.sim.spec import Spec

# Topics of all categories, and the categories of those that may be had singly.
_WHOLE = frozenset({"order", "execution", "execution.fast", "position", "wallet", "greeks"})
_CATEGORIES = ("spot", "linear", "inverse", "option")
_SINGLE = frozenset(
    f"{topic}.{category}"
    for topic in ("order", "execution", "execution.fast", "position")
    for category in _CATEGORIES
    if (topic, category) != ("position", "spot")
)
# Topics that push nothing but arm the switch -> its product; options are not traded here.
_DCP = {"dcp.spot": "SPOT", "dcp.future": "DERIVATIVES", "dcp.option": ""}
_KINDS = {"SPOT": Kind.SPOT, "DERIVATIVES": Kind.LINEAR}

Say = Callable[[Connection, Row], None]


class PrivateSocket:
    """Every connection to `/v5/private`.

    There is no snapshot on subscribing: whoever wants the state of now asks by REST.

    Attributes:
        executions_first: whether fills are pushed before the state of their order, or after; the
            venue promises neither.
    """

    def __init__(
        self,
        keyring: Keyring,
        accounts: Mapping[str, Account],
        broker: Broker,
        views: Views,
        settings: Mapping[str, Settings],
        say: Say,
    ) -> None:
        self.executions_first = True
        self._keyring = keyring
        self._accounts = accounts
        self._broker = broker
        self._views = views
        self._settings = settings
        self._say = say
        self._connections: dict[int, Connection] = {}
        # When the switch fires, by account and product.
        self._due_ns: dict[tuple[str, str], int] = {}
        self._pushed = 0

    def opened(self, connection: Connection) -> None:
        """A new connection, which has to log in before it subscribes."""
        self._connections[connection.number] = connection

    def closed(self, connection: Connection, now_ns: int) -> None:
        """The last connection with a dead-man topic starts its clock."""
        self._connections.pop(connection.number, None)
        if connection.account is None:
            return
        key = connection.account.key
        for topic in connection.private:
            product = _DCP.get(topic)
            if product and not self._listens(key, topic):
                window_ns = self._settings[key].dcp_s[product] * SECOND
                self._due_ns[key, product] = now_ns + window_ns

    def hear(self, connection: Connection, asked: Command, stamp_ms: int) -> None:
        """One frame of a client."""
        account = connection.account
        match asked.op:
            case "ping":
                pong: Row = {"op": "pong", "args": [str(stamp_ms)], "conn_id": connection.conn_id}
                if asked.req_id is not None:
                    pong = {"req_id": asked.req_id} | pong
                self._say(connection, pong)
            case "auth":
                self._login(connection, asked, stamp_ms)
            case "subscribe" | "unsubscribe" if account is None:
                self._reply(connection, asked, "Request not authorized")
            case "subscribe" if account is not None:
                self._subscribe(connection, asked, account)
            case "unsubscribe":
                connection.private.difference_update(map(str, asked.args))
                self._reply(connection, asked, "")
            case _:
                self._reply(connection, asked, "error:invalid op")

    def push(
        self,
        account: Account,
        events: Iterable[BrokerEvent],
        raced: Iterable[Order],
        stamp_ms: int,
    ) -> None:
        """Tells the account's connections what happened, each order and position once."""
        events = list(events)
        fresh = self._views.learn(account, events)
        orders: dict[int, Order] = {}
        specs: dict[str, Spec] = {}
        money = False
        for event in events:
            match event:
                case OrderChanged(order=order):
                    orders[order.id] = order
                    if order.spec.kind is Kind.LINEAR:
                        # The venue pushes the position with every change of an order of it.
                        specs[order.spec.symbol] = order.spec
                        money = True
                case PositionChanged(spec=spec):
                    specs[spec.symbol] = spec
                case BalanceChanged():
                    money = True
        views = self._views

        def fast() -> list[Row]:
            changes = (event for event in events if isinstance(event, OrderChanged))
            return [views.fast(one.execution) for one in changes if one.execution is not None]

        def filled() -> list[Row]:
            return [{"category": one.spec.kind.value} | one.row for one in fresh]

        def states() -> list[Row]:
            return [_categorised(one, views.order(account, one)) for one in orders.values()]

        def vain() -> list[Row]:
            end = {"cancelType": "CancelByUser", "rejectReason": "EC_OrigClOrdIDDoesNotExist"}
            return [_categorised(one, views.order(account, one)) | end for one in raced]

        def positions() -> list[Row]:
            shown = (views.position(account, spec, stream=True) for spec in specs.values())
            return [{"category": "linear"} | row for row in shown]

        def wallet() -> list[Row]:
            return [views.wallet(account)] if money else []

        self._publish(account, "execution.fast", fast, stamp_ms)
        topics: list[tuple[str, Callable[[], list[Row]]]]
        topics = [("execution", filled), ("order", states)]
        for topic, rows in topics if self.executions_first else reversed(topics):
            self._publish(account, topic, rows, stamp_ms)
        self._publish(account, "order", vain, stamp_ms)
        self._publish(account, "position", positions, stamp_ms)
        self._publish(account, "wallet", wallet, stamp_ms)

    def advance(self, now_ns: int) -> None:
        """Cancels what the dead-man switch has to."""
        for (key, product), due_ns in list(self._due_ns.items()):
            if now_ns >= due_ns:
                del self._due_ns[key, product]
                kind = _KINDS[product]
                self._broker.cancel_all(self._accounts[key], None, kind, now_ns, reason="dead_man")

    def armed(self, account: Account, product: str) -> bool:
        """True if a connection holds the switch of the product."""
        return any(self._listens(account.key, t) for t, p in _DCP.items() if p == product)

    def _login(self, connection: Connection, asked: Command, stamp_ms: int) -> None:
        """What is wrong with a login is hardly told: a wrong time looks like a wrong key."""
        try:
            known = self._keyring.login(asked.args, stamp_ms)
        except Refused as refused:
            self._reply(connection, asked, str(refused))
            return
        connection.credentials = known
        connection.account = self._accounts[known.account]
        self._reply(connection, asked, "")

    def _subscribe(self, connection: Connection, asked: Command, account: Account) -> None:
        """All topics or, if one is unknown, none. The venue does not document which."""
        names = [str(one) for one in asked.args]
        for name in names:
            if name not in _WHOLE and name not in _SINGLE and name not in _DCP:
                self._reply(connection, asked, f"error:handler not found,topic:{name}")
                return
        mixed = [name for name in names if name in _SINGLE and name.rpartition(".")[0] in names]
        if mixed:
            self._reply(connection, asked, f"error:all-in-one and {mixed[0]} in one request")
            return
        connection.private.update(names)
        for name in names:
            # Whoever is back holds the switch again.
            self._due_ns.pop((account.key, _DCP.get(name, "")), None)
        self._reply(connection, asked, "")

    def _reply(self, connection: Connection, asked: Command, failure: str) -> None:
        reply: Row = {
            "success": not failure,
            "ret_msg": failure,
            "op": asked.op,
            "conn_id": connection.conn_id,
        }
        if asked.req_id is not None:
            reply["req_id"] = asked.req_id
        self._say(connection, reply)

    def _publish(
        self, account: Account, topic: str, rows: Callable[[], list[Row]], stamp_ms: int
    ) -> None:
        """To each connection all rows under the whole topic, and each category's under its own.

        Rows are made only if somebody wants them.
        """
        names = [topic, *(f"{topic}.{category}" for category in _CATEGORIES)]
        wanted = [
            (connection, name)
            for connection in self._connections.values()
            if connection.account is account
            for name in names
            if name in connection.private
        ]
        made = rows() if wanted else []
        for connection, name in wanted:
            category = name.removeprefix(topic).removeprefix(".")
            chosen = [row for row in made if not category or row["category"] == category]
            if chosen:
                self._say(connection, self._message(account, name, chosen, stamp_ms))

    def _message(self, account: Account, topic: str, rows: list[Row], stamp_ms: int) -> Row:
        self._pushed += 1
        message: Row = {"topic": topic, "creationTime": stamp_ms, "data": rows}
        if topic.startswith("execution.fast"):
            return message
        return {"id": f"{account.key}_{topic}_{self._pushed}"} | message

    def _listens(self, key: str, topic: str) -> bool:
        return any(
            topic in one.private and one.account is not None and one.account.key == key
            for one in self._connections.values()
        )


def _categorised(order: Order, row: Row) -> Row:
    return {"category": order.spec.kind.value} | row
