"""What we think is held against what the venue says, and since when they differ."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What is no difference.

    Attributes:
        grace_ns: how long ours and theirs may differ while fills and balances are under way.
        relative: of the amount; venues round what each trade realises.
        absolute: in the asset itself, for amounts near zero.
    """

    grace_ns: int = 3_000_000_000
    relative: Decimal = Decimal("1e-6")
    absolute: Decimal = Decimal("1e-6")

    def allows(self, ours: Decimal, theirs: Decimal) -> bool:
        return abs(ours - theirs) <= max(self.absolute, self.relative * abs(theirs))


TOLERANCE: Final = Tolerance()


@dataclass(frozen=True, slots=True)
class Drift:
    """A difference that lasted longer than anything under way explains.

    Attributes:
        subject: `position BTC/USDT:USDT`, or `balance spot USDT`.
    """

    venue: str
    subject: str
    ours: Decimal
    theirs: Decimal
    since_ns: int

    def __str__(self) -> str:
        theirs, ours = (f"{_places(amount):f}" for amount in (self.theirs, self.ours))
        more = f"{_places(self.theirs - self.ours):+f}"
        return (
            f"{self.venue} {self.subject}: the venue says {theirs}, we count {ours}, "
            f"a difference of {more}"
        )


def _places(amount: Decimal) -> Decimal:
    """No finer than eight places, without zeros at the end."""
    return amount.quantize(Decimal("1e-8")).normalize()


class Comparison:
    """One amount of ours beside the venue's."""

    __slots__ = ("since_ns", "subject", "theirs", "venue")

    def __init__(self, venue: str, subject: str) -> None:
        self.venue: Final = venue
        self.subject: Final = subject
        self.theirs: Decimal | None = None
        self.since_ns: int | None = None

    def compare(
        self, ours: Decimal, tolerance: Tolerance, now_ns: int, *, at_once: bool = False
    ) -> Drift | None:
        """The drift, if they differ for longer than the grace, or, `at_once`, at all."""
        if self.theirs is None or tolerance.allows(ours, self.theirs):
            self.since_ns = None
            return None
        if self.since_ns is None:
            self.since_ns = now_ns
        if not at_once and now_ns - self.since_ns < tolerance.grace_ns:
            return None
        return Drift(self.venue, self.subject, ours, self.theirs, self.since_ns)
