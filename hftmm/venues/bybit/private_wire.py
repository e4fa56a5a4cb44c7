"""Bybit's private JSON as structs, and what its words mean in ours.

Fields we do not use are left out. Amounts stay text until `amount` has looked at them: any of them
may be "", and some became so overnight.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeVar

import msgspec

from hftmm.core.errors import MalformedFrame
from hftmm.core.instrument import Kind, Listing, Side
from hftmm.core.order import OrderState, Rejection
from hftmm.venues.bybit.refusal import judge
from hftmm.venues.private import Listings

NOTHING: Final = Decimal(0)
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What the decoder raises for bytes that are no JSON, or of another shape."""

T = TypeVar("T")

_is_amount = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?").fullmatch
_is_stamp = re.compile(r"[0-9]{1,15}", re.ASCII).fullmatch

_SIDES: Final[Mapping[str, Side]] = {"Buy": "buy", "Sell": "sell"}

_STATES: Final = {
    "Created": OrderState.PENDING_NEW,
    "New": OrderState.OPEN,
    "Untriggered": OrderState.OPEN,
    "Triggered": OrderState.OPEN,
    "PartiallyFilled": OrderState.PARTIALLY_FILLED,
    "Filled": OrderState.FILLED,
    "Cancelled": OrderState.CANCELED,
    "PartiallyFilledCanceled": OrderState.CANCELED,
    "Deactivated": OrderState.CANCELED,
    "Rejected": OrderState.REJECTED,
}
_ENDED: Final = frozenset({OrderState.CANCELED, OrderState.REJECTED})

_CANCELED_BY: Final = {
    "CancelBySmp": (Rejection.SELF_TRADE, "it met an order of our own"),
    "CancelByReduceOnly": (Rejection.REDUCE_ONLY, "it would not reduce any more"),
    "CancelByDCP": (Rejection.OTHER, "canceled by the dead-man switch"),
    "CancelByAdmin": (Rejection.OTHER, "canceled by Bybit"),
    "CancelBySettle": (Rejection.NOT_TRADING, "the contract was settled"),
    "CancelAllBeforeLiq": (Rejection.OTHER, "canceled ahead of a liquidation"),
}
_REASONS: Final = {
    "EC_PostOnlyWillTakeLiquidity": (Rejection.POST_ONLY, "it would have taken"),
    "EC_NoImmediateQtyToFill": (Rejection.NOTHING_TO_TAKE, "nothing left to take"),
    "EC_NoEnoughQtyToFill": (Rejection.NOTHING_TO_TAKE, "not to be filled whole"),
    "EC_CancelForNoFullFill": (Rejection.NOTHING_TO_TAKE, "not to be filled whole"),
    "EC_BySelfMatch": (Rejection.SELF_TRADE, "it met an order of our own"),
    "EC_DuplicatedClOrdID": (Rejection.DUPLICATE, "an order with this client id exists"),
    "EC_InvalidSymbolStatus": (Rejection.NOT_TRADING, "the symbol does not trade now"),
    "EC_ReachRiskPriceLimit": (Rejection.FILTER, "beyond the price band"),
}
# An order that ended as asked, or whose cancel came too late for it.
_NO_REASON: Final = frozenset(
    {
        *("", "UNKNOWN", "EC_NoError", "EC_PerCancelRequest"),
        *("EC_OrigClOrdIDDoesNotExist", "EC_TooLateToCancel"),
    }
)


def amount(text: str) -> Decimal:
    """A number as the venue writes it; "" is zero: not applicable, or not used.

    Raises:
        MalformedFrame: it is none.
    """
    if not text:
        return NOTHING
    if _is_amount(text) is None:
        raise MalformedFrame("not a number", text[:40])
    return Decimal(text)


def stamp(text: str) -> int:
    """A time in ms; 0 if there is none, as of a position that never was."""
    return int(text) if _is_stamp(text) else 0


def side(text: str) -> Side:
    """`Buy` or `Sell`; anything else raises MalformedFrame."""
    try:
        return _SIDES[text]
    except KeyError:
        raise MalformedFrame("not a side", text[:40]) from None


