"""Binance's private JSON as structs, and what their words mean in ours.

Fields we do not use are left out. Amounts stay text until `amount` has looked at them.
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
from hftmm.venues.binance.refusal import ApiError
from hftmm.venues.binance.wire import COIN_MARGINED
from hftmm.venues.private import Listings

LOGIN: Final = "log-on"
"""Request id of what opens a private route; no client id of ours has a hyphen."""
AMEND: Final = "-a"
CANCEL: Final = "-x"
"""Suffixes to the client id: three requests about one order may be under way together. An id has at
most 36 characters, and a client id up to 32."""

NOTHING: Final = Decimal(0)

_is_amount = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?").fullmatch

_SIDES: Final[Mapping[str, Side]] = {"BUY": "buy", "SELL": "sell"}

_STATES: Final = {
    "PENDING_NEW": OrderState.PENDING_NEW,
    "NEW": OrderState.OPEN,
    # Orders of a liquidation or deleveraging on USD-M.
    "NEW_INSURANCE": OrderState.OPEN,
    "NEW_ADL": OrderState.OPEN,
    "PARTIALLY_FILLED": OrderState.PARTIALLY_FILLED,
    "FILLED": OrderState.FILLED,
    "PENDING_CANCEL": OrderState.PENDING_CANCEL,
    "CANCELED": OrderState.CANCELED,
    "REJECTED": OrderState.REJECTED,
    "EXPIRED": OrderState.EXPIRED,
    "EXPIRED_IN_MATCH": OrderState.EXPIRED,
}

# `r` and `eR` of spot, `expiryReason` of its queries, `er` of USD-M.
_REASONS: Final = {
    "INSUFFICIENT_BALANCE": (Rejection.BALANCE, "insufficient balance"),
    "INSUFFICIENT_BALANCES": (Rejection.BALANCE, "insufficient balance"),
    "WOULD_MATCH_IMMEDIATELY": (Rejection.POST_ONLY, "it would have taken"),
    "EXCHANGE_CANCELED": (Rejection.OTHER, "canceled by Binance"),
    "UNFILLED_IOC_QUANTITY_EXPIRED": (Rejection.NOTHING_TO_TAKE, "nothing left to take"),
    "UNFILLED_FOK_ORDER_EXPIRED": (Rejection.NOTHING_TO_TAKE, "not to be filled whole"),
    "INSUFFICIENT_LIQUIDITY": (Rejection.NOTHING_TO_TAKE, "nothing left to take"),
    "EXECUTION_RULE_PRICE_RANGE_EXCEEDED": (Rejection.FILTER, "beyond the price range"),
    "1": (Rejection.SELF_TRADE, "it met an order of our own"),
    "2": (Rejection.NOTHING_TO_TAKE, "nothing left to take"),
    "3": (Rejection.SELF_TRADE, "it met an order of our own"),
    "4": (Rejection.REDUCE_ONLY, "it would not reduce any more"),
    "5": (Rejection.OTHER, "liquidation"),
    "7": (Rejection.NOT_TRADING, "the contract is delisted"),
}
_NO_REASON: Final = frozenset({"", "NONE", "0"})


def amount(text: str) -> Decimal:
    """A number as the venue writes it; "" is zero, as balances of unused accounts are.

    Raises:
        MalformedFrame: it is none.
    """
    if not text:
        return NOTHING
    if _is_amount(text) is None:
        raise MalformedFrame("not a number", text[:40])
    return Decimal(text)


def side(text: str) -> Side:
    """`BUY` or `SELL`; anything else raises MalformedFrame."""
    try:
        return _SIDES[text]
    except KeyError:
        raise MalformedFrame("not a side", text[:40]) from None


def state(text: str) -> OrderState:
    """A status; `unknown` for one that Binance has added since."""
    return _STATES.get(text, OrderState.UNKNOWN)


def reason(status: str, time_in_force: str, *said: str) -> tuple[Rejection | None, str]:
    """Why an order ended, and in words: by what the venue said, else by what follows from it."""
    if status == "EXPIRED_IN_MATCH":
        return Rejection.SELF_TRADE, "it met an order of our own"
    for word in said:
        if word not in _NO_REASON:
            return _REASONS.get(word, (Rejection.OTHER, word))
    if status == "EXPIRED" and time_in_force in ("IOC", "FOK"):
        return Rejection.NOTHING_TO_TAKE, "nothing left to take"
    return None, ""


def find(listings: Listings, symbol: str, *, spot: bool) -> Listing | None:
    """The listing of a symbol, None if it is not traded here."""
    if spot:
        return listings.get((Kind.SPOT, symbol))
    return listings.get((Kind.LINEAR, symbol)) or listings.get((Kind.DATED, symbol))


# --- frames -------------------------------------------------------------------------------


class Frame(msgspec.Struct, frozen=True, gc=False):
    """Any frame: an answer (`status`), a wrapped event of spot (`event`) or of a combined stream
    (`data`), or a bare event (`e`).
    """

    id: int | str | None = None
    status: int = 0
    result: msgspec.Raw = msgspec.Raw()
    error: ApiError | None = None
    event: msgspec.Raw = msgspec.Raw()
    data: msgspec.Raw = msgspec.Raw()
    e: str = ""
    st: int = 1


class EventName(msgspec.Struct, frozen=True, gc=False):
    e: str = ""
    st: int = 1


class AmendedOrder(msgspec.Struct, frozen=True, gc=False):
    orderId: int = 0  # noqa: N815 - the venue's name


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """What answers a place, amend or cancel; spot wraps the order it amended."""

    orderId: int = 0  # noqa: N815 - the venue's name
    amendedOrder: AmendedOrder | None = None  # noqa: N815 - the venue's name

    @property
    def venue_id(self) -> str:
        number = self.orderId or (self.amendedOrder.orderId if self.amendedOrder else 0)
        return str(number) if number else ""


class ExecutionReport(msgspec.Struct, frozen=True, gc=False):
    """Spot's order event."""

    s: str
    c: str
    S: str
    f: str
    q: str
    p: str
    x: str
    X: str
    i: int
    z: str
    T: int
    C: str | None = ""
    r: str = ""
    l: str = "0"  # noqa: E741 - the venue's name
    L: str = "0"
    n: str | None = None
    N: str | None = None
    t: int = -1
    m: bool = False
    Z: str = "0"
    eR: str = ""  # noqa: N815 - the venue's name

    @property
    def client_id(self) -> str:
        """Ours: when a cancel or amend caused the event, `c` is the id of that request."""
        return self.C or self.c


