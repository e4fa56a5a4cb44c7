"""Small measures of books."""

from __future__ import annotations

import math
from typing import Final

from hftmm.core.fees import BPS

SPREAD_MEMORY: Final = 60.0
"""Seconds over which the usual deviation of a venue is remembered."""


def microprice(bid: float, bid_size: float, ask: float, ask_size: float) -> float:
    """Mid-price leaning towards the side with less size behind it.

    Args:
        bid, ask: best prices, quote per base.
        bid_size, ask_size: base coins, together > 0.

    Returns:
        Price in quote per base, unrounded, always between bid and ask.

    Source:
        Stoikov, "The micro-price" (2018): the weighted mid.
    """
    return (bid * ask_size + ask * bid_size) / (bid_size + ask_size)


def distance_bps(price: float, reference: float) -> float:
    """How far a price is above a reference > 0, basis points of the reference."""
    return (price - reference) / reference * BPS


class Deviation:
    """How far one venue's mid usually is from the others', and whether it strays.

    Attributes:
        bps: the last deviation measured, signed.
    """

    __slots__ = ("_mean_square", "_weight", "bps")

    def __init__(self) -> None:
        self.bps = 0.0
        self._mean_square = 0.0
        self._weight = 0.0

    @property
    def usual_bps(self) -> float:
        """Root mean square of the deviations while it did not stray, 0.0 before any."""
        return math.sqrt(self._mean_square / self._weight) if self._weight else 0.0

    def measure(self, mid: float, others: float, seconds: float, straying: bool) -> None:
        """Notes a deviation; one that strays does not become the new usual.

        Args:
            mid: the venue's mid.
            others: median of the other venues' mids.
            seconds: since the last measurement.
        """
        self.bps = distance_bps(mid, others)
        if not straying:
            kept = math.exp(-seconds / SPREAD_MEMORY)
            self._mean_square = self._mean_square * kept + self.bps * self.bps * (1.0 - kept)
            self._weight = self._weight * kept + (1.0 - kept)
