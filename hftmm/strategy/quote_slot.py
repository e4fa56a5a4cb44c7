"""The venues and the places of quotes in one market, as floats that are cheap to compare."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from hftmm.book.consolidated import Member
from hftmm.book.order_book import OrderBook, Taken
from hftmm.core.order import OrderState
from hftmm.execution.order import Order
from hftmm.strategy.arbitrage import common_lot
from hftmm.strategy.quoting import FAR, HEDGES, SIGNS, Limits, Reason, SideIndex

_RESTING: Final = frozenset({OrderState.OPEN, OrderState.PARTIALLY_FILLED})
NOTHING: Final = Reason("")


class View:
    """One venue of the market: what it costs to quote and to hedge there.

    Pairs are by `SideIndex`. `promised` and `own` are of the side of its book that hedges quotes
    of that index: bids hedge a bid, asks an ask.

    Attributes:
        index: its place among the venues.
        pay: quote a coin that a hedge brings or costs, as a factor of the price it trades at.
        least: smallest order, base coins. lots: common lot with each venue of the market; leasts:
            smallest size that both take.
        own: (price, size) of our orders, best first. ours: base coins of them together.
        own_changed: they are to be read again.
        barred: why nothing is hedged there now; None if it is.
        room: base coins that the limits leave for a buy and a sell. room_why: which limit.
        closed: why no order can go there; "" if one can.
        low, high, need: touch prices, and least size, between which no quote changes.
        wants: what all quotes together may take of it, and one more. deep: what that would get
            where the touch is smaller, of which no size is then quiet; None where it is not.
    """

    __slots__ = (
        "barred",
        "closed",
        "deep",
        "eligible",
        "hedges",
        "high",
        "index",
        "least",
        "leasts",
        "listing",
        "lots",
        "low",
        "maker",
        "member",
        "min_notional",
        "need",
        "ours",
        "own",
        "own_changed",
        "pay",
        "promised",
        "quotes",
        "room",
        "room_why",
        "tick",
        "venue",
        "wants",
    )

    def __init__(self, index: int, member: Member, members: tuple[Member, ...]) -> None:
        listing = member.book.listing
        self.index = index
        self.member = member
        self.listing = listing
        self.venue = member.venue
        self.tick = float(listing.tick)
        self.maker = 0.0
        self.pay = [1.0, 1.0]
        self.least = float(max(listing.min_size, listing.lot))
        self.min_notional = float(listing.min_notional)
        others = [each.book.listing for each in members]
        self.lots = [float(common_lot(listing.lot, other.lot)) for other in others]
        self.leasts = [
            max(lot, self.least, float(other.min_size))
            for lot, other in zip(self.lots, others, strict=True)
        ]
        self.quotes = self.hedges = self.eligible = False
        self.room = [0.0, 0.0]
        self.room_why = ["", ""]
        self.closed = ""
        self.promised = [0.0, 0.0]
        self.own: list[list[tuple[float, float]]] = [[], []]
        self.ours = [0.0, 0.0]
        self.own_changed = True
        self.barred: Reason | None = None
        self.low = [0.0, 0.0]
        self.high = [FAR, FAR]
        self.need = [0.0, 0.0]
        self.wants = [0.0, 0.0]
        self.deep: list[Taken | None] = [None, None]

    def read_own(self, orders: Iterable[Order]) -> None:
        """Takes note of our orders that rest there, or may."""
        self.own_changed = False
        for own in self.own:
            own.clear()
        for order in orders:
            if order.key == self.listing.key:
                left = float(order.size - order.filled)
                self.own[0 if order.side == "buy" else 1].append((float(order.price), left))
        self.own[0].sort(reverse=True)
        self.own[1].sort()
        self.ours[:] = (sum(left for _, left in own) for own in self.own)

    def open(self) -> None:
        """Any touch is quiet, until bounds are set."""
        low, high, need = self.low, self.high, self.need
        low[0] = low[1] = need[0] = need[1] = 0.0
        high[0] = high[1] = FAR

    def close(self, quoted: Sequence[bool], size: float) -> None:
        """Bounds are set: takes note of what there is now, from which news is told.

        Args:
            quoted: whether anything is, on each side. size: of a quote.
        """
        book, low, high = self.member.book, self.low, self.high
        bid, ask = book.bid, book.ask
        low[0], high[0] = min(low[0], bid), max(high[0], bid)
        low[1], high[1] = min(low[1], ask), max(high[1], ask)
        if self.hedges:
            if quoted[0]:
                self._count_on(0, book.bid_size, size)
            if quoted[1]:
                self._count_on(1, book.ask_size, size)

    def _count_on(self, side: SideIndex, there: float, size: float) -> None:
        wants = self.promised[side] + size + self.ours[side]
        self.wants[side] = self.need[side] = wants
        self.deep[side] = None
        if there < wants:
            self.deep[side] = self.member.book.walk(HEDGES[side], wants)
            self.need[side] = FAR

    def stirred(self, side: SideIndex, book: OrderBook) -> bool:
        """The touch has less than what is needed of it: whether that is news."""
        deep = self.deep[side]
        return deep is None or book.walk(HEDGES[side], self.wants[side]) != deep


class Slot:
    """The place of one quote: a side of a venue.

    Attributes:
        key, left: of the live order as it was asked for last: sign * ticks, and base coins.
        front: the greatest key at which it may trade, or will by the decision under way; None
            if it cannot.
        hedges: who may hedge it.
        hedge: the view whose depth it counts on. promised: how much of it.
        back: ticks further away than the touch allows, after rejections.
        retry_ns: when what was refused may be tried again; `refused`: what that was.
        reason: why it is as it is.
        bounds: between which it stays as it is, and touch, what its venue's opposite touch was
            then; None while nothing stands.
        news: its order may be changed again.
        twin: the other side of the venue.
    """

    __slots__ = (
        "back",
        "bounds",
        "front",
        "hedge",
        "hedges",
        "key",
        "left",
        "news",
        "order",
        "promised",
        "reason",
        "refused",
        "retry_ns",
        "side",
        "sign",
        "touch",
        "twin",
        "view",
    )

    def __init__(self, view: View, side: SideIndex) -> None:
        self.view = view
        self.side: Final[SideIndex] = side
        self.sign: Final = SIGNS[side]
        self.order: Order | None = None
        self.key = 0
        self.front: int | None = None
        self.left = 0.0
        self.hedges: tuple[View, ...] = ()
        self.hedge: View | None = None
        self.promised = 0.0
        self.back = 0
        self.retry_ns = 0
        self.refused: tuple[int, float] | None = None
        self.reason = NOTHING
        self.bounds: Limits | None = None
        self.touch = 0.0
        self.news = False
        self.twin: Slot | None = None

    @property
    def standing(self) -> bool:
        """It has an order that is to stay."""
        return self.order is not None and not self.order.cancel_wanted

    @property
    def busy(self) -> bool:
        """Nobody knows yet what becomes of its order."""
        order = self.order
        return order is not None and (order.state not in _RESTING or order.amend is not None)

    def hold(self, order: Order) -> None:
        """Its order is this one, or changed."""
        self.order = order
        terms = order if order.amend is None else order.amend
        tick = order.listing.tick
        self.key = self.sign * round(terms.price / tick)
        self.front = self.key
        if order.amend is not None:
            self.front = max(self.key, self.sign * round(order.price / tick))
        self.left = float(terms.size - order.filled)
        self.view.own_changed = True

    def release(self) -> None:
        """Its order is gone."""
        self.order = self.bounds = self.front = None
        self.key, self.left = 0, 0.0
        self.promise(None, 0.0)

    def promise(self, hedge: View | None, size: float) -> None:
        """It counts on this much of a hedge venue's depth."""
        if self.hedge is not None:
            self.hedge.promised[self.side] -= self.promised
        if hedge is not None:
            hedge.promised[self.side] += size
        self.hedge, self.promised = hedge, size
