"""The help: made from the key table and from what each pane says of itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from hftmm.terminal.bindings import KeyTable
from hftmm.terminal.widgets.pane import Pane


class HelpScreen(ModalScreen[None]):
    """All keys by heading, then how to read each pane."""

    BINDINGS: ClassVar = [Binding("escape,q,question_mark", "dismiss", "close")]

    def __init__(self, table: KeyTable, panes: Iterable[Pane]) -> None:
        super().__init__()
        self._table = table
        self._panes = list(panes)

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help") as box:
            box.border_title = "help"
            box.border_subtitle = "arrows scroll, escape closes"
            for heading, keys in self._table.groups().items():
                yield Static(Content(heading), classes="heading")
                yield Static(
                    Content("\n").join(
                        Content.assemble((f"{key.shown:>12}  ", "bold $accent"), key.text)
                        for key in keys
                    )
                )
            for pane in self._panes:
                yield Static(Content(pane.TITLE), classes="heading")
                yield Static(Content(pane.HELP), classes="reading")
