"""The parameters that may be changed while running."""

from __future__ import annotations

import tomllib
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from hftmm.desk.commands import Set
from hftmm.desk.handle import Desk
from hftmm.desk.snapshot import DeskSnapshot, Parameter
from hftmm.terminal import format as fmt
from hftmm.terminal.screens.dialog import Conversation, Dialog, Entry, answered


class ParametersScreen(Dialog[None]):
    """A list of keys with their values; enter edits one, enter sends it, the engine decides.

    Args:
        key: the one to begin with.
    """

    TITLE = "parameters, until the next start"
    HINT = "↑↓ key · enter edits, then sends · escape back"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,p,q", "back", "back")]
    AUTO_FOCUS = "#keys"

    def __init__(self, desk: Desk, key: str = "") -> None:
        super().__init__(desk)
        self._first = key
        self._shown: tuple[Parameter, ...] = ()
        self._talk = Conversation(desk)

    def fields(self) -> ComposeResult:
        yield OptionList(id="keys", compact=True)
        with Vertical(id="editing"):
            yield Static(id="words", markup=False)
            yield Static(id="allowed", markup=False)
            yield Entry(id="value")
        yield Static(id="answers", markup=False)

    def on_mount(self) -> None:
        self.query_one("#value").display = False

    def paint(self, snapshot: DeskSnapshot | None) -> None:
        parameters = snapshot.parameters if snapshot else ()
        keys = self.query_one("#keys", OptionList)
        if [one.key for one in parameters] != [one.key for one in self._shown]:
            keys.clear_options()
            keys.add_options(Option(_row(one), id=one.key) for one in parameters)
            names = [one.key for one in parameters]
            keys.highlighted = names.index(self._first) if self._first in names else 0
        else:
            for now, before in zip(parameters, self._shown, strict=True):
                if now != before:
                    keys.replace_option_prompt(now.key, _row(now))
        self._shown = parameters
        chosen = self._chosen
        self.write("words", fmt.plain(chosen.words) if chosen else "this engine offers none")
        self._say_allowed()
        self.write("answers", answered(self._talk.heard(snapshot)))

    @property
    def _chosen(self) -> Parameter | None:
        at = self.query_one("#keys", OptionList).highlighted
        return self._shown[at] if at is not None and at < len(self._shown) else None

    def _say_allowed(self) -> None:
        chosen, entry = self._chosen, self.query_one("#value", Entry)
        if chosen is None:
            return
        wrong = mismatch(entry.value, chosen) if entry.display else ""
        allowed = f"allowed: {fmt.plain(chosen.allowed)}"
        text, colour = (f"✕ {wrong}; {allowed}", "$error") if wrong else (allowed, "$dim")
        self.write("allowed", Content.styled(text, colour))

    # What it does

    def on_option_list_option_highlighted(self) -> None:
        self.pull()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        chosen, entry = self._chosen, self.query_one("#value", Entry)
        if chosen is not None:
            entry.value = chosen.value
            entry.display = True
            self.call_after_refresh(entry.focus)

    def on_input_changed(self) -> None:
        self._say_allowed()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        chosen = self._chosen
        if chosen is None or mismatch(event.value, chosen):
            return
        if event.value.strip() != chosen.value:
            self._talk.send(Set(chosen.key, event.value.strip()))
        self._close()

    def action_back(self) -> None:
        """Leaves the value as it was, or the dialog."""
        if self.query_one("#value").display:
            self._close()
        else:
            self.dismiss()

    def _close(self) -> None:
        self.query_one("#value").display = False
        self.query_one("#keys").focus()
        self.pull()


def mismatch(text: str, parameter: Parameter) -> str:
    """Why a text cannot be this parameter's value, before the engine is asked; "" if it may be."""
    if not text.strip():
        return "is missing"
    known, value = _toml(parameter.value), _toml(text)
    if known is None or isinstance(known, str):
        return ""
    if value is None:
        return "is not a value as config.toml has them"
    return "" if _kind(value) is _kind(known) else "is of another kind"


def _kind(value: object) -> type:
    """One kind for all numbers; true and false are none."""
    return float if type(value) is int else type(value)


def _toml(text: str) -> object | None:
    """The value a TOML file would have; None if it has none."""
    try:
        return tomllib.loads(f"value = {text}").get("value") if "\n" not in text else None
    except tomllib.TOMLDecodeError:
        return None


def _row(parameter: Parameter) -> Content:
    return Content(f"{fmt.fit(parameter.key, 42)} {fmt.plain(parameter.value)}")
