"""Themes: TOML files that name a colour for everything the terminal draws.

A theme feeds two readers: Textual's own widgets (dialogs, palette) through a `Theme`, and our
line widgets through an `Ink`. Both are made from the same colours, so that they cannot disagree.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.style import Style
from textual.color import Color, ColorParseError
from textual.theme import Theme as TextualTheme

COLOURS: Mapping[str, tuple[str, ...]] = {
    "ground": (
        "screen",
        "pane",
        "raised",
        "line",
        "focus",
        "bid_bar",
        "ask_bar",
        "touch_bid",
        "touch_ask",
        "crossing",
        "bar_empty",
    ),
    "text": ("plain", "dim", "bright", "badge"),
    "meaning": ("bid", "ask", "own", "good", "warning", "danger", "accent"),
    "venues": ("binance", "bybit", "okx", "other"),
}
"""Sections of a theme file and the colours each must name."""


@dataclass(frozen=True, slots=True)
class Theme:
    """A complete set of colours.

    Attributes:
        colours: `#rrggbb` by name; those of [venues] as `venue.NAME`.
    """

    name: str
    dark: bool
    colours: Mapping[str, str]

    def textual(self) -> TextualTheme:
        """The same colours for Textual's own widgets."""
        colour = self.colours
        return TextualTheme(
            name=self.name,
            dark=self.dark,
            primary=colour["accent"],
            secondary=colour["focus"],
            accent=colour["accent"],
            warning=colour["warning"],
            error=colour["danger"],
            success=colour["good"],
            foreground=colour["plain"],
            background=colour["screen"],
            surface=colour["pane"],
            panel=colour["raised"],
            variables={
                "border": colour["line"],
                "line": colour["line"],
                "dim": colour["dim"],
                "block-cursor-background": colour["accent"],
                "block-cursor-foreground": colour["badge"],
            },
        )


# Shown only when not one theme file could be read: the reason is in the log, on this ground.
FALLBACK = Theme(
    "fallback",
    dark=True,
    colours={
        **dict.fromkeys((*COLOURS["text"], *COLOURS["meaning"]), "#d0d0d0"),
        **dict.fromkeys((f"venue.{name}" for name in COLOURS["venues"]), "#d0d0d0"),
        **dict.fromkeys(COLOURS["ground"], "#101010"),
        "line": "#606060",
        "focus": "#d0d0d0",
        "bid_bar": "#404040",
        "ask_bar": "#404040",
        "badge": "#101010",
    },
)


def load_themes(folders: Iterable[Path]) -> tuple[dict[str, Theme], list[str]]:
    """Every theme of the folders by name, a later folder's in place of an earlier one's.

    Returns:
        Themes (never empty), and one line for each file that could not be read.
    """
    themes: dict[str, Theme] = {}
    failures: list[str] = []
    for folder in folders:
        for path in sorted(folder.glob("*.toml")):
            try:
                themes[path.stem] = read_theme(path.stem, path.read_text("utf-8"))
            except (OSError, ValueError) as error:
                failures.append(f"theme {path}: {error}")
    if not themes:
        failures.append("no theme could be read: drawing in grey")
        themes[FALLBACK.name] = FALLBACK
    return themes, failures


def read_theme(name: str, text: str) -> Theme:
    """A theme from the text of its file.

    Raises:
        ValueError: `section.key: what is wrong`, for the first thing that is.
    """
    document = tomllib.loads(text)
    dark = document.pop("dark", None)
    if not isinstance(dark, bool):
        raise ValueError("dark: must be true or false")
    unknown = sorted(set(document) - set(COLOURS))
    if unknown:
        raise ValueError(f"{unknown[0]}: no such section; known: {', '.join(COLOURS)}")
    colours: dict[str, str] = {}
    for section, names in COLOURS.items():
        given = document.get(section)
        if not isinstance(given, dict):
            raise ValueError(f"[{section}] is missing")
        missing = [one for one in names if one not in given]
        if missing:
            raise ValueError(f"{section}.{missing[0]}: is missing")
        for key, value in given.items():
            # A venue registered by another package may have a hue of its own.
            if key not in names and section != "venues":
                raise ValueError(f"{section}.{key}: no such colour; known: {', '.join(names)}")
            colours[f"venue.{key}" if section == "venues" else key] = _colour(section, key, value)
    return Theme(name, dark, colours)


def _colour(section: str, key: str, value: object) -> str:
    try:
        return Color.parse(value).hex6 if isinstance(value, str) else _not_a_colour(value)
    except (ColorParseError, ValueError):
        raise ValueError(f"{section}.{key}: {value!r} is not a colour such as #4fb286") from None


def _not_a_colour(value: object) -> str:
    raise ValueError(repr(value))


# How far towards the bright colour a number that changed is lit: seen, but its hue still told.
_LIT = 0.6


class Ink:
    """Styles by role, from one theme.

    A role reads `[live] [bold] COLOUR [on GROUND] [@ACTION]`: `bid`, `bold ask on touch_ask`,
    `live venue.okx`, `plain @screen.help`. `live` changes nothing but in `brightened`; a click
    runs ACTION.

    Args:
        grey: everything in the dim colour, as last data of an engine that is gone.
    """

    def __init__(self, theme: Theme, *, grey: bool = False) -> None:
        self._colours = theme.colours
        self._grey = grey
        self._styles: dict[str, Style] = {}
        self._brightened: dict[str, Style] = {}
        self._bright = Color.parse(theme.colours["bright"])

    def style(self, role: str) -> Style:
        """The style of a role; an unknown venue has the hue `venue.other`."""
        style = self._styles.get(role)
        if style is None:
            style = self._styles[role] = self._make(role.removeprefix("live "))
        return style

    def brightened(self, role: str) -> Style:
        """The style of a role for the moment after its number changed: its hue, lit up."""
        style = self._brightened.get(role)
        if style is None:
            style = self.style(role)
            if style.color is not None and not self._grey:
                lit = Color.parse(style.color.name).blend(self._bright, _LIT)
                style += Style(color=lit.hex6)
            self._brightened[role] = style
        return style

    def _make(self, role: str) -> Style:
        role, _, action = role.partition(" @")
        front, _, ground = role.partition(" on ")
        bold = front.startswith("bold ")
        name = front.removeprefix("bold ")
        if self._grey:
            name, ground = ("line" if name in {"line", "focus"} else "dim"), ""
        colour = self._colours.get(name)
        if colour is None:
            if not name.startswith("venue."):
                raise KeyError(f"no colour for the role {role!r}")
            colour = self._colours["venue.other"]
        return Style(
            color=colour,
            bgcolor=self._colours[ground or "pane"],
            bold=bold and not self._grey,
            meta={"@click": action} if action else None,
        )
