"""Instrument definitions, and what an instId says by itself."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from hftmm.core.errors import MalformedFrame
from hftmm.core.instrument import Kind, Listing
from hftmm.venues.okx.wire import Number, decoded, step

INSTRUMENT_TYPES: Mapping[Kind, str] = {
    Kind.SPOT: "SPOT",
    Kind.LINEAR: "SWAP",
    Kind.INVERSE: "SWAP",
    Kind.DATED: "FUTURES",
}


class _Row(msgspec.Struct, frozen=True, gc=False):
    """One row of `public/instruments`; base and quote coins are read off its names."""

    instrument_type: str = msgspec.field(name="instType")
    instrument: str = msgspec.field(name="instId")
    tick: str = msgspec.field(name="tickSz")
    lot: str = msgspec.field(name="lotSz")
    min_size: str = msgspec.field(name="minSz")
    state: str = ""
    code: Number = msgspec.field(name="instIdCode", default=None)
    family: str = msgspec.field(name="instFamily", default="")
    underlying: str = msgspec.field(name="uly", default="")
    settle: str = msgspec.field(name="settleCcy", default="")
    contract_value: str = msgspec.field(name="ctVal", default="")
    contract_multiplier: str = msgspec.field(name="ctMult", default="")


_row = msgspec.json.Decoder(_Row)


def defined(row: msgspec.Raw) -> Listing:
    """The listing a definition describes.

    Raises:
        MalformedFrame: a number is missing, as before an opening, or it is neither spot, a swap
            nor a future.
    """
    definition = decoded(_row, row)
    kind, symbol, base, quote, settle = _named(
        definition.instrument, definition.family or definition.underlying, definition.settle
    )
    if definition.instrument_type != INSTRUMENT_TYPES[kind]:
        raise MalformedFrame("not a listing", definition.instrument)
    multiplier = Decimal(1)
    if kind is Kind.LINEAR:
        multiplier = step(definition.contract_value) * step(definition.contract_multiplier)
    return Listing(
        venue="okx",
        venue_symbol=definition.instrument,
        symbol=symbol,
        kind=kind,
        base=base,
        quote=quote,
        settle=settle,
        tick=step(definition.tick),
        lot=step(definition.lot) * multiplier,
        min_size=step(definition.min_size) * multiplier,
        multiplier=multiplier,
        status=definition.state,
        venue_code=definition.code if isinstance(definition.code, int) else None,
    )


def inferred(venue_symbol: str, decimals: int) -> Listing:
    """The listing an instId stands for, on the grid its prices were seen on."""
    kind, symbol, base, quote, settle = _named(venue_symbol, "", "")
    return Listing(
        venue="okx",
        venue_symbol=venue_symbol,
        symbol=symbol,
        kind=kind,
        base=base,
        quote=quote,
        settle=settle,
        tick=Decimal(1).scaleb(-decimals),
        lot=Decimal("0.00000001"),
        inferred=True,
    )


def _named(instrument: str, family: str, settle: str) -> tuple[Kind, str, str, str, str]:
    """Kind, common symbol, base, quote and settlement coin of an instId.

    Args:
        family: `BTC-USD`, or "" to take it from the instId.
        settle: settlement coin, or "" to take it from the quote.
    """
    base, _, rest = instrument.partition("-")
    quote, _, term = rest.partition("-")
    if not term:
        return Kind.SPOT, f"{base}/{quote}" if quote else base, base, quote, quote
    if family.count("-") == 1:
        base, quote = family.split("-")
    # Contracts quoted in dollars nobody delivers are settled in the coin.
    settle = settle or (base if quote == "USD" else quote)
    symbol = f"{base}/{quote}:{settle}"
    if term != "SWAP":
        return Kind.DATED, f"{symbol}-{term}", base, quote, settle
    return (Kind.INVERSE if settle == base else Kind.LINEAR), symbol, base, quote, settle
