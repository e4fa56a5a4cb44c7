"""Re-arming after a kill: wants a typed word."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, Static

from hftmm.desk.commands import Rearm
from hftmm.desk.handle import Desk
from hftmm.desk.snapshot import DeskSnapshot
from hftmm.terminal import format as fmt
from hftmm.terminal.screens.dialog import Conversation, Dialog, Entry, answered
from hftmm.terminal.widgets.alarm import progress

WORD = "ARM"


class RearmScreen(Dialog[None]):
    """Shows what the kill reached and what re-arming will do, and asks for the word."""

    TITLE = "re-arm"
    HINT = f"type {WORD} and enter · escape stays killed"
    BINDINGS: ClassVar[list[BindingType]] = []
    AUTO_FOCUS = "#word"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._talk = Conversation(desk)
        self._mistyped = False

    def fields(self) -> ComposeResult:
        yield Static(id="why", markup=False)
        yield Static(id="venues", markup=False)
        yield Static(id="will", markup=False)
        with Horizontal(classes="field"):
            yield Static(f"type {WORD}", classes="name", markup=False)
            yield Entry(characters=WORD + WORD.lower(), id="word")
        yield Static(id="answers", markup=False)

    def paint(self, snapshot: DeskSnapshot | None) -> None:
        kill = snapshot.kill if snapshot else None
        if kill is None:
            # Re-armed: from here, or by somebody else.
            self.dismiss()
            return
        self.write("why", f"Killed: {fmt.plain(kill.reason)}, {fmt.clock(kill.ns)}")
        lines = [
            Content.styled(
                f"  {fmt.fit(fmt.plain(venue.venue), 9)} {progress(venue)}",
                "$foreground" if venue.zero_ms is not None and not venue.problem else "$error",
            )
            for venue in kill.venues
        ]
        self.write("venues", Content("\n").join(lines))
        self.write("will", f"Re-arming: {fmt.plain(kill.rearm) or 'new orders may leave again'}")
        if self._mistyped:
            self.write("answers", Content.styled(f"✕ not sent: the word is {WORD}", "$warning"))
        else:
            self.write("answers", answered(self._talk.heard(snapshot)))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._mistyped = event.value != WORD
        if not self._mistyped:
            self._talk.send(Rearm(WORD))
        self.query_one(Entry).value = ""
        self.pull()
