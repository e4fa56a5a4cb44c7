"""Signed requests: REST headers, the login of a connection, and frames of the trade stream.

REST signs the query string or the body exactly as sent, behind time, key and window. A connection
is signed for once; its frames carry only the time until which they may be carried out.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, TypeAlias
from urllib.parse import urlencode

import msgspec

from hftmm.core.instrument import Kind
from hftmm.venues.private import Credentials, SignedRequest, StreamFrame
from hftmm.venues.signing import hmac_hex

Body: TypeAlias = Mapping[str, object]
Params: TypeAlias = dict[str, str | int]

PRIVATE: Final = "private"
TRADE: Final = "trade"
REST: Final = "rest"
"""Routes; one account serves spot and linear on each."""

WINDOW_MS: Final = 5_000
"""How long after its stamp a query may be answered."""
LOGIN_MS: Final = 10_000
"""How long a login is valid; one second is too short for a slow line."""
LOGIN: Final = "login"
"""Request id of a login."""

_LONGEST_ID: Final = 36

_encode = msgspec.json.Encoder().encode


def category(kind: Kind) -> str:
    """`spot`, or `linear` for perpetuals and dated futures."""
    return "spot" if kind is Kind.SPOT else "linear"


def written(amount: Decimal) -> str:
    """A price or size as the venue reads it: no exponent, and no needless zero."""
    return f"{amount.normalize():f}"


def numbered(client_id: str, mark: str, now_ms: int) -> str:
    """The id of a request about an order: client id, what is asked, time.

    No id may come twice on a connection, and the order may be canceled or sent again. Were the
    client id as long as ours never are, fewer digits of the time would fit.
    """
    head = f"{client_id}-{mark}"
    return head + f"{now_ms:x}"[-(_LONGEST_ID - len(head)) :]


def client_id_of(request_id: str) -> str:
    """The client id in what `numbered` made; ours have no hyphen."""
    return request_id.partition("-")[0]


def signature(credentials: Credentials, now_ms: int, window_ms: int, payload: bytes) -> str:
    """Over time, key, window and what is sent: the query string of a GET, the body of a POST."""
    head = f"{now_ms}{credentials.key}{window_ms}".encode()
    return hmac_hex(credentials.secret, head + payload)


def get(
    credentials: Credentials,
    path: str,
    params: Mapping[str, str | int],
    now_ms: int,
    *,
    purpose: str,
    request_id: str = "",
) -> SignedRequest:
    """A query."""
    return signed_get(credentials, path, urlencode(params), now_ms, purpose, request_id)


def signed_get(
    credentials: Credentials, path: str, query: str, now_ms: int, purpose: str, request_id: str
) -> SignedRequest:
    """A query whose query string is written already."""
    return SignedRequest(
        route=REST,
        method="GET",
        path=f"{path}?{query}" if query else path,
        body=b"",
        headers=_headers(credentials, now_ms, WINDOW_MS, query.encode()),
        purpose=purpose,
        request_id=request_id,
    )


def post(
    credentials: Credentials,
    path: str,
    body: Body,
    now_ms: int,
    *,
    purpose: str,
    request_id: str,
    window_ms: int = WINDOW_MS,
) -> SignedRequest:
    """An order, or a setting."""
    payload = _encode(body)
    headers = _headers(credentials, now_ms, window_ms, payload)
    headers["Content-Type"] = "application/json"
    return SignedRequest(
        route=REST,
        method="POST",
        path=path,
        body=payload,
        headers=headers,
        purpose=purpose,
        request_id=request_id,
    )


def login(credentials: Credentials, route: str, now_ms: int) -> StreamFrame:
    """Proves whose connection it is."""
    expires_ms = now_ms + LOGIN_MS
    proof = hmac_hex(credentials.secret, f"GET/realtime{expires_ms}".encode())
    # The two sockets name the id of a request differently.
    name = "reqId" if route == TRADE else "req_id"
    frame = _encode({name: LOGIN, "op": "auth", "args": [credentials.key, expires_ms, proof]})
    return StreamFrame(route, frame, LOGIN)


def subscription(topics: list[str], request_id: str) -> StreamFrame:
    """Subscribes to private topics."""
    frame = _encode({"req_id": request_id, "op": "subscribe", "args": topics})
    return StreamFrame(PRIVATE, frame, request_id)


def order_frame(
    op: str, body: Body, now_ms: int, *, request_id: str, window_ms: int
) -> StreamFrame:
    """An order on the trade stream, which has logged in."""
    frame = _encode(
        {
            "reqId": request_id,
            "header": {
                "X-BAPI-TIMESTAMP": str(now_ms),
                "X-BAPI-RECV-WINDOW": str(window_ms),
            },
            "op": op,
            "args": [body],
        }
    )
    return StreamFrame(TRADE, frame, request_id)


def _headers(
    credentials: Credentials, now_ms: int, window_ms: int, payload: bytes
) -> dict[str, str]:
    return {
        "X-BAPI-API-KEY": credentials.key,
        "X-BAPI-TIMESTAMP": str(now_ms),
        "X-BAPI-RECV-WINDOW": str(window_ms),
        "X-BAPI-SIGN": signature(credentials, now_ms, window_ms, payload),
    }