def state(status: str, filled: Decimal) -> OrderState:
    """A status; `unknown` for one that Bybit has added since. What was rejected with fills was
    there, and ended.
    """
    known = _STATES.get(status, OrderState.UNKNOWN)
    return OrderState.CANCELED if known is OrderState.REJECTED and filled else known


def reason(ended: OrderState, cancel_type: str, reject_reason: str) -> tuple[Rejection | None, str]:
    """Why an order ended, and in words; nothing for one that did not, or as was asked."""
    if ended not in _ENDED:
        return None, ""
    if cancel_type in _CANCELED_BY:
        return _CANCELED_BY[cancel_type]
    if reject_reason in _NO_REASON:
        return None, ""
    return _REASONS.get(reject_reason, (Rejection.OTHER, reject_reason))


def find(listings: Listings, category: str, symbol: str) -> Listing | None:
    """The listing of a symbol, None if it is not traded here; spot and linear share symbols."""
    if category == "spot":
        return listings.get((Kind.SPOT, symbol))
    if category == "linear":
        return listings.get((Kind.LINEAR, symbol)) or listings.get((Kind.DATED, symbol))
    return None


# --- envelopes ----------------------------------------------------------------------------


class Limits(msgspec.Struct, frozen=True, gc=False):
    """Header of an answer on the trade stream; both times in ms, as text."""

    reset: str = msgspec.field(name="X-Bapi-Limit-Reset-Timestamp", default="")
    now: str = msgspec.field(name="Timenow", default="")

    @property
    def reset_in_ms(self) -> int:
        """Until the limit is whole again, 0 if not said."""
        until, now = stamp(self.reset), stamp(self.now)
        return max(0, until - now) if until and now else 0


class Frame(msgspec.Struct, frozen=True, gc=False):
    """Any frame: news of a topic, or an answer of the private stream (snake case) or of the trade
    stream (camel case).
    """

    topic: str = ""
    created_ms: int = msgspec.field(name="creationTime", default=0)
    data: msgspec.Raw = msgspec.Raw()
    op: str = ""
    success: bool | None = None
    ret_msg: str = ""
    request_id: str = msgspec.field(name="reqId", default="")
    code: int | None = msgspec.field(name="retCode", default=None)
    text: str = msgspec.field(name="retMsg", default="")
    header: Limits = Limits()


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The envelope of every REST answer."""

    code: int = msgspec.field(name="retCode")
    text: str = msgspec.field(name="retMsg", default="")
    result: msgspec.Raw = msgspec.Raw()
    time: int = 0


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """Result of a create, amend or cancel; of a cancel-all, `success` "0" says that it failed."""

    venue_id: str = msgspec.field(name="orderId", default="")
    success: str = "1"


# --- rows, which REST and streams share ----------------------------------------------------


class OrderRow(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    symbol: str
    order_id: str
    side: str
    order_status: str
    category: str = ""
    order_link_id: str = ""
    price: str = ""
    qty: str = ""
    market_unit: str = ""
    cum_exec_qty: str = ""
    cum_exec_value: str = ""
    avg_price: str = ""
    cancel_type: str = ""
    reject_reason: str = ""
    updated_time: str = ""


class ExecutionRow(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A fill, or what Bybit lists beside them; the fast topic leaves out type and fee."""

    symbol: str
    exec_id: str
    order_id: str
    side: str
    exec_price: str
    exec_qty: str
    category: str = ""
    exec_type: str = "Trade"
    order_link_id: str = ""
    exec_fee: str = ""
    fee_currency: str = ""
    fee_rate: str = ""
    is_maker: bool = False
    exec_time: str = ""


