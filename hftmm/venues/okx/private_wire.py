"""OKX's private JSON as structs, and what its words mean in ours.

Fields we do not use are left out. Amounts stay text until `amount` has looked at them: "" means
"not applicable" and is never zero.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import msgspec

from hftmm.core.errors import MalformedFrame
from hftmm.core.instrument import Kind, Listing, Side
from hftmm.core.order import OrderState, Rejection
from hftmm.venues.private import Listings

ZERO: Final = Decimal(0)

_KINDS: Final[Mapping[str, Kind]] = {"SPOT": Kind.SPOT, "SWAP": Kind.LINEAR}
_SIDES: Final[Mapping[str, Side]] = {"buy": "buy", "sell": "sell"}
_STATES: Final = {
    "live": OrderState.OPEN,
    "partially_filled": OrderState.PARTIALLY_FILLED,
    "filled": OrderState.FILLED,
    "canceled": OrderState.CANCELED,
    "mmp_canceled": OrderState.CANCELED,
    "order_failed": OrderState.REJECTED,
}
# `cancelSource` of an order that ended before it was filled. 1 is a cancel of ours.
_SOURCES: Final[Mapping[str, tuple[Rejection | None, str]]] = {
    "0": (Rejection.OTHER, "canceled by OKX"),
    "1": (None, ""),
    "2": (Rejection.BALANCE, "canceled for margin"),
    "3": (Rejection.BALANCE, "canceled for margin"),
    "6": (Rejection.OTHER, "canceled by auto-deleveraging"),
    "9": (Rejection.BALANCE, "funding left too little balance"),
    "13": (Rejection.NOTHING_TO_TAKE, "not to be filled whole"),
    "14": (Rejection.NOTHING_TO_TAKE, "nothing left to take"),
    "15": (Rejection.FILTER, "beyond the price limit"),
    "17": (Rejection.REDUCE_ONLY, "the position is closed already"),
    "20": (Rejection.OTHER, "canceled by the dead-man switch"),
    "22": (Rejection.REDUCE_ONLY, "it would not reduce any more"),
    "23": (Rejection.REDUCE_ONLY, "it would not reduce any more"),
    "27": (Rejection.FILTER, "more than 5 % from the counterparty's price"),
    "31": (Rejection.POST_ONLY, "it would have taken"),
    "32": (Rejection.SELF_TRADE, "it met an order of our own"),
    "33": (Rejection.OTHER, "it met more than 1000 orders"),
}
_is_amount = re.compile(r"[-+]?[0-9]{1,30}(?:\.[0-9]{0,40})?").fullmatch


class Arg(msgspec.Struct, frozen=True, gc=False):
    channel: str = ""


class Frame(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Any frame: an event, the answer to an order operation (`op`), or a push (`arg`)."""

    event: str = ""
    id: str = ""
    op: str = ""
    code: str | int = ""
    msg: str | None = ""
    channel: str = ""
    arg: Arg | None = None
    data: msgspec.Raw = msgspec.Raw(b"[]")
    event_type: str = ""
    cur_page: int = 1
    last_page: bool = True

    @property
    def whole(self) -> bool:
        """A snapshot in one page: what is not in it is zero."""
        return self.event_type == "snapshot" and self.cur_page == 1 and self.last_page


