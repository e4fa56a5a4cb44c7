"""Bybit instruments: their definitions, and what a symbol tells without one."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

import msgspec

from hftmm.core.instrument import Kind, Listing

_KINDS = {
    "": Kind.SPOT,
    "LinearPerpetual": Kind.LINEAR,
    "LinearFutures": Kind.DATED,
    "InversePerpetual": Kind.INVERSE,
    "InverseFutures": Kind.DATED,
}
_QUOTES = ("USDT", "USDC", "USDE", "USD1", "EUR", "BRL", "TRY", "BTC", "ETH", "DAI")
_DATED = re.compile(r"(?P<name>\w+)-(?P<day>\d{1,2}[A-Z]{3}\d{2})")
_INFERRED_LOT = Decimal("1e-8")
_FINEST = Decimal("1e-18")
"""No grid is finer; a smaller step is a mistake, and would make prices overflow."""


class _PriceFilter(msgspec.Struct, gc=False):
    tick: str = msgspec.field(name="tickSize")


class _LotFilter(msgspec.Struct, gc=False):
    """Contracts call their step `qtyStep`, spot `basePrecision`; their minima differ likewise."""

    step: str = msgspec.field(name="qtyStep", default="")
    precision: str = msgspec.field(name="basePrecision", default="")
    min_size: str = msgspec.field(name="minOrderQty", default="")
    min_value: str = msgspec.field(name="minNotionalValue", default="")
    min_amount: str = msgspec.field(name="minOrderAmt", default="")


class _Definition(msgspec.Struct, gc=False):
    symbol: str
    status: str
    base: str = msgspec.field(name="baseCoin")
    quote: str = msgspec.field(name="quoteCoin")
    prices: _PriceFilter = msgspec.field(name="priceFilter")
    lots: _LotFilter = msgspec.field(name="lotSizeFilter")
    contract: str = msgspec.field(name="contractType", default="")
    settle: str = msgspec.field(name="settleCoin", default="")
    delivery_ms: str = msgspec.field(name="deliveryTime", default="")


_definition = msgspec.json.Decoder(_Definition)


def decode_listing(row: msgspec.Raw) -> Listing | None:
    """One row of instruments-info; None if it cannot be understood or is of no kind known here."""
    try:
        definition = _definition.decode(row)
        kind = _KINDS[definition.contract]
        lots = definition.lots
        tick, lot = Decimal(definition.prices.tick), Decimal(lots.step or lots.precision)
        # Spot's minOrderQty is deprecated: only the amount binds there.
        min_size = Decimal(0) if kind is Kind.SPOT else Decimal(lots.min_size or 0)
        min_notional = Decimal(lots.min_value or lots.min_amount or 0)
        expiry = _expiry(definition.delivery_ms) if kind is Kind.DATED else ""
    except (msgspec.MsgspecError, KeyError, InvalidOperation, ValueError, OverflowError, OSError):
        return None
    if not all(number.is_finite() for number in (tick, lot, min_size, min_notional)):
        return None
    if min(tick, lot) < _FINEST:
        return None
    settle = definition.settle
    # USDC contracts have been called quoted in USD; a linear contract is quoted in what it settles.
    linear = definition.contract.startswith("Linear") and settle
    quote = settle if linear else definition.quote
    return Listing(
        venue="bybit",
        venue_symbol=definition.symbol,
        symbol=_symbol(definition.base, quote, settle, expiry),
        kind=kind,
        base=definition.base,
        quote=quote,
        settle=settle,
        tick=tick,
        lot=lot,
        min_size=min_size,
        min_notional=min_notional,
        status="live" if definition.status == "Trading" else definition.status,
    )


def infer_listing(venue_symbol: str, decimals: int, *, contract: bool) -> Listing:
    """A listing read off its symbol: `XRPUSDT`, `BTCPERP` (USDC), `BTC-26DEC25` (USDC, dated)."""
    dated = _DATED.fullmatch(venue_symbol) if contract else None
    name = dated["name"] if dated else venue_symbol
    quote = next((coin for coin in _QUOTES if name.endswith(coin) and name != coin), "")
    base = name.removesuffix(quote)
    if contract and not quote:
        base, quote = name.removesuffix("PERP"), "USDC"
    settle = quote if contract else ""
    return Listing(
        venue="bybit",
        venue_symbol=venue_symbol,
        symbol=_symbol(base, quote, settle, _day(dated["day"]) if dated else ""),
        kind=Kind.DATED if dated else Kind.LINEAR if contract else Kind.SPOT,
        base=base,
        quote=quote,
        settle=settle,
        tick=Decimal(1).scaleb(-decimals),
        lot=_INFERRED_LOT,
        inferred=True,
    )


def _symbol(base: str, quote: str, settle: str, expiry: str) -> str:
    """`BTC/USDT`, `BTC/USDT:USDT`, `BTC/USDT:USDT-251226`."""
    symbol = f"{base}/{quote}"
    if settle:
        symbol += f":{settle}"
    return f"{symbol}-{expiry}" if expiry else symbol


def _expiry(delivery_ms: str) -> str:
    return f"{datetime.fromtimestamp(int(delivery_ms) / 1000, UTC):%y%m%d}"


def _day(written: str) -> str:
    """`26DEC25` as `251226`; as written if it is no date."""
    try:
        return f"{datetime.strptime(written, '%d%b%y').replace(tzinfo=UTC):%y%m%d}"
    except ValueError:
        return written
