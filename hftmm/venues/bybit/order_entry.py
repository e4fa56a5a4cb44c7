"""Orders as Bybit takes them, on the trade stream or by REST: the same fields by either way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hftmm.core.instrument import Kind, Listing
from hftmm.core.order import Amendment, OrderRequest, TimeInForce
from hftmm.venues.bybit.request import category, numbered, order_frame, post, written
from hftmm.venues.private import Credentials, Outgoing

WINDOW_MS: Final = 5_000
"""How long after its stamp a cancel may be carried out."""
ORDER_WINDOW_MS: Final = 2_000
"""An order that took longer to arrive is no longer wanted."""

_SIDES: Final = {"buy": "Buy", "sell": "Sell"}
_TIMES: Final = {TimeInForce.GTC: "GTC", TimeInForce.IOC: "IOC", TimeInForce.FOK: "FOK"}


class Verb:
    """One kind of order request.

    Attributes:
        frame: its name on the trade stream. path: of REST.
        mark: what tells its request ids from those of the others.
    """

    __slots__ = ("frame", "mark", "path", "window_ms")

    def __init__(self, name: str, mark: str, window_ms: int) -> None:
        self.frame: Final = f"order.{name}"
        self.path: Final = f"/v5/order/{name}"
        self.mark: Final = mark
        self.window_ms: Final = window_ms


CREATE: Final = Verb("create", "n", ORDER_WINDOW_MS)
AMEND: Final = Verb("amend", "a", ORDER_WINDOW_MS)
CANCEL: Final = Verb("cancel", "c", WINDOW_MS)


def send(
    credentials: Credentials,
    verb: Verb,
    body: Mapping[str, object],
    now_ms: int,
    client_id: str,
    *,
    rest: bool,
) -> Outgoing:
    """The request on the trade stream, which has logged in and needs no signature, or by REST."""
    request_id = numbered(client_id, verb.mark, now_ms)
    if not rest:
        return order_frame(
            verb.frame, body, now_ms, request_id=request_id, window_ms=verb.window_ms
        )
    return post(
        credentials,
        verb.path,
        body,
        now_ms,
        purpose="answer",
        request_id=request_id,
        window_ms=verb.window_ms,
    )


def new_order(order: OrderRequest) -> dict[str, object]:
    """Fields of a limit order."""
    listing = order.listing
    body: dict[str, object] = {
        "category": category(listing.kind),
        "symbol": listing.venue_symbol,
        "side": _SIDES[order.side],
        "orderType": "Limit",
        "qty": written(order.size),
        "price": written(order.price),
        "timeInForce": "PostOnly" if order.post_only else _TIMES[order.time_in_force],
        "orderLinkId": order.client_id,
        # The taker's choice counts: a hedge that meets a quote of ours goes through, the quote
        # goes.
        "smpType": "CancelMaker",
    }
    if listing.kind is Kind.SPOT:
        body["isLeverage"] = 0
    else:
        body["positionIdx"] = 0
        if order.reduce_only:
            body["reduceOnly"] = True
    return body


def changed_order(change: Amendment) -> dict[str, object]:
    """Fields of an amend; the size is the new total."""
    return {
        **named(change.listing, change.client_id, change.venue_id),
        "qty": written(change.size),
        "price": written(change.price),
    }


def named(listing: Listing, client_id: str, venue_id: str) -> dict[str, object]:
    """The order a request is about, by Bybit's id alone where it is known."""
    fields: dict[str, object] = {
        "category": category(listing.kind),
        "symbol": listing.venue_symbol,
    }
    if venue_id:
        fields["orderId"] = venue_id
    else:
        fields["orderLinkId"] = client_id
    return fields
