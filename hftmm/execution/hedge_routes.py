"""Where a hedge may go, at what price and in what size; and why not elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from hftmm.book.consolidated import Member
from hftmm.config import Config
from hftmm.core.fees import BPS
from hftmm.core.instrument import Side
from hftmm.execution.exposure_clock import plain
from hftmm.execution.hedge_ladder import (
    Outlet,
    in_the_way,
    least_size,
    limit_price,
    reachable,
)
from hftmm.execution.hedged_market import HedgedMarket
from hftmm.execution.order import Order
from hftmm.execution.trader import Trader


class HedgeRoutes:
    """Knows the venues of every market; decides nothing.

    Attributes:
        config: what holds now.
    """

    def __init__(self, config: Config, trader: Trader) -> None:
        self.config = config
        self._trader: Final = trader

    # ---- venues -------------------------------------------------------------------------------

    def allowed(self, symbol: str) -> list[Member]:
        """Where hedges may go by config; empty for a market that is not watched."""
        venues = self.config.market_making.hedge_exchanges
        return [member for member in self._members(symbol) if member.venue in venues]

    def shut(self, member: Member) -> str:
        """Why no hedge goes there, one line; "" if one may."""
        return self._trader.closed(member.book.listing) if member.eligible else member.reason

    def too_small(self, market: HedgedMarket, amount: Decimal, now_ns: int) -> bool:
        """Below what every venue takes where it may be hedged: of those open, if any is, and of
        those that the limits leave room at, if any is. What only a full venue would take is small.

        Where it was filled counts only once the residual is above its limit, or while no other
        venue is open.
        """
        allowed = self.allowed(market.symbol)
        if not amount or not allowed:
            return not amount
        origin = market.clock.venue
        others = [member for member in allowed if member.venue != origin] or allowed
        still = [member for member in allowed if not self.shut(member)]
        takers = [member for member in others if member in still] or still or others
        if all(amount >= self._least(member) for member in takers):
            return False
        side: Side = "sell" if market.clock.amount > 0 else "buy"
        takers = [member for member in takers if self._has_room(member, side, now_ns)] or takers
        if any(amount >= self._least(member) for member in takers):
            return False
        within = amount <= Decimal(repr(self.config.hedging.max_residual))
        return within or all(amount < self._least(member) for member in allowed)

    def dust(self, symbol: str, amount: Decimal) -> bool:
        """No more than positions that no venue takes an order for may add up to."""
        return abs(amount) < sum(map(self._least, self._members(symbol)), Decimal(0))

    def obstacles(self, market: HedgedMarket, side: Side) -> Iterator[Order]:
        """Own orders that stand alone at a touch where a hedge may go."""
        for member in self.allowed(market.symbol):
            own = in_the_way(self._trader.live(member.venue), member.book.listing, side)
            if own and limit_price(member, side, 0.0, own) is None:
                yield from own

    # ---- ways ---------------------------------------------------------------------------------

    def next_step(
        self, market: HedgedMarket, side: Side, left: Decimal, used: set[str], now_ns: int
    ) -> list[Outlet]:
        """Where a hedge may go now: venues not tried yet in this round; else those where some of
        it traded; else, if no other could take it at all, where it was filled.

        Args:
            used: venues that take no more of it in this event.
        """
        hedging = self.config.hedging
        cap_bps = min(hedging.max_slippage_bps + market.step * hedging.widen_bps, self._widest_bps)
        origin = market.clock.venue
        fresh, again, home = [], [], []
        others = False
        for member in self.allowed(market.symbol):
            venue = member.venue
            why = market.out.get(venue) or self.shut(member)
            outlet = why or self._outlet(market, member, side, cap_bps)
            if not isinstance(outlet, str):
                outlet = self._within_limits(outlet, side, left, now_ns)
            if isinstance(outlet, str):
                market.why[venue] = outlet
            elif venue == origin:
                if venue not in used:
                    home.append(outlet)
            else:
                others = True
                if venue in used:
                    continue
                if venue not in market.tried:
                    fresh.append(outlet)
                elif market.tried[venue]:
                    again.append(outlet)
                else:
                    market.why[venue] = "nothing traded in this step"
        return fresh or again or ([] if others else home)

    def ways_out(
        self, market: HedgedMarket, side: Side
    ) -> Iterator[tuple[Member, Outlet | str, Decimal]]:
        """In the order in which flattening asks: where it was filled, each with what was filled
        there, then every member with all that is open. Limits are left to the rules: what reduces
        passes them.
        """
        members = {member.venue: member for member in self._members(market.symbol)}
        filled = market.clock.by_venue()
        everything = dict.fromkeys(members, abs(market.clock.amount))
        cap_bps = self.config.hedging.flatten_slippage_bps
        for venue, most in [*filled.items(), *everything.items()]:
            if venue in members:
                yield members[venue], self._outlet(market, members[venue], side, cap_bps), most

    def _outlet(
        self, market: HedgedMarket, member: Member, side: Side, cap_bps: float
    ) -> Outlet | str:
        listing = member.book.listing
        if (late := market.late(member.venue)) is not None:
            return f"has not settled {late.client_id}"
        if not member.eligible:
            return member.reason
        if (member.book.bid_size if side == "sell" else member.book.ask_size) <= 0.0:
            return "has nobody to trade with"
        own = in_the_way(self._trader.live(member.venue), listing, side)
        limit = limit_price(member, side, cap_bps, own)
        if limit is None:
            return f"own {own[0].side} {own[0].price:f} in the way"
        limits = self.config.limits
        room = min(limits.max_order_size, limits.max_order_notional / limit)
        levels = reachable(member, side, limit)
        return Outlet(listing, limit, levels, room, self._least(member))

    def _within_limits(
        self, outlet: Outlet, side: Side, left: Decimal, now_ns: int
    ) -> Outlet | str:
        headroom = self._trader.headroom(outlet.listing, side, now_ns)
        if headroom.size < outlet.room:
            outlet = outlet._replace(room=headroom.size)
        if outlet.room < outlet.least:
            return f"room {plain(outlet.room)} < {plain(outlet.least)}: {headroom.reason}"
        if left < outlet.least:
            return f"{plain(left)} is below its least {plain(outlet.least)}"
        return outlet

    # -------------------------------------------------------------------------------------------

    def _members(self, symbol: str) -> tuple[Member, ...]:
        book = self._trader.book(symbol)
        return () if book is None else book.members

    def _has_room(self, member: Member, side: Side, now_ns: int) -> bool:
        headroom = self._trader.headroom(member.book.listing, side, now_ns)
        return headroom.size >= self._least(member)

    def _least(self, member: Member) -> Decimal:
        """At the worst price that a hedge may have, so that it holds for every step."""
        touch = member.book.bid or member.book.ask
        return least_size(member.book.listing, touch * (1 - self._widest_bps / BPS))

    @property
    def _widest_bps(self) -> float:
        hedging = self.config.hedging
        return max(hedging.max_slippage_bps, hedging.flatten_slippage_bps)
