"""What a market's positions are, and what they become if every order fills."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec

from hftmm.core.instrument import Side
from hftmm.risk.portfolio import Portfolio
from hftmm.risk.working import Working

ZERO: Final = Decimal(0)


class WorstCase(NamedTuple):
    """One market over all its venues, base coins; open and unknown orders count in full.

    Attributes:
        net: position, longs and shorts netted.
        high, low: the net if every buy fills and no sell does, and the reverse.
        gross: the largest position that the orders of each venue may lead to there, long or
            short, added up.
    """

    net: Decimal
    high: Decimal
    low: Decimal
    gross: Decimal


def worst_case(keys: Iterable[str], portfolio: Portfolio, working: Working) -> WorstCase:
    """Of the listings with these keys. O(listings)."""
    net = buys = sells = gross = ZERO
    for key in keys:
        position, exposed = portfolio.held(key), working.exposure(key)
        net += position
        buys += exposed.buy
        sells += exposed.sell
        gross += max(position + exposed.buy, exposed.sell - position)
    return WorstCase(net, net + buys, net - sells, gross)


class Reach(msgspec.Struct, frozen=True, gc=False):
    """How far orders may carry positions to one side, base coins; negative: not even to zero.

    Attributes:
        venue: the position at one venue if every order of the side fills there.
        behind: the position there if every order of the other side fills, to that other side.
        total: the net position over all venues, as `venue`.
        gross: as in `WorstCase`, of the other venues alone.
    """

    venue: Decimal
    behind: Decimal
    total: Decimal
    gross: Decimal


def reach(
    key: str, side: Side, keys: Iterable[str], portfolio: Portfolio, working: Working
) -> Reach:
    """Of the listing `key` among all `keys` of its market. O(listings).

    Positions and orders mirror: what a buy is to a long, a sell is to a short.
    """
    high = low = total = gross = ZERO
    buy = side == "buy"
    for other in keys:
        position, exposed = portfolio.held(other), working.exposure(other)
        up, down = position + exposed.buy, exposed.sell - position
        total += up if buy else down
        if other == key:
            high, low = up, down
        else:
            gross += up if up >= down else down
    return Reach(high, low, total, gross) if buy else Reach(low, high, total, gross)
