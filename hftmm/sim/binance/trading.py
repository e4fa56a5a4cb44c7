"""The trading side of the practice Binance: accounts, requests, user data streams."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from hftmm.core.instrument import Kind
from hftmm.sim.binance.api import CONNECT_WEIGHT, PATHS, ApiConnection, WebSocketApi
from hftmm.sim.binance.clock import Clock
from hftmm.sim.binance.control import Connection
from hftmm.sim.binance.endpoints import linear_endpoints, spot_endpoints
from hftmm.sim.binance.errors import ApiError
from hftmm.sim.binance.events import Teller
from hftmm.sim.binance.floor import Disturbances
from hftmm.sim.binance.gate import Gate
from hftmm.sim.binance.instrument import Instrument
from hftmm.sim.binance.keys import KeyRing
from hftmm.sim.binance.lanes import Lanes
from hftmm.sim.binance.linear import BAND as LINEAR_BAND
from hftmm.sim.binance.linear import LinearFloor
from hftmm.sim.binance.linear_account import LINEAR_FEES, LinearAccount
from hftmm.sim.binance.linear_settings import LinearSettings
from hftmm.sim.binance.listen_keys import ListenKeys
from hftmm.sim.binance.rest import PublicRest
from hftmm.sim.binance.spot import BAND as SPOT_BAND
from hftmm.sim.binance.spot import SpotFloor
from hftmm.sim.binance.spot_account import SPOT_FEES, SpotAccount
from hftmm.sim.broker import Broker, Rules
from hftmm.sim.ledger import Account
from hftmm.sim.market import Market
from hftmm.sim.peers import HttpAnswer, HttpQuery, Matter, Push

MOST_LOTS = 1_000_000_000
MOST_ORDERS = 200
PLACES = 8

RULES: Mapping[Kind, Rules] = {
    Kind.SPOT: Rules(
        band=Decimal(SPOT_BAND - 1),
        max_lots=MOST_LOTS,
        max_orders=MOST_ORDERS,
        post_only_refuses=True,
    ),
    Kind.LINEAR: Rules(
        band=LINEAR_BAND,
        max_lots=MOST_LOTS,
        max_orders=MOST_ORDERS,
        post_only_refuses=True,
        fok_refuses=True,
    ),
}


class Trading:
    """Orders and accounts of both markets.

    Attributes:
        broker: accounts and orders behind the wire formats.
        disturbances: private faults.
    """

    def __init__(
        self,
        market: Market,
        instruments: Mapping[tuple[str, str], Instrument],
        connections: Mapping[int, Connection],
        clock: Clock,
        rng: random.Random,
    ) -> None:
        """Opens the accounts.

        Args:
            connections: of the stream hosts, by number; those that name a listen key are served.
        """
        self.broker = Broker(
            "binance",
            market,
            unified=False,
            fees={Kind.SPOT: SPOT_FEES, Kind.LINEAR: LINEAR_FEES},
            rules=RULES,
            places=PLACES,
        )
        self.disturbances = Disturbances()
        self._clock = clock
        self._connections = connections
        self._lanes = Lanes(rng)
        self._listen_keys = ListenKeys(rng)
        shared = (self.broker, instruments, clock, rng, self.disturbances)
        spot, linear = SpotFloor(Kind.SPOT, *shared), LinearFloor(Kind.LINEAR, *shared)
        spot_rest, spot_frames = spot_endpoints(spot, SpotAccount(spot))
        linear_rest, linear_frames = linear_endpoints(
            linear, LinearAccount(linear), LinearSettings(linear)
        )
        self._teller = Teller(spot, linear, clock)
        self._gate = Gate(
            PublicRest(market, instruments),
            {"spot": spot, "linear": linear},
            {**spot_rest, **linear_rest},
            KeyRing(self.broker.credentials),
            self._listen_keys,
            clock,
            self._lanes,
            self._settle,
        )
        self._api = WebSocketApi(
            self._gate, {**spot_frames, **linear_frames}, self._listen_keys, clock
        )
        self._clients: dict[int, ApiConnection] = {}

    def request(self, query: HttpQuery, now_ns: int) -> HttpAnswer:
        """The answer to a REST request of either market."""
        return self._gate.request(query, now_ns)

    def opened(
        self, connection: int, market: str, path: str, query: str, now_ns: int
    ) -> HttpAnswer | None:
        """A handshake with the WebSocket API."""
        if path.rstrip("/") != PATHS[market]:
            return HttpAnswer(404, b"{}")
        try:
            self._gate.limits(market).admit(CONNECT_WEIGHT[market], now_ns)
        except ApiError as error:
            return HttpAnswer(error.status, msgspec.json.encode(error.body))
        shown = dict(parse_qsl(query)).get("returnRateLimits", "true") != "false"
        self._clients[connection] = ApiConnection(connection, market, self._clock.ms(now_ns), shown)
        return None

    def received(self, connection: int, frame: bytes, now_ns: int) -> bool:
        """Answers a frame; False if the connection is not one of the WebSocket API."""
        client = self._clients.get(connection)
        if client is None:
            return False
        answer, matter = self._api.answer(client, frame, now_ns)
        self._lanes.send("answer", Push(connection, answer, matter=matter), now_ns)
        return True

    def closed(self, connection: int) -> None:
        """The connection is gone, of whichever host it was."""
        self._clients.pop(connection, None)
        self._lanes.close(connection)

    def clients(self, market: str | None = None) -> list[int]:
        """Connections of the WebSocket API."""
        return [
            number
            for number, client in self._clients.items()
            if market is None or client.market == market
        ]

    def farewell(self, now_ns: int) -> list[int]:
        """Announces a shutdown where the venue does, on spot; returns whom it was announced to."""
        told = self.clients("spot")
        event = {"event": {"e": "serverShutdown", "E": self._clock.ms(now_ns)}}
        for number in told:
            self._lanes.send("event", Push(number, msgspec.json.encode(event)), now_ns)
        return told

    def advance(self, now_ns: int) -> list[Push]:
        """Time passed; frames that are due."""
        self.broker.advance(now_ns)
        for account in self.broker.accounts.values():
            self._settle(account, now_ns)
        expired = self._listen_keys.expire(now_ns)
        for key in expired:
            event = {"e": "listenKeyExpired", "E": self._clock.ms(now_ns), "listenKey": key}
            self._to_key(key, event, now_ns)
        return self._lanes.due(now_ns)

    def _settle(self, account: Account, now_ns: int) -> None:
        """Tells everybody who listens what happened to an account."""
        if account.events:
            self._teller.tell(
                account, now_ns, lambda market, event: self._emit(account, market, event, now_ns)
            )

    def _emit(self, account: Account, market: str, event: dict[str, Any], now_ns: int) -> None:
        if self.disturbances.unknown_fields:
            # Venues add fields without notice.
            event = {**event, "zz": {"new": now_ns}}
        if market == "linear":
            key = self._listen_keys.of(account.key)
            if key is not None:
                self._to_key(key, event, now_ns)
            return
        for client in self._clients.values():
            for number, subscriber in client.subscriptions.items():
                if subscriber is account:
                    wrapped = {"subscriptionId": number, "event": event}
                    frame = msgspec.json.encode(wrapped)
                    push = Push(client.number, frame, matter=_matter(event))
                    self._lanes.send("event", push, now_ns)

    def _to_key(self, key: str, event: dict[str, Any], now_ns: int) -> None:
        """Sends an event on every stream connection that names the listen key."""
        bare = msgspec.json.encode(event)
        wrapped = b'{"stream":"%b","data":%b}' % (key.encode(), bare)
        for reader in self._readers(key):
            frame = wrapped if reader.combined else bare
            push = Push(reader.number, frame, matter=_matter(event))
            self._lanes.send("event", push, now_ns)

    def _readers(self, key: str) -> Iterable[Connection]:
        return [
            connection
            for connection in self._connections.values()
            if connection.market == "linear"
            and connection.route in ("", "private")
            and key in connection.topics
        ]


def _matter(event: dict[str, Any]) -> Matter:
    """What an event is about."""
    match event["e"]:
        case "TRADE_LITE":
            return "fill"
        case "executionReport":
            return "fill" if event["x"] == "TRADE" else "order"
        case "ORDER_TRADE_UPDATE":
            return "fill" if event["o"]["x"] == "TRADE" else "order"
        case "outboundAccountPosition" | "balanceUpdate" | "ACCOUNT_UPDATE":
            return "account"
        case _:
            return ""
