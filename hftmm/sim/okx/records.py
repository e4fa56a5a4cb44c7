"""Orders and fills of members as OKX writes them, on the `orders` channel and over REST."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

import msgspec

from hftmm.sim.ledger import OrderChanged
from hftmm.sim.okx.instrument import Instrument, Row, milliseconds, plain
from hftmm.sim.orders import Execution, Order

# Ids of orders and bills are long at OKX; only their order means anything.
_ORDERS_FROM = 2_500_000_000_000_000_000
_BILLS_FROM = 1_800_000_000_000_000_000

_STATES: Mapping[str, str] = MappingProxyType(
    {"new": "live", "partially_filled": "partially_filled", "filled": "filled"}
)
_CANCEL_SOURCES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "user": ("1", "Order canceled by user"),
        "liquidation": ("3", "Order canceled: account or position was liquidated"),
        "fok": ("13", "Order canceled: FOK order could not be filled completely"),
        "ioc": ("14", "Order canceled: IOC order could not be filled immediately"),
        "market": ("15", "Order canceled: price is beyond the limit"),
        "dead_man": ("20", "Order canceled: cancel-all-after was triggered"),
        "reduce_only": ("23", "Order canceled: reduce-only order would not reduce a position"),
        "post_only": ("31", "Order canceled: post-only order would take liquidity"),
        "self_trade": ("32", "Order canceled: self trade prevention"),
    }
)
"""`cancelSource` and its text by the broker's reason."""


class Note(msgspec.Struct):
    """What OKX keeps with an order and the broker need not know.

    Attributes:
        asked: `sz` of a spot market order as the client wrote it, else "".
        filled_by_amend: its size was amended to what had filled, which ends it as filled.
        amends: when each amendment not yet pushed will have been.
    """

    td_mode: str
    ord_type: str
    tag: str = ""
    tgt_ccy: str = ""
    stp_mode: str = "cancel_maker"
    asked: str = ""
    req_id: str = ""
    amend_result: str = ""
    amend_source: str = ""
    code: str = "0"
    message: str = ""
    filled_by_amend: bool = False
    amends: list[int] = []

    def forget(self) -> None:
        """What was said of an amendment is said once."""
        self.req_id = self.amend_result = self.amend_source = self.message = ""
        self.code = "0"


def note_of(order: Order) -> Note:
    """The note of an order; one that the venue itself placed, to liquidate, has none."""
    return order.note if isinstance(order.note, Note) else Note("cross", "market")


def order_id(order: Order) -> str:
    return str(_ORDERS_FROM + order.id)


def order_number(text: str) -> int:
    """The broker's number of an `ordId`; 0 for a text that never was one."""
    return max(0, int(text) - _ORDERS_FROM) if text.isdecimal() else 0


def bill_id(number: int) -> str:
    return str(_BILLS_FROM + number)


def order_state(order: Order) -> str:
    """`live`, `partially_filled`, `filled` or `canceled`."""
    if note_of(order).filled_by_amend:
        return "filled"
    return _STATES.get(order.state, "canceled")


def order_row(one: Instrument, order: Order, leverage: Decimal, skew_ns: int) -> Row:
    """What the channel and REST records have in common."""
    note = note_of(order)
    swap = one.inst_type == "SWAP"
    source, why = ("", "")
    if order_state(order) == "canceled":
        source, why = _CANCEL_SOURCES.get(order.reason, ("0", ""))
    fee = -sum((fill.fee for fill in order.fills), Decimal(0))
    pnl = sum((fill.realised for fill in order.fills), Decimal(0))
    return {
        "accFillSz": one.spec.size(order.filled_lots),
        "algoClOrdId": "",
        "algoId": "",
        "attachAlgoClOrdId": "",
        "attachAlgoOrds": [],
        "cTime": milliseconds(order.created_ns + skew_ns),
        "cancelSource": source,
        "cancelSourceReason": why,
        "category": "full_liquidation" if order.reason == "liquidation" else "normal",
        "ccy": one.spec.quote if swap else "",
        "clOrdId": order.client_id,
        "fee": plain(fee),
        "feeCcy": _fee_currency(one, order),
        "instId": one.inst_id,
        "instType": one.inst_type,
        "isElpTakerAccess": "false",
        "isTpLimit": "false",
        "lever": plain(leverage) if swap else "",
        "linkedAlgoOrd": {"algoId": ""},
        "ordId": order_id(order),
        "ordType": note.ord_type,
        "pnl": plain(pnl),
        "posSide": "net" if swap else "",
        "px": "" if order.ticks is None else one.price(order.ticks),
        "pxType": "",
        "pxUsd": "",
        "pxVol": "",
        "quickMgnType": "",
        "rebate": "0",
        "rebateCcy": "" if swap else (one.spec.quote if order.side == "buy" else one.spec.base),
        "reduceOnly": "true" if order.reduce_only else "false",
        "side": order.side,
        "slOrdPx": "",
        "slTriggerPx": "",
        "slTriggerPxType": "",
        "source": "",
        "state": order_state(order),
        "stpId": "",
        "stpMode": note.stp_mode,
        "sz": note.asked or one.spec.size(order.lots),
        "tag": note.tag,
        "tdMode": note.td_mode,
        "tgtCcy": note.tgt_ccy,
        "tpOrdPx": "",
        "tpTriggerPx": "",
        "tpTriggerPxType": "",
        "tradeQuoteCcy": "" if swap else one.spec.quote,
        "uTime": milliseconds(order.updated_ns + skew_ns),
    }


