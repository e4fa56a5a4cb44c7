"""Signed requests, by REST and by WebSocket API, which sign the same parameters differently.

REST signs the percent-encoded query string exactly as it is sent. The WebSocket API signs the
parameters sorted by name and not encoded at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, TypeAlias
from urllib.parse import urlencode

import msgspec

from hftmm.core.instrument import Kind
from hftmm.venues.private import Credentials, SignedRequest, StreamFrame
from hftmm.venues.signing import ed25519_base64, hmac_hex, is_private_key

Params: TypeAlias = dict[str, str | int]

KEY_HEADER: Final = "X-MBX-APIKEY"

_encode = msgspec.json.Encoder().encode


def market(kind: Kind) -> str:
    """The first half of a route: `spot`, or `linear` for all that USD-M trades."""
    return "spot" if kind is Kind.SPOT else "linear"


def written(amount: Decimal) -> str:
    """A price or size as the venue reads it: no exponent, which is refused, and no needless zero,
    which its precision check counts.
    """
    return f"{amount.normalize():f}"


def signature(credentials: Credentials, payload: str) -> str:
    """Hex of HMAC-SHA256, or base64 of Ed25519 where the secret is a private key."""
    secret = credentials.secret
    if is_private_key(secret):
        return ed25519_base64(secret, payload.encode())
    return hmac_hex(secret, payload.encode())


def signed_request(
    credentials: Credentials,
    route: str,
    method: str,
    path: str,
    params: Params,
    now_ms: int,
    *,
    purpose: str,
    request_id: str = "",
    weight: int = 1,
) -> SignedRequest:
    """A REST request with all its parameters in the query string, the signature last."""
    params["timestamp"] = now_ms
    query = urlencode(params)
    # Base64 has characters that a query string gives another meaning.
    proof = urlencode({"signature": signature(credentials, query)})
    return SignedRequest(
        route=route,
        method=method,
        path=f"{path}?{query}&{proof}",
        body=b"",
        headers={KEY_HEADER: credentials.key},
        purpose=purpose,
        request_id=request_id,
        weight=weight,
    )


def signed_frame(
    credentials: Credentials,
    route: str,
    method: str,
    params: Params,
    now_ms: int,
    *,
    request_id: str,
) -> StreamFrame:
    """A WebSocket API request that proves itself."""
    params["apiKey"] = credentials.key
    params["timestamp"] = now_ms
    payload = "&".join([f"{name}={params[name]}" for name in sorted(params)])
    params["signature"] = signature(credentials, payload)
    return _frame(route, method, params, request_id)


def session_frame(
    route: str, method: str, params: Params, now_ms: int, *, request_id: str
) -> StreamFrame:
    """A WebSocket API request on a connection that logged on with `session.logon`."""
    params["timestamp"] = now_ms
    return _frame(route, method, params, request_id)


def _frame(
    route: str, method: str, params: Mapping[str, str | int], request_id: str
) -> StreamFrame:
    frame = _encode({"id": request_id, "method": method, "params": params})
    return StreamFrame(route, frame, request_id)
