"""The WebSocket API: requests in frames, sessions, and the user data stream of spot."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from hftmm.sim.binance.clock import Clock
from hftmm.sim.binance.endpoints import Endpoint
from hftmm.sim.binance.errors import INVALID_KEY, ApiError
from hftmm.sim.binance.gate import Gate
from hftmm.sim.binance.keys import ApiKey
from hftmm.sim.binance.limits import LimitError
from hftmm.sim.binance.listen_keys import ListenKeys
from hftmm.sim.binance.params import Params, flag, from_json, number
from hftmm.sim.ledger import Account
from hftmm.sim.peers import Matter

PATHS = {"spot": "/ws-api/v3", "linear": "/ws-fapi/v1"}
CONNECT_WEIGHT = {"spot": 2, "linear": 5}
_PUBLIC = {"ticker.book": "ticker/bookTicker"}
_without_version = re.compile(r"v[0-9]+/").sub
_is_text_id = re.compile(r"[A-Za-z0-9_-]{1,36}").fullmatch


@dataclass(slots=True)
class ApiConnection:
    """One client of the WebSocket API.

    Attributes:
        key: who logged on, None before.
        subscriptions: accounts whose events it receives, by subscription id.
        limits_shown: False if its URL declined `rateLimits`.
    """

    number: int
    market: str
    connected_ms: int
    limits_shown: bool
    key: ApiKey | None = None
    authorised_ms: int = 0
    subscriptions: dict[int, Account] = field(default_factory=dict)
    last_subscription: int = -1


@dataclass(frozen=True, slots=True)
class _Request:
    request_id: object
    method: str
    params: dict[str, str]


class WebSocketApi:
    """Answers frames; what the same request means by REST it means here."""

    def __init__(
        self,
        gate: Gate,
        endpoints: Mapping[tuple[str, str], Endpoint],
        listen_keys: ListenKeys,
        clock: Clock,
    ) -> None:
        self._gate = gate
        self._endpoints = endpoints
        self._listen_keys = listen_keys
        self._clock = clock
        session: dict[str, Callable[[ApiConnection, Params, int], Any]] = {
            "session.logon": self._log_on,
            "session.status": self._status,
            "session.logout": self._log_out,
        }
        self._sessions: dict[tuple[str, str], Callable[[ApiConnection, Params, int], Any]] = {
            **{("spot", name): action for name, action in session.items()},
            **{("linear", name): action for name, action in session.items()},
            ("spot", "session.subscriptions"): self._subscriptions,
            ("spot", "userDataStream.subscribe"): self._subscribe,
            ("spot", "userDataStream.subscribe.signature"): self._subscribe_signed,
            ("spot", "userDataStream.unsubscribe"): self._unsubscribe,
            ("linear", "userDataStream.start"): self._start,
            ("linear", "userDataStream.ping"): self._ping,
            ("linear", "userDataStream.stop"): self._stop,
        }

    def answer(self, connection: ApiConnection, frame: bytes, now_ns: int) -> tuple[bytes, Matter]:
        """The answer to one frame, and whether it is to a request that enters an order."""
        request_id: object = None
        endpoint: Endpoint | None = None
        shown = connection.limits_shown
        envelope: dict[str, Any]
        try:
            request = _parse(frame)
            if isinstance(request, bytes):
                return request, ""
            request_id = request.request_id
            endpoint = self._endpoint(connection, request.method)
            if "returnRateLimits" in request.params:
                shown = flag(request.params, "returnRateLimits")
            value = self._value(connection, request, endpoint, now_ns)
            envelope = {"id": request_id, "status": 200, "result": value}
        except ApiError as error:
            body = error.body
            if isinstance(error, LimitError):
                body["data"] = {
                    "serverTime": self._clock.ms(now_ns),
                    "retryAfter": self._clock.ms(error.until_ns),
                }
            envelope = {"id": request_id, "status": error.status, "error": body}
        if shown:
            limits = self._gate.limits(connection.market)
            counted = endpoint is not None and endpoint.counted
            envelope["rateLimits"] = limits.shown(now_ns, orders=counted)
        enters = endpoint is not None and endpoint.enters
        return msgspec.json.encode(envelope), "ack" if enters else ""

    def _endpoint(self, connection: ApiConnection, method: str) -> Endpoint | None:
        """What a method does; a version in front of its name may be left out."""
        market = connection.market
        exact = self._endpoints.get((market, method))
        return exact or self._endpoints.get((market, _without_version("", method, count=1)))

    def _value(
        self,
        connection: ApiConnection,
        request: _Request,
        endpoint: Endpoint | None,
        now_ns: int,
    ) -> Any:
        market, params = connection.market, request.params
        method = request.method
        if endpoint is not None:
            self._gate.admit(market, endpoint, params, now_ns)
            key = self._authorised(connection, params, endpoint.permission, now_ns)
            return self._gate.act(market, endpoint, self._gate.account(key), params, now_ns)
        action = self._sessions.get((market, method))
        if action is not None:
            self._gate.limits(market).admit(2, now_ns)
            return action(connection, params, now_ns)
        name = _without_version("", method, count=1)
        found, value = self._gate.public(market, _PUBLIC.get(name, name), params, now_ns)
        if found:
            return value
        self._gate.limits(market).admit(1, now_ns)
        raise ApiError(400, -5000, f"Method {method} is invalid")

    def _authorised(
        self, connection: ApiConnection, params: Params, permission: str, now_ns: int
    ) -> ApiKey:
        """Who asks: the key that signed the request, else the one that logged on."""
        if connection.key is None or "signature" in params or "apiKey" in params:
            return self._gate.frame_key(params, permission, now_ns)
        self._gate.may(connection.key, permission)
        self._gate.check_time(params, now_ns)
        return connection.key

    # Sessions

    def _log_on(self, connection: ApiConnection, params: Params, now_ns: int) -> Any:
        key = self._gate.frame_key(params, "read", now_ns)
        if key.public is None:
            raise ApiError(400, -4056, "HMAC_SHA256 API key is not supported.")
        connection.key, connection.authorised_ms = key, self._clock.ms(now_ns)
        return self._status(connection, params, now_ns)

    def _status(self, connection: ApiConnection, params: Params, now_ns: int) -> Any:
        key = connection.key
        return {
            "apiKey": key.name if key else None,
            "authorizedSince": connection.authorised_ms if key else None,
            "connectedSince": connection.connected_ms,
            "returnRateLimits": connection.limits_shown,
            "serverTime": self._clock.ms(now_ns),
            "userDataStream": bool(connection.subscriptions),
        }

    def _log_out(self, connection: ApiConnection, params: Params, now_ns: int) -> Any:
        connection.key = None
        return self._status(connection, params, now_ns)

    # Spot user data

    def _subscribe(self, connection: ApiConnection, params: Params, now_ns: int) -> Any:
        if connection.key is None:
            raise ApiError(*INVALID_KEY)
        return self._add(connection, self._gate.account(connection.key))

    def _subscribe_signed(self, connection: ApiConnection, params: Params, now_ns: int) -> Any:
        key = self._gate.frame_key(params, "read", now_ns)
        return self._add(connection, self._gate.account(key))

    def _add(self, connection: ApiConnection, account: Account) -> dict[str, int]:
        if account in connection.subscriptions.values():
            text = "User Data Stream subscription already active."
            raise ApiError(400, -2035, text)
        connection.last_subscription += 1
        connection.subscriptions[connection.last_subscription] = account
        return {"subscriptionId": connection.last_subscription}

    def _unsubscribe(self, connection: ApiConnection, params: Params, now_ns: int) -> Any:
        wanted = number(params, "subscriptionId")
        if not connection.subscriptions or (
            wanted is not None and wanted not in connection.subscriptions
        ):
            raise ApiError(400, -2036, "User Data Stream subscription not active.")
        if wanted is None:
            connection.subscriptions.clear()
        else:
            del connection.subscriptions[wanted]
        return {}

    def _subscriptions(self, connection: ApiConnection, params: Params, now_ns: int) -> Any:
        return [{"subscriptionId": number} for number in connection.subscriptions]

    # USD-M listen keys; the API key is enough for them

    def _start(self, connection: ApiConnection, params: Params, now_ns: int) -> Any:
        return {"listenKey": self._listen_keys.open(self._named(params), now_ns)}

    def _ping(self, connection: ApiConnection, params: Params, now_ns: int) -> Any:
        return {"listenKey": self._listen_keys.extend(self._named(params), now_ns)}

    def _stop(self, connection: ApiConnection, params: Params, now_ns: int) -> Any:
        self._listen_keys.close(self._named(params))
        return {}

    def _named(self, params: Params) -> str:
        return self._gate.account(self._gate.key(params.get("apiKey", ""), "read")).key


def _parse(frame: bytes) -> _Request | bytes:
    """A request, or the refusal of what is none."""
    try:
        message = msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _illegible(-1135, "Invalid JSON Request")
    if not isinstance(message, dict) or not isinstance(message.get("method"), str):
        return _illegible(
            -1102, "Mandatory parameter 'method' was not sent, was empty/null, or malformed."
        )
    request_id = message.get("id")
    whole = isinstance(request_id, int) and not isinstance(request_id, bool)
    worded = isinstance(request_id, str) and _is_text_id(request_id) is not None
    if not (request_id is None or whole or worded):
        return _illegible(
            -1100,
            "Illegal characters found in parameter 'id'; legal range is '^[a-zA-Z0-9-_]{1,36}$'.",
        )
    params = message.get("params", {})
    if not isinstance(params, dict):
        return _illegible(-1135, "Invalid JSON Request")
    return _Request(request_id, message["method"], from_json(params))


def _illegible(code: int, text: str) -> bytes:
    return msgspec.json.encode({"id": None, "status": 400, "error": {"code": code, "msg": text}})
