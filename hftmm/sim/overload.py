"""How each venue words a refusal of its gateway, before or in place of what its core says.

Only the requests that place, amend or cancel are told apart here; the practice venues themselves
know everything else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from hftmm.sim.peers import HttpAnswer, HttpQuery

# Placing, amending and canceling: Binance spot, Binance USD-M, Bybit, OKX. Timers are not orders.
_ORDER_PATH = re.compile(
    r"/api/v3/(order(/cancelReplace|/amend/keepPriority)?|openOrders)"
    r"|/fapi/v1/(order|batchOrders|allOpenOrders)"
    r"|/v5/order/(create|amend|cancel|cancel-all|(create|amend|cancel)-batch)"
    r"|/api/v5/trade/(order|amend-order|cancel-order|(batch|amend-batch|cancel-batch)-orders"
    r"|mass-cancel)"
)
_BINANCE_METHOD = re.compile(
    r"order\.(place|cancel|modify|cancelReplace|amend\.keepPriority)|openOrders\.cancelAll"
)
_BYBIT_OP = re.compile(r"order\.(create|amend|cancel)(-batch)?")
_OKX_OP = re.compile(
    r"order|amend-order|cancel-order|(batch|batch-amend|batch-cancel)-orders|mass-cancel"
)

_TOO_MANY: Mapping[str, tuple[object, str]] = MappingProxyType(
    {
        "binance": (-1003, "Too many requests."),
        "bybit": (10006, "Too many visits!"),
        "okx": ("50011", "Too Many Requests"),
    }
)
# Each venue's own word for "your order may or may not have been placed".
_UNKNOWN: Mapping[str, tuple[int, object, str]] = MappingProxyType(
    {
        "binance": (
            503,
            -1007,
            "Timeout waiting for response from backend server. "
            "Send status unknown; execution status unknown.",
        ),
        "bybit": (200, 10016, "Server error"),
        "okx": (400, "50004", "API endpoint request timeout"),
    }
)


class _Asked(msgspec.Struct):
    """What the order-entry frames of the venues have in common: a name and a number."""

    id: msgspec.Raw = msgspec.Raw(b"null")
    method: str = ""
    op: str = ""
    req_id: str = msgspec.field(default="", name="reqId")


class OrderRequest(msgspec.Struct, frozen=True):
    """A frame that asks to place, amend or cancel.

    Attributes:
        number: the client's id for it, as JSON.
        op: the venue's name for it.
    """

    number: msgspec.Raw
    op: str


def order_request(venue: str, frame: bytes) -> OrderRequest | None:
    """What a frame on an order-entry socket asks for, None if it is about anything else."""
    try:
        asked = msgspec.json.decode(frame, type=_Asked)
    except msgspec.DecodeError:
        return None
    if venue == "binance" and _BINANCE_METHOD.fullmatch(asked.method):
        return OrderRequest(asked.id, asked.method)
    if venue == "bybit" and _BYBIT_OP.fullmatch(asked.op):
        return OrderRequest(msgspec.Raw(msgspec.json.encode(asked.req_id)), asked.op)
    if venue == "okx" and _OKX_OP.fullmatch(asked.op):
        return OrderRequest(asked.id, asked.op)
    return None


def number_of(venue: str, frame: bytes) -> bytes | None:
    """The client's id in an answer, as JSON; None if there is none."""
    try:
        answer = msgspec.json.decode(frame, type=_Asked)
    except msgspec.DecodeError:
        return None
    return msgspec.json.encode(answer.req_id) if venue == "bybit" else bytes(answer.id)


def is_order(query: HttpQuery) -> bool:
    """True if a REST request asks to place, amend or cancel."""
    return query.method != "GET" and _ORDER_PATH.fullmatch(query.path) is not None


def too_many(venue: str, status: int, retry_after_s: float) -> HttpAnswer:
    """The answer to a REST request too many."""
    code, text = _TOO_MANY.get(venue, (status, "Too many requests"))
    headers = {"Retry-After": str(math.ceil(retry_after_s))}
    return HttpAnswer(status, _rest(venue, code, text), headers)


def too_many_frame(venue: str, asked: OrderRequest, retry_after_s: float, now_ns: int) -> bytes:
    """The answer to an order request too many.

    Args:
        now_ns: by the venue's own clock.
    """
    code, text = _TOO_MANY[venue]
    now_ms = now_ns // 1_000_000
    until_ms = now_ms + math.ceil(retry_after_s * 1000)
    return _frame(venue, asked, 429, code, text, (now_ms, until_ms))


def unknown(venue: str) -> HttpAnswer:
    """The answer that leaves open what became of an order; some venues even say HTTP 200."""
    status, code, text = _UNKNOWN.get(venue, (503, 503, "Unknown"))
    return HttpAnswer(status, _rest(venue, code, text))


def unknown_frame(venue: str, asked: OrderRequest) -> bytes:
    """The same on an order-entry socket."""
    status, code, text = _UNKNOWN[venue]
    return _frame(venue, asked, status, code, text, None)


def _rest(venue: str, code: object, text: str) -> bytes:
    match venue:
        case "bybit":
            body = {"retCode": code, "retMsg": text, "result": {}, "retExtInfo": {}}
        case "okx":
            body = {"code": code, "msg": text, "data": []}
        case _:
            body = {"code": code, "msg": text}
    return msgspec.json.encode(body)


def _frame(
    venue: str,
    asked: OrderRequest,
    status: int,
    code: object,
    text: str,
    retry_ms: tuple[int, int] | None,
) -> bytes:
    body: dict[str, object]
    match venue:
        case "bybit":
            body = {"reqId": asked.number, "retCode": code, "retMsg": text, "op": asked.op}
            limits = {"X-Bapi-Limit-Reset-Timestamp": str(retry_ms[1])} if retry_ms else {}
            body |= {"data": {}, "retExtInfo": {}, "header": limits}
        case "okx":
            body = {"id": asked.number, "op": asked.op, "code": code, "msg": text, "data": []}
        case _:
            error: dict[str, object] = {"code": code, "msg": text}
            if retry_ms is not None:
                error["data"] = {"serverTime": retry_ms[0], "retryAfter": retry_ms[1]}
            body = {"id": asked.number, "status": status, "error": error, "rateLimits": []}
    return msgspec.json.encode(body)
