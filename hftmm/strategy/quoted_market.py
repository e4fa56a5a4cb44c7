"""One market as market making sees it: in floats, with what would change a quote kept ready."""

from __future__ import annotations

from decimal import Decimal
from math import ceil
from typing import Final, NamedTuple

from hftmm.book.consolidated import NEVER_NS, ConsolidatedBook
from hftmm.config import Config
from hftmm.execution.trader import Trader
from hftmm.strategy.quote_slot import NOTHING, Slot, View
from hftmm.strategy.quoting import (
    FAR,
    HEDGES,
    SIDES,
    Offer,
    Reason,
    SideIndex,
    Terms,
    available,
    best,
    edge,
    floored,
    limits,
    priced,
)

TOP_UP: Final = 0.5
"""A quote that has less than this of its size left is made whole, at the cost of its place."""
_BOTH: Final[tuple[SideIndex, SideIndex]] = (0, 1)


class Quote(NamedTuple):
    """What should stand.

    Attributes:
        key: sign * ticks. size: base coins. offer: its hedge. most: the greatest key allowed.
        held: what else than its edge keeps it from a better price.
    """

    key: int
    size: float
    offer: Offer
    most: int
    held: Reason | None


class QuotedMarket:
    """Where each quote of one market should be, and whether anything moved that could change it.

    `refresh` reads what is kept in Decimals, `price` decides on floats, `watch` notes between
    which prices that decision holds, and `stirred` compares: it alone is called for every frame.

    Attributes:
        slots: every place where a quote may stand.
        blocked: why none may; "" if they may.
        dirty: something other than a book changed. expires_ns: a hedge may be too old then.
    """

    def __init__(self, book: ConsolidatedBook, config: Config) -> None:
        making = config.market_making
        self.symbol: Final = book.symbol
        self.book: Final = book
        self.terms: Final = Terms.of(making)
        self._limit: Final = config.limits.max_total_position
        members = book.members
        self.views: Final = [View(at, member, members) for at, member in enumerate(members)]
        for view in self.views:
            view.quotes = view.venue in making.quote_exchanges
            view.hedges = view.venue in making.hedge_exchanges
        self.slots: Final = [
            Slot(view, side) for view in self.views if view.quotes for side in _BOTH
        ]
        for bid, ask in zip(self.slots[::2], self.slots[1::2], strict=True):
            bid.twin, ask.twin = ask, bid
        self.blocked = ""
        self.dirty = True
        self.look_ns = 0
        self.expires_ns = 0
        self._inventory = 0.0
        self._low, self._high = 0.0, FAR
        self._mid = self._shift = 0.0

    # ---- the quiet path -----------------------------------------------------------------------

    def stirred(self) -> bool:
        """Whether any price or size left the bounds within which every quote stays as it is."""
        book = self.book
        if not self._low <= book.best_bid + book.best_ask <= self._high:
            return True
        for view in self.views:
            member = view.member
            if member.eligible is not view.eligible:
                return True
            touch = member.book
            low, high, need = view.low, view.high, view.need
            if not (low[0] <= touch.bid <= high[0] and low[1] <= touch.ask <= high[1]):
                return True
            if touch.bid_size < need[0] and view.stirred(0, touch):
                return True
            if touch.ask_size < need[1] and view.stirred(1, touch):
                return True
        return False

    # ---- what is kept in Decimals -------------------------------------------------------------

    def refresh(self, trader: Trader, now_ns: int) -> None:
        """Reads positions, headroom, own orders and fees anew."""
        slippage = self.terms.slippage
        net = Decimal(0)
        for view in self.views:
            listing, fees = view.listing, view.member.fees
            view.maker = fees.maker
            view.pay[0] = (1.0 - slippage) * view.member.sell_yield
            view.pay[1] = (1.0 + slippage) * view.member.buy_cost
            view.closed = trader.closed(listing)
            for side in _BOTH:
                room = trader.headroom(listing, SIDES[side], now_ns)
                view.room[side], view.room_why[side] = float(room.size), room.reason
                view.own[side].clear()
            for order in trader.live(view.venue):
                if order.key == listing.key:
                    own = view.own[0 if order.side == "buy" else 1]
                    own.append((float(order.price), float(order.size - order.filled)))
            view.own[0].sort(reverse=True)
            view.own[1].sort()
            net += trader.position(listing)
        ratio = float(net / self._limit) if self._limit else 0.0
        self._inventory = max(-1.0, min(1.0, ratio)) * self.terms.skew

    # ---- deciding -----------------------------------------------------------------------------

    def begin(self) -> None:
        """Reads what every quote of the market depends on: call it before `price`."""
        for view in self.views:
            view.eligible = view.member.eligible
        book = self.book
        self._mid = (book.best_bid + book.best_ask) / 2.0 if book.best_bid > 0.0 else 0.0
        self._shift = self._inventory * self._mid

    def price(self, slot: Slot, now_ns: int) -> Quote | Reason:
        """What should stand there, or why nothing may."""
        view, side, sign = slot.view, slot.side, slot.sign
        if self.blocked:
            return Reason(self.blocked)
        if view.closed:
            return Reason(view.closed)
        if not view.eligible:
            return Reason("{} {}: {}", (view.venue, view.member.state, view.member.reason))
        if not 0.0 < self._mid < FAR:
            return Reason("no best bid and ask")
        # Headroom is what is left beside the order that stands there already.
        size = max(0.0, min(self.terms.size, view.room[side] + slot.left))
        offers = [
            self._offer(slot, hedge, size, now_ns)
            for hedge in self.views
            if hedge.hedges and hedge is not view
        ]
        offer = best(sign, offers, size)
        if offer is None:
            return max(offers, key=lambda o: o.size).reason if offers else Reason("no hedge venue")
        touch = view.member.book
        opposite, there = (touch.ask, touch.ask_size) if side == 0 else (touch.bid, touch.bid_size)
        free = opposite if there > 0.0 else sign * FAR
        most = ceil(sign * free / view.tick - 1e-6) - 1 - slot.back if abs(free) < FAR else 1 << 62
        twin = slot.twin
        if twin is not None and twin.order is not None:
            most = min(most, -twin.key - 1)
        key, held = priced(
            sign, offer.net, self._mid, self._shift, view.maker, self.terms, view.tick, most
        )
        worth = offer.size * sign * key * view.tick
        if worth <= 0.0 or worth < view.min_notional:
            return Reason("worth {:.2f} < {:g} at {}", (worth, view.min_notional, view.venue))
        return Quote(key, offer.size, offer, most, held)

    def _offer(self, slot: Slot, hedge: View, size: float, now_ns: int) -> Offer:
        side, view = slot.side, slot.view
        book = hedge.member.book
        why = NOTHING
        if not hedge.eligible:
            member = hedge.member
            why = Reason("hedge {} {}: {}", (hedge.venue, member.state, member.reason))
        elif now_ns - book.received_ns > self.terms.max_age_ns:
            age_ms = (now_ns - book.received_ns) / 1e6
            why = Reason("hedge {} stale {:.0f} ms", (hedge.venue, age_ms))
        elif hedge.closed:
            why = Reason("hedge {}: {}", (hedge.venue, hedge.closed))
        if why is not NOTHING:
            return Offer(hedge.index, 0.0, 0.0, 0.0, why)
        promised = hedge.promised[side] - (slot.promised if slot.hedge is hedge else 0.0)
        depth = available(book, HEDGES[side], size, max(promised, 0.0), hedge.own[side])
        lot = view.lots[hedge.index]
        net = depth.price * hedge.pay[side]
        least = max(view.least, hedge.least, lot)
        if net > 0.0:
            least = max(least, hedge.min_notional / net)
        room = hedge.room[1 - side]
        offered = floored(min(depth.size, room), lot)
        if offered < least:
            if floored(depth.size, lot) >= least:
                why = Reason("hedge {}: {}", (hedge.venue, hedge.room_why[1 - side]))
            elif depth.size < size:
                why = Reason("hedge depth {:g} < {:g} at {}", (depth.size, least, hedge.venue))
            elif size < self.terms.size:
                why = Reason(view.room_why[side])
            else:
                why = Reason("size {:g} < {:g} with {}", (size, least, hedge.venue))
        return Offer(hedge.index, net, offered, least, why)

    def edge(self, slot: Slot, net: float) -> float:
        """What its order would earn with that hedge, as a fraction of its price."""
        return edge(slot.sign, net, slot.sign * slot.key * slot.view.tick, slot.view.maker)

    def loses(self, slot: Slot, net: float) -> bool:
        """Its order would earn less than it must to stay."""
        return self.edge(slot, net) < self.terms.cancel - 1e-12

    # ---- what would change it -----------------------------------------------------------------

    def watch(self, quotes: list[tuple[Slot, Quote]]) -> None:
        """Notes how far prices may go before one of these standing quotes is to be moved."""
        self.expires_ns = NEVER_NS
        now = self.book.best_bid + self.book.best_ask
        low, high = 0.0, FAR
        for view in self.views:
            view.low[:], view.high[:], view.need[:] = (0.0, 0.0), (FAR, FAR), (0.0, 0.0)
        for slot, quote in quotes:
            sign, side, view = slot.sign, slot.side, slot.view
            hedge = self.views[quote.offer.venue]
            bounds = limits(
                sign,
                slot.key,
                quote.offer.net,
                self._mid,
                self._shift,
                view.maker,
                self.terms,
                view.tick,
                quote.most,
            )
            heard_ns = hedge.member.book.received_ns
            self.expires_ns = min(self.expires_ns, heard_ns + self.terms.max_age_ns + 1)
            hedge.worse_than(side, sign * bounds.net / hedge.pay[side])
            if bounds.better < FAR:
                for other in self.views:
                    if other.hedges and other is not view:
                        other.better_than(side, sign * bounds.better / other.pay[side])
            if bounds.touch < FAR:
                away = sign * bounds.touch
                if side == 0:
                    view.high[1] = min(view.high[1], view.member.book.ask + away)
                else:
                    view.low[0] = max(view.low[0], view.member.book.bid + away)
            spread, wider = 2.0 * sign * bounds.spread, 2.0 * sign * bounds.wider
            low = max(low, spread if side == 0 else wider)
            high = min(high, wider if side == 0 else spread)
        # What lies outside already was decided on, and is news again only when it goes further.
        self._low, self._high = min(low, now), max(high, now)
        for view in self.views:
            view.settle({slot.side for slot, _ in quotes}, self.terms.size)
