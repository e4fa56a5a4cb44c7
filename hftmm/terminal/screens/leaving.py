"""The way out of an engine of one's own: cancel, verify, leave."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from hftmm.desk.handle import Desk
from hftmm.desk.snapshot import DeskSnapshot
from hftmm.terminal import format as fmt
from hftmm.terminal.screens.dialog import Dialog
from hftmm.terminal.widgets.alarm import progress

_ENDED = {"STOPPED", "FINISHED"}


class LeavingScreen(Dialog[str]):
    """Shows how the engine ends; returns what is not verified when it has ended, or when the
    operator will not wait.
    """

    TITLE = "leaving: cancel, verify, end"
    HINT = "q again leaves at once"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,ctrl+q", "at_once", "leave at once"),
        # There is no way back: the engine is ending.
        Binding("escape", "wait", "wait"),
    ]

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._open: int | None = None

    def fields(self) -> ComposeResult:
        yield Static(id="doing", markup=False)
        yield Static(id="venues", markup=False)
        yield Static(id="unverified", markup=False)

    def paint(self, snapshot: DeskSnapshot | None) -> None:
        ended = snapshot is not None and snapshot.state in _ENDED
        if ended or not self.desk.connected:
            self.dismiss(unverified(snapshot))
            return
        if self._open is None and snapshot is not None:
            self._open = sum(order.live for order in snapshot.orders)
        count = f"{self._open} order{'' if self._open == 1 else 's'}" if self._open else "no order"
        self.write("doing", f"canceling {count} of ours, then asking each venue what is open")
        venues = snapshot.kill.venues if snapshot and snapshot.kill else ()
        self.write(
            "venues",
            Content("\n").join(
                Content(f"  {fmt.fit(fmt.plain(one.venue), 9)} {progress(one)}") for one in venues
            ),
        )
        left = unverified(snapshot)
        self.write(
            "unverified", Content.styled(f"not verified yet: {left}" if left else "", "$warning")
        )

    def action_at_once(self) -> None:
        """Leaves, and says what was not verified."""
        self.dismiss(unverified(self.snapshot))

    def action_wait(self) -> None:
        """Goes on waiting."""


def unverified(snapshot: DeskSnapshot | None) -> str:
    """What may still be open at the venues by what the engine last showed; "" if nothing may."""
    if snapshot is None:
        return "no word from the engine"
    if snapshot.kill is not None:
        waiting = [one for one in snapshot.kill.venues if one.zero_ms is None]
        return ", ".join(
            f"{fmt.plain(one.venue)} {'no answer' if one.open is None else f'{one.open} open'}"
            for one in waiting
        )
    live = [order.venue for order in snapshot.orders if order.live]
    return ", ".join(f"{fmt.plain(venue)} {live.count(venue)} open" for venue in sorted(set(live)))
