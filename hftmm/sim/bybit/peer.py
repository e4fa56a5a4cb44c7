"""The practice Bybit: its connections, what is said on them, and the venue behind."""

from __future__ import annotations

import heapq
import random
import uuid
from collections import defaultdict

import msgspec

from hftmm.sim.broker import Broker
from hftmm.sim.bybit.accounts import Accounts
from hftmm.sim.bybit.answers import Row, not_found
from hftmm.sim.bybit.budget import Budget
from hftmm.sim.bybit.connection import FACES, Command, Connection, command, idle_ns
from hftmm.sim.bybit.entry import OrderEntry
from hftmm.sim.bybit.gateway import Gateway
from hftmm.sim.bybit.identity import Keyring
from hftmm.sim.bybit.instrument import MILLISECOND, Instrument
from hftmm.sim.bybit.private import PrivateSocket
from hftmm.sim.bybit.queries import Queries
from hftmm.sim.bybit.rest import MarketEndpoints
from hftmm.sim.bybit.settings import FEES, RULES, Settings
from hftmm.sim.bybit.topic import (
    CADENCE_NS,
    SECOND,
    BookTopic,
    TickerTopic,
    Topic,
    TopTopic,
    TradeTopic,
)
from hftmm.sim.bybit.trade import TradeSocket, said
from hftmm.sim.bybit.view import Views
from hftmm.sim.market import Market
from hftmm.sim.orders import Order
from hftmm.sim.peers import Close, HttpAnswer, HttpQuery, Matter, Outgoing, Push

REPLY_NS = 10 * MILLISECOND
"""How long a frame waits to be heard: some clients send first and listen for the reply after."""
REPLY_MORE_NS = 2 * MILLISECOND
"""A frame to the private or trade socket waits up to so much longer."""
SUBSCRIBE_NS = 50 * MILLISECOND
"""How long a subscription to private topics waits: a client that lost the race for its answer would
be deaf from then on, and nobody is in a hurry to subscribe."""
SCAN_NS = 30 * SECOND
"""Idle connections are looked for this often."""
SPOT_ARGS = 10
"""Topics in one subscription on spot."""
_CUT = 1006
# What the topics of the private socket are about.
_MATTERS: dict[str, Matter] = {
    "order": "order",
    "execution": "fill",
    "position": "account",
    "wallet": "account",
}
_URLS = {
    "rest": "http://{}",
    "public_spot": "ws://{}/v5/public/spot",
    "public_linear": "ws://{}/v5/public/linear",
    "private": "ws://{}/v5/private",
    "trade": "ws://{}/v5/trade",
}


