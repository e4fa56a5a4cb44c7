"""The best bid and offer over several venues."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hftmm.core.fees import BPS


class MarketState(StrEnum):
    """How the best bid and the best ask stand to each other."""

    NORMAL = "normal"
    LOCKED = "locked"
    CROSSED = "crossed"
    ONE_SIDED = "one-sided"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class NBBO:
    """Best bid and ask over the venues that are live, synced, fresh and not quarantined.

    A side nobody quotes has price 0.0, size 0.0 and no venues.

    Attributes:
        bid_size, ask_size: base coins, all venues at the price together.
        bid_venues, ask_venues: who stands at the price, largest first.
        net: True if prices are after each venue's taker fee.
        ns: when it was formed, our clock.
    """

    bid: float
    bid_size: float
    bid_venues: tuple[str, ...]
    ask: float
    ask_size: float
    ask_venues: tuple[str, ...]
    net: bool
    ns: int

    @property
    def state(self) -> MarketState:
        if not self.bid_venues and not self.ask_venues:
            return MarketState.EMPTY
        if not self.bid_venues or not self.ask_venues:
            return MarketState.ONE_SIDED
        if self.bid > self.ask:
            return MarketState.CROSSED
        if self.bid == self.ask:
            return MarketState.LOCKED
        return MarketState.NORMAL

    @property
    def mid(self) -> float | None:
        """Half-way between bid and ask; None unless there are both."""
        return (self.bid + self.ask) / 2.0 if self.bid_venues and self.ask_venues else None

    @property
    def spread_bps(self) -> float | None:
        """(ask - bid) / mid in basis points, negative when crossed; None unless there are both."""
        mid = self.mid
        return None if mid is None else (self.ask - self.bid) / mid * BPS


def best(quotes: list[tuple[str, float, float, float, float]], net: bool, ns: int) -> NBBO:
    """The NBBO of (venue, bid, bid size, ask, ask size), a side of size 0.0 being absent."""
    bids = [(bid, size, venue) for venue, bid, size, _, _ in quotes if size > 0.0]
    asks = [(ask, size, venue) for venue, _, _, ask, size in quotes if size > 0.0]
    bid = max((price for price, _, _ in bids), default=0.0)
    ask = min((price for price, _, _ in asks), default=0.0)
    at_bid = sorted((-size, venue) for price, size, venue in bids if price == bid)
    at_ask = sorted((-size, venue) for price, size, venue in asks if price == ask)
    return NBBO(
        bid,
        sum((-size for size, _ in at_bid), 0.0),
        tuple(venue for _, venue in at_bid),
        ask,
        sum((-size for size, _ in at_ask), 0.0),
        tuple(venue for _, venue in at_ask),
        net,
        ns,
    )
