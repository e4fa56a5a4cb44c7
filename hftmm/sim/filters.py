"""What a practice venue refuses at the door: grids, sizes, values and price bands."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_CEILING, Decimal

import msgspec

from hftmm.core.instrument import Side
from hftmm.sim.matching import Offer
from hftmm.sim.orders import Refused, Ticket
from hftmm.sim.spec import Spec


class Rules(msgspec.Struct, frozen=True):
    """A venue's rules for one kind of instrument, beyond what a `Spec` says.

    Attributes:
        band: a buy may be this fraction above the reference price, a sell below it, no more.
        max_lots: largest order.
        max_orders: open orders of one account in one instrument.
        post_only_refuses: a post-only order that would take is refused at once; otherwise it is
            accepted and canceled.
        fok_refuses: the same for a fill-or-kill order that cannot be filled.
        client_ids: "open": a client id may be used again once its order is done; "ever": never.
    """

    band: Decimal = Decimal("0.05")
    max_lots: int = 10**12
    max_orders: int = 200
    post_only_refuses: bool = False
    fok_refuses: bool = False
    client_ids: str = "open"


def to_ticks(spec: Spec, price: Decimal) -> int | Refused:
    """A price as ticks; refused off the grid or not above 0."""
    if not price.is_finite() or price <= 0:
        return Refused("price_filter", f"price {price} is not above 0")
    ticks = price / spec.tick
    if ticks != int(ticks):
        return Refused("price_filter", f"price {price} is no multiple of {spec.tick}")
    return int(ticks)


def to_lots(spec: Spec, size: Decimal) -> int | Refused:
    """A size in base coins as lots; refused off the grid or not above 0."""
    if not size.is_finite() or size <= 0:
        return Refused("min_size", f"size {size} is not above 0")
    lots = size / spec.lot
    if lots != int(lots):
        return Refused("lot_size", f"size {size} is no multiple of {spec.lot}")
    return int(lots)


def limit_of_band(spec: Spec, side: Side, reference: Decimal, band: Decimal) -> int:
    """The last tick a price may have on this side of the reference; at least 1."""
    if side == "buy":
        return max(1, int(reference * (1 + band) / spec.tick))
    lowest = reference * (1 - band) / spec.tick
    return max(1, int(lowest.to_integral_value(ROUND_CEILING)))


def refusal(ticket: Ticket, lots: int, ticks: int, rules: Rules, edge: int) -> Refused | None:
    """The first filter an order does not pass, None if it passes all.

    Args:
        lots: size asked for, or what a quote amount buys.
        ticks: limit price; of a market order the price its value is taken at.
        edge: `limit_of_band` on its side.
    """
    spec = ticket.spec
    if ticks <= 0:
        return Refused("price_filter", f"price {spec.tick * ticks} is not above 0")
    if lots <= 0 or spec.lot * lots < spec.min_size:
        return Refused("min_size", f"size {spec.lot * lots} is below {spec.min_size}")
    if lots > rules.max_lots:
        most = spec.lot * rules.max_lots
        return Refused("max_size", f"size {spec.lot * lots} is above {most}")
    if ticket.ticks is not None and (ticks > edge if ticket.side == "buy" else ticks < edge):
        beyond = "above" if ticket.side == "buy" else "below"
        price, end = spec.tick * ticks, spec.tick * edge
        return Refused("price_band", f"price {price} is {beyond} {end}, the end of the band")
    value = spec.tick * spec.lot * (ticks * lots)
    # What closes a position may be as small as the position is.
    if not ticket.reduce_only and value < spec.min_notional:
        return Refused("min_notional", f"value {value} is below {spec.min_notional}")
    return None


def takeable(offers: Iterable[Offer], lots: int) -> int:
    """Of `lots`, how many the offers hold."""
    found = 0
    for _, offered, _ in offers:
        found += offered
        if found >= lots:
            return lots
    return found


def cost(offers: Iterable[Offer], lots: int) -> int:
    """Ticks times lots paid for `lots`, or for all there is."""
    total = 0
    for ticks, offered, _ in offers:
        taken = min(lots, offered)
        total += taken * ticks
        lots -= taken
        if not lots:
            break
    return total


def affordable(offers: Iterable[Offer], budget: int) -> int:
    """The most lots that `budget` ticks times lots buys."""
    lots = 0
    for ticks, offered, _ in offers:
        taken = min(offered, budget // ticks)
        lots += taken
        budget -= taken * ticks
        if taken < offered:
            break
    return lots
