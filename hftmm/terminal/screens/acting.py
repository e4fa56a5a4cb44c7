"""The keys that act: what each sends to the engine, and what it asks before."""

from __future__ import annotations

from collections.abc import Callable

from textual.screen import Screen

from hftmm.desk.commands import Command, Halt, Kill, Resume, Stop, Toggle
from hftmm.desk.handle import Desk
from hftmm.desk.snapshot import DeskSnapshot
from hftmm.terminal.notice import Notices
from hftmm.terminal.picture import Picture
from hftmm.terminal.screens.flatten import FlattenScreen
from hftmm.terminal.screens.leaving import LeavingScreen, unverified
from hftmm.terminal.screens.parameters import ParametersScreen
from hftmm.terminal.screens.rearm import RearmScreen
from hftmm.terminal.screens.ticket import TicketScreen
from hftmm.terminal.screens.venues import VenuesScreen
from hftmm.terminal.widgets.pane import Pane

_TORN_NS = 500_000_000
"""Alt and a digit, torn apart on the way, arrive as escape and the digit within this."""


class ActingScreen(Screen[None]):
    """A screen on a desk that commands can be sent from.

    Commands go by what the engine shows now, not by a picture that is held.

    Args:
        now_ns: the viewer's clock, ns since the epoch.
        owned: leaving ends the engine.

    Attributes:
        escaped_ns: when escape was heard last.
    """

    def __init__(self, desk: Desk, now_ns: Callable[[], int], *, owned: bool) -> None:
        super().__init__()
        self.desk = desk
        self.notices = Notices()
        self.escaped_ns = 0
        self._now_ns = now_ns
        self._owned = owned

    @property
    def newest(self) -> DeskSnapshot | None:
        """What the engine shows now."""
        return self.desk.snapshot()

    @property
    def picture(self) -> Picture:
        """What there is to draw at this moment."""
        raise NotImplementedError

    @property
    def pointed(self) -> Pane:
        """The pane whose selected row a key is about."""
        raise NotImplementedError

    def say(self, text: str) -> None:
        """Puts a line into the footer for some seconds."""
        self.notices.say(text, self._now_ns())

    def command(self, command: Command) -> None:
        """Passes a command on, or says that nobody is there to take it."""
        if self.desk.connected:
            self.desk.send(command)
        else:
            self.say("not sent: the engine is gone; from a shell: hftmm kill --direct")

    def kill(self, reason: str) -> None:
        """Everything canceled everywhere; asks nothing."""
        self.command(Kill(reason))
        if self.picture.silent_ns and self.desk.connected:
            self.say("sent, but the engine is silent; from a shell: hftmm kill --direct")

    def action_flatten(self) -> None:
        """Kills and takes every position to zero, if the operator means it."""

        def answered(wanted: bool | None) -> None:
            if wanted:
                self.command(Kill("key F", flatten=True))

        self.app.push_screen(FlattenScreen(self.desk), answered)

    def action_rearm(self) -> None:
        """Asks for the word that ends a kill."""
        if self.newest is not None and self.newest.kill is not None:
            self.app.push_screen(RearmScreen(self.desk))
        else:
            self.say("nothing is killed: there is nothing to re-arm")

    def action_strategy(self, number: int) -> None:
        """Switches a strategy, counted from 1, on or off."""
        if self._now_ns() - self.escaped_ns < _TORN_NS:
            self.say(f"strategy {number} left as it is: escape came just before, as alt would")
            return
        strategies = self.newest.strategies if self.newest else ()
        if number > len(strategies):
            self.say(f"there is no strategy {number}")
            return
        chosen = strategies[number - 1]
        # What it is to be, not its opposite: a key pressed twice must not undo itself.
        self.command(Toggle(chosen.name, on=not chosen.on))

    def action_halt(self) -> None:
        """Halts or resumes the selected venue, or asks which."""
        risk = self.newest.risk if self.newest else ()
        selected = self.pointed.selected_venue
        if any(row.venue == selected for row in risk):
            self.halt_or_resume(selected)
        elif risk:
            self.app.push_screen(VenuesScreen(risk), self.halt_or_resume)
        else:
            self.say("there is no venue to halt yet")

    def halt_or_resume(self, venue: str | None) -> None:
        """Ends a venue's halt if it has one, else halts it."""
        risk = self.newest.risk if self.newest else ()
        for row in risk:
            if row.venue == venue:
                self.command(Resume(venue) if row.halted else Halt(venue))

    def action_ticket(self) -> None:
        """An order by hand in the market on view."""
        if self.newest is None:
            self.say("no order yet: the engine has shown no market")
            return
        self.app.push_screen(TicketScreen(self.desk, self.newest.market))

    def action_parameters(self) -> None:
        """Parameters that may be changed while running."""
        self.parameter("")

    def parameter(self, key: str) -> None:
        """The parameters, at this key."""
        self.app.push_screen(ParametersScreen(self.desk, key))

    def action_quit(self) -> None:
        """Cancels, verifies and leaves; only leaves an engine that is not ours to end."""
        self.leave("key q")

    def leave(self, reason: str) -> None:
        """Ends the engine and waits for it where it is ours, then ends the app with what was not
        verified, "" if all was.
        """
        if not self._owned:
            self.app.exit("")
        elif not self.desk.connected:
            self.app.exit(unverified(self.newest))
        elif not isinstance(self.app.screen, LeavingScreen):
            self.desk.send(Stop(reason))
            self.app.push_screen(LeavingScreen(self.desk), self.app.exit)