def order_record(one: Instrument, order: Order, leverage: Decimal, skew_ns: int) -> Row:
    """One order over REST: `fill*` and `tradeId` are of the last fill."""
    row = order_row(one, order, leverage, skew_ns)
    last = order.fills[-1] if order.fills else None
    return row | {
        "avgPx": _average(one, order) if last else "",
        "fillPx": one.price(last.ticks) if last else "",
        "fillSz": one.spec.size(last.lots) if last else "0",
        "fillTime": milliseconds(last.ts_ns + skew_ns) if last else "",
        "tradeId": str(last.trade_id) if last else "",
    }


def order_push(one: Instrument, event: OrderChanged, leverage: Decimal, skew_ns: int) -> Row:
    """One order on its channel: `fill*` and `tradeId` are of this change."""
    order, fill = event.order, event.execution
    note = note_of(order)
    row = order_row(one, order, leverage, skew_ns)
    ticks = order.ticks or one.last_ticks
    return row | {
        "amendResult": note.amend_result,
        # Amended by nobody's wish: the system shrank it to the position it may reduce.
        "amendSource": note.amend_source or ("2" if event.change == "amended" else ""),
        "avgPx": _average(one, order),
        "code": note.code,
        "execType": "" if fill is None else ("M" if fill.maker else "T"),
        "fillFee": plain(-fill.fee) if fill else "0",
        "fillFeeCcy": fill.fee_asset if fill else "",
        "fillFwdPx": "",
        "fillIdxPx": "",
        "fillMarkPx": one.mark() if fill and one.inst_type == "SWAP" else "",
        "fillMarkVol": "",
        "fillNotionalUsd": plain(fill.price * fill.size) if fill else "",
        "fillPnl": plain(fill.realised) if fill else "0",
        "fillPx": one.price(fill.ticks) if fill else "",
        "fillPxUsd": "",
        "fillPxVol": "",
        "fillSz": one.spec.size(fill.lots) if fill else "0",
        "fillTime": milliseconds(fill.ts_ns + skew_ns) if fill else "",
        "lastPx": one.price(one.last_ticks),
        "msg": note.message,
        "notionalUsd": plain(one.spec.tick * ticks * order.size),
        "reqId": note.req_id,
        "tradeId": str(fill.trade_id) if fill else "",
    }


def fill_row(one: Instrument, fill: Execution, bill: int, skew_ns: int) -> Row:
    """One fill over REST."""
    order, swap = fill.order, one.inst_type == "SWAP"
    ts = milliseconds(fill.ts_ns + skew_ns)
    return {
        "billId": bill_id(bill),
        "clOrdId": order.client_id,
        "execType": "M" if fill.maker else "T",
        "fee": plain(-fill.fee),
        "feeCcy": fill.fee_asset,
        "feeRate": "",
        "fillFwdPx": "",
        "fillIdxPx": "",
        "fillMarkPx": "",
        "fillMarkVol": "",
        "fillPnl": plain(fill.realised),
        "fillPx": one.price(fill.ticks),
        "fillPxUsd": "",
        "fillPxVol": "",
        "fillSz": one.spec.size(fill.lots),
        "fillTime": ts,
        "instId": one.inst_id,
        "instType": one.inst_type,
        "ordId": order_id(order),
        "posSide": "net" if swap else "",
        "side": order.side,
        # Bought or sold; in net mode a swap is no other.
        "subType": "1" if order.side == "buy" else "2",
        "tag": note_of(order).tag,
        "tradeId": str(fill.trade_id),
        "tradeQuoteCcy": "" if swap else one.spec.quote,
        "ts": ts,
    }


def _average(one: Instrument, order: Order) -> str:
    """Average price; the channel writes 0 before the first fill."""
    if not order.filled_lots:
        return "0"
    return plain(order.average.quantize(one.spec.tick * Decimal("0.00000001")))


def _fee_currency(one: Instrument, order: Order) -> str:
    if order.fills:
        return order.fills[-1].fee_asset
    if one.inst_type == "SWAP" or order.side == "sell":
        return one.spec.quote
    return one.spec.base
