"""Listings: what a venue trades, on which grid, and under which common symbol."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, Decimal
from enum import StrEnum
from typing import Literal

Side = Literal["buy", "sell"]


class Kind(StrEnum):
    """What is traded. Only SPOT and LINEAR are quoted; the others still have their books built."""

    SPOT = "spot"
    LINEAR = "linear"
    INVERSE = "inverse"
    DATED = "dated"

    @property
    def tradable(self) -> bool:
        return self is Kind.SPOT or self is Kind.LINEAR


def kind_of(symbol: str) -> Kind:
    """Of a market by its symbol: `BTC/USDT` is spot, `BTC/USDT:USDT` a perpetual."""
    return Kind.LINEAR if ":" in symbol else Kind.SPOT


def decimal_places(step: Decimal) -> int:
    """Decimal places a grid of this step needs: 0.5 -> 1, 0.10 -> 1, 10 -> 0."""
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


@dataclass(frozen=True, slots=True)
class Listing:
    """One instrument at one venue.

    All sizes are in base coins, whatever unit the venue counts in; `multiplier` converts.

    Attributes:
        venue: `binance`, `bybit`, `okx`, or the name of a registered fourth.
        venue_symbol: as the venue writes it, `BTCUSDT`, `BTC-USDT-SWAP`.
        symbol: as the ecosystem writes it, `BTC/USDT` spot, `BTC/USDT:USDT` perpetual.
        tick: price step, quote per base.
        lot: size step, base coins.
        min_size: smallest order, base coins; 0 where the venue states none.
        min_notional: smallest order, quote; 0 where the venue states none.
        multiplier: base coins in one unit of the venue's size (OKX: ctVal x ctMult).
        status: the venue's own word for the trading state; `live` if it trades normally.
        inferred: True if no definition was seen and the grid was read off the prices.
        grid: decimal places of prices seen off the tick: orders that stood before a venue made its
            tick coarser keep their price. 0 if none were seen.
        venue_code: numeric instrument id where orders need one (OKX instIdCode).
    """

    venue: str
    venue_symbol: str
    symbol: str
    kind: Kind
    base: str
    quote: str
    settle: str
    tick: Decimal
    lot: Decimal
    min_size: Decimal = Decimal(0)
    min_notional: Decimal = Decimal(0)
    multiplier: Decimal = Decimal(1)
    status: str = "live"
    inferred: bool = False
    venue_code: int | None = None
    grid: int = 0
    decimals: int = field(init=False)
    key: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "decimals", max(self.grid, decimal_places(self.tick)))
        object.__setattr__(self, "key", f"{self.venue} {self.symbol}")

    def price(self, x: float | Decimal, side: Side) -> Decimal:
        """The nearest price on the venue's tick that is not more aggressive: bids down, asks up."""
        rounding = ROUND_FLOOR if side == "buy" else ROUND_CEILING
        return (_exact(x) / self.tick).quantize(Decimal(1), rounding) * self.tick

    def size(self, x: float | Decimal) -> Decimal:
        """The largest whole number of lots not above `x` base coins."""
        return (_exact(x) / self.lot).quantize(Decimal(1), ROUND_DOWN) * self.lot


def _exact(x: float | Decimal) -> Decimal:
    """A float as the shortest decimal that reads back equal, so that 0.1 + lot noise stays out."""
    return x if isinstance(x, Decimal) else Decimal(repr(x))
