"""Accounts at a practice venue: balances, positions, and what happened to them in order."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal, TypeAlias

import msgspec

from hftmm.core.instrument import Kind, Side
from hftmm.sim.listings import coin
from hftmm.sim.matching import Spec
from hftmm.sim.orders import Execution, Order

ZERO = Decimal(0)
COLLATERAL = "USDT"
"""What linear contracts are margined and settled in."""
LEVERAGE = Decimal(10)
"""Initial margin is notional by this, until a client sets another."""
START_USDT = Decimal(1_000_000)
_START = {COLLATERAL: START_USDT, "BTC": Decimal(20), "ETH": Decimal(300), "BNB": Decimal(100)}

Wallet = Literal["spot", "linear", "unified"]
Change = Literal["new", "trade", "canceled", "expired", "rejected", "amended"]
Cause = Literal["trade", "fee", "funding", "transfer", "lock"]


class Credentials(msgspec.Struct, frozen=True):
    """An API key; its repr hides what signs.

    Attributes:
        permissions: any of "read", "trade", "withdraw".
        ip_allowed: False for a key bound to other addresses.
        account: key of the account it acts for.
    """

    key: str
    secret: str
    passphrase: str
    permissions: frozenset[str] = frozenset({"read", "trade"})
    ip_allowed: bool = True
    account: str = "practice"

    def __repr__(self) -> str:
        return f"<Credentials {self.key}>"


DEMO = Credentials("practice-key", "practice-secret", "practice-passphrase")
"""What `hftmm venues` prints."""

PRACTICE_KEYS = (
    DEMO,
    Credentials("practice-read-key", "practice-secret", "practice-passphrase", frozenset({"read"})),
    Credentials(
        "practice-withdraw-key",
        "practice-secret",
        "practice-passphrase",
        frozenset({"read", "trade", "withdraw"}),
    ),
    Credentials(
        "practice-elsewhere-key", "practice-secret", "practice-passphrase", ip_allowed=False
    ),
)
"""Every key of the practice account: one to trade with, the others to be refused with."""


class Balance(msgspec.Struct):
    """One asset in one wallet.

    Attributes:
        total: what is owned, profit not yet realised apart.
        locked: the part that open spot orders hold; margin is not in it.
    """

    total: Decimal = ZERO
    locked: Decimal = ZERO

    @property
    def free(self) -> Decimal:
        return self.total - self.locked


class Position(msgspec.Struct):
    """A one-way linear position.

    Attributes:
        base: base coins, negative when short.
        cost: what `base` was bought for, in quote, of the same sign; kept instead of the average
            price because sums of it stay exact.
        realised: profit of what was closed, since the account began; fees and funding apart.
        fees, funding: paid since the account began, in quote; negative = received.
        updated_ns: when it last changed.
    """

    base: Decimal = ZERO
    cost: Decimal = ZERO
    realised: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    updated_ns: int = 0

    @property
    def entry(self) -> Decimal:
        """Average price of what is open; 0 when flat."""
        return self.cost / self.base if self.base else ZERO

    def trade(self, side: Side, size: Decimal, price: Decimal, grain: Decimal) -> Decimal:
        """Books a trade; returns the profit it realised.

        A trade beyond flat closes first and opens the rest at its own price.

        Args:
            size: base coins, > 0.
            grain: profit is rounded to it; the difference stays in the cost of what is open, and
                nothing is rounded when all is closed.
        """
        signed = size if side == "buy" else -size
        if not self.base or (self.base > 0) == (signed > 0):
            self.base += signed
            self.cost += signed * price
            return ZERO
        if size >= abs(self.base):
            gained = self.base * price - self.cost
            self.base += signed
            self.cost = self.base * price
        else:
            # Of the cost as much goes as of the position.
            gone = (self.cost * -signed / self.base).quantize(grain)
            gained = -signed * price - gone
            self.base += signed
            self.cost -= gone
        self.realised += gained
        return gained


class OrderChanged(msgspec.Struct, frozen=True, gc=False):
    """An order came to be, traded, changed or ended.

    Attributes:
        order: its values right after this change.
        execution: the fill, if `change` is "trade".
    """

    order: Order
    execution: Execution | None
    change: Change
    ts_ns: int


class BalanceChanged(msgspec.Struct, frozen=True, gc=False):
    """A balance moved; with cause "lock" only its locked part did, and `delta` is 0."""

    asset: str
    wallet: Wallet
    total: Decimal
    locked: Decimal
    available: Decimal
    delta: Decimal
    cause: Cause
    ts_ns: int


class PositionChanged(msgspec.Struct, frozen=True, gc=False):
    """A position moved; `unrealised` is at the mark of that moment."""

    spec: Spec
    base: Decimal
    entry: Decimal
    realised: Decimal
    unrealised: Decimal
    cause: Cause
    ts_ns: int


class Funding(msgspec.Struct, frozen=True, gc=False):
    """Funding of one position.

    Attributes:
        amount: what the balance changed by; negative = paid.
        ts_ns: the moment it was due.
    """

    spec: Spec
    rate: Decimal
    amount: Decimal
    ts_ns: int


BrokerEvent: TypeAlias = OrderChanged | BalanceChanged | PositionChanged | Funding


class OpenValue(msgspec.Struct):
    """Quote value of the resting orders of one contract that could enlarge a position."""

    buys: Decimal = ZERO
    sells: Decimal = ZERO


class Account:
    """One client's account at one venue. Only the broker changes it.

    Attributes:
        key: the account's name.
        spot, linear: balances by asset; one and the same wallet if `unified`.
        positions: by symbol; only contracts ever traded.
        leverage: by symbol, where it is not the default.
        events: what happened, oldest first; the venue takes and clears them.
        open: open orders by id, oldest first.
        orders: open and ended orders by id, oldest first; the oldest ended ones are forgotten.
        reducing: open reduce-only orders by symbol and id.
        client_ids: the newest order of each client id.
        executions: every fill, oldest first.
        fundings: every funding, oldest first.
        deposits: wallet, asset and amount of what came in, the start balances first.
    """

    position_mode: Literal["one_way"] = "one_way"

    def __init__(self, key: str, unified: bool, balances: dict[str, Decimal]) -> None:
        self.key = key
        self.unified = unified
        self.spot = {asset: Balance(total) for asset, total in balances.items()}
        self.linear = self.spot if unified else {COLLATERAL: Balance(balances[COLLATERAL])}
        self.positions: dict[str, Position] = {}
        self.leverage: dict[str, Decimal] = {}
        self.open_value: dict[str, OpenValue] = {}
        self.events: list[BrokerEvent] = []
        self.open: dict[int, Order] = {}
        self.orders: dict[int, Order] = {}
        self.reducing: dict[str, dict[int, Order]] = {}
        self.client_ids: dict[tuple[Wallet, str], Order] = {}
        self.executions: list[Execution] = []
        self.fundings: list[Funding] = []
        kinds = (Kind.SPOT,) if unified else (Kind.SPOT, Kind.LINEAR)
        self.deposits: list[tuple[Wallet, str, Decimal]] = [
            (self.wallet_name(kind), asset, balance.total)
            for kind in kinds
            for asset, balance in self.wallet(kind).items()
        ]

    @property
    def balances(self) -> dict[str, Balance]:
        """The spot wallet, or the only one."""
        return self.spot

    def wallet(self, kind: Kind) -> dict[str, Balance]:
        """Balances that trades of a kind are settled in."""
        return self.linear if kind is Kind.LINEAR else self.spot

    def wallet_name(self, kind: Kind) -> Wallet:
        """The name of that wallet in events."""
        if self.unified:
            return "unified"
        return "linear" if kind is Kind.LINEAR else "spot"

    def leverage_of(self, spec: Spec) -> Decimal:
        """Leverage in force for a contract."""
        return self.leverage.get(spec.symbol, LEVERAGE)

    def position(self, spec: Spec) -> Position:
        """The position in a contract; a flat one if it was never traded."""
        return self.positions.get(spec.symbol) or Position()

    def find(
        self, spec: Spec | None, order_id: int | None = None, client_id: str | None = None
    ) -> Order | None:
        """An order by one of its ids, open or remembered; with both given the order id wins."""
        found: Order | None = None
        if order_id is not None:
            found = self.orders.get(order_id)
        elif client_id:
            kinds = (Kind.SPOT, Kind.LINEAR) if spec is None else (spec.kind,)
            named = (self.client_ids.get((self.wallet_name(kind), client_id)) for kind in kinds)
            found = next((order for order in named if order is not None), None)
        if found is None or (spec is not None and found.spec.symbol != spec.symbol):
            return None
        return found

    def open_orders(self, spec: Spec | None = None, kind: Kind | None = None) -> list[Order]:
        """Open orders, oldest first."""
        return [order for order in self.open.values() if concerns(order, spec, kind)]

    def take_events(self) -> list[BrokerEvent]:
        """Everything that happened since the last call, oldest first."""
        events, self.events = self.events, []
        return events


def start_balances(specs: Iterable[Spec]) -> dict[str, Decimal]:
    """What a practice account begins with: 1,000,000 USDT and about as much of every coin."""
    balances = dict(_START)
    for spec in specs:
        if spec.base not in balances:
            worth = START_USDT / Decimal(repr(coin(spec.base).price))
            balances[spec.base] = Decimal(round(float(worth), 2 - len(str(int(worth)))))
    return balances


def concerns(order: Order, spec: Spec | None, kind: Kind | None) -> bool:
    """True if the order is in that instrument, or without one of that kind; None is any."""
    if spec is not None:
        return order.spec.symbol == spec.symbol
    return kind is None or order.spec.kind is kind
