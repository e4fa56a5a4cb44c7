"""Taking what is held at one venue to zero, by orders that can only reduce and do not rest."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from hftmm.core.instrument import Kind, Listing, Side
from hftmm.core.order import OrderIntent, TimeInForce
from hftmm.risk.approval import approve
from hftmm.risk.brakes import Brakes

TRIES: Final = 5
PAUSE_NS: Final = 500_000_000
"""Between two tries: time for fills and books to follow."""
CODE: Final = "fl"
"""Whose its orders are, in client ids."""


class Flattening:
    """Flattens one venue, once its orders are gone.

    Each try sends one IOC order a listing, for exactly what is held, priced within a cap from the
    touch it takes. The next one waits until what the last one did is known in full: an order too
    many would open the other side.

    Attributes:
        done: nothing more will be sent: it is flat, or as flat as it gets.
        words: how far it is, one line.
    """

    def __init__(self, venue: str, brakes: Brakes, orders: set[str]) -> None:
        """
        Args:
            orders: where it puts the client ids of its orders, for nobody to cancel them.
        """
        self.venue: Final = venue
        self.done = False
        self.words = "waits for zero open orders"
        self._brakes: Final = brakes
        self._orders: Final = orders
        self._tries = 0
        self._due_ns = 0

    def tick(self, slippage_bps: float, now_ns: int) -> None:
        """Does what is due; call it while the venue shows zero."""
        if self.done or now_ns < self._due_ns:
            return
        if self._brakes.live(self.venue) or not self._brakes.settled(self.venue):
            self.words = f"{self._count()}waits for fills"
            return
        held = [(listing, size) for listing, size in self._brakes.positions(self.venue) if size]
        if not held:
            self._end("flat", "info", now_ns)
            return
        if self._tries == TRIES:
            self._end(f"{self._left(held)} after {TRIES} tries: {self.words}", "error", now_ns)
            return
        self._tries += 1
        self._due_ns = now_ns + PAUSE_NS
        problems = []
        small = 0
        for listing, size in held:
            if why := _too_small(listing, size) or self._worthless(listing, size, now_ns):
                small += 1
            else:
                why = self._close(listing, size, slippage_bps, now_ns)
            if why:
                problems.append(f"{listing.symbol} {why}")
        if small == len(held):
            self._end(f"{self._left(held)}: {'; '.join(problems)}", "warning", now_ns)
        else:
            self.words = "; ".join(problems) or f"{self._count()}{self._left(held)}"

    def _close(self, listing: Listing, held: Decimal, slippage_bps: float, now_ns: int) -> str:
        """Sends one order; why not, "" if it left."""
        side: Side = "sell" if held > 0 else "buy"
        touch = self._brakes.touch(listing, side, now_ns)
        if touch is None:
            return "has no book to price it by"
        cap = slippage_bps / 10_000
        price = listing.price(touch * (1 - cap if side == "sell" else 1 + cap), side)
        intent = OrderIntent(
            CODE,
            listing,
            side,
            price,
            listing.size(abs(held)),
            time_in_force=TimeInForce.IOC,
            # Spot has no such order: there the size alone keeps it from going through zero.
            reduce_only=listing.kind is Kind.LINEAR,
            urgent=True,
        )
        before = set(self._brakes.live(self.venue))
        why = self._brakes.send(approve(intent), now_ns)
        self._orders.update(set(self._brakes.live(self.venue)) - before)
        return why

    def _worthless(self, listing: Listing, held: Decimal, now_ns: int) -> str:
        """Why what is held is worth less than any order, which only reduce-only ones may be."""
        if listing.kind is Kind.LINEAR:
            return ""
        touch = self._brakes.touch(listing, "sell" if held > 0 else "buy", now_ns)
        worth = listing.size(abs(held)) * Decimal(repr(touch or 0.0))
        if touch is None or worth >= listing.min_notional:
            return ""
        return f"is worth {worth:.2f}, below the smallest order {listing.min_notional:f}"

    def _count(self) -> str:
        return f"try {self._tries} of {TRIES}, " if self._tries else ""

    def _left(self, held: list[tuple[Listing, Decimal]]) -> str:
        return f"{holdings(held)} left"

    def _end(self, words: str, level: str, now_ns: int) -> None:
        self.done = True
        self.words = words
        self._orders.clear()
        self._brakes.note(level, self.venue, "flatten", words, now_ns)


def holdings(held: list[tuple[Listing, Decimal]]) -> str:
    """What is held, one line; "" if nothing is."""
    return ", ".join(f"{listing.symbol} {size.normalize():+f}" for listing, size in held if size)


def _too_small(listing: Listing, held: Decimal) -> str:
    size = listing.size(abs(held))
    if not size:
        return f"is below the lot {listing.lot:f}"
    if size < listing.min_size:
        return f"is below the smallest order {listing.min_size:f}"
    return ""
