"""Numbers as venues send them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftmm.core.errors import MalformedFrame, OffGrid
from hftmm.venues import decimals

NO_NUMBERS = ["", ".", "-1", "+1", "nan", "inf", "1_0", " 1", "1,0", "0x1", "e5", "٣", "1.2.3"]


@given(st.integers(0, 10**17), st.integers(0, 8), st.integers(0, 4))
def test_a_price_on_the_grid_is_exactly_its_ticks(ticks: int, places: int, padding: int) -> None:
    text = f"{Decimal(ticks).scaleb(-places):f}"
    if "." in text:
        text += "0" * padding
    assert decimals.ticks(text, places) == ticks


@given(st.decimals(0, 10**9, allow_nan=False, allow_infinity=False, places=12), st.integers(0, 12))
def test_a_price_off_the_grid_says_how_many_places_it_needs(price: Decimal, places: int) -> None:
    price %= 10**5
    text = f"{price:f}"
    needed = len(text.partition(".")[2].rstrip("0"))
    if needed <= places:
        assert decimals.ticks(text, places) == int(price.scaleb(places))
        return
    with pytest.raises(OffGrid, match="off-grid price") as caught:
        decimals.ticks(text, places)
    assert caught.value.decimals == needed
    assert decimals.ticks(text, needed) == int(price.scaleb(needed))


@pytest.mark.parametrize("price", ["0.1234567890123", "10000000.000000000001"])
def test_no_grid_is_finer_than_prices_fit_into(price: str) -> None:
    with pytest.raises(MalformedFrame, match="out of range") as caught:
        decimals.ticks(price, 2)
    assert not isinstance(caught.value, OffGrid)


@given(st.decimals(0, 10**12, allow_nan=False, allow_infinity=False, places=8))
def test_a_size_is_the_nearest_double(size: Decimal) -> None:
    assert decimals.size(f"{size:f}") == float(size)


@pytest.mark.parametrize(
    ("text", "ticks"),
    [("3.02e4", 302_000), ("5e-1", 5), ("0", 0), ("7.", 70), (".5", 5), ("1E0", 10), ("0e-9", 0)],
)
def test_unusual_spellings_are_read(text: str, ticks: int) -> None:
    assert decimals.ticks(text, 1) == ticks
    assert decimals.size(text) == ticks / 10


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_is_no_decimal_is_malformed(text: str) -> None:
    with pytest.raises(MalformedFrame, match="not a number"):
        decimals.ticks(text, 2)
    with pytest.raises(MalformedFrame, match="not a number"):
        decimals.size(text)


@pytest.mark.parametrize("text", ["9" * 5000, "1e999"])
def test_numbers_beyond_the_machine_are_malformed(text: str) -> None:
    with pytest.raises(MalformedFrame, match="out of range"):
        decimals.ticks(text, 2)
    with pytest.raises(MalformedFrame, match="out of range"):
        decimals.size(text)
