"""`exchangeInfo` of both markets as listings."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from hftmm.core.errors import MalformedFrame
from hftmm.core.instrument import Kind, Listing
from hftmm.venues.binance.wire import decode_any

VENUE = "binance"
_DATED = ("CURRENT_QUARTER", "NEXT_QUARTER")
# Longest first, so that FDUSD is not read as a coin quoted in USD.
_QUOTES = ("FDUSD", "USDT", "USDC", "BUSD", "TUSD", "EUR", "TRY", "BRL", "BTC", "ETH", "BNB")
_SMALLEST_LOT = Decimal("1e-8")


def decode_exchange_info(body: bytes, *, spot: bool) -> list[Listing]:
    """Listings of an answer; a row that lacks something or is out of our scope is left out.

    Raises:
        MalformedFrame: the answer as a whole is no `exchangeInfo`.
    """
    answer = decode_any(body)
    rows = answer.get("symbols") if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        raise MalformedFrame("unexpected shape", "exchangeInfo without symbols")
    listings = []
    for row in rows:
        try:
            listing = decode_spot_row(row) if spot else decode_linear_row(row)
        except (KeyError, TypeError, AttributeError, ValueError, InvalidOperation):
            continue
        if listing is not None:
            listings.append(listing)
    return listings


def decode_spot_row(row: Any) -> Listing | None:
    """One spot symbol; None if its price or lot filter is disabled, so that it has no grid."""
    filters = {entry["filterType"]: entry for entry in row["filters"]}
    # NOTIONAL replaced MIN_NOTIONAL in 2023; recordings from before have the older one.
    notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or {}
    base, quote = row["baseAsset"], row["quoteAsset"]
    return _listing(
        row,
        filters,
        symbol=f"{base}/{quote}",
        kind=Kind.SPOT,
        settle=quote,
        min_notional=Decimal(notional.get("minNotional", "0")),
    )


def decode_linear_row(row: Any) -> Listing | None:
    """One USD-M symbol; None unless it is margined in USDT and perpetual or quarterly.

    One contract is one base coin: the 1000 of `1000PEPEUSDT` is part of the coin's name.
    """
    base, quote, settle = row["baseAsset"], row["quoteAsset"], row["marginAsset"]
    if settle != "USDT":
        return None
    if row["contractType"] == "PERPETUAL":
        kind, symbol = Kind.LINEAR, f"{base}/{quote}:{settle}"
    elif row["contractType"] in _DATED:
        expiry = row["symbol"].partition("_")[2]
        kind, symbol = Kind.DATED, f"{base}/{quote}:{settle}-{expiry}"
    else:
        return None
    filters = {entry["filterType"]: entry for entry in row["filters"]}
    return _listing(
        row,
        filters,
        symbol=symbol,
        kind=kind,
        settle=settle,
        min_notional=Decimal(filters.get("MIN_NOTIONAL", {}).get("notional", "0")),
    )


def _listing(
    row: Any, filters: Any, *, symbol: str, kind: Kind, settle: str, min_notional: Decimal
) -> Listing | None:
    tick = Decimal(filters["PRICE_FILTER"]["tickSize"])
    lot = Decimal(filters["LOT_SIZE"]["stepSize"])
    if not (tick > 0 and lot > 0):
        return None
    return Listing(
        venue=VENUE,
        venue_symbol=row["symbol"],
        symbol=symbol,
        kind=kind,
        base=row["baseAsset"],
        quote=row["quoteAsset"],
        settle=settle,
        tick=tick,
        lot=lot,
        min_size=Decimal(filters["LOT_SIZE"]["minQty"]),
        min_notional=min_notional,
        status="live" if row["status"] == "TRADING" else row["status"],
    )


def infer(venue_symbol: str, decimals: int, *, spot: bool) -> Listing:
    """A listing guessed from its name alone: `BTCUSDT_260925` is BTC against USDT, dated."""
    pair, _, expiry = venue_symbol.partition("_")
    quote = next((q for q in _QUOTES if pair.endswith(q) and pair != q), "")
    base = pair.removesuffix(quote)
    symbol = f"{base}/{quote}" if quote else pair
    kind = Kind.SPOT
    if not spot:
        kind = Kind.DATED if expiry else Kind.LINEAR
        symbol = f"{symbol}:{quote}-{expiry}" if expiry else f"{symbol}:{quote}"
    return Listing(
        venue=VENUE,
        venue_symbol=venue_symbol,
        symbol=symbol,
        kind=kind,
        base=base,
        quote=quote,
        settle=quote,
        tick=Decimal(1).scaleb(-decimals),
        lot=_SMALLEST_LOT,
        inferred=True,
    )
