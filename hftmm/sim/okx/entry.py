"""Order entry: place, amend and cancel, the same over REST and WebSocket."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal, TypeAlias

import msgspec

from hftmm.core.instrument import Kind, Side
from hftmm.sim.broker import Broker
from hftmm.sim.filters import Rules, limit_of_band
from hftmm.sim.ledger import Account
from hftmm.sim.okx.instrument import Instrument, Row
from hftmm.sim.okx.limits import Limits
from hftmm.sim.okx.records import note_of, order_id, order_number
from hftmm.sim.okx.refusal import Refusal, missing, of_order, unknown_instrument, wrong
from hftmm.sim.okx.tickets import Amendment, Args, House, read_amendment, read_ticket, text
from hftmm.sim.orders import Order, Refused, Ticket
from hftmm.venues.codec import MILLISECOND

Action: TypeAlias = Literal["order", "amend-order", "cancel-order"]

BATCH = 20
"""Orders in one batch at most."""

_IN_FLIGHT = 3
"""Amendments of one order under way at a time."""
_UNDER_WAY_NS = 3 * MILLISECOND

RULES = {kind: Rules(band=Decimal("0.05"), max_lots=10**18, max_orders=500) for kind in Kind}
"""What the broker checks; sizes have limits of their own, see `tickets`."""

_DONE: Mapping[Action, str] = {
    "order": "Order successfully placed.",
    "amend-order": "",
    "cancel-order": "",
}


class OrderEntry:
    """Acts for the one account there is.

    Every order of a request succeeds or fails by itself: what `act` returns is its element of
    `data`, with `sCode` "0" or the code of what forbids it.
    """

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        broker: Broker,
        account: Account,
        house: House,
        limits: Limits,
    ) -> None:
        self._instruments = instruments
        self._codes = {one.code: one for one in instruments.values()}
        self._broker = broker
        self._account = account
        self._house = house
        self._limits = limits

    def act(
        self,
        action: Action,
        args: object,
        now_ns: int,
        stamp: str,
        *,
        by_code: bool,
        batch: bool,
    ) -> Row:
        """One order of one request.

        Args:
            by_code: the instrument is named by `instIdCode` and `instId` is ignored, as on the
                WebSocket.
            batch: limited as one of a batch.
        """
        order: Order | None = None
        refusal: Refusal | None = None
        given: Args = args if isinstance(args, dict) else {}
        try:
            if not isinstance(args, dict):
                raise wrong("args")
            one = self._instrument(given, by_code)
            name = f"batch-{action}" if batch else action
            swap = one.inst_type == "SWAP"
            self._limits.order(self._account.key, name, one.inst_id, swap, now_ns)
            match action:
                case "order":
                    order = self._place(one, given, now_ns)
                case "amend-order":
                    order = self._amend(one, given, now_ns)
                case "cancel-order":
                    order = self._cancel(one, given, now_ns)
        except Refusal as refused:
            refusal = refused
        return _result(action, given, order, refusal, stamp)

    def find(self, one: Instrument, args: Args) -> Order | None:
        """The order that `ordId` or else `clOrdId` names; a reused id names the latest.

        Raises:
            Refusal: neither is given.
        """
        by_id, by_client = text(args, "ordId"), text(args, "clOrdId")
        if by_id:
            order = self._account.orders.get(order_number(by_id))
            return order if order is not None and order.spec == one.spec else None
        if by_client:
            return self._broker.order(self._account, one.spec, client_id=by_client)
        raise missing("ordId or clOrdId")

    def _instrument(self, args: Args, by_code: bool) -> Instrument:
        if not by_code:
            name = text(args, "instId")
            if not name:
                raise missing("instId")
            found = self._instruments.get(name)
        else:
            code = args.get("instIdCode")
            if code is None or code == "":
                raise missing("instIdCode")
            if not isinstance(code, int) or isinstance(code, bool):
                raise wrong("instIdCode")
            found = self._codes.get(code)
        if found is None:
            raise unknown_instrument()
        return found

    def _place(self, one: Instrument, args: Args, now_ns: int) -> Order:
        ticket = read_ticket(one, args, self._house)
        if ticket.ticks is not None and text(args, "pxAmendType") == "1":
            ticket = msgspec.structs.replace(
                ticket, ticks=self._clamped(one, ticket.side, ticket.ticks)
            )
        if ticket.reduce_only:
            self._reduces(one, ticket)
        placed = self._broker.place(self._account, ticket, now_ns)
        if isinstance(placed, Refused):
            raise self._worded(one, placed, ticket.side)
        return placed

    def _reduces(self, one: Instrument, ticket: Ticket) -> None:
        """Holds a reduce-only order to the position: OKX refuses what is too large, and shrinks
        only what rests while the position shrinks.

        Raises:
            Refusal: it would do anything else.
        """
        base = self._account.position(one.spec).base
        if not base:
            raise of_order("reduce_only", {})
        if (base > 0) == (ticket.side == "buy"):
            raise Refusal(
                "51170",
                "Failed to place order because the reduce-only order has the direction of the "
                "position.",
            )
        if ticket.lots * one.spec.lot > abs(base):
            raise Refusal("51112", "Close order size exceeds your available size.")

    def _cancel(self, one: Instrument, args: Args, now_ns: int) -> Order:
        order = self.find(one, args)
        if order is None or not order.open:
            raise _finished()
        canceled = self._broker.cancel(self._account, order.id, one.spec, now_ns)
        if isinstance(canceled, Refused):
            raise _finished()
        return order

    def _amend(self, one: Instrument, args: Args, now_ns: int) -> Order:
        order = self.find(one, args)
        wish = read_amendment(one, args)
        if order is None or not order.open:
            raise of_order("already_done", {})
        note = note_of(order)
        note.amends = [due for due in note.amends if due > now_ns]
        if len(note.amends) >= _IN_FLIGHT:
            raise Refusal(
                "51513",
                "Number of modification requests that are currently in progress for an order "
                "cannot exceed 3.",
            )
        try:
            self._change(one, order, wish, now_ns)
        except Refusal as refused:
            if not wish.cancel_on_fail or not order.open:
                raise
            note.req_id, note.amend_result = wish.req_id, "1"
            note.code, note.message = refused.code, refused.message
            self._broker.cancel(self._account, order.id, one.spec, now_ns)
        return order

    def _change(self, one: Instrument, order: Order, wish: Amendment, now_ns: int) -> None:
        """Amends an open order, or raises what forbids it."""
        note = note_of(order)
        ticks = wish.ticks
        if ticks is not None and wish.clamp:
            ticks = self._clamped(one, order.side, ticks)
        note.req_id, note.amend_result, note.amend_source = wish.req_id, "0", "1"
        amended = self._broker.amend(self._account, order, now_ns, ticks, wish.lots)
        if isinstance(amended, Refused):
            if amended.rule == "amend_below_filled" and order.filled_lots:
                note.filled_by_amend = True
                self._broker.cancel(self._account, order.id, one.spec, now_ns)
                return
            note.forget()
            raise self._worded(one, amended, order.side)
        note.amends.append(now_ns + _UNDER_WAY_NS)

    def _clamped(self, one: Instrument, side: Side, ticks: int) -> int:
        """A price moved to the end of the price limit if it is beyond it."""
        edge = price_limit(one, self._broker, side)
        return min(ticks, edge) if side == "buy" else max(ticks, edge)

    def _worded(self, one: Instrument, refused: Refused, side: Side) -> Refusal:
        highest, lowest = price_limits(one, self._broker)
        facts = {
            "buy": highest,
            "sell": lowest,
            "asset": one.spec.base
            if side == "sell" and one.inst_type == "SPOT"
            else one.spec.quote,
        }
        return of_order(refused.rule, facts)


def price_limit(one: Instrument, broker: Broker, side: Side) -> int:
    """The highest price of a buy, the lowest of a sell, in ticks."""
    return limit_of_band(one.spec, side, broker.mark(one.spec), RULES[one.spec.kind].band)


def price_limits(one: Instrument, broker: Broker) -> tuple[str, str]:
    """The highest price of a buy and the lowest of a sell."""
    return one.price(price_limit(one, broker, "buy")), one.price(price_limit(one, broker, "sell"))


def price_limit_row(one: Instrument, broker: Broker, stamp: str) -> Row:
    """`price-limit`, the channel and the call."""
    highest, lowest = price_limits(one, broker)
    return {
        "buyLmt": highest,
        "enabled": True,
        "instId": one.inst_id,
        "instType": one.inst_type,
        "sellLmt": lowest,
        "ts": stamp,
    }


def _finished() -> Refusal:
    return Refusal(
        "51400",
        "Cancellation failed as the order has been filled, canceled or does not exist.",
    )


def _result(
    action: Action, args: Args, order: Order | None, refusal: Refusal | None, stamp: str
) -> Row:
    """An element of `data`: what was done, or why it was not."""

    def said(name: str) -> str:
        value = args.get(name, "")
        return value if isinstance(value, str) else ""

    row: Row = {
        "clOrdId": order.client_id if order else said("clOrdId"),
        "ordId": order_id(order) if order else said("ordId"),
        "ts": stamp,
        "sCode": refusal.code if refusal else "0",
        "sMsg": refusal.message if refusal else _DONE[action],
    }
    if action == "order":
        row |= {"tag": said("tag"), "subCode": refusal.sub_code if refusal else ""}
    elif action == "amend-order":
        row |= {"reqId": said("reqId"), "subCode": refusal.sub_code if refusal else ""}
    return row
