"""What the private and trading streams say, as account events."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from hftmm.core.instrument import Listing
from hftmm.core.order import (
    AccountEvent,
    Balance,
    Fill,
    Funding,
    OrderAnswer,
    OrderUpdate,
    Position,
    StreamEnded,
    StreamReady,
)
from hftmm.venues.binance import private_wire as wire
from hftmm.venues.binance.refusal import ApiError, judge, retry_after_ms
from hftmm.venues.binance.wire import decode
from hftmm.venues.codec import MILLISECOND
from hftmm.venues.private import Listings

VENUE: Final = "binance"
SUCCESS: Final = 200
_ENDED: Final = {
    "eventStreamTerminated": "Binance ended the user data stream",
    "listenKeyExpired": "the listen key expired",
    "serverShutdown": "Binance announced that it shuts this connection",
}
# The executions of USD-M: of a trade, and of a liquidation.
_TRADES: Final = ("TRADE", "CALCULATED")


def events(route: str, frame: bytes, listings: Listings, received_ns: int) -> list[AccountEvent]:
    """Everything a frame says; [] for what is nothing to us.

    Raises:
        MalformedFrame: it cannot be decoded.
    """
    envelope = decode(wire.decode_frame, frame)
    if envelope.status:
        return [_answer(route, envelope)]
    inner: bytes | msgspec.Raw = envelope.event or envelope.data or frame
    name, mark = envelope.e, envelope.st
    if not name:
        event = decode(wire.decode_event_name, bytes(inner))
        name, mark = event.e, event.st
    if wire.coin_margined(mark):
        return []
    return _event(route, name, bytes(inner), listings, received_ns)


def answer(
    market: str, request_id: str, status: int, body: bytes, error: ApiError | None
) -> OrderAnswer:
    """The receipt or refusal of a place, amend or cancel.

    Args:
        body: of a success.
        error: of a refusal; None if the answer is a success.
    """
    client_id = request_id.removesuffix(wire.AMEND).removesuffix(wire.CANCEL)
    if error is None:
        venue_id = decode(wire.decode_receipt, body).venue_id
        return OrderAnswer(request_id, client_id, venue_id, accepted=True)
    verdict = judge(market, status, error)
    return OrderAnswer(
        request_id,
        client_id,
        "",
        accepted=False,
        rejection=verdict.rejection,
        unknown=verdict.unknown,
        text=verdict.text,
        retry_after_ms=retry_after_ms(error),
    )


def _answer(route: str, envelope: wire.Frame) -> AccountEvent:
    request_id = "" if envelope.id is None else str(envelope.id)
    market = route.partition(".")[0]
    error = envelope.error
    if error is None and envelope.status != SUCCESS:
        error = ApiError(msg="an answer without its error")
    if request_id not in ("", wire.LOGIN):
        return answer(market, request_id, envelope.status, bytes(envelope.result), error)
    if error is None:
        return StreamReady(route, ok=True)
    verdict = judge(market, envelope.status, error)
    if request_id:
        return StreamReady(route, ok=False, rejection=verdict.rejection, text=verdict.text)
    # An answer to nobody: the key of the session died, or a frame of ours was illegible.
    return StreamEnded(route, verdict.text)


def _event(
    route: str, name: str, event: bytes, listings: Listings, received_ns: int
) -> list[AccountEvent]:
    if name == "executionReport":
        return _execution(decode(wire.decode_execution_report, event), listings, received_ns)
    if name == "ORDER_TRADE_UPDATE":
        return _order_trade(decode(wire.decode_order_trade_update, event), listings, received_ns)
    if name == "TRADE_LITE":
        return _trade_lite(decode(wire.decode_trade_lite, event), listings, received_ns)
    if name == "outboundAccountPosition":
        return _spot_balances(decode(wire.decode_account_position, event), received_ns)
    if name == "ACCOUNT_UPDATE":
        return _account_update(decode(wire.decode_account_update, event), listings, received_ns)
    if name in _ENDED:
        return [StreamEnded(route, _ENDED[name])]
    return []


def _execution(
    report: wire.ExecutionReport, listings: Listings, received_ns: int
) -> list[AccountEvent]:
    listing = wire.find(listings, report.s, spot=True)
    if listing is None:
        return []
    happened: list[AccountEvent] = []
    if report.x == "TRADE" and report.t >= 0:
        happened.append(
            Fill(
                listing=listing,
                trade_id=str(report.t),
                client_id=report.client_id,
                venue_id=str(report.i),
                side=wire.side(report.S),
                price=wire.amount(report.L),
                size=wire.amount(report.l),
                fee=wire.amount(report.n or ""),
                fee_asset=report.N or "",
                maker=report.m,
                venue_ns=report.T * MILLISECOND,
                received_ns=received_ns,
            )
        )
    filled, quote = wire.amount(report.z), wire.amount(report.Z)
    rejection, text = wire.reason(report.X, report.f, report.eR, report.r)
    happened.append(
        OrderUpdate(
            listing=listing,
            client_id=report.client_id,
            venue_id=str(report.i),
            side=wire.side(report.S),
            state=wire.state(report.X),
            filled=filled,
            average=quote / filled if filled else None,
            price=wire.amount(report.p) or None,
            size=wire.amount(report.q),
            rejection=rejection,
            text=text,
            venue_ns=report.T * MILLISECOND,
            received_ns=received_ns,
        )
    )
    return happened


def _order_trade(
    update: wire.OrderTradeUpdate, listings: Listings, received_ns: int
) -> list[AccountEvent]:
    order = update.o
    listing = wire.find(listings, order.s, spot=False)
    if listing is None or wire.coin_margined(order.st):
        return []
    happened: list[AccountEvent] = []
    venue_ns = (order.T or update.T) * MILLISECOND
    size = wire.amount(order.l)
    if order.x in _TRADES and order.t and size:
        happened.append(
            Fill(
                listing=listing,
                trade_id=str(order.t),
                client_id=order.c,
                venue_id=str(order.i),
                side=wire.side(order.S),
                price=wire.amount(order.L),
                size=size,
                # Left out where there is none.
                fee=wire.amount(order.n),
                fee_asset=order.N or listing.settle,
                maker=order.m,
                venue_ns=venue_ns,
                received_ns=received_ns,
            )
        )
    rejection, text = wire.reason(order.X, order.f, str(order.er))
    happened.append(
        OrderUpdate(
            listing=listing,
            client_id=order.c,
            venue_id=str(order.i),
            side=wire.side(order.S),
            state=wire.state(order.X),
            filled=wire.amount(order.z),
            average=wire.amount(order.ap) or None,
            price=wire.amount(order.p) or None,
            size=wire.amount(order.q),
            rejection=rejection,
            text=text,
            venue_ns=venue_ns,
            received_ns=received_ns,
        )
    )
    return happened


def _trade_lite(trade: wire.TradeLite, listings: Listings, received_ns: int) -> list[AccountEvent]:
    listing = wire.find(listings, trade.s, spot=False)
    if listing is None:
        return []
    return [
        Fill(
            listing=listing,
            trade_id=str(trade.t),
            client_id=trade.c,
            venue_id=str(trade.i),
            side=wire.side(trade.S),
            price=wire.amount(trade.L),
            size=wire.amount(trade.l),
            fee=None,
            fee_asset="",
            maker=trade.m,
            venue_ns=trade.T * MILLISECOND,
            received_ns=received_ns,
        )
    ]


def _spot_balances(position: wire.AccountPosition, received_ns: int) -> list[AccountEvent]:
    venue_ns = (position.u or position.E) * MILLISECOND
    return [
        spot_balance(row.a, wire.amount(row.f), wire.amount(row.l), venue_ns, received_ns)
        for row in position.B
    ]


def spot_balance(
    asset: str, free: Decimal, locked: Decimal, venue_ns: int, received_ns: int
) -> Balance:
    """A spot balance: what open orders lock is still ours."""
    return Balance(VENUE, "spot", asset, free + locked, free, venue_ns, received_ns)


def _account_update(
    update: wire.AccountUpdate, listings: Listings, received_ns: int
) -> list[AccountEvent]:
    change, venue_ns = update.a, update.T * MILLISECOND
    happened: list[AccountEvent] = []
    if change.m == "FUNDING_FEE":
        listing = wire.find(listings, change.S, spot=False) if change.S else None
        happened += [
            Funding(listing, VENUE, row.a, wire.amount(row.bc), venue_ns, received_ns)
            for row in change.B
            if row.bc
        ]
    happened += [_wallet(row, venue_ns, received_ns) for row in change.B]
    for row in change.P:
        listing = wire.find(listings, row.s, spot=False)
        # An account in hedge mode is refused at the start: its two positions are none of ours.
        if listing is not None and row.ps == "BOTH":
            size, entry = wire.amount(row.pa), wire.amount(row.ep)
            happened.append(_position(listing, size, entry, row.up, venue_ns, received_ns))
    return happened


def _wallet(row: wire.WalletChange, venue_ns: int, received_ns: int) -> Balance:
    """A USD-M wallet. The stream does not say what margin uses: all that cross margin may draw on
    counts as available, until a query says less.
    """
    total = wire.amount(row.wb)
    available = wire.amount(row.cw) if row.cw else total
    return Balance(VENUE, "linear", row.a, total, available, venue_ns, received_ns)


def _position(
    listing: Listing,
    size: Decimal,
    entry: Decimal,
    unrealised: str,
    venue_ns: int,
    received_ns: int,
) -> Position:
    return Position(
        listing=listing,
        size=size,
        entry=entry if size else None,
        unrealised=wire.amount(unrealised) if unrealised else None,
        venue_ns=venue_ns,
        received_ns=received_ns,
    )
