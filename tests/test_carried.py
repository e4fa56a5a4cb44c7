"""What nobody is to hedge, through flattenings."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftmm.engine.carried import Carried

AMOUNTS = st.integers(-50, 50).map(lambda n: Decimal(n) / 100)


@pytest.mark.parametrize(
    ("carried", "traded", "left"),
    [
        ("0.5", "-0.5", "0"),
        ("0.5", "-0.2", "0"),
        ("0.5", "-0.7", "-0.2"),
        ("0.5", "0.2", "0.2"),
        ("-0.5", "0.5", "0"),
        ("-0.5", "0.7", "0.2"),
        ("-0.5", "-0.2", "-0.2"),
        ("0", "-0.3", "-0.3"),
    ],
)
def test_a_flattening_closes_what_is_carried_first(carried: str, traded: str, left: str) -> None:
    by_hand = Carried()
    by_hand.add("BTC/USDT", Decimal(carried))
    assert by_hand.flattened("BTC/USDT", Decimal(traded)) == Decimal(left)


@given(AMOUNTS, st.lists(AMOUNTS, max_size=6))
def test_every_coin_of_a_flattening_closes_something(
    carried: Decimal, trades: list[Decimal]
) -> None:
    by_hand = Carried()
    by_hand.set("BTC/USDT", carried)
    left = sum((by_hand.flattened("BTC/USDT", trade) for trade in trades), Decimal(0))
    still = carried + sum(trades, Decimal(0)) - left
    assert abs(still) <= abs(carried)
    assert still * carried >= 0
    # Whatever is still carried is what the opposite trade would close, to the last coin.
    assert by_hand.flattened("BTC/USDT", -still) == 0
