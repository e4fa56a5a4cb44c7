"""Orders as Binance takes them, by the WebSocket API of their market or by REST."""

from __future__ import annotations

from typing import Final

from hftmm.core.instrument import Kind, Listing
from hftmm.core.order import Amendment, OrderRequest
from hftmm.venues.binance.request import (
    Params,
    session_frame,
    signed_frame,
    signed_request,
    written,
)
from hftmm.venues.private import Credentials, Outgoing
from hftmm.venues.signing import is_private_key

SPOT_TRADE: Final = "spot.trade"
ORDER_WINDOW_MS: Final = 2_000
"""An order that took longer to arrive is no longer wanted; cancels and queries are, for 5 s."""


class Verb:
    """One kind of order request in one market, by both ways.

    Attributes:
        frame: method of the WebSocket API.
        method, path: of REST.
        weight: what the REST request costs; on spot only if it fails.
    """

    __slots__ = ("frame", "market", "method", "path", "weight")

    def __init__(self, market: str, frame: str, method: str, path: str, weight: int) -> None:
        self.market: Final = market
        self.frame: Final = frame
        self.method: Final = method
        self.path: Final = path
        self.weight: Final = weight


_SPOT: Final = "/api/v3/order"
_LINEAR: Final = "/fapi/v1/order"
PLACE: Final = {
    "spot": Verb("spot", "order.place", "POST", _SPOT, 1),
    "linear": Verb("linear", "order.place", "POST", _LINEAR, 0),
}
AMEND: Final = {
    "spot": Verb("spot", "order.amend.keepPriority", "PUT", f"{_SPOT}/amend/keepPriority", 4),
    "linear": Verb("linear", "order.modify", "PUT", _LINEAR, 0),
}
CANCEL: Final = {
    "spot": Verb("spot", "order.cancel", "DELETE", _SPOT, 1),
    "linear": Verb("linear", "order.cancel", "DELETE", _LINEAR, 1),
}


def send(
    credentials: Credentials,
    verb: Verb,
    params: Params,
    now_ms: int,
    request_id: str,
    *,
    rest: bool,
) -> Outgoing:
    """The request by REST, or on the trading connection.

    On spot's an Ed25519 key has logged on, and signs nothing more there.
    """
    if rest:
        return signed_request(
            credentials,
            f"{verb.market}.rest",
            verb.method,
            verb.path,
            params,
            now_ms,
            purpose="answer",
            request_id=request_id,
            weight=verb.weight,
        )
    route = f"{verb.market}.trade"
    if route == SPOT_TRADE and is_private_key(credentials.secret):
        return session_frame(route, verb.frame, params, now_ms, request_id=request_id)
    return signed_frame(credentials, route, verb.frame, params, now_ms, request_id=request_id)


def new_order(order: OrderRequest) -> Params:
    """Parameters of a limit order."""
    spot = order.listing.kind is Kind.SPOT
    params: Params = {
        "symbol": order.listing.venue_symbol,
        "side": order.side.upper(),
        "type": "LIMIT",
        "price": written(order.price),
        "quantity": written(order.size),
        "newClientOrderId": order.client_id,
        # The shortest and soonest answer: what becomes of the order, the stream tells.
        "newOrderRespType": "ACK",
        # A hedge that meets a quote of ours goes through, the quote goes.
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "recvWindow": ORDER_WINDOW_MS,
    }
    if not order.post_only:
        params["timeInForce"] = order.time_in_force.upper()
    elif spot:
        params["type"] = "LIMIT_MAKER"
    else:
        params["timeInForce"] = "GTX"
    if order.reduce_only and not spot:
        params["reduceOnly"] = "true"
    return params


def changed_order(change: Amendment) -> Params:
    """Parameters of an amend. Spot can only make an order smaller."""
    params = named(change.listing, change.client_id, change.venue_id)
    if change.listing.kind is Kind.SPOT:
        params["newQty"] = written(change.size)
        # Without one Binance gives the order a random id.
        params["newClientOrderId"] = change.client_id
    else:
        params["side"] = change.side.upper()
        params["quantity"] = written(change.size)
        params["price"] = written(change.price)
    params["recvWindow"] = ORDER_WINDOW_MS
    return params


def named(listing: Listing, client_id: str, venue_id: str) -> Params:
    """The order a request is about, by Binance's id alone where it is known: the shortest way."""
    if venue_id.isdecimal():
        return {"symbol": listing.venue_symbol, "orderId": int(venue_id)}
    return {"symbol": listing.venue_symbol, "origClientOrderId": client_id}
