"""Orders, fills and holdings, in our words. Money is Decimal; sizes are base coins."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum, StrEnum
from typing import TypeAlias

import msgspec

from hftmm.core.instrument import Kind, Listing, Side

_ZERO = Decimal(0)


class OrderState(StrEnum):
    """Where an order stands, as far as we know.

    Acks are receipts; the private stream and queries are the truth. A request that got no answer
    leaves its order `unknown`, never `rejected`: it counts in full against every limit until a
    query settles it.
    """

    PENDING_NEW = "pending_new"
    OPEN = "open"
    PARTIALLY_FILLED = "partially_filled"
    PENDING_CANCEL = "pending_cancel"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    UNKNOWN = "unknown"

    @property
    def final(self) -> bool:
        """Nothing more happens to it, except fills that are told late."""
        return self in _FINAL


_FINAL = frozenset(
    {OrderState.FILLED, OrderState.CANCELED, OrderState.REJECTED, OrderState.EXPIRED}
)


class TimeInForce(StrEnum):
    """How long an order stands."""

    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"


class Rejection(Enum):
    """Why a venue did not take or keep an order, in classes that call for different action."""

    POST_ONLY = "post-only would take"
    NOTHING_TO_TAKE = "nothing to take"
    SELF_TRADE = "self-trade prevented"
    REDUCE_ONLY = "would not reduce"
    BALANCE = "balance or margin"
    FILTER = "price or size not allowed"
    RATE = "too many requests"
    DUPLICATE = "duplicate client id"
    UNKNOWN_ORDER = "unknown order"
    ALREADY_DONE = "order already done"
    CLOCK = "clock"
    CREDENTIALS = "key, signature or permission"
    NOT_TRADING = "instrument not trading"
    OTHER = "other"


class OrderIntent(msgspec.Struct, frozen=True, gc=False):
    """An order that somebody wants and nobody has reviewed yet.

    Attributes:
        strategy: who wants it, `[a-z0-9]{2}`: part of the client id.
        urgent: it takes risk off (a hedge, a flatten), and may use the reserved rate budget.
    """

    strategy: str
    listing: Listing
    side: Side
    price: Decimal
    size: Decimal
    post_only: bool = False
    time_in_force: TimeInForce = TimeInForce.GTC
    reduce_only: bool = False
    urgent: bool = False


class AmendIntent(msgspec.Struct, frozen=True, gc=False):
    """A change of a resting order that nobody has reviewed yet.

    Attributes:
        size: the new total, filled part included.
    """

    client_id: str
    listing: Listing
    side: Side
    price: Decimal
    size: Decimal
    urgent: bool = False


class OrderRequest(msgspec.Struct, frozen=True, gc=False):
    """One order to be sent.

    Attributes:
        client_id: ours, `[a-z0-9]{1,32}`, never reused; known to us before anything is sent.
        price: on the venue's tick. size: base coins, on the venue's lot.
    """

    client_id: str
    listing: Listing
    side: Side
    price: Decimal
    size: Decimal
    post_only: bool = False
    time_in_force: TimeInForce = TimeInForce.GTC
    reduce_only: bool = False


class Amendment(msgspec.Struct, frozen=True, gc=False):
    """A change of a resting order. Attributes: size: the new total, filled part included."""

    client_id: str
    listing: Listing
    side: Side
    price: Decimal
    size: Decimal
    venue_id: str = ""


class OrderAnswer(msgspec.Struct, frozen=True, gc=False):
    """What a venue answered to a place, amend or cancel: a receipt, not the truth.

    Attributes:
        request_id: of our request, as the codec was given it.
        accepted: it was taken for processing.
        unknown: the answer itself says that the outcome is not known.
        text: the venue's code and words, for the operator.
    """

    request_id: str
    client_id: str
    venue_id: str
    accepted: bool
    rejection: Rejection | None = None
    unknown: bool = False
    text: str = ""
    retry_after_ms: int = 0


class OrderUpdate(msgspec.Struct, frozen=True, gc=False):
    """An order as the venue tells it, on the private stream or in answer to a query.

    Attributes:
        filled: cumulative, base coins. average: quote per base, None before the first fill.
        price, size: as they stand now, after amends and what the venue shrank; None if not told.
        rejection: why it is canceled, expired or rejected, where the venue says.
    """

    listing: Listing
    client_id: str
    venue_id: str
    side: Side
    state: OrderState
    filled: Decimal
    average: Decimal | None
    price: Decimal | None
    size: Decimal | None
    rejection: Rejection | None
    text: str
    venue_ns: int
    received_ns: int


class Fill(msgspec.Struct, frozen=True, gc=False):
    """A trade of ours; unique by (venue, symbol, trade id), in whatever order state it comes.

    Attributes:
        fee: positive is paid, negative is a rebate; None if the venue has not said yet.
    """

    listing: Listing
    trade_id: str
    client_id: str
    venue_id: str
    side: Side
    price: Decimal
    size: Decimal
    fee: Decimal | None
    fee_asset: str
    maker: bool
    venue_ns: int
    received_ns: int

    @property
    def fee_in_base(self) -> Decimal:
        """Base coins that went for the fee, on spot where the venue takes it from what is bought;
        0 otherwise, or while the fee is not told.
        """
        listing = self.listing
        if self.fee is None or listing.kind is not Kind.SPOT or self.fee_asset != listing.base:
            return _ZERO
        return self.fee

    @property
    def held(self) -> Decimal:
        """By how much it changed what is held: base coins, negative if less."""
        return (self.size if self.side == "buy" else -self.size) - self.fee_in_base


class Balance(msgspec.Struct, frozen=True, gc=False):
    """What the venue says we hold of an asset.

    Attributes:
        wallet: `spot` or `linear` where a venue keeps them apart, else "".
        total: without unrealised PnL. available: free to use for new orders.
    """

    venue: str
    wallet: str
    asset: str
    total: Decimal
    available: Decimal
    venue_ns: int
    received_ns: int


class Position(msgspec.Struct, frozen=True, gc=False):
    """What the venue says we hold of a perpetual.

    Attributes:
        size: base coins, negative is short. entry: average, None if flat.
    """

    listing: Listing
    size: Decimal
    entry: Decimal | None
    unrealised: Decimal | None
    venue_ns: int
    received_ns: int


class Funding(msgspec.Struct, frozen=True, gc=False):
    """A funding payment: positive was received. It is not a fill."""

    listing: Listing | None
    venue: str
    asset: str
    amount: Decimal
    venue_ns: int
    received_ns: int


class StreamReady(msgspec.Struct, frozen=True, gc=False):
    """Login or subscription of a private route succeeded (`ok`) or failed, with the reason."""

    route: str
    ok: bool
    rejection: Rejection | None = None
    text: str = ""


class StreamEnded(msgspec.Struct, frozen=True, gc=False):
    """The venue ended what a private route is for: its key expired, its subscription ended."""

    route: str
    text: str


AccountEvent: TypeAlias = (
    OrderAnswer | OrderUpdate | Fill | Balance | Position | Funding | StreamReady | StreamEnded
)
