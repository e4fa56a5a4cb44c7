"""Closes what fills leave open, on other venues, before a deadline; and says what it could not."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from hftmm.config import Config, HedgingConfig
from hftmm.core.instrument import Kind, Side
from hftmm.core.order import Fill, OrderIntent, OrderState, Rejection, TimeInForce
from hftmm.desk.snapshot import StrategyRow
from hftmm.execution.exposure_clock import Stories, plain
from hftmm.execution.hedge_ladder import Outlet, split
from hftmm.execution.hedge_routes import HedgeRoutes
from hftmm.execution.hedge_words import facts, why_blocked
from hftmm.execution.hedged_market import HedgedMarket, Sent
from hftmm.execution.order import ZERO, Order
from hftmm.execution.trader import Trader

CODE: Final = "hg"
"""Whose its orders are, in client ids."""
KEPT: Final = 500
"""Times to flat that are remembered."""
LONGEST_PAUSE_NS: Final = 10_000_000_000
"""Between two attempts to flatten."""
_MILLISECOND: Final = 1_000_000
_RESTING: Final = frozenset({OrderState.OPEN, OrderState.PARTIALLY_FILLED})
_UNMET: Final = frozenset({None, Rejection.NOTHING_TO_TAKE})
"""Why an IOC order ends short when nothing is wrong with it."""


class Hedger:
    """Hedges every market; a strategy to whoever runs it.

    Fills are taken in by `maker_filled`, `filled` and `take_over` and netted; what they leave open
    goes out with the next `act`, which is called at the end of every event.

    An order on its way counts as if it filled in full until it is final and its fills are told: no
    unit is hedged twice. What it leaves open is the next step of the ladder: a wider cap, another
    venue. What is too small for every venue is the residual; the next hedge takes it along.

    Every open unit has a clock. At T1 the operator is told, at T2 `blocked` says so, at T3 the
    venues where it was filled are halted and it is closed there, or wherever that succeeds.

    Attributes:
        unhedged: symbol -> base coins that strategies hold over all venues and that must come back
            to zero, negative is short, the residual included; without those at zero.
    """

    code = CODE
    name = "hedger"

    def __init__(
        self, config: Config, trader: Trader, halt: Callable[[str, str, int], None]
    ) -> None:
        """
        Args:
            halt: takes (venue, why, now_ns); from then on only reducing orders pass there.
        """
        self.on = config.hedging.enabled
        self.unhedged: Final[dict[str, Decimal]] = {}
        self._trader: Final = trader
        self._routes: Final = HedgeRoutes(config, trader)
        self._halt: Final = halt
        self._why_off = "" if self.on else "off since the start"
        self._markets: Final[dict[str, HedgedMarket]] = {}
        self._due: Final[dict[str, HedgedMarket]] = {}
        self._took_ms: Final[deque[float]] = deque(maxlen=KEPT)
        self._stories: Final = Stories()

    # ---- what opens and closes ----------------------------------------------------------------

    def maker_filled(self, fill: Fill, now_ns: int) -> None:
        """A quote traded: what it left open is hedged by the next `act`."""
        listing = fill.listing
        self._open(listing.symbol, listing.venue, fill.held, now_ns, fill.price, trade_key(fill))

    def filled(self, fill: Fill, order: Order | None, now_ns: int) -> None:
        """A hedge traded."""
        listing = fill.listing
        self._open(listing.symbol, listing.venue, fill.held, now_ns, fill.price, verb="hedged")
        market = self._market(listing.symbol)
        market.attempts = 0
        sent = market.flight.get(fill.client_id if order is None else order.client_id)
        if sent is not None:
            sent.told += fill.size

    def fee_told(self, fill: Fill, now_ns: int) -> None:
        """The fee of a fill, of market making or of ours, that came without one."""
        listing = fill.listing
        self._open(listing.symbol, listing.venue, -fill.fee_in_base, now_ns)

    def take_over(self, symbol: str, amount: Decimal, venue: str, why: str, now_ns: int) -> None:
        """Others leave it what they could not close. Of dust nobody needs to hear: it shows in the
        residual, or is hedged where so little is taken.

        Args:
            amount: base coins, negative is short. venue: where it was filled.
        """
        self._open(symbol, venue, amount, now_ns)
        if not self._routes.dust(symbol, amount):
            text = f"{symbol} {plain(amount)} taken over: {why}"
            self._trader.note("info", venue, "hedge", text, now_ns)

    def restore(self, symbol: str, amount: Decimal, venue: str, now_ns: int) -> None:
        """What an earlier run left open; its clock begins now. Call it before the first `act`."""
        if amount:
            self.take_over(symbol, amount, venue, "left open by an earlier run", now_ns)

    # ---- strategy -----------------------------------------------------------------------------

    def moved(self, symbol: str, now_ns: int) -> None:
        """A book that came back may take what waits."""
        market = self._markets.get(symbol)
        if market is not None and market.waits:
            self._due[symbol] = market

    def changed(self, order: Order, now_ns: int) -> None:
        """A hedge order changed; one of an earlier run is taken into account from here on."""
        market = self._market(order.listing.symbol)
        sent = market.flight.get(order.client_id)
        if sent is None:
            if not order.at_risk:
                return
            sent = market.fly(order, now_ns)
        if order.live:
            sent.ended = False
            return
        if not sent.ended:
            sent.ended = True
            if order.filled < order.size:
                self._fell_short(market, sent, now_ns)
        self._due[market.symbol] = market

    def act(self, now_ns: int) -> None:
        """Sends what the events since the last call make necessary; nothing if there were none."""
        if not self._due:
            return
        due = [*self._due.values()]
        self._due.clear()
        for market in due:
            self._work(market, now_ns)
            self._judge(market, now_ns)

    def tick(self, now_ns: int) -> None:
        """Time passed: steps that took too long, clocks that ran out, rounds that begin. What
        follows from that waits for `act`, before which all news must be told.
        """
        for market in [*self._markets.values()]:
            if not market.idle:
                for sent in market.flight.values():
                    if not sent.late and sent.order.live and now_ns - sent.ns >= self._step_ns:
                        self._overdue(market, sent, now_ns)
                self._watch(market, now_ns)
                if market.next_ns and now_ns >= market.next_ns:
                    market.round(now_ns)
                    self._due[market.symbol] = market
            self._judge(market, now_ns)

    def switch(self, on: bool, why: str, now_ns: int) -> None:
        """Off: no hedge leaves, live ones are canceled. On: goes on with what is open."""
        self.on, self._why_off = on, "" if on else why
        for market in self._markets.values():
            if on:
                market.clock.restart(now_ns)
                market.rest()
                self._due[market.symbol] = market
            else:
                for sent in [*market.flight.values()]:
                    self._trader.cancel(sent.order.client_id, now_ns)
            self._judge(market, now_ns)

    def configure(self, config: Config, now_ns: int) -> None:
        """Other parameters hold from now on."""
        enabled, self._routes.config = self._hedging.enabled, config
        if self._hedging.enabled is not enabled:
            self.switch(self._hedging.enabled, "hedging.enabled is false", now_ns)
        self._due.update(self._markets)

    # ---- what is known ------------------------------------------------------------------------

    def blocked(self, symbol: str) -> str:
        """Why nobody may open more of this market, one line; "" if they may. O(1)."""
        market = self._markets.get(symbol)
        if market is None:
            market = self._market(symbol)
            self._judge(market, 0)
        return market.reason

    def unhedged_ms(self, now_ns: int) -> float | None:
        """Age of the oldest open unit of all markets; None if nothing but the residual is open."""
        return max(
            (
                market.age_ns(now_ns) / _MILLISECOND
                for market in self._markets.values()
                if market.clock.parts and not market.residual_ns
            ),
            default=None,
        )

    def hedge_of(self, trade: str) -> str:
        """What became of the risk of a quote's trade, one line; "" if that is long ago.

        Args:
            trade: as `trade_key` makes it.
        """
        return self._stories.of(trade)

    def shown(self, now_ns: int) -> StrategyRow:
        """For the screen."""
        exposed = [m for m in self._markets.values() if m.exposed_ns or m.flight]
        reason = next((m.reason for m in self._markets.values() if m.reason), "")
        state = "blocked" if reason else "hedging" if exposed else "flat"
        if not self.on:
            state, reason = "off", self._why_off
        return StrategyRow(
            self.name,
            self.on,
            state,
            reason,
            facts=tuple(facts(self._markets, self._took_ms, self._hedging, now_ns)),
        )

    @property
    def _hedging(self) -> HedgingConfig:
        return self._routes.config.hedging

    @property
    def _step_ns(self) -> int:
        return self._hedging.step_ms * _MILLISECOND

    # ---- amounts ------------------------------------------------------------------------------

    def _market(self, symbol: str) -> HedgedMarket:
        market = self._markets.get(symbol)
        if market is None:
            market = self._markets[symbol] = HedgedMarket(symbol)
        return market

    def _open(
        self,
        symbol: str,
        venue: str,
        amount: Decimal,
        now_ns: int,
        price: Decimal | None = None,
        trade: str = "",
        verb: str = "netted",
    ) -> None:
        market = self._market(symbol)
        touched = market.clock.add(amount, venue, now_ns, price=price, trade=trade, verb=verb)
        if market.clock.amount:
            self.unhedged[market.symbol] = market.clock.amount
        else:
            self.unhedged.pop(market.symbol, None)
            market.residual_ns = 0
        if market.residual_ns:
            # What was too small so far is hedged with the rest, and counts from here on.
            market.clock.restart(now_ns)
        self._stories.tell(touched, now_ns)
        self._due[market.symbol] = market

    # ---- the ladder ---------------------------------------------------------------------------

    def _work(self, market: HedgedMarket, now_ns: int) -> None:
        market.land()
        market.waits = False
        amount = abs(market.clock.amount)
        if not amount:
            self._settle(market, now_ns)
            return
        if not market.flight and self._small(market, amount, now_ns):
            market.residual_ns = market.residual_ns or now_ns
            self._stories.set_aside(market.clock.parts)
            self._settle(market, now_ns)
            return
        if market.residual_ns:
            # A venue that takes so little can be had again: it waited, but not for us.
            market.residual_ns = 0
            market.clock.restart(now_ns)
        market.exposed_ns = market.exposed_ns or now_ns
        free = market.free()
        if not self.on or not free:
            return
        hedging = self._hedging
        if market.flattening:
            self._flatten(market, free, now_ns)
        elif (
            hedging.hedge_immediately
            or market.holds(market.engaged_ns)
            or amount >= Decimal(repr(hedging.hedge_above))
        ):
            self._hedge(market, free, now_ns)

    def _small(self, market: HedgedMarket, amount: Decimal, now_ns: int) -> bool:
        """Off, nobody is alarmed by what a flattening leaves: nothing could be done about it."""
        if not self.on and self._routes.dust(market.symbol, amount):
            return True
        return self._routes.too_small(market, amount, now_ns)

    def _settle(self, market: HedgedMarket, now_ns: int) -> None:
        """Flat, as far as that goes."""
        if market.exposed_ns:
            self._took_ms.append((now_ns - market.exposed_ns) / _MILLISECOND)
        market.rest()

    def _hedge(self, market: HedgedMarket, free: Decimal, now_ns: int) -> None:
        side: Side = "sell" if free > ZERO else "buy"
        left = abs(free)
        market.why = dict(market.out)
        used: set[str] = set()
        while not self._routes.too_small(market, left, now_ns):
            outlets = self._routes.next_step(market, side, left, used, now_ns)
            parts = split(side, left, outlets)
            if not parts:
                break
            for outlet, size in parts:
                used.add(outlet.listing.venue)
                if self._send(market, outlet, side, size, now_ns):
                    left -= size
        else:
            return
        market.waits = True
        self._begin_round(market, now_ns)
        for order in [*self._routes.obstacles(market, side)]:
            self._trader.cancel(order.client_id, now_ns)
            market.obstacle = f"own orders at {order.listing.venue} in the way of a hedge"

    def _send(
        self,
        market: HedgedMarket,
        outlet: Outlet,
        side: Side,
        size: Decimal,
        now_ns: int,
        *,
        reduce_only: bool = False,
    ) -> bool:
        """Whether it left."""
        listing = outlet.listing
        intent = OrderIntent(
            CODE,
            listing,
            side,
            outlet.limit,
            size,
            time_in_force=TimeInForce.IOC,
            reduce_only=reduce_only,
            urgent=True,
        )
        order = self._trader.submit(intent, now_ns)
        if not isinstance(order, Order):
            text = f"{listing.symbol} {side} {plain(size)} refused: {order}"
            market.out[listing.venue] = market.why[listing.venue] = str(order)
            self._trader.note("warning", listing.venue, "hedge refused", text, now_ns)
            self._begin_round(market, now_ns)
            return False
        if order.at_risk:
            market.fly(order, now_ns)
        market.engaged_ns = now_ns
        market.last = f"{listing.venue} {side} {plain(size)} @ {outlet.limit:f}, " + (
            "flatten" if market.flattening else f"step {market.step + 1}"
        )
        return True

    def _fell_short(self, market: HedgedMarket, sent: Sent, now_ns: int) -> None:
        """A hedge order ended with less than it was for."""
        order = sent.order
        venue = order.listing.venue
        if order.rejection in _UNMET:
            market.tried[venue] = order.filled > ZERO
        else:
            market.out[venue] = order.text or str(order.state)
        market.climb(sent.step + 1, now_ns)
        self._begin_round(market, now_ns)

    def _begin_round(self, market: HedgedMarket, now_ns: int) -> None:
        """What failed now is left alone for the time of a step."""
        market.next_ns = market.next_ns or now_ns + self._step_ns

    def _overdue(self, market: HedgedMarket, sent: Sent, now_ns: int) -> None:
        """A step took too long: others may take what is certain; what rests is canceled."""
        sent.late = True
        order = sent.order
        if order.state in _RESTING:
            self._trader.cancel(order.client_id, now_ns)
        market.climb(sent.step + 1, now_ns)
        what = f"{order.listing.symbol} {order.side} {order.size:f}, {order.client_id},"
        text = f"{what} is not settled after {(now_ns - sent.ns) // _MILLISECOND} ms"
        self._trader.note("warning", order.listing.venue, "hedge late", text, now_ns)
        self._due[market.symbol] = market

    # ---- the clock ----------------------------------------------------------------------------

    def _watch(self, market: HedgedMarket, now_ns: int) -> None:
        """T1 and T3; T2 is `blocked`."""
        hedging = self._hedging
        age_ms = market.age_ns(now_ns) / _MILLISECOND
        if age_ms >= hedging.alarm_after_ms and not market.holds(market.alarmed_ns):
            market.alarmed_ns = now_ns
            text = f"{market.symbol} {market.words(now_ns)}"
            self._trader.note("error", market.clock.venue, "unhedged", text, now_ns)
        if age_ms < hedging.flatten_after_ms:
            if not market.flattening:
                market.halted.clear()
            return
        if not market.flattening:
            market.next_ns = market.attempts = 0
            self._due[market.symbol] = market
        market.flatten_ns = now_ns
        limit_ns = now_ns - hedging.flatten_after_ms * _MILLISECOND
        for venue in market.clock.filled_before(limit_ns):
            if venue not in market.halted:
                market.halted.add(venue)
                text = f"{market.symbol} {market.words(now_ns)}"
                self._trader.note("error", venue, "flatten", text, now_ns)
                # Before the order: a halt cancels what stands there.
                self._halt(venue, f"unhedged: {text}", now_ns)

    def _flatten(self, market: HedgedMarket, free: Decimal, now_ns: int) -> None:
        """Where it was filled, then wherever it goes, until it is gone."""
        if now_ns < market.next_ns:
            return
        side: Side = "sell" if free > ZERO else "buy"
        left = abs(free)
        market.why = {}
        used: set[str] = set()
        for member, outlet, most in self._routes.ways_out(market, side):
            if member.venue in used:
                continue
            if isinstance(outlet, str):
                market.why[member.venue] = outlet
                continue
            listing = outlet.listing
            size = listing.size(min(left, most, outlet.room))
            held = self._trader.position(listing) * (1 if side == "sell" else -1)
            reducing = listing.size(min(size, held)) if listing.kind is Kind.LINEAR else ZERO
            # What is spread too thin over the venues to be reduced on each still has to go.
            reduces = reducing >= max(listing.lot, listing.min_size)
            size = reducing if reduces else size
            if not reduces and size < outlet.least:
                text = f"{plain(size)} is below its least {plain(outlet.least)}"
                market.why[member.venue] = text
                continue
            used.add(member.venue)
            if self._send(market, outlet, side, size, now_ns, reduce_only=reduces):
                left -= size
            if not left:
                break
        pause_ns = self._step_ns << min(market.attempts, 16)
        pause_ns = min(pause_ns, LONGEST_PAUSE_NS)
        market.attempts += 1
        market.next_ns = now_ns + pause_ns
        if not self._routes.too_small(market, left, now_ns):
            text = f"{market.symbol} {market.words(now_ns)}; again in {pause_ns / 1e9:g} s"
            self._trader.note("error", market.clock.venue, "not flattened", text, now_ns)

    def _judge(self, market: HedgedMarket, now_ns: int) -> None:
        off = "" if self.on else f"hedger off: {self._why_off}"
        market.reason = off or why_blocked(market, self._routes, now_ns)

    def _check(self) -> None:
        """Walks every invariant; O(parts + orders)."""
        amounts = {s: m.clock.amount for s, m in self._markets.items() if m.clock.amount}
        assert amounts == self.unhedged
        for market in self._markets.values():
            market._check()
            assert market.clock.parts or not market.residual_ns


def trade_key(fill: Fill) -> str:
    """Names a trade: its listing's key and its id, `okx BTC/USDT 123`."""
    return f"{fill.listing.key} {fill.trade_id}"
