"""What the practice venues list: tick, lot and contract sizes as the real venues have them."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from hftmm.config import VENUES
from hftmm.core.errors import ConfigError
from hftmm.core.instrument import Kind
from hftmm.sim.matching import Spec


@dataclass(frozen=True, slots=True)
class Grid:
    """Price and size steps of one coin at one venue, decimal strings.

    Attributes:
        linear_lot: base coins; OKX counts contracts, a hundredth of one is its step.
        contract: base coins in one OKX contract; 1 elsewhere.
    """

    spot_tick: str
    spot_lot: str
    linear_tick: str
    linear_lot: str
    contract: str = "1"


@dataclass(frozen=True, slots=True)
class Coin:
    """A base coin: price in USDT at the start of the market, and its grids by venue."""

    price: float
    grids: dict[str, Grid]


COINS = {
    "BTC": Coin(
        65_000.0,
        {
            "binance": Grid("0.01", "0.00001", "0.1", "0.001"),
            "bybit": Grid("0.1", "0.000001", "0.1", "0.001"),
            "okx": Grid("0.1", "0.00000001", "0.1", "0.0001", "0.01"),
        },
    ),
    "ETH": Coin(
        2_680.0,
        {
            "binance": Grid("0.01", "0.0001", "0.01", "0.001"),
            "bybit": Grid("0.01", "0.00001", "0.01", "0.01"),
            "okx": Grid("0.01", "0.000001", "0.01", "0.001", "0.1"),
        },
    ),
    "SOL": Coin(
        148.0,
        {
            "binance": Grid("0.01", "0.001", "0.01", "0.01"),
            "bybit": Grid("0.01", "0.001", "0.01", "0.1"),
            "okx": Grid("0.01", "0.000001", "0.01", "0.01", "1"),
        },
    ),
    "XRP": Coin(
        2.1,
        {
            "binance": Grid("0.0001", "0.1", "0.0001", "0.1"),
            "bybit": Grid("0.0001", "0.01", "0.0001", "0.1"),
            "okx": Grid("0.0001", "0.000001", "0.0001", "1", "100"),
        },
    ),
    "DOGE": Coin(
        0.21,
        {
            "binance": Grid("0.00001", "1", "0.00001", "1"),
            "bybit": Grid("0.00001", "0.1", "0.00001", "1"),
            "okx": Grid("0.00001", "0.000001", "0.00001", "10", "1000"),
        },
    ),
}

# OKX numbers its instruments; these two are real, the rest count on from 20000.
CODES = {"BTC-USDT-SWAP": 10459, "ETH-USDT-SWAP": 10461}

# Smallest order value in USDT.
NOTIONAL = {
    ("binance", Kind.SPOT): "5",
    ("binance", Kind.LINEAR): "20",
    ("bybit", Kind.SPOT): "5",
    ("bybit", Kind.LINEAR): "5",
    ("okx", Kind.SPOT): "0",
    ("okx", Kind.LINEAR): "0",
}


LEAST_WORTH = 0.25
"""USDT that the smallest spot order at OKX is worth at least."""


def coin(base: str) -> Coin:
    """The coin's price and grids; one we know nothing of gets a price by its name.

    Such a price lies between 0.1 and 100 USDT, the same in every run, on a tick of 0.1 to 1 bps.
    """
    known = COINS.get(base)
    if known is not None:
        return known
    share = zlib.crc32(base.encode()) / 2**32
    price = float(f"{10 ** (3 * share - 1):.4g}")
    magnitude = math.floor(math.log10(price))
    tick = _power(magnitude - 4)
    lot = _power(-magnitude - 1)
    return Coin(
        price,
        {
            "binance": Grid(tick, lot, tick, lot),
            "bybit": Grid(tick, lot, tick, lot),
            "okx": Grid(tick, "0.000001", tick, lot, _power(-magnitude + 1)),
        },
    )


def practice_specs(symbols: Iterable[str]) -> list[Spec]:
    """One spec for each symbol and venue, symbols in the order given.

    Raises:
        ConfigError: a symbol is neither `BASE/USDT` nor `BASE/USDT:USDT`.
    """
    specs: list[Spec] = []
    for number, symbol in enumerate(symbols):
        base, _, rest = symbol.partition("/")
        if not base or rest not in {"USDT", "USDT:USDT"}:
            raise ConfigError(
                f"markets.symbols: {symbol!r} is not traded at the practice venues, "
                "which list BASE/USDT (spot) and BASE/USDT:USDT (perpetual)"
            )
        kind = Kind.LINEAR if ":" in rest else Kind.SPOT
        specs += [_spec(venue, kind, symbol, base, 20_000 + number) for venue in VENUES]
    return specs


def _spec(venue: str, kind: Kind, symbol: str, base: str, code: int) -> Spec:
    grid = coin(base).grids[venue]
    linear = kind is Kind.LINEAR
    lot = Decimal(grid.linear_lot if linear else grid.spot_lot)
    if venue == "okx":
        venue_symbol = f"{base}-USDT-SWAP" if linear else f"{base}-USDT"
    else:
        venue_symbol = f"{base}USDT"
    return Spec(
        venue=venue,
        kind=kind,
        symbol=symbol,
        venue_symbol=venue_symbol,
        base=base,
        quote="USDT",
        tick=Decimal(grid.linear_tick if linear else grid.spot_tick),
        lot=lot,
        min_size=_least(base, lot) if (venue, kind) == ("okx", Kind.SPOT) else lot,
        min_notional=Decimal(NOTIONAL[venue, kind]),
        contract=Decimal(grid.contract) if linear else Decimal(1),
        code=CODES.get(venue_symbol, code),
    )


def _least(base: str, lot: Decimal) -> Decimal:
    """OKX names the smallest spot order in coins, a power of ten of about a dollar."""
    exponent = math.ceil(math.log10(LEAST_WORTH / coin(base).price))
    return max(lot, Decimal(_power(exponent)))


def _power(exponent: int) -> str:
    return f"{Decimal(1).scaleb(exponent):f}"