class SpotBalance(msgspec.Struct, frozen=True, gc=False):
    a: str
    f: str
    l: str  # noqa: E741 - the venue's name


class AccountPosition(msgspec.Struct, frozen=True, gc=False):
    """Spot's `outboundAccountPosition`: absolute values of the assets that may have changed."""

    B: list[SpotBalance]
    u: int = 0
    E: int = 0


class OrderDetail(msgspec.Struct, frozen=True, gc=False):
    """`o` of USD-M's order event; `n` and `N` are absent where there is no fee."""

    s: str
    c: str
    S: str
    f: str
    q: str
    p: str
    x: str
    X: str
    i: int
    z: str
    ap: str = "0"
    l: str = "0"  # noqa: E741 - the venue's name
    L: str = "0"
    n: str = ""
    N: str = ""
    t: int = 0
    T: int = 0
    m: bool = False
    er: str | int = ""
    st: int = 1


class OrderTradeUpdate(msgspec.Struct, frozen=True, gc=False):
    o: OrderDetail
    T: int = 0


class TradeLite(msgspec.Struct, frozen=True, gc=False):
    """The early copy of a USD-M fill, without its fee."""

    s: str
    c: str
    S: str
    L: str
    l: str  # noqa: E741 - the venue's name
    t: int
    i: int
    m: bool = False
    T: int = 0


class WalletChange(msgspec.Struct, frozen=True, gc=False):
    a: str
    wb: str
    cw: str = ""
    bc: str = ""


class PositionChange(msgspec.Struct, frozen=True, gc=False):
    s: str
    pa: str
    ep: str = ""
    up: str = ""
    ps: str = "BOTH"


class AccountChange(msgspec.Struct, frozen=True, gc=False):
    """`a` of `ACCOUNT_UPDATE`; `S` is the contract of a funding payment, where Binance says it."""

    m: str = ""
    B: list[WalletChange] = []
    P: list[PositionChange] = []
    S: str = ""


class AccountUpdate(msgspec.Struct, frozen=True, gc=False):
    a: AccountChange
    T: int = 0


decode_frame = msgspec.json.Decoder(Frame).decode
decode_event_name = msgspec.json.Decoder(EventName).decode
decode_receipt = msgspec.json.Decoder(Receipt).decode
decode_execution_report = msgspec.json.Decoder(ExecutionReport).decode
decode_account_position = msgspec.json.Decoder(AccountPosition).decode
decode_order_trade_update = msgspec.json.Decoder(OrderTradeUpdate).decode
decode_trade_lite = msgspec.json.Decoder(TradeLite).decode
decode_account_update = msgspec.json.Decoder(AccountUpdate).decode


def coin_margined(*marks: int) -> bool:
    """True for what is about COIN-M, which shares streams with USD-M."""
    return COIN_MARGINED in marks
