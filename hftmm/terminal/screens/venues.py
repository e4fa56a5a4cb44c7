"""Which venue to halt or resume, where none is selected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from hftmm.desk.snapshot import RiskRow
from hftmm.terminal import format as fmt


class VenuesScreen(ModalScreen[str | None]):
    """Every venue and what the key will do there; returns the chosen one."""

    BINDINGS: ClassVar = [Binding("escape,q,x", "dismiss", "close")]

    def __init__(self, venues: Sequence[RiskRow]) -> None:
        super().__init__()
        self._venues = venues

    def compose(self) -> ComposeResult:
        options = OptionList(*(Option(_row(row), id=row.venue) for row in self._venues))
        options.add_class("dialog")
        options.border_title = "halt or resume"
        options.border_subtitle = "enter does it, escape closes"
        yield options

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option.id)


def _row(row: RiskRow) -> Content:
    does = (
        f"resume: {row.halted}" if row.halted else "halt: cancel its orders, let only reducing pass"
    )
    return Content(f"{fmt.fit(fmt.plain(row.venue), 10)} {fmt.plain(does)}")