class Receipt(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What answers one place, amend or cancel."""

    s_code: str = ""
    s_msg: str = ""
    sub_code: str = ""
    cl_ord_id: str = ""
    ord_id: str = ""


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A REST answer to order operations."""

    code: str | int
    msg: str | None = ""
    data: list[Receipt] = []


class OrderRow(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """An order, pushed or asked for. Pushed, `fill_*` and `trade_id` are of this change; asked
    for, of the last fill.
    """

    inst_id: str
    ord_id: str
    side: str
    state: str
    inst_type: str = ""
    cl_ord_id: str = ""
    px: str = ""
    sz: str = ""
    tgt_ccy: str = ""
    acc_fill_sz: str = ""
    avg_px: str = ""
    fill_px: str = ""
    fill_sz: str = ""
    fill_time: str = ""
    fill_fee: str = ""
    fill_fee_ccy: str = ""
    trade_id: str = ""
    exec_type: str = ""
    cancel_source: str = ""
    cancel_source_reason: str = ""
    req_id: str = ""
    amend_result: str = ""
    code: str = ""
    msg: str = ""
    u_time: str = ""


class FillRow(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    inst_id: str
    ord_id: str
    trade_id: str
    side: str
    fill_px: str
    fill_sz: str
    inst_type: str = ""
    cl_ord_id: str = ""
    bill_id: str = ""
    exec_type: str = ""
    fee: str = ""
    fee_ccy: str = ""
    fill_time: str = ""
    ts: str = ""


class BalanceRow(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """One currency."""

    ccy: str
    cash_bal: str = ""
    avail_bal: str = ""
    avail_eq: str = ""
    upl: str = ""
    u_time: str = ""


class AccountRow(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    details: list[BalanceRow] = []
    u_time: str = ""


class PositionRow(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    inst_id: str
    pos: str
    pos_side: str = "net"
    inst_type: str = ""
    avg_px: str = ""
    upl: str = ""
    u_time: str = ""
    p_time: str = ""


class BillRow(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """One change of a balance."""

    ccy: str
    bill_id: str
    ts: str = ""
    type: str = ""
    inst_id: str = ""
    inst_type: str = ""
    bal_chg: str = ""


class FeeGroup(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    group_id: str = ""
    maker: str = ""
    taker: str = ""


class FeeRow(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    fee_group: list[FeeGroup] = []
    maker: str = ""
    taker: str = ""


class ConfigRow(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Settings of the account and of the key. Attributes: ip: "" if bound to no address."""

    acct_lv: str = ""
    pos_mode: str = ""
    perm: str = ""
    ip: str | None = None


frame_decoder = msgspec.json.Decoder(Frame)
answer_decoder = msgspec.json.Decoder(Answer)
receipts_decoder = msgspec.json.Decoder(list[Receipt])
orders_decoder = msgspec.json.Decoder(list[OrderRow])
order_decoder = msgspec.json.Decoder(OrderRow)
fill_decoder = msgspec.json.Decoder(FillRow)
accounts_decoder = msgspec.json.Decoder(list[AccountRow])
account_decoder = msgspec.json.Decoder(AccountRow)
positions_decoder = msgspec.json.Decoder(list[PositionRow])
position_decoder = msgspec.json.Decoder(PositionRow)
bill_decoder = msgspec.json.Decoder(BillRow)
fee_decoder = msgspec.json.Decoder(FeeRow)
config_decoder = msgspec.json.Decoder(ConfigRow)


def amount(text: str) -> Decimal | None:
    """A number as the venue writes it; None for "", which is not applicable.

    Raises:
        MalformedFrame: it is none.
    """
    if not text:
        return None
    if _is_amount(text) is None:
        raise MalformedFrame("not a number", text[:40])
    return Decimal(text)


def required(text: str) -> Decimal:
    """A number that has to be there.

    Raises:
        MalformedFrame: it is not, or it is none.
    """
    value = amount(text)
    if value is None:
        raise MalformedFrame("not a number", "empty")
    return value


def coins(listing: Listing, text: str) -> Decimal | None:
    """A size in the venue's unit, coins or contracts, as base coins; None for ""."""
    size = amount(text)
    return None if size is None else size * listing.multiplier


def paid(text: str) -> Decimal | None:
    """A fee of ours from an amount of OKX's, where what was charged is negative."""
    value = amount(text)
    return None if value is None else -value


def side(text: str) -> Side:
    """`buy` or `sell`; anything else raises MalformedFrame."""
    try:
        return _SIDES[text]
    except KeyError:
        raise MalformedFrame("not a side", text[:40]) from None


def state(text: str) -> OrderState:
    """A state; `unknown` for one that OKX has added since."""
    return _STATES.get(text, OrderState.UNKNOWN)


def ending(row: OrderRow) -> tuple[Rejection | None, str]:
    """Why an order was canceled, and in words; nothing of one that was not."""
    if not row.cancel_source or state(row.state) is not OrderState.CANCELED:
        return None, ""
    unheard_of = (Rejection.OTHER, row.cancel_source_reason or f"source {row.cancel_source}")
    return _SOURCES.get(row.cancel_source, unheard_of)


def find(listings: Listings, instrument_type: str, instrument: str) -> Listing | None:
    """The listing of an instrument, None if it is not traded here."""
    kind = _KINDS.get(instrument_type)
    return None if kind is None else listings.get((kind, instrument))
