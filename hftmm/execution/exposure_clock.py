"""What is open in one market, unit by unit: where it was filled, since when, what offset it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final

ZERO: Final = Decimal(0)
REMEMBERED: Final = 500
"""Trades whose story is kept."""
_MILLISECOND: Final = 1_000_000


class Part:
    """Base coins that one event opened, and what has offset them.

    Attributes:
        size: opened. left: still open, both above zero while it is in the clock.
        venue: where it was filled. trade: of which trade it is, "" if of none that is shown.
        born_ns: when it was opened. ns: since when its clock runs, never before that.
    """

    __slots__ = (
        "_priced",
        "_spent",
        "_tick",
        "_venues",
        "_verb",
        "born_ns",
        "left",
        "ns",
        "size",
        "trade",
        "venue",
    )

    def __init__(self, size: Decimal, venue: str, trade: str, now_ns: int) -> None:
        self.size: Final = size
        self.venue: Final = venue
        self.trade: Final = trade
        self.born_ns: Final = now_ns
        self.left = size
        self.ns = now_ns
        self._verb = ""
        self._venues: dict[str, None] = {}
        self._priced = self._spent = self._tick = ZERO

    def offset(self, size: Decimal, price: Decimal | None, venue: str, verb: str) -> None:
        """So much of it was closed."""
        self.left -= size
        self._verb = verb
        self._venues[venue] = None
        if price is not None:
            self._priced += size
            self._spent += size * price
            self._tick = price

    def story(self, now_ns: int) -> str:
        """What became of it, one line: `hedged okx 65001.5 in 34 ms`."""
        done = self.size - self.left
        if not done:
            return "unhedged"
        share = f"{plain(done)} of {plain(self.size)} " if self.left else ""
        price = ""
        if self._priced:
            price = f" {(self._spent / self._priced).quantize(self._tick):f}"
        took_ms = (now_ns - self.born_ns) / _MILLISECOND
        return f"{share}{self._verb} {'+'.join(self._venues)}{price} in {took_ms:.0f} ms"


class ExposureClock:
    """The open amount of a market as parts, oldest first; what offsets it takes the oldest first.

    Attributes:
        amount: base coins, negative is short.
        parts: all of the amount's sign; their `left` add up to it.
    """

    __slots__ = ("amount", "parts")

    def __init__(self) -> None:
        self.amount = ZERO
        self.parts: Final[deque[Part]] = deque()

    @property
    def since_ns(self) -> int:
        """Since when the oldest open part counts; 0 if nothing is open."""
        return self.parts[0].ns if self.parts else 0

    @property
    def venue(self) -> str:
        """Where the newest open part was filled; "" if nothing is open."""
        return self.parts[-1].venue if self.parts else ""

    def add(
        self,
        amount: Decimal,
        venue: str,
        now_ns: int,
        *,
        price: Decimal | None = None,
        trade: str = "",
        verb: str = "hedged",
    ) -> list[Part]:
        """Something was traded, or taken over. O(1) a part, amortised.

        Args:
            amount: signed base coins.
            verb: what it does to the parts that it offsets.

        Returns:
            The parts whose story changed, the new one last if there is one.
        """
        if not amount:
            return []
        new = Part(abs(amount), venue, trade, now_ns)
        touched: list[Part] = []
        if (amount > 0) is not (self.amount > 0):
            while new.left and self.parts:
                oldest = self.parts[0]
                size = min(oldest.left, new.left)
                oldest.offset(size, price, venue, verb)
                new.offset(size, None, oldest.venue, "netted")
                touched.append(oldest)
                if not oldest.left:
                    self.parts.popleft()
        if new.left:
            self.parts.append(new)
        touched.append(new)
        self.amount += amount
        return touched

    def restart(self, now_ns: int) -> None:
        """All that is open counts from now on."""
        for part in self.parts:
            part.ns = now_ns

    def filled_before(self, limit_ns: int) -> Iterator[str]:
        """Where what counts since then, or longer, was filled. O(such parts)."""
        for part in self.parts:
            if part.ns > limit_ns:
                return
            yield part.venue

    def by_venue(self) -> dict[str, Decimal]:
        """Base coins still open by where they were filled, oldest first, without sign."""
        sums: dict[str, Decimal] = {}
        for part in self.parts:
            sums[part.venue] = sums.get(part.venue, ZERO) + part.left
        return sums

    def _check(self) -> None:
        """Walks every invariant; O(parts)."""
        assert sum((part.left for part in self.parts), ZERO) == abs(self.amount)
        clocks = [part.ns for part in self.parts]
        assert clocks == sorted(clocks)
        for part in self.parts:
            assert ZERO < part.left <= part.size
            assert 0 < part.born_ns <= part.ns


class Stories:
    """What became of each of the last trades that are shown."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: Final[dict[str, str]] = {}

    def of(self, trade: str) -> str:
        """One line; "" if it is long ago."""
        return self._known.get(trade, "")

    def tell(self, parts: Iterable[Part], now_ns: int) -> None:
        """Their stories changed."""
        for part in parts:
            if part.trade:
                self._known[part.trade] = part.story(now_ns)
                if len(self._known) > REMEMBERED:
                    del self._known[next(iter(self._known))]

    def set_aside(self, parts: Iterable[Part]) -> None:
        """They are too small to hedge for now."""
        for part in parts:
            if part.left == part.size and part.trade in self._known:
                self._known[part.trade] = f"{plain(part.left)} in the residual"


def plain(amount: Decimal) -> str:
    """Without exponent and trailing zeros."""
    return f"{amount.normalize():f}"
