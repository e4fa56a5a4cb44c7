"""Takes crossings: both legs at once, and whatever is left uneven closed before a deadline."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Final

from hftmm.book.consolidated import ConsolidatedBook, Member
from hftmm.config import Config
from hftmm.core.fees import BPS
from hftmm.core.instrument import Listing, Side
from hftmm.core.order import Fill, OrderIntent, TimeInForce
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
from hftmm.strategy.closing import fits, ways
from hftmm.strategy.shot import Shot
from hftmm.strategy.taking import Reach, reach

MILLISECOND: Final = 1_000_000
SPARE: Final = 0.1
"""Share of the deadline kept for the tick that notices it."""
PATIENCE: Final = 0.2
"""Share of the deadline for which orders on their way may still even the legs out."""
REMEMBERED_NS: Final = 900_000 * MILLISECOND
"""How long what is told late still counts for its shot, as long as the order manager knows it."""


class ArbitrageExecutor:
    """Shoots at the opportunities of the detectors, through the trader.

    What one leg got and the other did not is closed by whatever is cheapest, and handed over at the
    deadline. Amounts that an order may still trade are never sent a second time: such an order
    keeps its shot open, and has its venue halted at the deadline.
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
        self._why = "" if self.on else "not switched on"
        self._config = config
        self._trader: Final = trader
        self._detectors: Final = detectors
        self._give: Final = hand_over
        self._halt: Final = halt
        self._open: Final[list[Shot]] = []
        self._past: Final[deque[Shot]] = deque()
        self._shots: Final[dict[str, Shot]] = {}
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
        shot = self._shots.get(order.client_id)
        if shot is not None:
            self._follow(shot, now_ns)

    def filled(self, fill: Fill, order: Order | None, now_ns: int) -> None:
        """A trade of a shot; one of a shot long gone is handed over at once."""
        client_id = fill.client_id if order is None else order.client_id
        shot = self._shots.get(client_id)
        if shot is not None:
            shot.booked(client_id, fill)
            self._follow(shot, now_ns)
            return
        listing = fill.listing
        amount = fill.size if fill.side == "buy" else -fill.size
        text = f"{amount:+f} {listing.symbol} traded by {client_id}, a shot long gone"
        self._trader.note("warning", listing.venue, "arbitrage late fill", text, now_ns)
        self._give(listing.symbol, amount, listing.venue, text, now_ns)

    def fee_told(self, fill: Fill, now_ns: int) -> None:
        """The fee of a fill that came without one."""
        shot = self._shots.get(fill.client_id)
        if shot is not None:
            shot.fee_told(fill)
            self._follow(shot, now_ns)

    def tick(self, now_ns: int) -> None:
        """Time passed: legs have deadlines."""
        for shot in tuple(self._open):
            self._follow(shot, now_ns)
        past = self._past
        while past and past[0].closed_ns + REMEMBERED_NS <= now_ns:
            for client_id in past.popleft().legs:
                del self._shots[client_id]

    def switch(self, on: bool, why: str, now_ns: int) -> None:
        """Off, nothing new is sent: what is uneven is handed over as soon as it is certain."""
        self.on = on
        self._why = "" if on else why
        if not on:
            for shot in tuple(self._open):
                for client_id in tuple(shot.legs):
                    self._trader.cancel(client_id, now_ns)
                self._follow(shot, now_ns)

    def configure(self, config: Config, now_ns: int) -> None:
        """Other parameters hold for the next shot."""
        self._config = config

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
        return sum((shot.position for shot in self._open if shot.symbol == symbol), ZERO)

    # ---- shooting -----------------------------------------------------------------------------

    def _take(self, detector: ArbitrageDetector, seen: Opportunity, now_ns: int) -> str:
        """Shoots, or says why not."""
        refusal = self._refusal(seen, now_ns)
        if refusal:
            return refusal
        members = {member.venue: member for member in detector.book.eligible}
        if seen.buy not in members or seen.sell not in members:
            return "a book went"
        buy, sell = members[seen.buy], members[seen.sell]
        trader = self._trader
        for member in (buy, sell):
            if closed := trader.closed(member.book.listing):
                return _at(member.venue, closed)
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
        if not why and edge.size > 0.0:
            return self._shoot(detector, seen, (buy, asks), (sell, bids), edge, now_ns)
        if most < seen.size:
            return _at(where.venue, room.reason)
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
        if len(self._open) >= config.max_shots:
            return f"{len(self._open)} of {config.max_shots} shots under way"
        for shot in self._open:
            if shot.symbol == seen.market:
                # The book shows what that one is taking until the venue says otherwise.
                if shot.buy.venue == seen.buy:
                    return f"another shot takes the asks of {seen.buy}"
                if shot.sell.venue == seen.sell:
                    return f"another shot takes the bids of {seen.sell}"
        return ""

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
            now_ns + span_ns - int(span_ns * SPARE),
        )
        shot.patient_ns = now_ns + int(span_ns * PATIENCE)
        for side, (member, levels), worst in sides:
            listing = member.book.listing
            price = levels.limit(listing, side, worst, config.max_slippage_bps)
            refusal = self._send(shot, listing, side, price, shot.size, "", now_ns)
            if refusal:
                shot.refusal = _at(member.venue, refusal)
                break
        self._cool(shot, f"{shot.refusal}; " if shot.refusal else "", now_ns)
        if not shot.legs:
            return shot.refusal
        detector.totals.shots += 1
        seen.attempt = shot
        self._open.append(shot)
        for client_id in tuple(shot.legs):
            self._shots[client_id] = shot
            if shot.refusal:
                # The order manager still holds it: canceled now, it never leaves.
                self._trader.cancel(client_id, now_ns)
        self._follow(shot, now_ns)
        return ""

    def _send(
        self,
        shot: Shot,
        listing: Listing,
        side: Side,
        price: Decimal,
        size: Decimal,
        way: str,
        now_ns: int,
    ) -> str:
        """Why the order was not taken; "" if it was."""
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
            return str(answer)
        shot.sent(answer, way)
        return ""

    def _cool(self, shot: Shot, why: str, now_ns: int) -> None:
        until_ns = now_ns + self._config.arbitrage.cooldown_ms * MILLISECOND
        buy, sell = shot.buy.venue, shot.sell.venue
        # The way back would only undo it, on books that do not show it yet.
        for pair in ((shot.symbol, buy, sell), (shot.symbol, sell, buy)):
            self._cooling[pair] = until_ns, why

    # ---- evening out --------------------------------------------------------------------------

    def _follow(self, shot: Shot, now_ns: int) -> None:
        """Something of it changed, or time passed."""
        overdue = now_ns >= shot.deadline_ns
        amount = shot.certain
        if amount:
            if shot.closed:
                self._hand_over(shot, amount, "warning", "traded late", now_ns)
            elif not self.on:
                self._hand_over(shot, amount, "warning", self._why, now_ns)
            elif overdue:
                ms = (now_ns - shot.started_ns) // MILLISECOND
                trouble = f", {shot.trouble}" if shot.trouble else ""
                why = f"legs uneven after {ms} ms{trouble}"
                self._hand_over(shot, amount, "error", why, now_ns)
            elif not shot.moving or now_ns >= shot.patient_ns:
                self._even_out(shot, amount, now_ns)
        if overdue and not shot.closed:
            self._give_up_on_unsettled(shot, now_ns)
        if shot.closed:
            shot.file()
        elif not shot.under_way and not shot.position:
            self._close(shot, now_ns)

    def _even_out(self, shot: Shot, amount: Decimal, now_ns: int) -> None:
        """Closes so many base coins where it is cheapest, over several venues if it must."""
        book = self._trader.book(shot.symbol)
        if book is None:
            return
        shot.rounds += 1
        side: Side = "sell" if amount > ZERO else "buy"
        left = abs(amount)
        if _too_small(book, left, shot.price):
            self._hand_over(shot, amount, "info", "below every venue's minimum", now_ns)
            return
        slippage_bps = self._config.arbitrage.max_slippage_bps * shot.rounds
        shot.trouble = "no venue can take it"
        for way in ways(book, self._trader, side, left, slippage_bps):
            listing = way.listing
            size = min(way.size, listing.size(left))
            if not fits(listing, size, way.price):
                continue
            words = shot.way(listing.venue, side)
            refusal = self._send(shot, listing, side, way.price, size, words, now_ns)
            if refusal:
                shot.trouble = _at(listing.venue, refusal)
                continue
            shot.trouble = ""
            left -= size
        for client_id in shot.legs:
            self._shots[client_id] = shot
        span_ns = self._config.arbitrage.leg_deadline_ms * MILLISECOND
        shot.patient_ns = now_ns + int(span_ns * PATIENCE)

    def _give_up_on_unsettled(self, shot: Shot, now_ns: int) -> None:
        for client_id, leg in tuple(shot.legs.items()):
            order = leg.order
            if not order.live or leg.abandoned:
                continue
            leg.abandoned = True
            self._trader.cancel(client_id, now_ns)
            if not order.live:
                continue
            venue = order.listing.venue
            ms = (now_ns - shot.started_ns) // MILLISECOND
            shot.trouble = f"{venue} leg {order.state} for {ms} ms"
            text = f"{shot.symbol} {client_id}: {shot.trouble}"
            self._trader.note("error", venue, "arbitrage leg unsettled", text, now_ns)
            self._halt(venue, text, now_ns)

    def _hand_over(self, shot: Shot, amount: Decimal, level: str, why: str, now_ns: int) -> None:
        venue = shot.where(amount)
        shot.handed_over(amount, self._mid(shot, venue))
        text = f"{amount:+f} {shot.symbol} of a shot goes to the hedger: {why}"
        self._trader.note(level, venue, "arbitrage leg handed over", text, now_ns)
        self._give(shot.symbol, amount, venue, why, now_ns)

    def _close(self, shot: Shot, now_ns: int) -> None:
        shot.closed_ns = now_ns
        shot.file()
        self._open.remove(shot)
        self._past.append(shot)
        self._cool(shot, f"{shot.refusal}; " if shot.refusal else "", now_ns)
        text = f"{shot.symbol} {shot.buy.venue}>{shot.sell.venue} {shot.size:f}: {shot.result}"
        self._trader.note("info", shot.buy.venue, "arbitrage", text, now_ns)

    def _mid(self, shot: Shot, venue: str) -> Decimal:
        book = self._trader.book(shot.symbol)
        for member in () if book is None else book.members:
            if member.venue == venue and member.book.valid and member.mid is not None:
                return Decimal(repr(member.mid))
        return shot.price

    # ---- the screen ---------------------------------------------------------------------------

    def _state(self) -> tuple[str, str]:
        if not self.on:
            return "off", self._why
        if self._open:
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
        for shot in (*self._open, *self._past):
            shot._check()
            assert all(self._shots[client_id] is shot for client_id in shot.legs)
        assert not any(shot.closed for shot in self._open)
        assert all(shot.closed for shot in self._past)
        assert len(self._shots) == sum(len(shot.legs) for shot in (*self._open, *self._past))


def _at(venue: str, why: str) -> str:
    return why if venue in why else f"{why} at {venue}"


def _too_small(book: ConsolidatedBook, amount: Decimal, price: Decimal) -> bool:
    """Whether no venue of the market would take it, however well it stands there."""
    listings = [member.book.listing for member in book.members]
    return not any(fits(listing, listing.size(amount), price) for listing in listings)