class BybitPeer:
    """Bybit with a unified account: spot and linear.

    A restart leaves public connections open but every second one, in the order they came: on those
    that stay, every book goes on with a snapshot of update id 1, which is all the warning there is.
    Orders outlive it.

    Attributes:
        acks_first: whether an order by WebSocket is acknowledged before the private streams tell
            what became of it, or after; they are sockets apart, so a client may see either.
        broker: accounts and orders.
        settings: by account.
        private, accounts, views: what can be switched about them is theirs.
    """

    venue = "bybit"
    faces: tuple[str, ...] = tuple(_URLS)

    def __init__(self, market: Market, seed: int) -> None:
        self.outbox: list[Outgoing] = []
        self.skew_ns = 0
        self.acks_first = True
        self.broker = Broker(self.venue, market, unified=True, fees=FEES, rules=RULES)
        self._rng = random.Random(seed)
        self._latency = random.Random(seed)
        self._now_ns = market.now_ns
        self._connections: dict[int, Connection] = {}
        # When a frame is heard, its number, and on which connection; a heap.
        self._heard: list[tuple[int, int, int, bytes]] = []
        self._frames = 0
        self._scan_ns = 0
        self._topics: dict[tuple[str, str], Topic] = {}
        self._books: list[BookTopic] = []
        self._tops: list[TopTopic] = []
        self._tapes: list[tuple[Instrument, TradeTopic]] = []
        instruments: dict[tuple[str, str], Instrument] = {}
        deepest: dict[tuple[str, str], BookTopic] = {}
        for engine in market.of(self.venue):
            instrument = Instrument(market, engine)
            key = instrument.category, instrument.symbol
            instruments[key] = instrument
            top = TopTopic(instrument, self._first_u())
            books = [BookTopic(instrument, n, self._first_u()) for n in CADENCE_NS if n > 1]
            trades = TradeTopic(instrument)
            topics: list[Topic] = [top, *books, trades, TickerTopic(instrument)]
            self._topics |= {(instrument.category, topic.name): topic for topic in topics}
            self._tops.append(top)
            self._books += books
            self._tapes.append((instrument, trades))
            deepest[key] = books[-1]
        keyring = Keyring(self.broker.credentials)
        budget = Budget()
        accounts = self.broker.accounts
        self.settings = {key: Settings() for key in accounts}
        self.views = Views(self.broker, instruments)
        self._entry = OrderEntry(self.broker, instruments, self.settings)
        self._queries = Queries(self.broker, self._entry, self.views, instruments)
        self.accounts = Accounts(self.broker, instruments, self.settings)
        self.private = PrivateSocket(
            keyring, accounts, self.broker, self.views, self.settings, self._say
        )
        self._trade = TradeSocket(keyring, accounts, self._entry, budget, seed)
        markets = MarketEndpoints(instruments, deepest, self._entry.edge)
        self._gateway = Gateway(
            keyring, accounts, markets, self._queries, self.accounts, self._entry, budget
        )

    def url(self, face: str, authority: str) -> str:
        """The streams with their path, as the venue documents them."""
        return _URLS[face].format(authority)

    def opened(
        self, connection: int, face: str, path: str, query: str, now_ns: int
    ) -> HttpAnswer | None:
        """The path alone says which market it is: the venue has one host for all streams."""
        wanted = FACES.get(path)
        if wanted is None:
            return not_found(now_ns + self.skew_ns)
        conn_id = str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
        opened = Connection(connection, wanted, conn_id, now_ns)
        if wanted in {"private", "trade"}:
            opened.idle_ns = idle_ns(query)
        if wanted == "private":
            self.private.opened(opened)
        self._connections[connection] = opened
        return None

    def received(self, connection: int, frame: bytes, now_ns: int) -> None:
        """It is heard, and answered, a little later; a connection's frames keep their order."""
        known = self._connections.get(connection)
        if known is None:
            return
        due_ns = now_ns + REPLY_NS
        if known.face == "private" and b'"subscribe"' in frame:
            due_ns = now_ns + SUBSCRIBE_NS
        elif known.face in {"private", "trade"}:
            due_ns += self._latency.randrange(REPLY_MORE_NS)
        known.heard_ns = due_ns = max(due_ns, known.heard_ns)
        self._frames += 1
        heapq.heappush(self._heard, (due_ns, self._frames, connection, frame))

    def closed(self, connection: int) -> None:
        """The connection is gone, and its subscriptions with it."""
        gone = self._connections.pop(connection, None)
        if gone is not None:
            for topic in gone.topics.values():
                topic.subscribers.pop(connection, None)
            self._trade.retired.discard(connection)
            if gone.face == "private":
                self.private.closed(gone, self._now_ns)

    def request(self, query: HttpQuery, now_ns: int) -> HttpAnswer:
        """A REST request arrived. One that is about an account is answered a moment later."""
        self.views.skew_ns = self._entry.skew_ns = self.skew_ns
        answered = self._gateway.answer(query, now_ns, self.skew_ns)
        self._tell_accounts(now_ns)
        if query.path.startswith("/v5/market/"):
            return answered
        return msgspec.structs.replace(answered, late_ns=self._latency.randrange(REPLY_MORE_NS))

    def advance(self, now_ns: int) -> None:
        """Time passed: news goes out, then what was said is answered, then the idle are cut."""
        self._now_ns = now_ns
        self.views.skew_ns = self._entry.skew_ns = self.skew_ns
        stamp_ms = self._stamp_ms(now_ns)
        self.broker.advance(now_ns)
        self.private.advance(now_ns)
        self._tell_accounts(now_ns)
        for instrument, tape in self._tapes:
            trades = instrument.take_fresh()
            if trades and tape.subscribers:
                for frame in tape.frames(trades, stamp_ms, self.skew_ns):
                    self._push(tape, frame, now_ns)
        for topic in self._topics.values():
            if topic.subscribers:
                news = topic.publish(now_ns, stamp_ms)
                if news is not None:
                    self._push(topic, news, now_ns)
        while self._heard and self._heard[0][0] <= now_ns:
            _, _, number, frame = heapq.heappop(self._heard)
            connection = self._connections.get(number)
            if connection is not None:
                self._hear(connection, frame, now_ns)
        if now_ns >= self._scan_ns:
            self._scan_ns = now_ns + SCAN_NS
            for connection in list(self._connections.values()):
                if now_ns - connection.active_ns >= connection.idle_ns:
                    self._cut(connection.number)

    def restart(self, now_ns: int) -> None:
        """Every second public connection is cut; on the others every book begins anew with id 1.

        Log-ins are gone, and with them every private and trade connection. Of the orders that
        closed before, only the history knows from now on.
        """
        self._queries.forgotten_ns = now_ns
        self._now_ns = now_ns
        public = [one for one in self._connections.values() if one.face in {"spot", "linear"}]
        lost = [one for one in self._connections.values() if one not in public]
        for connection in public[1::2] + lost:
            self._cut(connection.number)
        stamp_ms = self._stamp_ms(now_ns)
        restarting: list[TopTopic | BookTopic] = [*self._tops, *self._books]
        for topic in restarting:
            self._push(topic, topic.restart(stamp_ms), now_ns)

    def restart_trade(self) -> None:
        """The trade service restarts: connections so far take no more orders, new ones do."""
        self._trade.retired.update(
            one.number for one in self._connections.values() if one.face == "trade"
        )

    def farewell(self, now_ns: int) -> None:
        """The venue gives no notice: every connection is cut."""
        for number in list(self._connections):
            self._cut(number)

    def cross(self, now_ns: int) -> None:
        """One false bid on every depth stream, which stays until the topic is subscribed anew."""
        for topic in self._books:
            if topic.subscribers:
                frame = topic.cross(self._stamp_ms(now_ns))
                if frame is not None:
                    self._push(topic, frame, now_ns)

    def _hear(self, connection: Connection, frame: bytes, now_ns: int) -> None:
        try:
            asked = command.decode(frame)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._misunderstand(connection)
            return
        match connection.face:
            case "private":
                connection.active_ns = now_ns
                self.private.hear(connection, asked, self._stamp_ms(now_ns))
            case "trade":
                connection.active_ns = now_ns
                self._order(connection, asked, now_ns)
            case _:
                self._hear_public(connection, asked, now_ns)

    def _misunderstand(self, connection: Connection) -> None:
        if connection.face == "trade":
            self._say(connection, said(connection, "", 10001, "error:invalid request"))
        else:
            self._reply(connection, "", Command(), success=False, message="error:invalid request")

    def _order(self, connection: Connection, asked: Command, now_ns: int) -> None:
        reply = self._trade.hear(connection, asked, now_ns, self.skew_ns)
        retired = connection.number in self._trade.retired
        matter: Matter = "ack" if asked.op.startswith("order.") else ""
        answer = Push(connection.number, msgspec.json.encode(reply), matter=matter)
        if self.acks_first:
            self.outbox.append(answer)
        self._tell_accounts(now_ns)
        if not self.acks_first:
            self.outbox.append(answer)
        if retired:
            self._cut(connection.number)

    def _tell_accounts(self, now_ns: int) -> None:
        """Whatever happened to an account goes to its connections."""
        raced: dict[str, list[Order]] = defaultdict(list)
        for order in self._entry.raced:
            raced[order.account].append(order)
        self._entry.raced.clear()
        for key, account in self.broker.accounts.items():
            events = account.take_events()
            if events or key in raced:
                self.private.push(account, events, raced[key], self._stamp_ms(now_ns))

    def _hear_public(self, connection: Connection, asked: Command, now_ns: int) -> None:
        match asked.op:
            case "ping":
                connection.active_ns = now_ns
                self._pong(connection, asked)
            case "subscribe":
                self._subscribe(connection, asked, now_ns)
            case "unsubscribe":
                for name in asked.args:
                    topic = connection.topics.pop(str(name), None)
                    if topic is not None:
                        topic.subscribers.pop(connection.number, None)
                self._acknowledge(connection, asked)
            case op:
                self._reply(connection, op, asked, success=False, message="error:unknown op")

    def _subscribe(self, connection: Connection, asked: Command, now_ns: int) -> None:
        """All of the topics or, if one is unknown, none. The venue does not document which."""
        if connection.face == "spot" and len(asked.args) > SPOT_ARGS:
            self._reply(connection, "subscribe", asked, success=False, message="args size >10")
            return
        topics: list[Topic] = []
        for name in map(str, asked.args):
            topic = self._topics.get((connection.face, name))
            if topic is None:
                message = f"error:handler not found,topic:{name}"
                self._reply(connection, "subscribe", asked, success=False, message=message)
                return
            topics.append(topic)
        self._acknowledge(connection, asked)
        for topic in topics:
            first = topic.join(now_ns, self._stamp_ms(now_ns))
            topic.subscribers[connection.number] = None
            connection.topics[topic.name] = topic
            if first is not None:
                connection.active_ns = now_ns
                self.outbox.append(Push(connection.number, first, topic.feed))

    def _acknowledge(self, connection: Connection, asked: Command) -> None:
        """Spot repeats the operation as its message, linear says nothing."""
        message = asked.op if connection.face == "spot" else ""
        self._reply(connection, asked.op, asked, success=True, message=message)

    def _pong(self, connection: Connection, asked: Command) -> None:
        """Spot does not echo the request's id."""
        reply: dict[str, object] = {
            "success": True,
            "ret_msg": "pong",
            "conn_id": connection.conn_id,
        }
        if connection.face == "linear":
            reply["req_id"] = _number(asked)
        self._say(connection, reply | {"op": "ping"})

    def _reply(
        self, connection: Connection, op: str, asked: Command, *, success: bool, message: str
    ) -> None:
        self._say(
            connection,
            {
                "success": success,
                "ret_msg": message,
                "conn_id": connection.conn_id,
                "req_id": _number(asked),
                "op": op,
            },
        )

    def _say(self, connection: Connection, message: Row) -> None:
        topic = str(message.get("topic", ""))
        if topic:
            connection.active_ns = self._now_ns
        frame = msgspec.json.encode(message)
        self.outbox.append(
            Push(connection.number, frame, matter=_MATTERS.get(topic.partition(".")[0], ""))
        )

    def _push(self, topic: Topic, frame: bytes, now_ns: int) -> None:
        for number in topic.subscribers:
            self._connections[number].active_ns = now_ns
            self.outbox.append(Push(number, frame, topic.feed))

    def _cut(self, number: int) -> None:
        self.outbox.append(Close(number, _CUT))
        self.closed(number)

    def _stamp_ms(self, now_ns: int) -> int:
        return (now_ns + self.skew_ns) // MILLISECOND

    def _first_u(self) -> int:
        return self._rng.randrange(100_000, 100_000_000)


def _number(asked: Command) -> str | int:
    return "" if asked.req_id is None else asked.req_id
