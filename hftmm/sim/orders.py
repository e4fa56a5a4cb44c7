"""Orders of clients at a practice venue, from the ticket to the last fill.

Sizes are integer lots and prices integer ticks of the `Spec`; money is Decimal. Nothing here is in
the words of a venue: the practice venues translate.
"""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Literal, TypeAlias

import msgspec

from hftmm.core.instrument import Side
from hftmm.sim.matching import SelfTrade, Spec

TimeInForce = Literal["gtc", "ioc", "fok"]
OrderState = Literal["new", "partially_filled", "filled", "canceled", "expired", "rejected"]
OPEN: frozenset[OrderState] = frozenset({"new", "partially_filled"})

Rule: TypeAlias = Literal[
    "unknown_symbol",
    "not_trading",
    "price_filter",
    "lot_size",
    "min_size",
    "max_size",
    "min_notional",
    "price_band",
    "balance",
    "margin",
    "duplicate_client_id",
    "max_orders",
    "post_only_would_take",
    "fok_unfillable",
    "reduce_only",
    "unknown_order",
    "already_done",
    "amend_down_only",
    "amend_below_filled",
    "nothing_to_amend",
    "leverage",
]


class Refused(msgspec.Struct, frozen=True):
    """A request the venue turns down; nothing has changed.

    Attributes:
        rule: machine word of what forbids it.
        text: one line for a person, with the numbers.
        order: the order it was about, where there is one (`already_done`).
    """

    rule: Rule
    text: str
    order: Order | None = None


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks for.

    Attributes:
        ticks: limit price; None for a market order, which takes within the price band.
        lots: size; ignored with `quote_amount`.
        client_id: the client's own name for it, "" for none.
        reduce_only: linear only; shrunk to the position on arrival and whenever that shrinks.
        self_trade: what expires instead of trading with oneself; the taker's word counts.
        quote_amount: spot market buys: spend as much as whole lots allow, in quote.
        note: whatever the venue wants to keep with the order; never read here.
    """

    spec: Spec
    side: Side
    ticks: int | None
    lots: int = 0
    client_id: str = ""
    post_only: bool = False
    time_in_force: TimeInForce = "gtc"
    reduce_only: bool = False
    self_trade: SelfTrade = "expire_maker"
    quote_amount: Decimal | None = None
    note: object = None


class Order(msgspec.Struct, eq=False, kw_only=True):
    """An accepted order; one object for its whole life.

    Attributes:
        id: counts up from 1 per broker.
        account: key of the account.
        ticks: limit price as last amended; None for a market order.
        lots: total size as last amended or shrunk, filled part included.
        filled_quote: quote traded, fees apart.
        reason: machine word for the end: "user", "post_only", "ioc", "fok", "self_trade",
            "dead_man", "reduce_only", "liquidation", or what the venue says; "" while open and
            when filled.
        fills: oldest first.
        resting_id: the matching engine's number while it rests, else 0.
    """

    id: int
    account: str
    spec: Spec
    side: Side
    ticks: int | None
    lots: int
    client_id: str
    post_only: bool
    time_in_force: TimeInForce
    reduce_only: bool
    self_trade: SelfTrade
    quote_amount: Decimal | None
    note: object
    created_ns: int
    updated_ns: int
    state: OrderState = "new"
    filled_lots: int = 0
    filled_quote: Decimal = Decimal(0)
    reason: str = ""
    fills: list[Execution] = []
    resting_id: int = 0

    @property
    def open(self) -> bool:
        """True while it can trade."""
        return self.state in OPEN

    @property
    def remaining_lots(self) -> int:
        """Lots not filled, whatever became of them."""
        return self.lots - self.filled_lots

    @property
    def size(self) -> Decimal:
        """Total size, base coins."""
        return self.spec.lot * self.lots

    @property
    def filled(self) -> Decimal:
        """Filled size, base coins."""
        return self.spec.lot * self.filled_lots

    @property
    def price(self) -> Decimal | None:
        """Limit price; None for a market order."""
        return None if self.ticks is None else self.spec.tick * self.ticks

    @property
    def average(self) -> Decimal:
        """Average price of the fills; 0 without any."""
        return self.filled_quote / self.filled if self.filled_lots else Decimal(0)

    def value(self, lots: int) -> Decimal:
        """Quote value of so many lots at the limit price; 0 for a market order."""
        spec = self.spec
        return spec.tick * spec.lot * (self.ticks * lots) if self.ticks else Decimal(0)

    def snapshot(self) -> Order:
        """A copy that later changes leave alone; its fills are those so far."""
        copied = copy.copy(self)
        copied.fills = self.fills[:]
        return copied

    def __repr__(self) -> str:
        price = "market" if self.ticks is None else f"{self.ticks} ticks"
        return (
            f"<Order {self.id} {self.spec.symbol} {self.side} {self.lots} lots at {price}: "
            f"{self.state} {self.filled_lots} {self.reason}>"
        )


class Execution(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """One fill of one order.

    Attributes:
        id: counts up from 1 per broker.
        trade_id: the matching engine's, unique per instrument; both sides of a trade with oneself
            have the same.
        order: the live order, not a copy.
        fee: positive = paid, negative = rebate.
        realised: profit of the part that closed a position, fee apart; 0 on spot.
    """

    id: int
    trade_id: int
    order: Order
    ticks: int
    lots: int
    maker: bool
    fee: Decimal
    fee_asset: str
    realised: Decimal
    ts_ns: int

    @property
    def price(self) -> Decimal:
        return self.order.spec.tick * self.ticks

    @property
    def size(self) -> Decimal:
        """Base coins."""
        return self.order.spec.lot * self.lots
