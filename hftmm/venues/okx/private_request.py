"""Signed requests, and orders as OKX takes them over its private stream or by REST.

The stream names an instrument by its number (`instIdCode`) and nothing else, REST by its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, TypeAlias

import msgspec

from hftmm.core.instrument import Kind, Listing
from hftmm.core.order import Amendment, OrderRequest, TimeInForce
from hftmm.venues.private import Credentials, Outgoing, SignedRequest, StreamFrame
from hftmm.venues.signing import hmac_base64

Args: TypeAlias = dict[str, str | int | bool]

PRIVATE: Final = "private"
REST: Final = "rest"
CHANNELS: Final[Sequence[Mapping[str, str]]] = (
    {"channel": "orders", "instType": "ANY"},
    {"channel": "account"},
    {"channel": "positions", "instType": "SWAP"},
)
ORDER_WINDOW_MS: Final = 2_000
"""An order or a change that took longer to arrive is no longer wanted; a cancel always is."""
_LOGIN_PREHASH: Final = "GET/users/self/verify"
_encode = msgspec.json.Encoder().encode
_is_client_id = re.compile(r"[A-Za-z0-9]{1,32}").fullmatch


@dataclass(frozen=True, slots=True)
class Verb:
    """One kind of order request. Attributes: op: on the stream. path: of REST."""

    op: str
    path: str


PLACE: Final = Verb("order", "/api/v5/trade/order")
AMEND: Final = Verb("amend-order", "/api/v5/trade/amend-order")
CANCEL: Final = Verb("cancel-order", "/api/v5/trade/cancel-order")
CANCEL_BATCH: Final = Verb("batch-cancel-orders", "/api/v5/trade/cancel-batch-orders")


def login(credentials: Credentials, now_ms: int) -> bytes:
    """The log-in; its stamp is in seconds, where REST has ISO and all else milliseconds."""
    stamp = str(now_ms // 1000)
    sign = hmac_base64(credentials.secret, f"{stamp}{_LOGIN_PREHASH}".encode())
    claim = {
        "apiKey": credentials.key,
        "passphrase": credentials.passphrase,
        "timestamp": stamp,
        "sign": sign,
    }
    return _encode({"op": "login", "args": [claim]})


def subscription(channel: Mapping[str, str], request_id: str) -> bytes:
    """A request for one channel."""
    return _encode({"id": request_id, "op": "subscribe", "args": [channel]})


def iso(now_ms: int) -> str:
    """`2020-12-08T09:08:57.715Z`."""
    seconds, milliseconds = divmod(now_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}.{milliseconds:03d}Z"


@dataclass(frozen=True, slots=True)
class Signer:
    """Makes REST requests. Attributes: demo: keys are of demo trading, and say so."""

    demo: bool

    def get(
        self,
        credentials: Credentials,
        path: str,
        now_ms: int,
        *,
        purpose: str,
        request_id: str = "",
    ) -> SignedRequest:
        """A query; `path` with its query string exactly as it is sent, which is what is signed."""
        return self._signed(credentials, "GET", path, b"", now_ms, purpose, request_id, 0)

    def post(
        self,
        credentials: Credentials,
        path: str,
        body: Args | Sequence[Args],
        now_ms: int,
        *,
        purpose: str,
        request_id: str,
        expires_ms: int = 0,
    ) -> SignedRequest:
        """An action.

        Args:
            expires_ms: venue time after which OKX drops the request; 0 for never.
        """
        return self._signed(
            credentials, "POST", path, _encode(body), now_ms, purpose, request_id, expires_ms
        )

    def _signed(
        self,
        credentials: Credentials,
        method: str,
        path: str,
        body: bytes,
        now_ms: int,
        purpose: str,
        request_id: str,
        expires_ms: int,
    ) -> SignedRequest:
        stamp = iso(now_ms)
        prehash = f"{stamp}{method}{path}".encode() + body
        headers = {
            "OK-ACCESS-KEY": credentials.key,
            "OK-ACCESS-SIGN": hmac_base64(credentials.secret, prehash),
            "OK-ACCESS-TIMESTAMP": stamp,
            "OK-ACCESS-PASSPHRASE": credentials.passphrase,
            "Content-Type": "application/json",
        }
        if self.demo:
            headers["x-simulated-trading"] = "1"
        if expires_ms:
            headers["expTime"] = str(expires_ms)
        return SignedRequest(
            route=REST,
            method=method,
            path=path,
            body=body,
            headers=headers,
            purpose=purpose,
            request_id=request_id,
        )

    def send(
        self,
        credentials: Credentials,
        verb: Verb,
        listing: Listing,
        args: Args,
        now_ms: int,
        request_id: str,
        *,
        rest: bool,
        window_ms: int = 0,
    ) -> Outgoing:
        """The request on the private stream; by REST if asked to, and where the instrument has no
        number to name it by.

        Args:
            window_ms: how long it may take to arrive; 0 for any time.
        """
        expires_ms = now_ms + window_ms if window_ms else 0
        if rest or listing.venue_code is None:
            return self.post(
                credentials,
                verb.path,
                {"instId": listing.venue_symbol, **args},
                now_ms,
                purpose="answer",
                request_id=request_id,
                expires_ms=expires_ms,
            )
        frame: dict[str, str | list[Args]] = {
            "id": request_id,
            "op": verb.op,
            "args": [{"instIdCode": listing.venue_code, **args}],
        }
        if expires_ms:
            frame["expTime"] = str(expires_ms)
        return StreamFrame(PRIVATE, _encode(frame), request_id)


def new_order(order: OrderRequest, tag: str) -> Args:
    """Arguments of a limit order.

    Raises:
        ValueError: the client id is not 1 to 32 letters and digits.
    """
    if _is_client_id(order.client_id) is None:
        raise ValueError(f"OKX takes 1 to 32 letters and digits as a client id: {order.client_id}")
    linear = order.listing.kind is Kind.LINEAR
    args: Args = {
        "clOrdId": order.client_id,
        "tdMode": "cross" if linear else "cash",
        "side": order.side,
        "ordType": "post_only" if order.post_only else _TYPES[order.time_in_force],
        "px": written(order.price),
        "sz": contracts(order.listing, order.size),
        "tag": tag,
        # A hedge that meets a quote of ours goes through, the quote goes.
        "stpMode": "cancel_maker",
    }
    if order.reduce_only and linear:
        args["reduceOnly"] = True
    return args


def changed_order(change: Amendment, request_id: str) -> Args:
    """Arguments of an amend; `newSz` is the new total, filled part included, as ours is."""
    return {
        **named(change.client_id, change.venue_id),
        "newPx": written(change.price),
        "newSz": contracts(change.listing, change.size),
        "reqId": request_id,
    }


def named(client_id: str, venue_id: str) -> Args:
    """The order a request is about, by OKX's id alone where it is known: a client id of ours may
    not be the last one of that name.
    """
    return {"ordId": venue_id} if venue_id else {"clOrdId": client_id}


def contracts(listing: Listing, size: Decimal) -> str:
    """A size in base coins as OKX counts it: spot in coins, swaps in contracts."""
    return written(size / listing.multiplier)


def written(amount: Decimal) -> str:
    """A price or size as a plain decimal, without exponent and needless zeros."""
    return f"{amount.normalize():f}"


_TYPES: Final[Mapping[TimeInForce, str]] = {
    TimeInForce.GTC: "limit",
    TimeInForce.IOC: "ioc",
    TimeInForce.FOK: "fok",
}
