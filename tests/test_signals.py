"""Small measures of books."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftmm.book.signals import SPREAD_MEMORY, Deviation, distance_bps, microprice

prices = st.floats(0.0001, 1e6)
sizes = st.floats(0.0001, 1e6)


@given(prices, prices, sizes, sizes)
def test_the_microprice_is_between_bid_and_ask(a: float, b: float, x: float, y: float) -> None:
    bid, ask = min(a, b), max(a, b)
    price = microprice(bid, x, ask, y)
    assert bid * (1 - 1e-12) <= price <= ask * (1 + 1e-12)


def test_the_microprice_leans_towards_the_side_with_less_behind_it() -> None:
    assert microprice(100.0, 1.0, 101.0, 3.0) == 100.25
    assert microprice(100.0, 3.0, 101.0, 1.0) == 100.75
    assert microprice(100.0, 2.0, 101.0, 2.0) == 100.5


def test_a_distance_is_signed_and_in_basis_points_of_the_reference() -> None:
    assert distance_bps(101.0, 100.0) == pytest.approx(100.0)
    assert distance_bps(99.5, 100.0) == pytest.approx(-50.0)


def test_nothing_is_usual_before_anything_was_measured() -> None:
    new = Deviation()
    assert (new.bps, new.usual_bps) == (0.0, 0.0)


def test_a_first_measurement_of_no_duration_is_not_usual_yet() -> None:
    new = Deviation()
    new.measure(101.0, 100.0, 0.0, straying=False)
    assert new.bps == pytest.approx(100.0)
    assert new.usual_bps == 0.0


def test_the_usual_deviation_is_the_root_mean_square_of_the_recent_ones() -> None:
    measured = Deviation()
    measured.measure(100.1, 100.0, 1.0, straying=False)
    assert measured.usual_bps == pytest.approx(10.0)
    measured.measure(99.7, 100.0, 1.0, straying=False)
    old = math.exp(-1.0 / SPREAD_MEMORY)
    expected = math.sqrt((old * 10.0**2 + 30.0**2) / (old + 1.0))
    assert measured.usual_bps == pytest.approx(expected)
    assert measured.bps == pytest.approx(-30.0)


def test_what_was_long_ago_is_forgotten() -> None:
    measured = Deviation()
    measured.measure(110.0, 100.0, 1.0, straying=False)
    measured.measure(100.01, 100.0, 100 * SPREAD_MEMORY, straying=False)
    assert measured.usual_bps == pytest.approx(1.0)


def test_a_deviation_that_strays_is_shown_and_does_not_become_usual() -> None:
    measured = Deviation()
    measured.measure(100.01, 100.0, 1.0, straying=False)
    measured.measure(150.0, 100.0, 1.0, straying=True)
    assert measured.bps == pytest.approx(5_000.0)
    assert measured.usual_bps == pytest.approx(1.0)