class PositionRow(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A position; the stream calls its average entry `entryPrice`, REST `avgPrice`."""

    symbol: str
    side: str
    size: str
    category: str = "linear"
    position_idx: int = 0
    entry_price: str = ""
    avg_price: str = ""
    unrealised_pnl: str = ""
    updated_time: str = ""


class CoinRow(msgspec.Struct, frozen=True, gc=False):
    """One coin of the unified wallet."""

    coin: str
    wallet_balance: str = msgspec.field(name="walletBalance", default="")
    locked: str = ""
    spot_borrow: str = msgspec.field(name="spotBorrow", default="")
    order_margin: str = msgspec.field(name="totalOrderIM", default="")
    position_margin: str = msgspec.field(name="totalPositionIM", default="")


class WalletRow(msgspec.Struct, frozen=True, gc=False):
    coins: list[CoinRow] = msgspec.field(name="coin", default_factory=list)


class OrderPage(msgspec.Struct, frozen=True, gc=False):
    rows: list[OrderRow] = msgspec.field(name="list")
    category: str = ""
    cursor: str | None = msgspec.field(name="nextPageCursor", default=None)


class ExecutionPage(msgspec.Struct, frozen=True, gc=False):
    rows: list[ExecutionRow] = msgspec.field(name="list")
    category: str = ""
    cursor: str | None = msgspec.field(name="nextPageCursor", default=None)


class PositionPage(msgspec.Struct, frozen=True, gc=False):
    rows: list[PositionRow] = msgspec.field(name="list")
    category: str = "linear"
    cursor: str | None = msgspec.field(name="nextPageCursor", default=None)


class WalletPage(msgspec.Struct, frozen=True, gc=False):
    rows: list[WalletRow] = msgspec.field(name="list")


class FeeRow(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    taker_fee_rate: str
    maker_fee_rate: str


class FeePage(msgspec.Struct, frozen=True, gc=False):
    rows: list[FeeRow] = msgspec.field(name="list")


class KeyInfo(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What a key may do, by group of rights.

    Attributes:
        ips: addresses it is bound to, none or `*` if it is not; None if not told.
    """

    read_only: int = 0
    permissions: dict[str, list[str]] = {}
    uta: int = 0
    ips: list[str] | None = None


class AccountInfo(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    unified_margin_status: int = 0


class Counted(msgspec.Struct, frozen=True, gc=False):
    """Any answer with rows."""

    rows: list[msgspec.Raw] | None = msgspec.field(name="list", default=None)


decode_frame = msgspec.json.Decoder(Frame).decode
decode_answer = msgspec.json.Decoder(Answer).decode
decode_receipt = msgspec.json.Decoder(Receipt).decode
decode_order_rows = msgspec.json.Decoder(list[OrderRow]).decode
decode_execution_rows = msgspec.json.Decoder(list[ExecutionRow]).decode
decode_position_rows = msgspec.json.Decoder(list[PositionRow]).decode
decode_wallet_rows = msgspec.json.Decoder(list[WalletRow]).decode
decode_order_page = msgspec.json.Decoder(OrderPage).decode
decode_execution_page = msgspec.json.Decoder(ExecutionPage).decode
decode_position_page = msgspec.json.Decoder(PositionPage).decode
decode_wallet_page = msgspec.json.Decoder(WalletPage).decode
decode_fee_page = msgspec.json.Decoder(FeePage).decode
decode_key = msgspec.json.Decoder(KeyInfo).decode
decode_account = msgspec.json.Decoder(AccountInfo).decode
decode_counted = msgspec.json.Decoder(Counted).decode


def decode(decoder: Callable[[Any], T], data: bytes | msgspec.Raw) -> T:
    """What a decoder makes of bytes.

    Raises:
        MalformedFrame: it is no JSON, or of another shape.
    """
    try:
        return decoder(data)
    except msgspec.ValidationError as error:
        raise MalformedFrame("unexpected shape", str(error)) from error
    except UNREADABLE as error:
        raise MalformedFrame("not JSON", str(error)) from error


def result(decoder: Callable[[Any], T], body: bytes) -> tuple[T, int]:
    """The result of a REST answer, and when it was made, ms.

    Raises:
        MalformedFrame: it is a refusal, in the venue's words and ours, or cannot be decoded.
    """
    answered = decode(decode_answer, body)
    if answered.code:
        raise MalformedFrame("refused", judge(200, answered.code, answered.text).text)
    return decode(decoder, answered.result), answered.time
