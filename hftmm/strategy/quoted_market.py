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
_ANYWHERE: Final = 1 << 62
"""A key that no price has."""
BOTH: Final[tuple[SideIndex, SideIndex]] = (0, 1)


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

    `refresh` reads what is kept in Decimals, `price` decides on floats, `bound` and `watch` note
    between which prices that decision holds, and `stirred` compares: it alone is called for every
    frame. Of what it stirs up, `concerns` tells which quotes it is about.

    Attributes:
        slots: every place where a quote may stand.
        blocked: why none may; "" if they may.
        dirty: positions or limits changed. news: an order may be changed again.
        expires_ns: a hedge may be too old then.
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
            Slot(view, side) for view in self.views if view.quotes for side in BOTH
        ]
        for bid, ask in zip(self.slots[::2], self.slots[1::2], strict=True):
            bid.twin, ask.twin = ask, bid
            hedges = [view for view in self.views if view.hedges and view is not bid.view]
            bid.hedges = ask.hedges = tuple(hedges)
        self.blocked = ""
        self.dirty = True
        self.news = False
        self.look_ns = 0
        self.expires_ns = 0
        self._inventory = 0.0
        self._low, self._high = 0.0, FAR
        self._mid = self._shift = 0.0

    # ---- the quiet path -----------------------------------------------------------------------

    def stirred(self) -> bool:
        """Whether any price or size left the bounds within which every quote stays as it is."""
        if self.news:
            return True
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

    def told(self, slot: Slot) -> None:
        """What was asked of its order is done: it may be changed again."""
        self.news = slot.news = True
        twin = slot.twin
        if twin is not None and twin.bounds is not None and twin.bounds.touch < FAR:
            # It may be this order that stood in its way.
            twin.news = True

    def regrouped(self) -> bool:
        """Whether a venue came or went."""
        return any(view.member.eligible is not view.eligible for view in self.views)

    def concerns(self, slot: Slot) -> bool:
        """Whether what moved could move that quote."""
        bounds, side, sign = slot.bounds, slot.side, slot.sign
        if slot.news or bounds is None:
            return slot.news
        own = slot.view.member.book
        if not bounds.spread <= sign * self._mid <= bounds.wider:
            return True
        if sign * ((own.ask if side == 0 else own.bid) - slot.touch) > bounds.touch:
            return True
        for view in slot.hedges:
            book = view.member.book
            price, there = (book.bid, book.bid_size) if side == 0 else (book.ask, book.ask_size)
            net = sign * price * view.pay[side]
            if there < view.need[side] or net > bounds.better:
                return True
            if view is slot.hedge and net < bounds.net:
                return True
        return False

    # ---- what is kept in Decimals -------------------------------------------------------------

    def refresh(self, trader: Trader, now_ns: int) -> None:
        """Reads positions, headroom and fees anew."""
        slippage = self.terms.slippage
        net = Decimal(0)
        for view in self.views:
            listing, fees = view.listing, view.member.fees
            view.maker = fees.maker
            view.pay[0] = (1.0 - slippage) * view.member.sell_yield
            view.pay[1] = (1.0 + slippage) * view.member.buy_cost
            view.closed = trader.closed(listing)
            view.own_changed = True
            for side in BOTH:
                room = trader.headroom(listing, SIDES[side], now_ns)
                view.room[side], view.room_why[side] = float(room.size), room.reason
            net += trader.position(listing)
        ratio = float(net / self._limit) if self._limit else 0.0
        self._inventory = max(-1.0, min(1.0, ratio)) * self.terms.skew

    # ---- deciding -----------------------------------------------------------------------------

    def begin(self, trader: Trader, now_ns: int) -> None:
        """Reads what every quote of the market depends on: call it before `price`."""
        self.news = False
        for view in self.views:
            member = view.member
            view.eligible = member.eligible
            age_ns = now_ns - member.book.received_ns
            view.barred = None
            if not view.eligible:
                view.barred = Reason("{} {}: {}", (view.venue, member.state, member.reason))
            elif view.closed:
                view.barred = Reason("{}: {}", (view.venue, view.closed))
            elif age_ns > self.terms.max_age_ns:
                view.barred = Reason("{} stale {:.0f} ms", (view.venue, age_ns / 1e6))
            if view.own_changed:
                view.read_own(trader.live(view.venue))
        book = self.book
        self._mid = (book.best_bid + book.best_ask) / 2.0 if book.best_bid > 0.0 else 0.0
        self._shift = self._inventory * self._mid

    def price(self, slot: Slot) -> Quote | Reason:
        """What should stand there, or why nothing may."""
        view, side, sign = slot.view, slot.side, slot.sign
        if self.blocked:
            return Reason(self.blocked)
        if view.closed:
            return Reason(view.closed)
        if not view.eligible and view.barred is not None:
            return view.barred
        if not 0.0 < self._mid < FAR:
            return Reason("no best bid and ask")
        # Headroom is what is left beside the order that stands there already.
        size = max(0.0, min(self.terms.size, view.room[side] + slot.left))
        offers = [self._offer(slot, hedge, size) for hedge in slot.hedges]
        offer = best(sign, offers, size)
        if offer is None:
            return max(offers, key=lambda o: o.size).reason if offers else Reason("no hedge venue")
        touch = view.member.book
        opposite, there = (touch.ask, touch.ask_size) if side == 0 else (touch.bid, touch.bid_size)
        most = _ANYWHERE
        if there > 0.0:
            most = ceil(sign * opposite / view.tick - 1e-6) - 1 - slot.back
        twin = slot.twin
        if twin is not None and twin.front is not None:
            most = min(most, -twin.front - 1)
        if slot.order is not None:
            # What stands there is not moved back by a touch that comes to it: it trades.
            most = max(most, slot.key)
        key, held = priced(
            sign, offer.net, self._mid, self._shift, view.maker, self.terms, view.tick, most
        )
        worth = offer.size * sign * key * view.tick
        if worth <= 0.0 or worth < view.min_notional:
            return Reason("worth {:.2f} < {:g} at {}", (worth, view.min_notional, view.venue))
        return Quote(key, offer.size, offer, most, held)

    def _offer(self, slot: Slot, hedge: View, size: float) -> Offer:
        side, view = slot.side, slot.view
        at = hedge.index
        if hedge.barred is not None:
            return Offer(at, 0.0, 0.0, 0.0, Reason("hedge {}", (hedge.barred,)))
        book = hedge.member.book
        promised = hedge.promised[side]
        if slot.hedge is hedge:
            promised = max(0.0, promised - slot.promised)
        got, price = (book.bid_size, book.bid) if side == 0 else (book.ask_size, book.ask)
        if got >= size + promised + hedge.ours[side]:
            got = size
        else:
            got, price = available(book, HEDGES[side], size, promised, hedge.own[side])
        net = price * hedge.pay[side]
        lot, least = view.lots[at], view.leasts[at]
        if hedge.min_notional > least * net > 0.0:
            least = hedge.min_notional / net
        offered = floored(min(got, hedge.room[1 - side]), lot)
        return Offer(
            at,
            net,
            offered,
            least,
            NOTHING if offered >= least else self._too_little(slot, hedge, size, got, least),
        )

    def _too_little(
        self, slot: Slot, hedge: View, size: float, depth: float, least: float
    ) -> Reason:
        if floored(depth, slot.view.lots[hedge.index]) >= least:
            return Reason("hedge {}: {}", (hedge.venue, hedge.room_why[1 - slot.side]))
        if depth < size:
            return Reason("hedge depth {:g} < {:g} at {}", (depth, least, hedge.venue))
        if size < self.terms.size:
            return Reason(slot.view.room_why[slot.side])
        return Reason("size {:g} < {:g} with {}", (size, least, hedge.venue))

    def edge(self, slot: Slot, net: float) -> float:
        """What its order would earn with that hedge, as a fraction of its price."""
        return edge(slot.sign, net, slot.sign * slot.key * slot.view.tick, slot.view.maker)

    def loses(self, slot: Slot, net: float) -> bool:
        """Its order would earn less than it must to stay."""
        return self.edge(slot, net) < self.terms.cancel - 1e-12

    # ---- what would change it -----------------------------------------------------------------

    def bound(self, slot: Slot, quote: Quote) -> None:
        """Notes what it takes to move a standing quote."""
        view, book = slot.view, slot.view.member.book
        slot.touch = book.ask if slot.side == 0 else book.bid
        slot.bounds = limits(
            slot.sign,
            slot.key,
            quote.offer.net,
            self._mid,
            self._shift,
            view.maker,
            self.terms,
            view.tick,
            quote.most,
        )

    def watch(self) -> None:
        """Notes how far the market may go before any standing quote is to be moved."""
        expires_ns, max_age_ns = NEVER_NS, self.terms.max_age_ns
        lowest, highest = 0.0, FAR
        quoted = [False, False]
        for view in self.views:
            view.open()
        for slot in self.slots:
            bounds, hedge = slot.bounds, slot.hedge
            if bounds is None or hedge is None:
                continue
            side = slot.side
            net, better, spread, wider, touch = bounds
            quoted[side] = True
            expires_ns = min(expires_ns, hedge.member.book.received_ns + max_age_ns + 1)
            if side == 0:
                hedge.low[0] = max(hedge.low[0], net / hedge.pay[0])
                lowest, highest = max(lowest, spread), min(highest, wider)
                if better < FAR:
                    for view in slot.hedges:
                        view.high[0] = min(view.high[0], better / view.pay[0])
                elif touch < FAR:
                    high = slot.view.high
                    high[1] = min(high[1], slot.touch + touch)
            else:
                hedge.high[1] = min(hedge.high[1], -net / hedge.pay[1])
                lowest, highest = max(lowest, -wider), min(highest, -spread)
                if better < FAR:
                    for view in slot.hedges:
                        view.low[1] = max(view.low[1], -better / view.pay[1])
                elif touch < FAR:
                    low = slot.view.low
                    low[0] = max(low[0], slot.touch - touch)
        self.expires_ns = expires_ns
        # What lies outside already was decided on, and is news again only when it goes further.
        mid = self._mid
        self._low, self._high = 2.0 * min(lowest, mid), 2.0 * max(highest, mid)
        for view in self.views:
            view.close(quoted, self.terms.size)
