"""Losses that halt venues until a person resumes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple

from hftmm.config import LimitsConfig, VenueConfig

_CENT: Final = Decimal("0.01")


class Day(NamedTuple):
    """The day at one venue, and over all; money in the portfolio's currency.

    Attributes:
        drawdown: fall of the PnL over all venues from the day's peak.
    """

    venue: str
    made: Decimal
    total: Decimal
    drawdown: Decimal


@dataclass(frozen=True, slots=True)
class Halt:
    """A limit that was broken: only reducing orders pass at the venue from here on."""

    venue: str
    rule: str
    limit: Decimal
    actual: Decimal

    @property
    def why(self) -> str:
        words = self.rule.replace("_", " ")
        return f"{words} {self.actual.quantize(_CENT):f} against {self.limit:f}"

    def __str__(self) -> str:
        return f"{self.venue}: {self.why}"


def venue_loss(day: Day, limits: LimitsConfig, venue: VenueConfig) -> Halt | None:
    """What the day lost at the venue."""
    return _over("venue_loss", day.venue, venue.max_daily_loss, -day.made)


def total_loss(day: Day, limits: LimitsConfig, venue: VenueConfig) -> Halt | None:
    """What the day lost over all venues: each of them is halted."""
    return _over("total_loss", day.venue, limits.max_daily_loss, -day.total)


def drawdown(day: Day, limits: LimitsConfig, venue: VenueConfig) -> Halt | None:
    """What was lost of the most that the day had made: each venue is halted."""
    return _over("drawdown", day.venue, limits.max_drawdown, day.drawdown)


def _over(rule: str, venue: str, limit: Decimal, actual: Decimal) -> Halt | None:
    return Halt(venue, rule, limit, actual) if actual > limit else None


LOSSES: Final[dict[str, Callable[[Day, LimitsConfig, VenueConfig], Halt | None]]] = {
    rule.__name__: rule for rule in (venue_loss, total_loss, drawdown)
}
"""By name; the first that is broken is told."""
