"""Numbers, times and foreign text as the terminal writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from hftmm.terminal import format as fmt


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (None, ""),
        (0.0, "0.000"),
        (0.0004, "<.001"),
        (0.041, "0.041"),
        (0.1, "0.10"),
        (1.2, "1.20"),
        (123.4, "123.40"),
        (999.99, "999.99"),
        (1_000.0, "1.0k"),
        (1_234.0, "1.2k"),
        (999_949.0, "999.9k"),
        (12_300_000.0, "12.3M"),
        (4_500_000_000.0, "4.5G"),
    ],
)
def test_sizes_shorten(x: float | None, text: str) -> None:
    assert fmt.size(x) == text


def test_prices_never_shorten() -> None:
    assert fmt.price(65000.5, 1) == "65000.5"
    assert fmt.price(1_234_567.0, 2) == "1234567.00"
    assert fmt.price(0.00001234, 8) == "0.00001234"
    assert fmt.price(None, 1) == ""


@given(st.lists(st.floats(0.0005, 9e8), min_size=2, max_size=8))
def test_the_points_of_a_size_column_stand_in_one_line(sizes: list[float]) -> None:
    cells = [fmt.size_cell(size, 9) for size in sizes]
    assert {cell.index(".") for cell in cells} == {5}
    assert {len(cell) for cell in cells} == {9}


def test_a_size_that_does_not_exist_leaves_its_column_blank() -> None:
    assert fmt.size_cell(None, 6) == "      "


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (None, ""),
        (1.0, "+1.00"),
        (-0.4, "-0.40"),
        (0.0, "0.00"),
        (-0.001, "0.00"),
        (1e5, "+100,000.00"),
    ],
)
def test_money_has_a_sign_unless_it_is_nothing(x: float | None, text: str) -> None:
    assert fmt.signed(x) == text


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (None, ""),
        (4.2, "4ms"),
        (999.4, "999ms"),
        (999.6, "1.0s"),
        (9_960.0, "10s"),
        (99_000.0, "99s"),
        (120_000.0, "2m"),
        (7_200_000.0, "2h"),
        (500_000_000.0, "6d"),
    ],
)
def test_ages_stay_within_five_characters(ms: float | None, text: str) -> None:
    assert fmt.age(ms) == text
    assert len(fmt.age(ms)) <= 5


@pytest.mark.parametrize(
    ("us", "text"),
    [(None, "-"), (7.84, "7.8µs"), (61.0, "61µs"), (2_440.0, "2.4ms"), (66_000.0, "66ms")],
)
def test_latencies_choose_their_unit(us: float | None, text: str) -> None:
    assert fmt.micros(us) == text


def test_rates_shorten() -> None:
    assert [fmt.rate(x) for x in (None, 0.0, 0.4, 48.2, 12_340.0)] == [
        "", "0", "0.4", "48", "12.3k",
    ]  # fmt: skip


def test_times_of_day_are_utc() -> None:
    assert fmt.clock(1_780_315_201_412_999_999) == "12:00:01Z"
    assert fmt.clock_ms(1_780_315_201_412_999_999) == "12:00:01.412"


def test_time_left_shortens_and_ends() -> None:
    second = 1_000_000_000
    assert fmt.until(7_320 * second, 0) == "2h02m"
    assert fmt.until(125 * second, 0) == "2m"
    assert fmt.until(40 * second, 0) == "40s"
    assert fmt.until(5, 6) == ""
    assert fmt.until(None, 6) == ""


def test_a_market_has_a_short_name() -> None:
    assert fmt.market_name("BTC/USDT:USDT") == "BTC perp"
    assert fmt.market_name("ETH/USDT") == "ETH spot"


def test_an_escape_sequence_is_shown_not_obeyed() -> None:
    assert fmt.plain("\x1b[31mred\x1b[0m\n") == "␛[31mred␛[0m␊"


def test_characters_that_reorder_or_vanish_are_replaced() -> None:
    assert fmt.plain("a\u202eb\u200bc\u0301") == "a\ufffdb\ufffdć"
    assert fmt.plain("x\u0336") == "x\ufffd"


@given(st.text())
def test_foreign_text_becomes_one_line_of_visible_characters(text: str) -> None:
    shown = fmt.plain(text)
    assert all(char.isprintable() or char == "\u3000" or char.isspace() for char in shown)
    assert not set(shown) & set("\x1b\n\r\t\x00\x7f\u2028\u2029")


@given(st.text(), st.integers(1, 40))
def test_fitted_text_is_exactly_as_wide_as_asked(text: str, width: int) -> None:
    assert cell_len(fmt.fit(fmt.plain(text), width)) == width


def test_text_that_does_not_fit_ends_in_an_ellipsis() -> None:
    assert fmt.fit("quarantined", 6) == "quara…"
    assert fmt.fit("okx", 6) == "okx   "
    assert fmt.fit("okx", 0) == ""


@given(st.text(), st.integers(2, 30))
def test_wrapped_lines_fit_and_lose_nothing_but_spaces(text: str, width: int) -> None:
    shown = fmt.plain(text)
    lines = fmt.wrap(shown, width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == shown.replace(" ", "")


def test_text_wraps_at_spaces() -> None:
    assert fmt.wrap("book live after one snapshot", 12) == ["book live", "after one", "snapshot"]
    assert fmt.wrap("", 12) == [""]
