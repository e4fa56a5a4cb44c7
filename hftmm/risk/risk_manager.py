"""The one door that every order and every change must pass."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Final

from hftmm.book.consolidated import ConsolidatedBook
from hftmm.config import Config
from hftmm.core.instrument import Listing, Side
from hftmm.core.order import AmendIntent, Fill, OrderIntent
from hftmm.risk.approval import Approved, I, Refused, approve
from hftmm.risk.case import Case, Standing
from hftmm.risk.exposure import Reach, WorstCase, reach, worst_case
from hftmm.risk.headroom import Headroom, headroom
from hftmm.risk.losses import LOSSES, Day, Halt
from hftmm.risk.pace import MILLISECOND, Repeats, same
from hftmm.risk.portfolio import Portfolio
from hftmm.risk.rules import RULES
from hftmm.risk.working import Working

ZERO: Final = Decimal(0)
UNHELD: Final = frozenset({"op", "hg", "fl"})
"""Strategy codes of orders by hand, hedges and flattenings: what a person does is no automaton, and
what takes risk off must not be switched off."""


class RiskManager:
    """Reviews what somebody wants to send, and halts what loses too much.

    It believes nobody: whether an order reduces, and what all orders could do together, it works
    out from the portfolio and the orders that live. A review costs O(venues), and O(orders of the
    venue) if some of the other side stand in the same book.

    Attributes:
        standing: what is stopped and why, and the limits.
    """

    def __init__(
        self,
        config: Config,
        portfolio: Portfolio,
        working: Working,
        book: Callable[[str], ConsolidatedBook | None],
        unheld: Collection[str] = UNHELD,
    ) -> None:
        """
        Args:
            working: our orders, as the order manager has them.
            book: of a market by its symbol; None if it is not watched.
            unheld: strategies that may trade as often as they must.
        """
        self.standing: Final = Standing(config.limits, config.venues, portfolio, working)
        self._book: Final = book
        self._unheld: Final = frozenset(unheld)
        self._repeats: Final = Repeats()
        self._keys: Final[dict[str, tuple[str, ...]]] = {}
        self._day_pnl = ZERO
        self._drawdown = ZERO

    # ---- before an order leaves ---------------------------------------------------------------

    def review(self, intent: I, now_ns: int) -> Approved[I] | Refused:
        """Leave to send it, or the first rule that it breaks."""
        listing = intent.listing
        case = Case(
            intent,
            self._reach(listing, intent.side),
            self._book(listing.symbol),
            self.standing,
            now_ns,
        )
        for rule in RULES.values():
            refused = rule(case)
            if refused is not None:
                return refused
        self._approved(intent, now_ns)
        return approve(intent)

    def headroom(self, listing: Listing, side: Side, now_ns: int) -> Headroom:
        """How much more of one side may be ordered before the nearest limit."""
        ahead = self._reach(listing, side)
        return headroom(listing, side, ahead, self._book(listing.symbol), self.standing)

    # ---- what happens -------------------------------------------------------------------------

    def filled(self, strategy: str, fill: Fill, now_ns: int) -> str:
        """A trade of a strategy; why that switches it off, one line, or "" if it does not."""
        most = self.standing.limits.max_repeats
        symbol, side = fill.listing.symbol, fill.side
        count = self._repeats.filled(strategy, symbol, side, now_ns)
        if count <= most or strategy in self._unheld or strategy in self.standing.off:
            return ""
        why = f"{count} fills in a minute, {side} {symbol}, limit {most}"
        self.standing.off[strategy] = why
        return why

    def watch(self, now_ns: int) -> list[Halt]:
        """Halts each venue that breaks a limit on losses.

        Call it a few times a second and after fills, and cancel what stands at the venues it
        names. O(venues x listings).

        Returns:
            Those that were not halted before.
        """
        halts = []
        self._measure()
        for venue in self.standing.venues:
            if venue not in self.standing.halted and (halt := self._lost(venue)) is not None:
                self.standing.halted[venue] = halt.why
                halts.append(halt)
        return halts

    # ---- what persons decide ------------------------------------------------------------------

    @property
    def killed(self) -> str:
        """Why nothing new leaves, one line; "" if it does."""
        return self.standing.killed

    @killed.setter
    def killed(self, why: str) -> None:
        self.standing.killed = why

    @property
    def halted(self) -> Mapping[str, str]:
        """Venue -> why only reducing orders pass there."""
        return self.standing.halted

    @property
    def off(self) -> Mapping[str, str]:
        """Strategy -> why nothing of it passes until it is enabled."""
        return self.standing.off

    def halt(self, venue: str, why: str) -> None:
        """Only reducing orders pass there from now on. The first reason stands."""
        self.standing.halted.setdefault(venue, why)

    def resume(self, venue: str) -> str:
        """Ends a halt; why it cannot, one line, while a limit on losses is still broken."""
        self._measure()
        if (halt := self._lost(venue)) is not None:
            self.standing.halted[venue] = halt.why
            return f"{halt}; raise the limit, or wait for another day"
        self.standing.halted.pop(venue, None)
        return ""

    def enable(self, strategy: str) -> None:
        """A strategy that traded too often may go on, and counts from zero."""
        self.standing.off.pop(strategy, None)
        self._repeats.forget(strategy)

    def configure(self, config: Config) -> None:
        """Other limits of the same venues hold from now on; what is halted stays so."""
        self.standing.limits, self.standing.venues = config.limits, config.venues

    # ---- what is known ------------------------------------------------------------------------

    def worst_case(self, symbol: str) -> WorstCase:
        """Of a market over all its venues. O(venues)."""
        return worst_case(self._listed(symbol), self.standing.portfolio, self.standing.working)

    # -------------------------------------------------------------------------------------------

    def _listed(self, symbol: str) -> tuple[str, ...]:
        """Keys that a market may have: at every venue, watched at the moment or not."""
        keys = self._keys.get(symbol)
        if keys is None:
            keys = self._keys[symbol] = tuple(f"{venue} {symbol}" for venue in self.standing.venues)
        return keys

    def _reach(self, listing: Listing, side: Side) -> Reach:
        keys = self._listed(listing.symbol)
        return reach(listing.key, side, keys, self.standing.portfolio, self.standing.working)

    def _approved(self, intent: OrderIntent | AmendIntent, now_ns: int) -> None:
        pace = self.standing.pace
        if not intent.urgent:
            pace.took(now_ns)
        if isinstance(intent, OrderIntent):
            pace.placed(same(intent), self.standing.limits.duplicate_ms * MILLISECOND, now_ns)

    def _measure(self) -> None:
        portfolio = self.standing.portfolio
        self._day_pnl, self._drawdown = portfolio.day_pnl(), portfolio.drawdown()

    def _lost(self, venue: str) -> Halt | None:
        standing = self.standing
        made = standing.portfolio.day_pnl(venue)
        day = Day(venue, made, self._day_pnl, self._drawdown)
        for rule in LOSSES.values():
            halt = rule(day, standing.limits, standing.venues[venue])
            if halt is not None:
                return halt
        return None
