"""Every rule that an order must pass, each in one place, under the name that refusals carry."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from hftmm.core.fees import BPS
from hftmm.core.instrument import Kind
from hftmm.core.order import OrderIntent
from hftmm.risk.approval import Refused
from hftmm.risk.case import Case
from hftmm.risk.pace import MILLISECOND, same

ZERO: Final = Decimal(0)
_TENTH: Final = Decimal("0.1")
_NOISE_BPS: Final = 1e-6
"""What a quotient of two floats may be off."""

# ---- what the venue itself would refuse --------------------------------------------------------


def grid(case: Case) -> Refused | None:
    """Price and size are positive, on the venue's tick and lot."""
    price, size, listing = case.price, case.size, case.listing
    if not price.is_finite() or price <= ZERO:
        return Refused("grid", ZERO, price, "a price is above zero")
    if not size.is_finite() or size <= ZERO:
        return Refused("grid", ZERO, size, "a size is above zero")
    if price % listing.tick:
        return Refused("grid", listing.tick, price, "not a multiple of the tick")
    if size % listing.lot:
        return Refused("grid", listing.lot, size, "not a multiple of the lot")
    return None


def amendable(case: Case) -> Refused | None:
    """A change is one of an order of ours, of the listing and side that it names."""
    intent, order = case.intent, case.order
    if isinstance(intent, OrderIntent):
        return None
    if order is None:
        return Refused("amendable", words=f"{intent.client_id} is not ours")
    if (order.listing.key, order.side) != (intent.listing.key, intent.side):
        return Refused("amendable", words=f"{intent.client_id} is {order.listing.key} {order.side}")
    return None


def trading(case: Case) -> Refused | None:
    """The venue trades it, by its own word."""
    listing = case.listing
    if not listing.kind.tradable:
        return Refused("trading", words=f"{listing.key}: {listing.kind} is not traded")
    if listing.inferred:
        return Refused("trading", words=f"{listing.key}: the venue has not defined it yet")
    if listing.status != "live":
        return Refused("trading", words=f"{listing.key} is {listing.status}")
    return None


def min_size(case: Case) -> Refused | None:
    """The venue's smallest order, base coins."""
    least = case.listing.min_size
    return Refused("min_size", least, case.size) if case.size < least else None


def min_notional(case: Case) -> Refused | None:
    """The venue's smallest order, quote. A reduce-only order that reduces may be smaller: the
    venues let a remainder be closed.
    """
    least, notional = case.listing.min_notional, case.price * case.size
    if notional >= least or (case.reducing and case.reduce_only):
        return None
    return Refused("min_notional", least, notional)


# ---- what is stopped ---------------------------------------------------------------------------


def killed(case: Case) -> Refused | None:
    """Nothing passes the kill latch."""
    why = case.standing.killed
    return Refused("killed", words=why) if why else None


def halted(case: Case) -> Refused | None:
    """Only reducing orders pass at a halted venue."""
    why = case.standing.halted.get(case.listing.venue)
    if not why or case.reducing:
        return None
    return Refused("halted", words=f"{case.listing.venue}: {why}")


def repeats(case: Case) -> Refused | None:
    """Nothing passes of a strategy that traded too often, until a person enables it."""
    why = case.standing.off.get(case.strategy)
    return Refused("repeats", words=why) if why else None


# ---- one order ---------------------------------------------------------------------------------


def order_size(case: Case) -> Refused | None:
    """The largest order, base coins, whatever it is for."""
    most = case.standing.limits.max_order_size
    return Refused("order_size", most, case.size) if case.size > most else None


def order_notional(case: Case) -> Refused | None:
    """The largest order, quote, whatever it is for."""
    most, notional = case.standing.limits.max_order_notional, case.price * case.size
    return Refused("order_notional", most, notional) if notional > most else None


