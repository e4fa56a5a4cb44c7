"""What trading one listing left: size, average entry, and what was made."""

from __future__ import annotations

from collections import deque
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final, NamedTuple

from hftmm.core.instrument import Side

ZERO: Final = Decimal(0)
RECENT: Final = 256
"""Trades that one told late may still be sorted in before."""
_COST_STEP: Final = Decimal("1e-12")


class Deal(NamedTuple):
    """One trade, in the order of the venue: by its stamp, then by its id."""

    venue_ns: int
    id_length: int
    trade_id: str
    size: Decimal  # base coins, negative was sold
    price: Decimal


class State(NamedTuple):
    """After some trades. Attributes: cost: what the size was bought for, negative if short.
    cash: quote received less paid. Always, realised = cash + cost.
    """

    size: Decimal
    cost: Decimal
    cash: Decimal

    def after(self, size: Decimal, price: Decimal) -> State:
        """One more trade: what reduces the position realises at the average entry."""
        cash = self.cash - size * price
        total = self.size + size
        if not self.size or (self.size > 0) == (size > 0):
            return State(total, self.cost + size * price, cash)
        if (total > 0) != (self.size > 0) and total:
            return State(total, total * price, cash)
        # Costs stand on a fixed step, so that sums of them are exact and PnL needs no tolerance.
        cost = (self.cost * total / self.size).quantize(_COST_STEP, ROUND_HALF_EVEN)
        return State(total, cost, cash)


FLAT: Final = State(ZERO, ZERO, ZERO)


class Holding:
    """Average-cost accounting of one listing.

    Trades are accounted in the venue's order. One that is told late is sorted in among the last
    `RECENT`, so that whatever order they arrive in, the end is the same, split of realised and
    unrealised included.

    Attributes:
        fees: quote, paid less rebates. funding: quote, received less paid.
        made: quote, what the day had made when this was opened.
        mark: quote per base, None before the first.
    """

    __slots__ = (
        "_before",
        "_deals",
        "_opened",
        "_state",
        "_valued_at",
        "fees",
        "funding",
        "made",
        "mark",
    )

    def __init__(self) -> None:
        self.fees = ZERO
        self.funding = ZERO
        self.made = ZERO
        self.mark: Decimal | None = None
        self._state = FLAT
        self._before = FLAT
        self._deals: deque[Deal] = deque()
        self._opened = FLAT
        self._valued_at: Decimal | None = None

    @property
    def size(self) -> Decimal:
        """Base coins, negative is short."""
        return self._state.size

    @property
    def entry(self) -> Decimal | None:
        """Average price of what is held, None if flat."""
        return self._state.cost / self._state.size if self._state.size else None

    @property
    def cash(self) -> Decimal:
        """Quote received less paid, fees and funding included."""
        return self._state.cash - self.fees + self.funding

    @property
    def realised(self) -> Decimal:
        """Quote made by what was closed; fees and funding not included."""
        return self._state.cash + self._state.cost

    @property
    def unrealised(self) -> Decimal:
        """Quote that what is held would make at the mark; 0 while there is none."""
        if self.mark is None:
            return ZERO
        return self._state.size * self.mark - self._state.cost

    @property
    def pnl(self) -> Decimal:
        """All of it: cash + size x mark, what it was opened with at its own price."""
        return self.realised + self.unrealised - self.fees + self.funding

    @property
    def day_pnl(self) -> Decimal:
        """Quote made since the day was opened. What was carried in counts from its first mark."""
        if self._opened.size and self._valued_at is None:
            return self.made + self.realised - self.fees + self.funding
        carried = self._opened.size * (self._valued_at or ZERO) - self._opened.cost
        return self.made + self.pnl - carried

    def open(self, size: Decimal, entry: Decimal | None, made: Decimal = ZERO) -> None:
        """Starts over with what is held, bought at `entry` (None: at the mark)."""
        price = entry if entry is not None else self.mark or ZERO
        cost = (size * price).quantize(_COST_STEP, ROUND_HALF_EVEN)
        self._state = self._before = self._opened = State(size, cost, -cost)
        self._deals.clear()
        self._valued_at = self.mark
        self.fees = self.funding = ZERO
        self.made = made

    def marked(self, price: Decimal) -> None:
        """A new mark, quote per base."""
        self.mark = price
        if self._valued_at is None:
            self._valued_at = price

    def traded(
        self, side: Side, size: Decimal, price: Decimal, venue_ns: int, trade_id: str
    ) -> Decimal:
        """Accounts a trade, O(1) unless it was told late.

        Returns:
            By how much it changed what is realised.
        """
        before = self.realised
        signed = size if side == "buy" else -size
        deal = Deal(venue_ns, len(trade_id), trade_id, signed, price)
        deals = self._deals
        if not deals or deals[-1] < deal:
            deals.append(deal)
            self._state = self._state.after(signed, price)
        else:
            later: list[Deal] = []
            while deals and deal < deals[-1]:
                later.append(deals.pop())
            deals.append(deal)
            deals.extend(reversed(later))
            state = self._before
            for known in deals:
                state = state.after(known.size, known.price)
            self._state = state
        if len(deals) > RECENT:
            oldest = deals.popleft()
            self._before = self._before.after(oldest.size, oldest.price)
        return self.realised - before
