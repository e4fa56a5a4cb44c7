"""The key table: what every key does, said once.

Footer, help, palette, the keys of config.toml and the README's table are all made from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from textual.binding import Binding


@dataclass(frozen=True, slots=True)
class Key:
    """One thing the terminal does, and the key that does it.

    Attributes:
        name: stable name, the key of [terminal.keys] in config.toml.
        keys: default key, or several separated by commas, as Textual names them.
        label: a word or two, for the footer.
        text: one line, for help, palette and README.
        group: heading it stands under in the help.
        call: action of the desk screen, with its argument; `name` if empty.
        footer: shown in the footer.
        palette: offered in the palette.
        everywhere: heard before any dialog or input sees the key; an action of the app.
    """

    name: str
    keys: str
    label: str
    text: str
    group: str
    call: str = ""
    footer: bool = False
    palette: bool = True
    everywhere: bool = False

    @property
    def action(self) -> str:
        """The action a binding, a click or the palette runs."""
        return f"{'app' if self.everywhere else 'screen'}.{self.call or self.name}"

    @property
    def heard(self) -> str:
        """The keys to listen to, as Textual names what terminals send for them."""
        keys = [one.strip() for one in self.keys.split(",")]
        options = [_OPTION_DIGITS[one] for one in keys if one in _OPTION_DIGITS]
        # Terminals that report all keys, but not the text they make.
        shifted = [f"shift+{one.lower()}" for one in keys if len(one) == 1 and one.isupper()]
        return ",".join([*keys, *options, *shifted])

    @property
    def shown(self) -> str:
        """The key as a person reads it."""
        return " ".join(_shown(key) for key in self.keys.split(","))


# A terminal without the kitty protocol sends escape and the digit for alt with it, which Textual
# takes for what the option key of a Mac writes.
_OPTION_DIGITS = {
    "alt+1": "inverted_exclamation_mark",
    "alt+2": "trade_mark_sign",
    "alt+3": "pound_sign",
    "alt+4": "cent_sign",
    "alt+5": "infinity",
    "alt+6": "section_sign",
    "alt+7": "pilcrow_sign",
    "alt+8": "bullet",
    "alt+9": "ª",
    "alt+0": "º",
}

_NAMES = {
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "pageup": "page up",
    "pagedown": "page down",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "question_mark": "?",
    "slash": "/",
}


def _shown(key: str) -> str:
    if key.startswith("ctrl+"):
        return f"^{key.removeprefix('ctrl+')}"
    return _NAMES.get(key, key)


TABS = ("orders", "fills", "positions", "balances", "log", "pnl")
"""Panes that share one place: one of them shows, the others stand in its title."""

_NUMBERED = ("ladder", "nbbo", "arbitrage", "risk", "strategies", *TABS[:5])
_PANE_KEYS = {
    **{name: f"alt+{i % 10}" for i, name in enumerate(_NUMBERED, 1)},
    "pnl": "alt+p",
    "tape": "alt+t",
}

PANES = tuple(_PANE_KEYS)

KEYS: tuple[Key, ...] = (
    *(
        Key(
            f"strategy_{i}",
            f"{i}",
            label,
            f"switch strategy {i}, {name}, on or off; off cancels what it has open",
            "trading",
            f"strategy({i})",
            footer=True,
        )
        for i, (label, name) in enumerate(
            (("mm", "market making"), ("arb", "arbitrage"), ("hedge", "hedger")), 1
        )
    ),
    Key(
        "strategy_4",
        "4",
        "fourth",
        "switch strategy 4, one of another package, on or off",
        "trading",
        "strategy(4)",
        palette=False,
    ),
    Key("cancel", "c", "cancel", "cancel the selected order; first selects one", "trading"),
    Key("halt", "x", "halt", "halt or resume the selected venue", "trading", footer=True),
    Key("ticket", "o", "ticket", "order ticket; cancel all of a venue", "trading", footer=True),
    Key("parameters", "p", "params", "change a parameter while running", "trading", footer=True),
    Key(
        "flatten",
        "F",
        "flatten",
        "kill, then take every position to zero; asks first",
        "trading",
        footer=True,
    ),
    Key("rearm", "R", "re-arm", "end a kill; wants a typed word", "trading", footer=True),
    Key(
        "kill",
        "K",
        "KILL",
        "cancel everything everywhere at once, over any dialog and while typing",
        "trading",
        footer=True,
        everywhere=True,
    ),
    Key("market_previous", "[", "previous", "previous market", "market", "market(-1)"),
    Key("market_next", "]", "market", "next market", "market", "market(1)", footer=True),
    Key("markets", "m", "markets", "list of markets with their best quotes", "market", footer=True),
    Key(
        "recentre",
        "space",
        "recentre",
        "centre the ladder on the market and follow it again",
        "ladder",
        footer=True,
    ),
    Key("group_wider", "g", "group", "wider price groups", "ladder", "group(1)", footer=True),
    Key("group_finer", "G", "finer", "finer price groups", "ladder", "group(-1)"),
    Key("net", "n", "net", "prices after taker fees, on and off", "ladder", footer=True),
    Key("scroll_up", "up", "up", "scroll the pane up", "panes", "scroll(-1)", palette=False),
    Key("scroll_down", "down", "down", "scroll the pane down", "panes", "scroll(1)", palette=False),
    Key("page_up", "pageup", "page", "a page up", "panes", "page(-1)", palette=False),
    Key("page_down", "pagedown", "page", "a page down", "panes", "page(1)", palette=False),
    Key("pane_next", "tab", "pane", "next pane", "panes", "pane(1)", footer=True),
    Key("pane_previous", "shift+tab", "pane", "previous pane", "panes", "pane(-1)"),
    Key("tab_next", "right", "tab", f"next of {', '.join(TABS)}", "panes", "tab(1)"),
    Key("tab_previous", "left", "tab", "the one before it", "panes", "tab(-1)"),
    *(
        Key(f"pane_{name}", key, name, f"go to the {name} pane", "panes", f"go('{name}')")
        for name, key in _PANE_KEYS.items()
    ),
    Key(
        "freeze",
        "f",
        "freeze",
        "freeze the picture, on and off; the engine goes on",
        "desk",
        footer=True,
    ),
    Key("filter", "/", "filter", "show only log lines that contain a text", "desk", footer=True),
    Key("theme", "t", "theme", "next theme", "desk", footer=True),
    Key(
        "palette",
        "ctrl+p",
        "palette",
        "everything by name: keys, markets, themes, practice faults",
        "desk",
        footer=True,
        palette=False,
    ),
    Key("help", "?", "help", "all keys, and how to read each pane", "desk", footer=True),
    Key("quit", "q", "quit", "cancel, verify, leave; attached: only leave", "desk", footer=True),
)


@dataclass(frozen=True, slots=True)
class KeyTable:
    """The table with the operator's own keys in it.

    Attributes:
        problems: overrides that could not be followed, one line each, for the log.
    """

    keys: tuple[Key, ...]
    problems: tuple[str, ...] = ()

    @classmethod
    def of(cls, overrides: Iterable[tuple[str, str]] = ()) -> KeyTable:
        """The default table with `overrides`, (name, key), in place of the default keys.

        All of them count at once, so that two actions may exchange their keys. An override that
        names no action, or a key that another action has in the end, is left out and reported;
        the action keeps its own key.
        """
        own = {key.name: key for key in KEYS}
        chosen: dict[str, str] = {}
        problems: list[str] = []
        for name, key in overrides:
            if name not in own:
                problems.append(f"terminal.keys.{name}: no such action; known: {', '.join(own)}")
            elif not key.strip():
                problems.append(f"terminal.keys.{name}: a key must be named")
            else:
                chosen[name] = key
        # Whoever gets its own key back may in turn be in another's way.
        while refused := _refused(chosen):
            name, taken = refused
            problems.append(f"terminal.keys.{name}: {chosen.pop(name)!r} is the key of {taken}")
        keys = tuple(replace(key, keys=chosen.get(key.name, key.keys)) for key in KEYS)
        return cls(keys, tuple(problems))

    def bindings(self) -> list[Binding]:
        """What Textual needs to know of the table."""
        return [
            Binding(key.heard, key.action, key.label, show=key.footer, id=key.name)
            for key in self.keys
            if not key.everywhere
        ]

    @property
    def everywhere(self) -> dict[str, str]:
        """Actions that no dialog or input is in the way of, by key as Textual tells of it."""
        bindings = [Binding(key.heard, key.action) for key in self.keys if key.everywhere]
        return {one.key: one.action for one in Binding.make_bindings(bindings)}

    def named(self, name: str) -> Key:
        """The entry of that name; KeyError if there is none."""
        return next(key for key in self.keys if key.name == name)

    def groups(self) -> dict[str, list[Key]]:
        """Entries under their headings, in the order of the table."""
        groups: dict[str, list[Key]] = {}
        for key in self.keys:
            groups.setdefault(key.group, []).append(key)
        return groups

    def markdown(self) -> str:
        """The table as the README shows it."""
        rows = [f"| {_code(key)} | {key.text} | `{key.name}` |" for key in self.keys]
        return "\n".join(["| key | does | name in config.toml |", "|---|---|---|", *rows, ""])


def _code(key: Key) -> str:
    return " ".join(f"`{_shown(one)}`" for one in key.keys.split(","))


def _refused(chosen: Mapping[str, str]) -> tuple[str, str] | None:
    """The first action whose chosen key another one has, and that other one; None if none."""
    keys = {key.name: _each(chosen.get(key.name, key.keys)) for key in KEYS}
    # An action on its own key comes before one that was given it; of two that were, the first.
    order = [*(name for name in keys if name not in chosen), *chosen]
    holders: dict[str, str] = {}
    for name in order:
        for key in keys[name]:
            if holders.setdefault(key, name) != name:
                return name, holders[key]
    return None


def _each(keys: str) -> set[str]:
    return {one.strip() for one in keys.split(",")}
