"""Stream connections: what their URL says, and the control messages sent on them."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

import msgspec

from hftmm.sim.binance.streams import SECOND

METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
MESSAGES_PER_SECOND = {"spot": 5, "linear": 10}
_ROUTES = ("public", "market", "private")
_is_listen_key = re.compile(r"[A-Za-z0-9]{64}").fullmatch
_is_text_id = re.compile(r"[A-Za-z0-9_-]{1,36}").fullmatch


@dataclass(slots=True)
class Connection:
    """One client connection.

    Attributes:
        market: `spot` or `linear`.
        route: USD-M's `public`, `market` or `private`; "" on spot and on USD-M's older URLs.
        combined: True if payloads are wrapped with the name of their stream.
        topics: all it subscribed to, also what it will never receive.
    """

    number: int
    market: str
    route: str
    combined: bool
    topics: dict[str, None] = field(default_factory=dict)
    _messages_ns: deque[int] = field(default_factory=deque)

    def receives(self, route: str) -> bool:
        """True if streams of a USD-M route are delivered here; older URLs only get `public`."""
        return self.market == "spot" or route == (self.route or "public")

    def too_fast(self, now_ns: int) -> bool:
        """Counts a message; True if it is one too many within a second."""
        times = self._messages_ns
        times.append(now_ns)
        while times[0] <= now_ns - SECOND:
            times.popleft()
        return len(times) > MESSAGES_PER_SECOND[self.market]


def parse_url(face: str, path: str, query: str) -> tuple[str, bool, list[str]] | None:
    """Route, combined or raw, and the streams named in a URL; None if the venue has no such path.

    `/ws/0` is a raw connection: clients put there what they like, and short names of no stream are
    ignored. A listen key stands there as well, or in `listenKey`.
    """
    parts = [unquote(part) for part in path.split("/") if part]
    route = ""
    if face == "linear.stream" and parts and parts[0] in _ROUTES:
        route = parts.pop(0)
    if not parts or parts[0] not in ("ws", "stream"):
        return None
    combined = parts.pop(0) == "stream"
    named = dict(parse_qsl(query))
    if combined:
        if parts:
            return None
        parts = named.get("streams", "").split("/")
    parts.append(named.get("listenKey", ""))
    return route, combined, [part for part in parts if "@" in part or _is_listen_key(part)]


@dataclass(frozen=True, slots=True)
class Control:
    """A control message in order.

    Attributes:
        params: topics; nothing for properties, of which there is only `combined`.
        combined: the value `SET_PROPERTY` sets.
    """

    method: str
    params: list[str]
    request_id: int | str | None
    combined: bool = False


def refusal(code: int, text: str, request_id: object = None) -> bytes:
    """An error answer; the id is there if it was legible."""
    answer: dict[str, object] = {"code": code, "msg": text}
    if request_id is not None:
        answer["id"] = request_id
    return msgspec.json.encode(answer)


def result(value: object, request_id: int | str | None) -> bytes:
    """A positive answer."""
    return msgspec.json.encode({"result": value, "id": request_id})


def parse_control(frame: bytes) -> Control | bytes:
    """A control message, or the refusal that answers it."""
    try:
        message = msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return refusal(3, "Invalid JSON: expected value at line 1 column 1")
    end = f"at line 1 column {len(frame)}"
    if not isinstance(message, dict):
        return refusal(2, f"Invalid request: invalid type, expected a request object {end}")
    request_id = message.get("id")
    if not _is_id(request_id):
        return refusal(2, "Invalid request: request ID must be an unsigned integer")
    if "method" not in message:
        return refusal(2, f"Invalid request: missing field `method` {end}", request_id)
    method = message["method"]
    if method not in METHODS:
        known = ", ".join(f"`{name}`" for name in METHODS)
        text = f"Invalid request: unknown variant `{method}`, expected one of {known} {end}"
        return refusal(2, text, request_id)
    if message.keys() - {"method", "params", "id"}:
        return refusal(2, "Invalid request: too many parameters", request_id)
    params = message.get("params", [])
    match method:
        case "LIST_SUBSCRIPTIONS":
            return Control(method, [], request_id)
        case "SET_PROPERTY" | "GET_PROPERTY":
            return _parse_property(method, params, request_id)
        case _ if "params" not in message:
            return refusal(2, f"Invalid request: missing field `params` {end}", request_id)
        case _ if not isinstance(params, list) or not all(isinstance(p, str) for p in params):
            text = f"Invalid request: invalid type, expected a sequence of strings {end}"
            return refusal(2, text, request_id)
        case _:
            return Control(method, params, request_id)


def _is_id(value: object) -> bool:
    if isinstance(value, str):
        return _is_text_id(value) is not None
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _parse_property(method: str, params: object, request_id: int | str | None) -> Control | bytes:
    """Parameters of `SET_PROPERTY`, `["combined", true]`, or `GET_PROPERTY`, `["combined"]`."""
    if not isinstance(params, list) or not params or not isinstance(params[0], str):
        return refusal(2, "Invalid request: property name must be a string", request_id)
    if len(params) > (2 if method == "SET_PROPERTY" else 1):
        return refusal(2, "Invalid request: too many parameters", request_id)
    if params[0] != "combined":
        return refusal(0, "Unknown property", request_id)
    if method == "GET_PROPERTY":
        return Control(method, [], request_id)
    if len(params) < 2 or not isinstance(params[1], bool):
        return refusal(1, "Invalid value type: expected Boolean", request_id)
    return Control(method, [], request_id, combined=params[1])
