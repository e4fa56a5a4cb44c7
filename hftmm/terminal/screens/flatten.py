"""Flatten: asks before every position is taken to zero."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Button, Static

from hftmm.desk.snapshot import DeskSnapshot, PositionRow
from hftmm.terminal import format as fmt
from hftmm.terminal.screens.dialog import Dialog
from hftmm.terminal.widgets.columns import Column, cell, decimals

_CAP = "hedging.flatten_slippage_bps"


class FlattenScreen(Dialog[bool]):
    """Shows what would be closed and at what cost at most; returns True if it is wanted."""

    TITLE = "flatten everything"
    HINT = "y flattens · ←→ button · escape leaves everything as it is"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "flatten"),
        Binding("n,escape", "answer(False)", "leave it"),
        Binding("left", "app.focus_previous", "previous button"),
        Binding("right", "app.focus_next", "next button"),
    ]
    # An enter pressed too much must not sell anything.
    AUTO_FOCUS = "#no"

    def fields(self) -> ComposeResult:
        yield Static(
            "Kills: every order is canceled everywhere, nothing new leaves until re-armed. Then "
            "these positions are taken to zero by reducing orders:",
            markup=False,
        )
        yield Static(id="positions", markup=False)
        yield Static(id="cap", markup=False)
        with Horizontal(classes="buttons"):
            yield Button("no, leave it", id="no", compact=True)
            yield Button("yes, flatten", id="yes", compact=True, variant="error")

    def paint(self, snapshot: DeskSnapshot | None) -> None:
        held = [row for row in (snapshot.positions if snapshot else ()) if _is_held(row)]
        sizes = decimals("", (row.size for row in held), least=10)
        rows = [_row(row, sizes) for row in held] or [Content("nothing is held by our books")]
        self.write("positions", Content("\n").join(rows))
        parameters = snapshot.parameters if snapshot else ()
        cap = next((one.value for one in parameters if one.key == _CAP), None)
        text = "the config's slippage cap" if cap is None else f"{cap} bps from the touch"
        self.write(
            "cap", f"No order goes further than {text}; what that leaves stays, and is told."
        )

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_answer(self, wanted: bool) -> None:
        """Yes or no."""
        self.dismiss(wanted)


def _is_held(row: PositionRow) -> bool:
    return float(row.size) != 0


def _row(row: PositionRow, sizes: Column) -> Content:
    entry = "" if row.entry is None else f"entry {row.entry:,.2f}"
    mark = "" if row.mark is None else f"mark {row.mark:,.2f}"
    return Content(
        f"{fmt.fit(row.venue, 8)} {fmt.fit(fmt.market_name(row.market), 8)}"
        f"{cell(row.size, sizes, '')[0]}  {entry:>15}  {mark:>14} {fmt.signed(row.unrealised):>9}"
    )
