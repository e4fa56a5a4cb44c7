"""Takes crossings: both legs at once, and whatever is left uneven closed before a deadline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Final

from hftmm.book.consolidated import Member
from hftmm.book.order_book import OrderBook
from hftmm.config import Config
from hftmm.core.fees import BPS
from hftmm.core.instrument import Side
from hftmm.core.order import Fill
from hftmm.desk.snapshot import StrategyRow
from hftmm.execution.order import ZERO, Order
from hftmm.execution.trader import Trader
from hftmm.strategy.arbitrage import (
    ArbitrageDetector,
    Edge,
    Opportunity,
    Outcome,
    ages,
    best_trade,
    unworthy,
)
from hftmm.strategy.base import ARBITRAGE, NAMES
from hftmm.strategy.shot import Shot
from hftmm.strategy.shots import Shots, at
from hftmm.strategy.taking import Reach, reach

MILLISECOND: Final = 1_000_000
SPARE_NS: Final = 25 * MILLISECOND
"""How long before a deadline it is acted on: the tick that notices it may come so late."""
BOOK_WITHIN_NS: Final = 1_000 * MILLISECOND
"""A book that does not show a trade of ours for longer never will: its venue sends no stamps."""


class ArbitrageExecutor:
    """Shoots at the opportunities of the detectors, through the trader.

    What one leg got and the other did not is closed where it is cheapest: by finishing the other
    leg, by unwinding the first, or at a third venue. See `Shots`.
    """

    def __init__(
        self,
        config: Config,
        trader: Trader,
        detectors: Callable[[str], ArbitrageDetector | None],
        hand_over: Callable[[str, Decimal, str, str, int], None],
        halt: Callable[[str, str, int], None],
    ) -> None:
        """
        Args:
            detectors: by symbol; None where it is not watched.
            hand_over: (symbol, base coins, venue, why, now_ns): somebody else is to close what
                was bought (+) or sold (-) too many, most of it at that venue.
            halt: (venue, why, now_ns): nothing new may go there.
        """
        self.code = ARBITRAGE
        self.name = NAMES[ARBITRAGE]
        self.on = config.arbitrage.enabled
        self._config = config
        self._trader: Final = trader
        self._detectors: Final = detectors
        self._shots: Final = Shots(config, trader, hand_over, halt, self._cool)
        self._shots.stopped = "" if self.on else "not switched on"
        self._cooling: Final[dict[tuple[str, str, str], tuple[int, str]]] = {}

    # ---- Strategy -----------------------------------------------------------------------------

    def moved(self, symbol: str, now_ns: int) -> None:
        """The detector of this market has looked: takes what is worth it, most profit first."""
        detector = self._detectors(symbol)
        if detector is None or not detector.live:
            return
        worth = [each for each in detector.live.values() if not each.reason]
        for each in sorted(worth, key=lambda each: -each.profit):
            each.untaken = self._take(detector, each, now_ns)

    def changed(self, order: Order, now_ns: int) -> None:
        """An order of a shot changed."""
        self._shots.changed(order, now_ns)

    def filled(self, fill: Fill, order: Order | None, now_ns: int) -> None:
        """A trade of a shot; one of a shot long gone, or of an earlier run, is handed over."""
        self._shots.filled(fill, order, now_ns)

    def fee_told(self, fill: Fill, now_ns: int) -> None:
        """The fee of a fill that came without one."""
        self._shots.fee_told(fill, now_ns)

    def tick(self, now_ns: int) -> None:
        """Time passed: legs have deadlines."""
        self._shots.tick(now_ns)

    def switch(self, on: bool, why: str, now_ns: int) -> None:
        """Off, nothing new is sent: what is uneven is handed over as soon as it is certain."""
        self.on = on
        if on:
            self._shots.stopped = ""
        else:
            self._shots.stop(why, now_ns)

    def configure(self, config: Config, now_ns: int) -> None:
        """Other parameters hold for the next shot."""
        self._config = config
        self._shots.config = config

    def shown(self, now_ns: int) -> StrategyRow:
        """For the screen; the best pair is the best of all, crossed or not."""
        state, reason = self._state()
        facts = [("pairs", str(sum(1 for _ in self._pairs())))]
        best = max(self._pairs(), key=lambda pair: pair[0], default=None)
        if best is not None:
            net_bps, buy, sell = best
            facts.append(("best now", f"{buy.venue}>{sell.venue} {net_bps:+.1f} bps net"))
        totals = [detector.totals for detector in self._watched()]
        realised = sum((each.realised for each in totals), ZERO)
        counted_on = sum((each.counted_on for each in totals), ZERO)
        facts.append(("shots", str(sum(each.shots for each in totals))))
        for label, outcome in (
            ("hit", Outcome.FILLED),
            ("unwound", Outcome.UNWOUND),
            ("missed", Outcome.MISSED),
        ):
            facts.append((label, str(sum(each.outcomes[outcome] for each in totals))))
        facts.append(("realised", f"{realised:+.2f} of {counted_on:+.2f} expected"))
        return StrategyRow(self.name, self.on, state, reason, facts=tuple(facts))

    def imbalance(self, symbol: str) -> Decimal:
        """Base coins by which the legs of the shots under way differ, + if too many were bought."""
        return self._shots.imbalance(symbol)

    # ---- shooting -----------------------------------------------------------------------------

    def _take(self, detector: ArbitrageDetector, seen: Opportunity, now_ns: int) -> str:
        """Shoots, or says why not."""
        refusal = self._refusal(seen, now_ns)
        if refusal:
            return refusal
        members = {member.venue: member for member in detector.book.eligible}
        for venue in (seen.buy, seen.sell):
            if venue not in members:
                return f"{venue} has no book to trade on"
        buy, sell = members[seen.buy], members[seen.sell]
        trader = self._trader
        sides: tuple[tuple[Member, Side], ...] = ((buy, "buy"), (sell, "sell"))
        for member, side in sides:
            if closed := trader.closed(member.book.listing):
                return at(member.venue, closed)
            if unseen := self._unseen(member.book, side, now_ns):
                return unseen
        config = self._config.arbitrage
        rooms = (
            trader.headroom(buy.book.listing, "buy", now_ns),
            trader.headroom(sell.book.listing, "sell", now_ns),
        )
        tightest = min(zip(rooms, (buy, sell), strict=True), key=lambda each: each[0].size)
        room, where = tightest
        asks = reach(buy.book, "buy", trader.live(buy.venue))
        bids = reach(sell.book, "sell", trader.live(sell.venue))
        most = min(config.max_quantity, max(float(room.size), 0.0))
        edge = best_trade(asks.levels, bids.levels, buy, sell, most)
        paid = edge.cost / buy.buy_cost
        net_bps = edge.profit / paid * BPS if paid else 0.0
        why = unworthy(config, buy, sell, edge.size, net_bps, ages(buy, sell, now_ns))
        if not why:
            return self._shoot(detector, seen, (buy, asks), (sell, bids), edge, now_ns)
        if most < seen.size:
            return at(where.venue, room.reason)
        return asks.obstacle or bids.obstacle or why

    def _refusal(self, seen: Opportunity, now_ns: int) -> str:
        config = self._config.arbitrage
        if not self.on:
            return "off"
        if config.markets and seen.market not in config.markets:
            return f"off in {seen.market}"
        until_ns, why = self._cooling.get((seen.market, seen.buy, seen.sell), (0, ""))
        if now_ns < until_ns:
            return f"{why}cooling down {(until_ns - now_ns) / MILLISECOND:.0f} ms"
        if len(self._shots.under_way) >= config.max_shots:
            return f"{len(self._shots.under_way)} of {config.max_shots} shots under way"
        for shot in self._shots.under_way:
            if shot.symbol == seen.market:
                # It takes what the book still shows, or stands against what this one would send.
                for venue in (seen.buy, seen.sell):
                    if venue in {shot.buy.venue, shot.sell.venue}:
                        return f"another shot is under way at {venue}"
        return ""

    def _unseen(self, book: OrderBook, side: Side, now_ns: int) -> str:
        """That a book may still show what our last trade there took, one line; "" if it cannot."""
        fill = self._shots.traded.get((book.listing.key, side))
        if fill is None or now_ns - fill.received_ns > BOOK_WITHIN_NS:
            return ""
        if book.venue_ns >= fill.venue_ns if book.venue_ns else book.received_ns > fill.received_ns:
            return ""
        return f"{book.listing.venue} does not show our last trade there yet"

    def _shoot(
        self,
        detector: ArbitrageDetector,
        seen: Opportunity,
        buy: tuple[Member, Reach],
        sell: tuple[Member, Reach],
        edge: Edge,
        now_ns: int,
    ) -> str:
        config = self._config.arbitrage
        sides: list[tuple[Side, tuple[Member, Reach], float]] = [
            ("buy", buy, edge.highest_ask),
            ("sell", sell, edge.lowest_bid),
        ]
        listings = buy[0].book.listing, sell[0].book.listing
        span_ns = config.leg_deadline_ms * MILLISECOND
        shot = Shot(
            seen.market,
            *listings,
            listings[0].size(edge.size),
            Decimal(repr(edge.profit)),
            {member.venue: member.fees.taker_bps for member in detector.book.members},
            detector.totals,
            now_ns,
            now_ns + span_ns - min(SPARE_NS, span_ns // 2),
        )
        for side, (member, levels), worst in sides:
            listing = member.book.listing
            price = levels.limit(listing, side, worst, config.max_slippage_bps)
            shot.refusal = self._shots.send(shot, listing, side, price, shot.size, "", now_ns)
            if shot.refusal:
                break
        self._cool(shot, now_ns)
        if shot.refusal and self._shots.taken_back(shot, now_ns):
            return shot.refusal
        detector.totals.shots += 1
        seen.attempt = shot
        self._shots.open(shot, now_ns)
        return ""

    def _cool(self, shot: Shot, now_ns: int) -> None:
        why = f"{shot.refusal}; " if shot.refusal else ""
        until_ns = now_ns + self._config.arbitrage.cooldown_ms * MILLISECOND
        buy, sell = shot.buy.venue, shot.sell.venue
        # The way back would only undo it, on books that do not show it yet.
        for pair in ((shot.symbol, buy, sell), (shot.symbol, sell, buy)):
            self._cooling[pair] = until_ns, why

    # ---- the screen ---------------------------------------------------------------------------

    def _state(self) -> tuple[str, str]:
        if not self.on:
            return "off", self._shots.stopped
        if self._shots.under_way:
            return "shooting", ""
        reason = "no market is watched"
        for detector in self._watched():
            members = detector.book.members
            closed = [why for m in members if (why := self._trader.closed(m.book.listing))]
            if len(members) - len(closed) > 1:
                return "watching", ""
            reason = closed[0] if closed else f"{detector.book.symbol} has {len(members)} venues"
        return "blocked", reason

    def _watched(self) -> Iterator[ArbitrageDetector]:
        for symbol in self._config.arbitrage.markets or self._config.markets.symbols:
            detector = self._detectors(symbol)
            if detector is not None:
                yield detector

    def _pairs(self) -> Iterator[tuple[float, Member, Member]]:
        """All ordered pairs of venues, with what they would bring at their touches, bps net."""
        for detector in self._watched():
            quoted = [m for m in detector.book.eligible if m.mid is not None]
            for buy in quoted:
                for sell in quoted:
                    if sell is not buy:
                        ask, bid = buy.book.ask, sell.book.bid
                        net = bid * sell.sell_yield - ask * buy.buy_cost
                        yield net / ask * BPS, buy, sell

    def _check(self) -> None:
        """Walks every invariant; O(shots)."""
        self._shots._check()
