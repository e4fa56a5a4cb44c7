"""Theme files, and the styles made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hftmm.terminal.themes import COLOURS, Ink, load_themes, read_theme

SHIPPED = Path(__file__).parents[1] / "themes"
DARK = (SHIPPED / "dark.toml").read_text("utf-8")


def test_the_four_shipped_themes_load() -> None:
    themes, failures = load_themes([SHIPPED])
    assert sorted(themes) == ["amber", "colourblind", "dark", "light"]
    assert not failures
    assert not themes["light"].dark


@pytest.mark.parametrize("name", ["amber", "colourblind", "dark", "light"])
def test_a_theme_says_in_its_file_how_one_is_written(name: str) -> None:
    text = (SHIPPED / f"{name}.toml").read_text("utf-8")
    assert "All keys are required" in text


@pytest.mark.parametrize("name", ["amber", "colourblind", "dark", "light"])
def test_text_can_be_read_on_its_ground(name: str) -> None:
    colours = load_themes([SHIPPED])[0][name].colours
    grounds = ("pane", "raised", "bid_bar", "ask_bar", "crossing", "touch_bid", "touch_ask")
    assert all(_contrast(colours["plain"], colours[ground]) >= 4.5 for ground in grounds[:4])
    assert all(_contrast(colours["bright"], colours[ground]) >= 4.5 for ground in grounds)
    for meaning in (*COLOURS["meaning"], *(f"venue.{one}" for one in COLOURS["venues"])):
        assert _contrast(colours[meaning], colours["pane"]) >= 4.5, meaning
    assert _contrast(colours["dim"], colours["pane"]) >= 3.0


def test_the_colourblind_theme_tells_bids_from_asks_without_red_and_green() -> None:
    colours = load_themes([SHIPPED])[0]["colourblind"].colours
    bid, ask = (_rgb(colours[side]) for side in ("bid", "ask"))
    # Deuteranopes and protanopes keep the blue axis: the two must lie far apart on it.
    assert abs((bid[2] - bid[0]) - (ask[2] - ask[0])) > 200


def test_a_users_theme_takes_the_place_of_a_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "dark.toml").write_text(DARK.replace('bid = "#4cb782"', 'bid = "#00ff00"'), "utf-8")
    themes, failures = load_themes([SHIPPED, tmp_path])
    assert themes["dark"].colours["bid"].lower() == "#00ff00"
    assert not failures


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("dark =", "Invalid value"),
        (DARK.replace("dark = true", 'dark = "yes"'), "dark: must be true or false"),
        (DARK.replace("[meaning]", "[meanings]"), "meanings: no such section"),
        (DARK.partition("[text]")[0], r"\[text\] is missing"),
        (DARK.replace("\nown =", "\nowned ="), "meaning.own: is missing"),
        (DARK.replace('own = "#f2c14e"', 'own = "reddish"'), "meaning.own: 'reddish' is not a col"),
        (DARK.replace('own = "#f2c14e"', "own = 7"), "meaning.own: 7 is not a colour"),
        (DARK.replace("[meaning]", '[meaning]\nhot = "#fff"'), "meaning.hot: no such colour"),
    ],
    ids=lambda value: value if len(value) < 60 else "",
)
def test_a_theme_that_is_wrong_says_where(text: str, cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        read_theme("mine", text)


def test_a_theme_that_fails_is_reported_and_the_others_load(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("dark = 1", "utf-8")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    themes, failures = load_themes([SHIPPED, tmp_path])
    assert len(themes) == 4
    assert len(failures) == 2
    assert failures[1].endswith("mine.toml: dark: must be true or false")


def test_without_any_theme_there_is_still_something_to_draw_with(tmp_path: Path) -> None:
    themes, failures = load_themes([tmp_path])
    assert list(themes) == ["fallback"]
    assert failures == ["no theme could be read: drawing in grey"]
    assert Ink(themes["fallback"]).style("bold bid on touch_bid").bold


def test_a_venue_of_another_package_may_have_its_own_hue() -> None:
    theme = read_theme("mine", DARK + 'kraken = "#123456"\n')
    assert _hex(Ink(theme), "venue.kraken") == "#123456"
    assert _hex(Ink(theme), "venue.unheard") == theme.colours["venue.other"].lower()


def test_a_role_names_colour_weight_and_ground() -> None:
    theme = read_theme("dark", DARK)
    style = Ink(theme).style("live bold ask on touch_ask")
    assert style.bold
    assert style.color is not None
    assert style.color.name == theme.colours["ask"].lower()
    assert style.bgcolor is not None
    assert style.bgcolor.name == theme.colours["touch_ask"].lower()


def test_a_role_may_carry_what_a_click_does() -> None:
    style = Ink(read_theme("dark", DARK)).style("dim on raised @screen.help")
    assert style.meta == {"@click": "screen.help"}


def test_grey_ink_keeps_no_meaning_in_colour() -> None:
    grey = Ink(read_theme("dark", DARK), grey=True)
    assert grey.style("bold bid on touch_bid") == grey.style("live venue.okx on crossing")


def test_a_role_without_a_colour_is_an_error_of_the_programmer() -> None:
    with pytest.raises(KeyError, match="no colour for the role 'puce'"):
        Ink(read_theme("dark", DARK)).style("puce")


def _hex(ink: Ink, role: str) -> str:
    color = ink.style(role).color
    assert color is not None
    return color.name


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _contrast(one: str, other: str) -> float:
    """WCAG 2.1 contrast ratio."""
    darker, lighter = sorted(map(_luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4
        for part in (channel / 255 for channel in _rgb(colour))
    ]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