def stale_book(case: Case) -> Refused | None:
    """Nobody trades at a venue whose book cannot be believed. Hedges neither: there are other
    venues to hedge at. Only what closes a position passes: getting out cannot wait for news.
    """
    member = case.member
    if case.closing:
        return None
    if member is None:
        return Refused("stale_book", words=f"{case.listing.key} has no book")
    if not member.eligible:
        return Refused("stale_book", words=f"{member.venue} {member.state}: {member.reason}")
    # Between two judgements of the market a book may have grown too old.
    age_ns, most_ns = case.now_ns - member.book.received_ns, member.trust.max_age_ns
    if age_ns > most_ns:
        age, most = Decimal(age_ns // MILLISECOND), Decimal(most_ns // MILLISECOND)
        return Refused("stale_book", most, age, f"ms since {member.venue} was heard")
    return None


def collar(case: Case) -> Refused | None:
    """How far through the best price that it would take an order may be priced: that of all
    venues. Without one only a reducing order passes, by the touch its own venue had last.
    """
    buy = case.side == "buy"
    best = 0.0
    if case.book is not None:
        best = case.book.best_ask if buy else case.book.best_bid
    touch = "ask" if buy else "bid"
    if not 0.0 < best < float("inf") and case.reducing and case.member is not None:
        book = case.member.book
        price, size = (book.ask, book.ask_size) if buy else (book.bid, book.bid_size)
        best, touch = (price if size > 0.0 else 0.0), f"last {touch}"
    if not 0.0 < best < float("inf"):
        return Refused("collar", words=f"no {touch} of {case.listing.symbol} to hold it against")
    through = (float(case.price) / best - 1.0) * BPS
    if not buy:
        through = -through
    most = case.standing.limits.collar_bps
    if through <= most + _NOISE_BPS:
        return None
    actual = Decimal(through).quantize(_TENTH)
    return Refused("collar", Decimal(repr(most)), actual, f"bps through the best {touch} {best:g}")


# ---- positions, in the worst case --------------------------------------------------------------


def venue_position(case: Case) -> Refused | None:
    """The position of the listing if every open and unknown order of this side fills. What only
    reduces passes by itself: it ends on the near side of zero.
    """
    most, after = case.venue.max_position, case.ahead.venue
    if after <= most or not case.added:
        return None
    return Refused("venue_position", most, after, f"{case.listing.key} with open orders")


def total_position(case: Case) -> Refused | None:
    """The net position of the market over all venues if every order of this side fills. An order
    that closes one venue's position passes, though the others' then weigh more: that is what a
    flattening of all venues does on its way.
    """
    most, after = case.standing.limits.max_total_position, case.ahead.total
    if after <= most or not case.added or case.closing:
        return None
    return Refused("total_position", most, after, f"net {case.listing.symbol} with open orders")


def worst_case(case: Case) -> Refused | None:
    """Positions of the market at all venues, longs and shorts added up, each as large as the
    open orders there can make it.
    """
    if case.reducing or not case.added:
        return None
    most, ahead = case.standing.limits.max_worst_case, case.ahead
    after = ahead.gross + max(ahead.venue, ahead.behind)
    if after <= most:
        return None
    return Refused("worst_case", most, after, f"gross {case.listing.symbol} with open orders")


# ---- orders among each other -------------------------------------------------------------------


def venue_orders(case: Case) -> Refused | None:
    """Open orders at the venue; one that cannot rest needs no place among them."""
    if not case.rests:
        return None
    most, there = case.venue.max_open_orders, case.standing.working.open_count(case.listing.venue)
    if there < most:
        return None
    return Refused("venue_orders", Decimal(most), Decimal(there), f"open at {case.listing.venue}")


def total_orders(case: Case) -> Refused | None:
    """Open orders over all venues, as `venue_orders`."""
    if not case.rests:
        return None
    working, most = case.standing.working, case.standing.limits.max_open_orders
    there = sum(map(working.open_count, case.standing.venues))
    if there < most:
        return None
    return Refused("total_orders", Decimal(most), Decimal(there), "open over all venues")


def order_rate(case: Case) -> Refused | None:
    """New and changed orders of the last second over all venues; urgent ones are not held."""
    if case.intent.urgent:
        return None
    most, sent = case.standing.limits.max_orders_per_s, case.standing.pace.in_a_second(case.now_ns)
    if sent < most:
        return None
    return Refused("order_rate", Decimal(most), Decimal(sent), "orders in the last second")


def duplicate(case: Case) -> Refused | None:
    """The same order again so soon is taken for a mistake of whoever sends it. Not so of a hedge:
    two equal fills a moment apart make two equal hedges.
    """
    if not isinstance(case.intent, OrderIntent) or case.intent.urgent:
        return None
    placed_ns = case.standing.pace.placed_ns(same(case.intent))
    if placed_ns is None:
        return None
    age_ms, least = (case.now_ns - placed_ns) // MILLISECOND, case.standing.limits.duplicate_ms
    if age_ms >= least:
        return None
    return Refused("duplicate", Decimal(least), Decimal(age_ms), "ms since the same order")


def self_cross(case: Case) -> Refused | None:
    """It would not trade with an order of our own; a change under way counts as both prices."""
    exposed = case.standing.working.exposure(case.listing.key)
    buy = case.side == "buy"
    if not (exposed.sell if buy else exposed.buy):
        return None
    for order in case.standing.working.live(case.listing.venue):
        if order.side == case.side or order.listing.key != case.listing.key:
            continue
        near = order.price
        if order.amend is not None:
            near = (min if buy else max)(near, order.amend.price)
        if case.price >= near if buy else case.price <= near:
            return Refused("self_cross", near, case.price, f"meets our own {order.client_id}")
    return None


# ---- money -------------------------------------------------------------------------------------


def balance(case: Case) -> Refused | None:
    """What pays for it is free in the right wallet: the price of a spot buy, the coins of a spot
    sell, the margin of what a perpetual order opens; what it closes has its margin already.
    """
    listing, order, portfolio = case.listing, case.order, case.standing.portfolio
    size = case.remaining
    if listing.kind is not Kind.SPOT:
        size = min(size, case.ahead.venue)
        if size <= ZERO:
            return None
    wallet, need = portfolio.needs(listing, case.side, case.price, size)
    if order is not None:
        need -= portfolio.needs(listing, case.side, order.price, order.at_risk)[1]
    free = portfolio.free(wallet)
    if need <= free:
        return None
    return Refused("balance", free, need, f"{wallet.asset} free at {wallet.venue}")


Rule = Callable[[Case], Refused | None]

RULES: Final[dict[str, Rule]] = {
    rule.__name__: rule
    for rule in (
        grid,
        amendable,
        killed,
        halted,
        repeats,
        trading,
        min_size,
        min_notional,
        order_size,
        order_notional,
        stale_book,
        collar,
        venue_position,
        total_position,
        worst_case,
        venue_orders,
        total_orders,
        order_rate,
        duplicate,
        self_cross,
        balance,
    )
}
"""By name, in the order in which a review asks them; the first that an intent breaks is told."""
