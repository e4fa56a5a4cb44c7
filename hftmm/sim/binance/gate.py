"""The way of every request: limits, key, time, signature, and only then what it asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from hftmm.sim.binance.clock import Clock
from hftmm.sim.binance.endpoints import Endpoint
from hftmm.sim.binance.errors import KEY_FORMAT, ApiError, missing
from hftmm.sim.binance.floor import Floor
from hftmm.sim.binance.keys import (
    ApiKey,
    KeyRing,
    check_signature,
    check_time,
    frame_payload,
    rest_payload,
)
from hftmm.sim.binance.lanes import Lanes
from hftmm.sim.binance.limits import SECOND, LimitError, Limits
from hftmm.sim.binance.listen_keys import ListenKeys
from hftmm.sim.binance.params import Params, parse_form
from hftmm.sim.binance.rest import PublicRest
from hftmm.sim.binance.spot_account import restrictions
from hftmm.sim.ledger import Account
from hftmm.sim.peers import HttpAnswer, HttpQuery, Matter

KEY_HEADER = "x-mbx-apikey"
_GONE = (410, -1016, "This service is no longer available.")
_PREFIXES = {"spot": "/api/v3/", "linear": "/fapi/v1/"}
_RESTRICTIONS = "/sapi/v1/account/apiRestrictions"
_LISTEN_KEY = "/fapi/v1/listenKey"
_LISTEN_KEY_WEIGHT = 1


class Gate:
    """Answers requests, whether they came by REST or by WebSocket API.

    Args:
        floors: by market.
        settle: called after a request that may have changed an account.
    """

    def __init__(
        self,
        public: PublicRest,
        floors: Mapping[str, Floor],
        endpoints: Mapping[tuple[str, str, str], Endpoint],
        keys: KeyRing,
        listen_keys: ListenKeys,
        clock: Clock,
        lanes: Lanes,
        settle: Callable[[Account, int], None],
    ) -> None:
        self._public = public
        self._floors = floors
        self._endpoints = endpoints
        self._keys = keys
        self._listen_keys = listen_keys
        self._clock = clock
        self._lanes = lanes
        self._settle = settle

    def limits(self, market: str) -> Limits:
        return self._floors[market].limits

    def request(self, query: HttpQuery, now_ns: int) -> HttpAnswer:
        """The answer to a REST request."""
        market = query.face.partition(".")[0]
        limits = self.limits(market)
        headers: dict[str, str] = {}
        value: Any
        try:
            value = self._answer(market, query, now_ns, headers)
            status = 200
        except ApiError as error:
            value, status = error.body, error.status
            if isinstance(error, LimitError):
                headers["Retry-After"] = str((error.until_ns - now_ns) // SECOND + 1)
        headers["X-MBX-USED-WEIGHT-1M"] = str(limits.weight.count(now_ns))
        endpoint = self._endpoints.get((market, query.method, query.path))
        matter: Matter = "ack" if endpoint is not None and endpoint.enters else ""
        late_ns = self._lanes.moment_ns() if endpoint is not None else 0
        return HttpAnswer(status, msgspec.json.encode(value), headers, matter, late_ns)

    def public(self, market: str, name: str, params: Params, now_ns: int) -> tuple[bool, Any]:
        """Whether the name is a request about the market, and the value of its answer."""
        limits = self.limits(market)
        try:
            found = self._public.answer(market, name, params, self._clock.ms(now_ns))
        except ApiError:
            limits.admit(1, now_ns)
            raise
        if found is None:
            return False, None
        weight, value = found
        limits.admit(weight, now_ns)
        return True, value

    def act(
        self, market: str, endpoint: Endpoint, account: Account, params: Params, now_ns: int
    ) -> Any:
        """Does what an authorised request asks; whatever it changed is told.

        Raises:
            ApiError: the venue refuses it.
        """
        try:
            return endpoint.action(account, params, now_ns)
        except ApiError:
            if endpoint.free:
                self.limits(market).weight.add(endpoint.cost(params), now_ns)
            raise
        finally:
            self._settle(account, now_ns)

    def admit(self, market: str, endpoint: Endpoint, params: Params, now_ns: int) -> None:
        """Counts a request; what is free if it succeeds is counted when it has failed."""
        self.limits(market).admit(0 if endpoint.free else endpoint.cost(params), now_ns)

    def frame_key(self, params: Params, permission: str, now_ns: int) -> ApiKey:
        """The key that signed a WebSocket API request."""
        if not params.get("apiKey"):
            raise missing("apiKey")
        key = self._keys.find(params["apiKey"], permission)
        check_time(params, self._clock.us(now_ns))
        check_signature(key, frame_payload(params), params.get("signature", ""))
        return key

    def check_time(self, params: Params, now_ns: int) -> None:
        """Raises ApiError if a request's timestamp is out of bounds."""
        check_time(params, self._clock.us(now_ns))

    def account(self, key: ApiKey) -> Account:
        """The account a key acts for."""
        return self._floors["spot"].broker.accounts[key.credentials.account]

    def key(self, name: str, permission: str) -> ApiKey:
        """The key of that name; ApiError if there is none or it may not do this."""
        return self._keys.find(name, permission)

    def may(self, key: ApiKey, permission: str) -> None:
        """Raises ApiError if the key (no longer) has the permission."""
        self._keys.find(key.name, permission)

    def _answer(self, market: str, query: HttpQuery, now_ns: int, headers: dict[str, str]) -> Any:
        params = parse_form(query.query, query.body.decode(errors="replace"))
        path = query.path
        prefix = _PREFIXES[market]
        if query.method == "GET" and path.startswith(prefix):
            found, value = self.public(market, path.removeprefix(prefix), params, now_ns)
            if found:
                return value
        limits = self.limits(market)
        if market == "spot" and path == "/api/v3/userDataStream":
            limits.admit(2, now_ns)
            raise ApiError(*_GONE)
        if market == "linear" and path == _LISTEN_KEY:
            limits.admit(_LISTEN_KEY_WEIGHT, now_ns)
            return self._listen_key(query, now_ns)
        if market == "spot" and (query.method, path) == ("GET", _RESTRICTIONS):
            limits.admit(1, now_ns)
            key = self._signed_key(market, query, params, "read", now_ns)
            return restrictions(key, self._clock.ms(now_ns))
        endpoint = self._endpoints.get((market, query.method, path))
        if endpoint is None:
            limits.admit(1, now_ns)
            raise ApiError(404, -5000, f"Path {path}, Method {query.method} is invalid")
        self.admit(market, endpoint, params, now_ns)
        key = self._signed_key(market, query, params, endpoint.permission, now_ns)
        value = self.act(market, endpoint, self.account(key), params, now_ns)
        if endpoint.counted:
            headers.update(limits.order_headers(now_ns))
        return value

    def _listen_key(self, query: HttpQuery, now_ns: int) -> dict[str, str]:
        """A key without a signature is enough for these."""
        key = self._keys.find(_key_name(query), "read")
        account = key.credentials.account
        match query.method:
            case "POST":
                return {"listenKey": self._listen_keys.open(account, now_ns)}
            case "PUT":
                return {"listenKey": self._listen_keys.extend(account, now_ns)}
            case "DELETE":
                self._listen_keys.close(account)
                return {}
            case method:
                raise ApiError(404, -5000, f"Path {query.path}, Method {method} is invalid")

    def _signed_key(
        self, market: str, query: HttpQuery, params: Params, permission: str, now_ns: int
    ) -> ApiKey:
        key = self._keys.find(_key_name(query), permission)
        check_time(params, self._clock.us(now_ns))
        payload, last = rest_payload(query.query, query.body.decode(errors="replace"))
        signature = params.get("signature", "")
        if signature and market == "linear" and not last:
            raise ApiError(400, -1022, "Signature for this request is not valid.")
        check_signature(key, payload, signature)
        return key


def _key_name(query: HttpQuery) -> str:
    """The API key of a request; header names are in any case."""
    for name, value in query.headers.items():
        if name.lower() == KEY_HEADER:
            return value
    raise ApiError(*KEY_FORMAT)
