"""Quotes on every venue, each worth its hedge on another one."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final

from hftmm.book.consolidated import ConsolidatedBook
from hftmm.config import Config
from hftmm.core.fees import BPS
from hftmm.core.order import AmendIntent, Amendment, Fill, OrderIntent, OrderState, Rejection
from hftmm.desk.snapshot import QuoteRow, StrategyRow
from hftmm.execution.order import Order
from hftmm.execution.throttle import Denial
from hftmm.execution.trader import Trader
from hftmm.risk.approval import Refused
from hftmm.strategy.base import MARKET_MAKING, NAMES
from hftmm.strategy.quote_slot import Slot
from hftmm.strategy.quoted_market import TOP_UP, Quote, QuotedMarket
from hftmm.strategy.quoting import SIDES, Reason

LOOK_EVERY_NS: Final = 100_000_000
"""How often positions, headroom and what others block are looked at, without news of ours."""
PAUSE_NS: Final = 250_000_000
"""Before what was refused or rejected is tried again as it was."""
_GRAIN: Final = 1e-9
_LEAVING: Final = Reason("until the order before it is gone")


class Verdict(Enum):
    """What becomes of a standing order."""

    STAYS = "stays"
    MOVES = "moves"
    GOES = "goes"


class CrossExchangeMM:
    """Market making on N quote venues, hedged on M others.

    One quote a venue, side and market. It is moved when it drifts from where it should be by more
    than `requote_ticks`, and at once when what it would earn falls below `cancel_edge_bps`; what
    no venue hedges any more is canceled, before anything else is sent. Fills are hedged by
    somebody else, who says by `blocked` when there are enough of them.

    Attributes:
        why: why it was switched off, one line.
        looks: how often every quote of a market was decided on anew.
    """

    def __init__(self, config: Config, trader: Trader, blocked: Callable[[str], str]) -> None:
        """
        Args:
            blocked: of a market, why it must not be quoted now; "" if it may.
        """
        self.code: Final = MARKET_MAKING
        self.name: Final = NAMES[MARKET_MAKING]
        self.on = config.market_making.enabled
        self.why = "" if self.on else "not switched on"
        self.looks = 0
        self._config = config
        self._trader: Final = trader
        self._blocked: Final = blocked
        self._markets: dict[str, QuotedMarket] = {}
        self._slots: Final[dict[str, Slot]] = {}
        self._leaving: Final[dict[str, Order]] = {}

    # ---- Strategy -----------------------------------------------------------------------------

    def moved(self, symbol: str, now_ns: int) -> None:
        """A book of this market moved; nearly always far from changing any quote."""
        market = self._markets.get(symbol)
        if market is not None and (market.dirty or now_ns >= market.expires_ns or market.stirred()):
            self._look(market, now_ns)

    def changed(self, order: Order, now_ns: int) -> None:
        """An order of ours changed; what follows from it is done when the market is looked at."""
        slot = self._slots.get(order.client_id)
        if slot is None:
            self._met(order, now_ns)
            return
        if order.live:
            slot.hold(order)
            if order.state is OrderState.OPEN:
                slot.back = 0
            market = self._markets.get(order.listing.symbol)
            if market is not None and not slot.busy:
                market.told(slot)
        else:
            del self._slots[order.client_id]
            slot.release()
            if order.rejection is Rejection.POST_ONLY:
                # The touch came nearer than the book showed: one tick further away.
                slot.back += 1
                slot.reason = Reason("would have taken: one tick back")
            elif order.state is not OrderState.FILLED and not order.cancel_wanted:
                slot.retry_ns = now_ns + PAUSE_NS
                slot.reason = Reason(f"{order.state}: {order.text or 'the venue does not say why'}")
            self._stain(order.listing.symbol)

    def filled(self, fill: Fill, order: Order | None, now_ns: int) -> None:
        """Positions are other than they were."""
        self._stain(fill.listing.symbol)

    def tick(self, now_ns: int) -> None:
        """Looks again at what no book tells."""
        if not self.on:
            return
        for symbol in self._symbols():
            book = self._trader.book(symbol)
            market = self._markets.get(symbol)
            if book is not None and (market is None or market.book is not book):
                market = self._open(book, now_ns)
            if market is not None and (
                market.dirty or now_ns >= min(market.look_ns, market.expires_ns)
            ):
                market.dirty = True
                self._look(market, now_ns)

    def switch(self, on: bool, why: str, now_ns: int) -> None:
        """On, or off: then every quote is canceled."""
        self.on, self.why = on, "" if on else why
        if on:
            self.tick(now_ns)
        else:
            self._close([*self._markets.values()], now_ns)
            self._markets.clear()

    def configure(self, config: Config, now_ns: int) -> None:
        """Other parameters hold from now on: quotes that fit them stay."""
        self._config = config
        kept = self._symbols()
        gone = [market for symbol, market in self._markets.items() if symbol not in kept]
        self._close(gone, now_ns)
        for market in gone:
            del self._markets[market.symbol]
        for market in [*self._markets.values()]:
            self._open(market.book, now_ns)
        self.tick(now_ns)

    def shown(self, now_ns: int) -> StrategyRow:
        """Its state, and every quote with its reason."""
        state, reason = self._state()
        quotes = tuple(row for symbol in self._symbols() for row in self._rows(symbol))
        return StrategyRow(self.name, self.on, state, reason, quotes)

    # ---- markets ------------------------------------------------------------------------------

    def _symbols(self) -> tuple[str, ...]:
        return self._config.market_making.markets or self._config.markets.symbols[:1]

    def _open(self, book: ConsolidatedBook, now_ns: int) -> QuotedMarket:
        """Quotes a market by the books and parameters there are now."""
        market = QuotedMarket(book, self._config)
        before = self._markets.get(book.symbol)
        self._markets[book.symbol] = market
        if before is not None:
            places = {(slot.view.listing.key, slot.side): slot for slot in market.slots}
            for slot in before.slots:
                place = places.get((slot.view.listing.key, slot.side))
                if slot.order is None:
                    continue
                if place is None:
                    self._leave(slot.order, now_ns)
                else:
                    self._slots[slot.order.client_id] = place
                    place.hold(slot.order)
        return market

    def _close(self, markets: list[QuotedMarket], now_ns: int) -> None:
        for market in markets:
            for slot in market.slots:
                if slot.order is not None:
                    self._leave(slot.order, now_ns)

    def _leave(self, order: Order, now_ns: int) -> None:
        """An order that no slot has: it goes."""
        self._slots.pop(order.client_id, None)
        self._leaving[order.client_id] = order
        self._trader.cancel(order.client_id, now_ns)
        if not order.live:
            self._leaving.pop(order.client_id, None)

    def _met(self, order: Order, now_ns: int) -> None:
        """An order of ours without a slot: one that leaves, or of an earlier run."""
        if not order.live:
            self._leaving.pop(order.client_id, None)
            self._stain(order.listing.symbol)
        elif order.client_id not in self._leaving and order.state is not OrderState.PENDING_NEW:
            self._leave(order, now_ns)

    def _still_there(self, slot: Slot) -> bool:
        """An order that was there before may still trade."""
        place = (slot.view.listing.key, SIDES[slot.side])
        return any((order.key, order.side) == place for order in self._leaving.values())

    def _stain(self, symbol: str) -> None:
        market = self._markets.get(symbol)
        if market is not None:
            market.dirty = True

    # ---- deciding and sending -----------------------------------------------------------------

    def _look(self, market: QuotedMarket, now_ns: int) -> None:
        """Decides on every quote anew: what must go goes first, then the others move."""
        self.looks += 1
        whole = market.dirty or now_ns >= market.expires_ns or market.regrouped()
        if market.dirty:
            market.dirty = False
            market.look_ns = now_ns + LOOK_EVERY_NS
            market.blocked = self._blocked(market.symbol)
            market.refresh(self._trader, now_ns)
        market.begin(self._trader, now_ns)
        moves: list[tuple[Slot, Quote]] = []
        for slot in market.slots:
            if not whole and not market.concerns(slot):
                continue
            slot.news = False
            wanted = market.price(slot)
            if self._leaving and slot.order is None and self._still_there(slot):
                wanted = _LEAVING
            if isinstance(wanted, Reason):
                self._forgo(slot, wanted, now_ns)
                continue
            hedge = market.views[wanted.offer.venue]
            if slot.order is None:
                slot.promise(hedge, wanted.size)
                slot.front = wanted.key
                moves.append((slot, wanted))
            elif slot.standing:
                slot.promise(hedge, slot.left)
                match self._judge(market, slot, wanted, now_ns):
                    case Verdict.STAYS:
                        market.bound(slot, wanted)
                    case Verdict.MOVES:
                        slot.promise(hedge, max(slot.left, wanted.size))
                        slot.front = max(slot.key, wanted.key)
                        moves.append((slot, wanted))
        for slot, wanted in moves:
            if self._send(market, slot, wanted, now_ns):
                market.bound(slot, wanted)
        market.watch()

    def _forgo(self, slot: Slot, why: Reason, now_ns: int) -> None:
        """Nothing may stand there."""
        slot.reason = why
        if slot.order is None:
            slot.promise(None, 0.0)
        elif slot.standing:
            self._cancel(slot, slot.order, now_ns)

    def _cancel(self, slot: Slot, order: Order, now_ns: int) -> None:
        """It goes. What it counts on stays promised: it may trade until it is gone."""
        slot.bounds = None
        self._trader.cancel(order.client_id, now_ns)

    def _judge(self, market: QuotedMarket, slot: Slot, wanted: Quote, now_ns: int) -> Verdict:
        """What becomes of a standing order; one that must go is canceled here, before any order
        of this round leaves.
        """
        order = slot.order
        assert order is not None
        slot.reason = _reason(market, slot, wanted)
        # If a new quote may stand as high, all that is missing is the grain of floats.
        loses = wanted.key < slot.key and market.loses(slot, wanted.offer.net)
        drifted = abs(wanted.key - slot.key) > market.terms.slack
        short = slot.left < TOP_UP * wanted.size
        if not (loses or drifted or short or slot.left > wanted.size + _GRAIN):
            return Verdict.STAYS
        if slot.busy:
            if not loses:
                return Verdict.STAYS
        elif self._trader.rules(order.listing).amends_price or not (loses or drifted or short):
            waits = now_ns < slot.retry_ns and not loses
            return Verdict.STAYS if waits else Verdict.MOVES
        self._cancel(slot, order, now_ns)
        return Verdict.GOES

    def _send(self, market: QuotedMarket, slot: Slot, wanted: Quote, now_ns: int) -> bool:
        """Places or changes an order; False if none is to stay."""
        order, listing = slot.order, slot.view.listing
        key = wanted.key
        if order is not None and not market.loses(slot, wanted.offer.net):
            drifted = abs(key - slot.key) > market.terms.slack
            key = key if drifted else slot.key
        price = slot.sign * key * listing.tick
        size = round(wanted.size / float(listing.lot)) * listing.lot
        answer: Order | Amendment | Refused | Denial
        if order is None:
            same = slot.refused is None or slot.refused == (key, wanted.size)
            if now_ns < slot.retry_ns and same:
                slot.release()
                return False
            intent = OrderIntent(self.code, listing, SIDES[slot.side], price, size, post_only=True)
            answer = self._trader.submit(intent, now_ns)
        else:
            change = AmendIntent(
                order.client_id, listing, SIDES[slot.side], price, order.filled + size
            )
            answer = self._trader.amend(change, now_ns)
        if isinstance(answer, Refused | Denial):
            return self._turned_down(market, slot, wanted, answer, now_ns)
        if isinstance(answer, Order):
            order = answer
            self._slots[order.client_id] = slot
        assert order is not None
        slot.hold(order)
        slot.refused = None
        slot.promise(market.views[wanted.offer.venue], slot.left)
        slot.reason = _reason(market, slot, wanted)
        return True

    def _turned_down(
        self,
        market: QuotedMarket,
        slot: Slot,
        wanted: Quote,
        why: Refused | Denial,
        now_ns: int,
    ) -> bool:
        """It waits; a standing order stays, unless it loses where it is."""
        slot.reason = Reason(str(why))
        if isinstance(why, Denial):
            slot.retry_ns, slot.refused = why.until_ns, None
        else:
            slot.retry_ns, slot.refused = now_ns + PAUSE_NS, (wanted.key, wanted.size)
        order = slot.order
        if order is None:
            slot.release()
            return False
        slot.hold(order)
        if market.loses(slot, wanted.offer.net):
            self._cancel(slot, order, now_ns)
            return False
        return True

    # ---- for the screen -----------------------------------------------------------------------

    def _state(self) -> tuple[str, str]:
        if not self.on:
            return ("stopping" if self._leaving else "off"), self.why
        slots = [slot for market in self._markets.values() for slot in market.slots]
        if any(slot.standing for slot in slots):
            return "quoting", ""
        blocks = [market.blocked for market in self._markets.values()]
        if blocks and all(blocks):
            return "blocked", blocks[0]
        reasons = [str(slot.reason) for slot in slots]
        return "waiting", next(filter(None, reasons), "no book of its markets yet")

    def _rows(self, symbol: str) -> list[QuoteRow]:
        market = self._markets.get(symbol)
        rows = []
        for venue in self._config.market_making.quote_exchanges:
            if not self._config.venues[venue].enabled:
                continue
            slots = [] if market is None else [s for s in market.slots if s.view.venue == venue]
            decimals = 2
            if slots:
                bid, ask = (_shown(slot) for slot in slots)
                decimals = slots[0].view.listing.decimals
            else:
                why = f"{symbol} is not listed there" if self.on else self.why or "off"
                bid = ask = (None, None, why)
            rows.append(QuoteRow(symbol, venue, *bid, *ask, decimals))
        return rows


def _reason(market: QuotedMarket, slot: Slot, wanted: Quote) -> Reason:
    """Why a standing quote is where it is."""
    earned = market.edge(slot, wanted.offer.net) * BPS
    return wanted.held or Reason("edge {:.1f} bps", (earned,))


def _shown(slot: Slot) -> tuple[float | None, float | None, str]:
    if not slot.standing:
        return None, None, str(slot.reason)
    return slot.sign * slot.key * slot.view.tick, slot.left, str(slot.reason)
