"""Shots under way: followed until nothing is open, evened out where they are not."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from hftmm.book.consolidated import ConsolidatedBook
from hftmm.config import Config
from hftmm.core.instrument import Listing, Side
from hftmm.core.order import Fill, OrderIntent, TimeInForce
from hftmm.execution.hedge_ladder import least_size
from hftmm.execution.order import ZERO, Order
from hftmm.execution.trader import Trader
from hftmm.strategy.base import ARBITRAGE
from hftmm.strategy.closing import ways
from hftmm.strategy.shot import Shot

MILLISECOND: Final = 1_000_000
PATIENCE: Final = 0.2
"""Share of the deadline for which orders on their way may still even the legs out."""
REMEMBERED_NS: Final = 900_000 * MILLISECOND
"""How long what is told late still counts for its shot, as long as the order manager knows it."""


class Shots:
    """Sees to it that every shot ends even, or in other hands by its deadline.

    What an order may still trade is never sent a second time: it keeps its shot open, and has its
    venue halted at the deadline.

    Attributes:
        under_way: oldest first.
        traded: the newest trade of ours by listing key and side.
        stopped: why nothing new may be sent, one line; "" if it may.
        config: what holds now.
    """

    def __init__(
        self,
        config: Config,
        trader: Trader,
        hand_over: Callable[[str, Decimal, str, str, int], None],
        halt: Callable[[str, str, int], None],
        ended: Callable[[Shot, int], None],
    ) -> None:
        """`ended` is called with each shot that is over; for the others see `ArbitrageExecutor`."""
        self.under_way: Final[list[Shot]] = []
        self.traded: Final[dict[tuple[str, Side], Fill]] = {}
        self.stopped = ""
        self.config = config
        self._trader: Final = trader
        self._give: Final = hand_over
        self._halt: Final = halt
        self._ended: Final = ended
        self._past: Final[deque[Shot]] = deque()
        self._by_order: Final[dict[str, Shot]] = {}

    # ---- what happens -------------------------------------------------------------------------

    def send(
        self,
        shot: Shot,
        listing: Listing,
        side: Side,
        price: Decimal,
        size: Decimal,
        way: str,
        now_ns: int,
    ) -> str:
        """Sends an order of a shot, see `Leg.way`.

        Returns:
            Why it was not taken; "" if it was.
        """
        intent = OrderIntent(
            ARBITRAGE,
            listing,
            side,
            price,
            size,
            time_in_force=TimeInForce.IOC,
            urgent=bool(way),
        )
        answer = self._trader.submit(intent, now_ns)
        if not isinstance(answer, Order):
            return at(listing.venue, str(answer))
        shot.sent(answer, way)
        return ""

    def open(self, shot: Shot, now_ns: int) -> None:
        """Its legs were sent, or one of them was."""
        shot.patient_ns = self._patient_ns(now_ns)
        self.under_way.append(shot)
        self._by_order.update(dict.fromkeys(shot.legs, shot))
        self._follow(shot, now_ns)

    def taken_back(self, shot: Shot, now_ns: int) -> bool:
        """Cancels the leg of a shot whose other leg was refused. Canceled at once, the order
        manager still holds it; False if it may have left, and must be followed.
        """
        self._cancel(shot, now_ns)
        return not shot.under_way

    def stop(self, why: str, now_ns: int) -> None:
        """From now on what is uneven is handed over as soon as it is certain."""
        self.stopped = why
        for shot in tuple(self.under_way):
            self._cancel(shot, now_ns)
            self._follow(shot, now_ns)

    def changed(self, order: Order, now_ns: int) -> None:
        """An order changed."""
        shot = self._by_order.get(order.client_id)
        if shot is not None:
            self._follow(shot, now_ns)

    def filled(self, fill: Fill, order: Order | None, now_ns: int) -> None:
        """A trade; one of a shot long gone is handed over at once."""
        self.traded[fill.listing.key, fill.side] = fill
        client_id = fill.client_id if order is None else order.client_id
        shot = self._by_order.get(client_id)
        if shot is not None:
            shot.booked(client_id, fill)
            self._follow(shot, now_ns)
            return
        listing = fill.listing
        self._give(listing.symbol, fill.held, listing.venue, f"{client_id} traded late", now_ns)

    def fee_told(self, fill: Fill, now_ns: int) -> None:
        """The fee of a fill that came without one."""
        shot = self._by_order.get(fill.client_id)
        if shot is not None:
            shot.fee_told(fill)
            self._follow(shot, now_ns)
        elif fee := fill.fee_in_base:
            listing = fill.listing
            why = f"fee of {fill.client_id} told late"
            self._give(listing.symbol, -fee, listing.venue, why, now_ns)

    def tick(self, now_ns: int) -> None:
        """Time passed: shots have deadlines.

        Only here is a venue judged for its silence: news of one order may be followed by news of
        the other, which came as early and waited behind it.
        """
        for shot in tuple(self.under_way):
            self._follow(shot, now_ns)
            if now_ns >= shot.deadline_ns and not shot.closed:
                self._give_up_on_unsettled(shot, now_ns)
                self._follow(shot, now_ns)
        past = self._past
        while past and past[0].closed_ns + REMEMBERED_NS <= now_ns:
            for client_id in past.popleft().legs:
                del self._by_order[client_id]

    def imbalance(self, symbol: str) -> Decimal:
        """Base coins by which the legs of those under way differ, + if too many were bought."""
        return sum((shot.position for shot in self.under_way if shot.symbol == symbol), ZERO)

    def _check(self) -> None:
        """Walks every invariant; O(shots)."""
        every = (*self.under_way, *self._past)
        for shot in every:
            shot._check()
            assert all(self._by_order[client_id] is shot for client_id in shot.legs)
        assert not any(shot.closed for shot in self.under_way)
        assert all(shot.closed for shot in self._past)
        assert len(self._by_order) == sum(len(shot.legs) for shot in every)

    # ---- evening out --------------------------------------------------------------------------

    def _follow(self, shot: Shot, now_ns: int) -> None:
        """Something of it changed, or time passed."""
        overdue = now_ns >= shot.deadline_ns
        amount = shot.certain
        if amount:
            if shot.closed:
                self._hand_over(shot, amount, "traded late", now_ns)
            elif self.stopped:
                self._hand_over(shot, amount, self.stopped, now_ns)
            elif overdue:
                trouble = f", {shot.trouble}" if shot.trouble else ""
                why = f"legs uneven after {shot.age_ms(now_ns)} ms{trouble}"
                self._hand_over(shot, amount, why, now_ns)
            elif not shot.moving or now_ns >= shot.patient_ns:
                self._even_out(shot, amount, now_ns)
        # The trades may be told after the venue's word on the order, and with them their fees,
        # which may be coins.
        even = not shot.under_way and not shot.position
        if not shot.closed and even and (shot.told or overdue):
            self._close(shot, now_ns)
        elif shot.closed and shot.told:
            shot.file()

    def _even_out(self, shot: Shot, amount: Decimal, now_ns: int) -> None:
        """Closes so many base coins where it is cheapest, over several venues if it must."""
        book = self._trader.book(shot.symbol)
        if book is None:
            shot.trouble = f"{shot.symbol} is not watched"
            return
        side: Side = "sell" if amount > ZERO else "buy"
        left = abs(amount)
        if _too_small(book, left, shot.price):
            self._hand_over(shot, amount, "below every venue's minimum", now_ns)
            return
        shot.trouble = "no venue can take it"
        # It takes risk off like a hedge, and may cost what a hedge may: a market that left a leg
        # behind is on the move.
        hedging = self.config.hedging
        slippage_bps = hedging.max_slippage_bps + shot.rounds * hedging.widen_bps
        for way in ways(book, self._trader, side, left, slippage_bps):
            listing = way.listing
            size = min(way.size, listing.size(left))
            if size < least_size(listing, float(way.price)):
                continue
            words = shot.way(listing.venue, side)
            refusal = self.send(shot, listing, side, way.price, size, words, now_ns)
            if refusal:
                shot.trouble = refusal
                continue
            shot.trouble = ""
            left -= size
        if left < abs(amount):
            self._by_order.update(dict.fromkeys(shot.legs, shot))
            shot.rounds += 1
            shot.patient_ns = self._patient_ns(now_ns)

    def _give_up_on_unsettled(self, shot: Shot, now_ns: int) -> None:
        for client_id, leg in tuple(shot.legs.items()):
            order = leg.order
            if not order.live or leg.abandoned:
                continue
            leg.abandoned = True
            self._trader.cancel(client_id, now_ns)
            if order.live:
                venue = order.listing.venue
                shot.trouble = f"{venue} leg {order.state} after {shot.age_ms(now_ns)} ms"
                text = f"{shot.symbol} {client_id}: {shot.trouble}"
                self._trader.note("error", venue, "arbitrage leg unsettled", text, now_ns)
                self._halt(venue, text, now_ns)

    def _hand_over(self, shot: Shot, amount: Decimal, why: str, now_ns: int) -> None:
        venue = shot.where(amount)
        shot.handed_over(amount, self._mid(shot, venue))
        self._give(shot.symbol, amount, venue, why, now_ns)

    def _close(self, shot: Shot, now_ns: int) -> None:
        shot.closed_ns = now_ns
        if shot.told:
            shot.file()
        self.under_way.remove(shot)
        self._past.append(shot)
        self._ended(shot, now_ns)
        pair = f"{shot.buy.venue}>{shot.sell.venue}"
        text = f"{shot.symbol} {pair} {shot.size.normalize():f}: {shot.result}"
        self._trader.note("info", shot.buy.venue, "arbitrage", text, now_ns)

    def _cancel(self, shot: Shot, now_ns: int) -> None:
        for client_id in tuple(shot.legs):
            self._trader.cancel(client_id, now_ns)

    def _patient_ns(self, now_ns: int) -> int:
        return now_ns + int(self.config.arbitrage.leg_deadline_ms * MILLISECOND * PATIENCE)

    def _mid(self, shot: Shot, venue: str) -> Decimal:
        book = self._trader.book(shot.symbol)
        for member in () if book is None else book.members:
            if member.venue == venue and member.book.valid and member.mid is not None:
                return Decimal(repr(member.mid))
        return shot.price


def at(venue: str, why: str) -> str:
    """A reason that names its venue."""
    return why if venue in why else f"{why} at {venue}"


def _too_small(book: ConsolidatedBook, amount: Decimal, price: Decimal) -> bool:
    """Whether no venue of the market would take it, however well it stands there."""
    listings = [member.book.listing for member in book.members]
    return all(amount < least_size(listing, float(price)) for listing in listings)
