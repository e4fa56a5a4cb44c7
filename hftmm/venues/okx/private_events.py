"""What the private stream says, as account events: log-in, order operations, orders, account."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hftmm.core.order import (
    AccountEvent,
    OrderAnswer,
    Rejection,
    StreamEnded,
    StreamReady,
)
from hftmm.venues.okx import private_rows as rows
from hftmm.venues.okx import private_wire as wire
from hftmm.venues.okx.private_refusal import (
    Verdict,
    judge,
    retry_after_ms,
    scrubbed,
)
from hftmm.venues.okx.wire import decoded
from hftmm.venues.private import Listings

AMEND: Final = "A"
CANCEL: Final = "C"
"""Ends of request ids; client ids of ours have no capitals, and three requests about one order may
be under way together."""
SUBSCRIBE: Final = "S"
"""Beginning of the ids of subscriptions."""
_LONGEST_ID: Final = 32
_CLOSING: Final = "64008"


def request_id(client_id: str, mark: str) -> str:
    """The id of a request about an order, of at most 32 letters and digits."""
    return client_id[1 - _LONGEST_ID :] + mark


def client_id_of(request: str) -> str:
    """The order a request is about, by its id."""
    return request.removesuffix(AMEND).removesuffix(CANCEL)


def events(route: str, frame: bytes, listings: Listings, received_ns: int) -> list[AccountEvent]:
    """Everything a frame says; [] for what is nothing to us.

    Raises:
        MalformedFrame: it cannot be decoded.
    """
    # The answer to the text "ping" is the bare text "pong", not JSON.
    if frame == b"pong":
        return []
    said = decoded(wire.frame_decoder, frame)
    if said.event:
        return _event(route, said)
    if said.op:
        return _answers(said)
    if said.arg is None:
        return []
    match said.arg.channel:
        case "orders":
            return [
                event
                for row in decoded(wire.orders_decoder, said.data)
                for event in rows.order_events(row, listings, received_ns)
            ]
        case "account":
            return _account(said, listings, received_ns)
        case "positions":
            found = decoded(wire.positions_decoder, said.data)
            return [*rows.positions(found, listings, received_ns, whole=said.whole)]
    return []


def answered(
    request: str, code: str, message: str, receipt: wire.Receipt | None, status: int = 200
) -> OrderAnswer:
    """The receipt or refusal of a place, amend or cancel.

    Args:
        code, message: of the whole request; those of the receipt go before them.
        receipt: None where the request was refused as a whole.
    """
    if receipt is None or not receipt.s_code:
        return refused(request, judge(code, message, status=status))
    client_id = receipt.cl_ord_id or client_id_of(request)
    if receipt.s_code == "0":
        return OrderAnswer(request, client_id, receipt.ord_id, accepted=True)
    verdict = judge(receipt.s_code, receipt.s_msg, receipt.sub_code, status)
    return refused(request, verdict, client_id, receipt.ord_id)


def refused(request: str, verdict: Verdict, client_id: str = "", venue_id: str = "") -> OrderAnswer:
    """An answer that a request was not taken, or that nobody knows whether it was."""
    return OrderAnswer(
        request,
        client_id or client_id_of(request),
        venue_id,
        accepted=False,
        rejection=verdict.rejection,
        unknown=verdict.unknown,
        text=verdict.text,
        retry_after_ms=retry_after_ms(verdict),
    )


def batch(request: str, receipts: Sequence[wire.Receipt]) -> OrderAnswer:
    """One answer for a batch of cancels: orders that are done already need none."""
    verdicts = [
        judge(receipt.s_code, receipt.s_msg, receipt.sub_code)
        for receipt in receipts
        if receipt.s_code != "0"
    ]
    left = [one for one in verdicts if one.rejection is not Rejection.ALREADY_DONE]
    if not left:
        done = f"{len(verdicts)} of {len(receipts)} were done already" if verdicts else ""
        return OrderAnswer(request, "", "", accepted=True, text=done)
    # What may or may not have been done goes before what certainly was not.
    worst = next((one for one in left if one.unknown), left[0])
    return OrderAnswer(
        request,
        "",
        "",
        accepted=False,
        rejection=worst.rejection,
        unknown=worst.unknown,
        text=f"{len(left)} of {len(receipts)} not canceled: {worst.text}",
        retry_after_ms=max(map(retry_after_ms, left)),
    )


def _answers(said: wire.Frame) -> list[AccountEvent]:
    code, message = str(said.code), said.msg or ""
    receipts = decoded(wire.receipts_decoder, said.data)
    if not receipts:
        return [answered(said.id, code, message, None)]
    return [answered(said.id, code, message, receipt) for receipt in receipts]


def _event(route: str, said: wire.Frame) -> list[AccountEvent]:
    code, message = str(said.code), said.msg or ""
    match said.event:
        case "login" | "subscribe" if code in ("", "0"):
            return [StreamReady(route, ok=True)]
        case "login" | "error":
            verdict = judge(code, message)
            if said.id and not said.id.startswith(SUBSCRIBE):
                # An order operation that was not even looked at.
                return [refused(said.id, verdict)]
            return [StreamReady(route, ok=False, rejection=verdict.rejection, text=verdict.text)]
        case "notice" if code == _CLOSING:
            return [StreamEnded(route, judge(code, message).text)]
        case "channel-conn-count-error":
            text = f"too many connections have the channel {scrubbed(said.channel)}: close some"
            return [StreamEnded(route, text)]
    return []


def _account(said: wire.Frame, listings: Listings, received_ns: int) -> list[AccountEvent]:
    happened: list[AccountEvent] = []
    for row in decoded(wire.accounts_decoder, said.data):
        happened += rows.balances(row, received_ns)
        if said.whole:
            happened += rows.empty_balances(row, listings, received_ns)
    return happened
